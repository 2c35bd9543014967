"""From runs to units: pairs of runs, and what each independent unit says.

`paired_cells` turns a checked table into arrays, a cell for each placement and
strength, which the functions of `jaxnoise.evidence.paired` take. Rounding must not pass
for a difference: accuracies are whole numbers of rows, so that differences are often
equal, and signs and ranks of equal ones must not hang on the last bit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.format import joined
from jaxnoise.evidence.paired import TInterval, t_interval
from jaxnoise.results import cell_columns

PAIR_BY = ("seed", "split")


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
        rounding: of the sum of the differences.
        runs: the number of runs.
        pairs: the number of runs that have a partner in the baseline.
        lost: the number of pairs of which a run is not finite.
        diverged: the number of runs that are not finite.
    """

    name: dict[str, Any]
    is_baseline: bool
    scores: np.ndarray
    differences: np.ndarray
    rounding: float
    runs: int
    pairs: int
    lost: int
    diverged: int

    @property
    def key(self) -> tuple[Any, ...]:
        """Its name as what a dict takes."""
        return key_of(self.name.values())

    @property
    def placement(self) -> str:
        """Its placement."""
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
    def score_interval(self) -> TInterval:
        """The mean score over units, with its t-interval."""
        return t_interval(self.unit_scores)


@dataclass(frozen=True, eq=False)
class Cells:
    """All placements and strengths of a table, in its order.

    Attributes:
        cells: a `Cell` each.
        unit: what is independent: "split", "seed", or the columns that make a pair.
        units: the units' names, in the order of a cell's scores and differences.
        precision: of the scores, relative.
    """

    cells: list[Cell]
    unit: str
    units: np.ndarray
    precision: float

    @property
    def baseline(self) -> Cell:
        """That which the others are compared with."""
        return next(cell for cell in self.cells if cell.is_baseline)

    def means(self) -> np.ndarray:
        """Each cell's mean over its units, NaN for none."""
        return np.array([cell.score_interval.mean for cell in self.cells])


def paired_cells(
    table: pd.DataFrame,
    metric: str,
    baseline: str,
    pair_by: Sequence[str],
    *,
    counts: bool = False,
) -> Cells:
    """Pair every run of a checked table with the baseline's, and average over units.

    ``counts`` says that scores are whole numbers, which have no rounding.
    """
    columns = cell_columns(table)
    reference = _reference(table, columns, baseline)
    names = table[columns].drop_duplicates().to_dict("records")
    cell = table.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    codes = [pd.factorize(table[name], sort=True)[0] for name in pair_by]
    order = np.lexsort(codes[::-1])  # so that sums do not depend on the order of rows
    table, cell = table.iloc[order], cell[order]
    _refuse_repeats(table, columns, pair_by)
    partners, paired = _partners(table, reference, pair_by, metric)
    scores, finite = table[metric].to_numpy(), table["finite"].to_numpy()
    precision = float(np.finfo(float).eps) if counts else precision_of(scores)
    rounding = 2 * precision * np.maximum(np.abs(scores), np.abs(partners))
    differences = _without_rounding(scores - partners, rounding)
    unit_name, unit, units = _units(table, pair_by)
    place, shape = cell * len(units) + unit, (len(names), len(units))
    by_unit, roundings, means = (
        _means(values, place, shape) for values in (differences, rounding, scores)
    )
    lost = paired & ~np.isfinite(differences)
    number = [np.bincount(cell, each) for each in (None, paired, lost, ~finite)]
    if not number[1].all():
        raise ValueError(
            f"{joined(names[number[1].argmin()])} must share {' and '.join(pair_by)} "
            f"with a run of the baseline {baseline!r}, got no such pair."
        )
    cells = [
        Cell(
            name,
            name["placement"] == baseline,
            means[i],
            _tied(by_unit[i], roundings[i]),
            float(np.nansum(roundings[i])),
            *(int(each[i]) for each in number),
        )
        for i, name in enumerate(names)
    ]
    return Cells(cells, unit_name, units, precision)


def _reference(table: pd.DataFrame, columns: list[str], baseline: str) -> pd.DataFrame:
    """The baseline's runs, which are of one strength."""
    reference = table[table["placement"] == baseline]
    if reference.empty:
        placements = ", ".join(map(str, table["placement"].unique()))
        raise ValueError(
            f"baseline must be one of the placements ({placements}), got {baseline!r}."
        )
    if len(reference.drop_duplicates(columns)) > 1:
        raise ValueError(f"baseline {baseline!r} must have one strength, got several.")
    return reference


def _refuse_repeats(
    table: pd.DataFrame, columns: list[str], pair_by: Sequence[str]
) -> None:
    repeats = table[table.duplicated([*columns, *pair_by])]
    if len(repeats):
        raise ValueError(
            f"runs must differ in {' or '.join(pair_by)}, "
            f"got repeats in {joined(repeats[columns].iloc[0].to_dict())}."
        )


def _partners(
    table: pd.DataFrame, reference: pd.DataFrame, pair_by: Sequence[str], metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """Each run's score in the baseline, NaN for none, and whether there is a run."""
    mine, theirs = (
        pd.MultiIndex.from_frame(side[[*pair_by]]) for side in (table, reference)
    )
    partner = theirs.get_indexer(mine)
    paired = partner >= 0
    split = reference["split"].to_numpy()[partner]
    if (table["split"].to_numpy() != split)[paired].any():
        raise ValueError(
            f"pair_by must pair runs of one split, got {pair_by}: add 'split'."
        )
    return np.where(paired, reference[metric].to_numpy()[partner], np.nan), paired


def _units(
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


def _means(values: np.ndarray, place: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Means of the finite values of each cell and unit, NaN where there is none."""
    finite = np.isfinite(values)
    size = shape[0] * shape[1]
    counts = np.bincount(place[finite], minlength=size)
    sums = np.bincount(place[finite], values[finite], size)
    with np.errstate(invalid="ignore"):
        return (sums / counts).reshape(shape)


def precision_of(scores: np.ndarray) -> float:
    """The relative precision of scores, as float32 or float64 has it.

    Scores of training are float32, and 9 digits of decimal text hold one: what has no
    more than that is taken for float32.
    """
    known = scores[np.isfinite(scores)]
    with np.errstate(over="ignore"):
        single = (known.astype(np.float32) == known).all()
    single = single or all(float(f"{score:.9g}") == score for score in known)
    return float(np.finfo(np.float32 if single else np.float64).eps)


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
