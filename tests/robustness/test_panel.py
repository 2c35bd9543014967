"""Scores under corruptions: the published errors, and who meets what."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn

KEY, ROWS = jax.random.key(0), 2500
TWO = ["swapped_cells", "missing_features"]


def first(x):
    return x[:, :1]


def mean(x):
    return x.mean(1, keepdims=True)


def chance(x):
    return jnp.sin(1e4 * x[:, :1])


@pytest.fixture(scope="module")
def rows():
    x = jax.random.normal(jax.random.key(1), (ROWS, 2))
    return x, mean(x) > 0


@pytest.fixture(scope="module")
def panel(rows):
    models = {"first": first, "mean": mean, "chance": chance}
    return jn.corruption_panel(models, rows, TWO, key=KEY)


@pytest.fixture(scope="module")
def swept(result):
    data = jn.data.circles(population=1500)
    return jn.corruption_panel(result, data, key=KEY)


def error_of(panel, name, corruption):
    runs = panel.runs[(panel.runs["placement"] == name)]
    return 1 - runs.loc[runs["corruption"] == corruption, "accuracy"].to_numpy()


def test_errors_are_as_published(panel):
    """mCE = mean_c [sum_s E_(s, c) / sum_s E_(s, c) of the reference]."""
    assert panel.reference == "first"
    for name, row in panel.errors.set_index("placement").iterrows():
        for corruption in TWO:
            unit = error_of(panel, "first", corruption).sum()
            own = error_of(panel, name, corruption).sum() / unit
            assert row[corruption] == pytest.approx(own, rel=1e-5)
        assert row["mce"] == pytest.approx(row[TWO].mean(), rel=1e-6)
        more = [
            (error_of(panel, name, c) - error_of(panel, name, "clean")).sum()
            / (error_of(panel, "first", c) - error_of(panel, "first", "clean")).sum()
            for c in TWO
        ]
        assert row["relative_mce"] == pytest.approx(np.mean(more), rel=1e-4)
    own = panel.errors.set_index("placement").loc["first"]
    assert (own["mce"], own["relative_mce"]) == (1, 1)


def test_half_the_errors_are_half_an_error(rows):
    """Of errors, which are better lower, no accuracy is made."""
    x, y = rows[0], rows[0][:, :1] + 1.0
    models = {"one": lambda x: x[:, :1], "half": lambda x: x[:, :1] + 0.5}
    ask = {"metric": jn.metrics.absolute_error, "key": KEY}
    found = jn.corruption_panel(models, (x, y), {"none": lambda k, x, s: x}, **ask)
    assert found.score == "absolute_error"
    np.testing.assert_allclose(found.errors["mce"], [1, 0.5], rtol=1e-5)
    assert not np.isfinite(found.errors["relative_mce"]).any()  # nothing is lost


def test_a_score_is_that_of_corrupted_rows(rows):
    """In one block, by hand; severities and names in their order."""
    x, y = rows[0][:900], rows[1][:900]
    seen = {"noisy": lambda key, x, severity: x + severity * jax.random.normal(key)}
    panel = jn.corruption_panel(
        {"a": mean}, (x, y), seen, key=KEY, severities=[2, 5], draws=2
    )
    keys = [jax.random.fold_in(jax.random.fold_in(KEY, 0), draw) for draw in range(2)]
    for severity in (0, 2, 5):
        scores = [
            ((mean(x + severity * jax.random.normal(key)) > 0) == y).mean()
            for key in keys
        ]
        row = panel.runs[panel.runs["severity"] == severity].squeeze()
        assert row["corruption"] == ("noisy" if severity else "clean")
        assert row["accuracy"] == pytest.approx(float(np.mean(scores)), abs=1e-6)


def test_runs_of_a_sweep_with_what_noise_bought(result, swept):
    names = list(swept.runs["corruption"].unique()[1:])
    assert names == ["missing_features", "swapped_cells", "unit_errors"]  # of tables
    assert len(swept.runs) == len(result.runs) * (1 + 5 * 3)
    clean = swept.runs[swept.runs["corruption"] == "clean"]["accuracy"].to_numpy()
    np.testing.assert_allclose(clean, result.runs["population_accuracy"], atol=1e-6)
    assert swept.reference == "none"
    none = swept.errors[swept.errors["placement"] == "none"]
    assert none["mce"].mean() == pytest.approx(1)
    assert swept.comparison.metrics == ["accuracy at clean", "mce"]
    difference = swept.comparison.of("mce")["difference"].iloc[2]
    by = swept.errors.groupby(["placement", "strength"], sort=False)["mce"].mean()
    assert difference == pytest.approx(by["hidden", 1.0] - 1, abs=1e-6)
    rows = swept.by_corruption()
    assert rows.metrics == [f"accuracy at {name}" for name in names]
    runs = swept.runs[swept.runs["corruption"] == "swapped_cells"]
    by = runs.groupby(["placement", "strength"], sort=False)["accuracy"].mean()
    at = rows.of("accuracy at swapped_cells")["difference"].iloc[2]
    assert at == pytest.approx(by["hidden", 1.0] - by["none", 0.0], abs=1e-6)
    assert "errors relative to none" in str(swept) and "relative_mce" in str(swept)


def test_as_many_devices_as_there_are_change_nothing(result, swept, monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    data = jn.data.circles(population=1500)
    one = jn.corruption_panel(result, data, key=KEY)
    pd.testing.assert_frame_equal(swept.runs, one.runs)


def test_padded_steps_of_series_are_not_met():
    """A pair of series and their lengths, as an RNN takes it."""
    x, lengths = jnp.full((64, 9, 2), 7.0), jnp.arange(64) % 8 + 1
    real = (jnp.arange(9) < lengths[:, None])[:, :, None]
    pair, y = (jnp.where(real, x, -50.0), lengths), jnp.zeros((64, 1))

    def padding(pair):
        return jnp.where(real, 0, abs(pair[0])).sum((1, 2))[:, None]

    error = jn.metrics.squared_error
    seen = jn.corruption_panel({"a": padding}, (pair, y), key=KEY, metric=error)
    assert seen.runs["corruption"].nunique() == 5
    clean = seen.runs["squared_error"][0]
    lost = seen.runs.query("corruption != 'clean'")["squared_error"]
    assert (lost == 0).all() and clean > 0  # as networks get it: 0 at padded steps


def test_pictures(panel, swept, tmp_path):
    drawn = {
        "several": jn.plots.corruption_panel(swept),
        "severity": jn.plots.corruption_panel(swept, severity=5),
        "differences": jn.plots.corruption_panel(swept, value="difference"),
        "by_name": jn.plots.corruption_panel(panel),
    }
    columns = {n: [t.get_text() for t in a.get_xticklabels()] for n, a in drawn.items()}
    assert columns["several"] == ["none", "hidden, 0.1", "hidden, 1"]
    assert columns["differences"] == ["hidden, 0.1", "hidden, 1"]
    assert columns["by_name"] == ["first", "mean", "chance"]
    for name, axes in drawn.items():
        rows = [t.get_text() for t in axes.get_yticklabels()]
        assert (rows[0] == "clean") == (name != "differences")
        assert len(axes.texts) == len(rows) * len(columns[name])
        axes.figure.savefig(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match="panel must have a comparison"):
        jn.plots.corruption_panel(panel, value="difference")
    plt.close("all")


def test_a_picture_of_one_model_is_by_severity(rows):
    panel = jn.corruption_panel({"a": mean}, rows, TWO, key=KEY)
    axes = jn.plots.corruption_panel(panel)
    assert [t.get_text() for t in axes.get_xticklabels()] == list("012345")
    assert axes.get_xlabel() == "severity"
    plt.close("all")


PAIR = jnp.ones((4, 2)), jnp.ones((4, 1), bool)
BAD = [
    ({"corruptions": ["fog"]}, r"corruptions must be names of.*got \['fog'\]"),
    ({"corruptions": []}, r"corruptions must be names.*none for x of shape \(4, 2\)"),
    ({"corruptions": ["contrast"]}, "x must be images of shape"),
    ({"corruptions": {"a": lambda x: x}}, r"corruptions\['a'\] must be a function"),
    ({"severities": [0]}, "severity must be an int from 1 to 5, got 0"),
    ({"reference": "b"}, "reference must be one of a, got 'b'"),
    ({"draws": 0}, "draws must be an int of at least 1, got 0"),
    ({"key": 0}, "key must be a typed key"),
    ({"data": (jnp.ones((4, 2, 2, 1)) * 9, PAIR[1])}, "values from 0 to 1, got 0 to 9"),
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("given", "message"), BAD, ids=lambda v: str(v)[:30])
def test_bad_input(given, message):
    arguments = {"data": PAIR, "key": KEY} | given
    with pytest.raises((TypeError, ValueError), match=message):
        jn.corruption_panel({"a": mean}, arguments.pop("data"), **arguments)
