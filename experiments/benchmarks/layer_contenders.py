"""One noise layer on 2**20 elements: ``x + 0.1 * noise``, and what it is held against.

Each contender compiles where its framework does so in training, runs on all cores, and
repeats the layer until a repeat takes some tens of milliseconds.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from worker import Repeat, compiled_by

STDDEV = 0.1


def in_jax(layer: Callable[..., Any], options: dict[str, Any]) -> tuple[Repeat, dict]:
    """``layer(key, x)`` under jit, with a new key each time."""
    import jax
    import jax.numpy as jnp

    x = jnp.zeros(options["size"], options["dtype"])
    keys = [jax.random.key(seed) for seed in range(options["calls"])]
    jitted = jax.jit(layer)
    notes = compiled_by(lambda: jax.block_until_ready(jitted(keys[0], x)))

    def repeat() -> None:
        for key in keys:
            jax.block_until_ready(jitted(key, x))

    repeat()
    return repeat, notes


def jaxnoise(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """Our function."""
    import jaxnoise as jn

    return in_jax(lambda key, x: jn.add_gaussian_noise(key, x, STDDEV), options)


def jax_normal(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """``jax.random.normal``."""
    import jax

    return in_jax(
        lambda key, x: x + STDDEV * jax.random.normal(key, x.shape, x.dtype), options
    )


def copy(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """The array copied: the floor."""
    return in_jax(lambda key, x: x.copy(), options)


def keras(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """``GaussianNoise``, compiled as in `fit`; ``KERAS_BACKEND`` says on what."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    layer = keras.layers.GaussianNoise(STDDEV, dtype=options["dtype"])
    x = keras.ops.zeros((options["size"],), options["dtype"])
    calls = range(options["calls"])
    if keras.backend.backend() == "jax":
        import jax

        layer.build(x.shape)
        state = [v.value for v in layer.non_trainable_variables]
        run = jax.jit(lambda s, x: layer.stateless_call([], s, x, training=True))

        def once() -> None:
            nonlocal state
            y, state = run(state, x)
            jax.block_until_ready(y)

    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        graph = tf.function(lambda x: layer(x, training=True))

        def once() -> None:
            graph(x)

    else:

        def once() -> None:
            layer(x, training=True)

    def repeat() -> None:
        for _ in calls:
            once()

    notes = compiled_by(once)
    repeat()
    return repeat, notes


def torch(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """``x + 0.1 * randn_like(x)``."""
    import torch

    torch.set_num_threads(options["threads"])
    x = torch.zeros(options["size"], dtype=getattr(torch, options["dtype"]))

    def repeat() -> None:
        for _ in range(options["calls"]):
            x + STDDEV * torch.randn_like(x)

    repeat()
    return repeat, {}


def numpy(options: dict[str, Any]) -> tuple[Repeat, dict[str, Any]]:
    """NumPy's generator, in float32."""
    generator = np.random.default_rng(0)
    x = np.zeros(options["size"], np.float32)

    def repeat() -> None:
        for _ in range(options["calls"]):
            x + np.float32(STDDEV) * generator.standard_normal(x.size, np.float32)

    return repeat, {}


CONTENDERS = {
    "jaxnoise": jaxnoise,
    "jax.random.normal": jax_normal,
    "Keras": keras,
    "PyTorch": torch,
    "NumPy": numpy,
    "copy": copy,
}
