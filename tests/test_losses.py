"""Losses and metrics, against the formulas in NumPy."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import expit, log_softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

import jaxnoise as jn
from jaxnoise.losses import as_probabilities

rng = np.random.default_rng(0)
N = 200
Z = rng.normal(size=(N, 3)).astype(np.float32)


def test_binary_cross_entropy():
    t = rng.integers(0, 2, size=(N, 3))
    p = expit(Z.astype(float))
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(axis=1)
    np.testing.assert_allclose(
        jn.losses.binary_cross_entropy(Z, t), expected, rtol=1e-5
    )


def test_binary_cross_entropy_is_finite_for_large_logits():
    z, t = np.array([[1e4], [-1e4]], np.float32), np.array([[0.0], [0.0]])
    np.testing.assert_allclose(jn.losses.binary_cross_entropy(z, t), [1e4, 0])


def test_softmax_cross_entropy():
    labels = rng.integers(0, 3, size=N)
    expected = -log_softmax(Z.astype(float), axis=1)[np.arange(N), labels]
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
    t = rng.normal(size=(N, 3)).astype(np.float32)
    np.testing.assert_allclose(
        jn.losses.squared_error(Z, t), ((Z - t) ** 2).mean(1), rtol=1e-5
    )


def test_absolute_error():
    t = rng.normal(size=(N, 3)).astype(np.float32)
    np.testing.assert_allclose(
        jn.losses.absolute_error(Z, t), np.abs(Z - t).mean(1), rtol=1e-5
    )


@pytest.mark.parametrize("delta", [0.3, 2])
def test_huber_loss(delta):
    t = 3 * rng.normal(size=(N, 3)).astype(np.float32)
    error = np.abs(Z - t).astype(float)
    both = np.where(error <= delta, error**2 / 2, delta * (error - delta / 2))
    got = partial(jn.losses.huber_loss, delta=delta)
    np.testing.assert_allclose(got(Z, t), both.mean(1), rtol=1e-5)
    traced = jax.jit(lambda d: jn.losses.huber_loss(Z, t, delta=d))(float(delta))
    np.testing.assert_allclose(traced, both.mean(1), rtol=1e-5)


def test_huber_loss_lies_between_the_others():
    """Half the squared error for a large delta, delta times the absolute for small."""
    t = rng.normal(size=(N, 3)).astype(np.float32)
    np.testing.assert_allclose(
        jn.losses.huber_loss(Z, t, delta=1e3),
        jn.losses.squared_error(Z, t) / 2,
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        jn.losses.huber_loss(Z, t, delta=1e-4) / 1e-4,
        jn.losses.absolute_error(Z, t),
        atol=1e-4,
    )


@pytest.mark.parametrize("name", ["squared_error", "huber_loss"])
def test_regression_losses_are_optax(name):
    t = rng.normal(size=(N, 3)).astype(np.float32)
    np.testing.assert_allclose(
        getattr(jn.losses, name)(Z, t), getattr(optax, name)(Z, t).mean(1), rtol=1e-6
    )


def test_any_rank_gives_one_value_a_row():
    z, t = Z[:6, :2], rng.integers(-3, 3, size=(6, 2))
    expected = ((z - t) ** 2).mean(axis=1)
    for shape in ((6, 2, 1), (6, 1, 2)):
        got = jn.losses.squared_error(z.reshape(shape), t.reshape(shape))
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    got = jn.losses.squared_error(z[:, 0], t[:, 0])
    np.testing.assert_allclose(got, (z[:, 0] - t[:, 0]) ** 2, rtol=1e-6)


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "huber_loss"])
def test_gradients_are_finite(name):
    loss = getattr(jn.losses, name)
    outputs = np.array([[0.0], [1e-30], [1.0], [-1e15]], np.float32)
    gradient = jax.grad(lambda y: loss(y, 0 * outputs).sum())(outputs)
    assert np.isfinite(gradient).all()
    assert abs(gradient[0]) <= 1  # of an absolute value any such slope will do


def test_errors_are_metrics():
    assert jn.metrics.squared_error is jn.losses.squared_error
    assert jn.metrics.absolute_error is jn.losses.absolute_error


def test_exact_match():
    z = Z
    t = (z > 0) ^ (rng.random(z.shape) < 0.2)
    t = t.astype(np.int32)
    got = jn.metrics.exact_match(z, t)
    np.testing.assert_array_equal(got, ((z > 0) == t).all(1))
    assert got.dtype == jn.metrics.binary_accuracy(z, t).dtype
    assert 0 < got.mean() < jn.metrics.binary_accuracy(z, t).mean()
    np.testing.assert_array_equal(
        jn.metrics.exact_match(z[:, 0], t[:, 0]), (z[:, 0] > 0) == t[:, 0]
    )


def test_accuracies():
    t = rng.integers(0, 2, size=(N, 3))
    np.testing.assert_allclose(
        jn.metrics.binary_accuracy(Z, t), ((Z > 0) == t).mean(1), rtol=1e-6
    )
    labels = rng.integers(0, 3, size=N)
    for targets in (labels, np.eye(3)[labels]):
        np.testing.assert_array_equal(
            jn.metrics.accuracy(Z, targets), Z.argmax(1) == labels
        )


def test_brier_scores():
    """scikit-learn's; for two classes that of one logit is half of that of two."""
    labels = rng.integers(0, 3, size=N)
    p = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
    for targets in (labels, np.eye(3, dtype=np.float32)[labels]):
        expected = ((p - np.eye(3)[labels]) ** 2).sum(1)
        np.testing.assert_allclose(jn.metrics.brier(Z, targets), expected, rtol=1e-5)
    z, t = Z[:, :1], labels[:, None] == 0
    found = jn.metrics.binary_brier(z, t.astype(np.int32))
    expected = brier_score_loss(t[:, 0], 1 / (1 + np.exp(-z[:, 0])))
    np.testing.assert_allclose(found.mean(), expected, rtol=1e-5)
    two = jn.metrics.brier(np.hstack([0 * z, z]), t[:, 0].astype(np.int32))
    np.testing.assert_allclose(two, 2 * found, rtol=1e-5)


