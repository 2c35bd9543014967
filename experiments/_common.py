"""What the experiments share: options that fail in one line, files, last words."""

import argparse
import codecs
import io
import json
import math
import platform
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:  # the benchmarks' first process stays free of JAX
    import pandas as pd

    import jaxnoise as jn

INTERRUPTED = 130  # the exit code of a program that Ctrl-C stopped
RUN_COLUMNS = ("study", "placement", "strength", "seed", "split", "finite")
PLAIN = {"−": "-", "–": "-", "±": "+/-"}  # where an encoding lacks them; others: "?"
PACKAGES = ("jaxnoise", "jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help that tells every default once, and none of switches."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = "(default" in (action.help or "")
        if told or action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on stderr, exit code 2."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(formatter_class=Help, **arguments)
        print_everywhere()

    def error(self, message: str) -> NoReturn:
        one_line = " ".join(message.split())
        print(f"{self.prog}: error: {one_line}", file=sys.stderr)
        raise SystemExit(2)


def print_everywhere() -> None:
    """From now on, no sign that stdout's encoding lacks ends a program."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("plain", _plain)
        sys.stdout.reconfigure(errors="plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in lacking), error.end


def count(text: str) -> int:
    """An option that is an int of at least 1, and that arrays can be counted by."""
    return _whole(text, 1)


def size(text: str) -> int:
    """An option that is an int of at least 0."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    value: int = _number(int, text, f"an int of at least {least}", lambda v: v >= least)
    if value >= 2**31:
        raise argparse.ArgumentTypeError(f"must be less than 2**31, got {text}")
    return value


def seed(text: str) -> int:
    """An option that is an int from 0 to 2**32 - 1."""
    return _number(int, text, "an int from 0 to 2**32 - 1", lambda v: 0 <= v < 2**32)


def strength(text: str) -> float:
    """An option that is a finite number of at least 0."""
    return _number(
        float,
        text,
        "a finite number of at least 0",
        lambda v: math.isfinite(v) and v >= 0,
    )


def positive(text: str) -> float:
    """An option that is a finite number above 0."""
    return _number(
        float, text, "a finite number above 0", lambda v: math.isfinite(v) and v > 0
    )


def _number(kind: Any, text: str, expected: str, fits: Any) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f"must be {expected}, got {text}")
    return value


