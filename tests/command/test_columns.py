"""A column is numbers, dates or words, as all of its cells say together."""

import numpy as np
import pandas as pd
import pytest

from jaxnoise.command import columns
from jaxnoise.command.columns import as_cells, joined, read_columns
from jaxnoise.command.parsing import COMMA, DAY_FIRST, MONTH_FIRST, POINT


def read(*texts, **options):
    """The values, kind and notes of one column."""
    cells = {"x": as_cells(texts)}
    rows = np.arange(1, len(texts) + 1)
    frame, kinds, _, notes = read_columns(cells, rows, **options)
    return frame["x"].tolist(), kinds["x"], notes


NUMBERS = {  # one word, the number that it is
    POINT: {
        "1": 1, "-1": -1, "+1": 1, "1.": 1, ".5": 0.5, "-.5": -0.5, "1e3": 1000,
        "1.5E-3": 0.0015, "\u22125": -5, "1,234": 1234, "1,234.5": 1234.5,
        "12,345,678.9": 12345678.9, "1 234.5": 1234.5, "1\u00a0234": 1234,
        "1\u202f234\u202f567": 1234567, "1'234.5": 1234.5, "1\u2019234": 1234,
        "50%": 0.5, "12.5 %": 0.125, "-3%": -0.03, "$5": 5, "-$5": -5, "$-5.5": -5.5,
        "5 \u20ac": 5, "\u00a31,000": 1000, "EUR 7": 7, "7 usd": 7, "(5)": -5,
        "($1,234.50)": -1234.5,
        "0.1234567890123456789": 0.12345678901234568,
    },
    COMMA: {
        "1": 1, "1,5": 1.5, "-,5": -0.5, "1.234": 1234, "1.234,5": 1234.5,
        "1.234.567,8": 1234567.8, "1 234,5": 1234.5, "1'234,5": 1234.5, "12,5 %": 0.125,
        "5,50 \u20ac": 5.5, "(1.000,5)": -1000.5, "1,5e3": 1500,
    },
}  # fmt: skip
NONE = {
    POINT: ["", ".", "-", "1,2", "1,23,456", "1,234,56", "0,123", "1.2.3", "1 23",
            "1_0", "0x10", "5 kg", "12 EUR/m", "(5", "5)", "e5", "%", "$", "1 234,567",
            "--5", "1,234 567", "True", "1/2", "five", "=1+1", "inf", "1e999",
            "\u00bd"],
    COMMA: ["1.5", "1,2,3", "1,234,567", "0.123"],
}  # fmt: skip


@pytest.mark.parametrize("style", NUMBERS)
def test_spellings_of_numbers(style):
    words = np.array(list(NUMBERS[style]), dtype=object)
    found = columns.parsing.numbers(words, style)
    assert dict(zip(words, found, strict=True)) == NUMBERS[style]
    found = columns.parsing.numbers(NONE[style], style)
    assert np.isnan(found).all(), np.array(NONE[style])[~np.isnan(found)]


