"""Placements x strengths x seeds x splits, as a few compiled programs.

`sweep` lists the runs, sends them through one compiled program per placement and data
shape, a few runs a device at a time, and gathers what comes back. The same runs come
out whatever the number of devices and the order in which they finish. `refit` trains
what was chosen of them once more, for use.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxnoise.checks import shown, warn
from jaxnoise.data import Data
from jaxnoise.data.sets import split_facts, warn_of_unlike_columns
from jaxnoise.model import Variables, as_model
from jaxnoise.results import (
    RunResult,
    SweepResult,
    runs_table,
    stacked_curves,
    stacked_rows,
    strength_columns,
    variables_by_epoch,
)
from jaxnoise.store.file import File
from jaxnoise.training.devices import check_data_fits, local_mesh, runs_mesh
from jaxnoise.training.executors import Workers
from jaxnoise.training.notices import check_noise_acts
from jaxnoise.training.plan import (
    OnMetrics,
    Plan,
    Run,
    as_seeds,
    as_splits,
    pieces_of,
    plan_runs,
    seeds_to_keep,
)
from jaxnoise.training.pods import Pod
from jaxnoise.training.program import Here, left_of, trace_jobs
from jaxnoise.training.progress import ProgressFn, progress_of
from jaxnoise.training.recipe import CURVES, Count, RecipeFn, Settings
from jaxnoise.training.store import Kept


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
    keep_rows: bool = False,
    progress: bool | ProgressFn | None = None,
    store: str | os.PathLike | None = None,
    version: str = "",
    extend: bool = False,
    executor: Any = None,
    checkpoint_every: Count | None = None,
    on_metrics: OnMetrics | None = None,
    keep_params_at: Sequence[int] = (),
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
            on a CPU 1, but 8 of very small networks, and where drawing takes much of
            a step, up to 8 runs of one seed and split share their draws, with the
            numbers of runs alone but for rounding; on accelerators what fits into half
            of the memory, up to 512, and no more than a device's share of the runs, as
            a power of two: there a sweep of another size may compile anew.
        keep_params: whether to keep the trained variables, with which models predict:
            False, True, or the seeds to keep them of.
        keep_rows: whether to keep each metric's values row by row, but of the rows of
            training, a bit for what is right or wrong: with them `compare` tells what
            holds for new rows, too. For one `Data`: several splits have rows of their
            own.
        progress: None for a bar on stderr where that is a terminal, or below the cell
            of a notebook; False for none; or a function called with the numbers of
            finished and of all runs.
        store: the path of a file that keeps finished runs, `jaxnoise.Store`: those that
            are there are not trained again, and each is there once it has finished,
            whatever becomes of the process. Several processes may share it. A run is
            known by all that determines its numbers: placement, traced recipe,
            strength, seed, data, epochs, batch size, what is measured, precision and
            the version of JAX; those of other epochs lie side by side.
        version: a text of your own that tells recipes apart, for what a trace does not
            show, such as data that `set_metrics` hold.
        extend: whether stored runs of fewer epochs give way to the same ones of these.
            Where they have checkpoints, they go on from there.
        executor: where the runs are trained: anything with the interface of
            `concurrent.futures.Executor`, such as Dask's ``client.get_executor()``, or
            a function that makes one, ``lambda: ProcessPoolExecutor(2,
            mp_context=get_context("spawn"))``, which is called again if a worker's
            death breaks it. Workers import the recipes, or get them by cloudpickle,
            which also takes lambdas. A few runs at a time go to a worker, and go again
            if it dies; after three failures they are left out, and the others go on.
        checkpoint_every: epochs of a piece, for long runs: after each, the state of the
            runs is saved in a folder beside ``store``, ``<store>.checkpoints``, and the
            same call goes on from there. The numbers are those of runs in one piece,
            bit for bit. A checkpoint takes tenths of a second and the size of the
            state; the last one stays, for ``extend``, and may be deleted.
        on_metrics: a function ``(runs, epoch, metrics)``, called after each piece with
            a table of the runs in it, an epoch that they have had, and by name an array
            of their curves' values there, a value a run; also without a store. The
            index of ``runs`` is that of the result. So a tracker hears of runs while
            they train, see below.
        keep_params_at: epochs at which variables are kept, too, in ``variables_at`` of
            the result and in the store: of the seeds in ``keep_params``, or of all.

    Returns:
        A `SweepResult`. A diverged run has ``finite`` False and NaN metrics. After an
        interrupt (Ctrl-C) it has the finished runs, and ``complete`` is False; so it is
        where runs failed on an executor, and ``.runs.attrs["missing"]`` lists them.

    Raises:
        ValueError: if an argument is out of range; the message names it.
        TypeError: if an argument is not of its kind.
        ValueError: if ``store`` has runs of a placement that were made with another
            recipe, other data or settings; the message names the part.
        StoreError: if ``store`` cannot be read or written.
        MemoryError: if the devices' copies of the data need more memory than is free.
        Exception: whatever stops the runs once they have begun, such as a device out of
            memory or an error in ``progress``. Its attribute ``result`` is the
            `SweepResult` of the runs that had finished, ``complete`` False.

    Warns:
        UserWarning: if a placement's strengths change nothing: its runs are the same,
            bit for bit, at all of them, or those of a placement at strength 0. If one
            column of a table x has over 256 times the range of another. If runs failed
            on an executor.

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

        Trackers take three lines each. TensorBoard, through ``tensorboardX``::

            writer = tensorboardX.SummaryWriter("logs")
            def on_metrics(runs, epoch, metrics):
                for name, values in metrics.items():
                    curves = dict(zip(map(str, runs.index), values))
                    writer.add_scalars(name, curves, epoch)

        MLflow and W&B take one dict a call::

            def on_metrics(runs, epoch, metrics):
                told = {
                    f"{name}/{run}": value for name, values in metrics.items()
                    for run, value in zip(runs.index, values)
                }
                mlflow.log_metrics(told, step=epoch)
                wandb.log(told | {"epoch": epoch})
    """
    settings = Settings(epochs, batch_size, curves, metrics_every, keep_rows, vectorize)
    splits, seeds = as_splits(data), as_seeds("seeds", seeds)
    cuts = checkpoint_every, on_metrics, keep_params_at
    pod, first = jax.process_count() > 1, jax.process_index() == 0
    alone = executor is None and not pod
    pieces = pieces_of(settings, store, extend, alone, *cuts)
    kept = seeds_to_keep(keep_params, seeds, bool(pieces and pieces.keep_at))
    mesh = _checked_mesh(splits, settings, executor)
    runs = plan_runs(recipes, strengths, seeds, len(splits), store is not None)
    plan = Plan(recipes, strengths, splits, runs, kept, settings, mesh, pieces)
    here = Pod(plan) if pod else Here(plan)
    return _trained(
        plan,
        here if executor is None else Workers(plan, executor),
        progress if first else False,
        partial(Kept, version=version, extend=extend),
        nullcontext if not first or store is None else partial(File, store, write=True),
    )


