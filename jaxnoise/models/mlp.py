"""The multilayer perceptron, the network of the case study."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, Float

from jaxnoise.checks import as_array
from jaxnoise.models.sites import Network, Train, flat, noisy_site, residual_site

THIN = 4  # inputs of a dense layer up to which a sum of products is faster


class MLP(Network):
    """A multilayer perceptron with noise on the inputs and around the activations.

    Every hidden layer computes ``activation(x @ kernel + bias + hidden_noise) +
    activation_noise``; a last dense layer gives the logits (or regression outputs).
    Rows of several axes, such as images, are read as vectors. A residual one adds to
    that, where the widths fit, what came into the layer.

    A site's noise depends on the key, the site's name and the layer's index, never
    on which other sites are noisy; a site that is None costs nothing.

    Attributes:
        features: widths of the hidden layers; may be empty, for a linear model.
        outputs: number of outputs per row; the result has shape (rows, outputs).
        input_noise: noise layer on the inputs, or None.
        hidden_noise: noise layer before the activation of each hidden layer, or None.
        activation_noise: noise layer after that activation, or None.
        activation: the nonlinearity.
        kernel_init: initialiser of all kernels; biases start at 0.
        residual: whether each hidden layer of the width of its inputs adds them to what
            it gives.
        residual_noise: noise layer on what is added to them, such as `jn.DropPath`, or
            None.

    Raises:
        TypeError: if ``features`` is no sequence of widths, ``outputs`` no count, a
            noise no layer, or ``activation`` or ``kernel_init`` no function.
        ValueError: if the inputs are not rows, or there is noise at the residual site
            of a model that is not residual.

    Reference: D. E. Rumelhart, G. E. Hinton, R. J. Williams, "Learning representations
        by back-propagating errors", 1986; X. Glorot, Y. Bengio, "Understanding the
        difficulty of training deep feedforward neural networks", 2010, of the
        initialiser.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> model = jn.MLP((500,), 1, hidden_noise=jn.GaussianNoise(0.1))
        >>> x = jnp.ones((30, 2))
        >>> variables = model.init(jax.random.key(0), x, train=False)
        >>> model.apply(
        ...     variables, x, train=True, rngs={"noise": jax.random.key(1)}
        ... ).shape
        (30, 1)
    """

    features: Sequence[int]
    outputs: int
    input_noise: nn.Module | None = None
    hidden_noise: nn.Module | None = None
    activation_noise: nn.Module | None = None
    activation: Callable[[Array], Array] = nn.relu
    kernel_init: Callable[..., Array] = nn.initializers.glorot_uniform()
    residual: bool = False
    residual_noise: nn.Module | None = None

    @nn.compact
    def __call__(
        self, x: Float[ArrayLike, "rows inputs *more"], train: Train
    ) -> Float[Array, "rows outputs"]:
        """Return the logits; ``train`` switches the noise."""
        dense = partial(nn.Dense, kernel_init=self.kernel_init, dot_general=_matmul)
        x = as_array("x", x)
        if x.ndim < 2:
            raise ValueError(
                "x must have rows and inputs, a shape such as (30, 2), got shape "
                f"{x.shape}."
            )
        x = flat(noisy_site(self, "input_noise", 0, x, train))
        for i, width in enumerate(self.features):
            skipped, x = x, dense(width, name=f"hidden_{i}")(x)
            x = noisy_site(self, "hidden_noise", i, x, train)
            x = self.activation(x)
            x = noisy_site(self, "activation_noise", i, x, train)
            x = residual_site(self, i, skipped, x, train)
        return dense(self.outputs, name="output")(x)


def _matmul(x: Array, kernel: Array, *args: Any, **kwargs: Any) -> Array:
    """``x @ kernel``; over few inputs as a sum of products, which XLA fuses.

    On a CPU a matrix product over 2 inputs, and above all its gradient, costs several
    times as much as the arithmetic.
    """
    inputs = x.shape[-1]
    if not 0 < inputs <= THIN:
        return lax.dot_general(x, kernel, *args, **kwargs)
    dtype = jnp.result_type(x, kernel)
    wide = jnp.promote_types(dtype, jnp.float32)  # half floats are summed in float32
    columns = jnp.split(x.astype(wide), inputs, -1)
    pairs = zip(columns, jnp.split(kernel.astype(wide), inputs), strict=True)
    products = [lax.dot_general(*pair, *args, **kwargs) for pair in pairs]
    return jnp.asarray(sum(products)).astype(dtype)
