"""What the engine trains: the protocol of a model, and what comes back, checked.

`Model` is the protocol behind ``Recipe.model``; Linen modules are adapted by
themselves, by `as_model`. `CheckedModel` is a model whose returns are looked at while
it is traced, and `called` calls any function of a recipe: both tell what does not fit
in words that name the argument.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import jax
import numpy as np
from jax.extend.core import Jaxpr, jaxprs_in_params
from jaxtyping import Array

from jaxnoise.checks import shown
from jaxnoise.noise.layer import keys_shared
from jaxnoise.pickling import Pickled

Variables = dict[str, Any]
# What the outputs of modules go through, with their paths, where it is asked for.
AT_SITES: ContextVar[Callable[[str, Any], Any] | None]
AT_SITES = ContextVar("AT_SITES", default=None)
VALUES_KEPT = (
    "broadcast_in_dim convert_element_type copy reshape squeeze stop_gradient transpose"
).split()
CURE = (
    "compute with jax.numpy, in place of NumPy, scikit-learn, if and float(), and "
    "make no Python choice by the strength, which is traced so that one program serves "
    "all strengths: a network that differs is a placement of its own"
)


@runtime_checkable
class Model(Protocol):
    """What the engine trains: two pure functions.

    ``variables["params"]`` is trained; every other collection, such as batch
    statistics, is carried from step to step.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> class Linear:
        ...     def init(self, key, x):
        ...         return {"params": {"w": jnp.zeros((x.shape[-1], 1))}}
        ...
        ...     def apply(self, variables, x, *, train, key):
        ...         if train:
        ...             x = jn.add_gaussian_noise(key, x, 0.1)
        ...         return x @ variables["params"]["w"], variables
        >>> isinstance(Linear(), jn.Model)
        True
    """

    def init(self, key: Array, x: Any) -> Variables:
        """Return fresh variables for inputs like ``x``."""
        ...

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Variables]:
        """Return outputs and variables; with ``train=False`` clean, and without key."""
        ...


def as_model(model: Any) -> Model:
    """Return ``model`` behind the protocol, or say why it does not fit."""
    if isinstance(model, nn.Module):
        if not takes_train(model):
            raise TypeError(
                f"model: {type(model).__name__}.__call__ must take `train`, as in "
                "def __call__(self, x, train)."
            )
        return _Linen(model)
    if isinstance(model, type) or not isinstance(model, Model):
        raise TypeError(
            "model must be a Flax Linen module (an instance, not its class), an NNX "
            "module as jn.nnx.model(lambda rngs: Net(rngs=rngs)), a Keras model as "
            "jn.keras.model(build), or have init(key, x) and "
            "apply(variables, x, *, train, key), "
            f"got {shown(model)}."
        )
    return model


def is_keras(model: Any) -> bool:
    """Whether it is a Keras model; nobody has one without having imported Keras."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Model)


def takes_train(module: Any) -> bool:
    """Whether a module of either kind is called with ``train``."""
    return "train" in inspect.signature(type(module).__call__).parameters


@dataclass(frozen=True)
class _Linen(Pickled):
    """A Linen module behind the protocol: streams from the key, collections carried."""

    module: nn.Module

    def init(self, key: Array, x: Any) -> Variables:
        return {"params": {}, **self.module.init({"params": key}, x, train=False)}

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Variables]:
        if not train:
            return self.module.apply(variables, x, train=False), variables
        noise, dropout = jax.random.split(key)  # type: ignore[arg-type]
        with keys_shared(True):  # along axes of runs, which are paired
            outputs, carried = self.module.apply(
                variables,
                x,
                train=True,
                rngs={"noise": noise, "dropout": dropout},
                mutable=[name for name in variables if name != "params"],
            )
        return outputs, {**variables, **carried}


