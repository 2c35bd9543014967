"""Sweeps on executors: the same runs, once each, whatever becomes of the workers."""

import multiprocessing
import pickle
import sys
import threading
from collections import deque
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Future,
    ProcessPoolExecutor,
)
from queue import SimpleQueue

import jax
import optax
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.store.file import File
from jaxnoise.training import executors


def made(noise=None):
    return jn.Recipe(
        model=jn.MLP((), 1, input_noise=noise),
        loss=jn.losses.binary_cross_entropy,
        optimizer=optax.sgd(0.1),
        metrics={"accuracy": jn.metrics.binary_accuracy},
    )


def none(_):
    return made()


def noisy(stddev):
    return made(jn.GaussianNoise(stddev))


RECIPES = {"none": none, "input": noisy}


@pytest.fixture(scope="module")
def data():
    x, y = jn.data.circles().train
    return [jn.Data(train=(x, y)), jn.Data(train=(x + 0.1, y))]


def sweep(data, recipes=RECIPES, **arguments):
    asked = {
        "strengths": {"input": [0.1, 0.3]},
        "seeds": 12,
        "epochs": 2,
        "batch_size": 32,
        "keep_params": [1],
        "vectorize": 1,
        "progress": False,
    }
    return jn.sweep(recipes, data=data, **(asked | arguments))


@pytest.fixture(scope="module")
def whole(data):
    """Without an executor."""
    return sweep(data)


def assert_same(one, other):
    pd.testing.assert_frame_equal(one.runs, other.runs, check_exact=True)
    assert one.runs.attrs == other.runs.attrs
    assert one.complete == other.complete
    arrays = [jax.tree.leaves((r.curves, r.variables)) for r in (one, other)]
    for left, right in zip(*arrays, strict=True):
        assert type(left) is type(right)
        assert left.tobytes() == right.tobytes()


class Died(Exception):
    """What a worker's death looks like."""


class Workshop:
    """An executor whose workers take turns in this process, each with its memory.

    Args:
        workers: their number.
        fate: called before each chunk with its runs; what it raises is the outcome, and
            a worker that has `Died` begins anew.
    """

    def __init__(self, workers=2, fate=lambda runs: None):
        self.memories, self.fate = [{} for _ in range(workers)], fate
        self.sent, self.parcels, self.broken = 0, 0, None

    def shutdown(self, wait):
        self.closed = True

    def submit(self, function, task, content):
        if self.broken:
            raise self.broken
        self.sent += 1
        self.parcels += content is not None
        future, worker = Future(), self.sent % len(self.memories)
        outer, executors._parcels = executors._parcels, self.memories[worker]
        try:
            self.fate(task.runs)
            answer = function(*pickle.loads(pickle.dumps((task, content))))
            future.set_result(answer._replace(worker=str(worker)))
        except BaseException as error:
            if isinstance(error, Died):
                self.memories[worker] = {}
            if isinstance(error, BrokenExecutor):
                self.broken = error
            future.set_exception(error)
        finally:
            executors._parcels = outer
        return future


