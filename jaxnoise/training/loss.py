"""The training loss of a batch: the only place where the noise of a recipe acts."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnoise.checks import shown
from jaxnoise.data import row_count
from jaxnoise.losses import as_probabilities, divergence
from jaxnoise.model import (
    AT_SITES,
    CheckedModel,
    Variables,
    as_pair,
    called,
    in_form_of,
    shape_of,
)
from jaxnoise.noise.mixing import Mixer, NotMixing, mixing
from jaxnoise.noise.rows import mixup
from jaxnoise.noise.wrappers import straight_through
from jaxnoise.training.evaluate import per_row
from jaxnoise.training.keys import Keys, place_of
from jaxnoise.training.recipe import INPUT, Recipe

AtSites = Callable[[str, Any], Any]


@contextmanager
def noise_inside(sites: Collection[str], at_sites: AtSites) -> Iterator[None]:
    """Within, what modules at these paths return goes through ``at_sites``."""
    seen = []

    def see(path: str, out: Any) -> Any:
        seen.append(path)
        return at_sites(path, out) if path in sites else out

    def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        out, path = call(*args, **kwargs), "/".join(context.module.path)
        return see(path, out) if context.method_name == "__call__" else out

    before = AT_SITES.set(see)  # NNX has no interception of its own
    try:
        with nn.intercept_methods(intercept):
            yield
    finally:
        AT_SITES.reset(before)
    if absent := sorted({*sites} - {*seen}):
        there = ", ".join(filter(None, dict.fromkeys(seen))) or "no modules inside"
        raise ValueError(
            f"batch_sites must be {INPUT!r} or paths of modules of the model "
            f"({there}), got {absent[0]!r}."
        )


class MixedPass:
    """A noisy pass of a model with `Mixup` layers, one of which acts in a step."""

    def __init__(
        self, noisy_pass: Callable[[Keys], Any], keys: Keys, rows: int
    ) -> None:
        self.noisy_pass, self.key, self.rows = noisy_pass, keys.batch(), rows
        self.levels: dict[str, Any] = {}
        with self._mixing(self._found):
            jax.eval_shape(partial(noisy_pass, keys))
        self.sites = list(self.levels)
        self.chosen = place_of(self.key, len(self.sites))

    def __call__(self, keys: Keys) -> Any:
        """Outputs and variables."""
        with self._mixing(self._mixed):
            return self.noisy_pass(keys)

    def targets(self, y: Any) -> Any:
        """Mixed as the rows were at the step's site."""
        try:
            level = jnp.stack([self.levels[site] for site in self.sites])[self.chosen]
        except jax.errors.UnexpectedTracerError as error:
            raise ValueError(
                "alpha of Mixup layers must be a number of the recipe, got one that is "
                "made inside of remat, jit or the like, where the targets are not."
            ) from error
        return mixup(self.key, jnp.zeros((self.rows, 1)), y, level)[1]

    @contextmanager
    def _mixing(self, mix: Callable[[str, Any, Array], Array]) -> Iterator[None]:
        mixer = Mixer(mix, self.rows)
        try:
            with mixing(mixer):
                yield
        finally:
            mixer.end()

    def _found(self, site: str, alpha: Any, x: Array) -> Array:
        self.levels[site] = None
        return x

    def _mixed(self, site: str, alpha: Any, x: Array) -> Array:
        self.levels[site] = alpha
        here = self.chosen == self.sites.index(site)
        return jnp.where(here, mixup(self.key, x, x, alpha)[0], x)


