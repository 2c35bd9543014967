"""Flax Linen layers over the noise functions.

Noise when ``train=True``, the identity bit for bit otherwise. `Noise` takes any
function ``(key, x) -> x``; the named layers, such as `GaussianNoise`, are short forms
of it. The key comes from the stream ``"noise"``. The strength of a named layer is a
number, an array that broadcasts against ``x``, traced or not; an Optax schedule of the
layer's step, whose counter is carried in the collection ``"noise"``; or a `Learnable`.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import ArrayLike

from jaxnoise.checks import NOISE, check_function
from jaxnoise.noise import functions
from jaxnoise.noise.linen_base import NamedNoise, NoiseFn, NoiseLayer
from jaxnoise.noise.strengths import Strength, check_rate_or_stddev, stddev_of_rate


class Noise(NoiseLayer):
    """Any noise function as a layer: ``fn(key, x)`` when ``train=True``, else ``x``.

    Attributes:
        fn: a function ``(key, x) -> x`` that keeps the shape. If it takes ``mask`` it
            gets the mask; if not, the layer keeps ``x`` where the mask is False.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``fn`` is no function of (key, x) alone.

    Example:
        >>> from functools import partial
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> uniform = partial(jax.random.uniform, minval=-1.0)
        >>> layer = jn.Noise(partial(jn.add_noise, scale=0.1, sampler=uniform))
        >>> x = jnp.ones((2, 3))
        >>> noisy = layer.apply({}, x, train=True, rngs={"noise": jax.random.key(0)})
        >>> bool(abs(noisy - x).max() <= 0.1)
        True
        >>> bool((layer.apply({}, x, train=False) == x).all())
        True
    """

    fn: NoiseFn

    def __post_init__(self) -> None:
        check_function("fn", self.fn, NOISE, 2)
        super().__post_init__()

    @nn.nowrap
    def _noise(self, train: Any) -> tuple[NoiseFn, Any]:
        return self.fn, self.fn

    @nn.nowrap
    def _given(self) -> list[Any]:
        fn = self.fn
        held = (fn.args, fn.keywords) if isinstance(fn, partial) else ()
        return jax.tree.leaves(held)


class GaussianNoise(NamedNoise):
    """``x + stddev * e``, ``e ~ N(0, 1)``, when ``train=True``; else ``x``.

    Short for ``Noise(partial(add_gaussian_noise, stddev=stddev))``.
    ``x`` has any shape, which is kept.

    Attributes:
        stddev: standard deviation in the units of ``x``, at least 0, any size; a
            number, an array, a schedule or a `Learnable`.
        shared_axes: axes of ``x`` along which one draw is shared.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``stddev`` is no number, array, schedule or `Learnable`; in the
            call, if ``x`` is not floating.
        ValueError: if ``stddev`` is negative, NaN or infinite; in the call, without
            ``train`` or a key stream.

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

    fn = staticmethod(functions.add_gaussian_noise)
    stddev: Strength


class CorrelatedNoise(NamedNoise):
    """``x + stddev * e``, e a stationary AR(1) process along an axis, in training.

    Short for ``Noise(partial(add_correlated_noise, stddev=stddev, ...))``.
    ``x`` has any shape with that axis, which is kept.

    Attributes:
        stddev: standard deviation in the units of ``x``; a number, an array, a schedule
            or a `Learnable`.
        correlation: of neighbours along the axis, from -1 to 1.
        axis: along which neighbours are correlated, such as time.
        shared_axes: axes of ``x`` along which one draw is shared.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``stddev`` is no number, array, schedule or `Learnable`; in the
            call, if ``x`` is not floating.
        ValueError: if ``stddev`` is negative, NaN or infinite; in the call, without
            ``train`` or a key stream.

    Reference:
        G. E. Uhlenbeck, L. S. Ornstein, "On the theory of the Brownian motion",
        Physical Review 36 (1930), sampled at equal steps.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.CorrelatedNoise(0.1, correlation=0.9, axis=1, train=True)
        >>> x = jnp.zeros((4, 100, 3))  # rows, time steps, channels
        >>> layer.apply({}, x, rngs={"noise": jax.random.key(0)}).shape
        (4, 100, 3)
    """

    fn = staticmethod(functions.add_correlated_noise)
    stddev: Strength
    correlation: ArrayLike
    axis: int


class SaltAndPepperNoise(NamedNoise):
    """Replaces elements by ``low`` or ``high``, half each, at ``rate``, in training.

    Short for ``Noise(partial(salt_and_pepper, rate=rate, low=low, high=high))``.
    ``x`` has any shape, which is kept.

    Attributes:
        rate: probability of a replacement, from 0 to 1; a number, an array or a
            schedule.
        low: the value of pepper, in the units of ``x``.
        high: the value of salt.
        shared_axes: axes of ``x`` along which one draw is shared, such as channels.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``rate`` is no number, array or schedule; in the call, if ``x`` is
            not floating.
        ValueError: if ``rate`` is not from 0 to 1; in the call, without ``train`` or a
            key stream.

    Reference:
        R. C. Gonzalez, R. E. Woods, "Digital image processing", chapter 5.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.SaltAndPepperNoise(1.0, low=0.0, high=1.0, train=True)
        >>> x = jnp.full(8, 0.5)
        >>> noisy = layer.apply({}, x, rngs={"noise": jax.random.key(0)})
        >>> sorted(set(noisy.tolist()))
        [0.0, 1.0]
    """

    fn = staticmethod(functions.salt_and_pepper)
    rate: Strength
    low: ArrayLike
    high: ArrayLike


