"""A dense layer with noise on its weights, whose strength is learned, for NNX."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, ArrayLike, Bool, Float

from jaxnoise.checks import is_count, shown
from jaxnoise.noise.arguments import check_strength, floating
from jaxnoise.noise.functions import noisy_product
from jaxnoise.noise.nnx_base import TrainOnly
from jaxnoise.noise.observing import is_observed


class NoisyDense(TrainOnly):
    """A dense layer whose weights carry noise of learned strength, when active.

    The NNX form of `jaxnoise.NoisyDense`, with the same parameters.

    Args:
        in_features: number of inputs, p.
        out_features: number of outputs, q.
        stddev_init: the strength at first, times ``sqrt(p)``; at least 0.
        use_bias: whether there is a bias.
        deterministic: whether the layer starts without noise.
        rngs: where the streams ``"params"`` and ``"noise"`` come from.

    Raises:
        TypeError: if a number of features is no count or ``stddev_init`` no number.
        ValueError: if it is negative, NaN or infinite.

    Reference:
        M. Fortunato et al., "Noisy networks for exploration", ICLR 2018.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.NoisyDense(2, 3, rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((5, 2))).shape
        (5, 3)
    """

    kernel: Any
    kernel_stddev: Any
    bias: Any
    bias_stddev: Any

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        stddev_init: ArrayLike = 0.5,
        use_bias: bool = True,
        deterministic: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        for name, size in {
            "in_features": in_features,
            "out_features": out_features,
        }.items():
            if not is_count(size):
                raise TypeError(
                    f"{name} must be an int of at least 1, got {shown(size)}."
                )
        check_strength("stddev_init", stddev_init)
        super().__init__(deterministic=deterministic, rngs=rngs)
        bound = 1 / math.sqrt(in_features)
        shapes = {"kernel": (in_features, out_features), "bias": (out_features,)}
        self.names = ("kernel", "bias") if use_bias else ("kernel",)
        for name in self.names:
            shape = shapes[name]
            mean = jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound)
            stddev = jnp.full(shape, jnp.asarray(stddev_init) * bound)
            setattr(self, name, nnx.Param(mean))
            setattr(self, f"{name}_stddev", nnx.Param(stddev))

    def __call__(
        self,
        x: Float[ArrayLike, "*rows inputs"],
        train: Bool[ArrayLike, ""] | None = None,
        *,
        rngs: Any = None,
    ) -> Float[Array, "*rows outputs"]:
        """Return the outputs, with fresh noise on the weights if the layer is active.

        Args:
            x: inputs, floating.
            train: whether noise is on; None for what ``deterministic`` says.
            rngs: an `nnx.Rngs`, a stream or a key, instead of the layer's own stream.

        Raises:
            TypeError: if ``train`` is no bool or ``x`` is not floating.
            ValueError: if there is no key stream.
        """
        train = self._switch(train)
        x = floating(x)
        names = [*self.names, *(f"{name}_stddev" for name in self.names)]
        params = {name: getattr(self, name)[...] for name in names}
        strength = params["kernel_stddev"]
        if train is False:
            out = noisy_product(params, x)
            return self._report(strength, False, out, out)
        out = noisy_product(params, x, self._key(rngs, x, *params.values()), train)
        if is_observed():
            return self._report(strength, train, noisy_product(params, x), out)
        return out
