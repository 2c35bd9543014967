"""What the experiments write: whole files, a last summary, and what is said if not."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from jaxnoise import SweepResult

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
RUNS = pd.DataFrame(
    {
        "placement": ["none", "none", "input", "input"],
        "strength": [0.0, 0.0, 0.1, 0.1],
        "seed": [0, 1, 0, 1],
        "split": 0,
        "test_loss": [0.5, 0.25, 0.125, 1.0],
        "finite": True,
    }
)
RESULT = SweepResult(
    RUNS,
    {"test_loss": np.arange(8.0).reshape(4, 2)},
    np.array([1, 2]),
    (None,) * 4,
    complete=True,
    compile_seconds=1.0,
    run_seconds=2.0,
    device="1 x toy",
)


@pytest.fixture
def made(experiment):
    return experiment("_files")


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text("utf-8"))


def full(path):
    raise OSError(28, "No space left on device")


def write_all(made, folder, **instead):
    """Runs, curves, two texts and the summary; the folder's `Files`."""
    with made.Files(folder) as files:
        files.runs(RUNS)
        files.curves(RESULT)
        files.write("a.txt", instead.get("a", "a"))
        files.write("b.txt", instead.get("b", "b"))
        files.tell_of(RESULT, argparse.Namespace(seeds=2), rows=[np.nan])
    return files


def test_the_summary_has_the_hash_of_every_file(made, tmp_path, capsys):
    files = write_all(made, tmp_path)
    assert files.code == 0
    assert capsys.readouterr() == ("", "")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"runs.csv", "curves.npz", "a.txt", "b.txt", "summary.json"}
    summary = made.read_summary(tmp_path)
    assert set(summary["files"]) == names - {"summary.json"}
    digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert summary["files"]["a.txt"] == digest  # SHA-256 of "a", of FIPS 180's tests
    assert (summary["missing"], summary["earlier"]) == ({}, [])
    assert summary["rows"] == [None]
    assert (summary["complete"], summary["config"]) == (True, {"seeds": 2})
    with np.load(tmp_path / "curves.npz") as curves:
        np.testing.assert_array_equal(
            curves["test_loss"], RESULT.curves["test_loss"].reshape(2, 2, 2)
        )


@pytest.mark.parametrize("error", [OSError(28, "No space left"), MemoryError()])
def test_what_cannot_be_written_is_named_and_the_rest_is_there(
    made, tmp_path, capsys, error
):
    def fails(path):
        path.write_text("half")
        raise error

    (tmp_path / "a.txt").write_text("an older one")
    files = write_all(made, tmp_path, a=fails)
    out, err = capsys.readouterr()
    why = "No space left" if isinstance(error, OSError) else "out of memory"
    assert (out, err) == ("", f"error: cannot write {tmp_path / 'a.txt'}: {why}\n")
    assert files.code == 2
    assert (tmp_path / "a.txt").read_text() == "an older one"  # whole
    assert (tmp_path / "b.txt").read_text() == "b"
    summary = made.read_summary(tmp_path)
    assert set(summary["files"]) == {"runs.csv", "curves.npz", "b.txt"}
    assert summary["missing"] == {"a.txt": why}
    assert len(list(tmp_path.iterdir())) == 5  # nothing lies beside


def test_files_of_an_earlier_run_are_named(made, tmp_path, capsys):
    write_all(made, tmp_path)
    with made.Files(tmp_path) as files:
        files.runs(RUNS)
    assert files.code == 0
    left = "curves.npz, a.txt, b.txt"
    assert capsys.readouterr().err == f"of an earlier run in {tmp_path}: {left}\n"
    assert summary_of(tmp_path)["earlier"] == left.split(", ")


def test_a_folder_that_mixes_two_runs_says_so(made, tmp_path):
    write_all(made, tmp_path)
    (tmp_path / "runs.csv").write_text("of another run")
    with pytest.raises(ValueError, match="runs.csv is not of the run"):
        made.read_summary(tmp_path)
    (tmp_path / "runs.csv").unlink()  # one may take what one needs of a folder
    assert "runs.csv" in made.read_summary(tmp_path)["files"]


def test_an_error_of_another_kind_leaves_a_summary(made, tmp_path):
    def breaks(path):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_all(made, tmp_path, a=breaks)
    assert set(summary_of(tmp_path)["files"]) == {"runs.csv", "curves.npz"}


def test_ctrl_c_leaves_the_runs_and_names_the_rest(made, tmp_path, capsys):
    def interrupted(path):
        path.write_text("a")
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    files = write_all(made, tmp_path, a=interrupted)
    assert signal.getsignal(signal.SIGINT) is before
    assert files.code == 130
    assert capsys.readouterr().err == "interrupted; not written: b.txt\n"
    assert set(made.read_summary(tmp_path)["files"]) == {
        "runs.csv",
        "curves.npz",
        "a.txt",  # it was being written
    }
    assert summary_of(tmp_path)["missing"] == {"b.txt": "interrupted"}


@pytest.mark.parametrize("within", [True, False], ids=["a file", "what is told"])
def test_a_second_ctrl_c_ends_what_is_being_done(made, tmp_path, capsys, within):
    def twice(path=None):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with made.Files(tmp_path) as files:
        files.runs(RUNS)
        if within:
            files.write("a.txt", twice)
        else:
            twice()
        files.write("b.txt", "b")
    assert files.code == 130
    missing = ["a.txt", "b.txt"] if within else []
    assert list(summary_of(tmp_path)["missing"]) == missing
    err = capsys.readouterr().err
    assert err == f"interrupted; not written: {', '.join(missing) or 'the rest'}\n"


