"""Data sets: the case study's, exactly, and what `Data` accepts."""

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import rice
from sklearn.datasets import make_circles

import jaxnoise as jn


def test_circles_are_the_tutorials():
    data = jn.data.circles()
    x, y = make_circles(n_samples=100, noise=0.1, random_state=1)
    np.testing.assert_allclose(data.train[0], x[:30], rtol=1e-6)
    np.testing.assert_allclose(data.test[0], x[30:], rtol=1e-6)
    np.testing.assert_array_equal(data.train[1], y[:30, None])
    np.testing.assert_array_equal(data.test[1], y[30:, None])
    assert data.train[1].sum() == 16
    assert data.test[1].sum() == 34
    x, y = make_circles(n_samples=20_000, noise=0.1, random_state=12_345)
    np.testing.assert_allclose(data.population[0], x, rtol=1e-6)
    np.testing.assert_array_equal(data.population[1], y[:, None])


def test_circles_options():
    data = jn.data.circles(40, 12, noise=0.0, seed=3, population=10, population_seed=4)
    assert repr(data) == "Data(train=12 rows, test=28 rows, population=10 rows)"
    radius = np.hypot(*data.train[0].T)
    np.testing.assert_allclose(
        np.where(data.train[1][:, 0] == 0, 1, 0.8), radius, rtol=1e-5
    )


def test_bayes():
    best = jn.data.circles_bayes()
    assert round(best.accuracy, 4) == 0.8406
    assert round(best.radius, 4) == 0.9056
    data = jn.data.circles()
    for (x, y), hits in ((data.test, 59), (data.train, 27)):
        assert ((np.hypot(*x.T) < best.radius) == y[:, 0]).sum() == hits


@pytest.mark.parametrize("noise", [0.05, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("factor", [0.3, 0.8])
def test_bayes_against_integration(noise, factor):
    """Half the integral of the larger density; the mean surprise on the same grid."""
    r = np.linspace(0, 1 + 12 * noise, 400_001)[1:]
    inner = rice.pdf(r, factor / noise, scale=noise)
    outer = rice.pdf(r, 1 / noise, scale=noise)
    best = jn.data.circles_bayes(noise, factor=factor)
    accuracy = np.trapezoid(np.maximum(inner, outer), r) / 2
    np.testing.assert_allclose(best.accuracy, accuracy, rtol=1e-6)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = -inner * np.log(inner / (inner + outer))
        surprise -= outer * np.log(outer / (inner + outer))
    loss = np.trapezoid(np.nan_to_num(surprise), r) / 2
    np.testing.assert_allclose(best.loss, loss, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("noise", [0.0, 1e-3, 100.0])
def test_bayes_limits(noise):
    best = jn.data.circles_bayes(noise)
    expected = (0.5, np.log(2)) if noise == 100 else (1.0, 0.0)
    np.testing.assert_allclose(best[:2], expected, atol=1e-4)


def test_data_is_a_mapping_and_a_pytree():
    x, y = np.ones((3, 2)), [[0], [1], [0]]
    data = jn.Data(train=(x, y), test=(x[:1], y[:1]))
    assert list(data) == ["train", "test"]
    assert data["test"] is data.test
    assert data.train[0].dtype == np.float32
    assert data.train[1].dtype == np.int32
    doubled = jax.jit(lambda d: jax.tree.map(lambda leaf: 2 * leaf, d))(data)
    assert isinstance(doubled, jn.Data)
    np.testing.assert_array_equal(doubled.train[0], 2 * x)
    paths = [
        jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(data)
    ]
    assert paths[0] == ".train[0]"
    with pytest.raises(AttributeError, match="no set named 'tset'"):
        _ = data.tset


def test_inputs_may_be_pytrees():
    x = {"values": np.ones((3, 4, 2)), "mask": np.ones((3, 4), bool)}
    data = jn.Data(train=(x, np.zeros((3, 1))))
    assert data.train[0]["mask"].dtype == bool
    assert jn.data.row_count(data.train) == 3


def test_tables_of_numbers_and_flags():
    """As get_dummies makes them; also in the types of pandas that know NA."""
    table = pd.DataFrame({"size": [1.5, 2.0, 0.5], "colour": ["red", "green", "red"]})
    dummies = pd.get_dummies(table)
    expected = np.array([[1.5, 0, 1], [2, 1, 0], [0.5, 0, 1]], np.float32)
    for x in (dummies, dummies.convert_dtypes(), pd.get_dummies(table, sparse=True)):
        made, y = jn.Data(train=(x, pd.Series([0, 1, 2], dtype="Int64"))).train
        np.testing.assert_array_equal(made, expected, strict=True)
        np.testing.assert_array_equal(y, np.arange(3, dtype=np.int32), strict=True)


@pytest.mark.bad_input
def test_bad_sets():
    """Others are in `test_mistakes` and, by their values, in `test_data_arrays`."""
    with pytest.raises(TypeError, match=r"train must be a pair \(x, y\), got a tuple"):
        jn.Data(train=(np.ones((3, 2)),))
    with pytest.raises(ValueError, match="train must have at least one row, got none"):
        jn.Data(train=(np.ones((0, 2)), np.ones((0, 1))))


@pytest.mark.bad_input
def test_bad_bayes():
    with pytest.raises(ValueError, match="noise must be finite"):
        jn.data.circles_bayes(float("nan"))
    with pytest.raises(ValueError, match="factor must be between 0 and 1, got 1"):
        jn.data.circles_bayes(0.1, factor=1)
