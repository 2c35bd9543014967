"""Noise on a batch and its targets, at the inputs or inside the model."""

from functools import lru_cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxnoise as jn
from jaxnoise.model import CheckedModel
from jaxnoise.training.keys import Keys
from jaxnoise.training.loss import NoisyLoss


@lru_cache
def program(make, **settings):
    return jax.jit(jn.make_train(make, **settings))


def train(make, key, strength, data, *, epochs=2, batch_size=3):
    return program(make, epochs=epochs, batch_size=batch_size)(key, strength, data)


def loss_of(model, variables, rows, keys, **parts):
    """The loss of a step, with its noise."""
    made = jn.Recipe(model, jn.losses.squared_error, optax.sgd(1.0), **parts)
    noisy, rows = NoisyLoss(made, CheckedModel(model)), jax.tree.map(jnp.asarray, rows)
    value, after = noisy(variables["params"], variables, rows, keys)
    assert jax.tree.structure(after) == jax.tree.structure(variables)
    return value


def test_noise_on_a_batch_and_its_classes():
    """The step sees what it returns, the penalty the batch, and metrics the data."""
    x, y = np.array([[1.0], [0.5], [-1.0]], np.float32), np.array([2, 0, 1])
    noise, classes = partial(jn.mixup, alpha=1.0), jn.losses.softmax_cross_entropy
    model, key = jn.MLP((), 3), jax.random.key(1)  # another order than the batch's

    def penalty(apply, params, x):
        return (apply(params, x) ** 2).mean()

    def make(_):
        parts = {"batch_noise": noise, "penalty": penalty}
        return jn.Recipe(model, classes, optax.sgd(1.0), **parts)

    result = train(make, key, 0.0, jn.Data(train=(x, y)), epochs=1, batch_size=3)
    keys = Keys.of_run(key, 0)
    before = model.init({"params": keys.init}, x, train=False)["params"]

    def loss(params):
        def apply(params, x):
            return model.apply({"params": params}, x, train=False)

        rows, soft = noise(keys.of_step(0).batch(), x, jax.nn.one_hot(y, 3))
        return classes(apply(params, rows), soft).mean() + penalty(apply, params, x)

    after = jax.tree.map(jnp.subtract, before, jax.jit(jax.grad(loss))(before))
    for left, right in zip(*map(jax.tree.leaves, (result.params, after)), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)
    clean = classes(model.apply({"params": after}, x, train=False), y).mean()
    np.testing.assert_allclose(result.metrics["train_loss"], clean, rtol=1e-5)


def test_noise_on_a_batch_at_hidden_sites():
    """It is on what the module returns: before an affine layer or after it is one.

    Each step has one of the sites, all equally likely.
    """
    x, y = jnp.array([[1.0], [0.5], [-1.0]]), jnp.eye(3)
    model = jn.MLP((4, 4), 3)
    params = model.init(jax.random.key(0), x, train=False)["params"]

    def noise(key, x, y):
        order = jax.random.permutation(key, len(x))
        return 0.7 * x + 0.3 * x[order], 0.7 * y + 0.3 * y[order]

    def loss(keys, *sites):
        parts = {"batch_noise": noise, "batch_sites": sites}
        return loss_of(model, {"params": params}, (x, y), keys, **parts)

    @jax.jit
    @jax.vmap
    def losses(key):
        keys = Keys.of_run(key, 0)
        first, second, last = (params[name]["kernel"] for name in params)
        hidden, targets = noise(keys.batch(), nn.relu(x @ first) @ second, y)
        by_hand = ((nn.relu(hidden) @ last - targets) ** 2).mean()
        each = [loss(keys, site) for site in ("input", "hidden_0", "hidden_1")]
        return by_hand, *each, loss(keys, "hidden_0", "hidden_1")

    by_hand, at_input, first, second, drawn = map(
        np.asarray, losses(jax.random.split(jax.random.key(1), 400))
    )
    np.testing.assert_allclose(at_input, first, rtol=1e-5)
    np.testing.assert_allclose(second, by_hand, rtol=1e-5)
    told = ~np.isclose(first, second, rtol=1e-4)
    assert told.sum() > 100
    at_first, at_second = (np.isclose(drawn, e)[told] for e in (first, second))
    assert (at_first ^ at_second).all()
    assert abs(at_first.mean() - 0.5) <= 5 * 0.5 / np.sqrt(told.sum())


