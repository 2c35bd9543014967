"""Laws that layer, keys, engine, vmap and optimiser obey together.

Thousands of seeds train at once; the mean of what they learn has a closed form.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnoise as jn
from jaxnoise.model import CheckedModel
from jaxnoise.training.keys import Keys
from jaxnoise.training.loss import NoisyLoss

ROWS, INPUTS, STDDEV, RATE, STEPS, SEEDS = 40, 5, 0.5, 0.1, 200, 1000


def linear_problem():
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, INPUTS))
    y = x @ random.normal(size=(INPUTS, 1)) + 0.5 * random.normal(size=(ROWS, 1)) + 1
    return x, y


def recursion(x, y, ridge):
    """Weights and bias after each step of full-batch descent, from 0, in float64.

    ``w <- w - 2 lr ((X'X / n + ridge D) w - X'y / n)``; D leaves out the bias.
    """
    x = np.hstack([x, np.ones((len(x), 1))])
    matrix = x.T @ x / len(x) + ridge * np.diag([1.0] * INPUTS + [0.0])
    w, path = np.zeros(INPUTS + 1), []
    for _ in range(STEPS):
        w = w - 2 * RATE * (matrix @ w - x.T @ y[:, 0] / len(x))
        path.append(w)
    return np.array(path)


def learned(model=None, **noise):
    """Weights and bias of every seed after each step, of shape (seed, step, weight).

    The outputs on the unit vectors and on 0 tell them.
    """
    x, y = linear_problem()
    probes = {f"unit{j}": np.eye(INPUTS)[j : j + 1] for j in range(INPUTS)}
    probes["zero"] = np.zeros((1, INPUTS))
    data = jn.Data(
        train=(x, y), **{name: (at, np.zeros((1, 1))) for name, at in probes.items()}
    )

    def recipe(stddev):
        return jn.Recipe(
            model=model or jn.MLP((), 1, kernel_init=nn.initializers.zeros),
            loss=jn.losses.squared_error,
            optimizer=optax.sgd(RATE),
            metrics={"output": lambda outputs, targets: outputs[:, 0]},
            **noise,
        )

    train = jn.make_train(recipe, epochs=STEPS, batch_size=ROWS, curves=tuple(probes))
    keys = jax.vmap(jax.random.key)(jnp.arange(SEEDS))
    run = jax.jit(jax.vmap(train, (0, None, None)))(keys, STDDEV, data)
    outputs = [np.asarray(run.curves[f"{name}_output"], float) for name in probes]
    bias = outputs.pop()
    return np.stack([*(out - bias for out in outputs), bias], -1)


def z_scores(values, exact):
    """How far the mean over seeds is from ``exact``, in standard errors."""
    return (values.mean(0) - exact) / (values.std(0) / np.sqrt(len(values)) + 1e-6)


class Straight(nn.Module):
    """A linear model with noise on its inputs, and the clean backward pass."""

    @nn.compact
    def __call__(self, x, train):
        dense = nn.Dense(1, kernel_init=nn.initializers.zeros)
        noisy = jn.GaussianNoise(STDDEV)(x, train=train)
        return jn.straight_through(dense)(x, noisy)


@pytest.fixture(scope="module")
def paths():
    x, y = linear_problem()
    return {"ols": recursion(x, y, 0.0), "ridge": recursion(x, y, STDDEV**2)}


def test_input_noise_is_ridge_regression_at_every_step(paths):
    """T1: the mean follows the recursion of ridge, and is far from least squares."""
    model = jn.MLP(
        (),
        1,
        input_noise=jn.GaussianNoise(STDDEV),
        kernel_init=nn.initializers.zeros,
    )
    weights = learned(model)
    assert abs(z_scores(weights, paths["ridge"])).max() <= 5
    assert abs(z_scores(weights, paths["ols"])[-1]).max() >= 10


def test_the_recursion_ends_in_ridge_regression(paths):
    """The limit is scikit-learn's ``Ridge(alpha=n s**2)``."""
    from sklearn.linear_model import Ridge

    ridge = Ridge(alpha=ROWS * STDDEV**2).fit(*linear_problem())
    end = np.append(ridge.coef_, ridge.intercept_)
    np.testing.assert_allclose(paths["ridge"][-1], end, atol=1e-8)


@pytest.mark.slow
def test_the_clean_backward_pass_has_no_ridge(paths):
    """T14: plain autodiff gives ridge, as above, `straight_through` least squares."""
    weights = learned(Straight())
    assert abs(z_scores(weights, paths["ols"])).max() <= 5
    assert abs(z_scores(weights, paths["ridge"])[-1]).max() >= 10


def test_weight_noise_leaves_linear_least_squares_where_it_is(paths):
    """T8: the loss grows by a constant, so that the minimiser must not move."""
    noise = partial(jn.tree_add_gaussian_noise, stddev=STDDEV)
    weights = learned(weight_noise=noise)
    assert weights[:, -1].std(0).min() > 0.05  # it does something
    assert abs(z_scores(weights, paths["ols"])).max() <= 5
    assert abs(z_scores(weights, paths["ridge"])[-1]).max() >= 10


def test_label_noise_leaves_least_squares_where_it_is(paths):
    """T12: Gaussian noise on targets moves neither mean gradient nor minimiser."""
    noise = partial(jn.add_gaussian_noise, stddev=STDDEV)
    weights = learned(label_noise=noise)
    assert weights[:, -1].std(0).min() > 0.005
    assert abs(z_scores(weights, paths["ols"])).max() <= 5


# One step of nonlinear problems: the mean of the parameters after it


def one_step(recipe, data, seeds=10_000):
    """Parameters before a step of rate 1, and of every seed after it."""
    model = recipe(0.0).model
    start = model.init(jax.random.key(5), data.train[0], train=False)["params"]

    class Started:  # the same weights for every seed
        def init(self, key, x):
            return {"params": start}

        def apply(self, variables, x, *, train, key):
            return model.apply(variables, x, train=train), variables

    def started(stddev):
        made = recipe(stddev)
        return jn.Recipe(
            model=Started(),
            loss=made.loss,
            optimizer=optax.sgd(1.0),
            weight_noise=made.weight_noise,
            label_noise=made.label_noise,
            weight_gradient=made.weight_gradient,
        )

    train = jn.make_train(started, epochs=1, batch_size=100, curves=())
    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    run = jax.jit(jax.vmap(train, (0, None, None)))(keys, 0.3, data)
    return start, run.variables["params"]


def greatest_z(start, after, gradient):
    """Of all parameters: how far their mean is from ``start - gradient``."""

    def scores(start, after, gradient):
        exact = np.asarray(start, float) - np.asarray(gradient, float)
        return abs(z_scores(np.asarray(after, float), exact)).max()

    return max(jax.tree.leaves(jax.tree.map(scores, start, after, gradient)))


@pytest.mark.parametrize("choice", ["noisy", "clean"])
@pytest.mark.slow
def test_the_gradient_at_noisy_or_at_clean_weights(choice):
    """T14 for weights: a deep linear net, with its penalty or without it."""
    s, random = 0.3, np.random.default_rng(1)
    data = jn.Data(train=(random.normal(size=(8, 3)), random.normal(size=(8, 1))))
    x, y = data.train

    def recipe(_):
        return jn.Recipe(
            model=jn.MLP((4,), 1, activation=lambda x: x),
            loss=jn.losses.squared_error,
            optimizer=optax.sgd(1.0),
            weight_noise=partial(jn.tree_add_gaussian_noise, stddev=s),
            weight_gradient=choice,
        )

    start, after = one_step(recipe, data)

    def mean_loss(params, s):
        """``E`` of the loss over noise on kernels and biases, exact."""
        w1, b1 = params["hidden_0"]["kernel"], params["hidden_0"]["bias"]
        w2, b2 = params["output"]["kernel"], params["output"]["bias"]
        h = x @ w1 + b1
        squares = (x**2).sum(1) + 1
        extra = s**2 * ((w2**2).sum() * squares + (h**2).sum(1) + 1)
        return ((h @ w2 + b2 - y)[:, 0] ** 2 + extra).mean()

    plain = jax.grad(mean_loss)(start, 0.0)
    noisy = jax.grad(mean_loss)(start, s)
    right, wrong = (noisy, plain) if choice == "noisy" else (plain, noisy)
    assert greatest_z(start, after, right) <= 5
    assert greatest_z(start, after, wrong) >= 10


@pytest.mark.slow
def test_flipped_labels_train_like_smoothed_ones():
    """T12: the mean gradient is that of smoothing by ``rate K / (K - 1)``."""
    rate, classes, random = 0.3, 3, np.random.default_rng(2)
    data = jn.Data(train=(random.normal(size=(9, 2)), np.arange(9) % classes))
    x, y = data.train
    model = jn.MLP((4,), classes)

    def recipe(_):
        return jn.Recipe(
            model=model,
            loss=jn.losses.softmax_cross_entropy,
            optimizer=optax.sgd(1.0),
            label_noise=partial(jn.flip_labels, rate=rate, num_classes=classes),
        )

    start, after = one_step(recipe, data)

    def loss(params, smoothing):
        logits = model.apply({"params": params}, x, train=False)
        targets = optax.smooth_labels(jax.nn.one_hot(y, classes), smoothing)
        return optax.softmax_cross_entropy(logits, targets).mean()

    smoothed = jax.grad(loss)(start, rate * classes / (classes - 1))
    assert greatest_z(start, after, smoothed) <= 5
    assert greatest_z(start, after, jax.grad(loss)(start, 0.0)) >= 10


# R-Drop


@pytest.mark.parametrize(
    "loss",
    [
        jn.losses.softmax_cross_entropy,
        jn.losses.binary_cross_entropy,
        jn.losses.squared_error,
    ],
    ids=lambda loss: loss.__name__,
)
def test_consistency_is_twice_what_small_noise_adds(loss):
    """Its mean is ``s**2 tr W F W'``, F the loss's curvature; noise adds half of that.

    The rest is the mean of both losses.
    """
    stddev, weight, seeds = 0.02, 0.7, 20_000
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 2)), rng.normal(size=(2, 3))
    y = np.eye(3)[[0, 2, 1, 0]]
    params = {"output": {"kernel": jnp.float32(w), "bias": jnp.zeros(3)}}
    batch = jnp.float32(x), jnp.float32(y)

    def value(keys, weight):
        model = jn.MLP((), 3, input_noise=jn.GaussianNoise(stddev))
        recipe = jn.Recipe(model, loss, optax.sgd(1.0), consistency=weight)
        noisy = NoisyLoss(recipe, CheckedModel(model))
        return noisy(params, {"params": params}, batch, keys)[0]

    def values(key):
        keys = Keys.of_run(key, 0)
        passes = value(keys, None), value(keys.again(), None)
        return jnp.stack([*passes, value(keys, 0.0), value(keys, weight)])

    keys = jax.random.split(jax.random.key(0), seeds)
    first, second, without, together = np.asarray(jax.jit(jax.vmap(values))(keys)).T
    assert (first != second).all()
    np.testing.assert_allclose(without, (first + second) / 2, rtol=1e-6)
    z = x @ w
    if loss is jn.losses.softmax_cross_entropy:
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        curvature = np.einsum("ri,ij->rij", p, np.eye(3)) - p[:, :, None] * p[:, None]
    else:  # the mean of three outputs
        of_each = {jn.losses.squared_error: np.full_like(z, 2)}
        of_each = of_each.get(loss, np.exp(-z) / (1 + np.exp(-z)) ** 2)
        curvature = np.einsum("ri,ij->rij", of_each, np.eye(3)) / 3
    exact = stddev**2 * np.einsum("ai,rij,aj->r", w, curvature, w).mean()
    added = (together.astype(float) - without) / weight
    error = 5 * added.std() / np.sqrt(seeds) + 10 * stddev**2 * exact + 1e-7
    assert abs(added.mean() - exact) <= error
    assert error < exact / 10
