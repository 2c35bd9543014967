"""`sklearn`: searches, fits and defaults behind scikit-learn's interface."""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from benchmark_report import Report
from worker import Plan

FOLDS = 5


def sklearn(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """A grid of 5 folds from a cold start, one fit after the first, and scores."""
    epochs, *grid = sizes.sklearn
    print("sklearn, milliseconds of a fit in a search, imports aside", flush=True)
    parts = {"jaxnoise": grid, **sizes.sklearn_peers}  # of the grid: slow ones do less
    plans = [
        Plan(
            "sklearn_contenders",
            f"{name}, search",
            f"{name} search",
            max_epochs=epochs,
            strengths=strengths,
            search_seeds=seeds,
            fits=FOLDS * strengths * seeds,
        )
        for name, (strengths, seeds) in parts.items()
    ]
    workers = []
    for plan in plans:  # their processes of their own would be in each other's way
        for worker in report.start([plan]):
            if answer := report.repeat(worker):
                fits = f"best of {worker.plan.options['fits']} fits"
                report.note("sklearn accuracy", plan.name, answer["value"], "share")
                print(f"  {plan.name}: accuracy {answer['value']:.4f}, {fits}")
                workers.append(worker)
    report.measure("sklearn search", workers, 0, "ms")
    print("sklearn, seconds of one fit on digits", flush=True)
    fit = partial(Plan, "sklearn_contenders", max_epochs=epochs)
    names = "jaxnoise", "MLPClassifier"
    workers = report.start(fit(f"{name}, fit", f"{name} fit") for name in names)
    report.measure("sklearn fit", workers, sizes.repeats, "s")
    first = {w.plan.name: w.notes["compile_seconds"] for w in workers}
    if len(first) == len(names):
        ours, theirs = first.values()
        report.bound(
            "sklearn fit", "seconds more of the first", max(ours - theirs, 1e-3), 2
        )
    defaults(report, *sizes.sklearn_defaults)


def defaults(report: Report, repeats: int, tables: int) -> None:
    """Default estimators of both on several tables, with means of paired folds."""
    print(f"sklearn, scores of default estimators, {repeats} x 2 folds", flush=True)
    plan = partial(Plan, "sklearn_defaults", repeats=repeats, tables=tables)
    workers = report.start(map(plan, ("jaxnoise defaults", "MLP defaults")))
    answers = [report.repeat(worker) for worker in workers]
    if len(answers) < 2 or not all(answers):
        return
    ours, theirs = (answer["value"] for answer in answers if answer)
    behind, firsts = [], 0.0
    for name in ours:
        gaps = np.array(ours[name]) - theirs[name]
        error = gaps.std(ddof=1) / len(gaps) ** 0.5
        means = float(np.mean(ours[name])), float(np.mean(theirs[name]))
        for plan_name, mean in zip(("jaxnoise", "MLP"), means, strict=True):
            report.note("sklearn defaults", f"{plan_name}, {name}", mean, "score")
        print(
            f"  {name:16s} {means[0]:9.4f} {means[1]:9.4f}  {gaps.mean():+.4f}", end=""
        )
        print(f" +- {error:.4f}")
        behind.append(-gaps.mean() / error if error else 0.0)
        firsts += 0.5 + 0.5 * np.sign(gaps.mean())
    report.bound("sklearn defaults", "mean rank", 2 - firsts / len(behind), 1.5)
    report.bound(
        "sklearn defaults", "worst, standard errors behind", max(1e-3, *behind), 1
    )
