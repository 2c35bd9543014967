"""Which way is better: told from a metric's name, as people name metrics.

`lower_is_better` is what `compare` and `select` ask where the caller does not say.
"""

import re
from typing import Any

import numpy as np

LOWER = frozenset(
    "err errors losses mse rmse msle rmsle mae mape smape nll brier perplexity ppl bpc "
    "bpd crossentropy xent deviance divergence ece wer cer fid regret kl hinge "
    "misclassification misclassified mistake mistakes wrong incorrect hamming distance "
    "cost"
    "".split()
)
LOWER_PAIRS = (
    *("cross_entropy", "negative_log_likelihood", "neg_log_likelihood"),
    *("bits_per_byte", "bits_per_dim", "bits_per_character"),
)
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
    if NEGATED & set(words) or re.match(r"(.*_)?d2_", metric.lower()):
        return False  # D squared is the share of an error that is explained
    return any(word in LOWER or word.endswith(("loss", "error")) for word in words)


def direction(metric: str, given: Any) -> bool:
    """Whether lower is better: as given, or by the metric's name for None."""
    if given is not None and not isinstance(given, bool | np.bool_):
        raise TypeError(f"lower_is_better must be a bool or None, got {given!r}.")
    return lower_is_better(metric) if given is None else bool(given)
