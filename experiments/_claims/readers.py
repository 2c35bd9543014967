"""What readers of the tutorial say or ask, and noise against its rivals.

JG, Michael, Borja and rtoengi are readers; questions are put as claims.
"""

from collections.abc import Iterator

import pandas as pd

from _claims.plan import (
    DROPOUT,
    LIMIT,
    PLACEMENTS,
    RIVALS,
    STRENGTHS,
)
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
    measure,
)
from _claims.scores import ACCURACY, EARLY, LOSS, Scores, Where, by_draw, paired
from _claims.tutorial import HIDDEN, INPUT, NONE

US = "this study"
REACHED = 0.857  # 60 of 70 test points, the lower of the two figures of JG
LOOKED_AT = ("none", "input", "hidden", "both")  # JG's grid
TOGETHER = "Noise on inputs and hidden layer together does better than on one."
HALF = Range(0.45, 0.55)
SMALL = (0.01, 0.03, 0.1)  # where an expansion for small noise may hold
PLAIN, NOISY = ("draws", *NONE), ("draws", *HIDDEN)


def readers(scores: Scores) -> Iterator[Claim]:
    """All claims of readers."""
    found = {
        "rtoengi": {
            "After the activation, strengths of 0.1 and 0.3 are best.": _best(scores),
            "A strength of 1 under-fits.": _under_fits(scores),
        },
        "JG": _variants(scores) | _tuning(scores),
        "Borja": _test_time(scores),
        "Michael": _backward(scores),
    }
    yield Claim(TOGETHER, "JG", THIS, _together(scores))
    for by, claims in found.items():
        for says, measures in claims.items():
            yield Claim(says, by, DRAWS, measures)


def rivals(scores: Scores, methods: pd.DataFrame) -> Iterator[Claim]:
    """Noise against alternatives, each at the strength that validation rows choose."""
    any_noise = scores.chosen(PLACEMENTS)["score"]
    helps = measure(
        "population accuracy, place and strength chosen on validation rows",
        paired(any_noise, by_draw(methods, "none")),
        above(0),
    )
    yield Claim("Noise in one of six places helps.", US, DRAWS, [helps])
    for rival in (*RIVALS, EARLY):
        accuracy, loss = (
            paired(by_draw(methods, "hidden", m), by_draw(methods, rival, m))
            for m in (ACCURACY, LOSS)
        )
        yield Claim(
            f"Noise before the activation does better than {rival}.",
            US,
            DRAWS,
            [
                measure("population accuracy", accuracy, above(0)),
                measure("population loss", loss, form="+.3f"),
            ],
        )
    same = [
        measure(
            f"population accuracy at {s:g}, noise minus penalty",
            scores.difference(("draws", "input", s), ("draws", "Jacobian penalty", s)),
            LITTLE,
        )
        for s in SMALL
    ]
    yield Claim(
        "Noise on the inputs acts like the Jacobian penalty that it approximates.",
        US,
        DRAWS,
        same,
    )


def _together(scores: Scores) -> list[Measure]:
    """On the tutorial's points, at its strengths."""
    both = ("tutorial", "both", None)
    one = {"hidden layer": ("tutorial", *HIDDEN), "inputs": ("tutorial", *INPUT)}
    return [
        measure(
            f"population accuracy, both minus {place} alone",
            scores.difference(both, where),
            above(0),
        )
        for place, where in one.items()
    ]


def _best(scores: Scores) -> list[Measure]:
    """The best strength within, and the best beyond, chosen on validation rows."""
    inside = scores.best_by_mean("activation", (0.1, 0.3))
    outside = scores.best_by_mean("activation", (0.003, 0.01, 0.03, 1.0))
    name = f"{inside[2]:g} minus {outside[2]:g}, the best of the others, "
    return scores.lift(inside, outside, above(0), name)


def _under_fits(scores: Scores) -> list[Measure]:
    strong = ("draws", "activation", 1.0)
    train = scores.difference(strong, PLAIN, "train_accuracy")
    lifted, *beside = scores.lift(strong, PLAIN, below(0))
    return [measure("train accuracy", train, below(-ROPE)), lifted, *beside]


