"""Flax Linen layers over the noise functions.

Noise when ``train=True``, the identity bit for bit otherwise. `Noise` takes any
function ``(key, x) -> x``; the named layers, such as `GaussianNoise`, are short forms
of it: ``GaussianNoise(0.1)`` is ``Noise(partial(add_gaussian_noise, stddev=0.1))``.

The key comes from the stream ``"noise"``, and a missing stream is an error, never
another stream in its place. The strength of a named layer is a number, an array that
broadcasts against ``x``, traced or not; an Optax schedule of the layer's step, whose
counter is carried in the collection ``"noise"``; or a `Learnable`. ``x`` has any shape
and a floating type, and keeps both. Every layer raises TypeError if a strength is of
another kind or ``x`` not floating, and ValueError if a strength is out of its range or
a noisy call has no ``train``, no key stream, or a key that rows or steps would share.
"""

import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core.tracers import current_trace
from jax.extend.core import set_current_trace, take_current_trace
from jaxtyping import Array, ArrayLike, Float

from jaxnoise.checks import NOISE, check_count, check_function
from jaxnoise.noise import draw, functions, layer, rows
from jaxnoise.noise.draw import Axes, Mask, NoiseFn, Span, Values
from jaxnoise.noise.layer import ByRate, NamedLayer, Noisy, Switch
from jaxnoise.noise.mixing import Mixing
from jaxnoise.noise.strengths import PREFIX, Learnable, Strength

STATE = "noise"  # the collection of the counters of schedules
LIFTED = ("scan(", "while_loop(")  # how Flax does, in a scope's path
START = {"kernel": nn.initializers.lecun_normal(), "bias": nn.initializers.zeros}


class TrainOnly(layer.Layer, nn.Module, kw_only=True):
    """The switch is ``train``, and the key of the stream ``"noise"``."""

    train: bool | None = None

    @nn.nowrap
    def _place(self) -> str:
        return "/".join(self.scope.path) if self.scope is not None else ""

    @nn.nowrap
    def _is_new(self) -> bool:
        return self.scope is not None and self.is_initializing()

    @nn.nowrap
    def _asked(self, train: Any) -> Any:
        if train is None and self.train is None:
            raise ValueError(
                f"{self._label()}: train must be given, train=True for noise or "
                "train=False for none; it has no default."
            )
        if train is not None and self.train is not None:
            raise ValueError(
                f"{self._label()}: train was given to the constructor and to the call; "
                "give it once."
            )
        return self.train if train is None else train

    @nn.nowrap
    def _key(self, source: Any, traced: bool) -> Array:
        if self.scope is not None and self.has_rng("noise"):
            key = self.make_rng("noise")
            path = self.scope.path
            # Flax joins the names of a path, so that a/b would share with ab.
            return draw.key_of_place(key, repr(path)) if path[1:] else key
        cause = (
            "has a traced train (inside nn.remat, pass train by position and name it "
            "in static_argnums; a keyword is always traced)"
            if traced
            else "is active (train=True)"
        )
        other = f"; for NNX there is jn.nnx.{type(self).__name__}"
        raise ValueError(
            f"{self._label()} {cause} but has no 'noise' key stream: pass "
            "rngs={'noise': key} to apply, init with train=False, and inside nn.scan "
            "or nn.vmap name it in split_rngs={'noise': True}"
            f"{other if self.scope is None else ''}."
        )

    @nn.nowrap
    def _own(self, key: Array, source: Any, used: Any, strength: Any) -> Array:
        scope: Any = self.scope
        given = _numbers(self)
        place = _shared_along(scope, used, given)
        if place:
            raise ValueError(f"{self._label()}: {_equal_noise(place)}")
        if any("vmap(" in name for name in scope.debug_path):
            return key  # what nn.vmap shares is said in its split_rngs
        error = f"{self._label()}: {_equal_noise('a vmapped axis')}"
        return layer.own_key(key, used, given, error)


