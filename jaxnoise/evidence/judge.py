"""From units to verdicts: the tests of comparisons, adjusted for one another.

`judgements` takes all comparisons that are made together, of one metric or of several:
they are one family. Where the number of units was fixed beforehand, the sign-flip test
and Student's t judge. Where it was not, e-processes do: the largest value E so far is a
p of 1 / E, which holds at any time of stopping.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnoise.evidence import paired
from jaxnoise.evidence.anytime import LARGEST, confidence_sequence, e_holm, log_e
from jaxnoise.evidence.cells import Cell
from jaxnoise.evidence.format import FEW_UNITS
from jaxnoise.evidence.paired import ALPHA, t_interval
from jaxnoise.evidence.rows import new_rows_interval
from jaxnoise.evidence.units import LEAST_UNITS, Evidence, fewest_units

MOST_LOST = 0.05  # of the pairs
FLIPPING = 1  # each use of a key has draws of its own

Compared = list[tuple[Evidence, Cell]]
Parts = tuple[Any, Any, Any, Any]  # intervals, p, adjusted p, and that of being alike


class Judgement(NamedTuple):
    """What is said of one placement and strength: columns of `compare`."""

    low: float = np.nan
    high: float = np.nan
    new_rows_low: float = np.nan
    new_rows_high: float = np.nan
    p: float = np.nan
    p_holm: float = np.nan
    e_value: float = np.nan
    verdict: str = "baseline"


def judgements(family: Sequence[Evidence]) -> list[Judgement]:
    """What may be said of every cell of every metric, adjusted for all together."""
    compared = [(e, cell) for e in family for cell in e.cells if not cell.is_baseline]
    if not compared:
        return [Judgement()] * len(family)
    judge = _anytime if family[0].stop == "anytime" else _fixed
    intervals, p, p_holm, p_alike = judge(compared)
    found = {}
    for i, (evidence, cell) in enumerate(compared):
        low, high = map(float, intervals[i])
        new = new_rows_interval(evidence, cell)
        ends: tuple[float, float] = (new.low, new.high) if new else (np.nan, np.nan)
        said = verdict(
            len(cell.unit_differences),
            cell.lost_share,
            (min(low, ends[0]), max(high, ends[1])) if new else (low, high),
            p_holm[i],
            p_alike=p_alike[i],
            lower_is_better=evidence.lower,
            least=fewest_units(evidence.overlap),
        )
        tests = float(p[i]), float(p_holm[i]), _e_value(evidence, cell)
        found[id(cell)] = Judgement(low, high, *ends, *tests, said)
    return [found.get(id(c), Judgement()) for e in family for c in e.cells]


def _fixed(compared: Compared) -> Parts:
    """For a number of units that was fixed beforehand."""
    intervals = [_t(cell.unit_differences, e) for e, cell in compared]
    ps = _difference_ps(compared)
    new = [new_rows_interval(e, cell) for e, cell in compared]
    p = [max(own, each.p) if each else own for own, each in zip(ps, new, strict=True)]
    alike = [np.nan] * len(compared)
    for i, (e, cell) in enumerate(compared):
        if _may_be_alike(e, cell):  # the mean is below the upper end, above the other
            d, rope = cell.differences, e.options["rope"]
            sides = _t(d - rope, e), _t(-d - rope, e)
            alike[i] = max(t.p / 2 if t.mean < 0 else 1 - t.p / 2 for t in sides)
    return [(t.low, t.high) for t in intervals], p, paired.holm(p), paired.holm(alike)


def _anytime(compared: Compared) -> Parts:
    """For units of which there might have been more or fewer, depending on them."""
    intervals, logs, alike = [], [], []
    for e, cell in compared:
        intervals.append(confidence_sequence(known(cell.differences[e.order])))
        d, rope = cell.tested[e.order], e.options.get("rope")
        logs.append(log_e(d))
        sides = np.full((2, len(d)), np.nan)
        if _may_be_alike(e, cell):
            sides[:] = log_e(d - rope, sides=[-1]), log_e(d + rope, sides=[1])
        alike.append(sides.min(0))
    p = [_p_of([each])[0] for each in logs]
    return intervals, p, _p_of(logs), _p_of(alike)


def _p_of(processes: Sequence[np.ndarray]) -> np.ndarray:
    """1 over the largest e-values so far, which are adjusted for one another.

    One that has ended, of a smaller data set, stays as it is.
    """
    longest = max(map(len, processes))
    logs = np.array(
        [np.pad(each, (0, longest - len(each)), "edge") for each in processes]
    )
    there = np.isfinite(logs).all(axis=1)
    p = np.full(len(logs), np.nan)
    p[there] = np.exp(-e_holm(logs[there]).max(axis=1, initial=0.0))
    return p


def _e_value(evidence: Evidence, cell: Cell) -> float:
    """The e-process after the last unit; of splits that overlap there is none."""
    if evidence.overlap:
        return np.nan
    return float(np.exp(min(log_e(cell.tested[evidence.order])[-1], LARGEST)))


def _may_be_alike(evidence: Evidence, cell: Cell) -> bool:
    """Whether there is enough to call it equivalent: units, whole and not tied."""
    d = cell.differences
    return bool(
        evidence.options.get("rope") is not None
        and not cell.lost
        and len(d) >= FEW_UNITS
        and paired.spread(d) > 0
    )


def known(values: np.ndarray) -> np.ndarray:
    """Those that are finite."""
    return values[np.isfinite(values)]


def _t(differences: np.ndarray, evidence: Evidence) -> paired.TInterval:
    return t_interval(differences, overlap=evidence.overlap or 0.0)


def _difference_ps(compared: Compared) -> np.ndarray:
    """The p of each; those of as many units share the signs that are drawn."""
    alike: dict[Any, list[int]] = {}
    units = [known(cell.tested) for _, cell in compared]
    for i, (e, _) in enumerate(compared):
        alike.setdefault((len(units[i]), e.overlap, *e.words), []).append(i)
    p = np.full(len(compared), np.nan)
    for members in alike.values():
        rounding = [compared[i][1].rounding for i in members]
        samples, evidence = np.stack([units[i] for i in members]), compared[members[0]]
        p[members] = difference_p(samples, evidence[0], rounding)
    return p


def difference_p(
    differences: np.ndarray, evidence: Evidence, rounding: Any = 0.0
) -> Any:
    """The p of "there is no difference", for a number of units fixed beforehand."""
    if evidence.overlap:  # folds overlap: their signs are not free to flip
        return _t(differences, evidence).p
    rng = np.random.default_rng([FLIPPING, *evidence.words])
    return paired.sign_flip_p(differences, rng, rounding=rounding)


def verdict(
    units: int,
    lost: float,
    interval: tuple[float, float],
    p_holm: float,
    *,
    p_alike: float = np.nan,
    lower_is_better: bool = False,
    least: int = LEAST_UNITS,
) -> str:
    """What may be said of a difference: the first rule that holds.

    ``lost`` is the share of pairs that are lost, ``p_alike`` the adjusted p of "it is
    not smaller than the rope", and ``least`` the fewest units of any verdict.
    """
    low, high = interval
    if units < least or lost > MOST_LOST:
        return "none"
    if p_alike < ALPHA:
        return "equivalent"
    if p_holm < ALPHA and (low > 0 or high < 0):
        return "better" if (high < 0) == lower_is_better else "worse"
    return "no evidence"
