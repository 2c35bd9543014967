"""Does noise help on the two circles? The tutorial's case study, with paired runs.

    python experiments/circles.py --placement input

trains the placement and the same network without noise on the same seeds, prints what
the runs show, and writes tables, curves and pictures to ``--out``. Several ``--stddev``
make a grid; ``--seeds 1`` prints the tutorial's own lines; ``--report`` puts all of it
on one page.
"""

import argparse
import sys
from collections.abc import Iterable
from functools import partial
from typing import Any

import _common as common
import jax
from _recipes import recipe

import jaxnoise as jn

DEFAULT_STRENGTH = {
    # the tutorial's
    "input": 0.01,
    "hidden": 0.1,
    "activation": 0.1,
    "both": 0.1,
    # the best of five in a first look at this data set, so that they look good on it
    "weights": 0.03,
    "gradients": 0.01,
    "labels": 0.1,
}
PLACES = {
    "input": "on the inputs",
    "hidden": "before the activation",
    "activation": "after the activation",
    "both": "both on the inputs and before the activation",
    "weights": "on the weights",
    "gradients": "on the gradients",
    "labels": "on the labels",
}
INPUT_STDDEV = 0.01  # of the placement `both`
SETS = ("train", "test", "population")
METRICS = ("accuracy", "loss")
COMPARED = "population_accuracy"
SHOWN = {"train_accuracy": 3, "test_accuracy": 3, "population_accuracy": 4}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The options, checked: a bad one ends the program before any training."""
    parser = common.Parser(
        prog="circles.py",
        description=__doc__.split("\n")[0],
    )
    add = parser.add_argument
    common.add_placement(
        parser,
        list(DEFAULT_STRENGTH),
        "where noise enters; hidden is before the ReLU, activation after it, both is "
        "input and hidden; labels flips them",
    )
    add(
        "--stddev",
        type=common.strength,
        nargs="+",
        metavar="S",
        help="strengths of the placement: standard deviations, of the hidden layer for "
        "both, and for labels the rate of flips (default: "
        + ", ".join(f"{s} for {p}" for p, s in DEFAULT_STRENGTH.items())
        + ")",
    )
    add(
        "--input-stddev",
        type=common.strength,
        metavar="S",
        help=f"strength on the inputs for both (default: {INPUT_STDDEV})",
    )
    add(
        "--epochs", type=common.count, default=4000, help="passes through the train set"
    )
    add("--batch-size", type=common.count, default=32, help="rows of a minibatch")
    add(
        "--hidden-units",
        type=common.count,
        default=500,
        help="width of the hidden layer",
    )
    add("--learning-rate", type=common.positive, default=1e-3, help="of Adam")
    add(
        "--samples",
        type=common.count,
        default=100,
        help="train and test points together",
    )
    add("--train-size", type=common.count, default=30, help="train points")
    add("--data-noise", type=common.strength, default=0.1, help="stddev of the points")
    add("--data-seed", type=common.seed, default=1, help="seed of the points")
    add(
        "--population-seed",
        type=common.seed,
        default=12345,
        help="seed of the population",
    )
    common.add_options(parser, seeds=30, out="results/circles")
    options = parser.parse_args(argv)

    noisy = common.check_placement(parser, options, list(DEFAULT_STRENGTH))
    if options.input_stddev is not None and "both" not in noisy:
        parser.error("argument --input-stddev: goes with placement both or all")
    if options.train_size >= options.samples:
        parser.error(
            f"argument --train-size: must be less than --samples ({options.samples}), "
            f"got {options.train_size}"
        )
    if "both" in noisy and options.input_stddev is None:
        options.input_stddev = INPUT_STDDEV
    common.check_options(parser, options)
    return options


def recipes(options: argparse.Namespace) -> dict[str, Any]:
    """By placement, a function ``strength -> Recipe``; the model is the tutorial's."""
    build = partial(
        recipe, units=options.hidden_units, learning_rate=options.learning_rate
    )
    made = {
        placement: lambda s, placement=placement: build({placement: s})
        for placement in DEFAULT_STRENGTH
    }
    return made | {
        "none": lambda _: build({}),
        "both": lambda s: build({"input": options.input_stddev, "hidden": s}),
    }


def train(options: argparse.Namespace, data: jn.Data) -> jn.SweepResult:
    """All the runs: the placements asked for, and ``none`` on the same seeds."""
    noisy = common.noisy_placements(options, DEFAULT_STRENGTH)
    available = recipes(options)
    return jn.sweep(
        {placement: available[placement] for placement in ["none", *noisy]},
        strengths={p: options.stddev or [DEFAULT_STRENGTH[p]] for p in noisy},
        data=data,
        seeds=range(options.seed, options.seed + options.seeds),
        epochs=options.epochs,
        batch_size=options.batch_size,
        keep_params=[options.seed],
    )


