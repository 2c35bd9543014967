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
from _files import Files, finish, insert, train_and_report, try_replacing
from _words import print_table, quietly

import jaxnoise as jn
from jaxnoise.training.progress import progress_of

QUICK: dict[str, Any] = {"seeds": 6, "draws": 6, "epochs": 80}
LEAST_EPOCHS = 80  # of which curves have a later half
CHANCE = 0.5
LABELS = {ACCURACY: "population accuracy (fraction of points)"}
LABELS |= {LOSS: "population loss (nats)"}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked: a bad one ends the program before any training."""
    parser = o.Parser("claims.py", __doc__)
    toy = ", ".join(f"{value} {name}" for name, value in QUICK.items())
    toy = f"toy size: {toy}, unless they are given"
    o.add_options(parser, seeds=1000, out="results/claims", quick=toy)
    parser.option("--draws", o.count, 100, "fresh draws of the data")
    parser.option("--epochs", o.count, 4000, "passes through train rows")
    told = "judge the runs that are in --out again, and train nothing"
    parser.switch("--again", told)
    parser.option(
        "--into", Path, None, "also put the table into this README", metavar="FILE"
    )
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
        with progress_of(None, run_count(size)[0]) as bar:
            bar.begin()
            return run_all(size, bar.report)

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
        best, scores = jn.data.circles_bayes(), Scores(result)
        table = methods(scores)
        compared = comparisons(table) if len(scores.draws) > 1 else {}
        claims = judge(list(all_claims(scores, table, size)))
        written.write("claims.md", page(result, size, claims, table, compared))
        if options.into:
            before = options.into.read_text("utf-8")
            readme = insert(before, in_readme(result, size, claims), NAME)
            if why := try_replacing(options.into, readme):
                written.missing[str(options.into)] = why
        runs, cost = run_count(size)
        written.summary |= {
            "runs": {"planned": runs, "finished": len(result.runs), "cost": cost},
            "bayes": best._asdict(),
            "rope": ROPE,
            "claims": list(map(in_json, claims)),
        }
        print_claims(claims)
        print(f"best possible population accuracy (Bayes): {best.accuracy:.4f}")
        if scores.draws and (options.report or not options.no_plots):
            noise = comparisons(scores.table(["none", *PLACEMENTS]))
            if compared and not options.no_plots:
                draw(result, scores, noise, compared, best, written)
            if options.report:
                write_report(noise[ACCURACY], best, options, written)
    return finish(result, options, written)


def comparisons(table: pd.DataFrame) -> dict[str, Any]:
    """By accuracy and by loss."""
    ropes = {ACCURACY: ROPE, LOSS: None}
    return {m: quietly(jn.compare, table, metric=m, rope=r) for m, r in ropes.items()}


def in_json(claim: Claim) -> dict[str, Any]:
    """Every number of a claim."""
    measures = [each._asdict() for each in claim.measures]
    return claim._asdict() | {"n": claim.units(), "measures": measures}


def print_claims(claims: Sequence[Claim]) -> None:
    """A line a claim, with the first number that decides it."""
    lines = [["claim", "on", "n", "first number [95 % interval]", "verdict"]]
    for claim in claims:
        first = str(claim.deciding()[0])
        lines.append([claim.says, claim.on, str(claim.units()), first, claim.verdict])
    print_table(lines)


def draw(
    result: jn.SweepResult,
    scores: Scores,
    noise: dict[str, Any],
    rivals: dict[str, Any],
    best: Any,
    written: Files,
) -> None:
    """The pictures, of which two are of the comparisons of noise and of its rivals."""
    for metric, end in ((ACCURACY, ""), (LOSS, "_loss")):
        value = getattr(best, metric.removeprefix("population_"))
        written.picture(f"claims{end}.png", partial(strengths, noise[metric], value))
        written.picture(f"rivals{end}.png", partial(jn.plots.forest, rivals[metric]))
    tutorial = files.part(result, "tutorial")
    told = {"metric": "accuracy", "best": best.accuracy}
    curves = partial(jn.plots.learning_curves, tutorial, **told)
    written.picture("curves.png", curves)
    told = {"metric": ACCURACY, "value": "difference"}
    both = partial(jn.plots.strength_heatmap, grid(scores), **told)
    written.picture("grid.png", both)


def strengths(noise: Any, best: float) -> Any:
    """All strengths of noise in six places, in a picture for a phone."""
    import matplotlib.pyplot as plt

    metric = noise.attrs["metric"]
    figure, ax = plt.subplots(figsize=(5.6, 5), layout="constrained")
    jn.plots.strength_curve(noise, best=best, label=LABELS[metric], ax=ax)
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
    none = noise["mean"][noise["placement"] == "none"].item()
    ax.set_ylim(*((CHANCE - ROPE, None) if metric == ACCURACY else (0, 2 * none)))
    return figure


def grid(scores: Scores) -> pd.DataFrame:
    """Noise on inputs and hidden layer, with the runs of one alone at its edges."""
    runs = scores.table(["none", "input", "hidden", "both"])
    leaves = {f"strength.{place}": place for place in ("input", "hidden")}
    inner, rest = (
        runs[(runs["placement"] == "both") == both] for both in (True, False)
    )
    edges = rest.assign(placement="both", strength=float("nan"))
    kept = pd.Series(True, rest.index)
    for leaf, place in leaves.items():
        edges[leaf] = rest["strength"].where(rest["placement"] == place, 0.0)
        kept &= edges[leaf].isin([0.0, *inner[leaf]])
    none = rest[rest["placement"] == "none"]
    return independent(pd.concat([none, edges[kept], inner], ignore_index=True))


def write_report(
    noise: Any, best: Any, options: argparse.Namespace, written: Files
) -> None:
    """The page about noise in six places, over fresh draws."""
    written.page(
        noise,
        options,
        title="Noise in six places, on fresh draws of two circles",
        question="Would noise on inputs, before or after the activation, on weights, "
        "gradients or labels raise the accuracy of a small network that is trained on "
        "30 points of two noisy circles? Every draw has points of its own.",
        best=best.accuracy,
        label=LABELS[ACCURACY],
    )


if __name__ == "__main__":
    o.run(main)
