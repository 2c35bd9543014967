"""Sweeps with a store and on processes, and the opening of a large store.

All train the tutorial's network with noise before its activation, without curves.
"""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

from circles_contenders import sweep_of, tutorials
from worker import Contender, Options

HALF = "import sys, json, store_contenders as s; s.half(json.loads(sys.argv[1]))"


@cache
def recipe() -> Any:
    """One object, so that it is compiled once."""
    return tutorials("hidden", 500)


def circles(options: Options, **more: Any) -> None:
    """The sweep that all repeat."""
    import jaxnoise as jn

    sweep_of(recipe(), jn.data.circles(), options, curves=(), **more)


def sweep(options: Options) -> Contender:
    """Here, with a new store a repeat or with none."""
    path = Path(options["folder"]) / "sweep.sqlite"

    def repeat() -> None:
        path.unlink(missing_ok=True)
        circles(options, store=path if options["stored"] else None)

    repeat()
    return repeat, {}


def half(options: Options) -> None:
    """Be killed once half of the runs are stored."""

    def kill(done: int, total: int) -> None:
        if 2 * done >= total:
            os.kill(os.getpid(), signal.SIGKILL)

    circles(options, store=options["path"], progress=kill)


def resume(options: Options) -> Contender:
    """The rest of a sweep whose process was killed half-way."""
    import jaxnoise as jn

    path, rest = (str(Path(options["folder"]) / name) for name in ("half", "rest"))
    command = [sys.executable, "-c", HALF, json.dumps({**options, "path": path})]
    subprocess.run(command, cwd=Path(__file__).parent)
    done = len(jn.Store(path).runs)

    def repeat() -> None:
        shutil.copy(path, rest)
        circles(options, store=rest)

    repeat()
    return repeat, {"runs_before": done}


def executor(options: Options) -> Contender:
    """On processes, which compile in the first repeat of all."""
    import cloudpickle  # noqa: F401 # the recipe is a closure

    os.environ["OMP_NUM_THREADS"] = options["cores"]
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(options["workers"], context, end_with_parent)

    def repeat() -> None:
        circles(options, executor=pool)

    repeat()
    repeat()  # each process has compiled by now
    return repeat, {}


def end_with_parent() -> None:
    """The pool's processes would outlive one that is killed."""

    def wait() -> None:
        multiprocessing.parent_process().join()  # type: ignore[union-attr]
        os._exit(0)

    Thread(target=wait, daemon=True).start()


def opening(options: Options) -> Contender:
    """A store of many runs is opened and listed."""
    import jaxnoise as jn
    from jaxnoise.store.file import File, Setup, StoredRun

    path = Path(options["folder"]) / "large.sqlite"
    names = ["test_loss", "test_accuracy"]
    setup = Setup("hidden", 0, 100, {"metrics_every": 1}, {}, names)

    def stored(seed: int) -> StoredRun:
        values, of = dict.fromkeys(names, seed / 7), setup.id
        at = {"strength": 0.1}
        return StoredRun(f"{seed}", of, at, seed, True, "1 x cpu", [], values)

    with File(path, write=True) as file:
        file.add_setups([setup])
        file.add_runs([(stored(seed), {}) for seed in range(options["runs"])])
    return lambda: len(jn.Store(path).runs), {}


CONTENDERS = {
    "sweep": sweep,
    "resume": resume,
    "executor": executor,
    "opening": opening,
}
