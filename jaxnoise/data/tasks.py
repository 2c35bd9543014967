"""Tasks that are drawn afresh at will, and whose best possible score is known.

`circles` is the task of the case study, `circles_bayes` what the best rule reaches on
it. `sine` is a regression task.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.random import RandomState

from jaxnoise.data.checks import check_noise
from jaxnoise.data.drawing import draw_sets
from jaxnoise.data.sets import Data, Rows


def circles(
    samples: int = 100,
    train_size: int = 30,
    *,
    noise: float = 0.1,
    seed: int = 1,
    validation: int = 0,
    population: int = 20_000,
    population_seed: int = 12_345,
) -> Data:
    """Return the two concentric circles of the case study.

    Points on circles of radius 1 (target 0) and 0.8 (target 1) plus Gaussian noise,
    from scikit-learn's ``make_circles``; the first ``train_size`` of ``samples`` points
    are the train set, the others the test set, as drawn. A large second draw, the
    population, tells what a small test set cannot.

    Args:
        samples: points of train and test set together.
        train_size: points of the train set, at least 1 and less than ``samples``.
        noise: standard deviation of the noise on both coordinates, in units of the
            outer radius.
        seed: of the points; an int.
        validation: points of a validation set, drawn after the others, which stay as
            they are; 0 for none.
        population: points of the population set.
        population_seed: of the population; an int.

    Returns:
        Data with ``train``, ``test``, ``validation`` if asked for, and ``population``:
        x of shape (rows, 2), y of shape (rows, 1).

    Raises:
        TypeError: if a size or a seed is no int.
        ValueError: if a size is out of range or ``noise`` is negative or not finite.
        MemoryError: if the points need more memory than is free.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.circles()
        Data(train=30 rows, test=70 rows, population=20000 rows)
    """
    check_noise(noise)
    return draw_sets(
        "circles",
        partial(_circle_rows, noise=noise),
        row_bytes=80,
        samples=samples,
        train_size=train_size,
        seed=seed,
        validation=validation,
        population=population,
        population_seed=population_seed,
    )


class Bayes(NamedTuple):
    """What the best possible rule reaches on a task.

    Attributes:
        accuracy: the highest possible accuracy.
        loss: the lowest possible cross-entropy, in nats.
        radius: for `circles`, the distance from the origin at which the rule switches.

    Example:
        >>> import jaxnoise as jn
        >>> round(jn.data.circles_bayes(0.1).radius, 4)
        0.9056
    """

    accuracy: float
    loss: float
    radius: float


def circles_bayes(noise: float = 0.1, *, factor: float = 0.8) -> Bayes:
    """Return what the best possible rule reaches on `circles`.

    The distance r of a point from the origin is Rice-distributed around the radius of
    its circle, with density f. The likelihood ratio of two Rice laws grows with r, so
    the best rule is a threshold t where they cross; its accuracy is ``(F_inner(t) + 1 -
    F_outer(t)) / 2``, and the lowest cross-entropy the mean of ``-log p(class | r)``.

    Args:
        noise: standard deviation of the noise, in units of the outer radius.
        factor: inner radius over outer radius, in (0, 1).

    Raises:
        ValueError: if ``noise`` is negative or not finite, or ``factor`` out of range.

    Reference: S. O. Rice, "Mathematical analysis of random noise", 1944.

    Example:
        >>> import jaxnoise as jn
        >>> round(jn.data.circles_bayes(0.1).accuracy, 4)
        0.8406
    """
    from scipy.integrate import quad  # slow to import
    from scipy.optimize import brentq
    from scipy.special import i0e
    from scipy.stats import rice

    check_noise(noise)
    if not 0 < factor < 1:
        raise ValueError(f"factor must be between 0 and 1, got {factor}.")
    if noise == 0:
        return Bayes(1.0, 0.0, (1 + factor) / 2)

    def log_ratio(r: float) -> float:
        """The outer density over the inner, free of underflow."""
        bessel = np.log(i0e(r / noise**2)) - np.log(i0e(r * factor / noise**2))
        return float(bessel + ((r - factor) ** 2 - (r - 1) ** 2) / (2 * noise**2))

    radius = brentq(log_ratio, 0, 1 + 10 * noise)
    inner, outer = rice(factor / noise, scale=noise), rice(1 / noise, scale=noise)

    def surprise(r: float) -> float:
        """-log p(class | r), times the density of r, summed over both classes."""
        z = log_ratio(r)
        return float(
            inner.pdf(r) * np.logaddexp(0, z) + outer.pdf(r) * np.logaddexp(0, -z)
        )

    ends = max(0.0, factor - 12 * noise), 1 + 12 * noise
    loss = quad(surprise, *ends, points=[radius], limit=200)[0] / 2
    return Bayes(float(inner.cdf(radius) + outer.sf(radius)) / 2, loss, radius)


def sine(
    samples: int = 100,
    train_size: int = 30,
    *,
    noise: float = 0.3,
    seed: int = 1,
    validation: int = 0,
    population: int = 20_000,
    population_seed: int = 12_345,
) -> Data:
    """Return one period of a sine, the regression task.

    Targets are ``sin(2 pi x) + noise * e`` with e ~ N(0, 1) and x uniform in [0, 1).
    Those of the population have no noise: its squared error is the distance from the
    sine itself, at best 0, where that on the noisy sets is at best ``noise**2``.

    Args:
        samples: points of train and test set together.
        train_size: points of the train set, at least 1 and less than ``samples``.
        noise: standard deviation of the noise on the targets, in units of the
            amplitude.
        seed: of the points; an int.
        validation: points of a validation set, drawn after the others, which stay as
            they are; 0 for none.
        population: points of the population set.
        population_seed: of the population; an int.

    Returns:
        Data with ``train``, ``test``, ``validation`` if asked for, and ``population``:
        x and y of shape (rows, 1).

    Raises:
        TypeError: if a size or a seed is no int.
        ValueError: if a size is out of range or ``noise`` is negative or not finite.
        MemoryError: if the points need more memory than is free.

    Reference: C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, figure
    1.2.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.sine(noise=0.1)
        Data(train=30 rows, test=70 rows, population=20000 rows)
    """
    check_noise(noise)
    return draw_sets(
        "sine",
        partial(_sine_rows, noise=noise),
        row_bytes=28,
        samples=samples,
        train_size=train_size,
        seed=seed,
        validation=validation,
        population=population,
        population_seed=population_seed,
        draw_population=partial(_sine_rows, noise=0.0),
    )


def _circle_rows(n: int, state: RandomState, *, noise: float) -> Rows:
    from sklearn.datasets import make_circles  # slow to import

    x, y = make_circles(n_samples=n, noise=noise, random_state=state)
    return x, y[:, None].astype(np.float32)


def _sine_rows(n: int, state: RandomState, *, noise: float) -> Rows:
    x = state.uniform(size=(n, 1))
    return x, np.sin(2 * np.pi * x) + noise * state.normal(size=x.shape)
