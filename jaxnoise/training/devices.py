"""Cores and accelerators: which devices the runs of a sweep go to."""

import os

import jax
import numpy as np
from jax.sharding import Mesh

AXIS = "runs"
ACCELERATOR_BLOCK = 128  # runs vmapped together on a GPU or TPU


def use_all_cores() -> None:
    """Give JAX's CPU backend one device per core, so that a sweep uses them all.

    Runs are independent, and one run per core at a time is faster on a CPU than many
    runs in one batch. Call it before anything of JAX runs. A number of devices that
    was set before, by ``jax_num_cpu_devices``, is left as it is.

    Raises:
        RuntimeError: if JAX has started already and has fewer CPU devices than cores.

    Example:
        >>> import jaxnoise as jn
        >>> jn.use_all_cores()  # first thing in a script
    """
    cores = _cores()
    if jax.config.jax_num_cpu_devices > 0 or cores == 1:  # type: ignore[attr-defined]
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        raise RuntimeError(
            "use_all_cores: too late, JAX has started; call it first, right after the "
            "imports."
        ) from None


def runs_mesh() -> Mesh:
    """All local devices in a row."""
    return Mesh(np.array(jax.local_devices()), (AXIS,))


def block_size(vectorize: int | str) -> int:
    """How many runs are vmapped together on a device."""
    if vectorize == "auto":
        # On a CPU one run at a time keeps its working set in the caches.
        return 1 if jax.default_backend() == "cpu" else ACCELERATOR_BLOCK
    if isinstance(vectorize, bool) or not isinstance(vectorize, int) or vectorize < 1:
        raise ValueError(
            f"vectorize must be 'auto' or an int of at least 1, got {vectorize!r}."
        )
    return vectorize


def describe(mesh: Mesh) -> str:
    """The devices of a mesh in words, such as ``2 x cpu``."""
    return f"{mesh.size} x {mesh.devices.flat[0].device_kind}"


def _cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1
