"""Noise that never acts is told of: a believable 0.0000 is worse than an error."""

import numpy as np
import optax
import pytest

import jaxnoise as jn
from jaxnoise.results import RunResult
from jaxnoise.training.idle import check_noise_acts
from jaxnoise.training.plan import plan_runs

NONE, BOTH = {"hidden": 0.0, "input": 0.0}, {"hidden": 0.2, "input": 0.1}


def check(losses, strengths, seeds=(0, 1)):
    """A loss, or one a strength, of each placement; other runs are a seed further."""
    runs = plan_runs({p: lambda _: None for p in losses}, strengths, seeds, 1)
    counts = [len(np.atleast_1d(strengths.get(placement, 0))) for placement in losses]
    pairs = zip(losses.values(), counts, strict=True)
    of_cells = np.concatenate([np.broadcast_to(loss, n) for loss, n in pairs])
    results = {}
    for i, loss in enumerate(np.repeat(of_cells, len(seeds))):
        loss = np.float32(loss + runs[i].seed)
        curves = {"train_loss": np.array([0.0, loss], np.float32)}
        finite = np.isfinite(loss)
        results[i] = RunResult({"train_loss": loss}, curves, None, finite)
    check_noise_acts(runs, results, strengths)


SAME = "bit for bit: does its recipe use the strength?"


@pytest.mark.parametrize(
    ("losses", "strengths", "message"),
    [
        (
            {"none": 1, "hidden": 1},
            {"hidden": [0.1]},
            f"'hidden' are .* 'none', {SAME}",
        ),
        (
            {"hidden": 1, "none": 1},
            {"hidden": [0.1]},
            f"'hidden' are .* 'none', {SAME}",
        ),
        (
            {"none": 1, "both": 1},
            {"both": [BOTH]},
            f"'both' are those of 'none', {SAME}",
        ),
        ({"none": 1, "hidden": 2}, {"hidden": [1, 2, 3]}, f"same at every .* {SAME}"),
        (
            {"hidden": 1},
            {"hidden": [0, 0.1]},
            f"'hidden' are the same at every .* {SAME}",
        ),
        (
            {"input": 1, "none": 2, "hidden": 1},
            {},
            "'input' are those of 'hidden', .* strengths names neither, so that both",
        ),
    ],
)
def test_noise_that_never_acts_is_told_of(losses, strengths, message):
    with pytest.warns(UserWarning, match=message) as told:
        check(losses, strengths)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("losses", "strengths"),
    [
        ({"none": 1, "hidden": [1, 2]}, {"hidden": [0, 0.1]}),
        ({"none": 1, "hidden": 1}, {"hidden": [0]}),
        ({"none": 1, "both": [2, 1]}, {"both": [BOTH, NONE]}),
        ({"none": 1, "input": 2, "both": [2, 3]}, {"input": [0.1], "both": [0.1, 0.2]}),
        ({"none": 1, "max-norm": [2, 1, 1]}, {"max-norm": [0.5, 8, 16]}),
        ({"none": 1, "dropout": 2}, {}),
        ({"none": 1, "hidden": np.nan, "input": np.nan}, {"hidden": [1], "input": [1]}),
        ({"none": 1, "hidden": np.nextafter(1, 2, dtype="f4")}, {"hidden": [0.1]}),
    ],
)
def test_what_may_well_be_is_not(losses, strengths):
    check(losses, strengths, seeds=(0,))  # a warning would be an error


@pytest.mark.bad_input  # a check of types stands between caller and sweep
def test_a_sweep_tells_its_caller():
    def recipe(_):
        return jn.Recipe(jn.MLP((), 1), jn.losses.squared_error, optax.sgd(0.1))

    x = np.ones((2, 1), np.float32)
    options = {"seeds": 1, "epochs": 1, "batch_size": 2, "data": jn.Data(train=(x, x))}
    with pytest.warns(UserWarning, match="does its recipe use the strength") as told:
        jn.sweep(
            {"none": recipe, "hidden": recipe}, strengths={"hidden": 0.1}, **options
        )
    assert [warning.filename for warning in told] == [__file__]
