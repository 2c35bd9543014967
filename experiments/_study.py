"""A study: one data set and network, trained without noise and with it in some places.

A script describes its studies; `command` takes its options, and `run_studies` trains
them, prints what the runs show, and writes tables, curves, pictures and the page. A
strength is chosen on validation rows, where there are any, and told on test rows.
"""

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import _options as o
import flax.linen as nn
from _files import Files, finish, train_and_report
from _recipes import recipe
from _words import (
    Row,
    difference_of,
    print_cautions,
    print_diverged,
    print_rows,
    quietly,
    summarise,
    with_interval,
)

import jaxnoise as jn
from jaxnoise.evidence.format import said

Parts = Mapping[str, Any]  # strengths by placement
QUICK_SEEDS = 2
QUICK = (
    f"toy size: an epoch, {QUICK_SEEDS} seeds, one placement and strength, unless they "
    "are given"
)
OF_THE_STUDY = " (default: of the study)"
ABOUT = (
    "where noise enters; each is trained beside none, on the same seeds",
    "strengths of the placement: standard deviations, and for labels the rate of flips "
    "(default: a grid of each)",
)
CURVE_POINTS = 10  # of a curve, or a point an epoch where there are fewer


class Shown(NamedTuple):
    """The runs of a study, and what was made of them once for all.

    Attributes:
        result: the runs.
        data: of the first split.
        options: of the study.
        metric: that is judged, with its set.
        table: the comparison in it.
        rows: of the summary.
        verdicts: of the summary.
    """

    result: jn.SweepResult
    data: jn.Data
    options: argparse.Namespace
    metric: str
    table: Any
    rows: Sequence[Row]
    verdicts: Sequence[Row]


def curves_and_strengths(files: Files, shown: Shown) -> None:
    """Curves of the baseline and the strengths that are told, and of all strengths."""
    table, told = shown.table, [("none", 0.0)]
    told += [(row["placement"], row["strength"]) for row in shown.verdicts]
    cells = zip(table["placement"], table["strength"], strict=True)
    each = table[[cell in told for cell in cells]]
    for metric in dict.fromkeys((shown.metric.partition("_")[2], "loss")):
        draw = partial(jn.plots.learning_curves, each, metric=metric)
        files.picture(f"{metric}.png", draw)
    if any(strength for _, strength in told):
        files.picture("strengths.png", partial(jn.plots.strength_curve, table))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """What is trained, and how, and what is said of it.

    Attributes:
        name: of its folder, where a script has several.
        data: its loader, ``(train_size, *, validation, seed) -> Data``.
        recipe: of noise in some places, none in the baseline, and the options.
        strengths: by placement, those of the default grid; 0 alone for a placement
            that has no strength.
        epochs: passes through the train rows.
        batch_size: rows of a minibatch.
        question: that its page answers.
        title: of the page; None makes one.
        metric: without its set.
        judged_on: the set that it is judged by on.
        sets: that are measured.
        train_size: rows to train on; None for all that there are.
        validation: rows to choose on.
        choices: whether each placement is told at the strength that was chosen.
        every_epoch: whether curves have all epochs.
        keep_params: whether the first seed's networks are kept.
        shown: metrics of the printed table, with their decimals; None for all sets'.
        page: more arguments of `jn.report`.
        draw: its pictures.
        notes: prints what is to be known of the table.
        more: prints and writes what is its own; what it returns joins the summary.
    """

    name: str
    data: Callable[..., jn.Data]
    recipe: Callable[[Parts, argparse.Namespace], jn.Recipe]
    strengths: Mapping[str, Sequence[float]]
    epochs: int
    batch_size: int
    question: str
    title: str | None = None
    metric: str = "accuracy"
    judged_on: str = "test"
    sets: Sequence[str] = ("train", "validation", "test")
    train_size: int | None = None
    validation: int = 0
    choices: bool = True
    every_epoch: bool = False
    keep_params: bool = False
    shown: Mapping[str, int] | None = None
    page: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    draw: Callable[[Files, Shown], None] = curves_and_strengths
    notes: Callable[[Shown], None] | None = None
    more: Callable[[Files, Shown], Mapping[str, Any]] | None = None


def network(
    model: Callable[..., nn.Module],
    loss: Callable[..., Any] = jn.losses.softmax_cross_entropy,
    metrics: Mapping[str, Any] = MappingProxyType({"accuracy": jn.metrics.accuracy}),
    classes: int = 2,
) -> Callable[[Parts, argparse.Namespace], jn.Recipe]:
    """The recipe of a model that is made with its noise layers, for a `Study`."""

    def build(parts: Parts, options: argparse.Namespace) -> jn.Recipe:
        adam = {"learning_rate": options.learning_rate, "epsilon": 1e-8}
        return recipe(parts, model, loss=loss, metrics=metrics, classes=classes, **adam)

    return build


