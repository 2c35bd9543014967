"""Does noise in training buy robustness, against what, and at what cost?

    python experiments/robustness.py

trains networks on circles, digits, MNIST's digits and MNIST-1D without noise, and with
it on inputs, hidden layer and weights, at two strengths, on ten draws of the train rows
each. Test rows tell what they stand: noise, corruptions, attacks, certificates, and
whether their probabilities can be believed; a page a task has all of it. The claims of
robustness.toml get verdicts, which go into robustness.md in ``--out``. Finished runs
are kept there, so that the same command goes on after a kill; ``--again`` takes the
tasks whose files are there as they are.
"""

import dataclasses
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import _options as o
import _study as study
import jax
import numpy as np
import pandas as pd
from _claims.page import SIGNS
from _claims.rules import Claim, judge, measure, number, range_of
from _files import (
    FAILED,
    Files,
    insert_into,
    markdown,
    quietly,
    read_summary,
    try_replacing,
)
from _recipes import METRICS, TUTORIAL

import jaxnoise as jn
from jaxnoise.results import cell_columns
from jaxnoise.robustness.report import Robustness, measured, robustness_page

NAME = "robustness"  # of its place in a README
PLAN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
CLAIMS, TASKS = PLAN["claim"], PLAN["task"]
PLACES = {
    "input": "on the inputs",
    "hidden": "before the activation",
    "weights": "on the weights",
}
SIZE = {"draws": 5, "n": 400}
QUICK = {"draws": 1, "points": 5, "n": 100}


def task(name: str, data: Any, recipe: Any, **more: Any) -> study.Study:
    """A study that is judged by what its networks stand."""
    return study.Study(
        name=name,
        data=data,
        recipe=recipe,
        choices=False,
        keep_params=True,
        question="What does noise in training buy these networks at test time?",
        draw=lambda files, shown: None,
        more=partial(stood, name),
        **TASKS[name]["study"],
        **more,
    )


def stood(name: str, files: Files, shown: study.Shown) -> dict[str, Any]:
    """Measure it, write the page; the scores, for the summary."""
    plan, quick = TASKS[name], getattr(shown.options, "quick", False)
    rows = shown.data["population" if "population" in shown.data else "test"]
    asked = {name: plan[name] for name in ("stddevs", "radius", "points")}
    asked |= {"key": jax.random.key(0)} | (QUICK if quick else SIZE)
    found = quietly(measured, bare(shown.result), rows, **asked)
    title, config = f"What noise in training buys: {name}", dict(vars(shown.options))
    make = partial(robustness_page, found, title=title, config=config)
    files.write(f"{NAME}.html", make)
    return {"scores": scores_of(found, plan).to_dict("records")}


def bare(result: jn.SweepResult) -> jn.SweepResult:
    """The runs as if of the networks themselves, without what started them."""

    def inner(recipe: Any, strength: Any) -> jn.Recipe:
        made = recipe(strength)
        return dataclasses.replace(made, model=made.model.module)

    plan: Any = result.origin
    recipes = {name: partial(inner, recipe) for name, recipe in plan.recipes.items()}
    origin = dataclasses.replace(plan, recipes=recipes)
    return dataclasses.replace(result, origin=origin)


def scores_of(found: Robustness, plan: Mapping[str, Any]) -> pd.DataFrame:
    """A row a run, with the scores of the claims, all of which are better higher."""
    table, at = found.scores, plan["study"]["strengths"]["input"][-1]
    (certified,) = (column for column in table if column.startswith("certified"))
    return table[[*cell_columns(table), "seed", "split"]].assign(
        clean=table["accuracy"],
        noise=table[f"accuracy at {at:g}"],
        corrupted=table["accuracy of corrupted rows"],
        attacked=table["accuracy under attack"],
        certified=table[certified],
        calibration=-table["expected_calibration_error"],
    )


def add_own(parser: o.Parser) -> None:
    """The options of the table."""
    o.add_into(parser)
    parser.switch("--again", "measure no task whose files are there")


def mnist5k(train_size: int, *, validation: int, seed: int) -> jn.Data:
    """Draws of one half of the digits, and rows of the other, which no draw trains on.

    The loader's own draws would do so: what is a test row in one is not in another.
    """
    (x, y), (x_test, y_test) = jn.data.mnist5k(2500).values()
    rows = np.random.default_rng(seed).choice(len(x), train_size, replace=False)
    return jn.Data(train=(x[rows], y[rows]), test=(x_test[::10], y_test[::10]))


