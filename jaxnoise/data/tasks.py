"""Tasks that are drawn afresh at will: classes in the plane, and a regression.

`circles` is the task of the case study, `circles_bayes` what the best rule reaches on
it. `moons` and `spirals` have two classes that no line divides, `blobs` any number that
lines do, and `sine` is a regression task. What all share is told in `jaxnoise.data`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.random import RandomState

from jaxnoise.checks import shown
from jaxnoise.data.rows import Rows, check_fits, check_int, check_seed
from jaxnoise.data.sets import Data

PIECES = 2048  # of an integral
TURNS = 1.5  # of a spiral's arm around the origin
Draw = Callable[[int, RandomState, float], Rows]  # (number of rows, state, noise)


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
    the same as of scikit-learn's ``make_circles``. A large second draw, the population,
    tells what a small test set cannot.

    Args:
        samples: points of train and test set together.
        train_size: points of the train set.
        noise: standard deviation of the noise on both coordinates, in units of the
            outer radius.
        seed: of the points.
        validation: points of a validation set.
        population: points of the population set.
        population_seed: of the population.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.circles()
        Data(train=30 rows, test=70 rows, population=20000 rows)
    """
    sizes = samples, train_size, seed, validation, population, population_seed
    return _drawn("circles", _circle_rows, noise, 80, sizes)


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
    _check_noise(noise)
    if not 0 < factor < 1:
        raise ValueError(f"factor must be between 0 and 1, got {factor}.")
    if noise == 0:
        return Bayes(1.0, 0.0, (1 + factor) / 2)

    inner, outer = _Rice(factor, noise), _Rice(1.0, noise)

    def log_ratio(r: Any) -> Any:
        return outer.log_density(r) - inner.log_density(r)

    low, radius = 0.0, 1 + 10 * noise
    while low < (middle := (low + radius) / 2) < radius:
        low, radius = (middle, radius) if log_ratio(middle) < 0 else (low, middle)

    def surprise(r: Any) -> Any:
        """-log p(class | r), times the density of r, summed over both classes."""
        z = log_ratio(r)
        given_inner = np.exp(inner.log_density(r)) * np.logaddexp(0, z)
        return given_inner + np.exp(outer.log_density(r)) * np.logaddexp(0, -z)

    loss = _integral(surprise, max(0.0, factor - 12 * noise), 1 + 12 * noise) / 2
    accuracy = (inner.below(radius) + 1 - outer.below(radius)) / 2
    return Bayes(float(accuracy), float(loss), radius)


class _Rice(NamedTuple):
    """The law of the distance of a point from the origin.

    Attributes:
        radius: where the point is without noise.
        noise: standard deviation on both coordinates.
    """

    radius: float
    noise: float

    def log_density(self, r: Any) -> Any:
        """Of the distance, without underflow."""
        from scipy.special import i0e  # slow to import

        variance = self.noise**2
        bessel = np.log(i0e(r * self.radius / variance))
        with np.errstate(divide="ignore"):  # at the origin
            scale = np.log(r / variance)
        return scale + bessel - (r - self.radius) ** 2 / (2 * variance)

    def below(self, r: float) -> Any:
        """The probability of a distance of at most r."""
        from scipy.special import chndtr  # slow to import

        return chndtr((r / self.noise) ** 2, 2, (self.radius / self.noise) ** 2)


def _integral(function: Callable[[Any], Any], low: float, high: float) -> Any:
    """By Gauss and Legendre on many short pieces."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    ends = np.linspace(low, high, PIECES + 1)
    half = np.diff(ends)[:, None] / 2
    return (half * weights * function(ends[:-1, None] + half * (1 + nodes))).sum()


def moons(
    samples: int = 100,
    train_size: int = 30,
    *,
    noise: float = 0.2,
    seed: int = 1,
    validation: int = 0,
    population: int = 20_000,
    population_seed: int = 12_345,
) -> Data:
    """Return two interleaving half circles.

    The upper half of the circle around (0, 0) of radius 1 (target 0) and the lower half
    of that around (1, 1/2) (target 1) plus Gaussian noise, the same as of
    scikit-learn's ``make_moons``.

    Args:
        samples: points of train and test set together.
        train_size: points of the train set.
        noise: standard deviation of the noise on both coordinates, in units of the
            radius.
        seed: of the points.
        validation: points of a validation set.
        population: points of the population set.
        population_seed: of the population.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.moons(200, 50, validation=50)
        Data(train=50 rows, test=150 rows, validation=50 rows, population=20000 rows)
    """
    sizes = samples, train_size, seed, validation, population, population_seed
    return _drawn("moons", _moon_rows, noise, 80, sizes)


def spirals(
    samples: int = 100,
    train_size: int = 30,
    *,
    noise: float = 0.05,
    seed: int = 1,
    validation: int = 0,
    population: int = 20_000,
    population_seed: int = 12_345,
) -> Data:
    """Return two interleaved spirals.

    Two arms from the origin out to radius 1, one (target 1) the other (target 0) turned
    by half a circle: ``r (cos a, sin a)`` with ``a = 3 pi r + pi target``, where r is
    the root of a uniform number so that points are as dense outside as inside, plus
    Gaussian noise. Neighbouring arms are 1/3 apart.

    Args:
        samples: points of train and test set together.
        train_size: points of the train set.
        noise: standard deviation of the noise on both coordinates, in units of the
            outer radius.
        seed: of the points.
        validation: points of a validation set.
        population: points of the population set.
        population_seed: of the population.

    Reference: K. J. Lang, M. J. Witbrock, "Learning to tell two spirals apart", 1988,
    of the task.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.spirals(200, 100)
        Data(train=100 rows, test=100 rows, population=20000 rows)
    """
    sizes = samples, train_size, seed, validation, population, population_seed
    return _drawn("spirals", _spiral_rows, noise, 56, sizes)


def blobs(
    samples: int = 100,
    train_size: int = 30,
    *,
    noise: float = 0.5,
    classes: int = 3,
    seed: int = 1,
    validation: int = 0,
    population: int = 20_000,
    population_seed: int = 12_345,
) -> Data:
    """Return Gaussian clouds around centres on a circle.

    Class k of K has the centre ``(cos a, sin a)`` with ``a = 2 pi k / K``, the same for
    every seed. The nearest centre is the best rule; with two classes its accuracy is
    ``Phi(1 / noise)``, with Phi the normal distribution function. y has the shape
    (rows,), integers from 0 to classes - 1.

    Args:
        samples: points of train and test set together.
        train_size: points of the train set.
        noise: standard deviation of a cloud in both coordinates, in units of the
            circle's radius.
        classes: the number of clouds, at least 2.
        seed: of the points.
        validation: points of a validation set.
        population: points of the population set.
        population_seed: of the population.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.blobs(classes=4).train[1][:8]
        array([0, 0, 1, 1, 1, 1, 0, 2], dtype=int32)
    """
    check_int("classes", classes, 2)
    sizes = samples, train_size, seed, validation, population, population_seed
    return _drawn("blobs", partial(_blob_rows, classes=classes), noise, 48, sizes)


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
    sine itself, at best 0, where that on the noisy sets is at best ``noise**2``. x and
    y have the shape (rows, 1).

    Args:
        samples: points of train and test set together.
        train_size: points of the train set.
        noise: standard deviation of the noise on the targets, in units of the
            amplitude.
        seed: of the points.
        validation: points of a validation set.
        population: points of the population set.
        population_seed: of the population.

    Reference: C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, figure
    1.2.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.sine(noise=0.1)
        Data(train=30 rows, test=70 rows, population=20000 rows)
    """
    sizes = samples, train_size, seed, validation, population, population_seed
    return _drawn("sine", _sine_rows, noise, 28, sizes, population_noise=0.0)


