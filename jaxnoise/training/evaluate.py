"""Metrics and losses over sets of rows, by the clean pass.

`evaluate` gives the means over every row of some sets, `metric_names` their names;
`per_row` holds what a recipe's functions return to its contract. `all_outputs` are for
metrics of whole sets, which `with_set_metrics` computes on the host.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxnoise.data import Data, row_count
from jaxnoise.losses import is_labels, shown_targets
from jaxnoise.model import called, kind_of, shape_of
from jaxnoise.results import RunResult
from jaxnoise.training.recipe import PerRow

TELL_THEMSELVES = ("jaxnoise.losses", "jaxnoise.metrics")  # which targets they take
EVALUATION_ROWS = 1024  # rows of one evaluation block: bounds memory, fits the caches


def evaluate(
    outputs_of: Callable[[Any], Any],
    functions: Mapping[str, PerRow],
    data: Data,
    sets: Iterable[str],
) -> OrderedDict[str, Array]:
    """Means of ``function(outputs_of(x), y)``, by ``<set>_<function>``."""

    def sums(rows: Any) -> list[Array]:
        x, y = rows
        outputs = outputs_of(x)
        values = [per_row(n, f, outputs, y) for n, f in functions.items()]
        # half floats would overflow, or stop counting
        wide = [jnp.promote_types(v.dtype, jnp.float32) for v in values]
        return [v.sum(dtype=dtype) for v, dtype in zip(values, wide, strict=True)]

    means = OrderedDict()
    for name in sets:
        totals = _sum_over_blocks(sums, data[name])
        for function, total in zip(functions, totals, strict=True):
            means[f"{name}_{function}"] = total / row_count(data[name])
    return means


def all_outputs(outputs_of: Callable[[Any], Any], data: Data) -> OrderedDict[str, Any]:
    """The outputs of every row, by set."""

    def of_rows(x: Any) -> Any:
        if row_count(x) <= EVALUATION_ROWS:
            return outputs_of(x)
        blocks, rest = _blocks(x)
        outputs = jax.tree.map(
            lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), lax.map(outputs_of, blocks)
        )
        if rest is None:
            return outputs
        return jax.tree.map(lambda *t: jnp.concatenate(t), outputs, outputs_of(rest))

    return OrderedDict((name, of_rows(x)) for name, (x, _) in data.items())


def with_set_metrics(
    result: RunResult, functions: Mapping[str, Callable[..., float]], data: Data
) -> RunResult:
    """The run with metrics of whole sets in the place of its outputs."""
    if not functions:
        return result
    metrics: OrderedDict[str, Any] = OrderedDict(result.metrics)
    for set_name, outputs in result.outputs.items():
        targets = data[set_name][1]
        for name, function in functions.items():
            value = np.nan
            if result.finite:
                value = _of_set(name, set_name, function, targets, outputs)
            metrics[f"{set_name}_{name}"] = np.float64(value)
    return result._replace(metrics=metrics, outputs=None)


def _of_set(
    name: str, set_name: str, function: Callable[..., Any], targets: Any, outputs: Any
) -> float:
    """The number that a metric gives of a set."""
    argument = f"set_metrics[{name!r}]"
    try:
        value = function(targets, outputs)
    except Exception as error:
        raise ValueError(
            f"{argument} failed on the set {set_name!r}, for targets of "
            f"{shape_of(targets)} and outputs of {shape_of(outputs)}: {error}"
        ) from error
    if not (isinstance(value, Real) or getattr(value, "shape", None) == ()):
        raise TypeError(f"{argument} must return a number, got {kind_of(value)}.")
    return float(value)


def metric_names(
    sets: Iterable[str], functions: Iterable[str], of_sets: Iterable[str]
) -> list[str]:
    """``<set>_<function>`` for all of them; refused if two would have one name.

    Args:
        sets: names of the sets.
        functions: names of metrics of rows, which are measured at the best epoch, too.
        of_sets: names of metrics of whole sets.
    """
    sets, functions, of_sets = list(sets), list(functions), list(of_sets)
    names = [f"{name}_{function}" for name in sets for function in functions]
    best = ["epoch", *names] if "validation" in sets else []
    every = [*names, *(f"best_{name}" for name in best)]
    every += [f"{name}_{function}" for name in sets for function in of_sets]
    twice = sorted({name for name in every if every.count(name) > 1})
    if twice:
        raise ValueError(
            f"metrics must have names of their own, got {twice[0]!r} twice from sets "
            f"({', '.join(sets)}) and metrics ({', '.join([*functions, *of_sets])}); "
            "rename one."
        )
    return names


def per_row(
    name: str, function: PerRow, outputs: Any, targets: Any
) -> Float[Array, " rows"]:
    """``function(outputs, targets)``, refused unless its shapes fit."""
    ours = getattr(function, "__module__", "") in TELL_THEMSELVES
    if ours and not hasattr(outputs, "shape"):
        got = kind_of(outputs)
        raise TypeError(f"model must return one array for {name}, got {got}.")
    if hasattr(outputs, "shape") and hasattr(targets, "shape") and not ours:
        _check_shapes(name, outputs, targets)
    try:
        values = called(name, function, outputs, targets)
    except (TypeError, AttributeError) as error:
        if hasattr(outputs, "shape"):
            raise
        raise TypeError(
            f"{name} must take the model's outputs, {kind_of(outputs)}: {error}"
        ) from error
    rows = row_count(targets)
    if getattr(values, "shape", None) != (rows,):
        raise ValueError(
            f"{name} must give one value a row, shape ({rows},), "
            f"got {shape_of(values)}; the engine averages."
        )
    if jnp.issubdtype(values.dtype, jnp.complexfloating):
        raise TypeError(f"{name} must give real values, got {values.dtype}.")
    return values


def _check_shapes(name: str, outputs: Array, targets: Array) -> None:
    """Refuse what would broadcast in silence in somebody's own function."""
    if targets.shape != outputs.shape and not is_labels(outputs, targets):
        several = outputs.ndim > 0 and outputs.shape[-1] > 1
        labels = f"or integer class labels of shape {outputs.shape[:-1]}, "
        raise ValueError(
            f"{name}: targets must have the shape of the outputs, {outputs.shape}, "
            f"{labels if several else ''}got {shown_targets(outputs, targets)}."
        )


def _sum_over_blocks(function: Callable[[Any], list[Array]], tree: Any) -> list[Array]:
    """``function`` of the rows, summed block by block."""
    if row_count(tree) <= EVALUATION_ROWS:
        return function(tree)
    blocks, rest = _blocks(tree)
    sums = [total.sum() for total in lax.map(function, blocks)]
    if rest is None:
        return sums
    return [a + b for a, b in zip(sums, function(rest), strict=True)]


def _blocks(tree: Any) -> tuple[Any, Any]:
    """Whole blocks of rows on a first axis, and the rows left over, or None."""
    rows = row_count(tree)
    # Of like size: often no rest to compile.
    size = -(-rows // -(-rows // EVALUATION_ROWS))
    full = rows // size
    blocks = jax.tree.map(
        lambda leaf: leaf[: full * size].reshape(full, size, *leaf.shape[1:]), tree
    )
    rest = jax.tree.map(lambda leaf: leaf[full * size :], tree)
    return blocks, rest if rows % size else None
