"""What the models share: noise sites, widths, and rows of any shape."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float

WINDOWS = ("kernel_size", "strides", "pool")


def noisy_site(
    model: nn.Module, site: str, index: int, x: Array, train: Any, **arguments: Any
) -> Array:
    """``x`` through a copy of the model's noise at ``site``, named for site and index.

    The name sets the key. Without the copy, one noise object given to two sites would
    draw numbers that depend on where else it stands.
    """
    noise = getattr(model, site)
    if noise is None:
        return x
    layer = noise.clone(parent=model, name=f"{site}_{index}")
    return layer(x, train=train, **arguments)


def check_fields(model: nn.Module) -> None:
    """Refuse widths, counts and noises that are none, when the model is made."""
    for field in type(model).__dataclass_fields__:
        value = getattr(model, field)
        if field == "features" and not _are_widths(value):
            raise TypeError(
                f"features must be a sequence of widths such as (500,), got {value!r}."
            )
        if field == "outputs" and not _is_count(value):
            raise TypeError(f"{field} must be an int of at least 1, got {value!r}.")
        if field in WINDOWS and not (_is_count(value) or _are_widths(value)):
            raise TypeError(
                f"{field} must be an int of at least 1 or one an axis, such as (3, 3), "
                f"got {value!r}."
            )
        if field.endswith("_noise") and not isinstance(value, nn.Module | None):
            raise TypeError(
                f"{field} must be a noise layer such as GaussianNoise(0.1) or None, "
                f"got {value!r}."
            )


def _are_widths(value: Any) -> bool:
    return isinstance(value, Sequence) and all(map(_is_count, value))


def _is_count(value: Any) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and value >= 1


def flat(x: Float[Array, " rows *axes"]) -> Float[Array, "rows inputs"]:
    """Every row as a vector."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))