def _checked_mesh(splits: Sequence[Data], settings: Settings, executor: Any) -> Mesh:
    """The devices; data that do not go with them or the settings are refused."""
    if settings.keep_rows and len(splits) > 1:
        raise ValueError("keep_rows is for one jn.Data, got several splits.")
    for split in splits:
        settings.curve_sets(split)
    warn_of_unlike_columns(splits[0])
    if executor is not None:
        return local_mesh()
    mesh = runs_mesh()
    check_data_fits(splits, mesh)
    return mesh


def _trained(
    plan: Plan,
    engine: Here,
    progress: bool | ProgressFn | None,
    kept_in: Callable[..., Kept],
    store: Callable[[], AbstractContextManager[File | None]],
) -> SweepResult:
    """The runs; those that finished, where they are interrupted."""
    results: dict[int, RunResult] = {}  # by the number of the run
    started, compiled = time.perf_counter(), None
    total, complete = len(plan.runs), False
    gathered = partial(_gathered, plan, engine, results, started)
    try:
        with engine.agreed(), store() as file, progress_of(progress, total) as shown:
            jobs = trace_jobs(plan)
            kept = kept_in(file, plan, jobs) if file else None
            results |= engine.shared(kept.found if kept else dict)
            jobs = left_of(jobs, results)
            if kept:
                jobs, engine.states = kept.resumed(jobs), kept.states
            engine.prepare(jobs)
            compiled = time.perf_counter()
            shown.begin()
            with closing(engine.results(jobs)) as calls:
                for few in calls:
                    results |= few
                    if kept:
                        kept.add(few, engine.device)
                    shown.report(len(results), total)
        complete = not engine.failed
        if complete:
            check_noise_acts(plan.runs, results, plan.strengths.keys())
        else:
            _warn_of(engine.failed, plan.runs)
    except KeyboardInterrupt:
        pass
    except BaseException as error:
        if compiled:
            _hand_over(gathered(compiled, False), error, total)
        raise
    return gathered(compiled, complete)


def _hand_over(result: SweepResult, error: BaseException, total: int) -> None:
    vars(error)["result"] = result
    error.add_note(
        f"{len(result.runs)} of {total} runs had finished; they are in this "
        "exception's attribute `result`, a SweepResult."
    )


