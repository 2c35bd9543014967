"""A model without its noise, for inference and export: `strip_noise`."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, overload

import flax.linen as nn
from flax import nnx

from jaxnoise.model import Model, as_model, is_keras
from jaxnoise.noise.draw import is_traced
from jaxnoise.noise.layer import stripped
from jaxnoise.pickling import Pickled

M = TypeVar("M", bound=nn.Module | nnx.Module)


@overload
def strip_noise(model: M) -> M: ...
@overload
def strip_noise(model: Model) -> "CleanModel": ...
def strip_noise(model: Any) -> Any:
    """Return the model without its noise, for inference and export.

    Called without ``train`` and without keys, with the same parameters, it gives bit
    for bit what the model gives with ``train=False``. Layers that their constructor
    switched on are off, too, and Flax' dropout and batch statistics are as in testing.
    `jax.export` takes it to other machines, which need no jaxnoise (to serialise, it
    needs the package flatbuffers, ``pip install "jaxnoise[export]"``).

    Args:
        model: a Flax Linen module, an NNX module, a Keras model, or a model of the
            protocol.

    Returns:
        A Linen module to call by ``clean.apply(variables, x)``; for an NNX module one
        of its class to call as ``clean(x)``, whose variables are the model's own; for a
        Keras model, Sequential or functional, a copy with `keras.layers.Identity` in
        the place of layers of noise and dropout, to save without jaxnoise; for a model
        of the protocol an object with ``apply(variables, x)``.

    Raises:
        TypeError: if ``model`` is no model, or a Keras model of another kind.

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
    if is_keras(model):
        from jaxnoise.noise.keras import without_noise

        return without_noise(model)
    return CleanModel(as_model(model).apply)


class Clean(Pickled, nn.Module):
    """A Linen module without its noise; its variables are those of the module."""

    model: nn.Module

    def setup(self) -> None:
        """Put the model's variables where they are without us."""
        nn.share_scope(self, self.model)

    def __repr__(self) -> str:
        return f"without noise: {self.model!r}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model without noise."""
        with stripped(True):
            return _call_clean(type(self.model).__call__, self.model, args, kwargs)


class CleanModel:
    """A model of the protocol without its noise."""

    def __init__(self, apply: Callable[..., Any]) -> None:
        self._apply = apply

    def apply(self, variables: Any, x: Any) -> Any:
        """Return the outputs of the clean pass."""
        with stripped(True):
            return self._apply(variables, x, train=False, key=None)[0]


@cache
def _clean_class(base: Any) -> Any:
    """The class of an NNX module, whose call is without noise."""
    if getattr(base, "is_clean", False):
        return base

    class CleanNNX(base):
        is_clean = True

        def __reduce__(self) -> Any:
            return _clean_again, (base, self.__getstate__())

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            module = self
            if is_traced(args, kwargs) and not is_traced(nnx.state(self)):
                # Under jax.jit NNX wants a module of the trace for its transforms.
                module = nnx.merge(*nnx.split(self), copy=True)
            with stripped(True):
                return _call_clean(base.__call__, module, args, kwargs)

    CleanNNX.__name__ = CleanNNX.__qualname__ = base.__name__
    return CleanNNX


def _clean_again(base: Any, state: Any) -> Any:
    """A pickled one, whose class has no name to be found by."""
    clean = object.__new__(_clean_class(base))
    clean.__setstate__(state)
    return clean


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
