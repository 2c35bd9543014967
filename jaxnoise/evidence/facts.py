"""How a result was made: rows, seeds, splits, device, time, versions."""

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd

from jaxnoise.evidence.tables import UNKNOWN, Page
from jaxnoise.evidence.words import Table, short
from jaxnoise.results import SweepResult, cell_columns

PACKAGES = (
    *("jaxnoise", "jax", "jaxlib", "flax", "optax"),
    *("numpy", "scipy", "pandas", "matplotlib"),
)
MOST_RANGES = 20


def rows_used(
    runs: pd.DataFrame, rows: pd.DataFrame, score_set: str, chosen: Any
) -> str:
    """Which rows the answer is from."""
    facts = rows.attrs
    cells = len(runs.drop_duplicates(cell_columns(runs)))
    rows_of = f"the {score_set} rows" if score_set else f"column {facts['metric']}"
    text = (
        f"Used: {rows_of}, {len(runs)} runs of {cells} placements and strengths, "
        f"paired with {short(facts['baseline'])}; the unit is the {facts['unit']}."
    )
    if chosen is not None:
        text += f" Chosen on the {chosen.choose_on} rows, which the answer leaves out."
    return text


def provenance(result: Table, rows: pd.DataFrame) -> Page:
    """How the runs and the page were made."""
    facts = rows.attrs
    runs = result.runs if isinstance(result, SweepResult) else result
    cells = runs.drop_duplicates(cell_columns(runs))
    made = {
        "Runs": f"{len(runs)}, of {len(cells)} placements and strengths",
        "Diverged": f"{int(rows['diverged'].sum())} runs",
    }
    for column in ("seed", "split"):
        if column in runs:
            values = list(runs[column].unique())
            made[f"{column.capitalize()}s"] = f"{len(values)}: {ranges(values)}"
    if isinstance(result, SweepResult):
        seconds = result.compile_seconds, result.run_seconds
        made |= {
            "State": "complete" if result.complete else "interrupted",
            "Epochs of curves": _epochs(result),
            "Time": "{:.1f} s compiling, {:.1f} s running".format(*seconds),
            "Device": result.device,
        }
    else:
        made["State"] = "from a table, which tells of no time, device or interruption"
    made |= {
        "Baseline": str(facts["baseline"]),
        "Unit": facts["unit"],
        "Rope": UNKNOWN if facts["rope"] is None else f"± {facts['rope']:g}",
        "Overlap of splits": shown(facts["overlap"]),
        "Versions, of this page": ", ".join(_versions()),
    }
    return Page("The runs", [], [[name, value] for name, value in made.items()])


def configuration(config: Mapping[str, Any] | None) -> list[Page]:
    """The user's own names and values."""
    if not config:
        return []
    rows = [[str(name), shown(value)] for name, value in config.items()]
    return [Page("Configuration", [], rows)]


def shown(value: Any) -> str:
    """A value of a configuration as text; what is undefined is a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNKNOWN
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {shown(each)}" for name, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return ", ".join(map(shown, value))
    return str(value)


def ranges(values: Iterable[Any]) -> str:
    """Whole numbers as ranges, such as 0–29, 40; anything else as it is."""
    values = list(values)
    try:
        whole = sorted(int(value) for value in values)
        if any(int(value) != value for value in values):
            raise ValueError
    except (TypeError, ValueError):
        parts = [str(value) for value in values]
        return ", ".join(parts[:MOST_RANGES]) + (", …" if len(parts) > 20 else "")
    runs: list[list[int]] = []
    for value in whole:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    parts = [f"{a}" if a == b else f"{a}–{b}" for a, b in runs]
    return ", ".join(parts[:MOST_RANGES]) + (", …" if len(parts) > MOST_RANGES else "")


def _epochs(result: SweepResult) -> str:
    if not len(result.epochs):
        return UNKNOWN
    first, last = int(result.epochs[0]), int(result.epochs[-1])
    return f"{len(result.epochs)}: {first} to {last}" if first != last else f"{last}"


def _versions() -> list[str]:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
