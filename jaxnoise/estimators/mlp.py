"""Multilayer perceptrons with noise, for tables."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from jaxnoise.estimators.base import Network
from jaxnoise.estimators.parameters import widths_of
from jaxnoise.estimators.recipe import Build, Perceptron
from jaxnoise.estimators.targets import Classifying, Regressing


@dataclass(eq=False, repr=False)
class _MLP(Network):
    """The network of both."""

    hidden_layer_sizes: Any = (100,)
    _: KW_ONLY
    activation: Any = "relu"
    hidden_noise: float = 0.0
    activation_noise: float = 0.0
    dropout: float = 0.0

    def _build(self, shape: tuple[int, ...]) -> Build:
        return Perceptron(widths_of(self.hidden_layer_sizes), self.activation)


@dataclass(eq=False, repr=False)
class NoisyMLPClassifier(Classifying, _MLP):
    """A multilayer perceptron with noise in training, as a classifier of scikit-learn.

    Columns are standardised inside, by the rows of `fit`, so that noise on them is in
    units of their deviations; a scaler before it changes nothing. Numbers, such as
    strengths and rates, are traced: fits on equal shapes share one compiled program,
    whatever their values. Training is on every core or accelerator that JAX has.

    Args:
        hidden_layer_sizes: widths of the hidden layers; () for a linear model.
        input_noise: standard deviation of Gaussian noise on the standardised columns;
            0, as for all noises, is off. All of it acts in training alone.
        hidden_noise: standard deviation before each activation, where a unit has a
            deviation of about 1 at first.
        activation_noise: standard deviation after each activation.
        weight_noise: standard deviation on the weights, fresh each step.
        gradient_noise: standard deviation on the gradients.
        label_noise: the rate of labels that are flipped, fresh each step.
        dropout: the rate of hidden units that are dropped.
        activation: "relu", "tanh", "logistic", "identity", "gelu", "silu", "elu", or a
            function of JAX.
        alpha: weight decay of kernels, decoupled as in AdamW: in a step weights lose
            ``learning_rate_init * alpha`` of themselves. 1 scored at least as
            well as 0.01 on each of nine small tables.
        max_norm: the longest that a unit's incoming weights may be; None for no limit.
        learning_rate_init: the step size.
        batch_size: rows of a minibatch; "auto" is 32.
        max_epochs: passes through the rows.
        early_stopping: whether to hold back rows that tell when to stop; the weights
            of the epoch with the lowest loss on them are kept.
        validation_fraction: the share of rows that is held back.
        n_iter_no_change: epochs in a row without a lower loss on them that end it.
        optimizer: "adam", "nadam", "sgd" (Nesterov's, momentum 0.9), "rmsprop", "lion",
            or a transform of Optax, which brings its own step size and decay.
        n_ensemble: networks that are trained together and averaged.
        random_state: an int, or a `numpy.random.RandomState` or Generator, which moves
            on with each fit; None for another start each time.
        warm_start: whether `fit` goes on from the weights of the last one.
        verbose: 1 for a progress bar on stderr.
        class_weight: "balanced", or a dict of weights by class.

    Attributes:
        classes_: the classes, sorted.
        loss_curve_: the loss on the train rows after each epoch, without noise.
        loss_: the last of them.
        validation_scores_: with early stopping, the score after each epoch, accuracy or
            R squared; ``best_validation_score_`` is the highest.
        n_iter_: the epochs that it took.
        variables_: those of each network, as Flax has them.
        n_features_in_: the number of columns; ``feature_names_in_`` their names.

    Raises:
        TypeError: in `fit`, if a parameter is of the wrong kind or X is sparse.
        ValueError: in `fit`, if a parameter is out of range, X or y has gaps or words,
            or the training diverges; the message has the cure.

    Example:
        >>> import jaxnoise as jn
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = jn.NoisyMLPClassifier(
        ...     input_noise=0.1, max_epochs=50, random_state=0
        ... )
        >>> model.fit(X, y).score(X, y) > 0.9
        True
        >>> model.predict_proba(X[:2]).shape
        (2, 3)
    """

    _: KW_ONLY
    class_weight: Any = None

    _one_logit: ClassVar[bool] = True


@dataclass(eq=False, repr=False)
class NoisyMLPRegressor(Regressing, _MLP):
    """A multilayer perceptron with noise in training, as a regressor of scikit-learn.

    Columns and targets are standardised inside: ``target_mean_`` and ``target_scale_``
    tell by what, `predict` gives the targets' own units, losses are in units of
    ``target_scale_``, and ``label_noise`` is a standard deviation in them.

    All parameters and attributes are those of `NoisyMLPClassifier`, but for
    ``class_weight`` and ``classes_``. Targets may be several a row.

    Raises:
        TypeError: as `NoisyMLPClassifier`.
        ValueError: as `NoisyMLPClassifier`.

    Example:
        >>> import jaxnoise as jn
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = jn.NoisyMLPRegressor(
        ...     hidden_noise=0.3, max_epochs=20, random_state=0
        ... )
        >>> model.fit(X, y).score(X, y) > 0.4
        True
    """
