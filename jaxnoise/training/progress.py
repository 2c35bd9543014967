"""What a sweep shows while it lasts, and how Ctrl-C stops it.

A bar counts runs, on stderr where that is a terminal, and below the cell of a notebook.
An interrupt while XLA compiles waits until the program is compiled.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import NamedTuple

from jaxnoise.checks import shown

ProgressFn = Callable[[int, int], None]
CELL_SECONDS = 0.2  # between two messages to a notebook


class Progress(NamedTuple):
    """Whom a sweep tells how far it is."""

    begin: Callable[[], None]  # all is compiled: the runs begin
    report: ProgressFn


@contextmanager
def progress_of(progress: bool | ProgressFn | None, total: int) -> Iterator[Progress]:
    """Yield what to tell, for what ``progress`` of `jaxnoise.sweep` asks."""
    if callable(progress):
        yield Progress(lambda: None, progress)
    elif not (progress is None or isinstance(progress, bool)):
        raise TypeError(
            "progress must be None, a bool or a function (done, total), "
            f"got {shown(progress)}."
        )
    elif progress is False or not (_in_notebook() or sys.stderr.isatty()):
        yield Progress(lambda: None, lambda done, total: None)
    else:
        with (_cell if _in_notebook() else _bar)(total) as bar:
            yield bar


def _in_notebook() -> bool:
    """Whether this process is the kernel of one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


@contextmanager
def _cell(
    total: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """A bar that a notebook shows below its cell until the sweep has ended."""
    from IPython.display import display

    def content(words: str, bar: str = "") -> dict[str, str]:
        return {"text/plain": words, "text/html": f"{bar}{words}"}

    started = shown = clock()
    cell = display(content("compiling"), raw=True, display_id=True)

    def begin() -> None:
        nonlocal started
        started = clock()

    def report(done: int, total: int) -> None:
        nonlocal shown
        now = clock()
        if now - shown >= CELL_SECONDS:
            shown, pace = now, pace_of(done, total, now - started)
            bar = f"<progress value='{done}' max='{total}'></progress> "
            cell.update(content(f"{done}/{total} runs {pace}", bar), raw=True)

    try:
        yield Progress(begin, report)
    finally:
        cell.update(content(""), raw=True)


@contextmanager
def _bar(total: int, clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    from rich import progress as rich  # slow to import
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("runs"),
        rich.TimeElapsedColumn(),
        rich.TextColumn("{task.fields[pace]}"),
    )
    console = Console(stderr=True)
    with rich.Progress(*columns, console=console, get_time=clock) as bar:
        task = bar.add_task("compiling", start=False, total=total, pace="")

        def begin() -> None:
            bar.start_task(task)
            bar.update(task, description="training")

        def report(done: int, total: int) -> None:
            # Rich's own estimate forgets what is older than half a minute.
            pace = pace_of(done, total, bar.tasks[0].elapsed or 0.0)
            bar.update(task, completed=done, pace=pace)

        yield Progress(begin, report)


def pace_of(done: int, total: int, seconds: float) -> str:
    """The rate and the time left in words, where so many runs took so long."""
    if not (done and seconds > 0):
        return ""
    fast = done >= seconds
    rate = done / seconds if fast else seconds / done
    shown = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
    left = timedelta(seconds=round(seconds / done * (total - done)))
    return f"{shown} {'runs/s' if fast else 's/run'}, {left} left"


@contextmanager
def interrupts_held() -> Iterator[Callable[[], None]]:
    """Hold SIGINT back; yield ``deliver()``, which hands a held one to its handler.

    JAX stops a compilation on an interrupt, and then crashes when the process ends.
    Python handles signals in the main thread alone: in others nothing is held.
    """
    former = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not (in_main_thread and callable(former)):  # an ignored signal stays ignored
        yield lambda: None
        return
    held = 0

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal held
        held += 1
        if held > 1:
            _say("compiling; will stop after this program")

    def deliver() -> None:
        nonlocal held
        if held:
            held = 0
            former(signal.SIGINT, None)

    signal.signal(signal.SIGINT, hold)
    try:
        yield deliver
    finally:
        signal.signal(signal.SIGINT, former)
    deliver()


def _say(line: str) -> None:
    """To stderr past its buffer, which the interrupted code may be writing to."""
    try:
        os.write(sys.__stderr__.fileno(), f"\n{line}\n".encode())  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):  # no stderr, or a closed one
        pass
