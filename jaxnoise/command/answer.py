"""What the scores answer: would noise help, by how much, and is the network worth it?

Outer folds report what inner folds chose, and `jaxnoise.select` and `jaxnoise.compare`
judge: nothing here has a rule of its own.
"""

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.command.methods import NAMES, NOISE, NONE, Params, rate_of_quiet
from jaxnoise.command.question import Question
from jaxnoise.command.tuning import Tuned, chosen_of
from jaxnoise.evidence.compare import Comparison, compare
from jaxnoise.evidence.select import Selection, select

WORTH = 0.01  # a difference that is worth knowing of: a point of accuracy
SHARES = ("accuracy", "balanced_accuracy", "top_k_accuracy")  # told in points
IN_WORDS = {
    "input_noise": "noise of standard deviation {:g} on the inputs",
    "hidden_noise": "noise of standard deviation {:g} on the hidden units",
    "weight_noise": "noise of standard deviation {:g} on the weights",
    "label_noise": "flipping labels at a rate of {:g}",
}
ON_TARGETS = "noise of {:g} standard deviations on the targets"
NETWORK = "network"  # that is offered: with noise where it helps


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer, and what it stands on.

    Attributes:
        sentences: the answer first, then what is to be known with it.
        helps: whether noise helps, by the verdict.
        rows_needed: about how many rows would tell a difference that matters; None
            where these are enough.
        selection: the noise that inner folds chose, and what it is worth.
        cells: each place and strength against the network without noise.
        rivals: other models against the network that is offered.
        methods: a row a method: its score with an interval, and its candidates.
        params: of the network that is offered.
    """

    sentences: tuple[str, ...]
    helps: bool
    rows_needed: int | None
    selection: Selection
    cells: Comparison
    rivals: Comparison
    methods: pd.DataFrame
    params: Params


def answer(question: Question, tuned: Tuned) -> Answer:
    """Judge what was tried."""
    metric, options = question.scoring, _options(question, tuned)
    runs = _network_runs(tuned, metric)
    with warnings.catch_warnings():  # what they tell is in the sentences
        warnings.simplefilter("ignore", UserWarning)
        cells = compare(runs, metric=f"test_{metric}", **options)
        found = select(cells, metric=metric, **options)
        helps = found.verdict == "better"
        others = _rival_runs(tuned, runs, found, helps, metric)
        others_at = options | {"baseline": NETWORK}
        rivals = compare(others, metric=f"test_{metric}", **others_at)
    methods = _methods(tuned, rivals, helps)
    decided = found.verdict != "no evidence" or question.tested is not None
    needed = None if decided else _rows_needed(question, found)
    sentences = [_first(question, found), _too_few(question, found, needed)]
    if question.tested is None:  # else a rival's one score has no interval
        sentences.append(_rival(methods, question))
    return Answer(
        sentences=tuple(filter(None, sentences)),
        helps=helps,
        rows_needed=needed,
        selection=found,
        cells=cells,
        rivals=rivals,
        methods=methods,
        params=_params(tuned, found, helps),
    )


def _options(question: Question, tuned: Tuned) -> dict[str, Any]:
    """Of `compare`: outer folds are what counts; else seeds on rows of their own."""
    if question.tested is not None:
        return {"lower_is_better": False}
    return {
        "lower_is_better": False,
        "outer": tuned.folds,
        "overlap": tuned.overlap,
    }


def _network_runs(tuned: Tuned, metric: str) -> pd.DataFrame:
    """Runs without noise, as each fold chose them, and of every place and strength."""
    kept = []
    for (method, fold), part in tuned.scores.groupby(["method", "fold"]):
        if method == NONE:
            kept.append(_runs_chosen(part).assign(placement=NONE, strength=0.0))
        elif method == NOISE:
            tried = tuned.candidates[fold, method]
            cells = [_cell(tried[i]) for i in part["candidate"]]
            names, levels = zip(*cells, strict=True)
            short = [name.removesuffix("_noise") for name in names]
            kept.append(part.assign(placement=short, strength=levels))
    runs = pd.concat(kept).sort_values(["placement", "strength"], kind="stable")
    return _named(runs.reset_index(drop=True), metric)


def _runs_chosen(part: pd.DataFrame) -> pd.DataFrame:
    """Those of the candidate that the rows that choose prefer."""
    return part[part["candidate"] == chosen_of(part)]


def _cell(params: Params) -> tuple[str, float]:
    """The place and strength of a candidate with noise."""
    return next((k, float(v)) for k, v in params.items() if k.endswith("_noise"))


def _rival_runs(
    tuned: Tuned, runs: pd.DataFrame, found: Selection, helps: bool, metric: str
) -> pd.DataFrame:
    """Of the network that is offered, and of other models as each fold chose them."""
    network = runs[runs["placement"] == NONE]
    if helps:
        cells = [(c.placement, c.strength) for c in found.choices.itertuples()]
        fold = runs["fold"].map(dict(enumerate(cells)))
        mine = list(zip(runs["placement"], runs["strength"], strict=True))
        network = runs[[a == b for a, b in zip(mine, fold, strict=True)]]
    kept = [network.assign(placement=NETWORK, strength=0.0)]
    for (method, _), part in tuned.scores.groupby(["method", "fold"]):
        if method in (NONE, NOISE):
            continue
        part = _named(_runs_chosen(part), metric)
        part = part.assign(placement=method, strength=0.0)
        seeds = network["seed"].unique()  # a model of none stands for each
        kept += [part.assign(seed=seed) for seed in seeds]
    return pd.concat(kept, ignore_index=True)


def _named(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    names = {name: f"{name}_{metric}" for name in ("validation", "test")}
    return runs.rename(columns=names)


def _methods(tuned: Tuned, rivals: Comparison, helps: bool) -> pd.DataFrame:
    """A row a method."""
    counts = tuned.scores.groupby("method")["candidate"].nunique()
    offered = NOISE if helps else NONE
    rows = []
    for row, cell in zip(rivals.to_dict("records"), rivals.cells, strict=True):
        name = offered if row["placement"] == NETWORK else row["placement"]
        score = cell.score_interval
        rows.append(
            {
                "method": NAMES[name],
                "candidates": int(counts[name]),
                "score": float(score.mean),
                "low": float(score.low),
                "high": float(score.high),
                "difference": row["difference"],
                "difference_low": row["low"],
                "difference_high": row["high"],
                "verdict": row["verdict"],
            }
        )
    return pd.DataFrame(rows)


def _params(tuned: Tuned, found: Selection, helps: bool) -> Params:
    """Of the network that is offered: what all rows that choose prefer together."""
    quiet = tuned.scores[tuned.scores["method"] == NONE]
    tried = tuned.candidates[0, NONE]
    if not helps or found.placement == NONE:
        return tried[chosen_of(quiet)]
    place = f"{found.placement}_noise"
    return {place: found.strength, "learning_rate_init": rate_of_quiet(quiet, tried)}


def subject(question: Question, placement: str, strength: float) -> str:
    """Noise in words, the strength among them."""
    place = f"{placement}_noise"
    on_targets = place == "label_noise" and not question.classification
    return (ON_TARGETS if on_targets else IN_WORDS[place]).format(strength)


def in_points(question: Question, value: float, sign: str = "") -> str:
    """A difference of scores: shares of rows in points, others as they are."""
    share = question.scoring in SHARES
    text = f"{100 * value:{sign}.1f}" if share else f"{value:{sign}.3g}"
    return text if float(text) else text.lstrip("+-")  # no zero has a sign


def _range(question: Question, low: float, high: float) -> str:
    ends = [in_points(question, end).replace("-", "−") for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def _unit(question: Question) -> str:
    return " points" if question.scoring in SHARES else ""


def _name(question: Question) -> str:
    return {"r2": "R squared"}.get(
        question.scoring,
        question.scoring.replace("_", " ").replace("neg ", "negative "),
    )


def _first(question: Question, found: Selection) -> str:
    """The answer in one sentence."""
    what = _name(question)
    noise = _chosen(question, found)
    ends = _range(question, found.difference_low, found.difference_high)
    units = f"{found.difference_n} {'folds' if question.tested is None else 'seeds'}"
    within = f"({ends}; {units})"
    how = (
        "chosen on inner folds, reported on outer ones"
        if question.tested is None
        else f"chosen on other rows, reported on these {question.tested.sum()} alone"
    )
    size = in_points(question, abs(found.difference)) + _unit(question)
    if found.verdict == "better":
        return f"{noise[0].upper()}{noise[1:]} raises {what} by {size} {within}; {how}."
    if found.verdict == "worse":
        return f"No: {noise} lowers {what} by {size} {within}; {how}."
    if not (found.choices["placement"] != NONE).any():
        return f"No: on inner folds no noise did better than none ({units}); {how}."
    change = in_points(question, found.difference, "+").replace("-", "−")
    told = f"{noise} changes {what} by {change}{_unit(question)} {within}; {how}."
    if found.verdict == "equivalent":
        return f"No: noise makes no difference that matters: {told}"
    return f"No: there is no evidence that noise raises {what} here: {told}"


def _chosen(question: Question, found: Selection) -> str:
    """The noise, where all folds chose the same; else the one of most folds."""
    cells = [*zip(found.choices["placement"], found.choices["strength"], strict=True)]
    (placement, strength), times = Counter(cells).most_common(1)[0]
    if placement != NONE and times == len(cells):
        return subject(question, placement, strength)
    noisy = [cell for cell in cells if cell[0] != NONE]
    if not noisy:
        return "noise"
    cell, times = Counter(noisy).most_common(1)[0]
    most = f"{subject(question, *cell)}, in {times} of {len(cells)}"
    return f"noise as each fold chose it, most often {most},"


def _worth(question: Question, found: Selection) -> float:
    """A difference that matters."""
    error = question.scoring.startswith("neg_")  # in units of its own
    return WORTH * abs(found.score) if error else WORTH


def _rows_needed(question: Question, found: Selection) -> int | None:
    """For an interval as narrow as what matters: its width falls as 1 / sqrt(rows)."""
    half = (found.difference_high - found.difference_low) / 2
    times = (half / _worth(question, found)) ** 2
    if not np.isfinite(times) or times <= 1:
        return None
    needed = len(question.y) * times
    digits = 1 - int(np.floor(np.log10(needed)))
    return int(np.ceil(round(needed, digits)))


def _too_few(question: Question, found: Selection, needed: int | None) -> str:
    if needed is None:
        return ""
    share = question.scoring in SHARES
    least = "one point" if share else in_points(question, _worth(question, found))
    half = (found.difference_high - found.difference_low) / 2
    told = in_points(question, half) + _unit(question)
    return (
        f"These {len(question.y):,} rows tell it to ± {told}: for {least} "
        f"it would take about {needed:,} rows."
    )


def _rival(methods: pd.DataFrame, question: Question) -> str:
    """A model that is better than the network, which is then the one to take."""
    better = methods[methods["verdict"] == "better"]
    if better.empty:
        return ""
    best = better.loc[better["difference"].idxmax()]
    ends = _range(question, best["difference_low"], best["difference_high"])
    size = in_points(question, best["difference"]) + _unit(question)
    name = best["method"].capitalize()
    return f"{name} does better than the network, by {size} ({ends}): take that."
