"""Models that a network has to be worth beside: gradient boosting, and a linear one.

Nothing here knows JAX, so that processes that fit them start fast.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, ParameterGrid

BOOSTED, LINEAR = "boosting", "linear"
BOOSTING = {
    "learning_rate": [0.1, 0.05, 0.2, 0.02],
    "max_leaf_nodes": [31, 8, 4, 16],
}
PENALTIES = [float(penalty) for penalty in np.logspace(-4, 4, 16)]


def rival(method: str, classification: bool) -> Any:
    """The model, not fitted."""
    if method == BOOSTED and classification:
        return HistGradientBoostingClassifier(random_state=0)
    if method == BOOSTED:
        return HistGradientBoostingRegressor(random_state=0)
    return LogisticRegression(max_iter=1000) if classification else Ridge()


def rival_grid(method: str, classification: bool, count: int) -> list[dict[str, Any]]:
    """So many of its candidates, evenly spread; all of a linear model's."""
    if method == LINEAR and classification:
        return [{"C": 1 / penalty} for penalty in PENALTIES]
    if method == LINEAR:
        return [{"alpha": penalty} for penalty in PENALTIES]
    grid = list(ParameterGrid(BOOSTING))
    at = np.linspace(0, len(grid) - 1, min(count, len(grid))).round().astype(int)
    return [grid[i] for i in at]


def rival_scores(
    model: Any,
    candidates: Sequence[Mapping[str, Any]],
    rows: tuple[Any, Any],
    cut: tuple[int, int],
    scoring: str,
    jobs: int,
) -> pd.DataFrame:
    """A row a candidate: its scores, and the seconds that it took.

    Args:
        model: that is fitted.
        candidates: parameters of each.
        rows: X without gaps, and y: of rows that train, that choose, that report.
        cut: how many train, and how many choose.
        scoring: a scorer's name of scikit-learn.
        jobs: processes.
    """
    train, choose = cut
    numbers = np.arange(len(rows[1]))
    search = GridSearchCV(
        model,
        [{name: [value] for name, value in each.items()} for each in candidates],
        cv=[(numbers[:train], numbers[train:])],
        scoring=both_scores(scoring, choose),
        refit=False,
        n_jobs=jobs,
    ).fit(*rows)
    found = search.cv_results_
    return pd.DataFrame(
        {
            "candidate": range(len(candidates)),
            "validation": found["mean_test_validation"],
            "test": found["mean_test_test"],
            "seconds": found["mean_fit_time"] + found["mean_score_time"],
        }
    )


def both_scores(scoring: str, choose: int) -> Callable[..., dict[str, float]]:
    """A scorer of rows of which the first choose and the others report."""
    return partial(_both, scoring, choose)


def _both(scoring: str, choose: int, model: Any, X: Any, y: Any) -> dict[str, float]:
    scorer = get_scorer(scoring)
    return {
        "validation": float(scorer(model, X[:choose], y[:choose])),
        "test": float(scorer(model, X[choose:], y[choose:])),
    }
