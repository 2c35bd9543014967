"""Strengths that are more than a number: of the step, or learned.

A noise layer's strength is a number, an array, an Optax schedule, or a `Learnable`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from jaxnoise.noise.draw import check_strength, is_traced, safe_sqrt

PREFIX = "learnable_"  # of the parameters' names

Schedule = Callable[[Any], ArrayLike]  # of the step


@dataclass(frozen=True)
class Learnable:
    """A strength that is trained: ``floor + softplus(parameter)``.

    The parameter stands among the layer's params as ``learnable_<strength>``, such as
    ``learnable_stddev``. Under plain losses noise only hurts the training loss, and
    the strength shrinks to its floor: for linear least squares the loss holds
    ``stddev**2 ||w||**2``, which falls with every step to 0. With `strength_prior` it
    has a fixed point instead.

    Attributes:
        init: the strength at first, above the floor; a number, or an array that
            broadcasts against x, to learn one strength a feature.
        floor: what the strength stays above, at least 0.

    Raises:
        TypeError: if a value is no number.
        ValueError: if ``floor`` is negative or ``init`` not above it.

    Reference:
        D. P. Kingma, T. Salimans, M. Welling, "Variational dropout and the local
        reparameterization trick", NIPS 2015, where stddevs are learned likewise.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.GaussianNoise(jn.Learnable(0.5))
        >>> variables = layer.init(jax.random.key(0), jnp.ones(3), train=False)
        >>> print(jax.nn.softplus(variables["params"]["learnable_stddev"]).round(6))
        0.5
    """

    init: Any
    floor: ArrayLike = 0.0

    def __post_init__(self) -> None:
        check_strength("floor", self.floor)
        check_strength("init", self.init)
        if is_traced(self.init, self.floor):
            return
        if not np.all(np.asarray(self.init) > np.asarray(self.floor)):
            raise ValueError(
                f"init must be above the floor, {self.floor}, got {self.init}."
            )

    def parameter(self) -> Float[Array, "..."]:
        """The parameter whose strength is ``init``."""
        above = jnp.asarray(self.init, jnp.float32) - jnp.asarray(self.floor)
        return above + jnp.log(-jnp.expm1(-above))  # the inverse of softplus

    def value(self, parameter: Float[Array, "..."]) -> Float[Array, "..."]:
        """The strength of a parameter."""
        return learned(parameter, self.floor)


def learned(parameter: Array, floor: ArrayLike) -> Array:
    """The strength of a parameter, above its floor."""
    return jnp.asarray(floor) + jax.nn.softplus(parameter)


def strength_prior(beta: ArrayLike) -> Callable[[Any, Any, Any], Float[Array, ""]]:
    """Return the penalty ``-beta * sum(log(strength - floor))`` of `Learnable` ones.

    It keeps learned strengths from shrinking to their floor. For linear least squares
    with weights w and noise on the inputs, the mean squared error plus this penalty is
    least at ``stddev = sqrt(beta / 2) / ||w||``.

    Args:
        beta: how strongly, in the units of the loss; at least 0.

    Returns:
        ``penalty(apply, params, x)`` for ``Recipe(penalty=...)``; in a loop of your
        own, add ``penalty(None, params, None)`` to the loss. It finds the strengths of
        all layers by their names.

    Raises:
        TypeError: if ``beta`` is no number.
        ValueError: if ``beta`` is negative, NaN or infinite; in the call, if there is
            no learnable strength.

    Reference: a prior of density ``strength**beta``, as in maximum a posteriori
        estimation.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.GaussianNoise(jn.Learnable(1.0))
        >>> params = layer.init(jax.random.key(0), jnp.ones(3), train=False)["params"]
        >>> print(abs(jn.strength_prior(0.1)(None, params, None)))  # log 1
        0.0
    """
    check_strength("beta", beta)

    def penalty(apply: Any, params: Any, x: Any) -> Float[Array, ""]:
        found = [
            _log_softplus(leaf).sum()
            for path, leaf in jax.tree_util.tree_leaves_with_path(params)
            if _parameter_name(path).startswith(PREFIX)
        ]
        if not found:
            raise ValueError("strength_prior: params must hold a learnable strength.")
        return -jnp.asarray(beta) * jnp.stack(found).sum()

    return penalty


def _log_softplus(x: Array) -> Array:
    """``log(softplus(x))``, also where softplus underflows: there it is x."""
    far = x < -15
    return jnp.where(far, x, jnp.log(jax.nn.softplus(jnp.where(far, 0, x))))


def _parameter_name(path: Any) -> str:
    """The last name of a path; NNX variables hold their array as ``value``."""
    names = [jax.tree_util.keystr((part,), simple=True) for part in path]
    return names[-2] if names[-1] == "value" and names[1:] else names[-1]


Strength = ArrayLike | Learnable | Schedule


def check_level(layer: str, name: str, value: Any) -> None:
    """Refuse a layer's strength at once, not at the first noisy call."""
    if isinstance(value, Learnable) and name == "rate":
        raise TypeError(
            f"{layer}: a rate cannot be learned, as draws against it have no "
            "derivative; learn the stddev of a GaussianDropout instead."
        )
    if not (isinstance(value, Learnable) or callable(value)):
        check_strength(name, value)


def check_below_1(rate: Any) -> None:
    """Refuse a concrete rate of 1 for a Gaussian dropout."""
    if not is_traced(rate) and np.any(np.asarray(rate) == 1):
        raise ValueError("rate must be below 1, where stddev is infinite, got 1.0.")


def stddev_of_rate(rate: ArrayLike) -> Float[Array, "..."]:
    """``sqrt(rate / (1 - rate))``: the deviation of dropout at this rate."""
    check_strength("rate", rate)  # it may be a schedule's
    check_below_1(rate)
    rate = jnp.asarray(rate)
    return safe_sqrt(rate / (1 - rate))
