"""The tutorial's claims, settled with paired runs; and noise against its rivals.

    python experiments/claims.py

trains noise in six places, its rivals and the variants of the tutorial's readers, on
the tutorial's own points and on fresh draws of them. It prints each claim with its
verdict, and writes claims.md, tables and pictures to ``--out``. All of it takes up to
45 minutes on two cores; ``--quick`` tries the machinery at toy size, and ``--again``
judges runs that are there.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import _options as o
import pandas as pd
from _claims import files
from _claims.measures import all_claims
from _claims.page import NAME, in_readme, page
from _claims.plan import FIRST_DRAW, PLACEMENTS, Size, run_count
from _claims.rules import ROPE, Claim, judge
from _claims.runs import run_all
from _claims.scores import ACCURACY, LOSS, Scores, independent, methods
from _files import (
    Files,
    finish,
    insert,
    print_table,
    progress,
    train_and_report,
    try_replacing,
)

import jaxnoise as jn

QUICK: dict[str, Any] = {"seeds": 6, "draws": 6, "epochs": 80}
LEAST_EPOCHS = 80  # of which curves have a later half
CHANCE = 0.5
LABELS = {ACCURACY: "population accuracy (fraction of points)"}
LABELS |= {LOSS: "population loss (nats)"}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked: a bad one ends the program before any training."""
    parser = o.Parser("claims.py", __doc__)
    o.add_options(
        parser,
        seeds=1000,
        out="results/claims",
        quick="toy size: "
        + ", ".join(f"{value} {name}" for name, value in QUICK.items())
        + ", unless they are given",
    )
    parser.option("--draws", o.count, 100, "fresh draws of the data")
    parser.option("--epochs", o.count, 4000, "passes through train rows")
    parser.switch(
        "--again", "judge the runs that are in --out again, and train nothing"
    )
    parser.option("--into", Path, None, "also put the table into this README", "FILE")
    if parser.parse_args(argv).quick:
        parser.set_defaults(**QUICK)
    options = parser.parse_args(argv)
    if options.epochs < LEAST_EPOCHS:
        parser.error(
            f"argument --epochs: must be at least {LEAST_EPOCHS}, got {options.epochs}"
        )
    if FIRST_DRAW + options.seed + options.draws > 2**32:
        parser.error("argument --draws: the last draw's seed would be above 2**32 - 1")
    o.check_into(parser, options.into, NAME)
    o.check_options(parser, options)
    return options


def size_of(options: argparse.Namespace) -> Size:
    """How much the options ask for."""
    size = Size(options.seeds, options.draws, options.seed, options.epochs)
    if options.quick:
        size = size._replace(population=500, validation=50, one_program=True)
    return size


def main(argv: Sequence[str] | None = None) -> int:
    """Train, judge, print, write; the exit code."""
    options = parse(argv)
    jn.use_all_cores()
    if options.again:
        return report(*read(options), options)
    size = size_of(options)

    def train() -> jn.SweepResult:
        with progress(run_count(size)[0]) as told:
            return run_all(size, told)

    return train_and_report(train, lambda result: report(result, size, options))


def read(options: argparse.Namespace) -> tuple[jn.SweepResult, Size]:
    """The runs in ``--out``, and how much they were; the options become theirs."""
    try:
        result, config = files.read(options.out)
        made = {name: config[name] for name in ("seeds", "draws", "seed", "epochs")}
        vars(options).update(made, quick=config["quick"])
    except (OSError, ValueError, KeyError) as error:
        parser = o.Parser("claims.py")
        parser.error(f"argument --again: no runs in {options.out}: {error}")
    return result, size_of(options)


def report(result: jn.SweepResult, size: Size, options: argparse.Namespace) -> int:
    """Print and write what the runs show."""
    with Files(options.out) as written:
        if options.again:
            written.keep()
        else:
            files.write(result, written)
        written.tell_of(result, options)
        written.write_summary()  # judging takes its time
        best = jn.data.circles_bayes()
        scores = Scores(result)
        table = methods(scores)
        claims = list(all_claims(scores, table, size))
        verdicts = judge(claims)
        written.write("claims.md", page(result, size, claims, verdicts, table))
        if options.into:
            before = options.into.read_text("utf-8")
            readme = insert(before, in_readme(result, size, claims, verdicts), NAME)
            if why := try_replacing(options.into, readme):
                written.missing[str(options.into)] = why
        runs, cost = run_count(size)
        written.summary |= {
            "runs": {"planned": runs, "finished": len(result.runs), "cost": cost},
            "bayes": best._asdict(),
            "rope": ROPE,
            "claims": in_json(claims, verdicts),
        }
        if not options.no_plots and len(scores.draws) > 1:
            draw(result, scores, table, best, written)
        print_claims(claims, verdicts)
        print(f"best possible population accuracy (Bayes): {best.accuracy:.4f}")
        if options.report and scores.draws:
            write_report(scores, best, options, written)
    return finish(result, options, written)


