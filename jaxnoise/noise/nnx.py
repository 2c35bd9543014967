"""Flax NNX layers over the noise functions: the same noise as the Linen layers'.

A layer is active unless its ``deterministic`` is True, which ``model.train()``,
``model.eval()`` and ``nnx.view(model, deterministic=...)`` set; ``train=`` at the call
wins. Keys come from the stream ``"noise"`` of the `nnx.Rngs` given to the constructor.
As everywhere in NNX a default stream, ``nnx.Rngs(0)``, stands in for one that is not
named; no stream at all is an error at the first noisy call. A strength is an
`nnx.Variable`: another value, ``layer.stddev[...] = 0.2``, compiles nothing.
"""

from collections.abc import Sequence
from typing import Any

from flax import nnx
from jaxtyping import ArrayLike

from jaxnoise.checks import NOISE, check_function
from jaxnoise.noise import functions
from jaxnoise.noise.nnx_base import (
    NamedNoise,
    NoiseFn,
    NoiseLayer,
    NoiseStrength,
    Rngs,
)
from jaxnoise.noise.strengths import Strength, check_rate_or_stddev, stddev_of_rate


class Noise(NoiseLayer):
    """Any noise function as a layer: ``fn(key, x)`` when active, else ``x``.

    Args:
        fn: a function ``(key, x) -> x`` that keeps the shape, as in `jaxnoise.Noise`.
        deterministic: whether the layer starts switched off.
        rngs: where the stream ``"noise"`` comes from, or the default stream if there
            is none of that name.

    Raises:
        TypeError: if ``fn`` is no function of (key, x) alone, or ``rngs`` no
            `nnx.Rngs`.

    Example:
        >>> from functools import partial
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> sign = partial(jn.add_noise, scale=0.5, sampler=jax.random.rademacher)
        >>> layer = jn.nnx.Noise(sign, rngs=nnx.Rngs(noise=0))
        >>> print(abs(layer(jnp.zeros(3))))
        [0.5 0.5 0.5]
    """

    def __init__(
        self, fn: NoiseFn, *, deterministic: bool = False, rngs: Rngs = None
    ) -> None:
        check_function("fn", fn, NOISE, 2)
        super().__init__(deterministic=deterministic, rngs=rngs)
        self.fn = nnx.static(fn)

    def _noise(self, train: Any) -> tuple[NoiseFn, Any]:
        return self.fn, self.fn


class GaussianNoise(NamedNoise):
    """``x + stddev * e``, ``e ~ N(0, 1)``, when active; else ``x``.

    The NNX form of `jaxnoise.GaussianNoise`, over `add_gaussian_noise`.
    ``x`` has any shape, which is kept.

    Args:
        stddev: standard deviation in the units of ``x``, at least 0; a number,
            an array, a schedule or a `Learnable`.
        shared_axes: axes of ``x`` along which one draw is shared.
        deterministic: whether the layer starts switched off.
        rngs: where the stream ``"noise"`` comes from, or the default stream if there
            is none of that name.

    Raises:
        TypeError: if ``stddev`` is no number, array, schedule or `Learnable`; in the
            call, if ``x`` is not floating.
        ValueError: if ``stddev`` is negative, NaN or infinite; in the call, without a
            key stream.

    Reference:
        C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
        Neural Computation 7 (1995).

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.GaussianNoise(0.1, rngs=nnx.Rngs(noise=0))
        >>> x = jnp.ones((2, 3))
        >>> layer(x).shape
        (2, 3)
        >>> bool((layer(x, train=False) == x).all())
        True
    """

    stddev: NoiseStrength

    _fn = staticmethod(functions.add_gaussian_noise)

    def __init__(
        self,
        stddev: Strength,
        *,
        shared_axes: int | Sequence[int] = (),
        deterministic: bool = False,
        rngs: Rngs = None,
    ) -> None:
        super().__init__(
            "stddev",
            stddev,
            shared_axes=shared_axes,
            deterministic=deterministic,
            rngs=rngs,
        )


