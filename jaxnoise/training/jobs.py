"""The programs of a sweep, and the calls that take all runs through them.

`compile_jobs` makes a `Job` of every placement and data shape; `results_of` runs one,
call by call. Short calls are many, and long ones lose much if the process is stopped:
a job starts with a block a device, and takes more in a call while that is quick.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxnoise.data import Data
from jaxnoise.losses import check_targets
from jaxnoise.results import RunResult
from jaxnoise.training.devices import block_size, core_count
from jaxnoise.training.evaluate import with_set_metrics
from jaxnoise.training.interrupts import interrupts_held
from jaxnoise.training.plan import Run, deal
from jaxnoise.training.program import (
    CALL_BLOCKS,
    lowered_program,
    program_arguments,
    signature_of,
    traced_run,
    unpack,
)
from jaxnoise.training.recipe import Settings
from jaxnoise.training.run import RecipeFn

CALL_SECONDS = 2.0  # that a call of several blocks may take


class Job(NamedTuple):
    """A program and the runs that go through it, by their numbers."""

    program: Callable[..., RunResult]
    block: int
    ids: list[int]
    set_metrics: Mapping[str, Callable[[Any, Any], float]]


def compile_jobs(
    recipes: Mapping[str, RecipeFn],
    settings: Settings,
    runs: Sequence[Run],
    splits: Sequence[Data],
    vectorize: int | str,
    keep: bool,
    mesh: Mesh,
) -> list[Job]:
    """Trace all programs, so that their errors come first; then compile them.

    Side by side: XLA compiles a program on one core, for the most part.
    """
    with interrupts_held() as deliver:
        planned, programs = [], []
        for (placement, _), ids in _by_program(runs, splits).items():
            first = runs[ids[0]]
            strength = jax.tree.map(np.float32, first.strength)
            signature = signature_of((strength, splits[first.split]))
            try:
                traced = traced_run(recipes[placement], settings, signature)
            except Exception as error:
                error.add_note(
                    f"In the placement {placement!r}, at strength {first.strength}; "
                    "placements that strengths does not name run at 0.0."
                )
                raise
            for split in {runs[i].split for i in ids}:
                for _, targets in splits[split].values():
                    check_targets(traced.facts.loss, traced.facts.outputs, targets)
            planned.append((traced, ids))
            deliver()
        for traced, ids in planned:
            most = _most_together(runs, ids, mesh.size)
            block = block_size(vectorize, traced.size, most)
            arguments = program_arguments(runs, [ids[:1]], splits, block, mesh)
            signature = signature_of(arguments)
            program = lowered_program(traced, keep, block, mesh, signature)
            programs.append((program, block, ids, traced.facts))
            deliver()
        with ThreadPoolExecutor(core_count()) as pool:
            compiling = [pool.submit(program.compiled) for program, *_ in programs]
            try:
                for future in compiling:
                    future.result()
                    deliver()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return [
            Job(program.compiled(), block, ids, facts.set_metrics)
            for program, block, ids, facts in programs
        ]


def results_of(
    job: Job,
    runs: Sequence[Run],
    splits: Sequence[Data],
    keep: set[int],
    mesh: Mesh,
) -> Iterator[dict[int, RunResult]]:
    """Run all of a job; yield the results of each call when it is done."""
    left, most = job.ids, 1
    while left:
        done: set[int] = set()
        calls = deal(runs, left, block=job.block, most_blocks=most, devices=mesh.size)
        for packs in calls:
            started = time.perf_counter()
            arguments = program_arguments(runs, packs, splits, job.block, mesh)
            outputs = jax.device_get(job.program(*arguments))
            seconds = time.perf_counter() - started
            results = {
                i: with_set_metrics(result, job.set_metrics, splits[runs[i].split])
                for i, result in unpack(
                    outputs, packs, CALL_BLOCKS * job.block, keep
                ).items()
            }
            done |= results.keys()
            yield results
            blocks = max(-(-len(pack) // job.block) for pack in packs)
            if blocks_within(CALL_SECONDS, seconds / blocks) != most:
                break  # deal again what is left
        most = blocks_within(CALL_SECONDS, seconds / blocks)
        left = [i for i in left if i not in done]


def blocks_within(seconds: float, seconds_a_block: float) -> int:
    """Blocks that a device can do one after the other in so long; at least one."""
    return max(1, int(min(CALL_BLOCKS, seconds / max(seconds_a_block, 1e-9))))


def _by_program(runs: Sequence[Run], splits: Sequence[Data]) -> dict[Any, list[int]]:
    """The runs' numbers by what they share a program for: placement and data shape."""
    shapes = [signature_of(split) for split in splits]
    groups: dict[Any, list[int]] = {}
    for i, run in enumerate(runs):
        groups.setdefault((run.placement, shapes[run.split]), []).append(i)
    return groups


def _most_together(runs: Sequence[Run], ids: Sequence[int], devices: int) -> int:
    """Runs that a device can do together: of one split, in an even share of them."""
    counts: dict[int, int] = {}
    for i in ids:
        counts[runs[i].split] = counts.get(runs[i].split, 0) + 1
    return min(max(counts.values()), -(-len(ids) // devices))
