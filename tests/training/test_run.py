"""One run: what the engine promises of keys, rows, evaluation and failure."""

from dataclasses import replace
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import export

import jaxnoise as jn
from jaxnoise.training.keys import Keys


def recipe(noise=None, *, learning_rate=1e-2, **parts):
    return jn.Recipe(
        model=jn.MLP((8,), 1, hidden_noise=noise),
        loss=jn.losses.binary_cross_entropy,
        optimizer=optax.adam(learning_rate),
        metrics={"accuracy": jn.metrics.binary_accuracy},
        **parts,
    )


def none(_):
    return recipe()


def hidden(stddev):
    return recipe(jn.GaussianNoise(stddev))


@pytest.fixture(scope="module")
def sets():
    return jn.data.circles(population=2_500)


@pytest.fixture(scope="module")
def data(sets):
    """The train rows alone: what little is measured compiles quickly."""
    return jn.Data(train=sets.train)


@lru_cache
def program(make, **settings):
    return jax.jit(jn.make_train(make, **settings))


def train(make, key, strength, data, **settings):
    """One run, compiled once for each recipe and settings."""
    settings = {"epochs": 6, "batch_size": 30} | settings
    return program(make, **settings)(key, strength, data)


def assert_same_run(a, b, **tolerance):
    tolerance = tolerance or {"rtol": 1e-5, "atol": 1e-6}
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(left, right, **tolerance)


