"""What the experiments write, each file whole or not at all, and how they end."""

import argparse
import hashlib
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:  # the benchmarks' first process stays free of JAX
    import pandas as pd

    import jaxnoise as jn

INTERRUPTED = 130  # the exit code of a program that Ctrl-C stopped
FAILED = 2  # of one that cannot do or write what it was asked for
SUMMARY = "summary.json"
STORE = "runs.sqlite"
RUN_COLUMNS = ("study", "placement", "strength", "seed", "split", "finite")
PACKAGES = ("jaxnoise", "jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")


def replace_file(path: Path, make: Callable[[Path], Any] | str) -> None:
    """Make a file beside its place, then move it there: whole, or not at all.

    Args:
        path: of the file; a link stays one.
        make: writes to the path that it is given, which ends in the same name; or the
            text that the file is to hold.
    """
    target = Path(os.path.realpath(path))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
        beside = Path(folder) / target.name
        if isinstance(make, str):
            beside.write_text(make, "utf-8")
        else:
            make(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, target)


def try_replacing(path: Path, make: Callable[[Path], Any] | str) -> str:
    """`replace_file`, or a line that says why not; the reason, or ""."""
    try:
        replace_file(path, make)
    except (OSError, MemoryError) as error:
        why = getattr(error, "strerror", None) or str(error) or "out of memory"
        print(f"error: cannot write {path}: {why}", file=sys.stderr)
        return why
    return ""


def hash_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_summary(out: Path) -> dict[str, Any]:
    """The summary in a folder, of whose files none is of another run.

    Raises:
        OSError: if it is not there.
        ValueError: if it is none, or a file is of another run.
    """
    summary: dict[str, Any] = json.loads((out / SUMMARY).read_text("utf-8"))
    for name, found in summary.get("files", {}).items():
        if (out / name).exists() and hash_of(out / name) != found:
            raise ValueError(f"{name} is not of the run that {SUMMARY} tells of")
    return summary


