"""Networks of one's own as estimators: any Flax module, of Linen or NNX."""

import inspect
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import flax.linen as nn

from jaxnoise.checks import shown
from jaxnoise.estimators.base import Network
from jaxnoise.estimators.recipe import Build, NoisyInputs, Numbers, Perceptron
from jaxnoise.estimators.tables import Rows
from jaxnoise.estimators.targets import Classifying, Regressing
from jaxnoise.model import as_model, takes_train
from jaxnoise.pickling import Pickled

MODULE = (
    "a Flax module, or a function or class that makes one, of (outputs) or (inputs, "
    "outputs), such as lambda outputs: Net(outputs)"
)
PREFIX = "module__"


@dataclass(eq=False, repr=False)
class _Net(Network):
    """The network of both."""

    module: Any = None
    _: KW_ONLY
    module_params: Any = None

    _rows_may_have_axes: ClassVar[bool] = True
    _rows_are_apart: ClassVar[bool] = False  # there may be batch normalisation

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters; those of the module as ``module__<name>``, too."""
        given = super().get_params(deep=False)
        if deep:
            own = self.module_params
            own = own if isinstance(own, dict) else {}  # told of in fit
            given |= {f"{PREFIX}{name}": value for name, value in own.items()}
        return given

    def set_params(self, **params: Any) -> Any:
        """Set parameters, of the module by ``module__<name>``."""
        own = {k: v for k, v in params.items() if k.startswith(PREFIX)}
        super().set_params(**{k: v for k, v in params.items() if k not in own})
        if own:
            named = {name.removeprefix(PREFIX): value for name, value in own.items()}
            self.module_params = {**(self.module_params or {}), **named}
        return self

    def numbers_(self) -> dict[str, Any]:
        """Also the module's."""
        traced = {k: float(v) for k, v in self._own() if isinstance(v, float)}
        return super().numbers_() | ({"module": traced} if traced else {})

    def _own(self) -> list[tuple[str, Any]]:
        return sorted((self.module_params or {}).items())

    def _check(self) -> None:
        super()._check()
        given = self.module_params
        if not (given is None or isinstance(given, dict)):
            raise TypeError(
                "module_params must be None or a dict of the module's arguments, "
                f"got {shown(given)}."
            )
        module = self.module
        fits = module is None or callable(module) or isinstance(module, nn.Module)
        if not (fits or hasattr(module, "apply")):
            raise TypeError(f"module must be {MODULE}, got {shown(module)}.")

    def _build(self, shape: tuple[int, ...]) -> Build:
        if self.module is None:
            return _Default()
        static = tuple((k, v) for k, v in self._own() if not isinstance(v, float))
        return _Given(self.module, static, shape[0])

    def _scale(self, rows: Rows) -> None:
        """Columns are as they are: what a module wants nobody knows."""
        super()._scale(rows)
        self._columns = None


@dataclass(eq=False, repr=False)
class NoisyNetClassifier(Classifying, _Net):
    """A Flax network of your own as a classifier of scikit-learn.

    The network gives one logit a class, or a label. It gets X as float32 and as it is:
    put a ``StandardScaler`` before it. Rows may have several axes, such as images.

    Args:
        module: a Linen module, or what makes a module of Linen or NNX: a function, or
            the class itself, of ``outputs``, the number of logits, and of ``inputs``,
            the number of columns, and ``rngs``, of NNX, where it has arguments of these
            names. None is one hidden layer of 100 units.
        module_params: arguments of the module by name: floats are traced, so that other
            values compile nothing; all else is not. In a grid they are
            ``module__<name>``.

    All other parameters are those of `NoisyMLPClassifier`. Noise inside of the network
    is the network's own: `GaussianNoise` and its kin as layers.

    Raises:
        TypeError: as `NoisyMLPClassifier`, or if ``module`` makes no network.
        ValueError: as `NoisyMLPClassifier`.

    Example:
        >>> import flax.linen as nn, jaxnoise as jn
        >>> from sklearn.datasets import load_digits
        >>> class Net(nn.Module):
        ...     outputs: int
        ...     stddev: float = 0.1
        ...
        ...     @nn.compact
        ...     def __call__(self, x, train):
        ...         x = nn.relu(nn.Dense(16)(x / 16))
        ...         x = jn.GaussianNoise(self.stddev)(x, train=train)
        ...         return nn.Dense(self.outputs)(x)
        >>> X, y = load_digits(n_class=3, return_X_y=True)
        >>> net = jn.NoisyNetClassifier(
        ...     Net, module_params={"stddev": 0.3}, max_epochs=5, random_state=0
        ... )
        >>> net.fit(X, y).score(X, y) > 0.9
        True
    """

    _: KW_ONLY
    class_weight: Any = None


