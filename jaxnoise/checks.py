"""What all rooms check alike, and how messages show what came: in one line."""

import inspect
import sys
import warnings
from functools import cache, partial
from types import FrameType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

NOISE = "a noise function (key, x) -> x"
LONG = 60  # characters; what is longer is told by its kind
BETWEEN = ("jaxnoise", "jax", "jaxtyping", "beartype")  # a caller and our warning


def warn(message: str) -> None:
    """Warn at the line that called this package, however deep JAX traces it."""
    level, frame = 1, sys._getframe()
    while frame.f_back and _package(frame) in BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)


warn_once = cache(warn)  # a message, in a process


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def shown(value: Any) -> str:
    """A value in few words: itself if it is short, else what kind of thing it is."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, partial) or hasattr(value, "__name__"):
        return f"the function {name_of(value)}"
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", ())
    if dtype is not None and (shape or jnp.issubdtype(dtype, jax.dtypes.prng_key)):
        return f"an array of {dtype} and shape {shape}"
    text = repr(value)
    if len(text) <= LONG and "\n" not in text and " at 0x" not in text:
        return text
    return f"a {type(value).__name__}"


def name_of(function: Any) -> str:
    """The name of a function, or of the one inside a partial."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def check_callable(name: str, fn: Any, expected: str) -> None:
    """Refuse what is no function, and noise layers, which take other arguments."""
    if not callable(fn) or getattr(fn, "is_noise_layer", False):
        raise TypeError(f"{name} must be {expected}, got {shown(fn)}.")


def check_function(name: str, fn: Any, expected: str, arguments: int) -> None:
    """Refuse what cannot be called with so many arguments by position.

    Args:
        name: of the argument.
        fn: the function.
        expected: what it is to be, such as "a function (outputs, targets) -> losses".
        arguments: their number.
    """
    check_callable(name, fn, expected)
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # one of C, which keeps its arguments to itself
        return
    check_call(name, fn, expected, signature, *[None] * arguments)


def check_call(
    name: str, fn: Any, expected: str, signature: Any, *arguments: Any, **named: Any
) -> None:
    """Refuse a function of whose signature a call does not fit."""
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        cure = "; give it by functools.partial" if "missing" in str(error) else ""
        raise TypeError(
            f"{name} must be {expected}, got {shown(fn)}, which cannot be called so: "
            f"{error}{cure}."
        ) from None


def as_array(name: str, value: Any) -> Array:
    """``value`` as an array of JAX, refused unless it holds real numbers or flags."""
    try:
        if any(isinstance(leaf, str | bytes) for leaf in jax.tree.leaves(value)):
            raise TypeError  # JAX would take a text for the name of a type
        array = jnp.asarray(value)
    except (TypeError, ValueError):  # None, words, ragged lists
        raise TypeError(
            f"{name} must be an array of numbers, got {shown(value)}."
        ) from None
    real = (jnp.bool_, jnp.integer, jnp.floating)
    if not any(jnp.issubdtype(array.dtype, kind) for kind in real):
        raise TypeError(f"{name} must be real numbers, got {array.dtype}.")
    return array


def is_count(value: Any) -> bool:
    """Whether a value is an int of at least 1."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= 1)


def check_count(name: str, value: Any) -> None:
    """Refuse what is no int of at least 1."""
    if not is_count(value):
        raise TypeError(f"{name} must be an int of at least 1, got {shown(value)}.")


def single_key(key: Any) -> Array:
    """``key``, refused unless it is one typed Threefry key."""
    if type(key).__module__.startswith("flax.nnx"):
        raise TypeError(
            "key must be a typed key, jax.random.key(seed), got a "
            f"{type(key).__name__} of NNX; take a key of it, such as rngs.noise()."
        )
    dtype = getattr(key, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jax.dtypes.prng_key):
        legacy = " (a legacy key: jax.random.wrap_key_data types it)"
        got = f"dtype {dtype}{legacy if dtype == jnp.uint32 else ''}"
        raise TypeError(
            "key must be a typed key, jax.random.key(seed), got "
            f"{got if dtype is not None else shown(key)}."
        )
    implementation = str(jax.random.key_impl(key))
    if implementation != "threefry2x32":
        # rbg keys under vmap derive every row from the first key.
        raise TypeError(
            f"key must be a threefry2x32 key, got one of {implementation}; make it by "
            "jax.random.key(seed, impl='threefry2x32')."
        )
    if key.shape != ():
        raise ValueError(
            f"key must be a single key, got an array of shape {key.shape}."
        )
    return key
