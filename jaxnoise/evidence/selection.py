"""What `select` returns: the choice, what it is worth, and what was not claimed.

`Selection` prints as text and holds every number of it as a field.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.evidence.comparison import decimals, said
from jaxnoise.evidence.nesting import OUTER
from jaxnoise.evidence.units import label


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """What was chosen, and what it is worth.

    Attributes:
        placement: the chosen one, by the mean over all rows of choosing.
        strength: its strength; a dict by name if strengths have several parts.
        metric: the metric's name without its set.
        choose_on: the set that chose.
        report_on: the set that the scores below are of.
        baseline: the placement that it is compared with.
        unit: what n counts: "split", "seed" or "outer fold".
        n: the number of units.
        score: of what was chosen, the mean over units.
        low: lower end of the score's 95 % t-interval.
        high: its upper end.
        difference: to the baseline, the mean over units, score minus its score.
        difference_low: lower end of the difference's 95 % t-interval.
        difference_high: its upper end.
        difference_n: the number of units with a difference, of which the baseline has a
            finite run, too.
        verdict: of `compare` on the chosen placement and strength, among all of them;
            with nested folds, on the differences of the folds' own choices.
        claimed: the best mean on ``report_on``: the score that choosing there claims.
        claimed_placement: what would have been chosen there.
        claimed_strength: its strength.
        optimism: by how much the claim is better than the score.
        choices: a row a unit: the placement and strength chosen for it (all the same
            unless folds are nested), the score that chose, and what counts above,
            score and difference.
        candidates: a row for each placement and strength: its means on both sets, and
            whether it could be chosen.
    """

    placement: str
    strength: Any
    metric: str
    choose_on: str
    report_on: str
    baseline: str
    unit: str
    n: int
    score: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    difference_n: int
    verdict: str
    claimed: float
    claimed_placement: str
    claimed_strength: Any
    optimism: float
    choices: pd.DataFrame
    candidates: pd.DataFrame

    def __str__(self) -> str:
        shown = [self.score, self.high - self.low, self.claimed]
        number = f".{decimals(np.array(shown))}f"
        s = "" if self.n == 1 else "s"
        verdict = said(self.verdict)
        verdict = verdict if self.verdict == "none" else f"verdict: {verdict}"
        fewer = self.difference_n != self.n
        pairs = f"n = {self.difference_n}, " if fewer else ""
        lines = [
            f"chosen on {self.choose_on} {self.metric}: "
            f"{_shown(self.placement, self.strength)}, "
            f"of {int(self.candidates['candidate'].sum())} candidates",
            f"{self.report_on} {self.metric}: {self.score:{number}} "
            f"[{self.low:{number}}, {self.high:{number}}], n = {self.n} {self.unit}{s}",
            f"difference to {self.baseline}: {self.difference:+{number}} "
            f"[{self.difference_low:+{number}}, {self.difference_high:+{number}}], "
            f"{pairs}{verdict}",
            f"choosing on {self.report_on} would have claimed {self.claimed:{number}} "
            f"({_shown(self.claimed_placement, self.claimed_strength)}): "
            f"optimism {self.optimism:{number}}",
        ]
        if self.unit == OUTER:
            names = map(_shown, self.choices["placement"], self.choices["strength"])
            counts = Counter(names).most_common()
            folds = ", ".join(f"{name} ({count})" for name, count in counts)
            lines.insert(1, f"in the {OUTER}s: {folds}")
        return "\n".join(lines).replace("+nan", "-").replace("nan", "-")

    __repr__ = __str__


def _shown(placement: str, strength: Any) -> str:
    parts = strength if isinstance(strength, dict) else {"": strength}
    return label({"placement": placement} | parts)
