"""Strengths of the step and learned ones, in layers, in a loop, and in the engine."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnoise as jn

X = jnp.ones((4, 3))


def schedule(step):
    return 0.5 * 0.1**step


def apply(layer, variables, key, **arguments):
    return layer.apply(
        variables, X, train=True, rngs={"noise": key}, mutable=["noise"], **arguments
    )


# Schedules


def test_a_schedule_counts_noisy_calls(key):
    layer = jn.GaussianNoise(schedule)
    variables = layer.init(key, X, train=False)
    assert variables == {"noise": {"stddev_step": 0}}
    unit = apply(jn.GaussianNoise(1.0), {}, key)[0] - X
    for step in range(3):
        out, variables = apply(layer, variables, key)
        np.testing.assert_allclose(out - X, schedule(step) * unit, atol=1e-6)
        assert variables["noise"]["stddev_step"] == step + 1
        np.testing.assert_array_equal(layer.apply(variables, X, train=False), X)


def test_a_clean_pass_needs_no_counter(key):
    np.testing.assert_array_equal(
        jn.GaussianNoise(schedule).apply({}, X, train=False), X
    )


def test_a_traced_switch_counts_when_it_is_on(key):
    layer = jn.GaussianNoise(schedule)
    variables = layer.init(key, X, train=False)

    @jax.jit
    def call(variables, train):
        return layer.apply(
            variables, X, train=train, rngs={"noise": key}, mutable=["noise"]
        )

    out, off = call(variables, False)
    np.testing.assert_array_equal(out, X)
    assert off["noise"]["stddev_step"] == 0
    assert call(variables, True)[1]["noise"]["stddev_step"] == 1


@pytest.mark.parametrize("make", [jn.Dropout, jn.GaussianDropout, jn.NEFTuneNoise])
def test_layers_of_any_strength_take_a_schedule(make, key):
    """From 0.5 to 0, where the result is x."""
    layer = make(lambda step: jnp.where(step < 1, 0.5, 0.0))
    variables = layer.init(key, X, train=False)
    out, variables = apply(layer, variables, key)
    assert (out != X).any()
    out, _ = apply(layer, variables, key)
    np.testing.assert_array_equal(out, X)


def test_an_optax_schedule_in_the_engine():
    """The noise of step t has the schedule's strength at t."""
    steps = 5
    levels = optax.linear_schedule(1.0, 0.0, steps - 1)

    def recipe(noise):
        return jn.Recipe(
            model=jn.MLP((), 1, input_noise=noise),
            loss=jn.losses.squared_error,
            optimizer=optax.sgd(0.1),
        )

    data = jn.Data(train=(np.ones((6, 2)), np.zeros((6, 1))))

    def run(noise):
        train = jn.make_train(lambda _: recipe(noise), epochs=steps, batch_size=6)
        return jax.jit(train)(jax.random.key(1), 0.0, data)

    scheduled, constant = run(jn.GaussianNoise(levels)), run(jn.GaussianNoise(1.0))
    counter = scheduled.variables["noise"]["input_noise_0"]["stddev_step"]
    assert counter == steps
    ours, theirs = (r.curves["train_loss"] for r in (scheduled, constant))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)  # after one step of 1.0
    assert not np.isclose(ours[1:], theirs[1:], rtol=1e-3).any()


def test_schedules_inside_nn_scan_and_remat(key):
    class Step(nn.Module):
        @nn.compact
        def __call__(self, x, _):
            return x, nn.remat(jn.GaussianNoise)(schedule, train=True)(x)

    scan = nn.scan(
        Step,
        variable_broadcast="params",
        variable_axes={"noise": 0},  # a counter for each turn of the loop
        split_rngs={"noise": True},
        length=3,
    )
    variables = scan().init({"noise": key}, X, None)
    spreads = []
    for step in range(3):
        (_, out), variables = scan().apply(
            variables, X, None, rngs={"noise": key}, mutable=["noise"]
        )
        (counters,) = jax.tree.leaves(variables)
        np.testing.assert_array_equal(counters, [step + 1] * 3)
        spreads.append(np.abs(out - X))
    np.testing.assert_allclose(
        spreads[1], schedule(1) / schedule(0) * spreads[0], atol=1e-6
    )
    np.testing.assert_allclose(
        spreads[2], schedule(2) / schedule(0) * spreads[0], atol=1e-6
    )


@pytest.mark.bad_input
def test_a_schedule_without_its_counter(key):
    layer = jn.GaussianNoise(schedule)
    variables = layer.init(key, X, train=False)
    with pytest.raises(ValueError, match=r"has a schedule.*mutable=\['noise'\]"):
        layer.apply(variables, X, train=True, rngs={"noise": key})


# Learned strengths


