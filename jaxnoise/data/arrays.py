"""What people bring as x and y, as host arrays in the types that JAX will use."""

from numbers import Number
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from jaxnoise.checks import shown

ENCODE = {  # words
    "x": "encode words by pandas.get_dummies and cast to float32",
    "y": "encode words by pandas.factorize(y)[0], integers",
}
MOST_NAMES = 3  # columns that a message names


def as_array(name: str, part: str, leaf: Any) -> np.ndarray:
    """A leaf of x or y as a finite array.

    Args:
        name: of the set.
        part: "x" or "y".
        leaf: what NumPy takes as an array of numbers, or a table of pandas.
    """
    table = isinstance(leaf, pd.DataFrame | pd.Series)
    try:
        array = _of_columns(name, part, leaf) if table else np.asarray(leaf)
    except ValueError:  # a ragged list
        got = shown(leaf)
        raise TypeError(f"{name} must hold arrays of numbers, got {got}.") from None
    if not (jnp.issubdtype(array.dtype, np.number) or array.dtype == bool):
        raise TypeError(
            f"{name} must hold numbers, got {array.dtype} in a {type(leaf).__name__}; "
            f"{ENCODE[part]}."
        )
    array = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
    if jnp.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        bad = ~np.isfinite(array)
        raise ValueError(
            f"{name} must be finite, got {bad.sum()} NaN or infinite values of "
            f"{array.size} in {part}{_columns(leaf, bad)}; drop or impute them first."
        )
    return array


def _of_columns(name: str, part: str, table: Any) -> np.ndarray:
    """A table whose columns are numbers, of several types or of pandas' own."""
    frame = pd.DataFrame(table)
    for label, column in frame.items():
        if not pd.api.types.is_numeric_dtype(column):
            words = (v for v in column.dropna() if not isinstance(v, Number))
            example = next(words, None)
            raise TypeError(
                f"{name} must hold numbers, got column {label!r} of {column.dtype}"
                f"{'' if example is None else f', such as {shown(example)}'}; "
                f"{ENCODE[part]}."
            )
    if all(isinstance(dtype, np.dtype) for dtype in frame.dtypes):
        return table.to_numpy(np.result_type(bool, *frame.dtypes))
    columns = [_numbers(column) for _, column in frame.items()]
    return np.stack(columns, axis=-1).reshape(table.shape)


def _numbers(column: pd.Series) -> np.ndarray:
    array = column.to_numpy()
    if array.dtype == object:  # of pandas' own types, whose NA is none of NumPy's
        array = column.to_numpy(float, na_value=np.nan)
    return array


def _columns(leaf: Any, bad: np.ndarray) -> str:
    """Which columns of a table hold what is bad."""
    if not isinstance(leaf, pd.DataFrame):
        return ""
    names = [repr(label) for label in leaf.columns[bad.any(axis=0)]]
    more = ", ..." if len(names) > MOST_NAMES else ""
    return f", column{'s' * (len(names) > 1)} {', '.join(names[:MOST_NAMES])}{more}"
