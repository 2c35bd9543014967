"""The candidates of a search, and their training as sweeps.

`Candidate` is one row of the grid. `trained` brings candidates that differ in traced
numbers alone into a sweep a fold, and compiles once for each form of the rows and each
set of noises that is on; all else loops.
"""

import copy
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from jaxnoise.checks import shown
from jaxnoise.estimators.base import Network
from jaxnoise.estimators.fitting import NEEDLESS, Task, as_one_program, prepare_devices
from jaxnoise.estimators.parameters import NOISES, TRACED
from jaxnoise.estimators.recipe import MEASURED, NetworkRecipe
from jaxnoise.results import SweepResult, strength_columns
from jaxnoise.training.devices import local_mesh
from jaxnoise.training.plan import Plan, plan_runs
from jaxnoise.training.program import compile_jobs, signature_of, trace_jobs
from jaxnoise.training.recipe import Settings
from jaxnoise.training.sweep import sweep

Params = Mapping[str, Any]
NOISE_WORDS = ("noise", "stddev", "rate")  # in the names of a module's own arguments


@dataclass(frozen=True)
class Candidate:
    """One choice of parameters.

    Attributes:
        params: as the grid has them.
        steps: those of a Pipeline before its last, with these parameters; or None.
        network: the estimator with them.
        last: the prefix of its parameters' names.
    """

    params: Params
    steps: Any
    network: Network
    last: str

    @classmethod
    def of(cls, estimator: Any, params: Params) -> "Candidate":
        """An estimator, or a Pipeline that ends in one, with parameters set."""
        piped = isinstance(estimator, Pipeline)
        network = estimator.steps[-1][1] if piped else estimator
        if not isinstance(network, Network):
            raise TypeError(
                "estimator must be one of jaxnoise, such as jn.NoisyMLPClassifier(), "
                f"or a Pipeline that ends in one, got {shown(network)}."
            )
        made = clone(estimator).set_params(**clone(dict(params), safe=False))
        if not piped:
            return cls(params, None, made, "")
        *before, (name, network) = made.steps
        return cls(params, Pipeline(before) if before else None, network, f"{name}__")

    @property
    def noises(self) -> dict[str, float]:
        """Those that are on, by name."""
        given = self.network.get_params()
        own = {k: v for k, v in given.items() if k in NOISES or _is_own_noise(k)}
        return {name: float(value) for name, value in own.items() if value}

    def without_noise(self, estimator: Any) -> "Candidate":
        """The same, with all noise off."""
        off = {f"{self.last}{name}": 0.0 for name in self.noises}
        return Candidate.of(estimator, {**self.params, **off})

    def names(self) -> tuple[str, str]:
        """What tells apart steps before the network, and networks that do not share."""
        before = {k: v for k, v in self.params.items() if not k.startswith(self.last)}
        own = {k: v for k, v in self.network.get_params(deep=False).items()}
        own |= {"module_params": self.network._build((0,)), "random_state": None}
        static = {k: v for k, v in own.items() if k not in TRACED and k != "verbose"}
        return joblib.hash(before) if self.last else "", _name_of(static)


def _is_own_noise(name: str) -> bool:
    own = name.startswith("module__")
    return own and any(word in name for word in NOISE_WORDS)


def _name_of(static: Params) -> str:
    try:
        return joblib.hash(static)
    except Exception:  # holds functions that no pickle takes
        return joblib.hash(repr(sorted(static.items(), key=str)))


@dataclass(eq=False)
class Fold:
    """One division of the rows, prepared for a network.

    Attributes:
        network: that knows the rows' classes and scales.
        task: what it trains.
        number: of the fold.
        train: X and y of the rows to train on, as they reach the network.
        test: the same of those to score.
    """

    network: Network
    task: Task
    number: int
    train: tuple[Any, Any]
    test: tuple[Any, Any]


@dataclass(frozen=True)
class Trained:
    """A candidate's network of one fold and seed; None where it diverged or is lost."""

    candidate: int
    fold: Fold
    seed: int
    network: Network | None
    seconds: float


