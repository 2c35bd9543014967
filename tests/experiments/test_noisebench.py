"""The verdict on many data sets: its terms, its measures, and what its page says."""

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
    return lambda name: experiment("_noisebench." + name)


@pytest.fixture(scope="module")
def toy(script):
    """The options of a quick run in a folder."""
    return lambda out, *more: script.parse(["--quick", "--out", str(out), *more])


# Equal terms


def test_every_method_has_eight_candidates(script):
    """The network without any is one of those of ours."""
    for name, ways in script.candidates(list(script.TRAINED)).items():
        if not name.startswith("any "):
            assert len(set(map(str, ways))) == 7, name
            assert script.Candidate(script.NONE) not in ways
    assert all(len(grid) == 8 for grid in script.OTHERS.values())
    trained = [place for program in script.PROGRAMS for place in program]
    of_rates = {script.LEARNING_RATE, *script.OF_RATES, "none"}
    assert {*trained} - of_rates == {*script.TRAINED} - of_rates
    noises, rivals = (len(script.PLAN[name]) for name in ("noises", "rivals"))
    assert noises == rivals  # so that the best of each is of as many


def test_what_is_frozen(script):
    """The network is that of the estimator, with its defaults."""
    net, plan = jn.NoisyMLPClassifier(), script.PLAN["protocol"]
    assert net.hidden_layer_sizes == (plan["units"],)
    assert net.learning_rate_init == plan["learning_rate"]
    assert (net.max_epochs, net.alpha) == (plan["epochs"], plan["weight_decay"])
    x, y = np.random.default_rng(0).normal(size=(2, 40, 3))
    theirs = net.set_params(max_epochs=1, learning_rate_init=1e-9).fit(x, y[:, 0] > 0)
    kernel = theirs.variables_[0]["params"]["hidden_0"]["kernel"]
    ours = script.recipe_of(2, plan, {}).model.init(jax.random.key(0), x)
    spread = np.std(ours["params"]["hidden_0"]["kernel"])
    np.testing.assert_allclose(spread, np.std(kernel), rtol=5 / np.sqrt(300))


def test_divisions(script):
    """Standardised columns, a third that chooses, and test rows that stay."""
    plan = script.PLAN["protocol"]
    first, *_ = found = script.divisions("digits", 50, plan)
    assert len(found) == plan["divisions"]
    sizes = {name: len(y) for name, (_, y) in first.items()}
    assert sizes == {"train": 34, "test": 899, "validation": 16}
    x = first.train[0]
    used = x.std(0) > 0
    np.testing.assert_allclose(x.mean(0)[used], 0, atol=1e-5)
    np.testing.assert_allclose(x.std(0)[used], 1, atol=1e-5)
    larger = script.divisions("digits", 150, plan)[0]
    np.testing.assert_array_equal(first.test[1], larger.test[1])
    assert len(script.divisions("twonorm", 50, plan)[0].test[1]) == 1000
    with pytest.raises(ValueError, match="train_size"):
        script.divisions("iris", 150, plan)


def test_rows_that_judge_are_drawn(script):
    """Of magic, which is stored by class, and has more of them than are taken."""
    labels = script.divisions("magic", 50, script.PLAN["protocol"])[0].test[1]
    assert abs(labels.mean() - 6688 / 19020) < 5 * 0.5 / np.sqrt(1000)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iris", "engel"])
def test_parts_at_nothing_do_nothing(script, toy, tmp_path, name, monkeypatch):
    """Whatever shares their program: each is trained as if it were alone."""
    options = toy(tmp_path)
    classes = int(jn.data.tables().set_index("name")["classes"][name])
    left_out = {*script.OF_RATES, *script.PLAN["both"]}
    left_out |= set() if classes else {*script.OF_CLASSES}
    asked = [method for method in script.TRAINED if method not in left_out]
    none = {m: [script.NOTHING.get(m, 0.0)] for m in asked}
    monkeypatch.setattr(script, "TRAINED", none)
    data = script.divisions(name, 50, options.protocol)
    result, _ = script.runs_of(name, 50, classes, asked, data, options)
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
def test_others_are_what_scikit_learn_says(script, part, name):
    """The first candidate of each, on the first division, by its own score."""
    from sklearn.ensemble import HistGradientBoostingClassifier as Boosting
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.svm import SVC, SVR

    classes = int(jn.data.tables().set_index("name")["classes"][name])
    data = script.divisions(name, 50, script.PLAN["protocol"])[:1]
    grids = {n: g for n, g in script.OTHERS.items() if classes or n != "MLPClassifier"}
    found, seconds = part("others").tuned(grids, classes, data)
    (x, y), (test_x, test_y) = data[0].train, data[0].test
    gamma = 1 / (x.shape[1] * x.var())
    leaves = {"min_samples_leaf": 5, "max_iter": 10, "early_stopping": False}
    own = {
        "linear model": LogisticRegression(C=0.001) if classes else Ridge(alpha=1000),
        "gradient boosting": (Boosting if classes else HistGradientBoostingRegressor)(
            **leaves, random_state=0
        ),
        "RBF machine": (SVC if classes else SVR)(C=0.1, gamma=gamma),
    }
    for method, model in own.items():
        score = model.fit(x, np.ravel(y)).score(test_x, np.ravel(test_y))
        sides = found[method]("score")
        assert sides.shape == (2, 8, 1)
        np.testing.assert_allclose(sides[1, 0, 0], score, rtol=1e-4, err_msg=method)
    assert set(seconds) == set(found)
    if classes:
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