def test_a_learned_strength_starts_where_it_is_told(key):
    for init, floor in ((0.5, 0.0), (0.3, 0.2), (30.0, 1.0), (1e-3, 0.0)):
        layer = jn.GaussianNoise(jn.Learnable(init, floor))
        variables = layer.init(key, X, train=False)
        rngs = {"noise": key}
        noisy = layer.apply(variables, X, train=True, rngs=rngs)
        plain = jn.GaussianNoise(init).apply({}, X, train=True, rngs=rngs)
        np.testing.assert_allclose(noisy, plain, rtol=1e-5)
    features = jn.GaussianNoise(jn.Learnable(np.array([0.1, 0.2, 0.3])))
    variables = features.init(key, X, train=False)
    assert variables["params"]["learnable_stddev"].shape == (3,)


def test_the_floor_holds(key):
    layer = jn.GaussianNoise(jn.Learnable(0.3, floor=0.2))
    noise = layer.apply(
        {"params": {"learnable_stddev": jnp.float32(-50)}},
        jnp.zeros(3),
        train=True,
        rngs={"noise": key},
    )
    plain = jn.GaussianNoise(0.2).apply(
        {}, jnp.zeros(3), train=True, rngs={"noise": key}
    )
    np.testing.assert_allclose(noise, plain, rtol=1e-6)


def test_the_gradient_of_a_learned_strength():
    """T13: ``dE/ds = 2 s ||w||**2`` for linear least squares, to 5 standard errors."""
    s, n = 0.4, 20_000
    x, y, w = jnp.array([1.0, -2.0, 0.5]), 0.3, jnp.array([0.2, 1.0, -0.4])
    layer = jn.GaussianNoise(jn.Learnable(s))
    params = layer.init(jax.random.key(0), x, train=False)["params"]

    def loss(params, key):
        noisy = layer.apply({"params": params}, x, train=True, rngs={"noise": key})
        return (noisy @ w - y) ** 2

    keys = jax.random.split(jax.random.key(1), n)
    slopes = jax.vmap(jax.grad(loss), (None, 0))(params, keys)["learnable_stddev"]
    chain = jax.grad(jax.nn.softplus)(params["learnable_stddev"])
    slopes = np.asarray(slopes / chain, np.float64)
    exact = 2 * s * float((w**2).sum())
    assert abs(slopes.mean() - exact) <= 5 * slopes.std() / np.sqrt(n)


def learned(penalty, steps, rate, rows):
    """The strength that the engine learns, for a linear model with fixed weights w.

    A model of the protocol whose only parameter is the layer's. Its inputs are 0, so
    that the mean loss is ``s**2 ||w||**2``.
    """
    w = jnp.array([0.6, 0.8, 1.0])
    layer = jn.GaussianNoise(jn.Learnable(0.2))

    class Fixed:
        def init(self, key, x):
            return layer.init(key, x, train=False)

        def apply(self, variables, x, *, train, key):
            rngs = {"noise": key} if train else None
            noisy = layer.apply(variables, x, train=train, rngs=rngs)
            return noisy @ w[:, None], variables

    def recipe(_):
        return jn.Recipe(
            model=Fixed(),
            loss=jn.losses.squared_error,
            optimizer=optax.sgd(optax.cosine_decay_schedule(rate, steps)),
            penalty=penalty,
        )

    data = jn.Data(train=(np.zeros((rows, 3)), np.zeros((rows, 1))))
    train = jn.make_train(recipe, epochs=steps, batch_size=rows, curves=())
    run = jax.jit(train)(jax.random.key(3), 0.0, data)
    raw = run.variables["params"]["learnable_stddev"]
    return float(jax.nn.softplus(raw)), float((w**2).sum())


def test_a_learned_strength_with_a_prior_has_its_fixed_point():
    """T13: ``s* = sqrt(beta / 2) / ||w||``."""
    beta = 0.5
    strength, norm = learned(jn.strength_prior(beta), 400, rate=0.5, rows=20_000)
    assert abs(strength - np.sqrt(beta / 2 / norm)) <= 1e-3


def test_a_learned_strength_without_a_prior_collapses():
    """T13: nothing but 0 is a fixed point of a plain loss."""
    few, many = (learned(None, n, rate=2.0, rows=1000)[0] for n in (10, 1000))
    assert 0.2 > few > many
    assert many < 0.02


def test_the_prior_finds_every_layer(key):
    model = jn.MLP(
        (4,),
        1,
        input_noise=jn.GaussianNoise(jn.Learnable(0.5)),
        hidden_noise=jn.GaussianDropout(stddev=jn.Learnable(0.3, floor=0.1)),
        activation_noise=jn.GaussianNoise(0.1),
    )
    params = model.init(key, X, train=False)["params"]
    assert set(params) >= {"input_noise_0", "hidden_noise_0"}
    penalty = jn.strength_prior(2.0)(None, params, None)
    np.testing.assert_allclose(penalty, -2 * (np.log(0.5) + np.log(0.2)), rtol=1e-5)


