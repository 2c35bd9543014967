"""Rivals on tables that are no networks: a linear model and gradient boosting."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from _rivals import TABLES

import jaxnoise as jn

SETS = "validation", "test"
Scores = Callable[[str], Any]  # by metric, of both sets arrays (candidate, split)


def others(
    functions: Mapping[str, Callable[..., Any]], classes: int | None
) -> Callable[[Sequence[jn.Data]], dict[str, Scores]]:
    """Their scores by data, as `_rivals.methods` takes them.

    Args:
        functions: by name, the network's own metrics and its loss, which take the
            models' logits.
        classes: of the targets; None for regression.
    """

    def scores(data: Sequence[jn.Data]) -> dict[str, Scores]:
        fits = {"linear model": linear, "gradient boosting": boosted}
        return {
            name: partial(score, [(d, fit(d, classes, TABLES[name])) for d in data])
            for name, fit in fits.items()
        }

    def score(fitted: Sequence[tuple[jn.Data, Any]], metric: str) -> Any:
        judge, found = functions[metric], []
        for name in SETS:
            by_split = [
                [judge(y, data[name][1]).mean() for y in outputs[name]]
                for data, outputs in fitted
            ]
            found.append(np.transpose(by_split))
        return found

    return scores


def linear(data: jn.Data, classes: int | None, grid: Sequence[float]) -> Any:
    """By set, the outputs at every penalty."""
    from sklearn.linear_model import LogisticRegression, Ridge

    found: dict[str, list[np.ndarray]] = {name: [] for name in SETS}
    x, y = data.train
    for c in grid:
        if classes is None:
            model: Any = Ridge(alpha=1 / c)
        else:
            model = LogisticRegression(C=c, max_iter=1000)
        model.fit(flat(x), np.ravel(y))
        ask = model.predict if classes is None else model.decision_function
        for name in SETS:
            found[name].append(logits(ask(flat(data[name][0])), model, classes))
    return found


def boosted(data: jn.Data, classes: int | None, grid: Sequence[int]) -> Any:
    """By set, the outputs after every number of trees, of one fit."""
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    kind = GradientBoostingRegressor if classes is None else GradientBoostingClassifier
    model: Any = kind(n_estimators=max(grid), random_state=0)
    x, y = data.train
    model.fit(flat(x), np.ravel(y))
    way = "staged_predict" if classes is None else "staged_decision_function"
    found = {}
    for name in SETS:
        stages = list(getattr(model, way)(flat(data[name][0])))
        found[name] = [logits(stages[n - 1], model, classes) for n in grid]
    return found


def flat(x: Any) -> np.ndarray:
    """Rows of features."""
    return np.reshape(x, (len(x), -1))


def logits(outputs: np.ndarray, model: Any, classes: int | None) -> np.ndarray:
    """As a network has them; what no train row had is taken as all but impossible."""
    outputs = np.float32(outputs).reshape(len(outputs), -1)
    if classes is None or classes == 2:
        return outputs
    found = np.full((len(outputs), classes), outputs.min() - 10, np.float32)
    found[:, model.classes_.astype(int)] = outputs
    return found
