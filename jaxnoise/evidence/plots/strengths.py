"""A score against the noise's strength: a line a placement, or a map of two strengths.

`strength_curve` is what most sweeps want.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from jaxnoise.evidence.paired import t_interval
from jaxnoise.evidence.plots import style
from jaxnoise.evidence.plots.ticks import label_side_by_side
from jaxnoise.evidence.stats import compare_quietly
from jaxnoise.evidence.units import Cell, paired_cells
from jaxnoise.evidence.words import Table, count, in_words


def strength_curve(
    result: Table,
    *,
    metric: str,
    baseline: str = "none",
    best: float | None = None,
    label: str | None = None,
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """Draw a metric against the strength, a line a placement, beside the baseline.

    Points are means over units and bars their paired 95 % intervals: the baseline's
    mean plus the interval of the difference to it, so that a bar that spans the
    baseline's line spans "no difference". The band is the 95 % interval of the
    baseline's own mean, the faint lines are the units one by one, and a cross at the
    top marks strengths at which runs diverged. Strength 0 has no place on the
    logarithmic axis and is left out; it equals the baseline.

    Args:
        result: of a sweep over several strengths, numbers, with the baseline in it, or
            a table such as `compare` takes.
        metric: a column of ``result.runs``.
        baseline: the placement drawn as a horizontal line.
        best: the best possible value, drawn as a dotted line.
        label: of the vertical axis, with its unit; None takes the metric's name.
        ax: where to draw; None makes a figure.
        **options: for `compare`, such as ``overlap``.

    Returns:
        The axes.

    Raises:
        TypeError: if an argument is of the wrong kind, or an option none of `compare`.
        ValueError: as `compare`, or if there is no strength above 0 to draw.

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
    style.check_options("strength_curve", options, style.COMPARE)
    rows = compare_quietly(result, metric=metric, baseline=baseline, **options)
    strengths = pd.to_numeric(rows.get("strength", pd.Series(dtype=float)), "coerce")
    drawn = rows[(rows["placement"] != baseline) & (strengths > 0)]
    if drawn.empty:
        raise ValueError(
            "result must have strengths above 0, as numbers, got none; "
            "strength_heatmap draws two strengths at once."
        )
    drawn = drawn.assign(strength=strengths).sort_values("strength", kind="stable")
    pair_by = {name: options[name] for name in ("pair_by",) if name in options}
    cells = paired_cells(result, metric, baseline, **pair_by).cells
    ours, ax = ax is None, style.new_axes(ax)
    reference = rows[rows["placement"] == baseline].iloc[0]
    handles = [_baseline(ax, reference, cells[rows.index.get_loc(reference.name)])]
    for i, placement in enumerate(rows["placement"][drawn.index].sort_index().unique()):
        group = drawn[drawn["placement"] == placement]
        look = style.placement_style(i)
        _units(ax, group, cells, look)
        handles.append(_line(ax, group, reference["mean"], look))
    if best is not None:
        style.best_line(ax, best)
        handles.append(ax.get_lines()[-1])
    if _diverged(ax, drawn):
        handles.append(ax.get_lines()[-1])
    _strength_axis(ax, drawn["strength"])
    ax.set_ylabel(label or in_words(metric))
    if label is None:
        style.literal(ax.yaxis.label)
    unit = rows.attrs["unit"]
    means = f"means of {count(rows['n'], unit)}"
    title = (
        f"{means}\n"
        f"bar: 95 % interval of the\ndifference to {style.wrapped(baseline)}\n"
        f"band: 95 % interval of\nthe mean of {style.wrapped(baseline)}\n"
        f"faint: {unit}s one by one"
    )
    short = f"{means}\nbar, band: 95 % intervals"
    style.legend_outside(ax, handles, title, short, ours=ours)
    style.plain(ax)
    return ax


def _baseline(ax: Axes, row: pd.Series, cell: Cell) -> Line2D:
    """Its mean, and the interval of its mean."""
    line = ax.axhline(
        row["mean"], color=style.ink(), linewidth=1.2, label=row["placement"]
    )
    interval = t_interval(cell.unit_scores)
    if np.isfinite(interval.low):
        ends = float(interval.low), float(interval.high)
        ax.axhspan(*ends, **style.band_style(style.ink()))
    return line


def _line(ax: Axes, group: pd.DataFrame, reference: float, look: Any) -> Any:
    """Means, and bars from the interval of the difference."""
    bars = [group["difference"] - group["low"], group["high"] - group["difference"]]
    return ax.errorbar(
        group["strength"],
        reference + group["difference"],
        yerr=np.nan_to_num(bars),
        **look,
        markersize=5,
        capsize=3,
        label=group["placement"].iloc[0],
        zorder=3,
    )


def _units(ax: Axes, group: pd.DataFrame, cells: list[Cell], look: Any) -> None:
    """A faint line a unit through its scores, and points where there is no line."""
    by_strength = pd.DataFrame(
        {
            strength: cells[row].scores
            for row, strength in zip(group.index, group["strength"], strict=True)
        }
    )
    xs = by_strength.columns.to_numpy(float)
    lines = [np.column_stack([xs, ys]) for ys in by_strength.to_numpy(float)]
    faint: Any = {"alpha": max(0.03, min(0.35, 6 / max(len(lines), 1))), "zorder": 1.5}
    ax.add_collection(
        LineCollection(lines, colors=look["color"], linewidths=0.7, **faint)
    )
    if len(lines):
        x, y = np.concatenate(lines).T
        ax.scatter(x, y, s=5, color=look["color"], **faint)


def _diverged(ax: Axes, rows: pd.DataFrame) -> bool:
    """Crosses at the top where runs are missing from the means."""
    lost = rows[rows["diverged"] > 0]
    if lost.empty:
        return False
    ax.plot(
        lost["strength"],
        np.ones(len(lost)),
        linestyle="",
        marker="x",
        color=style.ink(),
        transform=ax.get_xaxis_transform(),
        clip_on=False,
        label="runs diverged here",
    )
    return True


def _strength_axis(ax: Axes, strengths: pd.Series) -> None:
    """Logarithmic, with a tick a strength, labelled wherever there is room."""
    values = np.unique(strengths)
    if len(values) == 1:  # rounding makes its range too narrow for a scale
        ax.update_datalim([(values[0] / 2, 0), (values[0] * 2, 0)], updatey=False)
    ax.set_xscale("log")
    ax.set_xlabel("noise strength (stddev or rate)")
    label_side_by_side(ax.xaxis, values)
