"""What every NNX noise layer shares: the switch, the key stream, and the strength.

The NNX counterpart of `linen_base`. A layer is active unless its ``deterministic`` is
True, and takes its keys from a stream of its own, forked from the `nnx.Rngs` that its
constructor gets.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from flax.errors import TraceContextError
from jaxtyping import Array, ArrayLike, Bool, Float

from jaxnoise.checks import shown, single_key
from jaxnoise.noise.arguments import (
    Noisy,
    apply_noise,
    as_axes,
    as_switch,
    check_strength,
    own_key,
)
from jaxnoise.noise.observing import Observable, is_observed, is_stripped
from jaxnoise.noise.strengths import PREFIX, Learnable, check_level, learned, most_of

NoiseFn = Callable[..., Array]
Rngs = nnx.Rngs | nnx.RngStream | None  # of a constructor
SHARED = (
    "the noise would be the same along a vmapped axis: split the layers' streams, by "
    "nnx.split_rngs(splits=n) and in_axes=nnx.StateAxes({nnx.RngState: 0, ...: None}), "
    "or share it on purpose by rngs=key at the call."
)


@nnx.register_variable_name("noise_strength")
class NoiseStrength(nnx.Variable):
    """A strength that is a number: traced, not trained.

    Example:
        >>> import jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.GaussianNoise(0.1, rngs=nnx.Rngs(0))
        >>> nnx.to_pure_dict(nnx.state(layer, jn.nnx.NoiseStrength))
        {'stddev': Array(0.1, dtype=float32)}
        >>> layer.stddev[...] = 0.2
    """


@nnx.register_variable_name("noise_step")
class NoiseStep(nnx.Variable):
    """The number of noisy calls of a layer with a schedule.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.GaussianNoise(lambda step: 0.1 * step, rngs=nnx.Rngs(0))
        >>> _ = layer(jnp.ones(3))
        >>> nnx.to_pure_dict(nnx.state(layer, jn.nnx.NoiseStep))
        {'stddev_step': Array(1, dtype=int32)}
    """


class TrainOnly(Observable, nnx.Module):
    """What is active in training alone: the switch, and the key of the call."""

    path: Any = ""  # in the model, where someone described it

    def __init__(self, *, deterministic: bool, rngs: Rngs) -> None:
        if not isinstance(deterministic, bool):
            raise TypeError(
                f"{type(self).__name__}: deterministic must be a bool, "
                f"got {shown(deterministic)}."
            )
        self.deterministic = deterministic
        if isinstance(rngs, nnx.Rngs):
            rngs = _stream(rngs)
        elif not (rngs is None or isinstance(rngs, nnx.RngStream)):
            raise TypeError(
                f"{type(self).__name__}: rngs must be an nnx.Rngs, such as "
                f"nnx.Rngs(noise=0), got {shown(rngs)}."
            )
        self.rngs = nnx.data(None if rngs is None else rngs.fork())

    def set_view(self, deterministic: bool | None = None) -> None:
        """What `nnx.view` calls; `nnx.view_info` reads arguments indented by two.

        Args:
          deterministic: if True, no noise.
        """
        if deterministic is not None:
            self.deterministic = deterministic

    def _path(self) -> str:
        return str(self.path)

    def _switch(self, train: Any) -> Any:
        """True, False, or a traced boolean."""
        if is_stripped():
            return False
        train = not self.deterministic if train is None else train
        return as_switch(self._label(), train)

    def _key(self, rngs: Any, *used: Any) -> Array:
        """The call's key: given on purpose, or of the call's or the layer's stream.

        Args:
            rngs: what the call was given.
            used: what the noise will stand beside; along a vmapped axis of any of it a
                key of a stream must differ.
        """
        if isinstance(rngs, jax.Array):
            return rngs
        if not (rngs is None or isinstance(rngs, nnx.Rngs | nnx.RngStream)):
            raise TypeError(
                f"{self._label()}: rngs must be an nnx.Rngs, a stream or a typed key, "
                f"got {shown(rngs)}."
            )
        stream = self.rngs if rngs is None else rngs
        if isinstance(stream, nnx.Rngs):
            stream = _stream(stream)
        if not isinstance(stream, nnx.RngStream):
            raise ValueError(
                f"{self._label()} is active but has no 'noise' key stream: pass "
                "rngs=nnx.Rngs(noise=0) to the constructor or to the call, or switch "
                "the noise off by model.eval() or train=False."
            )
        try:
            key = single_key(stream())
        except TraceContextError as error:
            raise ValueError(
                f"{self._label()} is closed over by a function under jax.jit, jax.vmap "
                "or the like, where its key stream cannot move on: use nnx.jit or "
                "nnx.vmap with the model as an argument, nnx.merge(..., copy=True) "
                "inside, or give rngs=key to the call."
            ) from error
        return own_key(key, used, (), f"{self._label()}: {SHARED}")


def _stream(rngs: nnx.Rngs) -> nnx.RngStream | None:
    """The stream of the noise, in NNX's way: a default stream stands in for it."""
    return rngs["noise"] if "noise" in rngs or "default" in rngs else None


