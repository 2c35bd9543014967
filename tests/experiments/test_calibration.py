"""False claims, counted: the cheap rows of the table, and how it is written."""

import numpy as np
import pandas as pd
import pytest

CHEAP = {
    ("normal, n = 10", "fixed"): (300, 0.05),
    ("accuracies near 1, n = 30", "fixed"): (100, 0.05),
    ("one run in 40 NaN, n = 10", "fixed"): (200, 0.05),
    ("looking always, from 6 to 300", "anytime"): (400, 0.05),
    ("one test set of 1000 rows, 10 seeds", "rows kept"): (300, 0.06),
    ("worst 5% NaN, n = 100", "fixed"): (60, 0.06),
    ("worst 20% absent, n = 30", "fixed"): (40, 0.06),
    ("10 x 10 folds, overlap = 0.11", "fixed"): (400, 0.05),
    ("5 folds, overlap = 0.25", "fixed"): (400, 0.05),
    ("equivalent at the end of the rope: normal, n = 10", "fixed"): (60, 0.05),
}
WARNED = {
    "skewed: lognormal, n = 30": (0.6, 1.0),
    "normal, n = 30": (0.0, 0.1),
}


@pytest.fixture(scope="module")
def calibration(experiment):
    return experiment("calibration")


@pytest.fixture(scope="module")
def situations(calibration):
    return {(each.name, each.rule): each for each in calibration.situations()}


@pytest.mark.parametrize("name", CHEAP)
def test_false_claims_are_as_few_as_stated(calibration, situations, name):
    draws, most = CHEAP[name]
    share = situations[name].share
    row = calibration.measured(situations[name], 0, round(draws / share))
    assert row["draws"] == draws
    assert row["measured"] <= most + 3 * np.sqrt(most * (1 - most) / draws)


def test_what_is_known_to_fail_is_warned_of(calibration, situations):
    for name, (least, most) in WARNED.items():
        row = calibration.measured(situations[name, "fixed"], 0, 100)
        assert least <= row["warned"] <= most
    row = calibration.measured(
        situations["looking always, from 6 to 300", "fixed"], 0, 400
    )
    assert row["measured"] > 0.25


def test_the_table_is_written(calibration, situations, monkeypatch, tmp_path):
    few = [situations["normal, n = 6", "fixed"], situations["normal, n = 10", "fixed"]]
    monkeypatch.setattr(calibration, "situations", lambda: few)
    page = tmp_path / "page.md"
    page.write_text("A <!-- calibration --> old <!-- end of calibration --> B")
    out = tmp_path / "out"
    said = ["--draws", "20", "--out", str(out), "--into", str(page)]
    assert calibration.main(said) == 0
    table = pd.read_csv(out / "calibration.csv")
    assert table["situation"].tolist() == [each.name for each in few]
    assert (table["draws"] == 20).all()
    text = (out / "calibration.md").read_text()
    assert text.splitlines()[0] == f"| {' | '.join(calibration.HEADING)} |"
    assert "| normal, n = 6 | fixed | 5.0 % |" in page.read_text()
    assert page.read_text().startswith("A <!-- calibration -->")
