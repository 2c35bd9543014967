"""Scores against the noise's strength: a line a placement, or two strengths at once.

`strength_curve` is what most sweeps want.
"""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis
from matplotlib.collections import LineCollection
from matplotlib.colors import CenteredNorm, Normalize
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
DARK, LIGHT = "#010101", "#ffffff"
EQUAL = 0.179  # luminance of what dark and light stand out from alike
MISSING = "#b0b0b0"  # no colour of the maps, nor of a page
MAPS = {  # told apart by all: blue and yellow, and red and blue around 0
    "mean": ("cividis", Normalize),
    "difference": ("RdBu", CenteredNorm),
}
WRITTEN = ("better", "worse", "equivalent")


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


def strength_heatmap(
    result: Source,
    *,
    metric: str | None = None,
    value: str = "mean",
    placement: str | None = None,
    x: str | None = None,
    y: str | None = None,
    label: str | None = None,
    ax: Axes | None = None,
    **options: Unpack[Options],
) -> Axes:
    """Draw a metric for two strengths at once, one along each axis.

    Strengths that are pytrees, such as ``{"input": 0.1, "hidden": 0.3}``, give the
    columns ``strength.input`` and ``strength.hidden``. Every cell shows its number, and
    for differences the verdict too where it is better, worse or equivalent.

    Args:
        result: of a sweep, a table such as `compare` takes, or a `Comparison`.
        metric: a column of ``result.runs``; None for that of a comparison.
        value: "mean", or "difference" for the paired difference to the baseline.
        placement: which to draw; None if but one has two strengths.
        x: the strength along the horizontal axis, such as ``"input"``; None takes the
            first that varies.
        y: the strength along the vertical axis; None takes the second that varies.
        label: of the numbers, with their unit; None takes the metric's name.
        ax: where to draw; None makes a figure.
        **options: for `compare`, such as ``baseline`` or ``rope``.

    Returns:
        The axes; a colour bar stands beside them.

    Raises:
        TypeError: if an argument is of the wrong kind, or an option none of `compare`.
        ValueError: as `compare`, or if there is no such value, no placement with two
            strengths, several of them, or more strengths that vary.

    Example:
        >>> import itertools, pandas as pd, jaxnoise as jn
        >>> rows = [("none", float("nan"), float("nan"))]
        >>> rows += [("both", a, b) for a in (0.01, 0.1) for b in (0.1, 0.3)]
        >>> columns = ["placement", "strength.input", "strength.hidden"]
        >>> table = pd.DataFrame(rows, columns=columns).merge(
        ...     pd.DataFrame({"seed": range(6)}), how="cross"
        ... )
        >>> table["accuracy"] = 0.5 + table.index / 100
        >>> ax = jn.plots.strength_heatmap(table, metric="accuracy")
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('strength of input', 'strength of hidden')
    """
    if value not in MAPS:
        raise ValueError(f'value must be "mean" or "difference", got {value!r}.')
    rows = comparison_of("strength_heatmap", result, metric, options)
    drawn = _placement(rows[rows["placement"] != rows.attrs["baseline"]], placement)
    x, y = _axes_of(drawn, x, y)
    grid = drawn.pivot(index=y, columns=x, values=value)
    height, width = grid.shape
    size = max(2.4 + 0.75 * width, 4.2), max(1.3 + 0.5 * height, 2.6)
    ax = style.new_axes(ax, size)
    colours, norm = MAPS[value]
    colours += "_r" * rows.attrs["lower_is_better"]
    image = ax.pcolormesh(np.ma.masked_invalid(grid), cmap=colours, norm=norm())
    ax.set_facecolor(MISSING)
    told = drawn["verdict"].isin(WRITTEN) & (value == "difference")
    verdicts = drawn.assign(told=drawn["verdict"].where(told, ""))
    verdicts = verdicts.pivot(index=y, columns=x, values="told").fillna("")
    _annotate(ax, image, grid, verdicts, "+" if value == "difference" else "-")
    _ticks(ax.xaxis, grid.columns, x)
    _ticks(ax.yaxis, grid.index, y)
    _colour_bar(ax, image, rows, value, label or fmt.in_words(rows.attrs["metric"]))
    return ax


def noise_matrix(curve: Any, *, label: str | None = None, ax: Any = None) -> Axes:
    """Draw what training with noise buys under noise at test time, a row a training.

    Every cell shows the paired difference to the runs without noise at that strength of
    the noise at test time, and the verdict where it is better, worse or equivalent.

    Args:
        curve: what `jaxnoise.noise_curve` returned of a sweep.
        label: of the numbers; None takes the score's name.
        ax: where to draw; None makes a figure.

    Returns:
        The axes; a colour bar stands beside them.

    Raises:
        ValueError: if there were no runs without noise to compare with.

    Example:
        >>> import jax, optax, jaxnoise as jn
        >>> def recipe(stddev):
        ...     return jn.Recipe(
        ...         model=jn.MLP((), 1, input_noise=jn.GaussianNoise(stddev)),
        ...         loss=jn.losses.binary_cross_entropy, optimizer=optax.sgd(0.1),
        ...     )
        >>> data = jn.data.circles(population=100)
        >>> result = jn.sweep(
        ...     {"none": recipe, "input": recipe}, strengths={"input": [0.1]},
        ...     data=data, seeds=10, epochs=1, batch_size=30, keep_params=True,
        ... )
        >>> curve = jn.noise_curve(result, data, [0, 1], key=jax.random.key(1))
        >>> jn.plots.noise_matrix(curve).get_xlabel()
        'noise on input at test time'
    """
    rows = curve.comparison
    if rows is None:
        raise ValueError(
            "curve must have a comparison, of runs of several placements with the "
            "baseline among them, got one without."
        )
    drawn = rows[rows["verdict"] != "baseline"]
    titles = fmt.cell_titles(drawn)
    levels = [metric.removeprefix(f"{curve.score} at ") for metric in rows.metrics]
    shape = len(levels), len(titles)
    grid = pd.DataFrame(drawn["difference"].to_numpy().reshape(shape).T)
    told = drawn["verdict"].where(drawn["verdict"].isin(WRITTEN), "")
    height, width = grid.shape
    size = max(3.4 + 0.75 * width, 4.6), max(1.3 + 0.5 * height, 2.6)
    ax = style.new_axes(ax, size)
    colours, norm = MAPS["difference"]
    first = rows.of(rows.metrics[0])
    colours += "_r" * first.attrs["lower_is_better"]
    image = ax.pcolormesh(np.ma.masked_invalid(grid), cmap=colours, norm=norm())
    ax.set_facecolor(MISSING)
    _annotate(ax, image, grid, pd.DataFrame(told.to_numpy().reshape(shape).T), "+")
    for axis, names in ((ax.xaxis, levels), (ax.yaxis, titles)):
        axis.set_ticks(np.arange(len(names)) + 0.5, names, **style.LITERAL)
        axis.set_tick_params(length=0)
    ax.set_xlabel(f"noise on {curve.site} at test time", **style.LITERAL)
    ax.set_ylabel("training")
    _colour_bar(ax, image, first, "difference", label or fmt.in_words(curve.score))
    return ax


