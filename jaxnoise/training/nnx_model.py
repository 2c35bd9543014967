"""Flax NNX modules behind the model protocol."""

import inspect
from collections.abc import Callable
from typing import Any
from zlib import crc32

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from jaxnoise.training.recipe import Variables

ROLES = ("params", "noise", "dropout", "default")  # the streams of the constructor


def model(factory: Callable[[nnx.Rngs], nnx.Module]) -> "NNXModel":
    """Return an NNX module as the model of a recipe.

    Parameters are trained; batch statistics and other variables are carried. Every step
    gets fresh keys for all streams of the module, which differ by the streams' place in
    it. The module is called as ``module(x)`` after ``train()`` or ``eval()``, or with
    ``train=`` if it takes that.

    Args:
        factory: ``rngs -> module``, such as ``lambda rngs: Net(64, rngs=rngs)``; called
            while tracing, so that strengths in it may be traced.

    Raises:
        TypeError: if ``factory`` is no function, or, in use, makes no NNX module.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> from flax import nnx
        >>> model = jn.nnx.model(lambda rngs: nnx.Sequential(
        ...     nnx.Linear(2, 8, rngs=rngs),
        ...     jn.nnx.GaussianNoise(0.1, rngs=rngs),
        ...     nnx.relu,
        ...     nnx.Linear(8, 1, rngs=rngs),
        ... ))
        >>> variables = model.init(jax.random.key(0), jnp.ones((3, 2)))
        >>> outputs, _ = model.apply(
        ...     variables, jnp.ones((3, 2)), train=True, key=jax.random.key(1)
        ... )
        >>> outputs.shape
        (3, 1)
    """
    if isinstance(factory, nnx.Module) or not callable(factory):
        raise TypeError(
            "factory must be a function rngs -> module, such as "
            f"lambda rngs: Net(rngs=rngs), got {type(factory).__name__}."
        )
    return NNXModel(factory)


class NNXModel:
    """An NNX module behind the protocol: a collection for each type of variable."""

    def __init__(self, factory: Callable[[nnx.Rngs], nnx.Module]) -> None:
        self.factory = factory

    def init(self, key: Array, x: Any) -> Variables:
        """Return fresh variables; ``x`` is not needed."""
        return self._collections(nnx.state(self._make(key)))

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Variables]:
        """Return outputs and variables; with ``train=False`` clean, and without key."""
        module = self.module(variables, key)
        module.train() if train else module.eval()
        takes_train = "train" in inspect.signature(type(module).__call__).parameters
        outputs = module(x, train=train) if takes_train else module(x)
        if not train:
            return outputs, variables
        return outputs, self._collections(nnx.state(module))

    def module(self, variables: Variables, key: Array | None = None) -> Any:
        """The module with these variables, and with streams of its own from the key."""
        shapes = nnx.eval_shape(lambda: self._make(jax.random.key(0)))

        def value(path: Any, variable: nnx.Variable) -> Any:
            return _at(variables[_collection(variable)], path)

        # a clean pass draws nothing
        return with_streams(shapes, jax.random.key(0) if key is None else key, value)

    def _make(self, key: Array) -> nnx.Module:
        keys = jax.random.split(key, len(ROLES))
        module = self.factory(nnx.Rngs(**dict(zip(ROLES, keys, strict=True))))
        if not isinstance(module, nnx.Module):
            raise TypeError(f"factory must return an nnx.Module, got {module!r}.")
        return module

    def _collections(self, state: Any) -> Variables:
        """Nested dicts of arrays by collection; streams are left out."""
        variables: Variables = {"params": {}}
        for path, variable in nnx.to_flat_state(state):
            if not isinstance(variable, nnx.RngState):
                node = variables.setdefault(_collection(variable), {})
                for part in path[:-1]:
                    node = node.setdefault(str(part), {})
                node[str(path[-1])] = variable[...]
        return variables


def with_streams(
    module: nnx.Module, key: Array, value: Callable[[Any, Any], Any] | None = None
) -> Any:
    """The module with streams that depend on the key and on their place in the module.

    Args:
        module: is used up.
        key: of all streams.
        value: ``(path, variable) -> array`` for all other variables; None keeps theirs.
    """
    definition, state = nnx.split(module)
    leaves = []
    for path, variable in nnx.to_flat_state(state):
        if isinstance(variable, nnx.RngKey):
            of_path = jax.random.fold_in(key, crc32(repr(path).encode()))
            # layers that are stacked, for a scan over them, have a stream each
            array = (
                jax.random.split(of_path, variable.shape) if variable.shape else of_path
            )
        elif isinstance(variable, nnx.RngState):
            array = jnp.zeros(variable.shape, variable.dtype)
        else:
            array = variable[...] if value is None else value(path, variable)
        leaves.append((path, variable.replace(array)))
    return nnx.merge(definition, nnx.from_flat_state(leaves))


def _collection(variable: nnx.Variable) -> str:
    """The collection's name: Linen's, or that of the variable's class."""
    if isinstance(variable, nnx.Param):
        return "params"
    try:
        return nnx.variable_name_from_type(type(variable))
    except ValueError:  # a class that nobody registered
        return type(variable).__name__


def _at(node: Any, path: Any) -> Any:
    for part in path:
        node = node[str(part)]
    return node
