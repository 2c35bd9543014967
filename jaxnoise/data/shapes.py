"""Toy shapes that are drawn afresh at will: classes in the plane.

`moons` and `spirals` have two classes that no line divides, `blobs` any number that
lines do. They take what `circles` takes.
"""

from functools import partial

import numpy as np
from numpy.random import RandomState

from jaxnoise.data.checks import check_int, check_noise
from jaxnoise.data.drawing import draw_sets
from jaxnoise.data.sets import Data, Rows

TURNS = 1.5  # of a spiral's arm around the origin


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
    of that around (1, 1/2) (target 1) plus Gaussian noise, from scikit-learn's
    ``make_moons``.

    Args:
        samples: points of train and test set together.
        train_size: points of the train set, at least 1 and less than ``samples``.
        noise: standard deviation of the noise on both coordinates, in units of the
            radius.
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
        >>> jn.data.moons(200, 50, validation=50)
        Data(train=50 rows, test=150 rows, validation=50 rows, population=20000 rows)
    """
    check_noise(noise)
    return draw_sets(
        "moons",
        partial(_moon_rows, noise=noise),
        row_bytes=72,
        samples=samples,
        train_size=train_size,
        seed=seed,
        validation=validation,
        population=population,
        population_seed=population_seed,
    )


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

    Reference: K. J. Lang, M. J. Witbrock, "Learning to tell two spirals apart", 1988,
    of the task.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.spirals(200, 100)
        Data(train=100 rows, test=100 rows, population=20000 rows)
    """
    check_noise(noise)
    return draw_sets(
        "spirals",
        partial(_spiral_rows, noise=noise),
        row_bytes=56,
        samples=samples,
        train_size=train_size,
        seed=seed,
        validation=validation,
        population=population,
        population_seed=population_seed,
    )


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
    ``Phi(1 / noise)``, with Phi the normal distribution function.

    Args:
        samples: points of train and test set together.
        train_size: points of the train set, at least 1 and less than ``samples``.
        noise: standard deviation of a cloud in both coordinates, in units of the
            circle's radius.
        classes: the number of clouds, at least 2.
        seed: of the points; an int.
        validation: points of a validation set, drawn after the others, which stay as
            they are; 0 for none.
        population: points of the population set.
        population_seed: of the population; an int.

    Returns:
        Data with ``train``, ``test``, ``validation`` if asked for, and ``population``:
        x of shape (rows, 2), y of shape (rows,), integers from 0 to classes - 1.

    Raises:
        TypeError: if a size or a seed is no int.
        ValueError: if ``classes`` or a size is out of range or ``noise`` is negative
            or not finite.
        MemoryError: if the points need more memory than is free.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.blobs(classes=4).train[1][:8]
        array([0, 0, 1, 1, 1, 1, 0, 2], dtype=int32)
    """
    check_noise(noise)
    check_int("classes", classes, 2)
    return draw_sets(
        "blobs",
        partial(_blob_rows, noise=noise, classes=classes),
        row_bytes=48,
        samples=samples,
        train_size=train_size,
        seed=seed,
        validation=validation,
        population=population,
        population_seed=population_seed,
    )


def _moon_rows(n: int, state: RandomState, *, noise: float) -> Rows:
    from sklearn.datasets import make_moons  # slow to import

    x, y = make_moons(n_samples=n, noise=noise, random_state=state)
    return x, y[:, None].astype(np.float32)


def _spiral_rows(n: int, state: RandomState, *, noise: float) -> Rows:
    y = _classes(n, 2, state)
    radius = np.sqrt(state.uniform(size=n))
    x = radius[:, None] * _directions(2 * np.pi * TURNS * radius + np.pi * y)
    return x + noise * state.normal(size=x.shape), y[:, None].astype(np.float32)


def _blob_rows(n: int, state: RandomState, *, noise: float, classes: int) -> Rows:
    y = _classes(n, classes, state)
    x = _directions(2 * np.pi * y / classes)
    return x + noise * state.normal(size=x.shape), y


def _classes(n: int, classes: int, state: RandomState) -> np.ndarray:
    """As many of each as of any other, but for one, in random order."""
    return (state.permutation(n) % classes).astype(np.int32)


def _directions(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)