class Files:
    """The files of a run: each whole or not there, and summary.json the last.

    They are written in a ``with`` block. One that cannot be written is named in a line,
    and the others are written all the same. After Ctrl-C only what tells of the runs
    is, and the rest is named. The summary is written whatever happens; it has the hash
    of every file, so that a folder in which those of several runs lie says so.

    Attributes:
        out: the folder.
        summary: what summary.json holds, beside the hashes and what is missing.
        hashes: by name, of what was written.
        missing: by name, why it was not.
        interrupted: whether Ctrl-C came.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.summary: dict[str, Any] = {}
        self.hashes: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self.interrupted = False
        self._before: list[str] = []
        with suppress(OSError, ValueError, AttributeError):
            self._before = list(json.loads((out / SUMMARY).read_text("utf-8"))["files"])

    def __enter__(self) -> Self:
        self._former = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, at: TracebackType | None
    ) -> bool:
        self.interrupted |= isinstance(error, KeyboardInterrupt)
        self.write_summary()
        signal.signal(signal.SIGINT, self._former)
        late = [name for name, why in self.missing.items() if why == "interrupted"]
        if self.interrupted:
            names = ", ".join(late) or "the rest"
            print(f"interrupted; not written: {names}", file=sys.stderr)
        if names := ", ".join(self._earlier()):
            print(f"of an earlier run in {self.out}: {names}", file=sys.stderr)
        return isinstance(error, KeyboardInterrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Of the first Ctrl-C a note; the second stops what is being done."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def write(
        self, name: str, make: Callable[[Path], Any] | str, *, needed: bool = False
    ) -> None:
        """Write a file as `replace_file` does.

        One that is not needed to see what was trained is left out after Ctrl-C.
        """
        why = "interrupted"
        if needed or not self.interrupted:
            try:
                why = try_replacing(self.out / name, make)
            except KeyboardInterrupt:
                self.interrupted = True
        if why:
            self.missing[name] = why
        else:
            self.hashes[name] = hash_of(self.out / name)

    def runs(self, runs: "pd.DataFrame") -> None:
        """runs.csv: the table of runs; metrics in their own precision, float32.

        What was trained is not lost with a folder: it goes elsewhere, or to stdout.
        """
        known = {*RUN_COLUMNS, *(c for c in runs if c.startswith("strength."))}
        table = runs.astype({c: np.float32 for c in runs if c not in known})

        def make(path: Any) -> None:
            table.to_csv(path, index=False, lineterminator="\n")

        self.write("runs.csv", make, needed=True)
        if "runs.csv" not in self.missing:
            return
        try:
            elsewhere = Path(tempfile.mkdtemp(prefix="jaxnoise-")) / "runs.csv"
            replace_file(elsewhere, make)
            print(f"the runs are in {elsewhere} instead", file=sys.stderr)
        except OSError:
            make(sys.stdout)

    def curves(self, result: "jn.SweepResult", name: str = "curves.npz") -> None:
        """Curves of shape (row, seed, epoch), with an axis of splits if there are any.

        NaN where an interrupt left a run out.
        """
        arrays = curve_arrays(result)
        self.write(name, lambda path: np.savez_compressed(path, **arrays), needed=True)

    def picture(self, name: str, draw: Callable[[], Any]) -> None:
        """A picture as ``draw()`` makes it; figures that stay open take memory."""

        def make(path: Path) -> None:
            import matplotlib

            matplotlib.use("Agg")  # with or without a display
            from matplotlib import pyplot as plt

            figure = draw().figure
            figure.savefig(path, dpi=150, bbox_inches="tight")
            plt.close(figure)

        self.write(name, make)

    def page(
        self, table: "pd.DataFrame", options: argparse.Namespace, **arguments: Any
    ) -> None:
        """report.html, as `jn.report` makes it of a comparison and more arguments."""
        import jaxnoise as jn
        from jaxnoise.results import strengths_of

        config = dict(vars(options))
        if config.get("stddev", 0) is None:
            noisy = table.loc[table["placement"] != "none", ["placement", "strength"]]
            config["stddev"] = strengths_of(noisy) or None
        make = partial(jn.report, table, config=config, **arguments)
        self.write("report.html", make)

    def tell_of(
        self, result: "jn.SweepResult", options: argparse.Namespace, **content: Any
    ) -> None:
        """Into the summary: how it was made, and what it shows."""
        self.summary |= {
            "config": dict(vars(options)),
            "versions": versions(),
            "device": result.device,
            "compile_seconds": result.compile_seconds,
            "run_seconds": result.run_seconds,
            "complete": result.complete,
            **content,
        }

    def write_summary(self) -> None:
        """summary.json, of what is there so far."""
        state = {"files": self.hashes, "missing": self.missing}
        content = self.summary | state | {"earlier": self._earlier()}
        if why := try_replacing(self.out / SUMMARY, as_json(content)):
            self.missing[SUMMARY] = why

    def _earlier(self) -> list[str]:
        """Files that another run left, and this one did not replace."""
        names = [name for name in self._before if name not in self.hashes]
        return [name for name in names if (self.out / name).exists()]

    @property
    def code(self) -> int:
        """The exit code that it comes to."""
        if self.interrupted:
            return INTERRUPTED
        return FAILED if self.missing else 0


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):  # run from the sources, say
            found[package] = version(package)
    return found


def as_json(content: Any) -> str:
    """Standard JSON: numbers that are not finite become null."""
    text = json.dumps(content, default=os.fspath)
    plain = json.loads(text, parse_constant=lambda _: None)
    return json.dumps(plain, indent=2, allow_nan=False) + "\n"


def curve_arrays(result: "jn.SweepResult") -> dict[str, Any]:
    """Curves by name, and their axes."""
    runs = result.runs.reset_index(drop=True)
    cells = runs[["placement", "strength"]].drop_duplicates()
    row = runs.merge(cells.reset_index(drop=True).reset_index())["index"].to_numpy()
    axes: dict[str, Any] = {"seed": np.sort(runs["seed"].unique())}
    if runs["split"].nunique() > 1:
        axes["split"] = np.sort(runs["split"].unique())
    at = (row, *(np.searchsorted(axis, runs[name]) for name, axis in axes.items()))
    arrays = dict(axes)
    for name, values in result.curves.items():
        shape = (len(cells), *map(len, axes.values()), len(result.epochs))
        arrays[name] = np.full(shape, np.nan, np.float32)
        arrays[name][at] = values
    return arrays | {
        "placement": cells["placement"].to_numpy(str),
        "strength": cells["strength"].to_numpy(float),
        "epoch": result.epochs,
    }


def insert(text: str, table: str, name: str) -> str:
    """The text with a table between the marks that bear its name."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"it must have the marks {start} and {end}")
    return f"{before}{start}\n\n{table.strip()}\n\n{end}{after}"


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def train_and_report(
    train: Callable[[], "jn.SweepResult"], report: Callable[["jn.SweepResult"], int]
) -> int:
    """Report what was trained; after an error what had finished; the exit code."""
    try:
        result = train()
    except Exception as error:
        finished = getattr(error, "result", None)
        if finished is not None and not finished.runs.empty:
            report(finished)
        raise
    if result.runs.empty:
        print("interrupted before any run finished; no files written", file=sys.stderr)
        return INTERRUPTED
    return report(result)


def store_of(options: argparse.Namespace, name: str = STORE) -> Path:
    """The store in the folder; with ``--fresh`` that of earlier calls is set aside."""
    path = Path(options.out / name)
    if options.fresh and path.exists():
        names = (path.with_suffix(f".{n}{path.suffix}") for n in count(1))
        free = next(name for name in names if not name.exists())
        for end in ("-wal", "-shm", ""):  # what SQLite may have beside it
            with suppress(FileNotFoundError):
                os.rename(f"{path}{end}", f"{free}{end}")
        print(f"the runs of earlier calls are in {free}")
    return path


def finish(result: "jn.SweepResult", options: argparse.Namespace, files: Files) -> int:
    """The last lines: times, where the files are, and the exit code."""
    print(
        f"compiled in {result.compile_seconds:.1f} s, "
        f"ran in {result.run_seconds:.1f} s on {result.device}"
    )
    print(f"files in {options.out}")
    if not result.complete:
        print("interrupted: the files hold the finished runs alone", file=sys.stderr)
        return INTERRUPTED
    return files.code