def made_up(script, gains, sets=("iris", "wine", "heart", "wdbc"), size=150):
    """Scores in which methods gain so much on every set, with a spread of 0.02."""
    generator, rows = np.random.default_rng(0), []
    for name in sets:
        plain = generator.normal(0.8, 0.02, 20)
        for method, gain in {script.TUNED: 0.0, **gains}.items():
            scores = plain + gain + generator.normal(0, 0.02, 20) * (gain != 0)
            columns = {"set": name, "size": size, "method": method}
            columns |= {"split": range(20), "score": scores, "loss": 1 - scores}
            rows.append(pd.DataFrame(columns).assign(seconds=0.5))
    return pd.concat(rows, ignore_index=True)


@pytest.fixture
def page(script, part, tmp_path):
    """The page of some scores."""
    about = part("page").Page(
        script.PLAN["noises"], script.PLAN["rivals"], script.TUNED, script.CHECK
    )

    def make(scores):
        assert part("page").write(scores, about, tmp_path, "noisebench") == ""
        return (tmp_path / "noisebench.md").read_text("utf-8")

    return make


def test_what_the_page_says(script, page, tmp_path):
    """Of a noise that gains on all sets, and one that loses."""
    text = page(made_up(script, {"hidden": 0.04, "input": -0.03}))
    assert "of all methods hidden does most for the score" in text
    assert "does better than by tuning alone on 4 of 4." in text
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


def test_the_check_from_outside(script, page):
    """Within one standard error is fine, and so is what is better."""
    gains = {"hidden": 0.01, "MLPClassifier": -0.02}
    scores = made_up(script, gains, ("german", "pima"))
    worse = made_up(script, gains | {"MLPClassifier": 0.1}, ("segment",))
    text = page(pd.concat([scores, worse], ignore_index=True))
    assert "within one standard error or better on 2 of 3 sets" in text
    assert "| MLPClassifier |" not in text.split("Is the network")[0]


@pytest.mark.slow
def test_quick_run(script, toy, tmp_path, capsys, monkeypatch):
    """It goes on where it stopped, and its page is made of its file alone."""
    command = ["--quick", "--out", str(tmp_path)]
    assert script.main(command) == 0
    scores = pd.read_parquet(tmp_path / "noisebench.parquet")
    assert set(scores["set"]) == {"iris", "engel"}
    methods = {"none", "hidden", "any noise", "any rival", "linear model", script.TUNED}
    assert set(scores["method"]) == methods
    assert np.isfinite(scores[["score", "loss", "seconds"]]).all(axis=None)
    page = (tmp_path / "noisebench.md").read_text("utf-8")
    assert page in capsys.readouterr().out
    monkeypatch.setattr(script, "runs_of", None)  # nothing is trained again
    assert script.main([*command, "--executor", "1"]) == 0
    assert "scores are there" in capsys.readouterr().out
    (tmp_path / "noisebench.md").unlink()
    monkeypatch.setattr(script, "trained", None)
    assert script.main([*command, "--again"]) == 0
    assert (tmp_path / "noisebench.md").read_text("utf-8") == page


def test_sets_that_are_too_small_are_told(script, toy, tmp_path):
    options = toy(tmp_path)
    told, found = script.scores_of("iris", 150, options)
    assert (told, len(found)) == ("too few rows", 0)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sets", "irises"], "argument --sets: invalid choice: 'irises'"),
        (["--methods", "nois"], "argument --methods: invalid choice: 'nois'"),
        (["--train-size", "2"], "argument --train-size: must be an int of at least 6"),
        (["--again"], "argument --again: no scores are in"),
    ],
)
def test_bad_options(script, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        script.parse([*arguments, "--out", str(tmp_path)])
    assert message in capsys.readouterr().err
