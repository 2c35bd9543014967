"""The main experiment at toy size: options, files, numbers, pictures."""

import dataclasses
import importlib.util
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import optax
import pandas as pd
import psutil
import pytest

import jaxnoise as jn

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TOY = ["--epochs", "20", "--seeds", "3", "--hidden-units", "16"]


@pytest.fixture(scope="module")
def circles():
    sys.path.insert(0, str(EXPERIMENTS))
    try:
        spec = importlib.util.spec_from_file_location(
            "circles", EXPERIMENTS / "circles.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(EXPERIMENTS))


@pytest.fixture(scope="module")
def everything(circles, tmp_path_factory):
    """The default, all placements, with pictures and report: the folder."""
    out = tmp_path_factory.mktemp("all")
    assert circles.main([*TOY, "--report", "--out", str(out)]) == 0
    return out


def toy(circles, out, *options):
    assert circles.main([*TOY, "--no-plots", "--out", str(out), *options]) == 0
    return pd.read_csv(out / "runs.csv"), json.loads((out / "summary.json").read_text())


def test_runs(everything):
    runs = pd.read_csv(everything / "runs.csv")
    assert list(runs) == [
        "placement",
        "strength",
        "seed",
        "train_accuracy",
        "train_loss",
        "test_accuracy",
        "test_loss",
        "population_accuracy",
        "population_loss",
        "finite",
    ]
    cells = runs[["placement", "strength"]].drop_duplicates().values.tolist()
    assert cells == [
        ["none", 0.0],
        ["input", 0.01],
        ["hidden", 0.1],
        ["activation", 0.1],
        ["both", 0.1],
        ["weights", 0.03],
        ["gradients", 0.01],
        ["labels", 0.1],
    ]
    assert runs["seed"].tolist() == [0, 1, 2] * 8
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
            "test_loss",
            "train_accuracy",
            "train_loss",
        ]
        assert curves["placement"].tolist() == runs["placement"].unique().tolist()
        strengths = [0, 0.01, 0.1, 0.1, 0.1, 0.03, 0.01, 0.1]
        np.testing.assert_allclose(curves["strength"], strengths)
        np.testing.assert_array_equal(curves["seed"], [0, 1, 2])
        np.testing.assert_array_equal(curves["epoch"], np.arange(1, 21))
        for name in ("train_accuracy", "train_loss", "test_accuracy", "test_loss"):
            assert curves[name].shape == (8, 3, 20)
            np.testing.assert_allclose(
                curves[name][..., -1].ravel(), runs[name], rtol=1e-6
            )


def test_summary(everything):
    runs = pd.read_csv(everything / "runs.csv")
    summary = json.loads((everything / "summary.json").read_text())
    assert summary["config"]["placement"] == "all"
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

    for name in ("scatter", "accuracy", "loss", "boundary"):
        image = imread(everything / f"{name}.png")
        assert min(image.shape[:2]) > 300
        assert image[..., :3].std() > 0.05  # not blank


def test_report(everything):
    page = (everything / "report.html").read_text("utf-8")
    assert "Does noise help on the two circles?" in page
    assert "of 7 comparisons with none in population accuracy" in page.lower()
    assert "best possible 0.841" in page
    assert "hidden_units" in page
    assert "input 0.01; hidden 0.1; activation 0.1; both 0.1; weights 0.03" in page
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
    assert circles.question(["none", *placements]).startswith(asked)


@pytest.mark.bad_input
def test_report_that_cannot_be_written(circles, tmp_path, capsys):
    """All else is written and printed before."""
    (tmp_path / "report.html").mkdir()
    with pytest.raises(SystemExit) as stop:
        toy(circles, tmp_path, "--placement", "input", "--report")
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: argument --report: path must be a file that can be")
    assert err.count("\n") == 1
    assert "best possible" in out
    assert (tmp_path / "summary.json").exists()


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("cp1252", "-0.1 ± 2 ?"), ("cp874", "-0.1 +/- 2 ?"), ("utf-8", "−0.1 ± 2 ✔")],
)
def test_signs_that_the_encoding_lacks(circles, monkeypatch, encoding, printed):
    """They end no program after its training, and numbers keep theirs."""
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    circles.common.Parser(prog="circles.py")
    print("−0.1 ± 2 ✔", end="", flush=True)
    assert out.getvalue().decode(encoding) == printed


