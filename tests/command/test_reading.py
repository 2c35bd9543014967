"""People's files are read as they are meant, or refused in one line."""

import numpy as np
import pytest

from jaxnoise.command.reading import FileError, read_table


@pytest.fixture
def read(tmp_path):
    def of(content, **options):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, **options)

    return of


def test_kinds_of_columns(read):
    table = read("n;w;d\n1,5;x;13/01/2020\n2;;03/04/2021\n")
    assert table.kinds == {"n": "number", "w": "words", "d": "date"}
    assert table.styles == {"n": "decimal comma", "d": "day first"}
    assert table.notes == ("column 'n': decimal commas",)
    assert table.frame["n"].tolist() == [1.5, 2]
    assert table.frame["w"].tolist() == ["x", np.nan]
    assert table.frame["d"].astype(str).tolist() == ["2020-01-13", "2021-04-03"]


def test_ragged_rows_are_named(read):
    with pytest.raises(FileError) as error:
        read("a,b\n1,2\n3\n")
    assert str(error.value) == (
        "data.csv has 1 cell in row 2 (line 3), where 2 are expected: mend the row, or "
        "put cells that hold ',' in quotes"
    )