def test_noise_on_a_batch_inside_of_nnx_is_that_inside_of_linen(key):
    rows, keys = (jnp.eye(4), jnp.eye(4)), Keys.of_run(key, 0)

    def loss(model, variables, site):
        parts = {"batch_noise": partial(jn.mixup, alpha=1.0), "batch_sites": (site,)}
        return loss_of(model, variables, rows, keys, **parts)

    def layers(rngs):
        return nnx.Sequential(
            nnx.Linear(4, 3, rngs=rngs), nnx.relu, nnx.Linear(3, 4, rngs=rngs)
        )

    linen, inside = jn.MLP((3,), 4), jn.nnx.model(layers)
    variables = linen.init(key, np.eye(4), train=False)
    names = {"0": "hidden_0", "2": "output"}
    params = {new: variables["params"][old] for new, old in names.items()}
    same = {"params": {"layers": params}}
    for site, path in {"input": "input", "hidden_0": "layers/0"}.items():
        found = loss(inside, same, path)
        np.testing.assert_allclose(found, loss(linen, variables, site), rtol=1e-6)
    with pytest.raises(ValueError, match=r"\(layers/0, layers/2\), got 'layers/7'"):
        loss(inside, same, "layers/7")


@pytest.mark.bad_input
def test_sites_that_are_not_there(key):
    data, noise = jn.Data(train=(np.eye(2), np.eye(2))), partial(jn.mixup, alpha=1.0)

    def make(model, site):
        squares, sgd = jn.losses.squared_error, optax.sgd(1.0)
        parts = {"batch_noise": noise, "batch_sites": (site,)}
        return lambda _: jn.Recipe(model, squares, sgd, **parts)

    run = make(jn.MLP((4,), 2), "hidden_7")
    message = r"paths of modules of the model \(hidden_0, output\), got 'hidden_7'"
    with pytest.raises(ValueError, match=message):
        train(run, key, 0.0, data)
    with pytest.raises(TypeError, match="batch_sites must be paths .* got 'input'"):
        jn.Recipe(
            jn.MLP((), 2), jn.losses.squared_error, optax.sgd(1.0), batch_sites="input"
        )


# Mixup layers

ROWS = np.random.default_rng(0).normal(size=(12, 6, 6, 1)).astype(np.float32)
TARGETS = np.random.default_rng(1).normal(size=(12, 2)).astype(np.float32)
NETWORKS = {
    "MLP": (partial(jn.MLP, (4, 4), 2), ("hidden_0", "hidden_1")),
    "CNN": (partial(jn.CNN, (2, 3), 2), ("conv_0", "conv_1")),
}


def mixed_and_told(name, **sites):
    """The losses of twenty steps by layers, and by a recipe that names their places."""
    make, places = NETWORKS[name]
    plain, mixing = make(), make(**sites)
    variables = plain.init(jax.random.key(0), ROWS, train=False)

    @jax.jit
    @jax.vmap
    def losses(key):
        keys, batch = Keys.of_run(key, 0), (ROWS, TARGETS)
        noise = partial(jn.mixup, alpha=0.7)
        by_layers = loss_of(mixing, variables, batch, keys)
        parts = {"batch_noise": noise, "batch_sites": places}
        told = loss_of(plain, variables, batch, keys, **parts)
        return by_layers, told, loss_of(plain, variables, batch, keys)

    return map(np.asarray, losses(jax.random.split(jax.random.key(1), 20)))


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_what_a_recipe_says_of_their_places(name):
    """The same steps at the same places, with the targets alike."""
    by_layers, told, without = mixed_and_told(name, hidden_noise=jn.Mixup(0.7))
    np.testing.assert_allclose(by_layers, told, rtol=1e-6)
    assert (abs(by_layers - without) > 1e-3).sum() >= 10


def test_no_mixup_at_strength_zero():
    by_layers, _, without = mixed_and_told("MLP", hidden_noise=jn.Mixup(0.0))
    np.testing.assert_allclose(by_layers, without, rtol=1e-6)


def test_a_site_mixes_targets_by_its_own_strength():
    """With none at one place, half of the steps are without; both places are drawn."""
    sites = {"input_noise": jn.Mixup(0.0)}
    make = partial(jn.MLP, (4,), 2)
    variables = make().init(jax.random.key(0), ROWS, train=False)
    model = make(hidden_noise=jn.Mixup(9.0), **sites)

    @jax.jit
    @jax.vmap
    def losses(key):
        keys, batch = Keys.of_run(key, 0), (ROWS, TARGETS)
        both = (loss_of(each, variables, batch, keys) for each in (model, make()))
        return tuple(both)

    mixed, without = losses(jax.random.split(jax.random.key(2), 400))
    share = np.isclose(mixed, without, rtol=1e-6).mean()
    assert abs(share - 0.5) <= 5 * 0.5 / np.sqrt(400)


