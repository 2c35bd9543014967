"""`select`: chosen on one set, reported on another, nested or not, and the optimism."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.evidence.paired import t_interval

CELLS = [("none", 0.0), ("input", 0.1), ("input", 0.3), ("hidden", 0.1)]


def table(validation, test, metric="accuracy", cells=None):
    """A tidy table of scores (cell, seed, split) on two sets."""
    cells = cells or CELLS
    validation, test = np.broadcast_arrays(validation, test)
    cell, seed, split = np.indices(test.shape).reshape(3, -1)
    made = pd.DataFrame(
        {
            "placement": [cells[i][0] for i in cell],
            "strength": [cells[i][1] for i in cell],
            "seed": seed,
            "split": split,
            f"validation_{metric}": validation.ravel(),
            f"test_{metric}": test.ravel(),
        }
    )
    made.attrs["overlap"] = 0.0  # splits are independent
    return made


def draw(seed, shape):
    return np.random.default_rng(seed).normal(0.7, 0.05, shape)


def gains(*values):
    """A value for each cell, with axes for seeds and splits."""
    return np.array(values)[:, None, None]


def test_the_best_on_validation_is_reported_on_test():
    validation = draw(0, (4, 12, 1)) + gains(0, 0.5, 1, 0.2)
    test = draw(1, (4, 12, 1)) + gains(0, 0.3, 0.1, 0.6)
    found = jn.select(table(validation, test))
    assert (found.placement, found.strength) == ("input", 0.3)
    assert (found.metric, found.choose_on, found.report_on) == (
        "accuracy",
        "validation",
        "test",
    )
    score = t_interval(test[2, :, 0])
    difference = t_interval((test[2] - test[0])[:, 0])
    np.testing.assert_allclose(
        (found.score, found.low, found.high, found.n), (*score[:3], 12)
    )
    np.testing.assert_allclose(
        (found.difference, found.difference_low, found.difference_high), difference[:3]
    )
    assert (found.claimed_placement, found.claimed_strength) == ("hidden", 0.1)
    assert found.claimed == pytest.approx(test[3].mean())
    assert found.optimism == pytest.approx(test[3].mean() - test[2].mean())
    assert found.unit == "seed"
    rows = jn.compare(table(validation, test), metric="test_accuracy")
    assert found.verdict == rows.loc[2, "verdict"] == "better"
    assert found.candidates["candidate"].all()
    np.testing.assert_allclose(
        found.candidates["validation_accuracy"], validation.mean(axis=(1, 2))
    )
    assert found.choices["placement"].tolist() == ["input"] * 12


def test_few_units_are_warned_of():
    scores = draw(0, (4, 9, 1))
    with pytest.warns(UserWarning, match="^select: 9 units are few: below 10 "):
        jn.select(table(scores, scores))


@pytest.mark.filterwarnings("ignore:select. .* units are few")
def test_test_scores_have_no_say():
    """Whatever they are, the choice stays; only what is reported changes."""
    validation = draw(0, (4, 12, 3))
    one, two = (jn.select(table(validation, draw(seed, (4, 12, 3)))) for seed in (1, 2))
    assert (one.placement, one.strength) == (two.placement, two.strength)
    assert one.score != two.score


def test_text():
    validation = draw(0, (4, 12, 1)) + gains(0, 0.5, 1, 0.2)
    test = draw(1, (4, 12, 1)) + gains(0, 0.3, 0.1, 0.6)
    found = jn.select(table(validation, test))
    assert str(found) == repr(found)
    lines = str(found).splitlines()
    assert lines[0] == "chosen on validation accuracy: input 0.3, of 4 candidates"
    assert lines[1].startswith(f"test accuracy: {found.score:.4f} [{found.low:.4f}, ")
    assert lines[1].endswith("n = 12 seeds")
    assert lines[2].startswith(f"difference to none: {found.difference:+.4f} [")
    assert lines[2].endswith("verdict: better")
    undecided = dataclasses.replace(found, verdict="none")
    assert str(undecided).splitlines()[2].endswith("], no verdict")
    assert lines[3] == (
        f"choosing on test would have claimed {found.claimed:.4f} (hidden 0.1): "
        f"optimism {found.optimism:.4f}"
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.score = 1.0


def test_losses():
    validation = draw(0, (4, 12, 1)) - gains(0, 0.5, 1, 0.2)
    test = draw(1, (4, 12, 1)) - gains(0, 0.3, 0.1, 0.6)
    found = jn.select(table(validation, test, "loss"), metric="loss")
    assert (found.placement, found.strength) == ("input", 0.3)
    assert (found.claimed_placement, found.claimed_strength) == ("hidden", 0.1)
    assert found.optimism == pytest.approx(test[2].mean() - test[3].mean())
    assert found.optimism > 0 > found.difference
    assert found.verdict == "better"
    other = jn.select(
        table(validation, test, "loss"), metric="loss", lower_is_better=False
    )
    assert other.placement == "none"


def test_the_baseline_may_be_chosen():
    scores = draw(0, (4, 12, 1)) - gains(0, 1, 1, 1)
    found = jn.select(table(scores, draw(1, (4, 12, 1))))
    assert (found.placement, found.strength) == ("none", 0.0)
    assert (found.difference, found.difference_low, found.difference_high) == (0, 0, 0)
    assert found.verdict == "baseline"
    assert "difference to none: +0.0000 [+0.0000, +0.0000]" in str(found)


def test_of_equal_ones_the_baseline_then_the_first():
    cells = [("input", 0.1), ("input", 0.3), ("plain", 0.0)]
    test = draw(1, (3, 12, 1))
    found = jn.select(
        table(np.full((3, 12, 1), 0.7), test, cells=cells), baseline="plain"
    )
    assert found.placement == "plain"
    better = np.full((3, 12, 1), 0.7) + gains(0.1, 0.1 + 1e-16, 0)
    found = jn.select(table(better, test, cells=cells), baseline="plain")
    assert (found.placement, found.strength) == ("input", 0.1)


def test_nothing_to_gain_by_choosing_on_test():
    scores = draw(0, (4, 12, 1))
    found = jn.select(table(scores, scores))
    assert found.optimism == 0
    assert str(found).endswith("optimism 0.0000")
    assert found.claimed == found.score


def test_splits_choose_together_unless_nested():
    """With several splits each is a unit, the mean over its seeds."""
    validation, test = draw(0, (4, 3, 10)), draw(1, (4, 3, 10))
    found = jn.select(table(validation, test))
    best = validation.mean(axis=(1, 2)).argmax()
    assert (found.placement, found.strength) == CELLS[best]
    assert (found.unit, found.n) == ("split", 10)
    score = t_interval(test[best].mean(axis=0))
    np.testing.assert_allclose((found.score, found.low, found.high), score[:3])
    corrected = t_interval(test[best].mean(axis=0), overlap=0.25)
    found = jn.select(table(validation, test), overlap=0.25)
    np.testing.assert_allclose((found.low, found.high), corrected[1:3])


def nested(seed, outer, inner, seeds=2):
    return draw(seed, (4, seeds, outer * inner))


@pytest.mark.filterwarnings("ignore:select. .* units are few")
@pytest.mark.parametrize(("outer", "inner"), [(5, 3), (2, 2), (10, 1)])
def test_outer_folds_choose_on_their_inner_folds(outer, inner):
    validation, test = nested(0, outer, inner), nested(1, outer, inner)
    found = jn.select(table(validation, test), outer=outer)

    def by_fold(scores):  # (cell, outer fold)
        return scores.reshape(4, 2, outer, inner).mean(axis=(1, 3))

    picks = by_fold(validation).argmax(axis=0)
    folds = np.arange(outer)
    honest = by_fold(test)[picks, folds]
    difference = honest - by_fold(test)[0]
    assert found.choices["placement"].tolist() == [CELLS[i][0] for i in picks]
    assert found.choices["strength"].tolist() == [CELLS[i][1] for i in picks]
    np.testing.assert_allclose(found.choices["score"], honest)
    np.testing.assert_allclose(
        (found.score, found.low, found.high), t_interval(honest)[:3]
    )
    np.testing.assert_allclose(
        (found.difference, found.difference_low, found.difference_high),
        t_interval(difference)[:3],
    )
    assert (found.placement, found.strength) == CELLS[
        by_fold(validation).mean(1).argmax()
    ]
    claimed = by_fold(test).mean(axis=1)
    assert found.claimed == pytest.approx(claimed.max())
    assert found.optimism == pytest.approx(claimed.max() - honest.mean())
    assert (found.unit, found.n) == ("outer fold", outer)
    assert f"n = {outer} outer folds" in str(found)
    assert str(found).splitlines()[1].startswith("in the outer folds: ")


@pytest.mark.filterwarnings("ignore:select. .* units are few")
@pytest.mark.parametrize(("outer", "verdict"), [(4, "none"), (5, "better")])
def test_five_outer_folds_have_a_verdict(outer, verdict):
    """As five folds have in `compare`; so few signs could not have one."""
    scores = nested(0, outer, 2) / 1000 + np.array([0.0, 0.1, 0.2, 0.3])[:, None, None]
    found = jn.select(table(scores, scores), outer=outer, overlap=1 / (outer - 1))
    assert found.verdict == verdict


@pytest.mark.filterwarnings("ignore:select. .* units are few")
def test_nested_folds_of_data_are_numbered_alike():
    """Folds that differ in what is best: each must choose its own."""
    x, y = np.arange(24.0)[:, None], np.arange(24)[:, None] % 2
    splits = jn.data.nested_folds(x, y, outer=3, inner=2)
    best = {tuple(data.test[0][:, 0]): fold for fold, data in enumerate(splits[::2], 1)}
    scores = np.stack(
        [
            [[float(best[tuple(data.test[0][:, 0])] == cell) for data in splits]]
            for cell in range(4)
        ]
    )
    found = jn.select(table(scores, scores), outer=3)
    strengths = list(
        zip(found.choices["placement"], found.choices["strength"], strict=True)
    )
    assert strengths == CELLS[1:]
    assert found.score == 1


def test_placements_that_diverge_are_no_candidates():
    validation, test = draw(0, (4, 12, 1)) + gains(0, 0.1, 1, 0.2), draw(1, (4, 12, 1))
    validation[2, 0] = test[2, 0] = np.nan  # one of 12
    found = jn.select(table(validation, test))
    assert found.placement == "hidden"
    assert found.candidates["candidate"].tolist() == [True, True, False, True]
    assert "of 3 candidates" in str(found)


def test_pytree_strengths():
    scores = table(draw(0, (4, 12, 1)) + gains(0, 0, 1, 0), draw(1, (4, 12, 1)))
    both = scores["strength"] == 0.3
    parts = scores.assign(
        **{
            "placement": scores["placement"].where(~both, "both"),
            "strength": scores["strength"].where(~both),
            "strength.hidden": np.where(both, 0.1, np.nan),
            "strength.input": np.where(both, 0.01, np.nan),
        }
    )
    found = jn.select(parts)
    assert found.strength == {"hidden": 0.1, "input": 0.01}
    assert "both 0.1 0.01, of 4" in str(found)


@pytest.mark.slow
def test_choosing_on_test_inflates_by_the_expected_maximum():
    """Of k that are all the same; on validation nothing is gained or lost."""
    k, inflation, n, simulations = 8, 1.4236, 10, 60
    cells = [("none", 0.0), *(("input", float(i)) for i in range(1, k))]
    optimism, honest = [], []
    for i in range(simulations):
        draws = np.random.default_rng(i).normal(size=(2, k, n, 1))
        found = jn.select(table(*draws, cells=cells))
        optimism.append(found.optimism)
        honest.append(found.score)
    error = 1 / np.sqrt(n)  # of a mean, the unit of the inflation
    for values, expected in ((optimism, inflation * error), (honest, 0.0)):
        spread = np.std(values, ddof=1) / np.sqrt(simulations)
        assert abs(np.mean(values) - expected) <= 5 * spread
    assert min(optimism) >= 0


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"choose_on": "test"}, ValueError, "must be two sets, got 'test' for both"),
        (
            {"metric": "test_accuracy"},
            ValueError,
            "choose_on and metric must make a column .* got 'validation_test_accuracy'",
        ),
        (
            {"report_on": "population"},
            ValueError,
            "report_on and metric must make a col",
        ),
        ({"outer": 1}, ValueError, r"divide the number of splits \(6\), got 1"),
        ({"outer": 4}, ValueError, r"divide the number of splits \(6\), got 4"),
        ({"outer": 2.0}, TypeError, r"outer must be an int or None, got 2\.0"),
        ({"overlap": -1}, ValueError, "overlap must be finite and >= 0, got -1"),
        ({"key": 3}, TypeError, "key must be a typed key"),
        ({"baseline": "non"}, ValueError, "baseline must be one of the placements"),
        ({"result_or_table": 3}, TypeError, "must be a SweepResult or a pandas table"),
    ],
)
def test_bad_arguments(arguments, error, message):
    arguments = {"result_or_table": table(draw(0, (4, 2, 6)), draw(1, (4, 2, 6)))} | (
        arguments
    )
    with pytest.raises(error, match=message):
        jn.select(arguments.pop("result_or_table"), **arguments)


@pytest.mark.bad_input
def test_nothing_to_choose():
    nothing = np.full((4, 12, 1), np.nan)
    with pytest.raises(ValueError, match="with finite scores on both sets, of which"):
        jn.select(table(nothing, nothing))
