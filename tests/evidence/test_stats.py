"""Paired comparison: the t-interval, its unit, and its coverage."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

import jaxnoise as jn

COLUMNS = [
    *["placement", "strength", "n", "mean", "sd", "median", "iqm"],
    *["difference", "low", "high", "boot_low", "boot_high"],
    *["win_probability", "win_low", "win_high", "p", "p_holm", "diverged", "verdict"],
]
pytestmark = pytest.mark.filterwarnings("ignore:compare. . units are few:UserWarning")


def table(scores, splits=1):
    """Scores by (placement, strength): arrays (seed, split)."""
    return pd.DataFrame(
        [
            {
                "placement": placement,
                "strength": strength,
                "seed": seed,
                "split": split,
                "accuracy": values[seed, split],
            }
            for (placement, strength), values in scores.items()
            for seed in range(values.shape[0])
            for split in range(values.shape[1])
        ]
    )


def draw(seed, shape, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1.0, shape)


def test_t_interval_of_paired_differences():
    a, b = draw(0, (12, 1)), draw(1, (12, 1), 0.5)
    rows = jn.compare(table({("none", 0.0): a, ("input", 0.1): b}), metric="accuracy")
    assert list(rows) == COLUMNS
    assert rows["placement"].tolist() == ["none", "input"]
    assert rows["n"].tolist() == [12, 12]
    np.testing.assert_allclose(rows["mean"], [a.mean(), b.mean()])
    np.testing.assert_allclose(rows["sd"], [a.std(ddof=1), b.std(ddof=1)])
    np.testing.assert_allclose(rows["median"], [np.median(a), np.median(b)])
    interval = ttest_1samp((b - a)[:, 0], 0).confidence_interval(0.95)
    got = rows.loc[1, ["difference", "low", "high"]].to_list()
    np.testing.assert_allclose(got, [(b - a).mean(), *interval])
    assert rows.loc[0, ["difference", "low", "high"]].isna().all()


def test_order_of_rows_does_not_matter():
    scores = table({("none", 0.0): draw(0, (6, 1)), ("input", 0.1): draw(1, (6, 1))})
    shuffled = scores.sample(frac=1, random_state=3)
    one = jn.compare(scores, metric="accuracy").set_index("placement")
    two = jn.compare(shuffled, metric="accuracy").set_index("placement")
    pd.testing.assert_frame_equal(one, two.loc[one.index])


def test_the_split_is_the_unit_when_there_are_several():
    a, b = draw(0, (3, 8)), draw(1, (3, 8))
    rows = jn.compare(table({("none", 0.0): a, ("input", 0.1): b}), metric="accuracy")
    assert rows["n"].tolist() == [8, 8]
    interval = ttest_1samp((b - a).mean(axis=0), 0).confidence_interval(0.95)
    np.testing.assert_allclose(rows.loc[1, ["low", "high"]].to_list(), interval)


def test_diverged_runs_lose_their_pair():
    a, b = draw(0, (6, 1)), draw(1, (6, 1))
    b[2], a[4] = np.nan, np.inf
    rows = jn.compare(table({("none", 0.0): a, ("input", 0.1): b}), metric="accuracy")
    assert rows["diverged"].tolist() == [1, 1]
    assert rows["n"].tolist() == [5, 4]  # the baseline's own, and pairs
    kept = [0, 1, 3, 5]
    np.testing.assert_allclose(rows.loc[1, "difference"], (b - a)[kept].mean())


def test_a_run_without_the_metric_has_not_diverged():
    scores = table({("none", 0.0): draw(0, (3, 1)), ("input", 0.1): draw(1, (3, 1))})
    scores.loc[scores["placement"] == "input", "accuracy"] = np.nan
    rows = jn.compare(scores.assign(finite=True), metric="accuracy")
    assert rows["n"].tolist() == [3, 0]
    assert rows["diverged"].tolist() == [0, 0]


def test_tied_and_single_differences():
    a = draw(0, (5, 1))
    tied = jn.compare(table({("none", 0.0): a, ("input", 0.1): a}), metric="accuracy")
    assert tied.loc[1, ["difference", "low", "high"]].to_list() == [0, 0, 0]
    one = table({("none", 0.0): a[:1], ("input", 0.1): a[:1] + 1})
    rows = jn.compare(one, metric="accuracy")
    assert rows.loc[1, "difference"] == pytest.approx(1)
    assert rows.loc[1, ["low", "high"]].isna().all()


def test_other_baselines_and_tables_without_splits():
    scores = table({("plain", 0.0): draw(0, (6, 1)), ("input", 0.1): draw(1, (6, 1))})
    rows = jn.compare(scores.drop(columns="split"), metric="accuracy", baseline="plain")
    assert rows.loc[0, "placement"] == "plain"
    assert np.isnan(rows.loc[0, "difference"])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"metric": "acuracy"},
            ValueError,
            r"metric must be a column .* got 'acuracy'",
        ),
        ({"metric": "placement"}, ValueError, "column of numbers, got 'placement'"),
        ({"baseline": "non"}, ValueError, r"placements \(none, input\), got 'non'"),
        ({"baseline": "input"}, ValueError, "baseline 'input' must have one strength"),
        (
            {"result_or_table": [1]},
            TypeError,
            "must be a SweepResult or a pandas table",
        ),
    ],
)
def test_bad_arguments(change, error, message):
    scores = {("none", 0.0): draw(0, (6, 1))}
    scores |= {("input", s): draw(1, (6, 1)) for s in (0.1, 0.3)}
    arguments = {"result_or_table": table(scores), "metric": "accuracy"} | change
    with pytest.raises(error, match=message):
        jn.compare(arguments.pop("result_or_table"), **arguments)


@pytest.mark.bad_input
def test_bad_tables():
    scores = table({("none", 0.0): draw(0, (6, 1)), ("input", 0.1): draw(1, (6, 1))})
    with pytest.raises(ValueError, match="runs must differ in seed or split"):
        jn.compare(pd.concat([scores, scores]), metric="accuracy")
    with pytest.raises(ValueError, match="must have a column 'seed'"):
        jn.compare(scores.drop(columns="seed"), metric="accuracy")
