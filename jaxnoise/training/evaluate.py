"""Metrics and losses over sets of rows, by the clean pass.

`evaluate` gives the means over every row of some sets; `per_row` holds what a recipe's
functions return to its contract. `all_outputs` are for metrics of whole sets, which
`with_set_metrics` computes on the host.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxnoise.data import Data, row_count
from jaxnoise.losses import check_shapes
from jaxnoise.model import called, kind_of, shape_of
from jaxnoise.results import RunResult
from jaxnoise.training.recipe import PerRow

TELL_THEMSELVES = (  # which targets they take
    "jaxnoise.losses",
    "jaxnoise.metrics",
    "jaxnoise.keras.compiled",
)
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
        outputs, values = outputs_of(x), []
        for name, function in functions.items():
            argument = name if name == "loss" else f"metrics[{name!r}]"
            values.append(per_row(argument, function, outputs, y))
        # half floats would overflow, or stop counting
        wide = [jnp.promote_types(v.dtype, jnp.float32) for v in values]
        return [v.sum(dtype=dtype) for v, dtype in zip(values, wide, strict=True)]

    means = OrderedDict()
    for name in sets:
        totals = _by_blocks(sums, data[name], jnp.sum, jnp.add)
        for function, total in zip(functions, totals, strict=True):
            means[f"{name}_{function}"] = total / row_count(data[name])
    return means


def row_values(
    functions: Mapping[str, PerRow],
    outputs_of: Callable[[Any], Any],
    data: Mapping[str, Any],
) -> OrderedDict[str, Array]:
    """Those whose means `evaluate` gives, row by row, but of the rows of training."""

    def values(rows: Any) -> dict[str, Array]:
        x, y = rows
        outputs = outputs_of(x)
        return {name: per_row(name, f, outputs, y) for name, f in functions.items()}

    return OrderedDict(
        (f"{name}_{function}", each)
        for name in data
        if name != "train"
        for function, each in _by_blocks(
            values, data[name], _unstacked, _appended
        ).items()
    )


def all_outputs(outputs_of: Callable[[Any], Any], data: Data) -> OrderedDict[str, Any]:
    """The outputs of every row, by set."""
    return OrderedDict(
        (name, _by_blocks(outputs_of, x, _unstacked, _appended))
        for name, (x, _) in data.items()
    )


def _unstacked(blocks: Array) -> Array:
    return blocks.reshape(-1, *blocks.shape[2:])


def _appended(rows: Array, rest: Array) -> Array:
    return jnp.concatenate([rows, rest])


def _by_blocks(
    function: Callable[[Any], Any],
    tree: Any,
    join: Callable[[Array], Array],
    add: Callable[[Array, Array], Array],
) -> Any:
    """``function`` of the rows, a block at a time, which bounds memory.

    Args:
        function: of rows, gives a pytree.
        tree: the rows.
        join: of a leaf of all blocks, stacked.
        add: of what was joined and a leaf of the last, smaller block.
    """
    rows = row_count(tree)
    if rows <= EVALUATION_ROWS:
        return function(tree)
    # Of like size: often no rest to compile.
    size = -(-rows // -(-rows // EVALUATION_ROWS))
    full = rows - rows % size
    blocks = jax.tree.map(
        lambda leaf: leaf[:full].reshape(-1, size, *leaf.shape[1:]), tree
    )
    result = jax.tree.map(join, lax.map(function, blocks))
    if rows % size:
        rest = function(jax.tree.map(lambda leaf: leaf[full:], tree))
        result = jax.tree.map(add, result, rest)
    return result


def with_set_metrics(
    result: RunResult, functions: Mapping[str, Callable[..., float]], data: Data
) -> RunResult:
    """The run with metrics of whole sets in the place of its outputs."""
    metrics: OrderedDict[str, Any] = OrderedDict(result.metrics)
    for set_name, outputs in (result.outputs or {}).items():
        for name, function in functions.items():
            value, argument = np.nan, f"set_metrics[{name!r}]"
            if result.finite:
                value = called(argument, function, data[set_name][1], outputs)
            if not (isinstance(value, Real) or getattr(value, "shape", None) == ()):
                raise TypeError(
                    f"{argument} must return a number, got {kind_of(value)}."
                )
            metrics[f"{set_name}_{name}"] = value
    return result._replace(metrics=metrics, outputs=None)


def check_names(sets: Collection[str], functions: Collection[str]) -> None:
    """Refuse metrics of which two would have one name, ``<set>_<function>``."""
    names = [f"{name}_{function}" for name in sets for function in functions]
    if "validation" in sets:
        names += [f"best_{name}" for name in ("epoch", *names)]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(
            f"metrics must have names of their own, got {twice[0]!r} twice from sets "
            f"({', '.join(sets)}) and metrics ({', '.join(functions)}); rename one."
        )


def per_row(
    name: str, function: PerRow, outputs: Any, targets: Any
) -> Float[Array, " rows"]:
    """``function(outputs, targets)``, refused unless its shapes fit."""
    ours = getattr(function, "__module__", "") in TELL_THEMSELVES
    if ours and not hasattr(outputs, "shape"):
        got = kind_of(outputs)
        raise TypeError(f"model must return one array for {name}, got {got}.")
    if hasattr(outputs, "shape") and hasattr(targets, "shape") and not ours:
        check_shapes(name, outputs, targets)  # that would broadcast in silence
    values = called(name, function, outputs, targets)
    rows = row_count(targets)
    if getattr(values, "shape", None) != (rows,):
        raise ValueError(
            f"{name} must give one value a row, shape ({rows},), "
            f"got {shape_of(values)}; the engine averages."
        )
    if jnp.issubdtype(values.dtype, jnp.complexfloating):
        raise TypeError(f"{name} must give real values, got {values.dtype}.")
    return values
