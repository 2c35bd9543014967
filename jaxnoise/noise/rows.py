"""Noises whose unit is a row, a block or the batch, as pure functions of a key.

The contract is that of `jaxnoise.noise.functions`, where noises of single elements
stand: a key first, a strength of 0 gives the values back, strengths may be traced. The
first axis is that of the rows. Most people want `swap_noise`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike, Float

from jaxnoise.checks import check_count, shown, single_key
from jaxnoise.noise import draw
from jaxnoise.noise.draw import Axes, Key, Mask, Span, Values
from jaxnoise.noise.functions import drop_units
from jaxnoise.noise.sampling import standard_normal, standard_uniform

FILLS = ("mean", "noise")  # of blocks, beside numbers


def swap_noise(
    key: Key, x: Values, rate: ArrayLike, *, mask: Mask = None, shared_axes: Axes = ()
) -> Float[Array, "*shape"]:
    """Return ``x``, of which each cell is, at ``rate``, that of another row.

    The cell stays in its column; the row is any other one of the batch, drawn for
    every cell anew, all equally likely. So it suits columns of any scale and codes of
    categories, and has no unit. With n centred rows of covariance S that of the result
    is ``c**2 S`` off the diagonal, on which it stays, and ``x' y`` becomes ``c x' y``,
    with ``c = 1 - rate * n / (n - 1)``: ridge regression with a weight a column.

    Args:
        key: one typed Threefry key; used up by the call.
        x: rows and their columns, floating; any further axes are columns, too.
        rate: probability of a swap, from 0 to 1; broadcasts against ``x``; may be
            traced; its gradient is 0.
        mask: True for cells that may be swapped, with others of their column that may.
        shared_axes: axes of ``x`` along which one draw is shared: ``(1,)`` swaps rows
            as a whole.

    Raises:
        TypeError: as `add_gaussian_noise`.
        ValueError: as `add_gaussian_noise`, or if ``x`` is a single number.

    Reference:
        M. Jahrer, "1st place with representation learning", Porto Seguro's safe driver
        prediction, Kaggle 2018; of whole columns L. Breiman, "Random forests", 2001.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jnp.array([[1.0, 10.0], [2.0, 20.0]])
        >>> print(jn.swap_noise(jax.random.key(0), x, 1.0))
        [[ 2. 20.]
         [ 1. 10.]]
    """
    x, rate = draw.checked(x, "rate", rate)
    if not x.ndim:
        raise ValueError("x must have rows, got a single number.")
    of_swaps, of_donors = jax.random.split(single_key(key))

    def swapped(x: Array, u: Array) -> Array:
        donors = _other_rows(standard_uniform(of_donors, u.shape, u.dtype), x, mask)
        return jnp.where(u < rate, jnp.take_along_axis(x, donors, 0), x)

    return draw.draw_noise(of_swaps, x, standard_uniform, swapped, mask, shared_axes)


def _other_rows(v: Array, x: Array, mask: Mask) -> Array:
    """For each cell another row of its column, where the mask is True."""
    if mask is None:
        row = lax.broadcasted_iota(jnp.int32, x.shape, 0)
        rows = jnp.asarray(x.shape[0], jnp.int32)
        return (row + 1 + _whole(v, rows - 1)) % rows
    taking_part = draw.full_mask(mask, x).astype(jnp.int32)
    count = jnp.maximum(taking_part.sum(0, keepdims=True), 1)
    place = (taking_part.cumsum(0) + _whole(v, count - 1)) % count
    return jnp.take_along_axis(jnp.argsort(-taking_part, axis=0), place, 0)


def _whole(u: Array, count: Any) -> Array:
    """From 0 to below the count, all equally likely; 0 if it is 0."""
    most = jnp.maximum(jnp.asarray(count, jnp.int32) - 1, 0)
    return jnp.minimum((u * (most + 1).astype(u.dtype)).astype(jnp.int32), most)


def drop_path(
    key: Key,
    x: Values,
    rate: ArrayLike,
    *,
    mode: str,
    mask: Mask = None,
    shared_axes: Axes = (),
) -> Float[Array, "*shape"]:
    """Return ``x / (1 - rate)``, or with probability ``rate`` 0, for whole rows.

    For the branch of a residual block, ``x + drop_path(key, f(x), rate, mode=mode)``:
    its mean is ``x + f(x)``, its variance ``rate / (1 - rate) * f(x)**2``. Also known
    as stochastic depth.

    Args:
        key: one typed Threefry key; used up by the call.
        x: what the branch gives, rows first, floating.
        rate: probability of a dropped branch, from 0 to 1; broadcasts against ``x``;
            may be traced.
        mode: ``"sample"`` for a draw a row, ``"batch"`` for one for all rows.
        mask: True where the branch may be dropped; others are not scaled either.
        shared_axes: further axes along which one draw is shared, which all but the
            first are anyway.

    Raises:
        TypeError: as `add_gaussian_noise`.
        ValueError: as `add_gaussian_noise`, or if ``mode`` is another word.

    Reference:
        G. Huang et al., "Deep networks with stochastic depth", ECCV 2016.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> f = jnp.ones((6, 2))
        >>> noisy = jn.drop_path(jax.random.key(0), f, 0.5, mode="sample")
        >>> sorted(set(noisy[:, 0].tolist())), bool((noisy[:, 0] == noisy[:, 1]).all())
        ([0.0, 2.0], True)
    """
    x = draw.floating(x)
    check_mode(mode)
    axes = range(int(mode == "sample"), x.ndim)
    shared = (*axes, *draw.as_axes(shared_axes))
    return drop_units(key, x, rate, mask=mask, shared_axes=shared)


def target_noise(
    key: Key,
    y: Float[ArrayLike, "*shape"],
    stddev: ArrayLike,
    rate: ArrayLike,
    *,
    mask: Mask = None,
) -> Float[Array, "*shape"]:
    """Return targets, of which a row has, at ``rate``, ``stddev * e`` added to it.

    With independent ``e ~ N(0, 1)`` for every element; for regression, as `flip_labels`
    is for classes. Under the squared error neither the expected gradient nor the
    minimum moves. For a linear model of n rows the gradient of the mean gets the
    covariance ``4 stddev**2 rate X' X / n**2``.

    Args:
        key: one typed Threefry key; used up by the call.
        y: targets of any shape, rows first, floating.
        stddev: standard deviation in the units of the targets, at least 0; broadcasts
            against them; may be traced.
        rate: the share of rows with noise, from 0 to 1; may be traced.
        mask: True where noise applies; y's shape or that of its leading axes.

    Raises:
        TypeError: as `add_gaussian_noise`.
        ValueError: as `add_gaussian_noise`, or if ``rate`` is above 1.

    Reference:
        S. An, "The effects of adding noise during backpropagation training on a
        generalization performance", Neural Computation 8 (1996).

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> y = jnp.zeros((10_000, 1))
        >>> noisy = jn.target_noise(jax.random.key(0), y, 0.5, 0.1)
        >>> bool(abs((noisy != 0).mean() - 0.1) < 5 * (0.1 * 0.9 / len(y)) ** 0.5)
        True
    """
    y = draw.floating(y, "y")
    draw.check_strength("stddev", stddev)
    draw.check_strength("rate", rate)
    level, share = draw.fitting("stddev", stddev, y), draw.fitting("rate", rate, y)
    of_rows, of_noise = jax.random.split(single_key(key))
    rows = (*y.shape[:1], *(1 for _ in y.shape[1:]))
    u = standard_uniform(of_rows, rows, level.dtype)

    def added(y: Array, e: Array) -> Array:
        return y + jnp.where(u < share, level * e, 0).astype(y.dtype)

    return draw.draw_noise(of_noise, y, standard_normal, added, mask, ())


def check_mode(mode: Any) -> None:
    """Refuse what is neither a draw a row nor one a batch."""
    if mode not in ("sample", "batch"):
        raise ValueError(f"mode must be 'sample' or 'batch', got {shown(mode)}.")


def block_mask(
    key: Key,
    x: Values,
    *,
    axes: Axes,
    width: ArrayLike | Span,
    count: int,
    fill: ArrayLike | str,
    mask: Mask = None,
    shared_axes: Axes = (),
) -> Float[Array, "*shape"]:
    """Return ``x`` with blocks of each row replaced: ``count`` of them, which may meet.

    A block has a random width and place along each of ``axes``, all widths and then all
    places within the axis equally likely, and covers all of the other axes. One of
    width w along an axis of length L covers ``w / L`` of it, and its position i with
    probability ``min(i, L - w, w - 1, L - 1 - i) + 1`` over ``L - w + 1``. A width of
    0 gives ``x``. Of what has a name, with rows first and channels last, it is

    - cutout: ``axes=(1, 2), width=16, count=1, fill=0.0``;
    - random erasing: ``axes=(1, 2), width=(4, 16), count=1, fill="noise"``;
    - SpecAugment: ``axes=1, width=(0, 27), count=2, fill="mean"`` along one axis, and
      the same along the other;
    - DropBlock: ``axes=(1, 2), width=7, count=3, fill=0.0`` on a hidden layer;
    - spatial dropout of a fixed number of maps: ``axes=3, width=1, count=8, fill=0.0``;
      at a rate it is `drop_units` with ``shared_axes=(1, 2)``.

    Args:
        key: one typed Threefry key; used up by the call.
        x: values of any shape, floating, rows first unless that is one of ``axes``.
        axes: along which blocks have a width, such as (1, 2) of images.
        width: in elements, one number or the least and the most; rounded down, and cut
            to the length of the axis; may be traced.
        count: of blocks a row, at least 1.
        fill: what stands in blocks: a number, an array that broadcasts against ``x``,
            ``"mean"`` for the mean of the row, or ``"noise"`` for normal draws with the
            row's mean and standard deviation.
        mask: True where values may be replaced; others do not count in means.
        shared_axes: ``(0,)`` for the same blocks in every row, and the same draws.

    Raises:
        TypeError: if ``key`` is no single typed Threefry key, ``x`` is not floating,
            or ``width``, ``count`` or ``fill`` is no number.
        ValueError: if ``axes`` are none of ``x``, a width is negative, NaN or infinite,
            the least is above the most, there are more than two, or ``fill`` or a shape
            does not fit.

    Reference:
        T. DeVries, G. W. Taylor, "Improved regularization of convolutional neural
        networks with cutout", 2017; Z. Zhong et al., "Random erasing data
        augmentation", AAAI 2020; D. S. Park et al., "SpecAugment", Interspeech 2019; G.
        Ghiasi et al., "DropBlock", NeurIPS 2018; J. Tompson et al., "Efficient object
        localization using convolutional networks", CVPR 2015, of spatial dropout.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> images, key = jnp.ones((2, 8, 8, 3)), jax.random.key(0)
        >>> cut = jn.block_mask(key, images, axes=(1, 2), width=4, count=1, fill=0.0)
        >>> print((cut == 0).mean((1, 2, 3)))  # a quarter of each image
        [0.25 0.25]
    """
    x = draw.floating(x)
    along = [draw.axis_of(x, axis, "axes") for axis in draw.as_axes(axes, "axes")]
    shared = [draw.axis_of(x, a, "shared_axes") for a in draw.as_axes(shared_axes)]
    bounds = _checked_widths(width)
    if not along:
        raise ValueError("axes must name at least one axis of x, got none.")
    check_count("count", count)
    centre, scale = _filling(fill, x, mask)
    of_blocks, of_fill = jax.random.split(single_key(key))
    rows = 1 if 0 in along or 0 in shared else x.shape[0]
    hit = _blocks(of_blocks, x.shape, along, bounds, (count, rows))

    def filled(x: Array, e: Array) -> Array:
        return jnp.where(hit, (centre + scale * e).astype(x.dtype), x)

    sampler = standard_normal if isinstance(fill, str) and fill == "noise" else _zeros
    return draw.draw_noise(of_fill, x, sampler, filled, mask, shared_axes)


def _zeros(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    return jnp.zeros(shape, dtype)


def _checked_widths(width: Any) -> Array:
    """The least and the most."""
    draw.check_strength("width", width)
    if np.shape(width) not in ((), (1,), (2,)):
        given = np.shape(width)
        raise ValueError(f"width must be one number or two, got shape {given}.")
    if not draw.is_traced(width) and np.asarray(width).min() != np.ravel(width)[0]:
        raise ValueError(f"width must have the least before the most, got {width}.")
    return jnp.broadcast_to(jnp.floor(jnp.asarray(width, jnp.float32)), (2,))


def _blocks(
    key: Array, sizes: Any, along: list[int], bounds: Array, blocks: tuple[int, int]
) -> Array:
    """True in blocks: of size 1 along axes that they cover or share."""
    u = standard_uniform(key, (len(along), 2, *blocks, 1))
    hit: Any = True
    for (of_width, of_place), axis in zip(u, along, strict=True):
        least, most = jnp.clip(bounds, 0, sizes[axis]).astype(jnp.int32)
        width = least + _whole(of_width, most - least + 1)
        start = _whole(of_place, sizes[axis] - width + 1)
        place = lax.broadcasted_iota(jnp.int32, (1, 1, sizes[axis]), 2)
        shape = [*blocks, *(1 for _ in sizes[1:])]
        if axis:
            shape[axis + 1] = sizes[axis]
        else:
            shape[1] = sizes[0]
        hit &= ((place >= start) & (place < start + width)).reshape(shape)
    return hit.any(0)


def _filling(fill: Any, x: Array, mask: Mask) -> tuple[Array, Array]:
    """Mean and deviation of what stands in blocks."""
    if not isinstance(fill, str):
        draw.check_number("fill", fill)
        centre = draw.fitting("fill", fill, x)
        return centre, jnp.zeros_like(centre)
    if fill not in FILLS:
        raise ValueError(f"fill must be a number, 'mean' or 'noise', got {fill!r}.")
    mean, deviation = draw.moments(x, mask, tuple(range(min(1, x.ndim - 1), x.ndim)))
    return mean, deviation


def mixup(
    key: Key,
    x: Float[ArrayLike, " rows *inputs"],
    y: Float[ArrayLike, " rows *outputs"],
    alpha: ArrayLike,
) -> tuple[Float[Array, " rows *inputs"], Float[Array, " rows *outputs"]]:
    """Return rows and their targets, mixed with those of another order of the batch.

    ``l x + (1 - l) x[order]`` and ``l y + (1 - l) y[order]`` with one ``l ~ Beta(alpha,
    alpha)`` a call and all orders equally likely. Linear least squares does not move:
    of centred rows covariance and ``x' y`` both shrink by ``(alpha + 1) / (2 alpha +
    1)``. At alpha 0 nothing is mixed; 1 makes l uniform. ``Recipe(batch_noise=
    partial(mixup, alpha=0.2))`` hands class labels over as probabilities.

    Args:
        key: one typed Threefry key; used up by the call.
        x: rows, floating.
        y: their targets, floating: numbers, or probabilities of classes.
        alpha: strength, at least 0, without unit; one number, may be traced.

    Raises:
        TypeError: if ``key`` is no typed Threefry key, ``x`` or ``y`` is not floating,
            or ``alpha`` is no single number.
        ValueError: if ``alpha`` is negative, NaN or infinite, or ``x`` and ``y`` have
            not as many rows.

    Reference:
        H. Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = y = jnp.array([[0.0], [1.0]])
        >>> x, y = jn.mixup(jax.random.key(0), x, y, 1.0)
        >>> bool((x == y).all()), float(x.sum())
        (True, 1.0)
    """
    x = draw.floating(x)
    draw.check_strength("alpha", alpha)
    draw.check_single("alpha", alpha)
    y = _mixable(x, y)
    of_share, of_order = jax.random.split(single_key(key))
    positive = jnp.asarray(alpha, jnp.float32)  # one share for rows of any type
    drawn = _symmetric_beta(of_share, jnp.where(positive > 0, positive, 1))
    share = jnp.where(positive > 0, drawn, 1)
    order = jax.random.permutation(of_order, len(x))

    def mixed(v: Array) -> Array:
        wide = v.astype(jnp.promote_types(v.dtype, share.dtype))
        return (share * wide + (1 - share) * wide[order]).astype(v.dtype)

    return mixed(x), mixed(y)


def _symmetric_beta(key: Array, alpha: Array) -> Array:
    """A draw of Beta(alpha, alpha), exactly, from four uniform ones and no loop.

    ``(1 + sqrt(1 - u**(2 / (2 a - 1))) cos(2 pi v)) / 2`` is Beta(a, a) for a > 1/2, so
    for alpha + 1; and a gamma variable of alpha is one of alpha + 1 times ``u**(1 /
    alpha)``, here of both that the share is made of.

    Reference: G. Ulrich, "Computer generation of distributions on the m-sphere",
        Applied Statistics 33 (1984); G. Marsaglia, W. W. Tsang, "A simple method for
        generating gamma variables", 2000.
    """
    u, v, *both = standard_uniform(key, (4,), alpha.dtype)
    width = jnp.sqrt(-jnp.expm1(2 / (2 * alpha + 1) * jnp.log1p(-u)))
    odds = jnp.log1p(width * jnp.cos(2 * jnp.pi * v))
    odds -= jnp.log1p(-width * jnp.cos(2 * jnp.pi * v))
    first, second = (jnp.log1p(-each) for each in both)
    return jax.nn.sigmoid(odds + (first - second) / alpha)


def _mixable(x: Array, y: Any) -> Array:
    """The targets of x as floats, refused if they are none or of other rows."""
    if jnp.issubdtype(jnp.result_type(y), jnp.integer):
        raise TypeError(
            f"y must be floating, got {jnp.result_type(y)}; give class labels as "
            "probabilities, jax.nn.one_hot(y, num_classes), or the noise to "
            "Recipe(batch_noise=), which does."
        )
    y = draw.floating(y, "y")
    if not x.ndim or x.shape[:1] != y.shape[:1]:
        raise ValueError(
            f"x and y must have as many rows, got shapes {x.shape} and {y.shape}."
        )
    return y


def noisy_feature_mixup(
    key: Key,
    x: Float[ArrayLike, " rows *inputs"],
    y: Float[ArrayLike, " rows *outputs"],
    alpha: ArrayLike,
    *,
    additive: ArrayLike,
    multiplicative: ArrayLike,
) -> tuple[Float[Array, " rows *inputs"], Float[Array, " rows *outputs"]]:
    """Return `mixup`, and noise on the mixed rows: ``(1 + m b u) x + s b e``.

    With s and m the additive and the multiplicative strength, one ``b ~ Beta(2, 5)`` a
    call, and ``u`` uniform within 1 and ``e ~ N(0, 1)`` for every element: the mean is
    that of mixup, and the variance around it ``3/28 (m**2 x**2 / 3 + s**2)``.

    Args:
        key: one typed Threefry key; used up by the call.
        x: rows, floating.
        y: their targets, floating: numbers, or probabilities of classes.
        alpha: of `mixup`, at least 0; one number, may be traced.
        additive: s, in the units of ``x``, at least 0; broadcasts against ``x``; may be
            traced.
        multiplicative: m, without unit, likewise.

    Raises:
        TypeError: as `mixup`, or if a strength is no number.
        ValueError: as `mixup`, or if a strength is negative, NaN or infinite, or does
            not fit ``x``.

    Reference:
        S. H. Lim et al., "Noisy feature mixup", ICLR 2022.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x, y, key = jnp.ones((4, 3)), jnp.ones((4, 1)), jax.random.key(0)
        >>> nfm = jn.noisy_feature_mixup
        >>> noisy, _ = nfm(key, x, y, 0.2, additive=0.0, multiplicative=0.5)
        >>> bool((abs(noisy - 1) < 0.5).all()), bool((noisy != 1).all())
        (True, True)
    """
    x, added = draw.checked(x, "additive", additive)
    x, factor = draw.checked(x, "multiplicative", multiplicative)
    of_mixup, of_size, of_factor, of_added = jax.random.split(single_key(key), 4)
    x, y = mixup(of_mixup, x, y, alpha)
    b = jax.random.beta(of_size, 2.0, 5.0, dtype=added.dtype)
    u = 2 * standard_uniform(of_factor, x.shape, b.dtype) - 1
    e = standard_normal(of_added, x.shape, b.dtype)
    noisy = (1 + factor * b * u) * x.astype(b.dtype) + added * b * e
    return noisy.astype(x.dtype), y
