"""One small table, and one answer for all tests that read it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from jaxnoise.command import methods, plan, rivals
from jaxnoise.command.main import main

ROWS = 120
HOSTILE = "<script>alert(1)</script>"


def invoke(*args: Any) -> Any:
    """The command, with exit code and both outputs."""
    return CliRunner().invoke(main, [str(arg) for arg in args])


def table() -> pd.DataFrame:
    """Numbers with gaps, words and dates, of which the first number decides."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=ROWS)
    days = pd.date_range("2024-01-01", periods=ROWS)
    frame = pd.DataFrame(
        {
            "size": size,
            "gaps": np.where(rng.random(ROWS) < 0.2, np.nan, rng.normal(size=ROWS)),
            "color": rng.choice(["red", "green", "blue"], ROWS),
            HOSTILE: rng.normal(size=ROWS),
            "=1+1": rng.normal(size=ROWS),
            "day": rng.permutation(days).astype("datetime64[s]").astype(str),
            "label": np.where(size + rng.normal(0, 0.7, ROWS) > 0, "yes", "no"),
        }
    )
    return frame


def small(patch: pytest.MonkeyPatch) -> None:
    """The least of all: two programs to compile, five epochs."""
    patch.setattr(methods, "PLACES", ["hidden_noise"])
    patch.setattr(rivals, "BOOSTING", {"max_leaf_nodes": [4, 8]})
    patch.setattr(rivals, "PENALTIES", [0.1, 10.0])
    patch.setattr(plan, "SIZES", ((1, 1, 4),))
    patch.setattr(plan, "EPOCHS", 5)
    patch.setattr(plan, "REPEATS", 1)


@dataclass(frozen=True)
class Told:
    """What one call of `jaxnoise tune` left."""

    file: Path
    out: Path
    result: Any
    content: dict[str, Any]


@pytest.fixture(scope="session")
def told(tmp_path_factory) -> Told:
    folder = tmp_path_factory.mktemp("tune")
    file, out = folder / "table.csv", folder / "out"
    table().to_csv(file, index=False)
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        line = "tune", file, "--target", "label", "--out", out, "--minutes", 100
        result = invoke(*line)
    assert result.exit_code == 0, result.output
    return Told(file, out, result, json.loads((out / "answer.json").read_text("utf-8")))
