"""`circles`: a noisy training step with both accuracies, against everyone's."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_report import CORES, CPU, Report, on
from worker import Worker

SITES = ("hidden", "input", "activation", "both")
BACKENDS = ("jax", "torch", "tensorflow")
OBVIOUS = "jit(vmap(scan))"
PLAIN = "jax.random.normal in jaxnoise"


class Unlike(Exception):
    """A contender that trains another model, so that no ratio would mean a thing."""


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
            n, epochs = plans[0][2:]
            plans.append((f"{PLAIN}, {n} seeds", PLAIN, n, epochs))
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
        alive = report.take_turns([w for w, _ in workers], sizes.repeats)
        values = {
            w.name: report.add("circles " + site, w.name, w, per / 1e6, "us")
            for w, per in workers
            if w in alive
        }
        report.close()
        if plans[0][0] in values:
            hold_against_goals(report, site, values.pop(plans[0][0]), values)


def hold_against_goals(
    report: Report, site: str, ours: float, values: dict[str, float]
) -> None:
    """The best of each peer against what is asked for."""
    goals = {
        OBVIOUS: 4 if site == "hidden" else 3,
        PLAIN: 1.5,  # what a sampler of our own must win inside training
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
                if not report.repeat(worker):
                    continue
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
        answer = report.repeat(worker)
        worker.close()
        if answer is None:
            continue
        curve = np.array(answer["value"])
        reference = curve if reference is None else reference
        gap = float(abs(curve - reference).max())
        report.note("circles check", name, gap, "nats")
        print(f"  {name:34s} greatest gap in the loss {gap:.1e}", flush=True)
        if not gap <= 1e-5:
            raise Unlike(f"{name} trains something else: its loss is off by {gap}")
