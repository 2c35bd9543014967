"""Which runs there are."""

import numpy as np

from jaxnoise.training.plan import plan_runs


def function(strength):
    raise AssertionError("a plan calls no recipe")


def test_many_strengths_are_planned_in_linear_time():
    """20,000 strengths: comparing each with each other took minutes."""
    runs = plan_runs({"a": function}, {"a": np.arange(1, 20_001) / 1000}, [0], 1)
    assert len({run.strength for run in runs}) == 20_000
