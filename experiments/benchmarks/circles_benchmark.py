"""`circles`: a noisy training step with both accuracies, against everyone's."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_report import Report
from worker import A_CORE_EACH, CORES, Plan, Worker, ways_to_use_all_cores

BACKENDS = ("jax", "torch", "tensorflow")
OBVIOUS = "jit(vmap(scan))"
PLAIN = "jax.random.normal in jaxnoise"
Make = Callable[..., Plan]


def circles(report: Report, sizes: argparse.Namespace, folder: Path) -> None:
    """A noisy training step with both accuracies, per epoch and run."""
    make = partial(Plan, "circles_contenders", problem=write_problem(folder))
    check_that_all_train_the_same(report, make)
    for site in sizes.sites:
        print(f"circles, {site} noise, microseconds per epoch and run", flush=True)
        at_site, full = partial(make, site=site), site == "hidden"
        workers = report.start(plans_in_jax(at_site, sizes, full=full))
        if full:
            workers += peers(report, at_site, sizes)
        report.measure(f"circles {site}", workers, sizes.repeats, "us")


def check_that_all_train_the_same(report: Report, make: Make) -> None:
    """Same first weights, no noise, 50 epochs: the test losses must be equal."""
    print("circles: the same weights without noise, 50 epochs", flush=True)
    make = partial(make, site="none", epochs=50, seeds=2, threads=1, check=True)
    plans = [make("jaxnoise"), make(OBVIOUS)]
    plans += [make(f"Keras on {backend}", backend=backend) for backend in BACKENDS]
    plans += [make("PyTorch loop"), make("PyTorch batched")]
    report.same_losses("circles", report.start(plans), 1e-5)
    report.close()


def plans_in_jax(make: Make, sizes: argparse.Namespace, *, full: bool) -> list[Plan]:
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


def peers(report: Report, make: Make, sizes: argparse.Namespace) -> list[Worker]:
    """Keras on its backends, a process a core; PyTorch at its fastest settings."""
    make = partial(make, epochs=sizes.peer_epochs)
    each = {"processes": CORES}
    names = {backend: f"Keras on {backend}, {A_CORE_EACH}" for backend in BACKENDS}
    workers = report.start(make(names[b], **each, backend=b) for b in BACKENDS)
    for peer, batches in {
        "PyTorch loop": {"": 1},
        "PyTorch batched": {f", {n} seeds": n for n in sizes.batches},
    }.items():
        workers += report.fastest(
            [
                make(f"{peer}, {way}{batch}", seeds=n, **how)
                for batch, n in batches.items()
                for way, how in ways_to_use_all_cores().items()
            ]
        )
    return workers


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
