"""The recurrent network, for series that may differ in length."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree import leaves
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from jaxnoise.checks import as_array
from jaxnoise.models.sites import Network, Train, noisy_site
from jaxnoise.noise.draw import check_strength
from jaxnoise.noise.functions import salt_and_pepper
from jaxnoise.noise.linen import Noise

Lengths = Int[ArrayLike, " rows"] | None
Steps = Bool[ArrayLike, "rows steps"] | None
SCHEDULES = "noise"  # the collection of their counters, which all steps share


class RNN(Network):
    """Recurrent layers of LSTM or GRU cells, and a dense layer at the end.

    A layer computes ``h_t = cell(h_(t-1) + step_noise, x_t)``; a padded step leaves the
    state as it is. The dense layer reads ``h + output_noise``, h the state after each
    row's last real step. So what stands in padded steps never changes the output, nor
    does noise ever fall on them. A site's noise depends on the key, the site's name and
    the layer's index, never on which other sites are noisy. How far series are padded
    changes the draws on the inputs and between layers, which are made for all steps at
    once, but neither those between steps nor those after the last layer.

    Attributes:
        features: widths of the recurrent layers, such as (32,).
        outputs: number of outputs per row; the result has shape (rows, outputs).
        input_noise: noise layer on the inputs of real steps, or None.
        step_noise: noise layer on the state between two steps, h of an LSTM's (c, h),
            or None.
        output_noise: noise layer after each recurrent layer, or None.
        cell: a recurrent cell of Flax, such as ``flax.linen.OptimizedLSTMCell`` or
            ``flax.linen.GRUCell``; any that is made by ``cell(width)`` and whose state
            is h or a tuple that ends in h.
        kernel_init: initialiser of the dense layer's kernel; its biases start at 0.
        zoneout: the rate, from 0 to 1, at which a unit of h keeps its value of the step
            before, ``h_t = d h_(t-1) + (1 - d) h'_t`` in training, h' what the cell
            gives; one number, may be traced. None for no zoneout.

    Raises:
        TypeError: if ``features`` is no sequence of widths, ``outputs`` no count, a
            noise no layer, ``zoneout`` no number, or ``cell`` or ``kernel_init`` no
            function.
        ValueError: if there are no features, ``zoneout`` is beyond 0 or 1, x is no
            series, or lengths or mask do not fit it.

    Reference: S. Hochreiter and J. Schmidhuber, "Long short-term memory", 1997; K. Cho
        et al., "Learning phrase representations using RNN encoder-decoder", 2014; D.
        Krueger et al., "Zoneout", ICLR 2017, whose outputs in testing are means.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> model = jn.RNN((32,), 9, output_noise=jn.GaussianNoise(0.5))
        >>> x = jnp.ones((2, 29, 12)), jnp.array([7, 29])  # series and their lengths
        >>> @jax.jit
        ... def first_outputs(key):
        ...     variables = model.init(key, x, train=False)
        ...     rngs = {"noise": jax.random.key(1)}
        ...     return model.apply(variables, x, train=True, rngs=rngs)
        >>> first_outputs(jax.random.key(0)).shape
        (2, 9)
    """

    features: Sequence[int]
    outputs: int
    input_noise: nn.Module | None = None
    step_noise: nn.Module | None = None
    output_noise: nn.Module | None = None
    cell: Callable[..., nn.RNNCellBase] = nn.OptimizedLSTMCell
    kernel_init: Callable[..., Array] = nn.initializers.glorot_uniform()
    zoneout: ArrayLike | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.zoneout is not None:
            check_strength("zoneout", self.zoneout)
        if not self.features:
            raise ValueError("features must have at least one width, got none.")

    @nn.compact
    def __call__(
        self, x: Any, train: Train, *, lengths: Lengths = None, mask: Steps = None
    ) -> Float[Array, "rows outputs"]:
        """Return the logits; ``train`` switches the noise.

        Args:
            x: series of shape (rows, steps, channels), or a pair of them and their
                lengths or mask, as the sets of a `Data` hold them.
            train: whether noise is on.
            lengths: the number of real steps of each row, from the first on.
            mask: True at real steps, shape (rows, steps); there may be gaps.
        """
        x, real = as_series(x, lengths, mask)
        x = noisy_site(self, "input_noise", 0, x, train, mask=real)
        for i, width in enumerate(self.features):
            x, last = self._states(x, real, train, width, i)
            if i + 1 < len(self.features):
                x = noisy_site(self, "output_noise", i, x, train, mask=real)
            else:
                x = noisy_site(self, "output_noise", i, last, train)
        return nn.Dense(self.outputs, kernel_init=self.kernel_init, name="output")(x)

    def _states(
        self, x: Array, real: Array, train: Any, width: int, layer: int
    ) -> tuple[Float[Array, "rows steps width"], Float[Array, "rows width"]]:
        """The state h of a layer after every step, and after the last real one."""

        def step(model: RNN, carry: Any, at: Any) -> tuple[Any, Array]:
            (*memory, hidden), begun = carry
            x, real = at
            between = begun & real  # the first step has none before it
            noisy = noisy_site(model, "step_noise", layer, hidden, train, mask=between)
            cell = model.cell(width, parent=model, name=f"recurrent_{layer}")
            state, _ = cell((*memory, noisy) if memory else noisy, x)
            *others, new = leaves(state)
            new = _zoned_out(model, layer, new, hidden, train)
            held = [
                jnp.where(real[:, None], new, old)
                for new, old in zip((*others, new), (*memory, hidden), strict=True)
            ]
            return (held, begun | real), held[-1]

        loop = nn.scan(
            step,
            variable_broadcast="params",
            variable_axes={SCHEDULES: 0},
            split_rngs={"params": False, "noise": True},
            in_axes=1,
            out_axes=1,
        )
        one_counter = nn.map_variables(  # however many steps there are
            loop,
            SCHEDULES,
            trans_in_fn=partial(jax.tree.map, lambda n: jnp.full(x.shape[1], n)),
            trans_out_fn=partial(jax.tree.map, lambda n: n[0]),
            mutable=True,
        )
        begun = jnp.zeros(x.shape[0], bool)
        start = _start(self.cell(width, parent=None), x), begun
        (state, _), states = one_counter(self, start, (x, real))
        return states, state[-1]


def _zoned_out(model: RNN, layer: int, new: Array, old: Array, train: Any) -> Array:
    """The new state; while training that of the step before, unit by unit, at a rate.

    The old state is not among the arguments of the noise, which may be shared along
    their axes on purpose.
    """
    if model.zoneout is None:
        return new

    def zone_out(key: Array, x: Array, rate: ArrayLike) -> Array:
        return salt_and_pepper(key, x, rate, low=old, high=old)

    noise = partial(zone_out, rate=model.zoneout)
    return Noise(noise, parent=model, name=f"zoneout_{layer}")(new, train=train)


def _start(cell: nn.RNNCellBase, x: Array) -> list[Array]:
    """The state before the first step, of a type that can hold those after it."""
    rows, _, channels = x.shape
    parts = leaves(cell.initialize_carry(jax.random.key(0), (rows, channels)))
    return [part.astype(jnp.promote_types(part.dtype, x.dtype)) for part in parts]


def as_series(x: Any, lengths: Any, mask: Any) -> tuple[Array, Array]:
    """The values, 0 at padded steps, and where their steps are real.

    What stands in padded steps may be NaN, and a gradient must not meet it.
    """
    if isinstance(x, tuple | list):
        x, lengths, mask = _unpaired(x, lengths, mask)
    if lengths is not None and mask is not None:
        raise ValueError("lengths and mask must not both be given; give one of them.")
    x = as_array("x", x)
    if x.ndim != 3 or not x.shape[1]:
        raise ValueError(
            "x must be series of shape (rows, steps, channels) with at least one step, "
            f"got shape {x.shape}."
        )
    rows, steps, _ = x.shape
    if lengths is not None:
        mask = jnp.arange(steps) < _checked_lengths(lengths, rows, steps)[:, None]
    real = jnp.ones((rows, steps), bool) if mask is None else as_array("mask", mask)
    if real.shape != (rows, steps) or real.dtype != bool:
        raise ValueError(
            f"mask must be booleans of shape (rows, steps), {(rows, steps)}, "
            f"got {real.dtype} of shape {real.shape}."
        )
    return jnp.where(real[:, :, None], x, 0), real


def _unpaired(pair: Any, lengths: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Series, lengths and mask, of which the pair holds one."""
    if len(pair) != 2:
        raise ValueError(
            "x must be series, or a pair of series and their lengths or mask, "
            f"got {len(pair)} parts."
        )
    x, given = pair
    told = "mask" if as_array("lengths", given).dtype == bool else "lengths"
    if lengths is not None or mask is not None:
        extra = "mask" if lengths is None else "lengths"
        raise ValueError(
            f"{extra} must not be given, as x is a pair of series and {told}."
        )
    return (x, None, given) if told == "mask" else (x, given, None)


def _checked_lengths(lengths: Any, rows: int, steps: int) -> Array:
    as_array("lengths", lengths)
    traced = isinstance(lengths, jax.core.Tracer)
    lengths = jnp.asarray(lengths) if traced else np.asarray(lengths)
    integer = jnp.issubdtype(lengths.dtype, jnp.integer)
    if lengths.shape != (rows,) or not integer:
        raise ValueError(
            f"lengths must be an int a row, shape ({rows},), "
            f"got {lengths.dtype} of shape {lengths.shape}."
        )
    wrong: Any = () if traced else lengths[(lengths < 0) | (lengths > steps)]
    if len(wrong):
        raise ValueError(
            f"lengths must be from 0 to the number of steps, {steps}, got {wrong[0]}."
        )
    return jnp.asarray(lengths)
