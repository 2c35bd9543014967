"""Paired statistics of a sweep, or of any score table.

`compare` says for each placement and strength how its runs differ from the baseline's,
pair by pair, how sure that is, and what may be said of it. What it returns, a
`Comparison`, travels on to pictures and pages.
"""

import inspect
import math
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxnoise.checks import warn
from jaxnoise.evidence import paired
from jaxnoise.evidence.cells import Cell, key_of
from jaxnoise.evidence.format import FEW_UNITS, cell_titles, table_text, which_is_better
from jaxnoise.evidence.judge import Judgement, judgements
from jaxnoise.evidence.paired import ALPHA
from jaxnoise.evidence.table import OUTER, Source, opened, runs_of
from jaxnoise.evidence.units import (
    LEAST_UNITS,
    PAIR_BY,
    Evidence,
    Options,
    check_options,
    evidence_of,
    fewest_units,
)
from jaxnoise.results import cell_columns

TWO_ERRORS = 1.96  # 95 % of a normal law
SKEW = 25  # times the square of the skewness: with fewer units, t is a guide
SKEW_SEEN = 20  # units of which skewness tells anything
WINS = ("win_probability", "win_low", "win_high")
PROBLEMS = ("lost", "diverged")  # no details where there are some
NEW_ROWS = ("new_rows_low", "new_rows_high")  # no details where they are known
DETAILS = ("sd", "median", "iqm", *NEW_ROWS, *WINS, "p", "e_value", *PROBLEMS)

Function = TypeVar("Function", bound=Callable[..., Any])


