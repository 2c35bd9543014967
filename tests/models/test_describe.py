"""What a model's noise does, told by `describe`; and the model without it."""

import subprocess
import sys
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export

import jaxnoise as jn

N = 20_000
PLATFORMS = ("cpu", "cuda", "tpu")
RANDOM = ("threefry", "rng", "random", "xor", "shift_left", "shift_right")


@pytest.fixture(scope="module")
def rows():
    return 2 * jax.random.normal(jax.random.key(5), (N, 1))


def sites(table):
    return table[["path", "noise", "strength", "fired"]].values.tolist()


class Linen(nn.Module):
    """Three kinds of noise, one of them off, one a function of the user's."""

    @nn.compact
    def __call__(self, x, train):
        x = jn.GaussianNoise(0.5, name="jitter")(x, train=train)
        x = jn.Dropout(0.2, name="drop")(x, train=False)
        x = jn.Noise(lambda key, x: x + 1, name="shift")(x, train=train)
        return jn.GaussianDropout(0.1, name="times")(x, train=train)


class NNX(nnx.Module):
    """The same."""

    def __init__(self, rngs):
        self.jitter = jn.nnx.GaussianNoise(0.5, rngs=rngs)
        self.drop = jn.nnx.Dropout(0.2, rngs=rngs)
        self.shift = jn.nnx.Noise(lambda key, x: x + 1, rngs=rngs)
        self.times = jn.nnx.GaussianDropout(0.1, rngs=rngs)

    def __call__(self, x):
        x = self.drop(self.jitter(x), train=False)
        return self.times(self.shift(x))


EXPECTED = [
    ["jitter", "GaussianNoise", 0.5, True],
    ["drop", "Dropout", 0.2, False],
    ["shift", "Noise(<lambda>)", None, True],
    ["times", "GaussianDropout", 0.1, True],
]


@pytest.mark.parametrize(
    "model", [Linen(), NNX(nnx.Rngs(0)), jn.nnx.model(NNX)], ids=["linen", "nnx", "fit"]
)
def test_describe(model, rows, key):
    variables = {} if isinstance(model, nn.Module) else None
    if not isinstance(model, nn.Module | nnx.Module):
        variables = model.init(key, rows)
    table = jn.describe(model, variables, rows, key)
    assert list(table) == [
        "path",
        "noise",
        "strength",
        "fired",
        "signal_sd",
        "noise_sd",
        "snr_db",
    ]
    found = table.astype(object).where(table.notna(), None)
    assert sites(found) == EXPECTED
    jitter, drop, shift, times = table.itertuples()
    five_se = 5 / np.sqrt(2 * N)
    np.testing.assert_allclose(jitter.signal_sd, 2.0, rtol=five_se)
    np.testing.assert_allclose(jitter.noise_sd, 0.5, rtol=five_se)
    np.testing.assert_allclose(jitter.snr_db, 20 * np.log10(4), atol=9 * five_se * 2)
    assert drop.noise_sd == 0
    assert drop.snr_db == np.inf
    assert shift.noise_sd < 1e-5  # a constant has no deviation
    size = np.sqrt(0.1 / 0.9 * (1 + jitter.signal_sd**2 + jitter.noise_sd**2))
    np.testing.assert_allclose(times.noise_sd, size, rtol=2 * five_se)


@pytest.mark.slow
def test_describe_leaves_the_model_as_it_was(rows, key):
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.noise = jn.nnx.GaussianNoise(0.5, rngs=rngs)

        def __call__(self, x):
            return self.noise(x)

    model = Net(nnx.Rngs(0))
    before = jax.tree.leaves(nnx.state(model))
    first = jn.describe(model, None, rows, key)
    for a, b in zip(before, jax.tree.leaves(nnx.state(model)), strict=True):
        assert (a == b).all()
    other = jn.describe(model, None, rows, jax.random.key(1))
    again = jn.describe(model, None, rows, key)
    assert first.equals(again)
    assert not first.equals(other)
    model.eval()
    off = jn.describe(model, None, rows, key)
    assert off["fired"].tolist() == [False]
    assert model(rows) is rows


