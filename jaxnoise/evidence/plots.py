"""Figures from results: the only place that imports matplotlib.

Every function draws into ``ax`` (or new axes) and returns what it drew into; none
computes anything but means, spreads and intervals of numbers that runs left. Colours
are safe for colour-blind readers, and line styles and markers repeat what they say.
"""

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from scipy.special import expit

from jaxnoise.data import Data
from jaxnoise.evidence.stats import compare_quietly as compare
from jaxnoise.results import SweepResult, cell_columns

# Okabe and Ito's palette: told apart with any kind of colour vision.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
SETS = {"train": (BLUE, "--"), "test": (VERMILLION, "-")}
OTHER_SETS = (GREEN, "-.")
PLACEMENTS = (
    "#D55E00",
    "#0072B2",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#555555",
)
MARKERS = "osD^v<P"
BEST: Any = {"color": "black", "linestyle": ":", "linewidth": 1.2}
CLASSES = ((VERMILLION, "o"), (BLUE, "^"))


def strength_curve(
    result: SweepResult,
    *,
    metric: str,
    baseline: str = "none",
    best: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a metric against the strength, a line a placement, beside the baseline.

    Points are means over units and bars their paired 95 % intervals: the baseline's
    mean plus the interval of the difference to it, so that a bar that spans the
    baseline's line spans "no difference". Strength 0 has no place on the logarithmic
    axis and is left out; it equals the baseline.

    Args:
        result: of a sweep over several strengths, numbers, with the baseline in it.
        metric: a column of ``result.runs``.
        baseline: the placement drawn as a horizontal line.
        best: the best possible value, drawn as a dotted line.
        ax: where to draw; None makes a figure.

    Raises:
        ValueError: as `compare`, or if there is no strength above 0 to draw.

    Example:
        >>> import jaxnoise as jn
        >>> jn.plots.strength_curve(result, metric="test_loss")  # doctest: +SKIP
    """
    rows = compare(result, metric=metric, baseline=baseline)
    if "strength" not in rows or not (rows["strength"] > 0).any():
        raise ValueError("result must have strengths above 0, as numbers, got none.")
    ax = _axes(ax)
    reference = rows.loc[rows["placement"] == baseline, "mean"].item()
    ax.axhline(reference, color="black", linewidth=1.2, label=baseline)
    drawn = rows[(rows["placement"] != baseline) & (rows["strength"] > 0)]
    for i, (placement, group) in enumerate(drawn.groupby("placement", sort=False)):
        group = group.sort_values("strength")
        means = reference + group["difference"]
        bars = [group["difference"] - group["low"], group["high"] - group["difference"]]
        ax.errorbar(
            group["strength"],
            means,
            yerr=np.nan_to_num(bars),
            color=PLACEMENTS[i % len(PLACEMENTS)],
            marker=MARKERS[i % len(MARKERS)],
            markersize=5,
            capsize=3,
            label=placement,
        )
    if best is not None:
        _best_line(ax, best)
    ax.set_xscale("log")
    ax.set_xlabel("noise strength")
    ax.set_ylabel(_words(metric))
    ax.legend(frameon=False)
    _plain(ax)
    return ax


def learning_curves(
    result: SweepResult,
    *,
    metric: str,
    best: float | None = None,
    label: str | None = None,
) -> Figure:
    """Draw a metric against the epoch, a panel for each placement and strength.

    Lines are means over the finite runs, bands one standard deviation to both sides.

    Args:
        result: of a sweep with curves of the metric.
        metric: a metric's name without its set, such as ``"accuracy"`` or ``"loss"``.
        best: the best possible value, drawn as a dotted line.
        label: of the vertical axis, with its unit; None takes the metric's name.

    Raises:
        ValueError: if no set has a curve of the metric.

    Example:
        >>> import jaxnoise as jn
        >>> jn.plots.learning_curves(result, metric="loss")  # doctest: +SKIP
    """
    curves = {
        name.removesuffix(f"_{metric}"): values
        for name, values in result.curves.items()
        if name.endswith(f"_{metric}")
    }
    if not curves or not len(result.epochs):
        raise ValueError(
            f"metric must have curves ({', '.join(result.curves)}), got {metric!r}."
        )
    cells = _cells(result)
    figure, panels = _panels(len(cells), height=2.2)
    for ax, (title, rows) in zip(panels, cells.items(), strict=True):
        for name, values in curves.items():
            _band(ax, result.epochs, values[rows], name)
        if best is not None:
            _best_line(ax, best)
        ax.set_title(f"{title} (n = {len(rows)})", fontsize=10)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        _plain(ax)
    _outer_labels(panels, "epoch", label or _words(metric))
    _legend_beside(figure, panels[0], "line: mean of n runs\nband: ± 1 sd")
    return figure


def scatter(data: Data, *, ax: Axes | None = None) -> Axes:
    """Draw the train and test points of a two-dimensional binary task.

    Args:
        data: x of shape (rows, 2), y of shape (rows, 1) with targets 0 and 1.
        ax: where to draw; None makes a figure.

    Raises:
        ValueError: if the points are not two-dimensional.

    Example:
        >>> import jaxnoise as jn
        >>> ax = jn.plots.scatter(jn.data.circles())
        >>> ax.get_xlabel()
        '$x_1$'
    """
    ax = _axes(ax, size=(4.6, 4.6))
    for name in ("train", "test"):
        if name in data:
            _points(ax, data[name], name, filled=name == "train")
    ax.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.18 * (high - low))  # room for the legend
    _plane(ax)
    return ax


def decision_regions(
    logits: Mapping[str, Callable[[np.ndarray], Any]],
    data: Data,
    *,
    best_radius: float | None = None,
) -> Figure:
    """Draw what models decide on the plane, a panel a model, over the train points.

    Args:
        logits: by title, a function from points (rows, 2) to logits (rows, 1).
        data: the task, as for `scatter`.
        best_radius: radius of the best possible boundary around the origin, dotted.

    Raises:
        ValueError: if the points are not two-dimensional.

    Example:
        >>> import jaxnoise as jn
        >>> figure = jn.plots.decision_regions(
        ...     {"circle": lambda x: 0.9 - (x**2).sum(1, keepdims=True)},
        ...     jn.data.circles(),
        ... )
        >>> len(figure.axes)  # the panel and its colour bar
        2
    """
    figure, panels = _panels(len(logits), height=2.4)
    reach = 1.1 * max(np.abs(x).max() for x, _ in data.values())
    line = np.linspace(-reach, reach, 241, dtype=np.float32)
    plane = np.stack(np.meshgrid(line, line), axis=-1)
    for ax, (title, function) in zip(panels, logits.items(), strict=True):
        values = np.asarray(function(plane.reshape(-1, 2))).reshape(plane.shape[:2])
        ax.pcolormesh(
            line,
            line,
            expit(values),
            cmap="RdBu",
            vmin=0,
            vmax=1,
            alpha=0.6,
            shading="auto",
            rasterized=True,
        )
        ax.contour(line, line, values, levels=[0], colors="black", linewidths=1.3)
        if best_radius is not None:
            ax.add_patch(Circle((0, 0), best_radius, fill=False, **BEST))
        _points(ax, data.train, "train", filled=True)
        ax.set_title(title, fontsize=10)
        _plane(ax)
    image = panels[0].collections[0]
    figure.colorbar(image, ax=figure.axes, label="probability of class 1")
    _outer_labels(panels, "$x_1$", "$x_2$")
    handles, _ = panels[0].get_legend_handles_labels()
    handles.append(Line2D([], [], color="black", linewidth=1.3, label="boundary"))
    if best_radius is not None:
        handles.append(Line2D([], [], **BEST, label="best possible"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9
    )
    return figure


def _axes(ax: Axes | None, size: tuple[float, float] = (5.4, 3.6)) -> Axes:
    if ax is not None:
        return ax
    return plt.subplots(figsize=size, layout="constrained")[1]


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels that share their axes, as wide as a page."""
    columns = _columns(count)
    rows = -(-count // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(max(2.5 * columns + 0.6, 4.6), height * rows + 0.6),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for spare in grid.flat[count:]:
        spare.set_axis_off()
    return figure, list(grid.flat[:count])


def _columns(count: int) -> int:
    """Panels in a row."""
    return {1: 1, 2: 2, 4: 2}.get(count, 3)


def _cells(result: SweepResult) -> dict[str, np.ndarray]:
    """The finite runs' row numbers by placement and strength, titled."""
    runs = result.runs.reset_index(drop=True)
    cells = {}
    for key, group in runs.groupby(cell_columns(runs), sort=False, dropna=False):
        shown = [f"{value:g}" for value in key[1:] if value == value and value != 0]
        title = f"{key[0]}, {' and '.join(shown)}" if shown else str(key[0])
        cells[title] = group.index[group["finite"]].to_numpy()
    return cells


def _band(ax: Axes, epochs: np.ndarray, curves: np.ndarray, name: str) -> None:
    """The mean over runs, and one standard deviation to both sides."""
    color, style = SETS.get(name, OTHER_SETS)
    if not len(curves):  # all runs diverged: a line without points, for the legend
        curves = np.full((1, len(epochs)), np.nan)
    mean = curves.mean(axis=0)
    spread = curves.std(axis=0, ddof=1) if len(curves) > 1 else 0 * mean
    ends = (mean - spread, mean + spread)
    ax.fill_between(epochs, *ends, color=color, alpha=0.25, linewidth=0)
    ax.plot(epochs, mean, color=color, linestyle=style, linewidth=1.3, label=name)


def _legend_beside(figure: Figure, ax: Axes, title: str) -> None:
    """A legend that hides nothing: in the place of a spare panel, or at the side."""
    spare = [other for other in figure.axes if not other.axison]
    handles, _ = ax.get_legend_handles_labels()
    legend = (
        spare[0].legend(handles=handles, loc="center left", frameon=False, fontsize=9)
        if spare
        else figure.legend(
            handles=handles, loc="outside right center", frameon=False, fontsize=9
        )
    )
    legend.set_title(title, prop=FontProperties(size=9))
    legend.set_alignment("left")


def _points(ax: Axes, rows: Any, name: str, *, filled: bool) -> None:
    x, y = rows
    if np.ndim(x) != 2 or np.shape(x)[1] != 2:
        raise ValueError(
            f"data must have points of shape (rows, 2), got {np.shape(x)}."
        )
    for target, (color, marker) in enumerate(CLASSES):
        chosen = np.ravel(y) == target
        first, second = np.asarray(x)[chosen].T
        ax.scatter(
            first,
            second,
            s=26,
            marker=marker,
            facecolors=color if filled else "none",
            edgecolors="white" if filled else color,
            linewidths=0.6 if filled else 1,
            label=f"{name}, class {target}",
        )


def _plane(ax: Axes) -> None:
    ax.set_aspect("equal")
    ax.set_xlabel("$x_1$")
    ax.set_ylabel("$x_2$")
    _plain(ax)


def _best_line(ax: Axes, value: float) -> None:
    ax.axhline(value, label=f"best possible {value:.3f}", **BEST)


def _outer_labels(panels: list[Axes], x: str, y: str) -> None:
    """Labels on the left and wherever no panel lies below."""
    for i, ax in enumerate(panels):
        ax.set_xlabel(x)
        ax.set_ylabel(y)
        ax.label_outer()
        if i + _columns(len(panels)) >= len(panels):
            ax.xaxis.set_tick_params(labelbottom=True)
            ax.xaxis.label.set_visible(True)
            ax.set_xlabel(x)


def _plain(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)


def _words(name: str) -> str:
    return name.replace("_", " ")
