"""What a file asks: its rows, what is to be predicted, and which rows belong together.

`ask` makes a `Question` of files and options, or refuses them in one line.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from jaxnoise.checks import shown
from jaxnoise.command.columns import FileError
from jaxnoise.command.preparation import MOST_PARTS
from jaxnoise.command.reading import Table, columns_of, read_table
from jaxnoise.command.suspects import duplicate_groups, suspects

RARE = 10  # rows of a class; with fewer it cannot be in every part of every fold
FEWEST = 30  # rows
FEWEST_GROUPS = 10  # or times: two for each outer fold
ALIKE = 0.5  # of the rows: where more repeat others, that is how such rows are
MOST_CLASSES = 100
FEW_VALUES = 10  # whole numbers of so many values are classes
COPIES = 5  # of all numbers, at 8 bytes: whole, a division's, scaled, on the device
SCORING = {True: "accuracy", False: "r2"}


@dataclass(frozen=True, eq=False)
class Question:
    """The rows of a file, and what is asked of them.

    Attributes:
        X: the columns to predict from.
        y: what is predicted: classes, or numbers.
        kinds: of the columns of X: "number", "date" or "words".
        styles: of numbers and dates, how they were written.
        target: its column's name.
        classification: whether y is classes.
        scoring: the score that chooses and reports, a scorer's name of scikit-learn.
        groups: a number a row; rows of one group are on one side of every division.
        time: what orders the rows, or None.
        tested: the rows of a file of their own that report, True; or None.
        notes: what was found and done, a line each.
        suspects: what is too good to be true, a line each.
    """

    X: pd.DataFrame
    y: np.ndarray
    kinds: Mapping[str, str]
    styles: Mapping[str, str]
    target: str
    classification: bool
    scoring: str
    groups: np.ndarray | None
    time: np.ndarray | None
    tested: np.ndarray | None
    notes: tuple[str, ...]
    suspects: tuple[str, ...]


def ask(
    path: Any,
    target: str,
    *,
    task: str | None = None,
    scoring: str | None = None,
    group: str | None = None,
    time: str | None = None,
    test: Any = None,
    drop: tuple[str, ...] = (),
    rows: int | None = None,
    seed: int = 0,
) -> Question:
    """Read what is asked.

    Args:
        path: of the file.
        target: the column to predict.
        task: "classification" or "regression"; None finds out.
        scoring: a scorer's name of scikit-learn; None is accuracy or R squared.
        group: a column; rows of one value are never on two sides of a division.
        time: a column; what tests is later than what trains.
        test: a file of rows that report, instead of outer folds.
        drop: columns to leave out.
        rows: so many at random, of a file that is too large.
        seed: of those.

    Raises:
        FileError: in one line, of what cannot be.
    """
    table = read_table(path, rows=rows, seed=seed)
    _check_columns(table, target, group, time, drop)
    notes = [*table.notes]
    frame, tested, places = _with_tested(table, test)
    classification = _is_classification(table, target, task, notes)
    there = _with_target(frame[target], classification, tested, places, notes)
    there = there & _with_time(frame, time, places, notes)
    frame, tested = frame[there].reset_index(drop=True), tested[there]
    X = frame.drop(columns={target, group, time, *drop} - {None})
    y = _targets(frame[target], classification)
    _check_size(X[~tested], y[~tested], target, classification, path)
    _check_tested(tested, test, target)
    groups = _codes(frame[group]) if group else _equal_rows(X)
    known = X, pd.Series(y), places[there], classification
    return Question(
        X=X,
        y=y,
        **_read_as(table, list(X)),
        target=target,
        classification=classification,
        scoring=_scoring(scoring, classification, y),
        groups=groups,
        time=_codes(frame[time]) if time else None,
        tested=None if test is None else tested,
        notes=(*notes, _memory(X, table.kinds, path)),
        suspects=tuple(suspects(*known, groups if group else None)),
    )


def _with_tested(
    table: Table, test: Any
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The rows, those of a file that report behind them; which these are; all places.

    A place is a row's number in its file, in words.
    """
    frame = table.frame
    tested = np.zeros(len(frame), bool)
    places = np.array([f"row {row}" for row in table.rows], object)
    if test is None:
        return frame, tested, places
    other = read_table(test, kinds=table.kinds, styles=table.styles)
    held = columns_of(other.frame, [*frame], test)
    tested = np.append(tested, np.ones(len(held), bool))
    there = [f"row {row} of {Path(test).name}" for row in other.rows]
    places = np.append(places, np.array(there, object))
    return pd.concat([frame, held], ignore_index=True), tested, places


