"""The main experiment at toy size: options, files, numbers, pictures."""

import dataclasses
import io
import json
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import psutil
import pytest

import jaxnoise as jn

TOY = ["--epochs", "20", "--seeds", "3", "--hidden-units", "16"]
TRAINED = ["both", "labels"]  # at two sites, and at none
PLACEMENTS = ["input", "hidden", "activation", "both", "weights", "gradients", "labels"]


@pytest.fixture(scope="module")
def circles(experiment):
    return experiment("circles")


@pytest.fixture(scope="module")
def study(experiment):
    return experiment("_study")


@pytest.fixture(scope="module")
def trained(circles, study, tmp_path_factory):
    """Two placements, with pictures and report: the runs, the folder."""
    out, results = tmp_path_factory.mktemp("all"), []
    train = study.train

    def kept(*args):
        results.append(train(*args))
        return results[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "train", kept)
        options = ["--placement", *TRAINED, "--report", "--out", str(out)]
        assert circles.main([*TOY, *options]) == 0
    return results[0], out


@pytest.fixture(scope="module")
def everything(trained):
    return trained[1]


@pytest.fixture
def shows(circles, study, trained, tmp_path, monkeypatch):
    """A function that runs the command, with these of the runs in place of training."""

    def run(*options, code=0, changed=lambda result: result, **which):
        result = changed(trained[0].where(**which))
        monkeypatch.setattr(study, "train", lambda *args: result)
        given = [*TOY, "--no-plots", "--out", str(tmp_path), *options]
        assert circles.main(given) == code
        return pd.read_csv(tmp_path / "runs.csv"), summary_of(tmp_path)

    return run


def summary_of(out):
    return json.loads((out / "summary.json").read_text("utf-8"))


def test_runs(everything):
    runs = pd.read_csv(everything / "runs.csv")
    assert list(runs) == [
        "placement",
        "strength",
        "seed",
        "train_accuracy",
        "train_loss",
        "train_brier",
        "test_accuracy",
        "test_loss",
        "test_brier",
        "population_accuracy",
        "population_loss",
        "population_brier",
        "finite",
    ]
    cells = runs[["placement", "strength"]].drop_duplicates().values.tolist()
    assert cells == [["none", 0.0], ["both", 0.1], ["labels", 0.1]]
    assert runs["seed"].tolist() == [0, 1, 2] * 3
    assert runs["finite"].all()


def test_curves(everything):
    runs = pd.read_csv(everything / "runs.csv")
    with np.load(everything / "curves.npz", allow_pickle=False) as curves:
        assert sorted(curves) == [
            "epoch",
            "placement",
            "seed",
            "strength",
            "test_accuracy",
            "test_brier",
            "test_loss",
            "train_accuracy",
            "train_brier",
            "train_loss",
        ]
        assert curves["placement"].tolist() == runs["placement"].unique().tolist()
        np.testing.assert_allclose(curves["strength"], [0, 0.1, 0.1])
        np.testing.assert_array_equal(curves["seed"], [0, 1, 2])
        np.testing.assert_array_equal(curves["epoch"], np.arange(1, 21))
        for name in ("train_accuracy", "train_loss", "test_accuracy", "test_loss"):
            assert curves[name].shape == (3, 3, 20)
            np.testing.assert_allclose(
                curves[name][..., -1].ravel(), runs[name], rtol=1e-6
            )


