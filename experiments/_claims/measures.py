"""The claims of claims.toml, and how each of their numbers is measured.

The tutorial is J. Brownlee's "How to Improve Deep Learning Model Robustness by Adding
Noise" (machinelearningmastery.com, 2018).
"""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from _claims.plan import STRENGTHS, STUDIES, Size, data_of
from _claims.rules import DRAWS, THIS, Claim, Measure, measure, range_of
from _claims.runs import MEASURED_EVERY
from _claims.scores import ACCURACY, LOSS, Scores, Where, by_draw, paired

STUDY = {THIS: "tutorial", DRAWS: "draws"}
Numbers = list[tuple[Any, ...]]  # arguments of `measure`: what, values, form, root


def all_claims(scores: Scores, methods: pd.DataFrame, size: Size) -> Iterator[Claim]:
    """Every claim, wherever it is looked at."""
    table = tomllib.loads(Path(__file__).with_name("claims.toml").read_text("utf-8"))
    for claim in table["claim"]:
        for on in claim["on"]:
            measured = Measured(scores, methods, size, STUDY[on])
            numbers = [n for asked in claim["numbers"] for n in measured.of(**asked)]
            yield Claim(claim["says"], claim["by"], on, numbers)


class Measured:
    """Numbers of the runs, in the study that a claim is looked at in.

    A method gives the number that is claimed first, and then those beside it.
    """

    def __init__(
        self, scores: Scores, methods: pd.DataFrame, size: Size, study: str
    ) -> None:
        self.scores, self.methods, self.size = scores, methods, size
        self.study = study

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
        """Of a minus b: population accuracy; test accuracy and loss decide nothing."""
        return [
            *self.difference(f"{name}population accuracy", a, b),
            *self.difference("test accuracy", a, b, "test_accuracy"),
            ("population loss", self.scores.difference(a, b, LOSS), "+.3f"),
        ]

    def best(
        self,
        name: str,
        placement: str,
        a: Sequence[float] = STRENGTHS,
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
        """How much more accuracy changes between measurements than without noise."""
        test, test_none, train, train_none = (
            self.scores.jumps(where, f"{name}_accuracy")
            for name in ("test", "train")
            for where in (noisy, none)
        )
        what = f"mean size of a change of test accuracy in {MEASURED_EVERY} epochs"
        return [
            (what, test - test_none),
            ("without noise", test_none, ".4f"),
            ("of train accuracy", train - train_none),
        ]

    def tolerated(self, what: str) -> Numbers:
        """How many more strengths cost little before the activation than on inputs."""
        hidden, inputs = (self.scores.tolerated(place) for place in ("hidden", "input"))
        return [(what, hidden - inputs)]

    def inputs(self, what: str) -> Numbers:
        """Of the 100 points: over draws, or of the tutorial's, a fact."""
        small = self.size._replace(population=1, validation=1)
        mine, draws = STUDIES[:2]

        def points(study: Any, draw: int) -> np.ndarray:
            data = data_of(study, draw, small)
            return np.concatenate([data["train"][0], data["test"][0]])

        def inside(x: np.ndarray) -> float:
            return float(((x >= 0) & (x <= 1)).all(axis=1).mean())

        if self.study == "draws":
            numbers = range(self.size.first, self.size.first + self.size.draws)
            return [(what, [inside(points(draws, draw)) for draw in numbers], ".3f")]
        x = points(mine, 0)
        facts = {what: inside(x), "smallest input": x.min(), "largest": x.max()}
        return [(name, np.full(len(x), fact), ".3f") for name, fact in facts.items()]

    def chosen(self, what: str, a: Sequence[str], b: Sequence[str]) -> Numbers:
        """What validation rows choose of some placements, minus what of others."""
        first, second = (self.scores.chosen(places)["score"] for places in (a, b))
        return [(what, paired(first, second))]

    def looks_best(self, placements: Sequence[str]) -> Numbers:
        """What the run is worth that has the best test accuracy of a draw."""
        table = self.scores.table(placements)
        best = table.loc[table.groupby("split")["test_accuracy"].idxmax()]
        what = "of the run that looks best on the 70 test points, population accuracy"
        scores = {what: best[ACCURACY], "test accuracy": best["test_accuracy"]}
        return [(name, values, ".4f") for name, values in scores.items()]

    def off_minus_on(self, kind: str) -> Numbers:
        """What leaving the noise on at test time costs, ``noisy`` or ``averaged``."""

        def cost(at: str, metric: str = ACCURACY) -> pd.Series:
            where = self.place(at)
            noisy = self.scores.of(where, f"{kind}_{metric}")
            return self.scores.of(where, metric) - noisy

        hidden, what = "draws/hidden/0.1", "population accuracy with noise off minus on"
        return [
            (f"{what}, hidden 0.1", cost(hidden)),
            ("input 0.01", cost("draws/input/0.01")),
            ("activation 0.1", cost("draws/activation/0.1")),
            ("population loss, hidden 0.1", cost(hidden, LOSS), "+.3f"),
        ]

    def rival(self, name: str) -> Numbers:
        """Noise before the activation minus a rival, at strengths that were chosen."""
        accuracy, loss = (
            paired(*(by_draw(self.methods, each, m) for each in ("hidden", name)))
            for m in (ACCURACY, LOSS)
        )
        return [("population accuracy", accuracy), ("population loss", loss, "+.3f")]
