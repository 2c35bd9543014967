"""How a claim is decided: numbers with intervals, the range each is claimed to lie in.

`measure` makes a `Measure` of one value a unit; `judge` gives every `Claim` its verdict
by the rule in page.md, and no verdict is written anywhere else.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnoise.evidence.judge import MOST_LOST
from jaxnoise.evidence.paired import ALPHA, holm, t_interval
from jaxnoise.evidence.units import LEAST_UNITS

HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"
SCALE = 1 / 70  # of accuracy: one of the tutorial's test points, "little" and "marked"
THIS, DRAWS = "this data set", "fresh draws"


class Range(NamedTuple):
    """Where a claim says that a number lies: strictly between the ends."""

    low: float
    high: float

    def __str__(self) -> str:
        low, high = (f"{end:.3g}".replace("-", "−") for end in self)
        if math.isinf(self.high):
            return f"above {low}"
        return f"below {high}" if math.isinf(self.low) else f"between {low} and {high}"


class Measure(NamedTuple):
    """One number of a claim, with its interval.

    Attributes:
        what: is measured.
        mean: over units.
        low: lower end of the 95 % interval.
        high: its upper end.
        n: units with a value.
        lost: the share of units without.
        p: of "the number lies at the nearest end of the range", two-sided.
        claimed: the range; None for a number that decides nothing.
        form: how it is written.
    """

    what: str
    mean: float
    low: float
    high: float
    n: int
    lost: float
    p: float
    claimed: Range | None
    form: str

    def __str__(self) -> str:
        numbers = (self.mean, self.low, self.high)
        mean, low, high = (number(each, self.form) for each in numbers)
        if self.low == self.mean == self.high:
            return f"{self.what} {mean}"
        return f"{self.what} {mean} [{low}, {high}]"


class Claim(NamedTuple):
    """What somebody says, and what was measured of it.

    Attributes:
        says: the claim.
        by: who says so.
        on: `THIS` or `DRAWS`.
        measures: of the claim.
        verdict: of `judge`.
    """

    says: str
    by: str
    on: str
    measures: Sequence[Measure]
    verdict: str = OPEN

    def deciding(self) -> list[Measure]:
        """The measures that the claim puts in a range."""
        return [each for each in self.measures if each.claimed is not None]

    def units(self) -> int:
        """Of the number that has the fewest."""
        return min(each.n for each in self.deciding())

    def shown(self) -> str:
        """What the runs show, in words."""
        beside = [str(each) for each in self.measures if each.claimed is None]
        text = "; ".join(map(str, self.deciding()))
        return f"{text}; beside: {'; '.join(beside)}" if beside else text


def range_of(text: str | None) -> Range | None:
    """Of "above 0", "below scale", "0.45 to 0.55" or "little"; None is no range."""
    if text is None:
        return None
    if text == "little":
        return Range(-SCALE, SCALE)
    first, *_, last = text.replace("scale", str(SCALE)).split()
    low, high = {"above": (last, "inf"), "below": ("-inf", last)}.get(
        first, (first, last)
    )
    return Range(float(low), float(high))


def measure(
    what: str,
    values: Any,
    claimed: Range | None = None,
    form: str = "+.4f",
    root: bool = False,
) -> Measure:
    """A measure of one value a unit, NaN where a run diverged.

    With ``root`` the number is the root of the mean, as a standard deviation is of
    squared deviations; the range is that of the root.
    """
    values = np.asarray(values, float)
    kept = values[np.isfinite(values)]
    ends = [end for end in claimed or () if math.isfinite(end)]
    interval = np.array(t_interval(kept)[:3])
    if root:
        ends = [end**2 for end in ends]
        interval = np.sqrt(np.maximum(interval, 0))
    mean, low, high = map(float, interval)
    return Measure(
        what,
        mean,
        low,
        high,
        n=len(kept),
        lost=(len(values) - len(kept)) / max(len(values), 1),
        p=max((_p(kept - end) for end in ends), default=math.nan),
        claimed=claimed,
        form=form,
    )


def judge(claims: Sequence[Claim]) -> list[Claim]:
    """The claims with their verdicts, by the rule in page.md."""
    deciding = [each for claim in claims for each in claim.deciding()]
    adjusted = iter(holm([each.p for each in deciding]))
    return [
        claim._replace(
            verdict=_verdict([_place(m, next(adjusted)) for m in claim.deciding()])
        )
        for claim in claims
    ]


def _verdict(places: Sequence[str]) -> str:
    if FAILS in places:
        return FAILS
    return HOLDS if places and set(places) == {HOLDS} else OPEN


def _place(each: Measure, p_holm: float) -> str:
    """Where one number lies, as the verdict on a claim of it alone."""
    claimed = each.claimed
    few = each.n < LEAST_UNITS or each.lost > MOST_LOST
    if claimed is None or few or not p_holm < ALPHA:
        return OPEN
    if claimed.low < each.low and each.high < claimed.high:
        return HOLDS
    return FAILS if each.high <= claimed.low or claimed.high <= each.low else OPEN


def _p(differences: np.ndarray) -> float:
    """Two-sided p of "the mean is 0"; where all are the same, of the sign test."""
    if len(differences) < 2:
        return math.nan
    if np.ptp(differences) == 0:
        return 1.0 if differences[0] == 0 else 2.0 ** (1 - len(differences))
    return float(t_interval(differences).p)


def number(value: float, form: str) -> str:
    """A number for people: a true minus, and no sign on what rounds to nothing."""
    if value != value:
        return "-"
    text = f"{value:{form}}"
    return (text.lstrip("+-") if float(text) == 0 else text).replace("-", "−")
