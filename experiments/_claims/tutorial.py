"""The claims of the tutorial, and what is measured of each.

The tutorial is J. Brownlee's "How to Improve Deep Learning Model Robustness by Adding
Noise" (machinelearningmastery.com, 2018).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from _claims.plan import STUDIES, Size, Study, data_of
from _claims.rules import (
    DRAWS,
    LITTLE,
    ROPE,
    THIS,
    Claim,
    Measure,
    Range,
    above,
    below,
    fact,
    measure,
)
from _claims.runs import MEASURED_EVERY
from _claims.scores import Scores, Where

STUDY = {THIS: "tutorial", DRAWS: "draws"}
TEST_POINT = 1 / 70  # one of the tutorial's 70, in accuracy
LARGE = (0.1, 0.3, 1.0)  # for noise on the inputs, of which the tutorial takes 0.01
NONE, INPUT, HIDDEN = ("none", 0.0), ("input", 0.01), ("hidden", 0.1)
ACTIVATION = ("activation", 0.1)


def tutorial(scores: Scores, size: Size) -> Iterator[Claim]:
    """All of them; those of its four models on its data and over draws."""

    def claim(says: str, on: str, measures: list[Measure]) -> Claim:
        return Claim(says, "tutorial", on, measures)

    def everywhere(says: str, measures_on: list[list[Measure]]) -> Iterator[Claim]:
        for on, measures in zip(STUDY, measures_on, strict=True):
            yield claim(says, on, measures)

    studies = list(STUDY.values())
    yield claim("Repeats of the overfit model vary little.", THIS, _repeats(scores))
    yield from everywhere(
        "The overfit model's test accuracy rises and then falls.",
        [_rise_and_fall(scores, (study, *NONE)) for study in studies],
    )
    yield from everywhere(
        "Noise of 0.01 on the inputs lifts test accuracy, and does not harm training "
        "accuracy.",
        [_unharmed(scores, (study, *INPUT), (study, *NONE)) for study in studies],
    )
    yield from everywhere(
        "With noise on the inputs accuracy jumps about while training.",
        [_jumps(scores, (study, *INPUT), (study, *NONE)) for study in studies],
    )
    yield from everywhere(
        "With noise on the inputs it still rises and then falls.",
        [_rise_and_fall(scores, (study, *INPUT)) for study in studies],
    )
    yield claim("Less of it, 0.003, would do better.", DRAWS, _lower(scores))
    yield from everywhere(
        "Noise of 0.1 before the activation lifts test accuracy markedly.",
        [
            scores.lift((study, *HIDDEN), (study, *NONE), above(ROPE))
            for study in studies
        ],
    )
    yield from everywhere(
        "It removes the overfitting.",
        [_overfitting(scores, (study, *HIDDEN), (study, *NONE)) for study in studies],
    )
    yield from everywhere(
        "Before or after the activation makes little difference.",
        [
            scores.lift(
                (study, *HIDDEN), (study, *ACTIVATION), LITTLE, "before minus after, "
            )
            for study in studies
        ],
    )
    yield claim(
        "Hidden layers stand larger strengths than inputs.", DRAWS, _larger(scores)
    )
    yield from everywhere("The inputs lie in [0, 1].", _inputs(size))


def _repeats(scores: Scores) -> list[Measure]:
    """Standard deviations, as roots of means over seeds."""

    def spread(
        what: str, where: Where, metric: str, claimed: Range | None = None
    ) -> Measure:
        values = scores.of(where, metric)
        squares = (values - values.mean()) ** 2
        squares *= len(values) / max(len(values) - 1, 1)
        return measure(what, squares, claimed, form=".4f", root=True)

    mine, draws, population = ("tutorial", *NONE), ("draws", *NONE), "of population"
    return [
        spread(
            "standard deviation of test accuracy between seeds",
            mine,
            "test_accuracy",
            below(TEST_POINT),
        ),
        spread(f"{population} accuracy", mine, "population_accuracy", below(ROPE)),
        spread(f"{population} accuracy between draws", draws, "population_accuracy"),
    ]


def _rise_and_fall(scores: Scores, where: Where) -> list[Measure]:
    rise, fall, epochs = scores.rise_and_fall(where)
    return [
        measure(f"rise of test accuracy to {_epoch(epochs)}", rise, above(0)),
        measure("fall from there to the end", fall, above(0)),
    ]


def _epoch(epochs: list[int]) -> str:
    """The peak, or the peaks by the two halves of the units."""
    return "epoch " + " or ".join(map(str, epochs))


def _unharmed(scores: Scores, noisy: Where, none: Where) -> list[Measure]:
    lifted, *beside = scores.lift(noisy, none, above(0))
    train = scores.difference(noisy, none, "train_accuracy")
    return [lifted, measure("train accuracy", train, above(-ROPE)), *beside]


def _jumps(scores: Scores, noisy: Where, none: Where) -> list[Measure]:
    """How much more accuracy changes between measurements than without noise."""

    def jumps(where: Where, name: str) -> pd.Series:
        return scores.jumps(where, f"{name}_accuracy")

    there = jumps(none, "test")
    train = jumps(noisy, "train") - jumps(none, "train")
    return [
        measure(
            f"mean size of a change of test accuracy in {MEASURED_EVERY} epochs",
            jumps(noisy, "test") - there,
            above(0),
        ),
        measure("without noise", there, form=".4f"),
        measure("of train accuracy", train),
    ]


def _lower(scores: Scores) -> list[Measure]:
    lower, usual, higher = (("draws", "input", s) for s in (0.003, 0.01, 0.1))
    more = scores.difference(higher, usual)
    return [
        *scores.lift(lower, usual, above(0), "0.003 minus 0.01, "),
        measure("0.1 minus 0.01, population accuracy", more),
    ]


def _larger(scores: Scores) -> list[Measure]:
    hidden, inputs = (scores.tolerated(place) for place in ("hidden", "input"))
    what = "largest strength that costs at most {:g} of accuracy, in steps of the grid"
    return [
        measure(f"{what.format(ROPE)}, hidden minus input", hidden - inputs, above(0)),
        *(
            measure(
                f"population accuracy at {s:g}",
                scores.difference(("draws", "hidden", s), ("draws", "input", s)),
            )
            for s in LARGE
        ),
    ]


def _overfitting(scores: Scores, noisy: Where, none: Where) -> list[Measure]:
    """The tutorial's two signs of it: train above test, and a fall after the peak."""

    def gap(where: Where) -> pd.Series:
        return scores.of(where, "train_accuracy") - scores.of(where)

    _, fall, epochs = scores.rise_and_fall(noisy)
    return [
        measure("train minus population accuracy", gap(noisy), below(ROPE)),
        measure(f"fall of test accuracy from {_epoch(epochs)}", fall, below(ROPE)),
        measure("train minus population accuracy without noise", gap(none)),
    ]


def _inputs(size: Size) -> list[list[Measure]]:
    """Whether all of the 100 points lie in [0, 1] x [0, 1]: on its data, over draws."""
    small = size._replace(population=1, validation=1)
    mine_study, draws_study = STUDIES[:2]

    def points(study: Study, draw: int) -> np.ndarray:
        data = data_of(study, draw, small)
        return np.concatenate([data["train"][0], data["test"][0]])

    def inside(x: np.ndarray) -> float:
        return float(((x >= 0) & (x <= 1)).all(axis=1).mean())

    mine = points(mine_study, 0)
    draws = [inside(points(draws_study, size.first + i)) for i in range(size.draws)]
    what, all_of_them = "share of points with both inputs in it", above(1 - 1e-9)
    return [
        [
            fact(what, inside(mine), len(mine), all_of_them),
            fact("smallest input", float(mine.min()), len(mine)),
            fact("largest", float(mine.max()), len(mine)),
        ],
        [measure(what, draws, all_of_them, form=".3f")],
    ]
