"""What all noises share: arguments that are checked, and the one place that draws.

`draw_noise` is behind every function of `jaxnoise.noise.functions`: it knows what a
key, a mask and shared axes are, so that a noise says how it combines draws with ``x``.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from zlib import crc32

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike, Bool, Float

from jaxnoise.checks import as_array, shown, single_key

Key = jaxtyping.Key[Array, ""]  # a single one
Values = Float[ArrayLike, "*shape"]
Mask = Bool[ArrayLike, "..."] | None
Axes = int | Sequence[int]
Span = tuple[ArrayLike, ArrayLike]  # the least and the most
NoiseFn = Callable[..., Array]
Sampler = Callable[[Array, tuple[int, ...], Any], Array]  # (key, shape, dtype)
Combine = Callable[[Array, Array], Array]  # (x, draws)


def draw_noise(
    key: Any,
    x: Array,
    sampler: Sampler,
    combine: Combine,
    mask: Any,
    shared_axes: int | Sequence[int],
) -> Array:
    """``combine(x, draws)`` where the mask is True, ``x`` elsewhere.

    Draws are float32 or wider, as half floats have short tails, and of size 1 along
    shared axes; the result has the dtype of ``x``. What is masked, such as NaN for
    missing values, does not reach ``combine``, so that no gradient meets it.
    """
    sizes = list(x.shape)
    for axis in as_axes(shared_axes):
        sizes[axis_of(x, axis, "shared_axes")] = 1
    shape = tuple(sizes)
    draws = sampler(single_key(key), shape, jnp.promote_types(x.dtype, jnp.float32))
    if jnp.shape(draws) != shape:
        raise ValueError(
            f"sampler must return the shape it is given, {shape}, "
            f"got {jnp.shape(draws)}."
        )
    return _where(mask, lambda x: combine(x, draws).astype(x.dtype), x)


def key_of_place(key: Array, place: str) -> Array:
    """The key of a place in a model, a module or a tree: no two places share one."""
    return jax.random.fold_in(key, crc32(place.encode()))


def as_axes(axes: Any, name: str = "shared_axes") -> tuple[Any, ...]:
    """Axes as a tuple; a single axis may stand for itself."""
    if isinstance(axes, int | np.integer) and not isinstance(axes, bool):
        return (axes,)
    if isinstance(axes, str) or not isinstance(axes, Iterable):
        raise TypeError(f"{name} must be axes such as (1, 2), got {shown(axes)}.")
    return tuple(axes)


def axis_of(x: Array, axis: Any, name: str) -> int:
    """``axis``, checked and from 0."""
    integer = isinstance(axis, int | np.integer) and not isinstance(axis, bool)
    if not integer or not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{name} must name axes of x, which has {x.ndim}, got {axis}.")
    return int(axis) % x.ndim


def apply_mask(mask: Any, noisy: Array, x: Array) -> Array:
    """``noisy`` where the mask is True, ``x`` elsewhere."""
    return noisy if mask is None else jnp.where(full_mask(mask, x), noisy, x)


def _where(mask: Any, noise: Callable[[Array], Array], x: Array) -> Array:
    """``noise(x)`` where the mask is True; no gradient of it meets what is masked."""
    if mask is None:
        return noise(x)
    return apply_mask(mask, noise(jnp.where(full_mask(mask, x), x, 0)), x)


def full_mask(mask: Any, x: Array) -> Array:
    """``mask`` in the shape of ``x``, refused unless it fits; None is everywhere."""
    if mask is None:
        return jnp.ones(x.shape, bool)
    mask = as_array("mask", mask)
    if mask.dtype != jnp.bool_:
        raise TypeError(
            f"mask must be boolean, got {mask.dtype}; cast it, mask.astype(bool)."
        )
    if mask.shape != x.shape[: mask.ndim]:
        extra = mask.shape == (*x.shape[: mask.ndim - 1], 1)
        raise ValueError(
            f"mask must have the shape of x, {x.shape}, or of its leading axes, "
            f"got {mask.shape}{'; drop its last axis, mask[..., 0]' if extra else ''}."
        )
    mask = mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
    return jnp.broadcast_to(mask, x.shape)


def call_masked(
    fn: NoiseFn, key: Any, x: Any, *args: Any, mask: Any = None, **kw: Any
) -> Any:
    """``fn(key, x, ...)``; the mask is passed on, or applied to what ignores it."""
    if mask is None:
        return fn(key, x, *args, **kw)
    parameters = inspect.signature(fn).parameters
    if "mask" in parameters:
        return fn(key, x, *args, mask=mask, **kw)
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        kw["mask"] = mask  # for a noise of ours inside
    return _where(mask, lambda x: fn(key, x, *args, **kw), jnp.asarray(x))


def moments(x: Array, mask: Any, axes: Any = None) -> tuple[Array, Array]:
    """Mean and standard deviation where the mask is True, along axes kept as ones.

    About one element and of halves, as a large offset would cancel what is small, and
    differences and squares of large values overflow; a constant to autodiff.
    """
    where = full_mask(mask, x)
    half = lax.stop_gradient(x).astype(jnp.promote_types(x.dtype, jnp.float32)) / 2
    count = jnp.sum(where, axes, half.dtype, keepdims=True)
    anchor = jnp.min(half, axes, keepdims=True, where=where, initial=jnp.inf)
    anchor = jnp.where(count > 0, anchor, 0)
    apart = jnp.where(where, half - anchor, 0)
    largest = jnp.max(apart, axes, keepdims=True, initial=0)
    size, count = jnp.where(largest > 0, largest, 1), jnp.maximum(count, 1)
    mean = jnp.sum(apart / size, axes, keepdims=True) / count
    square = jnp.where(where, (apart / size - mean) ** 2, 0)
    variance = jnp.sum(square, axes, keepdims=True) / count
    return 2 * anchor + size * (2 * mean), size * (2 * jnp.sqrt(variance))


def floating(x: Any, name: str = "x") -> Array:
    """``x`` as an array, refused unless it is floating."""
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        raise TypeError(
            f"{name} must be floating, got a key; the key comes first, then {name}."
        )
    x = as_array(name, x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"{name} must be floating, got {x.dtype}; cast it first, "
            f"{name}.astype('float32')."
        )
    return x


def is_traced(*trees: Any) -> bool:
    """Whether any leaf has a value only when a compiled function runs."""
    leaves = jax.tree.leaves(trees)
    return any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)


def check_strength(name: str, value: Any) -> None:
    """Refuse what is no number, or concrete and below 0, infinite or a rate above 1."""
    check_number(name, value)
    if isinstance(value, jax.core.Tracer):
        return
    most = 1.0 if name in ("rate", "zoneout") else math.inf
    largest = jnp.finfo(jnp.result_type(float)).max
    concrete = np.asarray(value, np.float64)
    wrong = concrete[~((concrete >= 0) & (concrete <= min(most, float(largest))))]
    if wrong.size:
        bounds = "finite and >= 0" if most == math.inf else f"from 0 to {most:g}"
        if largest < wrong[0] < most:
            bounds += f", and at most {largest:.7g} in {largest.dtype}"
        raise ValueError(f"{name} must be {bounds}, got {wrong[0]}.")


def check_number(name: str, value: Any) -> None:
    """Refuse what is neither a number nor an array of numbers."""
    try:
        dtype = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
    except (TypeError, ValueError):  # a ragged list
        dtype = np.dtype(object)
    if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
        got = f"an array of {dtype}" if hasattr(value, "dtype") else shown(value)
        raise TypeError(f"{name} must be a number or an array, got {got}.")


def check_single(name: str, value: Any) -> None:
    """Refuse several numbers."""
    if np.shape(value):
        raise TypeError(f"{name} must be one number, got shape {np.shape(value)}.")


def checked(x: Any, name: str, value: Any) -> tuple[Array, Array]:
    """``x``, floating, and a strength as an array that broadcasts against it."""
    x = floating(x)
    check_strength(name, value)
    return x, fitting(name, value, x)


def fitting(name: str, value: Any, x: Array) -> Array:
    """``value`` as an array, refused unless it is a number or broadcasts against ``x``.

    In float32 or wider, like the draws: a number, an array and a traced one scale
    noise on half floats alike.
    """
    array = jnp.asarray(value, jnp.promote_types(x.dtype, jnp.float32))
    try:
        fits = jnp.broadcast_shapes(array.shape, x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} must broadcast against x of shape {x.shape}, "
            f"got shape {array.shape}."
        )
    return lax.broadcast_to_rank(array, x.ndim) if array.ndim else array


def safe_sqrt(x: Array) -> Array:
    """``sqrt(x)`` with derivative 0 instead of infinity at 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)
