"""New test rows: variance components by law, and what they keep from being claimed."""

import numpy as np
import optax
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.evidence.paired import sign_flip_p, t_interval
from jaxnoise.evidence.rows import crossed_interval


def rng(seed=0):
    return np.random.default_rng(seed)


def crossed(seed, shape, of_seeds, of_rows, rest, mean=0.0):
    draw, (s, r) = rng(seed), shape
    effects = draw.normal(0, of_seeds, (s, 1)) + draw.normal(0, of_rows, (1, r))
    return mean + effects + draw.normal(0, rest, shape)


def test_one_kind_of_luck_is_a_sample():
    """Seeds alone, or rows alone: Student's interval of their means."""
    seeds = rng().normal(size=12)
    for d in (np.repeat(seeds[:, None], 30, 1), np.repeat(seeds[None], 30, 0)):
        np.testing.assert_allclose(crossed_interval(d), t_interval(seeds), atol=1e-12)


def test_the_variance_is_unbiased():
    """Its half width over Student's t, squared, is the variance of the mean."""
    draws = [crossed(i, (8, 40), 0.3, 1.0, 2.0) for i in range(800)]
    truth = 0.3**2 / 8 + 1.0 / 40 + 4.0 / 320
    means = np.array([d.mean() for d in draws])
    assert means.var() == pytest.approx(truth, rel=5 * np.sqrt(2 / 800))
    covered = [low <= 0 <= high for _, low, high, _ in map(crossed_interval, draws)]
    assert 0.93 <= np.mean(covered) <= 0.97


def test_ends_and_p_agree_and_ties_have_none():
    d = crossed(1, (10, 50), 0.1, 0.5, 1.0, mean=0.2)
    _, low, high, p = crossed_interval(d)
    assert (low > 0 or high < 0) == (p < 0.05)
    moved = crossed_interval(d - low)
    assert moved.p == pytest.approx(0.05, abs=1e-9)
    assert crossed_interval(np.full((3, 4), 0.5)) == (0.5, 0.5, 0.5, 1.0)


def test_equal_accuracies_on_one_test_set():
    """1,000 rows, 10 seeds, of two models that are as good on all rows there are, and
    on these not: seeds alone claim a difference in a third of all cases.
    """
    sure = lucky = 0
    for i in range(300):
        draw = rng(i)
        hard = draw.normal(1.5, 1.5, 1_000) + draw.normal(0, 1, (2, 1, 1_000))
        right = hard + draw.normal(0, 0.7, (2, 10, 1_000)) > 0
        d = right[1].astype(float) - right[0]
        sure += crossed_interval(d).p < 0.05
        lucky += sign_flip_p(d.mean(1), draw) < 0.05
    assert sure / 300 <= 0.06 + 3 * np.sqrt(0.06 * 0.94 / 300)
    assert lucky / 300 > 0.2


@pytest.fixture(scope="module")
def results():
    """A sweep with its rows and one without; population rows come in blocks."""

    def recipe(stddev):
        model = jn.MLP((3,), 1, input_noise=jn.GaussianNoise(stddev))
        metrics = {"accuracy": jn.metrics.binary_accuracy}
        loss = jn.losses.binary_cross_entropy
        return jn.Recipe(model, loss, optax.adam(1e-2), metrics=metrics)

    known = {"strengths": {"input": [0.5]}, "data": jn.data.circles(population=5_000)}
    known |= {"seeds": 10, "epochs": 2, "batch_size": 32, "progress": False}
    places = {"none": recipe, "input": recipe}
    return [jn.sweep(places, **known, keep_rows=keep) for keep in (True, False)]


@pytest.mark.slow
def test_kept_rows_have_the_metrics_as_means(results):
    kept, plain = results
    pd.testing.assert_frame_equal(kept.runs, plain.runs, check_exact=True)
    assert list(kept.rows) == [
        *("test_accuracy", "test_loss", "population_accuracy", "population_loss")
    ]
    for name, rows in kept.rows.items():
        values = rows.of(slice(None))
        assert values.shape == (20, rows.length)
        np.testing.assert_allclose(values.mean(1), kept.runs[name], rtol=1e-5)
        assert rows.bits == name.endswith("accuracy")
    assert kept.rows["population_accuracy"].stored.shape == (20, 625)
    noisy = kept.where("input", seed=[3, 5]).rows["test_loss"]
    np.testing.assert_array_equal(
        noisy.of(slice(None)), kept.rows["test_loss"].of([13, 15])
    )
    assert plain.rows == {}


def test_compare_tells_of_new_rows(results):
    kept, plain = (jn.compare(each, metric="test_accuracy") for each in results)
    values = results[0].rows["test_accuracy"].of(slice(None)).astype(float)
    new = crossed_interval(values[10:] - values[:10])
    row = kept.iloc[1]
    assert row[["new_rows_low", "new_rows_high"]].tolist() == [new.low, new.high]
    assert row["p"] == max(new.p, plain.loc[1, "p"])
    assert row[["low", "high"]].tolist() == plain.loc[1, ["low", "high"]].tolist()
    assert "p and verdict are for new rows, too" in str(kept)
    assert "on these 70 rows only; others would move an accuracy by" in str(plain)
    assert plain["new_rows_low"].isna().all()
    losses = str(jn.compare(results[1], metric="population_loss"))
    assert "on these 5000 rows only; keep_rows" in losses


def test_a_difference_on_these_rows_alone_is_no_verdict(results):
    """All seeds agree, by one row of 70, which the next rows need not have."""
    result = results[0]
    values = result.rows["test_accuracy"].of(slice(None))
    values[:10], values[10:] = 1, 1
    values[:10, 3] = 0
    runs = result.runs.assign(test_accuracy=values.mean(1))
    rows = {"test_accuracy": type(result.rows["test_accuracy"]).kept(values)}
    changed = jn.SweepResult(**{**vars(result), "runs": runs, "rows": rows})
    assert (
        jn.compare(changed, metric="test_accuracy").loc[1, "verdict"] == "no evidence"
    )
    alone = jn.compare(runs, metric="test_accuracy")
    assert alone.loc[1, "verdict"] == "better"


@pytest.mark.bad_input
def test_bad_arguments():
    known = {"strengths": {}, "seeds": 1, "epochs": 1, "batch_size": 8}
    with pytest.raises(ValueError, match="keep_rows is for one jn.Data, got several"):
        jn.sweep({}, data=[jn.data.circles()] * 2, keep_rows=True, **known)
    with pytest.raises(TypeError, match="keep_rows must be a bool, got 3"):
        jn.sweep({}, data=jn.data.circles(), keep_rows=3, **known)
