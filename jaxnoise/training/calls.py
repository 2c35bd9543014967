"""A recipe and its functions, called while tracing: what cannot be traced is told."""

from collections.abc import Callable
from typing import Any

import jax

RECIPE = "a function strength -> Recipe, such as lambda stddev: jn.Recipe(...)"
CURES = {  # where the general advice is not enough
    "recipe": (
        "make no Python choice by the strength, which is traced so that one program "
        "serves all strengths: a network that differs is a placement of its own"
    ),
}
CURE = "compute with jax.numpy, in place of NumPy, scikit-learn, if and float()"


def called(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """``function(*arguments)``; an array taken for a number of Python is told of."""
    try:
        return function(*arguments)
    except (
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
        jax.errors.TracerIntegerConversionError,
    ) as error:
        raise TypeError(
            f"{name} must be a function that JAX can trace, got one that asks for an "
            f"array's values; {CURES.get(name, CURE)}."
        ) from error
