"""Which way is better, by the words of a metric's name."""

import pytest

from jaxnoise.evidence.direction import lower_is_better


@pytest.mark.parametrize(
    "metric",
    [
        *(
            "loss",
            "test_loss",
            "best_validation_loss",
            "Test Loss",
            "valLoss",
            "logloss",
        ),
        *("error", "error_rate", "top5_error", "mean_squared_error", "squaredError"),
        *("mse", "population_mse", "RMSE", "test_MAE", "mape", "nll", "test-nll"),
        *("brier", "brier_score", "perplexity", "test_perplexity", "ece", "deviance"),
        *("cross_entropy", "test_binary_cross_entropy", "negative_log_likelihood"),
        *("misclassification", "wer", "fid", "regret", "kl_divergence"),
        *("test_misclassified", "mistakes", "share_wrong", "incorrect"),
    ],
)
def test_lower(metric):
    assert lower_is_better(metric)


@pytest.mark.parametrize(
    "metric",
    [
        *(
            "accuracy",
            "test_accuracy",
            "population_accuracy",
            "auc",
            "r2",
            "f1",
            "score",
        ),
        *("neg_log_loss", "neg_mean_squared_error", "neg_root_mean_squared_error"),
        *("log_likelihood", "brier_skill_score", "error_reduction", "lossless_share"),
        *("glossary", "errorless_rate", "precision", "entropy", "reward", ""),
    ],
)
def test_higher(metric):
    assert not lower_is_better(metric)
