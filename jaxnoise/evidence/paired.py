"""The numerical core of paired comparisons: arrays of differences in, numbers out.

A difference belongs to one unit (a seed, or a split), and units are independent. Each
function is the textbook's; SciPy's routine does the work wherever it has one. `compare`
is what most people want.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnoise.checks import single_key

CONFIDENCE = 0.95
ALPHA = 0.05
EXACT_UNITS = 20  # up to here all 2**n sign flips are counted
SIGN_FLIPS = 100_000  # draws, of so many units or fewer:
MANY_UNITS = 1_000  # of more there are less, so that time grows with the units alone,
LEAST = 0.05  # but never less than this share of them
AT_ONCE = 2**22  # signs in memory
ROUNDING = 1e-12  # of sums, relative: closer ones are equal


class TInterval(NamedTuple):
    """A mean with its t-interval and the p of "the mean is 0"."""

    mean: Any
    low: Any
    high: Any
    p: Any


def t_interval(differences: Any, *, overlap: float = 0.0) -> TInterval:
    """Student's interval of the mean, ``mean ± t * sd * sqrt(1 / n + overlap)``.

    Args:
        differences: shape (..., n); the result has the leading axes.
        overlap: test rows over train rows of resampled splits, 0 for independent ones;
            above 0 this is Nadeau and Bengio's corrected interval.

    Returns:
        Mean, low, high and two-sided p. Tied differences d have [d, d] and p = 1; one
        difference has no interval, and none at all no mean: NaN.

    Reference: C. Nadeau and Y. Bengio, "Inference for the generalization error",
    Machine Learning 52 (2003).
    """
    from scipy.special import stdtr, stdtrit  # slow to import

    d = np.asarray(differences, float)
    n = d.shape[-1]
    nothing = np.full(d.shape[:-1], np.nan)
    if n < 2:
        mean = d[..., 0] if n else nothing
        return TInterval(mean, nothing, nothing, np.where(np.isnan(mean), mean, 1.0))
    sd = spread(d)
    tied = sd == 0  # a mean of equal numbers may be off by rounding
    mean = np.where(tied, d[..., 0], d.mean(-1))
    error = sd * np.sqrt(1 / n + overlap)
    half = stdtrit(n - 1, (1 + CONFIDENCE) / 2) * error
    ratio = np.abs(mean) / np.where(tied, np.inf, error)
    return TInterval(mean, mean - half, mean + half, 2 * stdtr(n - 1, -ratio))


def spread(values: Any) -> Any:
    """The standard deviation; that of equal numbers is 0, not their rounding."""
    x = np.asarray(values, float)
    if x.shape[-1] < 2:
        return np.full(x.shape[:-1], np.nan)[()]
    scale = scale_of(x)
    sd = (x / scale).std(-1, ddof=1) * scale[..., 0]
    return np.where(x.min(-1) == x.max(-1), 0.0, sd)[()]


def skewness(values: Any) -> float:
    """The third central moment over the cube of the standard deviation; 0 if tied."""
    x = np.asarray(values, float)
    if len(x) < 3 or x.min() == x.max():
        return 0.0
    u = x / scale_of(x)
    u = u - u.mean()
    return float((u**3).mean() / (u**2).mean() ** 1.5)


def scale_of(x: np.ndarray) -> np.ndarray:
    """A power of two next to the largest: squares of x over it keep to the numbers."""
    return np.ldexp(1.0, np.frexp(np.abs(x).max(-1, keepdims=True))[1])


def win_interval(
    differences: Any, *, overlap: float = 0.0
) -> tuple[float, float, float]:
    """Share of differences above 0, ties half, and its Wilson interval.

    SciPy's Wilson interval takes whole counts alone, and ties make halves. ``overlap``
    leaves ``n / (1 + n * overlap)`` units' worth of evidence.

    Reference: E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22 (1927).
    """
    d = np.asarray(differences, float)
    if not len(d):
        return np.nan, np.nan, np.nan
    share = float((d > 0).mean() + (d == 0).mean() / 2)
    low, high = wilson(share, len(d) / (1 + len(d) * overlap))
    return share, low, high


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a probability that n trials put at ``share``."""
    from scipy.special import ndtri  # slow to import

    z = ndtri((1 + CONFIDENCE) / 2)
    centre = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    low, high = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    # at the ends rounding would leave dust, such as 3e-17
    return float(low) if share > 0 else 0.0, float(high) if share < 1 else 1.0


