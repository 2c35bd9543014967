"""A model held to its protocol: what it returns wrongly is told in its own words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array

from jaxnoise.training.recipe import Model, Variables


@dataclass(frozen=True)
class CheckedModel:
    """The model itself, once its returns have been looked at while tracing."""

    model: Model

    def init(self, key: Array, x: Any) -> Variables:
        """The fresh variables."""
        variables = self.model.init(key, x)
        if not isinstance(variables, Mapping) or "params" not in variables:
            raise TypeError(
                "model.init must return variables, a dict of collections with the "
                f"trained ones in 'params', got {_kind(variables)}."
            )
        return dict(variables)

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Variables]:
        """Outputs and variables; those of a training pass are carried on."""
        returned = self.model.apply(variables, x, train=train, key=key)
        if not (isinstance(returned, tuple) and len(returned) == 2):
            raise TypeError(
                f"model.apply must return (outputs, variables), got {_kind(returned)}."
            )
        outputs, carried = returned
        if train:
            _check_carried(variables, carried)
        return outputs, carried


def _check_carried(given: Variables, carried: Any) -> None:
    """Steps follow each other in a loop, through which nothing changes its form."""
    expected = "model.apply must return (outputs, variables), variables"
    if not isinstance(carried, Mapping):
        raise TypeError(f"{expected} as a dict of collections, got {_kind(carried)}.")
    names = [name for name in {**given, **carried} if name != "params"]
    for name in names:
        before, after = _form(given.get(name)), _form(carried.get(name))
        if before != after:
            raise ValueError(
                f"{expected} in the form in which it got them, got another form of "
                f"{name!r}: {after} instead of {before}. (A Linen module that sows: "
                "sow into 'intermediates', or with init_fn and reduce_fn, which keep "
                "the form.)"
            )


def _form(collection: Any) -> Any:
    """The collection with types and shapes for leaves; None where there is none."""
    if collection is None:
        return None
    shapes = jax.eval_shape(lambda: collection)
    return jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", shapes)


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a dict of {', '.join(map(repr, value)) or 'nothing'}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    if hasattr(value, "shape"):
        return f"an array of shape {value.shape}"
    return f"a {type(value).__name__}"
