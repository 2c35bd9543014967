"""Which noise helps when labels are few? Tables and digits with 20, 50, 100 train rows.

    python experiments/few_labels.py

trains a small network on draws of few rows of a data set, without noise, with it in
five places and with its rivals, and tells what each is worth on test rows, at what
every draw's validation rows chose; a linear model and gradient boosting stand beside.
The intervals are over the draws: they speak of other rows of the same data set.
Validation rows have labels, too; with so few, choose before by thought.
"""

import argparse
from functools import partial

import _options as o
import _study as study
from _recipes import METRICS
from _rivals import noises
from _tables import others

import jaxnoise as jn

STRENGTHS = noises(("input", "hidden", "activation", "weights", "labels"))
PLACEMENTS = tuple(STRENGTHS)
TRAIN_SIZES = [20, 50, 100]
UNITS = 100
TASKS = {  # a loader, its classes, and rows to choose on
    "breast_cancer": (jn.data.breast_cancer, 2, 100),
    "wine": (jn.data.wine, 3, 30),
    "digits": (jn.data.digits, 10, 100),
}
LOSSES = jn.losses.binary_cross_entropy, jn.losses.softmax_cross_entropy


def studies(options: argparse.Namespace) -> list[study.Study]:
    """A study a data set and number of train rows."""
    names = TASKS if options.data == "all" else [options.data]
    return [few(name, size) for name in names for size in options.train_size]


def few(name: str, size: int) -> study.Study:
    """The study of a data set with so many rows to train on."""
    load, classes, validation = TASKS[name]
    several = classes > 2
    loss, metrics = LOSSES[several], (METRICS, study.CLASSES)[several]
    model = partial(jn.MLP, (UNITS,), classes if several else 1)
    return study.Study(
        name=f"{name}-{size}",
        data=load,
        recipe=study.network(model, loss, metrics, classes=classes),
        strengths=STRENGTHS,
        epochs=200,
        batch_size=32,
        train_size=size,
        validation=validation,
        others=others(metrics | {"loss": loss}, classes),
        question=f"Would noise raise the accuracy of a network of {UNITS} units that "
        f"is trained on {size} rows of {name}? Train rows are drawn afresh from the "
        "data set: intervals speak of other draws from it, not of new data.",
    )


def add_train_size(parser: o.Parser) -> None:
    """The script's own option."""
    several = {"nargs": "+", "metavar": "N"}
    parser.option("--train-size", o.count, TRAIN_SIZES, "train rows", **several)


main = study.Script(
    "few_labels.py",
    __doc__,
    studies,
    PLACEMENTS,
    learning_rate=3e-3,
    choice=("data", list(TASKS), "the data set"),
    add=add_train_size,
    quick={"train_size": TRAIN_SIZES[:1]},
)

if __name__ == "__main__":
    o.run(main)
