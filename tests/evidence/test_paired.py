"""The numerical core: published cases, exact enumerations, and what ties do."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test, skew, ttest_1samp

from jaxnoise.evidence.paired import (
    SIGN_FLIPS,
    holm,
    interquartile_mean,
    sign_flip_p,
    skewness,
    t_interval,
    wilson,
    win_interval,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_t_interval_is_scipys_and_goes_along_the_last_axis():
    d = rng().normal(0.3, 1, (4, 12))
    got = t_interval(d)
    expected = ttest_1samp(d, 0, axis=1)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(got.low, interval.low)
    np.testing.assert_allclose(got.high, interval.high)
    np.testing.assert_allclose(got.p, expected.pvalue)
    np.testing.assert_allclose(t_interval(d[1]), np.array(got)[:, 1])


def test_corrected_t_of_ten_times_ten_folds():
    """The ratio of corrected to plain t is .287348; 2.611 becomes 0.750."""
    d = rng(1).normal(size=100)
    d = (d - d.mean()) / d.std(ddof=1) + 2.611 / 10  # a plain t of 2.611
    plain, corrected = t_interval(d), t_interval(d, overlap=1 / 9)
    ratio = (plain.high - plain.low) / (corrected.high - corrected.low)
    assert ratio == pytest.approx(0.287348, abs=1e-6)
    assert 2.611 * ratio == pytest.approx(0.750, abs=5e-4)
    assert plain.p / 2 == pytest.approx(0.0052, abs=5e-5)
    assert corrected.p / 2 == pytest.approx(0.2275, abs=1e-4)  # of 0.750, rounded
    assert corrected.mean == plain.mean


def test_overlap_widens_all_intervals_alike():
    d = rng(2).normal(0.5, 1, 10)
    wider = np.sqrt(1 + 10 * 0.25)
    plain, corrected = t_interval(d), t_interval(d, overlap=0.25)
    assert (corrected.high - d.mean()) / (plain.high - d.mean()) == pytest.approx(wider)
    share, *interval = win_interval(d, overlap=0.25)
    assert share == win_interval(d)[0]
    assert tuple(interval) == wilson(share, 10 / 3.5)


def test_wilson():
    assert wilson(0.8, 10.0) == pytest.approx((0.490162, 0.943318), abs=5e-7)
    for wins, n in itertools.product(range(8), (7.0, 30.0)):
        expected = binomtest(wins, int(n)).proportion_ci(0.95, "wilson")
        assert wilson(wins / n, n) == pytest.approx(tuple(expected), abs=1e-12)


def test_wilson_has_no_dust_at_its_ends():
    for n in map(float, range(1, 200)):
        assert wilson(0.0, n)[0] == 0
        assert wilson(1.0, n)[1] == 1
        assert 0 < wilson(0.5 / n, n)[0] < wilson(1 - 0.5 / n, n)[1] < 1


def test_wins_count_ties_half():
    share, low, high = win_interval([1.0, 0.0, -1.0, 2.0, 3.0])
    assert share == 0.7
    assert (low, high) == wilson(0.7, 5.0)
    assert win_interval(-np.array([1.0, 0.0, -1.0, 2.0, 3.0]))[0] == pytest.approx(0.3)


def test_holm():
    np.testing.assert_allclose(
        holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]
    )
    np.testing.assert_allclose(holm([0.6, np.nan, 0.5, np.nan]), [1, np.nan, 1, np.nan])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("n", [3, 5, 6, 10, 20])
def test_the_smallest_sign_flip_p(n):
    """2 / 2^n: .25, .0625, .03125, .00195 and about 2e-6."""
    assert sign_flip_p(1 + np.arange(n), rng()) == 2 / 2**n


@pytest.mark.parametrize("n", range(2, 14))
def test_sign_flips_are_scipys_permutations(n):
    d = rng(n).normal(0.4, 1, n)
    expected = permutation_test(
        (d, np.zeros(n)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert sign_flip_p(d, rng()) == expected.pvalue


def exact_p(d):
    """All sign patterns, by doubling, in whole numbers."""
    sums = np.zeros(1, int)
    for value in d:
        sums = np.concatenate([sums - value, sums + value])
    return Fraction(int((np.abs(sums) >= abs(d.sum())).sum()), len(sums))


@pytest.mark.parametrize("n", [2, 3, 7, 15, 20])
@pytest.mark.parametrize("scale", [1.0, 0.1, 1 / 70, 1e-9])
def test_ties_of_sums_are_counted_whatever_the_rounding(n, scale):
    """Differences of accuracies are whole multiples of one row's share."""
    for seed in range(5):
        d = rng(seed).integers(-2, 4, n)
        if np.ptp(d):
            assert sign_flip_p(scale * d, rng()) == exact_p(d)
    d = rng(6).integers(-2, 4, n)
    d[:2] = 0, 3
    single = (np.float32(scale) * d.astype(np.float32)).astype(float)
    rounded = sign_flip_p(single, rng(), rounding=n * 4e-7 * scale * 3)
    assert rounded == exact_p(d)


