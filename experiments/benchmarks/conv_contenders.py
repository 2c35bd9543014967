"""Training steps of a small convolutional network, in a compiled loop and call by call.

Every contender descends from the same weights on the same 32 images: two convolutions
of 3 x 3 with 16 and 32 channels, each with ReLU and pooling by 2, then a dense layer.
All take as many steps and return the last loss, which shows that they are the same.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from worker import Repeat, compiled_by

ROWS, CLASSES, LEARNING_RATE = 32, 10, 0.01


def problem(options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Images, labels, and the first weights."""
    generator = np.random.default_rng(0)
    size = options["size"]
    images = generator.standard_normal((ROWS, size, size, 1), np.float32)
    shapes = {
        "conv_0": (3, 3, 1, 16),
        "conv_1": (3, 3, 16, 32),
        "output": ((size // 4) ** 2 * 32, CLASSES),
    }
    params = {}
    for name, shape in shapes.items():
        scale = np.float32((2 / np.prod(shape[:-1])) ** 0.5)
        kernel = scale * generator.standard_normal(shape, np.float32)
        params[name] = {"kernel": kernel, "bias": np.zeros(shape[-1], np.float32)}
    return images, generator.integers(CLASSES, size=ROWS), params


def flax_step(layer: Any, options: dict[str, Any]) -> tuple[Callable[[Any], Any], Any]:
    """A step, ``params -> (params, loss)``, with a convolution of Flax's kind."""
    import flax.linen as nn
    import jax
    import optax

    images, labels, params = problem(options)

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for i, channels in enumerate((16, 32)):
                x = nn.relu(layer(channels, (3, 3), name=f"conv_{i}")(x))
                rows, n, _, _ = x.shape
                # a maximum of windows would be slow in a loop itself
                x = x.reshape(rows, n // 2, 2, n // 2, 2, channels).max((2, 4))
            return nn.Dense(CLASSES, name="output")(x.reshape(len(x), -1))

    def loss(params: Any) -> Any:
        logits = Network().apply({"params": params}, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def step(params: Any) -> tuple[Any, Any]:
        value, gradient = jax.value_and_grad(loss)(params)
        moved = jax.tree.map(lambda w, g: w - LEARNING_RATE * g, params, gradient)
        return moved, value

    return step, jax.tree.map(jax.numpy.asarray, params)


def in_a_loop(layer: Any, options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """All steps as one compiled loop."""
    import jax

    step, params = flax_step(layer, options)
    run = jax.jit(
        lambda params: jax.lax.scan(
            lambda params, _: step(params), params, length=options["steps"]
        )[1][-1]
    )
    return (lambda: float(run(params))), compiled_by(lambda: float(run(params)))


def jaxnoise(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """`jaxnoise.Conv` in a loop."""
    import jaxnoise as jn

    return in_a_loop(jn.Conv, options)


def flax_in_a_loop(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """`flax.linen.Conv` in a loop."""
    import flax.linen as nn

    return in_a_loop(nn.Conv, options)


def flax_by_calls(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """`flax.linen.Conv`, a compiled step that Python calls."""
    import flax.linen as nn
    import jax

    step, first = flax_step(nn.Conv, options)
    step = jax.jit(step)

    def repeat() -> float:
        params = first
        for _ in range(options["steps"]):
            params, loss = step(params)
        return float(loss)

    return repeat, compiled_by(lambda: jax.block_until_ready(step(first)))


def torch(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """PyTorch's loop; ``channels_last`` is how its arrays lie in memory."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(options["threads"])
    form = torch.channels_last if options["channels_last"] else torch.contiguous_format
    images, labels, first = problem(options)
    x = torch.tensor(images).permute(0, 3, 1, 2).contiguous(memory_format=form)
    y = torch.tensor(labels)
    tensors = partial(torch.tensor, requires_grad=True)

    def weights(layer: dict[str, np.ndarray]) -> list[Any]:
        kernel = layer["kernel"]
        if kernel.ndim == 4:
            kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        return [tensors(kernel), tensors(layer["bias"])]

    def repeat() -> float:
        layers = [weights(layer) for layer in first.values()]
        params = [tensor for layer in layers for tensor in layer]
        for _ in range(options["steps"]):
            h = x
            for kernel, bias in layers[:2]:
                h = torch.relu(functional.conv2d(h, kernel, bias, padding=1))
                h = functional.max_pool2d(h, 2)
            rows = h.permute(0, 2, 3, 1).reshape(ROWS, -1)
            loss = functional.cross_entropy(rows @ layers[2][0] + layers[2][1], y)
            gradients = torch.autograd.grad(loss, params)
            with torch.no_grad():
                for tensor, gradient in zip(params, gradients, strict=True):
                    tensor -= LEARNING_RATE * gradient
        return float(loss)

    return repeat, {}


CONTENDERS = {
    "jaxnoise": jaxnoise,
    "nn.Conv in a loop": flax_in_a_loop,
    "nn.Conv, a call a step": flax_by_calls,
    "PyTorch": torch,
}
