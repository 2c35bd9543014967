"""What does not fit into memory is refused beforehand, and the estimates are honest."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

import jaxnoise as jn
from jaxnoise.data.rows import byte_count

TASKS = [
    jn.data.circles,
    jn.data.moons,
    jn.data.spirals,
    jn.data.blobs,
    jn.data.sine,
]


@pytest.fixture
def free(monkeypatch):
    """Sets the memory that is free."""

    def set_free(size):
        memory = SimpleNamespace(available=size)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)

    return set_free


@pytest.fixture
def peak():
    """The most bytes that a call takes."""

    def measure(call):
        tracemalloc.start()
        try:
            made = call()
            return tracemalloc.get_traced_memory()[1], made
        finally:
            tracemalloc.stop()

    return measure


def estimate(call, free):
    """What the refusal says the call would take, in bytes."""
    free(1)
    with pytest.raises(MemoryError) as refused:
        call()
    number = str(refused.value).split("about ")[1].split(" GiB")[0]
    return float(number.replace(",", "")) * 2**30


def test_exactly_what_is_free_fits(free):
    free(100)
    jn.data.check_fits("rows: 10 rows", 100, "ask for fewer rows")
    with pytest.raises(MemoryError, match="rows: 10 rows take about 0.0 GiB, but 0.0"):
        jn.data.check_fits("rows: 10 rows", 101, "ask for fewer rows")


@pytest.mark.bad_input
def test_the_message(free):
    free(19 * 2**30)
    message = (
        "circles: 1,000,000,000,100 rows take about 74,506 GiB, but 19 GiB of memory "
        "are free; ask for fewer rows."
    )
    with pytest.raises(MemoryError, match=f"^{message}$"):
        jn.data.circles(population=10**12)


@pytest.mark.bad_input
@pytest.mark.parametrize("make", TASKS)
@pytest.mark.parametrize(
    "sizes",
    [
        {"population": 10**12},
        {"validation": 10**12},
        {"samples": 10**12},
        {"samples": 10**30},
    ],
)
def test_tasks_refuse_before_they_take_memory(make, sizes, peak):
    def refused():
        with pytest.raises(MemoryError, match=f"^{make.__name__}: 1,000,.* rows take"):
            make(**sizes)

    assert peak(refused)[0] < 2**20


@pytest.mark.parametrize("make", TASKS)
def test_the_estimate_of_a_task_is_its_peak(make, peak, free):
    make()  # imports take memory, too
    rows = 300_000
    real, _ = peak(lambda: make(population=rows))
    per_row = estimate(lambda: make(population=10**12), free) / 10**12
    assert 0.8 < real / (rows * per_row) < 1.05


def test_the_estimate_of_splits_is_what_they_hold(peak, free):
    x, y = np.ones((5000, 10), np.float32), np.arange(5000.0, dtype=np.float32)[:, None]
    size = x.nbytes + y.nbytes

    def folds(repeats):
        return jn.data.folds(x, y, repeats=repeats)

    def nested(repeats):
        return jn.data.nested_folds(x, y, outer=4, inner=3, repeats=repeats)

    for make, number in ((folds, 5), (nested, 12)):
        make(1)
        real, splits = peak(lambda make=make: make(10))
        assert sum(map(byte_count, splits)) == 10 * number * size
        predicted = estimate(lambda make=make: make(10**6), free) / 10**6 * 10
        assert 0.95 < real / predicted < 1.1
        free(2**40)


@pytest.mark.bad_input
def test_splits_and_draws_refuse(peak):
    x, y = np.ones((60, 2), np.float32), np.zeros((60, 1), np.float32)
    calls = {
        "5,000,000,000,000 splits of 60 rows": lambda: jn.data.folds(
            x, y, repeats=10**12
        ),
        "25,000,000,000,000 splits of 60 rows": lambda: jn.data.nested_folds(
            x, y, repeats=10**12
        ),
        "draws: 4,000,000,000 draws": lambda: jn.data.draws(
            jn.data.circles, 4 * 10**9, population=1000
        ),
    }

    def refused(call, what):
        with pytest.raises(MemoryError, match=f"^{what} take about .* ask for fewer"):
            call()

    for what, call in calls.items():
        assert peak(lambda call=call, what=what: refused(call, what))[0] < 2**20
