"""The perceptrons, as a user of scikit-learn meets them."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.metrics import log_loss

import jaxnoise as jn
from jaxnoise.estimators.parameters import NOISES
from jaxnoise.training.program import traced_program

X, Y = load_iris(return_X_y=True)
FEW = {"max_epochs": 3, "random_state": 0, "hidden_layer_sizes": (8,)}


def classifier(**params):
    return jn.NoisyMLPClassifier(**FEW | params)


def regressor(**params):
    return jn.NoisyMLPRegressor(**FEW | params)


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(X, Y)


def same(one, other):
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def differ(one, other):
    assert (one.predict_proba(X) != other.predict_proba(X)).any()


def test_one_program_serves_all_numbers(fitted):
    before = traced_program.cache_info().misses
    again = classifier().fit(X, Y)
    same(again, fitted)
    others = [{"alpha": 0.1}, {"learning_rate_init": 0.1}, {"random_state": 1}]
    for params in others:
        differ(classifier(**params).fit(X, Y), fitted)
    assert traced_program.cache_info().misses == before
    noisy = dict.fromkeys(NOISES, 0.1) | {"dropout": 0.1, "max_norm": 1.0}
    classifier(**noisy).fit(X, Y)
    classifier(**dict.fromkeys(noisy, 0.2)).fit(X, Y)
    assert traced_program.cache_info().misses == before + 1


def test_tables_of_like_size_share_a_program(fitted):
    """Rows that fill the last minibatch have no part in it, nor in the loss."""
    before = traced_program.cache_info().misses
    other = classifier().fit(X[1:], Y[1:])
    assert traced_program.cache_info().misses == before
    for model, x, y in ((fitted, X, Y), (other, X[1:], Y[1:])):
        assert model.loss_ == pytest.approx(log_loss(y, model.predict_proba(x)), 1e-5)


def test_random_states(fitted):
    for make in (np.random.RandomState, np.random.default_rng):
        state = make(0)
        first, second = (classifier(random_state=state).fit(X, Y) for _ in range(2))
        differ(first, second)
        same(first, classifier(random_state=make(0)).fit(X, Y))
    differ(classifier(random_state=None).fit(X, Y), fitted)
    with pytest.raises(ValueError, match="random_state must be None, an int of at"):
        classifier(random_state=-1).fit(X, Y)


@pytest.mark.slow
def test_weights_are_copies_and_order_is_nothing(x):
    """To the last bit, where all rows are one minibatch."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), np.arange(20) % 2
    weight = rng.integers(0, 4, 20)
    order = rng.permutation(weight.sum())
    noisy = classifier(input_noise=0.3, dropout=0.2)
    one = noisy.fit(x, y, sample_weight=weight).predict_proba(x)
    other = noisy.fit(x.repeat(weight, 0)[order], y.repeat(weight)[order])
    np.testing.assert_array_equal(one, other.predict_proba(x))
    scaled = noisy.fit(x, y, sample_weight=weight * 8.0).predict_proba(x)
    np.testing.assert_array_equal(scaled, one)
    by_class = classifier(class_weight={0: 1, 1: 3}).fit(x, y).predict_proba(x)
    alike = classifier().fit(x, y, sample_weight=np.where(y, 3, 1))
    np.testing.assert_array_equal(by_class, alike.predict_proba(x))


@pytest.mark.slow
def test_labels_of_any_kind(fitted):
    words = np.array(["no", "so", "yes"], object)[Y]
    for y in (words, pd.Series(words, dtype="category"), words.tolist()):
        model = classifier().fit(X, y)
        same(model, fitted)
        assert list(model.classes_) == ["no", "so", "yes"]
        assert set(model.predict(X)) <= set(words)
    both = Y > 0
    model = classifier().fit(X, both)
    assert model.predict(X).dtype == bool
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(model.decision_function(X) > 0, model.predict(X))
    labels = np.stack([Y > 0, Y > 1], axis=1).astype(int)
    model = classifier(max_epochs=30, label_noise=0.01).fit(X, labels)
    assert model.predict(X).shape == labels.shape
    assert model.score(X, labels) > 0.8


@pytest.mark.slow
def test_targets_of_a_regressor():
    y = 1000 + X[:, 0] * 10
    several = np.stack([y, -y], axis=1)
    model = regressor(max_epochs=30, label_noise=0.01, learning_rate_init=0.01)
    model.fit(X, several)
    assert model.predict(X).shape == several.shape
    assert model.score(X, several) > 0.9
    np.testing.assert_allclose(model.target_mean_, several.mean(axis=0))
    np.testing.assert_allclose(model.target_scale_, several.std(axis=0))
    for given, shape in ((y, (150,)), (pd.DataFrame({"y": y}), (150, 1))):
        assert regressor().fit(X, given).predict(X).shape == shape


