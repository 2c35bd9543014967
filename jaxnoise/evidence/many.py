"""Several data sets at once: does it help on data, or on this data set?

`compare_many` compares on each, adjusts for all of them together, and says what holds
over sets: the mean effect, where that of the next set will lie, and a sign test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd

from jaxnoise.checks import warn
from jaxnoise.evidence.cells import Cell
from jaxnoise.evidence.compare import judged
from jaxnoise.evidence.format import table_text
from jaxnoise.evidence.paired import CONFIDENCE, holm, spread
from jaxnoise.evidence.table import Source
from jaxnoise.evidence.units import (
    LEAST_UNITS,
    Evidence,
    Options,
    check_options,
    evidence_of,
)
from jaxnoise.results import cell_columns

LEAST_SETS = 2  # for a mean with an interval


@dataclass(frozen=True, eq=False, repr=False)
class ManyComparison:
    """What `compare_many` returns; prints both tables.

    Attributes:
        sets: a row a data set, placement and strength (and metric): the columns of
            `compare`, adjusted for all rows together, and the standardised effect with
            its standard error.
        summary: a row a placement and strength (and metric), over all data sets.
    """

    sets: pd.DataFrame
    summary: pd.DataFrame

    def __str__(self) -> str:
        main = "set metric n effect error difference low high p_holm verdict".split()
        shown = [*cell_columns(self.sets), *(c for c in main if c in self.sets)]
        compared = self.sets[self.sets["verdict"] != "baseline"]
        texts = table_text(compared[shown]), table_text(self.summary)
        return "\n\n".join(text.to_string(index=False) for text in texts)

    __repr__ = __str__


def compare_many(
    results: Mapping[str, Source],
    *,
    metric: str | Sequence[str],
    **options: Unpack[Options],
) -> ManyComparison:
    """Compare with the baseline on several data sets, and over them.

    Differences of one data set say what noise does there. Whether it helps on data is
    a question to the sets: they are the units, and their effects are standardised, g =
    J mean(d) / sd(d), positive where it is better, with Hedges' correction J and
    variance 1 / n + overlap + g**2 / (2 n).

    Args:
        results: by the data set's name, a `SweepResult` or table as for `compare`.
        metric: the column that is compared, or several.
        **options: for `compare`, such as ``baseline``, ``rope`` or ``overlap``.

    Returns:
        A `ManyComparison` of two tables:

        * ``sets``: the rows of `compare` of each data set, whose p_holm and verdict are
          adjusted for all sets, placements, strengths and metrics together; the effect
          g, positive where it is better, and its standard error.
        * ``summary``: over the sets that have an effect, k of them, of at least 6 units
          that are not tied: the random-effects
          mean with its Hartung-Knapp interval low to high; tau, the standard deviation
          of the sets' true effects (Paule and Mandel's estimate); next_low to
          next_high, a 95 % prediction interval for the effect on another data set; in
          how many sets the mean difference is better or worse, and sign_p of the sign
          test over them, with sign_p_holm adjusted for all rows.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: as `compare`, or if there is no result.

    Warns:
        UserWarning: as `compare` does of doubts.

    Reference: J. Demsar, "Statistical comparisons of classifiers over multiple data
    sets", JMLR 7 (2006); G. Knapp and J. Hartung, Statistics in Medicine 22 (2003); R.
    Paule and J. Mandel, J. Res. NBS 87 (1982); J. Higgins et al., "A re-evaluation of
    random-effects meta-analysis", JRSS A 172 (2009).

    Example:
        >>> import numpy as np, pandas as pd, jaxnoise as jn
        >>> rng, tables = np.random.default_rng(0), {}
        >>> for name, gain in {"iris": 0.01, "wine": 0.02, "heart": 0.03}.items():
        ...     plain = rng.normal(0.8, 0.02, 20)
        ...     scores = [plain, plain + gain + rng.normal(0, 0.02, 20)]
        ...     tables[name] = pd.DataFrame({
        ...         "placement": np.repeat(["none", "input"], 20),
        ...         "strength": np.repeat([0.0, 0.1], 20),
        ...         "seed": np.tile(np.arange(20), 2),
        ...         "accuracy": np.concatenate(scores),
        ...     })
        >>> many = jn.compare_many(tables, metric="accuracy")
        >>> many.summary[["placement", "k", "better", "sign_p"]].values.tolist()
        [['input', 3, 3, 0.25]]
    """
    check_options("compare_many", options)
    if not results:
        raise ValueError("results must hold at least one result, got none.")
    metrics = list(metric) if isinstance(metric, list | tuple) else [metric]
    asked = [(name, each) for each in metrics for name in results]
    family = [evidence_of(results[name], each, **options) for name, each in asked]
    for doubt in dict.fromkeys(doubt for each in family for doubt in each.doubts):
        warn(f"compare_many: {doubt}.")
    of_cells = [
        {"set": name, "metric": evidence.metric, **_effect(cell, evidence)}
        for (name, _), evidence in zip(asked, family, strict=True)
        for cell in evidence.cells
    ]
    rows = pd.DataFrame(judged(*family)).drop(columns="metric", errors="ignore")
    sets = pd.concat([pd.DataFrame(of_cells), rows], axis=1)
    return ManyComparison(sets, _summary(sets))


def _effect(cell: Cell, evidence: Evidence) -> dict[str, float]:
    """Hedges' g of paired differences, positive where better, and its error."""
    from scipy.special import gammaln  # slow to import

    d, sd = cell.unit_differences, spread(cell.unit_differences)
    n = len(d)
    if cell.is_baseline or n < LEAST_UNITS or not sd > 0:
        return {"effect": np.nan, "error": np.nan}
    half, overlap = (n - 1) / 2, evidence.overlap or 0.0
    unbiased = np.exp(gammaln(half) - gammaln(half - 0.5)) / np.sqrt(half)
    g = float(evidence.gain * unbiased * d.mean() / sd)
    return {"effect": g, "error": float(np.sqrt(1 / n + overlap + g**2 / (2 * n)))}


