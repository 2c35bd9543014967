"""What may be compared: the runs of a sweep, or any tidy table of scores, checked.

`score_table` is where a table from outside comes in.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.checks import shown
from jaxnoise.results import SweepResult, cell_columns


def runs_of(result_or_table: Any) -> pd.DataFrame:
    """The table of runs of a sweep, or the table itself."""
    if isinstance(result_or_table, SweepResult):
        return result_or_table.runs
    if isinstance(result_or_table, pd.DataFrame):
        return result_or_table
    raise TypeError(
        "result_or_table must be a SweepResult or a pandas table, "
        f"got {type(result_or_table).__name__}."
    )


def score_table(
    result_or_table: Any, metric: str, pair_by: Sequence[str]
) -> pd.DataFrame:
    """What is compared, checked: NaN where a run or its metric is not finite."""
    table = runs_of(result_or_table)
    columns = ", ".join(map(str, table))
    if not isinstance(metric, str) or metric not in table:
        raise ValueError(
            f"metric must be a column of the runs ({columns}), "
            f"got {shown(metric)}{_with_set(metric, table)}."
        )
    if not table.columns.is_unique:
        raise ValueError(f"the table must have each column once, got {columns}.")
    if "split" not in table:
        table = table.assign(split=0)
    if not pair_by:
        raise ValueError("pair_by must name at least one column, got none.")
    cells = cell_columns(table)
    for name in ("placement", *pair_by, *(() if len(cells) > 1 else ("strength",))):
        if name not in table:
            raise ValueError(f"the table must have a column {name!r}, got {columns}.")
    kept = table[list(dict.fromkeys([*cells, *pair_by, "split"]))].reset_index(
        drop=True
    )
    for name in kept:
        _check_cells(name, kept[name])
    for name in ("placement", *pair_by):
        if kept[name].isna().any():
            raise ValueError(f"column {name!r} must be filled, got missing values.")
    scores = _numbers(table[metric], metric)
    finite = np.isfinite(scores)
    diverged = ~finite
    if "finite" in table:  # a run whose recipe lacks the metric has not diverged
        flags = _flags(table["finite"])
        finite, diverged = finite & flags, ~flags | np.isinf(scores)
    return kept.assign(
        **{metric: np.where(finite, scores, np.nan), "finite": ~diverged}
    )


def _with_set(metric: Any, table: pd.DataFrame) -> str:
    """What to give where a metric lacks its set's name."""
    whole = [repr(name) for name in table if str(name).endswith(f"_{metric}")]
    return f"; give it with its set: {' or '.join(whole)}" if whole else ""


def _check_cells(name: str, column: pd.Series) -> None:
    """Refuse dicts, lists and arrays, which are no value to group by."""
    if not pd.api.types.is_object_dtype(column):
        return
    for value in column:
        if not isinstance(value, Hashable):
            raise ValueError(
                f"column {name!r} must hold numbers or names, got {shown(value)}; a "
                f"column a part, such as '{name}.input', holds several."
            )


def _numbers(column: pd.Series, metric: str) -> np.ndarray:
    numeric = pd.api.types.is_numeric_dtype(column)
    if not numeric or pd.api.types.is_complex_dtype(column):
        raise ValueError(
            f"metric must be a column of numbers, got {metric!r} of {column.dtype}; "
            "pandas.to_numeric makes numbers of texts."
        )
    return column.to_numpy(dtype=float, na_value=np.nan)


def _flags(column: pd.Series) -> np.ndarray:
    if not column.isin([True, False]).all():
        raise ValueError(
            f"column 'finite' must hold True and False, got {column.unique()[:3]}."
        )
    return column.to_numpy(dtype=bool)