def test_summary(everything):
    runs = pd.read_csv(everything / "runs.csv")
    summary = json.loads((everything / "summary.json").read_text())
    assert summary["config"]["placement"] == TRAINED
    assert summary["config"]["input_stddev"] == 0.01
    assert {"python", "jax", "jaxnoise"} <= set(summary["versions"])
    assert summary["device"] == "4 x cpu"
    assert summary["compile_seconds"] > 0
    assert summary["run_seconds"] > 0
    assert summary["complete"] is True
    by_cell = runs.groupby(["placement", "strength"])
    plain = runs[runs["placement"] == "none"]["population_accuracy"].to_numpy()
    for row in summary["rows"]:
        group = by_cell.get_group((row["placement"], row["strength"]))
        assert row["n"] == 3
        for name, score in row["metrics"].items():
            np.testing.assert_allclose(score["mean"], group[name].mean(), rtol=1e-6)
            np.testing.assert_allclose(
                score["sd"], group[name].std(), rtol=1e-4, atol=1e-9
            )
        if row["placement"] == "none":
            assert row["difference"] is None
            continue
        d = group["population_accuracy"].to_numpy() - plain
        half = 4.302652729911275 * d.std(ddof=1) / np.sqrt(3)  # Student's t, 2 d.f.
        got = row["difference"]
        assert got["metric"] == "population_accuracy"
        np.testing.assert_allclose(got["mean"], d.mean(), atol=1e-7)
        np.testing.assert_allclose(got["low"], d.mean() - half, atol=1e-6)
        np.testing.assert_allclose(got["high"], d.mean() + half, atol=1e-6)


def test_pictures(everything):
    from matplotlib.image import imread

    for name in ("scatter", "accuracy", "loss", "differences", "boundary"):
        image = imread(everything / f"{name}.png")
        assert min(image.shape[:2]) > 300
        assert image[..., :3].std() > 0.05  # not blank


def test_report(everything):
    page = (everything / "report.html").read_text("utf-8")
    assert "Does noise help on the two circles?" in page
    assert "of 2 comparisons with none in population accuracy" in page.lower()
    assert "best possible 0.841" in page
    assert "hidden_units" in page
    assert "both 0.1; labels 0.1" in page
    assert "Interrupted" not in page


@pytest.mark.parametrize(
    ("placements", "asked"),
    [
        ([], "How accurate is a small"),
        (["labels"], "Would noise on the labels raise the accuracy of a small"),
        (
            ["input", "hidden", "weights"],
            "Would noise on the inputs, before the activation or on the weights raise",
        ),
    ],
)
def test_the_page_asks_about_what_was_run(circles, placements, asked):
    assert circles.question(placements).startswith(asked)


def test_report_that_cannot_be_written(shows, tmp_path, capsys):
    """All else is written and printed."""
    (tmp_path / "report.html").mkdir()
    _, summary = shows("--report", code=2, placement=["none", "both"])
    out, err = capsys.readouterr()
    page = tmp_path / "report.html"
    assert err == f"error: cannot write {page}: Is a directory\n"
    assert "best possible" in out
    assert summary["missing"] == {"report.html": "Is a directory"}


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("cp1252", "-0.1 ± 2 ?"), ("cp874", "-0.1 +/- 2 ?"), ("utf-8", "−0.1 ± 2 ✔")],
)
def test_signs_that_the_encoding_lacks(experiment, monkeypatch, encoding, printed):
    """They end no program after its training, and numbers keep theirs."""
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    experiment("_options").Parser("circles.py")
    print("−0.1 ± 2 ✔", end="", flush=True)
    assert out.getvalue().decode(encoding) == printed


@pytest.mark.slow
def test_some_placements_and_no_plots(circles, everything, tmp_path, monkeypatch):
    """The numbers of the runs that all placements have; no pictures."""
    given = [*TOY, "--placement", "both", "--no-plots", "--out", str(tmp_path)]
    assert circles.main(given) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "curves.npz",
        "runs.csv",
        "runs.sqlite",
        "summary.json",
    ]
    assert summary_of(tmp_path)["config"]["placement"] == "both"
    runs = pd.read_csv(tmp_path / "runs.csv")
    expected = pd.read_csv(everything / "runs.csv").iloc[:6]
    pd.testing.assert_frame_equal(runs, expected)
    monkeypatch.setattr("jaxnoise.training.program.compile_jobs", no_jobs)
    assert circles.main(given) == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "runs.csv"), expected)


def no_jobs(jobs):
    assert not jobs, "runs that are in the store were trained again"


