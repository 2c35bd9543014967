"""One run as one pure function.

`make_train` does the static work once and returns ``train(key, strength, data)``, which
initialises, scans over epochs and minibatches, and evaluates: for ``jit``, ``vmap`` and
``lax.map``, on any device. All randomness comes from the one key, split once by role.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.tree_util import Partial  # a function that passes through jit
from jaxtyping import Array, ArrayLike, Int, Integer, Key

from jaxnoise.checks import check_function, shown
from jaxnoise.data import Data, row_count
from jaxnoise.losses import CHECKED
from jaxnoise.model import CheckedModel, Variables, called
from jaxnoise.results import RunResult
from jaxnoise.training.evaluate import (
    all_outputs,
    check_names,
    evaluate,
    row_values,
)
from jaxnoise.training.keys import Keys
from jaxnoise.training.loss import NoisyLoss
from jaxnoise.training.notices import check_logits, taker_of_logits
from jaxnoise.training.recipe import (
    CURVES,
    RECIPE,
    CheckedOptimizer,
    Count,
    Recipe,
    RecipeFn,
    Settings,
)

Train = Callable[..., RunResult]
Carry = tuple["State", OrderedDict[str, Array]]  # between epochs; curves so far


class State(NamedTuple):
    """What a run carries from step to step."""

    variables: Variables
    opt_state: Any
    finite: Array
    best: Any  # Best, or None where there is no validation set


class Best(NamedTuple):
    """The variables at the epoch of the lowest validation loss so far."""

    loss: Array
    epoch: Array
    variables: Variables


def make_train(
    recipe: RecipeFn,
    *,
    epochs: Count,
    batch_size: Count,
    curves: Sequence[str] = CURVES,
    metrics_every: Count = 1,
) -> Train:
    """Return ``train(key, strength, data, split=0) -> RunResult``, one run, pure.

    Every epoch goes once through the train rows in a fresh order, in minibatches of
    ``min(batch_size, rows)``; a last, smaller batch runs at its true size. Metrics are
    those of the clean pass, ``train=False``.

    Args:
        recipe: a function ``strength -> Recipe``, called while tracing.
        epochs: passes through the train rows.
        batch_size: rows of a minibatch.
        curves: names of the sets measured during training; the default skips those
            that the data does not have.
        metrics_every: epochs between measurements of the curves, and of the validation
            loss where a set is named ``validation``.

    Returns:
        A function for ``jit``, ``vmap`` and ``lax.map``. Its ``key`` is a typed key,
        ``strength`` what the recipe takes, ``data`` a `Data`; ``split`` numbers the
        division of the data, and all draws but initial weights and batch order
        depend on it.

    Raises:
        ValueError: if a number is below 1; while tracing, if ``curves`` names no set of
            the data, targets do not fit the outputs, a loss or metric does not give
            one value a row, two metrics would have one name, or the model returns
            variables of another form than it was given.
        TypeError: while tracing, if the model does not return what the protocol says.

    Reference: one training as one pure function, as in PureJaxRL (Lu et al.,
        "Discovered policy optimisation", 2022).

    Example:
        >>> import jax, optax, jaxnoise as jn
        >>> def recipe(stddev):
        ...     return jn.Recipe(
        ...         model=jn.MLP((8,), 1, input_noise=jn.GaussianNoise(stddev)),
        ...         loss=jn.losses.binary_cross_entropy,
        ...         optimizer=optax.adam(1e-2),
        ...         metrics={"accuracy": jn.metrics.binary_accuracy},
        ...     )
        >>> train = jax.jit(jn.make_train(recipe, epochs=5, batch_size=32))
        >>> result = train(jax.random.key(0), 0.01, jn.data.circles())
        >>> result.curves["test_loss"].shape
        (5,)
    """
    settings = Settings(epochs, batch_size, curves, metrics_every)
    check_function("recipe", recipe, RECIPE, 1)

    def train(
        key: Key[Array, ""],
        strength: Any,
        data: Data,
        split: Integer[ArrayLike, ""] = 0,
    ) -> RunResult:
        if not isinstance(data, Data):
            raise TypeError(
                "data must be a jn.Data, such as jn.Data(train=(x, y)), "
                f"got {shown(data)}."
            )
        run = run_of(recipe, settings, key, strength, data, split)
        return result_of(run)[0]

    return train


@jax.tree_util.register_static
@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a run once it is traced: no arrays, and so no leaves.

    Attributes:
        loss: a loss of ours that looks at the values of targets, else None.
        outputs: the shape of the outputs, where it takes logits.
        set_metrics: those of the recipe.
        loops: how deep the loops around a step are nested.
        host: of a model whose initial weights the host computes, else None: ``build``
            makes it, and ``prepare`` is called before runs, with keys and strengths.
    """

    loss: Any
    outputs: tuple[int, ...]
    set_metrics: Mapping[str, Callable[[Any, Any], float]]
    loops: int
    host: Any