class CorrelatedNoise(NamedNoise):
    """``x + stddev * e``, e a stationary AR(1) process along an axis, when active.

    The NNX form of `jaxnoise.CorrelatedNoise`, over `add_correlated_noise`.
    ``x`` has any shape with that axis, which is kept.

    Args:
        stddev: standard deviation in the units of ``x``, at least 0; a number,
            an array, a schedule or a `Learnable`.
        correlation: of neighbours along the axis, from -1 to 1.
        axis: along which neighbours are correlated, such as time.
        shared_axes: axes of ``x`` along which one draw is shared.
        deterministic: whether the layer starts switched off.
        rngs: where the stream ``"noise"`` comes from, or the default stream if there
            is none of that name.

    Raises:
        TypeError: if ``stddev`` is no number, array, schedule or `Learnable`; in the
            call, if ``x`` is not floating.
        ValueError: if ``stddev`` is negative, NaN or infinite; in the call, without a
            key stream.

    Reference:
        G. E. Uhlenbeck, L. S. Ornstein, "On the theory of the Brownian motion",
        Physical Review 36 (1930), sampled at equal steps.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.CorrelatedNoise(
        ...     0.1, correlation=0.9, axis=1, rngs=nnx.Rngs(noise=0)
        ... )
        >>> layer(jnp.zeros((4, 100, 3))).shape  # rows, time steps, channels
        (4, 100, 3)
    """

    stddev: NoiseStrength

    _fn = staticmethod(functions.add_correlated_noise)

    def __init__(
        self,
        stddev: Strength,
        *,
        correlation: ArrayLike,
        axis: int,
        shared_axes: int | Sequence[int] = (),
        deterministic: bool = False,
        rngs: Rngs = None,
    ) -> None:
        super().__init__(
            "stddev",
            stddev,
            shared_axes=shared_axes,
            deterministic=deterministic,
            rngs=rngs,
            correlation=correlation,
            axis=axis,
        )


class SaltAndPepperNoise(NamedNoise):
    """Replaces elements by ``low`` or ``high``, half each, at ``rate``, when active.

    The NNX form of `jaxnoise.SaltAndPepperNoise`, over `salt_and_pepper`.
    ``x`` has any shape, which is kept.

    Args:
        rate: probability of a replacement, from 0 to 1; a number, an array, or
            a schedule.
        low: the value of pepper, in the units of ``x``.
        high: the value of salt.
        shared_axes: axes of ``x`` along which one draw is shared.
        deterministic: whether the layer starts switched off.
        rngs: where the stream ``"noise"`` comes from, or the default stream if there
            is none of that name.

    Raises:
        TypeError: if ``rate`` is no number, array or schedule; in the call, if ``x`` is
            not floating.
        ValueError: if ``rate`` is not from 0 to 1; in the call, without a key stream.

    Reference:
        R. C. Gonzalez, R. E. Woods, "Digital image processing", chapter 5.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.SaltAndPepperNoise(
        ...     1.0, low=0.0, high=1.0, rngs=nnx.Rngs(noise=0)
        ... )
        >>> sorted(set(layer(jnp.full(8, 0.5)).tolist()))
        [0.0, 1.0]
    """

    rate: NoiseStrength

    _fn = staticmethod(functions.salt_and_pepper)

    def __init__(
        self,
        rate: Strength,
        *,
        low: ArrayLike,
        high: ArrayLike,
        shared_axes: int | Sequence[int] = (),
        deterministic: bool = False,
        rngs: Rngs = None,
    ) -> None:
        super().__init__(
            "rate",
            rate,
            shared_axes=shared_axes,
            deterministic=deterministic,
            rngs=rngs,
            low=low,
            high=high,
        )


class Dropout(NamedNoise):
    """Inverted dropout: 0 at ``rate``, else ``x / (1 - rate)``, when active.

    The NNX form of `jaxnoise.Dropout`, over `drop_units`.
    ``x`` has any shape, which is kept.

    Args:
        rate: probability of a 0, from 0 to 1; a number, an array, or a schedule.
        shared_axes: axes of ``x`` along which one draw is shared.
        deterministic: whether the layer starts switched off.
        rngs: where the stream ``"noise"`` comes from, or the default stream if there
            is none of that name.

    Raises:
        TypeError: if ``rate`` is no number, array or schedule; in the call, if ``x`` is
            not floating.
        ValueError: if ``rate`` is not from 0 to 1; in the call, without a key stream.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014).

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.Dropout(0.5, shared_axes=(0,), rngs=nnx.Rngs(noise=0))
        >>> noisy = layer(jnp.ones((2, 8)))
        >>> bool((noisy[0] == noisy[1]).all())
        True
    """

    rate: NoiseStrength

    _fn = staticmethod(functions.drop_units)

    def __init__(
        self,
        rate: Strength,
        *,
        shared_axes: int | Sequence[int] = (),
        deterministic: bool = False,
        rngs: Rngs = None,
    ) -> None:
        super().__init__(
            "rate",
            rate,
            shared_axes=shared_axes,
            deterministic=deterministic,
            rngs=rngs,
        )


