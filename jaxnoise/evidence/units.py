"""From runs to units: pairs of runs, and what each independent unit says.

`evidence_of` turns runs into arrays, a cell for each placement and strength, which the
functions of `jaxnoise.evidence.paired` take.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxnoise.evidence.cells import Cell, paired_cells, units_of
from jaxnoise.evidence.paired import seed_words
from jaxnoise.evidence.table import (
    OUTER,
    Source,
    by_outer_fold,
    column_names,
    lower_is_better,
    opened,
    runs_of,
    score_table,
)

PAIR_BY = ("seed", "split")
STOPS = ("fixed", "anytime")
LEAST_UNITS = 6  # below, no sign-flip p is under 0.05
LEAST_FOLDS = 5  # that overlap: the corrected t is wrong in at most 2.5 % of such


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
    source = opened(source)
    words, lower = _checked(options)
    runs, pairs = runs_of(source), column_names(options.get("pair_by", PAIR_BY))
    table, pairs, nested = by_outer_fold(runs, pairs, options.get("outer"))
    table = score_table(table, metric, pairs)
    cells = paired_cells(table, metric, options.get("baseline", "none"), pairs)
    unit, codes, units = units_of(table, pairs)
    unit = OUTER if nested and unit == "split" else unit
    overlap, taken, doubts = _of_splits(runs, unit, len(units), options)
    lower, unsure = _direction(metric, lower)
    return Evidence(
        source=source,
        metric=metric,
        options=options,
        cells=cells,
        unit=unit,
        units=units,
        order=pd.unique(codes),
        precision=table.attrs["precision"],
        lower=lower,
        overlap=overlap,
        rows=_rows(runs, metric),
        stop=_stop(runs, overlap, options.get("stop")),
        words=words,
        taken=taken,
        doubts=doubts + unsure,
    )


def _direction(metric: str, given: bool | None) -> tuple[bool, list[str]]:
    """Whether lower is better, and a doubt where nobody and no name tells."""
    lower = lower_is_better(metric) if given is None else given
    doubt = (
        f"the name of {metric!r} does not tell which way is better: higher is "
        "taken for it, and lower_is_better= says"
    )
    return bool(lower), [doubt] * (lower is None)


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
    runs: pd.DataFrame, unit: str, count: int, options: dict[str, Any]
) -> tuple[float | None, str, list[str]]:
    """The overlap, what the data said, and what neither they nor the caller did."""
    given, carried = options.get("overlap"), runs.attrs.get("overlap")
    if unit not in ("split", OUTER):
        return given, "", []
    units, overlap = f"{count} {unit}s", carried if given is None else given
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


def fewest_units(overlap: float | None) -> int:
    """Below, there is no verdict."""
    return LEAST_FOLDS if overlap else LEAST_UNITS


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
