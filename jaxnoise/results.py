"""What runs leave behind: the frozen nouns that travel between the rooms.

`RunResult` is one run, a pytree of arrays that can leave a compiled program;
`SweepResult` is all the runs of a comparison, as a table and arrays on the host.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from jaxtyping import Array, Bool, Float

from jaxnoise.checks import shown


class RunResult(NamedTuple):
    """What one run leaves; under ``vmap`` every array gets the mapped axes in front.

    Attributes:
        metrics: by name, ``<set>_<metric>`` and ``<set>_loss`` after the last epoch.
            With a set named ``validation`` also ``best_epoch``, the epoch of the lowest
            validation loss, and ``best_<set>_<metric>`` there. All NaN if not finite.
        curves: the same names, for the sets asked for: one value per measured epoch.
        variables: the trained variables, ``variables["params"]`` and what the model
            carries beside them; None where they were not kept.
        finite: False if the run diverged: a loss or a parameter was NaN or infinite.
        outputs: of a recipe with ``set_metrics``, by set the clean outputs of every
            row, for those metrics, which are computed on the host; else None.
        rows: with ``keep_rows`` of a sweep, by metric the values whose mean it is, one
            a row; else None.
        variables_at: with ``keep_params_at`` of a sweep, by epoch the variables there;
            else None.

    Example:
        >>> import jax, optax, jaxnoise as jn
        >>> def recipe(stddev):
        ...     return jn.Recipe(
        ...         model=jn.MLP((), 1, input_noise=jn.GaussianNoise(stddev)),
        ...         loss=jn.losses.binary_cross_entropy,
        ...         optimizer=optax.sgd(0.1),
        ...     )
        >>> train = jn.make_train(recipe, epochs=2, batch_size=32, curves=["test"])
        >>> data = jn.data.circles(population=100)
        >>> result = jax.eval_shape(train, jax.random.key(0), 0.1, data)
        >>> list(result.metrics), result.curves["test_loss"].shape
        (['train_loss', 'test_loss', 'population_loss'], (2,))
    """

    metrics: OrderedDict[str, Float[Array, "..."]]
    curves: OrderedDict[str, Float[Array, "... epoch"]]
    variables: Any
    finite: Bool[Array, "..."]
    outputs: Any = None
    rows: Any = None
    variables_at: Any = None

    @property
    def params(self) -> Any:
        """The trained parameters, ``variables["params"]``; models want `variables`."""
        return None if self.variables is None else self.variables["params"]


class KeptRows(NamedTuple):
    """A value of every run and row, such as whether the row was answered rightly.

    Attributes:
        stored: shape (run, row); of bits, eight rows in a byte.
        length: the number of rows.
        bits: whether all values are 0 or 1.
    """

    stored: np.ndarray
    length: int
    bits: bool

    @classmethod
    def kept(cls, values: np.ndarray) -> "KeptRows":
        """Values of shape (run, row), packed where they are bits."""
        bits = bool(((values == 0) | (values == 1)).all())
        packed = np.packbits(values.astype(bool), axis=1) if bits else values
        return cls(packed, values.shape[1], bits)

    def of(self, runs: Any) -> np.ndarray:
        """The values of some runs, by their positions."""
        stored = self.stored[runs]
        return (
            np.unpackbits(stored, axis=-1, count=self.length) if self.bits else stored
        )


def cell_columns(table: pd.DataFrame) -> list[str]:
    """The columns that say what was compared: placement, and strength or its leaves."""
    return [c for c in table if str(c).split(".")[0] in ("placement", "strength")]


def strength_columns(strength: Any) -> dict[str, Any]:
    """A strength by its columns: "strength", or "strength.<name>" for each leaf."""
    columns = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(strength):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        columns[f"strength.{name}" if name else "strength"] = leaf
    return columns


def planned_runs(result: "SweepResult") -> list[Any]:
    """Of each row the run as it was planned, with its strength as it was given."""

    def name(columns: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
        return frozenset((k, v) for k, v in columns.items() if v == v)  # NaN: has none

    planned = {name(run.columns()): run for run in result.origin.runs}
    identity = [*cell_columns(result.runs), *_RUN]
    return [planned[name(row)] for row in result.runs[identity].to_dict("records")]


def runs_table(
    identities: Iterable[Mapping[str, Any]], results: Sequence[Any]
) -> pd.DataFrame:
    """The table of runs, of what they are and of their ``metrics`` and ``finite``."""
    rows = [
        {**identity, **{name: float(value) for name, value in result.metrics.items()}}
        | {"finite": bool(result.finite)}
        for identity, result in zip(identities, results, strict=True)
    ]
    return in_order(pd.DataFrame(rows))


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns of cells first and finite last."""
    first = cell_columns(table)  # strengths of later placements may stand last
    return table[sorted(table, key=lambda c: (c not in first) + (c == "finite"))]


