"""The parameters of estimators: what they may be, and which of them are traced."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxnoise.checks import is_count, shown
from jaxnoise.estimators.recipe import ACTIVATIONS, OPTIMIZERS

NOISES = (
    "input_noise",
    "hidden_noise",
    "activation_noise",
    "weight_noise",
    "gradient_noise",
    "label_noise",
)
ALWAYS = ("alpha", "learning_rate_init")  # in every program, 0 or not
TRACED = (*NOISES, "dropout", "max_norm", *ALWAYS)  # of which no value compiles anew
RATES = {"label_noise": "from 0 to 1", "dropout": "from 0 to below 1"}
ABOVE_0 = ("learning_rate_init", "max_norm")
FLAGS = ("early_stopping", "warm_start")
COUNTS = ("max_epochs", "n_iter_no_change", "n_ensemble")


def check_parameters(estimator: Any, rates: Sequence[str]) -> None:
    """Refuse what a parameter cannot be, in words that name it.

    Args:
        estimator: whose parameters they are.
        rates: those that are probabilities.
    """
    given = estimator.get_params(deep=False)
    for name, value in given.items():
        if name in TRACED and not (name == "max_norm" and value is None):
            _check_number(name, value, name in rates)
        elif name in FLAGS and not isinstance(value, bool | np.bool_):
            raise TypeError(f"{name} must be True or False, got {shown(value)}.")
        elif name in COUNTS and not is_count(value):
            raise ValueError(f"{name} must be an int of at least 1, got {value!r}.")
        elif name in CHECKS:
            fits, expected = CHECKS[name]
            if not fits(value):
                raise ValueError(f"{name} must be {expected}, got {shown(value)}.")


def _check_number(name: str, value: Any, rate: bool) -> None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number:
        raise TypeError(f"{name} must be a number, got {shown(value)}.")
    expected = RATES[name] if rate else "finite and >= 0"
    fits = 0 <= value < np.inf and not (rate and value > 1)
    if name in ABOVE_0:
        expected, fits = "finite and above 0", 0 < value < np.inf
    if not fits or name == "dropout" and value == 1:
        raise ValueError(f"{name} must be {expected}, got {value}.")


def numbers_of(estimator: Any) -> dict[str, Any]:
    """What the estimator's recipe gets: all but the noise that is off."""
    given = estimator.get_params(deep=False)
    numbers: dict[str, Any] = {
        name: float(given[name])
        for name in TRACED
        if given.get(name) and (name not in ALWAYS)
    }
    numbers |= {name: float(given[name]) for name in ALWAYS}
    return numbers


def widths_of(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """The widths of hidden layers, of which one may be given as an int."""
    if is_count(hidden_layer_sizes):
        return (int(hidden_layer_sizes),)
    return tuple(map(int, hidden_layer_sizes))


def _are_widths(value: Any) -> bool:
    several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    return is_count(value) or (several and all(map(is_count, value)))


def _named(known: Mapping[str, Any]) -> Callable[[Any], bool]:
    return lambda value: value in known if isinstance(value, str) else callable(value)


def _is_optimizer(value: Any) -> bool:
    if isinstance(value, str):
        return value in OPTIMIZERS
    return hasattr(value, "init") and hasattr(value, "update")


def _is_open_fraction(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(0 < value < 1)


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "hidden_layer_sizes": (_are_widths, "widths such as (100,), or () for none"),
    "activation": (
        _named(ACTIVATIONS),
        f"{', '.join(map(repr, ACTIVATIONS))} or a function of JAX",
    ),
    "optimizer": (
        _is_optimizer,
        f"{', '.join(map(repr, OPTIMIZERS))} or a transform of Optax",
    ),
    "batch_size": (
        lambda value: value == "auto" if isinstance(value, str) else is_count(value),
        "'auto' or an int of at least 1",
    ),
    "validation_fraction": (_is_open_fraction, "a float between 0 and 1"),
    "verbose": (lambda value: isinstance(value, bool | int), "0 or 1"),
}
