"""Paired statistics of a sweep, or of any score table.

`compare` says for each placement and strength how its runs differ from the baseline's,
pair by pair, how sure that is, and what may be said of it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxnoise.checks import warn
from jaxnoise.evidence.comparison import Comparison
from jaxnoise.evidence.direction import direction
from jaxnoise.evidence.nesting import OUTER, by_outer_fold
from jaxnoise.evidence.paired import (
    bootstrap_interval,
    holm,
    interquartile_mean,
    seed_words,
    sign_flip_p,
    t_interval,
    win_interval,
)
from jaxnoise.evidence.scores import runs_of
from jaxnoise.evidence.units import PAIR_BY, Cell, Cells, paired_cells
from jaxnoise.results import SweepResult

FEW_UNITS = 10  # below, the t-interval is a guide
LEAST_UNITS = 6  # below, no sign-flip p is under 0.05
MOST_LOST = 0.05  # of the pairs
ALPHA = 0.05
RESAMPLING, SIGNS = 0, 1  # each use of a key has draws of its own
DIFFERENCE = (
    *("difference", "low", "high", "boot_low", "boot_high"),
    *("win_probability", "win_low", "win_high"),
)


def compare(
    result_or_table: SweepResult | pd.DataFrame,
    *,
    metric: str,
    baseline: str = "none",
    pair_by: str | Sequence[str] = PAIR_BY,
    rope: float | None = None,
    overlap: float | None = None,
    key: Array | None = None,
    lower_is_better: bool | None = None,
    outer: int | None = None,
) -> Comparison:
    """Compare every placement and strength with the baseline, pair by pair.

    A pair is two runs of one seed and split, and d its difference, score minus the
    baseline's score. Pairs are averaged over their *unit*, the split where there are
    two or more, else the seed: seeds of one split share its data and are not
    independent. Of the n units, the interval is the t-interval of the mean, ``mean(d) ±
    t * sd(d) * sqrt(1 / n + overlap)``, with t the 97.5 % point of Student's t at n - 1
    degrees of freedom.

    Args:
        result_or_table: a `SweepResult`, or a tidy table with the columns placement,
            strength, seed, the metric, and split if there are several.
        metric: the column that is compared, such as ``"population_accuracy"``.
        baseline: the placement that others are compared with.
        pair_by: the columns that tell which two runs are a pair.
        rope: the half width of the region of practical equivalence, in units of the
            metric: differences smaller than that do not matter.
        overlap: test rows over train rows of resampled splits, 1 / (k - 1) for k folds,
            which share train rows. The interval is Nadeau and Bengio's corrected one
            then, p its test, and the other intervals widen alike. None (and 0): the
            splits are independent.
        key: a typed key for the bootstrap and for sign flips beyond 20 units; None is
            ``jax.random.key(0)``.
        lower_is_better: whether a negative difference is the better one; None tells by
            the metric's name: so it is for losses, errors and the like.
        outer: the number of outer folds of `jaxnoise.data.nested_folds`, which are the
            units then: inner folds of one share its rows. None: no split is nested.

    Returns:
        A table, a row per placement and strength, in their order:

        * n: the units, counting pairs of which both runs are finite; of the baseline
          its own. All intervals and tests use them.
        * mean, sd, median and iqm (mean of the middle half) of the metric over units.
        * difference to the baseline with its 95 % t-interval low to high, and a BCa
          bootstrap interval boot_low to boot_high.
        * win_probability: the share of units in which it is better than the baseline,
          ties half, with its Wilson interval win_low to win_high.
        * p of the sign-flip test (exact up to 20 units, else 100,000 draws), and p_holm
          adjusted for all comparisons of the table by Holm's procedure.
        * diverged: runs that are not finite, left out of all else.
        * verdict, the first that holds: ``"none"`` with fewer than 6 units or more than
          5 % of the pairs lost to divergence; ``"equivalent"`` if the interval lies
          inside ±rope; ``"better"`` or ``"worse"`` if p_holm < 0.05 and the interval
          excludes 0; ``"no evidence"``.

        The baseline's own verdict is ``"baseline"``, its differences NaN, as is the
        interval of a single unit. If all differences are the same d, the intervals are
        [d, d] and p is 1. The table prints its main columns and which way is better;
        ``to_markdown()`` and ``to_latex()`` show all columns, and ``attrs`` names
        metric, baseline and unit.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the metric, a column or the baseline is not there, the baseline
            has several strengths, a run occurs twice, a placement shares no pair with
            the baseline, or ``rope`` or ``overlap`` is out of range.

    Warns:
        UserWarning: if a comparison has fewer than 10 units, or if the comparisons are
            too many for any of them to be better or worse: the sign-flip p of n units
            is at least 2 / 2**n, and Holm's procedure multiplies it.

    Reference: Student, "The probable error of a mean", Biometrika 6 (1908); for the
    corrected interval Nadeau and Bengio, Machine Learning 52 (2003).

    Example:
        >>> import numpy as np, pandas as pd, jaxnoise as jn
        >>> seed = np.arange(10)
        >>> plain = pd.DataFrame({"placement": "none", "strength": 0.0, "seed": seed})
        >>> noisy = pd.DataFrame({"placement": "input", "strength": 0.1, "seed": seed})
        >>> plain["auc"] = 0.7 + 0.01 * (seed % 4)
        >>> noisy["auc"] = 0.75 + 0.01 * (seed % 3)
        >>> rows = jn.compare(pd.concat([plain, noisy]), metric="auc")
        >>> print(rows)
        placement strength  n   mean difference    low   high p_holm  verdict
             none        0 10 0.7130          -      -      -      - baseline
            input      0.1 10 0.7590     0.0460 0.0347 0.0573 0.0020   better
        auc: higher is better; more columns: sd, median, iqm, boot_*, win_*, p, diverged
        >>> rows[["placement", "n", "win_probability", "win_low", "win_high"]]
        placement  n win_probability win_low win_high
             none 10               -       -        -
            input 10          1.0000  0.7225   1.0000
    """
    rows = compare_quietly(
        result_or_table,
        metric=metric,
        baseline=baseline,
        pair_by=pair_by,
        rope=rope,
        overlap=overlap,
        key=key,
        lower_is_better=lower_is_better,
        outer=outer,
    )
    if caution := caution_of(rows):
        warn(f"compare: {caution}.")
    return rows


def caution_of(rows: pd.DataFrame) -> str:
    """What is to be said of a table's units, few or too few; "" if nothing is."""
    compared = rows[rows["verdict"] != "baseline"]
    few = few_units(compared["n"].min()) if len(compared) else ""
    return "; ".join(filter(None, [few, out_of_reach(rows)]))


