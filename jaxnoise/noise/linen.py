"""Flax Linen layers over the noise functions.

A layer picks the key and the switch, nothing else: noise when ``train=True``, the
identity bit for bit otherwise. `Noise` takes any function ``(key, x) -> x``; the named
layers, such as `GaussianNoise`, are short forms of it. The key comes from the stream
``"noise"``, and a missing stream is an error, never another stream in its place.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any
from zlib import crc32

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from jaxnoise.noise.functions import add_gaussian_noise, apply_mask, check_strength

NoiseFn = Callable[..., Array]


class _NoiseLayer(nn.Module, kw_only=True):
    """What every noise layer shares: the switch, the key, and the mask."""

    train: bool | None = None

    def _function(self) -> NoiseFn:
        """The noise, ``(key, x) -> x``."""
        raise NotImplementedError

    def __call__(
        self,
        x: Float[ArrayLike, "*shape"],
        train: Bool[ArrayLike, ""] | None = None,
        *,
        mask: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[ArrayLike, "*shape"]:
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
            return x
        key = self._key(traced=train is not True)
        x = jnp.asarray(x)
        noisy = self._noisy(key, x, mask)
        if noisy.shape != x.shape:
            raise ValueError(
                f"{self._label()}: noise must keep the shape of x, {x.shape}, "
                f"got {noisy.shape}."
            )
        noisy = noisy.astype(x.dtype)
        return noisy if train is True else jnp.where(train, noisy, x)

    def _noisy(self, key: Array, x: Array, mask: Any) -> Array:
        function = self._function()
        if mask is None:
            return function(key, x)
        if "mask" in inspect.signature(function).parameters:
            return function(key, x, mask=mask)
        return apply_mask(mask, function(key, x), x)

    def _label(self) -> str:
        path = "/".join(self.scope.path) if self.scope is not None else ""
        return f"{type(self).__name__} {path!r}" if path else type(self).__name__

    def _switch(self, train: Any) -> Any:
        """True, False, or a traced boolean."""
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
        train = self.train if train is None else train
        if isinstance(train, bool | np.bool_):
            return bool(train)
        if not isinstance(train, jax.Array) or train.dtype != bool or train.shape != ():
            raise TypeError(f"{self._label()}: train must be a bool, got {train!r}.")
        return train if isinstance(train, jax.core.Tracer) else bool(train)

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
        raise ValueError(
            f"{self._label()} {cause} but has no 'noise' key stream: pass "
            "rngs={'noise': key} to apply, and inside nn.scan or nn.vmap name it in "
            "split_rngs={'noise': True}."
        )


class Noise(_NoiseLayer):
    """Any noise function as a layer: ``fn(key, x)`` when ``train=True``, else ``x``.

    Attributes:
        fn: a function ``(key, x) -> x`` that keeps the shape. If it takes ``mask`` it
            gets the mask; if not, the layer keeps ``x`` where the mask is False.
        train: the switch, if it is not given to each call.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> def uniform(key, x):
        ...     return x + jax.random.uniform(key, x.shape, x.dtype, -0.1, 0.1)
        >>> layer, x = jn.Noise(uniform), jnp.ones((2, 3))
        >>> noisy = layer.apply({}, x, train=True, rngs={"noise": jax.random.key(0)})
        >>> bool(abs(noisy - x).max() <= 0.1)
        True
        >>> bool((layer.apply({}, x, train=False) == x).all())
        True
    """

    fn: NoiseFn

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise TypeError(
                f"fn must be a noise function (key, x) -> x, got {self.fn!r}."
            )
        super().__post_init__()

    def _function(self) -> NoiseFn:
        return self.fn


class GaussianNoise(_NoiseLayer):
    """``x + stddev * e``, ``e ~ N(0, 1)``, when ``train=True``; else ``x``.

    Short for ``Noise(partial(add_gaussian_noise, stddev=stddev))``.

    Attributes:
        stddev: standard deviation in the units of ``x``, at least 0, any size; a
            number, an array that broadcasts against ``x``, or traced.
        train: the switch, if it is not given to each call.

    Reference:
        C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
        Neural Computation 7 (1995).

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer, x = jn.GaussianNoise(0.1), jnp.ones((2, 3))
        >>> layer.apply({}, x, train=True, rngs={"noise": jax.random.key(0)}).shape
        (2, 3)
        >>> bool((layer.apply({}, x, train=False) == x).all())
        True
    """

    stddev: ArrayLike

    def __post_init__(self) -> None:
        check_strength("stddev", self.stddev)
        super().__post_init__()

    def _function(self) -> NoiseFn:
        return partial(add_gaussian_noise, stddev=self.stddev)
