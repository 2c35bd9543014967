"""The notebooks run from top to bottom, at toy size, and are saved as readers need."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
TOY = {"SEEDS": 2, "DRAWS": 2, "EPOCHS": 20}
LARGEST = 400_000  # bytes of a stored notebook, outputs included
VOLATILE = {"execution", "ExecuteTime"}  # when and for how long a cell ran

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def outputs(notebook):
    return [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]


def has_picture(cell):
    return any("image/png" in o.get("data", {}) for o in cell.get("outputs", ()))


def make_toy(notebook):
    """Set the numbers that decide how long a notebook takes, where it has any."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            names = re.findall(r"^(\w+) = ", cell.source, re.M)
            cell.source = "\n".join(f"{name} = {TOY[name]}" for name in names)


@pytest.mark.slow
@every_notebook
def test_runs_at_toy_size(path):
    notebook = nbformat.read(path, as_version=4)
    make_toy(notebook)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()


@every_notebook
def test_outputs_are_saved_and_small(path):
    assert path.stat().st_size < LARGEST
    notebook = nbformat.read(path, as_version=4)
    saved = outputs(notebook)
    assert saved
    assert not [
        o for o in saved if o.output_type == "error" or o.get("name") == "stderr"
    ]
    assert any(map(has_picture, notebook.cells))


@every_notebook
def test_nothing_volatile_is_saved(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        assert not VOLATILE & set(cell.metadata)
        assert cell.get("execution_count") is None


@every_notebook
def test_opens_with_its_aim_and_ends_with_exercises(path):
    cells = nbformat.read(path, as_version=4).cells
    title, aim = cells[0].source.split("\n\n")[:2]
    assert title.startswith(f"# {int(path.stem[:2])}. ")
    assert aim.startswith("**What you will be able to do:** ")
    assert cells[-1].cell_type == "markdown"
    exercises = cells[-1].source.partition("## Exercises\n")[2]
    assert 2 <= len(re.findall(r"^\d\. ", exercises, re.M)) <= 4


@every_notebook
def test_every_picture_has_a_text_beside_it(path):
    cells = nbformat.read(path, as_version=4).cells
    for cell, after in zip(cells, cells[1:], strict=False):
        if has_picture(cell):
            assert after.cell_type == "markdown", cell.source
            text = after.source.removeprefix("*The picture:* ")
            assert text != after.source, cell.source
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    alt = output.metadata["image/png"]["alt"]
                    assert alt == " ".join(text.replace("`", "").split())


def test_they_are_numbered_and_on_their_page():
    assert [path.stem[:3] for path in NOTEBOOKS] == [
        f"{i:02d}_" for i in range(1, len(NOTEBOOKS) + 1)
    ]
    page = NOTEBOOKS[0].with_name("README.md").read_text(encoding="utf-8")
    assert not [path.name for path in NOTEBOOKS if f"({path.name})" not in page]
