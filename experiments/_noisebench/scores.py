"""The scores of all methods on a set: trained, chosen and kept."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _files import store_of, try_replacing
from _rivals import methods, with_own_strengths

import jaxnoise as jn
from _noisebench.network import RATE, measures_of, recipe_of
from _noisebench.others import tuned
from _noisebench.plan import (
    OF_CLASSES,
    OF_RATES,
    OTHERS,
    PROGRAMS,
    TRAINED,
    TUNED,
    can_have,
    candidates,
    cells_of,
    grids_of,
    rates_of,
)
from _noisebench.sets import SETS, divisions


def scores_of(
    name: str, size: int, options: argparse.Namespace
) -> tuple[str, pd.DataFrame]:
    """What was done, and the scores of all methods on every division of a set."""
    classes = int(SETS["classes"][name])
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
        seconds=found["placement"].map(seconds_of(known) | seconds | of_others),
    )
    columns = ["set", "size", "method", "split", *measures_of(classes), "seconds"]
    scores = as_small(scores[columns])
    try_replacing(file, partial(as_file, scores))
    return f"{len(result.runs)} runs", scores


def seconds_of(known: pd.DataFrame) -> dict[str, float]:
    """What was measured before, by method."""
    if known.empty:
        return {}
    return known.dropna(subset="seconds").groupby("method")["seconds"].first().to_dict()


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
    if RATE in seconds:
        of_rate = seconds[RATE] / len(grids[RATE])
        rates = {m: len({*rates_of(m)}) for m in asked if m in OF_RATES}
        seconds |= {method: count * of_rate for method, count in rates.items()}
    result = jn.concat(results) if len(results) > 1 else results[0]
    own = replace(result, runs=with_own_strengths(result.runs, grids))
    return own, seconds if fresh else {}  # what was there took none


def cell(classes: int, protocol: Mapping[str, Any], strength: Any) -> jn.Recipe:
    """The recipe with all parts of a program at their strengths."""
    own = {k: v for k, v in strength.items() if classes or k not in OF_CLASSES}
    return recipe_of(classes, protocol, own)


def as_small(scores: pd.DataFrame) -> pd.DataFrame:
    """In types that take little room; float32 has more digits than scores mean."""
    kinds: dict[str, Any] = dict.fromkeys(scores.select_dtypes(float), np.float32)
    return scores.astype(kinds | {"set": str, "method": str})


def as_file(scores: pd.DataFrame, path: Path) -> None:
    """A table as a small file."""
    scores.to_parquet(path, compression="zstd", index=False)
