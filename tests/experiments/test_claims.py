"""The tutorial's claims: runs, files and page at toy size; verdicts on made-up runs."""

import json
from contextlib import contextmanager
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
MODULES = ("files", "measures", "page", "plan", "rules", "runs", "scores")
VERDICTS = {"holds", "does not hold", "undecided"}
PLACEMENTS = ["input", "hidden", "activation", "weights", "gradients", "labels"]
RIVALS = [
    "dropout",
    "weight decay",
    "max-norm",
    "label smoothing",
    "Jacobian penalty",
]


@pytest.fixture(scope="module")
def our(experiment):
    """The script, its parts, and what it shares with others."""
    names = {name: f"_claims.{name}" for name in MODULES}
    names |= {"claims": "claims", "recipes": "_recipes"}
    return SimpleNamespace(**{name: experiment(path) for name, path in names.items()})


@pytest.fixture(scope="module")
def quick(our, tmp_path_factory):
    """A quick run with everything: its folder."""
    out = tmp_path_factory.mktemp("quick")
    assert our.claims.main(["--quick", "--report", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def runs(quick):
    return pd.read_csv(quick / "runs.csv")


@pytest.fixture(scope="module")
def summary(quick):
    return json.loads((quick / "summary.json").read_text("utf-8"))


# The runs


def test_what_is_trained(our, runs):
    """Every study whole, and as many runs as were planned."""
    planned, cost = our.plan.run_count(our.plan.Size(6, 6))
    assert len(runs) == planned == 30 + 95 * 6
    assert cost == planned + 3 * 6  # those that are twice as long
    counts = runs.groupby("study", sort=False).size().to_dict()
    assert counts == {
        "tutorial": 30,
        "draws": 480,
        "standardised": 24,
        "min-max": 24,
        "70 rows": 24,
        "8,000 epochs": 12,
        "all at once": 6,
    }
    assert runs["finite"].all()
    tutorial = runs["study"] == "tutorial"
    assert (runs.loc[tutorial, "split"] == 0).all()
    assert (runs.loc[~tutorial, "split"] == runs.loc[~tutorial, "seed"]).all()
    names = ["study", "placement", "strength", "strength.input", "strength.hidden"]
    assert not runs.duplicated([*names, "seed", "split"]).any()


def test_the_full_size_is_within_its_budget(our, tmp_path):
    options = our.claims.parse(["--out", str(tmp_path)])
    count = our.plan.run_count(our.claims.size_of(options))
    assert count == (14_500, 14_800)
    assert max(count) <= 15_000
    for number in count:
        assert f"{number:,}" in our.plan.__doc__


def test_strengths_are_on_a_log_grid(our):
    cells = our.plan.DRAWS
    for placement in PLACEMENTS:
        grid = [c.strength for c in cells if c.placement == placement]
        assert (len(grid), grid[0], grid[-1]) == (6, 0.003, 1.0)
        np.testing.assert_allclose(np.diff(np.log10(grid)), 0.5, atol=0.03)
    for rival in RIVALS:  # as many choices as noise has
        assert sum(c.placement == rival for c in cells) == 6


def test_noise_on_at_test_time_is_measured_where_it_is_asked_for(runs):
    measured = runs[runs["noisy_population_accuracy"].notna()]
    cells = measured[["study", "placement", "strength"]].drop_duplicates()
    assert cells.to_numpy().tolist() == [
        ["draws", "input", 0.01],
        ["draws", "hidden", 0.1],
        ["draws", "activation", 0.1],
    ]
    assert len(measured) == 18
    for kind in "noisy", "averaged":
        losses = measured[f"{kind}_population_loss"] - measured["population_loss"]
        assert (losses.abs() < 0.05).all()
        assert (losses != 0).any()


def test_the_data_of_each_study(our):
    size = our.plan.Size(1, 1, population=10, validation=5)
    data = {s.name: our.plan.data_of(s, 3, size) for s in our.plan.STUDIES}
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
    scaled = data["standardised"]["train"][0]
    np.testing.assert_allclose(
        [scaled.mean(0), scaled.std(0)], [[0] * 2, [1] * 2], atol=1e-6
    )
    np.testing.assert_allclose(
        np.ptp(data["min-max"]["train"][0], axis=0), 1, rtol=1e-6
    )


@pytest.mark.slow
def test_every_program_of_the_full_size_traces(our):
    """A quick run has them all in one; here each is traced as it will be compiled."""
    data = jn.data.circles(validation=5, population=10)
    seen = set()
    for cell in (cell for study in our.plan.STUDIES for cell in study.cells):
        program = (tuple(sorted(cell.parts)), cell.clean)
        if program in seen:
            continue
        seen.add(program)
        build = our.recipes.clean_backward if cell.clean else our.recipes.recipe
        train = jn.make_train(build, epochs=1, batch_size=32)
        strengths = {part: jnp.float32(s) for part, s in cell.parts.items()}
        shapes = jax.eval_shape(train, jax.random.key(0), strengths, data)
        assert shapes.metrics["population_accuracy"].shape == ()
    assert len(seen) == 16


# The parts of a recipe


@pytest.mark.parametrize("part", [*PLACEMENTS, *RIVALS])
def test_parts_that_are_off_change_nothing(our, part, key):
    """One part, and the same with all the others at the strength that is none."""
    level = 2.0 if part == "max-norm" else 0.3
    alone = our.recipes.recipe({part: level})
    everything = our.recipes.recipe(our.recipes.PARTS | {part: level})
    (x, y), _ = jn.data.circles(population=1)["train"], None
    params = alone.model.init(key, x, train=False)["params"]
    grads = jax.tree.map(lambda leaf: leaf + 0.1, params)
    found = []
    for recipe in (alone, everything):
        noisy = recipe.weight_noise(key, params) if recipe.weight_noise else params
        labels = recipe.label_noise(key, y) if recipe.label_noise else y
        outputs = recipe.model.apply(
            {"params": noisy}, x, train=True, rngs={"noise": key}
        )
        optimizer = recipe.optimizer
        if part == "gradients" or recipe is everything:
            updates, _ = optimizer.update(
                grads, optimizer.init(params), params, key=key
            )
        else:
            updates, _ = optimizer.update(grads, optimizer.init(params), params)

        def clean(params, x, recipe=recipe):
            return recipe.model.apply({"params": params}, x, train=False)

        penalty = recipe.penalty(clean, params, x) if recipe.penalty else 0.0
        found.append((outputs, labels, updates, penalty))
    if part == "dropout":  # its draws are others there, for the noise has the key
        found = [rest for _, *rest in found]
        x = jnp.ones((5, 7))
        dropped = jn.drop_units(jax.random.fold_in(key, 1), x, 0.3)
        both = our.recipes.noise_and_dropout(0.0, 0.3, key, x)
        np.testing.assert_array_equal(dropped, both)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *found
    )


def test_the_jacobian_penalty_is_what_small_noise_adds(our):
    """T3: of a logistic model, with a remainder of fourth order in the stddev."""
    x = np.array([[0.3, -0.7], [1.0, 0.4], [-0.5, 0.2]])
    w = np.array([1.5, -0.8])
    z = x @ w
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()

    def remainder(stddev):
        noisy = z[:, None] + stddev * np.linalg.norm(w) * nodes  # e'w is one Gaussian
        added = (np.logaddexp(0, noisy) @ weights - np.logaddexp(0, z)).mean()
        penalty = our.recipes.jacobian_penalty(stddev)
        return added - float(penalty(lambda w, x: (x @ w)[:, None], jnp.array(w), x))

    slopes = np.log2([remainder(0.8) / remainder(0.4), remainder(0.4) / remainder(0.2)])
    np.testing.assert_allclose(slopes, 4, atol=0.3)


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
        "curves.npz",
        "curves.png",
        "curves_draws.npz",
        "grid.png",
        "report.html",
        "rivals.png",
        "rivals_loss.png",
        "runs.csv",
        "summary.json",
    ]