def _numbers(module: nn.Module) -> list[Array]:
    """What the constructor got of them: axes of theirs share noise on purpose."""
    given = [getattr(module, name) for name in module.__dataclass_fields__]
    given += [(fn.args, fn.keywords) for fn in given if isinstance(fn, partial)]
    return [leaf for leaf in jax.tree.leaves(given) if isinstance(leaf, Array)]


def _equal_noise(place: str) -> str:
    return (
        f"the noise would be the same along {place}: give every row or step a key of "
        "its own, mapped or scanned over like x, or in a module use nn.vmap or nn.scan "
        "with split_rngs={'noise': True}; to share noise on purpose, map or scan over "
        "copies, jnp.broadcast_to(key, (n,)), or say split_rngs={'noise': False}."
    )


def _shared_along(scope: Any, used: Any, free: Any) -> str | None:
    """What lies around the call and shares its key: a loop, or an axis inside apply.

    The traces of functions under `jax.vmap` and in loops lie in each other; between
    that of the call and that of its key are those along which the key is one. Axes
    around `apply` are left to `own_key`, and the loops of Flax' own transforms share
    by ``split_rngs`` alone, on purpose. A key that a loop hands to a function under
    `jax.jit` is not seen.
    """
    with take_current_trace() as trace:
        pass
    source, inside, varies = _trace_of(scope.rngs["noise"].rng), True, False
    lifted = any(name in part for part in scope.debug_path for name in LIFTED)
    on_purpose = lifted or layer.keys_shared.value
    while trace is not None and trace is not source:
        varies |= any(_trace_of(leaf) is trace for leaf in jax.tree.leaves(free))
        with set_current_trace(trace):
            inside &= current_trace() != scope.root.trace_level
        if layer.is_loop(trace) and not varies and (inside or not on_purpose):
            return "the steps of a loop"
        axis = inside and type(trace).__name__ == "BatchTrace"
        if axis and any(_trace_of(leaf) is trace for leaf in jax.tree.leaves(used)):
            return "a vmapped axis"
        trace = getattr(trace, "parent_trace", None)
    return None


def _trace_of(value: Any) -> Any:
    return getattr(value, "_trace", None)


class NoiseLayer(TrainOnly):
    """A layer over a noise function."""

    def __call__(
        self, x: Values, train: Switch = None, *, mask: Mask = None
    ) -> Float[Noisy, "*shape"]:
        """Return ``x`` with noise if ``train``, and ``x`` itself if not.

        Args:
            x: values of any shape, floating.
            train: whether noise is on; no default, unless given to the constructor.
                A traced value selects, and needs the key stream either way.
            mask: True where noise applies; x's shape or that of its leading axes.

        Raises:
            ValueError: if ``train`` is given twice or not at all, if the stream
                ``"noise"`` is missing, or if the noise changes the shape.
        """
        return self._applied(x, train, mask)


