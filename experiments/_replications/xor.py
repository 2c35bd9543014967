"""Noise on the inputs, weight decay and early stopping, on classes like an XOR.

Zur, Jiang, Pesce, Drukker, "Noise injection for training artificial neural networks: a
comparison with weight decay and early stopping", Medical Physics 36 (2009).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from _recipes import own_start, recipe
from _rivals import with_own_strengths

import jaxnoise as jn
from _replications.runs import Runs, by_cell, chosen, independent

NOTHING = {"noise": 0.0, "weight decay": 0.0, "early stopping": 1.0}


def task(seed: int, *, rows: int, test: int, stddev: float) -> jn.Data:
    """Four clouds around a circle; every other one is of the same class."""
    sizes = {"samples": rows + test, "train_size": rows, "population": 1}
    made = jn.data.blobs(**sizes, noise=stddev, classes=4, seed=seed)
    (x, y), (x_test, y_test) = made.train, made.test
    odd, odd_test = (np.array([labels % 2], np.float32).T for labels in (y, y_test))
    return jn.Data(train=(x, odd), test=(x_test, odd_test))


def auc(targets: np.ndarray, logits: np.ndarray) -> float:
    """The area under the ROC curve."""
    from sklearn.metrics import roc_auc_score  # slow to import

    return float(roc_auc_score(targets[:, 0], logits[:, 0]))


def build(plan: Mapping[str, Any], parts: Mapping[str, Any]) -> jn.Recipe:
    """The network with its parts; from where it is stopped on, no step moves it."""
    model = partial(jn.MLP, (plan["hidden"],), 1, activation=jax.nn.tanh)
    known = {"input": parts["noise"], "weight decay": parts["weight decay"]}
    made = recipe(known, model, learning_rate=plan["learning_rate"])
    last = parts["early stopping"] * plan["epochs"]
    stopped = optax.scale_by_schedule(lambda step: jnp.where(step < last, 1.0, 0.0))
    steps = optax.chain(made.optimizer, stopped)
    return own_start(replace(made, optimizer=steps, set_metrics={"auc": auc}))


def scores(plan: Mapping[str, Any], runs: Runs) -> pd.DataFrame:
    """By number of train rows and method the AUC, at what was chosen on other draws."""
    grids = plan["candidates"]
    cells = {name: [NOTHING | {name: s} for s in grid] for name, grid in grids.items()}
    cells["none"] = [NOTHING]
    way, found = partial(build, plan), []
    for rows in plan["train_rows"]:
        size = {"rows": rows, "test": plan["test_rows"], "stddev": plan["stddev"]}
        first, count = plan["seed"], plan["choosing"] + plan["units"]
        data = [task(seed, **size) for seed in range(first, first + count)]
        result = runs.sweep(
            f"xor-{rows}",
            dict.fromkeys(cells, way),
            strengths=cells,
            data=independent(data),
            epochs=plan["epochs"],
            batch_size=rows,
        )
        table = by_cell(with_own_strengths(result.runs, grids), "test_auc")
        judged, best = chosen(table, plan["choosing"])
        runs.facts[f"{rows} cases"] = {n: s for n, s in best.items() if n in grids}
        judged["gain"] = judged["noise"] - judged["none"]
        found.append(judged.add_suffix(f" ({rows} cases)"))
    return pd.concat(found, axis=1)
