"""`compare`: units and pairs, what each column says, verdicts, and bad input."""

import warnings

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp

import jaxnoise as jn
from jaxnoise.evidence.anytime import confidence_sequence, e_holm, log_e
from jaxnoise.evidence.judge import verdict
from jaxnoise.evidence.paired import holm, sign_flip_p, t_interval, wilson
from jaxnoise.evidence.units import LEAST_FOLDS

COLUMNS = [
    *["placement", "strength", "n", "mean", "sd", "median", "iqm"],
    *["difference", "low", "high", "new_rows_low", "new_rows_high"],
    *["median_difference", "worst_pair"],
    *["win_probability", "win_low", "win_high", "p", "p_holm", "e_value"],
    *["lost", "diverged", "verdict"],
]
pytestmark = pytest.mark.filterwarnings(
    "ignore:compare. . units? (is|are) few:UserWarning"
)


def table(scores, splits=1):
    """Scores by (placement, strength): arrays (seed, split); splits are independent."""
    made = pd.DataFrame(
        [
            {
                "placement": placement,
                "strength": strength,
                "seed": seed,
                "split": split,
                "accuracy": values[seed, split],
            }
            for (placement, strength), values in scores.items()
            for seed in range(values.shape[0])
            for split in range(values.shape[1])
        ]
    )
    made.attrs["overlap"] = 0.0
    return made


def draw(seed, shape, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1.0, shape)


def test_t_interval_of_paired_differences():
    a, b = draw(0, (12, 1)), draw(1, (12, 1), 0.5)
    rows = jn.compare(table({("none", 0.0): a, ("input", 0.1): b}), metric="accuracy")
    assert list(rows) == COLUMNS
    assert rows["placement"].tolist() == ["none", "input"]
    assert rows["n"].tolist() == [12, 12]
    np.testing.assert_allclose(rows["mean"], [a.mean(), b.mean()])
    np.testing.assert_allclose(rows["sd"], [a.std(ddof=1), b.std(ddof=1)])
    np.testing.assert_allclose(rows["median"], [np.median(a), np.median(b)])
    interval = ttest_1samp((b - a)[:, 0], 0).confidence_interval(0.95)
    got = rows.loc[1, ["difference", "low", "high"]].to_list()
    np.testing.assert_allclose(got, [(b - a).mean(), *interval])
    assert rows.loc[0, ["difference", "low", "high"]].isna().all()


@pytest.mark.parametrize("splits", [1, 8])
def test_order_of_rows_does_not_matter(splits):
    shape = (12, splits)
    scores = table({("none", 0.0): draw(0, shape), ("input", 0.1): draw(1, shape)})
    shuffled = scores.sample(frac=1, random_state=3)
    one = jn.compare(scores, metric="accuracy").set_index("placement")
    two = jn.compare(shuffled, metric="accuracy").set_index("placement")
    two["e_value"] = one["e_value"]  # which is of the order in which runs were made
    pd.testing.assert_frame_equal(one, two.loc[one.index], check_exact=True)


def test_rows_do_not_depend_on_other_rows():
    """But for the adjustment of p: draws of a row are its own."""
    scores = {("none", 0.0): draw(0, (25, 1))}
    scores |= {("input", s): draw(i, (25, 1), s) for i, s in enumerate((0.1, 0.3), 1)}
    both = jn.compare(table(scores), metric="accuracy")
    del scores["input", 0.1]
    alone = jn.compare(table(scores), metric="accuracy")
    same = [column for column in COLUMNS if column not in ("p_holm", "verdict")]
    pd.testing.assert_frame_equal(
        both.iloc[[0, 2]][same].reset_index(drop=True), alone[same], check_exact=True
    )
    assert both.loc[2, "p_holm"] >= alone.loc[1, "p_holm"] == alone.loc[1, "p"]


def test_columns_beside_the_interval():
    a, b = draw(0, (12, 1)), draw(1, (12, 1), 0.5)
    row = jn.compare(
        table({("none", 0.0): a, ("input", 0.1): b}), metric="accuracy"
    ).iloc[1]
    d = (b - a)[:, 0]
    wins = (d > 0).mean()
    assert row["win_probability"] == wins
    assert (row["win_low"], row["win_high"]) == wilson(wins, 12.0)
    assert row["p"] == row["p_holm"] == sign_flip_p(d, np.random.default_rng(0))
    assert row["e_value"] == pytest.approx(np.exp(log_e(d)[-1]))
    assert (row["median_difference"], row["worst_pair"]) == (np.median(d), d.min())
    assert row["iqm"] == pytest.approx(np.sort(b[:, 0])[3:-3].mean())


