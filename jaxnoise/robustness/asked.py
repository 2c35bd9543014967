"""The models that are asked, and how: functions, or trained networks.

`Asked` is a model as all of this room takes it: a pure function of its variables and
rows, which programs are compiled for once, whatever the variables. `by_devices` runs
such programs: the devices share the runs or points, which changes no number.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from jaxnoise.checks import as_array, check_callable, shown
from jaxnoise.data import Data
from jaxnoise.evidence.compare import Comparison, compare
from jaxnoise.metrics import is_binary
from jaxnoise.model import CURE, as_model, probabilities_by
from jaxnoise.models.sites import Network
from jaxnoise.results import SweepResult, planned_runs

AT_ONCE = 1024  # rows, which bounds memory
AXIS = "asked"
SETS = ("population", "test")
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
    if isinstance(model, Asked):
        return model
    if hasattr(model, "model") and hasattr(model, "variables"):
        return Asked(_Clean(_quiet(model.model)), model.variables)
    check_callable("model", model, EXPECTED)
    if hasattr(model, "predict"):  # an estimator, or a Keras model
        raise TypeError(f"model must be {EXPECTED}, got {shown(model)}.")
    return Asked(_Function(model), None)


def _quiet(model: Any) -> Any:
    """A network of ours without noise: one for all places and strengths of it."""
    if not isinstance(model, Network):
        return model
    off: Any = dict.fromkeys(noise_fields(model))
    return model.clone(**off)


def noise_fields(model: Network) -> list[str]:
    """The fields that hold noise."""
    return [f for f in type(model).__dataclass_fields__ if f.endswith("_noise")]


class AskedRun(NamedTuple):
    """A run of a sweep, or a model by name.

    Attributes:
        columns: placement, strength, seed and split.
        asked: its trained model.
        recipe: of the run; None for a model by name.
    """

    columns: dict[str, Any]
    asked: Asked
    recipe: Any


def runs_of(source: Any) -> list[AskedRun]:
    """The runs of a sweep that kept their variables, or models by name."""
    if isinstance(source, SweepResult):
        return list(_of_sweep(source))
    if isinstance(source, Mapping) and source:
        return [
            AskedRun(
                {"placement": name, "strength": 0.0, "seed": 0, "split": 0},
                as_asked(model),
                None,
            )
            for name, model in source.items()
        ]
    raise TypeError(
        "result_or_models must be a SweepResult with keep_params=True, or map "
        f"names to models, each {EXPECTED}; got {shown(source)}."
    )


def _of_sweep(result: SweepResult) -> Iterator[AskedRun]:
    if result.origin is None or all(each is None for each in result.variables):
        raise ValueError(
            "result_or_models must be a result with keep_params=True, as a sweep of "
            "this process returned it; give trained models by name instead."
        )
    made: dict[Any, Any] = {}
    kept = zip(planned_runs(result), result.variables, strict=True)
    for run, variables in ((run, v) for run, v in kept if v is not None):
        cell = run.placement, repr(run.strength)
        if cell not in made:
            made[cell] = result.origin.recipes[run.placement](run.strength)
        asked = as_asked(Trained(made[cell].model, variables))
        yield AskedRun(run.columns(), asked, made[cell])


def compared(
    source: Any, runs: pd.DataFrame, metrics: Sequence[str], baseline: str
) -> Comparison | None:
    """The runs of a sweep against those of the baseline; None where there is none."""
    there = set(runs["placement"])
    if not isinstance(source, SweepResult) or baseline not in there or len(there) < 2:
        return None
    runs.attrs = {**source.runs.attrs}
    return compare(runs, metric=list(metrics), baseline=baseline)


def rows_of(data: Any) -> Any:
    """The rows that are scored, as arrays."""
    if isinstance(data, Data):
        name = next((name for name in SETS if name in data), None)
        if name is None:
            raise ValueError(
                f"data must have a set 'population' or 'test', got {', '.join(data)}; "
                "give a pair, such as data.validation."
            )
        data = data[name]
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise TypeError(f"data must be a jn.Data or a pair (x, y), got {shown(data)}.")
    x, y = jax.tree.map(jnp.asarray, tuple(data))
    return x, y.astype(jnp.int32) if y.dtype == bool else y


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
    if is_binary(logits):
        z = logits.reshape(-1)
        return jnp.where(jnp.isnan(z), -1, (z > 0).astype(jnp.int32))
    undefined = jnp.isnan(logits).any(axis=1)
    return jnp.where(undefined, -1, logits.argmax(axis=1).astype(jnp.int32))


@dataclass(frozen=True)
class Outputs:
    """The clean outputs of runs for rows, of which so many are asked at once."""

    apply: Callable[[Any, Any], Any]

    def __call__(self, x: Any, runs: Any) -> Any:
        """Of each run the outputs for all rows."""

        def of_run(run: Any) -> Any:
            def of_row(row: Any) -> Any:
                alone = jax.tree.map(lambda leaf: leaf[None], row)
                return self.apply(run[1], alone)[0]

            return lax.map(of_row, x, batch_size=AT_ONCE)

        return lax.map(of_run, runs)


def by_programs(
    programs: Sequence[Callable[[Any, Any], Any]], whole: Any, runs: Sequence[AskedRun]
) -> list[Any]:
    """What each run's program makes of ``whole`` and ``(places, variables)``.

    Runs of equal programs go together; places count them.
    """
    groups: dict[Any, list[int]] = {}
    for i, program in enumerate(programs):
        groups.setdefault(program, []).append(i)
    found: list[Any] = [None] * len(runs)
    for program, members in groups.items():
        given = [runs[i].asked.variables for i in members]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *given)
        parts = by_devices(program, whole, (np.arange(len(members)), stacked))
        for place, i in enumerate(members):
            found[i] = jax.tree.map(lambda leaf, at=place: leaf[at], parts)
    return found


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
