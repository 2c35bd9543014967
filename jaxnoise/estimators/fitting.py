"""How an estimator's networks train and predict.

A fit is a sweep of a few runs, one a network of the ensemble, so that a search trains
the very same runs, many at a time. Where training goes on from weights that are there,
`Continued` takes the parts of a run instead.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from jaxnoise.data import Data
from jaxnoise.estimators.recipe import MEASURED, NetworkRecipe, outputs_program
from jaxnoise.results import SweepResult
from jaxnoise.training.devices import compiler_options, use_all_cores
from jaxnoise.training.keys import key_of_seed
from jaxnoise.training.recipe import Settings
from jaxnoise.training.run import State, run_of
from jaxnoise.training.sweep import sweep

BLOCK = (
    128  # rows that are predicted together: of always one shape, which compiles once
)
REPORTS = 50  # of a fit's progress
NEEDLESS = (  # of what a user of scikit-learn asks nothing
    "JAX has one CPU device",
    "the runs of '",
    "train: ",
)


@dataclass(frozen=True)
class Task:
    """All that training takes but its seeds.

    Attributes:
        recipe: of the network.
        numbers: that the recipe gets.
        data: the rows; with ``validation`` where training stops early.
        epochs: passes through them, at most.
        batch_size: rows of a minibatch.
    """

    recipe: NetworkRecipe
    numbers: dict[str, float]
    data: Data
    epochs: int
    batch_size: int

    @property
    def curves(self) -> tuple[str, ...]:
        """The sets of which every epoch is measured."""
        return tuple(self.data)


def as_one_program() -> Any:
    """How many runs a sweep takes at once: on a CPU one, as one fit does."""
    return 1 if jax.default_backend() == "cpu" else "auto"


def train(task: Task, seeds: Sequence[int], verbose: int) -> SweepResult:
    """Networks of these seeds."""
    prepare_devices()
    every = max(1, task.epochs // REPORTS)
    with warnings.catch_warnings(), _bar(task.epochs, verbose) as on_metrics:
        for message in NEEDLESS:
            warnings.filterwarnings("ignore", message)
        return sweep(
            {"fit": task.recipe},
            strengths={"fit": [{**task.numbers, MEASURED: 1.0}]},
            data=task.data,
            seeds=seeds,
            epochs=task.epochs,
            batch_size=task.batch_size,
            curves=task.curves,
            vectorize=as_one_program(),
            keep_params=True,
            progress=False,
            checkpoint_every=every if on_metrics else None,
            on_metrics=on_metrics,
        )


def prepare_devices() -> None:
    """One CPU device a core, unless JAX has started before."""
    try:
        use_all_cores()
    except RuntimeError:
        pass


@contextmanager
def _bar(epochs: int, verbose: int) -> Iterator[Any]:
    """What is told of a fit's progress: a bar on stderr, or nothing."""
    if not verbose:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        shown = bar.add_task("compiling", total=epochs)

        def on_metrics(runs: Any, epoch: int, metrics: dict[str, np.ndarray]) -> None:
            told = [f"{name} {values.mean():.4g}" for name, values in metrics.items()]
            text = "  ".join(told).replace("_", " ")
            bar.update(shown, completed=epoch, description=text)

        yield on_metrics


class Continued:
    """Training that goes on from where it was.

    Args:
        task: what is trained.
        seed: of what is drawn.
    """

    def __init__(self, task: Task, seed: int) -> None:
        settings = Settings(task.epochs, task.batch_size, task.curves)
        self.parts = _parts(task.recipe, settings)
        self.arguments = key_of_seed(seed), task.numbers, task.data, np.uint32(0)

    def train(self, first: int, epochs: int, **given: Any) -> tuple[Any, State]:
        """What some epochs leave, and the state to go on from.

        Args:
            first: the number of epochs so far, from which the order of rows follows.
            epochs: their number.
            **given: fields of the state to begin with, such as the variables.
        """
        state, curves = self.parts["begin"](*self.arguments)
        state = state._replace(**given)
        if state.best is not None and "variables" in given:
            best = state.best._replace(variables=given["variables"])
            state = state._replace(best=best)
        last = np.int32(first + epochs)
        going = *self.arguments, state, curves, np.int32(first), last
        state, curves = self.parts["go_on"](*going)
        result = self.parts["end"](*self.arguments, state, curves)
        return jax.device_get((result, state))


@lru_cache(maxsize=128)
def _parts(recipe: NetworkRecipe, settings: Settings) -> dict[str, Any]:
    """The compiled parts of a run."""

    def compiled(part: str) -> Any:
        def run(key: Any, numbers: Any, data: Data, split: Any, *given: Any) -> Any:
            made = run_of(recipe, settings, key, numbers, data, split)
            return getattr(made, part)(*given)

        return jax.jit(run, compiler_options=compiler_options())

    return {part: compiled(part) for part in ("begin", "go_on", "end")}


def outputs_of(
    recipe: NetworkRecipe, numbers: dict[str, float], networks: Sequence[Any], x: Any
) -> np.ndarray:
    """Of each network the clean outputs for all rows: (network, row, output).

    A row's outputs do not depend on the others, to the last bit.
    """
    program = outputs_program(recipe)
    variables = jax.tree.map(lambda *leaves: np.stack(leaves), *networks)
    blocks = []
    for at in range(0, len(x), BLOCK):
        block = x[at : at + BLOCK]
        gap = [(0, BLOCK - len(block))] + [(0, 0)] * (x.ndim - 1)
        outputs = program(variables, numbers, np.pad(block, gap))
        blocks.append(np.asarray(outputs)[:, : len(block)])
    return np.concatenate(blocks, axis=1)