def test_curves(quick, runs):
    for name, cells in (("curves", 5), ("curves_draws", 4)):
        with np.load(quick / f"{name}.npz", allow_pickle=False) as curves:
            assert curves["train_accuracy"].shape == (cells, 6, 4)
            np.testing.assert_array_equal(curves["epoch"], [20, 40, 60, 80])
            last = curves["test_loss"][0, :, -1]
        study = "tutorial" if name == "curves" else "draws"
        none = runs[(runs["study"] == study) & (runs["placement"] == "none")]
        np.testing.assert_allclose(last, none["test_loss"], rtol=1e-6)


def test_summary(summary, runs):
    assert summary["complete"] is True
    assert summary["runs"] == {"planned": 600, "finished": 600, "cost": 618}
    assert summary["config"]["quick"] is True
    assert summary["rope"] == 0.01
    np.testing.assert_allclose(summary["bayes"]["accuracy"], 0.8406, atol=1e-4)
    for claim in summary["claims"]:
        assert claim["verdict"] in VERDICTS
        assert claim["on"] in ("this data set", "fresh draws")
        assert any(m["claimed"] for m in claim["measures"])
    lift = next(c for c in summary["claims"] if "markedly" in c["says"])
    ours = runs[runs["study"] == "tutorial"].pivot(
        index="seed", columns="placement", values="population_accuracy"
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


def test_every_claim_is_there(summary):
    """Those of the issue, by words that tell them, and the readers'."""
    says = " | ".join(c["says"] for c in summary["claims"])
    for words in (
        "Repeats of the overfit model vary little",
        "test accuracy rises and then falls",
        "lifts test accuracy, and does not harm training accuracy",
        "accuracy jumps about while training",
        "Less of it, 0.003, would do better",
        "lifts test accuracy markedly",
        "removes the overfitting",
        "Before or after the activation makes little difference",
        "Hidden layers stand larger strengths than inputs",
        "inputs lie in [0, 1]",
        "strengths of 0.1 and 0.3 are best",
        "strength of 1 under-fits",
        "on inputs and hidden layer together",
        "Standardised inputs",
        "scaled to [0, 1]",
        "70 rows",
        "8,000 epochs",
        "Dropout of 0.5 adds to noise",
        "max-norm of 4 adds to noise",
        "All at once gives about 50 %",
        "85.7 %",
        "backward pass",
        "At test time noise is better off",
        *(f"does better than {rival}" for rival in [*RIVALS, "early stopping"]),
    ):
        assert words in says, words
    both = [c["on"] for c in summary["claims"] if "markedly" in c["says"]]
    assert both == ["this data set", "fresh draws"]


def test_the_page(our, quick, summary):
    page = (quick / "claims.md").read_text("utf-8")
    for claim in summary["claims"]:
        row = f"| {claim['says']} | {claim['by']} | {claim['on']} | {claim['n']} |"
        line = next(line for line in page.splitlines() if line.startswith(row))
        assert line.endswith(f"| **{claim['verdict']}** |")
        assert line.count("|") == 7
    assert "- **undecided**: all else, and what has fewer than 6 units or lost" in page
    assert "600 runs: 6 seeds" in page
    assert "Interrupted" not in page
    methods = page.split("## Noise and its rivals")[1].split("## ")[0]
    for method in ["none", *PLACEMENTS, "both", *RIVALS, "early stopping"]:
        assert f"\n| {method} | " in methods
    assert "epoch " in methods
    assert "nan" not in page


def test_the_report(quick):
    page = (quick / "report.html").read_text("utf-8")
    assert "Noise in six places, on fresh draws of two circles" in page
    assert "best possible 0.841" in page


def test_pictures(quick):
    from matplotlib.image import imread

    for path in quick.glob("*.png"):
        image = imread(path)
        assert min(image.shape[:2]) > 300
        assert image[..., :3].std() > 0.05  # not blank


def test_again_says_the_same(our, quick, tmp_path, capsys, monkeypatch):
    """Judged from the files alone, without training."""
    before = (quick / "claims.md").read_text("utf-8")
    for path in quick.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "claims.md").unlink()
    monkeypatch.setattr(jn, "sweep", None)
    options = ["--again", "--no-plots", "--out", str(tmp_path)]
    assert our.claims.main(options) == 0
    assert (tmp_path / "claims.md").read_text("utf-8") == before
    assert "files in" in capsys.readouterr().out
    config = json.loads((tmp_path / "summary.json").read_text("utf-8"))["config"]
    assert (config["seeds"], config["draws"], config["epochs"]) == (6, 6, 80)


