"""The exact law of each noise whose unit is a row, a block or the batch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxnoise as jn
from jaxnoise.noise.rows import _symmetric_beta

DRAWS = 8_000
KEYS = jax.random.split(jax.random.key(1), DRAWS)
X = np.array(
    [[2.0, 1.0], [-1.0, 3.0], [0.5, -2.0], [-2.5, 1.5], [1.0, -3.5]], "float32"
)
Y = np.array([[1.0], [2.0], [-1.0], [0.0], [-2.0]], "float32")


def drawn(noise, *arguments):
    """Many draws of one noise, by one program."""
    over_keys = jax.vmap(noise, (0, *(None for _ in arguments)))
    out = jax.jit(over_keys)(KEYS, *arguments)
    return jax.tree.map(partial(np.asarray, dtype=np.float64), out)


def assert_means(values, exact):
    """Means over draws are exact, each to 5 standard errors."""
    values = np.asarray(values, np.float64)
    error = 5 * values.std(0) / np.sqrt(len(values))
    np.testing.assert_array_less(abs(values.mean(0) - exact), error + 1e-5)


# Swap noise


def test_swap_noise_is_ridge_regression_with_a_weight_a_column():
    """Second moments ``c**2 S`` but for the diagonal, which stays, and ``c x' y``."""
    x, p, n = X - X.mean(0), 0.3, len(X)
    out = drawn(jn.swap_noise, x, p)
    c = 1 - p * n / (n - 1)
    moments, exact = np.einsum("dij,dik->djk", out, out), c**2 * (x.T @ x)
    np.fill_diagonal(exact, (x**2).sum(0))
    assert_means(moments, exact)
    assert_means(np.einsum("dij,ik->djk", out, Y), c * (x.T @ Y))
    others = out[:, 0, :, None] == x.T  # of which row each cell of the first one is
    assert_means(others, np.where(np.arange(n), p / (n - 1), 1 - p)[None])


def test_swaps_of_whole_rows_and_under_a_mask():
    """One donor for all columns; those that the mask leaves out give nothing."""
    mask = np.array([True, False, True, True, False])
    whole = partial(jn.swap_noise, shared_axes=1, mask=mask)
    donors = (drawn(whole, X, 1.0)[:, :, None] == X).all(-1)
    exact = np.where(np.outer(mask, mask) & ~np.eye(5, dtype=bool), 0.5, 0)
    exact[~mask, ~mask] = 1
    assert_means(donors, exact)
    swap = partial(jn.swap_noise, KEYS[0])
    alone = jax.jit(lambda: (swap(X, 1.0, mask=np.arange(5) == 2), swap(X[:1], 1.0)))
    for out, x in zip(alone(), (X, X[:1]), strict=True):
        np.testing.assert_array_equal(out, x)


# Stochastic depth


@pytest.mark.parametrize("mode", ["sample", "batch"])
def test_drop_path(mode):
    """Mean f and variance ``p / (1 - p) f**2``; a draw a row, or one for all."""
    p = 0.3
    out = drawn(partial(jn.drop_path, mode=mode), X, p)
    assert_means(out, X)
    assert_means((out - X) ** 2, p / (1 - p) * X**2)
    kept = out != 0
    assert (kept[:, :, 0] == kept[:, :, 1]).all()
    both = (1 - p) ** 2 if mode == "sample" else 1 - p
    assert_means(kept[:, 0, 0] & kept[:, 1, 0], both)


# Blocks


def coverage(length, width):
    """The probability that a position is covered, by counting the places."""
    starts = np.arange(length - width + 1)[:, None]
    place = np.arange(length)
    return ((place >= starts) & (place < starts + width)).mean(0)


def test_blocks_cover_each_position_as_often_as_places_do():
    """Random widths, two axes, several blocks: products and complements of the same."""
    x, widths = jnp.zeros((2, 6, 5)), (2, 4)
    cut = partial(jn.block_mask, axes=(1, 2), count=2, fill=1.0)
    hit = drawn(lambda key, w: cut(key, x, width=w), jnp.array(widths))
    along = [np.mean([coverage(n, w) for w in range(2, 5)], 0) for n in (6, 5)]
    exact = 1 - (1 - np.outer(*along)) ** 2
    assert_means(hit, np.broadcast_to(exact, x.shape))
    assert_means(hit[:, 0, 2, 2] * hit[:, 1, 2, 2], exact[2, 2] ** 2)  # rows apart
    one = drawn(partial(jn.block_mask, axes=2, width=3, count=1, fill=1.0), x)
    np.testing.assert_allclose(one.mean((2, 3)), 3 / 5, rtol=1e-6)  # always the share
    np.testing.assert_array_equal(one[:, :, :1], one[:, :, 1:2])  # all other axes


