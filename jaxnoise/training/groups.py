"""Runs of one seed and split as one program: what they have in common is done once.

Paired runs differ in their strength, so that keys, the order of the rows and all unit
noise are the same in them: most of a small network's step. `grouped` divides the traced
run by what depends on the strength, directly or through the weights that it leads to,
and what does not. Of some steps of its innermost loop the second part is done once, and
then the first by one run after the other: a recipe knows nothing of it, and the numbers
are those of the run alone, bit for bit.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import (
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    Literal,
    Var,
    jaxpr_as_fun,
    jaxprs_in_params,
)
from jaxtyping import Array, Bool

from jaxnoise.training.plan import Run

MOST = 8  # runs of a group: by then the draws are a small part of a step
WORTH = 16  # products of a step, at most, for each number that is drawn in it
GROUP_WEIGHTS = 2**17  # of its runs: with Adam's moments they fit a core's cache
GROUP_PRODUCTS = 2**39  # of all its steps, a minute or two: when its results come
STEPS_BYTES = 2**19  # of what is drawn for some steps: it stays in a cache, too
STEPS = 16  # at most, between which a run's weights are put aside


def have_others(runs: Sequence[Run]) -> bool:
    """Whether there are several of a seed and split."""
    return len(runs) > len({(run.seed, run.split) for run in runs})


class Group:
    """A traced run for a group of them.

    Args:
        jaxpr: of one; it takes the leaves of a key, a strength, and what is the same.
        strength: a tree of so many leaves.
        loops: how deep the run's own loops are nested; those inside of a step are not
            divided.
    """

    def __init__(self, jaxpr: ClosedJaxpr, strength: Any, loops: int):
        own = [OWN] * len(jax.tree.leaves(strength))
        same = [PLAIN] * (len(jaxpr.jaxpr.invars) - 1 - len(own))
        self._level = _Level(jaxpr, [DRAWN, *own, *same], loops)

    def is_worth(self, weights: int, products: int, steps: int) -> bool:
        """Whether it takes less time than runs alone, and not too much at once.

        Args:
            weights: that a run carries from step to step.
            products: of a step, of its rows with weights.
            steps: of a run.
        """
        fits = (
            MOST * weights <= GROUP_WEIGHTS
            and MOST * products * steps <= GROUP_PRODUCTS
        )
        inside = self._level.inside.values()
        drawn = max((level.most_drawn for level in inside), default=0)
        return fits and WORTH * drawn >= products

    def __call__(self, live: Bool[Array, " run"], *arguments: Any) -> list[Any]:
        """All results; they have an axis of runs, first, as strengths do.

        Runs that are not ``live`` take no time.
        """
        both = zip(self._level.results(arguments, live), self._level.ends, strict=True)
        return [_stacked(x, self._level.mark(end), live.size) for x, end in both]


class Mark(IntEnum):
    """What a value depends on; what depends on several has the greatest mark.

    `PLAIN` values depend on neither, such as counts of steps. They are computed where
    they are used, with the same operations around them as in a run alone, for these
    decide how the compiler rounds.
    """

    PLAIN = 0
    DRAWN = 1  # on the key, and so on the same draws in all runs
    OWN = 2  # on what each run has of its own


PLAIN, DRAWN, OWN = Mark
Values = dict[Any, Any]  # by name


class _Level:
    """The equations of a jaxpr: those that are done once, and those of each run.

    Plain ones may be both. Plain results are of the first, and those that a loop
    carries, whose places ``carry`` tells, of the second, too.
    """

    def __init__(
        self,
        closed: ClosedJaxpr,
        marks: Sequence[Mark],
        loops: int,
        carry: tuple[int, int] = (0, 0),
    ):
        closed = _inlined(closed)
        self.jaxpr, self.loops, self.ends = closed.jaxpr, loops, closed.jaxpr.outvars
        self.names, self.carry = self.jaxpr.invars, carry
        self.consts = _named(self.jaxpr.constvars, closed.consts)
        self.marks = _marked(self.jaxpr, marks)
        carried = self.ends[: carry[1] - carry[0]]
        plain = [atom for atom in carried if self.mark(atom) == PLAIN]
        own = [atom for atom in self.ends if self.mark(atom) == OWN]
        self.mine, used = self._behind([*own, *plain], DRAWN)
        self.drawn = [name for name in used if self.marks[name] == DRAWN]
        self.inside = {
            i: self._body(e) for i, e in enumerate(self.mine) if self._is_divided(e)
        }
        inside = [atom for i in self.inside for atom in self.mine[i].invars]
        shared = [atom for atom in [*self.ends, *inside] if self.mark(atom) != OWN]
        self.once, _ = self._behind([*shared, *self.drawn], OWN)

    def _behind(
        self, ends: list[Any], without: Mark
    ) -> tuple[list[JaxprEqn], list[Var]]:
        """The equations behind some results, none of a mark; and all that they use."""
        used = dict.fromkeys(_names(ends))
        found: list[JaxprEqn] = []
        for eqn in reversed(self.jaxpr.eqns):
            needed = any(name in used for name in eqn.outvars)
            if needed and max(map(self.mark, eqn.outvars)) != without:
                found.insert(0, eqn)
                used |= dict.fromkeys(_names(eqn.invars))
        return found, list(used)

    def mark(self, atom: Any) -> Mark:
        """That of a name or literal."""
        return PLAIN if isinstance(atom, Literal) else self.marks[atom]

    @property
    def drawn_in_step(self) -> list[Var]:
        """What is drawn in a step of a loop and used by each run."""
        there = {
            *self.consts,
            *self.names[: self.carry[0]],
            *self.names[self.carry[1] :],
        }
        return [name for name in self.drawn if name not in there]

    @property
    def most_drawn(self) -> int:
        """The most numbers that are drawn in a step of an innermost loop."""
        if self.inside:
            return max(level.most_drawn for level in self.inside.values())
        avals: list[Any] = [name.aval for name in self.drawn_in_step]
        return sum(aval.size for aval in avals)

    def _is_divided(self, eqn: JaxprEqn) -> bool:
        """Whether it is a loop with draws inside that all runs share."""
        if eqn.primitive is not lax.scan_p or not self.loops or eqn.params["reverse"]:
            return False
        _, last = _carried(eqn)
        return _draws(eqn) and OWN not in map(self.mark, eqn.invars[last:])

    @property
    def results_marks(self) -> list[Mark]:
        """Those of the results of a loop of which it is the body."""
        first, last = self.carry
        carried = [self.marks[name] for name in self.names[first:last]]
        return [*carried, *map(self.mark, self.ends[last - first :])]

    def run(
        self, eqns: list[JaxprEqn], values: Values, later: Sequence[JaxprEqn] = ()
    ) -> Values:
        """What some equations add to the values for later ones and the results."""
        made = dict.fromkeys(name for eqn in eqns for name in eqn.outvars)
        ends = [*self.ends, *(atom for eqn in later for atom in eqn.invars)]
        wanted = {*_names(ends), *self.drawn}
        inputs = [name for name in _used(eqns) if name not in made]
        outputs = [name for name in made if name in wanted]
        names: dict[str, Any] = {"constvars": [], "invars": inputs, "outvars": outputs}
        block = ClosedJaxpr(self.jaxpr.replace(eqns=eqns, **names), [])
        found = jaxpr_as_fun(block)(*(values[name] for name in inputs))
        return _named(outputs, found)

    def results(self, arguments: Sequence[Any], live: Any) -> list[Any]:
        """What the jaxpr gives; what is `OWN` has an axis of runs, first."""
        values = self.consts | _named(self.names, arguments)
        own = {n: x for n, x in values.items() if self.marks[n] == OWN}
        values |= self.run(self.once, values, self.mine)
        pending: list[JaxprEqn] = []
        for i, eqn in enumerate(self.mine):
            if i not in self.inside:
                pending.append(eqn)
                continue
            own |= self._each(pending, values, own, self.mine[i:], live)
            own |= _named(eqn.outvars, self._loop(i, values, own, live))
            pending = []
        own |= self._each(pending, values, own, [], live)
        return [_value(a, own if self.mark(a) == OWN else values) for a in self.ends]

    def _each(
        self,
        eqns: list[JaxprEqn],
        values: Values,
        own: Values,
        later: list[JaxprEqn],
        live: Any,
    ) -> Values:
        """These equations for one run after the other."""
        used, found = {*_used(eqns)}, list[Var]()
        mine = [name for name in own if name in used]

        def one(leaves: list[Any]) -> list[Any]:
            made = self.run(eqns, values | _named(mine, leaves), later)
            found[:] = made
            return list(made.values())

        leaves = _by_run(one, live, [own[name] for name in mine])
        return _named(found, leaves)

    def _body(self, eqn: JaxprEqn) -> "_Level":
        marks = _of_loop(eqn, list(map(self.mark, eqn.invars)))
        return _Level(eqn.params["jaxpr"], marks, self.loops - 1, _carried(eqn))

    def _loop(self, place: int, values: Values, own: Values, live: Any) -> list[Any]:
        """The results of a loop."""
        eqn, level = self.mine[place], self.inside[place]
        given = []
        for atom, name in zip(eqn.invars, level.names, strict=True):
            here = self.mark(atom)
            x = _value(atom, own if here == OWN else values)
            given.append(
                _stacked(x, here, live.size) if level.marks[name] == OWN else x
            )
        kind = _Outer if level.inside else _Innermost
        results = kind(level, given, eqn.params["length"], live).results()
        both = zip(results, level.results_marks, strict=True)
        return [_stacked(x, mark, live.size) for x, mark in both]


class _Outer:
    """A loop for a group of runs, step by step."""

    def __init__(self, level: _Level, given: list[Any], length: int, live: Any):
        self.level, self.given, self.length, self.live = level, given, length, live
        self.marks = [level.marks[name] for name in level.names]
        self.first, self.last = level.carry
        self.count = self.last - self.first

    def results(self) -> list[Any]:
        """What the loop carries in the end, and what its steps give."""
        first, last = self.first, self.last
        state, along = lax.scan(
            self.step, self.given[first:last], self.given[last:], length=self.length
        )
        ends = map(self.level.mark, self.level.ends[self.count :])
        both = zip(along, ends, strict=True)
        return [*state, *(jnp.swapaxes(x, 0, 1) if m == OWN else x for x, m in both)]

    def step(self, state: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
        """One step; what is `OWN` has an axis of runs, first."""
        given = [*self.given[: self.first], *state, *x]
        found = self.level.results(given, self.live)
        ends = map(self.level.mark, self.level.ends)
        marks = self.marks[self.first : self.last]
        state = [
            _stacked(x, end, self.live.size) if mark == OWN else x
            for x, end, mark in zip(found, ends, marks, strict=False)
        ]
        return state, found[self.count :]


class _Innermost(_Outer):
    """The same, some steps at a time: once for all, then for one run after the other.

    Carried values and results are told by their places.
    """

    def results(self) -> list[Any]:
        """What the loop carries in the end, and what its steps give."""
        length, ends = self.length, self.level.ends
        steps = self._steps()
        along = {
            i: x.reshape(length // steps, steps, *x.shape[1:])
            for i, x in enumerate(self.given[self.last :], self.last)
        }
        start = {i: self.given[i] for i in range(self.first, self.last)}
        state, (once, own) = lax.scan(self.chunk, start, along, length=length // steps)
        outputs = {i: x.reshape(length, *x.shape[2:]) for i, x in once.items()}
        for i, x in own.items():
            runs_first = jnp.swapaxes(x, 0, 1)
            outputs[i] = runs_first.reshape(-1, length, *x.shape[3:])
        return [*state.values(), *(outputs[i] for i in range(self.count, len(ends)))]

    def chunk(self, state: Values, x: Values) -> Any:
        """Some steps."""
        steps = self._steps()
        own = {i: x for i, x in state.items() if self.marks[i] == OWN}
        plain = {i: x for i, x in state.items() if self.marks[i] == PLAIN}
        once = {i: x for i, x in state.items() if i not in own}
        once, (drawn, outputs) = lax.scan(self.draw, once, x, length=steps)
        consts = {i: self.given[i] for i in range(self.first) if self.marks[i] == OWN}

        def one(mine: tuple[Values, Values]) -> Any:
            known, start = mine
            act = partial(self.act, known)
            end, outputs = lax.scan(act, plain | start, (x, drawn), length=steps)
            return {i: end[i] for i in start}, outputs

        own, own_outputs = _by_run(one, self.live, (consts, own))
        return once | own, (outputs, own_outputs)

    def draw(self, state: Values, x: Values) -> Any:
        """What is once in a step, and what each run needs of it."""
        values = self._values(state | x)
        values |= self.level.run(self.level.once, values, self.level.mine)
        drawn = [values[name] for name in self.level.drawn_in_step]
        return self._ends(state, values), (drawn, self._outputs(values, own=False))

    def act(self, known: Values, state: Values, given: tuple[Values, list[Any]]) -> Any:
        """What one run does in a step."""
        x, drawn = given
        values = self._values(known | state | x)
        values |= _named(self.level.drawn_in_step, drawn)
        values |= self.level.run(self.level.mine, values)
        return self._ends(state, values), self._outputs(values, own=True)

    def _values(self, known: Values) -> Values:
        """By name, with what is the same in all steps."""
        same = {i: self.given[i] for i in range(self.first) if self.marks[i] != OWN}
        names = self.level.names
        return self.level.consts | {names[i]: x for i, x in (same | known).items()}

    def _ends(self, state: Values, values: Values) -> Values:
        """What is carried on."""
        return {i: _value(self.level.ends[i - self.first], values) for i in state}

    def _outputs(self, values: Values, own: bool) -> Values:
        ends = self.level.ends
        return {
            i: _value(ends[i], values)
            for i in range(self.count, len(ends))
            if (self.level.mark(ends[i]) == OWN) == own
        }

    def _steps(self) -> int:
        """How many go together: a divisor of all, as their draws take memory."""
        avals: list[Any] = [name.aval for name in self.level.drawn_in_step]
        size = sum(aval.size * aval.dtype.itemsize for aval in avals)
        most = max(1, min(STEPS, STEPS_BYTES // max(size, 1)))
        return max(n for n in range(1, most + 1) if self.length % n == 0)


def zeros_of(function: Callable[..., Any], *arguments: Any) -> Any:
    """Zeros in place of what it returns."""
    shapes = jax.eval_shape(function, *arguments)
    return jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)


def _by_run(one: Callable[[Any], Any], live: Any, own: Any) -> Any:
    """What a function returns of each live run's own arguments."""

    def maybe(given: Any) -> Any:
        is_live, mine = given
        return lax.cond(is_live, one, partial(zeros_of, one), mine)

    return lax.map(maybe, (live, own))


