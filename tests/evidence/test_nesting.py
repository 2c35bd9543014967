"""Nested folds in every statistic: the outer fold is the unit, inner folds share it."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import jaxnoise as jn

OUTER, INNER = 8, 3


def table(seed=0, shared=0.03, gains=(0.0, 0.0, 0.0)):
    """Differences that are mostly those of the outer folds; two sets of scores."""
    rng = np.random.default_rng(seed)
    rows = []
    for c, placement in enumerate(("none", "a", "b")):
        of_fold = rng.normal(0, shared, OUTER) if c else np.zeros(OUTER)
        for split in range(OUTER * INNER):
            test = 0.7 + gains[c] + of_fold[split // INNER] + rng.normal(0, 0.002)
            rows.append(
                (placement, 0.1 * c, 0, split, test, test + rng.normal(0, 0.01))
            )
    names = ["placement", "strength", "seed", "split"]
    made = pd.DataFrame(rows, columns=[*names, "test_accuracy", "validation_accuracy"])
    made.attrs["overlap"] = 0.0  # splits are independent
    return made


@pytest.mark.filterwarnings("ignore:compare. .* units are few")
def test_compare_counts_outer_folds():
    scores = table()
    rows = jn.compare(scores, metric="test_accuracy", outer=OUTER)
    assert rows["n"].tolist() == [OUTER] * 3
    assert rows.attrs["unit"] == "outer fold"
    wide = scores.pivot(index="split", columns="placement", values="test_accuracy")
    d = (wide["a"] - wide["none"]).groupby(wide.index // INNER).mean()
    low, high = stats.t.interval(0.95, OUTER - 1, d.mean(), stats.sem(d))
    np.testing.assert_allclose(rows.loc[1, ["low", "high"]].tolist(), [low, high])
    flat = jn.compare(scores, metric="test_accuracy").loc[1]
    assert flat["n"] == OUTER * INNER
    assert flat["high"] - flat["low"] < 0.8 * (high - low)  # what nesting hides


@pytest.mark.filterwarnings("ignore:.* units are few")
def test_the_verdict_of_select_is_that_of_its_difference():
    """Of what the folds chose, not of what all of them together would choose."""
    for seed in range(8):
        found = jn.select(table(seed, gains=(0.0, 0.02, 0.015)), outer=OUTER)
        excludes = found.difference_low > 0 or found.difference_high < 0
        if found.verdict in ("better", "worse"):
            assert excludes
            assert (found.difference > 0) == (found.verdict == "better")
        d = found.choices["difference"]
        p = stats.permutation_test(
            (d.to_numpy(),),
            lambda x, axis: x.mean(axis),
            permutation_type="samples",
            n_resamples=np.inf,
        ).pvalue
        assert (found.verdict == "no evidence") == (not excludes or p >= 0.05)


def test_report_takes_outer_folds(tmp_path, no_figures):
    path = jn.report(table(), tmp_path / "page.html", outer=OUTER)
    text = re.sub(r"\s+", " ", path.read_text("utf-8"))
    assert f"n = {OUTER} outer folds" in text
    assert f"{OUTER * INNER} splits" not in text


@pytest.mark.bad_input
def test_splits_that_are_missing():
    scores = table()
    scores = scores[~scores["split"].isin([2, 3, 4])]
    for call in (jn.compare, jn.select):
        metric = "test_accuracy" if call is jn.compare else "accuracy"
        with pytest.raises(ValueError, match="outer needs .* got none of split 2"):
            call(scores, metric=metric, outer=7)


@pytest.mark.bad_input
@pytest.mark.parametrize("pair_by", [None, 5, ["seed", 5]], ids=str)
def test_bad_pair_by(pair_by):
    with pytest.raises(TypeError, match="pair_by must be column names, got"):
        jn.compare(table(), metric="test_accuracy", pair_by=pair_by)


@pytest.mark.bad_input
def test_bad_direction():
    with pytest.raises(TypeError, match="lower_is_better must be a bool or None"):
        jn.compare(table(), metric="test_accuracy", lower_is_better="no")


# Overlapping splits


def test_seeds_needed_with_overlap():
    """The corrected test's power; and no number of units where it ends below that."""
    sd, overlap, difference = 1.0, 0.05, 1.0
    n = jn.seeds_needed(difference, sd=sd, overlap=overlap)
    rng = np.random.default_rng(0)

    def power(n):
        # differences whose mean has variance sd**2 (1 / n + overlap)
        shared = rng.normal(0, np.sqrt(overlap), 20_000)
        d = difference + shared[:, None] + rng.normal(0, sd, (20_000, n))
        error = d.std(1, ddof=1) * np.sqrt(1 / n + overlap)
        return (abs(d.mean(1) / error) > stats.t.isf(0.025, n - 1)).mean()

    assert power(n) > 0.8 - 3 * np.sqrt(0.16 / 20_000)
    assert power(n - 1) < 0.8 + 3 * np.sqrt(0.16 / 20_000)
    assert n > jn.seeds_needed(difference, sd=sd)
    with pytest.raises(ValueError, match="standard deviations with overlap 0.25"):
        jn.seeds_needed(0.5, sd=1.0, overlap=0.25)


