"""Several splits of data: what a sweep trains on to tell the data's luck from the rest.

`folds` divides data of your own, and `nested_folds` does so twice, so that a strength
can be chosen inside each fold. Both return a list of `Data` for ``sweep(data=...)``,
and the place in the list is the split's number. The splitters are scikit-learn's.
"""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pandas as pd

from jaxnoise.data.arrays import as_array, is_array
from jaxnoise.data.checks import check_int, check_seed
from jaxnoise.data.division import standardised
from jaxnoise.data.memory import byte_count, check_fits
from jaxnoise.data.sets import Data, Rows, check_indexes, row_count

Split = tuple[np.ndarray, np.ndarray]  # rows kept, rows held out


def folds(
    x: Any,
    y: Any,
    *,
    folds: int = 5,
    repeats: int = 1,
    stratify: bool = False,
    groups: Any = None,
    validation: float = 0.0,
    scale: bool = False,
    seed: int = 0,
) -> list[Data]:
    """Divide rows into k folds; each is the test set once, the others the train set.

    Folds share train rows, so that what they say is correlated. Each carries its
    ``overlap`` of ``1 / (folds - 1)``, for which `compare` corrects; it takes 6 splits
    for a verdict, and ``repeats`` makes more of them. Folds whose sizes differ compile
    a program a size.

    Args:
        x: an array, or a pytree of arrays, with a row an example.
        y: targets, with as many rows.
        folds: the number of folds, k.
        repeats: how often to divide afresh; there are folds × repeats splits.
        stratify: whether every fold gets its share of each class of y.
        groups: a value a row; rows of one group are never on two sides of a split.
        validation: the share of train rows to hold out as a set named ``validation``,
            stratified and grouped like the folds (with groups, of the groups; with
            both, about that share); it leaves the test sets as they are.
        scale: whether each column of a table x is standardised: less its mean, by its
            standard deviation (1 where it is constant), both of the fold's train rows,
            so that no other row is seen.
        seed: of the division.

    Returns:
        A `Data` a split, with ``train``, ``test`` and, where asked for, ``validation``,
        ordered by repeat and fold.

    Raises:
        TypeError: if x and y are no arrays of numbers, or a count is no int.
        ValueError: if a count is out of range for the rows, classes or groups.
        MemoryError: if the splits, which are copies, need more memory than is free.

    Reference: M. Stone, "Cross-validatory choice and assessment of statistical
    predictions", 1974.

    Example:
        >>> import numpy as np, jaxnoise as jn
        >>> x, y = np.ones((20, 2)), np.arange(20)[:, None] % 2
        >>> jn.data.folds(x, y, folds=4, stratify=True, validation=0.2)[0]
        Data(train=12 rows, test=5 rows, validation=3 rows)
    """
    rows, labels, groups = _checked(x, y, stratify, groups, scale, seed)
    check_int("folds", folds, 2)
    check_int("repeats", repeats, 1)
    number = isinstance(validation, int | float | np.number)
    if not number or not 0 <= validation < 1:
        raise ValueError(
            f"validation must be a share from 0 to below 1, got {validation!r}."
        )
    _check_fits("folds", rows, folds * repeats)
    everything = np.arange(row_count(rows))
    splits = []
    cuts = _folds("folds", folds, repeats, everything, labels, groups, seed)
    for i, (train, test) in enumerate(cuts):
        sets = {"test": test}
        if validation:
            train, held_out = _hold_out(validation, train, labels, groups, [seed, i])
            sets["validation"] = held_out
        splits.append(_take(rows, scale, train=train, **sets))
        splits[-1].overlap = 1 / (folds - 1)
    return splits


