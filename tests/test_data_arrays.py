"""What comes in as x, y and groups: what fits is kept exactly, all else is told."""

import warnings
from datetime import date
from decimal import Decimal

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
from jax.experimental import sparse
from scipy.sparse import csr_matrix

import jaxnoise as jn

ROWS = 6
X, Y = np.ones((ROWS, 2), np.float32), np.zeros((ROWS, 1), np.float32)
MINUTES = 1_700_000_000 + 60 * np.arange(ROWS)  # Unix seconds: float32 has steps of 128
FITS = r"must fit into {}, got {} in {}; .* enable 64-bit types"
TIMES = "give times as numbers, such as .t - t.min.*pandas.Timedelta"
CAST = r"; cast it, astype\('float32'\)"


def column(*values, dtype=None):
    """A table of one row a value, beside a column of ones."""
    values = np.resize(np.array(values, dtype), ROWS)
    return np.stack([np.ones(ROWS, values.dtype), values], axis=1)


def frame(values, **options):
    return pd.DataFrame({"a": 1.0, "b": pd.Series(values, **options)})


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.array([0, 2**31 - 1] * 3), np.int32),
        (np.array([0, 2**32 - 1] * 3, np.uint64), np.uint32),
        ([2**31 - 1] * ROWS, np.int32),
        (pd.Series([2**31 - 1] * ROWS, dtype="Int64"), np.int32),
        (np.array([True, False] * 3), bool),
        (np.array([1.5, 3e38] * 3), np.float32),
        (np.array([2e-38, 0.0] * 3), np.float32),
        (np.array([1.5] * ROWS, np.longdouble), np.float32),
        (np.array([1.5] * ROWS, np.float16), np.float16),
        (np.array([1.5] * ROWS, ml_dtypes.bfloat16), ml_dtypes.bfloat16),
        (np.ma.masked_equal([1.0] * ROWS, -999), np.float32),
        (jnp.ones(ROWS), np.float32),
        (range(ROWS), np.int32),
        (np.matrix([[1.5, 0.5]] * ROWS), np.float32),
    ],
)
def test_what_fits_is_kept(given, dtype):
    got = jn.Data(train=(X, given)).train[1]
    assert got.dtype == dtype
    np.testing.assert_allclose(got.astype(float), np.asarray(given, float), rtol=1e-7)


def test_64_bit_types_hold_more():
    big = np.array([3_000_000_000, 2**60] * 3)
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("error")
        x, y = jn.Data(train=(column(1e300, 1e-60), big)).train
        minutes = jn.Data(train=(MINUTES.astype(float), Y)).train[0]
    np.testing.assert_array_equal(x, column(1e300, 1e-60), strict=True)
    np.testing.assert_array_equal(y, big, strict=True)
    np.testing.assert_array_equal(minutes, MINUTES)