def run_of(
    recipe: RecipeFn,
    settings: Settings,
    key: Array,
    strength: Any,
    data: Data,
    split: Any,
) -> "_Run":
    """A run while it is traced: ``begin``, ``go_on`` as often as one likes, ``end``."""
    made, data = called("recipe", recipe, strength), jax.tree.map(jnp.asarray, data)
    if not isinstance(made, Recipe):
        raise TypeError(f"recipe must return a jn.Recipe, got {shown(made)}.")
    return _Run(made, settings, data, Keys.of_run(key, split))


def result_of(run: "_Run") -> tuple[RunResult, Facts]:
    """What the whole run leaves, and what its program has no place for."""
    result, recipe = run.result(), run.recipe
    outputs: Any = None
    if taker := taker_of_logits((recipe.loss, *recipe.metrics.values())):
        clean = jax.make_jaxpr(run.clean, return_shape=True)
        jaxpr, outputs = clean(result.variables, run.data.train[0])
        check_logits(taker, jaxpr.jaxpr)
    # other losses may hold what is traced
    loss = recipe.loss if recipe.loss in CHECKED else None
    host = getattr(recipe.model, "host_weights", None)
    facts = Facts(loss, np.shape(outputs), recipe.set_metrics, run.loops, host)
    return result, facts


