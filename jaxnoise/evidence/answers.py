"""What a comparison answers: one sentence by rule, which says no more than verdicts do.

`answer` is what the report asks.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.stats import LEAST_UNITS, MOST_LOST
from jaxnoise.evidence.words import (
    cell_titles,
    count,
    difference_decimals,
    in_words,
    p_words,
    short,
    signed,
)
from jaxnoise.results import cell_columns

SAID = {  # of so many comparisons
    "better": "better",
    "worse": "worse",
    "equivalent": "equivalent",
    "no evidence": "without evidence of a difference",
    "none": "without a verdict",
}


def answer(rows: pd.DataFrame, chosen: Any = None) -> str:
    """One sentence, with its uncertainty.

    Args:
        rows: of `compare`.
        chosen: the `Selection`, if placement and strength were chosen on other rows.
    """
    facts = rows.attrs
    metric, baseline = in_words(facts["metric"]), short(facts["baseline"])
    others = rows[rows["verdict"] != "baseline"]
    if others.empty:
        return f"Nothing can be said about noise: only {baseline} was run."
    titles = pd.Series(cell_titles(rows), rows.index)[others.index]
    if chosen is not None:
        first = f"Chosen on the {chosen.choose_on} rows"
        at = row_of(rows, chosen)
        if at in others.index:
            return f"{first}: {_of_one(others.loc[at], titles[at], facts)}."
        said = f"{baseline} itself, without noise, in {metric}"
        return f"{first}: {said}; {_range(others, facts)}."
    if len(others) == 1:
        said = _of_one(others.iloc[0], titles.iloc[0], facts)
        return f"{re.sub('^there', 'There', said)}."
    return (
        f"Of {len(others)} comparisons with {baseline} in {metric}, "
        f"{_and(_counts(others, facts))}; {_highlight(others, titles, facts)}."
    )


def row_of(rows: pd.DataFrame, chosen: Any) -> Any:
    """The index of the chosen placement and strength among the rows of `compare`."""
    parts = chosen.strength
    parts = parts if isinstance(parts, Mapping) else {"strength": parts}
    same = rows["placement"] == chosen.placement
    for column in cell_columns(rows)[1:]:
        part = parts.get(column.removeprefix("strength."), np.nan)
        same &= (rows[column] == part) | (rows[column].isna() & pd.isna(part))
    return rows.index[same][0]


def _counts(others: pd.DataFrame, facts: dict[str, Any]) -> list[str]:
    """How many comparisons got which verdict."""
    counts = []
    for verdict, said in SAID.items():
        n = int((others["verdict"] == verdict).sum())
        if n:
            every = "all " if n == len(others) else ""
            counts.append(f"{every}{n} {'is' if n == 1 else 'are'} {said}")
    undecided = others[others["verdict"] == "none"]
    few = int((undecided["n"] < LEAST_UNITS).sum())
    reasons = {f"for fewer than {LEAST_UNITS} {facts['unit']}s": few}
    reasons["for pairs lost to divergence"] = len(undecided) - few
    if len(undecided):
        why = _and([f"{n} {reason}" for reason, n in reasons.items() if n])
        counts[-1] += f" ({why})"
    return counts


def _of_one(row: Any, title: str, facts: dict[str, Any]) -> str:
    """What the verdict says of one placement and strength."""
    metric, baseline = in_words(facts["metric"]), short(facts["baseline"])
    verdict = row["verdict"]
    if verdict in ("better", "worse"):
        said = f"{title} is {verdict} than {baseline} in {metric}"
    elif verdict == "equivalent":
        said = (
            f"{title} is equivalent to {baseline} in {metric}, "
            f"within ± {facts['rope']:g}"
        )
    elif verdict == "none":
        said = f"there is no verdict on {title} against {baseline} in {metric}, as "
        said += _why_none(row, facts)
    else:
        said = f"there is no evidence that {title} differs from {baseline} in {metric}"
    return f"{said}; {_numbers(row, facts)}"


def _why_none(row: Any, facts: dict[str, Any]) -> str:
    if row["n"] < LEAST_UNITS:
        there = f"there is {row['n']}" if row["n"] == 1 else f"there are {row['n']}"
        return f"it takes {LEAST_UNITS} {facts['unit']}s and {there}"
    return f"more than {MOST_LOST:.0%} of the pairs were lost to divergence"


def _numbers(row: Any, facts: dict[str, Any]) -> str:
    """The difference with its uncertainty."""
    n = count([row["n"]], facts["unit"])
    if not np.isfinite(row["difference"]):
        return f"no pair is finite ({n})"
    digits = difference_decimals(row)
    if not np.isfinite(row["low"]):
        difference = f"the difference is {signed(row['difference'], digits)}"
        return f"{difference}, without an interval ({n})"
    difference = f"the mean difference is {signed(row['difference'], digits)}"
    low, high = signed(row["low"], digits), signed(row["high"], digits)
    return (
        f"{difference} (95 % interval {low} to {high}, {n}, "
        f"Holm-adjusted p {p_words(row['p_holm'])})"
    )


def _highlight(rows: pd.DataFrame, titles: pd.Series, facts: dict[str, Any]) -> str:
    """The largest gain, else the largest loss, else the range of all."""
    gains = rows["difference"] * (-1 if facts["lower_is_better"] else 1)
    better, worse = (gains[rows["verdict"] == word] for word in ("better", "worse"))
    if len(better):
        at = better.idxmax()
        which = "the largest gain, flattered by being picked from these very rows, is"
    elif len(worse):
        at, which = worse.idxmin(), "the largest loss is"
    else:
        return _range(rows, facts)
    return f"{which} {titles[at]}: {_numbers(rows.loc[at], facts)}"


def _range(rows: pd.DataFrame, facts: dict[str, Any]) -> str:
    """Where the differences and their intervals lie."""
    n = count(rows["n"], facts["unit"])
    known = rows[np.isfinite(rows["difference"])]
    if known.empty:
        return f"no pair is finite ({n})"
    digits = difference_decimals(known)
    ends = [known["difference"].min(), known["difference"].max()]
    low, high = (signed(end, digits) for end in ends)
    if len(known) == 1:
        text = f"the mean difference is {low}"
    else:
        text = f"mean differences lie between {low} and {high}"
    ends = [known["low"].min(), known["high"].max()]
    if not np.isfinite(ends).all():
        return f"{text}, without intervals ({n})"
    low, high = (signed(end, digits) for end in ends)
    return f"{text}, their 95 % intervals between {low} and {high} ({n})"


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
