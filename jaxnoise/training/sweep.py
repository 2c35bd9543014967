"""Placements x strengths x seeds x splits, as a few compiled programs.

`sweep` lays out the runs, sends them through one compiled program per placement and
data shape, a few runs a device at a time, and gathers what comes back. The same runs
come out whatever the number of devices and the order in which they finish.
"""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, PartitionSpec

from jaxnoise.data import Data
from jaxnoise.results import RunResult, SweepResult, cell_columns
from jaxnoise.training.devices import AXIS, block_size, describe, runs_mesh
from jaxnoise.training.plan import Run, as_seeds, as_splits, deal, plan_runs
from jaxnoise.training.progress import ProgressFn, progress_of
from jaxnoise.training.run import CURVES, RecipeFn, Settings, make_train

CALL_BLOCKS = (
    4  # blocks of runs that a device does in one call: bounds memory and waits
)


def sweep(
    recipes: Mapping[str, RecipeFn],
    *,
    strengths: Mapping[str, Any],
    data: Data | Sequence[Data],
    seeds: int | Sequence[int],
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
            1 on a CPU, more on accelerators.
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
    keep = _seeds_to_keep(keep_params, seeds)
    block, mesh = block_size(vectorize), runs_mesh()
    runs = plan_runs(recipes, strengths, seeds, len(splits))
    results: dict[int, RunResult] = {}
    clock = {"compile": 0.0, "run": 0.0}
    complete = True
    with progress_of(progress, len(runs)) as report:
        try:
            for (placement, _), ids in _by_program(runs, splits).items():
                for packs in deal(runs, ids, CALL_BLOCKS * block, mesh.size):
                    arguments = _arguments(runs, packs, splits, block, mesh.size)
                    started = time.perf_counter()
                    program = _program(
                        recipes[placement],
                        settings,
                        bool(keep),
                        block,
                        mesh,
                        _signature(arguments),
                    )
                    compiled = time.perf_counter()
                    outputs = jax.device_get(program(*arguments))
                    clock["compile"] += compiled - started
                    clock["run"] += time.perf_counter() - compiled
                    results |= _unpack(outputs, packs, CALL_BLOCKS * block)
                    report(len(results), len(runs))
        except KeyboardInterrupt:
            complete = False
    done = sorted(results)
    return SweepResult(
        runs=_table([runs[i] for i in done], [results[i] for i in done]),
        curves=_curves([results[i] for i in done]),
        epochs=np.arange(metrics_every, epochs + 1, metrics_every),
        variables=tuple(
            results[i].variables if runs[i].seed in keep else None for i in done
        ),
        complete=complete,
        compile_seconds=clock["compile"],
        run_seconds=clock["run"],
        device=describe(mesh),
    )


@lru_cache(maxsize=128)
def _program(
    recipe: RecipeFn,
    settings: Settings,
    keep: bool,
    block: int,
    mesh: Mesh,
    signature: tuple[Any, ...],
) -> Callable[..., RunResult]:
    """Compile ``(data, split, seeds, strengths, live) -> RunResult`` for all devices.

    Every device has its own data and its own blocks of runs, and skips those that are
    not live: one program serves any number of runs.
    """
    structure, leaves = signature
    arguments = jax.tree.unflatten(structure, leaves)
    one = _traced_once(make_train(recipe, **vars(settings)), arguments)

    def run(seed: Any, strength: Any, split: Any, data: Data) -> RunResult:
        key = jax.random.key(seed, impl="threefry2x32")
        result = one(key, strength, data, split)
        return result if keep else result._replace(variables=None)

    def run_block(data: Data, split: Any, seeds: Any, strengths: Any) -> RunResult:
        if block > 1:
            return jax.vmap(run, (0, 0, None, None))(seeds, strengths, split, data)
        seed, strength = jax.tree.map(lambda leaf: leaf[0], (seeds, strengths))
        return jax.tree.map(lambda leaf: leaf[None], run(seed, strength, split, data))

    def on_device(
        data: Data, split: Any, seeds: Any, strengths: Any, live: Any
    ) -> RunResult:
        data, split = jax.tree.map(lambda leaf: leaf[0], (data, split))

        def maybe(at: Any) -> RunResult:
            seeds, strengths, live = at
            shapes = jax.eval_shape(run_block, data, split, seeds, strengths)
            return lax.cond(
                live,
                lambda: run_block(data, split, seeds, strengths),
                lambda: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes),
            )

        return lax.map(maybe, (seeds, strengths, live))

    spec = PartitionSpec(AXIS)
    # Devices never talk to each other, so there is nothing to check between them.
    sharded = jax.shard_map(
        on_device, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
    )
    return jax.jit(sharded).lower(*arguments).compile()


