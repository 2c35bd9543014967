"""Runs in pieces: the same bits wherever they are cut, and wherever they stopped."""

import gc
import os
import random
import signal
import subprocess
import sys
from functools import cache

import jax
import numpy as np
import optax
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.store.checkpoints import Checkpoints

LOSS = jn.losses.binary_cross_entropy
OPTIMIZERS = {
    "momentum": optax.chain(
        jn.gradient_noise(0.01),
        optax.sgd(optax.cosine_decay_schedule(0.1, 20), momentum=0.9),
    ),
    "adam": optax.inject_hyperparams(optax.adamw)(learning_rate=1e-2),
    "keyed": optax.chain(
        optax.add_noise(0.01, 0.5, key=jax.random.key(3)), optax.adam(1e-2)
    ),
}


def recipe_of(optimizer):
    def recipe(stddev):
        return jn.Recipe(
            jn.MLP((4,), 1, hidden_noise=jn.GaussianNoise(stddev)), LOSS, optimizer
        )

    return recipe


RECIPES = {name: recipe_of(each) for name, each in OPTIMIZERS.items()}
EPOCHS = 12
CUTS = [2, 4, 6, 8, 10]  # the five points at which runs are cut


@pytest.fixture(scope="module")
def data():
    x, y = jn.data.circles().train
    return jn.Data(train=(x, y), validation=(x[:20], y[:20]))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.sqlite"


def sweep(data, recipe=RECIPES["adam"], **arguments):
    asked = {"strengths": {"hidden": [0.1, 0.3]}, "seeds": 2, "epochs": EPOCHS}
    asked |= {"batch_size": 20, "curves": ["train"], "metrics_every": 2}
    asked |= {"keep_params": True, "progress": False}
    return jn.sweep({"hidden": recipe}, data=data, **asked | arguments)


@pytest.fixture(scope="module")
def whole(data):
    """Of an optimiser, in one piece."""
    return cache(lambda name: sweep(data, RECIPES[name]))


def assert_same(one, other):
    """To the last bit."""
    pd.testing.assert_frame_equal(one.runs, other.runs, check_exact=True)
    for left, right in zip(
        *(jax.tree.leaves_with_path((r.curves, r.variables)) for r in (one, other)),
        strict=True,
    ):
        assert left[0] == right[0]
        assert left[1].tobytes() == right[1].tobytes()


def told(epochs):
    """A tracker that notes the epochs of which it hears."""
    return lambda runs, epoch, metrics: epochs.append(epoch)


def cut_at(point):
    """A tracker that stops the sweep at some epoch."""

    def on_metrics(runs, epoch, metrics):
        if epoch == point:
            raise KeyboardInterrupt

    return on_metrics


def checkpoints(path):
    return sorted(path.parent.glob(f"{path.name}.checkpoints/*"))


# Without XLA's fusion emitters, as most tests compile, parts of a program may be
# rounded otherwise than the whole of it: JAX_DISABLE_MOST_OPTIMIZATIONS=0 has them.
AS_USERS = pytest.mark.skipif(
    "fusion_emitters=false" in os.environ.get("XLA_FLAGS", ""),
    reason="takes JAX_DISABLE_MOST_OPTIMIZATIONS=0",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("momentum", marks=AS_USERS),
        "adam",
        pytest.param("keyed", marks=AS_USERS),
    ],
)
def test_cut_and_resumed_is_as_never_cut(data, whole, path, name):
    """At five points one after the other: each time it goes on where it stopped."""
    asked = {"checkpoint_every": 2, "store": path}
    for point in CUTS:
        epochs = []
        stop = cut_at(point)

        def on_metrics(runs, epoch, metrics, epochs=epochs, stop=stop):
            epochs.append(epoch)
            stop(runs, epoch, metrics)

        part = sweep(data, RECIPES[name], **asked, on_metrics=on_metrics)
        assert part.runs.empty
        assert not part.complete
        assert epochs == [point]
        assert len(checkpoints(path)) == 1
    rest = []
    resumed = sweep(data, RECIPES[name], **asked, on_metrics=told(rest))
    assert rest == [EPOCHS]
    assert_same(resumed, whole(name))
    assert_same(sweep(data, RECIPES[name], store=path), whole(name))  # is there


@pytest.mark.slow
def test_metrics_are_told_after_each_piece(data, whole):
    heard = []
    result = sweep(
        data,
        checkpoint_every=4,
        on_metrics=lambda *arguments: heard.append(arguments),
    )
    assert_same(result, whole("adam"))
    assert [epoch for _, epoch, _ in heard] == [4, 8, 12]
    for runs, epoch, metrics in heard:
        identity = ["placement", "strength", "seed", "split"]
        pd.testing.assert_frame_equal(runs, result.runs[identity])
        for name, curve in result.curves.items():
            at = result.epochs.tolist().index(epoch)
            np.testing.assert_array_equal(metrics[name], curve[:, at])