class CalledTwice(nn.Module):
    """One layer, called twice."""

    strength: object

    def setup(self):
        self.noise = jn.GaussianNoise(self.strength)

    def __call__(self, x, train):
        return self.noise(x, train=train), self.noise(x, train=train)


class CalledTwiceCompact(nn.Module):
    strength: object

    @nn.compact
    def __call__(self, x, train):
        noise = jn.GaussianNoise(self.strength, name="noise")
        return noise(x, train=train), noise(x, train=train)


@pytest.mark.parametrize("kind", [CalledTwice, CalledTwiceCompact])
def test_a_layer_that_is_called_twice(kind, key):
    """One parameter, one counter, which counts both calls."""
    x, rngs = jnp.zeros(5), {"noise": key}
    learned = kind(jn.Learnable(0.3))
    variables = learned.init(key, x, train=False)
    assert set(variables["params"]["noise"]) == {"learnable_stddev"}
    a, b = learned.apply(variables, x, train=True, rngs=rngs)
    plain, _ = kind(0.3).apply({}, x, train=True, rngs=rngs)
    np.testing.assert_allclose(a, plain, rtol=1e-5)
    assert (a != b).all()
    rising = kind(lambda step: 1.0 * step)
    variables = rising.init(key, x, train=False)
    (a, b), left = rising.apply(variables, x, train=True, rngs=rngs, mutable=["noise"])
    np.testing.assert_array_equal(a, x)
    assert (b != x).all()
    assert left["noise"]["noise"]["stddev_step"] == 2


def test_start_and_floor_may_be_traced(key):
    """So that a sweep can vary them."""

    def parameter(start):
        layer = jn.GaussianNoise(jn.Learnable(start, start / 2))
        return layer.init(key, X, train=False)["params"]["learnable_stddev"]

    starts = np.array([0.2, 0.6])
    above = jax.nn.softplus(jax.jit(jax.vmap(parameter))(starts))
    np.testing.assert_allclose(above, starts / 2, rtol=1e-5)


def test_the_prior_is_finite_far_out():
    value, slope = jax.value_and_grad(
        lambda p: jn.strength_prior(1.0)(None, {"learnable_stddev": p}, None)
    )(-110.0)
    np.testing.assert_allclose([value, slope], [110.0, -1.0])


def test_the_derivative_at_rate_0_is_finite(key):
    """The root of the rate is infinitely steep there; 0 stands in for it."""

    def total(rate):
        layer = jn.GaussianDropout(rate, train=True)
        return layer.apply({}, X, rngs={"noise": key}).sum()

    assert jax.grad(total)(0.0) == 0
    assert np.isfinite(jax.grad(total)(0.1))


def test_layers_tabulate(key):
    """Flax' own table of a model, for every kind of strength."""
    wide = {"console_kwargs": {"width": 200}}
    for strength in (0.1, jn.Learnable(0.1), schedule):
        model = jn.MLP((4,), 1, input_noise=jn.GaussianNoise(strength))
        assert "GaussianNoise" in model.tabulate(key, X, train=False, **wide)
    layer = jn.GaussianDropout(0.1)
    assert "GaussianDropout" in layer.tabulate(key, X, train=False, **wide)


@pytest.mark.bad_input
def test_a_scheduled_rate_of_1(key):
    layer = jn.GaussianDropout(lambda step: 1.0)
    with pytest.raises(ValueError, match="rate must be below 1"):
        apply(layer, layer.init(key, X, train=False), key)


@pytest.mark.bad_input
def test_bad_learned_strengths(key):
    with pytest.raises(ValueError, match="init must be above the floor, 0.5, got 0.5"):
        jn.Learnable(0.5, floor=0.5)
    with pytest.raises(ValueError, match="init must be above the floor, 0.0, got 0"):
        jn.Learnable(0)
    with pytest.raises(ValueError, match="floor must be finite and >= 0, got -1"):
        jn.Learnable(0.5, floor=-1.0)
    with pytest.raises(ValueError, match="beta must be finite and >= 0, got -1"):
        jn.strength_prior(-1.0)
    with pytest.raises(ValueError, match="params must hold a learnable strength"):
        jn.strength_prior(1.0)(None, {"kernel": jnp.ones(3)}, None)
    for strength in (jn.Learnable(0.1), schedule):
        np.testing.assert_array_equal(jn.GaussianNoise(strength)(X, train=False), X)
        with pytest.raises(ValueError, match="no 'noise' key stream"):
            jn.GaussianNoise(strength)(X, train=True)