def test_the_key_flips():
    """The signs beyond 20 units; all else is exact."""
    scores = table({("none", 0.0): draw(0, (25, 1)), ("a", 0.1): draw(1, (25, 1), 0.4)})
    default, zero, other = (
        jn.compare(scores, metric="accuracy", key=key)
        for key in (None, jax.random.key(0), jax.random.key(1))
    )
    pd.testing.assert_frame_equal(default, zero, check_exact=True)
    assert zero.loc[1, "p"] != other.loc[1, "p"]
    assert zero.loc[1, "p"] == pytest.approx(other.loc[1, "p"], abs=0.02)
    exact = [c for c in COLUMNS if c not in ("p", "p_holm")]
    pd.testing.assert_frame_equal(zero[exact], other[exact], check_exact=True)


def test_seed_noise_within_splits_is_no_evidence():
    """40 seeds of one lucky split of two: two units, whatever the seeds agree on."""
    a = np.zeros((40, 2))
    b = a + [1.0, 0.0] + draw(0, (40, 2)) / 100
    rows = jn.compare(table({("none", 0.0): a, ("input", 0.1): b}), metric="accuracy")
    assert rows.loc[1, "n"] == 2
    assert rows.loc[1, "verdict"] == "none"
    assert rows.loc[1, "low"] < 0 < rows.loc[1, "high"]
    assert rows.attrs["unit"] == "split"


def test_pairs_are_by_seed_and_split():
    """Runs of other seeds or splits are nobody's partner."""
    a, b = draw(0, (3, 4)), draw(1, (3, 4))
    scores = table({("none", 0.0): a, ("input", 0.1): b})
    scores = scores.drop(index=[0, 12 + 11])  # none: seed 0, split 0; input: 2, 3
    row = jn.compare(scores, metric="accuracy").iloc[1]
    d = b - a
    d[0, 0] = d[2, 3] = np.nan
    assert row["difference"] == pytest.approx(np.nanmean(d, axis=0).mean())
    assert row["n"] == 4


def test_pair_by_other_columns():
    a, b = draw(0, (12, 1)), draw(1, (12, 1))
    scores = table({("none", 0.0): a, ("input", 0.1): b}).drop(columns="split")
    expected = jn.compare(scores, metric="accuracy")
    named = scores.rename(columns={"seed": "subject"})
    for pair_by in ("subject", ["subject"], ("subject", "split")):
        rows = jn.compare(named, metric="accuracy", pair_by=pair_by)
        pd.testing.assert_frame_equal(rows, expected)
        assert rows.attrs["unit"] in ("subject", "subject and split")
    twice = pd.concat([named.assign(task="x"), named.assign(task="y")])
    with pytest.raises(ValueError, match="runs must differ in subject, got repeats"):
        jn.compare(twice, metric="accuracy", pair_by="subject")
    assert (
        jn.compare(twice, metric="accuracy", pair_by=("subject", "task"))["n"][1] == 24
    )


def test_the_split_is_the_unit_when_there_are_several():
    a, b = draw(0, (3, 8)), draw(1, (3, 8))
    rows = jn.compare(table({("none", 0.0): a, ("input", 0.1): b}), metric="accuracy")
    assert rows["n"].tolist() == [8, 8]
    interval = ttest_1samp((b - a).mean(axis=0), 0).confidence_interval(0.95)
    np.testing.assert_allclose(rows.loc[1, ["low", "high"]].to_list(), interval)


def test_diverged_runs_lose_their_pair():
    a, b = draw(0, (6, 1)), draw(1, (6, 1))
    b[2], a[4] = np.nan, np.inf
    rows = jn.compare(table({("none", 0.0): a, ("input", 0.1): b}), metric="accuracy")
    assert rows["diverged"].tolist() == [1, 1]
    assert rows["n"].tolist() == [5, 4]  # the baseline's own, and pairs
    kept = [0, 1, 3, 5]
    np.testing.assert_allclose(rows.loc[1, "difference"], (b - a)[kept].mean())


def test_a_run_without_the_metric_has_not_diverged():
    scores = table({("none", 0.0): draw(0, (3, 1)), ("input", 0.1): draw(1, (3, 1))})
    scores.loc[scores["placement"] == "input", "accuracy"] = np.nan
    rows = jn.compare(scores.assign(finite=True), metric="accuracy")
    assert rows["n"].tolist() == [3, 0]
    assert rows["diverged"].tolist() == [0, 0]


def test_tied_and_single_differences():
    a = draw(0, (5, 1))
    tied = jn.compare(table({("none", 0.0): a, ("input", 0.1): a}), metric="accuracy")
    assert tied.loc[1, ["difference", "low", "high"]].to_list() == [0, 0, 0]
    one = table({("none", 0.0): a[:1], ("input", 0.1): a[:1] + 1})
    rows = jn.compare(one, metric="accuracy")
    assert rows.loc[1, "difference"] == pytest.approx(1)
    assert rows.loc[1, ["low", "high"]].isna().all()


