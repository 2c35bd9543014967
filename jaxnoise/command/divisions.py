"""Honest divisions: of the rows that train, that choose, and that report.

Outer folds report, and inner folds of the other rows choose. Rows of one group, and
equal rows, are on one side of each; later rows report where time orders them; and a
file of test rows reports by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
)

from jaxnoise.command.columns import FileError
from jaxnoise.command.question import Question

OUTER = 5  # folds, the fewest of which a verdict can be given
INNER = 4  # folds, of which a plan may take fewer


@dataclass(frozen=True, eq=False)
class Division:
    """Row numbers of one inner fold.

    Attributes:
        fold: the number of the outer fold.
        train: rows to train on.
        validation: rows that choose.
        test: rows that report.
    """

    fold: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def divide(
    question: Question, *, inner: int, repeats: int, seed: int
) -> list[Division]:
    """The inner folds of all outer ones, in order.

    Args:
        question: whose rows they are.
        inner: inner folds to take, at most `INNER`.
        repeats: how often the rows are divided anew; time and test files allow one.
        seed: of the divisions.
    """
    rows = np.arange(len(question.y))
    found = []
    for fold, (rest, test) in enumerate(_outer(question, rows, repeats, seed)):
        cuts = _cuts(question, rest, INNER, [seed, fold])
        for _, (train, validation) in zip(range(inner), cuts, strict=False):
            found.append(Division(fold, train, validation, test))
            _check_classes(question, train)
    return found


def _check_classes(question: Question, train: np.ndarray) -> None:
    if question.classification and len(set(question.y[train])) < 2:
        raise FileError(
            f"column {question.target!r} has one class in the rows of a division that "
            "train: by --time classes must change all along, by --group in many groups"
        )


def _outer(
    question: Question, rows: np.ndarray, repeats: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if question.tested is not None:
        yield rows[~question.tested], rows[question.tested]
        return
    for repeat in range(1 if question.time is not None else repeats):
        yield from _cuts(question, rows, OUTER, [seed, repeat, 0])


def _cuts(
    question: Question, rows: np.ndarray, folds: int, entropy: list[int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of some rows, those of each fold and the others."""
    groups = None if question.groups is None else question.groups[rows]
    y, state = question.y[rows], int(np.random.default_rng(entropy).integers(2**32))
    if question.time is not None:
        rows = rows[np.argsort(question.time[rows], kind="stable")]
        yield from _cuts_in_time(rows, question.time[rows], folds)
        return
    by_class = {True: StratifiedKFold, False: KFold}
    by_group = {True: StratifiedGroupKFold, False: GroupKFold}
    known: Any = by_class if groups is None else by_group
    splitter = known[question.classification]
    cuts = splitter(folds, shuffle=True, random_state=state).split(rows, y, groups)
    for train, test in cuts:
        yield rows[train], rows[test]


def _cuts_in_time(
    rows: np.ndarray, times: np.ndarray, folds: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Those of scikit-learn's `TimeSeriesSplit`, moved so that they divide no time.

    The last first; fewer where there are fewer times.
    """
    changes = np.unique(times, return_index=True)[1][1:]  # where a time begins
    folds = min(folds, len(changes))
    if not folds:
        raise FileError(
            "--time: the rows of a division that train have one time: its column must "
            "have more values among the earliest rows"
        )
    size, least = len(rows) // (folds + 1), 0
    starts = []
    for left in range(folds, 0, -1):  # as many need a place from here on
        free = changes[least : len(changes) - left + 1]
        least += int(np.abs(free - (len(rows) - left * size)).argmin())
        starts.append(changes[least])
        least += 1
    for start, end in zip(starts[::-1], [len(rows), *starts[:0:-1]], strict=True):
        yield rows[:start], rows[start:end]


def overlap_of(divisions: list[Division]) -> float:
    """Rows that report over all others, on average: what outer folds share."""
    shares = [
        len(each.test) / (len(each.train) + len(each.validation)) for each in divisions
    ]
    return float(np.mean(shares))
