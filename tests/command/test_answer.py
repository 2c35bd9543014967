"""The sentence says what `select` and `compare` say, and no more."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from jaxnoise.command.answer import answer
from jaxnoise.command.methods import METHODS, NOISE, NONE, Size, candidates_of
from jaxnoise.command.tuning import Tuned

SIZE = Size(inner=2, seeds=2, candidates=8, boosted=4, epochs=5, batch=32)
FOLDS = 5


def question(**given):
    facts = {"y": np.zeros(400), "classification": True, "tested": None}
    return SimpleNamespace(**{**facts, "scoring": "accuracy", **given})


def tuned(seed=0, folds=FOLDS, *, sd=0.01, gain=0.0, rival=0.0, **tried):
    """Scores of no training: a fold's luck, each run's, and what a method gains."""
    rng = np.random.default_rng(seed)
    gains = {NOISE: gain, "boosting": rival, "linear": -0.1}
    candidates, rows = {}, []
    for fold in range(folds):
        luck = rng.normal(0.8, 0.03)
        for method in METHODS:
            network = method in (NONE, NOISE)
            mine = candidates[fold, method] = candidates_of(method, True, SIZE)
            for i in range(len(mine)):
                for inner in range(SIZE.inner):
                    for one in range(SIZE.seeds if network else 1):
                        scores = luck + gains.get(method, 0.0) + rng.normal(0, sd, 2)
                        rows.append(
                            (method, i, fold * SIZE.inner + inner, one, *scores)
                        )
    names = ["method", "candidate", "split", "seed", "validation", "test"]
    table = pd.DataFrame(rows, columns=names)
    table = table.assign(fold=table["split"] // SIZE.inner, seconds=0.0)
    return Tuned(table, candidates, SIZE, folds, 0.25, 1.0)


def test_a_gain_is_told_with_its_interval():
    found = answer(question(), tuned(gain=0.05))
    assert found.helps and found.rows_needed is None
    selection = found.selection
    ends = 100 * selection.difference_low, 100 * selection.difference_high
    assert (
        f"raises accuracy by {100 * selection.difference:.1f} points "
        f"({ends[0]:.1f} to {ends[1]:.1f}; 5 folds); chosen on inner folds, "
        "reported on outer ones."
    ) in found.sentences[0]
    assert len(found.sentences) == 1


def test_the_gain_is_that_of_each_fold_s_own_choice():
    work = tuned(gain=0.01)
    scores = work.scores
    differences = []
    for fold in range(FOLDS):
        mine = scores[scores["fold"] == fold]
        means = mine.groupby(["method", "candidate"])[["validation", "test"]].mean()
        chosen = {
            method: means.loc[method].sort_values("validation").iloc[-1]
            for method in (NONE, NOISE)
        }
        best = max(chosen.values(), key=lambda row: row["validation"])
        differences.append(best["test"] - chosen[NONE]["test"])
    found = answer(question(), work).selection
    assert found.difference == pytest.approx(np.mean(differences))
    assert found.choices["difference"].to_numpy() == pytest.approx(differences)


def only(work, cells):
    """Inner folds choose these candidates with noise, which alone gain."""
    scores = work.scores
    chosen = scores["fold"].map(dict(enumerate(cells))) == scores["candidate"]
    noisy = scores["method"] == NOISE
    scores.loc[noisy & chosen, ["validation", "test"]] += 0.1
    return noisy & ~chosen


def test_one_place_is_named_where_all_folds_chose_it():
    work = tuned(sd=0.001)
    only(work, [1] * FOLDS)
    told = answer(question(), work).sentences[0]
    assert told.startswith("Noise of standard deviation 0.1 on the inputs raises")


def test_a_gain_of_choosing_is_no_gain_of_one_place():
    work = tuned(sd=0.001)
    only(work, [0, 1, 1, 2, 4])
    found = answer(question(), work)
    assert found.sentences[0].startswith(
        "Noise as each fold chose it, most often noise of standard deviation 0.1 on "
        "the inputs, in 2 of 5, raises accuracy by "
    )


def test_a_network_is_offered_also_where_folds_together_choose_none():
    work = tuned(sd=0.001)
    others = only(work, [0, 1, 2, 3, 4])
    work.scores.loc[others, "validation"] -= 1
    found = answer(question(), work)
    assert found.helps and not any("none" in name for name in found.params)


def test_a_proven_loss_asks_for_no_more_rows():
    work = tuned(gain=-0.2, sd=0.05)
    work.scores.loc[work.scores["method"] == NOISE, "validation"] += 1
    found = answer(question(), work)
    assert found.selection.verdict == "worse" and found.rows_needed is None


def test_no_gain_is_no_and_how_many_rows_would_tell():
    found = answer(question(), tuned(sd=0.1))
    half = (found.selection.difference_high - found.selection.difference_low) / 2
    assert not found.helps and found.sentences[0].startswith("No: ")
    assert found.rows_needed == pytest.approx(400 * (half / 0.01) ** 2, rel=0.06)
    assert found.sentences[1].startswith("These 400 rows tell it to ± ")
    assert found.sentences[1].endswith(
        f"it would take about {found.rows_needed:,} rows."
    )


def test_a_loss_is_a_no():
    work = tuned(gain=-0.2, sd=0.001)
    chose = (work.scores["method"] == NOISE) & (work.scores["candidate"] == 0)
    work.scores.loc[chose, "validation"] += 1  # inner folds mislead
    told = answer(question(), work).sentences[0]
    assert told.startswith("No: ") and "lowers accuracy by 20." in told


def test_where_inner_folds_chose_no_noise_nothing_is_claimed():
    told = answer(question(), tuned(gain=-0.2)).sentences[0]
    assert told.startswith("No: on inner folds no noise did better than none")


def test_a_rival_that_is_better_is_named():
    found = answer(question(), tuned(rival=0.1))
    assert found.sentences[-1].startswith(
        "Histogram gradient boosting does better than the network, by "
    )
    rival = found.rivals[found.rivals["placement"] == "boosting"]
    assert rival["verdict"].item() == "better"


@pytest.mark.slow
def test_chance_is_seldom_taken_for_help():
    """One-sided 2.5 % by the interval's rule, of 200 draws."""
    helped = sum(answer(question(), tuned(seed, sd=0.03)).helps for seed in range(200))
    assert helped <= 200 * 0.025 + 3 * np.sqrt(200 * 0.025 * 0.975)


