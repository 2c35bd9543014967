"""Which rows of a real data set are for training, validation and testing.

`divide` is behind every loader, so that their arguments mean the same.
"""

import jax
import numpy as np

from jaxnoise.data.checks import check_int, check_seed
from jaxnoise.data.sets import Rows, row_count


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
    return {name: _take(rows, np.sort(at)) for name, at in sets.items()}


def _take(rows: Rows, at: np.ndarray) -> Rows:
    return jax.tree.map(lambda leaf: leaf[at], rows)


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
