"""The commands and their options, as Click has them.

Rooms that compute are imported by the commands that need them, so that help is quick.
Exit codes: 0 for an answer, 1 for none, 2 for input that cannot be used.
"""

import json
import sys
from collections.abc import Callable
from functools import wraps
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import click

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 88}
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
TO_FILE = click.Path(dir_okay=False, path_type=Path)
TO_FOLDER = click.Path(file_okay=False, path_type=Path)


def examples(*lines: str) -> str:
    """Lines below a command's help, as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


@click.group(
    context_settings=CONTEXT,
    epilog=examples(
        "jaxnoise tune patients.csv --target outcome",
        "jaxnoise predict patients.outcome/model new_patients.csv --out predicted.csv",
        "jaxnoise noises",
    ),
)
@click.version_option(package_name="jaxnoise")
def main() -> None:
    """Would noise in training help: on your table, where, how much, and how sure?

    Exit codes are 0 for an answer, 1 for none, 2 for input that cannot be used.
    """


def shows(function: Callable[..., Any]) -> Callable[..., None]:
    """A command that returns text and what JSON holds, and fails in one line."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
    @click.option("--quiet", "-q", is_flag=True, help="Say nothing on the way.")
    @wraps(function)
    def command(*, as_json: bool, quiet: bool, **given: Any) -> None:
        try:
            text, content = function(quiet=quiet, **given)
        except KeyboardInterrupt:
            _end("stopped", 1)
        except Exception as error:
            code = _code(error)
            if code is None:
                raise
            _end(error, code)
        if isinstance(sys.stdout, TextIOWrapper):  # not all encodings have all signs
            sys.stdout.reconfigure(errors="replace")
        click.echo(json.dumps(content, indent=1) if as_json else text)

    return command


def _code(error: Exception) -> int | None:
    """2 for what a user can mend, 1 for no answer, None for a fault of ours."""
    from jaxnoise.command.columns import FileError
    from jaxnoise.command.tuning import Stopped
    from jaxnoise.store.file import StoreError

    if isinstance(error, FileError | StoreError):
        return 2
    return 1 if isinstance(error, Stopped | OSError | MemoryError) else None


def _end(message: Any, code: int) -> None:
    click.echo(f"jaxnoise: {message}", err=True)
    sys.exit(code)


@main.command(
    context_settings=CONTEXT,
    epilog=examples(
        "jaxnoise tune patients.csv --target outcome",
        "jaxnoise tune visits.csv --target cost --group patient --minutes 20",
        "jaxnoise tune sales.csv --target units --time day",
    ),
)
@click.argument("file", type=FILE)
@click.option("--target", required=True, help="The column to predict.")
@click.option(
    "--task",
    type=click.Choice(["classification", "regression"]),
    help="What the target is; else found out, and said.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    default=5.0,
    show_default=True,
    help="How long it may take.",
)
@click.option(
    "--scoring",
    help="The score that chooses and reports, a scorer of "
    "scikit-learn; else accuracy, or r2.",
)
@click.option(
    "--group",
    metavar="COLUMN",
    help="Rows of one value, such as a patient's, stay on one side of every division.",
)
@click.option(
    "--time", metavar="COLUMN", help="Rows that test are later than rows that train."
)
@click.option("--test", type=FILE, help="Rows of this file report, and train nothing.")
@click.option(
    "--drop",
    multiple=True,
    metavar="COLUMN",
    help="A column to leave out; may be given again.",
)
@click.option(
    "--rows",
    type=click.IntRange(1),
    help="So many rows at random, of a file that is too large.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of divisions and networks.",
)
@click.option(
    "--out",
    type=TO_FOLDER,
    help="The folder for all that is written; else FILE's name and the target's, here.",
)
@shows
def tune(**options: Any) -> tuple[str, dict[str, Any]]:
    """Try noise on a table, and answer in one sentence.

    FILE is CSV of any delimiter, Parquet or Arrow. The same line again goes on where it
    stopped, and with more --minutes tries more.
    """
    from jaxnoise.command.run import run

    return run(**options)


@main.command(
    context_settings=CONTEXT,
    epilog=examples(
        "jaxnoise predict patients.outcome/model new.csv --out predicted.csv",
    ),
)
@click.argument("model", type=FOLDER)
@click.argument("file", type=FILE)
@click.option("--out", type=TO_FILE, help="A CSV file to write; else they are printed.")
@shows
def predict(
    model: Path, file: Path, out: Path | None, quiet: bool
) -> tuple[str, dict[str, Any]]:
    """Predict the rows of FILE by the folder MODEL that tune has written."""
    from jaxnoise.command.reading import write_csv
    from jaxnoise.command.saved import predictions

    found, notes = predictions(model, file)
    for note in () if quiet else notes:
        click.echo(note, err=True)
    content = {"predictions": found.to_dict("records"), "notes": list(notes)}
    if out is not None:
        write_csv(found, out)
        return f"{len(found)} rows are predicted in {out}", content
    write_csv(found, printed := StringIO())
    return printed.getvalue().rstrip("\n"), content


@main.command(
    context_settings=CONTEXT,
    epilog=examples(
        "jaxnoise report results.sqlite --metric test_accuracy",
    ),
)
@click.argument("store", type=FILE)
@click.option("--metric", help="The column that is compared; else a score of new rows.")
@click.option(
    "--out",
    type=TO_FILE,
    default="report.html",
    show_default=True,
    help="The page to write.",
)
@shows
def report(
    store: Path, metric: str | None, out: Path, quiet: bool
) -> tuple[str, dict[str, Any]]:
    """Write the page of a STORE that a sweep has written."""
    from jaxnoise.command.columns import FileError
    from jaxnoise.evidence.report import report as write_report
    from jaxnoise.store.store import Store

    result = Store(store).result()
    try:
        path = write_report(result, out, metric=metric)
    except ValueError as error:  # of a metric that is not there
        raise FileError(str(error).replace("\n", " ")) from error
    return f"the page is {path}", {"report": str(path)}


@main.command(
    context_settings=CONTEXT,
    epilog=examples(
        "jaxnoise runs results.sqlite",
    ),
)
@click.argument("store", type=FILE)
@shows
def runs(store: Path, quiet: bool) -> tuple[str, dict[str, Any]]:
    """List the finished runs in a STORE."""
    from jaxnoise.store.store import Store

    table = Store(store).runs
    records = json.loads(table.to_json(orient="records"))
    return table.to_string(index=False), {"runs": records}


@main.command(context_settings=CONTEXT)
@shows
def noises(quiet: bool) -> tuple[str, dict[str, Any]]:
    """List the noises: functions, layers, and what they do."""
    from jaxnoise.command.facts import noises_table

    rows = noises_table()
    lines = [f"{row['function']}  ({row['layer']})\n    {row['what']}" for row in rows]
    return "\n".join(lines), {"noises": rows}


@main.command(context_settings=CONTEXT)
@shows
def doctor(quiet: bool) -> tuple[str, dict[str, Any]]:
    """Tell devices, cores, memory and versions, and what would make it faster."""
    from jaxnoise.command.facts import machine_facts

    facts, advice = machine_facts()
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {value}" for name, value in facts.items()]
    return "\n".join([*lines, *advice]), {**facts, "advice": advice}


@main.command(
    context_settings=CONTEXT,
    epilog=examples(
        'eval "$(jaxnoise completion bash)"',
        "jaxnoise completion fish > ~/.config/fish/completions/jaxnoise.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands and options."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(main, {}, "jaxnoise", "_JAXNOISE_COMPLETE").source())
