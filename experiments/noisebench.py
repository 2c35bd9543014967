"""Does noise in training help a network on small real data? Sixty sets, equal terms.

    python experiments/noisebench.py

trains the network of `jn.NoisyMLPClassifier` on 20 paired divisions of every data set
that `jn.data.tables` lists, without noise, with eight kinds of it, and with its rivals,
as noisebench.toml says. The validation rows of a division choose among eight candidates
of each by the metric that judges on its test rows. Every run is kept, so that the same
command goes on after a kill. All scores go into noisebench.parquet in ``--out``, and
what they say into noisebench.md; ``--again`` makes that page anew, and trains nothing.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import _options as o
import pandas as pd
from _files import FAILED, try_replacing
from _noisebench.page import Page, write
from _noisebench.plan import CHECK, OTHERS, PLAN, TRAINED, TUNED
from _noisebench.scores import as_file, as_small, scores_of

import jaxnoise as jn
from jaxnoise.training.devices import core_count

NAME = "noisebench"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked."""
    parser = o.Parser(f"{NAME}.py", __doc__)
    names, ways = list(jn.data.tables()["name"]), [*TRAINED, *OTHERS]
    several = {"nargs": "+", "metavar": "NAME"}
    parser.option("--sets", str, names, "data sets", choices=names, **several)
    told = "what is compared with the tuned network"
    parser.option("--methods", str, ways, told, choices=ways, **several)
    told = "labelled rows in all, of which a third choose"
    sizes = PLAN["protocol"]["train_size"]
    rows = o.number(int, "an int from 6 to 3072", lambda n: 6 <= n <= 3072)
    parser.option("--train-size", rows, sizes, told, nargs="+", metavar="N")
    told = "processes, each of which takes whole sets"
    parser.option("--executor", o.count, core_count(), told)
    parser.option("--out", Path, Path(f"results/{NAME}"), "where files go")
    parser.switch("--fresh", "train all again; stores are renamed, never deleted")
    parser.switch("--again", "make the page of the scores in --out, and train nothing")
    parser.switch("--quick", "toy size: two sets and two methods")
    if parser.parse_args(argv).quick:
        toy = {n: PLAN["quick"][n] for n in ("sets", "methods", "train_size")}
        parser.set_defaults(**toy, out=Path(f"results/{NAME}-quick"))
    options = parser.parse_args(argv)
    options.out = o.writable_directory(parser, options.out)
    options.protocol = PLAN["protocol"] | (PLAN["quick"] if options.quick else {})
    decides = json.dumps([options.protocol, TRAINED, OTHERS])
    options.digest = blake2b(decides.encode(), digest_size=3).hexdigest()
    if options.again and not (options.out / f"{NAME}.parquet").exists():
        parser.error(f"argument --again: no scores are in {options.out}")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is not there, compare, and write the page; the exit code."""
    options = parse(argv)
    failed, file = "", options.out / f"{NAME}.parquet"
    parts: list[Path] = []
    for _ in () if options.again else trained(options):
        parts = sorted(options.out.glob(f"*-{options.digest}.parquet"))
        if parts:
            scores = pd.concat(map(pd.read_parquet, parts), ignore_index=True)
            failed = try_replacing(file, partial(as_file, as_small(scores)))
    if not (parts or options.again):
        print("error: no set has that many rows", file=sys.stderr)
        return FAILED
    about = Page(PLAN["noises"], TUNED, CHECK)
    failed += write(pd.read_parquet(file), about, options.out, NAME)
    print(f"files in {options.out}")
    return FAILED if failed else 0


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


if __name__ == "__main__":
    o.run(main)
