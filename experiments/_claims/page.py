"""claims.md: the claims with their verdicts, noise and its rivals, and the rules.

`page` fills page.md; `in_readme` is what goes into a README, between two marks.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import _rivals
from _files import markdown

import jaxnoise as jn
from _claims.measures import ACCURACY, BRIER, LOSS, Scores
from _claims.plan import PLAN, Size, run_count
from _claims.rules import DRAWS, FAILS, HOLDS, OPEN, SCALE, THIS, Claim
from jaxnoise.evidence.judge import MOST_LOST
from jaxnoise.evidence.paired import ALPHA
from jaxnoise.evidence.units import LEAST_UNITS

FROZEN = "bf4b638 of 27 November 2026"
HEADING = ("claim", "by", "on", "n", "what the runs show, 95 % intervals", "verdict")
SIGNS = {HOLDS: "✔ holds", FAILS: "✘ does not", OPEN: "? undecided"}
TALLY = {HOLDS: "hold", FAILS: "do not hold", OPEN: "are undecided"}
NAME = "claims"  # of its place in a README
SUMMARY = "All verdicts, with intervals; readers' claims; noise against its rivals"


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


def rivals_table(scores: Scores, baseline: str) -> str:
    """Every method against one of them, in accuracy, loss and Brier score."""
    if scores.methods["split"].nunique() < 2:
        return "Too few draws to compare.\n"
    rows = _rivals.against(baseline, scores.methods, [ACCURACY, LOSS, BRIER])
    heading, *lines = _rivals.side_by_side(rows, baseline)
    return markdown(heading, lines)


def summary(size: Size, claims: Sequence[Claim]) -> str:
    """How many runs there are, and how many claims hold."""
    runs, _ = run_count(size)
    counts = Counter(claim.verdict for claim in claims).most_common()
    tally = ", ".join(f"{n} {TALLY[verdict]}" for verdict, n in counts)
    planned = PLAN["draws"]
    draws = f"{size.draws:,} " + f"of {planned:,} planned " * (size.draws != planned)
    return (
        f"{runs:,} runs of {size.epochs:,} epochs: {size.seeds:,} seeds on the "
        f"tutorial's points, {draws}draws of the data. Rules frozen beforehand in "
        f"commit {FROZEN}. Of {len(claims)} verdicts on "
        f"{len({claim.says for claim in claims})} claims {tally}."
    )


def tables(size: Size, claims: Sequence[Claim], scores: Scores) -> dict[str, str]:
    """What both pages show, by name."""
    return {
        "summary": summary(size, claims),
        "claims": claims_table(claims),
        "rivals": rivals_table(scores, "none"),
        "against": rivals_table(scores, _rivals.ANY_NOISE),
    }


def page(size: Size, claims: Sequence[Claim], shown: dict[str, str]) -> str:
    """The whole of claims.md."""
    ranges = [
        (claim.says, claim.on, each.what, f"{each.claimed}")
        for claim in claims
        for each in claim.deciding()
    ]
    first = PLAN["seed"] + size.first
    return (
        Path(__file__)
        .with_suffix(".md")
        .read_text("utf-8")
        .format(
            **shown,
            ranges=markdown(("claim", "on", "number", "claimed"), ranges),
            validation=PLAN["validation"],
            population=f"{PLAN['population']:,}",
            candidates=len(_rivals.TRAINED["dropout"]),
            smoothed=_rivals.SMOOTHED,
            early=_rivals.EARLY,
            by_loss=_rivals.BY_LOSS,
            any_noise=_rivals.ANY_NOISE,
            any_rival=_rivals.ANY_RIVAL,
            seeds=f"{first:,} to {first + size.draws - 1:,}",
            frozen=FROZEN,
            scale=SCALE,
            bayes=jn.data.circles_bayes().accuracy,
            alpha=ALPHA,
            least_units=LEAST_UNITS,
            most_lost=MOST_LOST,
        )
    )


def in_readme(claims: Sequence[Claim], shown: dict[str, str]) -> str:
    """The tables of claims and of rivals, the long ones folded."""
    return f"""\
{shown["summary"]}

{short_table(claims)}
<details>
<summary>{SUMMARY}</summary>

{shown["claims"]}
Each method at what a draw's validation rows choose for it, on fresh points:

{shown["rivals"]}
The same against the best of the noises, chosen alike:

{shown["against"]}
</details>"""
