"""What a comparison cannot say: sentences by rule, to be read before believing it.

`limits` is what the report asks.
"""

from typing import Any

import pandas as pd

from jaxnoise.evidence.stats import ALPHA, FEW_UNITS, LEAST_UNITS, least_units
from jaxnoise.evidence.words import cell_titles, decimals, fixed, signed


def limits(
    rows: pd.DataFrame,
    *,
    score_set: str,
    splits: int,
    complete: bool = True,
    chosen: Any = None,
) -> list[str]:
    """What the page cannot say, a sentence or two each.

    Args:
        rows: of `compare`.
        score_set: the set of the scores, such as "test"; "" if it has no name.
        splits: how many there are.
        complete: False if the sweep was interrupted.
        chosen: the `Selection`, if placement and strength were chosen on other rows.
    """
    facts = rows.attrs
    others = rows[rows["verdict"] != "baseline"]
    found = [
        _interrupted(complete),
        _few(others, facts),
        _out_of_reach(others, facts),
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


def _out_of_reach(others: pd.DataFrame, facts: dict[str, Any]) -> str:
    """Whether the comparisons are too many for their units."""
    m, n = int(others["p"].notna().sum()), others["n"]
    enough = least_units(max(m, 1))
    stuck = n[(n >= LEAST_UNITS) & (n < enough)]
    if facts["overlap"] or stuck.empty or (others["p_holm"] < ALPHA).any():
        return ""
    return (
        f"With {m} comparisons of {int(stuck.min())} {facts['unit']}s no verdict of "
        f"better or worse is possible, however large the difference: it takes {enough}."
    )


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
    shown = "; ".join(each[:12]) + ("; …" if len(each) > 12 else "")
    return (
        f"{int(lost['diverged'].sum())} runs diverged and are left out of all other "
        f"numbers, which hold for runs that do not diverge ({shown})."
    )


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
