"""Standard draws, fast inside compiled loops, and the same on every platform.

`standard_normal` turns both words of each Threefry-2x32-20 block into two normals, by
Box and Muller's transform with polynomials for logarithm, sine and cosine;
`standard_uniform` turns each word into a uniform number. Drawing them is most of a
noisy training step, hence the care for what XLA makes of it.

References:
    J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11.
    G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates",
        Annals of Mathematical Statistics 29 (1958).
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key, UInt32

Word = UInt32[Array, "..."]
Real = Float[Array, "..."]
Transform = Callable[[Word, Word], tuple[Real, Real]]  # of the two words of a block

# The high word of our counters: `fold_in`, `split` and `jax.random` count from 0, so
# that no float32 draw here meets the words of a key or a draw that they derive.
STREAM = 0x6E6F6973
COUNTERS = 2**32

# Coefficients in ascending powers, fitted for the least greatest relative error.
# (-2 log(1 + t) + 2 t) / t**2 for sqrt(1/2) <= 1 + t < sqrt(2), 1.8e-7
LOG = (1.0000064, -0.6666943, 0.49942458, -0.39813766, 0.34486452, -0.32361, 0.20164745)
SIN = (1.5707964, -0.6459635, 0.07968003, -0.004601658)  # sin(pi/2 q) / q in q**2
COS = (1.0, -1.233698, 0.25360635, -0.020426251)  # cos(pi/2 q) in q**2
# for |q| <= 1/2, 3.2e-9 and 3.2e-8


@partial(jax.jit, static_argnums=(1, 2), inline=True)
def standard_normal(
    key: Key[Array, ""], shape: tuple[Any, ...], dtype: Any = jnp.float32
) -> Float[Array, "..."]:
    """Return independent draws from N(0, 1).

    The draws depend on the key and the shape alone. In float32 they reach 6.76 in
    absolute value; float64 is `jax.random.normal`.

    Args:
        key: one typed Threefry key.
        shape: of the result, of ints or an export's symbolic sizes; about 2**33
            elements at most.
        dtype: float32 or float64.

    Raises:
        ValueError: if the shape is too large or the type another one.

    Example:
        >>> import jax
        >>> from jaxnoise.noise.sampling import standard_normal
        >>> draws = standard_normal(jax.random.key(0), (1000, 100))
        >>> bool(abs(draws.mean()) < 5 / draws.size**0.5)
        True
    """
    return _draws(box_muller, jax.random.normal, key, shape, dtype)


@partial(jax.jit, static_argnums=(1, 2), inline=True)
def standard_uniform(
    key: Key[Array, ""], shape: tuple[Any, ...], dtype: Any = jnp.float32
) -> Float[Array, "..."]:
    """Return independent draws from the uniform distribution on [0, 1).

    In float32 they are multiples of 2**-24; float64 is `jax.random.uniform`.

    Args:
        key: one typed Threefry key.
        shape: as for `standard_normal`.
        dtype: float32 or float64.

    Raises:
        ValueError: if the shape is too large or the type another one.

    Example:
        >>> import jax
        >>> from jaxnoise.noise.sampling import standard_uniform
        >>> draws = standard_uniform(jax.random.key(0), (1000, 100))
        >>> bool(abs(draws.mean() - 0.5) < 5 / (12 * draws.size) ** 0.5)
        True
    """
    return _draws(fractions, jax.random.uniform, key, shape, dtype)


def _draws(
    transform: Transform, wide: Any, key: Array, shape: tuple[Any, ...], dtype: Any
) -> Any:
    """Float32 draws: two from the two words of each block. JAX's own in float64."""
    if dtype == jnp.float64:
        return wide(key, shape, dtype)
    if dtype != jnp.float32:
        raise ValueError(f"dtype must be float32 or float64, got {dtype}.")
    if 0 in shape:
        return jnp.zeros(shape, jnp.float32)
    # A counter's two draws stand half of the rows apart, so that a CPU joins and uses
    # them row by row; a join across the rows would not be vectorised.
    rows, width = math.prod(shape[:-1]), shape[-1] if shape else 1
    if rows == 1:
        rows, width = width, 1
    if jax.config.jax_debug_key_reuse:  # type: ignore[attr-defined]
        # It does not count the words, which are all that is taken below, as a use.
        jax.random.bits(key, (0,))
    layout, words = (rows, width), jax.random.key_data(key)
    if not all(isinstance(axis, int) for axis in shape):  # exported for any size
        return _by_element(transform, layout, words).reshape(shape)
    if (rows + 1) // 2 * width > COUNTERS:
        raise ValueError(f"x must have fewer than 2**33 elements, got shape {shape}.")
    draws = lax.platform_dependent(
        words,
        cpu=partial(_by_pair, transform, layout),
        default=partial(_by_element, transform, layout),
    )
    return draws.reshape(shape)


