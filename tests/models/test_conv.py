"""Conv: Flax's layer in every value and derivative, and what it is compiled to."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

import jaxnoise as jn

IMAGE = (2, 6, 5, 2)
CASES = {  # the layer's fields, and the shape of its inputs
    "1-D": ({"kernel_size": 3}, (2, 7, 2)),
    "2-D": ({}, IMAGE),
    "3-D": ({"kernel_size": (2, 1, 2)}, (1, 4, 3, 3, 2)),
    "strides": ({"strides": (2, 3)}, (2, 7, 8, 2)),
    "valid": ({"padding": "VALID", "strides": 2}, IMAGE),
    "valid and too small": ({"padding": "VALID"}, (2, 1, 5, 2)),
    "circular": ({"padding": "CIRCULAR"}, IMAGE),
    "causal": (
        {"kernel_size": 2, "padding": "CAUSAL", "kernel_dilation": 2},
        (2, 7, 2),
    ),
    "padding of ints": ({"padding": 2}, IMAGE),
    "uneven padding": ({"padding": ((0, 2), (-1, 1))}, IMAGE),
    "dilated kernel": ({"kernel_dilation": (2, 1), "strides": (1, 2)}, (2, 7, 6, 2)),
    "dilated inputs": ({"input_dilation": 2, "padding": 1}, IMAGE),
    "groups": ({"feature_group_count": 2}, IMAGE),
    "no bias": ({"use_bias": False}, IMAGE),
    "no batch axis": ({}, IMAGE[1:]),
    "two batch axes": ({}, (2, *IMAGE)),
    "bfloat16": ({"dtype": jnp.bfloat16}, IMAGE),
}


def pair(**fields):
    """Our layer and Flax's, of the same fields."""
    fields = {"features": 4, "kernel_size": (3, 2), **fields}
    return jn.Conv(**fields), nn.Conv(**fields)


def loss(layer):
    """A number of a layer's parameters and inputs."""
    return lambda *at: jnp.sum(jnp.sin(layer.apply(*at).astype(jnp.float32)))


def assert_close(ours, theirs, tolerance=1e-5):
    """Equal up to ``tolerance`` of the largest value of an array."""

    def close(a, b):
        assert a.dtype == b.dtype
        a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
        scale = max(1, abs(b).max(initial=0))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)

    jax.tree.map(close, ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_is_the_layer_of_flax(case, drawn_variables, key):
    fields, shape = CASES[case]
    x = jax.random.normal(key, shape)
    ours, theirs = pair(**fields)
    variables = drawn_variables(theirs, x)
    np.testing.assert_array_equal(ours.apply(variables, x), theirs.apply(variables, x))
    gradients = jax.jit(
        lambda *at: [jax.grad(loss(layer), (0, 1))(*at) for layer in (ours, theirs)]
    )(variables, x)
    assert_close(*gradients, 2**-6 if "dtype" in fields else 1e-5)  # of 8 bits


def test_derivatives_along_a_direction(drawn_variables, key):
    """The first one forwards, and that of the gradient."""
    ours, theirs = pair()
    x = jax.random.normal(key, IMAGE)
    at = drawn_variables(theirs, x), x
    along = jax.tree.map(jnp.cos, at)

    def derivatives(layer):
        first = jax.jvp(layer.apply, at, along)
        return first, jax.jvp(jax.grad(loss(layer), (0, 1)), at, along)

    assert_close(*jax.jit(lambda: [derivatives(ours), derivatives(theirs)])())


def test_mapped_and_in_a_loop(drawn_variables, key):
    """Weights of several runs under vmap, and a gradient within a scan."""
    x = jax.random.normal(key, (3, *IMAGE))

    def descent(layer):
        def step(variables, x):
            gradient = jax.grad(loss(layer))(variables, x)
            return jax.tree.map(lambda w, g: w - 0.1 * g, variables, gradient), ()

        return jax.jit(jax.vmap(lambda variables: lax.scan(step, variables, x)[0]))

    ours, theirs = pair()
    one = drawn_variables(theirs, x[0])
    variables = jax.tree.map(lambda leaf: np.stack([leaf, -leaf]), one)
    assert_close(descent(ours)(variables), descent(theirs)(variables))


def test_takes_the_place_of_the_layer_of_flax(key):
    """Initial parameters are the same, also in their names within a network."""

    def parameters(layer):
        network = nn.Sequential([layer(2, (3, 3))])
        return network.init(key, jnp.ones(IMAGE))

    ours, theirs = jax.jit(lambda: [parameters(jn.Conv), parameters(nn.Conv)])()
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_what_it_is_compiled_to(platform, drawn_variables):
    """XLA's convolutions, but in derivatives for a CPU."""
    layer, _ = pair()
    x = jnp.ones(IMAGE)
    variables = drawn_variables(layer, x)

    def program(function):
        exported = export.export(jax.jit(function), platforms=[platform])
        return exported(variables, x).mlir_module()

    derived = program(jax.value_and_grad(loss(layer), (0, 1)))
    assert "stablehlo.convolution" in program(layer.apply)
    assert ("stablehlo.convolution" in derived) == (platform != "cpu")
