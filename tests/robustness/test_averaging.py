"""Noise left on, against its exact effect on linear models."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import norm

import jaxnoise as jn
from jaxnoise.model import as_model
from jaxnoise.training.sweep import TrainedModel

KEY = jax.random.key(0)
X = jnp.array([[0.4], [-1.0], [0.0], [3.0]])
PARAMS = {"output": {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)}}


def line(stddev):
    """``x + stddev * e``."""
    noise = jn.GaussianNoise(stddev)
    return TrainedModel(jn.MLP((), 1, input_noise=noise), {"params": PARAMS})


def normals(function):
    """The mean of a function of standard normals, by quadrature."""
    at, weights = np.polynomial.hermite_e.hermegauss(80)
    return function(at) @ weights / weights.sum()


@pytest.mark.slow
def test_probabilities_are_averaged_over_the_noise():
    draws, stddev = 3000, 2.0
    found = jn.predict_averaged(line(stddev), X, key=KEY, draws=draws)
    for i, x in enumerate(np.asarray(X)[:, 0]):
        p = normals(lambda e, x=x: expit(x + stddev * e))
        sd = np.sqrt(normals(lambda e, x=x, p=p: (expit(x + stddev * e) - p) ** 2))
        error = 5 * sd / np.sqrt(draws)
        np.testing.assert_allclose(found.mean[i], [1 - p, p], atol=error)
        np.testing.assert_allclose(found.spread[i], sd, rtol=5 / np.sqrt(draws))
        row = found.table.iloc[i]
        assert row["standard_error"] == pytest.approx(row["spread"] / np.sqrt(draws))
        share = norm.cdf(abs(x) / stddev)
        error = 5 * np.sqrt(share * (1 - share) / draws)
        assert row["votes"] == pytest.approx(max(share, 0.5), abs=error)
    labels = found.table[["clean", "averaged", "majority"]].to_numpy()
    sure = np.asarray(X)[:, 0] != 0
    assert (labels == np.asarray(X > 0).astype(int))[sure].all()
    assert found.table["probability"].tolist() == found.mean.max(axis=1).tolist()
    assert (found.table["draws"] == draws).all()
    assert "majority" in str(found)


def test_clean_averaged_and_majority_differ():
    """Most noisy inputs say 1, though the clean one and the mean do not."""

    class Cliff(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            e = jn.GaussianNoise(1.0)(jnp.zeros_like(x), train=train)
            rare = jnp.where(e > 1, -9.0, 0.1)  # a sixth of the draws, but sure
            return jnp.where(e == 0, -0.1, rare)

    found = jn.predict_averaged(TrainedModel(Cliff(), {"params": {}}), X, key=KEY)
    labels = found.table[["clean", "averaged", "majority"]].drop_duplicates()
    assert labels.to_numpy().tolist() == [[0, 0, 1]]


def test_outputs_of_regression():
    draws, stddev = 2000, 0.5
    ask = {"key": KEY, "draws": draws, "regression": True}
    found = jn.predict_averaged(line(stddev), X, **ask)
    np.testing.assert_array_equal(found.table["clean"], X[:, 0])
    error = 5 * stddev / np.sqrt(draws)
    np.testing.assert_allclose(found.mean, X, atol=error)
    np.testing.assert_allclose(found.table["averaged"], found.mean[:, 0])
    np.testing.assert_allclose(found.spread, stddev, rtol=5 / np.sqrt(2 * draws))


def test_draws_end_at_the_standard_error():
    ask = {"key": KEY, "draws": 1000, "regression": True}
    found = jn.predict_averaged(line(0.5), X, standard_error=0.05, **ask).table
    assert (found["standard_error"] <= 0.05).all()
    assert set(found["draws"]) <= {100, 150}  # 100 if the spread is at most 1/2
    most = jn.predict_averaged(line(0.5), X, standard_error=0.001, **ask)
    every = jn.predict_averaged(line(0.5), X, **ask)
    assert (most.table["draws"] == 1000).all()
    pd.testing.assert_frame_equal(most.table, every.table)


@pytest.mark.parametrize("draws", [2, 53])
def test_draws_that_fill_no_block(draws):
    """As many as are asked for, under keys of the point's place and their number."""
    model, place = line(1.0), 2
    own = jax.random.fold_in(KEY, place)
    z = [
        as_model(model.model).apply(
            model.variables, X[2:3], train=True, key=jax.random.fold_in(own, i)
        )[0]
        for i in range(draws)
    ]
    found = jn.predict_averaged(model, X, key=KEY, draws=draws, regression=True)
    assert found.mean[place] == pytest.approx(np.mean(z), rel=1e-5)
    assert found.spread[place] == pytest.approx(np.std(z, ddof=1), rel=1e-4)
    assert (found.table["draws"] == draws).all()


