"""What a sweep finds in a store, and puts into it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxnoise.checks import warn_once
from jaxnoise.data.sets import facts_of
from jaxnoise.results import RunResult, strength_columns
from jaxnoise.store.arrays import packed, packed_tree
from jaxnoise.store.checkpoints import Checkpoint, Checkpoints
from jaxnoise.store.file import File, Setup, StoredRun, digest
from jaxnoise.store.store import read_results, variables_at
from jaxnoise.training.fingerprint import changed, data_hash, parts_of, recipe_hash
from jaxnoise.training.pieces import Saved
from jaxnoise.training.plan import Plan, Run
from jaxnoise.training.program import Job


class Kept:
    """The runs of a sweep that a file has already, and those that it gets.

    Args:
        file: open, to be written.
        plan: of the sweep.
        jobs: programs and the numbers of their runs.
        version: what the user calls the recipes.
        extend: whether runs of fewer epochs give way to these.

    Raises:
        ValueError: if the file has runs of the same placement that were made otherwise.
    """

    def __init__(
        self,
        file: File,
        plan: Plan,
        jobs: Sequence[Job],
        version: str,
        extend: bool,
    ):
        self.file, self.plan = file, plan
        if file.journal not in ("wal", ""):
            warn_once(
                f"store {file.path}: its file system has no shared memory, so that "
                "SQLite keeps a plain journal: as safe, but others wait while one "
                "writes; write from one machine alone."
            )
        self.kept_epochs = plan.pieces.keep_at if plan.pieces else ()
        self.setups = _setups(plan, jobs, version)
        for asked, there in file.add_setups(self.setups.values()):
            path = str(file.path)
            raise ValueError(
                f"store {path}: has runs of {asked.placement!r} of another "
                f"{changed(asked.parts, there.parts)}, which are not mixed with these; "
                f"give another path, or delete them first, jn.Store({path!r})"
                f".forget(placement={asked.placement!r})."
            )
        self.keys = [_key(self._setup(run).id, run) for run in plan.runs]
        self.shorter: dict[tuple[str, int], list[str]] = {}
        for name, there in (file.setups() if extend else {}).items():
            if there.epochs < plan.settings.epochs:
                self.shorter.setdefault(there[:2], []).append(name)
        checkpoints = plan.pieces.checkpoints if plan.pieces else None
        self.states = (
            SavedStates(self, jobs, checkpoints, extend) if checkpoints else None
        )

    def found(self) -> dict[int, RunResult]:
        """The runs that are there, with all that is asked of them, by their numbers."""
        numbers = {key: i for i, key in enumerate(self.keys)}
        stored = self.file.runs(self.file.setups(), self.keys)
        runs = {numbers[run.key]: run for run in stored}
        kept = {i for i in runs if self.plan.runs[i].seed in self.plan.kept}
        asked = {"variables", *map(variables_at, self.kept_epochs)}
        lacking = {i for i in kept if not asked <= set(runs[i].arrays)}
        found = {i: run for i, run in runs.items() if i not in lacking}
        with_variables = [found[i] for i in kept - lacking]
        results = read_results(
            self.file, list(found.values()), with_variables, self.kept_epochs
        )
        self.file.add_runs([], self._shorter(found))
        return dict(zip(found, results, strict=True))

    def add(self, results: Mapping[int, RunResult], device: str) -> None:
        """Runs that have finished on a device, in one transaction."""
        rows, less = [], self._shorter(results)
        for i, result in results.items():
            arrays = {"curves": packed(result.curves)}
            if result.rows is not None:
                arrays["rows"] = packed({n: _bits(v) for n, v in result.rows.items()})
            if result.variables is not None:
                arrays["variables"] = packed_tree(result.variables)
                for epoch, variables in (result.variables_at or {}).items():
                    arrays[variables_at(epoch)] = packed_tree(variables)
                less.append(self.keys[i])  # may be there without them
            rows.append((self._row(i, result, device, list(arrays)), arrays))
        self.file.add_runs(rows, less)

    def resumed(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs, parted by the checkpoints that their runs go on from."""
        return self.states.resumed(jobs) if self.states else list(jobs)

    def _setup(self, run: Run) -> Setup:
        return self.setups[run.placement, run.split]

    def _shorter(self, numbers: Iterable[int]) -> list[str]:
        """Keys of the same runs of fewer epochs, where they are to go."""
        runs = [self.plan.runs[i] for i in numbers]
        return [
            _key(name, run)
            for run in runs
            for name in self.shorter.get((run.placement, run.split), ())
        ]

    def _row(
        self, i: int, result: RunResult, device: str, arrays: list[str]
    ) -> StoredRun:
        run = self.plan.runs[i]
        setup = self._setup(run)
        return StoredRun(
            self.keys[i],
            setup.id,
            strength_columns(run.strength),
            run.seed,
            bool(result.finite),
            device,
            arrays,
            {name: float(result.metrics[name]) for name in setup.metrics},
        )


