"""Losses of a recipe: ``loss(outputs, targets)`` gives one value a row.

The engine averages over rows; other axes are averaged here. By task, with the metric:

- regression: `squared_error`, or `absolute_error` and `huber_loss`, which outlying
  targets move less; the same errors are metrics.
- two classes: `binary_cross_entropy` of one logit; ``metrics.binary_accuracy``.
- several classes, of which one is right: `softmax_cross_entropy`; ``metrics.accuracy``.
- several labels, of which any may hold: `binary_cross_entropy` of a logit a label;
  ``metrics.binary_accuracy`` and ``metrics.exact_match``.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float, Num

from jaxnoise.checks import as_array

__all__ = [
    "absolute_error",
    "binary_cross_entropy",
    "huber_loss",
    "softmax_cross_entropy",
    "squared_error",
]


def binary_cross_entropy(
    logits: Float[ArrayLike, " rows *outputs"],
    targets: Num[ArrayLike, " rows *outputs"],
) -> Float[Array, " rows"]:
    """Return ``log(1 + exp(z)) - t * z`` per row, the mean over the other axes.

    One output is for two classes; several are labels that hold or not, each by itself.

    Args:
        logits: z, before the sigmoid.
        targets: t in [0, 1], of the shape of the logits.

    Raises:
        ValueError: if the shapes differ, or a concrete target is not in [0, 1].

    Reference: the negative log-likelihood of the Bernoulli distribution.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> z, t = jnp.zeros((2, 1)), jnp.array([[0.0], [1.0]])
        >>> print(jn.losses.binary_cross_entropy(z, t))
        [0.6931472 0.6931472]
    """
    logits, targets = paired("binary_cross_entropy", logits=logits, targets=targets)
    check_targets(binary_cross_entropy, logits.shape, targets)
    return row_mean(optax.sigmoid_binary_cross_entropy(logits, targets))


def softmax_cross_entropy(
    logits: Float[ArrayLike, "rows *axes classes"], targets: Num[ArrayLike, "..."]
) -> Float[Array, " rows"]:
    """Return ``-sum_k t_k log softmax(z)_k`` per row, the mean over the other axes.

    Args:
        logits: z, before the softmax.
        targets: integer class labels of the logits' shape without its last axis, or
            class probabilities of the logits' shape.

    Raises:
        ValueError: if the shapes fit neither form, there is but one class, or a
            concrete label is none of the classes.

    Reference: the negative log-likelihood of the categorical distribution.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> loss = jn.losses.softmax_cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3]))
        >>> print(loss)  # log 4
        [1.3862944 1.3862944]
    """
    logits, targets = as_arrays("softmax_cross_entropy", logits=logits, targets=targets)
    if are_classes("softmax_cross_entropy", logits, targets):
        check_targets(softmax_cross_entropy, logits.shape, targets)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    else:
        loss = optax.softmax_cross_entropy(logits, targets)
    return row_mean(loss)


def squared_error(
    outputs: Float[ArrayLike, " rows *outputs"],
    targets: Num[ArrayLike, " rows *outputs"],
) -> Float[Array, " rows"]:
    """Return ``(y - t)**2`` per row, the mean over the other axes; no factor 1/2.

    Args:
        outputs: y.
        targets: t, of the shape of the outputs.

    Raises:
        ValueError: if the shapes differ.

    Reference: the mean squared error, in the units of the targets squared.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> print(jn.losses.squared_error(jnp.zeros((2, 1)), jnp.array([[1.0], [3.0]])))
        [1. 9.]
    """
    outputs, targets = paired("squared_error", outputs=outputs, targets=targets)
    return row_mean(optax.squared_error(outputs, targets))


def absolute_error(
    outputs: Float[ArrayLike, " rows *outputs"],
    targets: Num[ArrayLike, " rows *outputs"],
) -> Float[Array, " rows"]:
    """Return ``|y - t|`` per row, the mean over the other axes.

    Args:
        outputs: y.
        targets: t, of the shape of the outputs.

    Raises:
        ValueError: if the shapes differ.

    Reference: the mean absolute error, in the units of the targets.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> y, t = jnp.zeros((2, 1)), jnp.array([[1.0], [-3.0]])
        >>> print(jn.losses.absolute_error(y, t))
        [1. 3.]
    """
    outputs, targets = paired("absolute_error", outputs=outputs, targets=targets)
    return row_mean(jnp.abs(outputs - targets))


def huber_loss(
    outputs: Float[ArrayLike, " rows *outputs"],
    targets: Num[ArrayLike, " rows *outputs"],
    *,
    delta: Float[ArrayLike, ""] | int = 1.0,
) -> Float[Array, " rows"]:
    """Return ``e**2 / 2`` where ``|e| <= delta``, else ``delta (|e| - delta / 2)``.

    With e = y - t, per row, the mean over the other axes: squared for small errors, and
    of bounded slope for large ones. Another delta: ``partial(huber_loss, delta=0.5)``.

    Args:
        outputs: y.
        targets: t, of the shape of the outputs.
        delta: the error at which the slope stops growing, above 0, in the units of the
            targets; may be traced.

    Raises:
        TypeError: if ``delta`` is a string.
        ValueError: if the shapes differ, or ``delta`` is not finite and above 0.

    Reference: P. J. Huber, "Robust estimation of a location parameter", 1964.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> print(jn.losses.huber_loss(jnp.zeros((2, 1)), jnp.array([[1.0], [3.0]])))
        [0.5 2.5]
    """
    outputs, targets = paired("huber_loss", outputs=outputs, targets=targets)
    traced = isinstance(delta, jax.core.Tracer)
    if isinstance(delta, str):
        raise TypeError(f"delta must be a number, got {delta!r}.")
    if not traced and not 0 < np.asarray(delta, float) < np.inf:
        raise ValueError(f"delta must be finite and > 0, got {delta}.")
    return row_mean(optax.huber_loss(outputs, targets, delta=delta))


def __dir__() -> list[str]:
    return __all__


SEVERAL = "several classes take jn.losses.softmax_cross_entropy, jn.metrics.accuracy"
CHECKED = (binary_cross_entropy, softmax_cross_entropy)  # by `check_targets`
CONSISTENT = {  # losses of which two outputs can be compared, with what they expect
    binary_cross_entropy: jax.nn.sigmoid,
    softmax_cross_entropy: jax.nn.softmax,
    squared_error: lambda outputs: 2 * outputs,
}


def as_arrays(name: str, *, floating: bool = True, **given: Any) -> list[Array]:
    """Outputs and targets as arrays of real numbers, the outputs floating.

    Args:
        name: of the loss or metric.
        floating: whether integer outputs are refused.
        **given: the outputs and the targets by the name of their argument.
    """
    arrays = [as_array(f"{name}: {argument}", v) for argument, v in given.items()]
    if floating and not jnp.issubdtype(arrays[0].dtype, jnp.floating):
        raise TypeError(
            f"{name}: {next(iter(given))} must be floating, a model's outputs as they "
            f"are, got {arrays[0].dtype}; cast them, astype('float32')."
        )
    return arrays


def is_labels(outputs: Any, targets: Array) -> bool:
    """Whether the targets are class labels: integers, without the last axis.

    One output has no classes to choose from: (5, 1) against (5,) would broadcast.
    """
    integer = jnp.issubdtype(targets.dtype, jnp.integer)
    several = outputs.ndim > 0 and outputs.shape[-1] > 1
    return bool(integer and several and targets.shape == outputs.shape[:-1])


def as_probabilities(outputs: Any, targets: Array) -> Array:
    """Targets that may be mixed: labels as rows of probabilities, integers as floats.

    Args:
        outputs: of the model, or their shape and type.
        targets: of the same rows.
    """
    if is_labels(outputs, targets):
        return jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    floating = jnp.issubdtype(targets.dtype, jnp.floating)
    return targets if floating else targets.astype(outputs.dtype)


def divergence(loss: Any, one: Array, other: Array) -> Float[Array, " rows"]:
    """How far outputs are apart, per row: ``(m(a) - m(b)) (a - b) / 2``, m the mean.

    For cross-entropies that is the mean of both Kullback-Leibler divergences, for the
    squared error the squared difference.

    Args:
        loss: one of `CONSISTENT`.
        one: outputs.
        other: those of the same rows.
    """
    mean = CONSISTENT[loss]
    product = (mean(one) - mean(other)) * (one - other) / 2
    return row_mean(product.sum(-1) if loss is softmax_cross_entropy else product)


def are_classes(name: str, logits: Array, targets: Array) -> bool:
    """Whether the targets are class labels, or probabilities; refused if neither."""
    if logits.ndim < 2 or logits.shape[-1] < 2:
        raise ValueError(
            f"{name}: logits must have two or more classes on their last axis, got "
            f"shape {logits.shape}; give the model an output a class, outputs=3 for "
            "three, or take jn.losses.binary_cross_entropy and "
            "jn.metrics.binary_accuracy for two."
        )
    labels = is_labels(logits, targets)
    if not labels and targets.shape != logits.shape:
        raise ValueError(
            f"{name}: targets must be integer class labels of shape "
            f"{logits.shape[:-1]} or class probabilities of shape {logits.shape}, "
            f"got {_shown_targets(logits, targets, True)}."
        )
    return labels


def check_shapes(name: str, outputs: Any, targets: Any, *, labels: bool = True) -> None:
    """Refuse targets of another shape: (5, 1) against (5,) would broadcast in silence.

    Args:
        name: of the loss or metric.
        outputs: of the model.
        targets: of the same rows.
        labels: whether class labels would fit, too.
    """
    if targets.shape == outputs.shape or labels and is_labels(outputs, targets):
        return
    classes = labels and outputs.shape[-1:] > (1,)
    also = f"or integer class labels of shape {outputs.shape[:-1]}, " if classes else ""
    raise ValueError(
        f"{name}: targets must have the shape of the outputs, {outputs.shape}, {also}"
        f"got {_shown_targets(outputs, targets, labels)}."
    )


def check_targets(loss: Any, outputs: tuple[int, ...], targets: Any) -> None:
    """Refuse concrete targets whose values a loss of ours has no use for.

    Args:
        loss: the function; others than the two cross-entropies take any value.
        outputs: the shape of the outputs.
        targets: of a fitting shape.
    """
    if isinstance(targets, jax.core.Tracer) or not np.size(targets):
        return
    values = np.asarray(targets)  # a constant's own minimum would be traced
    low, high = values.min(), values.max()
    if loss is binary_cross_entropy and not (low >= 0 and high <= 1):
        cure = SEVERAL if high > 1 else "(y > 0) makes them of labels -1 and 1"
        raise ValueError(
            "binary_cross_entropy: targets must be 0 or 1, or between, "
            f"got {low if low < 0 else high}; {cure}."
        )
    labels = loss is softmax_cross_entropy and np.ndim(targets) < len(outputs)
    if labels and not (low >= 0 and high < outputs[-1]):
        raise ValueError(
            "softmax_cross_entropy: targets must be classes from 0 to "
            f"{outputs[-1] - 1} for {outputs[-1]} outputs, "
            f"got {_class_cure(values, low, high)}."
        )


def _class_cure(values: np.ndarray, low: int, high: int) -> str:
    """What is no class, and what to do about it."""
    if low == -1 and 0 in values:
        return "-1, which pandas.factorize gives to missing labels: drop those rows"
    if low < 0:
        return f"{low}; count classes from 0"
    count = "" if low == 0 else "count classes from 0, or "
    return f"{high}; {count}raise outputs to {high + 1}"


def paired(name: str, *, floating: bool = True, **given: Any) -> list[Array]:
    """As `as_arrays`, of one shape."""
    outputs, targets = as_arrays(name, floating=floating, **given)
    check_shapes(name, outputs, targets, labels=False)
    return [outputs, targets]


def row_mean(values: Array) -> Float[Array, " rows"]:
    """The mean over every axis but the first."""
    return values.mean(axis=tuple(range(1, values.ndim)))


def _shown_targets(outputs: Any, targets: Any, labels: bool) -> str:
    """What the targets are, and what makes them fit where that is plain."""
    integer = jnp.issubdtype(targets.dtype, jnp.integer)
    classes = outputs.shape[-1] if outputs.ndim else 0
    row = targets.shape == outputs.shape[:-1]
    column = targets.shape == (*outputs.shape[:-1], 1)
    cure = ""
    if row and classes == 1:
        cure = "; give y an axis, y[:, None]"
    elif integer and classes > 1 and (row or column):
        cure = "; drop y's last axis, y[:, 0]" if labels else f"; {SEVERAL}"
    elif row and labels:
        cure = "; cast y to int32"
    return f"{targets.dtype} of shape {targets.shape}{cure}"
