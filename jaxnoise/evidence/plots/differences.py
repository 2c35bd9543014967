"""Scores and paired differences: all of them, unit by unit, or run by run.

`forest` is what most sweeps want.
"""

from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxnoise.evidence import compare
from jaxnoise.evidence import format as fmt
from jaxnoise.evidence.cells import Cell
from jaxnoise.evidence.compare import Comparison
from jaxnoise.evidence.plots import style
from jaxnoise.evidence.table import Source, runs_of, score_table
from jaxnoise.evidence.units import Options

VERDICTS = {
    "better": (style.BLUE, "o"),
    "worse": (style.VERMILLION, "s"),
    "equivalent": (style.GREEN, "D"),
    "no evidence": (style.GREY, "^"),
    "none": (style.GREY, "x"),
}
SLOPES: dict[str, tuple[str, Any]] = {
    "better": (style.BLUE, "-"),
    "worse": (style.VERMILLION, "--"),
    "equal": (style.GREY, ":"),
}
BINS = 40  # points in one of them stand side by side
HEIGHT = 0.36  # of a row's points, to both sides


def forest(
    result: Source,
    *,
    metric: str | None = None,
    label: str | None = None,
    ax: Axes | None = None,
    **options: Unpack[Options],
) -> Axes:
    """Draw the paired difference to the baseline, a row a placement and strength.

    Points are mean differences over units and bars their 95 % intervals; the line is no
    difference, and the band the differences that are too small to matter. The verdict
    of `compare` and the number of units stand beside each row.

    Args:
        result: of a sweep, a table such as `compare` takes, or a `Comparison`.
        metric: a column of ``result.runs``; None for that of a comparison.
        label: of the horizontal axis, with its unit; None says what is subtracted.
        ax: where to draw; None makes a figure.
        **options: for `compare`, such as ``overlap``, or ``rope``: the largest
            difference that does not matter, drawn as a band.

    Returns:
        The axes, with the first placement at the top.

    Raises:
        TypeError: if an argument is of the wrong kind, or an option none of `compare`.
        ValueError: as `compare`, or if there is nothing but the baseline.

    Reference: S. Lewis, M. Clarke, "Forest plots: trying to see the wood and the
        trees", 2001.

    Example:
        >>> import pandas as pd, jaxnoise as jn
        >>> table = pd.DataFrame({
        ...     "placement": ["none"] * 3 + ["input"] * 3,
        ...     "strength": [0.0] * 3 + [0.1] * 3,
        ...     "seed": [0, 1, 2] * 2,
        ...     "accuracy": [0.7, 0.8, 0.9, 0.8, 0.9, 0.85],
        ... })
        >>> ax = jn.plots.forest(table, metric="accuracy")
        >>> [text.get_text() for text in ax.get_yticklabels()]
        ['input, 0.1']
    """
    rows = compare.comparison_of("forest", result, metric, options)
    (titles, others), facts = _noisy(rows), rows.attrs
    ax = style.rows_of(ax, titles, 1.4, 0.3)
    rope, baseline = facts["rope"], facts["baseline"]
    if rope is not None:
        ax.axvspan(-rope, rope, **style.band_style(style.GREEN))
    ax.axvline(0, color=style.ink(), linewidth=1)
    for y, row in enumerate(others.itertuples()):
        _row(ax, y, row)
    difference = f"difference to {baseline} in {fmt.in_words(facts['metric'])}"
    band = "" if rope is None else f"\nband: within ± {rope:g} is equivalent"
    better = fmt.which_is_better(facts["lower_is_better"])
    ax.set_xlabel(
        f"{style.wrapped(label or difference, 40)}\n"
        f"({better}; bar: 95 % interval){band}",
        **style.LITERAL,
    )
    return ax


def _noisy(rows: Comparison) -> tuple[list[str], Comparison]:
    """All rows but the baseline's, and their titles."""
    baseline = rows.attrs["baseline"]
    noisy = rows["placement"] != baseline
    if not noisy.any():
        raise ValueError(f"result must have more placements than {baseline!r}.")
    return list(pd.Series(fmt.cell_titles(rows), rows.index)[noisy]), rows[noisy]


