"""What leaves a sweep: the runs of a result that have some values."""

import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn


def result_of(cells, *, seeds=2, splits=2):
    """A result whose curves and variables are the number of the run."""
    runs = pd.DataFrame(
        [
            {"placement": placement, **strength, "seed": seed, "split": split}
            for placement, strength in cells
            for seed in range(seeds)
            for split in range(splits)
        ]
    )
    runs["test_loss"] = np.arange(len(runs), dtype=float)
    curve = np.stack([runs["test_loss"], runs["test_loss"]], axis=1)
    return jn.SweepResult(
        runs.assign(finite=True),
        {"test_loss": curve},
        np.arange(1, 3),
        tuple({"params": i} for i in range(len(runs))),
        True,
        compile_seconds=0.0,
        run_seconds=0.0,
        device="1 x cpu",
    )


@pytest.fixture(scope="module")
def result():
    cells = [("none", 0.0), ("hidden", 0.1), ("hidden", 0.3), ("input", 0.1)]
    return result_of([(name, {"strength": strength}) for name, strength in cells])


@pytest.mark.parametrize(
    ("which", "kept"),
    [
        ({}, range(16)),
        ({"placement": "hidden"}, range(4, 12)),
        ({"placement": ["none", "input"]}, [*range(4), *range(12, 16)]),
        ({"strength": 0.1}, [*range(4, 8), *range(12, 16)]),
        ({"strength": np.float32(0.1), "placement": "input"}, range(12, 16)),
        ({"strength": np.array([0, 0.3])}, [*range(4), *range(8, 12)]),
        ({"seed": 1, "split": range(1)}, [2, 6, 10, 14]),
        ({"seed": np.int64(0), "split": (0, 1), "strength": 0}, [0, 1]),
    ],
)
def test_where_keeps_rows_curves_and_variables_together(result, which, kept):
    few = result.where(**which)
    assert few.runs["test_loss"].tolist() == list(kept)
    assert few.runs.index.tolist() == list(range(len(kept)))
    assert few.curves["test_loss"][:, 1].tolist() == list(kept)
    assert [variables["params"] for variables in few.variables] == list(kept)
    assert few.complete
    assert len(result.runs) == 16


def test_where_takes_strengths_of_several_numbers():
    result = result_of(
        [
            ("none", {"strength": 0.0}),
            ("both", {"strength.input": 0.1, "strength.hidden": 0.2}),
            ("both", {"strength.input": 0.1, "strength.hidden": 0.4}),
        ],
        seeds=1,
        splits=1,
    )
    of_two = {"input": 0.1, "hidden": 0.4}
    assert result.where(strength=of_two).runs["test_loss"].tolist() == [2]
    assert len(result.where(strength=[of_two, 0.0]).runs) == 2
    with pytest.raises(ValueError, match="as none 0; both input 0.1 and hidden 0.2, "):
        result.where(strength={"input": 0.1, "hidden": 0.3})


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ({"placement": "both"}, "placement .* none, hidden, input, got 'both'"),
        (
            {"strength": [0.1, 0.2]},
            "strength .* none 0; hidden 0.1, 0.3; input 0.1, got 0.2",
        ),
        ({"strength": 1e39}, r"strength must be of the runs, .*, got 1e\+39"),
        ({"strength": "0.1"}, r"strength must be of the runs, .*, got '0.1'"),
        ({"seed": 2}, "seed must be of the runs, such as 0, 1, got 2"),
        ({"split": -1}, "split must be of the runs, such as 0, 1, got -1"),
        ({"placement": "none", "strength": 0.3}, "placement and strength must fit a "),
    ],
)
def test_where_refuses_what_no_run_has(result, which, message):
    with pytest.raises(ValueError, match=message):
        result.where(**which)
