"""`Store`: what a file of finished runs holds, as a table and as results."""

import os
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.data.sets import joined_facts
from jaxnoise.results import (
    RunResult,
    SweepResult,
    cell_columns,
    in_order,
    runs_table,
    stacked_curves,
    stacked_rows,
    strengths_of,
    variables_by_epoch,
)
from jaxnoise.store.arrays import unpacked, unpacked_tree
from jaxnoise.store.checkpoints import Checkpoints
from jaxnoise.store.file import AT_ONCE, File, Setup, StoredRun

TABLED = 2_000  # runs at once: they are larger than a table's rows
AT = "variables at "  # what arrays of variables at an epoch are named
UNKNOWN: dict[str, Any] = {"overlap": None, "outer": None, "majority": {}, "rows": {}}


class Store:
    """The finished runs in a file that `jaxnoise.sweep` has written.

    It can be asked while a sweep writes. The file is SQLite: a row a run in its table
    ``runs``, with the metrics as columns.

    Args:
        path: of the file.

    Raises:
        StoreError: if the file is not there, not a store, damaged, or newer than this
            version.

    Example:
        >>> import tempfile, optax, jaxnoise as jn
        >>> def recipe(stddev):
        ...     return jn.Recipe(
        ...         model=jn.MLP((8,), 1, hidden_noise=jn.GaussianNoise(stddev)),
        ...         loss=jn.losses.binary_cross_entropy,
        ...         optimizer=optax.adam(1e-2),
        ...     )
        >>> path = f"{tempfile.mkdtemp()}/results.sqlite"
        >>> arguments = dict(
        ...     strengths={"hidden": [0.1, 0.3]}, data=jn.data.circles(),
        ...     epochs=2, batch_size=32, store=path,
        ... )
        >>> recipes = {"none": recipe, "hidden": recipe}
        >>> result = jn.sweep(recipes, seeds=2, **arguments)
        >>> more = jn.sweep(recipes, seeds=3, **arguments)  # trains one seed alone
        >>> store = jn.Store(path)
        >>> len(store.runs), len(store.result("hidden", seed=[0, 1]).runs)
        (9, 4)
        >>> store.verify()
        9
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        File(self.path).close()

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        runs = self.runs
        cells = strengths_of(runs[cell_columns(runs)]) if len(runs) else "none"
        return (
            f"Store {self.path}: {len(runs)} runs\n  placements and strengths: {cells}"
        )

    @property
    def runs(self) -> pd.DataFrame:
        """All of them: a row a run as in `SweepResult`, with the epochs of each."""
        with File(self.path) as file:
            return _listed(file)[0]

    def result(
        self,
        placement: Any = None,
        strength: Any = None,
        seed: Any = None,
        split: Any = None,
        epochs: int | None = None,
    ) -> SweepResult:
        """All runs, or those with these values, with their curves and variables.

        Args:
            placement: as in `SweepResult.where`, like the next three.
            strength: a number or several.
            seed: an int or several.
            split: an int or several.
            epochs: of training, where the store has runs of several numbers of them.

        Returns:
            A `SweepResult`, ordered by placement as they came, then by strength, seed
            and split. It is complete as far as the store knows.

        Raises:
            ValueError: if a value is that of no run, or the runs do not go together:
                they were trained for different epochs or on different data.
        """
        with File(self.path) as file:
            table, keys, setups = _listed(file)
            found = _chosen(table, keys, placement, strength, seed, split, epochs)
            by_key = {run.key: run for run in file.runs(setups, found.variables)}
            runs = [by_key[key] for key in found.variables]
            used = {run.setup: setups[run.setup] for run in runs}
            _check_together(list(used.values()))
            names = {name for run in runs for name in run.arrays}
            kept_at = sorted(int(n[len(AT) :]) for n in names if n.startswith(AT))
            results = read_results(file, runs, runs, kept_at)
        first = next(iter(used.values()))
        every = first.parts["metrics_every"]
        part = found.runs.drop(columns="epochs")
        facts = {setup.split: setup.facts for setup in setups.values()}
        facts |= {setup.split: setup.facts for setup in used.values()}
        part.attrs = joined_facts(
            [facts.get(i, UNKNOWN) for i in range(1 + max(facts))]
        )
        return replace(
            found,
            runs=part,
            curves=stacked_curves(results),
            epochs=np.arange(every, first.epochs + 1, every),
            device=", ".join(sorted({run.device for run in runs})),
            variables=tuple(result.variables for result in results),
            rows=stacked_rows(results),
            variables_at=variables_by_epoch(results),
        )

    def forget(
        self,
        placement: Any = None,
        strength: Any = None,
        seed: Any = None,
        split: Any = None,
        epochs: int | None = None,
    ) -> int:
        """Delete the runs with these values, and return how many they were.

        Args:
            placement: as in `result`, like the others.
            strength: a number or several.
            seed: an int or several.
            split: an int or several.
            epochs: of training.

        Raises:
            ValueError: if nothing is given, or a value is that of no run.
        """
        given = (placement, strength, seed, split, epochs)
        if given == (None,) * len(given):
            raise ValueError("forget must be told which runs, such as placement='a'.")
        with File(self.path, write=True) as file:
            table, all_keys, setups = _listed(file)
            found = _chosen(table, all_keys, *given)
            keys, names = found.variables, ["placement", "split", "epochs"]
            used = {*found.runs[names].itertuples(index=False, name=None)}
            file.forget(keys, [name for name, s in setups.items() if s[:3] in used])
        Checkpoints(self.path).forget(keys)
        return len(keys)

    def verify(self) -> int:
        """Check every page and checksum, and return the number of runs.

        Raises:
            StoreError: if anything in the file is not as it was written.
        """
        with File(self.path) as file:
            file.check()
            runs, count = file.runs(file.setups()), 0
            while few := list(islice(runs, AT_ONCE)):
                count += len(few)
                for name in {name for run in few for name in run.arrays}:
                    deque(file.arrays(name, few), maxlen=0)
        return count

    def to_csv(self, path: str | Path) -> None:
        """Write the table of runs as text, in which floats keep all their digits.

        Args:
            path: of the new file.
        """
        self.runs.to_csv(path, index=False)

    def to_parquet(self, path: str | Path) -> None:
        """Write the table of runs as Parquet, which takes the extra ``parquet``.

        Args:
            path: of the new file.

        Raises:
            ImportError: without pyarrow.
        """
        self.runs.to_parquet(path, index=False)


def variables_at(epoch: int) -> str:
    """The name of the array."""
    return f"{AT}{epoch}"


def read_results(
    file: File,
    runs: Sequence[StoredRun],
    kept: Sequence[StoredRun],
    epochs: Sequence[int],
) -> list[RunResult]:
    """The runs with their curves, and with the variables of those that are kept.

    Also those at some epochs.
    """
    with file.told():
        found = {
            name: {
                key: unpacked(content)[0] for key, content in file.arrays(name, runs)
            }
            for name in ("curves", "rows")
        }

        def trees(name: str) -> dict[str, Any]:
            arrays = file.arrays(name, kept)
            return {key: unpacked_tree(content) for key, content in arrays}

        variables = trees("variables")
        at = {epoch: trees(variables_at(epoch)) for epoch in epochs}
        parts: list[tuple[Any, ...]] = [
            (
                OrderedDict(run.metrics),
                OrderedDict(found["curves"][run.key]),
                variables.get(run.key),
                run.finite,
                None,
                found["rows"].get(run.key),
                {e: trees[run.key] for e, trees in at.items() if run.key in trees}
                or None,
            )
            for run in runs
        ]
    return [RunResult(*each) for each in parts]


def _listed(file: File) -> tuple[pd.DataFrame, list[str], dict[str, Setup]]:
    """The table of all runs, and their keys in its order."""
    setups = file.setups()
    runs = file.runs(setups)
    keys: list[str] = []
    tables: list[pd.DataFrame] = []
    while few := list(islice(runs, TABLED)):
        keys += [run.key for run in few]
        tables.append(runs_table([_columns(run, setups) for run in few], few))
    if not keys:
        empty = pd.DataFrame(columns=["placement", "seed", "split", "epochs", "finite"])
        return empty, keys, setups
    table = in_order(pd.concat(tables, ignore_index=True))
    ranks = {s.placement: -i for i, s in enumerate(reversed(setups.values()))}

    def rank(column: pd.Series) -> pd.Series:
        return column.map(ranks) if column.name == "placement" else column

    order = table.sort_values(
        [*cell_columns(table), "seed", "split", "epochs"], key=rank, kind="stable"
    ).index
    return table.loc[order].reset_index(drop=True), [keys[i] for i in order], setups


def _columns(run: StoredRun, setups: Mapping[str, Setup]) -> dict[str, Any]:
    placement, split, epochs, *_ = setups[run.setup]
    seed = {"seed": run.seed, "split": split, "epochs": epochs}
    return {"placement": placement, **run.strength, **seed}


def _chosen(table: pd.DataFrame, keys: Sequence[str], *given: Any) -> SweepResult:
    """The runs with these values; in the place of variables it has their keys."""
    *values, epochs = given
    if table.empty:
        raise ValueError("the store must have finished runs, got none.")
    rows = np.full(len(table), True) if epochs is None else table["epochs"] == epochs
    if not rows.any():
        there = ", ".join(map(str, table["epochs"].unique()))
        raise ValueError(f"epochs must be of the runs, such as {there}, got {epochs}.")
    rows = np.flatnonzero(rows)
    everything = SweepResult(
        runs=table.iloc[rows],
        curves={},
        epochs=np.arange(0),
        variables=tuple(keys[row] for row in rows),
        complete=True,
        compile_seconds=0.0,
        run_seconds=0.0,
        device="",
    )
    return everything.where(*values)


def _check_together(setups: Sequence[Setup]) -> None:
    """Refuse runs that no sweep would have made side by side."""
    epochs = sorted({setup.epochs for setup in setups})
    if len(epochs) > 1:
        listed = ", ".join(map(str, epochs))
        raise ValueError(f"epochs must be one of {listed}, as there are runs of each.")
    every = {setup.parts["metrics_every"] for setup in setups}
    data = {(setup.split, setup.parts["data"]) for setup in setups}
    if len(every) > 1 or len(data) > len({setup.split for setup in setups}):
        what = "data" if len(every) == 1 else "metrics_every"
        raise ValueError(f"the runs must have one {what}; choose by placement=.")
