"""The NNX layers: Linen's noise, and NNX' switches, streams and transforms."""

import contextlib
import io
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

import jaxnoise as jn
from jaxnoise.noise import linen as linen_module
from jaxnoise.noise.nnx import NamedNoise, NoiseStrength, TrainOnly


def shift_all(key, x):
    """A noise function without a mask argument."""
    return x + jax.random.uniform(key, x.shape, minval=1.0, maxval=2.0)


CASES = {
    "Noise": ("Noise", (partial(jn.add_gaussian_noise, stddev=0.3),), {}),
    "Noise of any function": ("Noise", (shift_all,), {}),
    "GaussianNoise": ("GaussianNoise", (0.3,), {}),
    "CorrelatedNoise": ("CorrelatedNoise", (0.3,), {"correlation": 0.5, "axis": -1}),
    "SaltAndPepperNoise": ("SaltAndPepperNoise", (1.0,), {"low": -3.0, "high": 3.0}),
    "Dropout": ("Dropout", (0.3,), {}),
    "GaussianDropout": ("GaussianDropout", (0.3,), {}),
    "GaussianDropout by stddev": ("GaussianDropout", (), {"stddev": 0.3}),
    "AlphaDropout": ("AlphaDropout", (0.3,), {}),
    "NEFTuneNoise": ("NEFTuneNoise", (3.0,), {}),
    "SwapNoise": ("SwapNoise", (1.0,), {}),
    "DropPath": ("DropPath", (0.3,), {"mode": "batch"}),
    "BlockMask": ("BlockMask", ((1, 3),), {"axes": -1, "count": 2, "fill": "noise"}),
}
battery = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
# What all layers share is tried on a named one and on one of any function.
KINDS = ["GaussianNoise", "Noise of any function"]
shared = pytest.mark.parametrize("case", [CASES[name] for name in KINDS], ids=KINDS)
ONES = jnp.ones((1000, 1)).at[0].set(0.5)


def make(case, rngs=None, **more):
    """The NNX layer."""
    name, args, keywords = case
    return getattr(jn.nnx, name)(*args, **keywords, **more, rngs=rngs)


def linen(case):
    """The Linen layer."""
    name, args, keywords = case
    return getattr(jn, name)(*args, **keywords)


class StreamKey(nn.Module):
    """The key that Linen derives for the first draw of a module at the top."""

    def __call__(self):
        return self.make_rng("noise")


def independent(a, b):
    """Two sets of draws: |correlation| below 5 / sqrt(n)."""
    a, b = np.ravel(a)[1:], np.ravel(b)[1:]
    return abs(np.corrcoef(a, b)[0, 1]) <= 5 / np.sqrt(len(a))


def gaussian(seed=0, stddev=0.1):
    return jn.nnx.GaussianNoise(stddev, rngs=nnx.Rngs(noise=seed))


def test_there_is_every_layer():
    linen_layers = {
        name
        for name, value in vars(linen_module).items()
        if name in dir(jn) and getattr(value, "is_noise_layer", False)
    }
    nnx_layers = {
        name
        for name, value in vars(jn.nnx).items()
        if isinstance(value, type) and issubclass(value, TrainOnly)
    }
    assert nnx_layers == linen_layers
    named = {layer.__name__ for layer in NamedNoise.__subclasses__()}
    assert named == {name for name, *_ in CASES.values()} - {"Noise"}
    for layer in NamedNoise.__subclasses__():
        assert layer._fn is getattr(jn, layer.__name__)._fn


@battery
def test_the_noise_is_that_of_linen_bit_for_bit(case, key, x):
    x = jnp.asarray(x, "bfloat16")
    derived = StreamKey().apply({}, rngs={"noise": key})
    theirs = linen(case).apply({}, x, train=True, rngs={"noise": key})
    ours = make(case)(x, rngs=derived)
    assert ours.dtype == x.dtype
    np.testing.assert_array_equal(ours, theirs)
    mask = np.ones(x.shape[0], bool)
    mask[0] = False
    ours = make(case)(x, rngs=derived, mask=mask)
    theirs = linen(case).apply({}, x, train=True, mask=mask, rngs={"noise": key})
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(ours[0], x[0])


