"""Placements x strengths x seeds x splits, as a few compiled programs.

`sweep` lists the runs, sends them through one compiled program per placement and data
shape, a few runs a device at a time, and gathers what comes back. The same runs come
out whatever the number of devices and the order in which they finish.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxnoise.checks import shown
from jaxnoise.data import Data
from jaxnoise.data.sets import warn_of_unlike_columns
from jaxnoise.results import SweepResult
from jaxnoise.training.devices import (
    as_vectorize,
    check_data_fits,
    describe,
    runs_mesh,
)
from jaxnoise.training.gather import Finished
from jaxnoise.training.idle import check_noise_acts
from jaxnoise.training.jobs import compile_jobs, results_of
from jaxnoise.training.plan import as_seeds, as_splits, plan_runs
from jaxnoise.training.progress import ProgressFn, progress_of
from jaxnoise.training.run import RecipeFn
from jaxnoise.training.settings import CURVES, Count, Settings


def sweep(
    recipes: Mapping[str, RecipeFn],
    *,
    strengths: Mapping[str, Any],
    data: Data | Sequence[Data],
    seeds: int | Sequence[int] | np.ndarray,
    epochs: Count,
    batch_size: Count,
    curves: Sequence[str] = CURVES,
    metrics_every: Count = 1,
    vectorize: Count | str = "auto",
    keep_params: bool | Sequence[int] = False,
    progress: bool | ProgressFn | None = None,
) -> SweepResult:
    """Train every placement at every strength, seed and split; return all the runs.

    Runs are paired: those of one seed and split share initial weights, batch order and
    unit noise, and differ in the noise's place and strength alone. A run's numbers do
    not depend on which other runs are in the sweep.

    Args:
        recipes: by placement, a function ``strength -> Recipe``; called while tracing,
            once a program. Compiled programs are kept by the function object: one whose
            attributes change between sweeps must be a new object.
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
            half of the memory, up to 512, and no more than a device's share of the
            runs, as a power of two: there a sweep of another size may compile anew.
        keep_params: whether to keep the trained variables, with which models predict:
            False, True, or the seeds to keep them of.
        progress: None for a bar on stderr where that is a terminal, False for none, or
            a function called with the numbers of finished and of all runs.

    Returns:
        A `SweepResult`. A diverged run has ``finite`` False and NaN metrics. After an
        interrupt (Ctrl-C) it has the finished runs, and ``complete`` is False.

    Raises:
        ValueError: if an argument is out of range; the message names it.
        TypeError: if an argument is not of its kind.
        MemoryError: if the devices' copies of the data need more memory than is free.
        Exception: whatever stops the runs once they have begun, such as a device out of
            memory or an error in ``progress``. Its attribute ``result`` is the
            `SweepResult` of the runs that had finished, ``complete`` False.

    Warns:
        UserWarning: if a placement's strengths change nothing: its runs are the same,
            bit for bit, at all of them, or those of a placement at strength 0. If one
            column of a table x has over 256 times the range of another.

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
        ...     keep_params=[0],
        ... )
        >>> result.runs[["placement", "strength", "seed"]].values.tolist()[1:3]
        [['none', 0.0, 1], ['hidden', 0.1, 0]]

        The trained model of a row predicts, and goes to a file and back:

        >>> from flax import serialization
        >>> model, variables = recipe(None).model, result.variables[2]
        >>> x, _ = jn.data.circles().test
        >>> logits = model.apply(variables, x, train=False)
        >>> content = serialization.to_bytes(variables)
        >>> again = model.apply(serialization.msgpack_restore(content), x, train=False)
        >>> bool((again == logits).all())
        True
    """
    settings = Settings(epochs, batch_size, curves, metrics_every)
    splits, seeds = as_splits(data), as_seeds("seeds", seeds)
    for split in splits:
        settings.curve_sets(split)
    seeds_kept = _seeds_to_keep(keep_params, seeds)
    vectorize = as_vectorize(vectorize)
    warn_of_unlike_columns(splits[0])
    mesh = runs_mesh()
    check_data_fits(splits, mesh)
    runs = plan_runs(recipes, strengths, seeds, len(splits))
    keep = {i for i, run in enumerate(runs) if run.seed in seeds_kept}
    finished = Finished(runs, settings, splits, describe(mesh))
    complete = True
    try:
        with progress_of(progress, len(runs)) as shown:
            jobs = compile_jobs(
                recipes, settings, runs, splits, vectorize, bool(keep), mesh
            )
            finished.begin()
            shown.begin()
            for job in jobs:
                for results in results_of(job, runs, splits, keep, mesh):
                    finished.results |= results
                    shown.report(len(finished.results), len(runs))
        check_noise_acts(runs, finished.results, strengths)
    except KeyboardInterrupt:
        complete = False
    except BaseException as error:
        if finished.compiled:
            finished.attach_to(error)
        raise
    return finished.result(complete=complete)


def _seeds_to_keep(keep_params: bool | Sequence[int], seeds: list[int]) -> set[int]:
    if isinstance(keep_params, bool):
        return set(seeds) if keep_params else set()
    if isinstance(keep_params, str) or not isinstance(keep_params, Iterable):
        raise TypeError(
            "keep_params must be True, False or the seeds to keep, such as [0, 1], "
            f"got {shown(keep_params)}."
        )
    keep = set(as_seeds("keep_params", list(keep_params)))
    if not keep <= set(seeds):
        absent = sorted(keep - set(seeds))
        raise ValueError(f"keep_params must name seeds of the sweep, got {absent}.")
    return keep
