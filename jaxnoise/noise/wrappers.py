"""Wrappers around functions: what comes out, what strengths and derivatives mean.

A wrapper takes a function ``(key, x, strength, ...)`` and returns another one, which
takes ``mask`` even if the first does not. Wrappers nest, and go into `jaxnoise.Noise`
like any noise: ``Noise(partial(relative(add_gaussian_noise), stddev=0.1))``.
`straight_through` gives a function of a noisy value the backward pass of the clean one.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from jaxnoise.checks import NOISE, check_callable, name_of, shown, warn
from jaxnoise.noise import draw
from jaxnoise.noise.draw import NoiseFn


def clipped(
    fn: NoiseFn, low: ArrayLike, high: ArrayLike, gradient: str = "pass"
) -> NoiseFn:
    """Return ``fn`` with its results clipped: ``min(max(fn(key, x), low), high)``.

    At strength 0 the result is ``x`` clipped; where the mask is False it is ``x``.

    Args:
        fn: a noise function ``(key, x, ...) -> x``.
        low: the least value, in the units of ``x``; broadcasts against ``x``.
        high: the greatest value, likewise.
        gradient: ``"pass"`` takes the derivatives of ``fn`` everywhere, ``"zero"`` sets
            them to 0 where the result was clipped.

    Raises:
        TypeError: if ``fn`` is no function, or a bound no number.
        ValueError: if ``low`` is above ``high``, or ``gradient`` another word; in the
            call, if a bound does not fit ``x``.

    Reference: the straight-through estimator of Y. Bengio, N. Leonard, A. Courville,
        arXiv:1308.3432, for ``"pass"``.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> noise = jn.clipped(jn.add_gaussian_noise, 0.0, 1.0)
        >>> noisy = noise(jax.random.key(0), jnp.full(1000, 0.5), 3.0)
        >>> float(noisy.min()), float(noisy.max())
        (0.0, 1.0)
    """
    check_callable("fn", fn, NOISE)
    for name, bound in (("low", low), ("high", high)):
        draw.check_number(name, bound)
    if not draw.is_traced(low, high) and np.any(np.asarray(low) > np.asarray(high)):
        raise ValueError(f"low must not be above high, got {low} and {high}.")
    if gradient not in ("pass", "zero"):
        raise ValueError(f"gradient must be 'pass' or 'zero', got {gradient!r}.")

    def noisy(key: Any, x: Any, *args: Any, mask: Any = None, **kwargs: Any) -> Array:
        x = draw.floating(x)
        value = draw.call_masked(fn, key, x, *args, mask=mask, **kwargs)
        least, most = draw.fitting("low", low, x), draw.fitting("high", high, x)
        inside = jnp.clip(value, least, most).astype(value.dtype)
        if gradient == "pass":
            inside = with_gradient_of(inside, value)
        return draw.apply_mask(mask, inside, x)

    return _with_signature("clipped", noisy, fn, {})


def relative(fn: NoiseFn, to: str = "batch") -> NoiseFn:
    """Return ``fn`` with its strength in measured standard deviations of ``x``.

    ``fn(key, x, strength * sd(x))``, with the population standard deviation over the
    positions where the mask is True; no gradient flows through it.

    Args:
        fn: a noise function whose third argument is a strength in the units of ``x``,
            such as `add_gaussian_noise`.
        to: ``"batch"`` for one standard deviation of all elements, ``"feature"`` for
            one of each position of the last axis. A single row, also one of a `vmap`
            over rows, has no deviation of a feature, and gets no noise by it.

    Raises:
        TypeError: if ``fn`` is no function of a strength in the units of ``x``.
        ValueError: if ``to`` is another word; in the call, if x has a NaN that is not
            masked.

    Reference: the signal's standard deviation as the unit of noise, as in
        the signal-to-noise ratio of C. E. Shannon (1948).

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> noise = jn.relative(jn.add_gaussian_noise, to="feature")
        >>> x = jnp.array([[1.0, 10.0], [1.0, 30.0]])
        >>> noisy = noise(jax.random.key(0), x, 0.1)
        >>> print(noisy[:, 0])  # does not vary, and gets no noise
        [1. 1.]
    """
    return _measured("relative", fn, to)


def snr_db(fn: NoiseFn, to: str = "batch") -> NoiseFn:
    """Return ``fn`` with its strength as a signal-to-noise ratio in decibels.

    As `relative` at the strength ``10 ** (-snr_db / 20)``: 20 dB is a tenth of the
    standard deviation of ``x``, 0 dB the whole of it, infinite dB no noise. The third
    argument of the result is named ``snr_db``.

    Args:
        fn: a noise function whose third argument is a strength in the units of ``x``.
        to: ``"batch"`` or ``"feature"``, as in `relative`.

    Raises:
        TypeError: if ``fn`` is no function of a strength in the units of ``x``.
        ValueError: if ``to`` is another word; in the call, if a concrete ``snr_db`` is
            NaN or minus infinity, or as for `relative`.

    Reference: C. E. Shannon, "Communication in the presence of noise", 1949.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> noise = jn.snr_db(jn.add_gaussian_noise)
        >>> x = jnp.arange(1000.0)
        >>> ratio = (noise(jax.random.key(0), x, 20.0) - x).std() / x.std()
        >>> bool(abs(ratio - 0.1) < 5 * 0.1 / 2000**0.5)
        True
    """
    return _measured("snr_db", fn, to)


def _measured(wrapper: str, fn: NoiseFn, to: str) -> NoiseFn:
    """``fn`` with its strength in standard deviations, or in decibels below one."""
    check_callable("fn", fn, NOISE)
    names = list(inspect.signature(fn).parameters)
    if len(names) < 3 or names[2] in ("rate", "mask", "shared_axes"):
        raise TypeError(
            f"{wrapper}: fn must take (key, x, strength) with a strength in the units "
            f"of x, got a function of ({', '.join(names)})."
        )
    name = names[2]
    told = wrapper if wrapper == "snr_db" else name
    if to not in ("batch", "feature"):
        raise ValueError(f"to must be 'batch' or 'feature', got {to!r}.")
    strength = inspect.signature(fn).parameters[name]
    held, by_keyword = strength.default, strength.kind is strength.KEYWORD_ONLY

    def noisy(key: Any, x: Any, *args: Any, mask: Any = None, **kwargs: Any) -> Array:
        x = draw.floating(x)
        level, *rest = args or (kwargs.pop(told, held),)
        if level is inspect.Parameter.empty:
            raise TypeError(f"{told} must be given.")
        if wrapper == "snr_db":
            level = _from_decibels(level)
        else:
            draw.check_strength(told, level)
        level = draw.fitting(told, level, x) * _deviation(wrapper, x, to, mask)
        if by_keyword:  # held by a partial
            kwargs[name] = level
        else:
            rest = [level, *rest]
        return draw.call_masked(fn, key, x, *rest, mask=mask, **kwargs)

    return _with_signature(wrapper, noisy, fn, {name: told})


def _from_decibels(level: Any) -> Array:
    draw.check_number("snr_db", level)
    if not draw.is_traced(level):
        levels = np.asarray(level, np.float64)
        wrong = levels[np.isnan(levels) | np.isneginf(levels)]
        if wrong.size:
            raise ValueError(f"snr_db must be above minus infinity, got {wrong[0]}.")
    return 10 ** (-jnp.asarray(level, float) / 20)


def _deviation(wrapper: str, x: Array, to: str, mask: Any) -> Array:
    """The standard deviation of the unmasked positions."""
    axes = tuple(range(x.ndim if to == "batch" else x.ndim - 1))
    mean, deviation = draw.moments(x, mask, axes)
    if not draw.is_traced(deviation):
        if np.isnan(deviation).any():
            raise ValueError("x must be finite where the mask is True, got NaN.")
        step = jnp.finfo(x.dtype).eps * abs(mean)
        if ((deviation > 0) & (deviation < 2 * step)).any():
            warn(
                f"{wrapper}: x varies by hardly more than {x.dtype} tells apart at "
                "its size; subtract an offset from it, or its mean"
            )
    return deviation


def _with_signature(
    wrapper: str, noisy: NoiseFn, fn: NoiseFn, renamed: dict[str, str]
) -> NoiseFn:
    """``noisy`` with the name and arguments of ``fn``, some renamed, and a mask."""
    noisy.__name__ = f"{wrapper}({name_of(fn)})"
    taken = {
        # without annotations, which may be classes that have no name
        name: p.replace(name=renamed.get(name, name), annotation=p.empty)
        for name, p in inspect.signature(fn).parameters.items()
    }
    mask = inspect.Parameter("mask", inspect.Parameter.KEYWORD_ONLY, default=None)
    taken.setdefault("mask", mask)
    parameters = sorted(taken.values(), key=lambda p: p.kind)  # ** comes last
    noisy.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return noisy


def straight_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``g(clean, noisy, *args)``: the value of ``f`` at noisy, derived at clean.

    ``g(clean, noisy, *args) == f(noisy, *args)``, and its derivatives with respect to
    ``clean`` and ``args`` are those of ``f(clean, *args)``; none flows into ``noisy``.
    Plain autodiff multiplies by the noisy values instead: for a dense layer the
    gradient of the kernel is ``(x + e)' delta``, whose mean holds the ridge term of
    noise. With the clean ``x' delta`` noise on a linear layer regularises nothing.

    Args:
        f: any differentiable function, such as a matrix product, a Flax layer or
            module inside a module, or a network of its parameters; its result may be a
            pytree. It is called twice: a module that counts its calls or averages
            over batches does so twice.

    Returns:
        The function ``g``; ``clean`` and ``noisy`` are pytrees of the same structure.

    Raises:
        TypeError: if ``f`` is no function.

    Reference:
        Y. Bengio, N. Leonard, A. Courville, "Estimating or propagating gradients
        through stochastic neurons for conditional computation", arXiv:1308.3432.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x, noisy, w = jnp.array([1.0, 2.0]), jnp.array([1.5, 1.0]), jnp.ones(2)
        >>> product = jn.straight_through(jnp.dot)
        >>> print(product(x, noisy, w), jax.grad(product, 2)(x, noisy, w))
        2.5 [1. 2.]
    """
    if not callable(f):
        raise TypeError(f"f must be a function, got {shown(f)}.")

    def g(clean: Any, noisy: Any, *args: Any, **kwargs: Any) -> Any:
        source = f(clean, *args, **kwargs)
        return jax.tree.map(with_gradient_of, f(noisy, *args, **kwargs), source)

    return g


@jax.custom_jvp
def with_gradient_of(value: Array, source: Array) -> Array:
    """``value``, with the derivatives of ``source``; of one shape and dtype."""
    return jnp.asarray(value)


@with_gradient_of.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Any, Any]:
    return primals[0], tangents[1]