def test_what_stands_in_blocks():
    """A number, the row's mean, or draws with the row's mean and deviation."""
    wide = partial(jn.block_mask, axes=1, width=9, count=1)  # wider than the axis
    alone = np.array([[True, False]] * 5)

    @jax.jit
    def filled():
        number, mean = (wide(KEYS[0], X, fill=fill) for fill in (0.5, "mean"))
        return number, mean, wide(KEYS[0], X, fill="mean", mask=alone)

    number, means, of_one = filled()
    assert (number == 0.5).all()
    mean = np.broadcast_to(X.mean(1, keepdims=True), X.shape)
    np.testing.assert_allclose(means, mean, rtol=1e-6)
    np.testing.assert_array_equal(of_one, X)  # the mean of one value
    out = drawn(partial(wide, fill="noise"), X)
    assert_means(out, mean)
    assert_means((out - mean) ** 2, np.broadcast_to(X.var(1, keepdims=True), X.shape))


def test_blocks_without_rows_and_shared():
    x = jnp.zeros((4, 6))
    block = partial(jn.block_mask, KEYS[0], x, count=1, fill=1.0)

    @jax.jit
    def blocks():
        shared, rows = block(axes=1, width=2, shared_axes=0), block(axes=0, width=2)
        return shared, rows, block(axes=(0, 1), width=0)

    shared, rows, none = map(np.asarray, blocks())
    assert (shared == shared[:1]).all() and shared[0].sum() == 2
    assert (rows == rows[:, :1]).all() and rows[:, 0].sum() == 2
    np.testing.assert_array_equal(none, x)


# Targets


def test_target_noise_moves_no_expected_gradient():
    """Of least squares; its covariance is ``4 s**2 r X' X / n**2``."""
    s, r, n, w = 0.7, 0.4, len(X), np.array([[0.5], [-1.0]], "float32")
    noisy = drawn(jn.target_noise, np.tile(Y, 2), s, r)
    changed = noisy != np.tile(Y, 2)
    assert (changed[..., 0] == changed[..., 1]).all()
    assert_means(changed[..., 0], r)
    gradients = 2 / n * np.einsum("ij,dik->dj", X, X @ w - noisy[..., :1])
    clean = (2 / n * X.T @ (X @ w - Y))[:, 0]
    assert_means(gradients, clean)
    apart = gradients - clean
    exact = 4 * s**2 * r / n**2 * X.T @ X
    assert_means(apart[:, :, None] * apart[:, None], exact)


def test_target_noise_of_strength_zero_and_under_a_mask():
    np.testing.assert_array_equal(jn.target_noise(KEYS[0], Y, 0.0, 1.0), Y)
    np.testing.assert_array_equal(jn.target_noise(KEYS[0], Y, 1.0, 0.0), Y)
    mask = np.arange(5) < 2
    out = jn.target_noise(KEYS[0], Y, 1.0, 1.0, mask=mask)
    np.testing.assert_array_equal((out != Y)[:, 0], mask)


# Batches


@jax.jit
def mixed(keys, x, y, alpha):
    return jax.vmap(jn.mixup, (0, None, None, None))(keys, x, y, alpha)


def test_mixup_moves_no_linear_least_squares():
    """Covariance and ``x' y`` shrink by ``(a + 1) / (2 a + 1)``; y is mixed as x is."""
    x, a = X - X.mean(0), 0.4
    given = x, np.hstack([Y, x])
    for same, whole in zip(mixed(KEYS, *given, 0.0), given, strict=True):
        assert (same == whole).all()
    rows, targets = map(np.asarray, mixed(KEYS, *given, a))
    np.testing.assert_array_equal(targets[..., 1:], rows)
    shrunk = (a + 1) / (2 * a + 1)
    assert_means(np.einsum("dij,dik->djk", rows, rows), shrunk * x.T @ x)
    assert_means(np.einsum("dij,dik->djk", rows, targets[..., :1]), shrunk * x.T @ Y)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 3.0, 40.0])
def test_share_of_mixup_is_beta(alpha):
    """Its distribution function, away from where floats end."""
    shares = np.asarray(jax.vmap(_symmetric_beta, (0, None))(KEYS, jnp.float32(alpha)))
    assert ((shares >= 0) & (shares <= 1)).all()
    for at in (0.01, 0.1, 0.3, 0.5, 0.8, 0.99):
        p = stats.beta(alpha, alpha).cdf(at)
        tolerance = 5 * np.sqrt(p * (1 - p) / DRAWS) + 1e-6
        assert abs((shares <= at).mean() - p) <= tolerance, at


@pytest.mark.slow
def test_noisy_feature_mixup():
    """Mixup, and around it the variance ``3/28 (m**2 x**2 / 3 + s**2)``."""
    s, m, y = 0.8, 1.5, np.hstack([Y, X])

    @jax.jit
    @partial(jax.vmap, in_axes=(0, None, None, None))
    def noisy(key, alpha, s, m):
        mix = jn.noisy_feature_mixup
        return mix(key, X, y, alpha, additive=s, multiplicative=m)

    rows, targets = map(np.asarray, noisy(KEYS, 0.0, s, m))
    assert (targets == y).all()
    assert_means(rows, X)
    assert_means((rows - X) ** 2, 3 / 28 * (m**2 * X**2 / 3 + s**2))
    assert_means((rows - X)[:, :, 0] * (rows - X)[:, :, 1], np.zeros(5))
    keys = jax.vmap(partial(jax.random.split, num=4))(KEYS)[:, 0]
    alone = mixed(keys, X, y, 1.0)
    for silent, part in zip(noisy(KEYS, 1.0, 0.0, 0.0), alone, strict=True):
        np.testing.assert_allclose(silent, part, atol=1e-6)
    assert (alone[0] != X).any()


