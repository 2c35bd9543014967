"""Corruptions: one battery, and what each of them is."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import poisson

import jaxnoise as jn
from jaxnoise.robustness.corruptions import REGISTRY, SEVERITIES

KEY, ROWS = jax.random.key(0), 400
NAMES = list(REGISTRY)
SHAPES = {4: (99, 12, 10, 3), 3: (ROWS, 20, 4), 2: (ROWS, 20)}
SEVERAL = jnp.array(SEVERITIES)


def sample(rank, shape=None):
    return jax.random.uniform(jax.random.key(1), shape or SHAPES[rank])


def grey(value, rows=ROWS):
    return jnp.full((rows, 8, 8, 1), value)


@pytest.mark.parametrize("name", NAMES)
def test_battery(name):
    """Compiled over keys and severities as alone, kept in form, ever further off."""
    function, rank, _ = REGISTRY[name]
    assert getattr(jn.corruptions, name) is function
    x, keys = sample(rank), jnp.stack([KEY, jax.random.key(7)])
    by_severity = jax.vmap(function, in_axes=(None, None, 0))
    over = jax.jit(jax.vmap(by_severity, in_axes=(0, None, None)))(keys, x, SEVERAL)
    assert over.shape == (2, 5, *x.shape)
    assert jnp.isfinite(over).all()
    if rank == 4:
        assert (over >= 0).all() and (over <= 1).all()
    np.testing.assert_allclose(over[0, 3], function(KEY, x, 4), atol=1e-5)
    fixed = name in ("contrast", "brightness", "box_blur", "pixelate")
    assert bool((over[0] == over[1]).all()) == fixed
    off = np.asarray(abs(over[0] - x).mean(tuple(range(1, x.ndim + 1))))
    assert 0 < off[0]
    assert (np.diff(off) >= 0).all() and (np.diff(off) > 0).sum() >= 3
    half = jax.eval_shape(function, KEY, x.astype(jnp.bfloat16), 3)
    assert (half.shape, half.dtype) == (x.shape, jnp.bfloat16)


def test_help_has_the_severities():
    published = {
        "gaussian_noise": ".08 .12 .18 .26 .38",
        "shot_noise": "60 25 12 5 3",
        "impulse_noise": ".03 .06 .09 .17 .27",
        "speckle_noise": ".15 .20 .35 .45 .60",
        "contrast": ".4 .3 .2 .1 .05",
        "brightness": ".1 .2 .3 .4 .5",
        "box_blur": "3 4 6 8 10",
        "motion_blur": "3 5 8 12 15",
        "pixelate": ".6 .5 .4 .3 .25",
    }
    told = dict(
        re.findall(r"^- `(\w+)`: [a-z ,]*(.*)\.$", jn.corruptions.__doc__, re.M)
    )
    assert list(told) == NAMES
    for name, levels in published.items():
        found = [float(level) for level in told[name].split(", ")]
        assert found == [float(level) for level in levels.split()]
        assert told[name] in getattr(jn.corruptions, name).__doc__


def test_noises_have_their_moments():
    """Away from the ends, where nothing is clipped."""
    n, clip = 64 * ROWS, jn.corruptions
    off = clip.gaussian_noise(KEY, grey(0.5), 1) - 0.5
    assert float(off.std()) == pytest.approx(0.08, abs=5 * 0.08 / (2 * n) ** 0.5)
    off = clip.speckle_noise(KEY, grey(0.4), 1) / 0.4 - 1
    assert float(off.std()) == pytest.approx(0.15, abs=5 * 0.15 / (2 * n) ** 0.5)
    hit = clip.impulse_noise(KEY, grey(0.5), 5) - 0.5
    for way in (0.5, -0.5):
        share = float((hit == way).mean())
        assert share == pytest.approx(0.135, abs=5 * (0.135 / n) ** 0.5)


@pytest.mark.parametrize(("severity", "photons"), [(1, 60), (5, 3)])
def test_shot_noise_is_poisson(severity, photons):
    """Counts beyond white are white."""
    value, n = 0.7, 64 * ROWS
    found = photons * jn.corruptions.shot_noise(KEY, grey(value), severity)
    counts = np.bincount(np.round(found).astype(int).ravel(), minlength=photons + 1)
    expected = poisson.pmf(np.arange(photons + 1), value * photons)
    expected[-1] = poisson.sf(photons - 1, value * photons)
    error = 5 * np.sqrt(expected * (1 - expected) / n) + 1 / n
    assert (abs(counts / n - expected) <= error).all()
    assert (jn.corruptions.shot_noise(KEY, grey(0.0, 2), severity) == 0).all()


def test_contrast_and_brightness_by_hand():
    x = sample(4)
    mean = x.mean((1, 2), keepdims=True)
    found = jn.corruptions.contrast(KEY, x, 2)
    np.testing.assert_allclose(found, mean + 0.3 * (x - mean), atol=1e-6)
    pixel = jnp.array([0.2, 0.4, 0.1]).reshape(1, 1, 1, 3)
    found = jn.corruptions.brightness(KEY, pixel, 2)[0, 0, 0]
    np.testing.assert_allclose(found, [0.3, 0.6, 0.15], atol=1e-6)  # hue is kept
    found = jn.corruptions.brightness(KEY, jnp.zeros((1, 1, 1, 3)), 5)
    np.testing.assert_allclose(found, 0.5)
    assert (jn.corruptions.brightness(KEY, grey(0.9, 1), 5) == 1).all()


def test_blurs_keep_flat_images_and_spread_a_point():
    flat = grey(0.3, 3)
    point = jnp.zeros((1, 224, 224, 1)).at[0, 100, 100, 0].set(1.0)
    for name in ("box_blur", "motion_blur", "pixelate"):
        found = getattr(jn.corruptions, name)(KEY, flat, 5)
        np.testing.assert_allclose(found, 0.3, atol=1e-6)
    for name in ("box_blur", "motion_blur"):
        spread = getattr(jn.corruptions, name)(KEY, point, 1)
        assert float(spread.sum()) == pytest.approx(1, abs=1e-4)
    box = jn.corruptions.box_blur(KEY, point, 1)[0, :, :, 0]
    np.testing.assert_allclose(box[97:104, 97:104], 1 / 49, atol=1e-6)  # radius 3
    assert float(box[96, 100]) == 0
    trail = np.argwhere(jn.corruptions.motion_blur(KEY, point, 5)[0, :, :, 0] > 1e-6)
    away = trail - 100
    assert 30 < np.hypot(*away.T).max() < 40  # 2.5 standard deviations of 15
    assert (away[:, 1] <= 1).all()  # to one side
    assert (abs(away[:, 0]) <= abs(away[:, 1]) + 1).all()  # within 45 degrees


def test_larger_pixels_by_hand():
    x = sample(4, (2, 12, 8, 1))
    found = jn.corruptions.pixelate(KEY, x, 2)  # half as many along an axis
    means = np.asarray(x).reshape(2, 6, 2, 4, 2).mean((2, 4))
    np.testing.assert_allclose(
        found[..., 0], means.repeat(2, 1).repeat(2, 2), atol=1e-6
    )


def test_occlusion_covers_its_share():
    x = jnp.ones((ROWS, 20, 20, 1))
    for severity, side in zip(SEVERITIES, (4, 6, 8, 10, 12), strict=True):
        grey = jn.corruptions.occlusion(KEY, x, severity)[..., 0] == 0.5
        assert (abs(grey.any(1).sum(1) - side) <= 1).all()
        assert (grey.sum((1, 2)) == grey.any(1).sum(1) * grey.any(2).sum(1)).all()
    assert grey.mean(0)[10, 10] == 1 and 0 < grey.mean(0)[2, 2] < 0.5


SERIES = [name for name, c in REGISTRY.items() if c.rank == 3]


@pytest.mark.parametrize("name", SERIES)
def test_masked_steps_do_not_count(name):
    """Padding stays bit for bit, NaN as well, and gaps change nothing."""
    function = REGISTRY[name].function
    x, length = sample(3, (ROWS, 9, 2)), 6
    mask = jnp.broadcast_to(jnp.arange(9) < length, x.shape[:2])
    padded = x.at[:, length:].set(jnp.nan)
    found = function(KEY, padded, 4, mask=mask)
    np.testing.assert_array_equal(found[:, length:], padded[:, length:])
    assert jnp.isfinite(found[:, :length]).all()
    if name != "dropped_steps":  # whose draws have a place each
        gaps = jnp.array([0, 2, 3, 5, 6, 8])
        apart = jnp.full_like(x, jnp.nan).at[:, gaps].set(x[:, :length])
        real = jnp.zeros(x.shape[:2], bool).at[:, gaps].set(True)
        with_gaps = function(KEY, apart, 4, mask=real)[:, gaps]
        np.testing.assert_allclose(with_gaps, found[:, :length], atol=1e-5)


def test_a_warp_keeps_the_ends_and_the_order():
    time = jnp.broadcast_to(jnp.arange(50.0)[:, None], (ROWS, 50, 1))
    found = jn.corruptions.time_warp(KEY, time, 5)[..., 0]
    np.testing.assert_array_equal(found[:, [0, -1]], time[:, [0, -1], 0])
    assert (jnp.diff(found) > 0).all()
    furthest = (found - time[..., 0])[:, 24] / 49
    np.testing.assert_allclose(abs(furthest), 0.2, atol=1e-3)
    assert 0.3 < (furthest > 0).mean() < 0.7


def test_dropped_steps_hold_the_last_one():
    time = jnp.broadcast_to(jnp.arange(50.0)[:, None], (ROWS, 50, 1))
    found = jn.corruptions.dropped_steps(KEY, time, 5)[..., 0]
    held = found != time[..., 0]
    share, n = float(held[:, 1:].mean()), 49 * ROWS
    assert share == pytest.approx(0.5, abs=5 * 0.5 / n**0.5)
    assert not held[:, 0].any()
    before = jnp.roll(found, 1, axis=1)
    assert (found[held] == before[held]).all()
    late = jnp.arange(50) >= 5
    found = jn.corruptions.dropped_steps(
        KEY, time, 5, mask=jnp.broadcast_to(late, time.shape[:2])
    )
    assert (found[:, 5] == 5).all()


def test_drift_is_a_ramp_of_its_size():
    x = jnp.broadcast_to(3 * jnp.sin(jnp.arange(40.0))[:, None], (5000, 40, 1))
    off = (jn.corruptions.drift(KEY, x, 3) - x)[..., 0]
    np.testing.assert_allclose(off, off[:, -1:] * np.arange(40) / 39, atol=2e-5)
    size = float(off[:, -1].std() / x[0].std())
    assert size == pytest.approx(1, abs=5 / (2 * 5000) ** 0.5)


def test_a_lost_channel_is_0_throughout():
    x = 1 + sample(3, (2000, 7, 3))
    lost = jn.corruptions.channel_loss(KEY, x, 5) == 0
    assert (lost.all(1) == lost.any(1)).all()
    assert float(lost.mean()) == pytest.approx(0.5, abs=5 * 0.5 / 6000**0.5)


def test_cells_of_a_table():
    x = jax.random.normal(jax.random.key(3), (1001, 6)) + 5
    error = 5 * 0.5 / x.size**0.5
    gone = jn.corruptions.missing_features(KEY, x, 5)
    at = gone != x
    assert float(at.mean()) == pytest.approx(0.5, abs=error)
    expected = np.broadcast_to(x.mean(0), x.shape)
    np.testing.assert_allclose(gone[at], expected[at], rtol=1e-5)
    means = jnp.arange(6.0)
    given = jn.corruptions.missing_features(KEY, x, 5, means=means)
    np.testing.assert_array_equal(given[at], np.broadcast_to(means, x.shape)[at])
    swapped = jn.corruptions.swapped_cells(KEY, x, 5)
    np.testing.assert_array_equal(np.sort(swapped, 0), np.sort(x, 0))
    assert float((swapped != x).mean()) == pytest.approx(0.5, abs=1.5 * error)
    ratio = np.asarray(jn.corruptions.unit_errors(KEY, x, 5) / x)
    for factor in (10, 0.1):
        share = np.isclose(ratio, factor, rtol=1e-4).mean()
        assert share == pytest.approx(0.1, abs=error)
    assert np.isclose(ratio, 1).mean() == pytest.approx(0.8, abs=error)


IMAGE = jnp.zeros((2, 4, 4, 1))
BAD = [
    ("gaussian_noise", IMAGE, 0, "severity must be an int from 1 to 5, got 0"),
    ("contrast", IMAGE, 6, "severity must be an int from 1 to 5, got 6"),
    ("contrast", IMAGE, 1.0, "severity must be an int from 1 to 5, got 1.0"),
    ("contrast", IMAGE, True, "severity must be an int from 1 to 5, got True"),
    ("contrast", IMAGE + 255, 1, "x must be images with values from 0 to 1, got 0 to"),
    ("contrast", IMAGE[..., 0], 1, r"x must be images of.*\(2, 4, 4\); give it a last"),
    ("drift", IMAGE, 1, r"x must be series of shape \(rows, steps, channels\), got"),
    ("unit_errors", IMAGE, 1, r"x must be a table of shape \(rows, features\), got"),
    ("unit_errors", jnp.ones((2, 2), int), 1, "x must be floating, got int32"),
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("name", "x", "severity", "message"), BAD)
def test_bad_input(name, x, severity, message):
    with pytest.raises((TypeError, ValueError), match=message):
        REGISTRY[name].function(KEY, x, severity)


@pytest.mark.bad_input
def test_keys_and_masks_are_checked():
    x = sample(3)
    with pytest.raises(TypeError, match="key must be a typed key"):
        jn.corruptions.contrast(0, IMAGE, 1)
    with pytest.raises(ValueError, match=r"mask must be booleans of shape \(rows, st"):
        jn.corruptions.drift(KEY, x, 1, mask=jnp.ones(x.shape, bool))
