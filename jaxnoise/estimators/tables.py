"""Tables as scikit-learn's users bring them, and what is refused with its cure.

`columns_of` checks X, `as_weights` and `merged` the weights of rows, and `padded` makes
minibatches of one size. `Standard` is the mean and the deviation of columns, by which
they are brought to one scale.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight, validate_data

Table = np.ndarray
WORDS = (
    "encode words first, such as by make_pipeline(ColumnTransformer([('words', "
    "OneHotEncoder(handle_unknown='ignore'), [columns])], remainder='passthrough'), "
    "estimator), or skrub's tabular_pipeline(estimator)"
)
TELL_WORDS = ("could not convert", "arrays of bytes/strings")
GAPS = "fill gaps first, such as by make_pipeline(SimpleImputer(), estimator)"
SPARSE = (
    "give X.toarray(), if that fits into memory, or fewer columns, such as by "
    "make_pipeline(TruncatedSVD(100), estimator); a OneHotEncoder gives dense columns "
    "by sparse_output=False"
)


def columns_of(estimator: Any, X: Any, *, reset: bool, nd: bool) -> Table:
    """X as float32, and its columns compared with, or kept as, those of fitting.

    Args:
        estimator: that asks, whose names and number of columns count.
        X: what a user brings.
        reset: whether they are kept.
        nd: whether rows may have several axes, such as images.
    """
    name = type(estimator).__name__
    if sparse.issparse(X):
        raise TypeError(f"{name}: X is sparse, and must be dense: {SPARSE}.")
    try:
        x = validate_data(
            estimator, X, reset=reset, allow_nd=nd, ensure_all_finite=False
        )
        with np.errstate(over="ignore"):  # told of below
            numbers = np.asarray(x, np.float32)
    except ValueError as error:
        if not any(part in str(error) for part in TELL_WORDS):
            raise
        raise ValueError(f"{name}: X must hold numbers ({error}): {WORDS}.") from error
    _check_finite(estimator, X, numbers)
    return numbers


def _check_finite(estimator: Any, X: Any, numbers: Table) -> None:
    bad = ~np.isfinite(numbers)
    if not bad.any():
        return
    gaps = bool(np.isnan(numbers).any())
    what = "NaN, missing values" if gaps else "infinity, or values beyond float32"
    cure = GAPS if gaps else "replace or clip them first"
    at = np.flatnonzero(bad.any(axis=tuple(i for i in range(bad.ndim) if i != 1)))
    names = getattr(X, "columns", range(numbers.shape[1]))
    shown = ", ".join(repr(names[i]) for i in at[:3]) + ", ..." * (len(at) > 3)
    raise ValueError(
        f"{type(estimator).__name__}: X contains {what}, in column {shown}: {cure}."
    )


def plain(value: Any) -> np.ndarray:
    """An array of what may be a frame or a series, of any library."""
    if isinstance(value, pd.DataFrame | pd.Series) or hasattr(value, "to_numpy"):
        return np.asarray(value.to_numpy())
    return np.asarray(value)


def as_weights(sample_weight: Any, x: Table) -> np.ndarray:
    """A weight a row, float64; refused unless one is positive."""
    weights = _check_sample_weight(sample_weight, x, dtype=np.float64)
    if (weights < 0).any():
        raise ValueError("sample_weight must be at least 0, got negative weights.")
    if not weights.any():
        raise ValueError("sample_weight must have a positive weight, got zeros alone.")
    return weights


class Rows(NamedTuple):
    """Rows to train on: x, targets, and a weight each."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    def at(self, rows: Any) -> "Rows":
        """Some of them."""
        return Rows(self.x[rows], self.y[rows], self.weight[rows])


def merged(rows: Rows, most: int) -> Rows:
    """Equal rows as one of their weights' sum, where that makes one minibatch of all.

    A weight is then the same as so many copies, and the order of rows is nothing to the
    fit, to the last bit. Rows without weight are left out in any case.
    """
    rows = rows.at(rows.weight > 0)
    found: dict[bytes, tuple[int, float]] = {}
    for i, weight in enumerate(rows.weight):
        name = rows.x[i].tobytes() + rows.y[i].tobytes()
        first, total = found.get(name, (i, 0.0))
        found[name] = first, total + weight
        if len(found) > most:
            return rows
    order = sorted(found)
    kept = rows.at([found[name][0] for name in order])
    return kept._replace(weight=np.array([found[name][1] for name in order]))


def padded(rows: Rows, size: int) -> Rows:
    """With copies of no weight, so that all minibatches have one size.

    So tables that differ by a few rows, such as folds, share a compiled program. Rows
    that are one minibatch stay as they are.
    """
    count = len(rows.x)
    if count <= size or count % size == 0:
        return rows
    more = rows.at(np.arange(-count % size))
    more = more._replace(weight=np.zeros(len(more.x)))
    return Rows(*(np.concatenate(pair) for pair in zip(rows, more, strict=True)))


class Standard(NamedTuple):
    """Mean and deviation of columns; a constant column has deviation 1."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, weight: np.ndarray) -> "Standard":
        """Those of weighted rows."""
        wide = values.astype(np.float64)
        mean = np.average(wide, axis=0, weights=weight)
        scale = np.sqrt(np.average((wide - mean) ** 2, axis=0, weights=weight))
        tiny = scale <= 10 * np.finfo(np.float32).eps * np.abs(mean)
        return cls(mean, np.where(tiny, 1.0, scale))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values on the common scale, float32."""
        return ((values - self.mean) / self.scale).astype(np.float32)

    def undo(self, values: np.ndarray) -> np.ndarray:
        """Values on their own scale, float64."""
        return np.asarray(values, np.float64) * self.scale + self.mean
