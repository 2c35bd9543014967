"""A Keras model behind the protocol of models: built from a key, called purely.

`built` calls a user's function so that all that Keras draws there comes from a key.
`Network.init` builds from the run's key; `Network.apply` calls the model in a scope
that holds the variables and, in training, the seeds that the step's key makes.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from traceback import walk_tb
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from jaxnoise.checks import name_of, shown, single_key, warn
from jaxnoise.model import CURE, Variables
from jaxnoise.models.cnn import max_pool
from jaxnoise.models.conv import conv_general_dilated
from jaxnoise.noise import keras as layers
from jaxnoise.noise.keras import is_seed, keras, seeds_of

backend = keras.src.backend
state = backend.common.global_state
NAMES = "object_name_uids"  # Keras' counters of them
lock = threading.RLock()


@dataclass
class Draws:
    """What was drawn while a model was built."""

    by_keras: int = 0
    by_numpy: bool = False


@contextmanager
def drawing_from(key: Array) -> Iterator[Draws]:
    """All that Keras draws comes from the key, and its names are counted anew.

    Draws are numbered: a weight depends on its place among the weights alone. What
    Python and NumPy draw is the same each time.
    """
    draws, draw_seed = Draws(), backend.jax.random.jax_draw_seed
    names = state.get_global_attribute(NAMES)
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002

    def of_key(seed: Any) -> Array:
        draws.by_keras += 1
        return jax.random.key_data(jax.random.fold_in(key, draws.by_keras))

    with lock:
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        start = repr(np.random.get_state())  # noqa: NPY002
        state.set_global_attribute(NAMES, None)
        backend.jax.random.jax_draw_seed = of_key
        try:
            yield draws
        finally:
            draws.by_numpy = repr(np.random.get_state()) != start  # noqa: NPY002
            backend.jax.random.jax_draw_seed = draw_seed
            state.set_global_attribute(NAMES, names)
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002


def built(build: Callable[[], Any]) -> Any:
    """The model of a user's function, refused if it is none that can be trained."""
    try:
        net = build()
    except jax.errors.ConcretizationTypeError as error:
        raise TypeError(f"build {_asked_for(error)}.") from error
    if not isinstance(net, keras.Model):
        raise TypeError(f"build must return a Keras model, got {shown(net)}.")
    return net


def _asked_for(error: BaseException) -> str:
    """What asked for the value of a traced strength, and what to do."""
    for frame, _ in walk_tb(error.__traceback__):
        layer = frame.f_locals.get("self")
        if isinstance(layer, keras.layers.Layer) and frame.f_code.co_name == "__init__":
            name = type(layer).__name__
            ours = hasattr(layers, name)
            cure = f"use jn.keras.{name}" if ours else "give it a number"
            if name.startswith("SpatialDropout"):
                ones = "1, " * int(name[-2])
                cure = f"use jn.keras.Dropout(rate, noise_shape=(None, {ones}None))"
            return (
                f"gives keras.layers.{name} a strength that is traced, so that one "
                f"program serves all strengths, and it asks for its value: {cure}"
            )
    return f"must be a function that JAX can trace; {CURE}"


def is_ready(net: Any) -> bool:
    """Whether no variables wait for the shape of the inputs."""
    return all(layer.built for layer in net._flatten_layers())


def ready(net: Any, x: Any) -> None:
    """Have the model make the variables that wait for the shape of its inputs."""
    if is_ready(net):
        return

    def like(leaf: Any) -> Any:
        dtype = keras.backend.standardize_dtype(leaf.dtype)
        return keras.KerasTensor(leaf.shape, dtype)

    backend.compute_output_spec(net, jax.tree.map(like, x), training=False)


def parts_of(net: Any) -> dict[str, list[Any]]:
    """Keras' variables by collection, in Keras' order; seeds are left out."""
    trained = net.trainable_variables
    of_these = set(map(id, trained))
    rest = [v for v in net.variables if id(v) not in of_these and not is_seed(v)]
    return {"params": trained, "state": rest}


class WithLosses(NamedTuple):
    """What a training pass gives where layers add losses, such as regularisers."""

    outputs: Any
    losses: Any

    @property
    def shape(self) -> Any:
        """That of the outputs."""
        return self.outputs.shape


