"""Layers, models and recipes go through pickle and give the same numbers."""

import copy
import pickle
import subprocess
import sys
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxnoise as jn

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (3, 5, 4))
NOISE = jn.GaussianNoise(optax.linear_schedule(0.1, 0.2, 10))
WRAPPED = partial(jn.clipped(jn.relative(jn.add_gaussian_noise), -9, 9), stddev=0.1)
MODULES = {
    "MLP": jn.MLP((5,), 1, hidden_noise=NOISE, activation=jnp.tanh),
    "MLP with noise of a wrapper": jn.MLP((5,), 1, input_noise=jn.Noise(WRAPPED)),
    "CNN": jn.CNN((5,), 1, pool_noise=jn.Dropout(0.1), activation=nn.gelu),
    "RNN": jn.RNN((5,), 1, output_noise=jn.GaussianNoise(jn.Learnable(0.1))),
    "GRU": jn.RNN((5,), 1, jn.NEFTuneNoise(1.0), cell=nn.GRUCell),
    "NoisyDense": jn.NoisyDense(3),
    "initialised by its user": jn.MLP((5,), 1, kernel_init=nn.initializers.normal(1.0)),
}


def again(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("name", MODULES)
def test_linen(name):
    model = MODULES[name]
    other = again(model)
    variables = model.init(KEY, X, train=False)
    jax.tree.map(
        np.testing.assert_array_equal, variables, other.init(KEY, X, train=False)
    )
    for arguments in (
        {"train": False},
        {"train": True, "rngs": {"noise": KEY}, "mutable": ["noise"]},
    ):
        expected = model.apply(variables, X, **arguments)
        jax.tree.map(
            np.testing.assert_array_equal,
            expected,
            other.apply(variables, X, **arguments),
        )
    clean = again(jn.strip_noise(model)).apply(variables, X)
    np.testing.assert_array_equal(clean, model.apply(variables, X, train=False))


def test_conv():
    layer = jn.Conv(3, (3,))
    variables = layer.init(KEY, X)
    np.testing.assert_array_equal(
        again(layer).apply(variables, X), layer.apply(variables, X)
    )


class Net(nnx.Module):
    def __init__(self, rngs):
        self.noise = jn.nnx.GaussianNoise(lambda step: 0.1 + step, rngs=rngs)
        self.other = jn.nnx.Noise(WRAPPED, rngs=rngs)
        self.dense = jn.nnx.NoisyDense(4, 2, rngs=rngs)

    def __call__(self, x):
        return self.dense(self.other(self.noise(x)))


def test_nnx():
    net, stripped = Net(nnx.Rngs(0)), jn.strip_noise(Net(nnx.Rngs(0)))
    other, clean = again(net), again(stripped)
    np.testing.assert_array_equal(other(X), net(X))
    np.testing.assert_array_equal(clean(X), stripped(X))
    assert type(again(clean)) is type(stripped)
    model = again(jn.nnx.model(Net))
    np.testing.assert_array_equal(
        model.init(KEY, X)["params"]["dense"]["kernel"],
        jn.nnx.model(Net).init(KEY, X)["params"]["dense"]["kernel"],
    )


def recipe(stddev, model=MODULES["MLP"]):
    return jn.Recipe(
        model=model,
        loss=jn.losses.squared_error,
        optimizer=optax.chain(jn.gradient_noise(stddev), optax.adam(0.1)),
        metrics={"error": partial(jn.losses.huber_loss, delta=0.5)},
        weight_noise=partial(jn.tree_add_gaussian_noise, stddev=0.1),
        penalty=jn.strength_prior(0.1) if isinstance(model, jn.RNN) else None,
    )


@pytest.mark.parametrize("name", ["MLP", "RNN"])
def test_recipes(name):
    made = partial(recipe, model=MODULES[name])
    data = jn.Data(train=(X, X[:, 0, :1]))

    def loss(make):
        train = jax.jit(jn.make_train(make, epochs=1, batch_size=3, curves=()))
        return train(KEY, 0.1, data).metrics["train_loss"]

    expected = loss(made)
    np.testing.assert_array_equal(loss(again(made)), expected)  # by its name
    of_parts = loss(lambda stddev: again(made(0.1)))
    np.testing.assert_allclose(of_parts, expected, rtol=1e-6)


@pytest.mark.slow
def test_in_another_process(tmp_path):
    """By name and place alone: nothing of this one is needed."""
    model = MODULES["MLP with noise of a wrapper"]
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    code = (
        "import pickle, sys, jax, jax.numpy as jnp;"
        "model = pickle.load(open(sys.argv[1], 'rb'));"
        "x = jnp.ones((3, 4));"
        "variables = model.init(jax.random.key(0), x, train=False);"
        "rngs = {'noise': jax.random.key(0)};"
        "print(model.apply(variables, x, train=True, rngs=rngs).shape)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.pickle"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert out.stdout == "(3, 1)\n"


def test_what_has_no_place_is_refused_by_pickle_and_copied():
    layer = jn.Noise(eval("lambda key, x: x"))
    with pytest.raises((AttributeError, pickle.PicklingError), match="<lambda>"):
        pickle.dumps(layer)
    assert copy.deepcopy(layer).fn is layer.fn
    assert copy.deepcopy(MODULES["MLP"]).features == (5,)


def count_down(n):
    def inner(k):
        return 0 if k == 0 else 1 + inner(k - 1)

    return partial(lambda key, x, times: x + inner(times), times=n)


def test_functions_that_hold_themselves():
    layer = again(jn.Noise(count_down(3), train=True))
    out = layer.apply({}, X, rngs={"noise": KEY})
    np.testing.assert_array_equal(out, X + 3)
