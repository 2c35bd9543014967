"""What does not fit into memory is refused before any of it is taken.

`check_fits` compares an estimate with the memory that is free. An allocation that is
too big may succeed and end the process later, with nothing said and nothing kept.
"""

from typing import Any

import jax
import psutil


def check_fits(what: str, size: int, cure: str) -> None:
    """Refuse what needs more memory than is free.

    Free is what the machine can give without swapping. The limit that a container sets
    itself is not seen.

    Args:
        what: the subject of the message, in the plural.
        size: the bytes at the peak, estimated.
        cure: what to do about it, the end of the message.

    Raises:
        MemoryError: if ``size`` is more than the free memory.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.check_fits("my rows: 10 rows", 10 * 8, "ask for fewer rows")
    """
    free = psutil.virtual_memory().available
    if size > free:
        raise MemoryError(
            f"{what} take about {_gibibytes(size)} GiB, but {_gibibytes(free)} GiB of "
            f"memory are free; {cure}."
        )


def byte_count(tree: Any) -> int:
    """The bytes of all arrays of a pytree."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:,.1f}" if size < 10 * 2**30 else f"{size / 2**30:,.0f}"
