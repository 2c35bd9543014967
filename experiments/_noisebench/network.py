"""The network of every set, all that may be added to it, and what it is measured by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from _recipes import own_start, recipe
from _rivals import DECAY
from jaxtyping import Array
from optax import contrib

import jaxnoise as jn

Measure = Callable[[Any, Any], Array]
RATE = "learning rate"
MEASURES = ("score", "balanced_accuracy", "loss", "brier", "calibration_error")
OF_NUMBERS = ("score", "loss")  # of targets that are no classes


def recipe_of(
    classes: int, protocol: Mapping[str, Any], parts: Mapping[str, Any]
) -> jn.Recipe:
    """The network with these parts, each at its strength.

    Args:
        classes: of the targets; 0 for numbers.
        protocol: that of noisebench.toml.
        parts: by name, as there. Swap noise has the place of noise on the inputs.
    """
    own = {DECAY: protocol["weight_decay"], **parts}
    swap, alpha, radius = (own.pop(name, None) for name in ("swap", "mixup", "SAM"))
    stddev = None if classes else own.pop("labels", None)
    start = nn.initializers.lecun_uniform()  # units of a deviation of 1, about
    outputs = classes if classes > 2 else 1
    model = partial(jn.MLP, (protocol["units"],), outputs, kernel_init=start)
    if swap is not None:
        model = partial(model, input_noise=jn.SwapNoise(swap))
    made = recipe(
        own,
        model,
        loss=loss_of(classes),
        metrics=metrics_of(classes),
        classes=classes,
        learning_rate=protocol["learning_rate"],
        epsilon=1e-8,
        decays=kernels,
    )
    more: dict[str, Any] = {}
    if alpha is not None:
        more["batch_noise"] = partial(jn.mixup, alpha=alpha)
    if stddev is not None:
        more["label_noise"] = partial(jn.add_gaussian_noise, stddev=stddev)
    if radius is not None:
        more["optimizer"] = sharpness_aware(made.optimizer, radius)
    return own_start(replace(made, **more))


def kernels(params: Any) -> Any:
    """Which weights decay: not the biases."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def sharpness_aware(optimizer: Any, radius: Any) -> Any:
    """SAM: the gradient at the worst weights within a radius, to first order."""

    def uphill(grads: Any, params: Any = None) -> Any:
        length = optax.tree.norm(grads) + 1e-12
        return jax.tree.map(lambda leaf: -radius * leaf / length, grads)

    return contrib.sam(optimizer, optax.stateless(uphill), opaque_mode=True)


def loss_of(classes: int) -> Measure:
    """Of training; its mean over other rows is a measure."""
    if not classes:
        return jn.losses.squared_error
    two = classes == 2
    return (jn.losses.softmax_cross_entropy, jn.losses.binary_cross_entropy)[two]


def metrics_of(classes: int) -> dict[str, Measure]:
    """The other measures; score is the accuracy, or R² of numbers."""
    if not classes:
        return {"score": share_explained}
    two = classes == 2
    return {
        "score": (jn.metrics.accuracy, jn.metrics.binary_accuracy)[two],
        "balanced_accuracy": balanced_accuracy,
        "brier": (jn.metrics.brier, jn.metrics.binary_brier)[two],
        "calibration_error": calibration_error,
    }


def measures_of(classes: int) -> Sequence[str]:
    """The names of all of them."""
    return MEASURES if classes else OF_NUMBERS


# Of whole sets, which are one block of rows: their mean over the rows is the measure.


def share_explained(outputs: Any, targets: Any) -> Array:
    """R²: 1 for what is right, 0 for the mean of the set."""
    lost = ((outputs - targets) ** 2).mean() / targets.var()
    return jnp.full(len(targets), 1 - lost)


def balanced_accuracy(outputs: Any, targets: Any) -> Array:
    """The mean over classes of the share that is right."""
    two = targets.ndim > 1
    right = (jn.metrics.accuracy, jn.metrics.binary_accuracy)[two](outputs, targets)
    labels = jnp.asarray(targets).ravel().astype(int)
    counts = jnp.bincount(labels, length=max(2, outputs.shape[-1]))
    return right * len(labels) / (counts[labels] * (counts > 0).sum())


def calibration_error(outputs: Any, targets: Any) -> Array:
    """How far confidence is from accuracy, over fifteen bins."""
    found = jn.metrics.expected_calibration_error(outputs, targets)
    return jnp.full(len(targets), found)
