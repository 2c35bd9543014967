"""The plan of the runs behind the claims: what is trained, on which data, how often.

`STUDIES` is that of plan.toml, and `run_count` what it costs. At full size:

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

import tomllib
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _recipes import PARTS

import jaxnoise as jn

PLACEMENTS = ("input", "hidden", "activation", "weights", "gradients", "labels")
RIVALS = ("dropout", "weight decay", "max-norm", "label smoothing", "Jacobian penalty")
TEST_TIME = (("input", 0.01), ("hidden", 0.1), ("activation", 0.1))
FIRST_DRAW = 1_000_000  # the data's seed; the tutorial's is 1


class Cell(NamedTuple):
    """A placement and strength of the table, and the parts that make it."""

    placement: str
    parts: Mapping[str, float]
    strength: float = np.nan  # of several parts there is no one strength
    clean: bool = False  # whether the backward pass sees the clean values

    def columns(self) -> dict[str, Any]:
        """What tells it in the table of runs."""
        both = self.parts if self.placement == "both" else {}
        return {
            "placement": self.placement,
            "strength": self.strength,
            "strength.input": both.get("input", np.nan),
            "strength.hidden": both.get("hidden", np.nan),
        }


class Study(NamedTuple):
    """Some cells on some data."""

    name: str
    cells: tuple[Cell, ...]
    by_seed: bool = False  # a unit is a seed on one data set, else a draw
    train_size: int = 30
    scaler: str | None = None
    longer: int = 1  # times the epochs


def _cells(entry: Mapping[str, Any]) -> Iterator[Cell]:
    """Those that an entry of plan.toml stands for."""
    grids = [each if isinstance(each, list) else [each] for each in entry.values()]
    for values in product(*grids):
        parts = dict(zip(entry, values, strict=True))
        own = {
            name: parts.pop(name)
            for name in ("placement", "strength", "clean")
            if name in parts
        }
        if not parts and own["placement"] != "none":
            parts = {own["placement"]: own["strength"]}
        yield Cell(parts=parts, **own)


def _studies() -> Iterator[Study]:
    plan = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    for study in plan["study"]:
        cells = tuple(cell for entry in study.pop("cells") for cell in _cells(entry))
        yield Study(cells=cells, **study)


STUDIES = tuple(_studies())
TUTORIAL, DRAWS, *_ = (study.cells for study in STUDIES)
STRENGTHS = tuple(cell.strength for cell in DRAWS if cell.placement == "input")


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
