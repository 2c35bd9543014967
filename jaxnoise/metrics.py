"""Metrics of a recipe: ``metric(outputs, targets)`` gives one value a row.

The engine averages over rows. Metrics that are no row means (R squared, AUC) are
scikit-learn's, on kept predictions. By task, with the loss:

- regression: `squared_error` and `absolute_error`, which are losses, too.
- two classes: `binary_accuracy` of one logit; ``losses.binary_cross_entropy``.
- several classes, of which one is right: `accuracy`; ``losses.softmax_cross_entropy``.
- probabilities of either, whether they can be believed: `binary_brier` and `brier`.
- several labels, of which any may hold: `binary_accuracy`, the share of labels that are
  right, and `exact_match`, of rows with all right; ``losses.binary_cross_entropy``.

NaN outputs, those of a run that has diverged, score NaN: neither right nor wrong.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Num

from jaxnoise.losses import CHECKED, are_classes, as_arrays, paired, row_mean
from jaxnoise.losses import absolute_error as absolute_error
from jaxnoise.losses import squared_error as squared_error

__all__ = [
    "absolute_error",
    "accuracy",
    "binary_accuracy",
    "binary_brier",
    "brier",
    "exact_match",
    "squared_error",
]


def binary_accuracy(
    logits: Float[ArrayLike, " rows *outputs"],
    targets: Num[ArrayLike, " rows *outputs"],
) -> Float[Array, " rows"]:
    """Return the share of a row's outputs with ``(z > 0) == (t > 1/2)``.

    One output is for two classes; several are labels that hold or not, each by itself.

    Args:
        logits: z, before the sigmoid, so that 0 is the probability 1/2.
        targets: t, 0 or 1, of the shape of the logits.

    Raises:
        ValueError: if the shapes differ.

    Reference: the rate of correct decisions under the 0-1 loss.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> z, t = jnp.array([[2.0], [-1.0]]), jnp.array([[1.0], [1.0]])
        >>> print(jn.metrics.binary_accuracy(z, t))
        [1. 0.]
    """
    return row_mean(_right("binary_accuracy", logits, targets))


def exact_match(
    logits: Float[ArrayLike, " rows *outputs"],
    targets: Num[ArrayLike, " rows *outputs"],
) -> Float[Array, " rows"]:
    """Return 1 where all of a row's outputs have ``(z > 0) == (t > 1/2)``, else 0.

    For several labels a row; at most `binary_accuracy`, and the same for one output.

    Args:
        logits: z, before the sigmoid, so that 0 is the probability 1/2.
        targets: t, 0 or 1, of the shape of the logits.

    Raises:
        ValueError: if the shapes differ.

    Reference: the subset accuracy, the rate of correct rows under the 0-1 loss.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> z, t = jnp.array([[2.0, -1.0], [2.0, 1.0]]), jnp.array([[1, 0], [1, 0]])
        >>> print(jn.metrics.exact_match(z, t), jn.metrics.binary_accuracy(z, t))
        [1. 0.] [1.  0.5]
    """
    right = _right("exact_match", logits, targets)
    return right.min(axis=tuple(range(1, right.ndim)))


def accuracy(
    logits: Float[ArrayLike, "rows *axes classes"], targets: Num[ArrayLike, "..."]
) -> Float[Array, " rows"]:
    """Return the share of a row's labels with ``argmax(z) == t``.

    Args:
        logits: z, one score a class on the last axis.
        targets: integer labels of the logits' shape without its last axis, or class
            probabilities of the logits' shape, whose largest counts as the label.

    Raises:
        ValueError: if the shapes fit neither form, or there is but one class.

    Reference: the rate of correct decisions under the 0-1 loss.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> print(jn.metrics.accuracy(jnp.eye(3), jnp.array([0, 1, 0])))
        [1. 1. 0.]
    """
    logits, targets = as_arrays(
        "accuracy", floating=False, logits=logits, targets=targets
    )
    undefined = jnp.isnan(logits).any(axis=-1)
    if not are_classes("accuracy", logits, targets):
        undefined |= jnp.isnan(targets).any(axis=-1)
        targets = targets.argmax(axis=-1)
    right = logits.argmax(axis=-1) == targets
    return row_mean(jnp.where(undefined, jnp.nan, right))


def binary_brier(
    logits: Float[ArrayLike, " rows *outputs"],
    targets: Num[ArrayLike, " rows *outputs"],
) -> Float[Array, " rows"]:
    """Return ``(sigmoid(z) - t)**2`` per row, the mean over the other axes.

    Lowest on average where the probabilities are the true ones; 1/4 for a coin.

    Args:
        logits: z, before the sigmoid.
        targets: t in [0, 1], of the shape of the logits.

    Raises:
        ValueError: if the shapes differ.

    Reference: G. W. Brier, "Verification of forecasts expressed in terms of
        probability", 1950, of which it is half for two classes.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> z, t = jnp.zeros((2, 1)), jnp.array([[0.0], [1.0]])
        >>> print(jn.metrics.binary_brier(z, t))
        [0.25 0.25]
    """
    logits, targets = paired("binary_brier", logits=logits, targets=targets)
    return row_mean((jax.nn.sigmoid(logits) - targets) ** 2)


def brier(
    logits: Float[ArrayLike, "rows *axes classes"], targets: Num[ArrayLike, "..."]
) -> Float[Array, " rows"]:
    """Return ``sum_k (softmax(z)_k - t_k)**2`` per row, the mean over other axes.

    Args:
        logits: z, before the softmax.
        targets: integer class labels of the logits' shape without its last axis, or
            class probabilities of the logits' shape.

    Raises:
        ValueError: if the shapes fit neither form, or there is but one class.

    Reference: G. W. Brier, "Verification of forecasts expressed in terms of
        probability", 1950.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> print(jn.metrics.brier(jnp.zeros((2, 4)), jnp.array([0, 3])))
        [0.75 0.75]
    """
    logits, targets = as_arrays("brier", logits=logits, targets=targets)
    if are_classes("brier", logits, targets):
        targets = jax.nn.one_hot(targets, logits.shape[-1])
    return row_mean(((jax.nn.softmax(logits) - targets) ** 2).sum(axis=-1))


def __dir__() -> list[str]:
    return __all__


TAKE_LOGITS = (
    *CHECKED,
    binary_accuracy,
    binary_brier,
    brier,
    exact_match,
)  # and no probabilities


def _right(name: str, logits: ArrayLike, targets: ArrayLike) -> Float[Array, "..."]:
    """1 where a decision is right, 0 where it is wrong, NaN where there is none."""
    logits, targets = paired(name, floating=False, logits=logits, targets=targets)
    right = (logits > 0) == (targets > 0.5)
    return jnp.where(jnp.isnan(logits) | jnp.isnan(targets), jnp.nan, right)