class NamedNoise(NoiseLayer, NamedLayer, kw_only=True):
    """A short form of `Noise`: a noise function with its arguments as fields."""

    shared_axes: Axes = ()

    def __post_init__(self) -> None:
        self._checked_name()
        super().__post_init__()

    @nn.nowrap
    def _level(self, name: str, train: Any) -> Any:
        value = getattr(self, name)
        if not (callable(value) or isinstance(value, Learnable)):
            return value
        if self.scope is None:
            raise ValueError(
                f"{self._label()} has a schedule or a learnable strength, and must be "
                "called inside a model or through init and apply."
            )
        if callable(value):
            return self._scheduled(name, value, train)
        return value.value(self._parameter(PREFIX + name, value))

    @nn.nowrap
    def _parameter(self, name: str, value: Learnable) -> Array:
        """The one parameter of all calls: Flax lets a scope make a name once."""
        scope: Any = self.scope  # whose variables need no compact method around them
        if scope.has_variable("params", name):
            return scope.get_variable("params", name)
        if not self.is_initializing():
            raise ValueError(
                f"{self._label()} has a learnable strength, whose parameter must come "
                "from init: apply(variables, x, ...) with variables = init(key, x, "
                "train=False)."
            )
        return scope.param(name, lambda _: value.parameter())

    @nn.nowrap
    def _scheduled(self, name: str, schedule: Any, train: Any) -> Any:
        """The strength of this step; the counter counts the layer's noisy calls."""
        scope: Any = self.scope
        counter, mutable = f"{name}_step", scope.is_mutable_collection(STATE)
        if train is not False and not mutable:
            raise ValueError(
                f"{self._label()} has a schedule, whose counter must be carried: pass "
                f"mutable=['{STATE}'] to apply and keep the variables that it returns; "
                f"inside nn.scan also variable_axes={{'params': 0, '{STATE}': 0}}."
            )
        step = scope.get_variable(STATE, counter, jnp.zeros((), jnp.int32))
        if mutable:
            on = False if self.is_initializing() else train
            scope.put_variable(STATE, counter, step + jnp.asarray(on, jnp.int32))
        return schedule(step)


class Noise(NoiseLayer):
    """Any noise function as a layer: ``fn(key, x)`` when ``train=True``, else ``x``.

    Attributes:
        fn: a function ``(key, x) -> x`` that keeps the shape. If it takes ``mask`` it
            gets the mask; if not, the layer keeps ``x`` where the mask is False.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``fn`` is no function of (key, x) alone.

    Example:
        >>> from functools import partial
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> uniform = partial(jax.random.uniform, minval=-1.0)
        >>> layer = jn.Noise(partial(jn.add_noise, scale=0.1, sampler=uniform))
        >>> x = jnp.ones((2, 3))
        >>> noisy = layer.apply({}, x, train=True, rngs={"noise": jax.random.key(0)})
        >>> bool(abs(noisy - x).max() <= 0.1)
        True
        >>> bool((layer.apply({}, x, train=False) == x).all())
        True
    """

    fn: NoiseFn

    def __post_init__(self) -> None:
        check_function("fn", self.fn, NOISE, 2)
        super().__post_init__()

    @nn.nowrap
    def _noise(self, train: Any) -> tuple[NoiseFn, Any]:
        return self.fn, self.fn


class GaussianNoise(NamedNoise, noise=functions.add_gaussian_noise):
    """``x + stddev * e``, ``e ~ N(0, 1)``, when ``train=True``; else ``x``.

    Attributes:
        stddev: standard deviation in the units of ``x``, at least 0, any size; a
            number, an array, a schedule or a `Learnable`.
        shared_axes: axes of ``x`` along which one draw is shared.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
        Neural Computation 7 (1995).

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer, x = jn.GaussianNoise(0.1), jnp.ones((2, 3))
        >>> layer.apply({}, x, train=True, rngs={"noise": jax.random.key(0)}).shape
        (2, 3)
        >>> bool((layer.apply({}, x, train=False) == x).all())
        True
    """

    stddev: Strength


class CorrelatedNoise(NamedNoise, noise=functions.add_correlated_noise):
    """``x + stddev * e``, e a stationary AR(1) process along an axis, in training.

    ``x`` has any shape with that axis, which is kept.

    Attributes:
        stddev: standard deviation in the units of ``x``; a number, an array, a schedule
            or a `Learnable`.
        correlation: of neighbours along the axis, from -1 to 1.
        axis: along which neighbours are correlated, such as time.
        shared_axes: axes of ``x`` along which one draw is shared.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        G. E. Uhlenbeck, L. S. Ornstein, "On the theory of the Brownian motion",
        Physical Review 36 (1930), sampled at equal steps.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.CorrelatedNoise(0.1, correlation=0.9, axis=1, train=True)
        >>> x = jnp.zeros((4, 100, 3))  # rows, time steps, channels
        >>> layer.apply({}, x, rngs={"noise": jax.random.key(0)}).shape
        (4, 100, 3)
    """

    stddev: Strength
    correlation: ArrayLike
    axis: int


