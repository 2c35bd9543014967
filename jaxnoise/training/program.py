"""The compiled programs of a sweep, and the calls that take all runs through them.

A program does some blocks of runs on every device and serves any number of runs.
`trace_jobs` makes a `Job` of every placement and data shape; `results_of` runs one,
call by call. Short calls are many, and long ones lose much if the process is stopped:
a job starts with a block a device, and takes more in a call while that is quick.
"""

import time
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun, jaxprs_in_params
from jax.sharding import Mesh, PartitionSpec
from jax.stages import Lowered

from jaxnoise.data import Data, row_count
from jaxnoise.losses import check_targets
from jaxnoise.results import RunResult
from jaxnoise.training.devices import (
    AXIS,
    block_size,
    compiler_options,
    core_count,
    most_in_block,
)
from jaxnoise.training.evaluate import with_set_metrics
from jaxnoise.training.groups import (
    MOST,
    Group,
    have_others,
    zeros_of,
)
from jaxnoise.training.keys import init_key, key_of_seed, unrolled
from jaxnoise.training.notices import check_convolutions
from jaxnoise.training.pieces import (
    Parts,
    States,
    lowered_parts,
    outputs_in_pieces,
    vmapped,
)
from jaxnoise.training.plan import Plan
from jaxnoise.training.progress import interrupts_held
from jaxnoise.training.recipe import RecipeFn, Settings
from jaxnoise.training.run import Facts, result_of, run_of
from jaxnoise.training.slots import (
    CALL_BLOCKS,
    Blocks,
    filled,
    next_packs,
    places_of,
    program_arguments,
    unpack,
)

CALL_SECONDS = 2.0  # that a call of several blocks may take
_shaped = jax.ShapeDtypeStruct


class Program:
    """``(data, split, seeds, strengths, live) -> RunResult``, compiled once.

    Args:
        lower: makes the program before XLA compiles it, which lets other threads run;
            where runs are cut, its `Parts`.
        block: the number of runs that are computed together.
        facts: what is known of its runs.
        traced: one of them, ``(key, strength, data, split) -> RunResult``.
        shapes: of what it leaves.
        period: one of as few epochs as there may be, traced, where runs are cut.
        group: the number of runs that share a seed and what it draws.
        of_seed: makes the program of as many as are worth it, if any are.
    """

    def __init__(
        self,
        lower: Callable[[], Lowered | Parts],
        block: int,
        facts: Facts,
        traced: ClosedJaxpr,
        shapes: RunResult,
        period: ClosedJaxpr | None = None,
        group: int = 1,
        of_seed: Callable[[], "Program | None"] = lambda: None,
    ):
        self._lower, self.block, self.facts = lower, block, facts
        self.traced, self.shapes, self.period = traced, shapes, period
        self.group, self._of_seed = group, of_seed

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics of a run, in their order."""
        sets, functions = self.shapes.outputs or (), self.facts.set_metrics
        on_host = [f"{name}_{metric}" for name in sets for metric in functions]
        return [*self.shapes.metrics, *on_host]

    @cached_property
    def grouped(self) -> "Program":
        """The program of runs that share a seed; this one if that is not worth it."""
        return self._of_seed() or self

    def lower(self) -> None:
        """Make what `compiled` takes, by the options of JAX in the caller's thread."""
        if "compiled" not in vars(self) and "_lowered" not in vars(self):
            self._lowered = self._lower()

    @cached_property
    def compiled(self) -> Any:
        """The compiled program; the other one's text is long."""
        self.lower()
        return jax.tree.map(lambda each: each.compile(), vars(self).pop("_lowered"))


class Job(NamedTuple):
    """A program and the runs that go through it, by their numbers."""

    program: Program
    ids: list[int]
    checkpoint: Any = None  # that they go on from