def stacked_curves(results: Sequence[RunResult]) -> dict[str, np.ndarray]:
    """By name, (run, epoch); NaN for runs whose recipe lacks the metric."""
    names = dict.fromkeys(name for result in results for name in result.curves)
    if not names:
        return {}
    nothing = np.full_like(next(iter(results[0].curves.values())), np.nan)
    return {
        name: np.stack([result.curves.get(name, nothing) for result in results])
        for name in names
    }


def variables_by_epoch(results: Sequence[RunResult]) -> dict[int, tuple[Any, ...]]:
    """Of all runs; None for those whose were not kept."""
    kept = [result.variables_at or {} for result in results]
    epochs = sorted({epoch for each in kept for epoch in each})
    return {epoch: tuple(each.get(epoch) for each in kept) for epoch in epochs}


def stacked_rows(results: Sequence[RunResult]) -> dict[str, KeptRows]:
    """By metric, of all runs; those of which one recipe has no metric are left out."""
    kept = [result.rows or {} for result in results] or [{}]
    names = [name for name in kept[0] if all(name in each for each in kept)]
    stacked = {name: np.stack([each[name] for each in kept]) for name in names}
    return {name: KeptRows.kept(values) for name, values in stacked.items()}


def sets_of(names: Iterable[str]) -> list[tuple[str, str]]:
    """Set and metric of every ``<set>_<metric>``, such as test and top_accuracy.

    Both may hold underscores. Every set has a loss, and all sets have the same metrics,
    which says where one ends and the other begins.
    """
    names = list(names)
    losses = [n.removesuffix("_loss") for n in names if n.endswith("_loss")]
    shortest = [s for s in losses if not any(s.startswith(f"{o}_") for o in losses)]
    for sets in (shortest, losses):
        pairs = [_split(name, sets) for name in names]
        metrics = [{m for other, m in pairs if other == s} for s in sets]
        if {s for s, _ in pairs} == set(sets) and all(m == metrics[0] for m in metrics):
            return pairs
    return [_split(name, shortest) for name in names]


def _split(name: str, sets: list[str]) -> tuple[str, str]:
    """At the longest set that the name begins with, else at the first underscore."""
    owners = [s for s in sets if name.startswith(f"{s}_")]
    owner = max(owners, key=len) if owners else name.partition("_")[0]
    return owner, name[len(owner) + 1 :]


_RUN = ("seed", "split")  # what tells the runs of one placement and strength apart