class SaltAndPepperNoise(NamedNoise, noise=functions.salt_and_pepper):
    """Replaces elements by ``low`` or ``high``, half each, at ``rate``, in training.

    Attributes:
        rate: probability of a replacement, from 0 to 1; a number, an array or a
            schedule.
        low: the value of pepper, in the units of ``x``.
        high: the value of salt.
        shared_axes: axes of ``x`` along which one draw is shared, such as channels.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        R. C. Gonzalez, R. E. Woods, "Digital image processing", chapter 5.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.SaltAndPepperNoise(1.0, low=0.0, high=1.0, train=True)
        >>> x = jnp.full(8, 0.5)
        >>> noisy = layer.apply({}, x, rngs={"noise": jax.random.key(0)})
        >>> sorted(set(noisy.tolist()))
        [0.0, 1.0]
    """

    rate: Strength
    low: ArrayLike
    high: ArrayLike


class Dropout(NamedNoise, noise=functions.drop_units):
    """Inverted dropout: 0 at ``rate``, else ``x / (1 - rate)``, in training.

    Short for ``Noise(partial(drop_units, rate=rate))``. Unlike Flax' own the rate may
    be traced, the key comes from the stream ``"noise"``, and a mask is kept.

    Attributes:
        rate: probability of a 0, from 0 to 1; a number, an array or a schedule.
        shared_axes: axes of ``x`` that are dropped together; ``(1, 2)`` of (images,
            rows, columns, channels) is spatial dropout.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014).

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.Dropout(0.5, shared_axes=(0,), train=True)
        >>> noisy = layer.apply({}, jnp.ones((2, 8)), rngs={"noise": jax.random.key(0)})
        >>> bool((noisy[0] == noisy[1]).all())
        True
    """

    rate: Strength


class GaussianDropout(NamedNoise, ByRate, noise=functions.multiply_gaussian_noise):
    """``x * (1 + stddev * e)``, ``e ~ N(0, 1)``, when ``train=True``; else ``x``.

    Short for ``Noise(partial(multiply_gaussian_noise, stddev=stddev))``, with the
    mean and variance of dropout for ``stddev = sqrt(rate / (1 - rate))``.

    Attributes:
        rate: the rate of the dropout that it is like, from 0 to below 1; a number, an
            array or a schedule. Give this or ``stddev``.
        stddev: standard deviation of the factor; a number, an array, a schedule or a
            `Learnable`.
        shared_axes: axes of ``x`` along which one draw is shared.
        train: the switch, if it is not given to each call.

    Raises:
        ValueError: if both are given or none, or the rate is 1.

    Reference:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
        overfitting", JMLR 15 (2014), section 10.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> rngs = {"noise": jax.random.key(0)}
        >>> x = jnp.ones(3)
        >>> a = jn.GaussianDropout(0.5, train=True).apply({}, x, rngs=rngs)
        >>> b = jn.GaussianDropout(stddev=1.0, train=True).apply({}, x, rngs=rngs)
        >>> bool((a == b).all())
        True
    """

    rate: Strength | None = None
    stddev: Strength | None = None


class AlphaDropout(NamedNoise, noise=functions.alpha_dropout):
    """Dropout that keeps mean 0 and variance 1, for SELU networks, in training.

    Attributes:
        rate: probability of a drop, from 0 to 1; a number, an array or a schedule.
        shared_axes: axes of ``x`` that are dropped together.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        G. Klambauer et al., "Self-normalizing neural networks", NIPS 2017.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer = jn.AlphaDropout(0.1, train=True)
        >>> x = jax.random.normal(jax.random.key(1), (100, 100))
        >>> noisy = layer.apply({}, x, rngs={"noise": jax.random.key(0)})
        >>> bool(abs(noisy.mean()) < 0.1), bool(abs(noisy.std() - 1) < 0.1)
        (True, True)
    """

    rate: Strength