def test_early_stopping_keeps_the_best_epoch():
    y = X[:, 0]
    model = regressor(
        max_epochs=60, learning_rate_init=0.05, early_stopping=True, n_iter_no_change=4
    ).fit(X, y, sample_weight=np.linspace(0.5, 1.5, 150))
    scores = np.array(model.validation_scores_)
    assert len(model.loss_curve_) == len(scores) == model.n_iter_ < 60
    assert scores.argmax() == model.n_iter_ - 5
    assert model.best_validation_score_ == scores.max() > 0.8
    more = regressor(
        max_epochs=int(scores.argmax() + 1),
        learning_rate_init=0.05,
        early_stopping=True,
    ).fit(X, y, sample_weight=np.linspace(0.5, 1.5, 150))
    np.testing.assert_allclose(more.predict(X), model.predict(X), rtol=1e-3)


def test_ensembles_and_single_rows(fitted):
    three = classifier(n_ensemble=3).fit(X, Y)
    assert len(three.variables_) == 3
    alone = classifier(n_ensemble=2).fit(X, Y)
    np.testing.assert_array_equal(
        alone.variables_[0]["params"]["output"]["bias"],
        three.variables_[0]["params"]["output"]["bias"],
    )
    for row in (0, 149):
        np.testing.assert_array_equal(
            three.predict_proba(X[row : row + 1])[0], three.predict_proba(X)[row]
        )


@pytest.mark.slow
def test_partial_fit_and_warm_start():
    y = X[:, 0]
    model = regressor(n_ensemble=2)
    for _ in range(4):
        model.partial_fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 4
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    whole = regressor(n_ensemble=2, max_epochs=4).fit(X, y)
    np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-3)
    warm = regressor(max_epochs=4, warm_start=True).fit(X, y)
    losses = warm.loss_curve_
    assert max(warm.fit(X, y).loss_curve_) < losses[-1]
    with pytest.raises(ValueError, match="classes must be given to the first call"):
        classifier().partial_fit(X, Y)
    some = classifier().partial_fit(X[:40], Y[:40], classes=[0, 1, 2])
    assert some.predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match=r"y must hold classes of classes_.*got 7"):
        some.partial_fit(X[:40], Y[:40] + 7)


def test_tables(fitted):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = classifier().fit(frame, Y)
    np.testing.assert_array_equal(model.predict_proba(frame), fitted.predict_proba(X))
    assert list(model.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"a": "z"}))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))


def test_frames_of_polars(fitted):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(X, schema=list("abcd"))
    model = classifier().fit(frame, polars.Series(Y))
    np.testing.assert_array_equal(model.predict_proba(frame), fitted.predict_proba(X))
    assert list(model.feature_names_in_) == list("abcd")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (sparse.csr_array(X), Y, r"X is sparse, and must be dense: give X.toarray\(\)"),
        (
            np.where(X > 7, np.nan, X),
            Y,
            r"X contains NaN.*column 0: fill gaps first.*Im",
        ),
        (np.where(X > 7, 1e39, X), Y, "X contains infinity, or values beyond float32"),
        (np.full(X.shape, "red"), Y, r"X must hold numbers \(.*encode words.*OneHot"),
        (X, np.where(Y, Y, np.nan), "y contains NaN, in 50 of 150 places; leave out"),
        (X, Y * 0, "y must have two or more classes .* got one class, 0"),
        (X, np.stack([Y, Y], 1), "got several classes a row; fit one estimator a col"),
    ],
)
def test_refused_tables(x, y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        classifier().fit(x, y)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"input_noise": -0.1}, "input_noise must be finite and >= 0, got -0.1"),
        ({"hidden_noise": "0.1"}, "hidden_noise must be a number, got '0.1'"),
        ({"label_noise": 1.5}, "label_noise must be from 0 to 1, got 1.5"),
        ({"dropout": 1}, "dropout must be from 0 to below 1, got 1"),
        ({"max_norm": 0}, "max_norm must be finite and above 0, got 0"),
        ({"max_epochs": 0}, "max_epochs must be an int of at least 1, got 0"),
        ({"activation": "swish"}, "activation must be 'relu', .* got 'swish'"),
        ({"optimizer": "adamax"}, "optimizer must be 'adam', .* got 'adamax'"),
        ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes must be widths .*got \(0,"),
        ({"batch_size": "all"}, "batch_size must be 'auto' or an int"),
        ({"early_stopping": 1}, "early_stopping must be True or False, got 1"),
        ({"learning_rate_init": 1e30}, "diverged: .* lower learning_rate_init"),
    ],
)
def test_refused_parameters(params, message):
    with pytest.raises((TypeError, ValueError), match=message):
        classifier(**params).fit(X, Y)


@pytest.mark.slow
def test_progress_goes_to_stderr(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(verbose=1).fit(X, Y)
    told = capsys.readouterr()
    assert "epoch 3/3" in told.err
    assert not told.out
