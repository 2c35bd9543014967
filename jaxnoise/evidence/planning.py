"""How many runs a question takes, before they are made.

`seeds_needed` turns the spread of paired differences, known or measured in a first
sweep, into a number of units.
"""

from typing import Any, Unpack

import numpy as np
import pandas as pd

from jaxnoise.evidence.compare import Comparison, comparison_of, least_units
from jaxnoise.evidence.paired import CONFIDENCE, EXACT_UNITS, all_flips_p
from jaxnoise.evidence.table import Source
from jaxnoise.evidence.units import Options, check_number, check_options

MOST_UNITS = 10**12
SAMPLES = 2_000  # of which the power of few units is known to about a hundredth
SURE = 0.8  # that a pilot's upper limit of the standard deviation holds
LARGEST_EFFECT = 1e3  # in standard deviations; six units see a smaller one


def seeds_needed(
    difference: float,
    *,
    sd: float | None = None,
    result_or_table: Source | None = None,
    metric: str | None = None,
    comparisons: int = 1,
    power: float = 0.8,
    alpha: float = 0.05,
    **options: Unpack[Options],
) -> int:
    """Return how many units are needed to see a mean difference.

    The smallest n for which `compare` finds a true mean difference with probability
    ``power`` at level ``alpha / comparisons``, if the differences are normal with the
    standard deviation ``sd``. Up to 20 units its sign-flip test is run on 2,000 samples
    that are always the same; beyond, and for splits that overlap, the power is that of
    the paired t-test, which then is the same to a hundredth: its statistic has the
    noncentral t distribution with n - 1 degrees of freedom and noncentrality ``sqrt(n)
    * difference / sd``. Units are splits where there are several, else seeds, and their
    number is fixed beforehand; `sweep_until` finds it while it runs.

    Args:
        difference: the smallest true difference worth seeing, in units of the metric;
            its sign does not matter.
        sd: the standard deviation of paired differences between units.
        result_or_table: in place of ``sd``: what `compare` returned, or a `SweepResult`
            or tidy table with a ``metric``. The largest standard deviation among its
            placements and strengths is taken, at its one-sided upper limit of 80 %: a
            pilot's own estimate is too small about half the time, and n with it. Select
            rows to ask about fewer.
        metric: the column of a sweep or table.
        comparisons: how many placements and strengths will be compared, for which
            `compare` adjusts.
        power: the probability to see the difference, in (0, 1).
        alpha: the level of the test, in (0, 1).
        **options: of `compare`, such as ``baseline``, of a sweep or table. An
            ``overlap`` of splits no number of units takes away; None takes that of the
            comparison, else none.

    Returns:
        The number of units.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a number is out of range, not exactly one of ``sd`` and
            ``result_or_table`` is given, a table has no spread to measure, or no number
            of units has the power, as with overlapping splits.

    Reference: J. Cohen, "Statistical power analysis for the behavioral sciences", 1988;
    R. H. Browne, "On the use of a pilot sample for sample size determination",
    Statistics in Medicine 14 (1995).

    Example:
        >>> import jaxnoise as jn
        >>> jn.seeds_needed(0.01, sd=0.02)
        34
        >>> jn.seeds_needed(0.01, sd=0.02, comparisons=8, power=0.9)
        69
    """
    check_options("seeds_needed", options)
    check_number("difference", difference, least=-np.inf)
    for name, share in {"power": power, "alpha": alpha}.items():
        check_number(name, share, least=-np.inf)
        if not 0 < share < 1:
            raise ValueError(f"{name} must be between 0 and 1, got {share}.")
    if difference == 0:
        raise ValueError("difference must not be 0, which no number of units shows.")
    if isinstance(comparisons, bool) or not isinstance(comparisons, int | np.integer):
        raise TypeError(f"comparisons must be an int, got {comparisons!r}.")
    if comparisons < 1:
        raise ValueError(f"comparisons must be at least 1, got {comparisons}.")
    if (sd is None) == (result_or_table is None):
        raise ValueError(
            "seeds_needed takes sd or result_or_table, got "
            f"{'neither' if sd is None else 'both'}."
        )
    overlap = options.get("overlap")
    if overlap is not None:
        check_number("overlap", overlap, kind="a number or None")
    if result_or_table is not None:
        sd, found = _measured(result_or_table, metric, options)
        overlap = found if overlap is None else overlap
    check_number("sd", sd)
    level, least = alpha / comparisons, least_units(comparisons, alpha)
    effect = LARGEST_EFFECT if sd == 0 else abs(difference) / float(sd)  # type: ignore[arg-type]
    return _smallest(min(effect, LARGEST_EFFECT), overlap or 0.0, level, power, least)


