"""Noise in a model, seen from outside: what it does, and the model without it."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pandas as pd
from flax import nnx
from jax.core import Tracer
from jaxtyping import Array, Key

from jaxnoise.noise.arguments import single_key
from jaxnoise.noise.nnx_base import TrainOnly
from jaxnoise.noise.observing import Call, observed, stripped
from jaxnoise.training.nnx_model import NNXModel, with_streams
from jaxnoise.training.recipe import as_model, takes_train

WIDTH = 80  # of a terminal


class Description(pd.DataFrame):
    """A table that prints whole, with as many digits as mean something."""

    @property
    def _constructor(self) -> type["Description"]:
        return Description

    def __repr__(self) -> str:
        if not len(self):
            return "no noise layers"
        text = self._text()
        wide = max(map(len, text.splitlines())) - WIDTH
        if wide > 0 and "path" in self:
            most = max(12, self["path"].map(len).max() - wide)
            text = self.assign(path=[_shortened(p, most) for p in self["path"]])._text()
        return text

    def _text(self) -> str:
        numbered = isinstance(self.index, pd.RangeIndex)
        return self.to_string(index=not numbered, float_format=_digits, na_rep="")

    def _repr_html_(self) -> str:
        numbered = isinstance(self.index, pd.RangeIndex)
        return self.to_html(index=not numbered, float_format=_digits, na_rep="")


def _digits(value: float) -> str:
    return f"{value:.3g}"


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

    The model is called once: a Linen module or a model of the protocol in training, an
    NNX module as it is, so that layers which ``eval()`` switched off show as such. A
    layer that is called several times, such as in a scan over layers or along a vmapped
    axis, has one row, over the values of all calls.

    Args:
        model: a Flax Linen module, an NNX module, or a model of the protocol, with
            noise layers of ours.
        variables: the model's variables; None for an NNX module, which has its own.
        x: a batch of inputs.
        key: one typed key, of which all noise is drawn.
        **arguments: what else the call of a Linen or NNX module takes, such as a mask.

    Returns:
        A row for each noise layer, in the order of the calls: ``path`` in the model,
        ``noise``, ``strength`` (its mean where it is an array, NaN where the function
        has none), whether it ``fired``, ``signal_sd`` (of what the layer would give
        without noise), ``noise_sd`` (of the difference that noise made; both over the
        positions where the mask is True), and ``snr_db``, 20 log10 of their ratio. The
        layers of an NNX module that were not called come last.

    Raises:
        TypeError: if ``model`` is no model, ``key`` no typed key, or ``variables`` are
            given for an NNX module.
        ValueError: inside a compiled function, where nothing can be measured.

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
    single_key(key)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((variables, x, key))):
        raise ValueError("describe must be called outside of compiled functions.")
    if isinstance(model, nnx.Module) and variables is not None:
        raise TypeError(
            "variables must be None for an NNX module, which has its own, "
            f"got {type(variables).__name__}."
        )
    calls: list[Call] = []
    with observed(calls.append):
        outputs, uncalled = _call_once(model, variables, x, key, arguments)
        jax.block_until_ready(outputs)
    layers: dict[tuple[str, str], list[Call]] = {}
    for call in sorted(calls, key=lambda call: call.order):
        layers.setdefault((call.path, call.noise), []).append(call)
    rows = [_row(*at, found) for at, found in layers.items()]
    called = {path for path, _ in layers}
    for path, noise in uncalled.items():
        if path not in called:
            rows.append((path, noise, np.nan, False, np.nan, np.nan, np.nan))
    columns = ["path", "noise", "strength", "fired", "signal_sd", "noise_sd", "snr_db"]
    return Description(rows, columns=columns)


def _call_once(
    model: Any, variables: Any, x: Any, key: Array, arguments: dict[str, Any]
) -> tuple[Any, dict[str, str]]:
    """The model's outputs with its noise; and the layers that it has, by path."""
    if isinstance(model, nn.Module):
        noise, dropout = jax.random.split(key)
        if takes_train(model):
            arguments = {"train": True, **arguments}
        outputs = model.apply(
            variables,
            x,
            rngs={"noise": noise, "dropout": dropout},
            mutable=[name for name in variables if name != "params"],
            **arguments,
        )
        return outputs, {}
    if isinstance(model, NNXModel):
        model = model.module(variables, key)
        model.train()
    elif isinstance(model, nnx.Module):
        model = with_streams(nnx.clone(model), key)
    else:
        return as_model(model).apply(variables, x, train=True, key=key), {}
    layers = {}
    for path, layer in nnx.iter_graph(model):
        if isinstance(layer, TrainOnly):
            layer.path = "/".join(map(str, path))
            layers[layer.path] = type(layer).__name__
    if takes_train(model):
        arguments = {"train": True, **arguments}
    return model(x, **arguments), layers


