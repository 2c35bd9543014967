"""Ticks at given values, of which as many are labelled as have room.

`label_side_by_side` is what `strength_curve` asks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axis import XAxis
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, NullFormatter

GAP = 0.6  # between labels, in sizes of their font


def label_side_by_side(axis: XAxis, values: np.ndarray) -> None:
    """A tick a value, with plain numbers that never touch, whatever the figure's size.

    Args:
        axis: that along the bottom, with its scale.
        values: in ascending order, each once.
    """
    written = _written(values)
    axis.set_major_locator(SideBySide(values, written))
    axis.set_major_formatter(FuncFormatter(lambda x, _: written(x)))
    axis.set_minor_locator(FixedLocator(list(values)))
    axis.set_minor_formatter(NullFormatter())


def _written(values: np.ndarray) -> Callable[[float], str]:
    """Three digits, or as many as tell all of the values apart."""
    digits = next(
        n for n in range(3, 18) if len({f"{x:.{n}g}" for x in values}) == len(values)
    )
    return lambda x: f"{x:.{digits}g}"


class SideBySide(Locator):
    """As many of the values as have labels that fit along the axis as it is drawn."""

    def __init__(self, values: np.ndarray, written: Callable[[float], str]) -> None:
        self.values, self.written = values, written

    def __call__(self) -> Sequence[float]:
        """The values in sight whose labels do not touch."""
        axis: Any = self.axis
        return self.tick_values(*axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Those between two values."""
        low, high = sorted((vmin, vmax))
        seen = self.values[(low <= self.values) & (self.values <= high)]
        axis: Any = self.axis
        font = axis.get_major_ticks(1)[0].label1.get_fontproperties()
        gap = GAP * font.get_size_in_points()
        widths = np.array([gap + _width(self.written(x), font) for x in seen])
        points = np.column_stack([seen, np.zeros(len(seen))])
        middles = axis.axes.get_xaxis_transform().transform(points)[:, 0]
        chosen = _apart(middles, widths * axis.axes.figure.dpi / 72)
        return [float(x) for x in seen[chosen]]


def _width(text: str, font: FontProperties) -> float:
    """In points."""
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def _apart(middles: np.ndarray, widths: np.ndarray) -> list[int]:
    """The most labels that do not touch: always that which ends first, and the last."""
    left, right = middles - widths / 2, middles + widths / 2
    order, kept = [int(i) for i in np.argsort(right)], list[int]()
    for i in order:
        if not kept or left[i] >= right[kept[-1]]:
            kept.append(i)
    if len(kept) > 1 and left[order[-1]] >= right[kept[-2]]:
        kept[-1] = order[-1]
    return kept
