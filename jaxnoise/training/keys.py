"""The keys of a run: one a role, from the run's one key."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array


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
        dtype = getattr(key, "dtype", None)
        if dtype is None or not jnp.issubdtype(dtype, jax.dtypes.prng_key):
            raise TypeError(
                f"key must be a typed key, jax.random.key(seed), got {key!r}."
            )
        implementation = str(jax.random.key_impl(key))
        if implementation != "threefry2x32":  # rbg runs would share draws under vmap
            raise TypeError(
                f"key must be a threefry2x32 key, got one of {implementation}."
            )
        keys = cls(*jax.random.split(key, len(cls._fields)))
        folded = (jax.random.fold_in(k, split) for k in keys[2:])
        return cls(keys.init, keys.order, *folded)
