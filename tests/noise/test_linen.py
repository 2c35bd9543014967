"""The Linen layers: the switch, the key stream, and every Flax and JAX transform."""

import inspect
from functools import partial

import dm_pix as pix
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import jaxnoise as jn
from jaxnoise.noise.linen import NamedNoise


def shift_all(key, x):
    """A noise function without a mask argument."""
    return x + jax.random.uniform(key, x.shape, minval=1.0, maxval=2.0)


LAYERS = {
    "Noise": partial(jn.Noise, partial(jn.add_gaussian_noise, stddev=0.3)),
    "Noise of any function": partial(jn.Noise, shift_all),
    "Noise of a wrapper": partial(
        jn.Noise,
        partial(jn.clipped(jn.relative(jn.add_gaussian_noise), -9, 9), stddev=0.3),
    ),
    "GaussianNoise": partial(jn.GaussianNoise, 0.3),
    "CorrelatedNoise": partial(jn.CorrelatedNoise, 0.3, correlation=0.5, axis=-1),
    "SaltAndPepperNoise": partial(jn.SaltAndPepperNoise, 1.0, low=-3.0, high=3.0),
    "Dropout": partial(jn.Dropout, 0.3),
    "GaussianDropout": partial(jn.GaussianDropout, 0.3),
    "GaussianDropout by stddev": partial(jn.GaussianDropout, stddev=0.3),
    "AlphaDropout": partial(jn.AlphaDropout, 0.3),
    "NEFTuneNoise": partial(jn.NEFTuneNoise, 3.0),
    "SwapNoise": partial(jn.SwapNoise, 1.0),
    "DropPath": partial(jn.DropPath, 0.3),
    "BlockMask": partial(jn.BlockMask, 9, axes=-1, count=1, fill=7.0),
}
battery = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
# What all layers share is tried on a named one and on one of any function.
KINDS = ["GaussianNoise", "Noise of any function"]
shared = pytest.mark.parametrize("make", [LAYERS[name] for name in KINDS], ids=KINDS)
LOOPED = ["GaussianNoise", "CorrelatedNoise"]  # one has a loop of its own
looped = pytest.mark.parametrize("make", [LAYERS[n] for n in LOOPED], ids=LOOPED)


# Values with a deviation, all in the first; rows, so that axis -1 correlates nothing
ONES = jnp.ones((1000, 1)).at[0].set(0.5)


def test_every_named_layer_is_tried():
    """And every noise function of x alone has a layer."""
    named = set(NamedNoise.__subclasses__())
    assert named == {type(make()) for make in LAYERS.values()} - {jn.Noise}
    functions = {layer._fn for layer in named}
    public = {getattr(jn, name) for name in dir(jn) if name not in ("keras", "nnx")}
    noises = {
        value for value in public if ".noise." in getattr(value, "__module__", "")
    }
    taking_x = {
        value
        for value in noises
        if inspect.isfunction(value)
        and list(inspect.signature(value).parameters)[:2] == ["key", "x"]
    }
    without = {jn.add_noise, jn.mixup, jn.noisy_feature_mixup}  # the last take y, too
    assert functions == taking_x - without


def independent(a, b):
    """Two sets of draws: |correlation| below 5 / sqrt(n)."""
    a, b = np.ravel(a)[1:], np.ravel(b)[1:]
    return abs(np.corrcoef(a, b)[0, 1]) <= 5 / np.sqrt(len(a))


def transformed(make, transform):
    """The layer's class under a Flax transform, with the layer's arguments."""
    return partial(transform(type(make())), *make.args, **make.keywords)


def run(layer, x, key, **arguments):
    return layer.apply({}, x, rngs={"noise": key}, **arguments)


class StreamKey(nn.Module):
    """The key that Flax derives for the first draw of a module at the top."""

    def __call__(self):
        return self.make_rng("noise")


class TwoLayers(nn.Module):
    """The noise of two layers on equal inputs."""

    make: object

    @nn.compact
    def __call__(self, x, train):
        return self.make()(x, train=train), self.make()(x, train=train)


