"""Imports point one way, as the rooms are laid out."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jaxnoise"
EVERYTHING = ("jaxnoise.",)
MAY_IMPORT = {
    "results": ("jaxnoise.checks",),
    "checks": (),
    "pickling": (),
    "model": (
        "jaxnoise.checks",
        "jaxnoise.pickling",
        "jaxnoise.noise.layer.keys_shared",
    ),
    "noise": (
        "jaxnoise.noise",
        "jaxnoise.checks",
        "jaxnoise.pickling",
    ),
    "losses": ("jaxnoise.checks",),
    "metrics": ("jaxnoise.losses",),
    "data": ("jaxnoise.data", "jaxnoise.checks"),
    "models": (
        "jaxnoise.models",
        "jaxnoise.noise",
        "jaxnoise.model",
        "jaxnoise.checks",
        "jaxnoise.pickling",
    ),
    "training": (
        "jaxnoise.training",
        "jaxnoise.model",
        "jaxnoise.results",
        "jaxnoise.pickling",
        "jaxnoise.noise.wrappers.straight_through",
        "jaxnoise.checks",
        "jaxnoise.data",
        "jaxnoise.losses.shown_targets",
        "jaxnoise.losses.is_labels",
        "jaxnoise.losses.check_targets",
        "jaxnoise.losses.CHECKED",
        "jaxnoise.metrics.TAKE_LOGITS",
    ),
    "evidence": (
        "jaxnoise.evidence",
        "jaxnoise.results",
        "jaxnoise.checks",
        "jaxnoise.data",
    ),
    "nnx": ("jaxnoise.noise", "jaxnoise.model", "jaxnoise.checks"),
    "__init__": EVERYTHING,
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = MAY_IMPORT[room]
    ours = [name for name in imports(path) if name.startswith("jaxnoise")]
    wrong = [name for name in ours if not name.startswith(allowed)] if ours else []
    assert not wrong, f"{room} must not import {wrong}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_matplotlib_stays_in_plots(path):
    if not path.is_relative_to(PACKAGE / "evidence" / "plots"):
        assert not [name for name in imports(path) if name.startswith("matplotlib")]


def test_import_is_light():
    code = (
        "import sys, jaxnoise as jn;"
        "heavy = {'matplotlib', 'sklearn', 'rich.progress', 'flax.nnx'};"
        "assert not heavy & set(sys.modules);"
        "jn.plots, jn.report; assert 'matplotlib' in sys.modules;"
        "jn.nnx; assert 'flax.nnx' in sys.modules;"
        "assert {'nnx', 'plots', 'report', 'describe', 'sweep'} <= set(dir(jn))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
