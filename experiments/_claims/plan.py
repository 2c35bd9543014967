"""The plan of the runs behind the claims: what is trained, on which data, how often.

`STUDIES` are those of plan.toml, `run_count` what they cost, and `train` trains one of
them: a placement at a strength is a cell, and a unit a seed on the tutorial's points or
a draw of fresh ones.
"""

import math
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from _recipes import clean_backward, left_on, own_start, parts_of, recipe
from _rivals import decayed, noises, rivals, sweep

import jaxnoise as jn

PLAN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
PLACES = ("input", "hidden", "activation", "weights", "gradients", "labels")
MAIN = "hidden"
WAYS: dict[str, Callable[..., jn.Recipe]] = {  # of what is trained or judged otherwise
    "clean backward": clean_backward,
    "left on": partial(left_on, passes=1),
    "ten passes": partial(left_on, passes=10),
}
BATCH_SIZE = 32
MEASURED = 40  # times in a run
WITH_CURVES = ("none", "input", MAIN)  # all that claims ask when they were best


def with_rivals() -> dict[str, list[Any]]:
    """Noises and all that they are held against, with their candidates."""
    return noises(PLACES) | rivals() | decayed(MAIN)


class Study(NamedTuple):
    """Some cells on some data."""

    name: str
    cells: dict[str, list[Any]]
    by_seed: bool = False  # a unit is a seed on one data set, else a draw
    rivals: bool = False  # whether noises and rivals are trained, too
    curves: tuple[str, ...] = ()
    train_size: int = 30
    scaler: str | None = None
    longer: int = 1  # times the epochs
    share: float = 1.0  # of the draws, the first
    population: int = PLAN["population"]

    def grids(self) -> dict[str, list[Any]]:
        """Strengths by placement."""
        more = with_rivals() if self.rivals else {}
        names = dict.fromkeys([*self.cells, *more])
        return {n: [*self.cells.get(n, []), *more.get(n, [])] for n in names}


STUDIES = tuple(Study(**study) for study in PLAN["study"])


class Size(NamedTuple):
    """How much is trained.

    Attributes:
        seeds: on the tutorial's points.
        draws: of fresh points.
        first: seed and draw.
        epochs: of most studies.
        toy: whether to leave out most placements, as in a quick run.
    """

    seeds: int
    draws: int
    first: int = 0
    epochs: int = 4000
    toy: bool = False

    def studies(self) -> list[tuple[Study, dict[str, list[Any]]]]:
        """By study its grids; at toy size the first two, and few placements."""
        if not self.toy:
            return [(study, study.grids()) for study in STUDIES]
        few = ("none", "input", "hidden", "dropout")
        return [
            (study, {name: grid for name, grid in study.grids().items() if name in few})
            for study in STUDIES[:2]
        ]

    def units(self, study: Study) -> int:
        """How many seeds or draws a study has."""
        return self.seeds if study.by_seed else math.ceil(study.share * self.draws)


def run_count(size: Size) -> tuple[int, int]:
    """The number of runs, and that of runs of ``size.epochs`` that cost the same."""
    runs = [
        (size.units(study) * sum(map(len, grids.values())), study.longer)
        for study, grids in size.studies()
    ]
    return sum(n for n, _ in runs), sum(n * longer for n, longer in runs)


def data_of(study: Study, draw: int) -> jn.Data:
    """The points of a study: the tutorial's, or a draw's."""
    seeds = {"seed": PLAN["seed"] + draw}
    seeds["population_seed"] = PLAN["population_seed"] + draw
    data = jn.data.circles(
        train_size=study.train_size,
        validation=PLAN["validation"],
        population=study.population,
        **({} if study.by_seed else seeds),
    )
    if study.scaler is None:
        return data
    from sklearn import preprocessing  # slow to import

    scaler = getattr(preprocessing, study.scaler)().fit(data.train[0])
    return jn.Data(**{name: (scaler.transform(x), y) for name, (x, y) in data.items()})


def built(placement: str, by_seed: bool, strength: Any) -> jn.Recipe:
    """The recipe of a cell."""
    _, _, way = placement.partition(", ")
    made = WAYS.get(way, recipe)(parts_of(placement, strength))
    return made if by_seed else own_start(made)


def train(
    study: Study, grids: dict[str, list[Any]], size: Size, store: Path
) -> jn.SweepResult:
    """The runs of a study; those in the store are not trained again."""
    units = range(size.first, size.first + size.units(study))
    data = [data_of(study, draw) for draw in ([0] if study.by_seed else units)]
    for each in data:
        each.overlap = 0.0  # draws share no points
    epochs = size.epochs * study.longer
    return sweep(
        {name: partial(built, name, study.by_seed) for name in grids},
        WITH_CURVES if study.rivals else list(grids),
        strengths={name: grid for name, grid in grids.items() if name != "none"},
        data=data if len(data) > 1 else data[0],
        seeds=units if study.by_seed else [size.first],
        epochs=epochs,
        batch_size=BATCH_SIZE,
        curves=study.curves,
        metrics_every=max(1, epochs // MEASURED),
        store=store,
    )
