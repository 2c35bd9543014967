"""Heat maps: a score against two things at once, every cell with its number."""

from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm, Normalize

from jaxnoise.evidence import format as fmt
from jaxnoise.evidence.compare import Comparison, comparison_of
from jaxnoise.evidence.plots import style
from jaxnoise.evidence.table import Source, lower_is_better
from jaxnoise.evidence.units import Options
from jaxnoise.results import cell_columns

DARK, LIGHT = "#010101", "#ffffff"
EQUAL = 0.179  # luminance of what dark and light stand out from alike
MISSING = "#b0b0b0"  # no colour of the maps, nor of a page
MAPS = {  # told apart by all: blue and yellow, and red and blue around 0
    "mean": ("cividis", Normalize),
    "difference": ("RdBu", CenteredNorm),
}
SIDE_BY_SIDE = 50  # letters of names below a map, which slant if there are more
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
    _check_value(value)
    rows = comparison_of("strength_heatmap", result, metric, options)
    drawn = _placement(rows[rows["placement"] != rows.attrs["baseline"]], placement)
    x, y = _axes_of(drawn, x, y)
    grid = drawn.pivot(index=y, columns=x, values=value)
    told = drawn["verdict"].isin(WRITTEN) & (value == "difference")
    verdicts = drawn.assign(told=drawn["verdict"].where(told, ""))
    verdicts = verdicts.pivot(index=y, columns=x, values="told").fillna("")
    ax, image = _map(ax, grid, verdicts, value, rows.attrs["lower_is_better"], 2.4)
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
    rows = _there("curve", curve.comparison)
    titles = fmt.cell_titles(rows[rows["verdict"] != "baseline"])
    levels = [metric.removeprefix(f"{curve.score} at ") for metric in rows.metrics]
    grid, told = _differences(rows)
    lower = rows.of(rows.metrics[0]).attrs["lower_is_better"]
    ax, image = _map(ax, grid.T, told.T, "difference", lower, 3.4)
    _name(ax, titles, levels)
    ax.set_xlabel(f"noise on {curve.site} at test time", **style.LITERAL)
    ax.set_ylabel("training")
    first = rows.of(rows.metrics[0])
    _colour_bar(ax, image, first, "difference", label or fmt.in_words(curve.score))
    return ax


def corruption_panel(
    panel: Any,
    *,
    value: str = "mean",
    severity: int | None = None,
    label: str | None = None,
    ax: Any = None,
) -> Axes:
    """Draw the score under each corruption, a column a placement and strength.

    Scores are means over the runs and over severities. Of a single placement or model
    there is a column a severity, of which 0 is clean.

    Args:
        panel: what `jaxnoise.corruption_panel` returned.
        value: "mean", or "difference" for the paired difference to the runs without
            noise, over all severities, with the verdict where it is better, worse or
            equivalent.
        severity: means of this severity alone; None of all.
        label: of the numbers; None takes the score's name.
        ax: where to draw; None makes a figure.

    Returns:
        The axes; a colour bar stands beside them.

    Raises:
        ValueError: if ``value`` is another one, or there were no runs without noise to
            compare with.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jax.random.normal(jax.random.key(0), (500, 2))
        >>> models = {"one": lambda x: x[:, :1], "mean": lambda x: x.mean(1)[:, None]}
        >>> data, key = (x, x[:, :1] > 0), jax.random.key(1)
        >>> panel = jn.corruption_panel(models, data, key=key)
        >>> ax = jn.plots.corruption_panel(panel)
        >>> [text.get_text() for text in ax.get_xticklabels()]
        ['one', 'mean']
    """
    _check_value(value)
    what = label or fmt.in_words(panel.score)
    lower, cells = bool(lower_is_better(panel.score)), cell_columns(panel.runs)
    if value == "mean":
        grid, columns = _scores(panel, severity)
        names, told = list(grid.index), grid.map(lambda _: "")
    else:
        rows = _there("panel", panel.by_corruption())
        columns = fmt.cell_titles(rows[rows["verdict"] != "baseline"])
        grid, told = _differences(rows)
        names = [name.removeprefix(f"{panel.score} at ") for name in rows.metrics]
    ax, image = _map(ax, grid, told, value, lower, 3.4)
    _name(ax, names, columns)
    ax.invert_yaxis()
    ax.set_xlabel("training" if panel.runs[cells].nunique().max() > 1 else "severity")
    if value == "mean":
        _bar(ax, image, what, f"mean; {fmt.which_is_better(lower)}")
    else:
        _colour_bar(ax, image, rows.of(rows.metrics[0]), value, what)
    return ax