def test_table(shows, capsys):
    shows(placement=["none", "both"])
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert lines[0].split()[:4] == ["placement", "strength", "n", "train"]
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["none", "0", "3"],
        ["both", "0.1", "3"],
    ]
    assert lines[1].count("±") == 5
    assert lines[2].count("[") == lines[2].count("]") == 1
    assert (
        "±: one standard deviation over seeds; population: 20,000 fresh points" in out
    )
    assert "(Bayes): 0.8406" in out
    assert "\ncaution: 3 units are few: below 10 intervals are a guide" in out
    assert "compiled in" in out
    assert "4 x cpu" in out
    assert "Train:" not in out


def test_one_seed_prints_the_tutorials_lines(shows, capsys):
    runs, summary = shows("--seeds", "1", placement=["none", "both"], seed=0)
    out = capsys.readouterr().out
    for _, run in runs.iterrows():
        line = f"Train: {run.train_accuracy:.3f}, Test: {run.test_accuracy:.3f}"
        assert f"\n{run.placement}: {line}\n" in out
    row = summary["rows"][1]
    assert row["difference"]["low"] is None
    assert row["difference"]["high"] is None
    assert row["metrics"]["test_accuracy"]["sd"] is None
    assert "nan" not in out


@pytest.mark.parametrize(
    ("given", "trained_with"),
    [
        ([], dict.fromkeys(PLACEMENTS, [0.5, 0.0])),
        (["hidden"], {"hidden": [0.5, 0.0]}),
        (["labels", "both"], dict.fromkeys(["both", "labels"], [0.5, 0.0])),
    ],
    ids=lambda value: " ".join(value),
)
def test_strengths(circles, tmp_path, monkeypatch, given, trained_with):
    """They go to every placement that was asked for, in the order of all."""
    asked = sweep_asked(
        circles,
        monkeypatch,
        *["--placement"] * bool(given),
        *given,
        *["--stddev", "0.5", "0", "--out", str(tmp_path)],
    )
    assert asked["strengths"] == trained_with
    assert list(asked["recipes"]) == ["none", *trained_with]


def sweep_asked(circles, monkeypatch, *options, toy=TOY):
    """What a sweep is asked for by a command; nothing is trained."""

    def sweep(recipes, **arguments):
        asked.update(arguments, recipes=recipes)
        raise KeyboardInterrupt

    asked = {}
    monkeypatch.setattr(jn, "sweep", sweep)
    with pytest.raises(KeyboardInterrupt):
        circles.main([*toy, *options])
    return asked


@pytest.mark.parametrize(
    ("given", "units"), [(["9"], [9]), (["500", "400"], [500, 400])]
)
def test_hidden_layers(circles, tmp_path, monkeypatch, given, units):
    """Several widths are several layers, with noise and activation in each."""
    asked = sweep_asked(
        circles,
        monkeypatch,
        *["--hidden-units", *given, "--activation", "tanh", "--out", str(tmp_path)],
    )
    assert list(asked["strengths"]) == PLACEMENTS
    model = asked["recipes"]["hidden"](0.1).model
    assert (list(model.features), model.activation) == (units, jax.nn.tanh)
    assert model.hidden_noise.stddev == 0.1


def test_hidden_layers_are_told(shows, tmp_path):
    options = ["--hidden-units", "16", "8", "--activation", "tanh", "--report"]
    _, summary = shows(*options, placement=["none", "both"])
    assert summary["config"]["hidden_units"] == [16, 8]
    assert summary["config"]["activation"] == "tanh"
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "16, 8" in page
    assert "tanh" in page


def test_options_reach_the_runs(circles, tmp_path, monkeypatch):
    asked = sweep_asked(
        circles,
        monkeypatch,
        *"--placement both --stddev 0.4 --input-stddev 0.2 --seed 7 --seeds 2".split(),
        *"--batch-size 9 --learning-rate 0.01 --samples 60 --train-size 20".split(),
        *"--data-noise 0.2 --data-seed 5 --population-seed 6 --epochs 20".split(),
        *["--hidden-units", "8", "--out", str(tmp_path)],
    )
    assert list(asked["seeds"]) == [7, 8]
    assert (asked["epochs"], asked["batch_size"]) == (20, 9)
    assert (asked["strengths"], asked["keep_params"]) == ({"both": [0.4]}, [7])
    data = jn.data.circles(60, 20, noise=0.2, seed=5, population_seed=6)
    jax.tree.map(np.testing.assert_array_equal, dict(asked["data"]), dict(data))
    recipe = asked["recipes"]["both"](0.4)
    assert recipe.model.features == (8,)
    noises = recipe.model.input_noise, recipe.model.hidden_noise
    assert [noise.stddev for noise in noises] == [0.2, 0.4]
    step, _ = recipe.optimizer.update(1.0, recipe.optimizer.init(0.0), 0.0)
    np.testing.assert_allclose(step, -0.01, rtol=1e-4)  # Adam's first


