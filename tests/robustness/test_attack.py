"""Attacks against linear models, whose worst changes are known, and their checks."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm as normal

import jaxnoise as jn
from jaxnoise.training.sweep import TrainedModel

KEY = jax.random.key(0)
W, B = jnp.array([1.0, -2.0, 0.5]), 0.3
DUAL = {"linf": float(abs(W).sum()), "l2": float(jnp.linalg.norm(W))}
NOISE = 0.5


def line(x):
    return x @ W[:, None] + B


def noisy_line(key, x):
    return line(x + NOISE * jax.random.normal(key, x.shape))


@pytest.fixture(scope="module")
def rows():
    x = jax.random.normal(jax.random.key(1), (700, 3))
    return x, line(x) > 0


def margins(rows):
    x, y = rows
    return np.asarray(jnp.where(y, line(x), -line(x)))[:, 0]


def worst_of(found):
    return found.rows["worst"].to_numpy() == 1


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("steps", [1, 5])
def test_the_worst_of_a_line_is_found(rows, norm, steps):
    """It is the margin less radius times the dual norm of w: one step reaches it."""
    radius = 0.3
    found = jn.attack(line, rows, norm=norm, radius=radius, steps=steps, key=KEY)
    left = margins(rows) - radius * DUAL[norm]
    np.testing.assert_array_equal(worst_of(found), left > 0)
    change = found.adversarial - rows[0]
    size = abs(change).max(1) if norm == "linf" else np.linalg.norm(change, axis=1)
    np.testing.assert_allclose(size, radius, rtol=1e-4)
    attained = margins((found.adversarial, rows[1]))
    np.testing.assert_allclose(attained, left, atol=1e-4)
    assert found.caution == "" and found.checks["passed"].all()
    assert found.accuracy["clean"] == 1
    assert found.accuracy["worst"] == pytest.approx((left > 0).mean())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_several_classes(rows, norm):
    """With two logits as with one; of three no more than there is."""
    ask = {"norm": norm, "radius": 0.2, "key": KEY}

    def two(x):
        return jnp.concatenate([-line(x), line(x)], axis=1) / 2

    one = jn.attack(line, rows, **ask)
    pair = jn.attack(two, (rows[0], rows[1][:, 0].astype(int)), **ask)
    np.testing.assert_array_equal(worst_of(one), worst_of(pair))
    weights = jax.random.normal(jax.random.key(2), (3, 3))
    labels = (rows[0] @ weights).argmax(1)
    found = jn.attack(lambda x: x @ weights, (rows[0], labels), steps=40, **ask)
    off = weights - weights[:, labels].T[:, :, None]  # rows, inputs, classes
    gaps = -jnp.einsum("ni,nij->nj", rows[0], off)
    dual = abs(off).sum(1) if norm == "linf" else jnp.linalg.norm(off, axis=1)
    stands = ((gaps > 0.2 * dual) | (jnp.arange(3) == labels[:, None])).all(1)
    assert not (stands & ~worst_of(found)).any()
    assert (worst_of(found) & ~stands).mean() < 0.01


def test_sure_models_have_a_gradient(rows):
    """The cross-entropy of logits of thousands has none in float32."""
    sure = jn.attack(lambda x: 1e4 * line(x), rows, norm="l2", radius=0.3, key=KEY)
    np.testing.assert_array_equal(worst_of(sure), margins(rows) > 0.3 * DUAL["l2"])
    assert sure.caution == ""
    pair = jn.attack(
        lambda x: 1e4 * jnp.concatenate([-line(x), line(x)], axis=1),
        (rows[0], rows[1][:, 0].astype(int)),
        norm="l2",
        radius=0.3,
        key=KEY,
    )
    np.testing.assert_array_equal(worst_of(pair), worst_of(sure))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_bounds_and_radius_hold(norm):
    x = jax.random.uniform(jax.random.key(3), (64, 2, 4, 1))

    def wavy(x):
        return jnp.sin(7 * x).sum((1, 2))

    ask = {"norm": norm, "radius": 0.4, "key": KEY, "bounds": (0, 1)}
    found = jn.attack(wavy, (x, wavy(x)[:, 0] > 0), steps=7, **ask)
    assert found.adversarial.min() >= 0 and found.adversarial.max() <= 1
    change = (found.adversarial - x).reshape(64, -1)
    size = abs(change).max(1) if norm == "linf" else np.linalg.norm(change, axis=1)
    assert (size <= 0.4 * (1 + 1e-5)).all()
    right = (wavy(found.adversarial)[:, 0] > 0) == (wavy(x)[:, 0] > 0)
    np.testing.assert_array_equal(worst_of(found), right)
    assert found.accuracy["worst"] < 0.5 < found.accuracy["clean"]


@pytest.mark.slow
def test_noise_that_stays_on(rows):
    """The mean over draws is Phi of what the margin leaves, over the noise in it."""
    radius, draws = 0.2, 64
    ask = {"norm": "l2", "radius": radius, "steps": 4, "restarts": 1, "draws": draws}
    found = jn.attack(noisy_line, rows, key=KEY, **ask)
    spread = NOISE * DUAL["l2"]
    for name, left in (("clean", 0), ("mean", radius * DUAL["l2"])):
        expected = normal.cdf((margins(rows) - left) / spread)
        error = np.sqrt((expected * (1 - expected)).sum() / draws) / len(expected)
        assert found.accuracy[name] == pytest.approx(expected.mean(), abs=5 * error)
    assert found.accuracy["worst"] < found.accuracy["mean"]
    assert found.caution == ""
    module = jn.MLP((), 1, input_noise=jn.GaussianNoise(NOISE))
    params = {"output": {"kernel": W[:, None], "bias": jnp.array([B])}}
    model = TrainedModel(module, {"params": params})
    own = jn.attack(model, rows, key=KEY, **ask)
    assert own.accuracy["mean"] == pytest.approx(expected.mean(), abs=5 * error)
    clean = jn.attack(model, rows, key=KEY, norm="l2", radius=radius)
    np.testing.assert_array_equal(worst_of(clean), margins(rows) > radius * DUAL["l2"])


@pytest.mark.slow
def test_judged_by_fresh_draws():
    """Where noise decides alone, draws that chose the point are none that judge it."""

    def coin(key, x):
        return x * 1e-3 + jax.random.normal(key, x.shape)

    pair = jnp.zeros((2000, 1)), jnp.ones((2000, 1))
    ask = {"norm": "l2", "radius": 1e-3, "steps": 3, "key": KEY}
    found = jn.attack(coin, pair, draws=1, **ask)
    assert found.accuracy["mean"] == pytest.approx(0.5, abs=5 * 0.5 / 2000**0.5)


def failed(model, rows, **given):
    ask = {"norm": "linf", "radius": 1.0, "key": KEY} | given
    checks = jn.attack(model, rows, **ask).checks
    return list(checks.loc[~checks["passed"], "check"])


def test_masked_gradients_are_told(rows):
    def rounded(x):
        return line(x + jax.lax.stop_gradient(jnp.round(4 * x) / 4 - x) - x)

    def turned(x):
        return 2 * jax.lax.stop_gradient(line(x)) - line(x)

    def steps(x):
        return line(jnp.round(4 * x) / 4)

    near = rows[0], steps(rows[0]) > 0
    assert "zero gradient" in failed(steps, near, radius=0.3, restarts=1)
    wrong_way = failed(turned, rows, radius=0.5, steps=9, restarts=1)
    assert "white noise" in wrong_way
    found = jn.attack(turned, rows, norm="linf", radius=0.5, key=KEY, restarts=1)
    assert "White noise of that size finds more" in found.caution
    assert "White noise of that size finds more" in str(found)


def test_steps_and_radii_that_overshoot_are_told():
    x, y = jnp.zeros((50, 1)), jnp.ones((50, 1))

    def ditch(x):  # wrong between 1/2 and 3/2
        return (x - 0.5) * (x - 1.5)

    assert failed(ditch, (x, y), steps=1, restarts=1) == ["larger radius"]
    more = failed(ditch, (x, y), steps=2, restarts=1, radius=2.0)
    assert "more steps" in more


def test_as_many_devices_as_there_are_change_nothing(rows, monkeypatch):
    ask = {"norm": "l2", "radius": 0.2, "draws": 3, "steps": 2, "key": KEY}
    several = jn.attack(noisy_line, rows, **ask)
    assert jax.local_device_count() > 1
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    one = jn.attack(noisy_line, rows, **ask)
    pd.testing.assert_frame_equal(several.rows, one.rows)
    pd.testing.assert_frame_equal(several.checks, one.checks)


X = jnp.ones((3, 3))
BAD = [
    ({"norm": "l1"}, 'norm must be "linf" or "l2", got \'l1\''),
    ({"radius": 0.0}, "radius must be finite and > 0, got 0.0"),
    ({"steps": 0}, "steps must be an int of at least 1, got 0"),
    ({"restarts": 1.5}, "restarts must be an int of at least 1, got 1.5"),
    ({"key": 0}, "key must be a typed key"),
    ({"data": (X, jnp.array([0, 1, 2]))}, "data must have a label a row, from 0 to 1"),
    ({"data": (X, jnp.ones((3, 2)))}, r"data must have a label.*shape \(3, 2\)"),
    ({"data": (X.at[0].set(jnp.nan), jnp.ones(3))}, "x must be finite, got NaN"),
    ({"bounds": (2, 3)}, r"bounds must hold all of x, 1 to 1, got \(2, 3\)"),
    ({"model": lambda x: jax.nn.sigmoid(line(x))}, "must return logits, got"),
    ({"draws": 2}, r"model must be a function \(key, x\) -> logits"),
    ({"draws": 2, "model": lambda key, x: line(x)}, "model must have noise"),
    ({"draws": 0, "model": noisy_line}, "draws must be an int of at least 1, got 0"),
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("given", "message"), BAD, ids=lambda v: str(v)[:30])
def test_bad_input(given, message):
    arguments = {"model": line, "data": (X, jnp.ones(3, int)), "key": KEY}
    arguments |= {"norm": "l2", "radius": 1.0} | given
    model, data = arguments.pop("model"), arguments.pop("data")
    with pytest.raises((TypeError, ValueError), match=message):
        jn.attack(model, data, **arguments)
