"""Splits: each row on one side, classes and groups as asked, the same from one seed."""

import numpy as np
import pytest
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

import jaxnoise as jn
from jaxnoise.data.sets import split_facts

ROWS = 60
X = np.arange(ROWS, dtype=np.float32)[:, None]  # a row's number is its value
Y = (np.arange(ROWS) % 3 == 0).astype(np.int32)[:, None]  # 20 of 60
GROUPS = np.arange(ROWS) // 4  # 15 groups of 4
KINDS = [(False, None), (True, None), (False, GROUPS), (True, GROUPS)]


def numbers(rows):
    return rows[0][:, 0].astype(int)


def sides(data):
    return {name: set(numbers(rows)) for name, rows in data.items()}


def each_row_once(parts):
    return sorted(np.concatenate([numbers(part) for part in parts])) == list(
        range(ROWS)
    )


@pytest.mark.parametrize(("stratify", "groups"), KINDS)
@pytest.mark.parametrize("validation", [0.0, 0.25])
def test_folds_divide_the_rows(stratify, groups, validation):
    splits = jn.data.folds(
        X,
        Y,
        folds=5,
        repeats=2,
        stratify=stratify,
        groups=groups,
        validation=validation,
    )
    assert len(splits) == 10
    for repeat in (splits[:5], splits[5:]):
        assert each_row_once([data.test for data in repeat])
    assert sides(splits[0])["test"] != sides(splits[5])["test"]
    for data in splits:
        assert list(data) == ["train", "test", "validation"][: 3 if validation else 2]
        assert sum(len(side) for side in sides(data).values()) == ROWS
        assert set.union(*sides(data).values()) == set(range(ROWS))
        for x, y in data.values():
            np.testing.assert_array_equal(y, Y[x[:, 0].astype(int)])


@pytest.mark.parametrize("stratify", [False, True])
def test_folds_are_scikit_learns(stratify):
    kind = RepeatedStratifiedKFold if stratify else RepeatedKFold
    expected = kind(n_splits=4, n_repeats=2, random_state=7).split(X, Y[:, 0])
    splits = jn.data.folds(X, Y, folds=4, repeats=2, stratify=stratify, seed=7)
    for data, (train, test) in zip(splits, expected, strict=True):
        np.testing.assert_array_equal(numbers(data.train), train)
        np.testing.assert_array_equal(numbers(data.test), test)


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_stratified_sets_have_their_share_of_classes(groups):
    splits = jn.data.folds(
        X, Y, folds=5, stratify=True, groups=groups, validation=0.25, repeats=3
    )
    for data in splits:
        for name, (_, y) in data.items():
            expected = len(y) / 3
            assert abs(y.sum() - expected) <= (1 if groups is None else 2), name
            # groups of 4 cannot be cut: a class may be off by about one


@pytest.mark.parametrize("stratify", [False, True])
def test_groups_stay_together(stratify):
    flat = jn.data.folds(X, Y, stratify=stratify, groups=GROUPS, validation=0.3)
    names = np.array([f"patient {group}" for group in GROUPS])
    nested = jn.data.nested_folds(X, Y, stratify=stratify, groups=names, inner=3)
    for data in (*flat, *nested):
        seen = [{GROUPS[row] for row in side} for side in sides(data).values()]
        assert len(seen) == 3
        assert sum(len(side) for side in seen) == len(set.union(*seen)) == 15


def test_validation_is_a_share_of_train_and_leaves_the_test_sets():
    plain = jn.data.folds(X, Y, stratify=True)
    held_out = jn.data.folds(X, Y, stratify=True, validation=0.25)
    for one, two in zip(plain, held_out, strict=True):
        assert sides(one)["test"] == sides(two)["test"]
        assert sides(one)["train"] == sides(two)["train"] | sides(two)["validation"]
        assert len(sides(two)["validation"]) == 12  # of 48


def test_a_seed_is_a_division():
    one, same, other = (
        [sides(d) for d in jn.data.folds(X, Y, validation=0.2, seed=seed)]
        for seed in (3, 3, 4)
    )
    assert one == same != other
    one, same, other = (
        [sides(d) for d in jn.data.nested_folds(X, Y, seed=seed)] for seed in (3, 3, 4)
    )
    assert one == same != other


@pytest.mark.parametrize(("stratify", "groups"), KINDS)
def test_nested_folds_choose_and_report_on_different_rows(stratify, groups):
    splits = jn.data.nested_folds(
        X, Y, outer=5, inner=3, repeats=2, stratify=stratify, groups=groups
    )
    assert len(splits) == 30
    for repeat in (splits[:15], splits[15:]):
        assert each_row_once([data.test for data in repeat[::3]])
    for at in range(0, 30, 3):  # split = fold * inner + inner fold
        tests = [sides(data)["test"] for data in splits[at : at + 3]]
        assert tests[0] == tests[1] == tests[2]
        inner = [sides(data)["validation"] for data in splits[at : at + 3]]
        assert sum(map(len, inner)) == ROWS - len(tests[0])
        assert set.union(tests[0], *inner) == set(range(ROWS))
        for data in splits[at : at + 3]:
            assert sum(len(side) for side in sides(data).values()) == ROWS
            assert list(data) == ["train", "validation", "test"]


def test_pytrees_and_labels_are_divided():
    x = {"values": np.ones((12, 5, 2)), "mask": np.ones((12, 5), bool)}
    (data, *_) = jn.data.folds(x, np.arange(12) % 3, folds=3, stratify=True)
    assert data.train[0]["values"].shape == (8, 5, 2)
    assert data.train[0]["mask"].dtype == bool
    assert data.test[1].shape == (4,)
    one_hot = jn.data.folds(X, np.eye(3)[np.arange(ROWS) % 3], stratify=True)
    assert [d.test[1].sum(axis=0).tolist() for d in one_hot] == [[4, 4, 4]] * 5