def _traced_once(train: Callable[..., RunResult], arguments: Any) -> Callable[..., Any]:
    """``train`` as a function that can be traced again without calling the recipe."""
    data, split, _, strengths, _ = arguments

    def aval(leaf: Any, mapped: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape[mapped:], leaf.dtype)

    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    avals = (
        key,
        jax.tree.map(lambda leaf: aval(leaf, 2), strengths),
        jax.tree.map(lambda leaf: aval(leaf, 1), data),
        aval(split, 1),
    )
    jaxpr, shapes = jax.make_jaxpr(train, return_shape=True)(*avals)
    flat = jaxpr_as_fun(jaxpr)
    structure = jax.tree.structure(shapes)

    def traced(*args: Any) -> RunResult:
        return jax.tree.unflatten(structure, flat(*jax.tree.leaves(args)))

    return traced


def _by_program(
    runs: Sequence[Run], splits: Sequence[Data]
) -> dict[tuple[str, Hashable], list[int]]:
    """The runs' numbers by what they share a program for: placement and data shape."""
    shapes = [_signature(split) for split in splits]
    groups: dict[tuple[str, Hashable], list[int]] = {}
    for i, run in enumerate(runs):
        groups.setdefault((run.placement, shapes[run.split]), []).append(i)
    return groups


def _signature(tree: Any) -> tuple[Any, ...]:
    """Structure, shapes and types."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)


def _arguments(
    runs: Sequence[Run],
    packs: Sequence[Sequence[int]],
    splits: Sequence[Data],
    block: int,
    devices: int,
) -> tuple[Any, ...]:
    """The program's arguments for one call, a device after the other."""
    slots = np.zeros((devices, CALL_BLOCKS * block), int)
    live = np.zeros((devices, CALL_BLOCKS), bool)
    for device in range(devices):
        pack = packs[device] if device < len(packs) else packs[0]
        slots[device] = pack[0]  # fills what the pack leaves free
        slots[device, : len(pack)] = pack
        if device < len(packs):
            live[device, : -(-len(pack) // block)] = True
    order = slots.reshape(-1, block)
    chosen = [runs[i] for i in order.flat]
    seeds = np.array([run.seed for run in chosen], np.uint32).reshape(order.shape)
    strengths = jax.tree.map(
        lambda *leaves: np.array(leaves, np.float32).reshape(order.shape),
        *(run.strength for run in chosen),
    )
    split = np.array([runs[i].split for i in slots[:, 0]], np.uint32)
    data = jax.tree.map(lambda *leaves: np.stack(leaves), *(splits[s] for s in split))
    return data, split, seeds, strengths, live.reshape(-1)


def _unpack(
    outputs: RunResult, packs: Sequence[Sequence[int]], capacity: int
) -> dict[int, RunResult]:
    """Each run's own result, by its number."""
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), outputs)
    return {
        i: jax.tree.map(lambda leaf: leaf[device * capacity + slot], flat)  # noqa: B023
        for device, pack in enumerate(packs)
        for slot, i in enumerate(pack)
    }


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