def sign_flip_p(
    differences: Any, rng: np.random.Generator, *, rounding: Any = 0.0
) -> Any:
    """Two-sided p of "each difference could as well have the other sign".

    The share of the 2^n sign patterns under which the mean is at least as far from 0 as
    it is. Up to 20 units all are counted: each sum is one of the first half's plus one
    of the second's, which are sorted and searched. Beyond, 100,000 patterns are drawn
    (beyond 1,000 units fewer, of 20,000 or more 5,000), the same for all samples, and
    ``p = (1 + count) / (1 + draws)``.

    Args:
        differences: shape (..., n). All the same have a p of ``2 / 2**n``; zeros, of 1.
        rng: draws the patterns beyond 20 units.
        rounding: of the sums; those that it cannot tell apart are equal.

    Returns:
        p, with the leading axes.

    Reference: R. A. Fisher, "The design of experiments", 1935, section 21; B. Phipson
    and G. K. Smyth, "Permutation p-values should never be zero", 2010.
    """
    d = np.asarray(differences, float)
    n = d.shape[-1]
    if not n:
        return np.full(d.shape[:-1], np.nan)[()]
    samples, rounding = d.reshape(-1, n), np.ravel(rounding)
    if n <= EXACT_UNITS:
        p = all_flips_p(samples, rounding=rounding)
    else:
        p = _drawn_flips_p(samples, rng, rounding)
    tied = samples.min(1) == samples.max(1)
    p = np.where(tied, np.where(samples[:, 0] == 0, 1.0, 2.0 ** (1 - n)), p)
    return p.reshape(d.shape[:-1])[()]


def all_flips_p(samples: np.ndarray, *, rounding: Any = 0.0) -> np.ndarray:
    """The exact p of `sign_flip_p` for samples of few units, shape (sample, n)."""
    n, least = samples.shape[1], _least_extreme(samples, rounding)
    first = _signed_sums(samples[:, : n // 2])
    second = np.sort(_signed_sums(samples[:, n // 2 :]))
    below = [
        np.searchsorted(those, bound - these).sum()
        for these, those, bound in zip(first, second, least, strict=True)
    ]
    # as many lie below -least as above it
    return np.minimum(2 - 2 * np.array(below) / 2**n, 1.0)


def _signed_sums(d: np.ndarray) -> np.ndarray:
    """The sums of d along its last axis under all 2^n patterns of signs."""
    sums = np.zeros((*d.shape[:-1], 1))
    for value in np.moveaxis(d, -1, 0)[..., None]:
        sums = np.concatenate([sums - value, sums + value], axis=-1)
    return sums


def _drawn_flips_p(
    samples: np.ndarray, rng: np.random.Generator, rounding: Any
) -> np.ndarray:
    """The p of `sign_flip_p` by patterns that are drawn, a bit a unit."""
    n, least = samples.shape[1], _least_extreme(samples, rounding)
    count = int(SIGN_FLIPS * np.clip(MANY_UNITS / n, LEAST, 1))
    units = [min(8, n - at) for at in range(0, n, 8)]
    draws = np.array([rng.integers(0, 2**u, count).astype(np.uint8) for u in units])
    size = min(max(AT_ONCE // len(samples), 1), count)
    slab, extreme = max(AT_ONCE // (8 * size), 1), np.zeros(len(samples))
    for at in range(0, count, size):
        sums = -samples.sum(1, keepdims=True)
        for first in range(0, len(draws), slab):
            words = draws[first : first + slab, at : at + size]
            part = samples[:, 8 * first : 8 * (first + slab)]
            bits = np.unpackbits(words, axis=0, bitorder="little")[: part.shape[1]]
            sums = sums + 2 * part @ bits.astype(float)
        extreme += (np.abs(sums) >= least[:, None]).sum(1)
    return (1 + extreme) / (1 + count)


def _least_extreme(samples: np.ndarray, rounding: Any) -> np.ndarray:
    """How far from 0 a sum must be to count, for each sample."""
    sizes = np.abs(samples).sum(1)
    return np.abs(samples.sum(1)) - np.maximum(rounding, ROUNDING * sizes)


def holm(p: Any) -> np.ndarray:
    """Holm's adjusted p-values; NaN is no test and stays NaN.

    The j-th smallest of m is multiplied by ``m + 1 - j`` and is at least the one before
    it. SciPy has Benjamini and Hochberg's adjustment, but not this one.

    Reference: S. Holm, "A simple sequentially rejective multiple test procedure",
    Scandinavian Journal of Statistics 6 (1979).
    """
    p = np.asarray(p, float)
    m = int(np.isfinite(p).sum())
    order = np.argsort(p)[:m]  # NaN sorts last
    adjusted = np.full(p.shape, np.nan)
    steps = np.maximum.accumulate((m - np.arange(m)) * p[order])
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def interquartile_mean(scores: Any) -> float:
    """Mean of the middle half: a quarter of the scores, rounded down, goes each side.

    Reference: R. Agarwal et al., "Deep reinforcement learning at the edge of the
    statistical precipice", NeurIPS 2021.
    """
    from scipy.stats import trim_mean  # slow to import

    return float(trim_mean(scores, 0.25)) if len(scores) else np.nan


def seed_words(key: Any) -> list[int]:
    """The bits of a typed Threefry key, ``jax.random.key(0)`` for None."""
    if key is None:
        key = jax.random.key(0, impl="threefry2x32")
    return [int(word) for word in np.asarray(jax.random.key_data(single_key(key)))]
