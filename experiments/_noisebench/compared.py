"""All methods against the tuned network, and what is to be said of that."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from _files import quietly
from _rivals import ANY_NOISE, ANY_RIVAL

import jaxnoise as jn
from jaxnoise.evidence.table import lower_is_better

SETS = jn.data.tables().set_index("name")
ROPE = 0.005  # half a point
CHECKED = "MLPClassifier"


class Compared:
    """All methods against the baseline, over the sets of one size, in one measure."""

    def __init__(self, scores: pd.DataFrame, baseline: str, measure: str) -> None:
        self.measure, self.baseline = measure, baseline
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
        return quietly(
            jn.compare_many,
            tables,
            metric=self.measure,
            baseline=self.baseline,
            overlap=0.0,
            rope=rope,
            lower_is_better=lower_is_better(self.measure),
        )

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


def best_of(effects: pd.DataFrame) -> str:
    """The method of the largest mean effect, of those that all sets have."""
    return str(effects.dropna(axis=1).mean().idxmax())


def answer(compared: Compared, noises: Sequence[str]) -> str:
    """What the best noise is worth beside tuning, and all of them beside all rivals."""
    best = best_of(compared.effects()[noises])
    row, rows = compared.over_sets.loc[best], compared.on_sets
    sure = rows.loc[rows["placement"] == best, "verdict"].value_counts()
    told = (
        f"of {len(noises)} noises {best} does most for the score beside tuning alone, "
        f"{effect_of(row)}; it is better in the mean on {row['better']} of {row['k']} "
        f"sets and worse on {row['worse']}, and after Holm's adjustment for all "
        f"methods and sets better on {sure.get('better', 0)} and worse on "
        f"{sure.get('worse', 0)}."
    )
    both = compared.scores[compared.scores["method"].isin([ANY_NOISE, ANY_RIVAL])]
    if both["method"].nunique() < 2:
        return told
    against = Compared(both, ANY_RIVAL, compared.measure).over_sets.loc[ANY_NOISE]
    return (
        f"{told} {ANY_NOISE.capitalize()} against {ANY_RIVAL}, with all candidates of "
        f"its kind each: {effect_of(against)}."
    )


def advice(compared: Compared) -> str:
    """The best method, and how often the best of other sets is right on a new one."""
    effects = compared.effects().drop(columns=[ANY_NOISE, ANY_RIVAL], errors="ignore")
    effects = effects.dropna(axis=1)
    best = best_of(effects)
    told = (
        f"take {best}, which of the {len(effects.columns)} methods that every set can "
        f"have does most for the score, {effect_of(compared.over_sets.loc[best])}; it "
        "was chosen for that, of which its interval does not know."
    )
    if len(effects) < 3:
        return told
    right = [
        bool(effects.loc[name, best_of(effects.drop(index=name))] > 0)
        for name in effects.index
    ]
    return (
        f"{told} Who took on each set what is best on the others would have done "
        f"better than by tuning alone on {sum(right)} of {len(right)}."
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
