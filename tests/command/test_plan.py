"""A plan fits into its time, and tries as much as fits."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from jaxnoise.command import plan as plans
from jaxnoise.command.columns import FileError
from jaxnoise.command.divisions import INNER
from jaxnoise.command.methods import METHODS, NOISE, NONE, candidates_of
from jaxnoise.command.plan import Times, first_size, in_words, plan
from jaxnoise.command.question import ask

QUESTION = SimpleNamespace(
    y=np.zeros(1000), classification=True, time=None, tested=None
)
TIMES = Times(compiling=2.0, preparing=0.1, network=0.1, boosting=0.2, linear=0.01)


def planned(seconds, question=QUESTION, times=TIMES, shapes=1):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "measure", lambda *_: times)
        counts = {inner: min(shapes, 5 * inner) for inner in range(1, INNER + 1)}
        patch.setattr(plans, "shapes_of", lambda *_: counts)
        return plan(question, first_size(1000), 0, seconds)


def test_more_time_tries_more():
    made = [planned(seconds) for seconds in (60, 200, 600, 3000)]
    for seconds, each in zip((60, 200, 600, 3000), made, strict=True):
        assert each.seconds * each.repeats <= seconds
    work = [m.size.inner * m.size.seeds * m.size.candidates * m.repeats for m in made]
    assert work == sorted(work) and len(set(work)) == len(work)
    assert made[-1].repeats == plans.REPEATS


def test_rows_of_many_shapes_try_less():
    """As each takes its programs."""
    few, many = (planned(250, shapes=shapes) for shapes in (1, 12))
    assert many.size.inner < few.size.inner and many.seconds <= 250


def test_shapes_are_counted_by_rows_and_columns(tmp_path):
    """A word that one row has is in the rows of some folds alone."""
    frame = pd.DataFrame({"x": np.arange(200.0), "word": ["a", "b"] * 100})
    frame["y"] = np.arange(200) % 2
    counts = []
    for _ in range(2):
        frame.to_csv(tmp_path / "table.csv", index=False)
        counts.append(plans.shapes_of(ask(tmp_path / "table.csv", "y"), 0))
        frame.loc[0, "word"] = "c"
    alike, rare = counts
    assert alike == dict.fromkeys(range(1, INNER + 1), 1)
    assert rare == dict.fromkeys(range(1, INNER + 1), 2)


def test_too_few_minutes_are_told_with_those_that_do():
    slow = Times(compiling=2.0, preparing=0.1, network=10.0, boosting=1.0, linear=1.0)
    with pytest.raises(FileError) as error:
        planned(300, times=slow)
    told = str(error.value)
    assert told.startswith("--minutes: the least that tells anything takes about ")
    minutes = float(told.partition("give --minutes ")[2].partition(",")[0])
    assert planned(60 * minutes, times=slow).repeats >= 1


@pytest.mark.parametrize(
    "given", [{"time": np.zeros(1000)}, {"tested": np.zeros(1000)}]
)
def test_rows_in_time_or_tested_by_a_file_are_divided_once(given):
    question = SimpleNamespace(**{**vars(QUESTION), **given})
    assert planned(100_000, question).repeats == 1


def test_no_method_has_more_candidates_than_the_network_without_noise():
    for seconds in (60, 200, 600, 10_000):
        size = planned(seconds).size
        counts = {method: len(candidates_of(method, True, size)) for method in METHODS}
        assert counts[NOISE] <= counts[NONE] == size.candidates
        assert all(1 < count for count in counts.values())


@pytest.mark.parametrize("rows", [30, 1000, 100_000, 1_000_000])
def test_a_training_has_a_bound(rows):
    size = first_size(rows)
    assert size.epochs * rows / size.batch <= 1.2 * max(
        plans.STEPS, plans.FEWEST_EPOCHS * rows / plans.MOST_BATCH
    )


def test_what_is_done_is_told():
    assert in_words(QUESTION, planned(10_000)).startswith(
        "20 outer folds of 4 inner ones, 28 candidates of the network, 3 seeds: "
        "6,720 trainings of at most 200 epochs"
    )
