"""The tutorial's claims: runs, files and page at toy size; verdicts on made-up runs."""

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import jaxnoise as jn

ROOT = Path(__file__).parents[2]
MODULES = ("measures", "page", "plan", "rules")
VERDICTS = {"holds", "does not hold", "undecided"}
PLACEMENTS = ["input", "hidden", "activation", "weights", "gradients", "labels"]
RIVALS = ["learning rate", "weight decay", "dropout", "max-norm", "label smoothing"]


@pytest.fixture(scope="module")
def our(experiment):
    """The script, its parts, and what it shares with others."""
    names = {name: f"_claims.{name}" for name in MODULES}
    names |= {"claims": "claims", "recipes": "_recipes", "rivals": "_rivals"}
    return SimpleNamespace(**{name: experiment(path) for name, path in names.items()})


@pytest.fixture(scope="module")
def quick(our, tmp_path_factory):
    """A quick run with everything: its folder."""
    out = tmp_path_factory.mktemp("quick")
    assert our.claims.main(["--quick", "--report", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def summary(quick):
    return json.loads((quick / "summary.json").read_text("utf-8"))


# The runs


def test_what_is_trained(our, quick):
    """At toy size the first two studies, with few placements; full, what is told."""
    runs = pd.read_csv(quick / "runs.csv")
    planned, cost = our.plan.run_count(our.plan.Size(6, 6, toy=True))
    assert len(runs) == planned == cost == 3 * 6 + (1 + 5 + 4 + 4) * 6
    assert runs["finite"].all()
    tutorial = runs["study"] == "tutorial"
    assert (runs.loc[tutorial, "split"] == 0).all()
    assert (runs.loc[~tutorial, "seed"] == 0).all()
    assert runs.loc[~tutorial, "split"].nunique() == 6
    assert our.plan.run_count(our.plan.Size(200, 200)) == (13_300, 13_600)


def test_all_have_as_many_candidates(our):
    """The claims' table of methods offers four each, and one of them twice."""
    table = our.rivals.TABLE
    grids = [
        g
        for part in ("noises", "rivals", "untrained", "tables")
        for g in table[part].values()
    ]
    assert {len(grid) for grid in grids} == {4}
    assert len(our.rivals.decayed("hidden")["hidden + weight decay"]) == 4
    trained = our.rivals.noises(PLACEMENTS) | our.rivals.rivals()
    found = our.rivals.candidates("hidden", trained)
    assert len(found["any noise"]) == len(found["any rival"]) == 24
    draws = next(study for study in our.plan.STUDIES if study.name == "draws")
    assert len(draws.grids()["both"]) == 4


def test_the_data_of_each_study(our):
    data = {s.name: our.plan.data_of(s, 3) for s in our.plan.STUDIES}
    rows = {name: len(d["train"][0]) for name, d in data.items()}
    assert rows == dict.fromkeys(data, 30) | {"70 rows": 70}
    own = jn.data.circles(population=10)
    np.testing.assert_array_equal(data["tutorial"]["train"][0], own["train"][0])
    np.testing.assert_array_equal(data["tutorial"]["test"][0], own["test"][0])
    assert not np.isin(data["draws"]["train"][0], own["train"][0]).any()
    all_points = [
        np.concatenate([data[s][k][0] for k in ("train", "test")])
        for s in ("draws", "70 rows")
    ]
    np.testing.assert_array_equal(*all_points)
    other = our.plan.data_of(our.plan.STUDIES[1], 4)["population"][0]
    assert not np.isin(data["draws"]["population"][0], other).any()
    assert not np.isin(data["draws"]["population"][0], all_points[0]).any()
    scaled = data["standardised"]["train"][0]
    np.testing.assert_allclose(
        [scaled.mean(0), scaled.std(0)], [[0] * 2, [1] * 2], atol=1e-6
    )
    np.testing.assert_allclose(
        np.ptp(data["min-max"]["train"][0], axis=0), 1, rtol=1e-6
    )


@pytest.mark.slow
def test_every_program_of_the_full_size_traces(our):
    """A quick run has few of them; here each is traced as it will be compiled."""
    data = jn.data.circles(validation=5, population=10)
    seen = set()
    for study in our.plan.STUDIES:
        for name, grid in study.grids().items():
            if (name, study.by_seed) in seen:
                continue
            seen.add((name, study.by_seed))

            def build(strength, name=name, by_seed=study.by_seed):
                return our.plan.built(name, by_seed, strength)

            train = jn.make_train(build, epochs=1, batch_size=32)
            strength = jax.tree.map(jnp.float32, grid[0])
            shapes = jax.eval_shape(train, jax.random.key(0), strength, data)
            assert shapes.metrics["population_brier"].shape == ()
    assert len(seen) == 5 + 14 + 6 + 1


# The parts of a recipe


def test_splits_start_from_weights_of_their_own(our, key):
    """The same in every placement, and to the bit in whatever order rows stand."""
    x = np.float32(np.random.default_rng(0).normal(size=(30, 2)))

    def start(parts, x):
        made = our.recipes.own_start(our.recipes.recipe(parts))
        return made.model.init(key, x)["params"]["hidden_0"]["kernel"]

    first = start({}, x)
    for other in (start({"hidden": 0.1}, x), start({"dropout": 0.1}, x[::-1])):
        np.testing.assert_array_equal(first, other)
    assert not np.isin(start({}, x + 1), first).any()


@pytest.mark.parametrize("classes", [2, 3])
def test_labels_are_flipped_and_smoothed(our, classes, key):
    """Each at its rate: of smoothing 0 they are the flipped ones, bit for bit."""
    y = jax.random.randint(key, (50,), 0, classes)
    if classes == 2:
        y = y[:, None].astype(float)
    flipped = jn.flip_labels(key, y, 0.3, num_classes=classes)
    as_classes = partial(jax.nn.one_hot, num_classes=classes)
    likely = flipped if classes == 2 else as_classes(flipped)
    changed = partial(our.recipes.changed_labels, classes=classes, key=key, y=y)
    np.testing.assert_array_equal(changed(0.3, None), flipped)
    np.testing.assert_array_equal(changed(0.3, 0.0), likely)
    smooth = 0.8 * likely + 0.2 / classes
    np.testing.assert_allclose(changed(0.3, 0.2), smooth, rtol=1e-6)


def test_the_learning_rate_is_a_factor(our):
    params, grads = jnp.ones(3), jnp.arange(3.0)
    steps = []
    for parts in ({}, {"learning rate": 0.1}):
        optimizer = our.recipes.recipe(parts).optimizer
        update, _ = optimizer.update(grads, optimizer.init(params), params)
        steps.append(update)
    np.testing.assert_allclose(steps[1], 0.1 * steps[0], rtol=1e-6)


@pytest.mark.slow
def test_noise_left_on(our, key):
    """Many passes average to a probability; one differs; weights start the same."""
    x = np.float32(np.random.default_rng(0).normal(size=(40, 2)))
    clean = our.recipes.recipe({"hidden": 0.5}).model
    variables = clean.init(key, x, train=False)

    def p(model):
        return jax.nn.sigmoid(model.apply(variables, x, train=False, key=None)[0])

    one, many = (p(our.recipes.left_on({"hidden": 0.5}, n).model) for n in (1, 400))
    expected = jax.nn.sigmoid(clean.apply(variables, x, train=False))
    assert np.abs(one - expected).max() > 5 * np.abs(many - expected).mean()
    keys = jax.random.split(jax.random.key(0), 400)
    noisy = jax.vmap(
        lambda key: our.recipes.LeftOn(clean, 1).apply(
            variables, x, train=True, key=key
        )[0]
    )(keys)
    np.testing.assert_allclose(many, jax.nn.sigmoid(noisy).mean(0), rtol=1e-4)


def test_the_clean_backward_pass(our, key):
    """The network and the noise of `MLP`; other gradients; at strength 0 the same."""
    data = jn.data.circles(population=1)
    x, y = map(jnp.asarray, data["train"])

    def loss_and_grads(recipe, params):
        def loss(params):
            logits = recipe.model.apply(
                {"params": params}, x, train=True, rngs={"noise": key}
            )
            return recipe.loss(logits, y).mean()

        return jax.value_and_grad(loss)(params)

    for stddev in (0.5, 0.0):
        clean = our.recipes.clean_backward({"hidden": stddev, "weights": 0.0})
        plain = our.recipes.recipe({"hidden": stddev})
        assert clean.weight_gradient == "clean"
        params = plain.model.init(key, x, train=False)["params"]
        same = clean.model.init(key, x, train=False)["params"]
        jax.tree.map(np.testing.assert_array_equal, params, same)
        (a, grads), (b, other) = (loss_and_grads(r, params) for r in (plain, clean))
        np.testing.assert_allclose(a, b, rtol=1e-6)
        gap = np.abs(grads["output"]["kernel"] - other["output"]["kernel"]).max()
        assert (gap > 1e-3) == (stddev > 0)


# The files


def test_files(quick):
    assert sorted(path.name for path in quick.iterdir()) == [
        "claims.md",
        "claims.png",
        "claims_loss.png",
        "curves.png",
        "draws.sqlite",
        "report.html",
        "rivals.png",
        "rivals_loss.png",
        "runs.csv",
        "summary.json",
        "tutorial.sqlite",
    ]


def test_summary(summary, quick):
    assert summary["complete"] is True
    assert summary["runs"] == {"planned": 102, "cost": 102}
    assert summary["config"]["quick"] is True
    np.testing.assert_allclose(summary["scale"], 1 / 70)
    np.testing.assert_allclose(summary["bayes"]["accuracy"], 0.8406, atol=1e-4)
    for claim in summary["claims"]:
        assert claim["verdict"] in VERDICTS
        assert claim["on"] in ("this data set", "fresh draws")
        assert any(m["claimed"] for m in claim["measures"])
    lift = next(c for c in summary["claims"] if "markedly" in c["says"])
    runs = pd.read_csv(quick / "runs.csv")
    ours = runs[runs["study"] == "tutorial"].pivot(
        index="seed", columns="placement", values="test_accuracy"
    )
    d = ours["hidden"] - ours["none"]
    half = stats.t.ppf(0.975, 5) * d.std() / np.sqrt(6)
    found = lift["measures"][0]
    assert lift["n"] == found["n"] == 6
    np.testing.assert_allclose(
        [found["mean"], found["low"], found["high"]],
        [d.mean(), d.mean() - half, d.mean() + half],
        atol=1e-7,
    )


def test_no_claim_asks_for_more_than_the_best_rule_reaches(our, summary):
    """Of an accuracy on the population at most Bayes'; test points have luck."""
    for claim in summary["claims"]:
        for each in claim["measures"]:
            if each["claimed"] and each["what"] == "population accuracy":
                assert (each["claimed"][0] or 0) < summary["bayes"]["accuracy"]
    named = [c for c in summary["claims"] if "test accuracy" in c["says"]]
    deciding = [next(m["what"] for m in c["measures"] if m["claimed"]) for c in named]
    assert named
    assert all("test accuracy" in what for what in deciding)


def test_the_page(our, quick, summary):
    page = (quick / "claims.md").read_text("utf-8")
    for claim in summary["claims"]:
        row = f"| {claim['says']} | {claim['by']} | {claim['on']} | {claim['n']} |"
        line = next(line for line in page.splitlines() if line.startswith(row))
        assert line.endswith(f"| **{claim['verdict']}** |")
        assert line.count("|") == 7
    assert "- **undecided**: all else, and what has fewer than 6 units or lost" in page
    assert "6 seeds on the tutorial's points, 6 of 200 planned draws" in page
    assert f"frozen in commit {our.page.FROZEN}" in page
    assert page.index("(claims.png)") < page.index("| claim |")
    methods = page.split("## Noise and its rivals")[1].split("## ")[0]
    for name in ("none", "input", "dropout", "epochs", "early stopping", "any rival"):
        assert f"\n| {name} | " in methods
    for metric in ("accuracy", "loss", "brier"):
        assert f"| population {metric} |" in methods


def test_again_says_the_same(our, quick, summary, tmp_path, capsys, monkeypatch):
    """From the stores alone, and into a README; nothing is trained."""
    monkeypatch.setattr(jn, "sweep", None)
    for name in ("tutorial.sqlite", "draws.sqlite"):
        (tmp_path / name).write_bytes((quick / name).read_bytes())
    readme = tmp_path / "README.md"
    start, end = "<!-- claims -->", "<!-- end of claims -->"
    readme.write_text(f"before\n{start}\nstale\n{end}\nafter\n")
    options = ["--quick", "--again", "--no-plots", "--out", str(tmp_path)]
    assert our.claims.main([*options, "--into", str(readme)]) == 0
    page = (quick / "claims.md").read_text("utf-8")
    assert (tmp_path / "claims.md").read_text("utf-8") == page
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["claim", "on", "n"]
    for claim, line in zip(summary["claims"], lines[1:], strict=False):
        assert line.startswith(claim["says"])
        assert line.endswith(claim["verdict"])
    once = readme.read_text("utf-8")
    assert once.startswith(f"before\n{start}\n")
    assert once.endswith(f"{end}\nafter\n")
    assert "stale" not in once
    assert "\n| the tutorial says | on its points | on fresh draws |\n" in once
    assert "</details>" in once


def test_interrupt(our, tmp_path, capsys, monkeypatch):
    """What has finished is kept, and nothing is judged."""

    def interrupted(*args, **arguments):
        made = (pd.DataFrame({"split": []}), {}, np.arange(0), (), False)
        return jn.SweepResult(*made, 0.0, 0.0, "made up")

    monkeypatch.setattr(jn, "sweep", interrupted)
    assert our.claims.main(["--quick", "--out", str(tmp_path)]) == 130
    assert "interrupted; the same command goes on" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# The rule


def spread(mean, sd, n=30):
    """n values with exactly this mean and standard deviation."""
    values = stats.norm.ppf((np.arange(n) + 0.5) / n)
    values -= values.mean()
    return mean + sd * values / values.std(ddof=1)


def verdict(our, *measures):
    (claim,) = our.rules.judge([our.rules.Claim("a", "us", "fresh draws", measures)])
    return claim.verdict


def test_each_verdict_is_reached(our):
    r = our.rules
    measure = r.measure
    above, below = (
        lambda at, word=word: r.range_of(f"{word} {at}") for word in ("above", "below")
    )
    up, level, down = (spread(mean, 0.02) for mean in (0.05, 0.0, -0.05))
    assert verdict(our, measure("", up, above(0))) == "holds"
    assert verdict(our, measure("", down, above(0))) == "does not hold"
    assert verdict(our, measure("", level, above(0))) == "undecided"
    assert verdict(our, measure("", down, below(0))) == "holds"
    assert verdict(our, measure("", up, below(0.03))) == "does not hold"
    assert verdict(our, measure("", level, r.range_of("little"))) == "holds"
    assert verdict(our, measure("", up, r.range_of("little"))) == "does not hold"
    assert (
        verdict(our, measure("", spread(0.01, 0.02), r.range_of("little")))
        == "undecided"
    )
    assert (
        verdict(our, measure("", spread(0.05, 0.5), r.range_of("little")))
        == "undecided"
    )


def test_all_numbers_of_a_claim_must_agree(our):
    r = our.rules
    good = r.measure("", spread(0.05, 0.02), r.range_of("above 0"))
    bad = r.measure("", spread(-0.05, 0.02), r.range_of("above 0"))
    unsure = r.measure("", spread(0.0, 0.02), r.range_of("above 0"))
    beside = r.measure("", spread(-0.05, 0.02))
    assert verdict(our, good, good, beside) == "holds"
    assert verdict(our, good, unsure) == "undecided"
    assert verdict(our, good, unsure, bad) == "does not hold"


def test_few_units_and_lost_ones_decide_nothing(our):
    r = our.rules
    values = spread(0.05, 0.001, 20)
    assert verdict(our, r.measure("", values[:5], r.range_of("above 0"))) == "undecided"
    assert verdict(our, r.measure("", values[:6], r.range_of("above 0"))) == "holds"
    one_lost, two_lost = values.copy(), values.copy()
    one_lost[:1] = two_lost[:2] = np.nan
    assert verdict(our, r.measure("", one_lost, r.range_of("above 0"))) == "holds"
    assert verdict(our, r.measure("", two_lost, r.range_of("above 0"))) == "undecided"
    for nothing in ([], [0.5], [np.nan] * 8):
        assert (
            verdict(our, r.measure("", nothing, r.range_of("above 0"))) == "undecided"
        )


def test_holm_counts_every_number_of_the_table(our):
    """An interval just above 0 decides alone, but not among many."""
    r = our.rules
    close = r.measure("", spread(0.01, 0.025), r.range_of("above 0"))
    assert close.low > 0
    assert 0.01 < close.p < 0.05
    claims = [r.Claim(str(i), "us", "fresh draws", [close]) for i in range(10)]
    assert [claim.verdict for claim in r.judge(claims[:1])] == ["holds"]
    assert {claim.verdict for claim in r.judge(claims)} == {"undecided"}
    expected = stats.ttest_1samp(spread(0.01, 0.025), 0).pvalue
    np.testing.assert_allclose(close.p, expected)


def test_p_is_against_the_nearest_end(our):
    values, r = spread(0.004, 0.02), our.rules
    found = r.measure("", values, r.range_of("little")).p
    np.testing.assert_allclose(found, stats.ttest_1samp(values, r.SCALE).pvalue)


def test_equal_values_are_a_sign_test(our):
    r = our.rules
    found = r.measure("", np.zeros(10), r.range_of("above -0.01"))
    assert (found.low, found.high, found.p) == (0, 0, 2 / 2**10)
    assert verdict(our, found) == "holds"
    assert str(found).strip() == "0.0000"
    at_the_end = r.measure("", np.zeros(10), r.range_of("above 0"))
    assert at_the_end.p == 1
    assert verdict(our, at_the_end) == "undecided"


def test_a_standard_deviation_as_a_root(our):
    values, r = spread(0.7, 0.012, 200), our.rules
    squares = (values - values.mean()) ** 2 * 200 / 199
    found = r.measure(
        "sd", squares, r.range_of("below 0.0142857"), form=".4f", root=True
    )
    np.testing.assert_allclose(found.mean, values.std(ddof=1))
    assert found.low < found.mean < found.high
    assert verdict(our, found) == "holds"
    wide = r.measure("sd", 4 * squares, r.range_of("below 0.0142857"), root=True)
    assert verdict(our, wide) == "does not hold"


def test_how_numbers_are_written(our):
    r = our.rules
    found = r.measure("accuracy", spread(-0.0035, 0.001), r.range_of("little"))
    assert str(found) == "accuracy −0.0035 [−0.0039, −0.0031]"
    assert str(r.measure("loss", spread(0.00001, 0.0001), form="+.3f")) == (
        "loss 0.000 [0.000, 0.000]"
    )
    ends = [
        str(c)
        for c in (r.range_of("above 0"), r.range_of("below 0.01"), r.range_of("little"))
    ]
    assert ends == ["above 0", "below 0.01", "between −0.0143 and 0.0143"]
    assert str(r.measure("share", np.full(100, 0.21), form=".3f")) == "share 0.210"


# The claims, on made-up runs


def made_up(our, lifts, *, units=14, noise=0.002, seed=0):
    """Results with every cell; ``lifts`` are what placements add to the accuracies.

    Keys are (study, placement) or a placement; values a number, by strength, or a dict
    of numbers by metric.
    """
    rng = np.random.default_rng(seed)
    draws = rng.normal(0, 0.03, units)
    epochs = np.arange(20, 401, 20)
    hump = -(((epochs - 200) / 200) ** 2) * lifts.get("hump", 0)
    results = {}
    for study in our.plan.STUDIES:
        base = 0.75 + (0 if study.by_seed else 1) * draws
        rows = []
        for name, grid in study.grids().items():
            for strength in grid:
                lift = lifts.get((study.name, name), lifts.get(name, 0))
                lift = lift(strength) if callable(lift) else lift
                lift = lift if isinstance(lift, dict) else {"": lift}
                parts = {"": strength}
                if isinstance(strength, dict):
                    parts = {f".{part}": level for part, level in strength.items()}
                for unit in range(units):
                    row = {"placement": name}
                    row |= {f"strength{part}": level for part, level in parts.items()}
                    row["seed"] = unit if study.by_seed else 0
                    row["split"] = 0 if study.by_seed else unit
                    for s in ("train", "test", "validation", "population"):
                        add = lift.get(f"{s}_accuracy", lift.get("", 0))
                        start = 1.0 if s == "train" else base[unit]
                        draw = 0 if s == "train" else rng.normal(0, noise)
                        row[f"{s}_accuracy"] = start + add + draw
                        for metric in ("loss", "brier"):
                            row[f"{s}_{metric}"] = 2 - add + rng.normal(0, noise)
                    rows.append(row | {"finite": True})
        table = pd.DataFrame(rows)
        curves = {
            name: table[name].to_numpy()[:, None]
            + (hump - hump[-1]) * name.endswith("accuracy")
            + rng.normal(0, 1e-4, (len(table), len(epochs)))
            for name in table
            if name.partition("_")[0] in ("train", "test", "validation", "population")
        }
        made = (table, curves, epochs, (None,) * len(table), True, 0.0, 0.0, "made up")
        results[study.name] = jn.SweepResult(*made)
    return results


def verdicts(our, results):
    size, scores = our.plan.Size(6, 6), our.measures.Scores(results)
    claims = our.rules.judge(list(our.measures.all_claims(scores, size)))
    return {(claim.says, claim.on): claim.verdict for claim in claims}


def of(found, words, on="fresh draws"):
    return next(
        v for (says, where), v in found.items() if words in says and where == on
    )


def test_a_world_in_which_noise_helps(our):
    lifts = {
        "hump": 0.1,
        "input": lambda s: -0.2 if s > 0.05 else {"": 0.02, "train_accuracy": 0},
        "hidden": lambda s: {"": 0.04, "train_accuracy": -0.22},
        "activation": lambda s: (
            {"": 0.04 if 0.05 < s < 0.5 else 0.0} if s < 1 else -0.1
        ),
        "both": 0.06,
        ("standardised", "none"): 0.03,
        ("70 rows", "none"): 0.05,
        ("70 rows", "hidden"): 0.08,
        ("8,000 epochs", "hidden"): 0.06,
        "hidden + dropout": 0.06,
        "hidden + weight decay": 0.06,
        "hidden, clean backward": 0.04,
        "hidden, left on": 0.02,
        "hidden, ten passes": 0.04,
        "all at once": -0.25,
    }
    found = verdicts(our, made_up(our, lifts))
    for words in (
        "lifts test accuracy, and does not harm",
        "lifts test accuracy markedly",
        "Before or after the activation",
        "The overfit model's test accuracy rises",
    ):
        assert of(found, words) == "holds", words
        assert of(found, words, "this data set") == "holds", words
    for words in (
        "Hidden layers stand larger",
        "strengths of 0.1 and 0.3 are best",
        "strength of 1 under-fits",
        "on inputs and hidden layer together",
        "Standardised inputs",
        "70 rows to train on",
        "With 70 rows noise helps",
        "8,000 epochs",
        "Dropout of 0.5 adds",
        "All at once",
        "At test time",
        "passes averaged",
        "noise on the hidden layer",
        "places raises the accuracy",
        "places lowers the loss",
        "higher accuracy than dropout",
        "lower loss than dropout",
        "adds accuracy to weight decay",
    ):
        assert of(found, words) == "holds", words
    assert of(found, "Repeats", "this data set") == "holds"
    for rival in ("epochs", "early stopping"):  # since the hump is higher yet
        assert of(found, f"higher accuracy than {rival}") == "does not hold"


def test_a_world_in_which_noise_harms(our):
    lifts = {
        "input": -0.02,
        "hidden": lambda s: {"": -0.05},
        "hidden, clean backward": 0.05,
        "hidden, left on": 0.05,
        "hidden, ten passes": 0.05,
        ("standardised", "none"): -0.03,
        ("70 rows", "none"): -0.05,
        ("70 rows", "hidden"): -0.08,
        ("8,000 epochs", "hidden"): -0.09,
        "hidden + max-norm": -0.09,
        "dropout": 0.05,
    }
    found = verdicts(our, made_up(our, lifts))
    for words in (
        "lifts test accuracy, and does not harm",
        "lifts test accuracy markedly",
        "Before or after the activation",
    ):
        assert of(found, words) == "does not hold", words
        assert of(found, words, "this data set") == "does not hold", words
    for words in (
        "Standardised inputs",
        "70 rows to train on",
        "With 70 rows noise helps",
        "8,000 epochs",
        "max-norm of 4 adds",
        "All at once",
        "85.7 %",
        "At test time",
        "passes averaged",
        "noise on the hidden layer",
        "higher accuracy than dropout",
        "lower loss than dropout",
        "higher accuracy than the best of six rivals",
    ):
        assert of(found, words) == "does not hold", words


def test_a_world_in_which_nothing_can_be_told(our):
    found = verdicts(our, made_up(our, {}, noise=0.5))
    for words in ("markedly", "Before or after", "Dropout of 0.5", "than dropout"):
        assert of(found, words) == "undecided", words


def test_what_validation_rows_choose_is_reported_on_the_population(our):
    """On a draw's own validation rows, by the metric that judges, or none at all."""
    lifts = {
        "dropout": lambda s: {"validation_accuracy": s, "population_accuracy": -s / 10},
        "max-norm": -0.1,
    }
    scores = our.measures.Scores(made_up(our, lifts, units=8))
    table = scores.methods.set_index("placement")
    assert (table.loc["dropout", "chosen_accuracy"] == 4).all()
    assert (table.loc["max-norm", "chosen_accuracy"] == 0).all()
    none = scores.by_draw("none", "population_accuracy")
    dropout = scores.by_draw("dropout", "population_accuracy")
    np.testing.assert_allclose(dropout - none, -0.07, atol=0.02)
    np.testing.assert_array_equal(
        scores.by_draw("max-norm", "population_accuracy"), none
    )


def test_peaks_are_measured_on_other_units(our):
    """Of curves without a peak, the best of many epochs is no rise and no fall."""
    results = made_up(our, {}, units=200)
    rng = np.random.default_rng(1)
    curves = results["tutorial"].curves
    for name, curve in curves.items():
        curves[name] = rng.normal(0.7, 0.05, curve.shape)
    where = ("tutorial", "none", 0.0)
    for change in our.measures.Scores(results).rise_and_fall(where)[:2]:
        assert abs(change.mean()) < 5 * 0.05 * np.sqrt(2 / 200)
        naive = curves["test_accuracy"].max() - 0.7
        assert change.mean() < naive / 5


def test_diverged_runs_count_as_lost(our):
    results = made_up(our, {"hidden": 0.05})
    runs = results["draws"].runs
    rows = (runs["placement"] == "hidden") & (runs["split"] < 4)
    metrics = [c for c in runs if c.endswith(("accuracy", "loss", "brier"))]
    runs.loc[rows, metrics] = np.nan
    runs.loc[rows, "finite"] = False
    found = verdicts(our, results)
    assert of(found, "markedly") == "undecided"
    assert of(found, "higher accuracy than dropout") == "holds"  # none is chosen there


# The README


def table_rows(text):
    """The cells of a Markdown table, without its heading."""
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    return [line.strip("| ").split(" | ") for line in lines]


def test_the_readme_has_the_claims_of_the_script(our, summary):
    text = (ROOT / "experiments" / "README.md").read_text("utf-8")
    start, end = "<!-- claims -->", "<!-- end of claims -->"
    short, full = text.split(start)[1].split(end)[0].split("<details>")
    rows = table_rows(full.split("Each method at")[0])
    ours = [(claim["says"], claim["on"]) for claim in summary["claims"]]
    assert [(row[0], row[2]) for row in rows] == ours
    assert {row[5].strip("*") for row in rows} <= VERDICTS
    said = {c["says"]: {} for c in summary["claims"] if c["by"] == "tutorial"}
    for row in rows:
        if row[1] == "tutorial":
            said[row[0]][row[2]] = our.page.SIGNS[row[5].strip("*")]
    for row in table_rows(short):
        verdicts = said.pop(row[0])
        assert row[1:] == [
            verdicts.get(on, "–") for on in ("this data set", "fresh draws")
        ]
    assert not said
    assert "python experiments/claims.py" in text
    assert "(figures/claims.png)" in text


# Options


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], "--seeds: must be an int of at least 1, got 0"),
        (["--seed", "-1"], "--seed: must be an int from 0 to 2**32 - 1, got -1"),
        (["--seed", "4294967290"], "--draws: the last draw's seed would be above"),
        (["--draws", "0"], "--draws: must be an int of at least 1"),
        (["--draws", "4294967295"], "--draws: must be less than 2**31"),
        (["--epochs", "x"], "--epochs: must be an int of at least 1, got x"),
        (["--epochs", "79"], "--epochs: must be at least 80, got 79"),
        (["--quick", "--epochs", "1"], "--epochs: must be at least 80, got 1"),
        (["--into", "none.md"], "--into: cannot put the table into none.md: No such"),
        (["--into", str(ROOT / "CHANGELOG.md")], "it must have the marks <!-- claims"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_bad_options(our, options, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(jn, "sweep", None)  # nothing may train
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        our.claims.main(options)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("claims.py: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.bad_input
def test_again_without_runs(our, quick, tmp_path, capsys):
    """Nothing there, or other runs: one line, no traceback."""
    for found in (None, "tutorial.sqlite"):
        if found:
            (tmp_path / found).write_bytes((quick / found).read_bytes())
        with pytest.raises(SystemExit) as stop:
            our.claims.main(["--quick", "--again", "--out", str(tmp_path)])
        assert stop.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith("claims.py: error: argument --again: no such runs in")
        assert err.count("\n") == 1


def test_again_takes_some_of_the_draws(our, quick):
    few = our.plan.Size(6, 2, epochs=80, toy=True)
    results = our.claims.read(few, quick)
    assert results["draws"].runs["split"].unique().tolist() == [0, 1]
    assert len(results["tutorial"].runs) == 18


def test_quick_gives_way_to_what_is_asked_for(our, tmp_path):
    options = our.claims.parse(["--quick", "--draws", "2", "--out", str(tmp_path)])
    assert (options.seeds, options.draws, options.epochs) == (6, 2, 80)
    assert our.claims.size_of(options).toy
    full = our.claims.size_of(our.claims.parse(["--out", str(tmp_path)]))
    assert full == our.plan.Size(200, 200, 0, 4000, toy=False)
