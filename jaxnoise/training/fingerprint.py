"""What determines the numbers of a run, as texts that are the same in every process.

The recipe is its traced program: the text without addresses, and the constants by their
values. Functions of whole sets, which run on the host, are told by their code.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from types import CodeType, FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jaxnoise.data import Data, row_count
from jaxnoise.training.program import Program
from jaxnoise.training.recipe import Settings

PRECISION = ("enable_x64", "default_matmul_precision", "threefry_partitionable")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def parts_of(
    program: Program, settings: Settings, data: Data, data_hash: str, version: str
) -> dict[str, Any]:
    """By name, all but placement, strength, seed, split and epochs."""
    return {
        "recipe": recipe_hash(program),
        "version": version,
        "data": data_hash,
        "batch_size": min(settings.batch_size, row_count(data.train)),
        "curves": settings.curve_sets(data),
        "metrics_every": settings.metrics_every,
        "keep_rows": settings.keep_rows,
        "precision": {
            name: str(getattr(jax.config, f"jax_{name}")) for name in PRECISION
        },
        "jax": jax.__version__,
    }


def changed(asked: dict[str, Any], there: dict[str, Any]) -> str:
    """The parts that differ, in words."""
    names = [name for name in asked if asked[name] != there.get(name)]
    if {*names} - {"recipe", "version", "data"}:  # are in the traced program, too
        names = [name for name in names if name != "recipe"]
    hashes = ("recipe", "data")
    return " and ".join(
        name if name in hashes else f"{name} ({there.get(name)}, not {asked[name]})"
        for name in names
    )


@lru_cache(maxsize=128)
def recipe_hash(program: Program, *, for_all_epochs: bool = False) -> str:
    """Of the program and of what the host does after it; or of any number of epochs."""
    jaxpr: Any = program.period if for_all_epochs else program.traced
    facts = program.facts
    host = [[name, _code(function)] for name, function in facts.set_metrics.items()]
    host += [["initial weights", _code(facts.host.build)]] if facts.host else []
    text = ADDRESS.sub("", f"{jaxpr.jaxpr} {host}")
    return _hash([np.frombuffer(text.encode(), np.uint8), *_constants(jaxpr)])


def data_hash(data: Data) -> str:
    """Of the arrays with their names."""
    leaves = jax.tree_util.tree_leaves_with_path(data)
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    text = np.frombuffer(" ".join(names).encode(), np.uint8)
    return _hash([text, *(leaf for _, leaf in leaves)])


def _hash(arrays: Sequence[Any]) -> str:
    hashed = blake2b(digest_size=16)
    for array in arrays:
        hashed.update(f"{array.dtype}{array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return hashed.hexdigest()


def _constants(jaxpr: Any, consts: Sequence[Any] = ()) -> Iterator[np.ndarray]:
    """The arrays in a program, at any depth; numbers are in its text."""
    if isinstance(jaxpr, ClosedJaxpr):
        jaxpr, consts = jaxpr.jaxpr, jaxpr.consts
    inner: list[Any] = [*consts]
    for eqn in jaxpr.eqns:
        inner += [var.val for var in eqn.invars if isinstance(var, Literal)]
        inner += jax.tree.leaves(list(eqn.params.values()))
    for each in inner:
        if isinstance(each, ClosedJaxpr | Jaxpr):
            yield from _constants(each)
        elif isinstance(each, jax.Array | np.ndarray):
            is_key = jnp.issubdtype(each.dtype, jax.dtypes.prng_key)
            yield np.asarray(jax.random.key_data(each) if is_key else each)


def _code(value: Any, around: tuple[Any, ...] = ()) -> Any:
    """What a function does and refers to, without the place where it stands."""
    if any(value is other for other in around):  # it calls itself
        return "itself"
    if isinstance(value, CodeType):
        constants = [_code(constant) for constant in value.co_consts]
        return [value.co_code.hex(), value.co_names, constants]
    if isinstance(value, frozenset):  # in another order in every process
        return sorted(map(repr, value))
    if not isinstance(value, FunctionType):
        return repr(value)
    more = [cell.cell_contents for cell in value.__closure__ or ()]
    more += [value.__defaults__, value.__kwdefaults__]
    return [_code(value.__code__), *(_code(each, (*around, value)) for each in more)]