def test_beyond_twenty_units_flips_are_drawn():
    d = rng(4).normal(0.3, 1, 21)
    sums = np.zeros(1)
    for value in d:
        sums = np.concatenate([sums - value, sums + value])
    exact = (np.abs(sums) >= abs(d.sum())).mean()
    drawn = sign_flip_p(d, rng(1))
    assert abs(drawn - exact) <= 5 * np.sqrt(exact * (1 - exact) / SIGN_FLIPS)
    assert drawn == sign_flip_p(d, rng(1)) != sign_flip_p(d, rng(2))
    sure = sign_flip_p(5 + rng(5).normal(size=100), rng())
    assert sure == 1 / (1 + SIGN_FLIPS)  # never 0


@pytest.mark.parametrize("n", [1, 5, 20, 21, 24, 1_000, 25_000])
def test_many_samples_have_the_p_of_each(n):
    """Also where they are too many for one piece of the signs, or all the same."""
    d = rng(n).normal(size=(4, n)) + [[0], [0.1], [3 / np.sqrt(n)], [0]]
    d[3] = 0.5
    single = [sign_flip_p(each, rng(1), rounding=1e-9) for each in d]
    many = sign_flip_p(d[None], rng(1), rounding=[1e-9] * 4)
    np.testing.assert_array_equal(many, [single])


def test_drawn_signs_are_fair():
    """A sum of n random signs has variance n and no third moment, block by block."""
    for n in (21, 24, 37):
        d = rng(n).normal(size=n)
        p = np.array([sign_flip_p(d - d.mean() + c, rng(9)) for c in (0.2, -0.2)])
        assert p[0] == pytest.approx(p[1], abs=5 * np.sqrt(0.5 / SIGN_FLIPS))


@pytest.mark.parametrize("d", [0.0, 0.02, -3.0])
@pytest.mark.parametrize("n", [2, 6, 30])
def test_tied_differences(d, n):
    tied = np.full(n, d)
    assert t_interval(tied) == (d, d, d, 1.0)
    assert sign_flip_p(tied, rng()) == (2 / 2**n if d else 1.0)


def test_one_unit_and_none():
    mean, low, high, p = t_interval([0.5])
    assert (mean, p) == (0.5, 1.0)
    assert np.isnan([low, high]).all()
    assert sign_flip_p([0.5], rng()) == 1.0
    nothing = [*t_interval([]), *win_interval([])]
    assert np.isnan([*nothing, sign_flip_p([], rng()), interquartile_mean([])]).all()


@pytest.mark.parametrize("seed", range(40))
def test_odd_samples_need_no_warning(seed):
    """Few units, ties, one that differs, tiny and huge: finite, and warnings fail."""
    draw = rng(seed)
    n = int(draw.integers(2, 25))
    kind = seed % 4
    if kind == 0:
        d = draw.integers(-1, 2, n).astype(float)
    elif kind == 1:
        d = np.where(np.arange(n) == 0, 1.0, 0.0)
    else:
        d = draw.exponential(size=n) * 10.0 ** draw.integers(-37, 37)
    assert np.isfinite([*t_interval(d), *win_interval(d), skewness(d)]).all()
    assert 0 < sign_flip_p(d, rng()) <= 1


def test_skewness_is_scipys():
    d = rng().exponential(1, 30)
    for scale in (1.0, 2.0**-600, -(2.0**500)):
        assert skewness(scale * d) == pytest.approx(np.sign(scale) * skew(d))
    assert skewness([0.1, 0.1, 0.1]) == skewness([1.0, 2.0]) == skewness([]) == 0


def test_interquartile_mean():
    """rliable's two matrices: 1.5 and 2."""
    assert interquartile_mean([1, 2, 2, 2, 1, 1, 2, 1]) == 1.5
    assert interquartile_mean([1, 1, 2, 2, 3, 3]) == 2
    assert interquartile_mean([1, 2, 100]) == pytest.approx(103 / 3)
    assert interquartile_mean([0, 1, 2, 100]) == 1.5