def test_other_baselines_and_tables_without_splits():
    scores = table({("plain", 0.0): draw(0, (6, 1)), ("input", 0.1): draw(1, (6, 1))})
    rows = jn.compare(scores.drop(columns="split"), metric="accuracy", baseline="plain")
    assert rows.loc[0, "placement"] == "plain"
    assert np.isnan(rows.loc[0, "difference"])


def rows_of(a, b, metric="accuracy", **arguments):
    scores = table({("none", 0.0): a, ("input", 0.1): b})
    return jn.compare(
        scores.rename(columns={"accuracy": metric}), metric=metric, **arguments
    )


@pytest.mark.parametrize(
    ("metric", "lower"),
    [("test_loss", True), ("test_accuracy", False), ("neg_log_loss", False)],
)
def test_losses_are_better_when_lower(metric, lower):
    a, b = draw(0, (15, 1)), draw(1, (15, 1), -2.0)
    row = rows_of(a, b, metric).iloc[1]
    assert row["difference"] == pytest.approx((b - a).mean())
    assert row["verdict"] == ("better" if lower else "worse")
    assert row["win_probability"] == ((b < a) if lower else (b > a)).mean()
    other = rows_of(a, b, metric, lower_is_better=not lower).iloc[1]
    assert other["verdict"] == ("worse" if lower else "better")
    assert other["win_probability"] == 1 - row["win_probability"]
    unsigned = ["difference", "low", "high", "median_difference", "p", "e_value"]
    assert row[unsigned].tolist() == other[unsigned].tolist()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"units": 5, "interval": (1.0, 2.0), "p_holm": 0.001}, "none"),
        ({"units": 5, "interval": (0.0, 1.0), "p_holm": 1.0, "p_alike": 0.0}, "none"),
        ({"lost": 0.051, "interval": (1.0, 2.0), "p_holm": 0.001}, "none"),
        ({"lost": 0.05, "interval": (1.0, 2.0), "p_holm": 0.001}, "better"),
        ({"units": 6, "interval": (1.0, 2.0), "p_holm": 0.001}, "better"),
        ({"interval": (1.0, 2.0), "p_holm": 0.001, "p_alike": 0.04}, "equivalent"),
        ({"interval": (1.0, 2.0), "p_holm": 0.001, "p_alike": 0.05}, "better"),
        ({"interval": (-1.0, 2.0), "p_holm": 1.0, "p_alike": 0.06}, "no evidence"),
        ({"interval": (-2.0, -1.0), "p_holm": 0.049}, "worse"),
        ({"interval": (1.0, 2.0), "p_holm": 0.05}, "no evidence"),
        ({"interval": (-1.0, 2.0), "p_holm": 0.01}, "no evidence"),
        ({"interval": (0.0, 2.0), "p_holm": 0.01}, "no evidence"),
        ({"interval": (1.0, 2.0), "p_holm": 0.01, "lower_is_better": True}, "worse"),
        ({"interval": (-2.0, -1.0), "p_holm": 0.01, "lower_is_better": True}, "better"),
        ({"interval": (np.nan, np.nan), "p_holm": np.nan}, "no evidence"),
    ],
)
def test_verdict_is_the_first_rule_that_holds(arguments, expected):
    assert verdict(**{"units": 10, "lost": 0.0} | arguments) == expected


def test_verdicts_of_a_table():
    a = draw(0, (20, 1)) / 10
    scores = {
        ("none", 0.0): a,
        ("input", 0.1): a + 1 + draw(1, (20, 1)) / 10,
        ("input", 0.3): a - 1 + draw(2, (20, 1)) / 10,
        ("hidden", 0.1): a + draw(3, (20, 1)) / 100,
        ("hidden", 0.3): a + draw(4, (20, 1)),
    }
    rows = jn.compare(table(scores), metric="accuracy", rope=0.05)
    expected = ["baseline", "better", "worse", "equivalent", "no evidence"]
    assert rows["verdict"].tolist() == expected
    assert (rows["p_holm"][1:] >= rows["p"][1:]).all()
    worst = rows["p"][1:3].min()
    assert worst < 1e-4
    assert rows["p_holm"][1:3].min() == pytest.approx(4 * worst)


def test_lost_pairs_take_the_verdict():
    """One of 20 is 5 %, two are more; a diverged baseline loses pairs too."""
    for at, expected in (([(1, 0)], "better"), ([(1, 0), (0, 1)], "none")):
        scores = np.stack([draw(0, (20, 1)) / 10, draw(1, (20, 1)) / 10 + 1])
        for cell, seed in at:
            scores[cell, seed] = np.nan
        rows = rows_of(*scores)
        assert rows["verdict"].tolist() == ["baseline", expected]
        assert rows["n"][1] == 20 - len(at)
        assert rows["diverged"].sum() == len(at)