def test_the_printed_table(our, quick, summary, tmp_path, capsys):
    for name in ("runs.csv", "summary.json", "curves.npz", "curves_draws.npz"):
        (tmp_path / name).write_bytes((quick / name).read_bytes())
    our.claims.main(["--again", "--no-plots", "--out", str(tmp_path)])
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["claim", "on", "n"]
    for claim, line in zip(summary["claims"], lines[1:], strict=False):
        assert line.startswith(claim["says"])
        assert line.endswith(claim["verdict"])
    assert "(Bayes): 0.8406" in out


def interrupt_after(our, monkeypatch, runs):
    """Ctrl-C once so many runs are finished."""

    @contextmanager
    def progress_of(asked, total):
        def report(done, _):
            if done >= runs:
                raise KeyboardInterrupt

        yield SimpleNamespace(begin=lambda: None, report=report)

    monkeypatch.setattr(our.claims, "progress_of", progress_of)


def test_interrupt(our, quick, tmp_path, capsys, monkeypatch):
    """Whole draws are judged; all runs that finished are in the table."""
    interrupt_after(our, monkeypatch, 250)  # in the third of six rounds of 100
    options = ["--quick", "--no-plots", "--out", str(tmp_path)]
    assert our.claims.main(options) == 130
    assert "interrupted: the files hold the finished runs" in capsys.readouterr().err
    found = pd.read_csv(tmp_path / "runs.csv")
    assert 200 < len(found) < 300
    first = pd.read_csv(quick / "runs.csv").iloc[:200]
    pd.testing.assert_frame_equal(found.iloc[:200], first, rtol=1e-5)
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["complete"] is False
    assert summary["runs"]["finished"] == len(found)
    page = (tmp_path / "claims.md").read_text("utf-8")
    assert f"**Interrupted** after {len(found)} of 600 runs" in page


