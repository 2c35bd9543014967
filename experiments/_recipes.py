"""A network, and all that may be added to it: noises and their rivals.

`recipe` builds a `jaxnoise.Recipe` from parts by name, each at its strength.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

import jaxnoise as jn

UNITS = 500  # the tutorial's, as all of these
TUTORIAL = partial(jn.MLP, (UNITS,), 1)
ACCURACY = {"accuracy": jn.metrics.binary_accuracy}
LEARNING_RATE = 1e-3
EPSILON = 1e-7  # that of Keras, which adds it before it corrects the root
UNBOUNDED = 1e6  # a limit that no norm reaches
SITES = ("input", "hidden", "activation")  # of the tutorial's network
ELSEWHERE = (
    *("dropout", "weights", "gradients", "labels"),
    *("weight decay", "max-norm", "label smoothing", "Jacobian penalty"),
)
# at these strengths as if they were not there
PARTS = dict.fromkeys(SITES + ELSEWHERE, 0.0) | {"max-norm": UNBOUNDED}


def recipe(
    parts: Mapping[str, Any],
    model: Callable[..., nn.Module] = TUTORIAL,
    *,
    loss: Callable[..., Array] = jn.losses.binary_cross_entropy,
    metrics: Mapping[str, Any] = ACCURACY,
    classes: int = 2,
    learning_rate: float = LEARNING_RATE,
    epsilon: float = EPSILON,
) -> jn.Recipe:
    """A network with these parts at their strengths, which may be traced.

    A part that is none of `ELSEWHERE` is Gaussian noise at the model's site of that
    name. The defaults are the tutorial's.
    """
    weights = penalty = None
    if "weights" in parts:
        weights = partial(jn.tree_add_gaussian_noise, stddev=parts["weights"])
    if "Jacobian penalty" in parts:
        penalty = jacobian_penalty(parts["Jacobian penalty"])
    return jn.Recipe(
        model=model(**_sites(parts)),
        loss=loss,
        optimizer=_optimizer(parts, learning_rate, epsilon),
        metrics=metrics,
        weight_noise=weights,
        label_noise=_labels(parts, classes),
        penalty=penalty,
    )


def clean_backward(parts: Mapping[str, Any], *, units: int = UNITS) -> jn.Recipe:
    """Noise on ``hidden`` and ``weights`` whose backward pass sees the clean values."""
    return jn.Recipe(
        model=CleanBackward(units, parts["hidden"]),
        loss=jn.losses.binary_cross_entropy,
        optimizer=_optimizer({}, LEARNING_RATE, EPSILON),
        metrics=ACCURACY,
        weight_noise=partial(jn.tree_add_gaussian_noise, stddev=parts["weights"]),
        weight_gradient="clean",
    )


class CleanBackward(nn.Module):
    """`jn.MLP` with noise before the ReLU, derived at the values without the noise."""

    units: int
    stddev: Any

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """The logits."""
        init: Any = nn.initializers.glorot_uniform()
        clean = nn.Dense(self.units, kernel_init=init, name="hidden_0")(x)
        output = nn.Dense(1, kernel_init=init, name="output")
        if not train:
            return output(nn.relu(clean))
        noisy = jn.GaussianNoise(self.stddev, name="hidden_noise_0")(clean, train=True)
        return jn.straight_through(lambda z: output(nn.relu(z)))(clean, noisy)


def jacobian_penalty(stddev: Any) -> Callable[..., Array]:
    """What noise of ``stddev`` on the inputs adds to the loss, to second order.

    ``stddev**2 / 2 * mean_rows p (1 - p) ||dz/dx||**2``, z the logit and p its
    probability. The other term of second order holds the Laplacian of z, which is 0
    almost everywhere for a ReLU network.

    Reference: C. M. Bishop, "Training with noise is equivalent to Tikhonov
    regularization", Neural Computation 7 (1995).
    """

    def penalty(apply: Callable[..., Array], params: Any, x: Array) -> Array:
        logits, pull = jax.vjp(lambda rows: apply(params, rows), x)
        (slopes,) = pull(jnp.ones_like(logits))
        p = nn.sigmoid(logits[:, 0])
        return stddev**2 / 2 * (p * (1 - p) * (slopes**2).sum(-1)).mean()

    return penalty


def _sites(parts: Mapping[str, Any]) -> dict[str, Any]:
    sites: dict[str, Any] = {
        f"{site}_noise": jn.GaussianNoise(stddev)
        for site, stddev in parts.items()
        if site not in ELSEWHERE
    }
    if "dropout" in parts:
        layer: nn.Module = jn.Dropout(parts["dropout"])
        if "activation" in parts:
            layer = jn.Noise(
                partial(noise_and_dropout, parts["activation"], parts["dropout"])
            )
        sites["activation_noise"] = layer
    return sites


def noise_and_dropout(stddev: Any, rate: Any, key: Array, x: Array) -> Array:
    """Dropout of what has noise on it."""
    noisy = jn.add_gaussian_noise(key, x, stddev)  # as it is without the dropout
    return jn.drop_units(jax.random.fold_in(key, 1), noisy, rate)


def _optimizer(
    parts: Mapping[str, Any], learning_rate: float, epsilon: float
) -> optax.GradientTransformation:
    """Adam with the epsilon of Keras, between what comes before and after it."""
    steps: list[Any] = []
    if "gradients" in parts:
        steps.append(jn.gradient_noise(parts["gradients"]))
    steps.append(optax.scale_by_adam(eps=epsilon))
    if "weight decay" in parts:
        steps.append(optax.add_decayed_weights(parts["weight decay"]))
    steps.append(optax.scale_by_learning_rate(learning_rate))
    if "max-norm" in parts:
        steps.append(jn.max_norm(parts["max-norm"]))
    return optax.chain(*steps)


def _labels(
    parts: Mapping[str, Any], classes: int
) -> Callable[[Array, Array], Array] | None:
    """Flips, then smoothing: in training alone, so that all losses are comparable."""
    if not {"labels", "label smoothing"} & set(parts):
        return None

    def noise(key: Array, targets: Array) -> Array:
        if "labels" in parts:
            targets = jn.flip_labels(key, targets, parts["labels"], num_classes=classes)
        if "label smoothing" in parts:
            smoothing = parts["label smoothing"]
            targets = targets * (1 - smoothing) + smoothing / 2
        return targets

    return noise