def test_absent_runs_are_lost_as_diverged_ones_are():
    """Every seed and split of the table is expected of every placement."""
    a, b = draw(0, (10, 4)), draw(1, (10, 4), 1.0)
    scores = table({("none", 0.0): a, ("input", 0.1): b})
    gone = [40 + 5, 40 + 17, 3]
    absent = jn.compare(scores.drop(index=gone[1:]), metric="accuracy")
    scores.loc[gone[1:], "accuracy"] = np.nan
    diverged = jn.compare(scores, metric="accuracy")
    assert absent["lost"].tolist() == diverged["lost"].tolist() == [1, 2]
    assert absent["diverged"].tolist() == [0, 0]
    columns = [c for c in COLUMNS if c != "diverged"]
    pd.testing.assert_frame_equal(absent[columns], diverged[columns])
    assert "lost" in str(absent).splitlines()[0].split()
    scores.loc[gone[0], "accuracy"] = np.nan  # 3 of 40 are too many
    assert jn.compare(scores, metric="accuracy").loc[1, "verdict"] == "none"


def test_lost_pairs_count_against_the_mean():
    for sign in (1, -1):
        d = sign * (draw(0, (20, 1)) + 0.5)
        lost = np.where(np.arange(20)[:, None] == 7, np.nan, d)
        row = rows_of(np.zeros((20, 1)), lost).iloc[1]
        d[7] = -sign * np.nanmax(np.abs(lost))
        expected = sign_flip_p(d[:, 0], np.random.default_rng(0))
        assert row["p"] == expected
        assert row["e_value"] == pytest.approx(np.exp(log_e(d[:, 0])[-1]))
        assert row["difference"] == pytest.approx(np.nanmean(lost))


def test_lost_pairs_speak_for_no_side():
    """The worst 5 % of 1,000: what is left looks better, and the lost ones are not
    evidence that it is worse.
    """
    d = np.sort(draw(0, (1_000, 1)), axis=0)
    d[:50] = np.nan
    row = rows_of(np.zeros((1_000, 1)), np.random.default_rng(1).permutation(d)).iloc[1]
    assert row["low"] > 0
    assert row["p"] > 0.9
    assert row["verdict"] == "no evidence"


def test_ties_are_a_finding_and_never_equivalent():
    """A step of 0.25, exact in any float, in 30 of 30 pairs."""
    a = draw(0, (30, 1)).round(1)
    row = rows_of(a, a + 0.25, rope=1.0).iloc[1]
    assert row["p"] == 2 / 2**30
    assert row["verdict"] == "better"
    assert rows_of(a, a, rope=1.0).loc[1, "verdict"] == "no evidence"


def alike_p(d, rope):
    """SciPy's two one-sided tests."""
    less = ttest_1samp(d, rope, alternative="less").pvalue
    return max(less, ttest_1samp(d, -rope, alternative="greater").pvalue)


def test_equivalence_is_two_one_sided_tests_under_holm():
    a = np.zeros((12, 1))
    cells = {("input", float(i)): draw(i, (12, 1)) for i in range(1, 9)}
    for rope in (0.6, 0.8, 1.0, 1.15):
        rows = jn.compare(
            table({("none", 0.0): a, **cells}), metric="accuracy", rope=rope
        )
        p = holm([alike_p(d[:, 0], rope) for d in cells.values()])
        assert ((rows["verdict"] == "equivalent")[1:] == (p < 0.05)).all()
    assert 0 < (p < 0.05).sum() < 8
    for n, lost, said in (
        (10, 0, "equivalent"),
        (9, 0, "no evidence"),
        (40, 1, "no evidence"),
    ):
        b = draw(3, (n, 1)) / 10
        b[:lost] = np.nan
        assert rows_of(np.zeros((n, 1)), b, rope=1.0).loc[1, "verdict"] == said
    b = draw(3, (4, 10)) / 10  # four seeds in each of ten splits
    assert rows_of(np.zeros((4, 10)), b, rope=1.0).loc[1, "verdict"] == "equivalent"
    b[0, 0] = np.nan
    assert rows_of(np.zeros((4, 10)), b, rope=1.0).loc[1, "verdict"] == "no evidence"


