"""Ctrl-C while XLA compiles: it waits until the program is compiled."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


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
