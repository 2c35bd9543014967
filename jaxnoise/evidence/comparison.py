"""The table that `compare` returns: pandas, printed for people."""

from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.results import cell_columns

DECIMALS = 4  # at least
DIGITS = 3  # of a small number, at least
LARGE = 1e9  # from here on powers of ten
SMALLEST_P = 1e-4
TOGETHER = ("difference", "low", "high", "boot_low", "boot_high")  # like decimals


class Comparison(pd.DataFrame):
    """A pandas table that prints all of its columns, whatever the terminal's width.

    Numbers are shown to four decimals, small ones to three digits; "-" is what is not
    known. ``to_markdown``, ``to_latex`` and notebooks show the same text.
    """

    @property
    def _constructor(self) -> type["Comparison"]:
        return Comparison

    def __repr__(self) -> str:
        return self._text().to_string(index=self._has_index())

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return self._text().to_html(index=self._has_index())

    def to_markdown(self, buf: Any = None, **options: Any) -> str | None:
        """The table in Markdown; options are those of pandas' ``to_markdown``."""
        text = self._text().map(_no_pipe).rename(index=_no_pipe)
        options = {"index": self._has_index(), "disable_numparse": True} | options
        index = ["left"] * bool(options["index"])
        sides = ["right" if number else "left" for number in self._numbers()]
        return text.to_markdown(buf, **{"colalign": [*index, *sides]} | options)

    def to_latex(self, buf: Any = None, **options: Any) -> str | None:
        """The table in LaTeX; options are those of pandas' ``to_latex``."""
        options = {"index": self._has_index(), "escape": True} | options
        sides = "".join("r" if number else "l" for number in self._numbers())
        sides = "l" * bool(options["index"]) + sides
        return self._text().to_latex(buf, **{"column_format": sides} | options)

    def _has_index(self) -> bool:
        return not isinstance(self.index, pd.RangeIndex)

    def _numbers(self) -> list[bool]:
        return [pd.api.types.is_numeric_dtype(kind) for kind in self.dtypes]

    def _text(self) -> pd.DataFrame:
        """The cells as they are shown."""
        together = [name for name in TOGETHER if name in self]
        common = decimals(self[together].to_numpy(float))
        shown = {}
        for i, name in enumerate(self.columns):
            column = pd.Series(self.iloc[:, i])
            if not pd.api.types.is_float_dtype(column):
                form: Any = str
            elif name in cell_columns(self):
                form = "{:g}".format
            elif name in ("p", "p_holm"):
                form = _p
            else:
                values = column.to_numpy(float)
                own = common if name in together else decimals(values)
                form = f"{{:.{own}f}}".format
                if np.abs(values[np.isfinite(values)]).max(initial=0.0) >= LARGE:
                    form = "{:.6g}".format
            shown[name] = ["-" if v != v else form(v) for v in column]
        return pd.DataFrame(shown, index=pd.Index(self.index), dtype=object)


def _no_pipe(cell: Any) -> str:
    return str(cell).replace("|", r"\|")  # it would end the cell


def decimals(values: np.ndarray) -> int:
    """Four, or as many as show three digits of the largest."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    if not largest:
        return DECIMALS
    return max(DECIMALS, DIGITS - 1 - int(np.floor(np.log10(largest))))


def _p(p: float) -> str:
    return f"<{SMALLEST_P:.{DECIMALS}f}" if p < SMALLEST_P else f"{p:.{DECIMALS}f}"