class Comparison(pd.DataFrame):
    """What `compare` returns: a pandas table that prints what counts, and its evidence.

    A whole table prints without its details, which the last lines name, next to the
    direction that counted as better and to what was taken from the data; runs that
    diverged are no detail. Columns that were chosen are printed as they are. Numbers
    are shown to four decimals, small ones to three digits; "-" is what is not known.
    Notebooks show the same text.

    `jaxnoise.plots`, `jaxnoise.report`, `jaxnoise.select` and `jaxnoise.seeds_needed`
    take it in place of the result, and compute nothing again. Rows of it are the
    placements and strengths that a picture draws.

    Attributes:
        evidence: the paired units behind the table: each of ``evidence.cells`` has
            ``scores`` and ``differences``, arrays with a value a unit, in the order of
            ``evidence.units``; beside them ``source``, ``metric``, ``options`` and
            ``doubts``. None where pandas drops it, as where tables join.
        cells: those of the rows at hand, in their order.
        caution: what `compare` warns of their units; "" for nothing.
    """

    _metadata = ["evidence"]  # what pandas hands on from table to table
    evidence: Any = None

    @property
    def _constructor(self) -> type["Comparison"]:
        return Comparison

    @property
    def metrics(self) -> list[str]:
        """Those of which it has rows."""
        return list(self["metric"].unique()) if "metric" in self else []

    def of(self, metric: str) -> "Comparison":
        """The rows of one of several metrics, adjusted for all, as pictures take them.

        Raises:
            ValueError: if it is none of them.
        """
        if metric not in self.metrics:
            known = " or ".join(map(repr, self.metrics))
            raise ValueError(f"metric must be {known}, got {metric!r}.")
        rows = self[self["metric"] == metric].drop(columns="metric")
        rows.evidence = next(e for e in self.evidence if e.metric == metric)
        rows.attrs = rows.evidence.facts()
        return rows

    @property
    def cells(self) -> list[Cell]:
        """The units of each row."""
        if self.metrics:
            return [cell for metric in self.metrics for cell in self.of(metric).cells]
        found = {cell.key: cell for cell in self.evidence.cells}
        rows = self[cell_columns(self)].itertuples(index=False)
        return [found[key_of(row)] for row in rows]

    @property
    def caution(self) -> str:
        """What is to be said of the units, few or too few; "" if nothing is."""
        compared, facts = self[self["verdict"] != "baseline"], self.attrs
        few = few_units(compared["n"].min(), facts) if len(compared) else ""
        parts = list(map(self.of, self.metrics)) or [self]
        skews = dict.fromkeys(skewed(part) for part in parts)
        return "; ".join(filter(None, [few, out_of_reach(self), *skews]))

    def __repr__(self) -> str:
        text = self._text(self._main()).to_string(index=self._has_index())
        return "\n".join([text, *self._last_lines()])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        text = self._text(self._main()).to_html(index=self._has_index())
        return "\n".join([text, *(f"<p>{escape(x)}</p>" for x in self._last_lines())])

    def to_markdown(self, buf: Any = None, **options: Any) -> str | None:
        """All columns in Markdown; options are those of pandas' ``to_markdown``."""
        form = options.pop("floatfmt", None)
        text = table_text(self, None if form is None else f"{{:{form}}}".format)
        text = text.map(_no_pipe).rename(index=_no_pipe)
        options = {"index": self._has_index(), "disable_numparse": True} | options
        sides = ["left"] * bool(options["index"]) + self._sides("left", "right")
        return text.to_markdown(buf, **{"colalign": sides} | options)

    def to_latex(self, buf: Any = None, **options: Any) -> str | None:
        """The columns that are printed, in LaTeX; options are those of pandas.

        ``columns=list(rows)`` takes all; ``float_format`` is for all numbers but
        strengths.
        """
        chosen = self[list(options.pop("columns", None) or self._main())]
        form = options.pop("float_format", None)
        form = form.__mod__ if isinstance(form, str) else form
        text = table_text(chosen, form, options.pop("na_rep", "-"))
        options = {"index": self._has_index(), "escape": True} | options
        sides = "".join(["l"] * bool(options["index"]) + chosen._sides("l", "r"))
        return text.to_latex(buf, **{"column_format": sides} | options)

    def _text(self, columns: list[str]) -> pd.DataFrame:
        return table_text(self)[columns]

    def _main(self) -> list[str]:
        """The columns that are printed: of a whole table no details."""
        hidden = {*DETAILS} if {*DETAILS} <= {*self} else set()
        hidden -= {name for name in hidden & {*PROBLEMS} if (self[name] > 0).any()}
        if hidden and self["new_rows_low"].notna().any():
            hidden -= {*NEW_ROWS}
        return [name for name in self if name not in hidden]

    def _last_lines(self) -> list[str]:
        """Which way is better, where the details are, and what the data said."""
        names = [name for name in DETAILS if name not in NEW_ROWS]
        hidden = [name for name in names if name in {*self} - {*self._main()}]
        if not hidden:
            return []
        names = [re.sub("^win_.*", "win_*", name) for name in hidden]
        more = f"more columns: {', '.join(dict.fromkeys(names))}"
        facts = self.attrs
        if "lower_is_better" not in facts:
            return [more]
        if self.metrics:
            parts = [self.of(metric) for metric in self.metrics]
            return [*map(_better, parts), more, *parts[0]._notes()]
        return [f"{_better(self)}; {more}", *self._notes()]

    def _notes(self) -> list[str]:
        """How the number of units came about, and what the data said."""
        taken = self.evidence and self.evidence.taken
        return list(filter(None, [_how_many(self.attrs), self.on_rows, taken]))

    @property
    def on_rows(self) -> str:
        """Of which test rows it holds; "" where that is not known or they are many."""
        facts = self.attrs
        if facts["unit"] in ("split", OUTER) or not facts["rows"]:
            return ""
        if self["new_rows_low"].notna().any():
            return "new_rows_low to new_rows_high, p and verdict are for new rows, too"
        text = f"on these {facts['rows']} rows only"
        share = self["mean"].iloc[0]
        if "accuracy" in facts["metric"] and 0 <= share <= 1:
            half = TWO_ERRORS * np.sqrt(share * (1 - share) / facts["rows"])
            text += f"; others would move an accuracy by ± {half:.2g} (95 %, binomial)"
        return f"{text}; keep_rows=True tells of new ones"

    def _has_index(self) -> bool:
        return not isinstance(self.index, pd.RangeIndex)

    def _sides(self, left: str, right: str) -> list[str]:
        numeric = pd.api.types.is_numeric_dtype
        return [right if numeric(kind) else left for kind in self.dtypes]


def _better(rows: Comparison) -> str:
    facts = rows.attrs
    return f"{facts['metric']}: {which_is_better(facts['lower_is_better'])}"


def _how_many(facts: dict[str, Any]) -> str:
    """What the tests take for granted of the number of units."""
    if facts["stop"] == "fixed":
        return f"holds if the number of {facts['unit']}s was fixed beforehand"
    return f"holds at any number of {facts['unit']}s: p is 1 / the largest e-value"


def _no_pipe(cell: Any) -> str:
    return str(cell).replace("|", r"\|")  # it would end the cell


