"""The tables of a report: what stands in their cells, and how the runs were made."""

import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.compare import Comparison, source_of
from jaxnoise.evidence.format import (
    count,
    difference_decimals,
    fixed,
    number,
    p_words,
    quoted,
    said,
    signed,
)
from jaxnoise.evidence.report.sentences import enumerated
from jaxnoise.evidence.table import runs_of
from jaxnoise.results import SweepResult, cell_columns

PACKAGES = (
    *("jaxnoise", "jax", "jaxlib", "flax", "optax"),
    *("numpy", "scipy", "pandas", "matplotlib"),
)
MOST_RANGES = 20
UNKNOWN = "–"
MARKS = {
    "better": "▲ ",
    "worse": "▼ ",
    "equivalent": "= ",
    "none": "",
    "no evidence": "",
}


def _known(form: Callable[..., str]) -> Callable[..., str]:
    """The form of a number, for which a dash stands where it is not known."""
    return lambda value, *more: form(value, *more) if np.isfinite(value) else UNKNOWN


def _between(low: str, high: str) -> str:
    return UNKNOWN if UNKNOWN in (low, high) else f"[{low}, {high}]"


FILTERS: dict[str, Callable[..., Any]] = {
    "as_text": lambda value: as_text(value),
    "and": enumerated,
    "between": _between,
    "brief": _known("{:.3g}".format),
    "count": count,
    "difference_decimals": difference_decimals,
    "fixed": _known(fixed),
    "p": _known(lambda p: "< 0.0001" if p < 1e-4 else f"{p:.4f}"),
    "p_words": p_words,
    "said": said,
    "sentence": lambda text: f"{text[0].upper()}{text[1:]}.",
    "share": _known("{:.0%}".format),
    "signed": _known(signed),
}


def names_of(rows: Comparison) -> pd.DataFrame:
    """Placement and strengths of each row as text, under the heads of their columns."""
    cells = {}
    for column in cell_columns(rows):
        head, _, leaf = str(column).partition(".")
        text = f"{head.capitalize()} of {leaf}" if leaf else head.capitalize()
        form = quoted if column == "placement" else number
        cells[text] = [form(v) if v == v else UNKNOWN for v in rows[column]]
    return pd.DataFrame(cells, rows.index)


def provenance(rows: Comparison) -> dict[str, str]:
    """How the runs and the page were made."""
    facts, result = rows.attrs, source_of(rows)
    runs = runs_of(result)
    runs_made = sum(cell.runs for cell in rows.cells)
    made = {
        "Runs": f"{runs_made}, of {len(rows)} placements and strengths",
        "Diverged": f"{int(rows['diverged'].sum())} runs",
    }
    for column in runs.columns.intersection(["seed", "split"]):
        values = runs[column].unique()
        made[f"{column.capitalize()}s"] = f"{len(values)}: {ranges(values)}"
    made["State"] = "from a table, which tells of no time, device or interruption"
    if isinstance(result, SweepResult):
        seconds = result.compile_seconds, result.run_seconds
        made |= {
            "State": "complete" if result.complete else "interrupted",
            "Epochs of curves": _epochs(result.epochs),
            "Time": "{:.1f} s compiling, {:.1f} s running".format(*seconds),
            "Device": result.device,
        }
    return made | {
        "Baseline": str(facts["baseline"]),
        "Unit": facts["unit"],
        "Rope": UNKNOWN if facts["rope"] is None else f"± {facts['rope']:g}",
        "Overlap of splits": as_text(facts["overlap"]),
        "Versions, of this page": ", ".join(_versions()),
    }


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


def _epochs(epochs: np.ndarray) -> str:
    if len(epochs) < 2:
        return ", ".join(map(str, epochs)) or UNKNOWN
    return f"{len(epochs)}: {epochs[0]} to {epochs[-1]}"


def _versions() -> list[str]:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