@shared
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_off_is_the_identity_and_needs_no_key(make, dtype, x):
    x = jnp.asarray(x, dtype).at[0, 0].set(jnp.nan)
    out = make().apply({}, x, train=False)
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(
        np.asarray(out, np.float32), np.asarray(x, np.float32)
    )
    bits = jax.lax.bitcast_convert_type
    word = jnp.uint32 if dtype == "float32" else jnp.uint16
    np.testing.assert_array_equal(bits(out, word), bits(x, word))


@shared
def test_off_leaves_no_random_operation(make, x):
    text = str(jax.make_jaxpr(lambda x: make().apply({}, x, train=False))(x))
    assert "random" not in text
    assert "threefry" not in text


@shared
def test_train_by_keyword_position_constructor(make, key, x):
    noisy = run(make(), x, key, train=True)
    assert (noisy != x).all()
    np.testing.assert_array_equal(noisy, make().apply({}, x, True, rngs={"noise": key}))
    np.testing.assert_array_equal(noisy, run(make(train=True), x, key))
    np.testing.assert_array_equal(run(make(train=False), x, key), x)
    np.testing.assert_array_equal(run(make(), x, key, train=np.bool_(True)), noisy)
    np.testing.assert_array_equal(run(make(), x, key, train=jnp.bool_(True)), noisy)


@shared
def test_traced_train_selects(make, key, x):
    @jax.jit
    def call(train):
        return run(make(), x, key, train=train)

    np.testing.assert_array_equal(call(False), x)
    np.testing.assert_allclose(call(True), run(make(), x, key, train=True), atol=1e-6)


@battery
def test_matches_the_function_for_the_same_key(make, key, x):
    """And is off, bit for bit, where it is not on."""
    np.testing.assert_array_equal(make().apply({}, x, train=False), x)
    stream_key = StreamKey().apply({}, rngs={"noise": key})
    expected = make()._noise(True)[0](stream_key, jnp.asarray(x))
    np.testing.assert_allclose(run(make(), x, key, train=True), expected, atol=1e-6)


@battery
def test_mask(make, key, x):
    mask = np.ones(x.shape[:1], bool)
    mask[0] = False
    out = run(make(), x, key, train=True, mask=mask)
    np.testing.assert_array_equal(out[0], x[0])
    if isinstance(make(), jn.GaussianNoise):  # in others the mask scales the noise
        plain = run(make(), x, key, train=True)
        np.testing.assert_array_equal(out[1:], plain[1:])
    assert (out[1:] != x[1:]).all()
    np.testing.assert_array_equal(run(make(), x, key, train=False, mask=mask), x)


@shared
def test_two_layers_never_share_a_draw(make, key):
    a, b = TwoLayers(make).apply({}, ONES, train=True, rngs={"noise": key})
    assert independent(a, b)


def test_paths_with_the_same_letters_differ(key):
    """Layers ``a/b``, ``ab``, ``a/bc`` and ``ab/c`` of one model."""

    class Inner(nn.Module):
        inner: str

        @nn.compact
        def __call__(self, x):
            return jn.GaussianNoise(1.0, name=self.inner, train=True)(x)

    class Outer(nn.Module):
        @nn.compact
        def __call__(self, x):
            top = jn.GaussianNoise(1.0, name="abc", train=True)(x)
            return top, Inner("bc", name="a")(x), Inner("c", name="ab")(x)

    draws = Outer().apply({}, jnp.zeros(1000), rngs={"noise": key})
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert independent(draws[i], draws[j])


@shared
def test_one_layer_called_twice_draws_twice(make, key):
    class Shared(nn.Module):
        @nn.compact
        def __call__(self, x):
            layer = make(train=True)
            return layer(x), layer(x)

    a, b = Shared().apply({}, ONES, rngs={"noise": key})
    assert independent(a, b)


def test_strengths_are_traced(key, x):
    traces = []

    @jax.jit
    @partial(jax.vmap, in_axes=(0,))
    def call(stddev):
        traces.append(1)
        return run(jn.GaussianNoise(stddev), x, key, train=True)

    out = call(jnp.array([0.0, 0.5, 2.0]))
    np.testing.assert_array_equal(out[0], x)
    np.testing.assert_allclose(
        out[2], run(jn.GaussianNoise(2.0), x, key, train=True), atol=1e-6
    )
    call(jnp.array([0.1, 0.2, 0.3]))
    assert len(traces) == 1


