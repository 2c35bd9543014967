"""Attacks: the worst change of an input within a radius, as far as gradients find it.

An accuracy under attack is an upper bound of that under the worst change: a stronger
attack may lie below. Only a certificate, see `jaxnoise.certify`, bounds it from below.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array, Float

from jaxnoise.checks import check_count, check_function, shown, single_key
from jaxnoise.metrics import is_binary
from jaxnoise.model import as_model
from jaxnoise.robustness.asked import (
    Asked,
    as_asked,
    as_points,
    by_devices,
    classes_of,
    decided,
    rows_of,
)
from jaxnoise.robustness.averaging import check_noisy, check_stateless

Bounds = tuple[int | float, int | float]
AT_ONCE = 256  # rows, which bounds memory
REACH = 2.5  # radii that all steps together go
FLAT = 0.01  # of the rows that may be right where there is no gradient
NORMS = ("linf", "l2")
KEYED = "a function (key, x) -> logits, or a trained model with noise of its own"
CAUTIONS = {
    "more steps": "Twice as many steps find more: take more steps.",
    "larger radius": "Twice the radius finds less: gradients lead astray.",
    "white noise": "White noise of that size finds more: gradients are masked.",
    "zero gradient": "Rows have no gradient at all: gradients are masked.",
}


@dataclass(frozen=True, eq=False, repr=False)
class Attack:
    """What `attack` returns.

    Attributes:
        rows: a row a point: ``label``, and the shares of draws that are right on the
            point itself, ``clean``, and on the changed one, ``mean``; ``worst`` is 1
            where all draws are right.
        adversarial: the changed points.
        checks: a row a check: its ``accuracy``, the ``difference`` to that of the
            attack, and whether it has ``passed``. Of "zero gradient" the difference is
            the share of rows that are right and have none.
        caution: what failed checks say; empty where all have passed.
    """

    rows: pd.DataFrame
    adversarial: np.ndarray
    checks: pd.DataFrame
    caution: str

    @property
    def accuracy(self) -> dict[str, float]:
        """The accuracy clean, and under attack the mean over draws and the worst."""
        return self.rows[["clean", "mean", "worst"]].mean().to_dict()

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {each:.4f}" for name, each in self.accuracy.items())
        lines = [f"accuracy: {told}", self.checks.to_string(index=False)]
        return "\n".join([*lines, *filter(None, [self.caution])])


def attack(
    model: Any,
    data: Any,
    *,
    norm: str,
    radius: float,
    key: Array,
    steps: int = 20,
    restarts: int = 5,
    draws: int | None = None,
    bounds: Bounds | None = None,
) -> Attack:
    """Return how a model fares on the worst changes that gradients find.

    Steps go up the mean over draws of ``log sum_(j != y) exp(z_j) - z_y``, z the logits
    and y the label. Its gradient has the direction of that of the cross-entropy, and
    does not vanish where a model is sure. One step is the fast gradient sign method,
    more are projected gradient descent, each of 2.5 radii over their number. Of all
    points on the way the worst is taken, and judged by fresh draws.

    Args:
        model: a function ``x -> logits``, of shape (rows, classes), or (rows, 1) where
            above 0 is class 1, that JAX can trace; or a trained model such as `refit`
            returns. With ``draws`` a function ``(key, x) -> logits``, or a trained
            model, whose noise is left on.
        data: a pair of x, finite floats, and labels; or a `Data`, of which the set
            "population" is taken, else "test".
        norm: "linf" or "l2", over all of a row.
        radius: of the ball around each row, in units of x.
        key: a typed key.
        steps: of each attack.
        restarts: attacks, of which the worst counts: the first starts at the row,
            others at random ends of the ball.
        draws: of noise, over which gradients and judgements go; None is the clean pass.
        bounds: the least and the largest value that x may have, such as (0, 1).

    Returns:
        An `Attack`. Its checks ask whether gradients can be believed: twice the steps,
        and white noise of that size, as often as there are steps, must not find more,
        and twice the radius not less, by more than two standard errors. 256 rows are in
        memory at a time.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if x, labels, logits or a number is out of range, or there is no
            noise to leave on.

    Reference: I. Goodfellow, J. Shlens and C. Szegedy, "Explaining and harnessing
        adversarial examples", ICLR 2015; A. Madry et al., "Towards deep learning models
        resistant to adversarial attacks", ICLR 2018; for noise and for the checks A.
        Athalye, N. Carlini and D. Wagner, "Obfuscated gradients give a false sense of
        security", ICML 2018.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jax.random.uniform(jax.random.key(0), (1000, 1), minval=-1)
        >>> ask = {"norm": "l2", "radius": 0.25, "key": jax.random.key(1)}
        >>> found = jn.attack(lambda x: x, (x, x > 0), **ask)
        >>> bool((found.rows["worst"] == (abs(x[:, 0]) > 0.25)).all())  # as it must be
        True
        >>> found.caution
        ''
    """
    for name, count in {"steps": steps, "restarts": restarts}.items():
        check_count(name, count)
    if norm not in NORMS:
        raise ValueError(f'norm must be "linf" or "l2", got {shown(norm)}.')
    if isinstance(radius, str) or not 0 < radius < np.inf:
        raise ValueError(f"radius must be finite and > 0, got {shown(radius)}.")
    (x, y), key = rows_of(data), single_key(key)
    x = as_points("x", x)
    low, high = _bounds(bounds, x)
    outputs, variables, classes = _outputs(model, x, draws, key)
    y = _labels(y, len(x), classes)
    program = _Search(outputs, norm, draws or 1)
    rows = _blocks((x, y))
    found = {}
    for name, asked in _asked(radius, steps, restarts).items():
        parts = by_devices(program, (variables, key, low, high, asked), rows)
        found[name] = [part.reshape(-1, *part.shape[2:])[: len(x)] for part in parts]
    adversarial, clean, right, flat = found.pop("attack")
    shares = {"clean": clean.mean(1), "mean": right.mean(1), "worst": right.all(1)}
    table = pd.DataFrame({"label": np.asarray(y)} | shares).astype({"worst": float})
    others = {name: parts[2].mean(1) for name, parts in found.items()}
    stuck = flat & (shares["mean"] > 0)
    checks = _checked(shares["mean"], others, stuck.mean())
    failed = checks.loc[~checks["passed"], "check"]
    return Attack(
        table, adversarial, checks, " ".join(CAUTIONS[check] for check in failed)
    )


def _asked(radius: float, steps: int, restarts: int) -> dict[str, Any]:
    """Radius, steps and restarts of the attack and its checks, and whether at rows."""
    return {
        "attack": (radius, steps, restarts, True),
        "more steps": (radius, 2 * steps, restarts, True),
        "larger radius": (2 * radius, steps, restarts, True),
        "white noise": (radius, 0, (steps + 1) * restarts, False),
    }


@dataclass(frozen=True)
class _Noisy:
    """The pass of training, with noise, of a model of the protocol."""

    model: Any

    def __call__(self, variables: Any, key: Array, x: Array) -> Any:
        return as_model(self.model).apply(variables, x, train=True, key=key)[0]


@dataclass(frozen=True)
class _Keyed:
    """A user's function of a key."""

    function: Callable[[Array, Any], Any]

    def __call__(self, _: Any, key: Array, x: Array) -> Any:
        return self.function(key, x)


