"""What the claims read off the runs: scores by unit, curves, and honest choices.

`Scores` gives a value a unit, a seed of the tutorial's data or a draw; `methods` is the
table of noise and its rivals, each at the strength that its validation rows choose.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

import jaxnoise as jn
from _claims.plan import DRAWS, PLACEMENTS, RIVALS
from _claims.rules import Measure, Range, measure

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
        keys = ["study", "placement", "strength"]
        self._rows = self.runs.groupby(keys, dropna=False).indices
        counts = self.runs[self.runs["study"] == "draws"]["split"].value_counts()
        self.draws = sorted(counts.index[counts == len(DRAWS)])

    def of(self, where: Where, metric: str = ACCURACY) -> pd.Series:
        """The metric by unit; empty if no such run finished."""
        rows = self.runs.iloc[self._numbers(where)]
        return rows.set_index("seed" if where[0] == "tutorial" else "split")[metric]

    def difference(self, a: Where, b: Where, metric: str = ACCURACY) -> pd.Series:
        """The metric at a minus that at b, by the units that have both runs."""
        return paired(self.of(a, metric), self.of(b, metric))

    def lift(self, a: Where, b: Where, claimed: Range, name: str = "") -> list[Measure]:
        """Of a minus b: population accuracy decides, test accuracy and loss do not."""
        test = self.difference(a, b, "test_accuracy")
        return [
            measure(f"{name}population accuracy", self.difference(a, b), claimed),
            measure("test accuracy", test),
            measure("population loss", self.difference(a, b, LOSS), form="+.3f"),
        ]

    def curves(self, where: Where, name: str) -> np.ndarray:
        """Curves, a row a unit."""
        return self._curves[name][self._numbers(where)]

    def rise_and_fall(self, where: Where) -> tuple[np.ndarray, np.ndarray, int]:
        """How far test accuracy rises to its peak, how far it then falls, and when.

        The peak of the mean curve of every other unit; the rest measure there, as a
        peak looks too high to those that chose it.
        """
        curves = self.curves(where, "test_accuracy")
        if len(curves) < 2:
            return np.array([]), np.array([]), 0
        peak = int(np.nanmean(curves[::2], axis=0).argmax())
        others = curves[1::2]
        rise, fall = (others[:, peak] - others[:, end] for end in (0, -1))
        return rise, fall, int(self.epochs[peak])

    def jumps(self, where: Where, name: str) -> pd.Series:
        """The mean size of a change between measurements, in the later half."""
        curves = self.curves(where, name)
        later = curves[:, curves.shape[1] // 2 :]
        sizes = np.abs(np.diff(later, axis=1))
        mean = sizes.mean(1) if sizes.shape[1] else np.full(len(sizes), np.nan)
        return pd.Series(mean, self.of(where).index)

    def table(self, placements: Sequence[str]) -> pd.DataFrame:
        """The whole draws' runs of some placements, as `jn.compare` takes them."""
        runs = self.runs[self.runs["study"] == "draws"]
        chosen = runs["placement"].isin(placements) & runs["split"].isin(self.draws)
        return runs[chosen].reset_index(drop=True)

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
        choices = jn.select(
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
        for (s, p, level), numbers in self._rows.items():
            same = strength is None or level == strength
            if s == study and p == placement and same:
                return numbers
        return np.array([], int)


def paired(a: pd.Series, b: pd.Series) -> pd.Series:
    """What a is above b, by the units that both have."""
    units = a.index.intersection(b.index)
    return a[units] - b[units]


def methods(scores: Scores) -> pd.DataFrame:
    """Noise and its rivals on every whole draw, at the strength chosen there.

    A table for `jn.compare`: accuracy of what validation accuracy chose, and loss of
    what validation loss chose; ``chosen_accuracy`` and ``chosen_loss`` are strengths.
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
        table = pd.DataFrame(columns).rename_axis("split").reset_index()
        rows.append(table.assign(placement=name, strength=0.0, seed=0))
    return pd.concat(rows, ignore_index=True)


def by_draw(table: pd.DataFrame, method: str, metric: str = ACCURACY) -> pd.Series:
    """The metric of one method by draw."""
    return table[table["placement"] == method].set_index("split")[metric]
