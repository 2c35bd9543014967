"""Chunks of runs on the workers of an executor of any engine.

A chunk is a pure task, `run_chunk`: it trains runs, returns them, and writes nothing.
Recipes and data travel as one parcel, which a worker keeps under its hash: chunks go
without it, a worker that lacks it says so, and gets it with the next one. That is right
for processes and for machines that share no files, and however many workers there are.
"""

import atexit
import os
import pickle
import platform
import shutil
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from dataclasses import dataclass
from functools import cache, partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, NamedTuple

import jax

from jaxnoise.checks import shown, warn
from jaxnoise.data import Data
from jaxnoise.results import RunResult
from jaxnoise.training.cache import FOLDER, is_ours, keep_programs
from jaxnoise.training.devices import local_mesh, use_share_of_cores
from jaxnoise.training.fingerprint import PRECISION
from jaxnoise.training.plan import Plan, Run
from jaxnoise.training.program import (
    Here,
    Job,
    Program,
    compile_jobs,
    queues_of,
    results_of,
    trace_jobs,
)
from jaxnoise.training.recipe import RecipeFn, Settings

TRIES = 3  # of a chunk
CHUNK_SECONDS = 5.0  # that a chunk is to take: what a worker's death costs
SPARE = 64  # chunks under way beyond two for each worker that has been heard of
PATIENCE = 600.0  # seconds without an answer after which that is told
PARCELS = 4  # that a worker keeps


class Parcel(NamedTuple):
    """What all chunks of a sweep have in common.

    Attributes:
        recipes: by placement.
        splits: the divisions of the data.
        settings: of the sweep.
        precision: of JAX's options those that determine numbers.
        version: of JAX.
        programs: the folder where processes of one machine share compiled programs.
        ours: whether it is not JAX's own.
        process: that called the sweep.
    """

    recipes: Mapping[str, RecipeFn]
    splits: list[Data]
    settings: Settings
    precision: dict[str, Any]
    version: str
    programs: str
    ours: bool
    process: int


class Task(NamedTuple):
    """What a worker is to do.

    Attributes:
        parcel: the name of it.
        runs: to be trained.
        kept: the seeds of which variables are kept.
        workers: of this machine, as far as that is known.
        grouped: whether runs of a seed share its draws, as everywhere in the sweep.
    """

    parcel: str
    runs: list[Run]
    kept: set[int]
    workers: int | None
    grouped: bool


class Answer(NamedTuple):
    """What a worker did.

    Attributes:
        worker: its name.
        mesh: the number of its devices.
        results: of the runs, in their order; None if it has no such parcel.
        device: its devices in words.
        seconds: that the runs took, compiled.
    """

    worker: str
    mesh: int
    results: list[RunResult] | None = None
    device: str = ""
    seconds: float = 0.0


_one_chunk = Lock()  # a process has its devices once, however many threads work for it
_parcels: dict[str, Parcel] = {}


def run_chunk(task: Task, content: bytes | None) -> Answer:
    """Train the runs of a chunk, in whatever process this is.

    Args:
        task: the runs.
        content: of the parcel, for a worker that lacked it.
    """
    with _one_chunk:
        use_share_of_cores(task.workers)
        parcel, mesh = _opened(task.parcel, content), local_mesh()
        answer = Answer(f"{platform.node()} {os.getpid()}", mesh.size)
        if parcel is None or not task.runs:
            return answer
        recipes, splits, settings = parcel[:3]
        known = splits, task.runs, task.kept, settings, mesh
        plan = Plan(recipes, {}, *known, grouped=task.grouped)
        jobs = trace_jobs(plan)
        compile_jobs(jobs)
        started = time.perf_counter()
        found: dict[int, RunResult] = {}
        for job in jobs:
            for few in results_of(job, plan):
                found |= few
        return answer._replace(
            results=[found[i] for i in range(len(task.runs))],
            device=plan.device,
            seconds=time.perf_counter() - started,
        )


