"""Convolutions that train fast on a CPU, too."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, no_type_check

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxnoise.pickling import Pickled

Padding = str | Sequence[tuple[int, int]]


def conv_general_dilated(
    x: Array, kernel: Array, strides: Sequence[int], padding: Padding, **settings: Any
) -> Array:
    """`jax.lax.conv_general_dilated` of a Flax layer, derived by patches on a CPU.

    Of (rows, *space, channels) and a kernel (*window, channels, features).

    In a loop, XLA's CPU compiler computes the gradients of a convolution five to a
    hundred times as slowly as a matrix product of patches, but its value fast. So
    the value alone is XLA's, and patches are made where a derivative is asked for.
    Channel groups and dilated inputs are left to XLA.
    """
    given = {"window_strides": strides, "padding": padding, **settings}
    by_xla: Callable[..., Array] = partial(lax.conv_general_dilated, **given)
    grouped = settings.get("feature_group_count", 1) != 1
    if grouped or set(settings["lhs_dilation"]) != {1}:
        return by_xla(x, kernel)
    ways: dict[str, Any] = {"cpu": partial(_by_patches, **given), "default": by_xla}

    @jax.custom_jvp
    def conv(x: Array, kernel: Array) -> Array:
        return by_xla(x, kernel)

    @conv.defjvp
    def jvp(primals: Any, tangents: Any) -> Any:
        derived = {platform: partial(jax.jvp, way) for platform, way in ways.items()}
        return lax.platform_dependent(primals, tangents, **derived)

    return conv(x, kernel)


def _by_patches(x: Array, kernel: Array, **settings: Any) -> Array:
    """The windows as rows, times the kernel as a matrix."""
    window, dilation = kernel.shape[:-2], settings["rhs_dilation"]
    strides, padding = settings["window_strides"], settings["padding"]
    extent = [(n - 1) * d + 1 for n, d in zip(window, dilation, strict=True)]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:-1], extent, strides, padding)
    edges = [(low, high, 0) for low, high in ((0, 0), *padding, (0, 0))]
    x = lax.pad(x, jnp.zeros((), x.dtype), edges)  # a negative edge cuts off
    space = zip(x.shape[1:-1], extent, strict=True)
    spans = [max(size - reach + 1, 0) for size, reach in space]
    patches = []
    for offset in np.ndindex(*window):
        start = [at * d for at, d in zip(offset, dilation, strict=True)]
        steps = zip(start, spans, strides, strict=True)
        taken = [slice(at, at + span, stride) for at, span, stride in steps]
        patches.append(x[:, *taken])
    rows = jnp.concatenate(patches, axis=-1)
    matrix = kernel.reshape(-1, kernel.shape[-1])
    return jnp.matmul(rows, matrix, precision=settings.get("precision"))


@no_type_check  # a type of Flax's fields cannot be checked at run time
class Conv(Pickled, nn.Conv):
    """`flax.linen.Conv`, with fast gradients on a CPU.

    Fields, parameters and results are those of Flax's layer, so that one takes the
    place of the other. Where it is derived on a CPU, it makes patches and one matrix
    product, and keeps the patches for the backward pass: as many values as the window
    has positions, for each input. Values alone, and everything on other platforms,
    are XLA's own convolutions, as are ``feature_group_count`` and ``input_dilation``
    other than 1.

    Reference: K. Chellapilla, S. Puri, P. Simard, "High performance convolutional
        neural networks for document processing", 2006, of patches and one product.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.Conv(features=16, kernel_size=(3, 3))
        >>> y, variables = layer.init_with_output(
        ...     jax.random.key(0), jnp.ones((2, 8, 8, 1))
        ... )
        >>> y.shape, variables["params"]["kernel"].shape
        ((2, 8, 8, 16), (3, 3, 1, 16))
    """

    conv_general_dilated: Any = conv_general_dilated
