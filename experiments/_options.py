"""What the experiments share of options: each is checked, and fails in one line."""

import argparse
import codecs
import io
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from _files import FAILED, INTERRUPTED, insert

PLAIN = {"−": "-", "–": "-", "±": "+/-"}  # where an encoding lacks them; others: "?"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on stderr, exit code 2."""

    def __init__(self, program: str, about: str | None = None) -> None:
        first, _, _ = (about or "").partition("\n")  # -OO leaves no docstrings
        super().__init__(prog=program, description=first)
        print_everywhere()

    def option(
        self, name: str, kind: Any, default: Any, told: str, **more: Any
    ) -> None:
        """An option that takes a value, or several with ``nargs="+"``; told once."""
        if default is not None and "(default" not in told:
            told += " (default: %(default)s)"
        self.add_argument(name, type=kind, default=default, help=told, **more)

    def switch(self, name: str, told: str) -> None:
        """An option that is there or not."""
        self.add_argument(name, action="store_true", help=told)

    def error(self, message: str) -> NoReturn:
        one_line = " ".join(message.split())
        print(f"{self.prog}: error: {one_line}", file=sys.stderr)
        raise SystemExit(2)


def print_everywhere() -> None:
    """From now on, nothing that stdout cannot take ends a program.

    Signs that its encoding lacks are written plainly, and what nobody reads is dropped.
    """
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return
    codecs.register_error("plain", _plain)
    if sys.stdout is sys.__stdout__:
        sys.stdout.flush()
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(Stdout(sys.stdout.fileno(), "w", closefd=False)),
            encoding=sys.stdout.encoding,
            line_buffering=sys.stdout.line_buffering,
        )
    sys.stdout.reconfigure(errors="plain")


class Stdout(io.FileIO):
    """Standard output that may be closed, as in ``| head -1``, or fail once for all.

    Attributes:
        failed: whether something is missing that somebody might read.
    """

    failed = False

    def write(self, content: Any) -> int:
        """The number of bytes that were taken, written or not."""
        try:
            return super().write(content)
        except BrokenPipeError:
            pass
        except OSError as error:
            if not Stdout.failed:
                print(f"error: standard output: {error.strerror}", file=sys.stderr)
            Stdout.failed = True
        return len(content)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in lacking), error.end


def number(
    kind: Callable[[str], Any], expected: str, fits: Callable[[Any], bool]
) -> Callable[[str], Any]:
    """What an option takes: a number that fits what is expected."""

    def parsed(text: str) -> Any:
        with suppress(ValueError):
            value = kind(text)
            if fits(value):
                return value
        raise argparse.ArgumentTypeError(f"must be {expected}, got {text}")

    return parsed


def countable(least: int) -> Callable[[str], int]:
    """What an option takes: an int that arrays can be counted by."""
    whole = number(int, f"an int of at least {least}", lambda n: n >= least)
    return number(whole, "less than 2**31", lambda n: n < 2**31)


count, size = countable(1), countable(0)
seed = number(int, "an int from 0 to 2**32 - 1", lambda n: 0 <= n < 2**32)
finite = "a finite number"
strength = number(float, f"{finite} of at least 0", lambda x: 0 <= x < math.inf)
positive = number(float, f"{finite} above 0", lambda x: 0 < x < math.inf)


def writable_directory(parser: Parser, path: Path) -> Path:
    """The directory, made and tried, or the parser's error."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        parser.error(f"argument --out: cannot write to {path}: {error.strerror}")
    return path


def run(main: Callable[[], int]) -> NoReturn:
    """End the process with the exit code of ``main``, without a traceback of Ctrl-C."""
    try:
        code = main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    if sys.stdout is not None:  # where it was closed from the start
        sys.stdout.flush()
    raise SystemExit(code or FAILED * Stdout.failed)


def add_options(
    parser: Parser, *, seeds: int, out: str, quick: str | None = None
) -> None:
    """The options that all experiments share; ``quick`` says what a quick run does."""
    parser.option("--seeds", count, seeds, "runs of each kind")
    parser.option("--seed", seed, 0, "the first seed")
    parser.option("--out", Path, Path(out), "where files go")
    told = "train all runs again: the store of earlier calls is renamed, never deleted"
    parser.switch("--fresh", told)
    parser.switch("--no-plots", "write no pictures")
    told = "also write report.html, one page with answer, table, figures and limits"
    parser.switch("--report", told)
    if quick:
        parser.switch("--quick", quick)


def check_placement(
    parser: Parser, options: argparse.Namespace, known: Sequence[str]
) -> None:
    """The parser's error if placements and strengths do not fit."""
    given = as_list(options.placement)
    if len(set(given)) < len(given):
        parser.error("argument --placement: placements must differ")
    if "all" in given and len(given) > 1:
        parser.error("argument --placement: all has no other placement beside it")
    options.placement = one_or_list(given)
    noisy, strengths = noisy_placements(options, known), options.stddev or []
    if strengths and not noisy:
        parser.error("argument --stddev: placement none has no strength")
    if len(set(strengths)) < len(strengths):
        parser.error("argument --stddev: strengths must differ")
    if "labels" in noisy and max(strengths, default=0) > 1:
        parser.error("argument --stddev: of labels is a rate, at most 1")


def noisy_placements(options: argparse.Namespace, known: Iterable[str]) -> list[str]:
    """Those asked for, in the order in which they are known."""
    given = as_list(options.placement)
    return [placement for placement in known if placement in given or "all" in given]


def as_list(given: Any) -> list[Any]:
    """What an option that takes one value or several holds."""
    return given if isinstance(given, list) else [given]


def one_or_list(given: Any) -> Any:
    """A value, or several as a list, as an option's default is one."""
    return given[0] if isinstance(given, list) and len(given) == 1 else given


def check_options(parser: Parser, options: argparse.Namespace) -> None:
    """The last check of the shared options, which makes the folder of the files."""
    if options.seed + options.seeds > 2**32:
        parser.error("argument --seed: the last seed would be above 2**32 - 1")
    options.out = writable_directory(parser, options.out)


def options_of_page(
    parser: Parser, argv: Sequence[str] | None, name: str
) -> argparse.Namespace:
    """The options of a script whose table goes into a page, both checked."""
    add_into(parser)
    options = parser.parse_args(argv)
    check_into(parser, options.into, name)
    options.out = writable_directory(parser, options.out)
    return options


def add_into(parser: Parser) -> None:
    """The option of a page that a table is put into, beside a file of its own."""
    told = "also put the table into this README"
    parser.option("--into", Path, None, told, metavar="FILE")


def check_into(parser: Parser, path: Path | None, name: str) -> None:
    """The parser's error if a file has no place for a table of this name."""
    if path is None:
        return
    try:
        insert(path.read_text("utf-8"), "", name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        parser.error(f"argument --into: cannot put the table into {path}: {reason}")
