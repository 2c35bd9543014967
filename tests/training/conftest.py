"""What the tests of runs share: programs that compile quickly, and one sweep."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_to_compile():
    """Compiling is most of the time here, and what is compiled runs for moments."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