def test_the_network_that_is_offered_has_noise_only_where_it_helps():
    with_noise = answer(question(), tuned(gain=0.05)).params
    without = answer(question(), tuned(gain=0.0, sd=0.05)).params
    assert any(name.endswith("_noise") for name in with_noise)
    assert sorted(without) == ["alpha", "learning_rate_init"]


@pytest.mark.parametrize(
    ("scoring", "told"),
    [("r2", "raises R squared by 0.05"), ("neg_log_loss", "raises negative log loss")],
)
def test_scores_that_are_no_shares_are_told_as_they_are(scoring, told):
    found = answer(question(scoring=scoring), tuned(gain=0.05, sd=1e-4))
    assert told in found.sentences[0] and "points" not in found.sentences[0]


def test_a_file_of_test_rows_counts_seeds():
    work = tuned(folds=1, gain=0.05)
    scores = work.scores[work.scores["split"] == 0]
    trained = scores["method"].isin([NONE, NOISE])
    more = [scores[trained].assign(seed=lambda t: t["seed"] + 2 * i) for i in range(5)]
    work = Tuned(
        pd.concat([*more, scores[~trained]]), work.candidates, SIZE, 1, 0.25, 1.0
    )
    tested = np.arange(400) >= 300
    told = answer(question(tested=tested), work).sentences[0]
    assert "10 seeds); chosen on other rows, reported on these 100 alone." in told