def _row(ax: Axes, y: int, row: Any) -> None:
    """Difference, interval, and at the right the verdict and n."""
    color, marker = VERDICTS[row.verdict]
    if np.isfinite(row.low):
        ax.plot([row.low, row.high], [y, y], color=color, linewidth=1.8)
    ax.plot(row.difference, y, color=color, marker=marker, markersize=6)
    text = f"{fmt.said(row.verdict)}, n = {row.n}"
    if row.diverged:
        text += f", {row.diverged} diverged"
    style.beside(ax, y, text)


def seed_slopes(
    result: Source,
    *,
    metric: str | None = None,
    label: str | None = None,
    columns: int | None = None,
    ax: Any = None,
    **options: Unpack[Options],
) -> Figure:
    """Draw each seed's score without and with noise, a panel a placement and strength.

    A line is one unit: the seed or, if there are several, the split by the mean over
    its seeds. Its colour and style say whether it got better or worse.

    Args:
        result: of a sweep, a table such as `compare` takes, or a `Comparison`; to draw
            some placements alone, pass their rows of a comparison.
        metric: a column of ``result.runs``; None for that of a comparison.
        label: of the vertical axis, with its unit; None takes the metric's name.
        columns: panels in a row of the new figure, above the legend; None chooses.
        ax: where to draw, one axes a panel; None makes a figure.
        **options: for `compare`, such as ``baseline``: the placement at the left.

    Returns:
        The figure that holds the panels.

    Raises:
        TypeError: if an argument is of the wrong kind, or an option none of `compare`.
        ValueError: as `compare`, if there is nothing but the baseline, or the axes are
            too few or too many.

    Example:
        >>> import pandas as pd, jaxnoise as jn
        >>> table = pd.DataFrame({
        ...     "placement": ["none"] * 3 + ["input"] * 3,
        ...     "strength": [0.0] * 3 + [0.1] * 3,
        ...     "seed": [0, 1, 2] * 2,
        ...     "accuracy": [0.7, 0.8, 0.9, 0.8, 0.9, 0.85],
        ... })
        >>> figure = jn.plots.seed_slopes(table, metric="accuracy")
        >>> len(figure.axes[0].get_lines())
        3
    """
    rows = compare.comparison_of("seed_slopes", result, metric, options)
    (titles, others), facts = _noisy(rows), rows.attrs
    baseline = rows.evidence.baseline
    figure, panels = style.panels(len(others), 2.6, ax, columns, share_x=False)
    drawn = zip(panels, titles, others.cells, strict=True)
    for panel, title, cell in drawn:
        style.title(panel, title, _slopes(panel, baseline, cell, rows.evidence.gain))
        names = [style.wrapped(each.placement, 14) for each in (baseline, cell)]
        panel.set_xticks([0, 1], names, **style.LITERAL)
        panel.set_xlim(-0.25, 1.25)
        style.plain(panel)
    style.outer_labels(panels, "", label, facts["metric"])
    handles = [
        Line2D([], [], color=color, linestyle=line, label=word)
        for word, (color, line) in SLOPES.items()
    ]
    better = f"({fmt.which_is_better(facts['lower_is_better'])})"
    notes = f"a line is one {facts['unit']}", better
    style.legend_beside(ax, panels, handles, notes, columns)
    return figure


def _slopes(ax: Axes, baseline: Cell, cell: Cell, gain: int) -> str:
    """A line a unit; how many there are, and which way they went."""
    alpha = max(0.1, min(1, 30 / max(len(baseline.scores), 1)))
    signs = gain * np.sign(cell.differences)
    changes = zip(baseline.scores, cell.differences, signs, strict=True)
    for left, change, sign in changes:
        if np.isfinite(change):
            color, line = SLOPES[{1: "better", -1: "worse", 0: "equal"}[int(sign)]]
            look: Any = {"color": color, "linestyle": line, "alpha": alpha}
            ends = [left, left + change]
            ax.plot([0, 1], ends, **look, linewidth=1, marker=".", markersize=4)
    n = len(cell.unit_differences)
    equal = int((signs == 0).sum())
    note = f"n = {n}, {int((signs > 0).sum())} better"
    return f"{note}, {equal} equal" if equal else note


