"""`robustness`: certificates against as many plain passes, and a curve of noise."""

import argparse
from functools import partial
from pathlib import Path

from benchmark_report import Report
from worker import Plan

CERTIFICATES, CURVE = "jaxnoise, certificates", "jaxnoise, noise curve"


def robustness(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """Seconds on all cores, after compilation, of a convolutional network's."""
    points, n = sizes.certified
    make = partial(Plan, "robustness_contenders", points=points, n=n)
    title = f"robustness, seconds of certificates of {points} digits, n = {n}"
    plans = [make(CERTIFICATES, "jaxnoise"), make("plain passes")]
    workers = report.start(plans, title)
    found = report.measure("robustness certificates", workers, sizes.few, "s")
    runs, strengths, draws, rows = sizes.noise_curve
    options = {"runs": runs, "strengths": strengths, "draws": draws, "rows": rows}
    title = f"robustness, seconds of a curve of {runs} runs x {strengths} strengths"
    title += f" x {draws} draws x {rows} points"
    plans = [Plan("robustness_contenders", CURVE, "noise curve", **options)]
    workers = report.start(plans, title)
    found |= report.measure("robustness curve", workers, sizes.few, "s")
    for name, most in {CERTIFICATES: sizes.certified_in, CURVE: sizes.curve_in}.items():
        if name in found:
            report.bound("robustness", f"seconds, {name}", found[name], most)
