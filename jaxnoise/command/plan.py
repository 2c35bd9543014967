"""How much fits into the minutes: by the times of a few trainings on the rows."""

import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

from jaxnoise.command.columns import FileError
from jaxnoise.command.divisions import INNER, OUTER, divide
from jaxnoise.command.methods import (
    METHODS,
    NOISE,
    NONE,
    PLACES,
    Size,
    candidates_of,
    scores_of,
)
from jaxnoise.command.preparation import preparation
from jaxnoise.command.question import Question
from jaxnoise.command.rivals import BOOSTED, LINEAR
from jaxnoise.training.devices import core_count

SIZES = (  # inner folds, seeds and candidates: from thorough to the least
    (INNER, 3, 16),
    (3, 2, 16),
    (2, 2, 16),
    (2, 1, 8),
    (1, 1, 8),
    (1, 1, 4),
)
REPEATS = 4  # of the outer folds, at most
SEEDS = 10  # where a file of test rows reports: they are what is counted
STEPS, EPOCHS, FEWEST_EPOCHS = 40_000, 200, 20
BATCH, MOST_BATCH, STEPS_AN_EPOCH = 32, 1024, 300
PROGRAMS = 1 + len(PLACES)  # without noise, and with it at each place
SHARE = 0.3  # of the time that gradient boosting may take
SLOWER = 1.3  # times what was measured: other candidates train longer
FEW_ROWS = 20_000  # that are prepared to see their columns


@dataclass(frozen=True)
class Plan:
    """What is done, and how long that takes.

    Attributes:
        size: of each outer fold.
        repeats: of the outer folds.
        seconds: by estimate.
    """

    size: Size
    repeats: int
    seconds: float


@dataclass(frozen=True)
class Times:
    """Seconds that were measured.

    Attributes:
        compiling: of one program.
        preparing: of the rows of one inner fold, for one method.
        network: of one training, where each core has one; and so are the others.
        boosting: of one fit.
        linear: of one fit.
    """

    compiling: float
    preparing: float
    network: float
    boosting: float
    linear: float


def first_size(rows: int) -> Size:
    """Epochs and minibatches for so many rows."""
    batch = BATCH
    while batch < MOST_BATCH and rows / batch > STEPS_AN_EPOCH:
        batch *= 2
    steps = max(1, rows // batch)
    epochs = min(EPOCHS, max(FEWEST_EPOCHS, STEPS // steps))
    inner, seeds, candidates = SIZES[0]
    return Size(inner, seeds, candidates, candidates, epochs, batch)


def measure(question: Question, size: Size, seed: int) -> Times:
    """Train each kind twice on the first division: what is only once is not counted."""
    folds = {0: divide(question, inner=1, repeats=1, seed=seed)[0]}
    one = replace(size, seeds=1)

    def seconds(method: str) -> tuple[float, float]:
        started = time.perf_counter()
        tried = candidates_of(method, question.classification, one)[:1]
        own = scores_of(method, question, folds, one, tried)["seconds"].sum()
        return time.perf_counter() - started, float(own)

    (first, _), (again, network) = seconds(NONE), seconds(NONE)
    (_, boosting), (_, linear) = [seconds(m) and seconds(m) for m in (BOOSTED, LINEAR)]
    compiling, preparing = max(0.0, first - again), max(0.0, again - network)
    cores = core_count()
    times = network / cores, boosting / cores, linear / cores
    return Times(compiling, preparing, *times)


def shapes_of(question: Question, seed: int) -> dict[int, int]:
    """By the number of inner folds, how many shapes the rows have that train.

    Each shape has its programs. Where a word or a gap is rare, the rows of some folds
    have a column less.
    """
    shapes: dict[int, list[tuple[int, int]]] = {}
    for each in divide(question, inner=INNER, repeats=1, seed=seed):
        width, rows = 0, question.X.iloc[each.train]
        if len(rows) <= FEW_ROWS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fitted = preparation(question.kinds).fit(rows)
                width = fitted.transform(rows[:1]).shape[1]
        shapes.setdefault(each.fold, []).append((len(rows), width))
    return {
        inner: len({shape for fold in shapes.values() for shape in fold[:inner]})
        for inner in range(1, INNER + 1)
    }


def plan(question: Question, size: Size, seed: int, seconds: float) -> Plan:
    """The most thorough one that fits into the seconds, by a few trainings.

    Raises:
        FileError: if none does.
    """
    started = time.monotonic()
    times = measure(question, size, seed)
    shapes = shapes_of(question, seed)
    spent = time.monotonic() - started
    seconds -= spent
    made = [_planned(question, size, times, shapes, each, seconds) for each in SIZES]
    fitting = [each for each in made if each.seconds <= seconds]
    if not fitting:
        least = (spent + min(each.seconds for each in made)) / 60
        give = math.ceil(12 * least) / 10  # a fifth more, as measuring is not exact
        raise FileError(
            f"--minutes: the least that tells anything takes about {least:.1f} minutes "
            f"on these {len(question.y):,} rows: give --minutes {give}, or "
            "--rows to take some of them"
        )
    chosen = fitting[0]
    return replace(chosen, repeats=repeats_of(question, chosen, seconds))


def repeats_of(question: Question, one: Plan, seconds: float) -> int:
    """How often a plan fits; rows in time, or tested by a file, are divided once."""
    if question.time is not None or question.tested is not None:
        return 1
    return max(1, min(REPEATS, int(seconds / one.seconds)))


def _planned(
    question: Question,
    size: Size,
    times: Times,
    shapes: Mapping[int, int],
    tried: tuple[int, int, int],
    seconds: float,
) -> Plan:
    inner, seeds, candidates = tried
    folds = OUTER
    if question.tested is not None:
        folds, inner, seeds = 1, 1, SEEDS
    divisions = folds * inner
    boosted = max(
        count
        for count in (16, 8, 4, 2)
        if count == 2 or divisions * count * times.boosting <= SHARE * seconds
    )
    boosted = min(boosted, candidates)
    size = replace(
        size, inner=inner, seeds=seeds, candidates=candidates, boosted=boosted
    )
    kind = question.classification
    trainings = sum(len(candidates_of(method, kind, size)) for method in (NONE, NOISE))
    each = (
        len(METHODS) * times.preparing
        + seeds * trainings * times.network * SLOWER
        + boosted * times.boosting
        + len(candidates_of(LINEAR, kind, size)) * times.linear
    )
    compiling = shapes[inner] * PROGRAMS * times.compiling
    return Plan(size, 1, divisions * each + compiling)


def in_words(question: Question, made: Plan) -> str:
    """What is done, in one line."""
    kind = question.classification
    size, folds = made.size, OUTER * made.repeats
    tried = sum(len(candidates_of(method, kind, size)) for method in (NONE, NOISE))
    divided = f"{folds} outer folds of {size.inner} inner ones"
    if question.tested is not None:
        folds, divided = 1, "one division, and the file of test rows"
    trainings = folds * size.inner * size.seeds * tried
    return (
        f"{divided}, {tried} candidates of the network, {size.seeds} seeds: "
        f"{trainings:,} trainings of at most {size.epochs} epochs, and {size.boosted} "
        f"candidates of gradient boosting: about {_time(made)}"
    )


def _time(made: Plan) -> str:
    seconds = made.repeats * made.seconds
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.1f} minutes"
