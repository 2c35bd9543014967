"""People's files are read as they are meant, or refused in one line."""

import csv
import gzip
import io
import pickle
import random
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jaxnoise.command import reading
from jaxnoise.command.reading import (
    FileError,
    estimate_memory,
    read_table,
    safe_cell,
    write_csv,
)
from jaxnoise.command.text import HEAD

BINARY = "holds bytes that are no text: save the table as CSV"
ARCHIVE = "is an Excel file or archive: save it as CSV"
PICKLE = "is a pickle, which is never opened: save the table as CSV"
MARKUP = "is a web page, XML or JSON: save the table as CSV"
PACKED = "is still packed: unpack it"
DAMAGED = "is damaged, or holds what pyarrow does not read"
MEND = "mend the row, or put cells that hold ',' in quotes"
ONE = "a table needs two, and comma, semicolon, tab or | between its cells"
NO_ROWS = "has names of columns and no rows"


@pytest.fixture
def read(tmp_path):
    def of(content, **options):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, **options)

    return of


@pytest.fixture
def free(monkeypatch):
    def with_bytes(number):
        there = SimpleNamespace(available=number)
        monkeypatch.setattr(reading.psutil, "virtual_memory", lambda: there)

    return with_bytes


def packed_array():
    file = io.BytesIO()
    np.savez(file, x=np.arange(3))
    return file.getvalue()


REFUSALS = {
    "empty": ("", "is empty"),
    "blank": ("\n \n\n", "is empty"),
    "names alone": ("a,b\n", NO_ROWS),
    "one column": ("a\n1\n2\n", f"has one column only, 'a': {ONE}"),
    "index alone": (",a\n0,5\n1,6\n", f"has one column only, 'a': {ONE}"),
    "prose": ("It was a dark night.\nSo.\n", "has one column only, 'It was a dark "
              f"night.': {ONE}"),
    "title": ("Report\n\na,b\n1,2\n", "has 1 cell in its first line, where the names "
              "of columns are, and 2 in most rows: mend the first line"),
    "commas or spaces": ("a,b c\n1,2 3\n4 5\n", "has 1 cell in row 2 (line 3), where 2 "
                         f"are expected: {MEND}"),
    "short": ("a,b\n1,2\n\n3\n", "has 1 cell in row 2 (line 4), where 2 are expected: "
              f"{MEND}"),
    "long": ('a,b\n"1\n1",2\n3,4,5\n6,7\n', "has 3 cells in row 2 (line 4), where 2 "
             f"are expected: {MEND}"),
    "open quote": ('a,b\n1,2\n3,"4\n5,6\n', "has a quote in row 2 (before line 5) that "
                   "is not closed, or not doubled inside of a cell: unexpected end of "
                   "data"),
    "quote inside": ('a,b\n1,"2"3\n', "has a quote in row 1 (before line 3) that is "
                     "not closed, or not doubled inside of a cell: ',' expected after "
                     "'\"'"),
    "late null": ("a,b\n" + f"{'x' * 100_000},1\n" * 11 + "\0,1\n", BINARY),
    "garbage": (bytes(range(1, 256)) * 3, BINARY),
    "nulls": (b"\0" * 100, BINARY),
    "long line": (f"a,b\n1,{'2' * 3 * HEAD}\n", "has a line of over 1,048,576 "
                  "characters: is it a table?"),
    "xlsx": (b"PK\x03\x04\x14\0xl/workbook.xml", ARCHIVE),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ARCHIVE),
    "npz": (packed_array(), ARCHIVE),
    "npy": (b"\x93NUMPY\x01\0", "holds a NumPy array: save the table as CSV"),
    "pickle": (pickle.dumps([1, 2]), PICKLE),
    "old pickle": (pickle.dumps([1, 2], protocol=0), "has one column only, '(lp0': "
                   f"{ONE}"),
    "bzip2": (b"BZh91AY", PACKED),
    "twice packed": (gzip.compress(gzip.compress(b"a,b\n1,2\n")), PACKED),
    "packed Parquet": (gzip.compress(b"PAR1"), "is a packed table: unpack it first"),
    "cut gzip": (gzip.compress(b"a,b\n1,2\n" * 99)[:30], "is damaged: it does not "
                 "unpack"),
    "spoilt gzip": (gzip.compress(b"a,b\n")[:-8] + b"12345678", "is damaged: it does "
                    "not unpack"),
    "cut UTF-16": ("a,b\n1,2\n".encode("utf-16")[:-1], "is damaged: it does not decode "
                   "to text"),
    "page": ("<!DOCTYPE html><p>a,b</p>", MARKUP),
    "JSON": ('\n{"a": [1, 2]}', MARKUP),
    "spoilt Parquet": (b"PAR1" + b"x" * 100, DAMAGED),
    "spoilt Arrow": (b"ARROW1\0\0" + b"x" * 100, DAMAGED),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_in_one_line(read, case):
    content, message = REFUSALS[case]
    with pytest.raises(FileError) as error:
        read(content)
    assert str(error.value) == f"data.csv {message}"


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileError, match=r"^no\.csv cannot be read: No such file"):
        read_table(tmp_path / "no.csv")
    with pytest.raises(FileError, match=r"cannot be read: [A-Z]"):
        read_table(tmp_path)
    with pytest.raises(FileError, match=r"^'a\\nb\.csv' cannot be read"):
        read_table(tmp_path / "a\nb.csv")


