"""The verdict on many data sets: its terms, its measures, and what its page says."""

import importlib
import re

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

import jaxnoise as jn


@pytest.fixture(scope="module")
def script(experiment):
    return experiment("noisebench")


@pytest.fixture(scope="module")
def part(experiment, script):
    return lambda name: importlib.import_module("_noisebench." + name)


@pytest.fixture(scope="module")
def plan(part):
    return part("plan")


@pytest.fixture(scope="module")
def protocol(plan):
    return plan.PLAN["protocol"]


@pytest.fixture(scope="module")
def divisions(part, protocol):
    """Those of a set, by its name and number of labelled rows."""
    return lambda name, size: part("sets").divisions(name, size, protocol)


@pytest.fixture(scope="module")
def classes():
    """Of a set."""
    return jn.data.tables().set_index("name")["classes"].astype(int)


@pytest.fixture(scope="module")
def toy(script):
    """The options of a quick run in a folder."""
    return lambda out, *more: script.parse(["--quick", "--out", str(out), *more])


# Equal terms


def test_every_method_has_eight_candidates(plan):
    """The network without any is one of those of ours."""
    for name, ways in plan.candidates(list(plan.TRAINED)).items():
        if not name.startswith("any "):
            assert len(set(map(str, ways))) == 7, name
            assert plan.Candidate(plan.NONE) not in ways
    assert all(len(grid) == 8 for grid in plan.OTHERS.values())
    trained = [place for program in plan.PROGRAMS for place in program]
    of_rates = {plan.RATE, *plan.OF_RATES, "none"}
    assert {*trained} - of_rates == {*plan.TRAINED} - of_rates
    noises, rivals = (len(plan.PLAN[name]) for name in ("noises", "rivals"))
    assert noises == rivals  # so that the best of each is of as many


def test_what_is_frozen(part, protocol):
    """The network is that of the estimator, with its defaults."""
    net = jn.NoisyMLPClassifier()
    assert net.hidden_layer_sizes == (protocol["units"],)
    assert net.learning_rate_init == protocol["learning_rate"]
    defaults = net.max_epochs, net.alpha
    assert defaults == (protocol["epochs"], protocol["weight_decay"])
    x, y = np.random.default_rng(0).normal(size=(2, 40, 3))
    theirs = net.set_params(max_epochs=1, learning_rate_init=1e-9).fit(x, y[:, 0] > 0)
    made = part("network").recipe_of(2, protocol, {})
    ours = made.model.init(jax.random.key(0), x)
    own, other = (
        np.std(each["params"]["hidden_0"]["kernel"])
        for each in (ours, theirs.variables_[0])
    )
    np.testing.assert_allclose(own, other, rtol=5 / np.sqrt(300))


def test_divisions(divisions, protocol):
    """Standardised columns, a third that chooses, and test rows that stay."""
    first, *_ = found = divisions("digits", 50)
    assert len(found) == protocol["divisions"]
    sizes = {name: len(y) for name, (_, y) in first.items()}
    assert sizes == {"train": 34, "test": 899, "validation": 16}
    x = first.train[0]
    used = x.std(0) > 0.99
    assert used.sum() > 30
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(0)[used], 1, atol=1e-5)
    assert x.std(0).max() < 1 + 1e-5
    larger = divisions("digits", 150)[0]
    np.testing.assert_array_equal(first.test[1], larger.test[1])
    with pytest.raises(ValueError, match="train_size"):
        divisions("iris", 150)


def test_rows_that_judge_are_drawn(divisions):
    """Of magic, which is stored by class, and has more of them than are taken."""
    labels = divisions("magic", 50)[0].test[1]
    assert len(labels) == 1000
    assert abs(labels.mean() - 6688 / 19020) < 5 * 0.5 / np.sqrt(1000)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iris", "engel"])
def test_parts_at_nothing_do_nothing(
    part, plan, divisions, toy, classes, name, tmp_path, monkeypatch
):
    """Whatever shares their program: each is trained as if it were alone."""
    left_out = {*plan.OF_RATES, *plan.PLAN["both"]}
    left_out |= set() if classes[name] else {*plan.OF_CLASSES}
    asked = [method for method in plan.TRAINED if method not in left_out]
    none = {m: [plan.NOTHING.get(m, 0.0)] for m in asked}
    monkeypatch.setattr(plan, "TRAINED", none)
    runs_of = part("scores").runs_of
    data, options = divisions(name, 50), toy(tmp_path)
    result, _ = runs_of(name, 50, int(classes[name]), asked, data, options)
    losses = result.runs.pivot(index="placement", columns="split", values="test_loss")
    assert set(losses.index) == {"none", *asked}
    for method in asked:
        np.testing.assert_allclose(losses.loc[method], losses.loc["none"], rtol=1e-4)


