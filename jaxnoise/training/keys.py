"""The keys of a run: one a role, from the run's one key."""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array

from jaxnoise.checks import single_key


class Keys(NamedTuple):
    """One key a role, so that a change in one leaves the others as they were."""

    init: Array
    order: Array
    noise: Array  # and dropout, which the model's adapter splits off
    weights: Array
    labels: Array
    gradients: Array

    @classmethod
    def of_run(cls, key: Array, split: Any) -> "Keys":
        """Splits share initial weights and batch order, and differ in all else."""
        keys = cls(*jax.random.split(single_key(key), len(cls._fields)))
        folded = (jax.random.fold_in(k, split) for k in keys[2:])
        return cls(keys.init, keys.order, *folded)
