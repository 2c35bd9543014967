"""What the experiments write and say: files that are whole, tables, last words."""

import argparse
import hashlib
import json
import math
import os
import platform
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
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
        self._former = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, at: TracebackType | None
    ) -> bool:
        self.interrupted |= isinstance(error, KeyboardInterrupt)
        self.write_summary()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._former)
        late = [name for name, why in self.missing.items() if why == "interrupted"]
        if self.interrupted:
            names = ", ".join(late) or "the rest"
            print(f"interrupted; not written: {names}", file=sys.stderr)
        if earlier := self._earlier():
            print(
                f"of an earlier run in {self.out}: {', '.join(earlier)}",
                file=sys.stderr,
            )
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
        self.write(
            name,
            lambda path: np.savez_compressed(path, **curve_arrays(result)),
            needed=True,
        )

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
        self,
        source: Any,
        options: argparse.Namespace,
        *,
        runs: "pd.DataFrame",
        **arguments: Any,
    ) -> None:
        """report.html, as `jn.report` makes it of the source and further arguments."""
        import jaxnoise as jn
        from jaxnoise.results import strengths_of

        config = dict(vars(options))
        if config.get("stddev", 0) is None:
            noisy = runs.loc[runs["placement"] != "none", ["placement", "strength"]]
            config["stddev"] = strengths_of(noisy) or None
        make = partial(jn.report, source, config=config, **arguments)
        self.write("report.html", make)

    def keep(self) -> None:
        """The files that the summary tells of are of this run, too."""
        self.hashes |= {name: hash_of(self.out / name) for name in self._earlier()}

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
    return json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"


def _finite(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _finite(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_finite(value) for value in node]
    if isinstance(node, Path):
        return str(node)
    if isinstance(node, float) and not math.isfinite(node):
        return None
    return node


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


def compare(*args: Any, **arguments: Any) -> Any:
    """`jn.compare` for tables that say n themselves; `print_cautions` says the rest."""
    import jaxnoise as jn

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "compare: ", UserWarning)
        return jn.compare(*args, **arguments)


def print_cautions(rows: Any) -> None:
    """What `jn.compare` warns of: few units, or too few for any verdict."""
    if rows.caution:
        print(f"caution: {rows.caution}.")


def select(*args: Any, **arguments: Any) -> Any:
    """`jn.select`, likewise."""
    import jaxnoise as jn

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "select: ", UserWarning)
        return jn.select(*args, **arguments)


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """Whom to tell how many runs are finished: a bar, on a terminal alone."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console  # slow to import
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=total)
        yield lambda done: bar.update(task, completed=done)


def summarise(
    tables: Mapping[str, "pd.DataFrame"], compared: str
) -> list[dict[str, Any]]:
    """For each placement and strength: n, means and spreads, and the difference."""
    rows = []
    for i, row in tables[compared].iterrows():
        means = {
            name: {"mean": float(table.loc[i, "mean"]), "sd": float(table.loc[i, "sd"])}
            for name, table in tables.items()
        }
        difference = {"metric": compared, "mean": row["difference"]}
        difference |= {"low": row["low"], "high": row["high"]}
        rows.append(
            {
                "placement": row["placement"],
                "strength": float(row["strength"]),
                "n": int(row["n"]),
                "diverged": int(row["diverged"]),
                "metrics": means,
                "difference": None if row["placement"] == "none" else difference,
            }
        )
    return rows


def print_rows(
    rows: Sequence[dict[str, Any]], shown: Mapping[str, int], compared: str
) -> None:
    """A row per placement and strength, for people: metrics with so many decimals."""
    last = f"{_words(compared)} difference to none [95 % interval]"
    lines = [["placement", "strength", "n", *map(_words, shown), last]]
    for row in rows:
        cells = [row["placement"], f"{row['strength']:g}", str(row["n"])]
        for name, digits in shown.items():
            score = row["metrics"][name]
            cells.append(f"{score['mean']:.{digits}f} ± {score['sd']:.{digits}f}")
        d = row["difference"]
        cells.append(
            f"{d['mean']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}]" if d else ""
        )
        lines.append([cell.replace("nan", "-").replace("+-", "-") for cell in cells])
    print_table(lines)


def print_diverged(rows: Sequence[dict[str, Any]]) -> None:
    """A line for each placement and strength that lost runs."""
    for row in rows:
        if row["diverged"]:
            print(
                f"{row['placement']} {row['strength']:g}: "
                f"{row['diverged']} diverged runs are left out"
            )


def _words(name: str) -> str:
    return name.replace("_", " ")


def print_table(lines: Sequence[Sequence[str]]) -> None:
    """Lines of cells, the first of them the heading, in columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


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
    return nothing_finished() if result.runs.empty else report(result)


def nothing_finished() -> int:
    """What is said of an interrupt before the first run ended; the exit code."""
    print("interrupted before any run finished; no files written", file=sys.stderr)
    return INTERRUPTED


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
