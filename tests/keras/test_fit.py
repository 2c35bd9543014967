"""A recipe trains as ``fit`` does, from the same weights."""

import jax
import keras
import numpy as np
import pytest

import jaxnoise as jn
from jaxnoise.training.notices import check_convolutions

EPOCHS, L = 50, keras.layers
OPTIMIZERS = {
    "Adam": lambda: keras.optimizers.Adam(0.01),
    "SGD": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.003),
}
NETWORKS = {  # by their inputs' shape
    "dense": ((5,), lambda: [L.Dense(16), L.Activation("relu")]),
    "convolutional": (
        (6, 6, 1),
        lambda: [
            L.Conv2D(4, 3, activation="relu", padding="same"),
            L.MaxPooling2D(),
            L.Reshape((6, 6)),
            L.Conv1D(4, 3, strides=2, padding="causal"),
            L.Flatten(),
        ],
    ),
    "recurrent": ((6, 2), lambda: [L.GRU(4)]),
}
QUICK = [("dense", "Adam"), ("convolutional", "SGD"), ("recurrent", "RMSprop")]
CASES = [
    pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.slow])
    for case in [(n, o) for n in NETWORKS for o in OPTIMIZERS]
]


def data_like(shape, rows=20):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2 * rows, *shape)).astype("float32")
    y = (x.reshape(2 * rows, -1).mean(1) > 0).astype("float32")[:, None]
    return jn.Data(train=(x[:rows], y[:rows]), test=(x[rows:], y[rows:]))


@pytest.mark.parametrize("network, optimizer", CASES)
def test_losses_are_those_of_fit(network, optimizer):
    shape, layers = NETWORKS[network]
    data = data_like(shape)

    def build():
        model = keras.Sequential(
            [keras.Input(shape), *layers(), L.Dense(1, activation="sigmoid")]
        )
        model.compile(
            optimizer=OPTIMIZERS[optimizer](),
            loss="binary_crossentropy",
            metrics=["accuracy"],
        )
        return model

    fitted, model = build(), jn.keras.model(build)
    variables = model.init(jax.random.key(3), data.train[0])

    jn.keras.load(fitted, variables)
    history = fitted.fit(
        *data.train,
        validation_data=data.test,
        epochs=EPOCHS,
        batch_size=20,
        shuffle=False,
        verbose=0,
    ).history

    def recipe(strength):
        fresh = jn.keras.recipe(build)(strength)
        fresh.model.init = lambda key, x: variables
        return fresh

    train = jn.make_train(recipe, epochs=EPOCHS, batch_size=20)
    arguments = jax.random.key(0), 0.0, data
    check_convolutions(jax.make_jaxpr(train)(*arguments).jaxpr)  # told as a warning
    result = jax.jit(train)(*arguments)
    for name in ("loss", "accuracy"):
        ours, theirs = result.curves[f"test_{name}"], history[f"val_{name}"]
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.slow
@pytest.mark.parametrize("place", [None, "input", "hidden", "activation"])
def test_population_accuracies_are_those_of_fit(place):
    """Of the tutorial's four variants, within four standard errors."""
    data, settings = jn.data.circles(population=5000), {"epochs": 300, "batch_size": 32}

    def build(noise):
        layers = [L.Dense(500), L.Activation("relu"), L.Dense(1, activation="sigmoid")]
        if place is not None:
            stddev = 0.01 if place == "input" else 0.1
            at = ("input", "hidden", "activation").index(place)
            layers.insert(at, noise(stddev))
        model = keras.Sequential([keras.Input((2,)), *layers])
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return model

    theirs = []
    for seed in range(6):
        keras.utils.set_random_seed(seed)
        model = build(L.GaussianNoise)
        model.fit(*data.train, verbose=0, **settings)
        theirs += [model.evaluate(*data["population"], 1000, verbose=0)[1]]
    recipe = jn.keras.recipe(lambda: build(jn.keras.GaussianNoise))
    result = jn.sweep(
        {"none": recipe}, strengths={}, data=data, seeds=24, curves=(), **settings
    )
    ours = result.runs["population_accuracy"]
    error = (np.var(theirs, ddof=1) / len(theirs) + ours.var() / len(ours)) ** 0.5
    assert abs(np.mean(theirs) - ours.mean()) < 4 * error
