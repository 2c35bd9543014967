"""Paired differences to the baseline: all of them, or unit by unit.

`forest` is what most sweeps want.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxnoise.evidence.comparison import said
from jaxnoise.evidence.direction import lower_is_better as lower_by_name
from jaxnoise.evidence.plots import style
from jaxnoise.evidence.stats import compare_quietly
from jaxnoise.evidence.units import Cell, paired_cells
from jaxnoise.evidence.words import Table, cell_titles, direction, in_words

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


def forest(
    result: Table,
    *,
    metric: str,
    baseline: str = "none",
    rope: float | None = None,
    label: str | None = None,
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """Draw the paired difference to the baseline, a row a placement and strength.

    Points are mean differences over units and bars their 95 % intervals; the line is no
    difference, and the band the differences that are too small to matter. The verdict
    of `compare` and the number of units stand beside each row.

    Args:
        result: of a sweep, or a table such as `compare` takes.
        metric: a column of ``result.runs``.
        baseline: the placement that others are compared with.
        rope: the largest difference that does not matter, drawn as a band.
        label: of the horizontal axis, with its unit; None says what is subtracted.
        ax: where to draw; None makes a figure.
        **options: for `compare`, such as ``overlap``.

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
    style.check_options("forest", options, style.COMPARE)
    rows = compare_quietly(
        result, metric=metric, baseline=baseline, rope=rope, **options
    )
    better = direction(rows.attrs["lower_is_better"])
    titles = pd.Series(cell_titles(rows), rows.index)
    others = (rows["placement"] != baseline).to_numpy()
    if not others.any():
        raise ValueError(f"result must have more placements than {baseline!r}.")
    rows, titles = rows[others], titles[others]
    ax = style.rows_of(ax, list(titles), 1.4, 0.3)
    if rope is not None:
        ax.axvspan(-rope, rope, **style.band_style(style.GREEN))
    ax.axvline(0, color=style.ink(), linewidth=1)
    for y, row in enumerate(rows.itertuples()):
        _row(ax, y, row)
    difference = f"difference to {baseline} in {in_words(metric)}"
    band = "" if rope is None else f"\nband: within ± {rope:g} is equivalent"
    ax.set_xlabel(
        f"{style.wrapped(label or difference, 40)}\n"
        f"({better}; bar: 95 % interval){band}"
    )
    return ax


def _row(ax: Axes, y: int, row: Any) -> None:
    """Difference, interval, and at the right the verdict and n."""
    color, marker = VERDICTS[row.verdict]
    if np.isfinite(row.low):
        ax.plot([row.low, row.high], [y, y], color=color, linewidth=1.8)
    ax.plot(row.difference, y, color=color, marker=marker, markersize=6)
    text = f"{said(row.verdict)}, n = {row.n}"
    if row.diverged:
        text += f", {row.diverged} diverged"
    style.beside(ax, y, text)


def seed_slopes(
    result: Table,
    *,
    metric: str,
    baseline: str = "none",
    label: str | None = None,
    columns: int | None = None,
    ax: Any = None,
    **options: Any,
) -> Figure:
    """Draw each seed's score without and with noise, a panel a placement and strength.

    A line is one unit: the seed or, if there are several, the split by the mean over
    its seeds. Its colour and style say whether it got better or worse.

    Args:
        result: of a sweep, or a table such as `compare` takes; to draw some of its
            placements alone, pass the rows of ``result.runs`` that hold them and the
            baseline.
        metric: a column of ``result.runs``.
        baseline: the placement at the left of each panel.
        label: of the vertical axis, with its unit; None takes the metric's name.
        columns: panels in a row of the new figure, above the legend; None chooses.
        ax: where to draw, one axes a panel; None makes a figure.
        **options: of `compare`: ``pair_by`` and ``lower_is_better``.

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
    style.check_options("seed_slopes", options, ("pair_by", "lower_is_better"))
    lower = options.pop("lower_is_better", None)
    lower = lower_by_name(metric) if lower is None else lower
    paired = paired_cells(result, metric, baseline, **options)
    titles = cell_titles(pd.DataFrame([cell.name for cell in paired.cells]))
    (reference,) = (cell for cell in paired.cells if cell.is_baseline)
    drawn = [
        (title, cell)
        for title, cell in zip(titles, paired.cells, strict=True)
        if not cell.is_baseline
    ]
    if not drawn:
        raise ValueError(f"result must have more placements than {baseline!r}.")
    figure, panels = style.panels(len(drawn), 2.6, ax, columns, share_x=False)
    for panel, (title, cell) in zip(panels, drawn, strict=True):
        note = _slopes(panel, reference.scores, cell, lower)
        style.title(panel, title, note)
        names = [style.wrapped(baseline, 14), style.wrapped(cell.name["placement"], 14)]
        panel.set_xticks([0, 1], names, parse_math=False, usetex=False)
        panel.set_xlim(-0.25, 1.25)
        style.plain(panel)
        if label is None:
            style.literal(panel.yaxis.label)
    style.outer_labels(panels, None, label or in_words(metric))
    handles = [
        Line2D([], [], color=color, linestyle=line, label=word)
        for word, (color, line) in SLOPES.items()
    ]
    below = columns is not None
    better = f"({direction(lower)})"
    text = style.notes(f"a line is one {paired.unit}", better, one_line=below)
    style.legend_beside(figure, panels, handles, text, ours=ax is None, below=below)
    return figure


def _slopes(ax: Axes, reference: np.ndarray, cell: Cell, lower: bool) -> str:
    """A line a unit; how many there are, and which way they went."""
    alpha = max(0.1, min(1, 30 / max(len(reference), 1)))
    signs = np.sign(cell.differences) * (-1 if lower else 1)
    for left, change, sign in zip(reference, cell.differences, signs, strict=True):
        if np.isfinite(change):
            color, line = SLOPES[{1: "better", -1: "worse", 0: "equal"}[int(sign)]]
            ax.plot(
                [0, 1],
                [left, left + change],
                color=color,
                linestyle=line,
                linewidth=1,
                marker=".",
                markersize=4,
                alpha=alpha,
            )
    n = len(cell.unit_differences)
    equal = int((signs == 0).sum())
    note = f"n = {n}, {int((signs > 0).sum())} better"
    return f"{note}, {equal} equal" if equal else note