def in_json(claims: Sequence[Claim], verdicts: Sequence[str]) -> list[dict[str, Any]]:
    """Every number of every claim."""
    return [
        {
            "says": claim.says,
            "by": claim.by,
            "on": claim.on,
            "n": claim.units(),
            "verdict": verdict,
            "measures": [each._asdict() for each in claim.measures],
        }
        for claim, verdict in zip(claims, verdicts, strict=True)
    ]


def print_claims(claims: Sequence[Claim], verdicts: Sequence[str]) -> None:
    """A line a claim, with the first number that decides it."""
    lines = [["claim", "on", "n", "first number [95 % interval]", "verdict"]]
    for claim, verdict in zip(claims, verdicts, strict=True):
        first = str(claim.deciding()[0])
        lines.append([claim.says, claim.on, str(claim.units()), first, verdict])
    print_table(lines)


def draw(
    result: jn.SweepResult,
    scores: Scores,
    table: pd.DataFrame,
    best: Any,
    written: Files,
) -> None:
    """The pictures."""
    for metric, name, value in (
        (ACCURACY, "claims.png", best.accuracy),
        (LOSS, "claims_loss.png", best.loss),
    ):
        rope = ROPE if metric == ACCURACY else None
        written.picture(name, partial(strengths, scores, metric, value))
        written.picture(
            name.replace("claims", "rivals"),
            partial(jn.plots.forest, table, metric=metric, rope=rope),
        )
    written.picture(
        "curves.png",
        lambda: jn.plots.learning_curves(
            files.part(result, "tutorial"), metric="accuracy", best=best.accuracy
        ),
    )
    written.picture(
        "grid.png",
        lambda: jn.plots.strength_heatmap(
            grid(scores), metric=ACCURACY, value="difference"
        ),
    )


def strengths(scores: Scores, metric: str, best: float) -> Any:
    """All strengths of noise in six places, in a picture for a phone."""
    import matplotlib.pyplot as plt

    runs = scores.table(["none", *PLACEMENTS])
    figure, ax = plt.subplots(figsize=(5.6, 5), layout="constrained")
    jn.plots.strength_curve(runs, metric=metric, best=best, label=LABELS[metric], ax=ax)
    legend: Any = ax.get_legend()
    title = legend.get_title().get_text().replace("\n", "; ")
    ax.legend(  # below, since a narrow picture is legible on a phone
        title=title,
        ncols=4,
        loc="upper center",
        bbox_to_anchor=(0.45, -0.14),
        frameon=False,
        columnspacing=1.2,
    )
    # labels that are all wrong may leave the picture
    none = runs.loc[runs["placement"] == "none", metric].mean()
    ax.set_ylim(*((CHANCE - ROPE, None) if metric == ACCURACY else (0, 2 * none)))
    return figure


def grid(scores: Scores) -> pd.DataFrame:
    """Noise on inputs and hidden layer, with the runs of one alone at its edges."""
    runs = scores.table(["none", "input", "hidden", "both"])
    inner = runs[runs["placement"] == "both"]
    edges = runs[runs["placement"].isin(["none", "input", "hidden"])]
    first = edges["strength"].where(edges["placement"] == "input", 0.0)
    second = edges["strength"].where(edges["placement"] == "hidden", 0.0)
    edges = edges.assign(
        placement="both",
        **{
            "strength": float("nan"),
            "strength.input": first,
            "strength.hidden": second,
        },
    )
    kept = edges["strength.input"].isin([0.0, *inner["strength.input"]])
    kept &= edges["strength.hidden"].isin([0.0, *inner["strength.hidden"]])
    none = runs[runs["placement"] == "none"]
    return independent(pd.concat([none, edges[kept], inner], ignore_index=True))


def write_report(
    scores: Scores, best: Any, options: argparse.Namespace, written: Files
) -> None:
    """The page about noise in six places, over fresh draws."""
    runs = scores.table(["none", *PLACEMENTS])
    written.page(
        runs,
        options,
        runs=runs,
        metric=ACCURACY,
        title="Noise in six places, on fresh draws of two circles",
        question="Would noise on inputs, before or after the activation, on weights, "
        "gradients or labels raise the accuracy of a small network that is trained on "
        "30 points of two noisy circles? Every draw has points of its own.",
        best=best.accuracy,
        rope=ROPE,
        label=LABELS[ACCURACY],
    )


if __name__ == "__main__":
    o.run(main)
