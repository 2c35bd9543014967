"""From runs to units: pairs of runs, and what each independent unit says.

`paired_cells` turns a sweep or a score table into arrays, a cell for each placement and
strength, which the functions of `jaxnoise.evidence.paired` take.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.nesting import as_pair_by
from jaxnoise.evidence.paired import t_interval
from jaxnoise.evidence.rounding import precision_of, tied, without_rounding
from jaxnoise.evidence.scores import runs_of, score_table
from jaxnoise.results import cell_columns

PAIR_BY = ("seed", "split")


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

    def means(self) -> np.ndarray:
        """Each cell's mean over its units, NaN for none."""
        return np.array([t_interval(cell.unit_scores).mean for cell in self.cells])


def paired_cells(
    result_or_table: Any,
    metric: str,
    baseline: str = "none",
    pair_by: str | Sequence[str] = PAIR_BY,
) -> Cells:
    """Pair every run with the baseline's, and average pairs over their unit."""
    pair_by = as_pair_by(pair_by)
    table = score_table(result_or_table, metric, pair_by)
    columns = cell_columns(table)
    reference = _reference(table, columns, baseline)
    names = table[columns].drop_duplicates().to_dict("records")
    cell = table.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    order = _order(table, pair_by)  # so that sums do not depend on the order of rows
    table, cell = table.iloc[order], cell[order]
    _refuse_repeats(table, columns, pair_by)
    scores = table[metric].to_numpy()
    precision = precision_of(scores)
    if not pd.api.types.is_float_dtype(runs_of(result_or_table)[metric]):
        precision = float(np.finfo(float).eps)  # counts are exact
    partners, paired = _partners(table, reference, pair_by, metric)
    rounding = 2 * precision * np.maximum(np.abs(scores), np.abs(partners))
    differences = without_rounding(scores - partners, rounding)
    unit_name, unit, units = _units(table, pair_by)
    shape = len(names), len(units)
    roundings = _means(rounding, cell, unit, shape)
    by_unit = _means(differences, cell, unit, shape)

    def count(what: Any) -> np.ndarray:
        return np.bincount(cell, what, len(names)).astype(int)

    pairs, useful = count(paired), count(np.isfinite(differences))
    if not pairs.all():
        raise ValueError(
            f"{label(names[pairs.argmin()])} must share {' and '.join(pair_by)} with a "
            f"run of the baseline {baseline!r}, got no such pair."
        )
    cells = zip(
        names,
        [name["placement"] == baseline for name in names],
        _means(scores, cell, unit, shape),
        [tied(*row) for row in zip(by_unit, roundings, strict=True)],
        np.nansum(roundings, axis=1).tolist(),
        count(None).tolist(),
        pairs.tolist(),
        (pairs - useful).tolist(),
        count(~table["finite"]).tolist(),
        strict=True,
    )
    return Cells([Cell(*cell) for cell in cells], unit_name, units, precision)


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
            f"got repeats in {label(repeats[columns].iloc[0].to_dict())}."
        )


def _order(table: pd.DataFrame, pair_by: Sequence[str]) -> np.ndarray:
    codes = [pd.factorize(table[name], sort=True)[0] for name in pair_by]
    return np.lexsort(codes[::-1])


def _partners(
    table: pd.DataFrame, reference: pd.DataFrame, pair_by: list[str], metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """Each run's score in the baseline, NaN for none, and whether there is a run."""
    mine, theirs = (
        pd.MultiIndex.from_frame(side[pair_by]) for side in (table, reference)
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


def _means(
    values: np.ndarray, cell: np.ndarray, unit: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Means of the finite values of each cell and unit, NaN where there is none."""
    finite = np.isfinite(values)
    place = (cell * shape[1] + unit)[finite]
    size = shape[0] * shape[1]
    counts = np.bincount(place, minlength=size)
    sums = np.bincount(place, values[finite], size)
    with np.errstate(invalid="ignore"):
        return (sums / counts).reshape(shape)


def label(name: dict[str, Any]) -> str:
    """A cell's placement and strengths, for people."""
    known = [value for value in name.values() if value == value]
    return " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in known)
