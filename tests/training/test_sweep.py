"""Sweeps: the same runs as one by one, on any devices, compiled once a placement."""

import copy
import importlib
import pickle
import re
from dataclasses import dataclass, replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
import sklearn.metrics
from jax.sharding import Mesh

import jaxnoise as jn
from jaxnoise.data.sets import split_facts
from jaxnoise.training import program

sweep_module = importlib.import_module("jaxnoise.training.sweep")

CALLS = {"none": 0, "input": 0, "hidden": 0}


def named(value):
    """An id that every process finds: without addresses."""
    return re.sub(r" at 0x\w+", "", str(value))


def recipe(**noise):
    return jn.Recipe(
        model=jn.MLP((8,), 1, **noise),
        loss=jn.losses.binary_cross_entropy,
        optimizer=optax.adam(1e-2),
        metrics={"accuracy": jn.metrics.binary_accuracy},
    )


def none(_):
    CALLS["none"] += 1
    return recipe()


def inputs(stddev):
    CALLS["input"] += 1
    return recipe(input_noise=jn.GaussianNoise(stddev))


def hidden(stddev):
    CALLS["hidden"] += 1
    return recipe(hidden_noise=jn.GaussianNoise(stddev))


RECIPES = {"none": none, "input": inputs, "hidden": hidden}
STRENGTHS = {"input": [0.01, 0.1], "hidden": [0.1, 0.3]}
KEPT = {"keep_params": True}  # a program of its own
FEW = "compare: . units are few"


@pytest.fixture(scope="module")
def data():
    full = jn.data.circles()
    return jn.Data(train=full.train, test=full.test)


def sweep(data, recipes=RECIPES, strengths=STRENGTHS, **arguments):
    arguments = {"seeds": 3, "epochs": 4, "batch_size": 32, **KEPT} | arguments
    return jn.sweep(recipes, strengths=strengths, data=data, **arguments)


@pytest.fixture(scope="module")
def result(data):
    """The sweep that most tests look at; others of its settings compile nothing."""
    return sweep(data)


def rows(result, **which):
    """The table of the runs with these values, without the row numbers."""
    runs = result.runs
    for column, value in which.items():
        values = value if isinstance(value, list | range) else [value]
        runs = runs[runs[column].isin(list(values))]
    return runs.reset_index(drop=True)


def assert_same_tree(a, b, **tolerance):
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(left, right, **tolerance)


def test_table(result):
    runs = result.runs
    metrics = ["train_accuracy", "train_loss", "test_accuracy", "test_loss"]
    assert list(runs) == ["placement", "strength", "seed", "split", *metrics, "finite"]
    identity = runs[["placement", "strength", "seed", "split"]]
    assert identity.values.tolist() == [
        [placement, strength, seed, 0]
        for placement, strengths in ({"none": [0.0]} | STRENGTHS).items()
        for strength in strengths
        for seed in range(3)
    ]
    assert runs["finite"].all()
    assert result.complete
    assert result.curves["test_loss"].shape == (15, 4)
    np.testing.assert_array_equal(result.epochs, [1, 2, 3, 4])
    np.testing.assert_allclose(result.curves["test_loss"][:, -1], runs["test_loss"])
    assert result.device == "4 x cpu"
    assert result.compile_seconds > 0
    assert result.run_seconds > 0


@pytest.fixture(scope="module")
def train():
    """One run of the sweep's settings, by itself."""
    return jax.jit(jn.make_train(hidden, epochs=4, batch_size=32))


def test_equals_train_run_by_run(result, data, train):
    for i, run in result.runs[result.runs["placement"] == "hidden"].iterrows():
        one = train(jax.random.key(run["seed"]), run["strength"], data)
        for name, value in one.metrics.items():
            np.testing.assert_allclose(run[name], value, rtol=1e-5)
        for name, curve in one.curves.items():
            np.testing.assert_allclose(result.curves[name][i], curve, rtol=1e-5)
        assert_same_tree(result.variables[i], one.variables, rtol=1e-4, atol=1e-6)


def test_compiles_once_a_placement(data, result):
    """Other strengths, seeds and splits compile nothing."""
    before = dict(CALLS)
    with jax.no_tracing():
        others = {"input": [0.5, 0.2, 0.7], "hidden": [1.5]}
        again = sweep([data] * 2, strengths=others, seeds=range(7, 20))
    assert before == CALLS
    assert len(again.runs) == 13 * 5 * 2


