"""What all estimators share: from rows and parameters to networks, and back.

`Network` fits, whatever the network and the targets; what targets mean is said in
`jaxnoise.estimators.targets`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from jaxnoise.data import Data
from jaxnoise.estimators.fitting import Continued, Task, outputs_of, train
from jaxnoise.estimators.parameters import check_parameters, numbers_of
from jaxnoise.estimators.recipe import CLASSES, TWO, Build, NetworkRecipe
from jaxnoise.estimators.tables import (
    Rows,
    Standard,
    as_weights,
    columns_of,
    merged,
    padded,
)
from jaxnoise.pickling import Pickled

AUTO_BATCH = 32
DIVERGED = (
    "the training diverged: its loss or weights are no finite numbers; lower "
    "learning_rate_init or the noise"
)


@dataclass(eq=False, repr=False, kw_only=True)
class Network(Pickled, BaseEstimator):
    """An estimator that trains networks of one kind; its fields are its parameters."""

    input_noise: float = 0.0
    weight_noise: float = 0.0
    gradient_noise: float = 0.0
    label_noise: float = 0.0
    alpha: float = 1.0
    max_norm: float | None = None
    learning_rate_init: float = 1e-3
    batch_size: Any = "auto"
    max_epochs: int = 200
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    optimizer: Any = "adam"
    n_ensemble: int = 1
    random_state: Any = None
    warm_start: bool = False
    verbose: int = 0

    _rates: ClassVar[tuple[str, ...]] = ("dropout",)
    _rows_may_have_axes: ClassVar[bool] = False
    _rows_are_apart: ClassVar[bool] = True  # no output depends on other rows

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on all rows, from the start unless ``warm_start`` is True.

        Args:
            X: numbers, shape (rows, columns): an array, or a frame of pandas or polars.
            y: the targets.
            sample_weight: a weight for each row; 2 counts as two such rows.

        Returns:
            The estimator itself.
        """
        self._check()
        going_on = self.warm_start and hasattr(self, "variables_")
        entropy = drawn(self.random_state)
        task = self.task_(X, y, sample_weight, entropy=entropy, keep=going_on)
        seeds = self.seeds_of(entropy)
        if going_on:
            self._go_on(task, 0, task.epochs)
            return self
        result = train(task, seeds, self.verbose)
        if not result.complete:
            raise KeyboardInterrupt
        if not result.runs["finite"].all():
            raise ValueError(f"{type(self).__name__}: {DIVERGED}.")
        self.take_(task, seeds, result.variables, result.curves)
        return self

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted estimator to a file without code, for `jaxnoise.load`.

        Args:
            path: of the file: safetensors, with JSON for all that is no array.
        """
        from jaxnoise.estimators.saving import save

        check_is_fitted(self, "variables_")
        save(self, path)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        """One epoch through these rows; the optimiser's state is kept between calls."""
        self._check()
        keep = hasattr(self, "variables_")
        entropy = drawn(self.random_state) if not keep else 0
        task = replace(
            self.task_(X, y, sample_weight, entropy=entropy, keep=keep, stop=False),
            epochs=1,
        )
        if not keep:
            self._seeds, self.n_iter_ = self.seeds_of(entropy), 0
            self._optimizer_states: list[Any] | None = None
            self.loss_curve_: list[float] = []
        self._go_on(task, self.n_iter_, 1, partial=True)
        return self

    def _go_on(
        self, task: Task, first: int, epochs: int, *, partial: bool = False
    ) -> None:
        """More epochs from the variables so far, if there are any."""
        variables, curves, states = [], [], []
        for i, seed in enumerate(self._seeds):
            given = {}
            if hasattr(self, "variables_"):
                given["variables"] = self.variables_[i]
            if partial and self._optimizer_states:
                given["opt_state"] = self._optimizer_states[i]
            result, state = Continued(task, seed).train(first, epochs, **given)
            if not result.finite:
                raise ValueError(f"{type(self).__name__}: {DIVERGED}.")
            variables.append(result.variables)
            curves.append(result.curves)
            states.append(state.opt_state)
        earlier, n_iter = (self.loss_curve_, self.n_iter_) if partial else ([], 0)
        stacked = {name: np.stack([c[name] for c in curves]) for name in curves[0]}
        self.take_(task, self._seeds, variables, stacked)
        self.loss_curve_ = [*earlier, *self.loss_curve_]
        self.n_iter_ += n_iter
        self._optimizer_states = states if partial else None

    def task_(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        entropy: int,
        keep: bool = False,
        stop: bool = True,
    ) -> Task:
        """What a fit on these rows trains; keeps what is to be known of them.

        Args:
            X: the rows.
            y: their targets.
            sample_weight: a weight each, or None.
            entropy: of the validation rows.
            keep: whether columns, classes and scales are those of before.
            stop: whether early stopping takes some rows away.
        """
        nd = self._rows_may_have_axes
        x = columns_of(self, X, reset=not keep, nd=nd)
        y = self._encoded(y, keep)
        check_consistent_length(x, y)
        rows = Rows(x, y, as_weights(sample_weight, x) * self._class_weights(y))
        sets = {}
        if self.early_stopping and stop:
            rows, sets["validation"] = self._divided(rows, entropy)
        rows = merged(rows, self._batch())
        self._check_rows(rows, keep)
        if not keep:
            self._scale(rows)
        sets["train"] = rows
        if self._rows_are_apart:
            sets = {name: padded(each, self._batch()) for name, each in sets.items()}
        weighted = any(np.ptp(each.weight) > 0 for each in sets.values())
        data = {name: self._set(each, weighted) for name, each in sets.items()}
        self._row = x.shape[1:]
        self._recipe = NetworkRecipe(
            self._build(self._row),
            self._targets,
            self._outputs,
            self.optimizer,
            int(self.n_iter_no_change) if "validation" in sets else None,
            weighted,
        )
        numbers = self.numbers_()
        epochs, batch = int(self.max_epochs), self._batch()
        return Task(self._recipe, numbers, Data(**data), epochs, batch)

    def numbers_(self) -> dict[str, Any]:
        """All that the recipe gets traced."""
        return numbers_of(self)

    def take_(
        self,
        task: Task,
        seeds: Sequence[int],
        variables: Sequence[Any],
        curves: dict[str, np.ndarray],
    ) -> None:
        """Be fitted: by the networks of these seeds, and their curves."""
        self.predict_by_(task.numbers, seeds, variables)
        losses = curves["train_loss"]
        ran = np.isfinite(losses).sum(axis=1).max()
        self.loss_curve_ = np.nanmean(losses[:, :ran], axis=0).tolist()
        self.n_iter_, self.loss_ = int(ran), self.loss_curve_[-1]
        if "validation" in task.data:
            scores = self._scores(task, curves)[:, :ran]
            self.validation_scores_ = np.nanmean(scores, axis=0).tolist()
            self.best_validation_score_ = max(self.validation_scores_)

    def predict_by_(
        self, numbers: dict[str, Any], seeds: Sequence[int], variables: Sequence[Any]
    ) -> None:
        """Be able to predict."""
        self.variables_ = tuple(variables)
        self._seeds, self._optimizer_states = list(seeds), None
        self._numbers = numbers

    def seeds_of(self, entropy: int) -> list[int]:
        """One for each network; more networks change no earlier one's."""
        words = np.random.SeedSequence(entropy).generate_state(self.n_ensemble)
        return list(map(int, words))

    def _networks_outputs(self, X: Any) -> np.ndarray:
        """Of each network: (network, row, output)."""
        check_is_fitted(self, "variables_")
        x = columns_of(self, X, reset=False, nd=self._rows_may_have_axes)
        x = self._columns.apply(x) if self._columns else x
        return outputs_of(self._recipe, self._numbers, self.variables_, x)

    def _check(self) -> None:
        check_parameters(self, self._rates)

    def _batch(self) -> int:
        return AUTO_BATCH if isinstance(self.batch_size, str) else int(self.batch_size)

    def _divided(self, rows: Rows, entropy: int) -> tuple[Rows, Rows]:
        """The rows to train on, and those that tell when to stop."""
        rows = rows.at(rows.weight > 0)
        n = len(rows.x)
        held = max(1, round(self.validation_fraction * n))
        if held >= n:
            raise ValueError(
                f"early_stopping must have 2 rows or more, got n_samples = {n}."
            )
        counts = np.unique(rows.y, return_counts=True)[1] if rows.y.ndim == 1 else [0]
        fits = self._targets in (CLASSES, TWO) and min(counts) > 1
        fits = fits and len(counts) <= min(held, n - held)
        parts = train_test_split(
            np.arange(n),
            test_size=held,
            random_state=entropy % 2**32,
            stratify=rows.y if fits else None,
        )
        return rows.at(parts[0]), rows.at(parts[1])

    def _scale(self, rows: Rows) -> None:
        """Keep what brings columns to one scale."""
        self._columns: Standard | None = Standard.of(rows.x, rows.weight)

    def _set(self, rows: Rows, weighted: bool) -> tuple[Any, Any]:
        """The rows as the network gets them."""
        x = self._columns.apply(rows.x) if self._columns else rows.x
        y = self._scaled(rows.y)
        if not weighted:
            return x, y
        weight = rows.weight / rows.weight.mean()
        return x, {"y": y, "weight": weight.astype(np.float32)}

    def _build(self, shape: tuple[int, ...]) -> Build:
        """What makes the network, for rows of this shape."""
        raise NotImplementedError


def drawn(random_state: Any) -> int:
    """One number of a seed, a generator of either kind, or NumPy's own for None."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**32))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**32, dtype=np.int64))
    if random_state is None:
        return int(np.random.default_rng().integers(2**32))
    whole = isinstance(random_state, int | np.integer)
    if not whole or isinstance(random_state, bool) or random_state < 0:
        raise ValueError(
            "random_state must be None, an int of at least 0, a "
            "numpy.random.RandomState or a numpy.random.Generator, "
            f"got {random_state!r}."
        )
    return int(random_state)
