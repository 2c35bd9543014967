"""Scores under noise at test time, against laws of linear models."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import jaxnoise as jn
from jaxnoise.training.sweep import TrainedModel

KEY, LEVELS, ROWS, DRAWS = jax.random.key(0), [0.0, 0.5, 2.0], 2500, 8


@pytest.fixture(scope="module")
def rows():
    x = jax.random.normal(jax.random.key(1), (ROWS, 1))
    return x, x > 0


@pytest.fixture(scope="module")
def curve(result):
    data = jn.data.circles(population=1500)
    return jn.noise_curve(result, data, LEVELS, key=KEY, draws=3)


def test_accuracy_of_a_threshold_under_noise(rows):
    """x and x + t e agree in sign with probability 1/2 + arctan(1/t) / pi."""
    found = jn.noise_curve({"a": lambda x: x}, rows, LEVELS, key=KEY, draws=DRAWS)
    expected = 0.5 + np.arctan2(1, LEVELS) / np.pi
    error = 5 * np.sqrt(0.25 / ROWS)  # rows are the same in all draws
    np.testing.assert_allclose(found.runs["accuracy"], expected, atol=error)
    assert found.runs["accuracy"][0] == 1
    assert found.comparison is None
    assert found.runs["stddev"].tolist() == LEVELS


def test_any_noise_and_any_metric(rows):
    def gone(key, x, rate):
        return jn.drop_units(key, x, rate) * (1 - rate)

    found = jn.noise_curve(
        {"a": lambda x: x},
        (rows[0], rows[0]),
        [0.0, 0.5],
        key=KEY,
        noise=gone,
        metric=jn.metrics.absolute_error,
    )
    expected = 0.5 * np.abs(np.asarray(rows[0])).mean()
    assert found.score == "absolute_error"
    np.testing.assert_allclose(found.runs["absolute_error"], [0, expected], rtol=0.05)


def test_weights(rows):
    """w x with w + t e has the sign of x with probability Phi(w / t)."""
    model = jn.MLP((), 1)
    params = {"output": {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)}}
    at = lambda key, w, t: jn.add_gaussian_noise(key, w, t * (w.ndim > 1))  # noqa: E731
    trained = TrainedModel(model, {"params": params})
    draws = 2000
    found = jn.noise_curve(
        {"a": trained},
        (rows[0][:3], rows[1][:3]),
        [0.0, 1.0],
        key=KEY,
        site="weights",
        noise=at,
        draws=draws,
    )
    error = 5 * np.sqrt(0.14 / draws)
    np.testing.assert_allclose(found.runs["accuracy"], [1, norm.cdf(1)], atol=error)


def test_every_weight_has_noise_of_its_own():
    """(w + e) x + b + e' has variance 2 t^2 at x = 1."""
    params = {"output": {"kernel": jnp.zeros((1, 1)), "bias": jnp.zeros(1)}}
    model = TrainedModel(jn.MLP((), 1), {"params": params})
    pair, draws = (jnp.ones((1, 1)), jnp.zeros((1, 1))), 4000
    found = jn.noise_curve(
        {"a": model},
        pair,
        [0.5],
        key=KEY,
        site="weights",
        draws=draws,
        metric=jn.metrics.squared_error,
    )
    error = 5 * 0.5 * np.sqrt(2 / draws)
    assert found.runs["squared_error"][0] == pytest.approx(0.5, abs=error)