def command(
    program: str,
    about: str | None,
    studies: Mapping[str, Study] | Callable[[argparse.Namespace], Sequence[Study]],
    placements: Sequence[str],
    *,
    choice: tuple[str, Sequence[str], str] | None = None,
    check: Callable[[o.Parser, argparse.Namespace], None] | None = None,
    quick: Mapping[str, Any] = MappingProxyType({}),
    **settings: Any,
) -> Callable[..., int]:
    """The ``main`` of a script: its options, and the studies that they ask for.

    Args:
        program: its name.
        about: its docstring.
        studies: by the name that chooses them, or a function of the options.
        placements: of all studies.
        choice: an option that chooses among the studies, its values, and its help.
        check: checks the script's own options.
        quick: what of them is other in a quick run.
        **settings: of `script_parser`.
    """

    def chosen(options: argparse.Namespace) -> Sequence[Study]:
        if callable(studies):
            return studies(options)
        asked = getattr(options, choice[0]) if choice else "all"
        return [study for name, study in studies.items() if asked in (name, "all")]

    def main(argv: Sequence[str] | None = None) -> int:
        made = script_parser(program, about, placements, **settings)
        if choice:
            option, values, told = choice
            made.option(f"--{option}", str, "all", told, choices=[*values, "all"])
        if getattr(made.parse_args(argv), "quick", False):
            toy = {"epochs": 1, "seeds": QUICK_SEEDS, "draws": 1}
            made.set_defaults(**toy, placement=placements[0], **quick)
        options = made.parse_args(argv)
        o.check_placement(made, options, placements)
        if check:
            check(made, options)
        o.check_options(made, options)
        return run_studies(made, options, chosen)

    return main


def script_parser(
    program: str,
    about: str | None,
    placements: Sequence[str],
    *,
    learning_rate: float,
    about_noise: tuple[str, str] = ABOUT,
    epochs: int | None = None,
    batch_size: int | None = None,
    seeds: int = 10,
    draws: int | None = 1,
    add: Callable[[o.Parser], None] | None = None,
) -> o.Parser:
    """The options of a script, with its defaults; ``draws`` None is made-up data."""
    made = o.Parser(program, about)
    names, (where, strengths) = ["none", *placements, "all"], about_noise
    told = f"{', '.join(names)}, or several of them: {where}"
    several = {"nargs": "+", "metavar": "PLACE", "choices": names}
    made.option("--placement", str, "all", told, **several)
    made.option("--stddev", o.strength, None, strengths, nargs="+", metavar="S")
    own = "" if epochs else OF_THE_STUDY
    made.option("--epochs", o.count, epochs, f"passes through the train set{own}")
    made.option("--batch-size", o.count, batch_size, f"rows of a minibatch{own}")
    made.option("--learning-rate", o.positive, learning_rate, "of Adam")
    if draws is not None:
        told = "rows held out of the train rows to choose strengths on; 0 for none"
        made.option("--validation", o.size, None, told + OF_THE_STUDY)
        told = "draws of train and validation rows; more than one are the units of the "
        made.option("--draws", o.count, draws, told + "intervals")
        made.option("--data-seed", o.seed, 0, "seed of the first draw")
    if add:
        add(made)
    out = f"results/{program.removesuffix('.py')}"
    o.add_options(made, seeds=seeds, out=out, quick=None if draws is None else QUICK)
    return made


def run_studies(
    made: o.Parser,
    options: argparse.Namespace,
    studies: Callable[[argparse.Namespace], Sequence[Study]],
) -> int:
    """Every study that has a place of those asked for; the exit code."""
    jn.use_all_cores()
    asked, planned = o.as_list(options.placement), []
    try:
        for study in studies(options):
            if asked == ["none"] or o.noisy_placements(options, study.strengths):
                own = settled(study, options)
                planned.append((study, own, data_of(study, own)))
    except (ValueError, ArithmeticError, ImportError, MemoryError) as error:
        made.error(f"the data cannot be made: {error}")
    if not planned:
        made.error(
            f"argument --placement: the network has no place {' or '.join(asked)}"
        )
    for study, own, data in planned:
        if len(planned) > 1:
            own.out = options.out / study.name
            own.out.mkdir(exist_ok=True)
        if study.choices:
            print(f"\n{study.name}: {data[0]}")
        code = train_and_report(
            partial(train, study, data, own), partial(report, study, data[0], own)
        )
        if code:
            return code
    return 0


def settled(study: Study, options: argparse.Namespace) -> argparse.Namespace:
    """The options for one study, with its own where none were given."""
    own = {
        name: getattr(study, name)
        for name in ("epochs", "batch_size", "validation")
        if getattr(options, name, 0) is None
    }
    return argparse.Namespace(**vars(options) | own)


