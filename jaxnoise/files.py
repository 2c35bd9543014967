"""Files, whole or not at all: who is killed, or finds no room, leaves the old one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def replace_file(path: Path, make: Callable[[Path], Any] | str) -> None:
    """Make a file beside its place, then move it there: whole, or not at all.

    Args:
        path: of the file; a link stays one.
        make: writes to the path that it is given, which ends in the same name; or the
            text that the file is to hold.

    Raises:
        OSError: if it cannot be written.
    """
    target = Path(os.path.realpath(path))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
        beside = Path(folder) / target.name
        if isinstance(make, str):
            beside.write_text(make, "utf-8", newline="\n")
        else:
            make(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, target)
