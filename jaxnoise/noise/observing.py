"""Noise layers from outside: told of by an observer, or switched off altogether.

Layers of both kinds, Linen and NNX, are `Observable`. While an observer listens they
report every call; without one a report costs nothing.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array

from jaxnoise.checks import name_of
from jaxnoise.noise.arguments import full_mask, moments
from jaxnoise.pickling import Pickled


class Call(NamedTuple):
    """One call of one layer; along a vmapped axis, arrays of all its examples'."""

    order: int  # of the calls while they are traced
    path: str
    noise: str
    strength: Any  # NaN for a function without a strength of its own
    fired: Any
    count: Any  # of values that the mask lets through
    signal: Any  # their `moments` without noise
    change: Any  # and those of what noise added


class _Observation:
    """An observer, with an identity for the caches of compiled functions."""

    def __init__(self, observer: Callable[[Call], None]) -> None:
        self.observer = observer
        self.traced: list[tuple[str, str]] = []  # path and noise of each call


# Functions that are compiled in such a context are not those compiled elsewhere.
_observation = jax.make_user_context(None)
_stripped = jax.make_user_context(False)


@contextmanager
def stripped() -> Iterator[None]:
    """Switch off all layers, those too whose constructor switched them on."""
    with _stripped(True):
        yield


def is_stripped() -> bool:
    """Whether all noise is off."""
    return bool(_stripped.value)


@contextmanager
def observed(observer: Callable[[Call], None]) -> Iterator[list[tuple[str, str]]]:
    """Give the calls of all layers to ``observer``; traced ones when they run.

    A traced call runs only where something needs what came out. The list, of path and
    noise, is of all calls that were traced, whether they run or not.
    """
    observation = _Observation(observer)
    with _observation(observation):
        yield observation.traced


def is_observed() -> bool:
    """Whether an observer listens."""
    return _observation.value is not None


class Observable(Pickled):
    """A layer that messages and observers can name."""

    is_noise_layer = True  # what stands where a function belongs is told by it

    def _path(self) -> str:
        """Where the layer stands in the model."""
        raise NotImplementedError

    def _label(self) -> str:
        path, name = self._path(), type(self).__name__
        return f"{name} {path!r}" if path else name

    def _report(
        self, strength: Any, fired: Any, clean: Any, noisy: Any, mask: Any = None
    ) -> Any:
        """Tell the observer, if there is one, of a call.

        Args:
            strength: what scales the noise; for a bare function, the function itself.
            fired: whether the noise was on.
            clean: what would have come out without noise.
            noisy: what came out.
            mask: True where noise applied; the rest is not measured.

        Returns:
            What came out; whoever uses it has the observer told.
        """
        observation = _observation.value
        if observation is None:
            return noisy
        noise = type(self).__name__
        if callable(strength):
            noise, strength = f"{noise}({name_of(strength)})", _strength_of(strength)
        out = jnp.asarray(noisy)
        clean, noisy = jnp.asarray(clean), out
        where = jnp.ones(clean.shape, bool)
        if mask is not None:
            where &= full_mask(mask, clean)
        wide = jnp.promote_types(clean.dtype, jnp.float32)
        clean, noisy = clean.astype(wide), noisy.astype(wide)
        values = (
            jnp.asarray(strength, jnp.float32),
            jnp.asarray(fired),
            where.sum(),
            jnp.stack(moments(clean, where)),
            jnp.stack(moments(noisy - clean, where)),
        )
        order, path = len(observation.traced), self._path()
        observation.traced.append((path, noise))

        def told(*values: Any) -> np.bool_:
            observation.observer(Call(order, path, noise, *values))
            return np.True_

        heard = _tell(told, *map(lax.stop_gradient, values))
        return jnp.where(heard, out, jnp.zeros_like(out))


def _tell(told: Callable[..., np.bool_], *values: Array) -> Array:
    """Call back with the values; once for all examples of a vmapped axis.

    The callback returns True, which is to be used: it has no side effect that would
    keep it alive by itself. Flax's `nn.scan` refuses a body whose side effects depend
    on what is scanned, as if they were broadcasted variables.
    """

    @custom_vmap
    def tell(*values: Array) -> Array:
        answer = jax.ShapeDtypeStruct((), bool)
        return jax.pure_callback(told, answer, *values)

    @tell.def_vmap
    def _(size: int, batched: list[bool], *values: Array) -> Any:
        whole = [
            value if mapped else jnp.broadcast_to(value, (size, *value.shape))
            for value, mapped in zip(values, batched, strict=True)
        ]
        return tell(*whole), False

    return tell(*values)


def _strength_of(function: Any) -> Any:
    """What a partial holds for the third argument of a noise function, or NaN."""
    try:
        third = list(inspect.signature(function).parameters.values())[2]
        return jnp.asarray(third.default, jnp.float32)
    except (IndexError, TypeError, ValueError):
        return jnp.nan
