"""What all figures share: colours, names shown as they are, axes and panels.

Colours stand out from white, from black, and from one another, also for eyes that lack
a kind of cone, as tests hold; a marker or a line style repeats whatever a colour says.
The first three are Okabe and Ito's. Ink follows matplotlib's own settings, so that
figures suit a dark style too.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from jaxnoise.checks import shown
from jaxnoise.evidence.format import in_words, legible

PALETTE = {  # in the order in which placements take them
    "vermillion": "#D55E00",
    "blue": "#0072B2",
    "green": "#009E73",
    "purple": "#9A3F80",
    "ochre": "#765500",
    "sky": "#1A95FF",
    "grey": "#6F6F6F",
}
PLACEMENTS = tuple(PALETTE.values())
VERMILLION, BLUE, GREEN, PURPLE, OCHRE, SKY, GREY = PLACEMENTS
MARKERS = "osD^v<PX"  # one more than colours: pairs repeat after 56 placements
SMALL = "small"
LITERAL: Any = {"parse_math": False, "usetex": False}  # names hold $ and _


def ink() -> Any:
    """The colour of text, lines of reference and all that is no placement."""
    return plt.rcParams["text.color"]


def placement_style(index: int) -> dict[str, Any]:
    """Colour and marker of the placement with this number."""
    color, marker = (of[index % len(of)] for of in (PLACEMENTS, MARKERS))
    return {"color": color, "marker": marker}


def band_style(color: Any) -> dict[str, Any]:
    """The look of a straight band: faint, which hides nothing, with clear edges."""
    return {"facecolor": to_rgba(color, 0.15), "edgecolor": color, "linewidth": 0.6}


def best_style() -> dict[str, Any]:
    """The look of what is best possible."""
    return {"color": ink(), "linestyle": ":", "linewidth": 1.2}


def best_line(ax: Axes, value: float | None) -> list[Line2D]:
    """A dotted line at the best possible value, if it is known."""
    if value is None:
        return []
    return [ax.axhline(value, label=f"best possible {value:.3f}", **best_style())]


def wrapped(name: Any, width: int = 28, lines: int = 3) -> str:
    """A long name on several lines, cut where it would fill the figure."""
    parts = textwrap.wrap(legible(name), width, max_lines=lines, placeholder=" …")
    return "\n".join(parts)


def legend(
    owner: Any, handles: Sequence[Any], title: str = "", **options: Any
) -> Legend:
    """A legend of names shown as they are, also such as begin with an underscore."""
    look = {"frameon": False, "fontsize": SMALL, "title_fontsize": SMALL}
    look |= {"title": title, "alignment": "left"} | options
    made = owner.legend(handles, [str(i) for i in range(len(handles))], **look)
    for text, handle in zip(made.get_texts(), handles, strict=True):
        text.set(text=wrapped(handle.get_label()), **LITERAL)
    made.get_title().set(**LITERAL)
    return made


def legend_beside(
    ax: Any,
    axes: Sequence[Axes],
    handles: Sequence[Any],
    notes: Sequence[str],
    columns: int | None = None,
) -> None:
    """A legend for all axes, with notes: in the place of a spare one, or at the right.

    A figure of one axes grows as high as its legend. Under panels in so many columns it
    is below them, its notes on one line; on given axes, ``ax``, it is inside the first.
    """
    figure: Any = axes[0].figure
    spare = [other for other in figure.axes if not other.axison]
    text = ("\n" if columns is None else "; ").join(notes).replace("; (", " (")
    if ax is not None:  # there may be others at the right
        legend(axes[0], handles, text)
    elif columns is not None:
        legend(figure, handles, text, loc="outside lower center", ncols=len(handles))
    elif spare:
        legend(spare[0], handles, text, loc="center left")
    elif len(axes) > 1:
        legend(figure, handles, text, loc="outside right center")
    else:
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02)}
        made = legend(axes[0], handles, text, **place, borderaxespad=0)
        texts = [made.get_title(), *made.get_texts()]
        lines = sum(each.get_text().count("\n") + 1 for each in texts)
        figure.set_figheight(max(figure.get_figheight(), 0.6 + 0.19 * lines))


def new_axes(ax: Any, size: tuple[float, float] = (5.4, 3.6)) -> Axes:
    """The given axes, or those of a new figure."""
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(
            f"ax must be axes of matplotlib, plt.subplots()[1], got {shown(ax)}."
        )
    return ax


def panels(
    count: int, height: float, ax: Any, columns: int | None = None, share_x: bool = True
) -> tuple[Figure, list[Axes]]:
    """The given axes, one a panel, or a new figure's, which share their scales."""
    if ax is not None:
        given = [new_axes(each) for each in np.ravel(ax)]
        if len(given) != count:
            raise ValueError(
                f"ax must be one axes a panel, {count} in all, got {len(given)}."
            )
        figure: Any = given[0].figure
        return figure, given
    columns = columns or {1: 1, 2: 2, 4: 2}.get(count, 3)
    rows = -(-count // columns)
    size = max(2.5 * columns + 0.6, 4.6), height * rows + 0.6
    options: Any = {"figsize": size, "squeeze": False, "layout": "constrained"}
    figure, grid = plt.subplots(rows, columns, sharex=share_x, sharey=True, **options)
    for spare in grid.flat[count:]:
        spare.set_axis_off()
    return figure, list(grid.flat[:count])


def score_label(ax: Axes, label: str | None, metric: str) -> None:
    """The user's label of the vertical axis, or the metric's name as it is."""
    text, look = (in_words(metric), LITERAL) if label is None else (label, {})
    ax.set_ylabel(wrapped(text, 24), **look)


def outer_labels(axes: list[Axes], x: str, label: str | None, metric: str = "") -> None:
    """Labels on the left and wherever no panel lies below."""
    for i, ax in enumerate(axes):
        spec = ax.get_subplotspec()
        lowest = spec is None or i + spec.get_gridspec().ncols >= len(axes)
        ax.set(xlabel=x if lowest else "", ylabel="")
        if lowest:
            ax.tick_params(labelbottom=True)
        if spec is None or spec.is_first_col():
            score_label(ax, label, metric)


def beside(ax: Axes, y: int, text: str) -> None:
    """A note at the right of a row."""
    right = ax.get_yaxis_transform()
    ax.text(1.02, y, text, transform=right, va="center", fontsize=SMALL)


def rows_of(ax: Axes | None, titles: Sequence[str], margin: float, row: float) -> Axes:
    """Axes with a titled row each, the first at the top; a new figure has room."""
    names = [wrapped(text) for text in titles]
    row = max(row, 0.12 + 0.18 * max(name.count("\n") + 1 for name in names))
    ax = new_axes(ax, (5.8, margin + len(names) * row))
    ax.set_yticks(range(len(names)), names, **LITERAL)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.spines[["top", "right", "left"]].set_visible(False)
    return ax


def title(ax: Axes, text: str, note: str = "") -> None:
    """A panel's title, with a note below or, if there is room, behind it."""
    name = wrapped(text, 26)
    gap = " " if len(name) + len(note) < 26 else "\n"
    text = f"{name}{gap}({note})" if note else name
    ax.set_title(text, fontsize="medium", **LITERAL)


def plain(ax: Axes) -> None:
    """No lines at the top and the right."""
    ax.spines[["top", "right"]].set_visible(False)
