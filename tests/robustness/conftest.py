"""Runs that several files ask."""

import optax
import pytest

import jaxnoise as jn


def recipe(stddev):
    return jn.Recipe(
        model=jn.MLP((6,), 1, hidden_noise=jn.GaussianNoise(stddev)),
        loss=jn.losses.binary_cross_entropy,
        optimizer=optax.adam(1e-2),
        metrics={"accuracy": jn.metrics.binary_accuracy},
    )


@pytest.fixture(scope="session")
def result():
    return jn.sweep(
        {"none": recipe, "hidden": recipe},
        strengths={"hidden": [0.1, 1.0]},
        data=jn.data.circles(population=1500),
        seeds=10,
        epochs=5,
        batch_size=30,
        keep_params=True,
    )