def test_negative_log_likelihood():
    """scikit-learn's, of one logit and of several."""
    labels = rng.integers(0, 3, size=N)
    several = jn.metrics.negative_log_likelihood(Z, labels)
    p = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
    np.testing.assert_allclose(several.mean(), log_loss(labels, p), rtol=1e-5)
    z, t = Z[:, :1], (labels == 0)[:, None].astype(np.int32)
    for one in (z, z[:, 0]):
        found = jn.metrics.negative_log_likelihood(one, t.reshape(one.shape))
        np.testing.assert_allclose(found.mean(), log_loss(t, expit(z)), rtol=1e-5)


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_expected_calibration_error(bins):
    """From scikit-learn's curve of confidences and right decisions."""
    labels = rng.integers(0, 3, size=N)
    p = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
    confidence, right = p.max(1), p.argmax(1) == labels
    found, said = calibration_curve(right, confidence, n_bins=bins)
    counts = np.histogram(confidence, np.linspace(0, 1, bins + 1))[0]
    expected = (counts[counts > 0] * np.abs(found - said)).sum() / N
    for targets in (labels, np.eye(3)[labels]):
        got = jn.metrics.expected_calibration_error(Z, targets, bins=bins)
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    two, one = np.hstack([0 * Z[:, :1], Z[:, :1]]), (labels == 0).astype(np.int32)
    for name in ("expected_calibration_error", "debiased_calibration_error"):
        function = partial(getattr(jn.metrics, name), bins=bins)
        np.testing.assert_allclose(
            function(two, one), jax.jit(function)(Z[:, 0], one), rtol=1e-5
        )


def test_calibration_errors_by_hand():
    """Two of 3/4 sure of which one is right, one sure and wrong of all but nothing."""
    z = np.log(np.float32([[3.0], [3.0], [1 / 3], [1e9]]))
    t = np.int32([[1], [0], [0], [0]])
    both = z[:2], t[:2]
    assert jn.metrics.expected_calibration_error(*both) == pytest.approx(0.25)
    debiased = jn.metrics.debiased_calibration_error(*both)
    assert debiased == pytest.approx(0.25**2 - 0.25 / 1)
    expected = (3 * abs(0.75 - 2 / 3) + 1) / 4
    assert jn.metrics.expected_calibration_error(z, t) == pytest.approx(expected)
    debiased = jn.metrics.debiased_calibration_error(z, t)
    share = 2 / 3  # right of those that are 3/4 sure; a single row counts as 0
    squares = (0.75 - share) ** 2 - share * (1 - share) / 2
    assert debiased == pytest.approx(3 / 4 * squares, rel=1e-5)
    edge = np.float32([[0.0], [9.0]]), np.int32([[1], [1]])
    found = jn.metrics.binned("", *edge, 2)  # a bin has its upper end
    np.testing.assert_allclose(found, [[1, 1], [0.5, expit(9)], [0, 1]], rtol=1e-6)
    undefined = np.float32([[np.nan], [1.0]]), np.int32([[1], [1]])
    assert np.isnan(jn.metrics.expected_calibration_error(*undefined))


