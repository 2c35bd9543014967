"""What is tried on every division: the network with and without noise, and its rivals.

Each method has a list of candidates, of equal length but for what a plan says, and is
chosen by the score of the rows that choose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import ne
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from jaxnoise.command.divisions import Division
from jaxnoise.command.preparation import preparation
from jaxnoise.command.question import Question
from jaxnoise.command.rivals import (
    BOOSTED,
    LINEAR,
    both_scores,
    rival,
    rival_grid,
    rival_scores,
)
from jaxnoise.estimators.candidates import Candidate, Rows, trained
from jaxnoise.estimators.mlp import NoisyMLPClassifier, NoisyMLPRegressor
from jaxnoise.estimators.parameters import NOISES
from jaxnoise.estimators.search import PLACEMENTS
from jaxnoise.training.devices import core_count

Params = Mapping[str, Any]
RATES = [1e-3, 3e-3, 3e-4, 1e-2]  # learning rates, the likeliest first
DECAYS = [1.0, 0.0, 10.0, 0.1]
LIKELIEST = {  # the strength to try first, of those of a search's start
    "hidden_noise": 0.1,
    "input_noise": 0.1,
    "weight_noise": 0.03,
    "label_noise": 0.1,
}
PLACES = list(LIKELIEST)
STRENGTHS = {
    place: sorted(PLACEMENTS[place], key=partial(ne, first))
    for place, first in LIKELIEST.items()
}
NONE, NOISE = "none", "noise"
METHODS = (NONE, NOISE, LINEAR, BOOSTED)
NAMES = {
    NONE: "network without noise",
    NOISE: "network with noise",
    BOOSTED: "histogram gradient boosting",
    LINEAR: "linear model",
}


@dataclass(frozen=True)
class Size:
    """How much is tried.

    Attributes:
        inner: inner folds of each outer one.
        seeds: networks of each candidate and inner fold.
        candidates: of the network without noise; with noise, fewer or as many.
        boosted: candidates of gradient boosting.
        epochs: passes through the rows, at most.
        batch: rows of a minibatch.
    """

    inner: int
    seeds: int
    candidates: int
    boosted: int
    epochs: int
    batch: int


def network(question: Question, size: Size, params: Params | None = None) -> Any:
    """The preparation and the network, as a Pipeline that is not fitted."""
    kind = NoisyMLPClassifier if question.classification else NoisyMLPRegressor
    made = kind(
        early_stopping=True,
        max_epochs=size.epochs,
        batch_size=size.batch,
        random_state=0,
        **(params or {}),
    )
    return make_pipeline(preparation(question.kinds), made)


def candidates_of(
    method: str, classification: bool, size: Size, rate: float = RATES[0]
) -> Sequence[Params]:
    """What a method may choose from.

    Args:
        method: of `METHODS`.
        classification: whether classes are predicted.
        size: how many.
        rate: the learning rate of networks with noise.
    """
    if method == NONE:
        grid = [{"learning_rate_init": r, "alpha": a} for a in DECAYS for r in RATES]
        return grid[: size.candidates]
    if method == NOISE:
        rounds = zip(*[STRENGTHS[place] for place in PLACES], strict=True)
        cells = [cell for each in rounds for cell in zip(PLACES, each, strict=True)]
        least = [{place: value, "learning_rate_init": rate} for place, value in cells]
        return least[: size.candidates]
    return rival_grid(method, classification, size.boosted)


def rate_of_quiet(part: pd.DataFrame, tried: Sequence[Params]) -> float:
    """The learning rate that the rows that choose prefer without noise.

    Of the first decay alone, so that noise is chosen among as many candidates.
    """
    means = part.groupby("candidate")["validation"].mean()[: len(RATES)]
    best = int(means.fillna(-np.inf).idxmax())
    return float(tried[best]["learning_rate_init"])


def scores_of(
    method: str,
    question: Question,
    folds: Mapping[int, Division],
    size: Size,
    candidates: Sequence[Params],
) -> pd.DataFrame:
    """A row a candidate, split and seed: the scores of the rows that choose and report.

    Args:
        method: of `METHODS`.
        question: of the rows.
        folds: the divisions, by the number of the split.
        size: how much is tried.
        candidates: of the method.
    """
    trains = _networks if method in (NONE, NOISE) else _models
    made = trains(method, question, folds, size, candidates)
    return made.sort_values(["candidate", "split", "seed"])


def _networks(
    method: str,
    question: Question,
    folds: Mapping[int, Division],
    size: Size,
    candidates: Sequence[Params],
) -> pd.DataFrame:
    pipeline = network(question, size)
    last = pipeline.steps[-1][0]
    off = dict.fromkeys(NOISES, 0.0)
    every = [
        Candidate.of(pipeline, {f"{last}__{k}": v for k, v in (off | p).items()})
        for p in map(dict, candidates)
    ]
    numbers, divisions = zip(*folds.items(), strict=True)
    splits = [(d.train, np.concatenate([d.validation, d.test])) for d in divisions]
    sweeping = {"store": None, "executor": None, "progress": False}
    rows = Rows(question.X, question.y, None, splits, range(size.seeds), sweeping)
    found = []
    for each in trained(every, rows):
        scores = {"validation": np.nan, "test": np.nan}  # of one that diverged
        if each.network is not None:
            choose = len(divisions[each.fold.number].validation)
            both = both_scores(question.scoring, choose)
            scores = both(each.network, *each.fold.test)
        split = numbers[each.fold.number]
        row = {"candidate": each.candidate, "split": split, "seed": each.seed}
        found.append({**row, **scores, "seconds": each.seconds})
    return pd.DataFrame(found)


def _models(
    method: str,
    question: Question,
    folds: Mapping[int, Division],
    size: Size,
    candidates: Sequence[Params],
) -> pd.DataFrame:
    model, parts = rival(method, question.classification), []
    for number, each in folds.items():
        prepared = preparation(question.kinds).fit(question.X.iloc[each.train])
        rows = np.concatenate([each.train, each.validation, each.test])
        X, y = prepared.transform(question.X.iloc[rows]), question.y[rows]
        cut, jobs = (len(each.train), len(each.validation)), core_count()
        scores = rival_scores(model, candidates, (X, y), cut, question.scoring, jobs)
        parts.append(scores.assign(split=number, seed=0))
    return pd.concat(parts)
