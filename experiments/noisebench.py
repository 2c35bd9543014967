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
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import _options as o
import numpy as np
import pandas as pd
from _files import FAILED, store_of, try_replacing
from _noisebench.network import DECAY, LEARNING_RATE, measures_of, recipe_of
from _noisebench.others import tuned
from _noisebench.page import Page, write
from _recipes import parts_of
from _rivals import (
    ANY_NOISE,
    ANY_RIVAL,
    BY_LOSS,
    EARLY,
    NONE,
    Candidate,
    methods,
    with_own_strengths,
)

import jaxnoise as jn

NAME = "noisebench"
PLAN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
TRAINED = PLAN["noises"] | PLAN["rivals"] | PLAN["both"]
OTHERS = PLAN["others"]
CHECK = PLAN["check"]
TUNED = "learning rate and epochs"
OF_RATES = (TUNED, EARLY, BY_LOSS)  # candidates of runs that differ in learning rate
OF_CLASSES = ("label smoothing", "MLPClassifier")
PROGRAMS = (  # parts that share one; more than noise on units would slow them
    ("none", LEARNING_RATE),
    ("input", "hidden", "activation", "labels", "dropout", DECAY)
    + ("max-norm", "label smoothing", *PLAN["both"]),
    ("weights", "gradients"),
    ("swap", "mixup"),
    ("SAM",),
)
LEAST = 0.1  # deviation of a pixel or step, as a share of that of all
NOTHING = {
    LEARNING_RATE: 1.0,
    DECAY: PLAN["protocol"]["weight_decay"],
    "max-norm": 1e6,
}


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
    parser.option("--train-size", o.countable(6), sizes, told, nargs="+", metavar="N")
    told = "processes, each of which takes whole sets"
    parser.option("--executor", o.count, os.cpu_count(), told)
    parser.option("--out", Path, Path(f"results/{NAME}"), "where files go")
    parser.switch("--fresh", "train all again; stores are renamed, never deleted")
    parser.switch("--again", "make the page of the scores in --out, and train nothing")
    parser.switch("--quick", "toy size: two sets and two methods")
    if parser.parse_args(argv).quick:
        toy = {n: PLAN["quick"][n] for n in ("sets", "methods", "train_size")}
        parser.set_defaults(**toy)
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
    if not options.again:
        for _ in trained(options):
            parts = sorted(options.out.glob(f"*-{options.digest}.parquet"))
            if parts:
                scores = pd.concat(map(pd.read_parquet, parts), ignore_index=True)
                failed = try_replacing(file, partial(as_file, as_small(scores)))
    if not file.exists():
        print("error: no set has that many rows", file=sys.stderr)
        return FAILED
    about = Page(PLAN["noises"], PLAN["rivals"], TUNED, CHECK)
    failed += write(pd.read_parquet(file), about, options.out, NAME)
    print(f"files in {options.out}")
    return FAILED if failed else 0


def as_small(scores: pd.DataFrame) -> pd.DataFrame:
    """In types that take little room; float32 has more digits than scores mean."""
    kinds: dict[str, Any] = dict.fromkeys(scores.select_dtypes(float), np.float32)
    return scores.astype(kinds | {"set": str, "method": str})


def as_file(scores: pd.DataFrame, path: Path) -> None:
    """A table as a small file."""
    scores.to_parquet(path, compression="zstd", index=False)


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


def scores_of(
    name: str, size: int, options: argparse.Namespace
) -> tuple[str, pd.DataFrame]:
    """What was done, and the scores of all methods on every division of a set."""
    classes = int(jn.data.tables().set_index("name")["classes"][name])
    file = options.out / f"{name}-{size}-{options.digest}.parquet"
    known = pd.DataFrame()
    if file.exists() and not options.fresh:
        known = pd.read_parquet(file)
    asked = [m for m in options.methods if can_have(m, name, size, classes)]
    asked = [*dict.fromkeys([TUNED, *known.get("method", []), *asked])]
    asked = [method for method in asked if method in (*TRAINED, *OTHERS)]
    if {*asked} <= {*known.get("method", [])}:
        return "scores are there", known
    try:
        data = divisions(name, size, options.protocol)
    except ValueError as error:
        if not str(error).startswith(("train_size", "validation")):
            raise
        return "too few rows", known
    result, seconds = runs_of(name, size, classes, asked, data, options)
    ways = candidates([method for method in asked if method in TRAINED])
    grids = {method: OTHERS[method] for method in asked if method in OTHERS}
    others, of_others = tuned(grids, classes, data)
    found = methods(result, ways, measures_of(classes), others=others)
    scores = found.rename(columns=lambda column: column.removeprefix("test_")).assign(
        set=name,
        size=size,
        method=found["placement"],
        seconds=found["placement"].map(seconds | of_others),
    )
    columns = ["set", "size", "method", "split", *measures_of(classes), "seconds"]
    scores = as_small(scores[columns])
    try_replacing(file, partial(as_file, scores))
    return f"{len(result.runs)} runs", scores


def can_have(method: str, name: str, size: int, classes: int) -> bool:
    """Whether a method is for this kind of set; scikit-learn's network is for a few."""
    if method in OF_CLASSES and not classes:
        return False
    checked = name in CHECK["sets"] and size == CHECK["train_size"]
    return method != "MLPClassifier" or checked


