"""Calibration of runs and of functions, whose errors are known."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

import jaxnoise as jn

ROWS = 20_000


@pytest.fixture(scope="module")
def rows():
    """Labels that are 1 with probability sigmoid(x)."""
    x, e = jax.random.logistic(jax.random.key(0), (2, ROWS, 1))
    return x, (e < x).astype(jnp.int32)


@pytest.fixture(scope="module")
def found(rows):
    models = {"right": lambda x: x, "too sure": lambda x: 3 * x}
    return jn.calibration(models, rows)


def test_a_calibrated_model_and_one_that_is_too_sure(found, rows):
    right, wrong = found.runs.to_dict("records")
    x, _ = map(np.asarray, rows)
    assert right["accuracy"] == wrong["accuracy"]
    error = 5 * 0.5 / np.sqrt(ROWS)
    assert right["expected_calibration_error"] < error * np.sqrt(15)
    assert abs(right["debiased_calibration_error"]) < error**2 * np.sqrt(15)
    p, said = (1 / (1 + np.exp(-c * np.abs(x))) for c in (1, 3))
    off = np.mean(said - p)
    assert wrong["expected_calibration_error"] == pytest.approx(off, abs=error)
    assert wrong["debiased_calibration_error"] > off**2
    for score in ("negative_log_likelihood", "brier"):
        assert right[score] < wrong[score]
    shares = found.bins.groupby("placement", sort=False)["share"].sum()
    np.testing.assert_allclose(shares, 1)
    means = found.bins.assign(right=found.bins["accuracy"] * found.bins["share"])
    by = means.groupby("placement", sort=False)["right"].sum()
    np.testing.assert_allclose(by, found.runs["accuracy"], rtol=1e-6)
    assert found.comparison is None
    assert "too sure" in str(found)


def test_logits_of_two_classes(found, rows):
    x, y = rows
    model = {"right": lambda x: jnp.concatenate([-x, x], axis=1) / 2}
    two = jn.calibration(model, (x, y[:, 0])).runs.iloc[0]
    one = found.runs.iloc[0]
    for name in found.runs.columns[4:]:
        factor = 2 if name == "brier" else 1
        assert two[name] == pytest.approx(factor * one[name], rel=1e-3, abs=1e-6)


@pytest.mark.slow
def test_runs_of_a_sweep(result):
    data = jn.data.circles(population=1500)
    found = jn.calibration(result, data, bins=10)
    for name, column in {
        "accuracy": "population_accuracy",
        "negative_log_likelihood": "population_loss",
    }.items():
        np.testing.assert_allclose(found.runs[name], result.runs[column], rtol=1e-5)
    x, y = data["population"]
    model = result.origin.recipes["hidden"](1.0).model
    z = model.apply(result.variables[-1], x, train=False)
    for name in ("expected_calibration_error", "debiased_calibration_error"):
        expected = getattr(jn.metrics, name)(z, y, bins=10)
        assert found.runs[name].iloc[-1] == pytest.approx(float(expected), rel=1e-4)
    rows = found.comparison
    assert rows.metrics == [*found.runs.columns[5:]]
    assert (rows["n"] == 10).all()
    axes = jn.plots.reliability(found)
    assert len(axes.collections) == 3  # bands
    titles = axes.get_legend_handles_labels()[1]
    assert titles == ["as sure as right", "none", "hidden, 0.1", "hidden, 1"]
    plt.close("all")


@pytest.mark.bad_input
def test_bad_input(rows):
    x, y = rows
    model = {"a": lambda x: x}
    with pytest.raises(TypeError, match="bins must be an int of at least 1, got 0"):
        jn.calibration(model, (x, y), bins=0)
    with pytest.raises(ValueError, match="targets must be 0 or 1, or between, got 7"):
        jn.calibration(model, (x, 7 * y))
    with pytest.raises(ValueError, match="targets must have the shape of the outputs"):
        jn.calibration(model, (x, y[:, 0]))
