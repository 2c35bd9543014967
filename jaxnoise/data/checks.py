"""Arguments that the functions of this room share."""

from typing import Any

import numpy as np

from jaxnoise.checks import shown


def check_int(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Refuse what is no int, or out of range."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {shown(value)}.")
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be {bounds}, got {value}.")


def check_seed(name: str, seed: Any) -> None:
    """Refuse what NumPy takes as no seed, and None, which would not repeat."""
    check_int(name, seed, 0, 2**32 - 1)


def check_noise(noise: Any) -> None:
    """Refuse what is no standard deviation."""
    number = isinstance(noise, int | float | np.number)
    if not (number and np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise must be finite and >= 0, got {shown(noise)}.")
