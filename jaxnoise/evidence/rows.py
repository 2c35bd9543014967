"""Test rows are luck, too: what differences of rows say of new ones.

Seeds on one test set agree on its rows: however many there are, what they find is true
of these rows, and not yet of the next ones. With a difference for each seed and row
(`keep_rows` of `jaxnoise.sweep`) both kinds of luck are known, and count together.
"""

from typing import Any

import numpy as np

from jaxnoise.evidence.cells import Cell
from jaxnoise.evidence.paired import CONFIDENCE, TInterval
from jaxnoise.evidence.units import Evidence


def new_rows_interval(evidence: Evidence, cell: Cell) -> TInterval | None:
    """That of the mean difference on new test rows; None where rows were not kept."""
    kept = getattr(evidence.source, "rows", {}).get(evidence.metric)
    if kept is None or len(cell.pairs) < 2:
        return None
    mine, theirs = map(kept.of, cell.runs_of_pairs)
    return crossed_interval(mine.astype(float) - theirs)


def crossed_interval(differences: Any) -> TInterval:
    """The mean over seeds and rows, with the interval for new seeds and new rows.

    Differences are ``mean + seed + row + rest``, each a random effect. The variance of
    the mean is estimated by ``V = S / s + R / r - E / (s r)`` from the variances S of
    the s means of seeds, R of the r means of rows, and E of what both leave over, and
    never below its larger part; Student's t has Satterthwaite's degrees of freedom.

    Args:
        differences: shape (seed, row), two or more of each.

    Returns:
        Mean, low, high and the two-sided p of "the mean is 0"; all tied, p is 1.

    Reference: S. Searle, G. Casella, C. McCulloch, "Variance components", 1992, chapter
    4; F. Satterthwaite, Biometrics Bulletin 2 (1946).

    Example:
        >>> import numpy as np
        >>> from jaxnoise.evidence.rows import crossed_interval
        >>> d = np.random.default_rng(0).choice([-1, 0, 0, 0, 1, 1], (10, 100))
        >>> print("{:.3f} from {:.3f} to {:.3f}".format(*crossed_interval(d)[:3]))
        0.204 from 0.164 to 0.244
    """
    from scipy.special import stdtr, stdtrit  # slow to import

    d = np.asarray(differences, float)
    s, r = d.shape
    mean, of_seeds, of_rows = d.mean(), d.mean(1), d.mean(0)
    parts = np.array([of_seeds.var(ddof=1) / s, of_rows.var(ddof=1) / r])
    rest = d - of_seeds[:, None] - of_rows + mean
    both = (rest**2).sum() / ((s - 1) * (r - 1)) / (s * r)
    variance = max(parts.sum() - both, parts.max())
    if not variance:
        return TInterval(mean, mean, mean, 1.0)
    free = parts.sum() ** 2 / (parts**2 / [s - 1, r - 1]).sum()
    error = np.sqrt(variance)
    half = stdtrit(free, (1 + CONFIDENCE) / 2) * error
    p = 2 * stdtr(free, -np.abs(mean) / error)
    return TInterval(mean, mean - half, mean + half, float(p))
