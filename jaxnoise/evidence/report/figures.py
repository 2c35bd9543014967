"""The figures of a report, each with its caption and its numbers in words.

`illustrations` draws those that a result has the data for.
"""

from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxnoise.evidence import format as fmt
from jaxnoise.evidence import plots
from jaxnoise.evidence.compare import Comparison, source_of, titled_groups
from jaxnoise.evidence.plots.page import drawn_for_page
from jaxnoise.results import SweepResult, sets_of

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
    sketches = [*_of_all(rows, best, label), *_of_each(rows, name, best, label)]
    for i, (caption, spoken, draw) in enumerate(sketches):
        kind, markup = drawn_for_page(draw, f"figure-{i + 1}")
        more = len(spoken) - MOST_SPOKEN
        spoken = spoken[:MOST_SPOKEN] + [f"and {more} more"] * (more > 0)
        alt = f"{caption} {'; '.join(spoken)}."
        head = f'<svg role="img" aria-label="{escape(alt)}"'
        made.append(Illustration(caption, alt, kind, markup.replace("<svg", head, 1)))
    return made


def _of_all(
    rows: Comparison, best: float | None, label: str | None
) -> Iterator[Sketch]:
    """Figures of all placements and strengths at once."""
    others, (baseline, score, units, better) = _others(rows), _words(rows)
    difference, which = f"Difference to {baseline} in {score}", f"({units}; {better})."
    scores, above = _spoken(rows, _score), score[:1].upper() + score[1:]
    drawn: Any = {"best": best, "label": label}
    if len(others):
        caption = f"{difference}, mean and 95 % interval {which}"
        yield caption, _spoken(others, _difference), partial(plots.forest, rows)
    if _has_strengths(others):
        caption = f"{above} against the noise's strength {which}"
        yield caption, scores, partial(plots.strength_curve, rows, **drawn)
    for placement in _of_two_strengths(others):
        of = fmt.short(placement)
        caption = f"{difference} for the two strengths of {of} {which}"
        spoken = _spoken(rows[rows["placement"] == placement], _difference)
        options: Any = {"value": "difference", "placement": placement, "label": label}
        yield caption, spoken, partial(plots.strength_heatmap, rows, **options)
    drawn["baseline"] = rows.attrs["baseline"]
    caption = f"{above} of every run ({better})."
    yield caption, scores, partial(plots.score_distribution, rows, **drawn)


def _of_each(
    rows: Comparison, name: str, best: float | None, label: str | None
) -> Iterator[Sketch]:
    """Figures with a panel a placement and strength."""
    few, note = _few(rows)
    baseline, score, units, better = _words(few)
    if len(_others(few)):
        each = f"each {few.attrs['unit']} of {baseline} in {score}"
        caption = f"What becomes of {each} ({units}; {better}).{note}"
        draw = partial(plots.seed_slopes, few, label=label, columns=2)
        yield caption, _spoken(few, _wins), draw
    result = source_of(few)
    if not isinstance(result, SweepResult) or not len(result.epochs):
        return
    drawn = {metric for _, metric in sets_of(result.curves)}
    for metric in dict.fromkeys(m for m in (name, "loss") if m in drawn):
        words = fmt.in_words(metric)
        caption = (
            f"{words[:1].upper() + words[1:]} against the epoch, mean and one standard "
            f"deviation over runs.{note}"
        )
        options: Any = {"metric": metric, "best": best if metric == name else None}
        draw = partial(plots.learning_curves, few, columns=2, **options)
        yield caption, _last_epoch(few, metric), draw


def _others(rows: Comparison) -> Comparison:
    return rows[rows["verdict"] != "baseline"]


def _words(rows: Comparison) -> tuple[str, str, str, str]:
    """Baseline, score, units and which way is better, as captions name them."""
    facts = rows.attrs
    units = fmt.count((_others(rows) if len(rows) > 1 else rows)["n"], facts["unit"])
    better = fmt.which_is_better(facts["lower_is_better"])
    return fmt.short(facts["baseline"]), fmt.in_words(facts["metric"]), units, better


def _few(rows: Comparison) -> tuple[Comparison, str]:
    """The baseline and, of many, the best strength of each placement; and a note."""
    if len(rows) <= MOST_PANELS:
        return rows, ""
    gains = (rows.evidence.gain * rows["mean"]).fillna(-np.inf)
    at = gains.groupby(rows["placement"], sort=False).idxmax()
    reference = rows.index[rows["verdict"] == "baseline"]
    shown = f"Of {len(rows)} placements and strengths the best of each placement is"
    return rows.loc[sorted({*at.iloc[:MOST_PANELS], *reference})], f" {shown} shown."


def _of_two_strengths(others: Comparison) -> list[str]:
    """The placements of which two strengths vary, and no more."""
    leaves = [column for column in others if str(column).startswith("strength.")]
    counts = others.groupby("placement", sort=False)[leaves].nunique()
    return list(counts.index[(counts > 1).sum(axis=1) == 2])


def _has_strengths(others: pd.DataFrame) -> bool:
    """Whether any placement has several strengths, as numbers above 0."""
    if "strength" not in others:
        return False
    positive = pd.to_numeric(others["strength"], "coerce") > 0
    return bool(others["placement"][positive].duplicated().any())


def _spoken(
    rows: pd.DataFrame, say: Callable[[pd.DataFrame], Iterator[str]]
) -> list[str]:
    """What is to be said of each row, after its title; of some nothing is."""
    pairs = zip(fmt.cell_titles(rows), say(rows), strict=True)
    return [f"{title}: {text}" for title, text in pairs if text]


def _difference(rows: pd.DataFrame) -> Iterator[str]:
    """The differences with their intervals and verdicts."""
    digits = fmt.difference_decimals(rows)
    for row in rows.itertuples():
        mean, low, high = (
            fmt.signed(value, digits) for value in (row.difference, row.low, row.high)
        )
        known = mean if np.isfinite(row.difference) else "no finite pair"
        interval = f" ({low} to {high})" if np.isfinite(row.low) else ""
        yield f"{known}{interval}, {fmt.said(row.verdict)}"


def _score(rows: pd.DataFrame) -> Iterator[str]:
    digits = fmt.score_decimals(rows)
    for mean, sd in zip(rows["mean"], rows["sd"], strict=True):
        known = fmt.fixed(mean, digits) if np.isfinite(mean) else "no finite run"
        yield known + (f" ± {fmt.fixed(sd, digits)}" if np.isfinite(sd) else "")


def _wins(rows: pd.DataFrame) -> Iterator[str]:
    for share, n in zip(rows["win_probability"], rows["n"], strict=True):
        yield f"better in {share:.0%} of {n}" if np.isfinite(share) else ""


def _last_epoch(rows: Comparison, metric: str) -> list[str]:
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
