"""Keras models as recipes: keys, state, what ``compile`` was given, and bad input."""

import os
import pickle
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import jaxnoise as jn
from jaxnoise.noise.keras import seeds_of

L = keras.layers
KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = (X.sum(1) > 0).astype("float32")  # of shape (rows,), as scikit-learn's are
DATA = jn.Data(train=(X, Y), test=(X, Y))


def compiled(*layers, shape=(3,), **given):
    model = keras.Sequential([keras.Input(shape), *layers])
    usual = {"optimizer": "adam", "loss": "binary_crossentropy"}
    model.compile(**usual | given)
    return model


def build(stddev=0.0, **given):
    noise = jn.keras.GaussianNoise(stddev)
    return compiled(L.Dense(4), noise, L.Dense(1, activation="sigmoid"), **given)


def test_recipes_travel_and_share_programs():
    recipe = jn.keras.recipe(build)
    assert recipe == jn.keras.recipe(build) == pickle.loads(pickle.dumps(recipe))
    assert hash(recipe) == hash(jn.keras.recipe(build))


def noisy(model, x, key=KEY, train=True):
    network = jn.keras.model(model)
    variables = network.init(jax.random.key(7), x)
    return network.apply(variables, x, train=train, key=key if train else None)[0]


@pytest.mark.slow
def test_forward_passes_are_keras_own():
    """Also of what they carry, here batch statistics."""
    x = np.abs(X).astype("float32").reshape(4, 6, 1)
    x[:, 4:] = 0

    def of_series():
        return compiled(
            L.BatchNormalization(),
            L.Bidirectional(L.LSTM(3)),
            shape=(6, 1),
        )

    network, fresh = jn.keras.model(of_series), of_series()
    variables = network.init(KEY, x)
    jn.keras.load(fresh, variables)
    clean, same = network.apply(variables, x, train=False)
    assert same is variables
    np.testing.assert_allclose(clean, fresh(x), atol=1e-6)
    outputs, carried = network.apply(variables, x, train=True, key=KEY)
    np.testing.assert_allclose(outputs, fresh(x, training=True), atol=1e-6)
    names = [v.path for v in fresh.non_trainable_weights]
    assert len(names) == len(carried["state"]) == 2  # mean and variance
    for variable, ours in zip(
        fresh.non_trainable_weights, carried["state"], strict=True
    ):
        np.testing.assert_allclose(ours, variable.value, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: L.Conv2D(4, 3, strides=2, padding="same"),
        lambda: L.Conv2D(4, (2, 3), dilation_rate=(2, 1)),
        lambda: L.Conv2D(4, 3, groups=2),
        lambda: L.MaxPooling2D((2, 3)),
        lambda: L.MaxPooling2D(3, strides=1),
        lambda: L.MaxPooling2D(3, padding="same"),
        lambda: L.Conv2D(4, 2, data_format="channels_first"),
        lambda: L.MaxPooling2D(2, data_format="channels_first"),
    ],
)
def test_convolutions_and_poolings_are_keras_own(layer):
    """In value and gradient, also where ours take their place."""
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype("float32")
    network, fresh = jn.keras.model(lambda: keras.Sequential([layer()])), layer()
    variables = network.init(KEY, x)
    fresh.build(x.shape)

    def ours(params, x):
        given = variables | {"params": params}
        return jnp.square(network.apply(given, x, train=True, key=KEY)[0]).sum()

    def theirs(params, x):
        return jnp.square(fresh.stateless_call(params, [], x)[0]).sum()

    for one, other in zip(
        *(
            jax.tree.leaves(
                jax.jit(jax.value_and_grad(f, (0, 1)))(variables["params"], x)
            )
            for f in (ours, theirs)
        ),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_weights_are_those_of_the_initializers():
    """Drawn from the key, whatever their own seeds; as Keras' are distributed."""
    start = keras.initializers.HeNormal(seed=1)
    network = jn.keras.model(
        lambda: keras.Sequential([L.Dense(300, "relu", True, start)])
    )
    x = np.ones((2, 50), np.float32)
    first, second = (network.init(jax.random.key(i), x)["params"] for i in (0, 1))
    assert not np.any(first[0] == second[0])
    again = network.init(jax.random.key(0), x)["params"]
    assert np.array_equal(first[0], again[0])
    kernel = np.asarray(first[0])
    scale = (2 / 50) ** 0.5
    n = kernel.size
    assert abs(kernel.mean()) < 5 * scale / n**0.5
    assert abs(kernel.std() / scale - 1) < 5 / n**0.5  # lighter tails than a normal's
    assert not np.any(first[1])
    for i in range(3):  # placements of one seed share them
        layers = [jn.keras.GaussianNoise(0.1)] * i
        other = jn.keras.model(
            lambda layers=layers: keras.Sequential(
                [*layers, L.Dense(300, "relu", True, start)]
            )
        )
        assert np.array_equal(other.init(jax.random.key(0), x)["params"][0], kernel)


RANDOM = {  # layers that draw
    "GaussianNoise": lambda: [L.GaussianNoise(0.5)],
    "ours": lambda: [jn.keras.GaussianNoise(0.5)],
    "Dropout": lambda: [L.Dropout(0.5, seed=3)],
    "augmentation": lambda: [
        L.Reshape((4, 2, 1)),
        L.RandomBrightness(0.5, (-1.0, 1.0)),
        L.Flatten(),
    ],
    "recurrent dropout": lambda: [
        L.Reshape((4, 2)),
        L.LSTM(8, dropout=0.3, recurrent_dropout=0.3),
    ],
}


@pytest.mark.parametrize("name", RANDOM)
def test_draws_are_of_the_key(name):
    x = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")

    def fresh():
        return compiled(L.Dense(8), *RANDOM[name](), shape=(8,))

    first, again = noisy(fresh, x), noisy(fresh, x)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, noisy(fresh, x, jax.random.key(1)))
    clean = noisy(fresh, x, train=False)
    assert np.array_equal(clean, noisy(fresh, x, train=False))
    assert not np.array_equal(first, clean)


