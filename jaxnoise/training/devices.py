"""Cores and accelerators: which devices the runs of a sweep go to."""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxnoise.checks import warn_once
from jaxnoise.data import Data, check_fits, row_count
from jaxnoise.data.rows import byte_count

AXIS = "runs"
DEVICES_FLAG = "--xla_force_host_platform_device_count"
CPU_OPTIONS: dict[str, Any] = {
    # Whole vector registers; XLA's default is half of AVX-512.
    "xla_cpu_prefer_vector_width": 512,
    # No calls of a library for single operations: they cost more than small ones do.
    "xla_cpu_experimental_ynn_fusion_type": "",
}
SMALL_RUN = 2**13  # products a step up to which a CPU's time goes between operations
SMALL_BLOCK = 8
ORDER_BYTES = 64  # a train row, while their order is drawn; measured, as is the next
PROGRAM_BYTES = 2**26  # a compiled program
ACCELERATOR_BLOCK = 512  # at most: by then a GPU's time is in the arithmetic


def use_all_cores() -> None:
    """Give JAX's CPU backend one device per core, so that a sweep uses them all.

    Runs are independent, and one run per core at a time is faster on a CPU than many
    runs in one batch. Call it before anything of JAX runs. A number of devices that
    was set before, by ``jax_num_cpu_devices`` or in ``XLA_FLAGS``, is left as it is.

    Raises:
        RuntimeError: if JAX has started already and has fewer CPU devices than cores.

    Example:
        >>> import jaxnoise as jn
        >>> jn.use_all_cores()  # first thing in a script
    """
    cores = core_count()
    if _number_was_set() or cores == 1:
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        if len(jax.local_devices(backend="cpu")) >= cores:
            return
        raise RuntimeError(
            "use_all_cores: too late, JAX has started; call it first, right after the "
            "imports; in a notebook, restart the kernel first."
        ) from None


def use_share_of_cores(workers: int | None) -> None:
    """Give JAX one CPU device per core of a worker's share, unless it has started.

    Threads of several processes on the same cores take each other's time. Engines tell
    the share by ``OMP_NUM_THREADS``. Else it is one of so many, and a core where
    ``workers`` is not known.
    """
    if _number_was_set():
        return
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    share = int(told or max(1, core_count() // (workers or core_count())))
    with suppress(RuntimeError):  # it has
        jax.config.update("jax_num_cpu_devices", share)
        os.environ.setdefault("NPROC", str(share))  # XLA's threads


def local_mesh() -> Mesh:
    """All local devices in a row."""
    return Mesh(np.array(jax.local_devices()), (AXIS,))


def runs_mesh() -> Mesh:
    """The same; says so if cores of this process have none."""
    mesh = local_mesh()
    devices = mesh.devices
    alone = len(devices) == 1 and devices[0].platform == "cpu"
    if alone and not _number_was_set() and core_count() > 1:
        warn_once(
            f"JAX has one CPU device on {core_count()} cores, so that runs take turns; "
            "call jaxnoise.use_all_cores() right after the imports to use them all."
        )
    return mesh


def _number_was_set() -> bool:
    """Whether someone has said how many CPU devices there are to be."""
    by_config = jax.config.jax_num_cpu_devices > 0  # type: ignore[attr-defined]
    return by_config or DEVICES_FLAG in os.environ.get("XLA_FLAGS", "")


@cache
def compiler_options() -> dict[str, Any]:
    """XLA's options for training programs: those that this version knows."""
    options = CPU_OPTIONS if jax.default_backend() == "cpu" else {}
    return {name: value for name, value in options.items() if _known(name, value)}


def _known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except (jax.errors.JaxRuntimeError, ValueError, TypeError):
        return False
    return True


def most_in_block(vectorize: int | str, splits: Sequence[int], devices: int) -> int:
    """How many runs of these splits are vmapped together on a device, at most.

    An accelerator's block is computed in full, so it is no more than the device's share
    of the runs, as a power of two: a handful of sizes. Not so on a CPU, where a block
    holds few runs and other seeds must compile nothing.
    """
    if isinstance(vectorize, int):
        return vectorize
    if jax.default_backend() == "cpu":
        return SMALL_BLOCK
    share = min(max(Counter(splits).values()), -(-len(splits) // devices))
    return min(ACCELERATOR_BLOCK, 2 ** (share - 1).bit_length())


def block_size(vectorize: int | str, most: int, products: int, peak_bytes: int) -> int:
    """How many runs are vmapped together on a device.

    Args:
        vectorize: as for `jaxnoise.sweep`.
        most: by `most_in_block`.
        products: weights times rows of a minibatch.
        peak_bytes: of a run's arrays, at most.
    """
    if isinstance(vectorize, int):
        return vectorize
    if jax.default_backend() == "cpu":
        # One run at a time keeps its working set in the caches. What a placement adds
        # does not count: paired runs should be computed alike.
        return most if products <= SMALL_RUN else 1
    memory = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", 2**33)
    return max(1, min(most, memory // 2 // max(1, peak_bytes)))


def check_data_fits(splits: Sequence[Data], mesh: Mesh) -> None:
    """Refuse data of which each device cannot have its copies, before any is made.

    A device holds a split twice, as the program's argument and in its loops, and sorts
    random numbers for the order of the train rows. An accelerator's copies are in its
    own memory.
    """
    if mesh.devices.flat[0].platform != "cpu":
        return
    sizes = [2 * byte_count(d) + ORDER_BYTES * row_count(d.train) for d in splits]
    cure = "use fewer rows" if mesh.size == 1 else "use fewer rows or devices"
    copies = f"the data's copies for {mesh.size} device{'s' * (mesh.size > 1)}"
    check_fits(copies, PROGRAM_BYTES + mesh.size * max(sizes), cure)


def core_count() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1
