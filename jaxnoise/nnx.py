"""The door for Flax NNX: noise layers, and NNX modules as models of a recipe.

``jn.nnx.GaussianNoise(0.1, rngs=rngs)`` and the others are the layers of the same names
in `jaxnoise`; `model` puts an NNX module into a `Recipe`.

A layer is active unless its ``deterministic`` is True, which ``model.train()``,
``model.eval()`` and ``nnx.view(model, deterministic=...)`` set; ``train=`` at the call
wins. Keys come from the stream ``"noise"`` of the `nnx.Rngs` that the constructor gets.
As everywhere in NNX a default stream, ``nnx.Rngs(0)``, stands in for one that is not
named: then a noise layer also changes the keys, and so the weights, of layers that are
made after it, which ``nnx.Rngs(0, noise=1)`` avoids. No stream at all is an error at
the first noisy call. A strength is an `nnx.Variable`: another value compiles nothing,
``layer.stddev[...] = 0.2``.

Under `nnx.vmap` and `nnx.scan` split the streams, all of them, by ``nnx.split_rngs``: a
key that rows would share is an error, but where nothing about the layer and its x is
mapped, such as noise on the inputs that an ensemble shares, nobody can tell. To share
one on purpose give it to the call, ``layer(x, rngs=key)``, or, where a module of your
own has no place for that, to the whole of it: a vmapped axis may share the key of
``jn.nnx.model(lambda rngs: Net(rngs=rngs)).apply(variables, x, train=True, key=key)``.

``Rngs.split`` and ``Rngs.broadcast`` of Flax, up to 0.12.12 at least, start a stream
anew that they are given None for: two models made so have the same masks. Split by
`nnx.split_rngs`, or all of ``rngs.fork()``.

What NNX does with all state holds for noise: a plain ``jax.jit(lambda m, x: m(x))``
gets the module by value, stream and all, and repeats its noise at every call, as that
of `nnx.Dropout`; `nnx.jit` moves the stream on. Noise before an `nnx.BatchNorm` enters
its running variance, by which the clean pass then divides. Strengths and the steps of
schedules are variables of types of their own, `NoiseStrength` and `NoiseStep`, for
filters. A checkpoint of ``nnx.state(model)`` holds them, and restoring it restores the
strength, too; ``nnx.state(model, nnx.Not(jn.nnx.NoiseStrength))`` leaves it out.
"""

import inspect
from collections.abc import Callable
from functools import cache, partial
from operator import is_
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from jaxnoise.checks import check_call, check_callable, name_of, shown, single_key, warn
from jaxnoise.model import AT_SITES, Variables, takes_train
from jaxnoise.noise.layer import keys_shared
from jaxnoise.noise.nnx import AlphaDropout as AlphaDropout
from jaxnoise.noise.nnx import BlockMask as BlockMask
from jaxnoise.noise.nnx import CorrelatedNoise as CorrelatedNoise
from jaxnoise.noise.nnx import DropConnectDense as DropConnectDense
from jaxnoise.noise.nnx import Dropout as Dropout
from jaxnoise.noise.nnx import DropPath as DropPath
from jaxnoise.noise.nnx import GaussianDropout as GaussianDropout
from jaxnoise.noise.nnx import GaussianNoise as GaussianNoise
from jaxnoise.noise.nnx import Mixup as Mixup
from jaxnoise.noise.nnx import NEFTuneNoise as NEFTuneNoise
from jaxnoise.noise.nnx import Noise as Noise
from jaxnoise.noise.nnx import NoiseStep as NoiseStep
from jaxnoise.noise.nnx import NoiseStrength as NoiseStrength
from jaxnoise.noise.nnx import NoisyDense as NoisyDense
from jaxnoise.noise.nnx import SaltAndPepperNoise as SaltAndPepperNoise
from jaxnoise.noise.nnx import SwapNoise as SwapNoise
from jaxnoise.noise.nnx import with_streams

_layers = {
    n for n, v in globals().items() if getattr(v, "__module__", "") == Noise.__module__
}
__all__ = sorted({*_layers, "model"} - {"with_streams"})  # what help() lists

FACTORY = "a function rngs -> module, such as lambda rngs: Net(rngs=rngs)"
ROLES = ("params", "noise", "dropout", "default")  # the streams of the constructor


def __dir__() -> list[str]:
    return __all__


