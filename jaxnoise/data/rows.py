"""Rows ``(x, y)``: counted, divided and standardised, with sizes and seeds checked.

What does not fit into memory is refused before any of it is taken: an allocation that
is too big may succeed and end the process later, with nothing said and nothing kept.
"""

from typing import Any

import jax
import numpy as np
import psutil

from jaxnoise.checks import shown

Rows = tuple[Any, Any]


def check_int(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Refuse what is no int, or out of range."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {shown(value)}.")
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be {bounds}, got {value}.")


def check_seed(name: str, seed: Any) -> None:
    """Refuse what NumPy takes as no seed, and None, which would not repeat."""
    check_int(name, seed, 0, 2**32 - 1)


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


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:,.1f}" if size < 10 * 2**30 else f"{size / 2**30:,.0f}"


def byte_count(tree: Any) -> int:
    """The bytes of all arrays of a pytree in the types that JAX will use."""
    return sum(
        leaf.size * jax.dtypes.canonicalize_dtype(leaf.dtype).itemsize
        for leaf in jax.tree.leaves(tree)
    )


def row_count(tree: Any) -> int:
    """The common length of the leading axes."""
    return jax.tree.leaves(tree)[0].shape[0]


def take(rows: Rows, at: np.ndarray) -> Rows:
    """Some of the rows."""
    return jax.tree.map(lambda leaf: leaf[at], rows)


def divide(
    rows: Rows,
    train_size: int | None,
    validation: int,
    seed: int,
    *,
    published: int | None = None,
    stratify: bool = True,
) -> dict[str, Rows]:
    """Train, test and, where asked for, validation rows, each in their stored order.

    The first ``published`` rows are the published train rows: train and validation are
    drawn from them, and the others are the test set. Without a published division, the
    test set is what train and validation leave. A ``train_size`` of None is all that
    validation leaves of the published train rows, or of four fifths of all rows.

    One random order decides: train rows are its first, validation rows its last. So
    neither size moves the other set, and a larger train set holds the smaller.
    """
    count = row_count(rows)
    pool = published or count
    kept = published or count * 4 // 5
    most = kept if train_size is None else min(pool, count - 1)
    check_seed("seed", seed)
    check_int("validation", validation, 0, most - 1)
    if train_size is None:
        train_size = kept - validation
    check_int("train_size", train_size, 1, most - validation)
    labels = rows[1][:pool].ravel() if stratify else np.zeros(pool)
    order = _stratified_order(labels, np.random.default_rng(seed))
    rest = order[train_size : count - validation]
    sets = {
        "train": order[:train_size],
        "test": np.arange(pool, count) if published else rest,
    }
    if validation:
        sets["validation"] = order[-validation:]
    return {name: take(rows, np.sort(at)) for name, at in sets.items()}


def _stratified_order(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random order of which every stretch has about its share of each class.

    Row i of the n of a class comes at ``(i + 1/2) / n``; the first of each class come
    before all others, so that no class is missing where there is room for all.
    """
    order = generator.permutation(len(labels))
    places = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = labels[order] == label
        n = of_class.sum()
        places[of_class] = (np.arange(n) + 0.5) / n
        places[of_class.argmax()] = 0
    return order[places.argsort(kind="stable")]


def standardised(sets: dict[str, Rows]) -> dict[str, Rows]:
    """The columns of x less the train rows' mean, by their standard deviation."""
    mean, stddev = mean_and_stddev(sets["train"][0])
    return {name: ((x - mean) / stddev, y) for name, (x, y) in sets.items()}


def mean_and_stddev(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each column; a standard deviation of 1 for one that is constant."""
    constant = (columns == columns[0]).all(axis=0)  # rounding may leave a tiny stddev
    mean, stddev = (f(axis=0, dtype=float) for f in (columns.mean, columns.std))
    return mean, np.where(constant, 1, stddev)
