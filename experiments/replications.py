"""Are published results on noise in training reproduced by ours?

    python experiments/replications.py all

rebuilds what others have published, as far as their texts tell how, with paired seeds:
sparse truth from noise on labels, flat minima by anticorrelated noise, mixup on Iris,
noise against its rivals on an XOR, two kinds of dropout, noise on embeddings, and the
levels of MNIST-1D. The claims of replications.toml get verdicts, which go into
replications.md in ``--out``. What is done is kept there, and not done again.
"""

import argparse
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import _options as o
import pandas as pd
from _claims.page import TALLY
from _claims.rules import Claim, Measure, judge, measure, range_of
from _files import (
    FAILED,
    Files,
    insert_into,
    markdown,
    read_summary,
    try_replacing,
    versions,
)
from _replications.runs import Runs

import jaxnoise as jn

NAME = "replications"  # of its place in a README
PLAN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
RESULTS: Mapping[str, Any] = PLAN["result"]
FROZEN = "d3b2a53 of 28 November 2026"
HEADING = [
    "source",
    "claim",
    "what the runs show, 95 % intervals",
    "n",
    "verdict",
    "seconds",
]
SETUPS = ["result", "from the source", "ours", "what else was found"]
SCORES = "scores.csv"
Done = tuple[pd.DataFrame, Mapping[str, Any]]  # scores, and the summary


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked."""
    parser = o.Parser("replications.py", __doc__)
    told = f"{', '.join(RESULTS)}, or all of them"
    parser.add_argument(
        "name", choices=[*RESULTS, "all"], metavar="NAME", help=f"the result: {told}"
    )
    parser.option("--out", Path, Path("results/replications"), "where files go")
    parser.switch("--fresh", "train all runs again; stores are renamed, never deleted")
    parser.switch("--quick", "toy size")
    return o.options_of_page(parser, argv, NAME)


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is not there, judge, and write the page; the exit code."""
    options = parse(argv)
    jn.use_all_cores()
    names = list(RESULTS) if options.name == "all" else [options.name]
    done = {name: replicated(name, options) for name in names}
    claims = judge([c for name in names for c in claims_of(name, done[name][0])])
    text = page(claims, {name: summary for name, (_, summary) in done.items()})
    print(text, end="")
    failed = try_replacing(options.out / f"{NAME}.md", text)
    failed += insert_into(options.into, text, NAME)
    return FAILED if failed else 0


def replicated(name: str, options: argparse.Namespace) -> Done:
    """What is in the folder of a result, or what its runs show."""
    plan = dict(RESULTS[name]["plan"])
    toy = plan.pop("quick")
    plan |= toy if options.quick else {}
    out = options.out / name
    out.mkdir(exist_ok=True)
    with suppress(OSError, ValueError, KeyError):
        summary = read_summary(out)
        if summary["plan"] == plan and not options.fresh:
            return pd.read_csv(out / SCORES), summary
    runs = Runs(argparse.Namespace(out=out, fresh=options.fresh))
    scores = import_module(f"_replications.{name}").scores(plan, runs)
    with Files(out) as files:
        files.write(SCORES, partial(scores.to_csv, index=False), needed=True)
        files.summary |= {"plan": plan, "versions": versions()}
        files.summary |= {"seconds": runs.seconds, "facts": runs.facts}
    return scores, files.summary


def claims_of(name: str, scores: pd.DataFrame) -> list[Claim]:
    """Every claim of a result, with its numbers."""
    result = RESULTS[name]
    return [
        Claim(
            each["says"],
            result["source"],
            name,
            [number(scores, **asked) for asked in each["numbers"]],
        )
        for each in result["claim"]
    ]


def number(
    scores: pd.DataFrame,
    of: str,
    minus: str | None = None,
    claimed: str | None = None,
    form: str | None = None,
) -> Measure:
    """A score, or how far it is above another one."""
    values, what = scores[of], of
    if minus is not None:
        values, what = values - scores[minus], f"{of} minus {minus}"
    form = form or (".3f" if minus is None else "+.3f")
    return measure(what, values, range_of(claimed), form)


def page(claims: Sequence[Claim], done: Mapping[str, Mapping[str, Any]]) -> str:
    """What is said of the tables, and the tables, in Markdown; the long one folded."""
    short, long = [], []
    for name, summary in done.items():
        own = [claim for claim in claims if claim.on == name]
        seconds = [f"{summary['seconds']:,.0f}", *[""] * (len(own) - 1)]
        for claim, each in zip(own, seconds, strict=True):
            what = [claim.by, claim.says, claim.shown(), f"{claim.units()}"]
            short.append([*what, f"**{claim.verdict}**", each])
        result = RESULTS[name]
        long.append([name, result["theirs"], result["ours"], facts(summary["facts"])])
    counts = Counter(claim.verdict for claim in claims).most_common()
    tally = ", ".join(f"{n} {TALLY[verdict]}" for verdict, n in counts)
    return f"""\
{PLAN["notes"]} Set-ups and claims frozen in commit {FROZEN}. Of {len(claims)} claims \
{tally}.

{markdown(HEADING, short)}
{PLAN["absent"]}

<details>
<summary>The set-ups: what the sources tell, and what is ours</summary>

{markdown(SETUPS, long)}
</details>
"""


def facts(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What was chosen, and the like, in words."""
    told = {
        what: ", ".join(
            f"{name} {value if isinstance(value, str) else f'{value:g}'}"
            for name, value in each.items()
        )
        for what, each in found.items()
    }
    return "; ".join(f"{what}: {values}" for what, values in told.items())


if __name__ == "__main__":
    o.run(main)
