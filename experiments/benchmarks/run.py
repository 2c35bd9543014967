"""Measure jaxnoise against what people use now, side by side, in one run.

    python -m pip install -e ".[bench]" && python experiments/benchmarks/run.py

runs every benchmark that this machine can run, prints times and ratios, and writes
``benchmarks.json`` and ``speed.png`` to ``--out``. Peers that are not installed are
left out and named. Times are medians of repeats in which all contenders take turns;
compiling and warm-up are outside. The whole takes about half an hour.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import _common as common  # noqa: E402
from worker import Absent, Died, Worker, take_turns  # noqa: E402

SITES = ("hidden", "input", "activation", "both")
BACKENDS = ("jax", "torch", "tensorflow")
OBVIOUS = "jit(vmap(scan))"
Entry = dict[str, Any]
CPU = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def on(backend: str) -> dict[str, str]:
    """The environment of Keras on this backend."""
    return CPU | {"KERAS_BACKEND": backend}


try:
    CORES = len(os.sched_getaffinity(0))
except AttributeError:  # macOS and Windows
    CORES = os.cpu_count() or 1


class Report:
    """What was measured: entries with a value each, and the ratios between them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ratios: list[Entry] = []
        self.absent: dict[str, str] = {}
        self.workers: list[Worker] = []

    def start(
        self,
        name: str,
        benchmark: str,
        contender: str,
        options: dict[str, Any],
        environment: dict[str, str] = CPU,
    ) -> Worker | None:
        """A worker, or None where this machine cannot run it."""
        try:
            worker = Worker(benchmark, contender, options, environment)
        except Absent as error:
            self.absent[name] = str(error)
            print(f"  {name}: left out ({error})", flush=True)
            return None
        worker.name = name
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """End the workers."""
        while self.workers:
            self.workers.pop().close()

    def add(
        self, benchmark: str, name: str, worker: Worker, per: float, unit: str
    ) -> float:
        """The worker's median, as seconds / per in ``unit``."""
        values = [seconds / per for seconds in worker.seconds]
        self.entries.append(
            {
                "benchmark": benchmark,
                "name": name,
                "value": median(values),
                "unit": unit,
                "repeats": values,
                **worker.notes,
            }
        )
        value = median(values)
        print(
            f"  {name:34s} {value:12.4g} {unit}   ({min(values):.4g} to "
            f"{max(values):.4g}, n = {len(values)})",
            flush=True,
        )
        return value

    def ratio(self, benchmark: str, name: str, value: float, at_least: float) -> None:
        """How many times faster than a peer, against what is asked for."""
        self.ratios.append(
            {
                "benchmark": benchmark,
                "name": name,
                "ratio": value,
                "at_least": at_least,
            }
        )
        print(f"    against {name:32s} {value:8.2f} x   (at least {at_least:g})")


