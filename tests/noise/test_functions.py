"""One battery over every noise function and wrapper; `test_laws.py` has their laws.

A public function belongs to the battery if it is called as ``noise(key, x, strength)``:
a new noise is picked up by itself.
"""

import inspect
from functools import cache, partial, update_wrapper

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnoise as jn
from jaxnoise.noise import draw, functions, rows

REQUIRED = {  # what functions need beside a strength, by name
    "sampler": jax.random.laplace,
    "correlation": 0.5,
    "axis": -1,
    "low": -2.0,
    "high": 2.0,
    "mode": "sample",
}


def complete(function):
    """The function with all that it needs beside key, x and strength."""
    parameters = inspect.signature(function).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty][3:]
    filled = partial(function, **{name: REQUIRED[name] for name in needed})
    return update_wrapper(filled, function) if needed else function


def named(name, function):
    function.__name__ = name
    return function


def takes_a_strength(function):
    """Whether it is called as ``noise(key, x, strength)``."""
    parameters = inspect.signature(function).parameters
    third = [*parameters.values()][2:3]
    given = list(parameters)[:2] == ["key", "x"] and third[0].name != "y"
    return given and third[0].kind is not inspect.Parameter.KEYWORD_ONLY


FUNCTIONS = [
    complete(function)
    for module in (functions, rows)
    for name, function in vars(module).items()
    if name in dir(jn)
    and function.__module__ == module.__name__
    and takes_a_strength(function)
]
MEASURED = [  # what they do depends on the mask
    jn.swap_noise,
    named("relative_batch", jn.relative(jn.add_gaussian_noise)),
    named("relative_feature", jn.relative(jn.add_gaussian_noise, to="feature")),
    jn.neftune_noise,
]
WRAPPED = [
    *MEASURED[1:3],
    named("clipped_pass", jn.clipped(jn.add_gaussian_noise, -100.0, 100.0)),
    named("clipped_zero", jn.clipped(jn.drop_units, -100.0, 100.0, gradient="zero")),
    named("nested", jn.clipped(jn.relative(jn.add_gaussian_noise), -100.0, 100.0)),
]
MEASURED.append(WRAPPED[-1])
NOISES = FUNCTIONS + WRAPPED
battery = pytest.mark.parametrize("noise", NOISES, ids=lambda f: f.__name__)
apart = pytest.mark.parametrize(  # cells that do not get values of each other
    "noise", [f for f in NOISES if f is not jn.swap_noise], ids=lambda f: f.__name__
)


def strength_name(noise):
    return list(inspect.signature(noise).parameters)[2]


def is_rate(noise):
    return strength_name(noise) == "rate"


def nearly_ones(n):
    """Ones, of which a few are 0: values with a deviation, but hardly a pattern."""
    return jnp.ones((n, 1)).at[:10].set(0)


def uncorrelated(a, b, n):
    """|correlation| of n independent pairs is below 5 / sqrt(n)."""
    correlation = np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]
    return abs(correlation) <= 5 / np.sqrt(n)


def test_the_battery_holds_all_noises():
    """Those of today at the least; a new one joins by itself."""
    assert {noise.__name__ for noise in FUNCTIONS} >= {
        "add_correlated_noise",
        "add_gaussian_noise",
        "add_noise",
        "alpha_dropout",
        "drop_path",
        "drop_units",
        "multiply_gaussian_noise",
        "neftune_noise",
        "salt_and_pepper",
        "swap_noise",
    }


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("float16", (0, 3)), ("bfloat16", (2, 3, 1, 2, 2)), ("float32", ())],
)
def test_keeps_shape_and_dtype(dtype, shape, key):
    out = jn.add_gaussian_noise(key, jnp.ones(shape, dtype), 0.5)
    assert out.shape == shape
    assert out.dtype == dtype
    assert np.isfinite(np.asarray(out, np.float32)).all()


@battery
def test_every_noise_keeps_shape_and_dtype(noise, key):
    """Traced alone, which compiles nothing, as wherever the form is what counts."""
    shapes = {"bfloat16": (2, 3, 1), "float16": (0, 3), "float32": ()}
    if noise.__name__ in ("add_correlated_noise", "swap_noise"):  # they need an axis
        shapes["float32"] = (3, 0)
    for dtype, shape in shapes.items():
        out = jax.eval_shape(noise, key, jnp.ones(shape, dtype), 0.5)
        assert (out.shape, out.dtype) == (shape, dtype)


