"""How often is the library wrong? False claims and coverage, beside what is stated.

    python experiments/calibration.py

draws scores of which the truth is known, lets `compare` judge them, and counts what is
wrong: "better" or "worse" where nothing differs, "equivalent" where it does, intervals
that miss. It writes ``calibration.csv`` and ``calibration.md``; ``--into README.md``
replaces a page's table. A few minutes on two cores.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, NamedTuple

import _options as o
import numpy as np
import pandas as pd
from _files import FAILED, insert_into, markdown
from scipy.stats import t as student

import jaxnoise as jn
from jaxnoise.evidence.anytime import confidence_sequence, log_e
from jaxnoise.evidence.compare import SKEW, SKEW_SEEN
from jaxnoise.evidence.judge import verdict
from jaxnoise.evidence.paired import ALPHA, skewness, t_interval
from jaxnoise.evidence.rows import crossed_interval
from jaxnoise.evidence.units import LEAST_UNITS, fewest_units
from jaxnoise.files import replace_file

FIXED, ANYTIME = "fixed", "anytime"
AT_ONCE = 500  # comparisons of a table
FAILURES = 0.05  # the share of runs that fail, where they do so rarely
NAME = "calibration"  # of its place in a README
HEADING = ("situation", "rule", "stated", "measured", "± SE", "warned of", "draws")
Counted = tuple[np.ndarray, np.ndarray | None]  # what was wrong, and what warned of
Draw = Callable[[Any, Any], Any]


class Situation(NamedTuple):
    """Scores of a known truth, and what is counted of them.

    Attributes:
        name: in words.
        rule: that judges.
        tried: from a generator and a number of draws, what it was wrong in, and what
            was warned of where that is looked at.
        share: of the draws that are made; slow ones take fewer.
    """

    name: str
    rule: str
    tried: Callable[[np.random.Generator, int], Counted]
    share: float = 1.0


def one_by_one(once: Callable[..., Any]) -> Callable[..., Counted]:
    """What is wrong in one draw, tried in many."""

    @wraps(once)
    def tried(rng: np.random.Generator, draws: int, **options: Any) -> Counted:
        return np.array([once(rng, **options) for _ in range(draws)]), None

    return tried


def table(scores: np.ndarray, baseline: np.ndarray) -> pd.DataFrame:
    """Scores (placement, seed, split) and those of a baseline, each its own or one."""
    values = np.concatenate([baseline[None], scores])
    cell, seed, split = np.indices(values.shape).reshape(3, -1)
    names = np.array(["none", *(f"noise {i}" for i in range(len(scores)))])
    columns = {"placement": names[cell], "strength": np.minimum(cell, 1.0)}
    columns |= {"seed": seed, "split": split, "accuracy": values.ravel()}
    return pd.DataFrame(columns)


def compared(runs: pd.DataFrame, **options: Any) -> Any:
    """What `compare` says, which warns of so many comparisons."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jn.compare(runs, metric="accuracy", **{"overlap": 0.0} | options)


def alone(rows: Any) -> Counted:
    """Which rows would get a verdict if each were the only comparison of its table."""
    others = rows[rows["verdict"] != "baseline"]
    said, warned, least = [], [], fewest_units(rows.attrs["overlap"])
    for row, cell in zip(others.itertuples(), others.cells, strict=True):
        n, ends = len(cell.unit_differences), (row.low, row.high)
        said.append(verdict(n, cell.lost_share, ends, row.p, least=least))
        needed = SKEW * skewness(cell.unit_differences) ** 2
        warned.append(SKEW_SEEN <= n < needed)
    return np.isin(said, ["better", "worse"]), np.array(warned)


def judged(
    rng: np.random.Generator, draws: int, *, draw: Draw, shape: Any, **options: Any
) -> Counted:
    """Single comparisons of differences that are drawn about 0."""
    found = []
    for start in range(0, draws, AT_ONCE):
        d = draw(rng, (min(AT_ONCE, draws - start), *shape))
        found.append(alone(compared(table(d, np.zeros(shape)), **options)))
    wrong, warned = map(np.concatenate, zip(*found, strict=True))
    return wrong, warned


@one_by_one
def families(rng: Any, *, units: int, cells: int, stop: str) -> bool:
    """A table of several strengths that share a baseline: is any of them false?"""
    scores = rng.normal(size=(cells + 1, units, 1))
    said = compared(table(scores[1:], scores[0]), stop=stop)["verdict"]
    return said.isin(["better", "worse"]).any()


