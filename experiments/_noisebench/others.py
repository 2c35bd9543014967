"""Rivals that are no networks of ours: candidates of scikit-learn, by division."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from _tables import SETS, Fitted, flat, linear, logits, nth

import jaxnoise as jn
from _noisebench.network import loss_of, metrics_of
from _noisebench.plan import CHECKED, PLAN

MACHINE = "RBF machine"  # which gives no probabilities
UNSURE = ("loss", "brier", "calibration_error")


def tuned(
    grids: Mapping[str, Sequence[Any]], classes: int, data: Sequence[jn.Data]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Scores as `_rivals.methods` takes them, and seconds a division."""
    found, seconds = {}, {}
    arrays = [_arrays(each) for each in data]
    for name, grid in grids.items():
        began = time.monotonic()
        # by division, candidate and set
        outputs = [decided(name, grid, classes, each) for each in arrays]
        seconds[name] = (time.monotonic() - began) / len(data)
        found[name] = measured(name, classes, outputs, arrays).get
    return found, seconds


def _arrays(data: jn.Data) -> dict[str, Any]:
    return {name: (flat(x), np.asarray(y)) for name, (x, y) in data.items()}


def measured(
    name: str, classes: int, outputs: Any, arrays: Sequence[Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """By measure an array (set, candidate, division)."""
    functions = {"loss": loss_of(classes), **metrics_of(classes)}

    @jax.jit
    @jax.vmap  # over divisions
    def of_division(outputs: Any, y: Any) -> dict[str, Any]:
        return {
            measure: jax.vmap(lambda z, f=function: f(z, y).mean())(outputs)
            for measure, function in functions.items()
        }

    sides = []
    for i, each in enumerate(SETS):
        z = np.array([[sets[i] for sets in candidates] for candidates in outputs])
        sides.append(of_division(z, np.array([one[each][1] for one in arrays])))
    unsure = UNSURE if name == MACHINE and classes else ()
    return {
        measure: np.array([side[measure].T for side in sides])
        * (np.nan if measure in unsure else 1)
        for measure in functions
    }


def decided(
    name: str, grid: Sequence[Any], classes: int, data: Mapping[str, Any]
) -> list[list[np.ndarray]]:
    """What every candidate makes of the rows that choose, and of those that judge."""
    from threadpoolctl import threadpool_limits

    x, y = data["train"]
    with threadpool_limits(1):
        fitted = FITS[name](x, np.ravel(y), classes or None, grid)
        return [
            [logits(ask(data[each][0]), model, classes or None) for each in SETS]
            for model, ask in fitted
        ]


def boosted(
    x: Any, y: Any, classes: int | None, grid: Sequence[Sequence[int]]
) -> Fitted:
    """A model for each size of leaf, and what it says after numbers of trees."""
    from sklearn import ensemble

    kind = "Regressor" if classes is None else "Classifier"
    way = "staged_predict" if classes is None else "staged_decision_function"
    for leaf in dict.fromkeys(leaf for leaf, _ in grid):
        trees = [n for least, n in grid if least == leaf]
        model = getattr(ensemble, f"HistGradientBoosting{kind}")(
            max_iter=max(trees),
            min_samples_leaf=leaf,
            early_stopping=False,
            random_state=0,
        ).fit(x, y)
        for n in trees:
            yield model, partial(nth, getattr(model, way), n)


def machines(
    x: Any, y: Any, classes: int | None, grid: Sequence[Sequence[float]]
) -> Fitted:
    """Support vector machines; of several classes the one of most pairs wins."""
    from sklearn.svm import SVC, SVR

    scale = 1 / (x.shape[1] * (x.var() or 1.0))
    for c, times in grid:
        settings: Any = {"C": c, "gamma": times * scale}
        if classes is None:
            model = SVR(**settings).fit(x, y)
            yield model, model.predict
        else:
            model = SVC(**settings, break_ties=True).fit(x, y)
            yield model, model.decision_function


def perceptrons(
    x: Any, y: Any, classes: int | None, grid: Sequence[Sequence[float]]
) -> Iterator[tuple[Any, Any]]:
    """scikit-learn's own network, at our width and batches."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    protocol = PLAN["protocol"]

    def ask(model: Any, rows: Any) -> Any:
        likely = np.log(np.maximum(model.predict_proba(rows), 1e-30))
        return likely[:, 1] - likely[:, 0] if classes == 2 else likely

    for rate, epochs in grid:
        model = MLPClassifier(
            (protocol["units"],),
            batch_size=min(protocol["batch_size"], len(x)),
            learning_rate_init=rate,
            max_iter=int(epochs),
            n_iter_no_change=int(epochs),
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, y)
        yield model, partial(ask, model)


FITS: dict[str, Callable[..., Fitted]] = {
    "linear model": linear,
    "gradient boosting": boosted,
    MACHINE: machines,
    CHECKED: perceptrons,
}
