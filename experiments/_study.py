"""A study: one data set and network, trained without noise and with it in some places.

A script describes its studies; `main` takes its options, trains them, prints what the
runs show, and writes tables, curves, pictures and the page. A strength is chosen on
validation rows, and what it is worth is told on test rows.
"""

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import _common as common
import flax.linen as nn
import numpy as np
import optax

import jaxnoise as jn
from jaxnoise.evidence.format import said

Parts = Mapping[str, Any]  # strengths by placement
ELSEWHERE = ("weights", "gradients", "labels")  # placements that are no site of a model
QUICK_SEEDS = 2
CURVE_POINTS = 10  # of a curve, or a point an epoch where there are fewer
SETS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """What is trained, and how.

    Attributes:
        name: of its folder, where a script has several.
        data: its loader, ``(train_size, *, validation, seed) -> Data``.
        recipe: its recipe with noise in some places, none of them in the baseline.
        strengths: by placement, those of the default grid; 0 alone for a placement
            that has no strength.
        epochs: passes through the train rows.
        batch_size: rows of a minibatch.
        metric: without its set; chosen by on validation, judged by on test rows.
        train_size: rows to train on; None for all that there are.
        validation: rows to choose on.
        question: that its page answers.
        more: prints and draws what is its own; what it returns joins the summary.
    """

    name: str
    data: Callable[..., jn.Data]
    recipe: Callable[[Parts], jn.Recipe]
    strengths: Mapping[str, Sequence[float]]
    epochs: int
    batch_size: int
    question: str
    metric: str = "accuracy"
    train_size: int | None = None
    validation: int = 0
    more: Callable[[jn.SweepResult, argparse.Namespace], dict[str, Any]] | None = None


def noisy_recipe(
    model: Callable[..., nn.Module],
    parts: Parts,
    *,
    loss: Any,
    metrics: Mapping[str, Any],
    learning_rate: float,
    classes: int = 0,
) -> jn.Recipe:
    """The model with Gaussian noise at its sites, or on weights, gradients, labels."""
    sites = {
        f"{site}_noise": jn.GaussianNoise(stddev)
        for site, stddev in parts.items()
        if site not in ELSEWHERE
    }
    optimizer = optax.adam(learning_rate)
    if "gradients" in parts:
        optimizer = optax.chain(jn.gradient_noise(parts["gradients"]), optimizer)
    weights = labels = None
    if "weights" in parts:

        def weights(key: Any, params: Any) -> Any:
            return jn.tree_add_gaussian_noise(key, params, parts["weights"])

    if "labels" in parts:

        def labels(key: Any, targets: Any) -> Any:
            return jn.flip_labels(key, targets, parts["labels"], num_classes=classes)

    return jn.Recipe(
        model=model(**sites),
        loss=loss,
        optimizer=optimizer,
        metrics=metrics,
        weight_noise=weights,
        label_noise=labels,
    )


def parser(
    program: str,
    about: str,
    placements: Sequence[str],
    *,
    learning_rate: float,
    draws: int = 1,
) -> common.Parser:
    """The options of all studies; a script may add its own."""
    made = common.Parser(
        prog=program,
        description=about.split("\n")[0],
    )
    add = made.add_argument
    about = "where noise enters; each is trained beside none, on the same seeds"
    common.add_placement(made, placements, about)
    add(
        "--stddev",
        type=common.strength,
        nargs="+",
        metavar="S",
        help="strengths of the placement: standard deviations, and for labels the rate "
        "of flips (default: a grid of each)",
    )
    add(
        "--epochs",
        type=common.count,
        help="passes through the train set (default: of the study)",
    )
    add(
        "--batch-size",
        type=common.count,
        help="rows of a minibatch (default: of the study)",
    )
    add(
        "--learning-rate",
        type=common.positive,
        default=learning_rate,
        help="of Adam",
    )
    add(
        "--validation",
        type=common.size,
        help="rows held out of the train rows to choose strengths on; 0 for none "
        "(default: of the study)",
    )
    add(
        "--draws",
        type=common.count,
        default=draws,
        help="draws of train and validation rows; more than one are the units of the "
        "intervals",
    )
    add("--data-seed", type=common.seed, default=0, help="seed of the first draw")
    common.add_options(
        made,
        seeds=10,
        out=f"results/{program.removesuffix('.py')}",
        quick=f"toy size: an epoch, {QUICK_SEEDS} seeds, one placement and strength, "
        "unless they are given",
    )
    return made