def _variants(scores: Scores) -> dict[str, list[Measure]]:
    """Of the data, the length of training, and what else is beside noise."""
    together, alone = (
        scores.chosen(places)["score"] for places in (["both"], ["input", "hidden"])
    )
    longer = "8,000 epochs"
    without = scores.difference((longer, *NONE), PLAIN)
    return {
        TOGETHER: [measure("population accuracy", paired(together, alone), above(0))],
        "Standardised inputs do better.": scores.lift(
            ("standardised", *NONE), PLAIN, above(0)
        ),
        "Inputs scaled to [0, 1] do better.": scores.lift(
            ("min-max", *NONE), PLAIN, above(0)
        ),
        "70 rows to train on do better than 30.": scores.lift(
            ("70 rows", *NONE), PLAIN, above(0)
        ),
        "With 70 rows noise helps, too.": scores.lift(
            ("70 rows", *HIDDEN), ("70 rows", *NONE), above(0)
        ),
        "With noise, 8,000 epochs do better than 4,000.": [
            *scores.lift((longer, *HIDDEN), NOISY, above(0)),
            measure("population accuracy without noise", without),
        ],
        f"Dropout of {DROPOUT:g} adds to noise.": scores.lift(
            ("draws", "hidden + dropout", 0.1), NOISY, above(0)
        ),
        f"A max-norm of {LIMIT:g} adds to noise.": scores.lift(
            ("draws", "hidden + max-norm", 0.1), NOISY, above(0)
        ),
    }


def _tuning(scores: Scores) -> dict[str, list[Measure]]:
    """The strength, everything at once, and what a tuned test accuracy is worth."""
    best = scores.best_by_mean("hidden", STRENGTHS)
    worst = scores.best_by_mean("hidden", STRENGTHS, worst=True)
    everything: Where = ("all at once", "all at once", None)
    table = scores.table(LOOKED_AT)
    looks_best = table.loc[table.groupby("split")["test_accuracy"].idxmax()]
    best_of = "of the run that looks best on the 70 test points, {} accuracy"
    return {
        "The strength of the noise matters.": scores.lift(
            best, worst, above(ROPE), f"{best[2]:g} minus {worst[2]:g}, "
        ),
        "All at once gives about 50 %.": [
            measure("population accuracy", scores.of(everything), HALF, form=".4f"),
            measure(
                "train accuracy", scores.of(everything, "train_accuracy"), form=".4f"
            ),
            measure("population loss", scores.of(everything, LOSS), form=".3f"),
        ],
        "Tuning reaches 85.7 %.": [
            measure(
                best_of.format("population"),
                looks_best[ACCURACY],
                above(REACHED),
                form=".4f",
            ),
            measure("test accuracy", looks_best["test_accuracy"], form=".4f"),
        ],
    }


def _test_time(scores: Scores) -> dict[str, list[Measure]]:
    """With the noise off minus with the noise on."""

    def measures(kind: str, claimed: Range) -> list[Measure]:
        def cost(where: Where, metric: str = ACCURACY) -> pd.Series:
            return scores.of(where, metric) - scores.of(where, f"{kind}_{metric}")

        what = "population accuracy with noise off minus on"
        found = [measure(f"{what}, hidden 0.1", cost(NOISY), claimed)]
        for place, strength in (("input", 0.01), ("activation", 0.1)):
            where = ("draws", place, strength)
            found.append(measure(f"{place} {strength:g}", cost(where)))
        loss = measure("population loss, hidden 0.1", cost(NOISY, LOSS), form="+.3f")
        return [*found, loss]

    return {
        "At test time noise is better off than on.": measures("noisy", above(0)),
        "Ten noisy passes averaged are as good as a clean one.": measures(
            "averaged", LITTLE
        ),
    }


def _backward(scores: Scores) -> dict[str, list[Measure]]:
    return {
        f"The backward pass may see noisy or clean values, with noise on {place}.": (
            scores.lift(
                ("draws", placement, strength),
                ("draws", f"{placement}, clean backward", strength),
                LITTLE,
                "noisy minus clean, ",
            )
        )
        for place, placement, strength in (
            ("the hidden layer", "hidden", 0.1),
            ("the weights", "weights", 0.03),
        )
    }
