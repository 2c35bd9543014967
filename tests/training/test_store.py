"""Sweeps with a store: each run is trained once, whatever stops them."""

import os
import random
import re
import signal
import subprocess
import sys

import jax
import numpy as np
import optax
import pandas as pd
import pytest
import sklearn.metrics

import jaxnoise as jn
from jaxnoise.store.file import File
from jaxnoise.training.fingerprint import ADDRESS, _code

CONSTANTS = np.linspace(0, 1, 2000, dtype=np.float32)


def recipe(noise=None, **parts):
    loss, optimizer = jn.losses.binary_cross_entropy, optax.sgd(0.1)
    parts = {"loss": loss, "optimizer": optimizer} | parts
    return jn.Recipe(jn.MLP((), 1, input_noise=noise), **parts)


def none(_):
    return recipe()


def noisy(stddev):
    return recipe(jn.GaussianNoise(stddev))


RECIPES = {"none": none, "input": noisy}
ARGUMENTS = {
    "strengths": {"input": [0.3, 0.1]},
    "seeds": 3,
    "epochs": 3,
    "batch_size": 32,
    "curves": ["train"],
    "keep_params": [1],
    "vectorize": 1,
    "progress": False,
}
ALONE = {"recipes": {"none": none}, "strengths": {}, "seeds": 2}


@pytest.fixture(scope="module")
def data():
    return jn.Data(train=jn.data.circles().train)


@pytest.fixture(scope="module")
def whole(data):
    """Without a store."""
    return sweep(data)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.sqlite"


def sweep(data, recipes=RECIPES, **arguments):
    return jn.sweep(recipes, data=data, **(ARGUMENTS | arguments))


def part_of(data):
    x, y = data.train
    return jn.Data(train=(x[:20], y[:20]))


@pytest.fixture
def trained(monkeypatch):
    """How many runs were trained, call by call."""
    counts = []
    add = File.add_runs

    def counted(self, runs, instead_of=()):
        counts.append(len(runs))
        add(self, runs, instead_of)

    monkeypatch.setattr(File, "add_runs", counted)
    return counts


def assert_same(one, other):
    """To the last bit, and in type."""
    pd.testing.assert_frame_equal(one.runs, other.runs, check_exact=True)
    assert one.runs.attrs == other.runs.attrs
    assert one.epochs.tolist() == other.epochs.tolist()
    assert jax.tree.structure(one.variables) == jax.tree.structure(other.variables)
    assert list(one.curves) == list(other.curves)
    assert list(one.rows) == list(other.rows)
    for name, kept in one.rows.items():
        assert kept[1:] == other.rows[name][1:]
    stored = [[kept.stored for kept in r.rows.values()] for r in (one, other)]
    arrays = [
        jax.tree.leaves((r.curves, r.variables, rows))
        for r, rows in zip((one, other), stored, strict=True)
    ]
    for left, right in zip(*arrays, strict=True):
        assert type(left) is type(right)
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes()


def test_each_run_is_trained_once(data, whole, path, trained):
    few = sweep(data, strengths={"input": [0.1]}, seeds=[1], store=path)
    assert sum(trained) == 2
    assert_same(few, whole.where(strength=[0, 0.1], seed=1))
    assert_same(sweep(data, store=path), whole)
    assert sum(trained) == 9
    with jax.no_tracing():
        again = sweep(data, store=path)
    assert sum(trained) == 9
    assert_same(again, whole)
    assert again.complete


def test_nothing_is_compiled_where_nothing_is_missing(data, path, monkeypatch):
    sweep(data, store=path)
    monkeypatch.setattr("jaxnoise.training.program.Program.compiled", None)
    assert len(sweep(data, store=path).runs) == 9


def test_an_interrupt_keeps_what_finished(data, whole, path, trained):
    def interrupt(done, total):
        raise KeyboardInterrupt

    part = sweep(data, store=path, progress=interrupt)
    assert not part.complete
    assert 0 < len(part.runs) == sum(trained) == len(jn.Store(path).runs) < 9
    assert_same(sweep(data, store=path), whole)
    assert sum(trained) == 9


def test_variables_that_were_not_kept(data, whole, path, trained):
    """The runs that lack them are trained again, the others are not."""
    sweep(data, store=path, keep_params=False)
    assert_same(sweep(data, store=path), whole)
    assert sum(trained) == 9 + 3
    assert_same(
        sweep(data, store=path, keep_params=False), sweep(data, keep_params=False)
    )
    assert_same(sweep(data, store=path), whole)
    assert sum(trained) == 9 + 3


