"""Noise on gradients and on steps, as Optax transforms.

`gradient_noise` goes before the learning rate in a chain, `anticorrelated_noise` after
it. All take their key from ``update``, so that seeds under vmap have their own noise
and no key is kept as state.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float, Int

from jaxnoise.checks import shown
from jaxnoise.noise.draw import check_number, check_strength, is_traced
from jaxnoise.noise.functions import tree_add_gaussian_noise
from jaxnoise.noise.strengths import Schedule


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

    return _each_step("gradient_noise", stddev, tree_add_gaussian_noise)


def _each_step(
    name: str, strength: Any, noisy: Callable[[Any, Any, Any], Any]
) -> optax.GradientTransformationExtraArgs:
    """A transform ``(key, updates, strength of the step) -> updates``."""

    def init(params: optax.Params) -> GradientNoiseState:
        return GradientNoiseState(jnp.zeros((), jnp.int32))

    def update(
        updates: Any, state: Any, params: Any = None, *, key: Any = None, **extra: Any
    ) -> tuple[optax.Updates, GradientNoiseState]:
        level = _level(name, strength, state.step, key)
        step = optax.safe_increment(state.step)
        return noisy(key, updates, level), GradientNoiseState(step)

    return optax.GradientTransformationExtraArgs(init, update)


def _level(name: str, strength: Any, step: Array, key: Any) -> Any:
    """The strength of a step, which has a key."""
    if key is None:
        raise TypeError(
            f"{name} needs a key each step: "
            "optimizer.update(grads, state, params, key=key)."
        )
    return strength(step) if callable(strength) else strength


class AnticorrelatedNoiseState(NamedTuple):
    """The number of updates so far, and the noise that the parameters hold."""

    step: Int[Array, ""]
    noise: Any


def anticorrelated_noise(
    stddev: ArrayLike | Schedule,
) -> optax.GradientTransformationExtraArgs:
    """Return a transform that adds ``e(t+1) - e(t)``, ``e ~ N(0, stddev**2)``.

    In ``optax.chain(optax.sgd(lr), anticorrelated_noise(stddev))`` it comes last, in
    the units of the weights: the noise of a step takes back that of the step before, so
    that the parameters hold one draw, ``e(0) = 0`` at first. Also known as Anti-PGD.
    With plain gradient descent the parameters are those at which
    ``Recipe(weight_noise=)`` of the same draws takes its gradients, and without the
    draw, which is in the state, those that it keeps.

    Args:
        stddev: standard deviation in the units of the weights, at least 0; a number
            that may be traced, or an Optax schedule of the number of updates so far.

    Returns:
        An Optax transform whose ``update`` needs ``key=``, a fresh one each step.

    Raises:
        TypeError: if ``stddev`` is no number and no schedule; in ``update``, without a
            typed key.
        ValueError: if a concrete ``stddev`` is negative, NaN or infinite.

    Reference:
        A. Orvieto et al., "Anticorrelated noise injection for improved generalization",
        ICML 2022.

    Example:
        >>> import jax, jax.numpy as jnp, optax, jaxnoise as jn
        >>> optimizer = optax.chain(optax.sgd(0.1), jn.anticorrelated_noise(0.5))
        >>> w, state = jnp.zeros(3), optimizer.init(jnp.zeros(3))
        >>> for key in jax.random.split(jax.random.key(0), 4):
        ...     updates, state = optimizer.update(jnp.zeros(3), state, key=key)
        ...     w = optax.apply_updates(w, updates)
        >>> bool(jnp.allclose(w, state[1].noise))  # the last draw alone
        True
    """
    if not callable(stddev):
        check_strength("stddev", stddev)

    def init(params: optax.Params) -> AnticorrelatedNoiseState:
        none = jax.tree.map(jnp.zeros_like, params)
        return AnticorrelatedNoiseState(jnp.zeros((), jnp.int32), none)

    def update(
        updates: Any, state: Any, params: Any = None, *, key: Any = None, **extra: Any
    ) -> tuple[optax.Updates, AnticorrelatedNoiseState]:
        level = _level("anticorrelated_noise", stddev, state.step, key)
        none = jax.tree.map(jnp.zeros_like, updates)
        noise = tree_add_gaussian_noise(key, none, level)
        moved = jax.tree.map(
            lambda u, new, old: u + (new - old), updates, noise, state.noise
        )
        step = optax.safe_increment(state.step)
        return moved, AnticorrelatedNoiseState(step, noise)

    return optax.GradientTransformationExtraArgs(init, update)


def langevin_noise(
    learning_rate: ArrayLike | Schedule,
) -> optax.GradientTransformationExtraArgs:
    """Return the whole step ``-lr/2 g + sqrt(lr) e``, ``e ~ N(0, 1)``, as a transform.

    Stochastic gradient Langevin dynamics: for small rates the parameters of late steps
    are draws from the density ``exp(-U)``, whose gradient is g. For a posterior U is
    the sum over all N rows of the loss, less the log prior; from a batch of n it is
    ``N / n`` times the batch's sum. A recipe's gradient is that of the batch's mean:
    ``optax.chain(optax.scale(N), optax.add_decayed_weights(1 / variance),
    langevin_noise(lr))``, with the variance of a normal prior. On ``a w**2 / 2`` the
    variance ends as ``1 / (a (1 - lr a / 4))``.

    Args:
        learning_rate: lr, at least 0; a number that may be traced, or an Optax schedule
            of the number of updates so far.

    Returns:
        An Optax transform whose ``update`` needs ``key=``, a fresh one each step.

    Raises:
        TypeError: if ``learning_rate`` is no number and no schedule; in ``update``,
            without a typed key.
        ValueError: if a concrete ``learning_rate`` is negative, NaN or infinite.

    Reference:
        M. Welling, Y. W. Teh, "Bayesian learning via stochastic gradient Langevin
        dynamics", ICML 2011.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> optimizer, w = jn.langevin_noise(0.01), jnp.zeros(10_000)
        >>> step, _ = optimizer.update(w, optimizer.init(w), key=jax.random.key(0))
        >>> bool(abs(step.std() - 0.1) < 5 * 0.1 / (2 * w.size) ** 0.5)
        True
    """
    if not callable(learning_rate):
        check_strength("learning_rate", learning_rate)

    def moved(key: Any, updates: Any, rate: Any) -> Any:
        drift = jax.tree.map(lambda g: (-rate / 2 * g).astype(g.dtype), updates)
        return tree_add_gaussian_noise(key, drift, jnp.sqrt(rate))

    return _each_step("langevin_noise", learning_rate, moved)


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


def max_norm(limit: ArrayLike) -> optax.GradientTransformation:
    """Return a transform after which no unit's incoming weights are longer than limit.

    In ``optax.chain(optax.adam(lr), max_norm(limit))`` every kernel w becomes ``w *
    min(1, limit / ||w||)`` after its update. The norm is Euclidean, over all axes but
    the last, which holds the units: the inputs of a dense kernel, the window and the
    channels of a convolution's. Parameters with fewer than two axes, such as biases,
    are left alone, as are units within the limit, bit for bit. It must be the last of a
    chain; a smaller limit is the stronger constraint.

    Args:
        limit: the largest norm, above 0, in the units of the weights; may be traced.

    Returns:
        An Optax transform whose ``update`` needs the parameters.

    Raises:
        TypeError: if ``limit`` is no number.
        ValueError: if a concrete ``limit`` is not finite and above 0; in ``update``,
            without parameters.

    Reference: N. Srebro, A. Shraibman, "Rank, trace-norm and max-norm", COLT 2005; as
        in Keras' ``MaxNorm`` constraint on kernels.

    Example:
        >>> import jax.numpy as jnp, optax, jaxnoise as jn
        >>> optimizer = optax.chain(optax.sgd(1.0), jn.max_norm(2.0))
        >>> w, grads = jnp.array([[3.0, 0.6], [4.0, 0.8]]), jnp.zeros((2, 2))
        >>> updates, _ = optimizer.update(grads, optimizer.init(w), w)
        >>> print(optax.apply_updates(w, updates).round(3))  # norms were 5 and 1
        [[1.2 0.6]
         [1.6 0.8]]
    """
    check_number("limit", limit)
    if np.shape(limit):
        raise TypeError(f"limit must be a number, got {shown(limit)}.")
    if not is_traced(limit) and not 0 < np.asarray(limit) < np.inf:
        raise ValueError(f"limit must be finite and above 0, got {limit}.")

    def constrained(param: Array, update: Array) -> Array:
        if jnp.ndim(param) < 2:
            return update
        moved = param + update
        norm = jnp.linalg.norm(moved.reshape(-1, moved.shape[-1]), axis=0)
        within = norm <= limit
        factor = limit / jnp.where(within, 1.0, norm)
        return jnp.where(within, update, moved * factor - param).astype(update.dtype)

    def update(
        updates: optax.Updates, state: optax.EmptyState, params: optax.Params = None
    ) -> tuple[optax.Updates, optax.EmptyState]:
        if params is None:
            raise ValueError(
                "max_norm needs the parameters: optimizer.update(grads, state, params)."
            )
        return jax.tree.map(constrained, params, updates), state

    return optax.GradientTransformation(optax.init_empty_state, update)
