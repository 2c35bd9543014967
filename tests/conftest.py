"""Four virtual CPU devices, so that what spreads over devices is tested on any host."""

import jax
import numpy as np
import pytest

jax.config.update("jax_num_cpu_devices", 4)


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def x():
    """A few rows of unremarkable values, drawn once and for all."""
    return np.asarray(jax.random.normal(jax.random.key(99), (4, 3)))
