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
            at_sites, y = self._noisy_batch(keys.batch, variables, x, y)
            rows = at_sites(INPUT, x)
        outputs, carried = self._noisy_pass(params, variables, rows, keys, at_sites)
        losses = per_row("loss", recipe.loss, outputs, y)
        if recipe.consistency is not None:
            other = keys.again()
            again, _ = self._noisy_pass(params, variables, rows, other, at_sites)
            losses = (losses + per_row("loss", recipe.loss, again, y)) / 2
            losses += recipe.consistency * divergence(recipe.loss, outputs, again)
        loss = losses.mean()
        if recipe.penalty is not None:
            loss += self._penalty(variables, params, x)
        return loss, carried

    def _noisy_batch(
        self, key: Any, variables: Variables, x: Any, y: Any
    ) -> tuple[AtSites, Any]:
        """The noise at each of its sites, of which a step has one, and on targets."""
        outputs = jax.eval_shape(partial(self.model.clean, variables), x)
        if hasattr(outputs, "shape") and hasattr(y, "shape"):
            y = as_probabilities(outputs, y)
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
        self, params: Any, variables: Variables, x: Any, keys: Keys, at_sites: Any
    ) -> tuple[Any, Variables]:
        """Outputs and variables, with noise on the weights and in the model."""

        def forward(params: Any) -> tuple[Any, Variables]:
            given = {**variables, "params": params}
            inside = set(self.recipe.batch_sites) - {INPUT}
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
