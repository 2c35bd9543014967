"""The search: scores of GridSearchCV, and what is said of noise."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer

import jaxnoise as jn
from jaxnoise.training import program
from jaxnoise.training.program import traced_program

X, Y = load_iris(return_X_y=True)
FEW = {"max_epochs": 5, "random_state": 0, "hidden_layer_sizes": (8,)}
LEVELS = [0.0, 0.3, 3.0]


@pytest.fixture(scope="module")
def pipeline():
    net = jn.NoisyMLPClassifier(learning_rate_init=0.03, alpha=0.01, **FEW)
    return make_pipeline(PowerTransformer(), net)


@pytest.fixture(scope="module")
def grid():
    return {"noisymlpclassifier__input_noise": LEVELS}


SCORING = {"scoring": ["accuracy", "neg_log_loss"], "return_train_score": True}


@pytest.fixture(scope="module")
def search(pipeline, grid):
    cv = RepeatedStratifiedKFold(n_splits=2, n_repeats=5, random_state=0)
    options = SCORING | {"cv": cv, "n_seeds": 2, "refit": "neg_log_loss"}
    return jn.NoiseSearchCV(pipeline, grid, **options).fit(X, Y)


def test_scores_are_those_of_grid_search(search, pipeline, grid):
    """To the last bit, with the same programs."""
    before = traced_program.cache_info().misses
    found = []
    for seed in (0, 1):
        pipeline.set_params(noisymlpclassifier__random_state=seed)
        theirs = GridSearchCV(
            pipeline, grid, cv=search.cv, refit="neg_log_loss", **SCORING
        )
        found.append(theirs.fit(X, Y).cv_results_)
    ours = search.cv_results_
    assert not set(found[0]) - set(ours)
    for name in found[0]:
        if name.startswith("split"):
            mean = (found[0][name] + found[1][name]) / 2
            np.testing.assert_allclose(ours[name], mean, rtol=1e-12)
    assert ours["params"] == found[0]["params"]
    assert (ours["mean_fit_time"] > 0).all()
    assert traced_program.cache_info().misses == before


def test_what_is_chosen(search):
    results = search.cv_results_
    best = results["mean_test_neg_log_loss"].argmax()
    assert search.best_index_ == best
    assert search.best_score_ == results["mean_test_neg_log_loss"][best]
    assert search.best_params_ == results["params"][best]
    assert search.n_splits_ == 10
    assert search.predict(X).shape == Y.shape
    assert list(search.classes_) == [0, 1, 2]
    search.scoring  # noqa: B018
    assert search.score(X, Y) == search.scorer_["neg_log_loss"](
        search.best_estimator_, X, Y
    )


def test_what_is_said(search):
    """Noise of three deviations hurts; each fold's difference is its own."""
    results, rows = search.cv_results_, search.comparison_
    assert list(rows["placement"]) == ["none", "input", "input"]
    assert list(rows["strength"]) == LEVELS
    splits = np.stack(
        [results[f"split{i}_test_neg_log_loss"] for i in range(10)], axis=1
    )
    differences = (splits - splits[0]).mean(axis=1)
    np.testing.assert_allclose(results["difference"][1:], differences[1:])
    assert results["verdict"][2] == rows["verdict"].iloc[2] == "worse"
    assert results["difference_low"][2] < differences[2] < results["difference_high"][2]
    assert rows.attrs["overlap"] == 1.0
    assert "input noise of 0.3 changes neg_log_loss by" in search.answer_
    assert jn.plots.strength_curve(rows)


@pytest.mark.slow
def test_static_parameters_loop_and_a_baseline_is_added(tmp_path):
    groups = np.arange(150) % 6
    net = jn.NoisyMLPClassifier(**FEW | {"early_stopping": True})
    search = jn.NoiseSearchCV(
        net,
        {"hidden_noise": [0.1], "activation": ["relu", "tanh"]},
        cv=GroupKFold(2),
        n_seeds=[7],
        refit="one_standard_error",
        store=tmp_path / "runs.db",
    )
    search.fit(X, Y, groups=groups)
    assert len(search.cv_results_["params"]) == 2
    assert list(search.comparison_["verdict"])[-1] == "baseline"
    assert "2 folds are too few (5 at least" in search.answer_
    assert search.best_estimator_.hidden_noise == 0.1
    assert len(jn.Store(tmp_path / "runs.db").runs) == 6
    first = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(
        search.fit(X, Y, groups=groups).cv_results_["mean_test_score"], first
    )


