"""What targets mean: classes and labels to a classifier, numbers to a regressor."""

from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d

from jaxnoise.estimators.base import Network
from jaxnoise.estimators.fitting import Task
from jaxnoise.estimators.recipe import CLASSES, LABELS, NUMBERS, TWO
from jaxnoise.estimators.tables import Rows, Standard, plain


class Classifying(ClassifierMixin, Network):
    """Predicts one of some classes, or which of some labels a row has."""

    class_weight: Any
    _rates = ("dropout", "label_noise")
    _one_logit: ClassVar[bool] = False  # tells two classes apart

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Any:
        """One more epoch, through these rows; scales are those of the first ones.

        Args:
            X: the rows.
            y: their classes.
            classes: all that there will be, at the first call.
            sample_weight: a weight for each row.

        Returns:
            The estimator itself.
        """
        if not hasattr(self, "variables_"):
            if classes is None:
                raise ValueError(
                    "classes must be given to the first call of partial_fit: all that "
                    "there will be, such as numpy.unique(y)."
                )
            self._learn(np.unique(plain(classes)), plain(y))
            self._classes_given = True
        try:
            return self._partial_fit(X, y, sample_weight)
        finally:
            self._classes_given = False

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each row, or its labels as 0 and 1."""
        p = self.predict_proba(X)
        if self._targets == LABELS:
            return (p > 0.5).astype(np.int64)
        return self.classes_[p.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, (rows, classes): the mean of the networks'."""
        z = self._networks_outputs(X).astype(np.float64)
        if self._targets == CLASSES:
            return softmax(z, axis=-1).mean(axis=0)
        if self._targets == TWO:
            z = np.concatenate([-z, z], axis=-1)
        return expit(z).mean(axis=0)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """What is above 0 where two classes, or a label, are decided for.

        Logarithms of odds; of several classes those of `predict_log_proba`.
        """
        p = self.predict_proba(X)
        p = p.clip(np.finfo(p.dtype).tiny)
        if self._targets == LABELS:
            return np.log(p) - np.log((1 - p).clip(np.finfo(p.dtype).tiny))
        logs = np.log(p)
        return logs[:, 1] - logs[:, 0] if logs.shape[1] == 2 else logs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _encoded(self, y: Any, keep: bool) -> np.ndarray:
        """Classes by their numbers, or labels as 0 and 1."""
        y = _given(self, y)
        _refuse_gaps(y)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                f"{type(self).__name__}: y must be one class a row, or labels as 0 and "
                "1, got several classes a row; fit one estimator a column, such as by "
                "MultiOutputClassifier."
            )
        labels = kind == "multilabel-indicator"
        y = y if labels else column_or_1d(y, warn=True)
        if not (keep or getattr(self, "_classes_given", False)):
            self._learn(np.unique(y), y)
        if (
            labels != (self._targets == LABELS)
            or labels
            and y.shape[1] != self._outputs
        ):
            raise ValueError("y must have the form that it had at first.")
        if labels:
            return y.astype(np.float32)
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(
                f"y must hold classes of classes_ ({self.classes_.tolist()}), "
                f"got {unknown.tolist()[0]!r}."
            )
        return np.searchsorted(self.classes_, y).astype(np.int32)

    def _learn(self, classes: np.ndarray, y: np.ndarray) -> None:
        """What there is to tell apart."""
        several = y.ndim == 2 and y.shape[1] > 1
        self.classes_ = np.arange(y.shape[1]) if several else classes
        self._targets, self._outputs = CLASSES, len(self.classes_)
        if several:
            self._targets = LABELS
        elif self._one_logit and self._outputs == 2:
            self._targets, self._outputs = TWO, 1
        self.n_outputs_ = self._outputs

    def _class_weights(self, y: np.ndarray) -> np.ndarray:
        if self.class_weight is None or self._targets == LABELS:
            return np.ones(len(y))
        given = self.class_weight
        if isinstance(given, dict):
            number = {name: i for i, name in enumerate(self.classes_.tolist())}
            known = {k: w for k, w in given.items() if k in number}
            given = {number[name]: weight for name, weight in known.items()}
        return compute_sample_weight(given, y)

    def _check_rows(self, rows: Rows, keep: bool) -> None:
        given = keep or getattr(self, "_classes_given", False)
        if self._targets != LABELS and not given:
            found = np.unique(rows.y)
            if len(found) < 2:
                raise ValueError(
                    f"{type(self).__name__}: y must have two or more classes with "
                    "weight in the rows to train on, got one class, "
                    f"{self.classes_.tolist()[found[0]]!r}."
                )

    def _scaled(self, y: np.ndarray) -> np.ndarray:
        return y[:, None].astype(np.float32) if self._targets == TWO else y

    def _scores(self, task: Task, curves: dict[str, np.ndarray]) -> np.ndarray:
        return curves["validation_score"]


