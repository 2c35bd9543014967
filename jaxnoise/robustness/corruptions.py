"""What spoils data out in the world, in five severities: for images, series, tables.

Every corruption is a pure function ``(key, x, severity)`` of a batch, which works
inside ``jit`` and ``vmap``: ``key`` is one typed Threefry key, ``severity`` an int from
1 to 5, which may be traced, and the result has the shape and dtype of ``x``.
`jaxnoise.corruption_panel` scores models under all of them.

- Images have the shape (rows, height, width, channels), and values from 0 to 1, to
  which results are clipped. Their severities are those of ImageNet-C (D. Hendrycks and
  T. Dietterich, "Benchmarking neural network robustness to common corruptions and
  perturbations", ICLR 2019), which MNIST-C has as well, but for occlusion, which has
  none there. Lengths in pixels are of images of 224 pixels, and scale with the image.
- Series have the shape (rows, steps, channels); a ``mask`` of shape (rows, steps) is
  True at real steps, and others stay as they are.
- Tables have the shape (rows, features).

There are no published severities for series and tables: these are ours.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Num

from jaxnoise.checks import shown, single_key
from jaxnoise.models.rnn import as_series
from jaxnoise.noise import draw
from jaxnoise.noise.functions import (
    add_gaussian_noise,
    multiply_gaussian_noise,
    salt_and_pepper,
)
from jaxnoise.noise.sampling import standard_normal, standard_uniform

SEVERITIES = (1, 2, 3, 4, 5)
PUBLISHED_WIDTH = 224  # pixels of an image of ImageNet-C
TAIL = np.linspace(0, 2.5, 9)  # standard deviations of a motion's trail
KINDS = {  # by rank
    4: "images of shape (rows, height, width, channels)",
    3: "series of shape (rows, steps, channels)",
    2: "a table of shape (rows, features)",
}
ARGUMENTS = """
Args:
    key: one typed Threefry key; used up by the call.
    x: {kind}, floating.
    severity: an int from 1 to 5; may be traced.{more}

Raises:
    TypeError: if an argument is of the wrong kind.
    ValueError: if the rank{range} or the severity is another one.

Example:
    >>> import jax, jax.numpy as jnp, jaxnoise as jn
    >>> x = jnp.full({shape}, 0.5)
    >>> jn.corruptions.{name}(jax.random.key(0), x, 3).shape
    {shape}
"""
OPTIONS = {
    "mask": "True at real steps, of shape (rows, steps); None means everywhere.",
    "means": "of the features, such as those of the train rows; None takes those of x.",
}

Images = Float[Array, "rows height width channels"]
Series = Float[Array, "rows steps channels"]
Table = Float[Array, "rows features"]
Severity = Num[Array, ""]
Steps: TypeAlias = Any  # Bool[Array, "rows steps"] | None
Function = Callable[..., Array]


class Corruption(NamedTuple):
    """What is known of a corruption.

    Attributes:
        function: ``(key, x, severity) -> x``.
        rank: of x, which tells images, series and tables apart.
        severities: what grows, and how far in the five of them.
    """

    function: Function
    rank: int
    severities: str


REGISTRY: dict[str, Corruption] = {}


def _corruption(
    rank: int, what: str, *levels: int | float
) -> Callable[[Function], Function]:
    """Make a corruption of a function that gets the severity's level in its place."""

    def register(function: Function) -> Function:
        @wraps(function)
        def corrupt(key: Array, x: Any, severity: Any, **options: Any) -> Array:
            x, single = checked(rank, x), single_key(key)
            level = jnp.asarray(levels, jnp.float32)[place_of(severity)]
            wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
            if rank == 3:
                wide, real = as_series(wide, None, options.get("mask"))
                found = function(single, wide, level, mask=real)
                return jnp.where(real[:, :, None], found.astype(x.dtype), x)
            found = function(single, wide, level, **options)
            return (jnp.clip(found, 0, 1) if rank == 4 else found).astype(x.dtype)

        name, text = function.__name__, inspect.getdoc(function)
        severities = f"{what} {', '.join(f'{level:g}' for level in levels)}"
        corrupt.__doc__ = f"{text}\n\nSeverities: {severities}.\n" + ARGUMENTS.format(
            kind=KINDS[rank],
            more="".join(
                f"\n    {option}: {OPTIONS[option]}"
                for option in inspect.signature(function).parameters
                if option in OPTIONS
            ),
            range=", the range" * (rank == 4),
            shape=(6, 8, 8, 1)[:rank],
            name=name,
        )
        REGISTRY[name] = Corruption(corrupt, rank, severities)
        return corrupt

    return register


