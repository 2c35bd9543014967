"""`compare_many`: published numbers, laws of pooling, and one family of rows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

import jaxnoise as jn
from jaxnoise.evidence.many import random_effects
from jaxnoise.evidence.paired import holm

# G. Colditz et al., "Efficacy of BCG vaccine in the prevention of tuberculosis", JAMA
# 271 (1994): cases and others, vaccinated and not, of 13 trials.
BCG = np.array(
    """4 119 11 128; 6 300 29 274; 3 228 11 209; 62 13536 248 12619; 33 5036 47 5761;
    180 1361 372 1079; 8 2537 10 619; 505 87886 499 87892; 29 7470 45 7232;
    17 1699 65 1600; 186 50448 141 27197; 5 2493 3 2338; 27 16886 29 17825""".replace(
        ";", " "
    ).split(),
    float,
).reshape(13, 4)


def log_risk_ratios():
    a, b, c, d = BCG.T
    effects = np.log(a / (a + b)) - np.log(c / (c + d))
    return effects, 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def test_the_bcg_trials():
    """W. Viechtbauer, "Conducting meta-analyses in R", 2010: mean -0.71, the interval
    with Knapp and Hartung's adjustment about -1.11 to -0.32; tau squared is 0.318 by
    Paule and Mandel.
    """
    pooled = random_effects(*log_risk_ratios())
    assert pooled.tau**2 == pytest.approx(0.318, abs=5e-4)
    assert pooled.mean == pytest.approx(-0.715, abs=5e-4)
    assert (pooled.low, pooled.high) == pytest.approx((-1.109, -0.321), abs=1e-3)


def test_equally_precise_studies_are_a_sample():
    """Then the mean is theirs, the interval Student's, and tau what v leaves over."""
    y = np.random.default_rng(0).normal(0.3, 1, 9)
    pooled = random_effects(y, np.full(9, 0.1))
    half = student.ppf(0.975, 8) * y.std(ddof=1) / 3
    assert pooled.mean == pytest.approx(y.mean())
    assert (pooled.low, pooled.high) == pytest.approx(
        (y.mean() - half, y.mean() + half)
    )
    assert pooled.tau**2 == pytest.approx(y.var(ddof=1) - 0.1)
    ahead = student.ppf(0.975, 7) * np.sqrt(pooled.tau**2 + y.var(ddof=1) / 9)
    assert pooled.next_high == pytest.approx(y.mean() + ahead)
    alike = random_effects([0.1, 0.1, 0.1], [1.0, 2.0, 3.0])
    assert alike == pytest.approx((0.1, 0.1, 0.1, 0.0, *alike[4:]))


def test_few_studies():
    assert np.isnan(random_effects([], [])).all()
    one = random_effects([0.2], [0.1])
    assert (one.mean, np.isnan(one[1:]).all()) == (0.2, True)
    two = random_effects([0.2, 0.6], [0.1, 0.1])
    assert np.isfinite(two[:4]).all()
    assert np.isnan(two[4:]).all()


def test_intervals_of_the_mean_hold():
    """With 6 sets of unlike precision, whose effects differ as much as they err."""
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        v = rng.uniform(0.02, 0.2, 6)
        pooled = random_effects(rng.normal(0.3, np.sqrt(v + 0.1)), v)
        covered += pooled.low <= 0.3 <= pooled.high
    assert covered / 400 > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 400)


def scores(seed, gain, n=20):
    rng = np.random.default_rng(seed)
    parts = []
    for placement, strength in (("none", 0.0), ("input", 0.1), ("input", 0.3)):
        part = pd.DataFrame({"placement": placement, "strength": strength}, range(n))
        loss = rng.normal(0.5, 0.02, n) - gain * strength
        parts.append(part.assign(seed=range(n), loss=loss, accuracy=1 - loss))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def tables():
    gains = enumerate((0.1, 0.2, 0.05, 0.15))
    return {f"set {i}": scores(i, gain, 20 + i) for i, gain in gains}


