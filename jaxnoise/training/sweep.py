"""Placements x strengths x seeds x splits, as a few compiled programs.

`sweep` lists the runs, sends them through one compiled program per placement and data
shape, a few runs a device at a time, and gathers what comes back. The same runs come
out whatever the number of devices and the order in which they finish.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from jax.sharding import Mesh

from jaxnoise.data import Data
from jaxnoise.results import RunResult, SweepResult, cell_columns
from jaxnoise.training.devices import (
    block_size,
    check_vectorize,
    describe,
    runs_mesh,
)
from jaxnoise.training.plan import Run, as_seeds, as_splits, deal, plan_runs
from jaxnoise.training.program import (
    CALL_BLOCKS,
    compiled_program,
    program_arguments,
    signature_of,
    traced_run,
    unpack,
)
from jaxnoise.training.progress import ProgressFn, progress_of
from jaxnoise.training.run import RecipeFn
from jaxnoise.training.settings import CURVES, Settings


def sweep(
    recipes: Mapping[str, RecipeFn],
    *,
    strengths: Mapping[str, Any],
    data: Data | Sequence[Data],
    seeds: int | Sequence[int] | np.ndarray,
    epochs: int,
    batch_size: int,
    curves: Sequence[str] = CURVES,
    metrics_every: int = 1,
    vectorize: int | str = "auto",
    keep_params: bool | Sequence[int] = False,
    progress: bool | ProgressFn | None = None,
) -> SweepResult:
    """Train every placement at every strength, seed and split; return all the runs.

    Runs are paired: those of one seed and split share initial weights, batch order and
    unit noise, and differ in the noise's place and strength alone. A run's numbers do
    not depend on which other runs are in the sweep.

    Args:
        recipes: by placement, a function ``strength -> Recipe``; called while tracing,
            once a program.
        strengths: by placement, its strengths: numbers, or pytrees of numbers of one
            structure. A placement that is not named runs at strength 0, like the
            baseline.
        data: one `Data`, or a sequence of them, the splits, numbered from 0.
        seeds: n for ``range(n)``, or the seeds, ints from 0 to 2**32 - 1.
        epochs: passes through the train rows.
        batch_size: rows of a minibatch.
        curves: names of the sets measured during training.
        metrics_every: epochs between measurements of the curves.
        vectorize: runs vmapped together on a device (1 = one at a time), or ``"auto"``:
            on a CPU 1, but 8 of very small networks; on accelerators what fits into
            half of the memory, up to 512.
        keep_params: whether to keep the trained variables: False, True, or the seeds
            to keep them of.
        progress: None for a bar on stderr where that is a terminal, False for none, or
            a function called with the numbers of finished and of all runs.

    Returns:
        A `SweepResult`. A diverged run has ``finite`` False and NaN metrics. After an
        interrupt (Ctrl-C) it has the finished runs, and ``complete`` is False.

    Raises:
        ValueError: if an argument is out of range; the message names it.
        TypeError: if an argument is not of its kind.

    Reference: paired comparison by common random numbers; many trainings as one
        program, as in PureJaxRL (Lu et al., 2022).

    Example:
        >>> import optax, jaxnoise as jn
        >>> def recipe(noise):
        ...     return jn.Recipe(
        ...         model=jn.MLP((8,), 1, hidden_noise=noise),
        ...         loss=jn.losses.binary_cross_entropy,
        ...         optimizer=optax.adam(1e-2),
        ...     )
        >>> result = jn.sweep(
        ...     {
        ...         "none": lambda _: recipe(None),
        ...         "hidden": lambda stddev: recipe(jn.GaussianNoise(stddev)),
        ...     },
        ...     strengths={"hidden": [0.1, 0.3]},
        ...     data=jn.data.circles(), seeds=2, epochs=3, batch_size=32,
        ... )
        >>> result.runs[["placement", "strength", "seed"]].values.tolist()[1:3]
        [['none', 0.0, 1], ['hidden', 0.1, 0]]
    """
    settings = Settings(epochs, batch_size, curves, metrics_every)
    splits, seeds = as_splits(data), as_seeds("seeds", seeds)
    for split in splits:
        settings.curve_sets(split)
    seeds_kept = _seeds_to_keep(keep_params, seeds)
    check_vectorize(vectorize)
    mesh = runs_mesh()
    runs = plan_runs(recipes, strengths, seeds, len(splits))
    keep = {i for i, run in enumerate(runs) if run.seed in seeds_kept}
    results: dict[int, RunResult] = {}
    complete = True
    started = time.perf_counter()
    compiled = None
    with progress_of(progress, len(runs)) as report:
        try:
            jobs = _compile(
                recipes, settings, runs, splits, vectorize, bool(keep), mesh
            )
            compiled = time.perf_counter()
            for job in jobs:
                for packs in job.calls:
                    arguments = program_arguments(
                        runs, packs, splits, job.block, mesh.size
                    )
                    outputs = jax.device_get(job.program(*arguments))
                    results |= unpack(outputs, packs, CALL_BLOCKS * job.block, keep)
                    report(len(results), len(runs))
        except KeyboardInterrupt:
            complete = False
    ended = time.perf_counter()
    compiled = compiled or ended
    done = sorted(results)
    return SweepResult(
        runs=_table([runs[i] for i in done], [results[i] for i in done]),
        curves=_curves([results[i] for i in done]),
        epochs=np.arange(metrics_every, epochs + 1, metrics_every),
        variables=tuple(results[i].variables for i in done),
        complete=complete,
        compile_seconds=compiled - started,
        run_seconds=ended - compiled,
        device=describe(mesh),
    )


class _Job(NamedTuple):
    """A program and the packs of runs of each of its calls."""

    program: Callable[..., RunResult]
    block: int
    calls: list[list[list[int]]]


def _compile(
    recipes: Mapping[str, RecipeFn],
    settings: Settings,
    runs: Sequence[Run],
    splits: Sequence[Data],
    vectorize: int | str,
    keep: bool,
    mesh: Mesh,
) -> list[_Job]:
    """Trace all programs, so that their errors come first; then compile them."""
    planned = []
    for (placement, _), ids in _by_program(runs, splits).items():
        first = runs[ids[0]]
        strength = jax.tree.map(np.float32, first.strength)
        traced = traced_run(
            recipes[placement], settings, signature_of((strength, splits[first.split]))
        )
        block = block_size(vectorize, traced.size)
        calls = deal(runs, ids, block=block, most_blocks=CALL_BLOCKS, devices=mesh.size)
        arguments = program_arguments(runs, calls[0], splits, block, mesh.size)
        planned.append((traced, block, calls, signature_of(arguments)))
    return [
        _Job(compiled_program(traced, keep, block, mesh, signature), block, calls)
        for traced, block, calls, signature in planned
    ]


def _by_program(runs: Sequence[Run], splits: Sequence[Data]) -> dict[Any, list[int]]:
    """The runs' numbers by what they share a program for: placement and data shape."""
    shapes = [signature_of(split) for split in splits]
    groups: dict[Any, list[int]] = {}
    for i, run in enumerate(runs):
        groups.setdefault((run.placement, shapes[run.split]), []).append(i)
    return groups


