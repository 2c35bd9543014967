"""The tables of a report, as text: what was found, and how it was made."""

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxnoise.evidence.compare import (
    ALPHA,
    LEAST_UNITS,
    MOST_LOST,
    Comparison,
    source_of,
)
from jaxnoise.evidence.format import (
    decimals,
    difference_decimals,
    fixed,
    in_words,
    number,
    quoted,
    said,
    short,
    signed,
    which_is_better,
)
from jaxnoise.evidence.table import runs_of
from jaxnoise.results import SweepResult, cell_columns

PACKAGES = (
    *("jaxnoise", "jax", "jaxlib", "flax", "optax"),
    *("numpy", "scipy", "pandas", "matplotlib"),
)
MOST_RANGES = 20
UNKNOWN = "–"
MARKS = {"better": "▲ ", "worse": "▼ ", "equivalent": "= "}


class Head(NamedTuple):
    """A column's name, and whether it holds numbers."""

    text: str
    number: bool = True


class Sheet(NamedTuple):
    """A table: its caption, its columns, and rows of text."""

    caption: str
    heads: list[Head]
    rows: list[list[str]]


def comparison_tables(rows: pd.DataFrame) -> list[Sheet]:
    """What `compare` says of differences, and of the scores themselves."""
    facts = rows.attrs
    metric, baseline = in_words(facts["metric"]), facts["baseline"]
    others = rows[rows["verdict"] != "baseline"]
    tables = []
    if len(others):
        caption = f"Differences to {baseline} in {metric}"
        tables.append(_table(caption, others, _difference_columns(others)))
    caption = f"Scores: {metric} ({which_is_better(facts['lower_is_better'])})"
    return [*tables, _table(caption, rows, _score_columns(rows))]


def explanation(rows: pd.DataFrame) -> str:
    """What the columns are."""
    facts = rows.attrs
    overlap, rope = facts["overlap"], facts["rope"]
    interval = "Student's t-interval of the mean difference"
    test = "the sign-flip test's"
    if overlap:
        interval += f", corrected for an overlap of {overlap:g} (Nadeau and Bengio)"
        test = "the corrected t-test's"
    region = "" if rope is None else f" (± {rope:g})"
    unit, baseline = facts["unit"], facts["baseline"]
    return (
        f"n: {unit}s, each of which is an independent unit. 95 % interval: "
        f"{interval}; bootstrap: BCa. Wins: share of {unit}s that are better than "
        f"{baseline}, ties half, with Wilson's interval. p: {test}; Holm: adjusted for "
        "all comparisons of the table. IQM: mean of the middle half. Verdict, the "
        f"first that holds: no verdict (fewer than {LEAST_UNITS} units, or more than "
        f"{MOST_LOST:.0%} of the pairs lost to divergence), equivalent (interval "
        f"inside the rope{region}), better or worse (Holm's p < {ALPHA:g} and the "
        f"interval excludes 0), no evidence. {UNKNOWN}: not known."
    )


def _difference_columns(rows: pd.DataFrame) -> dict[str, list[str]]:
    form = partial(signed, digits=difference_decimals(rows))

    def interval(low: str, high: str) -> list[str]:
        ends = zip(rows[low], rows[high], strict=True)
        return [_interval(*pair, form) for pair in ends]

    wins = zip(rows["win_probability"], rows["win_low"], rows["win_high"], strict=True)
    return {
        "Verdict": [f"{MARKS.get(v, '')}{said(v)}" for v in rows["verdict"]],
        "Difference": [_known(d, form) for d in rows["difference"]],
        "95 % interval": interval("low", "high"),
        "n": [str(n) for n in rows["n"]],
        "p, Holm": [_known(p, _p) for p in rows["p_holm"]],
        "p": [_known(p, _p) for p in rows["p"]],
        "Bootstrap": interval("boot_low", "boot_high"),
        "Wins": [
            UNKNOWN
            if not np.isfinite(share)
            else f"{share:.0%} {_interval(low, high, '{:.0%}'.format)}"
            for share, low, high in wins
        ],
    }


def _score_columns(rows: pd.DataFrame) -> dict[str, list[str]]:
    digits = decimals(rows["sd"], 3)
    if not (rows["sd"] > 0).any():
        digits = decimals(rows["mean"], 4)
    names = {"Mean": "mean", "SD": "sd", "Median": "median", "IQM": "iqm"}
    return (
        {"n": [str(n) for n in rows["n"]]}
        | {
            head: [_known(x, partial(fixed, digits=digits)) for x in rows[name]]
            for head, name in names.items()
        }
        | {"Diverged": [str(n) for n in rows["diverged"]]}
    )


def _table(caption: str, rows: pd.DataFrame, columns: dict[str, list[str]]) -> Sheet:
    cells = {}
    for column in cell_columns(rows):
        head, _, leaf = str(column).partition(".")
        text = f"{head.capitalize()} of {leaf}" if leaf else head.capitalize()
        form = quoted if column == "placement" else number
        cells[text] = [form(v) if v == v else UNKNOWN for v in rows[column]]
    heads = [Head(text, number=i > 0) for i, text in enumerate(cells)]
    heads += [Head(text, number=text != "Verdict") for text in columns]
    filled = [*cells.values(), *columns.values()]
    return Sheet(caption, heads, [list(row) for row in zip(*filled, strict=True)])


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def _known(value: float, form: Any) -> str:
    return form(value) if np.isfinite(value) else UNKNOWN


def _interval(low: float, high: float, form: Any) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return UNKNOWN
    return f"[{form(low)}, {form(high)}]"


def rows_used(rows: Comparison, score_set: str, chosen: Any) -> str:
    """Which rows the answer is from."""
    facts = rows.attrs
    rows_of = f"the {score_set} rows" if score_set else f"column {facts['metric']}"
    text = (
        f"Used: {rows_of}, {_counted(rows)}, "
        f"paired with {short(facts['baseline'])}; the unit is the {facts['unit']}."
    )
    if chosen is not None:
        text += f" Chosen on the {chosen.choose_on} rows, which the answer leaves out."
    return text


def _counted(rows: Comparison) -> str:
    runs = sum(cell.runs for cell in rows.cells)
    return f"{runs} runs of {len(rows)} placements and strengths"


def provenance(rows: Comparison) -> Sheet:
    """How the runs and the page were made."""
    facts, result = rows.attrs, source_of(rows)
    runs = runs_of(result)
    made = {
        "Runs": _counted(rows).replace(" runs of", ", of"),
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
        "Overlap of splits": as_text(facts["overlap"]),
        "Versions, of this page": ", ".join(_versions()),
    }
    return Sheet("The runs", [], [[name, value] for name, value in made.items()])


def configuration(config: Mapping[str, Any] | None) -> list[Sheet]:
    """The user's own names and values."""
    if not config:
        return []
    rows = [[str(name), as_text(value)] for name, value in config.items()]
    return [Sheet("Configuration", [], rows)]


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
