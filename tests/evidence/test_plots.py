"""Figures say what the numbers say: lines, bands, panels, labels."""

import matplotlib

matplotlib.use("Agg")

import dataclasses
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.text import Text

import jaxnoise as jn


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


CELLS = (("none", 0.0), ("input", 0.01), ("input", 0.1), ("hidden", 0.1))


def made_up(cells=CELLS, seeds=4, splits=1, epochs=5, metrics=("accuracy", "loss")):
    """A sweep of uniform scores; cells are placements with strengths."""
    rng = np.random.default_rng(0)
    runs = pd.DataFrame(
        [
            {"placement": p, "strength": s, "seed": seed, "split": split}
            for p, s in cells
            for seed in range(seeds)
            for split in range(splits)
        ]
    )
    curves = {
        f"{name}_{metric}": rng.uniform(size=(len(runs), epochs)).astype(np.float32)
        for name in ("train", "test")
        for metric in metrics
    }
    for name, values in curves.items():
        runs[name] = values[:, -1]
    runs["finite"] = True
    kept = (None,) * len(runs)
    return jn.SweepResult(
        runs, curves, np.arange(1, epochs + 1), kept, True, 0.0, 0.0, "made up"
    )


def diverge(result, rows):
    """The same sweep, in which these runs diverged."""
    result.runs.loc[rows, "finite"] = False
    for name, values in result.curves.items():
        values[rows] = np.nan
        result.runs.loc[rows, name] = np.nan
    return result


def compared(result, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "compare: .* units are few")
        return jn.compare(result, **options)


def texts(figure):
    """All that is written in a figure."""
    figure.canvas.draw()
    return [t.get_text() for t in figure.findobj(Text) if t.get_text().strip()]


@pytest.fixture
def result():
    """Two placements, three strengths, four seeds, made up."""
    return made_up()


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


def test_learning_curves_take_metrics_by_their_whole_name():
    result = made_up(metrics=("accuracy", "top_accuracy", "loss", "my_loss"))
    for metric in ("accuracy", "top_accuracy", "loss", "my_loss"):
        figure = jn.plots.learning_curves(result, metric=metric)
        lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
        assert list(lines) == ["train", "test"]
        for name, line in lines.items():
            values = result.curves[f"{name}_{metric}"][:4]
            np.testing.assert_allclose(line.get_ydata(), values.mean(0), rtol=1e-6)
    with pytest.raises(ValueError, match="metric must have curves"):
        jn.plots.learning_curves(result, metric="racy")


def test_learning_curves_of_sets_with_underscores(result):
    curves = {f"my_{name}": values for name, values in result.curves.items()}
    curves |= {f"other_{name}": values for name, values in result.curves.items()}
    many = dataclasses.replace(result, curves=curves | result.curves)
    figure = jn.plots.learning_curves(many, metric="loss")
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == [
        *("my_train", "my_test", "other_train", "other_test", "train", "test"),
    ]


def test_every_set_has_a_look_of_its_own(result):
    sets = ("train", "test", "validation", "population", "more", "most", "all")
    curves = {f"{name}_loss": result.curves["test_loss"] for name in sets}
    many = dataclasses.replace(result, curves=curves)
    lines = jn.plots.learning_curves(many, metric="loss").axes[0].get_lines()
    assert len({line.get_linestyle() + str(line._dash_pattern) for line in lines}) == 7


def test_learning_curves_of_one_epoch_are_points():
    result = made_up(epochs=1)
    ax = jn.plots.learning_curves(result, metric="loss").axes[0]
    assert [line.get_marker() for line in ax.get_lines()] == ["o", "s"]
    (bar,) = ax.collections[1].get_segments()
    values = result.curves["train_loss"][:4, 0]
    np.testing.assert_allclose(np.ptp(bar[:, 1]), 2 * values.std(ddof=1), rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5])
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


@pytest.fixture(scope="module")
def curve():
    """The picture, the table that it shows, and the runs; for many to read."""
    result = made_up()
    rows = compared(result, metric="test_accuracy")
    ax = jn.plots.strength_curve(result, metric="test_accuracy", best=0.84)
    return ax, rows, result.runs