class NEFTuneNoise(NamedNoise, noise=functions.neftune_noise):
    """Uniform noise of half-width ``alpha / sqrt(L d)`` on embeddings, in training.

    Short for ``Noise(partial(neftune_noise, alpha=alpha))``. Give the mask of the
    tokens to the call, so that L is a sequence's true length.
    ``x`` has the shape (..., tokens, d), which is kept.

    Attributes:
        alpha: strength, at least 0; 5 to 15 in the paper; a number, an array, a
            schedule or a `Learnable`.
        shared_axes: axes of ``x`` along which one draw is shared.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        N. Jain et al., "NEFTune: noisy embeddings improve instruction finetuning",
        ICLR 2024.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer, x = jn.NEFTuneNoise(5.0, train=True), jnp.zeros((2, 6, 8))
        >>> mask = jnp.arange(6) < jnp.array([[3], [6]])  # true lengths 3 and 6
        >>> noisy = layer.apply({}, x, mask=mask, rngs={"noise": jax.random.key(0)})
        >>> bool((noisy[0, 3:] == 0).all())
        True
    """

    alpha: Strength


class SwapNoise(NamedNoise, noise=rows.swap_noise):
    """Each cell is, at ``rate``, that of its column in another row, in training.

    For tables, on the inputs; ``x`` has rows first, and keeps its shape. The other row
    is any of the batch, for every cell anew.

    Attributes:
        rate: probability of a swap, from 0 to 1; a number, an array, such as one a
            column, or a schedule.
        shared_axes: axes of ``x`` along which one draw is shared; ``(1,)`` swaps rows
            as a whole.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        M. Jahrer, "1st place with representation learning", Porto Seguro's safe driver
        prediction, Kaggle 2018.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer, x = jn.SwapNoise(1.0, train=True), jnp.array([[1.0], [2.0]])
        >>> print(layer.apply({}, x, rngs={"noise": jax.random.key(0)}))
        [[2.]
         [1.]]
    """

    rate: Strength


class DropPath(NamedNoise, noise=rows.drop_path):
    """Stochastic depth: ``x / (1 - rate)``, or 0 for whole rows, in training.

    For the branch of a residual block, ``x + DropPath(0.2)(f(x), train=train)``.

    Attributes:
        rate: probability of a dropped branch, from 0 to 1; a number, an array or a
            schedule.
        mode: ``"sample"`` for a draw a row, ``"batch"`` for one for all rows.
        shared_axes: further axes along which one draw is shared.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        G. Huang et al., "Deep networks with stochastic depth", ECCV 2016.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer, f = jn.DropPath(0.5, train=True), jnp.ones((6, 2))
        >>> noisy = layer.apply({}, f, rngs={"noise": jax.random.key(0)})
        >>> bool((noisy[:, 0] == noisy[:, 1]).all())
        True
    """

    rate: Strength
    mode: str = "sample"