@pytest.mark.slow
def test_splits_strengths_of_several_numbers_and_metrics_of_sets(data, path, trained):
    """Also recipes with metrics of their own, and runs that diverge."""

    def both(strength):
        noise = jn.GaussianNoise(strength["a"] + strength["b"])
        metrics = {"accuracy": jn.metrics.binary_accuracy}
        return recipe(noise, metrics=metrics)

    def of_sets(rate):
        auc = sklearn.metrics.roc_auc_score
        return recipe(
            optimizer=optax.sgd(0.1 + 1e20 * rate),
            loss=jn.losses.squared_error,
            set_metrics={"auc": lambda t, z: auc(t[:, 0], z[:, 0])},
        )

    splits = [data, part_of(data)]
    for i, split in enumerate(splits):
        split.overlap, split.outer = 0.25, i
    asked = {"recipes": {"both": both, "sets": of_sets}, "metrics_every": 2}
    asked["strengths"] = {"both": [{"a": 0.1, "b": 0.2}], "sets": [0.0, 1.0]}
    expected = sweep(splits, **asked)
    assert expected.runs["finite"].sum() == 12
    sweep(splits[:1], **asked, store=path)
    assert_same(sweep(splits, **asked, store=path), expected)
    assert_same(sweep(splits, **asked, store=path), expected)
    assert sum(trained) == 18
    assert_same(jn.Store(path).result(), expected)


def test_values_of_rows(data, path, trained):
    """Right or wrong, and losses; of a part, and of parts that are joined."""

    def made(_):
        return recipe(metrics={"accuracy": jn.metrics.binary_accuracy})

    sets = jn.Data(train=data.train, test=data.train)
    asked = {"recipes": {"none": made}, "strengths": {}, "keep_rows": True}
    expected = sweep(sets, **asked)
    assert expected.rows["test_accuracy"].bits
    first = sweep(sets, **asked, seeds=[0, 1], store=path)
    assert_same(sweep(sets, **asked, store=path), expected)
    assert sum(trained) == 3
    store = jn.Store(path)
    assert_same(store.result(), expected)
    assert_same(jn.concat([first, store.result(seed=2)]), expected)


# What is refused


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"batch_size": 16}, r"batch_size \(30, not 16\)"),
        ({"curves": ()}, r"curves \(\['train'\], not \[\]\)"),
        ({"metrics_every": 2}, r"metrics_every \(1, not 2\)"),
        ({"version": "2"}, r"version \(, not 2\)"),
        ({"recipes": {"none": noisy}}, "recipe, which are not mixed"),
        ({"data": "other"}, "data, which"),
        ({"data": "shorter"}, r"data and batch_size \(30, not 20\), which"),
        ({"data": "other", "recipes": {"none": noisy}}, "recipe and data, which"),
    ],
)
def test_what_changed_is_told_and_not_mixed(data, path, change, what):
    sweep(data, **ALONE, store=path)
    before = jn.Store(path).runs
    x, y = data.train
    others = {"other": jn.Data(train=(x + 1, y)), "shorter": part_of(data)}
    asked = ALONE | {"data": data, "store": path} | change
    asked["data"] = others.get(str(asked["data"]), asked["data"])
    message = f"has runs of 'none' of another {what}"
    with pytest.raises(ValueError, match=message) as told:
        sweep(**asked)
    pd.testing.assert_frame_equal(jn.Store(path).runs, before)
    if "version" in change:
        cure = re.search(r"jn\.Store\(.*\)", str(told.value))[0]
        assert eval(cure) == 2
        assert len(sweep(**asked).runs) == 2


def shifted(by):
    return lambda t, z: z.mean() + by


def test_code_is_told_by_what_it_refers_to():
    """Not by where it stands; a function may refer to itself."""
    assert _code(shifted(1)) == _code(shifted(1)) != _code(shifted(2))

    def calls_itself(t, z):
        return calls_itself if t else z in {"a", "b", "c"}

    assert "itself" in str(_code(calls_itself))
    assert "0x" not in ADDRESS.sub("", str(_code(calls_itself)))