def test_adding_runs_changes_no_earlier_run(data, result):
    more = sweep(
        [data, data],
        strengths={"input": [0.05, 0.01, 0.1], "hidden": [0.3, 0.7, 0.1]},
        seeds=[5, 0, 2, 1],
    )
    key = ["placement", "strength", "seed", "split"]
    both = result.runs.merge(more.runs, on=key, suffixes=("", "_more"))
    assert len(both) == len(result.runs)
    for name in ("train_loss", "test_accuracy", "test_loss"):
        np.testing.assert_array_equal(both[name], both[f"{name}_more"])


@pytest.mark.parametrize(
    ("devices", "vectorize"),
    [
        (2, "auto"),
        pytest.param(3, 1, marks=pytest.mark.slow),
        pytest.param(1, "auto", marks=pytest.mark.slow),
        pytest.param(3, "auto", marks=pytest.mark.slow),
    ],
)
def test_any_number_of_devices_gives_the_same_bits(
    devices, vectorize, data, result, monkeypatch
):
    """6 runs, 1 to a pack and many, on 1 to 4 devices."""
    alone = {"recipes": {"hidden": hidden}, "strengths": {"hidden": [0.1, 0.3]}}
    four = result.where("hidden")
    mesh = Mesh(np.array(jax.devices()[:devices]), ("runs",))
    monkeypatch.setattr(sweep_module, "runs_mesh", lambda: mesh)
    few = sweep(data, **alone, vectorize=vectorize)
    exact = vectorize == "auto"  # between block sizes the order of sums differs
    pd.testing.assert_frame_equal(
        few.runs, four.runs, check_exact=exact, **{} if exact else {"rtol": 1e-5}
    )


def test_only_kept_variables_stay_in_memory(data):
    """And no run holds the arrays of its whole call."""
    part = sweep(data, keep_params=[1])
    for run, variables in zip(part.runs.itertuples(), part.variables, strict=True):
        assert (variables is not None) == (run.seed == 1)
        for leaf in jax.tree.leaves(variables):
            assert leaf.base is None


@pytest.mark.bad_input
def test_a_wrong_recipe_is_told_before_anything_runs(data):
    seen = []
    with pytest.raises(TypeError, match="recipe must return a jn.Recipe"):
        sweep(
            data,
            {"none": none, "wrong": lambda _: None},
            {},
            progress=lambda done, total: seen.append(done),
        )
    assert not [done for done in seen if done]


@pytest.mark.slow
def test_splits_share_initial_weights_and_little_else(data):
    """Also splits of different sizes, which take a program each."""
    x, y = data.train
    splits = [jn.Data(**data) for _ in range(2)]
    splits.append(jn.Data(train=(x[:20], y[:20]), test=data.test))
    for i, split in enumerate(splits):
        split.overlap, split.outer = 0.25, i

    def still(_):
        return jn.Recipe(
            jn.MLP((8,), 1), jn.losses.binary_cross_entropy, optax.sgd(0.0)
        )

    kept = sweep(splits, {"none": still}, {}, seeds=2, epochs=1, curves=())
    assert kept.runs.attrs == split_facts(splits)  # what statistics ask about them
    assert kept.runs.attrs["outer"] == [0, 1, 2]
    assert kept.runs["split"].tolist() == [0, 1, 2, 0, 1, 2]
    for i in (1, 2):
        assert_same_tree(kept.params[0], kept.params[i])
    assert not np.array_equal(*(kept.params[i]["hidden_0"]["kernel"] for i in (0, 3)))
    noisy = sweep([data, data])
    for placement, same in {"none": True, "hidden": False}.items():
        loss = [noisy.where(placement, split=i).runs["train_loss"] for i in (0, 1)]
        assert np.array_equal(*loss) == same  # only noise tells equal data apart


def test_a_split_equals_train(data, train):
    (x, y), test = data.train, data.test
    other = jn.Data(train=(x, 1 - y), test=test)
    result = sweep([data, other])
    for _, run in rows(result, placement="hidden", strength=0.3, split=1).iterrows():
        one = train(jax.random.key(run["seed"]), 0.3, other, 1)
        np.testing.assert_allclose(
            run["test_loss"], one.metrics["test_loss"], rtol=1e-5
        )