@dataclass(frozen=True)
class Rows:
    """What a search trains on.

    Attributes:
        X: all rows.
        y: their targets.
        weight: a weight each, or None.
        splits: train and test rows of each fold.
        seeds: the states of the candidates' randomness.
    """

    X: Any
    y: Any
    weight: Any
    splits: Sequence[tuple[np.ndarray, np.ndarray]]
    seeds: Sequence[int]
    sweeping: dict[str, Any] = field(default_factory=dict)


def trained(candidates: Sequence[Candidate], rows: Rows) -> Iterator[Trained]:
    """All candidates on all folds and seeds."""
    groups: dict[tuple[str, str], list[int]] = {}
    for i, candidate in enumerate(candidates):
        candidate.network._check()
        groups.setdefault(candidate.names(), []).append(i)
    prepare_devices()
    for names, members in groups.items():
        first = candidates[members[0]]
        own = first.network.early_stopping  # rows that each seed holds back
        each = [[seed] for seed in rows.seeds] if own else [rows.seeds]
        data = list(_prepared(first, rows))
        folds = [
            (seeds, _fold(first.network, prepared, seeds[0]))
            for seeds in each
            for prepared in data
        ]
        sweeps = Sweeps({i: candidates[i] for i in members}, rows.sweeping)
        sweeps.compile([fold.task for _, fold in folds])
        for seeds, fold in folds:
            name = joblib.hash((names, fold.number, seeds if own else 0))[:8]
            yield from sweeps.trained(fold, seeds, name)


def _prepared(candidate: Candidate, rows: Rows) -> Iterator[tuple[Any, ...]]:
    """Of each fold number, train and test rows behind the steps, and weights."""
    for number, (train, test) in enumerate(rows.splits):
        (X, X_test), (y, y_test) = (
            [None if part is None else _safe_indexing(part, at) for at in (train, test)]
            for part in (rows.X, rows.y)
        )
        weight = None if rows.weight is None else rows.weight[train]
        if candidate.steps is not None:
            steps = clone(candidate.steps)
            X, X_test = steps.fit_transform(X, y), steps.transform(X_test)
        yield number, (X, y), (X_test, y_test), weight


def _fold(network: Network, prepared: tuple[Any, ...], seed: int) -> Fold:
    number, (X, y), test, weight = prepared
    network = clone(network)
    task = network.task_(X, y, weight, entropy=seed)
    return Fold(network, task, number, (X, y), test)


