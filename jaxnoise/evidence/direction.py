"""Which way is better: told from a metric's name, as people name metrics.

`lower_is_better` is what `compare` and `select` ask where the caller does not say.
"""

import re

LOWER = frozenset(
    "err errors losses mse rmse msle rmsle mae mape smape nll brier perplexity ppl bpc "
    "bpd crossentropy xent deviance divergence ece wer cer fid regret misclassification"
    "".split()
)
LOWER_PAIRS = ("cross_entropy", "negative_log_likelihood", "neg_log_likelihood")
NEGATED = frozenset(("neg", "negative", "skill", "improvement", "reduction"))


def lower_is_better(metric: str) -> bool:
    """Whether a lower value of the metric is better, by the words of its name.

    Losses, errors and the like are; what is named their negative, as scikit-learn's
    ``neg_log_loss``, is not; anything else, such as an accuracy, is not.
    """
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", metric)
    words = [word.lower() for word in words]
    name = "_".join(words)
    if any(pair in name for pair in LOWER_PAIRS):
        return True
    if NEGATED & set(words):
        return False
    return any(word in LOWER or word.endswith(("loss", "error")) for word in words)
