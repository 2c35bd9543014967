"""On which data does which noise help? One table from all experiments on real data.

    python experiments/verdicts.py

runs the five experiments with their defaults, which takes up to 50 minutes on two
cores, and puts what they show into one table, verdicts.md, in ``--out``. Every run that
has finished is kept there, so that the same command goes on after a kill. A script
whose files are there already is not run again with ``--again``.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import _options as o
from _files import (
    FAILED,
    SUMMARY,
    insert_into,
    markdown,
    read_summary,
    try_replacing,
    with_interval,
)
from _rivals import ANY_NOISE

from jaxnoise.evidence.format import in_words, said

NAME = "verdicts"  # of its place in a README
SCRIPTS = ("few_labels", "digits_cnn", "mnist1d", "vowels_lstm", "regression")
HEADING = ["study", "metric", "without noise", "the best noise"]
HEADING += ["against the best rival", "n", "train rows"]
NOTES = (
    "What noise is worth on test rows: the best of its places and strengths, as the "
    "validation rows of every split choose them by the metric of the line, minus the "
    "same network without noise, and minus the best of its rivals (learning rate, "
    "epochs, weight decay, dropout, max-norm, label smoothing), chosen alike; each has "
    "four candidates. With 95 % intervals; verdicts allow for all methods and "
    "metrics of a study (Holm's p). Of loss, Brier score and squared error less is "
    "better. n is the number of random training sets from the same data."
)
MORE = "Every place of noise, every rival, a linear model and gradient boosting"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked."""
    parser = o.Parser("verdicts.py", __doc__)
    parser.option("--out", Path, Path("results"), "where files go")
    parser.switch("--again", "run no script whose files are there")
    parser.switch("--quick", "run the scripts at toy size")
    return o.options_of_page(parser, argv, NAME)


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
    failed += insert_into(options.into, text, NAME)
    return FAILED if failed else 0


def summaries(folder: Path) -> list[dict[str, Any]]:
    """Those of a script, in the order in which it made them; whole ones alone."""
    files = sorted(folder.glob(f"**/{SUMMARY}"), key=lambda file: file.stat().st_mtime)
    found = []
    for file in files:
        with suppress(OSError, ValueError):  # another run began to write there
            found.append(read_summary(file.parent))
    return [each for each in found if each["complete"] and "methods" in each]


def table(studies: Sequence[dict[str, Any]]) -> str:
    """What is said of the table, and the tables, in Markdown; the long one folded."""
    short = [row for study in studies for row in best(study)]
    long = [row for study in studies for row in all_methods(study)]
    heading = ["study", "method"]
    for metric in ("accuracy or squared error", "loss", "Brier score"):
        heading += [metric, "difference to none"]
    return f"""\
{NOTES}

{markdown(HEADING, short)}
<details>
<summary>{MORE}</summary>

{markdown(heading, long)}
</details>
"""


def best(study: dict[str, Any]) -> list[list[str]]:
    """A line a metric: the best noise against none and against the best rival."""
    lines, both = [], [*study["methods"], *study["against"]]
    noises = [each for each in both if each["placement"] == ANY_NOISE]
    for row in (each for each in study["methods"] if each["placement"] == "none"):
        noise = [told(each) for each in noises if each["metric"] == row["metric"]]
        unit = study["unit"] + ("" if row["n"] == 1 else "s")
        rows = f"{study['train_rows']:,}"
        name = in_words(row["metric"].removeprefix("test_"))
        score = f"{row['mean']:.4f}"
        lines.append([study["study"], name, score, *noise, f"{row['n']} {unit}", rows])
    return lines


def all_methods(study: dict[str, Any]) -> list[list[str]]:
    """A line a method, its metrics side by side."""
    lines: dict[str, list[str]] = {}
    for row in study["methods"]:
        line = lines.setdefault(row["placement"], [study["study"], row["placement"]])
        line += [f"{row['mean']:.4f}", told(row)]
    return [line + ["–"] * (8 - len(line)) for line in lines.values()]


def told(row: dict[str, Any]) -> str:
    """A difference with its interval and verdict."""
    if row["verdict"] == "baseline":
        return "–"
    difference = with_interval(row["difference"]).replace("-", "−")
    return f"{difference} {said(row['verdict'])}"


if __name__ == "__main__":
    o.run(main)