def _opened(name: str, content: bytes | None) -> Parcel | None:
    """The parcel, and JAX as it is in the process that sent it."""
    if content is not None and name not in _parcels:
        parcel = pickle.loads(content)
        if parcel.version != jax.__version__:
            raise RuntimeError(
                f"the worker {platform.node()} has JAX {jax.__version__}, the sweep "
                f"{parcel.version}: their numbers would not go together."
            )
        for old in islice([*_parcels], max(0, len(_parcels) + 1 - PARCELS)):
            del _parcels[old]
        _parcels[name] = parcel
    if found := _parcels.get(name):
        for option, value in found.precision.items():
            jax.config.update(option, value)
        elsewhere = found.process != os.getpid() and Path(found.programs).is_dir()
        if elsewhere and jax.config.values[FOLDER] is None:
            keep = keep_programs if found.ours else partial(jax.config.update, FOLDER)
            keep(found.programs)
    return found


@cache
def _programs() -> str:
    """Where compiled programs go if the user has no place for them; until the end."""
    folder = tempfile.mkdtemp(prefix="jaxnoise-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def written(plan: Plan) -> bytes:
    """The parcel of a sweep: pickled by names where that goes, else by cloudpickle.

    Raises:
        TypeError: if a recipe can be written in neither way.
    """
    given = jax.config.values[FOLDER]
    parcel = Parcel(
        plan.recipes,
        plan.splits,
        plan.settings,
        {f"jax_{name}": getattr(jax.config, f"jax_{name}") for name in PRECISION},
        jax.__version__,
        given or _programs(),
        given is None or is_ours(given),
        os.getpid(),
    )
    for name, recipe in plan.recipes.items():
        try:
            _dumped(recipe)
        except Exception as error:
            raise TypeError(
                f"recipes[{name!r}] must travel to the workers, got {shown(recipe)}, "
                f"which does not ({error}); define it in a module that they can import"
                f"{'' if _by_value() else ', or install cloudpickle'}."
            ) from error
    return _dumped(parcel)


def _dumped(value: Any) -> bytes:
    """By value what the script itself defines, as workers may run another one."""
    try:
        content = pickle.dumps(value)
    except Exception:
        if _by_value() is None:
            raise
        content = b"__main__"
    by_value = _by_value() if b"__main__" in content else None
    return by_value.dumps(value) if by_value else content


def _by_value() -> Any:
    try:
        import cloudpickle
    except ImportError:
        return None
    return cloudpickle


@dataclass(eq=False)
class _Chunk:
    """Runs that go together; none at all of the first, which asks for a worker."""

    ids: list[int]
    grouped: bool = False
    blocks: int = 0
    tries: int = 0
    feeds: str = ""  # the worker for which the parcel goes with it


class Workers(Here):
    """An executor while it trains the runs of a sweep.

    Args:
        plan: of the sweep.
        executor: anything with the interface of `concurrent.futures.Executor`, or a
            function that makes one, which is called again if its workers' death breaks
            it.

    Attributes:
        failed: by the number of a run that is given up, why.
        device: what the last runs ran on, in words.

    Raises:
        TypeError: if it is neither, or a recipe cannot travel.
        ValueError: if its processes would be forked.
    """

    def __init__(self, plan: Plan, executor: Any):
        made = hasattr(executor, "submit") and not isinstance(executor, type)
        if not (made or callable(executor)):
            raise TypeError(
                "executor must have the interface of concurrent.futures.Executor, or "
                f"be a function that makes one, got {shown(executor)}."
            )
        super().__init__(plan)
        self.content = written(plan)
        self.name = blake2b(self.content, digest_size=16).hexdigest()
        self.make: Any = None if made else executor
        self.executor: Any = executor if made else executor()
        _check_not_forked(self.executor)
        self.failed: dict[int, str] = {}
        self.seen: set[str] = set()
        self.least = self.most = 1  # blocks of a chunk
        self.blocks: deque[tuple[Program, list[int]]] = deque()
        self.ready: deque[_Chunk] = deque()
        self.last: deque[_Chunk] = deque()  # their last try, alone: nobody else's fault
        self.held: list[_Chunk] = []  # until a parcel has arrived
        self.flying: dict[Any, _Chunk] = {}
        self.landed: SimpleQueue[Any] = SimpleQueue()

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Nothing: a worker compiles what it is to run."""

    def results(self, jobs: Sequence[Job]) -> Generator[dict[int, RunResult]]:
        """Train the runs; yield those of each chunk."""
        for job in jobs:
            queues = queues_of(job, self.plan)
            self.blocks += [(job.program, ids) for queue in queues for ids in queue]
        self.ready += [_Chunk([])] if jobs else []
        try:
            while self._send() or self.flying:
                try:
                    future = self.landed.get(timeout=PATIENCE)
                except Empty:
                    warn(f"no worker has answered for {PATIENCE:g} s; the sweep waits.")
                    continue
                yield from self._answered(self.flying.pop(future), future)
        finally:
            for future in self.flying:
                future.cancel()
            if self.make:
                self.executor.shutdown(wait=False)

    def _send(self) -> bool:
        """Keep all workers busy, as far as they are known; whether any chunk went."""
        room = SPARE + 2 * len(self.seen) if self.seen else 1
        sent = False
        while len(self.flying) + len(self.held) < room and (chunk := self._next()):
            self._submit(chunk)
            sent = True
        return sent

    def _next(self) -> _Chunk | None:
        if self.ready:
            return self.ready.popleft()
        if self.blocks:
            return self._cut()
        return self.last.popleft() if self.last and not self.flying else None

    def _cut(self) -> _Chunk:
        """The next blocks of one program, fewer towards the end."""
        share = -(-len(self.blocks) // (2 * len(self.seen)))
        program = self.blocks[0][0]
        chunk = _Chunk([], program.group > 1)
        most = max(self.least, min(self.most, share))
        while self.blocks and self.blocks[0][0] is program and chunk.blocks < most:
            chunk.ids += self.blocks.popleft()[1]
            chunk.blocks += 1
        return chunk

    def _submit(self, chunk: _Chunk) -> None:
        runs, kept = [self.plan.runs[i] for i in chunk.ids], self.plan.kept
        # whether variables are kept at all is a matter of the program
        own = kept & {run.seed for run in runs} or set(islice(kept, 1))
        workers = getattr(self.executor, "_max_workers", None)  # of pools of processes
        call = (
            run_chunk,
            Task(self.name, runs, own, workers, chunk.grouped),
            self.content if chunk.feeds else None,
        )
        try:
            future = self._sent(*call)
        except BrokenExecutor as error:
            if not self.make:
                error.add_note(
                    "A worker died, and such an executor takes no more work then; give "
                    "sweep a function that makes it, such as executor=lambda: "
                    "ProcessPoolExecutor(2, mp_context=get_context('spawn'))."
                )
                raise
            self.executor = self.make()
            future = self._sent(*call)
        self.flying[future] = chunk
        future.add_done_callback(self.landed.put)

    def _sent(self, *call: Any) -> Any:
        with warnings.catch_warnings():  # Dask's, of what is sent once a worker
            warnings.filterwarnings("ignore", "Sending large graph")
            return self.executor.submit(*call)

    def _answered(self, chunk: _Chunk, future: Any) -> Iterator[dict[int, RunResult]]:
        if chunk.feeds:  # the parcel has arrived, or is lost
            chunk.feeds = ""
            self.ready += self.held
            self.held = []
        if error := _error_of(future):
            self._failed(chunk, error)
            return
        answer: Answer = future.result()
        self.seen.add(answer.worker)
        self.least = answer.mesh
        if answer.results is not None:
            self.device = answer.device
            self.most = int(CHUNK_SECONDS * chunk.blocks / max(answer.seconds, 1e-9))
            yield dict(zip(chunk.ids, answer.results, strict=True))
        elif chunk.ids:
            fed = {each.feeds for each in self.flying.values()}
            if answer.worker in fed:
                self.held.append(chunk)
            else:
                chunk.feeds = answer.worker
                self._submit(chunk)

    def _failed(self, chunk: _Chunk, error: BaseException) -> None:
        chunk.tries += 1
        if chunk.tries < TRIES:
            alone = chunk.ids and chunk.tries == TRIES - 1
            (self.last if alone else self.ready).append(chunk)
        elif chunk.ids:
            why = f"{type(error).__name__}: {error}"
            self.failed |= dict.fromkeys(chunk.ids, why)
        else:
            raise error


def _check_not_forked(executor: Any) -> None:
    """Refuse processes that begin as copies of this one: JAX stands still in them."""
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "executor must start its processes afresh, as JAX stands still in a forked "
            "one: ProcessPoolExecutor(2, mp_context=get_context('spawn')), with "
            "get_context of multiprocessing."
        )


def _error_of(future: Any) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError as error:
        return error