def test_several_metrics_are_one_family():
    shape, gains = (12, 1), (0.0, 1.0, 0.6)
    scores = table(
        {("x" if g else "none", g): draw(i, shape, g) for i, g in enumerate(gains)}
    )
    scores["loss"] = -scores["accuracy"] + draw(9, len(scores)) / 2
    names = ["accuracy", "loss"]
    rows = jn.compare(scores, metric=names)
    assert rows["metric"].tolist() == ["accuracy"] * 3 + ["loss"] * 3
    alone = {name: jn.compare(scores, metric=name) for name in names}
    p = pd.concat([alone[name]["p"] for name in names])
    np.testing.assert_array_equal(rows["p"], p)
    np.testing.assert_array_equal(rows["p_holm"], holm(p))
    for name in names:
        part = rows.of(name)
        assert part.attrs == alone[name].attrs
        same = [c for c in COLUMNS if c not in ("p_holm", "verdict")]
        pd.testing.assert_frame_equal(
            part[same].reset_index(drop=True), alone[name][same]
        )
        assert [c.key for c in part.cells] == [c.key for c in alone[name].cells]
    assert len(rows.cells) == 6
    assert "accuracy: higher is better\nloss: lower is better\nmore columns" in str(
        rows
    )
    more = part["p_holm"].to_numpy() > alone["loss"]["p_holm"].to_numpy()
    assert more[1:].all()
    with pytest.raises(
        ValueError, match="metric must be 'accuracy' or 'loss', got 'x'"
    ):
        rows.of("x")
    ax = jn.plots.forest(rows, metric="loss")
    assert "difference to none in loss" in ax.get_xlabel()
    moving = jn.compare(scores, metric=names, stop="anytime")
    assert (moving["p_holm"] >= moving["p"])[[1, 2, 4, 5]].all()


def test_stop_is_said_or_carried_by_the_runs():
    a, b = draw(0, (25, 1)), draw(1, (25, 1), 4.0)
    scores = table({("none", 0.0): a, ("x", 0.1): b, ("y", 0.1): draw(2, (25, 1))})
    rows = jn.compare(scores, metric="accuracy", stop="anytime", rope=2.0)
    logs = np.array([log_e((b - a)[:, 0]), log_e((draw(2, (25, 1)) - a)[:, 0])])
    np.testing.assert_allclose(rows["p"][1:], np.exp(-logs.max(1)))
    np.testing.assert_allclose(rows["p_holm"][1:], np.exp(-e_holm(logs).max(1)))
    np.testing.assert_allclose(rows["e_value"][1:], np.exp(logs[:, -1]))
    ends = confidence_sequence((b - a)[:, 0])
    np.testing.assert_allclose(rows.loc[1, ["low", "high"]].tolist(), ends)
    assert rows["verdict"].tolist() == ["baseline", "better", "equivalent"]
    assert "holds at any number of seeds" in str(rows)
    scores.attrs["stop"] = "anytime"
    carried = jn.compare(scores, metric="accuracy", rope=2.0)
    pd.testing.assert_frame_equal(carried, rows)
    fixed = jn.compare(scores, metric="accuracy", stop="fixed")
    assert (fixed.loc[1, "p"], fixed.attrs["stop"]) == (1 / (1 + 100_000), "fixed")


def test_the_process_takes_units_in_their_order():
    """That of the table, and not that of the seeds' numbers."""
    b = draw(1, (12, 1), 1.0)
    scores = table({("none", 0.0): np.zeros((12, 1)), ("input", 0.1): b})
    turned = scores[::-1].reset_index(drop=True)
    row = jn.compare(turned, metric="accuracy").set_index("placement").loc["input"]
    assert row["e_value"] == pytest.approx(np.exp(log_e(b[::-1, 0])[-1]))


def test_skewed_differences_are_warned_of():
    """From 20 units on, where they are fewer than 25 times the squared skewness."""
    b = np.zeros((19, 1))
    b[3] = 5.0
    rows_of(np.zeros((19, 1)), b)  # nobody can tell
    b = np.append(b, [[0.0]], axis=0)
    told = r"from more units on: input, 0.1 \(4\d\d\); look at the median and the worst"
    with pytest.warns(UserWarning, match=told):
        rows = rows_of(np.zeros((20, 1)), b)
    assert rows.loc[1, ["median_difference", "worst_pair"]].tolist() == [0, 0]
    rows_of(np.zeros((400, 1)), np.tile(b, (25, 1))[:400] + draw(0, (400, 1)))


def test_what_the_finite_column_says():
    a, b = draw(0, (12, 1)), draw(1, (12, 1))
    scores = table({("none", 0.0): a, ("input", 0.1): b})
    flags = np.arange(24) != 15  # seed 3 of input diverged, but has a score
    for column in (flags, flags.astype(int), pd.array(flags, dtype="boolean")):
        rows = jn.compare(scores.assign(finite=column), metric="accuracy")
        assert rows["n"].tolist() == [12, 11]
        assert rows["diverged"].tolist() == [0, 1]
        assert rows.loc[1, "mean"] == pytest.approx(np.delete(b, 3).mean())
    scores.loc[15, "accuracy"] = np.inf
    rows = jn.compare(scores.assign(finite=True), metric="accuracy")
    assert rows["diverged"].tolist() == [0, 1]