def test_interrupt_in_the_first_draw(our, quick, tmp_path, capsys, monkeypatch):
    interrupt_after(our, monkeypatch, 3)
    assert our.claims.main(["--quick", "--report", "--out", str(tmp_path)]) == 130
    capsys.readouterr()
    page = (tmp_path / "claims.md").read_text("utf-8")
    assert "Too few whole draws to compare." in page
    assert "| **holds** |" not in page
    assert not (tmp_path / "claims.png").exists()


def test_interrupt_before_any_run(our, tmp_path, capsys, monkeypatch):
    def stop(*args, **arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(jn, "sweep", stop)
    assert our.claims.main(["--quick", "--out", str(tmp_path)]) == 130
    assert "interrupted before any run finished" in capsys.readouterr().err
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
    np.testing.assert_allclose(found, stats.ttest_1samp(values, 0.01).pvalue)


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
    assert ends == ["above 0", "below 0.01", "between −0.01 and 0.01"]
    assert str(r.measure("share", np.full(100, 0.21), form=".3f")) == "share 0.210"


# The claims, on made-up runs


def made_up(our, lifts, *, units=14, noise=0.002, seed=0):
    """A result with every cell; ``lifts`` are what placements add to the accuracies.

    Keys are (study, placement) or a placement; values a number, by strength, or a dict
    of numbers by metric.
    """
    rng = np.random.default_rng(seed)
    rows = []
    draws = rng.normal(0, 0.03, units)
    for study in our.plan.STUDIES:
        base = 0.75 + (0 if study.by_seed else 1) * draws
        for cell in study.cells:
            lift = lifts.get((study.name, cell.placement), lifts.get(cell.placement, 0))
            lift = lift(cell.strength) if callable(lift) else lift
            lift = lift if isinstance(lift, dict) else {"": lift}
            for unit in range(units):
                row = {"study": study.name, **cell.columns(), "seed": unit}
                row["split"] = 0 if study.by_seed else unit
                for name in ("train", "test", "validation", "population"):
                    add = lift.get(f"{name}_accuracy", lift.get("", 0))
                    start = 1.0 if name == "train" else base[unit]
                    draw = 0 if name == "train" else rng.normal(0, noise)
                    row[f"{name}_accuracy"] = start + add + draw
                    row[f"{name}_loss"] = 2 - add + rng.normal(0, noise)
                for name in ("accuracy", "loss"):
                    for kind in ("best_validation", "best_population"):
                        row[f"{kind}_{name}"] = row[f"population_{name}"]
                    for kind in ("noisy", "averaged"):
                        value = row[f"population_{name}"] + lift.get(kind, 0)
                        row[f"{kind}_population_{name}"] = value
                rows.append(row | {"best_epoch": 300.0, "finite": True})
    table = pd.DataFrame(rows)
    epochs = np.arange(20, 401, 20)
    shape = -(((epochs - 200) / 200) ** 2) * lifts.get("hump", 0)
    curves = {
        name: table[f"{name.split('_')[0]}_accuracy"].to_numpy()[:, None]
        + shape
        + rng.normal(0, 1e-4, (len(table), len(epochs)))
        for name in ("train_accuracy", "test_accuracy")
    }
    return jn.SweepResult(
        table, curves, epochs, (None,) * len(table), True, 0.0, 0.0, "made up"
    )


def verdicts(our, result):
    size = our.plan.Size(6, 6)
    scores = our.scores.Scores(result)
    methods = our.scores.methods(scores)
    claims = list(our.measures.all_claims(scores, methods, size))
    return {(claim.says, claim.on): claim.verdict for claim in our.rules.judge(claims)}


def of(found, words, on="fresh draws"):
    return next(
        v for (says, where), v in found.items() if words in says and where == on
    )


def test_a_world_in_which_noise_helps(our):
    found = verdicts(
        our,
        made_up(
            our,
            {
                "hump": 0.1,
                "input": lambda s: (
                    -0.2 if s > 0.05 else {"": 0.02, "train_accuracy": 0}
                ),
                "hidden": lambda s: {"": 0.04, "train_accuracy": -0.22, "noisy": -0.02},
                "activation": lambda s: (
                    {"": 0.04 if 0.05 < s < 0.5 else 0.0} if s < 1 else -0.1
                ),
                "both": 0.06,
                ("standardised", "none"): 0.03,
                ("70 rows", "none"): 0.05,
                ("70 rows", "hidden"): 0.08,
                ("8,000 epochs", "hidden"): 0.06,
                "hidden + dropout": 0.06,
                "hidden, clean backward": 0.04,
                "all at once": -0.25,
            },
        ),
    )
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
        "Noise in one of six places helps",
        "does better than dropout",
        "does better than early stopping",
    ):
        assert of(found, words) == "holds", words
    assert of(found, "Repeats", "this data set") == "holds"