def divisions(name: str, size: int, protocol: Mapping[str, Any]) -> list[jn.Data]:
    """The paired divisions of a set."""
    load = partial(division, name, protocol["test_rows"])
    sizes = {"train_size": size - size // 3, "validation": size // 3}
    return jn.data.draws(load, protocol["divisions"], **sizes)


def division(
    name: str, most: int, train_size: int, *, validation: int, seed: int
) -> jn.Data:
    """One of a set: rows of standardised columns, of which not too many judge."""
    data = jn.data.table(name, train_size, validation=validation, seed=seed)
    flat = {key: (rows_of(x), y) for key, (x, y) in data.items()}
    x, y = flat["test"]  # in stored order, which may be that of the classes
    at = np.sort(np.random.default_rng(seed).permutation(len(y))[:most])
    flat["test"] = x[at], y[at]
    if jn.data.tables().set_index("name")["kind"][name] != "table":
        x = flat["train"][0]
        stddev = np.maximum(x.std(0), LEAST * x.std())  # corners are nearly constant
        flat = {key: ((v - x.mean(0)) / stddev, y) for key, (v, y) in flat.items()}
    return jn.Data(**flat)


def rows_of(x: Any) -> np.ndarray:
    """Rows as vectors; of series of many lengths the padded values."""
    values = x[0] if isinstance(x, tuple) else x
    return np.reshape(values, (len(values), -1))


def runs_of(
    name: str,
    size: int,
    classes: int,
    asked: Sequence[str],
    data: Sequence[jn.Data],
    options: argparse.Namespace,
) -> tuple[jn.SweepResult, dict[str, float]]:
    """All runs of a set, in a few programs, and seconds of a division by method."""
    grids, protocol = grids_of(asked), options.protocol
    epochs = protocol["fewer_epochs"].get(str(size), protocol["epochs"])
    store = store_of(options, f"{name}-{size}-{options.digest}.sqlite")
    fresh, results, seconds = not store.exists(), [], dict[str, float]()
    for program in PROGRAMS:
        cells = cells_of(program, grids)
        if not cells:
            continue
        result = jn.sweep(
            dict.fromkeys(cells, partial(cell, classes, protocol)),
            strengths=cells,
            data=data,
            seeds=1,
            epochs=epochs,
            batch_size=protocol["batch_size"],
            curves=["validation", "test"] if "none" in cells else [],
            metrics_every=-(-epochs // protocol["points"]),
            store=store,
        )
        if not result.complete:
            raise KeyboardInterrupt
        results.append(result)
        took = result.run_seconds / len(result.runs)
        seconds |= {place: took * len(grid) for place, grid in cells.items()}
    if LEARNING_RATE in seconds:
        of_rate = seconds[LEARNING_RATE] / len(grids[LEARNING_RATE])
        rates = {m: len({*rates_of(m)}) for m in asked if m in OF_RATES}
        seconds |= {method: count * of_rate for method, count in rates.items()}
    result = jn.concat(results) if len(results) > 1 else results[0]
    own = replace(result, runs=with_own_strengths(result.runs, grids))
    return own, seconds if fresh else {}  # what was there took none


def cells_of(
    program: Sequence[str], grids: Mapping[str, Sequence[Any]]
) -> dict[str, list[Any]]:
    """The cells of a program, each with all of its parts, most of which do nothing.

    So it is the same program whatever methods are asked for.
    """
    names = [part for part in program if part not in ("none", *PLAN["both"])]
    neutral = {part: NOTHING.get(part, 0.0) for part in names}
    cells = {
        place: [neutral | parts_of(place, strength) for strength in grids[place]]
        for place in program
        if place in grids
    }
    return {"none": [neutral]} | cells if "none" in program else cells


def cell(classes: int, protocol: Mapping[str, Any], strength: Any) -> jn.Recipe:
    """The recipe with all parts of a program at their strengths."""
    own = {k: v for k, v in strength.items() if classes or k not in OF_CLASSES}
    return recipe_of(classes, protocol, own)


def grids_of(asked: Sequence[str]) -> dict[str, Sequence[Any]]:
    """What is trained for some methods: each place with its strengths."""
    grids = {
        method: TRAINED[method]
        for method in asked
        if method in TRAINED and method not in OF_RATES
    }
    rates = {rate for m in asked if m in OF_RATES for rate in rates_of(m)} - {1.0}
    return {LEARNING_RATE: sorted(rates)} | grids if rates else grids


def rates_of(method: str) -> list[float]:
    """The learning rates of a method's candidates, in their order."""
    return [each[0] if method == TUNED else each for each in TRAINED[method]]


def candidates(asked: Sequence[str]) -> dict[str, list[Candidate]]:
    """By method, what a division chooses from beside the network without any."""

    def at(rate: float, stop: Any) -> Candidate:
        return Candidate(NONE if rate == 1.0 else (LEARNING_RATE, rate), stop)

    found = {}
    for method in asked:
        grid = TRAINED[method]
        if method == TUNED:
            found[method] = [
                at(rate, share if share < 1 else None) for rate, share in grid
            ]
        elif method in OF_RATES:
            found[method] = [at(rate, method) for rate in grid]
        else:
            found[method] = [Candidate((method, strength)) for strength in grid]
    for name, part in {ANY_NOISE: "noises", ANY_RIVAL: "rivals"}.items():
        there = [each for method in PLAN[part] for each in found.get(method, [])]
        if there:
            found[name] = there
    return found


if __name__ == "__main__":
    o.run(main)
