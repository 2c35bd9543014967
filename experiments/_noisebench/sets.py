"""The data: paired divisions of a set, in the form that all methods take."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

import jaxnoise as jn

SETS = jn.data.tables().set_index("name")
LEAST = 0.1  # deviation of a pixel or step, as a share of that of all


def divisions(name: str, size: int, protocol: Mapping[str, Any]) -> list[jn.Data]:
    """The paired divisions of a set."""
    load = partial(division, name, protocol["test_rows"])
    sizes = {"train_size": size - size // 3, "validation": size // 3}
    return jn.data.draws(load, protocol["divisions"], **sizes)


def division(
    name: str, most: int, train_size: int, *, validation: int, seed: int
) -> jn.Data:
    """One of a set: rows of standardised columns, of which not too many judge."""
    data = jn.data.table(name, train_size, validation=validation, seed=seed)
    flat = {key: (rows_of(x), y) for key, (x, y) in data.items()}
    x, y = flat["test"]  # in stored order, which may be that of the classes
    at = np.sort(np.random.default_rng(seed).permutation(len(y))[:most])
    flat["test"] = x[at], y[at]
    if SETS["kind"][name] != "table":
        x = flat["train"][0]
        stddev = np.maximum(x.std(0), LEAST * x.std())  # corners are nearly constant
        flat = {key: ((v - x.mean(0)) / stddev, y) for key, (v, y) in flat.items()}
    return jn.Data(**flat)


def rows_of(x: Any) -> np.ndarray:
    """Rows as vectors; of series of many lengths the padded values."""
    values = x[0] if isinstance(x, tuple) else x
    return np.reshape(values, (len(values), -1))