def test_noise_depends_on_its_place_alone():
    """Noise in one place is the same with and without noise in another."""

    def hidden(*before):
        return compiled(*before, L.Dense(4), jn.keras.GaussianNoise(0.5), L.Dense(1))

    alone = noisy(hidden, X)
    both = noisy(lambda: hidden(jn.keras.GaussianNoise(0.0)), X)
    of_keras = noisy(lambda: hidden(L.GaussianNoise(1e-9)), X)
    assert np.array_equal(alone, both)
    np.testing.assert_allclose(alone, of_keras, atol=1e-6)


def test_places_of_one_shape_have_draws_of_their_own():
    """Weights, and seeds, also of two layers in a row."""

    def deep():
        noise = [jn.keras.GaussianNoise(0.1) for _ in range(4)]
        return compiled(*noise[:2], L.Dense(3), noise[2], L.Dense(3), noise[3])

    first, _, second, _ = jn.keras.model(deep).init(KEY, X)["params"]
    assert not np.any(first == second)
    seeds = [tuple(words.tolist()) for _, words in seeds_of(deep(), KEY)]
    assert len({*seeds}) == 4


@pytest.mark.slow
def test_a_sweep_of_a_compiled_model():
    """Traced strengths, metrics of rows and of sets, and back to Keras."""
    metrics = ["accuracy", keras.metrics.AUC()]
    traces = []

    def counted(stddev):
        traces.append(stddev)
        return build(stddev, metrics=metrics)

    result = jn.sweep(
        {"none": jn.keras.recipe(lambda: build(metrics=metrics)),
         "hidden": jn.keras.recipe(counted)},
        strengths={"hidden": [0.0, 3.0, 5.0]},
        data=DATA,
        seeds=2,
        epochs=3,
        batch_size=3,
        keep_params=True,
        curves=(),
    )  # fmt: skip
    assert len(traces) == 2  # one program for all: the model, and its fresh weights
    runs = result.runs
    assert runs["finite"].all()
    losses = runs.pivot(
        index="seed", columns=["placement", "strength"], values="test_loss"
    )
    np.testing.assert_allclose(losses["none"][0.0], losses["hidden"][0.0], atol=1e-6)
    assert losses.nunique(axis=1).eq(3).all()
    for row in (0, 5):
        model = jn.keras.load(build(metrics=metrics), result.variables[row])
        loss, accuracy, auc = model.evaluate(X, Y, verbose=0)
        ours = runs.loc[row, ["test_loss", "test_accuracy", "test_auc"]]
        np.testing.assert_allclose(ours.astype(float), [loss, accuracy, auc], atol=1e-5)


