"""claims.md: the claims with their verdicts, noise and its rivals, and the rules.

`page` writes it; `insert` puts its tables of claims into a README, between two marks.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
from _files import compare
from _files import insert as inserted

import jaxnoise as jn
from _claims.plan import Size, run_count
from _claims.rules import DRAWS, FAILS, HOLDS, OPEN, ROPE, RULE, THIS, Claim, number
from _claims.scores import ACCURACY, EARLY, LOSS
from jaxnoise.evidence.format import said

HEADING = ("claim", "by", "on", "n", "what the runs show, 95 % intervals", "verdict")
SIGNS = {HOLDS: "✔ holds", FAILS: "✘ does not", OPEN: "? undecided"}
TALLY = {HOLDS: "hold", FAILS: "do not hold", OPEN: "are undecided"}
NAME = "claims"  # of its place in a README
SUMMARY = "All verdicts, with intervals; readers' claims; noise against its rivals"
LIMITS = """\
- One task, two circles in the plane, one network of 500 units and one optimiser. What
  holds here need not hold for images, text or deeper networks.
- All draws are scored on the same 20,000 points. These move the mean accuracies, all
  alike, with a standard error of 0.003; differences hardly move.
- 200 validation rows choose strengths and the epoch of early stopping: more than the 30
  that are trained on, so that choosing is easier than it would be in practice.
- A grid of six strengths has gaps: a method's best may lie between two of them.
- What strengths readers gave to dropout and max-norm is not known.
"""


def claims_table(claims: Sequence[Claim], verdicts: Sequence[str]) -> str:
    """A row a claim, in Markdown."""
    rows = [
        (c.says, c.by, c.on, f"{c.units():,}", c.shown(), f"**{verdict}**")
        for c, verdict in zip(claims, verdicts, strict=True)
    ]
    return _markdown(HEADING, rows)


def short_table(claims: Sequence[Claim], verdicts: Sequence[str]) -> str:
    """What the tutorial says, a row a claim, with the verdicts alone."""
    found: dict[str, dict[str, str]] = {}
    for claim, verdict in zip(claims, verdicts, strict=True):
        if claim.by == "tutorial":
            found.setdefault(claim.says, {})[claim.on] = SIGNS[verdict]
    rows = [
        (says, *(signs.get(on, "–") for on in (THIS, DRAWS)))
        for says, signs in found.items()
    ]
    return _markdown(("the tutorial says", "on its points", f"on {DRAWS}"), rows)


def ranges_table(claims: Sequence[Claim]) -> str:
    """What each claim is read as."""
    rows = [
        (claim.says, claim.on, each.what, f"{each.claimed}")
        for claim in claims
        for each in claim.deciding()
    ]
    return _markdown(("claim", "on", "number", "claimed"), rows)


def methods_table(methods: pd.DataFrame) -> str:
    """Noise and its rivals: accuracy and loss of what validation rows chose."""
    both = {
        ACCURACY: compare(methods, metric=ACCURACY, rope=ROPE),
        LOSS: compare(methods, metric=LOSS),
    }
    rows = []
    for i, name in enumerate(both[ACCURACY]["placement"]):
        chosen = methods[methods["placement"] == name]
        cells = [name]
        for metric, table in both.items():
            row = table.iloc[i]
            digits = 4 if metric == ACCURACY else 3
            form = f"+.{digits}f"
            strengths = chosen[metric.replace("population", "chosen")]
            cells += [_epoch(strengths) if name == EARLY else _often(strengths)]
            cells += [number(row["mean"], f".{digits}f")]
            low, high = (number(row[end], form) for end in ("low", "high"))
            difference = f"{number(row['difference'], form)} [{low}, {high}]"
            cells += [difference if name != "none" else "", said(row["verdict"])]
        rows.append(cells)
    half = "chosen", "{}", "difference to none", "verdict"
    heading = [h.format(name) for name in ("accuracy", "loss") for h in half]
    return _markdown(("method", *heading), rows)


def summary(
    result: jn.SweepResult, size: Size, claims: Sequence[Claim], verdicts: Sequence[str]
) -> str:
    """How many runs there are, and how many claims hold."""
    planned, _ = run_count(size)
    how = (
        f"{len(result.runs):,} runs: {size.seeds:,} seeds on the tutorial's points, "
        f"{size.draws:,} draws of the data with a seed each, {size.epochs:,} epochs."
    )
    if not result.complete:
        how = f"**Interrupted** after {len(result.runs):,} of {planned:,} runs. " + how
    counts = Counter(verdicts)
    tally = ", ".join(f"{n} {TALLY[verdict]}" for verdict, n in counts.most_common())
    said = len({claim.says for claim in claims})
    return f"""\
{how} The population is {size.population:,} fresh points. Of {len(claims)} verdicts on
{said} claims {tally}."""


def page(
    result: jn.SweepResult,
    size: Size,
    claims: Sequence[Claim],
    verdicts: Sequence[str],
    methods: pd.DataFrame,
) -> str:
    """The whole of claims.md."""
    rivals = "Too few whole draws to compare."
    if methods["split"].nunique() > 1:
        rivals = methods_table(methods)
    return f"""\
# The tutorial's claims, settled

{summary(result, size, claims, verdicts)}

{claims_table(claims, verdicts)}
## Noise and its rivals

Every method on every draw, at the strength that the draw's own {size.validation}
validation rows choose: by accuracy for the accuracy, by loss for the loss. Doing
without is one of the choices; the most frequent one stands in the table. Verdicts are
those of `jn.compare`; accuracies are equivalent within ±{ROPE:g}. Early stopping takes
the epoch of the lowest validation loss.

{rivals}
## How claims are decided

{RULE}

{ranges_table(claims)}
## What this cannot say

{LIMITS}"""


def insert(
    readme: str,
    result: jn.SweepResult,
    size: Size,
    claims: Sequence[Claim],
    verdicts: Sequence[str],
) -> str:
    """The README with the tables of claims between its marks, the long one folded."""
    tables = f"""\
{summary(result, size, claims, verdicts)}

{short_table(claims, verdicts)}
<details>
<summary>{SUMMARY}</summary>

{claims_table(claims, verdicts)}
</details>"""
    return inserted(readme, tables, NAME)


def _epoch(epochs: pd.Series) -> str:
    return f"epoch {epochs.median():.0f} (median)"


def _often(strengths: pd.Series) -> str:
    """The most frequent choice, and its share."""
    named = [_strength(each) for each in strengths]
    if not named:
        return "-"
    (name, times), *_ = Counter(named).most_common(1)
    return f"{name} ({times / len(named):.0%})"


def _strength(value: Any) -> str:
    if isinstance(value, dict):
        return " + ".join(f"{part:g}" for part in value.values())
    return f"{value:g}"


def _markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_line(heading), _line(["---"] * len(heading))]
    return "\n".join([*lines, *map(_line, rows)]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
