"""Paired statistics of a sweep, or of any score table.

`compare` says for each placement and strength how its runs differ from the baseline's,
pair by pair, how sure that is, and what may be said of it. What it returns, a
`Comparison`, travels on to pictures and pages.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Array

from jaxnoise.checks import warn
from jaxnoise.evidence import paired
from jaxnoise.evidence.format import FEW_UNITS, cell_titles, table_text, which_is_better
from jaxnoise.evidence.table import OUTER, Source
from jaxnoise.evidence.units import (
    PAIR_BY,
    Cell,
    Evidence,
    Options,
    check_options,
    evidence_of,
    key_of,
)
from jaxnoise.results import cell_columns

LEAST_UNITS = 6  # below, no sign-flip p is under 0.05
MOST_LOST = 0.05  # of the pairs
ALPHA = 0.05
RESAMPLING, FLIPPING = 0, 1  # each use of a key has draws of its own
INTERVALS = ("difference", "low", "high", "boot_low", "boot_high")
WINS = ("win_probability", "win_low", "win_high")
DETAILS = ("sd", "median", "iqm", "boot_low", "boot_high", *WINS, "p", "diverged")

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
    def cells(self) -> list[Cell]:
        """The units of each row."""
        found = {cell.key: cell for cell in self.evidence.cells}
        rows = self[cell_columns(self)].itertuples(index=False)
        return [found[key_of(row)] for row in rows]

    @property
    def caution(self) -> str:
        """What is to be said of the units, few or too few; "" if nothing is."""
        compared, facts = self[self["verdict"] != "baseline"], self.attrs
        few = few_units(compared["n"].min(), facts) if len(compared) else ""
        return "; ".join(filter(None, [few, out_of_reach(self)]))

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
        if hidden and (self["diverged"] > 0).any():
            hidden -= {"diverged"}
        return [name for name in self if name not in hidden]

    def _last_lines(self) -> list[str]:
        """Which way is better, where the details are, and what the data said."""
        hidden = [name for name in DETAILS if name in {*self} - {*self._main()}]
        if not hidden:
            return []
        names = [re.sub("^(boot|win)_.*", r"\1_*", name) for name in hidden]
        line = f"more columns: {', '.join(dict.fromkeys(names))}"
        facts = self.attrs
        if "lower_is_better" in facts:
            better = which_is_better(facts["lower_is_better"])
            line = f"{facts['metric']}: {better}; {line}"
        taken = self.evidence and self.evidence.taken
        return [line, taken] if taken else [line]

    def _has_index(self) -> bool:
        return not isinstance(self.index, pd.RangeIndex)

    def _sides(self, left: str, right: str) -> list[str]:
        numeric = pd.api.types.is_numeric_dtype
        return [right if numeric(kind) else left for kind in self.dtypes]


def _no_pipe(cell: Any) -> str:
    return str(cell).replace("|", r"\|")  # it would end the cell


def titled_groups(
    runs: pd.DataFrame, source: Any = None
) -> list[tuple[str, tuple[Any, ...], pd.DataFrame]]:
    """Title, name and runs of each placement and strength, in the table's order.

    Of a comparison those of its rows alone.
    """
    groups = runs.groupby(cell_columns(runs), sort=False, dropna=False)
    found = [(title, *g) for title, g in zip(cell_titles(runs), groups, strict=True)]
    if not isinstance(source, Comparison):
        return found
    wanted = {cell.key for cell in source.cells}
    return [group for group in found if key_of(group[1]) in wanted]


def compare(
    result_or_table: Source,
    *,
    metric: str,
    baseline: str = "none",
    pair_by: str | Sequence[str] = PAIR_BY,
    rope: float | None = None,
    overlap: float | None = None,
    key: Array | None = None,
    lower_is_better: bool | None = None,
    outer: int | None = None,
) -> Comparison:
    """Compare every placement and strength with the baseline, pair by pair.

    A pair is two runs of one seed and split, and d its difference, score minus the
    baseline's score. Pairs are averaged over their *unit*, the split where there are
    two or more, else the seed: seeds of one split share its data and are not
    independent. Of the n units, the interval is the t-interval of the mean, ``mean(d) ±
    t * sd(d) * sqrt(1 / n + overlap)``, with t the 97.5 % point of Student's t at n - 1
    degrees of freedom.

    Args:
        result_or_table: a `SweepResult`, or a tidy table with the columns placement,
            strength, seed, the metric, and split if there are several; or a
            `Comparison`, of whose runs another metric is compared. Strengths that
            differ by rounding, as in float32, are one.
        metric: the column that is compared, such as ``"population_accuracy"``.
        baseline: the placement that others are compared with.
        pair_by: the columns that tell which two runs are a pair.
        rope: the half width of the region of practical equivalence, in units of the
            metric: differences smaller than that do not matter.
        overlap: test rows over train rows of resampled splits, 1 / (k - 1) for k folds,
            which share train rows. The interval is Nadeau and Bengio's corrected one
            then, p its test, and the other intervals widen alike. 0: the splits are
            independent. None: as the data of a sweep say, such as `jaxnoise.data.folds`
            and `draws`; where nothing is known, independent, with a warning.
        key: a typed key for the bootstrap and for sign flips beyond 20 units; None is
            ``jax.random.key(0)``.
        lower_is_better: whether a negative difference is the better one; None tells by
            the metric's name: losses, errors and the like are better lower, accuracies,
            scores and the like higher; any other is taken so, with a warning.
        outer: the number of outer folds of `jaxnoise.data.nested_folds`, which are the
            units then: inner folds of one share its rows. None: as the data of a sweep
            say, else no split is nested.

    Returns:
        A `Comparison`: a table, a row per placement and strength, in their order:

        * n: the units, counting pairs of which both runs are finite; of the baseline
          its own. All intervals and tests use them.
        * mean, sd, median and iqm (mean of the middle half) of the metric over units.
        * difference to the baseline with its 95 % t-interval low to high, and a BCa
          bootstrap interval boot_low to boot_high.
        * win_probability: the share of units in which it is better than the baseline,
          ties half, with its Wilson interval win_low to win_high.
        * p of the sign-flip test (exact up to 20 units, else 100,000 draws), and p_holm
          adjusted for all comparisons of the table by Holm's procedure.
        * diverged: runs that are not finite (or beyond 1e300), left out of all else.
        * verdict, the first that holds: ``"none"`` with fewer than 6 units or more than
          5 % of the pairs lost to divergence; ``"equivalent"`` if the interval lies
          inside ±rope; ``"better"`` or ``"worse"`` if p_holm < 0.05 and the interval
          excludes 0; ``"no evidence"``.

        The baseline's own verdict is ``"baseline"``, its differences NaN, as is the
        interval of a single unit. If all differences are the same d, the intervals are
        [d, d] and p is 1. The table prints its main columns, which way is better, and
        what it took from the data; ``to_markdown()`` shows all columns, and ``attrs``
        names metric, baseline and unit.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the metric, a column or the baseline is not there, the baseline
            has several strengths, a run occurs twice, a placement shares no pair with
            the baseline, or ``rope`` or ``overlap`` is out of range.

    Warns:
        UserWarning: if a comparison has fewer than 10 units, or if the comparisons are
            too many for any of them to be better or worse: the sign-flip p of n units
            is at least 2 / 2**n, and Holm's procedure multiplies it. If the metric's
            name does not tell which way is better, or nothing is known of several
            splits.

    Reference: Student, "The probable error of a mean", Biometrika 6 (1908); for the
    corrected interval Nadeau and Bengio, Machine Learning 52 (2003).

    Example:
        >>> import numpy as np, pandas as pd, jaxnoise as jn
        >>> seed = np.arange(10)
        >>> plain = pd.DataFrame({"placement": "none", "strength": 0.0, "seed": seed})
        >>> noisy = pd.DataFrame({"placement": "input", "strength": 0.1, "seed": seed})
        >>> plain["auc"] = 0.7 + 0.01 * (seed % 4)
        >>> noisy["auc"] = 0.75 + 0.01 * (seed % 3)
        >>> rows = jn.compare(pd.concat([plain, noisy]), metric="auc")
        >>> print(rows)
        placement strength  n   mean difference    low   high p_holm  verdict
             none        0 10 0.7130          -      -      -      - baseline
            input      0.1 10 0.7590     0.0460 0.0347 0.0573 0.0020   better
        auc: higher is better; more columns: sd, median, iqm, boot_*, win_*, p, diverged
        >>> rows[["placement", "n", "win_probability", "win_low", "win_high"]]
        placement  n win_probability win_low win_high
             none 10               -       -        -
            input 10          1.0000  0.7225   1.0000
    """
    given = (baseline, pair_by, rope, overlap, key, lower_is_better, outer)
    options = dict(zip(Options.__annotations__, given, strict=True))
    rows = judged(evidence_of(result_or_table, metric, **options))
    for told in filter(None, [rows.caution, *rows.evidence.doubts]):
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
    evidence = evidence_of(source, metric, **options)
    if isinstance(source, Comparison) and evidence is source.evidence:
        return source
    for doubt in evidence.doubts:
        warn(f"{function}: {doubt}.")
    return judged(evidence)


def source_of(source: Any) -> Any:
    """What a comparison was made of; of anything else itself."""
    made = isinstance(source, Comparison) and source.evidence
    return made.source if made else source


def judged(evidence: Evidence) -> Comparison:
    """The table of `compare`, without its warnings."""
    rows = Comparison(
        cell.name
        | _summary(cell)
        | _difference(cell, evidence)
        | {"p": p, "p_holm": p_holm}
        | {"diverged": cell.diverged, "verdict": said}
        for cell, (p, p_holm, said) in zip(
            evidence.cells, judgements(evidence), strict=True
        )
    )
    rows.evidence, rows.attrs = evidence, evidence.facts()
    return rows


def judgements(evidence: Evidence) -> list[tuple[float, float, str]]:
    """p, Holm's p and the verdict of every cell, adjusted for all of them together."""
    cells, rope = evidence.cells, evidence.options.get("rope")
    options: Any = {"rope": rope, "lower_is_better": evidence.lower}
    tests = [tested(cell.unit_differences, evidence, cell.rounding) for cell in cells]
    p = [np.nan if c.is_baseline else p for c, (_, p) in zip(cells, tests, strict=True)]
    found = []
    for cell, (t, _), own, adjusted in zip(
        cells, tests, p, paired.holm(p), strict=True
    ):
        ends, n = (float(t.low), float(t.high)), len(cell.unit_differences)
        said = verdict(n, cell.lost, ends, float(adjusted), **options)
        said = "baseline" if cell.is_baseline else said
        found.append((own, float(adjusted), said))
    return found


