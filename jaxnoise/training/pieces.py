"""Runs in pieces: what is done between them, and how they go on where they stopped.

A program that is cut has three `Parts`; between two calls of the second, the state of
its runs can be told of, kept and saved. The loop is that of the whole program: the
numbers are the same, bit for bit, wherever the cuts are.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.extend.core import jaxpr_as_fun
from jax.stages import Lowered

from jaxnoise.data import Data
from jaxnoise.results import RunResult
from jaxnoise.training.keys import key_of_seed, unrolled
from jaxnoise.training.plan import Pieces, Plan
from jaxnoise.training.recipe import RecipeFn, Settings
from jaxnoise.training.run import Carry, run_of

_shaped = jax.ShapeDtypeStruct


class Parts(NamedTuple):
    """The programs of a run in pieces, ``(data, at, seeds, given, live) -> carry``.

    ``at`` is ``(split, first, last)`` for `go_on`, else ``(split,)``; ``given`` is
    strengths and the leaves of a carry, but for `begin`. `end` gives a `RunResult`.
    """

    begin: Any
    go_on: Any
    end: Any


def lowered_parts(
    recipe: RecipeFn,
    settings: Settings,
    kept: Callable[[RunResult], RunResult],
    lower: Callable[..., Lowered],
    arguments: tuple[Any, ...],
) -> Parts:
    """The parts of the run with these arguments; ``kept`` is what leaves it."""

    def trace(part: str, *more: Any) -> tuple[Callable[..., Any], Any]:
        def function(arguments: tuple[Any, ...], *more: Any) -> Any:
            return getattr(run_of(recipe, settings, *arguments), part)(*more)

        jaxpr, shapes = jax.make_jaxpr(function, return_shape=True)(arguments, *more)
        flat, form = jaxpr_as_fun(unrolled(jaxpr)), jax.tree.structure(shapes)

        def run(seed: Any, given: Any, at: Any, data: Data) -> Any:
            (strength, *carry), (split, *bounds) = given, at
            arguments = key_of_seed(seed), strength, data, split, *carry, *bounds
            result = jax.tree.unflatten(form, flat(*jax.tree.leaves(arguments)))
            return kept(result) if part == "end" else result

        return run, shapes

    _, strength, data, split = arguments
    seed, epoch = _shaped((), np.uint32), _shaped((), np.int32)
    at = split, epoch, epoch
    begin, carry = trace("begin")
    go_on, _ = trace("go_on", *carry, epoch, epoch)
    given = strength, *jax.tree.leaves(carry)
    own: Sequence[bool] = [False] * (len(given) - 1)
    own = _own(begin, own, (seed, (strength,), (split,), data))
    own = _own(go_on, own, (seed, given, at, data))
    end, _ = trace("end", *carry)
    return Parts(
        lower(begin, vmapped(begin), (split,), (strength,)),
        lower(go_on, vmapped(go_on, own), at, given),
        lower(end, vmapped(end, own), (split,), given),
    )


def _own(
    run: Callable[..., Any], own: Sequence[bool], arguments: tuple[Any, ...]
) -> list[bool]:
    """Which leaves of what a part gives a run has of its own, if vmapped.

    Others, such as counts of steps, must not become its own on the way from part to
    part: the whole program computes with them once for all runs of a block, and that
    does not give the same bits.
    """
    found: list[bool] = []
    look = jax.custom_batching.custom_vmap(lambda leaves: leaves)

    @look.def_vmap
    def rule(size: int, batched: Any, leaves: Any) -> Any:
        found.extend(batched[0])
        return leaves, batched[0]

    def looked_at(*arguments: Any) -> Any:
        return look(jax.tree.leaves(run(*arguments)))

    _, given, *_ = arguments
    many = partial(vmapped(looked_at, own[: len(given) - 1]), live=None)
    two = jax.tree.map(lambda x: _shaped((2, *x.shape), x.dtype), arguments[:2])
    jax.eval_shape(many, *two, *arguments[2:])
    return found


def vmapped(run: Callable[..., Any], own: Sequence[bool] = ()) -> Callable[..., Any]:
    """``run`` vmapped; ``own`` says which leaves behind the strength each run has."""

    def many(seeds: Any, given: Any, split: Any, data: Data, live: Any) -> Any:
        if not own:
            return jax.vmap(run, (0, 0, None, None))(seeds, given, split, data)
        strengths, *carry = given
        once = [x if each else x[0] for x, each in zip(carry, own, strict=True)]
        axes = 0, *(0 if each else None for each in own)
        mapped = jax.vmap(run, (0, axes, None, None))
        return mapped(seeds, (strengths, *once), split, data)

    return many


class Saved(NamedTuple):
    """The state of some runs between two pieces.

    Attributes:
        done: the epochs that they have had.
        kept: the epochs of which there are variables.
        rows: the leaves of carry and kept variables, by number; a row a run.
    """

    done: int
    kept: list[int]
    rows: dict[str, np.ndarray]


@runtime_checkable
class States(Protocol):
    """Where the states of runs are kept, which are told by their numbers."""

    def save(self, ids: list[int], saved: Saved) -> None:
        """Instead of earlier ones of these runs."""

    def saved(self, ids: list[int], checkpoint: Any) -> Saved | None:
        """As it was saved, or None if that cannot be read."""


def outputs_in_pieces(
    parts: Parts,
    arguments: tuple[Any, ...],
    plan: Plan,
    pieces: Pieces,
    places: Mapping[int, int],
    states: States | None,
    checkpoint: Any,
) -> RunResult:
    """What one call of a whole program would give, and all that is done on the way.

    Args:
        parts: of the program, compiled.
        arguments: of the whole program.
        plan: of the sweep.
        pieces: of it.
        places: by the number of a run, its place among the slots of the call.
        states: where they are saved after each piece, or None.
        checkpoint: what they go on from, or None.
    """
    data, split, seeds, strengths, live = arguments
    ids = list(places)

    def run(part: str, carry: Carry | tuple[()] = (), *bounds: int) -> Any:
        at = (split, *(np.full(split.shape, bound, np.int32) for bound in bounds))
        given = (strengths, *jax.tree.leaves(carry))
        return getattr(parts, part)(data, at, seeds, given, live)

    kept: dict[int, Any] = {}
    carry, done = run("begin"), 0
    saved = states.saved(ids, checkpoint) if states and checkpoint else None
    if saved:
        carry, done, kept = _restored(saved, carry, places)
    for cut in pieces.cuts(plan.settings.epochs):
        if cut <= done:
            continue
        carry, done = run("go_on", carry, done, cut), cut
        if done in pieces.keep_at:
            kept[done] = jax.device_get(carry[0].variables)
        if states:
            states.save(ids, Saved(done, [*kept], _rows((carry, kept), places)))
        if pieces.on_metrics:
            table = pd.DataFrame([plan.runs[i].columns() for i in ids], index=ids)
            values = _rows(carry[1], places).values()
            last = done // plan.settings.metrics_every - 1
            latest = [value[:, last] for value in values]
            pieces.on_metrics(table, done, dict(zip(carry[1], latest, strict=True)))
    outputs: RunResult = jax.device_get(run("end", carry))
    return outputs._replace(variables_at={e: kept[e] for e in pieces.keep_at} or None)


def _rows(tree: Any, places: Mapping[int, int]) -> dict[str, np.ndarray]:
    """The leaves of runs on the host, by number."""
    leaves = jax.device_get([_bare(leaf) for leaf in jax.tree.leaves(tree)])
    at = [*places.values()]
    rows = [leaf.reshape(-1, *leaf.shape[2:])[at] for leaf in leaves]
    return {str(i): row for i, row in enumerate(rows)}


def _restored(
    saved: Saved, carry: Carry, places: Mapping[int, int]
) -> tuple[Carry, int, dict[int, Any]]:
    """Carry, epochs done and kept variables, in the form of a carry."""
    like = carry, dict.fromkeys(saved.kept, carry[0].variables)
    leaves, form = jax.tree.flatten(like)
    row = np.zeros(np.prod(leaves[0].shape[:2]), int)  # others are as the first run
    row[[*places.values()]] = range(len(places))

    def fill(leaf: Any, rows: np.ndarray) -> Any:
        bare = _bare(leaf)
        lacks = zip(bare.shape[2:], rows.shape[1:], strict=True)  # epochs of curves
        rows = np.pad(rows, [(0, 0), *((0, want - have) for want, have in lacks)])
        filled: Any = rows[row].reshape(bare.shape)
        if bare is leaf:
            return filled
        return jax.random.wrap_key_data(filled, impl=jax.random.key_impl(leaf))

    every = [fill(x, saved.rows[str(i)]) if x.size else x for i, x in enumerate(leaves)]
    carry, kept = jax.tree.unflatten(form, every)
    return carry, saved.done, kept


def _bare(leaf: Any) -> Any:
    """A leaf as files hold it: keys as their numbers."""
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf
