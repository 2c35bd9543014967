"""The benchmarks of the library's own: who contends, at which sizes, in which unit.

Each is a function of a report, the sizes, and a folder for what it writes.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_report import Plans, Report, Unlike
from worker import A_CORE_EACH, CORES, Plan, Worker, ways_to_use_all_cores

HERE = Path(__file__).resolve().parent
BACKENDS = ("jax", "torch", "tensorflow")
OBVIOUS = "jit(vmap(scan))"
PLAIN = "jax.random.normal in jaxnoise"
FLAT = 1.15  # what the cost per run may vary by
SHARE, A_RUN = 0.03, 1e-3  # of a sweep's time, or seconds a run, that a store may take
RESUMED = 1.2  # what the second half may take, by half of a sweep
OPENING = 2.0  # seconds
TWICE = 1.6  # that two processes are to gain on two cores
GOAL, GOAL_SECONDS = "circles, 1000 seeds", 1.0  # of an H100 or H200
Make = Callable[..., Plan]
Sizes = argparse.Namespace


def circles(report: Report, sizes: Sizes, folder: Path) -> None:
    """A noisy training step with both accuracies; without noise all train the same."""
    make = partial(Plan, "circles_contenders", problem=write_problem(folder))
    alike = partial(make, site="none", epochs=50, seeds=2, threads=1, check=True)
    plans = [alike("jaxnoise"), alike(OBVIOUS)]
    plans += [alike(f"Keras on {backend}", backend=backend) for backend in BACKENDS]
    plans += [alike("PyTorch loop"), alike("PyTorch batched")]
    title = "circles: the same weights without noise, 50 epochs"
    report.same_losses("circles", report.start(plans, title), 1e-5)
    report.close()
    for site in sizes.sites:
        title = f"circles, {site} noise, microseconds per epoch and run"
        at_site, full = partial(make, site=site), site == "hidden"
        workers = report.start(plans_in_jax(at_site, sizes, full=full), title)
        if full:
            workers += report.start(peers(at_site, sizes))
        report.measure(f"circles {site}", workers, sizes.repeats, "us")


def grid(report: Report, sizes: Sizes, folder: Path) -> None:
    """Eight strengths and one, with draws that are shared where it pays; and not."""
    seeds, epochs, repeats = sizes.grid
    make = partial(Plan, "circles_contenders", contender="grid", seeds=seeds)
    make = partial(make, problem=write_problem(folder), epochs=epochs)
    for site in ("hidden", "activation", "input"):
        for count in (8, 1):
            mine = partial(make, site=site, strengths=count, steps=count)
            plans = [mine("jaxnoise"), mine("one at a time", vectorize=1)]
            name = f"grid {site}, {count} strength{'s' * (count > 1)}"
            workers = report.start(plans, f"{name}, microseconds per epoch and run")
            report.measure(name, workers, repeats, "us")


def plans_in_jax(make: Make, sizes: Sizes, *, full: bool) -> list[Plan]:
    """What runs in JAX, ours first: more of it where ``full``."""

    def seeds(n: int, shorter: int = 1) -> dict[str, int]:
        epochs = max(sizes.least_epochs, sizes.run_epochs // n // shorter)
        return {"seeds": n, "epochs": epochs}

    first, *others = sizes.seeds
    some, all_ = ([first, *others[:1]], sizes.seeds) if full else ([first], [first])
    plans = [make(f"jaxnoise, {n} seeds", **seeds(n)) for n in all_]
    plans += [make(f"{OBVIOUS}, {n} seeds", **seeds(n, 4)) for n in some]
    if CORES > 1:
        share = seeds(first, 4) | {"seeds": max(1, first // CORES)}
        name = f"{OBVIOUS}, {first} seeds, {A_CORE_EACH}"
        plans.append(make(name, **share, processes=CORES))
    if full:
        ours = partial(make, contender="jaxnoise")
        plans.append(ours(f"{PLAIN}, {first} seeds", **seeds(first), plain=True))
        floor = {"seeds": 32, "epochs": sizes.run_epochs // 32}
        plans.append(ours("jaxnoise, no noise", **floor, site="none"))
    return plans


def peers(make: Make, sizes: Sizes) -> Plans:
    """Keras on its backends, a process a core; PyTorch at its fastest settings."""
    make = partial(make, epochs=sizes.peer_epochs)
    for backend in BACKENDS:
        name = f"Keras on {backend}, {A_CORE_EACH}"
        yield make(name, processes=CORES, backend=backend)
    batches = {f", {n} seeds": n for n in sizes.batches}
    for peer, seeds in {"PyTorch loop": {"": 1}, "PyTorch batched": batches}.items():
        yield [
            make(f"{peer}, {way}{batch}", seeds=n, **how)
            for batch, n in seeds.items()
            for way, how in ways_to_use_all_cores().items()
        ]


def write_problem(folder: Path) -> str:
    """The tutorial's points and some first weights, for all contenders; the file."""
    import jaxnoise as jn

    data, generator = jn.data.circles(), np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for name in ("train", "test"):
        arrays[f"x_{name}"], arrays[f"y_{name}"] = data[name]
    for name, shape in {"w1": (2, 500), "w2": (500, 1)}.items():
        limit = (6 / sum(shape)) ** 0.5
        arrays[name] = generator.uniform(-limit, limit, shape).astype(np.float32)
    path = folder / "problem.npz"
    np.savez(path, **arrays)
    return str(path)