def test_tied_but_for_rounding():
    a = draw(0, (3, 10)) + 0.7
    for b in (a + 0.02, a.astype(np.float32) + np.float32(0.02)):
        base = a if b.dtype == float else a.astype(np.float32)
        row = rows_of(base.astype(float), b.astype(float), rope=0.03).iloc[1]
        assert row["difference"] == pytest.approx(0.02, abs=1e-6)
        assert (row[["low", "high"]] == row["difference"]).all()
        assert row["p"] == row["p_holm"] == 2 / 2**10
        assert row["verdict"] == "better"  # ties are never equivalent


def test_one_exploded_run_makes_no_ties_elsewhere():
    """A loss of 1e30 is finite; rounding there is none of the others' business."""
    a, b = draw(0, (12, 1)).astype(np.float32), draw(1, (12, 1)).astype(np.float32)
    scores = {("none", 0.0): a, ("input", 0.1): b}
    plain = jn.compare(table(scores), metric="accuracy")
    wild = jn.compare(table(scores | {("x", 1.0): b * 1e30}), metric="accuracy")
    columns = ["difference", "low", "high", "win_probability", "p"]
    pd.testing.assert_series_equal(plain.loc[1, columns], wild.loc[1, columns])
    b[3] = 1e30
    wild = jn.compare(table(scores | {("input", 0.1): b}), metric="accuracy")
    assert wild.loc[1, "win_probability"] == (b > a).mean()


def test_float32_and_text_of_it_give_the_same_table(tmp_path):
    """Accuracies of 70 rows tie in sums, which rounding must not hide."""
    draws = np.random.default_rng(0)
    hits = draws.integers(50, 60, (2, 12))
    exact = table({("none", 0.0): hits[0][:, None], ("a", 0.1): hits[1][:, None]})
    single = exact.assign(
        accuracy=exact["accuracy"].astype(np.float32) / np.float32(70)
    )
    single.to_csv(tmp_path / "scores.csv", index=False)
    p = [
        jn.compare(scores, metric="accuracy").loc[1, ["p", "win_probability"]].tolist()
        for scores in (
            exact.assign(accuracy=exact["accuracy"].astype(float)),
            exact.assign(accuracy=exact["accuracy"] / 70),
            single,
            single.assign(accuracy=single["accuracy"].astype(float)),
            pd.read_csv(tmp_path / "scores.csv"),
        )
    ]
    assert p[0] == p[1] == p[2] == p[3] == p[4]


@pytest.mark.parametrize("scale", [1e-200, 1e160, 1e290])
def test_scores_of_any_size(scale):
    """Squares of them leave the range of numbers, and the answer must not."""
    a, b = draw(0, (12, 1)), draw(1, (12, 1), 0.5)
    scale = 2.0 ** round(np.log2(scale))  # exact
    plain, scaled = rows_of(a, b).iloc[1], rows_of(a * scale, b * scale).iloc[1]
    sized = ["mean", "sd", "median", "iqm", *COLUMNS[7:12]]
    np.testing.assert_allclose(
        (scaled[sized] / scale).tolist(), plain[sized].tolist(), rtol=1e-14
    )
    same = ["n", "win_probability", "win_low", "win_high", "p", "verdict"]
    assert scaled[same].tolist() == plain[same].tolist()


def test_what_no_sum_can_hold_has_diverged():
    a, b = draw(0, (12, 1)), draw(1, (12, 1))
    b[3] = 1e305
    rows = rows_of(a, b)
    assert rows["diverged"].tolist() == [0, 1]
    assert rows["n"].tolist() == [12, 11]


def test_strengths_that_differ_by_rounding_are_one():
    """Such as those of two tables, one of which was float32; the short one is told."""
    a, b = draw(0, (12, 1)), draw(1, (12, 1))
    scores = table({("none", 0.0): a, ("input", 0.1): b, ("hidden", 0.3): b})
    rounded = scores["strength"].to_numpy().copy()
    rounded[12:18] = np.float32(0.1)
    rounded[18:20] = 0.1 + 1e-17 * 4
    rounded[30:] = np.nextafter(0.3, 1)
    one = jn.compare(scores, metric="accuracy")
    two = jn.compare(scores.assign(strength=rounded), metric="accuracy")
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    near = scores["strength"].to_numpy().copy()
    near[12:18] = 0.1000001  # another strength: as near as float32 can tell
    rows = jn.compare(scores.assign(strength=near), metric="accuracy")
    assert rows["strength"].tolist() == [0.0, 0.1000001, 0.1, 0.3]
    with pytest.raises(ValueError, match="got repeats in input 0.1"):
        again = scores.assign(strength=scores["strength"].astype(np.float32))
        jn.compare(pd.concat([scores, again[12:24]]), metric="accuracy")


