"""Layers that mix rows, in a pass of whoever mixes their targets, too.

A layer cannot reach the targets. `Mixing` hands its rows to the `Mixer` around the
model, and without one refuses to be active, which tells that there is such a layer.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax.extend.core import take_current_trace
from jaxtyping import Array

from jaxnoise.checks import shown
from jaxnoise.noise import draw
from jaxnoise.noise.layer import Layer, is_loop, observing
from jaxnoise.noise.rows import mixup

mixing = jax.make_user_context(None)  # a `Mixer`


class NotMixing(ValueError):
    """A layer was active where nobody mixes its targets."""


class Mixer:
    """What mixes the rows of a batch at the sites of a model.

    Args:
        mix: ``(site, alpha, x) -> x``.
        rows: how many the batch has.
    """

    def __init__(self, mix: Callable[[str, Any, Array], Array], rows: int) -> None:
        self.mix, self.rows = mix, rows
        self.begin()

    def begin(self) -> None:
        """Start a pass: sites are those of one call of the model."""
        self.outer, self.seen = _current_trace(), list[Any]()

    def end(self) -> None:
        """Let go of what is traced: JAX keeps contexts as keys of its caches."""
        self.__dict__.clear()

    def __call__(self, label: str, site: str, alpha: Any, x: Array) -> Array:
        """Rows that are mixed, or as they are."""
        if x.shape[:1] != (self.rows,):
            raise ValueError(
                f"{label} must get the rows of the batch first, {self.rows} of them, "
                f"got shape {x.shape}."
            )
        trace = each = _current_trace()
        again = any(site == at and trace is there for at, there in self.seen)
        while each is not None and each is not self.outer and not again:
            again, each = is_loop(each), getattr(each, "parent_trace", None)
        if again:
            raise ValueError(
                f"{label} must be called once in a pass, as targets are mixed once: "
                "not in a loop, and with a layer of its own at each place."
            )
        self.seen.append((site, trace))
        return self.mix(site, alpha, x)


def _current_trace() -> Any:
    with take_current_trace() as trace:
        return trace


class Mixing(Layer):
    """The call of a layer whose rows are mixed as their targets are."""

    alpha: Any

    def _checked(self) -> None:
        draw.check_strength("alpha", self.alpha)
        draw.check_single("alpha", self.alpha)

    def _level(self) -> Any:
        """The strength, as a number."""
        raise NotImplementedError

    def _noise(self, train: Any) -> tuple[draw.NoiseFn, Any]:
        level = self._level()
        return lambda key, x: mixup(key, x, x, level)[0], level

    def _applied(self, x: Any, train: Any, mask: Any, source: Any = None) -> Any:
        on = self._switch(train)
        if on is False or observing.value:
            if source is None and getattr(self, "rngs", mask) is None:
                source = jax.random.key(0)  # for who describes it, without a stream
            return super()._applied(x, train, mask, source)
        if mixing.value is None:
            raise NotMixing(
                f"{self._label()} mixes rows with their targets, so that it is active "
                "in the training of a recipe alone (jn.sweep, jn.make_train): elsewhere"
                " take train=False, or in a loop of your own jn.mixup on x and y."
            )
        if on is not True:
            raise ValueError(
                f"{self._label()}: train must be True or False while it is traced, as "
                f"the targets are mixed, too, got {shown(on)}."
            )
        mix = partial(mixing.value, self._label(), self._place(), self._level())

        def mixed(key: Any, x: Array) -> Array:
            return mix(x)

        return draw.call_masked(mixed, None, draw.floating(x), mask=mask)
