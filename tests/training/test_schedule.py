"""How much goes into a call, and that nothing else depends on it."""

import jax
import numpy as np
import optax
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.training import devices, schedule
from jaxnoise.training.program import CALL_BLOCKS
from jaxnoise.training.schedule import blocks_within, most_together


def recipe(stddev):
    return jn.Recipe(
        model=jn.MLP((8,), 1, hidden_noise=jn.GaussianNoise(stddev)),
        loss=jn.losses.binary_cross_entropy,
        optimizer=optax.adam(1e-2),
    )


def sweep(seen=None, **arguments):
    full = jn.data.circles()
    data = jn.Data(train=full.train, test=full.test)
    return jn.sweep(
        {"hidden": recipe},
        strengths={"hidden": [0.1]},
        epochs=2,
        batch_size=32,
        progress=False if seen is None else lambda done, total: seen.append(done),
        **{"data": [data, data], "seeds": 30, "vectorize": 1} | arguments,
    )


@pytest.mark.parametrize(
    ("seconds", "blocks"),
    [(0.0, 4), (0.49, 4), (0.6, 3), (0.9, 2), (1.9, 1), (100.0, 1)],
)
def test_calls_of_several_blocks_are_quick(seconds, blocks):
    assert blocks_within(2.0, seconds) == blocks


def test_calls_grow_while_they_are_quick(monkeypatch):
    """60 runs on 4 devices: 4 at a time, or 4 first and then 16; the same bits."""
    monkeypatch.setattr(schedule, "CALL_SECONDS", 0.0)
    slow = sweep(one_by_one := [])
    monkeypatch.setattr(schedule, "CALL_SECONDS", float("inf"))
    with jax.no_tracing():  # one program
        quick = sweep(several := [])
    assert one_by_one == list(range(4, 61, 4))
    assert several[0] == 4
    assert max(np.diff(several)) == 4 * CALL_BLOCKS
    pd.testing.assert_frame_equal(slow.runs, quick.runs)
    for name, curve in slow.curves.items():
        np.testing.assert_array_equal(curve, quick.curves[name])


def test_every_device_has_a_share_of_the_runs(monkeypatch):
    """Blocks of an accelerator: 12 runs on 4 devices are 3 each, in blocks of 4."""
    blocks = []

    def sized(vectorize, run, most):
        with monkeypatch.context() as patch:
            patch.setattr(devices.jax, "default_backend", lambda: "gpu")
            blocks.append(devices.block_size(vectorize, run, most))
        return blocks[-1]

    monkeypatch.setattr(schedule, "block_size", sized)
    data = jn.data.circles(population=10)
    result = sweep(seen := [], data=data, seeds=12, vectorize="auto")
    assert blocks == [4]
    assert seen == [12]
    assert result.runs["finite"].all()


@pytest.mark.parametrize(
    ("seeds", "splits", "most"), [(1000, 1, 125), (1, 50, 1), (8, 50, 8), (3, 1, 1)]
)
def test_runs_that_a_device_does_together(seeds, splits, most):
    dealt = [split for _ in range(seeds) for split in range(splits)]
    assert most_together(dealt, 8) == most
