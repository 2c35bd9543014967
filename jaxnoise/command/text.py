"""A file of text becomes rows of cells, and these become columns.

`text_sheet` finds out the encoding, the delimiter and the names of the columns by a
look at the file's beginning, and reads it once, each row told if it is too long or too
short. Rows are counted from 1, below the names and without blank lines.
"""

import csv
import gzip
import heapq
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import IO, Any

import numpy as np

from jaxnoise.command.columns import NO_ROWS, Cells, FileError, Sheet, as_cells, joined
from jaxnoise.command.parsing import COMMA, POINT, numbers

HEAD = 1 << 20  # bytes to look at before reading, and no line is longer
CHUNK = 200_000  # cells that are text at a time, about
DELIMITERS = "\t;|,"  # the first wins where several would do
NO_TEXT = "holds bytes that are no text: save the table as CSV"
LATIN = "not in UTF-8, so read as Latin-1 (cp1252)"


def is_packed(path: Path) -> bool:
    """Whether a file is packed by gzip."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def unpacked(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """A file's bytes, unpacked, to be read one after another."""
    return gzip.open(path) if is_packed(path) else path.open("rb")


def beginning(path: Path) -> bytes:
    """A file's first bytes, unpacked."""
    with unpacked(path) as file:
        return file.read(HEAD)


def text_sheet(path: Path, rows: int | None, seed: int, limit: int | None) -> Sheet:
    """Read a file of text.

    Args:
        path: the file, which may be packed by gzip.
        rows: so many rows at random, all if None.
        seed: of that choice.
        limit: characters that may be read, if there is a limit.
    """
    head = beginning(path)
    whole = head[: head.rfind(b"\n") + 1] if len(head) == HEAD else head
    for encoding, note in _encodings(head):
        layout = _Layout((whole or head).decode(encoding, "replace"))
        try:
            with io.TextIOWrapper(unpacked(path), encoding, newline="") as text:
                columns, places = _columns(layout.rows(_lines(text, limit)), rows, seed)
        except UnicodeDecodeError:
            continue
        notes = [*note, *layout.notes]
        return Sheet(layout.names, columns, places, notes, layout.delimiter == ";")
    raise FileError("is damaged: it does not decode to text")


def _encodings(head: bytes) -> Iterator[tuple[str, list[str]]]:
    """Encodings that text may have, the likeliest first, and what to tell of each."""
    even, odd = head[::2].count(0) / len(head), head[1::2].count(0) / len(head)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield "utf-16", []
    elif max(even, odd) > 0.2 and min(even, odd) < 0.05:
        yield "utf-16-le" if odd > even else "utf-16-be", []
    elif re.search(rb"[\x00-\x08\x0e-\x19]", head):
        raise FileError(NO_TEXT)
    else:
        yield from (("utf-8-sig", []), ("cp1252", [LATIN]), ("latin-1", [LATIN]))


def _lines(text: IO[str], limit: int | None) -> Iterator[str]:
    """A file's lines, as long as each of them and all together stay in bounds."""
    read, rest = 0, ""
    while block := text.read(HEAD):
        read += len(block)
        if "\0" in block:
            raise FileError(NO_TEXT)
        if limit and read > limit:
            raise FileError("unpacks to more than memory holds: add --rows 10000")
        block = rest + block
        end = block.rfind("\n") + 1 or block.rfind("\r") + 1
        if not end and len(block) > HEAD:
            raise FileError(f"has a line of over {HEAD:,} characters: is it a table?")
        rest = block[end:]
        yield from io.StringIO(block[:end], newline="")
    yield from io.StringIO(rest, newline="")


