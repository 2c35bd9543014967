"""What a comparison cannot say: sentences by rule, to be read before believing it.

`limits` is what the report asks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.stats import FEW_UNITS, LEAST_UNITS, out_of_reach
from jaxnoise.evidence.words import Table, cell_titles, decimals, fixed, signed
from jaxnoise.results import SweepResult, cell_columns

MOST_NAMED = 12  # placements and strengths in a sentence
STILL = 0.05  # of a curve's whole way; less is no movement


def limits(
    rows: pd.DataFrame,
    *,
    score_set: str,
    splits: int,
    complete: bool = True,
    chosen: Any = None,
    moving: Sequence[str] = (),
) -> list[str]:
    """What the page cannot say, a sentence or two each.

    Args:
        rows: of `compare`.
        score_set: the set of the scores, such as "test"; "" if it has no name.
        splits: how many there are.
        complete: False if the sweep was interrupted.
        chosen: the `Selection`, if placement and strength were chosen on other rows.
        moving: what `still_moving` finds.
    """
    facts = rows.attrs
    others = rows[rows["verdict"] != "baseline"]
    found = [
        _interrupted(complete),
        _few(others, facts),
        _sentence(out_of_reach(rows)),
        _moving(moving),
        _chosen_here(others, score_set)
        if chosen is None
        else _optimism(chosen, others),
        _diverged(rows),
        _unpaired(rows, others, facts),
        _set(score_set),
        _data(splits, facts),
        _no_evidence(others, facts),
        "Only the placements and strengths of the table were tried, on one model and "
        "one way of training. Others may do better or worse.",
    ]
    return [sentence for sentence in found if sentence]


def _interrupted(complete: bool) -> str:
    if complete:
        return ""
    return (
        "The sweep was interrupted: only the runs that had finished are here, and "
        "placements may lack seeds."
    )


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


def still_moving(result: Table) -> list[str]:
    """The placements and strengths that had not finished training, by their titles.

    A mean train loss still moves if its mean over the last tenth of the epochs is
    farther from that over the tenth before than 5 % of the curve's whole way, its
    highest less its lowest value. Curves of fewer than 10 points tell nothing.
    """
    losses = (
        result.curves.get("train_loss") if isinstance(result, SweepResult) else None
    )
    if losses is None or losses.shape[1] < 10:
        return []
    tenth = losses.shape[1] // 10
    cells = result.runs.groupby(cell_columns(result.runs), sort=False, dropna=False)
    moving = []
    for title, rows in zip(
        cell_titles(result.runs), cells.indices.values(), strict=True
    ):
        curve = losses[rows][np.isfinite(losses[rows]).all(axis=1)]
        if not len(curve):
            continue
        curve = curve.mean(axis=0)
        step = curve[-tenth:].mean() - curve[-2 * tenth : -tenth].mean()
        if abs(step) > STILL * np.ptp(curve):
            moving.append(title)
    return moving


def _moving(titles: Sequence[str]) -> str:
    if not titles:
        return ""
    return (
        f"Training curves of {_listed(titles)} still move at the last epoch (the mean "
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


def _data(splits: int, facts: dict[str, Any]) -> str:
    if splits < 2:
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