def networks(report: Report, sizes: Sizes, folder: Path) -> None:
    """Whole trainings with test scores every epoch, per epoch and run."""
    for work, epochs in sizes.networks.items():
        make = partial(Plan, "networks_contenders", work=work, epochs=epochs)
        ways = ways_to_use_all_cores().items()
        plans: Plans = [
            make("jaxnoise", seeds=2 * CORES),
            [make(f"PyTorch, {way}", **how) for way, how in ways],
        ]
        workers = report.start(plans, f"{work}, milliseconds per epoch and run")
        alike(work, workers)
        report.measure(work, workers, sizes.repeats, "ms")


def alike(work: str, workers: Sequence[Worker]) -> None:
    """All train as many weights."""
    counts = {w.plan.name: w.notes["weights"] for w in workers}
    if len(set(counts.values())) > 1:
        raise Unlike(f"{work}: the contenders train other networks: weights {counts}")


def conv(report: Report, sizes: Sizes, folder: Path) -> None:
    """A step is the loss, its gradients and the descent, on images of two sizes."""
    for size, steps in sizes.image_steps.items():
        make = partial(Plan, "conv_contenders", size=int(size), steps=steps)
        names = ("jaxnoise", "nn.Conv in a loop", "nn.Conv, a call a step")
        plans: Plans = [
            *(make(each, contender=each) for each in names),
            [  # at its best threads and order in memory
                make(
                    f"PyTorch, {threads} threads{', channels last' * last}",
                    threads=threads,
                    channels_last=last,
                )
                for threads, last in product((1, CORES), (False, True))
            ],
        ]
        name = f"conv {size}x{size}"
        workers = report.start(plans, f"{name}, milliseconds per step")
        alive = report.same_losses(name, workers, 1e-4)
        report.measure(name, alive, sizes.repeats, "ms")


def layer(report: Report, sizes: Sizes, folder: Path) -> None:
    """One noise layer on a large array, in nanoseconds per element."""
    work = {"elements": sizes.elements, "calls": sizes.calls, "threads": CORES}
    for dtype in ("float32", "bfloat16"):
        make: Make = partial(Plan, "layer_contenders", dtype=dtype, **work)
        plans = [make("jaxnoise")]
        plans += [make(f"Keras on {backend}", backend=backend) for backend in BACKENDS]
        plans += map(make, ("PyTorch", "jax.random.normal", "copy"))
        if dtype == "float32":  # in one thread, and NumPy has no other
            plans.append(make(f"NumPy, {A_CORE_EACH}", processes=CORES))
        title = f"layer, {sizes.elements} {dtype}, nanoseconds per element"
        workers = report.start(plans, title)
        report.measure(f"layer {dtype}", workers, sizes.repeats, "ns")


def scaling(report: Report, sizes: Sizes, folder: Path) -> None:
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
        plans = [sweep(f"{point[name]} {name}", **base | point) for point in points]
        title = f"scaling with {name}, microseconds per step and run"
        workers, repeats = report.start(plans, title), sizes.scaling_repeats + 1
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


def memory(report: Report, sizes: Sizes) -> None:
    """Peak memory of few and of many runs, curves kept at every 100th epoch."""
    peaks = []
    work = {"epochs": 400, "units": 500, "rows": 30, "metrics_every": 100}
    for seeds in sizes.memory_runs:
        workers = report.start([sweep("memory", seeds=seeds, warm=False, **work)])
        alive = report.take_turns(workers, 1)
        report.close()
        if not alive:
            return
        peaks.append(alive[0].peak_bytes / 1e6)
        report.note("scaling memory", f"{seeds} runs", peaks[-1], "MB")
    few, many = sizes.memory_runs
    more = peaks[1] - peaks[0]
    print(f"  peak memory: {many} runs need {more:.0f} MB more than {few}")