def _seeds_to_keep(keep_params: bool | Sequence[int], seeds: list[int]) -> set[int]:
    if isinstance(keep_params, bool):
        return set(seeds) if keep_params else set()
    keep = set(as_seeds("keep_params", list(keep_params)))
    if not keep <= set(seeds):
        raise ValueError(
            f"keep_params must name seeds of the sweep, got {keep - set(seeds)}."
        )
    return keep


def _table(runs: Sequence[Run], results: Sequence[RunResult]) -> pd.DataFrame:
    rows = [
        run.columns()
        | {name: float(value) for name, value in result.metrics.items()}
        | {"finite": bool(result.finite)}
        for run, result in zip(runs, results, strict=True)
    ]
    table = pd.DataFrame(rows)
    first = cell_columns(table)  # strengths of later placements may stand last
    last = [c for c in table if c not in first and c != "finite"]
    return table[[*first, *last, "finite"]] if rows else table


def _curves(results: Sequence[RunResult]) -> dict[str, np.ndarray]:
    """By name, (run, epoch); NaN for runs whose recipe lacks the metric."""
    names = dict.fromkeys(name for result in results for name in result.curves)
    if not names:
        return {}
    nothing = np.full_like(next(iter(results[0].curves.values())), np.nan)
    return {
        name: np.stack([result.curves.get(name, nothing) for result in results])
        for name in names
    }
