"""Metrics of a recipe: ``metric(outputs, targets)`` gives one value a row.

The engine averages over rows. Metrics that are no row means (R squared, AUC) are
scikit-learn's, on kept predictions.
"""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Num

from jaxnoise.losses import is_labels, row_mean, same_shape


def binary_accuracy(
    logits: Float[ArrayLike, " rows *outputs"],
    targets: Num[ArrayLike, " rows *outputs"],
) -> Float[Array, " rows"]:
    """Return the share of a row's outputs with ``(z > 0) == (t > 1/2)``.

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
    logits, targets = jnp.asarray(logits), jnp.asarray(targets)
    same_shape("binary_accuracy", logits, targets)
    correct = (logits > 0) == (targets > 0.5)
    return row_mean(correct)


def accuracy(
    logits: Float[ArrayLike, "rows *axes classes"], targets: Num[ArrayLike, "..."]
) -> Float[Array, " rows"]:
    """Return the share of a row's labels with ``argmax(z) == t``.

    Args:
        logits: z, one score a class on the last axis.
        targets: integer labels of the logits' shape without its last axis, or class
            probabilities of the logits' shape, whose largest counts as the label.

    Raises:
        ValueError: if the shapes fit neither form.

    Reference: the rate of correct decisions under the 0-1 loss.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> print(jn.metrics.accuracy(jnp.eye(3), jnp.array([0, 1, 0])))
        [1. 1. 0.]
    """
    logits, targets = jnp.asarray(logits), jnp.asarray(targets)
    if not is_labels(logits, targets):
        same_shape("accuracy", logits, targets)
        targets = targets.argmax(axis=-1)
    correct = logits.argmax(axis=-1) == targets
    return row_mean(correct)