class GaussianDropout(NamedNoise):
    """``x * (1 + stddev * e)``, ``e ~ N(0, 1)``, when active; else ``x``.

    The NNX form of `jaxnoise.GaussianDropout`, over `multiply_gaussian_noise`.
    ``x`` has any shape, which is kept.

    Args:
        rate: the rate of the dropout that it is like, below 1; a number, an array or a
            schedule. Give this or ``stddev``.
        stddev: standard deviation of the factor; a number, an array, a schedule or a
            `Learnable`.
        shared_axes: axes of ``x`` along which one draw is shared.
        deterministic: whether the layer starts switched off.
        rngs: where the stream ``"noise"`` comes from, or the default stream if there
            is none of that name.

    Raises:
        ValueError: if both are given or none, or the rate is 1.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014), section 10.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> a = jn.nnx.GaussianDropout(0.5, rngs=nnx.Rngs(noise=0))
        >>> b = jn.nnx.GaussianDropout(stddev=1.0, rngs=nnx.Rngs(noise=0))
        >>> bool((a(jnp.ones(3)) == b(jnp.ones(3))).all())
        True
    """

    rate: NoiseStrength
    stddev: NoiseStrength

    _fn = staticmethod(functions.multiply_gaussian_noise)

    def __init__(
        self,
        rate: Strength | None = None,
        *,
        stddev: Strength | None = None,
        shared_axes: int | Sequence[int] = (),
        deterministic: bool = False,
        rngs: Rngs = None,
    ) -> None:
        name = check_rate_or_stddev(rate, stddev)
        super().__init__(
            name,
            stddev if rate is None else rate,
            shared_axes=shared_axes,
            deterministic=deterministic,
            rngs=rngs,
        )

    def _keywords(self, name: str, level: Any) -> dict[str, Any]:
        return {"stddev": level if name == "stddev" else stddev_of_rate(level)}


class AlphaDropout(NamedNoise):
    """Dropout that keeps mean 0 and variance 1, for SELU networks, when active.

    The NNX form of `jaxnoise.AlphaDropout`, over `alpha_dropout`.
    ``x`` has any shape, which is kept.

    Args:
        rate: probability of a drop, from 0 to 1; a number, an array, or a schedule.
        shared_axes: axes of ``x`` along which one draw is shared.
        deterministic: whether the layer starts switched off.
        rngs: where the stream ``"noise"`` comes from, or the default stream if there
            is none of that name.

    Raises:
        TypeError: if ``rate`` is no number, array or schedule; in the call, if ``x`` is
            not floating.
        ValueError: if ``rate`` is not from 0 to 1; in the call, without a key stream.

    Reference:
        G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.AlphaDropout(0.1, rngs=nnx.Rngs(noise=0))
        >>> noisy = layer(jax.random.normal(jax.random.key(1), (100, 100)))
        >>> bool(abs(noisy.mean()) < 0.1), bool(abs(noisy.std() - 1) < 0.1)
        (True, True)
    """

    rate: NoiseStrength

    _fn = staticmethod(functions.alpha_dropout)

    def __init__(
        self,
        rate: Strength,
        *,
        shared_axes: int | Sequence[int] = (),
        deterministic: bool = False,
        rngs: Rngs = None,
    ) -> None:
        super().__init__(
            "rate",
            rate,
            shared_axes=shared_axes,
            deterministic=deterministic,
            rngs=rngs,
        )


class NEFTuneNoise(NamedNoise):
    """Uniform noise of half-width ``alpha / sqrt(L d)`` on embeddings, when active.

    The NNX form of `jaxnoise.NEFTuneNoise`, over `neftune_noise`.
    ``x`` has the shape (..., tokens, d), which is kept.

    Args:
        alpha: strength, at least 0; 5 to 15 in the paper; a number, an array, a
            schedule or a `Learnable`.
        shared_axes: axes of ``x`` along which one draw is shared.
        deterministic: whether the layer starts switched off.
        rngs: where the stream ``"noise"`` comes from, or the default stream if there
            is none of that name.

    Raises:
        TypeError: if ``alpha`` is no number, array, schedule or `Learnable`; in the
            call, if ``x`` is not floating.
        ValueError: if ``alpha`` is negative, NaN or infinite; in the call, without a
            key stream.

    Reference:
        N. Jain et al., "NEFTune: noisy embeddings improve instruction finetuning",
        ICLR 2024.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.NEFTuneNoise(5.0, rngs=nnx.Rngs(noise=0))
        >>> x = jnp.zeros((2, 6, 8))
        >>> mask = jnp.arange(6) < jnp.array([[3], [6]])  # true lengths 3 and 6
        >>> bool((layer(x, mask=mask)[0, 3:] == 0).all())
        True
    """

    alpha: NoiseStrength

    _fn = staticmethod(functions.neftune_noise)

    def __init__(
        self,
        alpha: Strength,
        *,
        shared_axes: int | Sequence[int] = (),
        deterministic: bool = False,
        rngs: Rngs = None,
    ) -> None:
        super().__init__(
            "alpha",
            alpha,
            shared_axes=shared_axes,
            deterministic=deterministic,
            rngs=rngs,
        )
