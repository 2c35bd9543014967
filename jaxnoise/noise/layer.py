"""A noise layer: its switch, key, draw, mask and report, for both frameworks.

`Layer` is what a call does, from top to bottom; `NamedLayer` adds the noise function
whose arguments are the layer's fields. `linen` and `nnx` say where a switch, a key and
a strength come from, and declare the layers.

From outside, layers are told of by an observer, `observed`, or switched off altogether,
`stripped`. Without an observer a report costs nothing.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, ArrayLike

from jaxnoise.checks import as_array, name_of, shown
from jaxnoise.noise.draw import NoiseFn, call_masked, full_mask, moments
from jaxnoise.noise.functions import noisy_product
from jaxnoise.noise.strengths import check_rate_or_stddev, stddev_of_rate
from jaxnoise.pickling import Pickled

if TYPE_CHECKING:
    Noisy = Array  # what a layer gives, inside a model
else:
    Noisy = ArrayLike  # without noise it is x itself, of NumPy or not

# Contexts; functions that are compiled in one are not those compiled elsewhere.
stripped = jax.make_user_context(False)  # all layers are off, whatever switched them on
keys_shared = jax.make_user_context(False)  # axes around share a key, on purpose
_observation = jax.make_user_context(None)


class Layer(Pickled):
    """What is active in training alone: noise when switched on, else ``x`` itself."""

    is_noise_layer = True  # what stands where a function belongs is told by it

    def _path(self) -> str:
        """Where the layer stands in the model."""
        raise NotImplementedError

    def _asked(self, train: Any) -> Any:
        """The switch: of the call, or of the constructor."""
        raise NotImplementedError

    def _key(self, source: Any, traced: bool) -> Array:
        """A fresh key of the layer's stream, or of what the call was given."""
        raise NotImplementedError

    def _own(self, key: Array, source: Any, used: Any, strength: Any) -> Array:
        """``key``, refused where rows or steps would share it without purpose."""
        raise NotImplementedError

    def _noise(self, train: Any) -> tuple[NoiseFn, Any]:
        """The noise, ``(key, x) -> x``, and its strength."""
        raise NotImplementedError

    def _is_new(self) -> bool:
        """Whether the variables of the strength are made by this call."""
        return False

    def _label(self) -> str:
        path, name = self._path(), type(self).__name__
        return f"{name} {path!r}" if path else name

    def _switch(self, train: Any) -> Any:
        """True, False, or a traced boolean."""
        if stripped.value:
            return False
        train = self._asked(train)
        if isinstance(train, bool | np.bool_):
            return bool(train)
        if not isinstance(train, jax.Array) or train.dtype != bool or train.shape != ():
            raise TypeError(
                f"{self._label()}: train must be a bool, got {shown(train)}."
            )
        return train if isinstance(train, jax.core.Tracer) else bool(train)

    def _called(self, x: Any, train: Any, mask: Any, source: Any = None) -> Any:
        """The whole of a call; ``source`` is where its key comes from, if told."""
        train = self._switch(train)
        if train is False:
            if self._is_new() or is_observed():
                return self._report(self._noise(train)[1], False, x, x, mask)
            return x
        key = self._key(source, train is not True)
        fn, strength = self._noise(train)
        x, key = as_array("x", x), self._own(key, source, x, strength)
        noisy = call_masked(fn, key, x, mask=mask)
        if not hasattr(noisy, "astype"):
            got = type(noisy).__name__
            raise TypeError(
                f"{self._label()}: noise must return an array like x, got {got}."
            )
        if noisy.shape != x.shape:
            raise ValueError(
                f"{self._label()}: noise must keep the shape of x, {x.shape}, "
                f"got {noisy.shape}."
            )
        noisy = noisy.astype(x.dtype)
        noisy = noisy if train is True else jnp.where(train, noisy, x)
        return self._report(strength, train, x, noisy, mask)

    def _product(self, params: Any, x: Array, train: Any, source: Any = None) -> Any:
        """The whole of a call of a layer whose weights are noisy; `noisy_product`."""
        strength = params["kernel_stddev"]
        if train is False or is_observed():
            clean = noisy_product(params, x)
        if train is False:
            return self._report(strength, False, clean, clean)
        key = self._key(source, train is not True)
        key = self._own(key, source, (x, params), ())
        out = noisy_product(params, x, key, train)
        return self._report(strength, train, clean, out) if is_observed() else out

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
        clean, noisy = jnp.asarray(clean), jnp.asarray(noisy)
        wide = jnp.promote_types(clean.dtype, jnp.float32)
        where = jnp.ones(clean.shape, bool)
        if mask is not None:
            where &= full_mask(mask, clean)
        values = (
            jnp.asarray(strength, jnp.float32),
            jnp.asarray(fired),
            where.sum(),
            jnp.stack(moments(clean, where)),
            jnp.stack(moments(noisy.astype(wide) - clean.astype(wide), where)),
        )
        order, path = len(observation.traced), self._path()
        observation.traced.append((path, noise))

        def told(*values: Any) -> np.bool_:
            observation.observer(Call(order, path, noise, *values))
            return np.True_

        heard = _tell(told, *map(lax.stop_gradient, values))
        return jnp.where(heard, noisy, jnp.zeros_like(noisy))


