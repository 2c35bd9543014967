"""The keys of a run: every derivation from its one key, in the order it is made.

========  =================================  ===========================================
what      how, from the line above           what shares it
========  =================================  ===========================================
run       ``jax.random.key(seed)``           all that the run draws
role      ``split(run, 6)``, as in `Keys`    all that is drawn in the role
split     ``fold_in(role, split)``           one division of the data; initial weights
                                             and batch order are of the role itself
epoch     ``fold_in(order, epoch)``          the rows of an epoch, in their order
step      ``fold_in(split, step)``           an update, counted over all epochs
stream    ``noise, dropout = split(noise)``  the layers of a Linen module; of NNX each
                                             stream folds in a checksum of its path
layer     Flax's own, of path and count;     nothing
          below the top ``fold_in(path)``
leaf      ``fold_in(step, path)``            nothing: noise on weights and gradients
========  =================================  ===========================================

A change in one role leaves the others as they were, so that runs of one seed and split
that differ in the noise's place or strength alone are paired.
"""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array

from jaxnoise.checks import single_key


class Keys(NamedTuple):
    """One key a role."""

    init: Array
    order: Array
    noise: Array
    weights: Array
    labels: Array
    gradients: Array

    @classmethod
    def of_run(cls, key: Array, split: Any) -> "Keys":
        """All of one run on one division of the data."""
        keys = cls(*jax.random.split(single_key(key), len(cls._fields)))
        of_split = (jax.random.fold_in(role, split) for role in keys[2:])
        return cls(keys.init, keys.order, *of_split)

    def of_epoch(self, epoch: Any) -> Array:
        """Of the order of the rows."""
        return jax.random.fold_in(self.order, epoch)

    def of_step(self, step: Any) -> "Keys":
        """Of one update."""
        return Keys(*(jax.random.fold_in(role, step) for role in self))


def key_of_seed(seed: Any) -> Array:
    """The one key of a run; a seed may be traced."""
    return jax.random.key(seed, impl="threefry2x32")


def init_key(seed: Any) -> Array:
    """That of the initial weights of a seed's runs."""
    return Keys.of_run(key_of_seed(seed), 0).init
