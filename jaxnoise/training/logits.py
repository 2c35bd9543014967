"""Probabilities where logits are taken: found in a model's outputs, and told once."""

import inspect
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from jax.extend.core import Jaxpr, JaxprEqn

from jaxnoise.checks import warn
from jaxnoise.metrics import TAKE_LOGITS
from jaxnoise.training.convolutions import jaxprs_of

VALUES_KEPT = frozenset(
    "broadcast_in_dim convert_element_type copy reshape squeeze stop_gradient transpose"
    "".split()
)


def takers_of_logits(functions: Iterable[Callable[..., Any]]) -> list[Any]:
    """The losses and metrics of ours that take logits."""
    unwrapped = (inspect.unwrap(f, stop=TAKE_LOGITS.__contains__) for f in functions)
    return [function for function in unwrapped if function in TAKE_LOGITS]


def check_logits(taker: Callable[..., Any], jaxpr: Jaxpr) -> None:
    """Say so if a function that takes logits gets those of a sigmoid or softmax.

    Args:
        taker: a loss or metric of ours.
        jaxpr: of the outputs.
    """
    if operation := squashing(jaxpr):
        _say_what_to_leave_out(taker, operation)


def squashing(jaxpr: Jaxpr) -> str | None:
    """The last operation if it is a "sigmoid" or a "softmax", else None."""
    found = _origin(jaxpr, jaxpr.outvars[0])
    if found is None:
        return None
    eqn, jaxpr = found
    if eqn.primitive.name == "logistic":
        return "sigmoid"
    if eqn.primitive.name == "div":
        names = [_name(_origin(jaxpr, var)) for var in eqn.invars]
        return "softmax" if names == ["exp", "reduce_sum"] else None
    return None


def _origin(jaxpr: Jaxpr, var: Any) -> tuple[JaxprEqn, Jaxpr] | None:
    """What computed the values of a variable, at any depth; None for an input."""
    made_by = {id(made): eqn for eqn in jaxpr.eqns for made in eqn.outvars}
    while eqn := made_by.get(id(var)):
        bodies = jaxprs_of(eqn.params)
        if len(bodies) == 1 and len(bodies[0].outvars) == len(eqn.outvars):
            at = [id(made) for made in eqn.outvars].index(id(var))
            return _origin(bodies[0], bodies[0].outvars[at])
        if eqn.primitive.name not in VALUES_KEPT:
            return eqn, jaxpr
        var = eqn.invars[0]
    return None


def _name(found: tuple[JaxprEqn, Jaxpr] | None) -> str:
    return found[0].primitive.name if found else ""


@cache
def _say_what_to_leave_out(function: Callable[..., Any], operation: str) -> None:
    """Once a process."""
    name = f"jn{function.__module__.removeprefix('jaxnoise')}.{function.__name__}"
    warn(
        "model's outputs look like probabilities (its last operation is a "
        f"{operation}), and {name} takes logits: leave the {operation} out."
    )