def _with_target(
    column: pd.Series,
    classification: bool,
    tested: np.ndarray,
    places: np.ndarray,
    notes: list[str],
) -> np.ndarray:
    """Rows that can be learned from: with a target, of a class that is not rare."""
    there = _filled(column, places, "", notes)
    if classification:
        name, trains = str(column.name), there & ~tested
        there = there & _frequent(column, name, trains, notes)
    return there


def _with_time(
    frame: pd.DataFrame, time: str | None, places: np.ndarray, notes: list[str]
) -> np.ndarray:
    """Rows of which the time is known."""
    if time is None:
        return np.ones(len(frame), bool)
    why = ": nobody knows what they come after"
    return _filled(frame[time], places, why, notes)


def _filled(
    column: pd.Series, places: np.ndarray, why: str, notes: list[str]
) -> np.ndarray:
    """Rows without a gap; the others are told."""
    there = column.notna().to_numpy()
    if not there.all():
        notes.append(
            f"{(~there).sum()} rows have no {column.name!r} and are left out, such as "
            f"{places[~there][0]}{why}"
        )
    return there


def _check_dividers(
    table: Table, target: str, group: str | None, time: str | None
) -> None:
    """Refuse columns by which rows cannot be divided."""
    if group and time:
        raise FileError("--group and --time: rows are divided by one of them, give one")
    if target in (group, time):
        raise FileError(f"--target: column {target!r} cannot also divide the rows")
    if group and table.frame[group].nunique() < FEWEST_GROUPS:
        raise FileError(
            f"--group: column {group!r} has {table.frame[group].nunique()} values, and "
            f"{FEWEST_GROUPS} are the least that folds take"
        )
    if time and table.kinds[time] == "words":
        raise FileError(f"--time: column {time!r} holds words; dates or numbers order")
    if time and table.frame[time].nunique() < FEWEST_GROUPS:
        raise FileError(
            f"--time: column {time!r} has {table.frame[time].nunique()} different "
            f"values, and {FEWEST_GROUPS} are the least"
        )


def _read_as(table: Table, names: list[str]) -> dict[str, dict[str, str]]:
    """How some columns were read, by which other files are read alike."""
    whole = {"kinds": table.kinds, "styles": table.styles}
    return {k: {n: v[n] for n in names if n in v} for k, v in whole.items()}


def _equal_rows(X: pd.DataFrame) -> np.ndarray | None:
    """Groups of equal rows, if there are some; not where most rows repeat others."""
    groups = duplicate_groups(X)
    count = len(set(groups))
    return groups if ALIKE * len(X) <= count < len(X) else None


def _check_tested(tested: np.ndarray, test: Any, target: str) -> None:
    if test is not None and not tested.any():
        raise FileError(f"{test}: no row has a {target!r} that training rows have, too")


def _check_columns(
    table: Table,
    target: str,
    group: str | None,
    time: str | None,
    drop: tuple[str, ...],
) -> None:
    known = list(table.frame)
    asked = [("--target", target), ("--group", group), ("--time", time)]
    for option, name in asked + [("--drop", name) for name in drop]:
        if name is not None and name not in known:
            some = ", ".join(map(repr, known[:20])) + ", ..." * (len(known) > 20)
            raise FileError(f"{option}: there is no column {name!r}, but {some}")
    _check_dividers(table, target, group, time)


def _is_classification(
    table: Table, target: str, task: str | None, notes: list[str]
) -> bool:
    """By the option, else by the column; and said."""
    kind, values = table.kinds[target], table.frame[target].dropna()
    if kind == "date":
        raise FileError(f"--target: column {target!r} holds dates; predict a number")
    if task is not None:
        if task == "regression" and kind == "words":
            raise FileError(
                f"--task regression: column {target!r} holds words, such as "
                f"{shown(values.iloc[0]) if len(values) else 'none'}"
            )
        return task == "classification"
    whole = kind == "number" and bool((values % 1 == 0).all())
    classes = kind == "words" or (whole and values.nunique() <= FEW_VALUES)
    name = "classification" if classes else "regression"
    other = "regression" if classes else "classification"
    cure = "" if kind == "words" else f"; --task {other} takes it as the other"
    notes.append(f"{target!r} has {values.nunique()} values, so it is {name}{cure}")
    return classes