@pytest.mark.parametrize("remat", [pytest.param(False, marks=pytest.mark.slow), True])
def test_layers_inside_of_others(remat, key):
    """Inside of what Flax transforms and JAX compiles, in both frameworks."""

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return jn.Mixup(0.7, train=train, name="mixup")(nn.Dense(3, name="in")(x))

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            block = (
                nn.remat(Block, static_argnums=2)
                if remat
                else nn.jit(Block, static_argnums=2)
            )
            return nn.Dense(2, name="out")(nn.relu(block(name="block")(x, train)))

    def layers(rngs):
        hidden, out = nnx.Linear(6, 3, rngs=rngs), nnx.Linear(3, 2, rngs=rngs)
        return nnx.Sequential(hidden, jn.nnx.Mixup(0.7), nnx.relu, out)

    plain, keys, rows = (
        jn.MLP((3,), 2),
        Keys.of_run(key, 0),
        (ROWS[:, 0, :, 0], TARGETS),
    )
    params = plain.init(key, rows[0], train=False)["params"]
    parts = {"batch_noise": partial(jn.mixup, alpha=0.7), "batch_sites": ("hidden_0",)}
    told = loss_of(plain, {"params": params}, rows, keys, **parts)
    nested = {"block": {"in": params["hidden_0"]}, "out": params["output"]}
    for _ in range(2):  # whatever was compiled before is not taken for this
        inside = loss_of(Net(), {"params": nested}, rows, keys)
        np.testing.assert_allclose(inside, told, rtol=1e-6)
    made = jn.nnx.model(layers)
    variables = made.init(key, rows[0])
    layered = {"0": params["hidden_0"], "3": params["output"]}
    found = loss_of(made, variables | {"params": {"layers": layered}}, rows, keys)
    np.testing.assert_allclose(found, told, rtol=1e-6)


@pytest.mark.slow
def test_classes_and_both_passes_are_mixed_alike(key):
    """A whole run, with noise on the weights and R-Drop, and early stopping."""
    x, y = ROWS[:, 0, :, 0], np.arange(12) % 3
    data = jn.Data(train=(x, y), validation=(x, y))
    parts = {
        "weight_noise": partial(jn.tree_add_gaussian_noise, stddev=0.1),
        "consistency": 0.5,
        "patience": 2,
    }

    def recipe(model, **noise):
        classes, sgd = jn.losses.softmax_cross_entropy, optax.sgd(0.1)
        return jn.Recipe(model, classes, sgd, **parts, **noise)

    def by_layers(alpha):
        return recipe(jn.MLP((4, 4), 3, hidden_noise=jn.Mixup(alpha)))

    def told(alpha):
        noise = {"batch_noise": partial(jn.mixup, alpha=alpha)}
        return recipe(jn.MLP((4, 4), 3), batch_sites=("hidden_0", "hidden_1"), **noise)

    a, b = (
        train(make, key, 0.7, data, epochs=4, batch_size=5)
        for make in (by_layers, told)
    )
    assert np.isfinite(a.metrics["train_loss"])
    for left, right in zip(*map(jax.tree.leaves, (a, b)), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_what_is_off_is_not_mixed():
    model, off = jn.MLP((4,), 2, hidden_noise=jn.Mixup(0.7)), jn.Mixup(0.7, train=False)
    variables = model.init(jax.random.key(0), ROWS, train=False)
    clean = model.apply(variables, ROWS, train=False)
    np.testing.assert_array_equal(jn.strip_noise(model).apply(variables, ROWS), clean)
    np.testing.assert_array_equal(off.apply({}, ROWS), ROWS)
    assert jn.nnx.Mixup(0.7, deterministic=True)(TARGETS) is TARGETS


def test_described_without_targets():
    model = jn.MLP((4,), 2, hidden_noise=jn.Mixup(0.7))
    variables = model.init(jax.random.key(0), ROWS, train=False)
    inside = nnx.Sequential(nnx.Linear(2, 4, rngs=nnx.Rngs(0)), jn.nnx.Mixup(0.7))
    for given in ((model, variables, ROWS), (inside, None, jnp.asarray(TARGETS))):
        (row,) = jn.describe(*given, jax.random.key(1)).to_dict("records")
        assert (row["noise"], row["strength"], row["fired"]) == ("Mixup", 0.7, True)
        assert row["noise_sd"] > 0


def test_what_the_mask_leaves_out_is_not_mixed(key):
    """A gap stays as it is, and reaches nothing else."""
    x = np.array([[[1.0], [2.0]], [[3.0], [np.nan]]], np.float32)

    class Net(nn.Module):
        cell: tuple[int, int]

        @nn.compact
        def __call__(self, x, train):
            there = ~jnp.isnan(x[..., 0])
            out = jn.Mixup(0.7)(x, train, mask=there)[..., 0]
            out = jnp.where(jnp.isnan(out), 7.0, out)
            return jnp.zeros_like(out).at[self.cell].set(out[self.cell])

    @jax.jit
    @jax.vmap
    def squares(key):
        rows, keys = (x, jnp.zeros((2, 2))), Keys.of_run(key, 0)
        return [
            4 * loss_of(Net(cell), {"params": {}}, rows, keys)
            for cell in ((1, 1), (0, 1), (0, 0))
        ]

    gap, beside, mixed = map(np.asarray, squares(jax.random.split(key, 20)))
    np.testing.assert_allclose(gap, 49.0)
    assert np.isfinite(beside).all()
    assert np.ptp(mixed) > 0.1


def test_rows_and_targets_of_any_type_have_one_share():
    x, key = np.eye(3, dtype=np.float32), jax.random.key(3)
    with jax.enable_x64(True):
        rows, targets = jn.mixup(key, x, x.astype(np.float64), 1.0)
        assert targets.dtype == np.float64
        again, _ = jn.mixup(key, x.astype(np.float64), x, 1.0)
        np.testing.assert_allclose(rows, targets, rtol=1e-6)
        np.testing.assert_allclose(rows, again, rtol=1e-6)
    np.testing.assert_allclose(rows, jn.mixup(key, x, x, 1.0)[0], rtol=1e-6)


class Twice(nn.Module):
    """One layer at two places."""

    @nn.compact
    def __call__(self, x, train):
        layer = jn.Mixup(0.7)
        return layer(layer(x, train), train)


class Turned(nn.Module):
    """Rows that are not the first axis."""

    @nn.compact
    def __call__(self, x, train):
        return jn.Mixup(0.7)(x.T, train).T


class Switched(nn.Module):
    """Noise by a switch that is not known while it is traced."""

    @nn.compact
    def __call__(self, x, train):
        return jn.Mixup(0.7)(x, jnp.asarray(train) & (x.sum() > 0))


class Looped(nn.Module):
    """A layer at every step of a scan."""

    @nn.compact
    def __call__(self, x, train):
        scan = partial(nn.scan, split_rngs={"noise": True, "params": False})
        step = scan(lambda layer, x, _: (layer(x, train), None), length=3)
        return step(jn.Mixup(0.7), x, None)[0]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Twice, "must be called once in a pass"),
        (Looped, "must be called once in a pass"),
        (
            Turned,
            r"must get the rows of the batch first, 12 of them, got shape \(2, 12\)",
        ),
        (Switched, "train must be True or False while it is traced"),
    ],
)
def test_layers_whose_targets_would_be_others(net, message, key):
    rows = jnp.asarray(TARGETS), TARGETS
    with pytest.raises(ValueError, match=message):
        loss_of(net(), {"params": {}}, rows, Keys.of_run(key, 0))


