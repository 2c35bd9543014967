"""What is too good to be true is told, and what is merely good is not."""

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from jaxnoise.command import suspects as of_tables
from jaxnoise.command.suspects import duplicate_groups

ROWS = 300
ASKED = "Is it known before the target is?"


def suspects(frame, target, **options):
    places = np.array([f"row {place + 1}" for place in range(len(frame))], object)
    return of_tables.suspects(frame, target, places, **options)


def table(rng, rows=ROWS):
    return pd.DataFrame(
        {
            "real": rng.normal(size=rows),
            "whole": rng.integers(0, 50, rows).astype(float),
            "long": np.round(rng.lognormal(12, 1, rows)),
            "gaps": np.where(rng.random(rows) < 0.3, np.nan, rng.normal(size=rows)),
            "few": rng.choice(["u", "v", None], rows),
            "many": rng.choice([f"w{place}" for place in range(rows // 2)], rows),
            "day": pd.Timestamp("2020") + pd.to_timedelta(rng.permutation(rows), "D"),
        }
    )


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "digits", "diabetes"])
def test_real_tables_are_not_suspected(name):
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True, as_frame=True)
    assert suspects(x, y, classification=name != "diabetes") == []


def test_petals_are_good_and_not_too_good():
    x, y = datasets.load_iris(return_X_y=True, as_frame=True)
    assert suspects(x, y, classification=True) == [
        "1 of 150 rows repeat an earlier row in all columns but the target, such as "
        "row 143 row 102; the target agrees in 1 of them"
    ]


@pytest.mark.parametrize("minority", [0.5, 0.03, None])
def test_random_tables_are_not_suspected(minority):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = pd.concat(
            [table(rng, 60).add_suffix(str(each)) for each in range(5)], axis=1
        )
        if minority is None:
            y = pd.Series(rng.normal(size=60))
        else:
            y = pd.Series(rng.random(60) < minority)
        assert suspects(x, y, classification=minority is not None) == [], seed


def told(column, target, classification):
    rng = np.random.default_rng(0)
    frame = table(rng).assign(z=np.asarray(column))
    return suspects(frame, pd.Series(target), classification=classification)


RNG = np.random.default_rng(1)
REAL = RNG.normal(size=ROWS)
CLASSES = RNG.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1])
NUMBERS = {"a": 2, "b": 3, "c": 1}
COPIED = np.array([NUMBERS[each] for each in CLASSES])
AWAY = "column 'z' gives the target away: alone it tells {} of {}. " + ASKED


@pytest.mark.parametrize(
    ("column", "share"),
    [
        (REAL, "100.0%"),
        (np.exp(3 * REAL), "100.0%"),
        (-(REAL**3), "100.0%"),
        (REAL.round(1).astype(str), "99.0%"),
        (REAL + 0.2 * RNG.normal(size=ROWS), None),
        (REAL.round(), None),
    ],
)
def test_numbers_given_away(column, share):
    sentence = [AWAY.format(share, "the variance of its ranks")] * bool(share)
    assert told(column, REAL, False) == sentence


def spoilt(share):
    """A copy with so large a share of its rows, of every class, made another class."""
    copy = CLASSES.copy()
    for each, other in zip("abc", "bca", strict=True):
        places = np.flatnonzero(each == CLASSES)
        copy[places[: int(share * len(places))]] = other
    return copy


@pytest.mark.parametrize(
    ("column", "given"),
    [
        (CLASSES, True),
        (COPIED, True),
        (COPIED + 0.05 * RNG.normal(size=ROWS), True),
        (np.where(CLASSES == "a", None, CLASSES), True),
        (spoilt(0.05), False),
        (COPIED + 0.4 * RNG.normal(size=ROWS), False),
        (np.where(CLASSES == "a", "a", "other"), False),
    ],
)
def test_classes_given_away(column, given):
    found = told(column, CLASSES, True)
    assert found == [AWAY.format("100.0%", "the classes")] * given


def test_many_small_classes_given_away():
    classes = np.repeat(np.arange(ROWS // 4), 4)
    assert told(-classes, classes, True) == [AWAY.format("100.0%", "the classes")]


IDS = {
    "rows": (
        np.arange(1000, 1000 + ROWS),
        "is an id: whole numbers that run with the rows",
    ),
    "falling": (
        np.arange(ROWS)[::-1],
        "is an id: whole numbers that run with the rows",
    ),
    "shuffled": (RNG.permutation(ROWS), "is an id: whole numbers without a repeat"),
    "drawn": (
        RNG.choice(2000, ROWS, replace=False),
        "is an id: whole numbers without a repeat",
    ),
    "words": (
        np.char.zfill(np.arange(ROWS).astype(str), 4),
        "is an id or a text: nearly all its words differ",
    ),
}


@pytest.mark.parametrize("case", IDS)
@pytest.mark.parametrize("classification", [False, True])
def test_ids(case, classification):
    column, sign = IDS[case]
    sentence = f"column 'z' {sign}"
    target = RNG.permutation(CLASSES if classification else REAL)
    assert told(column, target, classification) == [sentence]
    order = pd.factorize(np.asarray(column), sort=True)[0]
    target = order + ROWS / 3 * REAL
    if classification:
        target = target > target.mean()
    related = f"{sentence}, and it is related to the target"
    assert told(column, target, classification) == [related]


def test_an_id_of_rows_in_the_order_of_classes():
    found = told(np.arange(ROWS), np.sort(CLASSES), True)
    assert found == [
        "column 'z' is an id: whole numbers that run with the rows",
        AWAY.format("100.0%", "the classes"),
    ]


def test_repeated_rows():
    x = table(np.random.default_rng(0))
    again = pd.concat([x, x.iloc[:5]], ignore_index=True)
    equal = duplicate_groups(again)
    assert equal.tolist() == [*range(ROWS), *range(5)]
    y = pd.Series([*CLASSES, *CLASSES[:3], "a", "a"])
    agree = 3 + int((CLASSES[3:5] == "a").sum())
    sentence = (
        "5 of 305 rows repeat an earlier row in all columns but the target, such as "
        f"row 301 row 1; the target agrees in {agree} of them"
    )
    assert suspects(again, y, classification=True) == [sentence]
    assert suspects(again, y, classification=True, groups=equal) == []


def test_few_rows_tell_nothing():
    x = pd.DataFrame({"id": range(10)})
    assert suspects(x, pd.Series(range(10)), classification=False) == []
