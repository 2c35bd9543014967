"""A network, and all that may be added to it: noises and their rivals.

`recipe` builds a `jaxnoise.Recipe` from parts by name, each at its strength.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

import jaxnoise as jn
from jaxnoise.model import as_model

UNITS = 500  # the tutorial's, as all of these
TUTORIAL = partial(jn.MLP, (UNITS,), 1)
METRICS = {"accuracy": jn.metrics.binary_accuracy, "brier": jn.metrics.binary_brier}
LEARNING_RATE = 1e-3
EPSILON = 1e-7  # that of Keras, which adds it before it corrects the root
ELSEWHERE = (  # than at a site of the model
    *("dropout", "weights", "gradients", "labels"),
    *("learning rate", "weight decay", "max-norm", "label smoothing"),
)
NOTHING = {"learning rate": 1.0, "max-norm": 1e6}  # what does nothing; of others 0


def parts_of(placement: str, strength: Any) -> dict[str, Any]:
    """The parts of a recipe in a cell; a strength may be several of them."""
    if placement == "none":
        return {}
    return strength if isinstance(strength, dict) else {placement: strength}


def recipe(
    parts: Mapping[str, Any],
    model: Callable[..., nn.Module] = TUTORIAL,
    *,
    loss: Callable[..., Array] = jn.losses.binary_cross_entropy,
    metrics: Mapping[str, Any] = METRICS,
    classes: int = 2,
    learning_rate: float = LEARNING_RATE,
    epsilon: float = EPSILON,
    dropout_at: str = "activation",
    decays: Callable[[Any], Any] | None = None,
) -> jn.Recipe:
    """A network with these parts at their strengths, which may be traced.

    A part that is none of `ELSEWHERE` is Gaussian noise at the model's site of that
    name; ``decays`` tells which weights decay, all unless given. The defaults are the
    tutorial's.
    """
    more: dict[str, Any] = {}
    if "weights" in parts:
        noise = partial(jn.tree_add_gaussian_noise, stddev=parts["weights"])
        more["weight_noise"] = noise
    rates = parts.get("labels"), parts.get("label smoothing")
    if rates != (None, None):
        more["label_noise"] = partial(changed_labels, *rates, classes)
    network = model(**_sites(parts, dropout_at))
    optimizer = _optimizer(parts, learning_rate, epsilon, decays)
    return jn.Recipe(network, loss, optimizer, metrics, **more)


@dataclass(frozen=True)
class Around:
    """A model around another one."""

    module: Any

    def init(self, key: Array, x: Any) -> Any:
        """The module's own."""
        return as_model(self.module).init(key, x)

    def apply(
        self, variables: Any, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Any]:
        """The module's own."""
        return as_model(self.module).apply(variables, x, train=train, key=key)


class OwnStart(Around):
    """A model whose initial weights depend on the train rows, beside the seed.

    So every split starts from weights of its own, the same in all its placements, and
    what is told of many splits is not told of one start.
    """

    def init(self, key: Array, x: Any) -> Any:
        """Bits are summed as integers: exactly, in whatever order."""
        rows = jax.tree.leaves(x)[0].astype(jnp.float32)
        bits = jax.lax.bitcast_convert_type(rows, jnp.uint32).sum(dtype=jnp.uint32)
        return super().init(jax.random.fold_in(key, bits), x)


def own_start(made: jn.Recipe) -> jn.Recipe:
    """The recipe, with initial weights of every split's own."""
    return replace(made, model=OwnStart(made.model))


@dataclass(frozen=True)
class LeftOn(Around):
    """Noise at test time, too: the mean probability of two classes over some passes."""

    passes: int

    def apply(
        self, variables: Any, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Any]:
        """In training the module's own; else under keys that are always the same."""
        noisy = partial(as_model(self.module).apply, variables, x, train=True)
        if train:
            return noisy(key=key)
        keys = jax.random.split(jax.random.key(0), self.passes)
        logits = jax.lax.map(lambda key: noisy(key=key)[0], keys)
        right, wrong = (  # log mean p and log mean (1 - p), but for a constant
            jax.nn.logsumexp(jax.nn.log_sigmoid(sign * logits), axis=0)
            for sign in (1, -1)
        )
        return right - wrong, variables


def left_on(parts: Mapping[str, Any], passes: int) -> jn.Recipe:
    """The tutorial's recipe, judged with the noise left on."""
    made = recipe(parts)
    return replace(made, model=LeftOn(made.model, passes))


def clean_backward(parts: Mapping[str, Any]) -> jn.Recipe:
    """Noise on ``hidden`` and ``weights`` whose backward pass sees the clean values."""
    model = partial(CleanBackward, UNITS, parts["hidden"])
    made = recipe({"weights": parts["weights"]}, model)
    return replace(made, weight_gradient="clean")


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


def changed_labels(
    flips: Any, smoothing: Any, classes: int, key: Array, y: Array
) -> Array:
    """Labels of training alone, flipped and smoothed at their rates if they have one.

    Losses that are told are those of the true labels.
    """
    if flips is not None:
        y = jn.flip_labels(key, y, flips, num_classes=classes)
    if smoothing is None:
        return y
    likely = y if classes == 2 else jax.nn.one_hot(y, classes)
    return (1 - smoothing) * likely + smoothing / classes


def _sites(parts: Mapping[str, Any], dropout_at: str) -> dict[str, Any]:
    sites: dict[str, Any] = {
        f"{site}_noise": jn.GaussianNoise(stddev)
        for site, stddev in parts.items()
        if site not in ELSEWHERE
    }
    if "dropout" in parts:
        layer: nn.Module = jn.Dropout(parts["dropout"])
        if dropout_at in parts:
            both = partial(noise_and_dropout, parts[dropout_at], parts["dropout"])
            layer = jn.Noise(both)
        sites[f"{dropout_at}_noise"] = layer
    return sites


def noise_and_dropout(stddev: Any, rate: Any, key: Array, x: Array) -> Array:
    """Dropout of what has noise on it."""
    noisy = jn.add_gaussian_noise(key, x, stddev)  # as it is without the dropout
    return jn.drop_units(jax.random.fold_in(key, 1), noisy, rate)


def _optimizer(
    parts: Mapping[str, Any], learning_rate: float, epsilon: float, decays: Any
) -> optax.GradientTransformation:
    """Adam with the epsilon of Keras, between what comes before and after it."""
    steps: list[Any] = []
    if "gradients" in parts:
        steps.append(jn.gradient_noise(parts["gradients"]))
    steps.append(optax.scale_by_adam(eps=epsilon))
    if "weight decay" in parts:
        steps.append(optax.add_decayed_weights(parts["weight decay"], decays))
    rate = learning_rate * parts.get("learning rate", 1.0)
    steps.append(optax.scale_by_learning_rate(rate))
    if "max-norm" in parts:
        steps.append(jn.max_norm(parts["max-norm"]))
    return optax.chain(*steps)
