"""What the tests of runs share: programs that compile quickly."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def all_compile_quickly(quick_to_compile):
    """All of them."""
