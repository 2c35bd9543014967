"""The max-norm constraint: its law, what it leaves alone, its place in a chain."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnoise as jn


@pytest.fixture
def params(key):
    shapes = {"kernel": (3, 5), "bias": (5,), "conv": (2, 2, 3, 4), "scale": ()}
    keys = jax.random.split(key, len(shapes))
    return {
        name: jax.random.normal(k, shape)
        for k, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def updated(params, limit, updates=None):
    optimizer = jn.max_norm(limit)
    updates = jax.tree.map(jnp.zeros_like, params) if updates is None else updates
    updates, _ = optimizer.update(updates, optimizer.init(params), params)
    return optax.apply_updates(params, updates)


def norms(kernel):
    return np.linalg.norm(np.asarray(kernel).reshape(-1, kernel.shape[-1]), axis=0)


@pytest.mark.parametrize("limit", [0.5, 1.0, 2.0])
def test_the_law(params, limit):
    """``w * min(1, limit / ||w||)`` for each unit, over all axes but the last."""
    after = updated(params, limit)
    for name in "kernel", "conv":
        factor = np.minimum(1, limit / norms(params[name]))
        np.testing.assert_allclose(after[name], params[name] * factor, rtol=1e-5)
        assert (norms(after[name]) <= limit * (1 + 1e-6)).all()


def test_biases_and_short_kernels_stay(params):
    updates = jax.tree.map(lambda leaf: leaf * 0.1, params)
    after = updated(params, 1e6, updates)
    plain = optax.apply_updates(params, updates)
    jax.tree.map(np.testing.assert_array_equal, after, plain)
    small = updated(params, 0.1, updates)
    for name in "bias", "scale":
        np.testing.assert_array_equal(small[name], plain[name])


def test_zero_kernels_are_no_trouble():
    zeros = {"kernel": jnp.zeros((2, 3))}
    np.testing.assert_array_equal(updated(zeros, 1.0)["kernel"], zeros["kernel"])
    assert np.isfinite(updated(zeros, 1e-30)["kernel"]).all()


def test_it_holds_after_every_step_of_a_chain(params):
    """Last in a chain it bounds what the optimiser made, not the gradient."""
    optimizer = optax.chain(optax.adam(0.3), jn.max_norm(0.7))
    state = optimizer.init(params)
    for _ in range(5):
        updates, state = jax.jit(optimizer.update)(params, state, params)
        params = optax.apply_updates(params, updates)
        assert (norms(params["kernel"]) <= 0.7 * (1 + 1e-6)).all()


def test_limits_may_be_traced(params):
    kernel = params["kernel"]
    limits = jnp.array([0.5, 1.0, 100.0])
    many = jax.vmap(lambda limit: updated(kernel, limit))(limits)
    for limit, after in zip(limits, many, strict=True):
        np.testing.assert_allclose(after, updated(kernel, float(limit)), rtol=1e-6)


def test_half_floats_keep_their_type():
    kernel = jnp.ones((4, 2), jnp.bfloat16)
    updates = jnp.ones((4, 2), jnp.bfloat16)
    optimizer = jn.max_norm(0.5)
    out, _ = optimizer.update(updates, optimizer.init(kernel), kernel)
    assert out.dtype == jnp.bfloat16


@pytest.mark.bad_input
@pytest.mark.parametrize("limit", [0, -1.0, np.nan, np.inf])
def test_limits_out_of_range(limit):
    with pytest.raises(ValueError, match=f"above 0, got {limit}"):
        jn.max_norm(limit)


@pytest.mark.bad_input
@pytest.mark.parametrize("limit", ["a", None, True, np.ones(2)])
def test_limits_that_are_no_numbers(limit):
    with pytest.raises(TypeError, match="limit must be a number"):
        jn.max_norm(limit)


def test_parameters_are_needed(params):
    optimizer = jn.max_norm(1.0)
    with pytest.raises(ValueError, match="max_norm needs the parameters"):
        optimizer.update(params, optimizer.init(params))


def test_adam_as_in_keras():
    """Notebook 04's line of Optax: epsilon beside the root before its correction."""
    scales = 10.0 ** np.arange(-8, 0)
    gradients = np.random.default_rng(0).normal(size=(50, 8)) * scales
    gradients = gradients.astype(np.float32)
    weights, mean, square = np.zeros((3, 8))
    for t, g in enumerate(gradients.astype(float), 1):
        mean = mean + (1 - 0.9) * (g - mean)
        square = square + (1 - 0.999) * (g**2 - square)
        rate = 1e-3 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights = weights - rate * mean / (np.sqrt(square) + 1e-7)
    of_keras = [  # 3.15, keras.optimizers.Adam(1e-3)
        *(-6.1804349e-05, -3.6362500e-04, 5.4077627e-03, -2.4720489e-03),
        *(1.1183784e-02, 6.2309450e-04, 5.4639764e-03, -9.3861492e-03),
    ]
    np.testing.assert_allclose(weights, of_keras, atol=1e-6)

    def trained(optimizer):
        params = jnp.zeros(8)
        state, update = optimizer.init(params), jax.jit(optimizer.update)
        for gradient in gradients:
            updates, state = update(gradient, state, params)
            params = optax.apply_updates(params, updates)
        return params

    adam = optax.inject_hyperparams(optax.adam)(
        1e-3, eps=lambda t: 1e-7 / (1 - 0.999 ** (t + 1)) ** 0.5
    )
    np.testing.assert_allclose(trained(adam), weights, atol=1e-6)
    assert abs(trained(optax.adam(1e-3, eps=1e-7)) - weights).max() > 1e-3