def circles(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """A noisy training step with both accuracies, per epoch and run."""
    problem = write_problem(folder)
    check_that_all_train_the_same(report, problem)

    def options(site: str, epochs: int, **more: Any) -> dict[str, Any]:
        return {"problem": str(problem), "site": site, "epochs": epochs, **more}

    for site in sizes.sites:
        print(f"circles, {site} noise, microseconds per epoch and run", flush=True)
        plans = [
            (
                f"jaxnoise, {n} seeds",
                "jaxnoise",
                n,
                max(sizes.least_epochs, sizes.run_epochs // n),
            )
            for n in (sizes.seeds if site == "hidden" else sizes.seeds[:1])
        ]
        plans += [
            (
                f"{OBVIOUS}, {n} seeds",
                OBVIOUS,
                n,
                max(sizes.least_epochs, sizes.run_epochs // n // 4),
            )
            for n in (sizes.seeds[:2] if site == "hidden" else sizes.seeds[:1])
        ]
        if site == "hidden":
            plans.append(
                ("jaxnoise, no noise", "jaxnoise, no noise", 32, sizes.run_epochs // 32)
            )
        workers = [
            (report.start(name, "circles_contenders", contender, o), n * epochs)
            for name, contender, n, epochs in plans
            for o in [options(site, epochs, seeds=n)]
        ]
        if site == "hidden":
            workers += peers(report, sizes, options)
        started = [(w, per) for w, per in workers if w is not None]
        take_turns([w for w, _ in started], sizes.repeats)
        values = {
            w.name: report.add("circles " + site, w.name, w, per / 1e6, "us")
            for w, per in started
        }
        for worker, _ in started:
            worker.close()
        ours = values[plans[0][0]]
        goals = {
            OBVIOUS: 4 if site == "hidden" else 3,
            "PyTorch loop": 12,
            "PyTorch batched": 4,
            "Keras on jax": 80,
            "Keras on torch": 300,
            "Keras on tensorflow": 1500,
        }
        for peer, at_least in goals.items():
            theirs = [v for name, v in values.items() if name.startswith(peer)]
            if theirs:
                report.ratio("circles " + site, peer, min(theirs) / ours, at_least)


def peers(
    report: Report, sizes: argparse.Namespace, options: Callable[..., dict[str, Any]]
) -> list[tuple[Worker | None, int]]:
    """Keras on its backends, and PyTorch at the faster of its settings."""
    epochs = sizes.peer_epochs
    workers: list[tuple[Worker | None, int]] = []
    for backend in BACKENDS:
        name, environment = f"Keras on {backend}", on(backend)
        o = options("hidden", epochs)
        worker = report.start(name, "circles_contenders", "Keras", o, environment)
        workers.append((worker, epochs))
    for contender, seeds in (("PyTorch loop", [1]), ("PyTorch batched", sizes.batches)):
        tried = []
        for n in seeds:
            for threads in (1, CORES):
                name = f"{contender}, {threads} threads"
                name += f", {n} seeds" if len(seeds) > 1 else ""
                o = options("hidden", epochs, threads=threads, seeds=n)
                worker = report.start(name, "circles_contenders", contender, o)
                if worker is None:
                    break
                worker.repeat()
                tried.append((worker.seconds.pop() / n, worker, n * epochs))
        tried.sort(key=lambda entry: entry[0])
        workers += [entry[1:] for entry in tried[:1]]
        for _, worker, _ in tried[1:]:
            worker.close()
    return workers


def write_problem(folder: Path) -> Path:
    """The tutorial's points and some first weights, for all contenders."""
    import jaxnoise as jn

    data = jn.data.circles()
    generator = np.random.default_rng(0)
    arrays = {
        f"{array}_{name}": np.asarray(values, np.float32)
        for name in ("train", "test")
        for array, values in zip("xy", data[name], strict=True)
    }
    for name, shape in {"w1": (2, 500), "w2": (500, 1)}.items():
        limit = (6 / sum(shape)) ** 0.5
        arrays[name] = generator.uniform(-limit, limit, shape).astype(np.float32)
    path = folder / "problem.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def check_that_all_train_the_same(report: Report, problem: Path) -> None:
    """Same first weights, no noise, 50 epochs: the test losses must be equal."""
    print("circles: the same weights without noise, 50 epochs", flush=True)
    options = {"problem": str(problem), "site": "none", "epochs": 50, "check": True}
    contenders: list[tuple[str, dict[str, str]]] = [("jaxnoise", CPU), (OBVIOUS, CPU)]
    contenders += [("Keras", on(backend)) for backend in BACKENDS]
    contenders += [("PyTorch loop", CPU), ("PyTorch batched", CPU)]
    reference = None
    for contender, environment in contenders:
        backend = environment.get("KERAS_BACKEND")
        name = f"{contender} on {backend}" if backend else contender
        o = {**options, "seeds": 2, "threads": 1}
        worker = report.start(name, "circles_contenders", contender, o, environment)
        if worker is None:
            continue
        curve = np.array(worker.repeat()["value"])
        worker.close()
        reference = curve if reference is None else reference
        gap = float(abs(curve - reference).max())
        report.entries.append(
            {"benchmark": "circles check", "name": name, "value": gap, "unit": "nats"}
        )
        print(f"  {name:34s} greatest gap in the loss {gap:.1e}", flush=True)
        if not gap <= 1e-5:
            raise Died(f"{name} trains something else: its loss is off by {gap}")


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
        workers = [worker for worker in started if worker is not None]
        take_turns(workers, sizes.repeats)
        per = sizes.elements * sizes.calls / 1e9
        values = {
            w.name: report.add(f"layer {dtype}", w.name, w, per, "ns") for w in workers
        }
        for worker in workers:
            worker.close()
        if dtype == "float32":
            goals = {"Keras on jax": 2.5, "PyTorch": 1.4, "NumPy": 4}
            for peer, at_least in goals.items():
                if peer in values:
                    ratio = values[peer] / values["jaxnoise"]
                    report.ratio("layer float32", peer, ratio, at_least)


def scaling(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """Time per run and peak memory as sweeps grow."""
    base = {"seeds": 64, "epochs": sizes.scaling_epochs, "units": 500, "rows": 30}
    cores = CORES
    series = {
        "runs": [{"runs": n, "seeds": n} for n in sizes.runs],
        "units": [{"units": n, "seeds": 4 * cores} for n in sizes.units],
        "rows": [
            {"rows": n, "seeds": cores, "epochs": max(1, sizes.row_epochs // n)}
            for n in sizes.rows
        ],
        "devices": [{"devices": n} for n in sorted({1, cores, 2 * cores})],
    }
    for name, points in series.items():
        print(f"scaling with {name}, microseconds per step and run", flush=True)
        values = []
        started = []
        for point in points:
            label = f"{point[name]} {name}"
            options = {**base, **point}
            worker = report.start(label, "scaling_contenders", "sweep", options)
            assert worker is not None  # noqa: S101
            started.append((worker, options))
        take_turns([worker for worker, _ in started], sizes.scaling_repeats)
        for worker, options in started:
            steps = -(-options["rows"] // 32) * options["epochs"] * options["seeds"]
            answer = worker.repeat()
            worker.notes["peak_bytes"] = answer["peak_bytes"]
            unit = "us"
            value = report.add(
                f"scaling {name}", worker.name, worker, steps / 1e6, unit
            )
            values.append((options[name], value))
            worker.close()
        if name == "runs":
            flat = [value for n, value in values if n >= 64]
            spread = max(flat) / min(flat) - 1
            print(f"    from 64 runs on, cost per run flat within {spread:.0%}")
            report.entries.append(
                {
                    "benchmark": "scaling flat",
                    "name": "spread of the cost per run from 64 runs on",
                    "value": spread,
                    "unit": "",
                }
            )
    memory(report, sizes)


def memory(report: Report, sizes: argparse.Namespace) -> None:
    """Peak memory of few and of many runs, curves kept at every 100th epoch."""
    peaks = []
    for seeds in sizes.memory_runs:
        o = {"seeds": seeds, "epochs": 400, "metrics_every": 100, "units": 500}
        o |= {"rows": 30, "warm": False}
        worker = report.start("memory", "scaling_contenders", "sweep", o)
        assert worker is not None  # noqa: S101
        peaks.append(worker.repeat()["peak_bytes"] / 1e6)
        worker.close()
        report.entries.append(
            {
                "benchmark": "scaling memory",
                "name": f"{seeds} runs",
                "value": peaks[-1],
                "unit": "MB",
            }
        )
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
                report.absent[name] = done.stderr.strip().split("\n")[-1]
                print(f"  {name}: left out ({report.absent[name]})", flush=True)
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
    problem = write_problem(folder)
    for seeds in sizes.accelerator_seeds:
        for site in ("hidden", "none"):
            name = f"{seeds} seeds, {site} noise"
            o = {"problem": str(problem), "site": site, "seeds": seeds}
            o["epochs"] = sizes.command_epochs
            worker = report.start(name, "circles_contenders", "accelerator", o, {})
            if worker is None:
                return
            take_turns([worker], sizes.repeats)
            report.add("accelerator", name, worker, 1, "s")
            worker.close()


BENCHMARKS = {
    "circles": circles,
    "layer": layer,
    "scaling": scaling,
    "command": command,
    "accelerator": accelerator,
}
FULL = {
    "sites": SITES,
    "repeats": 5,
    "seeds": (32, 256, 2048),
    "run_epochs": 32 * 2000,  # epochs times runs of a repeat
    "least_epochs": 200,
    "peer_epochs": 200,
    "batches": (8, 32, 128),
    "elements": 2**20,
    "calls": 20,
    "scaling_epochs": 200,
    "scaling_repeats": 3,
    "runs": (32, 64, 256, 1024, 8192),
    "units": (50, 150, 500, 1500, 5000),
    "rows": (30, 300, 3000, 30_000, 100_000),
    "row_epochs": 30_000,  # epochs times rows
    "memory_runs": (100, 10_000),
    "command_epochs": 4000,
    "command_repeats": 3,
    "accelerator_seeds": (1000, 10_000),
}
QUICK = FULL | {
    "sites": SITES[:1],
    "repeats": 2,
    "seeds": (4, 8),
    "run_epochs": 400,
    "least_epochs": 5,
    "peer_epochs": 5,
    "batches": (2,),
    "elements": 2**12,
    "calls": 2,
    "scaling_epochs": 20,
    "scaling_repeats": 1,
    "runs": (64, 128),
    "units": (50,),
    "rows": (30, 100),
    "row_epochs": 300,
    "memory_runs": (4, 8),
    "command_epochs": 20,
    "command_repeats": 1,
}


def draw(report: Report, path: Path) -> None:
    """Times per epoch and run of the circles, and of the layer, on log scales."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    panels = [
        ("circles hidden", "training step with noise and curves, µs per run"),
        ("layer float32", "noise layer, ns per element"),
    ]
    shown = [
        (title, entries)
        for benchmark, title in panels
        if (entries := [e for e in report.entries if e["benchmark"] == benchmark])
    ]
    if not shown:
        return
    heights = [len(entries) + 1.5 for _, entries in shown]
    figure, axes = plt.subplots(
        len(shown),
        1,
        figsize=(8, 0.32 * sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for axis, (title, entries) in zip(axes[:, 0], shown, strict=True):
        entries = sorted(entries, key=lambda entry: -entry["value"])
        values = [entry["value"] for entry in entries]
        ours = [entry["name"].startswith("jaxnoise") for entry in entries]
        bars = axis.barh(
            [entry["name"] for entry in entries],
            values,
            color=["#0072b2" if mine else "#bbbbbb" for mine in ours],
        )
        labels = [f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in values]
        axis.bar_label(bars, labels, padding=3)
        axis.set_xscale("log")
        axis.set_xlim(min(values) / 2, max(values) * 4)
        axis.set_title(title, loc="left", fontsize=10)
        for label, mine in zip(axis.get_yticklabels(), ours, strict=True):
            label.set_fontweight("bold" if mine else "normal")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; the exit code."""
    parser = common.Parser(prog="run.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "benchmarks",
        nargs="*",
        metavar="benchmark",
        help=f"which to run, of {', '.join(BENCHMARKS)} (default: all)",
    )
    parser.add_argument("--quick", action="store_true", help="toy sizes, for tests")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args(argv)
    for name in options.benchmarks:
        if name not in BENCHMARKS:
            parser.error(
                f"benchmark must be one of {', '.join(BENCHMARKS)}, got {name}"
            )
    out = common.writable_directory(parser, options.out)
    report = Report()
    sizes = argparse.Namespace(**(QUICK if options.quick else FULL))
    failed = None
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name in options.benchmarks or BENCHMARKS:
                BENCHMARKS[name](report, sizes, Path(folder))
                report.close()
        except (Died, KeyboardInterrupt) as error:  # what was measured is kept
            failed = str(error) or "interrupted"
        finally:
            report.close()
    common.write_json(
        out / "benchmarks.json",
        {
            "versions": common.versions(),
            "cores": CORES,
            "entries": report.entries,
            "ratios": report.ratios,
            "absent": report.absent,
            "failed": failed,
        },
    )
    draw(report, out / "speed.png")
    missed = [r for r in report.ratios if r["ratio"] < r["at_least"]]
    for r in missed:
        print(f"not reached: {r['benchmark']} against {r['name']}: {r['ratio']:.2f} x")
    print(f"files in {out}")
    if failed:
        print(failed, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
