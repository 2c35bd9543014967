"""Columns of text become numbers, dates or words, decided by the whole column.

A column is held as its distinct words and each row's place among them, so that every
rule looks at a word once, however often it stands in the file. `read_columns` does all
columns of a file: a column that could be read in two ways is read as the others are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jaxnoise.command import parsing
from jaxnoise.command.parsing import (
    COMMA,
    CURRENCIES,
    DAY_FIRST,
    MONTH_FIRST,
    POINT,
    Words,
)


def _spellings(words: str) -> set[str]:
    forms = (str.lower, str.upper, str.title)
    return {form(word) for word in words.split("|") for form in forms}


GAPS = {"NaN", "NaT", ""} | _spellings(
    "na|n/a|n.a.|#n/a|#na|<na>|nan|nat|null|(null)|\\n|-|--|---|\u2013|\u2014|?|.|.."
    "|#value!|#div/0!|#ref!|#name?|#num!|#null!"
)
# Gaps among numbers and dates; among words they may be what somebody answered.
LOOSE_GAPS = _spellings("none|nil|unknown|missing|inf|+inf|-inf|infinity")
MOST = 0.95  # at least so many of a column's cells are numbers, or dates
FEW = 10  # at most so many different words stand among them
FIRST = 50  # words that settle most columns
SAMPLE = 1000  # words to look for an example among
PARSERS = {"number": parsing.numbers, "date": parsing.dates}
STYLES = {"number": (POINT, COMMA), "date": (MONTH_FIRST, DAY_FIRST)}
EUROPEAN = (COMMA, DAY_FIRST)
NO_ROWS = "has names of columns and no rows"


class FileError(ValueError):
    """A file that is not read: one line that names the place and the cure."""


@dataclass(frozen=True)
class Cells:
    """A column of text: its distinct words, and for each row the place of its word."""

    words: np.ndarray
    codes: np.ndarray
    style: str | None = None  # of numbers that a program wrote

    def count(self, chosen: np.ndarray) -> int:
        """In how many rows one of the chosen words stands."""
        return int(chosen[self.codes].sum())

    def example(self, chosen: np.ndarray, rows: np.ndarray) -> str:
        """The first of the chosen words, and its row."""
        row = int(chosen[self.codes].argmax())
        return f"{shown(self.words[self.codes[row]])} in row {rows[row]}"


@dataclass(frozen=True)
class Sheet:
    """A file's cells before it is known what they mean.

    Attributes:
        names: of the columns, as they are in the file.
        columns: one for each name.
        rows: numbers of the rows in the file.
        notes: what was done to the file.
        semicolons: whether they divide cells, as where the decimal mark is a comma.
    """

    names: list[str]
    columns: list[Cells]
    rows: np.ndarray
    notes: Sequence[str] = ()
    semicolons: bool = False


@dataclass(frozen=True)
class Column:
    """A column's kind, and its words' values in each style that fits them alike."""

    cells: Cells
    kind: str
    gaps: np.ndarray  # which words are gaps
    readings: dict[str, np.ndarray]


def as_cells(texts: Words) -> Cells:
    """The texts of a column's rows, held as cells."""
    codes, words = pd.factorize(np.array(texts, dtype=object))
    return Cells(words, codes.astype(np.int32))


def joined(parts: Sequence[Cells]) -> Cells:
    """The parts of one column below each other, without spaces around their words."""
    starts = np.cumsum([0] + [len(part.words) for part in parts])
    words = np.concatenate([part.words for part in parts])
    if re.search(r"\s", "".join(words)):
        words = [word.strip() for word in words]
    whole = as_cells(words)
    pairs = zip(starts, parts, strict=False)
    codes = [whole.codes[start + part.codes] for start, part in pairs]
    return Cells(whole.words, np.concatenate(codes), parts[0].style)


def shown(text: str) -> str:
    """A cell or a name in a message: quoted, short, in one line."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def listed(names: Sequence[str]) -> str:
    """Columns in a message, such as "columns 'a', 'b', 'c' and 7 more"."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"column{'s' * (len(names) > 1)} {', '.join(map(shown, names[:3]))}{more}"


def read_columns(
    cells: Mapping[str, Cells],
    rows: np.ndarray,
    *,
    semicolons: bool = False,
    kinds: Mapping[str, str] | None = None,
    styles: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, dict[str, str], dict[str, str], list[str]]:
    """The columns' values, kinds and styles, and what is to be told of them.

    Args:
        cells: columns by their names.
        rows: numbers of the rows, for what is told.
        semicolons: whether they divide cells, as where the decimal mark is a comma.
        kinds: "number", "date" or "words" of columns for which that is settled.
        styles: how such columns write their numbers or dates.
    """
    kinds, styles = kinds or {}, styles or {}
    columns = {
        name: _column(each, kinds.get(name), styles.get(name))
        for name, each in cells.items()
    }
    votes = sum(map(_vote, columns.values()))
    values, chosen = {}, {}
    told: dict[str, list[str]] = {}
    for name, column in columns.items():
        style = _style(column, votes, semicolons)
        try:
            values[name] = _values(column, style, rows)
        except FileError as error:
            raise FileError(f"{listed([name])} {error}") from None
        if style:
            chosen[name] = style
        for sentence in _told(column, style, rows):
            told.setdefault(sentence, []).append(name)
    notes = [f"{listed(names)}: {sentence}" for sentence, names in told.items()]
    found = {name: column.kind for name, column in columns.items()}
    return pd.DataFrame(values), found, chosen, notes


