"""How scores scatter over seeds, every run in sight."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D

from jaxnoise.evidence.plots import style
from jaxnoise.evidence.scores import score_table
from jaxnoise.evidence.words import Table, cell_titles, in_words
from jaxnoise.results import cell_columns

BINS = 40  # points in one of them stand side by side
HEIGHT = 0.36  # of a row's points, to both sides


def score_distribution(
    result: Table,
    *,
    metric: str,
    baseline: str = "none",
    best: float | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw every run's score, a row a placement and strength.

    A point is one finite run, the box spans the middle half of them with the median
    inside, and the diamond is their mean.

    Args:
        result: of a sweep, or a table such as `compare` takes.
        metric: a column of ``result.runs``.
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
    table = score_table(result, metric, ["seed"])
    ax = style.rows_of(ax, cell_titles(table), 1.3, 0.42)
    placements = [p for p in table["placement"].unique() if p != baseline]
    looks = {name: style.placement_style(i) for i, name in enumerate(placements)}
    quiet = to_rgba(style.ink(), 0.6)  # the box, of ink, lies over its points
    looks[baseline] = {"color": quiet, "marker": "o"}
    groups = table.groupby(cell_columns(table), sort=False, dropna=False)
    bins = _bins(table[metric].dropna().to_numpy(float))
    for y, (cell, group) in enumerate(groups):
        scores = np.sort(group[metric].dropna().to_numpy(float))
        _points(ax, y, scores, bins, looks[cell[0]])
        _box(ax, y, scores)
        lost = int((~group["finite"]).sum())
        text = f"n = {len(scores)}" + (f", {lost} diverged" if lost else "")
        style.beside(ax, y, text)
    if best is not None:
        ax.axvline(best, **style.best_style())
    note = "point: a run; diamond: mean of n runs\nbox: quartiles and median"
    if best is not None:
        note += f"\ndotted: best possible {best:.3f}"
    ax.set_xlabel(f"{style.wrapped(label or in_words(metric), 40)}\n{note}")
    return ax


def _bins(scores: np.ndarray) -> np.ndarray:
    """Edges over all scores, so that rows are spread alike."""
    if not len(scores):
        return np.zeros(2)
    return np.linspace(scores.min(), scores.max(), max(BINS, len(scores) // 20) + 1)


def _points(ax: Axes, y: int, scores: np.ndarray, bins: np.ndarray, look: Any) -> None:
    """Every score once, moved off the row's middle by the number of its neighbours."""
    column = np.searchsorted(bins[1:-1], scores, side="right")
    counts = np.bincount(column, minlength=1)
    first = np.searchsorted(column, column)
    place = np.arange(len(scores)) - first  # in its column: 0, 1, -1, 2, -2, ...
    place = (place + 1) // 2 * np.where(place % 2, 1, -1)
    step = min(0.14, 2 * HEIGHT / max(counts.max(initial=1), 1))
    ax.scatter(
        scores,
        y + step * place,
        s=14 if len(scores) <= 200 else 5,
        facecolors=to_rgba(look["color"], 0.3),
        edgecolors=look["color"],
        linewidths=0.8 if len(scores) <= 200 else 0.4,
        marker=look["marker"],
    )


def _box(ax: Axes, y: int, scores: np.ndarray) -> None:
    """Quartiles, median and mean."""
    if not len(scores):
        return
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
    ink = style.ink()
    line: Any = {"color": ink, "linewidth": 0.9, "zorder": 3}
    ax.add_line(
        Line2D(
            [low, high, high, low, low],
            [y - HEIGHT, y - HEIGHT, y + HEIGHT, y + HEIGHT, y - HEIGHT],
            **line,
        )
    )
    ax.add_line(Line2D([middle, middle], [y - HEIGHT, y + HEIGHT], **line))
    ax.plot(scores.mean(), y, marker="D", markersize=5, markerfacecolor="none", **line)
