"""Every noise, layer and model exports with symbolic sizes, for the same numbers."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export

import jaxnoise as jn

KEY = jax.random.key(0)
NOISE = jn.GaussianNoise(0.1)
X = jax.random.normal(KEY, (3, 5, 4))
FUNCTIONS = {
    "gaussian": partial(jn.add_gaussian_noise, stddev=0.1),
    "any": partial(jn.add_noise, scale=0.1, sampler=jax.random.laplace),
    "correlated": partial(jn.add_correlated_noise, stddev=0.1, correlation=0.5, axis=1),
    "impulses": partial(jn.salt_and_pepper, rate=0.5, low=0.0, high=1.0),
    "multiplied": partial(jn.multiply_gaussian_noise, stddev=0.1),
    "dropped": partial(jn.drop_units, rate=0.5, shared_axes=1),
    "alpha": partial(jn.alpha_dropout, rate=0.5),
    "neftune": partial(jn.neftune_noise, alpha=5.0),
    "relative": partial(jn.relative(jn.add_gaussian_noise, "feature"), stddev=0.1),
    "clipped": partial(jn.clipped(jn.add_gaussian_noise, 0, 1), stddev=0.1),
    "labels": lambda key, x: jn.flip_labels(key, (x > 0) * 1, 0.5, num_classes=2),
    "weights": lambda key, x: jn.tree_add_gaussian_noise(key, [x], 0.1)[0],
    "swapped": partial(jn.swap_noise, rate=0.5),
    "blocks": partial(jn.block_mask, axes=(1, 2), width=(1, 3), count=2, fill=7.0),
    "targets": partial(jn.target_noise, stddev=0.1, rate=0.5),
    "nnx": lambda key, x: jn.nnx.GaussianNoise(0.1, rngs=nnx.Rngs(noise=key))(x),
}
MODELS = {  # with the symbolic axes of its x
    "MLP": (jn.MLP((5,), 1, NOISE, NOISE, NOISE), "b, 4", X[:, 0]),
    "CNN": (jn.CNN((5,), 1, NOISE, NOISE, NOISE, NOISE), "b, 4, 1", X[:, 0, :, None]),
    "LSTM": (jn.RNN((5, 5), 1, NOISE, NOISE, NOISE), "b, t, 4", X),
    "GRU": (jn.RNN((5,), 1, NOISE, NOISE, NOISE, cell=nn.GRUCell), "b, t, 4", X),
    "NoisyDense": (jn.NoisyDense(5), "b, t, 4", X),
    "DropConnect": (jn.DropConnectDense(5, 0.5, "sample"), "b, t, 4", X),
}


def exported(function, sizes, x):
    shape = export.symbolic_shape(sizes)
    program = export.export(jax.jit(function))(jax.ShapeDtypeStruct(shape, x.dtype))
    return program.call(x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    call = partial(FUNCTIONS[name], KEY)
    np.testing.assert_allclose(exported(call, "b, t, 4", X), call(X), rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("train", [True, False])
def test_models(name, train):
    model, sizes, x = MODELS[name]
    variables = model.init(KEY, x, train=False)
    call = partial(model.apply, variables, train=train, rngs={"noise": KEY})
    np.testing.assert_allclose(exported(call, sizes, x), call(x), rtol=1e-4, atol=1e-6)


def test_lengths_of_a_symbolic_number():
    model, _, x = MODELS["LSTM"]
    variables, lengths = model.init(KEY, x, train=False), jnp.array([1, 5, 3])
    call = partial(model.apply, variables, train=False)
    batch, steps = export.symbolic_shape("b, t")
    series = jax.ShapeDtypeStruct((batch, steps, 4), x.dtype)
    rows = jax.ShapeDtypeStruct((batch,), lengths.dtype)
    program = export.export(jax.jit(call))((series, rows))
    np.testing.assert_allclose(
        program.call((x, lengths)), call((x, lengths)), rtol=1e-4, atol=1e-6
    )