@dataclass(eq=False, repr=False)
class NoisyNetRegressor(Regressing, _Net):
    """A Flax network of your own as a regressor of scikit-learn.

    The network gives one output a target, standardised as `NoisyMLPRegressor` does it.
    ``module`` and ``module_params`` are those of `NoisyNetClassifier`, and all other
    parameters those of `NoisyMLPClassifier`, without ``class_weight``.

    Raises:
        TypeError: as `NoisyNetClassifier`.
        ValueError: as `NoisyMLPClassifier`.

    Example:
        >>> import flax.linen as nn, jaxnoise as jn
        >>> from sklearn.datasets import make_regression
        >>> X, y = make_regression(100, 5, random_state=0)
        >>> net = nn.Sequential([nn.Dense(32), nn.relu, nn.Dense(1)])
        >>> regressor = jn.NoisyNetRegressor(net, max_epochs=60, random_state=0)
        >>> regressor.fit(X, y).score(X, y) > 0.9
        True
    """


@dataclass(frozen=True)
class _Default:
    """What there is without a module: one hidden layer of 100 units."""

    def __call__(self, outputs: int, numbers: Numbers) -> Any:
        return _noisy(Perceptron((100,), "relu")(outputs, {}), numbers)


@dataclass(frozen=True)
class _Given(Pickled):
    """A user's module, with its arguments.

    Attributes:
        module: or what makes it.
        static: its arguments that are no floats, by name.
        inputs: the columns of X.
    """

    module: Any
    static: tuple[tuple[str, Any], ...]
    inputs: int

    def __hash__(self) -> int:
        try:
            return hash((self.module, self.static, self.inputs))
        except TypeError:  # holds lists or arrays
            return id(self.module)

    def __call__(self, outputs: int, numbers: Numbers) -> Any:
        own = {**dict(self.static), **numbers.get("module", {})}
        return _noisy(_made(self.module, own, self.inputs, outputs), numbers)


def _noisy(module: Any, numbers: Numbers) -> Any:
    model = as_model(module)
    stddev = numbers.get("input_noise")
    return model if stddev is None else NoisyInputs(model, stddev)


def _made(module: Any, own: dict[str, Any], inputs: int, outputs: int) -> Any:
    """The model of a module, or of what makes one."""
    if isinstance(module, nn.Module):
        module = module.clone(**own) if own else module
    elif callable(module):
        module = _called(module, own, inputs, outputs)
    if isinstance(module, nn.Module) and not takes_train(module):
        return _WithoutTrain(module)
    return module


def _called(make: Any, own: dict[str, Any], inputs: int, outputs: int) -> Any:
    signed: Any = make
    if isinstance(make, type):  # NNX hides the arguments of a class
        signed = make.__init__  # type: ignore[misc]
    parameters = inspect.signature(signed).parameters
    sizes = {"inputs": inputs, "outputs": outputs}
    named = own | {k: v for k, v in sizes.items() if k in parameters and k not in own}
    rest = [] if "outputs" in named else [outputs]
    if "rngs" not in parameters:
        return make(*rest, **named)
    from jaxnoise import nnx  # loads Flax NNX

    return nnx.model(lambda rngs: make(*rest, **named, rngs=rngs))


class _WithoutTrain(nn.Module):
    """A module that is the same in training, such as a plain `nn.Sequential`."""

    module: nn.Module

    @nn.compact
    def __call__(self, x: Any, train: Any) -> Any:
        return self.module(x)
