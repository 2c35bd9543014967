"""The plan of the runs behind the claims: what is trained, on which data, how often.

`STUDIES` is the plan, and `run_count` what it costs. At full size:

    study           data                             runs a unit  units        epochs
    tutorial        the tutorial's 100 points                  5  1,000 seeds   4,000
    draws           fresh points, 30 to train on              80  100 draws     4,000
    standardised    the same, mean 0 and variance 1            4  100 draws     4,000
    min-max         the same, from 0 to 1                      4  100 draws     4,000
    70 rows         the same, 70 to train on                   4  100 draws     4,000
    8,000 epochs    the same points                            2  100 draws     8,000
    all at once     standardised                               1  100 draws     8,000

14,500 runs, of which 300 are twice as long: what 14,800 of 4,000 epochs cost.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from _recipes import PARTS, UNBOUNDED

import jaxnoise as jn

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
PLACEMENTS = ("input", "hidden", "activation", "weights", "gradients", "labels")
RIVALS = {
    "dropout": (0.1, 0.2, 0.3, 0.5, 0.7, 0.9),
    "weight decay": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "max-norm": (0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
    "label smoothing": (0.01, 0.03, 0.1, 0.2, 0.4, 0.8),
    "Jacobian penalty": STRENGTHS,
}
GRID = (0.01, 0.03, 0.1), (0.03, 0.1, 0.3)  # on the inputs, before the activation
DROPOUT, LIMIT = 0.5, 4.0  # beside noise
FIRST_DRAW = 1_000_000  # the data's seed; the tutorial's is 1


class Cell(NamedTuple):
    """A placement and strength of the table, and the parts that make it."""

    placement: str
    parts: Mapping[str, float]
    strength: float = np.nan  # of several parts there is no one strength
    clean: bool = False  # whether the backward pass sees the clean values

    def columns(self) -> dict[str, Any]:
        """What tells it in the table of runs."""
        several = self.placement == "both"
        return {
            "placement": self.placement,
            "strength": self.strength,
            "strength.input": self.parts["input"] if several else np.nan,
            "strength.hidden": self.parts["hidden"] if several else np.nan,
        }


def one(placement: str, strength: float) -> Cell:
    """A placement that is a part itself."""
    return Cell(placement, {placement: strength}, strength)


def both(first: float, second: float) -> Cell:
    """Noise on the inputs and before the activation."""
    return Cell("both", {"input": first, "hidden": second})


NONE = Cell("none", {}, 0.0)
NOISED = (  # one program, its noises on and off
    Cell("none", {"input": 0.0, "hidden": 0.0}, 0.0),
    Cell("input", {"input": 0.01, "hidden": 0.0}, 0.01),
    Cell("hidden", {"input": 0.0, "hidden": 0.1}, 0.1),
    both(0.01, 0.1),
)
TUTORIAL = (
    NONE,
    one("input", 0.01),
    one("hidden", 0.1),
    one("activation", 0.1),
    both(0.01, 0.1),
)
BESIDE = (
    Cell(
        "hidden + dropout",
        {"hidden": 0.1, "dropout": DROPOUT, "max-norm": UNBOUNDED},
        0.1,
    ),
    Cell("hidden + max-norm", {"hidden": 0.1, "dropout": 0.0, "max-norm": LIMIT}, 0.1),
)
CLEAN = (
    Cell("hidden, clean backward", {"hidden": 0.1, "weights": 0.0}, 0.1, clean=True),
    Cell("weights, clean backward", {"hidden": 0.0, "weights": 0.03}, 0.03, clean=True),
)
ALL_AT_ONCE = Cell(
    "all at once",
    {
        "input": 0.01,
        "hidden": 0.1,
        "activation": 0.1,
        "dropout": DROPOUT,
        "max-norm": LIMIT,
    },
)
DRAWS = (
    NONE,
    *(one(placement, s) for placement in PLACEMENTS for s in STRENGTHS),
    *(both(first, second) for first in GRID[0] for second in GRID[1]),
    *(one(rival, s) for rival, grid in RIVALS.items() for s in grid),
    *BESIDE,
    *CLEAN,
)
TEST_TIME = (one("input", 0.01), one("hidden", 0.1), one("activation", 0.1))


class Study(NamedTuple):
    """Some cells on some data."""

    name: str
    cells: tuple[Cell, ...]
    by_seed: bool = False  # a unit is a seed on one data set, else a draw
    train_size: int = 30
    scaler: str | None = None
    longer: int = 1  # times the epochs


STUDIES = (
    Study("tutorial", TUTORIAL, by_seed=True),
    Study("draws", DRAWS),
    Study("standardised", NOISED, scaler="StandardScaler"),
    Study("min-max", NOISED, scaler="MinMaxScaler"),
    Study("70 rows", NOISED, train_size=70),
    Study("8,000 epochs", (NOISED[0], NOISED[2]), longer=2),
    Study("all at once", (ALL_AT_ONCE,), scaler="StandardScaler", longer=2),
)


class Size(NamedTuple):
    """How much is trained."""

    seeds: int
    draws: int
    first: int = 0  # seed and draw
    epochs: int = 4000
    population: int = 20_000
    validation: int = 200
    one_program: bool = False  # every part in it, mostly off: less to compile


def run_count(size: Size) -> tuple[int, int]:
    """The number of runs, and that of runs of ``size.epochs`` that cost the same."""
    runs = [
        (len(study.cells) * (size.seeds if study.by_seed else size.draws), study.longer)
        for study in STUDIES
    ]
    return sum(n for n, _ in runs), sum(n * longer for n, longer in runs)


def data_of(study: Study, draw: int, size: Size) -> jn.Data:
    """The points of a study: the tutorial's, or a draw's."""
    data = jn.data.circles(
        train_size=study.train_size,
        seed=1 if study.by_seed else FIRST_DRAW + draw,
        validation=size.validation,
        population=size.population,
    )
    if study.scaler is None:
        return data
    from sklearn import preprocessing  # slow to import

    scaler = getattr(preprocessing, study.scaler)().fit(data.train[0])
    return jn.Data(**{name: (scaler.transform(x), y) for name, (x, y) in data.items()})


def levels_of(cell: Cell, size: Size) -> dict[str, float]:
    """The strengths of the parts of a cell's program."""
    everything = size.one_program and not cell.clean
    return dict(PARTS) | dict(cell.parts) if everything else dict(cell.parts)
