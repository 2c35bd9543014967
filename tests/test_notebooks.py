"""The notebooks run from top to bottom, at toy size."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
TOY = "SEEDS = 2\nEPOCHS = 20"
LARGEST = 500_000  # bytes of a stored notebook, outputs included


def parameters(notebook):
    """The one cell that decides how long a notebook takes."""
    (cell,) = (
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
    )
    return cell


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_at_toy_size(path):
    notebook = nbformat.read(path, as_version=4)
    parameters(notebook).source = TOY
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_saved_and_small(path):
    assert path.stat().st_size < LARGEST
    notebook = nbformat.read(path, as_version=4)
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert outputs
    assert not [o for o in outputs if o.output_type == "error"]
    assert [o for o in outputs if "image/png" in o.get("data", {})]
