"""Flax NNX layers over the noise functions: the same noise as the Linen layers'.

A layer is active unless its ``deterministic`` is True, which ``model.train()``,
``model.eval()`` and ``nnx.view(model, deterministic=...)`` set; ``train=`` at the call
wins. Keys come from the stream ``"noise"`` of the `nnx.Rngs` given to the constructor,
forked for each layer. As everywhere in NNX a default stream, ``nnx.Rngs(0)``, stands in
for one that is not named; no stream at all is an error at the first noisy call. A
strength is an `nnx.Variable`: another value, ``layer.stddev[...] = 0.2``, compiles
nothing. What strengths may be, and what layers raise, is as in `jaxnoise.noise.linen`.

All layers take, by keyword,

- ``shared_axes``: axes of ``x`` along which one draw is shared;
- ``deterministic``: whether the layer starts switched off;
- ``rngs``: where the stream ``"noise"`` comes from, or the default stream if there is
  none of that name.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, dataclass_transform

import jax
import jax.numpy as jnp
from flax import nnx
from flax.errors import TraceContextError
from jaxtyping import Array, ArrayLike, Float

from jaxnoise.checks import NOISE, check_count, check_function, shown, single_key
from jaxnoise.noise import draw, functions, rows
from jaxnoise.noise.draw import Axes, Mask, Span, Values
from jaxnoise.noise.layer import ByRate, Layer, NamedLayer, Noisy, Switch, own_key
from jaxnoise.noise.mixing import Mixing
from jaxnoise.noise.strengths import PREFIX, Learnable, Strength, learned

Rngs = nnx.Rngs | nnx.RngStream | None  # of a constructor
NOT_GIVEN: Any = None
WEIGHTS = ("kernel", "kernel_stddev", "bias", "bias_stddev")  # of noisy layers
START = {"kernel": nnx.initializers.lecun_normal(), "bias": nnx.initializers.zeros}
SHARED = (
    "the noise would be the same along a vmapped axis: split the layers' streams, by "
    "nnx.split_rngs(splits=n) and in_axes=nnx.StateAxes({nnx.RngState: 0, ...: None}), "
    "or share it on purpose by rngs=key at the call."
)


@nnx.register_variable_name("noise_strength")
class NoiseStrength(nnx.Variable):
    """A strength that is a number: traced, not trained.

    Example:
        >>> import jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.GaussianNoise(0.1, rngs=nnx.Rngs(0))
        >>> nnx.to_pure_dict(nnx.state(layer, jn.nnx.NoiseStrength))
        {'stddev': Array(0.1, dtype=float32)}
        >>> layer.stddev[...] = 0.2
    """


@nnx.register_variable_name("noise_step")
class NoiseStep(nnx.Variable):
    """The number of noisy calls of a layer with a schedule.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.GaussianNoise(lambda step: 0.1 * step, rngs=nnx.Rngs(0))
        >>> _ = layer(jnp.ones(3))
        >>> nnx.to_pure_dict(nnx.state(layer, jn.nnx.NoiseStep))
        {'stddev_step': Array(1, dtype=int32)}
    """


if TYPE_CHECKING:

    class Level:
        """A field of a strength: given as any, held as a variable."""

        def __get__(self, layer: Any, kind: Any) -> NoiseStrength: ...
        def __set__(self, layer: Any, value: Strength | Span | None) -> None: ...

else:
    Level = Strength | Span


@dataclass_transform(field_specifiers=(field,))
class Declared:
    """A class of annotated fields, as Linen's are: its constructor is made of them."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        dataclass(cls, repr=False, eq=False)
        of_self = inspect.signature(cls.__init__)
        parameters = list(of_self.parameters.values())[1:]
        cls.__signature__ = of_self.replace(parameters=parameters)  # type: ignore[attr-defined]


