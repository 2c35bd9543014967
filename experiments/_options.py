"""What the experiments share of options: each is checked, and fails in one line."""

import argparse
import codecs
import io
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from _files import FAILED, INTERRUPTED, insert

PLAIN = {"−": "-", "–": "-", "±": "+/-"}  # where an encoding lacks them; others: "?"


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help that tells every default once, and none of switches."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = "(default" in (action.help or "")
        if told or action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on stderr, exit code 2."""

    def __init__(self, program: str, about: str | None = None) -> None:
        first, _, _ = (about or "").partition("\n")  # -OO leaves no docstrings
        super().__init__(prog=program, description=first, formatter_class=Help)
        print_everywhere()

    def option(
        self,
        name: str,
        kind: Callable[[str], Any],
        default: Any,
        told: str,
        metavar: str | None = None,
        *,
        several: bool = False,
        choices: Sequence[str] | None = None,
    ) -> None:
        """An option that takes a value, or ``several``."""
        more: dict[str, Any] = {"nargs": "+"} if several else {}
        more |= {"choices": choices} if choices else {"metavar": metavar}
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
    parser.switch("--no-plots", "write no pictures")
    told = "also write report.html, one page with answer, table, figures and limits"
    parser.switch("--report", told)
    if quick:
        parser.switch("--quick", quick)


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


def add_training(
    parser: Parser, epochs: int | None, batch_size: int | None, learning_rate: float
) -> None:
    """How long and how fast; None is the study's."""
    for name, default, told in (
        ("--epochs", epochs, "passes through the train set"),
        ("--batch-size", batch_size, "rows of a minibatch"),
    ):
        more = " (default: of the study)" if default is None else ""
        parser.option(name, count, default, told + more)
    parser.option("--learning-rate", positive, learning_rate, "of Adam")


def add_draws(parser: Parser, draws: int) -> None:
    """How the rows of real data are divided."""
    told = "rows held out of the train rows to choose strengths on; 0 for none "
    parser.option("--validation", size, None, told + "(default: of the study)")
    told = "draws of train and validation rows; more than one are the units of the "
    parser.option("--draws", count, draws, told + "intervals")
    parser.option("--data-seed", seed, 0, "seed of the first draw")


def check_placement(
    parser: Parser, options: argparse.Namespace, known: Sequence[str]
) -> list[str]:
    """The placements with noise; the option is a string, or a list of several names.

    The strengths of ``--stddev`` are to fit them.
    """
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
    return noisy


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


def check_into(parser: Parser, path: Path | None, name: str) -> None:
    """The parser's error if a file has no place for a table of this name."""
    if path is None:
        return
    try:
        insert(path.read_text("utf-8"), "", name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        parser.error(f"argument --into: cannot put the table into {path}: {reason}")
