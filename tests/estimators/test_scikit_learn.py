"""What scikit-learn itself asks of estimators, and does with them."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import jaxnoise as jn

NAMES = (
    "NoisyMLPClassifier",
    "NoisyMLPRegressor",
    "NoisyNetClassifier",
    "NoisyNetRegressor",
)
CHECKS = """
import warnings; warnings.simplefilter("ignore")
import jaxnoise as jn
from sklearn.utils.estimator_checks import check_estimator
found = check_estimator(jn.{name}(max_epochs=30))
print(len(found), {{each["status"] for each in found}})
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_check(name):
    """None fails, none is skipped."""
    programs = os.environ["JAXNOISE_TEST_PROGRAMS"]
    done = subprocess.run(
        [sys.executable, "-c", CHECKS.format(name=name)],
        env=os.environ
        | {"SCIPY_ARRAY_API": "1", "JAX_COMPILATION_CACHE_DIR": programs},
        capture_output=True,
        text=True,
        check=True,
    )
    count, statuses = done.stdout.split(maxsplit=1)
    assert int(count) > 40
    assert statuses.strip() == "{'passed'}"


@pytest.mark.slow
def test_tools_of_scikit_learn():
    """Pipelines, searches in other processes, and what inspects estimators."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    X = X.assign(words=np.where(X.iloc[:, 0] > 5.8, "long", "short"))
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["words"]), remainder="passthrough"
    )
    few = {"max_epochs": 30, "random_state": 0, "learning_rate_init": 0.01}
    model = make_pipeline(encode, jn.NoisyMLPClassifier(**few))
    assert cross_val_score(model, X, y, cv=3).mean() > 0.8
    grid = {"noisymlpclassifier__input_noise": [0.0, 0.1]}
    search = GridSearchCV(model, grid, cv=3, n_jobs=2).fit(X, y)
    assert search.best_score_ > 0.8
    np.testing.assert_array_equal(
        search.best_estimator_.predict_proba(X),
        model.set_params(**search.best_params_).fit(X, y).predict_proba(X),
    )
    calibrated = CalibratedClassifierCV(model, cv=3).fit(X, y)
    assert calibrated.predict_proba(X).shape == (150, 3)
    found = permutation_importance(model, X, y, n_repeats=2, random_state=0)
    assert found.importances_mean[2:4].max() > 0.05
    _, _, scores = learning_curve(model, X, y, cv=3, train_sizes=[0.5, 1.0])
    assert np.isfinite(scores).all()
    target = pd.Series(np.exp(X.iloc[:, 0]))
    whole = TransformedTargetRegressor(
        jn.NoisyMLPRegressor(**few), func=np.log, inverse_func=np.exp
    )
    assert whole.fit(X.iloc[:, :4], target).score(X.iloc[:, :4], target) > 0.8
    assert "NoisyMLPClassifier" in model._repr_html_()
