"""From runs to units: pairs of runs, and what each independent unit says.

`evidence_of` turns runs into arrays, a cell for each placement and strength, which the
functions of `jaxnoise.evidence.paired` take. Rounding must not pass for a difference:
accuracies are whole numbers of rows, so that differences are often equal, and signs and
ranks of equal ones must not hang on the last bit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxnoise.evidence.format import joined
from jaxnoise.evidence.paired import TInterval, seed_words, t_interval
from jaxnoise.evidence.table import (
    OUTER,
    Source,
    by_outer_fold,
    column_names,
    lower_is_better,
    runs_of,
    score_table,
)
from jaxnoise.results import cell_columns

PAIR_BY = ("seed", "split")
STOPS = ("fixed", "anytime")


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
            its sign against the mean's: what a test may count on.
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


class Options(TypedDict, total=False):
    """What `compare`, `select`, `report` and pictures take alike: see `compare`."""

    baseline: str
    pair_by: str | Sequence[str]
    rope: float | None
    overlap: float | None
    key: Array | None
    lower_is_better: bool | None
    outer: int | None
    stop: str | None


@dataclass(frozen=True, eq=False)
class Evidence:
    """The paired units of one metric, before they are judged.

    Attributes:
        source: the `SweepResult` or table that they are of.
        metric: the column.
        options: with which they were asked for.
        cells: a `Cell` for each placement and strength, in the table's order.
        unit: what is independent: "split", "seed", "outer fold", or the columns that
            make a pair.
        units: the units' names, in the order of a cell's scores and differences.
        order: of the units in the table, which is that in which they were made.
        precision: of the scores, relative.
        lower: whether lower is better.
        overlap: of the splits; None where nothing is known.
        rows: in the set of the scores; None where that is not known.
        stop: the rule by which the number of units came about: see `compare`.
        words: of the key.
        taken: what the data said, in words; "" for nothing.
        doubts: what nothing said, in a sentence each.
    """

    source: Source
    metric: str
    options: dict[str, Any]
    cells: list[Cell]
    unit: str
    units: np.ndarray
    order: np.ndarray
    precision: float
    lower: bool
    overlap: float | None
    rows: int | None
    stop: str
    words: list[int]
    taken: str
    doubts: list[str]

    @property
    def baseline(self) -> Cell:
        """That which the others are compared with."""
        return next(cell for cell in self.cells if cell.is_baseline)

    @property
    def gain(self) -> int:
        """What makes a difference positive where it is better."""
        return -1 if self.lower else 1

    def means(self) -> np.ndarray:
        """Each cell's mean over its units, NaN for none."""
        return np.array([cell.score_interval.mean for cell in self.cells])

    def facts(self) -> dict[str, Any]:
        """What a table tells of itself."""
        return {
            "metric": self.metric,
            "baseline": self.baseline.placement,
            "unit": self.unit,
            "lower_is_better": self.lower,
            "rope": self.options.get("rope"),
            "overlap": self.overlap,
            "rows": self.rows,
            "stop": self.stop,
        }


def evidence_of(source: Any, metric: Any, **options: Any) -> Evidence:
    """The paired units of a metric; those of a comparison, if nothing else is asked."""
    made = getattr(source, "evidence", None)
    if isinstance(made, tuple):  # of several metrics
        made = next((e for e in made if e.metric == metric), made[0])
    if isinstance(made, Evidence):  # a comparison's
        options, metric = made.options | options, metric or made.metric
        if options == made.options and metric == made.metric:
            return made
        source = made.source
    words, lower = _checked(options)
    runs, pairs = runs_of(source), column_names(options.get("pair_by", PAIR_BY))
    table, pairs, nested = by_outer_fold(runs, pairs, options.get("outer"))
    table = score_table(table, metric, pairs)
    cells = paired_cells(table, metric, options.get("baseline", "none"), pairs)
    unit, codes, units = _units(table, pairs)
    unit = OUTER if nested and unit == "split" else unit
    overlap, taken = options.get("overlap"), ""
    doubts: list[str] = []
    if unit in ("split", OUTER):
        overlap, taken, doubts = _of_splits(runs, f"{len(units)} {unit}s", options)
    lower = lower_is_better(metric) if lower is None else lower
    if lower is None:
        doubts.append(
            f"the name of {metric!r} does not tell which way is better: higher is "
            "taken for it, and lower_is_better= says"
        )
    return Evidence(
        source=source,
        metric=metric,
        options=options,
        cells=cells,
        unit=unit,
        units=units,
        order=pd.unique(codes),
        precision=table.attrs["precision"],
        lower=bool(lower),
        overlap=overlap,
        rows=_rows(runs, metric),
        stop=_stop(runs, overlap, options.get("stop")),
        words=words,
        taken=taken,
        doubts=doubts,
    )


def _checked(options: dict[str, Any]) -> tuple[list[int], Any]:
    """The key's words and which way is better, if that is said."""
    for name in ("rope", "overlap"):
        if options.get(name) is not None:
            check_number(name, options[name], kind="a number or None")
    lower = options.get("lower_is_better")
    if lower is not None and not isinstance(lower, bool | np.bool_):
        raise TypeError(f"lower_is_better must be a bool or None, got {lower!r}.")
    return seed_words(options.get("key")), lower


def _rows(runs: pd.DataFrame, metric: str) -> int | None:
    """The number of rows in the set of the longest name that the metric begins with."""
    sets = runs.attrs.get("rows", {})
    names = [name for name in sets if metric.startswith(f"{name}_")]
    return sets[max(names, key=len)] if names else None