@pytest.mark.parametrize("beyond", [False, True])
def test_pictures_have_an_even_margin_and_are_whole(made, tmp_path, beyond):
    def draw():
        figure, ax = plt.subplots(figsize=(3, 2), layout="constrained")
        ax.set(aspect="equal", xlabel="x")
        if beyond:
            figure.text(-0.2, 0.5, "words")
        return ax

    with made.Files(tmp_path) as files:
        files.picture("ax.png", draw)
    pixels = plt.imread(tmp_path / "ax.png")
    inked = (pixels != pixels[0, 0]).any(axis=-1)
    for axis in (0, 1):
        at = np.flatnonzero(inked.any(axis=axis))
        margins = np.array([at[0], inked.shape[1 - axis] - 1 - at[-1]])
        assert (np.abs(margins - made.MARGIN) <= (2 if beyond else 0)).all()
    assert not plt.get_fignums()


def child(code, *arguments, stdout=subprocess.PIPE):
    """A process that has the modules of the experiments."""
    path = os.pathsep.join([str(EXPERIMENTS), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path},
        text=True,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


FULL_DISK = """
import resource
import sys
from pathlib import Path
import numpy as np, pandas as pd
from types import SimpleNamespace
from _files import Files

limit, rows = int(sys.argv[1]), 200
runs = pd.DataFrame({"placement": "none", "strength": 0.0, "seed": range(rows)})
runs = runs.assign(split=0, test_loss=0.5, finite=True)
noise = np.random.default_rng(0).normal(size=(rows, 100))
result = SimpleNamespace(runs=runs, curves={"test_loss": noise}, epochs=np.arange(100))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
with Files(Path(sys.argv[2])) as files:
    files.runs(runs)
    files.curves(result)
    files.write("a.txt", "a")
raise SystemExit(files.code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of file sizes")
@pytest.mark.parametrize(
    ("limit", "there", "told"),
    [
        (20_000, ["a.txt", "runs.csv", "summary.json"], ["curves.npz"]),
        (1_000, ["a.txt", "summary.json"], ["runs.csv", "curves.npz"]),
    ],
)
@pytest.mark.slow
def test_a_limit_of_file_sizes(made, tmp_path, limit, there, told):
    """Real failures of the system: no torn file, and the runs are not lost."""
    done = child(FULL_DISK, limit, tmp_path)
    assert done.returncode == 2, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == there
    lines = done.stderr.splitlines()
    assert lines == [
        f"error: cannot write {tmp_path / name}: File too large" for name in told
    ]
    lost = "runs.csv" in told  # the system's folder of temporary files is as full
    assert len(done.stdout.splitlines()) == 201 * lost
    assert set(made.read_summary(tmp_path)["missing"]) == set(told)


def test_runs_go_elsewhere_if_their_folder_is_full(made, tmp_path, capsys, monkeypatch):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    replace = made.replace_file
    monkeypatch.setattr(
        made, "replace_file", lambda p, m: full(p) if p.parent == out else replace(p, m)
    )
    monkeypatch.setattr(made.tempfile, "tempdir", str(elsewhere))
    files = write_all(made, out)
    assert files.code == 2
    (there,) = elsewhere.glob("*/runs.csv")
    assert f"the runs are in {there} instead\n" in capsys.readouterr().err
    pd.testing.assert_frame_equal(pd.read_csv(there), RUNS)


# Standard output, and the process


PRINTS = """
from _options import Parser, run

def main():
    Parser("toy.py")
    for line in range(100_000):
        print(line)
    return 0

run(main)
"""


def test_a_closed_pipe_gives_no_traceback():
    process = subprocess.Popen(
        [sys.executable, "-c", PRINTS],
        cwd=EXPERIMENTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is full")
def test_a_full_standard_output_is_told_once():
    with open("/dev/full", "w") as full:
        done = child(PRINTS, stdout=full)
    assert done.stderr == "error: standard output: No space left on device\n"
    assert done.returncode == 2


def test_ctrl_c_before_there_are_runs(experiment, capsys):
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        experiment("_options").run(main)
    assert stop.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_out_keeps_what_is_there(experiment, tmp_path):
    o = experiment("_options")
    mine = tmp_path / ".writable"
    mine.write_text("a user's own")
    assert o.writable_directory(o.Parser("toy.py"), tmp_path) == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == [".writable"]
    assert mine.read_text() == "a user's own"


SCRIPTS = sorted(EXPERIMENTS.glob("[a-z]*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_runs_without_docstrings(experiment, script, capsys):
    """As PYTHONOPTIMIZE=2 leaves them."""
    experiment("_study")
    names = {"__name__": "a_script", "__file__": str(script)}
    exec(compile(script.read_text("utf-8"), script, "exec", optimize=2), names)
    with pytest.raises(SystemExit) as end:
        names["main"](["--help"])
    assert end.value.code == 0
    assert f"usage: {script.name}" in capsys.readouterr().out


def test_fresh_sets_the_store_aside(made, tmp_path, capsys):
    """With what SQLite keeps beside it; nothing is deleted or written over."""
    options = argparse.Namespace(out=tmp_path, fresh=True)
    store = made.store_of(options)
    for number in (1, 2):
        store.write_text(f"runs {number}")
        Path(f"{store}-wal").write_text(f"wal {number}")
        options.fresh = False
        assert made.store_of(options).read_text() == f"runs {number}"
        options.fresh = True
        assert made.store_of(options) == store
        assert f"runs.{number}.sqlite" in capsys.readouterr().out
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "runs.1.sqlite": "runs 1",
        "runs.1.sqlite-wal": "wal 1",
        "runs.2.sqlite": "runs 2",
        "runs.2.sqlite-wal": "wal 2",
    }