def test_keep_params(data, result):
    nothing = sweep(data, {"none": none}, {}, keep_params=False, epochs=1, curves=())
    assert nothing.variables == (None,) * 3
    some = sweep(data, keep_params=[1])
    kept = [variables is not None for variables in some.variables]
    assert kept == (some.runs["seed"] == 1).tolist()
    assert_same_tree(some.params[1], result.params[1])
    assert some.params[0] is None


@pytest.mark.slow
def test_pytree_strengths(data):
    def both(strength):
        return recipe(
            input_noise=jn.GaussianNoise(strength["input"]),
            hidden_noise=jn.GaussianNoise(strength["hidden"]),
        )

    levels = [{"input": 0.01, "hidden": 0.1}, {"input": 0.0, "hidden": 0.3}]
    result = sweep(
        data,
        {"none": none, "hidden": hidden, "both": both},
        {"both": levels, "hidden": [0.3]},
    )
    columns = ["placement", "strength", "strength.hidden", "strength.input"]
    assert list(result.runs)[:4] == columns
    assert "both hidden 0.1 and input 0.01, hidden 0.3 and input 0\n" in repr(result)
    with pytest.warns(UserWarning, match=FEW):
        table = jn.compare(result, metric="test_loss")
    assert table["strength.hidden"].tolist()[2:] == [0.1, 0.3]
    assert np.isnan(table["strength"].tolist()[2])
    alone, silent = rows(result, placement="hidden"), rows(result, placement="both")
    np.testing.assert_allclose(
        alone["test_loss"], silent["test_loss"][3:], rtol=1e-5
    )  # silent inputs leave hidden noise alone


def test_diverged_runs_are_data(data):
    def explode(rate):
        return jn.Recipe(jn.MLP((8,), 1), jn.losses.squared_error, optax.sgd(rate))

    result = sweep(data, {"none": explode, "sgd": explode}, {"sgd": [0.1, 1e20]})
    runs = result.runs
    assert runs["finite"].tolist() == [True] * 6 + [False] * 3
    assert runs.loc[~runs["finite"], ["train_loss", "test_loss"]].isna().all(axis=None)
    with pytest.warns(UserWarning, match=FEW):
        table = jn.compare(result, metric="test_loss")
    assert table["diverged"].tolist() == [0, 0, 3]
    assert table["n"].tolist() == [3, 3, 0]


def test_what_a_result_prints(result):
    assert repr(result).splitlines() == [
        "SweepResult: 15 runs, 15 finite, complete",
        "  placements and strengths: none 0; input 0.01, 0.1; hidden 0.1, 0.3",
        "  seeds: 3; splits: 1",
        "  metrics: train_accuracy, train_loss, test_accuracy, test_loss",
        "  curves: 4 epochs of train_accuracy, train_loss, test_accuracy, test_loss",
        "all numbers: .runs (a pandas table) and .curves; jaxnoise.compare judges them",
    ]


@pytest.mark.slow
def test_metrics_every_and_curves(data, result):
    alone = {"recipes": {"none": none}, "strengths": {}}
    sparse = sweep(data, **alone, metrics_every=3, curves=("test",))
    np.testing.assert_array_equal(sparse.epochs, [3])
    assert list(sparse.curves) == ["test_accuracy", "test_loss"]
    np.testing.assert_allclose(
        sparse.curves["test_loss"],
        result.where("none").curves["test_loss"][:, 2:3],
        rtol=1e-6,
    )


def test_interrupt_keeps_the_finished_runs(data, result):
    def stop(done, total):
        assert total == 15
        if done >= 5:
            raise KeyboardInterrupt

    part = sweep(data, progress=stop)
    assert not part.complete
    assert 5 <= len(part.runs) < 15
    assert len(part.curves["test_loss"]) == len(part.variables) == len(part.runs)
    same = result.runs.merge(part.runs, on=["placement", "strength", "seed"])
    np.testing.assert_array_equal(same["test_loss_x"], same["test_loss_y"])