@pytest.mark.slow
def test_variables_at_epochs_are_those_of_shorter_runs(data, whole, path):
    asked = {"keep_params_at": [10, 4], "store": path}
    result = sweep(data, **asked)
    assert_same(result, whole("adam"))
    assert list(result.variables_at) == [4, 10]
    short = sweep(data, epochs=4)
    for one, other in zip(result.variables_at[4], short.variables, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)
    again = sweep(data, **asked)
    stored = jn.Store(path).result()
    parts = [stored.where(seed=[seed]) for seed in (0, 1)]
    joined = jn.concat(parts).where(strength=[0.1, 0.3])
    order = joined.runs.sort_values(["strength", "seed"]).index
    for other in (again, stored):
        assert jax.tree.structure(other.variables_at) == jax.tree.structure(
            result.variables_at
        )
        jax.tree.map(
            np.testing.assert_array_equal, other.variables_at, result.variables_at
        )
    for epoch, every in joined.variables_at.items():
        for i, row in enumerate(order):
            kept = result.variables_at[epoch][i]
            jax.tree.map(np.testing.assert_array_equal, every[row], kept)
    assert sweep(data, store=path).variables_at == {}
    one = result.where(strength=0.1, seed=0)
    figure = jn.plots.decision_regions(one, data, epochs=[4, 10])
    titles = [ax.get_title().replace("\n", " ") for ax in figure.axes[:2]]
    assert titles == [f"hidden 0.1, seed 0, epoch {epoch}" for epoch in (4, 10)]
    with pytest.raises(ValueError, match="epochs must be of keep_params_at of the"):
        jn.plots.decision_regions(one, data, epochs=[5])
    with pytest.raises(ValueError, match="the result must have its recipes"):
        jn.plots.decision_regions(stored, data)


def test_variables_at_epochs_of_some_seeds_survive_a_stop(data, path):
    asked = {"keep_params_at": [2, 8], "keep_params": [1], "store": path}
    asked["checkpoint_every"] = 4
    expected = sweep(data, **asked | {"store": None, "checkpoint_every": None})
    assert [v is None for v in expected.variables_at[2]] == [True, False] * 2
    sweep(data, **asked, on_metrics=cut_at(4))
    epochs = []
    resumed = sweep(data, **asked, on_metrics=told(epochs))
    assert epochs == [8, 12]
    assert_same(resumed, expected)
    jax.tree.map(
        np.testing.assert_array_equal, resumed.variables_at, expected.variables_at
    )


def test_what_was_not_kept_begins_anew(data, path):
    """A checkpoint without the variables of an epoch that lies behind it."""
    asked = {"checkpoint_every": 4, "store": path}
    sweep(data, **asked, on_metrics=cut_at(4))
    epochs = []
    sweep(data, **asked, keep_params_at=[2], on_metrics=told(epochs))
    assert epochs == [2, 4, 8, 12]


@pytest.mark.slow
def test_finished_runs_go_on_where_the_user_says(data, whole, path):
    asked = {"checkpoint_every": 4, "store": path}
    sweep(data, **asked, epochs=8)
    anew, epochs = [], []
    sweep(data, **asked, on_metrics=told(anew), seeds=1)
    assert anew == [4, 8, 12]
    # Seed 0 is there with all epochs; of seed 1 the shorter runs go on.
    assert_same(
        sweep(data, **asked, on_metrics=told(epochs), extend=True), whole("adam")
    )
    assert epochs == [12]
    assert jn.Store(path).runs["epochs"].tolist() == [EPOCHS] * 4


@pytest.mark.slow
def test_checkpoints_go_on_without_being_asked_for(data, path):
    sweep(data, checkpoint_every=4, store=path, epochs=8)
    before = checkpoints(path)
    longer = sweep(data, store=path, epochs=14, extend=True)
    assert_same(longer, sweep(data, epochs=14))
    (after,) = checkpoints(path)
    assert after not in before


@pytest.mark.slow
def test_another_recipe_does_not_go_on(data, whole, path):
    asked = {"checkpoint_every": 4, "store": path}
    sweep(data, RECIPES["keyed"], **asked, epochs=8)
    epochs = []
    result = sweep(data, **asked, on_metrics=told(epochs), extend=True)
    assert epochs == [4, 8, 12]
    assert_same(result, whole("adam"))


# Orbax leaves an event loop open where it fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_checkpoints_cost_time_alone(data, whole, path):
    asked = {"checkpoint_every": 4, "store": path}
    sweep(data, **asked, on_metrics=cut_at(8))
    (folder,) = checkpoints(path)
    for file in folder.rglob("d/*"):
        file.write_bytes(file.read_bytes()[:-9])
    (folder.parent / "unfinished.orbax-checkpoint-tmp").mkdir()
    (folder.parent / "else").write_text("not ours")
    epochs = []
    with pytest.warns(UserWarning, match="cannot be read, its runs begin anew"):
        result = sweep(data, **asked, on_metrics=told(epochs))
    gc.collect()
    assert epochs == [4, 8, 12]
    assert_same(result, whole("adam"))


