"""A Keras model behind the protocol of models: built from a key, called purely.

`drawing_from` has all that is drawn in a user's function come from a key.
`Network.init` builds from the run's key; `Network.apply` calls the model in a scope
that holds the variables and, in training, the seeds that the step's key makes.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from traceback import walk_tb
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from jaxnoise.checks import name_of, shown, single_key, warn
from jaxnoise.keras.fast import fast_gradients, lock
from jaxnoise.model import CURE, Variables
from jaxnoise.noise import keras as layers
from jaxnoise.noise.keras import is_seed, keras, seeds_of

backend = keras.src.backend
state = backend.common.global_state
NAMES = "object_name_uids"  # Keras' counters of them


@dataclass
class Draws:
    """What was drawn while a model was built."""

    by_keras: int = 0
    by_numpy: bool = False


@contextmanager
def drawing_from(key: Array, seed: Any = 0) -> Iterator[Draws]:
    """All that Keras draws comes from the key, and its names are counted anew.

    Draws are numbered: a weight depends on its place among the weights alone. What
    Python and NumPy draw comes from the seed.
    """
    draws, draw_seed = Draws(), backend.jax.random.jax_draw_seed
    names = state.get_global_attribute(NAMES)
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002

    def of_key(seed: Any) -> Array:
        draws.by_keras += 1
        return jax.random.key_data(jax.random.fold_in(key, draws.by_keras))

    with lock:
        random.seed(repr(seed))
        np.random.seed(seed)  # noqa: NPY002
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


def _computed(work: Callable[[], Any], traced: Exception) -> Any:
    """What work returns without tracing, which failed: of an initialiser's values."""
    state.set_global_attribute("uninitialized_variables", [])  # left by what failed
    try:
        with jax.ensure_compile_time_eval():
            return work()
    except Exception as error:
        if not _is_of_tracing(error):
            raise
        raise TypeError(f"build {_asked_for(traced)}.") from traced


def _is_of_tracing(error: Exception) -> bool:
    """Whether a value was asked for that is traced, or Keras refused it as such."""
    asked = jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError
    return isinstance(error, asked) or "Tracer" in str(error)


def _asked_for(error: BaseException) -> str:
    """What asked for the value of a traced strength, and what to do."""
    kinds = keras.layers.Layer, keras.regularizers.Regularizer, keras.Optimizer
    for frame, _ in walk_tb(error.__traceback__):
        asking = frame.f_locals.get("self")
        if isinstance(asking, kinds) and frame.f_code.co_name == "__init__":
            name = type(asking).__name__
            return (
                f"gives Keras' {name} a strength that is traced, so that one program "
                f"serves all strengths, and it asks for its value: {_cure(asking)}"
            )
    return f"must be a function that JAX can trace; {CURE}"


def _cure(asking: Any) -> str:
    name = type(asking).__name__
    if isinstance(asking, keras.Optimizer):
        return "give it a function, such as learning_rate=lambda: strength"
    if isinstance(asking, keras.regularizers.Regularizer):
        return "write it as lambda weights: strength * keras.ops.sum(weights**2)"
    if name.startswith("SpatialDropout"):
        ones = "1, " * int(name[-2])
        return f"use jn.keras.Dropout(rate, noise_shape=(None, {ones}None))"
    return f"use jn.keras.{name}" if hasattr(layers, name) else "give it a number"


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


class Host:
    """Initial weights that the host computes.

    A sweep has them computed before its runs: a program that waits for what JAX is to
    compute may keep it from doing so.

    Args:
        build: makes a model that has them.
        fresh: makes them.
        arguments: how many both take, the strength or none.
    """

    def __init__(
        self,
        build: Callable[..., Any],
        fresh: Callable[..., Variables],
        arguments: int,
    ) -> None:
        self.build, self.fresh, self.arguments = build, fresh, arguments
        self.known: dict[bytes, Variables] = {}

    def prepare(self, runs: Iterable[tuple[Array, Any]]) -> None:
        """Compute those of these keys and strengths, and forget others."""
        before, self.known = self.known, {}
        for key, strength in runs:
            taken = jax.tree.map(np.float32, [strength][: self.arguments])
            given = jax.random.key_data(key), *taken
            name = _bytes(given)
            self.known[name] = before.get(name) or self.compute(*given)

    def weights(self, *given: Any) -> Variables:
        """Those of a key's words and a strength, for a program that runs."""
        return self.known.get(_bytes(given)) or self.compute(*given)

    def compute(self, words: Any, *strength: Any) -> Variables:
        """The same, anew."""
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        with drawing_from(key, np.asarray(words)):
            return jax.tree.map(np.asarray, self.fresh(*strength))


