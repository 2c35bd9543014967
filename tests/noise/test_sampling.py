"""Are they standard normals? Known answers, exact bounds, and laws at n = 2 10**7.

And, among the slow tests, at n = 10**8.
"""

from functools import partial

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from scipy import stats

import jaxnoise as jn
from jaxnoise.noise import sampling
from jaxnoise.noise.sampling import standard_normal, standard_uniform, threefry2x32

CHUNK = 10**7


@pytest.fixture(
    scope="module", params=[2, pytest.param(10, marks=pytest.mark.slow)], ids=str
)
def draws(request):
    """Chunks of draws as a noise layer would make them: each from its own key."""
    keys = jax.random.split(jax.random.key(2026), request.param)
    return np.stack([standard_normal(key, (CHUNK // 500, 500)).ravel() for key in keys])


@pytest.fixture(scope="module")
def edges():
    """Words that meet every branch: ends, powers of two and their neighbours."""
    powers = 2 ** np.arange(32, dtype=np.uint64)
    around = np.concatenate([powers - 1, powers, powers + 1, 2**32 - powers])
    return np.unique(np.append(around % 2**32, 2**32 - 1)).astype(np.uint32)


def reference(a, b):
    """The transform in float64 from the same words."""
    radius = np.sqrt(-2 * np.log((a + 0.5) / 2**32))
    signed = b.view(np.int32)
    angle = np.pi / 2 * ((signed >> 2) / 2**30)
    cos, sin = np.cos(angle), np.sin(angle)
    mirror, sign = (b & 2) != 0, np.where(b & 1, -1.0, 1.0)
    first, second = np.where(mirror, sin, cos), np.where(mirror, cos, sin)
    return sign * radius * first, sign * radius * second


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [  # the published answers of Random123 for threefry2x32 with 20 rounds
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 2, (0x1CB996FC, 0xBB002BE7)),
        (
            (0x13198A2E, 0x03707344),
            (0x243F6A88, 0x85A308D3),
            (0xC4923A9C, 0x483DF7A0),
        ),
    ],
)
def test_threefry_known_answers(key, counter, words):
    high, low = (jnp.full(1, word, jnp.uint32) for word in counter)
    out = threefry2x32(jnp.array(key, jnp.uint32), high, low)
    assert [int(word[0]) for word in out] == list(words)


def test_threefry_is_that_of_jax():
    key = jax.random.key(7)
    counters = jnp.arange(1000, dtype=jnp.uint32)
    ours = threefry2x32(jax.random.key_data(key), jnp.zeros_like(counters), counters)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(counters)
    np.testing.assert_array_equal(np.stack(ours, 1), jax.random.key_data(keys))


@pytest.mark.slow
def test_every_word_has_a_logarithm():
    """Over all 2**32 words: never negative, NaN or infinite, and never increasing."""

    @jax.jit
    def extremes(start):
        words = jnp.arange(2**24, dtype=jnp.uint32) + start
        values = sampling._minus_two_log(words)
        ordered = (values[1:] <= values[:-1] * (1 + 1e-6)).all()
        return values.min(), values.max(), jnp.isfinite(values).all() & ordered

    starts = np.arange(2**8, dtype=np.uint32) << 24
    lows, highs, good = map(np.array, zip(*map(extremes, starts), strict=True))
    assert good.all()
    assert lows.min() == 0
    assert (lows[:-1] >= highs[1:] * (1 - 1e-6)).all()
    np.testing.assert_allclose(highs.max(), 2 * 33 * np.log(2), rtol=1e-6)


def test_the_transform_is_that_of_float64(edges):
    random = np.random.default_rng(0).integers(2**32, size=10**6, dtype=np.uint32)
    a, b = (np.ravel(v) for v in np.meshgrid(edges, edges))
    a = np.concatenate([a, random])
    b = np.concatenate([b, random[::-1]])
    ours, exact = jax.jit(sampling.box_muller)(a, b), reference(a, b)
    radius = np.hypot(*exact)
    for z, truth in zip(ours, exact, strict=True):
        # float32 rounds u near 1 to 2**-24, which tells where the radius is near 0
        tolerance = 1e-6 * (1 + abs(truth)) + 2**-24 / radius
        assert (abs(z - truth) <= tolerance).all()


def test_moments(draws):
    powers = [0.0] * 4
    for chunk in draws:
        wide = chunk.astype(np.float64)
        power = np.ones_like(wide)
        for k in range(4):
            power *= wide
            powers[k] += power.sum()
    # means and variances of z, z^2, z^3, z^4 for a standard normal
    for total, mean, variance in zip(powers, (0, 1, 0, 3), (1, 2, 15, 96), strict=True):
        assert abs(total / draws.size - mean) <= 5 * np.sqrt(variance / draws.size)


def test_tails(draws):
    for bound in (3, 4, 5):
        for side in (draws > bound, draws < -bound):
            expected = draws.size * stats.norm.sf(bound)
            assert abs(np.count_nonzero(side) - expected) <= 5 * np.sqrt(expected)
    assert np.isfinite(draws).all()


def test_distribution(draws):
    """Kolmogorov-Smirnov and Anderson-Darling, for a known mean and variance."""
    for chunk in draws[:3]:
        part = np.sort(chunk[: 2 * 10**6].astype(np.float64))
        assert stats.kstest(part, "norm", method="asymp").pvalue > 1e-6
        n, odd = part.size, 2 * np.arange(1, part.size + 1) - 1
        tails = stats.norm.logcdf(part) + stats.norm.logsf(part)[::-1]
        statistic = -n - np.mean(odd * tails)
        assert statistic < 12  # p about 1e-6: the limit law's tail is exp(-1.2 a)


def test_no_correlation_between_neighbours_and_halves(draws):
    flat = draws[0].astype(np.float64)
    squares = flat**2 - 1
    bound = 5 / np.sqrt(flat.size / 2)
    for values, variance in ((flat, 1), (squares, 2)):
        for lag in (1, 2, 500, flat.size // 2):
            product = np.mean(values[lag:] * values[:-lag]) / variance
            assert abs(product) <= bound


def test_no_correlation_between_keys():
    base = jax.random.key(0)
    keys = [base, jax.random.key(1), *jax.random.split(base)]
    keys += [jax.random.fold_in(base, i) for i in (2, 3, 2**31)]
    n = 10**6
    values = np.stack([standard_normal(key, (n,)) for key in keys]).astype(float)
    for z in (values, values**2 - 1):
        correlations = np.corrcoef(z) - np.eye(len(keys))
        assert abs(correlations).max() <= 5 / np.sqrt(n)


@pytest.mark.parametrize("words", [((0, 5), (1, 5)), ((5, 0), (5, 1))])
def test_no_correlation_between_keys_that_differ_in_one_word(words):
    keys = [jax.random.wrap_key_data(np.array(pair, np.uint32)) for pair in words]
    n = 10**6
    one, two = (np.asarray(standard_normal(key, (n,)), np.float64) for key in keys)
    for a, b, variance in ((one, two, 1), (one**2 - 1, two**2 - 1, 2)):
        assert abs(np.mean(a * b)) / variance <= 5 / np.sqrt(n)


@pytest.mark.parametrize("key_words", [(0, 5), (5, 0), (2**32 - 1, 2**31)])
def test_words_are_those_of_jax(key_words, edges):
    """Both words of the key count, and all bits of the counter."""
    key = jnp.array(key_words, jnp.uint32)
    counters = np.concatenate([np.full_like(edges, sampling.STREAM), edges])
    expected = jax.extend.random.threefry_2x32(key, counters).reshape(2, -1)
    np.testing.assert_array_equal(
        np.stack(sampling._words(key, jnp.array(edges))), expected
    )


@pytest.mark.parametrize("way", [sampling._by_pair, sampling._by_element])
def test_no_block_is_drawn_twice(way, key):
    """The two uniforms of a block are 48 of its bits: of 2**23 blocks hardly two share
    them, 0.1 pairs are expected."""
    n = 2**24
    draw = jax.jit(partial(way, sampling.fractions, (n, 1)))
    bits = np.asarray(draw(jax.random.key_data(key)) * 2**24).astype(np.uint64)
    blocks = bits[: n // 2, 0] << np.uint64(24) | bits[n // 2 :, 0]
    blocks.sort()
    assert np.count_nonzero(blocks[1:] == blocks[:-1]) <= 3


def test_draws_are_no_words_of_derived_keys():
    """A key derived by fold_in does not know the parent's noise."""
    key = jax.random.key(3)
    low = jnp.arange(1000, dtype=jnp.uint32)
    ours = np.stack(sampling._words(jax.random.key_data(key), low), 1)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(low)
    derived = np.asarray(jax.random.key_data(keys))
    assert not set(map(tuple, ours)) & set(map(tuple, derived))


@pytest.mark.parametrize(
    "shape",
    [(), (1,), (2,), (7,), (1, 5), (5, 1), (17, 129), (3, 1, 4, 2), (3, 0), (0, 2)],
)
def test_every_shape(shape, key):
    z = standard_normal(key, shape)
    assert z.shape == shape
    assert z.dtype == jnp.float32
    assert np.isfinite(z).all()
    # no draw is used twice; a few of 15,000 may round to the same number
    assert np.unique(z).size >= 0.999 * z.size
    traced = jax.jit(lambda k: standard_normal(k, shape))(key)
    np.testing.assert_array_equal(z, traced)


@pytest.mark.parametrize("size", [2**20 + 1, 2**24 - 3])
def test_large_sizes(size, key):
    z = np.asarray(standard_normal(key, (size,)), np.float64)
    assert abs(z.mean()) <= 5 / np.sqrt(size)
    assert abs(z.var() - 1) <= 5 * np.sqrt(2 / size)
    assert abs(np.mean(z[: size // 2] * z[-(size // 2) :])) <= 5 / np.sqrt(size / 2)


@pytest.mark.parametrize("shape", [(30, 500), (31, 7), (1001,)])
def test_vmap_draws_the_same_bits(shape):
    keys = jax.random.split(jax.random.key(4), 3)
    alone = [standard_normal(key, shape) for key in keys]
    together = jax.jit(jax.vmap(lambda k: standard_normal(k, shape)))(keys)
    np.testing.assert_array_equal(together, np.stack(alone))


@pytest.mark.parametrize("transform", [sampling.box_muller, sampling.fractions])
@pytest.mark.parametrize("layout", [(1, 1), (15, 4), (2**10, 2**9)])
def test_platforms_agree(layout, transform, key):
    """What a CPU draws pair by pair, others draw element by element."""
    words = jax.random.key_data(key)
    by_pair = jax.jit(partial(sampling._by_pair, transform), static_argnums=0)(
        layout, words
    )
    by_element = jax.jit(partial(sampling._by_element, transform), static_argnums=0)(
        layout, words
    )
    np.testing.assert_allclose(by_pair, by_element, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1000, 2**19])
def test_under_every_transformation(size, key):
    """Small draws, and large ones, which a CPU spreads over its cores."""

    def noisy(x, key):
        return jnp.sum((x + standard_normal(key, (size,))) ** 2)

    x, keys = jnp.ones(size), jax.random.split(key, 4)
    z = np.stack([standard_normal(k, (size,)) for k in keys])
    gradient = 2 * (1 + z)
    same = {"rtol": 1e-5, "atol": 1e-5}
    plain = jax.vmap(jax.grad(noisy), (None, 0))
    remat = jax.vmap(jax.grad(jax.checkpoint(noisy)), (None, 0))
    for batched in (plain, jax.jit(plain), jax.jit(remat)):
        np.testing.assert_allclose(batched(x, keys), gradient, **same)
    scanned = jax.lax.map(lambda k: jax.grad(noisy)(x, k), keys)
    np.testing.assert_allclose(scanned, gradient, **same)
    mesh = jax.make_mesh((4,), ("runs",))
    spec = jax.sharding.PartitionSpec("runs")
    sharded = jax.shard_map(
        lambda k: standard_normal(k[0], (size,))[None],
        mesh=mesh,
        in_specs=spec,
        out_specs=spec,
    )
    keys = jax.device_put(keys, jax.sharding.NamedSharding(mesh, spec))
    np.testing.assert_allclose(jax.jit(sharded)(keys), z, **same)


def test_lowers_for_every_platform(key):
    draw = jax.jit(lambda words: standard_normal(jax.random.wrap_key_data(words), (9,)))
    exported = export.export(draw, platforms=("cpu", "cuda", "tpu"))(
        jax.ShapeDtypeStruct((2,), jnp.uint32)
    )
    ours = exported.call(jax.random.key_data(key))
    np.testing.assert_allclose(ours, standard_normal(key, (9,)), rtol=1e-6)


def test_the_same_noise_in_later_versions(key):
    """A seed in a paper means these numbers."""
    expected = [
        -1.1726613,
        -0.33009517,
        -1.2469774,
        -1.0145925,
        -0.079070225,
        -1.2990389,
    ]
    np.testing.assert_allclose(standard_normal(key, (6,)), expected, rtol=1e-5)


def test_float64(key):
    with jax.enable_x64(True):
        z = np.asarray(standard_normal(key, (10**6,), jnp.float64))
    assert z.dtype == np.float64
    assert abs(z.mean()) <= 5e-3
    assert abs(z.var() - 1) <= 5 * np.sqrt(2e-6)
    assert stats.kstest(z, "norm").pvalue > 1e-6


def test_half_floats_are_cast_from_float32(key):
    """Drawn as bfloat16, they would have short tails."""
    exact = standard_normal(key, (1000,))
    for dtype in (jnp.bfloat16, jnp.float16):
        noisy = jn.add_gaussian_noise(key, jnp.zeros(1000, dtype), 1.0)
        np.testing.assert_array_equal(noisy, exact.astype(dtype))


# Uniform draws


def test_uniform_words():
    """The upper 24 bits of a word, from 0 to the last float32 below 1."""
    words = jnp.array([0, 255, 256, 2**31, 2**32 - 1], jnp.uint32)
    first, second = sampling.fractions(words, words)
    exact = np.array([0, 0, 2**-24, 0.5, 1 - 2**-24])
    np.testing.assert_array_equal(first, exact)
    np.testing.assert_array_equal(second, exact)


def test_uniform_distribution():
    n = 4 * 10**6
    u = np.asarray(standard_uniform(jax.random.key(5), (n // 500, 500)), np.float64)
    u = u.ravel()
    assert 0 <= u.min() <= u.max() < 1
    assert stats.kstest(u, "uniform", method="asymp").pvalue > 1e-6
    for power in range(1, 5):
        exact, second = 1 / (power + 1), 1 / (2 * power + 1)
        error = 5 * np.sqrt((second - exact**2) / n)
        assert abs((u**power).mean() - exact) <= error
    centred = np.sqrt(12) * (u - 0.5)
    for lag in (1, 2, 500, n // 2):
        assert abs(np.mean(centred[lag:] * centred[:-lag])) <= 5 / np.sqrt(n / 2)


@pytest.mark.parametrize("shape", [(), (7,), (17, 129), (0, 2)])
def test_uniform_shapes(shape, key):
    u = standard_uniform(key, shape)
    assert u.shape == shape
    assert u.dtype == jnp.float32
    assert np.unique(u).size >= 0.999 * u.size
    keys = jax.random.split(key, 3)
    together = jax.jit(jax.vmap(lambda k: standard_uniform(k, shape)))(keys)
    alone = [standard_uniform(k, shape) for k in keys]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_uniform_float64(key):
    with jax.enable_x64(True):
        u = np.asarray(standard_uniform(key, (1000,), jnp.float64))
    assert u.dtype == np.float64
    assert (u != u.astype(np.float32)).any()


@pytest.mark.bad_input
def test_too_large_a_shape_is_refused(key):
    with pytest.raises(ValueError, match=r"x must have fewer than 2\*\*33 elements"):
        standard_normal(key, (2**20, 2**13 + 1))
    with pytest.raises(ValueError, match=r"fewer than 2\*\*33 elements"):
        standard_normal(key, (3, 2_800_000_000))  # the last row takes whole counters


@pytest.mark.bad_input
def test_other_types_are_refused(key):
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got"):
        standard_normal(key, (3,), jnp.bfloat16)