def strengths_of(cells: pd.DataFrame) -> str:
    """Of each placement, such as "none 0; hidden 0.1, 0.3"."""
    leaves = [f"{c} ".partition(".")[2] for c in cells.columns[1:]]
    found: dict[str, list[str]] = {}
    for placement, *parts in cells.drop_duplicates().to_numpy():
        known = zip(leaves, parts, strict=True)
        text = " and ".join(f"{leaf}{part:g}" for leaf, part in known if part == part)
        found.setdefault(placement, []).append(text)
    return "; ".join(f"{name} {', '.join(each)}" for name, each in found.items())


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult:
    """All the runs of a comparison; prints what there is, and where the rest is.

    Attributes:
        runs: a row a run, ordered by placement, strength, seed and split as they were
            given: columns placement, strength (for pytree strengths
            ``strength.<name>``), seed, split, the metrics of `RunResult`, finite. Its
            ``attrs`` say of the splits what is known: overlap, outer, majority; and
            "missing" lists runs that failed on an executor, and why.
        curves: by name, an array (run, epoch), its first axis that of ``runs``.
        epochs: the epochs of the curves, counted from 1.
        variables: a run's variables for each row of ``runs``, None where not kept:
            all of them without ``keep_params`` of `jaxnoise.sweep`, whose example
            predicts with one, saves and loads it.
        complete: False if an interrupt cut the sweep short, or runs failed on an
            executor; ``runs`` has what finished.
        compile_seconds: time spent tracing and compiling.
        run_seconds: time spent running compiled programs.
        device: what the runs ran on, in words.
        rows: with ``keep_rows`` of a sweep, by metric the `KeptRows` whose means
            ``runs`` has, in its order; else empty. `jaxnoise.compare` tells by them
            what holds for new rows, too.
        variables_at: with ``keep_params_at`` of a sweep, by epoch what ``variables``
            were there; else empty.
        origin: the recipes, strengths and settings, with which `jaxnoise.refit` trains
            again; None where they are not known, such as after pickling.

    Example:
        >>> import numpy as np, pandas as pd, jaxnoise as jn
        >>> runs = pd.DataFrame({
        ...     "placement": "none", "strength": 0.0, "seed": [0, 1], "split": 0,
        ...     "test_loss": [0.4, 0.3], "finite": True,
        ... })
        >>> loss = np.array([[0.7, 0.5, 0.4], [0.8, 0.5, 0.3]])
        >>> result = jn.SweepResult(
        ...     runs, {"test_loss": loss}, np.arange(1, 4), (None, None), True,
        ...     compile_seconds=0.0, run_seconds=0.0, device="1 x cpu",
        ... )
        >>> print((result.curves["test_loss"][:, -1] == result.runs["test_loss"]).all())
        True
        >>> result
        SweepResult: 2 runs, 2 finite, complete
          placements and strengths: none 0
          seeds: 2; splits: 1
          metrics: test_loss
          curves: 3 epochs of test_loss
        all numbers: .runs (a pandas table) and .curves; jaxnoise.compare judges them
    """

    runs: pd.DataFrame
    curves: dict[str, np.ndarray]
    epochs: np.ndarray
    variables: tuple[Any, ...]
    complete: bool
    compile_seconds: float
    run_seconds: float
    device: str
    origin: Any = None
    rows: dict[str, KeptRows] = field(default_factory=dict)
    variables_at: dict[int, tuple[Any, ...]] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "origin": None}  # recipes are often lambdas

    def __repr__(self) -> str:
        runs, parts = self.runs, cell_columns(self.runs)
        counts = [f"{name}s: {runs[name].nunique()}" for name in _RUN if name in runs]
        metrics = [c for c in runs if c not in (*parts, *_RUN, "finite")]
        finite = int(np.sum(runs.get("finite", [])))  # no column if nothing finished
        curves = f"{len(self.epochs)} epochs of {', '.join(self.curves)}"
        missing = len(runs.attrs.get("missing", ()))
        lost = f"{missing} missing" if missing else "interrupted"
        lines = [
            f"SweepResult: {len(runs)} runs, {finite} finite, "
            f"{'complete' if self.complete else lost}",
            f"  placements and strengths: {strengths_of(runs[parts])}",
            f"  {'; '.join(counts)}",
            f"  metrics: {', '.join(metrics)}",
            f"  curves: {curves if self.curves else 'none'}",
            "all numbers: .runs (a pandas table) and .curves; jaxnoise.compare judges "
            "them",
        ]
        return "\n".join(lines)

    def where(
        self,
        placement: Any = None,
        strength: Any = None,
        seed: Any = None,
        split: Any = None,
    ) -> "SweepResult":
        """The runs with these values: their rows, curves and variables together.

        Args:
            placement: a name or several; None for all, as for the others.
            strength: a number or several, equal in float32, in which runs have it; a
                pytree strength, such as a dict, is its leaves together.
            seed: an int or several.
            split: an int or several.

        Returns:
            A `SweepResult` of the runs that fit all that was given, in their order.

        Raises:
            ValueError: if a value is that of no run, or no run fits them all.

        Example:
            >>> import numpy as np, pandas as pd, jaxnoise as jn
            >>> runs = pd.DataFrame({
            ...     "placement": ["none", "hidden", "hidden"],
            ...     "strength": [0, 0.1, 0.3], "seed": 0, "split": 0,
            ...     "test_loss": [0.4, 0.3, 0.2], "finite": True,
            ... })
            >>> result = jn.SweepResult(
            ...     runs, {}, np.arange(0), (None, None, None), True,
            ...     compile_seconds=0.0, run_seconds=0.0, device="1 x cpu",
            ... )
            >>> result.where("hidden").runs["test_loss"].tolist()
            [0.3, 0.2]
            >>> result.where(strength=[0, 0.1]).runs["placement"].tolist()
            ['none', 'hidden']
        """
        given = {"placement": placement, "strength": strength}
        given |= {"seed": seed, "split": split}
        asked = {name: values for name, values in given.items() if values is not None}
        kept = np.ones(len(self.runs), bool)
        for name, values in asked.items():
            kept &= _having(self.runs, name, values)
        if not kept.any():
            raise ValueError(
                f"{' and '.join(asked)} must fit a run together, got none."
            )
        rows = np.flatnonzero(kept)
        return replace(
            self,
            runs=self.runs.iloc[rows].reset_index(drop=True),
            curves={name: curve[rows] for name, curve in self.curves.items()},
            variables=tuple(self.variables[row] for row in rows),
            rows={
                name: each._replace(stored=each.stored[rows])
                for name, each in self.rows.items()
            },
            variables_at={
                epoch: tuple(each[row] for row in rows)
                for epoch, each in self.variables_at.items()
            },
        )

    @property
    def params(self) -> tuple[Any, ...]:
        """``variables["params"]`` for each row of ``runs``, None where not kept.

        A model predicts with all of the variables: ``model.apply(variables, x,
        train=False)``, or ``jn.strip_noise(model).apply(variables, x)``.
        """
        return tuple(v if v is None else v["params"] for v in self.variables)


