"""The door for Keras 3 on its JAX backend: your own Keras model in a sweep.

`recipe` makes a recipe of a function that builds a compiled Keras model: model, loss,
optimiser and metrics are those of ``compile``, and a sweep trains it hundreds of times
as fast as ``fit``, in paired runs. `model` is the model alone, for a `Recipe` with
losses of ours and an optimiser of Optax. `load` puts what was trained into a model.

``jn.keras.GaussianNoise(0.1)`` and the others are layers of Keras, which also work in
``fit``: in contrast to Keras' own a strength may be traced and of any size, and what
Keras' masks call padding is kept.

Keras must run on JAX. It reads the environment variable ``KERAS_BACKEND`` when it is
imported: where TensorFlow is installed, a script begins with ``import os``,
``os.environ["KERAS_BACKEND"] = "jax"``.

What holds in a sweep:

- ``build`` is called a few times while a program is traced, never in a run. Its
  strength is traced: no ``if`` by it. Layers of Keras that take a number, such as
  `keras.layers.GaussianNoise`, have a namesake here that takes a traced one.
- Initial weights are drawn by the model's own initialisers from the run's key, whatever
  seeds these have: runs of one seed share them across placements. Those that draw by
  NumPy, or ask for the values of what they draw (which needs a `keras.Input`), are
  called on the host before a run, with NumPy's seed of the run's; a warning says so.
- All that Keras' layers draw in training (noise, dropout, augmentation, recurrent
  dropout) comes from the run's key and the step. It depends on the layer's place among
  the weights, so that placements share the noise that they have in common. There is
  none in evaluation.
- ``variables["params"]`` is the list of ``model.trainable_variables``, and
  ``variables["state"]`` that of the others, such as batch statistics.
- The training loss is that of ``fit``, with what regularisers add; ``<set>_loss`` is
  without. Metrics that are no means of rows, such as `keras.metrics.AUC`, are
  ``set_metrics``. Callbacks and weights of classes or rows are arguments of ``fit``,
  and have no place here.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from jaxnoise.checks import check_callable, check_function, shown
from jaxnoise.keras.compiled import recipe_of
from jaxnoise.keras.network import Network, is_ready, parts_of
from jaxnoise.noise.keras import AlphaDropout as AlphaDropout
from jaxnoise.noise.keras import CorrelatedNoise as CorrelatedNoise
from jaxnoise.noise.keras import Dropout as Dropout
from jaxnoise.noise.keras import GaussianDropout as GaussianDropout
from jaxnoise.noise.keras import GaussianNoise as GaussianNoise
from jaxnoise.noise.keras import Noise as Noise
from jaxnoise.noise.keras import SaltAndPepperNoise as SaltAndPepperNoise
from jaxnoise.noise.keras import keras
from jaxnoise.pickling import Pickled
from jaxnoise.training.recipe import Recipe

_layers = {
    n for n, v in globals().items() if getattr(v, "__module__", "") == Noise.__module__
}
__all__ = sorted({*_layers, "load", "model", "recipe"})  # what help() lists

BUILD = (
    "a function that returns a Keras model, such as def build(stddev): return "
    "keras.Sequential([...])"
)


def __dir__() -> list[str]:
    return __all__


def recipe(build: Callable[..., Any]) -> Callable[[Any], Recipe]:
    """Return the recipe of a compiled Keras model, for `sweep` and `make_train`.

    Args:
        build: ``strength -> model``, a compiled `keras.Model` of any kind, with the
            strength in its noise; or ``build()``, such as for the baseline, whose model
            is the same at all strengths.

    Returns:
        A function ``strength -> Recipe``: model, loss, optimiser and metrics are those
        of ``compile``.

    Raises:
        TypeError: if ``build`` is no function of a strength or of nothing; in use, if
            it returns no Keras model or asks for the strength's value.
        ValueError: in use, if the model is not compiled, has several losses, weights of
            losses or a training step of its own, its optimiser belongs to another
            model or averages weights for the end of ``fit``, it differs from call to
            call, or a layer keeps Python state.

    Example:
        >>> import keras, jaxnoise as jn
        >>> def build(stddev):
        ...     model = keras.Sequential([
        ...         keras.Input((2,)),
        ...         keras.layers.Dense(8),
        ...         jn.keras.GaussianNoise(stddev),
        ...         keras.layers.Activation("relu"),
        ...         keras.layers.Dense(1, activation="sigmoid"),
        ...     ])
        ...     model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        ...     return model
        >>> recipe = jn.keras.recipe(build)
        >>> result = jn.sweep(
        ...     {"none": recipe, "hidden": recipe}, strengths={"hidden": [0.1]},
        ...     data=jn.data.circles(), seeds=2, epochs=5, batch_size=32,
        ... )
        >>> "test_accuracy" in result.runs
        True
    """
    return RecipeOf(build, takes_strength=bool(_check(build)))


@dataclass(frozen=True)  # equal ones share their programs
class RecipeOf(Pickled):
    """``strength -> Recipe`` of a function that builds a compiled model."""

    build: Callable[..., Any]
    takes_strength: bool

    def __call__(self, strength: Any) -> Recipe:
        """Build the model, and take it apart."""
        given = [strength] if self.takes_strength else []
        return recipe_of(Network(self.build, *given, losses=True))


def model(build: Callable[[], Any]) -> Network:
    """Return a Keras model as the model of a `Recipe`.

    It needs no ``compile``: loss, optimiser and metrics are the recipe's, whose losses
    take logits, not what a sigmoid or a softmax makes of them. What regularisers add to
    the loss is left out.

    Args:
        build: ``() -> model``, a `keras.Model` of any kind; called while tracing, so
            that strengths in it may be traced: ``lambda: build(stddev)``.

    Raises:
        TypeError: if ``build`` is no function, or returns no Keras model.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn, keras, optax
        >>> def recipe(stddev):
        ...     def build():
        ...         noise = jn.keras.GaussianNoise(stddev)
        ...         return keras.Sequential([noise, keras.layers.Dense(1)])
        ...     return jn.Recipe(
        ...         model=jn.keras.model(build),
        ...         loss=jn.losses.binary_cross_entropy,
        ...         optimizer=optax.adam(1e-3),
        ...     )
        >>> variables = recipe(0.1).model.init(jax.random.key(0), jnp.ones((3, 2)))
        >>> [each.shape for each in variables["params"]]
        [(2, 1), (1,)]
    """
    _check(build, 0)
    return Network(build)


def load(model: Any, variables: Any) -> Any:
    """Fill a Keras model with trained variables, for predict, evaluate and save.

    Args:
        model: a `keras.Model` of the same architecture, such as ``build(0.1)``; changed
            in place.
        variables: those of a run, ``result.variables[row]`` of a sweep with
            ``keep_params=True``.

    Returns:
        The model.

    Raises:
        TypeError: if ``model`` is no Keras model, or ``variables`` are of none.
        ValueError: if the variables do not fit the model, or it waits for the shape of
            its inputs.

    Example:
        >>> import jax, keras, jaxnoise as jn, jax.numpy as jnp
        >>> def build():
        ...     return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> x = jnp.ones((3, 2))
        >>> variables = jn.keras.model(build).init(jax.random.key(0), x)
        >>> jn.keras.load(build(), variables).predict(x, verbose=0).shape
        (3, 1)
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model, got {shown(model)}.")
    if not isinstance(variables, dict) or not {"params", "state"} <= {*variables}:
        raise TypeError(
            "variables must be those of a run of a Keras model, such as "
            f"result.variables[0] with keep_params=True, got {shown(variables)}."
        )
    if not is_ready(model):
        raise ValueError(
            "model must have its weights: give it a keras.Input, or call it once on "
            "data before."
        )
    for name, own in parts_of(model).items():
        wanted = [tuple(variable.shape) for variable in own]
        given = [value.shape for value in variables[name]]
        if wanted != given:
            raise ValueError(
                f"variables must fit the model, whose {name} have the shapes {wanted}, "
                f"got {given}."
            )
        for variable, value in zip(own, variables[name], strict=True):
            variable.assign(jnp.array(value))  # a copy, as fit gives its arrays away
    return model


def _check(build: Any, arguments: int | None = None) -> int:
    """The number of strengths that it takes; refused if it is none, such as a model."""
    if isinstance(build, keras.Model):  # it may be called
        raise TypeError(f"build must be {BUILD}, got a {type(build).__name__}.")
    check_callable("build", build, BUILD)
    if arguments is None:
        arguments = min(1, len(inspect.signature(build).parameters))
    check_function("build", build, BUILD, arguments)
    return arguments
