"""Checkpoints of unfinished runs: folders of Orbax beside a store's file.

A checkpoint holds the runs of one call of a program, row by row. It is there wholly or
not at all; what cannot be read any more costs time alone, as its runs begin anew.
"""

import os
import shutil
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnoise.store.file import DAMAGE, StoreError, digest

UNREADABLE = (*DAMAGE, OSError, RuntimeError)


class Checkpoint(NamedTuple):
    """A folder.

    Attributes:
        path: of it.
        labels: of its runs, row by row: all that determines their numbers but for how
            many epochs they are to have.
        keys: of the same runs in the store.
        epochs: that they are to have.
        done: that they have had.
        kept: the epochs of which it has their variables, too.
    """

    path: Path
    labels: list[str]
    keys: list[str]
    epochs: int
    done: int
    kept: list[int]


class Checkpoints:
    """Those beside a store.

    Args:
        store: the path of the store's file.
    """

    def __init__(self, store: str | os.PathLike):
        self.folder = Path(f"{os.fspath(store)}.checkpoints").absolute()

    def __iter__(self) -> Iterator[Checkpoint]:
        with suppress(OSError):  # there is no folder
            for path in sorted(self.folder.iterdir()):
                with suppress(*UNREADABLE):  # also one that is not finished
                    if not path.suffix:
                        about = self._orbax.metadata(path).custom_metadata
                        yield Checkpoint(path, **about)

    def save(
        self, about: Mapping[str, Any], rows: Mapping[str, np.ndarray]
    ) -> Checkpoint:
        """Write arrays by name, and what `Checkpoint` tells of beside its path."""
        import orbax.checkpoint as ocp  # slow to import

        path = self.folder / digest(about)
        args = ocp.args.StandardSave({n: row for n, row in rows.items() if row.size})
        try:
            self._orbax.save(path, args=args, custom_metadata=dict(about))
        except UNREADABLE as error:
            if not path.exists():  # by another process, which trains the same
                raise StoreError(f"checkpoint {path}: {error}.") from error
        return Checkpoint(path, **about)

    def read(self, checkpoint: Checkpoint) -> dict[str, np.ndarray] | None:
        """The arrays; None if they cannot be read, which is told."""
        try:
            found: dict[str, np.ndarray] = self._orbax.restore(checkpoint.path)
            return found
        except UNREADABLE as error:
            why = str(error).partition("\n")[0]
            warnings.warn(
                f"checkpoint {checkpoint.path} cannot be read, its runs begin anew: "
                f"{why}",
                stacklevel=2,
            )
            return None

    def remove(self, paths: Iterable[Path]) -> None:
        """Delete some; others may have done so."""
        for path in paths:
            shutil.rmtree(path, ignore_errors=True)

    def forget(self, keys: Collection[str]) -> None:
        """Delete those that have a run with one of these keys in the store."""
        asked = set(keys)
        self.remove([e.path for e in self if not asked.isdisjoint(e.keys)])

    @cached_property
    def _orbax(self) -> Any:
        import orbax.checkpoint as ocp

        return ocp.Checkpointer(ocp.StandardCheckpointHandler())
