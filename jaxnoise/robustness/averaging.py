"""Noise left on at test time: mean predictions over draws, and what they are worth."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jax.extend.core import Literal
from jaxtyping import Array, Float

from jaxnoise.checks import check_count, shown, single_key
from jaxnoise.model import as_model
from jaxnoise.robustness.asked import (
    as_asked,
    as_points,
    by_devices,
    classes_of,
    decided,
)

BLOCK = 50  # draws of a point, which bounds memory
NO_STATE = "model must have no state beside its params, as batch statistics would be "
NO_STATE += "those of the rows at hand"


@dataclass(frozen=True, eq=False, repr=False)
class Averaged:
    """What `predict_averaged` returns.

    Attributes:
        table: a row a point. Of classes the labels ``clean``, ``averaged`` and
            ``majority``, the ``probability`` of the averaged one, and the share of
            ``votes`` for that of the majority; in regression of one output the numbers
            ``clean`` and ``averaged``. Then, of the least certain number of the row,
            the ``spread`` over draws and the ``standard_error`` of the mean, and the
            ``draws``.
        mean: of the predictions: probabilities, a column a class, or outputs.
        spread: their standard deviation over draws.
    """

    table: pd.DataFrame
    mean: np.ndarray
    spread: np.ndarray

    def __repr__(self) -> str:
        return self.table.to_string()


def predict_averaged(
    model: Any,
    x: Float[Array, " points *axes"],
    *,
    key: Array,
    draws: int = 100,
    standard_error: float | None = None,
    regression: bool = False,
) -> Averaged:
    """Return mean predictions of a model whose noise is left on, and their spread.

    Of classes the probabilities are averaged, not the logits. A majority is what most
    draws say. Whether either does better than the clean pass is for test rows to say.

    Args:
        model: a trained model with noise of its own, layers of ours or dropout, such
            as `refit` returns; batch statistics, which are others in training, are
            refused. Noise of a recipe's weights is none of the model's.
        x: the points, finite floats.
        key: a typed key; a point's draws depend on it and on the point's place.
        draws: of noise, 2 or more; with ``standard_error`` the most of them.
        standard_error: of every mean probability or output, at which draws of a point
            end, 50 by 50; None takes all draws.
        regression: whether outputs are the numbers themselves; else they are logits,
            one a row for two classes, or one a class.

    Returns:
        An `Averaged`. 50 draws are in memory at a time.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the model has no noise, or a number or x is out of range.

    Reference: Y. Gal and Z. Ghahramani, "Dropout as a Bayesian approximation", ICML
        2016, for dropout.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> from jaxnoise.training.sweep import TrainedModel
        >>> module = jn.MLP((), 1, input_noise=jn.GaussianNoise(1.0))
        >>> params = {"output": {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)}}
        >>> model = TrainedModel(module, {"params": params})
        >>> x = jnp.array([[0.5], [-2.0]])
        >>> found = jn.predict_averaged(model, x, key=jax.random.key(0), draws=1000)
        >>> found.table[["clean", "averaged", "majority"]].to_numpy().tolist()
        [[1, 1, 1], [0, 0, 0]]
        >>> found.table["votes"].round(1).tolist()  # Phi(0.5) and Phi(2)
        [0.7, 1.0]
    """
    check_count("draws", draws)
    if draws < 2:
        raise ValueError(f"draws must be at least 2, to have a spread, got {draws}.")
    wanted = -1.0 if standard_error is None else standard_error
    if standard_error is not None and not 0 < standard_error < np.inf:
        raise ValueError(
            f"standard_error must be finite and > 0, got {shown(standard_error)}."
        )
    program, variables = _program(model, regression), getattr(model, "variables", None)
    x, key = as_points("x", x), single_key(key)
    if not regression:
        classes_of(as_asked(model), x[:BLOCK])
    check_noisy(partial(program.outputs, variables, x[0]), key)
    whole = variables, key, draws, wanted
    found = by_devices(program, whole, (jnp.arange(len(x)), x))
    return _averaged(regression, *found)


@dataclass(frozen=True)
class _Averages:
    """Of each point sums over draws, of what differs from the clean prediction."""

    model: Any
    regression: bool

    def __call__(self, whole: Any, points: Any) -> Any:
        variables, key, draws, wanted = whole

        def of_point(point: Any) -> Any:
            place, x = point
            own = jax.random.fold_in(key, place)
            clean = self.predicted(self.outputs(variables, x, None))

            def add(state: Any) -> Any:
                n, total, squares, votes = state
                numbers = n + jnp.arange(BLOCK)
                keys = jax.vmap(partial(jax.random.fold_in, own))(numbers)
                z = jax.vmap(partial(self.outputs, variables, x))(keys)
                asked, p = (numbers < draws)[:, None], jax.vmap(self.predicted)(z)
                off = jnp.where(asked, p - clean, 0)
                said = decided(p)[:, None] == jnp.arange(clean.size)
                votes = votes + (said & asked).sum(axis=0)
                n = jnp.minimum(n + BLOCK, draws)
                return n, total + off.sum(0), squares + (off**2).sum(0), votes

            def unsure(state: Any) -> Array:
                n, total, squares, _ = state
                error = jnp.sqrt(_variance(n, total, squares) / n)
                return (n < draws) & ~(error.max() <= wanted)

            nothing = jnp.zeros_like(clean)
            votes = jnp.zeros(clean.size, jnp.int32)
            state = add((jnp.int32(0), nothing, nothing, votes))
            return clean, *lax.while_loop(unsure, add, state)

        return lax.map(of_point, points)

    def outputs(self, variables: Any, x: Array, key: Array | None) -> Array:
        """The outputs of a point, noisy under a key."""
        model, noisy = as_model(self.model), key is not None
        return model.apply(variables, x[None], train=noisy, key=key)[0][0]

    def predicted(self, z: Array) -> Array:
        """What is averaged: probabilities of the classes, or outputs."""
        if self.regression:
            return z.reshape(-1)
        if z.size == 1:
            z = jnp.concatenate([jnp.zeros(1), z.reshape(1)])
        return jax.nn.softmax(z)


def _variance(n: Any, total: Any, squares: Any) -> Any:
    return (squares - total**2 / n).clip(0) / (n - 1)


def _program(model: Any, regression: bool) -> _Averages:
    if not (hasattr(model, "model") and hasattr(model, "variables")):
        raise TypeError(
            "model must be a trained model with its noise, such as jaxnoise.refit "
            f"returns, got {shown(model)}."
        )
    check_stateless(model)
    return _Averages(model.model, regression)


def check_stateless(model: Any) -> None:
    """Refuse a trained model that has more than params."""
    if state := sorted({*model.variables} - {"params"}):
        raise ValueError(f"{NO_STATE}, got {', '.join(state)}.")


def check_noisy(outputs: Callable[[Array], Any], key: Array) -> None:
    """Refuse a model whose outputs do not depend on the key."""
    traced = jax.make_jaxpr(outputs)(key).jaxpr
    drawn = {*traced.invars}
    for step in traced.eqns:
        if any(not isinstance(v, Literal) and v in drawn for v in step.invars):
            drawn |= {*step.outvars}
    if not any(not isinstance(v, Literal) and v in drawn for v in traced.outvars):
        raise ValueError(
            "model must have noise, which train=True switches on, got one whose "
            "outputs depend on no key."
        )


def _averaged(
    regression: bool,
    clean: np.ndarray,
    n: np.ndarray,
    total: np.ndarray,
    squares: np.ndarray,
    votes: np.ndarray,
) -> Averaged:
    """The table of the sums."""
    each = n[:, None]
    mean, spread = clean + total / each, np.sqrt(_variance(each, total, squares))
    if regression:
        said = {"clean": clean, "averaged": mean} if mean.shape[1] == 1 else {}
        columns = {name: values[:, 0] for name, values in said.items()}
    else:
        labels = (np.asarray(decided(jnp.asarray(p))) for p in (clean, mean))
        columns = dict(zip(("clean", "averaged"), labels, strict=True))
        columns |= {"majority": votes.argmax(1), "probability": mean.max(1)}
        columns |= {"votes": votes.max(1) / n}
    least = spread.max(axis=1)
    columns |= {"spread": least, "standard_error": least / np.sqrt(n), "draws": n}
    return Averaged(pd.DataFrame(columns), mean, spread)
