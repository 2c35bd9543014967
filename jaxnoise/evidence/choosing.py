"""Choosing a strength honestly: on validation rows, reported on test rows once.

The best of many strengths looks better than it is on the rows that it was chosen on.
`select` keeps the rows of choosing and reporting apart, and shows what they would have
claimed together.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxnoise.checks import warn
from jaxnoise.evidence.direction import direction
from jaxnoise.evidence.nesting import OUTER, by_outer_fold
from jaxnoise.evidence.paired import seed_words, sign_flip_p, t_interval
from jaxnoise.evidence.scores import runs_of
from jaxnoise.evidence.selection import Selection
from jaxnoise.evidence.stats import (
    MOST_LOST,
    SIGNS,
    check_scale,
    few_units,
    judge,
    verdict,
)
from jaxnoise.evidence.units import PAIR_BY, Cells, paired_cells
from jaxnoise.results import SweepResult


def select(
    result_or_table: SweepResult | pd.DataFrame,
    *,
    metric: str = "accuracy",
    choose_on: str = "validation",
    report_on: str = "test",
    baseline: str = "none",
    outer: int | None = None,
    pair_by: str | Sequence[str] = PAIR_BY,
    overlap: float | None = None,
    key: Array | None = None,
    lower_is_better: bool | None = None,
) -> Selection:
    """Choose placement and strength on validation rows, report the choice on test rows.

    Of all placements and strengths, the baseline among them, the one with the best mean
    of ``<choose_on>_<metric>`` over units is chosen (see `compare` for units; of equal
    ones the baseline, then the first), and ``<report_on>_<metric>`` is reported for it
    alone. With ``outer`` each outer fold chooses on the validation rows of its inner
    folds and reports its test rows; score and difference are means over the outer
    folds, and placement and strength the choice of all validation rows together.

    Beside it stands what choosing on ``report_on`` would have claimed: the best mean
    there. The optimism is the claim's gain over the honest score.

    Intervals count the runs at hand. The chosen models keep what luck they had in
    training, of which a mean over few seeds has some; the verdict, which counts all
    comparisons, is safe from that, and fresh seeds of the choice alone settle it.

    Args:
        result_or_table: a `SweepResult`, or a tidy table as for `compare`, with the
            metric on both sets.
        metric: its name without the set's, such as ``"accuracy"`` or ``"loss"``.
        choose_on: the set that chooses.
        report_on: the set that reports, another one.
        baseline: the placement that others are compared with.
        outer: the number of outer folds, ``outer * repeats`` of
            `jaxnoise.data.nested_folds`; splits are numbered as it does. None: splits
            are not nested, and all of them choose together.
        pair_by: the columns that tell which two runs are a pair.
        overlap: test rows over train rows of resampled splits, as for `compare`.
        key: as for `compare`, of which the verdict is.
        lower_is_better: whether a lower score is the better one; None tells by the
            metric's name.

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
        UserWarning: if there are fewer than 10 units.

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
    chosen = select_quietly(
        result_or_table,
        metric=metric,
        choose_on=choose_on,
        report_on=report_on,
        baseline=baseline,
        outer=outer,
        pair_by=pair_by,
        overlap=overlap,
        key=key,
        lower_is_better=lower_is_better,
    )
    if few := few_units(chosen.n):
        warn(f"select: {few}.")
    return chosen


def select_quietly(
    result_or_table: Any,
    *,
    metric: str = "accuracy",
    choose_on: str = "validation",
    report_on: str = "test",
    baseline: str = "none",
    outer: int | None = None,
    pair_by: str | Sequence[str] = PAIR_BY,
    overlap: float | None = None,
    key: Any = None,
    lower_is_better: bool | None = None,
) -> Selection:
    """`select` without its warning, for what shows n itself, such as a report."""
    check_scale("overlap", overlap)
    words = seed_words(key)
    chosen_by, reported = f"{choose_on}_{metric}", f"{report_on}_{metric}"
    table = _checked(result_or_table, choose_on, report_on, metric)
    table, pair_by = by_outer_fold(table, pair_by, outer)
    lower = direction(metric, lower_is_better)
    choosing = paired_cells(table, chosen_by, baseline, pair_by)
    reporting = paired_cells(table, reported, baseline, pair_by)
    candidates = _candidates(choosing, reporting)
    judged = judge(reporting, words, overlap=overlap, lower_is_better=lower)
    chosen, _ = _best(choosing, candidates, choosing.means(), lower)
    claimed, claim = _best(reporting, candidates, reporting.means(), lower)
    units = range(len(reporting.units))
    picks = [chosen for _ in units]
    if outer is not None:
        by_unit = np.stack([cell.scores for cell in choosing.cells], axis=1)
        picks = [_best(choosing, candidates, seen, lower)[0] for seen in by_unit]
    choices = _choices(choosing, reporting, picks)
    found = _intervals(choices, overlap or 0.0)
    said = judged[chosen].verdict
    if outer is not None:  # each fold made a choice of its own
        said = _verdict_of_choices(choices, words, overlap, lower)
    gain = found["score"] - claim if lower else claim - found["score"]
    return Selection(
        placement=reporting.cells[chosen].placement,
        strength=reporting.cells[chosen].strength,
        metric=metric,
        choose_on=choose_on,
        report_on=report_on,
        baseline=baseline,
        unit=reporting.unit if outer is None else OUTER,
        **found,
        verdict=said,
        claimed=claim,
        claimed_placement=reporting.cells[claimed].placement,
        claimed_strength=reporting.cells[claimed].strength,
        optimism=gain + 0.0,  # no -0
        choices=choices,
        candidates=pd.DataFrame([cell.name for cell in reporting.cells]).assign(
            **{chosen_by: choosing.means(), reported: reporting.means()},
            candidate=candidates,
        ),
    )