def _smallest(
    effect: float, overlap: float, level: float, power: float, least: int
) -> int:
    """The smallest n of at least ``least`` with the power: doubled, then bisected."""
    if _power(least, effect, level, overlap) >= power:
        return least
    below, above = least, 2 * least
    while _power(above, effect, level, overlap) < power:
        below, above = above, 2 * above
        if above > MOST_UNITS:
            raise ValueError(
                f"difference must be seen with {MOST_UNITS:.0e} units, got {effect:g} "
                f"standard deviations with overlap {overlap:g}."
            )
    while above - below > 1:
        middle = (below + above) // 2
        if _power(middle, effect, level, overlap) < power:
            below = middle
        else:
            above = middle
    return above


def _power(n: int, effect: float, level: float, overlap: float = 0.0) -> float:
    """The power of n units by the test of `compare`, the effect in sd."""
    if n > EXACT_UNITS or overlap:
        return _power_of_t(n, effect, level, overlap)
    draws = np.random.default_rng(0).normal(size=(SAMPLES, EXACT_UNITS))
    return float((all_flips_p(effect + draws[:, :n]) < level).mean())


def _power_of_t(n: int, effect: float, level: float, overlap: float = 0.0) -> float:
    """P(|T| > t) of n units, the effect in standard deviations.

    T squared has the noncentral F distribution, which SciPy computes far into the
    tails, where its noncentral t gives NaN.
    """
    from scipy.special import ncfdtr, stdtrit  # slow to import

    critical = stdtrit(n - 1, 1 - level / 2)
    return float(1 - ncfdtr(1, n - 1, effect**2 / (1 / n + overlap), critical**2))


def _measured(
    source: Any, metric: str | None, options: Options
) -> tuple[float, float | None]:
    """The largest upper limit of a standard deviation of differences, and the overlap.

    From the half widths of the t-intervals, which a table that was saved has, too.
    """
    from scipy.special import chdtri, stdtrit  # slow to import

    rows, columns = source, {"n", "low", "high", "verdict"}
    judged = isinstance(source, pd.DataFrame) and columns <= {*source}
    if not judged or source.attrs.get("stop") == "anytime":  # whose intervals are no t
        if metric is None and not isinstance(source, Comparison):
            raise ValueError("metric must be a column of the runs, got None.")
        fixed: Options = {**options, "stop": "fixed"}
        rows = comparison_of("seeds_needed", source, metric, fixed)
    overlap = rows.attrs.get("overlap")
    rows = rows[(rows["n"] > 1) & np.isfinite(rows["high"] - rows["low"])]
    if rows.empty:
        raise ValueError(
            "result_or_table must hold a comparison of two or more units, got none."
        )
    n = rows["n"].to_numpy(float)
    errors = (rows["high"] - rows["low"]) / 2 / stdtrit(n - 1, (1 + CONFIDENCE) / 2)
    sd = errors / np.sqrt(1 / n + (overlap or 0.0))
    upper = np.sqrt(
        (n - 1) / chdtri(n - 1, SURE)
    )  # chi-squared, of which more lies above
    return float((sd * upper).max()), overlap