class CheckedModel:
    """A model behind the protocol, whose returns are looked at while tracing."""

    def __init__(self, model: Any) -> None:
        self.model = as_model(model)

    def init(self, key: Array, x: Any) -> Variables:
        """The fresh variables."""
        variables = called("model", self.model.init, key, x)
        if not isinstance(variables, Mapping) or "params" not in variables:
            raise TypeError(
                "model.init must return variables, a dict of collections with the "
                f"trained ones in 'params', got {kind_of(variables)}."
            )
        return dict(variables)

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Variables]:
        """Outputs and variables; those of a training pass are carried on."""
        returned = called("model", self.model.apply, variables, x, train=train, key=key)
        expected = "model.apply must return (outputs, variables)"
        outputs, carried = as_pair(expected, returned)
        if not jax.tree.leaves(outputs):
            raise TypeError(f"model must return outputs, got {kind_of(outputs)}.")
        if train:
            _check_carried(variables, carried)
        return outputs, carried

    def clean(self, variables: Variables, x: Any) -> Any:
        """The outputs without noise."""
        return self.apply(variables, x, train=False, key=None)[0]


def _check_carried(given: Variables, carried: Any) -> None:
    """Steps follow each other in a loop, through which nothing changes its form."""
    expected = "model.apply must return (outputs, variables), variables"
    if not isinstance(carried, Mapping):
        raise TypeError(f"{expected} as a dict of collections, got {kind_of(carried)}.")
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


def called(name: str, function: Any, *arguments: Any, **named: Any) -> Any:
    """``function(...)`` of a recipe, which is named where it fails.

    An array taken for a number of Python is told of in words of ours; other errors are
    its own, with a note.
    """
    try:
        return function(*arguments, **named)
    except (
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
        jax.errors.TracerIntegerConversionError,
    ) as error:
        raise TypeError(
            f"{name} must be a function that JAX can trace, got one that asks for an "
            f"array's values; {CURE}."
        ) from error
    except Exception as error:
        got = ", ".join(map(kind_of, arguments))
        error.add_note(f"In {name} of the recipe, which got {got}.")
        raise


def as_pair(expected: str, returned: Any) -> tuple[Any, Any]:
    """What a function has returned, refused unless it is a pair."""
    if not (isinstance(returned, tuple) and len(returned) == 2):
        raise TypeError(f"{expected}, got {kind_of(returned)}.")
    return returned


def in_form_of(
    name: str, value: Any, given: Any, shape: Callable[[Any], Any] = np.shape
) -> Any:
    """What a function has returned, refused unless it has the form of what it got."""
    forms = []
    for tree in (value, given):
        leaves, structure = jax.tree.flatten(tree)
        forms.append((structure, list(map(shape, leaves))))
    if forms[0] != forms[1]:
        raise TypeError(
            f"{name} must return what it gets in its form, {kind_of(given)}, "
            f"got {kind_of(value)}."
        )
    return value


def kind_of(value: Any) -> str:
    """A value of a recipe's functions in few words."""
    if isinstance(value, Mapping):
        return f"a dict of {', '.join(map(repr, value)) or 'nothing'}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "shape"):
        return f"an array of shape {value.shape}"
    return f"a {type(value).__name__}"


def shape_of(value: Any) -> str:
    """The shape of what a function has returned, or what it is instead of an array."""
    return f"shape {value.shape}" if hasattr(value, "shape") else kind_of(value)


def probabilities_by(outputs: Jaxpr) -> str | None:
    """What the first of some outputs ends in, where that makes probabilities."""
    last = _origin(outputs, outputs.outvars[0])
    return {"logistic": "sigmoid", "exp / reduce_sum": "softmax"}.get(last)


def _origin(jaxpr: Jaxpr, var: Any) -> str:
    """What computed the values of a variable, at any depth; "" for an input."""
    made_by = {id(made): eqn for eqn in jaxpr.eqns for made in eqn.outvars}
    while eqn := made_by.get(id(var)):
        bodies = list(jaxprs_in_params(eqn.params))
        if len(bodies) == 1 and len(bodies[0].outvars) == len(eqn.outvars):
            at = [id(made) for made in eqn.outvars].index(id(var))
            return _origin(bodies[0], bodies[0].outvars[at])
        if eqn.primitive.name == "div":
            return " / ".join(_origin(jaxpr, var) for var in eqn.invars)
        if eqn.primitive.name not in VALUES_KEPT:
            return eqn.primitive.name
        var = eqn.invars[0]
    return ""