def draw(
    result: jn.SweepResult, data: jn.Data, best: Any, options: argparse.Namespace
) -> None:
    """The pictures."""
    common.use_agg()
    out = options.out
    common.save(jn.plots.scatter(data).figure, out / "scatter.png")
    for metric, value, label in (
        ("accuracy", best.accuracy, "accuracy"),
        ("loss", best.loss, "cross-entropy (nats)"),
    ):
        figure = jn.plots.learning_curves(
            result, metric=metric, best=value, label=label
        )
        common.save(figure, out / f"{metric}.png")
    if result.runs["placement"].nunique() > 1:
        ax = jn.plots.forest(
            result, metric=COMPARED, label="accuracy gained over no noise"
        )
        common.save(ax.figure, out / "differences.png")
    model = recipes(options)["none"](0.0).model  # noise is off at test time
    logits = {}
    for row, variables in zip(result.runs.itertuples(), result.variables, strict=True):
        if variables is not None and row.finite:
            strength = f", {row.strength:g}" if row.placement != "none" else ""
            logits[row.placement + strength] = jax.jit(
                lambda x, variables=variables: model.apply(variables, x, train=False)
            )
    if logits:
        figure = jn.plots.decision_regions(logits, data, best_radius=best.radius)
        figure.suptitle(f"seed {options.seed}", fontsize="medium")
        common.save(figure, out / "boundary.png")


def question(placements: Iterable[str]) -> str:
    """What the page answers about the placements that were run."""
    places = [PLACES[placement] for placement in placements if placement != "none"]
    *first, last = places or [""]
    noise = f"noise {', '.join(first)} or {last}" if first else f"noise {last}"
    network = "a small network that is trained on few points of two noisy circles"
    asked = f"Would {noise} raise the accuracy of" if last else "How accurate is"
    return f"{asked} {network}? The accuracy is that on 20,000 fresh points."


def write_page(result: jn.SweepResult, best: Any, options: argparse.Namespace) -> None:
    """All of it on one page."""
    common.write_report(
        result,
        options,
        metric=COMPARED,
        title="Does noise help on the two circles?",
        question=question(result.runs["placement"].unique()),
        best=best.accuracy,
        label="population accuracy (fraction of points)",
    )


def main(argv: list[str] | None = None) -> int:
    """Train, print, write; the exit code."""
    options = parse(argv)
    jn.use_all_cores()
    try:
        data = jn.data.circles(
            options.samples,
            options.train_size,
            noise=options.data_noise,
            seed=options.data_seed,
            population_seed=options.population_seed,
        )
        best = jn.data.circles_bayes(options.data_noise)
    except (ValueError, ArithmeticError, MemoryError) as error:
        common.Parser(prog="circles.py").error(f"the data cannot be made: {error}")
    return common.train_and_report(
        lambda: train(options, data),
        lambda result: report(result, data, best, options),
    )


def report(
    result: jn.SweepResult, data: jn.Data, best: Any, options: argparse.Namespace
) -> int:
    """Print and write what the runs show."""
    scores = [f"{name}_{metric}" for name in SETS for metric in METRICS]
    rows = common.summarise(result, scores, COMPARED)
    columns = ["placement", "strength", "seed", *scores, "finite"]
    common.write_runs(result.runs[columns], options.out / "runs.csv")
    common.write_curves(result, options.out / "curves.npz")
    common.write_summary(result, options, bayes=best._asdict(), rows=rows)
    if not options.no_plots:
        draw(result, data, best, options)
    common.print_rows(rows, SHOWN, COMPARED)
    print_notes(data, options)
    print(f"best possible population accuracy (Bayes): {best.accuracy:.4f}")
    common.print_cautions(result, COMPARED)
    common.print_diverged(rows)
    if options.seeds == 1:
        for row in rows:
            scores = [row["metrics"][f"{s}_accuracy"]["mean"] for s in SETS]
            train, test = (f"{score:.3f}" for score in scores[:2])
            print(f"{row['placement']}: Train: {train}, Test: {test}")
    if options.report:
        write_page(result, best, options)
    return common.finish(result, options)


def print_notes(data: jn.Data, options: argparse.Namespace) -> None:
    """What the table's columns are, and the strength that it has no column for."""
    points = jn.data.row_count(data.population)
    notes = (
        "±: one standard deviation over seeds; "
        f"population: {points:,} fresh points of the task"
    )
    if "both" in common.noisy_placements(options, DEFAULT_STRENGTH):
        notes += f"; both: noise of {options.input_stddev:g} on the inputs, too"
    print(notes)


if __name__ == "__main__":
    sys.exit(main())