REFUSED = {  # x: the message, after "train "
    "int64": (
        column(3_000_000_000),
        FITS.format("int32", 3_000_000_000, "x, column 1"),
    ),
    "negative": (
        column(-3_000_000_000),
        FITS.format("int32", -3_000_000_000, "x, col.*"),
    ),
    "uint64": (
        column(2**63, dtype=np.uint64),
        FITS.format("uint32", 2**63, "x, col.*"),
    ),
    "Int64": (
        pd.DataFrame({"id": [1] * 5 + [2**40]}).convert_dtypes(),
        FITS.format("int32", 2**40, "x, column 'id'"),
    ),
    "nanoseconds": (
        pd.DataFrame({"t": pd.date_range("2026", periods=ROWS).as_unit("ns")}).astype(
            "int64"
        ),
        FITS.format("int32", r"17\d{17}", "x, column 't'"),
    ),
    "large": (column(1e300), FITS.format("float32", r"1e\+300", "x, column 1")),
    "longdouble": (
        column(1e300, dtype=np.longdouble),
        FITS.format("float32", r"1e\+300", "x, column 1"),
    ),
    "small": (column(1e-60), FITS.format("float32", "1e-60", "x, column 1")),
    "small beside large": (
        column(1.0, -1e-40),
        FITS.format("float32", "-1e-40", "x, .*"),
    ),
    "masked": (
        np.ma.masked_equal(column(-999, 1), -999),
        "must be finite, got 3 masked values of 12 in x, column 1; drop or impute",
    ),
    "masked rows": (
        [np.ma.masked_equal([1, -999], -999)] * ROWS,
        "must be finite, got 6 masked values of 12 in x, column 1; drop",
    ),
    "nan": (column(np.nan, 1), "must be finite, got 3 NaN or .* of 12 in x, column 1;"),
    "datetimes": (column("2026-01-01", dtype="M8[D]")[:, 1], TIMES),
    "timedeltas": (np.full((ROWS, 2), np.timedelta64(1, "s")), TIMES),
    "dates": (np.full((ROWS, 2), date(2026, 1, 1)), TIMES),
    "column of datetimes": (
        frame(pd.date_range("2026", periods=ROWS)),
        "'b'.*" + TIMES,
    ),
    "column of periods": (
        frame(pd.period_range("2026", periods=ROWS)),
        "'b'.*" + TIMES,
    ),
    "decimals": (np.full((ROWS, 2), Decimal("1.5")), "got object in a ndarray" + CAST),
    "objects": (column(None, 1, dtype=object), "got object in a ndarray" + CAST),
    "column of objects": (frame([1, 2] * 3, dtype=object), "'b' of object.*" + CAST),
    "large ints": ([2**70] * ROWS, "got object in a list" + CAST),
    "category": (
        frame(["a", "b"] * 3, dtype="category"),
        "'b' of category.*get_dummies",
    ),
    "category of numbers": (frame([1, 2] * 3, dtype="category"), "'b' of cat.*" + CAST),
    "float8": (X.astype(ml_dtypes.float8_e4m3fn), "got float8_e4m3fn in a .*" + CAST),
    "int4": (X.astype(ml_dtypes.int4), "got int4 in a .*" + CAST),
    "complex": (X * 1j, "got complex64 in a ndarray; give real and imaginary parts as"),
    "column of complex": (frame([1j] * ROWS), "'b' of complex128.*real and imaginary"),
    "sparse": (csr_matrix(X), r"in a csr_matrix; make it dense, x.todense\(\)"),
    "sparse of JAX": (
        sparse.BCOO.fromdense(jnp.asarray(X)),
        r"in a BCOO; make it dense, x.todense\(\)",
    ),
    "generator": ((row for row in X), r"in a generator; make a list of it, list\(x\)"),
    "set": ({1, 2}, r"in a set; make a list of it, list\(x\)"),
    "values of a dict": ({"a": X}.values(), "in a dict_values; make a list of it"),
    "records": (
        np.zeros(ROWS, [("a", int)]),
        r"make a table of records, pandas.DataFr",
    ),
    "texts of numbers": (
        column("1.5", dtype=str),
        "make numbers of texts by pandas.to_n",
    ),
    "words": (np.full((ROWS, 2), "red"), "encode words by pandas.get_dummies"),
    "keys": (jax.random.split(jax.random.key(0), ROWS), "must hold arrays of numbers"),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_with_its_cure(name):
    """By each door: as a set, as x or in a pytree, and for folds."""
    x, message = REFUSED[name]
    doors = [lambda: jn.Data(train=(x, Y)), lambda: jn.data.folds(x, Y)]
    if not hasattr(x, "send"):  # a generator comes once
        doors += [
            lambda: jn.Data(train=({"a": x}, Y)),
            lambda: jn.data.nested_folds(x, Y, outer=2, inner=2),
        ]
    kind = ValueError if message.startswith(("must fit", "must be")) else TypeError
    for door in doors:
        with pytest.raises(kind, match=f"^train .*{message}") as caught:
            door()
        assert len(str(caught.value)) < 320
        assert "\n" not in str(caught.value)


@pytest.mark.bad_input
def test_targets_and_other_sets_are_checked_alike():
    with pytest.raises(
        ValueError, match="^train must fit into int32, got 3000000000 in"
    ):
        jn.Data(train=(np.ones((1, 1)), np.array([3_000_000_000])))
    with pytest.raises(
        ValueError, match="^test must fit into float32, got 1e.300 in y;"
    ):
        jn.Data(train=(X, Y), test=(X, Y.astype(float) + 1e300))


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (column(*MINUTES), "x, column 1, such as 6 into 3;"),
        (column(*MINUTES.astype(float)), "x, column 1, such as 6 into 3;"),
        (frame(MINUTES), "x, column 'b', such as 6 into 3;"),
        (np.array([1e9, 1e9 + 1, 1e9 + 128] * 2), "x, such as 3 into 2;"),
        (MINUTES[:, None, None] + [[0, 0.5]], "x, columns 0, 1, such as 6 into 3;"),
    ],
)
def test_values_that_merge_are_told(x, told):
    with pytest.warns(UserWarning, match=f"float32 merges distinct values of {told}"):
        jn.Data(train=(x, Y), test=(x, Y))
    shifted = x - x.min(axis=0)
    jn.Data(train=(shifted, Y))  # the cure


