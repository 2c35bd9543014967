"""Pictures and page can be read by all: room for labels, contrast, more than colour."""

import itertools
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

import jaxnoise as jn
from jaxnoise.evidence import report
from jaxnoise.evidence.plots import curves, differences, page, planes, style
from jaxnoise.evidence.plots.maps import DARK, MISSING
from jaxnoise.evidence.plots.strengths import label_side_by_side

TEXT, GRAPHICS = 4.5, 3  # least contrast to what is behind, which WCAG 2.2 asks
APART = 12  # least distance of two colours in CIELAB; 2.3 can just be noticed
CONES = {  # of linear RGB, without one kind of cone (Machado, Oliveira, Fernandes 2009)
    "all": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array(  # of linear sRGB
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
SIZES = ((5.4, 3.6), (2.4, 2))  # usual, small
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


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """Of WCAG 2.2: 1 for equal colours, 21 for black and white."""
    dark, light = sorted(float(XYZ[1] @ linear(each)) for each in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(colour, cones):
    """CIELAB of a colour as it is seen."""
    seen = np.clip(np.array(CONES[cones]) @ linear(colour), 0, 1)
    x, y, z = (
        np.cbrt(t) if t > (6 / 29) ** 3 else t / 3 * (29 / 6) ** 2 + 4 / 29
        for t in XYZ @ seen / XYZ.sum(axis=1)  # white is 1
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def variables():
    """By mode of the page, the colours that its style sheet names."""
    css = (Path(report.__file__).parent / "templates" / "report.css").read_text("utf-8")
    light, rest = css.split("@media screen and (prefers-color-scheme: dark)")
    dark, rest = rest.split("* {", 1)
    paper = rest.split("@media print")[1]
    found = [dict(re.findall(r"--(\w+): (#\w+);", css)) for css in (light, dark, paper)]
    return dict(zip(("light", "dark", "print"), found, strict=True))


MODES = variables()
PALETTES = {
    "on white": (style.PALETTE, "#ffffff", "#000000"),
    "on black": (style.PALETTE, "#000000", "#ffffff"),
    "light": (style.PALETTE, MODES["light"]["paper"], MODES["light"]["ink"]),
    "dark": (page.ON_DARK, MODES["dark"]["paper"], MODES["dark"]["ink"]),
    "print": (style.PALETTE, MODES["print"]["paper"], MODES["print"]["ink"]),
}


def test_contrast_of_known_colours():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    np.testing.assert_allclose(lab("#ffffff", "all"), [100, 0, 0], atol=0.01)
    np.testing.assert_allclose(lab("#ff0000", "all"), [53.24, 80.09, 67.20], atol=0.01)


@pytest.mark.parametrize("mode", MODES)
def test_text_of_the_page_stands_out(mode):
    colours = MODES[mode]
    for text, behind in itertools.product(("ink", "quiet"), ("paper", "panel")):
        assert contrast(colours[text], colours[behind]) >= TEXT


@pytest.mark.parametrize("palette", PALETTES)
def test_colours_stand_out(palette):
    colours, paper, ink = PALETTES[palette]
    assert list(colours) == list(style.PALETTE)
    for colour in (*colours.values(), ink):
        assert contrast(colour, paper) >= GRAPHICS
    for name in ("blue", "vermillion"):  # borders and focus
        panel = MODES.get(palette, {}).get("panel", paper)
        assert contrast(colours[name], panel) >= GRAPHICS


@pytest.mark.parametrize("cones", CONES)
@pytest.mark.parametrize("palette", PALETTES)
def test_colours_are_told_apart(palette, cones):
    colours, _, ink = PALETTES[palette]
    seen = [lab(colour, cones) for colour in (*colours.values(), ink)]
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(one - other) >= APART


def test_a_dash_stands_out_where_a_map_has_no_number():
    assert contrast(DARK, MISSING) >= TEXT


def test_no_two_series_differ_in_colour_alone():
    count = len(style.PLACEMENTS) + 1
    markers = [style.placement_style(i)["marker"] for i in range(count)]
    lines = [str(line) for _, line in curves.LOOKS]
    verdicts = [marker for _, marker in differences.VERDICTS.values()]
    slopes = [line for _, line in differences.SLOPES.values()]
    classes = [marker for _, marker in planes.CLASSES]
    for looks in (markers, lines, verdicts, slopes, classes):
        assert len(set(looks)) == len(looks)