def concat(results: Sequence[SweepResult]) -> SweepResult:
    """The runs of several sweeps as one result, as if one sweep had made them.

    Args:
        results: of sweeps whose runs are paired and differ in placement, strength, seed
            or split, such as parts of a comparison that were trained in several places.

    Returns:
        A `SweepResult`, complete if all are, of placements and strengths in the order
        in which they come. What was not measured everywhere is NaN; what is known of
        the splits is kept where it is the same.

    Raises:
        TypeError: if they are not `SweepResult`.
        ValueError: if a run is there twice, or their curves are of other epochs.

    Example:
        >>> import numpy as np, pandas as pd, jaxnoise as jn
        >>> parts = [
        ...     jn.SweepResult(
        ...         pd.DataFrame({
        ...             "placement": ["none"], "strength": 0.0, "seed": seed,
        ...             "split": 0, "test_loss": 0.3, "finite": True,
        ...         }),
        ...         {}, np.arange(0), (None,), True,
        ...         compile_seconds=0.0, run_seconds=0.0, device="1 x cpu",
        ...     )
        ...     for seed in range(3)
        ... ]
        >>> jn.concat(parts).runs["seed"].tolist()
        [0, 1, 2]
    """
    results = list(results)
    if not results or not all(isinstance(each, SweepResult) for each in results):
        raise TypeError(f"results must be SweepResults, got {shown(results)}.")
    parts = [each for each in results if len(each.runs)] or results[:1]
    first = parts[0]
    if not all(np.array_equal(each.epochs, first.epochs) for each in parts):
        raise ValueError("results must have curves of the same epochs, got others.")
    runs = in_order(pd.concat([each.runs for each in parts], ignore_index=True))
    order = _order_of_cells(runs)
    curves, facts = _joined_curves(parts), [each.runs.attrs for each in parts]
    variables = [each for part in parts for each in part.variables]
    runs = runs.iloc[order].reset_index(drop=True)
    runs.attrs = {
        name: value
        for name, value in facts[0].items()
        if all(each.get(name) == value for each in facts)
    }
    return replace(
        first,
        runs=runs,
        curves={name: curve[order] for name, curve in curves.items()},
        variables=tuple(variables[i] for i in order),
        rows=_joined_rows(parts, order),
        variables_at=_joined_variables(parts, order),
        complete=all(each.complete for each in results),
        compile_seconds=sum(each.compile_seconds for each in results),
        run_seconds=sum(each.run_seconds for each in results),
        device=", ".join(dict.fromkeys(each.device for each in results)),
        origin=None,
    )