def test_values_that_merge_by_chance_are_not_told():
    """Of a smooth column float32 merges few, but some where there are many rows."""
    rng = np.random.default_rng(0)
    for x in (
        rng.normal(size=(2**17, 1)),
        rng.normal(1000, 15, size=(1000, 1)),
        np.round(rng.lognormal(10, 1, size=(10_000, 1)), 2),
        MINUTES[0] + 600 * np.arange(60)[:, None],
    ):
        x = x.astype(float)
        jn.Data(train=(x, np.zeros(len(x))))


A = pd.DataFrame({"a": range(ROWS), "b": range(ROWS)}, index=list("abcdef"))
LABELS = pd.Series(range(ROWS), index=list("abcdef"))


def test_tables_of_one_index_are_paired():
    for x, y in (
        (A, LABELS),
        (A, LABELS.reset_index(drop=True)),  # nobody gave labels
        (A.reset_index(drop=True), LABELS),
        (A[::-1], LABELS.to_numpy()),
        (A.sample(frac=1, random_state=0), LABELS.sample(frac=1, random_state=0)),
    ):
        made = jn.Data(train=(x, y)).train
        np.testing.assert_array_equal(made[0], x.to_numpy())
        np.testing.assert_array_equal(made[1], np.asarray(y))


@pytest.mark.bad_input
def test_tables_of_indexes_that_disagree_are_refused():
    plain = A.reset_index(drop=True)
    match = (
        r"must have tables with one index, .* y.loc\[x.index\], or by place, y.to_nu"
    )
    for x, y in (
        (A, LABELS[::-1]),
        (plain.sample(frac=1, random_state=0), LABELS.reset_index(drop=True)),
        (A, LABELS.set_axis(list("bcdefg"))),
        ({"one": A, "two": A[::-1]}, Y),
    ):
        for call in (
            lambda x=x, y=y: jn.Data(train=(x, y)),
            lambda: jn.data.folds(x, y),
        ):
            with pytest.raises(ValueError, match="train " + match):
                call()
        with pytest.raises(ValueError, match="train " + match):
            jn.data.folds(A, LABELS[::-1], scale=True)
    with pytest.raises(ValueError, match="groups " + match):
        jn.data.folds(A, Y, groups=LABELS[::-1])
    with pytest.raises(
        ValueError, match=r"test must have the columns of train in .*'b'"
    ):
        jn.Data(train=(A, Y), test=(A[["b", "a"]], Y))


