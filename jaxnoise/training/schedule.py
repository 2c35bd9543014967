"""The programs of a sweep, and the calls that take all runs through them.

`compile_jobs` makes a `Job` of every placement and data shape; `results_of` runs one,
call by call. Short calls are many, and long ones lose much if the process is stopped:
a job starts with a block a device, and takes more in a call while that is quick.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnoise.losses import check_targets
from jaxnoise.results import RunResult
from jaxnoise.training.devices import block_size, core_count
from jaxnoise.training.evaluate import with_set_metrics
from jaxnoise.training.plan import Plan, deal
from jaxnoise.training.program import (
    CALL_BLOCKS,
    Program,
    TracedRun,
    lowered_program,
    program_arguments,
    signature_of,
    traced_run,
    unpack,
)
from jaxnoise.training.progress import interrupts_held

CALL_SECONDS = 2.0  # that a call of several blocks may take


class Job(NamedTuple):
    """A program and the runs that go through it, by their numbers."""

    traced: TracedRun
    program: Program
    block: int
    ids: list[int]


def compile_jobs(plan: Plan) -> list[Job]:
    """Trace all programs, so that their errors come first; then compile them.

    Side by side: XLA compiles a program on one core, for the most part.
    """
    with interrupts_held() as deliver:
        traced, jobs = [], []
        for placement, ids in _by_program(plan):
            traced.append((_traced(plan, placement, ids), ids))
            deliver()
        for run, ids in traced:
            jobs.append(_lowered(plan, run, ids))
            deliver()
        with ThreadPoolExecutor(core_count()) as pool:
            programs = {job.program for job in jobs}  # placements may share one
            compiling = [pool.submit(getattr, each, "compiled") for each in programs]
            try:
                for future in compiling:
                    future.result()
                    deliver()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return jobs


def _by_program(plan: Plan) -> list[tuple[str, list[int]]]:
    """Placements and the runs that share a program: those of one data shape."""
    shapes = [signature_of(split) for split in plan.splits]
    groups: dict[Any, list[int]] = {}
    for i, run in enumerate(plan.runs):
        groups.setdefault((run.placement, shapes[run.split]), []).append(i)
    return [(placement, ids) for (placement, _), ids in groups.items()]


def _traced(plan: Plan, placement: str, ids: list[int]) -> TracedRun:
    """A run of the placement; targets that its loss has no use for are refused."""
    first = plan.runs[ids[0]]
    strength = jax.tree.map(np.float32, first.strength)
    signature = signature_of((strength, plan.splits[first.split]))
    try:
        traced = traced_run(plan.recipes[placement], plan.settings, signature)
    except Exception as error:
        error.add_note(
            f"In the placement {placement!r}, at strength {first.strength}; "
            "placements that strengths does not name run at 0.0."
        )
        raise
    for split in {plan.runs[i].split for i in ids}:
        for _, targets in plan.splits[split].values():
            check_targets(traced.facts.loss, traced.facts.outputs, targets)
    return traced


def _lowered(plan: Plan, traced: TracedRun, ids: list[int]) -> Job:
    """The program for these runs."""
    most = most_together([plan.runs[i].split for i in ids], plan.mesh.size)
    block = block_size(plan.vectorize, traced.size, most)
    signature = signature_of(program_arguments(plan, [ids[:1]], block))
    program = lowered_program(traced, bool(plan.kept), block, plan.mesh, signature)
    return Job(traced, program, block, ids)


def most_together(splits: Sequence[int], devices: int) -> int:
    """Runs that a device can do together: of one split, in an even share of all."""
    return min(max(Counter(splits).values()), -(-len(splits) // devices))


def results_of(job: Job, plan: Plan) -> Iterator[dict[int, RunResult]]:
    """Run all of a job; yield the results of each call when it is done."""
    left, most, program = job.ids, 1, job.program.compiled
    deals = {"block": job.block, "devices": plan.mesh.size}
    while left:
        done: set[int] = set()
        for packs in deal(plan.runs, left, most_blocks=most, **deals):
            started = time.perf_counter()
            arguments = program_arguments(plan, packs, job.block)
            outputs = jax.device_get(program(*arguments))
            seconds = time.perf_counter() - started
            results = unpack(plan, packs, outputs)
            for i, result in results.items():
                split = plan.splits[plan.runs[i].split]
                set_metrics = job.traced.facts.set_metrics
                results[i] = with_set_metrics(result, set_metrics, split)
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