@pytest.mark.parametrize("off", [0.0, 0.1])
def test_the_debiased_calibration_error_has_no_luck_in_it(off):
    """Its mean is the square of how far confidences are off: 0 if they are right."""
    draws, rows = 4000, 40
    own = np.random.default_rng(1)
    said = own.choice([0.6, 0.75, 0.9], size=(draws, rows))
    t = (own.random((draws, rows)) < said - off).astype(np.int32)
    z = np.log(said / (1 - said)).astype(np.float32)
    found = np.asarray(jax.vmap(jn.metrics.debiased_calibration_error)(z, t))
    error = 5 * found.std() / np.sqrt(draws)
    assert error < 0.002
    assert found.mean() == pytest.approx(off**2, abs=error)
    biased = jax.vmap(jn.metrics.expected_calibration_error)(z, t).mean()
    assert biased > off + 10 * error


def test_what_is_undefined_scores_nan():
    """Neither right nor wrong, as the engine leaves all metrics of such a run."""
    bad = rng.random(Z.shape) < 0.1
    row = bad.any(axis=1)
    nan, flags = np.where(bad, np.float32(np.nan), Z), (Z > 0).astype(np.float32)
    largest = np.eye(3, dtype=np.float32)[Z.argmax(axis=1)]
    for metric, targets in (
        (jn.metrics.accuracy, Z.argmax(axis=1)),
        (jn.metrics.accuracy, largest),
        (jn.metrics.binary_accuracy, flags),
        (jn.metrics.exact_match, flags),
    ):
        expected = np.where(row, np.nan, 1)
        np.testing.assert_array_equal(metric(nan, targets), expected)
        if targets.ndim == 2:
            unknown = np.where(bad, np.float32(np.nan), targets)
            np.testing.assert_array_equal(metric(Z, unknown), expected)
    endless = np.where(Z > 0, np.float32(np.inf), -np.float32(np.inf))
    np.testing.assert_array_equal(jn.metrics.binary_accuracy(endless, flags), 1)


def test_dir_offers_what_is_public():
    assert dir(jn.losses) == sorted(jn.losses.__all__)
    assert dir(jn.metrics) == sorted(jn.metrics.__all__)
    for module in (jn.losses, jn.metrics, jn.data):
        assert all(callable(getattr(module, name)) for name in dir(module))


FUNCTIONS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name)
    for module in (jn.losses, jn.metrics)
    for name in module.__all__
}


@pytest.mark.bad_input
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_array_of_numbers(name):
    function = FUNCTIONS[name]
    several = (
        "accuracy",
        "_calibration_error",
        "log_likelihood",
        "softmax_cross_entropy",
    )
    classes = name.endswith(several) and "binary" not in name
    z, t = np.zeros((5, 3), np.float32), np.zeros(5 if classes else (5, 3), int)
    first, second = list(inspect.signature(function).parameters)[:2]
    texts = ("a", b"a", ["a", "b"], np.full((5, 3), "a"))  # no names of types
    for bad in (None, *texts, [[1.0], [1.0, 2.0]], {"a": z}):
        for argument, call in (
            (first, lambda bad=bad: function(bad, t)),
            (second, lambda bad=bad: function(z, bad)),
        ):
            message = (
                f"^{function.__name__}: {argument} must be an array of numbers, got"
            )
            with pytest.raises(TypeError, match=message):
                call()
    for bad in (z * 1j, jax.random.split(jax.random.key(0), 5)):
        with pytest.raises(TypeError, match=f": {first} must be real numbers, got"):
            function(bad, t)
    if name.startswith("losses") or name.endswith("_error"):
        with pytest.raises(
            TypeError, match=f": {first} must be floating, .* got int32"
        ):
            function(t, t)


