"""What a search shows of noise: a comparison with the network without it, in words."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxnoise.checks import shown
from jaxnoise.estimators.candidates import Candidate
from jaxnoise.evidence.compare import Comparison, compare
from jaxnoise.evidence.units import fewest_units

BASELINE = "none"


def named_candidates(
    candidates: Sequence[Candidate], baseline: int
) -> list[dict[str, Any]]:
    """Placement and strength of each: its noises, and what else tells it apart."""
    noises = [each.noises for each in candidates]
    varied = dict.fromkeys(name for each in candidates for name in each.params)
    several = any(len(each) > 1 for each in noises)
    sites = dict.fromkeys(name for each in noises for name in each)
    found = []
    for i, (candidate, own) in enumerate(zip(candidates, noises, strict=True)):
        rest = [
            f"{name.removeprefix(candidate.last)}={shown(candidate.params[name])}"
            for name in varied
            if name in candidate.params
            and name.removeprefix(candidate.last) not in sites
        ]
        words = [" + ".join(own).replace("_noise", "") or "no noise", *rest]
        placement = BASELINE if i == baseline else ", ".join(words)
        if several:
            strength = {f"strength.{name}": own.get(name, 0.0) for name in sites}
        else:
            strength = {"strength": next(iter(own.values()), 0.0)}
        found.append({"placement": placement, **strength})
    return found


def compared(
    names: Sequence[dict[str, Any]],
    runs: pd.DataFrame,
    metric: str,
    overlap: float,
) -> Comparison:
    """Every candidate against the one without noise, fold by fold.

    Args:
        names: of the candidates.
        runs: a row a candidate, seed and split, with the scores.
        metric: the score's column.
        overlap: test rows over train rows of a fold.
    """
    table = pd.DataFrame([names[i] for i in runs["candidate"]])
    for column in ("seed", "split", metric):
        table[column] = runs[column].to_numpy()
    table["finite"] = np.isfinite(table[metric])
    with warnings.catch_warnings():  # what they tell is in the answer
        warnings.simplefilter("ignore", UserWarning)
        several = runs["split"].nunique() > 1
        return compare(
            table,
            metric=metric,
            lower_is_better=False,
            overlap=overlap if several else None,
        )


def columns_of_verdicts(
    names: Sequence[dict[str, Any]], rows: Comparison
) -> dict[str, np.ndarray]:
    """Columns of ``cv_results_``, a value a candidate."""
    place = {tuple(_key(row)): row for row in rows.to_dict("records")}
    found = [place[tuple(_key(name))] for name in names]
    columns = {"difference": "difference", "difference_low": "low"}
    columns |= {"difference_high": "high", "verdict": "verdict"}
    return {to: np.array([row[name] for row in found]) for to, name in columns.items()}


def _key(row: dict[str, Any]) -> list[Any]:
    parts = [name for name in row if name.split(".")[0] in ("placement", "strength")]
    return [row[name] for name in sorted(parts)]


def answer(rows: Comparison, metric: str, seeds: int) -> str:
    """In one sentence: does noise help here?"""
    facts, noisy = rows.attrs, rows[[_is_noisy(row) for row in rows.to_dict("records")]]
    noisy = noisy[noisy["difference"].notna()]
    if noisy.empty:
        return "No candidate had noise and scores to compare: nothing is known of it."
    best = noisy.loc[noisy["difference"].idxmax()]
    folds = int(best["n"])
    name = best["placement"]
    parts = [c for c in rows if str(c).split(".")[0] == "strength"]
    level = " and ".join(f"{best[c]:g}" for c in parts if best[c])
    unit = "fold" if facts["unit"] == "split" else str(facts["unit"])
    times = f" x {seeds} seed{'s' * (seeds > 1)}" if unit == "fold" else ""
    told = (
        f"{name} noise of {level} changes {metric.removeprefix('test_')} by "
        f"{best['difference']:+.3g} [{best['low']:+.3g}, {best['high']:+.3g}] "
        f"({folds} {unit}s{times})"
    )
    begin = {
        "better": "Noise helps here: ",
        "worse": "Noise hurts here; at best, ",
        "equivalent": "Noise makes no difference that matters: at best, ",
        "no evidence": "No evidence that noise helps here: at best, ",
    }.get(best["verdict"])
    if begin:
        return f"{begin}{told}."
    return (
        f"No verdict, as {folds} {unit}s are too few ({fewest_units(facts['overlap'])} "
        f"at least, 10 are better: cv=10): at best, {told}."
    )


def _is_noisy(row: dict[str, Any]) -> bool:
    if row["placement"] == BASELINE or row["placement"].startswith("no noise"):
        return False
    return True
