"""Noises and their rivals, all on equal terms: candidates, and what a split chooses.

`grids` are the candidates of rivals.toml; `methods` lets every split's validation rows
choose among those of each, and none of them, by the metric that judges, and returns a
table of the choices' scores for `jn.compare`.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import jaxnoise as jn

TABLE = tomllib.loads(Path(__file__).with_name("rivals.toml").read_text("utf-8"))
TRAINED, TABLES = TABLE["rivals"], TABLE["tables"]
EPOCHS, EARLY, BY_LOSS = "epochs", "early stopping", "early stopping by loss"
ANY_NOISE, ANY_RIVAL = "any noise", "any rival"
DECAY = "weight decay"
SMOOTHED = 5  # measurements of a curve, whose mean stops early
NONE = ("none", 0.0)
Cell = tuple[str, Any]  # placement and strength; of several parts a dict of them


class Candidate(NamedTuple):
    """A cell, and when its training ends.

    Attributes:
        cell: placement and strength.
        stop: None for the last epoch, a share of the epochs, or how early stopping
            finds it: `EARLY` or `BY_LOSS`.
    """

    cell: Cell
    stop: float | str | None = None


def noises(places: Sequence[str]) -> dict[str, list[float]]:
    """The candidates of noise in some places."""
    return {place: TABLE["noises"][place] for place in places}


def rivals(smoothing: bool = True) -> dict[str, list[Any]]:
    """The candidates of every rival that trains; only classes can be smoothed."""
    return {
        name: grid for name, grid in TRAINED.items() if smoothing or "label" not in name
    }


def decayed(place: str) -> dict[str, list[Any]]:
    """The candidates of noise in a place together with weight decay."""
    both = TABLE["with_decay"]
    pairs = product(both["noise"], both[DECAY])
    return {f"{place} + {DECAY}": [{place: n, DECAY: d} for n, d in pairs]}


def candidates(
    places: Sequence[str], main: str, grids: Mapping[str, Sequence[Any]]
) -> dict[str, list[Candidate]]:
    """By method, what its splits choose from beside no noise and no rival.

    Args:
        places: those of noise.
        main: the one that is combined with weight decay and early stopping.
        grids: of all that was trained, `noises`, `rivals` and others.
    """
    found = {
        name: [Candidate((name, strength)) for strength in grid]
        for name, grid in grids.items()
    }
    trained = [name for name in TRAINED if name in found]
    found[EPOCHS] = [Candidate(NONE, share) for share in TABLE["untrained"][EPOCHS]]
    found |= {stop: [Candidate(NONE, stop)] for stop in (EARLY, BY_LOSS)}
    ways = [NONE, *((main, strength) for strength in grids.get(main, ()))]
    found[f"{main} + {EARLY}"] = [Candidate(cell, EARLY) for cell in ways]
    for name, parts in {ANY_NOISE: places, ANY_RIVAL: [*trained, EPOCHS]}.items():
        found[name] = [each for part in parts for each in found.get(part, [])]
    return found


class Curves:
    """The scores of runs at every measurement, by cell: arrays (split, epoch)."""

    def __init__(self, result: jn.SweepResult, sets: tuple[str, str]) -> None:
        self.result, self.sets = result, sets
        self.splits = np.unique(result.runs["split"])
        self._rows = {cell: rows for cell, rows in rows_by_cell(result.runs)}

    def of(self, cell: Cell, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """On the rows that choose, and on those that judge; seeds are averaged."""
        rows = self._rows[key_of(*cell)]
        split = np.searchsorted(self.splits, self.result.runs["split"].to_numpy()[rows])
        found = []
        for name in self.sets:
            curve = self.result.curves[f"{name}_{metric}"][rows].astype(float)
            curve[~self.result.runs["finite"].to_numpy(bool)[rows]] = np.nan
            sums = np.zeros((len(self.splits), curve.shape[1]))
            np.add.at(sums, split, curve)
            counts = np.bincount(split, minlength=len(self.splits))[:, None]
            with np.errstate(invalid="ignore"):
                found.append(sums / counts)
        return found[0], found[1]

    def ended(self, each: Candidate, metric: str, gain: int) -> tuple[Any, Any]:
        """Scores of a candidate by split: on rows that choose, on rows that judge."""
        choosing, judging = self.of(each.cell, metric)
        last = choosing.shape[1] - 1
        at = np.full(len(choosing), last)
        if isinstance(each.stop, float):
            at[:] = max(0, round(each.stop * (last + 1)) - 1)
        elif each.stop == EARLY:
            at = np.nan_to_num(gain * smoothed(choosing), nan=-np.inf).argmax(axis=1)
        elif each.stop == BY_LOSS:
            loss, _ = self.of(each.cell, "loss")
            at = np.nan_to_num(loss, nan=np.inf).argmin(axis=1)
        rows = np.arange(len(choosing))
        return choosing[rows, at], judging[rows, at]


def key_of(placement: str, strength: Any) -> tuple[str, Any]:
    """A cell as the key of a dict; strengths as float32, in which runs have them."""
    parts = strength if isinstance(strength, Mapping) else {"": strength}
    return placement, tuple(sorted((n, float(np.float32(s))) for n, s in parts.items()))


def rows_by_cell(runs: pd.DataFrame) -> list[tuple[Any, np.ndarray]]:
    """The rows of every placement and strength."""
    columns = [c for c in runs if c == "strength" or c.startswith("strength.")]
    groups = runs.groupby(["placement", *columns], dropna=False, sort=False)
    found = []
    for (placement, *values), rows in groups.indices.items():
        named = zip(columns, values, strict=True)
        parts = {c.partition(".")[2]: v for c, v in named if v == v}
        found.append((key_of(placement, parts), rows))
    return found


def smoothed(curves: np.ndarray) -> np.ndarray:
    """The mean of every `SMOOTHED` measurements that end at one."""
    width = min(SMOOTHED, curves.shape[1])
    padded = np.pad(curves, ((0, 0), (width - 1, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, width, axis=1).mean(axis=-1)


def methods(
    result: jn.SweepResult,
    options: Mapping[str, Sequence[Candidate]],
    metrics: Sequence[str],
    sets: tuple[str, str] = ("validation", "test"),
    others: Mapping[str, Callable[[str], Any]] | None = None,
) -> pd.DataFrame:
    """The score of every method on every split, each chosen by the metric that judges.

    Args:
        result: the runs, with curves of both sets.
        options: by method its candidates; doing without all of them is one more.
        metrics: without their set; a method is chosen anew for each.
        sets: the one that chooses, and the one that judges.
        others: by name, of models that are no networks, ``metric ->`` two arrays
            (candidate, split), of the rows that choose and of those that judge.

    Returns:
        A table with the columns placement (the method), strength, seed, split, the
        metrics on the judging set, and ``chosen_<metric>``, the number of the candidate
        with 0 for none.
    """
    curves = Curves(result, sets)
    tables = {"none": [], **options, **dict.fromkeys(others or {})}
    found = {}
    for name in tables:
        columns: dict[str, Any] = {"split": curves.splits}
        for metric in metrics:
            better = -1 if jn.evidence.table.lower_is_better(metric) else 1
            scores = [curves.ended(Candidate(NONE), metric, better)]
            if others and name in others:
                scores += list(zip(*others[name](metric), strict=True))
            else:
                scores += [curves.ended(c, metric, better) for c in tables[name]]
            choosing, judging = (np.stack(each) for each in zip(*scores, strict=True))
            gains = np.nan_to_num(better * choosing, nan=-np.inf)
            pick = gains.argmax(axis=0)
            columns[f"{sets[1]}_{metric}"] = judging[pick, np.arange(len(pick))]
            columns[f"chosen_{metric}"] = pick
        found[name] = pd.DataFrame(columns).assign(placement=name)
    table = pd.concat(found.values(), ignore_index=True)
    table = table.assign(strength=0.0, seed=0, finite=True)
    table.attrs["overlap"] = 0.0
    return table
