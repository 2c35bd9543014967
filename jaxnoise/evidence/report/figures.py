"""The figures of a report, each with its caption and its numbers in words.

`illustrations` draws those that a result has the data for.
"""

from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxnoise.evidence import plots
from jaxnoise.evidence.compare import Comparison, source_of, titled_groups
from jaxnoise.evidence.format import (
    cell_titles,
    count,
    difference_decimals,
    fixed,
    in_words,
    said,
    score_decimals,
    short,
    signed,
    which_is_better,
)
from jaxnoise.evidence.plots.page import drawn_for_page
from jaxnoise.results import sets_of

MOST_PANELS = 12
MOST_SPOKEN = 24  # rows that a figure's text reads out


class Illustration(NamedTuple):
    """One figure: caption, what it says to who cannot see it, and an SVG or a PNG."""

    caption: str
    alt: str
    kind: str
    markup: str


Sketch = tuple[str, list[str], Callable[[], Any]]  # caption, numbers, and what draws


def illustrations(
    rows: Comparison, name: str, *, best: float | None = None, label: str | None = None
) -> list[Illustration]:
    """The figures of a comparison.

    Args:
        rows: of `compare`.
        name: of the metric without its set, which curves go by.
        best: the best possible value of the metric.
        label: of the metric, with its unit.
    """
    made = []
    few, note = _few(rows)
    sketches = [*_scores(rows, best, label), *_panels(few, note, label)]
    sketches += _curves(few, note, name, best)
    for i, (caption, spoken, draw) in enumerate(sketches):
        kind, markup = drawn_for_page(draw, f"figure-{i + 1}")
        more = len(spoken) - MOST_SPOKEN
        spoken = spoken[:MOST_SPOKEN] + [f"and {more} more"] * (more > 0)
        alt = f"{caption} {'; '.join(spoken)}."
        if kind == "svg":
            head = f'<svg role="img" aria-label="{escape(alt)}"'
            markup = markup.replace("<svg", head, 1)
        made.append(Illustration(caption, alt, kind, markup))
    return made


def _words(rows: Comparison) -> tuple[str, str, str, str]:
    """Baseline, score, units and which way is better, as captions name them."""
    facts = rows.attrs
    units = count((_others(rows) if len(rows) > 1 else rows)["n"], facts["unit"])
    better = which_is_better(facts["lower_is_better"])
    return short(facts["baseline"]), in_words(facts["metric"]), units, better


def _others(rows: Comparison) -> Comparison:
    return rows[rows["verdict"] != "baseline"]


def _scores(
    rows: Comparison, best: float | None, label: str | None
) -> Iterator[Sketch]:
    """Figures of all placements and strengths at once."""
    others, (baseline, score, units, better) = _others(rows), _words(rows)
    which = f"({units}; {better})."
    drawn: Any = {"best": best, "label": label}
    if len(others):
        yield (
            f"Difference to {baseline} in {score}, mean and 95 % interval {which}",
            _say_differences(others),
            partial(plots.forest, rows),
        )
    if _has_strengths(others):
        yield (
            f"{_capital(score)} against the noise's strength {which}",
            _say_scores(rows),
            partial(plots.strength_curve, rows, **drawn),
        )
    for placement in _of_two_strengths(others):
        options: Any = {"value": "difference", "placement": placement, "label": label}
        yield (
            f"Difference to {baseline} in {score} for the two strengths of "
            f"{short(placement)} {which}",
            _say_differences(rows[rows["placement"] == placement]),
            partial(plots.strength_heatmap, rows, **options),
        )
    drawn["baseline"] = rows.attrs["baseline"]
    yield (
        f"{_capital(score)} of every run ({better}).",
        _say_scores(rows),
        partial(plots.score_distribution, rows, **drawn),
    )


def _panels(few: Comparison, note: str, label: str | None) -> Iterator[Sketch]:
    """A panel a placement and strength."""
    baseline, score, units, better = _words(few)
    if len(_others(few)):
        yield (
            f"What becomes of each {few.attrs['unit']} of {baseline} in {score} "
            f"({units}; {better}).{note}",
            _say_wins(few),
            partial(plots.seed_slopes, few, label=label, columns=2),
        )


