"""What a comparison answers, and what it cannot say: by rule.

`answer` is a sentence that says no more than the verdicts do; `limits` finds what the
template puts into words, to be read before believing it.
"""

import re
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.compare import (
    LEAST_UNITS,
    MOST_LOST,
    Comparison,
    judgements,
    out_of_reach,
    source_of,
    titled_groups,
)
from jaxnoise.evidence.format import (
    FEW_UNITS,
    cell_titles,
    count,
    decimals,
    difference_decimals,
    in_words,
    p_words,
    said,
    short,
    signed,
)
from jaxnoise.evidence.select import Selection
from jaxnoise.evidence.table import runs_of
from jaxnoise.evidence.units import evidence_of
from jaxnoise.results import SweepResult

STILL = 0.05  # of a curve's whole way; less is no movement
ROUNDING = 1e-6  # of a share of rows

COUNTED = {  # of so many comparisons
    "better": "better",
    "worse": "worse",
    "equivalent": "equivalent",
    "no evidence": "without evidence of a difference",
    "none": "without a verdict",
}


def answer(rows: Comparison, choice: Selection | None = None) -> str:
    """One sentence, with its uncertainty.

    Args:
        rows: of `compare`.
        choice: the `Selection`, if placement and strength were chosen on other rows.
    """
    facts = rows.attrs
    metric, baseline = in_words(facts["metric"]), short(facts["baseline"])
    others = rows[rows["verdict"] != "baseline"]
    if others.empty:
        return f"Nothing can be said about noise: only {baseline} was run."
    titles = pd.Series(cell_titles(rows), rows.index)[others.index]
    if choice is not None:
        first = f"Chosen on the {choice.choose_on} rows"
        for at, cell in zip(others.index, others.cells, strict=True):
            if (cell.placement, cell.strength) == (choice.placement, choice.strength):
                return f"{first}: {_of_one(others.loc[at], titles[at], facts)}."
        itself = f"{baseline} itself, without noise, in {metric}"
        return f"{first}: {itself}; {_range(others, facts)}."
    if len(others) == 1:
        only = _of_one(others.iloc[0], titles.iloc[0], facts)
        return f"{re.sub('^there', 'There', only)}."
    return (
        f"Of {len(others)} comparisons with {baseline} in {metric}, "
        f"{_and(_counts(others, facts))}; {_highlight(others, titles, facts)}."
    )


def _counts(others: Comparison, facts: dict[str, Any]) -> list[str]:
    """How many comparisons got which verdict."""
    counts = []
    for verdict, words in COUNTED.items():
        if n := int((others["verdict"] == verdict).sum()):
            every = "all " if n == len(others) else ""
            counts.append(f"{every}{n} {'is' if n == 1 else 'are'} {words}")
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
    unit, n = facts["unit"], row["n"]
    text = f"{title} is {row['verdict']} than {baseline} in {metric}"
    if row["verdict"] == "equivalent":
        text = f"{title} is equivalent to {baseline} in {metric}, "
        text += f"within ± {facts['rope']:g}"
    elif row["verdict"] == "no evidence":
        text = f"there is no evidence that {title} differs from {baseline} in {metric}"
    elif row["verdict"] == "none":
        why = (
            f"it takes {LEAST_UNITS} {unit}s and there {'is' if n == 1 else 'are'} {n}"
        )
        if n >= LEAST_UNITS:
            why = f"more than {MOST_LOST:.0%} of the pairs were lost to divergence"
        text = (
            f"there is no verdict on {title} against {baseline} in {metric}, as {why}"
        )
    return f"{text}; {_numbers(row, facts)}"


def _numbers(row: Any, facts: dict[str, Any]) -> str:
    """The difference with its uncertainty."""
    n = count([row["n"]], facts["unit"])
    if not np.isfinite(row["difference"]):
        return f"no pair is finite ({n})"
    digits = difference_decimals(row)
    difference, low, high = (
        signed(row[x], digits) for x in ("difference", "low", "high")
    )
    if not np.isfinite(row["low"]):
        return f"the difference is {difference}, without an interval ({n})"
    return (
        f"the mean difference is {difference} (95 % interval {low} to {high}, {n}, "
        f"Holm-adjusted p {p_words(row['p_holm'])})"
    )


def _highlight(rows: Comparison, titles: pd.Series, facts: dict[str, Any]) -> str:
    """The largest gain, else the largest loss, else the range of all."""
    gains = rows.evidence.gain * rows["difference"]
    better, worse = (gains[rows["verdict"] == word] for word in ("better", "worse"))
    if len(better):
        at = better.idxmax()
        which = "the largest gain, flattered by being picked from these very rows, is"
    elif len(worse):
        at, which = worse.idxmin(), "the largest loss is"
    else:
        return _range(rows, facts)
    return f"{which} {titles[at]}: {_numbers(rows.loc[at], facts)}"


