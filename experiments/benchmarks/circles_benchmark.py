"""`circles`: a noisy training step with both accuracies, against everyone's."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_report import A_CORE_EACH, Report, ways_to_use_all_cores
from worker import CORES, CPU, Plan, Worker, on

BACKENDS = ("jax", "torch", "tensorflow")
OBVIOUS = "jit(vmap(scan))"
PLAIN = "jax.random.normal in jaxnoise"
GOALS = {
    OBVIOUS: 3.0,
    PLAIN: 1.5,  # what a sampler of our own must win inside training
    "PyTorch loop": 6,
    "PyTorch batched": 2,
    "Keras on jax": 40,
    "Keras on torch": 150,
    "Keras on tensorflow": 750,
}


class Unlike(Exception):
    """A contender that trains another model, so that no ratio would mean a thing."""


def circles(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """A noisy training step with both accuracies, per epoch and run."""
    problem = write_problem(folder)
    check_that_all_train_the_same(report, problem)
    for site in sizes.sites:
        print(f"circles, {site} noise, microseconds per epoch and run", flush=True)
        plan = partial(plan_of, problem, site)
        ours, plans = plans_in_jax(plan, sizes, full=site == "hidden")
        workers = [report.start(each) for each in plans]
        if site == "hidden":
            workers += peers(report, plan, sizes)
        values = report.measure(f"circles {site}", workers, sizes.repeats, "us")
        if ours in values:
            goals = GOALS | ({OBVIOUS: 4.0} if site == "hidden" else {})
            report.against_the_best(f"circles {site}", values.pop(ours), values, goals)


def plan_of(
    problem: Path,
    site: str,
    name: str,
    contender: str,
    epochs: int,
    *,
    seeds: int = 1,
    processes: int = 1,
    environment: dict[str, str] = CPU,
    **more: Any,
) -> Plan:
    """A contender that trains ``seeds`` runs for so many epochs in every process."""
    options = {"problem": str(problem), "site": site, "epochs": epochs, "seeds": seeds}
    return Plan(
        name,
        "circles_contenders",
        contender,
        options | more,
        units=epochs * seeds,
        processes=processes,
        environment=environment,
    )


def plans_in_jax(
    plan: Any, sizes: argparse.Namespace, *, full: bool
) -> tuple[str, list[Plan]]:
    """The name of ours, and what runs in JAX: more of it where ``full``."""
    at = {n: max(sizes.least_epochs, sizes.run_epochs // n) for n in sizes.seeds}
    first, *others = at
    ours = f"jaxnoise, {first} seeds"
    plans = [
        plan(f"jaxnoise, {n} seeds", "jaxnoise", at[n], seeds=n)
        for n in (at if full else [first])
    ]
    for n in [first, *others[:1]] if full else [first]:
        epochs = max(sizes.least_epochs, sizes.run_epochs // n // 4)
        plans.append(plan(f"{OBVIOUS}, {n} seeds", OBVIOUS, epochs, seeds=n))
    if CORES > 1:
        name = f"{OBVIOUS}, {first} seeds, {A_CORE_EACH}"
        epochs = max(sizes.least_epochs, sizes.run_epochs // first // 4)
        share = max(1, first // CORES)
        plans.append(plan(name, OBVIOUS, epochs, seeds=share, processes=CORES))
    if full:
        plans.append(plan(f"{PLAIN}, {first} seeds", PLAIN, at[first], seeds=first))
        floor = "jaxnoise, no noise"
        plans.append(plan(floor, floor, sizes.run_epochs // 32, seeds=32))
    return ours, plans


def peers(report: Report, plan: Any, sizes: argparse.Namespace) -> list[Worker | None]:
    """Keras on its backends, a process a core; PyTorch at its fastest settings."""
    workers = [
        report.start(
            plan(
                f"Keras on {backend}, {A_CORE_EACH}",
                "Keras",
                sizes.peer_epochs,
                processes=CORES,
                environment=on(backend),
            )
        )
        for backend in BACKENDS
    ]
    for contender, seeds in (("PyTorch loop", [1]), ("PyTorch batched", sizes.batches)):
        workers += report.fastest(
            [
                plan(
                    f"{contender}, {way}" + (f", {n} seeds" if len(seeds) > 1 else ""),
                    contender,
                    sizes.peer_epochs,
                    seeds=n,
                    processes=processes,
                    threads=threads,
                )
                for n in seeds
                for way, processes, threads in ways_to_use_all_cores()
            ]
        )
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
    plan = partial(plan_of, problem, "none", epochs=50, seeds=2, threads=1, check=True)
    plans = [plan(name, name) for name in ("jaxnoise", OBVIOUS)]
    plans += [plan(f"Keras on {b}", "Keras", environment=on(b)) for b in BACKENDS]
    plans += [plan(name, name) for name in ("PyTorch loop", "PyTorch batched")]
    reference = None
    for each in plans:
        worker = report.start(each)
        answer = report.repeat(worker) if worker is not None else None
        report.close()
        if answer is None:
            continue
        curve = np.array(answer["value"])
        reference = curve if reference is None else reference
        gap = float(abs(curve - reference).max())
        report.note("circles check", each.name, gap, "nats")
        print(f"  {each.name:34s} greatest gap in the loss {gap:.1e}", flush=True)
        if not gap <= 1e-5:
            raise Unlike(f"{each.name} trains something else: its loss is off by {gap}")
