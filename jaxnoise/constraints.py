"""Constraints on weights, as Optax transforms: a rival of noise.

`max_norm` bounds the incoming weights of every unit. It goes last in a chain.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike

from jaxnoise.checks import as_array, shown


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
    _check(limit)

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


def _check(limit: ArrayLike) -> None:
    number = as_array("limit", limit)
    if number.shape or number.dtype == bool:
        raise TypeError(f"limit must be a number, got {shown(limit)}.")
    if not isinstance(limit, jax.core.Tracer) and not 0 < number < jnp.inf:
        raise ValueError(f"limit must be finite and above 0, got {limit}.")
