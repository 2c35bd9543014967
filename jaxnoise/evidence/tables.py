"""The tables of a report, as text.

`comparison_tables` is what the report asks.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxnoise.evidence.comparison import said
from jaxnoise.evidence.stats import ALPHA, LEAST_UNITS, MOST_LOST
from jaxnoise.evidence.words import (
    decimals,
    difference_decimals,
    direction,
    fixed,
    in_words,
    number,
    quoted,
    signed,
)
from jaxnoise.results import cell_columns

UNKNOWN = "–"
SIGNS = {"better": "▲ ", "worse": "▼ ", "equivalent": "= "}


class Head(NamedTuple):
    """A column's name, and whether it holds numbers."""

    text: str
    number: bool = True


class Page(NamedTuple):
    """A table: its caption, its columns, and rows of text."""

    caption: str
    heads: list[Head]
    rows: list[list[str]]


def comparison_tables(rows: pd.DataFrame) -> list[Page]:
    """What `compare` says of differences, and of the scores themselves."""
    facts = rows.attrs
    metric, baseline = in_words(facts["metric"]), facts["baseline"]
    others = rows[rows["verdict"] != "baseline"]
    tables = []
    if len(others):
        caption = f"Differences to {baseline} in {metric}"
        tables.append(_table(caption, others, _difference_columns(others)))
    caption = f"Scores: {metric} ({direction(facts['lower_is_better'])})"
    return [*tables, _table(caption, rows, _score_columns(rows))]


def legend(rows: pd.DataFrame) -> str:
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
        "Verdict": [f"{SIGNS.get(v, '')}{said(v)}" for v in rows["verdict"]],
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


def _table(caption: str, rows: pd.DataFrame, columns: dict[str, list[str]]) -> Page:
    cells = {}
    for column in cell_columns(rows):
        head, _, leaf = str(column).partition(".")
        text = f"{head.capitalize()} of {leaf}" if leaf else head.capitalize()
        form = quoted if column == "placement" else number
        cells[text] = [form(v) if v == v else UNKNOWN for v in rows[column]]
    heads = [Head(text, number=i > 0) for i, text in enumerate(cells)]
    heads += [Head(text, number=text != "Verdict") for text in columns]
    filled = [*cells.values(), *columns.values()]
    return Page(caption, heads, [list(row) for row in zip(*filled, strict=True)])


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def _known(value: float, form: Any) -> str:
    return form(value) if np.isfinite(value) else UNKNOWN


def _interval(low: float, high: float, form: Any) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return UNKNOWN
    return f"[{form(low)}, {form(high)}]"