def test_strength_curve(curve):
    ax, rows, _ = curve
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["none", "input", "hidden", "best possible 0.840"]
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "test accuracy"
    containers = {c.get_label(): c for c in ax.containers}
    line, _, (bars,) = containers["input"]
    np.testing.assert_allclose(line.get_xdata(orig=False), [0.01, 0.1])
    np.testing.assert_allclose(line.get_ydata(orig=False), rows["mean"][1:3], rtol=1e-6)
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    expected = rows["mean"][0] + rows.loc[1:2, ["low", "high"]].to_numpy(float)
    np.testing.assert_allclose(ends, expected, rtol=1e-6)


def test_strength_curve_shows_the_baselines_interval_and_every_seed(curve):
    ax, rows, runs = curve
    half = 3.182446305284263 * rows["sd"][0] / 2  # Student's t, 3 degrees of freedom
    (band,) = (p for p in ax.patches if isinstance(p, Rectangle))
    expected = rows["mean"][0] - half, rows["mean"][0] + half
    ends = band.get_y(), band.get_y() + band.get_height()
    np.testing.assert_allclose(ends, expected)
    faint = next(c for c in ax.collections if len(c.get_paths()) == 4)
    inputs = runs[runs["placement"] == "input"]
    scores = inputs.pivot(index="seed", columns="strength", values="test_accuracy")
    drawn = [path.vertices for path in faint.get_paths()]
    np.testing.assert_allclose([v[:, 1] for v in drawn], scores.to_numpy(), rtol=1e-6)
    title = ax.get_legend().get_title().get_text()
    assert "n = 4 seeds, few" in title
    assert "difference to none" in title
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0.01", "0.1"]


def test_strength_0_has_a_place_on_a_linear_axis():
    result = made_up((("none", 0.0), ("input", 0.0), ("input", 0.1), ("hidden", 0.3)))
    ax = jn.plots.strength_curve(result, metric="test_loss", scale="linear")
    assert ax.get_xscale() == "linear"
    line, _, _ = {c.get_label(): c for c in ax.containers}["input"]
    assert line.get_xdata(orig=False).tolist() == [0.0, 0.1]
    assert ax.get_xlim()[0] < 0
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "0.1", "0.3"]
    logarithmic = jn.plots.strength_curve(result, metric="test_loss")
    line, _, _ = {c.get_label(): c for c in logarithmic.containers}["input"]
    assert line.get_xdata(orig=False).tolist() == [0.1]
    with pytest.raises(ValueError, match='must be "log" or "linear", got \'root\''):
        jn.plots.strength_curve(result, metric="test_loss", scale="root")


def test_strength_curve_of_a_table(result):
    table = result.runs[["placement", "strength", "seed", "test_loss"]]
    ax = jn.plots.strength_curve(table, metric="test_loss", label="loss (nats)")
    assert ax.get_ylabel() == "loss (nats)"
    assert len(ax.containers) == 2


def test_strength_curve_marks_where_runs_diverged(result):
    diverge(result, [4, 12, 13, 14, 15])  # one of input 0.01, all of hidden 0.1
    ax = jn.plots.strength_curve(result, metric="test_loss")
    (crosses,) = (x for x in ax.get_lines() if x.get_label() == "runs diverged here")
    assert crosses.get_xdata().tolist() == [0.01, 0.1]
    assert "n = 0 to 4 seeds, few" in ax.get_legend().get_title().get_text()
    ax.figure.canvas.draw()


@pytest.fixture
def clear():
    """Ten seeds: input 0.1 is better by far, hidden 0.1 worse, and input 0.01 equal."""
    result = made_up(seeds=10)
    plain = result.runs["test_accuracy"][:10].to_numpy(float)
    noise = np.linspace(-0.01, 0.01, 10)
    moved = np.concatenate([plain, plain, plain + 0.5 + noise, plain - 0.5 + noise])
    result.runs["test_accuracy"] = moved
    result.runs["test_loss"] = -moved
    return result