@shared
@pytest.mark.parametrize("how", ["position", "keyword"])
def test_under_remat(make, how, key, x):
    plain = run(make(), x, key, train=True)
    if how == "position":  # a static train: True or False in Python
        layer = transformed(make, partial(nn.remat, static_argnums=(2,)))()
        out = layer.apply({}, x, True, rngs={"noise": key})
        np.testing.assert_array_equal(layer.apply({}, x, False), x)
    else:  # traced: it selects
        layer = transformed(make, nn.remat)()
        out = layer.apply({}, x, train=True, rngs={"noise": key})
        off = layer.apply({}, x, train=False, rngs={"noise": key})
        np.testing.assert_array_equal(off, x)
    np.testing.assert_allclose(out, plain, atol=1e-6)

    def total(layer, x):
        return (layer.apply({}, x, True, rngs={"noise": key}) ** 2).sum()

    gradient = jax.grad(total, 1)
    np.testing.assert_allclose(gradient(layer, x), gradient(make(), x), rtol=1e-5)


@looped
@pytest.mark.slow
def test_under_jax_checkpoint(make, key, x):
    def total(x):
        return (run(make(), x, key, train=True) ** 2).sum()

    again = jax.grad(jax.checkpoint(total))(jnp.asarray(x))
    np.testing.assert_allclose(again, jax.grad(total)(jnp.asarray(x)), rtol=1e-5)


@looped
@pytest.mark.slow
def test_under_nn_scan(make, key):
    class Step(nn.Module):
        @nn.compact
        def __call__(self, carry, _):
            noisy = make(train=True)(ONES)
            return carry, noisy

    scan = partial(nn.scan, Step, variable_broadcast="params", length=2)
    _, split = scan(split_rngs={"noise": True})().apply(
        {}, 0.0, None, rngs={"noise": key}
    )
    assert independent(split[0], split[1])
    _, shared = scan(split_rngs={"noise": False})().apply(
        {}, 0.0, None, rngs={"noise": key}
    )
    np.testing.assert_array_equal(shared[0], shared[1])  # on purpose alone
    with pytest.raises(ValueError, match="split_rngs"):
        scan(split_rngs={})().apply({}, 0.0, None, rngs={"noise": key})


@shared
def test_under_nn_vmap(make, key):
    layer = transformed(make, partial(nn.vmap, split_rngs={"noise": True}))(train=True)
    out = layer.apply({}, jnp.stack([ONES, ONES]), rngs={"noise": key})
    assert independent(out[0], out[1])


@looped
def test_under_vmap_scan_and_map_over_keys(make, x):
    keys = jax.random.split(jax.random.key(3), 4)

    def call(key):
        return run(make(), x, key, train=True)

    one_by_one = jnp.stack([call(key) for key in keys])
    mapped = jax.vmap(call)(keys)
    np.testing.assert_allclose(mapped, one_by_one, atol=1e-6)
    np.testing.assert_allclose(jax.lax.map(call, keys), one_by_one, atol=1e-6)
    _, scanned = jax.lax.scan(lambda carry, key: (carry, call(key)), 0, keys)
    np.testing.assert_allclose(scanned, one_by_one, atol=1e-6)


@looped
def test_under_shard_map(make, x):
    keys = jax.random.split(jax.random.key(3), 4)

    def call(keys):
        return jax.vmap(lambda key: run(make(), x, key, train=True))(keys)

    mesh = Mesh(np.array(jax.devices()), ("i",))
    spec = PartitionSpec("i")
    sharded = jax.jit(jax.shard_map(call, mesh=mesh, in_specs=spec, out_specs=spec))
    np.testing.assert_allclose(sharded(keys), call(keys), atol=1e-6)


def test_any_function_keeps_the_dtype(key):
    layer = jn.Noise(lambda key, x: x + jax.random.normal(key, x.shape, jnp.float32))
    assert run(layer, jnp.ones(3, jnp.bfloat16), key, train=True).dtype == jnp.bfloat16


