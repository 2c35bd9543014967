"""A progress bar that counts runs, on stderr and only on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ProgressFn = Callable[[int, int], None]


@contextmanager
def progress_of(progress: bool | ProgressFn | None, total: int) -> Iterator[ProgressFn]:
    """Yield ``report(done, total)`` for what ``progress`` of `jaxnoise.sweep` asks."""
    if callable(progress):
        yield progress
    elif progress is False or not sys.stderr.isatty():
        yield lambda done, total: None
    else:
        with _bar(total) as report:
            yield report


@contextmanager
def _bar(total: int) -> Iterator[ProgressFn]:
    from rich import progress as rich  # slow to import
    from rich.console import Console

    columns = (
        rich.TextColumn("training"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("runs"),
        rich.TimeElapsedColumn(),
        rich.TextColumn("left"),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=total)
        yield lambda done, total: bar.update(task, completed=done)
