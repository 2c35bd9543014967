"""What the experiments share: options that fail in one line, and files that last."""

import argparse
import json
import math
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

PACKAGES = ("jaxnoise", "jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on stderr, exit code 2."""

    def error(self, message: str) -> NoReturn:
        one_line = " ".join(message.split())
        print(f"{self.prog}: error: {one_line}", file=sys.stderr)
        raise SystemExit(2)


def count(text: str) -> int:
    """An option that is an int of at least 1."""
    return _number(int, text, "an int of at least 1", lambda value: value >= 1)


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
    return {"python": platform.python_version()} | {p: version(p) for p in PACKAGES}


def add_report(parser: Parser) -> None:
    """The option that all experiments share."""
    parser.add_argument(
        "--report",
        action="store_true",
        help="also write report.html, one page with answer, table, figures and limits",
    )


def write_report(result: Any, options: argparse.Namespace, **arguments: Any) -> Path:
    """The page in ``--out``; arguments are those of `jn.report`."""
    import matplotlib

    import jaxnoise as jn

    matplotlib.use("Agg")
    config = dict(vars(options))
    return jn.report(result, options.out / "report.html", config=config, **arguments)


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
