"""What noise buys at test time: runs, page and table at toy size; verdicts by hand."""

import json
import re

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def script(experiment):
    return experiment("robustness")


@pytest.mark.slow
def test_quick_run(script, tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("a <!-- robustness --> b <!-- end of robustness --> c", "utf-8")
    command = ["--quick", "--data", "circles", "--out", str(tmp_path)]
    assert script.main([*command, "--into", str(readme)]) == 0
    folder = tmp_path / "circles"
    assert "What noise in training buys: circles" in (
        folder / "robustness.html"
    ).read_text("utf-8")
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    scores = pd.DataFrame(summary["scores"])
    assert scores["placement"].tolist() == ["none", "input"]
    asked = {claim["score"] for claim in script.CLAIMS}
    assert asked == {*scores.columns[4:]}
    assert (scores["calibration"] < 0).all()  # an error, so that higher is better
    runs = pd.read_csv(folder / "runs.csv")
    first = runs[runs["seed"] == 0]["population_accuracy"]
    np.testing.assert_allclose(scores["clean"], first, atol=1e-6)
    text = (tmp_path / "robustness.md").read_text("utf-8")
    assert text in capsys.readouterr().out
    assert text.strip() in readme.read_text("utf-8")
    before = (folder / "summary.json").stat().st_mtime_ns
    assert script.main([*command, "--again"]) == 0
    assert (folder / "summary.json").stat().st_mtime_ns == before
    assert (tmp_path / "robustness.png").exists()


def test_verdicts(script):
    """Of made-up scores: noise on the inputs gains, that on the weights loses."""
    luck = np.random.default_rng(0).normal(0, 0.002, (7, 10))
    cells = [("none", 0.0), ("input", 0.1), ("input", 0.3), ("hidden", 0.1)]
    cells += [("hidden", 0.3), ("weights", 0.01), ("weights", 0.03)]
    gains = [0.0, 0.0, 0.1, 0.0, 0.0, 0.0, -0.1]
    scores = pd.concat(
        pd.DataFrame(
            {"placement": place, "strength": strength, "seed": 0, "split": range(10)}
            | {claim["score"]: 0.5 + gain + own for claim in script.CLAIMS}
        )
        for (place, strength), gain, own in zip(cells, gains, luck, strict=True)
    )
    claims = script.judge(script.claims_of("digits", scores))
    found = {(claim.says, claim.verdict) for claim in claims}
    assert len(found) == 3 * len(script.CLAIMS)
    verdicts = {
        place: {c.verdict for c in claims if f" {where} " in c.says}
        for place, where in script.PLACES.items()
    }
    assert verdicts["input"] == {"holds"}
    assert verdicts["weights"] == {"does not hold"}
    assert verdicts["hidden"] == {"holds", "undecided"}  # costs nothing, and buys none
    page = script.page(claims, ["digits"])
    gain = luck[2].mean() - luck[0].mean() + 0.1
    row = rf"\| Noise on the inputs buys certified accuracy \| ✔ \+{gain:.3f} \[\+"
    assert re.search(row, page)
    assert "input 0.3 +0.1" in page
    assert "beside: input 0.1" in page


def test_claims_and_tasks_fit(script):
    """A task has two strengths a place; noise as large as on the inputs certifies."""
    assert {*script.TASKS} == {*script.STUDIES}
    for plan in script.TASKS.values():
        strengths = plan["study"]["strengths"]
        assert {*strengths} == {*script.PLACES}
        assert {len(each) for each in strengths.values()} == {2}
        levels = [each for each in plan["stddevs"] if each > 0]
        assert np.median(levels) == strengths["input"][-1]
