"""The work of `jaxnoise tune`: what is planned, part by part, each kept once done.

A part is one method on one outer fold; its scores are a file in the folder ``scores``.
Whatever ends the work, the parts that are there are not made again.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from jaxnoise.command.columns import FileError
from jaxnoise.command.divisions import OUTER, Division, divide, overlap_of
from jaxnoise.command.methods import (
    METHODS,
    NONE,
    RATES,
    Params,
    Size,
    candidates_of,
    rate_of_quiet,
    scores_of,
)
from jaxnoise.command.plan import Plan, first_size, in_words, plan, repeats_of
from jaxnoise.command.question import Question
from jaxnoise.files import replace_file

PLAN, SCORES = "plan.json", "scores"
Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Tuned:
    """What was tried.

    Attributes:
        scores: a row a method, candidate, split and seed, of whole outer folds alone.
        candidates: of each outer fold and method, in order.
        size: how much was tried on each fold.
        folds: the number of outer folds that are done.
        overlap: of the outer folds.
        seconds: that all parts took, whenever.
    """

    scores: pd.DataFrame
    candidates: dict[tuple[int, str], Sequence[Params]]
    size: Size
    folds: int
    overlap: float
    seconds: float


class Stopped(Exception):
    """There is no answer yet; the message says how far it went."""


def tune(
    question: Question,
    out: Path,
    *,
    minutes: float,
    seed: int,
    tell: Tell,
    advance: Callable[[int, int], None],
) -> Tuned:
    """Try all methods on as many outer folds as the minutes allow.

    Args:
        question: of which rows.
        out: the folder that keeps what is done.
        minutes: after which no part is begun.
        seed: of the divisions.
        tell: gets what is planned, a line.
        advance: gets the numbers of parts that are done, and of all.

    Raises:
        FileError: if the minutes are too few, or the folder is another question's.
        Stopped: if they were too few for the least that tells anything.
    """
    deadline = time.monotonic() + 60 * minutes
    asked = _fingerprint(question, seed)
    chosen = _planned(question, out, minutes, seed, asked, tell)
    size = chosen.size
    divisions = divide(question, inner=size.inner, repeats=chosen.repeats, seed=seed)
    folder = out / SCORES / sha256(repr((asked, size)).encode()).hexdigest()[:8]
    folds = 1 + max(each.fold for each in divisions)
    scores: list[pd.DataFrame] = []
    candidates: dict[tuple[int, str], Sequence[Params]] = {}
    done = 0
    for fold in range(folds):
        mine = {i: each for i, each in enumerate(divisions) if each.fold == fold}
        part = partial(_part, folder, question, fold, mine, size, deadline)
        made = {}
        for method, tried, scored in _methods_of(question, size, part):
            made[method] = tried, scored
            advance(fold * len(METHODS) + len(made), folds * len(METHODS))
        if len(made) < len(METHODS):
            break
        scores += [scored for _, scored in made.values()]
        candidates |= {(fold, method): tried for method, (tried, _) in made.items()}
        done += 1
    least = min(folds, OUTER)
    if done < least:
        raise Stopped(
            f"{done} of {least} folds are done in {minutes:g} minutes, and kept in "
            f"{out}; the same line goes on from there"
        )
    table = pd.concat(scores, ignore_index=True)
    seconds = float(table["seconds"].sum())
    return Tuned(table, candidates, size, done, overlap_of(divisions), seconds)


def _methods_of(
    question: Question, size: Size, part: Callable[..., pd.DataFrame | None]
) -> Iterator[tuple[str, Sequence[Params], pd.DataFrame]]:
    """Of one outer fold each method, its candidates and scores, until the time ends."""
    rate = RATES[0]
    for method in METHODS:
        tried = candidates_of(method, question.classification, size, rate)
        scored = part(method, tried)
        if scored is None:
            return
        if method == NONE:
            rate = rate_of_quiet(scored, tried)
        yield method, tried, scored


def _part(
    folder: Path,
    question: Question,
    fold: int,
    divisions: dict[int, Division],
    size: Size,
    deadline: float,
    method: str,
    tried: Sequence[Params],
) -> pd.DataFrame | None:
    """Its scores, trained now unless they are there; None if the time is over."""
    path = folder / f"{fold:02d}-{method}.csv"
    if path.exists():
        kept = pd.read_csv(path, dtype=str)  # Python's floats are read to the last bit
        numbers = kept.columns.drop("method")
        whole = ["candidate", "split", "seed", "fold"]
        return kept.astype(dict.fromkeys(numbers, float) | dict.fromkeys(whole, int))
    if time.monotonic() > deadline:
        return None
    made = scores_of(method, question, divisions, size, tried)
    made = made.assign(method=method, fold=fold)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, made.to_csv(index=False))
    return made


def chosen_of(part: pd.DataFrame) -> int:
    """The candidate that the rows that choose prefer, of equal ones the first.

    Raises:
        Stopped: if no candidate has a score in each run.
    """
    scores = part.groupby("candidate")["validation"]
    means = scores.agg(lambda each: each.mean(skipna=False))  # NaN: one run diverged
    if means.isna().all():
        raise Stopped(
            f"every candidate of {part['method'].iloc[0]!r} diverged on some rows, or "
            "has no score there: there may be too few rows that choose"
        )
    return int(means.idxmax())


def _planned(
    question: Question, out: Path, minutes: float, seed: int, asked: str, tell: Tell
) -> Plan:
    """What was planned here before, more often if there is more time; or a new plan."""
    path = out / PLAN
    try:
        known = json.loads(path.read_text("utf-8")) if path.exists() else None
    except ValueError:
        raise FileError(f"--out: {path} is damaged: delete it") from None
    if known and known["question"] != asked:
        raise FileError(
            f"--out: {out} holds the answer to another question (other rows, columns, "
            "options or version): give another folder, or delete it"
        )
    if known:
        made = Plan(Size(**known["size"]), known["repeats"], known["seconds"])
        often = repeats_of(question, made, 60 * minutes)
        made = replace(made, repeats=max(made.repeats, often))
    else:
        tell("planning: a first training takes its time")
        made = plan(question, first_size(len(question.y)), seed, 60 * minutes)
    text = json.dumps({"question": asked, **asdict(made)})
    replace_file(path, text)
    tell(in_words(question, made))
    return made


def _fingerprint(question: Question, seed: int) -> str:
    """Of all that the scores depend on."""
    arrays = {
        "rows": pd.util.hash_pandas_object(question.X, index=False).to_numpy(),
        "y": pd.util.hash_array(question.y),
        "groups": question.groups,
        "time": question.time,
        "tested": question.tested,
    }
    hashed = {
        k: v if v is None else sha256(v.tobytes()).digest() for k, v in arrays.items()
    }
    versions = [version(name) for name in ("jaxnoise", "jax", "scikit-learn", "skrub")]
    told = [hashed, dict(question.kinds), question.classification, question.scoring]
    told += [question.target, seed]
    return sha256(repr([*told, versions]).encode()).hexdigest()
