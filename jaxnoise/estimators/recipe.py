"""What an estimator trains, as a recipe of the engine.

All that is a number, such as a strength, a learning rate or a rate of dropout, arrives
in one dict that is traced: other values compile nothing. A noise that is off is no key
of it, so that it costs nothing either.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array

from jaxnoise import losses, metrics
from jaxnoise.model import Model, Variables, as_model
from jaxnoise.models import MLP
from jaxnoise.noise.functions import (
    add_gaussian_noise,
    drop_units,
    flip_labels,
    tree_add_gaussian_noise,
)
from jaxnoise.noise.gradients import gradient_noise, max_norm
from jaxnoise.noise.linen import Dropout, GaussianNoise, Noise
from jaxnoise.pickling import Pickled
from jaxnoise.training.recipe import Recipe

Numbers = Mapping[str, Any]  # by the names of parameters, which may be traced
Build = Callable[[int, Numbers], Any]
MEASURED = "measured"  # a number: 0 where nobody reads what epochs are measured by
# what targets may be; TWO are classes that one logit tells apart
CLASSES, TWO, LABELS, NUMBERS = "classes", "two classes", "labels", "numbers"
LOSSES = {
    CLASSES: losses.softmax_cross_entropy,
    TWO: losses.binary_cross_entropy,
    LABELS: losses.binary_cross_entropy,
    NUMBERS: losses.squared_error,
}
SCORES = {
    CLASSES: metrics.accuracy,
    TWO: metrics.binary_accuracy,
    LABELS: metrics.exact_match,
}
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": nn.relu,
    "tanh": jnp.tanh,
    "logistic": nn.sigmoid,
    "identity": lambda x: x,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "elu": nn.elu,
}
OPTIMIZERS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "adam": optax.scale_by_adam,
    "nadam": partial(optax.scale_by_adam, nesterov=True),
    "sgd": partial(optax.trace, decay=0.9, nesterov=True),
    "rmsprop": optax.scale_by_rms,
    "lion": optax.scale_by_lion,
}


@dataclass(frozen=True)
class NetworkRecipe(Pickled):
    """A function of traced numbers to a recipe; equal ones share compiled programs.

    Attributes:
        build: ``(outputs, numbers) -> model``.
        targets: what they are, such as classes.
        outputs: of the network.
        optimizer: a name of `OPTIMIZERS`, or a transform of Optax.
        patience: of early stopping; None for none.
        weighted: whether targets come with weights, ``{"y": ..., "weight": ...}``.
    """

    build: Build
    targets: str
    outputs: int
    optimizer: Any
    patience: int | None
    weighted: bool

    def __call__(self, numbers: Numbers) -> Recipe:
        """The recipe of these numbers."""
        loss, score = LOSSES[self.targets], SCORES.get(self.targets)
        scores = {"score": score} if score and self.patience else {}
        weight = numbers.get("weight_noise")
        return Recipe(
            model=self.model(numbers),
            loss=_weighted(loss) if self.weighted else loss,
            optimizer=self._optimizer(numbers),
            metrics={
                name: _weighted(metric) if self.weighted else metric
                for name, metric in scores.items()
            },
            weight_noise=None
            if weight is None
            else partial(tree_add_gaussian_noise, stddev=weight),
            label_noise=self._label_noise(numbers.get("label_noise")),
            patience=self.patience,
        )

    def model(self, numbers: Numbers) -> Model:
        """The network alone."""
        return as_model(self.build(self.outputs, numbers))

    def _optimizer(self, numbers: Numbers) -> optax.GradientTransformation:
        """Noise before it, and the limit of weights behind it."""
        parts = [self.optimizer]
        if isinstance(self.optimizer, str):
            parts = [
                OPTIMIZERS[self.optimizer](),
                optax.add_decayed_weights(numbers["alpha"], _kernels),
                optax.scale_by_learning_rate(numbers["learning_rate_init"]),
            ]
        if "gradient_noise" in numbers:
            parts.insert(0, gradient_noise(numbers["gradient_noise"]))
        if "max_norm" in numbers:
            parts.append(max_norm(numbers["max_norm"]))
        return optax.chain(*parts)

    def _label_noise(self, level: Any) -> Callable[[Array, Any], Any] | None:
        if level is None:
            return None
        classes = self.outputs if self.targets == CLASSES else 2
        noise = partial(flip_labels, rate=level, num_classes=classes)
        if self.targets == NUMBERS:
            noise = partial(add_gaussian_noise, stddev=level)
        if not self.weighted:
            return noise
        return lambda key, rows: {**rows, "y": noise(key, rows["y"])}


@lru_cache(maxsize=128)
def outputs_program(recipe: NetworkRecipe) -> Callable[..., Array]:
    """``(variables, numbers, x) -> outputs``, of several networks on the same rows."""

    def outputs(variables: Variables, numbers: Numbers, x: Array) -> Array:
        return recipe.model(numbers).apply(variables, x, train=False, key=None)[0]

    return jax.jit(jax.vmap(outputs, in_axes=(0, None, None)))


@dataclass(frozen=True)
class Perceptron:
    """A multilayer perceptron with noise where the numbers have some.

    Standardised columns and this start give every unit a deviation of about 1, in
    whose units noise on it is.
    """

    widths: tuple[int, ...]
    activation: Any

    def __call__(self, outputs: int, numbers: Numbers) -> Any:
        """The network."""
        named: dict[str, Any] = {
            f"{site}_noise": GaussianNoise(numbers[f"{site}_noise"])
            for site in ("input", "hidden", "activation")
            if f"{site}_noise" in numbers
        }
        if (rate := numbers.get("dropout")) is not None:
            stddev = numbers.get("activation_noise")
            both = partial(_noise_and_dropout, stddev=stddev, rate=rate)
            named["activation_noise"] = Dropout(rate) if stddev is None else Noise(both)
        activation = ACTIVATIONS.get(self.activation, self.activation)
        start = nn.initializers.lecun_uniform()
        network = MLP(
            self.widths, outputs, activation=activation, kernel_init=start, **named
        )
        return (
            _Measured(as_model(network), numbers[MEASURED])
            if MEASURED in numbers
            else network
        )


@dataclass(frozen=True)
class _Around(Pickled):
    """What stands around a model, and has its variables."""

    model: Model

    def init(self, key: Array, x: Any) -> Variables:
        """Those of the model."""
        return self.model.init(key, x)


@dataclass(frozen=True)
class _Measured(_Around):
    """A model whose clean pass, which epochs are measured by, may be left out.

    A number says so, so that a fit and a search share one program, and all bits.
    """

    measured: Any

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Variables]:
        """The model's outputs, or zeros."""
        if train:
            return self.model.apply(variables, x, train=True, key=key)

        def clean() -> Any:
            return self.model.apply(variables, x, train=False, key=None)[0]

        form = jax.eval_shape(clean)
        nothing = partial(jnp.zeros, form.shape, form.dtype)
        return lax.cond(self.measured > 0, clean, nothing), variables


@dataclass(frozen=True)
class NoisyInputs(_Around):
    """A model behind the protocol with Gaussian noise on what it gets."""

    stddev: Any

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Variables]:
        """The model's outputs for noisy inputs."""
        if train:
            key, own = jax.random.split(key)  # type: ignore[arg-type]
            x = add_gaussian_noise(own, x, self.stddev)
        return self.model.apply(variables, x, train=train, key=key)


def _weighted(function: Callable[[Any, Any], Array]) -> Callable[[Any, Any], Array]:
    return lambda outputs, rows: rows["weight"] * function(outputs, rows["y"])


def _kernels(params: Any) -> Any:
    """Which weights decay: not the biases."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _noise_and_dropout(key: Array, x: Array, *, stddev: Any, rate: Any) -> Array:
    first, second = jax.random.split(key)
    return drop_units(second, add_gaussian_noise(first, x, stddev), rate)
