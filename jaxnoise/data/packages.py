"""Packages that bring data sets: in extras, since few users need all of them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any


def bring(loader: str, module: str, extra: str) -> Any:
    """Import what a loader reads its rows from, or say how to install it."""
    try:
        with _past_the_script():
            return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{loader} needs the package {package}: "
            f'python -m pip install "jaxnoise[{extra}]".'
        ) from error


@contextmanager
def _past_the_script() -> Iterator[None]:
    """Without the script's own folder: a script named mnist1d.py is not the package."""
    script, path = getattr(sys.modules["__main__"], "__file__", None), sys.path[:]
    if script is not None:
        own = Path(script).resolve().parent
        sys.path[:] = [entry for entry in path if Path(entry).resolve() != own]
    try:
        yield
    finally:
        sys.path[:] = path
