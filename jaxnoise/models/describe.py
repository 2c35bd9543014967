"""What the noise in a model does: `describe` measures every noise layer of it."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pandas as pd
from flax import nnx
from jaxtyping import Array, Key

from jaxnoise.checks import shown, single_key
from jaxnoise.model import as_model, is_keras, takes_train
from jaxnoise.noise.draw import is_traced
from jaxnoise.noise.layer import Observer, observing
from jaxnoise.noise.nnx import TrainOnly, with_streams

WIDTH = 80  # of a terminal
FLAGS = ("deterministic", "decode")  # of NNX modules; None until somebody sets them


class Description(pd.DataFrame):
    """A table that prints whole, with as many digits as mean something."""

    @property
    def _constructor(self) -> type["Description"]:
        return Description

    def __repr__(self) -> str:
        if not len(self):
            return "no noise layers"
        text = self._written(pd.DataFrame.to_string)
        wide = max(map(len, text.splitlines())) - WIDTH
        if wide > 0 and "path" in self:
            most = max(12, int(self["path"].map(len).max()) - wide)
            short = self.assign(path=[_shortened(p, most) for p in self["path"]])
            text = short._written(pd.DataFrame.to_string)
        return text

    def _repr_html_(self) -> str:
        return self._written(pd.DataFrame.to_html)

    def _written(self, write: Callable[..., str]) -> str:
        named = not isinstance(self.index, pd.RangeIndex)
        return write(self, index=named, float_format="{:.3g}".format, na_rep="")


def _shortened(path: str, most: int) -> str:
    """The path without its middle, if it is longer than ``most``."""
    if len(path) <= most:
        return path
    end = (most - 1) * 2 // 3
    return f"{path[: most - 1 - end]}…{path[-end:]}"


def describe(
    model: Any, variables: Any, x: Any, key: Key[Array, ""], **arguments: Any
) -> Description:
    """Return a table of what each noise layer of a model does to a batch.

    The model is called once: a Linen module, a Keras model or a model of the protocol
    in training, an NNX module as it is, so that layers which ``eval()`` switched off
    show as such; a flag that nobody set, such as an `nnx.MultiHeadAttention`'s, is as
    in training. A layer that is called several times, such as in a scan over layers or
    along a vmapped axis, has one row, over the values of all calls.

    Args:
        model: a Flax Linen module, an NNX module, a Keras model, or a model of the
            protocol, with noise layers of ours.
        variables: the model's variables; None for an NNX module or a Keras model, which
            have their own.
        x: a batch of inputs.
        key: one typed key, of which all noise is drawn.
        **arguments: what else the call of a Linen or NNX module takes, such as a mask.

    Returns:
        A row for each noise layer, in the order of the calls: ``path`` in the model,
        ``noise``, ``strength`` (its mean where it is an array, NaN where the function
        has none), whether it ``fired``, ``signal_sd`` (of what the layer would give
        without noise), ``noise_sd`` (of the difference that noise made; both over the
        positions where the mask is True), and ``snr_db``, 20 log10 of their ratio.
        Layers that did not run come last: those in a branch not taken, those whose
        output nothing needs, and those of an NNX module that were not called.

    Raises:
        TypeError: if ``model`` is no model, ``key`` no typed key, or ``variables`` are
            given for a model that has its own or missing for a Linen module.
        ValueError: inside a compiled function, where nothing can be measured.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> model = jn.MLP((), 1, input_noise=jn.GaussianNoise(0.1))
        >>> x = jax.random.normal(jax.random.key(0), (30, 2))
        >>> variables = model.init(jax.random.key(1), x, train=False)
        >>> table = jn.describe(model, variables, x, jax.random.key(2))
        >>> table.drop(columns=["signal_sd", "noise_sd", "snr_db"])
                 path         noise  strength  fired
        input_noise_0 GaussianNoise       0.1   True
    """
    single_key(key)
    if is_traced(variables, x, key):
        raise ValueError("describe must be called outside of compiled functions.")
    has_own = isinstance(model, nnx.Module) or is_keras(model)
    if has_own and variables is not None:
        kind = "a Keras model" if is_keras(model) else "an NNX module"
        raise TypeError(
            f"variables must be None for {kind}, which has its own, "
            f"got {type(variables).__name__}."
        )
    if isinstance(model, nn.Module) and not isinstance(variables, Mapping):
        raise TypeError(
            "variables must be those of model.init(key, x, train=False), "
            f"got {shown(variables)}."
        )
    program, state, names = _program(model, variables, key, arguments)
    with observing(observer := Observer()):
        # nothing is cached in there: one program, not many
        out = jax.jit(lambda state, x: _arrays(program(state, x)))(state, x)
        jax.block_until_ready(out)
    ran = {at: calls for at, calls in observer.calls.items() if calls}
    rows = [_row(*at, np.concatenate(calls)) for at, calls in ran.items()]
    for path, noise in (dict(observer.calls.keys()) | names).items():
        if path not in dict(ran.keys()):
            rows.append((path, noise, np.nan, False, np.nan, np.nan, np.nan))
    columns = ["path", "noise", "strength", "fired", "signal_sd", "noise_sd", "snr_db"]
    return Description(rows, columns=columns)


def _program(
    model: Any, variables: Any, key: Array, arguments: dict[str, Any]
) -> tuple[Callable[[Any, Any], Any], Any, dict[str, str]]:
    """A function of a state and x that calls the model with its noise; the state.

    And the names of the layers that the model has, by path, where these are known.
    """
    if isinstance(model, nn.Module):
        noise, dropout = jax.random.split(key)
        mutable = {*variables, "intermediates"} - {"params"}  # what is sown comes out
        given = {"train": True, **arguments} if takes_train(model) else arguments

        def call_linen(state: Any, x: Any) -> Any:
            variables, rngs = state
            return model.apply(variables, x, rngs=rngs, mutable=mutable, **given)

        return call_linen, (variables, {"noise": noise, "dropout": dropout}), {}
    if is_keras(model):
        from jaxnoise.noise.keras import called_with, noise_layers

        def call_keras(state: Any, x: Any) -> Any:
            return called_with(model, state, x, **{"training": True, **arguments})

        return call_keras, key, noise_layers(model)
    if hasattr(model, "noisy"):  # an NNX module behind the protocol
        module = model.noisy(variables, key)
    elif isinstance(model, nnx.Module):
        module = with_streams(nnx.clone(model), key)
    else:
        fitted = as_model(model)

        def call_fitted(state: Any, x: Any) -> Any:
            return fitted.apply(state[0], x, train=True, key=state[1])

        return call_fitted, (variables, key), {}
    names = {}
    for _, layer in nnx.iter_graph(module):
        for flag in FLAGS:
            if getattr(layer, flag, False) is None:
                setattr(layer, flag, False)
        if isinstance(layer, TrainOnly):
            names[layer.path] = type(layer).__name__
    given = {"train": True, **arguments} if takes_train(module) else arguments
    definition, state = nnx.split(module)

    def call_nnx(state: Any, x: Any) -> Any:
        module = nnx.merge(definition, state)
        return module(x, **given), nnx.state(module)

    return call_nnx, state, names


def _arrays(out: Any) -> list[Array]:
    """All that come out, also as attributes: nothing runs that no output needs."""
    leaves = jax.tree.leaves(out)
    objects = [leaf for leaf in leaves if hasattr(leaf, "__dict__")]
    leaves += jax.tree.leaves([vars(each) for each in objects])
    return [leaf for leaf in leaves if isinstance(leaf, Array)]


def _row(path: str, noise: str, calls: np.ndarray) -> tuple[Any, ...]:
    strength, fired, count, *moments = calls.T.astype(float)
    signal, change = _pooled(count, *moments[:2]), _pooled(count, *moments[2:])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 20 * np.log10(signal / change)
    return path, noise, _short(strength.mean()), fired.any(), signal, change, ratio


def _pooled(counts: np.ndarray, means: np.ndarray, sds: np.ndarray) -> np.float64:
    """The standard deviation of all values, from the moments of the calls."""
    if not counts.any():
        return np.float64(np.nan)
    apart = means - np.average(means, weights=counts)
    return np.sqrt(np.average(sds**2 + apart**2, weights=counts))


def _short(value: Any) -> float:
    """A float32 as the decimal that it was written as."""
    return float(np.format_float_positional(np.float32(value), unique=True))