class Dropout(NamedNoise):
    """Inverted dropout: 0 at ``rate``, else ``x / (1 - rate)``, in training.

    Short for ``Noise(partial(drop_units, rate=rate))``. Unlike Flax' own the rate may
    be traced, the key comes from the stream ``"noise"``, and a mask is kept.
    ``x`` has any shape, which is kept.

    Attributes:
        rate: probability of a 0, from 0 to 1; a number, an array or a schedule.
        shared_axes: axes of ``x`` that are dropped together; ``(1, 2)`` of (images,
            rows, columns, channels) is spatial dropout.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``rate`` is no number, array or schedule; in the call, if ``x`` is
            not floating.
        ValueError: if ``rate`` is not from 0 to 1; in the call, without ``train`` or a
            key stream.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014).

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.Dropout(0.5, shared_axes=(0,), train=True)
        >>> noisy = layer.apply({}, jnp.ones((2, 8)), rngs={"noise": jax.random.key(0)})
        >>> bool((noisy[0] == noisy[1]).all())
        True
    """

    fn = staticmethod(functions.drop_units)
    rate: Strength


class GaussianDropout(NamedNoise):
    """``x * (1 + stddev * e)``, ``e ~ N(0, 1)``, when ``train=True``; else ``x``.

    Short for ``Noise(partial(multiply_gaussian_noise, stddev=stddev))``, with the
    mean and variance of dropout for ``stddev = sqrt(rate / (1 - rate))``.
    ``x`` has any shape, which is kept.

    Attributes:
        rate: the rate of the dropout that it is like, from 0 to below 1; a number, an
            array or a schedule. Give this or ``stddev``.
        stddev: standard deviation of the factor; a number, an array, a schedule or a
            `Learnable`.
        shared_axes: axes of ``x`` along which one draw is shared.
        train: the switch, if it is not given to each call.

    Raises:
        ValueError: if both are given or none, or the rate is 1.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014), section 10.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> rngs = {"noise": jax.random.key(0)}
        >>> x = jnp.ones(3)
        >>> a = jn.GaussianDropout(0.5, train=True).apply({}, x, rngs=rngs)
        >>> b = jn.GaussianDropout(stddev=1.0, train=True).apply({}, x, rngs=rngs)
        >>> bool((a == b).all())
        True
    """

    fn = staticmethod(functions.multiply_gaussian_noise)
    rate: Strength | None = None
    stddev: Strength | None = None

    def __post_init__(self) -> None:
        check_rate_or_stddev(self.rate, self.stddev)
        super().__post_init__()

    @nn.nowrap
    def _arguments(self) -> list[str]:
        return ["stddev" if self.rate is None else "rate"]

    @nn.nowrap
    def _keywords(self, name: str, level: Any) -> dict[str, Any]:
        return {"stddev": level if name == "stddev" else stddev_of_rate(level)}


class AlphaDropout(NamedNoise):
    """Dropout that keeps mean 0 and variance 1, for SELU networks, in training.

    Short for ``Noise(partial(alpha_dropout, rate=rate))``.
    ``x`` has any shape, which is kept.

    Attributes:
        rate: probability of a drop, from 0 to 1; a number, an array or a schedule.
        shared_axes: axes of ``x`` that are dropped together.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``rate`` is no number, array or schedule; in the call, if ``x`` is
            not floating.
        ValueError: if ``rate`` is not from 0 to 1; in the call, without ``train`` or a
            key stream.

    Reference:
        G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.AlphaDropout(0.1, train=True)
        >>> x = jax.random.normal(jax.random.key(1), (100, 100))
        >>> noisy = layer.apply({}, x, rngs={"noise": jax.random.key(0)})
        >>> bool(abs(noisy.mean()) < 0.1), bool(abs(noisy.std() - 1) < 0.1)
        (True, True)
    """

    fn = staticmethod(functions.alpha_dropout)
    rate: Strength


class NEFTuneNoise(NamedNoise):
    """Uniform noise of half-width ``alpha / sqrt(L d)`` on embeddings, in training.

    Short for ``Noise(partial(neftune_noise, alpha=alpha))``. Give the mask of the
    tokens to the call, so that L is a sequence's true length.
    ``x`` has the shape (..., tokens, d), which is kept.

    Attributes:
        alpha: strength, at least 0; 5 to 15 in the paper; a number, an array, a
            schedule or a `Learnable`.
        shared_axes: axes of ``x`` along which one draw is shared.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``alpha`` is no number, array, schedule or `Learnable`; in the
            call, if ``x`` is not floating.
        ValueError: if ``alpha`` is negative, NaN or infinite; in the call, without
            ``train`` or a key stream.

    Reference:
        N. Jain et al., "NEFTune: noisy embeddings improve instruction finetuning",
        ICLR 2024.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer, x = jn.NEFTuneNoise(5.0, train=True), jnp.zeros((2, 6, 8))
        >>> mask = jnp.arange(6) < jnp.array([[3], [6]])  # true lengths 3 and 6
        >>> noisy = layer.apply({}, x, mask=mask, rngs={"noise": jax.random.key(0)})
        >>> bool((noisy[0, 3:] == 0).all())
        True
    """

    fn = staticmethod(functions.neftune_noise)
    alpha: Strength