def test_forest(clear):
    ax = jn.plots.forest(clear, metric="test_accuracy", rope=0.05)
    rows = jn.compare(clear, metric="test_accuracy", rope=0.05)[1:]
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        *("input, 0.01", "input, 0.1", "hidden, 0.1"),
    ]
    assert [t.get_text() for t in ax.texts] == [
        *("no evidence, n = 10", "better, n = 10", "worse, n = 10"),
    ]
    zero, *drawn = ax.get_lines()
    assert list(zero.get_xdata()) == [0, 0]
    for i, (_, row) in enumerate(rows.iterrows()):
        bar, point = drawn[2 * i : 2 * i + 2]
        np.testing.assert_allclose(bar.get_xdata(), [row["low"], row["high"]])
        np.testing.assert_allclose(point.get_xdata(), row["difference"])
        assert point.get_ydata() == [i]
    points = drawn[1::2]
    assert len({point.get_marker() for point in points}) == 3
    assert len({point.get_color() for point in points}) == 3
    (band,) = (p for p in ax.patches if isinstance(p, Rectangle))
    assert (band.get_x(), band.get_width()) == (-0.05, 0.1)
    assert ax.get_xlabel().split("\n") == [
        "difference to none in test accuracy",
        "(higher is better; bar: 95 % interval)",
        "band: within ± 0.05 is equivalent",
    ]
    top, bottom = ax.get_ylim()[::-1]
    assert top < 0 < 2 < bottom  # the first placement is at the top


def test_forest_knows_that_lower_losses_are_better(clear):
    ax = jn.plots.forest(clear, metric="test_loss")
    assert [t.get_text().split(",")[0] for t in ax.texts] == [
        *("no evidence", "better", "worse"),
    ]
    assert "lower is better" in ax.get_xlabel()


def test_forest_of_one_seed_and_of_none():
    result = diverge(made_up(seeds=1), [2])
    ax = jn.plots.forest(result, metric="test_loss")
    assert [t.get_text() for t in ax.texts] == [
        *("no verdict, n = 1", "no verdict, n = 0, 1 diverged", "no verdict, n = 1"),
    ]
    ax.figure.canvas.draw()


def test_seed_slopes(clear):
    figure = jn.plots.seed_slopes(clear, metric="test_accuracy")
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == [
        "input, 0.01\n(n = 10, 0 better, 10 equal)",
        "input, 0.1\n(n = 10, 10 better)",
        "hidden, 0.1\n(n = 10, 0 better)",
    ]
    scores = clear.runs.pivot(
        index="seed", columns=["placement", "strength"], values="test_accuracy"
    )
    looks = set()
    for ax, cell in zip(panels, CELLS[1:], strict=True):
        drawn = np.array([line.get_ydata() for line in ax.get_lines()])
        expected = scores[[("none", 0.0), cell]].to_numpy(float)
        np.testing.assert_allclose(drawn, expected, rtol=1e-6)
        (look,) = {(x.get_color(), x.get_linestyle()) for x in ax.get_lines()}
        looks.add(look)
        assert [t.get_text() for t in ax.get_xticklabels()] == ["none", cell[0]]
    assert len(looks) == 3
    assert "a line is one seed\n(higher is better)" in texts(figure)


def test_seed_slopes_of_splits_and_of_losses(clear):
    runs = clear.runs.rename(columns={"seed": "split", "split": "seed"})
    runs.attrs["overlap"] = 0.0
    figure = jn.plots.seed_slopes(runs, metric="test_loss")
    assert "a line is one split\n(lower is better)" in texts(figure)
    assert figure.axes[1].get_title() == "input, 0.1\n(n = 10, 10 better)"
    grid = plt.subplots(1, 3)[1]
    assert jn.plots.seed_slopes(runs, metric="test_loss", ax=grid) is grid[0].figure


def test_score_distribution_shows_every_run(clear):
    diverge(clear, [3])
    ax = jn.plots.score_distribution(clear, metric="test_accuracy", best=0.84)
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        *("none", "input, 0.01", "input, 0.1", "hidden, 0.1"),
    ]
    assert [t.get_text() for t in ax.texts] == [
        *("n = 9, 1 diverged", "n = 10", "n = 10", "n = 10"),
    ]
    runs = clear.runs[clear.runs["finite"]]
    for y, (points, (_, group)) in enumerate(
        zip(
            ax.collections,
            runs.groupby(["placement", "strength"], sort=False),
            strict=True,
        )
    ):
        x, height = points.get_offsets().T
        np.testing.assert_allclose(np.sort(x), np.sort(group["test_accuracy"]))
        assert (abs(height - y) < 0.5).all()
    assert "dotted: best possible 0.840" in ax.get_xlabel()


def test_score_distribution_keeps_equal_scores_apart():
    table = made_up(seeds=50).runs.assign(accuracy=0.5)
    ax = jn.plots.score_distribution(table, metric="accuracy", baseline="nothing")
    for points in ax.collections:
        assert len(np.unique(points.get_offsets(), axis=0)) == 50


