"""Which devices a sweep uses, tried in processes of their own."""

import subprocess
import sys

import pytest


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={"JAX_PLATFORMS": "cpu", "PATH": ""} | environment,
        timeout=120,
    )


def test_use_all_cores():
    code = (
        "import jax, jaxnoise as jn; jn.use_all_cores(); jn.use_all_cores();"
        "from jaxnoise.training.devices import _cores;"
        "assert jax.device_count() == _cores();"
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


@pytest.mark.bad_input
def test_too_late():
    code = (
        "import jax, jaxnoise as jn; from jaxnoise.training import devices;"
        "devices._cores = lambda: 2; jax.device_count(); jn.use_all_cores()"
    )
    result = run(code)
    assert result.returncode == 1
    assert "RuntimeError: use_all_cores: too late, JAX has started" in result.stderr
