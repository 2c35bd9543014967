"""Numbers, names and verdicts in words, as tables, pictures and pages write them."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.results import cell_columns

FEW_UNITS = 10  # below, the t-interval is a guide
LEAST_PLACES = 4  # of a table's numbers
MOST_DECIMALS = 9
LARGE = 1e9  # from here on powers of ten
UNKNOWN = "–"
LONGEST = 60  # letters of a placement's name
TOGETHER = (
    "difference",
    "low",
    "high",
    "new_rows_low",
    "new_rows_high",
    "median_difference",
    "worst_pair",
)  # decimals


def joined(name: Mapping[str, Any]) -> str:
    """A placement and its strengths in one breath, such as "both 0.01 0.1"."""
    known = [value for value in name.values() if value == value]
    return " ".join(f"{v:g}" if isinstance(v, float) else legible(v) for v in known)


def cell_titles(table: pd.DataFrame) -> list[str]:
    """A title for each placement and strength, in the table's order.

    Such as ``hidden, 0.1``; strengths that are pytrees have the names of their leaves,
    ``both, input 0.01, hidden 0.1``. A strength of 0 is left out where it is the
    placement's only one.
    """
    columns = cell_columns(table)
    cells = table[columns].drop_duplicates()
    several = cells["placement"].map(cells["placement"].value_counts()) > 1
    titles = []
    for name, many in zip(cells.to_dict("records"), several, strict=True):
        parts = [short(name.pop("placement"))]
        for column, strength in name.items():
            if strength == strength and (many or strength != 0):
                leaf = column.partition(".")[2]
                parts.append(f"{leaf} {number(strength)}".strip())
        titles.append(", ".join(parts))
    return titles


def legible(text: Any) -> str:
    """A text that any file takes: half a character, a lone surrogate, is replaced."""
    return str(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def short(name: Any) -> str:
    """A name that fits a figure; a blank one is quoted."""
    name = legible(name)
    if len(name) > LONGEST:
        return f"{name[: LONGEST - 20]} … {name[-17:]}"
    return quoted(name)


def quoted(name: Any) -> str:
    """A name, in quotes if nothing of it would be seen."""
    name = legible(name)
    return name if name.strip() else repr(name)


def in_words(column: Any) -> str:
    """A column's name in words."""
    return legible(column).replace("_", " ")


def said(verdict: str) -> str:
    """A verdict for people: "none" beside a placement of that name is no word."""
    return "no verdict" if verdict == "none" else verdict


def which_is_better(lower: bool) -> str:
    """Which way is better."""
    return "lower is better" if lower else "higher is better"


def count(n: Any, unit: str) -> str:
    """How many units there are, such as "n = 30 seeds", and whether they are few."""
    low, high = int(min(n)), int(max(n))
    text = f"{low}" if low == high else f"{low} to {high}"
    noun = unit if high == 1 else f"{unit}s"
    return f"n = {text} {noun}" + (", few" if low < FEW_UNITS else "")


def number(value: Any) -> str:
    """A strength, or what stands for one in a table."""
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return legible(value)


def fixed(value: float, digits: int, sign: str = "-") -> str:
    """A number to so many decimals, or in powers of ten where it would be long."""
    if not np.isfinite(value):
        return UNKNOWN
    long = digits > MOST_DECIMALS or abs(value) >= LARGE
    text = f"{value:{sign}.{3 if long else digits}{'g' if long else 'f'}}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def signed(value: float, digits: int) -> str:
    """A difference with its sign; a true minus is as wide as a plus."""
    return fixed(value, digits, "+")


def p_words(p: float) -> str:
    """A p-value as part of a sentence."""
    if not p >= 0:
        return "unknown"
    return "< 0.0001" if p < 1e-4 else f"= {p:.4f}"


def decimals(spreads: Any, digits: int = 3) -> int:
    """Decimals that show the middle one of these numbers to so many digits."""
    sizes = np.abs(np.asarray(spreads, float))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not sizes.size:
        return digits
    return int(max(digits - 1 - np.floor(np.log10(np.median(sizes))), 0))


def difference_decimals(rows: Any) -> int:
    """Decimals of differences: three digits of the interval, at most `places`'.

    Without intervals, three digits of the middle difference.
    """
    widths = rows["high"] - rows["low"]
    spreads = widths if np.isfinite(widths).any() else rows["difference"]
    most = places(rows[["difference", "low", "high"]].to_numpy(float))
    return min(decimals(spreads), most)


def score_decimals(rows: Any) -> int:
    """Decimals of scores: three digits of their spread, or four of equal scores."""
    equal = not (rows["sd"] > 0).any()
    return decimals(rows["mean"], 4) if equal else decimals(rows["sd"])


def places(values: Any) -> int:
    """Decimals of a table's column: four, or three digits of the largest number."""
    values = np.asarray(values, float)
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    if not largest:
        return LEAST_PLACES
    return max(LEAST_PLACES, 2 - math.floor(math.log10(largest)))


def table_text(
    table: pd.DataFrame, form: Any = None, unknown: str = "-"
) -> pd.DataFrame:
    """The cells of a comparison as they are shown, each on one line.

    ``form`` is a format for all numbers but strengths, which are names.
    """
    together = [name for name in TOGETHER if name in table]
    common = places(table[together])
    cells = {}
    for i, name in enumerate(table.columns):
        column = pd.Series(table.iloc[:, i])
        write: Callable[[Any], str] = _one_line
        if name == "verdict":
            write = said
        elif pd.api.types.is_float_dtype(column):
            write = "{:g}".format
            if name not in cell_columns(table):
                own = common if name in together else places(column)
                write = form or _form(name, column, own)
        cells[name] = [unknown if v != v else write(v) for v in column]
    return pd.DataFrame(cells, index=pd.Index(table.index), dtype=object)


def _form(name: str, column: pd.Series, digits: int) -> Callable[[Any], str]:
    if name in ("p", "p_holm"):
        return lambda p: "<0.0001" if p < 1e-4 else f"{p:.4f}"
    large = column.abs()[np.isfinite(column)].max() >= LARGE
    return ("{:.6g}" if large else f"{{:.{digits}f}}").format


def _one_line(value: Any) -> str:
    return re.sub(r"\s*[\r\n]+\s*", " ", legible(value))
