"""NNX modules in the engine: the protocol, streams, and the same run as Linen's."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax import export

import jaxnoise as jn


def ripple(key, x):
    """Noise that depends on x alone, so that both kinds of layers make the same."""
    return x + 0.1 * jnp.sin(100 * x)


class Net(nnx.Module):
    """Dense, batch norm, noise, dense."""

    def __init__(self, noise, *, rngs):
        # no bias: batch norm takes it out, and Adam would scale up its rounding
        self.hidden = nnx.Linear(2, 8, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(8, momentum=0.9, rngs=rngs)
        self.noise = noise(rngs)
        self.output = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.output(nnx.relu(self.noise(self.norm(self.hidden(x)))))


class LinenNet(nn.Module):
    """The same in Linen."""

    noise: nn.Module

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(8, use_bias=False, name="hidden")(x)
        x = nn.BatchNorm(momentum=0.9, name="norm", use_running_average=not train)(x)
        x = self.noise.clone(parent=self, name="jitter")(x, train=train)
        return nn.Dense(1, name="output")(nn.relu(x))


def recipe(model, **parts):
    return jn.Recipe(
        model=model,
        loss=jn.losses.binary_cross_entropy,
        optimizer=optax.adam(1e-2),
        metrics={"accuracy": jn.metrics.binary_accuracy},
        **parts,
    )


def gaussian(stddev):
    return jn.nnx.model(
        lambda rngs: Net(lambda r: jn.nnx.GaussianNoise(stddev, rngs=r), rngs=rngs)
    )


def rippling():
    return jn.nnx.model(
        lambda rngs: Net(lambda r: jn.nnx.Noise(ripple, rngs=r), rngs=rngs)
    )


@pytest.fixture(scope="module")
def data():
    circles = jn.data.circles(population=1)
    return jn.Data(train=circles.train, test=circles.test)


def test_the_protocol(key, x):
    model, x = gaussian(0.3), x[:, :2]
    variables = model.init(key, x)
    assert set(variables) == {"params", "batch_stats", "noise_strength"}
    assert set(variables["params"]) == {"hidden", "norm", "output"}
    assert variables["params"]["hidden"]["kernel"].shape == (2, 8)
    keys = jax.random.split(key)
    a, left = model.apply(variables, x, train=True, key=keys[0])
    b, _ = model.apply(variables, x, train=True, key=keys[0])
    c, _ = model.apply(variables, x, train=True, key=keys[1])
    np.testing.assert_array_equal(a, b)
    assert (a != c).all()
    moved = left["batch_stats"]["norm"]["mean"]
    assert (moved != variables["batch_stats"]["norm"]["mean"]).all()
    clean, kept = model.apply(variables, x, train=False, key=None)
    assert kept is variables
    same, _ = model.apply(variables, x, train=False, key=keys[0])
    np.testing.assert_array_equal(clean, same)


class FromNNX:
    """The Linen network behind the protocol, with the NNX network's first weights."""

    def __init__(self, module, weights):
        self.module, self.weights = module, weights

    def init(self, key, x):
        given = self.weights.init(key, x)
        return {"params": given["params"], "batch_stats": given["batch_stats"]}

    def apply(self, variables, x, *, train, key):
        if not train:
            return self.module.apply(variables, x, train=False), variables
        outputs, carried = self.module.apply(
            variables, x, train=True, rngs={"noise": key}, mutable=["batch_stats"]
        )
        return outputs, {**variables, **carried}


@pytest.mark.slow
def test_the_same_curves_as_linen(data, key):
    """The same network, weights, batch statistics and noise: every epoch alike."""

    def run(model):
        train = jn.make_train(lambda _: recipe(model), epochs=40, batch_size=16)
        return jax.jit(train)(key, 0.0, data)

    ours = run(rippling())
    theirs = run(FromNNX(LinenNet(jn.Noise(ripple)), rippling()))
    quiet = run(FromNNX(LinenNet(jn.Noise(lambda key, x: x)), rippling()))
    assert ours.curves["train_loss"][-1] < 0.97 * ours.curves["train_loss"][0]
    for name, curve in ours.curves.items():
        np.testing.assert_allclose(curve, theirs.curves[name], rtol=2e-4, err_msg=name)
    loss = "train_loss"
    assert abs(ours.curves[loss] - quiet.curves[loss]).max() > 1e-3  # noise was on
    for collection in ("params", "batch_stats"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
            ours.variables[collection],
            theirs.variables[collection],
        )