def pairs_of_compiled_models():
    """Models whose layers stand inside compiled functions."""

    class Jitted(nnx.Module):
        def __init__(self, rngs):
            self.noise = jn.nnx.GaussianNoise(0.5, rngs=rngs)

        @nnx.jit
        def __call__(self, x):
            return self.noise(x)

    net = nn.Sequential([jn.GaussianNoise(0.5, train=True)])
    apply = jax.jit(lambda x, key: net.apply({}, x, rngs={"noise": key}))

    class Protocol:
        def init(self, key, x):
            return {"params": {}}

        def apply(self, variables, x, *, train, key):
            return apply(x, jax.random.key(0) if key is None else key), variables

    def call_jitted(model, x, key):
        return model(x)

    def call_protocol(model, x, key):
        return model.apply({}, x, train=True, key=key)[0]

    yield Jitted(nnx.Rngs(0)), None, call_jitted
    yield Protocol(), {"params": {}}, call_protocol


@pytest.mark.parametrize("number", [0, 1], ids=["nnx.jit", "protocol"])
@pytest.mark.slow
def test_what_is_compiled_already(number, rows, key):
    """Is described and stripped all the same, and afterwards as it was before."""
    model, variables, call = list(pairs_of_compiled_models())[number]
    assert (call(model, rows, key) != rows).all()
    for _ in range(2):
        table = jn.describe(model, variables, rows, key)
        assert len(table) == 1
        np.testing.assert_allclose(table["noise_sd"], 0.5, rtol=0.05)
    clean = jn.strip_noise(model)
    out = clean(rows) if variables is None else clean.apply(variables, rows)
    np.testing.assert_array_equal(out, rows)
    assert (call(model, rows, key) != rows).all()
    if number:
        jaxpr = jax.make_jaxpr(lambda x: call(model, x, key))(rows)
        assert "callback" not in str(jaxpr)