def tested(
    differences: np.ndarray, evidence: Evidence, rounding: float = 0.0
) -> tuple[paired.TInterval, float]:
    """The interval of the mean difference, and the p of its test."""
    t = paired.t_interval(differences, overlap=evidence.overlap or 0.0)
    if evidence.overlap:  # folds overlap: their signs are not free to flip
        return t, float(t.p)
    rng = np.random.default_rng([FLIPPING, *evidence.words])
    return t, paired.sign_flip_p(differences, rng, rounding=rounding)


def verdict(
    units: int,
    lost: float,
    interval: tuple[float, float],
    p_holm: float,
    *,
    rope: float | None = None,
    lower_is_better: bool = False,
) -> str:
    """What may be said of a difference: the first rule that holds.

    ``lost`` is the share of pairs lost to divergence.
    """
    low, high = interval
    if units < LEAST_UNITS or lost > MOST_LOST:
        return "none"
    if rope is not None and -rope < low and high < rope:
        return "equivalent"
    if p_holm < ALPHA and (low > 0 or high < 0):
        return "better" if (high < 0) == lower_is_better else "worse"
    return "no evidence"


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


def _difference(cell: Cell, evidence: Evidence) -> dict[str, float]:
    """The cell's differences with their intervals."""
    if cell.is_baseline:
        return dict.fromkeys((*INTERVALS, *WINS), np.nan)
    d, overlap = cell.unit_differences, evidence.overlap or 0.0
    t = paired.t_interval(d, overlap=overlap)
    # each row starts the same draws again, so that none depends on the others
    rng = np.random.default_rng([RESAMPLING, *evidence.words])
    boot = paired.bootstrap_interval(d, rng, overlap=overlap)
    win = paired.win_interval(-d if evidence.lower else d, overlap=overlap)
    values = map(float, (t.mean, t.low, t.high, *boot, *win))
    return dict(zip((*INTERVALS, *WINS), values, strict=True))


def few_units(n: int | np.integer, facts: dict[str, Any]) -> str:
    """What is to be said of so many units; "" if they are enough for intervals."""
    if n >= FEW_UNITS:
        return ""
    text = (
        f"{n} {'unit is' if n == 1 else 'units are'} few: below {FEW_UNITS} intervals "
        f"are a guide, and below {LEAST_UNITS} there is no verdict"
    )
    if facts["unit"] in ("split", OUTER) and facts["overlap"] != 0:
        text += "; repeats= of jn.data.folds makes more"
    return text


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