def parse(
    made: common.Parser,
    argv: Sequence[str] | None,
    placements: Sequence[str],
    quick: Mapping[str, Any],
) -> argparse.Namespace:
    """The options, checked: a bad one ends the program before any training."""
    if made.parse_args(argv).quick:
        made.set_defaults(
            epochs=1, seeds=QUICK_SEEDS, draws=1, placement=placements[0], **quick
        )
    options = made.parse_args(argv)
    common.check_placement(made, options, placements)
    common.check_options(made, options)
    return options


def main(
    made: common.Parser,
    argv: Sequence[str] | None,
    placements: Sequence[str],
    studies: Callable[[argparse.Namespace], Sequence[Study]],
    **quick: Any,
) -> int:
    """Train, print and write every study; the exit code.

    Args:
        made: of `parser`.
        argv: the arguments of the command.
        placements: the script's.
        studies: the studies that the options ask for.
        **quick: defaults of the script's own options in a quick run.
    """
    options = parse(made, argv, placements, quick)
    jn.use_all_cores()
    planned = [
        study
        for study in studies(options)
        if options.placement == "none"
        or common.noisy_placements(options, study.strengths)
    ]
    if not planned:
        asked = common.noisy_placements(options, placements)
        made.error(
            f"argument --placement: the network has no place {' or '.join(asked)}"
        )
    own = [settled(study, options) for study in planned]
    try:
        everything = [data_of(*each) for each in zip(planned, own, strict=True)]
    except (ValueError, ImportError, MemoryError) as error:
        made.error(f"the data cannot be made: {error}")
    for study, data, each in zip(planned, everything, own, strict=True):
        if len(planned) > 1:
            each.out = options.out / study.name
            each.out.mkdir(exist_ok=True)
        code = run(study, data, each)
        if code:
            return code
    return 0


def settled(study: Study, options: argparse.Namespace) -> argparse.Namespace:
    """The options for one study, with its own where none were given."""
    names = ("epochs", "batch_size", "validation")
    own = {name: getattr(study, name) for name in names}
    given = {name: value for name, value in vars(options).items() if value is not None}
    return argparse.Namespace(**vars(options) | own | given)


def data_of(study: Study, options: argparse.Namespace) -> jn.Data | list[jn.Data]:
    """One division of the data, or several draws of train and validation rows."""
    sizes = {"train_size": study.train_size, "validation": options.validation}
    if options.draws == 1:
        return study.data(**sizes, seed=options.data_seed)
    return jn.data.draws(study.data, options.draws, seed=options.data_seed, **sizes)


def run(
    study: Study, data: jn.Data | list[jn.Data], options: argparse.Namespace
) -> int:
    """One study; the exit code."""
    first = data[0] if isinstance(data, list) else data
    print(f"\n{study.name}: {first}")
    return common.train_and_report(
        lambda: train(study, data, options),
        lambda result: report(study, first, result, options),
    )