def store(report: Report, sizes: Sizes, folder: Path) -> None:
    """Overhead, resuming after a kill half-way, two workers and one, and opening."""
    seeds, epochs = sizes.store_seeds, sizes.store_epochs
    work = {"seeds": seeds, "epochs": epochs, "folder": str(folder)}
    make: Make = partial(Plan, "store_contenders", **work)

    def measured(benchmark: str, plans: list[Plan], title: str = "") -> list[float]:
        workers = report.start(plans, title)
        values = report.measure(benchmark, workers, sizes.store_repeats, "s")
        return [*values.values()] if len(values) == len(plans) else []

    plans = [
        make("no store", "sweep", stored=False),
        make("store", "sweep", stored=True),
        make("second half after a kill", "resume"),
    ]
    title = f"store, seconds of {seeds} runs of {epochs} epochs"
    if values := measured("store", plans, title):
        plain, stored, rest = values
        most = max(SHARE, A_RUN * seeds / plain)
        report.bound("store", "overhead, a share", max(stored / plain - 1, 1e-9), most)
        half = "second half after a kill, by half of all"
        report.bound("store", half, 2 * rest / plain, RESUMED)
    counts = {"one worker of one core": 1, "two workers of one core": 2}
    plans = [make("one worker of all cores", "executor", workers=1, cores="")]
    plans += [make(k, "executor", workers=n, cores="1") for k, n in counts.items()]
    if values := measured("executor", plans):
        every, one, two = (seeds / value for value in values)
        print(f"    runs a second: {every:.4g}, {one:.4g} and {two:.4g}")
        report.ratio("executor", "one worker, by two", two / one, TWICE)
    name = f"list of {sizes.store_runs:,} runs"
    for value in measured("opening", [make(name, "opening", runs=sizes.store_runs)]):
        report.bound("opening", f"seconds, {name}", value, OPENING)


def command(report: Report, sizes: Sizes, folder: Path) -> None:
    """The main command from the shell against one run of the tutorial's script."""
    epochs = str(sizes.command_epochs)
    ours = [str(HERE.parent / "circles.py"), "--placement", "hidden", "--seeds", "30"]
    ours += ["--epochs", epochs, "--fresh", "--out", str(folder / "circles")]
    theirs = [str(HERE / "keras_tutorial.py"), epochs, str(folder / "keras.png")]
    named = {"jaxnoise, 60 runs with pictures": ours, "Keras on jax, one run": theirs}
    plans = [Plan("command_contenders", n, arguments=a) for n, a in named.items()]
    workers = report.start(plans, "command, seconds from the shell")
    values = report.measure("command", workers, sizes.command_repeats, "s")
    if len(values) == len(plans):
        jaxnoise, keras = values.values()
        report.ratio("command", "one Keras run", keras / jaxnoise, 1)


def accelerator(report: Report, sizes: Sizes, folder: Path) -> None:
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


def accelerator_plans(sizes: Sizes, problem: str) -> dict[str, list[Plan]]:
    """Draws; circles by seeds, noise, curves and block size; a network by blocks."""
    here = partial(Plan, accelerator=sizes.accelerator)
    work = {"elements": sizes.accelerator_elements, "calls": sizes.calls}
    draw: Make = partial(here, "layer_contenders", dtype="float32", **work)
    few, *more = sizes.accelerator_seeds
    epochs, short = sizes.accelerator_epochs
    here = partial(here, contender="jaxnoise")
    work = {"problem": problem, "site": "hidden", "seeds": few, "epochs": epochs}
    circles: Make = partial(here, "circles_contenders", **work)
    seeds, digits_epochs = sizes.accelerator_digits
    work = {"work": "digits CNN", "seeds": seeds, "epochs": digits_epochs}
    digits: Make = partial(here, "networks_contenders", **work)
    what = f"digits CNN, {seeds} seeds, {digits_epochs} epochs, blocks of"
    blocks = sizes.accelerator_blocks
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
            circles(f"circles, blocks of {n}", vectorize=n, epochs=short)
            for n in blocks
        ],
        "digits CNN, seconds of all runs": [
            digits(f"{what} {n}", vectorize=n)
            for n in ("auto", *(n for n in blocks if n <= seeds))
        ],
    }
