"""The page of all that networks stand, and the scores on it."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.robustness.report import (
    RADII,
    _answers,
    _labels,
    measured,
    robustness_page,
)

KEY = jax.random.key(0)
ASK = {"key": KEY, "stddevs": [0.0, 0.5, 0.1, 0.3], "draws": 2, "points": 10, "n": 300}


@pytest.fixture(scope="module")
def found(result):
    return measured(result, jn.data.circles(population=1500), **ASK)


@pytest.mark.slow
def test_every_score_is_that_of_its_function(found, result):
    data, runs = jn.data.circles(population=1500), result.runs
    keys = jax.random.split(KEY, 4)
    curve = jn.noise_curve(result, data, ASK["stddevs"], key=keys[0], draws=2).runs
    there = curve[curve["stddev"] == 0.3]["accuracy"].to_numpy()
    assert found.scores["accuracy at 0.3"].tolist() == there.tolist()
    panel = jn.corruption_panel(result, data, key=keys[2]).runs
    spoilt = panel[panel["severity"] > 0]["accuracy"].to_numpy().reshape(len(runs), -1)
    ours = found.scores["accuracy of corrupted rows"]
    np.testing.assert_allclose(ours, spoilt.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(
        found.scores["accuracy"], runs["population_accuracy"], atol=1e-6
    )
    rows = np.linspace(0, 1499, 10).astype(int)
    x, y = (np.asarray(each)[rows] for each in data["population"])
    last = result.origin.recipes["hidden"](1.0).model
    model = lambda x: last.apply(result.variables[-1], x, train=False)  # noqa: E731
    certificates = jn.certify(model, jnp.asarray(x), stddev=0.3, key=keys[1], n=300)
    table = jn.certified_accuracy(certificates, y, RADII * 0.3)
    assert found.stddev == pytest.approx(0.3)
    ours = found.certified.tail(len(RADII))
    np.testing.assert_allclose(ours["accuracy"], table["accuracy"], atol=1e-6)
    at_half = table["accuracy"][2]
    assert found.scores["certified accuracy at 0.15"].iloc[-1] == pytest.approx(at_half)
    ask = {"norm": "l2", "radius": 0.3, "key": keys[3], "steps": 10, "restarts": 2}
    there = jn.attack(model, (jnp.asarray(x), jnp.asarray(y)), **ask).accuracy["mean"]
    assert found.scores["accuracy under attack"].iloc[-1] == pytest.approx(there)
    error = "expected_calibration_error"
    assert (found.scores[error] == found.calibration.runs[error]).all()


@pytest.mark.slow
def test_every_score_is_a_family_of_its_own(found):
    assert list(found.comparisons) == [
        *("accuracy", "accuracy at 0.3", "accuracy of corrupted rows"),
        *("certified accuracy at 0.15", "accuracy under attack"),
        "expected_calibration_error",
    ]
    for name, rows in found.comparisons.items():
        alone = jn.compare(found.scores, metric=name)
        pd.testing.assert_frame_equal(pd.DataFrame(rows), pd.DataFrame(alone))


@pytest.mark.slow
def test_the_page(found, tmp_path):
    path = robustness_page(found, tmp_path / "a" / "page.html", title="<Robust>")
    page = path.read_text("utf-8")
    assert "<h1>&lt;Robust&gt;</h1>" in page
    assert page.count("<svg") == 5
    assert page.count("<table>") == 4
    assert "What this page cannot say" in page
    assert "How it was made" not in page


def test_the_answer_has_what_cannot_be_luck():
    """Of made-up runs, of which one placement gains 0.1 and another loses 0.1."""
    luck = np.random.default_rng(0).normal(0, 0.01, (3, 12))
    shifts = {"none": 0.0, "hidden": 0.1, "input": -0.1}
    parts = [
        pd.DataFrame({"placement": name, "seed": range(12), "accuracy": by + each})
        for (name, by), each in zip(shifts.items(), luck, strict=True)
    ]
    runs = pd.concat(parts).assign(
        strength=0.0, brier=np.concatenate([*luck[:2], luck[1]])
    )
    told = {name: jn.compare(runs, metric=name) for name in ("accuracy", "brier")}
    first, second = _answers(told)
    gain, loss = (luck[i].mean() - luck[0].mean() for i in (1, 2))
    better = f"better hidden (+{0.1 + gain:.4f} [+"
    assert first.startswith(f"Accuracy: {better}")
    assert f"]); worse input (−{0.1 - loss:.4f} [−" in first
    assert second == "Brier: no difference that could not be luck."


@pytest.mark.slow
def test_models_by_name_are_shown_and_not_compared(tmp_path):
    x = jax.random.normal(KEY, (300, 2))
    x = (x - x.mean()) / x.std()
    models = {"sum": lambda x: jnp.stack([-x.sum(1), x.sum(1)], axis=1)}
    path, y = tmp_path / "page.html", jax.nn.one_hot((x.sum(1) > 0).astype(int), 2)
    ask = {"key": KEY, "points": 5, "n": 100, "draws": 1, "config": {"made of": "<x>"}}
    page = jn.robustness_report(models, (x, y), path, **ask).read_text("utf-8")
    assert "Models by name are shown, and not compared" in page
    assert page.count("<svg") == 4
    assert "<td>&lt;x&gt;</td>" in page
    # in standard deviations of x
    assert "squared error at 0.25" in page
    assert "certified accuracy at 0.125" in page


def test_labels_of_any_form():
    labels = jnp.array([0, 2, 1])
    for form in (labels, labels[:, None], jax.nn.one_hot(labels, 3)):
        assert _labels(form).tolist() == [0, 2, 1]


@pytest.mark.bad_input
def test_bad_input(tmp_path):
    pair = jnp.ones((4, 1)), jnp.ones((4, 1), bool)
    for given, message in (
        ({"path": 3}, "path must be a path, got int"),
        ({"config": 3}, "config must be a mapping, got int"),
        ({"points": 0}, "points must be an int of at least 1, got 0"),
        ({"stddevs": [0.0]}, "stddevs must have one above 0"),
    ):
        arguments = {"path": tmp_path / "page.html", "key": KEY} | given
        path = arguments.pop("path")
        with pytest.raises((TypeError, ValueError), match=message):
            jn.robustness_report({"a": lambda x: x}, pair, path, **arguments)
    assert not [*tmp_path.iterdir()]