def test_draws_are_fresh_and_share_the_population():
    splits = jn.data.draws(jn.data.circles, 3, validation=9, population=10, seed=1)
    assert repr(splits[0]) == (
        "Data(train=30 rows, test=70 rows, validation=9 rows, population=10 rows)"
    )
    first = jn.data.circles(population=10)
    for name in first:
        np.testing.assert_array_equal(splits[0][name][0], first[name][0])
    for name in ("train", "test", "validation"):
        values = [data[name][0] for data in splits]
        assert not np.isin(values[0], values[1:]).any(), name
    np.testing.assert_array_equal(splits[0].population[0], splits[2].population[0])
    more = jn.data.draws(jn.data.circles, 4, validation=9, population=10, seed=1)
    np.testing.assert_array_equal(more[2].train[0], splits[2].train[0])


def test_a_sweep_tells_of_unlike_columns_once():
    """Before it traces anything; ``scale=True`` is the cure that it names."""

    def sweep(x, **options):
        splits = jn.data.folds(x, Y, **options)
        with pytest.raises(ZeroDivisionError):
            jn.sweep(
                {"none": lambda _: 1 / 0},
                **{"strengths": {}, "data": splits, "seeds": 1, "epochs": 1},
                batch_size=16,
            )

    x = np.concatenate([X, 1e3 * X], axis=1)
    with pytest.warns(UserWarning, match=r"^data: column 1 .* jn.data.folds\(") as told:
        sweep(x)
    assert len(told) == 1
    sweep(x, scale=True)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"folds": 1}, ValueError, "folds must be at least 2, got 1"),
        ({"folds": 2.0}, TypeError, r"folds must be an int, got 2\.0"),
        ({"folds": True}, TypeError, "folds must be an int, got True"),
        ({"folds": 61}, ValueError, r"at most the number of rows \(60\), got 61"),
        (
            {"folds": 21, "stratify": True},
            ValueError,
            r"folds must be at most the number of rows of the rarest class \(20\)",
        ),
        (
            {"folds": 16, "groups": GROUPS},
            ValueError,
            r"folds must be at most the number of groups \(15\), got 16",
        ),
        ({"repeats": 0}, ValueError, "repeats must be at least 1, got 0"),
        ({"groups": GROUPS[1:]}, ValueError, r"shape \(60,\), got \(59,\)"),
        ({"validation": 1.0}, ValueError, r"share from 0 to below 1, got 1\.0"),
        ({"validation": -0.1}, ValueError, "share from 0 to below 1, got -0.1"),
        ({"validation": "a"}, ValueError, "share from 0 to below 1, got 'a'"),
        ({"validation": 0.999}, ValueError, "validation must leave rows"),
        (
            {"validation": 0.01, "stratify": True},
            ValueError,
            "validation must leave rows .* got 0.01 of 48 rows",
        ),
        ({"seed": -1}, ValueError, "seed must be from 0 to 4294967295, got -1"),
        ({"seed": 0.5}, TypeError, r"seed must be an int, got 0\.5"),
    ],
)
def test_bad_folds(options, error, message):
    with pytest.raises(error, match=message):
        jn.data.folds(X, Y, **options)


@pytest.mark.bad_input
def test_other_bad_splits():
    with pytest.raises(ValueError, match="outer must be at least 2, got 1"):
        jn.data.nested_folds(X, Y, outer=1)
    with pytest.raises(ValueError, match=r"inner must be at most .* \(30\), got 31"):
        jn.data.nested_folds(X, Y, outer=2, inner=31)
    with pytest.raises(ValueError, match="train: x and y must have the same number"):
        jn.data.folds(X, Y[1:])
    with pytest.raises(TypeError, match="y must be one array to stratify by"):
        jn.data.folds(X, (Y, Y), stratify=True)
    with pytest.raises(TypeError, match="make must be a function that returns Data"):
        jn.data.draws(3, 2)
    with pytest.raises(TypeError, match="make must return Data, got int"):
        jn.data.draws(lambda seed: seed, 2)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        jn.data.draws(jn.data.circles, 0)
    with pytest.raises(ValueError, match="seed must be from 0 to 4294967294, got -1"):
        jn.data.draws(jn.data.circles, 2, seed=-1)
    with pytest.raises(ValueError, match="validation must be at least 0, got -1"):
        jn.data.circles(validation=-1)


def test_splits_carry_what_statistics_ask():
    """k folds share all but a k-th; draws are of their own; of others nothing is known.

    A nested split knows its outer fold, so that any part of them is understood.
    """
    splits = jn.data.folds(X, Y, folds=5, repeats=2, validation=0.25)
    facts = split_facts(splits)
    assert (facts["overlap"], list(facts["majority"])) == (0.25, list(splits[0]))
    for name, shares in facts["majority"].items():
        expected = [1 - float(data[name][1].mean()) for data in splits]
        assert shares == pytest.approx(expected)
    nested = jn.data.nested_folds(X, X, outer=3, inner=2, repeats=2)
    facts = split_facts(nested[2:])
    assert facts == {"overlap": 0.5, "outer": [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]} | {
        "majority": {}  # no classes
    }
    assert split_facts(jn.data.draws(jn.data.circles, 2))["overlap"] == 0
    assert split_facts(jn.data.draws(jn.data.wine, 2))["overlap"] == 0
    assert split_facts([jn.data.moons()])["overlap"] == 0
    unknown = jn.Data(train=(X, np.repeat(range(3), [10, 20, 30])))
    assert split_facts([unknown] * 2) == {"majority": {"train": [0.5, 0.5]}}