@one_by_one
def peeking(rng: Any, *, units: int, rule: str) -> bool:
    """Looking after each unit from the sixth on: is anything ever found?"""
    d = rng.normal(size=units)
    if rule == ANYTIME:
        return log_e(d).max() >= -np.log(ALPHA)
    n = np.arange(2, units + 1)
    mean = d.cumsum()[1:] / n
    spread = np.sqrt(np.maximum((d**2).cumsum()[1:] / n - mean**2, 0) * n / (n - 1))
    t = np.abs(mean) / spread * np.sqrt(n)  # that of each number of units
    return (t > student.ppf(1 - ALPHA / 2, n - 1))[LEAST_UNITS - 2 :].any()


@one_by_one
def lost(rng: Any, *, units: int, share: float, how: str) -> bool:
    """The worst runs with noise are NaN, or not in the table."""
    none, noisy = rng.normal(size=(2, units))
    noisy[np.argsort(noisy)[: round(share * units)]] = np.nan
    runs = table(noisy[None, :, None], none[:, None])
    wrong, _ = alone(compared(runs.dropna() if how == "absent" else runs))
    return wrong.item()


def of_folds(rng: Any, shape: Any, *, folds: int) -> np.ndarray:
    """Differences of k folds, perhaps repeated, which have a correlation of 1/k."""
    common = rng.normal(0, np.sqrt(1 / folds), (shape[0], 1, 1))
    return common + rng.normal(0, np.sqrt(1 - 1 / folds), shape)


@one_by_one
def on_rows(rng: Any, *, rows: int, seeds: int, kept: bool) -> bool:
    """Two models that are as good on all rows there are, on one test set."""
    hard = rng.normal(1.5, 1.5, rows) + rng.normal(size=(2, 1, rows))
    right = hard + rng.normal(0, 0.7, (2, seeds, rows)) > 0
    d = right[1].astype(float) - right[0]
    return (crossed_interval(d) if kept else t_interval(d.mean(1))).p < ALPHA


@one_by_one
def alike(rng: Any, *, draw: Draw, units: int, rope: float) -> bool:
    """Differences whose mean is at the end of the rope: are they "equivalent"?"""
    d = rope + draw(rng, (1, units, 1))
    said = compared(table(d, np.zeros((units, 1))), rope=rope)["verdict"][1]
    return said == "equivalent"


def missed(
    rng: np.random.Generator, draws: int, *, draw: Draw, units: int, rule: str
) -> Counted:
    """Intervals of the mean difference that do not hold 0."""
    d = draw(rng, (draws, units))
    fixed = rule == FIXED
    low, high = t_interval(d)[1:3] if fixed else confidence_sequence(d)
    return (low > 0) | (high < 0), None


def failures(rng: Any, shape: Any, *, size: float = 1.0) -> np.ndarray:
    """Small normal differences, and now and then a run that fails."""
    failed = rng.random(shape) < FAILURES
    return rng.normal(0, 0.1, shape) + size * (FAILURES - failed)


def ceiling(rng: Any, shape: Any) -> np.ndarray:
    """Accuracies of 70 rows near 1, where most runs are the same."""
    right = rng.binomial(70, 0.985, (2, *shape)) / 70
    return right[1] - right[0]


def nested(rng: Any, shape: Any) -> np.ndarray:
    """Seeds of a split share its data."""
    return rng.normal(size=(shape[0], 1, shape[2])) + rng.normal(0, 0.7, shape)


DRAWS: dict[str, Draw] = {  # of differences about 0
    "normal": lambda rng, shape: rng.normal(size=shape),
    "t with 2 degrees of freedom": lambda rng, shape: rng.standard_t(2, shape),
    "ties of 70 rows": lambda rng, shape: rng.integers(-1, 2, shape) / 70,
    "accuracies near 1": ceiling,
    "unlike spreads": lambda rng, shape: (
        rng.normal(size=shape) * rng.lognormal(0, 1, shape)
    ),
    "one run in 40 NaN": lambda rng, shape: np.where(
        rng.random(shape) < 1 / 40, np.nan, rng.normal(size=shape)
    ),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "lognormal": lambda rng, shape: rng.lognormal(size=shape) - np.exp(0.5),
    "rare failures": failures,
}
NORMAL, *SYMMETRIC = [*DRAWS][:6]
SKEWED = [*DRAWS][6:]


