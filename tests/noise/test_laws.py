"""The exact law of each noise, within 5 standard errors computed from n."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnoise as jn
from jaxnoise.noise.functions import factorised_normal

N = 1_000_000


def assert_mean(values, exact, rounding=1e-6):
    """The mean of independent values is ``exact``, to 5 standard errors."""
    values = np.asarray(values, np.float64)
    error = 5 * values.std() / np.sqrt(values.size)
    assert abs(values.mean() - exact) <= error + rounding * (1 + abs(exact))


def assert_share(hits, exact):
    """A share of independent events is ``exact``, to 5 standard errors."""
    hits = np.asarray(hits)
    error = 5 * np.sqrt(exact * (1 - exact) / hits.size)
    assert abs(hits.mean() - exact) <= error


# Additive Gaussian noise


def test_gaussian_moments():
    """Mean 0, deviation s, skewness 0, kurtosis 3."""
    s = 0.3
    noise = jn.add_gaussian_noise(jax.random.key(7), jnp.zeros(N), s)
    z = np.asarray(noise, np.float64) / s
    assert abs(z.mean()) <= 5 / np.sqrt(N)
    assert abs(z.std() - 1) <= 5 / np.sqrt(2 * N)
    assert abs((z**3).mean()) <= 5 * np.sqrt(15 / N)
    assert abs((z**4).mean() - 3) <= 5 * np.sqrt(96 / N)


@pytest.mark.parametrize(
    "noise",
    [
        jn.add_gaussian_noise,
        partial(jn.add_noise, sampler=jax.random.laplace),
        partial(jn.add_correlated_noise, correlation=0.5, axis=0),
        partial(jn.neftune_noise),
    ],
)
def test_additive_noise_scales_linearly(noise, key, x):
    """``x + s * e`` with one e for all s: common random numbers."""
    unit = noise(key, jnp.zeros_like(x), 1.0)
    for s in (1e-3, 0.3, 7.0, 300.0):
        out = noise(key, x, s)
        np.testing.assert_allclose(out, x + s * unit, rtol=2e-6, atol=1e-6)


def test_half_precision_noise_is_the_float32_noise_cast(key):
    """Half-precision normals have short tails; one stream serves all types, and the
    strength is not rounded."""
    wide = jn.add_gaussian_noise(key, jnp.zeros(1000), 0.1)
    for dtype in ("float16", "bfloat16"):
        half = jn.add_gaussian_noise(key, jnp.zeros(1000, dtype), 0.1)
        np.testing.assert_array_equal(half, wide.astype(dtype))


@pytest.mark.parametrize(
    "noise",
    [
        jn.add_gaussian_noise,
        jn.multiply_gaussian_noise,
        jn.neftune_noise,
        partial(jn.add_noise, sampler=jax.random.uniform),
    ],
)
def test_float64_noise_is_drawn_in_float64(noise, key):
    with jax.enable_x64(True):
        drawn = np.asarray(noise(key, jnp.ones(1000), 0.5) - 1)
        assert (drawn != drawn.astype(np.float32)).mean() > 0.9


def test_input_noise_on_linear_least_squares():
    """T1: the mean loss grows by ``s**2 ||w||**2``, for every s."""
    s, n = 0.7, 200_000
    x, y, w = jnp.array([1.0, -2.0, 0.5]), 0.3, jnp.array([0.2, 1.0, -0.4])
    noisy = jn.add_gaussian_noise(jax.random.key(1), jnp.tile(x, (n, 1)), s)
    losses = (np.asarray(noisy @ w, np.float64) - y) ** 2
    assert_mean(losses, float((x @ w - y) ** 2 + s**2 * (w**2).sum()))


def remainders(loss, x, scales):
    """``E loss(x + s e) - loss - s**2/2 tr H`` for each s, in float64.

    The draws are ours. Antithetic pairs cancel odd orders, and the second order of each
    draw, whose mean is held to its law first, is taken off draw by draw: what is left
    is the remainder with a small relative error.
    """
    with jax.enable_x64(True):
        x, n = jnp.asarray(x, jnp.float64), 200_000
        hessian = jax.hessian(loss)(x)
        e = jn.add_gaussian_noise(jax.random.key(3), jnp.zeros((n, x.size)), 1.0)
        second = jnp.einsum("ni,ij,nj->n", e, hessian, e)
        assert_mean(second, float(jnp.trace(hessian)))

        def pair(e, s):
            return (loss(x + s * e) + loss(x - s * e)) / 2 - loss(x)

        pairs = jax.jit(jax.vmap(pair, (0, None)))
        rest = [pairs(e, s) - s**2 / 2 * second for s in scales]
        return [float(r.mean()) for r in rest], float(jnp.trace(hessian))


SCALES = (0.08, 0.04, 0.02, 0.01)


@pytest.mark.slow
def test_squared_error_expansion():
    """T2: ``s**2 (||J||**2 + (f - y) . Lap f)`` and a remainder of the fourth order."""
    w1 = np.array([[0.5, -1.2, 0.3], [0.8, 0.4, -0.7]])
    w2 = np.array([[1.0, 0.2], [-0.5, 0.9], [0.3, -1.1]])
    y, at = np.array([0.1, -0.4]), np.array([0.3, -0.6])

    def f(x):
        return jnp.tanh(x @ w1) @ w2

    rest, trace = remainders(lambda x: ((f(x) - y) ** 2).sum(), at, SCALES)
    with jax.enable_x64(True):
        x = jnp.asarray(at)
        jacobian = jax.jacobian(f)(x)
        laplacian = jnp.trace(jax.hessian(f)(x), axis1=1, axis2=2)
        penalty = (jacobian**2).sum() + ((f(x) - y) * laplacian).sum()
        np.testing.assert_allclose(trace / 2, penalty, rtol=1e-10)
    slopes = -np.diff(np.log2(np.abs(rest)))
    np.testing.assert_allclose(slopes, 4, atol=0.1)


def test_logistic_expansion():
    """T3: ``s**2/2 ||w||**2 p (1 - p)`` and a remainder of the fourth order."""
    w, at = np.array([0.8, -1.5]), np.array([0.4, 0.2])

    def loss(x):
        return optax.sigmoid_binary_cross_entropy(x @ w, 1.0)

    rest, trace = remainders(loss, at, SCALES)
    p = 1 / (1 + np.exp(-at @ w))
    np.testing.assert_allclose(trace, (w**2).sum() * p * (1 - p), rtol=1e-6)
    slopes = -np.diff(np.log2(np.abs(rest)))
    np.testing.assert_allclose(slopes, 4, atol=0.1)


class DeepLinear(nn.Module):
    """Two noisy layers of a linear net; ``shared`` gives both one key."""

    first: float
    second: float
    shared: bool = False

    @nn.compact
    def __call__(self, x, weights, key):
        w1, w2, w3 = weights
        if self.shared:
            h = jn.add_gaussian_noise(key, x @ w1, self.first)
            h = jn.add_gaussian_noise(key, h @ w2, self.second)
        else:
            h = jn.GaussianNoise(self.first, train=True)(x @ w1)
            h = jn.GaussianNoise(self.second, train=True)(h @ w2)
        return h @ w3


def test_noise_in_every_layer_of_a_deep_linear_net():
    """T3: extra loss ``sum_k s_k**2 ||W_L .. W_k+1||**2``; one shared key breaks it."""
    n, s1, s2 = 100_000, 0.3, 0.5
    keys = jax.random.split(jax.random.key(11), 5)
    weights = [jnp.eye(4) + jax.random.normal(k, (4, 4)) / 4 for k in keys[:2]]
    weights.append(jax.random.normal(keys[2], (4, 1)) / 2)
    x = jnp.tile(jax.random.normal(keys[3], (1, 4)), (n, 1))
    _, w2, w3 = (np.asarray(w, np.float64) for w in weights)
    clean = float((x[0] @ weights[0] @ weights[1] @ weights[2])[0])
    exact = clean**2 + s1**2 * ((w2 @ w3) ** 2).sum() + s2**2 * (w3**2).sum()

    def losses(shared):
        out = DeepLinear(s1, s2, shared).apply(
            {}, x, weights, keys[4], rngs={"noise": keys[4]}
        )
        return np.asarray(out, np.float64)[:, 0] ** 2

    assert_mean(losses(False), exact)
    wrong = losses(True)
    assert abs(wrong.mean() - exact) > 10 * wrong.std() / np.sqrt(n)


@pytest.mark.parametrize(
    ("a", "s", "mean", "square"),
    [
        (0.0, 1.0, 0.398942, 0.5),
        (0.5, 0.3, 0.505948, 0.338673),
        (-0.2, 0.5, 0.115219, 0.063101),
    ],
)
def test_before_and_after_relu(a, s, mean, square):
    """T4: before the ReLU the mean moves, after it the range is left."""
    pre = jn.add_gaussian_noise(jax.random.key(8), jnp.full(N, a), s)
    before = np.asarray(jax.nn.relu(pre), np.float64)
    assert_mean(before, mean)
    assert_mean(before**2, square)
    post = jn.add_gaussian_noise(jax.random.key(9), jax.nn.relu(jnp.full(N, a)), s)
    post = np.asarray(post, np.float64)
    assert_mean(post, max(a, 0))
    assert_mean((post - max(a, 0)) ** 2, s**2)
    if a <= 0:
        assert_share(post < 0, 0.5)


def test_probit():
    """T4: ``E Phi(a + e) = Phi(a / sqrt(1 + s**2))``."""
    a = jn.add_gaussian_noise(jax.random.key(10), jnp.full(N, 0.7), 0.6)
    assert_mean(jax.scipy.stats.norm.cdf(a), 0.7258285)


def test_the_gradient_of_the_strength_solves_the_heat_equation():
    """T6: for cos, ``E = cos(x) exp(-s**2/2)`` and ``dE/ds = s E Lap`` at every s."""
    x, n = 0.4, 200_000

    def value(stddev, key):
        return jnp.cos(jn.add_gaussian_noise(key, jnp.float32(x), stddev))

    both = jax.jit(jax.vmap(jax.value_and_grad(value), (None, 0)))
    keys = jax.random.split(jax.random.key(4), n)
    for s in (0.1, 0.7, 2.0):
        values, slopes = both(s, keys)
        assert_mean(values, np.cos(x) * np.exp(-(s**2) / 2))
        assert_mean(slopes, -s * np.cos(x) * np.exp(-(s**2) / 2))


# Other additive noise


@pytest.mark.parametrize(
    ("sampler", "variance"),
    [
        (partial(jax.random.uniform, minval=-1.0), 1 / 3),
        (jax.random.laplace, 2.0),
        (jax.random.rademacher, 1.0),
        (jax.random.normal, 1.0),
    ],
)
def test_any_sampler(sampler, variance):
    noise = jn.add_noise(jax.random.key(5), jnp.ones(N), 0.5, sampler=sampler) - 1
    assert_mean(noise, 0)
    assert_mean(noise**2, variance / 4)


@pytest.mark.parametrize("correlation", [0.0, 0.8, -0.5, 1.0, -1.0])
def test_correlated_noise_is_a_stationary_process(correlation):
    """Covariance ``s**2 correlation**|i - j|`` along the axis, 0 across it."""
    n, steps, s = 100_000, 6, 0.5
    e = jn.add_correlated_noise(
        jax.random.key(6), jnp.zeros((steps, n)), s, correlation=correlation, axis=0
    )
    e = np.asarray(e, np.float64) / s
    for i in range(steps):
        assert_mean(e[i], 0)
        for j in range(i + 1):
            assert_mean(e[i] * e[j], correlation ** (i - j))
    across = (e[:, 1:] * e[:, :-1]).mean(0)
    assert abs(across.mean()) <= 5 * across.std() / np.sqrt(n / 2)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_correlated_noise_along_any_axis(axis, key):
    x = jnp.zeros((3, 4, 5))
    noise = partial(jn.add_correlated_noise, key, x, 1.0)
    offset = np.asarray(noise(correlation=1.0, axis=axis))
    first = offset.take([0], axis)
    np.testing.assert_array_equal(offset, np.broadcast_to(first, x.shape))
    white = jn.add_gaussian_noise(key, x, 1.0)
    np.testing.assert_array_equal(noise(correlation=0.0, axis=axis), white)


def test_the_correlation_may_be_traced(key):
    noise = partial(jn.add_correlated_noise, key, jnp.zeros((8, 3)), 1.0, axis=0)
    levels = jnp.array([0.0, 0.5, 0.9])
    many = jax.jit(jax.vmap(lambda rho: noise(correlation=rho)))(levels)
    for out, rho in zip(many, levels, strict=True):
        np.testing.assert_allclose(out, noise(correlation=rho), atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_neftune(masked):
    """T11: half-width ``alpha / sqrt(L d)``, expected squared norm ``alpha**2 / 3``."""
    rows, tokens, width, alpha = 2000, 12, 16, 5.0
    lengths = np.arange(rows) % tokens + 1 if masked else np.full(rows, tokens)
    mask = np.arange(tokens) < lengths[:, None]
    noise = jn.neftune_noise(
        jax.random.key(12),
        jnp.zeros((rows, tokens, width)),
        alpha,
        mask=mask if masked else None,
    )
    noise = np.asarray(noise, np.float64)
    half = alpha / np.sqrt(lengths * width)[:, None, None]
    assert (abs(noise) <= half * (1 + 1e-6)).all()
    assert (noise[~mask] == 0).all()
    assert_mean((noise**2).sum((1, 2)), alpha**2 / 3)
    unit = (noise / half)[mask]
    assert_mean(unit, 0)
    assert_mean(unit**2, 1 / 3)
    assert_mean(unit**4, 1 / 5)


# Replacing noise


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_salt_and_pepper(rate):
    """Low and high at half the rate each, the rest as it was."""
    x = jnp.full(N, 0.25)
    noisy = np.asarray(jn.salt_and_pepper(jax.random.key(13), x, rate, low=-1, high=2))
    assert_share(noisy == -1, rate / 2)
    assert_share(noisy == 2, rate / 2)
    assert_share(noisy == 0.25, 1 - rate)


# Multiplicative noise


@pytest.mark.parametrize("noise", ["gaussian", "dropout"])
@pytest.mark.parametrize(
    ("rate", "stddev"), [(0.1, 0.3333), (0.2, 0.5), (0.5, 1.0), (0.8, 2.0)]
)
def test_dropout_and_gaussian_dropout_share_two_moments(noise, rate, stddev):
    """T7: mean x and variance ``rate / (1 - rate) x**2``."""
    layer = {"gaussian": jn.GaussianDropout, "dropout": jn.Dropout}[noise]
    rngs = {"noise": jax.random.key(14)}
    x = 1.5
    out = layer(rate, train=True).apply({}, jnp.full(N, x), rngs=rngs)
    out = np.asarray(out, np.float64)
    assert_mean(out, x)
    exact = rate / (1 - rate)
    assert abs(np.sqrt(exact) - stddev) <= 5e-5
    assert_mean((out - x) ** 2, exact * x**2)
    if noise == "dropout":
        assert_share(out == 0, rate)


@pytest.mark.parametrize("noise", [jn.multiply_gaussian_noise, jn.drop_units])
def test_multiplicative_noise_on_linear_least_squares(noise):
    """T7: the mean loss grows by ``alpha**2 sum_j w_j**2 x_j**2``."""
    n, rate = 200_000, 0.3
    alpha = np.sqrt(rate / (1 - rate))
    x, y, w = jnp.array([1.0, -2.0, 0.5]), 0.3, jnp.array([0.2, 1.0, -0.4])
    strength = rate if noise is jn.drop_units else alpha
    noisy = noise(jax.random.key(15), jnp.tile(x, (n, 1)), strength)
    losses = (np.asarray(noisy @ w, np.float64) - y) ** 2
    exact = (x @ w - y) ** 2 + alpha**2 * (w**2 * x**2).sum()
    assert_mean(losses, float(exact))


def test_spatial_dropout_drops_whole_maps(key):
    x = jnp.ones((50, 4, 4, 8))
    out = np.asarray(jn.drop_units(key, x, 0.5, shared_axes=(1, 2)))
    maps = out.reshape(50, 16, 8)
    assert (maps == maps[:, :1]).all()
    assert_share(maps[:, 0] == 0, 0.5)


def test_the_limits_of_the_rate(key, x):
    """All is dropped at rate 1: 0, also for the alpha dropout, whose limit it is."""
    for noise in (jn.drop_units, jn.alpha_dropout):
        np.testing.assert_array_equal(noise(key, x, 1.0), np.zeros_like(x))
        np.testing.assert_array_equal(noise(key, x, 0.0), x)
    nearly = jn.alpha_dropout(key, jnp.ones(1000), 1 - 1e-6)
    assert abs(nearly).max() < 1e-2


@pytest.mark.parametrize(
    ("rate", "a", "b"),
    [
        (0.05, 0.954844, 0.083936),
        (0.1, 0.921285, 0.161971),
        (0.3, 0.860953, 0.454092),
        (0.5, 0.886405, 0.779194),
    ],
)
def test_alpha_dropout(rate, a, b):
    """T15: ``a d + b`` with d = x or -1.7580993; mean 0 and variance 1 are kept."""
    limit = -1.7580993408473766
    x = jax.random.normal(jax.random.key(16), (N,))
    out = np.asarray(jn.alpha_dropout(jax.random.key(17), x, rate), np.float64)
    dropped = np.isclose(out, a * limit + b, atol=2e-6)
    np.testing.assert_allclose(out[~dropped], (a * x + b)[~dropped], atol=1e-5)
    assert_share(dropped, rate)
    assert_mean(out, 0)
    assert_mean(out**2, 1)


# Labels


def test_flipped_labels():
    """T12: a share ``rate`` is wrong, and every wrong class is equally likely."""
    n, k, rate = 300_000, 5, 0.3
    labels = jnp.arange(n) % k
    flipped = np.asarray(
        jn.flip_labels(jax.random.key(18), labels, rate, num_classes=k)
    )
    step = (flipped - np.asarray(labels)) % k
    assert flipped.min() == 0
    assert flipped.max() == k - 1
    for other in range(1, k):
        assert_share(step == other, rate / (k - 1))


def test_flipped_labels_are_label_smoothing():
    """T12: the mean cross-entropy is that of smoothing by ``rate K / (K - 1)``."""
    n, k, rate = 300_000, 4, 0.2
    logits, label = jnp.array([0.5, -1.0, 2.0, 0.1]), 2
    flipped = jn.flip_labels(
        jax.random.key(19), jnp.full(n, label), rate, num_classes=k
    )
    losses = -jax.nn.log_softmax(logits)[flipped]
    smooth = optax.smooth_labels(jax.nn.one_hot(label, k), rate * k / (k - 1))
    assert_mean(losses, float(optax.softmax_cross_entropy(logits, smooth)))


def test_the_best_logits_under_label_noise():
    """T12: K = 10, e = 0.1: the least mean cross-entropy and the gap that gives it."""
    n, k, e = 300_000, 10, 0.1
    flipped = jn.flip_labels(
        jax.random.key(20), jnp.zeros(n, int), e * (k - 1) / k, num_classes=k
    )
    gap = 4.510860

    def losses(gap):
        return -jax.nn.log_softmax(jnp.zeros(k).at[0].set(gap))[flipped]

    assert_mean(losses(gap), 0.500288)
    _, slope = jax.jvp(losses, (gap,), (1.0,))
    assert_mean(slope, 0)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32", "bfloat16"])
def test_flip_labels_keeps_shape_and_dtype(dtype, key):
    labels = jnp.array([[0], [1], [1], [0]], dtype)
    flip = partial(jn.flip_labels, key, labels, num_classes=2)
    out = flip(1.0)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, 1 - labels)
    np.testing.assert_array_equal(flip(0.0), labels)
    np.testing.assert_array_equal(jax.jit(flip)(0.0), labels)
    rates = jnp.array([0.0, 1.0])
    np.testing.assert_array_equal(
        jax.vmap(flip)(rates), jnp.stack([labels, 1 - labels])
    )


def test_types_that_hold_all_classes_are_taken(key):
    """Up to the last whole number that they hold."""
    for dtype, classes in (("uint8", 256), ("int8", 128), ("bfloat16", 257)):
        labels = jnp.zeros(20_000, dtype)
        out = jn.flip_labels(key, labels, 1.0, num_classes=classes)
        assert out.dtype == dtype
        found = np.unique(np.asarray(out, int))
        np.testing.assert_array_equal(found, np.arange(1, classes))


def test_flip_labels_under_a_mask(key):
    labels, mask = jnp.array([0, 1, -1]), jnp.array([True, False, False])
    out = jn.flip_labels(key, labels, 1.0, num_classes=2, mask=mask)
    np.testing.assert_array_equal(out, [1, 1, -1])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("labels", "rate", "classes", "error", "message"),
    [
        ([0, 2], 0.1, 2, ValueError, "labels must be classes from 0 to 1, got 2"),
        ([0, -1], 0.1, 2, ValueError, "labels must be classes from 0 to 1, got -1"),
        ([0.5], 0.1, 2, ValueError, "labels must be classes from 0 to 1, got 0.5"),
        (["a"], 0.1, 2, TypeError, "labels must be a number or an array"),
        ([0], 1.5, 2, ValueError, "rate must be from 0 to 1, got 1.5"),
        ([0], 0.1, 1, ValueError, "num_classes must be at least 2, got 1"),
        ([0], 0.1, 2.0, TypeError, "num_classes must be an int, got 2.0"),
        ([0], np.ones(3), 2, ValueError, "rate must broadcast"),
        (np.eye(3), 0.1, 3, ValueError, r"classes, not one-hot rows, got float32"),
        (
            np.uint8([0]),
            0.1,
            300,
            ValueError,
            "labels of uint8 cannot tell 300 classes",
        ),
        (
            np.int8([0]),
            0.1,
            200,
            ValueError,
            "cannot tell 200 classes apart; cast them",
        ),
        (np.float16([0]), 0.1, 4000, ValueError, "labels of float16 cannot tell"),
        ([True], 0.1, 2, TypeError, "labels must be a number .* an array of bool"),
    ],
)
def test_bad_labels(labels, rate, classes, error, message, key):
    with pytest.raises(error, match=message):
        jn.flip_labels(key, np.array(labels), rate, num_classes=classes)


# Trees of weights


def test_weight_noise_on_a_linear_layer():
    """T8: outputs of mean Wx and variance ``s**2 ||x||**2``."""
    s, n = 0.2, 200_000
    x, w = jnp.array([1.0, -2.0, 0.5]), jnp.array([[0.3], [0.1], [-0.7]])
    keys = jax.random.split(jax.random.key(21), n)
    over = jax.jit(jax.vmap(jn.tree_add_gaussian_noise, (0, None, None)))
    noisy = over(keys, {"w": w}, s)
    out = np.asarray(jnp.einsum("i,nio->n", x, noisy["w"]), np.float64)
    exact = float((x @ w)[0])
    assert_mean(out, exact)
    assert_mean((out - exact) ** 2, float(s**2 * (x**2).sum()))


def test_leaves_have_their_own_noise(key):
    n = 100_000
    params = {"a": {"w": jnp.zeros(n), "v": jnp.zeros(n)}, "b": [jnp.zeros(n)]}
    noisy = jn.tree_add_gaussian_noise(key, params, 1.0)
    leaves = np.stack(jax.tree.leaves(noisy))
    correlations = np.corrcoef(leaves) - np.eye(3)
    assert abs(correlations).max() <= 5 / np.sqrt(n)
    more = jn.tree_add_gaussian_noise(key, params | {"0": jnp.zeros(n)}, 1.0)
    np.testing.assert_array_equal(more["a"]["v"], noisy["a"]["v"])


def test_a_tree_of_strengths(key):
    params = {"a": {"w": jnp.ones(3), "v": jnp.ones(2, jnp.bfloat16)}, "b": jnp.ones(4)}
    noisy = jn.tree_add_gaussian_noise(key, params, {"a": 0.5, "b": 0.0})
    np.testing.assert_array_equal(noisy["b"], params["b"])
    assert (noisy["a"]["w"] != 1).all()
    assert noisy["a"]["v"].dtype == jnp.bfloat16
    assert jn.tree_add_gaussian_noise(key, {}, 0.5) == {}


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("params", "stddev", "error", "message"),
    [
        ({"a": np.ones(2)}, -1.0, ValueError, "stddev must be finite and >= 0, got -1"),
        ({"a": np.ones(2)}, "1", TypeError, "stddev must be a number .* got '1'"),
        (
            {"a": np.ones(2)},
            {"b": 1.0},
            ValueError,
            "stddev must be a number or a tree",
        ),
        ({"a": np.ones(2, int)}, 1.0, TypeError, r"params .* got int.* at \['a'\]"),
    ],
)
def test_bad_trees(params, stddev, error, message, key):
    with pytest.raises(error, match=message):
        jn.tree_add_gaussian_noise(key, params, stddev)
    with pytest.raises(TypeError, match="typed key"):
        jn.tree_add_gaussian_noise(0, params, 0.1)


# Factorised noise


def test_factorised_noise():
    """T10: moments of f and of the products, which have rank 1."""
    n = 200_000
    keys = jax.random.split(jax.random.key(22), n)
    a, b = jax.jit(jax.vmap(lambda key: factorised_normal(key, 2, 3)))(keys)
    f = np.asarray(a[:, 0], np.float64)
    assert_mean(f, 0)
    assert_mean(f**2, 0.797885)
    products = np.asarray(jnp.einsum("ni,nj->nij", a, b), np.float64)
    assert np.linalg.matrix_rank(products[0], tol=1e-5) == 1
    entry = products[:, 1, 2]
    assert_mean(entry, 0)
    assert_mean(entry**2, 0.636620)
    assert_mean(entry**4, 1.0)
    assert_mean(products[:, 0, 1] * products[:, 1, 2], 0)