class Pool(Workshop):
    """One whose chunks wait for their turn, and all die with a worker."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.calls = SimpleQueue()
        threading.Thread(target=self.work, daemon=True).start()

    def submit(self, *call):
        if self.broken:
            raise self.broken
        future = Future()
        self.calls.put((future, call))
        return future

    def work(self):
        while True:
            future, call = self.calls.get()
            error = self.broken
            if not error:
                done = super().submit(*call)
                error = done.exception()
            if error:
                future.set_exception(error)
            else:
                future.set_result(done.result())


def failing(times, error, fits=lambda run: True):
    """A fate that strikes the first chunks with a run that fits, so many times."""
    left = deque([error] * times)

    def fate(runs):
        if left and any(map(fits, runs)):
            raise left.pop()

    return fate


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_same_runs_and_the_data_once_a_worker(data, whole, workers):
    shop = Workshop(workers)
    assert_same(sweep(data, executor=shop), whole)
    more = sweep(data, executor=shop, seeds=15)
    assert_same(more.where(seed=range(12)), whole)
    assert 0 < shop.parcels <= workers


@pytest.mark.parametrize("error", [Died("hm"), CancelledError(), OSError("no disk")])
def test_what_fails_goes_again(data, whole, tmp_path, error, monkeypatch):
    counts, add = [], File.add_runs

    def counted(self, runs, instead_of=()):
        counts.append(len(runs))
        add(self, runs, instead_of)

    monkeypatch.setattr(File, "add_runs", counted)
    shop = Workshop(2, failing(4, error, lambda run: run.seed > 3))
    path = tmp_path / "results.sqlite"
    assert_same(sweep(data, executor=shop, store=path), whole)
    assert sum(counts) == len(whole.runs)
    assert_same(jn.Store(path).result(), whole)
    before = shop.sent
    assert_same(sweep(data, executor=shop, store=path), whole)
    assert shop.sent == before


def is_poison(run):
    return run.strength == 0.3 and run.seed == 11 and run.split == 0


@pytest.mark.parametrize("error", [OSError("no disk"), BrokenExecutor("killed")])
def test_after_three_failures_a_chunk_is_missing_and_no_other(
    data, whole, tmp_path, error
):
    """Also where each failure takes all that was under way with it."""
    shops, times, path = [], [], tmp_path / "results.sqlite"

    def fate(runs):
        if any(map(is_poison, runs)):
            times.append(runs)
            raise error

    def made():
        shops.append(Pool(2, fate))
        return shops[-1]

    why = f"{type(error).__name__}: {error}"
    with pytest.warns(UserWarning, match=f"failed on the workers three times.*: {why}"):
        part = sweep(data, executor=made, store=path)
    assert len(times) == 3
    assert shops[-1].closed
    assert not part.complete
    missing = part.runs.attrs["missing"]
    assert 0 < len(missing) <= 8
    assert f"{len(missing)} missing" in repr(part)
    assert missing[0]["why"] == why
    named = pd.DataFrame(missing).drop(columns="why")
    both = pd.concat([part.runs[list(named)], named])
    assert len(both.drop_duplicates()) == len(both) == len(whole.runs)
    assert_same(sweep(data, executor=Workshop(), store=path), whole)


def test_a_broken_executor_is_told_of(data, whole):
    shop = Workshop()

    def fate(runs):
        if shop.sent > 25:  # in the middle
            raise BrokenExecutor("killed")

    shop.fate = fate
    with pytest.raises(BrokenExecutor, match="killed") as told:
        sweep(data, executor=shop)
    assert "executor=lambda: ProcessPoolExecutor" in told.value.__notes__[0]
    part = told.value.result
    assert 0 < len(part.runs) < len(whole.runs)
    assert not part.complete


class Answers:
    """An executor that gives one answer to everything."""

    def __init__(self, answer):
        self.answer = answer

    def submit(self, function, task, content):
        future = Future()
        self.answer(future)
        return future


def test_workers_that_cannot_begin(data):
    shop = Answers(lambda future: future.set_exception(OSError("no JAX")))
    with pytest.raises(OSError, match="no JAX"):
        sweep(data, executor=shop)


def test_an_interrupt_calls_back_what_is_under_way(data, whole):
    """What has come back is kept."""
    futures = []

    class Slow(Workshop):
        def submit(self, function, task, content):
            if all(run.strength != 0.3 for run in task.runs):
                return super().submit(function, task, content)
            futures.append(Future())
            return futures[-1]

    def interrupt(done, total):
        if done > 8:
            raise KeyboardInterrupt

    part = sweep(data, executor=Slow(), progress=interrupt)
    assert not part.complete
    assert 8 < len(part.runs) < len(whole.runs)
    assert futures
    assert all(future.cancelled() for future in futures)


def test_silence_is_told_of(data, monkeypatch):
    told, late = [], []
    shop = Answers(late.append)

    def answer(message):
        told.append(message)
        late.pop().set_exception(OSError("at last"))

    monkeypatch.setattr(executors, "warn", answer)
    monkeypatch.setattr(executors, "PATIENCE", 0.01)
    with pytest.raises(OSError, match="at last"):
        sweep(data, executor=shop)
    assert told == ["no worker has answered for 0.01 s; the sweep waits."] * 3


# What travels


def test_what_cannot_travel_is_named(data, monkeypatch):
    lock = threading.Lock()
    asked = {"strengths": {}, "executor": Workshop()}
    recipes = RECIPES | {"locked": lambda stddev: lock and none(stddev)}
    with pytest.raises(TypeError, match=r"recipes\['locked'\] must travel.*pickle"):
        sweep(data, recipes, **asked)
    recipes = {"none": none, "local": lambda stddev: none(stddev)}
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(TypeError, match=r"recipes\['local'\].*or install cloudpickle"):
        sweep(data, recipes, **asked)


def test_options_of_numbers_travel(data):
    """A worker that has others gets the sweep's."""
    option = "jax_default_matmul_precision"
    jax.config.update(option, "float32")
    try:
        fate = lambda runs: jax.config.update(option, None)  # noqa: E731
        sweep(data[0], executor=Workshop(2, fate), seeds=2)
        assert jax.config.jax_default_matmul_precision == "float32"
    finally:
        jax.config.update(option, None)


def test_another_jax_is_refused(data, monkeypatch):
    def fate(runs):
        monkeypatch.setattr(jax, "__version__", "0.1")

    with pytest.warns(UserWarning, match="has JAX 0.1, the sweep"):
        part = sweep(data[0], executor=Workshop(1, fate), seeds=2)
    assert part.runs.empty


@pytest.mark.bad_input
def test_what_is_no_executor(data):
    for wrong in (2, "dask", object()):
        with pytest.raises(TypeError, match="executor must have the interface of"):
            sweep(data, executor=wrong)


def test_forked_processes_are_refused(data):
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool,
        pytest.raises(ValueError, match="as JAX stands still in a forked"),
    ):
        sweep(data, executor=pool)