@pytest.mark.slow
def test_a_sweep_equals_its_runs_and_compiles_once(data):
    calls = []

    def noisy(stddev):
        calls.append(stddev)
        return recipe(gaussian(stddev))

    settings = {"epochs": 5, "batch_size": 16}
    result = jn.sweep(
        {"hidden": noisy},
        strengths={"hidden": [0.0, 0.3]},
        data=data,
        seeds=2,
        keep_params=True,
        **settings,
    )
    traced = len(calls)
    again = jn.sweep(
        {"hidden": noisy},
        strengths={"hidden": [0.7]},
        data=data,
        seeds=2,
        keep_params=True,
        **settings,
    )
    assert len(calls) == traced
    train = jax.jit(jn.make_train(noisy, **settings))
    for table, strength in ((result.runs, 0.3), (again.runs, 0.7)):
        rows = table[np.isclose(table["strength"], strength)]
        for _, row in rows.iterrows():
            alone = train(jax.random.key(row["seed"]), np.float32(strength), data)
            for name, value in alone.metrics.items():
                np.testing.assert_allclose(row[name], value, rtol=1e-4, err_msg=name)
    silent, loud = (result.where(strength=s).runs["test_loss"] for s in (0.0, 0.3))
    assert (silent.to_numpy() != loud.to_numpy()).all()


@pytest.mark.slow
def test_a_key_across_strengths_and_splits(x):
    """The paired design by `jax.vmap`: each run as it is alone, its key shared."""

    def small(stddev):
        model = jn.nnx.model(
            lambda rngs: nnx.Sequential(
                nnx.Linear(3, 1, rngs=rngs), jn.nnx.GaussianNoise(stddev, rngs=rngs)
            )
        )
        return jn.Recipe(model, jn.losses.squared_error, optax.sgd(0.1))

    data = jn.Data(train=(x, x[:, :1]))
    train = jn.make_train(small, epochs=1, batch_size=2, curves=())
    over_splits = jax.vmap(train, (None, None, 0))
    over_strengths = jax.vmap(over_splits, (None, 0, None))
    grid = jax.jit(jax.vmap(over_strengths, (0, None, None)))
    keys, strengths = jax.random.split(jax.random.key(0)), np.float32([0.0, 0.3])
    splits = jax.tree.map(lambda leaf: np.stack([leaf, leaf[::-1]]), data)
    loss = grid(keys, strengths, splits).metrics["train_loss"]
    alone = jax.jit(train)
    for i, j, k in np.ndindex(loss.shape):
        split = jax.tree.map(lambda leaf, k=k: leaf[k], splits)
        expected = alone(keys[i], strengths[j], split).metrics["train_loss"]
        np.testing.assert_allclose(loss[i, j, k], expected, rtol=1e-5)
    assert len(np.unique(loss)) == loss.size


def test_a_module_s_own_axes_need_keys_of_their_own(key, x):
    """A key is shared along the axes of runs alone, also where both are there."""

    class Rowwise(nnx.Module):
        def __init__(self, rngs):
            self.noise = jn.nnx.GaussianNoise(0.1, rngs=rngs)

        def __call__(self, x):
            return nnx.vmap(lambda m, x: m(x), in_axes=(None, 0))(self.noise, x)

    def outputs(x):
        return jn.nnx.model(Rowwise).apply(variables, x, train=True, key=key)[0]

    variables = jn.nnx.model(Rowwise).init(key, x)
    for call in (outputs, jax.vmap(outputs)):
        with pytest.raises(ValueError, match="the same along a vmapped axis"):
            call(jnp.stack([x, x]))


def test_a_module_of_variables(key, x):
    """With the batch statistics that training left: it computes the clean pass."""
    model, x = gaussian(0.3), x[:, :2]
    assert repr(model) == "jn.nnx.model(<lambda>)"
    fresh = model.init(key, x)
    _, variables = model.apply(fresh, x, train=True, key=key)
    net = model.module(variables)
    outputs, _ = model.apply(variables, x, train=False)
    np.testing.assert_array_equal(net(x), outputs)
    assert (net(x) != model.module(fresh)(x)).any()
    net.train()
    assert (net(x) != outputs).any()


def test_weights_that_no_seed_changes_are_told(key, x):
    def odd(rngs):
        return Odd(rngs=nnx.Rngs(0))

    with pytest.warns(UserWarning, match="does not draw weights from its rngs, so tha"):
        variables = jn.nnx.model(odd).init(key, x)
    jn.nnx.model(lambda rngs: nnx.Sequential(nnx.relu)).init(key, x)  # it has none

    def pretrained(rngs):
        module = Odd(rngs=rngs)
        module.dense.kernel[...] = variables["params"]["dense"]["kernel"]
        return module

    jn.nnx.model(pretrained).init(key, x)


def test_a_layer_s_noise_does_not_depend_on_the_others(key, x):
    """Nor do the first weights: runs with noise at other sites are paired."""

    class Sites(nnx.Module):
        def __init__(self, before, after, rngs):
            self.before = before and jn.nnx.GaussianNoise(1.0, rngs=rngs)
            self.dense = nnx.Linear(3, 3, rngs=rngs)
            self.after = after and jn.nnx.GaussianNoise(1.0, rngs=rngs)

        def __call__(self, x):
            first = self.before(x) if self.before else x
            second = self.after(x) if self.after else x
            return first, second

    def noise(before, after):
        model = jn.nnx.model(lambda rngs: Sites(before, after, rngs))
        variables = model.init(key, x)
        outputs, _ = model.apply(variables, x, train=True, key=key)
        return outputs, variables["params"]["dense"]["kernel"]

    (first, second), kernel = noise(True, True)
    (alone, _), kernel_before = noise(True, False)
    (_, other), kernel_after = noise(False, True)
    np.testing.assert_array_equal(first, alone)
    np.testing.assert_array_equal(second, other)
    assert (first != second).all()
    np.testing.assert_array_equal(kernel, kernel_before)
    np.testing.assert_array_equal(kernel, kernel_after)