@pytest.fixture(scope="module")
def two_strengths():
    """Input and hidden strengths at once, beside the baseline and input alone."""
    cells = pd.DataFrame(
        [("none", np.nan, np.nan), ("input", 0.1, np.nan)]
        + [("both", a, b) for a in (0.0, 0.1, 0.3) for b in (0.01, 1.0)],
        columns=["placement", "strength.input", "strength.hidden"],
    )
    table = cells.merge(pd.DataFrame({"seed": range(10)}), how="cross")
    rng = np.random.default_rng(1)
    table["accuracy"] = 0.5 + rng.normal(0, 0.01, len(table))
    better = (table["strength.input"] == 0.3) & (table["strength.hidden"] == 1.0)
    table["accuracy"] += 0.2 * better
    return table


@pytest.fixture(scope="module")
def compared_strengths(two_strengths):
    return jn.compare(two_strengths, metric="accuracy")


@pytest.mark.parametrize("value", ["mean", "difference"])
def test_strength_heatmap(compared_strengths, value):
    """All numbers where they belong; on their cells they stand out, at least 4.5 to 1,
    which WCAG asks of text.
    """
    rows = compared_strengths
    ax = jn.plots.strength_heatmap(rows, value=value)
    rows = rows[rows["placement"] == "both"]
    grid = rows.pivot(index="strength.hidden", columns="strength.input", values=value)
    (mesh,) = (c for c in ax.collections if c.get_array() is not None)
    np.testing.assert_allclose(mesh.get_array().reshape(2, 3), grid)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        *("strength of input", "strength of hidden"),
    )
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "0.1", "0.3"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["0.01", "1"]
    cells = [t.get_text().replace("−", "-") for t in ax.texts]
    shown = [float(cell.split("\n")[0]) for cell in cells]
    np.testing.assert_allclose(shown, grid.to_numpy().ravel(), atol=0.001)
    places = np.floor([t.get_position() for t in ax.texts]).tolist()
    assert places == [[x, y] for y in range(2) for x in range(3)]
    assert ("better" in cells[-1]) == (value == "difference")
    bar = [other for other in ax.figure.axes if other is not ax][0]
    assert "n = 10 seeds; higher is better" in bar.get_ylabel()
    ax.figure.canvas.draw()
    for text, color in zip(ax.texts, mesh.get_facecolors(), strict=True):
        dark, light = sorted([luminance(to_rgb(text.get_color())), luminance(color)])
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(rgb):
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb[:3]
    ]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def test_strength_heatmap_of_chosen_strengths(two_strengths):
    table = two_strengths.assign(**{"strength.third": 0.5})
    options = {"metric": "accuracy", "x": "hidden", "y": "input", "placement": "both"}
    ax = jn.plots.strength_heatmap(table, **options)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        *("strength of hidden", "strength of input"),
    )
    lost = two_strengths["strength.input"] == 0.3
    table = two_strengths.assign(
        accuracy=two_strengths["accuracy"].mask(lost), finite=~lost
    )
    ax = jn.plots.strength_heatmap(table, metric="accuracy")
    assert [t.get_text() for t in ax.texts][2::3] == ["–", "–"]
    ax.figure.canvas.draw()


def test_drawing_into_given_axes(result):
    _, ax = plt.subplots()
    assert jn.plots.strength_curve(result, metric="test_loss", ax=ax) is ax
    assert jn.plots.scatter(jn.data.circles(population=10), ax=ax) is ax


def test_drawing_panels_into_given_axes(result):
    figure, grid = plt.subplots(2, 2)
    assert jn.plots.learning_curves(result, metric="loss", ax=grid) is figure
    assert [len(ax.get_lines()) for ax in grid.flat] == [2, 2, 2, 2]
    logits = {"zero": lambda x: 0 * x[:, :1]}  # has no boundary
    data = jn.data.circles(population=10)
    assert jn.plots.decision_regions(logits, data, ax=grid[0, 0]) is figure
    figure.canvas.draw()
    with pytest.raises(ValueError, match="ax must be one axes a panel, 4 in all"):
        jn.plots.learning_curves(result, metric="loss", ax=grid[0])


NAMES = (
    7,
    "<script>alert(1)</script>",
    "$x_1$",
    "_hidden",
    "größer λ",
    "a" * 90,
    "b $ c",
    "half \ud800 a character",
)