# Measures


@pytest.mark.parametrize("classes", [2, 4])
def test_measures_are_those_of_scikit_learn(part, classes):
    generator, functions = np.random.default_rng(0), part("network").metrics_of(classes)
    z = generator.normal(size=(90, classes if classes > 2 else 1)).astype(np.float32)
    labels = generator.choice(
        classes, 90, p=[0.7, *[0.3 / (classes - 1)] * (classes - 1)]
    )
    y = labels[:, None].astype(np.float32) if classes == 2 else labels.astype(np.int32)
    said = (z[:, 0] > 0).astype(int) if classes == 2 else z.argmax(1)
    found = {name: float(f(z, y).mean()) for name, f in functions.items()}
    expected = metrics.balanced_accuracy_score(labels, said)
    np.testing.assert_allclose(found["balanced_accuracy"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["score"], metrics.accuracy_score(labels, said))
    error = jn.metrics.expected_calibration_error(z, y)
    np.testing.assert_allclose(found["calibration_error"], error, rtol=1e-5)
    assert set(found) | {"loss"} == set(part("network").measures_of(classes))


def test_score_of_numbers_is_the_share_explained(part):
    generator = np.random.default_rng(0)
    z, y = generator.normal(size=(2, 50, 1)).astype(np.float32)
    found = float(part("network").share_explained(z, y).mean())
    np.testing.assert_allclose(found, metrics.r2_score(y, z), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iris", "engel", "wdbc"])
def test_others_are_what_scikit_learn_says(part, plan, divisions, classes, name):
    """The first candidate of each, on the first division, by its own score."""
    from sklearn.ensemble import HistGradientBoostingClassifier as Boosting
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.svm import SVC, SVR

    several, data = int(classes[name]), divisions(name, 50)[:1]
    grids = {n: g for n, g in plan.OTHERS.items() if several or n != "MLPClassifier"}
    found, seconds = part("others").tuned(grids, several, data)
    (x, y), (test_x, test_y) = data[0].train, data[0].test
    gamma = 1 / (x.shape[1] * x.var())
    leaves = {"min_samples_leaf": 3, "max_iter": 5, "early_stopping": False}
    own = {
        "linear model": LogisticRegression(C=0.001) if several else Ridge(alpha=1000),
        "gradient boosting": (Boosting if several else HistGradientBoostingRegressor)(
            **leaves, random_state=0
        ),
        "RBF machine": (SVC if several else SVR)(C=0.1, gamma=gamma),
    }
    for method, model in own.items():
        score = model.fit(x, np.ravel(y)).score(test_x, np.ravel(test_y))
        sides = found[method]("score")
        assert sides.shape == (2, 8, 1)
        np.testing.assert_allclose(sides[1, 0, 0], score, rtol=1e-4, err_msg=method)
    assert set(seconds) == set(found)
    if several:
        assert np.isnan(found["RBF machine"]("brier")).all()
        assert np.isfinite(found["gradient boosting"]("brier")).all()


def test_properties(part):
    """Of sets of which something is known: twonorm's classes are even and apart."""
    found = part("properties").properties(["twonorm", "titanic", "magic"], 150)
    assert found.loc["twonorm", "rows per column"] == 7.5
    assert 1.0 <= found.loc["twonorm", "skew"] < 1.01
    assert found.loc["twonorm", "class overlap"] < 0.1
    assert found.loc["titanic", "skew"] > 1.3  # two thirds are of one class
    assert 0.1 < found.loc["magic", "noise level"] < 0.4  # which is stored by class


# The page


def made_up(plan, gains, sets=("iris", "wine", "heart", "wdbc"), size=150):
    """Scores in which methods gain so much on every set, with a spread of 0.02."""
    generator, rows = np.random.default_rng(0), []
    for name in sets:
        plain = generator.normal(0.8, 0.02, 20)
        for method, gain in {plan.TUNED: 0.0, **gains}.items():
            scores = plain + gain + generator.normal(0, 0.02, 20) * (gain != 0)
            columns = {"set": name, "size": size, "method": method}
            columns |= {"split": range(20), "score": scores, "loss": 1 - scores}
            rows.append(pd.DataFrame(columns).assign(seconds=0.5))
    return pd.concat(rows, ignore_index=True)


@pytest.fixture
def page(part, plan, tmp_path):
    """The page of some scores."""
    about = part("page").Page(plan.PLAN["noises"], plan.TUNED, plan.CHECK)

    def make(scores):
        assert part("page").write(scores, about, tmp_path, "noisebench") == ""
        return (tmp_path / "noisebench.md").read_text("utf-8")

    return make


def test_what_the_page_says(plan, page, tmp_path):
    """Of a noise that gains on all sets, and one that loses."""
    text = page(made_up(plan, {"hidden": 0.04, "input": -0.03}))
    assert "of 2 noises hidden does most for the score beside tuning alone" in text
    assert "better in the mean on 4 sets, worse on 0 and equal on 0; after Holm" in text
    assert "better on 4 and worse on 0." in text
    assert "take hidden, which of the methods that every set can have" in text
    assert "better than by tuning alone on 4 of 4, and worse on 0." in text
    cells = {
        name: [cell.strip() for cell in line.split("|")]
        for name, line in re.findall(r"^\| (hidden|input) \| (4 .*) \|$", text, re.M)
    }
    of_hidden, of_input = (cells[name] for name in ("hidden", "input"))
    assert (of_hidden[4], of_input[4]) == ("4 / 0", "0 / 4")
    assert (of_hidden[5], of_input[5]) == ("4 / 0 / 0", "0 / 4 / 0")
    assert 3 < float(of_hidden[3]) < 5
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == [f"noisebench-{kind}.png" for kind in ("map", "ranks", "sets")]


def test_the_check_from_outside(plan, page):
    """Within one standard error is fine, and so is what is better."""
    gains = {"hidden": 0.01, "MLPClassifier": -0.02}
    scores = made_up(plan, gains, ("german", "pima"))
    worse = made_up(plan, gains | {"MLPClassifier": 0.1}, ("segment",))
    text = page(pd.concat([scores, worse], ignore_index=True))
    assert "within one standard error or better on 2 of 3 sets" in text
    assert "| MLPClassifier |" not in text.split("Is the network")[0]


@pytest.mark.slow
def test_quick_run(script, plan, part, tmp_path, capsys, monkeypatch):
    """It goes on where it stopped, and its page is made of its file alone."""
    command = ["--quick", "--out", str(tmp_path)]
    assert script.main(command) == 0
    scores = pd.read_parquet(tmp_path / "noisebench.parquet")
    assert set(scores["set"]) == {"iris", "engel"}
    methods = {"none", "hidden", "any noise", "any rival", "linear model", plan.TUNED}
    assert set(scores["method"]) == methods
    assert np.isfinite(scores[["score", "loss"]]).all(axis=None)
    timed = scores[~scores["method"].isin(["any noise", "any rival"])]
    assert np.isfinite(timed["seconds"]).all()
    page = (tmp_path / "noisebench.md").read_text("utf-8")
    assert page in capsys.readouterr().out
    monkeypatch.setattr(part("scores"), "runs_of", None)  # nothing is trained again
    assert script.main([*command, "--executor", "1"]) == 0
    assert "scores are there" in capsys.readouterr().out
    (tmp_path / "noisebench.md").unlink()
    monkeypatch.setattr(script, "trained", None)
    assert script.main([*command, "--again"]) == 0
    assert (tmp_path / "noisebench.md").read_text("utf-8") == page


def test_sets_that_are_too_small_are_told(part, toy, tmp_path):
    told, found = part("scores").scores_of("iris", 150, toy(tmp_path))
    assert (told, len(found)) == ("too few rows", 0)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sets", "irises"], "argument --sets: invalid choice: 'irises'"),
        (["--methods", "nois"], "argument --methods: invalid choice: 'nois'"),
        (["--train-size", "2"], "argument --train-size: must be an int from 6 to 3072"),
        (["--again"], "argument --again: no scores are in"),
    ],
)
def test_bad_options(script, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        script.parse([*arguments, "--out", str(tmp_path)])
    assert message in capsys.readouterr().err