class TrainOnly(Layer, Declared, nnx.Module):
    """The switch is ``deterministic``, and the key of the layer's own stream."""

    path = ""  # in the model, where `with_streams` went through it

    deterministic: bool = field(default=False, kw_only=True)
    rngs: Rngs = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.deterministic, bool):
            raise TypeError(
                f"{type(self).__name__}: deterministic must be a bool, "
                f"got {shown(self.deterministic)}."
            )
        stream = _stream(self.rngs)
        if not isinstance(stream, nnx.RngStream | None):
            raise TypeError(
                f"{type(self).__name__}: rngs must be an nnx.Rngs, such as "
                f"nnx.Rngs(noise=0), got {shown(stream)}."
            )
        self.rngs = nnx.data(None if stream is None else stream.fork())

    def set_view(self, deterministic: bool | None = None) -> None:
        """What `nnx.view` calls; `nnx.view_info` reads arguments indented by two.

        Args:
          deterministic: if True, no noise.
        """
        if deterministic is not None:
            self.deterministic = deterministic

    def _place(self) -> str:
        return str(self.path)

    def _asked(self, train: Any) -> Any:
        return not self.deterministic if train is None else train

    def _key(self, source: Any, traced: bool) -> Array:
        if isinstance(source, jax.Array):
            return source
        stream = self.rngs if source is None else _stream(source)
        if not isinstance(stream, nnx.RngStream | None):
            raise TypeError(
                f"{self._label()}: rngs must be an nnx.Rngs, a stream or a typed key, "
                f"got {shown(source)}."
            )
        if stream is None:
            raise ValueError(
                f"{self._label()} is active but has no 'noise' key stream: pass "
                "rngs=nnx.Rngs(noise=0) to the constructor or to the call, or switch "
                "the noise off by model.eval() or train=False."
            )
        try:
            return single_key(stream())
        except TraceContextError as error:
            raise ValueError(
                f"{self._label()} is closed over by a function under jax.jit, jax.vmap "
                "or the like, where its key stream cannot move on: use nnx.jit or "
                "nnx.vmap with the model as an argument, nnx.merge(..., copy=True) "
                "inside, or give rngs=key to the call."
            ) from error

    def _own(self, key: Array, source: Any, used: Any, strength: Any) -> Array:
        if isinstance(source, jax.Array):
            return key  # given on purpose
        strength = () if callable(strength) else strength
        return own_key(key, (used, strength), (), f"{self._label()}: {SHARED}")


def _stream(rngs: Any) -> Any:
    """The noise's stream of an `nnx.Rngs`, whose default stream stands in for it."""
    if not isinstance(rngs, nnx.Rngs):
        return rngs
    return rngs["noise"] if "noise" in rngs or "default" in rngs else None


class NoiseLayer(TrainOnly):
    """A layer over a noise function."""

    def __call__(
        self, x: Values, train: Switch = None, *, mask: Mask = None, rngs: Any = None
    ) -> Float[Noisy, "*shape"]:
        """Return ``x`` with noise if the layer is active, and ``x`` itself if not.

        Args:
            x: values of any shape, floating.
            train: whether noise is on; None for what ``deterministic`` says. A traced
                value selects, and needs the key stream either way.
            mask: True where noise applies; x's shape or that of its leading axes.
            rngs: an `nnx.Rngs`, a stream or a key, instead of the layer's own stream.

        Raises:
            TypeError: if ``train`` is no bool.
            ValueError: if there is no key stream, the noise changes the shape, the key
                would be the same along a vmapped axis of x, or the stream cannot move
                on, as inside `jax.jit` of a function that closes over the layer.
        """
        return self._applied(x, train, mask, rngs)


