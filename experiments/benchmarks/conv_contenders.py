"""Training steps of a small convolutional network, in a compiled loop and call by call.

Every contender descends from the same weights on the same 32 images: two convolutions
of 3 x 3 with 16 and 32 channels, each with ReLU and pooling by 2, then a dense layer.
All take as many steps and return the last loss, which shows that they are the same.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from worker import Contender, Options, compiled_by

ROWS, CLASSES, CHANNELS, LEARNING_RATE = 32, 10, (16, 32), 0.01


def problem(options: Options) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Images, labels, and the first weights."""
    generator = np.random.default_rng(0)
    size = options["size"]
    images = generator.standard_normal((ROWS, size, size, 1), np.float32)
    shapes = {
        "conv_0": (3, 3, 1, CHANNELS[0]),
        "conv_1": (3, 3, *CHANNELS),
        "output": ((size // 4) ** 2 * CHANNELS[1], CLASSES),
    }
    params = {}
    for name, shape in shapes.items():
        scale = np.float32((2 / np.prod(shape[:-1])) ** 0.5)
        kernel = scale * generator.standard_normal(shape, np.float32)
        params[name] = {"kernel": kernel, "bias": np.zeros(shape[-1], np.float32)}
    return images, generator.integers(CLASSES, size=ROWS), params


def flax_step(ours: bool, options: Options) -> tuple[Callable[[Any], Any], Any]:
    """A step, ``params -> (params, loss)``, by `jaxnoise.Conv` or `flax.linen.Conv`."""
    import flax.linen as nn
    import jax
    import optax

    import jaxnoise as jn

    images, labels, params = problem(options)
    conv = jn.Conv if ours else nn.Conv

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for i, channels in enumerate(CHANNELS):
                x = nn.relu(conv(channels, (3, 3), name=f"conv_{i}")(x))
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


def in_a_loop(ours: bool, options: Options) -> Contender:
    """All steps as one compiled loop."""
    import jax

    step, params = flax_step(ours, options)
    run = jax.jit(
        lambda params: jax.lax.scan(
            lambda params, _: step(params), params, length=options["steps"]
        )[1][-1]
    )
    return (lambda: float(run(params))), compiled_by(lambda: float(run(params)))


def by_calls(options: Options) -> Contender:
    """A compiled step that Python calls."""
    import jax

    step, first = flax_step(False, options)
    step = jax.jit(step)

    def repeat() -> float:
        params = first
        for _ in range(options["steps"]):
            params, loss = step(params)
        return float(loss)

    return repeat, compiled_by(lambda: jax.block_until_ready(step(first)))


def torch(options: Options) -> Contender:
    """PyTorch's loop; ``channels_last`` is how its arrays lie in memory."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(options["threads"])
    form = torch.channels_last if options["channels_last"] else torch.contiguous_format
    images, labels, first = problem(options)
    x = torch.tensor(images).permute(0, 3, 1, 2).contiguous(memory_format=form)
    y = torch.tensor(labels)
    weights = [each for layer in first.values() for each in layer.values()]
    weights = [np.moveaxis(w, (3, 2), (0, 1)) if w.ndim == 4 else w for w in weights]

    def repeat() -> float:
        params = [torch.tensor(each, requires_grad=True) for each in weights]
        for _ in range(options["steps"]):
            h = x
            for kernel, bias in (params[:2], params[2:4]):
                h = torch.relu(functional.conv2d(h, kernel, bias, padding=1))
                h = functional.max_pool2d(h, 2)
            rows = h.permute(0, 2, 3, 1).reshape(ROWS, -1)
            loss = functional.cross_entropy(rows @ params[4] + params[5], y)
            gradients = torch.autograd.grad(loss, params)
            with torch.no_grad():
                for param, gradient in zip(params, gradients, strict=True):
                    param -= LEARNING_RATE * gradient
        return float(loss)

    return repeat, {}


CONTENDERS = {
    "jaxnoise": partial(in_a_loop, True),
    "nn.Conv in a loop": partial(in_a_loop, False),
    "nn.Conv, a call a step": by_calls,
    "PyTorch": torch,
}