def _row(path: str, noise: str, calls: list[Call]) -> tuple[Any, ...]:
    signal = _pooled([call.count for call in calls], [call.signal for call in calls])
    change = _pooled([call.count for call in calls], [call.change for call in calls])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 20 * np.log10(np.float64(signal) / change)
    strength = np.mean([np.mean(call.strength) for call in calls])
    fired = any(call.fired for call in calls)
    return path, noise, _short(strength), fired, signal, change, float(ratio)


def _pooled(counts: Any, moments: Any) -> float:
    """The standard deviation of all values, from those of the calls."""
    n, (mean, sd) = np.asarray(counts, float), np.asarray(moments, float).T
    if not n.sum():
        return np.nan
    known = n > 0
    n, mean, sd = n[known], mean[known], sd[known]
    apart = mean - np.average(mean, weights=n)
    size = max(abs(apart).max(), sd.max()) or 1.0  # squares may overflow
    return float(
        size * np.sqrt(np.average((sd / size) ** 2 + (apart / size) ** 2, weights=n))
    )


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
        A Linen module to call by ``clean.apply(variables, x)``; for an NNX module one
        of its class to call as ``clean(x)``, whose variables are the model's own; for a
        model of the protocol an object with ``apply(variables, x)``.

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
        return model if isinstance(model, Clean) else Clean(model)
    if isinstance(model, nnx.Module):
        test = {"deterministic": True, "use_running_average": True}
        clean = nnx.view(model, raise_if_not_found=False, **test)
        clean.__class__ = _clean_class(type(model))
        return clean
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
            return _call_clean(type(self.model).__call__, self.model, args, kwargs)


class CleanModel:
    """A model of the protocol without its noise."""

    def __init__(self, apply: Callable[..., Any]) -> None:
        self._apply = apply

    def apply(self, variables: Any, x: Any) -> Any:
        """Return the outputs of the clean pass."""
        with stripped():
            return self._apply(variables, x, train=False, key=None)[0]


@cache
def _clean_class(base: Any) -> Any:
    """The class of an NNX module, whose call is without noise."""
    if getattr(base, "is_clean", False):
        return base

    class CleanNNX(base):
        is_clean = True

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            module = self
            inputs = jax.tree.leaves((args, kwargs))
            own = jax.tree.leaves(nnx.state(self))
            if any(map(_traced, inputs)) and not any(map(_traced, own)):
                # Under jax.jit NNX wants a module of the trace for its transforms.
                module = nnx.merge(*nnx.split(self), copy=True)
            with stripped():
                return _call_clean(base.__call__, module, args, kwargs)

    CleanNNX.__name__ = CleanNNX.__qualname__ = base.__name__
    return CleanNNX


def _call_clean(call: Any, module: Any, args: Any, kwargs: Any) -> Any:
    """Call the module, with ``train=False`` in its place if it takes that."""
    names = list(inspect.signature(call).parameters)[1:]
    if "train" in names:
        at = names.index("train")
        kwargs.pop("train", None)
        if len(args) <= at:
            kwargs["train"] = False
        else:
            args = (*args[:at], False, *args[at:])
    return call(module, *args, **kwargs)


def _traced(leaf: Any) -> bool:
    return isinstance(leaf, Tracer)
