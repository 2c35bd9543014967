"""The MLP: its sites, its shapes, and what it costs without noise."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnoise as jn

SITES = ("input_noise", "hidden_noise", "activation_noise")


def init(model, inputs):
    return jax.jit(lambda: model.init(jax.random.key(0), inputs, train=False))()


@pytest.fixture(scope="module")
def variables():
    return init(jn.MLP((5, 4), 3), jnp.ones((1, 2)))


def layers(variables, x):
    """The formula, in NumPy, with a hook before and after each activation."""
    p = jax.tree.map(np.asarray, variables["params"])

    def dense(name, x):
        return x @ p[name]["kernel"] + p[name]["bias"]

    def forward(at_input=0.0, before=0.0, after=0.0):
        hidden = x + at_input
        for i in range(2):
            hidden = np.maximum(dense(f"hidden_{i}", hidden) + before, 0) + after
        return dense("output", hidden)

    return forward


def test_where_noise_enters(variables, shift, key):
    x = np.asarray(jax.random.normal(key, (6, 2)))
    forward = layers(variables, x)
    amounts = {"at_input": 0.5, "before": 0.3, "after": -0.2}
    for site, (hook, amount) in zip(SITES, amounts.items(), strict=True):
        model = jn.MLP((5, 4), 3, **{site: shift(amount)})
        noisy = model.apply(variables, x, train=True, rngs={"noise": key})
        np.testing.assert_allclose(
            noisy, forward(**{hook: amount}), rtol=1e-4, atol=1e-5
        )
        clean = model.apply(variables, x, train=False)
        np.testing.assert_allclose(clean, forward(), rtol=1e-4, atol=1e-5)
    everywhere = jn.MLP(
        (5, 4), 3, *(shift(amount) for amount in amounts.values())
    ).apply(variables, x, train=True, rngs={"noise": key})
    np.testing.assert_allclose(everywhere, forward(**amounts), rtol=1e-4, atol=1e-5)


def test_residual_layers_and_where_their_noise_enters(key):
    """``h + noise(f(h))`` where the width is that of what comes in; else f alone."""
    x = np.asarray(jax.random.normal(key, (6, 3)))
    variables = init(jn.MLP((3, 4, 4), 2), x)
    p = jax.tree.map(np.asarray, variables["params"])

    def forward(factor):
        hidden = x
        for i in range(3):
            kernel, bias = p[f"hidden_{i}"]["kernel"], p[f"hidden_{i}"]["bias"]
            new = np.maximum(hidden @ kernel + bias, 0)
            hidden = new if i == 1 else hidden + factor * new
        return hidden @ p["output"]["kernel"] + p["output"]["bias"]

    twice = jn.Noise(lambda key, x: 2 * x)
    model = jn.MLP((3, 4, 4), 2, residual=True, residual_noise=twice)
    for train in (False, True):
        out = model.apply(variables, x, train=train, rngs={"noise": key})
        np.testing.assert_allclose(out, forward(1 + train), rtol=1e-4, atol=1e-5)


def test_noise_does_not_change_initial_weights(variables):
    for site in SITES:
        model = jn.MLP((5, 4), 3, **{site: jn.GaussianNoise(0.1)})
        same = init(model, jnp.ones((1, 2)))
        jax.tree.map(np.testing.assert_array_equal, same, variables)


def test_keras_initialisation():
    """Glorot-uniform kernels, ``|w| <= sqrt(6 / (in + out))``, and zero biases."""
    params = init(jn.MLP((500,), 1), jnp.ones((1, 2)))["params"]
    limit = np.sqrt(6 / 502)
    kernel = params["hidden_0"]["kernel"]
    assert kernel.shape == (2, 500)
    assert 0.95 * limit < abs(kernel).max() <= limit
    assert not params["hidden_0"]["bias"].any()
    assert not params["output"]["bias"].any()


def test_no_noise_costs_nothing(variables):
    def program(model):
        return str(
            jax.make_jaxpr(
                lambda x: model.apply(
                    variables, x, train=True, rngs={"noise": jax.random.key(0)}
                )
            )(jnp.ones((6, 2)))
        )

    draws = "platform_index"  # how standard normals are drawn depends on it
    silent = program(jn.MLP((5, 4), 3))
    assert draws not in silent
    assert "random" not in silent.replace("random_seed", "")
    assert draws in program(jn.MLP((5, 4), 3, jn.GaussianNoise(0.1)))


@pytest.mark.parametrize("inputs", [1, 4, 5])
def test_few_inputs_change_no_value_and_no_gradient(inputs, key):
    """Up to 4 inputs, a dense layer is a sum of products."""
    x = jax.random.normal(key, (7, inputs))
    ours, flax = jn.MLP((), 3), nn.Dense(3)
    params = flax.init(key, x)["params"]

    def loss(apply):
        return lambda params, x: (apply(params, x) ** 2).sum()

    mine = loss(lambda p, x: ours.apply({"params": {"output": p}}, x, train=False))
    theirs = loss(lambda p, x: flax.apply({"params": p}, x))
    derivatives = (jax.grad, jax.hessian)
    found, expected = jax.jit(
        lambda *at: [[d(f, (0, 1))(*at) for d in derivatives] for f in (mine, theirs)]
    )(params, x)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        found,
        expected,
    )


def test_linear_model_and_other_parts(key):
    x = jnp.ones((6, 2))
    linear = jn.MLP((), 2)
    assert linear.apply(linear.init(key, x, train=False), x, train=False).shape == (
        6,
        2,
    )
    tanh = jn.MLP([4], 1, activation=nn.tanh, kernel_init=nn.initializers.ones)
    out = tanh.apply(tanh.init(key, x, train=False), x, train=False)
    np.testing.assert_allclose(out, 4 * np.tanh(2) * np.ones((6, 1)), rtol=1e-5)


def test_rows_of_several_axes_are_read_as_vectors(key):
    """Noise on the inputs falls on them as they are, such as on whole channels."""
    images = jax.random.normal(key, (3, 2, 2, 4))
    noise = jn.GaussianNoise(0.1, shared_axes=(1, 2))
    model = jn.MLP((5,), 2, input_noise=noise)
    vectors = images.reshape(3, -1)
    variables = init(model, images)
    assert variables["params"]["hidden_0"]["kernel"].shape == (16, 5)
    np.testing.assert_array_equal(
        model.apply(variables, images, train=False),
        model.apply(variables, vectors, train=False),
    )
    model.apply(variables, images, train=True, rngs={"noise": key})
    assert model.apply(variables, images[:0], train=False).shape == (0, 2)


def test_a_site_draws_the_same_whatever_other_sites_do(variables, recorded, key):
    def drawn(*sites):
        logs = {site: [] for site in sites}
        model = jn.MLP((5, 4), 3, **{site: recorded(logs[site]) for site in sites})
        model.apply(variables, jnp.ones((6, 2)), train=True, rngs={"noise": key})
        jax.effects_barrier()
        return logs

    together = drawn(*SITES)
    for site, alone in (drawn(*SITES[::2]) | drawn(SITES[1])).items():
        jax.tree.map(np.testing.assert_array_equal, alone, together[site])


def test_under_remat(variables, key):
    model = jn.MLP((5, 4), 3, hidden_noise=jn.GaussianNoise(0.5))
    again = nn.remat(jn.MLP, static_argnums=(2,))(
        (5, 4), 3, hidden_noise=jn.GaussianNoise(0.5)
    )
    x = jnp.ones((6, 2))
    np.testing.assert_allclose(
        again.apply(variables, x, True, rngs={"noise": key}),
        model.apply(variables, x, True, rngs={"noise": key}),
        rtol=1e-5,
    )


@pytest.mark.bad_input
def test_bad_fields(key):
    for wrong in (500, "500", (500, 0.5), (0,)):
        message = rf"features must be .* \(500,\), got {re.escape(repr(wrong))}"
        with pytest.raises(TypeError, match=message):
            jn.MLP(wrong, 1)
    with pytest.raises(TypeError, match="outputs must be an int of at least 1, got 0"):
        jn.MLP((5,), 0)
    with pytest.raises(ValueError, match=r"x must have rows .* got shape \(2,\)"):
        jn.MLP((5,), 1).init(key, jnp.ones(2), train=False)
    for site in SITES:
        with pytest.raises(TypeError, match=f"{site} must be a noise layer .* got 0.1"):
            jn.MLP((5,), 1, **{site: 0.1})
    with pytest.raises(ValueError, match="residual_noise needs residual=True"):
        jn.MLP((5,), 1, residual_noise=jn.DropPath(0.1))
    with pytest.raises(TypeError, match="residual must be True or False, got 1"):
        jn.MLP((5,), 1, residual=1)
    with pytest.raises(ValueError, match="GaussianNoise 'hidden_noise_0' is active"):
        jn.MLP((5,), 1, hidden_noise=jn.GaussianNoise(0.1)).init(
            key, jnp.ones((1, 2)), train=True
        )
