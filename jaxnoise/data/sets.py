"""The data sets of one run.

`Data` names the sets of one split: ``train``, on which the model is trained, and any
number of evaluation sets.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import pandas as pd

from jaxnoise.checks import shown, warn
from jaxnoise.data.arrays import as_array, is_array
from jaxnoise.data.rows import Rows, row_count

UNLIKE = 256  # times the range of another column: a byte has as many values


@jax.tree_util.register_pytree_with_keys_class
class Data(Mapping[str, Rows]):
    """The sets of one split, each a pair ``(x, y)`` of arrays with equal row counts.

    A mapping from name to ``(x, y)``, with the names as attributes too, and a pytree,
    so that it is an argument of compiled programs. ``x`` may itself be a pytree of
    arrays (values and a mask), and tables of pandas whose columns are numbers or flags.
    Arrays are kept in host memory; float64 becomes float32 unless JAX has 64-bit types
    enabled. Rows go by their place; tables whose labels differ are refused.

    Args:
        train: the rows that are trained on.
        **sets: evaluation sets by name; ``test``, ``validation``, ``population`` are
            the usual names. A set named ``validation``, and by no other spelling, picks
            the best epoch: runs have ``best_epoch`` and the metrics there.

    Attributes:
        overlap: test rows over all others of folds of one data set, which share rows; 0
            for a draw of its own; None where nothing is known. A sweep hands it on to
            `jaxnoise.compare`.
        outer: of `nested_folds`, the number of the outer fold; None of others.

    Raises:
        TypeError: if a set is no pair of arrays, holds no numbers, or has no name.
        ValueError: if a set is empty, its row counts or labels differ, it holds NaN,
            infinite or masked values or such as do not fit into JAX's types, or sets
            differ in anything but their number of rows.

    Warns:
        UserWarning: if distinct values of a column of the train rows become equal.

    Example:
        >>> import numpy as np, jaxnoise as jn
        >>> x, y = np.ones((5, 2)), np.zeros((5, 1))
        >>> jn.Data(train=(x[:3], y[:3]), test=(x[3:], y[3:]))
        Data(train=3 rows, test=2 rows)

        Any number of evaluation sets: how does the model take noisy inputs?

        >>> noise = np.random.default_rng(0).normal(scale=0.1, size=x.shape)
        >>> jn.Data(train=(x, y), test=(x, y), noisy=(x + noise, y))
        Data(train=5 rows, test=5 rows, noisy=5 rows)
    """

    overlap: float | None = None
    outer: int | None = None

    def __init__(self, train: Rows, *unnamed: Rows, **sets: Rows) -> None:
        if unnamed:
            raise TypeError(
                "Data must be given its sets by name, Data(train=(x, y), test=(x, y)), "
                f"got {1 + len(unnamed)} without."
            )
        given = {"train": train, **sets}
        self._sets = {name: _rows(name, pair) for name, pair in given.items()}
        for name, pair in self._sets.items():
            form, expected = _form(pair), _form(self.train)
            if form != expected:
                raise ValueError(
                    f"{name} must have the columns and types of train, {expected}, "
                    f"got {form}."
                )
            _check_columns(name, given[name], train)

    def __getitem__(self, name: str) -> Rows:
        sets = vars(self).get("_sets", {})
        if name not in sets:
            raise KeyError(f"Data has no set named {name!r}, but {', '.join(sets)}.")
        return sets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sets)

    def __len__(self) -> int:
        return len(self._sets)

    def __getattr__(self, name: str) -> Rows:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(*error.args) from None

    def __repr__(self) -> str:
        counts = (f"{name}={row_count(pair)} rows" for name, pair in self.items())
        return f"Data({', '.join(counts)})"

    def tree_flatten_with_keys(self) -> tuple[Any, tuple[str, ...]]:
        """The pairs with their names as keys, for JAX."""
        keys = [jax.tree_util.GetAttrKey(name) for name in self]
        return list(zip(keys, self.values(), strict=True)), tuple(self)

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], pairs: Any) -> "Data":
        """Data of pairs that JAX has mapped."""
        data = object.__new__(cls)  # leaves may be tracers: nothing to check
        data._sets = dict(zip(names, pairs, strict=True))
        return data


def split_facts(splits: Sequence[Data]) -> dict[str, Any]:
    """What statistics ask about the splits of a sweep, as far as it is known.

    "overlap" is the largest; "outer" the outer fold of each split; "majority" by set
    the share of the most frequent class in each split, for targets that are classes;
    "rows" by set their number, of a single split.
    """
    return joined_facts([facts_of(split) for split in splits])


def facts_of(split: Data) -> dict[str, Any]:
    """The same of one split, with None for what is not known."""
    return {
        "overlap": split.overlap,
        "outer": split.outer,
        "majority": {name: _majority(split[name]) for name in split},
        "rows": {name: row_count(split[name]) for name in split},
    }


def joined_facts(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Those of several splits together."""
    overlaps, outer = ([each[f] for each in facts] for f in ("overlap", "outer"))
    shares = {
        name: [each["majority"].get(name) for each in facts]
        for name in facts[0]["majority"]
    }
    joined: dict[str, Any] = {
        "majority": {name: each for name, each in shares.items() if None not in each}
    }
    if len(facts) == 1:
        joined["rows"] = facts[0]["rows"]
    if None not in overlaps:
        joined["overlap"] = max(overlaps)
    if None not in outer:
        joined["outer"] = outer
    return joined