class OneWeightARow(nn.Module):
    """A linear model on one-hot rows: each row has a weight of its own."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(1, use_bias=False, kernel_init=nn.initializers.zeros)(x)


def row_recipe(_):
    return jn.Recipe(
        model=OneWeightARow(),
        loss=lambda outputs, targets: -outputs[:, 0],  # moves a weight by rate / batch
        optimizer=optax.sgd(1.0),
    )


# Keys


def test_same_key_same_run(data, key):
    a, b = (train(hidden, key, 0.3, data, batch_size=8) for _ in range(2))
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(left, right)
    other = train(hidden, jax.random.key(1), 0.3, data, batch_size=8)
    assert other.metrics["train_loss"] != a.metrics["train_loss"]


def test_strength_zero_is_the_run_without_noise(data, key):
    def everywhere(s):
        sites = ("input_noise", "hidden_noise", "activation_noise")
        model = jn.MLP((8,), 1, **{site: jn.GaussianNoise(s) for site in sites})
        plain = recipe()
        return jn.Recipe(model, plain.loss, plain.optimizer, plain.metrics)

    noisy = train(everywhere, key, 0.0, data)
    assert_same_run(noisy, train(none, key, 0.0, data))


def test_paired_runs_share_weights_and_order(key):
    """With one weight a row, those of the last, smaller batch give the order away."""
    data = jn.Data(train=(np.eye(7), np.zeros((7, 1))))

    def noisy(stddev):
        plain = row_recipe(stddev)
        return jn.Recipe(
            plain.model,
            plain.loss,
            plain.optimizer,
            label_noise=lambda key, y: jn.add_gaussian_noise(key, y, stddev),
        )

    def weights(make, seed):
        return train(
            make, jax.random.key(seed), 5.0, data, epochs=1, batch_size=3
        ).params["Dense_0"]["kernel"]

    np.testing.assert_array_equal(weights(row_recipe, 0), weights(noisy, 0))
    different = [int(weights(row_recipe, seed).argmax()) for seed in range(20)]
    assert len(set(different)) > 1


def test_unit_noise_is_shared_between_strengths(key):
    """A model that returns its noise: twice the strength, twice the same noise."""

    class NoiseAlone(nn.Module):
        stddev: float

        @nn.compact
        def __call__(self, x, train):
            scale = self.param("scale", nn.initializers.zeros, ())
            return jn.GaussianNoise(self.stddev)(0 * x, train=train) + 0 * scale

    def seen(stddev):
        return jn.Recipe(
            NoiseAlone(stddev),
            loss=lambda outputs, targets: outputs[:, 0],
            optimizer=Observe(),
        )

    data = jn.Data(train=(np.zeros((50, 1)), np.zeros((50, 1))))
    small, large = (
        train(seen, key, s, data, epochs=3).variables["params"]["scale"]
        for s in (0.5, 1.0)
    )
    assert small != 0
    np.testing.assert_allclose(large, 2 * small, rtol=1e-5)


class Observe(optax.GradientTransformationExtraArgs):
    """An optimiser that adds the loss to every parameter, to make it visible."""

    def __new__(cls):
        def update(updates, state, params=None, *, value, **extra):
            return jax.tree.map(lambda u: jnp.full_like(u, value), updates), state

        return super().__new__(cls, lambda params: (), update)


@pytest.mark.parametrize("shared", [False, True], ids=["two objects", "one object"])
def test_a_site_does_not_depend_on_other_sites(shared, data, key):
    """``hidden`` alone draws what ``both`` draws at the hidden site."""
    site_noise = []

    def record(name):
        def fn(key, x):
            noise = jax.random.normal(key, x.shape)
            jax.debug.callback(
                lambda n: site_noise.append((name, np.asarray(n))), noise
            )
            return x + 0.1 * noise

        return jn.Noise(fn)

    def run(**noise):
        site_noise.clear()
        model = jn.MLP((5, 5), 1, **noise)
        x = jnp.ones((3, 2))
        variables = model.init(jax.random.key(1), x, train=False)
        model.apply(variables, x, train=True, rngs={"noise": key})
        jax.effects_barrier()
        return [n for name, n in site_noise if name == "hidden" and n.shape[1] == 5]

    layer = record("hidden")
    alone = run(hidden_noise=layer)
    other = layer if shared else record("other")
    for more in (
        {"input_noise": other},
        {"input_noise": other, "activation_noise": record("other")},
    ):
        both = run(hidden_noise=layer, **more)
        assert len(both) == len(alone) == 2
        for left, right in zip(alone, both, strict=True):
            np.testing.assert_array_equal(left, right)
    assert not np.array_equal(*alone)


def test_hidden_equals_both_with_silent_inputs(data, key):
    def both(stddev):
        model = jn.MLP(
            (8,),
            1,
            input_noise=jn.GaussianNoise(0 * stddev),
            hidden_noise=jn.GaussianNoise(stddev),
        )
        return jn.Recipe(
            model,
            jn.losses.binary_cross_entropy,
            optax.adam(1e-2),
            {"accuracy": jn.metrics.binary_accuracy},
        )

    assert_same_run(train(hidden, key, 0.3, data), train(both, key, 0.3, data))


def test_splits_share_weights_and_order_alone(key):
    a, b = (Keys.of_run(key, split) for split in (0, 1))
    a, b = (keys._replace(batch=keys.batch()) for keys in (a, b))
    same = [
        bool((jax.random.key_data(x) == jax.random.key_data(y)).all())
        for x, y in zip(a, b, strict=True)
    ]
    assert dict(zip(Keys._fields, same, strict=True)) == {
        "init": True,
        "order": True,
        "noise": False,
        "weights": False,
        "labels": False,
        "gradients": False,
        "batch": False,
    }
    assert len({str(jax.random.key_data(k)) for k in (*a, *b)}) == 12


def test_no_key_is_used_twice(data, key):
    with jax.debug_key_reuse(True):
        train(hidden, key, 0.3, data, epochs=2)


# Rows


@pytest.mark.parametrize(
    ("rows", "batch_size", "moves"),
    [
        (7, 3, [1 / 3] * 6 + [1]),
        (7, 100, [1 / 7] * 7),
        (6, 2, [1 / 2] * 6),
    ],
)
def test_every_row_is_used_once_an_epoch(rows, batch_size, moves, key):
    data = jn.Data(train=(np.eye(rows), np.zeros((rows, 1))))
    result = train(row_recipe, key, 0.0, data, epochs=1, batch_size=batch_size)
    weights = result.params["Dense_0"]["kernel"].ravel()
    np.testing.assert_allclose(np.sort(weights), np.sort(moves), rtol=1e-6)


def test_rows_are_shuffled_anew_every_epoch(key):
    data = jn.Data(train=(np.eye(4), np.zeros((4, 1))))
    result = train(row_recipe, key, 0.0, data, epochs=40, batch_size=3)
    weights = np.asarray(result.params["Dense_0"]["kernel"]).ravel()
    last = (weights - 40 / 3) / (2 / 3)  # times that a row was the last batch
    np.testing.assert_allclose(last.sum(), 40, rtol=1e-4)
    assert (last > 1).all()


def test_first_step_follows_the_formula(key):
    """One full-batch SGD step of a linear model, against NumPy."""
    x = np.asarray(jax.random.normal(jax.random.key(3), (9, 4)))
    y = np.asarray(jax.random.normal(jax.random.key(4), (9, 1)))

    def make(rate):
        return jn.Recipe(jn.MLP((), 1), jn.losses.squared_error, optax.sgd(rate))

    def weights(rate):
        data = jn.Data(train=(x, y))
        return train(make, key, rate, data, epochs=1, batch_size=9).params["output"]

    before, after = weights(0.0), weights(0.1)
    error = x @ before["kernel"] + before["bias"] - y
    np.testing.assert_allclose(
        after["kernel"], before["kernel"] - 0.1 * 2 * x.T @ error / 9, rtol=1e-4
    )
    np.testing.assert_allclose(after["bias"], -0.1 * 2 * error.mean(0), rtol=1e-4)


# Evaluation


def test_evaluation_is_clean_and_over_all_rows(sets, key):
    """Metrics are those of the clean pass, in blocks or not (2,500 rows take three)."""
    result = train(hidden, key, 5.0, sets)
    model = recipe().model
    for name, (x, y) in sets.items():
        logits = model.apply(result.variables, x, train=False)
        np.testing.assert_allclose(
            result.metrics[f"{name}_accuracy"],
            ((logits > 0) == (y > 0.5)).mean(),
            rtol=1e-5,
        )
        np.testing.assert_allclose(
            result.metrics[f"{name}_loss"],
            optax.sigmoid_binary_cross_entropy(logits, y).mean(),
            rtol=1e-5,
        )
    for name, curve in result.curves.items():
        assert curve[-1] == result.metrics[name]


def test_names_and_curves(sets, key):
    result = train(hidden, key, 0.1, sets)
    names = ["accuracy", "loss"]
    assert list(result.metrics) == [
        f"{s}_{m}" for s in ("train", "test", "population") for m in names
    ]
    assert list(result.curves) == [f"{s}_{m}" for s in ("train", "test") for m in names]


def test_curves_are_of_the_sets_that_are_asked_for(sets, data, key):
    def curves(data, **settings):
        run = jn.make_train(hidden, epochs=2, batch_size=30, **settings)
        return list(jax.eval_shape(run, key, 0.1, data).curves)

    only = curves(sets, curves=("population",))
    assert only == ["population_accuracy", "population_loss"]
    assert curves(data) == ["train_accuracy", "train_loss"]


@pytest.mark.parametrize("every", [4, 7])
def test_metrics_every(every, sets, key):
    """Fewer measurements, the same training, epochs left over included."""
    data = jn.Data(train=sets.train, test=sets.test)
    full = train(hidden, key, 0.1, data)
    sparse = train(hidden, key, 0.1, data, metrics_every=every)
    for name, curve in sparse.curves.items():
        assert curve.shape == (6 // every,)
        np.testing.assert_allclose(
            curve, full.curves[name][every - 1 :: every], rtol=1e-5
        )
    assert_same_run(sparse._replace(curves={}), full._replace(curves={}))
    unmeasured = train(hidden, key, 0.1, data, curves=(), metrics_every=2)
    assert_same_run(unmeasured._replace(curves={}), full._replace(curves={}))


def test_best_epoch_on_validation(sets, key):
    def overfit(_):
        return recipe(learning_rate=0.1)

    few = sets.test[0][:20], sets.test[1][:20]
    sets = jn.Data(train=sets.train, test=sets.test, validation=few)
    curves = ("train", "test", "validation")
    result = train(overfit, key, 0.0, sets, epochs=30, curves=curves)
    best = int(result.metrics["best_epoch"])
    assert best == 1 + int(result.curves["validation_loss"].argmin())
    assert 1 < best < 30
    for name, curve in result.curves.items():
        np.testing.assert_allclose(
            result.metrics[f"best_{name}"], curve[best - 1], rtol=1e-6
        )
    without = train(overfit, key, 0.0, sets, epochs=30)
    assert "validation_loss" not in without.curves
    assert without.metrics["best_epoch"] == best

    def patient(_):
        return replace(overfit(_), patience=3)

    stopped = train(patient, key, 0.0, sets, epochs=30, curves=curves)
    losses = np.asarray(result.curves["validation_loss"])
    ages = [e - 1 - losses[:e].argmin() for e in range(1, 31)]
    last = 1 + ages.index(3)
    assert last < 30
    for name, curve in stopped.curves.items():
        np.testing.assert_allclose(curve[:last], result.curves[name][:last], rtol=1e-4)
        assert np.isnan(curve[last:]).all()
    best = int(stopped.metrics["best_epoch"])
    assert best == 1 + losses[:last].argmin() <= last - 3
    for name, curve in stopped.curves.items():
        for metric in (name, f"best_{name}"):
            np.testing.assert_allclose(
                stopped.metrics[metric], curve[best - 1], rtol=1e-5
            )
    with pytest.raises(ValueError, match="patience must have a set named 'validation'"):
        train(patient, key, 0.0, jn.Data(train=sets.train), epochs=3, curves=())


# What models bring


class BatchNormNet(nn.Module):
    stddev: float = 0.0

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(8)(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        x = jn.GaussianNoise(self.stddev)(x, train=train)
        x = nn.Dropout(0.5, deterministic=not train)(nn.relu(x))
        return nn.Dense(1)(x)


def net(stddev):
    return jn.Recipe(
        BatchNormNet(stddev), jn.losses.binary_cross_entropy, optax.adam(1e-2)
    )


def test_batch_statistics_are_carried(key, data):
    """They move a tenth of the way from 0 and 1 to the batch's at every step."""

    def still(_):
        return jn.Recipe(BatchNormNet(), jn.losses.binary_cross_entropy, optax.sgd(0.0))

    result = train(still, key, 0.0, data, epochs=5)
    dense, moved = result.params["Dense_0"], 1 - 0.9**5
    x = data.train[0] @ dense["kernel"] + dense["bias"]
    statistics = result.variables["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(
        statistics["mean"], moved * x.mean(0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        statistics["var"], 1 - moved * (1 - x.var(0)), rtol=1e-4, atol=1e-6
    )


@pytest.mark.slow
def test_batch_statistics_and_dropout_with_noise(key, data):
    result = train(net, key, 0.1, data, epochs=60)
    assert result.finite
    assert result.curves["train_loss"][-1] < result.curves["train_loss"][0]
    with_dropout = train(net, key, 0.0, data, epochs=60).metrics["train_loss"]
    assert result.metrics["train_loss"] != with_dropout

    class NoDropout(BatchNormNet):
        @nn.compact
        def __call__(self, x, train):
            x = nn.Dense(8)(x)
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
            return nn.Dense(1)(nn.relu(x))

    def without(_):
        return jn.Recipe(NoDropout(), jn.losses.binary_cross_entropy, optax.adam(1e-2))

    plain = train(without, key, 0.0, data, epochs=60).metrics["train_loss"]
    assert plain != with_dropout


class Protocol:
    """A model without Flax: values and a mask in, a masked mean's logits out."""

    def init(self, key, x):
        values, _ = x
        return {"params": {"w": jax.random.normal(key, (values.shape[-1], 1))}}

    def apply(self, variables, x, *, train, key):
        assert (key is None) == (not train)
        values, mask = x
        if train:
            values = jn.add_gaussian_noise(key, values, 0.1, mask=mask)
        mean = (values * mask[..., None]).sum(1) / mask.sum(1)[:, None]
        return mean @ variables["params"]["w"], variables


def test_protocol_model_on_pytrees(key):
    values = np.asarray(jax.random.normal(jax.random.key(5), (20, 6, 3)))
    mask = np.arange(6) < (1 + np.arange(20) % 6)[:, None]
    y = (values[:, 0, :1] > 0).astype(float)
    data = jn.Data(train=((values, mask), y))

    def make(_):
        return jn.Recipe(Protocol(), jn.losses.binary_cross_entropy, optax.adam(0.1))

    result = train(make, key, 0.0, data, epochs=50)
    assert result.finite
    assert result.curves["train_loss"][-1] < result.curves["train_loss"][0]


def test_integer_labels(key):
    x = np.eye(3).repeat(5, axis=0)
    data = jn.Data(train=(x, np.arange(3).repeat(5)))

    def make(_):
        return jn.Recipe(
            jn.MLP((8,), 3),
            jn.losses.softmax_cross_entropy,
            optax.adam(0.1),
            {"accuracy": jn.metrics.accuracy},
        )

    assert train(make, key, 0.0, data, epochs=50).metrics["train_accuracy"] == 1


# Noise of the training step


def test_weight_noise_is_fresh_and_leaves_stored_weights_clean(key):
    """SGD on w²/2 with the gradient at w + e: w₁ = w₀ - r (w₀ + e), e from the key of
    the step, of which an epoch has two."""
    data = jn.Data(train=(np.ones((2, 1)), np.zeros((2, 1))))

    def make(stddev):
        def noise(key, params):
            return jax.tree.map(
                lambda leaf: jn.add_gaussian_noise(key, leaf, stddev), params
            )

        return jn.Recipe(
            OneWeightARow(),
            lambda outputs, targets: outputs[:, 0] ** 2 / 2,
            optax.sgd(0.5),
            weight_noise=noise,
        )

    result = train(make, key, 1.0, data, epochs=2, batch_size=1)
    w = 0.0
    for step in range(4):
        weights = jax.random.fold_in(Keys.of_run(key, 0).weights, step)
        e = jn.add_gaussian_noise(weights, jnp.zeros((1, 1)), 1.0)
        w = w - 0.5 * (w + float(e[0, 0]))
    np.testing.assert_allclose(result.params["Dense_0"]["kernel"], [[w]], rtol=1e-5)


def test_label_noise_in_training_alone(key, data):
    def flip(_):
        return recipe(label_noise=lambda key, y: 1 - y, learning_rate=0.05)

    result = train(flip, key, 0.0, data, epochs=400, batch_size=30)
    assert result.metrics["train_accuracy"] < 0.1


def test_optimizer_gets_a_fresh_key_inside_a_chain(key):
    data = jn.Data(train=(np.eye(2), np.zeros((2, 1))))

    def update(updates, state, params=None, *, key, **extra):
        leaves, tree = jax.tree.flatten(updates)
        keys = jax.random.split(key, len(leaves))
        noisy = [
            jn.add_gaussian_noise(k, u, 1.0) for k, u in zip(keys, leaves, strict=True)
        ]
        return jax.tree.unflatten(tree, noisy), state

    noise = optax.GradientTransformationExtraArgs(lambda params: (), update)

    def make(_):
        return jn.Recipe(
            OneWeightARow(),
            lambda outputs, targets: 0 * outputs[:, 0],
            optax.chain(noise, optax.sgd(1.0)),
        )

    def weights(seed, epochs):
        result = train(make, jax.random.key(seed), 0.0, data, epochs=epochs)
        return np.asarray(result.params["Dense_0"]["kernel"]).ravel()

    first, second = weights(0, 1), weights(0, 2) - weights(0, 1)
    assert len(np.unique([*first, *second, *weights(1, 1)])) == 6


def test_penalty_is_added_to_the_loss(key):
    """A quadratic penalty alone, under SGD: w shrinks by (1 - 2 r c) a step."""
    data = jn.Data(train=(np.eye(2), np.zeros((2, 1))))

    def make(strength):
        def penalty(apply, params, x):
            assert apply(params, x).shape == (2, 1)
            return strength * sum((leaf**2).sum() for leaf in jax.tree.leaves(params))

        return jn.Recipe(
            jn.MLP((), 1),
            lambda outputs, targets: 0 * outputs[:, 0],
            optax.sgd(0.1),
            penalty=penalty,
        )

    still = train(make, key, 0.0, data).params["output"]["kernel"]
    shrunk = train(make, key, 2.0, data).params["output"]["kernel"]
    np.testing.assert_allclose(shrunk, still * (1 - 2 * 0.1 * 2.0) ** 6, rtol=1e-5)


# Compiled programs


def test_lowers_for_cpu_cuda_and_tpu(data):
    """The training program of a noisy run with batch statistics, for each platform."""
    run = jn.make_train(net, epochs=3, batch_size=8)
    arguments = jax.eval_shape(
        lambda: (jax.random.key(0), jnp.float32(0), jax.tree.map(jnp.asarray, data))
    )
    exported = export.export(jax.jit(run), platforms=["cpu", "cuda", "tpu"])(*arguments)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert "while" in exported.mlir_module()


def test_data_are_arguments_not_constants(data):
    run = jn.make_train(none, epochs=2, batch_size=8)
    jaxpr = jax.make_jaxpr(run)(jax.random.key(0), 0.0, data)
    assert all(np.size(constant) < 100 for constant in jaxpr.consts)


def test_half_precision_losses_are_summed_wide(key):
    """1,000 losses of 100 sum to more than float16 holds."""

    class Zero(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return nn.Dense(1, kernel_init=nn.initializers.zeros, dtype="float16")(x)

    def make(_):
        return jn.Recipe(Zero(), jn.losses.squared_error, optax.sgd(0.0))

    rows = np.ones((1000, 1), np.float16)
    result = train(make, key, 0.0, jn.Data(train=(rows, 10 * rows)), epochs=1)
    np.testing.assert_allclose(result.metrics["train_loss"], 100, rtol=1e-6)


@pytest.mark.slow
def test_vmap_and_map(data):
    """A map outside jit has the data as host arrays."""
    keys = jax.vmap(jax.random.key)(np.arange(3))
    run = jn.make_train(hidden, epochs=6, batch_size=30)
    mapped = jax.jit(jax.vmap(run, (0, None, None)))(keys, 0.1, data)
    one = train(hidden, keys[1], 0.1, data)
    assert_same_run(
        jax.tree.map(lambda leaf: leaf[1], mapped), one, rtol=1e-4, atol=1e-5
    )
    looped = jax.eval_shape(lambda: jax.lax.map(lambda key: run(key, 0.1, data), keys))
    assert jax.tree.map(jnp.shape, looped) == jax.tree.map(jnp.shape, mapped)


# Failure


def test_a_diverged_run_is_data(data, key):
    """Also where only the loss tells: its weights and scores are finite here."""

    def diverged(_):
        return recipe(penalty=lambda apply, params, x: jnp.inf)

    result = train(diverged, key, 0.0, data)
    assert not result.finite
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.params))
    assert all(np.isnan(value) for value in result.metrics.values())
    assert train(none, key, 0.0, data).finite


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be an int of at least 1, got 0"),
        ({"epochs": 2.5}, "epochs must be an int of at least 1, got 2.5"),
        ({"batch_size": -1}, "batch_size must be an int of at least 1, got -1"),
        ({"metrics_every": True}, "metrics_every must be an int of at least 1"),
        ({"curves": "train"}, "curves must be a sequence of set names, got 'train'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        jn.make_train(none, **{"epochs": 2, "batch_size": 8} | settings)


@pytest.mark.bad_input
def test_bad_calls(data, key):
    with pytest.raises(TypeError, match="recipe must be a function .* got a Recipe"):
        jn.make_train(recipe(), epochs=1, batch_size=1)
    with pytest.raises(TypeError, match="recipe must return a jn.Recipe, got None"):
        train(lambda _: None, key, 0.0, data)
    with pytest.raises(ValueError, match="curves must name sets .* got 'tset'"):
        train(none, key, 0.0, data, curves=("train", "tset"))
    with pytest.raises(TypeError, match="key must be a typed key"):
        train(none, jax.random.PRNGKey(0), 0.0, data)
    with pytest.raises(TypeError, match="threefry2x32 key, got one of rbg"):
        train(none, jax.random.key(0, impl="rbg"), 0.0, data)
    with pytest.raises(TypeError, match="data must be a jn.Data"):
        jn.make_train(none, epochs=1, batch_size=1)(key, 0.0, data.train)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.zeros(5), r"targets must have the shape of the outputs, \(5, 1\)"),
        (np.zeros((5, 2)), r"got float32 of shape \(5, 2\)"),
        (np.zeros(5, int), r"targets must have the shape .* got int32 of shape \(5,\)"),
    ],
)
def test_targets_that_would_broadcast(targets, message, key):
    with pytest.raises(ValueError, match=message):
        train(none, key, 0.0, jn.Data(train=(np.ones((5, 2)), targets)))