def trace_jobs(plan: Plan) -> list[Job]:
    """All programs, traced: their errors come first."""
    jobs = []
    with interrupts_held() as deliver:
        for ids in _by_program(plan):
            jobs.append(Job(_program(plan, ids), ids))
            deliver()
    return jobs


def left_of(jobs: Sequence[Job], done: Container[int]) -> list[Job]:
    """The jobs that have runs to do, with those alone."""
    left = [Job(job.program, [i for i in job.ids if i not in done]) for job in jobs]
    return [job for job in left if job.ids]


def compile_jobs(jobs: Sequence[Job]) -> None:
    """Side by side: XLA compiles a program on one core, for the most part."""
    with interrupts_held() as deliver, ThreadPoolExecutor(core_count()) as pool:
        programs = {job.program for job in jobs}  # placements may share one
        compiling = [pool.submit(getattr, each, "compiled") for each in programs]
        try:
            for future in compiling:
                future.result()
                deliver()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _by_program(plan: Plan) -> list[list[int]]:
    """The runs that share a program: those of one recipe, strength and data shape."""
    shapes = [signature_of(split) for split in plan.splits]
    levels = {run.placement: jax.tree.structure(run.strength) for run in plan.runs}
    alike = {name: (_hashed(plan.recipes[name]), levels[name]) for name in levels}
    groups: dict[Any, list[int]] = {}
    for i, run in enumerate(plan.runs):
        groups.setdefault((alike[run.placement], shapes[run.split]), []).append(i)
    return list(groups.values())


def _hashed(recipe: Any) -> RecipeFn:
    try:
        hash(recipe)
    except TypeError:
        return recipe.__call__  # of this very object
    return recipe


def _program(plan: Plan, ids: list[int]) -> Program:
    """That of these runs; targets that their loss has no use for are refused."""
    first, runs = plan.runs[ids[0]], [plan.runs[i] for i in ids]
    settings, splits = plan.settings, [run.split for run in runs]
    strength = jax.tree.map(np.float32, first.strength)
    signature = signature_of((strength, plan.splits[first.split]))
    most = most_in_block(settings.vectorize, splits, plan.mesh.size)
    recipe = _hashed(plan.recipes[first.placement])
    try:
        keep = bool(plan.kept)
        asked = (recipe, signature, settings, keep, most, plan.mesh)
        program = traced_program(*asked, *([True] if plan.pieces else []))
        if plan.grouped or (plan.grouped is None and have_others(runs)):
            program = program.grouped
        program.lower()
    except Exception as error:
        error.add_note(
            f"In the placement {first.placement!r}, at strength {first.strength}; "
            "placements that strengths does not name run at 0.0."
        )
        raise
    for split in set(splits):
        for _, targets in plan.splits[split].values():
            check_targets(program.facts.loss, program.facts.outputs, targets)
    return program


class _Traced:
    """A run of such a strength and data, traced, as a function of its seed.

    Args:
        recipe: of the run.
        signature: of strength and data.
        settings: of the run.
        keep: whether it leaves its variables.
    """

    def __init__(
        self,
        recipe: RecipeFn,
        signature: tuple[Any, ...],
        settings: Settings,
        keep: bool,
    ):
        structure, leaves = signature
        self.recipe, self.settings, self.keep = recipe, settings, keep
        self.strength, self.data = jax.tree.unflatten(structure, leaves)
        key, split = jax.eval_shape(key_of_seed, 0), _shaped((), np.uint32)
        self.arguments = key, self.strength, self.data, split
        self.jaxpr, (self.result, self.facts) = self.trace(settings)
        self.unrolled = unrolled(self.jaxpr)

    def trace(self, settings: Settings) -> Any:
        """The run, and what it leaves."""

        def run(*arguments: Any) -> tuple[RunResult, Facts]:
            return result_of(run_of(self.recipe, settings, *arguments))

        return jax.make_jaxpr(run, return_shape=True)(*self.arguments)

    def kept(self, result: RunResult) -> RunResult:
        """What leaves the program."""
        return result if self.keep else result._replace(variables=None)

    def run(self, seed: Any, strength: Any, split: Any, data: Data) -> RunResult:
        """One run."""
        return self._call(jaxpr_as_fun(self.unrolled), seed, strength, split, data)

    def group(self) -> Group:
        """Runs that share a seed, see `of_seed`."""
        return Group(self.unrolled, self.strength, self.facts.loops)

    def of_seed(
        self, group: Group, seeds: Any, given: Any, split: Any, data: Data, live: Any
    ) -> RunResult:
        """Those of a group."""
        return self._call(partial(group, live), seeds[0], given, split, data)

    def _call(
        self,
        function: Callable[..., Any],
        seed: Any,
        strength: Any,
        split: Any,
        data: Data,
    ) -> RunResult:
        given = jax.tree.leaves((key_of_seed(seed), strength, data, split))
        form = jax.tree.structure(self.result)
        return self.kept(jax.tree.unflatten(form, function(*given)))


