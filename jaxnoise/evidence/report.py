"""One self-contained web page from a result: question, answer, table, figures, limits.

`report` is what most people want.
"""

import contextlib
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from jaxtyping import Array

from jaxnoise.evidence.answers import answer
from jaxnoise.evidence.choosing import select_quietly
from jaxnoise.evidence.direction import lower_is_better as lower_by_name
from jaxnoise.evidence.facts import configuration, provenance, rows_used
from jaxnoise.evidence.illustrations import illustrations
from jaxnoise.evidence.limits import limits, still_moving
from jaxnoise.evidence.plots.page import ON_DARK
from jaxnoise.evidence.plots.style import PALETTE
from jaxnoise.evidence.scores import runs_of
from jaxnoise.evidence.selection import Selection
from jaxnoise.evidence.stats import compare_quietly
from jaxnoise.evidence.tables import comparison_tables, legend
from jaxnoise.evidence.units import PAIR_BY
from jaxnoise.evidence.words import Table, in_words
from jaxnoise.results import SweepResult, cell_columns, sets_of

METRIC = re.compile("acc|loss|err|score|auc|f1|r2|ms[el]|ma[ep]|nll", re.IGNORECASE)
PREFERRED = ("population", "test", "validation")  # sets to report on, the first first


def report(
    result: SweepResult | pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    metric: str | None = None,
    title: str | None = None,
    question: str | None = None,
    baseline: str = "none",
    pair_by: str | Sequence[str] = PAIR_BY,
    rope: float | None = None,
    overlap: float | None = None,
    key: Array | None = None,
    lower_is_better: bool | None = None,
    outer: int | None = None,
    choose_on: str | None = "validation",
    best: float | None = None,
    label: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write what a result shows, and what it cannot say, as one HTML page.

    The page needs no network and no other file. It holds the question; the answer in
    one sentence, which says no more than the verdicts of `compare` do; the table;
    figures; how it was made; and what it cannot say. Where there are scores on
    ``choose_on`` rows, the answer is about the placement and strength that `select`
    chooses on them. The same input gives the same page, but for the date.

    Args:
        result: a `SweepResult`, or a table such as `compare` takes, which has no curves
            and tells of no times and devices.
        path: the file to write; missing folders above it are made, and a file that is
            there is replaced as a whole or not at all.
        metric: the column that is compared; None takes the first metric that is no loss
            of the population, else of the test set, else of what there is.
        title: of the page; None makes one.
        question: that the page answers; None makes one.
        baseline: as for `compare`.
        pair_by: as for `compare`.
        rope: as for `compare`.
        overlap: as for `compare`.
        key: as for `compare`.
        lower_is_better: as for `compare`.
        outer: as for `compare` and `select`, of nested folds.
        choose_on: the set to choose placement and strength on, if the result has the
            metric there; None chooses nothing.
        best: the best possible value of the metric, drawn as a dotted line.
        label: of the metric in figures, with its unit, such as ``"loss (nats)"``.
        config: names and values of what the runs were made with, shown as they are.

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
    _check_kinds(result, path, config)
    runs = runs_of(result)
    metric = _default_metric(runs) if metric is None else metric
    options: dict[str, Any] = {
        "baseline": baseline,
        "pair_by": pair_by,
        "rope": rope,
        "overlap": overlap,
        "key": key,
        "lower_is_better": lower_is_better,
        "outer": outer,
    }
    rows = compare_quietly(result, metric=metric, **options)
    score_set, name = _set_and_name(runs, metric)
    chosen, unchosen = _choose(result, choose_on, score_set, name, options)
    complete = getattr(result, "complete", True)
    splits = outer or (runs["split"].nunique() if "split" in runs else 1)
    told: dict[str, Any] = {"splits": splits, "complete": complete}
    told |= {"chosen": chosen, "moving": still_moving(result)}
    page = _template().render(
        title=title or f"Would noise help? A comparison in {in_words(metric)}",
        question=question
        or "Would noise help this model, where, how much, and how sure are we? "
        f"The measure is {in_words(metric)}.",
        version=version("jaxnoise"),
        on_light=PALETTE,
        on_dark=ON_DARK,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%MZ"),
        complete=complete,
        answer=answer(rows, chosen),
        used=rows_used(runs, rows, score_set, chosen),
        tables=comparison_tables(rows),
        legend=legend(rows),
        figures=illustrations(result, rows, options, name=name, best=best, label=label),
        facts=[provenance(result, rows), *configuration(config)],
        limits=[*unchosen, *limits(rows, score_set=score_set, **told)],
    )
    return _write(Path(path), page)


def _check_kinds(result: Any, path: Any, config: Any) -> None:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {type(path).__name__}.")
    if config is not None and not isinstance(config, Mapping):
        raise TypeError(f"config must be a mapping, got {type(config).__name__}.")
    if not isinstance(result, SweepResult | pd.DataFrame):
        raise TypeError(
            "result must be a SweepResult or a pandas table, "
            f"got {type(result).__name__}."
        )


def _choose(
    result: Table,
    choose_on: str | None,
    score_set: str,
    name: str,
    options: Mapping[str, Any],
) -> tuple[Selection | None, list[str]]:
    """What `select` chooses if there are rows to choose on, or why it cannot."""
    if choose_on in (None, score_set) or f"{choose_on}_{name}" not in runs_of(result):
        return None, []
    asked = {key: value for key, value in options.items() if key != "rope"}
    asked |= {"metric": name, "choose_on": choose_on, "report_on": score_set}
    try:
        return select_quietly(result, **asked), []
    except ValueError as error:  # such as no finite run
        return None, [f"Nothing was chosen on the {choose_on} rows: {error}"]


def _default_metric(runs: pd.DataFrame) -> str:
    """The first score of the set that tells most, and no loss if there is another."""
    found = _score_columns(runs)
    if not found:
        raise ValueError(
            "metric must be a column of the runs, got none and found no scores "
            f"({', '.join(map(str, runs))})."
        )
    found = {c: at for c, at in found.items() if METRIC.search(c)} or found
    sets = [score_set for score_set, _ in found.values()]
    others = [each for each in sets if each not in (*PREFERRED, "train")]
    wanted = next(each for each in (*PREFERRED, *others, "train") if each in sets)
    names = [column for column, (each, _) in found.items() if each == wanted]
    return next((each for each in names if not lower_by_name(each)), names[0])


def _score_columns(runs: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """The columns of scores, with their sets and names."""
    known = {*cell_columns(runs), "seed", "split", "finite", "best_epoch"}
    names = [
        column
        for column in runs
        if isinstance(column, str)
        and column not in known
        and not column.startswith("best_")
        and pd.api.types.is_numeric_dtype(runs[column])
        and not pd.api.types.is_bool_dtype(runs[column])
    ]
    return dict(zip(names, sets_of(names), strict=True))


def _set_and_name(runs: pd.DataFrame, metric: str) -> tuple[str, str]:
    """Of a metric, such as test and accuracy; "" if its name tells of no set."""
    score_set, name = _score_columns(runs).get(metric, ("", metric))
    known = score_set in (*PREFERRED, "train") or f"{score_set}_loss" in runs
    return (score_set, name) if name and known else ("", metric)


def _template() -> jinja2.Template:
    """What a user wrote is escaped; the style sheet and the figures are ours."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxnoise.evidence"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _write(path: Path, page: str) -> Path:
    """The whole page or nothing: written beside its place, then moved there."""
    beside = None
    try:
        target = Path(os.path.realpath(path))
        beside = target.parent / f".{uuid.uuid4().hex}.tmp"
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "w", encoding="utf-8", newline="\n") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except (OSError, ValueError) as error:  # a null byte is a ValueError
        if beside is not None:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
        why = getattr(error, "strerror", None) or error
        raise OSError(
            f"path must be a file that can be written, got {str(path)!r}: {why}."
        ) from error
    return path