def _column(cells: Cells, kind: str | None, style: str | None) -> Column:
    gaps = np.array([word in GAPS for word in cells.words], dtype=bool)
    loose = np.array([word in LOOSE_GAPS for word in cells.words], dtype=bool)
    for each in STYLES:
        if kind in (None, each):
            style = style or cells.style
            readings = _readings(cells.words[~gaps], each, style, kind == each)
            column = Column(cells, each, gaps, readings)
            if kind or _is_right(column, ~gaps & ~loose):
                return column
    return Column(cells, "words", gaps, {})


def _readings(
    words: np.ndarray, kind: str, style: str | None, forced: bool
) -> dict[str, np.ndarray]:
    """What words are as numbers or dates, in each style that fits as many of them."""
    styles = [style] if style in STYLES[kind] else list(STYLES[kind])
    if kind == "number" and not re.search("[.,]", "".join(words)):
        styles = styles[:1]
    for some, slack in ((words[:FIRST], FEW), (words, 0)):
        tried = {each: PARSERS[kind](some, each) for each in styles}
        fits = {each: np.sum(pd.notna(found)) for each, found in tried.items()}
        best = max(fits.values())
        if best + FEW < len(some) and not forced:
            return {}
        styles = [each for each in styles if fits[each] >= best - slack]
    first, last = tried[styles[0]], tried[styles[-1]]
    if np.array_equal(first, last, equal_nan=True):
        return {styles[0]: first}
    return {styles[0]: first, styles[-1]: last}


def _is_right(column: Column, solid: np.ndarray) -> bool:
    """Whether most of a column's solid words, which are no gaps, have been read."""
    cells, words = column.cells, column.cells.words[solid]
    if not solid.any():
        return bool(column.gaps.all())
    if not column.readings or (column.kind == "number" and _are_codes(words)):
        return False
    parsed = _where(column, pd.notna(next(iter(column.readings.values()))))
    return cells.count(parsed) >= MOST * cells.count(solid)


def _are_codes(words: np.ndarray) -> bool:
    """Whether words are codes such as 007: digits of one length, a zero before some."""
    length = len(words[0])
    alike = all(len(word) == length and word.isdigit() for word in words)
    return alike and length > 1 and any(word[0] == "0" for word in words)


def _where(column: Column, found: np.ndarray) -> np.ndarray:
    """Which words are no gaps and have been found so."""
    chosen = ~column.gaps
    chosen[chosen] = found
    return chosen


def _vote(column: Column) -> int:
    """1 for a column that only Europeans write so, -1 for one that they do not."""
    if len(column.readings) != 1:
        return 0
    words = column.cells.words[:SAMPLE]
    pointed = column.kind == "number" and any("." in word for word in words)
    return 1 if set(column.readings) & set(EUROPEAN) else -int(pointed)


def _style(column: Column, votes: int, semicolons: bool) -> str | None:
    if len(column.readings) < 2:
        return next(iter(column.readings), None)
    tie = semicolons and not any("." in word for word in column.cells.words)
    first, last = column.readings
    return last if votes > 0 or (votes == 0 and tie) else first


def _values(column: Column, style: str | None, rows: np.ndarray) -> np.ndarray:
    """The values of a column's rows; a gap is NaN or NaT."""
    if style is None:
        words = column.cells.words.copy()
        words[column.gaps] = np.nan
        return words[column.cells.codes]
    parsed = column.readings[style]
    if len(parsed) and pd.isna(parsed).all():
        example = column.cells.example(~column.gaps, rows)
        raise FileError(f"must hold {column.kind}s, and holds none, but {example}")
    values = np.full(len(column.gaps), None, dtype=parsed.dtype)  # all of them gaps
    values[~column.gaps] = parsed
    return values[column.cells.codes]


def _told(column: Column, style: str | None, rows: np.ndarray) -> Iterator[str]:
    """What a person should know of how a column was read."""
    words = column.cells.words[~column.gaps]
    if len(words) < 2 and (len(words) == 0 or not column.gaps.any()):
        yield "one value in all rows" if len(words) else "no values"
    if column.kind == "words":
        odd = np.zeros(len(words), dtype=bool)
        odd[:SAMPLE] = np.isnan(parsing.numbers(words[:SAMPLE], POINT))
        if 0 < odd.sum() < len(words[:SAMPLE]) / 2:
            example = column.cells.example(_where(column, odd), rows)
            yield f"words, as {example} is no number"
    if style is not None and len(words):
        parsed = column.readings[style]
        if pd.isna(parsed).any():
            yield _strays_told(column, pd.isna(parsed), rows)
        if len(column.readings) == 2:
            yield from _choice_told(column, style)
        elif style == COMMA:
            yield "decimal commas"
        text = "".join(words) if column.kind == "number" else ""
        if "%" in text:
            yield "percent signs, so that 12% is 0.12"
        if len(signs := [sign for sign in CURRENCIES if sign in text]) > 1:
            yield f"several currencies are read alike: {' '.join(signs)}"


def _strays_told(column: Column, strays: np.ndarray, rows: np.ndarray) -> str:
    cells, chosen = column.cells, _where(column, strays)
    number, rest = cells.count(chosen), cells.count(_where(column, ~strays))
    words = "word is a gap" if number == 1 else "words are gaps"
    held = column.kind + "s" * (rest != 1)
    example = cells.example(chosen, rows)
    return f"{number} {words} among {rest} {held}, such as {example}"


def _choice_told(column: Column, style: str) -> Iterator[str]:
    first, last = column.readings.values()
    place = int(np.argmax((first != last) & pd.notna(first)))
    word, value = column.cells.words[~column.gaps][place], column.readings[style][place]
    if style != POINT or "," in word:  # 1.234 is what it seems
        value = f"{value:.15g}" if column.kind == "number" else str(value)[:10]
        yield f"{shown(word)} is taken for {value} ({style})"
