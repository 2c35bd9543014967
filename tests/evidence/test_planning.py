"""How many units: textbook numbers, a simulation, and the spread of a first sweep."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, ttest_1samp

import jaxnoise as jn
from jaxnoise.evidence.paired import all_flips_p
from jaxnoise.evidence.planning import _power, _power_of_t


@pytest.mark.parametrize(
    ("effect", "n"), [(0.2, 199), (0.5, 34), (0.6, 24), (0.1, 787)]
)
def test_textbook_numbers_of_the_paired_t(effect, n):
    """Cohen's d of paired differences, two-sided, level 0.05, power 0.8."""
    assert jn.seeds_needed(effect, sd=1.0) == n
    assert jn.seeds_needed(-effect / 50, sd=0.02) == n


@pytest.mark.parametrize(("power", "alpha", "n"), [(0.9, 0.05, 44), (0.95, 0.01, 75)])
def test_power_and_level(power, alpha, n):
    assert jn.seeds_needed(0.5, sd=1.0, power=power, alpha=alpha) == n


@pytest.mark.parametrize("effect", [0.01, 0.37, 0.9])
def test_it_is_the_smallest_number_with_the_power(effect):
    n = jn.seeds_needed(effect, sd=1.0)
    assert _power(n, effect, 0.05) >= 0.8 > _power(n - 1, effect, 0.05)


@pytest.mark.parametrize(("effect", "comparisons"), [(1.6, 1), (1.0, 1), (1.2, 8)])
def test_power_of_few_units_is_that_of_their_test(effect, comparisons):
    """At six units the t-test would promise 0.8, and all signs agree in 0.66."""
    n = jn.seeds_needed(effect, sd=1.0, comparisons=comparisons)
    rng, level = np.random.default_rng(1), 0.05 / comparisons
    for units, least, most in ((n, 0.77, 1), (n - 1, 0, 0.83)):
        d = rng.normal(effect, 1, (2_000, units))
        assert least <= (all_flips_p(d) < level).mean() <= most


def test_power_of_t_in_simulation():
    d = np.random.default_rng(0).normal(0.8, 1, (4_000, 15))
    found = (ttest_1samp(d, 0, axis=1).pvalue < 0.05).mean()
    expected = _power_of_t(15, 0.8, 0.05)
    assert abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / 4_000)


def test_a_verdict_needs_six_units_and_a_p_that_can_pass():
    assert jn.seeds_needed(10.0, sd=1.0) == 6
    assert jn.seeds_needed(1.0, sd=0.0) == 6
    assert jn.seeds_needed(1e-3, sd=1e-300) == 6
    assert [jn.seeds_needed(e, sd=1.0) for e in (2.0, 5.0, 9.0, 300.0)] == [6] * 4
    for comparisons in (2, 8, 100):
        n = jn.seeds_needed(10.0, sd=1.0, comparisons=comparisons)
        assert 2 / 2**n * comparisons < 0.05 <= 2 / 2 ** (n - 1) * comparisons


def test_more_comparisons_take_more():
    needed = [jn.seeds_needed(0.5, sd=1.0, comparisons=k) for k in (1, 2, 8, 50)]
    assert needed == sorted(set(needed))
    assert needed[2] == jn.seeds_needed(0.5, sd=1.0, alpha=0.05 / 8)


def scores(splits=1):
    seed, split = np.indices((12, splits)).reshape(2, -1)
    draw = np.random.default_rng(0)
    parts = [
        pd.DataFrame(
            {
                "placement": placement,
                "strength": strength,
                "seed": seed,
                "split": split,
                "loss": draw.normal(0.5, sd, len(seed)),
            }
        )
        for placement, strength, sd in (
            ("none", 0.0, 0.1),
            ("input", 0.1, 0.3),
            ("input", 0.3, 0.2),
        )
    ]
    made = pd.concat(parts)
    made.attrs["overlap"] = 0.0  # splits are independent
    return made


@pytest.mark.parametrize("splits", [1, 15])
def test_spread_of_a_table(splits):
    """The largest, over units, from the runs or from what compare made of them."""
    table = scores(splits)
    wide = table.pivot(index=["seed", "split"], columns="strength", values="loss")
    d = wide.sub(wide[0.0], axis=0)[[0.1, 0.3]]
    sd = d.groupby("split").mean().std() if splits > 1 else d.std()
    assert sd[0.1] > sd[0.3]
    n = table["split" if splits > 1 else "seed"].nunique()
    sd *= np.sqrt((n - 1) / chi2.ppf(0.2, n - 1))  # the upper limit of 80 %
    expected = jn.seeds_needed(0.05, sd=float(sd[0.1]))
    assert jn.seeds_needed(0.05, result_or_table=table, metric="loss") == expected
    rows = jn.compare(table, metric="loss")
    assert jn.seeds_needed(0.05, result_or_table=rows) == expected
    moving = jn.compare(table, metric="loss", stop="anytime")
    assert jn.seeds_needed(0.05, result_or_table=moving) == expected
    less = rows[rows["strength"] == 0.3]
    expected = jn.seeds_needed(0.05, sd=float(sd[0.3]))
    assert jn.seeds_needed(0.05, result_or_table=less) == expected
    corrected = jn.compare(table, metric="loss", overlap=0.25)
    less = corrected[corrected["strength"] == 0.3]
    assert jn.seeds_needed(0.05, result_or_table=less, overlap=0.0) == expected


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"difference": 0}, ValueError, "difference must not be 0"),
        ({"difference": np.inf}, ValueError, "difference must be finite, got inf"),
        ({"difference": "a"}, TypeError, "difference must be a number, got 'a'"),
        ({"sd": -1}, ValueError, "sd must be finite and >= 0, got -1"),
        ({"sd": np.nan}, ValueError, "sd must be finite and >= 0, got nan"),
        ({"sd": None}, ValueError, "takes sd or result_or_table, got neither"),
        ({"result_or_table": 3}, ValueError, "takes sd or result_or_table, got both"),
        ({"power": 1}, ValueError, "power must be between 0 and 1, got 1"),
        ({"alpha": 0.0}, ValueError, r"alpha must be between 0 and 1, got 0\.0"),
        ({"comparisons": 0}, ValueError, "comparisons must be at least 1, got 0"),
        ({"comparisons": 1.5}, TypeError, r"comparisons must be an int, got 1\.5"),
        (
            {"difference": 1e-9},
            ValueError,
            r"difference must be seen with 1e\+12 units",
        ),
        (
            {"sd": None, "result_or_table": [1]},
            ValueError,
            "metric must be a column of the runs, got None",
        ),
        (
            {"sd": None, "result_or_table": [1], "metric": "loss"},
            TypeError,
            "result_or_table must be a SweepResult or a pandas table, got list",
        ),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        jn.seeds_needed(**{"difference": 0.5, "sd": 1.0} | arguments)


@pytest.mark.bad_input
def test_tables_without_a_spread():
    rows = jn.compare(scores(), metric="loss")
    with pytest.raises(ValueError, match="comparison of two or more units, got none"):
        jn.seeds_needed(0.1, result_or_table=rows.iloc[:1])
    alone = scores()[scores()["placement"] == "none"]
    with pytest.raises(ValueError, match="comparison of two or more units, got none"):
        jn.seeds_needed(0.1, result_or_table=alone, metric="loss")