def test_defaults(circles, tmp_path, monkeypatch):
    """All placements at their own strengths, the tutorial's length of training."""
    asked = sweep_asked(circles, monkeypatch, "--out", str(tmp_path), toy=[])
    assert asked["strengths"] == {
        "input": [0.01],
        "hidden": [0.1],
        "activation": [0.1],
        "both": [0.1],
        "weights": [0.03],
        "gradients": [0.01],
        "labels": [0.1],
    }
    assert (asked["epochs"], asked["batch_size"]) == (4000, 32)
    assert (len(asked["seeds"]), asked["metrics_every"]) == (30, 1)
    recipes = {place: build(0.1) for place, build in asked["recipes"].items()}
    assert recipes["none"].model.features == (500,)
    assert [p for p, recipe in recipes.items() if recipe.weight_noise] == ["weights"]
    assert [p for p, recipe in recipes.items() if recipe.label_noise] == ["labels"]


def unfinished(result):
    return dataclasses.replace(result, complete=False)


@pytest.mark.slow
def test_interrupt_writes_what_finished(shows, tmp_path, capsys):
    given = {"placement": ["none", "both"], "seed": [0, 1], "changed": unfinished}
    runs, summary = shows("--report", code=130, **given)
    assert (
        "interrupted: the files hold the finished runs alone" in capsys.readouterr().err
    )
    assert len(runs) == 4
    assert summary["complete"] is False
    assert "Interrupted" in (tmp_path / "report.html").read_text("utf-8")


def test_an_error_writes_what_finished(
    circles, study, trained, tmp_path, monkeypatch, capsys
):
    def breaks(*args):
        error = OSError("the device is gone")
        error.result = unfinished(trained[0].where("none"))
        raise error

    monkeypatch.setattr(study, "train", breaks)
    with pytest.raises(OSError, match="the device is gone"):
        circles.main([*TOY, "--no-plots", "--out", str(tmp_path)])
    assert len(pd.read_csv(tmp_path / "runs.csv")) == 3
    assert summary_of(tmp_path)["complete"] is False


def diverged(result):
    metrics = [name for name in result.runs if name.endswith(("accuracy", "loss"))]
    lost = dict.fromkeys(metrics, np.nan) | {"finite": False}
    return dataclasses.replace(
        result,
        runs=result.runs.assign(**lost),
        curves={n: np.full_like(c, np.nan) for n, c in result.curves.items()},
    )


@pytest.mark.slow
def test_all_runs_diverge(circles, study, trained, tmp_path, capsys, monkeypatch):
    result = diverged(trained[0].where(["none", "both"]))
    monkeypatch.setattr(study, "train", lambda *args: result)
    assert circles.main([*TOY, "--report", "--out", str(tmp_path)]) == 0
    assert "both 0.1: 3 diverged runs are left out" in capsys.readouterr().out
    assert not pd.read_csv(tmp_path / "runs.csv")["finite"].any()
    rows = summary_of(tmp_path)["rows"]
    assert [row["n"] for row in rows] == [0, 0]
    assert rows[1]["difference"]["mean"] is None
    assert (tmp_path / "loss.png").exists()
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "6 runs diverged: means and intervals hold for runs that do not" in page
    assert "nan" not in page.lower().replace("finance", "")


