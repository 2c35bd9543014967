"""What the scores say: tables, pictures and sentences, all made of one file."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _files import draw_into, markdown, try_replacing
from _rivals import ANY_NOISE, ANY_RIVAL

import jaxnoise as jn
from _noisebench import pictures
from _noisebench.compared import (
    Compared,
    advice,
    answer,
    best_of,
    effect_of,
    noises_of,
    of_size,
    pooled,
    range_of,
    ranks_of,
    with_all_sizes,
)
from _noisebench.network import MEASURES
from _noisebench.plan import CHECKED
from _noisebench.properties import properties
from _noisebench.sets import SETS
from jaxnoise.evidence.format import in_words
from jaxnoise.evidence.paired import holm

MAIN_SIZE = 150  # where there are several
FIGURES = "figures"


class Page(NamedTuple):
    """What there is to tell of.

    Attributes:
        noises: by name, their candidates.
        baseline: the method that all others are compared with.
        check: on which sets, of which size, another network is beside.
    """

    noises: Mapping[str, Any]
    baseline: str
    check: Mapping[str, Any]


def write(scores: pd.DataFrame, about: Page, out: Path, name: str) -> str:
    """The page and its pictures; why one could not be written, or ""."""
    scores = scores.astype({"set": str, "method": str})
    (out / FIGURES).mkdir(exist_ok=True)
    sizes = [int(size) for size in np.unique(scores["size"])]
    main = MAIN_SIZE if MAIN_SIZE in sizes else sizes[-1]
    by_size = {
        size: Compared(of_size(scores, size), about.baseline, "score") for size in sizes
    }
    drawn = {
        f"{name}-{kind}.png": draw
        for kind, draw in pictures_of(by_size, main, about).items()
    }
    failed = ""
    for file, draw in drawn.items():
        failed += try_replacing(out / FIGURES / file, partial(draw_into, draw))
    links = [f"![{file}]({FIGURES}/{file})\n" for file in drawn]
    parts = [
        *head(scores, by_size[main], about, main),
        *links,
        *(part for size in sizes for part in over(by_size[size], size)),
        *by_measure(of_size(scores, main), about, main),
        *by_kind(by_size[main], main),
        *by_rank(by_size[main], main),
        *by_property(by_size[main], main, about),
        *outside(scores, about),
        *costs(scores, main),
    ]
    text = "\n".join(parts)
    print(text)
    return failed + try_replacing(out / f"{name}.md", text)


def pictures_of(
    by_size: Mapping[int, Compared], main: int, about: Page
) -> dict[str, Callable[[], Any]]:
    """What is drawn, by name."""
    compared = by_size[main]
    found: dict[str, Callable[[], Any]] = {}
    if noisy := noises_of(compared, about.noises):
        rows = compared.on_sets
        best = best_of(rows[rows["placement"].isin(noisy)])
        row = list(compared.over_sets.index).index(best)
        label = f"{best}, against the tuned network, {main} labelled rows"
        found["sets"] = partial(
            jn.plots.sets_forest, compared.many, row=row, label=label
        )
    found["map"] = partial(pictures.sizes_map, with_all_sizes(by_size))
    ranked = ranks_of(compared)
    if len(ranked.columns) > 2 and len(ranked) > 1:
        found["ranks"] = partial(pictures.ranks, ranked)
    return found


def head(
    scores: pd.DataFrame, compared: Compared, about: Page, main: int
) -> Iterator[str]:
    """What was done, and the answer."""
    sets, divisions = scores["set"].nunique(), scores["split"].nunique()
    yield "# NoiseBench\n"
    yield (
        f"Does noise in training help a network on small real data? {sets} of the "
        f"{len(SETS)} sets of jn.data.tables, {divisions} paired divisions each. Every "
        "division's validation rows, a third of the labels, choose among eight "
        f"candidates of each method by the metric that judges; its test rows "
        f"judge. ({ANY_NOISE} and {ANY_RIVAL} choose "
        "among those of all noises and of all rivals.) Effects are standardised paired "
        "differences from the same network with its learning rate and epochs tuned, "
        "positive where better, with 95 % intervals over data sets, each for itself. "
        "The divisions of a set share its rows, and of images and series with "
        "published test rows these, too: what is said of one set holds for its "
        "rows. Score is the accuracy, or R² of numbers; equivalent is within half a "
        "point. A support vector machine has no probabilities, and none of their "
        "measures.\n"
    )
    if noises := noises_of(compared, about.noises):
        yield f"**With {main} labelled rows:** {answer(compared, noises)}\n"
    yield f"**Advice:** {advice(compared)}\n"


def over(compared: Compared, size: int) -> Iterator[str]:
    """What holds over the sets of a size, a line a method."""
    verdicts = pd.crosstab(compared.on_sets["placement"], compared.on_sets["verdict"])
    rows = compared.on_sets
    classes = rows["set"].map(SETS["classes"]) > 0
    points = rows[classes].groupby("placement")["difference"].mean() * 100
    lines = []
    for method, row in compared.over_sets.iterrows():
        counts = verdicts.loc[method]
        lines.append(
            [
                str(method),
                str(row["k"]),
                effect_of(row),
                range_of(row),
                f"{points[method]:+.2f}" if method in points else "-",
                f"{row['better']} / {row['worse']}",
                " / ".join(
                    str(counts.get(v, 0)) for v in ("better", "worse", "equivalent")
                ),
                f"{row['sign_p_holm']:.2g}",
            ]
        )
    yield f"\n## {size} labelled rows\n"
    yield "Points are those of accuracy, a plain mean over sets of classes.\n"
    heading = ["method", "sets", "mean effect", "on the next set", "points"]
    heading += ["better / worse", "sure of it: better / worse / equivalent"]
    yield markdown([*heading, "p of signs"], lines)
    yield from (f"Caution: {doubt}\n" for doubt in compared.doubts)


def by_measure(scores: pd.DataFrame, about: Page, main: int) -> Iterator[str]:
    """The mean effects in all measures, each with choices of its own."""
    found = {}
    for measure in (measure for measure in MEASURES if measure in scores):
        compared = Compared(scores, about.baseline, measure)
        if compared.scores["set"].nunique() > 1:
            found[measure] = compared.over_sets.apply(effect_of, axis=1)
    if not found:
        return
    table = pd.DataFrame(found).reindex(found["score"].index).fillna("")
    yield f"\n## By measure, {main} labelled rows\n"
    heading = ["method", *map(in_words, table.columns)]
    yield markdown(heading, [[str(m), *row] for m, row in table.iterrows()])


def by_kind(compared: Compared, main: int) -> Iterator[str]:
    """The mean effects on sets of each kind."""
    kinds = SETS["kind"].where(SETS["kind"] == "table", "image or series")
    kinds = kinds.where((SETS["classes"] > 0) | (kinds != "table"), "table of numbers")
    rows = compared.on_sets.assign(kind=compared.on_sets["set"].map(kinds))

    def mean_of(rows: pd.DataFrame) -> str:
        count = rows["effect"].count()
        return f"{effect_of(pooled(rows)._asdict())} ({count})" if count > 1 else "-"

    table = rows.pivot_table(
        index="placement", columns="kind", values="set", aggfunc="size", sort=False
    )
    yield f"\n## By kind of data, {main} labelled rows\n"
    yield "Mean effects, with the number of sets.\n"
    lines = [
        [
            str(method),
            *(
                mean_of(rows[(rows["placement"] == method) & (rows["kind"] == kind)])
                for kind in table.columns
            ),
        ]
        for method in table.index
    ]
    yield markdown(["method", *map(str, table.columns)], lines)


def by_rank(compared: Compared, main: int) -> Iterator[str]:
    """Mean ranks, with the test whether they differ at all."""
    from scipy.stats import friedmanchisquare

    found = ranks_of(compared)
    if len(found.columns) < 3 or len(found) < 2:
        return
    p = friedmanchisquare(*found.to_numpy().T).pvalue
    yield f"\n## Ranks, {main} labelled rows\n"
    yield (
        f"Of the mean score on {len(found)} sets of classes; methods whose mean ranks "
        f"differ by less than {pictures.critical_difference(found):.2f} are not told "
        f"apart at 5 % (Nemenyi). Friedman's p of all being equal: {p:.2g}.\n"
    )
    means = found.mean().sort_values()
    yield markdown(["method", "mean rank"], [[m, f"{r:.2f}"] for m, r in means.items()])


def by_property(compared: Compared, main: int, about: Page) -> Iterator[str]:
    """What of a set of classes goes along with the effect of noise."""
    from scipy.stats import spearmanr

    effects = compared.effects()
    effects = effects[(SETS["classes"].reindex(effects.index) > 0).to_numpy()]
    noisy = noises_of(compared, about.noises)
    if len(effects) < 4 or not noisy:
        return
    known = properties(list(effects.index), main)
    rows = [
        (method, name, *spearmanr(effects[method], known[name]))
        for method in noisy
        for name in known
    ]
    table = pd.DataFrame(rows, columns=["noise", "property", "rho", "p"])
    table["p_holm"] = holm(table["p"].fillna(1.0))
    sure = (table["p_holm"] < 0.05).sum()
    yield f"\n## What goes along with the gain, {main} labelled rows\n"
    yield (
        f"{len(table)} rank correlations of a noise's effect with a property of the "
        f"set, over {len(effects)} sets of classes, adjusted by Holm for all of them: "
        f"{sure} have p < 0.05. The largest:\n"
    )
    shown = table.reindex(table["rho"].abs().sort_values(ascending=False).index)[:8]
    lines = [
        [r.noise, r.property, f"{r.rho:+.2f}", f"{r.p_holm:.2g}"]
        for r in shown.itertuples()
    ]
    yield markdown(["noise", "property", "rank correlation", "p, Holm"], lines)


def outside(scores: pd.DataFrame, about: Page) -> Iterator[str]:
    """The tuned network against another one, on a few sets."""
    there = scores[scores["size"] == about.check["train_size"]]
    wide = there.pivot(index=["set", "split"], columns="method", values="score")
    if CHECKED not in wide:
        return
    both = wide[[about.baseline, CHECKED]].dropna()
    lines, fine = [], 0
    for name, table in both.groupby(level="set", observed=True):
        difference = table[about.baseline] - table[CHECKED]
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        fine += bool(difference.mean() >= -error)
        means = (f"{table[each].mean():.4f}" for each in both)
        lines.append([str(name), *means, f"{difference.mean():+.4f} ± {error:.4f}"])
    yield "\n## Is the network trained well?\n"
    yield (
        "Our tuned network and scikit-learn's, tuned over as many learning rates and "
        f"epochs: ours is within one standard error or better on {fine} of "
        f"{len(lines)} sets.\n"
    )
    yield markdown(["set", "ours", CHECKED, "difference, standard error"], lines)


def costs(scores: pd.DataFrame, main: int) -> Iterator[str]:
    """Seconds of a division, of all candidates of a method."""
    there = scores[scores["size"] == main].drop_duplicates(["set", "method"])
    seconds = there.groupby("method", observed=True, sort=False)["seconds"].median()
    known = seconds.dropna()
    if known.empty:
        return
    yield "\n## Seconds\n"
    yield (
        "Of a division with all candidates of a method, the median over sets, without "
        "compiling; networks that share a program share what it takes.\n"
    )
    yield markdown(["method", "seconds"], [[m, f"{s:.2f}"] for m, s in known.items()])