class TestAugmentation:
    """Any image function that takes a key first, here dm-pix'."""

    IMAGES = jax.random.uniform(jax.random.key(4), (3, 8, 8, 2))

    def test_contrast(self, key):
        layer = jn.Noise(partial(pix.random_contrast, lower=0.9, upper=1.1))
        out = run(layer, self.IMAGES, key, train=True)
        means = self.IMAGES.mean((1, 2), keepdims=True)
        factors = (out - means) / (self.IMAGES - means)
        np.testing.assert_allclose(factors, factors[0, 0, 0, 0], rtol=1e-3)
        assert 0.9 <= factors[0, 0, 0, 0] <= 1.1
        off = layer.apply({}, self.IMAGES, train=False)
        np.testing.assert_array_equal(off, self.IMAGES)

    def test_every_image_its_own(self, key):
        contrast = partial(pix.random_contrast, lower=0.5, upper=1.5)

        def each(key, images):
            return jax.vmap(contrast)(jax.random.split(key, len(images)), images)

        out = run(jn.Noise(each), self.IMAGES, key, train=True)
        spreads = out.std((1, 2)) / self.IMAGES.std((1, 2))
        assert len(np.unique(spreads[:, 0].round(4))) == 3

    def test_crop_after_padding(self, key):
        def shift(key, images):
            padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
            return pix.random_crop(key, padded, images.shape)

        images, padded = (
            self.IMAGES,
            np.pad(self.IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0))),
        )
        crops = [padded[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
        found = set()
        for seed in range(20):
            out = run(jn.Noise(shift), images, jax.random.key(seed), train=True)
            equal = [i for i, crop in enumerate(crops) if np.array_equal(out, crop)]
            assert len(equal) == 1
            found |= set(equal)
        assert len(found) > 3

    @pytest.mark.bad_input
    def test_a_crop_alone_changes_the_shape(self, key):
        layer = jn.Noise(partial(pix.random_crop, crop_sizes=(3, 4, 4, 2)))
        with pytest.raises(ValueError, match=r"keep the shape of x, \(3, 8, 8, 2\)"):
            run(layer, self.IMAGES, key, train=True)


def test_layers_compare_by_value():
    assert jn.GaussianNoise(0.1) == jn.GaussianNoise(0.1)
    assert jn.GaussianNoise(0.1) != jn.GaussianNoise(0.2)


# What goes wrong


@shared
@pytest.mark.bad_input
@pytest.mark.parametrize("streams", [{}, {"params": 0}, {"dropout": 0}])
def test_missing_stream(make, streams, x):
    rngs = {name: jax.random.key(seed) for name, seed in streams.items()}
    name = type(make()).__name__
    message = rf"^{name} is active .* no 'noise' key stream: pass rngs=\{{'noise': key"
    with pytest.raises(ValueError, match=message):
        make().apply({}, x, train=True, rngs=rngs)
    with pytest.raises(ValueError, match=message):
        make().init(rngs, x, train=True)
    with pytest.raises(ValueError, match="static_argnums"):
        jax.jit(lambda t: make().apply({}, x, train=t, rngs=rngs))(True)
    with pytest.raises(ValueError, match="static_argnums"):
        transformed(make, nn.remat)().apply({}, x, train=False, rngs=rngs)


@pytest.mark.bad_input
def test_missing_stream_names_the_layer(x):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return jn.GaussianNoise(0.1, name="jitter")(x, train=train)

    with pytest.raises(ValueError, match="^GaussianNoise 'jitter' is active"):
        Net().apply({}, x, train=True, rngs={"params": jax.random.key(0)})


@shared
@pytest.mark.bad_input
def test_train_is_needed_once(make, key, x):
    with pytest.raises(ValueError, match="train must be given"):
        run(make(), x, key)
    with pytest.raises(ValueError, match="constructor and to the call; give it once"):
        run(make(train=True), x, key, train=True)


@shared
@pytest.mark.bad_input
@pytest.mark.parametrize("train", ["yes", 1, 0.0, np.ones(2, bool)], ids=repr)
def test_bad_train(make, train, key, x):
    with pytest.raises(TypeError, match="train must be a bool, got"):
        run(make(), x, key, train=train)


@pytest.mark.bad_input
def test_outside_a_model(x):
    np.testing.assert_array_equal(jn.GaussianNoise(0.1)(x, train=False), x)
    with pytest.raises(ValueError, match="^GaussianNoise is active"):
        jn.GaussianNoise(0.1)(x, train=True)


@pytest.mark.bad_input
def test_a_function_that_changes_the_shape(key, x):
    layer = jn.Noise(lambda key, x: x[:, :2])
    with pytest.raises(
        ValueError, match=r"keep the shape of x, \(4, 3\), got \(4, 2\)"
    ):
        run(layer, x, key, train=True)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: jn.SaltAndPepperNoise(1.5, low=0, high=1), ValueError, "from 0 to 1"),
        (lambda: jn.Dropout(-0.1), ValueError, "rate must be from 0 to 1, got -0.1"),
        (lambda: jn.Dropout(float("nan")), ValueError, "rate must be .* got nan"),
        (lambda: jn.GaussianDropout(1.0), ValueError, "rate must be below 1, .* 1.0"),
        (lambda: jn.GaussianDropout(np.array([0.5, 1])), ValueError, "must be below 1"),
        (lambda: jn.GaussianDropout(), ValueError, "rate or stddev, .* None and None"),
        (
            lambda: jn.GaussianDropout(0.5, 1.0),
            ValueError,
            "rate or stddev, .* got 0.5",
        ),
        (lambda: jn.Dropout(jn.Learnable(0.5)), TypeError, "a rate cannot be learned"),
        (lambda: jn.NEFTuneNoise(-5.0), ValueError, "alpha must be finite and >= 0"),
        (lambda: jn.DropConnectDense(3, 1.5), ValueError, "rate must be from 0 to 1"),
        (lambda: jn.DropConnectDense(0, 0.5), TypeError, "features must be an int of"),
        (
            lambda: jn.DropConnectDense(3, 0.5, "row"),
            ValueError,
            "mode must be 'sample",
        ),
    ],
)
def test_bad_layers(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.bad_input
def test_what_the_function_refuses(key, x):
    for bad in (-1.0, float("nan"), float("inf"), np.array([0.1, -1.0])):
        with pytest.raises(ValueError, match="stddev must be finite and >= 0, got"):
            jn.GaussianNoise(bad)  # at once, not at the first noisy call
    with pytest.raises(TypeError, match="stddev must be a number .* got '0.1'"):
        jn.GaussianNoise("0.1")
    with pytest.raises(TypeError, match=r"fn must be a noise function .* got 0.1"):
        jn.Noise(0.1)
    with pytest.raises(TypeError, match="legacy"):
        run(jn.GaussianNoise(0.1), x, jax.random.PRNGKey(0), train=True)
    with pytest.raises(TypeError, match="x must be floating"):
        run(jn.GaussianNoise(0.1), np.arange(3), key, train=True)
    with pytest.raises(TypeError, match="mask must be boolean"):
        run(jn.Noise(shift_all), x, key, train=True, mask=np.ones(4))


@pytest.mark.bad_input
@pytest.mark.parametrize("result", [None, (1, 2)], ids=repr)
def test_a_function_that_returns_no_array(result, key, x):
    with pytest.raises(
        TypeError, match="^Noise: noise must return an array like x, got"
    ):
        run(jn.Noise(lambda key, x: result), x, key, train=True)


@pytest.mark.bad_input
@pytest.mark.parametrize("axes", [None, "01", 0.5], ids=repr)
def test_shared_axes_that_are_none(axes, key, x):
    with pytest.raises(TypeError, match="shared_axes must be axes such as .1, 2., got"):
        jn.Dropout(0.5, shared_axes=axes)
    with pytest.raises(TypeError, match="shared_axes must be axes such as .1, 2., got"):
        jn.add_gaussian_noise(key, x, 0.1, shared_axes=axes)


def test_one_shared_axis_may_stand_for_itself(key, x):
    out = jn.add_gaussian_noise(key, x, 0.1, shared_axes=-1)
    expected = jn.add_gaussian_noise(key, x, 0.1, shared_axes=(1,))
    np.testing.assert_array_equal(out, expected)
