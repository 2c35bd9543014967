"""Keras models in a sweep, against ``fit`` and against a network of ours.

The models are compiled as a user of Keras does. The points of the case study are its
own; other rows are made up, in the shapes of MNIST-1D and of scikit-learn's digits, as
times do not depend on their values: a hundred, as who has few data has them, and all.
Seconds are per epoch and run, with the scores of
the test rows after every epoch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from circles_contenders import sweeping, tutorials
from worker import Contender, Options, compiled_by

STDDEV = 0.1
CLASSES = 10


def circles() -> dict[str, Any]:
    """The case study's points."""
    import jaxnoise as jn

    return {name: jn.data.circles()[name] for name in ("train", "test")}


def made_up(row: tuple[int, ...], train: int, test: int) -> dict[str, Any]:
    """Rows of such a shape and their classes."""
    generator = np.random.default_rng(0)
    return {
        name: (
            generator.standard_normal((rows, *row), np.float32),
            generator.integers(CLASSES, size=rows),
        )
        for name, rows in (("train", train), ("test", test))
    }


WORKS: dict[str, tuple[Callable[[], dict[str, Any]], int]] = {  # rows and batch size
    "case study": (circles, 32),
    "MNIST-1D GRU": (lambda: made_up((40, 1), 100, 100), 32),
    "digits CNN": (lambda: made_up((8, 8, 1), 100, 100), 32),
    "MNIST-1D GRU, all rows": (lambda: made_up((40, 1), 4000, 1000), 128),
    "digits CNN, all rows": (lambda: made_up((8, 8, 1), 898, 899), 32),
}


def compiled(work: str, noise: Any) -> Any:
    """The compiled model, with a layer of noise ``noise(stddev)``."""
    import keras
    from keras import layers

    if work == "case study":
        stack = [keras.Input((2,)), layers.Dense(500), noise(STDDEV)]
        stack += [layers.Activation("relu"), layers.Dense(1, activation="sigmoid")]
    elif work.startswith("MNIST-1D GRU"):
        stack = [keras.Input((40, 1)), layers.GRU(32), noise(STDDEV)]
        stack += [layers.Dense(CLASSES, activation="softmax")]
    else:
        stack = [keras.Input((8, 8, 1))]
        for width in (16, 32):
            stack += [layers.Conv2D(width, 3, padding="same"), noise(STDDEV)]
            stack += [layers.Activation("relu"), layers.MaxPooling2D()]
        stack += [layers.Flatten(), layers.Dense(CLASSES, activation="softmax")]
    model = keras.Sequential(stack)
    classes = "binary" if work == "case study" else "sparse_categorical"
    model.compile("adam", f"{classes}_crossentropy", metrics=["accuracy"])
    return model


def of_keras(options: Options) -> Contender:
    """A sweep of the Keras model over seeds, on all cores."""
    import jaxnoise as jn

    jn.use_all_cores()
    rows, batch_size = WORKS[options["work"]]
    recipe = jn.keras.recipe(lambda: compiled(options["work"], jn.keras.GaussianNoise))
    given = {"batch_size": batch_size, "curves": ("test",)}
    repeat, notes = sweeping(recipe, jn.Data(**rows()), options, **given)
    return lambda: repeat() and None, notes


def of_ours(options: Options) -> Contender:
    """The same of the case study's network in `jaxnoise.MLP`."""
    import jaxnoise as jn

    jn.use_all_cores()
    given: dict[str, Any] = {"batch_size": 32, "curves": ("test",)}
    recipe, data = tutorials("hidden", 500), jn.Data(**circles())
    repeat, notes = sweeping(recipe, data, options, **given)
    return lambda: repeat() and None, notes


def fit(options: Options) -> Contender:
    """``fit`` of the same model with Keras' own layer of noise."""
    from keras import layers

    rows, batch_size = WORKS[options["work"]]
    sets = rows()
    model = compiled(options["work"], layers.GaussianNoise)

    def fit(epochs: int) -> None:
        model.fit(
            *sets["train"],
            validation_data=sets["test"],
            validation_batch_size=1024,
            epochs=epochs,
            batch_size=batch_size,
            verbose=0,
        )

    return lambda: fit(options["epochs"]), compiled_by(lambda: fit(1))


CONTENDERS = {"jaxnoise": of_keras, "jn.MLP": of_ours, "Keras": fit}
