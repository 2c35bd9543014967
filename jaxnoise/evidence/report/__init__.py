"""One self-contained web page from a result: question, answer, table, figures, limits.

`report` is what most people want.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack

import jinja2
import pandas as pd

from jaxnoise.evidence import compare
from jaxnoise.evidence.compare import Comparison, source_of
from jaxnoise.evidence.format import (
    FEW_UNITS,
    in_words,
    legible,
    short,
    which_is_better,
)
from jaxnoise.evidence.judge import MOST_LOST
from jaxnoise.evidence.many import ManyComparison
from jaxnoise.evidence.paired import ALPHA
from jaxnoise.evidence.plots.page import ON_DARK
from jaxnoise.evidence.plots.style import PALETTE
from jaxnoise.evidence.report.figures import illustrations
from jaxnoise.evidence.report.many import filled
from jaxnoise.evidence.report.sentences import answer, limits
from jaxnoise.evidence.report.tables import FILTERS, names_of, versions
from jaxnoise.evidence.select import Selection, chosen
from jaxnoise.evidence.table import Source, lower_is_better, runs_of
from jaxnoise.evidence.units import Options, evidence_of, fewest_units
from jaxnoise.files import replace_file
from jaxnoise.results import SweepResult, cell_columns, sets_of

PREFERRED = ("population", "test", "validation")  # sets to report on, the first first
QUESTION = "Would noise help this model, where, how much, and how sure are we?"


@compare.shows_options
def report(
    result: Source | ManyComparison,
    path: str | os.PathLike[str],
    *,
    metric: str | None = None,
    title: str | None = None,
    question: str | None = None,
    choose_on: str | None = "validation",
    best: float | None = None,
    label: str | None = None,
    config: Mapping[str, Any] | None = None,
    **options: Unpack[Options],
) -> Path:
    """Write what a result shows, and what it cannot say, as one HTML page.

    The page needs no network and no other file. It holds the question; the answer in
    one sentence, which says no more than the verdicts of `compare` do; the table;
    figures; how it was made; and what it cannot say. Where there are scores on
    ``choose_on`` rows, the answer is about the placement and strength that `select`
    chooses on them. The same input gives the same page, but for the date.

    Args:
        result: a `SweepResult`, or a table such as `compare` takes, which has no curves
            and tells of no times and devices; or a `Comparison`, of which nothing is
            computed again; or what `compare_many` returned, for whose page ``title``
            alone counts.
        path: the file to write; missing folders above it are made, and a file that is
            there is replaced as a whole or not at all.
        metric: the column that is compared; None takes that of a comparison, else the
            first metric that is no loss of the population, else of the test set, else
            of what there is.
        title: of the page; None makes one.
        question: that the page answers; None makes one.
        choose_on: the set to choose placement and strength on, if the result has the
            metric there; None chooses nothing.
        best: the best possible value of the metric, drawn as a dotted line.
        label: of the metric in figures, with its unit, such as ``"loss (nats)"``.
        config: names and values of what the runs were made with, shown as they are.
        baseline: as for `compare`.
        pair_by: as for `compare`.
        rope: as for `compare`.
        overlap: as for `compare`.
        key: as for `compare`.
        lower_is_better: as for `compare`.
        outer: as for `compare` and `select`, of nested folds.
        stop: as for `compare`.

    Returns:
        The path.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: as `compare` raises it, or if there is no metric.
        OSError: if the file cannot be written.

    Example:
        >>> import tempfile, pandas as pd, jaxnoise as jn
        >>> table = pd.DataFrame({
        ...     "placement": ["none"] * 3 + ["input"] * 3,
        ...     "strength": [0.0] * 3 + [0.1] * 3,
        ...     "seed": [0, 1, 2] * 2,
        ...     "test_accuracy": [0.7, 0.8, 0.9, 0.8, 0.9, 0.85],
        ... })
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = jn.report(table, f"{folder}/report.html").read_text("utf-8")
        >>> "There is no verdict on input, 0.1 against none" in page
        True
    """
    check_page(path, config)
    if isinstance(result, ManyComparison):
        return write_page(path, "many.html", filled(result, title))
    runs = runs_of(source_of(result), "result")
    if metric is None and not isinstance(result, Comparison):
        metric = _default_metric(runs)
    rows = compare.comparison_of("report", result, metric, options)
    metric = rows.attrs["metric"]
    score_set, name = _set_and_name(runs, metric)
    choice, unchosen = _choose(rows, choose_on, score_set, name)
    words = in_words(metric)
    content = _found(rows, score_set, name, choice) | {
        "title": title or f"Would noise help? A comparison in {words}",
        "question": question or f"{QUESTION} The measure is {words}.",
        "unchosen": unchosen,
        "figures": illustrations(rows, name, best=best, label=label),
        "config": config,
    }
    return write_page(path, "report.html", content)


def check_page(path: Any, config: Any) -> None:
    """Refuse what is no path, or no mapping, before anything is computed."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {type(path).__name__}.")
    if config is not None and not isinstance(config, Mapping):
        raise TypeError(f"config must be a mapping, got {type(config).__name__}.")