def test_interrupt_before_anything_finished(data):
    def make(_):
        raise KeyboardInterrupt

    nothing = sweep(data, {"none": make}, {})
    assert not nothing.complete
    assert nothing.runs.empty
    assert nothing.curves == {}
    assert repr(nothing).startswith("SweepResult: 0 runs, 0 finite, interrupted")


def test_an_error_hands_over_the_finished_runs(data, result):
    """Whatever stops the runs: here what the caller does with the progress."""

    def fail(done, total):
        if done >= 5:
            raise OSError("the log is full")

    with pytest.raises(OSError, match="the log is full") as caught:
        sweep(data, progress=fail)
    part = caught.value.result
    assert not part.complete
    assert 5 <= len(part.runs) < 15
    assert caught.value.__notes__ == [
        f"{len(part.runs)} of 15 runs had finished; they are in this exception's "
        "attribute `result`, a SweepResult."
    ]
    same = result.runs.merge(part.runs, on=["placement", "strength", "seed"])
    np.testing.assert_array_equal(same["test_loss_x"], same["test_loss_y"])


def test_an_error_of_a_program_hands_over_the_finished_runs(data, monkeypatch):
    lowered = program.traced_program

    def breaks(*arguments):
        whole = lowered(*arguments)
        broken = copy.copy(whole)

        def call(data, split, seeds, strengths, live):
            if (strengths == np.float32(0.3)).any():
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: of memory")
            return whole.compiled(data, split, seeds, strengths, live)

        vars(broken).update(compiled=call, grouped=broken)
        return broken

    monkeypatch.setattr(program, "traced_program", breaks)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED") as it:
        sweep(data)
    placements = it.value.result.runs["placement"]
    assert placements.tolist() == ["none"] * 3 + ["input"] * 6
    assert "9 of 15 runs had finished" in it.value.__notes__[0]


@pytest.mark.bad_input
def test_an_error_before_the_runs_is_only_itself(data):
    with pytest.raises(TypeError, match="recipe must return") as caught:
        sweep(data, {"none": none, "wrong": lambda _: None}, {})
    assert not hasattr(caught.value, "result")


def test_progress_counts_runs(data):
    seen = []
    sweep(data, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (15, 15)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_no_progress_bar_without_a_terminal(data, capsys):
    sweep(data)
    assert capsys.readouterr() == ("", "")


def test_progress_bar_on_a_terminal(data, capsys, monkeypatch):
    import sys

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    sweep(data)
    out, err = capsys.readouterr()
    assert out == ""
    assert "15/15" in err
    sweep(data, progress=False)
    assert capsys.readouterr() == ("", "")


def test_numpy_arguments(data):
    result = sweep(data, {"none": none}, {"none": np.float64(0.0)}, seeds=np.arange(2))
    assert len(result.runs) == 2
    levels = sweep(data, {"hidden": hidden}, {"hidden": jnp.array([0.1, 0.2])}, seeds=1)
    np.testing.assert_allclose(levels.runs["strength"], [0.1, 0.2], rtol=1e-6)


@pytest.mark.slow
def test_numpy_numbers(data):
    """Counts that come from an array or a configuration."""
    numbers = {"epochs": 2, "batch_size": 32, "metrics_every": 1, "vectorize": 8}
    plain = sweep(data, {"none": none}, {}, **numbers)
    types = (np.int64, np.int32, np.uint8, np.int64)
    pairs = zip(numbers.items(), types, strict=True)
    numbers = {name: of_type(number) for (name, number), of_type in pairs}
    with jax.no_tracing():  # the program of the same Python numbers
        same = sweep(data, {"none": none}, {}, **numbers)
    pd.testing.assert_frame_equal(same.runs, plain.runs)
    np.testing.assert_array_equal(same.epochs, plain.epochs)


@dataclass
class Configured:
    """Has an __eq__, and so no hash."""

    units: int
    calls: int = 0

    def __call__(self, stddev):
        self.calls += 1
        model = jn.MLP((self.units,), 1, hidden_noise=jn.GaussianNoise(stddev))
        return jn.Recipe(model, jn.losses.binary_cross_entropy, optax.sgd(0.1))


@pytest.mark.slow
def test_recipes_without_a_hash(data):
    """Each object has its program; an equal one may be about to change."""
    one, two = Configured(2), Configured(2)
    first = sweep(data, {"none": one}, {}, epochs=1, seeds=1, curves=())
    with jax.no_tracing():
        again = sweep(data, {"none": one}, {}, epochs=1, seeds=1, curves=())
    assert one.calls == 1
    pd.testing.assert_frame_equal(first.runs, again.runs)
    other = sweep(data, {"none": two}, {}, epochs=1, seeds=1, curves=())
    assert two.calls == 1
    pd.testing.assert_frame_equal(first.runs, other.runs)


# Metrics of whole sets, and what is trained for use


def of_sets(stddev):
    """Two metrics of whole sets; a high rate diverges."""
    return jn.Recipe(
        model=jn.MLP((8,), 1, input_noise=jn.GaussianNoise(stddev)),
        loss=jn.losses.squared_error,
        optimizer=optax.sgd(0.05 + 1e20 * (stddev > 1)),
        set_metrics={
            "auc": lambda t, z: sklearn.metrics.roc_auc_score(t[:, 0], z[:, 0]),
            "f1": lambda t, z: sklearn.metrics.f1_score(t[:, 0], z[:, 0] > 0.5),
        },
    )


@pytest.fixture(scope="module")
def sets_measured(data):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2500, 2))
    sets = jn.Data(
        train=data.train,
        validation=data.test,
        test=(x, 1.0 * (x[:, :1] > 0)),
    )
    result = sweep(
        sets,
        {"none": of_sets, "input": of_sets},
        {"input": [0.1, 2.0]},
        curves=(),
    )
    return sets, result


