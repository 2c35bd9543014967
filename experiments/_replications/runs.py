"""Runs of a replication: kept in stores, timed, and asked by method and unit."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from _files import store_of

import jaxnoise as jn


@dataclass
class Runs:
    """Trains what a result asks for.

    Attributes:
        options: with the folder of the stores.
        seconds: that tracing, compiling and training took so far.
        facts: what is to be told beside the scores.
    """

    options: argparse.Namespace
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    def sweep(self, part: str, recipes: Any, **asked: Any) -> jn.SweepResult:
        """As `jn.sweep`, with a store of this part's own.

        Raises:
            KeyboardInterrupt: if it was interrupted; the store has the finished runs.
        """
        settings: dict[str, Any] = {"strengths": {}, "seeds": 1, "curves": ()}
        store = store_of(self.options, f"{part}.sqlite")
        result = jn.sweep(recipes, store=store, **settings | asked)
        self.seconds += result.compile_seconds + result.run_seconds
        if not result.complete:
            raise KeyboardInterrupt
        return result


def by_cell(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row a unit, a column a placement and strength."""
    return runs.pivot_table(metric, ["seed", "split"], ["placement", "strength"])


def named(cells: pd.DataFrame) -> pd.DataFrame:
    """With names for columns, such as ``mixup 0.2``, and ``none`` at strength 0."""
    names = [f"{place} {strength:g}".removesuffix(" 0") for place, strength in cells]
    return cells.set_axis(names, axis=1)


def chosen(cells: pd.DataFrame, draws: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """Each placement at the strength with the best mean of the first draws.

    Returns:
        The scores of the other draws, a column a placement, and the strengths.
    """
    means, rest = cells.iloc[:draws].mean(), cells.iloc[draws:]
    best: dict[str, float] = {
        place: float(means[place].idxmax()) for place in cells.columns.unique(0)
    }
    table = {cell[0]: rest[cell] for cell in best.items()}
    return pd.DataFrame(table), best


def independent(draws: Sequence[jn.Data]) -> list[jn.Data]:
    """Draws that share no rows, and say so."""
    for each in draws:
        each.overlap = 0.0
    return list(draws)
