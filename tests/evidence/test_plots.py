"""Figures say what the numbers say: lines, bands, panels, labels."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def result():
    """Two placements, three strengths, four seeds, made up."""
    rng = np.random.default_rng(0)
    cells = [("none", 0.0), ("input", 0.01), ("input", 0.1), ("hidden", 0.1)]
    runs = pd.DataFrame(
        [
            {"placement": p, "strength": s, "seed": seed, "split": 0}
            for p, s in cells
            for seed in range(4)
        ]
    )
    curves = {
        f"{name}_{metric}": rng.uniform(size=(16, 5)).astype(np.float32)
        for name in ("train", "test")
        for metric in ("accuracy", "loss")
    }
    for name, values in curves.items():
        runs[name] = values[:, -1]
    runs["finite"] = True
    return jn.SweepResult(
        runs, curves, np.arange(1, 6), (None,) * 16, True, 0.0, 0.0, "made up"
    )


def test_learning_curves(result):
    figure = jn.plots.learning_curves(result, metric="accuracy", best=0.84)
    panels = [ax for ax in figure.axes if ax.axison]
    titles = [ax.get_title() for ax in panels]
    assert titles == [
        "none (n = 4)",
        "input, 0.01 (n = 4)",
        "input, 0.1 (n = 4)",
        "hidden, 0.1 (n = 4)",
    ]
    for i, ax in enumerate(panels):
        lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
        assert list(lines) == ["train", "test", "best possible 0.840"]
        for name in ("train", "test"):
            values = result.curves[f"{name}_accuracy"][4 * i : 4 * i + 4]
            np.testing.assert_allclose(lines[name], values.mean(0), rtol=1e-6)
        assert len(ax.collections) == 2
        styles = {(line.get_color(), line.get_linestyle()) for line in ax.get_lines()}
        assert len(styles) == 3
    assert panels[2].get_xlabel() == "epoch"
    assert panels[0].get_ylabel() == "accuracy"


def test_learning_curves_leave_diverged_runs_out(result):
    result.runs.loc[0, "finite"] = False
    result.curves["train_loss"][0] = np.nan
    figure = jn.plots.learning_curves(result, metric="loss")
    ax = figure.axes[0]
    assert ax.get_title() == "none (n = 3)"
    np.testing.assert_allclose(
        ax.get_lines()[0].get_ydata(),
        result.curves["train_loss"][1:4].mean(0),
        rtol=1e-6,
    )


def test_learning_curves_of_diverged_runs_alone(result):
    result.runs["finite"] = False
    figure = jn.plots.learning_curves(result, metric="loss")
    assert figure.axes[0].get_title() == "none (n = 0)"
    figure.canvas.draw()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_panels_below_nothing_have_labels(count, result):
    logits = {str(i): lambda x: x[:, :1] for i in range(count)}
    data = jn.data.circles(population=10)
    figure = jn.plots.decision_regions(logits, data, best_radius=0.9)
    titled = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in titled] == list(logits)
    for i, ax in enumerate(titled):
        columns = ax.get_gridspec().ncols
        bottom = i + columns >= count
        assert bool(ax.get_xlabel()) == bottom
        assert bool(ax.get_ylabel()) == (i % columns == 0)
    figure.canvas.draw()


def test_strength_curve(result):
    ax = jn.plots.strength_curve(result, metric="test_accuracy", best=0.84)
    with pytest.warns(UserWarning, match="compare: 4 units are few"):
        rows = jn.compare(result, metric="test_accuracy")
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(labels) == ["best possible 0.840", "hidden", "input", "none"]
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "test accuracy"
    containers = {c.get_label(): c for c in ax.containers}
    line, _, (bars,) = containers["input"]
    np.testing.assert_allclose(line.get_xdata(orig=False), [0.01, 0.1])
    np.testing.assert_allclose(line.get_ydata(orig=False), rows["mean"][1:3], rtol=1e-6)
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    expected = rows["mean"][0] + rows.loc[1:2, ["low", "high"]].to_numpy(float)
    np.testing.assert_allclose(ends, expected, rtol=1e-6)


def test_drawing_into_given_axes(result):
    _, ax = plt.subplots()
    assert jn.plots.strength_curve(result, metric="test_loss", ax=ax) is ax
    assert jn.plots.scatter(jn.data.circles(population=10), ax=ax) is ax


def test_scatter_tells_sets_and_classes_apart():
    data = jn.data.circles(population=10)
    ax = jn.plots.scatter(data)
    labels = [c.get_label() for c in ax.collections]
    assert labels == [
        f"{name}, class {target}" for name in ("train", "test") for target in (0, 1)
    ]
    counts = [len(c.get_offsets()) for c in ax.collections]
    assert counts == [14, 16, 36, 34]


@pytest.mark.bad_input
def test_what_cannot_be_drawn(result):
    with pytest.raises(ValueError, match="metric must have curves"):
        jn.plots.learning_curves(result, metric="acuracy")
    result.runs["strength"] = 0.0
    only = result.runs[result.runs["placement"] == "none"]
    with pytest.raises(ValueError, match="strengths above 0"):
        jn.plots.strength_curve(
            jn.SweepResult(
                only, {}, np.arange(0), (None,) * 4, True, 0.0, 0.0, "made up"
            ),
            metric="test_loss",
        )
    with pytest.raises(ValueError, match=r"points of shape \(rows, 2\)"):
        jn.plots.scatter(jn.Data(train=(np.ones((3, 4)), np.ones((3, 1)))))
