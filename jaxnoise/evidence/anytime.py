"""Evidence that holds however often one looks, and whatever makes one stop.

An *e-process* of a hypothesis starts at 1 and is expected to be at most 1 at any time
of stopping, if the hypothesis holds: it reaches 20 with a probability of at most 5 %,
ever (Ville's inequality). Here the hypothesis is the sign-flip test's own: given the
sizes of the differences, and those before it, each has either sign with probability
1/2. All functions take units along the last axis, in the order in which they were made.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxnoise.evidence.paired import ALPHA, scale_of

BETS = np.array([0.1, 0.2, 0.35, 0.65, 1.5])  # effects that are bet on, in rms
WEIGHTS = np.array([1, 2, 3, 6, 4]) / 16  # measured: power over 0.8 from 0.2 to 1.5 sd
LARGEST = 690.0  # of a logarithm: exp of more leaves the range of numbers
LIMIT = -np.log(ALPHA)
REACHES = np.array(
    [*np.linspace(0, 1, 13), *2.0 ** np.arange(1, 41, 3)]
)  # of the range
BISECTIONS = 40


def log_e(differences: Any, *, sides: Sequence[int] = (-1, 1)) -> np.ndarray:
    """The logarithm of the sign-flip e-process after each unit.

    ``E_n = sum_k w_k / 2 * (prod_i g(b_k z_i) + prod_i g(-b_k z_i))`` with ``g(x) = 2 /
    (1 + exp(-2 x))`` and ``z_i = d_i / rms(d_1 .. d_i)``. A sign is a fair coin, so
    that ``g(b |z|)`` and ``g(-b |z|)``, the two values of a factor, average to 1. The
    bets b_k stand for effects of many sizes; twice their logarithm is what it costs not
    to know.

    Args:
        differences: shape (..., n); NaN from one that is not finite on.
        sides: on which it bets, of differences below and above 0; on one, E is twice
            that side's half, and the hypothesis may be "at most 0", or "at least".

    Returns:
        Shape (..., n), the natural logarithm.

    Reference: G. Shafer et al., "Test martingales, Bayes factors and p-values",
    Statistical Science 26 (2011); A. Ramdas et al., "Testing exchangeability: fork-
    convex hulls, supermartingales and e-processes", 2022.

    Example:
        >>> import numpy as np
        >>> from jaxnoise.evidence.anytime import log_e
        >>> np.exp(log_e([0.2, 0.3, 0.1, 0.25, 0.2, 0.4])).round(2)
        array([1.  , 1.38, 1.82, 2.96, 4.85, 8.88])
    """
    d = np.asarray(differences, float)
    d = d / scale_of(d)
    rms = np.sqrt(np.cumsum(d**2, -1) / np.arange(1, d.shape[-1] + 1))
    x = np.multiply.outer(BETS, d / np.where(rms > 0, rms, 1.0))
    size = np.abs(x)
    cosh = size + np.log1p(np.exp(-2 * size)) - np.log(2)  # its logarithm
    products = np.cumsum([side * x - cosh for side in sides], axis=-1)
    largest = products.max((0, 1))  # of the products' logarithms: (side, bet, ...)
    means = np.exp(products - largest).mean(0)
    return largest + np.log(np.tensordot(WEIGHTS, means, 1))


def e_holm(logs: Any) -> np.ndarray:
    """Adjust e-values of several comparisons for one another.

    That of a comparison is the least mean of any set of e-values that it is in:
    whatever is true of the others, a mean of e-values is one, however they depend. That
    is Holm's procedure for e-values, and less strict than multiplying by their number.

    Args:
        logs: shape (comparisons, ...), natural logarithms.

    Returns:
        The adjusted e-values' logarithms, of the same shape.

    Reference: V. Vovk and R. Wang, "E-values: calibration, combination and
    applications", Annals of Statistics 49 (2021), algorithm 1.

    Example:
        >>> import numpy as np
        >>> from jaxnoise.evidence.anytime import e_holm
        >>> np.exp(e_holm(np.log([60.0, 1.0, 2.0]))).round(3)
        array([21. ,  1. ,  1.5])
    """
    e = np.exp(np.minimum(logs, LARGEST))
    ordered = np.sort(e, axis=0)
    found, total = e.copy(), np.zeros(e.shape[1:])
    for size, smaller in enumerate(ordered[:-1], 2):
        total = total + smaller
        mean = e / size + total / size
        found = np.where(smaller < e, np.minimum(found, mean), found)
    with np.errstate(divide="ignore"):
        return np.log(found)


def confidence_sequence(differences: Any) -> tuple[Any, Any]:
    """Ends of the 95 % confidence sequence of the centre of symmetry.

    All centres m for which the e-process of ``d - m`` has not reached 20 up to now: the
    true one stays in with a probability of at least 95 % at all times together. Sets
    only shrink while units are added. Where even the farthest centre has not been
    ruled out, as with seven units or fewer, the ends are NaN; where all have been, both
    are the centre least spoken against.

    Args:
        differences: shape (..., n), finite; each symmetric about one centre.

    Returns:
        low and high, with the leading axes.

    Reference: S. Howard et al., "Time-uniform, nonparametric, nonasymptotic confidence
    sequences", Annals of Statistics 49 (2021).

    Example:
        >>> from jaxnoise.evidence.anytime import confidence_sequence
        >>> low, high = confidence_sequence([0.2, 0.3, 0.1, 0.25, 0.2, 0.4] * 3)
        >>> print(f"{low:.3f} to {high:.3f}")
        0.171 to 0.308
    """
    d = np.asarray(differences, float)
    if not d.shape[-1]:
        return np.full(d.shape[:-1], np.nan), np.full(d.shape[:-1], np.nan)
    scale = scale_of(d)[..., 0]
    d = d / scale[..., None]

    def spoken_against(centres: np.ndarray) -> np.ndarray:
        return log_e(d - centres[..., None]).max(-1)

    tried = np.quantile(d, np.linspace(0, 1, 33), axis=-1)
    least = spoken_against(tried).argmin(0)[None]
    centre = np.take_along_axis(tried, least, 0)[0]
    width = np.maximum(np.ptp(d, axis=-1), np.finfo(float).eps)
    steps = np.stack([-width, width])
    inside, outside = _bracket(
        [spoken_against(centre + reach * steps) < LIMIT for reach in REACHES]
    )
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        within = spoken_against(centre + middle * steps) < LIMIT
        inside = np.where(within, middle, inside)
        outside = np.where(within, outside, middle)
    low, high = (centre + inside * steps) * scale
    return low, high


def _bracket(within: Any) -> tuple[Any, Any]:
    """The last reach that is within, NaN if all are, and the one after it."""
    within = np.array(within)
    last = len(REACHES) - 1 - within[::-1].argmax(0)
    last = np.where(within.any(0), last, 0)
    beyond = np.append(REACHES[1:], np.nan)
    return np.where(last == len(REACHES) - 1, np.nan, REACHES[last]), beyond[last]