@pytest.mark.slow
def test_what_a_recipe_is(data, path):
    """Constants by their values, host functions by their code; names are nothing."""

    def made(add, metric):
        def make(_):
            return recipe(
                penalty=lambda apply, params, x: (add * CONSTANTS).sum(),
                set_metrics={"mean": metric},
            )

        return make

    def asked(*parts):
        return sweep(data, **ALONE | {"recipes": {"none": made(*parts)}}, store=path)

    ones = np.ones(2000, np.float32)
    other = ones.copy()
    other[1000] = 2
    asked(ones, lambda t, z: z.mean())
    asked(ones.copy(), lambda t, z: z.mean())
    unlike = [lambda t, z, more=by: z.mean() + more for by in (0, 1)]
    unlike += [lambda t, z: z.mean() + 1, *map(shifted, (1, 2))]
    for parts in ((other, lambda t, z: z.mean()), *((ones, each) for each in unlike)):
        with pytest.raises(ValueError, match="another recipe"):
            asked(*parts)


def test_what_has_no_runs_is_no_obstacle(data, path):
    """A recipe that failed may be mended."""

    def broken(self, *_):
        raise OSError("no disk")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(File, "add_runs", broken)
        with pytest.raises(OSError, match="no disk"):
            sweep(data, **ALONE, store=path)
    assert len(sweep(data, **ALONE, store=path, version="mended").runs) == 2


def test_an_error_of_the_store_loses_no_run(data, path, monkeypatch):
    add = File.add_runs

    def full(self, runs, instead_of=()):
        add(self, runs, instead_of)
        if runs:
            raise jn.StoreError("the disk is full")

    monkeypatch.setattr(File, "add_runs", full)
    with pytest.raises(jn.StoreError, match="disk is full") as told:
        sweep(data, store=path)
    assert len(told.value.result.runs) == len(jn.Store(path).runs) > 0


def test_epochs_lie_side_by_side_or_give_way(data, path, trained):
    alone = ALONE | {"store": path, "seeds": 3}
    short = sweep(data, **alone)
    longer = sweep(data, **alone | {"epochs": 5, "seeds": 2})
    assert sum(trained) == 5
    store = jn.Store(path)
    assert store.runs["epochs"].tolist() == [3, 5, 3, 5, 3]
    with pytest.raises(ValueError, match="epochs must be one of 3, 5"):
        store.result()
    assert_same(store.result(epochs=3), short)
    assert_same(store.result(epochs=5), longer)
    same = sweep(data, **alone | {"epochs": 5, "seeds": 2, "extend": True})
    assert_same(same, longer)
    assert store.runs["epochs"].tolist() == [5, 5, 3]
    sweep(data, **alone, epochs=5, extend=True)
    assert sum(trained) == 6
    assert store.runs["epochs"].tolist() == [5, 5, 5]


@pytest.mark.bad_input
def test_variables_that_no_file_holds(data, path):
    class Odd(dict):
        pass

    from jaxnoise.store.arrays import packed_tree

    for tree in (Odd(a=np.ones(2)), {1: np.ones(2)}, {"a": "text"}):
        with pytest.raises(
            TypeError, match="variables must be dicts, lists and tuples"
        ):
            packed_tree(tree)
    with pytest.raises(TypeError, match="a must be of a type of files, got complex128"):
        packed_tree({"a": np.ones(2, complex)})


# Kills

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import os, test_store as tests
import jaxnoise as jn, jax
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_compilation_cache_dir", os.environ["JAXNOISE_TEST_PROGRAMS"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
data = jn.Data(train=jn.data.circles().train)
tell = lambda done, total: print(done, flush=True)
tests.sweep(data, store=sys.argv[2], seeds=40, progress=tell)
"""


def killed(path, number, calls):
    """A sweep that is killed after some calls; how many of its runs it told of."""
    command = [sys.executable, "-c", CHILD, os.path.dirname(__file__), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    told = [process.stdout.readline() for _ in range(calls)]
    process.send_signal(number)
    rest, _ = process.communicate(timeout=300)
    return [int(line) for line in "".join([*told, rest]).split()]


KILLS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(KILLS * 5, marks=pytest.mark.slow),
        pytest.param(KILLS * 67, marks=pytest.mark.long),
    ],
    ids=len,
)
def test_killed_and_resumed_is_as_never_killed(data, path, kills, trained):
    rng = random.Random(0)
    most = max(1, 12 // len(kills))
    for number in kills:
        done = killed(path, number, rng.randint(0, most))
        assert not done or len(jn.Store(path).runs) >= done[-1]
    more = {"seeds": 40}
    before = len(jn.Store(path).runs) if path.exists() else 0
    resumed = sweep(data, **more, store=path)
    assert sum(trained) == len(resumed.runs) - before
    assert_same(resumed, sweep(data, **more))
    assert jn.Store(path).verify() == 120