@pytest.mark.bad_input
@pytest.mark.parametrize("bad", [lambda o, t: (o - t).mean(), lambda o, t: o - t])
def test_losses_and_metrics_give_one_value_a_row(bad, data, key):
    def loss(_):
        return jn.Recipe(jn.MLP((), 1), bad, optax.sgd(0.1))

    def metric(_):
        return jn.Recipe(
            jn.MLP((), 1), jn.losses.squared_error, optax.sgd(0.1), {"odd": bad}
        )

    with pytest.raises(ValueError, match="^loss must give one value a row"):
        train(loss, key, 0.0, data)
    with pytest.raises(
        ValueError, match=r"^metrics\[\'odd\'\] must give one value a row"
    ):
        train(metric, key, 0.0, data)


def test_under_64_bit_types(key):
    """Data in float64 train in float64, with every loop's carry of one type."""
    with jax.enable_x64(True):
        data = jn.data.circles(population=10)
        sets = jn.Data(train=data.train, validation=data.test)
        assert sets.train[0].dtype == np.float64
        run = jn.make_train(hidden, epochs=3, batch_size=8)
        result = jax.eval_shape(run, key, 0.1, sets)
        assert result.metrics["train_loss"].dtype == np.float64


# Models that do not keep to the protocol


class Returns:
    """A linear model that returns what a test tells it to."""

    def __init__(self, init=None, apply=None):
        self._init, self._apply = init, apply

    def init(self, key, x):
        return {"params": {"w": jnp.ones((2, 1))}} if self._init is None else self._init

    def apply(self, variables, x, *, train, key):
        outputs = x @ variables["params"]["w"]
        return (outputs, variables) if self._apply is None else self._apply(outputs)


