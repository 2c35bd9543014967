"""Choosing a strength honestly: on validation rows, reported on test rows once.

The best of many strengths looks better than it is on the rows that it was chosen on.
`select` keeps the rows of choosing and reporting apart, and shows what they would have
claimed together.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import pandas as pd

from jaxnoise.checks import warn
from jaxnoise.evidence import compare
from jaxnoise.evidence.compare import Comparison
from jaxnoise.evidence.format import joined, places, said
from jaxnoise.evidence.judge import MOST_LOST, difference_p, judgements, verdict
from jaxnoise.evidence.paired import t_interval
from jaxnoise.evidence.table import OUTER, Source, runs_of
from jaxnoise.evidence.units import (
    Evidence,
    Options,
    check_options,
    evidence_of,
    fewest_units,
)
from jaxnoise.results import SweepResult

NO_SET = "metric is a name without its set's, and a sweep measures the sets of its data"


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
        taken: what the data said of their splits; "" for nothing.
        result: the `SweepResult` that was chosen from, which `jaxnoise.refit` asks for;
            None where it was a table.
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
    taken: str = ""
    result: SweepResult | None = None

    def __str__(self) -> str:
        f = f".{places([self.score, self.high - self.low, self.claimed])}f"
        count = f"n = {self.n} {self.unit}{'s' * (self.n != 1)}"
        pairs = "" if self.difference_n == self.n else f"n = {self.difference_n}, "
        judged = "" if self.verdict == "none" else "verdict: "
        lines = [
            f"chosen on {self.choose_on} {self.metric}: "
            f"{_name(self.placement, self.strength)}, "
            f"of {int(self.candidates['candidate'].sum())} candidates",
            f"{self.report_on} {self.metric}: {self.score:{f}} "
            f"[{self.low:{f}}, {self.high:{f}}], {count}",
            f"difference to {self.baseline}: {self.difference:+{f}} "
            f"[{self.difference_low:+{f}}, {self.difference_high:+{f}}], "
            f"{pairs}{judged}{said(self.verdict)}",
            f"choosing on {self.report_on} would have claimed {self.claimed:{f}} "
            f"({_name(self.claimed_placement, self.claimed_strength)}): "
            f"optimism {self.optimism:{f}}",
        ]
        if self.unit == OUTER:
            names = map(_name, self.choices["placement"], self.choices["strength"])
            folds = [f"{name} ({n})" for name, n in Counter(names).most_common()]
            lines.insert(1, f"in the {OUTER}s: {', '.join(folds)}")
        lines += [self.taken] * bool(self.taken)
        return "\n".join(lines).replace("+nan", "-").replace("nan", "-")

    __repr__ = __str__


def _name(placement: str, strength: Any) -> str:
    parts = strength if isinstance(strength, dict) else {"": strength}
    return joined({"placement": placement} | parts)


@compare.shows_options
def select(
    result_or_table: Source,
    *,
    metric: str | None = None,
    choose_on: str = "validation",
    report_on: str = "test",
    **options: Unpack[Options],
) -> Selection:
    """Choose placement and strength on validation rows, report the choice on test rows.

    Of all placements and strengths, the baseline among them, the one with the best mean
    of ``<choose_on>_<metric>`` over units is chosen (see `compare` for units; of equal
    ones the baseline, then the first), and ``<report_on>_<metric>`` is reported for it
    alone. Of nested folds each outer fold chooses on the validation rows of its inner
    folds and reports its test rows; score and difference are means over the outer
    folds, and placement and strength the choice of all validation rows together.

    Beside it stands what choosing on ``report_on`` would have claimed: the best mean
    there. The optimism is the claim's gain over the honest score.

    Intervals count the runs at hand. The chosen models keep what luck they had in
    training, of which a mean over few seeds has some; the verdict, which counts all
    comparisons, is safe from that, and fresh seeds of the choice alone settle it.

    Args:
        result_or_table: a `SweepResult`, or a tidy table as for `compare`, with the
            metric on both sets; or a `Comparison` of it.
        metric: its name without the set's, such as ``"accuracy"`` or ``"loss"``; None
            takes that of a comparison, else accuracy.
        choose_on: the set that chooses.
        report_on: the set that reports, another one.
        baseline: as for `compare`.
        pair_by: as for `compare`.
        rope: as for `compare`, of which the verdict is.
        overlap: as for `compare`.
        key: as for `compare`.
        lower_is_better: as for `compare`.
        outer: the number of outer folds, ``outer * repeats`` of
            `jaxnoise.data.nested_folds`; splits are numbered as it does. None: as the
            data of a sweep say, else splits are not nested, and all choose together.
        stop: as for `compare`, of which the verdict is.

    Returns:
        A `Selection`, which prints as text: what was chosen, its score and its
        difference to the baseline with 95 % intervals, the verdict, what was claimed
        and the optimism, and tables of the choices and the candidates. Placements of
        which more than 5 % of the runs diverged cannot be chosen.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: as `compare`, if a set's metric is not there, both sets are the
            same, ``outer`` does not divide the splits, or nothing can be chosen.

    Warns:
        UserWarning: if there are fewer than 10 units; and as `compare` of the metric's
            direction and of splits of which nothing is known.

    Reference: S. Varma and R. Simon, "Bias in error estimation when using
    cross-validation for model selection", BMC Bioinformatics 7 (2006).

    Example:
        >>> import numpy as np, pandas as pd, jaxnoise as jn
        >>> rng = np.random.default_rng(0)
        >>> cells = [("none", 0.0), ("input", 0.1), ("input", 0.3)]
        >>> table = pd.DataFrame(
        ...     [(*cell, seed) for cell in cells for seed in range(10)],
        ...     columns=["placement", "strength", "seed"],
        ... )
        >>> for name in ("validation_accuracy", "test_accuracy"):
        ...     table[name] = 0.7 + table["strength"] / 10 + rng.normal(0, 0.02, 30)
        >>> jn.select(table)
        chosen on validation accuracy: input 0.3, of 3 candidates
        test accuracy: 0.7264 [0.7147, 0.7381], n = 10 seeds
        difference to none: +0.0239 [+0.0057, +0.0422], verdict: better
        choosing on test would have claimed 0.7277 (input 0.1): optimism 0.0014
    """
    check_options("select", options)
    if metric is None and isinstance(result_or_table, Comparison):
        metric = result_or_table.attrs["metric"].removeprefix(f"{report_on}_")
    metric = metric or "accuracy"
    source = compare.source_of(result_or_table)
    _check_columns(runs_of(source), choose_on, report_on, metric)
    choosing, reporting = (
        evidence_of(result_or_table, f"{name}_{metric}", **options)
        for name in (choose_on, report_on)
    )
    found = chosen(choosing, reporting, metric)
    few = compare.few_units(found.n, reporting.facts())
    for told in filter(None, [few, *reporting.doubts]):
        warn(f"select: {told}.")
    return replace(found, result=source if isinstance(source, SweepResult) else None)


def _check_columns(
    runs: pd.DataFrame, choose_on: str, report_on: str, metric: str
) -> None:
    """Refuse runs without the metric on both sets, and say which there are."""
    if choose_on == report_on:
        raise ValueError(
            f"choose_on and report_on must be two sets, got {choose_on!r} for both."
        )
    for argument, name in {"choose_on": choose_on, "report_on": report_on}.items():
        if f"{name}_{metric}" in runs:
            continue
        ends = [c for c in map(str, runs) if c.endswith(f"_{metric}")]
        sets = {c.removesuffix(f"_{metric}") for c in ends if c[:5] != "best_"}
        others = " or ".join(map(repr, sorted(sets - {"train", choose_on, report_on})))
        cure = f"there is {argument}={others}" if others else NO_SET
        raise ValueError(
            f"{argument} and metric must make a column of the runs "
            f"({', '.join(map(str, runs))}), got '{name}_{metric}'; {cure}."
        )


def chosen(choosing: Evidence, reporting: Evidence, metric: str) -> Selection:
    """What scores of one set choose, and what those of another say of it."""
    cells, candidates = reporting.cells, _candidates(choosing, reporting)
    pick, _ = _best(choosing, candidates, choosing.means())
    best, claim = _best(reporting, candidates, reporting.means())
    nested = reporting.unit == OUTER  # each fold makes a choice of its own
    by_unit = np.stack([cell.scores for cell in choosing.cells], axis=1)
    picks = [
        _best(choosing, candidates, seen)[0] if nested else pick for seen in by_unit
    ]
    choices = _choices(choosing, reporting, picks)
    found = _intervals(choices, reporting.overlap or 0.0)
    sets = [e.metric.removesuffix(f"_{metric}") for e in (choosing, reporting)]
    return Selection(
        placement=cells[pick].placement,
        strength=cells[pick].strength,
        metric=metric,
        choose_on=sets[0],
        report_on=sets[1],
        baseline=reporting.baseline.placement,
        unit=reporting.unit,
        **found,
        verdict=_verdict_of_choices(choices, reporting)
        if nested
        else judgements([reporting])[pick].verdict,
        claimed=claim,
        claimed_placement=cells[best].placement,
        claimed_strength=cells[best].strength,
        optimism=reporting.gain * (claim - found["score"]) + 0.0,  # no -0
        choices=choices,
        candidates=pd.DataFrame([cell.name for cell in cells]).assign(
            **{e.metric: e.means() for e in (choosing, reporting)},
            candidate=candidates,
        ),
        taken=reporting.taken,
    )


def _verdict_of_choices(choices: pd.DataFrame, reporting: Evidence) -> str:
    """What may be said of the outer folds' choices: one comparison, of the folds."""
    d = choices["difference"].dropna().to_numpy(float)
    _, low, high, _ = t_interval(d, overlap=reporting.overlap or 0.0)
    lost, p = 1 - len(d) / len(choices), difference_p(d, reporting)
    ends = float(low), float(high)
    least = fewest_units(reporting.overlap)
    return verdict(len(d), lost, ends, p, lower_is_better=reporting.lower, least=least)


