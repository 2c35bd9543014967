"""A study: one data set and network, trained without noise and with it in some places.

A script describes its studies; `command` takes its options, and `run_studies` trains
them, prints what the runs show, and writes tables, curves, pictures and the page. Where
there are validation rows, those of every split choose strengths, of noises and of their
rivals, and its test rows judge.
"""

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import _options as o
import flax.linen as nn
from _files import (
    STORE,
    Files,
    Row,
    finish,
    print_cautions,
    print_rows,
    quietly,
    store_of,
    summarise,
    train_and_report,
)
from _recipes import own_start, parts_of, recipe
from _rivals import (
    candidates,
    decayed,
    methods,
    panels,
    rivals,
    sweep,
    together,
    told_of,
    with_own_strengths,
)

import jaxnoise as jn
from jaxnoise.results import cell_columns

Parts = Mapping[str, Any]  # strengths by placement
Sets = Sequence[jn.Data]  # a split each
QUICK_SEEDS = 2
QUICK = (
    f"toy size: an epoch, {QUICK_SEEDS} seeds, one placement and strength, unless they "
    "are given"
)
OF_THE_STUDY = " (default: of the study)"
ABOUT = (
    "where noise enters; each is trained beside none, on the same seeds",
    "strengths of the placement: standard deviations, and for labels the rate of flips "
    "(default: a grid of each, and all rivals beside them)",
)
CURVE_POINTS = 20  # of a curve at most
CURVES = ("train", "validation", "test")
TOGETHER = "grid.sqlite"  # the store of all noises and rivals


class Shown(NamedTuple):
    """The runs of a study, and what was made of them once for all.

    Attributes:
        result: the runs.
        data: of the first split.
        options: of the study.
        metric: that is judged, with its set.
        table: the comparison in it.
        rows: of the summary.
    """

    result: jn.SweepResult
    data: jn.Data
    options: argparse.Namespace
    metric: str
    table: Any
    rows: Sequence[Row]


def curves_and_strengths(files: Files, shown: Shown) -> None:
    """Curves without noise, and what all strengths are worth."""
    none = shown.table[shown.table["placement"] == "none"]
    for metric in dict.fromkeys((shown.metric.partition("_")[2], "loss")):
        draw = partial(jn.plots.learning_curves, none, metric=metric)
        files.picture(f"{metric}.png", draw)
    numbers = shown.table[shown.table["strength"] > 0]
    if len(numbers):
        label = shown.metric.replace("_", " ")
        files.picture("strengths.png", partial(panels, numbers, label))


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
        metric: without its set.
        judged_on: the set that it is judged by on.
        sets: that are measured.
        train_size: rows to train on; None for all that there are.
        validation: rows to choose on.
        choices: whether every split chooses, among noises and their rivals.
        main: the place of noise that is combined with rivals.
        others: models that are no networks, as `methods` takes them, by the data.
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
    metric: str = "accuracy"
    judged_on: str = "test"
    sets: Sequence[str] = ("train", "validation", "test")
    train_size: int | None = None
    validation: int = 0
    choices: bool = True
    main: str = "hidden"
    others: Callable[[Sequence[jn.Data]], Mapping[str, Any]] | None = None
    every_epoch: bool = False
    keep_params: bool = False
    shown: Mapping[str, int] | None = None
    page: dict[str, Any] = dataclasses.field(default_factory=dict)
    draw: Callable[[Files, Shown], None] = curves_and_strengths
    notes: Callable[[Shown], None] | None = None
    more: Callable[[Files, Shown], Mapping[str, Any]] | None = None

    @property
    def metrics(self) -> list[str]:
        """Those that are told; in regression the loss is the metric."""
        return [self.metric, *["loss", "brier"] * (self.metric == "accuracy")]


CLASSES = {"accuracy": jn.metrics.accuracy, "brier": jn.metrics.brier}


def network(
    model: Callable[..., nn.Module],
    loss: Callable[..., Any] = jn.losses.softmax_cross_entropy,
    metrics: Mapping[str, Any] = MappingProxyType(CLASSES),
    **more: Any,
) -> Callable[[Parts, argparse.Namespace], jn.Recipe]:
    """The recipe of a model that is made with its noise layers, for a `Study`."""

    def build(parts: Parts, options: argparse.Namespace) -> jn.Recipe:
        adam = {"learning_rate": options.learning_rate, "epsilon": 1e-8}
        return own_start(
            recipe(parts, model, loss=loss, metrics=metrics, **adam, **more)
        )

    return build


