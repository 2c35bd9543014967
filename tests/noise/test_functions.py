"""One battery over every noise function, then each function's own law.

A function belongs to the battery if its first arguments are ``key``, ``x`` and a
strength: a new noise is picked up by itself.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnoise as jn
from jaxnoise.noise import functions

NOISES = [
    function
    for name, function in vars(functions).items()
    if not name.startswith("_")
    and inspect.isfunction(function)
    and list(inspect.signature(function).parameters)[:2] == ["key", "x"]
]
battery = pytest.mark.parametrize("noise", NOISES, ids=lambda f: f.__name__)

# eager and jitted programs may round the last bit differently
close = {
    "float16": 2e-3,
    "bfloat16": 2e-2,
    "float32": 1e-6,
}


def uncorrelated(a, b, n):
    """|correlation| of n independent pairs is below 5 / sqrt(n)."""
    correlation = np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]
    return abs(correlation) <= 5 / np.sqrt(n)


def test_battery_is_not_empty():
    assert jn.add_gaussian_noise in NOISES


@battery
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (4, 3), (2, 3, 1, 2, 2), (0, 3)])
def test_keeps_shape_and_dtype(noise, dtype, shape, key):
    out = noise(key, jnp.ones(shape, dtype), 0.5)
    assert out.shape == shape
    assert out.dtype == dtype
    assert np.isfinite(np.asarray(out, np.float32)).all()


@battery
def test_keeps_float64(noise, key):
    with jax.enable_x64(True):
        x = jnp.linspace(-1.0, 1.0, 1000)
        out = noise(key, x, 0.5)
        assert out.dtype == jnp.float64
        drawn = np.asarray(out - x)
        # drawn in float64, not widened from float32
        assert (drawn != drawn.astype(np.float32)).mean() > 0.9
        np.testing.assert_array_equal(noise(key, x, 0.0), x)


@battery
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_strength_zero_is_the_identity(noise, dtype, key, x):
    x = jnp.asarray(x, dtype)
    for strength in (0.0, 0, jnp.zeros(3), np.zeros((4, 1))):
        assert jnp.array_equal(noise(key, x, strength), x)
    assert jnp.array_equal(jax.jit(noise)(key, x, 0.0), x)


@battery
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_eager_jit_and_vmap_agree(noise, dtype, x):
    keys = jax.random.split(jax.random.key(1), 5)
    x = jnp.asarray(x, dtype)
    eager = np.stack([np.asarray(noise(k, x, 0.3), np.float32) for k in keys])
    jitted = np.stack([np.asarray(jax.jit(noise)(k, x, 0.3), np.float32) for k in keys])
    mapped = jax.vmap(noise, (0, None, None))(keys, x, 0.3)
    np.testing.assert_allclose(eager, jitted, atol=close[dtype], rtol=close[dtype])
    np.testing.assert_allclose(
        eager, np.asarray(mapped, np.float32), atol=close[dtype], rtol=close[dtype]
    )


@battery
def test_strengths_can_be_vmapped_and_broadcast(noise, key, x):
    strengths = jnp.array([0.0, 0.5, 2.0])
    mapped = jax.jit(jax.vmap(noise, (None, None, 0)))(key, x, strengths)
    for out, strength in zip(mapped, strengths, strict=True):
        np.testing.assert_allclose(out, noise(key, x, strength), atol=1e-6)
    columns = noise(key, x, strengths)  # one strength a column
    for j, strength in enumerate(strengths):
        np.testing.assert_allclose(
            columns[:, j], noise(key, x, strength)[:, j], atol=1e-6
        )


@battery
def test_same_key_same_noise_other_key_other_noise(noise):
    n = 100_000
    x = jnp.zeros(n)
    a, b = jax.random.split(jax.random.key(2))
    first = noise(a, x, 1.0)
    np.testing.assert_array_equal(first, noise(a, x, 1.0))
    assert uncorrelated(first, noise(b, x, 1.0), n)


@battery
def test_elements_are_independent(noise, key):
    n = 100_000
    out = np.asarray(noise(key, jnp.zeros((2, n)), 1.0))
    assert uncorrelated(out[0], out[1], n)
    assert uncorrelated(out[0, 1:], out[0, :-1], n - 1)


@battery
@pytest.mark.parametrize("axes", [0, 1, 2])
def test_masked_positions_keep_their_bits(noise, axes, key):
    x = jax.random.normal(jax.random.key(5), (6, 5)).at[0, 0].set(jnp.nan)
    mask = jax.random.bernoulli(jax.random.key(3), 0.5, x.shape[:axes])
    mask = mask if axes else jnp.zeros((), bool)
    out = noise(key, x, 1.0, mask=mask)
    wide = np.broadcast_to(np.reshape(mask, mask.shape + (1,) * (2 - axes)), x.shape)
    plain = np.asarray(noise(key, x, 1.0))
    np.testing.assert_array_equal(np.asarray(out)[~wide], np.asarray(x)[~wide])
    np.testing.assert_array_equal(np.asarray(out)[wide], plain[wide])


@battery
def test_gradients_are_finite(noise, key, x):
    def total(x, strength):
        return (noise(key, x, strength) ** 2).sum()

    for strength in (0.0, 0.5):
        for gradient in jax.grad(total, (0, 1))(jnp.asarray(x), strength):
            assert np.isfinite(gradient).all()


@battery
def test_shared_axes_share_one_draw(noise, key):
    out = np.asarray(noise(key, jnp.zeros((4, 5, 3)), 1.0, shared_axes=(1,)))
    np.testing.assert_array_equal(out, np.broadcast_to(out[:, :1], out.shape))
    assert len(np.unique(out[:, 0])) == 12
    same = noise(key, jnp.zeros((4, 5, 3)), 1.0, shared_axes=(-2,))
    np.testing.assert_array_equal(out, same)


@battery
@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("strength", "error", "message"),
    [
        (-0.1, ValueError, "must be finite and >= 0, got -0.1"),
        (float("nan"), ValueError, "must be finite and >= 0, got nan"),
        (float("inf"), ValueError, "must be finite and >= 0, got inf"),
        (np.array([0.1, -2.0, 0.1]), ValueError, "must be finite and >= 0, got -2.0"),
        (jnp.array(-3.0), ValueError, "must be finite and >= 0, got -3.0"),
        ("0.1", TypeError, "must be a number or an array, got '0.1'"),
        (None, TypeError, "must be a number or an array, got None"),
        (True, TypeError, "must be a number or an array, got True"),
        (np.ones(4), ValueError, r"must broadcast against x of shape \(4, 3\)"),
        (np.ones((2, 4, 3)), ValueError, r"must broadcast .* got shape \(2, 4, 3\)"),
    ],
    ids=repr,
)
def test_bad_strengths(noise, strength, error, message, key, x):
    name = list(inspect.signature(noise).parameters)[2]
    with pytest.raises(error, match=f"^{name} {message}"):
        noise(key, x, strength)


@battery
@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.arange(3), "x must be floating, got int"),
        (np.ones(3, bool), "x must be floating, got bool"),
        (np.ones(3, complex), "x must be floating, got complex"),
        ("abc", "x must be a floating array, got 'abc'"),
        (None, "x must be a floating array, got None"),
    ],
    ids=repr,
)
def test_bad_inputs(noise, bad, message, key):
    with pytest.raises(TypeError, match=message):
        noise(key, bad, 0.1)


@battery
@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.ones((4, 2), bool), ValueError, r"mask .* x, \(4, 3\), .* got \(4, 2\)"),
        (np.ones(3, bool), ValueError, r"mask .* leading axes, got \(3,\)"),
        (np.ones((4, 3, 1), bool), ValueError, r"mask .* got \(4, 3, 1\)"),
        (np.ones((4, 3)), TypeError, "mask must be boolean, got float"),
        (np.ones(4, int), TypeError, "mask must be boolean, got int"),
    ],
)
def test_bad_masks(noise, mask, error, message, key, x):
    with pytest.raises(error, match=message):
        noise(key, x, 0.1, mask=mask)


@battery
@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: jax.random.PRNGKey(0), TypeError, r"typed key, .*legacy"),
        (lambda: 0, TypeError, "key must be a typed key, .* got 0"),
        (lambda: jax.random.key(0, impl="rbg"), TypeError, "threefry2x32 key, .* rbg"),
        (
            lambda: jax.random.key(0, impl="unsafe_rbg"),
            TypeError,
            "threefry2x32 key, .* unsafe_rbg",
        ),
        (
            lambda: jax.random.split(jax.random.key(0), 3),
            ValueError,
            r"single key, got an array of shape \(3,\)",
        ),
    ],
)
def test_bad_keys(noise, make, error, message, x):
    with pytest.raises(error, match=message):
        noise(make(), x, 0.1)
    if not isinstance(make(), int):  # which jit itself turns into an array
        with pytest.raises(error, match="key must be"):
            jax.jit(noise)(make(), x, 0.1)


@pytest.mark.bad_input
def test_bad_shared_axes(key, x):
    with pytest.raises(ValueError, match="shared_axes must name axes of x, .* got 2"):
        jn.add_gaussian_noise(key, x, 0.1, shared_axes=(2,))


# The law of each noise


def test_gaussian_moments():
    """Mean 0, deviation s, skewness 0, kurtosis 3: within 5 standard errors."""
    n, s = 1_000_000, 0.3
    noise = np.asarray(
        jn.add_gaussian_noise(jax.random.key(7), jnp.zeros(n), s), np.float64
    )
    z = noise / s
    assert abs(z.mean()) <= 5 / np.sqrt(n)
    assert abs(noise.std() - s) <= 5 * s / np.sqrt(2 * n)
    assert abs((z**3).mean()) <= 5 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) <= 5 * np.sqrt(96 / n)


def test_gaussian_noise_scales_linearly(key, x):
    """``x + s * e`` with one e for all s: common random numbers."""
    unit = jn.add_gaussian_noise(key, jnp.zeros_like(x), 1.0)
    for s in (1e-3, 0.3, 7.0, 300.0):
        out = jn.add_gaussian_noise(key, x, s)
        np.testing.assert_allclose(out, x + s * unit, rtol=1e-6, atol=1e-6)


def test_half_precision_noise_is_the_float32_noise_cast(key):
    """Half-precision normals have short tails; one stream serves all types."""
    wide = jn.add_gaussian_noise(key, jnp.zeros(1000), 1.0)
    for dtype in ("float16", "bfloat16"):
        half = jn.add_gaussian_noise(key, jnp.zeros(1000, dtype), 1.0)
        np.testing.assert_array_equal(half, wide.astype(dtype))


def test_before_and_after_relu():
    """Before the ReLU the mean moves, after it not: exact Gaussian integrals."""
    n, a, s = 1_000_000, 0.5, 0.3
    pre = jn.add_gaussian_noise(jax.random.key(8), jnp.full(n, a), s)
    before = np.asarray(jax.nn.relu(pre), np.float64)
    post = jn.add_gaussian_noise(jax.random.key(9), jax.nn.relu(jnp.full(n, a)), s)
    assert abs(before.mean() - 0.505948) <= 5 * before.std() / np.sqrt(n) + 1e-6
    second = before**2
    assert abs(second.mean() - 0.338673) <= 5 * second.std() / np.sqrt(n) + 1e-6
    assert abs(float(post.mean()) - a) <= 5 * s / np.sqrt(n)
