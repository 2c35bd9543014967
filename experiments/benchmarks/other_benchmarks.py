"""`layer`, `scaling`, `command` and `accelerator`."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmark_report import CORES, CPU, Report, on
from circles_benchmark import BACKENDS, write_problem
from worker import Died

HERE = Path(__file__).resolve().parent
FLAT = 1.15  # what the cost per run may vary by
GOAL, GOAL_SECONDS = "1000 seeds, hidden noise", 3  # of an H200


def layer(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """One noise layer on a large array, in nanoseconds per element."""
    for dtype in ("float32", "bfloat16"):
        print(f"layer, {sizes.elements} {dtype}, nanoseconds per element", flush=True)
        options = {
            "size": sizes.elements,
            "dtype": dtype,
            "calls": sizes.calls,
            "threads": CORES,
        }
        plans: list[tuple[str, str, dict[str, str]]] = [("jaxnoise", "jaxnoise", CPU)]
        plans += [(f"Keras on {b}", "Keras", on(b)) for b in BACKENDS]
        plans += [(n, n, CPU) for n in ("PyTorch", "jax.random.normal", "copy")]
        plans += [("NumPy", "NumPy", CPU)] if dtype == "float32" else []
        started = [
            report.start(name, "layer_contenders", contender, options, environment)
            for name, contender, environment in plans
        ]
        workers = report.take_turns(started, sizes.repeats)
        per = sizes.elements * sizes.calls / 1e9
        values = {
            w.name: report.add(f"layer {dtype}", w.name, w, per, "ns") for w in workers
        }
        report.close()
        if dtype == "float32" and "jaxnoise" in values:
            goals = {"Keras on jax": 2.5, "PyTorch": 1.4, "NumPy": 4}
            for peer, at_least in goals.items():
                if peer in values:
                    ratio = values[peer] / values["jaxnoise"]
                    report.ratio("layer float32", peer, ratio, at_least)


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
        options = {f"{point[name]} {name}": {**base, **point} for point in points}
        workers = [
            report.start(label, "scaling_contenders", "sweep", o)
            for label, o in options.items()
        ]
        alive = report.take_turns(workers, sizes.scaling_repeats + 1)
        values = {}
        for worker in alive:
            o = options[worker.name]
            worker.notes["peak_bytes"] = worker.peak_bytes
            steps = -(-o["rows"] // 32) * o["epochs"] * o["seeds"]
            values[o[name]] = report.add(
                f"scaling {name}", worker.name, worker, steps / 1e6, "us"
            )
        report.close()
        flat = [value for n, value in values.items() if n >= 64]
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
        worker = report.start("memory", "scaling_contenders", "sweep", o)
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
    """The circles on an accelerator: absolute times, and what noise and curves cost."""
    print("accelerator, seconds for all runs after compilation", flush=True)
    problem = str(write_problem(folder))
    for name, options in accelerator_plans(sizes).items():
        o = options | {"problem": problem, "epochs": sizes.command_epochs}
        worker = report.start(name, "circles_contenders", "accelerator", o, {})
        if worker is None:
            return
        if report.take_turns([worker], sizes.repeats):
            value = report.add("accelerator", name, worker, 1, "s")
            if name == GOAL:
                report.bound("accelerator", f"seconds for {name}", value, GOAL_SECONDS)
        report.close()


def accelerator_plans(sizes: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """By name: every number of seeds, noise or none, curves or none."""
    return {
        f"{seeds} seeds, {site} noise{'' if curves else ', no curves'}": {
            "seeds": seeds,
            "site": site,
            "curves": curves,
        }
        for seeds in sizes.accelerator_seeds
        for site in ("hidden", "none")
        for curves in (True, False)
    }