@pytest.mark.bad_input
def test_masks_and_lengths_that_are_no_arrays():
    x, layer = np.ones((2, 5, 1), np.float32), jn.GaussianNoise(0.1)
    rngs, model = {"noise": jax.random.key(0)}, jn.RNN((4,), 1)
    for bad in ("a", ["a"], [[True], [True, False]], {"a": 1}):
        calls = {
            "mask": [
                lambda: jn.add_gaussian_noise(jax.random.key(0), x, 0.1, mask=bad),
                lambda: layer.apply({}, x, train=True, mask=bad, rngs=rngs),
                lambda: model.init(jax.random.key(0), x, train=False, mask=bad),
            ],
            "lengths": [
                lambda: model.init(jax.random.key(0), x, train=False, lengths=bad),
                lambda: model.init(jax.random.key(0), (x, bad), train=False),
            ],
            "x": [lambda: layer.apply({}, bad, train=True, rngs=rngs)],
        }
        if not isinstance(bad, list):  # a pair, of a recurrent network
            models = (model, jn.MLP((4,), 1), jn.CNN((4,), 1))
            calls["x"] += [
                partial(m.init, rngs["noise"], bad, train=False) for m in models
            ]
        for name, doors in calls.items():
            for door in doors:
                with pytest.raises(
                    TypeError, match=f"^{name} must be an array of numb"
                ):
                    door()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "function",
    [
        jn.losses.binary_cross_entropy,
        jn.losses.squared_error,
        jn.losses.absolute_error,
        jn.losses.huber_loss,
        jn.metrics.binary_accuracy,
        jn.metrics.binary_brier,
        jn.metrics.exact_match,
    ],
)
def test_shapes_that_would_broadcast(function):
    z, t = np.zeros((5, 1), np.float32), np.zeros(5, np.float32)
    message = (
        rf"{function.__name__}: targets must have the shape of the outputs, \(5, 1\)"
    )
    with pytest.raises(ValueError, match=message):
        function(z, t)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "function",
    [jn.losses.softmax_cross_entropy, jn.metrics.accuracy, jn.metrics.brier],
)
def test_classes(function):
    """One output is right whatever it says; labels are integers."""
    for z in (np.zeros((5, 1), np.float32), np.zeros(5, np.float32)):
        with pytest.raises(
            ValueError,
            match="must have two or more classes .* an output a class, outputs=3",
        ):
            function(z, np.zeros_like(z))
    z, t = np.zeros((5, 3), np.float32), np.zeros(5, np.float32)
    with pytest.raises(ValueError, match=r"integer class labels of shape \(5,\) or"):
        function(z, t)


@pytest.mark.bad_input
def test_values_that_are_no_targets():
    z, t = np.zeros((3, 2), np.float32), np.array([0, 1, 2])
    softmax, binary = jn.losses.softmax_cross_entropy, jn.losses.binary_cross_entropy
    for labels, got in ((t, 2), (t - 1, -1)):
        with pytest.raises(ValueError, match=f"from 0 to 1 for 2 outputs, got {got}"):
            softmax(z, labels)
        with pytest.raises(ValueError, match=f"must be 0 or 1, or between, got {got}"):
            binary(z[:, :1], labels[:, None])
    with pytest.raises(ValueError, match="must be 0 or 1, or between, got nan"):
        binary(z[:, :1], np.full((3, 1), np.nan))
    assert jax.eval_shape(softmax, z, t).shape == (3,)  # values are not there to see
    wrong, right = jax.numpy.asarray(t), jax.numpy.asarray(t % 2)
    with pytest.raises(ValueError, match="raise outputs to 3"):  # a constant's are
        jax.eval_shape(lambda z: softmax(z, wrong), z)
    assert jax.eval_shape(lambda z: softmax(z, right), z).shape == (3,)


@pytest.mark.bad_input
@pytest.mark.parametrize("delta", [0.0, -1.0, np.inf, np.nan])
def test_bad_delta(delta):
    z = np.zeros((5, 1), np.float32)
    with pytest.raises(ValueError, match=f"delta must be finite and > 0, got {delta}"):
        jn.losses.huber_loss(z, z, delta=delta)


def test_targets_that_may_be_mixed():
    """Class labels as probabilities, other integers as floats, floats as they are."""
    three, one = jnp.zeros((2, 3)), jnp.zeros((2, 1))
    np.testing.assert_array_equal(
        as_probabilities(three, jnp.array([2, 0])), np.eye(3)[[2, 0]]
    )
    binary = as_probabilities(one, jnp.array([[1], [0]]))
    assert binary.dtype == jnp.float32 and binary.tolist() == [[1.0], [0.0]]
    floats = jnp.array([[0.2], [0.7]])
    assert as_probabilities(one, floats) is floats
