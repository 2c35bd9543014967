"""Noise as pure functions ``(key, x, strength) -> x``.

The only place where a distribution is sampled; layers and models call these. All
functions share one contract: ``key`` is one typed Threefry key and is used up by the
call, the result has the shape and dtype of ``x``, a strength of 0 gives ``x`` back,
and the strength may be a number, an array that broadcasts against ``x``, or traced.
Most people want `add_gaussian_noise`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Key

from jaxnoise.noise.sampling import standard_normal


def add_gaussian_noise(
    key: Key[Array, ""],
    x: Float[ArrayLike, "*shape"],
    stddev: ArrayLike,
    *,
    mask: Bool[ArrayLike, "..."] | None = None,
    shared_axes: Sequence[int] = (),
) -> Float[Array, "*shape"]:
    """Return ``x + stddev * e`` with independent ``e ~ N(0, 1)`` for every element.

    The mean of the result is ``x`` and its variance ``stddev**2``. The unit noise ``e``
    depends on ``key`` and the shape alone, so one key at two strengths gives the same
    noise at two scales, which is what paired comparisons need.

    Args:
        key: one typed Threefry key, ``jax.random.key(seed)``; used up by the call.
        x: values of any shape, floating; the result keeps shape and dtype.
        stddev: standard deviation in the units of ``x``, at least 0; broadcasts
            against ``x``; may be traced.
        mask: True where noise applies, of the shape of ``x`` or of its leading axes;
            elsewhere the result is ``x`` bit for bit. None means everywhere.
        shared_axes: axes of ``x`` along which one draw is shared.

    Returns:
        The noisy values, drawn in float32 (or the dtype of ``x`` if that is wider)
        and cast to the dtype of ``x``.

    Raises:
        TypeError: if ``key`` is no single typed Threefry key, ``x`` is not floating,
            ``stddev`` is no number, or ``mask`` is not boolean.
        ValueError: if a concrete ``stddev`` is negative, NaN or infinite, or a shape
            does not fit ``x``.

    Reference:
        C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
        Neural Computation 7 (1995).

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jnp.zeros(10_000)
        >>> noisy = jn.add_gaussian_noise(jax.random.key(0), x, 0.5)
        >>> bool(abs(noisy.std() - 0.5) < 5 * 0.5 / (2 * x.size) ** 0.5)
        True
        >>> bool((jn.add_gaussian_noise(jax.random.key(0), x, 0.0) == x).all())
        True
    """
    x = _floating(x)
    stddev = _strength("stddev", stddev, x)
    unit = _unit_normal(_threefry(key), x, shared_axes)
    return apply_mask(mask, x + (stddev * unit).astype(x.dtype), x)


def _unit_normal(key: Array, x: Array, shared_axes: Sequence[int]) -> Array:
    """Standard normals for ``x``, in float32 or wider: half floats have short tails."""
    shape = list(x.shape)
    for axis in shared_axes:
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(
                f"shared_axes must name axes of x, which has {x.ndim}, got {axis}."
            )
        shape[axis] = 1
    return standard_normal(key, tuple(shape), jnp.promote_types(x.dtype, jnp.float32))


def apply_mask(mask: Any, noisy: Array, x: Array) -> Array:
    """``noisy`` where the mask is True, ``x`` elsewhere."""
    if mask is None:
        return noisy
    mask = jnp.asarray(mask)
    if mask.dtype != jnp.bool_:
        raise TypeError(f"mask must be boolean, got {mask.dtype}.")
    if mask.shape != x.shape[: mask.ndim]:
        raise ValueError(
            f"mask must have the shape of x, {x.shape}, or of its leading axes, "
            f"got {mask.shape}."
        )
    mask = mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
    return jnp.where(mask, noisy, x)


def _floating(x: Any) -> Array:
    """``x`` as an array, refused unless it is floating."""
    try:
        x = jnp.asarray(x)
    except (TypeError, ValueError):
        raise TypeError(f"x must be a floating array, got {x!r}.") from None
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"x must be floating, got {x.dtype}; cast it first.")
    return x


def check_strength(name: str, value: Any) -> None:
    """Refuse what is no number, and what is concrete and not finite or below 0."""
    traced = isinstance(value, jax.core.Tracer)
    try:
        dtype = value.dtype if traced else np.asarray(value).dtype
    except (TypeError, ValueError):  # a ragged list
        dtype = np.dtype(object)
    if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
        raise TypeError(f"{name} must be a number or an array, got {value!r}.")
    if not traced:
        concrete = np.asarray(value, np.float64)
        wrong = concrete[~(np.isfinite(concrete) & (concrete >= 0))]
        if wrong.size:
            raise ValueError(f"{name} must be finite and >= 0, got {wrong[0]}.")


def _strength(name: str, value: Any, x: Array) -> Array:
    """``value`` as an array that broadcasts against ``x``."""
    check_strength(name, value)
    strength = jnp.asarray(value)
    try:
        fits = jnp.broadcast_shapes(strength.shape, x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} must broadcast against x of shape {x.shape}, "
            f"got shape {strength.shape}."
        )
    return strength


def _threefry(key: Any) -> Array:
    """``key``, refused unless it is one typed Threefry key."""
    dtype = getattr(key, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jax.dtypes.prng_key):
        legacy = " (a legacy key: jax.random.wrap_key_data types it)"
        got = f"dtype {dtype}{legacy if dtype == jnp.uint32 else ''}"
        raise TypeError(
            "key must be a typed key, jax.random.key(seed), got "
            f"{got if dtype is not None else repr(key)}."
        )
    implementation = str(jax.random.key_impl(key))
    if implementation != "threefry2x32":
        # rbg keys under vmap derive every row from the first key.
        raise TypeError(f"key must be a threefry2x32 key, got one of {implementation}.")
    if key.shape != ():
        raise ValueError(
            f"key must be a single key, got an array of shape {key.shape}."
        )
    return key