@shared
def test_switches(case, x):
    layer = make(case, nnx.Rngs(noise=0))
    assert (layer(x) != x).any()  # as NNX' dropout, active unless told otherwise
    layer.eval()
    assert layer(x) is x
    assert (layer(x, train=True) != x).any()  # the call wins
    layer.train()
    assert layer(x, train=False) is x
    assert (layer(x) != x).any()
    assert nnx.view(layer, deterministic=True)(x) is x
    assert (nnx.view(layer, deterministic=False)(x) != x).any()
    assert make(case, deterministic=True)(x) is x  # and needs no stream


@shared
def test_off_leaves_no_random_operation_and_no_count(case, x):
    layer = make(case, nnx.Rngs(noise=0))
    layer.eval()
    text = str(jax.make_jaxpr(lambda x: layer(x))(x))
    assert "random" not in text
    assert "threefry" not in text
    layer(x)
    assert layer.rngs.count[...] == 0


@shared
def test_traced_train_selects(case, key, x):
    layer = make(case)

    @jax.jit
    def call(train):
        return layer(x, train, rngs=key)

    np.testing.assert_array_equal(call(False), x)
    np.testing.assert_allclose(call(True), layer(x, rngs=key), atol=1e-6)


@shared
def test_draws_differ(case):
    """Between calls, layers, seeds; a stream of one seed repeats."""
    rngs = nnx.Rngs(noise=0)
    a, b = make(case, rngs), make(case, rngs)
    first, second, other = a(ONES), a(ONES), b(ONES)
    assert independent(first, second)
    assert independent(first, other)
    assert independent(first, make(case, nnx.Rngs(noise=1))(ONES))
    again = make(case, nnx.Rngs(noise=0))
    np.testing.assert_array_equal(again(ONES), first)


def test_which_stream(x):
    """``noise``, else the default stream as in NNX; also at the call, or a key."""
    named = gaussian(3)(x)
    both = jn.nnx.GaussianNoise(0.1, rngs=nnx.Rngs(0, noise=3))(x)
    np.testing.assert_array_equal(both, named)
    default = jn.nnx.GaussianNoise(0.1, rngs=nnx.Rngs(3))
    assert (default(x) != x).all()
    bare = jn.nnx.GaussianNoise(0.1)
    first = bare(x, rngs=nnx.Rngs(noise=3))
    np.testing.assert_array_equal(first, bare(x, rngs=nnx.Rngs(noise=3)["noise"]))
    key = jax.random.key(5)
    expected = jn.add_gaussian_noise(key, x, 0.1)
    np.testing.assert_array_equal(bare(x, rngs=key), expected)
    np.testing.assert_array_equal(gaussian()(x, rngs=key), expected)  # the call wins


def test_a_strength_does_not_recompile(x):
    traces = []

    @nnx.jit
    def call(layer, x):
        traces.append(1)
        return layer(x)

    layer = gaussian(stddev=0.1)
    small = call(layer, x) - x
    layer.stddev[...] = 0.2
    layer.rngs.count[...] = 0
    np.testing.assert_allclose(call(layer, x) - x, 2 * small, atol=1e-6)
    layer.stddev[...] = 0.0
    np.testing.assert_array_equal(call(layer, x), x)
    call(gaussian(stddev=7.0), x)
    assert len(traces) == 1


def test_strengths_under_vmap(key, x):
    def call(stddev):
        return jn.nnx.GaussianNoise(stddev)(x, rngs=key)

    out = jax.jit(jax.vmap(call))(jnp.array([0.0, 0.5, 2.0]))
    np.testing.assert_array_equal(out[0], x)
    np.testing.assert_allclose(out[2], call(2.0), atol=1e-6)


@shared
def test_under_nnx_jit_and_grad(case, x):
    plain = make(case, nnx.Rngs(noise=0))
    expected = [plain(x), plain(x)]
    layer = make(case, nnx.Rngs(noise=0))
    jitted = nnx.jit(lambda layer, x: layer(x))
    for value in expected:  # the stream moves on between compiled calls
        np.testing.assert_allclose(jitted(layer, x), value, atol=1e-6)

    def total(x):
        return (make(case, nnx.Rngs(noise=0))(x) ** 2).sum()

    gradient = jax.grad(total)(jnp.asarray(x))
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(jax.jit(jax.grad(total))(x), gradient, rtol=1e-5)


