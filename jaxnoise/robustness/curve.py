"""How scores fall as test-time noise grows, and what noise in training buys there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array, Float

from jaxnoise import metrics
from jaxnoise.checks import (
    NOISE,
    check_count,
    check_function,
    name_of,
    single_key,
)
from jaxnoise.evidence.compare import Comparison
from jaxnoise.models.sites import Network
from jaxnoise.noise.draw import key_of_place
from jaxnoise.noise.functions import add_gaussian_noise
from jaxnoise.noise.layer import keys_shared
from jaxnoise.noise.linen import Noise
from jaxnoise.results import SweepResult, cell_columns, in_order
from jaxnoise.robustness.asked import (
    AT_ONCE,
    Asked,
    by_programs,
    compared,
    noise_fields,
    rows_of,
    runs_of,
)


@dataclass(frozen=True, eq=False, repr=False)
class NoiseCurve:
    """What `noise_curve` returns.

    Attributes:
        runs: a row a run and strength of the noise at test time: the columns placement,
            strength, seed and split of the run, ``stddev`` of the noise at test time,
            and the score.
        comparison: what `compare` says at every ``stddev`` of every placement and
            strength, against the runs without noise, all adjusted for one another; its
            metrics are named ``"<score> at <stddev>"``. None without such runs, and of
            models by name.
        score: the name of the column.
        site: where the noise was.
    """

    runs: pd.DataFrame
    comparison: Comparison | None
    score: str
    site: str

    def __repr__(self) -> str:
        cells = cell_columns(self.runs)
        table = self.runs.pivot_table(
            self.score, index=cells, columns="stddev", sort=False
        )
        return f"mean {self.score}, noise on {self.site}\n{table.to_string()}"


def noise_curve(
    result_or_models: SweepResult | Mapping[str, Any],
    data: Any,
    stddevs: Sequence[float],
    *,
    key: Array,
    site: str = "input",
    draws: int = 20,
    noise: Callable[..., Array] = add_gaussian_noise,
    metric: Callable[[Any, Any], Array] | None = None,
    baseline: str = "none",
) -> NoiseCurve:
    """Return scores under noise at test time, and what training with noise buys.

    The score at a strength t is the mean of the metric over all rows and ``draws``
    draws of noise of strength t. All runs meet the same draws, also at other strengths,
    of which only the size differs: differences between runs are paired.

    Args:
        result_or_models: a `SweepResult` with ``keep_params=True``, of the process that
            trained it; or by name functions ``x -> outputs``, or trained models such as
            `refit` returns, which are not compared.
        data: a pair of x and targets; or a `Data`, of which the set "population" is
            taken, else "test". Of several splits, rows that none of them trains on.
        stddevs: strengths of the noise at test time; 0 is none.
        key: a typed key.
        site: "input"; "weights"; or a site of our networks, such as "hidden" or
            "activation" of an `MLP`, whether or not they trained with noise there.
        draws: of noise, for each row.
        noise: a function ``(key, x, strength) -> x``.
        metric: ``(outputs, targets) -> one value a row``; None takes the first of the
            recipe, or its loss, and for functions the accuracy of logits, or the
            squared error of other numbers.
        baseline: the placement of a sweep that others are compared with.

    Returns:
        A `NoiseCurve`; `jaxnoise.plots.noise_curve` and ``noise_matrix`` draw it. 1,024
        rows are in memory at a time.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if no variables were kept, the site is none, or a strength is not
            finite and >= 0.

    Reference: that noise at training and at test time be of one size is from C. Bishop,
        "Training with noise is equivalent to Tikhonov regularization", 1995.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jax.random.normal(jax.random.key(0), (500, 1))
        >>> models = {"a line": lambda x: x, "a constant": jnp.ones_like}
        >>> curve = jn.noise_curve(models, (x, x > 0), [0, 2], key=jax.random.key(1))
        >>> curve.runs["accuracy"].round(1).tolist()
        [1.0, 0.6, 0.5, 0.5]
    """
    check_count("draws", draws)
    check_function("noise", noise, NOISE, 3)
    levels = _as_levels(stddevs)
    x, y = rows_of(data)
    runs = runs_of(result_or_models)
    programs = [
        Scores(*_noisy(run.asked, site, noise), *score_of(run.recipe, metric, y))
        for run in runs
    ]
    whole = single_key(key), x, y, levels, draws
    scores = np.array(by_programs(programs, whole, runs), float)
    names, score = [run.columns for run in runs], programs[0].score
    return _curve(result_or_models, names, levels, scores, score, site, baseline)


@dataclass(frozen=True)
class Scores:
    """Of runs of one program the mean score in each condition, a row of a pytree."""

    spoilt: Callable[..., Any]  # (key, x, condition) -> x, which all runs meet
    outputs: Callable[..., Any]  # (variables, key, x, condition) -> outputs
    metric: Callable[[Any, Any], Array]
    score: str

    def __call__(self, whole: Any, runs: Any) -> Float[Array, "runs conditions"]:
        """The scores, a block of rows at a time."""
        key, x, y, conditions, draws = whole
        rows = len(jax.tree.leaves(x)[0])
        size = min(rows, AT_ONCE)
        blocks = -(-rows // size)
        places = jnp.arange(blocks * size).reshape(blocks, size)
        nothing = jnp.zeros((len(jax.tree.leaves(conditions)[0]), len(runs[0])))

        def of_block(total: Array, place: Array) -> tuple[Array, None]:
            there = place < rows  # the last block is filled up
            xs, ys = jax.tree.map(lambda leaf: leaf[place % rows], (x, y))
            block = jax.random.fold_in(key, place[0])

            def of_draw(draw: Any, total: Array) -> Array:
                fresh = jax.random.fold_in(block, draw)

                def of_run(run: Any) -> Float[Array, " conditions"]:
                    def under(condition: Any) -> Array:
                        met = self.spoilt(fresh, xs, condition)
                        outputs = self.outputs(run[1], fresh, met, condition)
                        values = jnp.where(there, self.metric(outputs, ys), 0)
                        return values.sum(dtype=jnp.float32)

                    return lax.map(under, conditions)

                return total + lax.map(of_run, runs).T

            return total + lax.fori_loop(0, draws, of_draw, nothing) / rows, None

        return lax.scan(of_block, nothing, places)[0].T / draws


@dataclass(frozen=True)
class Met:
    """The outputs for inputs as they come."""

    apply: Callable[[Any, Any], Any]

    def __call__(self, variables: Any, _: Array, x: Any, __: Any) -> Any:
        """The outputs."""
        return self.apply(variables, x)


def as_it_is(_: Array, x: Any, __: Any) -> Any:
    """``x``, not spoilt."""
    return x


@dataclass(frozen=True)
class _NoisyWeights:
    """The outputs of noisy weights."""

    asked: Callable[[Any, Any], Any]
    noise: Callable[..., Array]

    def __call__(self, variables: Any, key: Array, x: Any, level: Array) -> Any:
        def noisy(path: Any, leaf: Array) -> Array:
            own = key_of_place(key, jax.tree_util.keystr(path))
            return self.noise(own, leaf, level)

        params = jax.tree_util.tree_map_with_path(noisy, variables["params"])
        return self.asked({**variables, "params": params}, x)


@dataclass(frozen=True)
class _NoisySite:
    """A network of ours with noise at one site alone."""

    clean: Network
    field: str
    noise: Callable[..., Array]

    def __call__(self, variables: Any, key: Array, x: Any, level: Array) -> Any:
        layer = Noise(partial(_with_level, noise=self.noise, level=level))
        field: Any = {self.field: layer}
        model = self.clean.clone(**field)
        with keys_shared(True):  # along runs, which are paired
            return model.apply(variables, x, train=True, rngs={"noise": key})


def _with_level(key: Array, x: Array, *, noise: Any, level: Any) -> Array:
    return noise(key, x, level)


def _noisy(asked: Asked, site: str, noise: Any) -> tuple[Any, Any]:
    """The inputs, and outputs, with noise at a site, of a model of ours or another."""
    model, field = getattr(asked.apply, "model", None), f"{site}_noise"
    if isinstance(model, Network) and field in noise_fields(model):
        return as_it_is, _NoisySite(model, field, noise)
    if site == "input":
        return noise, Met(asked.apply)
    if site == "weights" and model is not None:
        return as_it_is, _NoisyWeights(asked.apply, noise)
    raise ValueError(
        "site must be 'input', or of a trained model also 'weights' or a site of our "
        f"networks that it has, got {site!r}."
    )


def score_of(recipe: Any, metric: Any, y: Any) -> tuple[Any, str]:
    """The metric that is given, is the first of the recipe, or fits the targets."""
    if metric is not None:
        return metric, name_of(metric)
    if recipe is not None:
        name = next(iter(recipe.metrics), "loss")
        return recipe.metrics.get(name, recipe.loss), name
    if jnp.issubdtype(y.dtype, jnp.integer):
        binary = y.ndim == 2 and y.shape[1] == 1
        return metrics.binary_accuracy if binary else metrics.accuracy, "accuracy"
    if y.ndim == 2 and y.shape[1] == 1 and bool(((y == 0) | (y == 1)).all()):
        return metrics.binary_accuracy, "accuracy"
    return metrics.squared_error, "squared_error"


def _as_levels(stddevs: Any) -> Array:
    levels = np.asarray(stddevs, np.float32)
    if levels.ndim != 1 or not len(levels):
        raise ValueError(f"stddevs must be a sequence of numbers, got {stddevs!r}.")
    if not (np.isfinite(levels) & (levels >= 0)).all():
        raise ValueError(f"stddevs must be finite and >= 0, got {list(stddevs)}.")
    if len({*levels.tolist()}) < len(levels):
        raise ValueError(f"stddevs must be distinct, got {list(stddevs)}.")
    return jnp.asarray(levels)


def _curve(
    source: Any,
    names: Sequence[dict[str, Any]],
    levels: Array,
    scores: np.ndarray,
    score: str,
    site: str,
    baseline: str,
) -> NoiseCurve:
    """The tables of what was found."""
    runs = in_order(pd.DataFrame(names))
    shown_levels = [float(f"{level:.7g}") for level in levels.tolist()]
    columns = [f"{score} at {level:g}" for level in shown_levels]
    tested = pd.DataFrame({"stddev": np.tile(shown_levels, len(runs))})
    repeated = runs.loc[runs.index.repeat(len(columns))].reset_index(drop=True)
    long = repeated.join(tested.assign(**{score: scores.reshape(-1)}))
    wide = pd.concat([runs, pd.DataFrame(scores, columns=columns)], axis=1)
    found = compared(source, wide, columns, baseline)
    return NoiseCurve(long, found, score, site)
