"""Scores against the noise's strength, a line a placement."""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import Locator

from jaxnoise.evidence import format as fmt
from jaxnoise.evidence.cells import Cell
from jaxnoise.evidence.compare import Comparison, comparison_of
from jaxnoise.evidence.plots import style
from jaxnoise.evidence.table import Source
from jaxnoise.evidence.units import Options

GAP = 0.6  # between labels, in sizes of their font


def strength_curve(
    result: Source,
    *,
    metric: str | None = None,
    best: float | None = None,
    scale: str = "log",
    label: str | None = None,
    ax: Axes | None = None,
    **options: Unpack[Options],
) -> Axes:
    """Draw a metric against the strength, a line a placement, beside the baseline.

    Points are means over units and bars their paired 95 % intervals: the baseline's
    mean plus the interval of the difference to it, so that a bar that spans the
    baseline's line spans "no difference". The band is the 95 % interval of the
    baseline's own mean, the faint lines are the units one by one, and a cross at the
    top marks strengths at which runs diverged. Strength 0 has no place on a logarithmic
    axis and is left out; on a linear one it is drawn.

    Args:
        result: of a sweep over several strengths, numbers, with the baseline in it, a
            table such as `compare` takes, or a `Comparison`.
        metric: a column of ``result.runs``; None for that of a comparison.
        best: the best possible value, drawn as a dotted line.
        scale: of the axis of strengths, "log" or "linear".
        label: of the vertical axis, with its unit; None takes the metric's name.
        ax: where to draw; None makes a figure.
        **options: for `compare`, such as ``overlap``, or ``baseline``: the placement
            drawn as a horizontal line.

    Returns:
        The axes.

    Raises:
        TypeError: if an argument is of the wrong kind, or an option none of `compare`.
        ValueError: as `compare`, if there is no such scale, or no strength to draw.

    Example:
        >>> import pandas as pd, jaxnoise as jn
        >>> table = pd.DataFrame({
        ...     "placement": ["none"] * 3 + ["input"] * 6,
        ...     "strength": [0.0] * 3 + [0.1] * 3 + [0.3] * 3,
        ...     "seed": [0, 1, 2] * 3,
        ...     "accuracy": [0.7, 0.8, 0.9, 0.8, 0.9, 0.85, 0.6, 0.7, 0.8],
        ... })
        >>> ax = jn.plots.strength_curve(table, metric="accuracy")
        >>> ax.get_xscale()
        'log'
    """
    rows = comparison_of("strength_curve", result, metric, options)
    drawn = _drawn(rows, scale)
    given, ax = ax, style.new_axes(ax)
    reference = rows.evidence.baseline
    handles = [_baseline(ax, reference)]
    for i, placement in enumerate(drawn["placement"].sort_index().unique()):
        group = drawn[drawn["placement"] == placement]
        look = style.placement_style(i)
        _units(ax, group["strength"], rows.loc[group.index].cells, look)
        handles.append(_line(ax, group, float(reference.score_interval.mean), look))
    handles += [*style.best_line(ax, best), *_diverged(ax, drawn)]
    _strength_axis(ax, drawn["strength"], scale)
    style.score_label(ax, label, rows.attrs["metric"])
    unit, name = rows.attrs["unit"], style.wrapped(reference.placement)
    means = f"means of {fmt.count(rows['n'], unit)}"
    notes = [
        f"bar: 95 % interval of the\ndifference to {name}",
        f"band: 95 % interval of\nthe mean of {name}",
        f"faint: {unit}s one by one",
    ]
    brief = ["bar, band: 95 % intervals"]
    notes = [means, *(notes if given is None else brief)]
    style.legend_beside(given, [ax], handles, notes)
    style.plain(ax)
    return ax


def _drawn(rows: Comparison, scale: str) -> Comparison:
    """The rows that have a place on the axis, in the order of their strengths."""
    if scale not in ("log", "linear"):
        raise ValueError(f'scale must be "log" or "linear", got {scale!r}.')
    strengths = pd.to_numeric(rows.get("strength", pd.Series(dtype=float)), "coerce")
    least = strengths > 0 if scale == "log" else strengths >= 0
    drawn = rows[(rows["placement"] != rows.attrs["baseline"]) & least]
    if drawn.empty:
        raise ValueError(
            "result must have strengths above 0, as numbers, got none; "
            "strength_heatmap draws two strengths at once."
        )
    return drawn.assign(strength=strengths).sort_values("strength", kind="stable")


