"""A Linen layer's key that rows or steps would share is refused, unless on purpose."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxnoise as jn
from jaxnoise.noise.layer import keys_shared
from jaxnoise.training.recipe import as_model

KEY = jax.random.key(0)
KEYS = jax.random.split(jax.random.key(1), 3)
COPIES = jnp.broadcast_to(KEY, (3,))
X = jax.random.normal(jax.random.key(2), (3, 4, 2))
LEVELS = jnp.array([0.1, 0.2])
SERIES = jnp.ones((3, 2, 4, 2))


def some(model, x):
    """Variables that compile nothing."""
    shapes = jax.eval_shape(lambda: model.init(KEY, x, train=False))
    return jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)


MLP = jn.MLP((5,), 1, hidden_noise=jn.GaussianNoise(0.1))
VARIABLES = some(MLP, X[0])
RNN = jn.RNN((4,), 1, step_noise=jn.Dropout(0.1))
OF_RNN = some(RNN, SERIES[0])


def call(x, key=KEY):
    return jn.GaussianNoise(0.1, train=True).apply({}, x, rngs={"noise": key})


def net(x, key=KEY, variables=VARIABLES, model=MLP):
    return model.apply(variables, x, train=True, rngs={"noise": key})


def loss(variables, x, key=KEY):
    return (net(x, key, variables) ** 2).mean()


def at_strength(stddev):
    noise = jn.GaussianNoise(stddev)
    return net(X[0], model=MLP.clone(hidden_noise=noise))


def scan(function, xs):
    return lax.scan(lambda carry, x: (carry, function(x)), 0, xs)[1]


class Inside(nn.Module):
    """A module with a transform around its layer."""

    how: object

    def setup(self):
        self.noise = jn.GaussianNoise(0.1)

    def __call__(self, x, train=True):
        return self.how(lambda x: self.noise(x, train=train), x)


def inside(how, key=KEY):
    return Inside(how).apply({}, X, rngs={"noise": key})


def learned(x):
    layer = jn.NoisyDense(3)
    return net(x, variables=layer.init(KEY, x, train=False), model=layer)


def by_protocol(how):
    return as_model(Inside(how)).apply({}, X, train=True, key=KEY)


def stacked(tree):
    return jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), tree)


SHARED = {
    "rows": lambda: jax.vmap(call)(X),
    "rows, compiled": lambda: jax.jit(jax.vmap(call))(X),
    "rows of a compiled function": lambda: jax.vmap(jax.jit(call), (0, None))(X, KEY),
    "rows through a network": lambda: jax.vmap(net)(X),
    "rows through a scan of Flax": lambda: jax.vmap(
        lambda x: net(x, variables=OF_RNN, model=RNN)
    )(SERIES),
    "gradients of rows": lambda: jax.vmap(jax.grad(loss), (None, 0))(VARIABLES, X),
    "members of an ensemble": lambda: jax.vmap(loss, (0, None))(
        stacked(VARIABLES), X[0]
    ),
    "weight noise": lambda: jax.vmap(learned)(X),
    "scan": lambda: scan(call, X),
    "scan, compiled": lambda: jax.jit(lambda x, key: scan(lambda x: call(x, key), x))(
        X, KEY
    ),
    "scan of the same x": lambda: scan(lambda _: call(X), jnp.arange(3)),
    "gradients in a scan": lambda: scan(
        lambda x: jax.grad(loss)(VARIABLES, x)["params"], X
    ),
    "map": lambda: lax.map(net, X),
    "loop": lambda: lax.fori_loop(0, 3, lambda _, x: call(x), X),
    "while": lambda: lax.while_loop(lambda x: x.sum() < -99, call, X),
    "vmap in a module": lambda: inside(lambda layer, x: jax.vmap(layer)(x)),
    "scan in a module": lambda: inside(scan),
    "vmap in a model of a recipe": lambda: by_protocol(lambda f, x: jax.vmap(f)(x)),
    "scan in a model of a recipe": lambda: by_protocol(scan),
}
OWN = {
    "no transform": lambda: call(X),
    "jit": lambda: jax.jit(call)(X),
    "jit in a module": lambda: inside(lambda layer, x: jax.jit(layer)(x)),
    "grad": lambda: jax.grad(loss)(VARIABLES, X[0]),
    "checkpoint": lambda: jax.grad(jax.checkpoint(loss))(VARIABLES, X[0]),
    "checkpoint in a module": lambda: inside(lambda f, x: jax.checkpoint(f)(x)),
    "cond": lambda: lax.cond(jnp.bool_(True), call, call, X),
    "keys of rows": lambda: jax.vmap(net)(X, KEYS),
    "keys of steps": lambda: scan(lambda at: net(*at), (X, KEYS)),
    "keys of a map": lambda: lax.map(lambda key: net(X[0], key), KEYS),
    "keys folded in a loop": lambda: lax.fori_loop(
        0, 3, lambda i, x: call(x, jax.random.fold_in(KEY, i)), X
    ),
    "keys of rows through a scan of Flax": lambda: jax.vmap(
        lambda x, key: net(x, key, OF_RNN, RNN)
    )(SERIES, KEYS),
    "copies of a key": lambda: jax.vmap(net)(X, COPIES),
    "copies of a key in steps": lambda: scan(lambda at: net(*at), (X, COPIES)),
    "noise before a vmap in a module": lambda: inside(
        lambda layer, x: jax.vmap(lambda w: w * layer(x))(jnp.ones(3))
    ),
    "strengths": lambda: jax.vmap(at_strength)(LEVELS),
    "strengths, compiled": lambda: jax.jit(jax.vmap(at_strength))(LEVELS),
    "strengths of a function": lambda: jax.vmap(
        lambda level: net(
            X[0] * level,
            model=jn.Noise(
                partial(jn.add_noise, scale=level, sampler=jax.random.laplace)
            ),
        )
    )(LEVELS),
    "strengths of a map": lambda: lax.map(at_strength, LEVELS),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("case", SHARED)
def test_keys_that_rows_or_steps_would_share(case):
    message = "the noise would be the same along .* split_rngs"
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(SHARED[case])


@pytest.mark.bad_input
@pytest.mark.parametrize("case", ["rows", "scan"])
def test_they_are_refused_outside_of_compiled_functions_too(case):
    with pytest.raises(ValueError, match="the noise would be the same along"):
        SHARED[case]()


@pytest.mark.parametrize("case", OWN)
def test_keys_of_their_own_or_shared_on_purpose(case):
    """Nothing refuses them while they are traced, which is when it would."""
    jax.eval_shape(OWN[case])


def test_copies_of_a_key_share_and_keys_do_not():
    shared, own = OWN["copies of a key"](), OWN["keys of rows"]()
    assert np.isfinite(shared).all()
    assert (shared != own).any()


@pytest.mark.parametrize("lift", ["vmap", "scan"])
def test_transforms_of_flax_share_by_split_rngs(lift):
    class Step(nn.Module):
        @nn.compact
        def __call__(self, carry, x):
            return carry, jn.GaussianNoise(0.1, train=True)(x)

    rows = jnp.zeros((3, 4))
    for split in (True, False):
        if lift == "vmap":
            lifted = nn.vmap(jn.GaussianNoise, split_rngs={"noise": split})
            layer = lifted(0.1, train=True)
            out = layer.apply({}, rows, rngs={"noise": KEY})
        else:
            layer = nn.scan(Step, split_rngs={"noise": split})()
            _, out = layer.apply({}, 0, rows, rngs={"noise": KEY})
        assert (out[0] == out[1]).all() != split


def test_a_model_of_the_engine_shares_its_noise_over_strengths():
    """By vmap and by map, whatever lies behind the layer that has the strength."""

    def outputs(stddev):
        noises = {
            "input_noise": jn.GaussianNoise(stddev),
            "hidden_noise": jn.Dropout(0.5),
        }
        model = as_model(MLP.clone(**noises))
        return model.apply(VARIABLES, X[0], train=True, key=KEY)[0]

    one_by_one = [jax.jit(outputs)(level) for level in LEVELS]
    for over in (jax.vmap(outputs), lambda levels: lax.map(outputs, levels)):
        np.testing.assert_allclose(jax.jit(over)(LEVELS), one_by_one, rtol=1e-5)


def test_axes_that_share_as_a_whole():
    with keys_shared(True):
        a, b = jax.vmap(call)(stacked(X[0]))
    np.testing.assert_array_equal(a, b)
