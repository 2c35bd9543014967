"""How runs are dealt out: each once, in packs of one split, evenly."""

import numpy as np
import pytest

from jaxnoise.training.plan import deal, plan_runs


def function(strength):
    raise AssertionError("a plan calls no recipe")


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize(("seeds", "splits"), [(1, 1), (30, 1), (7, 3), (1, 50)])
def test_every_run_is_dealt_once(seeds, splits, block, devices):
    runs = plan_runs({"none": function}, {}, range(seeds), splits)
    calls = deal(runs, range(len(runs)), block=block, most_blocks=4, devices=devices)
    packs = [pack for call in calls for pack in call]
    assert sorted(i for pack in packs for i in pack) == list(range(len(runs)))
    assert all(0 < len(pack) <= 4 * block for pack in packs)
    assert all(len({runs[i].split for i in pack}) == 1 for pack in packs)
    assert all(len(call) <= devices for call in calls)
    assert all(len(call) == devices for call in calls[:-1])


def test_devices_get_like_shares():
    """30 runs on 2 devices: 15 each, not 16 and 14."""
    runs = plan_runs({"none": function}, {}, range(30), 1)
    calls = deal(runs, range(30), block=1, most_blocks=4, devices=2)
    assert [sum(len(call[device]) for call in calls) for device in (0, 1)] == [15, 15]
    assert sum(max(map(len, call)) for call in calls) == 15


def test_many_strengths_are_planned_in_linear_time():
    """20,000 strengths: comparing each with each other took minutes."""
    runs = plan_runs({"a": function}, {"a": np.arange(1, 20_001) / 1000}, [0], 1)
    assert len({run.strength for run in runs}) == 20_000
