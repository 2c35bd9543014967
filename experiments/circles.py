"""Does noise help on the two circles? The tutorial's case study, with paired runs.

    python experiments/circles.py --placement input

trains the placement and the same network without noise on the same seeds, prints what
the runs show, and writes tables, curves and pictures to ``--out``. Several ``--stddev``
make a grid; ``--seeds 1`` prints the tutorial's own lines; ``--report`` puts all of it
on one page.
"""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import _options as o
import _study as study
import flax.linen as nn
import jax
from _files import Files
from _recipes import recipe

import jaxnoise as jn

PLACES = {  # of noise in the words of the page, with its strength
    # the tutorial's
    "input": ("on the inputs", 0.01),
    "hidden": ("before the activation", 0.1),
    "activation": ("after the activation", 0.1),
    "both": ("both on the inputs and before the activation", 0.1),
    # the best of five in a first look at this data set, so that they look good on it
    "weights": ("on the weights", 0.03),
    "gradients": ("on the gradients", 0.01),
    "labels": ("on the labels", 0.1),
}
INPUT_STDDEV = 0.01  # of the placement `both`
ABOUT = (
    "where noise enters; hidden is before the activation function, activation after "
    "it, both is input and hidden; labels flips them",
    "strengths of the placement: standard deviations, of the hidden layer for both, "
    "and for labels the rate of flips (default: "
    + ", ".join(f"{strength} for {place}" for place, (_, strength) in PLACES.items())
    + ")",
)
SETS = ("train", "test", "population")
SHOWN = {"train_accuracy": 3, "test_accuracy": 3, "population_accuracy": 4}
SHOWN |= {"population_loss": 3, "population_brier": 4}  # whether it can be believed
LABELS = {"accuracy": "accuracy", "loss": "cross-entropy (nats)"}
ACTIVATIONS = ("relu", "tanh", "gelu", "sigmoid", "silu")


def add_own(parser: o.Parser) -> None:
    """The options of the points and of the network."""
    option = parser.option
    told = f"strength on the inputs for both (default: {INPUT_STDDEV})"
    option("--input-stddev", o.strength, None, told, metavar="S")
    told = "width of the hidden layer, or widths of several"
    option("--hidden-units", o.count, 500, told, nargs="+", metavar="N")
    told = "function after every hidden layer"
    option("--activation", str, "relu", told, choices=ACTIVATIONS)
    option("--samples", o.count, 100, "train and test points together")
    option("--train-size", o.count, 30, "train points")
    option("--data-noise", o.strength, 0.1, "stddev of the points")
    option("--data-seed", o.seed, 1, "seed of the points")
    option("--population-seed", o.seed, 12345, "seed of the population")


def check_own(parser: o.Parser, options: argparse.Namespace) -> None:
    """The parser's error if they do not fit, and what follows from them."""
    both = "both" in o.noisy_placements(options, PLACES)
    if options.input_stddev is not None and not both:
        parser.error("argument --input-stddev: goes with placement both or all")
    if options.train_size >= options.samples:
        parser.error(
            f"argument --train-size: must be less than --samples ({options.samples}), "
            f"got {options.train_size}"
        )
    if both and options.input_stddev is None:
        options.input_stddev = INPUT_STDDEV
    options.hidden_units = o.one_or_list(options.hidden_units)


def studies(options: argparse.Namespace) -> list[study.Study]:
    """The one study, of the tutorial's network on its points."""
    noisy = o.noisy_placements(options, PLACES)
    best = jn.data.circles_bayes(options.data_noise)
    title = "Does noise help on the two circles?"
    label = "population accuracy (fraction of points)"
    circles = study.Study(
        name="circles",
        data=partial(points, options),
        recipe=placed,
        strengths={place: [PLACES[place][1]] for place in noisy},
        epochs=options.epochs,
        batch_size=options.batch_size,
        train_size=options.train_size,
        judged_on="population",
        sets=SETS,
        shown=SHOWN,
        question=question(noisy),
        page={"title": title, "best": best.accuracy, "label": label},
        choices=False,
        every_epoch=True,
        keep_params=True,
        draw=partial(draw, best),
        notes=partial(print_notes, best),
        more=partial(tutorials_lines, best),
    )
    return [circles]


