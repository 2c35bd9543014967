"""What a comparison answers, and what it cannot say: by rule.

`answer` and `limits` find what the templates put into words: a sentence that says no
more than the verdicts do, and what is to be read before believing it.
"""

from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.compare import (
    Comparison,
    out_of_reach,
    skewed,
    source_of,
    titled_groups,
)
from jaxnoise.evidence.format import cell_titles, in_words, said
from jaxnoise.evidence.judge import judgements
from jaxnoise.evidence.select import Selection
from jaxnoise.evidence.table import runs_of
from jaxnoise.evidence.units import evidence_of, fewest_units
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


def answer(rows: Comparison, choice: Selection | None = None) -> dict[str, Any]:
    """What the template's one sentence of the answer is about.

    Args:
        rows: of `compare`.
        choice: the `Selection`, if placement and strength were chosen on other rows.
    """
    others = rows[rows["verdict"] != "baseline"]
    chosen = choice and (choice.placement, choice.strength)
    names = [(cell.placement, cell.strength) for cell in others.cells]
    gains = rows.evidence.gain * others["difference"]
    better, worse = (gains[others["verdict"] == word] for word in ("better", "worse"))
    return {
        "others": others,
        "titles": pd.Series(cell_titles(rows), rows.index),
        "known": others[np.isfinite(others["difference"])],
        "picked": others.index[names.index(chosen)] if chosen in names else None,
        "best": better.idxmax() if len(better) else None,
        "worst": worse.idxmin() if len(worse) else None,
        "counts": _counts(others),
    }


def _counts(others: Comparison) -> list[str]:
    """How many comparisons got which verdict."""
    counts = []
    for verdict, words in COUNTED.items():
        if n := int((others["verdict"] == verdict).sum()):
            every = "all " if n == len(others) else ""
            counts.append(f"{every}{n} {'is' if n == 1 else 'are'} {words}")
    undecided = others[others["verdict"] == "none"]
    facts = others.attrs
    least = fewest_units(facts["overlap"])
    few = int((undecided["n"] < least).sum())
    reasons = {f"for fewer than {least} {facts['unit']}s": few}
    reasons["for lost pairs"] = len(undecided) - few
    if len(undecided):
        why = enumerated([f"{n} {reason}" for reason, n in reasons.items() if n])
        counts[-1] += f" ({why})"
    return counts


def enumerated(parts: list[str]) -> str:
    """Parts of a sentence, the last after "and"."""
    return " and ".join([*filter(None, [", ".join(parts[:-1])]), parts[-1]])


def limits(rows: Comparison, score_set: str, name: str) -> dict[str, Any]:
    """What the page cannot say, as titles for the template's sentences.

    Args:
        rows: of `compare`.
        score_set: the set of the scores, such as "test"; "" if it has no name.
        name: of the metric without it.
    """
    diverged = zip(cell_titles(rows), rows["diverged"], strict=True)
    return {
        "lost": [f"{title}: {count}" for title, count in diverged if count],
        "out_of_reach": out_of_reach(rows),
        "skewed": skewed(rows),
        "most_frequent": _most_frequent(rows, score_set),
        "unlike": _unlike(rows, score_set, name),
        "moving": _moving(source_of(rows)),
        "still": STILL,
    }


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
    keys, found = [cell.key for cell in evidence.cells], judgements([evidence])
    verdicts = {key: each.verdict for key, each in zip(keys, found, strict=True)}
    mine, theirs = list(rows["verdict"]), [verdicts[cell.key] for cell in rows.cells]
    unlike = []
    for here, there, *sides in (
        (metric, other, mine, theirs),
        (other, metric, theirs, mine),
    ):
        both = zip(cell_titles(rows), *sides, strict=True)
        titles = [f"{t} ({said(b)} there)" for t, a, b in both if a == "better" != b]
        if titles:
            unlike.append((in_words(here), in_words(there), titles))
    return unlike


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
