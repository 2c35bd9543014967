"""What may be compared: the runs of a sweep, or any tidy table of scores, checked.

`score_table` is where a result or table comes in, `by_outer_fold` and `carried_overlap`
tell what is known of its splits, and `lower_is_better` which way is better.
"""

import os
import re
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.checks import shown
from jaxnoise.evidence.format import legible
from jaxnoise.results import SweepResult, cell_columns
from jaxnoise.store.store import Store

Source = SweepResult | pd.DataFrame | str | os.PathLike  # the last two: a store
OUTER = "outer fold"  # what is independent
INNER = "inner fold"  # the column that tells runs of one outer fold apart
LARGEST = 1e300  # of a score: sums of what is larger leave the range of numbers
EPS = float(np.finfo(float).eps)
SAME = 2.4e-7  # strengths that are closer, relative, are one: float32 has no more

HIGHER = frozenset(
    "acc accuracy accuracies auc auroc rocauc roc aucpr auprc ap map precision recall "
    "f1 fbeta fscore fmeasure score scores r2 sensitivity specificity tpr tnr ppv npv "
    "kappa mcc matthews informedness jaccard iou miou dice tversky ndcg dcg mrr hit "
    "hits match matches correct agreement success win wins bleu meteor rouge chrf "
    "cider psnr ssim snr sdr stoi pesq uqi inception likelihood loglikelihood loglik "
    "lik elbo elpd reward rewards return returns utility profit gain lift quality "
    "correlation corr corrcoef pearson spearman kendall concordance similarity "
    "explained preserved rand homogeneity completeness silhouette mutual youden gini "
    "purity true".split()
)
LOWER = frozenset(
    "err errors loss losses error mse rmse nrmse msle rmsle mae medae mape smape "
    "wmape mase mre rse rae mspe nll nlpd brier perplexity ppl bpc bpd bce cce ce xe "
    "xent crossentropy deviance divergence kl ece mce ace miscalibration aurc wer cer "
    "ter mer eer fid kid lpips regret risk hinge huber pinball crps logcosh poisson "
    "edit perceptual lost misclassification misclassified mistake mistakes wrong "
    "incorrect false fpr fnr fdr far frr hamming distance cost aic bic latency "
    "seconds duration runtime time davies".split()
)
LOWER_PAIRS = ("cross_entropy", "bits_per", "negative_likelihood")
GAINS = frozenset(("skill", "improvement", "d2"))  # shares of a loss that are gained


def lower_is_better(metric: str) -> bool | None:
    """Whether a lower value of the metric is better, by the words of its name.

    None for a name of no known word. A negative turns it round, as in scikit-learn's
    ``neg_log_loss``, and so does a reduction; of "this at that" the first counts.
    """
    parts = re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*", metric)
    name = "_".join(parts).lower().partition("_at_")[0]
    for known, word in (("io_u", "iou"), ("negative_predictive", "npv")):
        name = name.replace(known, word)
    name = re.sub(r"(true|false)_(pos|neg)[a-z]*", r"\1", name)
    negated = r"(^|_)(neg|negative)(?=_(?!likelihood_r))"
    name, turns = re.subn(negated, "", name)
    words = {
        word for part in name.split("_") for word in (part, part.rstrip("0123456789"))
    }
    turns += "reduction" in words
    if GAINS & words:
        return False
    if any(pair in name for pair in LOWER_PAIRS) or LOWER & words:
        return turns % 2 == 0
    if any(word.endswith(("loss", "error")) for word in words):
        return turns % 2 == 0
    if HIGHER & words:
        return turns % 2 == 1
    return False if re.match(r"(.*_)?neg_", metric) else None


def opened(source: Any) -> Any:
    """All the runs of a store, given as such or by its path; anything else itself."""
    path = isinstance(source, str | os.PathLike)
    return Store(source).result() if path else source


def runs_of(source: Any, name: str = "result_or_table") -> pd.DataFrame:
    """The table of runs of a sweep, or the table itself; names can be written."""
    runs = source.runs if isinstance(source, SweepResult) else source
    if not isinstance(runs, pd.DataFrame):
        raise TypeError(
            f"{name} must be a SweepResult or a pandas table, "
            f"got {type(source).__name__}."
        )
    if not runs.columns.is_unique:
        columns = ", ".join(map(str, runs))
        raise ValueError(f"the table must have each column once, got {columns}.")
    if "placement" in runs:
        try:
            " ".join(map(str, runs["placement"])).encode()
        except UnicodeEncodeError:  # pandas takes one such name for another
            return runs.assign(placement=runs["placement"].map(legible))
    return runs


