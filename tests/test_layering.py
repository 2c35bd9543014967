"""Imports point one way, as the rooms are laid out."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "jaxnoise"
KNOWS = {  # room: rooms below it, of which it may import anything
    "checks": "",
    "files": "",
    "pickling": "",
    "results": "checks",
    "losses": "checks",
    "metrics": "checks losses",
    "data": "checks",
    "noise": "checks pickling",
    "model": "checks pickling",
    "models": "checks pickling noise model",
    "store": "checks results data",
    "training": "checks pickling results losses metrics data model store",
    "evidence": "checks files results data store",
    "robustness": "checks results metrics data noise model models evidence",
    "until": "checks results data training evidence",  # a sweep that looks: above both
    # Doors, as are the experiments: nothing imports them.
    "keras": "checks pickling noise model models training",
    "nnx": "checks noise model",
    "estimators": "checks pickling results losses metrics data noise model models "
    "store training evidence nnx",
    "command": "checks files pickling results losses metrics data noise model models "
    "store training evidence robustness until estimators nnx",
    "__main__": "command",
}
BESIDES = {  # single names of a room that is not known as a whole
    "model": {"noise.layer.keys_shared"},  # runs are paired: axes of them share keys
    "evidence": {"model.as_model"},  # pictures of what networks decide
    "training": {
        "noise.wrappers.straight_through",  # around the weights' noise
        "noise.sampling.threefry2x32",  # keys are derived as noise is drawn
        "noise.mixing.Mixer",  # layers mix rows, the engine the targets
        "noise.mixing.NotMixing",
        "noise.mixing.mixing",
        "noise.rows.mixup",
    },
}
FILES = {path: path.relative_to(PACKAGE).parts for path in PACKAGE.rglob("*.py")}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_imports_point_one_way():
    rooms = {parts[0].removesuffix(".py") for parts in FILES.values()} - {"__init__"}
    assert rooms == set(KNOWS)
    for path, parts in FILES.items():
        room = parts[0].removesuffix(".py")
        if room == "__init__":  # the public list
            continue
        below = {room, *KNOWS[room].split()}
        ours = {
            name.removeprefix("jaxnoise.")
            for name in imports(path)
            if name.partition(".")[0] == "jaxnoise"
        }
        wrong = {name for name in ours if name.partition(".")[0] not in below}
        wrong -= BESIDES.get(room, set())
        assert not wrong, f"{'/'.join(parts)} must not import {sorted(wrong)}"


def test_rooms_have_an_order():
    """No two rooms know each other, at any distance."""
    placed = set()
    while left := set(KNOWS) - placed:
        free = {room for room in left if set(KNOWS[room].split()) <= placed}
        assert free, f"a circle among {sorted(left)}"
        placed |= free


def test_matplotlib_stays_in_plots():
    for path, parts in FILES.items():
        if parts[:2] != ("evidence", "plots"):
            names = [name for name in imports(path) if name.startswith("matplotlib")]
            assert not names, path


def test_import_is_light():
    code = (
        "import sys, jaxnoise as jn;"
        "heavy = {'matplotlib', 'sklearn', 'rich.progress', 'flax.nnx', 'keras'};"
        "assert not heavy & set(sys.modules);"
        "jn.plots, jn.report; assert 'matplotlib' in sys.modules;"
        "jn.nnx; assert 'flax.nnx' in sys.modules;"
        "assert {'nnx', 'plots', 'report', 'describe', 'sweep'} <= set(dir(jn))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
