"""Noise on the embeddings of a small transformer that has few examples.

Jain et al., "NEFTune: noisy embeddings improve instruction finetuning", ICLR 2024, in
kind: which of the tokens of a sequence is the most frequent one?
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array

import jaxnoise as jn
from _replications.runs import Runs, by_cell, chosen, independent, named
from jaxnoise.models.sites import noisy_site


class Transformer(nn.Module):
    """Blocks of attention and a perceptron; the last position gives the logits."""

    tokens: int
    width: int
    blocks: int
    embedding_noise: nn.Module | None = None

    @nn.compact
    def __call__(self, x: Array, train: Any) -> Array:
        """The logits, a token each; one more token stands at the end."""
        x = jnp.pad(x, ((0, 0), (0, 1)), constant_values=self.tokens)
        x = nn.Embed(self.tokens + 1, self.width)(x)
        x = noisy_site(self, "embedding_noise", 0, x, train)
        x += self.param("positions", nn.initializers.normal(0.1), x.shape[1:])
        for _ in range(self.blocks):
            x += nn.MultiHeadDotProductAttention(num_heads=2)(nn.LayerNorm()(x))
            wide = nn.gelu(nn.Dense(2 * self.width)(nn.LayerNorm()(x)))
            x += nn.Dense(self.width)(wide)
        return nn.Dense(self.tokens)(nn.LayerNorm()(x[:, -1]))


def task(seed: int, plan: Mapping[str, Any]) -> jn.Data:
    """Sequences in which one token is more frequent than all others."""
    tokens, train, test = (plan[n] for n in ("tokens", "train_size", "test_rows"))
    many = 4 * (train + test), plan["length"]  # half of them have a tie
    x = np.random.default_rng(seed).integers(0, tokens, many, np.int32)
    counts = (x[:, :, None] == np.arange(tokens)).sum(1)
    first, second = np.sort(counts)[:, :-3:-1].T
    rows = np.flatnonzero(first > second)[: train + test]
    x, y = x[rows], counts[rows].argmax(1).astype(np.int32)
    return jn.Data(train=(x[:train], y[:train]), test=(x[train:], y[train:]))


def recipe(plan: Mapping[str, Any], layer: Any, strength: Any) -> jn.Recipe:
    """The transformer, with a layer of noise on its embeddings."""
    sizes = plan["tokens"], plan["width"], plan["blocks"]
    return jn.Recipe(
        Transformer(*sizes, layer(strength)),
        jn.losses.softmax_cross_entropy,
        optax.adam(plan["learning_rate"]),
        metrics={"accuracy": jn.metrics.accuracy},
    )


def scores(plan: Mapping[str, Any], runs: Runs) -> pd.DataFrame:
    """Test accuracies at each strength, and at what was chosen on other draws."""
    noise, dropout = (partial(recipe, plan, n) for n in (jn.NEFTuneNoise, jn.Dropout))
    first, count = plan["seed"], plan["choosing"] + plan["units"]
    result = runs.sweep(
        "neftune",
        {"none": noise, "noise": noise, "dropout": dropout},
        strengths=plan["candidates"],
        data=independent([task(seed, plan) for seed in range(first, first + count)]),
        epochs=plan["epochs"],
        batch_size=plan["batch_size"],
    )
    table = by_cell(result.runs, "test_accuracy")
    judged, best = chosen(table, plan["choosing"])
    runs.facts["chosen"] = {name: best[name] for name in plan["candidates"]}
    each = named(table.iloc[plan["choosing"] :])
    return pd.concat([each.drop(columns="none"), judged], axis=1)
