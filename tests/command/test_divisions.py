"""Rows that train, choose and report are apart, and stay apart from their like."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.model_selection import TimeSeriesSplit

from jaxnoise.command.columns import FileError
from jaxnoise.command.divisions import (
    INNER,
    OUTER,
    _cuts_in_time,
    divide,
    overlap_of,
)

ROWS = 200


def question(**given):
    rng = np.random.default_rng(0)
    facts = {
        "y": rng.permutation(np.arange(ROWS) % 2),
        "classification": True,
        "groups": None,
        "time": None,
        "tested": None,
    }
    return SimpleNamespace(**{**facts, **given})


QUESTIONS = {
    "classes": question(),
    "numbers": question(classification=False),
    "groups": question(groups=np.arange(ROWS) // 5),
    "groups of numbers": question(groups=np.arange(ROWS) // 5, classification=False),
    "time": question(time=np.random.default_rng(1).permutation(ROWS)),
    "a file": question(tested=np.arange(ROWS) >= 150),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_row_is_on_two_sides(name):
    for each in divide(QUESTIONS[name], inner=INNER, repeats=2, seed=0):
        sides = [each.train, each.validation, each.test]
        together = np.concatenate(sides)
        assert len(set(together)) == len(together)
        assert min(map(len, sides)) > 0


@pytest.mark.parametrize("name", ["classes", "numbers", "groups"])
def test_every_row_reports_once_in_each_repeat(name):
    divisions = divide(QUESTIONS[name], inner=1, repeats=2, seed=0)
    assert [each.fold for each in divisions] == [*range(2 * OUTER)]
    for repeat in (divisions[:OUTER], divisions[OUTER:]):
        assert sorted(np.concatenate([each.test for each in repeat])) == [*range(ROWS)]
    assert not np.array_equal(divisions[0].test, divisions[OUTER].test)


@pytest.mark.parametrize("name", ["groups", "groups of numbers"])
def test_a_group_is_on_one_side(name):
    groups = QUESTIONS[name].groups
    for each in divide(QUESTIONS[name], inner=2, repeats=1, seed=0):
        sides = [set(groups[rows]) for rows in (each.train, each.validation, each.test)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_what_tests_is_later():
    time = QUESTIONS["time"].time
    divisions = divide(QUESTIONS["time"], inner=2, repeats=3, seed=0)
    assert len(divisions) == 2 * OUTER
    for each in divisions:
        assert time[each.train].max() < time[each.validation].min()
        assert time[each.validation].max() < time[each.test].min()


def test_without_ties_the_cuts_in_time_are_those_of_scikit_learn():
    rows, time = np.arange(ROWS)[::-1], np.arange(ROWS) * 2.5
    found = [*_cuts_in_time(rows, time, OUTER)]
    wanted = [*TimeSeriesSplit(OUTER).split(rows)][::-1]
    for (train, test), (first, last) in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(train, rows[first])
        np.testing.assert_array_equal(test, rows[last])


@pytest.mark.parametrize("years", [OUTER + 1, 12, 40])
def test_rows_of_one_time_are_on_one_side(years):
    rng = np.random.default_rng(years)
    time = np.sort(np.append(np.arange(years), rng.integers(years, size=ROWS)))
    cuts = [*_cuts_in_time(np.arange(len(time)), time, OUTER)]
    assert len(cuts) == OUTER
    for train, test in cuts:
        assert time[train].max() < time[test].min()
    assert cuts[0][1][-1] == len(time) - 1  # the last come first


def test_fewer_times_give_fewer_cuts_and_one_time_none():
    time = np.repeat([1, 2, 3], 10)
    sizes = [train.size for train, _ in _cuts_in_time(time, time, OUTER)]
    assert sizes == [20, 10]
    with pytest.raises(FileError, match="^--time: the rows .* have one time"):
        [*_cuts_in_time(time[:10], time[:10], OUTER)]


def test_rows_of_a_file_report_alone():
    tested = QUESTIONS["a file"].tested
    (each,) = divide(QUESTIONS["a file"], inner=1, repeats=3, seed=0)
    assert tested[each.test].all() and each.test.size == tested.sum()
    assert not tested[np.concatenate([each.train, each.validation])].any()


def test_the_overlap_is_that_of_outer_folds():
    divisions = divide(QUESTIONS["classes"], inner=3, repeats=1, seed=0)
    assert overlap_of(divisions) == pytest.approx(1 / (OUTER - 1))


def test_another_seed_divides_otherwise():
    first, second = (
        divide(QUESTIONS["classes"], inner=1, repeats=1, seed=s)[0] for s in (0, 1)
    )
    assert not np.array_equal(first.test, second.test)