def few_units(n: int | np.integer) -> str:
    """What is to be said of so many units; "" if they are enough for intervals."""
    if n >= FEW_UNITS:
        return ""
    return (
        f"{n} {'unit is' if n == 1 else 'units are'} few: below {FEW_UNITS} intervals "
        f"are a guide, and below {LEAST_UNITS} there is no verdict"
    )


def out_of_reach(rows: pd.DataFrame) -> str:
    """Whether the comparisons of a table are too many for their units; "" if not.

    Fewer than 6 units have no verdict anyway, and the p of overlapping splits has no
    least value.
    """
    compared, facts = rows[rows["verdict"] != "baseline"], rows.attrs
    m, n = int(compared["p"].notna().sum()), compared["n"].max()
    enough = least_units(max(m, 1))
    if facts["overlap"] or not LEAST_UNITS <= n < enough:
        return ""
    return (
        f"with {m} comparisons of {n} {facts['unit']}s no verdict of better or worse "
        f"is possible, however large the difference: it takes {enough}"
    )


def compare_quietly(
    result_or_table: Any,
    *,
    metric: str,
    baseline: str = "none",
    pair_by: str | Sequence[str] = PAIR_BY,
    rope: float | None = None,
    overlap: float | None = None,
    key: Any = None,
    lower_is_better: bool | None = None,
    outer: int | None = None,
) -> Comparison:
    """`compare` without its warning, for what shows n itself, such as figures."""
    check_scale("rope", rope)
    check_scale("overlap", overlap)
    words = seed_words(key)
    table, pairs = by_outer_fold(runs_of(result_or_table), pair_by, outer)
    found = paired_cells(table, metric, baseline, pairs)
    lower = direction(metric, lower_is_better)
    judged = judge(found, words, rope=rope, overlap=overlap, lower_is_better=lower)
    rows = [
        cell.name
        | _summary(cell)
        | _difference(cell, words, overlap or 0.0, lower)
        | {"p": one.p, "p_holm": one.p_holm}
        | {"diverged": cell.diverged, "verdict": one.verdict}
        for cell, one in zip(found.cells, judged, strict=True)
    ]
    table = Comparison(rows)
    table.attrs = {
        "metric": metric,
        "baseline": baseline,
        "unit": found.unit if outer is None else OUTER,
        "lower_is_better": lower,
        "rope": rope,
        "overlap": overlap,
    }
    return table


