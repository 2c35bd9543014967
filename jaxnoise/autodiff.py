"""Derivatives by choice: the value of one thing with the derivative of another.

`straight_through` gives a function of a noisy value the backward pass of the clean one;
`safe_sqrt` is a root whose derivative is finite.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxnoise.checks import shown


def straight_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``g(clean, noisy, *args)``: the value of ``f`` at noisy, derived at clean.

    ``g(clean, noisy, *args) == f(noisy, *args)``, and its derivatives with respect to
    ``clean`` and ``args`` are those of ``f(clean, *args)``; none flows into ``noisy``.
    Plain autodiff multiplies by the noisy values instead: for a dense layer the
    gradient of the kernel is ``(x + e)' delta``, whose mean holds the ridge term of
    noise. With the clean ``x' delta`` noise on a linear layer regularises nothing.

    Args:
        f: any differentiable function, such as a matrix product, a Flax layer or
            module inside a module, or a network of its parameters; its result may be a
            pytree. It is called twice: a module that counts its calls or averages
            over batches does so twice.

    Returns:
        The function ``g``; ``clean`` and ``noisy`` are pytrees of the same structure.

    Raises:
        TypeError: if ``f`` is no function.

    Reference:
        Y. Bengio, N. Leonard, A. Courville, "Estimating or propagating gradients
        through stochastic neurons for conditional computation", arXiv:1308.3432.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x, noisy, w = jnp.array([1.0, 2.0]), jnp.array([1.5, 1.0]), jnp.ones(2)
        >>> product = jn.straight_through(jnp.dot)
        >>> print(product(x, noisy, w), jax.grad(product, 2)(x, noisy, w))
        2.5 [1. 2.]
    """
    if not callable(f):
        raise TypeError(f"f must be a function, got {shown(f)}.")

    def g(clean: Any, noisy: Any, *args: Any, **kwargs: Any) -> Any:
        source = f(clean, *args, **kwargs)
        return jax.tree.map(with_gradient_of, f(noisy, *args, **kwargs), source)

    return g


def with_gradient_of(value: Array, source: Array) -> Array:
    """``value``, with the derivatives of ``source``; of one shape and dtype."""
    value = jnp.asarray(value)
    if not jnp.issubdtype(value.dtype, jnp.inexact):  # a counter, a key
        return value
    return _with_gradient_of(value, source)


@jax.custom_jvp
def _with_gradient_of(value: Array, source: Array) -> Array:
    return value


@_with_gradient_of.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Any, Any]:
    return primals[0], tangents[1]


def safe_sqrt(x: Array) -> Array:
    """``sqrt(x)`` with derivative 0 instead of infinity at 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)