class NamedNoise(NoiseLayer, NamedLayer):
    """A short form of `Noise`: a noise function with its arguments as fields."""

    shared_axes: Axes = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self._checked_name()
        self.shared_axes = draw.as_axes(self.shared_axes)
        for other in self._arguments()[1:]:
            value = getattr(self, other)
            setattr(self, other, nnx.data(value) if hasattr(value, "dtype") else value)
        value = vars(self).pop(name)
        if isinstance(value, Learnable):
            self.floor = value.floor
            setattr(self, PREFIX + name, nnx.Param(value.parameter()))
        elif callable(value):
            setattr(self, name, nnx.static(value))
            setattr(self, f"{name}_step", NoiseStep(jnp.zeros((), jnp.int32)))
        else:
            setattr(self, name, nnx.data(NoiseStrength(jnp.asarray(value, float))))

    def __setattr__(self, name: str, value: Any) -> None:
        """A number for the strength goes into its variable, which compiles nothing."""
        held = vars(self).get(name)
        if isinstance(held, NoiseStrength) and not isinstance(value, nnx.Variable):
            draw.check_strength(name, value)
            held.set_value(jnp.asarray(value, float))
        else:
            super().__setattr__(name, value)

    def _level(self, name: str, train: Any) -> Any:
        if hasattr(self, PREFIX + name):
            return learned(getattr(self, PREFIX + name)[...], self.floor)
        held = getattr(self, name)
        if isinstance(held, NoiseStrength):
            return held[...]
        step = getattr(self, f"{name}_step")
        level = held(step[...])
        if train is not False:
            step[...] += jnp.asarray(train, jnp.int32)
        return level


class Noise(NoiseLayer):
    """Any noise function as a layer: ``fn(key, x)`` when active, else ``x``.

    Args:
        fn: a function ``(key, x) -> x`` that keeps the shape, as in `jaxnoise.Noise`.
        deterministic, rngs: as every layer's.

    Raises:
        TypeError: if ``fn`` is no function of (key, x) alone, or ``rngs`` no
            `nnx.Rngs`.

    Example:
        >>> from functools import partial
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> sign = partial(jn.add_noise, scale=0.5, sampler=jax.random.rademacher)
        >>> layer = jn.nnx.Noise(sign, rngs=nnx.Rngs(noise=0))
        >>> print(abs(layer(jnp.zeros(3))))
        [0.5 0.5 0.5]
    """

    fn: draw.NoiseFn

    def __post_init__(self) -> None:
        check_function("fn", self.fn, NOISE, 2)
        super().__post_init__()

    def _noise(self, train: Any) -> tuple[draw.NoiseFn, Any]:
        return self.fn, self.fn


class GaussianNoise(NamedNoise, noise=functions.add_gaussian_noise):
    """``x + stddev * e``, ``e ~ N(0, 1)``, when active; else ``x``.

    The NNX form of `jaxnoise.GaussianNoise`, over `add_gaussian_noise`.

    Args:
        stddev: standard deviation in the units of ``x``, at least 0; a number,
            an array, a schedule or a `Learnable`.
        shared_axes, deterministic, rngs: as every layer's.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
        Neural Computation 7 (1995).

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.GaussianNoise(0.1, rngs=nnx.Rngs(noise=0))
        >>> x = jnp.ones((2, 3))
        >>> layer(x).shape
        (2, 3)
        >>> bool((layer(x, train=False) == x).all())
        True
    """

    stddev: Level


class CorrelatedNoise(NamedNoise, noise=functions.add_correlated_noise):
    """``x + stddev * e``, e a stationary AR(1) process along an axis, when active.

    The NNX form of `jaxnoise.CorrelatedNoise`, over `add_correlated_noise`.
    ``x`` has any shape with that axis, which is kept.

    Args:
        stddev: standard deviation in the units of ``x``, at least 0; a number,
            an array, a schedule or a `Learnable`.
        correlation: of neighbours along the axis, from -1 to 1.
        axis: along which neighbours are correlated, such as time.
        shared_axes, deterministic, rngs: as every layer's.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        G. E. Uhlenbeck, L. S. Ornstein, "On the theory of the Brownian motion",
        Physical Review 36 (1930), sampled at equal steps.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.CorrelatedNoise(
        ...     0.1, correlation=0.9, axis=1, rngs=nnx.Rngs(noise=0)
        ... )
        >>> layer(jnp.zeros((4, 100, 3))).shape  # rows, time steps, channels
        (4, 100, 3)
    """

    stddev: Level
    correlation: ArrayLike = field(kw_only=True)
    axis: int = field(kw_only=True)