class Sweeps:
    """Candidates whose networks share all but traced numbers, in a sweep a fold.

    A fold is a sweep of its own, so that noise is drawn as in a fit of it alone, and
    that no more networks are held at once than its own.

    Args:
        candidates: by their numbers.
        options: of `sweep`.
    """

    def __init__(self, candidates: Mapping[int, Candidate], options: Params) -> None:
        self.candidates, self.options = candidates, options
        self.numbers = {i: each.network.numbers_() for i, each in candidates.items()}
        self.placements = {i: "+".join(_on(n)) for i, n in self.numbers.items()}
        # without early stopping nobody reads how epochs went
        self.measured = float(
            any(c.network.early_stopping for c in candidates.values())
        )
        levels: dict[str, dict[Any, Any]] = {}
        for i, placement in self.placements.items():
            own = self.numbers[i] | {MEASURED: self.measured}
            levels.setdefault(placement, {})[_bits(own)] = own
        self.strengths = {name: [*each.values()] for name, each in levels.items()}

    def compile(self, tasks: Sequence[Task]) -> None:
        """The programs of all folds side by side.

        Folds may differ by a row, and one that fills its minibatches has no weights.
        """
        kept_elsewhere = self.options["store"] or self.options["executor"]
        if kept_elsewhere or as_one_program() == "auto":
            return
        alike: dict[NetworkRecipe, list[Task]] = {}
        for task in tasks:
            alike.setdefault(task.recipe, []).append(task)
        plans = map(self._plan, alike.values())
        compile_jobs([job for plan in plans for job in trace_jobs(plan)])

    def _plan(self, tasks: Sequence[Task]) -> Plan:
        """One run of each placement, on each form of the rows of one recipe."""
        splits = [*{signature_of(task.data): task.data for task in tasks}.values()]
        task, seeds = tasks[0], [0]
        recipes = dict.fromkeys(self.strengths, task.recipe)
        settings = Settings(
            task.epochs, task.batch_size, task.curves, vectorize=as_one_program()
        )
        runs = plan_runs(recipes, self.strengths, seeds, len(splits))
        mesh, kept = local_mesh(), {*seeds}
        return Plan(recipes, self.strengths, splits, runs, kept, settings, mesh)

    def trained(self, fold: Fold, seeds: Sequence[int], name: str) -> Iterator[Trained]:
        """The networks of a fold; ``name`` tells it apart in a store."""
        task = fold.task
        members = {seed: fold.network.seeds_of(seed) for seed in seeds}
        named = {place: f"{place} {name}" for place in self.strengths}
        with warnings.catch_warnings():
            for message in NEEDLESS[1:]:
                warnings.filterwarnings("ignore", message)
            result = sweep(
                dict.fromkeys(named.values(), task.recipe),
                strengths={named[place]: of for place, of in self.strengths.items()},
                data=task.data,
                seeds=[each for several in members.values() for each in several],
                epochs=task.epochs,
                batch_size=task.batch_size,
                curves=task.curves,
                vectorize=as_one_program(),
                keep_params=True,
                **self.options,
            )
        if not result.complete and "missing" not in result.runs.attrs:
            raise KeyboardInterrupt
        places, seconds = _places(result), result.run_seconds + result.compile_seconds
        share = seconds / max(1, len(result.runs))
        for i, candidate in self.candidates.items():
            numbers, placement = self.numbers[i], named[self.placements[i]]
            bits = _bits({**numbers, MEASURED: self.measured})
            for seed, own in members.items():
                where = [(placement, bits, one) for one in own]
                runs = [places.get(each) for each in where]
                made = _network(candidate, numbers, fold, own, runs, result)
                yield Trained(i, fold, seed, made, share * len(own))


def _on(numbers: Params) -> list[str]:
    return sorted(name for name in numbers if name in TRACED) or ["none"]


def _bits(numbers: Any) -> tuple[tuple[str, float], ...]:
    """What a strength is to a program."""
    columns = strength_columns(numbers)
    return tuple(sorted((k, float(np.float32(v))) for k, v in columns.items()))


def _places(result: SweepResult) -> dict[Any, int]:
    """The row of each run."""
    columns = [c for c in result.runs if str(c).startswith("strength.")]
    found = {}
    for i, row in enumerate(result.runs.to_dict("records")):
        known = {c: row[c] for c in columns if row[c] == row[c]}
        bits = tuple(sorted((c, float(np.float32(v))) for c, v in known.items()))
        found[row["placement"], bits, row["seed"]] = i
    return found


def _network(
    candidate: Candidate,
    numbers: dict[str, Any],
    fold: Fold,
    seeds: Sequence[int],
    runs: Sequence[int | None],
    result: SweepResult,
) -> Network | None:
    """The candidate, fitted by runs of the sweep."""
    there = [run for run in runs if run is not None]
    if len(there) < len(runs) or not result.runs["finite"].iloc[there].all():
        return None
    network = copy.copy(fold.network)
    network.set_params(**candidate.network.get_params(deep=False))
    network.predict_by_(numbers, seeds, [result.variables[run] for run in there])
    return network


def scores_of(
    trained: Trained, scorer: Any, error_score: Any, train_too: bool
) -> tuple[dict[str, Any], dict[str, Any], float]:
    """Scores of test rows and, if asked for, of train rows, and the time."""
    started, found = time.perf_counter(), []
    for X, y in [trained.fold.test, trained.fold.train][: 1 + train_too]:
        if trained.network is None:
            names = getattr(scorer, "_scorers", {"score": None})
            found.append(dict.fromkeys(names, error_score))
        else:
            score = scorer(trained.network, X, y)
            found.append(score if isinstance(score, dict) else {"score": score})
    return found[0], found[-1], time.perf_counter() - started
