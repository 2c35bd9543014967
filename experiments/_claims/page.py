"""claims.md: the claims with their verdicts, noise and its rivals, and the rules.

`page` fills page.md; `in_readme` is what goes into a README, between two marks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from _files import markdown

import jaxnoise as jn
from _claims.plan import Size, run_count
from _claims.rules import DRAWS, FAILS, HOLDS, OPEN, ROPE, THIS, Claim, number
from _claims.scores import ACCURACY, EARLY, LOSS
from jaxnoise.evidence.format import said
from jaxnoise.evidence.judge import LEAST_UNITS, MOST_LOST
from jaxnoise.evidence.paired import ALPHA

HEADING = ("claim", "by", "on", "n", "what the runs show, 95 % intervals", "verdict")
SIGNS = {HOLDS: "✔ holds", FAILS: "✘ does not", OPEN: "? undecided"}
TALLY = {HOLDS: "hold", FAILS: "do not hold", OPEN: "are undecided"}
NAME = "claims"  # of its place in a README
SUMMARY = "All verdicts, with intervals; readers' claims; noise against its rivals"
DECIMALS = {ACCURACY: 4, LOSS: 3}
Comparisons = Mapping[str, pd.DataFrame]  # by metric


def claims_table(claims: Sequence[Claim]) -> str:
    """A row a claim, in Markdown."""
    rows = [
        (c.says, c.by, c.on, f"{c.units():,}", c.shown(), f"**{c.verdict}**")
        for c in claims
    ]
    return markdown(HEADING, rows)


def short_table(claims: Sequence[Claim]) -> str:
    """What the tutorial says, a row a claim, with the verdicts alone."""
    found: dict[str, dict[str, str]] = {}
    for claim in claims:
        if claim.by == "tutorial":
            found.setdefault(claim.says, {})[claim.on] = SIGNS[claim.verdict]
    rows = [
        [says, *(on.get(w, "–") for w in (THIS, DRAWS))] for says, on in found.items()
    ]
    return markdown(("the tutorial says", "on its points", f"on {DRAWS}"), rows)


def methods_table(methods: pd.DataFrame, compared: Comparisons) -> str:
    """Noise and its rivals: accuracy and loss of what validation rows chose."""
    if not compared:
        return "Too few whole draws to compare.\n"
    rows = [
        [name, *(x for m, table in compared.items() for x in _cells(chosen, table, m))]
        for name, chosen in methods.groupby("placement", sort=False)
    ]
    heading = ["method"]
    for name in ("accuracy", "loss"):
        heading += ["chosen", name, "difference to none", "verdict"]
    return markdown(heading, rows)


def _cells(chosen: pd.DataFrame, table: pd.DataFrame, metric: str) -> list[str]:
    """Of one method: what was chosen, the metric, difference to none, verdict."""
    name, digits = chosen["placement"].iloc[0], DECIMALS[metric]
    (row,) = table[table["placement"] == name].to_dict("records")
    strengths = chosen[metric.replace("population", "chosen")]
    choose = _median if name == EARLY else _often
    ends = (number(row[end], f"+.{digits}f") for end in ("difference", "low", "high"))
    return [
        choose(strengths),
        number(row["mean"], f".{digits}f"),
        "{} [{}, {}]".format(*ends) if name != "none" else "",
        said(row["verdict"]),
    ]


def _median(epochs: pd.Series) -> str:
    return f"epoch {epochs.median():.0f} (median)"


def _often(strengths: pd.Series) -> str:
    """The most frequent choice, and its share."""
    parts = [s.values() if isinstance(s, dict) else [s] for s in strengths]
    names = Counter(" + ".join(f"{part:g}" for part in each) for each in parts)
    if not names:
        return "-"
    ((name, times),) = names.most_common(1)
    return f"{name} ({times / len(strengths):.0%})"


def summary(result: jn.SweepResult, size: Size, claims: Sequence[Claim]) -> str:
    """How many runs there are, and how many claims hold."""
    planned, _ = run_count(size)
    how = (
        f"{len(result.runs):,} runs: {size.seeds:,} seeds on the tutorial's points, "
        f"{size.draws:,} draws of the data with a seed each, {size.epochs:,} epochs."
    )
    if not result.complete:
        how = f"**Interrupted** after {len(result.runs):,} of {planned:,} runs. " + how
    counts = Counter(claim.verdict for claim in claims).most_common()
    tally = ", ".join(f"{n} {TALLY[verdict]}" for verdict, n in counts)
    return (
        f"{how} The population is {size.population:,} fresh points. Of {len(claims)} "
        f"verdicts on\n{len({claim.says for claim in claims})} claims {tally}."
    )


def page(
    result: jn.SweepResult,
    size: Size,
    claims: Sequence[Claim],
    methods: pd.DataFrame,
    compared: Comparisons,
) -> str:
    """The whole of claims.md; the methods are noise and its rivals, compared."""
    ranges = [
        (claim.says, claim.on, each.what, f"{each.claimed}")
        for claim in claims
        for each in claim.deciding()
    ]
    template = Path(__file__).with_suffix(".md").read_text("utf-8")
    return template.format(
        summary=summary(result, size, claims),
        claims=claims_table(claims),
        rivals=methods_table(methods, compared),
        ranges=markdown(("claim", "on", "number", "claimed"), ranges),
        validation=size.validation,
        rope=ROPE,
        alpha=ALPHA,
        least_units=LEAST_UNITS,
        most_lost=MOST_LOST,
    )


def in_readme(result: jn.SweepResult, size: Size, claims: Sequence[Claim]) -> str:
    """The tables of claims, the long one folded."""
    return f"""\
{summary(result, size, claims)}

{short_table(claims)}
<details>
<summary>{SUMMARY}</summary>

{claims_table(claims)}
</details>"""
