"""E-processes by law: fair coins, stopping, and what is ruled out."""

import itertools

import numpy as np
import pytest

from jaxnoise.evidence.anytime import confidence_sequence, e_holm, log_e

LIMIT = np.log(20)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("sides", [(-1, 1), (1,), (-1,)])
def test_e_averages_to_one_over_all_signs(sides):
    """After each unit and at any time of stopping, whatever the sizes are."""
    signs = np.array(list(itertools.product([-1, 1], repeat=10)))
    e = np.exp(log_e(signs * rng().exponential(size=10), sides=sides))
    np.testing.assert_allclose(e.mean(0), 1, rtol=1e-12)
    stop = np.where((e >= 1.5).any(1), (e >= 1.5).argmax(1), 9)
    assert e[np.arange(len(e)), stop].mean() == pytest.approx(1, rel=1e-12)


def test_e_knows_no_unit_and_no_direction():
    d = rng().normal(0.3, 1, (4, 30))
    e = log_e(d)
    np.testing.assert_allclose(log_e(1e-200 * d), e, rtol=1e-12)
    np.testing.assert_allclose(log_e(-d), e, rtol=1e-12)
    np.testing.assert_allclose(log_e(d[:, :12]), e[:, :12], rtol=1e-12)
    halves = np.exp(log_e(d, sides=[1])) + np.exp(log_e(d, sides=[-1]))
    np.testing.assert_allclose(np.exp(e), halves / 2, rtol=1e-12)
    np.testing.assert_array_equal(log_e(np.zeros(5)), 0)
    assert (np.diff(log_e(np.ones(3_000))) >= 0).all()  # far beyond what exp takes


def test_looking_always_finds_nothing_in_five_of_a_hundred():
    """Heavy tails and ties included; the sign-flip test would say 33 % by 100 units."""
    for draw in (rng(1).standard_t(2, (500, 300)), rng(2).integers(-1, 2, (500, 300))):
        false = (log_e(draw) >= LIMIT).any(1).mean()
        assert 0.005 <= false <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 500)


@pytest.mark.parametrize(("effect", "n", "most"), [(0.5, 34, 1.15), (1.0, 10, 1.4)])
def test_a_difference_is_found_about_as_soon(effect, n, most):
    """n units have a power of 80 % if n is fixed; here twice as many are the end."""
    found = log_e(rng(3).normal(effect, 1, (1_000, 2 * n))) >= LIMIT
    stop = np.where(found.any(1), found.argmax(1) + 1, 2 * n)
    assert found.any(1).mean() > 0.82
    assert stop.mean() < most * n


@pytest.mark.parametrize("seed", range(5))
def test_e_holm_is_the_least_mean_of_any_set(seed):
    e = rng(seed).exponential(8, 6) ** 2
    sets = [np.flatnonzero(chosen) for chosen in itertools.product([0, 1], repeat=6)]
    least = [min(e[one].mean() for one in sets if i in one) for i in range(6)]
    np.testing.assert_allclose(np.exp(e_holm(np.log(e))), least)
    columns = np.exp(e_holm(np.log([e, e[::-1]]).T))  # each along the first axis
    np.testing.assert_allclose(columns[:, 1], columns[::-1, 0])


def test_the_sequence_holds_what_has_not_been_ruled_out():
    """Its ends are where the largest e so far gets to 20; 0 is out when 0 has been."""
    d = rng(4).normal(0.4, 1, (40, 25))
    low, high = confidence_sequence(d)
    for ends, out in ((low, -1e-9), (high, 1e-9)):
        assert (log_e(d - ends[:, None]).max(1) < LIMIT).all()
        assert (log_e(d - ends[:, None] - out).max(1) > LIMIT - 1e-6).all()
    out = (low > 0) | (high < 0)
    np.testing.assert_array_equal(out, log_e(d).max(1) >= LIMIT)
    assert 5 < out.sum() < 35
    sooner = confidence_sequence(d[:, :15])
    assert (sooner[0] <= low + 1e-9).all()
    assert (high <= sooner[1] + 1e-9).all()
    np.testing.assert_allclose(confidence_sequence(3 - 2 * d)[0], 3 - 2 * high)


def test_sequences_of_odd_units():
    assert np.isnan(confidence_sequence(rng().normal(size=7))).all()
    assert np.isfinite(confidence_sequence(rng().normal(size=8))).all()
    np.testing.assert_allclose(confidence_sequence(np.full(30, 0.2)), 0.2, rtol=1e-12)
    assert np.isnan(confidence_sequence([])).all()
    moved = np.repeat([0.0, 9.0], 50) + rng().normal(0, 0.1, 100)
    low, high = confidence_sequence(moved)  # no centre is left
    assert low == high