def _warn_of(failed: Mapping[int, str], runs: Sequence[Run]) -> None:
    number, why = next(iter(failed.items()))
    warn(
        f"{len(failed)} of {len(runs)} runs failed on the workers three times and are "
        f"missing, such as {runs[number]}: {why}; .runs.attrs['missing'] lists them."
    )


def _gathered(
    plan: Plan,
    engine: Here,
    found: dict[int, RunResult],
    started: float,
    compiled: float | None,
    complete: bool,
) -> SweepResult:
    """All the runs that there are, in their order."""
    ended = time.perf_counter()
    compiled = compiled or ended
    numbers = sorted(found)
    results = [found[i] for i in numbers]
    table = runs_table([plan.runs[i].columns() for i in numbers], results)
    table.attrs = split_facts(plan.splits)
    if failed := engine.failed:
        missing = [{**plan.runs[i].columns(), "why": failed[i]} for i in sorted(failed)]
        table.attrs["missing"] = missing
    every = plan.settings.metrics_every
    return SweepResult(
        runs=table,
        curves=stacked_curves(results),
        epochs=np.arange(every, plan.settings.epochs + 1, every),
        variables=tuple(result.variables for result in results),
        complete=complete,
        compile_seconds=compiled - started,
        run_seconds=ended - compiled,
        device=engine.device,
        origin=replace(plan, splits=[]),
        rows=stacked_rows(results),
        variables_at=variables_by_epoch(results),
    )


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model with its trained variables, which predicts.

    Attributes:
        model: that of the recipe: a Flax Linen module, or a `Model`.
        variables: the trained ones, ``variables["params"]`` and what is carried.
    """

    model: Any
    variables: Variables = field(repr=False)

    def __call__(self, x: Any) -> Any:
        """The clean outputs for rows ``x``, mostly logits."""
        return self._outputs(self.variables, x)

    @cached_property
    def _outputs(self) -> Any:
        model = as_model(self.model)
        return jax.jit(lambda v, x: model.apply(v, x, train=False, key=None)[0])


def refit(selection: Any, data: Data, *, seed: int = 0) -> TrainedModel:
    """Train what was chosen once more, such as on all rows, and return the model.

    One run of the chosen placement and strength, with the sweep's own recipe, epochs
    and batch size. Its weights are those after the last epoch. Of ``data`` the rows of
    ``train`` alone move them.

    Args:
        selection: what `jaxnoise.select` made of a `SweepResult`, not of its table.
        data: a `Data`, of the columns of the sweep's.
        seed: of initial weights, batch order and noise.

    Returns:
        A function ``x -> outputs`` of the clean, compiled model, with its parts as
        ``.model`` and ``.variables``.

    Raises:
        TypeError: if ``selection`` has no recipes, or an argument is not of its kind.
        FloatingPointError: if the run diverges.

    Example:
        >>> import warnings, optax, jaxnoise as jn
        >>> def recipe(stddev):
        ...     return jn.Recipe(
        ...         model=jn.MLP((8,), 1, input_noise=jn.GaussianNoise(stddev)),
        ...         loss=jn.losses.binary_cross_entropy,
        ...         optimizer=optax.adam(1e-2),
        ...     )
        >>> data = jn.data.circles(population=100)
        >>> result = jn.sweep(
        ...     {"none": recipe, "input": recipe}, strengths={"input": [0.03, 0.1]},
        ...     data=data, seeds=10, epochs=3, batch_size=32,
        ... )
        >>> chosen = jn.select(result, metric="loss", choose_on="population")
        >>> model = jn.refit(chosen, data, seed=10)
        >>> x, y = data.test
        >>> model(x).shape
        (70, 1)
    """
    plan = getattr(getattr(selection, "result", None), "origin", None)
    if not isinstance(plan, Plan):
        raise TypeError(
            "selection must be jn.select(result) of a SweepResult that a sweep of this "
            f"process returned, which has the recipes, got {shown(selection)} without."
        )
    if not isinstance(data, Data):
        raise TypeError(f"data must be one jn.Data, got {shown(data)}.")
    placement, columns = selection.placement, strength_columns(selection.strength)
    recipe = plan.recipes[placement]
    chosen = [run.strength for run in plan.runs if run.placement == placement]
    strength = next(s for s in chosen if strength_columns(s) == columns)
    result = sweep(
        {placement: recipe},
        strengths={placement: [strength]},
        data=data,
        seeds=as_seeds("seed", [seed]),
        epochs=plan.settings.epochs,
        batch_size=plan.settings.batch_size,
        curves=(),
        keep_params=True,
        progress=False,
    )
    if not result.complete:
        raise KeyboardInterrupt
    if not result.runs["finite"].all():
        raise FloatingPointError(
            f"the run of {placement!r} at seed {seed} diverged; take another seed."
        )
    return TrainedModel(recipe(strength).model, result.variables[0])
