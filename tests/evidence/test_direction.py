"""Which way is better, by the words of a metric's name."""

import warnings

import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.evidence.table import lower_is_better

LOWER = (
    *("loss", "test_loss", "best_validation_loss", "Test Loss", "valLoss", "logloss"),
    *("error", "error_rate", "top5_error", "mean_squared_error", "squaredError"),
    *("mse", "population_mse", "RMSE", "test_MAE", "mape", "nll", "test-nll"),
    *("brier", "brier_score", "perplexity", "test_perplexity", "ece", "deviance"),
    *("cross_entropy", "test_binary_cross_entropy", "negative_log_likelihood"),
    *("misclassification", "wer", "fid", "regret", "kl_divergence", "kl", "cost"),
    *("test_misclassified", "mistakes", "share_wrong", "incorrect", "test_fpr"),
    *("false_negative_rate", "fpr_at_95_tpr", "fpr95", "neg_recall", "bits_per_byte"),
    *("negative_likelihood_ratio", "accuracy_reduction", "test_hinge", "nrmse"),
    *("FalsePositives", "KLDivergence", "LogCoshError", "Poisson"),  # Keras
    *("BinaryEER", "MulticlassCalibrationError", "HammingDistance"),  # torchmetrics
    *("LearnedPerceptualImagePatchSimilarity", "DaviesBouldinScore", "WordInfoLost"),
)
HIGHER = (
    *("accuracy", "test_accuracy", "population_accuracy", "auc", "r2", "f1", "score"),
    *("neg_log_loss", "neg_mean_squared_error", "neg_root_mean_squared_error"),
    *("log_likelihood", "brier_skill_score", "error_reduction", "precision"),
    *("reward", "d2_log_loss_score", "test_d2_absolute_error_score", "mAP", "macroF1"),
    *("tpr", "true_negatives", "npv", "hits@10", "recall_at_fpr", "neg_anything"),
    *("CosineSimilarity", "MeanIoU", "F1Score", "R2Score", "TruePositives"),  # Keras
    *("MulticlassAUROC", "MatthewsCorrCoef", "ExactMatch", "RetrievalMRR"),
)
UNKNOWN = (
    *("lossless_share", "glossary", "errorless_rate", "entropy", "sparsity", ""),
    *("calibration", "test_m1", "negative_transfer"),
)


@pytest.mark.parametrize(
    ("names", "lower"), [(LOWER, True), (HIGHER, False), (UNKNOWN, None)]
)
def test_names(names, lower):
    assert {name: lower_is_better(name) for name in names} == dict.fromkeys(
        names, lower
    )


def test_scorers_of_scikit_learn():
    """Greater is better for all of them: that is what a scorer is."""
    from sklearn.metrics import get_scorer_names

    found = {name: lower_is_better(name) for name in get_scorer_names()}
    assert set(found.values()) == {False}, found


def table(metric):
    runs = pd.DataFrame([("none", 0.0), ("a", 0.1), ("a", 0.3)])
    runs = runs.set_axis(["placement", "strength"], axis=1)
    runs = runs.merge(pd.DataFrame({"seed": range(10)}), how="cross")
    scores = np.random.default_rng(0).uniform(size=len(runs))
    return runs.assign(**{f"validation_{metric}": scores, f"test_{metric}": scores})


def calls(metric, folder):
    """All that asks which way is better, by the name that its warning has."""
    column = f"test_{metric}"
    return {
        "compare": lambda **o: jn.compare(table(metric), metric=column, **o),
        "select": lambda **o: jn.select(table(metric), metric=metric, **o),
        "report": lambda **o: jn.report(
            table(metric), folder / "page.html", metric=column, **o
        ),
        "forest": lambda **o: jn.plots.forest(table(metric), metric=column, **o),
        "seed_slopes": lambda **o: jn.plots.seed_slopes(
            table(metric), metric=column, **o
        ),
        "strength_curve": lambda **o: jn.plots.strength_curve(
            table(metric), metric=column, **o
        ),
    }


def told(call, **options):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call(**options)
    return [str(each.message) for each in seen]


def test_an_unknown_name_is_warned_of_once(tmp_path, no_figures):
    """In the name of what was called, and not again inside it."""
    for name, call in calls("margin", tmp_path).items():
        (message,) = told(call)
        assert message.startswith(f"{name}: the name of 'test_margin' does not tell")
        assert "lower_is_better=" in message
        assert told(call, lower_is_better=True) == []
    for call in calls("accuracy", tmp_path).values():
        assert told(call) == []


def test_a_comparison_is_not_warned_of_again(tmp_path, no_figures):
    with pytest.warns(UserWarning, match="does not tell which way"):
        rows = jn.compare(table("margin"), metric="test_margin")
    assert rows.attrs["lower_is_better"] is False  # taken so, as the warning says
    for call in (jn.plots.forest, jn.plots.seed_slopes, jn.plots.strength_curve):
        assert told(lambda call=call: call(rows)) == []
    assert told(lambda: jn.report(rows, tmp_path / "page.html")) == []
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "does not tell which way is better" in page
    assert rows.evidence.doubts[0] in page.replace("&#39;", "'").replace(
        "The name", "the name"
    )