def _summary(sets: pd.DataFrame) -> pd.DataFrame:
    """What holds over the sets, a row a metric, placement and strength."""
    from scipy.stats import binomtest  # slow to import

    compared = sets[sets["verdict"] != "baseline"]
    by, rows = ["metric", *cell_columns(sets)], []
    for name, group in compared.groupby(by, sort=False, dropna=False):
        known = group[np.isfinite(group["effect"])]
        found = random_effects(known["effect"], known["error"] ** 2)
        signs = np.sign(known["effect"])
        better, worse = int((signs > 0).sum()), int((signs < 0).sum())
        tested = better + worse
        p = binomtest(better, tested).pvalue if tested else np.nan
        counts = {"better": better, "worse": worse, "sign_p": p}
        rows.append(
            dict(zip(by, name, strict=True))
            | {"k": len(known)}
            | found._asdict()
            | counts
        )
    summary = pd.DataFrame(rows)
    return summary.assign(sign_p_holm=holm(summary["sign_p"]))


class Pooled(NamedTuple):
    """A mean over studies, with its interval and that of the next one."""

    mean: float
    low: float
    high: float
    tau: float
    next_low: float
    next_high: float


def random_effects(effects: Any, variances: Any) -> Pooled:
    """The random-effects mean of studies of unlike precision.

    ``mean = sum(w y) / sum(w)`` with ``w = 1 / (v + tau**2)``, where tau is such that
    ``sum(w (y - mean)**2) = k - 1``, or 0. Its interval is ``mean ± t * s`` with ``s**2
    = sum(w (y - mean)**2) / ((k - 1) sum(w))`` and Student's t at k - 1 degrees of
    freedom, and that of the next effect ``mean ± t' * sqrt(tau**2 + s**2)`` at k - 2.

    Args:
        effects: shape (k,).
        variances: of their estimates, shape (k,).

    Returns:
        A `Pooled`; fewer than two studies have no interval, fewer than three none of
        the next effect: NaN.

    Reference: that of `compare_many`.

    Example:
        >>> from jaxnoise.evidence.many import random_effects
        >>> pooled = random_effects([0.1, 0.3, 0.5], [0.01, 0.01, 0.01])
        >>> print(f"{pooled.mean:.2f} from {pooled.low:.2f} to {pooled.high:.2f}")
        0.30 from -0.20 to 0.80
    """
    from scipy.optimize import brentq  # slow to import
    from scipy.special import stdtrit

    y, v = np.asarray(effects, float), np.asarray(variances, float)
    k = len(y)
    if k < LEAST_SETS:
        return Pooled(float(y[0]) if k else np.nan, *[np.nan] * 5)

    def pooled(tau2: float) -> tuple[float, float, float]:
        w = 1 / (v + tau2)
        mean = (w * y).sum() / w.sum()
        return mean, w.sum(), (w * (y - mean) ** 2).sum()

    def excess(tau2: float) -> float:
        return pooled(tau2)[2] - (k - 1)

    most = float(np.ptp(y) ** 2 * k) + 1.0
    tau2 = brentq(excess, 0.0, most, xtol=1e-14) if excess(0.0) > 0 else 0.0
    mean, weight, q = pooled(tau2)
    s2 = q / (k - 1) / weight
    level = (1 + CONFIDENCE) / 2
    half = stdtrit(k - 1, level) * np.sqrt(s2)
    ahead = stdtrit(k - 2, level) * np.sqrt(tau2 + s2) if k > 2 else np.nan
    ends = mean - half, mean + half, np.sqrt(tau2), mean - ahead, mean + ahead
    return Pooled(float(mean), *map(float, ends))
