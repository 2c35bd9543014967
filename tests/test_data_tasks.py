"""Tasks that are drawn afresh: what they share, and each one's own law."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import datasets

import jaxnoise as jn

TASKS = {
    "circles": jn.data.circles,
    "moons": jn.data.moons,
    "spirals": jn.data.spirals,
    "blobs": jn.data.blobs,
    "sine": jn.data.sine,
}
everyone = pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@everyone
def test_sizes(make):
    data = make(40, 12, validation=7, population=10)
    assert repr(data) == (
        "Data(train=12 rows, test=28 rows, validation=7 rows, population=10 rows)"
    )
    width = 1 if make is jn.data.sine else 2
    assert data.train[0].shape == (12, width)
    assert data.train[0].dtype == np.float32
    labels = make is jn.data.blobs
    assert data.train[1].shape == ((12,) if labels else (12, 1))
    assert data.train[1].dtype == (np.int32 if labels else np.float32)


@everyone
def test_a_seed_is_a_draw(make):
    data, again = make(population=50), make(population=50)
    other = make(seed=2, population=50)
    for name in data:
        assert same(data[name], again[name])
        assert same(data[name], other[name]) == (name == "population")
    moved = make(population=50, population_seed=1)
    assert same(moved.train, data.train)
    assert not same(moved.population, data.population)


@everyone
def test_a_validation_set_changes_no_other(make):
    plain, more = make(population=50), make(population=50, validation=30)
    for name in plain:
        assert same(plain[name], more[name])
    drawn = {tuple(row) for x, _ in more.values() for row in x}
    assert len(drawn) == 100 + 30 + 50  # no row is drawn twice


@everyone
def test_the_global_generator_is_left_alone(make):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    make(population=10)
    assert np.random.random() == expected  # noqa: NPY002


@pytest.mark.parametrize("name", ["moons", "spirals", "blobs"])
def test_classes_are_balanced(name):
    data = TASKS[name](101, 50, population=900)
    y = np.concatenate([data.train[1], data.test[1]]).astype(int).ravel()
    counts = np.bincount(y)
    assert counts.max() - counts.min() <= 1
    assert len(set(np.bincount(data.population[1].astype(int).ravel()))) == 1


def test_moons_without_noise_lie_on_two_half_circles():
    x, y = jn.data.moons(noise=0.0, population=500).population
    for target, centre, sign in ((0, (0, 0), 1), (1, (1, 0.5), -1)):
        points = x[y[:, 0] == target] - np.float32(centre)
        np.testing.assert_allclose(np.hypot(*points.T), 1, rtol=1e-5)
        assert (sign * points[:, 1] >= -1e-6).all()


@pytest.mark.parametrize("n", [2, 7, 100])
@pytest.mark.parametrize("name", ["circles", "moons"])
def test_points_are_those_of_scikit_learn(name, n):
    make = getattr(datasets, f"make_{name}")
    data = TASKS[name](n, 1, noise=0.2, seed=3, population=5, population_seed=4)
    rows = make(n, noise=0.2, random_state=3), make(5, noise=0.2, random_state=4)
    for (x, y), at in zip(rows, (slice(1, None), slice(None)), strict=True):
        found = data.test if at.start else data.population
        expected = x[at].astype(np.float32), y[at, None].astype(np.float32)
        assert same(found, expected)


def test_spirals_without_noise_lie_on_two_arms():
    """Turned back by its radius, each arm is one direction; the other is opposite."""
    n = 20_000
    x, y = jn.data.spirals(noise=0.0, population=n).population
    radius = np.hypot(*x.T)
    angle = np.arctan2(x[:, 1], x[:, 0]) - 3 * np.pi * radius
    np.testing.assert_allclose(np.cos(angle), 1 - 2 * y[:, 0], atol=1e-3)
    area = radius.astype(float) ** 2  # uniform: mean 1/2, variance 1/12
    assert abs(area.mean() - 0.5) <= 5 / np.sqrt(12 * n)
    assert area.max() <= 1 + 1e-6


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_two_blobs_have_their_best_accuracy(noise):
    n = 20_000
    x, y = jn.data.blobs(noise=noise, classes=2, population=n).population
    best = norm.cdf(1 / noise)
    hits = ((x[:, 0] < 0) == (y == 1)).mean()  # centres are (1, 0) and (-1, 0)
    assert abs(hits - best) <= 5 * np.sqrt(best * (1 - best) / n)


def test_blobs_stand_around_their_centres():
    n, classes, noise = 20_000, 5, 0.5
    x, y = jn.data.blobs(noise=noise, classes=classes, population=n).population
    angles = 2 * np.pi * np.arange(classes) / classes
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rows = n / classes
    for k, centre in enumerate(centres):
        off = x[y == k].astype(float) - centre
        assert (np.abs(off.mean(0)) <= 5 * noise / np.sqrt(rows)).all()
        assert (np.abs(off.std(0) - noise) <= 5 * noise / np.sqrt(2 * rows)).all()


def test_sine_has_noise_on_the_train_rows_and_none_on_the_population():
    n, noise = 20_000, 0.3
    data = jn.data.sine(n, n // 2, noise=noise, population=1000)
    x, y = data.population
    np.testing.assert_allclose(y, np.sin(2 * np.pi * x), atol=1e-5)
    assert x.min() >= 0 and x.max() < 1 and np.ptp(x) > 0.99
    for x, y in (data.train, data.test):
        residuals = (y - np.sin(2 * np.pi * x)).astype(float)
        rows = len(residuals)
        assert abs(residuals.mean()) <= 5 * noise / np.sqrt(rows)
        assert abs(residuals.std() - noise) <= 5 * noise / np.sqrt(2 * rows)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"train_size": 100}, ValueError, "train_size must be from 1 to 99, got 100"),
        ({"train_size": 0}, ValueError, "train_size must be from 1 to 99, got 0"),
        ({"samples": 1}, ValueError, "samples must be at least 2, got 1"),
        ({"samples": 9.5}, TypeError, r"samples must be an int, got 9\.5"),
        ({"population": 0}, ValueError, "population must be at least 1, got 0"),
        ({"validation": -1}, ValueError, "validation must be at least 0, got -1"),
        ({"noise": -0.1}, ValueError, "noise must be finite and >= 0, got -0.1"),
        ({"noise": "a"}, ValueError, "noise must be finite and >= 0, got 'a'"),
        ({"seed": None}, TypeError, "seed must be an int, got None"),
        ({"seed": 2**32}, ValueError, "seed must be from 0 to 4294967295, got 4294967"),
        ({"population_seed": -1}, ValueError, "population_seed must be from 0 to"),
    ],
)
def test_bad_sizes(options, error, message):
    with pytest.raises(error, match=message):
        jn.data.circles(**options)


@pytest.mark.bad_input
@everyone
def test_every_task_checks_its_sizes(make):
    with pytest.raises(ValueError, match="train_size must be from 1 to 99, got 100"):
        make(train_size=100)


@pytest.mark.bad_input
def test_bad_blobs():
    with pytest.raises(ValueError, match="classes must be at least 2, got 1"):
        jn.data.blobs(classes=1)