def test_all_sets_and_metrics_are_one_family(tables):
    many = jn.compare_many(tables, metric=["loss", "accuracy"])
    alone = {name: jn.compare(table, metric="loss") for name, table in tables.items()}
    mine = many.sets[many.sets["metric"] == "loss"]
    p = pd.concat(list(alone.values()))["p"].to_numpy()
    np.testing.assert_array_equal(mine["p"], p)
    np.testing.assert_array_equal(many.sets["p_holm"], holm(many.sets["p"]))
    assert mine["set"].tolist() == [name for name in tables for _ in range(3)]
    assert len(many.sets) == 24
    moving = jn.compare_many(tables, metric="loss", stop="anytime").sets
    known = moving["verdict"] != "baseline"
    assert (moving["p_holm"] >= moving["p"])[known].all()


def test_effects_are_standardised_and_better_is_positive(tables):
    many = jn.compare_many(tables, metric=["loss", "accuracy"])
    d = tables["set 0"].pivot(index="seed", columns="strength", values="loss")
    d = d[0.1] - d[0.0]
    row = many.sets.iloc[1]
    assert row["effect"] == pytest.approx(-d.mean() / d.std() * (1 - 3 / 75), rel=1e-3)
    assert row["error"] == pytest.approx(np.sqrt((1 + row["effect"] ** 2 / 2) / 20))
    summary = many.summary
    assert summary["strength"].tolist() == [0.1, 0.3] * 2
    part = many.sets[(many.sets["strength"] == 0.3) & (many.sets["metric"] == "loss")]
    pooled = random_effects(part["effect"], part["error"] ** 2)
    assert summary.loc[1, list(pooled._fields)].tolist() == list(pooled)
    np.testing.assert_allclose(summary["mean"][:2], summary["mean"][2:])
    assert summary.loc[1, ["k", "better", "worse"]].tolist() == [4, 4, 0]
    assert summary.loc[1, "sign_p"] == 2 / 2**4
    np.testing.assert_array_equal(summary["sign_p_holm"], holm(summary["sign_p"]))


def test_it_prints_both_tables_and_is_drawn(tables):
    many = jn.compare_many(tables, metric="loss")
    head, below = str(many).split("\n\n")
    assert "baseline" not in head
    assert head.splitlines()[0].split()[:4] == [
        "placement",
        "strength",
        "set",
        "metric",
    ]
    assert "next_low" in below
    ax = jn.plots.sets_forest(many, row=1)
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == [*tables, "mean of 4 sets"]
    assert ax.get_xlabel().startswith("loss, input 0.3")
    drawn = [line.get_xdata() for line in ax.get_lines()]
    assert [*many.summary.loc[1, ["low", "high"]]] in [list(x) for x in drawn]
    plt.close("all")


def test_the_page_of_several_sets(tables, tmp_path):
    many = jn.compare_many(tables, metric="loss")
    page = jn.report(many, tmp_path / "page.html", title="A <title>").read_text("utf-8")
    assert "<h1>A &lt;title&gt;</h1>" in page
    assert "input 0.3 in loss: over 4 data sets the mean" in page
    assert page.count("<svg") == 2
    assert page.count("<td>set 3</td>") == 2


def test_tied_and_few_units_have_no_effect():
    tied = scores(0, 0.0)
    tied["loss"] = 0.5
    many = jn.compare_many({"tied": tied, "few": scores(1, 0.1, 5)}, metric="loss")
    assert many.sets["effect"].isna().all()
    assert many.summary["k"].tolist() == [0, 0]
    assert many.summary["sign_p"].isna().all()


@pytest.mark.bad_input
def test_bad_arguments(tables):
    with pytest.raises(ValueError, match="results must hold at least one result"):
        jn.compare_many({}, metric="loss")
    with pytest.raises(TypeError, match="compare_many must be given its own arguments"):
        jn.compare_many(tables, metric="loss", ropes=1)
    with pytest.raises(ValueError, match="metric must be a column of the runs"):
        jn.compare_many(tables, metric="acc")
