"""A `Comparison` travels: what it carries, and that nobody computes it again."""

import pickle
import re
import warnings

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.data.sets import split_facts
from jaxnoise.evidence import paired, units

CELLS = [("none", 0.0), ("input", 0.1), ("input", 0.3), ("hidden", 0.1)]


def made(splits=1, seeds=12, attrs=None, gain=0.0):
    """A sweep of scores on two sets; ``gain`` is that of hidden noise."""
    rng = np.random.default_rng(0)
    runs = pd.DataFrame(CELLS, columns=["placement", "strength"])
    runs = runs.merge(pd.DataFrame({"seed": range(seeds)}), how="cross")
    runs = runs.merge(pd.DataFrame({"split": range(splits)}), how="cross")
    curves = {}
    for name in ("train", "validation", "test"):
        scores = rng.normal(0.7, 0.01, len(runs)) + gain * (
            runs["placement"] == "hidden"
        )
        runs[f"{name}_accuracy"], runs[f"{name}_loss"] = scores, 1 - scores
        for metric in ("accuracy", "loss"):
            column = runs[f"{name}_{metric}"].to_numpy()
            curves[f"{name}_{metric}"] = np.repeat(column[:, None], 3, axis=1)
    runs["finite"] = True
    runs.attrs = attrs or {}
    kept = (None,) * len(runs)
    return jn.SweepResult(
        runs, curves, np.arange(1, 4), kept, True, 0.0, 0.0, "4 x made-up"
    )


@pytest.fixture(scope="module")
def result():
    return made()


@pytest.fixture(scope="module")
def rows(result):
    return jn.compare(result, metric="test_accuracy", rope=0.001)


def test_what_it_carries(result, rows):
    """Units and differences of each row, and how it was made."""
    assert rows.evidence.source is result
    assert rows.evidence.options["rope"] == 0.001
    assert rows.evidence.units.tolist() == list(range(12))
    assert rows.caution == ""
    assert rows.evidence.doubts == []
    wide = result.runs.pivot(
        index="seed", columns=["placement", "strength"], values="test_accuracy"
    )
    for cell, name in zip(rows.cells, CELLS, strict=True):
        assert (cell.placement, cell.strength) == name
        np.testing.assert_array_equal(cell.scores, wide[name])
        np.testing.assert_array_equal(cell.differences, wide[name] - wide["none", 0.0])
    assert rows.evidence.baseline.placement == "none"


def test_it_travels_through_pandas(rows):
    """Slices and sorted rows know their units; where tables join nobody knows."""
    worst = rows.sort_values("mean").iloc[1:3].reset_index(drop=True)
    for cell, name, mean in zip(
        worst.cells, worst["placement"], worst["mean"], strict=True
    ):
        assert cell.placement == name
        assert cell.scores.mean() == pytest.approx(mean)
    assert pickle.loads(pickle.dumps(rows)).evidence.unit == "seed"
    joined = pd.concat([rows, rows])
    assert joined.evidence is None
    assert "verdict" in str(joined)
    with pytest.raises(ValueError, match="metric must be a column of the runs"):
        jn.plots.forest(joined)