def test_metrics_of_whole_sets(sets_measured):
    """Of every set, also in blocks, from the clean outputs after the last epoch."""
    sets, result = sets_measured
    model = of_sets(0.0).model
    for run, variables in zip(
        result.runs.iloc[:6].iloc, result.variables, strict=False
    ):
        for name, (x, t) in sets.items():
            z = np.asarray(model.apply(variables, x, train=False))
            auc = sklearn.metrics.roc_auc_score(t[:, 0], z[:, 0])
            np.testing.assert_allclose(run[f"{name}_auc"], auc, atol=1e-3)
            assert run[f"{name}_f1"] == pytest.approx(
                sklearn.metrics.f1_score(t[:, 0], z[:, 0] > 0.5), abs=1e-2
            )
    assert not result.runs["finite"][6:].any()
    assert result.runs.iloc[6:].filter(regex="_(auc|f1)$").isna().all(axis=None)
    assert not [name for name in result.runs if re.match("best_.*(auc|f1)", name)]


def test_one_run_gives_the_outputs_of_every_row(sets_measured):
    sets, _ = sets_measured

    def outputs(make):
        run = jn.make_train(make, epochs=4, batch_size=32)
        return jax.eval_shape(run, jax.random.key(1), 0.1, sets).outputs

    assert {name: z.shape for name, z in outputs(of_sets).items()} == {
        name: (len(x), 1) for name, (x, _) in sets.items()
    }
    assert outputs(none) is None


