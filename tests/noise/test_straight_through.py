"""Values of the noisy, derivatives of the clean."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnoise as jn
from jaxnoise.noise.wrappers import with_gradient_of

X, W = jnp.array([[1.0, 2.0], [3.0, -1.0]]), jnp.array([[0.5], [-0.3]])
NOISY = X + jnp.array([[0.1, -0.2], [0.3, 0.4]])


def test_value_and_gradients():
    product = jn.straight_through(jnp.matmul)
    np.testing.assert_array_equal(product(X, NOISY, W), NOISY @ W)

    def total(x, noisy, w):
        return (product(x, noisy, w) ** 2).sum()

    by_x, by_noisy, by_w = jax.grad(total, (0, 1, 2))(X, NOISY, W)
    delta = 2 * (NOISY @ W)
    np.testing.assert_allclose(by_w, X.T @ delta, rtol=1e-6)  # not (x + e)' delta
    np.testing.assert_allclose(by_x, delta @ W.T, rtol=1e-6)
    np.testing.assert_array_equal(by_noisy, jnp.zeros_like(NOISY))


def test_nonlinear_functions_and_pytrees():
    def f(tree, scale=1.0):
        return {"out": scale * jnp.tanh(tree["a"]), "count": jnp.int32(3)}

    g = jn.straight_through(f)
    clean, noisy = {"a": jnp.array(0.5)}, {"a": jnp.array(2.0)}
    out = g(clean, noisy, scale=2.0)
    assert out["count"] == 3
    np.testing.assert_allclose(out["out"], 2 * np.tanh(2.0), rtol=1e-6)
    slope = jax.grad(lambda c: g(c, noisy)["out"])(clean)["a"]
    np.testing.assert_allclose(slope, 1 - np.tanh(0.5) ** 2, rtol=1e-6)


def test_transformations():
    product = jn.straight_through(jnp.matmul)
    batched = jax.jit(jax.vmap(product, (0, 0, None)))
    np.testing.assert_allclose(batched(X, NOISY, W), NOISY @ W, rtol=1e-6)
    _, tangent = jax.jvp(lambda w: product(X, NOISY, w), (W,), (jnp.ones_like(W),))
    np.testing.assert_allclose(tangent, X @ jnp.ones_like(W), rtol=1e-6)


def test_a_layer_inside_a_module(key):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            dense = nn.Dense(3)
            noisy = jn.GaussianNoise(0.5)(x, train=train)
            return jn.straight_through(dense)(x, noisy)

    net = Net()
    variables = net.init(key, X, train=False)
    dense = nn.Dense(3)
    inner = {"params": variables["params"]["Dense_0"]}
    np.testing.assert_allclose(
        net.apply(variables, X, train=False), dense.apply(inner, X), rtol=1e-6
    )

    def total(params):
        out = net.apply({"params": params}, X, train=True, rngs={"noise": key})
        return out.sum()

    gradient = jax.grad(total)(variables["params"])["Dense_0"]["kernel"]
    np.testing.assert_allclose(gradient, X.T @ jnp.ones((2, 3)), rtol=1e-6)


def test_infinite_values_pass():
    value = with_gradient_of(jnp.array(1.0), jnp.array(jnp.inf))
    assert value == 1


@pytest.mark.bad_input
def test_no_function():
    with pytest.raises(TypeError, match="f must be a function, got 0.1"):
        jn.straight_through(0.1)
