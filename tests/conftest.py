"""Four virtual CPU devices, so that what spreads over devices is tested on any host."""

import os
import tempfile

import jax
import numpy as np
import pytest

jax.config.update("jax_num_cpu_devices", 4)

# Compiling is most of the tests' time: equal programs of one session compile once, also
# those of its two workers, which inherit the environment.
if "JAXNOISE_TEST_PROGRAMS" not in os.environ:
    _programs = tempfile.TemporaryDirectory()
    os.environ["JAXNOISE_TEST_PROGRAMS"] = _programs.name
jax.config.update("jax_compilation_cache_dir", os.environ["JAXNOISE_TEST_PROGRAMS"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def x():
    """A few rows of unremarkable values, drawn once and for all."""
    return np.asarray(jax.random.normal(jax.random.key(99), (4, 3)))
