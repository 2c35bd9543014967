"""Which devices a sweep uses, tried in processes of their own."""

import os
import subprocess
import sys

import numpy as np
import pytest

from jaxnoise.training import devices
from jaxnoise.training.recipe import Settings

# What would decide the number of devices or the warnings is not inherited; the rest is
# what a Python on Windows does not start without.
OUTER = {n: v for n, v in os.environ.items() if not n.startswith(("JAX", "XLA"))}


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=OUTER | {"JAX_PLATFORMS": "cpu"} | environment,
        timeout=120,
    )


def test_use_all_cores():
    code = (
        "import jax, jaxnoise as jn; jn.use_all_cores(); jn.use_all_cores();"
        "from jaxnoise.training.devices import core_count;"
        "assert jax.device_count() == core_count();"
        "jn.use_all_cores()"
    )
    result = run(code)
    assert result.returncode == 0, result.stderr


def test_a_number_that_was_set_is_kept():
    code = (
        "import jax; jax.config.update('jax_num_cpu_devices', 3);"
        "import jaxnoise as jn; jn.use_all_cores(); assert jax.device_count() == 3"
    )
    result = run(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_a_number_in_the_flags_is_kept():
    """Devices enough need no advice, and it is not too late for what is there."""
    code = (
        "import os, jax, jaxnoise as jn; from jaxnoise.training import devices;"
        "jn.use_all_cores(); assert jax.device_count() == 4;"
        "devices.core_count = lambda: 8; assert devices.runs_mesh().size == 4;"
        "os.environ.pop('XLA_FLAGS'); devices.runs_mesh();"
        "devices.core_count = lambda: 4; jn.use_all_cores()"
    )
    result = run(code, XLA_FLAGS="--xla_force_host_platform_device_count=4")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.bad_input
@pytest.mark.slow
def test_a_single_device_on_many_cores_is_told_once_and_too_late():
    code = (
        "import warnings; warnings.simplefilter('always');"
        "import jaxnoise as jn; from jaxnoise.training import devices;"
        "devices.core_count = lambda: 8;"
        "devices.runs_mesh(); devices.runs_mesh(); jn.use_all_cores()"
    )
    result = run(code)
    assert result.returncode == 1
    assert result.stderr.count("JAX has one CPU device on 8 cores") == 1
    assert "call jaxnoise.use_all_cores()" in result.stderr
    assert "RuntimeError: use_all_cores: too late, JAX has started" in result.stderr


@pytest.mark.parametrize(
    ("workers", "told", "share"),
    [
        (2, "", 4),
        (2, "3,1", 3),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [(3, "", 2), (9, "", 1), (None, "", 1), (2, "3", 3)]
        ),
    ],
)
def test_a_worker_takes_its_share_of_the_cores(workers, told, share):
    """Devices, and threads of XLA."""
    code = (
        "import os, jax, jaxnoise; from jaxnoise.training import devices;"
        "devices.core_count = lambda: 8;"
        f"devices.use_share_of_cores({workers});"
        f"assert jax.device_count() == {share} == int(os.environ['NPROC']);"
        "devices.use_share_of_cores(1)"
    )
    result = run(code, OMP_NUM_THREADS=told)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
def test_a_share_comes_too_late_once_jax_has_started():
    code = (
        "import os, jax, jaxnoise; from jaxnoise.training import devices;"
        "jax.devices(); devices.use_share_of_cores(None);"
        "assert jax.device_count() == 1 and 'NPROC' not in os.environ"
    )
    result = run(code)
    assert (result.returncode, result.stderr) == (0, "")


def test_unknown_compiler_options_are_left_out(monkeypatch):
    known = "xla_cpu_prefer_vector_width"
    options = {known: 512, "xla_cpu_no_such_option": 1, "xla_cpu_fast_math": "maybe"}
    monkeypatch.setattr(devices, "CPU_OPTIONS", options)
    devices.compiler_options.cache_clear()
    try:
        assert devices.compiler_options() == {known: 512}
    finally:
        devices.compiler_options.cache_clear()


def test_our_compiler_options_are_known():
    assert devices.compiler_options() == devices.CPU_OPTIONS


def test_block_size_follows_the_size_of_a_run(monkeypatch):
    small, large = devices.SMALL_RUN, devices.SMALL_RUN + 1
    assert devices.block_size("auto", 8, small, 1) == 8
    assert devices.block_size("auto", 8, large, 1) == 1
    assert devices.block_size(3, 3, large, 1) == 3
    monkeypatch.setattr(devices.jax, "default_backend", lambda: "gpu")
    # a CPU tells no memory: 8 GiB are assumed, half of them for the runs
    assert devices.block_size("auto", 512, large, 1) == 512
    assert devices.block_size("auto", 512, 1, 2**30) == 4
    assert devices.block_size("auto", 512, 1, 2**40) == 1


def test_accelerator_blocks_are_no_larger_than_a_share(monkeypatch):
    """As a power of two: a handful of programs, whatever the number of runs."""
    monkeypatch.setattr(devices.jax, "default_backend", lambda: "gpu")
    blocks = {n: devices.most_in_block("auto", [0] * n, 1) for n in range(1, 2000)}
    assert blocks[1] == 1
    assert blocks[125] == blocks[128] == 128
    assert all(n <= blocks[n] < 2 * n for n in range(1, 512))
    assert len(set(blocks.values())) == 10
    assert blocks[1999] == devices.ACCELERATOR_BLOCK


@pytest.mark.parametrize("number", [3, np.int64(3), np.uint8(3)])
def test_vectorize_is_a_word_or_a_number(number):
    assert Settings(1, 1, vectorize="auto").vectorize == "auto"
    block = Settings(1, 1, vectorize=number).vectorize
    assert (block, type(block)) == (3, int)