def _stacked(x: Any, mark: Mark, size: int) -> Any:
    """With an axis of runs, first."""
    return x if mark == OWN else jnp.broadcast_to(x, (size, *jnp.shape(x)))


def _named(names: Iterable[Var], values: Iterable[Any]) -> Values:
    return dict(zip(names, values, strict=True))


def _value(atom: Any, values: Values) -> Any:
    return atom.val if isinstance(atom, Literal) else values[atom]


def _names(atoms: Iterable[Any]) -> list[Var]:
    return [atom for atom in atoms if not isinstance(atom, Literal)]


def _used(eqns: Iterable[JaxprEqn]) -> dict[Var, None]:
    return dict.fromkeys(_names(atom for eqn in eqns for atom in eqn.invars))


def _carried(eqn: JaxprEqn) -> tuple[int, int]:
    """Where what a loop carries is among its arguments: from, and up to."""
    first = eqn.params["num_consts"]
    return first, first + eqn.params["num_carry"]


def _draws(eqn: JaxprEqn) -> bool:
    """Whether something random is inside."""
    inside = (each for jaxpr in jaxprs_in_params(eqn.params) for each in jaxpr.eqns)
    return eqn.primitive.name.startswith("random_") or any(map(_draws, inside))


def _inlined(closed: ClosedJaxpr) -> ClosedJaxpr:
    """With what calls that draw do in their place, so that it can be divided."""
    shapes = [
        jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)
        for aval in closed.in_avals
    ]
    return jax.make_jaxpr(partial(_evaluated, closed))(*shapes)


