"""Figures inside a web page: SVG that takes its colours from the page's style sheet.

`drawn_for_page` is how the report draws.
"""

import base64
import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from jaxnoise.evidence.plots import style

INK = "#121212"  # stands for the page's own colour of text
ON_DARK = {  # the palette where a reader's screen is dark
    "vermillion": "#FF6326",
    "blue": "#2A7CFF",
    "green": "#00A66A",
    "purple": "#D491B1",
    "ochre": "#FFE082",
    "sky": "#33D0FF",
    "grey": "#7A7A7A",
}
COLOURS = {INK: "currentColor"} | {
    colour.lower(): f"var(--{name})" for name, colour in style.PALETTE.items()
}
CLEAR = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
INKED = (
    "text.color",
    "axes.edgecolor",
    "axes.labelcolor",
    "xtick.color",
    "ytick.color",
)
SETTINGS = dict.fromkeys(CLEAR, "none") | dict.fromkeys(INKED, INK)
SETTINGS |= {
    "svg.fonttype": "none",  # text stays text: sharp, and of the reader's fonts
    "svg.hashsalt": "jaxnoise",
}
LARGEST = 800_000  # letters of an SVG; what has more is an image


def drawn_for_page(draw: Callable[[], Any], prefix: str) -> tuple[str, str]:
    """Draw, and return ``("svg", markup)`` or ``("png", data URI)``.

    The user's settings of matplotlib have no say, so that a page depends on its numbers
    alone, and the figure is closed, so that a notebook does not show it again.

    Args:
        draw: makes a figure, or axes in one.
        prefix: of all names in the SVG, which must differ within a page.
    """
    with plt.style.context(["default", SETTINGS]), warnings.catch_warnings():
        # glyphs that matplotlib's font lacks: the browser has more fonts
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        made = draw()
        figure = made if isinstance(made, Figure) else made.figure
        try:
            svg = _svg(figure, prefix)
            if len(svg) <= LARGEST:
                return "svg", svg
            return "png", _png(figure)
        finally:
            plt.close(figure)


def _svg(figure: Figure, prefix: str) -> str:
    """Markup that can stand inside HTML, with nothing that points outside it."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", dpi=150, metadata=nothing)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.S)
    head, rest = svg.split(">", 1)
    head = re.sub(r' (xmlns(:\w+)?|version|height)="[^"]*"', "", head)
    return re.sub(r"<[^>]*>", lambda tag: _tag(tag[0], prefix), f"{head}>{rest}")


def _tag(tag: str, prefix: str) -> str:
    """A tag with the prefix in its names and the page's colours."""
    tag = tag.replace("xlink:href=", "href=")
    tag = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", tag)
    return re.sub("|".join(COLOURS), lambda found: COLOURS[found[0]], tag)


def _png(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(
        file, format="png", dpi=150, facecolor="white", metadata={"Software": None}
    )
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