@dataclass(frozen=True)
class NoisyLoss:
    """A function of parameters, with all the noise of a step."""

    recipe: Recipe
    model: CheckedModel

    def __call__(
        self, params: Any, variables: Variables, batch: Any, keys: Keys
    ) -> tuple[Float[Array, ""], Variables]:
        """The loss, and the variables that the model leaves."""
        (x, y), recipe = batch, self.recipe
        if recipe.label_noise is not None:
            noisy = called("label_noise", recipe.label_noise, keys.labels, y)
            y = in_form_of("label_noise", noisy, y, lambda leaf: np.shape(leaf)[:1])
        rows, at_sites = x, None
        if recipe.batch_noise is not None:
            y = self._mixable(variables, x, y)
            at_sites, y = self._noisy_batch(keys.batch(), x, y)
            rows = at_sites(INPUT, x)
        noisy_pass: Callable[[Keys], tuple[Any, Variables]]
        noisy_pass = partial(self._noisy_pass, params, variables, rows, at_sites)
        try:
            outputs, carried = noisy_pass(keys)
        except NotMixing:
            if recipe.batch_noise is not None:
                raise ValueError(
                    "batch_noise must be None where the model has Mixup layers, which "
                    f"mix the targets, got {shown(recipe.batch_noise)}."
                ) from None
            noisy_pass = mixed = MixedPass(noisy_pass, keys, row_count(x))
            outputs, carried = noisy_pass(keys)
            y = mixed.targets(self._mixable(variables, x, y))
        losses = per_row("loss", recipe.loss, outputs, y)
        if recipe.consistency is not None:
            again, _ = noisy_pass(keys.again())
            losses = (losses + per_row("loss", recipe.loss, again, y)) / 2
            losses += recipe.consistency * divergence(recipe.loss, outputs, again)
        loss = losses.mean()
        if recipe.penalty is not None:
            loss += self._penalty(variables, params, x)
        return loss, carried

    def _mixable(self, variables: Variables, x: Any, y: Any) -> Any:
        """The targets, of classes as probabilities."""
        outputs = jax.eval_shape(partial(self.model.clean, variables), x)
        arrays = hasattr(outputs, "shape") and hasattr(y, "shape")
        return as_probabilities(outputs, y) if arrays else y

    def _noisy_batch(self, key: Any, x: Any, y: Any) -> tuple[AtSites, Any]:
        """The noise at each of its sites, of which a step has one, and on targets."""
        noise, sites = self.recipe.batch_noise, self.recipe.batch_sites
        chosen = place_of(key, len(sites))

        def noisy(rows: Any) -> tuple[Any, Any]:
            returned = called("batch_noise", noise, key, rows, y)
            pair = as_pair("batch_noise must return (x, y)", returned)
            return in_form_of("batch_noise", pair, (rows, y))

        def at_sites(site: str, rows: Any) -> Any:
            if site not in sites:
                return rows
            here = chosen == sites.index(site)
            return jax.tree.map(partial(jnp.where, here), noisy(rows)[0], rows)

        return at_sites, noisy(x)[1]

    def _noisy_pass(
        self, params: Any, variables: Variables, x: Any, at_sites: Any, keys: Keys
    ) -> tuple[Any, Variables]:
        """Outputs and variables, with noise on the weights and in the model."""

        def forward(params: Any) -> tuple[Any, Variables]:
            given = {**variables, "params": params}
            inside = set(self.recipe.batch_sites) - {INPUT}
            if mixing.value is not None:
                mixing.value.begin()
            with noise_inside(inside, at_sites) if at_sites else nullcontext():
                return self.model.apply(given, x, train=True, key=keys.noise)

        noise = self.recipe.weight_noise
        if noise is None:
            return forward(params)
        noisy = called("weight_noise", noise, keys.weights, params)
        noisy = in_form_of("weight_noise", noisy, params)
        if self.recipe.weight_gradient == "clean":
            return straight_through(forward)(params, noisy)
        return forward(noisy)

    def _penalty(self, variables: Variables, params: Any, x: Any) -> Any:
        """What is added to the loss."""

        def apply(params: Any, x: Any) -> Any:
            return self.model.clean({**variables, "params": params}, x)

        penalty = called("penalty", self.recipe.penalty, apply, params, x)
        if not (isinstance(penalty, Real) or getattr(penalty, "shape", None) == ()):
            raise ValueError(
                "penalty must give one number, such as the mean of one a row, "
                f"got {shape_of(penalty)}."
            )
        return penalty