def _scores(panel: Any, severity: int | None) -> tuple[pd.DataFrame, list[str]]:
    """Means by corruption and cell, or by severity of a single one, and what it is."""
    runs, titles = panel.runs, fmt.cell_titles(panel.runs)
    if severity is not None:
        runs = runs[runs["severity"].isin([0, severity])]
    cell = runs.groupby(cell_columns(runs), sort=False, dropna=False).ngroup()
    by = cell if len(titles) > 1 else runs["severity"]
    grid = runs.pivot_table(panel.score, "corruption", by, sort=False, dropna=False)
    if len(titles) > 1:
        return grid, titles
    grid[0] = grid.at["clean", 0]
    return grid.drop(index="clean"), [f"{each}" for each in grid]


def _there(name: str, comparison: Comparison | None) -> Comparison:
    """The comparison of a curve or panel, refused where there is none."""
    if comparison is None:
        raise ValueError(
            f"{name} must have a comparison, of runs of several placements with the "
            "baseline among them, got one without."
        )
    return comparison


def _differences(rows: Comparison) -> tuple[Any, Any]:
    """Differences and verdicts, a row a metric, a column a placement and strength."""
    drawn = rows[rows["verdict"] != "baseline"]
    told = drawn["verdict"].where(drawn["verdict"].isin(WRITTEN), "")
    shape = len(rows.metrics), -1
    both = drawn["difference"], told
    difference, verdict = (pd.DataFrame(v.to_numpy().reshape(shape)) for v in both)
    return difference, verdict


def _map(
    ax: Any, grid: Any, told: Any, value: str, lower: bool, room: float
) -> tuple[Axes, Any]:
    """Coloured cells with their numbers, and what is told of them below."""
    height, width = grid.shape
    ax = style.new_axes(
        ax, (max(room + 0.75 * width, 4.2), max(1.3 + 0.5 * height, 2.6))
    )
    colours, norm = MAPS[value]
    colours += "_r" * lower
    image = ax.pcolormesh(np.ma.masked_invalid(grid), cmap=colours, norm=norm())
    ax.set_facecolor(MISSING)
    _annotate(ax, image, grid, told, "+" if value == "difference" else "-")
    return ax, image


def _name(ax: Axes, rows: list[str], columns: list[str]) -> None:
    """Names at the sides."""
    for axis, texts in ((ax.yaxis, rows), (ax.xaxis, columns)):
        axis.set_ticks(np.arange(len(texts)) + 0.5, texts, **style.LITERAL)
        axis.set_tick_params(length=0)
    if sum(map(len, columns)) > SIDE_BY_SIDE:
        for text in ax.get_xticklabels():
            text.set(rotation=30, ha="right")


def _check_value(value: str) -> None:
    if value not in MAPS:
        raise ValueError(f'value must be "mean" or "difference", got {value!r}.')


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
    what = label if value == "mean" else f"{label}, difference to {facts['baseline']}"
    note = f"mean, {fmt.count(noisy['n'], facts['unit'])}; {better}"
    bar = _bar(ax, image, what, note)
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


def _bar(ax: Axes, image: Any, what: str, note: str) -> Any:
    """A colour bar with what the numbers are, and a note."""
    bar = ax.figure.colorbar(image, ax=ax)
    bar.outline.set_visible(False)
    lines = style.wrapped(what, 36), style.wrapped(note, 36)
    bar.set_label("\n".join(lines), fontsize=style.SMALL, **style.LITERAL)
    return bar