@pytest.mark.bad_input
def test_strengths_that_come_into_a_transform(key):
    """Outside of it, where the targets are, they are not known."""

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.mixup = jn.nnx.Mixup(0.7)

        def __call__(self, x):
            return nnx.remat(lambda layer, x: layer(x))(self.mixup, x)

    made = jn.nnx.model(Net)
    variables, rows = made.init(key, TARGETS), (jnp.asarray(TARGETS), TARGETS)
    with pytest.raises(ValueError, match="alpha of Mixup layers must be a number"):
        loss_of(made, variables, rows, Keys.of_run(key, 0))


@pytest.mark.bad_input
def test_layers_where_nobody_mixes_the_targets(key):
    model = jn.MLP((4,), 2, hidden_noise=jn.Mixup(0.7))
    variables = model.init(key, ROWS, train=False)
    message = (
        "Mixup 'hidden_noise_0' mixes rows with their targets, .* of a recipe alone"
    )
    with pytest.raises(ValueError, match=message):
        model.apply(variables, ROWS, train=True, rngs={"noise": key})
    with pytest.raises(ValueError, match="Mixup mixes rows"):
        jn.nnx.Mixup(0.7)(TARGETS)
    noise = partial(jn.mixup, alpha=1.0)
    with pytest.raises(
        ValueError, match="batch_noise must be None where .* Mixup layers"
    ):
        loss_of(
            model, variables, (ROWS, TARGETS), Keys.of_run(key, 0), batch_noise=noise
        )
    for make in (jn.Mixup, jn.nnx.Mixup):
        with pytest.raises(ValueError, match=r"alpha must be .* got -1"):
            make(-1.0)
        with pytest.raises(TypeError, match="alpha must be"):
            make("much")
        with pytest.raises((TypeError, ValueError), match="alpha must be"):
            make(np.ones(2))