class Mixup(Mixing, NoiseLayer):
    """A site of mixup: rows of a hidden layer and their targets mixed, in training.

    ``l x + (1 - l) x[order]``, ``l ~ Beta(alpha, alpha)``, and the targets of the loss
    alike, as `mixup` does; of several sites in a model each step has one, all equally
    likely: manifold mixup. ``MLP(..., hidden_noise=Mixup(0.2))`` is what
    ``Recipe(batch_noise=partial(mixup, alpha=0.2), batch_sites=("hidden_0",))`` says of
    a model, so that a recipe has one or the other. The share and the order come from
    the step's key, not from the stream "noise", and class labels become probabilities.
    ``x`` has any shape, rows first, and keeps it; the layer is called once in a pass,
    and where a mask is False rows stay as they are.

    Attributes:
        alpha: strength, at least 0; at 0 nothing is mixed; one number, may be traced.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``alpha`` is no single number or ``x`` not floating.
        ValueError: if ``alpha`` is negative, NaN or infinite; if the layer is active
            where nobody mixes the targets, which the training of a recipe does; or if
            it is called in a loop or twice, by a traced ``train``, or with other rows.

    Reference:
        V. Verma et al., "Manifold mixup: better representations by interpolating hidden
        states", ICML 2019.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn, optax
        >>> def recipe(alpha):
        ...     return jn.Recipe(
        ...         model=jn.MLP((8,), 1, hidden_noise=jn.Mixup(alpha)),
        ...         loss=jn.losses.binary_cross_entropy,
        ...         optimizer=optax.adam(1e-2),
        ...     )
        >>> train = jax.jit(jn.make_train(recipe, epochs=2, batch_size=15))
        >>> result = train(jax.random.key(0), 0.2, jn.data.circles(population=100))
        >>> bool(jnp.isfinite(result.metrics["train_loss"]))
        True
    """

    alpha: ArrayLike

    def __post_init__(self) -> None:
        self._checked()
        super().__post_init__()

    @nn.nowrap
    def _level(self) -> Any:
        return self.alpha


class BlockMask(NamedNoise, noise=rows.block_mask):
    """Replaces ``count`` blocks of each row by ``fill``, in training.

    Cutout, random erasing, SpecAugment, DropBlock and dropped maps are settings of it,
    which `block_mask` lists. ``x`` has any shape, rows first, and keeps it.

    Attributes:
        width: of the blocks along each axis, in elements: one number, or the least and
            the most; or a schedule.
        axes: along which blocks have a width, such as (1, 2) of images.
        count: of blocks a row.
        fill: a number, an array, ``"mean"`` or ``"noise"``, as in `block_mask`.
        shared_axes: ``(0,)`` for the same blocks in every row.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError, ValueError: as every layer, see `jaxnoise.noise.linen`.

    Reference:
        T. DeVries, G. W. Taylor, "Improved regularization of convolutional neural
        networks with cutout", 2017; and those of `block_mask`.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> cutout = jn.BlockMask(4, axes=(1, 2), count=1, fill=0.0, train=True)
        >>> images, rngs = jnp.ones((2, 8, 8, 3)), {"noise": jax.random.key(0)}
        >>> print((cutout.apply({}, images, rngs=rngs) == 0).mean((1, 2, 3)))
        [0.25 0.25]
    """

    width: Strength | Span
    axes: Axes
    count: int
    fill: ArrayLike | str


