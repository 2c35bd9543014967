"""`networks` and `conv`: training beyond the circles, and a convolution's step."""

import argparse
from itertools import product
from pathlib import Path
from typing import Any

from benchmark_report import Report, ways_to_use_all_cores
from circles_benchmark import Unlike
from worker import CORES, Plan, Worker

OURS, LOOP, CALLS, TORCH = CONTENDERS = (
    "jaxnoise",
    "nn.Conv in a loop",
    "nn.Conv, a call a step",
    "PyTorch",
)
CONV_GOALS = {LOOP: 4, CALLS: 1, TORCH: 1}
NETWORK_GOALS = {"digits CNN": 4, "vowels LSTM": 2.5, "MLP 512-512": 1.1}


def networks(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """Whole trainings with test scores every epoch, per epoch and run."""
    for work, epochs in sizes.networks.items():
        print(f"{work}, milliseconds per epoch and run", flush=True)
        ours = report.start(network_plan(OURS, work, epochs, seeds=2 * CORES))
        peers = report.fastest(
            [
                network_plan(TORCH, work, epochs, way, processes, threads=threads)
                for way, processes, threads in ways_to_use_all_cores()
            ]
        )
        alike(work, [ours, *peers])
        values = report.measure(work, [ours, *peers], sizes.repeats, "ms")
        if OURS in values:
            goals = {TORCH: NETWORK_GOALS[work]}
            report.against_the_best(work, values.pop(OURS), values, goals)


def network_plan(
    contender: str,
    work: str,
    epochs: int,
    way: str = "",
    processes: int = 1,
    *,
    seeds: int = 1,
    **more: Any,
) -> Plan:
    """A contender that trains one of the networks."""
    return Plan(
        ", ".join(filter(None, [contender, way])),
        "networks_contenders",
        contender,
        {"work": work, "epochs": epochs, "seeds": seeds} | more,
        units=epochs * seeds,
        processes=processes,
    )


def alike(work: str, workers: list[Worker | None]) -> None:
    """All train as many weights."""
    counts = {w.plan.name: w.notes["weights"] for w in workers if w is not None}
    if len(set(counts.values())) > 1:
        raise Unlike(f"{work}: the contenders train other networks: weights {counts}")


def conv(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """A step is the loss, its gradients and the descent, on images of two sizes."""
    for size, steps in sizes.image_steps.items():
        name = f"conv {size}x{size}"
        print(f"{name}, milliseconds per step", flush=True)
        started = [
            report.start(conv_plan(contender, contender, size, steps))
            for contender in CONTENDERS[:-1]
        ]
        started += report.fastest(  # at its best threads and order in memory
            [
                conv_plan(
                    f"{TORCH}, {threads} threads{', channels last' * last}",
                    TORCH,
                    size,
                    steps,
                    threads=threads,
                    channels_last=last,
                )
                for threads, last in product((1, CORES), (False, True))
            ],
            warm_up=2,
        )
        alive = same_losses(report, name, started)
        values = report.measure(name, alive, sizes.repeats, "ms")
        if OURS in values:
            report.against_the_best(name, values.pop(OURS), values, CONV_GOALS)


def conv_plan(name: str, contender: str, size: str, steps: int, **more: Any) -> Plan:
    """A contender that does so many steps."""
    options = {"size": int(size), "steps": steps} | more
    return Plan(name, "conv_contenders", contender, options, units=steps)


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
        report.note(f"{name} check", worker.plan.name, gap, "nats")
        if not gap <= 1e-4:
            raise Unlike(f"{worker.plan.name} trains something else: off by {gap}")
    return list(losses)
