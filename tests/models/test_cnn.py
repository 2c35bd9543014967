"""The CNN: against loops, its sites, and what is done with it."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnoise as jn

SITES = ("input_noise", "hidden_noise", "activation_noise", "pool_noise")
IMAGES = (2, 5, 4, 2)


@pytest.fixture
def variables(drawn_variables):
    return drawn_variables(jn.CNN((3, 2), 3), jnp.ones(IMAGES), train=False)


@pytest.fixture
def images(key):
    return np.asarray(jax.random.normal(key, IMAGES))


def convolved(x, kernel, bias, stride=1):
    """A convolution that keeps the size (at stride 1), as loops over outputs."""
    space, window = x.shape[1:-1], kernel.shape[:-2]
    strides = np.broadcast_to(stride, len(space))
    sizes = [-(-n // s) for n, s in zip(space, strides, strict=True)]
    edges = [
        max((size - 1) * s + w - n, 0)
        for size, s, w, n in zip(sizes, strides, window, space, strict=True)
    ]
    x = np.pad(x, [(0, 0), *((e // 2, e - e // 2) for e in edges), (0, 0)])
    out = np.zeros((len(x), *sizes, kernel.shape[-1]))
    for at in np.ndindex(*sizes):
        for offset in np.ndindex(*window):
            place = tuple(
                i * s + o for i, s, o in zip(at, strides, offset, strict=True)
            )
            out[:, *at] += x[:, *place] @ kernel[offset]
    return out + bias


def pooled(x, size):
    """The largest of windows that do not overlap, as loops."""
    windows = np.broadcast_to(size, x.ndim - 2)
    sizes = [n // w for n, w in zip(x.shape[1:-1], windows, strict=True)]
    out = np.zeros((len(x), *sizes, x.shape[-1]))
    for at in np.ndindex(*sizes):
        window = tuple(
            slice(i * w, (i + 1) * w) for i, w in zip(at, windows, strict=True)
        )
        axes = tuple(range(1, x.ndim - 1))
        out[:, *at] = x[:, *window].max(axis=axes)
    return out


def forward(variables, x, stride=1, pool=2, at_input=0, before=0, after=0, below=0):
    """The formula, in NumPy, with a hook at each site."""
    p = jax.tree.map(np.asarray, variables["params"])
    x = x + at_input
    for i in range(len(p) - 1):
        layer = p[f"conv_{i}"]
        x = convolved(x, layer["kernel"], layer["bias"], stride) + before
        x = pooled(np.maximum(x, 0) + after, pool) + below
    return x.reshape(len(x), -1) @ p["output"]["kernel"] + p["output"]["bias"]


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_where_noise_enters(variables, images, shift, key):
    amounts = {"at_input": 0.5, "before": 0.3, "after": -0.2, "below": 0.4}
    for site, (hook, amount) in zip(SITES, amounts.items(), strict=True):
        model = jn.CNN((3, 2), 3, **{site: shift(amount)})
        noisy = model.apply(variables, images, train=True, rngs={"noise": key})
        assert_close(noisy, forward(variables, images, **{hook: amount}))
        clean = model.apply(variables, images, train=False)
        assert_close(clean, forward(variables, images))
    everywhere = jn.CNN((3, 2), 3, *(shift(amount) for amount in amounts.values()))
    noisy = everywhere.apply(variables, images, train=True, rngs={"noise": key})
    assert_close(noisy, forward(variables, images, **amounts))


def test_a_residual_block_adds_its_inputs_before_the_pooling(images, key):
    twice = jn.Noise(lambda key, x: 2 * x)
    model = jn.CNN((2, 2), 3, residual=True, residual_noise=twice)
    variables = model.init(key, images, train=False)
    p = jax.tree.map(np.asarray, variables["params"])
    for train in (False, True):
        x = images
        for i in range(2):
            layer = p[f"conv_{i}"]
            new = np.maximum(convolved(x, layer["kernel"], layer["bias"]), 0)
            x = pooled(x + (1 + train) * new, 2)
        logits = x.reshape(len(x), -1) @ p["output"]["kernel"] + p["output"]["bias"]
        out = model.apply(variables, images, train=train, rngs={"noise": key})
        assert_close(out, logits)


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ((2, 9, 2), {"strides": 2, "pool": 1}),
        ((2, 9, 2), {"kernel_size": 2, "pool": 3}),
        ((1, 4, 3, 2, 2), {"kernel_size": 2}),
        ((2, 4, 9, 2), {"kernel_size": (1, 3), "strides": (1, 2), "pool": (2, 1)}),
    ],
)
def test_series_volumes_and_other_sizes(shape, fields, drawn_variables, key):
    x = np.asarray(jax.random.normal(key, shape))
    model = jn.CNN((3,), 2, **fields)
    variables = drawn_variables(model, x, train=False)
    stride, pool = fields.get("strides", 1), fields.get("pool", 2)
    expected = forward(variables, x, stride, pool)
    assert_close(model.apply(variables, x, train=False), expected)


def test_other_parts(key):
    x = jnp.ones((6, 2, 2, 1))
    model = jn.CNN([4], 1, activation=nn.tanh, kernel_init=nn.initializers.ones)
    out = model.apply(model.init(key, x, train=False), x, train=False)
    np.testing.assert_allclose(out, np.full((6, 1), 4 * np.tanh(4)), rtol=1e-5)
    linear = jn.CNN((), 3)
    out, _ = linear.init_with_output(key, x, train=False)
    assert out.shape == (6, 3)
    assert model.apply(model.init(key, x, train=False), x[:0], train=False).size == 0


def test_initial_weights(key):
    """He's normal kernels, sd ``sqrt(2 / inputs)``, and zero biases, whatever noise."""

    def initial(**noises):
        model = jn.CNN((300,), 3, **noises)
        return jax.jit(lambda: model.init(key, jnp.ones(IMAGES), train=False))()

    params = initial()["params"]
    kernel, sd = params["conv_0"]["kernel"], np.sqrt(2 / (9 * 2))
    assert abs(kernel.std() - sd) < 5 * sd / np.sqrt(2 * kernel.size)
    assert not params["conv_0"]["bias"].any()
    noisy = initial(**dict.fromkeys(SITES, jn.GaussianNoise(0.1)))
    jax.tree.map(np.testing.assert_array_equal, noisy["params"], params)


