"""Searches and fits of perceptrons behind scikit-learn's interface.

All train one hidden layer of 100 units by Adam, in batches of 32, on standardised
columns, for as many epochs, and none stops early. A search has 5 folds of the breast
cancer table; where ours has strengths of noise, a peer has as many weight decays or
rates of dropout. Ours is repeated once, from a cold start, so that all that it compiles
counts; peers' processes have started and imported before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from worker import Contender, Options, compiled_by

UNITS, BATCH = 100, 32


def ours(options: Options) -> Any:
    """The estimator."""
    import jaxnoise as jn

    return jn.NoisyMLPClassifier(
        max_epochs=options["max_epochs"], batch_size=BATCH, random_state=0
    )


def theirs(options: Options) -> Any:
    """The same of scikit-learn, which is not to stop early either."""
    from sklearn.neural_network import MLPClassifier

    epochs = options["max_epochs"]
    return _scaled(
        MLPClassifier(batch_size=BATCH, max_iter=epochs, n_iter_no_change=epochs + 1)
    )


def of_skorch(options: Options) -> Any:
    """The same of PyTorch, with a rate of dropout."""
    import torch
    from skorch import NeuralNetClassifier

    return _scaled(
        NeuralNetClassifier(
            in_torch,
            module__units=UNITS,
            max_epochs=options["max_epochs"],
            batch_size=BATCH,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            train_split=None,
            verbose=0,
        )
    )


def of_keras(options: Options) -> Any:
    """The same behind Keras' own wrapper, whose clones forget arguments of fit."""
    from keras.wrappers import SKLearnClassifier

    return _scaled(SKLearnClassifier(in_keras))


def in_torch(units: int, rate: float = 0.0, seed: int = 0) -> Any:
    """One hidden layer, with dropout; probabilities, as skorch wants them."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    hidden = nn.LazyLinear(units), nn.ReLU(), nn.Dropout(rate)
    return nn.Sequential(*hidden, nn.Linear(units, 2), nn.Softmax(-1))


def in_keras(X: Any, y: Any, rate: float, seed: int) -> Any:
    """The same; the wrapper gives classes a column each."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    hidden = layers.Dense(UNITS, "relu"), layers.Dropout(rate)
    first, last = keras.Input(X.shape[1:]), layers.Dense(y.shape[1], "softmax")
    model = keras.Sequential([first, *hidden, last])
    model.compile("adam", "categorical_crossentropy")
    return model


def _scaled(network: Any) -> Any:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    single = FunctionTransformer(np.asarray, kw_args={"dtype": np.float32})
    steps = [("scale", StandardScaler()), ("single", single), ("network", network)]
    return Pipeline(steps)


def our_search(options: Options) -> Contender:
    """Strengths, folds and seeds at once."""
    import jaxnoise as jn

    grid = {"input_noise": list(np.linspace(0, 1.9, options["strengths"]))}
    search = jn.NoiseSearchCV(
        ours(options), grid, n_seeds=options["search_seeds"], refit=False
    )
    return lambda: _best(search), {}


def their_search(options: Options) -> Contender:
    """Weight decays and seeds, in two processes."""
    decays = np.geomspace(1e-5, 1e-2, options["strengths"])
    seeds = range(options["search_seeds"])
    return _in_two(theirs, options, alpha=list(decays), random_state=list(seeds))


def search_by_skorch(options: Options) -> Contender:
    """Rates of dropout; repetitions in the place of seeds."""
    rates = list(np.linspace(0, 0.8, options["strengths"]))
    again = list(range(options["search_seeds"]))
    return _in_two(of_skorch, options, module__rate=rates, module__seed=again)


def search_by_keras(options: Options) -> Contender:
    """The same."""
    rates = np.linspace(0, 0.8, options["strengths"])
    seeds = range(options["search_seeds"])
    given = [{"rate": float(r), "seed": seed} for r in rates for seed in seeds]
    fitting = {"batch_size": BATCH, "verbose": 0}

    def how(epochs: int) -> dict[str, Any]:
        return {f"network__{k}": v for k, v in {**fitting, "epochs": epochs}.items()}

    return _in_two(of_keras, options, how, model_kwargs=given)


def _in_two(
    make: Callable[[Options], Any],
    options: Options,
    how: Callable[[int], dict[str, Any]] = lambda _: {},
    **grid: Sequence[Any],
) -> Contender:
    """`GridSearchCV` in two processes, which a search of one epoch has started."""
    from sklearn.model_selection import GridSearchCV

    def search(epochs: int, grid: dict[str, Any]) -> float:
        estimator = make(options | {"max_epochs": epochs})
        named = {f"network__{name}": values for name, values in grid.items()}
        searching = GridSearchCV(estimator, named, n_jobs=2, refit=False)
        return _best(searching, **how(epochs))

    search(1, {name: values[:1] for name, values in grid.items()})
    return lambda: search(options["max_epochs"], dict(grid)), {}


def _best(search: Any, **how: Any) -> float:
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    return float(search.fit(X, y, **how).cv_results_["mean_test_score"].max())


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
    "skorch search": search_by_skorch,
    "Keras wrapper search": search_by_keras,
    "jaxnoise fit": lambda options: fit(ours(options)),
    "MLPClassifier fit": lambda options: fit(theirs(options)),
}
