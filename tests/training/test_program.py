"""How much goes into a call, and that nothing else depends on it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun

import jaxnoise as jn
from jaxnoise.training import devices, program
from jaxnoise.training.keys import unrolled
from jaxnoise.training.slots import CALL_BLOCKS, next_packs


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


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
@pytest.mark.parametrize("splits", [[1], [30], [7, 7, 7], [1] * 50, [4, 4], [9, 1]])
def test_every_run_is_dealt_once_and_evenly(splits, devices):
    """A block a run; of each split there are so many."""
    queues = [[[100 * split + i] for i in range(n)] for split, n in enumerate(splits)]
    everything = [run for blocks in queues for [run] in blocks]
    calls = []
    while any(queues):
        calls.append(next_packs(queues, 4, devices))
    packs = [pack for call in calls for pack in call]
    assert sorted(run for pack in packs for run in pack) == everything
    assert all(0 < len(pack) <= 4 for pack in packs)
    assert all(len({run // 100 for run in pack}) == 1 for pack in packs)
    assert all(len(call) <= devices for call in calls)
    if len(splits) == 1:  # 30 runs on 2 devices: 15 each, not 16 and 14
        assert sum(max(map(len, call)) for call in calls) == -(-splits[0] // devices)


def test_calls_grow_while_they_are_quick(monkeypatch):
    """60 runs on 4 devices: 4 at a time, or 4 first and then 16; the same bits."""
    monkeypatch.setattr(program, "CALL_SECONDS", 0.0)
    slow = sweep(one_by_one := [])
    monkeypatch.setattr(program, "CALL_SECONDS", float("inf"))
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

    def sized(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(devices.jax, "default_backend", lambda: "gpu")
            blocks.append(devices.most_in_block(*arguments))
        return blocks[-1]

    monkeypatch.setattr(program, "most_in_block", sized)
    data = jn.data.circles(population=10)
    result = sweep(seen := [], data=data, seeds=12, vectorize="auto")
    assert blocks == [4]
    assert seen == [12]
    assert result.runs["finite"].all()


@pytest.mark.parametrize(
    ("seeds", "splits", "most"), [(1000, 1, 128), (1, 50, 1), (8, 50, 8), (3, 1, 1)]
)
def test_runs_that_a_device_does_together(seeds, splits, most, monkeypatch):
    dealt = [split for _ in range(seeds) for split in range(splits)]
    assert devices.most_in_block("auto", dealt, 8) == devices.SMALL_BLOCK
    monkeypatch.setattr(devices.jax, "default_backend", lambda: "gpu")
    assert devices.most_in_block("auto", dealt, 8) == most
    assert devices.most_in_block(3, dealt, 8) == 3


def test_what_nothing_needs_any_more_takes_no_memory():
    """In a chain, an array and the one that is made of it."""

    def chain(x):
        return jnp.cos(jnp.sin(jnp.tanh(x)))

    traced = jax.make_jaxpr(chain)(np.zeros(100, np.float32))
    assert program._peak_bytes(traced.jaxpr) == 2 * 400


def test_keys_are_derived_without_loops_and_the_same():
    """Wherever they are: in loops, branches, rows, and rules of differentiation."""

    def derived(key, n):
        def step(key, i):
            other, last = jax.random.split(jax.random.fold_in(key, i))
            last = lax.cond(
                i > 1, lambda k: jax.random.split(k, (2, 2))[1, 0], lambda k: k, last
            )
            return other, jax.random.normal(last, (3,))

        return lax.scan(step, key, n + jnp.arange(3, dtype=jnp.uint32))[1]

    key, n = jax.random.key(5), jnp.uint32(2**32 - 2)
    jaxpr = jax.make_jaxpr(jax.checkpoint(derived))(key, n)
    ours = unrolled(jaxpr)
    assert str(jaxpr).count("random_split") == 2
    assert not any(name in str(ours) for name in ("random_split", "random_fold_in"))
    np.testing.assert_array_equal(jaxpr_as_fun(ours)(key, n)[0], derived(key, n))
