"""The static choices of a run, checked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxnoise.checks import shown
from jaxnoise.data import Data

Count = int | np.integer
CURVES = ("train", "test")  # what curves are kept of, where the data has such sets


def as_count(name: str, value: Any, expected: str = "an int") -> int:
    """A number of things as a Python int, or the error that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(
            f"{name} must be {expected} of at least 1, got {shown(value)}."
        )
    if value >= 2**31:  # compiled programs count in 32 bits
        raise ValueError(f"{name} must be less than 2**31, got {value}.")
    return int(value)


@dataclass(frozen=True)
class Settings:
    """What one program has in common: epochs, batch size, and what is measured."""

    epochs: Count
    batch_size: Count
    curves: Sequence[str] = CURVES
    metrics_every: Count = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "metrics_every"):
            object.__setattr__(self, name, as_count(name, getattr(self, name)))
        if isinstance(self.curves, str) or not isinstance(self.curves, Iterable):
            raise ValueError(
                f"curves must be a sequence of set names, got {shown(self.curves)}."
            )
        object.__setattr__(self, "curves", tuple(self.curves))

    def curve_sets(self, data: Data) -> list[str]:
        """The sets whose curves are kept; a name that is no set is refused."""
        absent = [name for name in self.curves if name not in data]
        if absent and self.curves != CURVES:
            raise ValueError(
                f"curves must name sets of the data ({', '.join(data)}), "
                f"got {absent[0]!r}."
            )
        return [name for name in self.curves if name in data]
