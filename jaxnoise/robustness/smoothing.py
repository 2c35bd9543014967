"""Randomised smoothing: what a network says of most noisy copies of a point.

A smoothed classifier answers what its base answers for most of ``x + stddev * e``, e
standard normal. However the base behaves, the smoothed one keeps its answer for every
change of x that is shorter, in L2, than a radius that follows from how large the
majority is. The radius holds for the smoothed classifier, with the probability that is
asked for, and not for the network itself: noise in training alone is no defence, it
makes larger majorities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array, Float, Int

from jaxnoise.checks import check_count, shown, single_key
from jaxnoise.noise.functions import add_gaussian_noise
from jaxnoise.robustness.asked import (
    as_asked,
    as_points,
    by_devices,
    classes_of,
    decided,
)

AT_ONCE = 500  # draws of a point, which bounds memory
ABSTAINS = -1


def certify(
    model: Any,
    x: Float[Array, " points *axes"],
    *,
    stddev: float,
    key: Array,
    n0: int = 100,
    n: int = 10_000,
    alpha: float = 0.001,
) -> pd.DataFrame:
    """Return the smoothed label of each point, and the radius within which it holds.

    ``radius = stddev * Phi^-1(p)``, Phi the normal distribution function and p the
    lower end of the one-sided Clopper-Pearson interval, at ``1 - alpha``, of the share
    of ``n`` draws with the label that most of ``n0`` others had. With p at most 1/2 it
    abstains. Of any point, a radius is too large with probability alpha at most.

    Args:
        model: a function ``x -> logits``, of shape (rows, classes), or (rows, 1) where
            above 0 is class 1, that JAX can trace; or a trained model such as
            `refit` returns, without its own noise.
        x: the points, finite floats.
        stddev: of the Gaussian noise, in units of x.
        key: a typed key; a point's draws depend on it and on the point's place.
        n0: draws that choose the label.
        n: draws that measure its share, n0 or more. Few limit the radius, to 2.36
            ``stddev`` for 1,000, 3.20 for 10,000 and 3.81 for 100,000.
        alpha: the probability of a radius that is too large.

    Returns:
        A row a point: ``label``, -1 where it abstains, and ``radius``, in units of x
        and L2, 0 where it abstains. 500 draws are in memory at a time.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if x, a number or the logits are out of range, or the logits look
            like probabilities.

    Reference: J. Cohen, E. Rosenfeld and Z. Kolter, "Certified adversarial robustness
        via randomized smoothing", ICML 2019.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> def logits(x):  # a line, of distance 0.7155 from the point
        ...     return x @ jnp.array([[1.0], [2.0]]) + 0.5
        >>> x = jnp.array([[0.3, 0.4]])
        >>> jn.certify(logits, x, stddev=0.5, key=jax.random.key(0)).round(2)
           label  radius
        0      1    0.69
    """
    check_count("n0", n0)
    check_count("n", n)
    if n < n0:
        raise ValueError(f"n must be at least n0, {n0}, got {n}.")
    _check_share("alpha", alpha)
    choosing, measuring = jax.random.split(single_key(key))
    votes = _voter(model, x, stddev)
    labels = votes(choosing, n0).argmax(axis=1)
    right = votes(measuring, n)[np.arange(len(labels)), labels]
    p = lower_bound(right, n, alpha)
    from scipy.special import ndtri  # slow to import

    sure = p > 0.5
    radius = np.where(sure, stddev * ndtri(np.where(sure, p, 0.5)), 0.0)
    return pd.DataFrame({"label": np.where(sure, labels, ABSTAINS), "radius": radius})


def smoothed_predict(
    model: Any,
    x: Float[Array, " points *axes"],
    *,
    stddev: float,
    key: Array,
    n: int = 1_000,
    alpha: float = 0.001,
) -> Int[np.ndarray, " points"]:
    """Return what the model says of most noisy copies of each point.

    It abstains where the two most frequent labels could be as frequent: where the
    two-sided binomial test of their counts has a p above ``alpha``. A label is not that
    of the smoothed classifier with probability alpha at most.

    Args:
        model: as for `certify`.
        x: the points, finite floats.
        stddev: of the Gaussian noise, in units of x.
        key: a typed key.
        n: draws.
        alpha: the probability of a wrong label.

    Returns:
        The labels, -1 where it abstains.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: as `certify`.

    Reference: that of `certify`.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jnp.array([[0.3], [0.0], [-2.0]])
        >>> jn.smoothed_predict(lambda x: x, x, stddev=1.0, key=jax.random.key(0))
        array([ 1, -1,  0])
    """
    check_count("n", n)
    _check_share("alpha", alpha)
    counts = _voter(model, x, stddev)(single_key(key), n)
    second, first = np.sort(counts, axis=1)[:, -2:].T
    from scipy.special import bdtr  # slow to import

    p = np.minimum(1.0, 2 * bdtr(second, first + second, 0.5))
    return np.where(p <= alpha, counts.argmax(axis=1), ABSTAINS)


def certified_accuracy(
    certificates: pd.DataFrame,
    labels: Int[np.ndarray, " points"],
    radii: Sequence[float] | np.ndarray,
) -> pd.DataFrame:
    """Return the share of points with the right label that holds beyond each radius.

    Args:
        certificates: of `certify`.
        labels: the true ones.
        radii: in units of x.

    Returns:
        A row a radius: ``radius``, ``accuracy``, and ``abstained``, the share of points
        without a label.

    Raises:
        ValueError: if the labels do not fit.

    Example:
        >>> import pandas as pd, jaxnoise as jn
        >>> found = pd.DataFrame({"label": [1, 0, -1], "radius": [0.7, 0.2, 0.0]})
        >>> jn.certified_accuracy(found, [1, 0, 1], radii=[0, 0.5]).round(2)
           radius  accuracy  abstained
        0     0.0      0.67       0.33
        1     0.5      0.33       0.33
    """
    truth = np.asarray(labels).reshape(-1)
    found, radius = (certificates[name].to_numpy() for name in ("label", "radius"))
    if len(truth) != len(found):
        raise ValueError(f"labels must be one a point, {len(found)}, got {len(truth)}.")
    right = found == truth
    asked = np.asarray(radii, float)
    shares = [(right & (radius >= each)).mean() for each in asked]
    abstained = (found == ABSTAINS).mean()
    return pd.DataFrame({"radius": asked, "accuracy": shares, "abstained": abstained})


def lower_bound(successes: Any, trials: int, alpha: float) -> np.ndarray:
    """The lower end of the one-sided Clopper-Pearson interval at ``1 - alpha``.

    Example:
        >>> from jaxnoise.robustness.smoothing import lower_bound
        >>> print(lower_bound([990, 1000], 1000, 0.001).round(6))
        [0.976036 0.993116]
    """
    from scipy.special import betaincinv  # slow to import

    k = np.asarray(successes)
    some = np.maximum(k, 1)
    return np.where(k > 0, betaincinv(some, trials - some + 1, alpha), 0.0)


def _check_share(name: str, value: Any) -> None:
    number = isinstance(value, float | np.floating)
    if not (number and 0 < value < 1):
        raise ValueError(f"{name} must be between 0 and 1, got {shown(value)}.")


def _voter(model: Any, x: Any, stddev: Any) -> Any:
    """``(key, draws) -> counts``, how often each point has each label."""
    number = isinstance(stddev, int | float | np.number | Array)
    if not number or isinstance(stddev, bool):
        raise TypeError(f"stddev must be a number, got {shown(stddev)}.")
    if not (np.isfinite(stddev) and stddev > 0):
        raise ValueError(f"stddev must be finite and > 0, got {stddev}.")
    asked, x = as_asked(model), as_points("x", x)
    program = _Votes(asked.apply, classes_of(asked, x[:AT_ONCE]))
    places = jnp.arange(len(x))

    def votes(key: Array, draws: int) -> np.ndarray:
        return by_devices(program, (asked.variables, key, stddev, draws), (places, x))

    return votes


@dataclass(frozen=True)
class _Votes:
    """Of each point the number of draws with each label, however many draws."""

    apply: Callable[[Any, Any], Any]
    classes: int

    def __call__(self, whole: Any, points: Any) -> Int[Array, "points classes"]:
        variables, key, stddev, draws = whole

        def of_point(point: Any) -> Array:
            place, x = point
            own, copies = jax.random.fold_in(key, place), (AT_ONCE, *x.shape)

            def add(block: Any, counts: Array) -> Array:
                fresh = jax.random.fold_in(own, block)
                noisy = add_gaussian_noise(fresh, jnp.broadcast_to(x, copies), stddev)
                labels = decided(self.apply(variables, noisy))
                wanted = block * AT_ONCE + jnp.arange(AT_ONCE) < draws
                votes = labels[:, None] == jnp.arange(self.classes)
                return counts + (votes & wanted[:, None]).sum(axis=0)

            blocks = (draws + AT_ONCE - 1) // AT_ONCE
            return lax.fori_loop(0, blocks, add, jnp.zeros(self.classes, jnp.int32))

        return lax.map(of_point, points)