# Weights


@pytest.mark.parametrize("mode", ["sample", "batch"])
def test_dropped_weights(mode):
    """Mean ``W x + b``, variance ``p / (1 - p) sum W**2 x**2``."""
    p, layer = 0.3, jn.DropConnectDense(3, 0.3, mode)
    params = layer.init(KEYS[0], X, train=False)["params"]
    params["bias"] = jnp.array([1.0, -1.0, 0.0])

    def call(key, params):
        return layer.apply({"params": params}, X, train=True, rngs={"noise": key})

    out, w = drawn(call, params), np.asarray(params["kernel"])
    clean = X @ w + np.asarray(params["bias"])
    assert_means(out, clean)
    squares = p / (1 - p) * X**2 @ w**2
    assert_means((out - clean) ** 2, squares)
    together = (out - clean)[:, 0] * (out - clean)[:, 1]
    shared = p / (1 - p) * (X[0] * X[1]) @ w**2 if mode == "batch" else 0
    assert_means(together, shared)
    off = layer.apply({"params": params}, X, train=False)
    np.testing.assert_allclose(off, clean, rtol=1e-5)


def test_dropped_weights_of_nnx(key):
    from flax import nnx

    layer = jn.nnx.DropConnectDense(2, 3, 0.5, mode="sample", rngs=nnx.Rngs(0))
    off = layer(X, train=False)
    np.testing.assert_allclose(off, X @ layer.kernel[...], rtol=1e-5)
    params = {"kernel": layer.kernel[...], "bias": layer.bias[...]}

    def linen(rate, **given):
        made = jn.DropConnectDense(3, rate, "sample")
        return made.apply({"params": params}, X, train=True, **given)

    layer.rate[...] = 0.0
    np.testing.assert_allclose(layer(X), off, rtol=1e-5)
    layer.rate[...] = 1.0
    np.testing.assert_array_equal(layer(X), np.zeros((5, 3)))
    np.testing.assert_array_equal(linen(1.0, rngs={"noise": key}), np.zeros((5, 3)))


# What goes wrong


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            partial(jn.swap_noise, rate=0.1, x=1.0),
            ValueError,
            "x must have rows, got a",
        ),
        (
            partial(jn.drop_path, x=X, rate=0.1, mode="row"),
            ValueError,
            "mode must be 'sample' or 'batch', got 'row'",
        ),
        (
            partial(jn.target_noise, y=X, stddev=-1.0, rate=0.1),
            ValueError,
            "stddev must",
        ),
        (
            partial(jn.target_noise, y=X, stddev=1.0, rate=2.0),
            ValueError,
            "rate must be",
        ),
        (
            partial(jn.target_noise, y=np.arange(3), stddev=1.0, rate=1.0),
            TypeError,
            "y must be floating, got int",
        ),
        (
            partial(jn.mixup, x=X, y=np.arange(5), alpha=0.1),
            TypeError,
            r"got int.*; give class labels as probabilities, jax.nn.one_hot\(y, num",
        ),
        (
            partial(jn.mixup, x=X, y=Y[:4], alpha=0.1),
            ValueError,
            r"x and y must have as many rows, got shapes \(5, 2\) and \(4, 1\)",
        ),
        (
            partial(jn.mixup, x=X, y=Y, alpha=np.ones(5)),
            TypeError,
            r"alpha must be one number, got shape \(5,\)",
        ),
        (partial(jn.mixup, x=X, y=Y, alpha=-1.0), ValueError, "alpha must be finite"),
    ],
)
def test_bad_arguments(call, error, message, key):
    with pytest.raises(error, match=message):
        call(key)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"axes": 2}, ValueError, "axes must name axes of x, which has 2, got 2"),
        ({"axes": ()}, ValueError, "axes must name at least one axis of x, got none"),
        ({"axes": "all"}, TypeError, "axes must be axes such as .1, 2., got 'all'"),
        ({"width": -1}, ValueError, "width must be finite and >= 0, got -1"),
        ({"width": (3, 1)}, ValueError, r"the least before the most, got \(3, 1\)"),
        ({"width": (1, 2, 3)}, ValueError, r"one number or two, got shape \(3,\)"),
        ({"count": 0}, TypeError, "count must be an int of at least 1, got 0"),
        ({"fill": "zero"}, ValueError, "fill must be a number, 'mean' or 'noise', got"),
        ({"fill": None}, TypeError, "fill must be a number or an array, got None"),
        ({"fill": np.ones(4)}, ValueError, "fill must broadcast against x"),
    ],
)
def test_bad_blocks(given, error, message, key):
    fine = {"axes": 1, "width": 1, "count": 1, "fill": 0.0}
    with pytest.raises(error, match=message):
        jn.block_mask(key, X, **fine | given)