def test_no_plots_and_same_numbers_again(circles, everything, tmp_path):
    toy(circles, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "curves.npz",
        "runs.csv",
        "summary.json",
    ]
    again = (tmp_path / "runs.csv").read_bytes()
    assert again == (everything / "runs.csv").read_bytes()


def test_table(circles, tmp_path, capsys):
    toy(circles, tmp_path, "--placement", "hidden", "--stddev", "0.1", "0.3")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert lines[0].split()[:4] == ["placement", "strength", "n", "train"]
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["none", "0", "3"],
        ["hidden", "0.1", "3"],
        ["hidden", "0.3", "3"],
    ]
    assert lines[1].count("±") == 3
    assert lines[2].count("[") == lines[2].count("]") == 1
    assert (
        "±: one standard deviation over seeds; population: 20,000 fresh points" in out
    )
    assert "(Bayes): 0.8406" in out
    assert "\ncaution: 3 units are few: below 10 intervals are a guide" in out
    assert "compiled in" in out
    assert "4 x cpu" in out
    assert "Train:" not in out


def test_one_seed_prints_the_tutorials_lines(circles, tmp_path, capsys):
    runs, summary = toy(circles, tmp_path, "--placement", "input", "--seeds", "1")
    out = capsys.readouterr().out
    for _, run in runs.iterrows():
        line = f"Train: {run.train_accuracy:.3f}, Test: {run.test_accuracy:.3f}"
        assert f"\n{run.placement}: {line}\n" in out
    row = summary["rows"][1]
    assert row["difference"]["low"] is None
    assert row["difference"]["high"] is None
    assert row["metrics"]["test_accuracy"]["sd"] is None
    assert "nan" not in out


def test_placements_share_their_baseline(circles, everything, tmp_path):
    everything = pd.read_csv(everything / "runs.csv")
    names = ("none", "hidden", "both", "weights", "gradients", "labels")
    for given in (*names, ["activation", "input"]):
        placements = [given] if isinstance(given, str) else given
        runs, summary = toy(circles, tmp_path, "--placement", *placements)
        assert summary["config"]["placement"] == given
        expected = everything[everything["placement"].isin(["none", *placements])]
        pd.testing.assert_frame_equal(runs, expected.reset_index(drop=True))


def test_strengths(circles, tmp_path):
    runs, summary = toy(
        circles, tmp_path, "--stddev", "0.5", "0", "--input-stddev", "0.02"
    )
    cells = runs[["placement", "strength"]].drop_duplicates().values.tolist()
    noisy = list(circles.DEFAULT_STRENGTH)
    assert cells == [["none", 0.0]] + [[p, s] for p in noisy for s in (0.5, 0.0)]
    assert summary["config"]["input_stddev"] == 0.02
    plain = runs[runs["placement"] == "none"]["population_loss"].to_numpy()
    for placement in ("hidden", "weights", "gradients", "labels"):
        silent = runs[(runs["placement"] == placement) & (runs["strength"] == 0)]
        np.testing.assert_allclose(silent["population_loss"], plain, rtol=1e-5)