class Network:
    """A Keras model behind the protocol; ``params`` and ``state`` are lists.

    Args:
        build: makes the model.
        losses: whether a training pass gives `WithLosses`, where there are any.
    """

    def __init__(self, build: Callable[[], Any], *, losses: bool = False) -> None:
        self.build, self.losses = build, losses
        with drawing_from(jax.random.key(0)):
            self.net = built(build)

    def __repr__(self) -> str:
        return f"jn.keras.model({name_of(self.build)})"

    def init(self, key: Array, x: Any) -> Variables:
        """Return fresh variables for inputs like ``x``, of the model's initialisers."""
        self._ready(x)
        with drawing_from(single_key(key)) as draws:
            net = built(self.build)
            ready(net, x)
        parts = parts_of(net)
        if _form(parts) != _form(parts_of(self.net)):
            raise ValueError(
                "build must return a model of the same architecture each time, got "
                f"{_form(parts_of(self.net))}, then {_form(parts)}."
            )
        if parts["params"] and (draws.by_numpy or not draws.by_keras):
            who = "NumPy draws" if draws.by_numpy else "build does not draw"
            warn(
                f"jn.keras: {who} the initial weights, so that all seeds share them; "
                "leave them to initializers of Keras, or draw them by keras.random"
            )
        return {name: [v.value for v in each] for name, each in parts.items()}

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None = None
    ) -> tuple[Any, Variables]:
        """Return outputs and variables; with ``train=False`` clean, and without key."""
        self._ready(x)
        parts = parts_of(self.net)
        mapping: list[tuple[Any, Any]] = []
        for name, each in parts.items():
            mapping += zip(each, variables[name], strict=True)
        if train:
            mapping += seeds_of(self.net, single_key(key))
        before = _python_state(self.net)
        scope = keras.StatelessScope(mapping, collect_losses=train)
        with fast_gradients(), scope:
            outputs = self.net(x, training=train)
            losses = self.net.losses if train and self.losses else ()
        if not train:
            return outputs, variables
        _check_python_state(before, _python_state(self.net))
        carried = [scope.get_current_value(v) for v in parts["state"]]
        outputs = WithLosses(outputs, sum(losses)) if losses else outputs
        return outputs, {**variables, "state": carried}

    def _ready(self, x: Any) -> None:
        with drawing_from(jax.random.key(0)):
            ready(self.net, x)


def _form(parts: dict[str, list[Any]]) -> str:
    """Shapes and types of a model's variables."""
    forms = [f"{v.dtype}{list(v.shape)}" for each in parts.values() for v in each]
    return " ".join(forms) or "no weights"


@contextmanager
def fast_gradients() -> Iterator[None]:
    """Keras' convolutions and poolings have gradients that are fast in loops on a CPU.

    They are derived by patches and by reshaping, where they have such forms.
    """
    nn = backend.nn
    with lock:
        plain = nn.conv, nn.max_pool
        nn.conv, nn.max_pool = partial(_conv, plain[0]), partial(_pool, plain[1])
        try:
            yield
        finally:
            nn.conv, nn.max_pool = plain


def _conv(
    plain: Any,
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Array:
    if not _is_last(data_format) or inputs.shape[-1] != kernel.shape[-2]:
        return plain(inputs, kernel, strides, padding, data_format, dilation_rate)
    kernel = backend.convert_to_tensor(kernel)
    rank = inputs.ndim - 2
    rows, window = (0, rank + 1, *range(1, rank + 1)), (rank + 1, rank)
    return conv_general_dilated(
        backend.convert_to_tensor(inputs, kernel.dtype),
        kernel,
        _of_axes(strides, rank),
        padding.upper(),
        lhs_dilation=(1,) * rank,
        rhs_dilation=_of_axes(dilation_rate, rank),
        dimension_numbers=jax.lax.ConvDimensionNumbers(
            rows, (*window, *range(rank)), rows
        ),
    )


def _pool(
    plain: Any,
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: Any = "valid",
    data_format: Any = None,
) -> Array:
    rank = inputs.ndim - 2
    sizes = _of_axes(pool_size, rank)
    apart = strides is None or _of_axes(strides, rank) == sizes
    if apart and padding == "valid" and _is_last(data_format):
        return max_pool(inputs, sizes)
    return plain(inputs, pool_size, strides, padding, data_format)


def _is_last(data_format: Any) -> bool:
    return backend.standardize_data_format(data_format) == "channels_last"


def _of_axes(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _python_state(net: Any) -> dict[tuple[str, str], Any]:
    """The attributes of the layers that are not Keras' own."""
    return {
        (layer.name, name): value
        for layer in net._flatten_layers()
        if not type(layer).__module__.startswith(("keras.", "jaxnoise."))
        for name, value in vars(layer).items()
        if not name.startswith("_")
    }


def _check_python_state(before: dict[Any, Any], after: dict[Any, Any]) -> None:
    """Refuse a layer that changes an attribute in its call, which is traced once."""
    for (layer, name), value in after.items():
        if name != "built" and before.get((layer, name)) is not value:
            raise ValueError(
                f"layer {layer!r} sets its attribute {name!r} when it is called, which "
                "a compiled run does but once: keep what changes in a weight, "
                "self.add_weight(..., trainable=False), and assign to that."
            )
