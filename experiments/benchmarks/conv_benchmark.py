"""`conv`: a training step of a small convolutional network, in a loop and by calls."""

import argparse
from itertools import product
from pathlib import Path
from typing import Any

from benchmark_report import CORES, Report
from circles_benchmark import Unlike
from worker import Worker

OURS, LOOP, CALLS, TORCH = CONTENDERS = (
    "jaxnoise",
    "nn.Conv in a loop",
    "nn.Conv, a call a step",
    "PyTorch",
)
GOALS = {LOOP: 4, CALLS: 1, TORCH: 1}


def conv(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """A step is the loss, its gradients and the descent, on images of two sizes."""
    for size, steps in sizes.image_steps.items():
        name = f"conv {size}x{size}"
        print(f"{name}, milliseconds per step", flush=True)
        options = {"size": size, "steps": steps}
        started = [
            report.start(contender, "conv_contenders", contender, options)
            for contender in CONTENDERS[:-1]
        ]
        started += fastest_torch(report, options)
        alive = same_losses(report, name, started)
        values = {
            worker.contender: report.add(name, worker.name, worker, steps / 1e3, "ms")
            for worker in report.take_turns(alive, sizes.repeats)
        }
        report.close()
        for peer, at_least in GOALS.items():
            if OURS in values and peer in values:
                report.ratio(name, peer, values[peer] / values[OURS], at_least)


def fastest_torch(report: Report, options: dict[str, Any]) -> list[Worker]:
    """PyTorch at its fastest number of threads and order in memory."""
    tried = []
    for threads, last in product((1, CORES), (False, True)):
        name = f"{TORCH}, {threads} threads{', channels last' if last else ''}"
        o = {**options, "threads": threads, "channels_last": last}
        worker = report.start(name, "conv_contenders", TORCH, o)
        if worker is None:
            break
        # the first repeat warms up
        if report.repeat(worker) and report.repeat(worker):
            tried.append((worker.seconds[-1], worker))
            worker.seconds.clear()
    tried.sort(key=lambda entry: entry[0])
    for _, worker in tried[1:]:
        worker.close()
    return [worker for _, worker in tried[:1]]


def same_losses(
    report: Report, name: str, workers: list[Worker | None]
) -> list[Worker]:
    """Those that can run, after a repeat of each; their last losses must be equal."""
    losses = {}
    for worker in workers:
        answer = report.repeat(worker) if worker is not None else None
        if worker is not None and answer is not None:
            losses[worker] = answer["value"]
            worker.seconds.clear()
    reference = next(iter(losses.values()), 0.0)
    for worker, loss in losses.items():
        gap = abs(loss - reference)
        report.note(f"{name} check", worker.name, gap, "nats")
        if not gap <= 1e-4:
            raise Unlike(f"{worker.name} trains something else: off by {gap}")
    return list(losses)