def test_help_tells_every_default_once(circles, capsys):
    with pytest.raises(SystemExit) as stop:
        circles.main(["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "strength on the inputs for both (default: 0.01) --hidden-units" in text
    assert "passes through the train set (default: 4000) --batch-size" in text
    assert "None)" not in text


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--placement", "pool"], "invalid choice"),
        (["--placement", "input", "pool"], "invalid choice"),
        (["--placement", "input", "input"], "--placement: placements must differ"),
        (["--placement", "all", "input"], "--placement: all has no other placement"),
        (
            ["--placement", "labels", "--stddev", "1.5"],
            "of labels is a rate, at most 1",
        ),
        (["--stddev", "0.1", "2"], "of labels is a rate, at most 1"),
        (["--stddev", "-0.1"], "--stddev: must be a finite number of at least 0"),
        (
            ["--stddev", "nan"],
            "--stddev: must be a finite number of at least 0, got nan",
        ),
        (["--stddev", "inf"], "--stddev: must be a finite"),
        (["--stddev", "a"], "--stddev: must be a finite number of at least 0, got a"),
        (["--stddev"], "--stddev: expected at least one argument"),
        (["--stddev", "0.1", "0.1"], "--stddev: strengths must differ"),
        (["--placement", "none", "--stddev", "0.1"], "--stddev: placement none has no"),
        (
            ["--placement", "hidden", "--input-stddev", "0.1"],
            "--input-stddev: goes with placement both or all",
        ),
        (["--input-stddev", "-1"], "--input-stddev: must be a finite"),
        (["--seeds", "0"], "--seeds: must be an int of at least 1, got 0"),
        (["--seeds", "1.5"], "--seeds: must be an int of at least 1, got 1.5"),
        (["--seed", "-1"], "--seed: must be an int from 0 to 2**32 - 1, got -1"),
        (["--seed", "4294967295", "--seeds", "2"], "--seed: the last seed would be"),
        (["--epochs", "0"], "--epochs: must be an int of at least 1, got 0"),
        (["--batch-size", "0"], "--batch-size: must be an int of at least 1"),
        (["--hidden-units", "-5"], "--hidden-units: must be an int of at least 1"),
        (["--learning-rate", "0"], "--learning-rate: must be a finite number above 0"),
        (["--train-size", "100"], "--train-size: must be less than --samples (100)"),
        (["--train-size", "0"], "--train-size: must be an int of at least 1"),
        (["--samples", "30"], "--train-size: must be less than --samples (30), got 30"),
        (["--data-noise", "-1"], "--data-noise: must be a finite number"),
        (["--data-seed", "-1"], "--data-seed: must be an int from 0"),
        (["--data-seed", "4294967296"], "--data-seed: must be an int from 0 to 2**32"),
        (["--population-seed", "x"], "--population-seed: must be an int from 0"),
        (["--epochs", "9" * 20], "--epochs: must be less than 2**31, got 9999"),
        (["--samples", "9" * 20], "--samples: must be less than 2**31, got 9999"),
        (["--hidden-units", "9" * 20], "--hidden-units: must be less than 2**31"),
        (["--hidden-units", "5", "0"], "--hidden-units: must be an int of at least 1"),
        (["--hidden-units"], "--hidden-units: expected at least one argument"),
        (["--activation", "nonsense"], "--activation: invalid choice: 'nonsense'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
    ids=" ".join,
)
def test_bad_options(circles, options, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(jn, "sweep", None)  # nothing may train
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        circles.main(options)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("circles.py: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.bad_input
def test_data_too_big_for_memory(circles, capsys, monkeypatch):
    memory = SimpleNamespace(available=19 * 2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(SystemExit) as stop:
        circles.main(["--samples", "2147483647"])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.strip() == (
        "circles.py: error: the data cannot be made: circles: 2,147,503,647 rows take "
        "about 160 GiB, but 19 GiB of memory are free; ask for fewer rows."
    )
    assert err.count("\n") == 1


@pytest.mark.bad_input
def test_out_that_cannot_be_written(circles, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(jn, "sweep", None)
    file = tmp_path / "file"
    file.touch()
    for out in (file, file / "below"):
        with pytest.raises(SystemExit) as stop:
            circles.main(["--out", str(out)])
        assert stop.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith("circles.py: error: argument --out: cannot write to")
        assert err.count("\n") == 1