def _drawn(
    name: str,
    draw: Draw,
    noise: Any,
    row_bytes: int,
    sizes: tuple[int, int, int, int, int, int],
    population_noise: float | None = None,
) -> Data:
    """The sets of a task: train and test as one draw, then validation, and population.

    ``row_bytes`` is what a row takes at the peak, while it is drawn in float64.
    """
    samples, train_size, seed, validation, population, population_seed = sizes
    _check_noise(noise)
    check_int("samples", samples, 2)
    check_int("train_size", train_size, 1, samples - 1)
    check_int("validation", validation, 0)
    check_int("population", population, 1)
    check_seed("seed", seed)
    check_seed("population_seed", population_seed)
    rows = samples + validation + population
    check_fits(f"{name}: {rows:,} rows", rows * row_bytes, "ask for fewer rows")
    state, of_population = RandomState(seed), RandomState(population_seed)
    x, y = draw(samples, state, noise)
    sets = {"test": (x[train_size:], y[train_size:])}
    if validation:
        sets["validation"] = draw(validation, state, noise)
    if population_noise is None:
        population_noise = noise
    sets["population"] = draw(population, of_population, population_noise)
    data = Data(train=(x[:train_size], y[:train_size]), **sets)
    data.overlap = 0.0
    return data


def _check_noise(noise: Any) -> None:
    """Refuse what is no standard deviation."""
    number = isinstance(noise, int | float | np.number)
    if not (number and np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise must be finite and >= 0, got {shown(noise)}.")


def _circle_rows(n: int, state: RandomState, noise: float) -> Rows:
    counts = n // 2, n - n // 2
    outer, inner = (np.linspace(0, 2 * np.pi, m, endpoint=False) for m in counts)
    return _two_classes(_directions(outer), 0.8 * _directions(inner), state, noise)


def _moon_rows(n: int, state: RandomState, noise: float) -> Rows:
    upper, lower = (np.linspace(0, np.pi, m) for m in (n // 2, n - n // 2))
    down = 1 - _directions(lower) - np.array([0, 0.5])
    return _two_classes(_directions(upper), down, state, noise)


def _two_classes(
    first: np.ndarray, second: np.ndarray, state: RandomState, noise: float
) -> Rows:
    """Noisy points in random order, as scikit-learn makes them of a state."""
    x, order = np.concatenate([first, second]), np.arange(len(first) + len(second))
    state.shuffle(order)
    x = x[order] + state.normal(scale=noise, size=x.shape)
    return x, (order >= len(first))[:, None].astype(np.float32)


def _spiral_rows(n: int, state: RandomState, noise: float) -> Rows:
    y = _classes(n, 2, state)
    radius = np.sqrt(state.uniform(size=n))
    x = radius[:, None] * _directions(2 * np.pi * TURNS * radius + np.pi * y)
    return x + noise * state.normal(size=x.shape), y[:, None].astype(np.float32)


def _blob_rows(n: int, state: RandomState, noise: float, *, classes: int) -> Rows:
    y = _classes(n, classes, state)
    x = _directions(2 * np.pi * y / classes)
    return x + noise * state.normal(size=x.shape), y


def _sine_rows(n: int, state: RandomState, noise: float) -> Rows:
    x = state.uniform(size=(n, 1))
    return x, np.sin(2 * np.pi * x) + noise * state.normal(size=x.shape)


def _classes(n: int, classes: int, state: RandomState) -> np.ndarray:
    """As many of each as of any other, but for one, in random order."""
    return (state.permutation(n) % classes).astype(np.int32)


def _directions(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)
