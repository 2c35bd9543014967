"""Losses and metrics, against the formulas in NumPy."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax

import jaxnoise as jn

rng = np.random.default_rng(0)
Z = rng.normal(size=(7, 3)).astype(np.float32)


def test_binary_cross_entropy():
    t = rng.integers(0, 2, size=(7, 3))
    p = expit(Z.astype(float))
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(axis=1)
    np.testing.assert_allclose(
        jn.losses.binary_cross_entropy(Z, t), expected, rtol=1e-5
    )


def test_binary_cross_entropy_is_finite_for_large_logits():
    z, t = np.array([[1e4], [-1e4]], np.float32), np.array([[0.0], [0.0]])
    np.testing.assert_allclose(jn.losses.binary_cross_entropy(z, t), [1e4, 0])


def test_softmax_cross_entropy():
    labels = rng.integers(0, 3, size=7)
    expected = -log_softmax(Z.astype(float), axis=1)[np.arange(7), labels]
    for targets in (labels, np.eye(3)[labels], np.eye(3, dtype=int)[labels]):
        np.testing.assert_allclose(
            jn.losses.softmax_cross_entropy(Z, targets), expected, rtol=1e-5
        )


def test_sequence_labels():
    z = rng.normal(size=(2, 4, 3)).astype(np.float32)
    labels = rng.integers(0, 3, size=(2, 4))
    assert jn.losses.softmax_cross_entropy(z, labels).shape == (2,)
    np.testing.assert_allclose(
        jn.metrics.accuracy(z, labels), (z.argmax(-1) == labels).mean(1)
    )


def test_squared_error():
    t = rng.normal(size=(7, 3)).astype(np.float32)
    np.testing.assert_allclose(
        jn.losses.squared_error(Z, t), ((Z - t) ** 2).mean(1), rtol=1e-5
    )


def test_accuracies():
    t = rng.integers(0, 2, size=(7, 3))
    np.testing.assert_allclose(
        jn.metrics.binary_accuracy(Z, t), ((Z > 0) == t).mean(1), rtol=1e-6
    )
    labels = rng.integers(0, 3, size=7)
    for targets in (labels, np.eye(3)[labels]):
        np.testing.assert_array_equal(
            jn.metrics.accuracy(Z, targets), Z.argmax(1) == labels
        )


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "function",
    [
        jn.losses.binary_cross_entropy,
        jn.losses.softmax_cross_entropy,
        jn.losses.squared_error,
        jn.metrics.binary_accuracy,
        jn.metrics.accuracy,
    ],
)
def test_shapes_that_would_broadcast(function):
    z, t = np.zeros((5, 1), np.float32), np.zeros(5, np.float32)
    message = (
        rf"{function.__name__}: targets must have the shape of the outputs, \(5, 1\)"
    )
    with pytest.raises(ValueError, match=message):
        function(z, t)
