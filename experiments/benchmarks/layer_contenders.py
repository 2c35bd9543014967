"""One noise layer on 2**20 elements: ``x + 0.1 * noise``, and what it is held against.

Each contender compiles where its framework does so in training, runs on all cores, and
repeats the layer until a repeat takes some tens of milliseconds.
"""

from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from worker import Contender, Options, Repeat, compiled_by

STDDEV = 0.1


def again(call: Repeat, options: Options) -> Contender:
    """So many calls, of which the first compiles; a repeat to warm up."""
    notes = compiled_by(call)

    def repeat() -> None:
        for _ in range(options["calls"]):
            call()

    repeat()
    return repeat, notes


def in_jax(name: str, options: Options) -> Contender:
    """Our function, that of JAX, or the array copied, which is the floor.

    Under jit, with a new key each time.
    """
    import jax
    import jax.numpy as jnp

    import jaxnoise as jn

    normal = jax.random.normal
    layers: dict[str, Any] = {
        "jaxnoise": lambda key, x: jn.add_gaussian_noise(key, x, STDDEV),
        "jax.random.normal": lambda k, x: x + STDDEV * normal(k, x.shape, x.dtype),
        "copy": lambda key, x: x.copy(),
    }
    x = jnp.zeros(options["elements"], options["dtype"])
    keys = cycle([jax.random.key(seed) for seed in range(options["calls"])])
    layer = jax.jit(layers[name])
    return again(lambda: jax.block_until_ready(layer(next(keys), x)), options)


def keras(options: Options) -> Contender:
    """``GaussianNoise``, compiled as in `fit`."""
    import keras

    layer = keras.layers.GaussianNoise(STDDEV, dtype=options["dtype"])
    x = keras.ops.zeros((options["elements"],), options["dtype"])
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        layer.build(x.shape)
        state = [v.value for v in layer.non_trainable_variables]
        run = jax.jit(lambda s, x: layer.stateless_call([], s, x, training=True))

        def once() -> None:
            nonlocal state
            y, state = run(state, x)
            jax.block_until_ready(y)

        return again(once, options)
    noisy = partial(layer, training=True)
    if backend == "tensorflow":
        import tensorflow as tf

        noisy = tf.function(noisy)
    return again(lambda: noisy(x), options)


def torch(options: Options) -> Contender:
    """``x + 0.1 * randn_like(x)``."""
    import torch

    torch.set_num_threads(options["threads"])
    x = torch.zeros(options["elements"], dtype=getattr(torch, options["dtype"]))
    repeat, _ = again(lambda: x + STDDEV * torch.randn_like(x), options)
    return repeat, {}


def numpy(options: Options) -> Contender:
    """NumPy's generator, in float32."""
    generator = np.random.default_rng(0)
    x = np.zeros(options["elements"], np.float32)
    stddev, normal = np.float32(STDDEV), generator.standard_normal
    repeat, _ = again(lambda: x + stddev * normal(x.size, np.float32), options)
    return repeat, {}


IN_JAX = ("jaxnoise", "jax.random.normal", "copy")
CONTENDERS = {name: partial(in_jax, name) for name in IN_JAX} | {
    "Keras": keras,
    "PyTorch": torch,
    "NumPy": numpy,
}