CIRCLES = partial(jn.data.circles, population=2000)
BINARY = study.network(TUTORIAL, jn.losses.binary_cross_entropy, METRICS)
SETS = {"judged_on": "population", "sets": ("train", "population")}
MLP, CNN = partial(jn.MLP, (100, 100), 10), partial(jn.CNN, (16, 32), 10)
SMALL = study.network(partial(jn.CNN, (8, 16), 10))
STUDIES = {
    each.name: each
    for each in (
        task("circles", CIRCLES, BINARY, **SETS),
        task("digits", jn.data.digits, study.network(CNN)),
        task("mnist5k", mnist5k, SMALL),
        task("mnist1d", jn.data.mnist1d, study.network(MLP)),
    )
}
script = study.Script(
    "robustness.py",
    __doc__,
    STUDIES,
    tuple(PLACES),
    learning_rate=2e-3,
    draws=10,
    choice=("data", list(STUDIES), "the task"),
    add=add_own,
    check=lambda parser, options: o.check_into(parser, options.into, NAME),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Every task, then the table; the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    options = script.parser().parse_args(argv)
    names = list(STUDIES) if options.data == "all" else [options.data]
    found = {}
    for name in names:
        out = options.out / name
        if not (options.again and summary_of(out)):
            code = script([*argv, "--data", name, "--out", str(out)])
            if code:
                return code
        found[name] = pd.DataFrame(summary_of(out)["scores"])
    claims = judge([c for name in names for c in claims_of(name, found[name])])
    text = page(claims, names)
    print(text, end="")
    failed = try_replacing(options.out / f"{NAME}.md", text)
    failed += insert_into(options.into, text, NAME)
    if not options.no_plots:
        picture = partial(draw, claims, names)
        failed += try_replacing(options.out / f"{NAME}.png", picture)
    return FAILED if failed else 0


def summary_of(out: Path) -> dict[str, Any]:
    """Of a task that is done; else nothing."""
    with suppress(OSError, ValueError):
        found = read_summary(out)
        if found["complete"] and "scores" in found:
            return found
    return {}


def claims_of(name: str, scores: pd.DataFrame) -> list[Claim]:
    """Every claim about every place, of one task."""
    made = []
    for claim in CLAIMS:
        wide = scores.pivot_table(
            claim["score"], ["seed", "split"], ["placement", "strength"]
        )
        gains = wide.sub(wide["none", 0.0], axis=0)
        for place, where in PLACES.items():
            there = [cell for cell in gains if cell[0] == place]
            if not there:  # as in a quick run
                continue
            ranges = [None] * (len(there) - 1) + [range_of(claim["claimed"])]
            measures = [
                measure(f"{place} {cell[1]:g}", gains[cell], range_, "+.3f")
                for cell, range_ in zip(there, ranges, strict=True)
            ]
            says = f"Noise {where} {claim['says']}"
            made.append(Claim(says, claim["score"], name, measures))
    return made


def page(claims: Sequence[Claim], names: Sequence[str]) -> str:
    """What is said of the tables, and the tables, in Markdown; the long one folded."""
    by: dict[str, list[Claim]] = {}
    for claim in claims:
        by.setdefault(claim.says, []).append(claim)
    short = [[says, *map(told, each)] for says, each in by.items()]
    long = [[c.says, c.on, c.shown(), f"{c.units()}", c.verdict] for c in claims]
    return f"""\
{PLAN["notes"]}

{markdown(["claim", *names], short)}
<details>
<summary>The strengths, and the smaller ones beside</summary>

{markdown(["claim", "task", "gains", "n", "verdict"], long)}
</details>
"""


def told(claim: Claim) -> str:
    """The number that decides, with its verdict."""
    (each,) = claim.deciding()
    mean, low, high = (number(v, each.form) for v in (each.mean, each.low, each.high))
    return f"{SIGNS[claim.verdict][0]} {mean} [{low}, {high}]"


def draw(claims: Sequence[Claim], names: Sequence[str], path: Path) -> None:
    """A panel a task: what noise in every place gains in every score."""
    import matplotlib

    matplotlib.use("Agg")  # with or without a display
    from matplotlib import pyplot as plt

    from jaxnoise.evidence.plots.style import placement_style

    labels = [claim["label"] for claim in CLAIMS]
    shape: Any = {"sharey": True, "squeeze": False, "layout": "constrained"}
    figure, axes = plt.subplots(1, len(names), figsize=(11, 3.6), **shape)
    for ax, name in zip(axes[0], names, strict=True):
        there = [claim for claim in claims if claim.on == name]
        for i, (place, where) in enumerate(PLACES.items()):
            gains = [c.deciding()[0] for c in there if f" {where} " in c.says]
            if not gains:
                continue
            mean, low, high = np.array([(g.mean, g.low, g.high) for g in gains]).T
            at = np.arange(len(labels)) + 0.2 * (i - 1)
            look = placement_style(i + 1) | {"linestyle": "", "markersize": 4}
            ax.errorbar(mean, at, xerr=(mean - low, high - mean), label=place, **look)
        ax.axvline(0, color="0.5", linewidth=0.8, zorder=0)
        ax.set(title=name, xlabel="gain")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_yticks(range(len(labels)), labels)
    axes[0, 0].invert_yaxis()
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    o.run(main)