def test_a_world_in_which_noise_harms(our):
    found = verdicts(
        our,
        made_up(
            our,
            {
                "input": -0.005,
                "hidden": lambda s: {"": -0.05, "noisy": 0.02, "averaged": 0.02},
                "hidden, clean backward": 0.05,
                ("standardised", "none"): -0.03,
                ("70 rows", "none"): -0.05,
                ("70 rows", "hidden"): -0.08,
                ("8,000 epochs", "hidden"): -0.09,
                "hidden + max-norm": -0.09,
                "dropout": 0.05,
                "Jacobian penalty": 0.05,
            },
        ),
    )
    for words in (
        "lifts test accuracy, and does not harm",
        "lifts test accuracy markedly",
        "It removes the overfitting",
        "Before or after the activation",
    ):
        assert of(found, words) == "does not hold", words
        assert of(found, words, "this data set") == "does not hold", words
    for words in (
        "Hidden layers stand larger",
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
        "does better than dropout",
        "acts like the Jacobian penalty",
    ):
        assert of(found, words) == "does not hold", words


def test_a_world_in_which_nothing_can_be_told(our):
    found = verdicts(our, made_up(our, {}, noise=0.5))
    for words in ("markedly", "Before or after", "Dropout of 0.5", "than dropout"):
        assert of(found, words) == "undecided", words


def test_what_validation_rows_choose_is_reported_on_the_population(our):
    """Choosing on a draw's own validation rows, not on what is reported."""
    lifts = {
        "dropout": lambda s: {"validation_accuracy": s, "population_accuracy": -s / 10}
    }
    scores = our.scores.Scores(made_up(our, lifts, units=8))
    chosen = scores.chosen(["dropout"])
    assert (chosen["strength"] == 0.9).all()
    none = scores.of(("draws", "none", 0.0))
    np.testing.assert_allclose(chosen["score"] - none, -0.09, atol=0.02)


