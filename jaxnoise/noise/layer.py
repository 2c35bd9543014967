"""A noise layer: its switch, key, draw, mask and report, for both frameworks.

`Layer` is what a call does, from top to bottom; `NamedLayer` adds the noise function
whose arguments are the layer's fields. `linen` and `nnx` say where a switch, a key and
a strength come from, and declare the layers.

From outside, layers are heard by an `Observer`, or switched off altogether, `stripped`.
Without an observer a report costs nothing.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, ArrayLike, Bool

from jaxnoise.checks import as_array, name_of, shown
from jaxnoise.noise import draw
from jaxnoise.noise.strengths import check_below_1, check_level, stddev_of_rate
from jaxnoise.pickling import Pickled

Switch = Bool[ArrayLike, ""] | None
Product = Callable[[Any, Any], Array]  # (key, on)
if TYPE_CHECKING:
    Noisy = Array  # what a layer gives, inside a model
else:
    Noisy = ArrayLike  # without noise it is x itself, of NumPy or not

LOOPS = ("scan", "fori_loop", "while_body")  # how JAX names a body that it traces

# Contexts; functions that are compiled in one are not those compiled elsewhere.
stripped = jax.make_user_context(False)  # all layers are off, whatever switched them on
keys_shared = jax.make_user_context(False)  # axes around share a key, on purpose
observing = jax.make_user_context(None)  # what hears of the calls: an `Observer`


class Layer(Pickled):
    """What is active in training alone: noise when switched on, else ``x`` itself."""

    is_noise_layer = True  # what stands where a function belongs is told by it

    def _place(self) -> str:
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

    def _noise(self, train: Any) -> tuple[draw.NoiseFn, Any]:
        """The noise, ``(key, x) -> x``, and its strength."""
        raise NotImplementedError

    def _is_new(self) -> bool:
        """Whether the variables of the strength are made by this call."""
        return False

    def _label(self) -> str:
        path, name = self._place(), type(self).__name__
        return f"{name} {path!r}" if path else name

    def _switch(self, train: Any) -> Any:
        """True, False, or a traced boolean."""
        if stripped.value:
            return False
        train = self._asked(train)
        kind = getattr(train, "dtype", type(train))
        if kind not in (bool, np.bool_) or np.shape(train):
            raise TypeError(
                f"{self._label()}: train must be a bool, got {shown(train)}."
            )
        return train if isinstance(train, jax.core.Tracer) else bool(train)

    def _applied(self, x: Any, train: Any, mask: Any, source: Any = None) -> Any:
        """The whole of a call; ``source`` is where its key comes from, if told."""
        train = self._switch(train)
        if train is False:
            if self._is_new() or observing.value:
                return self._report(self._noise(train)[1], False, x, x, mask)
            return x
        key = self._key(source, train is not True)
        fn, strength = self._noise(train)
        x, key = as_array("x", x), self._own(key, source, x, strength)
        noisy = draw.call_masked(fn, key, x, mask=mask)
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

    def _product(
        self, product: Product, strength: Any, used: Any, train: Any, source: Any = None
    ) -> Any:
        """The whole of a call of a layer whose weights are noisy.

        Args:
            product: ``product(key, on)`` is what comes out; without noise for no key.
            strength: what is reported.
            used: what the noise will stand beside.
            train: the switch, resolved.
            source: where its key comes from, if told.
        """
        if train is False or observing.value:
            clean = product(None, False)
        if train is False:
            return self._report(strength, False, clean, clean)
        key = self._own(self._key(source, train is not True), source, used, ())
        out = product(key, train)
        return self._report(strength, train, clean, out) if observing.value else out

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
        observer: Observer | None = observing.value
        if observer is None:
            return noisy
        noise = type(self).__name__
        if callable(strength):
            noise, strength = f"{noise}({name_of(strength)})", _strength_of(strength)
        clean, noisy = jnp.asarray(clean), jnp.asarray(noisy)
        wide = jnp.promote_types(clean.dtype, jnp.float32)
        count = draw.full_mask(mask, clean).sum()
        added = noisy.astype(wide) - clean.astype(wide)
        moments = *draw.moments(clean, mask), *draw.moments(added, mask)
        numbers = jnp.mean(jnp.asarray(strength, wide)), fired, count, *moments
        values = jnp.stack([jnp.asarray(n, wide).reshape(()) for n in numbers])
        calls = observer.calls.setdefault((self._place(), noise), [])

        def told(values: Any) -> np.ndarray:
            calls.append(np.array(values).reshape(-1, len(numbers)))
            return np.ones(values.shape[:-1], bool)

        # What comes back is used, as nothing else would keep the callback alive; a side
        # effect of it would be refused inside Flax's `nn.scan`.
        heard = jax.pure_callback(
            told,
            jax.ShapeDtypeStruct((), bool),
            lax.stop_gradient(values),
            vmap_method="broadcast_all",
        )
        return jnp.where(heard, noisy, jnp.zeros_like(noisy))


class NamedLayer(Layer):
    """A noise function with its arguments as fields.

    A subclass names the function, ``noise``, and as fields its arguments but for
    ``key``, ``x``, ``mask`` and ``shared_axes``; the first is the strength.
    """

    _fn: ClassVar[draw.NoiseFn]
    shared_axes: Any

    def __init_subclass__(cls, noise: Any = None, **others: Any) -> None:
        if noise is not None:
            cls._fn = staticmethod(noise)
        super().__init_subclass__(**others)

    def _arguments(self) -> list[str]:
        """The fields that the function takes, the strength first."""
        taken = inspect.signature(type(self)._fn).parameters
        declared: dict[str, Any] = vars(type(self))["__dataclass_fields__"]
        return [name for name in declared if name in taken and name != "shared_axes"]

    def _checked_name(self) -> str:
        """Of the strength, which is refused at once, not at the first noisy call."""
        draw.as_axes(self.shared_axes)
        name = self._strength_name()
        check_level(type(self).__name__, name, getattr(self, name))
        return name

    def _strength_name(self) -> str:
        return self._arguments()[0]

    def _level(self, name: str, train: Any) -> Any:
        """The strength: as it is, of the step, or of a parameter."""
        raise NotImplementedError

    def _noise(self, train: Any) -> tuple[draw.NoiseFn, Any]:
        name, (first, *others) = self._strength_name(), self._arguments()
        level = self._level(name, train)
        arguments = {other: getattr(self, other) for other in others}
        arguments[first] = level if name == first else stddev_of_rate(level)
        return partial(type(self)._fn, **arguments, shared_axes=self.shared_axes), level


class ByRate(NamedLayer):
    """A multiplied noise, whose stddev may be given as the rate of a dropout."""

    rate: Any
    stddev: Any

    def _strength_name(self) -> str:
        return "stddev" if self.rate is None else "rate"

    def _checked_name(self) -> str:
        rate, stddev = self.rate, self.stddev
        if (rate is None) == (stddev is None):
            raise ValueError(
                f"{type(self).__name__}: give rate or stddev, one of them, "
                f"got {shown(rate)} and {shown(stddev)}."
            )
        name = super()._checked_name()
        if rate is not None and not callable(rate):
            check_below_1(rate)
        return name


def is_loop(trace: Any) -> bool:
    """Whether the body of a loop is traced by it."""
    debug = getattr(getattr(trace, "frame", None), "debug_info", None)
    return getattr(debug, "traced_for", None) in LOOPS


def own_key(key: Array, used: Any, free: Any, error: str) -> Array:
    """``key``, refused if a vmapped axis shares it: rows of equal noise.

    Args:
        key: of the call.
        used: what the noise will stand beside; along a vmapped axis of any of it the
            key must differ,
        free: unless any of this is mapped along it, too.
        error: what the refusal says.
    """
    if keys_shared.value or not draw.is_traced(used, free):
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


@dataclass(eq=False)  # its identity is what the caches of compiled functions tell apart
class Observer:
    """Hears the calls of all layers ``with observing(observer)``.

    ``calls`` has, in the order in which they are traced, path and noise of all layers,
    each with its calls that ran, which they do only where something needs what came
    out. A call is a row, or a row for each example along vmapped axes: the strength
    (NaN for a function without one of its own), whether it fired, how many values the
    mask lets through, their mean and deviation without noise, those of what it added.
    """

    calls: dict[tuple[str, str], list[np.ndarray]] = field(default_factory=dict)


def _strength_of(function: Any) -> Any:
    """What a partial holds for the third argument of a noise function, or NaN."""
    try:
        third = list(inspect.signature(function).parameters.values())[2]
        return jnp.asarray(third.default, jnp.float32)
    except (IndexError, TypeError, ValueError):
        return jnp.nan