class SavedStates:
    """The states of a sweep's runs in their checkpoints.

    Args:
        kept: the runs in the store.
        jobs: programs and the numbers of their runs.
        checkpoints: beside the store.
        extend: whether those of runs of fewer epochs are gone on from.
    """

    def __init__(
        self, kept: Kept, jobs: Sequence[Job], checkpoints: Checkpoints, extend: bool
    ):
        self.checkpoints, self.keys, self.plan = checkpoints, kept.keys, kept.plan
        self.file, self.kept_epochs = kept.file, kept.kept_epochs
        self.labels = _labels(kept.setups, jobs, self.plan)
        epochs = self.plan.settings.epochs
        self.latest: dict[str, Checkpoint] = {}  # by label
        for each in sorted(checkpoints, key=lambda each: each.done):
            if each.epochs == epochs or (extend and each.epochs < epochs):
                self.latest |= dict.fromkeys(each.labels, each)

    def resumed(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs, parted by the checkpoints that their runs go on from."""
        groups: dict[Any, Job] = {}
        for program, ids, _ in jobs:
            for i in ids:
                checkpoint = self.latest.get(self.labels[i])
                if checkpoint and not self._has_variables(checkpoint):
                    checkpoint = None
                at = program, checkpoint and checkpoint.path
                groups.setdefault(at, Job(program, [], checkpoint)).ids.append(i)
        return list(groups.values())

    def _has_variables(self, checkpoint: Checkpoint) -> bool:
        """Those that are to be kept until then."""
        asked = {e for e in self.kept_epochs if e <= checkpoint.done}
        return asked <= set(checkpoint.kept)

    def save(self, ids: list[int], saved: Saved) -> None:
        """Instead of earlier ones of these runs."""
        labels = [self.labels[i] for i in ids]
        about = {
            "labels": labels,
            "keys": [self.keys[i] for i in ids],
            "epochs": self.plan.settings.epochs,
            "done": saved.done,
            "kept": saved.kept,
        }
        with self.file.transaction():  # one process saves at a time
            new = self.checkpoints.save(about, saved.rows)
            before = [self.latest[label] for label in labels if label in self.latest]
            self.latest |= dict.fromkeys(labels, new)
            used = {each.path for each in self.latest.values()}
            self.checkpoints.remove({each.path for each in before} - used)

    def saved(self, ids: list[int], checkpoint: Checkpoint) -> Saved | None:
        """As it was saved, or None if that cannot be read."""
        rows = self.checkpoints.read(checkpoint)
        if rows is None:
            return None
        at = [checkpoint.labels.index(self.labels[i]) for i in ids]
        rows = {name: each[at] for name, each in rows.items()}
        return Saved(checkpoint.done, checkpoint.kept, rows)


def _labels(
    setups: Mapping[tuple[str, int], Setup], jobs: Sequence[Job], plan: Plan
) -> dict[int, str]:
    """Of each run, a key that is the same for every number of epochs."""
    labels = {}
    for program, ids, _ in jobs:
        recipe = {"recipe": recipe_hash(program, for_all_epochs=True)}
        for i in ids:
            run = plan.runs[i]
            setup = setups[run.placement, run.split]
            same = setup._replace(epochs=0, parts=setup.parts | recipe)
            labels[i] = _key(same.id, run)
    return labels


def _bits(values: np.ndarray) -> np.ndarray:
    """Values of rows that are right or wrong take a byte each."""
    return values.astype(bool) if ((values == 0) | (values == 1)).all() else values


def _setups(
    plan: Plan, jobs: Sequence[Job], version: str
) -> dict[tuple[str, int], Setup]:
    """By placement and split."""
    hashes, settings = [data_hash(split) for split in plan.splits], plan.settings
    setups = {}
    for program, ids, _ in jobs:
        places = [(plan.runs[i].placement, plan.runs[i].split) for i in ids]
        for placement, number in dict.fromkeys(places):
            split = plan.splits[number]
            parts = parts_of(program, settings, split, hashes[number], version)
            setups[placement, number] = Setup(
                placement,
                number,
                int(settings.epochs),
                parts,
                facts_of(split),
                program.metrics,
            )
    return setups


def _key(setup: str, run: Run) -> str:
    """Of all that determines the numbers: strengths as float32, as they are used."""
    strength = strength_columns(run.strength)
    bits = {name: np.float32(leaf).tobytes().hex() for name, leaf in strength.items()}
    return digest(setup, bits, run.seed)
