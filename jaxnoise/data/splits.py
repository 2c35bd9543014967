"""Several splits of data: what a sweep trains on to tell the data's luck from the rest.

`folds` divides data of your own, and `nested_folds` does so twice, so that a strength
can be chosen inside each fold; `draws` draws a task or a real data set several times.
All return a list of `Data` for ``sweep(data=...)``, and the place in the list is the
split's number. The splitters are scikit-learn's.
"""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from jaxnoise.checks import shown
from jaxnoise.data.arrays import as_array, is_array
from jaxnoise.data.rows import (
    Rows,
    byte_count,
    check_fits,
    check_int,
    check_seed,
    row_count,
    standardised,
    take,
)
from jaxnoise.data.sets import Data, check_indexes

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
    whole = _Whole.of(x, y, stratify, groups, scale)
    whole.check(seed, repeats, folds=folds)
    number = isinstance(validation, int | float | np.number)
    if not number or not 0 <= validation < 1:
        raise ValueError(
            f"validation must be a share from 0 to below 1, got {validation!r}."
        )
    splits = []
    cuts = whole.folds("folds", folds, repeats, np.arange(whole.size), seed)
    for i, (train, test) in enumerate(cuts):
        sets = {"test": test}
        if validation:
            train, sets["validation"] = whole.held_out(validation, train, [seed, i])
        splits.append(whole.take(1 / (folds - 1), train=train, **sets))
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
    whole = _Whole.of(x, y, stratify, groups, scale)
    whole.check(seed, repeats, outer=outer, inner=inner)
    splits = []
    cuts = whole.folds("outer", outer, repeats, np.arange(whole.size), seed)
    for i, (rest, test) in enumerate(cuts):
        inner_seed = int(np.random.default_rng([seed, i]).integers(2**32))
        for train, held_out in whole.folds("inner", inner, 1, rest, inner_seed):
            sets = {"train": train, "validation": held_out, "test": test}
            splits.append(whole.take(1 / (outer - 1), **sets))
            splits[-1].outer = i
    return splits


def draws(
    make: Callable[..., Data], n: int, *, seed: int = 0, **options: Any
) -> list[Data]:
    """Draw a task or a data set several times.

    Draws of a task that is made at will, such as `circles`, are independent: each has
    train, test and validation rows of its own. What ``make`` draws from another seed is
    shared, as is the population: it stands for the one distribution that all draws are
    from.

    Draws of a real data set, such as `breast_cancer`, share rows, and where the
    division is published all of their test rows. Intervals over them speak about which
    rows of this data set a model is trained on, not about a new data set. All draws
    carry an ``overlap`` of 0: `compare` takes them as independent.

    Args:
        make: a function that takes ``seed`` and returns `Data`, such as `circles`.
        n: the number of draws.
        seed: of the first draw; the others count on from it.
        **options: are passed on to ``make``.

    Raises:
        TypeError: if ``make`` is no function that returns Data, or a number no int.
        ValueError: if ``n`` is below 1 or ``seed`` out of range.
        MemoryError: if the draws need more memory than is free, told after the first.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.draws(jn.data.circles, 30, validation=50, population=1000)[0]
        Data(train=30 rows, test=70 rows, validation=50 rows, population=1000 rows)
        >>> jn.data.draws(jn.data.breast_cancer, 10, train_size=50, validation=100)[0]
        Data(train=50 rows, test=419 rows, validation=100 rows)
    """
    if not callable(make):
        raise TypeError(
            "make must be a function that returns Data, such as jn.data.circles, "
            f"got {shown(make)}."
        )
    check_int("n", n, 1)
    check_int("seed", seed, 0, 2**32 - n)

    def draw(i: int) -> Data:
        made = make(seed=seed + i, **options)
        if not isinstance(made, Data):
            raise TypeError(f"make must return Data, got {type(made).__name__}.")
        if made.overlap is None:
            made.overlap = 0.0
        return made

    first = draw(0)
    check_fits(
        f"draws: {n:,} draws", n * byte_count(first), "ask for fewer draws or rows"
    )
    return [first, *map(draw, range(1, n))]