def train(
    study: Study, data: jn.Data | list[jn.Data], options: argparse.Namespace
) -> jn.SweepResult:
    """All the runs: the placements asked for, and ``none`` on the same seeds."""
    chosen = common.noisy_placements(options, study.strengths)
    strengths = {
        p: options.stddev if options.stddev and any(grid) else grid
        for p, grid in study.strengths.items()
        if p in chosen
    }
    if options.quick and not options.stddev:
        strengths = {p: grid[:1] for p, grid in strengths.items()}

    def placed(placement: str) -> Any:
        return lambda strength: study.recipe({placement: strength})

    return jn.sweep(
        {"none": lambda _: study.recipe({}), **{p: placed(p) for p in chosen}},
        strengths=strengths,
        data=data,
        seeds=range(options.seed, options.seed + options.seeds),
        epochs=options.epochs,
        batch_size=options.batch_size,
        metrics_every=max(1, options.epochs // CURVE_POINTS),
    )


def verdicts(result: jn.SweepResult, metric: str) -> list[dict[str, Any]]:
    """What each placement is worth on test rows, at the strength that validation chose.

    The verdict counts every placement and strength of the comparison. Without
    validation rows nothing is chosen, and every strength is told.
    """
    test = common.compare(result, metric=f"test_{metric}")
    (baseline,) = test[test["verdict"] == "baseline"].to_dict("records")
    choosing = f"validation_{metric}"
    by = common.compare(result, metric=choosing) if choosing in result.runs else None
    rows = []
    for placement in test["placement"].unique():
        cells = test[test["placement"] == placement]
        if placement == "none":
            continue
        if by is not None:
            means = by.loc[cells.index, "mean"]
            if means.isna().all():
                continue
            best = means.idxmin() if by.attrs["lower_is_better"] else means.idxmax()
            cells = cells.loc[[best]]
        for row in cells.to_dict("records"):
            difference = {end: row[end] for end in ("low", "high")}
            rows.append(
                {
                    "placement": placement,
                    "strength": float(row["strength"]),
                    "n": int(row["n"]),
                    "score": row["mean"],
                    "without noise": baseline["mean"],
                    "difference": {"mean": row["difference"], **difference},
                    "verdict": row["verdict"],
                }
            )
    return rows


def report(
    study: Study, data: jn.Data, result: jn.SweepResult, options: argparse.Namespace
) -> int:
    """Print and write what the runs show."""
    sets = [name for name in SETS if f"{name}_loss" in result.runs]
    names = [f"{name}_{metric}" for name in sets for metric in (study.metric, "loss")]
    names = list(dict.fromkeys(names))
    told = f"test_{study.metric}"
    rows = common.summarise(result, names, told)
    judged = verdicts(result, study.metric)
    columns = ["placement", "strength", "seed", "split", *names, "finite"]
    common.write_runs(result.runs[columns], options.out / "runs.csv")
    common.write_curves(result, options.out / "curves.npz")
    if not options.no_plots:
        draw(study, result, judged, options.out)
    common.print_rows(rows, {f"{name}_{study.metric}": 4 for name in sets}, told)
    common.print_diverged(rows)
    print_verdicts(judged, chosen="validation" in sets)
    common.print_cautions(result, told)
    if options.report:
        common.write_report(
            result,
            options,
            metric=told,
            title=f"Does noise help? {study.name}",
            question=study.question,
        )
    common.write_summary(
        result,
        options,
        study=study.name,
        train_rows=jn.data.row_count(data.train),
        metric=told,
        unit=common.compare(result, metric=told).attrs["unit"],
        rows=rows,
        verdicts=judged,
        **(study.more(result, options) if study.more else {}),
    )
    return common.finish(result, options)


def print_verdicts(judged: Sequence[Mapping[str, Any]], *, chosen: bool) -> None:
    """A line a placement."""
    if judged:
        print("chosen on validation rows, told on test rows:" if chosen else "told:")
    for row in judged:
        d = row["difference"]
        print(
            f"  {row['placement']} {row['strength']:g}: {d['mean']:+.4f} "
            f"[{d['low']:+.4f}, {d['high']:+.4f}], n = {row['n']}, "
            f"{said(row['verdict'])}"
        )


def draw(
    study: Study,
    result: jn.SweepResult,
    judged: Sequence[Mapping[str, Any]],
    out: Path,
) -> None:
    """Curves of the baseline and the strengths that are told, and of all strengths."""
    common.use_agg()
    told = [("none", 0.0), *((row["placement"], row["strength"]) for row in judged)]
    shown = only(result, told)
    for metric in dict.fromkeys((study.metric, "loss")):
        figure = jn.plots.learning_curves(shown, metric=metric)
        common.save(figure, out / f"{metric}.png")
    if judged and any(row["strength"] for row in judged):
        axes = jn.plots.strength_curve(result, metric=f"test_{study.metric}")
        common.save(axes.figure, out / "strengths.png")


def only(result: jn.SweepResult, cells: Sequence[tuple[str, float]]) -> jn.SweepResult:
    """The runs of some placements and strengths."""
    runs = result.runs
    pairs = zip(runs["placement"], runs["strength"], strict=True)
    kept = np.array([pair in cells for pair in pairs])
    return dataclasses.replace(
        result,
        runs=runs[kept].reset_index(drop=True),
        curves={name: values[kept] for name, values in result.curves.items()},
    )