def _by_element(transform: Transform, layout: tuple[Any, Any], key: Array) -> Array:
    """Every element from its own index: fuses anywhere, and shards without talk."""
    rows, width = layout
    half = jnp.asarray((rows + 1) // 2, jnp.uint32)
    row = lax.broadcasted_iota(jnp.uint32, layout, 0)
    column = lax.broadcasted_iota(jnp.uint32, layout, 1)
    low = row % half * jnp.asarray(width, jnp.uint32) + column
    first, second = transform(*_words(key, low))
    return jnp.where(row < half, first, second)


def _by_pair(transform: Transform, layout: tuple[int, int], key: Array) -> Array:
    """The same by XLA's CPU compiler, which computes one array a kernel.

    As one complex array a pair shares its words (and for normals logarithm and root).
    The branch, which the compiler cannot know to be taken, keeps the kernel whole:
    fused into its users it would be computed again in each.
    """
    rows, width = layout
    half = (rows + 1) // 2  # as many or one less are of second draws
    count = half * width

    def pairs() -> Array:
        low = lax.iota(jnp.uint32, count)
        return lax.complex(*transform(*_words(key, low)))

    def nothing() -> Array:  # varies over a mesh as the pairs do
        return jnp.full(count, (key[0] & 0).astype(jnp.complex64))

    taken = lax.optimization_barrier(jnp.bool_(True))
    values = lax.cond(taken, pairs, nothing)
    first, second = values.real.reshape(half, width), values.imag.reshape(half, width)
    return jnp.concatenate([first, second[: rows - half]])


def _words(key: UInt32[Array, "2"], low: Word) -> tuple[Word, Word]:
    """Both words of the blocks of these counters."""
    return threefry2x32(key, jnp.full_like(low, STREAM), low)


def threefry2x32(key: UInt32[Array, "2"], high: Word, low: Word) -> tuple[Word, Word]:
    """Encrypt the counters by 20 unrolled rounds; JAX's own loop does not fuse."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    high, low = high + keys[0], low + keys[1]
    for group in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            high += low
            low = (low << np.uint32(rotation)) | (low >> np.uint32(32 - rotation))
            low ^= high
        high += keys[(group + 1) % 3]
        low += keys[(group + 2) % 3] + np.uint32(group + 1)
    return high, low


def fractions(a: Word, b: Word) -> tuple[Real, Real]:
    """The upper 24 bits of each word as a float32 in [0, 1)."""
    return _fraction(a), _fraction(b)


def _fraction(word: Word) -> Real:
    # by way of int32, which a CPU converts in one instruction
    whole = lax.bitcast_convert_type(word >> np.uint32(8), jnp.int32)
    return whole.astype(jnp.float32) * np.float32(2**-24)


def box_muller(a: Word, b: Word) -> tuple[Real, Real]:
    """``r cos(angle)``, ``r sin(angle)``; r is from word a and the angle from b."""
    radius = jnp.sqrt(_minus_two_log(a))
    signed = lax.bitcast_convert_type(b, jnp.int32)
    # 30 bits for the angle within an eighth of a turn to either side of the axis, one
    # bit to mirror it at the diagonal, one for the opposite point.
    q = (signed >> 2).astype(jnp.float32) * np.float32(2**-30)
    cos, sin = _polynomial(COS, q * q), q * _polynomial(SIN, q * q)
    mirror = (signed & 2) != 0
    radius = _as_float(_as_int(radius) ^ (signed << 31))
    return radius * jnp.where(mirror, sin, cos), radius * jnp.where(mirror, cos, sin)


def _minus_two_log(a: Word) -> Real:
    """``-2 log(u)`` of ``u = (a + 1/2) / 2**32``, never negative, NaN or infinite."""
    u = a.astype(jnp.float32) + np.float32(0.5)  # times 2**32; rounds to at most 2**32
    low = np.float32(math.sqrt(0.5)).view(np.int32)
    exponent = (_as_int(u) - low) >> 23
    t = _as_float(_as_int(u) - (exponent << 23)) - np.float32(1)  # u = 2**e (1 + t)
    log = t * (np.float32(-2) + t * _polynomial(LOG, t))
    return (32 - exponent).astype(jnp.float32) * np.float32(2 * math.log(2)) + log


def _polynomial(coefficients: Sequence[float], x: Array) -> Array:
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + np.float32(coefficient)
    return value


def _as_int(x: Real) -> Int[Array, "..."]:
    return lax.bitcast_convert_type(x, jnp.int32)


def _as_float(x: Int[Array, "..."]) -> Real:
    return lax.bitcast_convert_type(x, jnp.float32)