class NamedLayer(Layer):
    """A noise function with its arguments as fields.

    A subclass names the function, ``_fn``, and as fields its arguments but for ``key``,
    ``x``, ``mask`` and ``shared_axes``; the first is the strength.
    """

    _fn: ClassVar[NoiseFn]  # Flax would take a public one for a method
    shared_axes: Any

    def _arguments(self) -> list[str]:
        """The fields that the function takes, the strength first."""
        taken = inspect.signature(type(self)._fn).parameters
        declared: dict[str, Any] = vars(type(self))["__dataclass_fields__"]
        return [name for name in declared if name in taken and name != "shared_axes"]

    def _strength_name(self) -> str:
        return self._arguments()[0]

    def _level(self, name: str, train: Any) -> Any:
        """The strength: as it is, of the step, or of a parameter."""
        raise NotImplementedError

    def _noise(self, train: Any) -> tuple[NoiseFn, Any]:
        name = self._strength_name()
        level = self._level(name, train)
        rest = {other: getattr(self, other) for other in self._arguments()[1:]}
        arguments = rest | self._keywords(name, level)
        return partial(type(self)._fn, **arguments, shared_axes=self.shared_axes), level

    def _keywords(self, name: str, level: Any) -> dict[str, Any]:
        """The function's argument for the strength."""
        return {name: level}


class ByRateOrStddev(NamedLayer):
    """A multiplied noise, whose strength is given by one of two fields."""

    rate: Any
    stddev: Any

    def _strength_name(self) -> str:
        return check_rate_or_stddev(self.rate, self.stddev)

    def _keywords(self, name: str, level: Any) -> dict[str, Any]:
        return {"stddev": level if name == "stddev" else stddev_of_rate(level)}


def own_key(key: Array, used: Any, free: Any, error: str) -> Array:
    """``key``, refused if a vmapped axis shares it: rows of equal noise.

    Args:
        key: of the call.
        used: what the noise will stand beside; along a vmapped axis of any of it the
            key must differ,
        free: unless any of this is mapped along it, too.
        error: what the refusal says.
    """
    leaves = jax.tree.leaves((used, free))
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
    if keys_shared.value or not traced:
        return key

    @custom_vmap
    def own(words: Array, used: Any, free: Any) -> Array:
        return words

    @own.def_vmap
    def _(size: int, mapped: list[Any], words: Array, used: Any, free: Any) -> Any:
        words_too, used_too, free_too = (any(jax.tree.leaves(m)) for m in mapped)
        if used_too and not words_too and not free_too:
            raise ValueError(error)
        return own(words, used, free), words_too

    words = own(jax.random.key_data(key), *lax.stop_gradient((used, free)))
    return jax.random.wrap_key_data(words, impl="threefry2x32")


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


def _tell(told: Callable[..., np.bool_], *values: Array) -> Array:
    """Call back with the values; once for all examples of a vmapped axis.

    The callback returns True, which is to be used: it has no side effect that would
    keep it alive by itself. Flax's `nn.scan` refuses a body whose side effects depend
    on what is scanned, as if they were broadcasted variables.
    """

    @custom_vmap
    def tell(*values: Array) -> Array:
        return jax.pure_callback(told, jax.ShapeDtypeStruct((), bool), *values)

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
