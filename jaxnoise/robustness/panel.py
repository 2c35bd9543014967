"""How scores fall under corruptions: the panel, and what is commonly told of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array

from jaxnoise.checks import check_count, check_function, single_key
from jaxnoise.evidence.compare import Comparison, compare
from jaxnoise.evidence.table import lower_is_better
from jaxnoise.models.rnn import as_series
from jaxnoise.noise.draw import call_masked
from jaxnoise.results import SweepResult, cell_columns, in_order
from jaxnoise.robustness.asked import by_programs, compared, rows_of, runs_of
from jaxnoise.robustness.corruptions import REGISTRY, SEVERITIES, checked, place_of
from jaxnoise.robustness.curve import Met, Scores, as_it_is, score_of

CLEAN = "clean"


@dataclass(frozen=True, eq=False, repr=False)
class CorruptionPanel:
    """What `corruption_panel` returns.

    Attributes:
        runs: a row a run, corruption and severity: the columns placement, strength,
            seed and split of the run, ``corruption``, ``severity``, and the score. The
            corruption "clean", of severity 0, is none.
        errors: a row a run: for each corruption the corruption error, and their means,
            ``mce`` and ``relative_mce``.
        means: a row a run: the mean score over the severities of each corruption,
            ``"<score> at <corruption>"``, and ``"<score> at clean"``, and ``mce``.
        comparison: what `compare` says of ``"<score> at clean"`` and ``mce`` of every
            placement and strength, against the runs without noise, all adjusted for one
            another. None without such runs, and of models by name.
        score: the name of the column.
        reference: the placement or model whose errors are the unit of ``errors``.
    """

    runs: pd.DataFrame
    errors: pd.DataFrame
    means: pd.DataFrame
    comparison: Comparison | None
    score: str
    reference: str

    def by_corruption(self) -> Comparison | None:
        """The same for ``"<score> at <corruption>"``, a larger family of its own."""
        if self.comparison is None:
            return None
        names = [name for name in self.means if f"{name}".startswith(self.score)][1:]
        return compare(
            self.means, metric=names, baseline=self.comparison.attrs["baseline"]
        )

    def __repr__(self) -> str:
        cells = cell_columns(self.runs)
        table = self.runs.pivot_table(
            self.score, index=cells, columns="corruption", sort=False
        )
        means = self.errors.groupby(cells, sort=False)[["mce", "relative_mce"]].mean()
        text = table.join(means).to_string()
        return f"mean {self.score}; errors relative to {self.reference}\n{text}"


def corruption_panel(
    result_or_models: SweepResult | Mapping[str, Any],
    data: Any,
    corruptions: Sequence[str] | Mapping[str, Callable[..., Array]] | None = None,
    *,
    key: Array,
    severities: Sequence[int] = SEVERITIES,
    draws: int = 1,
    metric: Callable[[Any, Any], Array] | None = None,
    reference: str | None = None,
    baseline: str = "none",
) -> CorruptionPanel:
    """Return scores under corruptions, and what training with noise buys there.

    With E the error of a run, 1 minus its score or a score that is better lower, its
    corruption error is ``sum_s E_s / sum_s Eref_s`` over the severities s, Eref the
    mean error of the reference's runs; ``mce`` is the mean over the corruptions. Of
    ``relative_mce`` all errors are less those without corruption: NaN or infinite where
    the reference loses nothing. All runs meet the same corrupted rows.

    Args:
        result_or_models: a `SweepResult` with ``keep_params=True``, of the process that
            trained it; or by name functions ``x -> outputs``, or trained models such as
            `refit` returns, which are not compared.
        data: a pair of x and targets; or a `Data`, of which the set "population" is
            taken, else "test". x may be a pair of series and their lengths or mask.
        corruptions: names of `jaxnoise.corruptions`, or by name functions ``(key, x,
            severity) -> x``; None takes all of jaxnoise that are for such x.
        key: a typed key.
        severities: from 1 to 5; the published errors are over all of them.
        draws: corrupted copies of each row.
        metric: ``(outputs, targets) -> one value a row``; None takes the first of the
            recipe, or its loss, and for functions the accuracy of logits, or the
            squared error of other numbers.
        reference: the placement, or the model, in whose errors others are measured;
            None takes the baseline, and without it the first.
        baseline: the placement of a sweep that others are compared with.

    Returns:
        A `CorruptionPanel`; `jaxnoise.plots.corruption_panel` draws it. 1,024 rows are
        in memory at a time; corruptions that look at other rows see those.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if no variables were kept, a name is unknown, x does not fit a
            corruption, or a severity is another one.

    Reference: D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness
        to common corruptions and perturbations", ICLR 2019.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jax.random.normal(jax.random.key(0), (2000, 2))
        >>> models = {"one": lambda x: x[:, :1], "mean": lambda x: x.mean(1)[:, None]}
        >>> data, wanted = (x, x.mean(1)[:, None] > 0), ["swapped_cells", "unit_errors"]
        >>> panel = jn.corruption_panel(models, data, wanted, key=jax.random.key(1))
        >>> panel.errors[["placement", "mce"]].round(1)
          placement  mce
        0       one  1.0
        1      mean  0.3
    """
    check_count("draws", draws)
    x, y = rows_of(data)
    functions = _functions(corruptions, x)
    grades = [1 + int(place_of(each)) for each in severities]
    runs = runs_of(result_or_models)
    names = [CLEAN, *np.repeat(list(functions), len(grades))]
    which = np.repeat(np.arange(len(functions)) + 1, len(grades))
    spoilt = _Spoilt(tuple(functions.values()))
    programs = [
        Scores(spoilt, Met(run.asked.apply), *score_of(run.recipe, metric, y))
        for run in runs
    ]
    steps = np.array([0, *np.tile(grades, len(functions))])
    conditions = jnp.asarray([0, *which]), jnp.asarray(steps)
    whole = single_key(key), x, y, conditions, draws
    scores = np.array(by_programs(programs, whole, runs), float)
    table = in_order(pd.DataFrame([run.columns for run in runs]))
    score = programs[0].score
    tested = pd.DataFrame({"corruption": names, "severity": steps})
    long = table.merge(tested, how="cross").assign(**{score: scores.reshape(-1)})
    unit = _reference(table, reference, baseline)
    errors = _errors(scores, list(functions), score, table["placement"] == unit)
    shape = len(runs), len(functions), len(grades)
    means = np.hstack([scores[:, :1], scores[:, 1:].reshape(shape).mean(2)])
    columns = [f"{score} at {name}" for name in (CLEAN, *functions)]
    wide = table.join(pd.DataFrame(means, columns=columns)).assign(mce=errors["mce"])
    found = compared(result_or_models, wide, [columns[0], "mce"], baseline)
    return CorruptionPanel(long, table.join(errors), wide, found, score, unit)


@dataclass(frozen=True)
class _Spoilt:
    """What a corruption, by its number from 1, makes of x."""

    functions: tuple[Callable[..., Array], ...]

    def __call__(self, key: Array, x: Any, condition: Any) -> Any:
        number, severity = condition
        known = [partial(_corrupted, function) for function in self.functions]
        return lax.switch(number, [as_it_is, *known], key, x, severity)


def _corrupted(function: Callable[..., Array], key: Array, x: Any, level: Any) -> Any:
    if isinstance(x, tuple | list):
        values, real = as_series(x, None, None)
        return type(x)((call_masked(function, key, values, level, mask=real), *x[1:]))
    return function(key, x, level)


def _functions(corruptions: Any, x: Any) -> dict[str, Callable[..., Array]]:
    """By name the corruptions that are asked for, which x fits."""
    values = jax.tree.leaves(x)[0]
    if isinstance(corruptions, Mapping):
        for name, function in corruptions.items():
            expected = "a function (key, x, severity) -> x"
            check_function(f"corruptions[{name!r}]", function, expected, 3)
        return dict(corruptions)
    if corruptions is None:
        corruptions = [n for n, c in REGISTRY.items() if c.rank == values.ndim]
    unknown = [name for name in corruptions if name not in REGISTRY]
    if unknown or not corruptions:
        raise ValueError(
            "corruptions must be names of jaxnoise.corruptions, or map names to "
            "functions (key, x, severity) -> x, "
            f"got {unknown or f'none for x of shape {values.shape}'}."
        )
    for name in corruptions:
        checked(REGISTRY[name].rank, values)
    return {name: REGISTRY[name].function for name in corruptions}


def _reference(table: pd.DataFrame, reference: str | None, baseline: str) -> str:
    """Whose errors are the unit."""
    there = list(table["placement"].unique())
    if reference is None:
        return baseline if baseline in there else there[0]
    if reference not in there:
        names = ", ".join(map(str, there))
        raise ValueError(f"reference must be one of {names}, got {reference!r}.")
    return reference


def _errors(
    scores: np.ndarray, names: list[str], score: str, unit: pd.Series
) -> pd.DataFrame:
    """Of each run the corruption errors, and their means."""
    errors = scores if lower_is_better(score) else 1 - scores
    clean = errors[:, :1]
    by = errors[:, 1:].reshape(len(errors), len(names), -1).sum(2)
    lost = (errors[:, 1:] - clean).reshape(len(errors), len(names), -1).sum(2)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = by / np.nanmean(by[unit], axis=0)
        more = lost / np.nanmean(lost[unit], axis=0)
        means = {"mce": relative.mean(1), "relative_mce": more.mean(1)}
    return pd.DataFrame(relative, columns=names).assign(**means)
