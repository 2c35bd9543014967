"""Gaussian against Bernoulli dropout of one variance.

Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to
prevent neural networks from overfitting", JMLR 15 (2014), section 10.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import optax
import pandas as pd
from _files import quietly
from _recipes import own_start

import jaxnoise as jn
from _replications.runs import Runs, by_cell, named

DATA = {"mnist5k": jn.data.mnist5k, "mnist1d": jn.data.mnist1d}


def recipe(hidden: list[int], layer: Any, rate: Any) -> jn.Recipe:
    """A perceptron, with dropout after its activations."""
    return own_start(
        jn.Recipe(
            jn.MLP(hidden, 10, activation_noise=layer(rate=rate)),
            jn.losses.softmax_cross_entropy,
            optax.adam(1e-3),
            metrics={"accuracy": jn.metrics.accuracy},
        )
    )


def scores(plan: Mapping[str, Any], runs: Runs) -> pd.DataFrame:
    """By data, kind and rate the test accuracy."""
    found, kinds = [], (jn.Dropout, jn.GaussianDropout)
    for name, load in DATA.items():
        own = plan[name]
        ways = [partial(recipe, own["hidden"], kind) for kind in kinds]
        draws = {"train_size": own["train_size"], "seed": plan["seed"]}
        result = runs.sweep(
            name,
            {"none": ways[0], "Bernoulli": ways[0], "Gaussian": ways[1]},
            strengths=dict.fromkeys(("Bernoulli", "Gaussian"), plan["rates"]),
            data=jn.data.draws(load, own["units"], **draws),
            epochs=own["epochs"],
            batch_size=plan["batch_size"],
        )
        runs.facts[name] = by_rope(result.runs, plan)
        table = named(by_cell(result.runs, "test_accuracy"))
        found.append(table.add_suffix(f" ({name})"))
    return pd.concat(found, axis=1)


def by_rope(runs: pd.DataFrame, plan: Mapping[str, Any]) -> dict[str, str]:
    """What `jn.compare` says of each rate, where less than the rope does not matter."""
    asked = {"metric": "test_accuracy", "overlap": 0.0, "rope": plan["rope"]}
    verdicts = {}
    for rate in plan["rates"]:
        rows = runs[np.isclose(runs["strength"], rate)]
        table = quietly(jn.compare, rows, baseline="Bernoulli", **asked)
        verdicts[f"{rate:g}"] = table["verdict"].iloc[-1]
    return verdicts
