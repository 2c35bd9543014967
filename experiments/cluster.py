"""The case study on a Dask cluster: the circles' runs, spread over its workers.

    python experiments/cluster.py --scheduler tcp://10.0.0.5:8786

trains the network without noise and with it in three places, and prints the comparison.
Without ``--scheduler`` this machine is the cluster. The same command goes on after
whatever stopped it: the runs are in ``runs.sqlite`` in ``--out``.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import _options as o
import optax
from _files import Files, finish, store_of, train_and_report

import jaxnoise as jn

STRENGTHS = {"input": [0.01], "hidden": [0.1], "activation": [0.1]}
METRIC = "population_accuracy"
# What a worker that has died may take to start again before Dask gives it up for good,
# else 15 s: too little on a busy machine.
LOST = "distributed.deploy.lost-worker-timeout"


def recipes(units: int = 500) -> Mapping[str, Any]:
    """By placement; no module's functions, so that they travel to any worker."""

    def recipe(place: str, stddev: Any) -> jn.Recipe:
        noisy = place in STRENGTHS
        noise: Any = {f"{place}_noise": jn.GaussianNoise(stddev)} if noisy else {}
        return jn.Recipe(
            model=jn.MLP((units,), 1, **noise),
            loss=jn.losses.binary_cross_entropy,
            optimizer=optax.adam(1e-3, eps=1e-7),
            metrics={"accuracy": jn.metrics.binary_accuracy},
        )

    return {place: partial(recipe, place) for place in ("none", *STRENGTHS)}


@contextmanager
def client_of(address: str | None, workers: int) -> Iterator[Any]:
    """That of the cluster, or of one that is made of processes of this machine."""
    from dask import config
    from distributed import Client, LocalCluster

    if address is not None:
        with Client(address) as client:
            yield client
        return
    local: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        config.set({LOST: "1h"}),
        LocalCluster(n_workers=workers, threads_per_worker=1, **local) as cluster,
        Client(cluster) as client,
    ):
        yield client


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print, write; the exit code."""
    parser = o.Parser("cluster.py", __doc__)
    parser.option("--scheduler", str, None, "address of a Dask scheduler")
    parser.option(
        "--workers", o.count, 2, "processes, where this machine is the cluster"
    )
    parser.option("--seeds", o.count, 30, "runs of each kind")
    parser.option("--epochs", o.count, 4000, "passes through the train set")
    parser.option("--out", Path, Path("results/cluster"), "where files go")
    parser.switch("--fresh", "train all runs again: the old store is renamed")
    options = parser.parse_args(argv)
    jn.use_cache()
    options.out = o.writable_directory(parser, options.out)

    def train() -> jn.SweepResult:
        with client_of(options.scheduler, options.workers) as client:
            return jn.sweep(
                recipes(),
                strengths=STRENGTHS,
                data=jn.data.circles(),
                seeds=options.seeds,
                epochs=options.epochs,
                batch_size=32,
                store=store_of(options),
                executor=client.get_executor(),
            )

    def report(result: jn.SweepResult) -> int:
        with Files(options.out) as files:
            table = jn.compare(result, metric=METRIC)
            print(table)
            files.runs(result.runs)
            files.tell_of(result, options)
        return finish(result, options, files)

    try:
        return train_and_report(train, report)
    except (ImportError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    o.run(main)
