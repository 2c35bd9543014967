"""How pictures and reports put a comparison into words."""

import math
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.comparison import decimals as compared_decimals
from jaxnoise.evidence.comparison import direction as direction
from jaxnoise.evidence.stats import FEW_UNITS
from jaxnoise.results import SweepResult, cell_columns

MOST_DECIMALS = 9
LONGEST = 60  # letters of a placement's name
Table = SweepResult | pd.DataFrame


def cell_titles(table: pd.DataFrame) -> list[str]:
    """A title for each placement and strength, in the table's order.

    Such as ``hidden, 0.1``; strengths that are pytrees have the names of their leaves,
    ``both, input 0.01, hidden 0.1``. A strength of 0 is left out where it is the
    placement's only one.
    """
    columns = cell_columns(table)
    cells = table[columns].drop_duplicates()
    counts = cells["placement"].value_counts()
    titles = []
    for cell in cells.to_dict("records"):
        several = bool(counts[cell["placement"]] > 1)
        parts = [short(str(cell["placement"]))]
        for column in columns:
            if column != "placement" and _is_shown(cell[column], several):
                leaf = column.partition(".")[2]
                parts.append(f"{leaf} {number(cell[column])}".strip())
        titles.append(", ".join(parts))
    return titles


def short(name: Any) -> str:
    """A name that fits a figure; a blank one is quoted."""
    name = str(name)
    if len(name) > LONGEST:
        return f"{name[: LONGEST - 20]} … {name[-17:]}"
    return quoted(name)


def quoted(name: Any) -> str:
    """A name, in quotes if nothing of it would be seen."""
    return str(name) if str(name).strip() else repr(str(name))


def _is_shown(strength: Any, several: bool) -> bool:
    if isinstance(strength, float) and math.isnan(strength):
        return False
    return bool(several or strength != 0)


def number(value: Any) -> str:
    """A strength, or what stands for one in a table."""
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)


def count(n: Any, unit: str) -> str:
    """How many units there are, such as "n = 30 seeds", and whether they are few."""
    low, high = int(min(n)), int(max(n))
    number = f"{low}" if low == high else f"{low} to {high}"
    noun = unit if high == 1 else f"{unit}s"
    return f"n = {number} {noun}" + (", few" if low < FEW_UNITS else "")


def in_words(column: str) -> str:
    """A column's name in words."""
    return str(column).replace("_", " ")


def fixed(value: float, digits: int, sign: str = "-") -> str:
    """A number to so many decimals, or in powers of ten where it would be long."""
    long = digits > MOST_DECIMALS or abs(value) >= 1e9
    text = f"{value:{sign}.3g}" if long else f"{value:{sign}.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def signed(value: float, digits: int) -> str:
    """A difference with its sign; a true minus is as wide as a plus."""
    return fixed(value, digits, "+")


def p_words(p: float) -> str:
    """A p-value as part of a sentence."""
    if not p >= 0:
        return "unknown"
    return "< 0.0001" if p < 1e-4 else f"= {p:.4f}"


def difference_decimals(rows: Any) -> int:
    """Decimals of differences: three digits of the interval, at most `compare`'s.

    Without intervals, three digits of the middle difference.
    """
    widths = rows["high"] - rows["low"]
    spreads = widths if np.isfinite(widths).any() else rows["difference"]
    most = compared_decimals(rows[["difference", "low", "high"]].to_numpy(float))
    return min(decimals(spreads), most)


def decimals(spreads: Any, digits: int = 3) -> int:
    """Decimals that show the middle one of these numbers to so many digits."""
    sizes = np.abs(np.asarray(spreads, float))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not sizes.size:
        return digits
    return int(max(digits - 1 - np.floor(np.log10(np.median(sizes))), 0))
