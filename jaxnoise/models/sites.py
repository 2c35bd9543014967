"""What the models share: noise sites, widths, and rows of any shape."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float


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
    """Refuse widths and noises that are none, when the model is made."""
    features: Any = getattr(model, "features")  # noqa: B009
    if not isinstance(features, Sequence):
        raise TypeError(
            f"features must be a sequence of widths such as (500,), got {features!r}."
        )
    for field in type(model).__dataclass_fields__:
        noise = getattr(model, field)
        if field.endswith("_noise") and not isinstance(noise, nn.Module | None):
            raise TypeError(
                f"{field} must be a noise layer such as GaussianNoise(0.1) or None, "
                f"got {noise!r}."
            )


def flat(x: Float[Array, " rows *axes"]) -> Float[Array, "rows inputs"]:
    """Every row as a vector."""
    return x.reshape(x.shape[0], -1)
