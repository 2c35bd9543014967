"""What every Linen noise layer shares: the switch, the key stream, and the strength.

A layer picks these, nothing else: noise when ``train=True``, the identity bit for bit
otherwise. The key comes from the stream ``"noise"``, and a missing stream is an error,
never another stream in its place.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, ClassVar
from zlib import crc32

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core.tracers import current_trace
from jax.extend.core import set_current_trace, take_current_trace
from jaxtyping import Array, ArrayLike, Bool, Float

from jaxnoise.checks import are_keys_shared
from jaxnoise.noise.arguments import (
    Noisy,
    apply_noise,
    as_axes,
    as_switch,
    own_key,
)
from jaxnoise.noise.observing import Observable, is_observed, is_stripped
from jaxnoise.noise.strengths import PREFIX, Learnable, check_level

NoiseFn = Callable[..., Array]
STATE = "noise"  # the collection of the counters of schedules
LOOPS = ("scan", "fori_loop", "while_body")  # how JAX names a body that it traces
LIFTED = ("scan(", "while_loop(")  # how Flax does, in a scope's path


class TrainOnly(Observable, nn.Module, kw_only=True):
    """What is active in training alone: the switch, and the key of the call."""

    train: bool | None = None

    @nn.nowrap
    def _path(self) -> str:
        return "/".join(self.scope.path) if self.scope is not None else ""

    @nn.nowrap
    def _switch(self, train: Any) -> Any:
        """True, False, or a traced boolean."""
        if is_stripped():
            return False
        if train is None and self.train is None:
            raise ValueError(
                f"{self._label()}: train must be given, train=True for noise or "
                "train=False for none; it has no default."
            )
        if train is not None and self.train is not None:
            raise ValueError(
                f"{self._label()}: train was given to the constructor and to the call; "
                "give it once."
            )
        return as_switch(self._label(), self.train if train is None else train)

    @nn.nowrap
    def _key(self, *, traced: bool) -> Array:
        if self.scope is not None and self.has_rng("noise"):
            key = self.make_rng("noise")
            path = self.scope.path
            # Flax joins the names of a path, so that a/b would share with ab.
            return (
                jax.random.fold_in(key, crc32(repr(path).encode())) if path[1:] else key
            )
        cause = (
            "has a traced train (inside nn.remat, pass train by position and name it "
            "in static_argnums; a keyword is always traced)"
            if traced
            else "is active (train=True)"
        )
        other = f"; for NNX there is jn.nnx.{type(self).__name__}"
        raise ValueError(
            f"{self._label()} {cause} but has no 'noise' key stream: pass "
            "rngs={'noise': key} to apply, init with train=False, and inside nn.scan "
            "or nn.vmap name it in split_rngs={'noise': True}"
            f"{other if self.scope is None else ''}."
        )

    @nn.nowrap
    def _own_key(self, key: Array, used: Any, free: Any) -> Array:
        """``key``, refused where a loop or a vmapped axis around the call shares it."""
        scope: Any = self.scope
        place = _shared_along(scope, used, free)
        if place:
            raise ValueError(f"{self._label()}: {_equal_noise(place)}")
        if any("vmap(" in name for name in scope.debug_path):
            return key  # what nn.vmap shares is said in its split_rngs
        error = f"{self._label()}: {_equal_noise('a vmapped axis')}"
        return own_key(key, used, free, error)


def _equal_noise(place: str) -> str:
    return (
        f"the noise would be the same along {place}: give every row or step a key of "
        "its own, mapped or scanned over like x, or in a module use nn.vmap or nn.scan "
        "with split_rngs={'noise': True}; to share noise on purpose, map or scan over "
        "copies, jnp.broadcast_to(key, (n,)), or say split_rngs={'noise': False}."
    )


def _shared_along(scope: Any, used: Any, free: Any) -> str | None:
    """What lies around the call and shares its key: a loop, or an axis inside apply.

    The traces of functions under `jax.vmap` and in loops lie in each other; between
    that of the call and that of its key are those along which the key is one. Axes
    around `apply` are left to `own_key`, and the loops of Flax' own transforms share
    by ``split_rngs`` alone, on purpose. A key that a loop hands to a function under
    `jax.jit` is not seen.
    """
    with take_current_trace() as trace:
        pass
    source, inside, varies = _trace_of(scope.rngs["noise"].rng), True, False
    lifted = any(name in part for part in scope.debug_path for name in LIFTED)
    on_purpose = lifted or are_keys_shared()
    while trace is not None and trace is not source:
        varies |= any(_trace_of(leaf) is trace for leaf in jax.tree.leaves(free))
        with set_current_trace(trace):
            inside &= current_trace() != scope.root.trace_level
        debug = getattr(getattr(trace, "frame", None), "debug_info", None)
        loop = getattr(debug, "traced_for", None) in LOOPS
        if loop and not varies and (inside or not on_purpose):
            return "the steps of a loop"
        axis = inside and type(trace).__name__ == "BatchTrace"
        if axis and any(_trace_of(leaf) is trace for leaf in jax.tree.leaves(used)):
            return "a vmapped axis"
        trace = getattr(trace, "parent_trace", None)
    return None


def _trace_of(value: Any) -> Any:
    return getattr(value, "_trace", None)


class NoiseLayer(TrainOnly):
    """A layer over a noise function: noise or ``x``, and the mask."""

    @nn.nowrap
    def _noise(self, train: Any) -> tuple[NoiseFn, Any]:
        """The noise, ``(key, x) -> x``, and its strength."""
        raise NotImplementedError

    @nn.nowrap
    def _given(self) -> list[Any]:
        """Numbers that the constructor got: axes of theirs share noise on purpose."""
        raise NotImplementedError

    def __call__(
        self,
        x: Float[ArrayLike, "*shape"],
        train: Bool[ArrayLike, ""] | None = None,
        *,
        mask: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Noisy, "*shape"]:
        """Return ``x`` with noise if ``train``, and ``x`` itself if not.

        Args:
            x: values of any shape, floating.
            train: whether noise is on; no default, unless given to the constructor.
                A traced value selects, and needs the key stream either way.
            mask: True where noise applies; x's shape or that of its leading axes.

        Raises:
            ValueError: if ``train`` is given twice or not at all, if the stream
                ``"noise"`` is missing, or if the noise changes the shape.
        """
        train = self._switch(train)
        if train is False:
            initializing = self.scope is not None and self.is_initializing()
            if initializing or is_observed():
                _, strength = self._noise(train)  # makes the strength's variables
                return self._report(strength, False, x, x, mask)
            return x  # type: ignore[return-value]
        key = self._key(traced=train is not True)
        fn, strength = self._noise(train)
        key = self._own_key(key, x, self._given())
        x, noisy = apply_noise(self._label(), fn, key, x, mask=mask, train=train)
        return self._report(strength, train, x, noisy, mask)


class NamedNoise(NoiseLayer, kw_only=True):
    """A short form of `Noise`: a noise function with its arguments as fields.

    A subclass names the function, ``fn``, and its arguments but for ``key``, ``x``,
    ``mask`` and ``shared_axes``; the first is the strength.
    """

    fn: ClassVar[NoiseFn]
    shared_axes: int | Sequence[int] = ()

    def __post_init__(self) -> None:
        name = self._arguments()[0]
        check_level(type(self).__name__, name, getattr(self, name))
        as_axes(self.shared_axes)
        super().__post_init__()

    @nn.nowrap
    def _arguments(self) -> list[str]:
        shared = {field.name for field in fields(NamedNoise)}
        return [field.name for field in fields(self) if field.name not in shared]

    @nn.nowrap
    def _noise(self, train: Any) -> tuple[NoiseFn, Any]:
        name, *rest = self._arguments()
        level = self._level(name, train)
        arguments = {name: getattr(self, name) for name in rest}
        arguments |= self._keywords(name, level)
        fn = partial(type(self).fn, **arguments, shared_axes=self.shared_axes)
        return fn, level

    @nn.nowrap
    def _given(self) -> list[Any]:
        value = getattr(self, self._arguments()[0])
        return [] if callable(value) or isinstance(value, Learnable) else [value]

    @nn.nowrap
    def _keywords(self, name: str, level: Any) -> dict[str, Any]:
        """The function's argument for the strength."""
        return {name: level}

    @nn.nowrap
    def _level(self, name: str, train: Any) -> Any:
        """The strength: as it is, of the step, or of a parameter."""
        value = getattr(self, name)
        if isinstance(value, Learnable):
            return value.value(self._parameter(PREFIX + name, value))
        return self._scheduled(name, value, train) if callable(value) else value

    @nn.nowrap
    def _parameter(self, name: str, value: Learnable) -> Array:
        """The one parameter of all calls: Flax lets a scope make a name once."""
        scope = self._bound()
        if scope.has_variable("params", name):
            return scope.get_variable("params", name)
        if not self.is_initializing():
            raise ValueError(
                f"{self._label()} has a learnable strength, whose parameter must come "
                "from init: apply(variables, x, ...) with variables = init(key, x, "
                "train=False)."
            )
        return scope.param(name, lambda _: value.parameter())

    @nn.nowrap
    def _scheduled(self, name: str, schedule: Any, train: Any) -> Any:
        """The strength of this step; the counter counts the layer's noisy calls."""
        scope, counter = self._bound(), f"{name}_step"
        mutable = scope.is_mutable_collection(STATE)
        if train is not False and not mutable:
            raise ValueError(
                f"{self._label()} has a schedule, whose counter must be carried: pass "
                f"mutable=['{STATE}'] to apply and keep the variables that it returns; "
                f"inside nn.scan also variable_axes={{'params': 0, '{STATE}': 0}}."
            )
        step = scope.get_variable(STATE, counter, jnp.zeros((), jnp.int32))
        if mutable:
            on = False if self.is_initializing() else train
            scope.put_variable(STATE, counter, step + jnp.asarray(on, jnp.int32))
        return schedule(step)

    @nn.nowrap
    def _bound(self) -> Any:
        """The scope, whose variables need no compact method around them."""
        if self.scope is None:
            raise ValueError(
                f"{self._label()} has a schedule or a learnable strength, and must be "
                "called inside a model or through init and apply."
            )
        return self.scope
