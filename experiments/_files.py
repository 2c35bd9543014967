"""What the experiments write and print: files whole or not at all, and how they end."""

import argparse
import hashlib
import json
import os
import platform
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

import jaxnoise as jn
from jaxnoise.evidence.format import in_words
from jaxnoise.files import replace_file
from jaxnoise.results import strengths_of

INTERRUPTED = 130  # the exit code of a program that Ctrl-C stopped
FAILED = 2  # of one that cannot do or write what it was asked for
SUMMARY = "summary.json"
STORE = "runs.sqlite"
PACKAGES = ("jaxnoise", "jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")
DPI, MARGIN = 150, 15  # of a picture, and pixels on each side
EDGE = 3  # pixels that a layout leaves free
Row = dict[str, Any]


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
        self.out, self.interrupted = out, False
        self.summary: dict[str, Any] = {}
        self.hashes: dict[str, str] = {}
        self.missing: dict[str, str] = {}
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

    def runs(self, runs: pd.DataFrame) -> None:
        """runs.csv: the table of runs; metrics in their own precision, float32.

        What was trained is not lost with a folder: it goes elsewhere, or to stdout.
        """
        numbers = [n for n in runs.select_dtypes(float) if not n.startswith("strength")]
        table = runs.astype(dict.fromkeys(numbers, np.float32))
        make: Any = partial(table.to_csv, index=False, lineterminator="\n")
        self.write("runs.csv", make, needed=True)
        if "runs.csv" not in self.missing:
            return
        try:
            elsewhere = Path(tempfile.mkdtemp(prefix="jaxnoise-")) / "runs.csv"
            replace_file(elsewhere, make)
            print(f"the runs are in {elsewhere} instead", file=sys.stderr)
        except OSError:
            make(sys.stdout)

    def curves(self, result: jn.SweepResult) -> None:
        """curves.npz, of shape (row, seed, epoch), with an axis of splits if several.

        NaN where an interrupt left a run out.
        """
        runs: Any = result.runs
        axes: dict[str, Any] = {}
        for name in ("seed", "split"):
            numbers = np.sort(runs[name].unique())
            if name == "seed" or len(numbers) > 1:
                axes[name] = numbers
        cells = ["placement", "strength"]
        row, first = (
            runs.groupby(cells, sort=False).ngroup(),
            runs.drop_duplicates(cells),
        )
        at = [np.searchsorted(numbers, runs[name]) for name, numbers in axes.items()]
        arrays = {"placement": first["placement"].to_numpy(str), **axes}
        arrays |= {"strength": first["strength"].to_numpy(float)}
        for name, values in result.curves.items():
            shape = (len(first), *map(len, axes.values()), len(result.epochs))
            arrays[name] = np.full(shape, np.nan, np.float32)
            arrays[name][row, *at] = values
        arrays["epoch"] = result.epochs
        make = partial(np.savez_compressed, **arrays)
        self.write("curves.npz", make, needed=True)

    def picture(self, name: str, draw: Callable[[], Any]) -> None:
        """A picture as ``draw()`` makes it; figures that stay open take memory."""
        self.write(name, partial(draw_into, draw))

    def page(self, table: Any, options: argparse.Namespace, **arguments: Any) -> None:
        """report.html, as `jn.report` makes it of a comparison and more arguments."""
        config = dict(vars(options))
        if config.get("stddev", 0) is None:
            noisy = table.loc[table["placement"] != "none", ["placement", "strength"]]
            config["stddev"] = strengths_of(noisy) or None
        make = partial(jn.report, table, config=config, **arguments)
        self.write("report.html", make)

    def tell_of(
        self, result: jn.SweepResult, options: argparse.Namespace, **content: Any
    ) -> None:
        """Into the summary: how it was made, and what it shows."""
        told = ("device", "compile_seconds", "run_seconds", "complete")
        self.summary |= {"config": dict(vars(options)), "versions": versions()}
        self.summary |= {name: getattr(result, name) for name in told} | content

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


def draw_into(draw: Callable[[], Any], path: Path) -> None:
    """A picture as ``draw()`` makes it, into a file."""
    import matplotlib

    matplotlib.use("Agg")  # with or without a display
    from matplotlib import pyplot as plt

    figure = draw().figure
    figure.set_dpi(DPI)
    figure.canvas.draw()  # once; savefig draws twice where there is a layout
    pixels = evenly(np.asarray(figure.canvas.buffer_rgba()))
    if pixels is None:
        figure.savefig(path, bbox_inches="tight")
    else:
        plt.imsave(path, pixels, dpi=DPI, pil_kwargs={"compress_level": 1})
    plt.close(figure)


