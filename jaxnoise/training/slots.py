"""The slots of one call of a program: which runs take them, and what comes out of them.

A call has a few blocks for each device, and a block a slot for each run of a vmap.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxnoise.results import RunResult
from jaxnoise.training.devices import AXIS
from jaxnoise.training.plan import Plan

CALL_BLOCKS = 4  # blocks that a device does in one call at most: bounds memory
Blocks = list[list[int]]  # of runs, by their numbers


def next_packs(queues: list[Blocks], most: int, devices: int) -> Blocks:
    """Take the runs of one call: up to ``most`` blocks of one split for each device.

    Packs have like sizes, so that no device waits long for another.
    """
    packs = []
    for free in range(devices, 0, -1):
        longest = max(queues, key=len)
        share = min(most, -(-sum(map(len, queues)) // free))
        packs.append([i for block in longest[:share] for i in block])
        del longest[:share]
    return [pack for pack in packs if pack]


def filled(ids: list[int], block: int) -> list[int]:
    """A block in full: what is free does the first of its runs again."""
    return ids + ids[:1] * (block - len(ids))


def program_arguments(
    plan: Plan, packs: Sequence[Sequence[int]], block: int
) -> tuple[Any, ...]:
    """The program's arguments for one call, a device after the other."""
    mesh, runs = plan.mesh, plan.runs
    devices = mesh.size
    slots = np.zeros((devices, CALL_BLOCKS * block), int)
    for device, pack in enumerate(islice(cycle(packs), devices)):
        slots[device] = pack[0]  # fills what the pack leaves free
        slots[device, : len(pack)] = pack
    live = np.zeros(slots.size, bool)
    live[list(places_of(packs, block).values())] = True
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
    return data, split, seeds, strengths, live.reshape(order.shape)


def places_of(packs: Sequence[Sequence[int]], block: int) -> dict[int, int]:
    """Of each run, its place among the slots of all devices."""
    slots = CALL_BLOCKS * block
    places: dict[int, int] = {}
    for device, pack in enumerate(packs):
        for slot, i in enumerate(pack):
            places.setdefault(i, device * slots + slot)  # others fill a block
    return places


def unpack(
    plan: Plan, places: Mapping[int, int], outputs: RunResult
) -> dict[int, RunResult]:
    """Each run's own result, by its number; variables of those to keep alone.

    Copies, as one run's view would hold the arrays of its whole call in memory.
    """
    results, block = {}, outputs.finite.shape[1]
    for i, place in places.items():
        at = divmod(place, block)
        keep = plan.runs[i].seed in plan.kept
        kept = outputs if keep else outputs._replace(variables=None, variables_at=None)
        results[i] = jax.tree.map(lambda leaf, at=at: leaf[at].copy(), kept)
    return results
