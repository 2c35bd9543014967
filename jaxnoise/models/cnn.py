"""The convolutional network, with noise also after pooling."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from jaxnoise.checks import as_array
from jaxnoise.models.conv import Conv
from jaxnoise.models.sites import Network, Train, flat, noisy_site, residual_site


class CNN(Network):
    """Blocks of convolution, activation and pooling, and a dense layer at the end.

    Every block computes ``pool(activation(conv(x) + hidden_noise) + activation_noise) +
    pool_noise``. Pooling takes the largest of windows that do not overlap; what is
    left over at the end of an axis is dropped. A residual one adds, before the pooling
    and where the shapes fit, what came into the block. A site's noise depends on the
    key, the site's name and the block's index, never on which other sites are noisy.

    Attributes:
        features: channels of the blocks, such as (16, 32).
        outputs: number of outputs per row; the result has shape (rows, outputs).
        input_noise: noise layer on the inputs, or None.
        hidden_noise: noise layer before the activation of each block, or None.
        activation_noise: noise layer after that activation, or None.
        pool_noise: noise layer after the pooling of each block, or None.
        kernel_size: of the convolutions: 3 along every axis of the inputs, or one
            number an axis, such as (5, 3).
        strides: of the convolutions, like ``kernel_size``.
        pool: of the pooling windows, like ``kernel_size``; 1 for no pooling.
        activation: the nonlinearity.
        kernel_init: initialiser of all kernels, He's unless given; biases start at 0.
        residual: whether each block whose convolution keeps the shape adds its inputs
            to what is pooled.
        residual_noise: noise layer on what is added to them, such as `jn.DropPath`, or
            None.

    Raises:
        TypeError: if ``features`` is no sequence of widths, another size no count, a
            noise no layer, or ``activation`` or ``kernel_init`` no function.
        ValueError: if the inputs have no channels or are too small to be pooled, or
            if there is noise after a pooling that there is not, or at the residual
            site of a model that is not residual.

    Reference: K. He et al., "Delving deep into rectifiers", 2015, of the initialiser.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> model = jn.CNN((16,), 10, pool_noise=jn.GaussianNoise(0.1))
        >>> images, rngs = jnp.ones((2, 8, 8, 1)), {"noise": jax.random.key(1)}
        >>> @jax.jit
        ... def first_outputs(key):
        ...     variables = model.init(key, images, train=False)
        ...     return model.apply(variables, images, train=True, rngs=rngs)
        >>> first_outputs(jax.random.key(0)).shape
        (2, 10)
    """

    features: Sequence[int]
    outputs: int
    input_noise: nn.Module | None = None
    hidden_noise: nn.Module | None = None
    activation_noise: nn.Module | None = None
    pool_noise: nn.Module | None = None
    kernel_size: int | Sequence[int] = 3
    strides: int | Sequence[int] = 1
    pool: int | Sequence[int] = 2
    activation: Callable[[Array], Array] = nn.relu
    kernel_init: Callable[..., Array] = nn.initializers.he_normal()
    residual: bool = False
    residual_noise: nn.Module | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if np.max(self.pool) == 1 and self.pool_noise is not None:
            raise ValueError("pool_noise needs a pooling, but pool is 1.")

    @nn.compact
    def __call__(
        self, x: Float[ArrayLike, "rows *space channels"], train: Train
    ) -> Float[Array, "rows outputs"]:
        """Return the logits; ``train`` switches the noise."""
        x = as_array("x", x)
        if x.ndim < 3:
            raise ValueError(
                "x must have rows, one or more axes of space or time, and channels, "
                f"such as (rows, 8, 8, 1), got shape {x.shape}."
            )
        x = noisy_site(self, "input_noise", 0, x, train)
        sizes = ("kernel_size", "strides", "pool")
        window, strides, pool = (self._along_axes(size, x.ndim - 2) for size in sizes)
        init = self.kernel_init
        for i, width in enumerate(self.features):
            skipped = x
            x = Conv(width, window, strides, kernel_init=init, name=f"conv_{i}")(x)
            x = noisy_site(self, "hidden_noise", i, x, train)
            x = self.activation(x)
            x = noisy_site(self, "activation_noise", i, x, train)
            x = residual_site(self, i, skipped, x, train)
            x = max_pool(x, pool)
            x = noisy_site(self, "pool_noise", i, x, train)
        return nn.Dense(self.outputs, kernel_init=init, name="output")(flat(x))

    def _along_axes(self, field: str, axes: int) -> tuple[int, ...]:
        """One number an axis."""
        size = getattr(self, field)
        if not isinstance(size, Sequence):
            return (size,) * axes
        if len(size) != axes:
            raise ValueError(
                f"{field} must have one number for each of x's axes of space or time, "
                f"{axes}, got {size!r}."
            )
        return tuple(size)


def max_pool(x: Array, sizes: Sequence[int]) -> Array:
    """The largest of every window of these sizes along the axes of space.

    By reshaping, whose gradient is fast everywhere; XLA's for windows is not.
    """
    along = list(zip(x.shape[1:-1], sizes, strict=True))
    if any(length < size for length, size in along):
        raise ValueError(
            f"x is too small to be pooled by {max(sizes)} once more: {x.shape[1:-1]} "
            "is left of its axes; take fewer features or a smaller pool."
        )
    whole = tuple(slice(length // size * size) for length, size in along)
    windows = [part for length, size in along for part in (length // size, size)]
    x = x[(slice(None), *whole)].reshape(x.shape[0], *windows, x.shape[-1])
    return x.max(axis=tuple(range(2, x.ndim - 1, 2)))