def test_peaks_are_measured_on_other_units(our):
    """Of curves without a peak, the best of many epochs is no rise and no fall."""
    result = made_up(our, {}, units=200)
    rng = np.random.default_rng(1)
    curves = {n: rng.normal(0.7, 0.05, c.shape) for n, c in result.curves.items()}
    flat = our.scores.Scores(
        jn.SweepResult(**{**vars(result), "curves": curves})
    ).rise_and_fall(("tutorial", "none", 0.0))
    for change in flat[:2]:
        assert abs(change.mean()) < 5 * 0.05 * np.sqrt(2 / 200)
        naive = curves["test_accuracy"].max() - 0.7
        assert change.mean() < naive / 5


def test_diverged_runs_count_as_lost(our):
    result = made_up(our, {"hidden": 0.05})
    rows = (result.runs["placement"] == "hidden") & (result.runs["seed"] < 4)
    metrics = [c for c in result.runs if c.endswith(("accuracy", "loss"))]
    result.runs.loc[rows, metrics] = np.nan
    result.runs.loc[rows, "finite"] = False
    found = verdicts(our, result)
    assert of(found, "markedly") == "undecided"
    assert of(found, "70 rows to train") != "holds"


# The README


def table_rows(text):
    """The cells of a Markdown table, without its heading."""
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    return [line.strip("| ").split(" | ") for line in lines]


def test_the_page_has_the_claims_of_the_script(our, summary):
    text = (ROOT / "experiments" / "README.md").read_text("utf-8")
    start, end = "<!-- claims -->", "<!-- end of claims -->"
    short, full = text.split(start)[1].split(end)[0].split("<details>")
    rows = table_rows(full)
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


def test_the_table_goes_into_a_readme(our, quick, tmp_path, capsys):
    page = (quick / "claims.md").read_text("utf-8").split("\n## ")[0]
    start, end = "<!-- claims -->", "<!-- end of claims -->"
    readme, out = tmp_path / "README.md", tmp_path / "out"
    readme.write_text(f"before\n{start}\nstale\n{end}\nafter\n")
    out.mkdir()
    for name in ("runs.csv", "summary.json", "curves.npz", "curves_draws.npz"):
        (out / name).write_bytes((quick / name).read_bytes())
    options = ["--again", "--no-plots", "--into", str(readme), "--out", str(out)]
    assert our.claims.main(options) == 0
    capsys.readouterr()
    once = readme.read_text("utf-8")
    assert our.claims.main(options) == 0
    assert readme.read_text("utf-8") == once
    assert page.partition("\n\n")[2].partition("\n\n")[0] in once
    assert page.partition("\n| ")[2].strip() in once
    assert once.startswith(f"before\n{start}\n")
    assert once.endswith(f"{end}\nafter\n")
    assert "stale" not in once
    assert "600 runs: 6 seeds" in once
    assert "\n| the tutorial says | on its points | on fresh draws |\n" in once
    assert "## Noise and its rivals" not in once
    assert "</details>" in once


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
    """Nothing there, or not what was written: one line, no traceback."""
    files = ("summary.json", "runs.csv", "curves.npz", "curves_draws.npz")
    for missing in (*files, None):
        for name in files:
            (tmp_path / name).write_bytes((quick / name).read_bytes())
        if missing:
            (tmp_path / missing).unlink()
        else:
            (tmp_path / "runs.csv").write_text("a,b\n1,2\n")
        with pytest.raises(SystemExit) as stop:
            our.claims.main(["--again", "--out", str(tmp_path)])
        assert stop.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith("claims.py: error: argument --again: no runs in")
        assert err.count("\n") == 1


def test_quick_gives_way_to_what_is_asked_for(our, tmp_path):
    options = our.claims.parse(["--quick", "--draws", "2", "--out", str(tmp_path)])
    assert (options.seeds, options.draws, options.epochs) == (6, 2, 80)
    size = our.claims.size_of(options)
    assert size.one_program
    full = our.claims.size_of(our.claims.parse(["--out", str(tmp_path)]))
    assert (full.seeds, full.draws, full.epochs) == (1000, 100, 4000)
    assert (full.population, full.validation, full.one_program) == (20_000, 200, False)
