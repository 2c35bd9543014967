"""What a run is made of.

A `Recipe` brings model, loss, optimiser, metrics and noise together; a function
``strength -> Recipe`` is what the engine takes, and calls while tracing. `Model` is the
protocol behind ``Recipe.model``; Linen modules are adapted by themselves.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import jax
import optax
from jaxtyping import Array

from jaxnoise.checks import check_function, keys_shared, shown
from jaxnoise.pickling import Pickled

Variables = dict[str, Any]
PerRow = Callable[[Any, Any], Array]
LOSS = "a function (outputs, targets) -> losses, such as jn.losses.squared_error"
METRIC = "a function (outputs, targets) -> scores, such as jn.metrics.accuracy"
OPTIONAL = {  # what each is to be, and with how many arguments it is called
    "weight_noise": (
        "a function (key, params) -> params, such as "
        "partial(jn.tree_add_gaussian_noise, stddev=0.1)",
        2,
    ),
    "label_noise": (
        "a function (key, targets) -> targets, such as "
        "partial(jn.flip_labels, rate=0.1, num_classes=10)",
        2,
    ),
    "penalty": ("a function (apply, params, x) -> scalar", 3),
}


@runtime_checkable
class Model(Protocol):
    """What the engine trains: two pure functions.

    ``variables["params"]`` is trained; every other collection, such as batch
    statistics, is carried from step to step.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> class Linear:
        ...     def init(self, key, x):
        ...         return {"params": {"w": jnp.zeros((x.shape[-1], 1))}}
        ...
        ...     def apply(self, variables, x, *, train, key):
        ...         if train:
        ...             x = jn.add_gaussian_noise(key, x, 0.1)
        ...         return x @ variables["params"]["w"], variables
        >>> isinstance(Linear(), jn.Model)
        True
    """

    def init(self, key: Array, x: Any) -> Variables:
        """Return fresh variables for inputs like ``x``."""
        ...

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Variables]:
        """Return outputs and variables; with ``train=False`` clean, and without key."""
        ...


@dataclass(frozen=True)
class Recipe(Pickled):
    """All that one run is made of but its strength, seed and data.

    Attributes:
        model: a Flax Linen module whose ``__call__`` takes ``train``, or a `Model`.
        loss: ``loss(outputs, targets)``, one value a row; the engine averages.
        optimizer: an Optax transformation; ``update`` gets ``key=``, fresh each step.
        metrics: by name, ``metric(outputs, targets)``, one value a row.
        weight_noise: ``(key, params) -> params``, fresh each step, such as
            ``partial(tree_add_gaussian_noise, stddev=0.1)``; the loss sees the noisy
            parameters, the stored ones stay clean.
        label_noise: ``(key, targets) -> targets``, fresh each step, in training alone:
            ``partial(flip_labels, rate=0.1, num_classes=10)`` for classes,
            ``partial(add_gaussian_noise, stddev=0.1)`` for regression.
        penalty: ``penalty(apply, params, x) -> scalar``, added to the training loss;
            ``apply(params, x)`` is the clean pass.
        weight_gradient: with noise on the weights, the gradient at the ``"noisy"``
            weights, or ``"clean"``: the outputs are those of the noisy weights, the
            backward pass is that of the clean ones.

    Raises:
        TypeError: if a part is not of its kind; the message says what it takes.
        ValueError: if a metric is named ``loss``, or ``weight_gradient`` is another
            word.

    Example:
        >>> import optax, jaxnoise as jn
        >>> def recipe(stddev):
        ...     return jn.Recipe(
        ...         model=jn.MLP((500,), 1, hidden_noise=jn.GaussianNoise(stddev)),
        ...         loss=jn.losses.binary_cross_entropy,
        ...         optimizer=optax.adam(1e-3),
        ...         metrics={"accuracy": jn.metrics.binary_accuracy},
        ...     )
        >>> recipe(0.1).model.outputs
        1
    """

    model: Any
    loss: PerRow
    optimizer: optax.GradientTransformation
    metrics: Mapping[str, PerRow] = field(default_factory=dict)
    weight_noise: Callable[[Array, Any], Any] | None = None
    label_noise: Callable[[Array, Any], Any] | None = None
    penalty: Callable[[Callable[[Any, Any], Any], Any, Any], Array] | None = None
    weight_gradient: str = "noisy"

    def __post_init__(self) -> None:
        as_model(self.model)
        if not isinstance(self.metrics, Mapping):
            raise TypeError(
                "metrics must map names to functions, such as "
                f"{{'accuracy': jn.metrics.accuracy}}, got {shown(self.metrics)}."
            )
        if "loss" in self.metrics:
            raise ValueError("metrics must not be named 'loss', which is always there.")
        if self.weight_gradient not in ("noisy", "clean"):
            raise ValueError(
                "weight_gradient must be 'noisy' or 'clean', "
                f"got {self.weight_gradient!r}."
            )
        check_function("loss", self.loss, LOSS, 2)
        for name, metric in self.metrics.items():
            check_function(f"metrics[{name!r}]", metric, METRIC, 2)
        for name, (expected, arguments) in OPTIONAL.items():
            if getattr(self, name) is not None:
                check_function(name, getattr(self, name), expected, arguments)
        if not (hasattr(self.optimizer, "init") and hasattr(self.optimizer, "update")):
            raise TypeError(
                "optimizer must be an Optax transformation such as optax.adam(1e-3), "
                f"got {shown(self.optimizer)}."
            )


def as_model(model: Any) -> Model:
    """Return ``model`` behind the protocol, or say why it does not fit."""
    if isinstance(model, nn.Module):
        if not takes_train(model):
            raise TypeError(
                f"model: {type(model).__name__}.__call__ must take `train`, as in "
                "def __call__(self, x, train)."
            )
        return _Linen(model)
    if isinstance(model, type) or not isinstance(model, Model):
        raise TypeError(
            "model must be a Flax Linen module (an instance, not its class), an NNX "
            "module as jn.nnx.model(lambda rngs: Net(rngs=rngs)), or have init(key, x) "
            "and apply(variables, x, *, train, key), "
            f"got {shown(model)}."
        )
    return model


def takes_train(module: Any) -> bool:
    """Whether a module of either kind is called with ``train``."""
    return "train" in inspect.signature(type(module).__call__).parameters


@dataclass(frozen=True)
class _Linen(Pickled):
    """A Linen module behind the protocol: streams from the key, collections carried."""

    module: nn.Module

    def init(self, key: Array, x: Any) -> Variables:
        return {"params": {}, **self.module.init({"params": key}, x, train=False)}

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Variables]:
        if not train:
            return self.module.apply(variables, x, train=False), variables
        noise, dropout = jax.random.split(key)  # type: ignore[arg-type]
        with keys_shared():  # along axes of runs, which are paired
            outputs, carried = self.module.apply(
                variables,
                x,
                train=True,
                rngs={"noise": noise, "dropout": dropout},
                mutable=[name for name in variables if name != "params"],
            )
        return outputs, {**variables, **carried}