def checked(rank: int, x: Any) -> Array:
    """``x``, refused unless it is floating, of the rank and, of images, in range."""
    x = draw.floating(x)
    if x.ndim != rank:
        cure = "; give it a last axis, x[..., None]" if x.ndim == rank - 1 else ""
        raise ValueError(f"x must be {KINDS[rank]}, got shape {x.shape}{cure}.")
    if rank == 4 and not draw.is_traced(x):
        values = np.asarray(x, np.float32)
        low, high = values.min(initial=0), values.max(initial=1)
        if not (low >= 0 and high <= 1):
            got = f"got {low:g} to {high:g}"
            raise ValueError(f"x must be images with values from 0 to 1, {got}.")
    return x


def place_of(severity: Any) -> Any:
    """The place of a severity, refused where it is concrete and none."""
    if not draw.is_traced(severity):
        value = np.asarray(severity)
        if value.shape or value.dtype.kind not in "iu" or value not in SEVERITIES:
            raise ValueError(
                f"severity must be an int from 1 to 5, got {shown(severity)}."
            )
    return severity - 1


@_corruption(4, "standard deviation", 0.08, 0.12, 0.18, 0.26, 0.38)
def gaussian_noise(key: Array, x: Images, severity: Severity) -> Array:
    """Return images with Gaussian noise of its own on every value."""
    return add_gaussian_noise(key, x, severity)


@_corruption(4, "photons of a white pixel", 60, 25, 12, 5, 3)
def shot_noise(key: Array, x: Images, severity: Severity) -> Array:
    """Return images of which every value is a count of photons, Poisson's."""
    u, mean = standard_uniform(key, x.shape), x * severity

    def add(count: Any, state: Any) -> tuple[Array, Array, Array]:
        at_most, share, found = state  # of counts: their distribution, inverted
        more = share * mean / (count + 1)
        return at_most + more, more, found + (u >= at_most)

    none = jnp.exp(-mean)
    start = none, none, jnp.zeros_like(x)  # counts beyond white are white
    photons = severity.astype(int)
    return lax.fori_loop(0, photons, add, start)[2] / severity


@_corruption(4, "share", 0.03, 0.06, 0.09, 0.17, 0.27)
def impulse_noise(key: Array, x: Images, severity: Severity) -> Array:
    """Return images with a share of values replaced by 0 or 1, half each."""
    return salt_and_pepper(key, x, severity, low=0.0, high=1.0)


@_corruption(4, "standard deviation of the factor", 0.15, 0.2, 0.35, 0.45, 0.6)
def speckle_noise(key: Array, x: Images, severity: Severity) -> Array:
    """Return images with Gaussian noise in proportion to the value."""
    return multiply_gaussian_noise(key, x, severity)


@_corruption(4, "factor", 0.4, 0.3, 0.2, 0.1, 0.05)
def contrast(key: Array, x: Images, severity: Severity) -> Array:
    """Return images closer to the mean of each of their channels."""
    mean = x.mean((1, 2), keepdims=True)
    return mean + severity * (x - mean)


@_corruption(4, "added", 0.1, 0.2, 0.3, 0.4, 0.5)
def brightness(key: Array, x: Images, severity: Severity) -> Array:
    """Return brighter images, of the same hue and saturation.

    That is added to the value of hue, saturation and value: the largest channel.
    """
    value = x.max(3, keepdims=True)
    brighter = jnp.minimum(value + severity, 1)
    return jnp.where(value > 0, x * brighter / jnp.where(value > 0, value, 1), brighter)


@_corruption(4, "radius in pixels", 3, 4, 6, 8, 10)
def box_blur(key: Array, x: Images, severity: Severity) -> Array:
    """Return images of which every pixel is the mean of a square around it.

    The square is one pixel and twice the radius wide, and ends at the image's edges. It
    stands for a lens out of focus, whose disk has that radius in ImageNet-C.
    """

    def means(size: int) -> Array:
        middle, half = np.arange(size) + 0.5, 0.5 + severity * size / PUBLISHED_WIDTH
        return _shares(size, middle - half, middle + half)

    return _across(x, means)


