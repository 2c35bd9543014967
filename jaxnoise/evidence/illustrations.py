"""The figures of a report, each with its caption and its numbers in words.

`illustrations` draws those that a result has the data for.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxnoise.evidence import plots
from jaxnoise.evidence.comparison import said
from jaxnoise.evidence.plots.page import drawn_for_page
from jaxnoise.evidence.words import (
    Table,
    cell_titles,
    count,
    decimals,
    difference_decimals,
    direction,
    fixed,
    in_words,
    short,
    signed,
)
from jaxnoise.results import SweepResult, cell_columns, sets_of

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
    result: Table,
    rows: pd.DataFrame,
    options: Mapping[str, Any],
    *,
    name: str,
    best: float | None = None,
    label: str | None = None,
) -> list[Illustration]:
    """The figures of a result.

    Args:
        result: the sweep or table.
        rows: of `compare`.
        options: of `compare`, with which it made the rows.
        name: of the metric without its set, which curves go by.
        best: the best possible value of the metric.
        label: of the metric, with its unit.
    """
    made = []
    sketches = [
        *_comparisons(result, rows, options, best, label),
        *_panels(result, rows, options, name, best, label),
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


def _comparisons(
    result: Table,
    rows: pd.DataFrame,
    options: Mapping[str, Any],
    best: float | None,
    label: str | None,
) -> Iterator[Sketch]:
    """Figures of all placements and strengths at once."""
    facts = rows.attrs
    baseline = short(facts["baseline"])
    score, named = in_words(facts["metric"]), {"metric": facts["metric"]}
    others = rows[rows["verdict"] != "baseline"]
    spread = direction(facts["lower_is_better"])
    which = f"({_units(rows)}; {spread})."
    if len(others):
        yield Sketch(
            f"Difference to {baseline} in {score}, mean and 95 % interval {which}",
            _differences(rows),
            partial(plots.forest, result, **named, **options),
        )
    named["label"] = label
    if _has_strengths(others):
        yield Sketch(
            f"{_capital(score)} against the noise's strength {which}",
            _scores(rows),
            partial(plots.strength_curve, result, best=best, **named, **options),
        )
    yield from _maps(result, rows, options, label)
    yield Sketch(
        f"{_capital(score)} of every run ({spread}).",
        _scores(rows),
        partial(
            plots.score_distribution,
            result,
            baseline=facts["baseline"],
            best=best,
            **named,
        ),
    )


def _maps(
    result: Table, rows: pd.DataFrame, options: Mapping[str, Any], label: str | None
) -> Iterator[Sketch]:
    """Maps of the placements of which two strengths vary, and no more."""
    facts = rows.attrs
    baseline, score = short(facts["baseline"]), in_words(facts["metric"])
    others = rows[rows["verdict"] != "baseline"]
    leaves = [column for column in others if str(column).startswith("strength.")]
    counts = others.groupby("placement", sort=False)[leaves].nunique()
    for placement in counts.index[(counts > 1).sum(axis=1) == 2]:
        yield Sketch(
            f"Difference to {baseline} in {score} for the two strengths of "
            f"{short(placement)} ({_units(rows)}; "
            f"{direction(facts['lower_is_better'])}).",
            _differences(rows[rows["placement"] == placement]),
            partial(
                plots.strength_heatmap,
                result,
                metric=facts["metric"],
                value="difference",
                placement=placement,
                label=label,
                **options,
            ),
        )


def _panels(
    result: Table,
    rows: pd.DataFrame,
    options: Mapping[str, Any],
    name: str,
    best: float | None,
    label: str | None,
) -> Iterator[Sketch]:
    """Figures with a panel a placement and strength: of a few, where there are many."""
    facts = rows.attrs
    baseline, score = facts["baseline"], in_words(facts["metric"])
    few, shown, note = _few(result, rows)
    others = shown[shown["verdict"] != "baseline"]
    which = direction(facts["lower_is_better"])
    paired = {k: options[k] for k in ("pair_by", "lower_is_better") if k in options}
    if len(others):
        yield Sketch(
            f"What becomes of each {facts['unit']} of {short(baseline)} in {score} "
            f"({_units(shown)}; {which}).{note}",
            _wins(shown),
            partial(
                plots.seed_slopes,
                few,
                metric=facts["metric"],
                baseline=baseline,
                label=label,
                columns=2,
                **paired,
            ),
        )
    if not isinstance(few, SweepResult) or not len(few.epochs):
        return
    names = dict.fromkeys(found for _, found in sets_of(few.curves))
    for found in dict.fromkeys([name, "loss"]):
        if found not in names:
            continue
        yield Sketch(
            f"{_capital(in_words(found))} against the epoch, mean and one standard "
            f"deviation over runs.{note}",
            _last_epoch(few, found),
            partial(
                plots.learning_curves,
                few,
                metric=found,
                best=best if found == name else None,
                columns=2,
            ),
        )


def _few(result: Table, rows: pd.DataFrame) -> tuple[Table, pd.DataFrame, str]:
    """The baseline and, of many, the best strength of each placement; and a note."""
    if len(rows) <= MOST_PANELS:
        return result, rows, ""
    gains = rows["mean"] * (-1 if rows.attrs["lower_is_better"] else 1)
    at = gains.fillna(-np.inf).groupby(rows["placement"], sort=False).idxmax()
    reference = rows.index[rows["verdict"] == "baseline"]
    kept = sorted({*at.iloc[:MOST_PANELS], *reference})
    runs = result.runs if isinstance(result, SweepResult) else result
    cells = runs.groupby(cell_columns(runs), sort=False, dropna=False).ngroup()
    rows_kept = np.isin(cells.to_numpy(), kept)
    note = (
        f" Of {len(rows)} placements and strengths the best of each placement is shown."
    )
    if isinstance(result, SweepResult):
        result = dataclasses.replace(
            result,
            runs=runs[rows_kept].reset_index(drop=True),
            curves={name: v[rows_kept] for name, v in result.curves.items()},
            variables=(None,) * int(rows_kept.sum()),
        )
        return result, rows.loc[kept], note
    return runs[rows_kept], rows.loc[kept], note


def _has_strengths(others: pd.DataFrame) -> bool:
    """Whether any placement has several strengths, as numbers above 0."""
    if "strength" not in others:
        return False
    numbers = pd.to_numeric(others["strength"], "coerce")
    positive = others[numbers > 0]
    return bool((positive["placement"].value_counts() > 1).any())


def _units(rows: pd.DataFrame) -> str:
    others = rows[rows["verdict"] != "baseline"]
    return count((others if len(others) else rows)["n"], rows.attrs["unit"])


def _differences(rows: pd.DataFrame) -> list[str]:
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


def _scores(rows: pd.DataFrame) -> list[str]:
    digits = decimals(rows["sd"], 3)
    spoken = []
    for title, row in zip(cell_titles(rows), rows.itertuples(), strict=True):
        if np.isfinite(row.mean):
            sd = f" ± {fixed(row.sd, digits)}" if np.isfinite(row.sd) else ""
            spoken.append(f"{title}: {fixed(row.mean, digits)}{sd}")
        else:
            spoken.append(f"{title}: no finite run")
    return spoken


def _wins(rows: pd.DataFrame) -> list[str]:
    titles = pd.Series(cell_titles(rows), rows.index)
    return [
        f"{titles[at]}: better in {row['win_probability']:.0%} of {row['n']}"
        for at, row in rows.iterrows()
        if row["verdict"] != "baseline" and np.isfinite(row["win_probability"])
    ]


def _last_epoch(result: SweepResult, metric: str) -> list[str]:
    """Means at the last epoch, by placement and set."""
    runs = result.runs.reset_index(drop=True)
    groups = runs.groupby(cell_columns(runs), sort=False, dropna=False)
    spoken = []
    for title, (_, group) in zip(cell_titles(runs), groups, strict=True):
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