@shared
def test_under_nnx_vmap_with_split_streams(case):
    layer = make(case, nnx.Rngs(noise=0))
    axes = nnx.StateAxes({nnx.RngState: 0, ...: None})

    @nnx.split_rngs(splits=2)
    @partial(nnx.vmap, in_axes=(axes, 0))
    def call(layer, x):
        return layer(x)

    a, b = call(layer, jnp.stack([ONES, ONES]))
    assert independent(a, b)
    c, d = call(layer, jnp.stack([ONES, ONES]))
    assert independent(a, c)
    assert independent(b, d)


@shared
def test_a_key_is_shared_on_purpose_alone(case, key):
    """Along a vmapped axis, or between the calls of a compiled function."""
    rows, rngs = jnp.stack([ONES, ONES]), nnx.Rngs(noise=0)
    for transform in (jax.jit, jax.vmap, jax.grad):
        layer = make(case, rngs)
        with pytest.raises(ValueError, match=f"^{case[0]} is closed over .* use nnx"):
            transform(lambda x, layer=layer: layer(x).sum())(ONES)
    layer = make(case, rngs)
    with pytest.raises(ValueError, match="the same along a vmapped axis"):
        nnx.vmap(lambda layer, x: layer(x), in_axes=(None, 0))(layer, rows)
    a, b = jax.vmap(lambda x: layer(x, rngs=key))(rows)
    np.testing.assert_array_equal(a, b)


@shared
def test_under_nnx_scan(case):
    @nnx.split_rngs(splits=3)
    @partial(
        nnx.scan,
        in_axes=(nnx.StateAxes({nnx.RngState: 0, ...: None}), nnx.Carry),
        out_axes=(nnx.Carry, 0),
        length=3,
    )
    def layers(layer, carry):
        return carry, layer(ONES)

    _, out = layers(make(case, nnx.Rngs(noise=0)), 0)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert independent(out[i], out[j])

    @partial(nnx.scan, in_axes=(nnx.Carry, None), out_axes=(nnx.Carry, 0), length=3)
    def steps(layer, x):  # one layer over time: its stream is carried
        return layer, layer(x)

    _, out = steps(make(case, nnx.Rngs(noise=0)), ONES)
    one_by_one = make(case, nnx.Rngs(noise=0))
    for drawn in out:
        np.testing.assert_allclose(drawn, one_by_one(ONES), atol=1e-6)


