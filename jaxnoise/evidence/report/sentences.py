"""What a comparison answers, and what it cannot say: sentences by rule.

`answer` says no more than the verdicts do; `limits` is to be read before believing it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.compare import (
    LEAST_UNITS,
    MOST_LOST,
    Comparison,
    evidence_of,
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
    fixed,
    in_words,
    p_words,
    said,
    short,
    signed,
)
from jaxnoise.evidence.table import OUTER, runs_of
from jaxnoise.results import SweepResult, cell_columns

MOST_NAMED = 12  # placements and strengths in a sentence
STILL = 0.05  # of a curve's whole way; less is no movement
ROUNDING = 1e-6  # of a share of rows

INTERRUPTED = (
    "The sweep was interrupted: only the runs that had finished are here, and "
    "placements may lack seeds."
)
COUNTED = {  # of so many comparisons
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
        itself = f"{baseline} itself, without noise, in {metric}"
        return f"{first}: {itself}; {_range(others, facts)}."
    if len(others) == 1:
        only = _of_one(others.iloc[0], titles.iloc[0], facts)
        return f"{re.sub('^there', 'There', only)}."
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
    for verdict, words in COUNTED.items():
        n = int((others["verdict"] == verdict).sum())
        if n:
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
    verdict = row["verdict"]
    if verdict in ("better", "worse"):
        text = f"{title} is {verdict} than {baseline} in {metric}"
    elif verdict == "equivalent":
        text = f"{title} is equivalent to {baseline} in {metric}, "
        text += f"within ± {facts['rope']:g}"
    elif verdict == "none":
        text = f"there is no verdict on {title} against {baseline} in {metric}, as "
        text += _why_none(row, facts)
    else:
        text = f"there is no evidence that {title} differs from {baseline} in {metric}"
    return f"{text}; {_numbers(row, facts)}"


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


def limits(rows: Comparison, score_set: str, name: str, chosen: Any) -> list[str]:
    """What the page cannot say, a sentence or two each.

    Args:
        rows: of `compare`.
        score_set: the set of the scores, such as "test"; "" if it has no name.
        name: of the metric without it.
        chosen: the `Selection`, if placement and strength were chosen on other rows.
    """
    facts, result = rows.attrs, source_of(rows)
    others = rows[rows["verdict"] != "baseline"]
    found = [
        "" if getattr(result, "complete", True) else INTERRUPTED,
        *map(_sentence, rows.doubts),
        _few(others, facts),
        _sentence(out_of_reach(rows)),
        _most_frequent(rows, score_set),
        *_other_measure(rows, score_set, name),
        _moving(result),
        _chosen_here(others, score_set)
        if chosen is None
        else _optimism(chosen, others),
        _diverged(rows),
        _unpaired(rows, others, facts),
        _set(score_set),
        _data(facts),
        _no_evidence(others, facts),
        "Only the placements and strengths of the table were tried, on one model and "
        "one way of training. Others may do better or worse.",
    ]
    return [sentence for sentence in found if sentence]


def _most_frequent(rows: Comparison, score_set: str) -> str:
    """Which placements do no better than to answer one class, run by run."""
    runs = runs_of(source_of(rows)).reset_index(drop=True)
    shares = runs.attrs.get("majority", {}).get(score_set)
    metric = rows.attrs["metric"]
    column = metric if "acc" in metric else f"{score_set}_accuracy"
    if shares is None or column not in runs:
        return ""
    same = (runs[column] - np.array(shares)[runs["split"]]).abs() < ROUNDING
    groups = [(t, same[g.index[g["finite"]]]) for t, _, g in titled_groups(runs, rows)]
    found = [title for title, each in groups if len(each) > 1 and each.all()]
    if not found:
        return ""
    return (
        f"In all runs of {_listed(found)} {in_words(column)} is exactly the share of "
        f"the most frequent class ({np.mean(shares):.1%} of the rows), as if it were "
        "the answer to every row."
    )


def _other_measure(rows: Comparison, score_set: str, name: str) -> list[str]:
    """Where loss and score of the same rows do not agree on what is better."""
    measure = "accuracy" if name == "loss" else "loss"
    other = "_".join(filter(None, [score_set, measure]))
    if other not in runs_of(source_of(rows)) or other == rows.attrs["metric"]:
        return []
    found = evidence_of(rows, other, rope=None, lower_is_better=None)
    theirs = dict(
        zip((cell.key for cell in found.cells.cells), judgements(found), strict=True)
    )
    verdicts = [
        (title, mine, theirs[cell.key].verdict)
        for title, mine, cell in zip(
            cell_titles(rows), rows["verdict"], rows.cells, strict=True
        )
    ]
    here, there = in_words(rows.attrs["metric"]), in_words(other)
    sides = (
        (here, there, [(t, v) for t, mine, v in verdicts if mine == "better" != v]),
        (there, here, [(t, mine) for t, mine, v in verdicts if v == "better" != mine]),
    )
    return [
        f"Better in {one} and not in {two}: "
        f"{_listed([f'{title} ({said(v)} there)' for title, v in found])}."
        for one, two, found in sides
        if found
    ]


def _few(others: pd.DataFrame, facts: dict[str, Any]) -> str:
    unit = facts["unit"]
    least = int((others["n"] < LEAST_UNITS).sum())
    few = int((others["n"] < FEW_UNITS).sum())
    if not few:
        return ""
    which = f"{few} of {len(others)} comparisons"
    text = f"Too few {unit}s: {which}, of fewer than {FEW_UNITS}"
    if least:
        text += f" ({least} of fewer than {LEAST_UNITS}, without a verdict)"
    return f"{text}. Below {FEW_UNITS}, intervals are a guide."


def _chosen_here(others: pd.DataFrame, score_set: str) -> str:
    if len(others) < 2:
        return ""
    return (
        f"The {len(others)} comparisons are made on the {_rows(score_set)} that would "
        "also choose among them, and none were kept for choosing. Holm's procedure "
        "guards the verdicts, but the size of the best one's gain is flattered. An "
        "honest size needs a validation set to choose on, or fresh seeds and data for "
        "the one that is chosen."
    )


def _optimism(chosen: Any, others: pd.DataFrame) -> str:
    if others.empty:
        return ""
    barred = int((~chosen.candidates["candidate"]).sum())
    text = ""
    if barred:
        text = (
            f" Of the {len(chosen.candidates)} placements and strengths {barred} could "
            "not be chosen, as too many of their runs diverged or have no score."
        )
    digits = decimals([chosen.high - chosen.low, chosen.optimism], 3)
    claimed, score = fixed(chosen.claimed, digits), fixed(chosen.score, digits)
    optimism, test = signed(chosen.optimism, digits), chosen.report_on
    return (
        f"The choice was made on the {chosen.choose_on} rows, and its score on the "
        f"{test} rows is {score}. Choosing on the {test} rows would have claimed "
        f"{claimed}: an optimism of {optimism}. The table's other rows are no choices: "
        f"picked by their {test} scores, they would flatter.{text}"
    )


def _diverged(rows: pd.DataFrame) -> str:
    lost = rows[rows["diverged"] > 0]
    if lost.empty:
        return ""
    titles = pd.Series(cell_titles(rows), rows.index)[lost.index]
    each = [f"{title}: {n}" for title, n in zip(titles, lost["diverged"], strict=True)]
    return (
        f"{int(lost['diverged'].sum())} runs diverged and are left out of all other "
        f"numbers, which hold for runs that do not diverge ({_listed(each)})."
    )


def _moving(result: Any) -> str:
    """Which placements and strengths had not finished training.

    A mean train loss still moves if its mean over the last tenth of the epochs is
    farther from that over the tenth before than 5 % of the curve's whole way, its
    highest less its lowest value. Curves of fewer than 10 points tell nothing.
    """
    curves = result.curves if isinstance(result, SweepResult) else {}
    losses = curves.get("train_loss", np.empty((0, 0)))
    if losses.shape[1] < 10:
        return ""
    tenth, moving = losses.shape[1] // 10, []
    for title, _, rows in titled_groups(result.runs.reset_index(drop=True)):
        curve = losses[rows.index][np.isfinite(losses[rows.index]).all(axis=1)]
        curve = curve.mean(axis=0) if len(curve) else np.zeros(losses.shape[1])
        step = curve[-tenth:].mean() - curve[-2 * tenth : -tenth].mean()
        if abs(step) > STILL * np.ptp(curve):
            moving.append(title)
    if not moving:
        return ""
    return (
        f"Training curves of {_listed(moving)} still move at the last epoch (the mean "
        f"train loss by more than {STILL:.0%} of its whole way over the last tenth): "
        "with more epochs the answer may turn."
    )


def _listed(names: Sequence[str]) -> str:
    more = "; …" if len(names) > MOST_NAMED else ""
    return "; ".join(names[:MOST_NAMED]) + more


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _unpaired(rows: pd.DataFrame, others: pd.DataFrame, facts: dict[str, Any]) -> str:
    most = rows["n"].max()
    missing = int(((others["n"] < most) & (others["diverged"] == 0)).sum())
    if not missing:
        return ""
    have = "comparison has" if missing == 1 else "comparisons have"
    return (
        f"{missing} {have} fewer {facts['unit']}s than others, as a run of some pairs "
        "is missing. What there is was compared."
    )


def _set(score_set: str) -> str:
    if score_set == "train":
        return (
            "The scores are of the train rows: they show how well those were learned "
            "by heart, not how the model does on new ones."
        )
    return ""


def _data(facts: dict[str, Any]) -> str:
    if facts["unit"] not in ("split", OUTER):
        return (
            "All runs share one data set and one division of it. Intervals cover the "
            "luck of the seeds, not that of the data: another draw may answer "
            "differently."
        )
    if not facts["overlap"]:
        return (
            "The splits are taken as independent draws. Folds of one data set share "
            "train rows, for which these intervals are too narrow; overlap corrects "
            "that."
        )
    return (
        "The splits are resampled from one data set: the intervals are corrected for "
        "their overlap, and hold for this data set alone."
    )


def _no_evidence(others: pd.DataFrame, facts: dict[str, Any]) -> str:
    if not (others["verdict"] == "no evidence").any():
        return ""
    text = "No evidence of a difference is not evidence that there is none"
    if facts["rope"] is None:
        return f"{text}: that takes a range of differences that do not matter, a rope."
    return f"{text}: where no difference matters within the rope, it says equivalent."


def _rows(score_set: str) -> str:
    return f"{score_set} rows" if score_set else "rows"