def test_dropout_schedules_and_train_arguments(key, x):
    """Flax' dropout has keys, counters are carried, and ``train=`` is passed on."""

    class Mixed(nnx.Module):
        def __init__(self, rngs):
            self.dropout = nnx.Dropout(0.5, rngs=rngs)
            self.noise = jn.nnx.GaussianNoise(lambda step: 1.0 * step, rngs=rngs)
            self.dense = nnx.Linear(3, 1, rngs=rngs)

        def __call__(self, x, train):
            dropped = self.dropout(x, deterministic=not train)
            return dropped, self.noise(x, train), self.dense(x)

    model = jn.nnx.model(lambda rngs: Mixed(rngs))
    variables = model.init(key, x)
    (dropped, first, _), variables = model.apply(variables, x, train=True, key=key)
    assert 0 < (dropped == 0).sum() < x.size
    np.testing.assert_array_equal(first, x)  # step 0
    (_, second, _), variables = model.apply(variables, x, train=True, key=key)
    assert (second != x).all()
    assert variables["noise_step"]["noise"]["stddev_step"] == 2
    (dropped, clean, _), _ = model.apply(variables, x, train=False, key=None)
    np.testing.assert_array_equal(dropped, x)
    np.testing.assert_array_equal(clean, x)


class Count(nnx.Variable):
    """A class of variables that nobody registered."""


class Odd(nnx.Module):
    """Bare arrays, numbers in variables, several in one, and one that a call adds."""

    def __init__(self, *, rngs):
        self.noise = jn.nnx.SaltAndPepperNoise(
            0.5, low=jnp.zeros(3), high=np.ones(3, np.float32), rngs=rngs
        )
        self.scale = jnp.full(3, 2.0)
        self.calls = Count(0)
        self.many = nnx.Variable({"a": jnp.ones(2), "b": jnp.ones(())})
        self.dense = nnx.Linear(3, 1, rngs=rngs)

    def __call__(self, x):
        x = self.noise(x * self.scale)
        self.calls.set_value(self.calls.get_value() + 1)
        self.seen = nnx.Intermediate((x,))
        return self.dense(x)


def test_modules_with_all_sorts_of_state(key, x):
    model = jn.nnx.model(Odd)  # a class with keyword-only rngs, as NNX teaches it
    assert jn.nnx.model(partial(Odd)).init(key, x).keys() == model.init(key, x).keys()
    variables = model.init(key, x)
    assert set(variables) == {"params", "Count", "noise_strength", "Variable"}
    outputs, left = model.apply(variables, x, train=True, key=key)
    assert jax.tree.structure(left) == jax.tree.structure(variables)
    assert left["Count"]["calls"] == 1
    table = jn.describe(Odd(rngs=nnx.Rngs(0)), None, x, key)
    assert table["path"].tolist() == ["noise"]
    data = jn.Data(train=(x, x[:, :1]))

    def odd(_):
        return jn.Recipe(model, jn.losses.squared_error, optax.sgd(0.1))

    result = jax.jit(jn.make_train(odd, epochs=3, batch_size=2))(key, 0.0, data)
    assert result.finite
    assert result.variables["Count"]["calls"] == 6


def test_lowers_for_every_platform(data, key):
    train = jn.make_train(lambda s: recipe(gaussian(s)), epochs=2, batch_size=16)
    exported = export.export(jax.jit(train), platforms=["cpu", "cuda", "tpu"])
    program = exported(key, np.float32(0.1), data)
    assert program.platforms == ("cpu", "cuda", "tpu")


class Pair(nnx.Module):
    def __init__(self, rngs):
        pass

    def __call__(self, x, mask):
        return x


@pytest.mark.bad_input
def test_what_is_no_factory(key, x):
    message = r"factory must be a function rngs -> module, such as lambda rngs: Net\("
    with pytest.raises(TypeError, match=message):
        jn.nnx.model(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    with pytest.raises(TypeError, match="missing a required argument: 'noise'"):
        jn.nnx.model(Net)
    with pytest.raises(TypeError, match="key must be a typed key, .* got None"):
        gaussian(0.1).apply({}, x, train=True)
    with pytest.raises(
        TypeError, match="Pair.__call__ gets x as one argument, a tuple"
    ):
        jn.nnx.model(Pair).apply({"params": {}}, (x, x), train=False)
    with pytest.raises(TypeError, match="factory must return an nnx.Module, got None"):
        jn.nnx.model(lambda rngs: None).init(key, x)
    with pytest.raises(TypeError, match=r"jn.nnx.model\(lambda rngs: Net\(rngs=rngs\)"):
        recipe(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
