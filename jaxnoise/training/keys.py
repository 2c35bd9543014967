"""The keys of a run: every derivation from its one key, in the order it is made.

========  =================================  ===========================================
what      how, from the line above           what shares it
========  =================================  ===========================================
run       ``jax.random.key(seed)``           all that the run draws
role      ``split(run, 6)``, as in `Keys`;   all that is drawn in the role
          of batches ``fold_in(run, BATCH)``
split     ``fold_in(role, split)``           one division of the data; initial weights
                                             and batch order are of the role itself
epoch     ``fold_in(order, epoch)``          the rows of an epoch, in their order
step      ``fold_in(split, step)``           an update, counted over all epochs
stream    ``noise, dropout = split(noise)``  the layers of a Linen module; of NNX each
                                             stream folds in a checksum of its path
layer     Flax's own, of path and count;     nothing
          below the top ``fold_in(path)``
leaf      ``fold_in(step, path)``            nothing: noise on weights and gradients
again     ``fold_in(step, AGAIN)``           a second pass of a batch, with other noise
place     ``fold_in(step, PLACE)``           where in a model the noise of a batch is
========  =================================  ===========================================

A change in one role leaves the others as they were, so that runs of one seed and split
that differ in the noise's place or strength alone are paired.

The loops of a program derive their keys by `unrolled` arithmetic: on a CPU JAX makes a
loop of each derivation, which takes as long as half of a small network's step.
"""

import math
from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jax.extend.core.primitives import random_fold_in_p, random_split_p
from jaxtyping import Array

from jaxnoise.checks import single_key
from jaxnoise.noise.sampling import threefry2x32

# What came later, without a change to the others.
BATCH, AGAIN, PLACE = 0x62617463, 0x6167616E, 0x706C6163


class Keys(NamedTuple):
    """One key a role; that of batches is derived where there is noise on them."""

    init: Array
    order: Array
    noise: Array
    weights: Array
    labels: Array
    gradients: Array
    batch: Callable[[], Array]

    @classmethod
    def of_run(cls, key: Array, split: Any) -> "Keys":
        """All of one run on one division of the data."""
        key = single_key(key)
        init, order, *roles = jax.random.split(key, 6)
        noise, weights, labels, gradients = (
            jax.random.fold_in(r, split) for r in roles
        )

        def batch() -> Array:
            return jax.random.fold_in(jax.random.fold_in(key, BATCH), split)

        return cls(init, order, noise, weights, labels, gradients, batch)

    def of_epoch(self, epoch: Any) -> Array:
        """Of the order of the rows."""
        return jax.random.fold_in(self.order, epoch)

    def of_step(self, step: Any) -> "Keys":
        """Of one update."""
        *roles, batch = self
        of_step: list[Any] = [jax.random.fold_in(role, step) for role in roles]
        return Keys(*of_step, lambda: jax.random.fold_in(batch(), step))  # type: ignore[call-arg]

    def again(self) -> "Keys":
        """Of a second pass of the same batch, with other noise."""
        noise, weights = (
            jax.random.fold_in(r, AGAIN) for r in (self.noise, self.weights)
        )
        return self._replace(noise=noise, weights=weights)


def place_of(step: Array, count: int) -> Any:
    """Which of some places has the noise of a batch in this step."""
    if count == 1:
        return 0
    return jax.random.randint(jax.random.fold_in(step, PLACE), (), 0, count)


def key_of_seed(seed: Any) -> Array:
    """The one key of a run; a seed may be traced."""
    return jax.random.key(seed, impl="threefry2x32")


def init_key(seed: Any) -> Array:
    """That of the initial weights of a seed's runs."""
    return Keys.of_run(key_of_seed(seed), 0).init


def unrolled(jaxpr: ClosedJaxpr) -> ClosedJaxpr:
    """The same, bit for bit, but that loops derive single keys without a loop each."""
    config: Any = jax.config
    if config.jax_debug_key_reuse or not config.jax_threefry_partitionable:
        return jaxpr  # it does not see words; splits differ
    return jaxpr.replace(jaxpr=_unrolled(jaxpr.jaxpr, False))


def _unrolled(jaxpr: Jaxpr, looped: bool) -> Jaxpr:
    """What runs once is left alone: to compile it would take longer than it saves."""
    return jaxpr.replace(eqns=[_unrolled_equation(e, looped) for e in jaxpr.eqns])


def _unrolled_equation(eqn: JaxprEqn, looped: bool) -> JaxprEqn:
    """A call of ours in its place, or the same with what is inside of it."""
    if looped and eqn.primitive in DERIVE:
        given: Any = [var.aval for var in eqn.invars]
        if (given[0].shape, given[0].dtype) == _of_one_key():
            new = _call(eqn.primitive, tuple(eqn.params.items()), *given)
            return eqn.replace(primitive=new.primitive, params=new.params)
    if not any(isinstance(param, HOLDERS) for param in eqn.params.values()):
        return eqn
    inside = partial(_inside, looped=looped or eqn.primitive in LOOPS)
    return eqn.replace(params=jax.tree.map(inside, eqn.params))


@cache
def _of_one_key() -> tuple[tuple[int, ...], Any]:
    """Shape and type."""
    key = jax.eval_shape(key_of_seed, 0)
    return key.shape, key.dtype


@lru_cache(maxsize=128)
def _call(primitive: Any, params: tuple[tuple[str, Any], ...], *given: Any) -> JaxprEqn:
    """A call of what derives keys of such arguments."""
    call = jax.jit(partial(DERIVE[primitive], **dict(params)))
    (new,) = jax.make_jaxpr(call)(*given).eqns
    return new


def _inside(param: Any, looped: bool) -> Any:
    if isinstance(param, ClosedJaxpr):
        return param.replace(jaxpr=_unrolled(param.jaxpr, looped))
    return _unrolled(param, looped) if isinstance(param, Jaxpr) else param


def _split(key: Array, *, shape: tuple[int, ...]) -> Array:
    return _folded_in(
        key, jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    )


def _folded_in(key: Array, numbers: Array) -> Array:
    """The keys of some numbers.

    The branch, which the compiler cannot know to be taken, keeps this apart from what
    is drawn by them: fused with it, that may be rounded in another way.
    """

    def words() -> Array:
        both = threefry2x32(jax.random.key_data(key), zeros, numbers)
        return jnp.stack(both, -1)

    zeros, taken = jnp.zeros_like(numbers), lax.optimization_barrier(jnp.bool_(True))
    found = lax.cond(taken, words, lambda: jnp.stack([zeros, zeros], -1))
    return jax.random.wrap_key_data(found)


HOLDERS = ClosedJaxpr, Jaxpr, tuple, list  # of what is inside of an equation
LOOPS = lax.scan_p, lax.while_p
DERIVE: dict[Any, Any] = {random_fold_in_p: _folded_in, random_split_p: _split}