def test_options_reach_the_runs(circles, tmp_path, capsys):
    """Every option changes what it should, against an engine run by hand."""
    runs, summary = toy(
        circles,
        tmp_path,
        *["--placement", "both", "--stddev", "0.4", "--input-stddev", "0.2"],
        *[
            "--seed",
            "7",
            "--seeds",
            "2",
            "--batch-size",
            "9",
            "--learning-rate",
            "0.01",
        ],
        *["--samples", "60", "--train-size", "20", "--data-noise", "0.2"],
        *["--data-seed", "5", "--population-seed", "6", "--hidden-units", "8"],
    )
    assert "; both: noise of 0.2 on the inputs, too\n" in capsys.readouterr().out
    assert runs["seed"].tolist() == [7, 8, 7, 8]
    data = jn.data.circles(60, 20, noise=0.2, seed=5, population_seed=6)

    def recipe(stddev):
        model = jn.MLP(
            (8,),
            1,
            input_noise=jn.GaussianNoise(0.2),
            hidden_noise=jn.GaussianNoise(stddev),
        )
        return jn.Recipe(
            model,
            jn.losses.binary_cross_entropy,
            optax.adam(0.01, eps=1e-7),
            {"accuracy": jn.metrics.binary_accuracy},
        )

    train = jax.jit(jn.make_train(recipe, epochs=20, batch_size=9))
    one = train(jax.random.key(8), 0.4, data)
    for name, value in one.metrics.items():
        np.testing.assert_allclose(runs[name].iloc[3], value, rtol=1e-5)
    best = jn.data.circles_bayes(0.2).accuracy
    assert summary["bayes"]["accuracy"] == best


def test_interrupt_writes_what_finished(circles, tmp_path, capsys, monkeypatch):
    sweep = jn.sweep

    def interrupted(*args, **arguments):
        def stop(done, total):
            if done >= 4:
                raise KeyboardInterrupt

        return sweep(*args, **arguments, progress=stop)

    monkeypatch.setattr(jn, "sweep", interrupted)
    assert circles.main([*TOY, "--report", "--out", str(tmp_path)]) == 130
    assert (
        "interrupted: the files hold the finished runs alone" in capsys.readouterr().err
    )
    runs = pd.read_csv(tmp_path / "runs.csv")
    assert 4 <= len(runs) < 15
    assert json.loads((tmp_path / "summary.json").read_text())["complete"] is False
    assert (tmp_path / "accuracy.png").exists()
    assert "Interrupted" in (tmp_path / "report.html").read_text("utf-8")


def test_an_error_writes_what_finished(circles, tmp_path, monkeypatch):
    train = circles.train

    def breaks(options, data):
        error = OSError("the device is gone")
        error.result = dataclasses.replace(train(options, data), complete=False)
        raise error

    monkeypatch.setattr(circles, "train", breaks)
    with pytest.raises(OSError, match="the device is gone"):
        circles.main(
            [*TOY, "--placement", "none", "--no-plots", "--out", str(tmp_path)]
        )
    assert len(pd.read_csv(tmp_path / "runs.csv")) == 3
    assert json.loads((tmp_path / "summary.json").read_text())["complete"] is False


def test_all_runs_diverge(circles, tmp_path, capsys):
    options = ["--placement", "hidden", "--learning-rate", "1e30", "--report"]
    assert circles.main([*TOY, "--out", str(tmp_path), *options]) == 0
    assert "hidden 0.1: 3 diverged runs are left out" in capsys.readouterr().out
    assert not pd.read_csv(tmp_path / "runs.csv")["finite"].any()
    rows = json.loads((tmp_path / "summary.json").read_text())["rows"]
    assert [row["n"] for row in rows] == [0, 0]
    assert rows[1]["difference"]["mean"] is None
    assert (tmp_path / "loss.png").exists()
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "6 runs diverged and are left out" in page
    assert "nan" not in page.lower().replace("finance", "")


def test_help_tells_every_default_once(circles, capsys):
    with pytest.raises(SystemExit) as stop:
        circles.main(["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "strength on the inputs for both (default: 0.01) --epochs" in text
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
        (["--population-seed", "x"], "--population-seed: must be an int from 0"),
        (["--epochs", "9" * 20], "--epochs: must be less than 2**31, got 9999"),
        (["--samples", "9" * 20], "--samples: must be less than 2**31, got 9999"),
        (["--hidden-units", "9" * 20], "--hidden-units: must be less than 2**31"),
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
