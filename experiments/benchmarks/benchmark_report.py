"""What was measured: entries with a value each, and what they are held against.

A `Report` starts the contenders and lets them take turns. One that this machine cannot
run, or that dies, is left out and named, and the others go on.
"""

import os
from collections.abc import Sequence
from statistics import median
from typing import Any

from worker import Absent, Died, Worker

Entry = dict[str, Any]
CPU = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
OURS = ("jaxnoise", "jaxnoise, no noise", "sweep", "accelerator")

try:
    CORES = len(os.sched_getaffinity(0))
except AttributeError:  # macOS and Windows
    CORES = os.cpu_count() or 1


def on(backend: str) -> dict[str, str]:
    """The environment of Keras on this backend."""
    return CPU | {"KERAS_BACKEND": backend}


class Report:
    """Entries, ratios between them, and who was left out."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ratios: list[Entry] = []
        self.absent: dict[str, str] = {}
        self.failed: list[str] = []  # contenders of ours that died
        self.workers: list[Worker] = []

    def start(
        self,
        name: str,
        benchmark: str,
        contender: str,
        options: dict[str, Any],
        environment: dict[str, str] = CPU,
    ) -> Worker | None:
        """A worker, or None where this machine cannot run it."""
        try:
            worker = Worker(benchmark, contender, options, environment)
        except (Absent, Died) as error:
            self.leave_out(name, contender in OURS, error)
            return None
        worker.name = name
        self.workers.append(worker)
        return worker

    def repeat(self, worker: Worker) -> dict[str, Any] | None:
        """One repeat of a worker, or None if it died of it."""
        try:
            return worker.repeat()
        except Died as error:
            self.leave_out(worker.name, worker.contender in OURS, error)
            return None

    def take_turns(
        self, workers: Sequence[Worker | None], repeats: int
    ) -> list[Worker]:
        """Every worker once, then all again: a slow minute hits them alike.

        Those that did all their repeats are returned.
        """
        alive = [worker for worker in workers if worker is not None]
        for _ in range(repeats):
            alive = [worker for worker in alive if self.repeat(worker)]
        return alive

    def close(self) -> None:
        """End the workers."""
        while self.workers:
            self.workers.pop().close()

    def add(
        self, benchmark: str, name: str, worker: Worker, per: float, unit: str
    ) -> float:
        """The worker's median, as seconds / per in ``unit``."""
        values = [seconds / per for seconds in worker.seconds]
        value = median(values)
        self.entries.append(
            {
                "benchmark": benchmark,
                "name": name,
                "value": value,
                "unit": unit,
                "repeats": values,
                **worker.notes,
            }
        )
        compiled = worker.notes.get("compile_seconds")
        print(
            f"  {name:36s} {value:12.4g} {unit}   ({min(values):.4g} to "
            f"{max(values):.4g}, n = {len(values)}"
            + (")" if compiled is None else f"; compiled in {compiled:.2g} s)"),
            flush=True,
        )
        return value

    def note(self, benchmark: str, name: str, value: float, unit: str) -> None:
        """A value that is no time of a worker."""
        entry = {"benchmark": benchmark, "name": name, "value": value, "unit": unit}
        self.entries.append(entry)

    def ratio(self, benchmark: str, name: str, value: float, at_least: float) -> None:
        """How many times faster than a peer, against what is asked for."""
        self._hold(benchmark, name, value, at_least)
        print(f"    against {name:34s} {value:8.2f} x   (at least {at_least:g})")

    def bound(self, benchmark: str, name: str, value: float, at_most: float) -> None:
        """A value that is to stay below a bound, which is so many times as large."""
        self._hold(benchmark, name, at_most / value, 1, value=value, at_most=at_most)
        print(f"    {name}: {value:.3g}   (at most {at_most:g})")

    def _hold(
        self, benchmark: str, name: str, ratio: float, at_least: float, **more: float
    ) -> None:
        entry = {"benchmark": benchmark, "name": name, "ratio": ratio}
        self.ratios.append({**entry, "at_least": at_least, **more})

    def leave_out(self, name: str, ours: bool, error: Exception) -> None:
        """Name who cannot run, and why; that one of ours dies is a failure."""
        died = isinstance(error, Died)
        reason = str(error).split("\n")[-1] or "without a word"
        self.absent[name] = f"died: {reason}" if died else reason
        if died and ours:
            self.failed.append(f"{name} died: {error}")
        print(f"  {name}: left out ({self.absent[name]})", flush=True)