def score_distribution(
    result: Source,
    *,
    metric: str | None = None,
    baseline: str = "none",
    best: float | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw every run's score, a row a placement and strength.

    A point is one finite run, the box spans the middle half of them with the median
    inside, and the diamond is their mean.

    Args:
        result: of a sweep, a table such as `compare` takes, or a `Comparison`, of which
            the runs are drawn.
        metric: a column of ``result.runs``; None for that of a comparison.
        baseline: the placement drawn in plain ink; it need not be there.
        best: the best possible value, drawn as a dotted line.
        label: of the horizontal axis, with its unit; None takes the metric's name.
        ax: where to draw; None makes a figure.

    Returns:
        The axes, with the first placement at the top.

    Raises:
        TypeError: if result is neither a `SweepResult` nor a table, or ``ax`` no axes.
        ValueError: if the metric or a column is not there.

    Example:
        >>> import pandas as pd, jaxnoise as jn
        >>> table = pd.DataFrame({
        ...     "placement": ["none"] * 3 + ["input"] * 3,
        ...     "strength": [0.0] * 3 + [0.1] * 3,
        ...     "seed": [0, 1, 2] * 2,
        ...     "accuracy": [0.7, 0.8, 0.9, 0.8, 0.9, 0.85],
        ... })
        >>> ax = jn.plots.score_distribution(table, metric="accuracy")
        >>> [text.get_text() for text in ax.get_yticklabels()]
        ['none', 'input, 0.1']
    """
    if metric is None and isinstance(result, Comparison):
        metric = result.attrs["metric"]
    table = score_table(runs_of(compare.source_of(result)), metric, ["seed"])
    groups = compare.titled_groups(table, result)
    ax = style.rows_of(ax, [title for title, *_ in groups], 1.3, 0.42)
    placements = [p for p in table["placement"].unique() if p != baseline]
    looks = {name: style.placement_style(i) for i, name in enumerate(placements)}
    quiet = to_rgba(style.ink(), 0.6)  # the box, of ink, lies over its points
    looks[baseline] = {"color": quiet, "marker": "o"}
    low, high, n = table[metric].agg(["min", "max", "count"])
    bins = np.linspace(low, high, max(BINS, int(n) // 20) + 1)  # of all rows alike
    for y, (_, name, group) in enumerate(groups):
        scores = np.sort(group[metric].dropna().to_numpy(float))
        if len(scores):
            _points(ax, y, scores, bins, looks[name[0]])
            _box(ax, y, scores)
        lost = int((~group["finite"]).sum())
        more = f", {lost} diverged" if lost else ""
        style.beside(ax, y, f"n = {len(scores)}{more}")
    notes = ["point: a run; diamond: mean of n runs", "box: quartiles and median"]
    if best is not None:
        ax.axvline(best, **style.best_style())
        notes.append(f"dotted: best possible {best:.3f}")
    what = style.wrapped(label or fmt.in_words(metric), 40)
    ax.set_xlabel("\n".join([what, *notes]), **style.LITERAL)
    return ax


def _points(ax: Axes, y: int, scores: np.ndarray, bins: np.ndarray, look: Any) -> None:
    """Every score once, moved off the row's middle by the number of its neighbours."""
    column = np.digitize(scores, bins[1:-1])
    place = pd.Series(scores).groupby(column).cumcount().to_numpy()
    step = min(0.14, 2 * HEIGHT / (place.max() + 1))
    place = (place + 1) // 2 * np.where(place % 2, 1, -1)  # 0, 1, -1, 2, -2, ...
    size, edge = (14, 0.8) if len(scores) <= 200 else (5, 0.4)
    faint = {"facecolors": to_rgba(look["color"], 0.3), "edgecolors": look["color"]}
    look = {"marker": look["marker"], "s": size, "linewidths": edge} | faint
    ax.scatter(scores, y + step * place, **look)


def _box(ax: Axes, y: int, scores: np.ndarray) -> None:
    """Quartiles, median and mean."""
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
    top, bottom = y - HEIGHT, y + HEIGHT
    line: Any = {"color": style.ink(), "linewidth": 0.9, "zorder": 3}
    ax.plot([low, high, high, low, low], [top, top, bottom, bottom, top], **line)
    ax.plot([middle, middle], [top, bottom], **line)
    ax.plot(scores.mean(), y, marker="D", markersize=5, markerfacecolor="none", **line)
