"""`layer`, `scaling`, `command` and `accelerator`."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmark_report import A_CORE_EACH, Report
from circles_benchmark import BACKENDS, OBVIOUS, plan_of, write_problem
from networks_benchmark import network_plan
from worker import CORES, Died, Plan, on

HERE = Path(__file__).resolve().parent
FLAT = 1.15  # what the cost per run may vary by
LAYER_GOALS = {"Keras on jax": 2.5, "PyTorch": 1.4, "NumPy": 2}
GOAL, GOAL_SECONDS = "circles, 1000 seeds", 1.0  # of an H100 or H200


def layer(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """One noise layer on a large array, in nanoseconds per element."""
    for dtype in ("float32", "bfloat16"):
        print(f"layer, {sizes.elements} {dtype}, nanoseconds per element", flush=True)
        plans = [layer_plan("jaxnoise", "jaxnoise", sizes, dtype)]
        for backend in BACKENDS:
            plans.append(
                layer_plan(f"Keras on {backend}", "Keras", sizes, dtype)._replace(
                    environment=on(backend)
                )
            )
        for name in ("PyTorch", "jax.random.normal", "copy"):
            plans.append(layer_plan(name, name, sizes, dtype))
        if dtype == "float32":  # in one thread, and NumPy has no other
            numpy = layer_plan(f"NumPy, {A_CORE_EACH}", "NumPy", sizes, dtype)
            plans.append(numpy._replace(processes=CORES))
        workers = [report.start(plan) for plan in plans]
        values = report.measure(f"layer {dtype}", workers, sizes.repeats, "ns")
        if dtype == "float32" and "jaxnoise" in values:
            ours = values.pop("jaxnoise")
            report.against_the_best(f"layer {dtype}", ours, values, LAYER_GOALS)


def layer_plan(
    name: str, contender: str, sizes: argparse.Namespace, dtype: str = "float32"
) -> Plan:
    """A contender that adds noise to so many elements, so many times."""
    options = {"size": sizes.elements, "calls": sizes.calls}
    options |= {"dtype": dtype, "threads": CORES}
    units = sizes.elements * sizes.calls
    return Plan(name, "layer_contenders", contender, options, units=units)


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
        workers = []
        for o in [base | point for point in points]:
            steps = -(-o["rows"] // 32) * o["epochs"] * o["seeds"]
            label = f"{o[name]} {name}"
            plan = Plan(label, "circles_contenders", "sweep", o, units=steps)
            workers.append(report.start(plan))
        values = report.measure(
            f"scaling {name}", workers, sizes.scaling_repeats + 1, "us"
        )
        flat = [value for label, value in values.items() if int(label.split()[0]) >= 64]
        if name == "runs" and flat:
            what = "greatest by least cost per run, from 64 runs on"
            report.bound("scaling runs", what, max(flat) / min(flat), FLAT)
    memory(report, sizes)


def memory(report: Report, sizes: argparse.Namespace) -> None:
    """Peak memory of few and of many runs, curves kept at every 100th epoch."""
    peaks = []
    for seeds in sizes.memory_runs:
        o = {"seeds": seeds, "epochs": 400, "metrics_every": 100, "units": 500}
        o |= {"rows": 30, "warm": False}
        worker = report.start(Plan("memory", "circles_contenders", "sweep", o))
        answer = worker and report.repeat(worker)
        report.close()
        if not answer:
            return
        peaks.append(answer["peak_bytes"] / 1e6)
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
    plans = {"jaxnoise, 60 runs with pictures": ours, "Keras on jax, one run": theirs}
    seconds: dict[str, list[float]] = {name: [] for name in plans}
    for _ in range(sizes.command_repeats):
        for name, arguments in plans.items():
            if name in report.absent:
                continue
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, *arguments],
                env={**os.environ, **on("jax")},
                capture_output=True,
                text=True,
            )
            seconds[name].append(time.perf_counter() - started)
            if done.returncode:
                report.leave_out(name, "jaxnoise" in name, Died(done.stderr.strip()))
    values = {}
    for name, times in seconds.items():
        if name not in report.absent:
            values[name] = median(times)
            entry = {"benchmark": "command", "name": name, "value": median(times)}
            report.entries.append({**entry, "unit": "s", "repeats": times})
            print(f"  {name:34s} {median(times):12.4g} s", flush=True)
    if len(values) == 2:
        jaxnoise, keras = values.values()
        report.ratio("command", "one Keras run", keras / jaxnoise, 1)


def accelerator(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """Draws, circles and digits on an accelerator: absolute times, and memory.

    What counts most comes first; what does not fit into the time is left out.
    """
    began = time.perf_counter()
    normal = "jax.random.normal"
    draws = argparse.Namespace(elements=sizes.accelerator_elements, calls=sizes.calls)
    plans = {
        "draws, nanoseconds": [
            layer_plan(name, name, draws) for name in ("jaxnoise", normal, "copy")
        ],
        **circles_plans(sizes, write_problem(folder)),
        "digits CNN, seconds of all runs": digits_plans(sizes),
    }
    for title, each in plans.items():
        print(f"accelerator: {title}", flush=True)
        name, unit = f"accelerator {title.split(',')[0]}", "s"
        if title.startswith("draws"):
            unit = "ns"
        values: dict[str, float] = {}
        for plan in each:
            if time.perf_counter() - began > sizes.accelerator_seconds:
                report.leave_out(plan.name, False, Exception("no time was left"))
                continue
            options = plan.options | {"accelerator": sizes.accelerator}
            plan = plan._replace(options=options, environment={})
            worker = report.start(plan)
            values |= report.measure(name, [worker], sizes.accelerator_repeats, unit)
        if normal in values and "jaxnoise" in values:
            report.ratio(name, normal, values[normal] / values["jaxnoise"], 1)
        if GOAL in values:
            report.bound(name, f"seconds for {GOAL}", values[GOAL], GOAL_SECONDS)


def circles_plans(sizes: argparse.Namespace, problem: Path) -> dict[str, list[Plan]]:
    """Every number of seeds; what noise and curves cost; every block size."""

    def plan(name: str, site: str, epochs: int, seeds: int, **more: Any) -> Plan:
        contender = more.pop("contender", "jaxnoise")
        made = plan_of(problem, site, name, contender, epochs, seeds=seeds, **more)
        return made._replace(units=1)

    few, *more = sizes.accelerator_seeds
    epochs, short = sizes.accelerator_epochs
    whole = [
        plan(f"circles, {few} seeds", "hidden", epochs, few),
        plan(f"circles, {few} seeds, no noise", "none", epochs, few),
        plan(f"circles, {few} seeds, no curves", "hidden", epochs, few, curves=False),
        plan(f"{OBVIOUS}, {few} seeds", "hidden", epochs, few, contender=OBVIOUS),
        *(plan(f"circles, {n} seeds", "hidden", epochs, n) for n in more),
    ]
    blocks = [
        plan(f"circles, blocks of {n}", "hidden", short, few, vectorize=n)
        for n in sizes.accelerator_blocks
    ]
    return {
        f"circles, seconds of all runs, {epochs} epochs": whole,
        f"circles by block size, seconds of {few} runs, {short} epochs": blocks,
    }


def digits_plans(sizes: argparse.Namespace) -> list[Plan]:
    """The convolutional network at every block size."""
    seeds, epochs = sizes.accelerator_digits
    blocks = [n for n in sizes.accelerator_blocks if n <= seeds]
    return [
        network_plan(
            "jaxnoise", "digits CNN", epochs, seeds=seeds, vectorize=n
        )._replace(
            name=f"digits CNN, {seeds} seeds, {epochs} epochs, blocks of {n}", units=1
        )
        for n in ("auto", *blocks)
    ]
