"""Mixup on Iris, after ten epochs and at the end.

Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: beyond empirical risk minimization", 2018.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import optax
import pandas as pd
from _recipes import own_start

import jaxnoise as jn
from _replications.runs import Runs, by_cell, named
from jaxnoise.data.rows import divide, standardised


def iris(train_size: int, *, seed: int) -> jn.Data:
    """150 flowers with 4 measurements: of which of three species?"""
    from sklearn.datasets import load_iris  # slow to import

    x, y = load_iris(return_X_y=True)
    rows = x, y.astype(np.int32)
    return jn.Data(**standardised(divide(rows, train_size, 0, seed)))


def recipe(hidden: list[int], alpha: Any) -> jn.Recipe:
    """The network, with mixup."""
    return own_start(
        jn.Recipe(
            jn.MLP(hidden, 3),
            jn.losses.softmax_cross_entropy,
            optax.adam(1e-3),
            metrics={"accuracy": jn.metrics.accuracy},
            batch_noise=partial(jn.mixup, alpha=alpha),
        )
    )


def scores(plan: Mapping[str, Any], runs: Runs) -> pd.DataFrame:
    """Test accuracies early and at the end."""
    size = {"train_size": plan["train_size"], "seed": plan["seed"]}
    build = partial(recipe, plan["hidden"])
    result = runs.sweep(
        "mixup",
        {"none": build, "mixup": build},
        strengths={"mixup": plan["alphas"]},
        data=jn.data.draws(iris, plan["units"], **size),
        epochs=plan["epochs"],
        batch_size=plan["batch_size"],
        curves=["test"],
        metrics_every=plan["early"],
    )
    at_early = result.runs.assign(test_accuracy=result.curves["test_accuracy"][:, 0])
    found = [
        named(by_cell(table, "test_accuracy")).add_suffix(f" ({when})")
        for when, table in {"early": at_early, "late": result.runs}.items()
    ]
    return pd.concat(found, axis=1)