def _checked(
    result_or_table: Any, choose_on: str, report_on: str, metric: str
) -> pd.DataFrame:
    """The runs, which have the metric on both sets."""
    if choose_on == report_on:
        raise ValueError(
            f"choose_on and report_on must be two sets, got {choose_on!r} for both."
        )
    table = runs_of(result_or_table)
    for argument, name in {"choose_on": choose_on, "report_on": report_on}.items():
        if f"{name}_{metric}" not in table:
            raise ValueError(
                f"{argument} and metric must make a column of the runs "
                f"({', '.join(map(str, table))}), got '{name}_{metric}'; "
                f"{_cure(table, argument, metric, (choose_on, report_on))}."
            )
    return table


def _cure(
    table: pd.DataFrame, argument: str, metric: str, named: tuple[str, str]
) -> str:
    """The sets that have the metric, of those that may choose; else how sets come."""
    whole = [c for c in map(str, table) if c.endswith(f"_{metric}")]
    sets = {c.removesuffix(f"_{metric}") for c in whole if not c.startswith("best_")}
    if others := sorted(sets - {"train", *named}):
        return f"there is {argument}={' or '.join(map(repr, others))}"
    return (
        "metric is a name without its set's, and a sweep measures the sets of its data"
    )


def _verdict_of_choices(
    choices: pd.DataFrame, words: list[int], overlap: float | None, lower: bool
) -> str:
    """What may be said of the outer folds' choices: one comparison, of the folds."""
    d = choices["difference"].dropna().to_numpy(float)
    interval = t_interval(d, overlap=overlap or 0.0)
    p = float(interval.p)
    if not overlap:
        p = sign_flip_p(d, np.random.default_rng([SIGNS, *words]))
    lost = 1 - len(d) / len(choices)
    ends = float(interval.low), float(interval.high)
    return verdict(len(d), lost, ends, p, lower_is_better=lower)


def _candidates(choosing: Cells, reporting: Cells) -> np.ndarray:
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
    cells: Cells, candidates: np.ndarray, scores: np.ndarray, lower: bool
) -> tuple[int, float]:
    """The best cell, of equal ones the baseline, then the first; and the best score."""
    gains = np.where(
        candidates & np.isfinite(scores), -scores if lower else scores, -np.inf
    )
    least = gains.max() - 2 * cells.precision * np.abs(gains.max())
    equal = np.flatnonzero(gains >= least)
    number = min(equal, key=lambda i: (not cells.cells[i].is_baseline, i))
    return int(number), float(-gains.max() if lower else gains.max())


def _choices(choosing: Cells, reporting: Cells, picks: Sequence[int]) -> pd.DataFrame:
    """A row a unit: what was chosen for it, and its scores there."""
    rows = []
    for unit, pick in enumerate(picks):
        seen, cell = choosing.cells[pick], reporting.cells[pick]
        score = cell.scores[unit]
        difference = abs(0.0 * score) if cell.is_baseline else cell.differences[unit]
        rows.append(
            {
                "unit": reporting.units[unit],
                "placement": cell.placement,
                "strength": cell.strength,
                "chosen_by": seen.scores[unit],
                "score": score,
                "difference": difference,
            }
        )
    return pd.DataFrame(rows)


def _intervals(choices: pd.DataFrame, overlap: float) -> dict[str, Any]:
    """Means over units with their t-intervals, as fields of `Selection`."""
    score = t_interval(choices["score"].dropna(), overlap=overlap)
    difference = t_interval(choices["difference"].dropna(), overlap=overlap)
    return {
        "n": int(choices["score"].count()),
        "score": float(score.mean),
        "low": float(score.low),
        "high": float(score.high),
        "difference": float(difference.mean),
        "difference_low": float(difference.low),
        "difference_high": float(difference.high),
        "difference_n": int(choices["difference"].count()),
    }
