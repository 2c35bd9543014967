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
from jaxnoise.results import SweepResult, sets_of

MOST_PANELS = 12
MOST_SPOKEN = 24  # rows that a figure's text reads out


class Illustration(NamedTuple):
    """One figure: caption, what it says to who cannot see it, and an SVG or a PNG."""

    caption: str
    alt: str
    kind: str
    markup: str


class Sketch(NamedTuple):
    """A figure that is still to be drawn."""

    caption: str
    spoken: list[str]
    draw: Callable[[], Any]


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
    sketches = [
        *_differences(rows),
        *_scores(rows, best, label),
        *_slopes(few, note, label),
        *_curves(few, note, name, best),
    ]
    for i, sketch in enumerate(sketches):
        kind, markup = drawn_for_page(sketch.draw, f"figure-{i + 1}")
        spoken = sketch.spoken[:MOST_SPOKEN]
        if len(sketch.spoken) > MOST_SPOKEN:
            spoken.append(f"and {len(sketch.spoken) - MOST_SPOKEN} more")
        alt = f"{sketch.caption} {'; '.join(spoken)}."
        if kind == "svg":
            head = f'<svg role="img" aria-label="{escape(alt)}"'
            markup = markup.replace("<svg", head, 1)
        made.append(Illustration(sketch.caption, alt, kind, markup))
    return made


def _differences(rows: Comparison) -> Iterator[Sketch]:
    others = _others(rows)
    if len(others):
        yield Sketch(
            f"Difference to {_baseline(rows)} in {_score(rows)}, mean and 95 % "
            f"interval ({_units(rows)}; {_better(rows)}).",
            _say_differences(others),
            partial(plots.forest, rows),
        )


def _scores(
    rows: Comparison, best: float | None, label: str | None
) -> Iterator[Sketch]:
    """Scores against the strength, of two strengths at once, and of every run."""
    which = f"({_units(rows)}; {_better(rows)})."
    if _has_strengths(_others(rows)):
        yield Sketch(
            f"{_capital(_score(rows))} against the noise's strength {which}",
            _say_scores(rows),
            partial(plots.strength_curve, rows, best=best, label=label),
        )
    for placement in _of_two_strengths(_others(rows)):
        yield Sketch(
            f"Difference to {_baseline(rows)} in {_score(rows)} for the two strengths "
            f"of {short(placement)} {which}",
            _say_differences(rows[rows["placement"] == placement]),
            partial(
                plots.strength_heatmap,
                rows,
                value="difference",
                placement=placement,
                label=label,
            ),
        )
    baseline = rows.attrs["baseline"]
    yield Sketch(
        f"{_capital(_score(rows))} of every run ({_better(rows)}).",
        _say_scores(rows),
        partial(
            plots.score_distribution, rows, baseline=baseline, best=best, label=label
        ),
    )


def _slopes(few: Comparison, note: str, label: str | None) -> Iterator[Sketch]:
    """A panel a placement and strength."""
    if len(_others(few)):
        yield Sketch(
            f"What becomes of each {few.attrs['unit']} of {_baseline(few)} in "
            f"{_score(few)} ({_units(few)}; {_better(few)}).{note}",
            _say_wins(few),
            partial(plots.seed_slopes, few, label=label, columns=2),
        )


def _curves(
    few: Comparison, note: str, name: str, best: float | None
) -> Iterator[Sketch]:
    """Against the epoch, where there are curves."""
    result = source_of(few)
    curves = result.curves if isinstance(result, SweepResult) else ()
    names = {metric for _, metric in sets_of(curves)} if len(curves) else set()
    for metric in dict.fromkeys([name, "loss"]):
        if metric in names and len(result.epochs):
            yield Sketch(
                f"{_capital(in_words(metric))} against the epoch, mean and one "
                f"standard deviation over runs.{note}",
                _say_last_epoch(few, metric),
                partial(
                    plots.learning_curves,
                    few,
                    metric=metric,
                    best=best if metric == name else None,
                    columns=2,
                ),
            )


def _few(rows: Comparison) -> tuple[Comparison, str]:
    """The baseline and, of many, the best strength of each placement; and a note."""
    if len(rows) <= MOST_PANELS:
        return rows, ""
    gains = (rows.gain * rows["mean"]).fillna(-np.inf)
    at = gains.groupby(rows["placement"], sort=False).idxmax()
    reference = rows.index[rows["verdict"] == "baseline"]
    kept = sorted({*at.iloc[:MOST_PANELS], *reference})
    note = (
        f" Of {len(rows)} placements and strengths the best of each placement is shown."
    )
    return rows.loc[kept], note


def _others(rows: Comparison) -> Comparison:
    return rows[rows["verdict"] != "baseline"]


def _baseline(rows: Comparison) -> str:
    return short(rows.attrs["baseline"])


def _score(rows: Comparison) -> str:
    return in_words(rows.attrs["metric"])


def _better(rows: Comparison) -> str:
    return which_is_better(rows.attrs["lower_is_better"])


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


def _units(rows: Comparison) -> str:
    others = _others(rows)
    return count((others if len(others) else rows)["n"], rows.attrs["unit"])


def _say_differences(rows: pd.DataFrame) -> list[str]:
    digits = difference_decimals(rows)
    spoken = []
    for title, row in zip(cell_titles(rows), rows.itertuples(), strict=True):
        if row.verdict == "baseline":
            continue
        verdict = said(row.verdict)
        if not np.isfinite(row.difference):
            spoken.append(f"{title}: no finite pair, {verdict}")
            continue
        text = f"{title}: {signed(row.difference, digits)}"
        if np.isfinite(row.low):
            text += f" ({signed(row.low, digits)} to {signed(row.high, digits)})"
        spoken.append(f"{text}, {verdict}")
    return spoken


def _say_scores(rows: pd.DataFrame) -> list[str]:
    digits = score_decimals(rows)
    spoken = []
    for title, row in zip(cell_titles(rows), rows.itertuples(), strict=True):
        if np.isfinite(row.mean):
            sd = f" ± {fixed(row.sd, digits)}" if np.isfinite(row.sd) else ""
            spoken.append(f"{title}: {fixed(row.mean, digits)}{sd}")
        else:
            spoken.append(f"{title}: no finite run")
    return spoken


def _say_wins(rows: pd.DataFrame) -> list[str]:
    titles = pd.Series(cell_titles(rows), rows.index)
    return [
        f"{titles[at]}: better in {row['win_probability']:.0%} of {row['n']}"
        for at, row in rows.iterrows()
        if row["verdict"] != "baseline" and np.isfinite(row["win_probability"])
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
