"""All that a trained network stands, measured in one call and written on one page."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxnoise.checks import check_count, single_key
from jaxnoise.evidence import plots
from jaxnoise.evidence.compare import Comparison
from jaxnoise.evidence.format import (
    cell_titles,
    difference_decimals,
    in_words,
    signed,
)
from jaxnoise.evidence.plots.page import drawn_for_page
from jaxnoise.evidence.report import check_page, write_page
from jaxnoise.evidence.report.many import titled_table
from jaxnoise.evidence.report.sentences import enumerated
from jaxnoise.results import SweepResult, cell_columns, in_order
from jaxnoise.robustness.asked import AskedRun, compared, rows_of, runs_of
from jaxnoise.robustness.attack import attack
from jaxnoise.robustness.calibration import Calibration, calibration
from jaxnoise.robustness.curve import NoiseCurve, noise_curve
from jaxnoise.robustness.panel import CorruptionPanel, corruption_panel
from jaxnoise.robustness.smoothing import certified_accuracy, certify

IDENTITY = ("placement", "strength", "seed", "split")
SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)  # of the standard deviation of x
RADII = np.linspace(0, 2, 9)  # in standard deviations of the noise that certifies
ATTACK = {"steps": 10, "restarts": 2}
CERTIFIED_AT = RADII[2]
ERROR = "expected_calibration_error"
QUESTION = "What do these networks stand, and what does noise in training buy there?"


@dataclass(frozen=True, eq=False, repr=False)
class Robustness:
    """What `measured` returns.

    Attributes:
        scores: a row a run: placement, strength, seed and split, and a column for each
            score, on clean rows and otherwise.
        comparisons: by score that with the runs without noise, which adjusts for the
            placements and strengths of this score; none where `noise_curve` has none.
        curve: under noise on the inputs.
        panel: under corruptions.
        certified: a row a run and radius, as `certified_accuracy` has them.
        attacked: a row a run: the accuracies of an `attack`, and its caution.
        calibration: of the clean probabilities.
        stddev: of the noise that certifies.
    """

    scores: pd.DataFrame
    comparisons: Mapping[str, Comparison]
    curve: NoiseCurve
    panel: CorruptionPanel
    certified: pd.DataFrame
    attacked: pd.DataFrame
    calibration: Calibration
    stddev: float


def robustness_report(
    result_or_models: SweepResult | Mapping[str, Any],
    data: Any,
    path: str | os.PathLike[str],
    *,
    key: Array,
    stddevs: Sequence[float] | None = None,
    corruptions: Any = None,
    draws: int = 20,
    radius: float | None = None,
    points: int = 100,
    n: int = 400,
    baseline: str = "none",
    title: str | None = None,
    question: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Measure what classifiers stand, and write it as one HTML page.

    The page needs no network and no other file: an answer in words for every score,
    what noise in training buys in it, tables, figures, and what it cannot say. Scores
    are accuracy on clean rows, under noise on the inputs at test time and on corrupted
    rows, under attack (projected gradients in L2, 10 steps from the row and from a
    random change of it), certified accuracy at half the standard deviation of the noise
    that certifies, and the calibration of clean probabilities.

    Args:
        result_or_models: as for `noise_curve`; outputs are logits, as for `certify`.
        data: as for `noise_curve`; x is an array.
        path: the file to write, as for `report`.
        key: a typed key.
        stddevs: of noise at test time, as for `noise_curve`; None takes 0, 0.1, 0.25,
            0.5 and 1 standard deviations of x. The one in the middle of those above 0
            certifies, and is compared.
        corruptions: as for `corruption_panel`.
        draws: as for `noise_curve`.
        radius: of attacks, in L2; None takes the standard deviation that certifies.
        points: rows, evenly spaced, that are attacked and certified.
        n: draws of a certificate, as for `certify`.
        baseline: as for `noise_curve`.
        title: of the page; None makes one.
        question: that the page answers; None makes one.
        config: names and values of what the runs were made with, shown as they are.

    Returns:
        The path.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: as the functions for its parts raise it.
        OSError: if the file cannot be written.

    Example:
        >>> import tempfile, jax, jax.numpy as jnp, jaxnoise as jn
        >>> x = jax.random.normal(jax.random.key(0), (200, 1))
        >>> models = {"a line": lambda x: 3 * x, "a constant": jnp.ones_like}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = jn.robustness_report(
        ...         models, (x, x > 0), f"{folder}/page.html", key=jax.random.key(1)
        ...     ).read_text("utf-8")
        >>> "What this page cannot say" in page
        True
    """
    check_page(path, config)
    asked: Any = {"stddevs": stddevs, "corruptions": corruptions, "draws": draws}
    asked |= {"radius": radius, "points": points, "n": n}
    found = measured(result_or_models, data, key=key, baseline=baseline, **asked)
    return robustness_page(found, path, title, question, config)


