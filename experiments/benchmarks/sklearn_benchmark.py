"""`sklearn`: a search and a fit behind scikit-learn's interface, against its own."""

import argparse
from functools import partial
from pathlib import Path

from benchmark_report import Report
from worker import Plan


def sklearn(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """A grid of 5 folds from a cold start, and one fit after the first."""
    epochs, strengths, seeds = sizes.sklearn
    fits = 5 * strengths * seeds
    print(f"sklearn, seconds of a search of {fits} fits, imports aside", flush=True)
    names = "jaxnoise", "MLPClassifier"
    make = partial(Plan, "sklearn_contenders", max_epochs=epochs)
    grid = {"strengths": strengths, "search_seeds": seeds}
    workers = report.start(make(f"{n}, search", f"{n} search", **grid) for n in names)
    alive = [(worker.plan.name, report.repeat(worker)) for worker in workers]
    for name, answer in alive:
        if answer:
            report.note("sklearn accuracy", name, answer["value"], "share")
    report.measure("sklearn search", workers, 0, "s")
    print("sklearn, seconds of one fit on digits", flush=True)
    workers = report.start(make(f"{n}, fit", f"{n} fit") for n in names)
    report.measure("sklearn fit", workers, sizes.repeats, "s")
