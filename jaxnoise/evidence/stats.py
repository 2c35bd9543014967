"""Paired statistics of a sweep, or of any score table.

`compare` says for each placement and strength how its runs differ from the baseline's,
pair by pair, and how sure that is.
"""

from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.results import SweepResult, cell_columns

CONFIDENCE = 0.95


class Comparison(pd.DataFrame):
    """A pandas table that prints all of its columns, whatever the terminal's width."""

    @property
    def _constructor(self) -> type["Comparison"]:
        return Comparison

    def __repr__(self) -> str:
        formats = {c: "{:g}".format for c in cell_columns(self) if c != "placement"}
        return self.to_string(
            index=not isinstance(self.index, pd.RangeIndex),
            formatters=formats,
            float_format="{:.4f}".format,
            na_rep="-",
        )

    __str__ = __repr__


def compare(
    result_or_table: SweepResult | pd.DataFrame, *, metric: str, baseline: str = "none"
) -> "Comparison":
    """Compare every placement and strength with the baseline, pair by pair.

    A pair is two runs of one seed and split, d its difference in the metric, and the
    interval is the t-interval of its mean over n units, ``mean(d) ± t * sd(d) /
    sqrt(n)`` with t the 97.5 % point of Student's t at n - 1 degrees of freedom. The
    unit is the split, by the mean over its seeds, when there are two or more, else the
    seed: seeds of one split share its data and are not independent.

    Args:
        result_or_table: a `SweepResult`, or a tidy table with the columns placement,
            strength, seed, the metric, and split if there are several.
        metric: the column that is compared, such as ``"population_accuracy"``.
        baseline: the placement that others are compared with.

    Returns:
        A table, a row per placement and strength: n (units), mean, sd and median of the
        metric, difference to the baseline (mean over pairs) with its 95 % interval low
        to high, and diverged (runs that are not finite, left out of all else). The
        baseline's own difference, and the interval of a single unit, are NaN.

    Raises:
        ValueError: if the metric, a column or the baseline is not there, the baseline
            has several strengths, or a run occurs twice.

    Reference: Student, "The probable error of a mean", Biometrika 6 (1908).

    Example:
        >>> import pandas as pd, jaxnoise as jn
        >>> table = pd.DataFrame({
        ...     "placement": ["none"] * 3 + ["input"] * 3,
        ...     "strength": [0.0] * 3 + [0.1] * 3,
        ...     "seed": [0, 1, 2] * 2,
        ...     "accuracy": [0.7, 0.8, 0.9, 0.8, 0.9, 0.85],
        ... })
        >>> rows = jn.compare(table, metric="accuracy")
        >>> rows[["placement", "strength", "n", "difference", "low", "high"]]
        placement strength  n  difference     low   high
             none        0  3           -       -      -
            input      0.1  3      0.0500 -0.1651 0.2651
    """
    table = _score_table(result_or_table, metric)
    cells = cell_columns(table)
    reference = table[table["placement"] == baseline]
    if reference.empty:
        raise ValueError(
            "baseline must be one of the placements "
            f"({', '.join(table['placement'].unique())}), got {baseline!r}."
        )
    if len(reference.drop_duplicates(cells)) > 1:
        raise ValueError(f"baseline {baseline!r} must have one strength, got several.")
    pairs = ["seed", "split"]
    unit = "split" if table["split"].nunique() > 1 else "seed"
    reference_scores = reference.set_index(pairs)[metric]
    rows = []
    for cell, group in table.groupby(cells, sort=False, dropna=False):
        scores = group.set_index(pairs)[metric]
        if scores.index.has_duplicates:
            raise ValueError(
                f"runs must differ in seed or split, got repeats in {cell}."
            )
        differences = (scores - reference_scores).dropna()
        if cell[0] == baseline:
            differences = differences.iloc[:0]
        by_unit = scores.dropna().groupby(unit).mean()
        rows.append(
            dict(zip(cells, cell, strict=True))
            | {
                "n": len(by_unit),
                "mean": by_unit.mean(),
                "sd": by_unit.std(ddof=1),
                "median": by_unit.median(),
            }
            | _interval(differences.groupby(unit).mean().to_numpy())
            | {"diverged": int((~group["finite"]).sum())}
        )
    return Comparison(rows)


def _score_table(result_or_table: Any, metric: str) -> pd.DataFrame:
    """The runs, with NaN for a metric that is not finite."""
    if isinstance(result_or_table, SweepResult):
        table = result_or_table.runs
    elif isinstance(result_or_table, pd.DataFrame):
        table = result_or_table
    else:
        raise TypeError(
            "result_or_table must be a SweepResult or a pandas table, "
            f"got {type(result_or_table).__name__}."
        )
    if metric not in table:
        raise ValueError(
            f"metric must be a column of the runs ({', '.join(table)}), got {metric!r}."
        )
    if "split" not in table:
        table = table.assign(split=0)
    for column in ("placement", "seed"):
        if column not in table:
            raise ValueError(f"the table must have a column {column!r}, got none.")
    if not pd.api.types.is_numeric_dtype(table[metric]):
        raise ValueError(f"metric must be a column of numbers, got {metric!r}.")
    finite = np.isfinite(table[metric])
    if "finite" not in table:
        table = table.assign(finite=finite)
    return table.assign(**{metric: table[metric].where(finite)})


def _interval(differences: np.ndarray) -> dict[str, float]:
    """Mean and t-interval; tied differences have the interval [d, d]."""
    from scipy.special import stdtrit  # slow to import

    n = len(differences)
    mean = float(differences.mean()) if n else np.nan
    half = np.nan
    if n > 1:
        t = stdtrit(n - 1, (1 + CONFIDENCE) / 2)
        half = float(t * differences.std(ddof=1) / np.sqrt(n))
    return {"difference": mean, "low": mean - half, "high": mean + half}
