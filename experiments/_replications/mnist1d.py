"""Four networks on MNIST-1D, in order and with its steps shuffled.

Greydanus, "Scaling down deep learning with MNIST-1D", 2020; the networks are those of
its published program.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import optax
import pandas as pd
from jaxtyping import Array

import jaxnoise as jn
from _replications.runs import Runs, by_cell


class Convolutions(nn.Module):
    """Three of them, of 25 channels, with strides, and a dense layer."""

    @nn.compact
    def __call__(self, x: Array, train: Any) -> Array:
        """The logits."""
        for width in (5, 3, 3):
            x = nn.relu(jn.Conv(25, (width,), strides=2, padding=1)(x))
        return nn.Dense(10)(x.reshape(len(x), -1))


class Gated(nn.Module):
    """A GRU of 6 units that reads both ways, and a dense layer on all its steps."""

    @nn.compact
    def __call__(self, x: Array, train: Any) -> Array:
        """The logits."""
        ways: Any = [nn.RNN(nn.GRUCell(6)) for _ in range(2)]
        states: Any = nn.Bidirectional(*ways)(jnp.asarray(x))
        return nn.Dense(10)(states.reshape(len(x), -1))


MODELS: dict[str, nn.Module] = {
    "linear": jn.MLP((), 10),
    "perceptron": jn.MLP((100, 100), 10, residual=True),
    "convolutions": Convolutions(),
    "GRU": Gated(),
}


def recipe(model: nn.Module, rate: float, strength: Any) -> jn.Recipe:
    """Without noise."""
    loss, metrics = jn.losses.softmax_cross_entropy, {"accuracy": jn.metrics.accuracy}
    return jn.Recipe(model, loss, optax.adam(rate), metrics=metrics)


def scores(plan: Mapping[str, Any], runs: Runs) -> pd.DataFrame:
    """By network and order the test accuracy."""
    found = []
    rate, ways = plan["learning_rate"], {"in order": False, "shuffled": True}
    recipes = {name: partial(recipe, model, rate) for name, model in MODELS.items()}
    for way, shuffled in ways.items():
        result = runs.sweep(
            way,
            recipes,
            data=jn.data.mnist1d(plan["train_size"], shuffled=shuffled),
            seeds=range(plan["seed"], plan["seed"] + plan["units"]),
            epochs=plan["epochs"],
            batch_size=plan["batch_size"],
        )
        table = by_cell(result.runs, "test_accuracy").droplevel("strength", axis=1)
        found.append(table.add_suffix(f" ({way})"))
    return pd.concat(found, axis=1)
