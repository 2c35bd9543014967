"""Certificates against linear classifiers, whose exact radii are known."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import jaxnoise as jn
from jaxnoise.robustness import smoothing
from jaxnoise.training.sweep import TrainedModel

KEY = jax.random.key(0)
W, B = jnp.array([1.0, 2.0]), 0.5
SIZE = float(jnp.linalg.norm(W))


def line(x):
    return x @ W[:, None] + B


def two_classes(x):
    z = line(x)
    return jnp.concatenate([-z, z], axis=1) / 2


@pytest.fixture(scope="module")
def points():
    return jax.random.normal(jax.random.key(1), (2000, 2))


@pytest.mark.parametrize(
    ("successes", "trials", "alpha", "bound", "radius"),
    [
        (990, 1000, 0.001, 0.976036188, 1.978010),
        (99_000, 100_000, 0.001, 0.988989340, 2.290000),
        (100_000, 100_000, 0.001, 0.999930925, 3.811457),
        (510, 1000, 0.001, 0.460713, None),
        (10, 10, 0.05, 0.741134449, 0.646847),
        (0, 10, 0.05, 0.0, None),
    ],
)
def test_the_bound_is_as_published(successes, trials, alpha, bound, radius):
    found = smoothing.lower_bound(successes, trials, alpha)
    assert found == pytest.approx(bound, abs=5e-7)
    if radius:
        assert norm.ppf(found) == pytest.approx(radius, abs=5e-6)


@pytest.mark.parametrize("stddev", [0.25, 1.0])
def test_a_radius_is_the_distance_to_a_line_or_less(points, stddev):
    """T16: the exact radius is the distance, whatever the noise."""
    n, alpha = 1000, 0.001
    found = jn.certify(line, points, stddev=stddev, key=KEY, n=n, alpha=alpha)
    z = np.asarray(line(points))[:, 0]
    distance, right = np.abs(z) / SIZE, (z > 0).astype(int)
    sure = found["label"] != -1
    wrong = sure & ((found["label"] != right) | (found["radius"] > distance))
    limit = alpha + 3 * np.sqrt(alpha * (1 - alpha) / len(z))
    assert wrong.mean() <= limit
    p = norm.cdf(distance / stddev)
    expected = stddev * norm.ppf(smoothing.lower_bound(np.floor(p * n), n, alpha))
    typical = (distance > 0.5 * stddev) & (distance < 2 * stddev)
    off = (found["radius"] - np.maximum(expected, 0))[typical]
    error = stddev * np.sqrt(p * (1 - p) / n) / norm.pdf(distance / stddev)
    assert np.abs((off / error[typical]).mean()) < 0.2
    assert (found["radius"][~sure] == 0).all()
    assert found["radius"].max() <= stddev * norm.ppf(0.001 ** (1 / n))


@pytest.mark.slow
def test_as_many_devices_as_there_are_change_nothing(points, monkeypatch):
    ask = {"stddev": 0.5, "key": KEY, "n": 700}
    several = jn.certify(two_classes, points[:21], **ask)
    assert jax.local_device_count() > 1
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    pd.testing.assert_frame_equal(several, jn.certify(two_classes, points[:21], **ask))


def test_a_point_alone_is_as_among_others(points):
    ask = {"stddev": 0.5, "key": KEY, "n": 700}
    several = jn.certify(line, points[:5], **ask)
    pd.testing.assert_frame_equal(several[:1], jn.certify(line, points[:1], **ask))


def test_one_logit_is_two_classes(points):
    ask = {"stddev": 0.5, "key": KEY, "n": 700}
    one, two = (jn.certify(f, points[:50], **ask) for f in (line, two_classes))
    pd.testing.assert_frame_equal(one, two)


def test_a_coin_has_no_majority():
    """Also where the draws that choose are as many as those that measure."""
    x, alpha = jnp.zeros((2000, 1)), 0.05
    limit = alpha + 3 * np.sqrt(alpha * (1 - alpha) / len(x))
    ask = {"stddev": 1.0, "key": KEY, "alpha": alpha}
    found = jn.certify(lambda x: x, x, n0=100, n=100, **ask)
    assert (found["label"] != -1).mean() <= limit
    labels = jn.smoothed_predict(lambda x: x, x, n=1000, **ask)
    assert (labels != -1).mean() <= limit


@pytest.mark.parametrize("columns", [[1.0], [1.0, -1.0]], ids=len)
def test_undefined_logits_are_no_votes(columns):
    def often_undefined(x):
        return jnp.where(x > 0.5, jnp.nan, x + 9.0) * jnp.array(columns)

    (row,) = jn.certify(
        often_undefined, jnp.zeros((1, 1)), stddev=1.0, key=KEY, n=4000
    ).itertuples()
    share = norm.cdf(0.5)
    assert row.label == 2 - len(columns)
    assert norm.cdf(row.radius) == pytest.approx(share, abs=5 * 0.5 / np.sqrt(4000))


@pytest.mark.slow
def test_a_trained_model_is_asked_without_its_noise(points):
    module = jn.MLP((8,), 1, input_noise=jn.GaussianNoise(5.0))
    variables = module.init(jax.random.key(2), points, train=False)
    model = TrainedModel(module, variables)
    ask = {"stddev": 0.5, "key": KEY, "n": 500}
    by_function = jn.certify(lambda x: model(x), points[:9], **ask)
    pd.testing.assert_frame_equal(jn.certify(model, points[:9], **ask), by_function)


def test_predictions(points):
    stddev, alpha = 0.5, 0.05
    found = jn.smoothed_predict(line, points, stddev=stddev, key=KEY, alpha=alpha)
    z = np.asarray(line(points))[:, 0]
    sure = found != -1
    assert ((found != (z > 0)) & sure).mean() <= alpha
    assert 0.02 < (~sure).mean() < 0.2
    few = jn.smoothed_predict(line, points[:9], stddev=stddev, key=KEY, n=4)
    assert (few == -1).all()  # 2 / 2**4 is above any alpha of interest


def test_certified_accuracy():
    found = pd.DataFrame({"label": [1, 0, -1, 1], "radius": [0.7, 0.2, 0.0, 0.5]})
    table = jn.certified_accuracy(found, np.array([1, 0, 1, 0]), radii=[0.0, 0.2, 0.7])
    assert table["accuracy"].tolist() == [0.5, 0.5, 0.25]
    assert table["abstained"].tolist() == [0.25] * 3
    with pytest.raises(ValueError, match="labels must be one a point, 4, got 3"):
        jn.certified_accuracy(found, np.array([1, 0, 1]), radii=[0.0])


def test_pictures_of_certified_accuracy(tmp_path):
    found = pd.DataFrame({"label": [1, 0, -1, 1], "radius": [0.7, 0.2, 0.0, 0.5]})
    table = jn.certified_accuracy(found, np.array([1, 0, 1, 0]), radii=[0.0, 0.2, 0.7])
    runs = [table.assign(placement="a", strength=0.1, seed=i, split=0) for i in (0, 1)]
    alone = jn.plots.certified_accuracy(table)
    (points,) = (line for line in alone.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_xdata(), table["radius"])
    np.testing.assert_array_equal(points.get_ydata(), table["accuracy"])
    assert alone.get_xlabel() == "radius, L2" and alone.get_legend() is None
    named = jn.plots.certified_accuracy({"one": table, "two": table})
    assert [text.get_text() for text in named.get_legend().texts] == ["one", "two"]
    several = jn.plots.certified_accuracy(pd.concat(runs))
    assert "mean of the runs" in several.get_legend().get_title().get_text()
    named.figure.savefig(tmp_path / "named.png")
    plt.close("all")


X = jnp.ones((3, 2))
BAD = [
    ({"alpha": 0.0}, "alpha must be between 0 and 1, got 0.0"),
    ({"alpha": 1.5}, "alpha must be between 0 and 1, got 1.5"),
    ({"n": 50}, "n must be at least n0, 100, got 50"),
    ({"n0": 0}, "n0 must be an int of at least 1, got 0"),
    ({"stddev": 0.0}, "stddev must be finite and > 0, got 0.0"),
    ({"stddev": "1"}, "stddev must be a number, got '1'"),
    ({"x": X.at[0, 0].set(jnp.nan)}, "x must be finite, got NaN"),
    ({"x": jnp.ones((3, 2), int)}, "x must be floats, got int32; cast it"),
    ({"x": X[:0]}, "x must have at least one row"),
    ({"key": 0}, "key must be a typed key"),
    ({"model": lambda x: jax.nn.softmax(two_classes(x))}, "must return logits, got"),
    ({"model": lambda x: x / x - 1 + jnp.nan}, "finite logits, got NaN"),
    ({"model": lambda x: line(x).T}, r"shape \(rows, classes\).*got \(1, 3\)"),
    ({"model": lambda x: np.asarray(x)}, "a function that JAX can trace"),
    ({"model": 3}, "model must be a function x -> logits, or a trained model"),
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("given", "message"), BAD, ids=lambda v: str(v)[:30])
def test_bad_input(given, message):
    arguments = {"model": line, "x": X, "stddev": 1.0, "key": KEY} | given
    model, x = arguments.pop("model"), arguments.pop("x")
    with pytest.raises((TypeError, ValueError), match=message):
        jn.certify(model, x, **arguments)