def _candidates(choosing: Evidence, reporting: Evidence) -> np.ndarray:
    """Which cells may be chosen: those with scores, of which few runs diverged."""
    kept = [cell.diverged <= MOST_LOST * cell.runs for cell in reporting.cells]
    candidates = np.isfinite(choosing.means()) & np.isfinite(reporting.means()) & kept
    if not candidates.any():
        raise ValueError(
            "result_or_table must hold a placement with finite scores on both sets, "
            f"of which at most {MOST_LOST:.0%} of the runs diverged, got none."
        )
    return candidates


def _best(
    evidence: Evidence, candidates: np.ndarray, scores: np.ndarray
) -> tuple[int, float]:
    """The best cell, of equal ones the baseline, then the first; and the best score."""
    gains = np.where(candidates & np.isfinite(scores), evidence.gain * scores, -np.inf)
    best = gains.max()
    equal = np.flatnonzero(gains >= best - 2 * evidence.precision * np.abs(best))
    number = min(equal, key=lambda i: (not evidence.cells[i].is_baseline, i))
    return int(number), float(evidence.gain * best)


def _choices(
    choosing: Evidence, reporting: Evidence, picks: Sequence[int]
) -> pd.DataFrame:
    """A row a unit: what was chosen for it, and its scores there."""
    cells = [reporting.cells[pick] for pick in picks]
    return pd.DataFrame(
        {
            "unit": reporting.units,
            "placement": [cell.placement for cell in cells],
            "strength": [cell.strength for cell in cells],
            "chosen_by": [
                choosing.cells[pick].scores[i] for i, pick in enumerate(picks)
            ],
            "score": [cell.scores[i] for i, cell in enumerate(cells)],
            "difference": [cell.differences[i] for i, cell in enumerate(cells)],
        }
    )


def _intervals(choices: pd.DataFrame, overlap: float) -> dict[str, Any]:
    """Means over units with their t-intervals, as fields of `Selection`."""
    fields: dict[str, Any] = {}
    for name, prefix in {"score": "", "difference": "difference_"}.items():
        values = choices[name].dropna()
        t = t_interval(values, overlap=overlap)
        ends = {name: t.mean, f"{prefix}low": t.low, f"{prefix}high": t.high}
        fields |= {field: float(value) for field, value in ends.items()}
        fields[f"{prefix}n"] = len(values)
    return fields
