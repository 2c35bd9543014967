"""What a run is made of, and its static choices.

A `Recipe` brings model, loss, optimiser, metrics and noise together; a function
``strength -> Recipe`` is what the engine takes, and calls while tracing. `Settings` are
what one program has in common. `CheckedOptimizer` gives an optimiser what it asks for.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import optax
from jaxtyping import Array, ArrayLike

from jaxnoise.checks import check_function, is_count, shown
from jaxnoise.data import Data
from jaxnoise.losses import CONSISTENT
from jaxnoise.model import as_model, as_pair, called, in_form_of
from jaxnoise.pickling import Pickled

Count = int | np.integer
PerRow = Callable[[Any, Any], Array]
CURVES = ("train", "test")  # what curves are kept of, where the data has such sets
INPUT = "input"  # a place for the noise of a batch
RECIPE = "a function strength -> Recipe, such as lambda stddev: jn.Recipe(...)"
FUNCTIONS = {  # how many arguments each is called with, and what it is to be
    "loss": (2, "(outputs, targets) -> losses, such as jn.losses.squared_error"),
    "metrics": (2, "(outputs, targets) -> scores, such as jn.metrics.accuracy"),
    "set_metrics": (2, "(targets, outputs) -> float, such as sklearn.metrics.r2_score"),
    "weight_noise": (
        2,
        "(key, params) -> params, such as "
        "partial(jn.tree_add_gaussian_noise, stddev=0.1)",
    ),
    "label_noise": (
        2,
        "(key, targets) -> targets, such as "
        "partial(jn.flip_labels, rate=0.1, num_classes=10)",
    ),
    "batch_noise": (3, "(key, x, y) -> (x, y), such as partial(jn.mixup, alpha=0.2)"),
    "penalty": (3, "(apply, params, x) -> scalar"),
}
NOT_FOR_RECIPES = (
    "Optax hands key, value and the like on to GradientTransformationExtraArgs alone, "
    "and optax.contrib.sam none of them; optax.lookahead wants pairs of params, "
    "optax.contrib.dpsgd a gradient a row"
)


@dataclass(frozen=True)
class Recipe(Pickled):
    """All that one run is made of but its strength, seed and data.

    Attributes:
        model: a Flax Linen module whose ``__call__`` takes ``train``, or a `Model`.
        loss: ``loss(outputs, targets)``, one value a row; the engine averages.
        optimizer: an Optax transformation; ``update`` gets what it asks for: ``key``,
            fresh each step, and of the step's training loss, with its batch and noise,
            ``value``, ``grad``, ``value_fn(params)`` and ``grad_fn(params, i)``.
        metrics: by name, ``metric(outputs, targets)``, one value a row.
        weight_noise: ``(key, params) -> params``, fresh each step, such as
            ``partial(tree_add_gaussian_noise, stddev=0.1)``; the loss sees the noisy
            parameters, the stored ones stay clean.
        label_noise: ``(key, targets) -> targets``, fresh each step, in training alone:
            ``partial(flip_labels, rate=0.1, num_classes=10)`` for classes,
            ``partial(add_gaussian_noise, stddev=0.1)`` for regression.
        penalty: ``penalty(apply, params, x) -> scalar``, added to the training loss;
            ``apply(params, x)`` is the clean pass, ``x`` the batch as it is.
        weight_gradient: with noise on the weights, the gradient at the ``"noisy"``
            weights, or ``"clean"``: the outputs are those of the noisy weights, the
            backward pass is that of the clean ones.
        batch_noise: ``(key, x, y) -> (x, y)``, fresh each step, in training alone, such
            as ``partial(mixup, alpha=0.2)``, after noise on the labels. It gets class
            labels as probabilities, a row of them for each, and other integers as
            floats; the loss gets what it returns. None where the model has `Mixup`.
        batch_sites: where it is: ``"input"``, or paths of modules in the model, such as
            ``("input", "hidden_0", "hidden_1")`` of an `MLP` or ``"layers/0"`` of an
            ``nnx.Sequential``, whose outputs it then changes. Each step has it at one
            of them, all equally likely: manifold mixup. The targets that it returns
            must not depend on the rows' values.
        consistency: the weight of R-Drop, at least 0; may be traced. Each step makes
            two noisy passes, and to the mean of both losses adds, per row, this weight
            times the mean of both Kullback-Leibler divergences of what they predict, or
            for `losses.squared_error` their squared difference. For small noise that is
            ``2 * consistency`` times what the noise itself adds to the loss. Other
            losses than this and the two cross-entropies are refused.
        patience: for early stopping: the epochs in a row without a lower loss on the
            set named ``validation`` after which a run ends. Its variables and metrics
            are then those of its best epoch, and its curves NaN where it had ended.
        set_metrics: by name, ``function(targets, outputs)``, one number of a whole set,
            such as scikit-learn's, of the arrays of a set's targets and of the model's
            clean outputs, mostly logits: a sweep calls it on the host after a run, for
            every set. Column ``<set>_<name>``; there are no curves of it and no values
            at the best epoch. Accuracies want classes: of one logit, ``z > 0``; of
            several, ``z.argmax(-1)``. With ``from sklearn import metrics as m``::

                "f1": lambda t, z: m.f1_score(t[:, 0], z[:, 0] > 0)
                "auc": lambda t, z: m.roc_auc_score(t[:, 0], z[:, 0])
                "balanced": lambda t, z: m.balanced_accuracy_score(t, z.argmax(-1))

    Raises:
        TypeError: if a part is not of its kind; the message says what it takes.
        ValueError: if a metric is named ``loss`` or as another one,
            ``weight_gradient`` is another word, or ``consistency`` is negative or does
            not know the loss.

    Example:
        >>> import optax, jaxnoise as jn
        >>> def recipe(stddev):
        ...     return jn.Recipe(
        ...         model=jn.MLP((500,), 1, hidden_noise=jn.GaussianNoise(stddev)),
        ...         loss=jn.losses.binary_cross_entropy,
        ...         optimizer=optax.adam(1e-3),
        ...         metrics={"accuracy": jn.metrics.binary_accuracy},
        ...     )
        >>> recipe(0.1).model.outputs
        1
    """

    model: Any
    loss: PerRow
    optimizer: optax.GradientTransformation | optax.MultiSteps
    metrics: Mapping[str, PerRow] = field(default_factory=dict)
    weight_noise: Callable[[Array, Any], Any] | None = None
    label_noise: Callable[[Array, Any], Any] | None = None
    penalty: Callable[[Callable[[Any, Any], Any], Any, Any], Array] | None = None
    weight_gradient: str = "noisy"
    set_metrics: Mapping[str, Callable[[Any, Any], float]] = field(default_factory=dict)
    patience: Count | None = None
    batch_noise: Callable[[Array, Any, Any], tuple[Any, Any]] | None = None
    batch_sites: Sequence[str] = (INPUT,)
    consistency: ArrayLike | None = None

    def __post_init__(self) -> None:
        as_model(self.model)
        for name in ("metrics", "set_metrics"):
            given = getattr(self, name)
            if not isinstance(given, Mapping):
                raise TypeError(
                    f"{name} must map names to functions, such as "
                    f"{{'accuracy': jn.metrics.accuracy}}, got {shown(given)}."
                )
            if "loss" in given:
                raise ValueError(
                    f"{name} must not be named 'loss', which is always there."
                )
        if self.weight_gradient not in ("noisy", "clean"):
            raise ValueError(
                "weight_gradient must be 'noisy' or 'clean', "
                f"got {self.weight_gradient!r}."
            )
        if isinstance(self.batch_sites, str) or not self.batch_sites:
            raise TypeError(
                "batch_sites must be paths in the model, such as "
                f"('input', 'hidden_0'), got {shown(self.batch_sites)}."
            )
        if self.consistency is not None:
            self._check_consistency(self.consistency)
        if self.patience is not None:
            as_count("patience", self.patience, "None or an int")
        for name, (arguments, form) in FUNCTIONS.items():
            given = getattr(self, name)
            functions = {name: given} if given is not None or name == "loss" else {}
            if isinstance(given, Mapping):
                functions = {f"{name}[{key!r}]": f for key, f in given.items()}
            for argument, function in functions.items():
                check_function(argument, function, f"a function {form}", arguments)
        if not (hasattr(self.optimizer, "init") and hasattr(self.optimizer, "update")):
            raise TypeError(
                "optimizer must be an Optax transformation such as optax.adam(1e-3), "
                f"got {shown(self.optimizer)}."
            )

    def _check_consistency(self, weight: Any) -> None:
        traced = isinstance(weight, jax.core.Tracer)
        if not traced and not 0 <= np.asarray(weight, float) < np.inf:
            raise ValueError(f"consistency must be finite and >= 0, got {weight}.")
        if self.loss not in CONSISTENT:
            names = ", ".join(f"jn.losses.{loss.__name__}" for loss in CONSISTENT)
            raise ValueError(
                f"consistency must have one of the losses {names}, "
                f"got {shown(self.loss)}."
            )


RecipeFn = Callable[[Any], Recipe]


class CheckedOptimizer:
    """An optimiser that is given what it asks for, and whose returns are looked at."""

    def __init__(
        self, optimizer: optax.GradientTransformation | optax.MultiSteps
    ) -> None:
        self.optimizer = optimizer
        parameters = inspect.signature(optimizer.update).parameters
        self.takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        self.asked = set(parameters)

    def init(self, params: Any) -> Any:
        """The fresh state."""
        return self._called("init", params)

    def update(
        self, grads: Any, state: Any, params: Any, **extra: Any
    ) -> tuple[Any, Any]:
        """Updates and the next state."""
        asked = extra if self.takes_all else self.asked & extra.keys()
        given = {name: extra[name] for name in asked}
        returned = self._called("update", grads, state, params, **given)
        pair = as_pair("optimizer.update must return (updates, state)", returned)
        forms = zip(pair, (params, state), strict=True)
        updates, state = (in_form_of("optimizer.update", *form) for form in forms)
        return updates, state

    def _called(self, name: str, *arguments: Any, **given: Any) -> Any:
        try:
            function = getattr(self.optimizer, name)
            return called("optimizer", function, *arguments, **given)
        except Exception as error:
            why = str(error).partition("\n")[0].rstrip(".")
            raise TypeError(
                "optimizer must take a model's params and gradient as they are; its "
                f"{name} failed: {why}. ({NOT_FOR_RECIPES})"
            ) from error


def as_count(name: str, value: Any, expected: str) -> int:
    """A number of things as a Python int, or the error that names it."""
    if not is_count(value):
        raise ValueError(
            f"{name} must be {expected} of at least 1, got {shown(value)}."
        )
    if value >= 2**31:  # compiled programs count in 32 bits
        raise ValueError(f"{name} must be less than 2**31, got {value}.")
    return int(value)


@dataclass(frozen=True)
class Settings:
    """What one program has in common: epochs, batch size, and what is measured."""

    epochs: Count
    batch_size: Count
    curves: Sequence[str] = CURVES
    metrics_every: Count = 1
    keep_rows: bool = False
    vectorize: Any = 1  # an int, or "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.keep_rows, bool):
            raise TypeError(f"keep_rows must be a bool, got {shown(self.keep_rows)}.")
        counts = {"epochs": "an int", "batch_size": "an int", "metrics_every": "an int"}
        if not (isinstance(self.vectorize, str) and self.vectorize == "auto"):
            counts["vectorize"] = "'auto' or an int"
        for name, expected in counts.items():
            value = as_count(name, getattr(self, name), expected)
            object.__setattr__(self, name, value)
        if isinstance(self.curves, str) or not isinstance(self.curves, Iterable):
            raise ValueError(
                f"curves must be a sequence of set names, got {shown(self.curves)}."
            )
        object.__setattr__(self, "curves", tuple(self.curves))

    def curve_sets(self, data: Data) -> list[str]:
        """The sets whose curves are kept; a name that is no set is refused."""
        absent = [name for name in self.curves if name not in data]
        if absent and self.curves != CURVES:
            raise ValueError(
                f"curves must name sets of the data ({', '.join(data)}), "
                f"got {absent[0]!r}."
            )
        return [name for name in self.curves if name in data]