def _evaluated(closed: ClosedJaxpr, *arguments: Any) -> list[Any]:
    jaxpr = closed.jaxpr
    values = _named([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *arguments])
    for eqn in jaxpr.eqns:
        given = [_value(atom, values) for atom in eqn.invars]
        if eqn.primitive.name in ("jit", "pjit") and _draws(eqn):
            found = _evaluated(eqn.params["jaxpr"], *given)
        else:
            names: dict[str, Any] = {"constvars": [], "invars": list(_used([eqn]))}
            one = jaxpr.replace(eqns=[eqn], outvars=eqn.outvars, **names)
            known = [values[name] for name in names["invars"]]
            found = jaxpr_as_fun(ClosedJaxpr(one, []))(*known)
        values |= _named(eqn.outvars, found)
    return [_value(atom, values) for atom in jaxpr.outvars]


def _marked(jaxpr: Jaxpr, marks: Sequence[Mark]) -> dict[Var, Mark]:
    """The marks of all names, by those of the arguments."""
    found = dict.fromkeys(jaxpr.constvars, PLAIN)
    found |= dict(zip(jaxpr.invars, marks, strict=True))
    for eqn in jaxpr.eqns:
        given = [PLAIN if isinstance(a, Literal) else found[a] for a in eqn.invars]
        found |= dict.fromkeys(eqn.outvars, max(given, default=PLAIN))
    return found


def _outputs(eqn: JaxprEqn, given: list[Mark]) -> list[Mark]:
    """The marks of what a step of a loop gives."""
    jaxpr = eqn.params["jaxpr"].jaxpr
    found = _marked(jaxpr, given)
    return [PLAIN if isinstance(a, Literal) else found[a] for a in jaxpr.outvars]


def _of_loop(eqn: JaxprEqn, given: list[Mark]) -> list[Mark]:
    """The marks of what a loop takes, with those of what it carries after its steps."""
    first, last = _carried(eqn)
    while True:
        carried = list(map(max, given[first:last], _outputs(eqn, given)))
        if carried == given[first:last]:
            return given
        given = [*given[:first], *carried, *given[last:]]
