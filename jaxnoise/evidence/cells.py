"""Cells of a comparison: each placement and strength, paired with the baseline.

`paired_cells` lays runs out by cell and pair, and averages pairs over their unit.
Rounding must not pass for a difference: accuracies are whole numbers of rows, so that
differences are often equal, and signs and ranks of equal ones must not hang on the last
bit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.format import joined
from jaxnoise.evidence.paired import TInterval, t_interval
from jaxnoise.results import cell_columns


def key_of(values: Iterable[Any]) -> tuple[Any, ...]:
    """A placement and its strengths, of which some columns may be empty."""
    return tuple(None if value != value else value for value in values)


@dataclass(frozen=True, eq=False)
class Cell:
    """One placement and strength, next to the baseline.

    Attributes:
        name: its placement and strength, by column.
        is_baseline: whether it is the baseline itself.
        scores: the mean over the finite runs of each unit, NaN for a unit without any.
        differences: the mean over each unit's pairs, where both runs are finite, of the
            score minus the baseline's, NaN for a unit without any.
        tested: the same, with each lost pair as the largest difference of any pair,
            its sign against the mean's, as far as the mean stays on its side: what a
            test may count on.
        pairs: the differences of all pairs that are not lost.
        runs_of_pairs: where their runs are in the table, its own and the baseline's.
        rounding: of the sum of the differences.
        runs: the number of runs.
        diverged: the number of runs that are not finite.
        lost: the number of pairs of which a run is not finite or not there. Every seed
            and split of the table is expected of every placement and strength.
    """

    name: dict[str, Any]
    is_baseline: bool
    scores: np.ndarray
    differences: np.ndarray
    tested: np.ndarray
    pairs: np.ndarray
    runs_of_pairs: np.ndarray
    rounding: float
    runs: int
    diverged: int
    lost: int

    @property
    def key(self) -> tuple[Any, ...]:
        """Its name as what a dict takes."""
        return key_of(self.name.values())

    @property
    def placement(self) -> Any:
        """Its placement: a name, as a rule."""
        return self.name["placement"]

    @property
    def strength(self) -> Any:
        """Its strength; of a strength with several parts, a dict of them by name."""
        known = {k: v for k, v in self.name.items() if k != "placement" and v == v}
        if list(known) == ["strength"]:
            return known["strength"]
        return {name.removeprefix("strength."): part for name, part in known.items()}

    @property
    def unit_scores(self) -> np.ndarray:
        """The scores of the units that have one."""
        return self.scores[np.isfinite(self.scores)]

    @property
    def unit_differences(self) -> np.ndarray:
        """The differences of the units that have one."""
        return self.differences[np.isfinite(self.differences)]

    @property
    def lost_share(self) -> float:
        """The share of the expected pairs that is lost."""
        return self.lost / (self.lost + len(self.pairs))

    @property
    def score_interval(self) -> TInterval:
        """The mean score over units, with its t-interval."""
        return t_interval(self.unit_scores)


def paired_cells(
    table: pd.DataFrame, metric: str, baseline: str, pair_by: Sequence[str]
) -> list[Cell]:
    """Pair every run of a checked table with the baseline's, and average over units."""
    names = table[cell_columns(table)].drop_duplicates().to_dict("records")
    at = _baseline_of(names, baseline)
    run, unit = _runs_of_pairs(table, pair_by)
    _refuse_strangers(names, run, baseline, pair_by, at)
    scores = np.where(run >= 0, table[metric].to_numpy()[run], np.nan)
    sizes = np.fmax(np.abs(scores), np.abs(scores[at]))
    rounding = 2 * table.attrs["precision"] * sizes
    differences = _without_rounding(scores - scores[at], rounding)
    own, of_units, roundings, tested = (
        _means(values, unit)
        for values in (scores, differences, rounding, _against(differences))
    )
    of_units = np.stack(list(map(_tied, of_units, roundings)))
    lost = ~np.isfinite(differences)
    diverged = (run >= 0) & ~table["finite"].to_numpy()[run]
    return [
        Cell(
            name=name,
            is_baseline=i == at,
            scores=own[i],
            differences=of_units[i],
            tested=tested[i] if lost[i].any() else of_units[i],
            pairs=differences[i][~lost[i]],
            runs_of_pairs=run[[i, at]][:, ~lost[i]],
            rounding=float(np.nansum(roundings[i])),
            runs=int((run[i] >= 0).sum()),
            diverged=int(diverged[i].sum()),
            lost=int(lost[i].sum()),
        )
        for i, name in enumerate(names)
    ]


