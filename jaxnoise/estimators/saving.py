"""Fitted estimators as files without code: arrays as safetensors, all else as JSON.

Reading one runs nothing that is in it. What a file cannot hold, functions and networks
of one's own, is given again to `load`.
"""

import json
import os
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import flax
import jax
import numpy as np
import sklearn

from jaxnoise.checks import shown
from jaxnoise.estimators.base import Network
from jaxnoise.estimators.recipe import NetworkRecipe
from jaxnoise.estimators.tables import Standard
from jaxnoise.store.arrays import packed, put_together, taken_apart, unpacked
from jaxnoise.store.file import StoreError
from jaxnoise.training.keys import key_of_seed

FORMAT = "jaxnoise estimator 1"
CLASSES = {
    "NoisyMLPClassifier": "jaxnoise.estimators.mlp",
    "NoisyMLPRegressor": "jaxnoise.estimators.mlp",
    "NoisyNetClassifier": "jaxnoise.estimators.net",
    "NoisyNetRegressor": "jaxnoise.estimators.net",
}
PLAIN = (  # attributes of numbers, texts and lists of them
    "n_features_in_",
    "n_outputs_",
    "n_iter_",
    "loss_",
    "loss_curve_",
    "validation_scores_",
    "best_validation_score_",
    "_targets",
    "_outputs",
    "_one_column",
    "_seeds",
    "_numbers",
)
TABLES = ("classes_", "feature_names_in_", "target_mean_", "target_scale_")


def save(estimator: Network, path: str | os.PathLike) -> None:
    """Write a fitted estimator; what code makes of it is left out, and named."""
    given = estimator.get_params(deep=False) | {"random_state": None}
    params = {name: value for name, value in given.items() if _is_plain(value)}
    recipe, first = estimator._recipe, estimator.variables_
    arrays: dict[str, Any] = {}
    about: dict[str, Any] = {
        "format": FORMAT,
        "class": type(estimator).__name__,
        "params": {name: _as_plain(value) for name, value in params.items()},
        "code": sorted({*given} - {*params}),
        "plain": {k: v for k, v in vars(estimator).items() if k in PLAIN},
        "texts": {},
        "patience": recipe.patience,
        "weighted": recipe.weighted,
        "row": estimator._row,
        "versions": {
            each.__name__: each.__version__ for each in (jax, flax, sklearn, np)
        },
    }
    tables: dict[str, Any] = {"variables": list(first)}
    if estimator._columns:
        tables["columns"] = list(estimator._columns)
    for name in TABLES:
        if (value := getattr(estimator, name, None)) is not None:
            texts = value.dtype.kind not in "fiub"
            (about["texts"] if texts else tables)[name] = (
                value.tolist() if texts else value
            )
    about["form"] = taken_apart(jax.device_get(tables), (), arrays)
    Path(path).write_bytes(packed(arrays, about))


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(_as_plain(value), allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _as_plain(value: Any) -> Any:
    """Numbers of NumPy and tuples as JSON has them; dicts of texts alone."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError
        return {key: _as_plain(each) for key, each in value.items()}
    return [*map(_as_plain, value)] if isinstance(value, list | tuple) else value


def load(path: str | os.PathLike, **code: Any) -> Any:
    """Read an estimator that its ``save`` wrote; nothing in the file is run.

    Args:
        path: of the file.
        **code: the parameters that a file cannot hold, such as ``module`` of a network
            of your own, or a function as ``activation``.

    Returns:
        The fitted estimator. Its ``random_state`` is None.

    Raises:
        StoreError: if the file is damaged, none of these, or does not fit ``module``.
        TypeError: if a parameter that is code is not given, or another one is.

    Example:
        >>> import tempfile, jaxnoise as jn
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = jn.NoisyMLPClassifier(max_epochs=3).fit(X, y)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/iris.safetensors")
        ...     again = jn.load(f"{folder}/iris.safetensors")
        >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
        True
    """
    content = Path(path).read_bytes()
    try:
        arrays, about = unpacked(content)
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {shown(about['format'])}")
        expected = list(about["code"])
        name = about["class"]
        made = resolve_name(f"{CLASSES[name]}:{name}")
    except Exception as error:
        raise _damaged(path, error) from error
    if sorted(code) != expected:
        told = ", ".join(f"{each}=..." for each in expected) or "none"
        raise TypeError(
            f"load must be given the parameters that a file cannot hold, {told}, "
            f"got {', '.join(code) or 'none'}."
        )
    try:
        return _fitted(made(**about["params"], **code), about, arrays)
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Any, error: Exception) -> StoreError:
    why = str(error).partition("\n")[0]
    return StoreError(
        f"{path}: is no estimator that save wrote, or is damaged "
        f"({type(error).__name__}: {why})."
    )


def _fitted(estimator: Network, about: dict[str, Any], arrays: Any) -> Network:
    estimator._check()
    tables = put_together(about["form"], arrays)
    for name, value in about["plain"].items():
        if name not in PLAIN:
            raise ValueError(f"it has an attribute {name!r}")
        setattr(estimator, name, value)
    for name in TABLES:
        if name in tables:
            setattr(estimator, name, tables[name])
        elif name in about["texts"]:
            setattr(estimator, name, np.array(about["texts"][name], object))
    columns = tables.get("columns")
    estimator._columns = Standard(*columns) if columns else None
    estimator._optimizer_states, estimator._row = None, tuple(about["row"])
    estimator._recipe = NetworkRecipe(
        estimator._build(estimator._row),
        estimator._targets,
        estimator._outputs,
        estimator.optimizer,
        about["patience"],
        about["weighted"],
    )
    estimator.variables_ = tuple(tables["variables"])
    _check_variables(estimator)
    return estimator


def _check_variables(estimator: Network) -> None:
    """Refuse others than the network has."""
    model = estimator._recipe.model(estimator._numbers)
    x = jax.ShapeDtypeStruct((1, *estimator._row), np.float32)
    key = jax.eval_shape(key_of_seed, 0)
    wanted = jax.eval_shape(model.init, key, x)
    forms = [
        jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree)
        for tree in (wanted, *estimator.variables_)
    ]
    if len(forms) < 2 or any(form != forms[0] for form in forms):
        raise ValueError("its variables are not those of its network")