class SaltAndPepperNoise(NamedNoise, noise=functions.salt_and_pepper):
    """Replaces elements by ``low`` or ``high``, half each, at ``rate``, when active.

    The NNX form of `jaxnoise.SaltAndPepperNoise`, over `salt_and_pepper`.

    Args:
        rate: probability of a replacement, from 0 to 1; a number, an array, or
            a schedule.
        low: the value of pepper, in the units of ``x``.
        high: the value of salt.
        shared_axes, deterministic, rngs: as every layer's.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        R. C. Gonzalez, R. E. Woods, "Digital image processing", chapter 5.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.SaltAndPepperNoise(
        ...     1.0, low=0.0, high=1.0, rngs=nnx.Rngs(noise=0)
        ... )
        >>> sorted(set(layer(jnp.full(8, 0.5)).tolist()))
        [0.0, 1.0]
    """

    rate: Level
    low: ArrayLike = field(kw_only=True)
    high: ArrayLike = field(kw_only=True)


class Dropout(NamedNoise, noise=functions.drop_units):
    """Inverted dropout: 0 at ``rate``, else ``x / (1 - rate)``, when active.

    The NNX form of `jaxnoise.Dropout`, over `drop_units`.

    Args:
        rate: probability of a 0, from 0 to 1; a number, an array, or a schedule.
        shared_axes, deterministic, rngs: as every layer's.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014).

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.Dropout(0.5, shared_axes=(0,), rngs=nnx.Rngs(noise=0))
        >>> noisy = layer(jnp.ones((2, 8)))
        >>> bool((noisy[0] == noisy[1]).all())
        True
    """

    rate: Level


class GaussianDropout(NamedNoise, ByRate, noise=functions.multiply_gaussian_noise):
    """``x * (1 + stddev * e)``, ``e ~ N(0, 1)``, when active; else ``x``.

    The NNX form of `jaxnoise.GaussianDropout`, over `multiply_gaussian_noise`.

    Args:
        rate: the rate of the dropout that it is like, below 1; a number, an array or a
            schedule. Give this or ``stddev``.
        stddev: standard deviation of the factor; a number, an array, a schedule or a
            `Learnable`.
        shared_axes, deterministic, rngs: as every layer's.

    Raises:
        ValueError: if both are given or none, or the rate is 1.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014), section 10.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> a = jn.nnx.GaussianDropout(0.5, rngs=nnx.Rngs(noise=0))
        >>> b = jn.nnx.GaussianDropout(stddev=1.0, rngs=nnx.Rngs(noise=0))
        >>> bool((a(jnp.ones(3)) == b(jnp.ones(3))).all())
        True
    """

    rate: Level = NOT_GIVEN
    stddev: Level = field(default=NOT_GIVEN, kw_only=True)


class AlphaDropout(NamedNoise, noise=functions.alpha_dropout):
    """Dropout that keeps mean 0 and variance 1, for SELU networks, when active.

    The NNX form of `jaxnoise.AlphaDropout`, over `alpha_dropout`.

    Args:
        rate: probability of a drop, from 0 to 1; a number, an array, or a schedule.
        shared_axes, deterministic, rngs: as every layer's.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.AlphaDropout(0.1, rngs=nnx.Rngs(noise=0))
        >>> noisy = layer(jax.random.normal(jax.random.key(1), (100, 100)))
        >>> bool(abs(noisy.mean()) < 0.1), bool(abs(noisy.std() - 1) < 0.1)
        (True, True)
    """

    rate: Level


