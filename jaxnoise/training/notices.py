"""What is told once: habits and slips that give numbers, but not those that are meant.

One rule and one message each: probabilities where logits are taken, convolutions that a
CPU trains slowly, and noise that never acts.
"""

import inspect
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, jaxprs_in_params

from jaxnoise.checks import warn
from jaxnoise.metrics import TAKE_LOGITS
from jaxnoise.results import RunResult
from jaxnoise.training.plan import Run

VALUES_KEPT = frozenset(
    "broadcast_in_dim convert_element_type copy reshape squeeze stop_gradient transpose"
    "".split()
)
warn_once = cache(warn)  # a message, in a process


def taker_of_logits(functions: Iterable[Callable[..., Any]]) -> Any:
    """The first loss or metric of ours that takes logits; None without."""
    unwrapped = (inspect.unwrap(f, stop=TAKE_LOGITS.__contains__) for f in functions)
    return next((function for function in unwrapped if function in TAKE_LOGITS), None)


def check_logits(taker: Any, outputs: Jaxpr) -> None:
    """Say so if logits are taken from a model that ends in a sigmoid or a softmax."""
    last, jaxpr = _origin(outputs, outputs.outvars[0])
    made = last.primitive.name if last else ""
    if made == "div":  # exp(z) / sum(exp(z))
        origins = [_origin(jaxpr, var)[0] for var in last.invars]
        made = " / ".join(eqn.primitive.name if eqn else "" for eqn in origins)
    word = {"logistic": "sigmoid", "exp / reduce_sum": "softmax"}.get(made)
    if word:
        name = f"jn{taker.__module__.removeprefix('jaxnoise')}.{taker.__name__}"
        warn_once(
            "model's outputs look like probabilities (its last operation is a "
            f"{word}), and {name} takes logits: leave the {word} out."
        )


def _origin(jaxpr: Jaxpr, var: Any) -> tuple[Any, Jaxpr]:
    """What computed the values of a variable, at any depth; None for an input."""
    made_by = {id(made): eqn for eqn in jaxpr.eqns for made in eqn.outvars}
    while eqn := made_by.get(id(var)):
        bodies = list(jaxprs_in_params(eqn.params))
        if len(bodies) == 1 and len(bodies[0].outvars) == len(eqn.outvars):
            at = [id(made) for made in eqn.outvars].index(id(var))
            return _origin(bodies[0], bodies[0].outvars[at])
        if eqn.primitive.name not in VALUES_KEPT:
            return eqn, jaxpr
        var = eqn.invars[0]
    return None, jaxpr


def check_convolutions(run: Jaxpr) -> None:
    """Say so if a CPU is to train by XLA's gradients of convolutions.

    All of a sweep's training stands in loops, where these are slow. Values are not.
    """
    if jax.default_backend() == "cpu" and _has_gradient_of_convolution(run):
        warn_once(
            "the training loop has gradients of XLA convolutions, which are 5 to 100 "
            "times as slow on a CPU as need be; use jaxnoise.Conv in place of "
            "flax.linen.Conv."
        )


def _has_gradient_of_convolution(jaxpr: Jaxpr) -> bool:
    """One sums over the rows, so that they are not its first axis."""

    def found(eqn: JaxprEqn) -> bool:
        if eqn.primitive.name == "conv_general_dilated":
            return eqn.params["dimension_numbers"].lhs_spec[0] != 0
        if eqn.params.get("branches_platforms"):  # ours, which know the platform
            return False
        return any(map(_has_gradient_of_convolution, jaxprs_in_params(eqn.params)))

    return any(map(found, jaxpr.eqns))


def check_noise_acts(
    runs: Sequence[Run], results: Mapping[int, RunResult], named: Container[str]
) -> None:
    """Say so, once, if the strengths of a placement change nothing at all.

    One of several may do nothing: 0, a limit that is never reached, a small rate. If
    none does anything, or two placements were given none, something was forgotten.

    Args:
        runs: of a whole sweep.
        results: by the number of the run.
        named: the placements that were given strengths.
    """
    cells: dict[str, dict[Any, list[Any]]] = {}  # the bits of the runs at a strength
    for i, run in enumerate(runs):
        strength = tuple(jax.tree.leaves(run.strength))
        levels = cells.setdefault(run.placement, {})
        levels.setdefault(strength, []).append(_bits(results[i]))
    for levels in cells.values():
        for strength in [s for s, bits in levels.items() if set(bits) == {None}]:
            del levels[strength]
    said = (_what_is_wrong(p, cells, named) for p, levels in cells.items() if levels)
    if first := next(filter(None, said), None):
        warn(first)


def _bits(result: RunResult) -> Any:
    """What tells a run from others, to the last bit; None for one that diverged."""
    measured = [*result.metrics.items(), *result.curves.items()]
    bits = hash(tuple((name, np.asarray(x).tobytes()) for name, x in measured))
    return bits if result.finite else None


def _what_is_wrong(placement: str, cells: Any, named: Container[str]) -> str | None:
    """The warning about a placement, if it takes one."""
    (strength, first), *rest = cells[placement].items()
    ask = "bit for bit: does its recipe use the strength?"
    if rest:
        if any(bits != first for _, bits in rest):
            return None
        return f"the runs of {placement!r} are the same at every strength, {ask}"
    silent = {p: bits for p in cells for s, bits in cells[p].items() if not any(s)}
    twins = [p for p, bits in silent.items() if p != placement and bits == first]
    if any(strength) and twins:
        return f"the runs of {placement!r} are those of {twins[0]!r}, {ask}"
    forgotten = [p for p in twins if p not in named and placement not in named]
    if forgotten:
        return (
            f"the runs of {placement!r} are those of {forgotten[0]!r}, bit for bit: "
            "strengths names neither, so that both ran at strength 0."
        )
    return None