def _found(
    rows: Comparison, score_set: str, name: str, choice: Selection | None
) -> dict[str, Any]:
    """What the template is filled with, but for the user's own words and figures."""
    source, facts = source_of(rows), rows.attrs
    return (
        answer(rows, choice)
        | limits(rows, score_set, name)
        | {
            "rows": rows,
            "runs": runs_of(source),
            "sweep": source if isinstance(source, SweepResult) else None,
            "facts": facts,
            "names": names_of(rows),
            "words": in_words(facts["metric"]),
            "better": which_is_better(facts["lower_is_better"]),
            "baseline": short(facts["baseline"]),
            "score_set": score_set,
            "choice": choice,
        }
    )


def _choose(
    rows: Comparison, choose_on: str | None, score_set: str, name: str
) -> tuple[Selection | None, str]:
    """What `select` chooses if there are rows to choose on, or why it cannot."""
    column = f"{choose_on}_{name}"
    if choose_on in (None, score_set) or column not in runs_of(source_of(rows)):
        return None, ""
    try:
        return chosen(evidence_of(rows, column), evidence_of(rows, None), name), ""
    except ValueError as error:  # such as no finite run
        return None, f"Nothing was chosen on the {choose_on} rows: {error}"


def _default_metric(runs: pd.DataFrame) -> str:
    """The first score of the set that tells most, and no loss if there is another."""
    found = _scores_of(runs)
    if not found:
        raise ValueError(
            "metric must be a column of the runs, got none and found no scores "
            f"({', '.join(map(str, runs))})."
        )
    lower = {column: lower_is_better(column) for column in found}
    known = [column for column in found if lower[column] is not None] or found
    others = [score_set for score_set, _ in found.values() if score_set != "train"]
    order = [*PREFERRED, *others, "train"]
    return min(known, key=lambda c: (order.index(found[c][0]), bool(lower[c])))


def _scores_of(runs: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """The columns of scores, with their sets and names."""
    known = {*cell_columns(runs), "seed", "split", "finite", "best_epoch"}
    names = [
        column
        for column in runs
        if not str(column).startswith("best_")
        and column not in known
        and runs[column].dtype.kind in "iuf"
    ]
    return dict(zip(names, sets_of(names), strict=True))


def _set_and_name(runs: pd.DataFrame, metric: str) -> tuple[str, str]:
    """Of a metric, such as test and accuracy; "" if its name tells of no set."""
    score_set, name = _scores_of(runs).get(metric, ("", metric))
    known = score_set in (*PREFERRED, "train") or f"{score_set}_loss" in runs
    return (score_set, name) if name and known else ("", metric)


@cache
def _templates() -> jinja2.Environment:
    """What a user wrote is escaped; the style sheet and the figures are ours."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxnoise.evidence.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.globals |= {"on_light": PALETTE, "on_dark": ON_DARK}
    environment.globals |= {"alpha": ALPHA, "most_lost": MOST_LOST}
    environment.globals |= {"few_units": FEW_UNITS, "fewest_units": fewest_units}
    environment.globals |= {"version": version("jaxnoise"), "versions": versions}
    return environment


def write_page(
    path: str | os.PathLike[str], name: str, content: Mapping[str, Any]
) -> Path:
    """Fill a template, which tells who wrote it and when, and write the page."""
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%MZ")
    page = _templates().get_template(name).render(content, date=date)
    return _write(Path(path), legible(page))


def _write(path: Path, page: str) -> Path:
    """The whole page or nothing."""
    try:
        Path(os.path.realpath(path)).parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, page)
    except (OSError, ValueError) as error:  # a null byte is a ValueError
        why = getattr(error, "strerror", None) or error
        raise OSError(
            f"path must be a file that can be written, got {str(path)!r}: {why}."
        ) from error
    return path
