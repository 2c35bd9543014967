"""The door for x and y: what people bring, as host arrays in the types that JAX uses.

A column is one of a table's own, and an entry of the last axis of any other array. What
JAX's types cannot hold is refused, with the column and the value.
"""

from collections.abc import Iterable, Iterator, MappingView, Set
from datetime import date, timedelta
from numbers import Number
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from jaxnoise.checks import shown, warn

WORDS = {
    "x": "encode words by pandas.get_dummies and cast to float32",
    "y": "encode words by pandas.factorize(y)[0], integers",
}
X64 = "or enable 64-bit types, jax.config.update('jax_enable_x64', True)"
TIMES = (date, timedelta, np.datetime64, np.timedelta64, pd.Period)
MOST_NAMES = 3  # columns that a message names
MERGED = 0.01  # of a column's distinct values, from which on it is told
ROUNDING = 1e-12  # times the largest value: what tells no two values apart
LOOKED_AT = 2**17  # values of a column


def is_array(node: Any) -> bool:
    """Whether a node of x or y is an array by itself; dicts and tuples hold several."""
    # JAX takes its own sparse arrays apart.
    return isinstance(node, list | Iterator | MappingView | Set) or _is_sparse(node)


def as_array(name: str, part: str, leaf: Any, *, narrow: bool = True) -> np.ndarray:
    """A leaf of x or y as a finite array of numbers.

    Args:
        name: of the set.
        part: "x" or "y".
        leaf: what NumPy takes as an array of numbers, or a table of pandas.
        narrow: whether in the type that JAX will use, or in its own.
    """
    kind = "NaN or infinite"
    if any(map(np.ma.is_masked, leaf if isinstance(leaf, list) else [leaf])):
        leaf, kind = np.ma.filled(np.ma.array(leaf, float), np.nan), "masked"
    array = _numbers(name, part, leaf)
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValueError(
            f"{name} must be finite, got {bad.sum()} {kind} values of {array.size} in "
            f"{part}{_columns(leaf, bad)}; drop or impute them first."
        )
    if not narrow:
        return array
    narrowed = _narrowed(name, part, leaf, array)
    if name == "train":
        _warn_of_merged(part, leaf, array)
    return narrowed


def _numbers(name: str, part: str, leaf: Any) -> np.ndarray:
    if isinstance(leaf, pd.DataFrame | pd.Series):
        return _of_columns(name, part, leaf)
    try:
        array = np.empty((), object) if _is_sparse(leaf) else np.asarray(leaf)
    except (ValueError, TypeError):  # a ragged list, keys of JAX
        got = shown(leaf)
        raise TypeError(f"{name} must hold arrays of numbers, got {got}.") from None
    if array.dtype.kind not in "biuf" and array.dtype != jnp.bfloat16:
        raise TypeError(
            f"{name} must hold numbers, got {array.dtype} in a {type(leaf).__name__}; "
            f"{_cure(part, leaf, _example(array.flat))}."
        )
    return array


def _of_columns(name: str, part: str, table: Any) -> np.ndarray:
    """A table whose columns are numbers, of several types or of pandas' own."""
    frame = pd.DataFrame(table)
    for label, column in frame.items():
        numeric = pd.api.types.is_numeric_dtype(column)
        if not numeric or pd.api.types.is_complex_dtype(column):
            example = _example(column)
            raise TypeError(
                f"{name} must hold numbers, got column {label!r} of {column.dtype}"
                f"{'' if example is None else f', such as {shown(example)}'}; "
                f"{_cure(part, column, example)}."
            )
    if all(isinstance(dtype, np.dtype) for dtype in frame.dtypes):
        return table.to_numpy(np.result_type(bool, *frame.dtypes))
    columns = [  # of pandas' own types, whose NA is none of NumPy's
        column.to_numpy(float, na_value=np.nan) if column.hasnans else column.to_numpy()
        for _, column in frame.items()
    ]
    return np.stack(columns, axis=-1).reshape(table.shape)


def _example(values: Iterable[Any]) -> Any:
    """The first that is there, or None."""
    scalars = (value for value in values if pd.api.types.is_scalar(value))
    return next((value for value in scalars if not pd.isna(value)), None)


