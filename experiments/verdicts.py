"""On which data does which noise help? One table from all experiments on real data.

    python experiments/verdicts.py

runs the five experiments with their defaults, which takes up to 50 minutes on two
cores, and puts what they show into one table, verdicts.md, in ``--out``. A script whose
files are there already is not run again with ``--again``.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import _options as o
from _files import FAILED, SUMMARY, insert, markdown, read_summary, try_replacing
from _words import with_interval

NAME = "verdicts"  # of its place in a README
SCRIPTS = ("few_labels", "digits_cnn", "mnist1d", "vowels_lstm", "regression")
VERDICTS = ("better", "worse", "no evidence")
HEADING = ("study", *VERDICTS, "without noise", "n", "train rows")
NOTES = (
    "What each place of noise is worth on test rows, at the strength that validation "
    "rows chose, with its 95 % interval: differences to the same network without noise "
    "in accuracy, or in the squared error, of which less is better. Verdicts allow for "
    "all places and strengths of a study (Holm's p). n is the number of random "
    "training sets from the same data (splits) or, on one training set, of seeds."
)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked."""
    parser = o.Parser("verdicts.py", __doc__)
    parser.option("--out", Path, Path("results"), "where files go")
    parser.switch("--again", "run no script whose files are there")
    parser.switch("--quick", "run the scripts at toy size")
    parser.option(
        "--into", Path, None, "also put the table into this README", metavar="FILE"
    )
    options = parser.parse_args(argv)
    o.check_into(parser, options.into, NAME)
    options.out = o.writable_directory(parser, options.out)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is to be run, write the table; the exit code."""
    options = parse(argv)
    for script in SCRIPTS:
        out = options.out / script
        if options.again and summaries(out):
            continue
        # A process each: a script's name may be that of a package.
        command = [sys.executable, str(Path(__file__).with_name(f"{script}.py"))]
        command += ["--out", str(out), "--report", *["--quick"] * options.quick]
        code = subprocess.run(command, check=False).returncode
        if code:
            return code
    studies = [each for script in SCRIPTS for each in summaries(options.out / script)]
    text = table(studies)
    print(text, end="")
    failed = try_replacing(options.out / "verdicts.md", text)
    if options.into:
        readme = insert(options.into.read_text("utf-8"), text, NAME)
        failed += try_replacing(options.into, readme)
    return FAILED if failed else 0


def summaries(folder: Path) -> list[dict[str, Any]]:
    """Those of a script, in the order in which it made them; whole ones alone."""
    files = sorted(folder.glob(f"**/{SUMMARY}"), key=lambda file: file.stat().st_mtime)
    found = []
    for file in files:
        with suppress(OSError, ValueError):  # another run began to write there
            found.append(read_summary(file.parent))
    return [summary for summary in found if summary["complete"]]


def table(studies: Sequence[dict[str, Any]]) -> str:
    """What is said of the table, and the table, in Markdown."""
    return f"{NOTES}\n\n{markdown(HEADING, list(map(row, studies)))}"


def row(study: dict[str, Any]) -> list[str]:
    """A study's cells."""
    told: dict[str, list[str]] = {verdict: [] for verdict in VERDICTS}
    for each in study["verdicts"]:
        verdict = each["verdict"] if each["verdict"] in told else "no evidence"
        told[verdict].append(_worth(each))
    (baseline,) = (r for r in study["rows"] if r["placement"] == "none")
    score = baseline["metrics"][study["metric"]]["mean"]
    metric = study["metric"].removeprefix("test_").replace("_", " ")
    unit = study["unit"] + ("" if baseline["n"] == 1 else "s")
    return [
        study["study"],
        *("<br>".join(told[verdict]) or "–" for verdict in VERDICTS),
        f"{metric} {score:.4f}",
        f"{baseline['n']} {unit}",
        f"{study['train_rows']:,}",
    ]


def _worth(each: dict[str, Any]) -> str:
    strength = f" {each['strength']:g}" if each["strength"] else ""
    difference = with_interval(each["difference"]).replace("-", "−")
    return f"{each['placement']}{strength}: {difference}"


if __name__ == "__main__":
    o.run(main)