def _baseline(ax: Axes, cell: Cell) -> Line2D:
    """Its mean, and the interval of its mean."""
    mean, low, high, _ = map(float, cell.score_interval)
    line = ax.axhline(mean, color=style.ink(), linewidth=1.2, label=cell.placement)
    if np.isfinite(low):
        ax.axhspan(low, high, **style.band_style(style.ink()))
    return line


def _line(ax: Axes, group: pd.DataFrame, reference: float, look: Any) -> Any:
    """Means, and bars from the interval of the difference."""
    difference, low, high = (group[name] for name in ("difference", "low", "high"))
    bars = np.nan_to_num([difference - low, high - difference])
    options = {"markersize": 5, "capsize": 3, "zorder": 3} | look
    options["label"] = group["placement"].iloc[0]
    return ax.errorbar(group["strength"], reference + difference, bars, **options)


def _units(ax: Axes, strengths: pd.Series, cells: list[Cell], look: Any) -> None:
    """A faint line a unit through its scores, and points where there is no line."""
    scores = np.column_stack([cell.scores for cell in cells])
    lines = [np.column_stack([strengths, ys]) for ys in scores]
    faint: Any = {"alpha": max(0.03, min(0.35, 6 / max(len(lines), 1))), "zorder": 1.5}
    look = {"colors": look["color"], "linewidths": 0.7} | faint
    ax.add_collection(LineCollection(lines, **look))
    x, y = np.concatenate(lines).T
    ax.scatter(x, y, s=5, color=look["colors"], **faint)


def _diverged(ax: Axes, rows: pd.DataFrame) -> list[Line2D]:
    """Crosses at the top where runs are missing from the means."""
    lost = rows["strength"][rows["diverged"] > 0]
    if lost.empty:
        return []
    cross: Any = {"color": style.ink(), "label": "runs diverged here"}
    cross |= {"transform": ax.get_xaxis_transform(), "clip_on": False}
    return ax.plot(lost, [1] * len(lost), "x", **cross)


def _strength_axis(ax: Axes, strengths: pd.Series, scale: str) -> None:
    """With a tick a strength, labelled wherever there is room."""
    values = np.unique(strengths)
    if scale == "linear":
        values = np.union1d(0.0, values)
        ax.update_datalim([(0, 0)], updatey=False)
    elif len(values) == 1:  # rounding makes its range too narrow for a scale
        ax.update_datalim([(values[0] / 2, 0), (values[0] * 2, 0)], updatey=False)
    ax.set_xscale(scale)
    ax.set_xlabel("noise strength (stddev or rate)")
    label_side_by_side(ax.xaxis, values)


def label_side_by_side(axis: XAxis, values: np.ndarray) -> None:
    """A tick a value, with plain numbers that never touch, whatever the figure's size.

    Args:
        axis: that along the bottom, with its scale.
        values: in ascending order, each once.
    """
    digits = next(  # three, or as many as tell all of them apart
        n for n in range(3, 18) if len({f"{x:.{n}g}" for x in values}) == len(values)
    )
    axis.set_ticks(values, [], minor=True)
    axis.set_major_locator(SideBySide(values, [f"{x:.{digits}g}" for x in values]))
    axis.set_major_formatter(lambda x, _: f"{x:.{digits}g}")


class SideBySide(Locator):
    """As many of the values as have labels that fit along the axis as it is drawn."""

    def __init__(self, values: np.ndarray, labels: Sequence[str]) -> None:
        self.values, self.labels = values, labels

    def __call__(self) -> Sequence[float]:
        """The values whose labels do not touch."""
        axis: Any = self.axis
        font = axis.get_major_ticks(1)[0].label1.get_fontproperties()
        gap, measure = (
            GAP * font.get_size_in_points(),
            text_to_path.get_text_width_height_descent,
        )
        widths = np.array([gap + measure(text, font, False)[0] for text in self.labels])
        points = np.column_stack([self.values, np.zeros(len(self.values))])
        middles = axis.axes.get_xaxis_transform().transform(points)[:, 0]
        halves = widths * axis.axes.figure.dpi / 144
        left, right = middles - halves, middles + halves
        order, kept = np.argsort(right), list[int]()
        for i in order:
            if not kept or left[i] >= right[kept[-1]]:
                kept.append(i)
        if len(kept) > 1 and left[order[-1]] >= right[kept[-2]]:
            kept[-1] = order[-1]  # the last value rather than its neighbour
        return list(self.values[kept])
