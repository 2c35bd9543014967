"""Noise in a model, seen from outside: what it does, and the model without it."""

import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pandas as pd
from flax import nnx
from jaxtyping import Array, Key

from jaxnoise.noise.nnx_base import TrainOnly
from jaxnoise.noise.observing import Call, observed, stripped
from jaxnoise.training.nnx_model import NNXModel, with_streams
from jaxnoise.training.recipe import as_model


class Description(pd.DataFrame):
    """A table that prints whole, with as many digits as mean something."""

    @property
    def _constructor(self) -> type["Description"]:
        return Description

    def __repr__(self) -> str:
        if not len(self):
            return "no noise layers"
        return self.to_string(index=False, float_format=_digits, na_rep="")

    def _repr_html_(self) -> str:
        return self.to_html(index=False, float_format=_digits, na_rep="")


def _digits(value: float) -> str:
    return f"{value:.3g}"


def describe(model: Any, variables: Any, x: Any, key: Key[Array, ""]) -> Description:
    """Return a table of what each noise layer of a model does to a batch.

    The model is called once in training. A layer that is called several times, such as
    in a scan over layers, has one row, with means over its calls (of variances, for the
    standard deviations).

    Args:
        model: a Flax Linen module, an NNX module, or a model of the protocol, with
            noise layers of ours.
        variables: the model's variables; None for an NNX module, which has its own.
        x: a batch of inputs.
        key: one typed key, of which all noise is drawn.

    Returns:
        A row for each noise layer, in the order of the calls: ``path`` in the model,
        ``noise``, ``strength`` (its mean where it is an array, NaN where the function
        has none), whether it ``fired``, ``signal_sd`` (of what the layer would give
        without noise), ``noise_sd`` (of the difference that noise made; both over the
        positions where the mask is True), and ``snr_db``, 20 log10 of their ratio.

    Raises:
        TypeError: if ``model`` is no model.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> model = jn.MLP((500,), 1, hidden_noise=jn.GaussianNoise(0.1))
        >>> x = jax.random.normal(jax.random.key(0), (30, 2))
        >>> variables = model.init(jax.random.key(1), x, train=False)
        >>> table = jn.describe(model, variables, x, jax.random.key(2))
        >>> table.drop(columns=["signal_sd", "noise_sd", "snr_db"])
                  path         noise  strength  fired
        hidden_noise_0 GaussianNoise       0.1   True
    """
    calls: list[Call] = []
    with observed(calls.append):
        jax.block_until_ready(_train_once(model, variables, x, key))
    layers: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        layers.setdefault(call[:2], []).append(call)
    columns = ["path", "noise", "strength", "fired", "signal_sd", "noise_sd", "snr_db"]
    rows = [_row(*at, found) for at, found in layers.items()]
    return Description(rows, columns=columns)


def _train_once(model: Any, variables: Any, x: Any, key: Array) -> Any:
    """The model's outputs in training, with noise."""
    if isinstance(model, nnx.Module):
        model = with_streams(nnx.clone(model), key)
    elif isinstance(model, NNXModel):
        model = model.module(variables, key)
    else:
        return as_model(model).apply(variables, x, train=True, key=key)
    for path, layer in nnx.iter_graph(model):
        if isinstance(layer, TrainOnly):
            layer.path = "/".join(map(str, path))
    model.train()
    return _call(True, model, x)


def _row(path: str, noise: str, calls: list[Call]) -> tuple[Any, ...]:
    signal, change = (
        np.sqrt(np.mean([np.square(sd) for sd in sds]))
        for sds in (
            [call.signal_sd for call in calls],
            [call.noise_sd for call in calls],
        )
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 20 * np.log10(signal / change)
    strength = np.mean([np.mean(call.strength) for call in calls])
    fired = any(call.fired for call in calls)
    return path, noise, _short(strength), fired, float(signal), float(change), ratio


def _short(value: Any) -> float:
    """A float32 as the decimal that it was written as."""
    return float(np.format_float_positional(np.float32(value), unique=True))


def strip_noise(model: Any) -> Any:
    """Return the model without its noise, for inference and export.

    Called without ``train`` and without keys, with the same parameters, it gives bit
    for bit what the model gives with ``train=False``. Layers that their constructor
    switched on are off, too, and Flax' dropout and batch statistics are as in testing.
    `jax.export` takes it to other machines, which need no jaxnoise (to serialise, it
    needs the package flatbuffers, ``pip install "jaxnoise[export]"``).

    Args:
        model: a Flax Linen module, an NNX module, or a model of the protocol.

    Returns:
        A Linen module to call by ``clean.apply(variables, x)``; an NNX module to call
        as ``clean(x)``, whose variables are the model's own; for a model of the
        protocol an object with ``apply(variables, x)``.

    Raises:
        TypeError: if ``model`` is no model.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> model = jn.MLP((8,), 1, hidden_noise=jn.GaussianNoise(0.1))
        >>> x = jnp.ones((3, 2))
        >>> variables = model.init(jax.random.key(0), x, train=False)
        >>> clean = jn.strip_noise(model)
        >>> same = clean.apply(variables, x) == model.apply(variables, x, train=False)
        >>> bool(same.all())
        True
    """
    if isinstance(model, nn.Module):
        return Clean(model)
    if isinstance(model, nnx.Module):
        test = {"deterministic": True, "use_running_average": True, "stripped": True}
        clean = nnx.view(model, raise_if_not_found=False, **test)
        return CleanNNX(clean) if _takes_train(model) else clean
    return CleanModel(as_model(model).apply)


class Clean(nn.Module):
    """A Linen module without its noise; its variables are those of the module."""

    model: nn.Module

    def setup(self) -> None:
        """Put the model's variables where they are without us."""
        nn.share_scope(self, self.model)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model without noise."""
        with stripped():
            return _call(False, self.model, *args, **kwargs)


class CleanNNX(nnx.Module):
    """An NNX module that takes ``train``, without its noise."""

    def __init__(self, model: nnx.Module) -> None:
        self.model = model

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model without noise."""
        return _call(False, self.model, *args, **kwargs)


class CleanModel:
    """A model of the protocol without its noise."""

    def __init__(self, apply: Callable[..., Any]) -> None:
        self._apply = apply

    def apply(self, variables: Any, x: Any) -> Any:
        """Return the outputs of the clean pass."""
        with stripped():
            return self._apply(variables, x, train=False, key=None)[0]


def _call(train: bool, module: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the module, with ``train`` if it takes that."""
    if _takes_train(module):
        kwargs["train"] = train
    return module(*args, **kwargs)


def _takes_train(module: Any) -> bool:
    return "train" in inspect.signature(type(module).__call__).parameters