def nested_folds(
    x: Any,
    y: Any,
    *,
    outer: int = 5,
    inner: int = 5,
    repeats: int = 1,
    stratify: bool = False,
    groups: Any = None,
    scale: bool = False,
    seed: int = 0,
) -> list[Data]:
    """Divide rows into folds, and the train rows of each into folds again.

    Inner folds of one outer fold share its rows, and are no independent splits: each
    carries the number of its ``outer`` fold, which `compare`, `select` and `report`
    count, and the ``overlap`` of outer folds, ``1 / (outer - 1)``.

    The outer fold is the test set; of the other rows, each inner fold is the validation
    set once and the rest the train set. So every row serves for choosing and for
    reporting, but never for both at once: see `select`.

    Args:
        x: an array, or a pytree of arrays, with a row an example.
        y: targets, with as many rows.
        outer: the number of outer folds.
        inner: the number of inner folds.
        repeats: how often to divide afresh.
        stratify: whether every fold gets its share of each class of y.
        groups: a value a row; rows of one group are never on two sides of a split.
        scale: whether each column of a table x is standardised by the train rows of
            each split, as in `folds`.
        seed: of the division.

    Returns:
        A `Data` a split, with ``train``, ``validation`` and ``test``; the number of a
        split is ``fold * inner + inner fold``, folds counted over the repeats.

    Raises:
        TypeError: if x and y are no arrays of numbers, or a count is no int.
        ValueError: if a count is out of range for the rows, classes or groups.
        MemoryError: if the splits, which are copies, need more memory than is free.

    Reference: S. Varma and R. Simon, "Bias in error estimation when using
    cross-validation for model selection", 2006.

    Example:
        >>> import numpy as np, jaxnoise as jn
        >>> x, y = np.ones((20, 2)), np.arange(20)[:, None] % 2
        >>> splits = jn.data.nested_folds(x, y, outer=4, inner=3)
        >>> len(splits), splits[0]
        (12, Data(train=10 rows, validation=5 rows, test=5 rows))
    """
    rows, labels, groups = _checked(x, y, stratify, groups, scale, seed)
    for name, count in {"outer": outer, "inner": inner}.items():
        check_int(name, count, 2)
    check_int("repeats", repeats, 1)
    _check_fits("nested_folds", rows, outer * inner * repeats)
    everything = np.arange(row_count(rows))
    cuts = _folds("outer", outer, repeats, everything, labels, groups, seed)
    splits = []
    for i, (rest, test) in enumerate(cuts):
        inner_seed = int(np.random.default_rng([seed, i]).integers(2**32))
        for train, held_out in _folds(
            "inner", inner, 1, rest, labels, groups, inner_seed
        ):
            splits.append(
                _take(rows, scale, train=train, validation=held_out, test=test)
            )
            splits[-1].overlap, splits[-1].outer = 1 / (outer - 1), i
    return splits


def _checked(
    x: Any, y: Any, stratify: bool, groups: Any, scale: bool, seed: int
) -> tuple[Rows, np.ndarray | None, np.ndarray | None]:
    """The rows, a class a row if stratified, and the groups if there are any."""
    check_seed("seed", seed)
    if scale:
        rows = _table(x), Data(train=(np.zeros(np.shape(x)[:1]), y)).train[1]
        check_indexes("train", (x, y))
    else:
        rows = Data(train=(x, y)).train
    labels = None
    if stratify:
        if len(jax.tree.leaves(rows[1])) != 1:
            raise TypeError("y must be one array to stratify by, got a pytree.")
        targets = jax.tree.leaves(rows[1])[0].reshape(row_count(rows), -1)
        labels = np.unique(targets, axis=0, return_inverse=True)[1].ravel()
    if groups is not None:
        check_indexes("groups", (x, y, groups))
        groups = _group_numbers(groups, row_count(rows))
    return rows, labels, groups


def _table(x: Any) -> np.ndarray:
    """A table before it is rounded to JAX's type, so that an offset costs no digits."""
    leaves = jax.tree.leaves(x, is_leaf=is_array)
    shape = np.shape(leaves[0]) if leaves and leaves[0] is x else None
    if shape is None or len(shape) != 2:
        raise ValueError(
            "x must be one table of shape (rows, columns) for scale=True, got "
            f"{'a pytree' if shape is None else f'shape {shape}'}."
        )
    return as_array("train", "x", x, narrow=False)


