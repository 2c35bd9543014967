"""Convolutions that a CPU trains slowly are told of, once; ours are none of them."""

import warnings

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

import jaxnoise as jn
from jaxnoise.training import convolutions


class Net(nn.Module):
    """Two layers, so that the inputs of the second need a gradient, too."""

    conv: type[nn.Module]
    remat: bool = False

    @nn.compact
    def __call__(self, x, train):
        conv = nn.remat(self.conv) if self.remat else self.conv
        x = nn.relu(conv(3, (3,), name="first")(x))
        x = nn.relu(conv(3, (3,), name="second")(x))
        return nn.Dense(2)(x.reshape(x.shape[0], -1))


def train(model, **arguments):
    rng = np.random.default_rng(0)
    data = jn.Data(train=(rng.normal(size=(6, 5, 1)), np.arange(6) % 2))

    def recipe(_):
        return jn.Recipe(model, jn.losses.softmax_cross_entropy, optax.sgd(0.1))

    options = {"seeds": 2, "epochs": 1, "batch_size": 3, "curves": ("train",)}
    return jn.sweep({"none": recipe}, strengths={}, data=data, **options | arguments)


@pytest.fixture(autouse=True)
def untold():
    convolutions._say_what_to_use.cache_clear()


@pytest.mark.bad_input  # a check of types stands between caller and sweep
def test_flax_convolutions_are_told_of_once():
    message = "gradients of XLA convolutions.* use jaxnoise.Conv in place of flax"
    with pytest.warns(UserWarning, match=message) as told:
        train(Net(nn.Conv))
    assert told[0].filename == __file__
    train(Net(nn.Conv), batch_size=2)  # a warning would be an error


@pytest.mark.parametrize("remat", [False, True])
@pytest.mark.parametrize("vectorize", [1, 2])
def test_our_convolutions_are_not(remat, vectorize):
    assert train(Net(jn.Conv, remat), vectorize=vectorize).runs["finite"].all()


def test_convolutions_that_are_not_trained_are_not():
    """Values are fast: here of a layer whose gradient is stopped."""

    class Frozen(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            x = jax.lax.stop_gradient(nn.Conv(3, (3,))(x))
            return nn.Dense(2)(x.reshape(x.shape[0], -1))

    train(Frozen())


def test_accelerators_are_not(monkeypatch):
    lowered = jax.jit(jax.grad(lambda k: nn.Conv(2, (3,)).apply(k, X).sum())).lower(
        nn.Conv(2, (3,)).init(jax.random.key(0), X)
    )
    assert convolutions.GRADIENT.search(lowered.as_text())
    with monkeypatch.context() as patch:
        patch.setattr(convolutions.jax, "default_backend", lambda: "gpu")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            convolutions.check_convolutions(lowered)
    with pytest.warns(UserWarning, match="jaxnoise.Conv"):
        convolutions.check_convolutions(lowered)


X = np.ones((2, 5, 1), np.float32)