GROUPS = {  # that are the same
    "ints": [3, 1, 1, 2, 2, 3],
    "words": ["c", "a", "a", "b", "b", "c"],
    "pandas": pd.Series([3, 1, 1, 2, 2, 3], dtype="Int64"),
    "category": pd.Categorical(list("caabbc"), categories=list("cba")),
    "JAX": jnp.array([3, 1, 1, 2, 2, 3]),
    "pairs": [("c", 1), ("a", 1), ("a", 1), ("b", 1), ("b", 1), ("c", 1)],
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups_of_any_kind(name):
    x = np.arange(ROWS)[:, None]
    expected = jn.data.folds(x, Y, folds=3, groups=np.array([3, 1, 1, 2, 2, 3]))
    got = jn.data.folds(x, Y, folds=3, groups=GROUPS[name])
    for one, two in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one.test[0], two.test[0])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("groups", "told"),
    [
        (["a", None, "b", "b", "a", "a"], "filled, got 1 missing of 6"),
        ([1.0, np.nan, 2.0, 2.0, np.nan, 1.0], "filled, got 2 missing of 6"),
        (["a", np.nan, "b", "b", "a", "a"], "filled, got 1 missing of 6"),
        (pd.Series([1, None, 2, 2, 1, 1], dtype="Int64"), "filled, got 1 missing of 6"),
        (np.ma.masked_equal([1, 1, 2, 2, 9, 9], 9), "filled, got 2 missing of 6"),
        ([[1]] * ROWS, r"have a value a row, shape \(6,\), got \(6, 1\)"),
        (np.ones((ROWS, 2)), r"have a value a row, shape \(6,\), got \(6, 2\)"),
        (np.ones(3), r"have a value a row, shape \(6,\), got \(3,\)"),
    ],
)
def test_groups_with_gaps_are_refused(groups, told):
    for call in (jn.data.folds, jn.data.nested_folds):
        with pytest.raises(ValueError, match=f"^groups must (be|have)? ?{told}"):
            call(X, Y, groups=groups)


def test_a_scaler_is_fitted_on_each_folds_train_rows():
    """By float64: an offset costs no digits, and no row of another set is seen."""
    rng = np.random.default_rng(0)
    x = np.stack(
        [1.7e9 + 60 * np.arange(60), 5e4 * rng.lognormal(size=60), np.full(60, 0.1)], 1
    )
    y = np.arange(60) % 3
    rows = {tuple(row): at for at, row in enumerate(x)}
    for make, options in (
        (jn.data.folds, {"validation": 0.2, "stratify": True}),
        (jn.data.nested_folds, {"outer": 3, "inner": 2}),
    ):
        number = np.arange(60.0)[:, None]
        plain = make(number, y, **options)
        for kind in (x, pd.DataFrame(x), x.tolist()):
            for data, at in zip(
                make(kind, y, scale=True, **options), plain, strict=True
            ):
                train = x[at.train[0][:, 0].astype(int)]
                mean, stddev = train.mean(0), train.std(0)
                stddev[2] = 1
                for name, (got, labels) in data.items():
                    these = at[name][0][:, 0].astype(int)
                    expected = (x[these] - mean) / stddev
                    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
                    np.testing.assert_array_equal(labels, y[these])
                    assert got.dtype == np.float32
    assert len(rows) == 60


@pytest.mark.bad_input
def test_bad_scale_and_stratify():
    for x, got in ((np.ones((60, 3, 1)), r"shape \(60, 3, 1\)"), ((X, X), "a pytree")):
        with pytest.raises(ValueError, match=f"one table of shape .* got {got}"):
            jn.data.folds(x, Y, scale=True)
    x, y = np.ones((60, 1)), np.arange(60.0)
    for targets, values in ((y, 60), (y // 3, 20)):
        message = f"for classes, got y with {values} values in 60 rows, .* pandas.qcut"
        with pytest.raises(ValueError, match=message):
            jn.data.folds(x, targets, stratify=True)
    with pytest.raises(ValueError, match=r"rows of the rarest class \(1\), got 5"):
        jn.data.folds(x, y == 0, stratify=True)


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        ("income and score", True),
        ("pixels", False),
        ("flags", False),
        ("images", False),
    ],
)
def test_columns_of_unlike_scale_are_told(name, warned):
    from jaxnoise.data.sets import warn_of_unlike_columns

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 4))
    rare = (np.arange(200) == 7)[:, None]
    x = {
        "income and score": rows * [1, 30_000, 1, 0],
        "pixels": np.round(255 * rng.random((200, 9)) * rng.random(9)),
        "flags": np.concatenate([rows, rare, rare * 0], axis=1),
        "images": (rows * [1, 1e6, 1, 1])[:, :, None],
    }[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_unlike_columns(jn.Data(train=(x, np.zeros(200))))
    told = [str(w.message) for w in caught]
    assert len(told) == warned
    if warned:
        assert told[0].startswith("data: column 1 of train x has ")
        assert "jn.data.folds(x, y, scale=True)" in told[0]
