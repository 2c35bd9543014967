"""Keras layers over the noise functions: the same noise as the Linen layers'.

They are called and saved as Keras' own, and work in ``fit``. In contrast to those

- a strength is of any size, and may be traced: one program serves all of them;
- ``x`` is kept where the mask of a `keras.layers.Masking` or `keras.layers.Embedding`
  is False, such as in padding;
- the draws are ours, which are fast.

Every layer takes ``seed=``, an int, as Keras' layers do, and Keras' own arguments such
as ``name=`` and ``dtype=``; raises TypeError if a strength is no number, and ValueError
if it is out of range. ``layer(x, training=True)`` has noise, ``layer(x)`` none.
"""

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from jaxnoise.checks import NOISE, check_function
from jaxnoise.noise import draw, functions, rows
from jaxnoise.noise.layer import Layer
from jaxnoise.noise.strengths import check_below_1, stddev_of_rate

BACKEND = (
    "jn.keras must have Keras run on JAX, {}: set the environment variable "
    "KERAS_BACKEND=jax before Keras is imported, in a script by import os; "
    'os.environ["KERAS_BACKEND"] = "jax" at its top.'
)

if "keras" not in sys.modules:
    os.environ.setdefault("KERAS_BACKEND", "jax")
try:
    import keras as keras
except (ImportError, ValueError) as error:
    if getattr(error, "name", "") == "keras":
        raise ModuleNotFoundError(
            'jn.keras needs Keras 3: python -m pip install "jaxnoise[keras]"',
            name="keras",
        ) from None
    raise ImportError(BACKEND.format(f"whose import failed: {error}")) from error
if keras.backend.backend() != "jax":
    raise ImportError(BACKEND.format(f"got {keras.backend.backend()!r}"))

register = keras.saving.register_keras_serializable("jaxnoise")


for _module in (functions, rows):  # so that `Noise` of a function can be saved
    for _function in vars(_module).values():
        if getattr(_function, "__module__", "") == _module.__name__:
            register(_function)


