"""A grid search that trains its whole grid at once, and says whether noise helps."""

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import indexable

from jaxnoise.checks import is_count, shown, warn
from jaxnoise.estimators.base import drawn
from jaxnoise.estimators.candidates import Candidate, Rows, Trained, scores_of, trained
from jaxnoise.estimators.verdicts import (
    answer,
    columns_of_verdicts,
    compared,
    named_candidates,
)
from jaxnoise.evidence.compare import Comparison
from jaxnoise.training.plan import as_seeds

ONE_ERROR = "one_standard_error"
PLACEMENTS: dict[str, list[float]] = {
    "input_noise": [0.1, 0.3, 1.0],
    "hidden_noise": [0.1, 0.3, 1.0],
    "weight_noise": [0.01, 0.03, 0.1],
    "label_noise": [0.05, 0.1, 0.2],
}


class NoiseSearchCV(BaseSearchCV):
    """A grid search that trains its whole grid at once, and says whether noise helps.

    The interface is that of scikit-learn's ``GridSearchCV``. Candidates that differ in
    numbers alone, such as strengths, rates, ``alpha`` and ``learning_rate_init``, train
    together on all folds and seeds, as a few compiled programs; other parameters, and
    those of a Pipeline's steps, loop. Scores are those that ``GridSearchCV`` has, as
    means over seeds.

    Args:
        estimator: `NoisyMLPClassifier` or its kin, or a Pipeline that ends in one,
            whose other steps are fitted by the train rows of each fold.
        param_grid: as for ``GridSearchCV``; or ``"noise"``, a start on any table: no
            noise, and noise at one place at a time, on the columns and before the
            activations 0.1, 0.3 and 1, on weights 0.01, 0.03 and 0.1, on labels 0.05,
            0.1 and 0.2. Columns are standardised, and hidden units have a deviation of
            about 1 at first: 1 there is as much noise as signal, 0.1 is a hundredth of
            its variance, and a step of 3 is fine enough, as scores are flat about the
            best strength. Weights are about 0.1 in size, so that 0.1 is as much as they
            are; and labels are seldom wrong more often than one in five.
        cv: folds, or a splitter; a verdict takes 5 folds or more, 10 are better.
        n_seeds: networks for each candidate and fold: ``n`` takes the estimator's
            ``random_state`` and those that follow, a sequence is taken as is.
        scoring: as for ``GridSearchCV``: a name, a function, or several.
        refit: True, the name of one of several scores, False, a function of
            ``cv_results_`` that gives an index, or ``"one_standard_error"``: of the
            candidates within one standard error of the best, that with the least noise;
            of several scores ``"one_standard_error_<name>"``.
        store: the path of a file that keeps finished runs, as in `sweep`.
        executor: where runs are trained, as in `sweep`.
        error_score: of fits that diverge, or ``"raise"``.
        return_train_score: whether ``cv_results_`` has scores of the train rows, too.
        verbose: 1 for a progress bar on a terminal.

    Attributes:
        cv_results_: the columns of ``GridSearchCV``, and for each candidate
            ``difference`` from the best candidate without noise, fold by fold, its 95 %
            interval ``difference_low`` to ``difference_high``, and the ``verdict``.
        comparison_: the same as a table of `compare`, for `plots` and `report`. Where
            the grid has no candidate without noise, one is trained beside it.
        answer_: does noise help here, in one sentence.
        best_estimator_: the best candidate, fitted on all rows; and ``best_params_``,
            ``best_score_``, ``best_index_``, ``n_splits_``, ``refit_time_``,
            ``scorer_``, ``multimetric_`` as of ``GridSearchCV``.

    Raises:
        TypeError: in `fit`, if the estimator is none of these.
        ValueError: in `fit`, if the grid, ``refit`` or a parameter is out of range.

    Reference: C. Nadeau and Y. Bengio, "Inference for the generalization error",
        Machine Learning 52 (2003), for intervals over folds; L. Breiman et al.,
        "Classification and regression trees", 1984, for the rule of one standard error.

    Example:
        >>> import jaxnoise as jn
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> search = jn.NoiseSearchCV(
        ...     jn.NoisyMLPClassifier(max_epochs=10, random_state=0),
        ...     {"input_noise": [0.0, 0.1, 0.3]}, cv=2, n_seeds=2,
        ... ).fit(X, y)
        >>> len(search.cv_results_["params"])
        3
        >>> search.answer_[:38]
        'No verdict, as 2 folds are too few (5 '
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        cv: Any = 5,
        n_seeds: Any = 3,
        scoring: Any = None,
        refit: Any = True,
        store: str | os.PathLike | None = None,
        executor: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        verbose: int = 0,
    ) -> None:
        self.estimator, self.param_grid = estimator, param_grid
        self.cv, self.n_seeds = cv, n_seeds
        self.scoring, self.refit = scoring, refit
        self.store, self.executor = store, executor
        self.error_score, self.verbose = error_score, verbose
        self.return_train_score = return_train_score

    def fit(
        self, X: Any, y: Any = None, *, groups: Any = None, sample_weight: Any = None
    ) -> "NoiseSearchCV":
        """Train all candidates on all folds and seeds, and the best one on all rows.

        Args:
            X: the rows.
            y: their targets.
            groups: of rows that are not to be parted, for such a ``cv``.
            sample_weight: a weight for each row in training.

        Returns:
            The search itself.
        """
        X, y, groups, sample_weight = indexable(X, y, groups, sample_weight)
        scorer = check_scoring(self.estimator, self.scoring, allow_none=False)
        metrics = list(getattr(scorer, "_scorers", ["score"]))
        metric = self._metric(metrics)
        candidates = [Candidate.of(self.estimator, params) for params in self._grid()]
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(cv.split(X, y, groups))
        self.n_splits_ = len(splits)
        weight = None if sample_weight is None else np.asarray(sample_weight)
        seeds = self._seeds(candidates[0])
        rows = Rows(X, y, weight, splits, seeds, self._sweeping())
        every = [*candidates, *self._baselines(candidates)]
        scored = [self._score(each, scorer) for each in trained(every, rows)]
        runs = pd.DataFrame(scored).sort_values("candidate", kind="stable")
        self._warn_of_failures(runs, metrics)
        self._gather(candidates, runs, metrics)
        self.multimetric_ = metrics != ["score"]
        self._compare(every, runs, metric, splits)
        self.scorer_ = getattr(scorer, "_scorers", scorer)
        self._choose(metric, X, y, sample_weight)
        return self

    def _grid(self) -> list[dict[str, Any]]:
        grid = self.param_grid
        if isinstance(grid, str):
            if grid != "noise":
                raise ValueError(
                    "param_grid must be 'noise', or a dict or list of dicts as for "
                    f"GridSearchCV, got {grid!r}."
                )
            grid = noise_grid(self.estimator)
        return list(ParameterGrid(grid))

    def _metric(self, metrics: list[str]) -> str:
        """The score that chooses."""
        refit = self.refit
        choices = [name for name in metrics if refit in (name, f"{ONE_ERROR}_{name}")]
        if metrics == ["score"] or callable(refit) or refit is False:
            known = refit in (True, False, "score", ONE_ERROR) or callable(refit)
            if not known:
                raise ValueError(
                    f"refit must be True, False, '{ONE_ERROR}' or a function of "
                    f"cv_results_, got {shown(refit)}."
                )
            return metrics[0]
        if not choices:
            raise ValueError(
                f"refit must say which score chooses, one of {metrics}, or "
                f"'{ONE_ERROR}_{metrics[0]}' and the like, or be False or a function "
                f"of cv_results_, got {shown(refit)}."
            )
        return choices[0]

    def _seeds(self, candidate: Candidate) -> list[int]:
        """Those of the estimator's random state and those that follow."""
        if not is_count(self.n_seeds):
            return as_seeds("n_seeds", self.n_seeds)
        first = drawn(candidate.network.random_state)
        return [first + i for i in range(self.n_seeds)]

    def _sweeping(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "executor": self.executor,
            "progress": None if self.verbose else False,
        }

    def _baselines(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """One without noise, where the grid has none."""
        if not all(each.noises for each in candidates):
            return []
        return [candidates[0].without_noise(self.estimator)]

    def _score(self, each: Trained, scorer: Any) -> dict[str, Any]:
        found = scores_of(each, scorer, self.error_score, self.return_train_score)
        test, train, seconds = found
        return {
            "candidate": each.candidate,
            "split": each.fold.number,
            "seed": each.seed,
            "fit_time": each.seconds,
            "score_time": seconds,
            **{f"test_{name}": value for name, value in test.items()},
            **{f"train_{name}": value for name, value in train.items()},
            "fitted": each.network is not None,
        }

    def _warn_of_failures(self, runs: pd.DataFrame, metrics: list[str]) -> None:
        failed = int((~runs["fitted"]).sum())
        if failed and self.error_score == "raise" or failed == len(runs):
            raise ValueError(
                f"{failed} of {len(runs)} fits diverged or were lost; lower "
                "learning_rate_init or the noise."
            )
        if failed:
            warn(
                f"NoiseSearchCV: {failed} of {len(runs)} fits diverged or were lost, "
                f"and score {self.error_score}; lower learning_rate_init or the noise."
            )

    def _gather(
        self, candidates: Sequence[Candidate], runs: pd.DataFrame, metrics: list[str]
    ) -> None:
        """Keep ``cv_results_``: scores are means over the seeds."""
        rows = runs[runs["candidate"] < len(candidates)]
        means = rows.drop(columns="seed").groupby(["candidate", "split"]).mean()
        out = [
            {
                "fit_time": row["fit_time"],
                "score_time": row["score_time"],
                **{
                    f"{part}_scores": {m: row[f"{part}_{m}"] for m in metrics}
                    for part in ("test", "train")
                },
            }
            for row in means.to_dict("records")
        ]
        params = [dict(each.params) for each in candidates]
        more: dict[str, list] = defaultdict(list)
        self.cv_results_ = self._format_results(params, self.n_splits_, out, more)

    def _compare(
        self,
        every: Sequence[Candidate],
        runs: pd.DataFrame,
        metric: str,
        splits: Sequence[tuple[np.ndarray, np.ndarray]],
    ) -> None:
        """Keep the comparison with the best candidate without noise."""
        means = runs.groupby("candidate")[f"test_{metric}"].mean()
        quiet = [i for i, each in enumerate(every) if not each.noises]
        baseline = max(quiet, key=lambda i: (np.nan_to_num(means[i], nan=-np.inf), -i))
        names = named_candidates(every, baseline)
        overlap = float(np.mean([len(test) / len(train) for train, test in splits]))
        column = f"test_{metric}"
        self.comparison_: Comparison = compared(names, runs, column, overlap)
        count = len(self.cv_results_["params"])
        self.cv_results_ |= columns_of_verdicts(names[:count], self.comparison_)
        self.answer_ = answer(self.comparison_, column, runs["seed"].nunique())

    def _choose(self, metric: str, X: Any, y: Any, sample_weight: Any) -> None:
        """Keep the best candidate, and fit it on all rows."""
        if self.refit is False and self.multimetric_:
            return
        refit = self.refit
        if isinstance(refit, str) and refit.startswith(ONE_ERROR):
            self.best_index_ = self._simplest(metric)
        else:
            chosen = self._select_best_index(refit, metric, self.cv_results_)
            self.best_index_ = int(chosen)
        if not callable(refit):
            self.best_score_ = self.cv_results_[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = self.cv_results_["params"][self.best_index_]
        if not refit:
            return
        best = clone(dict(self.best_params_), safe=False)
        self.best_estimator_ = clone(self.estimator).set_params(**best)
        last = Candidate.of(self.estimator, self.best_params_).last
        given = {} if sample_weight is None else {f"{last}sample_weight": sample_weight}
        started = time.perf_counter()
        self.best_estimator_.fit(X, y, **given)
        self.refit_time_ = time.perf_counter() - started
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_

    def _simplest(self, metric: str) -> int:
        """Within one standard error of the best mean, that with the least noise."""
        results = self.cv_results_
        means, deviation = (results[f"{k}_test_{metric}"] for k in ("mean", "std"))
        best = int(np.nanargmax(means))
        error = deviation[best] / np.sqrt(max(1, self.n_splits_ - 1))
        near = np.flatnonzero(means >= means[best] - error)
        noises = [
            sum(Candidate.of(self.estimator, results["params"][i]).noises.values())
            for i in near
        ]
        order = sorted(zip(noises, -means[near], near, strict=True))
        return int(order[0][2])

    def _run_search(self, evaluate_candidates: Any) -> None:
        """Not used: `fit` trains all candidates together."""


def noise_grid(estimator: Any) -> list[dict[str, list[float]]]:
    """No noise, and noise at one place at a time, for an estimator or a Pipeline."""
    candidate = Candidate.of(estimator, {})
    known = candidate.network.get_params()
    places = {k: v for k, v in PLACEMENTS.items() if k in known}
    off = {f"{candidate.last}{name}": [0.0] for name in places}
    return [off] + [
        {**off, f"{candidate.last}{name}": levels} for name, levels in places.items()
    ]
