"""What the experiments say of comparisons: rows of a summary, tables, intervals."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from jaxnoise.evidence.format import in_words

Row = dict[str, Any]


def quietly(function: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
    """`jn.compare` or `jn.select`, for tables that say n themselves.

    `print_cautions` says the rest.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(compare|select): ", UserWarning)
        return function(*args, **arguments)


def print_cautions(rows: Any) -> None:
    """What `jn.compare` warns of: few units, or too few for any verdict."""
    if rows.caution:
        print(f"caution: {rows.caution}.")


def difference_of(row: Mapping[str, Any]) -> Row:
    """The difference in a row of a comparison, with its interval."""
    return {"mean": row["difference"], "low": row["low"], "high": row["high"]}


def with_interval(difference: Mapping[str, Any]) -> str:
    """A difference and its interval as text."""
    return "{mean:+.4f} [{low:+.4f}, {high:+.4f}]".format(**difference)


def summarise(tables: Mapping[str, pd.DataFrame], compared: str) -> list[Row]:
    """For each placement and strength: n, means and spreads, and the difference."""
    rows = []
    for i, row in tables[compared].iterrows():
        noisy = row["placement"] != "none"
        rows.append(
            {
                "placement": row["placement"],
                "strength": float(row["strength"]),
                "n": int(row["n"]),
                "diverged": int(row["diverged"]),
                "metrics": {
                    name: {at: float(table.loc[i, at]) for at in ("mean", "sd")}
                    for name, table in tables.items()
                },
                "difference": {"metric": compared} | difference_of(row)
                if noisy
                else None,
            }
        )
    return rows


def print_rows(rows: Sequence[Row], shown: Mapping[str, int], compared: str) -> None:
    """A row per placement and strength, for people: metrics with so many decimals."""
    last = f"{in_words(compared)} difference to none [95 % interval]"
    lines = [["placement", "strength", "n", *map(in_words, shown), last]]
    for row in rows:
        cells = [row["placement"], f"{row['strength']:g}", str(row["n"])]
        for name, digits in shown.items():
            score = row["metrics"][name]
            cells.append(f"{score['mean']:.{digits}f} ± {score['sd']:.{digits}f}")
        cells.append(with_interval(row["difference"]) if row["difference"] else "")
        lines.append([cell.replace("nan", "-").replace("+-", "-") for cell in cells])
    print_table(lines)


def print_diverged(rows: Sequence[Row]) -> None:
    """A line for each placement and strength that lost runs."""
    for row in rows:
        if row["diverged"]:
            print(
                f"{row['placement']} {row['strength']:g}: "
                f"{row['diverged']} diverged runs are left out"
            )


def print_table(lines: Sequence[Sequence[str]]) -> None:
    """Lines of cells, the first of them the heading, in columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
