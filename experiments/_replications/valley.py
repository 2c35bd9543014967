"""Flat minima by anticorrelated noise, in a valley that widens.

Orvieto et al., "Anticorrelated noise injection for improved generalization", ICML 2022,
and Lim, Wan, Şimşekli, "Chaotic regularization and heavy-tailed limits for
deterministic gradient descent", NeurIPS 2022: ``v**2 |u|**2 / 2``, whose minima are
flatter the smaller the other one of v and u is.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array

import jaxnoise as jn
from _replications.runs import Runs, by_cell


class Valley:
    """The outputs are ``v u`` and the trace of the Hessian, ``|u|**2 + d v**2``."""

    def init(self, key: Array, x: Array) -> dict[str, Any]:
        """At a sharp minimum, u = 0 and v = 1."""
        return {"params": {"u": jnp.zeros(x.shape[-1]), "v": jnp.ones(())}}

    def apply(
        self, variables: Any, x: Array, *, train: bool, key: Array | None
    ) -> tuple[Array, Any]:
        """Of no inputs; noise is on the steps."""
        u, v = variables["params"]["u"], variables["params"]["v"]
        return jnp.append(v * u, u @ u + len(u) * v**2)[None], variables


def loss(outputs: Array, targets: Array) -> Array:
    """Half the square of ``v u``."""
    return (outputs[:, :-1] ** 2).sum(-1) / 2


def trace(outputs: Array, targets: Array) -> Array:
    """That of the Hessian."""
    return outputs[:, -1]


def recipe(noise: Callable[[Any], Any], rate: float, stddev: Any) -> jn.Recipe:
    """Descent with noise added to its steps."""
    steps = optax.chain(optax.sgd(rate), noise(stddev))
    return jn.Recipe(Valley(), loss, steps, metrics={"trace": trace})


def scores(plan: Mapping[str, Any], runs: Runs) -> pd.DataFrame:
    """Traces at the end, as shares of that at the start."""
    d, noises = plan["dimension"], (jn.anticorrelated_noise, jn.gradient_noise)
    names = ("anticorrelated", "uncorrelated")
    recipes = {
        name: partial(recipe, noise, plan["learning_rate"])
        for name, noise in zip(names, noises, strict=True)
    }
    result = runs.sweep(
        "valley",
        recipes,
        strengths=dict.fromkeys(names, [plan["stddev"]]),
        data=jn.Data(train=(np.zeros((1, d)), np.zeros((1, d + 1)))),
        seeds=range(plan["seed"], plan["seed"] + plan["units"]),
        epochs=plan["steps"],
        batch_size=1,
        vectorize=1,
    )
    found = by_cell(result.runs, "train_trace").droplevel("strength", axis=1)
    return found / d