def _range(rows: Comparison, facts: dict[str, Any]) -> str:
    """Where the differences and their intervals lie."""
    n = count(rows["n"], facts["unit"])
    known = rows[np.isfinite(rows["difference"])]
    if known.empty:
        return f"no pair is finite ({n})"
    ends = (
        known["difference"].agg(["min", "max"]),
        (known["low"].min(), known["high"].max()),
    )
    digits = difference_decimals(known)
    (low, high), (lowest, highest) = (
        [signed(x, digits) for x in pair] for pair in ends
    )
    text = f"mean differences lie between {low} and {high}"
    if len(known) == 1:
        text = f"the mean difference is {low}"
    if not np.isfinite(ends[1]).all():
        return f"{text}, without intervals ({n})"
    return f"{text}, their 95 % intervals between {lowest} and {highest} ({n})"


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def limits(
    rows: Comparison, score_set: str, name: str, choice: Selection | None
) -> dict[str, Any]:
    """What the page cannot say, as numbers and titles for the template's sentences.

    Args:
        rows: of `compare`.
        score_set: the set of the scores, such as "test"; "" if it has no name.
        name: of the metric without it.
        choice: the `Selection`, if placement and strength were chosen on other rows.
    """
    others = rows[rows["verdict"] != "baseline"]
    titles, lost = pd.Series(cell_titles(rows), rows.index), rows["diverged"] > 0
    unpaired = (others["n"] < rows["n"].max()) & (others["diverged"] == 0)
    found = {
        "few": int((others["n"] < FEW_UNITS).sum()),
        "least": int((others["n"] < LEAST_UNITS).sum()),
        "out_of_reach": out_of_reach(rows),
        "most_frequent": _most_frequent(rows, score_set),
        "unlike": _unlike(rows, score_set, name),
        "moving": _moving(source_of(rows)),
        "lost": [f"{titles[at]}: {rows.at[at, 'diverged']}" for at in rows.index[lost]],
        "unpaired": int(unpaired.sum()),
    }
    if choice is not None:
        spread = choice.high - choice.low, choice.optimism
        found["choice_digits"] = decimals(spread)
        found["barred"] = int((~choice.candidates["candidate"]).sum())
    return found


def _most_frequent(rows: Comparison, score_set: str) -> list[str]:
    """Which placements do no better than to answer one class, run by run."""
    runs = runs_of(source_of(rows)).reset_index(drop=True)
    shares = runs.attrs.get("majority", {}).get(score_set)
    column = f"{score_set}_accuracy"
    if shares is None or column not in runs:
        return []
    same = (runs[column] - np.array(shares)[runs["split"]]).abs() < ROUNDING
    groups = [(t, same[g.index[g["finite"]]]) for t, _, g in titled_groups(runs, rows)]
    return [title for title, each in groups if len(each) > 1 and each.all()]


def _unlike(
    rows: Comparison, score_set: str, name: str
) -> list[tuple[str, str, list[str]]]:
    """Where loss and accuracy of the same rows do not agree on what is better.

    Of both ways: better here, not there, and what with which verdict there.
    """
    measure = "accuracy" if name == "loss" else "loss"
    other, metric = "_".join(filter(None, [score_set, measure])), rows.attrs["metric"]
    if other not in runs_of(source_of(rows)) or other == metric:
        return []
    evidence = evidence_of(rows, other, rope=None, lower_is_better=None)
    verdicts = {
        cell.key: verdict
        for cell, (*_, verdict) in zip(
            evidence.cells, judgements(evidence), strict=True
        )
    }
    found: dict[tuple[str, str], list[str]] = {}
    for title, mine, cell in zip(
        cell_titles(rows), rows["verdict"], rows.cells, strict=True
    ):
        theirs = verdicts[cell.key]
        if mine == "better" != theirs:
            found.setdefault((metric, other), []).append(
                f"{title} ({said(theirs)} there)"
            )
        elif theirs == "better" != mine:
            found.setdefault((other, metric), []).append(
                f"{title} ({said(mine)} there)"
            )
    return [(in_words(a), in_words(b), titles) for (a, b), titles in found.items()]


def _moving(result: Any) -> list[str]:
    """Which placements and strengths had not finished training.

    A mean train loss still moves if its mean over the last tenth of the epochs is
    farther from that over the tenth before than 5 % of the curve's whole way, its
    highest less its lowest value. Curves of fewer than 10 points tell nothing.
    """
    curves = result.curves if isinstance(result, SweepResult) else {}
    losses = curves.get("train_loss", np.empty((0, 0)))
    tenth, moving = losses.shape[1] // 10, []
    if not tenth:
        return []
    for title, _, rows in titled_groups(result.runs.reset_index(drop=True)):
        curve = losses[rows.index][np.isfinite(losses[rows.index]).all(axis=1)]
        curve = curve.mean(axis=0) if len(curve) else np.zeros(losses.shape[1])
        step = curve[-tenth:].mean() - curve[-2 * tenth : -tenth].mean()
        if abs(step) > STILL * np.ptp(curve):
            moving.append(title)
    return moving