def _runs_of_pairs(
    table: pd.DataFrame, pair_by: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Where the run of each cell and pair is, -1 for none; and the unit of each pair.

    Every pair of the table is expected of every cell.
    """
    columns = cell_columns(table)
    repeats = table[table.duplicated([*columns, *pair_by])]
    if len(repeats):
        raise ValueError(
            f"runs must differ in {' or '.join(pair_by)}, "
            f"got repeats in {joined(repeats[columns].iloc[0].to_dict())}."
        )
    cell = table.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    pair = table.groupby(list(pair_by)).ngroup().to_numpy()
    if (table["split"].groupby(pair).nunique() > 1).any():
        raise ValueError(
            f"pair_by must pair runs of one split, got {pair_by}: add 'split'."
        )
    run = np.full((cell.max() + 1, pair.max() + 1), -1)
    run[cell, pair] = np.arange(len(table))
    unit = pd.Series(units_of(table, pair_by)[1]).groupby(pair).first()
    return run, unit.to_numpy()


def _refuse_strangers(
    names: list[dict[str, Any]],
    run: np.ndarray,
    baseline: str,
    pair_by: Sequence[str],
    at: int,
) -> None:
    shared = ((run >= 0) & (run[at] >= 0)).any(axis=1)
    if not shared.all():
        raise ValueError(
            f"{joined(names[shared.argmin()])} must share {' and '.join(pair_by)} with "
            f"a run of the baseline {baseline!r}, got no such pair."
        )


def _against(differences: np.ndarray) -> np.ndarray:
    """Pairs with the lost ones of each cell as its largest, against its mean.

    They take the mean to 0 at most: beyond, they would speak for the other side.
    """
    known = np.isfinite(differences)
    largest = np.where(known, np.abs(differences), 0.0).max(axis=1)
    total, lost = np.nansum(differences, axis=1), np.maximum((~known).sum(axis=1), 1)
    worst = -np.sign(total) * np.minimum(largest, np.abs(total) / lost)
    worst = np.where(known.any(axis=1), worst, np.nan)
    return np.where(known, differences, worst[:, None])


def _baseline_of(names: list[dict[str, Any]], baseline: str) -> int:
    """Which of the cells it is."""
    found = [i for i, name in enumerate(names) if name["placement"] == baseline]
    if not found:
        placements = ", ".join(dict.fromkeys(str(name["placement"]) for name in names))
        raise ValueError(
            f"baseline must be one of the placements ({placements}), got {baseline!r}."
        )
    if len(found) > 1:
        raise ValueError(f"baseline {baseline!r} must have one strength, got several.")
    return found[0]


def units_of(
    table: pd.DataFrame, pair_by: Sequence[str]
) -> tuple[str, np.ndarray, np.ndarray]:
    """What is independent: its name, the unit of each run, and all units.

    Runs of one split share its data, so that the split counts where there are several.
    """
    if table["split"].nunique() > 1:
        columns = ["split"]
    else:
        columns = ["seed"] if "seed" in pair_by else list(pair_by)
    one = len(columns) == 1
    keys = table[columns[0]] if one else pd.MultiIndex.from_frame(table[columns])
    codes, units = pd.factorize(keys, sort=True)
    return " and ".join(columns), codes, np.asarray(units)


def _means(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Means of the finite values (cell, pair) over each unit, NaN for none."""
    shape = len(values), unit.max() + 1
    place = (np.arange(shape[0])[:, None] * shape[1] + unit).ravel()
    values, size = values.ravel(), shape[0] * shape[1]
    finite = np.isfinite(values)
    counts = np.bincount(place[finite], minlength=size)
    sums = np.bincount(place[finite], values[finite], size)
    with np.errstate(invalid="ignore"):
        return (sums / counts).reshape(shape)


def _without_rounding(differences: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Differences, 0 where they are within their rounding of it."""
    return np.where(np.abs(differences) <= rounding, 0.0, differences)


def _tied(differences: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Differences of units, made equal if their rounding allows one value for all.

    That value is the one known best; NaN stays.
    """
    differences = _without_rounding(differences, rounding)
    known = np.isfinite(differences)
    values, within = differences[known], rounding[known]
    if not values.size or (values - within).max() > (values + within).min():
        return differences
    return np.where(known, values[within.argmin()], np.nan)
