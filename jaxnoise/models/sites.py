"""What the models share: noise sites, widths, and rows of any shape."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, ArrayLike, Bool, Float

from jaxnoise.checks import is_count, shown
from jaxnoise.pickling import Pickled

Train = Bool[ArrayLike, ""]  # the switch of the noise
FUNCTIONS = {
    "activation": "a function such as flax.linen.relu",
    "kernel_init": "an initialiser such as flax.linen.initializers.he_normal()",
    "cell": "a class of cells such as flax.linen.GRUCell, not yet called",
}


class Network(Pickled, nn.Module):
    """A model whose fields are checked when it is made."""

    def __post_init__(self) -> None:
        for field in type(self).__dataclass_fields__:
            value = getattr(self, field)
            expected = _expected(field, value)
            if expected:
                raise TypeError(f"{field} must be {expected}, got {shown(value)}.")
        if getattr(self, "residual_noise", None) and not self.residual:
            raise ValueError("residual_noise needs residual=True.")
        super().__post_init__()


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


def residual_site(
    model: Any, index: int, skipped: Array, x: Array, train: Any
) -> Array:
    """``skipped + x`` with noise on x, in a residual model, where both fit; else x."""
    if not model.residual or skipped.shape != x.shape:
        return x
    return skipped + noisy_site(model, "residual_noise", index, x, train)


def _expected(field: str, value: Any) -> str | None:
    """What a field is to be, if its value is not."""
    counts = isinstance(value, Sequence) and all(map(is_count, value))
    if field == "features":
        return None if counts else "a sequence of widths such as (500,)"
    if field == "outputs":
        return None if is_count(value) else "an int of at least 1"
    if field in ("kernel_size", "strides", "pool"):
        fits = counts or is_count(value)
        return None if fits else "an int of at least 1 or one an axis, such as (3, 3)"
    if field.endswith("_noise"):
        layer = isinstance(value, nn.Module | None)
        return None if layer else "a noise layer such as jn.GaussianNoise(0.1) or None"
    if field == "residual":
        return None if isinstance(value, bool) else "True or False"
    if field == "cell" and isinstance(value, nn.Module):  # may be called, in its place
        return FUNCTIONS[field]
    return None if callable(value) else FUNCTIONS.get(field)


def flat(x: Float[Array, " rows *axes"]) -> Float[Array, "rows inputs"]:
    """Every row as a vector."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))