@battery
def test_keeps_float64(noise, key):
    with jax.enable_x64(True):
        x = jnp.linspace(-1.0, 1.0, 12).reshape(4, 3)
        out = jax.jit(noise)(key, x, 0.0)
        assert out.dtype == jnp.float64
        np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("strength", [0, jnp.zeros(3), np.zeros((4, 1))], ids=repr)
def test_strength_zero_in_every_form(strength, key, x):
    assert jnp.array_equal(jn.add_gaussian_noise(key, x, strength), x)


@battery
def test_strength_zero_is_the_identity(noise, key, x):
    narrow = jnp.asarray(x, "bfloat16")
    assert jnp.array_equal(jax.jit(noise)(key, narrow, 0.0), narrow)
    assert jnp.array_equal(called(noise, key, x, 0.0)[0], x)


@cache
def program(noise):
    """What most tests of a noise call: its values, and slopes of their squares."""

    def total(x, strength, key, mask):
        out = noise(key, x, strength, mask=mask)
        return (jnp.where(draw.full_mask(mask, x), out, 0) ** 2).sum(), out

    return jax.jit(jax.grad(total, (0, 1), has_aux=True))


def called(noise, key, x, strength, mask=None):
    slopes, out = program(noise)(x, strength, key, mask)
    return np.asarray(out), slopes


@battery
def test_eager_jit_and_vmap_agree(noise, x):
    """Over keys and over strengths, which may be one a column, too."""
    keys, strengths = jax.random.split(jax.random.key(1), 3), jnp.array([0.0, 0.5, 1.0])
    jitted = np.array([[called(noise, k, x, s)[0] for s in strengths] for k in keys])
    over_strengths = jax.vmap(noise, (None, None, 0))
    mapped = jax.jit(jax.vmap(over_strengths, (0, None, None)))(keys, x, strengths)
    np.testing.assert_allclose(mapped, jitted, atol=2e-6)
    np.testing.assert_allclose(noise(keys[2], x, 0.5), jitted[2, 1], atol=2e-6)
    columns = noise(keys[0], x, strengths)
    for j in range(3):
        np.testing.assert_allclose(columns[:, j], jitted[0, j, :, j], atol=2e-6)


@battery
def test_the_strength_by_its_name(noise, key, x):
    named = jax.make_jaxpr(lambda: noise(key, x, **{strength_name(noise): 0.5}))()
    assert str(named) == str(jax.make_jaxpr(lambda: noise(key, x, 0.5))())


@apart
def test_same_key_same_noise_and_nothing_else_is_alike(noise):
    """Neither another key's, nor another row's, nor the neighbour's noise."""
    n, call = 100_000, jax.jit(noise)
    x = jnp.stack([nearly_ones(n), nearly_ones(n)])
    x = x.reshape(2 * n, 1) if noise.__name__ == "drop_path" else x  # a draw a row
    a, b = jax.random.split(jax.random.key(2))
    first, again, other = (np.asarray(call(k, x, 0.5)) - x for k in (a, a, b))
    first, again, other = (np.reshape(e, (2, n, 1)) for e in (first, again, other))
    assert (first != 0).sum() > 2 * n / 3
    np.testing.assert_array_equal(first, again)
    assert uncorrelated(first, other, 2 * n)
    assert uncorrelated(first[0], first[1], n)
    assert uncorrelated(first[0, 1:], first[0, :-1], n - 1)


@battery
def test_masked_positions_keep_their_bits(noise, key):
    """And NaN that is masked reaches no slope."""
    x = jax.random.normal(jax.random.key(5), (4, 3))
    plain = called(noise, key, x, 1.0)[0]
    x = np.asarray(x.at[0, 0].set(jnp.nan))
    masks = [np.array([False, True, True, False])]
    if noise is jn.add_gaussian_noise:
        masks += [np.zeros((), bool), np.eye(4, 3, -1, bool)]
    for mask in masks:
        wide = np.broadcast_to(mask.T, x.T.shape).T
        out, slopes = called(noise, key, x, 1.0, mask)
        bits = out.view(np.uint32), x.view(np.uint32)
        np.testing.assert_array_equal(*(b[~wide] for b in bits))
        assert (out[wide] != x[wide]).all()
        if noise not in MEASURED:
            np.testing.assert_allclose(out[wide], plain[wide], rtol=1e-6)
        for slope in slopes:
            assert np.isfinite(slope).all()


