"""The training loss of a batch: the only place where the noise of a recipe acts."""

from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxnoise.losses import as_probabilities, divergence
from jaxnoise.model import (
    CheckedModel,
    Variables,
    as_pair,
    called,
    in_form_of,
    shape_of,
)
from jaxnoise.noise.wrappers import straight_through
from jaxnoise.training.evaluate import per_row
from jaxnoise.training.keys import Keys
from jaxnoise.training.recipe import Recipe


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
        rows = x
        if recipe.batch_noise is not None:
            rows, y = self._noisy_batch(keys.batch, variables, x, y)
        outputs, carried = self._noisy_pass(params, variables, rows, keys)
        losses = per_row("loss", recipe.loss, outputs, y)
        if recipe.consistency is not None:
            again, _ = self._noisy_pass(params, variables, rows, keys.again())
            losses = (losses + per_row("loss", recipe.loss, again, y)) / 2
            losses += recipe.consistency * divergence(recipe.loss, outputs, again)
        loss = losses.mean()
        if recipe.penalty is not None:
            loss += self._penalty(variables, params, x)
        return loss, carried

    def _noisy_batch(self, key: Any, variables: Variables, x: Any, y: Any) -> Any:
        """Rows and targets with noise on both."""
        outputs = jax.eval_shape(partial(self.model.clean, variables), x)
        if hasattr(outputs, "shape") and hasattr(y, "shape"):
            y = as_probabilities(outputs, y)
        returned = called("batch_noise", self.recipe.batch_noise, key, x, y)
        noisy = as_pair("batch_noise must return (x, y)", returned)
        return in_form_of("batch_noise", noisy, (x, y))

    def _noisy_pass(
        self, params: Any, variables: Variables, x: Any, keys: Keys
    ) -> tuple[Any, Variables]:
        """Outputs and variables, with noise on the weights and in the model."""

        def forward(params: Any) -> tuple[Any, Variables]:
            return self.model.apply(
                {**variables, "params": params}, x, train=True, key=keys.noise
            )

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