def _placement(rows: pd.DataFrame, placement: str | None) -> pd.DataFrame:
    """The rows of the one placement with two strengths or more."""
    leaves = [column for column in rows if column.startswith("strength.")]
    several = rows[rows[leaves].notna().sum(axis=1) >= 2]
    found = list(several["placement"].unique())
    if not found:
        raise ValueError(
            "result must have a placement with two strengths, strength.<name> columns "
            "of the runs, got none."
        )
    if placement is None and len(found) == 1:
        placement = found[0]
    if placement not in found:
        raise ValueError(
            "placement must be one of those with two strengths "
            f"({', '.join(map(str, found))}), got {placement!r}."
        )
    return several[several["placement"] == placement]


def _axes_of(rows: pd.DataFrame, x: str | None, y: str | None) -> tuple[str, str]:
    """The columns along the axes; no other strength may vary."""
    leaves = [c for c in rows if c.startswith("strength.") and rows[c].notna().any()]
    varying = [c for c in leaves if rows[c].nunique() > 1]
    given = [None if name is None else f"strength.{name}" for name in (x, y)]
    for name in filter(None, (x, y)):
        if f"strength.{name}" not in leaves:
            names = ", ".join(leaf.removeprefix("strength.") for leaf in leaves)
            raise ValueError(
                f"x and y must be strengths of the placement ({names}), got {name!r}."
            )
    free = iter([c for c in dict.fromkeys(varying + leaves) if c not in given])
    first, second = (name or next(free) for name in given)
    others = [c for c in varying if c not in (first, second)]
    if first == second or others:
        raise ValueError(
            "result must have two strengths that vary, one for x and one for y, "
            f"got {', '.join(varying) or 'none'}."
        )
    return first, second


def _annotate(
    ax: Axes, image: Any, grid: pd.DataFrame, verdicts: pd.DataFrame, sign: str
) -> None:
    """Each number on its cell, dark or light, whichever stands out more."""
    digits, colours = fmt.decimals(grid), image.to_rgba(grid.to_numpy(float))
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": style.SMALL}
    for (i, j), score in np.ndenumerate(grid):
        text = f"{fmt.fixed(score, digits, sign)}\n{verdicts.iat[i, j]}".strip()
        ink = stands_out(colours[i, j, :3]) if np.isfinite(score) else DARK
        ax.text(j + 0.5, i + 0.5, text, color=ink, **look)


def stands_out(background: Any) -> str:
    """Dark or light ink, by the contrast ratio of WCAG."""
    c = np.asarray(background)
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return DARK if linear @ [0.2126, 0.7152, 0.0722] > EQUAL else LIGHT


def _ticks(axis: Any, values: pd.Index, column: str) -> None:
    """The strengths, and of what they are."""
    axis.set_ticks(np.arange(len(values)) + 0.5, [fmt.number(v) for v in values])
    axis.set_tick_params(length=0)
    name = f"strength of {column.removeprefix('strength.')}"
    axis.set_label_text(name, **style.LITERAL)


def _colour_bar(ax: Axes, image: Any, rows: Comparison, value: str, label: str) -> None:
    """What the colours mean, and where the baseline is."""
    facts = rows.attrs
    noisy = rows[rows["placement"] != facts["baseline"]]
    better = fmt.which_is_better(facts["lower_is_better"])
    bar = ax.figure.colorbar(image, ax=ax)
    bar.outline.set_visible(False)
    what = label if value == "mean" else f"{label}, difference to {facts['baseline']}"
    note = f"mean, {fmt.count(noisy['n'], facts['unit'])}; {better}"
    lines = style.wrapped(what, 36), style.wrapped(note, 36)
    bar.set_label("\n".join(lines), fontsize=style.SMALL, **style.LITERAL)
    reference = float(rows.evidence.baseline.score_interval.mean)
    low, high = image.get_clim()
    if value == "mean" and low <= reference <= high:
        for color, width in ((LIGHT, 4), (DARK, 1.5)):  # one of them stands out
            bar.ax.axhline(reference, color=color, linewidth=width)
    if value == "mean":
        text = (
            f"{facts['baseline']} has {fmt.fixed(reference, fmt.decimals([low, high]))}"
        )
        ax.set_title(style.wrapped(text, 40), fontsize=style.SMALL, **style.LITERAL)
