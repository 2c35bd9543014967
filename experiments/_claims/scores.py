"""What the claims read off the runs: scores by unit, curves, and honest choices.

`Scores` gives a value a unit, a seed of the tutorial's data or a draw; `methods` is the
table of noise and its rivals, each at the strength that its validation rows choose.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from _words import quietly

import jaxnoise as jn
from _claims.plan import DRAWS, PLACEMENTS, RIVALS, STRENGTHS
from _claims.rules import ROPE

Where = tuple[str, str, float | None]  # study, placement, strength
ACCURACY, LOSS = "population_accuracy", "population_loss"
EARLY = "early stopping"
METRICS = ("accuracy", "loss")


class Scores:
    """The runs, asked by study, placement and strength.

    Attributes:
        runs: the table.
        draws: the draws of which every run of the study ``draws`` is there.
    """

    def __init__(self, result: jn.SweepResult) -> None:
        self.runs, self.epochs = result.runs, result.epochs
        self._curves = result.curves
        self._rows = self.runs.groupby(["study", "placement"]).indices
        counts = self.runs[self.runs["study"] == "draws"]["split"].value_counts()
        self.draws = sorted(counts.index[counts == len(DRAWS)])

    def of(self, where: Where, metric: str = ACCURACY) -> pd.Series:
        """The metric by unit; empty if no such run finished."""
        rows = self.runs.iloc[self._numbers(where)]
        return rows.set_index("seed" if where[0] == "tutorial" else "split")[metric]

    def difference(self, a: Where, b: Where, metric: str = ACCURACY) -> pd.Series:
        """The metric at a minus that at b, by the units that have both runs."""
        return paired(self.of(a, metric), self.of(b, metric))

    def curves(self, where: Where, name: str) -> np.ndarray:
        """Curves, a row a unit."""
        return self._curves[name][self._numbers(where)]

    def rise_and_fall(self, where: Where) -> tuple[np.ndarray, np.ndarray, str]:
        """How far test accuracy rises to its peak, how far it then falls, and when.

        The peak is that of the mean curve, and looks too high to the units that it is
        the mean of: every other unit is measured at the peak of the rest.
        """
        curves = self.curves(where, "test_accuracy")
        if len(curves) < 2:
            return np.array([]), np.array([]), "epoch"
        halves = np.arange(len(curves)) % 2
        peaks = [np.nanmean(curves[halves != h], axis=0).argmax() for h in (0, 1)]
        at_peak = curves[np.arange(len(curves)), np.array(peaks)[halves]]
        epochs = map(str, sorted({int(self.epochs[peak]) for peak in peaks}))
        when = f"epoch {' or '.join(epochs)}"
        return at_peak - curves[:, 0], at_peak - curves[:, -1], when

    def jumps(self, where: Where, name: str) -> pd.Series:
        """The mean size of a change between measurements, in the later half."""
        curves = self.curves(where, name)
        later = curves[:, curves.shape[1] // 2 :]
        sizes = np.abs(np.diff(later, axis=1))
        mean = sizes.mean(1) if sizes.shape[1] else np.full(len(sizes), np.nan)
        return pd.Series(mean, self.of(where).index)

    def tolerated(self, placement: str) -> pd.Series:
        """How many strengths, from the weakest on, cost at most `ROPE` each draw."""
        none = self.of(("draws", "none", 0.0))
        costs = pd.DataFrame(
            {s: none - self.of(("draws", placement, s)) for s in STRENGTHS}
        )
        return (
            (costs <= ROPE).cumprod(axis=1).sum(axis=1).where(costs.notna().all(axis=1))
        )

    def table(self, placements: Sequence[str]) -> pd.DataFrame:
        """The whole draws' runs of some placements, as `jn.compare` takes them."""
        runs = self.runs[self.runs["study"] == "draws"]
        chosen = runs["placement"].isin(placements) & runs["split"].isin(self.draws)
        return independent(runs[chosen].reset_index(drop=True))

    def chosen(
        self, placements: Sequence[str], metric: str = "accuracy", prefix: str = ""
    ) -> pd.DataFrame:
        """Of every draw the cell that its own validation rows choose, by `jn.select`.

        Columns placement, strength and score, on the population. Doing without is one
        of the choices. The prefix ``best_`` takes scores at the best validation epoch.
        """
        if len(self.draws) < 2:
            return pd.DataFrame({"placement": [], "strength": [], "score": []})
        table = self.table(["none", *placements])
        choices = quietly(
            jn.select,
            table.drop(columns="finite"),
            metric=metric,
            choose_on=f"{prefix}validation",
            report_on=f"{prefix}population",
            outer=len(self.draws),
        ).choices
        return choices.set_index(pd.Index(self.draws, name="split"))

    def best_by_mean(
        self, placement: str, strengths: Sequence[float], *, worst: bool = False
    ) -> Where:
        """The strength with the best mean validation accuracy over draws."""
        found = [("draws", placement, s) for s in strengths]
        means = [self.of(w, "validation_accuracy").mean() for w in found]
        sign = -1 if worst else 1
        return found[int(np.nan_to_num(sign * np.array(means), nan=-np.inf).argmax())]

    def _numbers(self, where: Where) -> np.ndarray:
        study, placement, strength = where
        rows = self._rows.get((study, placement), np.array([], int))
        if strength is None:
            return rows
        return rows[self.runs["strength"].to_numpy()[rows] == strength]


def independent(table: pd.DataFrame) -> pd.DataFrame:
    """The table, which says that its splits are fresh draws."""
    table.attrs["overlap"] = 0.0
    return table


def paired(a: pd.Series, b: pd.Series) -> pd.Series:
    """What a is above b, by the units that both have."""
    units = a.index.intersection(b.index)
    return a[units] - b[units]


def methods(scores: Scores) -> pd.DataFrame:
    """Noise and its rivals on every whole draw, at the strength chosen there.

    A table for `jn.compare`: accuracy of what validation accuracy chose, and loss of
    what validation loss chose; ``chosen_accuracy`` and ``chosen_loss`` are strengths,
    and of early stopping the epochs.
    """
    kinds = {name: ([name], "") for name in (*PLACEMENTS, "both", *RIVALS)}
    kinds |= {EARLY: ([], "best_"), f"hidden, {EARLY}": (["hidden"], "best_")}
    kinds = {"none": ([], "")} | kinds
    rows = []
    for name, (placements, prefix) in kinds.items():
        columns: dict[str, Any] = {}
        for metric in METRICS:
            choices = scores.chosen(placements, metric, prefix)
            columns[f"population_{metric}"] = choices["score"]
            columns[f"chosen_{metric}"] = choices["strength"]
        if name == EARLY:
            epochs = scores.of(("draws", "none", 0.0), "best_epoch")
            columns |= {f"chosen_{metric}": epochs for metric in METRICS}
        table = pd.DataFrame(columns).dropna().rename_axis("split").reset_index()
        rows.append(table.assign(placement=name, strength=0.0, seed=0))
    return independent(pd.concat(rows, ignore_index=True))


def by_draw(table: pd.DataFrame, method: str, metric: str = ACCURACY) -> pd.Series:
    """The metric of one method by draw."""
    return table[table["placement"] == method].set_index("split")[metric]
