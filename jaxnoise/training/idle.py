"""Noise that never acts: placements whose runs are the same bit for bit are told of."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxnoise.checks import warn
from jaxnoise.results import RunResult
from jaxnoise.training.plan import Run

Bits = tuple[int | None, ...]  # of the runs at a strength; None for one that diverged
Cells = dict[str, dict[Any, Bits]]  # by placement and strength


def check_noise_acts(
    runs: Sequence[Run], results: Mapping[int, RunResult], named: Container[str]
) -> None:
    """Say so, once, if the strengths of a placement change nothing at all.

    One of several may do nothing: 0, a limit that is never reached, a small rate. If
    none does anything, or two placements were given none, something was forgotten.

    Args:
        runs: of a whole sweep.
        results: by the number of the run.
        named: the placements that were given strengths.
    """
    cells = _cells(runs, results)
    said = (_what_is_wrong(placement, cells, named) for placement in cells)
    if first := next(filter(None, said), None):
        warn(first)


def _cells(runs: Sequence[Run], results: Mapping[int, RunResult]) -> Cells:
    by_cell: dict[tuple[str, Any], list[int | None]] = {}
    for i, run in enumerate(runs):
        strength = tuple(jax.tree.leaves(run.strength))
        by_cell.setdefault((run.placement, strength), []).append(_bits(results[i]))
    cells: Cells = {}
    for (placement, strength), bits in by_cell.items():
        if set(bits) != {None}:
            cells.setdefault(placement, {})[strength] = tuple(bits)
    return cells


def _bits(result: RunResult) -> int | None:
    """What tells a run from others: all that was measured, to the last bit."""
    measured = [*result.metrics.items(), *result.curves.items()]
    bits = hash(tuple((name, np.asarray(x).tobytes()) for name, x in measured))
    return bits if result.finite else None


def _what_is_wrong(placement: str, cells: Cells, named: Container[str]) -> str | None:
    """The warning about a placement, if it takes one."""
    (strength, first), *rest = cells[placement].items()
    start, ask = f"the runs of {placement!r} are", "does its recipe use the strength?"
    if rest:
        same = all(bits == first for _, bits in rest)
        return (
            f"{start} the same at every strength, bit for bit: {ask}" if same else None
        )
    silent = {p: bits for p in cells for s, bits in cells[p].items() if not any(s)}
    twins = [p for p, bits in silent.items() if p != placement and bits == first]
    if any(strength) and twins:
        return f"{start} those of {twins[0]!r}, bit for bit: {ask}"
    forgotten = [p for p in twins if p not in named and placement not in named]
    if forgotten:
        return (
            f"{start} those of {forgotten[0]!r}, bit for bit: strengths names neither, "
            "so that both ran at strength 0."
        )
    return None
