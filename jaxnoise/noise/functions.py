"""Every noise as a pure function ``(key, x, strength) -> x``.

The only place where a distribution is sampled; layers and models call these. All
functions share one contract: ``key`` is one typed Threefry key and is used up by the
call, the result has the shape and dtype of ``x``, a strength of 0 gives ``x`` back,
and the strength may be a number, an array that broadcasts against ``x``, or traced.
``mask`` and ``shared_axes`` mean the same everywhere. Most people want
`add_gaussian_noise`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Num, PyTree

from jaxnoise.checks import as_array, check_function, shown, single_key
from jaxnoise.noise import draw
from jaxnoise.noise.draw import Axes, Key, Mask, Values
from jaxnoise.noise.sampling import standard_normal, standard_uniform

# What a self-normalising network's units tend to: -lambda alpha of SELU.
SELU_LIMIT = -1.0507009873554805 * 1.6732632423543772


def add_gaussian_noise(
    key: Key, x: Values, stddev: ArrayLike, *, mask: Mask = None, shared_axes: Axes = ()
) -> Float[Array, "*shape"]:
    """Return ``x + stddev * e`` with independent ``e ~ N(0, 1)`` for every element.

    The mean of the result is ``x`` and its variance ``stddev**2``. The unit noise ``e``
    depends on ``key`` and the shape alone, so one key at two strengths gives the same
    noise at two scales, which is what paired comparisons need.

    Args:
        key: one typed Threefry key, ``jax.random.key(seed)``; used up by the call.
        x: values of any shape, floating; the result keeps shape and dtype.
        stddev: standard deviation in the units of ``x``, at least 0; broadcasts
            against ``x``; may be traced.
        mask: True where noise applies, of the shape of ``x`` or of its leading axes;
            elsewhere the result is ``x`` bit for bit. None means everywhere.
        shared_axes: axes of ``x`` along which one draw is shared.

    Returns:
        The noisy values, drawn in float32 (or the dtype of ``x`` if that is wider)
        and cast to the dtype of ``x``.

    Raises:
        TypeError: if ``key`` is no single typed Threefry key, ``x`` is not floating,
            ``stddev`` is no number, or ``mask`` is not boolean.
        ValueError: if a concrete ``stddev`` is negative, NaN or infinite, or a shape
            does not fit ``x``.

    Reference:
        C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
        Neural Computation 7 (1995).

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jnp.zeros(10_000)
        >>> noisy = jn.add_gaussian_noise(jax.random.key(0), x, 0.5)
        >>> bool(abs(noisy.std() - 0.5) < 5 * 0.5 / (2 * x.size) ** 0.5)
        True
        >>> bool((jn.add_gaussian_noise(jax.random.key(0), x, 0.0) == x).all())
        True
    """
    x, stddev = draw.checked(x, "stddev", stddev)
    return draw.draw_noise(key, x, standard_normal, _added(stddev), mask, shared_axes)


def _added(scale: Array) -> draw.Combine:
    """Draws times the scale, beside x."""
    return lambda x, unit: x + (scale * unit).astype(x.dtype)


def add_noise(
    key: Key,
    x: Values,
    scale: ArrayLike,
    *,
    sampler: draw.Sampler,
    mask: Mask = None,
    shared_axes: Axes = (),
) -> Float[Array, "*shape"]:
    """Return ``x + scale * e`` with independent ``e`` from any sampler.

    Args:
        key: one typed Threefry key; used up by the call.
        x: values of any shape, floating.
        scale: multiplies the draws, in the units of ``x`` for a sampler of unit scale;
            at least 0; broadcasts against ``x``; may be traced.
        sampler: ``sampler(key, shape, dtype) -> draws``, such as `jax.random.laplace`,
            `jax.random.rademacher` or ``partial(jax.random.uniform, minval=-1.0)``;
            draws of mean 0 leave the mean of ``x`` where it is.
        mask: True where noise applies; x's shape or that of its leading axes.
        shared_axes: axes of ``x`` along which one draw is shared.

    Raises:
        TypeError: as `add_gaussian_noise`, or if ``sampler`` is no function.
        ValueError: as `add_gaussian_noise`, or if the draws have another shape.

    Reference:
        L. Holmstrom, P. Koistinen, "Using additive noise in back-propagation
        training", IEEE Transactions on Neural Networks 3 (1992).

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jnp.zeros(4)
        >>> sign = jax.random.rademacher
        >>> noisy = jn.add_noise(jax.random.key(0), x, 0.5, sampler=sign)
        >>> print(abs(noisy))
        [0.5 0.5 0.5 0.5]
    """
    x, scale = draw.checked(x, "scale", scale)
    expected = "a function (key, shape, dtype) -> draws, such as jax.random.laplace"
    check_function("sampler", sampler, expected, 3)
    return draw.draw_noise(key, x, sampler, _added(scale), mask, shared_axes)


def add_correlated_noise(
    key: Key,
    x: Values,
    stddev: ArrayLike,
    *,
    correlation: ArrayLike,
    axis: int,
    mask: Mask = None,
    shared_axes: Axes = (),
) -> Float[Array, "*shape"]:
    """Return ``x + stddev * e``, where ``e`` is a stationary AR(1) process of an axis.

    ``e[0] = z[0]`` and ``e[t] = correlation * e[t-1] + sqrt(1 - correlation**2) z[t]``
    with independent ``z ~ N(0, 1)``: every ``e[t]`` is N(0, 1), and two at a distance
    of k steps have the correlation ``correlation**k``.

    Args:
        key: one typed Threefry key; used up by the call.
        x: values with at least one axis, floating.
        stddev: standard deviation in the units of ``x``, at least 0; broadcasts
            against ``x``; may be traced.
        correlation: of neighbours, from -1 to 1; one number, may be traced.
        axis: along which neighbours are correlated, such as time.
        mask: True where noise applies; the process runs on through other positions.
        shared_axes: axes of ``x`` along which one draw is shared.

    Raises:
        TypeError: as `add_gaussian_noise`, or if ``correlation`` is no single number.
        ValueError: as `add_gaussian_noise`, or if ``correlation`` is beyond -1 or 1, or
            ``axis`` is no axis of ``x`` or shared.

    Reference:
        G. E. Uhlenbeck, L. S. Ornstein, "On the theory of the Brownian motion",
        Physical Review 36 (1930), sampled at equal steps.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> noisy = jn.add_correlated_noise(
        ...     jax.random.key(0), jnp.zeros((3, 50)), 0.1, correlation=1.0, axis=1
        ... )
        >>> bool((noisy == noisy[:, :1]).all())  # an offset a row
        True
    """
    x, stddev = draw.checked(x, "stddev", stddev)
    axis = draw.axis_of(x, axis, "axis")
    if axis in (draw.axis_of(x, a, "shared_axes") for a in draw.as_axes(shared_axes)):
        raise ValueError(f"axis must not be one of shared_axes, got {axis} in both.")
    draw.check_number("correlation", correlation)
    draw.check_single("correlation", correlation)
    if not draw.is_traced(correlation) and not -1 <= np.asarray(correlation) <= 1:
        raise ValueError(f"correlation must be from -1 to 1, got {correlation}.")

    def correlated(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        z = jnp.moveaxis(standard_normal(key, shape, dtype), axis, 0)
        if 0 in z.shape:
            return jnp.moveaxis(z, 0, axis)
        rho = jnp.asarray(correlation).astype(dtype)
        fresh = jnp.full(z.shape[:1], draw.safe_sqrt(1 - rho**2)).at[0].set(1)

        def step(e: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
            e = rho * e + at[0] * at[1]
            return e, e

        _, e = lax.scan(step, jnp.zeros_like(z[0]), (fresh, z))
        return jnp.moveaxis(e, 0, axis)

    return draw.draw_noise(key, x, correlated, _added(stddev), mask, shared_axes)


def salt_and_pepper(
    key: Key,
    x: Values,
    rate: ArrayLike,
    *,
    low: ArrayLike,
    high: ArrayLike,
    mask: Mask = None,
    shared_axes: Axes = (),
) -> Float[Array, "*shape"]:
    """Return ``x`` with a share of elements replaced by ``low`` or ``high``, half each.

    Impulse noise: an element becomes ``low`` with probability ``rate / 2``, ``high``
    with probability ``rate / 2``, and stays as it is otherwise.

    Args:
        key: one typed Threefry key; used up by the call.
        x: values of any shape, floating.
        rate: probability of a replacement, from 0 to 1; broadcasts against ``x``; may
            be traced; its gradient is 0.
        low: the value of pepper, in the units of ``x``; broadcasts against ``x``.
        high: the value of salt, likewise.
        mask: True where noise applies; x's shape or that of its leading axes.
        shared_axes: axes of ``x`` along which one draw is shared, such as channels.

    Raises:
        TypeError: as `add_gaussian_noise`, or if ``low`` or ``high`` is no number.
        ValueError: as `add_gaussian_noise`.

    Reference:
        R. C. Gonzalez, R. E. Woods, "Digital image processing", chapter 5.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jnp.full(8, 0.5)
        >>> noisy = jn.salt_and_pepper(jax.random.key(0), x, 1.0, low=0.0, high=1.0)
        >>> sorted(set(noisy.tolist()))
        [0.0, 1.0]
    """
    x, rate = draw.checked(x, "rate", rate)
    draw.check_number("low", low)
    draw.check_number("high", high)
    pepper, salt = draw.fitting("low", low, x), draw.fitting("high", high, x)

    def replaced(x: Array, u: Array) -> Array:
        u += jnp.zeros_like(x, u.dtype)  # laid out over devices as x is
        impulse = jnp.where(u < rate / 2, pepper, salt).astype(x.dtype)
        return jnp.where(u < rate, impulse, x)

    return draw.draw_noise(key, x, standard_uniform, replaced, mask, shared_axes)


def multiply_gaussian_noise(
    key: Key, x: Values, stddev: ArrayLike, *, mask: Mask = None, shared_axes: Axes = ()
) -> Float[Array, "*shape"]:
    """Return ``x * (1 + stddev * e)`` with independent ``e ~ N(0, 1)``.

    The mean of the result is ``x`` and its variance ``(stddev * x)**2``. With
    ``stddev = sqrt(rate / (1 - rate))`` both are those of dropout at this rate.

    Args:
        key: one typed Threefry key; used up by the call.
        x: values of any shape, floating.
        stddev: standard deviation of the factor, without unit, at least 0; broadcasts
            against ``x``; may be traced.
        mask: True where noise applies; x's shape or that of its leading axes.
        shared_axes: axes of ``x`` along which one draw is shared.

    Raises:
        TypeError: as `add_gaussian_noise`.
        ValueError: as `add_gaussian_noise`.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014), section 10.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jnp.array([0.0, 1.0, 100.0])
        >>> noisy = jn.multiply_gaussian_noise(jax.random.key(0), x, 0.1)
        >>> float(noisy[0])  # noise in proportion to x
        0.0
    """
    x, stddev = draw.checked(x, "stddev", stddev)

    def multiplied(x: Array, unit: Array) -> Array:
        return x * (1 + stddev * unit)

    return draw.draw_noise(key, x, standard_normal, multiplied, mask, shared_axes)


def drop_units(
    key: Key, x: Values, rate: ArrayLike, *, mask: Mask = None, shared_axes: Axes = ()
) -> Float[Array, "*shape"]:
    """Return ``x / (1 - rate)``, with elements set to 0 with probability ``rate``.

    Inverted dropout: the mean of the result is ``x``, its variance
    ``rate / (1 - rate) * x**2``. At rate 1 the result is 0.

    Args:
        key: one typed Threefry key; used up by the call.
        x: values of any shape, floating.
        rate: probability of a 0, from 0 to 1; broadcasts against ``x``; may be traced.
        mask: True where elements may be dropped; others are not scaled either.
        shared_axes: axes of ``x`` that are dropped together: ``(1, 2)`` of (images,
            rows, columns, channels) is spatial dropout.

    Raises:
        TypeError: as `add_gaussian_noise`.
        ValueError: as `add_gaussian_noise`.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014).

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> noisy = jn.drop_units(jax.random.key(0), jnp.ones(8), 0.5)
        >>> sorted(set(noisy.tolist()))
        [0.0, 2.0]
    """
    x, rate = draw.checked(x, "rate", rate)
    kept = jnp.where(rate < 1, 1 - rate, 1)  # at 1 none is, and gradients are finite

    def dropped(x: Array, u: Array) -> Array:
        return jnp.where(u < rate, 0, x / kept)

    return draw.draw_noise(key, x, standard_uniform, dropped, mask, shared_axes)


def alpha_dropout(
    key: Key, x: Values, rate: ArrayLike, *, mask: Mask = None, shared_axes: Axes = ()
) -> Float[Array, "*shape"]:
    """Return ``a * d + b``: d is ``x`` or, with probability ``rate``, SELU's limit.

    The limit is ``l = -1.7581``, ``a = ((1 - rate) (1 + rate l**2))**-0.5`` and
    ``b = -a * rate * l``: elements of mean 0 and variance 1 keep both. At rate 1 the
    result is 0.

    Args:
        key: one typed Threefry key; used up by the call.
        x: values of any shape, floating, of mean 0 and variance 1, as `jax.nn.selu`
            makes them.
        rate: probability of a drop, from 0 to 1; broadcasts against ``x``; may be
            traced.
        mask: True where elements may be dropped; others are not scaled either.
        shared_axes: axes of ``x`` that are dropped together.

    Raises:
        TypeError: as `add_gaussian_noise`.
        ValueError: as `add_gaussian_noise`.

    Reference:
        G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jax.random.normal(jax.random.key(1), (10_000,))
        >>> noisy = jn.alpha_dropout(jax.random.key(0), x, 0.3)
        >>> bool(abs(noisy.var() - 1) < 0.1)
        True
    """
    x, rate = draw.checked(x, "rate", rate)
    kept = jnp.where(rate < 1, 1 - rate, 1)  # at 1 none is, and gradients are finite
    a = 1 / jnp.sqrt(kept * (1 + rate * SELU_LIMIT**2))
    limit = jnp.where(rate < 1, a * SELU_LIMIT * (1 - rate), 0)  # a l + b

    def dropped(x: Array, u: Array) -> Array:
        return jnp.where(u < rate, limit, a * (x - rate * SELU_LIMIT))

    return draw.draw_noise(key, x, standard_uniform, dropped, mask, shared_axes)


def neftune_noise(
    key: Key, x: Values, alpha: ArrayLike, *, mask: Mask = None, shared_axes: Axes = ()
) -> Float[Array, "*shape"]:
    """Return embeddings plus uniform noise of half-width ``alpha / sqrt(L d)``.

    L is the number of tokens of a sequence and d the width of an embedding: whatever
    the length, the noise of a sequence has the expected squared norm ``alpha**2 / 3``.

    Args:
        key: one typed Threefry key; used up by the call.
        x: embeddings (..., tokens, d), floating; a single axis is one token.
        alpha: strength, at least 0; 5 to 15 in the paper; broadcasts against ``x``; may
            be traced.
        mask: True for tokens, False for padding, which keeps its bits and does not
            count in L. Without a mask padding counts.
        shared_axes: axes of ``x`` along which one draw is shared.

    Raises:
        TypeError: as `add_gaussian_noise`.
        ValueError: as `add_gaussian_noise`.

    Reference:
        N. Jain et al., "NEFTune: noisy embeddings improve instruction finetuning",
        ICLR 2024.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x, mask = jnp.zeros((1, 6, 8)), jnp.arange(6)[None] < 2  # two tokens
        >>> noisy = jn.neftune_noise(jax.random.key(0), x, 5.0, mask=mask)
        >>> bool((noisy[0, 2:] == 0).all())
        True
        >>> bool(abs(noisy).max() <= 5 / (2 * 8) ** 0.5)
        True
    """
    x, alpha = draw.checked(x, "alpha", alpha)
    sequence = tuple(range(max(x.ndim - 2, 0), x.ndim))
    count = draw.full_mask(mask, x).sum(sequence, keepdims=True)
    width = alpha * lax.rsqrt(jnp.maximum(count, 1).astype(jnp.float32))

    def centred(*arguments: Any) -> Array:
        return 2 * standard_uniform(*arguments) - 1

    return draw.draw_noise(key, x, centred, _added(width), mask, shared_axes)


def flip_labels(
    key: Key,
    labels: Num[ArrayLike, "*shape"],
    rate: ArrayLike,
    *,
    num_classes: int,
    mask: Mask = None,
) -> Num[Array, "*shape"]:
    """Return labels that are, with probability ``rate``, one of the other classes.

    All other classes are equally likely, so a share ``rate`` of the labels is wrong.
    With K classes the expected cross-entropy is that of label smoothing by
    ``rate * K / (K - 1)``.

    Args:
        key: one typed Threefry key; used up by the call.
        labels: classes from 0 to ``num_classes - 1`` of any shape, as integers or as
            whole floats, such as binary targets; the result keeps shape and dtype.
        rate: probability of a flip, from 0 to 1; broadcasts against the labels; may be
            traced.
        num_classes: K, at least 2.
        mask: True for labels that may flip; others may be of any value.

    Raises:
        TypeError: if ``key`` is no typed Threefry key or ``labels`` are no numbers.
        ValueError: if ``rate`` is out of range, ``num_classes`` is below 2, a concrete
            label is no class, the labels are one-hot rows or of a type too small for
            the classes, or a shape does not fit the labels.

    Reference:
        C. Szegedy et al., "Rethinking the inception architecture for computer vision",
        CVPR 2016, section 7.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> labels = jnp.array([0, 1, 1, 0])
        >>> print(jn.flip_labels(jax.random.key(0), labels, 1.0, num_classes=2))
        [1 0 0 1]
    """
    if isinstance(num_classes, bool) or not isinstance(num_classes, int | np.integer):
        raise TypeError(f"num_classes must be an int, got {shown(num_classes)}.")
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}.")
    draw.check_number("labels", labels)
    labels = jnp.asarray(labels)
    draw.check_strength("rate", rate)
    rate = draw.fitting("rate", rate, labels)
    _check_labels(labels, num_classes, mask)
    u, v = standard_uniform(single_key(key), (2, *labels.shape))
    other = jnp.minimum((v * (num_classes - 1)).astype(jnp.int32), num_classes - 2)
    flipped = (labels.astype(jnp.int32) + 1 + other) % num_classes
    noisy = jnp.where(u < rate, flipped.astype(labels.dtype), labels)
    return draw.apply_mask(mask, noisy, labels)


def _check_labels(labels: Array, num_classes: int, mask: Any) -> None:
    """Refuse one-hot rows, too small types, and concrete labels that are no classes."""
    floats = jnp.issubdtype(labels.dtype, jnp.floating)
    if floats and num_classes > 2 and labels.shape[-1:] == (num_classes,):
        raise ValueError(
            "labels must be classes, not one-hot rows, "
            f"got {labels.dtype} of shape {labels.shape}; take their argmax."
        )
    # the largest whole number up to which none is skipped
    dtype = labels.dtype
    most = 2 ** (jnp.finfo(dtype).nmant + 1) if floats else jnp.iinfo(dtype).max
    if num_classes - 1 > most:
        raise ValueError(
            f"labels of {labels.dtype} cannot tell {num_classes} classes apart; cast "
            "them to int32."
        )
    if draw.is_traced(labels, mask):
        return
    values = np.asarray(labels, np.float64)
    wrong = ~((values >= 0) & (values < num_classes) & (values == np.floor(values)))
    if mask is not None:
        wrong &= np.asarray(draw.full_mask(mask, labels))
    if wrong.any():
        raise ValueError(
            f"labels must be classes from 0 to {num_classes - 1}, "
            f"got {values[wrong][0]:g}."
        )


def tree_add_gaussian_noise(key: Key, params: PyTree, stddev: PyTree) -> PyTree:
    """Return a tree with ``leaf + stddev * e``, ``e ~ N(0, 1)``, in every leaf.

    A leaf's noise depends on the key and on its path, so that no two leaves share a
    draw and a new leaf changes no other one's.

    Args:
        key: one typed Threefry key; used up by the call.
        params: a pytree of floating arrays, such as parameters or gradients; a
            `Learnable` strength among them is a parameter like any other.
        stddev: standard deviation in the units of the leaves, at least 0; may be
            traced. One number for all, or a tree that ``params`` begin with, such as
            one number for every layer.

    Raises:
        TypeError: if ``key`` is no typed Threefry key, a leaf is not floating, or a
            stddev is no number.
        ValueError: if a stddev is out of range, or the tree of stddevs does not fit.

    Reference:
        A. Graves, "Practical variational inference for neural networks", NIPS 2011.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> params = {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)}
        >>> stddev = {"kernel": 0.1, "bias": 0.0}
        >>> noisy = jn.tree_add_gaussian_noise(jax.random.key(0), params, stddev)
        >>> print(noisy["bias"])
        [0. 0. 0.]
    """
    single_key(key)
    try:
        stddevs = jax.tree.leaves(jax.tree.broadcast(stddev, params))
    except ValueError:
        raise ValueError(
            "stddev must be a number or a tree that params begin with, "
            f"got {jax.tree.structure(stddev)} for {jax.tree.structure(params)}."
        ) from None
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    leaves = []
    for (path, leaf), level in zip(paths, stddevs, strict=True):
        name = jax.tree_util.keystr(path)
        leaf = as_array(f"params{name}", leaf)
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise TypeError(f"params must be floating, got {leaf.dtype} at {name}.")
        leaves.append(add_gaussian_noise(draw.key_of_place(key, name), leaf, level))
    return jax.tree.unflatten(structure, leaves)


def factorised_normal(
    key: Key, inputs: int, outputs: int
) -> tuple[Float[Array, " inputs"], Float[Array, " outputs"]]:
    """Two vectors ``f(e)``, ``f(e) = sign(e) sqrt(|e|)``, whose outer product is noise.

    Entries of the product have mean 0, variance 2/pi and fourth moment 1, at the price
    of ``inputs + outputs`` draws instead of their product.
    """
    e = standard_normal(single_key(key), (inputs + outputs,))
    f = jnp.sign(e) * jnp.sqrt(jnp.abs(e))
    return f[:inputs], f[inputs:]


def weight_shapes(inputs: int, outputs: int, use_bias: bool) -> dict[str, Any]:
    """Of the weights in `noisy_product`, and so of their deviations."""
    return {"kernel": (inputs, outputs)} | ({"bias": (outputs,)} if use_bias else {})


def noisy_product(
    params: dict[str, Array],
    x: Float[Array, "*rows inputs"],
    key: Key | None = None,
    on: Any = True,
) -> Float[Array, "*rows outputs"]:
    """``x @ kernel + bias``; with a key, factorised noise on both while ``on``.

    The deviations are ``params["kernel_stddev"]`` and ``params["bias_stddev"]``; the
    bias may be absent.
    """
    kernel, bias = params["kernel"], params.get("bias", jnp.zeros(()))
    if key is not None:
        e_in, e_out = factorised_normal(key, *kernel.shape)
        on = jnp.asarray(on, kernel.dtype)
        kernel += on * params["kernel_stddev"] * jnp.outer(e_in, e_out)
        bias += on * params.get("bias_stddev", 0) * e_out
    return x @ kernel.astype(x.dtype) + bias.astype(x.dtype)


def dropped_product(
    params: dict[str, Array],
    x: Float[Array, "*rows inputs"],
    rate: ArrayLike,
    mode: str,
    key: Key | None = None,
    on: Any = True,
) -> Float[Array, "*rows outputs"]:
    """``x @ kernel + bias``; with a key, dropout on the kernel's entries while ``on``.

    One draw for all rows, or, with the mode ``"sample"``, one for each of them.
    """
    kernel, bias = params["kernel"], params.get("bias", jnp.zeros(()))
    if key is not None:
        sizes = (*x.shape[:-1], *kernel.shape) if mode == "sample" else kernel.shape
        kept = drop_units(key, jnp.broadcast_to(kernel, sizes), rate)
        kernel = jnp.where(on, kept, kernel)
    product = jnp.einsum("...i,...io->...o", x, kernel.astype(x.dtype))
    return product + bias.astype(x.dtype)


def inputs_of_dense(x: Any) -> Array:
    """``x`` as an array, refused unless it is floating and has an axis of inputs."""
    x = draw.floating(x)
    if not x.ndim:
        raise ValueError("x must have an axis of inputs, got a single number.")
    return x