class NEFTuneNoise(NamedNoise, noise=functions.neftune_noise):
    """Uniform noise of half-width ``alpha / sqrt(L d)`` on embeddings, when active.

    The NNX form of `jaxnoise.NEFTuneNoise`, over `neftune_noise`.
    ``x`` has the shape (..., tokens, d), which is kept.

    Args:
        alpha: strength, at least 0; 5 to 15 in the paper; a number, an array, a
            schedule or a `Learnable`.
        shared_axes, deterministic, rngs: as every layer's.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        N. Jain et al., "NEFTune: noisy embeddings improve instruction finetuning",
        ICLR 2024.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.NEFTuneNoise(5.0, rngs=nnx.Rngs(noise=0))
        >>> x = jnp.zeros((2, 6, 8))
        >>> mask = jnp.arange(6) < jnp.array([[3], [6]])  # true lengths 3 and 6
        >>> bool((layer(x, mask=mask)[0, 3:] == 0).all())
        True
    """

    alpha: Level


class SwapNoise(NamedNoise, noise=rows.swap_noise):
    """Each cell is, at ``rate``, that of its column in another row, when active.

    The NNX form of `jaxnoise.SwapNoise`, over `swap_noise`.

    Args:
        rate: probability of a swap, from 0 to 1; a number, an array or a schedule.
        shared_axes, deterministic, rngs: as every layer's.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        M. Jahrer, "1st place with representation learning", Porto Seguro's safe driver
        prediction, Kaggle 2018.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.SwapNoise(1.0, rngs=nnx.Rngs(noise=0))
        >>> print(layer(jnp.array([[1.0], [2.0]])))
        [[2.]
         [1.]]
    """

    rate: Level


class DropPath(NamedNoise, noise=rows.drop_path):
    """Stochastic depth: ``x / (1 - rate)``, or 0 for whole rows, when active.

    The NNX form of `jaxnoise.DropPath`, over `drop_path`.

    Args:
        rate: probability of a dropped branch, from 0 to 1; a number, an array or a
            schedule.
        mode: ``"sample"`` for a draw a row, ``"batch"`` for one for all rows.
        shared_axes, deterministic, rngs: as every layer's.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        G. Huang et al., "Deep networks with stochastic depth", ECCV 2016.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.DropPath(0.5, rngs=nnx.Rngs(noise=0))
        >>> noisy = layer(jnp.ones((6, 2)))
        >>> bool((noisy[:, 0] == noisy[:, 1]).all())
        True
    """

    rate: Level
    mode: str = "sample"


class Mixup(Mixing, NoiseLayer):
    """A site of mixup: rows of a hidden layer and their targets mixed, when active.

    The NNX form of `jaxnoise.Mixup`. It needs no ``rngs``, as rows are mixed by the key
    of their targets.

    Args:
        alpha: strength, at least 0; at 0 nothing is mixed; one number.
        deterministic, rngs: as every layer's.

    Raises:
        TypeError: if ``alpha`` is no single number or ``x`` not floating.
        ValueError: as `jaxnoise.Mixup`, or if ``alpha`` comes into an `nnx.remat`,
            `nnx.jit` or the like around the layer.

    Reference:
        V. Verma et al., "Manifold mixup: better representations by interpolating hidden
        states", ICML 2019.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> model = jn.nnx.model(lambda rngs: nnx.Sequential(
        ...     nnx.Linear(2, 8, rngs=rngs), jn.nnx.Mixup(0.2), nnx.relu,
        ...     nnx.Linear(8, 1, rngs=rngs),
        ... ))  # of a recipe
        >>> variables = model.init(jax.random.key(0), jnp.ones((3, 2)))
        >>> model.apply(variables, jnp.ones((3, 2)), train=False)[0].shape
        (3, 1)
    """

    alpha: Level

    def __post_init__(self) -> None:
        self._checked()
        super().__post_init__()
        alpha = vars(self).pop("alpha")
        self.alpha = nnx.data(NoiseStrength(jnp.asarray(alpha, float)))

    def _level(self) -> Any:
        return self.alpha[...]


