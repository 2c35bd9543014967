"""Sigmoid and softmax outputs, the habit from Keras, are told of where logits go."""

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest
from flax import nnx

import jaxnoise as jn
from jaxnoise.training import logits
from jaxnoise.training.program import signature_of, traced_run
from jaxnoise.training.recipe import Settings

X = np.ones((6, 2), np.float32)
LABELS = np.array([0, 1, 2] * 2, np.int32)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
BCE = jn.losses.binary_cross_entropy
CLASSES = {"loss": jn.losses.softmax_cross_entropy, "y": LABELS}
OF_SQUARES = {
    "loss": jn.losses.squared_error,
    "metrics": {"error": jn.metrics.squared_error, "right": jn.metrics.exact_match},
}


class Net(nn.Module):
    last: object

    @nn.compact
    def __call__(self, x, train):
        x = jn.GaussianNoise(0.1)(nn.Dense(3)(x), train=train)
        return self.last(x)


def train(last, loss=BCE, y=ONE_HOT, model=Net, **parts):
    """Trace a run, without compiling it."""
    made = jn.Recipe(model(last), loss, optax.sgd(0.1), **parts)
    run = jn.make_train(lambda _: made, epochs=1, batch_size=6)
    data = jn.Data(train=(X, y))
    jax.make_jaxpr(lambda data: run(jax.random.key(0), 0.1, data))(data)


def of_nnx(last):
    def net(rngs):
        return nnx.Sequential(nnx.Linear(2, 3, rngs=rngs), last)

    return jn.nnx.model(net)


def reshaped_by_remat(x):
    return jax.checkpoint(nn.sigmoid)(x.T[None])[0].T


def softmax_by_hand(x):
    unscaled = jax.numpy.exp(x)
    return unscaled / unscaled.sum(axis=-1, keepdims=True)


@pytest.fixture(autouse=True)
def untold():
    logits._say_what_to_leave_out.cache_clear()


@pytest.mark.parametrize(
    ("takes", "parts"),
    [
        ("losses.binary_cross_entropy", {"last": nn.sigmoid}),
        ("losses.binary_cross_entropy", {"last": jax.jit(nn.sigmoid)}),
        ("losses.binary_cross_entropy", {"last": reshaped_by_remat}),
        ("losses.binary_cross_entropy", {"last": nnx.sigmoid, "model": of_nnx}),
        ("losses.softmax_cross_entropy", {"last": nn.softmax} | CLASSES),
        ("losses.softmax_cross_entropy", {"last": softmax_by_hand} | CLASSES),
        ("metrics.exact_match", {"last": nn.sigmoid} | OF_SQUARES),
    ],
)
def test_probabilities_are_told_of(takes, parts):
    last = "softmax" if takes.endswith("softmax_cross_entropy") else "sigmoid"
    message = (
        rf"outputs look like probabilities \(its last operation is a {last}\), and "
        f"jn.{takes} takes logits: leave the {last} out"
    )
    with pytest.warns(UserWarning, match=message) as told:
        train(**parts)
    assert [warning.filename for warning in told] == [__file__]


@pytest.mark.parametrize(
    "parts",
    [
        {"last": nn.relu},
        {"last": nn.tanh},
        {"last": nn.log_softmax} | CLASSES,
        {"last": lambda x: 4 * nn.sigmoid(x)},
        {"last": lambda x: x / 2},
        {"last": lambda x: x / x.sum(axis=-1, keepdims=True)},
        {"last": lambda x: 0 * x[:, :1], "y": ONE_HOT[:, :1]},
        {"last": nn.sigmoid, "loss": jn.losses.squared_error},
        {
            "last": nn.softmax,
            "loss": lambda p, t: -(t * jax.numpy.log(p)).sum(-1),
            "metrics": {"accuracy": jn.metrics.accuracy},  # the largest is the same
        },
    ],
)
def test_others_are_not(parts):
    train(**parts)  # a warning would be an error


def test_a_sweep_of_many_placements_tells_once():
    signature = signature_of((np.float32(0), jn.Data(train=(X, ONE_HOT))))

    def recipe(_):
        return jn.Recipe(Net(nn.sigmoid), BCE, optax.sgd(0.1))

    with pytest.warns(UserWarning, match="leave the sigmoid out") as told:
        traced_run(recipe, Settings(1, 6), signature)
    assert len(told) == 1
    traced_run(lambda _: recipe(0.0), Settings(1, 6), signature)