@pytest.mark.slow
def test_a_site_draws_the_same_whatever_other_sites_do(
    variables, images, recorded, key
):
    def drawn(*sites):
        logs = {site: [] for site in sites}
        model = jn.CNN((3, 2), 3, **{site: recorded(logs[site]) for site in sites})
        apply = jax.jit(partial(model.apply, train=True))
        jax.block_until_ready(apply(variables, images, rngs={"noise": key}))
        return {site: sorted(log, key=np.sum) for site, log in logs.items()}

    together = drawn(*SITES)
    for site, alone in (drawn(*SITES[::2]) | drawn(*SITES[1::2])).items():
        assert len(alone) == (1 if site == "input_noise" else 2)  # one a block
        for ours, theirs in zip(alone, together[site], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    first = [draws.ravel()[0] for log in together.values() for draws in log]
    assert len(set(first)) == len(first)  # and no two sites draw the same


@pytest.mark.slow
def test_described_and_stripped(variables, images, key):
    model = jn.CNN((3, 2), 3, **dict.fromkeys(SITES, jn.GaussianNoise(0.1)))
    table = jn.describe(model, variables, images, key)
    assert list(table.path) == [
        "input_noise_0",
        *(f"{site}_{i}" for i in range(2) for site in SITES[1:]),
    ]
    assert table.fired.all()
    np.testing.assert_array_equal(
        jn.strip_noise(model).apply(variables, images),
        model.apply(variables, images, train=False),
    )


@pytest.mark.bad_input
def test_bad_fields():
    with pytest.raises(TypeError, match=r"features must be .* \(500,\), got 16"):
        jn.CNN(16, 1)
    for site in SITES:
        with pytest.raises(TypeError, match=f"{site} must be a noise layer .* got 0.1"):
            jn.CNN((5,), 1, **{site: 0.1})
    for size, wrong in [
        ("outputs", 0),
        ("kernel_size", (3, 0)),
        ("strides", 1.0),
        ("pool", True),
    ]:
        with pytest.raises(
            TypeError, match=f"{size} must be an int of at least 1.*, got"
        ):
            jn.CNN((5,), **{"outputs": 1, size: wrong})
    for none in (1, (1, 1)):
        with pytest.raises(ValueError, match="pool_noise needs a pooling, but pool is"):
            jn.CNN((5,), 1, pool=none, pool_noise=jn.GaussianNoise(0.1))


@pytest.mark.bad_input
def test_bad_inputs(variables, key):
    model = jn.CNN((3, 2), 3, hidden_noise=jn.GaussianNoise(0.1))
    with pytest.raises(ValueError, match=r"x must have rows, .* got shape \(5, 64\)"):
        model.init(key, jnp.ones((5, 64)), train=False)
    series = jn.CNN((3,), 3, kernel_size=(3, 3))
    with pytest.raises(ValueError, match=r"kernel_size must have one .* 1, got \(3, 3"):
        series.init(key, jnp.ones((5, 8, 1)), train=False)
    with pytest.raises(ValueError, match=r"too small to be pooled by 2 .* \(1, 2\)"):
        model.init(key, jnp.ones((5, 3, 4, 1)), train=False)
    with pytest.raises(ValueError, match="GaussianNoise 'hidden_noise_0' is active"):
        model.apply(variables, jnp.ones(IMAGES), train=True)