def test_forgotten_runs_leave_no_checkpoint(data, path):
    sweep(data, checkpoint_every=4, store=path)
    assert len(checkpoints(path)) == 1
    jn.Store(path).forget(seed=1)
    assert not checkpoints(path)


def test_checkpoints_need_a_writable_place(data, path):
    (path.parent / f"{path.name}.checkpoints").write_text("in the way")
    with pytest.raises(jn.StoreError, match="checkpoint"):
        sweep(data, checkpoint_every=4, store=path)


def test_a_tracker_hears_of_runs(data, tmp_path):
    """TensorBoard's, without a server."""
    tensorboardX = pytest.importorskip("tensorboardX")
    writer = tensorboardX.SummaryWriter(str(tmp_path))

    def on_metrics(runs, epoch, metrics):
        names = [str(run) for run in runs.index]
        for name, values in metrics.items():
            writer.add_scalars(name, dict(zip(names, values, strict=True)), epoch)

    sweep(data, checkpoint_every=4, on_metrics=on_metrics)
    scalars = writer.scalar_dict
    writer.close()
    curves = {name.rpartition("/")[2]: points for name, points in scalars.items()}
    assert len(curves) == 4
    assert [epoch for _, epoch, _ in curves["0"]] == [4, 8, 12]
    assert any(file.stat().st_size for file in tmp_path.rglob("events*"))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"checkpoint_every": 2}, "checkpoint_every must have store, a path beside"),
        ({"checkpoint_every": 0}, "checkpoint_every must be an int of at least 1"),
        ({"checkpoint_every": 3, "store": "s"}, "checkpoint_every must be a multiple"),
        ({"epochs": 7, "keep_params_at": [2]}, "epochs must be a multiple of metrics"),
        ({"on_metrics": print}, "on_metrics must have checkpoint_every"),
        ({"keep_params_at": [14]}, "keep_params_at must be at most epochs=12, got 14"),
        ({"keep_params_at": [3]}, "keep_params_at must be a multiple of metrics_every"),
        ({"keep_params_at": [0]}, "keep_params_at must be epochs, each of at least 1"),
    ],
)
def test_what_is_refused(data, given, message):
    with pytest.raises(ValueError, match=message):
        sweep(data, **given)


@pytest.mark.bad_input
def test_what_is_of_another_kind(data):
    with pytest.raises(TypeError, match="keep_params_at must be epochs, such as"):
        sweep(data, keep_params_at=4)
    with pytest.raises(TypeError, match="on_metrics must be a function"):
        sweep(data, checkpoint_every=2, on_metrics=2)


CHILD = """
import os, sys, jax
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_compilation_cache_dir", os.environ["JAXNOISE_TEST_PROGRAMS"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
sys.path.insert(0, sys.argv[1])
import jaxnoise as jn, test_pieces as tests
x, y = jn.data.circles().train
data = jn.Data(train=(x, y), validation=(x[:20], y[:20]))
tell = lambda runs, epoch, metrics: print(epoch, flush=True)
asked = {"store": sys.argv[2], "epochs": int(sys.argv[3]), "checkpoint_every": 4}
tests.sweep(data, on_metrics=tell, **asked)
"""


def started(path, epochs):
    """A process with such a sweep, which prints the epochs that its runs have had."""
    command = [sys.executable, "-c", CHILD, os.path.dirname(__file__), str(path)]
    return subprocess.Popen([*command, str(epochs)], stdout=subprocess.PIPE, text=True)


@AS_USERS
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(3, marks=pytest.mark.slow),
        pytest.param(50, marks=pytest.mark.long),
    ],
)
def test_killed_and_resumed_is_as_never_killed(data, path, kills):
    """Also while a checkpoint is written: at most the epochs of a piece are lost."""
    rng, last = random.Random(0), 0
    for _ in range(kills):
        child = started(path, 400)
        lines = [child.stdout.readline() for _ in range(1 + rng.randrange(3))]
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate(timeout=300)
        epochs = [int(line) for line in "".join([*lines, rest]).split()]
        if epochs:
            assert epochs[0] in (last + 4, last + 8)
            last = epochs[-1]
    assert_same(
        sweep(data, store=path, epochs=400, checkpoint_every=4),
        sweep(data, epochs=400),
    )


@AS_USERS
@pytest.mark.slow
def test_two_processes_that_train_the_same_runs(data, path):
    """Each may do all of the work; what is left is of one, and whole."""
    both = [started(path, 24) for _ in range(2)]
    for child in both:
        told, _ = child.communicate(timeout=300)
        assert told.split()[-1:] in (["24"], [])
        assert child.returncode == 0
    assert jn.Store(path).verify() == 4
    before = path.read_bytes()
    asked = {"epochs": 24, "store": path, "checkpoint_every": 4}
    assert_same(sweep(data, **asked), sweep(data, epochs=24))
    assert path.read_bytes() == before
    assert len(list(Checkpoints(path))) == 1
