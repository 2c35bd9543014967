"""The runs of a sweep: which they are, and how they are dealt out to devices.

`Run` is one run's identity, a `Plan` all that a sweep was asked for. `plan_runs` lists
the runs; `deal` cuts those that share a program into packs, one a device and call.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from jax.sharding import Mesh

from jaxnoise.checks import check_function, shown
from jaxnoise.data import Data
from jaxnoise.data.rows import check_seed
from jaxnoise.results import strength_columns
from jaxnoise.store.checkpoints import Checkpoints
from jaxnoise.training.recipe import RECIPE, Count, RecipeFn, Settings, as_count

OnMetrics = Callable[[pd.DataFrame, int, dict[str, np.ndarray]], None]

BASELINE_STRENGTH = 0.0
LEAST, MOST = (float(getattr(np.finfo(np.float32), end)) for end in ("tiny", "max"))


class Run(NamedTuple):
    """One training: its place in the comparison."""

    placement: str
    strength: Any
    seed: int
    split: int

    def columns(self) -> dict[str, Any]:
        """The identity as table columns; pytree strengths get a column a leaf."""
        place = {"placement": self.placement, **strength_columns(self.strength)}
        return place | {"seed": self.seed, "split": self.split}


@dataclass(frozen=True)
class Pieces:
    """Where runs are cut, and what is done there.

    Attributes:
        every: epochs of a piece, or None.
        keep_at: the epochs at which variables are kept.
        on_metrics: is told of the metrics, or None.
        checkpoints: where the state is saved, or None.
    """

    every: int | None = None
    keep_at: tuple[int, ...] = ()
    on_metrics: OnMetrics | None = None
    checkpoints: Checkpoints | None = None

    def cuts(self, epochs: Count) -> list[int]:
        """The epochs after which something is done, the last one among them."""
        regular = range(self.every, int(epochs), self.every) if self.every else ()
        return sorted({*regular, *self.keep_at, int(epochs)})


@dataclass(frozen=True)
class Plan:
    """A sweep of which nothing has run yet.

    Attributes:
        recipes: by placement.
        strengths: by placement, as they were given; those of others are 0.
        splits: the divisions of the data.
        runs: all of them, in their order; elsewhere they are named by their numbers.
        kept: the seeds of which variables are kept.
        settings: what all programs have in common.
        mesh: the devices.
        pieces: of the runs, where they are cut.
        grouped: whether runs of a seed share its draws; None finds out by the runs.
    """

    recipes: Mapping[str, RecipeFn]
    strengths: Mapping[str, Any]
    splits: list[Data]
    runs: list[Run]
    kept: set[int]
    settings: Settings
    mesh: Mesh
    pieces: Pieces | None = None
    grouped: bool | None = None

    @property
    def device(self) -> str:
        """The devices in words, such as ``2 x cpu``."""
        return f"{self.mesh.size} x {self.mesh.devices.flat[0].device_kind}"


def plan_runs(
    recipes: Mapping[str, Any],
    strengths: Mapping[str, Any],
    seeds: Sequence[int],
    splits: int,
    stored: bool = False,
) -> list[Run]:
    """All runs, ordered by placement, strength, seed and split as they were given."""
    if not isinstance(recipes, Mapping) or not recipes:
        raise TypeError(
            "recipes must map placements to functions strength -> Recipe, such as "
            f"{{'none': lambda _: jn.Recipe(...)}}, got {shown(recipes)}."
        )
    if not isinstance(strengths, Mapping):
        raise TypeError(
            f"strengths must map placements to strengths, such as "
            f"{{'hidden': [0.1, 0.3]}}, got {shown(strengths)}."
        )
    for placement, recipe in recipes.items():
        check_function(f"recipes[{placement!r}]", recipe, RECIPE, 1)
    _check_names(recipes, stored)
    for placement in strengths:
        if placement not in recipes:
            raise ValueError(
                f"strengths must name placements of recipes ({', '.join(recipes)}), "
                f"got {placement!r}."
            )
    return [
        Run(placement, strength, seed, split)
        for placement in recipes
        for strength in _levels(placement, strengths.get(placement, BASELINE_STRENGTH))
        for seed in seeds
        for split in range(splits)
    ]


def _check_names(recipes: Mapping[str, Any], stored: bool) -> None:
    """Refuse half a character where it would be lost, with all runs, at the end."""
    try:
        pd.Index([*recipes])  # whose texts are UTF-8 where pyarrow is installed
        if stored:
            " ".join(map(str, recipes)).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            "recipes must have names of whole characters, which UTF-8 can write, "
            f"got {error.object!r}."
        ) from None


def as_seeds(name: str, seeds: int | Sequence[int] | np.ndarray) -> list[int]:
    """``n`` as ``range(n)``, or the seeds themselves, checked."""
    one = isinstance(seeds, int | np.integer) and not isinstance(seeds, bool)
    try:
        listed = list(range(seeds) if one else seeds)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an int or ints, got {shown(seeds)}.") from None
    if not listed:
        raise ValueError(f"{name} must be at least 1, got {shown(seeds)}.")
    for seed in listed:
        check_seed(name, seed)
    if len(set(listed)) < len(listed):
        raise ValueError(f"{name} must differ, got {listed}.")
    return [int(seed) for seed in listed]


def seeds_to_keep(
    keep_params: bool | Sequence[int], seeds: list[int], some: bool = False
) -> set[int]:
    """The seeds of which variables are kept, refused if one is not in the sweep.

    All, where some are to be kept and none is named.
    """
    if isinstance(keep_params, bool):
        return set(seeds) if keep_params or some else set()
    if isinstance(keep_params, str) or not isinstance(keep_params, Iterable):
        raise TypeError(
            "keep_params must be True, False or the seeds to keep, such as [0, 1], "
            f"got {shown(keep_params)}."
        )
    kept = set(as_seeds("keep_params", list(keep_params)))
    if absent := sorted(kept - set(seeds)):
        raise ValueError(f"keep_params must name seeds of the sweep, got {absent}.")
    return kept


def as_splits(data: Data | Sequence[Data]) -> list[Data]:
    """One `Data` or several, as a list."""
    several = isinstance(data, Iterable) and not isinstance(data, Mapping)
    splits: list[Any] = list(data) if several else [data]
    for split in splits:
        if not isinstance(split, Data):
            raise TypeError(
                "data must be a jn.Data, such as jn.Data(train=(x, y), test=(x, y)), "
                f"or a sequence of them, got {shown(split)}."
            )
    if not splits:
        raise ValueError("data must hold at least one split, got none.")
    return splits


def pieces_of(
    settings: Settings,
    store: str | os.PathLike | None,
    extend: bool,
    alone: bool,
    checkpoint_every: Count | None,
    on_metrics: OnMetrics | None,
    keep_params_at: Sequence[int],
) -> Pieces | None:
    """What is asked for, checked; None where nothing is.

    Only where one process is alone.
    """
    keep_at = _kept_epochs(keep_params_at, settings)
    if not alone and (keep_at or checkpoint_every or on_metrics):
        raise ValueError(
            "checkpoint_every, on_metrics and keep_params_at are for the devices of "
            "one process; leave them out with an executor and under jax.distributed."
        )
    checkpoints = None if store is None else Checkpoints(store)
    if on_metrics is not None:
        check_function("on_metrics", on_metrics, "a function (runs, epoch, metrics)", 3)
    if checkpoint_every is None:
        if on_metrics is not None:
            raise ValueError(
                "on_metrics must have checkpoint_every, the epochs between its calls."
            )
        whole = not settings.epochs % settings.metrics_every
        if not (alone and extend and whole and checkpoints and any(checkpoints)):
            checkpoints = None
        cut = checkpoints or keep_at
        return Pieces(None, keep_at, None, checkpoints) if cut else None
    every = as_count("checkpoint_every", checkpoint_every, "an int")
    _check_measured("checkpoint_every", every, settings)
    if checkpoints is None and on_metrics is None:
        raise ValueError(
            "checkpoint_every must have store, a path beside which the checkpoints "
            "lie, or on_metrics, which is called after each piece; got neither."
        )
    return Pieces(every, keep_at, on_metrics, checkpoints)


def _kept_epochs(given: Sequence[int], settings: Settings) -> tuple[int, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(
            f"keep_params_at must be epochs, such as [100, 500], got {shown(given)}."
        )
    epochs = [as_count("keep_params_at", each, "epochs, each") for each in given]
    for epoch in epochs:
        _check_measured("keep_params_at", epoch, settings)
        if epoch > settings.epochs:
            raise ValueError(
                f"keep_params_at must be at most epochs={settings.epochs}, got {epoch}."
            )
    return tuple(sorted(set(epochs)))


def _check_measured(name: str, epoch: int, settings: Settings) -> None:
    for what, value in ((name, epoch), ("epochs", settings.epochs)):
        if value % settings.metrics_every:
            raise ValueError(
                f"{what} must be a multiple of metrics_every={settings.metrics_every} "
                f"where runs are cut, got {value}."
            )


def _levels(placement: str, given: Any) -> list[Any]:
    """The strengths of one placement, as finite numbers or pytrees of them."""
    name = f"strengths[{placement!r}]"
    several = isinstance(given, list | tuple) or np.ndim(given) > 0
    levels = list(given) if several else [given]
    if not levels:
        raise ValueError(f"{name} must hold at least one strength, got none.")
    for level in levels:
        if not jax.tree.leaves(level):
            raise TypeError(f"{name} must be numbers, got {shown(level)}.")
    levels = [jax.tree.map(lambda leaf: _number(name, leaf), level) for level in levels]
    structures = {jax.tree.structure(level) for level in levels}
    if len(structures) > 1:
        raise ValueError(f"{name} must all have one structure, got {levels}.")
    seen: dict[bytes, Any] = {}
    for level in levels:
        bits = np.array(jax.tree.leaves(level), np.float32).tobytes()
        if bits in seen:
            raise ValueError(
                f"{name} must differ in float32, got {seen[bits]} and {level}."
            )
        seen[bits] = level
    return levels


def _number(name: str, leaf: Any) -> float:
    try:
        value = float(leaf)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} must be numbers, got {shown(leaf)}.") from None
    if isinstance(leaf, str):
        raise TypeError(f"{name} must be numbers, got {shown(leaf)}.")
    if not (value == 0 or LEAST <= value <= MOST):
        raise ValueError(
            f"{name} must be finite and >= 0, got {leaf}: 0 or from {LEAST:.2g} to "
            f"{MOST:.2g}, the range of float32."
        )
    return value + 0.0  # no -0
