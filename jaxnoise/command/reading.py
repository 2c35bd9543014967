"""Tables come in from people's files, and go out such that spreadsheets run nothing.

`read_table` takes text of any delimiter and encoding, gzip, Parquet and Arrow. What it
cannot read it refuses in one line. It opens no pickle and evaluates nothing.
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import psutil

from jaxnoise.command.arrow import FORMS, arrow_shape, arrow_sheet
from jaxnoise.command.columns import (
    Cells,
    FileError,
    Sheet,
    listed,
    read_columns,
    shown,
)
from jaxnoise.command.parsing import POINT, numbers
from jaxnoise.command.text import HEAD, beginning, is_packed, text_sheet

FACTOR = 24  # bytes of memory for a byte of a file, at most; 7 if it holds decimals
CELL = 40  # and for a cell
GIB = 2**30
REFUSED = {  # by a file's first bytes
    rb"PK\x03\x04|\xd0\xcf\x11\xe0": "is an Excel file or archive: save it as CSV",
    rb"\x80[\x02-\x05]": "is a pickle, which is never opened: save the table as CSV",
    rb"\x93NUMPY": "holds a NumPy array: save the table as CSV",
    rb"BZh|\xfd7zXZ|\(\xb5/\xfd|7z\xbc\xaf|\x1f\x8b": "is still packed: unpack it",
    rb"<!|<html|<\?xml|\{|\[\{": "is a web page, XML or JSON: save the table as CSV",
}


@dataclass(frozen=True)
class Table:
    """A table as it was read.

    Attributes:
        frame: columns of float64 (numbers, NaN for gaps), datetime64 (dates in UTC,
            NaT) and text (words, NaN), all under different names.
        kinds: "number", "date" or "words" for each column.
        notes: what was done to the file, a line each.
        styles: of numbers and dates, how they were written, such as "decimal comma".
        rows: their numbers in the file, from 1, as messages tell them.
    """

    frame: pd.DataFrame
    kinds: dict[str, str]
    notes: tuple[str, ...]
    styles: dict[str, str]
    rows: np.ndarray


def read_table(
    path: str | Path,
    *,
    rows: int | None = None,
    kinds: Mapping[str, str] | None = None,
    styles: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Table:
    """Read a file of cells into typed columns, or say in one line why not.

    Args:
        path: CSV of any delimiter, also packed by gzip, Parquet or Arrow.
        rows: so many rows at random, in the file's order; all of them if None.
        kinds: of columns that are read as an earlier table's were, its `kinds`.
        styles: and its `styles`.
        seed: of the choice of rows.

    Raises:
        FileError: one line that names the file, the place and the cure.
    """
    path = Path(path)
    with _told_in_one_line(path):
        form = _form(path)
        free = psutil.virtual_memory().available
        _check_memory(path, form, rows, free)
        if form == "text":
            sheet = text_sheet(path, rows, seed, None if rows else free // FACTOR)
        else:
            sheet = arrow_sheet(path, form, rows, seed)
        named, notes = _named(sheet)
        if len(named) < 2 and kinds is None:
            raise FileError(
                f"has one column only, {', '.join(map(shown, named))}: a table needs "
                "two, and comma, semicolon, tab or | between its cells"
            )
        frame, found, written, told = read_columns(
            named, sheet.rows, semicolons=sheet.semicolons, kinds=kinds, styles=styles
        )
    return Table(frame, found, (*sheet.notes, *notes, *told), written, sheet.rows)


def estimate_memory(path: str | Path) -> int:
    """How many bytes of memory reading a file takes, at most."""
    path = Path(path)
    with _told_in_one_line(path):
        return _size(path, _form(path))[0]


@contextmanager
def _told_in_one_line(path: Path) -> Iterator[None]:
    name = path.name if path.name.isprintable() else repr(path.name)
    try:
        yield
    except FileError as error:
        raise FileError(f"{name} {error}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise FileError(f"{name} is damaged: it does not unpack") from None
    except OSError as error:
        raise FileError(f"{name} cannot be read: {error.strerror or error}") from None


def _form(path: Path) -> str:
    """Whether a file is "text", "parquet" or "ipc", by its first bytes."""
    head = beginning(path)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise FileError("is empty")
    for pattern, reason in REFUSED.items():
        if re.match(pattern, start, re.IGNORECASE):
            raise FileError(reason)
    form = next((form for magic, form in FORMS.items() if head.startswith(magic)), None)
    if form and is_packed(path):
        raise FileError("is a packed table: unpack it first")
    return form or "text"


def _size(path: Path, form: str) -> tuple[int, int]:
    """Bytes of memory that a table takes at most, and the number of its rows, about."""
    size = path.stat().st_size
    if form != "text":
        rows, columns = arrow_shape(path, form)
        return FACTOR * size + CELL * rows * columns, max(rows, 1)
    with path.open("rb") as file:
        head = file.read(HEAD)
    if is_packed(path):
        unpack = zlib.decompressobj(31)
        packed, head = len(head), unpack.decompress(head, 64 * HEAD)
        packed -= len(unpack.unconsumed_tail) + len(unpack.unused_data)
        size = size * len(head) // packed
    return FACTOR * size, max(1, size * head.count(b"\n") // len(head))


def _check_memory(path: Path, form: str, rows: int | None, free: int) -> None:
    need, there = _size(path, form)
    if rows is not None:
        need = need * min(rows, there) // there
    if need > free:
        fit = max(1, there * free // need // 2)
        raise FileError(
            f"takes up to {need / GIB:.1f} GiB of memory, and {free / GIB:.1f} GiB are "
            f"free: read fewer rows, such as --rows {fit}"
        )


def _named(sheet: Sheet) -> tuple[dict[str, Cells], list[str]]:
    """Columns under different names, without those that only count the rows."""
    named: dict[str, Cells] = {}
    notes = []
    for place, text in enumerate(sheet.names, 1):
        cells, name = sheet.columns[place - 1], " ".join(text.split())
        name = "".join(filter(str.isprintable, name))
        if not name or re.fullmatch(r"Unnamed: \d+|__index_level_0__", name):
            if reason := _is_idle(cells, sheet.rows):
                notes.append(f"column {place} has no name, {reason}, and is left out")
                continue
            name = f"column {place}"
            notes.append(f"column {place} has no name and is called {name!r}")
        first, times = name, 1
        while name in named:
            times += 1
            name = f"{first} ({times})"
        if name != first:
            notes.append(f"{listed([first])} comes again and is called {shown(name)}")
        named[name] = cells
    return named, notes


def _is_idle(cells: Cells, rows: np.ndarray) -> str:
    """Why a column without a name is left out, if it is."""
    if not any(cells.words):
        return "is empty"
    if len(cells.words) < len(rows):
        return ""
    ahead = rows - numbers(cells.words, POINT)[cells.codes]
    return "counts the rows" if ahead[0] in (0, 1) and np.ptp(ahead) == 0 else ""


def columns_of(frame: pd.DataFrame, names: list[str], path: Path) -> pd.DataFrame:
    """Some columns, in this order.

    Raises:
        FileError: if one is not there.
    """
    lost = [name for name in names if name not in frame]
    if lost:
        raise FileError(
            f"{path.name} lacks {len(lost)} columns of the table learned from, "
            f"such as {lost[0]!r}"
        )
    return frame[names]


def safe_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula; numbers stay as they are."""
    harmless = not text.startswith(("=", "+", "-", "@", "\t", "\r"))
    return text if harmless or np.isfinite(numbers([text], POINT)[0]) else f"'{text}"


def write_csv(frame: pd.DataFrame, path: str | Path | TextIO) -> None:
    """Write a table without its index, its texts and names safe for spreadsheets."""

    def safe(value: Any) -> Any:
        return safe_cell(value) if isinstance(value, str) else value

    texts = frame.select_dtypes(exclude=["number", "bool", "datetime"]).columns
    frame = frame.copy()
    for name in texts:
        frame[name] = frame[name].map(safe)
    frame.rename(columns=safe).to_csv(path, index=False)