def writable_directory(parser: Parser, path: Path) -> Path:
    """The directory, made and tried, or the parser's error."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        trial = path / ".writable"
        trial.touch()
        trial.unlink()
    except OSError as error:
        parser.error(f"argument --out: cannot write to {path}: {error.strerror}")
    return path


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):  # run from the sources, say
            found[package] = version(package)
    return found


def add_options(
    parser: Parser, *, seeds: int, out: str, quick: str | None = None
) -> None:
    """The options that all experiments share; ``quick`` says what a quick run does."""
    add = parser.add_argument
    add("--seeds", type=count, default=seeds, help="runs of each kind")
    add("--seed", type=seed, default=0, help="the first seed")
    add("--out", type=Path, default=Path(out), help="where files go")
    add("--no-plots", action="store_true", help="write no pictures")
    add(
        "--report",
        action="store_true",
        help="also write report.html, one page with answer, table, figures and limits",
    )
    if quick:
        add("--quick", action="store_true", help=quick)


def add_placement(parser: Parser, known: Sequence[str], about: str) -> None:
    """The option ``--placement``, one name or several."""
    names = ["none", *known, "all"]
    parser.add_argument(
        "--placement",
        nargs="+",
        choices=names,
        default="all",
        metavar="PLACE",
        help=f"{', '.join(names)}, or several of them: {about}",
    )


def check_placement(
    parser: Parser, options: argparse.Namespace, known: Sequence[str]
) -> list[str]:
    """The placements with noise; the option is a string, or a list of several names.

    The strengths of ``--stddev`` are to fit them.
    """
    given = options.placement
    if not isinstance(given, str):
        if len(set(given)) < len(given):
            parser.error("argument --placement: placements must differ")
        if "all" in given and len(given) > 1:
            parser.error("argument --placement: all has no other placement beside it")
        options.placement = given if len(given) > 1 else given[0]
    noisy, strengths = noisy_placements(options, known), options.stddev or []
    if strengths and not noisy:
        parser.error("argument --stddev: placement none has no strength")
    if len(set(strengths)) < len(strengths):
        parser.error("argument --stddev: strengths must differ")
    if "labels" in noisy and max(strengths, default=0) > 1:
        parser.error("argument --stddev: of labels is a rate, at most 1")
    return noisy


def noisy_placements(options: argparse.Namespace, known: Iterable[str]) -> list[str]:
    """Those asked for, in the order in which they are known."""
    given = options.placement
    given = [given] if isinstance(given, str) else given
    return [placement for placement in known if placement in given or "all" in given]


def check_options(parser: Parser, options: argparse.Namespace) -> None:
    """The last check of the shared options, which makes the folder of the files."""
    if options.seed + options.seeds > 2**32:
        parser.error("argument --seed: the last seed would be above 2**32 - 1")
    options.out = writable_directory(parser, options.out)


def check_into(parser: Parser, path: Path | None, name: str) -> None:
    """The parser's error if a file has no place for a table of this name."""
    if path is None:
        return
    try:
        insert(path.read_text("utf-8"), "", name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        parser.error(f"argument --into: cannot put the table into {path}: {reason}")


def insert(text: str, table: str, name: str) -> str:
    """The text with a table between the marks that bear its name."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"it must have the marks {start} and {end}")
    return f"{before}{start}\n\n{table.strip()}\n\n{end}{after}"


def compare(*args: Any, **arguments: Any) -> Any:
    """`jn.compare` for tables that say n themselves; `print_cautions` says the rest."""
    import jaxnoise as jn

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "compare: ", UserWarning)
        return jn.compare(*args, **arguments)


def print_cautions(result: "jn.SweepResult", metric: str) -> None:
    """What `jn.compare` warns of: few units, or too few for any verdict."""
    if caution := compare(result, metric=metric).caution:
        print(f"caution: {caution}.")


def select(*args: Any, **arguments: Any) -> Any:
    """`jn.select`, likewise."""
    import jaxnoise as jn

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "select: ", UserWarning)
        return jn.select(*args, **arguments)


def write_report(result: Any, options: argparse.Namespace, **arguments: Any) -> None:
    """The page in ``--out``; arguments are those of `jn.report`."""
    import jaxnoise as jn
    from jaxnoise.results import strengths_of

    use_agg()
    path, config = options.out / "report.html", dict(vars(options))
    if "stddev" in config and config["stddev"] is None:
        noisy = result.runs[result.runs["placement"] != "none"]
        config["stddev"] = strengths_of(noisy[["placement", "strength"]]) or None
    try:
        jn.report(result, path, config=config, **arguments)
    except OSError as error:
        print(f"error: argument --report: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def use_agg() -> None:
    """Pictures go to files, with or without a display."""
    import matplotlib

    matplotlib.use("Agg")


def save(figure: Any, path: Path) -> None:
    """A picture as a file; figures that stay open take memory."""
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def write_runs(runs: "pd.DataFrame", path: Path) -> None:
    """The table of runs; metrics in their own precision, float32."""
    known = {*RUN_COLUMNS, *(c for c in runs if c.startswith("strength."))}
    types = {c: np.float32 for c in runs if c not in known}
    runs.astype(types).to_csv(path, index=False, lineterminator="\n")


def write_curves(result: "jn.SweepResult", path: Path) -> None:
    """Curves of shape (row, seed, epoch), with an axis of splits if there are several.

    NaN where an interrupt left a run out.
    """
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
    np.savez_compressed(
        path,
        placement=cells["placement"].to_numpy(str),
        strength=cells["strength"].to_numpy(float),
        epoch=result.epochs,
        **arrays,
    )


def write_summary(
    result: "jn.SweepResult", options: argparse.Namespace, **content: Any
) -> None:
    """summary.json: how it was made, and what it shows."""
    summary = {
        "config": vars(options),
        "versions": versions(),
        "device": result.device,
        "compile_seconds": result.compile_seconds,
        "run_seconds": result.run_seconds,
        "complete": result.complete,
        **content,
    }
    write_json(options.out / "summary.json", summary)


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
    result: "jn.SweepResult", names: Sequence[str], compared: str
) -> list[dict[str, Any]]:
    """For each placement and strength: n, means and spreads, and the difference."""
    tables = {name: compare(result, metric=name) for name in names}
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
    rows: Sequence[dict[str, Any]], shown: dict[str, int], compared: str
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


def finish(result: "jn.SweepResult", options: argparse.Namespace) -> int:
    """The last lines: times, where the files are, and the exit code."""
    print(
        f"compiled in {result.compile_seconds:.1f} s, "
        f"ran in {result.run_seconds:.1f} s on {result.device}"
    )
    print(f"files in {options.out}")
    if not result.complete:
        print("interrupted: the files hold the finished runs alone", file=sys.stderr)
        return INTERRUPTED
    return 0


def write_json(path: Path, content: Any) -> None:
    """Standard JSON: numbers that are not finite become null."""
    text = json.dumps(_finite(content), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


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