def test_nobody_computes_it_again(rows, tmp_path, monkeypatch, undrawn):
    """Neither pictures nor the page, for which pairing once more would be an error."""

    def again(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(paired, "interquartile_mean", again)
    pictures = [
        jn.plots.forest(rows),
        jn.plots.strength_curve(rows),
        jn.plots.seed_slopes(rows),
        jn.plots.score_distribution(rows),
        jn.plots.learning_curves(rows, metric="loss"),
    ]
    assert "band: within ± 0.001" in pictures[0].get_xlabel()
    assert jn.seeds_needed(0.01, result_or_table=rows) > 6
    assert jn.report(rows, tmp_path / "page.html").exists()
    monkeypatch.setattr(units, "paired_cells", again)
    with pytest.raises(AssertionError, match="computed again"):
        jn.plots.forest(rows, baseline="hidden")
    plt.close("all")


def test_the_same_from_a_result_and_a_comparison(result, rows, tmp_path, no_figures):
    pages = [
        re.sub(r"<time.*?</time>", "", jn.report(what, path, **more).read_text("utf-8"))
        for what, path, more in (
            (rows, tmp_path / "a.html", {}),
            (result, tmp_path / "b.html", {"metric": "test_accuracy", "rope": 0.001}),
        )
    ]
    assert pages[0] == pages[1]
    assert str(jn.select(rows)) == str(jn.select(result))
    again = jn.compare(rows, metric="test_loss")
    expected = jn.compare(result, metric="test_loss")
    pd.testing.assert_frame_equal(again, expected, check_exact=True)


def test_pictures_draw_the_rows_at_hand(rows):
    some = rows[rows["placement"] != "input"]
    assert len(jn.plots.seed_slopes(some).axes) == 1
    assert [t.get_text() for t in jn.plots.forest(some).get_yticklabels()] == [
        "hidden, 0.1"
    ]
    drawn = jn.plots.score_distribution(some)
    assert [t.get_text() for t in drawn.get_yticklabels()] == ["none", "hidden, 0.1"]
    curves = jn.plots.learning_curves(some, metric="loss")
    assert [ax.get_title() for ax in curves.axes] == [
        *("none (n = 12)", "hidden, 0.1 (n = 12)")
    ]
    plt.close("all")


# What the data say of their splits


def told(call):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        answer = call()
    return answer, [str(each.message) for each in seen]


FACTS = {"overlap": 0.25, "outer": [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]}


def test_the_overlap_of_the_data_is_used_and_said(tmp_path, no_figures):
    result = made(splits=12, seeds=2, attrs={"overlap": 0.25}, gain=0.02)
    rows = jn.compare(result, metric="test_accuracy")
    given = jn.compare(made(12, 2, gain=0.02), metric="test_accuracy", overlap=0.25)
    pd.testing.assert_frame_equal(rows, given)
    assert rows.attrs["overlap"] == 0.25
    assert str(rows).splitlines()[-1] == "overlap 0.25: as the data says"
    assert str(given).splitlines()[-2].startswith("test_accuracy: higher is better")
    chosen = jn.select(result)
    assert str(chosen).splitlines()[-1] == "overlap 0.25: as the data says"
    assert (
        str(chosen).splitlines()[:-1]
        == str(jn.select(made(12, 2, gain=0.02), overlap=0.25)).splitlines()
    )
    plain = jn.compare(result, metric="test_accuracy", overlap=0.0)
    assert plain.attrs["overlap"] == 0  # what is given wins
    assert plain["high"][1] - plain["low"][1] < rows["high"][1] - rows["low"][1]
    page = jn.report(result, tmp_path / "page.html").read_text("utf-8")
    assert "corrected for an overlap of 0.25" in page


def test_outer_folds_of_the_data_are_the_units():
    result = made(splits=12, seeds=2, attrs=FACTS)
    (rows, warned) = told(lambda: jn.compare(result, metric="test_accuracy"))
    given = told(
        lambda: jn.compare(made(12, 2), metric="test_accuracy", outer=4, overlap=0.25)
    )[0]
    pd.testing.assert_frame_equal(rows, given)
    assert rows.attrs["unit"] == "outer fold"
    assert str(rows).splitlines()[-1] == (
        "overlap 0.25 and 4 outer folds: as the data says"
    )
    assert warned == [
        "compare: 4 units are few: below 10 intervals are a guide, and below 5 there "
        "is no verdict; repeats= of jn.data.folds makes more."
    ]
    some = result.where(split=[3, 4, 6, 7, 8, 10])  # whatever splits there are
    rows = told(lambda: jn.compare(some, metric="test_accuracy"))[0]
    assert rows["n"].tolist() == [3] * 4
    assert rows.evidence.units.tolist() == [1, 2, 3]
    found = told(lambda: jn.select(result))[0]
    assert (found.unit, found.n) == ("outer fold", 4)


def test_unknown_splits_are_warned_of_once(tmp_path, no_figures):
    result = made(splits=12, seeds=1)
    calls = {
        "compare": lambda **o: jn.compare(result, metric="test_accuracy", **o),
        "select": lambda **o: jn.select(result, **o),
        "report": lambda **o: jn.report(result, tmp_path / "page.html", **o),
        "forest": lambda **o: jn.plots.forest(result, metric="test_accuracy", **o),
    }
    for name, call in calls.items():
        assert told(call)[1] == [
            f"{name}: nothing is known of the 12 splits, which are taken as "
            "independent: give overlap=1/(k-1) for k folds, or overlap=0 for "
            "independent draws."
        ]
        assert told(lambda call=call: call(overlap=0.0))[1] == []
    plt.close("all")


def test_one_split_has_no_overlap():
    """Seeds of one fold are the units, and do not share rows with other folds."""
    result = made(splits=1, attrs={"overlap": 0.25})
    rows = jn.compare(result, metric="test_accuracy")
    assert rows.attrs["overlap"] is None
    assert len(str(rows).splitlines()) == 7


def test_what_nested_folds_say_reaches_the_table():
    """From the data to the table; a sweep puts the facts of its splits there."""
    x, y = np.arange(24.0)[:, None], np.arange(24)[:, None] % 2
    data = jn.data.nested_folds(x, y, outer=3, inner=2, stratify=True)
    result = made(splits=6, seeds=2, attrs=split_facts(data))
    rows = told(lambda: jn.compare(result, metric="test_loss"))[0]
    assert (rows.attrs["unit"], rows.attrs["overlap"]) == ("outer fold", 0.5)
    assert rows["n"].tolist() == [3] * 4
    found = told(lambda: jn.select(result, metric="loss"))[0]
    assert found.n == len(found.choices) == 3
    assert found.verdict in ("none", "baseline")
    assert found.low < found.score < found.high
