"""What is told once: habits and slips that give numbers, but not those that are meant.

One rule and one message each: probabilities where logits are taken, convolutions that a
CPU trains slowly, and noise that never acts.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, jaxprs_in_params

from jaxnoise.checks import warn, warn_once
from jaxnoise.metrics import TAKE_LOGITS
from jaxnoise.model import probabilities_by
from jaxnoise.results import RunResult
from jaxnoise.training.plan import Run


def taker_of_logits(functions: Iterable[Callable[..., Any]]) -> Any:
    """The first loss or metric of ours that takes logits; None without."""
    unwrapped = (inspect.unwrap(f, stop=TAKE_LOGITS.__contains__) for f in functions)
    return next((function for function in unwrapped if function in TAKE_LOGITS), None)


def check_logits(taker: Any, outputs: Jaxpr) -> None:
    """Say so if logits are taken from a model that ends in a sigmoid or a softmax."""
    if word := probabilities_by(outputs):
        name = f"jn{taker.__module__.removeprefix('jaxnoise')}.{taker.__name__}"
        warn_once(
            "model's outputs look like probabilities (its last operation is a "
            f"{word}), and {name} takes logits: leave the {word} out."
        )


def check_convolutions(run: Jaxpr) -> None:
    """Say so if a CPU is to train by XLA's gradients of convolutions.

    All of a sweep's training stands in loops, where these are slow. Values are not.
    """
    if jax.default_backend() == "cpu" and any(map(_is_slow, _equations(run))):
        warn_once(
            "the training loop has gradients of XLA convolutions, which are 5 to 100 "
            "times as slow on a CPU as need be; use jaxnoise.Conv in place of "
            "flax.linen.Conv."
        )


def _is_slow(eqn: JaxprEqn) -> bool:
    """Whether it sums over the rows, so that they are not its first axis."""
    convolution = eqn.primitive.name == "conv_general_dilated"
    return convolution and eqn.params["dimension_numbers"].lhs_spec[0] != 0


def _equations(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    """All, at any depth, but those of a choice by the platform, which is ours."""
    for eqn in jaxpr.eqns:
        yield eqn
        if not eqn.params.get("branches_platforms"):
            for inner in jaxprs_in_params(eqn.params):
                yield from _equations(inner)


def check_noise_acts(
    runs: Sequence[Run], results: Mapping[int, RunResult], named: Set[str]
) -> None:
    """Say so, once, if the strengths of a placement change nothing at all.

    One of several may do nothing: 0, a limit that is never reached, a small rate. If
    none does anything, or two placements were given none, something was forgotten.

    Args:
        runs: of a whole sweep.
        results: by the number of the run.
        named: the placements that were given strengths.
    """
    cells: dict[tuple[str, Any], list[Any]] = {}  # the bits of all its runs
    for i, run in enumerate(runs):
        cell = run.placement, tuple(jax.tree.leaves(run.strength))
        cells.setdefault(cell, []).append(_bits(results[i]))
    cells = {cell: bits for cell, bits in cells.items() if set(bits) != {None}}
    for placement in dict.fromkeys(placement for placement, _ in cells):
        levels = [(s, bits) for (p, s), bits in cells.items() if p == placement]
        (strength, first), *rest = levels
        if any(bits != first for _, bits in rest):
            continue
        acts = rest or any(strength)  # it has a strength to use
        twins = [
            p
            for (p, s), bits in cells.items()
            if p != placement and bits == first and not any(s)
            if acts or not {p, placement} & named
        ]
        if rest or twins:
            like = "the same at every strength" if rest else f"those of {twins[0]!r}"
            why = "strengths names neither, so that both ran at strength 0."
            if acts:
                why = "does its recipe use the strength?"
            return warn(f"the runs of {placement!r} are {like}, bit for bit: {why}")
    return None


def _bits(result: RunResult) -> Any:
    """What tells a run from others, to the last bit; None for one that diverged."""
    measured = [*result.metrics.items(), *result.curves.items()]
    bits = hash(tuple((name, np.asarray(x, float).tobytes()) for name, x in measured))
    return bits if result.finite else None
