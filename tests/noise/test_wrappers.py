"""Wrappers: what they do to results, strengths and gradients, and what they refuse."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnoise as jn
from jaxnoise.noise.wrappers import _deviation

N = 200_000


def shift(key, x, scale):
    """A noise without a mask argument, whose result is known."""
    return x + scale


# Clipped


@pytest.mark.parametrize("gradient", ["pass", "zero"])
def test_clipped_values(gradient, key):
    x = jnp.linspace(0.0, 1.0, 1000)
    noise = jn.clipped(jn.add_gaussian_noise, 0.0, 1.0, gradient)
    plain = jn.add_gaussian_noise(key, x, 0.5)
    np.testing.assert_array_equal(noise(key, x, 0.5), jnp.clip(plain, 0, 1))
    assert noise(key, x.astype(jnp.bfloat16), 0.5).dtype == jnp.bfloat16


def test_clipped_gradients(key):
    x = jnp.array([0.2, 0.5, 0.9])
    for gradient, expected in (("pass", [1, 1, 1]), ("zero", [1, 1, 0])):
        noise = jn.clipped(shift, 0.0, 1.0, gradient)
        slopes = jax.grad(lambda x, noise=noise: noise(key, x, 0.3).sum())(x)
        np.testing.assert_array_equal(slopes, expected)
    infinite = jn.clipped(lambda key, x: x / 0, -1.0, 1.0)
    np.testing.assert_array_equal(infinite(key, x), jnp.ones(3))


def test_clipped_bounds_may_be_arrays_and_traced(key):
    x = jnp.zeros((2, 3))
    low, high = jnp.array([-1.0, -0.1, 0.0]), jnp.array([1.0, 0.1, 0.0])

    @jax.jit
    def call(low, high):
        return jn.clipped(jn.add_gaussian_noise, low, high)(key, x, 5.0)

    plain = jn.add_gaussian_noise(key, x, 5.0)
    np.testing.assert_allclose(call(low, high), jnp.clip(plain, low, high), rtol=1e-6)


def test_what_is_masked_is_not_clipped(key):
    x, mask = jnp.full(4, 7.0), jnp.array([True, False, True, False])
    for fn in (jn.add_gaussian_noise, shift):
        out = jn.clipped(fn, 0.0, 1.0)(key, x, 0.5, mask=mask)
        np.testing.assert_array_equal(out, [1, 7, 1, 7])


# Relative


@pytest.mark.parametrize("masked", [False, True])
def test_relative_to_the_batch(masked):
    x = jax.random.normal(jax.random.key(1), (N // 4, 4)) * jnp.arange(1.0, 5) + 3
    mask = jnp.arange(N // 4) % 2 == 0 if masked else None
    x = jnp.where(mask[:, None], x, 1e6) if masked else x  # padding does not count
    noisy = jn.relative(jn.add_gaussian_noise)(jax.random.key(2), x, 0.1, mask=mask)
    real = slice(None, None, 2) if masked else slice(None)
    noise = np.asarray(noisy - x, np.float64)[real]
    exact = 0.1 * np.asarray(x, np.float64)[real].std()
    assert abs(noise.std() - exact) <= 5 * exact / np.sqrt(2 * noise.size) + 1e-5


@pytest.mark.parametrize("masked", [False, True])
def test_relative_to_each_feature(masked):
    x = jax.random.normal(jax.random.key(1), (N // 4, 4)) * jnp.arange(4.0) + 3
    mask = jnp.arange(N // 4) % 2 == 0 if masked else None
    x = jnp.where(mask[:, None], x, 1e6) if masked else x
    noise = jn.relative(jn.add_gaussian_noise, to="feature")
    noise = noise(jax.random.key(2), x, 0.1, mask=mask) - x
    real = slice(None, None, 2) if masked else slice(None)
    noise, x = (np.asarray(v, np.float64)[real] for v in (noise, x))
    exact = 0.1 * x.std(0)
    assert (abs(noise.std(0) - exact) <= 5 * exact / np.sqrt(2 * len(x)) + 1e-5).all()


def test_no_gradient_flows_through_the_measured_deviation(key, x):
    x = jnp.asarray(x)
    for to in ("batch", "feature"):
        noise = jn.relative(jn.add_gaussian_noise, to)
        slopes = jax.grad(lambda x, noise=noise: noise(key, x, 0.5).sum())(x)
        np.testing.assert_array_equal(slopes, np.ones_like(x))


def test_relative_of_a_partial_a_function_without_mask_and_a_position(key):
    x = jnp.array([0.0, 2.0, 4.0, 100.0])
    mask = jnp.array([True, True, True, False])
    deviation = np.sqrt(8 / 3)
    expected = [3 * deviation, 2 + 3 * deviation, 4 + 3 * deviation, 100]
    for noise in (
        lambda **mask: jn.relative(shift)(key, x, 3.0, **mask),
        lambda **mask: jn.relative(shift)(key, x, scale=3.0, **mask),
        lambda **mask: jn.relative(partial(shift, scale=3.0))(key, x, **mask),
        lambda **mask: partial(jn.relative(shift), scale=3.0)(key, x, **mask),
    ):
        np.testing.assert_allclose(noise(mask=mask), expected, rtol=1e-6)


def test_half_floats_are_measured_in_float32(key):
    x = jnp.full((1000, 60), 300.0, jnp.float16).at[::2].set(-300)  # squares overflow
    noisy = jn.relative(jn.add_gaussian_noise)(key, x, 0.1)
    assert noisy.dtype == jnp.float16
    assert np.isfinite(noisy).all()


@pytest.mark.parametrize("decibels", [20.0, 0.0, -6.0])
def test_signal_to_noise_ratio(decibels):
    """``20 log10(sd(x) / sd(noise))`` is what was asked for."""
    x = 3 * jax.random.normal(jax.random.key(1), (N,)) + 5
    noise = jn.snr_db(jn.add_gaussian_noise)(jax.random.key(2), x, decibels) - x
    noise, x = np.asarray(noise, np.float64), np.asarray(x, np.float64)
    measured = 20 * np.log10(x.std() / noise.std())
    error = 5 * 20 / np.log(10) / np.sqrt(2 * N)
    assert abs(measured - decibels) <= error


def test_infinite_decibels_are_no_noise(key, x):
    noise = jn.snr_db(jn.add_gaussian_noise, to="feature")
    np.testing.assert_array_equal(noise(key, x, np.inf), x)
    np.testing.assert_array_equal(noise(key, x, snr_db=np.inf), x)
    levels = jnp.array([10.0, 30.0])
    out = jax.jit(jax.vmap(lambda level: noise(key, x, level)))(levels)
    np.testing.assert_allclose(out[1], noise(key, x, 30.0), rtol=1e-6)


def test_signatures_are_those_of_the_wrapped():
    assert list(inspect.signature(jn.clipped(shift, 0, 1)).parameters) == [
        *("key", "x", "scale", "mask")
    ]
    wrapped = jn.snr_db(jn.add_gaussian_noise)
    assert list(inspect.signature(wrapped).parameters) == [
        *("key", "x", "snr_db", "mask", "shared_axes")
    ]


def test_functions_of_any_keywords(key, x):
    """They get the mask, and cannot lose it."""

    def passes_on(key, x, stddev, **keywords):
        return jn.add_gaussian_noise(key, x, stddev, **keywords)

    def ignores(key, x, stddev, **keywords):
        return jn.add_gaussian_noise(key, x, stddev)

    mask = np.array([True, False, True, False])
    for make in (partial(jn.clipped, low=-9.0, high=9.0), jn.relative, jn.snr_db):
        expected = make(jn.add_gaussian_noise)(key, x, 0.5, mask=mask)
        for fn in (passes_on, ignores):
            out = make(fn)(key, x, 0.5, mask=mask)
            np.testing.assert_allclose(out, expected, rtol=1e-6)
            shared = make(passes_on)(key, x, 0.5, shared_axes=(0,)) - x
        np.testing.assert_allclose(shared, shared[:1].repeat(4, 0), atol=1e-6)


def test_what_is_masked_reaches_no_gradient(key):
    """Though the function knows no mask: NaN stands for a missing value."""
    x, mask = jnp.array([1.0, jnp.nan, 2.0]), jnp.array([True, False, True])

    def scaled(key, x):
        return jnp.sqrt(x * x) * 1.5

    for fn in (jn.clipped(scaled, -9, 9), jn.clipped(scaled, -9, 9, "zero")):
        grad = jax.grad(
            lambda x, fn=fn: jnp.where(mask, fn(key, x, mask=mask), 0).sum()
        )
        np.testing.assert_allclose(grad(x), [1.5, 0, 1.5])
    layer = jn.Noise(scaled, train=True)

    def total(x):
        out = layer.apply({}, x, mask=mask, rngs={"noise": key})
        return jnp.where(mask, out, 0).sum()

    np.testing.assert_allclose(jax.grad(total)(x), [1.5, 0, 1.5])


def test_large_values_are_measured(key):
    """Though their squares overflow; strength 0 stays exact."""
    x = jnp.array([1e20, -1e20, 1.0])
    call = jn.relative(jn.add_gaussian_noise)
    np.testing.assert_array_equal(jax.jit(call)(key, x, 0.0), x)
    ratio = (call(key, x, 0.1) - x) / (call(key, x / 1e20, 0.1) - x / 1e20)
    np.testing.assert_allclose(ratio, 1e20, rtol=1e-3)


@pytest.mark.parametrize("offset", [0.0, 1e3, -1e6])
def test_an_offset_does_not_matter(offset):
    """Float32 holds x to 1 % up to 4e6 deviations, and so is its noise measured."""
    x = np.float32(np.random.default_rng(0).normal(offset, size=(N // 2, 2)))
    exact = x.astype(float).std()
    assert abs(exact - 1) < 0.01
    for to in ("batch", "feature"):
        deviation = jax.jit(partial(_deviation, "relative", to=to, mask=None))(x)
        np.testing.assert_allclose(deviation, exact, rtol=5e-3)
    x = jnp.asarray(x)
    noise = jn.relative(jn.add_gaussian_noise)(jax.random.key(2), x, 0.5) - x
    rounding = np.spacing(np.float32(abs(offset))) / 2  # of a sum
    assert abs(noise.std() - 0.5) <= 5 * 0.5 / np.sqrt(2 * N) + rounding / 2


def test_what_a_type_does_not_tell_apart():
    x = 5e6 + jax.random.normal(jax.random.key(1), (100,))
    with pytest.warns(UserWarning, match="^relative: x varies by hardly more"):
        jn.relative(jn.add_gaussian_noise)(jax.random.key(0), x, 0.1)
    constant = jnp.full(4, 1e8)  # such as a feature
    noisy = jn.snr_db(jn.add_gaussian_noise)(jax.random.key(0), constant, 0.0)
    np.testing.assert_array_equal(noisy, constant)


def test_names_are_those_of_the_wrapped():
    nested = jn.clipped(partial(jn.relative(jn.add_gaussian_noise), stddev=1.0), 0, 1)
    assert nested.__name__ == "clipped(relative(add_gaussian_noise))"
    assert jn.snr_db(jn.add_gaussian_noise).__name__ == "snr_db(add_gaussian_noise)"


def test_as_a_layer(key, x):
    noise = partial(jn.relative(jn.clipped(jn.add_gaussian_noise, -1, 1)), stddev=0.5)
    layer = jn.Noise(noise, train=True)
    mask = np.array([True, False, True, False])
    out = layer.apply({}, x, mask=mask, rngs={"noise": key})
    np.testing.assert_array_equal(out[~mask], x[~mask])
    assert (abs(out[mask]) <= 1).all()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: jn.clipped(0.1, 0, 1), TypeError, "fn must be a noise .* got 0.1"),
        (lambda: jn.clipped(shift, 1, 0), ValueError, "low must not be above high"),
        (lambda: jn.clipped(shift, None, 0), TypeError, "low must be a number .* None"),
        (lambda: jn.clipped(shift, 0, 1, "no"), ValueError, "gradient .* got 'no'"),
        (lambda: jn.relative(None), TypeError, "fn must be a noise .* got None"),
        (lambda: jn.relative(shift, "row"), ValueError, "to must be .* got 'row'"),
        (lambda: jn.relative(lambda key, x: x), TypeError, r"relative: fn must take"),
        (lambda: jn.snr_db(jn.drop_units), TypeError, "snr_db: fn .* x, rate, mask"),
    ],
)
def test_bad_wrappers(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.bad_input
def test_bad_calls(key, x):
    with pytest.raises(ValueError, match=r"high must broadcast against x"):
        jn.clipped(shift, 0.0, np.ones(4))(key, x, 0.1)
    with pytest.raises(TypeError, match="stddev must be given"):
        jn.relative(jn.add_gaussian_noise)(key, x)
    for bad in (np.nan, -np.inf):
        with pytest.raises(ValueError, match="snr_db must be above minus infinity"):
            jn.snr_db(jn.add_gaussian_noise)(key, x, bad)
    with pytest.raises(ValueError, match="x must be finite where the mask is True"):
        jn.relative(jn.add_gaussian_noise)(key, np.array([1.0, np.nan]), 0.1)
    with pytest.raises(TypeError, match="snr_db must be a number or an array"):
        jn.snr_db(jn.add_gaussian_noise)(key, x, "loud")
