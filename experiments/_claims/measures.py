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
from _claims.rules import DRAWS, THIS, Claim, Measure, Range, fact, measure, range_of
from _claims.runs import MEASURED_EVERY
from _claims.scores import ACCURACY, LOSS, Scores, Where, by_draw, paired

STUDY = {THIS: "tutorial", DRAWS: "draws"}


def all_claims(scores: Scores, methods: pd.DataFrame, size: Size) -> Iterator[Claim]:
    """Every claim, wherever it is looked at."""
    table = tomllib.loads(Path(__file__).with_name("claims.toml").read_text("utf-8"))
    for claim in table["claim"]:
        for on in claim["on"]:
            measured = Measured(scores, methods, size, STUDY[on])
            numbers = [n for asked in claim["numbers"] for n in measured.of(**asked)]
            yield Claim(claim["says"], claim["by"], on, numbers)


class Measured:
    """Numbers of the runs, in the study that a claim is looked at in."""

    def __init__(
        self, scores: Scores, methods: pd.DataFrame, size: Size, study: str
    ) -> None:
        self.scores, self.methods, self.size = scores, methods, size
        self.study = study

    def of(self, claimed: str | None = None, **asked: Any) -> list[Measure]:
        """What is asked for by the name of a function, whose first argument it has."""
        places = {
            name: self.place(value)
            if isinstance(value, str) and "/" in value
            else value
            for name, value in asked.items()
        }
        (kind, first), *more = places.items()
        return getattr(self, kind)(first, range_of(claimed), **dict(more))

    def place(self, text: str) -> Where:
        """Study, placement and strength, if there is one strength."""
        study, placement, *strength = text.format(study=self.study).split("/")
        return study, placement, float(strength[0]) if strength else None

    def score(
        self, what: str, claimed: Range | None, at: Where, metric: str = ACCURACY
    ) -> list[Measure]:
        """The metric itself."""
        form = ".3f" if metric == LOSS else ".4f"
        return [measure(what, self.scores.of(at, metric), claimed, form=form)]

    def difference(
        self,
        what: str,
        claimed: Range | None,
        a: Where,
        b: Where,
        metric: str = ACCURACY,
    ) -> list[Measure]:
        """The metric at a minus that at b."""
        return [measure(what, self.scores.difference(a, b, metric), claimed)]

    def lift(
        self, name: str, claimed: Range | None, a: Where, b: Where
    ) -> list[Measure]:
        """Of a minus b: population accuracy decides, test accuracy and loss do not."""
        found = {
            f"{name}population accuracy": (ACCURACY, claimed, "+.4f"),
            "test accuracy": ("test_accuracy", None, "+.4f"),
            "population loss": (LOSS, None, "+.3f"),
        }
        return [
            measure(what, self.scores.difference(a, b, metric), where, form=form)
            for what, (metric, where, form) in found.items()
        ]

    def best(
        self,
        name: str,
        claimed: Range | None,
        placement: str,
        a: Sequence[float] = STRENGTHS,
        b: Sequence[float] = (),
    ) -> list[Measure]:
        """The best of some strengths against the best of others, or the worst."""
        better = self.scores.best_by_mean(placement, a)
        other = self.scores.best_by_mean(placement, b or a, worst=not b)
        return self.lift(name.format(better[2], other[2]), claimed, better, other)

    def spread(
        self, what: str, claimed: Range | None, at: Where, metric: str = ACCURACY
    ) -> list[Measure]:
        """The standard deviation, as the root of a mean over units."""
        values = self.scores.of(at, metric)
        squares = (values - values.mean()) ** 2
        squares *= len(values) / max(len(values) - 1, 1)
        return [measure(what, squares, claimed, form=".4f", root=True)]

    def rise_and_fall(self, at: Where, _: Range | None) -> list[Measure]:
        """Of test accuracy, both of which are claimed."""
        rise, fall, epochs = self.scores.rise_and_fall(at)
        above = range_of("above 0")
        return [
            measure(f"rise of test accuracy to {_epoch(epochs)}", rise, above),
            measure("fall from there to the end", fall, above),
        ]

    def fall(self, what: str, claimed: Range | None, at: Where) -> list[Measure]:
        """How far test accuracy falls after its peak."""
        _, fall, epochs = self.scores.rise_and_fall(at)
        return [measure(f"{what} {_epoch(epochs)}", fall, claimed)]

    def gap(self, what: str, claimed: Range | None, at: Where) -> list[Measure]:
        """How far train accuracy is above that of the population."""
        gap = self.scores.of(at, "train_accuracy") - self.scores.of(at)
        return [measure(what, gap, claimed)]

    def jumps(self, noisy: Where, _: Range | None, none: Where) -> list[Measure]:
        """How much more accuracy changes between measurements than without noise."""
        test, test_none, train, train_none = (
            self.scores.jumps(where, f"{name}_accuracy")
            for name in ("test", "train")
            for where in (noisy, none)
        )
        what = f"mean size of a change of test accuracy in {MEASURED_EVERY} epochs"
        return [
            measure(what, test - test_none, range_of("above 0")),
            measure("without noise", test_none, form=".4f"),
            measure("of train accuracy", train - train_none),
        ]

    def tolerated(self, what: str, claimed: Range | None) -> list[Measure]:
        """How many more strengths cost little before the activation than on inputs."""
        hidden, inputs = (self.scores.tolerated(place) for place in ("hidden", "input"))
        return [measure(what, hidden - inputs, claimed)]

    def inputs(self, what: str, claimed: Range | None) -> list[Measure]:
        """Of the 100 points: on the tutorial's data, or over draws."""
        small = self.size._replace(population=1, validation=1)
        mine, draws = STUDIES[:2]

        def points(study: Any, draw: int) -> np.ndarray:
            data = data_of(study, draw, small)
            return np.concatenate([data["train"][0], data["test"][0]])

        def inside(x: np.ndarray) -> float:
            return float(((x >= 0) & (x <= 1)).all(axis=1).mean())

        if self.study == "draws":
            numbers = range(self.size.first, self.size.first + self.size.draws)
            shares = [inside(points(draws, draw)) for draw in numbers]
            return [measure(what, shares, claimed, form=".3f")]
        x = points(mine, 0)
        return [
            fact(what, inside(x), len(x), claimed),
            fact("smallest input", float(x.min()), len(x)),
            fact("largest", float(x.max()), len(x)),
        ]

    def chosen(
        self, what: str, claimed: Range | None, a: Sequence[str], b: Sequence[str]
    ) -> list[Measure]:
        """What validation rows choose of some placements, minus what of others."""
        first, second = (self.scores.chosen(places)["score"] for places in (a, b))
        return [measure(what, paired(first, second), claimed)]

    def looks_best(
        self, placements: Sequence[str], claimed: Range | None
    ) -> list[Measure]:
        """What the run is worth that has the best test accuracy of a draw."""
        table = self.scores.table(placements)
        best = table.loc[table.groupby("split")["test_accuracy"].idxmax()]
        what = "of the run that looks best on the 70 test points, population accuracy"
        return [
            measure(what, best[ACCURACY], claimed, form=".4f"),
            measure("test accuracy", best["test_accuracy"], form=".4f"),
        ]

    def off_minus_on(self, kind: str, claimed: Range | None) -> list[Measure]:
        """What leaving the noise on at test time costs, ``noisy`` or ``averaged``."""

        def cost(at: str, metric: str = ACCURACY) -> pd.Series:
            where = self.place(at)
            noisy = self.scores.of(where, f"{kind}_{metric}")
            return self.scores.of(where, metric) - noisy

        hidden, what = "draws/hidden/0.1", "population accuracy with noise off minus on"
        return [
            measure(f"{what}, hidden 0.1", cost(hidden), claimed),
            measure("input 0.01", cost("draws/input/0.01")),
            measure("activation 0.1", cost("draws/activation/0.1")),
            measure("population loss, hidden 0.1", cost(hidden, LOSS), form="+.3f"),
        ]

    def rival(self, name: str, claimed: Range | None) -> list[Measure]:
        """Noise before the activation minus a rival, at strengths that were chosen."""
        accuracy, loss = (
            paired(*(by_draw(self.methods, each, m) for each in ("hidden", name)))
            for m in (ACCURACY, LOSS)
        )
        return [
            measure("population accuracy", accuracy, claimed),
            measure("population loss", loss, form="+.3f"),
        ]


def _epoch(epochs: list[int]) -> str:
    """The peak, or the peaks by the two halves of the units."""
    return "epoch " + " or ".join(map(str, epochs))
