"""Noise on gradients: its law, its place in a chain, its keys."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnoise as jn
from jaxnoise.noise.functions import tree_add_gaussian_noise

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}
GRADS = {"w": jnp.full((2, 3), 0.5), "b": jnp.ones(3)}


@pytest.mark.parametrize(
    ("step", "stddev"), [(0, 0.547723), (9, 0.290777), (99, 0.154369), (999, 0.081952)]
)
def test_the_schedule_of_neelakantan(step, stddev):
    """T9: eta = 0.3 is the variance at step 0, gamma = 0.55."""
    schedule = jn.neelakantan_schedule(0.3)
    np.testing.assert_allclose(schedule(step), stddev, atol=1e-6)
    np.testing.assert_allclose(schedule(jnp.int32(step)), stddev, atol=1e-6)
    many = jax.vmap(lambda eta: jn.neelakantan_schedule(eta)(step))(jnp.array([0.3, 0]))
    np.testing.assert_allclose(many, [stddev, 0], atol=1e-6)


def test_noise_comes_before_the_learning_rate(key):
    """One step of gradient descent is ``p - lr * (g + noise)``."""
    optimizer = optax.chain(jn.gradient_noise(0.3), optax.sgd(0.01))
    updates, _ = optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS, key=key)
    noisy = tree_add_gaussian_noise(key, GRADS, 0.3)
    for name, update in updates.items():
        np.testing.assert_allclose(update, -0.01 * noisy[name], rtol=1e-6)


def test_the_schedule_counts_updates(key):
    optimizer = jn.gradient_noise(jn.neelakantan_schedule(0.3))
    state = optimizer.init(PARAMS)
    unit = tree_add_gaussian_noise(key, jax.tree.map(jnp.zeros_like, GRADS), 1.0)
    for stddev in 0.547723, 0.547723 / 2**0.275, 0.547723 / 3**0.275:
        noisy, state = jax.jit(optimizer.update)(GRADS, state, key=key)
        for name in GRADS:
            expected = GRADS[name] + stddev * unit[name]
            np.testing.assert_allclose(noisy[name], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["gradient_noise", "langevin_noise"])
def test_the_stationary_law(name):
    """T9: on ``a w**2 / 2`` descent ends with ``Var w = lr s**2 / (a (2 - lr a))``.

    And Langevin's with ``1 / (a (1 - lr a / 4))``.
    """
    a, lr, s, chains = 1.0, 0.1, 0.5, 20_000
    optimizer = optax.chain(jn.gradient_noise(s), optax.sgd(lr))
    exact = lr * s**2 / (a * (2 - lr * a))
    assert abs(exact - 0.0131579) <= 1e-7
    if name == "langevin_noise":
        a, lr = 2.0, 0.3
        optimizer, exact = jn.langevin_noise(lr), 1 / (a * (1 - lr * a / 4))

    def walk(key):
        def step(carry, key):
            w, state = carry
            updates, state = optimizer.update(a * w, state, w, key=key)
            return (optax.apply_updates(w, updates), state), None

        w = jnp.float32(0)
        carry, _ = jax.lax.scan(
            step, (w, optimizer.init(w)), jax.random.split(key, 150)
        )
        return carry[0]

    keys = jax.random.split(jax.random.key(1), chains)
    w = np.asarray(jax.jit(jax.vmap(walk))(keys), float)
    assert abs(w.mean()) <= 5 * np.sqrt(exact / chains)
    assert abs(w.var() - exact) <= 5 * exact * np.sqrt(2 / chains)


def descent(optimizer, gradient, start, steps, key):
    """The parameters before every step."""

    def step(carry, key):
        w, state = carry
        updates, state = optimizer.update(gradient(w), state, w, key=key)
        return (optax.apply_updates(w, updates), state), w

    state = optimizer.init(start)
    return jax.lax.scan(step, (start, state), jax.random.split(key, steps))


def test_anticorrelated_noise_is_noise_on_weights_that_stay_clean(key):
    """Where ``weight_noise`` takes its gradients, and, less the draw, what it keeps."""
    start, s, steps = {"u": jnp.array([1.0, -2.0]), "v": jnp.array(0.7)}, 0.3, 20
    gradient = jax.grad(lambda p: (p["u"] ** 2).sum() * p["v"] ** 2 + p["v"] ** 4)
    after = optax.chain(optax.sgd(0.05), jn.anticorrelated_noise(s))

    def clean_step(carry, key):
        clean, noisy = carry
        moved = jax.tree.map(lambda w, g: w - 0.05 * g, clean, gradient(noisy))
        return (moved, tree_add_gaussian_noise(key, moved, s)), noisy

    @jax.jit
    def both():
        keys = jax.random.split(key, steps)
        ours = descent(after, gradient, start, steps, key)
        return ours, jax.lax.scan(clean_step, (start, start), keys)

    ((w, state), path), ((clean, noisy), theirs) = both()
    kept = jax.tree.map(jnp.subtract, w, state[1].noise)
    for ours, exact in ((path, theirs), (w, noisy), (kept, clean)):
        jax.tree.map(partial(np.testing.assert_allclose, atol=1e-5), ours, exact)
    assert abs(w["v"] - clean["v"]) > 1e-3


def test_anticorrelated_noise_finds_flatter_minima_in_a_widening_valley():
    """Of ``v**2 |u|**2 / 2``, whose Hessian has the trace ``10 v**2 + |u|**2``."""
    start, chains = {"u": jnp.zeros(10), "v": jnp.array(1.0)}, 50
    gradient = jax.grad(lambda p: p["v"] ** 2 * (p["u"] ** 2).sum() / 2)
    sgd, noise = optax.sgd(0.01), 0.05
    after = optax.chain(sgd, jn.anticorrelated_noise(noise))
    free = optax.chain(sgd, jn.gradient_noise(noise))

    @jax.jit
    @jax.vmap
    def curvatures(key):
        ends = [descent(o, gradient, start, 4000, key)[0][0] for o in (after, free)]
        return jnp.stack([10 * w["v"] ** 2 + (w["u"] ** 2).sum() for w in ends])

    flat, uncorrelated = np.asarray(
        curvatures(jax.random.split(jax.random.key(2), chains)), float
    ).T
    difference = uncorrelated - flat
    assert difference.mean() > 5 * difference.std() / np.sqrt(chains)
    assert 10 - flat.mean() > 5 * flat.std() / np.sqrt(chains)


def test_strengths_may_be_traced_and_0_is_exact(key):
    def noisy(stddev):
        optimizer = jn.gradient_noise(stddev)
        return optimizer.update(GRADS, optimizer.init(PARAMS), key=key)[0]

    many = jax.jit(jax.vmap(noisy))(jnp.array([0.0, 0.5]))
    for name in GRADS:
        np.testing.assert_array_equal(many[name][0], GRADS[name])
        np.testing.assert_allclose(many[name][1], noisy(0.5)[name], rtol=1e-6)


@pytest.mark.slow
def test_the_engine_gives_every_seed_its_own_noise():
    def recipe(stddev):
        return jn.Recipe(
            model=jn.MLP((), 1, kernel_init=jax.nn.initializers.zeros),
            loss=jn.losses.squared_error,
            optimizer=optax.chain(jn.gradient_noise(stddev), optax.sgd(0.1)),
        )

    data = jn.Data(train=(np.ones((4, 1)), np.ones((4, 1))))
    result = jn.sweep(
        {"gradients": recipe},
        strengths={"gradients": [0.0, 0.5]},
        data=data,
        seeds=3,
        epochs=3,
        batch_size=4,
        keep_params=True,
    )
    kernels = [v["params"]["output"]["kernel"].item() for v in result.variables]
    assert len(set(kernels[:3])) == 1  # at strength 0 nothing differs
    assert len(set(kernels[3:])) == 3


def test_inside_a_chain_with_plain_members(key):
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0), jn.gradient_noise(0.1), optax.adam(1e-3)
    )
    updates, _ = optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS, key=key)
    assert jax.tree.structure(updates) == jax.tree.structure(GRADS)


@pytest.mark.bad_input
def test_bad_gradient_noise(key):
    for bad in (-0.1, np.nan):
        with pytest.raises(ValueError, match="stddev must be finite and >= 0, got"):
            jn.gradient_noise(bad)
        with pytest.raises(ValueError, match="eta must be finite and >= 0, got"):
            jn.neelakantan_schedule(bad)
        with pytest.raises(ValueError, match="gamma must be finite and >= 0, got"):
            jn.neelakantan_schedule(0.1, bad)
        with pytest.raises(ValueError, match="stddev must be finite and >= 0, got"):
            jn.anticorrelated_noise(bad)
        with pytest.raises(ValueError, match="learning_rate must be finite and >= 0"):
            jn.langevin_noise(bad)
    with pytest.raises(TypeError, match="stddev must be a number .* got '0.1'"):
        jn.gradient_noise("0.1")
    for name in ("gradient_noise", "anticorrelated_noise", "langevin_noise"):
        optimizer = getattr(jn, name)(0.1)
        with pytest.raises(TypeError, match=f"^{name} needs a key each step: .*=key"):
            optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS)
    optimizer = optax.chain(jn.gradient_noise(0.1), optax.sgd(0.1))
    with pytest.raises(TypeError, match="typed key"):
        optimizer.update(
            GRADS, optimizer.init(PARAMS), PARAMS, key=jax.random.PRNGKey(0)
        )