@lru_cache(maxsize=128)
def traced_program(
    recipe: RecipeFn,
    signature: tuple[Any, ...],
    settings: Settings,
    keep: bool,
    most: int,
    mesh: Mesh,
    cut: bool = False,
) -> Program:
    """The program of runs with such a strength and data; traces one of them.

    Where runs are to be cut, it comes in parts.
    """
    one = _Traced(recipe, signature, settings, keep)
    check_convolutions(one.jaxpr.jaxpr)
    weights = sum(leaf.size for leaf in jax.tree.leaves(one.result.params))
    rows = row_count(one.data.train)
    products = weights * min(settings.batch_size, rows)
    peak = _peak_bytes(one.jaxpr.jaxpr)
    block = block_size(settings.vectorize, most, products, peak)
    told = one.facts, one.jaxpr, one.result
    lower = partial(_lowered, mesh=mesh, data=one.data)
    if cut:
        lower = partial(lower, block=block)
        period, _ = one.trace(replace(settings, epochs=settings.metrics_every))
        asked = recipe, settings, one.kept, lower, one.arguments
        return Program(partial(lowered_parts, *asked), block, *told, period)

    def of_seed() -> Program | None:
        group, steps = one.group(), settings.epochs * -(-rows // settings.batch_size)
        if not group.is_worth(weights, products, steps):
            return None
        many = partial(one.of_seed, group)
        made = partial(lower, one.run, many, *given, block=MOST)
        return Program(made, MOST, *told, group=MOST)

    given = _shaped((), np.uint32), one.strength
    made = partial(lower, one.run, vmapped(one.run), *given, block=block)
    alone = block == 1 and settings.vectorize == "auto"
    return Program(made, block, *told, of_seed=of_seed if alone else lambda: None)


def _lowered(
    run: Callable[..., Any],
    many: Callable[..., Any],
    split: Any,
    given: Any,
    *,
    block: int,
    mesh: Mesh,
    data: Any,
) -> Lowered:
    """The program of ``run``, or of ``many`` together, with such arguments."""
    calls = mesh.size * CALL_BLOCKS

    def shaped(tree: Any, *axes: int) -> Any:
        return jax.tree.map(
            lambda x: _shaped((*axes, *x.shape), x.dtype, weak_type=x.weak_type), tree
        )

    return _on_devices(run, many, block, mesh).lower(
        shaped(data, mesh.size),
        shaped(split, mesh.size),
        _shaped((calls, block), np.uint32),
        shaped(given, calls, block),
        _shaped((calls, block), bool),
    )


def _on_devices(
    run: Callable[..., Any],
    many: Callable[..., Any],
    block: int,
    mesh: Mesh,
) -> Any:
    """``run`` for all devices: each has its own data and its own blocks of runs.

    ``many`` is ``run`` for a block of them.

    Blocks without a live run are skipped: one program serves any number of runs.
    """

    def run_block(data: Data, split: Any, seeds: Any, strengths: Any, live: Any) -> Any:
        if block > 1:
            return many(seeds, strengths, split, data, live)
        seed, strength = jax.tree.map(lambda leaf: leaf[0], (seeds, strengths))
        return jax.tree.map(lambda leaf: leaf[None], run(seed, strength, split, data))

    def on_device(data: Data, split: Any, seeds: Any, strengths: Any, live: Any) -> Any:
        data, split = jax.tree.map(lambda leaf: leaf[0], (data, split))

        def maybe(at: Any) -> Any:
            seeds, strengths, live = at
            work = partial(run_block, data, split, seeds, strengths, live)
            return lax.cond(live.any(), work, partial(zeros_of, work))

        return lax.map(maybe, (seeds, strengths, live))

    spec = PartitionSpec(AXIS)
    # Devices never talk to each other, so there is nothing to check between them.
    sharded = jax.shard_map(
        on_device, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
    )
    return jax.jit(sharded, compiler_options=compiler_options())


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


def signature_of(tree: Any) -> tuple[Any, ...]:
    """Structure, shapes and types."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)


def results_of(
    job: Job, plan: Plan, states: States | None = None
) -> Iterator[dict[int, RunResult]]:
    """Run all of a job; yield the results of each call when it is done."""
    queues, most, block = queues_of(job, plan), 1, job.program.block
    queues = [[filled(ids, block) for ids in queue] for queue in queues]
    while any(queues):
        packs = next_packs(queues, most, plan.mesh.size)
        if host := job.program.facts.host:
            runs = [plan.runs[i] for pack in packs for i in pack]
            host.prepare((init_key(run.seed), run.strength) for run in runs)
        started = time.perf_counter()
        arguments = program_arguments(plan, packs, block)
        compiled, places = job.program.compiled, places_of(packs, block)
        if plan.pieces:
            call = compiled, arguments, plan, plan.pieces, places
            outputs = outputs_in_pieces(*call, states, job.checkpoint)
        else:
            outputs = jax.device_get(compiled(*arguments))
        seconds = time.perf_counter() - started
        results = unpack(plan, places, outputs)
        for i, result in results.items():
            split = plan.splits[plan.runs[i].split]
            results[i] = with_set_metrics(result, job.program.facts.set_metrics, split)
        yield results
        blocks = -(-max(map(len, packs)) // block)
        quick = CALL_SECONDS * blocks / max(seconds, 1e-9)
        most = max(1, int(min(CALL_BLOCKS, quick)))


class Here:
    """The devices of this process, while they train the runs of a sweep."""

    failed: Mapping[int, str] = MappingProxyType({})
    states: States | None = None  # of runs that are cut

    def __init__(self, plan: Plan):
        self.plan, self.device = plan, plan.device

    def agreed(self) -> AbstractContextManager[None]:
        """What ends the work in one process ends it in all; here is one."""
        return nullcontext()

    def shared(self, work: Callable[[], Any]) -> Any:
        """What work returns that is done once."""
        return work()

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Compile."""
        compile_jobs(jobs)

    def results(self, jobs: Sequence[Job]) -> Generator[dict[int, RunResult]]:
        """Train the runs; yield those of each call."""
        for job in jobs:
            yield from results_of(job, self.plan, self.states)


def queues_of(job: Job, plan: Plan) -> list[Blocks]:
    """The blocks of each split, whose data their runs share, as they may a seed."""
    by_split: dict[int, dict[Any, list[int]]] = {}
    for i in job.ids:
        run = plan.runs[i]
        seed = run.seed if job.program.group > 1 else None
        by_split.setdefault(run.split, {}).setdefault(seed, []).append(i)
    block = job.program.block
    return [
        [
            ids[at : at + block]
            for ids in seeds.values()
            for at in range(0, len(ids), block)
        ]
        for seeds in by_split.values()
    ]