@battery
def test_gradients_are_finite(noise, key, x):
    for strength in (0.0, 0.5, 1.0):
        for slope in called(noise, key, x, strength)[1]:
            assert np.isfinite(slope).all()


@battery
def test_strict_modes(noise, key, x):
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        jax.eval_shape(noise, key, x, jnp.full(3, 0.5), mask=np.ones(4, bool))
        jax.eval_shape(lambda: noise(key, x, 0.5))


@apart
def test_shared_axes_share_one_draw(noise, key):
    x = jnp.ones((40, 5, 3)).at[0].set(0)
    call = jax.jit(partial(noise, shared_axes=(1,)))
    out = np.asarray(call(key, x, 0.5))
    np.testing.assert_array_equal(out, np.broadcast_to(out[:, :1], out.shape))
    assert (out[1:, 0] != out[1:2, 0]).any(0).all()
    negative = jax.make_jaxpr(partial(noise, shared_axes=(-2,)))(key, x, 0.5)
    assert str(negative) == str(jax.make_jaxpr(call.__wrapped__)(key, x, 0.5))


# What goes wrong: every case of a check on one noise, and each check on every noise


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("strength", "error", "message"),
    [
        (-0.1, ValueError, "must be finite and >= 0, got -0.1"),
        (float("nan"), ValueError, "must be finite and >= 0, got nan"),
        (float("inf"), ValueError, "must be finite and >= 0, got inf"),
        (1e39, ValueError, r"must be .* at most 3.402823e\+38 in float32, got 1e\+39"),
        (np.array([0.1, -2.0, 0.1]), ValueError, "must be .*, got -2.0"),
        (jnp.array(-3.0), ValueError, "must be finite and >= 0, got -3.0"),
        ("0.1", TypeError, "must be a number or an array, got '0.1'"),
        (None, TypeError, "must be a number or an array, got None"),
        (True, TypeError, "must be a number or an array, got True"),
        ([[0.1], [0.1, 0.2]], TypeError, "must be a number or an array, got"),
        (np.ones(4), ValueError, r"must broadcast against x of shape \(4, 3\)"),
        (np.ones((2, 4, 3)), ValueError, r"must broadcast .* got shape \(2, 4, 3\)"),
    ],
    ids=repr,
)
def test_bad_strengths(strength, error, message, key, x):
    with pytest.raises(error, match=f"^stddev {message}"):
        jn.add_gaussian_noise(key, x, strength)


def test_a_strength_beyond_float32_fits_float64(key):
    with jax.enable_x64(True):
        assert jnp.isfinite(jn.add_gaussian_noise(key, jnp.ones(3), 1e39)).all()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.arange(3), "x must be floating, got int.*; cast it first"),
        (np.ones(3, bool), "x must be floating, got bool"),
        (np.ones(3, complex), "x must be real numbers, got complex"),
        (jax.random.key(0), "x must be floating, got a key; the key comes first"),
        ("abc", "x must be an array of numbers, got 'abc'"),
        (None, "x must be an array of numbers, got None"),
        ([[1.0], [1.0, 2.0]], "x must be an array of numbers, got"),
    ],
    ids=repr,
)
def test_bad_inputs(bad, message, key):
    with pytest.raises(TypeError, match=message):
        jn.add_gaussian_noise(key, bad, 0.1)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.ones((4, 2), bool), ValueError, r"mask .* x, \(4, 3\), .* got \(4, 2\)"),
        (np.ones(3, bool), ValueError, r"mask .* leading axes, got \(3,\)"),
        (np.ones((4, 3, 1), bool), ValueError, r"mask .* got \(4, 3, 1\)"),
        (np.ones((4, 1), bool), ValueError, r"drop its last axis, mask\[\.\.\., 0\]"),
        (np.ones((4, 3)), TypeError, "mask must be boolean, got float"),
        (np.ones(4, int), TypeError, "mask must be boolean, got int"),
        ("all", TypeError, "mask must be an array of numbers, got 'all'"),
        ([[True], [True, False]], TypeError, "mask must be an array of numbers, got"),
    ],
    ids=repr,
)
def test_bad_masks(mask, error, message, key, x):
    with pytest.raises(error, match=message):
        jn.add_gaussian_noise(key, x, 0.1, mask=mask)


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
def test_bad_keys(make, error, message, x):
    with pytest.raises(error, match=message):
        jn.add_gaussian_noise(make(), x, 0.1)
    if not isinstance(make(), int):  # which jit itself turns into an array
        with pytest.raises(error, match="key must be"):
            jax.jit(jn.add_gaussian_noise)(make(), x, 0.1)


