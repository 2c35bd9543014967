"""Curves with bands: a metric against the epoch, or against noise at test time."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxnoise.evidence.cells import key_of
from jaxnoise.evidence.compare import Comparison, source_of, titled_groups
from jaxnoise.evidence.format import cell_titles
from jaxnoise.evidence.plots import style
from jaxnoise.evidence.table import Source
from jaxnoise.results import SweepResult, cell_columns, sets_of

KNOWN = ("train", "test", "validation", "population")  # sets, in the order of LOOKS
LOOKS = (
    (style.BLUE, "--"),
    (style.VERMILLION, "-"),
    (style.GREEN, "-."),
    (style.PURPLE, (0, (5, 1, 1, 1, 1, 1))),
    (style.SKY, (0, (4, 1, 1, 1))),
    (style.OCHRE, (0, (1, 1))),
    (style.GREY, (0, (8, 3))),
)
OF_RUNS = ["line: mean of the runs", "band: ± 1 sd"]
LONG = 500  # epochs; longer curves are pixels in vector files, which stay small


def learning_curves(
    result: Source,
    *,
    metric: str,
    best: float | None = None,
    label: str | None = None,
    columns: int | None = None,
    ax: Any = None,
) -> Figure:
    """Draw a metric against the epoch, a panel for each placement and strength.

    Lines are means over the finite runs, bands one standard deviation to both sides.

    Args:
        result: of a sweep with curves of the metric, or a `Comparison` of it.
        metric: a metric's name without its set, such as ``"accuracy"`` or ``"loss"``.
        best: the best possible value, drawn as a dotted line.
        label: of the vertical axis, with its unit; None takes the metric's name.
        columns: panels in a row of the new figure, above the legend; None chooses.
        ax: where to draw, one axes a panel; None makes a figure.

    Returns:
        The figure that holds the panels.

    Raises:
        TypeError: if result is no `SweepResult`: tables have no curves.
        ValueError: if no set has a curve of the metric, or the axes are too few or too
            many.

    Example:
        >>> import numpy as np, pandas as pd, jaxnoise as jn
        >>> runs = pd.DataFrame({
        ...     "placement": "none", "strength": 0.0, "seed": [0, 1], "finite": True,
        ... })
        >>> loss = np.array([[0.7, 0.5, 0.4], [0.8, 0.5, 0.3]])
        >>> result = jn.SweepResult(
        ...     runs, {"test_loss": loss}, np.arange(1, 4), (None, None), True,
        ...     compile_seconds=0.0, run_seconds=0.0, device="1 x cpu",
        ... )
        >>> figure = jn.plots.learning_curves(result, metric="loss")
        >>> figure.axes[0].get_title()
        'none (n = 2)'
    """
    sweep, curves = _curves_of(result, metric)
    groups = titled_groups(sweep.runs.reset_index(drop=True), result)
    figure, panels = style.panels(len(groups), 2.2, ax, columns)
    looks = _looks(list(curves))
    for panel, (title, _, group) in zip(panels, groups, strict=True):
        rows = group.index[group["finite"]].to_numpy()
        for name, values in curves.items():
            _band(panel, sweep.epochs, values[rows], name, looks[name])
        style.best_line(panel, best)
        style.title(panel, title, f"n = {len(rows)}")
        if not len(rows):
            panel.annotate(
                "no finite run", (0.5, 0.7), None, "axes fraction", ha="center"
            )
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        style.plain(panel)
    style.outer_labels(panels, "epoch", label, metric)
    handles, _ = panels[0].get_legend_handles_labels()
    notes = "line: mean of n runs", "band: ± 1 sd"
    style.legend_beside(ax, panels, handles, notes, columns)
    return figure


def noise_curve(curve: Any, *, label: str | None = None, ax: Any = None) -> Axes:
    """Draw the score against the noise at test time, a line a placement and strength.

    Lines are means over the runs, bands one standard deviation to both sides. Points
    are filled where `compare` calls the difference to the runs without noise better or
    worse, and hollow elsewhere.

    Args:
        curve: what `jaxnoise.noise_curve` returned.
        label: of the vertical axis; None takes the score's name.
        ax: where to draw; None makes a figure.

    Returns:
        The axes.

    Raises:
        TypeError: if ``ax`` is no axes.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jax.random.normal(jax.random.key(0), (500, 1))
        >>> models = {"a line": lambda x: x, "a constant": jnp.ones_like}
        >>> curve = jn.noise_curve(models, (x, x > 0), [0, 1], key=jax.random.key(1))
        >>> jn.plots.noise_curve(curve).get_xlabel()
        'noise on input at test time'
    """
    axes = style.new_axes(ax)
    judged = {} if curve.comparison is None else _judged(curve.comparison)
    for name, look, means in _lines(axes, curve.runs, curve.score, "stddev"):
        said = [(key_of(name), f"{curve.score} at {level:g}") for level in means.index]
        sure = np.array([judged.get(each) in ("better", "worse") for each in said])
        for kept, face in ((sure, look["color"]), (~sure, "none")):
            axes.plot(means[kept], linestyle="", markerfacecolor=face, **look)
    axes.set_xlabel(f"noise on {curve.site} at test time", **style.LITERAL)
    style.score_label(axes, label, curve.score)
    notes = ["filled: better or worse than none"] * bool(judged)
    return _explained(ax, axes, [*OF_RUNS, *notes])


def reliability(found: Any, *, label: str | None = None, ax: Any = None) -> Axes:
    """Draw accuracy against confidence, a line a placement and strength.

    Lines are means over the runs, at the mean confidence of a bin, bands one standard
    deviation to both sides. Below the dotted diagonal a model is surer than it is
    right, above it less sure. Bins with fewer than 1 % of the rows are left out.

    Args:
        found: what `jaxnoise.calibration` returned.
        label: of the vertical axis; None takes "accuracy".
        ax: where to draw; None makes a figure.

    Returns:
        The axes.

    Raises:
        TypeError: if ``ax`` is no axes.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jax.random.logistic(jax.random.key(0), (500, 1))
        >>> y = (jax.random.logistic(jax.random.key(1), (500, 1)) < x).astype(int)
        >>> found = jn.calibration({"too sure": lambda x: 3 * x}, (x, y))
        >>> jn.plots.reliability(found).get_xlabel()
        'confidence'
    """
    axes = style.new_axes(ax)
    bins = found.bins[found.bins["share"] >= 0.01]
    ends = [bins["confidence"].min(), 1]
    axes.plot(ends, ends, **style.best_style(), label="as sure as right")
    for _, look, means in _lines(axes, bins, "accuracy", "bin", "confidence"):
        axes.plot(means, linestyle="", **look)
    axes.set_xlabel("confidence")
    style.score_label(axes, label, "accuracy")
    return _explained(ax, axes, OF_RUNS)


def certified_accuracy(
    certified: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    label: str | None = None,
    ax: Any = None,
) -> Axes:
    """Draw the share of points with the right label that holds beyond each radius.

    A table of several runs is drawn as means over them with bands, one standard
    deviation to both sides.

    Args:
        certified: what `jaxnoise.certified_accuracy` returned, or such tables by name;
            of runs with their columns placement, strength, seed and split.
        label: of the vertical axis; None takes "certified accuracy".
        ax: where to draw; None makes a figure.

    Returns:
        The axes.

    Raises:
        TypeError: if ``ax`` is no axes.

    Example:
        >>> import pandas as pd, jaxnoise as jn
        >>> found = pd.DataFrame({"label": [1, 0, -1], "radius": [0.7, 0.2, 0.0]})
        >>> table = jn.certified_accuracy(found, [1, 0, 1], radii=[0, 0.5, 1])
        >>> jn.plots.certified_accuracy(table).get_ylabel()
        'certified accuracy'
    """
    axes = style.new_axes(ax)
    table: Any = certified
    if isinstance(certified, Mapping):
        named = certified.items()
        table = pd.concat([part.assign(placement=name) for name, part in named])
    one = {"placement": "accuracy", "strength": 0.0, "seed": 0, "split": 0}
    table = table.assign(**{n: v for n, v in one.items() if n not in table})
    for _, look, means in _lines(axes, table, "accuracy", "radius"):
        axes.plot(means, linestyle="", **look)
    axes.set_xlabel("radius, L2")
    axes.set_ylim(bottom=0)
    style.score_label(axes, label, "certified accuracy")
    if len(table) == table["radius"].nunique():
        style.plain(axes)
        return axes
    several = table.duplicated([*cell_columns(table), "radius"]).any()
    return _explained(ax, axes, OF_RUNS if several else [])


def _explained(ax: Any, axes: Axes, notes: Sequence[str]) -> Axes:
    """The axes, plain, with what their lines are beside them."""
    style.plain(axes)
    handles, _ = axes.get_legend_handles_labels()
    style.legend_beside(ax, [axes], handles, notes)
    return axes


def _lines(
    axes: Axes, runs: pd.DataFrame, score: str, column: str, along: str | None = None
) -> Iterator[tuple[Any, dict[str, Any], pd.Series]]:
    """Draw the band of each placement and strength: its name, look and means."""
    groups = runs.groupby(cell_columns(runs), sort=False, dropna=False)
    for i, (title, (name, group)) in enumerate(
        zip(cell_titles(runs), groups, strict=True)
    ):
        look = style.placement_style(i)
        wide = group.pivot_table(score, ["seed", "split"], column)
        wide.columns = group.groupby(column)[along or column].mean()
        at = np.asarray(wide.columns, float)
        _band(axes, at, wide.to_numpy(), title, (look["color"], "-", ""))
        yield name, look, wide.mean()


def _judged(comparison: Comparison) -> dict[Any, str]:
    """The verdict of each cell and metric."""
    found = {}
    for metric in comparison.metrics:
        rows = comparison.of(metric)
        for cell, verdict in zip(rows.cells, rows["verdict"], strict=True):
            found[cell.key, metric] = verdict
    return found


def _curves_of(source: Any, metric: str) -> tuple[SweepResult, dict[str, np.ndarray]]:
    """The sweep, and by set its curves of the metric."""
    result = source_of(source)
    if not isinstance(result, SweepResult):
        raise TypeError(
            "result must be a SweepResult, which has curves, "
            f"got {type(result).__name__}."
        )
    sets = dict(zip(result.curves, sets_of(result.curves), strict=True))
    curves = {
        name: result.curves[column]
        for column, (name, found) in sets.items()
        if found == metric
    }
    if not curves or not len(result.epochs):
        whole = metric in sets
        cure = f"; give it without its set: {sets[metric][1]!r}" if whole else ""
        raise ValueError(
            f"metric must have curves ({', '.join(result.curves)}), "
            f"got {metric!r}{cure}."
        )
    return result, curves


def _looks(names: list[str]) -> dict[str, Any]:
    """Colour, line style and marker of each set."""
    every = dict.fromkeys((*KNOWN, *names))
    looks = zip(cycle(LOOKS), cycle(style.MARKERS), strict=False)
    return {name: (*look, m) for name, (look, m) in zip(every, looks, strict=False)}


def _band(
    ax: Axes, epochs: np.ndarray, curves: np.ndarray, name: str, look: Any
) -> None:
    """The mean over runs, and one standard deviation to both sides."""
    color, linestyle, marker = look
    runs = pd.DataFrame(curves, dtype=float)
    mean, sd = runs.mean(), runs.std().fillna(0.0)
    ends = mean - sd, mean + sd
    pixels = len(epochs) > LONG
    faint = {"color": color, "alpha": 0.25, "linewidth": 0, "rasterized": pixels}
    ax.fill_between(epochs, *ends, **faint)
    line = {"color": color, "linestyle": linestyle, "linewidth": 1.3, "label": name}
    if len(epochs) == 1:  # no line to be seen: a point, and a bar for the band
        ax.vlines(epochs, *ends, color=color)
        line |= {"marker": marker, "markersize": 5}
    ax.plot(epochs, mean, **line, rasterized=pixels)
