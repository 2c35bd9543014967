"""Several data sets in one picture: what each says, and all of them together."""

from matplotlib.axes import Axes

from jaxnoise.evidence.format import in_words, joined, said
from jaxnoise.evidence.many import ManyComparison
from jaxnoise.evidence.plots import style
from jaxnoise.evidence.plots.differences import VERDICTS
from jaxnoise.results import cell_columns

TWO_ERRORS = 1.959964


def sets_forest(
    many: ManyComparison,
    *,
    row: int = 0,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the standardised effect of each data set, and their mean below.

    Points are the effects and bars 95 % of their normal law; at the bottom stands the
    random-effects mean with its interval, and the thin line of the next data set.

    Args:
        many: of `compare_many`.
        row: of ``many.summary``: the placement, strength and metric that are drawn.
        label: of the horizontal axis; None names metric, placement and strength.
        ax: where to draw; None makes a figure.

    Returns:
        The axes, with the first data set at the top.

    Raises:
        TypeError: if ``ax`` is no axes.

    Reference: S. Lewis, M. Clarke, "Forest plots: trying to see the wood and the
        trees", 2001.

    Example:
        >>> import numpy as np, pandas as pd, jaxnoise as jn
        >>> draw = np.random.default_rng(0)
        >>> tables = {
        ...     name: pd.DataFrame({
        ...         "placement": np.repeat(["none", "input"], 10),
        ...         "strength": np.repeat([0.0, 0.1], 10),
        ...         "seed": np.tile(np.arange(10), 2),
        ...         "accuracy": draw.normal(0.8, 0.02, 20),
        ...     })
        ...     for name in ("iris", "wine")
        ... }
        >>> ax = jn.plots.sets_forest(jn.compare_many(tables, metric="accuracy"))
        >>> [text.get_text() for text in ax.get_yticklabels()]
        ['iris', 'wine', 'mean of 2 sets']
    """
    pooled = many.summary.iloc[row]
    names = ["metric", *cell_columns(many.summary)]
    same = (many.sets[names].fillna("") == pooled[names].fillna("")).all(axis=1)
    sets = many.sets[same]
    ax = style.rows_of(ax, [*sets["set"], f"mean of {pooled.k} sets"], 1.4, 0.3)
    ax.axvline(0, color=style.ink(), linewidth=1)
    for y, each in enumerate(sets.itertuples()):
        color, marker = VERDICTS[each.verdict]
        half = TWO_ERRORS * each.error
        ax.plot([each.effect - half, each.effect + half], [y, y], color=color)
        ax.plot(each.effect, y, color=color, marker=marker, markersize=6)
        style.beside(ax, y, f"{said(each.verdict)}, n = {each.n}")
    y, ink = len(sets), {"color": style.ink()}
    ax.plot([pooled.next_low, pooled.next_high], [y, y], linewidth=0.8, **ink)
    ax.plot([pooled.low, pooled.high], [y, y], linewidth=3, **ink)
    ax.plot(pooled["mean"], y, marker="D", markersize=7, **ink)
    style.beside(ax, y, f"better in {pooled.better}, worse in {pooled.worse}")
    what = f"{in_words(pooled.metric)}, {joined(pooled[names[1:]].to_dict())}"
    notes = "standardised effect, above 0 better; bars: 95 %\nthin: the next data set"
    ax.set_xlabel(f"{style.wrapped(label or what, 40)}\n({notes})", **style.LITERAL)
    return ax