def model(factory: Callable[[nnx.Rngs], nnx.Module]) -> "NNXModel":
    """Return an NNX module as the model of a recipe.

    Parameters are trained; batch statistics and other variables are carried; a bare
    array is a constant that the factory makes anew. Every step
    gets fresh keys for all streams of the module, which differ by the streams' place in
    it: name layers by attributes, as one inserted into an `nnx.Sequential` moves the
    others to other places. The module is called as ``module(x)`` after ``train()`` or
    ``eval()``, or with ``train=`` if it takes that. Runs of one key share their noise
    under `jax.vmap`, such as over strengths; `NNXModel.module` gives the module back.
    A factory that draws no weights from ``rngs`` is told of by a warning, which a start
    from pretrained weights may filter: its message begins with ``jn.nnx.model``.

    Args:
        factory: ``rngs -> module``, such as ``lambda rngs: Net(64, rngs=rngs)``, or a
            class of modules, or a partial, that needs ``rngs`` alone; called while
            tracing, so that strengths in it may be traced.

    Raises:
        TypeError: if ``factory`` is no function of ``rngs`` alone, or, in use, makes no
            NNX module or one that does not take ``x``.

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
        signature = _signature(factory)
        rngs = signature.parameters.get("rngs")
        self.by_keyword = rngs is not None and rngs.kind is not rngs.POSITIONAL_ONLY
        if self.by_keyword:
            check_call("factory", factory, FACTORY, signature, rngs=None)
        else:
            check_call("factory", factory, FACTORY, signature, None)

    def __repr__(self) -> str:
        return f"jn.nnx.model({name_of(self.factory)})"

    def init(self, key: Array, x: Any) -> Variables:
        """Return fresh variables; ``x`` is not needed."""
        rngs = _streams(key)
        streams = (rngs["params"], rngs["default"])
        fresh = [stream.count.get_value() for stream in streams]
        variables = self._collections(nnx.state(self._make(rngs)))
        left = [stream.count.get_value() for stream in streams]
        if variables["params"] and all(map(is_, fresh, left)):
            warn(
                "jn.nnx.model: the function does not draw weights from its rngs, so "
                "that all seeds share their initial weights; pass them on, Net(..., "
                "rngs=rngs)"
            )
        return variables

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: Array | None = None
    ) -> tuple[Any, Variables]:
        """Return outputs and variables; with ``train=False`` clean, and without key."""
        if not train:
            return _called(self.module(variables), x, train=False), variables
        key = single_key(key)

        def call() -> tuple[Any, Variables]:
            module = self.noisy(variables, key)
            outputs = _called(module, x, train=True)
            return outputs, _like(variables, self._collections(nnx.state(module)))

        jax.eval_shape(call)  # along axes of its own a module must not share keys
        with keys_shared(True):  # along ours runs of one key are paired
            return call()

    def module(self, variables: Variables) -> Any:
        """Return the NNX module with these variables, such as trained ones, to use.

        It is in ``eval()`` mode, without noise and with the running batch statistics,
        and computes what the clean pass of a run computes.

        Args:
            variables: those of a run, ``result.variables``, or of ``init``.

        Example:
            >>> import jax, jax.numpy as jnp, jaxnoise as jn, optax
            >>> from flax import nnx
            >>> def recipe(stddev):
            ...     return jn.Recipe(
            ...         model=jn.nnx.model(lambda rngs: nnx.Sequential(
            ...             jn.nnx.GaussianNoise(stddev, rngs=rngs),
            ...             nnx.Linear(2, 1, rngs=rngs),
            ...         )),
            ...         loss=jn.losses.binary_cross_entropy,
            ...         optimizer=optax.adam(1e-2),
            ...     )
            >>> train = jax.jit(jn.make_train(recipe, epochs=2, batch_size=15))
            >>> data = jn.data.circles(population=100)
            >>> result = train(jax.random.key(0), 0.1, data)
            >>> net = recipe(0.1).model.module(result.variables)
            >>> net(jnp.ones((3, 2))).shape
            (3, 1)
        """
        module = self._filled(variables, jax.random.key(0))  # draws nothing
        module.eval()
        return module

    def noisy(self, variables: Variables, key: Array) -> Any:
        """Return the module in ``train()`` mode, with streams that the key makes."""
        module = self._filled(variables, key)
        module.train()
        if AT_SITES.get():
            parts: Any = nnx.iter_modules(module)
            for path, part in parts:
                part.path_of_site, kind = "/".join(map(str, path)), part.__class__
                part.__class__ = _seen_class(kind)
        return module

    def _filled(self, variables: Variables, key: Array) -> Any:
        """The module with these variables, and with streams of its own from the key."""
        # its first weights are not used, and cost nothing in a compiled program
        module = self._make(_streams(jax.random.key(0)))

        def value(path: Any, variable: nnx.Variable) -> Any:
            node: Any = variables[_collection(variable)]
            for part in path:
                node = node[str(part)]
            return node

        return with_streams(module, key, value)

    def _make(self, rngs: nnx.Rngs) -> nnx.Module:
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


@cache
def _seen_class(base: Any) -> Any:
    """The class of a module whose outputs go through what is at its site."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        at_sites, out = AT_SITES.get(), base.__call__(self, *args, **kwargs)
        return at_sites(self.path_of_site, out) if at_sites else out

    return type(base)(base.__name__, (base,), {"__call__": call})


def _signature(factory: Callable[..., nnx.Module]) -> inspect.Signature:
    """The arguments of a factory; a class of NNX hides those of its own."""
    whole = factory if isinstance(factory, partial) else partial(factory)
    made: Any = whole.func
    args = whole.args
    if isinstance(whole.func, type):
        made, args = made.__init__, (None, *args)
    return inspect.signature(partial(made, *args, **whole.keywords))


def _streams(key: Array) -> nnx.Rngs:
    """What a factory gets: a stream for each role."""
    keys = jax.random.split(key, len(ROLES))
    return nnx.Rngs(**dict(zip(ROLES, keys, strict=True)))


def _called(module: Any, x: Any, *, train: bool) -> Any:
    """The outputs, by ``module(x)`` or with ``train=`` if the module takes that."""
    given = {"train": train} if takes_train(module) else {}
    try:
        inspect.signature(type(module).__call__).bind(module, x, **given)
    except TypeError as error:
        raise TypeError(
            f"model: {type(module).__name__}.__call__ gets x as one argument, a tuple "
            f"or dict, too, to take apart there: {error}."
        ) from None
    return module(x, **given)


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