@pytest.mark.slow
def test_as_many_devices_as_there_are_change_nothing(monkeypatch):
    x = jax.random.normal(KEY, (9, 1))
    ask = {"key": KEY, "draws": 120, "standard_error": 0.03}
    several = jn.predict_averaged(line(1.0), x, **ask)
    alone = jn.predict_averaged(line(1.0), x[:2], **ask)
    pd.testing.assert_frame_equal(several.table[:2], alone.table)
    assert several.table["draws"].nunique() > 1
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    one = jn.predict_averaged(line(1.0), x, **ask)
    pd.testing.assert_frame_equal(several.table, one.table)


def test_noise_of_every_draw_is_its_own():
    """Also of what is drawn once a batch, such as weights."""
    model = jn.NoisyDense(1)
    params = model.init(KEY, X, train=False)
    draws = 2000
    ask = {"key": KEY, "draws": draws, "regression": True}
    found = jn.predict_averaged(TrainedModel(model, params), X, **ask)
    noisy = jax.vmap(
        lambda key: model.apply(params, X, train=True, rngs={"noise": key})
    )
    expected = noisy(jax.random.split(KEY, draws)).std(axis=0)
    np.testing.assert_allclose(found.spread, expected, rtol=0.15)


class Dropped(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=not train)(x))


def test_dropout_is_noise_and_classes_may_be_many():
    x = jnp.ones((2, 4))
    model = TrainedModel(Dropped(), Dropped().init(KEY, x, train=False))
    found = jn.predict_averaged(model, x, key=KEY)
    np.testing.assert_allclose(found.mean.sum(axis=1), 1, rtol=1e-5)
    assert found.spread.shape == (2, 3)
    np.testing.assert_allclose(found.table["spread"], found.spread.max(axis=1))
    ask = {"key": KEY, "draws": 5000, "standard_error": 0.01}
    table = jn.predict_averaged(model, x, **ask).table
    assert (table["standard_error"] <= 0.01).all()
    assert (table["draws"] < 5000).all()
    assert (found.spread > 0).all()


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.BatchNorm(use_running_average=not train)(x)


NORMED = TrainedModel(Normed(), Normed().init(KEY, X, train=False))
BAD = [
    ({"model": lambda x: x}, "model must be a trained model with its noise"),
    ({"model": TrainedModel(jn.MLP((), 1), {"params": PARAMS})}, "must have noise, wh"),
    ({"model": NORMED}, "model must have no state beside its params.*batch_stats"),
    ({"draws": 1}, "draws must be at least 2, to have a spread, got 1"),
    ({"draws": 0}, "draws must be an int of at least 1, got 0"),
    ({"standard_error": 0.0}, "standard_error must be finite and > 0, got 0.0"),
    ({"key": 0}, "key must be a typed key"),
    ({"x": jnp.array([[jnp.nan]])}, "x must be finite"),
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("given", "message"), BAD, ids=lambda v: str(v)[:30])
def test_bad_input(given, message):
    arguments = {"model": line(1.0), "x": X, "key": KEY} | given
    model, x = arguments.pop("model"), arguments.pop("x")
    with pytest.raises((TypeError, ValueError), match=message):
        jn.predict_averaged(model, x, **arguments)
