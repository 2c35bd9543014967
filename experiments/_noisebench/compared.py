"""All methods against the tuned network, and what is to be said of that."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from _rivals import ANY_NOISE, ANY_RIVAL

import jaxnoise as jn
from _noisebench.plan import CHECKED
from _noisebench.sets import SETS
from jaxnoise.evidence.many import Pooled, random_effects

ROPE = 0.005  # half a point


class Compared:
    """All methods against the baseline, over the sets of one size, in one measure."""

    def __init__(self, scores: pd.DataFrame, baseline: str, measure: str) -> None:
        self.measure, self.baseline = measure, baseline
        self.doubts: list[str] = []  # of single sets, in words
        self.scores = scores.dropna(subset=measure)

    @cached_property
    def many(self) -> Any:
        """By `jn.compare_many`; a set's splits are independent, as it stands for it."""
        tables = {
            name: table.rename(columns={"method": "placement"}).assign(
                strength=0.0, seed=0, finite=True
            )
            for name, table in self.scores.groupby("set", sort=False)
        }
        rope = ROPE if self.measure == "score" else None
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = jn.compare_many(
                tables,
                metric=self.measure,
                baseline=self.baseline,
                overlap=0.0,
                rope=rope,
            )
        self.doubts = [str(each.message) for each in told]
        return found

    @property
    def over_sets(self) -> pd.DataFrame:
        """A row a method: what holds over sets."""
        return self.many.summary.set_index("placement")

    @property
    def on_sets(self) -> pd.DataFrame:
        """A row a method and set, without the baseline."""
        sets = self.many.sets
        return sets[sets["verdict"] != "baseline"]

    def effects(self) -> pd.DataFrame:
        """The standardised effects, positive where better, by set and method.

        Where nothing differs on any division there is none: 0.
        """
        rows = self.on_sets
        effect = rows["effect"].where(rows["difference"] != 0, 0.0)
        found = rows.assign(effect=effect)
        return found.pivot(index="set", columns="placement", values="effect")


def of_size(scores: pd.DataFrame, size: int) -> pd.DataFrame:
    """Of the methods that are there for all sets."""
    return scores[(scores["size"] == size) & (scores["method"] != CHECKED)]


def with_all_sizes(by_size: Mapping[int, Compared]) -> dict[int, Compared]:
    """Compared on the sets that have every size, so that these can be compared."""
    if len(by_size) == 1:
        return dict(by_size)
    names = [set(each.scores["set"]) for each in by_size.values()]
    common = set.intersection(*names) or set.union(*names)
    return {
        size: Compared(
            each.scores[each.scores["set"].isin(common)], each.baseline, each.measure
        )
        for size, each in by_size.items()
    }


def noises_of(compared: Compared, noises: Iterable[str]) -> list[str]:
    """The kinds of noise that were compared."""
    return [name for name in noises if name in compared.over_sets.index]


def pooled(rows: pd.DataFrame) -> Pooled:
    """The mean effect of a method over the sets on which anything differs."""
    known = rows.dropna(subset="effect")
    return random_effects(known["effect"], known["error"] ** 2)


def best_of(rows: pd.DataFrame) -> str:
    """The method of the largest mean effect, of those that all sets can have.

    Args:
        rows: of `Compared.on_sets`.
    """
    sets = rows["set"].nunique()
    means = {
        str(name): pooled(each).mean
        for name, each in rows.groupby("placement", sort=False)
        if len(each) == sets and each["effect"].notna().any()
    }
    return max(means, key=lambda name: means[name])


def answer(compared: Compared, noises: Sequence[str]) -> str:
    """What the best noise is worth beside tuning, and all of them beside all rivals."""
    rows = compared.on_sets
    best = best_of(rows[rows["placement"].isin(noises)])
    row, of_best = compared.over_sets.loc[best], rows[rows["placement"] == best]
    sure, ties = of_best["verdict"].value_counts(), len(of_best) - row["k"]
    told = (
        f"of {len(noises)} noises {best} does most for the score beside tuning alone, "
        f"{effect_of(row)}, by an interval that does not know of the choice. It is "
        f"better in the mean on {row['better']} sets, worse on {row['worse']} and "
        f"equal on {ties}; after Holm's adjustment for all methods and sets better on "
        f"{sure.get('better', 0)} and worse on {sure.get('worse', 0)}."
    )
    classes = compared.scores["set"].map(SETS["classes"]) > 0
    both = compared.scores[
        classes & compared.scores["method"].isin([ANY_NOISE, ANY_RIVAL])
    ]
    if both["method"].nunique() < 2 or both["set"].nunique() < 2:
        return told
    against = Compared(both, ANY_RIVAL, compared.measure).over_sets.loc[ANY_NOISE]
    return (
        f"{told} On sets of classes {ANY_NOISE} against {ANY_RIVAL}, with as many "
        f"candidates each: {effect_of(against)}."
    )


def advice(compared: Compared) -> str:
    """The best method, and how often the best of other sets is right on a new one."""
    rows = compared.on_sets
    rows = rows[~rows["placement"].isin([ANY_NOISE, ANY_RIVAL])]
    best, names = best_of(rows), list(dict.fromkeys(rows["set"]))
    told = (
        f"take {best}, which of the methods that every set can have does most for the "
        f"score, {effect_of(compared.over_sets.loc[best])}."
    )
    if len(names) < 3:
        return told
    gains = []
    for name in names:
        chosen, here = best_of(rows[rows["set"] != name]), rows["set"] == name
        gains += rows.loc[here & (rows["placement"] == chosen), "effect"].tolist()
    return (
        f"{told} Who took on each set what is best on the others would have done "
        f"better than by tuning alone on {sum(gain > 0 for gain in gains)} of "
        f"{len(gains)}, and worse on {sum(gain < 0 for gain in gains)}."
    )


def effect_of(row: Any) -> str:
    """A mean effect with its interval."""
    told = f"{row['mean']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
    return "-" if np.isnan(row["mean"]) else told


def range_of(row: Any) -> str:
    """Where the effect on another set will be."""
    low, high = row["next_low"], row["next_high"]
    return "-" if np.isnan(low) else f"{low:+.2f} to {high:+.2f}"


def ranks_of(compared: Compared) -> pd.DataFrame:
    """Ranks by set, the best first, of the methods that all sets of classes have."""
    means = compared.scores.pivot_table(
        index="set", columns="method", values=compared.measure, observed=True
    )
    means = means[(SETS["classes"].reindex(means.index) > 0).to_numpy()].dropna(axis=1)
    means = means.drop(columns=[ANY_NOISE, ANY_RIVAL], errors="ignore")
    return means.rank(axis=1, ascending=False)
