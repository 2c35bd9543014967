"""Binary tasks on the plane: their points, and what models decide about it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import expit

from jaxnoise.checks import shown
from jaxnoise.data import Data
from jaxnoise.evidence.plots import style
from jaxnoise.model import as_model
from jaxnoise.results import SweepResult, cell_columns, planned_runs, strengths_of

CLASSES = ((style.VERMILLION, "o"), (style.BLUE, "^"))


def scatter(data: Data, *, ax: Axes | None = None) -> Axes:
    """Draw the train and test points of a two-dimensional binary task.

    Args:
        data: x of shape (rows, 2), y of shape (rows, 1) with targets 0 and 1.
        ax: where to draw; None makes a figure.

    Returns:
        The axes.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the points are not two-dimensional.

    Example:
        >>> import jaxnoise as jn
        >>> ax = jn.plots.scatter(jn.data.circles())
        >>> ax.get_xlabel()
        '$x_1$'
    """
    _check_data(data)
    ax = style.new_axes(ax, size=(4.6, 4.6))
    for name in ("train", "test"):
        if name in data:
            _points(ax, data[name], name, filled=name == "train")
    handles, _ = ax.get_legend_handles_labels()
    style.legend(ax, handles, fontsize=8, loc="upper right", ncols=2)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.18 * (high - low))  # room for the legend
    _plane(ax)
    return ax


def decision_regions(
    logits: Mapping[str, Callable[[np.ndarray], Any]] | SweepResult,
    data: Data,
    *,
    epochs: Sequence[int] | None = None,
    best_radius: float | None = None,
    ax: Any = None,
) -> Figure:
    """Draw what models decide on the plane, a panel a model, over the train points.

    Args:
        logits: by title, a function from points (rows, 2) to logits (rows, 1); or the
            result of a sweep with ``keep_params_at``, of which each run that kept
            variables has a panel an epoch: ``result.where(...)`` has few.
        data: the task, as for `scatter`.
        epochs: of a result; None for all of which it has variables.
        best_radius: radius of the best possible boundary around the origin, dotted.
        ax: where to draw, one axes a panel; None makes a figure.

    Returns:
        The figure that holds the panels.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the points are not two-dimensional, the axes are too few or too
            many, or a result has no recipes or no variables of the epochs.

    Example:
        >>> import jaxnoise as jn
        >>> figure = jn.plots.decision_regions(
        ...     {"circle": lambda x: 0.9 - (x**2).sum(1, keepdims=True)},
        ...     jn.data.circles(),
        ... )
        >>> len(figure.axes)  # the panel and its colour bar
        2
    """
    _check_data(data)
    if isinstance(logits, SweepResult):
        logits = _over_time(logits, epochs)
    if not isinstance(logits, Mapping):
        raise TypeError(
            "logits must map titles to functions, such as {'model': function}, "
            f"got {shown(logits)}."
        )
    figure, panels = style.panels(len(logits), 2.4, ax)
    reach = 1.1 * max(np.abs(x).max() for x, _ in data.values())
    line = np.linspace(-reach, reach, 241, dtype=np.float32)
    plane = np.stack(np.meshgrid(line, line), axis=-1)
    circle = np.linspace(0, 2 * np.pi, 181)
    for panel, (title, function) in zip(panels, logits.items(), strict=True):
        values = np.asarray(function(plane.reshape(-1, 2))).reshape(plane.shape[:2])
        _regions(panel, line, values)
        _points(panel, data.train, "train", filled=True)
        panel.plot([], [], color=style.ink(), linewidth=1.3, label="boundary")
        if best_radius is not None:
            x, y = best_radius * np.cos(circle), best_radius * np.sin(circle)
            panel.plot(x, y, **style.best_style(), label="best possible")
        style.title(panel, title)
        _plane(panel)
    where, image = panels if ax is not None else figure.axes, panels[0].collections[0]
    figure.colorbar(image, ax=where, label="probability of class 1")
    style.outer_labels(panels, "$x_1$", "$x_2$")
    handles, _ = panels[0].get_legend_handles_labels()
    if ax is None:
        style.legend(figure, handles, loc="outside lower center", ncols=2)
    else:
        style.legend(panels[0], handles, loc="upper right")
    return figure


def _over_time(
    result: SweepResult, epochs: Sequence[int] | None
) -> Mapping[str, Callable[[np.ndarray], Any]]:
    """By title, the network of each run and epoch."""
    asked = list(result.variables_at if epochs is None else epochs)
    if not asked or not set(asked) <= set(result.variables_at):
        there = ", ".join(map(str, result.variables_at)) or "none"
        raise ValueError(
            f"epochs must be of keep_params_at of the sweep, which are {there}, "
            f"got {shown(asked)}."
        )
    if result.origin is None:
        raise ValueError(
            "the result must have its recipes, as one that a sweep of this process "
            "returned; give functions by title instead."
        )
    panels = {}
    for number, run in enumerate(planned_runs(result)):
        apply = as_model(result.origin.recipes[run.placement](run.strength).model).apply
        for epoch in asked:
            variables = result.variables_at[epoch][number]
            if variables is not None:
                cell = strengths_of(
                    result.runs.iloc[[number]][cell_columns(result.runs)]
                )
                panels[f"{cell}, seed {run.seed}, epoch {epoch}"] = partial(
                    _logits, apply, variables
                )
    return panels


def _logits(apply: Callable[..., Any], variables: Any, x: np.ndarray) -> Any:
    return apply(variables, x, train=False, key=None)[0]


def _check_data(data: Any) -> None:
    if not isinstance(data, Data):
        raise TypeError(
            f"data must be a jn.Data, such as jn.Data(train=(x, y)), got {shown(data)}."
        )


def _regions(ax: Axes, line: np.ndarray, values: np.ndarray) -> None:
    """Probabilities over the plane, and the boundary where there is one."""
    look: Any = {"cmap": "RdBu", "vmin": 0, "vmax": 1, "alpha": 0.6}
    ax.pcolormesh(line, line, expit(values), **look, shading="auto", rasterized=True)
    if values.min() < 0 < values.max():
        ax.contour(line, line, values, levels=[0], colors=[style.ink()], linewidths=1.3)


def _points(ax: Axes, rows: Any, name: str, *, filled: bool) -> None:
    x, y = rows
    if np.ndim(x) != 2 or np.shape(x)[1] != 2:
        raise ValueError(
            f"data must have points of shape (rows, 2), got {np.shape(x)}."
        )
    for target, (color, marker) in enumerate(CLASSES):
        look: Any = {"facecolors": "none", "edgecolors": color, "linewidths": 1}
        if filled:
            ink = style.ink()
            look = {"facecolors": color, "edgecolors": ink, "linewidths": 0.6}
        label = f"{name}, class {target}"
        x1, x2 = np.asarray(x)[np.ravel(y) == target].T
        ax.scatter(x1, x2, s=26, marker=marker, label=label, **look)


def _plane(ax: Axes) -> None:
    ax.set_aspect("equal")
    ax.set_xlabel("$x_1$")
    ax.set_ylabel("$x_2$")
    style.plain(ax)