def score_table(
    runs: pd.DataFrame, metric: Any, pair_by: Sequence[str]
) -> pd.DataFrame:
    """What is compared, checked: NaN where a run or its metric is not finite.

    Its ``attrs`` tell the relative precision of the scores.
    """
    columns = ", ".join(map(str, runs))
    if not isinstance(metric, str) or metric not in runs:
        whole = [repr(name) for name in runs if str(name).endswith(f"_{metric}")]
        cure = f"; give it with its set: {' or '.join(whole)}" if whole else ""
        raise ValueError(
            f"metric must be a column of the runs ({columns}), "
            f"got {shown(metric)}{cure}."
        )
    if "split" not in runs:
        runs = runs.assign(split=0)
    if not pair_by:
        raise ValueError("pair_by must name at least one column, got none.")
    cells = cell_columns(runs)
    for name in ("placement", *pair_by, *(() if len(cells) > 1 else ("strength",))):
        if name not in runs:
            raise ValueError(f"the table must have a column {name!r}, got {columns}.")
    kept = runs[list(dict.fromkeys([*cells, *pair_by, "split"]))].reset_index(drop=True)
    for name in kept:
        _check_values(name, kept[name], filled=name in ("placement", *pair_by))
    strengths = {name: _merged(kept[name]) for name in cells if name != "placement"}
    scores = _numbers(runs[metric], metric)
    finite = np.abs(scores) < LARGEST
    diverged = ~finite
    if "finite" in runs:  # a run whose recipe lacks the metric has not diverged
        flags = _flags(runs["finite"])
        finite, diverged = finite & flags, ~flags | (np.abs(scores) >= LARGEST)
    scores = np.where(finite, scores, np.nan)
    table = kept.assign(**strengths, **{metric: scores, "finite": ~diverged})
    counts = not pd.api.types.is_float_dtype(runs[metric])  # are exact
    table.attrs = {"precision": EPS if counts else _precision(scores)}
    return table


def _check_values(name: str, column: pd.Series, *, filled: bool) -> None:
    """Refuse dicts, lists and arrays, which are no value to group by, and gaps."""
    if pd.api.types.is_object_dtype(column):
        for value in column:
            if not isinstance(value, Hashable):
                raise ValueError(
                    f"column {name!r} must hold numbers or names, got {shown(value)}; "
                    f"a column a part, such as '{name}.input', holds several."
                )
    if filled and column.isna().any():
        raise ValueError(f"column {name!r} must be filled, got missing values.")


def _merged(column: pd.Series) -> pd.Series:
    """Strengths, of which those that differ by rounding are one: the shortest."""
    if not pd.api.types.is_float_dtype(column):
        return column
    values = np.unique(column[np.isfinite(column)].to_numpy(float))
    groups = np.split(values, 1 + np.flatnonzero(np.diff(values) > SAME * values[1:]))
    names = {
        value: min(group.tolist(), key=lambda each: len(repr(each)))
        for group in groups
        for value in group
        if len(group) > 1
    }
    return column.astype(float).replace(names) if names else column


def _numbers(column: pd.Series, metric: str) -> np.ndarray:
    numeric = pd.api.types.is_numeric_dtype(column)
    if not numeric or pd.api.types.is_complex_dtype(column):
        raise ValueError(
            f"metric must be a column of numbers, got {metric!r} of {column.dtype}; "
            "pandas.to_numeric makes numbers of texts."
        )
    return column.to_numpy(dtype=float, na_value=np.nan)


def _flags(column: pd.Series) -> np.ndarray:
    if not column.isin([True, False]).all():
        raise ValueError(
            f"column 'finite' must hold True and False, got {column.unique()[:3]}."
        )
    return column.to_numpy(dtype=bool)


def _precision(scores: np.ndarray) -> float:
    """The relative precision of scores, as float32 or float64 has it.

    Scores of training are float32, and 9 digits of decimal text hold one: what has no
    more than that is taken for float32.
    """
    known = scores[np.isfinite(scores)]
    with np.errstate(over="ignore"):
        single = (known.astype(np.float32) == known).all()
    single = single or all(float(f"{score:.9g}") == score for score in known)
    return float(np.finfo(np.float32 if single else np.float64).eps)


def column_names(pair_by: Any) -> list[str]:
    """``pair_by`` as a list of column names."""
    pairs = [pair_by] if isinstance(pair_by, str) else pair_by
    if not isinstance(pairs, Sequence) or not all(isinstance(p, str) for p in pairs):
        raise TypeError(f"pair_by must be column names, got {pair_by!r}.")
    return list(pairs)


def by_outer_fold(
    runs: pd.DataFrame, pair_by: list[str], outer: int | None
) -> tuple[pd.DataFrame, list[str], bool]:
    """The runs with the outer fold as split, what makes a pair, and whether it is so.

    Of a sweep the runs know their outer folds. Else splits are numbered as
    `jaxnoise.data.nested_folds` does, the inner folds of the first outer fold first.
    Inner folds of one outer fold share its rows: they are runs of that unit.
    """
    column = runs.get("split", pd.Series(0, runs.index))
    numbers, splits = pd.factorize(column, sort=True)
    known = runs.attrs.get("outer")
    if outer is not None:
        _check_outer(outer, splits)
        folds = np.arange(len(splits)) // (len(splits) // outer)
    elif known and len(splits) > 1:
        folds = np.array(known)[splits.astype(int)]
    else:
        return runs, pair_by, False
    inner = pd.Series(folds).groupby(folds).cumcount().to_numpy()
    nested = {"split": folds[numbers], INNER: inner[numbers]}
    return runs.assign(**nested), [*pair_by, INNER], True


def _check_outer(outer: Any, splits: Any) -> None:
    if isinstance(outer, bool) or not isinstance(outer, int | np.integer):
        raise TypeError(f"outer must be an int or None, got {outer!r}.")
    if pd.api.types.is_integer_dtype(splits) and list(splits) != [*range(len(splits))]:
        missing = sorted({*range(int(max(splits)) + 1)} - {*splits})
        raise ValueError(
            "outer needs the runs of all splits, which are numbered from 0, "
            f"got none of split {missing[0] if missing else min(splits)}."
        )
    if outer < 2 or len(splits) % outer:
        raise ValueError(
            "outer must be at least 2 and divide the number of splits "
            f"({len(splits)}), got {outer}."
        )
