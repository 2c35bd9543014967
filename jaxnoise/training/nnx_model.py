"""Flax NNX modules behind the model protocol."""

import inspect
from collections.abc import Callable
from typing import Any
from zlib import crc32

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from jaxnoise.checks import check_callable, check_function, shown
from jaxnoise.training.recipe import Variables, takes_train

FACTORY = "a function rngs -> module, such as lambda rngs: Net(rngs=rngs)"
ROLES = ("params", "noise", "dropout", "default")  # the streams of the constructor


def model(factory: Callable[[nnx.Rngs], nnx.Module]) -> "NNXModel":
    """Return an NNX module as the model of a recipe.

    Parameters are trained; batch statistics and other variables are carried; a bare
    array is a constant that the factory makes anew. Every step
    gets fresh keys for all streams of the module, which differ by the streams' place in
    it: name layers by attributes, as one inserted into an `nnx.Sequential` moves the
    others to other places. The module is called as ``module(x)`` after ``train()`` or
    ``eval()``, or with ``train=`` if it takes that.

    Args:
        factory: ``rngs -> module``, such as ``lambda rngs: Net(64, rngs=rngs)``, or a
            class of modules that needs ``rngs`` alone; called while tracing, so that
            strengths in it may be traced.

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
    if isinstance(factory, nnx.Module):  # it may be callable
        raise TypeError(f"factory must be {FACTORY}, got a {type(factory).__name__}.")
    check_callable("factory", factory, FACTORY)
    return NNXModel(factory)


class NNXModel:
    """An NNX module behind the protocol: a collection for each type of variable."""

    def __init__(self, factory: Callable[..., nnx.Module]) -> None:
        self.factory = factory
        # a class of NNX hides its signature
        named = (
            getattr(factory, "__init__", None) if isinstance(factory, type) else None
        )
        rngs = inspect.signature(named or factory).parameters.get("rngs")
        self.by_keyword = rngs is not None and rngs.kind is rngs.KEYWORD_ONLY
        if not (self.by_keyword or isinstance(factory, type)):
            check_function("factory", factory, FACTORY, 1)

    def init(self, key: Array, x: Any) -> Variables:
        """Return fresh variables; ``x`` is not needed."""
        return self._collections(nnx.state(self._make(key)))

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None
    ) -> tuple[Any, Variables]:
        """Return outputs and variables; with ``train=False`` clean, and without key."""
        module = self.module(variables, key)
        module.train() if train else module.eval()
        outputs = module(x, train=train) if takes_train(module) else module(x)
        if not train:
            return outputs, variables
        return outputs, _like(variables, self._collections(nnx.state(module)))

    def module(self, variables: Variables, key: Array | None = None) -> Any:
        """The module with these variables, and with streams of its own from the key."""
        # its first weights are not used, and cost nothing in a compiled program
        module = self._make(jax.random.key(0))

        def value(path: Any, variable: nnx.Variable) -> Any:
            node: Any = variables[_collection(variable)]
            for part in path:
                node = node[str(part)]
            return node

        # a clean pass draws nothing
        return with_streams(module, jax.random.key(0) if key is None else key, value)

    def _make(self, key: Array) -> nnx.Module:
        keys = jax.random.split(key, len(ROLES))
        rngs = nnx.Rngs(**dict(zip(ROLES, keys, strict=True)))
        module = self.factory(rngs=rngs) if self.by_keyword else self.factory(rngs)
        if not isinstance(module, nnx.Module):
            raise TypeError(
                f"factory must return an nnx.Module, got {shown(module)}; a Linen "
                "module is a model as it is."
            )
        return module

    def _collections(self, state: Any) -> Variables:
        """Nested dicts of arrays by collection; streams are left out."""
        variables: Variables = {"params": {}}
        for path, leaf in nnx.to_flat_state(state):
            if isinstance(leaf, nnx.Variable) and not isinstance(leaf, nnx.RngState):
                node = variables.setdefault(_collection(leaf), {})
                for part in path[:-1]:
                    node = node.setdefault(str(part), {})
                node[str(path[-1])] = jax.tree.map(jnp.asarray, leaf.get_value())
        return variables


def with_streams(
    module: nnx.Module, key: Array, value: Callable[[Any, Any], Any] | None = None
) -> Any:
    """The module with streams that depend on the key and on their place in the module.

    Args:
        module: is used up.
        key: of all streams.
        value: ``(path, variable) -> value`` for all other variables; None keeps theirs.
    """
    definition, state = nnx.split(module)
    leaves = []
    for path, leaf in nnx.to_flat_state(state):
        if isinstance(leaf, nnx.RngKey):
            of_path = jax.random.fold_in(key, crc32(repr(path).encode()))
            # layers that are stacked, for a scan over them, have a stream each
            new = jax.random.split(of_path, leaf.shape) if leaf.shape else of_path
            leaf = leaf.replace(new)
        elif isinstance(leaf, nnx.RngState):
            leaf = leaf.replace(jnp.zeros(leaf.shape, leaf.dtype))
        elif isinstance(leaf, nnx.Variable) and value is not None:
            leaf = leaf.replace(value(path, leaf))
        leaves.append((path, leaf))  # a bare array is a constant
    return nnx.merge(definition, nnx.from_flat_state(leaves))


def _collection(variable: nnx.Variable) -> str:
    """The collection's name: Linen's, or that of the variable's class."""
    if isinstance(variable, nnx.Param):
        return "params"
    try:
        return nnx.variable_name_from_type(type(variable))
    except ValueError:  # a class that nobody registered
        return type(variable).__name__


def _like(before: Any, after: Any) -> Any:
    """The part of ``after`` that was there before; a call may sow more."""
    if not isinstance(before, dict):
        return after
    return {name: _like(node, after[name]) for name, node in before.items()}