def _stop(runs: pd.DataFrame, overlap: float | None, given: Any) -> str:
    """The rule that is given, or that the runs carry, or a number fixed beforehand."""
    stop = given or runs.attrs.get("stop", STOPS[0])
    if stop not in STOPS:
        raise ValueError(f"stop must be 'fixed', 'anytime' or None, got {stop!r}.")
    if stop == "anytime" and overlap:
        raise ValueError(
            "stop='anytime' needs independent units, got splits that overlap by "
            f"{overlap:.4g}; their number is fixed beforehand."
        )
    return str(stop)


def _of_splits(
    runs: pd.DataFrame, units: str, options: dict[str, Any]
) -> tuple[float | None, str, list[str]]:
    """The overlap, what the data said, and what neither they nor the caller did."""
    given, carried = options.get("overlap"), runs.attrs.get("overlap")
    overlap = carried if given is None else given
    if overlap is None:
        doubt = (
            f"nothing is known of the {units}, which are taken as independent: give "
            "overlap=1/(k-1) for k folds, or overlap=0 for independent draws"
        )
        return None, "", [doubt]
    taken = [f"overlap {overlap:.4g}"] if given is None and overlap else []
    if OUTER in units and options.get("outer") is None:
        taken.append(units)
    return overlap, " and ".join(taken) + ": as the data says" * bool(taken), []


def paired_cells(
    table: pd.DataFrame, metric: str, baseline: str, pair_by: Sequence[str]
) -> list[Cell]:
    """Pair every run of a checked table with the baseline's, and average over units."""
    columns = cell_columns(table)
    names = table[columns].drop_duplicates().to_dict("records")
    at = _baseline_of(names, baseline)
    _refuse_repeats(table, columns, pair_by)
    cell = table.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    pair = table.groupby(list(pair_by)).ngroup().to_numpy()
    _refuse_mixed_splits(table["split"], pair, pair_by)
    _, codes, units = _units(table, pair_by)
    unit = pd.Series(codes).groupby(pair).first().to_numpy()
    scores = np.full((len(names), len(unit)), np.nan)
    scores[cell, pair] = table[metric]
    run = np.full(scores.shape, -1)
    run[cell, pair] = np.arange(len(table))
    present = run >= 0
    shared = (present & present[at]).any(axis=1)
    if not shared.all():
        raise ValueError(
            f"{joined(names[shared.argmin()])} must share {' and '.join(pair_by)} with "
            f"a run of the baseline {baseline!r}, got no such pair."
        )
    rounding = (
        2 * table.attrs["precision"] * np.fmax(np.abs(scores), np.abs(scores[at]))
    )
    differences = _without_rounding(scores - scores[at], rounding)
    place = (np.arange(len(names))[:, None] * len(units) + unit).ravel()

    def means(values: np.ndarray) -> np.ndarray:
        return _means(values.ravel(), place, (len(names), len(units)))

    roundings = means(rounding)
    of_units = np.stack(list(map(_tied, means(differences), roundings)))
    lost = ~np.isfinite(differences)
    tested = means(_against(differences, of_units))
    tested = np.where(lost.any(axis=1, keepdims=True), tested, of_units)
    diverged = np.bincount(cell[~table["finite"].to_numpy()], minlength=len(names))
    return [
        Cell(
            name=name,
            is_baseline=i == at,
            scores=own,
            differences=of_units[i],
            tested=tested[i],
            pairs=differences[i][~lost[i]],
            runs_of_pairs=run[[i, at]][:, ~lost[i]],
            rounding=float(np.nansum(roundings[i])),
            runs=int(present[i].sum()),
            diverged=int(diverged[i]),
            lost=int(lost[i].sum()),
        )
        for i, (name, own) in enumerate(zip(names, means(scores), strict=True))
    ]


def _against(differences: np.ndarray, of_units: np.ndarray) -> np.ndarray:
    """Pairs with the lost ones of each cell as its largest, against its mean."""
    known = np.isfinite(differences)
    largest = np.where(known, np.abs(differences), 0.0).max(axis=1)
    signs = np.sign(np.nansum(of_units, axis=1))
    worst = np.where(known.any(axis=1), -signs * largest, np.nan)
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


def _refuse_repeats(
    table: pd.DataFrame, columns: list[str], pair_by: Sequence[str]
) -> None:
    repeats = table[table.duplicated([*columns, *pair_by])]
    if len(repeats):
        raise ValueError(
            f"runs must differ in {' or '.join(pair_by)}, "
            f"got repeats in {joined(repeats[columns].iloc[0].to_dict())}."
        )


def _refuse_mixed_splits(
    splits: pd.Series, pair: np.ndarray, pair_by: Sequence[str]
) -> None:
    if (splits.groupby(pair).nunique() > 1).any():
        raise ValueError(
            f"pair_by must pair runs of one split, got {pair_by}: add 'split'."
        )


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


def check_number(
    name: str, value: Any, *, least: float = 0.0, kind: str = "a number"
) -> None:
    """Refuse what is no finite number, or below the least."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number:
        raise TypeError(f"{name} must be {kind}, got {value!r}.")
    if not (np.isfinite(value) and value >= least):
        bound = "" if least == -np.inf else f" and >= {least:g}"
        raise ValueError(f"{name} must be finite{bound}, got {value}.")


def check_options(function: str, given: Iterable[str]) -> None:
    """Refuse options that are none, in the name of the function that was called."""
    known = Options.__annotations__
    for name in given:
        if name not in known:
            raise TypeError(
                f"{function} must be given its own arguments and, of compare, "
                f"{', '.join(known)}, got {name!r}."
            )
