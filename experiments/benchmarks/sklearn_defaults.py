"""Default estimators on ten tables that ship with packages, five times two folds.

Columns are standardised for the peer by a `StandardScaler` before it; ours does so by
itself, and regressors of ours standardise the targets, too. Scores are accuracies, and
R squared.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from worker import Contender, Options

Table = tuple[Any, Any]


def classification() -> Iterator[tuple[str, Table]]:
    """Two to ten classes, 150 to 1,797 rows."""
    from sklearn import datasets
    from statsmodels.datasets import anes96

    for name in ("iris", "wine", "breast_cancer", "digits"):
        yield name, getattr(datasets, f"load_{name}")(return_X_y=True)
    votes = anes96.load_pandas().data
    yield "anes96", (votes.drop(columns=["vote", "popul"]), votes["vote"])


def regression() -> Iterator[tuple[str, Table]]:
    """One to ten columns, 51 to 442 rows."""
    from mlxtend.data import autompg_data
    from sklearn.datasets import load_diabetes
    from statsmodels.datasets import engel, grunfeld, statecrime

    yield "diabetes", load_diabetes(return_X_y=True)
    X, y = autompg_data()
    yield "auto mpg", (X[:, :7], y)  # the last column is the car's name
    food = engel.load_pandas().data
    yield "engel", (food[["income"]], food["foodexp"])
    firms = grunfeld.load_pandas().data
    yield "grunfeld", (firms[["value", "capital"]], firms["invest"])
    states = statecrime.load_pandas().data
    yield "statecrime", (states.drop(columns=["violent", "murder"]), states["violent"])


def scores(
    classifier: Callable[[], Any], regressor: Callable[[], Any], options: Options
) -> Contender:
    """By table, in the order of the folds."""
    from sklearn.model_selection import (
        RepeatedKFold,
        RepeatedStratifiedKFold,
        cross_val_score,
    )

    folds = {"n_splits": 2, "n_repeats": options["repeats"], "random_state": 0}
    kinds = (
        (classification, classifier, RepeatedStratifiedKFold(**folds)),
        (regression, regressor, RepeatedKFold(**folds)),
    )
    tables = [
        (name, table, make, cv)
        for kind, make, cv in kinds
        for name, table in list(kind())[: options["tables"]]
    ]

    def repeat() -> dict[str, list[float]]:
        return {
            name: cross_val_score(make(), X, np.asarray(y), cv=cv).tolist()
            for name, (X, y), make, cv in tables
        }

    return repeat, {}


def ours(options: Options) -> Contender:
    """Defaults, but for the seed."""
    import jaxnoise as jn

    return scores(
        lambda: jn.NoisyMLPClassifier(random_state=0),
        lambda: jn.NoisyMLPRegressor(random_state=0),
        options,
    )


def theirs(options: Options) -> Contender:
    """The same of scikit-learn."""
    import warnings

    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    warnings.simplefilter("ignore")  # that 200 epochs were too few

    def scaled(network: Any) -> Any:
        return make_pipeline(StandardScaler(), network(random_state=0))

    return scores(lambda: scaled(MLPClassifier), lambda: scaled(MLPRegressor), options)


CONTENDERS = {"jaxnoise defaults": ours, "MLP defaults": theirs}
