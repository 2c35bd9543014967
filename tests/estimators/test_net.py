"""Networks of one's own behind scikit-learn's interface."""

import pickle

import flax.linen as nn
import numpy as np
import optax
import pytest
from flax import nnx
from sklearn.base import clone
from sklearn.datasets import load_iris

import jaxnoise as jn
from jaxnoise.training.program import traced_program

X, Y = load_iris(return_X_y=True)
FEW = {"max_epochs": 3, "random_state": 0}


class Linen(nn.Module):
    outputs: int
    stddev: float = 0.0

    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Dense(8)(x.reshape(len(x), -1)))
        x = jn.GaussianNoise(self.stddev)(x, train=train)
        return nn.Dense(self.outputs)(x)


class NNX(nnx.Module):
    def __init__(self, inputs, outputs, *, width=4, rngs):
        self.first = nnx.Linear(inputs, width, rngs=rngs)
        self.noise = jn.nnx.GaussianNoise(0.1, rngs=rngs)
        self.last = nnx.Linear(width, outputs, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.noise(self.first(x))))


PLAIN = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(3)])


@pytest.mark.parametrize(
    "module", [Linen, Linen(3, stddev=0.1), NNX, PLAIN, lambda outputs: Linen(outputs)]
)
def test_modules(module):
    model = jn.NoisyNetClassifier(module, input_noise=0.1, **FEW).fit(X, Y)
    assert model.predict_proba(X).shape == (150, 3)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.slow
def test_arguments_of_the_module():
    """Floats are traced; others are not, and both are parameters of a grid."""
    model = jn.NoisyNetClassifier(Linen, module_params={"stddev": 0.1}, **FEW)
    model.fit(X, Y)
    before = traced_program.cache_info().misses
    other = clone(model).set_params(module__stddev=0.9).fit(X, Y)
    assert traced_program.cache_info().misses == before
    assert (other.predict_proba(X) != model.predict_proba(X)).any()
    assert other.get_params()["module__stddev"] == 0.9
    assert model.get_params()["module__stddev"] == 0.1
    again = pickle.loads(pickle.dumps(other))
    np.testing.assert_array_equal(again.predict_proba(X), other.predict_proba(X))
    wide = jn.NoisyNetRegressor(NNX, module_params={"width": 7}, **FEW).fit(X, X[:, 0])
    assert wide.variables_[0]["params"]["first"]["kernel"].shape == (4, 7)


@pytest.mark.slow
def test_rows_of_several_axes_and_own_optimisers():
    model = jn.NoisyNetRegressor(Linen, optimizer=optax.sgd(0.1), **FEW)
    images = X.reshape(150, 2, 2)
    assert model.fit(images, X[:, 0]).predict(images).shape == (150,)


@pytest.mark.bad_input
def test_refused():
    with pytest.raises(TypeError, match="module must be a Flax module, or a function"):
        jn.NoisyNetClassifier(3).fit(X, Y)
    with pytest.raises(TypeError, match="module_params must be None or a dict"):
        jn.NoisyNetClassifier(Linen, module_params=[1]).fit(X, Y)