def test_a_million_rows_take_linear_memory():
    """Of 20,000 units no two are ever looked at together."""
    import tracemalloc

    a, b = draw(0, (20_000, 1)), draw(1, (20_000, 1), 0.1)
    columns = {"seed": np.tile(np.arange(20_000), 2), "accuracy": np.r_[a, b][:, 0]}
    scores = pd.DataFrame(columns).assign(strength=np.repeat([0.0, 0.1], 20_000))
    scores["placement"] = np.repeat(["none", "input"], 20_000)
    tracemalloc.start()
    rows = jn.compare(scores, metric="accuracy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert rows.loc[1, "verdict"] == "better"


def test_overlap_is_the_corrected_t():
    a, b = draw(0, (1, 10)), draw(1, (1, 10), 1.0)
    plain, none, corrected = (
        rows_of(a, b, overlap=o).iloc[1] for o in (None, 0.0, 0.25)
    )
    pd.testing.assert_series_equal(plain, none)
    d = (b - a)[0]
    t = d.mean() / np.sqrt((1 / 10 + 0.25) * d.var(ddof=1))
    assert corrected["p"] == pytest.approx(2 * student.sf(abs(t), 9))
    ratio = np.sqrt(1 + 10 * 0.25)
    wider = (corrected["high"] - corrected["low"]) / (plain["high"] - plain["low"])
    assert wider == pytest.approx(ratio)
    assert np.isnan(corrected["e_value"])
    with pytest.raises(ValueError, match="needs independent units, got splits that ov"):
        rows_of(a, b, overlap=0.25, stop="anytime")
    assert corrected["win_low"] < plain["win_low"]
    assert corrected["difference"] == plain["difference"]


@pytest.mark.filterwarnings("error")
def test_few_units_warn_once():
    a, b = draw(0, (9, 3)), draw(1, (9, 3))
    scores = table({("none", 0.0): a, ("x", 0.1): b, ("x", 0.3): b})
    with pytest.warns(
        UserWarning, match="^compare: 3 units are few: below 10 "
    ) as seen:
        jn.compare(scores, metric="accuracy")  # three splits
    assert len(seen) == 1
    assert "\n" not in str(seen[0].message)
    with pytest.warns(UserWarning, match="compare: 9 units are few"):
        jn.compare(scores[scores["split"] == 0], metric="accuracy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows_of(draw(0, (10, 1)), draw(1, (10, 1)))
        only = table({("none", 0.0): a[:, :1]})
        assert jn.compare(only, metric="accuracy")["n"].tolist() == [9]


@pytest.mark.filterwarnings("error")
def test_too_many_comparisons_warn_once():
    """Of n units p is at least 2 / 2^n, times the number of comparisons."""
    seen = []
    for n, comparisons in ((10, 25), (10, 26), (6, 2), (5, 2)):
        scores = {("none", 0.0): draw(0, (n, 1)) / 10}
        scores |= {("x", float(i)): draw(i, (n, 1), 9.0) for i in range(comparisons)}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rows = jn.compare(table(scores), metric="accuracy")
            jn.compare(table(scores), metric="accuracy", overlap=1e-9)
        seen.append([str(each.message) for each in caught])
        possible = (n, comparisons) == (10, 25)
        assert ("better" in set(rows["verdict"])) == possible
    few = "units are few: below 10 intervals are a guide, and below"
    no = "there is no verdict"
    stuck = (
        "no verdict of better or worse is possible, however large the difference: it"
    )
    assert seen == [
        [],
        [f"compare: with 26 comparisons of 10 seeds {stuck} takes 11."],
        [
            f"compare: 6 {few} 6 {no}; with 2 comparisons of 6 seeds {stuck} takes 7.",
            f"compare: 6 {few} 5 {no}.",
        ],
        [f"compare: 5 {few} {least} {no}." for least in (6, 5)],
    ]


def test_five_folds_that_overlap_have_a_verdict():
    """Folds that correlate by 1/k, for which the corrected t is exact, and a shift."""
    rng, draws, k = np.random.default_rng(0), 4000, 5
    own, shared = rng.normal(size=(draws, k)), rng.normal(size=(draws, 1))
    d = np.sqrt(1 - 1 / k) * own + np.sqrt(1 / k) * shared
    t = t_interval(d, overlap=1 / (k - 1))
    said = [
        verdict(k, 0.0, (low, high), p, least=LEAST_FOLDS)
        for low, high, p in zip(t.low, t.high, t.p, strict=True)
    ]
    wrong = np.mean([each in ("better", "worse") for each in said])
    assert wrong == pytest.approx(0.05, abs=5 * np.sqrt(0.05 * 0.95 / draws))
    for folds, expected in ((5, "better"), (4, "none")):
        a = draw(0, (1, folds)) / 100
        scores = {("none", 0.0): a, ("x", 0.1): a + 0.1 + draw(1, (1, folds)) / 100}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = jn.compare(table(scores), metric="accuracy", overlap=1 / (folds - 1))
        assert rows["verdict"].tolist() == ["baseline", expected]


@pytest.mark.bad_input  # a type checker stands between caller and callee
def test_the_warning_points_at_the_caller():
    with pytest.warns(UserWarning, match="are few") as seen:
        rows_of(draw(0, (3, 1)), draw(1, (3, 1)))
    assert seen[0].filename == __file__


def test_the_table_says_what_it_is_of():
    rows = rows_of(draw(0, (12, 1)), draw(1, (12, 1)), "loss", rope=0.1)
    assert rows.attrs == {
        "metric": "loss",
        "baseline": "none",
        "unit": "seed",
        "lower_is_better": True,
        "rope": 0.1,
        "overlap": None,
        "rows": None,
        "stop": "fixed",
    }


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"metric": "acuracy"},
            ValueError,
            r"metric must be a column .* got 'acuracy'",
        ),
        ({"metric": "placement"}, ValueError, "column of numbers, got 'placement'"),
        ({"baseline": "non"}, ValueError, r"placements \(none, input\), got 'non'"),
        ({"baseline": "input"}, ValueError, "baseline 'input' must have one strength"),
        (
            {"result_or_table": [1]},
            TypeError,
            "must be a SweepResult or a pandas table",
        ),
        ({"metric": {"accuracy"}}, ValueError, r"metric must be .* got \{'accuracy'\}"),
        ({"metric": ["accuracy", "loss"]}, ValueError, "metric must be .* got 'loss'"),
        ({"metric": []}, ValueError, "metric must name at least one column, got none"),
        ({"rope": -0.1}, ValueError, "rope must be finite and >= 0, got -0.1"),
        ({"rope": np.nan}, ValueError, "rope must be finite and >= 0, got nan"),
        ({"rope": "a"}, TypeError, "rope must be a number or None, got 'a'"),
        ({"overlap": -1}, ValueError, "overlap must be finite and >= 0, got -1"),
        ({"overlap": True}, TypeError, "overlap must be a number or None, got True"),
        ({"stop": "never"}, ValueError, "stop must be 'fixed', 'anytime' or None, got"),
        ({"pair_by": ("seed", "fold")}, ValueError, "must have a column 'fold', got"),
        ({"pair_by": ()}, ValueError, "pair_by must name at least one column"),
        ({"key": 0}, TypeError, r"key must be a typed key, .* got 0"),
        ({"key": np.zeros(2, np.uint32)}, TypeError, "key must be a typed key"),
        (
            {"key": jax.random.key(0, impl="rbg")},
            TypeError,
            "key must be a threefry2x32 key, got one of rbg",
        ),
        (
            {"key": jax.random.split(jax.random.key(0))},
            ValueError,
            r"key must be a single key, got an array of shape \(2,\)",
        ),
    ],
)
def test_bad_arguments(change, error, message):
    scores = {("none", 0.0): draw(0, (6, 1))}
    scores |= {("input", s): draw(1, (6, 1)) for s in (0.1, 0.3)}
    arguments = {"result_or_table": table(scores), "metric": "accuracy"} | change
    with pytest.raises(error, match=message):
        jn.compare(arguments.pop("result_or_table"), **arguments)


