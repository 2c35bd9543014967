"""`sweep_until`: the runs of a sweep, as many as it takes."""

import numpy as np
import optax
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise import until

pytestmark = pytest.mark.filterwarnings("ignore:compare. differences are so skewed")
GAINS = {"none": 0.0, "input": 4.0, "hidden": 0.1}


def made_up(recipes, *, seeds, epochs=1, gains=GAINS, **_):
    """What a sweep would return, whose scores hang on placement and seed alone."""
    rows = [(name, float(gains[name]), seed) for name in recipes for seed in seeds]
    runs = pd.DataFrame(rows, columns=["placement", "strength", "seed"])
    draws = {s: np.random.default_rng(s).normal(size=len(gains)) for s in seeds}
    place = {name: i for i, name in enumerate(gains)}
    noise = [draws[seed][place[name]] for name, _, seed in rows]
    runs = runs.assign(split=0, accuracy=runs["strength"] + noise, finite=True)
    runs["loss"] = -runs["accuracy"]
    curves = {"loss": runs["loss"].to_numpy()[:, None]}
    seeds = tuple(f"{name} {seed}" for name, _, seed in rows)
    return jn.SweepResult(
        runs, curves, np.arange(1), seeds, True, 1.0, 2.0, device="1 x cpu"
    )


@pytest.fixture
def asked(monkeypatch):
    """The blocks of seeds that were asked for."""
    blocks = []

    def sweep(*arguments, **options):
        blocks.append(options["seeds"])
        return made_up(*arguments, **options)

    monkeypatch.setattr(until, "sweep", sweep)
    return blocks


def run(placements, **options):
    ours = {"metric": "accuracy", "budget": 60} | options
    recipes = dict.fromkeys(placements)
    return jn.sweep_until(recipes, strengths={}, data=jn.data.circles(), **ours)


def test_it_stops_when_all_is_decided(asked):
    result = run(["none", "input"])
    assert asked == [[*range(10)]]
    assert jn.compare(result, metric="accuracy")["verdict"][1] == "better"
    assert jn.compare(result, metric="accuracy").attrs["stop"] == "anytime"


def test_it_ends_with_the_budget_and_has_the_order_of_one_sweep(asked):
    result = run(GAINS, budget=[*range(50, 25, -1)], block=12)
    assert [len(block) for block in asked] == [12, 12, 1]
    one = made_up(GAINS, seeds=range(50, 25, -1))
    pd.testing.assert_frame_equal(result.runs[list(one.runs)], one.runs)
    np.testing.assert_array_equal(result.curves["loss"], one.curves["loss"])
    assert result.variables == one.variables
    assert (result.compile_seconds, result.run_seconds, result.complete) == (3, 6, True)
    wanted = run(GAINS, rope=1.0)  # with which "hidden" can be decided, too
    assert asked[-1][-1] < 59
    rows = jn.compare(wanted, metric="accuracy", rope=1.0)
    assert rows["verdict"].tolist() == ["baseline", "better", "equivalent"]


def test_several_metrics_are_decided_together(asked):
    rows = jn.compare(
        run(["none", "input"], metric=["accuracy", "loss"]), metric="loss"
    )
    assert rows["verdict"][1] == "better"


def test_what_was_computed_is_not_lost(monkeypatch):
    def sweep(*arguments, **options):
        if options["seeds"][0]:
            raise MemoryError("full")
        return made_up(*arguments, **options)

    monkeypatch.setattr(until, "sweep", sweep)
    with pytest.raises(MemoryError, match="full") as caught:
        run(GAINS)
    assert len(caught.value.result.runs) == 30


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": 0}, "block must be at least 1, got 0"),
        ({"budget": 0}, "budget must be at least 1, got 0"),
        ({"data": [jn.data.circles()] * 2}, "data must be one jn.Data, got several"),
        ({"metric": "acc"}, "metric must be a column"),
    ],
)
def test_bad_arguments(options, message, asked):
    known = {"strengths": {}, "data": jn.data.circles(), "metric": "loss", "budget": 9}
    with pytest.raises(ValueError, match=message):
        jn.sweep_until(dict.fromkeys(GAINS), **known | options)


@pytest.mark.slow
def test_its_runs_are_those_of_a_sweep_bit_for_bit():
    def recipe(stddev):
        model = jn.MLP((3,), 1, input_noise=jn.GaussianNoise(stddev))
        return jn.Recipe(model, jn.losses.binary_cross_entropy, optax.adam(1e-2))

    places = {"none": recipe, "input": recipe}
    known = {
        "strengths": {"input": [0.1]},
        "data": jn.data.circles(population=50),
        "epochs": 2,
        "batch_size": 32,
        "keep_params": [7],
        "progress": False,
    }
    grown = jn.sweep_until(places, metric="test_loss", budget=9, block=5, **known)
    whole = jn.sweep(places, seeds=9, **known)
    pd.testing.assert_frame_equal(grown.runs, whole.runs, check_exact=True)
    for name, curve in whole.curves.items():
        np.testing.assert_array_equal(grown.curves[name], curve)
    kept = [variables is not None for variables in grown.variables]
    assert kept == [variables is not None for variables in whole.variables]
