"""Sparse truth from noise on labels: a linear model whose weights are squares.

HaoChen, Wei, Lee and Ma, "Shape matters: understanding the implicit bias of the noise
covariance", COLT 2021. A step is a full gradient, so that an epoch is a step.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array

import jaxnoise as jn
from _replications.runs import Runs, by_cell


class Squares:
    """``f(x) = sum v**2 x``, from v = 1."""

    def init(self, key: Array, x: Array) -> dict[str, Any]:
        """The same for all seeds."""
        return {"params": {"v": jnp.ones(x.shape[-1])}}

    def apply(
        self, variables: Any, x: Array, *, train: bool, key: Array | None
    ) -> tuple[Array, Any]:
        """The outputs; noise is on labels or gradients."""
        return (x @ variables["params"]["v"] ** 2)[:, None], variables


def loss(outputs: Array, targets: Array) -> Array:
    """The source's, a quarter of the square."""
    return jn.losses.squared_error(outputs, targets) / 4


def one_row(key: Array, y: Array) -> Array:
    """Noise of N(0, 1) in the gradient of one row's sum; in the mean's, of as many."""
    of_row, of_noise = jax.random.split(key)
    row = jnp.arange(len(y)) == jax.random.randint(of_row, (), 0, len(y))
    return jn.target_noise(of_noise, y, float(len(y)), 1.0, mask=row)


def task(seed: int, plan: Mapping[str, Any]) -> jn.Data:
    """Rows, and the unit vectors, whose error is that of the weights."""
    w = np.zeros(plan["weights"], np.float32)
    w[: plan["nonzero"]] = 1
    x = np.random.default_rng(seed).normal(size=(plan["rows"], len(w)))
    made = jn.Data(train=(x, x @ w[:, None]), truth=(np.eye(len(w)), w[:, None]))
    made.overlap = 0.0
    return made


def recipe(rate: Any, labels: Any, stddev: Any) -> jn.Recipe:
    """Descent, with noise on labels or gradients."""
    steps = optax.chain(jn.gradient_noise(stddev), optax.sgd(rate))
    return jn.Recipe(Squares(), loss, steps, label_noise=labels)


def scores(plan: Mapping[str, Any], runs: Runs) -> pd.DataFrame:
    """Squared distances to the truth, and the losses in training."""
    rate, drops = plan["learning_rate"], dict.fromkeys(plan["drops"], 0.1)
    falling = optax.piecewise_constant_schedule(rate, drops)
    ways = {
        "none": (plan["steps"], partial(recipe, rate, None)),
        "label noise": (plan["steps"], partial(recipe, falling, one_row)),
        "gradient noise": (plan["longer"], partial(recipe, rate, None)),
    }
    strengths = {"gradient noise": [plan["stddev"]]}
    first, found = plan["seed"], {}
    data = [task(first + i, plan) for i in range(plan["units"])]
    for name, (steps, way) in ways.items():
        asked = {"epochs": steps, "batch_size": plan["rows"], "vectorize": 1}
        own = {name: strengths[name]} if name in strengths else {}
        made = runs.sweep(name, {name: way}, strengths=own, data=data, **asked).runs
        distance = by_cell(made, "truth_loss") * 4 * plan["weights"]
        found[name] = distance.iloc[:, 0]
        found[f"{name} (loss in training)"] = by_cell(made, "train_loss").iloc[:, 0]
    return pd.DataFrame(found)
