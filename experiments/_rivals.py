"""Noises and their rivals, all on equal terms: candidates, and what a split chooses.

`grids` are the candidates of rivals.toml; `methods` lets every split's validation rows
choose among those of each, and none of them, by the metric that judges, and returns a
table of the choices' scores for `jn.compare`.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _files import Row, difference_of, print_table, quietly, with_interval
from _recipes import NOTHING, parts_of

import jaxnoise as jn
from jaxnoise.evidence.format import in_words, said
from jaxnoise.evidence.table import lower_is_better
from jaxnoise.results import cell_columns

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


def together(grids: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """The cells with strengths of all parts, so that one program trains them all.

    A part that a cell has not does nothing there. Noise between steps has a program
    of its own, as it would slow all others, and so has a place that is not in
    rivals.toml, which is another network.
    """
    cells = {
        place: [parts_of(place, strength) for strength in grid]
        for place, grid in {"none": [0.0], **grids}.items()
    }
    shared = {
        part: NOTHING.get(part, 0.0)
        for part in [*TABLE["noises"], *TRAINED]
        if part != "step" and any(part in grid[0] for grid in cells.values())
    }
    return {
        place: [
            shared | each if each.keys() <= shared.keys() else each for each in grid
        ]
        for place, grid in cells.items()
    }


def sweep(
    recipes: Mapping[str, Callable[[Any], jn.Recipe]],
    stopped: Sequence[str],
    *,
    strengths: Mapping[str, Sequence[Any]],
    curves: Sequence[str],
    **more: Any,
) -> jn.SweepResult:
    """As `jn.sweep`, with curves of a few placements, those that may end earlier.

    Nobody asks for those of others, and measuring takes about as long as training.
    """
    results: list[jn.SweepResult] = []
    for kept, places in groupby(recipes, stopped.__contains__):
        made = {name: recipes[name] for name in places}
        own = {name: strengths[name] for name in made if name in strengths}
        asked = curves if kept else []
        results.append(jn.sweep(made, strengths=own, curves=asked, **more))
        if not results[-1].complete:
            break
    return results[0] if len(results) == 1 else jn.concat(results)


def with_own_strengths(
    runs: pd.DataFrame, grids: Mapping[str, Sequence[Any]]
) -> pd.DataFrame:
    """The runs of cells that were trained together, as if each had been alone."""
    own = runs.drop(columns=cell_columns(runs)[1:])
    own.insert(1, "strength", np.where(runs["placement"] == "none", 0.0, np.nan))
    for place, grid in grids.items():
        rows, parts = runs["placement"] == place, parts_of(place, grid[0])
        for part in parts:
            name = f"strength.{part}"
            own.loc[rows, name if len(parts) > 1 else "strength"] = runs[name][rows]
    return own


def candidates(
    main: str, grids: Mapping[str, Sequence[Any]]
) -> dict[str, list[Candidate]]:
    """By method, what its splits choose from beside no noise and no rival.

    Args:
        main: the place of noise that is combined with weight decay and early stopping.
        grids: of all that was trained, `noises`, `rivals` and others.
    """
    found = {
        name: [Candidate((name, strength)) for strength in grid]
        for name, grid in grids.items()
    }
    places = [name for name in TABLE["noises"] if name in grids]
    trained = [name for name in TRAINED if name in grids]
    found[EPOCHS] = [Candidate(NONE, share) for share in TABLE["untrained"][EPOCHS]]
    found |= {stop: [Candidate(NONE, stop)] for stop in (EARLY, BY_LOSS)}
    ways = [NONE, *((main, strength) for strength in grids.get(main, ()))]
    found[f"{main} + {EARLY}"] = [Candidate(cell, EARLY) for cell in ways]
    for name, parts in {ANY_NOISE: places, ANY_RIVAL: [*trained, EPOCHS]}.items():
        found[name] = [each for part in parts for each in found.get(part, [])]
    return found


class Scores:
    """The scores of runs: a unit is a split where there are several, else a seed."""

    def __init__(self, result: jn.SweepResult, sets: tuple[str, str]) -> None:
        self.result, self.sets = result, sets
        self.unit = "split" if result.runs["split"].nunique() > 1 else "seed"
        self.units = np.unique(result.runs[self.unit])

    def curves(self, cell: Cell, metric: str) -> list[np.ndarray]:
        """Of rows that choose and that judge, (unit, epoch)."""
        return self.measured(cell, metric, lambda part: part.curves)

    def last(self, cell: Cell, metric: str) -> list[np.ndarray]:
        """As `curves`, of the last epoch alone, which all runs have."""
        return self.measured(cell, metric, lambda part: part.runs)

    def measured(
        self, cell: Cell, metric: str, asked: Callable[[jn.SweepResult], Any]
    ) -> list[np.ndarray]:
        """What is asked of the runs of a cell, by unit; seeds are averaged."""
        part = self.result.where(*cell)
        unit = np.searchsorted(self.units, part.runs[self.unit])
        counts, found = np.bincount(unit, minlength=len(self.units)), []
        for name in self.sets:
            of_runs = np.array(asked(part)[f"{name}_{metric}"], float)
            curve = of_runs.reshape(len(unit), -1)
            curve[~part.runs["finite"].to_numpy(bool)] = np.nan
            sums = np.zeros((len(self.units), curve.shape[1]))
            np.add.at(sums, unit, curve)
            with np.errstate(invalid="ignore"):
                found.append(sums / counts[:, None])
        return found

    def ended(self, each: Candidate, metric: str) -> list[np.ndarray]:
        """Of a candidate by unit: on rows that choose, on rows that judge."""
        if each.stop is None:
            return [curve[:, -1] for curve in self.last(each.cell, metric)]
        curves = self.curves(each.cell, metric)
        count = curves[0].shape[1]
        if isinstance(each.stop, float):
            at: Any = max(0, round(each.stop * count) - 1)
        elif each.stop == EARLY:
            at = where_best(smoothed(curves[0]), metric, axis=1)
        else:
            at = where_best(self.curves(each.cell, "loss")[0], "loss", axis=1)
        return [curve[np.arange(len(curve)), at] for curve in curves]

    def of(self, candidates: Sequence[Candidate], metric: str) -> np.ndarray:
        """Of all candidates, no noise and no rival before them: (set, each, unit)."""
        ways = [Candidate(NONE), *candidates]
        return np.stack([self.ended(each, metric) for each in ways], axis=1)


def where_best(scores: np.ndarray, metric: str, axis: int) -> np.ndarray:
    """Where the best score is; what is no number is none."""
    gain = -1 if lower_is_better(metric) else 1
    return np.nan_to_num(gain * scores, nan=-np.inf).argmax(axis)


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
    others: Mapping[str, Callable[[str], np.ndarray]] | None = None,
) -> pd.DataFrame:
    """The score of every method on every split, each chosen by the metric that judges.

    Args:
        result: the runs, with curves of both sets.
        options: by method its candidates; no noise and no rival is one more.
        metrics: without their set; a method is chosen anew for each.
        sets: the one that chooses, and the one that judges.
        others: by name, of models that are no networks, ``metric ->`` an array (set,
            candidate, split), of the rows that choose and of those that judge.

    Returns:
        A table with the columns placement (the method), strength, seed, split, the
        metrics on the judging set, and ``chosen_<metric>``, the number of the candidate
        with 0 for none.
    """
    scores, found = Scores(result, sets), []
    ways: dict[str, Any] = {"none": partial(scores.of, [])}
    ways |= {name: partial(scores.of, each) for name, each in options.items()}
    for name, way in {**ways, **(others or {})}.items():
        columns: dict[str, Any] = {"placement": name, scores.unit: scores.units}
        for metric in metrics:
            sides = way(metric)  # other models have one split where seeds are units
            shape = (*sides.shape[:2], len(scores.units))
            choosing, judging = np.broadcast_to(sides, shape)
            pick = where_best(choosing, metric, axis=0)
            columns[f"{sets[1]}_{metric}"] = judging[pick, np.arange(len(pick))]
            columns[f"chosen_{metric}"] = pick
        found.append(pd.DataFrame(columns))
    table = pd.concat(found, ignore_index=True)
    other = {"split": "seed", "seed": "split"}[scores.unit]
    table = table.assign(strength=0.0, finite=True, **{other: 0})
    table.attrs["overlap"] = 0.0
    return table


def against(baseline: str, chosen: pd.DataFrame, metrics: list[str]) -> list[Row]:
    """All methods against one of them, in all metrics, which are one family."""
    rows = quietly(jn.compare, chosen, metric=metrics, baseline=baseline)
    return [
        {
            "placement": row["placement"],
            "metric": row.get("metric", metrics[0]),
            **{name: row[name] for name in ("mean", "n", "verdict")},
            "difference": difference_of(row),
        }
        for row in rows.to_dict("records")
    ]


def side_by_side(rows: Sequence[Row], baseline: str) -> list[list[str]]:
    """A heading, and a line a method: means, and differences to one of the methods."""
    heading, lines = ["method"], dict[str, list[str]]()
    for metric in dict.fromkeys(row["metric"] for row in rows):
        heading += [in_words(metric), f"difference to {baseline}", "so it is"]
    for row in rows:
        told = with_interval(row["difference"]).replace("-", "−")
        beside = [told, said(row["verdict"])]
        line = lines.setdefault(row["placement"], [row["placement"]])
        line += [f"{row['mean']:.4f}", *(beside if line[0] != baseline else ["", ""])]
    return [heading, *lines.values()]


def told_of(chosen: pd.DataFrame, metrics: list[str]) -> dict[str, Any]:
    """The table of `methods` for people, and for a summary.

    ``methods`` are differences to none, ``against`` those to the best of the rivals.
    """
    found = {}
    for name, baseline in {"methods": "none", "against": ANY_RIVAL}.items():
        found[name] = against(baseline, chosen, metrics)
        print(f"\nchosen on validation rows, told on others, against {baseline}:")
        print_table(side_by_side(found[name], baseline))
    return found


def panels(compared: Any, label: str) -> Any:
    """Paired differences against strength with their bands, a panel a placement."""
    import matplotlib.pyplot as plt

    noisy = compared[compared["verdict"] != "baseline"]
    groups = list(noisy.groupby("placement", sort=False))
    rows = -(-len(groups) // 3)
    size: Any = {"figsize": (6.4, 0.7 + 1.9 * rows), "layout": "constrained"}
    figure, axes = plt.subplots(rows, 3, sharey=True, squeeze=False, **size)
    for ax, (placement, group) in zip(axes.flat, groups, strict=False):
        x = group["strength"]
        ax.axhline(0, color="0.4", linewidth=0.8)
        ax.fill_between(x, group["low"], group["high"], color="C0", alpha=0.25)
        ax.plot(x, group["difference"], "o-", color="C0", markersize=3.5, linewidth=1.2)
        ax.set(xscale="log", title=placement)
        ax.set_xticks(x, [f"{value:g}" for value in x], fontsize="small")
        ax.minorticks_off()
    for ax in axes.flat[len(groups) :]:
        ax.set_visible(False)
    gain = -1 if compared.attrs["lower_is_better"] else 1
    ends = gain * np.array([noisy["low"].min(), noisy["high"].max()])
    best = max(*ends, 0)  # beyond three times as much is loss that would flatten it
    worst = max(min(*ends, 0), -3 * best or -np.inf)
    if best > worst:
        axes[0, 0].set_ylim(*sorted([1.2 * gain * worst, 1.2 * gain * best]))
    n, unit = int(noisy["n"].min()), compared.attrs["unit"]
    figure.supylabel(f"{label}, difference to none", fontsize="medium")
    band = f"band: 95 % interval over {n} {unit}s"
    figure.supxlabel(f"strength; {band}", fontsize="medium")
    return figure