def situations() -> Iterator[Situation]:
    """All rows of the table."""
    yield from single({NORMAL: (6, 10, 30, 100)})
    yield from single(dict.fromkeys(SYMMETRIC, (10, 30)))
    many = partial(judged, draw=nested, shape=(5, 10))
    yield Situation("5 seeds in 10 splits", FIXED, many)
    for cells, n, rule in ((8, 10, FIXED), (40, 30, FIXED), (8, 30, ANYTIME)):
        tried = partial(families, units=n, cells=cells, stop=rule)
        yield Situation(f"any of {cells} strengths, n = {n}", rule, tried, 2 / cells)
    yield from single(dict.fromkeys(SKEWED, (10, 30, 100)), "skewed: ")
    for n in (30, 100, 300, 1_000):
        for rule in (FIXED, ANYTIME):
            tried = partial(peeking, units=n, rule=rule)
            yield Situation(f"looking always, from 6 to {n}", rule, tried)
    for share, how, n in (
        (0.05, "NaN", 100),
        (0.05, "absent", 100),
        (0.2, "absent", 30),
    ):
        tried = partial(lost, units=n, share=share, how=how)
        yield Situation(f"worst {share:.0%} {how}, n = {n}", FIXED, tried, 0.25)
    for overlap in (0.0, 1 / 9):
        draw = partial(of_folds, folds=10)
        tried = partial(judged, draw=draw, shape=(1, 100), overlap=overlap)
        yield Situation(f"10 x 10 folds, overlap = {overlap:.2g}", FIXED, tried)
    for kept, rule in ((False, "seeds alone"), (True, "rows kept")):
        tried = partial(on_rows, rows=1_000, seeds=10, kept=kept)
        yield Situation("one test set of 1000 rows, 10 seeds", rule, tried, 0.5)
    yield from intervals()
    draw = partial(of_folds, folds=5)
    tried = partial(judged, draw=draw, shape=(1, 5), overlap=1 / 4)
    yield Situation("5 folds, overlap = 0.25", FIXED, tried)


def single(sizes: Mapping[str, Sequence[int]], kind: str = "") -> Iterator[Situation]:
    """Comparisons of some numbers of units, each alone."""
    for name, each in sizes.items():
        for n in each:
            tried = partial(judged, draw=DRAWS[name], shape=(n, 1))
            yield Situation(f"{kind}{name}, n = {n}", FIXED, tried)


def intervals() -> Iterator[Situation]:
    """What is said of the size of a difference."""
    draws = DRAWS | {"rare failures": partial(failures, size=10.0)}
    for name, n in ((NORMAL, 10), (NORMAL, 30), ("rare failures", 30)):
        tried = partial(alike, draw=draws[name], units=n, rope=0.5)
        title = f"equivalent at the end of the rope: {name}, n = {n}"
        yield Situation(title, FIXED, tried, 0.25)
    for name in (NORMAL, "exponential"):
        for n in (10, 30):
            tried = partial(missed, draw=DRAWS[name], units=n, rule=FIXED)
            yield Situation(f"interval misses: {name}, n = {n}", FIXED, tried)
    tried = partial(missed, draw=DRAWS[NORMAL], units=100, rule=ANYTIME)
    yield Situation("interval misses at some n up to 100: normal", ANYTIME, tried, 0.25)


def measured(situation: Situation, number: int, draws: int) -> dict[str, Any]:
    """A row of the table; each situation has draws of its own."""
    count = max(round(draws * situation.share), 20)
    wrong, warned = situation.tried(np.random.default_rng(number), count)
    rate = float(wrong.mean())
    return {
        "situation": situation.name,
        "rule": situation.rule,
        "stated": ALPHA,
        "measured": rate,
        "error": float(np.sqrt(rate * (1 - rate) / len(wrong))),
        "warned": np.nan if warned is None else float(np.mean(warned)),
        "draws": len(wrong),
    }


def as_markdown(found: pd.DataFrame) -> str:
    """The table, shares in percent."""
    rows = []
    for row in found.itertuples():
        shares = (row.stated, row.measured, row.error)
        warned = "-" if np.isnan(row.warned) else f"{row.warned:.0%}"
        shown = [f"{100 * share:.1f} %" for share in shares]
        rows.append([row.situation, row.rule, *shown, warned, f"{row.draws}"])
    return markdown(HEADING, rows)


def main(arguments: list[str] | None = None) -> int:
    """Measure every situation, print the table, write it."""
    parser = o.Parser("calibration.py", __doc__)
    parser.option("--draws", o.count, 2_000, "of most situations")
    parser.option("--out", Path, Path("results/calibration"), "where files go")
    options = o.options_of_page(parser, arguments, NAME)
    rows = []
    for number, each in enumerate(situations()):
        rows.append(measured(each, number, options.draws))
        print(f"{each.name} ({each.rule}): {rows[-1]['measured']:.3f}", flush=True)
    found = pd.DataFrame(rows)
    text = as_markdown(found)
    replace_file(options.out / "calibration.csv", found.to_csv(index=False))
    replace_file(options.out / "calibration.md", text + "\n")
    return FAILED if insert_into(options.into, text, NAME) else 0


if __name__ == "__main__":
    o.run(main)
