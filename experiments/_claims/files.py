"""The runs on disk, written and read again.

`write` puts all runs into runs.csv, and curves of the tutorial's models into curves.npz
(its own points) and curves_draws.npz; `read` is what ``claims.py --again`` judges.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _files import Files, read_summary

import jaxnoise as jn
from _claims.plan import TUTORIAL

CURVES = {"tutorial": "curves.npz", "draws": "curves_draws.npz"}


def write(result: jn.SweepResult, files: Files) -> None:
    """All runs, and the curves of the tutorial's models."""
    files.runs(result.runs)
    for study, name in CURVES.items():
        kept = part(result, study)
        if len(kept.runs):
            runs = kept.runs.assign(split=0)  # a draw has a seed of its own
            files.curves(replace(kept, runs=runs), name)


def part(result: jn.SweepResult, study: str) -> jn.SweepResult:
    """The tutorial's models in one study, as a result of its own."""
    cells = [cell for cell in TUTORIAL if (study, cell.placement) != ("draws", "both")]
    names = [cell.placement for cell in cells], [cell.strength for cell in cells]
    rows = _cell_numbers(result.runs, study, *names) >= 0
    kept = result.runs[rows].drop(columns="study").reset_index(drop=True)
    curves = {name: values[rows] for name, values in result.curves.items()}
    return replace(result, runs=kept, curves=curves, variables=(None,) * len(kept))


def read(out: Path) -> tuple[jn.SweepResult, dict[str, Any]]:
    """What `write` wrote, and the options it was made with.

    Raises:
        OSError: if a file is not there.
        ValueError: if one is not as it was written.
    """
    try:
        summary = read_summary(out)
        runs = pd.read_csv(out / "runs.csv")
        curves: dict[str, Any] = {}
        for study, name in CURVES.items():
            with np.load(out / name, allow_pickle=False) as arrays:
                _fill(curves, runs, study, dict(arrays))
        made = ("complete", "compile_seconds", "run_seconds", "device")
        return jn.SweepResult(
            runs=runs,
            epochs=curves.pop("epoch"),
            curves=curves,
            variables=(None,) * len(runs),
            **{name: summary[name] for name in made},
        ), summary["config"]
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not as it was written: {error!r}") from error


def _fill(
    curves: dict[str, Any], runs: pd.DataFrame, study: str, arrays: dict[str, Any]
) -> None:
    """The arrays (cell, seed, epoch) of one file, at the rows of its runs."""
    curves["epoch"] = arrays["epoch"]
    cells = _cell_numbers(runs, study, arrays["placement"], arrays["strength"])
    rows, seeds = cells >= 0, np.searchsorted(arrays["seed"], runs["seed"])
    shape = len(runs), len(arrays["epoch"])
    for name in [name for name in arrays if arrays[name].ndim == 3]:
        filled = curves.setdefault(name, np.full(shape, np.nan, np.float32))
        filled[rows] = arrays[name][cells[rows], seeds[rows]]


def _cell_numbers(
    runs: pd.DataFrame, study: str, placements: Any, strengths: Any
) -> np.ndarray:
    """Which of the cells each run of a study is; -1 for none; NaN is itself."""
    cells = pd.DataFrame({"placement": placements, "strength": strengths})
    on = list(cells)
    numbers = runs[on].merge(cells.assign(number=cells.index), how="left", on=on)
    return np.where(runs["study"] == study, numbers["number"].fillna(-1), -1).astype(
        int
    )
