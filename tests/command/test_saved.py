"""A model's folder holds no code, and what is damaged or strange is not loaded."""

import json
import shutil

import numpy as np
import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from jaxnoise.command.columns import FileError
from jaxnoise.command.saved import ABOUT, NETWORK, PREPARATION, load_model


@pytest.fixture
def folder(told, tmp_path):
    return shutil.copytree(told.out / "model", tmp_path / "model")


def test_a_type_that_a_preparation_does_not_have_is_not_loaded(folder):
    steps = make_pipeline(FunctionTransformer(np.savetxt))
    skops.io.dump(steps, folder / PREPARATION)
    with pytest.raises(FileError, match=r"preparation.skops holds numpy.savetxt: not"):
        load_model(folder)


@pytest.mark.parametrize("name", [ABOUT, PREPARATION, NETWORK])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "garbage"])
def test_damaged_files_are_told_in_one_line(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        new = {"cut": content[: len(content) // 2], "empty": b"", "garbage": b"\0" * 99}
        path.write_bytes(new[damage])
    with pytest.raises(FileError) as error:
        load_model(folder)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


def test_another_format_is_refused(folder):
    about = json.loads((folder / ABOUT).read_text("utf-8"))
    (folder / ABOUT).write_text(json.dumps(about | {"format": "jaxnoise model 9"}))
    with pytest.raises(FileError, match="the format is 'jaxnoise model 9'"):
        load_model(folder)