class _Whole(NamedTuple):
    """All rows, and what a division of them keeps to."""

    rows: Rows
    labels: np.ndarray | None  # a class a row, if they are stratified
    groups: np.ndarray | None
    scale: bool

    @classmethod
    def of(cls, x: Any, y: Any, stratify: bool, groups: Any, scale: bool) -> "_Whole":
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
        return cls(rows, labels, groups, scale)

    @property
    def size(self) -> int:
        return row_count(self.rows)

    def splitter(self, kind: str) -> Any:
        """One of scikit-learn's, such as "KFold", that keeps to classes and groups."""
        from sklearn import model_selection  # slow to import

        stratified = "" if self.labels is None else "Stratified"
        grouped = "" if self.groups is None else "Group"
        return getattr(model_selection, stratified + grouped + kind, None)

    def check(self, seed: int, repeats: int, **counts: int) -> None:
        """Refuse numbers out of range, and copies that need too much memory."""
        check_seed("seed", seed)
        check_int("repeats", repeats, 1)
        for name, count in counts.items():
            check_int(name, count, 2)
        splits = repeats * prod(counts.values())  # each holds all rows once
        what = f"{splits:,} splits of {self.size:,} rows"
        check_fits(what, (splits + 1) * byte_count(self.rows), "ask for fewer splits")

    def folds(
        self, name: str, count: int, repeats: int, at: np.ndarray, seed: int
    ) -> Iterator[Split]:
        """Some rows as pairs (kept, held out), ``repeats`` × ``count`` of them."""
        self._check_enough(name, count, at)
        state = np.random.RandomState(seed)  # goes on from repeat to repeat
        for _ in range(repeats):
            fold = self.splitter("KFold")(count, shuffle=True, random_state=state)
            for kept, held_out in fold.split(*self._of(at)):
                yield at[kept], at[held_out]

    def held_out(self, share: float, at: np.ndarray, seed: list[int]) -> Split:
        """Some rows as a pair (kept, held out), each in their order."""
        state = int(np.random.default_rng(seed).integers(2**32))
        if shuffled := self.splitter("ShuffleSplit"):
            splitter = shuffled(1, test_size=share, random_state=state)
        else:  # of classes and groups at once there are folds alone
            parts = max(2, round(1 / share))
            splitter = self.splitter("KFold")(parts, shuffle=True, random_state=state)
        try:
            kept, held_out = next(iter(splitter.split(*self._of(at))))
        except ValueError as error:
            raise ValueError(
                f"validation must leave rows to train on and to hold out, got {share} "
                f"of {len(at)} rows: {error}"
            ) from None
        return at[np.sort(kept)], at[np.sort(held_out)]

    def take(self, overlap: float, **sets: np.ndarray) -> Data:
        """One split."""
        taken = {name: take(self.rows, at) for name, at in sets.items()}
        if self.scale:
            data = Data(**standardised(taken))
        else:  # checked as a whole
            data = Data.tree_unflatten(tuple(taken), taken.values())
        data.overlap = overlap
        return data

    def _of(self, at: np.ndarray) -> tuple[np.ndarray | None, ...]:
        """Rows, classes and groups as scikit-learn's splitters take them."""
        given = (self.labels, self.groups)
        return at, *(None if each is None else each[at] for each in given)

    def _check_enough(self, name: str, count: int, at: np.ndarray) -> None:
        _, labels, groups = self._of(at)
        limits = {"rows": len(at)} if groups is None else {"groups": len(set(groups))}
        if labels is not None:
            sizes = np.unique(labels, return_counts=True)[1]
            limits["rows of the rarest class"] = sizes.min()
        cure = ""
        if labels is not None and len(sizes) * count > len(at):
            cure = (
                f"; stratify is for classes, got y with {len(sizes)} values in "
                f"{len(at)} rows, too few of each: cut it by pandas.qcut"
            )
        for limit, most in limits.items():
            if count > most:
                raise ValueError(
                    f"{name} must be at most the number of {limit} ({most}), "
                    f"got {count}{cure}."
                )


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