def _frequent(
    column: pd.Series, target: str, there: np.ndarray, notes: list[str]
) -> np.ndarray:
    """Rows of classes that are frequent enough to be in every fold."""
    counts = column[there].value_counts()
    rare = counts[counts < RARE]
    kept = counts[counts >= RARE]
    if len(kept) < 2 or len(kept) > MOST_CLASSES or rare.sum() > kept.sum():
        one = (
            f"one value, {shown(counts.index[0])}"
            if len(counts) == 1
            else (
                f"{len(counts):,} classes in {counts.sum():,} rows, "
                f"{len(kept):,} of them with {RARE} rows or more"
            )
        )
        raise FileError(
            f"--target: column {target!r} has {one if len(counts) else 'no values'}; "
            f"a classification takes 2 to {MOST_CLASSES} classes of {RARE} rows or more"
        )
    if len(rare):
        notes.append(
            f"{rare.sum()} rows of {len(rare)} classes with fewer than {RARE} rows are "
            f"left out, such as {shown(rare.index[0])}"
        )
    return column.isin(kept.index).to_numpy()


def _targets(column: pd.Series, classification: bool) -> np.ndarray:
    """Numbers; or classes as words or whole numbers."""
    if not classification:
        return column.to_numpy(float)
    if pd.api.types.is_numeric_dtype(column) and (column % 1 == 0).all():
        return column.to_numpy(np.int64)
    return column.astype(str).to_numpy(object)


def _check_size(
    X: pd.DataFrame, y: np.ndarray, target: str, classification: bool, path: Any
) -> None:
    if X.shape[1] == 0:
        raise FileError(f"{path}: there is no column but {target!r} to predict from")
    if len(X) < FEWEST:
        raise FileError(
            f"{path}: {len(X)} rows have a {target!r}, and {FEWEST} are the least"
        )
    if not classification and np.ptp(y) == 0:
        raise FileError(f"--target: column {target!r} has one value, {y[0]:g}")


def _memory(X: pd.DataFrame, kinds: Mapping[str, str], path: Any) -> str:
    """What the rows take at most, in words; refused where that is not there.

    Numbers have a column for their gaps, words and dates become several.
    """
    words = sum(kinds[name] != "number" for name in X)
    width = 2 * (X.shape[1] - words) + (MOST_PARTS + 1) * words
    needed = len(X) * width * COPIES * 8 / 2**30
    free = psutil.virtual_memory().available / 2**30
    told = (
        f"{len(X):,} rows of {X.shape[1]:,} columns: up to {needed:.1f} GiB of memory"
    )
    if needed > free:
        raise FileError(f"{path}: {told}, and {free:.1f} are free: give --rows")
    return told


def _codes(column: pd.Series) -> np.ndarray:
    """A number a row, in the order of the values; gaps are one value, the last."""
    return np.asarray(pd.factorize(column, sort=True, use_na_sentinel=False)[0])


def _scoring(scoring: str | None, classification: bool, y: np.ndarray) -> str:
    """A scorer's name that fits the target, by a trial."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.metrics import get_scorer, get_scorer_names

    scoring = scoring or SCORING[classification]
    if scoring not in get_scorer_names():
        raise FileError(
            f"--scoring: {scoring!r} is no scorer of scikit-learn, such as 'accuracy', "
            "'balanced_accuracy', 'roc_auc', 'neg_log_loss', 'r2' or "
            "'neg_mean_absolute_error'"
        )
    dummy = DummyClassifier(strategy="prior") if classification else DummyRegressor()
    rows = np.zeros((len(y), 1))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            get_scorer(scoring)(dummy.fit(rows, y), rows, y)
    except Exception as error:  # each scorer says its own
        first = str(error).partition("\n")[0]
        raise FileError(
            f"--scoring: {scoring!r} does not fit the target ({first})"
        ) from error
    return scoring
