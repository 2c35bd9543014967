"""The table that `compare` returns: pandas, printed for people."""

import re
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.results import cell_columns

DECIMALS = 4  # at least
DIGITS = 3  # of a small number, at least
LARGE = 1e9  # from here on powers of ten
SMALLEST_P = 1e-4
TOGETHER = ("difference", "low", "high", "boot_low", "boot_high")  # like decimals
DETAILS = (
    *("sd", "median", "iqm", "boot_low", "boot_high"),
    *("win_probability", "win_low", "win_high", "p", "diverged"),
)


class Comparison(pd.DataFrame):
    """A pandas table that prints what counts, in lines that fit a terminal.

    A whole table prints without its details, which a last line names, next to the
    direction that counted as better; runs that diverged are no detail. Columns that
    were chosen are printed as they are. Numbers are shown to four decimals, small ones
    to three digits; "-" is what is not known. Notebooks show the same text;
    ``to_markdown`` and ``to_latex`` show all columns.
    """

    @property
    def _constructor(self) -> type["Comparison"]:
        return Comparison

    def __repr__(self) -> str:
        text = self._text().drop(columns=self._details())
        table = text.to_string(index=self._has_index())
        return "\n".join([table, *self._last_line()])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        text = self._text().drop(columns=self._details())
        lines = [f"<p>{escape(line)}</p>" for line in self._last_line()]
        return "\n".join([text.to_html(index=self._has_index()), *lines])

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

    def _details(self) -> list[str]:
        """The columns that a whole table does not print; none of chosen columns."""
        if not set(DETAILS) <= set(self.columns):
            return []
        diverged = (self["diverged"] > 0).any()
        return [name for name in DETAILS if name != "diverged" or not diverged]

    def _last_line(self) -> list[str]:
        """Which way is better, and where the details are."""
        if not self._details():
            return []
        names = [re.sub("^(boot|win)_.*", r"\1_*", name) for name in self._details()]
        more = f"more columns: {', '.join(dict.fromkeys(names))}"
        facts = self.attrs
        if "lower_is_better" not in facts:  # pandas drops them, as where tables join
            return [more]
        return [f"{facts['metric']}: {direction(facts['lower_is_better'])}; {more}"]

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
                form: Any = said if name == "verdict" else str
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


def said(verdict: str) -> str:
    """A verdict for people: "none" beside a placement of that name is no word."""
    return "no verdict" if verdict == "none" else verdict


def direction(lower: bool) -> str:
    """Which way is better."""
    return "lower is better" if lower else "higher is better"


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