class NoisyDense(TrainOnly):
    """A dense layer whose weights carry noise of learned strength, in training.

    ``x @ (mu + sigma * outer(f(e), f(e'))) + b + s * f(e')`` with ``f(e) = sign(e)
    sqrt(|e|)`` and p + q draws of ``e ~ N(0, 1)`` for p inputs and q outputs, one for
    all rows of a call; else ``x @ mu + b``. Mu and b start uniform within
    ``1 / sqrt(p)``, sigma and s (``kernel_stddev``, ``bias_stddev``) at
    ``stddev_init / sqrt(p)``.

    Attributes:
        features: number of outputs, q.
        stddev_init: the strength at first, times ``sqrt(p)``; at least 0.
        use_bias: whether there is a bias.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``features`` is no count or ``stddev_init`` no number.
        ValueError: if it is negative, NaN or infinite.

    Reference:
        M. Fortunato et al., "Noisy networks for exploration", ICLR 2018.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer, x = jn.NoisyDense(3), jnp.ones((5, 2))
        >>> variables = layer.init(jax.random.key(0), x, train=False)
        >>> rngs = {"noise": jax.random.key(1)}
        >>> layer.apply(variables, x, train=True, rngs=rngs).shape
        (5, 3)
    """

    features: int
    stddev_init: ArrayLike = 0.5
    use_bias: bool = True

    def __post_init__(self) -> None:
        check_count("features", self.features)
        draw.check_strength("stddev_init", self.stddev_init)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[ArrayLike, "*rows inputs"], train: Switch = None
    ) -> Float[Array, "*rows outputs"]:
        """Return the outputs, with fresh noise on the weights if ``train``.

        Args:
            x: inputs, floating.
            train: whether noise is on; no default, unless given to the constructor.

        Raises:
            TypeError: if ``x`` is not floating.
            ValueError: if ``train`` is given twice or not at all, if the stream
                ``"noise"`` is missing, or ``x`` is a single number.
        """
        train, x = self._switch(train), functions.inputs_of_dense(x)
        shape = (x.shape[-1], self.features)
        bound = 1 / math.sqrt(max(1, shape[0]))
        mean = partial(jax.random.uniform, minval=-bound, maxval=bound)
        stddev = nn.initializers.constant(self.stddev_init * bound)
        params = {}
        for name, sizes in functions.weight_shapes(*shape, self.use_bias).items():
            params[name] = self.param(name, mean, sizes)
            params[f"{name}_stddev"] = self.param(f"{name}_stddev", stddev, sizes)
        product = partial(functions.noisy_product, params, x)
        return self._product(product, params["kernel_stddev"], (x, params), train)


class DropConnectDense(TrainOnly):
    """A dense layer of whose weights each is dropped at ``rate``, in training.

    ``x @ (M * W / (1 - rate)) + b`` with M 0 with probability ``rate`` and else 1,
    entry by entry; else ``x @ W + b``. The mean of an output is the clean one, its
    variance ``rate / (1 - rate) * sum(W**2 * x**2)``. W starts as that of Flax'
    ``Dense``, b at 0.

    Attributes:
        features: number of outputs.
        rate: probability of a dropped weight, from 0 to 1; one number, may be traced.
        mode: ``"batch"`` for an M a call, ``"sample"`` for one a row, which takes rows
            times as much memory.
        use_bias: whether there is a bias, which is never dropped.
        train: the switch, if it is not given to each call.

    Raises:
        TypeError: if ``features`` is no count or ``rate`` no number.
        ValueError: if ``rate`` is beyond 0 or 1, or ``mode`` another word.

    Reference:
        L. Wan et al., "Regularization of neural networks using DropConnect", ICML 2013.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> layer, x = jn.DropConnectDense(3, 0.5), jnp.ones((5, 2))
        >>> variables = layer.init(jax.random.key(0), x, train=False)
        >>> rngs = {"noise": jax.random.key(1)}
        >>> layer.apply(variables, x, train=True, rngs=rngs).shape
        (5, 3)
    """

    features: int
    rate: ArrayLike
    mode: str = "batch"
    use_bias: bool = True

    def __post_init__(self) -> None:
        check_count("features", self.features)
        draw.check_strength("rate", self.rate)
        rows.check_mode(self.mode)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[ArrayLike, "*rows inputs"], train: Switch = None
    ) -> Float[Array, "*rows outputs"]:
        """Return the outputs, with weights dropped anew if ``train``.

        Args:
            x: inputs, floating.
            train: whether noise is on; no default, unless given to the constructor.

        Raises:
            TypeError: if ``x`` is not floating.
            ValueError: if ``train`` is given twice or not at all, if the stream
                ``"noise"`` is missing, or ``x`` is a single number.
        """
        train, x = self._switch(train), functions.inputs_of_dense(x)
        shapes = functions.weight_shapes(x.shape[-1], self.features, self.use_bias)
        params = {n: self.param(n, START[n], shape) for n, shape in shapes.items()}
        product = partial(functions.dropped_product, params, x, self.rate, self.mode)
        return self._product(product, self.rate, (x, params), train)
