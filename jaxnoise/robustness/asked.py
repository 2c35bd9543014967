"""The models that are asked, and how: functions, or trained networks.

`Asked` is a model as all of this room takes it: a pure function of its variables and
rows, which programs are compiled for once, whatever the variables. `by_devices` runs
such programs: the devices share the runs or points, which changes no number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from jaxnoise.checks import as_array, check_callable, shown
from jaxnoise.model import CURE, as_model, probabilities_by

AXIS = "asked"
EXPECTED = "a function x -> logits, or a trained model such as jaxnoise.refit returns"


@dataclass(frozen=True)
class Asked:
    """A model to be asked.

    Attributes:
        apply: ``(variables, x) -> logits``, the clean pass; hashable.
        variables: of the model; None for a function.
    """

    apply: Callable[[Any, Any], Any]
    variables: Any

    def __call__(self, x: Any) -> Any:
        """The logits of rows ``x``."""
        return self.apply(self.variables, x)


@dataclass(frozen=True)
class _Function:
    """A user's function as one of variables and rows."""

    function: Callable[[Any], Any]

    def __call__(self, _: Any, x: Any) -> Any:
        return self.function(x)


class Trained(NamedTuple):
    """A model of a recipe with variables."""

    model: Any
    variables: Any


@dataclass(frozen=True)
class _Clean:
    """The clean pass of a model of the protocol."""

    model: Any

    def __call__(self, variables: Any, x: Any) -> Any:
        return as_model(self.model).apply(variables, x, train=False, key=None)[0]


def as_asked(model: Any) -> Asked:
    """A function, or what has a model and its variables, as an `Asked`."""
    if hasattr(model, "model") and hasattr(model, "variables"):
        return Asked(_Clean(model.model), model.variables)
    check_callable("model", model, EXPECTED)
    if hasattr(model, "predict"):  # an estimator, or a Keras model
        raise TypeError(f"model must be {EXPECTED}, got {shown(model)}.")
    return Asked(_Function(model), None)


def as_points(name: str, x: Any) -> Float[Array, " points *axes"]:
    """Rows to be asked about, finite floats."""
    x = as_array(name, x)
    if not x.ndim or not len(x):
        raise ValueError(f"{name} must have at least one row, got shape {x.shape}.")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name} must be floats, got {x.dtype}; cast it to float32.")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity.")
    return x


def classes_of(asked: Asked, x: Array) -> int:
    """The number of classes that logits tell apart; refused where they are none."""
    _check_traced(asked, x)
    logits = as_array("the model's logits", asked(x))
    if logits.shape[:1] != x.shape[:1] or logits.ndim > 2:
        raise ValueError(
            "model must return logits of shape (rows, classes), or (rows, 1) for two "
            f"classes, got {logits.shape} for {len(x)} rows."
        )
    if not np.isfinite(logits).all():
        raise ValueError("model must return finite logits, got NaN or infinity.")
    return max(2, *logits.shape[1:])


def _check_traced(asked: Asked, x: Array) -> None:
    """Refuse what JAX cannot trace, and what ends in probabilities."""
    try:
        program = jax.jit(asked.apply).trace(asked.variables, x)
    except (
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
    ) as error:
        raise TypeError(
            "model must be a function that JAX can trace, got one that asks for an "
            f"array's values; {CURE}."
        ) from error
    if word := probabilities_by(program.jaxpr.jaxpr):
        raise ValueError(
            f"model must return logits, got probabilities: leave its {word} out."
        )


def decided(logits: Float[Array, " rows *classes"]) -> Int[Array, " rows"]:
    """The class of each row; -1, which is none, where a logit is NaN."""
    if logits.ndim == 1 or logits.shape[1] == 1:
        z = logits.reshape(-1)
        return jnp.where(jnp.isnan(z), -1, (z > 0).astype(jnp.int32))
    undefined = jnp.isnan(logits).any(axis=1)
    return jnp.where(undefined, -1, logits.argmax(axis=1).astype(jnp.int32))


def by_devices(function: Callable[[Any, Any], Any], whole: Any, mapped: Any) -> Any:
    """``function(whole, mapped)`` on the host, whose leading axes devices share.

    Args:
        function: pure, and hashable: equal ones share a compiled program.
        whole: what every device gets as it is.
        mapped: a pytree of arrays with the axis that is shared; as is what comes out.
    """
    count = len(jax.tree.leaves(mapped)[0])
    devices = jax.local_devices()[:count]
    places = np.arange(count + -count % len(devices)) % count
    shared = jax.tree.map(lambda leaf: leaf[places], mapped)
    found = _program(function, tuple(devices))(whole, shared)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], found)


@lru_cache(maxsize=128)
def _program(function: Callable[[Any, Any], Any], devices: tuple[Any, ...]) -> Any:
    mesh, own = Mesh(np.array(devices), (AXIS,)), PartitionSpec(AXIS)
    specs = PartitionSpec(), own
    return jax.jit(
        jax.shard_map(
            function, mesh=mesh, in_specs=specs, out_specs=own, check_vma=False
        )
    )