@pytest.mark.usefixtures("texts_are_objects")
def test_names_are_shown_as_they_are():
    """No mathematics in dollars, no hiding of what begins with an underscore."""
    result = made_up([("none", 0.0), *((name, 0.1) for name in NAMES)])
    result.runs["test_$s_1$\ud800"] = result.runs["test_loss"]
    rows = compared(result, metric="test_$s_1$\ud800", lower_is_better=True)
    pictures = (
        jn.plots.strength_curve(rows).figure,
        jn.plots.learning_curves(rows, metric="loss"),
        jn.plots.forest(rows).figure,
        jn.plots.seed_slopes(rows),
        jn.plots.score_distribution(rows).figure,
    )
    for figure in pictures:
        written = "\n".join(texts(figure))
        for name in map(str, NAMES):
            name = name.replace("\ud800", "\N{REPLACEMENT CHARACTER}")
            assert name[:20] in written.replace("\n", " ")
        for text in figure.findobj(Text):
            if any(n[:5] in text.get_text() for n in (*NAMES[1:], "test $s")):
                assert not text.get_parse_math()


def test_curves_of_any_size(result):
    """Squares of a loss of 1e30 leave the range of float32."""
    result.curves["test_loss"] *= np.float32(1e30)
    figure = jn.plots.learning_curves(result, metric="loss")
    band = figure.axes[0].collections[1].get_paths()[0].vertices[:, 1]
    values = result.curves["test_loss"][:4].astype(float)
    top = (values.mean(0) + values.std(0, ddof=1)).max()
    assert band.max() == pytest.approx(top)


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
    with pytest.raises(TypeError, match="result must be a SweepResult"):
        jn.plots.learning_curves(result.runs, metric="loss")
    with pytest.raises(ValueError, match=r"points of shape \(rows, 2\)"):
        jn.plots.scatter(jn.Data(train=(np.ones((3, 4)), np.ones((3, 1)))))


@pytest.mark.bad_input
def test_pictures_that_need_more_than_there_is(result, two_strengths):
    only = result.runs[result.runs["placement"] == "none"]
    for picture in (jn.plots.forest, jn.plots.seed_slopes):
        with pytest.raises(ValueError, match="more placements than 'none'"):
            picture(only, metric="test_loss")
        with pytest.raises(ValueError, match="baseline must be one of"):
            picture(result, metric="test_loss", baseline="nothing")
    for picture in (jn.plots.forest, jn.plots.score_distribution):
        with pytest.raises(ValueError, match="metric must be a column"):
            picture(result, metric="test_los")
    heatmap = jn.plots.strength_heatmap
    with pytest.raises(ValueError, match="must have a placement with two strengths"):
        heatmap(result, metric="test_loss")
    with pytest.raises(ValueError, match='value must be "mean" or "difference"'):
        heatmap(two_strengths, metric="accuracy", value="sd")
    with pytest.raises(ValueError, match=r"\(both\), got 'input'"):
        heatmap(two_strengths, metric="accuracy", placement="input")
    with pytest.raises(ValueError, match=r"\(input, hidden\), got 'pool'"):
        heatmap(two_strengths, metric="accuracy", x="pool")
    with pytest.raises(ValueError, match="two strengths that vary"):
        heatmap(two_strengths, metric="accuracy", x="input", y="input")
    twice = pd.concat([two_strengths, two_strengths.replace("both", "two")])
    with pytest.raises(ValueError, match=r"placement must be one of .* \(both, two\)"):
        heatmap(twice.drop_duplicates(), metric="accuracy")
    both = two_strengths["placement"] == "both"
    third = two_strengths["strength.input"].where(both) * 2
    third = two_strengths.assign(**{"strength.third": third})
    with pytest.raises(ValueError, match="two strengths that vary"):
        heatmap(third, metric="accuracy")


def test_a_legend_stays_within_given_axes(result):
    """There may be other axes at the right."""
    figure, grid = plt.subplots(1, 2, layout="constrained")
    jn.plots.strength_curve(result, metric="test_loss", ax=grid[0])
    figure.canvas.draw()
    legend, axes = (a.get_window_extent() for a in (grid[0].get_legend(), grid[0]))
    assert axes.x0 <= legend.x0 < legend.x1 <= axes.x1
    title = grid[0].get_legend().get_title().get_text()
    assert title == "means of n = 4 seeds, few\nbar, band: 95 % intervals"