def _cure(part: str, leaf: Any, example: Any) -> str:
    """What makes numbers of a leaf, by a value of it."""
    if _is_sparse(leaf):
        return f"make it dense, {part}.todense()"
    if is_array(leaf) and not isinstance(leaf, list):
        return f"make a list of it, list({part})"
    if isinstance(example, TIMES):
        return "give times as numbers, such as (t - t.min()) / pandas.Timedelta(days=1)"
    if isinstance(example, complex | np.complexfloating):
        return "give real and imaginary parts as columns of their own"
    if isinstance(example, str) and pd.notna(pd.to_numeric(example, errors="coerce")):
        return "make numbers of texts by pandas.to_numeric"
    dtype = getattr(leaf, "dtype", None)
    if getattr(dtype, "names", None):
        return f"make a table of records, pandas.DataFrame({part})"
    number = isinstance(example, Number) or getattr(dtype, "kind", "") == "V"
    return "cast it, astype('float32')" if number else WORDS[part]


def _is_sparse(leaf: Any) -> bool:
    return hasattr(leaf, "todense")


def _narrowed(name: str, part: str, leaf: Any, array: np.ndarray) -> np.ndarray:
    """The array in JAX's type, refused where a value does not fit into it."""
    dtype = jax.dtypes.canonicalize_dtype(array.dtype)
    if dtype == np.longdouble:
        dtype = jax.dtypes.canonicalize_dtype(float)
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore", under="ignore"):
        narrow = array.astype(dtype)
    if dtype.kind in "iu":
        lost = narrow != array
        cure = "cast numbers to float, encode ids by pandas.factorize"
    else:
        tiny = np.finfo(dtype).tiny  # devices take what is smaller for 0
        lost = (narrow < tiny) & (narrow > -tiny) & (array != 0) | np.isinf(narrow)
        cure = "give it in another unit, take the logarithm"
    if lost.any():
        raise ValueError(
            f"{name} must fit into {dtype}, got {array[lost][0]} in "
            f"{part}{_columns(leaf, lost)}; {cure}, {X64}."
        )
    return narrow


def _warn_of_merged(part: str, leaf: Any, array: np.ndarray) -> None:
    """Warn where rounding, more than chance, makes distinct values of a column one."""
    dtype = jax.dtypes.canonicalize_dtype(float)  # in which networks compute
    if np.can_cast(array.dtype, dtype) or not array.size:
        return
    chance = np.finfo(dtype).eps / 2  # that two of a smooth column are merged
    merged = np.zeros((1, _width(array)), bool)
    for at, column in enumerate(array.reshape(-1, _width(array)).T):
        column = column[:LOOKED_AT]
        if (column == column.astype(dtype)).all():
            continue
        column = np.sort(column)
        least = ROUNDING * max(abs(column[[0, -1]]))
        before = 1 + np.count_nonzero(np.diff(column) > least)
        after = 1 + np.count_nonzero(np.diff(column.astype(dtype)))
        if before - after >= max(MERGED * before, chance * before**2):
            merged[0, at], counts = True, f"{before:,} into {after:,}"
    if merged.any():
        warn(
            f"train: {dtype} merges distinct values of {part}{_columns(leaf, merged)}, "
            f"such as {counts}; subtract an offset, such as the mean, {X64}."
        )


def _width(array: np.ndarray) -> int:
    """The number of columns."""
    return array.shape[-1] if array.ndim > 1 else 1


def _columns(leaf: Any, bad: np.ndarray) -> str:
    """Which columns hold what is bad, where there are several or they have names."""
    at = np.flatnonzero(bad.reshape(-1, _width(bad)).any(axis=0))
    if isinstance(leaf, pd.DataFrame):
        names = [repr(label) for label in leaf.columns[at]]
    elif _width(bad) > 1:
        names = list(map(str, at))
    else:
        return ""
    more = ", ..." if len(names) > MOST_NAMES else ""
    return f", column{'s' * (len(names) > 1)} {', '.join(names[:MOST_NAMES])}{more}"
