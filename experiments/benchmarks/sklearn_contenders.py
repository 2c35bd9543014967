"""Searches and fits of perceptrons behind scikit-learn's interface.

All train one hidden layer of 100 units by Adam, in batches of 32, on standardised
columns, for as many epochs. A search has 5 folds of the breast cancer table; where ours
has strengths of noise, the peer's has as many weight decays. A search is repeated once,
from a cold start, so that all that it compiles counts.
"""

from typing import Any

import numpy as np
from worker import Contender, Options, compiled_by


def ours(options: Options) -> Any:
    """The estimator."""
    import jaxnoise as jn

    return jn.NoisyMLPClassifier(
        max_epochs=options["max_epochs"], batch_size=32, random_state=0
    )


def theirs(options: Options) -> Any:
    """The same of scikit-learn, which is not to stop early either."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    epochs = options["max_epochs"]
    network = MLPClassifier(
        batch_size=32, max_iter=epochs, n_iter_no_change=epochs + 1, random_state=0
    )
    return make_pipeline(StandardScaler(), network)


def our_search(options: Options) -> Contender:
    """Strengths, folds and seeds at once."""
    import jaxnoise as jn

    grid = {"input_noise": list(np.linspace(0, 1.9, options["strengths"]))}
    seeds = options["search_seeds"]
    return _searching(jn.NoiseSearchCV(ours(options), grid, n_seeds=seeds, refit=False))


def their_search(options: Options) -> Contender:
    """As many candidates and seeds, in two processes."""
    from sklearn.model_selection import GridSearchCV

    grid = {
        "mlpclassifier__alpha": list(np.geomspace(1e-5, 1e-2, options["strengths"])),
        "mlpclassifier__random_state": list(range(options["search_seeds"])),
    }
    return _searching(GridSearchCV(theirs(options), grid, n_jobs=2, refit=False))


def _searching(search: Any) -> Contender:
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)

    def repeat() -> float:
        return float(search.fit(X, y).cv_results_["mean_test_score"].max())

    return repeat, {}


def fit(estimator: Any) -> Contender:
    """On scikit-learn's digits; the first one compiles."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)

    def repeat() -> None:
        estimator.fit(X, y)

    return repeat, compiled_by(repeat)


CONTENDERS = {
    "jaxnoise search": our_search,
    "MLPClassifier search": their_search,
    "jaxnoise fit": lambda options: fit(ours(options)),
    "MLPClassifier fit": lambda options: fit(theirs(options)),
}
