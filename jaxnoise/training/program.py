"""The compiled program of a sweep: some blocks of runs on every device.

`traced_run` traces one run of a placement and data shape; `lowered_program` makes one
program of blocks of it, which serves any number of runs. `program_arguments` lays out
one call of the program, `unpack` takes its outputs apart.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, jaxpr_as_fun, jaxprs_in_params
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.stages import Lowered

from jaxnoise.data import Data, row_count
from jaxnoise.results import RunResult
from jaxnoise.training.devices import AXIS, RunSize, compiler_options
from jaxnoise.training.keys import key_of_seed
from jaxnoise.training.notices import check_convolutions
from jaxnoise.training.plan import Plan
from jaxnoise.training.recipe import RecipeFn, Settings
from jaxnoise.training.run import Facts, one_run

CALL_BLOCKS = 4  # blocks that a device does in one call at most: bounds memory


class TracedRun(NamedTuple):
    """One run, ``(key, strength, data, split) -> RunResult``, traced."""

    function: Callable[..., RunResult]
    size: RunSize
    facts: Facts


class Program:
    """``(data, split, seeds, strengths, live) -> RunResult``, compiled once.

    Args:
        lowered: the program before XLA compiles it, which lets other threads run.
    """

    def __init__(self, lowered: Lowered):
        self._lowered = lowered

    @cached_property
    def compiled(self) -> Callable[..., RunResult]:
        """The compiled program; the other one's text is long."""
        return vars(self).pop("_lowered").compile()


def traced_run(
    recipe: RecipeFn, settings: Settings, signature: tuple[Any, ...]
) -> TracedRun:
    """Trace a run with a strength and data of this signature; calls the recipe once."""
    try:
        hash(recipe)
    except TypeError:
        recipe = recipe.__call__  # type: ignore[operator] # of this very object
    return _traced_run(recipe, settings, signature)


@lru_cache(maxsize=128)
def _traced_run(
    recipe: RecipeFn, settings: Settings, signature: tuple[Any, ...]
) -> TracedRun:
    structure, leaves = signature
    strength, data = jax.tree.unflatten(structure, leaves)
    key = jax.eval_shape(key_of_seed, 0)
    split = jax.ShapeDtypeStruct((), np.uint32)
    trace = jax.make_jaxpr(partial(one_run, recipe, settings), return_shape=True)
    jaxpr, (shapes, facts) = trace(key, strength, data, split)
    flat = jaxpr_as_fun(jaxpr)
    result = jax.tree.structure(shapes)

    def function(*arguments: Any) -> RunResult:
        return jax.tree.unflatten(result, flat(*jax.tree.leaves(arguments)))

    weights = sum(leaf.size for leaf in jax.tree.leaves(shapes.params))
    rows = min(settings.batch_size, row_count(data.train))
    size = RunSize(weights * rows, _peak_bytes(jaxpr.jaxpr))
    check_convolutions(jaxpr.jaxpr)
    return TracedRun(function, size, facts)


def _peak_bytes(jaxpr: Jaxpr) -> int:
    """The most bytes of results in use at once, if nothing were fused."""
    last_use: dict[int, int] = {}  # variables by identity, as literals have no hash
    for i, eqn in enumerate(jaxpr.eqns):
        last_use |= {id(var): i for var in (*eqn.outvars, *eqn.invars)}
    last_use |= {id(var): len(jaxpr.eqns) for var in jaxpr.outvars}
    expires: list[list[int]] = [[] for _ in range(len(jaxpr.eqns) + 1)]
    live = peak = 0
    for i, eqn in enumerate(jaxpr.eqns):
        for var in eqn.outvars:
            aval: Any = var.aval
            size = aval.size * aval.dtype.itemsize
            live += size
            expires[last_use[id(var)]].append(size)
        inner = max(map(_peak_bytes, jaxprs_in_params(eqn.params)), default=0)
        peak = max(peak, live + inner)
        live -= sum(expires[i])
    return peak


@lru_cache(maxsize=128)
def lowered_program(
    traced: TracedRun, keep: bool, block: int, mesh: Mesh, signature: tuple[Any, ...]
) -> Program:
    """The program of blocks of runs for all devices.

    Every device has its own data and its own blocks of runs, and skips those that are
    not live: one program serves any number of runs.
    """
    structure, leaves = signature
    arguments = jax.tree.unflatten(structure, leaves)

    def run(seed: Any, strength: Any, split: Any, data: Data) -> RunResult:
        result = traced.function(key_of_seed(seed), strength, data, split)
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
    jitted = jax.jit(sharded, compiler_options=compiler_options())
    return Program(jitted.lower(*arguments))


def signature_of(tree: Any) -> tuple[Any, ...]:
    """Structure, shapes and types."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)


def program_arguments(
    plan: Plan, packs: Sequence[Sequence[int]], block: int
) -> tuple[Any, ...]:
    """The program's arguments for one call, a device after the other."""
    mesh, runs = plan.mesh, plan.runs
    devices = mesh.size
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
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))

    def one_a_device(*leaves: Any) -> jax.Array:
        """Straight from where they lie: a stack of them would be a copy more."""
        shards = jax.device_put([leaf[None] for leaf in leaves], list(mesh.devices))
        shape = (len(leaves), *leaves[0].shape)
        return jax.make_array_from_single_device_arrays(shape, sharding, shards)

    data = jax.tree.map(one_a_device, *(plan.splits[s] for s in split))
    return data, split, seeds, strengths, live.reshape(-1)


def unpack(
    plan: Plan, packs: Sequence[Sequence[int]], outputs: RunResult
) -> dict[int, RunResult]:
    """Each run's own result, by its number; variables of those to keep alone.

    Copies, as one run's view would hold the arrays of its whole call in memory.
    """
    results, block = {}, outputs.finite.shape[1]
    for device, pack in enumerate(packs):
        for slot, i in enumerate(pack):
            at = divmod(device * CALL_BLOCKS * block + slot, block)
            keep = plan.runs[i].seed in plan.kept
            kept = outputs if keep else outputs._replace(variables=None)
            results[i] = jax.tree.map(lambda leaf, at=at: leaf[at].copy(), kept)
    return results