def test_describe_pools_a_vmapped_axis(rows, key):
    """The deviations are those of all examples together, not of one alone."""

    class Vmapped(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            layer = nn.vmap(jn.GaussianNoise, in_axes=0, split_rngs={"noise": True})
            return layer(0.5, name="each", train=True)(x)

    row = jn.describe(Vmapped(), {}, rows[:2000] + 3, key).iloc[0]
    five_se = 5 / np.sqrt(2 * 2000)
    np.testing.assert_allclose(row.signal_sd, 2.0, rtol=five_se)
    np.testing.assert_allclose(row.noise_sd, 0.5, rtol=five_se)


def test_describe_large_and_constant_signals(key):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return jn.GaussianNoise(1.0)(x, train)

    x = 1e25 * jax.random.normal(key, (2000,))
    table = jn.describe(Net(), {}, x, key)
    np.testing.assert_allclose(table["signal_sd"], 1e25, rtol=0.1)
    table = jn.describe(Net(), {}, jnp.full(2000, 7.0), key)
    assert table["signal_sd"].item() < 1e-6


@pytest.mark.slow
def test_layers_that_were_not_called(rows, key):
    """Of an NNX module they come last, and did not fire; others in their order."""

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.layers = nnx.List(
                [jn.nnx.GaussianNoise(0.1 * i, rngs=rngs) for i in range(12)]
            )
            self.unused = jn.nnx.Dropout(0.5, rngs=rngs)
            self.off = jn.nnx.Dropout(0.5, deterministic=True, rngs=rngs)

        @nnx.jit
        def __call__(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.off(x)

    table = jn.describe(Net(nnx.Rngs(0)), None, rows, key)
    expected = [*(f"layers/{i}" for i in range(12)), "off", "unused"]
    assert table["path"].tolist() == expected
    assert table["fired"].tolist() == [True] * 12 + [False] * 2


def test_layers_that_did_not_run(x, key):
    """Not those of a branch not taken, nor those whose output nothing needs."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            def branch(name):
                return lambda _, x: jn.GaussianNoise(0.1, name=name)(x, train=True)

            branch("unneeded")(self, x)
            self.sow("intermediates", "aside", branch("sown")(self, x))
            x = nn.cond(x.sum() < jnp.inf, branch("yes"), branch("no"), self, x)
            return Opaque(x)

    class Opaque:  # no pytree, as what a loss takes apart may be
        def __init__(self, x):
            self.x = x

    table = jn.describe(Net(), {}, x, key)
    assert table["path"].tolist() == ["sown", "yes", "unneeded", "no"]
    assert table["fired"].tolist() == [True, True, False, False]
    assert table["noise_sd"].isna().tolist() == [False, False, True, True]


def test_models_that_take_more_or_less(key, x):
    """Further arguments, and no ``train``: what strip_noise takes, describe takes."""

    class Masked(nn.Module):
        @nn.compact
        def __call__(self, x, train, mask):
            return jn.GaussianNoise(0.1)(x, train, mask=mask)

    mask = np.array([True, False, True, False])
    table = jn.describe(Masked(), {}, x, key, mask=mask)
    assert table["fired"].item()
    clean = jn.strip_noise(Masked())
    assert repr(clean).startswith("without noise: Masked(")
    np.testing.assert_array_equal(clean.apply({}, x, mask), x)
    np.testing.assert_array_equal(clean.apply({}, x, mask=mask), x)
    np.testing.assert_array_equal(clean.apply({}, x, mask=mask, train=False), x)
    always = nn.Sequential([jn.GaussianNoise(0.1, train=True)])
    assert jn.describe(always, {}, x, key)["fired"].item()
    stripped = jn.strip_noise(jn.strip_noise(always))
    assert not jn.describe(stripped, {}, x, key)["fired"].any()


def test_describe_measures_what_the_mask_lets_through(key):
    """Padding, however large, is in neither deviation."""
    x = jnp.stack([jax.random.normal(key, (N,)), jnp.full((N,), 1e6)])
    mask = jnp.array([True, False])

    class Masked(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return jn.GaussianNoise(0.1)(x, train=train, mask=mask)

    row = jn.describe(Masked(), {}, x, key).iloc[0]
    np.testing.assert_allclose(row.signal_sd, 1.0, rtol=5 / np.sqrt(2 * N))
    np.testing.assert_allclose(row.noise_sd, 0.1, rtol=5 / np.sqrt(2 * N))


def test_describe_inside_transforms(key):
    """A layer under a scan, a jit or a checkpoint has one row, over all its calls."""
    x = jnp.ones((2000, 1))

    class Step(nn.Module):
        @nn.compact
        def __call__(self, x, _):
            return jn.GaussianNoise(0.1, name="inner", train=True)(x), None

    class Scanned(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            rngs = {"noise": True}
            x, _ = nn.scan(Step, length=4, split_rngs=rngs)(name="steps")(x, None)
            x = nn.jit(jn.GaussianNoise)(0.2, name="jitted", train=True)(x)
            return nn.remat(jn.GaussianNoise)(0.3, name="again", train=True)(x)

    table = jn.describe(Scanned(), {}, x, key)
    assert table["path"].tolist() == ["steps/inner", "jitted", "again"]
    np.testing.assert_allclose(table["strength"], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(table["noise_sd"], [0.1, 0.2, 0.3], rtol=0.1)
    grown = np.sqrt(np.mean([0.01 * i for i in range(4)]))  # a random walk
    np.testing.assert_allclose(table["signal_sd"][0], grown, rtol=0.1)


@pytest.mark.slow
def test_describe_tells_schedules_and_learned_strengths(key):
    x = jnp.ones((100, 3))

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            x = jn.GaussianNoise(lambda step: 0.25 + step, name="rising")(x, train)
            x = jn.GaussianNoise(jn.Learnable(0.5), name="learned")(x, train)
            x = jn.GaussianNoise(jnp.array([0.1, 0.2, 0.3]), name="each")(x, train)
            return jn.NoisyDense(4, name="dense")(x, train)

    variables = jax.jit(lambda: Net().init(key, x, train=False))()
    table = jn.describe(Net(), variables, x, key)
    np.testing.assert_allclose(
        table["strength"], [0.25, 0.5, 0.2, 0.5 / np.sqrt(3)], rtol=1e-6
    )
    assert (table["noise_sd"] > 0).all()


def test_how_it_prints(key):
    table = jn.describe(Linen(), {}, jnp.ones((10, 1)), key)
    text, html = str(table), table._repr_html_()
    lines = text.splitlines()
    assert len(lines) == 5
    assert lines[1].split()[:4] == ["jitter", "GaussianNoise", "0.5", "True"]
    assert max(map(len, lines)) <= 80
    assert "nan" not in text.lower()
    long = table.assign(path="encoder/layers/0/attention/" + table["path"])
    assert max(map(len, str(long).splitlines())) <= 80
    assert "…" in str(long)
    assert "attention/jitter" in str(long.set_index("path"))
    assert "&lt;lambda&gt;" in html
    assert "nan" not in html.lower()
    quiet = nn.Dropout(0.5, deterministic=True)
    assert str(jn.describe(quiet, {}, jnp.ones(2), key)) == "no noise layers"


@pytest.mark.bad_input
def test_describe_what_is_no_model(key, x):
    with pytest.raises(TypeError, match="model must be a Flax Linen module"):
        jn.describe(jnp.ones, {}, x, key)
    with pytest.raises(TypeError, match="variables must be None for an NNX module"):
        jn.describe(NNX(nnx.Rngs(0)), {"params": {}}, x, key)
    for bad in (0, None, jax.random.PRNGKey(0)):
        with pytest.raises(TypeError, match="key must be a typed key"):
            jn.describe(NNX(nnx.Rngs(0)), None, x, bad)
    with pytest.raises(ValueError, match="describe must be called outside"):
        jax.jit(lambda x: jn.describe(Linen(), {}, x, key))(x)


# The model without its noise


@pytest.fixture(scope="module")
def image():
    return jax.random.normal(jax.random.key(6), (3, 4))


class Trained(nn.Module):
    """All that a clean pass must switch: noise, dropout, batch statistics."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(x))
        x = jn.GaussianNoise(0.5)(x, train=train)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return jn.NoisyDense(2)(x, train=train)


class TrainedNNX(nnx.Module):
    """The same; with ``train`` passed on, or without."""

    def __init__(self, rngs):
        self.dense = nnx.Linear(4, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.noise = jn.nnx.GaussianNoise(0.5, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.out = jn.nnx.NoisyDense(8, 2, rngs=rngs)

    def __call__(self, x):
        return self.out(self.dropout(self.noise(self.norm(self.dense(x)))))


class WithTrain(TrainedNNX):
    """A module that hands ``train`` to its layers."""

    def __call__(self, x, train):
        x = self.noise(self.norm(self.dense(x), use_running_average=not train), train)
        return self.out(self.dropout(x, deterministic=not train), train)


def linen_pair(image):
    variables = jax.jit(partial(Trained().init, train=False))(jax.random.key(0), image)
    moved = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    expected = Trained().apply(moved, image, train=False)
    return partial(jn.strip_noise(Trained()).apply, moved), expected


def nnx_pair(image):
    model = TrainedNNX(nnx.Rngs(0))
    model(image)  # moves the statistics
    clean = jn.strip_noise(model)
    assert isinstance(clean, TrainedNNX)
    return clean, nnx.view(model, deterministic=True, use_running_average=True)(image)


def train_pair(image):
    model = WithTrain(nnx.Rngs(0))
    model(image, train=True)
    return jn.strip_noise(model), model(image, train=False)


def protocol_pair(image):
    model = jn.nnx.model(TrainedNNX)
    variables = model.init(jax.random.key(0), image)
    expected, _ = model.apply(variables, image, train=False, key=None)
    return partial(jn.strip_noise(model).apply, variables), expected


PAIRS = (linen_pair, nnx_pair, train_pair, protocol_pair)


@pytest.mark.parametrize("pair", PAIRS)
def test_strip_noise(pair, image):
    clean, expected = pair(image)
    np.testing.assert_array_equal(clean(image), expected)
    np.testing.assert_array_equal(clean(image), expected)  # nothing has moved
    np.testing.assert_allclose(jax.jit(clean)(image), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pair", [nnx_pair, protocol_pair])  # Linen's runs below
def test_export(pair, image):
    """For all platforms, without a random operation."""
    clean, expected = pair(image)
    exported = export.export(jax.jit(clean), platforms=PLATFORMS)(image)
    assert exported.platforms == PLATFORMS
    text = exported.mlir_module()
    assert not [word for word in RANDOM if word in text]
    np.testing.assert_allclose(exported.call(image), expected, rtol=1e-5, atol=1e-6)


def test_an_export_of_noise_has_a_random_operation(image):
    def noisy(key, x):
        return jn.add_gaussian_noise(key, x, 0.5)

    text = export.export(jax.jit(noisy))(jax.random.key(0), image).mlir_module()
    assert [word for word in RANDOM if word in text]


def test_an_export_runs_without_jaxnoise(image, tmp_path):
    """Saved, and loaded by a process that cannot import it, nor Flax."""
    clean, expected = linen_pair(image)
    exported = export.export(jax.jit(clean), platforms=PLATFORMS)(image)
    assert not [word for word in RANDOM if word in exported.mlir_module()]
    (tmp_path / "model.bin").write_bytes(exported.serialize())
    np.save(tmp_path / "x.npy", image)
    np.save(tmp_path / "expected.npy", expected)
    code = (
        "import sys; sys.modules['jaxnoise'] = sys.modules['flax'] = None\n"
        "import jax.export, numpy as np\n"
        "model = jax.export.deserialize(open('model.bin', 'rb').read())\n"
        "out, expected = model.call(np.load('x.npy')), np.load('expected.npy')\n"
        "np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_layers_that_the_constructor_switched_on(image):
    class Always(nn.Module):
        @nn.compact
        def __call__(self, x):
            return jn.GaussianNoise(0.5, train=True)(x)

    np.testing.assert_array_equal(jn.strip_noise(Always()).apply({}, image), image)
    noisy = Always().apply({}, image, rngs={"noise": jax.random.key(0)})
    assert (noisy != image).all()  # elsewhere they are as before
    weights = jn.NoisyDense(2).init(jax.random.key(0), image, train=False)
    clean = jn.strip_noise(jn.NoisyDense(2, train=True)).apply(weights, image)
    expected = jn.NoisyDense(2).apply(weights, image, train=False)
    np.testing.assert_array_equal(clean, expected)

    class AlwaysNNX(nnx.Module):
        def __init__(self, rngs):
            self.noise = jn.nnx.GaussianNoise(0.5, rngs=rngs)

        def __call__(self, x):
            return self.noise(x, train=True)

    model = AlwaysNNX(nnx.Rngs(0))
    clean = jn.strip_noise(model)
    clean.train()
    np.testing.assert_array_equal(clean(image), image)
    assert (model(image) != image).all()


def test_parameters_are_those_of_the_model(image):
    variables = Trained().init(jax.random.key(0), image, train=False)
    fresh = jn.strip_noise(Trained()).init(jax.random.key(0), image)
    assert jax.tree.structure(fresh) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, fresh, variables)
    model = TrainedNNX(nnx.Rngs(0))
    clean = jn.strip_noise(model)
    assert clean.dense.kernel is model.dense.kernel
    assert isinstance(clean, TrainedNNX)
    assert jax.tree.structure(nnx.state(clean)) == jax.tree.structure(nnx.state(model))
    nnx.update(clean, nnx.state(model))
    again = jn.strip_noise(clean)
    np.testing.assert_array_equal(again(image), clean(image))
    model.dense.kernel[...] = 0.0  # training goes on: the clean model follows
    assert (clean.dense.kernel[...] == 0).all()


@pytest.mark.bad_input
def test_strip_what_is_no_model():
    with pytest.raises(TypeError, match="model must be a Flax Linen module"):
        jn.strip_noise(jnp.ones)


def test_flags_that_nobody_set(key):
    """A fresh attention of NNX is described as in training, and stays as it was."""

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.noise = jn.nnx.GaussianNoise(0.1, rngs=rngs)
            self.attention = nnx.MultiHeadAttention(2, 8, 8, rngs=rngs)

        def __call__(self, x):
            return self.attention(self.noise(x))

    net = Net(nnx.Rngs(0))
    table = jn.describe(net, None, jnp.ones((2, 3, 8)), key)
    assert list(table["fired"]) == [True]
    assert net.attention.deterministic is None
    net.eval()
    assert not jn.describe(net, None, jnp.ones((2, 3, 8)), key)["fired"].any()


def test_a_signal_on_an_offset_is_measured(key):
    x = 5e6 + jax.random.normal(key, (1000, 10))
    exact = np.asarray(x, float).std()
    table = jn.describe(jn.GaussianNoise(1.0), {}, x, key)
    np.testing.assert_allclose(table["signal_sd"], exact, rtol=1e-3)