class Regressing(RegressorMixin, Network):
    """Predicts one number a row, or several."""

    _targets = NUMBERS

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One more epoch, through these rows; scales are those of the first ones.

        Args:
            X: the rows.
            y: their targets.
            sample_weight: a weight for each row.

        Returns:
            The estimator itself.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """The targets of each row, in their own units: the mean of the networks'."""
        outputs = self._networks_outputs(X).astype(np.float64).mean(axis=0)
        check_is_fitted(self, "target_mean_")
        y = Standard(self.target_mean_, self.target_scale_).undo(outputs)
        return y[:, 0] if self._one_column else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _encoded(self, y: Any, keep: bool) -> np.ndarray:
        y = _given(self, y)
        try:
            y = y.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{type(self).__name__}: y must hold numbers ({error}); classes are "
                f"for {type(self).__name__.replace('Regressor', 'Classifier')}."
            ) from error
        _refuse_gaps(y)
        columns = y[:, None] if y.ndim == 1 else y
        if columns.ndim != 2:
            raise ValueError(
                "y must be one number a row, or several, shape (rows,) or (rows, "
                f"targets), got shape {y.shape}."
            )
        if not keep:
            self._one_column, self._outputs = y.ndim == 1, columns.shape[1]
            self.n_outputs_ = self._outputs
        if columns.shape[1] != self._outputs:
            raise ValueError(
                f"y must have {self._outputs} targets a row, as it had at first, "
                f"got {columns.shape[1]}."
            )
        return columns

    def _class_weights(self, y: np.ndarray) -> np.ndarray:
        return np.ones(len(y))

    def _check_rows(self, rows: Rows, keep: bool) -> None:
        pass

    def _scale(self, rows: Rows) -> None:
        super()._scale(rows)
        scale = Standard.of(rows.y, rows.weight)
        self.target_mean_, self.target_scale_ = scale

    def _scaled(self, y: np.ndarray) -> np.ndarray:
        return Standard(self.target_mean_, self.target_scale_).apply(y)

    def _scores(self, task: Task, curves: dict[str, np.ndarray]) -> np.ndarray:
        """R^2 on the validation rows; several targets by their variance."""
        y = task.data.validation[1]
        weight = y["weight"] if isinstance(y, dict) else np.ones(len(y))
        y = y["y"] if isinstance(y, dict) else y
        spread = Standard.of(y, weight).scale ** 2
        return 1 - curves["validation_loss"] / spread.mean()


def _given(estimator: Network, y: Any) -> np.ndarray:
    """The targets as an array; refused if there are none."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None."
        )
    return plain(y)


def _refuse_gaps(y: np.ndarray) -> None:
    numbers = y.dtype.kind == "f"
    bad = (
        ~np.isfinite(y) if numbers else np.array([v is None or v != v for v in y.flat])
    )
    if bad.any():
        what = "infinity" if numbers and not np.isnan(y[bad]).any() else "NaN"
        raise ValueError(
            f"Input y contains {what}, in {bad.sum()} of {y.size} places; leave out "
            "rows whose target is not known."
        )