def points(
    options: argparse.Namespace, train_size: int, *, validation: int, seed: int
) -> jn.Data:
    """The two circles, as the options ask for them."""
    return jn.data.circles(
        options.samples,
        train_size,
        noise=options.data_noise,
        seed=seed,
        validation=validation,
        population_seed=options.population_seed,
    )


def placed(parts: study.Parts, options: argparse.Namespace) -> jn.Recipe:
    """The tutorial's recipe with noise in a placement; `both` is two of them."""
    if "both" in parts:
        parts = {"input": options.input_stddev, "hidden": parts["both"]}
    activation = getattr(nn, options.activation)
    units = tuple(o.as_list(options.hidden_units))
    model = partial(jn.MLP, units, 1, activation=activation)
    return recipe(parts, model, learning_rate=options.learning_rate)


def draw(best: Any, files: Files, shown: study.Shown) -> None:
    """The pictures."""
    plots, table = jn.plots, shown.table
    files.picture("scatter.png", partial(plots.scatter, shown.data))
    for metric, label in LABELS.items():
        told = {"metric": metric, "label": label, "best": getattr(best, metric)}
        files.picture(f"{metric}.png", partial(plots.learning_curves, table, **told))
    if len(table) > 1:
        label = "accuracy gained over no noise"
        files.picture("differences.png", partial(plots.forest, table, label=label))
    result, logits = shown.result, {}
    model = placed({}, shown.options).model  # noise is off at test time
    network = jax.jit(partial(model.apply, train=False))
    for row, kept in zip(result.runs.itertuples(), result.variables, strict=True):
        if row.finite and kept is not None:
            strength = "" if row.placement == "none" else f", {row.strength:g}"
            logits[f"{row.placement}{strength}"] = partial(network, kept)
    if logits:
        files.picture("boundary.png", partial(boundary, logits, best, shown))


def boundary(logits: Mapping[str, Any], best: Any, shown: study.Shown) -> Any:
    """Where the first seed's networks change their mind."""
    figure = jn.plots.decision_regions(logits, shown.data, best_radius=best.radius)
    figure.suptitle(f"seed {shown.options.seed}", fontsize="medium")
    return figure


def question(placements: Sequence[str]) -> str:
    """What the page answers about the placements that were run."""
    places = [PLACES[placement][0] for placement in placements]
    *first, last = places or [""]
    noise = f"noise {', '.join(first)} or {last}" if first else f"noise {last}"
    network = "a small network that is trained on few points of two noisy circles"
    asked = f"Would {noise} raise the accuracy of" if last else "How accurate is"
    return f"{asked} {network}? The accuracy is that on 20,000 fresh points."


def print_notes(best: Any, shown: study.Shown) -> None:
    """What the table's columns are, and the strength that it has no column for."""
    rows = jn.data.row_count(shown.data.population)
    notes = "±: one standard deviation over seeds; "
    notes += f"population: {rows:,} fresh points of the task"
    if "both" in o.noisy_placements(shown.options, PLACES):
        stddev = shown.options.input_stddev
        notes += f"; both: noise of {stddev:g} on the inputs, too"
    print(notes)
    print(f"best possible population accuracy (Bayes): {best.accuracy:.4f}")


def tutorials_lines(best: Any, files: Files, shown: study.Shown) -> Mapping[str, Any]:
    """Of a single seed what the tutorial prints."""
    for row in shown.rows if shown.options.seeds == 1 else ():
        scores = [row["metrics"][f"{s}_accuracy"]["mean"] for s in SETS]
        train, test = (f"{score:.3f}" for score in scores[:2])
        print(f"{row['placement']}: Train: {train}, Test: {test}")
    return {"bayes": best._asdict()}


main = study.Script(
    "circles.py",
    __doc__,
    studies,
    list(PLACES),
    about_noise=ABOUT,
    add=add_own,
    check=check_own,
    seeds=30,
    draws=None,
    learning_rate=1e-3,
    epochs=4000,
    batch_size=32,
)

if __name__ == "__main__":
    o.run(main)
