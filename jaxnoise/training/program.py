"""The compiled program of a sweep: some blocks of runs on every device.

`compiled_program` compiles one program for a placement and data shape, which serves any
number of runs; `program_arguments` lays out one call of it, `unpack` takes its outputs
apart.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, PartitionSpec

from jaxnoise.data import Data
from jaxnoise.results import RunResult
from jaxnoise.training.devices import AXIS
from jaxnoise.training.plan import Run
from jaxnoise.training.run import RecipeFn, Settings, make_train

CALL_BLOCKS = 4  # blocks that a device does in one call: bounds memory and waits


@lru_cache(maxsize=128)
def compiled_program(
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


def signature_of(tree: Any) -> tuple[Any, ...]:
    """Structure, shapes and types."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)


def program_arguments(
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


def unpack(
    outputs: RunResult, packs: Sequence[Sequence[int]], capacity: int
) -> dict[int, RunResult]:
    """Each run's own result, by its number."""
    flat = jax.tree.map(
        lambda leaf: leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:]),
        outputs,
    )
    return {
        i: jax.tree.map(lambda leaf: leaf[device * capacity + slot], flat)  # noqa: B023
        for device, pack in enumerate(packs)
        for slot, i in enumerate(pack)
    }
