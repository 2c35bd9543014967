"""Pictures and page can be read by all: room for labels, contrast, more than colour."""

import itertools

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.evidence.plots.ticks import label_side_by_side

SIZES = ((5.4, 3.6), (2.4, 2), (9, 5))  # usual, small, of the claims
STRENGTHS = {
    "apart": [0.03, 0.1, 0.3],
    "near": [0.1, 0.12, 0.15, 0.2],
    "one": [0.1],
    "many": list(np.geomspace(1e-4, 1, 20)),
    "rates": [0.1, 0.2, 0.3, 0.4, 0.5],
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def table(strengths):
    """Uniform scores, and one run that diverged."""
    cells = [("none", 0.0), *(("input", strength) for strength in strengths)]
    runs = pd.DataFrame(cells, columns=["placement", "strength"])
    runs = runs.merge(pd.DataFrame({"seed": range(3)}), how="cross")
    runs["accuracy"] = np.random.default_rng(0).uniform(size=len(runs))
    runs["finite"] = runs.index != 3
    runs.loc[~runs["finite"], "accuracy"] = np.nan
    return runs


@pytest.mark.parametrize("strengths", STRENGTHS.values(), ids=STRENGTHS)
def test_labels_of_strengths_do_not_touch(strengths):
    ax = jn.plots.strength_curve(table(strengths), metric="accuracy")
    ax.get_legend().remove()  # it would leave a small figure no room for axes
    for size in SIZES:
        ax.figure.set_size_inches(size)
        ax.figure.draw_without_rendering()
        labels = [t for t in ax.get_xticklabels(which="both") if t.get_text()]
        boxes = [label.get_window_extent() for label in labels]
        for left, right in itertools.pairwise(sorted(boxes, key=lambda box: box.x0)):
            assert left.x1 + 2 < right.x0
        assert {*ax.get_xticks(), *ax.get_xticks(minor=True)} == set(strengths)
        shown = [float(label.get_text()) for label in labels]
        np.testing.assert_allclose(shown, ax.get_xticks(), rtol=5e-3)
        if size == SIZES[0]:
            assert len(shown) >= min(len(strengths), 5)
    low, high = ax.get_xlim()
    assert low < min(strengths) <= max(strengths) < high


def test_labels_take_the_room_that_there_is():
    figure, ax = plt.subplots()
    ax.set(xscale="log", xlim=(5e-5, 2))
    label_side_by_side(ax.xaxis, np.array(STRENGTHS["many"]))
    counts = []
    for width in (4, 7, 30):
        figure.set_size_inches(width, 3)
        counts.append(len(ax.get_xticks()))
    assert 3 < counts[0] < counts[1] < counts[2] == 20


def test_labels_have_the_digits_that_tell_them_apart():
    _, ax = plt.subplots()
    for values, shown in (
        ([0.0316227766, 0.1], ["0.0316", "0.1"]),
        ([0.1, 0.10001, 1], ["0.1", "1"]),
        ([0.1, 0.10001], ["0.1", "0.10001"]),
    ):
        ax.set(xscale="log", xlim=(values[0], values[-1]))
        label_side_by_side(ax.xaxis, np.array(values))
        form = ax.xaxis.get_major_formatter()
        assert [form(x) for x in ax.get_xticks()] == shown