def evenly(pixels: np.ndarray) -> np.ndarray | None:
    """What a picture shows, with the same margin on all sides; None if it is cut."""
    inked = (pixels != pixels[0, 0]).any(axis=-1)
    if inked.sum() > inked[EDGE:-EDGE, EDGE:-EDGE].sum():
        return None
    rows, columns = (np.flatnonzero(inked.any(axis=axis)) for axis in (1, 0))
    shown = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width, _ = shown.shape
    whole = np.tile(pixels[0, 0], (height + 2 * MARGIN, width + 2 * MARGIN, 1))
    whole[MARGIN:-MARGIN, MARGIN:-MARGIN] = shown
    return whole


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


def insert(text: str, table: str, name: str) -> str:
    """The text with a table between the marks that bear its name."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"it must have the marks {start} and {end}")
    return f"{before}{start}\n\n{table.strip()}\n\n{end}{after}"


def insert_into(path: Path | None, table: str, name: str) -> str:
    """Put a table into a page, if one is given; why it could not be written, or ""."""
    if path is None:
        return ""
    return try_replacing(path, insert(path.read_text("utf-8"), table, name))


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def print_table(lines: Sequence[Sequence[str]]) -> None:
    """Lines of cells, the first of them the heading, in columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = map(str.ljust, line, widths)
        print("  ".join(cells).rstrip())


def train_and_report(
    train: Callable[[], jn.SweepResult], report: Callable[[jn.SweepResult], int]
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


def finish(result: jn.SweepResult, options: argparse.Namespace, files: Files) -> int:
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


# Comparisons


def quietly(function: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
    """`jn.compare` or `jn.select`, without the warnings that `print_cautions` says."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(compare|select): ", UserWarning)
        return function(*args, **arguments)


def difference_of(row: Mapping[str, Any]) -> Row:
    """The difference in a row of a comparison, with its interval."""
    return {"mean": row["difference"], "low": row["low"], "high": row["high"]}


def with_interval(difference: Mapping[str, Any]) -> str:
    """A difference and its interval as text."""
    return "{mean:+.4f} [{low:+.4f}, {high:+.4f}]".format(**difference)


def summarise(tables: Mapping[str, pd.DataFrame], compared: str) -> list[Row]:
    """For each placement and strength: n, means and spreads, and the difference."""
    rows = []
    for i, row in enumerate(tables[compared].to_dict("records")):
        scores = {name: table.iloc[i] for name, table in tables.items()}
        cell = {name: row[name] for name in ("placement", "strength", "n", "diverged")}
        means = {
            n: {at: float(s[at]) for at in ("mean", "sd")} for n, s in scores.items()
        }
        difference = {"metric": compared} | difference_of(row)
        noisy = row["placement"] != "none"
        rows.append(
            cell | {"metrics": means, "difference": difference if noisy else None}
        )
    return rows


def print_rows(rows: Sequence[Row], shown: Mapping[str, int], compared: str) -> None:
    """A row per placement and strength, for people: metrics with so many decimals."""
    last = f"{in_words(compared)} difference to none [95 % interval]"
    lines = [["placement", "strength", "n", *map(in_words, shown), last]]
    for row in rows:
        cells = [row["placement"], f"{row['strength']:g}", str(row["n"])]
        for name, digits in shown.items():
            score = row["metrics"][name]
            cells.append(f"{score['mean']:.{digits}f} ± {score['sd']:.{digits}f}")
        cells.append(with_interval(row["difference"]) if row["difference"] else "")
        lines.append([cell.replace("nan", "-").replace("+-", "-") for cell in cells])
    print_table(lines)


def print_cautions(table: Any, rows: Sequence[Row]) -> None:
    """What `jn.compare` warns of, and the placements and strengths that lost runs."""
    if table.caution:
        print(f"caution: {table.caution}.")
    for row in rows:
        if row["diverged"]:
            cell = f"{row['placement']} {row['strength']:g}"
            print(f"{cell}: {row['diverged']} diverged runs are left out")