@pytest.mark.slow
def test_two_classes_and_early_stopping_score_as_in_grid_search():
    """One logit tells them apart; epochs count where they tell when to stop."""
    X2, y2 = X[50:], np.array(["no", "yes"])[Y[50:] - 1]
    grid = {"input_noise": [0.0, 0.3]}
    for stop in (False, True):
        net = jn.NoisyMLPClassifier(**FEW, early_stopping=stop)
        options = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
        ours = jn.NoiseSearchCV(net, grid, n_seeds=[0], **options).fit(X2, y2)
        theirs = GridSearchCV(net, grid, **options).fit(X2, y2)
        np.testing.assert_allclose(
            ours.cv_results_["mean_test_score"],
            theirs.cv_results_["mean_test_score"],
            rtol=1e-12,
        )


@pytest.mark.slow
def test_folds_that_need_other_programs_train_side_by_side():
    """One fills its minibatches, one does not, and one lacks a class."""
    rows, two = np.arange(0, 150, 2), np.arange(0, 100, 2)
    folds = [(rows[:64], rows[64:]), (rows[:63], rows[63:]), (two[:40], rows[64:])]
    net, grid = jn.NoisyMLPClassifier(**FEW), {"input_noise": LEVELS}
    theirs = GridSearchCV(net, grid, cv=folds).fit(X, Y).cv_results_
    ours = jn.NoiseSearchCV(net, grid, cv=folds, n_seeds=1).fit(X, Y).cv_results_
    for i in range(3):
        name = f"split{i}_test_score"
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_an_interrupted_search_goes_on(tmp_path, monkeypatch):
    """Folds that were trained come from the store, with the same scores."""
    net, grid = jn.NoisyMLPClassifier(**FEW), {"input_noise": [0.0, 0.3]}
    options = {"cv": 2, "n_seeds": [0], "refit": False}
    kept = jn.NoiseSearchCV(net, grid, store=tmp_path / "runs.db", **options)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("jaxnoise.estimators.search.scores_of", interrupted)
        kept.fit(X, Y)
    found = jn.Store(tmp_path / "runs.db").runs
    assert list(found["strength.input_noise"].fillna(0)) == [0.0, 0.3]
    results_of, trained = program.results_of, []

    def counted(job, *more):
        trained.extend(job.ids)
        return results_of(job, *more)

    monkeypatch.setattr(program, "results_of", counted)
    kept.fit(X, Y)
    assert len(trained) == 2
    whole = jn.NoiseSearchCV(net, grid, **options).fit(X, Y)
    assert len(trained) == 6
    np.testing.assert_array_equal(
        kept.cv_results_["mean_test_score"], whole.cv_results_["mean_test_score"]
    )


@pytest.mark.slow
def test_processes_train_the_same():
    net = jn.NoisyMLPClassifier(**FEW)
    options = {"cv": 2, "n_seeds": 1, "refit": False}
    grid = {"input_noise": [0.0, 0.3]}
    here = jn.NoiseSearchCV(net, grid, **options).fit(X, Y)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = jn.NoiseSearchCV(net, grid, executor=pool, **options).fit(X, Y)
    np.testing.assert_array_equal(
        here.cv_results_["mean_test_score"], there.cv_results_["mean_test_score"]
    )


def test_a_grid_for_a_start():
    from jaxnoise.estimators.search import noise_grid

    grids = noise_grid(make_pipeline(PowerTransformer(), jn.NoisyMLPRegressor()))
    assert set(map(len, grids)) == {4}
    assert {k for g in grids for k in g} == {
        f"noisymlpregressor__{site}_noise"
        for site in ("input", "hidden", "weight", "label")
    }
    assert "hidden_noise" not in noise_grid(jn.NoisyNetClassifier())[0]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"param_grid": "noises"}, "param_grid must be 'noise', or a dict or list"),
        ({"estimator": LogisticRegression()}, "estimator must be one of jaxnoise"),
        ({"refit": "best"}, "refit must be True, False, 'one_standard_error'"),
        (
            {"scoring": ["accuracy"]},
            r"refit must say which score chooses, one of \['ac",
        ),
        ({"n_seeds": 0}, "n_seeds must be at least 1, got 0"),
        (
            {"param_grid": {"input_noise": [-1.0]}},
            "input_noise must be finite and >= 0",
        ),
    ],
)
def test_refused(change, message):
    given = {
        "estimator": jn.NoisyMLPClassifier(),
        "param_grid": {"input_noise": [0.0, 0.1]},
    }
    with pytest.raises((TypeError, ValueError), match=message):
        jn.NoiseSearchCV(**given | change).fit(X, Y)
