"""What was measured: entries with a value each, and what they are held against.

A `Report` starts the contenders and lets them take turns. One that this machine cannot
run, or that dies, is left out and named, and the others go on.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from worker import CORES, Absent, Died, Plan, Worker

Entry = dict[str, Any]
OURS = ("jaxnoise", "jaxnoise, no noise", "sweep")
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
A_CORE_EACH = "one process a core"


def ways_to_use_all_cores() -> list[tuple[str, int, int]]:
    """What it is called, the processes, and the threads of each."""
    if CORES == 1:
        return [("1 thread", 1, 1)]
    return [(f"{CORES} threads", 1, CORES), (A_CORE_EACH, CORES, 1)]


class Report:
    """Entries, ratios between them, and who was left out."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ratios: list[Entry] = []
        self.absent: dict[str, str] = {}
        self.failed: list[str] = []  # contenders of ours that died
        self.workers: list[Worker] = []

    def start(self, plan: Plan) -> Worker | None:
        """A worker, or None where this machine cannot run it."""
        try:
            worker = Worker(plan)
        except (Absent, Died) as error:
            self.leave_out(plan.name, plan.contender in OURS, error)
            return None
        self.workers.append(worker)
        return worker

    def repeat(self, worker: Worker) -> dict[str, Any] | None:
        """One repeat of a worker, or None if it died of it."""
        try:
            return worker.repeat()
        except Died as error:
            self.leave_out(worker.plan.name, worker.plan.contender in OURS, error)
            return None

    def fastest(self, plans: Sequence[Plan], warm_up: int = 1) -> list[Worker]:
        """The fastest of some settings of one contender; the others are ended."""
        tried = []
        for plan in plans:
            worker = self.start(plan)
            if worker is None:
                break
            if all(self.repeat(worker) for _ in range(warm_up)):
                tried.append(worker)
        tried.sort(key=lambda worker: worker.seconds[-1] / worker.units)
        for worker in tried[1:]:
            worker.close()
        for worker in tried[:1]:
            worker.seconds.clear()
        return tried[:1]

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

    def measure(
        self, benchmark: str, workers: Sequence[Worker | None], repeats: int, unit: str
    ) -> dict[str, float]:
        """Medians by name, in ``unit`` a unit of work, written down; ends the workers.

        The work of all processes of a worker counts.
        """
        values = {
            worker.plan.name: self._add(benchmark, worker, unit)
            for worker in self.take_turns(workers, repeats)
        }
        self.close()
        return values

    def close(self) -> None:
        """End the workers."""
        while self.workers:
            self.workers.pop().close()

    def _add(self, benchmark: str, worker: Worker, unit: str) -> float:
        values = [s / worker.units / UNITS[unit] for s in worker.seconds]
        name, value = worker.plan.name, median(values)
        self.note(benchmark, name, value, unit)
        self.entries[-1] |= {
            "repeats": values,
            "processes": worker.plan.processes,
            "peak_bytes": worker.peak_bytes,
            **worker.notes,
        }
        told = [f"{min(values):.4g} to {max(values):.4g}, n = {len(values)}"]
        if (compiled := worker.notes.get("compile_seconds")) is not None:
            told.append(f"compiled in {compiled:.2g} s")
        if device := worker.notes.get("device_peak_bytes"):
            told.append(f"device memory {device / 1e6:,.0f} MB")
        print(f"  {name:42s} {value:12.4g} {unit}   ({'; '.join(told)})", flush=True)
        return value

    def note(self, benchmark: str, name: str, value: float, unit: str) -> None:
        """A value that is no time of a worker."""
        entry = {"benchmark": benchmark, "name": name, "value": value, "unit": unit}
        self.entries.append(entry)

    def ratio(self, benchmark: str, name: str, value: float, at_least: float) -> None:
        """How many times faster than a peer, against what is asked for."""
        self._hold(benchmark, name, value, at_least)
        print(f"    against {name:34s} {value:8.2f} x   (at least {at_least:g})")

    def against_the_best(
        self,
        benchmark: str,
        ours: float,
        values: Mapping[str, float],
        goals: Mapping[str, float],
    ) -> None:
        """Each peer at its fastest, by the start of its name, against a goal each."""
        for peer, at_least in goals.items():
            theirs = [value for name, value in values.items() if name.startswith(peer)]
            if theirs:
                self.ratio(benchmark, peer, min(theirs) / ours, at_least)

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
