"""What is stated holds as often as stated: coverage and false claims, made-up scores.

A table of 1,000 placements against a baseline of zeros is 1,000 independent
comparisons, so that one call of `compare` measures its own coverage.
"""

import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.evidence.judge import verdict
from jaxnoise.evidence.paired import holm, sign_flip_p, t_interval

# Of a thousand samples some look skewed by chance.
pytestmark = pytest.mark.filterwarnings("ignore:compare. differences are so skewed")
SIMULATIONS = 2_000
TABLES = 1_000  # placements of a table, or tables: slower to make
STRENGTHS, UNITS = 8, 10


def rng(seed):
    return np.random.default_rng(seed)


def table(values, baseline=None):
    """Scores (placement, seed, split) against a baseline (seed, split), or zeros."""
    shape = values.shape[1:]
    values = np.concatenate(
        [[np.zeros(shape) if baseline is None else baseline], values]
    )
    cell, seed, split = np.indices(values.shape).reshape(3, -1)
    names = np.array(["none", *(f"noise {i}" for i in range(len(values) - 1))])
    made = pd.DataFrame(
        {
            "placement": names[cell],
            "strength": np.minimum(cell, 1) / 10,
            "seed": seed,
            "split": split,
            "score": values.ravel(),
        }
    )
    made.attrs["overlap"] = 0.0  # splits are independent
    return made


def covered(low, high, truth):
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.filterwarnings("ignore:compare. with 1000 comparisons")
@pytest.mark.parametrize("n", [10, pytest.param(30, marks=pytest.mark.slow)])
def test_coverage_of_normal_differences(n):
    d = rng(n).normal(0.3, 1, (TABLES, n, 1))
    rows = jn.compare(table(d), metric="score").iloc[1:]
    assert 0.93 <= covered(rows["low"], rows["high"], 0.3) <= 0.97
    wins = covered(rows["win_low"], rows["win_high"], 0.6179)  # P(N(0.3, 1) > 0)
    assert 0.93 <= wins <= 0.98


@pytest.mark.parametrize(("n", "least"), [(5, 0.85), (10, 0.88), (30, 0.90)])
def test_coverage_of_skewed_differences(n, least):
    t = t_interval(rng(n).exponential(1, (SIMULATIONS, n)))
    assert covered(t.low, t.high, 1.0) >= least


@pytest.mark.filterwarnings("ignore:compare. with 1000 comparisons")
@pytest.mark.parametrize(
    ("splits", "seeds"), [(10, 5), pytest.param(20, 5, marks=pytest.mark.slow)]
)
def test_coverage_of_nested_tables(splits, seeds):
    """Splits differ, and seeds in them; pairs as if independent cover 58 to 74 %."""
    draws = rng(splits)
    d = 0.3 + draws.normal(size=(TABLES, 1, splits))
    d = d + draws.normal(0, 0.7, (TABLES, seeds, splits))
    rows = jn.compare(table(d), metric="score").iloc[1:]
    assert (rows["n"] == splits).all()
    assert 0.93 <= covered(rows["low"], rows["high"], 0.3) <= 0.97
    naive = t_interval(d.reshape(TABLES, -1))
    assert 0.58 <= covered(naive.low, naive.high, 0.3) <= 0.74


def test_coverage_of_overlapping_folds():
    """Differences of resampled splits with correlation overlap / (1 + overlap)."""
    overlap, n = 0.25, 10
    shared = overlap / (1 + overlap)
    draws = rng(0)
    d = 0.3 + np.sqrt(shared) * draws.normal(size=(SIMULATIONS, 1))
    d = d + np.sqrt(1 - shared) * draws.normal(size=(SIMULATIONS, n))
    t = t_interval(d, overlap=overlap)
    assert 0.935 <= covered(t.low, t.high, 0.3) <= 0.965
    plain = t_interval(d)
    assert covered(plain.low, plain.high, 0.3) < 0.80


def judged(d):
    """Verdicts of differences (strength, unit), and the smallest p of plain t-tests."""
    t = t_interval(d)
    p = holm([sign_flip_p(row, rng(0)) for row in d])
    cells = zip(t.low, t.high, p, strict=True)
    return [verdict(UNITS, 0.0, (low, high), p) for low, high, p in cells], t.p.min()


@pytest.mark.parametrize("shared", [False, True])
def test_null_sweeps(shared):
    """Eight strengths, of which none does anything, and 10 units: at most 5 % of the
    sweeps get a "better"; of the best of eight taken by itself it would be 34 %.

    In a sweep all strengths share their baseline.
    """
    draws = rng(int(shared))
    better = claims = naive = 0
    for _ in range(TABLES):
        d = draws.normal(size=(STRENGTHS, UNITS))
        d -= draws.normal(size=UNITS) if shared else 0.0
        verdicts, smallest_p = judged(d)
        better += "better" in verdicts
        claims += {"better", "worse"} & set(verdicts) != set()
        naive += smallest_p < 0.05
    error = np.sqrt(0.05 * 0.95 / TABLES)
    assert better / TABLES <= 0.05 + 3 * error
    assert claims / TABLES <= 0.05 + 3 * error
    if not shared:
        error = np.sqrt(0.337 * 0.663 / TABLES)
        assert abs(naive / TABLES - 0.337) <= 5 * error
    else:
        assert naive / TABLES > 0.2


def test_compare_judges_as_measured():
    """The table's own verdicts are those whose false claims were counted above."""
    false = 0
    for i in range(30):
        scores = rng([i, 0]).normal(size=(STRENGTHS, UNITS, 1))
        baseline = rng([i, 1]).normal(size=(UNITS, 1))
        rows = jn.compare(table(scores, baseline), metric="score")
        expected, _ = judged((scores - baseline)[..., 0])
        assert rows["verdict"].tolist() == ["baseline", *expected]
        false += "better" in expected
    assert false <= 30 * 0.05 + 5 * np.sqrt(30 * 0.05 * 0.95)


def test_a_real_effect_is_found():
    """Of one standard deviation, with 10 units: the verdict has power, and a sign."""
    for effect, word in ((1.5, "better"), (-1.5, "worse")):
        d = rng(7).normal(effect, 1, (300, UNITS))
        found = [judged(row[None])[0][0] for row in d]
        assert found.count(word) > 0.9 * 300
        assert set(found) <= {word, "no evidence"}