@pytest.mark.slow
def test_regularisers_and_masks_count_as_in_fit():
    """The descent is that of fit with all that layers add to the loss."""
    x = np.abs(X[:, :, None])
    x[:4, 2:] = 0
    y = x**2

    def of_series():
        dense = L.Dense(1, kernel_regularizer="l2", activity_regularizer="l1")
        layers = [L.Masking(), L.SimpleRNN(3, return_sequences=True), dense]
        sgd = keras.optimizers.SGD(0.1)
        return compiled(*layers, shape=(3, 1), loss="mse", optimizer=sgd)

    made = jn.keras.recipe(of_series)(0.0)
    variables = made.model.init(KEY, x)
    fitted = jn.keras.load(of_series(), variables)
    fitted.fit(x, y, batch_size=8, epochs=1, verbose=0, shuffle=False)

    def loss(params):
        outputs, _ = made.model.apply(
            {**variables, "params": params}, x, train=True, key=KEY
        )
        return made.loss(outputs, y).mean()

    params = variables["params"]
    state = made.optimizer.init(params)
    updates, _ = made.optimizer.update(jax.grad(loss)(params), state, params)
    for ours, theirs in zip(
        optax.apply_updates(params, updates), fitted.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(ours, theirs.value, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Nadam", "ScheduleFreeAdamW", "Adafactor", "Lion"])
def test_optimizers_are_keras_own(name):
    """Two steps of each, such as those that copy weights or keep more than zeros."""
    network = jn.keras.model(build)
    variables = network.init(KEY, X)

    def with_optimizer():
        return build(optimizer=getattr(keras.optimizers, name)(0.1))

    fitted = jn.keras.load(with_optimizer(), variables)
    fitted.fit(X, Y, batch_size=8, epochs=2, verbose=0, shuffle=False)

    def recipe(strength):
        made = jn.keras.recipe(with_optimizer)(strength)
        made.model.init = lambda key, x: variables
        return made

    train = jn.make_train(recipe, epochs=2, batch_size=8)
    result = jax.jit(train)(KEY, 0.0, DATA)
    for ours, theirs in zip(result.params, fitted.trainable_variables, strict=True):
        np.testing.assert_allclose(ours, theirs.value, atol=1e-5)


class Stateful(L.Layer):
    def __init__(self, change, **others):
        super().__init__(**others)
        self.change, self.seen, self.kept = change, [], {}

    def call(self, x):
        self.change(self)
        return x


def stateful(change):
    return compiled(Stateful(change, name="mine"), L.Dense(1))


class OwnStep(keras.Sequential):
    def train_step(self, state, data):
        return super().train_step(state, data)


def own_step():
    model = OwnStep([L.Dense(1)])
    model.compile("adam", "mse")
    return model


sizes = iter(range(1, 100))
shared = keras.optimizers.Adam()
shared.build(keras.Sequential([keras.Input((3,)), L.Dense(1)]).trainable_variables)
BAD = {
    "a model": (keras.Sequential([L.Dense(1)]), TypeError, "that returns a Keras"),
    "an array": (lambda: X, TypeError, "build must return a Keras model, got an array"),
    "two arguments": (lambda a, b: None, TypeError, "cannot be called so"),
    "not compiled": (
        lambda: keras.Sequential([L.Dense(1)]), ValueError,
        r"must return a compiled model: call model.compile",
    ),
    "a layer of Keras": (
        lambda s: compiled(L.GaussianNoise(s)), TypeError,
        "Keras' GaussianNoise a strength that is .* use jn.keras.GaussianNoise",
    ),
    "a spatial dropout": (
        lambda s: compiled(L.SpatialDropout1D(s), shape=(4, 3)), TypeError,
        r"jn.keras.Dropout\(rate, noise_shape=\(None, 1, None\)\)",
    ),
    "a weight decay": (
        lambda s: compiled(L.Dense(1, kernel_regularizer=keras.regularizers.L2(s))),
        TypeError, r"Keras' L2 a strength .* lambda weights: strength \*",
    ),
    "a learning rate": (
        lambda s: build(optimizer=keras.optimizers.SGD(s)), TypeError,
        "Keras' SGD a strength .* learning_rate=lambda: strength",
    ),
    "averages": (
        lambda: build(optimizer=keras.optimizers.SGD(0.1, use_ema=True)), ValueError,
        "use_ema=True alone",
    ),
    "a choice": (
        lambda s: build(s) if s else build(), TypeError, "a placement of its own",
    ),
    "other sizes": (
        lambda: compiled(L.Dense(next(sizes))), ValueError, "same architecture each",
    ),
    **{f"Python state, {name}": (
        partial(stateful, change), ValueError,
        f"layer 'mine' changes its attribute '{name}' .* self.add_weight",
    ) for name, change in {
        "calls": lambda layer: setattr(layer, "calls", object()),
        "_hidden": lambda layer: setattr(layer, "_hidden", object()),
        "seen": lambda layer: layer.seen.append(1),
        "kept": lambda layer: layer.kept.update({"a": object()}),
    }.items()},
    "own step": (own_step, ValueError, "Keras' train_step, got that of OwnStep"),
    "weights of losses": (
        lambda: build(loss_weights=[0.5]), ValueError, "without loss_weights",
    ),
    "a sum": (
        lambda: build(loss=keras.losses.MeanSquaredError(reduction="sum")), ValueError,
        "averaged over rows",
    ),
    "an optimizer of another": (
        lambda: build(optimizer=shared), ValueError, "must make its optimizer itself",
    ),
    "no loss": (lambda: build(loss=None), ValueError, "with one loss"),
}  # fmt: skip


@pytest.mark.bad_input
@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    made, error, message = BAD[name]
    with pytest.raises(error, match=f"(?s){message}"):
        train = jn.make_train(jn.keras.recipe(made), epochs=1, batch_size=8)
        jax.make_jaxpr(partial(train, KEY))(0.1, DATA)


@pytest.mark.bad_input
def test_bad_variables():
    with pytest.raises(TypeError, match="model must be a Keras model"):
        jn.keras.load(jn.keras.model(build), {})
    with pytest.raises(TypeError, match="keep_params=True, got None"):
        jn.keras.load(build(), None)
    with pytest.raises(ValueError, match="must have its weights"):
        jn.keras.load(keras.Sequential([L.Dense(1)]), {"params": [], "state": []})
    with pytest.raises(ValueError, match=r"whose params have the shapes \[\(3, 4\)"):
        jn.keras.load(build(), {"params": [jnp.ones(2)], "state": []})


one_model = build()


def test_weights_that_all_seeds_share_are_told_of():
    with pytest.warns(UserWarning, match="all seeds share them"):
        jn.keras.model(lambda: one_model).init(KEY, X)


def by_numpy(shape, dtype=None):
    return np.random.normal(size=shape)  # noqa: NPY002


def by_value(shape, dtype=None):
    drawn = np.asarray(keras.random.normal(shape))
    return drawn / np.linalg.norm(drawn)


@pytest.mark.parametrize(
    "start, shape",  # of the inputs, known or not
    [
        (by_numpy, None),
        *(
            pytest.param(start, (3,), marks=pytest.mark.slow)
            for start in (by_numpy, by_value)
        ),
    ],
)
def test_initializers_that_cannot_be_traced_draw_on_the_host(start, shape):
    """Once a seed: placements and strengths share the weights, seeds do not."""

    def of_host(stddev):
        wait = [] if shape is None else [keras.Input(shape)]
        dense = L.Dense(4, kernel_initializer=start)
        noise = jn.keras.GaussianNoise(2 * stddev)
        last = L.Dense(1, kernel_initializer=start)
        model = keras.Sequential([*wait, dense, noise, last])
        model.compile("sgd", "mse")
        return model

    recipe = jn.keras.recipe(of_host)
    with pytest.warns(UserWarning, match="so that the host computes them"):
        runs = jn.sweep(
            {"none": recipe, "hidden": recipe},
            strengths={"hidden": [0.0, 3.0]},
            data=DATA, seeds=3, epochs=1, batch_size=8, curves=(),
        ).runs  # fmt: skip
    losses = runs.pivot(
        index="seed", columns=["placement", "strength"], values="test_loss"
    )
    np.testing.assert_allclose(losses["none"][0.0], losses["hidden"][0.0], atol=1e-6)
    assert losses.nunique().eq(3).all()
    train = jn.make_train(recipe, epochs=1, batch_size=8, curves=())
    with pytest.warns(UserWarning, match="so that the host computes them"):
        alone = jax.jit(train)(jax.random.key(1), 0.0, DATA).metrics["test_loss"]
    np.testing.assert_allclose(alone, losses["none"][0.0][1], rtol=1e-5)


@pytest.mark.slow
def test_a_store_tells_such_initializers_apart(tmp_path):
    def of(scale):
        def start(shape, dtype=None):
            return scale * np.random.normal(size=shape)  # noqa: NPY002

        return jn.keras.recipe(lambda: compiled(L.Dense(1, kernel_initializer=start)))

    def loss(scale):
        given = {"seeds": 1, "epochs": 1, "batch_size": 8, "store": tmp_path / "runs"}
        with pytest.warns(UserWarning, match="so that the host computes them"):
            result = jn.sweep({"none": of(scale)}, strengths={}, data=DATA, **given)
        return float(result.runs["test_loss"].iloc[0])

    first = loss(1.0)
    with pytest.raises(ValueError, match="of another recipe"):
        loss(9.0)
    assert loss(1.0) == first


def test_metrics_have_the_names_of_fit():
    given = ["mse", keras.metrics.MeanSquaredError(name="mse"), "mae"]
    made = build(loss="mse", metrics=given, weighted_metrics=["mae", "mae", "mape"])
    theirs = made.fit(X, Y, verbose=0).history
    recipe = jn.keras.recipe(
        lambda: build(
            loss="mse", metrics=given, weighted_metrics=["mae", "mae", "mape"]
        )
    )
    assert {*recipe(0.0).metrics, "loss"} == {*theirs}


@pytest.mark.bad_input
@pytest.mark.slow
def test_another_backend_is_told_of():
    code = "import jaxnoise as jn\ntry: jn.keras\nexcept ImportError as e: print(e)"
    given = os.environ | {"KERAS_BACKEND": "nothing"}
    told = subprocess.run(
        [sys.executable, "-c", code], env=given, capture_output=True, text=True
    )
    assert "set the environment variable KERAS_BACKEND=jax before" in told.stdout