class BlockMask(NamedNoise, noise=rows.block_mask):
    """Replaces ``count`` blocks of each row by ``fill``, when active.

    The NNX form of `jaxnoise.BlockMask`, over `block_mask`.

    Args:
        width: of the blocks along each axis, in elements: one number, or the least and
            the most; or a schedule.
        axes: along which blocks have a width, such as (1, 2) of images.
        count: of blocks a row.
        fill: a number, an array, ``"mean"`` or ``"noise"``, as in `block_mask`.
        shared_axes, deterministic, rngs: as every layer's.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        T. DeVries, G. W. Taylor, "Improved regularization of convolutional neural
        networks with cutout", 2017; and those of `block_mask`.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> rngs = nnx.Rngs(noise=0)
        >>> cutout = jn.nnx.BlockMask(4, axes=(1, 2), count=1, fill=0.0, rngs=rngs)
        >>> print((cutout(jnp.ones((2, 8, 8, 3))) == 0).mean((1, 2, 3)))
        [0.25 0.25]
    """

    width: Level
    axes: Axes = field(kw_only=True)
    count: int = field(kw_only=True)
    fill: ArrayLike | str = field(kw_only=True)


class NoisyDense(TrainOnly):
    """A dense layer whose weights carry noise of learned strength, when active.

    The NNX form of `jaxnoise.NoisyDense`, with the same parameters.

    Args:
        in_features: number of inputs, p.
        out_features: number of outputs, q.
        stddev_init: the strength at first, times ``sqrt(p)``; at least 0.
        use_bias: whether there is a bias.
        deterministic: whether the layer starts without noise.
        rngs: where the streams ``"params"`` and ``"noise"`` come from.

    Raises:
        TypeError: if a number of features is no count or ``stddev_init`` no number.
        ValueError: if it is negative, NaN or infinite.

    Reference:
        M. Fortunato et al., "Noisy networks for exploration", ICLR 2018.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.NoisyDense(2, 3, rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((5, 2))).shape
        (5, 3)
    """

    in_features: int
    out_features: int
    stddev_init: ArrayLike = field(default=0.5, kw_only=True)
    use_bias: bool = field(default=True, kw_only=True)
    rngs: nnx.Rngs = field(kw_only=True)

    def __post_init__(self) -> None:
        sizes, rngs = _features(self), self.rngs
        start = vars(self).pop("stddev_init")
        draw.check_strength("stddev_init", start)
        super().__post_init__()
        bound = 1 / math.sqrt(self.in_features)
        for name, shape in functions.weight_shapes(*sizes, self.use_bias).items():
            mean = jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound)
            stddev = jnp.full(shape, jnp.asarray(start) * bound)
            setattr(self, name, nnx.Param(mean))
            setattr(self, f"{name}_stddev", nnx.Param(stddev))

    def __call__(
        self,
        x: Float[ArrayLike, "*rows inputs"],
        train: Switch = None,
        *,
        rngs: Any = None,
    ) -> Float[Array, "*rows outputs"]:
        """Return the outputs, with fresh noise on the weights if the layer is active.

        Args:
            x: inputs, floating.
            train: whether noise is on; None for what ``deterministic`` says.
            rngs: an `nnx.Rngs`, a stream or a key, instead of the layer's own stream.

        Raises:
            TypeError: if ``train`` is no bool or ``x`` is not floating.
            ValueError: if there is no key stream.
        """
        train, x, params = self._switch(train), draw.floating(x), _weights(self)
        product = partial(functions.noisy_product, params, x)
        strength = params["kernel_stddev"]
        return self._product(product, strength, (x, params), train, rngs)


