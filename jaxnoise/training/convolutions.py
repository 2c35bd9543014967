"""Convolutions that a CPU trains slowly: found in a sweep's programs, and told once."""

import re
from functools import cache
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.stages import Lowered

from jaxnoise.checks import warn

# A kernel's gradient sums over the rows, so that they are not the first axis, b.
GRADIENT = re.compile(r"stablehlo\.convolution.*dim_numbers = \[(?!b)")


def has_convolutions(jaxpr: Jaxpr) -> bool:
    """Whether there is a convolution at any depth."""
    return any(
        eqn.primitive.name == "conv_general_dilated"
        or any(map(has_convolutions, jaxprs_of(eqn.params)))
        for eqn in jaxpr.eqns
    )


def jaxprs_of(params: dict[str, Any]) -> list[Jaxpr]:
    """The bodies of a loop or the branches of a condition."""
    kinds = (ClosedJaxpr, Jaxpr)
    leaves = jax.tree.leaves(params, is_leaf=lambda node: isinstance(node, kinds))
    bodies = [leaf.jaxpr if isinstance(leaf, ClosedJaxpr) else leaf for leaf in leaves]
    return [body for body in bodies if isinstance(body, Jaxpr)]


def check_convolutions(lowered: Lowered) -> None:
    """Say once if a program for a CPU leaves gradients of convolutions to XLA.

    All of a sweep's training stands in loops, where these are slow. Values are not.
    """
    if jax.default_backend() == "cpu" and GRADIENT.search(lowered.as_text()):
        _say_what_to_use()


@cache
def _say_what_to_use() -> None:
    """Once a process."""
    warn(
        "the training loop has gradients of XLA convolutions, which are 5 to 100 times "
        "as slow on a CPU as need be; use jaxnoise.Conv in place of flax.linen.Conv."
    )
