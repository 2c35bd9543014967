"""What a recipe takes, and what it is told when a part does not fit."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest

import jaxnoise as jn

PARTS = {
    "model": jn.MLP((8,), 1),
    "loss": jn.losses.binary_cross_entropy,
    "optimizer": optax.sgd(0.1),
}


class NoTrain(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(x)


class Half:
    def init(self, key, x):
        return {"params": {}}


def named(value):
    """An id that every process finds: without addresses."""
    return re.sub(r" at 0x\w+", "", str(value))


def test_parts_are_kept():
    recipe = jn.Recipe(**PARTS)
    assert recipe.model is PARTS["model"]
    assert recipe.metrics == {}
    assert recipe.weight_noise is recipe.label_noise is recipe.penalty is None


def test_linen_modules_fit_the_protocol(key):
    from jaxnoise.training.recipe import as_model

    model = as_model(jn.MLP((4,), 2, hidden_noise=jn.GaussianNoise(0.5)))
    assert isinstance(model, jn.Model)
    x = jnp.ones((3, 2))
    variables = model.init(key, x)
    clean, same = model.apply(variables, x, train=False, key=None)
    noisy, carried = model.apply(variables, x, train=True, key=key)
    assert same is variables
    assert jax.tree.structure(carried) == jax.tree.structure(variables)
    assert not jnp.array_equal(clean, noisy)


def test_noise_and_dropout_have_streams_of_their_own(key):
    from jaxnoise.training.recipe import as_model

    class Both(nn.Module):
        rate: float

        @nn.compact
        def __call__(self, x, train):
            dropped = nn.Dropout(self.rate, deterministic=not train)(x)
            return jn.GaussianNoise(1.0)(x, train=train), dropped

    x = jnp.zeros(100)
    (one, _), _ = as_model(Both(0.1)).apply({"params": {}}, x, train=True, key=key)
    (two, _), _ = as_model(Both(0.9)).apply({"params": {}}, x, train=True, key=key)
    assert jnp.array_equal(one, two)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": NoTrain()}, TypeError, r"NoTrain.__call__ must take `train`"),
        ({"model": jn.MLP}, TypeError, "an instance, not its class"),
        ({"model": Half()}, TypeError, r"must be a Flax Linen module .* or have init"),
        ({"loss": "mse"}, TypeError, "loss must be a function .* got 'mse'"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be an Optax .* got 'adam'"),
        ({"metrics": ["accuracy"]}, TypeError, "metrics must map names to functions"),
        (
            {"metrics": {"a": 1}},
            TypeError,
            r"metrics\['a'\] must be a function .* got 1",
        ),
        (
            {"metrics": {"loss": jn.metrics.accuracy}},
            ValueError,
            "must not be named 'loss'",
        ),
        (
            {"weight_noise": 0.1},
            TypeError,
            "weight_noise must be a function .* got 0.1",
        ),
        ({"weight_gradient": "mean"}, ValueError, "weight_gradient .* got 'mean'"),
        ({"label_noise": 0.1}, TypeError, "label_noise must be a function .* got 0.1"),
        ({"penalty": 0.1}, TypeError, "penalty must be a function .* got 0.1"),
    ],
    ids=named,
)
def test_bad_parts(change, error, message):
    with pytest.raises(error, match=message):
        jn.Recipe(**PARTS | change)