class DropConnectDense(TrainOnly):
    """A dense layer of whose weights each is dropped at ``rate``, when active.

    The NNX form of `jaxnoise.DropConnectDense`, with the same parameters.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        rate: probability of a dropped weight, from 0 to 1; one number.
        mode: ``"batch"`` for a draw a call, ``"sample"`` for one a row.
        use_bias: whether there is a bias, which is never dropped.
        deterministic: whether the layer starts without noise.
        rngs: where the streams ``"params"`` and ``"noise"`` come from.

    Raises:
        TypeError: if a number of features is no count or ``rate`` no number.
        ValueError: if ``rate`` is beyond 0 or 1, or ``mode`` another word.

    Reference:
        L. Wan et al., "Regularization of neural networks using DropConnect", ICML 2013.

    Example:
        >>> import jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> layer = jn.nnx.DropConnectDense(2, 3, 0.5, rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((5, 2))).shape
        (5, 3)
    """

    in_features: int
    out_features: int
    rate: Level
    mode: str = field(default="batch", kw_only=True)
    use_bias: bool = field(default=True, kw_only=True)
    rngs: nnx.Rngs = field(kw_only=True)

    def __post_init__(self) -> None:
        sizes, rngs = _features(self), self.rngs
        rate = vars(self).pop("rate")
        draw.check_strength("rate", rate)
        rows.check_mode(self.mode)
        super().__post_init__()
        self.rate = nnx.data(NoiseStrength(jnp.asarray(rate, float)))
        for name, shape in functions.weight_shapes(*sizes, self.use_bias).items():
            setattr(self, name, nnx.Param(START[name](rngs.params(), shape)))

    def __call__(
        self,
        x: Float[ArrayLike, "*rows inputs"],
        train: Switch = None,
        *,
        rngs: Any = None,
    ) -> Float[Array, "*rows outputs"]:
        """Return the outputs, with weights dropped anew if the layer is active.

        Args:
            x: inputs, floating.
            train: whether noise is on; None for what ``deterministic`` says.
            rngs: an `nnx.Rngs`, a stream or a key, instead of the layer's own stream.

        Raises:
            TypeError: if ``train`` is no bool or ``x`` is not floating.
            ValueError: if there is no key stream.
        """
        train, x, params = self._switch(train), draw.floating(x), _weights(self)
        rate = self.rate[...]
        product = partial(functions.dropped_product, params, x, rate, self.mode)
        return self._product(product, rate, (x, params), train, rngs)


def _features(layer: Any) -> tuple[int, int]:
    """The numbers of inputs and outputs of a dense layer, checked."""
    for name in ("in_features", "out_features"):
        check_count(name, getattr(layer, name))
    return layer.in_features, layer.out_features


def _weights(layer: nnx.Module) -> dict[str, Array]:
    """The parameters of a noisy dense layer, by name."""
    held = vars(layer)
    return {name: held[name][...] for name in WEIGHTS if name in held}


def with_streams(
    module: nnx.Module, key: Array, value: Callable[[Any, Any], Any] | None = None
) -> Any:
    """The module with streams that depend on the key and on their place in the module.

    Its layers of ours know their place, too.

    Args:
        module: is used up.
        key: of all streams.
        value: ``(path, variable) -> value`` for all other variables; None keeps theirs.
    """
    definition, state = nnx.split(module)
    leaves = []
    for path, leaf in nnx.to_flat_state(state):
        if isinstance(leaf, nnx.RngKey):
            of_path = draw.key_of_place(key, repr(path))
            # layers that are stacked, for a scan over them, have a stream each
            new = jax.random.split(of_path, leaf.shape) if leaf.shape else of_path
            leaf = leaf.replace(new)
        elif isinstance(leaf, nnx.RngState):
            leaf = leaf.replace(jnp.zeros(leaf.shape, leaf.dtype))
        elif isinstance(leaf, nnx.Variable) and value is not None:
            leaf = leaf.replace(value(path, leaf))
        leaves.append((path, leaf))  # a bare array is a constant
    merged = nnx.merge(definition, nnx.from_flat_state(leaves))
    for place, layer in nnx.iter_graph(merged):
        if isinstance(layer, TrainOnly):
            layer.path = "/".join(map(str, place))
    return merged
