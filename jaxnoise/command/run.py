"""`jaxnoise tune`, from the file to the answer and all that is written with it."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxnoise.command.answer import Answer, answer
from jaxnoise.command.methods import network
from jaxnoise.command.question import Question, ask
from jaxnoise.command.reading import write_csv
from jaxnoise.command.saved import save_model
from jaxnoise.command.script import script
from jaxnoise.command.tuning import Stopped, Tuned, tune
from jaxnoise.evidence.format import fixed, said, signed
from jaxnoise.evidence.report import report
from jaxnoise.files import replace_file
from jaxnoise.training.cache import use_cache
from jaxnoise.training.devices import use_all_cores

ANSWER = "answer.json"


def run(
    file: Path,
    target: str,
    *,
    minutes: float,
    seed: int,
    out: Path | None,
    quiet: bool,
    **asked: Any,
) -> tuple[str, dict[str, Any]]:
    """The answer as text and as what JSON holds.

    Args:
        file: of the rows.
        target: the column to predict.
        minutes: that it may take.
        seed: of divisions and networks.
        out: the folder to write into; None is named by file and target.
        quiet: whether nothing is said on the way.
        **asked: of `ask`.
    """
    use_all_cores()
    use_cache()
    question = ask(file, target, seed=seed, **asked)
    out = out or Path(_plain(f"{file.stem}.{target}"))
    out.mkdir(parents=True, exist_ok=True)
    with _progress(quiet) as (tell, advance):
        for line in [*question.notes, *question.suspects]:
            tell(line)
        try:
            tuned = tune(
                question, out, minutes=minutes, seed=seed, tell=tell, advance=advance
            )
        except KeyboardInterrupt:
            raise Stopped(
                f"stopped; what is finished is kept in {out}, and the same line goes "
                "on from there"
            ) from None
        tell("fitting the network that is offered")
        found = answer(question, tuned)
        looks = _looks(out, found.selection.difference_n)
        found = replace(found, sentences=(*found.sentences, *_on_looks(looks)))
        content = _content(file, question, tuned, found) | {"looks": looks}
        _write(out, file, question, tuned, found, content, asked | {"seed": seed})
    return _text(found, out), content


def _looks(out: Path, n: int) -> list[int]:
    """After how many folds or seeds there was an answer: now, and earlier."""
    earlier: list[int] = []
    with suppress(OSError, ValueError, KeyError):
        earlier = json.loads((out / ANSWER).read_text("utf-8"))["looks"]
    return sorted({*earlier, n})


def _on_looks(looks: list[int]) -> list[str]:
    """What is to be known of several answers on the same rows."""
    if len(looks) == 1:
        return []
    return [
        f"These rows were looked at after {', '.join(map(str, looks))} folds, and each "
        "look may find by chance what is not there: the first one is at the stated 5 %."
    ]


def _plain(name: str) -> str:
    """A folder's name that no file system refuses: most take 255 bytes."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip(".").encode()[:200]
    return plain.decode(errors="ignore") or "answer"


