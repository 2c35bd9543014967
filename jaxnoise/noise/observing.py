"""Noise layers from outside: told of by an observer, or switched off altogether.

Layers of both kinds, Linen and NNX, are `Observable`. While an observer listens they
report every call; without one a report costs nothing.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnoise.noise.arguments import full_mask


class Call(NamedTuple):
    """One call of one layer."""

    path: str
    noise: str
    strength: Any  # NaN for a function without a strength of its own
    fired: Any
    signal_sd: Any
    noise_sd: Any


Observer = Callable[[Call], None]
_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)
_stripped: ContextVar[bool] = ContextVar("stripped", default=False)


@contextmanager
def stripped() -> Iterator[None]:
    """Switch off all layers, those too whose constructor switched them on."""
    token = _stripped.set(True)
    try:
        yield
    finally:
        _stripped.reset(token)


def is_stripped() -> bool:
    """Whether all noise is off."""
    return _stripped.get()


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Give the calls of all layers to ``observer``; traced ones when they run."""
    token = _observer.set(observer)
    try:
        yield
        jax.effects_barrier()
    finally:
        _observer.reset(token)


def is_observed() -> bool:
    """Whether an observer listens."""
    return _observer.get() is not None


class Observable:
    """A layer that messages and observers can name."""

    def _path(self) -> str:
        """Where the layer stands in the model."""
        raise NotImplementedError

    def _label(self) -> str:
        path, name = self._path(), type(self).__name__
        return f"{name} {path!r}" if path else name

    def _report(
        self, strength: Any, fired: Any, clean: Any, noisy: Any, mask: Any = None
    ) -> None:
        """Tell the observer, if there is one, of a call.

        Args:
            strength: what scales the noise; for a bare function, the function itself.
            fired: whether the noise was on.
            clean: what would have come out without noise.
            noisy: what came out.
            mask: True where noise applied; the rest is not measured.
        """
        observer = _observer.get()
        if observer is None:
            return
        noise = type(self).__name__
        if callable(strength):
            noise, strength = f"{noise}({_name(strength)})", _strength_of(strength)
        clean, noisy = jnp.asarray(clean), jnp.asarray(noisy)
        where = None
        if mask is not None:
            where = jnp.broadcast_to(full_mask(mask, clean), clean.shape)
        wide = jnp.promote_types(clean.dtype, jnp.float32)
        clean, noisy = clean.astype(wide), noisy.astype(wide)
        values = (
            jnp.asarray(strength, jnp.float32),
            jnp.asarray(fired),
            jnp.std(clean, where=where),
            jnp.std(noisy - clean, where=where),
        )
        path = self._path()
        jax.debug.callback(
            lambda *values: observer(Call(path, noise, *values)), *values
        )


def _strength_of(function: Any) -> Any:
    """What a partial holds for the third argument of a noise function, or NaN."""
    try:
        third = list(inspect.signature(function).parameters.values())[2]
        return jnp.asarray(third.default, jnp.float32)
    except (IndexError, TypeError, ValueError):
        return jnp.nan


def _name(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)