@_corruption(4, "standard deviation of the trail in pixels", 3, 5, 8, 12, 15)
def motion_blur(key: Array, x: Images, severity: Severity) -> Array:
    """Return images smeared along a line, each at an angle within 45 degrees.

    The trail is half a Gaussian, to one side, and the angle uniform.
    """
    angle = jnp.pi / 4 * (2 * standard_uniform(key, (len(x), 1)) - 1)

    def moved(size: int, direction: Array, far: Array) -> Array:
        shift = far * severity * size / PUBLISHED_WIDTH * direction
        return _interpolated(jnp.arange(size) + shift, jnp.arange(size))

    def add(total: Array, at: tuple[Array, Array]) -> tuple[Array, None]:
        far, weight = at
        rows = moved(x.shape[1], jnp.sin(angle), far)
        columns = moved(x.shape[2], jnp.cos(angle), far)
        moving = jnp.einsum("nij,njwc,nvw->nivc", rows, x, columns)
        return total + weight * moving, None

    weights = np.exp(-(TAIL**2) / 2)
    trail = jnp.asarray(TAIL), jnp.asarray(weights / weights.sum())
    return lax.scan(add, jnp.zeros_like(x), jax.tree.map(jnp.float32, trail))[0]


@_corruption(4, "share of pixels along an axis", 0.6, 0.5, 0.4, 0.3, 0.25)
def pixelate(key: Array, x: Images, severity: Severity) -> Array:
    """Return images in fewer, larger pixels, each the mean of what it covers."""

    def means(size: int) -> Array:
        count = jnp.maximum(jnp.floor(size * severity + 1e-4), 1)
        cell = jnp.floor((np.arange(size) + 0.5) * count / size)
        return _shares(size, cell * size / count, (cell + 1) * size / count)

    return _across(x, means)


@_corruption(4, "share of the image's sides", 0.2, 0.3, 0.4, 0.5, 0.6)
def occlusion(key: Array, x: Images, severity: Severity) -> Array:
    """Return images with a grey rectangle, of value 1/2, at a place of their own.

    Reference: M. Zeiler and R. Fergus, "Visualizing and understanding convolutional
    networks", 2014.
    """
    place = standard_uniform(key, (2, len(x), 1)) * (1 - severity)

    def covered(size: int, start: Array) -> Array:
        at = (jnp.arange(size) + 0.5) / size
        return (at >= start) & (at < start + severity)

    rows, columns = covered(x.shape[1], place[0]), covered(x.shape[2], place[1])
    return jnp.where(rows[:, :, None, None] & columns[:, None, :, None], 0.5, x)


def _across(x: Array, matrix: Callable[[int], Array]) -> Array:
    """Images, of which rows and columns are weighed together by matrices."""
    rows, columns = matrix(x.shape[1]), matrix(x.shape[2])
    return jnp.einsum("ij,njwc,vw->nivc", rows, x, columns)


def _shares(size: int, low: Any, high: Any) -> Array:
    """Which shares of intervals lie in each pixel, of those in any."""
    left = np.arange(size)
    ends = jnp.minimum(high[:, None], left + 1), jnp.maximum(low[:, None], left)
    overlap = jnp.maximum(ends[0] - ends[1], 0)
    return overlap / overlap.sum(1, keepdims=True)


def _interpolated(at: Array, knots: Array) -> Array:
    """Weights of knots, whole numbers, by which values between them are interpolated.

    Beyond the last the value is that of the last.
    """
    at = jnp.clip(at, knots.min(-1, keepdims=True), knots.max(-1, keepdims=True))
    return jnp.maximum(1 - abs(at[..., :, None] - knots[..., None, :]), 0)


@_corruption(3, "largest shift, as a share of the length", 0.03, 0.06, 0.1, 0.15, 0.2)
def time_warp(
    key: Array, x: Series, severity: Severity, *, mask: Steps = None
) -> Array:
    """Return series that run fast at first and slow later, or the other way round.

    What is shown at a share s of the length is what was at ``s + shift sin(pi s)``,
    interpolated; both ends stay, and so does the order.
    """
    place, length = _places(mask)
    sign = 2.0 * jax.random.bernoulli(key, shape=(len(x), 1)) - 1
    at = place + severity * sign * length * jnp.sin(jnp.pi * place / length)
    return jnp.einsum("nij,njc->nic", _interpolated(at, place), x)  # 0 at padding


