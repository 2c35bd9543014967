"""Noise on gradients, as Optax transforms.

`gradient_noise` goes before the learning rate in a chain, and takes its key from
``update``, so that seeds under vmap have their own noise and no key is kept as state.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int

from jaxnoise.noise.arguments import check_strength
from jaxnoise.noise.functions import tree_add_gaussian_noise

Schedule = Callable[[Any], ArrayLike]


class GradientNoiseState(NamedTuple):
    """The number of updates so far."""

    step: Int[Array, ""]


def gradient_noise(
    stddev: ArrayLike | Schedule,
) -> optax.GradientTransformationExtraArgs:
    """Return a transform that adds ``stddev * e``, ``e ~ N(0, 1)``, to every gradient.

    In ``optax.chain(gradient_noise(stddev), optax.adam(lr))`` the noise comes before
    the learning rate, in the units of the gradients. The engine passes the key;
    elsewhere it is ``optimizer.update(grads, state, params, key=key)``, a fresh one
    each step. Of two in one chain both get that key, and draw the same noise: add their
    variances in one instead.

    Args:
        stddev: standard deviation (not a variance), at least 0; a number that may be
            traced, or an Optax schedule of the number of updates so far, such as
            `neelakantan_schedule`.

    Returns:
        An Optax transform whose ``update`` needs ``key=``.

    Raises:
        TypeError: if ``stddev`` is no number and no schedule; in ``update``, without a
            typed key.
        ValueError: if a concrete ``stddev`` is negative, NaN or infinite.

    Reference:
        A. Neelakantan et al., "Adding gradient noise improves learning for very deep
        networks", arXiv:1511.06807.

    Example:
        >>> import jax, jax.numpy as jnp, optax, jaxnoise as jn
        >>> optimizer = optax.chain(jn.gradient_noise(0.1), optax.sgd(1.0))
        >>> params, grads = jnp.zeros(3), jnp.ones(3)
        >>> state = optimizer.init(params)
        >>> updates, state = optimizer.update(grads, state, key=jax.random.key(0))
        >>> bool((updates != -grads).all())
        True
    """
    if not callable(stddev):
        check_strength("stddev", stddev)

    def init(params: optax.Params) -> GradientNoiseState:
        return GradientNoiseState(jnp.zeros((), jnp.int32))

    def update(
        updates: optax.Updates,
        state: GradientNoiseState,
        params: optax.Params | None = None,
        *,
        key: Any = None,
        **extra: Any,
    ) -> tuple[optax.Updates, GradientNoiseState]:
        if key is None:
            raise TypeError(
                "gradient_noise needs a key each step: "
                "optimizer.update(grads, state, params, key=key)."
            )
        level = stddev(state.step) if callable(stddev) else stddev
        noisy = tree_add_gaussian_noise(key, updates, level)
        return noisy, GradientNoiseState(optax.safe_increment(state.step))

    return optax.GradientTransformationExtraArgs(init, update)


def neelakantan_schedule(eta: ArrayLike, gamma: ArrayLike = 0.55) -> Schedule:
    """Return the schedule ``sqrt(eta / (1 + t)**gamma)`` of a standard deviation.

    Args:
        eta: the variance at step 0, at least 0, in squared units of the gradients;
            0.01, 0.3 and 1 in the paper; may be traced.
        gamma: how fast the variance falls, at least 0; may be traced.

    Returns:
        A function of the step t, the number of updates so far.

    Raises:
        TypeError: if ``eta`` or ``gamma`` is no number.
        ValueError: if one is negative, NaN or infinite.

    Reference:
        A. Neelakantan et al., "Adding gradient noise improves learning for very deep
        networks", arXiv:1511.06807.

    Example:
        >>> import jaxnoise as jn
        >>> schedule = jn.neelakantan_schedule(0.3)
        >>> print(f"{schedule(0):.6f} {schedule(9):.6f} {schedule(99):.6f}")
        0.547723 0.290777 0.154369
    """
    check_strength("eta", eta)
    check_strength("gamma", gamma)

    def schedule(step: Any) -> Float[Array, ""]:
        return jnp.sqrt(eta / (1.0 + jnp.asarray(step)) ** gamma)

    return schedule
