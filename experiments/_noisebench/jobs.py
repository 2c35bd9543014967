"""Sets side by side: a process on each core, and how far they are."""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import Any

import jaxnoise as jn
from _noisebench.scores import scores_of


def trained(options: argparse.Namespace) -> Iterator[None]:
    """All sets, of their sizes, side by side, with a line on each and what is left."""
    jobs = [(name, size) for size in options.train_size for name in options.sets]
    began, busy = time.monotonic(), 0
    with each_job(jobs, options) as done:
        for count, (name, size, told) in enumerate(done, start=1):
            seconds = time.monotonic() - began
            busy += "runs" in told  # what was there took no time
            left = seconds / max(busy, 1) * (len(jobs) - count) * bool(busy) / 60
            state = f"{count} of {len(jobs)}, {seconds:.0f} s, {left:.0f} min left"
            print(f"{name}, {size} rows: {told}; {state}", flush=True)
            yield


@contextmanager
def each_job(
    jobs: Sequence[tuple[str, int]], options: argparse.Namespace
) -> Iterator[Iterator[tuple[str, int, str]]]:
    """What was done in every job, as it ends, by as many processes as are asked for."""
    if options.executor == 1:
        jn.use_all_cores()
        yield (do(options, *job) for job in jobs)
        return
    spawn = get_context("spawn")
    started = spawn.Value("i", 0)
    with ProcessPoolExecutor(options.executor, spawn, take_core, (started,)) as pool:
        futures = [pool.submit(do, options, *job) for job in jobs]
        try:
            yield (future.result() for future in as_completed(futures))
        except BaseException:
            for child in active_children():  # which would finish what they have
                child.terminate()
            raise


def take_core(started: Any) -> None:
    """A core of the process' own, where that can be said: JAX asks how many there are.

    Else the threads of every process would wait for each other on all cores.
    """
    if hasattr(os, "sched_setaffinity"):
        with started.get_lock():
            number, started.value = started.value, started.value + 1
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def do(options: argparse.Namespace, name: str, size: int) -> tuple[str, int, str]:
    """A set of a size."""
    jn.use_cache()
    return name, size, scores_of(name, size, options)[0]
