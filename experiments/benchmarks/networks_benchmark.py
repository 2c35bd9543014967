"""`networks` and `conv`: training beyond the circles, and a convolution's step."""

import argparse
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

from benchmark_report import Report, Unlike
from worker import CORES, Plan, Worker, ways_to_use_all_cores


def networks(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """Whole trainings with test scores every epoch, per epoch and run."""
    for work, epochs in sizes.networks.items():
        print(f"{work}, milliseconds per epoch and run", flush=True)
        make = partial(Plan, "networks_contenders", work=work, epochs=epochs)
        workers = report.start([make("jaxnoise", seeds=2 * CORES)])
        workers += report.fastest(
            [
                make(f"PyTorch, {way}", **how)
                for way, how in ways_to_use_all_cores().items()
            ]
        )
        alike(work, workers)
        report.measure(work, workers, sizes.repeats, "ms")


def alike(work: str, workers: Sequence[Worker]) -> None:
    """All train as many weights."""
    counts = {w.plan.name: w.notes["weights"] for w in workers}
    if len(set(counts.values())) > 1:
        raise Unlike(f"{work}: the contenders train other networks: weights {counts}")


def conv(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """A step is the loss, its gradients and the descent, on images of two sizes."""
    for size, steps in sizes.image_steps.items():
        name = f"conv {size}x{size}"
        print(f"{name}, milliseconds per step", flush=True)
        make = partial(Plan, "conv_contenders", size=int(size), steps=steps)
        names = ("jaxnoise", "nn.Conv in a loop", "nn.Conv, a call a step")
        workers = report.start(make(each, contender=each) for each in names)
        workers += report.fastest(  # at its best threads and order in memory
            [
                make(
                    f"PyTorch, {threads} threads{', channels last' * last}",
                    threads=threads,
                    channels_last=last,
                )
                for threads, last in product((1, CORES), (False, True))
            ],
            warm_up=2,
        )
        alive = report.same_losses(name, workers, 1e-4)
        report.measure(name, alive, sizes.repeats, "ms")
