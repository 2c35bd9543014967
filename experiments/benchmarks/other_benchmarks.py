"""`layer`, `scaling`, `command` and `accelerator`."""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmark_report import Report
from circles_benchmark import BACKENDS, OBVIOUS, Make, write_problem
from worker import A_CORE_EACH, CORES, Plan

HERE = Path(__file__).resolve().parent
FLAT = 1.15  # what the cost per run may vary by
GOAL, GOAL_SECONDS = "circles, 1000 seeds", 1.0  # of an H100 or H200


def layer(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """One noise layer on a large array, in nanoseconds per element."""
    make = partial(Plan, "layer_contenders", elements=sizes.elements, threads=CORES)
    for dtype in ("float32", "bfloat16"):
        print(f"layer, {sizes.elements} {dtype}, nanoseconds per element", flush=True)
        make = partial(make, calls=sizes.calls, dtype=dtype)
        plans = [make("jaxnoise")]
        plans += [make(f"Keras on {backend}", backend=backend) for backend in BACKENDS]
        plans += map(make, ("PyTorch", "jax.random.normal", "copy"))
        if dtype == "float32":  # in one thread, and NumPy has no other
            plans.append(make(f"NumPy, {A_CORE_EACH}", processes=CORES))
        report.measure(f"layer {dtype}", report.start(plans), sizes.repeats, "ns")


def scaling(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """Time per run and peak memory as sweeps grow."""
    base = {"seeds": 64, "epochs": sizes.scaling_epochs, "units": 500, "rows": 30}
    series = {
        "runs": [{"runs": n, "seeds": n} for n in sizes.runs],
        "units": [{"units": n, "seeds": 4 * CORES} for n in sizes.units],
        "rows": [
            {"rows": n, "seeds": CORES, "epochs": max(1, sizes.row_epochs // n)}
            for n in sizes.rows
        ],
        "devices": [{"devices": n} for n in sorted({1, CORES, 2 * CORES})],
    }
    for name, points in series.items():
        print(f"scaling with {name}, microseconds per step and run", flush=True)
        workers = report.start(
            sweep(f"{point[name]} {name}", **base | point) for point in points
        )
        repeats = sizes.scaling_repeats + 1
        values = report.measure(f"scaling {name}", workers, repeats, "us")
        flat = [value for label, value in values.items() if int(label.split()[0]) >= 64]
        if name == "runs" and flat:
            what = "greatest by least cost per run, from 64 runs on"
            report.bound("scaling runs", what, max(flat) / min(flat), FLAT)
    memory(report, sizes)


def sweep(name: str, *, rows: int, **options: int) -> Plan:
    """A sweep over made-up points, in batches of 32 of which each is a step."""
    options |= {"rows": rows, "steps": -(-rows // 32)}
    return Plan("circles_contenders", name, contender="sweep", **options)


def memory(report: Report, sizes: argparse.Namespace) -> None:
    """Peak memory of few and of many runs, curves kept at every 100th epoch."""
    peaks = []
    for seeds in sizes.memory_runs:
        size = {"seeds": seeds, "epochs": 400, "units": 500, "rows": 30}
        workers = report.start([sweep("memory", **size, metrics_every=100, warm=False)])
        answers = [report.repeat(worker) for worker in workers]
        report.close()
        if None in answers or not answers:
            return
        peaks.append(workers[0].peak_bytes / 1e6)
        report.note("scaling memory", f"{seeds} runs", peaks[-1], "MB")
    few, many = sizes.memory_runs
    more = peaks[1] - peaks[0]
    print(f"  peak memory: {many} runs need {more:.0f} MB more than {few}")


def command(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """The main command from the shell against one run of the tutorial's script."""
    print("command, seconds from the shell", flush=True)
    epochs = str(sizes.command_epochs)
    ours = [str(HERE.parent / "circles.py"), "--placement", "hidden", "--seeds", "30"]
    ours += ["--epochs", epochs, "--out", str(folder / "circles")]
    theirs = [str(HERE / "keras_tutorial.py"), epochs, str(folder / "keras.png")]
    workers = report.start(
        Plan("command_contenders", name, arguments=arguments)
        for name, arguments in {
            "jaxnoise, 60 runs with pictures": ours,
            "Keras on jax, one run": theirs,
        }.items()
    )
    values = report.measure("command", workers, sizes.command_repeats, "s")
    if len(values) == 2:
        jaxnoise, keras = values.values()
        report.ratio("command", "one Keras run", keras / jaxnoise, 1)


def accelerator(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """Draws, circles and digits on an accelerator: absolute times, and memory.

    What counts most comes first; what does not fit into the time is left out.
    """
    began = time.perf_counter()
    for title, plans in accelerator_plans(sizes, write_problem(folder)).items():
        print(f"accelerator: {title}", flush=True)
        name = f"accelerator {title.split(',')[0]}"
        unit = "ns" if title.startswith("draws") else "s"
        values: dict[str, float] = {}
        for each in plans:
            if time.perf_counter() - began > sizes.accelerator_seconds:
                report.leave_out(each, Exception("no time was left"))
                continue
            worker = report.start([each])
            values |= report.measure(name, worker, sizes.accelerator_repeats, unit)
        report.hold(name, values)
        if GOAL in values:
            report.bound(name, f"seconds for {GOAL}", values[GOAL], GOAL_SECONDS)


def accelerator_plans(sizes: argparse.Namespace, problem: str) -> dict[str, list[Plan]]:
    """Draws; circles by seeds, noise, curves and block size; a network by blocks."""
    device: dict[str, Any] = {"accelerator": sizes.accelerator}
    work = device | {"elements": sizes.accelerator_elements, "calls": sizes.calls}
    draw: Make = partial(Plan, "layer_contenders", dtype="float32", **work)
    few, *more = sizes.accelerator_seeds
    epochs, short = sizes.accelerator_epochs
    work = device | {"problem": problem, "site": "hidden", "contender": "jaxnoise"}
    circles: Make = partial(
        Plan, "circles_contenders", seeds=few, epochs=epochs, **work
    )
    blocks: Make = partial(circles, epochs=short)
    seeds, digits_epochs = sizes.accelerator_digits
    work = device | {"work": "digits CNN", "seeds": seeds, "epochs": digits_epochs}
    digits: Make = partial(Plan, "networks_contenders", contender="jaxnoise", **work)
    what = f"digits CNN, {seeds} seeds, {digits_epochs} epochs, blocks of"
    return {
        "draws, nanoseconds": [*map(draw, ("jaxnoise", "jax.random.normal", "copy"))],
        f"circles, seconds of all runs, {epochs} epochs": [
            circles(f"circles, {few} seeds"),
            circles(f"circles, {few} seeds, no noise", site="none"),
            circles(f"circles, {few} seeds, no curves", curves=False),
            circles(f"{OBVIOUS}, {few} seeds", contender=OBVIOUS),
            *(circles(f"circles, {n} seeds", seeds=n) for n in more),
        ],
        f"circles by block size, seconds of {few} runs, {short} epochs": [
            blocks(f"circles, blocks of {n}", vectorize=n)
            for n in sizes.accelerator_blocks
        ],
        "digits CNN, seconds of all runs": [
            digits(f"{what} {n}", vectorize=n)
            for n in ("auto", *sizes.accelerator_blocks)
            if n == "auto" or n <= seeds
        ],
    }
