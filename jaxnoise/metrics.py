"""Metrics of a recipe: ``metric(outputs, targets)`` gives one value a row.

The engine averages over rows. Metrics that are no row means (R squared, AUC) are
scikit-learn's, on kept predictions. By task, with the loss:

- regression: `squared_error` and `absolute_error`, which are losses, too.
- two classes: `binary_accuracy` of one logit; ``losses.binary_cross_entropy``.
- several classes, of which one is right: `accuracy`; ``losses.softmax_cross_entropy``.
- probabilities of either, whether they can be believed: `binary_brier`, `brier` and
  `negative_log_likelihood`.
- several labels, of which any may hold: `binary_accuracy`, the share of labels that are
  right, and `exact_match`, of rows with all right; ``losses.binary_cross_entropy``.

Of all rows at once, and so for trained models and no recipe, are
`expected_calibration_error` and `debiased_calibration_error`; `jaxnoise.calibration`
has both of every run.

NaN outputs, those of a run that has diverged, score NaN: neither right nor wrong.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Num

from jaxnoise.checks import check_count
from jaxnoise.losses import (
    CHECKED,
    are_classes,
    as_arrays,
    binary_cross_entropy,
    paired,
    row_mean,
    softmax_cross_entropy,
)
from jaxnoise.losses import absolute_error as absolute_error
from jaxnoise.losses import squared_error as squared_error

__all__ = [
    "absolute_error",
    "accuracy",
    "binary_accuracy",
    "binary_brier",
    "brier",
    "debiased_calibration_error",
    "exact_match",
    "expected_calibration_error",
    "negative_log_likelihood",
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
    return row_mean(_chosen("accuracy", logits, targets))


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


def negative_log_likelihood(
    logits: Float[ArrayLike, " rows *outputs"], targets: Num[ArrayLike, "..."]
) -> Float[Array, " rows"]:
    """Return ``-log p(t)`` per row, in nats, the mean over other axes.

    That is `binary_cross_entropy` of one logit a row, for two classes, and
    `softmax_cross_entropy` of several; it is infinite for what was called impossible.

    Args:
        logits: z, before the sigmoid or softmax.
        targets: as of that loss.

    Raises:
        ValueError: as that loss.

    Reference: I. J. Good, "Rational decisions", 1952: the logarithmic score.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> z, t = jnp.zeros((2, 4)), jnp.array([0, 3])
        >>> print(jn.metrics.negative_log_likelihood(z, t))  # log 4
        [1.3862944 1.3862944]
    """
    name = "negative_log_likelihood"
    logits, targets = as_arrays(name, logits=logits, targets=targets)
    loss = binary_cross_entropy if is_binary(logits) else softmax_cross_entropy
    return loss(logits, targets)


def expected_calibration_error(
    logits: Float[ArrayLike, " rows *outputs"],
    targets: Num[ArrayLike, "..."],
    *,
    bins: int = 15,
) -> Float[Array, ""]:
    """Return ``sum_b n_b / n |confidence_b - accuracy_b|``, over bins of confidence.

    The confidence is the probability of the class that is decided for; bins are equally
    wide, ``((b - 1) / bins, b / bins]``. It is a distance, above 0 by luck alone, most
    of all where rows are few and bins many: `debiased_calibration_error` is not.

    Args:
        logits: z, one a row for two classes, or one a class on the last axis.
        targets: 0 or 1 of the shape of one logit a row; or integer labels, or class
            probabilities, whose largest counts as the label.
        bins: of confidence.

    Raises:
        TypeError: if ``bins`` is no int.
        ValueError: if the shapes do not fit.

    Reference: C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On calibration of modern
        neural networks", ICML 2017.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> z, t = jnp.full((4, 1), jnp.log(3.0)), jnp.array([[1], [1], [1], [0]])
        >>> print(jn.metrics.expected_calibration_error(z, t).round(6))  # as said
        0.0
    """
    n, confidence, right = binned("expected_calibration_error", logits, targets, bins)
    return jnp.abs(confidence - right).sum() / n.sum()


def debiased_calibration_error(
    logits: Float[ArrayLike, " rows *outputs"],
    targets: Num[ArrayLike, "..."],
    *,
    bins: int = 15,
) -> Float[Array, ""]:
    """Return the calibration error as a square, without what luck adds to it.

    ``sum_b n_b / n ((confidence_b - accuracy_b)**2 - a_b)``, over bins as those of
    `expected_calibration_error`, where ``a_b = accuracy_b (1 - accuracy_b) /
    (n_b - 1)`` is what the rows' luck adds on average. Its mean is 0 for a calibrated
    model, so that it may fall below; where the root of it is asked for, take that of
    a mean over runs. Bins of one row count as 0.

    Args:
        logits: as for `expected_calibration_error`, as all of these.
        targets: of the same rows.
        bins: of confidence.

    Raises:
        TypeError: if ``bins`` is no int.
        ValueError: if the shapes do not fit.

    Reference: A. Kumar, P. Liang and T. Ma, "Verified uncertainty calibration",
        NeurIPS 2019.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> z, t = jnp.full((4, 1), jnp.log(3.0)), jnp.array([[1], [1], [1], [0]])
        >>> float(jn.metrics.debiased_calibration_error(z, t))  # 0 - (3/4 1/4) / 3
        -0.0625
    """
    n, confidence, right = binned("debiased_calibration_error", logits, targets, bins)
    share = right / jnp.maximum(n, 1)
    luck = share * (1 - share) / jnp.maximum(n - 1, 1)
    squares = ((confidence - right) / jnp.maximum(n, 1)) ** 2 - luck
    return (jnp.where(n > 1, n * squares, 0)).sum() / n.sum()


def binned(
    name: str, logits: Num[ArrayLike, "..."], targets: Num[ArrayLike, "..."], bins: int
) -> Float[Array, "3 bins"]:
    """By bin of confidence the decisions, the sum of confidences, and the right ones.

    Args:
        name: of the metric, for messages.
        logits: as for `expected_calibration_error`, as all of these.
        targets: of the same rows.
        bins: of confidence.
    """
    check_count("bins", bins)
    logits, targets = as_arrays(name, logits=logits, targets=targets)
    if is_binary(logits):
        confidence = jax.nn.sigmoid(jnp.abs(logits))
        right = _right(name, logits, targets)
    else:
        right = _chosen(name, logits, targets)
        confidence = jax.nn.softmax(logits).max(axis=-1)
    place = jnp.clip(jnp.ceil(confidence * bins).astype(jnp.int32) - 1, 0, bins - 1)
    each = jnp.stack([jnp.ones_like(right), confidence, right])
    found = jnp.zeros((3, bins), each.dtype)
    return found.at[:, place.reshape(-1)].add(each.reshape(3, -1))


def is_binary(logits: Array) -> bool:
    """Whether a row has one logit, of two classes."""
    return logits.ndim < 2 or logits.shape[-1] == 1


def __dir__() -> list[str]:
    return __all__


TAKE_LOGITS = (
    *CHECKED,
    binary_accuracy,
    binary_brier,
    brier,
    exact_match,
    negative_log_likelihood,
)  # and no probabilities


def _right(name: str, logits: ArrayLike, targets: ArrayLike) -> Float[Array, "..."]:
    """1 where a decision is right, 0 where it is wrong, NaN where there is none."""
    logits, targets = paired(name, floating=False, logits=logits, targets=targets)
    right = (logits > 0) == (targets > 0.5)
    return jnp.where(jnp.isnan(logits) | jnp.isnan(targets), jnp.nan, right)


def _chosen(name: str, logits: ArrayLike, targets: ArrayLike) -> Float[Array, "..."]:
    """1 where the largest logit is the label's, else 0; NaN where there is none."""
    logits, targets = as_arrays(name, floating=False, logits=logits, targets=targets)
    undefined = jnp.isnan(logits).any(axis=-1)
    if not are_classes(name, logits, targets):
        undefined |= jnp.isnan(targets).any(axis=-1)
        targets = targets.argmax(axis=-1)
    return jnp.where(undefined, jnp.nan, logits.argmax(axis=-1) == targets)
