"""Metrics and losses over sets of rows, by the clean pass.

`evaluate` gives the means over every row of some sets, `metric_names` their names;
`per_row` holds what a recipe's functions return to its contract.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxnoise.data import Data, row_count
from jaxnoise.losses import is_labels, shown_targets
from jaxnoise.training.calls import called
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
        totals = _sum_over_blocks(sums, data[name], EVALUATION_ROWS)
        for function, total in zip(functions, totals, strict=True):
            means[f"{name}_{function}"] = total / row_count(data[name])
    return means


def metric_names(sets: Iterable[str], functions: Iterable[str]) -> list[str]:
    """``<set>_<function>`` for all of them; refused if two would have one name."""
    sets, functions = list(sets), list(functions)
    names = [f"{name}_{function}" for name in sets for function in functions]
    best = ["epoch", *names] if "validation" in sets else []
    every = [*names, *(f"best_{name}" for name in best)]
    twice = sorted({name for name in every if every.count(name) > 1})
    if twice:
        raise ValueError(
            f"metrics must have names of their own, got {twice[0]!r} twice from sets "
            f"({', '.join(sets)}) and metrics ({', '.join(functions)}); rename one."
        )
    return names


def per_row(
    name: str, function: PerRow, outputs: Any, targets: Any
) -> Float[Array, " rows"]:
    """``function(outputs, targets)``, refused unless its shapes fit."""
    arrays = hasattr(outputs, "shape") and hasattr(targets, "shape")
    if arrays and getattr(function, "__module__", "") not in TELL_THEMSELVES:
        _check_shapes(name, outputs, targets)
    values = called(name, function, outputs, targets)
    rows = row_count(targets)
    if jnp.shape(values) != (rows,):
        raise ValueError(
            f"{name} must give one value a row, shape ({rows},), "
            f"got shape {jnp.shape(values)}; the engine averages."
        )
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


def _sum_over_blocks(
    function: Callable[[Any], list[Array]], tree: Any, size: int
) -> list[Array]:
    """``function`` of the rows, summed block by block; the last one may be smaller."""
    rows = row_count(tree)
    if rows <= size:
        return function(tree)
    size = -(-rows // -(-rows // size))  # blocks of like size: often no rest to compile
    full = rows // size
    head = jax.tree.map(
        lambda leaf: leaf[: full * size].reshape(full, size, *leaf.shape[1:]), tree
    )
    sums = [total.sum() for total in lax.map(function, head)]
    if rows % size:
        rest = function(jax.tree.map(lambda leaf: leaf[full * size :], tree))
        sums = [a + b for a, b in zip(sums, rest, strict=True)]
    return sums