def _bytes(given: Any) -> bytes:
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(given))


class Network:
    """A Keras model behind the protocol; ``params`` and ``state`` are lists.

    Args:
        build: makes the model of a strength, if one is given.
        losses: whether a training pass gives `WithLosses`, where there are any.
    """

    def __init__(
        self, build: Callable[..., Any], *strength: Any, losses: bool = False
    ) -> None:
        self.build, self.strength, self.losses = build, strength, losses
        self.on_host = False
        self.host_weights: Host | None = None
        self.net = self._traced(lambda: self.build(*strength))
        if not isinstance(self.net, keras.Model):
            raise TypeError(f"build must return a Keras model, got {shown(self.net)}.")

    def __repr__(self) -> str:
        return f"jn.keras.model({name_of(self.build)})"

    def init(self, key: Array, x: Any) -> Variables:
        """Return fresh variables for inputs like ``x``, of the model's initialisers."""
        self._ready(x)
        if self.on_host:
            return self._of_host(single_key(key), x)
        with drawing_from(single_key(key)) as draws:
            variables = self._fresh(x, *self.strength)
        if variables["params"] and not draws.by_keras:
            warn(
                "jn.keras: build does not draw the initial weights, so that all seeds "
                "share them; leave them to initializers"
            )
        return variables

    def _of_host(self, key: Array, x: Any) -> Variables:
        """Fresh variables of initialisers that draw what cannot be traced."""
        warn(
            "jn.keras: build draws initial weights by NumPy or asks for their values, "
            "so that the host computes them before a run, a seed's own; those of "
            "keras.random are drawn in the compiled run"
        )
        like = jax.eval_shape(lambda: x)
        self.host_weights = Host(
            self.build, partial(self._fresh, like), len(self.strength)
        )
        parts = parts_of(self.net)
        shapes = {
            name: [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in each]
            for name, each in parts.items()
        }
        words = jax.random.key_data(key)
        return jax.pure_callback(
            self.host_weights.weights,
            shapes,
            words,
            *self.strength,
            vmap_method="sequential",
        )

    def _fresh(self, x: Any, *strength: Any) -> Variables:
        """The variables of a new model."""
        net = self.build(*strength)
        ready(net, x)
        parts, form = parts_of(net), _form(parts_of(self.net))
        if _form(parts) != form:
            raise ValueError(
                "build must return a model of the same architecture each time, got "
                f"{form}, then {_form(parts)}."
            )
        return {name: [v.value for v in each] for name, each in parts.items()}

    def _traced(self, work: Callable[[], Any]) -> Any:
        """What work returns, which makes a model, computed where it is not traced."""
        with jax.ensure_compile_time_eval():
            key = jax.random.key(0)
        with drawing_from(key) as draws:
            try:
                made = work()
            except Exception as error:
                if not _is_of_tracing(error):
                    raise
                made, self.on_host = _computed(work, error), True
        self.on_host |= draws.by_numpy
        return made

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
        self._traced(lambda: ready(self.net, x))


def _form(parts: dict[str, list[Any]]) -> str:
    """Shapes and types of a model's variables."""
    forms = [f"{v.dtype}{list(v.shape)}" for each in parts.values() for v in each]
    return " ".join(forms) or "no weights"


@lru_cache
def _of_keras() -> set[str]:
    """The attributes that every model of Keras has."""
    with drawing_from(jax.random.key(0)):
        return {*vars(keras.Model())}


def _python_state(net: Any) -> dict[tuple[str, str], Any]:
    """The attributes of the layers that are not Keras' own, containers item by item."""
    return {
        (layer.name, name): _items(value)
        for layer in net._flatten_layers()
        if not type(layer).__module__.startswith(("keras.", "jaxnoise."))
        for name, value in vars(layer).items()
        if name not in _of_keras()
    }


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value, *value, *value.values()]
    return [value, *value] if isinstance(value, list | set) else [value]


def _check_python_state(before: dict[Any, Any], after: dict[Any, Any]) -> None:
    """Refuse a layer that changes an attribute in its call, which is traced once."""
    for (layer, name), items in after.items():
        if [*map(id, items)] != [*map(id, before.get((layer, name), ()))]:
            raise ValueError(
                f"layer {layer!r} changes its attribute {name!r} when it is called, "
                "which a compiled run does but once: keep what changes in a weight, "
                "self.add_weight(..., trainable=False), and assign to that."
            )