@pytest.mark.bad_input
@pytest.mark.slow
def test_metrics_of_whole_sets_that_do_not_fit(data):
    """One program; the metric is called on the host, and here says what it is told."""
    returns = []

    def make(stddev):
        return replace(recipe(), set_metrics={"odd": lambda t, z: returns[0](z)})

    def fails(error, message):
        with pytest.raises(error, match=message) as caught:
            sweep(data, {"none": make}, {}, epochs=1)
        assert caught.value.result.runs.empty

    returns[:] = [lambda z: z[:, 0]]
    fails(
        TypeError, r"^set_metrics\['odd'\] must return a number, got an array .*\(30,"
    )
    returns[:] = [lambda z: None]
    fails(TypeError, r"set_metrics\['odd'\] must return a number, got a NoneType")
    returns[:] = [lambda z: 1 / z.size // 1 / 0]
    array = r"an array of shape \(30, 1\)"
    fails(ZeroDivisionError, rf"\nIn set_metrics\['odd'\] .* got {array}, {array}\.")


@pytest.mark.bad_input
def test_metrics_of_whole_sets_have_names_of_their_own(data):
    def make(_):
        return replace(recipe(), set_metrics={"accuracy": max})

    with pytest.raises(ValueError, match="got 'test_accuracy' twice"):
        sweep(data, {"none": make}, {})


@pytest.fixture(scope="module")
def chosen(sets_measured):
    _, result = sets_measured
    with pytest.warns(UserWarning, match="select: . units are few"):
        return jn.select(result, metric="auc", lower_is_better=False)


def test_refit_trains_what_was_chosen(sets_measured, chosen):
    """On the sweep's own data, it gives the sweep's own weights."""
    sets, result = sets_measured
    model = jn.refit(chosen, sets, seed=2)
    kept = result.where(chosen.placement, chosen.strength, seed=2).variables[0]
    assert_same_tree(model.variables, kept)
    x, _ = sets.test
    np.testing.assert_allclose(
        model(x), model.model.apply(kept, x, train=False), rtol=1e-5, atol=1e-6
    )
    assert model.model.input_noise.stddev == chosen.strength
    assert repr(model).startswith("TrainedModel(model=MLP(")
    flipped = sets.train[0], 1 - sets.train[1]
    other = jn.refit(chosen, jn.Data(**{**sets, "train": flipped}), seed=2).variables
    assert not np.array_equal(*jax.tree.leaves(other)[:1], *jax.tree.leaves(kept)[:1])


@pytest.mark.slow
def test_refit_of_strengths_of_several_numbers(data):
    """The recipe gets the strength as it was given."""

    def both(strength):
        noise = jn.GaussianNoise(strength["a"]["b"] * strength["c"][0])
        return recipe(input_noise=noise)

    levels = [{"a": {"b": b}, "c": (0.2,)} for b in (0.1, 0.2)]
    result = sweep(data, {"both": both}, {"both": levels}, epochs=2, curves=())
    selection = SimpleNamespace(
        placement="both", strength={"a.b": 0.2, "c.0": 0.2}, result=result
    )
    model = jn.refit(selection, data)
    np.testing.assert_allclose(model.model.input_noise.stddev, 0.04)


@pytest.mark.bad_input
def test_refit_needs_a_sweep(sets_measured, chosen, data):
    sets, result = sets_measured
    with pytest.warns(UserWarning, match="few"):
        of_table = jn.select(result.runs, metric="auc", lower_is_better=False)
    unpickled = replace(chosen, result=pickle.loads(pickle.dumps(result)))
    for selection in (of_table, unpickled, result, None):
        with pytest.raises(
            TypeError, match=r"selection must be jn.select\(result\) of"
        ):
            jn.refit(selection, sets)
    with pytest.raises(TypeError, match=r"data must be one jn.Data, got a list"):
        jn.refit(chosen, [sets, sets])
    with pytest.raises(TypeError, match="seed must be an int, got 0.5"):
        jn.refit(chosen, sets, seed=0.5)
    diverging = replace(chosen, placement="input", strength=2.0)
    with pytest.raises(FloatingPointError, match="of 'input' at seed 0 diverged"):
        jn.refit(diverging, sets)


# What is refused


@pytest.mark.bad_input
def test_metrics_of_one_name_are_refused(data):
    """The loss of the set train_b, and the metric b_loss of the set train."""

    def ambiguous(_):
        return jn.Recipe(
            jn.MLP((8,), 1),
            jn.losses.binary_cross_entropy,
            optax.sgd(0.1),
            {"b_loss": jn.metrics.binary_accuracy},
        )

    sets = jn.Data(train=data.train, train_b=data.test)
    message = r"got 'train_b_loss' twice from sets \(train, train_b\) and metrics \(b_"
    with pytest.raises(ValueError, match=message):
        sweep(sets, {"none": ambiguous}, {})
    sets = jn.Data(train=data.train, validation=data.test, best_train=data.test)
    with pytest.raises(ValueError, match="got 'best_train_b_loss' twice"):
        sweep(sets, {"none": ambiguous}, {})


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"recipes": none}, TypeError, "recipes must map placements to functions"),
        ({"recipes": {}}, TypeError, "recipes must map placements to functions"),
        (
            {"recipes": {"none": recipe()}},
            TypeError,
            r"recipes\['none'\] must be a func",
        ),
        (
            {"recipes": {"none": none, "\ud800": none}, "store": "not made.sqlite"},
            ValueError,
            "names of whole characters",
        ),
        ({"strengths": [0.1]}, TypeError, "strengths must map placements"),
        ({"strengths": {"hiden": [0.1]}}, ValueError, "got 'hiden'"),
        ({"strengths": {"hidden": []}}, ValueError, "at least one strength, got none"),
        ({"strengths": {"hidden": [0.1, 0.1]}}, ValueError, "must differ"),
        (
            {"strengths": {"hidden": [0.3, 0.1, float(np.float32(0.1))]}},
            ValueError,
            "must differ in float32, got 0.1 and 0.10000000149",
        ),
        (
            {"strengths": {"hidden": [{"a": 0.1, "b": 0}, {"a": 0.1, "b": -0.0}]}},
            ValueError,
            "must differ in float32",
        ),
        (
            {"strengths": {"hidden": [1e39]}},
            ValueError,
            r">= 0, got 1e\+39: 0 or from",
        ),
        (
            {"strengths": {"hidden": [1e-60]}},
            ValueError,
            "0 or from 1.2e-38 to 3.4e.*, the range of",
        ),
        ({"strengths": {"hidden": [10**400]}}, TypeError, "must be numbers, got a int"),
        ({"strengths": {"hidden": [-0.1]}}, ValueError, "finite and >= 0, got -0.1"),
        ({"strengths": {"hidden": [float("nan")]}}, ValueError, ">= 0, got nan"),
        ({"strengths": {"hidden": ["0.1"]}}, TypeError, "must be numbers, got '0.1'"),
        ({"strengths": {"hidden": [0.1, {"a": 1}]}}, ValueError, "one structure"),
        ({"strengths": {"hidden": None}}, TypeError, "must be numbers, got None"),
        ({"strengths": {"hidden": [{}]}}, TypeError, "must be numbers, got {}"),
        ({"seeds": 0}, ValueError, "seeds must be at least 1, got 0"),
        ({"seeds": []}, ValueError, r"seeds must be at least 1, got \[\]"),
        ({"seeds": [1, 1]}, ValueError, "seeds must differ"),
        ({"seeds": [-1]}, ValueError, "from 0 to"),
        ({"seeds": [2**32]}, ValueError, "from 0 to"),
        ({"seeds": [0.5]}, TypeError, "seeds must be an int, got 0.5"),
        ({"seeds": 1.5}, TypeError, "seeds must be an int or ints, got 1.5"),
        ({"seeds": True}, TypeError, "seeds must be"),
        (
            {"data": (np.ones((3, 2)), np.ones((3, 1)))},
            TypeError,
            "data must be a jn.Data",
        ),
        ({"data": []}, ValueError, "data must hold at least one split"),
        ({"epochs": 0}, ValueError, "epochs must be an int of at least 1"),
        ({"epochs": 10**20}, ValueError, r"epochs must be less than 2\*\*31, got 10"),
        ({"epochs": np.float64(2)}, ValueError, "epochs must be an int of at least 1"),
        ({"batch_size": 0}, ValueError, "batch_size must be an int"),
        ({"curves": ("tset",)}, ValueError, "curves must name sets of the data"),
        ({"vectorize": 0}, ValueError, "vectorize must be 'auto' or an int"),
        ({"vectorize": "all"}, ValueError, "vectorize must be 'auto' or an int"),
        ({"keep_params": [7]}, ValueError, r"keep_params must name seeds .* got \[7\]"),
    ],
    ids=named,
)
def test_bad_arguments(change, error, message, data):
    arguments = {
        "recipes": {"none": none, "hidden": hidden},
        "strengths": {},
        "data": data,
        "seeds": 2,
        "epochs": 2,
        "batch_size": 8,
    } | change
    with pytest.raises(error, match=message):
        jn.sweep(arguments.pop("recipes"), **arguments)


@pytest.mark.bad_input
def test_data_too_large_for_their_copies(data, monkeypatch):
    """Two copies a device, the order of the train rows, and a program."""
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(data))
    rows = jn.data.row_count(data.train)
    free = SimpleNamespace(available=4 * (2 * size + 64 * rows) + 2**26 - 1)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    message = r"the data's copies for 4 devices take about .* use fewer rows or devices"
    with pytest.raises(MemoryError, match=message):
        sweep(data)
    free.available += 1
    assert len(sweep(data).runs) == 15