def _curves(
    few: Comparison, note: str, name: str, best: float | None
) -> Iterator[Sketch]:
    """Against the epoch, where there are curves."""
    result = source_of(few)
    curves = getattr(result, "curves", None) or {}
    names = {metric for _, metric in sets_of(curves)} if curves else set()
    for metric in dict.fromkeys([name, "loss"]):
        if metric in names and len(result.epochs):
            options: Any = {"metric": metric, "best": best if metric == name else None}
            yield (
                f"{_capital(in_words(metric))} against the epoch, mean and one "
                f"standard deviation over runs.{note}",
                _say_last_epoch(few, metric),
                partial(plots.learning_curves, few, columns=2, **options),
            )


def _few(rows: Comparison) -> tuple[Comparison, str]:
    """The baseline and, of many, the best strength of each placement; and a note."""
    if len(rows) <= MOST_PANELS:
        return rows, ""
    gains = (rows.evidence.gain * rows["mean"]).fillna(-np.inf)
    at = gains.groupby(rows["placement"], sort=False).idxmax()
    reference = rows.index[rows["verdict"] == "baseline"]
    kept = sorted({*at.iloc[:MOST_PANELS], *reference})
    note = (
        f" Of {len(rows)} placements and strengths the best of each placement is shown."
    )
    return rows.loc[kept], note


def _of_two_strengths(others: Comparison) -> list[str]:
    """The placements of which two strengths vary, and no more."""
    leaves = [column for column in others if str(column).startswith("strength.")]
    counts = others.groupby("placement", sort=False)[leaves].nunique()
    return list(counts.index[(counts > 1).sum(axis=1) == 2])


def _has_strengths(others: pd.DataFrame) -> bool:
    """Whether any placement has several strengths, as numbers above 0."""
    if "strength" not in others:
        return False
    numbers = pd.to_numeric(others["strength"], "coerce")
    positive = others[numbers > 0]
    return bool((positive["placement"].value_counts() > 1).any())


def _say_differences(rows: pd.DataFrame) -> list[str]:
    """The differences with their intervals and verdicts, but for the baseline."""
    spoken, digits = [], difference_decimals(rows)
    for title, row in zip(cell_titles(rows), rows.itertuples(), strict=True):
        text = "no finite pair"
        if np.isfinite(row.difference):
            text = signed(row.difference, digits)
        if np.isfinite(row.low):
            text += f" ({signed(row.low, digits)} to {signed(row.high, digits)})"
        if row.verdict != "baseline":
            spoken.append(f"{title}: {text}, {said(row.verdict)}")
    return spoken


def _say_scores(rows: pd.DataFrame) -> list[str]:
    spoken, digits = [], score_decimals(rows)
    for title, row in zip(cell_titles(rows), rows.itertuples(), strict=True):
        sd = f" ± {fixed(row.sd, digits)}" if np.isfinite(row.sd) else ""
        known = np.isfinite(row.mean)
        text = f"{fixed(row.mean, digits)}{sd}" if known else "no finite run"
        spoken.append(f"{title}: {text}")
    return spoken


def _say_wins(rows: pd.DataFrame) -> list[str]:
    return [
        f"{title}: better in {row.win_probability:.0%} of {row.n}"
        for title, row in zip(cell_titles(rows), rows.itertuples(), strict=True)
        if np.isfinite(row.win_probability)
    ]


def _say_last_epoch(rows: Comparison, metric: str) -> list[str]:
    """Means at the last epoch, by placement and set."""
    result, spoken = source_of(rows), []
    for title, _, group in titled_groups(result.runs.reset_index(drop=True), rows):
        finite = group.index[group["finite"]].to_numpy()
        ends = [
            f"{name} {result.curves[f'{name}_{found}'][finite, -1].mean():.3g}"
            for name, found in sets_of(result.curves)
            if found == metric and len(finite)
        ]
        spoken.append(f"{title} ends at {', '.join(ends) or 'no finite run'}")
    return spoken


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
