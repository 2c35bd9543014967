"""Rivals on tables that are no networks: a linear model and gradient boosting."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from _rivals import TABLES

import jaxnoise as jn

SETS = "validation", "test"
Scores = Callable[[str], np.ndarray]  # by metric (set, candidate, split)
Fitted = Iterator[tuple[Any, Callable[[Any], Any]]]  # models, and what is asked of them


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
        found: dict[str, Scores] = {}
        for name, fit in {"linear model": linear, "gradient boosting": boosted}.items():
            found[name] = partial(score, data, [outputs(fit, name, d) for d in data])
        return found

    def outputs(fit: Any, name: str, data: jn.Data) -> list[list[np.ndarray]]:
        """By candidate and set."""
        x, y = data.train
        return [
            [logits(ask(flat(data[each][0])), model, classes) for each in SETS]
            for model, ask in fit(flat(x), np.ravel(y), classes, TABLES[name])
        ]

    def score(data: Sequence[jn.Data], found: Any, metric: str) -> np.ndarray:
        judge = functions[metric]
        by_split = [
            [
                [judge(z, d[s][1]).mean() for s, z in zip(SETS, c, strict=True)]
                for c in candidates
            ]
            for d, candidates in zip(data, found, strict=True)
        ]
        return np.transpose(by_split)

    return scores


def linear(x: Any, y: Any, classes: int | None, grid: Sequence[float]) -> Fitted:
    """A model a penalty."""
    from sklearn.linear_model import LogisticRegression, Ridge

    for c in grid:
        if classes is None:
            ridge = Ridge(alpha=1 / c).fit(x, y)
            yield ridge, ridge.predict
        else:
            model = LogisticRegression(C=c, max_iter=1000).fit(x, y)
            yield model, model.decision_function


def boosted(x: Any, y: Any, classes: int | None, grid: Sequence[int]) -> Fitted:
    """Of one model what it says after every number of trees."""
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    kind = GradientBoostingRegressor if classes is None else GradientBoostingClassifier
    model: Any = kind(n_estimators=max(grid), random_state=0).fit(x, y)
    way = "staged_predict" if classes is None else "staged_decision_function"
    stages = getattr(model, way)
    for n in grid:
        yield model, partial(nth, stages, n)


def nth(stages: Any, n: int, rows: np.ndarray) -> np.ndarray:
    """What is said at one of the stages."""
    return next(islice(stages(rows), n - 1, None))


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