def test_every_row_has_noise_of_its_own():
    """Rows of several blocks, of which the later ones count against the first."""
    rows = 4096
    pair = jnp.zeros((rows, 1)), jnp.where(jnp.arange(rows) < rows // 2, 1.0, -1.0)
    found = jn.noise_curve(
        {"a": lambda x: x},
        pair,
        [1.0],
        key=KEY,
        draws=1,
        metric=lambda outputs, targets: outputs[:, 0] * targets,
    )
    assert 1e-3 < abs(found.runs["<lambda>"][0]) < 5 / np.sqrt(rows)


@pytest.mark.slow
def test_a_site_is_noisy_as_its_layer_is(result, rows):
    """At strength s, the score is that of the layer with noise s in training."""
    data = jn.data.circles(population=400)["population"]
    runs = result.where("hidden", seed=0)
    found = jn.noise_curve(runs, data, [0.0, 1.0], key=KEY, site="hidden", draws=400)
    model, (x, y) = result.origin.recipes["hidden"](1.0).model, data
    for cell, variables in enumerate(runs.variables):

        def score(key, train):
            z = model.apply(variables, x, train=train, rngs={"noise": key})
            return jn.metrics.binary_accuracy(z, y).mean()

        keys = jax.random.split(jax.random.key(5), 400)
        noisy = jax.jit(jax.vmap(lambda key: score(key, True)))(keys)
        scores = found.runs["accuracy"][2 * cell : 2 * cell + 2]
        np.testing.assert_allclose(scores.iloc[0], score(KEY, False), atol=1e-6)
        error = 5 * np.sqrt(2 / 400) * float(noisy.std())
        np.testing.assert_allclose(scores.iloc[1], noisy.mean(), atol=error)


def test_no_other_site_is_noisy(rows):
    """Whatever a network was trained with."""
    params = jn.MLP((4,), 1).init(KEY, rows[0], train=False)
    noisy = jn.MLP((4,), 1, input_noise=jn.GaussianNoise(5.0))
    models = {"a": jn.MLP((4,), 1), "b": noisy}
    trained = {name: TrainedModel(model, params) for name, model in models.items()}
    found = jn.noise_curve(trained, rows, [1.0], key=KEY, site="hidden", draws=1).runs
    assert found["accuracy"].nunique() == 1


def test_runs_of_a_sweep_with_what_noise_bought(result, curve):
    assert len(curve.runs) == len(result.runs) * len(LEVELS)
    clean = curve.runs[curve.runs["stddev"] == 0]["accuracy"].to_numpy()
    np.testing.assert_allclose(clean, result.runs["population_accuracy"], atol=1e-6)
    rows = curve.comparison
    assert rows.metrics == [f"accuracy at {level:g}" for level in LEVELS]
    at = rows.of("accuracy at 2").iloc[2]
    runs = curve.runs[curve.runs["stddev"] == 2]
    by = runs.groupby(["placement", "strength"], sort=False)["accuracy"].mean()
    assert at["difference"] == pytest.approx(
        by["hidden", 1.0] - by["none", 0.0], abs=1e-6
    )
    text = str(curve)
    assert "mean accuracy, noise on input" in text and "hidden" in text


def test_runs_meet_the_same_draws(result):
    """Runs of the same weights have the same scores, wherever they stand."""
    data = jn.data.circles(population=1500)
    alone = jn.noise_curve(result.where("hidden", 1.0), data, [0.5], key=KEY, draws=3)
    among = jn.noise_curve(result, data, [2.0, 0.5], key=KEY, draws=3).runs
    among = among[(among["strength"] == 1.0) & (among["stddev"] == 0.5)]
    np.testing.assert_allclose(alone.runs["accuracy"], among["accuracy"], atol=1e-6)


@pytest.mark.slow
def test_as_many_devices_as_there_are_change_nothing(result, curve, monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    data = jn.data.circles(population=1500)
    one = jn.noise_curve(result, data, LEVELS, key=KEY, draws=3)
    pd.testing.assert_frame_equal(curve.runs, one.runs)


def test_pictures(curve, tmp_path):
    axes = jn.plots.noise_curve(curve)
    assert axes.get_xlabel() == "noise on input at test time"
    assert len(axes.collections) == 3  # bands
    matrix = jn.plots.noise_matrix(curve)
    assert len(matrix.texts) == 2 * len(LEVELS)
    assert [t.get_text() for t in matrix.get_yticklabels()] == [
        "hidden, 0.1",
        "hidden, 1",
    ]
    for ax, name in ((axes, "curve"), (matrix, "matrix")):
        ax.figure.savefig(tmp_path / f"{name}.png")
    plt.close("all")


def test_no_matrix_without_a_comparison(rows):
    found = jn.noise_curve({"a": lambda x: x}, rows, [1.0], key=KEY)
    jn.plots.noise_curve(found)
    with pytest.raises(ValueError, match="curve must have a comparison"):
        jn.plots.noise_matrix(found)
    plt.close("all")


PAIR = jnp.ones((4, 1)), jnp.ones((4, 1), bool)
BAD = [
    ({"stddevs": [-0.1]}, r"stddevs must be finite and >= 0, got \[-0.1\]"),
    ({"stddevs": 0.1}, "stddevs must be a sequence of numbers, got 0.1"),
    ({"stddevs": [0.1, 0.1]}, "stddevs must be distinct"),
    ({"draws": 0}, "draws must be an int of at least 1, got 0"),
    ({"site": "middle"}, "site must be 'input', or of a trained model.*'middle'"),
    ({"site": "weights"}, "site must be 'input', or of a trained model.*'weights'"),
    ({"source": {}}, "result_or_models must be a SweepResult with keep_params=True"),
    ({"source": {"a": 3}}, "model must be a function x -> logits"),
    ({"data": 3}, r"data must be a jn.Data or a pair \(x, y\), got 3"),
    ({"data": jn.Data(train=PAIR)}, "data must have a set 'population' or 'test'"),
    ({"key": 0}, "key must be a typed key"),
    ({"noise": lambda x: x}, "noise must be a noise function"),
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("given", "message"), BAD, ids=lambda v: str(v)[:30])
def test_bad_input(given, message):
    arguments = {"source": {"a": lambda x: x}, "data": PAIR, "stddevs": [1.0]}
    arguments |= {"key": KEY} | given
    places = [arguments.pop(name) for name in ("source", "data", "stddevs")]
    with pytest.raises((TypeError, ValueError), match=message):
        jn.noise_curve(*places, **arguments)


def test_variables_must_have_been_kept(result):
    without = jn.sweep(
        {"none": result.origin.recipes["none"]},
        strengths={},
        data=jn.data.circles(population=50),
        seeds=1,
        epochs=1,
        batch_size=30,
    )
    with pytest.raises(ValueError, match="a result with keep_params=True"):
        jn.noise_curve(without, PAIR, [0.1], key=KEY)
