"""Rounding, which must not pass for a difference.

Accuracies are whole numbers of rows, so that differences are often equal, and signs and
ranks of equal ones must not hang on the last bit.
"""

import numpy as np


def precision_of(scores: np.ndarray) -> float:
    """The relative precision of scores, as float32 or float64 has it.

    Scores of training are float32, and 9 digits of decimal text hold one: what has no
    more than that is taken for float32.
    """
    known = scores[np.isfinite(scores)]
    with np.errstate(over="ignore"):
        single = (known.astype(np.float32) == known).all()
    single = single or all(float(f"{score:.9g}") == score for score in known)
    return float(np.finfo(np.float32 if single else np.float64).eps)


def without_rounding(differences: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Differences, 0 where they are within their rounding of it."""
    return np.where(np.abs(differences) <= rounding, 0.0, differences)


def tied(differences: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Differences of units, made equal if their rounding allows one value for all.

    That value is the one known best; NaN stays.
    """
    differences = without_rounding(differences, rounding)
    known = np.isfinite(differences)
    values, within = differences[known], rounding[known]
    if not values.size or (values - within).max() > (values + within).min():
        return differences
    return np.where(known, values[within.argmin()], np.nan)
