"""The claims of claims.toml, and how each of their numbers is measured.

`Scores` gives a value a unit, a seed of the tutorial's data or a draw, and `Measured`
the numbers of a claim. The tutorial is J. Brownlee's "How to Improve Deep Learning
Model Robustness by Adding Noise" (machinelearningmastery.com, 2018).
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _rivals import candidates, methods

import jaxnoise as jn
from _claims.plan import MAIN, STUDIES, Size, data_of, with_rivals
from _claims.rules import DRAWS, THIS, Claim, Measure, measure, range_of

STUDY = {THIS: "tutorial", DRAWS: "draws"}
ACCURACY, LOSS, BRIER = (f"population_{m}" for m in ("accuracy", "loss", "brier"))
Numbers = list[tuple[Any, ...]]  # arguments of `measure`: what, values, form, root
Where = tuple[str, str, float | None]  # study, placement, strength


class Scores:
    """The runs, asked by study, placement and strength."""

    def __init__(self, results: Mapping[str, jn.SweepResult]) -> None:
        self.results = results

    def of(self, where: Where, metric: str = ACCURACY) -> pd.Series:
        """The metric by unit; empty if there is no such run, as at toy size."""
        study, *cell = where
        try:
            runs = self.results[study].where(*cell).runs
        except (KeyError, ValueError):
            return pd.Series(dtype=float)
        return runs.set_index("seed" if study == "tutorial" else "split")[metric]

    def difference(self, a: Where, b: Where, metric: str = ACCURACY) -> pd.Series:
        """The metric at a minus that at b, by the units that have both runs."""
        return paired(self.of(a, metric), self.of(b, metric))

    def curves(self, where: Where, name: str) -> np.ndarray:
        """Curves, a row a unit."""
        study, *cell = where
        return self.results[study].where(*cell).curves[name]

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
        epochs = self.results[where[0]].epochs
        when = " or ".join(map(str, sorted({int(epochs[peak]) for peak in peaks})))
        return at_peak - curves[:, 0], at_peak - curves[:, -1], f"epoch {when}"

    def jumps(self, where: Where, name: str) -> pd.Series:
        """The largest change between measurements, in the later half."""
        curves = self.curves(where, name)
        later = curves[:, curves.shape[1] // 2 :]
        return pd.Series(np.abs(np.diff(later)).max(axis=1), self.of(where).index)

    @cached_property
    def methods(self) -> pd.DataFrame:
        """Noise and its rivals on every draw, at the strength chosen there."""
        result, (_, study, *_) = self.results["draws"], STUDIES
        there = set(result.runs["placement"])
        grids = with_rivals() | {"both": study.cells["both"]}
        grids = {name: grid for name, grid in grids.items() if name in there}
        options = candidates(MAIN, grids)
        options["inputs or hidden layer"] = options["input"] + options["hidden"]
        metrics, judges = ("accuracy", "loss", "brier"), ("validation", "population")
        return methods(result, options, metrics, judges)

    def by_draw(self, method: str, metric: str) -> pd.Series:
        """The metric of one method by draw."""
        chosen = self.methods[self.methods["placement"] == method]
        return chosen.set_index("split")[metric]

    def best_by_mean(
        self, placement: str, strengths: Sequence[float], *, worst: bool = False
    ) -> Where:
        """The strength with the best mean validation accuracy over draws."""
        found = [("draws", placement, s) for s in strengths]
        means = [self.of(w, "validation_accuracy").mean() for w in found]
        sign = -1 if worst else 1
        return found[int(np.nan_to_num(sign * np.array(means), nan=-np.inf).argmax())]


def paired(a: pd.Series, b: pd.Series) -> pd.Series:
    """What a is above b, by the units that both have."""
    units = a.index.intersection(b.index)
    return a[units] - b[units]


def all_claims(scores: Scores, size: Size) -> Iterator[Claim]:
    """Every claim, wherever it is looked at."""
    table = tomllib.loads(Path(__file__).with_name("claims.toml").read_text("utf-8"))
    for claim in table["claim"]:
        for on in claim["on"]:
            for over in claim.get("over", [""]):
                measured = Measured(scores, size, STUDY[on], over)
                asked = claim["numbers"]
                numbers = [n for each in asked for n in measured.of(**each)]
                says = claim["says"].format(over=over)
                yield Claim(says, claim["by"], on, numbers)


class Measured:
    """Numbers of the runs, in the study that a claim is looked at in.

    A method gives the number that is claimed first, and then those beside it.
    """

    def __init__(self, scores: Scores, size: Size, study: str, over: str) -> None:
        self.scores, self.size, self.study, self.over = scores, size, study, over

    def of(self, claimed: str | None = None, **asked: Any) -> list[Measure]:
        """What is asked for by the name of a method, whose first argument it has."""
        for name, value in asked.items():
            if isinstance(value, str) and "/" in value:
                asked[name] = self.place(value)
        (kind, first), *more = asked.items()
        numbers = getattr(self, kind)(first, **dict(more))
        ranges = [range_of(claimed), *[None] * (len(numbers) - 1)]
        return [
            measure(what, values, range_, *how)
            for (what, values, *how), range_ in zip(numbers, ranges, strict=True)
        ]

    def place(self, text: str) -> Where:
        """Study, placement and strength, if there is one strength."""
        study, placement, *strength = text.format(study=self.study).split("/")
        return study, placement, float(strength[0]) if strength else None

    def score(self, what: str, at: Where, metric: str = ACCURACY) -> Numbers:
        """The metric itself."""
        form = ".3f" if metric == LOSS else ".4f"
        return [(what, self.scores.of(at, metric), form)]

    def difference(
        self, what: str, a: Where, b: Where, metric: str = ACCURACY
    ) -> Numbers:
        """The metric at a minus that at b."""
        return [(what, self.scores.difference(a, b, metric))]

    def lift(self, name: str, a: Where, b: Where) -> Numbers:
        """Of a minus b: population accuracy; beside it test accuracy, loss, Brier."""
        return [
            *self.difference(f"{name}population accuracy", a, b),
            *self.difference("test accuracy", a, b, "test_accuracy"),
            ("population loss", self.scores.difference(a, b, LOSS), "+.3f"),
            *self.difference("Brier score", a, b, BRIER),
        ]

    def test_lift(self, name: str, a: Where, b: Where) -> Numbers:
        """The same, decided by test accuracy."""
        population, test, *rest = self.lift("", a, b)
        return [(f"{name}{test[0]}", *test[1:]), population, *rest]

    def best(
        self,
        name: str,
        placement: str,
        a: Sequence[float] = (0.03, 0.1, 0.3, 1.0),
        b: Sequence[float] = (),
    ) -> Numbers:
        """The best of some strengths against the best of others, or the worst."""
        better = self.scores.best_by_mean(placement, a)
        other = self.scores.best_by_mean(placement, b or a, worst=not b)
        return self.lift(name.format(better[2], other[2]), better, other)

    def spread(self, what: str, at: Where, metric: str = ACCURACY) -> Numbers:
        """The standard deviation, as the root of a mean over units."""
        values = self.scores.of(at, metric)
        squares = (values - values.mean()) ** 2
        return [(what, squares * len(values) / max(len(values) - 1, 1), ".4f", True)]

    def rise(self, what: str, at: Where) -> Numbers:
        """How far test accuracy rises to its peak, whose epoch is told."""
        rise, _, epochs = self.scores.rise_and_fall(at)
        return [(what.format(epochs), rise)]

    def fall(self, what: str, at: Where) -> Numbers:
        """How far test accuracy falls after its peak, whose epoch may be told."""
        _, fall, epochs = self.scores.rise_and_fall(at)
        return [(what.format(epochs), fall)]

    def gap(self, what: str, at: Where) -> Numbers:
        """How far train accuracy is above that of the population."""
        return [(what, self.scores.of(at, "train_accuracy") - self.scores.of(at))]

    def jumps(self, noisy: Where, none: Where) -> Numbers:
        """How much larger the largest change between measurements is than without."""
        test, test_none, train, train_none = (
            self.scores.jumps(where, f"{name}_accuracy")
            for name in ("test", "train")
            for where in (noisy, none)
        )
        every = int(np.diff(self.scores.results[self.study].epochs[:2])[0])
        what = f"largest change of test accuracy in {every} epochs of the later half"
        return [
            (what, test - test_none),
            ("without noise", test_none, ".4f"),
            ("of train accuracy", train - train_none),
        ]

    def inputs(self, what: str) -> Numbers:
        """Of the 100 points: over draws, or of the tutorial's, a fact."""
        by_draw = self.study == "draws"
        numbers = range(self.size.first, self.size.first + self.size.draws)
        points = []
        for draw in numbers if by_draw else [0]:
            data = data_of(STUDIES[by_draw], draw)
            points.append(np.concatenate([data["train"][0], data["test"][0]]))
        shares = [((x >= 0) & (x <= 1)).all(axis=1).mean() for x in points]
        if by_draw:
            return [(what, shares, ".3f")]
        (x,), (share,) = points, shares
        facts = {what: share, "smallest input": x.min(), "largest": x.max()}
        return [(name, np.full(len(x), fact), ".3f") for name, fact in facts.items()]

    def looks_best(self, placements: Sequence[str]) -> Numbers:
        """What the run is worth that has the best test accuracy of a draw."""
        runs = self.scores.results["draws"].runs
        asked = runs[runs["placement"].isin(placements)].dropna(subset="test_accuracy")
        best = asked.loc[asked.groupby("split")["test_accuracy"].idxmax()]
        what = "of the run that looks best on the 70 test points, test accuracy"
        scores = {what: best["test_accuracy"], "population accuracy": best[ACCURACY]}
        return [(name, values, ".4f") for name, values in scores.items()]

    def method(self, name: str, minus: str, metric: str = ACCURACY) -> Numbers:
        """One way of training minus another, at strengths that were chosen."""
        beside = {ACCURACY: LOSS, LOSS: ACCURACY}[metric]
        found = []
        for each in (metric, beside, BRIER):
            a, b = (
                self.scores.by_draw(method.format(over=self.over), each)
                for method in (name, minus)
            )
            what = each.replace("_", " ").replace("population brier", "Brier score")
            found.append((what, paired(a, b), "+.3f" if each == LOSS else "+.4f"))
        return found