def data_of(study: Study, options: argparse.Namespace) -> list[jn.Data]:
    """One division of the data, or several draws of train and validation rows."""
    sizes = {"train_size": study.train_size}
    sizes["validation"] = getattr(options, "validation", study.validation)
    if getattr(options, "draws", 1) == 1:
        return [study.data(**sizes, seed=options.data_seed)]
    return jn.data.draws(study.data, options.draws, seed=options.data_seed, **sizes)


def train(
    study: Study, data: list[jn.Data], options: argparse.Namespace
) -> jn.SweepResult:
    """All the runs: the placements asked for, and ``none`` on the same seeds."""
    chosen = o.noisy_placements(options, study.strengths)
    grids = {place: study.strengths[place] for place in chosen}
    if options.stddev:
        grids = {p: options.stddev if any(grid) else grid for p, grid in grids.items()}
    elif getattr(options, "quick", False):
        grids = {place: grid[:1] for place, grid in grids.items()}

    def placed(place: str) -> Any:
        return lambda strength: study.recipe({place: strength}, options)

    none = {"none": lambda _: study.recipe({}, options)}
    every = 1 if study.every_epoch else max(1, options.epochs // CURVE_POINTS)
    return jn.sweep(
        none | {place: placed(place) for place in chosen},
        strengths=grids,
        data=data if len(data) > 1 else data[0],
        seeds=range(options.seed, options.seed + options.seeds),
        epochs=options.epochs,
        batch_size=options.batch_size,
        metrics_every=every,
        keep_params=[options.seed] if study.keep_params else False,
    )


def report(
    study: Study, data: jn.Data, options: argparse.Namespace, result: jn.SweepResult
) -> int:
    """Print and write what the runs show."""
    told = f"{study.judged_on}_{study.metric}"
    sets = [name for name in study.sets if f"{name}_loss" in result.runs]
    names = [f"{name}_{metric}" for name in sets for metric in (study.metric, "loss")]
    split = ["split"] if study.choices else []
    with Files(options.out) as files:
        columns = ["placement", "strength", "seed", *split, *names, "finite"]
        files.runs(result.runs[columns])
        files.curves(result)
        files.tell_of(result, options)
        tables = {n: quietly(jn.compare, result, metric=n) for n in names}
        table, rows = tables[told], summarise(tables, told)
        judged = verdicts(tables, study.metric) if study.choices else []
        shown = Shown(result, data, options, told, table, rows, judged)
        files.summary |= {
            "study": study.name,
            "train_rows": jn.data.row_count(data.train),
            "metric": told,
            "unit": table.attrs["unit"],
            "rows": rows,
            "verdicts": judged,
        }
        if not options.no_plots:
            study.draw(files, shown)
        print_rows(rows, study.shown or {f"{s}_{study.metric}": 4 for s in sets}, told)
        if study.notes:
            study.notes(shown)
        print_cautions(table)
        print_diverged(rows)
        print_verdicts(judged, chosen="validation" in sets)
        if study.more:
            files.summary |= study.more(files, shown)
        if options.report:
            title = study.title or f"Does noise help? {study.name}"
            asked = {"title": title, "question": study.question, **study.page}
            files.page(table, options, **asked)
    return finish(result, options, files)


def verdicts(tables: Mapping[str, Any], metric: str) -> list[Row]:
    """What each placement is worth on test rows, at the strength that validation chose.

    The verdict counts every placement and strength of the comparison. Without
    validation rows nothing is chosen, and every strength is told.
    """
    test, by = tables[f"test_{metric}"], tables.get(f"validation_{metric}")
    noisy = test[test["verdict"] != "baseline"]
    if by is not None:
        means = by.loc[noisy.index, "mean"].dropna()
        better = means if by.attrs["lower_is_better"] else -means
        chosen = better.groupby(noisy["placement"], sort=False).idxmin()
        noisy = noisy.loc[chosen]
    (without,) = test["mean"][test["verdict"] == "baseline"]
    return [
        {
            "placement": row["placement"],
            "strength": float(row["strength"]),
            "n": int(row["n"]),
            "score": row["mean"],
            "without noise": without,
            "difference": difference_of(row),
            "verdict": row["verdict"],
        }
        for row in noisy.to_dict("records")
    ]


def print_verdicts(judged: Sequence[Row], *, chosen: bool) -> None:
    """A line a placement."""
    if judged:
        print("chosen on validation rows, told on test rows:" if chosen else "told:")
    for row in judged:
        print(
            f"  {row['placement']} {row['strength']:g}: "
            f"{with_interval(row['difference'])}, n = {row['n']}, "
            f"{said(row['verdict'])}"
        )