def least_units(comparisons: int, alpha: float = ALPHA) -> int:
    """The fewest units of which any verdict of better or worse can come.

    The sign-flip p of n units is at least ``2 / 2**n``, and Holm's procedure multiplies
    the smallest of it by the number of comparisons.
    """
    units = LEAST_UNITS
    while 2 / 2**units >= alpha / comparisons:
        units += 1
    return units


class Judgement(NamedTuple):
    """The tests of one cell, and what they allow to say."""

    p: float
    p_holm: float
    verdict: str


def judge(
    found: Cells,
    words: list[int],
    *,
    rope: float | None = None,
    overlap: float | None = None,
    lower_is_better: bool = False,
) -> list[Judgement]:
    """Test every cell against the baseline, and adjust for all of them together."""
    intervals = [
        t_interval(cell.unit_differences, overlap=overlap or 0.0)
        for cell in found.cells
    ]
    p = [float(interval.p) for interval in intervals]
    for i, cell in enumerate(found.cells):
        if cell.is_baseline:
            p[i] = np.nan
        elif not overlap:  # folds overlap: their signs are not free to flip
            rng = np.random.default_rng([SIGNS, *words])
            p[i] = sign_flip_p(cell.unit_differences, rng, rounding=cell.rounding)
    adjusted = holm(p)
    verdicts = [
        "baseline"
        if cell.is_baseline
        else verdict(
            len(cell.unit_differences),
            cell.lost / cell.pairs,
            (float(interval.low), float(interval.high)),
            float(p_holm),
            rope=rope,
            lower_is_better=lower_is_better,
        )
        for cell, interval, p_holm in zip(found.cells, intervals, adjusted, strict=True)
    ]
    return [
        Judgement(*one) for one in zip(p, map(float, adjusted), verdicts, strict=True)
    ]


def verdict(
    units: int,
    lost: float,
    interval: tuple[float, float],
    p_holm: float,
    *,
    rope: float | None = None,
    lower_is_better: bool = False,
) -> str:
    """What may be said of a difference: the first rule that holds.

    ``lost`` is the share of pairs lost to divergence.
    """
    low, high = interval
    if units < LEAST_UNITS or lost > MOST_LOST:
        return "none"
    if rope is not None and -rope < low and high < rope:
        return "equivalent"
    if p_holm < ALPHA and (low > 0 or high < 0):
        return "better" if (high < 0) == lower_is_better else "worse"
    return "no evidence"


def _summary(cell: Cell) -> dict[str, Any]:
    """The cell's own scores, a value a unit."""
    scores = cell.unit_scores
    n = len(scores)
    return {
        "n": n if cell.is_baseline else len(cell.unit_differences),
        "mean": scores.mean() if n else np.nan,
        "sd": spread(scores),
        "median": np.median(scores) if n else np.nan,
        "iqm": interquartile_mean(scores),
    }


def spread(values: np.ndarray) -> float:
    """The standard deviation; that of equal numbers is 0, not their rounding."""
    if len(values) < 2:
        return np.nan
    return 0.0 if values.min() == values.max() else float(values.std(ddof=1))


def _difference(
    cell: Cell, words: list[int], overlap: float, lower: bool
) -> dict[str, float]:
    """The cell's differences with their intervals."""
    if cell.is_baseline:
        return dict.fromkeys(DIFFERENCE, np.nan)
    d = cell.unit_differences
    t = t_interval(d, overlap=overlap)
    # each row starts the same draws again, so that none depends on the others
    rng = np.random.default_rng([RESAMPLING, *words])
    boot = bootstrap_interval(d, rng, overlap=overlap)
    win = win_interval(-d if lower else d, overlap=overlap)
    values = map(float, (t.mean, t.low, t.high, *boot, *win))
    return dict(zip(DIFFERENCE, values, strict=True))


def check_scale(name: str, value: Any) -> None:
    """Refuse what is neither None nor a finite number of at least 0."""
    if value is None:
        return
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number:
        raise TypeError(f"{name} must be a number or None, got {value!r}.")
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be finite and >= 0, got {value}.")