@dataclass(frozen=True)
class _Quiet:
    """A pass without noise."""

    apply: Callable[[Any, Any], Any]

    def __call__(self, variables: Any, _: Array, x: Array) -> Any:
        return self.apply(variables, x)


@dataclass(frozen=True)
class _Search:
    """Of blocks of rows the worst points found, and how they and the rows fare."""

    outputs: Callable[..., Any]  # (variables, key, x) -> logits
    norm: str
    draws: int

    def __call__(self, whole: Any, blocks: Any) -> Any:
        variables, key, low, high, (radius, steps, restarts, at_rows) = whole
        pace = jnp.where(steps > 1, REACH / jnp.maximum(steps, 1), 1) * radius

        def of_block(block: Any) -> Any:
            place, x, y = block
            searching, judging = jax.random.split(jax.random.fold_in(key, place))
            measure = partial(self.measured, variables, y)

            def within(at: Array) -> Array:
                return jnp.clip(x + self.inside(at - x, radius), low, high)

            def attempt(number: Any, best: Any) -> Any:
                own, first = jax.random.split(jax.random.fold_in(searching, number))
                off = radius * self.direction(jax.random.normal(first, x.shape))
                start = jnp.where((number == 0) & at_rows, x, within(x + off))

                def step(count: Any, state: Any) -> Any:
                    at, best = state
                    *values, uphill = measure(jax.random.fold_in(own, count), at)
                    best = _worse(best, (at, *values))
                    return within(at + pace * self.direction(uphill)), best

                return lax.fori_loop(0, steps + 1, step, (start, best))[1]

            none = jnp.full(len(x), -jnp.inf)
            found = lax.fori_loop(0, restarts, attempt, (x, none, none))[0]
            keys = jax.random.split(judging, self.draws)
            right = partial(self.right, variables, y, keys)
            flat = measure(judging, x)[2].reshape(len(x), -1) == 0
            return found, right(x), right(found), flat.all(1)

        return lax.map(of_block, blocks)

    def measured(self, variables: Any, y: Array, key: Array, at: Array) -> Any:
        """Means over draws of what is wrong, how far, and the way uphill."""

        def excess(at: Array, key: Array) -> tuple[Array, Any]:
            logits = self.outputs(variables, key, at)
            far = _excess(logits, y)
            return far.sum(), (far, decided(logits) != y)

        def of_draw(key: Array) -> Any:
            (_, (far, wrong)), uphill = jax.value_and_grad(excess, has_aux=True)(
                at, key
            )
            return wrong.astype(far.dtype), far, uphill

        def add(total: Any, key: Array) -> Any:
            return jax.tree.map(jnp.add, total, of_draw(key)), None

        first, *others = jax.random.split(key, self.draws)
        total = of_draw(first)
        if others:
            total, _ = lax.scan(add, total, jnp.stack(others))
        return jax.tree.map(lambda each: each / self.draws, total)

    def right(self, variables: Any, y: Array, keys: Array, at: Array) -> Array:
        """Of each row and draw whether it is right."""
        by = lax.map(lambda key: decided(self.outputs(variables, key, at)) == y, keys)
        return by.T

    def direction(self, gradient: Array) -> Array:
        """The direction in which a ball of this norm is left fastest, 0 for none."""
        if self.norm == "linf":
            return jnp.sign(gradient)
        return gradient / jnp.maximum(_length(gradient), jnp.finfo(gradient.dtype).tiny)

    def inside(self, change: Array, radius: Array) -> Array:
        """The change, drawn back into the ball."""
        if self.norm == "linf":
            return jnp.clip(change, -radius, radius)
        return change * jnp.minimum(1, radius / jnp.maximum(_length(change), radius))