@pytest.mark.bad_input
def test_bad_tables():
    scores = table({("none", 0.0): draw(0, (6, 1)), ("input", 0.1): draw(1, (6, 1))})
    with pytest.raises(ValueError, match="runs must differ in seed or split"):
        jn.compare(pd.concat([scores, scores]), metric="accuracy")
    for column in ("seed", "placement", "strength"):
        with pytest.raises(ValueError, match=f"must have a column '{column}', got"):
            jn.compare(scores.drop(columns=column), metric="accuracy")
    for column in ("seed", "placement"):
        holes = scores.assign(**{column: scores[column].where(scores.index > 2)})
        with pytest.raises(ValueError, match=f"column '{column}' must be filled"):
            jn.compare(holes, metric="accuracy")
    other = scores.assign(seed=scores["seed"] + 100 * (scores["placement"] == "input"))
    with pytest.raises(ValueError, match="input 0.1 must share seed and split with a"):
        jn.compare(other, metric="accuracy")
    with pytest.raises(ValueError, match="'finite' must hold True and False, got"):
        jn.compare(scores.assign(finite="yes"), metric="accuracy")
    with pytest.raises(ValueError, match="must have each column once"):
        jn.compare(pd.concat([scores, scores], axis=1), metric="accuracy")
    with pytest.raises(ValueError, match="column of numbers, got 'accuracy'"):
        jn.compare(scores.assign(accuracy=1j), metric="accuracy")
    crossed = scores.assign(split=(scores["placement"] == "input").astype(int))
    with pytest.raises(ValueError, match="pair_by must pair runs of one split"):
        jn.compare(crossed, metric="accuracy", pair_by="seed")
    with pytest.raises(ValueError, match=r"one of the placements \(\), got 'none'"):
        jn.compare(scores.iloc[:0], metric="accuracy")