class Sows(nn.Module):
    collection: str

    @nn.compact
    def __call__(self, x, train):
        self.sow(self.collection, "mean", x.mean())
        return nn.Dense(1)(x)


def train_model(model, data, key):
    """Trace a run, without compiling it."""
    loss = jn.losses.binary_cross_entropy
    run = jn.make_train(
        lambda _: jn.Recipe(model, loss, optax.sgd(0.1)), epochs=2, batch_size=8
    )
    jax.eval_shape(run, key, 0.0, data)


def test_a_model_may_sow_intermediates(data, key):
    train_model(Sows("intermediates"), data, key)
    train_model(Returns(), data, key)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (Returns(init=[]), TypeError, "model.init must return variables, .* a list"),
        (Returns(init={"w": 1}), TypeError, "with the trained ones .* dict of 'w'"),
        (
            Returns(apply=lambda outputs: outputs),
            TypeError,
            r"return \(outputs, variables\), got an array of shape \(8, 1\)",
        ),
        (Returns(apply=lambda o: (o, {}, 0)), TypeError, r"got a tuple of 3\."),
        (
            Returns(apply=lambda o: (o, None)),
            TypeError,
            "variables as a dict of collections, got a NoneType",
        ),
        (
            Returns(apply=lambda o: (o, {"count": jnp.zeros(3)})),
            ValueError,
            r"model.apply must .* form of 'count': float32\[3\] instead of None",
        ),
        (
            Sows("losses"),
            ValueError,
            r"model.apply must .* of 'losses': .* \(A Linen module that sows: sow",
        ),
    ],
    ids=range(7),
)
def test_wrong_returns_of_a_model(model, error, message, data, key):
    with pytest.raises(error, match=message):
        train_model(model, data, key)
