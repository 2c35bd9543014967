"""The tutorial's claims, settled with paired runs; and noise against its rivals.

    python experiments/claims.py

trains noise in six places, its rivals and the variants of the tutorial's readers, on
the tutorial's own points and on fresh draws of them. It prints each claim with its
verdict, and writes claims.md, tables and pictures to ``--out``. All of it takes up to
45 minutes on two cores. Finished runs are kept in stores there: the same command goes
on after a kill. ``--quick`` tries the machinery at toy size, and ``--again`` judges
the runs that are there.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import _options as o
import pandas as pd
from _claims.measures import ACCURACY, LOSS, Scores, all_claims
from _claims.page import NAME, in_readme, page, tables
from _claims.plan import PLACES, PLAN, Size, run_count, train
from _claims.rules import SCALE, Claim, judge
from _files import INTERRUPTED, Files, insert_into, print_table, quietly, store_of
from _rivals import panels

import jaxnoise as jn

QUICK: dict[str, Any] = {"seeds": 6, "draws": 6, "epochs": 80}
LEAST_EPOCHS = 80  # of which curves have a later half
LABELS = {ACCURACY: "population accuracy", LOSS: "population loss, nats"}
Results = Mapping[str, jn.SweepResult]  # by study


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked: a bad one ends the program before any training."""
    parser = o.Parser("claims.py", __doc__)
    toy = ", ".join(f"{value} {name}" for name, value in QUICK.items())
    toy = f"toy size: {toy}, unless they are given, and few placements"
    o.add_options(parser, seeds=200, out="results/claims", quick=toy)
    parser.option("--draws", o.count, PLAN["draws"], "fresh draws of the data")
    parser.option("--epochs", o.count, 4000, "passes through train rows")
    told = "judge the runs that are in --out again, and train nothing"
    parser.switch("--again", told)
    o.add_into(parser)
    if parser.parse_args(argv).quick:
        parser.set_defaults(**QUICK)
    options = parser.parse_args(argv)
    if options.epochs < LEAST_EPOCHS:
        parser.error(
            f"argument --epochs: must be at least {LEAST_EPOCHS}, got {options.epochs}"
        )
    if PLAN["population_seed"] + options.seed + options.draws > 2**32:
        parser.error("argument --draws: the last draw's seed would be above 2**32 - 1")
    o.check_into(parser, options.into, NAME)
    o.check_options(parser, options)
    return options


def size_of(options: argparse.Namespace) -> Size:
    """How much the options ask for."""
    how_many = options.seeds, options.draws, options.seed, options.epochs
    return Size(*how_many, toy=options.quick)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, judge, print, write; the exit code."""
    options = parse(argv)
    jn.use_all_cores()
    jn.use_cache()
    size, results = size_of(options), {}
    if options.again:
        return report(read(size, options.out), size, options)
    for study, grids in size.studies():
        store = store_of(options, f"{study.name}.sqlite")
        results[study.name] = train(study, grids, size, store)
        if not results[study.name].complete:
            print(
                f"interrupted; the same command goes on: {options.out} has the runs",
                file=sys.stderr,
            )
            return INTERRUPTED
    return report(results, size, options)


def read(size: Size, out: Path) -> Results:
    """The runs in ``--out``, if all are there."""
    results = {}
    try:
        for study, _ in size.studies():
            first = size.first if study.by_seed else 0
            units = list(range(first, first + size.units(study)))
            asked = {"seed" if study.by_seed else "split": units}
            store, epochs = jn.Store(out / f"{study.name}.sqlite"), size.epochs
            results[study.name] = store.result(epochs=epochs * study.longer, **asked)
        found = sum(len(result.runs) for result in results.values())
        if found != run_count(size)[0]:
            raise ValueError(f"{found} of {run_count(size)[0]}")
    except (OSError, ValueError) as error:
        o.Parser("claims.py").error(f"argument --again: no such runs in {out}: {error}")
    return results


def report(results: Results, size: Size, options: argparse.Namespace) -> int:
    """Print and write what the runs show."""
    best, scores = jn.data.circles_bayes(), Scores(results)
    with Files(options.out) as written:
        named = [each.runs.assign(study=name) for name, each in results.items()]
        written.runs(pd.concat(named, ignore_index=True))
        for each in results.values():
            written.tell_of(each, options)
        claims = judge(list(all_claims(scores, size)))
        shown = tables(size, claims, scores)
        written.write("claims.md", page(size, claims, shown))
        if why := insert_into(options.into, in_readme(claims, shown), NAME):
            written.missing[str(options.into)] = why
        runs, cost = run_count(size)
        written.summary |= {
            "runs": {"planned": runs, "cost": cost},
            "bayes": best._asdict(),
            "scale": SCALE,
            "claims": list(map(in_json, claims)),
        }
        print_claims(claims)
        print(f"best possible population accuracy (Bayes): {best.accuracy:.4f}")
        if size.draws > 1 and not options.no_plots:
            draw(results, scores, best, written)
        if options.report:
            write_report(noise_of(results, ACCURACY), best, options, written)
    print(f"files in {options.out}")
    return written.code


def noise_of(results: Results, metric: str) -> Any:
    """Noise in six places at its strengths, against none, on the draws."""
    runs = results["draws"].runs
    parts = [runs[runs["placement"] == place] for place in ("none", *PLACES)]
    noisy = pd.concat(parts, ignore_index=True)
    numbers = noisy.drop(columns=[c for c in noisy if c.startswith("strength.")])
    return quietly(jn.compare, numbers, metric=metric, overlap=0.0)


def in_json(claim: Claim) -> dict[str, Any]:
    """Every number of a claim."""
    measures = [each._asdict() for each in claim.measures]
    return claim._asdict() | {"n": claim.units(), "measures": measures}


def print_claims(claims: Sequence[Claim]) -> None:
    """A line a claim, with the first number that decides it."""
    lines = [["claim", "on", "n", "first number [95 % interval]", "verdict"]]
    for each in claims:
        first = f"{each.deciding()[0]}"
        lines.append([each.says, each.on, f"{each.units()}", first, each.verdict])
    print_table(lines)


def draw(results: Results, scores: Scores, best: Any, written: Files) -> None:
    """The pictures."""
    for metric, end in ((ACCURACY, ""), (LOSS, "_loss")):
        noise = partial(panels, noise_of(results, metric), LABELS[metric])
        written.picture(f"claims{end}.png", noise)
        rivals = quietly(jn.compare, scores.methods, metric=metric)
        written.picture(f"rivals{end}.png", partial(jn.plots.forest, rivals))
    told = {"metric": "accuracy", "best": best.accuracy}
    tutorial = partial(jn.plots.learning_curves, results["tutorial"], **told)
    written.picture("curves.png", tutorial)


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
        label=f"{LABELS[ACCURACY]} (fraction of points)",
    )


if __name__ == "__main__":
    o.run(main)
