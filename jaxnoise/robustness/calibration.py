"""Whether probabilities can be believed, and what noise in training does to that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxnoise import metrics
from jaxnoise.checks import check_count
from jaxnoise.evidence.compare import Comparison
from jaxnoise.results import SweepResult, cell_columns, in_order
from jaxnoise.robustness.asked import (
    Outputs,
    by_programs,
    compared,
    rows_of,
    runs_of,
)

SCORES = (
    "negative_log_likelihood",
    "brier",
    "expected_calibration_error",
    "debiased_calibration_error",
)


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """What `calibration` returns.

    Attributes:
        runs: a row a run: placement, strength, seed and split, its accuracy,
            negative_log_likelihood, brier, expected_calibration_error, and
            debiased_calibration_error, which is a square.
        bins: a row a run and bin of confidence that has rows: the mean ``confidence``
            of the class that is decided for, the ``accuracy``, and the ``share`` of
            the rows.
        comparison: what `compare` says of the four scores against the runs without
            noise, all adjusted for one another. None without such runs, and of models
            by name.
    """

    runs: pd.DataFrame
    bins: pd.DataFrame
    comparison: Comparison | None

    def __repr__(self) -> str:
        shown = ["accuracy", *SCORES]
        means = self.runs.groupby(cell_columns(self.runs), sort=False, dropna=False)
        return means[shown].mean().to_string()


def calibration(
    result_or_models: SweepResult | Mapping[str, Any],
    data: Any,
    *,
    bins: int = 15,
    baseline: str = "none",
) -> Calibration:
    """Return how far the probabilities of trained models can be believed.

    Args:
        result_or_models: as for `noise_curve`; the outputs are logits, one a row for
            two classes, or one a class.
        data: as for `noise_curve`.
        bins: of confidence, equally wide.
        baseline: the placement of a sweep that others are compared with.

    Returns:
        A `Calibration`; `jaxnoise.plots.reliability` draws it. 1,024 rows are in memory
        at a time, but for their outputs.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if no variables were kept, or outputs and targets do not fit.

    Reference: C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On calibration of modern
        neural networks", ICML 2017.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jax.random.logistic(jax.random.key(0), (5000, 1))
        >>> y = (jax.random.logistic(jax.random.key(1), (5000, 1)) < x).astype(int)
        >>> models = {"right": lambda x: x, "too sure": lambda x: 3 * x}
        >>> found = jn.calibration(models, (x, y)).runs
        >>> found["expected_calibration_error"].round(1).tolist()
        [0.0, 0.1]
    """
    check_count("bins", bins)
    x, y = rows_of(data)
    asked = runs_of(result_or_models)
    outputs = by_programs([Outputs(run.asked.apply) for run in asked], x, asked)
    pairs = list(zip(asked, map(jnp.asarray, outputs), strict=True))
    scored = [run.columns | _scores(z, y, bins) for run, z in pairs]
    curves = [_curve(z, y, bins).assign(**run.columns) for run, z in pairs]
    runs = in_order(pd.DataFrame(scored))
    by_bin = in_order(pd.concat(curves, ignore_index=True))
    return Calibration(runs, by_bin, compared(result_or_models, runs, SCORES, baseline))


def _scores(logits: Array, y: Array, bins: int) -> dict[str, float]:
    """Accuracy and all of `SCORES`."""
    binary = metrics.is_binary(logits)
    right = metrics.binary_accuracy if binary else metrics.accuracy
    brier = metrics.binary_brier if binary else metrics.brier
    found = {
        "accuracy": right(logits, y).mean(),
        "negative_log_likelihood": metrics.negative_log_likelihood(logits, y).mean(),
        "brier": brier(logits, y).mean(),
    }
    for name in SCORES[2:]:
        found[name] = getattr(metrics, name)(logits, y, bins=bins)
    return {name: float(value) for name, value in found.items()}


def _curve(logits: Array, y: Array, bins: int) -> pd.DataFrame:
    """Confidence, accuracy and share of the bins that have rows."""
    n, said, right = np.asarray(metrics.binned("calibration", logits, y, bins))
    some = n > 0
    n, said, right = n[some], said[some], right[some]
    means = {"confidence": said / n, "accuracy": right / n, "share": n / n.sum()}
    return pd.DataFrame({"bin": np.flatnonzero(some), **means})
