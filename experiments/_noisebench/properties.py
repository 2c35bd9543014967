"""What of a data set of classes may go along with what noise is worth on it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

import jaxnoise as jn
from _noisebench.sets import rows_of

ROWS = 2000  # at most, among which neighbours are looked for
NEIGHBOURS = 10


def properties(names: Sequence[str], size: int) -> pd.DataFrame:
    """A row a set of classes.

    ``rows per column`` of so many labelled rows; ``noise level``: how often the nearest
    neighbour is of another class; ``class overlap``: the share of other classes among
    ten neighbours; ``skew``: the share of the largest class times their number.
    """
    return pd.DataFrame({name: _of(name, size) for name in names}).T


def _of(name: str, size: int) -> dict[str, float]:
    from sklearn.neighbors import NearestNeighbors

    x, y = jn.data.table(name).train
    drawn = np.random.default_rng(0).permutation(len(y))[:ROWS]  # files may be sorted
    rows, labels = rows_of(x)[drawn], np.ravel(y)[drawn]
    near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(rows)
    at = near.kneighbors(return_distance=False)  # without the row itself
    others = labels[at] != labels[:, None]
    counts = np.unique(np.ravel(y), return_counts=True)[1]
    return {
        "rows per column": size / rows.shape[1],
        "noise level": float(others[:, 0].mean()),
        "class overlap": float(others.mean()),
        "skew": float(counts.max() / counts.sum() * len(counts)),
    }