def measured(
    result_or_models: SweepResult | Mapping[str, Any],
    data: Any,
    *,
    key: Array,
    stddevs: Sequence[float] | None = None,
    corruptions: Any = None,
    draws: int = 20,
    radius: float | None = None,
    points: int = 100,
    n: int = 400,
    baseline: str = "none",
) -> Robustness:
    """Measure what `robustness_report` writes; its arguments are told there."""
    check_count("points", points)
    x, y = rows_of(data)
    if stddevs is None:
        stddevs = [float(f"{share * np.std(x):.2g}") for share in SHARES]
    keys = jax.random.split(single_key(key), 4)
    drawn: Any = {"key": keys[0], "draws": draws, "baseline": baseline}
    curve = noise_curve(result_or_models, (x, y), stddevs, **drawn)
    noisy = sorted({each for each in curve.runs["stddev"] if each > 0})
    if not noisy:
        raise ValueError(f"stddevs must have one above 0, got {list(stddevs)}.")
    at = noisy[(len(noisy) - 1) // 2]
    spoilt: Any = {"key": keys[2], "baseline": baseline}
    panel = corruption_panel(result_or_models, (x, y), corruptions, **spoilt)
    sure = calibration(result_or_models, (x, y), baseline=baseline)
    rows = np.unique(np.linspace(0, len(x) - 1, points).astype(int))
    asked = runs_of(result_or_models), x[rows], _labels(y[rows])
    certified = _certified(*asked, at, keys[1], n)
    attacked = _attacked(*asked, at if radius is None else radius, keys[3])
    scores = _one_table(sure, curve, panel, certified, attacked, at)
    told = {
        name: found
        for name in _scores_of(scores)
        if (found := compared(result_or_models, scores, [name], baseline)) is not None
    }
    return Robustness(scores, told, curve, panel, certified, attacked, sure, at)


def _one_table(
    sure: Any, curve: Any, panel: Any, certified: Any, attacked: Any, at: float
) -> pd.DataFrame:
    """A row a run, with its scores."""
    scores = sure.runs[[*cell_columns(sure.runs), "seed", "split", "accuracy"]].copy()
    there = curve.runs[curve.runs["stddev"] == at][curve.score]
    scores[f"{curve.score} at {at:g}"] = there.to_numpy()
    by = panel.means.filter(regex=f"^{panel.score} at (?!clean)")
    scores[f"{panel.score} of corrupted rows"] = by.mean(axis=1)
    there = certified[certified["radius"] == CERTIFIED_AT * at]["accuracy"]
    scores[f"certified accuracy at {CERTIFIED_AT * at:g}"] = there.to_numpy()
    scores["accuracy under attack"] = attacked["mean"]
    scores[ERROR] = sure.runs[ERROR]
    return scores


def _scores_of(table: pd.DataFrame) -> list[str]:
    return [name for name in table if name not in {*cell_columns(table), *IDENTITY}]


def _labels(y: Array) -> Array:
    """A label a row, also of class probabilities."""
    wide = y.reshape(len(y), -1)
    return wide[:, 0] if wide.shape[1] == 1 else wide.argmax(axis=1)


def _certified(
    runs: Sequence[AskedRun], x: Array, y: Any, stddev: float, key: Array, n: int
) -> pd.DataFrame:
    """The certified accuracy of every run at every radius."""
    tables = []
    for run in runs:
        found = certify(run.asked, x, stddev=stddev, key=key, n=n)
        table = certified_accuracy(found, y, RADII * stddev)
        tables.append(table.assign(**run.columns))
    return in_order(pd.concat(tables, ignore_index=True))


def _attacked(
    runs: Sequence[AskedRun], x: Array, y: Any, radius: float, key: Array
) -> pd.DataFrame:
    """The accuracy of every run under attack, and the cautions."""
    ask: Any = {"norm": "l2", "radius": radius, "key": key, **ATTACK}
    found = [attack(run.asked, (x, y), **ask) for run in runs]
    told = [each.accuracy | {"caution": each.caution} for each in found]
    return pd.DataFrame([run.columns for run in runs]).join(pd.DataFrame(told))


def robustness_page(
    found: Robustness,
    path: str | os.PathLike[str],
    title: str | None = None,
    question: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write what was measured as `robustness_report` does."""
    drawn = [
        (caption, *drawn_for_page(draw, f"figure-{i + 1}"))
        for i, (caption, draw) in enumerate(_figures(found))
    ]
    content = {
        "title": title or "What these networks stand",
        "question": question or QUESTION,
        "answers": list(_answers(found.comparisons)),
        "tables": [titled_table(caption, table) for caption, table in _tables(found)],
        "figures": drawn,
        "cautions": found.attacked["caution"][found.attacked["caution"] != ""],
        "runs": len(found.attacked),
        "stddev": found.stddev,
        "config": config,
    }
    return write_page(path, "robustness.html", content)


def _answers(comparisons: Mapping[str, Comparison]) -> Iterator[str]:
    """A sentence a score: which placements are better and worse there."""
    if not comparisons:
        yield "Models by name are shown, and not compared: one of each may be luck."
    for metric, rows in comparisons.items():
        others = rows[rows["verdict"] != "baseline"]
        texts = pd.Series(cell_titles(others), others.index) + " ("
        digits = difference_decimals(others)
        for name, mark in (("difference", " ["), ("low", ", "), ("high", "])")):
            texts += [f"{signed(value, digits)}{mark}" for value in others[name]]
        parts = []
        for verdict in ("better", "worse"):
            if len(there := texts[others["verdict"] == verdict]):
                parts.append(f"{verdict} {enumerated([*there])}")
        told = "; ".join(parts) or "no difference that could not be luck"
        yield f"{in_words(metric).capitalize()}: {told}."


def _tables(found: Robustness) -> Iterator[tuple[str, pd.DataFrame]]:
    """Tables with their captions."""
    cells = cell_columns(found.scores)
    columns = [*cells, *"n difference low high p_holm verdict".split()]
    told = [
        pd.DataFrame(rows[rows["verdict"] != "baseline"][columns]).assign(
            metric=in_words(metric)
        )
        for metric, rows in found.comparisons.items()
    ]
    if told:
        table = pd.concat(told, ignore_index=True)
        yield "What noise in training buys", table[["metric", *columns]]
    means = found.scores.groupby(cells, sort=False, dropna=False)
    turned = means[_scores_of(found.scores)].mean().T
    turned.columns, turned.index = cell_titles(found.scores), turned.index.map(in_words)
    yield "Mean scores", turned.rename_axis("score").reset_index()
    by = found.panel.errors.groupby(cells, sort=False, dropna=False)
    errors = by[_scores_of(found.panel.errors)].mean().reset_index()
    yield f"Corruption errors, relative to {found.panel.reference}", errors
    sure = found.calibration.runs
    by = sure.groupby(cells, sort=False, dropna=False)
    yield "Calibration, clean rows", by[_scores_of(sure)].mean().reset_index()


def _figures(found: Robustness) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What draws them, with their captions."""
    score = in_words(found.curve.score)
    caption = f"Mean {score} against noise on the inputs at test time."
    yield caption, partial(plots.noise_curve, found.curve)
    if found.curve.comparison is not None:
        caption = f"What training with noise buys in {score}, at each strength."
        yield caption, partial(plots.noise_matrix, found.curve)
    caption = f"Mean {score} of corrupted rows, over five severities."
    yield caption, partial(plots.corruption_panel, found.panel)
    caption = f"Certified accuracy, by smoothing with noise of {found.stddev:g}."
    yield caption, partial(plots.certified_accuracy, found.certified)
    caption = "Accuracy against confidence: below the diagonal networks are too sure."
    yield caption, partial(plots.reliability, found.calibration)
