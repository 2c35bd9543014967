"""`store`: what it costs to lose nothing, and what a second process gains."""

import argparse
from functools import partial
from pathlib import Path

from benchmark_report import Report
from circles_benchmark import Make
from worker import Plan

SHARE, A_RUN = 0.03, 1e-3  # of a sweep's time, or seconds a run, that a store may take
RESUMED = 1.2  # what the second half may take, by half of a sweep
OPENING = 2.0  # seconds
TWICE = 1.6  # that two processes are to gain on two cores


def store(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """Overhead, resuming after a kill half-way, two workers and one, and opening."""
    seeds, epochs = sizes.store_seeds, sizes.store_epochs
    work = {"seeds": seeds, "epochs": epochs, "folder": str(folder)}
    make: Make = partial(Plan, "store_contenders", **work)
    print(f"store, seconds of {seeds} runs of {epochs} epochs", flush=True)
    plans = [
        make("no store", "sweep", stored=False),
        make("store", "sweep", stored=True),
        make("second half after a kill", "resume"),
    ]
    values = report.measure("store", report.start(plans), sizes.store_repeats, "s")
    if len(values) == len(plans):
        plain, stored, rest = values.values()
        most = max(SHARE, A_RUN * seeds / plain)
        report.bound("store", "overhead, a share", max(stored / plain - 1, 1e-9), most)
        half = "second half after a kill, by half of all"
        report.bound("store", half, 2 * rest / plain, RESUMED)
    counts = {"one worker of one core": 1, "two workers of one core": 2}
    workers = [make("one worker of all cores", "executor", workers=1, cores="")]
    workers += [make(k, "executor", workers=n, cores="1") for k, n in counts.items()]
    values = report.measure("executor", report.start(workers), sizes.store_repeats, "s")
    if len(values) == len(workers):
        every, one, two = (seeds / value for value in values.values())
        print(f"    runs a second: {every:.4g}, {one:.4g} and {two:.4g}")
        report.ratio("executor", "one worker, by two", two / one, TWICE)
    name = f"list of {sizes.store_runs:,} runs"
    plan = make(name, "opening", runs=sizes.store_runs)
    values = report.measure("opening", report.start([plan]), sizes.store_repeats, "s")
    for value in values.values():
        report.bound("opening", f"seconds, {name}", value, OPENING)