class _Run:
    """One run while it is traced: recipe, settings, data and keys, and its loops."""

    def __init__(self, recipe: Recipe, settings: Settings, data: Data, keys: Keys):
        self.recipe, self.settings, self.data, self.keys = recipe, settings, data, keys
        self.functions = {**recipe.metrics, "loss": recipe.loss}
        self.model = CheckedModel(recipe.model)
        self.loss = NoisyLoss(recipe, self.model)
        self.optimizer = CheckedOptimizer(recipe.optimizer)
        self.rows = row_count(data.train)
        self.batch_size = min(settings.batch_size, self.rows)
        self.steps_per_epoch = -(-self.rows // self.batch_size)
        self.curve_sets = settings.curve_sets(data)
        self.measured = bool(self.curve_sets) or "validation" in data
        self.every = settings.metrics_every if self.measured else 1
        check_names(data, (*recipe.metrics, "loss", *recipe.set_metrics))
        if recipe.patience and "validation" not in data:
            raise ValueError(
                "patience must have a set named 'validation' in the data, "
                f"got {', '.join(data)}."
            )

    @property
    def loops(self) -> int:
        """Over measurements, epochs between them and minibatches, as there are any."""
        return 1 + int(self.every > 1) + int(self.steps_per_epoch > 1)

    def result(self) -> RunResult:
        return self.end(*self.train())

    def end(self, state: State, curves: OrderedDict[str, Array]) -> RunResult:
        """What the run leaves."""
        if self.recipe.patience:
            state = state._replace(variables=state.best.variables)
        metrics, finite = self.final_metrics(state.variables, curves), state.finite
        losses = [metrics[f"{name}_loss"] for name in self.data]
        for leaf in [*jax.tree.leaves(state.variables["params"]), *losses]:
            finite &= jnp.isfinite(leaf).all()
        if state.best is not None:
            metrics["best_epoch"] = state.best.epoch.astype(jnp.float32)
            best = self.evaluate(state.best.variables, self.data)
            metrics |= {f"best_{name}": value for name, value in best.items()}
        for name, value in metrics.items():
            metrics[name] = jnp.where(finite, value, jnp.nan)
        outputs = None
        if self.recipe.set_metrics:
            outputs = all_outputs(partial(self.clean, state.variables), self.data)
        rows = None
        if self.settings.keep_rows:
            clean = partial(self.clean, state.variables)
            rows = row_values(self.functions, clean, self.data)
        return RunResult(metrics, curves, state.variables, finite, outputs, rows)

    def final_metrics(
        self, variables: Variables, curves: Mapping[str, Array]
    ) -> OrderedDict[str, Array]:
        """Metrics of every set; those that the curves end with are taken from them."""
        ended = self.settings.epochs % self.settings.metrics_every == 0
        ended &= not self.recipe.patience  # of the best epoch
        measured = self.curve_sets if ended else ()
        rest = [name for name in self.data if name not in measured]
        values = self.evaluate(variables, rest)
        values |= {name: curve[-1] for name, curve in curves.items() if ended}
        names = [f"{s}_{m}" for s in self.data for m in (*self.recipe.metrics, "loss")]
        return OrderedDict((name, values[name]) for name in names)

    def train(self) -> Carry:
        """All epochs: full periods between measurements, then the epochs left over."""
        epochs, every = self.settings.epochs, self.every
        if not self.measured:
            state, _ = lax.scan(self.epoch, self.initial(), jnp.arange(epochs))
            return state, OrderedDict()
        periods = jnp.arange(epochs - epochs % every).reshape(-1, every)
        state, curves = lax.scan(self.period, self.initial(), periods)
        if epochs % every:
            rest = jnp.arange(epochs - epochs % every, epochs)
            state, _ = self.period(state, rest)
        return state, curves

    def begin(self) -> Carry:
        """Before the first epoch, with room for the curves."""
        state, count = self.initial(), self.settings.epochs // self.every
        measure = partial(self.evaluate, sets=self.curve_sets)
        shapes = jax.eval_shape(measure, state.variables)
        return state, jax.tree.map(lambda s: jnp.zeros((count,), s.dtype), shapes)

    def go_on(
        self, state: State, curves: OrderedDict[str, Array], first: Array, last: Array
    ) -> Carry:
        """The periods from one epoch to another, in the loop that `train` has."""

        def one(i: Array, carry: Carry) -> Carry:
            epochs = i * self.every + jnp.arange(self.every)
            state, new = self.period(carry[0], epochs)
            put = partial(lax.dynamic_update_index_in_dim, index=i, axis=0)
            return state, jax.tree.map(put, carry[1], new)

        bounds = first // self.every, last // self.every
        return lax.fori_loop(*bounds, one, (state, curves))

    def initial(self) -> State:
        x = jax.tree.map(lambda leaf: leaf[: self.batch_size], self.data.train[0])
        variables = self.model.init(self.keys.init, x)
        opt_state = self.optimizer.init(variables["params"])
        best = None
        if "validation" in self.data:
            best = Best(jnp.float32(jnp.inf), jnp.int32(0), variables)
        return State(variables, opt_state, jnp.bool_(True), best)

    def period(self, state: State, epochs: Int[Array, " epoch"]) -> Carry:
        """Some epochs and the measurement after them, unless the run has ended."""
        if not self.recipe.patience:
            return self.next_period(state, epochs)

        def nothing() -> Carry:
            _, shapes = jax.eval_shape(self.next_period, state, epochs)
            return state, jax.tree.map(lambda s: jnp.full((), jnp.nan, s.dtype), shapes)

        ended = epochs[0] - state.best.epoch >= self.recipe.patience
        return lax.cond(ended, nothing, lambda: self.next_period(state, epochs))

    def next_period(self, state: State, epochs: Int[Array, " epoch"]) -> Carry:
        """Some epochs and the measurement after the last of them."""
        if len(epochs) == 1:
            state, _ = self.epoch(state, epochs[0])
        else:
            state, _ = lax.scan(self.epoch, state, epochs)
        curves = self.evaluate(state.variables, self.curve_sets)
        if state.best is not None:
            loss = curves.get("validation_loss")
            if loss is None:
                validation = self.evaluate(state.variables, ["validation"])
                loss = validation["validation_loss"]
            epoch = (epochs[-1] + 1).astype(jnp.int32)
            new = Best(loss.astype(jnp.float32), epoch, state.variables)
            better = new.loss < state.best.loss
            best = jax.tree.map(partial(jnp.where, better), new, state.best)
            state = state._replace(best=best)
        return state, curves

    def epoch(self, state: State, epoch: Int[Array, ""]) -> tuple[State, None]:
        """Every train row once, in minibatches; the last one may be smaller."""
        first = epoch * self.steps_per_epoch
        if self.steps_per_epoch == 1:
            return self.step(state, first, self.data.train), None
        order = jax.random.permutation(self.keys.of_epoch(epoch), self.rows)

        def minibatch(state: State, at: tuple[Array, Array]) -> tuple[State, None]:
            step, rows = at
            batch = jax.tree.map(lambda leaf: leaf[rows], self.data.train)
            return self.step(state, step, batch), None

        full = self.rows // self.batch_size
        blocks = order[: full * self.batch_size].reshape(full, self.batch_size)
        state, _ = lax.scan(minibatch, state, (first + jnp.arange(full), blocks))
        rest = order[full * self.batch_size :]
        if rest.size:
            state, _ = minibatch(state, (first + full, rest))
        return state, None

    def step(self, state: State, step: Int[Array, ""], batch: Any) -> State:
        """One update: the loss sees all the noise, the stored parameters none."""
        keys = self.keys.of_step(step)
        params = state.variables["params"]
        loss_of = partial(self.loss, variables=state.variables, batch=batch, keys=keys)

        def loss_at(params: Any, *, key: Any = None, grad_fn: Any = None) -> Array:
            return loss_of(params)[0]  # line searches hand on what they do not take

        def grads_at(params: Any, step: Any) -> Any:
            return jax.grad(loss_at)(params)

        (loss, variables), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt_state = self.optimizer.update(
            grads,
            state.opt_state,
            params,
            key=keys.gradients,
            value=loss,
            grad=grads,
            value_fn=Partial(loss_at),
            grad_fn=Partial(grads_at),
        )
        variables = {**variables, "params": optax.apply_updates(params, updates)}
        finite = state.finite & jnp.isfinite(loss)
        return state._replace(variables=variables, opt_state=opt_state, finite=finite)

    def clean(self, variables: Variables, x: Any) -> Any:
        return self.model.clean(variables, x)

    def evaluate(
        self, variables: Variables, sets: Iterable[str]
    ) -> OrderedDict[str, Array]:
        """Metrics and loss of each set, by the clean pass."""
        return evaluate(partial(self.clean, variables), self.functions, self.data, sets)