INDEX = "column 1 has no name, counts the rows, and is left out"
EMPTY = "column 3 has no name, is empty, and is left out"
NUMBERED = "the first row has no names, which become 'column 1', ..."
LAYOUTS = {
    "plain": ("a,b\n1,2\n3,4\n", []),
    "semicolons": ("a;b\n1;2\n3;4", []),
    "tabs": ("a\tb\r\n1\t2\r\n3\t4\r\n", []),
    "pipes": ("a|b\r1|2\r3|4\r", []),
    "spaces between": (" a  b\n 1  2\n3 4\n", []),
    "told": ("sep=;\na;b\n1;2\n3;4\n", []),
    "told oddly": ("sep=:\r\na:b\r\n1:2\r\n3:4\r\n", []),
    "quoted": ('"a","b"\n"1","2"\n"3","4"\n', []),
    "blank lines": ("\n\na,b\n\n1,2\n  \n3,4\n\n", []),
    "empty rows above": (",\na,b\n1,2\n3,4\n", []),
    "spaces": (" a ,b\n 1,2 \n3\u00a0,4\n", []),
    "BOM": ("\ufeffa,b\n1,2\n3,4\n", []),
    "index from 0": (",a,b\n0,1,2\n1,3,4\n", [INDEX]),
    "index from 1": ("Unnamed: 0,a,b\n1,1,2\n2,3,4\n", [INDEX]),
    "names of rows": ('"a" "b"\n"1" 1 2\n"2" 3 4\n'.replace(" ", "\t"), [INDEX]),
    "trailing": ("a,b,\n1,2,\n3,4,\n", [EMPTY]),
    "trailing below": ("a,b\n1,2,\n3,4,\n", [EMPTY]),
    "packed": (gzip.compress(b"a,b\n1,2\n3,4\n"), []),
    "packed in parts": (gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"), []),
    "UTF-16": ("a\tb\r\n1\t2\r\n3\t4\r\n".encode("utf-16"), []),
    "UTF-16 without BOM": ("a;b\n1;2\n3;4\n".encode("utf-16-be"), []),
    "packed UTF-16": (gzip.compress("a;b\n1;2\n3;4\n".encode("utf-16-le")), []),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts(read, case):
    content, notes = LAYOUTS[case]
    table = read(content)
    assert table.frame.to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    assert table.kinds == {"a": "number", "b": "number"}
    assert list(table.notes) == notes


NAMES = {
    "a,a,a\n1,2,x\n3,4,y\n": (
        ["a", "a (2)", "a (3)"],
        [
            "column 'a' comes again and is called 'a (2)'",
            "column 'a' comes again and is called 'a (3)'",
        ],
    ),
    " ,b\nx,1\ny,2\n": (
        ["column 1", "b"],
        ["column 1 has no name and is called 'column 1'"],
    ),
    '"two\nlines",\x1b[31mred\x7f\nx,1\ny,2\n': (["two lines", "[31mred"], []),
    "5.1,3.5,x\n4.9,3,y\n": (["column 1", "column 2", "column 3"], [NUMBERED]),
    "5,1;3,5\n4,9;3,5\n": (
        ["column 1", "column 2"],
        [
            NUMBERED,
            "columns 'column 1', 'column 2': decimal commas",
            "column 'column 2': one value in all rows",
        ],
    ),
    "0,1,2,y\n5,3,1,7\n6,4,9,8\n": (["0", "1", "2", "y"], []),
    "y,2019,2020\n1,2,3\n2,3,4\n": (["y", "2019", "2020"], []),
}


@pytest.mark.parametrize("content", NAMES)
def test_names(read, content):
    table = read(content)
    names, notes = NAMES[content]
    assert list(table.frame) == names
    assert list(table.notes) == notes


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_neither_utf_8(read, encoding):
    word = "na\u00efve\x81" if encoding == "latin-1" else "na\u00efve \u20ac"
    row = b"x" * 100_000 + b",1\n"  # beyond what is looked at first
    table = read(b"a,b\n" + row * 11 + f"{word},2\n".encode(encoding))
    assert table.frame["a"].iloc[-1] == word
    assert table.notes == ("not in UTF-8, so read as Latin-1 (cp1252)",)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_rows_over_several_blocks(read, newline):
    """Lines, line ends and quoted cells may lie across what is read at a time."""
    rows = [f'{place},"a{"x" * (place % 50)}{newline}y"' for place in range(60_000)]
    table = read(newline.join(["a,b", *rows]))
    assert table.frame["a"].tolist() == list(range(60_000))
    assert table.frame["b"].map(len).eq(np.arange(60_000) % 50 + len(newline) + 2).all()


def test_formulas_and_pages_stay_text(read):
    cells = ["=1+1", "@SUM(A1)", "<script>alert(1)</script>", "__import__('os')"]
    table = read("a,b\n" + "".join(f'"{cell}",1\n' for cell in cells) + "x,2\n")
    assert table.frame["a"].tolist() == [*cells, "x"]


def random_table(rng, rows=40):
    words = np.array(["red", 'a "b"', "line\nbreak", "x;y,z\t|", "caf\u00e9", "'"])
    when = pd.Timestamp("2019-05-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D")
    frame = pd.DataFrame(
        {
            "real": rng.normal(size=rows) * 10.0 ** rng.integers(-12, 12, rows),
            "whole": rng.integers(-1000, 1000, rows).astype(float),
            "words": rng.choice(words, rows).astype(object),
            "day": when.astype("datetime64[us]"),
            'na"me': rng.normal(size=rows),
        }
    )
    gaps = rng.random(frame.shape) < 0.1
    return frame.mask(gaps)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_what_is_written_is_read(tmp_path, encoding, delimiter, decimal):
    """One random table comes back the same from every dialect, packed or not."""
    seed = ord(delimiter) + ord(decimal) + len(encoding)
    frame, draw = random_table(np.random.default_rng(seed)), random.Random(seed)
    gap = draw.choice(["", "NA", "n/a", "NULL", "?", "-", "#N/A", " "])
    form = draw.choice(["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y %H:%M", "%b %d, %Y"])
    path = tmp_path / f"data.csv{draw.choice(['', '.gz'])}"
    frame.to_csv(
        path,
        sep=delimiter,
        decimal=decimal,
        encoding=encoding,
        lineterminator=draw.choice(["\n", "\r\n"]),
        na_rep=gap,
        date_format=form,
        index=draw.choice([True, False]),
        quoting=draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    )
    table = read_table(path)
    pd.testing.assert_frame_equal(table.frame, frame)
    assert set(table.kinds.values()) == {"number", "date", "words"}


def test_a_sample_of_rows(read):
    content = "i,j\n" + "".join(f"{i},{i % 7}\n" for i in range(1000))
    table = read(content, rows=50, seed=3)
    drawn = table.frame["i"].to_numpy()
    assert len(drawn) == 50 and (np.diff(drawn) > 0).all()
    assert (table.frame["j"] == drawn % 7).all()
    assert table.frame.equals(read(content, rows=50, seed=3).frame)
    assert not table.frame.equals(read(content, rows=50, seed=4).frame)
    assert len(read(content, rows=5000).frame) == 1000
    # Each row is as likely: a mean of 50 of 0..999 has a standard error of 40.
    assert abs(drawn.mean() - 499.5) < 200


def test_rows_of_a_sample_keep_their_numbers(read):
    content = ",a,b\n" + "".join(f"{i},{i},x\n" for i in range(1000, 2000))
    told = read(content.replace("x\n", "0\n", 30), rows=100).notes
    assert told[0] == "column 1 has no name and is called 'column 1'"
    content = ",a,b\n" + "".join(f"{i},{i},x\n" for i in range(1000))
    assert read(content, rows=100).notes[0] == INDEX


def test_memory_is_told_beforehand(tmp_path, free):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n" + "1,2\n" * 30_000)
    size = path.stat().st_size
    assert estimate_memory(path) == 24 * size
    free(12 * size)
    with pytest.raises(FileError) as error:
        read_table(path)
    assert str(error.value) == (
        "data.csv takes up to 0.0 GiB of memory, and 0.0 GiB are free: read fewer "
        "rows, such as --rows 7500"
    )
    assert len(read_table(path, rows=7500).frame) == 7500


def test_bombs_do_not_go_off(tmp_path, free, monkeypatch):
    path = tmp_path / "data.csv"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * (HEAD // 4)))
    assert 24 * HEAD <= estimate_memory(path) < 25 * HEAD
    path.write_bytes(gzip.compress(b"a,b\n1,2\n" + b"3" * 3 * HEAD, 1))
    with pytest.raises(FileError, match="has a line of over 1,048,576 characters"):
        read_table(path, rows=5)
    # A harmless beginning, which a look at it believes.
    monkeypatch.setattr(reading, "HEAD", 1 << 12)
    rng = np.random.default_rng(0)
    harmless = "\n".join(f"{a:.17f},{a}" for a in rng.random(300))
    path.write_bytes(
        gzip.compress(f"a,b\n{harmless}\n".encode(), 1)
        + gzip.compress(b"1,2\n" * 100_000, 1)
    )
    free(2 * estimate_memory(path))
    with pytest.raises(FileError) as error:
        read_table(path)
    assert str(error.value) == (
        "data.csv unpacks to more than memory holds: add --rows 10000"
    )


@pytest.fixture
def typed():
    return pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "real": [0.1 + 0.2, np.nan, 1e300],
            "words": ["a", np.nan, "=1+1"],
            "kind": pd.Categorical(["u", "v", "u"], categories=["w", "u", "v"]),
            "truth": [True, False, True],
            "day": np.array(["2020-01-01T01:00", "NaT", "2020-06-01"], "M8[us]"),
        }
    )


@pytest.mark.parametrize("form", ["parquet", "feather", "polars"])
def test_parquet_and_arrow(tmp_path, typed, form):
    path = tmp_path / "data"
    if form == "polars":
        pl.from_pandas(typed).write_ipc(path)
    else:
        getattr(typed, f"to_{form}")(path)
    table = read_table(path)
    expected = typed.astype({"whole": float, "kind": str, "truth": str})
    pd.testing.assert_frame_equal(table.frame, expected)
    assert list(table.kinds.values()) == [*["number"] * 2, *["words"] * 3, "date"]
    sample = read_table(path, rows=2, seed=1)
    places = sample.frame["whole"].to_numpy().astype(int) - 1
    assert len(places) == 2
    pd.testing.assert_frame_equal(
        sample.frame, table.frame.iloc[places].reset_index(drop=True)
    )
    assert estimate_memory(path) >= 40 * 18


def test_numbers_of_parquet_are_not_taken_apart(tmp_path):
    """A column that is text has decimal commas; one of numbers has none."""
    frame = pd.DataFrame({"x": [1.234, 2.345], "y": ["1,5", "2,5"]})
    frame.to_parquet(tmp_path / "data")
    table = read_table(tmp_path / "data")
    assert table.frame.to_dict("list") == {"x": [1.234, 2.345], "y": [1.5, 2.5]}


def test_parquet_that_is_no_table(tmp_path, monkeypatch, typed):
    typed["lists"] = [[1], [2], [3]]
    typed.to_parquet(tmp_path / "data")
    with pytest.raises(FileError) as error:
        read_table(tmp_path / "data")
    assert str(error.value) == (
        "data has list<element: int64> in column 'lists': a cell must hold one value"
    )
    typed.iloc[:0].to_parquet(tmp_path / "data")
    with pytest.raises(FileError, match=f"^data {NO_ROWS}$"):
        read_table(tmp_path / "data")
    monkeypatch.setitem(sys.modules, "pyarrow.dataset", None)
    with pytest.raises(FileError) as error:
        read_table(tmp_path / "data")
    assert str(error.value) == (
        'data needs pyarrow to be read: python -m pip install "jaxnoise[parquet]"'
    )


def test_a_later_file_is_read_as_the_first(read):
    first = read("age;day;zip\n1,5;13/01/2020;007\n2;01/02/2020;123\n")
    again = {"kinds": first.kinds, "styles": first.styles}
    later = read('age,day,zip\n"1,234",01/02/2020,7\n', **again)
    assert later.frame["age"].tolist() == [1.234]
    assert later.frame["day"].astype(str).tolist() == ["2020-02-01"]
    assert later.frame["zip"].tolist() == ["7"]
    assert read("age\n5\n", **again).frame["age"].tolist() == [5]
    with pytest.raises(FileError) as error:
        read("age,day\nn/a,1/2/2020\nold,1/2/2020\n", **again)
    assert str(error.value) == (
        "data.csv column 'age' must hold numbers, and holds none, but 'old' in row 2"
    )


def test_written_cells_are_safe(tmp_path):
    assert [safe_cell(text) for text in ("=1", "+a", "-b", "@c", "\td", "\re")] == [
        "'=1", "'+a", "'-b", "'@c", "'\td", "'\re"
    ]  # fmt: skip
    assert [safe_cell(text) for text in ("-5", "+1e3", "a=b", "")] == [
        "-5", "+1e3", "a=b", ""
    ]  # fmt: skip
    frame = pd.DataFrame({"=n": ["=cmd()", None, "-x"], "v": [-1.5, 2, np.nan]})
    write_csv(frame, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "'=n,v\n'=cmd(),-1.5\n,2.0\n'-x,\n"