@_corruption(3, "share of steps", 0.05, 0.1, 0.2, 0.3, 0.5)
def dropped_steps(
    key: Array, x: Series, severity: Severity, *, mask: Steps = None
) -> Array:
    """Return series in which a share of steps is lost, and the last one held instead.

    The first step is never lost.
    """
    first = jnp.cumsum(mask, 1) == 1
    there = ((standard_uniform(key, x.shape[:2]) >= severity) | first) & mask
    held = lax.cummax(jnp.where(there, jnp.arange(x.shape[1]), 0), axis=1)
    return jnp.take_along_axis(x, held[:, :, None], axis=1)


@_corruption(
    3, "standard deviation of the end, in those of the channel", 0.25, 0.5, 1, 1.5, 2
)
def drift(key: Array, x: Series, severity: Severity, *, mask: Steps = None) -> Array:
    """Return series of which every channel drifts off, in proportion to time."""
    place, length = _places(mask)
    _, size = draw.moments(x, mask, axes=1)
    slope = standard_normal(key, (len(x), 1, x.shape[2]))
    return x + severity * size * slope * (place / length)[:, :, None]


@_corruption(3, "share of channels", 0.1, 0.2, 0.3, 0.4, 0.5)
def channel_loss(
    key: Array, x: Series, severity: Severity, *, mask: Steps = None
) -> Array:
    """Return series in which a share of channels is 0 at all steps."""
    lost = standard_uniform(key, (len(x), 1, x.shape[2])) < severity
    return jnp.where(lost, 0, x)


def _places(mask: Array) -> tuple[Array, Array]:
    """Of each step how many real ones precede it, and that of the last, at least 1."""
    place = jnp.cumsum(mask, 1, dtype=jnp.float32) - 1
    return jnp.maximum(place, 0), jnp.maximum(place[:, -1:], 1)


@_corruption(2, "share of cells", 0.05, 0.1, 0.2, 0.3, 0.5)
def missing_features(
    key: Array, x: Table, severity: Severity, *, means: ArrayLike | None = None
) -> Array:
    """Return a table in which a share of cells is missing, and the mean instead."""
    filled = x.mean(0) if means is None else jnp.asarray(means, x.dtype)
    return jnp.where(standard_uniform(key, x.shape) < severity, filled, x)


@_corruption(2, "share of cells", 0.05, 0.1, 0.2, 0.3, 0.5)
def swapped_cells(key: Array, x: Table, severity: Severity) -> Array:
    """Return a table in which a share of cells has changed places with another row's.

    Rows are in pairs, drawn at random, and two cells of a feature change places.
    """
    pairing, choosing = jax.random.split(key)
    pairs = len(x) // 2
    rows = jax.random.permutation(pairing, len(x))[: 2 * pairs]
    swapped = standard_uniform(choosing, (pairs, x.shape[1])) < severity
    other = x[jnp.roll(rows, pairs)]
    return x.at[rows].set(jnp.where(jnp.tile(swapped, (2, 1)), other, x[rows]))


@_corruption(2, "share of cells", 0.01, 0.02, 0.05, 0.1, 0.2)
def unit_errors(key: Array, x: Table, severity: Severity) -> Array:
    """Return a table in which a share of cells is ten times too large, or too small."""
    u = standard_uniform(key, x.shape)
    wrong = jnp.where(u < severity / 2, 10 * x, x / 10)
    return jnp.where(u < severity, wrong, x)


def _help() -> str:
    """The module's docstring, with the severities of all."""
    lines = []
    for rank, kind in KINDS.items():
        of_kind = {n: c.severities for n, c in REGISTRY.items() if c.rank == rank}
        lines += [f"Of {kind}:\n", *(f"- `{n}`: {t}." for n, t in of_kind.items()), ""]
    return "\n".join([__doc__, *lines])


__all__ = sorted(REGISTRY)
__doc__ = _help()


def __dir__() -> list[str]:
    return __all__