def _group_numbers(groups: Any, rows: int) -> np.ndarray:
    """The groups counted from 0, in their order."""
    try:
        labels = pd.Series(groups).astype(object)
        numbers = pd.factorize(labels, sort=True)[0]
    except (ValueError, TypeError):  # two axes, lists
        labels = None
    if labels is None or len(labels) != rows:
        raise ValueError(
            f"groups must have a value a row, shape ({rows},), got {np.shape(groups)}."
        )
    if missing := (numbers < 0).sum():
        raise ValueError(
            f"groups must be filled, got {missing} missing of {rows}; drop those rows, "
            "or give each a group of its own."
        )
    return numbers


def _check_fits(name: str, rows: Rows, splits: int) -> None:
    """Each split holds all rows once; `Data` copies a set while it checks it."""
    check_fits(
        f"{name}: {splits:,} splits of {row_count(rows):,} rows",
        (splits + 1) * byte_count(rows),
        "ask for fewer splits",
    )


def _folds(
    name: str,
    count: int,
    repeats: int,
    rows: np.ndarray,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
    seed: int,
) -> Iterator[Split]:
    """Pairs of rows (kept, held out), ``repeats`` × ``count`` of them."""
    from sklearn import model_selection as sklearn  # slow to import
    from sklearn.utils import check_random_state

    limits = {"rows": len(rows)}
    if groups is not None:
        limits = {"groups": len(np.unique(groups[rows]))}
    if labels is not None:
        sizes = np.unique(labels[rows], return_counts=True)[1]
        if len(sizes) * count > len(rows):
            raise ValueError(
                f"stratify must be for classes, got y with {len(sizes)} values in "
                f"{len(rows)} rows, too few of each for {count} {name}; leave it out, "
                "or cut y into classes by pandas.qcut."
            )
        limits["rows of the rarest class"] = sizes.min()
    for limit, most in limits.items():
        if count > most:
            raise ValueError(
                f"{name} must be at most the number of {limit} ({most}), got {count}."
            )
    splitter = {
        (False, False): sklearn.KFold,
        (True, False): sklearn.StratifiedKFold,
        (False, True): sklearn.GroupKFold,
        (True, True): sklearn.StratifiedGroupKFold,
    }[labels is not None, groups is not None]
    state = check_random_state(seed)  # goes on from repeat to repeat, as in sklearn's
    for _ in range(repeats):
        fold = splitter(count, shuffle=True, random_state=state)
        for kept, held_out in fold.split(rows, *_arguments(rows, labels, groups)):
            yield rows[kept], rows[held_out]


def _hold_out(
    share: float,
    rows: np.ndarray,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
    seed: list[int],
) -> Split:
    """Rows (kept, held out), each in their order."""
    from sklearn import model_selection as sklearn  # slow to import

    state = int(np.random.default_rng(seed).integers(2**32))
    if labels is not None and groups is not None:  # no splitter takes a share
        parts = max(2, round(1 / share))
        splitter = sklearn.StratifiedGroupKFold(parts, shuffle=True, random_state=state)
    else:
        shuffled = sklearn.ShuffleSplit
        if labels is not None:
            shuffled = sklearn.StratifiedShuffleSplit
        if groups is not None:
            shuffled = sklearn.GroupShuffleSplit
        splitter = shuffled(1, test_size=share, random_state=state)
    try:
        cuts = splitter.split(rows, *_arguments(rows, labels, groups))
        kept, held_out = next(iter(cuts))
    except ValueError as error:
        raise ValueError(
            f"validation must leave rows to train on and to hold out, got {share} of "
            f"{len(rows)} rows: {error}"
        ) from None
    return rows[np.sort(kept)], rows[np.sort(held_out)]


def _arguments(
    rows: np.ndarray, labels: np.ndarray | None, groups: np.ndarray | None
) -> tuple[Any, Any]:
    return tuple(None if each is None else each[rows] for each in (labels, groups))  # type: ignore[return-value]


def _take(rows: Rows, scale: bool, **sets: np.ndarray) -> Data:
    taken = {
        name: jax.tree.map(lambda leaf, at=at: leaf[at], rows)
        for name, at in sets.items()
    }
    if scale:
        return Data(**standardised(taken))
    return Data.tree_unflatten(tuple(taken), taken.values())  # checked as a whole