def _length(x: Array) -> Array:
    """The Euclidean length of every row."""
    axes = tuple(range(1, x.ndim))
    largest = abs(x).max(axes, keepdims=True)  # squares of small ones would be 0
    size = jnp.where(largest > 0, largest, 1)
    return size * jnp.sqrt(((x / size) ** 2).sum(axes, keepdims=True))


def _excess(logits: Array, y: Array) -> Float[Array, " rows"]:
    """How far the other classes are ahead of the label."""
    if is_binary(logits):
        return (1 - 2 * y) * logits.reshape(-1)
    own = y[:, None] == jnp.arange(logits.shape[1])
    others = jnp.where(own, -jnp.inf, logits)
    return jax.nn.logsumexp(others, axis=1) - jnp.where(own, logits, 0).sum(1)


def _worse(best: Any, other: Any) -> Any:
    """Of two points of each row the one that is wrong more often, or further."""
    (_, wrong, far), (_, more, further) = best, other
    take = (more > wrong) | ((more == wrong) & (further > far))

    def of(old: Array, new: Array) -> Array:
        return jnp.where(take.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    return jax.tree.map(of, best, other)


def _outputs(model: Any, x: Array, draws: Any, key: Array) -> tuple[Any, Any, int]:
    """The outputs that are attacked, their variables, and the number of classes."""
    if draws is None:
        asked = as_asked(model)
        return _Quiet(asked.apply), asked.variables, classes_of(asked, x[:AT_ONCE])
    check_count("draws", draws)
    if trained := hasattr(model, "model") and hasattr(model, "variables"):
        check_stateless(model)
    else:
        check_function("model", model, KEYED, 2)
    outputs: Any = _Noisy(model.model) if trained else _Keyed(model)
    variables = model.variables if trained else None
    check_noisy(lambda key: outputs(variables, key, x[:1]), key)
    once = Asked(lambda variables, x: outputs(variables, key, x), variables)
    return outputs, variables, classes_of(once, x[:AT_ONCE])


def _labels(y: Array, rows: int, classes: int) -> Array:
    labels = y.reshape(-1)
    if len(labels) != rows or not jnp.isin(labels, jnp.arange(classes)).all():
        raise ValueError(
            f"data must have a label a row, from 0 to {classes - 1}, "
            f"got targets of shape {y.shape} from {y.min()} to {y.max()}."
        )
    return labels.astype(jnp.int32)


def _bounds(bounds: Any, x: Array) -> Bounds:
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    if not low <= float(x.min()) <= float(x.max()) <= high:
        raise ValueError(
            f"bounds must hold all of x, {float(x.min()):g} to {float(x.max()):g}, "
            f"got {shown(bounds)}."
        )
    return low, high


def _blocks(rows: Any) -> Any:
    """Numbered blocks of rows, the last filled up with the first rows."""
    count = len(rows[0])
    size = min(count, AT_ONCE)
    blocks = -(-count // size)
    places = np.arange(blocks * size).reshape(blocks, size) % count
    return np.arange(blocks), *(row[places] for row in rows)


def _checked(right: np.ndarray, others: dict[str, Any], flat: float) -> pd.DataFrame:
    """Whether others find more than the attack, or with a larger radius less."""
    table = []
    for name, other in others.items():
        off = other - right
        wrong = off if name == "larger radius" else -off
        error = wrong.std() / np.sqrt(len(wrong))
        passed = bool(wrong.mean() <= 2 * error)
        table.append((name, other.mean(), off.mean(), passed))
    table.append(("zero gradient", np.nan, flat, flat <= FLAT))
    return pd.DataFrame(table, columns=["check", "accuracy", "difference", "passed"])