class NoiseLayer(TrainOnly):
    """A layer over a noise function: noise or ``x``, and the mask."""

    def _noise(self, train: Any) -> tuple[NoiseFn, Any]:
        """The noise, ``(key, x) -> x``, and its strength."""
        raise NotImplementedError

    def __call__(
        self,
        x: Float[ArrayLike, "*shape"],
        train: Bool[ArrayLike, ""] | None = None,
        *,
        mask: Bool[ArrayLike, "..."] | None = None,
        rngs: Any = None,
    ) -> Float[Noisy, "*shape"]:
        """Return ``x`` with noise if the layer is active, and ``x`` itself if not.

        Args:
            x: values of any shape, floating.
            train: whether noise is on; None for what ``deterministic`` says. A traced
                value selects, and needs the key stream either way.
            mask: True where noise applies; x's shape or that of its leading axes.
            rngs: an `nnx.Rngs`, a stream or a key, instead of the layer's own stream.

        Raises:
            TypeError: if ``train`` is no bool.
            ValueError: if there is no key stream, the noise changes the shape, the key
                would be the same along a vmapped axis of x, or the stream cannot move
                on, as inside `jax.jit` of a function that closes over the layer.
        """
        train = self._switch(train)
        if train is False:
            if is_observed():
                return self._report(self._noise(train)[1], False, x, x, mask)
            return x  # type: ignore[return-value]
        fn, strength = self._noise(train)
        key = self._key(rngs, x, *([] if callable(strength) else [strength]))
        x, noisy = apply_noise(self._label(), fn, key, x, mask=mask, train=train)
        return self._report(strength, train, x, noisy, mask)


class NamedNoise(NoiseLayer):
    """A short form of `Noise`: a noise function with its strength and arguments."""

    _fn: ClassVar[NoiseFn]  # Flax would take a public function for a method

    def __init__(
        self,
        name: str,
        value: Any,
        *,
        shared_axes: int | Sequence[int],
        deterministic: bool,
        rngs: Rngs,
        **arguments: Any,
    ) -> None:
        super().__init__(deterministic=deterministic, rngs=rngs)
        check_level(type(self).__name__, name, value)
        self.shared_axes = as_axes(shared_axes)
        self.strength_name = name
        self.argument_names = tuple(arguments)
        for argument, number in arguments.items():
            array = hasattr(number, "dtype")
            setattr(self, argument, nnx.data(number) if array else number)
        self.schedule = None
        if isinstance(value, Learnable):
            self.floor = value.floor
            setattr(self, PREFIX + name, nnx.Param(value.parameter()))
        elif callable(value):
            self.schedule = nnx.static(value)
            setattr(self, f"{name}_step", NoiseStep(jnp.zeros((), jnp.int32)))
        else:
            setattr(self, name, NoiseStrength(jnp.asarray(value, float)))

    def __setattr__(self, name: str, value: Any) -> None:
        """A number for the strength goes into its variable, which compiles nothing."""
        held = vars(self).get(name)
        if isinstance(held, NoiseStrength) and not isinstance(value, nnx.Variable):
            check_strength(name, value, most_of(name))
            held.set_value(jnp.asarray(value, float))
        else:
            super().__setattr__(name, value)

    def _noise(self, train: Any) -> tuple[NoiseFn, Any]:
        level = self._level(train)
        arguments = {name: getattr(self, name) for name in self.argument_names}
        arguments |= self._keywords(self.strength_name, level)
        return partial(type(self)._fn, **arguments, shared_axes=self.shared_axes), level

    def _keywords(self, name: str, level: Any) -> dict[str, Any]:
        """The function's argument for the strength."""
        return {name: level}

    def _level(self, train: Any) -> Array:
        """The strength: as it is, of the step, or of a parameter."""
        name = self.strength_name
        if hasattr(self, PREFIX + name):
            return learned(getattr(self, PREFIX + name)[...], self.floor)
        if self.schedule is None:
            return getattr(self, name)[...]
        step = getattr(self, f"{name}_step")
        level = self.schedule(step[...])
        if train is not False:
            step[...] += jnp.asarray(train, jnp.int32)
        return level