@pytest.mark.bad_input
@pytest.mark.parametrize("axis", [2, -3, 0.0, True])
def test_bad_shared_axes(axis, key, x):
    message = f"shared_axes must name axes of x, which has 2, got {axis}"
    with pytest.raises(ValueError, match=message):
        jn.add_gaussian_noise(key, x, 0.1, shared_axes=(axis,))


@battery
@pytest.mark.bad_input
def test_every_noise_checks_what_it_gets(noise, key, x):
    """Strength, bounds, x, mask, key and shared axes."""
    given, noise = noise, lambda *args, **kw: jax.eval_shape(lambda: given(*args, **kw))
    name, rate = strength_name(given), is_rate(given)
    bounds = "from 0 to 1" if rate else "finite and >= 0"
    with pytest.raises(ValueError, match=f"^{name} must be {bounds}, got -0.1"):
        noise(key, x, -0.1)
    if rate:
        with pytest.raises(ValueError, match="^rate must be from 0 to 1, got 1.5"):
            noise(key, x, 1.5)
    with pytest.raises(ValueError, match=f"^{name} must broadcast against x"):
        noise(key, x, np.ones(4))
    with pytest.raises(TypeError, match="x must be floating, got int"):
        noise(key, np.arange(3), 0.1)
    with pytest.raises(TypeError, match="mask must be boolean, got float"):
        noise(key, x, 0.1, mask=np.ones((4, 3)))
    with pytest.raises(TypeError, match="key must be a typed key"):
        noise(jax.random.PRNGKey(0), x, 0.1)
    with pytest.raises(ValueError, match="shared_axes must name axes of x"):
        noise(key, x, 0.1, shared_axes=(2,))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (jn.add_noise, {"sampler": "laplace"}, TypeError, "sampler .* got 'laplace'"),
        (
            jn.add_noise,
            {"sampler": lambda key, shape, dtype: jnp.zeros(7)},
            ValueError,
            r"sampler must return the shape it is given, \(4, 3\), got \(7,\)",
        ),
        (
            jn.add_correlated_noise,
            {"correlation": 1.5, "axis": 0},
            ValueError,
            "correlation must be from -1 to 1, got 1.5",
        ),
        (
            jn.add_correlated_noise,
            {"correlation": np.ones(3), "axis": 0},
            TypeError,
            r"correlation must be one number, got shape \(3,\)",
        ),
        (
            jn.add_correlated_noise,
            {"correlation": "high", "axis": 0},
            TypeError,
            "correlation must be a number or an array, got 'high'",
        ),
        (
            jn.add_correlated_noise,
            {"correlation": 0.5, "axis": 2},
            ValueError,
            "axis must name axes of x, which has 2, got 2",
        ),
        (
            jn.add_correlated_noise,
            {"correlation": 0.5, "axis": 1, "shared_axes": (-1,)},
            ValueError,
            "axis must not be one of shared_axes, got 1",
        ),
        (
            jn.salt_and_pepper,
            {"low": None, "high": 1.0},
            TypeError,
            "low must be a number or an array, got None",
        ),
        (
            jn.salt_and_pepper,
            {"low": 0.0, "high": np.ones(4)},
            ValueError,
            r"high must broadcast against x of shape \(4, 3\)",
        ),
    ],
)
def test_bad_arguments(function, arguments, error, message, key, x):
    with pytest.raises(error, match=message):
        function(key, x, 0.1, **arguments)


@pytest.mark.parametrize("noise", [jn.add_gaussian_noise, jn.drop_units])
def test_strengths_on_half_floats(noise, key):
    """A number and a traced one: the same noise."""
    x = jnp.linspace(-1, 1, 12).reshape(4, 3).astype("bfloat16")
    plain = jax.jit(lambda: noise(key, x, 0.1))()
    traced = jax.jit(noise)(key, x, 0.1)
    np.testing.assert_allclose(
        np.asarray(traced, np.float32), np.asarray(plain, np.float32), 2e-2, 2e-2
    )
