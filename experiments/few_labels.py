"""Which noise helps when labels are few? Tables and digits with 20, 50, 100 train rows.

    python experiments/few_labels.py

trains a small network on draws of few rows of a data set, without noise and with it in
five places, and tells what each place is worth on test rows, at the strength that
validation rows chose. The intervals are over the draws: they speak of other rows of the
same data set. Validation rows have labels, too; with so few, choose before by thought.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import _options as o
import _study as study

import jaxnoise as jn

PLACEMENTS = ("input", "hidden", "activation", "weights", "labels")
STRENGTHS: dict[str, Sequence[float]] = {
    "input": (0.1, 0.3, 1),
    "hidden": (0.3, 1, 3),
    "activation": (0.3, 1, 3),
    "weights": (0.01, 0.03, 0.1),
    "labels": (0.05, 0.1, 0.2),
}
TRAIN_SIZES = (20, 50, 100)
UNITS = 100
EPOCHS = 200
LEARNING_RATE = 3e-3
BATCH_SIZE = 32
DRAWS = 10


class Task(NamedTuple):
    """A data set: its loader, its classes, and rows to choose on."""

    load: Callable[..., jn.Data]
    classes: int
    validation: int


TASKS = {
    "breast_cancer": Task(jn.data.breast_cancer, 2, 100),
    "wine": Task(jn.data.wine, 3, 30),
    "digits": Task(jn.data.digits, 10, 100),
}


def studies(options: argparse.Namespace) -> list[study.Study]:
    """A study a data set and number of train rows."""
    names = TASKS if options.data == "all" else [options.data]
    return [
        _study(name, size, options) for name in names for size in options.train_size
    ]


def _study(name: str, size: int, options: argparse.Namespace) -> study.Study:
    task = TASKS[name]
    binary = task.classes == 2
    loss: Any = jn.losses.softmax_cross_entropy
    accuracy: Any = jn.metrics.accuracy
    if binary:
        loss, accuracy = jn.losses.binary_cross_entropy, jn.metrics.binary_accuracy
    return study.Study(
        name=f"{name}-{size}",
        data=task.load,
        recipe=partial(
            study.noisy_recipe,
            partial(jn.MLP, (UNITS,), 1 if binary else task.classes),
            loss=loss,
            metrics={"accuracy": accuracy},
            learning_rate=options.learning_rate,
            classes=task.classes,
        ),
        strengths=STRENGTHS,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        train_size=size,
        validation=task.validation,
        question=f"Would noise raise the accuracy of a network of {UNITS} units that "
        f"is trained on {size} rows of {name}? Train rows are drawn afresh from the "
        "data set: intervals speak of other draws from it, not of new data.",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print, write; the exit code."""
    parser = study.parser(
        "few_labels.py",
        __doc__,
        PLACEMENTS,
        learning_rate=LEARNING_RATE,
        draws=DRAWS,
    )
    parser.add_argument(
        "--data", choices=[*TASKS, "all"], default="all", help="the data set"
    )
    parser.add_argument(
        "--train-size",
        type=o.count,
        nargs="+",
        default=list(TRAIN_SIZES),
        metavar="N",
        help="train rows",
    )
    return study.main(parser, argv, PLACEMENTS, studies, train_size=[TRAIN_SIZES[0]])


if __name__ == "__main__":
    o.run(main)
