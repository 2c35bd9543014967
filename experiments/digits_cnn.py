r"""Does noise help a convolutional network? Digits of 8 × 8 and of 28 × 28 pixels.

    python experiments/digits_cnn.py

trains two blocks of convolution, activation and pooling without noise and with it at
every site, on the same seeds, and tells what each placement is worth on test rows, at
the strength that validation rows chose. The level to reach on scikit-learn's division
of its digits into halves is 0.96, for all of the first half and twice the epochs:

    python experiments/digits_cnn.py --data digits --placement none --validation 0 \
        --epochs 60 --seeds 3
"""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

import _options as o
import _study as study

import jaxnoise as jn

PLACEMENTS = ("input", "hidden", "activation", "pool")
STRENGTHS: dict[str, Sequence[float]] = {
    "input": (0.03, 0.1, 0.3),
    "hidden": (0.1, 0.3, 1),
    "activation": (0.1, 0.3, 1),
    "pool": (0.1, 0.3, 1),
}
EVERY = 4  # of MNIST's 4,000 test rows: measuring all takes longer than training


def mnist5k(train_size: int | None, *, validation: int, seed: int) -> jn.Data:
    """MNIST's digits, with some of the test rows, which stand in order of class."""
    data = jn.data.mnist5k(train_size, validation=validation, seed=seed)
    x, y = data.test
    return jn.Data(**{**data, "test": (x[::EVERY], y[::EVERY])})


STUDIES: dict[str, dict[str, Any]] = {
    "digits": {
        "data": jn.data.digits,
        "validation": 200,
        "epochs": 30,
        "batch_size": 16,
        "question": "Would noise raise the accuracy of a convolutional network on "
        "scikit-learn's digits of 8 × 8 pixels, 698 of them to train on?",
    },
    "mnist5k": {
        "data": mnist5k,
        "train_size": 500,
        "validation": 250,
        "epochs": 20,
        "batch_size": 32,
        "question": "Would noise raise the accuracy of a convolutional network on 500 "
        "of MNIST's digits?",
    },
}
FEATURES = {"digits": (32, 64), "mnist5k": (8, 16)}
LEARNING_RATE = 2e-3


def studies(options: argparse.Namespace) -> list[study.Study]:
    """A study a data set."""
    return [
        study.Study(
            name=f"{name}-cnn",
            recipe=partial(
                study.noisy_recipe,
                partial(jn.CNN, FEATURES[name], 10),
                loss=jn.losses.softmax_cross_entropy,
                metrics={"accuracy": jn.metrics.accuracy},
                learning_rate=options.learning_rate,
            ),
            strengths=STRENGTHS,
            **STUDIES[name],
        )
        for name in (STUDIES if options.data == "all" else [options.data])
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print, write; the exit code."""
    parser = study.parser(
        "digits_cnn.py", __doc__, PLACEMENTS, learning_rate=LEARNING_RATE
    )
    parser.add_argument(
        "--data", choices=[*STUDIES, "all"], default="all", help="the data set"
    )
    return study.main(parser, argv, PLACEMENTS, studies)


if __name__ == "__main__":
    o.run(main)