class NoiseLayer(keras.layers.Layer, Layer):
    """A layer over a noise function: its switch is ``training``, its key a seed's.

    Attributes:
        noise: the function.
        names: of its arguments that are the layer's own, the strength first.
    """

    noise: Any
    names: tuple[str, ...]

    def __init__(self, values: Sequence[Any], seed: Any, others: Any) -> None:
        super().__init__(**others)
        for name, value in zip(self.names, values, strict=True):
            setattr(self, name, value)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any, training: Any = False, mask: Any = None) -> Any:
        """Return ``inputs`` with noise while training, where the mask is True."""
        return self._applied(inputs, bool(training), mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return that of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {name: _plain(getattr(self, name)) for name in (*self.names, "seed")}
        return {**super().get_config(), **own}

    def _place(self) -> str:
        return str(self.path or self.name)

    def _asked(self, train: Any) -> Any:
        return train

    def _key(self, source: Any, traced: bool) -> Array:
        words = self.seed_generator.next()
        return jax.random.wrap_key_data(words, impl="threefry2x32")

    def _own(self, key: Array, source: Any, used: Any, strength: Any) -> Array:
        return key  # Keras maps no axes of a layer

    def _noise(self, train: Any) -> tuple[draw.NoiseFn, Any]:
        arguments = {name: getattr(self, name) for name in self.names}
        return partial(type(self).noise, **arguments), arguments[self.names[0]]


OFF_IN_USE = (  # nothing is lost where they are left out of a trained model
    NoiseLayer,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


def is_seed(variable: Any) -> bool:
    """Whether a variable is that of a `keras.random.SeedGenerator`."""
    return variable.name == "seed_generator_state"


def seeds_of(model: Any, key: Array) -> list[tuple[Any, Array]]:
    """Keras' variables of seeds, and what a key makes of each.

    A seed depends on its place: how many weights of the model stand before it, and how
    many seeds since. A layer of noise elsewhere does not change it.
    """
    seeds, weights, since = [], 0, 0
    for variable in model.variables:
        if is_seed(variable):
            of_place = draw.key_of_place(key, f"{weights}/{since}")
            seeds.append((variable, jax.random.key_data(of_place)))
            since += 1
        else:
            weights, since = weights + 1, 0
    return seeds


def called_with(model: Any, key: Array, *arguments: Any, **others: Any) -> Any:
    """What a call gives with seeds that the key makes; the model stays as it is."""
    with keras.StatelessScope(seeds_of(model, key)):
        return model(*arguments, **others)


def noise_layers(model: Any) -> dict[str, str]:
    """The kinds of the model's layers of ours, by their path."""
    layers = [each for each in model._flatten_layers() if isinstance(each, NoiseLayer)]
    return {layer._place(): type(layer).__name__ for layer in layers}


def without_noise(model: Any) -> Any:
    """A copy of the model with the same weights, with nothing in the place of noise."""
    if not isinstance(model, keras.Sequential | keras.src.models.Functional):
        raise TypeError(
            "model must be a keras.Sequential or a functional model for strip_noise, "
            f"got a {type(model).__name__}; called without training=True it is clean."
        )

    def cleaned(layer: Any) -> Any:
        if isinstance(layer, OFF_IN_USE):
            return keras.layers.Identity(name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    def called(layer: Any, *arguments: Any, mask: Any = None, **others: Any) -> Any:
        if mask is not None and not isinstance(layer, keras.layers.Identity):
            others["mask"] = mask
        return layer(*arguments, **others)

    given = {} if isinstance(model, keras.Sequential) else {"call_function": called}
    copy = keras.models.clone_model(
        model, clone_function=cleaned, recursive=True, **given
    )
    for ours, theirs in zip(copy.weights, model.weights, strict=True):
        ours.assign(theirs.value)
    return copy


def _plain(value: Any) -> Any:
    """What JSON can hold; a traced value as it is."""
    concrete = hasattr(value, "dtype") and not draw.is_traced(value)
    return np.asarray(value).tolist() if concrete else value


@register
class GaussianNoise(NoiseLayer):
    """``x + stddev * e``, ``e ~ N(0, 1)``, in training; else ``x``.

    Args:
        stddev: standard deviation in the units of ``x``, at least 0, of any size; may
            be traced.
        seed: of the draws in ``fit``; in a sweep the run's key makes them.
        **others: of every Keras layer, such as ``name``.

    Raises:
        TypeError: if ``stddev`` is no number.
        ValueError: if it is negative, NaN or infinite.

    Reference:
        C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
        Neural Computation 7 (1995).

    Example:
        >>> import numpy as np, jaxnoise as jn
        >>> layer, x = jn.keras.GaussianNoise(0.1), np.ones((2, 3), "float32")
        >>> layer(x, training=True).shape
        (2, 3)
        >>> bool((layer(x) == x).all())
        True
    """

    noise, names = functions.add_gaussian_noise, ("stddev",)

    def __init__(self, stddev: Any, seed: Any = None, **others: Any) -> None:
        draw.check_strength("stddev", stddev)
        super().__init__([stddev], seed, others)


@register
class GaussianDropout(NoiseLayer):
    """``x * (1 + s * e)``, ``e ~ N(0, 1)``, in training; ``s = sqrt(r / (1 - r))``.

    Args:
        rate: r, that of the dropout whose mean and variance it has; from 0 to below 1;
            may be traced.
        seed: of the draws in ``fit``; in a sweep the run's key makes them.
        **others: of every Keras layer, such as ``name``.

    Raises:
        TypeError: if ``rate`` is no number.
        ValueError: if it is out of range.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014), section 10.

    Example:
        >>> import numpy as np, jaxnoise as jn
        >>> layer = jn.keras.GaussianDropout(0.2)
        >>> float(abs(layer(np.zeros(3, "float32"), training=True)).max())
        0.0
    """

    noise, names = functions.multiply_gaussian_noise, ("rate",)

    def __init__(self, rate: Any, seed: Any = None, **others: Any) -> None:
        draw.check_strength("rate", rate)
        check_below_1(rate)
        super().__init__([rate], seed, others)

    def _noise(self, train: Any) -> tuple[draw.NoiseFn, Any]:
        stddev = stddev_of_rate(self.rate)
        return partial(type(self).noise, stddev=stddev), self.rate


class WithShape(NoiseLayer):
    """A layer whose draws may have a shape of their own."""

    names = ("rate", "noise_shape")

    def __init__(
        self, rate: Any, noise_shape: Any = None, seed: Any = None, **others: Any
    ) -> None:
        draw.check_strength("rate", rate)
        shape = None if noise_shape is None else tuple(noise_shape)
        super().__init__([rate, shape], seed, others)

    def _noise(self, train: Any) -> tuple[draw.NoiseFn, Any]:
        def dropped(key: Array, x: Array, mask: Any = None) -> Array:
            axes = _shared_axes(self.noise_shape, x.shape)
            return type(self).noise(key, x, self.rate, mask=mask, shared_axes=axes)

        return dropped, self.rate


@register
class Dropout(WithShape):
    """Inverted dropout: 0 at ``rate``, else ``x / (1 - rate)``, in training.

    Args:
        rate: probability of a 0, from 0 to 1; may be traced.
        noise_shape: of the draws, with 1 along axes that are dropped together: with
            ``(None, 1, None)`` of (rows, steps, channels) it is spatial dropout.
        seed: of the draws in ``fit``; in a sweep the run's key makes them.
        **others: of every Keras layer, such as ``name``.

    Raises:
        TypeError: if ``rate`` is no number.
        ValueError: if it is out of range, or in the call if ``noise_shape`` does not
            fit.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014).

    Example:
        >>> import numpy as np, jaxnoise as jn
        >>> noisy = jn.keras.Dropout(0.5)(np.ones(8, "float32"), training=True)
        >>> set(noisy.tolist()) <= {0.0, 2.0}
        True
    """

    noise = functions.drop_units


@register
class AlphaDropout(WithShape):
    """Dropout that keeps mean 0 and variance 1, for SELU networks, in training.

    Args:
        rate: probability of a drop, from 0 to 1; may be traced.
        noise_shape: of the draws, with 1 along axes that are dropped together, such as
            ``(None, 1, None)`` for all time steps.
        seed: of the draws in ``fit``; in a sweep the run's key makes them.
        **others: of every Keras layer, such as ``name``.

    Raises:
        TypeError: if ``rate`` is no number.
        ValueError: if it is out of range, or in the call if ``noise_shape`` does not
            fit.

    Reference:
        G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017.

    Example:
        >>> import numpy as np, jaxnoise as jn
        >>> layer = jn.keras.AlphaDropout(0.5, noise_shape=(1, None))
        >>> noisy = layer(np.ones((2, 8), "float32"), training=True)
        >>> bool((noisy[0] == noisy[1]).all())
        True
    """

    noise = functions.alpha_dropout


def _shared_axes(noise_shape: Any, shape: tuple[int, ...]) -> list[int]:
    """The axes along which draws of this shape are shared."""
    given = [None] * len(shape) if noise_shape is None else noise_shape
    fits = len(given) == len(shape)
    if not fits or any(
        n not in (None, 1, s) for n, s in zip(given, shape, strict=True)
    ):
        raise ValueError(
            f"noise_shape must have None, 1 or x's own size for each axis of {shape}, "
            f"got {noise_shape}."
        )
    return [axis for axis, n in enumerate(given) if n == 1]


@register
class SaltAndPepperNoise(NoiseLayer):
    """Replaces elements by ``low`` or ``high``, half each, at ``rate``, in training.

    Args:
        rate: probability of a replacement, from 0 to 1; may be traced.
        low: the value of pepper, in the units of ``x``.
        high: the value of salt.
        seed: of the draws in ``fit``; in a sweep the run's key makes them.
        **others: of every Keras layer, such as ``name``.

    Raises:
        TypeError: if ``rate``, ``low`` or ``high`` is no number.
        ValueError: if the rate is out of range.

    Reference:
        R. C. Gonzalez, R. E. Woods, "Digital image processing", chapter 5.

    Example:
        >>> import numpy as np, jaxnoise as jn
        >>> layer = jn.keras.SaltAndPepperNoise(1.0, low=0.0, high=1.0)
        >>> noisy = layer(np.full(8, 0.5, "float32"), training=True)
        >>> set(noisy.tolist()) <= {0.0, 1.0}
        True
    """

    noise, names = functions.salt_and_pepper, ("rate", "low", "high")

    def __init__(
        self, rate: Any, low: Any, high: Any, seed: Any = None, **others: Any
    ) -> None:
        draw.check_strength("rate", rate)
        draw.check_number("low", low)
        draw.check_number("high", high)
        super().__init__([rate, low, high], seed, others)


@register
class CorrelatedNoise(NoiseLayer):
    """``x + stddev * e``, e a stationary AR(1) process along an axis, in training.

    Args:
        stddev: standard deviation in the units of ``x``, at least 0; may be traced.
        correlation: of neighbours along the axis, from -1 to 1.
        axis: along which neighbours are correlated, such as time, 1.
        seed: of the draws in ``fit``; in a sweep the run's key makes them.
        **others: of every Keras layer, such as ``name``.

    Raises:
        TypeError: if ``stddev`` is no number.
        ValueError: if it is out of range, or in the call a value does not fit.

    Reference:
        G. E. Uhlenbeck, L. S. Ornstein, "On the theory of the Brownian motion",
        Physical Review 36 (1930), sampled at equal steps.

    Example:
        >>> import numpy as np, jaxnoise as jn
        >>> layer = jn.keras.CorrelatedNoise(0.1, correlation=0.9, axis=1)
        >>> layer(np.zeros((4, 100, 3), "float32"), training=True).shape
        (4, 100, 3)
    """

    noise = functions.add_correlated_noise
    names = ("stddev", "correlation", "axis")

    def __init__(
        self, stddev: Any, correlation: Any, axis: int, seed: Any = None, **others: Any
    ) -> None:
        draw.check_strength("stddev", stddev)
        draw.check_number("correlation", correlation)
        super().__init__([stddev, correlation, axis], seed, others)


@register
class Noise(NoiseLayer):
    """Any noise function as a layer: ``fn(key, x)`` in training, else ``x``.

    To save a model, Keras asks that a function of your own be decorated by
    ``keras.saving.register_keras_serializable()``; those of jaxnoise are, and partials
    of what can be saved can be saved.

    Args:
        fn: a function ``(key, x) -> x`` that keeps the shape. If it takes ``mask`` it
            gets the mask; if not, the layer keeps ``x`` where the mask is False.
        seed: of the draws in ``fit``; in a sweep the run's key makes them.
        **others: of every Keras layer, such as ``name``.

    Raises:
        TypeError: if ``fn`` is no function of (key, x) alone.

    Example:
        >>> from functools import partial
        >>> import jax, numpy as np, jaxnoise as jn
        >>> sign = partial(jn.add_noise, scale=0.5, sampler=jax.random.rademacher)
        >>> layer = jn.keras.Noise(sign)
        >>> print(abs(layer(np.zeros(3, "float32"), training=True)))
        [0.5 0.5 0.5]
    """

    names = ("fn",)

    def __init__(self, fn: draw.NoiseFn, seed: Any = None, **others: Any) -> None:
        if isinstance(fn, dict):  # of a saved model
            fn = _from_config(fn)
        check_function("fn", fn, NOISE, 2)
        super().__init__([fn], seed, others)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "fn": _config_of(self.fn)}

    def _noise(self, train: Any) -> tuple[draw.NoiseFn, Any]:
        return self.fn, self.fn


def _config_of(fn: Any) -> dict[str, Any]:
    """A function, or a partial of one, as Keras saves things."""
    if not isinstance(fn, partial):
        return {"function": keras.saving.serialize_keras_object(fn)}
    arguments = {"args": list(fn.args), "keywords": fn.keywords}
    return {"partial": _config_of(fn.func)} | {
        name: keras.saving.serialize_keras_object(jax.tree.map(_plain, value))
        for name, value in arguments.items()
    }


def _from_config(config: dict[str, Any]) -> Any:
    """What `_config_of` was given."""
    load = keras.saving.deserialize_keras_object
    if "partial" not in config:
        return load(config["function"])
    function = _from_config(config["partial"])
    return partial(function, *load(config["args"]), **load(config["keywords"]))
