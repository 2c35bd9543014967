"""Parquet and Arrow files become columns of text, as if they had been written as CSV.

So one set of rules makes numbers, dates and words of both; numbers keep all their
digits. Only these functions need pyarrow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from jaxnoise.command.columns import (
    NO_ROWS,
    Cells,
    FileError,
    Sheet,
    joined,
    listed,
)
from jaxnoise.command.parsing import POINT

FORMS = {b"PAR1": "parquet", b"ARROW1": "ipc"}  # by a file's first bytes


@contextmanager
def _opened(path: Path, form: str) -> Iterator[tuple[Any, Any]]:
    """PyArrow, and a file as its data set; what goes wrong becomes one line."""
    try:
        pa, pads = import_module("pyarrow"), import_module("pyarrow.dataset")
    except ImportError:
        raise FileError(
            'needs pyarrow to be read: python -m pip install "jaxnoise[parquet]"'
        ) from None
    try:
        yield pa, pads.dataset(path, format=form)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise FileError("is damaged, or holds what pyarrow does not read") from None


def arrow_shape(path: Path, form: str) -> tuple[int, int]:
    """The numbers of rows and columns of a file."""
    with _opened(path, form) as (_, dataset):
        return dataset.count_rows(), len(dataset.schema)


def arrow_sheet(path: Path, form: str, rows: int | None, seed: int) -> Sheet:
    """Read a file, or so many of its rows as the seed chooses."""
    parts, start = [], 0
    with _opened(path, form) as (pa, dataset):
        total, names = dataset.count_rows(), dataset.schema.names
        places = np.arange(total)
        if rows is not None and rows < total:
            rng = np.random.default_rng(seed)
            places = np.sort(rng.choice(total, rows, replace=False))
        for batch in dataset.to_batches():
            batch.validate(full=True)  # a damaged one would end the process
            ends = np.searchsorted(places, [start, start + len(batch)])
            inside = places[slice(*ends)] - start
            pairs = zip(names, batch.columns, strict=True)
            parts.append([_cells(pa, *pair, inside) for pair in pairs])
            start += len(batch)
    if not total:
        raise FileError(NO_ROWS)
    columns = [joined(column) for column in zip(*parts, strict=True)]
    return Sheet(names, columns, places + 1)


def _cells(pa: Any, name: str, column: Any, rows: np.ndarray) -> Cells:
    kind = getattr(column.type, "value_type", column.type)
    try:
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        words = column.dictionary.cast(pa.string()).to_pylist()
    except pa.ArrowNotImplementedError:
        raise FileError(
            f"has {column.type} in {listed([name])}: a cell must hold one value"
        ) from None
    if pa.types.is_boolean(kind):
        words = [word.title() for word in words]  # as Python writes them
    codes = column.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    used, codes = np.unique(codes[rows], return_inverse=True)
    texts = np.array([*(word or "" for word in words), ""], dtype=object)[used]
    style = POINT if pa.types.is_integer(kind) or pa.types.is_floating(kind) else None
    return Cells(texts, codes, style)
