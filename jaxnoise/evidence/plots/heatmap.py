"""A score for two strengths at once, such as those of inputs and hidden layer."""

from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_rgb

from jaxnoise.evidence.compare import Comparison, comparison_of
from jaxnoise.evidence.format import (
    count,
    decimals,
    fixed,
    in_words,
    number,
    which_is_better,
)
from jaxnoise.evidence.plots import style
from jaxnoise.evidence.table import Source
from jaxnoise.evidence.units import Options

DARK, LIGHT = "#010101", "#ffffff"
MISSING = "#b0b0b0"  # no colour of the maps, nor of a page
WRITTEN = ("better", "worse", "equivalent")


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
    if value not in ("mean", "difference"):
        raise ValueError(f'value must be "mean" or "difference", got {value!r}.')
    rows = comparison_of("strength_heatmap", result, metric, options)
    drawn = _placement(rows[rows["placement"] != rows.attrs["baseline"]], placement)
    x, y = _axes_of(drawn, x, y)
    grid = drawn.pivot(index=y, columns=x, values=value)
    height, width = (len(axis) for axis in grid.axes)
    size = max(2.4 + 0.75 * width, 4.2), max(1.3 + 0.5 * height, 2.6)
    ax = style.new_axes(ax, size)
    colours: Any = {"cmap": _colours(value, rows.attrs["lower_is_better"])}
    colours["norm"] = _scale(grid, value)
    edges = np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5
    image = ax.pcolormesh(*edges, np.ma.masked_invalid(grid), **colours)
    ax.set_facecolor(MISSING)
    verdicts = drawn.pivot(index=y, columns=x, values="verdict")
    _annotate(ax, image, grid, verdicts if value == "difference" else None)
    _ticks(ax.xaxis, grid.columns, x)
    _ticks(ax.yaxis, grid.index, y)
    _colour_bar(ax, image, rows, value, label or in_words(rows.attrs["metric"]))
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


def _colours(value: str, lower: bool) -> str:
    """Blue and yellow are told apart by all, and so are red and blue around white."""
    name = "cividis" if value == "mean" else "RdBu"
    return f"{name}_r" if lower else name


def _scale(grid: pd.DataFrame, value: str) -> Normalize:
    """The range of colours; differences have 0 in the middle."""
    numbers = grid.to_numpy(float)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Normalize(0, 1)
    if value == "difference":
        reach = np.abs(numbers).max() or 1.0
        return Normalize(-reach, reach)
    return Normalize(numbers.min(), numbers.max())


def _annotate(
    ax: Axes, image: Any, grid: pd.DataFrame, verdicts: pd.DataFrame | None
) -> None:
    """Each number on its cell, dark or light, whichever stands out more."""
    numbers = grid.to_numpy(float)
    digits = decimals(numbers)
    for (i, j), score in np.ndenumerate(numbers):
        if not np.isfinite(score):
            text, color = "–", DARK
        else:
            text = fixed(score, digits, "-" if verdicts is None else "+")
            color = stands_out(to_rgb(image.cmap(image.norm(score))))
        if verdicts is not None and verdicts.iat[i, j] in WRITTEN:
            text += f"\n{verdicts.iat[i, j]}"
        ax.text(j, i, text, color=color, ha="center", va="center", fontsize=style.SMALL)


def stands_out(background: Any) -> str:
    """Dark or light ink, by the contrast ratio of WCAG."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in background
    ]
    luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return DARK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else LIGHT


def _ticks(axis: Any, values: pd.Index, column: str) -> None:
    """The strengths, and of what they are."""
    axis.set_ticks(range(len(values)), [number(v) for v in values])
    axis.set_tick_params(length=0)
    style.literal(axis.label)
    axis.set_label_text(f"strength of {column.removeprefix('strength.')}")


def _colour_bar(ax: Axes, image: Any, rows: Comparison, value: str, label: str) -> None:
    """What the colours mean, and where the baseline is."""
    facts = rows.attrs
    noisy = rows[rows["placement"] != facts["baseline"]]
    better = which_is_better(facts["lower_is_better"])
    bar = ax.figure.colorbar(image, ax=ax)
    bar.outline.set_visible(False)
    what = label if value == "mean" else f"{label}, difference to {facts['baseline']}"
    style.literal(bar.ax.yaxis.label)
    note = f"mean, {count(noisy['n'], facts['unit'])}; {better}"
    lines = style.wrapped(what, 36), style.wrapped(note, 36)
    bar.set_label("\n".join(lines), fontsize=style.SMALL)
    reference = float(rows.evidence.baseline.score_interval.mean)
    low, high = image.get_clim()
    if value == "mean" and low <= reference <= high:
        for color, width in ((LIGHT, 4), (DARK, 1.5)):  # one of them stands out
            bar.ax.axhline(reference, color=color, linewidth=width)
    if value == "mean":
        text = f"{facts['baseline']} has {fixed(reference, decimals([low, high]))}"
        style.literal(ax.set_title(style.wrapped(text, 40), fontsize=style.SMALL))
