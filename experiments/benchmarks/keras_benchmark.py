"""`keras`: a Keras model in a sweep, against ``fit`` and against a network of ours."""

import argparse
from functools import partial
from pathlib import Path

from benchmark_report import Report
from worker import A_CORE_EACH, CORES, Plan


def keras(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """Whole trainings with test scores every epoch, per epoch and run."""
    for work, (ours, theirs) in sizes.keras.items():
        print(f"{work} in Keras, microseconds per epoch and run", flush=True)
        make = partial(Plan, "keras_contenders", work=work)
        seeds = {"seeds": sizes.keras_seeds * CORES}
        plans = [make("jaxnoise", epochs=ours, **seeds)]
        if work == "case study":
            plans += [make("jn.MLP", epochs=ours, **seeds)]
        for way, processes in {"as users call it": 1, A_CORE_EACH: CORES}.items():
            name = f"Keras fit, {way}" if processes == 1 else f"many Keras fit, {way}"
            plans += [make(name, "Keras", epochs=theirs, processes=processes)]
        report.measure(f"Keras {work}", report.start(plans), sizes.repeats, "us")