@contextmanager
def _progress(quiet: bool) -> Iterator[tuple[Any, Any]]:
    """What tells a line, and what tells how many parts are done: on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    plain: Any = {"highlight": False, "markup": False, "emoji": False}
    console = Console(file=sys.stderr, quiet=quiet, **plain)
    columns = (
        TextColumn("part {task.completed} of {task.total}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, disable=quiet or not console.is_terminal)
    with bar:
        shown = bar.add_task("parts", total=None)
        yield (
            lambda line: console.print(line, soft_wrap=True),
            lambda done, total: bar.update(shown, completed=done, total=total),
        )


def _write(
    out: Path,
    file: Path,
    question: Question,
    tuned: Tuned,
    found: Answer,
    content: dict[str, Any],
    asked: dict[str, Any],
) -> None:
    """All files of the answer."""
    kept = np.arange(len(question.y))
    if question.tested is not None:
        kept = kept[~question.tested]
    model = network(question, tuned.size, found.params)
    model.fit(question.X.iloc[kept], question.y[kept])
    save_model(
        model,
        out / "model",
        {
            "kinds": dict(question.kinds),
            "styles": dict(question.styles),
            "target": question.target,
            "answer": content,
        },
    )
    replace_file(out / ANSWER, json.dumps(content, indent=1))
    write_csv(found.methods, out / "methods.csv")
    text = script(file, question, tuned, found, asked)
    replace_file(out / "script.py", text)
    report(
        found.cells,
        out / "report.html",
        title=f"Would noise help on {file.name}?",
        question=f"Would noise in training help a network to predict "
        f"“{question.target}” of {file.name}? The measure is "
        f"{question.scoring.replace('_', ' ')}. The answer of outer folds: "
        f"{' '.join(found.sentences)}",
        config=_config(question, found),
    )


def _config(question: Question, found: Answer) -> dict[str, str]:
    """What the page tells beside its own table."""
    rows = found.methods.to_dict("records")
    return {
        "Rows, columns": f"{len(question.y):,}, {question.X.shape[1]:,}",
        **{row["method"].capitalize(): _line(row) for row in rows},
        "Too good to be true?": " ".join(question.suspects) or "nothing was found",
        "The file": "; ".join(question.notes) or "nothing was changed",
    }


def _line(row: dict[str, Any]) -> str:
    """A method's score, and its difference to the network."""
    score, low, high = (fixed(row[k], 4) for k in ("score", "low", "high"))
    text = f"{score} [{low}, {high}] of {row['candidates']} candidates"
    if row["verdict"] == "baseline":
        return text
    names = ("difference", "difference_low", "difference_high")
    change, low, high = (signed(row[name], 4) for name in names)
    return f"{text}; {change} [{low}, {high}], {said(row['verdict'])}"


def _content(
    file: Path, question: Question, tuned: Tuned, found: Answer
) -> dict[str, Any]:
    """The answer as JSON holds it."""
    chosen, methods = found.selection, found.methods.to_dict("records")
    network = methods[0]
    numbers = {
        "score": network["score"],
        "score_low": network["low"],
        "score_high": network["high"],
        "difference": chosen.difference,
        "difference_low": chosen.difference_low,
        "difference_high": chosen.difference_high,
    }
    return {
        "answer": found.sentences[0],
        "more": list(found.sentences[1:]),
        "helps": found.helps,
        "verdict": chosen.verdict,
        "noise": None if chosen.placement == "none" else chosen.placement,
        "strength": chosen.strength,
        **{name: _number(value) for name, value in numbers.items()},
        "scoring": question.scoring,
        "task": "classification" if question.classification else "regression",
        "unit": "outer fold" if question.tested is None else "seed",
        "n": chosen.difference_n,
        "rows": len(question.y),
        "columns": question.X.shape[1],
        "rows_needed": found.rows_needed,
        "params": dict(found.params),
        "methods": [{k: _number(v) for k, v in row.items()} for row in methods],
        "suspects": list(question.suspects),
        "notes": list(question.notes),
        "seconds": round(tuned.seconds, 1),
        "file": str(file),
    }


def _number(value: Any) -> Any:
    """What JSON holds: None in place of what is no finite number."""
    number = isinstance(value, float)
    return None if number and not abs(value) < float("inf") else value


def _text(found: Answer, out: Path) -> str:
    """What is printed."""
    lines = [" ".join(found.sentences), ""]
    rows = found.methods.to_dict("records")
    width = max(len(row["method"]) for row in rows)
    lines += [f"{row['method']:<{width}}  {_line(row)}" for row in rows]
    lines += [
        "",
        f"{out}: report.html, answer.json, methods.csv, script.py, and model,",
    ]
    lines += [f"which predicts by: jaxnoise predict {out / 'model'} NEW_FILE"]
    return "\n".join(lines)