def test_seeds_needed_takes_the_overlap_of_a_comparison():
    rng = np.random.default_rng(1)
    rows = [
        (p, 0.1 * (p == "a"), s, 0.7 + (p == "a") * rng.normal(0.02, 0.01))
        for p in ("none", "a")
        for s in range(20)
    ]
    scores = pd.DataFrame(rows, columns=["placement", "strength", "seed", "accuracy"])
    compared = jn.compare(scores, metric="accuracy", overlap=0.05)
    sd = float(np.std(scores["accuracy"][20:], ddof=1)) * np.sqrt(
        19 / stats.chi2.ppf(0.2, 19)
    )
    expected = jn.seeds_needed(0.02, sd=sd, overlap=0.05)
    assert jn.seeds_needed(0.02, result_or_table=compared) == expected
    plain = pd.DataFrame(jn.compare(scores, metric="accuracy"))
    assert jn.seeds_needed(0.02, result_or_table=plain) == jn.seeds_needed(0.02, sd=sd)


# Smaller things that a number must not do


def test_directions_of_more_names():
    from jaxnoise.evidence.table import lower_is_better

    for name in ("kl", "test_hinge", "hamming_distance", "bits_per_byte", "cost"):
        assert lower_is_better(name), name
    for name in ("d2_log_loss_score", "test_d2_absolute_error_score", "accuracy"):
        assert not lower_is_better(name), name


def test_counts_are_exact_and_equal_numbers_have_no_spread():
    counts = 10_000_000 + np.r_[np.zeros(12, int), np.arange(12) % 6]
    scores = pd.DataFrame({
        "placement": ["none"] * 12 + ["a"] * 12,
        "strength": [0.0] * 12 + [0.1] * 12,
        "seed": [*range(12)] * 2,
        "hits": counts,
        "same": 0.7,
    })  # fmt: skip
    row = jn.compare(scores, metric="hits").iloc[1]
    assert row["difference"] == np.mean(np.arange(12) % 6)
    same = jn.compare(scores, metric="same", lower_is_better=False)
    assert same["sd"].tolist() == [0.0, 0.0]
    assert "0.000000000" not in str(same)
    large = jn.compare(scores.assign(hits=counts * 1e12), metric="hits")
    assert "e+19" in str(large)


def test_select_says_of_how_many_the_difference_is():
    scores = table(gains=(0.0, 0.05, 0.0))
    partners = (scores["placement"] == "none") & (scores["split"] < 1)
    found = jn.select(scores[~partners])
    assert (found.n, found.difference_n) == (OUTER * INNER, OUTER * INNER - 1)
    assert f"n = {OUTER * INNER - 1}, verdict" in str(found)


def test_the_report_says_when_no_verdict_is_possible(tmp_path, no_figures):
    rng = np.random.default_rng(2)
    cells = [("none", 0.0), *(("input", float(s)) for s in range(1, 31))]
    rows = [
        (*cell, seed, 0.5 + 0.4 * (cell[0] == "input") + rng.normal(0, 0.01))
        for cell in cells
        for seed in range(10)
    ]
    names = ["placement", "strength", "seed", "test_accuracy"]
    scores = pd.DataFrame(rows, columns=names)
    with pytest.warns(UserWarning, match="^compare: with 30 comparisons of 10 seeds"):
        rows = jn.compare(scores, metric="test_accuracy")
    assert set(rows["verdict"][1:]) == {"no evidence"}
    text = jn.report(scores, tmp_path / "page.html").read_text("utf-8")
    said = "With 30 comparisons of 10 seeds no verdict of better or worse is possible"
    assert said in re.sub(r"\s+", " ", text)
    assert "it takes 11." in re.sub(r"\s+", " ", text)


def test_the_report_finds_the_metric_among_other_columns(tmp_path, no_figures):
    scores = table().rename(columns={"test_accuracy": "accuracy"})
    scores = scores.drop(columns="validation_accuracy")
    scores.insert(4, "lr", 0.1)
    path = jn.report(scores, tmp_path / "page.html", outer=OUTER)
    assert "A comparison in accuracy" in path.read_text("utf-8")