def _order_of_cells(runs: pd.DataFrame) -> np.ndarray:
    """Runs of one placement and strength together; refused if one is there twice."""
    if runs.empty:
        return np.arange(0)
    cells = cell_columns(runs)
    numbers = {name: np.float32 for name in cells if name.startswith("strength")}
    identity = runs[[*cells, *(name for name in _RUN if name in runs)]].astype(numbers)
    twice = runs[list(identity)][identity.duplicated()]
    if len(twice):
        got = " ".join(f"{name} {value}" for name, value in twice.iloc[0].items())
        raise ValueError(f"results must have each run once, got {got} twice.")
    groups = identity.groupby(cells, sort=False, dropna=False)
    return np.argsort(groups.ngroup().to_numpy(), kind="stable")


def _joined_rows(parts: Sequence[SweepResult], order: Any) -> dict[str, KeptRows]:
    names = [name for name in parts[0].rows if all(name in p.rows for p in parts)]
    values = {n: [part.rows[n].of(slice(None)) for part in parts] for n in names}
    return {n: KeptRows.kept(np.concatenate(each)[order]) for n, each in values.items()}


def _joined_variables(
    parts: Sequence[SweepResult], order: Any
) -> dict[int, tuple[Any, ...]]:
    joined = {}
    for epoch in sorted({epoch for part in parts for epoch in part.variables_at}):
        nothing = [(None,) * len(part.runs) for part in parts]
        kept = [
            p.variables_at.get(epoch, n) for p, n in zip(parts, nothing, strict=True)
        ]
        every = [each for part in kept for each in part]
        joined[epoch] = tuple(every[i] for i in order)
    return joined


def _joined_curves(results: Sequence[SweepResult]) -> dict[str, np.ndarray]:
    names = dict.fromkeys(name for each in results for name in each.curves)
    shapes = [(len(each.runs), len(each.epochs)) for each in results]
    nothing = [np.full(shape, np.nan, np.float32) for shape in shapes]
    return {
        name: np.concatenate(
            [r.curves.get(name, gap) for r, gap in zip(results, nothing, strict=True)]
        )
        for name in names
    }


LISTED = 8  # values that a message names at most
FLOAT32 = 2.0**-24  # relative: by what rounding to float32 moves a number


def _having(runs: pd.DataFrame, name: str, values: Any) -> np.ndarray:
    """Which runs have one of the values; refused if one is that of no run."""
    single = isinstance(values, str | Mapping) or np.ndim(values) == 0
    having = np.zeros(len(runs), bool)
    for value in [values] if single else values:
        columns = strength_columns(value) if name == "strength" else {name: value}
        found = np.all([_equal(runs, *column) for column in columns.items()], axis=0)
        if not found.any():
            there = strengths_of(runs[cell_columns(runs)])
            if name != "strength":
                there = ", ".join(map(str, runs[name].unique()[:LISTED]))
            raise ValueError(
                f"{name} must be of the runs, such as {there}, got {shown(value)}."
            )
        having |= found
    return having


def _equal(runs: pd.DataFrame, column: str, value: Any) -> np.ndarray:
    """Which runs have the value in a column; strengths as float32, as they are used."""
    if column not in runs:
        return np.zeros(len(runs), bool)
    if column.startswith("strength") and not isinstance(value, str):
        return np.isclose(runs[column], float(value), rtol=FLOAT32, atol=0.0)
    return np.asarray(runs[column] == value)