def _majority(rows: Rows) -> float | None:
    """The share of the most frequent class; None where targets are no classes."""
    first, *more = jax.tree.leaves(rows[1])
    if more or first.min() < 0:
        return None
    if not np.issubdtype(first.dtype, np.integer):
        if first[0].size != 1 or ((first != 0) & (first != 1)).any():
            return None
    return float(np.unique(first, return_counts=True)[1].max() / first.size)


def warn_of_unlike_columns(data: Data) -> None:
    """Warn where a table's columns differ so much in range that few of them count.

    Above `UNLIKE`, constant columns aside: bytes as pixels, flags and standardised
    columns stay below it.
    """
    x, *more = jax.tree.leaves(data.train[0])
    if more or x.ndim != 2:
        return
    ranges = x.max(axis=0).astype(float) - x.min(axis=0)
    varied = np.flatnonzero(ranges)
    if varied.size and ranges.max() > UNLIKE * ranges[varied].min():
        wide, narrow = ranges.argmax(), varied[ranges[varied].argmin()]
        times = f"{ranges[wide] / ranges[narrow]:,.0f} times"
        warn(
            f"data: column {wide} of train x has {times} the range of column {narrow} "
            "and drowns it; standardise them, as jn.data.folds(x, y, scale=True) does "
            "by the train rows of each fold."
        )


def _rows(name: str, pair: Any) -> Rows:
    """``(x, y)`` as host arrays in the types that JAX will use."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"{name} must be a pair (x, y), got {shown(pair)}.")
    if not all(jax.tree.leaves(tree, is_leaf=is_array) for tree in pair):
        raise TypeError(f"{name} must be a pair (x, y) of arrays, got one without any.")
    check_indexes(name, pair)
    x, y = (
        jax.tree.map(partial(as_array, name, part), tree, is_leaf=is_array)
        for part, tree in zip("xy", pair, strict=True)
    )
    counts = {leaf.shape[:1] for leaf in jax.tree.leaves((x, y))}
    if len(counts) != 1 or counts == {()}:
        raise ValueError(
            f"{name}: x and y must have the same number of rows, "
            f"got shapes {jax.tree.map(np.shape, (x, y))}."
        )
    if counts == {(0,)}:
        raise ValueError(f"{name} must have at least one row, got none.")
    return x, y


def check_indexes(name: str, tree: Any) -> None:
    """Refuse tables of other labels, or in another order: rows go by their place."""
    first, *others = [table.index for table in _tables(tree)] or [None]
    for index in others:
        if _disagree(first, index):
            raise ValueError(
                f"{name} must have tables with one index, got labels that differ or "
                "stand in another order; pair them by label, y.loc[x.index], or by "
                "place, y.to_numpy()."
            )


def _disagree(one: pd.Index, other: pd.Index) -> bool:
    if len(one) != len(other) or one.equals(other):
        return False
    plain = pd.RangeIndex(len(one))  # what pandas gives where nobody gave labels
    named = not (one.equals(plain) or other.equals(plain))
    return named or bool(one.isin(other).all())


def _check_columns(name: str, pair: Any, train: Any) -> None:
    """Refuse tables whose columns have other names than train's, or another order."""
    for table, first in zip(_tables(pair), _tables(train), strict=False):
        if table.ndim == first.ndim == 2 and list(table) != list(first):
            raise ValueError(
                f"{name} must have the columns of train in their order, got "
                f"{shown(list(table))} instead of {shown(list(first))}; give "
                f"{name}[train.columns]."
            )


def _tables(tree: Any) -> list[Any]:
    leaves = jax.tree.leaves(tree, is_leaf=is_array)
    return [leaf for leaf in leaves if isinstance(leaf, pd.DataFrame | pd.Series)]


def _form(pair: Rows) -> str:
    """Types and shapes of a row, in words."""

    def one(tree: Any) -> str:
        leaves = jax.tree.map(lambda leaf: f"{leaf.dtype} {leaf.shape[1:]}", tree)
        return leaves if isinstance(leaves, str) else str(leaves).replace("'", "")

    x, y = map(one, pair)
    return f"x {x} and y {y} a row"
