"""The tables of a report: what stands in their cells, and how the runs were made."""

import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence import format as fmt
from jaxnoise.evidence.compare import Comparison
from jaxnoise.evidence.format import UNKNOWN
from jaxnoise.evidence.report.sentences import enumerated
from jaxnoise.results import cell_columns

PACKAGES = (
    *("jaxnoise", "jax", "jaxlib", "flax", "optax"),
    *("numpy", "scipy", "pandas", "matplotlib"),
)
MOST_RANGES = 20


def names_of(rows: Comparison) -> pd.DataFrame:
    """Placement and strengths of each row as text, under the heads of their columns."""
    cells = {}
    for column in cell_columns(rows):
        head, _, leaf = str(column).partition(".")
        text = f"{head.capitalize()} of {leaf}" if leaf else head.capitalize()
        form = fmt.quoted if column == "placement" else fmt.number
        cells[text] = [form(v) if v == v else UNKNOWN for v in rows[column]]
    return pd.DataFrame(cells, rows.index)


def as_text(value: Any) -> str:
    """A value of a configuration as text; what is undefined is a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNKNOWN
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {as_text(each)}" for name, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return ", ".join(map(as_text, value))
    return str(value)


def ranges(values: Iterable[Any]) -> str:
    """Whole numbers as ranges, such as 0–29, 40; anything else as it is."""
    values = list(values)
    try:
        whole = sorted(map(int, values)) if all(v == int(v) for v in values) else []
    except (TypeError, ValueError):
        whole = []
    known, parts = {*whole}, [] if whole else list(map(str, values))
    starts = [v for v in whole if v - 1 not in known]
    ends = [v for v in whole if v + 1 not in known]
    for first, last in zip(starts, ends, strict=True):
        parts.append(f"{first}" if first == last else f"{first}–{last}")
    return ", ".join(parts[:MOST_RANGES]) + (", …" if len(parts) > MOST_RANGES else "")


def versions() -> str:
    """Of all that has a say in the numbers of a page."""
    found = [f"{name} {version(name)}" for name in PACKAGES]
    return ", ".join([f"Python {platform.python_version()}", *found])


def share(value: float) -> str:
    """A share in per cent."""
    return f"{value:.0%}" if np.isfinite(value) else UNKNOWN


def brief(value: float) -> str:
    """A number of any size to three digits."""
    return f"{value:.3g}" if np.isfinite(value) else UNKNOWN


def p_alone(p: float) -> str:
    """A p-value in a cell."""
    return fmt.p_words(p).removeprefix("= ") if np.isfinite(p) else UNKNOWN


FILTERS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        *(as_text, brief, enumerated, p_alone, ranges, share, fmt.count, fmt.decimals),
        *(fmt.difference_decimals, fmt.fixed, fmt.p_words, fmt.said),
        *(fmt.score_decimals, fmt.signed),
    )
}
