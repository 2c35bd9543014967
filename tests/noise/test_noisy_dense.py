"""NoisyDense: its parameters, its noise, and its switch."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, PartitionSpec

import jaxnoise as jn

LAYER, X = jn.NoisyDense(5), jnp.ones((3, 4))
VARIABLES = LAYER.init(jax.random.key(7), X, train=False)


def test_parameters():
    params = VARIABLES["params"]
    assert {name: leaf.shape for name, leaf in params.items()} == {
        "kernel": (4, 5),
        "kernel_stddev": (4, 5),
        "bias": (5,),
        "bias_stddev": (5,),
    }
    for name in ("kernel", "bias"):
        assert abs(params[name]).max() <= 1 / np.sqrt(4)
        assert len(np.unique(params[name])) == params[name].size
        np.testing.assert_allclose(params[f"{name}_stddev"], 0.5 / np.sqrt(4))
    bare = jn.NoisyDense(5, use_bias=False).init(jax.random.key(7), X, train=False)
    assert set(bare["params"]) == {"kernel", "kernel_stddev"}


def test_off_is_a_dense_layer_and_needs_no_key():
    params = VARIABLES["params"]
    expected = X @ params["kernel"] + params["bias"]
    out = LAYER.apply(VARIABLES, X, train=False)
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    same = jn.NoisyDense(5, stddev_init=0.0)
    variables = same.init(jax.random.key(7), X, train=False)
    noisy = same.apply(variables, X, train=True, rngs={"noise": jax.random.key(0)})
    np.testing.assert_array_equal(noisy, same.apply(variables, X, train=False))


def test_the_noise_is_of_rank_1_and_one_for_all_rows():
    """T10: weights ``mu + sigma f(e_i) f(e_j)``, biases ``b + s f(e_j)``."""
    rngs = {"noise": jax.random.key(1)}
    x = jnp.concatenate([jnp.eye(4), jnp.zeros((1, 4))])
    noise = LAYER.apply(VARIABLES, x, train=True, rngs=rngs) - LAYER.apply(
        VARIABLES, x, train=False
    )
    bias = np.asarray(noise[-1], np.float64)
    kernel = np.asarray(noise[:-1], np.float64) - bias
    assert np.linalg.matrix_rank(kernel, tol=1e-5) == 1
    ratio = kernel / bias  # f(e_i), whatever the output
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], (4, 5)), rtol=1e-3)


def test_output_moments():
    """Mean that of the clean pass; variance from ``E f**2 = sqrt(2/pi)``."""
    n, sigma, second = 100_000, 0.25, np.sqrt(2 / np.pi)
    x = jnp.array([1.0, -2.0, 0.5, 3.0])
    keys = jax.random.split(jax.random.key(2), n)

    def call(key):
        return LAYER.apply(VARIABLES, x, train=True, rngs={"noise": key})[0]

    out = np.asarray(jax.jit(jax.vmap(call))(keys), np.float64)
    clean = float(LAYER.apply(VARIABLES, x, train=False)[0])
    assert abs(out.mean() - clean) <= 5 * out.std() / np.sqrt(n)
    squares = (out - clean) ** 2
    exact = sigma**2 * (second**2 * float((x**2).sum()) + second)
    assert abs(squares.mean() - exact) <= 5 * squares.std() / np.sqrt(n)


def test_strengths_are_learned():
    def loss(params, key):
        out = LAYER.apply({"params": params}, X, train=True, rngs={"noise": key})
        return (out**2).mean()

    grads = jax.grad(loss)(VARIABLES["params"], jax.random.key(3))
    assert all((leaf != 0).all() for leaf in jax.tree.leaves(grads))


def test_traced_switch_dtype_and_shapes():
    call = jax.jit(
        lambda t: LAYER.apply(VARIABLES, X, t, rngs={"noise": jax.random.key(4)})
    )
    np.testing.assert_allclose(call(False), LAYER.apply(VARIABLES, X, False), rtol=1e-6)
    assert (call(True) != call(False)).all()
    half = LAYER.apply(VARIABLES, X.astype(jnp.bfloat16), train=False)
    assert half.dtype == jnp.bfloat16
    deep = LAYER.apply(VARIABLES, jnp.ones((2, 3, 4)), train=False)
    assert deep.shape == (2, 3, 5)


@pytest.mark.slow
def test_as_a_model_of_the_engine():
    def recipe(stddev):
        return jn.Recipe(
            model=jn.NoisyDense(1, stddev_init=stddev),
            loss=jn.losses.squared_error,
            optimizer=optax.sgd(0.1),
        )

    data = jn.Data(train=(np.ones((4, 2)), np.ones((4, 1))))
    result = jn.sweep(
        {"noisy": recipe},
        strengths={"noisy": [0.0, 0.5]},
        data=data,
        seeds=2,
        epochs=2,
        batch_size=4,
    )
    loss = result.runs["train_loss"].to_numpy()
    assert (loss[2:] != loss[:2]).all()


@pytest.mark.slow
def test_under_transforms(key):
    """Calls of a scan, a map or a vmap draw their own; a checkpoint draws the same."""
    rows = jnp.stack([X, X, X, X])
    keys = jax.random.split(key, 4)

    def call(key, x=X):
        return LAYER.apply(VARIABLES, x, train=True, rngs={"noise": key})

    one_by_one = np.stack([call(key) for key in keys])
    assert (one_by_one[0] != one_by_one[1]).all()
    np.testing.assert_allclose(jax.lax.map(call, keys), one_by_one, atol=1e-6)
    mesh, spec = Mesh(np.array(jax.devices()), ("i",)), PartitionSpec("i")
    sharded = jax.shard_map(jax.vmap(call), mesh=mesh, in_specs=spec, out_specs=spec)
    np.testing.assert_allclose(jax.jit(sharded)(keys), one_by_one, atol=1e-6)

    again = nn.remat(jn.NoisyDense, static_argnums=(2,))(5)
    out = again.apply(VARIABLES, X, True, rngs={"noise": key})
    np.testing.assert_allclose(out, call(key), atol=1e-6)
    axes = {"params": None}
    split = {"params": False, "noise": True}
    over_rows = nn.vmap(jn.NoisyDense, variable_axes=axes, split_rngs=split)
    out = over_rows(5, train=True).apply(VARIABLES, rows, rngs={"noise": key})
    assert (out[0] != out[1]).all()

    class Step(nn.Module):
        @nn.compact
        def __call__(self, carry, x):
            return carry, jn.NoisyDense(5, name="dense", train=True)(x)

    steps = nn.scan(Step, variable_broadcast="params", split_rngs=split)()
    variables = {"params": {"dense": VARIABLES["params"]}}
    _, out = steps.apply(variables, 0, rows, rngs={"noise": key})
    assert (out[0] != out[1]).all()


@pytest.mark.bad_input
def test_what_goes_wrong():
    with pytest.raises(ValueError, match="x must have an axis of inputs, got a single"):
        LAYER.init(jax.random.key(0), 1.0, train=False)
    with pytest.raises(ValueError, match="stddev_init must be finite and >= 0, got -1"):
        jn.NoisyDense(3, stddev_init=-1.0)
    with pytest.raises(ValueError, match="^NoisyDense is active .* 'noise' key stream"):
        LAYER.apply(VARIABLES, X, train=True)
    with pytest.raises(ValueError, match="NoisyDense: train must be given"):
        LAYER.apply(VARIABLES, X)
    with pytest.raises(TypeError, match="x must be floating"):
        LAYER.apply(VARIABLES, np.ones((3, 4), int), train=False)
