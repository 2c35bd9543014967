"""Packages that bring data sets: in extras, since few users need all of them."""

from importlib import import_module
from typing import Any


def bring(loader: str, module: str, extra: str) -> Any:
    """Import what a loader reads its rows from, or say how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{loader} needs the package {package}: "
            f'python -m pip install "jaxnoise[{extra}]".'
        ) from error