DATES = {  # one word, the date that it is in each style
    "2020-02-01": ["2020-02-01"] * 2,
    "2020-2-1": ["2020-02-01"] * 2,
    "2020/02/01": ["2020-02-01"] * 2,
    "2020.02.01": ["2020-02-01"] * 2,
    "2020-02": ["2020-02-01"] * 2,
    "2020-02-01T10:30": ["2020-02-01 10:30"] * 2,
    "2020-02-01 10:30:15.25": ["2020-02-01 10:30:15.25"] * 2,
    "2020-02-01T10:30:00Z": ["2020-02-01 10:30"] * 2,
    "2020-02-01 10:30:00+02:00": ["2020-02-01 08:30"] * 2,
    "2020-02-01 10:30:00 UTC": ["2020-02-01 10:30"] * 2,
    "01/02/2020": ["2020-01-02", "2020-02-01"],
    "1-2-2020": ["2020-01-02", "2020-02-01"],
    "1/2/20": ["2020-01-02", "2020-02-01"],
    "1/2/70": ["1970-01-02", "1970-02-01"],
    "13/01/2020": ["NaT", "2020-01-13"],
    "01/13/2020": ["2020-01-13", "NaT"],
    "1.2.2020": ["2020-02-01"] * 2,
    "01. 02. 2020": ["2020-02-01"] * 2,
    "01/02/2020 3:05": ["2020-01-02 03:05", "2020-02-01 03:05"],
    "01/02/2020 12:05 AM": ["2020-01-02 00:05", "2020-02-01 00:05"],
    "01/02/2020, 3:05:07 p.m.": ["2020-01-02 15:05:07", "2020-02-01 15:05:07"],
    "01/02/2020 10:30 -0500": ["2020-01-02 15:30", "2020-02-01 15:30"],
    "5-Jan-20": ["2020-01-05"] * 2,
    "5 January 2020": ["2020-01-05"] * 2,
    "05.Mar.2020": ["2020-03-05"] * 2,
    "Jan 5, 2020": ["2020-01-05"] * 2,
    "Sept. 5 2020 10:30": ["2020-09-05 10:30"] * 2,
    **dict.fromkeys(
        ["", "2020", "20200201", "1/2", "1/2/3", "1/2/202", "2020-13-01", "30/30/2020",
         "31/02/2020", "10:30", "Foo 5, 2020", "2020-02-01 25:00", "1.2.3.4", "12345",
         "01/02/2020 10:30 CET", "5 apples 2020"],
        ["NaT"] * 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("style", [MONTH_FIRST, DAY_FIRST])
def test_spellings_of_dates(style):
    found = columns.parsing.dates(list(DATES), style)
    expected = [pd.Timestamp(each[style == DAY_FIRST]) for each in DATES.values()]
    got = [pd.Timestamp(each) for each in found]
    wrong = {
        word: mine
        for word, mine, theirs in zip(DATES, got, expected, strict=True)
        if not (mine == theirs or (pd.isna(mine) and pd.isna(theirs)))
    }
    assert not wrong


NAN = np.nan
MANY = [str(number) for number in range(1, 61)]  # 60 numbers
COLUMNS = {
    "gaps": (
        [
            "",
            "NA",
            "n/a",
            "NaN",
            "NULL",
            "Na",
            "-",
            "--",
            "?",
            ".",
            "#DIV/0!",
            "<NA>",
            "5",
        ],
        [NAN] * 12 + [5],
        "number",
        [],
    ),
    "gaps among words": (
        ["none", "unknown", "NA", "?", "red"],
        ["none", "unknown", NAN, NAN, "red"],
        "words",
        [],
    ),
    "loose gaps among numbers": (
        ["1", "unknown", "None", "2"],
        [1, NAN, NAN, 2],
        "number",
        ["column 'x': 2 words are gaps among 2 numbers, such as 'unknown' in row 2"],
    ),
    "nothing": (["", "NA"], [NAN, NAN], "number", ["column 'x': no values"]),
    "constant": (["5", "5"], [5, 5], "number", ["column 'x': one value in all rows"]),
    "one value and gaps": (["a", "", "a"], ["a", NAN, "a"], "words", []),
    "truths": (["True", "False"], ["True", "False"], "words", []),
    "yes": (["yes", "no"], ["yes", "no"], "words", []),
    "years": (["1999", "2020"], [1999, 2020], "number", []),
    "codes": (["007", "013", ""], ["007", "013", NAN], "words", []),
    "digits": (["0", "1"], [0, 1], "number", []),
    "no codes": (["010", "1"], [10, 1], "number", []),
    "mixed": (
        ["1", "2", "?", "x"],
        ["1", "2", NAN, "x"],
        "words",
        ["column 'x': words, as 'x' in row 4 is no number"],
    ),
    "mostly words": (["1", "x", "y"], ["1", "x", "y"], "words", []),
    "a stray": (
        [*MANY, "12 years", "?"],
        [*map(float, MANY), NAN, NAN],
        "number",
        ["column 'x': 1 word is a gap among 60 numbers, such as '12 years' in row 61"],
    ),
    "few enough": (
        [*MANY, "a", "b", "b"],
        [*map(float, MANY), NAN, NAN, NAN],
        "number",
        ["column 'x': 3 words are gaps among 60 numbers, such as 'a' in row 61"],
    ),
    "too many": (
        [*MANY, *"abcd"],
        [*MANY, *"abcd"],
        "words",
        ["column 'x': words, as 'a' in row 61 is no number"],
    ),
    "too different": (
        [*(MANY * 5), *"abcdefghijk"],
        [*(MANY * 5), *"abcdefghijk"],
        "words",
        ["column 'x': words, as 'a' in row 301 is no number"],
    ),
    "infinite": (
        ["1", "inf", "-Inf"],
        [1, NAN, NAN],
        "number",
        ["column 'x': 2 words are gaps among 1 number, such as 'inf' in row 2"],
    ),
    "percent": (
        ["5%", "10%"],
        [0.05, 0.1],
        "number",
        ["column 'x': percent signs, so that 12% is 0.12"],
    ),
    "currencies": (
        ["$5", "\u20ac6"],
        [5, 6],
        "number",
        ["column 'x': several currencies are read alike: $ \u20ac"],
    ),
    "comma": (
        ["1,5", "2", "1.234"],
        [1.5, 2, 1234],
        "number",
        ["column 'x': decimal commas"],
    ),
    "point": (["1.5", "2", "1,234"], [1.5, 2, 1234], "number", []),
    "either": (
        ["1,234", "2"],
        [1234, 2],
        "number",
        ["column 'x': '1,234' is taken for 1234 (decimal point)"],
    ),
    "early comma": (
        ["1,5", *map(str, range(1000)), *(f"{number}.5" for number in range(50))],
        [NAN, *range(1000), *(number + 0.5 for number in range(50))],
        "number",
        ["column 'x': 1 word is a gap among 1050 numbers, such as '1,5' in row 1"],
    ),
    "late comma": (
        [*MANY * 40, *(str(number) for number in range(2000)), "1,5"],
        [*map(float, MANY * 40), *range(2000), 1.5],
        "number",
        ["column 'x': decimal commas"],
    ),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns(case):
    texts, values, kind, notes = COLUMNS[case]
    found, its_kind, its_notes = read(*texts)
    pd.testing.assert_series_equal(
        pd.Series(found, dtype=object),
        pd.Series(values, dtype=object),
        check_dtype=False,
    )
    assert (its_kind, its_notes) == (kind, notes)


def day(text):
    return pd.Timestamp(text)


DAYS = {
    "day": (["13/01/2020", "02/01/2020"], ["2020-01-13", "2020-01-02"], []),
    "month": (["01/13/2020", "01/02/2020"], ["2020-01-13", "2020-01-02"], []),
    "either": (
        ["01/02/2020", "03/04/2021"],
        ["2020-01-02", "2021-03-04"],
        ["column 'x': '01/02/2020' is taken for 2020-01-02 (month first)"],
    ),
    "the same": (["01/01/2020", "02/02/2021"], ["2020-01-01", "2021-02-02"], []),
    "gaps": (["2020-01-01", "", "2020-01-03"], ["2020-01-01", "NaT", "2020-01-03"], []),
    "a stray": (
        [*pd.date_range("2020", periods=50).astype(str), "soon"],
        [*pd.date_range("2020", periods=50), "NaT"],
        ["column 'x': 1 word is a gap among 50 dates, such as 'soon' in row 51"],
    ),
}


@pytest.mark.parametrize("case", DAYS)
def test_columns_of_dates(case):
    texts, days, notes = DAYS[case]
    found, kind, its_notes = read(*texts)
    assert (kind, its_notes) == ("date", notes)
    pd.testing.assert_series_equal(pd.Series(found), pd.Series(list(map(day, days))))


@pytest.mark.parametrize(
    ("other", "semicolons", "value", "month"),
    [
        (["1.5", "2"], True, 1234, 1),  # another column has decimal points
        (["1,5", "2"], False, 1.234, 2),
        (["x", "y"], False, 1234, 1),
        (["x", "y"], True, 1.234, 2),
    ],
)
def test_a_file_has_one_style(other, semicolons, value, month):
    texts = {"x": ["1,234", "2,345"], "d": ["1/2/2020", "1/2/2020"], "o": other}
    cells = {name: as_cells(each) for name, each in texts.items()}
    frame, *_ = read_columns(cells, np.arange(1, 3), semicolons=semicolons)
    assert frame["x"][0] == value
    assert frame["d"][0].month == month


def test_notes_gather_columns():
    cells = {name: as_cells(["5", "5"]) for name in "abcdef"}
    *_, notes = read_columns(cells, np.arange(1, 3))
    assert notes == ["columns 'a', 'b', 'c' and 3 more: one value in all rows"]


def test_settled_kinds_and_styles():
    kinds = {"x": "number"}
    assert read("007", "008", kinds=kinds)[0] == [7, 8]
    assert read("1", "a", "b", kinds=kinds)[0][:1] == [1]
    assert read("1,5", "x", kinds={"x": "words"})[0] == ["1,5", "x"]
    assert read("1,234", kinds=kinds, styles={"x": COMMA})[0] == [1.234]
    styles = {"x": DAY_FIRST}
    assert read("1/2/2020", kinds={"x": "date"}, styles=styles)[0][0].month == 2
    assert read("", kinds={"x": "date"})[0] == [pd.NaT]
    assert read("none", "5", kinds=kinds)[0][1] == 5


def test_parts_are_joined():
    parts = [as_cells(["b", "a ", "b"]), as_cells([" a", "c"])]
    whole = joined(parts)
    assert whole.words[whole.codes].tolist() == ["b", "a", "b", "a", "c"]
    assert whole.words.tolist() == ["b", "a", "c"]
