"""A dense layer with noise on its weights, whose strength is learned."""

import math

import flax.linen as nn
import jax
from jaxtyping import Array, ArrayLike, Bool, Float

from jaxnoise.checks import is_count, shown
from jaxnoise.noise.arguments import check_strength, floating
from jaxnoise.noise.functions import noisy_product
from jaxnoise.noise.linen_base import TrainOnly
from jaxnoise.noise.observing import is_observed


class NoisyDense(TrainOnly):
    """A dense layer whose weights carry noise of learned strength, in training.

    ``x @ (mu + sigma * outer(f(e), f(e'))) + b + s * f(e')`` with ``f(e) = sign(e)
    sqrt(|e|)`` and p + q draws of ``e ~ N(0, 1)`` for p inputs and q outputs, one for
    all rows of a call; else ``x @ mu + b``. Mu and b start uniform within
    ``1 / sqrt(p)``, sigma and s (``kernel_stddev``, ``bias_stddev``) at
    ``stddev_init / sqrt(p)``.

    Attributes:
        features: number of outputs, q.
        stddev_init: the strength at first, times ``sqrt(p)``; at least 0.
        use_bias: whether there is a bias.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``features`` is no count or ``stddev_init`` no number.
        ValueError: if it is negative, NaN or infinite.

    Reference:
        M. Fortunato et al., "Noisy networks for exploration", ICLR 2018.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer, x = jn.NoisyDense(3), jnp.ones((5, 2))
        >>> variables = layer.init(jax.random.key(0), x, train=False)
        >>> rngs = {"noise": jax.random.key(1)}
        >>> layer.apply(variables, x, train=True, rngs=rngs).shape
        (5, 3)
    """

    features: int
    stddev_init: ArrayLike = 0.5
    use_bias: bool = True

    def __post_init__(self) -> None:
        if not is_count(self.features):
            raise TypeError(
                f"features must be an int of at least 1, got {shown(self.features)}."
            )
        check_strength("stddev_init", self.stddev_init)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        x: Float[ArrayLike, "*rows inputs"],
        train: Bool[ArrayLike, ""] | None = None,
    ) -> Float[Array, "*rows outputs"]:
        """Return the outputs, with fresh noise on the weights if ``train``.

        Args:
            x: inputs, floating.
            train: whether noise is on; no default, unless given to the constructor.

        Raises:
            TypeError: if ``x`` is not floating.
            ValueError: if ``train`` is given twice or not at all, if the stream
                ``"noise"`` is missing, or ``x`` is a single number.
        """
        train = self._switch(train)
        x = floating(x)
        if not x.ndim:
            raise ValueError("x must have an axis of inputs, got a single number.")
        shape = (x.shape[-1], self.features)
        bound = 1 / math.sqrt(max(1, shape[0]))

        def weights(name: str, shape: tuple[int, ...]) -> dict[str, Array]:
            def uniform(key: Array) -> Array:
                return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

            constant = nn.initializers.constant(self.stddev_init * bound)
            stddev = f"{name}_stddev"
            mean = self.param(name, uniform)
            return {name: mean, stddev: self.param(stddev, constant, shape)}

        params = weights("kernel", shape)
        if self.use_bias:
            params |= weights("bias", shape[1:])
        if train is False:
            out = noisy_product(params, x)
            return self._report(params["kernel_stddev"], False, out, out)
        key = self._own_key(self._key(traced=train is not True), (x, params), ())
        out = noisy_product(params, x, key, train)
        if is_observed():
            clean = noisy_product(params, x)
            return self._report(params["kernel_stddev"], train, clean, out)
        return out
