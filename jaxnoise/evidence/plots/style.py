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
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.text import Text
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


def best_line(ax: Axes, value: float) -> None:
    """A dotted line at the best possible value."""
    ax.axhline(value, label=f"best possible {value:.3f}", **best_style())


def literal(text: Text) -> Text:
    """Show a text as it is: names hold ``$`` and ``_`` that mean no mathematics."""
    text.set_parse_math(False)
    text.set_usetex(False)
    return text


def wrapped(name: Any, width: int = 28, lines: int = 3) -> str:
    """A long name on several lines, cut where it would fill the figure."""
    parts = textwrap.wrap(legible(name), width, max_lines=lines, placeholder=" …")
    return "\n".join(parts)


def legend(
    owner: Any, handles: Sequence[Any], title: str = "", **options: Any
) -> Legend:
    """A legend of names shown as they are, also such as begin with an underscore."""
    options = {"frameon": False, "fontsize": SMALL} | options
    made = owner.legend(handles, [str(i) for i in range(len(handles))], **options)
    for text, handle in zip(made.get_texts(), handles, strict=True):
        literal(text).set_text(wrapped(handle.get_label()))
    made.set_title(title, prop=FontProperties(size=SMALL))
    literal(made.get_title())
    made.set_alignment("left")
    return made


def legend_outside(
    ax: Axes, handles: Sequence[Any], text: str, short: str, *, ours: bool
) -> None:
    """A legend at the right of our own axes, where it hides nothing.

    The figure grows as high as its legend. On given axes it is inside them, and short.
    """
    if not ours:  # there may be others at the right
        legend(ax, handles, short)
        return
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02), "borderaxespad": 0}
    made = legend(ax, handles, text, **place)
    texts = [made.get_title(), *made.get_texts()]
    lines = sum(each.get_text().count("\n") + 1 for each in texts)
    figure: Any = ax.figure
    figure.set_figheight(max(figure.get_figheight(), 0.6 + 0.19 * lines))


def legend_beside(
    figure: Figure,
    axes: list[Axes],
    handles: Sequence[Any],
    notes: Sequence[str],
    *,
    given: Any,
    columns: int | None,
) -> None:
    """A legend for all panels: in the place of a spare one, at the side, or below.

    Below, under so many columns, its notes are on one line; on given axes it is inside
    the first.
    """
    below = columns is not None
    text = ("; " if below else "\n").join(notes).replace("; (", " (")
    spare = [other for other in figure.axes if not other.axison]
    if given is not None:
        legend(axes[0], handles, text)
    elif below:
        legend(figure, handles, text, loc="outside lower center", ncols=len(handles))
    elif spare:
        legend(spare[0], handles, text, loc="center left")
    else:
        legend(figure, handles, text, loc="outside right center")


def new_axes(ax: Axes | None, size: tuple[float, float] = (5.4, 3.6)) -> Axes:
    """The given axes, or those of a new figure."""
    if ax is not None:
        return _checked(ax)
    return plt.subplots(figsize=size, layout="constrained")[1]


def _checked(ax: Any) -> Axes:
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
        given = [_checked(each) for each in np.ravel(ax)]
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
    ax.set_ylabel(wrapped(in_words(metric) if label is None else label, 24))
    if label is None:
        literal(ax.yaxis.label)


def outer_labels(
    axes: list[Axes], x: str | None, label: str | None, metric: str = ""
) -> None:
    """Labels on the left and wherever no panel lies below; x None: ticks everywhere."""
    for i, ax in enumerate(axes):
        ax.set_xlabel(x or "")
        score_label(ax, label, metric)
        spec = ax.get_subplotspec()
        if spec is None:
            continue
        ax.label_outer()
        columns = spec.get_gridspec().ncols
        if x is None or i + columns >= len(axes):
            ax.xaxis.set_tick_params(labelbottom=True)
            ax.xaxis.label.set_visible(True)
            ax.set_xlabel(x or "")


def beside(ax: Axes, y: int, text: str) -> None:
    """A note at the right of a row."""
    right = ax.get_yaxis_transform()
    ax.text(1.02, y, text, transform=right, va="center", fontsize=SMALL)


def rows_of(ax: Axes | None, titles: Sequence[str], margin: float, row: float) -> Axes:
    """Axes with a titled row each, the first at the top; a new figure has room."""
    names = [wrapped(text, 28) for text in titles]
    if ax is not None:
        _checked(ax)
    else:
        lines = max(name.count("\n") + 1 for name in names)
        ax = new_axes(None, (5.8, margin + len(names) * max(row, 0.12 + 0.18 * lines)))
    ax.set_yticks(range(len(names)), names, parse_math=False, usetex=False)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.spines[["top", "right", "left"]].set_visible(False)
    literal(ax.xaxis.label)
    return ax


def title(ax: Axes, text: str, note: str = "") -> None:
    """A panel's title, with a note below or, if there is room, behind it."""
    name = wrapped(text, 26)
    end = f" ({note})" if note and len(name) + len(note) < 26 else ""
    if note and not end:
        end = f"\n({note})"
    literal(ax.set_title(name + end, fontsize="medium"))


def plain(ax: Axes) -> None:
    """No lines at the top and the right."""
    ax.spines[["top", "right"]].set_visible(False)