def titled_groups(
    runs: pd.DataFrame, source: Any = None
) -> list[tuple[str, tuple[Any, ...], pd.DataFrame]]:
    """Title, name and runs of each placement and strength, in the table's order.

    Of a comparison those of its rows alone.
    """
    runs = runs_of(runs)
    groups = runs.groupby(cell_columns(runs), sort=False, dropna=False)
    found = [(title, *g) for title, g in zip(cell_titles(runs), groups, strict=True)]
    if not isinstance(source, Comparison):
        return found
    wanted = {cell.key for cell in source.cells}
    return [group for group in found if key_of(group[1]) in wanted]


def compare(
    result_or_table: Source,
    *,
    metric: str | Sequence[str],
    baseline: str = "none",
    pair_by: str | Sequence[str] = PAIR_BY,
    rope: float | None = None,
    overlap: float | None = None,
    key: Array | None = None,
    lower_is_better: bool | None = None,
    outer: int | None = None,
    stop: str | None = None,
) -> Comparison:
    """Compare every placement and strength with the baseline, pair by pair.

    A pair is two runs of one seed and split, and d its difference, score minus the
    baseline's score. Pairs are averaged over their *unit*, the split where there are
    two or more, else the seed: seeds of one split share its data and are not
    independent. Of the n units, the interval is the t-interval of the mean, ``mean(d) ±
    t * sd(d) * sqrt(1 / n + overlap)``, with t the 97.5 % point of Student's t at n - 1
    degrees of freedom.

    Args:
        result_or_table: a `SweepResult`, the path of a `jaxnoise.Store`, or a tidy
            table with the columns placement, strength, seed, the metric, and split if
            there are several; or a `Comparison`, of whose runs another metric is
            compared. Strengths that differ by rounding, as in float32, are one.
        metric: the column that is compared, such as ``"population_accuracy"``; or
            several, which are one family: Holm's procedure goes over all their rows,
            and ``rows.of(metric)`` are those of one, for pictures and pages.
        baseline: the placement that others are compared with.
        pair_by: the columns that tell which two runs are a pair.
        rope: the half width of the region of practical equivalence, in units of the
            metric: differences smaller than that do not matter.
        overlap: test rows over train rows of resampled splits, 1 / (k - 1) for k folds,
            which share train rows. The interval is Nadeau and Bengio's corrected one
            then, p its test, and the other intervals widen alike. 0: the splits are
            independent. None: as the data of a sweep say, such as `jaxnoise.data.folds`
            and `draws`; where nothing is known, independent, with a warning.
        key: a typed key for the sign flips beyond 20 units; None is
            ``jax.random.key(0)``.
        lower_is_better: whether a negative difference is the better one; None tells by
            the metric's name: losses, errors and the like are better lower, accuracies,
            scores and the like higher; any other is taken so, with a warning.
        outer: the number of outer folds of `jaxnoise.data.nested_folds`, which are the
            units then: inner folds of one share its rows. None: as the data of a sweep
            say, else no split is nested.
        stop: how the number of units came about. ``"fixed"``: it was fixed beforehand;
            whoever adds units until something shows finds it where there is nothing in
            a third of all cases. ``"anytime"``: it may hang on what was seen, as it
            does in `sweep_until`: p is 1 / E, of the largest value so far of a
            sign-flip e-process, and low to high is a confidence sequence. Both hold at
            all numbers of units together, and take about as many where a difference is
            there. None: as the runs say, else fixed.

    Returns:
        A `Comparison`: a table, a row per placement and strength, in their order:

        * n: the units, counting pairs of which both runs are finite; of the baseline
          its own. All intervals use them.
        * mean, sd, median and iqm (mean of the middle half) of the metric over units.
        * difference to the baseline with its 95 % interval low to high, the median of
          the units' differences, and the difference of the worst pair.
        * new_rows_low to new_rows_high: with ``keep_rows`` of `sweep`, the interval of
          the difference for new test rows and new seeds; low to high is for these rows.
          p is then the larger of both tests, and the verdict is about new rows, too.
        * win_probability: the share of units in which it is better than the baseline,
          ties half, with its Wilson interval win_low to win_high.
        * p of the sign-flip test (exact up to 20 units, else 100,000 draws), and p_holm
          adjusted for all comparisons of the table by Holm's procedure.
        * e_value: that of the e-process after the last unit, in the order in which they
          were made, as the table has them; 20 is as rare as a p of 0.05. NaN of splits
          that overlap.
        * lost: pairs of which a run is not finite, or not there: every seed and split
          of the table is expected of every placement and strength. p and e_value count
          a lost pair as the largest difference, against the mean's sign, as far as
          the mean keeps it.
        * diverged: runs that are not finite (or beyond 1e300).
        * verdict, the first that holds: ``"none"`` with fewer than 6 units, or 5 folds
          that overlap, or more than 5 % of the pairs lost; ``"equivalent"`` if two
          one-sided tests put the mean inside ±rope at p < 0.05, adjusted by Holm's
          procedure, of 10 units or more that are not all tied, no pair lost;
          ``"better"`` or ``"worse"`` if p_holm < 0.05 and the interval excludes 0;
          ``"no evidence"``.

        The baseline's own verdict is ``"baseline"``, its differences NaN, as is the
        interval of a single unit. If all differences are the same d, the interval is
        [d, d]; the sign-flip p of n such is ``2 / 2**n``. The table prints its main
        columns, which way is better, how n came about, and what it took from the data;
        ``to_markdown()`` shows all columns, and ``attrs`` names metric, baseline and
        unit.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the metric, a column or the baseline is not there, the baseline
            has several strengths, a run occurs twice, a placement shares no pair with
            the baseline, or ``rope`` or ``overlap`` is out of range.

    Warns:
        UserWarning: if a comparison has fewer than 10 units; of 20 or more, if they are
            fewer than 25 times the squared skewness of their differences, where the
            tests are wrong more often than they say (of fewer units nobody can tell:
            where differences are skewed, 10 units say "better" or "worse" in 6 to 34 %
            of cases without a difference); or if the comparisons are
            too many for any of them to be better or worse: the sign-flip p of n units
            is at least 2 / 2**n, and Holm's procedure multiplies it. If the metric's
            name does not tell which way is better, or nothing is known of several
            splits.

    Reference: Student, "The probable error of a mean", Biometrika 6 (1908); for the
    corrected interval Nadeau and Bengio, Machine Learning 52 (2003); for skewness W. G.
    Cochran, "Sampling techniques", 1977, section 2.15.

    Example:
        >>> import numpy as np, pandas as pd, jaxnoise as jn
        >>> seed = np.arange(10)
        >>> plain = pd.DataFrame({"placement": "none", "strength": 0.0, "seed": seed})
        >>> noisy = pd.DataFrame({"placement": "input", "strength": 0.1, "seed": seed})
        >>> plain["auc"] = 0.7 + 0.01 * (seed % 4)
        >>> noisy["auc"] = 0.75 + 0.01 * (seed % 3)
        >>> rows = jn.compare(pd.concat([plain, noisy]), metric="auc")
        >>> print(rows)  # doctest: +ELLIPSIS
        placement strength  n ... median_difference worst_pair p_holm  verdict
             none        0 10 ...                 -          -      - baseline
            input      0.1 10 ...            0.0500     0.0200 0.0020   better
        auc: higher is better; more columns: sd, median, iqm, win_*, p, e_value, ...
        holds if the number of seeds was fixed beforehand
        >>> rows[["placement", "n", "win_probability", "difference", "low", "high"]]
        placement  n win_probability difference    low   high
             none 10               -          -      -      -
            input 10          1.0000     0.0460 0.0347 0.0573
        >>> rows[["placement", "p", "e_value"]]
        placement      p e_value
             none      -       -
            input 0.0020 72.5908
    """
    given = (baseline, pair_by, rope, overlap, key, lower_is_better, outer, stop)
    options = dict(zip(Options.__annotations__, given, strict=True))
    metrics = list(metric) if isinstance(metric, list | tuple) else [metric]
    if not metrics:
        raise ValueError("metric must name at least one column, got none.")
    source = opened(result_or_table)
    family = [evidence_of(source, each, **options) for each in metrics]
    rows, doubts = judged(*family), [doubt for each in family for doubt in each.doubts]
    for told in dict.fromkeys(filter(None, [rows.caution, *doubts])):
        warn(f"compare: {told}.")
    return rows