@dataclasses.dataclass(frozen=True)
class Script:
    """A script: its options, and the studies that they ask for. It is its ``main``.

    Attributes:
        program: its name.
        about: its docstring.
        studies: by the name that chooses them, or a function of the options.
        placements: of all studies.
        learning_rate: its default, as are the next three.
        epochs: None for the study's own, as in the next.
        batch_size: rows of a minibatch.
        seeds: runs of each kind.
        draws: of the data; None is data that is made up, which has no quick run.
        choice: an option that chooses among the studies, its values, and its help.
        about_noise: help of placements and strengths.
        add: adds options of the script's own.
        check: checks them.
        quick: what of them is other in a quick run.
    """

    program: str
    about: str | None
    studies: Mapping[str, Study] | Callable[[argparse.Namespace], Sequence[Study]]
    placements: Sequence[str]
    _: dataclasses.KW_ONLY
    learning_rate: float
    epochs: int | None = None
    batch_size: int | None = None
    seeds: int = 1
    draws: int | None = 20
    choice: tuple[str, Sequence[str], str] | None = None
    about_noise: tuple[str, str] = ABOUT
    add: Callable[[o.Parser], None] | None = None
    check: Callable[[o.Parser, argparse.Namespace], None] | None = None
    quick: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Take the options, run the studies; the exit code."""
        made = self.parser()
        if getattr(made.parse_args(argv), "quick", False):
            toy = {"epochs": 1, "seeds": QUICK_SEEDS, "draws": 1}
            made.set_defaults(**toy, placement=self.placements[0], **self.quick)
        options = made.parse_args(argv)
        o.check_placement(made, options, self.placements)
        if self.check:
            self.check(made, options)
        o.check_options(made, options)
        return run_studies(made, options, self.chosen)

    def chosen(self, options: argparse.Namespace) -> Sequence[Study]:
        """The studies that are asked for."""
        if callable(self.studies):
            return self.studies(options)
        asked = getattr(options, self.choice[0]) if self.choice else "all"
        return [each for name, each in self.studies.items() if asked in (name, "all")]

    def parser(self) -> o.Parser:
        """The options, with their defaults."""
        made = o.Parser(self.program, self.about)
        names, (where, strengths) = ["none", *self.placements, "all"], self.about_noise
        told = f"{', '.join(names)}, or several of them: {where}"
        several = {"nargs": "+", "metavar": "PLACE", "choices": names}
        made.option("--placement", str, "all", told, **several)
        made.option("--stddev", o.strength, None, strengths, nargs="+", metavar="S")
        own = "" if self.epochs else OF_THE_STUDY
        told = f"passes through the train set{own}"
        made.option("--epochs", o.count, self.epochs, told)
        told = f"rows of a minibatch{own}"
        made.option("--batch-size", o.count, self.batch_size, told)
        made.option("--learning-rate", o.positive, self.learning_rate, "of Adam")
        if self.draws is not None:
            told = "rows held out of the train rows to choose strengths on; 0 for none"
            made.option("--validation", o.size, None, told + OF_THE_STUDY)
            told = "draws of train and validation rows; more than one are the units of "
            made.option("--draws", o.count, self.draws, told + "the intervals")
            made.option("--data-seed", o.seed, 0, "seed of the first draw")
        if self.add:
            self.add(made)
        out = f"results/{self.program.removesuffix('.py')}"
        quick = None if self.draws is None else QUICK
        o.add_options(made, seeds=self.seeds, out=out, quick=quick)
        if self.choice:
            option, values, told = self.choice
            made.option(f"--{option}", str, "all", told, choices=[*values, "all"])
        return made


def run_studies(
    made: o.Parser,
    options: argparse.Namespace,
    studies: Callable[[argparse.Namespace], Sequence[Study]],
) -> int:
    """Every study that has a place of those asked for; the exit code."""
    jn.use_all_cores()
    jn.use_cache()
    asked, planned = o.as_list(options.placement), []
    try:
        for study in studies(options):
            if asked == ["none"] or o.noisy_placements(options, study.strengths):
                own = settled(study, options)
                planned.append((study, data_of(study, own), own))
    except (ValueError, ArithmeticError, ImportError, MemoryError) as error:
        made.error(f"the data cannot be made: {error}")
    if not planned:
        made.error(
            f"argument --placement: the network has no place {' or '.join(asked)}"
        )
    for study, data, own in planned:
        if len(planned) > 1:
            own.out = options.out / study.name
            own.out.mkdir(exist_ok=True)
        if study.choices:
            print(f"\n{study.name}: {data[0]}")
        each = study, data, own
        try:
            code = train_and_report(partial(train, *each), partial(report, *each))
        except ValueError as error:
            if not str(error).startswith("store "):
                raise
            made.error(f"argument --out: {error} Or set them aside with --fresh.")
        if code:
            return code
    return 0


def add_train_size(parser: o.Parser) -> None:
    """An option for studies of data that have more rows than they train on."""
    parser.option("--train-size", o.count, None, f"train rows{OF_THE_STUDY}")


def settled(study: Study, options: argparse.Namespace) -> argparse.Namespace:
    """The options for one study, with its own where none were given."""
    own = {
        name: getattr(study, name)
        for name in ("epochs", "batch_size", "validation", "train_size")
        if not isinstance(getattr(options, name, None), int)
    }
    return argparse.Namespace(**vars(options) | own)


def data_of(study: Study, options: argparse.Namespace) -> Sets:
    """One division of the data, or several draws of train and validation rows."""
    sizes = {name: getattr(options, name) for name in ("train_size", "validation")}
    if getattr(options, "draws", 1) == 1:
        return [study.data(**sizes, seed=options.data_seed)]
    return jn.data.draws(study.data, options.draws, seed=options.data_seed, **sizes)


def grids_of(study: Study, options: argparse.Namespace) -> dict[str, Sequence[Any]]:
    """Strengths of the placements asked for; of all, those of their rivals, too."""
    chosen = o.noisy_placements(options, study.strengths)
    grids: dict[str, Any] = {place: study.strengths[place] for place in chosen}
    if options.stddev:
        return {p: options.stddev if any(grid) else grid for p, grid in grids.items()}
    if getattr(options, "quick", False):
        return {place: grid[:1] for place, grid in grids.items()}
    if study.choices and options.placement == "all":
        grids |= rivals(smoothing=study.metric == "accuracy") | decayed(study.main)
    return grids


def have_rivals(grids: Mapping[str, Any]) -> bool:
    """Whether rivals are beside the noises: so many cells share a program."""
    return "learning rate" in grids


def train(study: Study, data: Sets, options: argparse.Namespace) -> jn.SweepResult:
    """All the runs: the placements asked for, and ``none`` on the same seeds."""

    def build(place: str, strength: Any) -> jn.Recipe:
        return study.recipe(parts_of(place, strength), options)

    grids, store = grids_of(study, options), STORE
    recipes = {place: partial(build, place) for place in ("none", *grids)}
    stopped = [*recipes]
    if have_rivals(grids):
        recipes, store = dict.fromkeys(recipes, partial(build, "")), TOGETHER
        grids, stopped = together(grids), ["none", study.main]
    every = 1 if study.every_epoch else -(-options.epochs // CURVE_POINTS)
    return sweep(
        recipes,
        stopped,
        strengths=grids,
        data=data if len(data) > 1 else data[0],
        seeds=range(options.seed, options.seed + options.seeds),
        epochs=options.epochs,
        batch_size=options.batch_size,
        curves=[name for name in CURVES if name in data[0]],
        metrics_every=every,
        keep_params=[options.seed] if study.keep_params else False,
        store=store_of(options, store),
    )


def report(
    study: Study, data: Sets, options: argparse.Namespace, result: jn.SweepResult
) -> int:
    """Print and write what the runs show."""
    grids, told = grids_of(study, options), f"{study.judged_on}_{study.metric}"
    if have_rivals(grids):
        runs = with_own_strengths(result.runs, grids)
        result = dataclasses.replace(result, runs=runs)
    sets = [name for name in study.sets if f"{name}_loss" in result.runs]
    names = [f"{name}_{metric}" for name in sets for metric in study.metrics]
    with Files(options.out) as files:
        columns = [*cell_columns(result.runs), "seed", *["split"] * study.choices]
        files.runs(result.runs[[*columns, *names, "finite"]])
        if not study.choices:
            files.curves(result)
        count = jn.data.row_count(data[0].train)
        known = {"study": study.name, "metric": told, "train_rows": count}
        files.tell_of(result, options, **known)
        tables = {n: quietly(jn.compare, result, metric=n) for n in names}
        table, rows = tables[told], summarise(tables, told)
        files.summary |= {"unit": table.attrs["unit"], "rows": rows}
        shown = Shown(result, data[0], options, told, table, rows)
        if not options.no_plots:
            study.draw(files, shown)
        print_rows(rows, study.shown or {f"{s}_{study.metric}": 4 for s in sets}, told)
        if study.notes:
            study.notes(shown)
        print_cautions(table, rows)
        if study.choices and "validation" in sets:
            judges = ("validation", study.judged_on)
            others = study.others(data) if study.others else {}
            ways = candidates(study.main, grids)
            found = methods(result, ways, study.metrics, judges, others)
            metrics = [f"{study.judged_on}_{m}" for m in study.metrics]
            files.summary |= told_of(found, metrics)
        if study.more:
            files.summary |= study.more(files, shown)
        if options.report:
            asked = {"title": f"Does noise help? {study.name}"} | study.page
            files.page(table, options, question=study.question, **asked)
    return finish(result, options, files)
