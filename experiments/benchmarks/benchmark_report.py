"""What was measured: entries with a value each, and what they are held against.

A `Report` starts the contenders and lets them take turns. One that this machine cannot
run, or that dies, is left out and named, and the others go on.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from worker import Absent, Died, Plan, Worker

Entry = dict[str, Any]
Plans = Iterable[Plan | Sequence[Plan]]  # of several together the fastest is taken
OURS = ("jaxnoise", "sweep")
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class Unlike(Exception):
    """A contender that trains another model, so that no ratio would mean a thing."""


class Report:
    """Entries, ratios between them, and who was left out.

    Attributes:
        goals: by benchmark, how many times as fast as its peers ours is to be.
    """

    def __init__(self, goals: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self.goals = goals or {}
        self.entries: list[Entry] = []
        self.ratios: list[Entry] = []
        self.absent: dict[str, str] = {}
        self.failed: list[str] = []  # contenders of ours that died
        self.workers: list[Worker] = []

    def start(self, plans: Plans, title: str = "") -> list[Worker]:
        """The workers of those plans that this machine can run."""
        if title:
            print(title, flush=True)
        started = []
        for plan in plans:
            if not isinstance(plan, Plan):
                started += self._fastest(plan)
                continue
            try:
                started.append(Worker(plan))
            except (Absent, Died) as error:
                self.leave_out(plan, error)
            else:
                self.workers.append(started[-1])
        return started

    def repeat(self, worker: Worker) -> dict[str, Any] | None:
        """One repeat of a worker, or None if it died of it."""
        try:
            return worker.repeat()
        except Died as error:
            self.leave_out(worker.plan, error)
            return None

    def _fastest(self, plans: Sequence[Plan]) -> list[Worker]:
        """Of some settings of one contender; the others are ended."""
        tried = []
        for plan in plans:
            alive = self.take_turns(self.start([plan]), 2)  # the first warms up
            if not alive:
                break
            tried += alive
        tried.sort(key=lambda worker: worker.seconds[-1] / worker.plan.units)
        for worker in tried[1:]:
            worker.close()
        for worker in tried[:1]:
            worker.seconds.clear()
        return tried[:1]

    def take_turns(self, workers: Sequence[Worker], repeats: int) -> list[Worker]:
        """Every worker once, then all again: a slow minute hits them alike.

        Those that did all their repeats are returned.
        """
        alive = list(workers)
        for _ in range(repeats):
            alive = [worker for worker in alive if self.repeat(worker)]
        return alive

    def same_losses(
        self, benchmark: str, workers: Sequence[Worker], most: float
    ) -> list[Worker]:
        """Those that do a repeat, of which all must come to the same losses."""
        losses = {}
        for worker in workers:
            if answer := self.repeat(worker):
                losses[worker] = np.array(answer["value"])
                worker.seconds.clear()
        reference = next(iter(losses.values()), None)
        for worker, loss in losses.items():
            name, gap = worker.plan.name, float(abs(loss - reference).max())
            self.note(f"{benchmark} check", name, gap, "nats")
            print(f"  {name:34s} greatest gap in the loss {gap:.1e}", flush=True)
            if not gap <= most:
                raise Unlike(f"{name} trains something else: its loss is off by {gap}")
        return list(losses)

    def measure(
        self, benchmark: str, workers: Sequence[Worker], repeats: int, unit: str
    ) -> dict[str, float]:
        """Medians by name, written down and held against goals; ends the workers.

        In ``unit`` a unit of work, of which that of all processes counts; or in "s" of
        all the work.
        """
        values = {
            worker.plan.name: self._add(benchmark, worker, unit)
            for worker in self.take_turns(workers, repeats)
        }
        self.close()
        self.hold(benchmark, values)
        return values

    def close(self) -> None:
        """End the workers."""
        while self.workers:
            self.workers.pop().close()

    def _add(self, benchmark: str, worker: Worker, unit: str) -> float:
        plan, notes = worker.plan, worker.notes
        scale = UNITS[unit] * (1 if unit == "s" else plan.units)
        values = [seconds / scale for seconds in worker.seconds]
        value = median(values)
        more = {"processes": plan.processes, "peak_bytes": worker.peak_bytes} | notes
        self.note(benchmark, plan.name, value, unit, repeats=values, **more)
        told = [f"{min(values):.4g} to {max(values):.4g}, n = {len(values)}"]
        if (compiled := notes.get("compile_seconds")) is not None:
            told.append(f"compiled in {compiled:.2g} s")
        if device := notes.get("device_peak_bytes"):
            told.append(f"device memory {device / 1e6:,.0f} MB")
        print(f"  {plan.name:42s} {value:12.4g} {unit}   ({'; '.join(told)})")
        return value

    def note(
        self, benchmark: str, name: str, value: float, unit: str, **more: Any
    ) -> None:
        """Write down a value."""
        entry = {"benchmark": benchmark, "name": name, "value": value, "unit": unit}
        self.entries.append(entry | more)

    def hold(self, benchmark: str, values: Mapping[str, float]) -> None:
        """The first of ours against each peer of the goals at its fastest."""
        ours = [value for name, value in values.items() if name.startswith(OURS)]
        for peer, at_least in self.goals.get(benchmark, {}).items():
            theirs = [value for name, value in values.items() if name.startswith(peer)]
            if ours and theirs:
                self.ratio(benchmark, peer, min(theirs) / ours[0], at_least)

    def ratio(
        self, benchmark: str, name: str, ratio: float, at_least: float, **more: float
    ) -> None:
        """How many times as fast as a peer, against what is asked for."""
        entry = {"benchmark": benchmark, "name": name, "ratio": ratio}
        self.ratios.append({**entry, "at_least": at_least, **more})
        if not more:
            print(f"    against {name:34s} {ratio:8.2f} x   (at least {at_least:g})")

    def bound(self, benchmark: str, name: str, value: float, at_most: float) -> None:
        """A value that is to stay below a bound, which is so many times as large."""
        self.ratio(benchmark, name, at_most / value, 1, value=value, at_most=at_most)
        print(f"    {name}: {value:.3g}   (at most {at_most:g})")

    def leave_out(self, plan: Plan, error: Exception) -> None:
        """Name who cannot run, and why; that one of ours dies is a failure."""
        name, died = plan.name, isinstance(error, Died)
        reason = str(error).split("\n")[-1] or "without a word"
        self.absent[name] = f"died: {reason}" if died else reason
        if died and plan.contender in OURS:
            self.failed.append(f"{name} died: {error}")
        print(f"  {name}: left out ({self.absent[name]})", flush=True)
