"""Nested folds: the outer fold is the unit, its inner folds are runs of that unit.

`by_outer_fold` is behind every ``outer=`` of the statistics.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

OUTER = "outer fold"  # what is independent
INNER = "inner fold"  # the column that tells runs of one outer fold apart


def by_outer_fold(
    table: pd.DataFrame, pair_by: str | Sequence[str], outer: int | None
) -> tuple[pd.DataFrame, list[str]]:
    """The runs with the outer fold as split, and what makes a pair of them.

    Splits are numbered as `jaxnoise.data.nested_folds` does, the inner folds of the
    first outer fold first. None leaves the table as it is.
    """
    pairs = as_pair_by(pair_by)
    if outer is None:
        return table, pairs
    if isinstance(outer, bool) or not isinstance(outer, int | np.integer):
        raise TypeError(f"outer must be an int or None, got {outer!r}.")
    numbers, splits = pd.factorize(table.get("split", np.zeros(len(table))), sort=True)
    if pd.api.types.is_integer_dtype(splits) and list(splits) != [*range(len(splits))]:
        missing = sorted({*range(int(max(splits)) + 1)} - {*splits})
        raise ValueError(
            "outer needs the runs of all splits, which are numbered from 0, "
            f"got none of split {missing[0] if missing else min(splits)}."
        )
    if outer < 2 or len(splits) % outer:
        raise ValueError(
            "outer must be at least 2 and divide the number of splits "
            f"({len(splits)}), got {outer}."
        )
    inner = len(splits) // outer
    folds = {"split": numbers // inner, INNER: numbers % inner}
    return table.assign(**folds), [*pairs, INNER]


def as_pair_by(pair_by: Any) -> list[str]:
    """``pair_by`` as a list of column names."""
    pairs = [pair_by] if isinstance(pair_by, str) else pair_by
    if not isinstance(pairs, Sequence) or not all(isinstance(p, str) for p in pairs):
        raise TypeError(f"pair_by must be column names, got {pair_by!r}.")
    return list(pairs)