class _Layout:
    """How a file of text is laid out, by its beginning."""

    def __init__(self, head: str) -> None:
        told = re.match(r"sep=(.)\r?\n", head)  # Excel writes and reads that
        self.skip = int(bool(told))
        head = head[told.end() :] if told else head
        records = {each: _records(head, each) for each in DELIMITERS}
        if told:
            records = {told[1]: _records(head, told[1])}
        elif all(len(rows[0]) == 1 for rows in records.values() if rows):
            spaced = _records(head, " ")
            records |= {" ": spaced} if _fit(spaced)[0] == 1 else {}
        self.delimiter = max(records, key=lambda each: _fit(records[each]))
        names, *rest = records[self.delimiter] or [[""]]
        usual = _usual(rest or [names])[0]
        if usual == len(names) + 1 > 2:
            # Rows have names, or end in a delimiter, and the line above them does not.
            ends = any(row[-1] for row in rest if len(row) == usual)
            names = ["", *names] if ends else [*names, ""]
        if usual != len(names):
            raise FileError(
                f"has {_cells(names)} in its first line, where the names of columns "
                f"are, and {usual} in most rows: mend the first line"
            )
        self.width, self.named = len(names), not _are_data(names)
        self.names, self.notes = names, []
        if not self.named:
            self.names = [f"column {place}" for place in range(1, self.width + 1)]
            self.notes = ["the first row has no names, which become 'column 1', ..."]

    def rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """Rows of as many cells as there are columns, without the names."""
        lines = islice(lines, self.skip, None)
        reader = csv.reader(lines, strict=True, **_dialect(self.delimiter))
        skip, row = self.named, 0
        try:
            for cells in reader:
                if skip:
                    skip = not any(cells)
                elif len(cells) == self.width:
                    row += 1
                    yield cells
                elif len(cells) > 1 or "".join(cells).strip():  # no blank line
                    self._refuse(cells, f"row {row + 1} (line {reader.line_num})")
        except csv.Error as error:
            raise FileError(
                f"has a quote in row {row + 1} (before line {reader.line_num + 1}) "
                f"that is not closed, or not doubled inside of a cell: {error}"
            ) from None

    def _refuse(self, cells: list[str], where: str) -> None:
        raise FileError(
            f"has {_cells(cells)} in {where}, where {self.width} are expected: mend "
            f"the row, or put cells that hold {self.delimiter!r} in quotes"
        )


def _records(text: str, delimiter: str) -> list[list[str]]:
    """The first rows of a text, as far as they can be told."""
    found: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), **_dialect(delimiter))
    with suppress(csv.Error):  # which is told, with its row, when the file is read
        found.extend(filter(any, islice(reader, 200)))
    return found


def _dialect(delimiter: str) -> dict[str, Any]:
    return {"delimiter": delimiter, "skipinitialspace": delimiter == " "}


def _cells(row: list[str]) -> str:
    return f"{len(row)} cell" + "s" * (len(row) > 1)


def _usual(records: list[list[str]]) -> tuple[int, float]:
    """The number of cells that most rows have, and the share of these rows."""
    width, rows = Counter(map(len, records)).most_common(1)[0]
    return width, rows / len(records)


def _fit(records: list[list[str]]) -> tuple[float, int]:
    """How well a delimiter divides rows into as many cells each."""
    first, *rest = records or [[]]
    width, share = _usual(rest or [first])
    fits = width > 1 and len(first) in (width, width - 1)
    return share * fits, 0 if fits else len(first)


def _are_data(cells: list[str]) -> bool:
    """Whether a first row holds numbers and not names; 0, 1, 2, ... are names."""
    words = [cell.strip() for cell in cells if cell.strip()]
    values = np.fmax(numbers(words, POINT), numbers(words, COMMA))
    found = values[np.isfinite(values)]
    counted = len(found) > 1 and (np.diff(found) == 1).all()
    return len(found) > len(values) / 2 and not counted


def _columns(
    records: Iterator[list[str]], rows: int | None, seed: int
) -> tuple[list[Cells], np.ndarray]:
    """The columns of records, and the numbers of the rows that were taken."""
    places = None
    if rows is not None:
        drawn = zip(iter(Random(seed).random, None), count(1), records, strict=False)
        kept = sorted(each[1:] for each in heapq.nsmallest(rows, drawn))
        places = np.array([place for place, _ in kept])
        records = (record for _, record in kept)
    parts = []
    while chunk := list(islice(records, 1)):
        chunk += islice(records, 500 + CHUNK // len(chunk[0]))
        parts.append([as_cells(column) for column in zip(*chunk, strict=True)])
    if not parts:
        raise FileError(NO_ROWS)
    columns = [joined(column) for column in zip(*parts, strict=True)]
    total = len(columns[0].codes)
    return columns, np.arange(1, total + 1) if places is None else places