def shows_options(function: Function) -> Function:
    """Put the arguments of `compare` into a signature, in place of ``**options``."""
    signature, known = inspect.signature(function), inspect.signature(compare)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    theirs = [known.parameters[name] for name in Options.__annotations__]
    vars(function)["__signature__"] = signature.replace(parameters=own + theirs)
    return function


def comparison_of(
    function: str, source: Any, metric: str | None, options: Options
) -> Comparison:
    """The comparison that is given, or one that is made and warned of by its doubts."""
    check_options(function, options)
    if isinstance(source, Comparison) and metric in source.metrics:
        source = source.of(metric)
    evidence = evidence_of(source, metric, **options)
    if isinstance(source, Comparison) and evidence is source.evidence:
        return source
    for doubt in evidence.doubts:
        warn(f"{function}: {doubt}.")
    return judged(evidence)


def source_of(source: Any) -> Any:
    """What a comparison was made of; of a store its runs; anything else itself."""
    made = isinstance(source, Comparison) and source.evidence
    if isinstance(made, tuple):  # of several metrics
        made = made[0]
    return made.source if made else opened(source)


def judged(*family: Evidence) -> Comparison:
    """The table of `compare` of one metric or several, without its warnings."""
    cells = [(evidence, cell) for evidence in family for cell in evidence.cells]
    rows = Comparison(
        ({"metric": evidence.metric} if len(family) > 1 else {})
        | cell.name
        | _summary(cell)
        | _difference(cell, evidence, found)
        for (evidence, cell), found in zip(cells, judgements(family), strict=True)
    )
    rows.evidence = family[0] if len(family) == 1 else family
    rows.attrs = family[0].facts()
    return rows