class Block(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(2, 2, rngs=rngs)
        self.dropout = jn.nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.dropout(x)


OWN = nnx.StateAxes({(nnx.Param, nnx.RngState): 0, ...: None})


@pytest.mark.parametrize("only", [..., "params"], ids=["all", "weights"])
def test_vmapped_and_scanned_models_never_repeat_a_mask(only):
    """Nor do two models that are made one after the other, whatever is split."""
    every = only is ...
    axes = nnx.StateAxes({"params": 0, "noise": 0 if every else None, ...: None})
    kept = nnx.StateAxes({nnx.Param: 0, nnx.RngState: 0 if every else None, ...: None})
    rngs, row = nnx.Rngs(params=0, noise=1), jnp.ones(100)

    @nnx.split_rngs(splits=3, only=only)
    @partial(nnx.vmap, in_axes=(axes,), out_axes=kept)
    def create(rngs):
        return Block(rngs)

    vmapped = nnx.vmap(lambda model, x: model(x), in_axes=(OWN, None))
    scanned = nnx.scan(
        lambda x, model: (x, model(x)),
        in_axes=(nnx.Carry, OWN),
        out_axes=(nnx.Carry, 0),
    )
    if not every:  # one stream for all three, which each call splits
        vmapped, scanned = map(nnx.split_rngs(splits=3), (vmapped, scanned))
    masks = []
    for _ in range(2):
        model = create(rngs)
        for _ in range(2):
            masks += list(vmapped(model, row)) + list(scanned(row, model)[1])
    assert len({(mask != 0).tobytes() for mask in map(np.asarray, masks)}) == len(masks)


def test_streams_that_flax_starts_anew():
    """The door's text tells of it; when Flax mends this, the text goes."""
    rngs = nnx.Rngs(params=0, noise=1)
    first, second = (
        jn.nnx.Dropout(0.5, rngs=rngs.split({"params": 2, ...: None})) for _ in range(2)
    )
    np.testing.assert_array_equal(first(ONES), second(ONES))
    assert "Rngs.split" in jn.nnx.__doc__
    first, second = (jn.nnx.Dropout(0.5, rngs=rngs.fork()) for _ in range(2))
    assert independent(first(ONES), second(ONES))


@shared
def test_under_nnx_remat(case, x):
    @nnx.remat
    def again(layer, x):
        return layer(x)

    layer = make(case, nnx.Rngs(noise=0))
    expected = make(case, nnx.Rngs(noise=0))(x)
    np.testing.assert_allclose(again(layer, x), expected, atol=1e-6)
    assert layer.rngs.count[...] == 1

    def total(call, x):
        return (call(make(case, nnx.Rngs(noise=0)), x) ** 2).sum()

    plain = jax.grad(partial(total, lambda layer, x: layer(x)))(jnp.asarray(x))
    recomputed = jax.grad(partial(total, again))(jnp.asarray(x))
    np.testing.assert_allclose(recomputed, plain, rtol=1e-5)


def test_under_lax_map_and_shard_map(x):
    keys = jax.random.split(jax.random.key(3), 4)
    layer = jn.nnx.GaussianNoise(0.1)
    one_by_one = np.stack([layer(x, rngs=key) for key in keys])
    mapped = jax.lax.map(lambda key: layer(x, rngs=key), keys)
    np.testing.assert_allclose(mapped, one_by_one, atol=1e-6)

    def fresh(key):
        return jn.nnx.GaussianNoise(0.1, rngs=nnx.Rngs(noise=key))(x)

    one_by_one = np.stack([fresh(key) for key in keys])
    mesh, spec = Mesh(np.array(jax.devices()), ("i",)), PartitionSpec("i")
    sharded = jax.shard_map(jax.vmap(fresh), mesh=mesh, in_specs=spec, out_specs=spec)
    np.testing.assert_allclose(jax.jit(sharded)(keys), one_by_one, atol=1e-6)


@pytest.mark.parametrize("name", ["GaussianNoise", "SaltAndPepperNoise"])
def test_on_a_mesh_with_explicit_axes(name, key):
    """As `jax.make_mesh` makes it: the noise is laid out as x is."""
    mesh = jax.make_mesh((4,), ("i",))
    x = jax.random.normal(key, (8, 3))
    spread = jax.device_put(x, jax.NamedSharding(mesh, PartitionSpec("i")))
    expected = make(CASES[name], nnx.Rngs(noise=0))(x)
    with jax.set_mesh(mesh):
        call = nnx.jit(lambda layer, x: layer(x))
        out = call(make(CASES[name], nnx.Rngs(noise=0)), spread)
    assert out.sharding.spec[0] == "i"
    np.testing.assert_allclose(jax.device_get(out), expected, atol=1e-6)


def test_what_differs_along_an_axis_needs_keys_that_do():
    """Mapped strengths, or weights, on an x that all share."""
    shared = nnx.StateAxes({nnx.RngState: None, ...: 0})

    @nnx.vmap
    def strengths(stddev):
        return jn.nnx.GaussianNoise(stddev, rngs=nnx.Rngs(noise=0))

    @nnx.split_rngs(splits=2, only="params")
    @partial(nnx.vmap, in_axes=(nnx.StateAxes({"params": 0, ...: None}),))
    def dense(rngs):
        return jn.nnx.NoisyDense(3, 2, rngs=rngs)

    layers = (strengths(jnp.array([0.1, 0.2])), dense(nnx.Rngs(params=0, noise=1)))
    for layer in layers:
        layer.rngs = nnx.Rngs(noise=0).noise.fork()
        with pytest.raises(ValueError, match="the same along a vmapped axis"):
            nnx.vmap(lambda layer, x: layer(x), in_axes=(shared, None))(
                layer, jnp.ones((4, 3))
            )


def test_a_strength_that_is_assigned(key, x):
    """It goes into the variable, checked, and compiles nothing."""
    layer, traces = gaussian(), []

    @nnx.jit
    def call(layer):
        traces.append(1)
        return layer(x, rngs=key)

    call(layer)
    held, layer.stddev = layer.stddev, 0.5
    assert layer.stddev is held
    np.testing.assert_allclose(
        call(layer), jn.add_gaussian_noise(key, x, 0.5), atol=1e-6
    )
    assert len(traces) == 1
    with pytest.raises(ValueError, match="stddev must be finite and >= 0, got -0.5"):
        layer.stddev = -0.5
    with pytest.raises(TypeError, match="stddev must be a number or an array, got"):
        layer.stddev = jn.Learnable(0.5)
    layer.stddev = NoiseStrength(jnp.float32(0.2))
    assert layer.stddev is not held


@shared
def test_the_helpers_of_flax(case, x):
    """Tables, views, walks and filters of a model with an active layer."""

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.noise = make(case, rngs)

        def __call__(self, x):
            return self.noise(x)

    net, name = Net(nnx.Rngs(0)), case[0]
    assert f"{name}:\n  deterministic: " in nnx.view_info(net)
    assert "if True, no noise." in nnx.view_info(net)
    assert name in nnx.tabulate(net, x, console_kwargs={"width": 200})
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        nnx.display(net)
    assert name in shown.getvalue()
    assert any(node is net.noise for _, node in nnx.iter_graph(net))
    graph, strengths, streams, rest = nnx.split(net, NoiseStrength, nnx.RngState, ...)
    assert len(jax.tree.leaves(streams)) == 2
    expected = nnx.clone(net)(x)
    same = nnx.merge(graph, strengths, streams, rest)(x)
    np.testing.assert_array_equal(same, expected)
    np.testing.assert_array_equal(nnx.view(net, deterministic=True)(x), x)


def test_a_schedule_counts_noisy_calls(key):
    layer = jn.nnx.GaussianNoise(lambda step: 0.5 * step, rngs=nnx.Rngs(noise=0))
    x = jnp.zeros(4)
    unit = jn.add_gaussian_noise(key, x, 1.0)
    call = nnx.jit(lambda layer, train: layer(x, train, rngs=key))
    np.testing.assert_array_equal(layer(x, rngs=key), x)
    np.testing.assert_allclose(layer(x, rngs=key), 0.5 * unit, atol=1e-6)
    layer(x, train=False)
    np.testing.assert_array_equal(call(layer, False), x)
    np.testing.assert_allclose(call(layer, True), unit, atol=1e-6)
    assert layer.stddev_step[...] == 3


def test_a_learnable_strength(key, x):
    """Its gradient, its prior, and the optimiser's view of it."""
    layer = jn.nnx.GaussianNoise(jn.Learnable(0.5, floor=0.1), rngs=nnx.Rngs(noise=0))
    parameter = layer.learnable_stddev[...]
    np.testing.assert_allclose(
        jn.Learnable(0.5, floor=0.1).value(parameter), 0.5, rtol=1e-6
    )
    np.testing.assert_allclose(
        layer(x, rngs=key), jn.add_gaussian_noise(key, x, 0.5), atol=1e-6
    )
    grads = nnx.grad(lambda layer: (layer(x, rngs=key) ** 2).sum())(layer)
    assert jax.tree.leaves(grads)[0] != 0
    params = nnx.state(layer, nnx.Param)
    penalty = jn.strength_prior(2.0)(None, params, None)
    np.testing.assert_allclose(penalty, -2 * np.log(0.4), rtol=1e-5)
    assert not nnx.state(gaussian(), nnx.Param)  # a plain strength is not trained


def test_noisy_dense_is_that_of_linen(key, x):
    theirs = jn.NoisyDense(5)
    params = theirs.init(key, x, train=False)["params"]
    ours = jn.nnx.NoisyDense(3, 5, rngs=nnx.Rngs(params=0, noise=1))
    for name, value in params.items():
        np.testing.assert_array_equal(
            getattr(ours, name)[...].shape, getattr(params[name], "shape", None)
        )
        getattr(ours, name)[...] = value
    derived = StreamKey().apply({}, rngs={"noise": key})
    expected = theirs.apply({"params": params}, x, train=True, rngs={"noise": key})
    np.testing.assert_array_equal(ours(x, rngs=derived), expected)
    clean = theirs.apply({"params": params}, x, train=False)
    np.testing.assert_array_equal(ours(x, train=False), clean)
    ours.eval()
    np.testing.assert_array_equal(ours(x), clean)
    assert (nnx.view(ours, deterministic=False)(x) != clean).any()
    bare = jn.nnx.NoisyDense(3, 5, use_bias=False, rngs=nnx.Rngs(0))
    assert len(jax.tree.leaves(nnx.state(bare, nnx.Param))) == 2
    fresh = jn.nnx.NoisyDense(3, 5, rngs=nnx.Rngs(0))
    assert abs(fresh.kernel[...]).max() <= 1 / np.sqrt(3)
    np.testing.assert_allclose(fresh.kernel_stddev[...], 0.5 / np.sqrt(3))


def test_a_loop_as_nnx_teaches_it(x):
    """Module, `nnx.Optimizer`, `nnx.jit`, `nnx.value_and_grad`: the loss falls."""

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.dense = nnx.Linear(3, 16, rngs=rngs)
            self.noise = jn.nnx.GaussianNoise(0.1, rngs=rngs)
            self.out = nnx.Linear(16, 1, rngs=rngs)

        def __call__(self, x):
            return self.out(nnx.relu(self.noise(self.dense(x))))

    net = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(net, optax.adam(1e-2), wrt=nnx.Param)
    y = x.sum(1, keepdims=True)

    @nnx.jit
    def step(net, optimizer):
        def loss(net):
            return ((net(x) - y) ** 2).mean()

        value, grads = nnx.value_and_grad(loss)(net)
        optimizer.update(net, grads)
        return value

    losses = [step(net, optimizer) for _ in range(100)]
    assert losses[-1] < losses[0] / 10
    assert net.noise.rngs.count[...] == 100
    np.testing.assert_allclose(net.noise.stddev[...], 0.1)
    assert len(jax.tree.leaves(nnx.state(net, NoiseStrength))) == 1


# What goes wrong


@shared
@pytest.mark.bad_input
@pytest.mark.parametrize("rngs", [None, {"params": 0}, {"dropout": 0}])
def test_no_stream(case, rngs, x):
    layer = make(case, rngs and nnx.Rngs(**rngs))
    message = rf"^{case[0]} is active .* no 'noise' key stream: pass rngs=nnx.Rngs\("
    with pytest.raises(ValueError, match=message):
        layer(x)
    with pytest.raises(ValueError, match=message):
        layer(x, rngs=nnx.Rngs(params=0))


@shared
@pytest.mark.bad_input
@pytest.mark.parametrize("rngs", [0, "noise", jax.random.key(0)], ids=repr)
def test_bad_rngs(case, rngs):
    with pytest.raises(TypeError, match=f"^{case[0]}: rngs must be an nnx.Rngs, such"):
        make(case, rngs)


@shared
@pytest.mark.bad_input
@pytest.mark.parametrize("train", ["yes", 1, 0.0, np.ones(2, bool)], ids=repr)
def test_bad_train(case, train, x):
    with pytest.raises(TypeError, match="train must be a bool, got"):
        make(case, nnx.Rngs(noise=0))(x, train=train)


@pytest.mark.bad_input
def test_bad_arguments(key, x):
    with pytest.raises(ValueError, match="stddev must be finite and >= 0, got -0.1"):
        jn.nnx.GaussianNoise(-0.1, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="stddev must be a number"):
        jn.nnx.GaussianNoise("0.1", rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="rate must be from 0 to 1, got 1.5"):
        jn.nnx.Dropout(1.5)
    with pytest.raises(ValueError, match="give rate or stddev"):
        jn.nnx.GaussianDropout()
    with pytest.raises(ValueError, match="rate must be below 1"):
        jn.nnx.GaussianDropout(1.0)
    with pytest.raises(TypeError, match="a rate cannot be learned"):
        jn.nnx.Dropout(jn.Learnable(0.5))
    with pytest.raises(ValueError, match="correlation must be from -1 to 1, got 2"):
        jn.nnx.CorrelatedNoise(0.1, correlation=2.0, axis=0)(x, rngs=key)
    with pytest.raises(TypeError, match="fn must be a noise function"):
        jn.nnx.Noise(0.1)
    with pytest.raises(ValueError, match="stddev_init must be finite and >= 0"):
        jn.nnx.NoisyDense(2, 3, stddev_init=-1.0, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"Noise: noise must keep the shape of x"):
        jn.nnx.Noise(lambda key, x: x[:, :2])(x, rngs=key)
    for bad in (0, "noise"):
        with pytest.raises(TypeError, match="rngs must be an nnx.Rngs, a stream or a"):
            gaussian()(x, rngs=bad)
    with pytest.raises(TypeError, match="deterministic must be a bool, got 'yes'"):
        jn.nnx.GaussianNoise(0.1, deterministic="yes")
    rbg = nnx.Rngs(jax.random.key(0, impl="rbg"))
    with pytest.raises(TypeError, match=r"got one of rbg; .*, impl='threefry2x32'\)"):
        jn.nnx.GaussianNoise(0.1, rngs=rbg)(x)
    legacy = jax.random.PRNGKey(0)
    with pytest.raises(TypeError, match="key must be a typed key"):
        jn.nnx.GaussianNoise(0.1)(x, rngs=legacy)
