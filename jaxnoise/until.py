"""How many seeds? As many as it takes: a sweep that looks while it grows.

`sweep_until` stands above training and evidence, which do not know each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxnoise.data import Data
from jaxnoise.evidence.compare import judged
from jaxnoise.evidence.units import evidence_of
from jaxnoise.results import SweepResult, concat
from jaxnoise.training.plan import as_seeds, as_splits
from jaxnoise.training.recipe import RecipeFn
from jaxnoise.training.sweep import sweep

DECIDED = {"baseline", "better", "worse", "equivalent"}


def sweep_until(
    recipes: Mapping[str, RecipeFn],
    *,
    strengths: Mapping[str, Any],
    data: Data,
    metric: str | Sequence[str],
    budget: int | Sequence[int] | np.ndarray,
    block: int = 10,
    baseline: str = "none",
    rope: float | None = None,
    lower_is_better: bool | None = None,
    **options: Any,
) -> SweepResult:
    """Sweep over more and more seeds until every comparison is decided.

    After each block of seeds all that there is is judged as ``jn.compare(result,
    metric=metric, stop="anytime")`` does, which holds however often one looks. The
    runs are those of `sweep` over the same seeds, bit for bit.

    Args:
        recipes: as for `sweep`.
        strengths: as for `sweep`.
        data: one `Data`: of several splits the splits are the units, and more seeds
            would decide nothing.
        metric: the column that decides, or several.
        budget: the seeds that there may be: n for ``range(n)``, or the seeds.
        block: seeds between two looks. Nothing is decided before the eighth.
        baseline: as for `compare`.
        rope: as for `compare`: differences that do not matter. Without it what makes no
            difference takes the whole budget.
        lower_is_better: as for `compare`.
        **options: of `sweep`, such as ``epochs`` and ``batch_size``. A ``store`` does
            not remember why there are so many seeds: judge what is read from it later
            with ``stop="anytime"``.

    Returns:
        A `SweepResult` of the seeds so far. Its table remembers in ``attrs["stop"]``
        how their number came about, so that `compare`, `report` and pictures judge it
        at any time of stopping by themselves. Decided is "better", "worse" or
        "equivalent"; an interrupt ends it, too.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: as `sweep` and `compare`, if ``data`` are several splits, or
            ``block`` is less than 1.
        Exception: whatever stops a sweep; its attribute ``result`` has the runs so far.

    Reference: A. Ramdas et al., "Game-theoretic statistics and safe anytime-valid
    inference", Statistical Science 38 (2023).

    Example:
        >>> import optax, jaxnoise as jn
        >>> def recipe(stddev):
        ...     return jn.Recipe(
        ...         model=jn.MLP((8,), 1, input_noise=jn.GaussianNoise(stddev)),
        ...         loss=jn.losses.binary_cross_entropy,
        ...         optimizer=optax.adam(1e-2),
        ...     )
        >>> result = jn.sweep_until(
        ...     {"none": recipe, "input": recipe}, strengths={"input": [3.0]},
        ...     data=jn.data.circles(population=100), metric="population_loss",
        ...     budget=30, epochs=5, batch_size=32,
        ... )
        >>> result.runs.groupby("placement").size().to_dict(), result.runs.attrs["stop"]
        ({'input': 20, 'none': 20}, 'anytime')
        >>> jn.compare(result, metric="population_loss")["verdict"].tolist()
        ['baseline', 'better']
    """
    seeds = as_seeds("budget", budget)
    if len(as_splits(data)) > 1:
        raise ValueError("data must be one jn.Data, got several splits.")
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}.")
    asked: Any = {"baseline": baseline, "rope": rope, "stop": "anytime"}
    asked["lower_is_better"] = lower_is_better
    metrics = [metric] if isinstance(metric, str) else metric
    kept = options.pop("keep_params", False)
    parts: list[SweepResult] = []
    for start in range(0, len(seeds), block):
        few = seeds[start : start + block]
        keep = (
            kept if isinstance(kept, bool) else [s for s in kept if s in few] or False
        )
        given = {"strengths": strengths, "data": data, "keep_params": keep} | options
        part = _swept(parts, recipes, seeds=few, **given)
        parts.append(part)
        if not part.complete or _decided(_joined(parts), metrics, asked):
            break
    return _joined(parts)


def _swept(finished: Sequence[SweepResult], *recipes: Any, **given: Any) -> SweepResult:
    """The next block; where it stops, what was finished goes along with the error."""
    try:
        return sweep(*recipes, **given)
    except Exception as error:
        more = vars(error).get("result")
        if found := [*finished, *filter(None, [more])]:
            vars(error)["result"] = _joined(found)
        raise


def _decided(result: SweepResult, metrics: Sequence[str], options: Any) -> bool:
    family = [evidence_of(result, metric, **options) for metric in metrics]
    return {*judged(*family)["verdict"]} <= DECIDED


def _joined(parts: Sequence[SweepResult]) -> SweepResult:
    """The runs of all blocks, which tell how their number came about."""
    result = concat(parts)
    result.runs.attrs["stop"] = "anytime"
    return replace(result, origin=parts[-1].origin)