def _summary(cell: Cell) -> dict[str, Any]:
    """The cell's own scores, a value a unit."""
    scores = cell.unit_scores
    n = len(scores)
    return {
        "n": n if cell.is_baseline else len(cell.unit_differences),
        "mean": scores.mean() if n else np.nan,
        "sd": paired.spread(scores),
        "median": np.median(scores) if n else np.nan,
        "iqm": paired.interquartile_mean(scores),
    }


def _difference(cell: Cell, evidence: Evidence, found: Judgement) -> dict[str, Any]:
    """The cell's differences, and what is said of them."""
    d, pairs = (
        np.empty(0) if cell.is_baseline else values
        for values in (cell.unit_differences, cell.pairs)
    )
    wins = paired.win_interval(evidence.gain * d, overlap=evidence.overlap or 0.0)
    worst = pairs.max if evidence.lower else pairs.min
    return {
        "difference": float(paired.t_interval(d).mean),
        "low": found.low,
        "high": found.high,
        "new_rows_low": found.new_rows_low,
        "new_rows_high": found.new_rows_high,
        "median_difference": np.median(d) if len(d) else np.nan,
        "worst_pair": worst() if len(d) else np.nan,
        **dict(zip(WINS, wins, strict=True)),
        "p": found.p,
        "p_holm": found.p_holm,
        "e_value": found.e_value,
        "lost": cell.lost,
        "diverged": cell.diverged,
        "verdict": found.verdict,
    }


def few_units(n: int | np.integer, facts: dict[str, Any]) -> str:
    """What is to be said of so many units; "" if they are enough for intervals."""
    if n >= FEW_UNITS:
        return ""
    least = fewest_units(facts["overlap"])
    text = (
        f"{n} {'unit is' if n == 1 else 'units are'} few: below {FEW_UNITS} intervals "
        f"are a guide, and below {least} there is no verdict"
    )
    if facts["unit"] in ("split", OUTER) and facts["overlap"] != 0:
        text += "; repeats= of jn.data.folds makes more"
    return text


def skewed(rows: Comparison) -> str:
    """Which comparisons are too skewed for their units; "" if none is."""
    names = []
    for title, cell in zip(cell_titles(rows), rows.cells, strict=True):
        d = cell.unit_differences
        needed = SKEW * paired.skewness(d) ** 2
        if not cell.is_baseline and SKEW_SEEN <= len(d) < needed:
            names.append(f"{title} ({math.ceil(needed)})")
    if not names:
        return ""
    several = f"{', '.join(names[:3])}{', ...' * (len(names) > 3)}"
    return (
        "differences are so skewed that p and interval hold only from more units on: "
        f"{several}; look at the median and the worst pair"
    )


def out_of_reach(rows: pd.DataFrame) -> str:
    """Whether the comparisons of a table are too many for their units; "" if not.

    Fewer than 6 units have no verdict anyway, and the p of overlapping splits has no
    least value.
    """
    compared, facts = rows[rows["verdict"] != "baseline"], rows.attrs
    m, n = int(compared["p"].notna().sum()), compared["n"].max()
    enough = least_units(max(m, 1))
    if facts["overlap"] or not LEAST_UNITS <= n < enough:
        return ""
    return (
        f"with {m} comparisons of {n} {facts['unit']}s no verdict of better or worse "
        f"is possible, however large the difference: it takes {enough}"
    )


def least_units(comparisons: int, alpha: float = ALPHA) -> int:
    """The fewest units of which any verdict of better or worse can come.

    The sign-flip p of n units is at least ``2 / 2**n``, and Holm's procedure multiplies
    the smallest of it by the number of comparisons.
    """
    units = LEAST_UNITS
    while 2 / 2**units >= alpha / comparisons:
        units += 1
    return units
