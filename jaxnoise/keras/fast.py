"""Keras' convolutions and poolings with the gradients of ours, for a model's calls.

Keras' layers look both up in their backend by name at each call, and have no other
place for a way of one's own: so they are put there for the time of a call.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
from jaxtyping import Array

from jaxnoise.models.cnn import max_pool
from jaxnoise.models.conv import conv_general_dilated
from jaxnoise.noise.keras import keras

backend = keras.src.backend
lock = threading.RLock()  # of what is Keras' own, while something of ours stands there


@contextmanager
def fast_gradients() -> Iterator[None]:
    """Keras' convolutions and poolings have gradients that are fast in loops on a CPU.

    They are derived by patches and by reshaping, where they have such forms.
    """
    nn = backend.nn
    with lock:
        plain = nn.conv, nn.max_pool
        nn.conv, nn.max_pool = partial(_conv, plain[0]), partial(_pool, plain[1])
        try:
            yield
        finally:
            nn.conv, nn.max_pool = plain


def _conv(
    plain: Any,
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Array:
    if not _is_last(data_format) or inputs.shape[-1] != kernel.shape[-2]:
        return plain(inputs, kernel, strides, padding, data_format, dilation_rate)
    kernel = backend.convert_to_tensor(kernel)
    rank = inputs.ndim - 2
    rows, window = (0, rank + 1, *range(1, rank + 1)), (rank + 1, rank)
    return conv_general_dilated(
        backend.convert_to_tensor(inputs, kernel.dtype),
        kernel,
        _of_axes(strides, rank),
        padding.upper(),
        lhs_dilation=(1,) * rank,
        rhs_dilation=_of_axes(dilation_rate, rank),
        dimension_numbers=jax.lax.ConvDimensionNumbers(
            rows, (*window, *range(rank)), rows
        ),
    )


def _pool(
    plain: Any,
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: Any = "valid",
    data_format: Any = None,
) -> Array:
    rank = inputs.ndim - 2
    sizes = _of_axes(pool_size, rank)
    apart = strides is None or _of_axes(strides, rank) == sizes
    if apart and padding == "valid" and _is_last(data_format):
        return max_pool(inputs, sizes)
    return plain(inputs, pool_size, strides, padding, data_format)


def _is_last(data_format: Any) -> bool:
    return backend.standardize_data_format(data_format) == "channels_last"


def _of_axes(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)
