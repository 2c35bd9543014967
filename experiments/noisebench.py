"""Does noise in training help a network on small real data? Sixty sets, equal terms.

    python experiments/noisebench.py

trains the network of `jn.NoisyMLPClassifier` on 20 paired divisions of every data set
that `jn.data.tables` lists, without noise, with eight kinds of it, and with its rivals,
as noisebench.toml says. The validation rows of a division choose among eight candidates
of each by the metric that judges on its test rows. Every run is kept, so that the same
command goes on after a kill. All scores go into noisebench.parquet in ``--out``, and
what they say into noisebench.md; ``--again`` makes that page anew, and trains nothing.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path

import _options as o
import pandas as pd
from _files import FAILED, try_replacing
from _noisebench.jobs import trained
from _noisebench.page import Page, write
from _noisebench.plan import CHECK, OTHERS, PLAN, TRAINED, TUNED
from _noisebench.scores import as_file, as_small

import jaxnoise as jn
from jaxnoise.training.devices import core_count

NAME = "noisebench"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked."""
    parser = o.Parser(f"{NAME}.py", __doc__)
    names, ways = list(jn.data.tables()["name"]), [*TRAINED, *OTHERS]
    several = {"nargs": "+", "metavar": "NAME"}
    parser.option("--sets", str, names, "data sets", choices=names, **several)
    told = "what is compared with the tuned network"
    parser.option("--methods", str, ways, told, choices=ways, **several)
    told = "labelled rows in all, of which a third choose"
    sizes = PLAN["protocol"]["train_size"]
    rows = o.number(int, "an int from 6 to 3072", lambda n: 6 <= n <= 3072)
    parser.option("--train-size", rows, sizes, told, nargs="+", metavar="N")
    told = "processes, each of which takes whole sets"
    parser.option("--executor", o.count, core_count(), told)
    parser.option("--out", Path, Path(f"results/{NAME}"), "where files go")
    parser.switch("--fresh", "train all again; stores are renamed, never deleted")
    parser.switch("--again", "make the page of the scores in --out, and train nothing")
    parser.switch("--quick", "toy size: two sets and two methods")
    if parser.parse_args(argv).quick:
        toy = {n: PLAN["quick"][n] for n in ("sets", "methods", "train_size")}
        parser.set_defaults(**toy, out=Path(f"results/{NAME}-quick"))
    options = parser.parse_args(argv)
    options.out = o.writable_directory(parser, options.out)
    options.protocol = PLAN["protocol"] | (PLAN["quick"] if options.quick else {})
    decides = json.dumps([options.protocol, TRAINED, OTHERS])
    options.digest = blake2b(decides.encode(), digest_size=3).hexdigest()
    if options.again and not (options.out / f"{NAME}.parquet").exists():
        parser.error(f"argument --again: no scores are in {options.out}")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is not there, compare, and write the page; the exit code."""
    options = parse(argv)
    failed, file = "", options.out / f"{NAME}.parquet"
    parts: list[Path] = []
    for _ in () if options.again else trained(options):
        parts = sorted(options.out.glob(f"*-{options.digest}.parquet"))
        if parts:
            scores = pd.concat(map(pd.read_parquet, parts), ignore_index=True)
            failed = try_replacing(file, partial(as_file, as_small(scores)))
    if not (parts or options.again):
        print("error: no set has that many rows", file=sys.stderr)
        return FAILED
    about = Page(PLAN["noises"], TUNED, CHECK)
    failed += write(pd.read_parquet(file), about, options.out, NAME)
    print(f"files in {options.out}")
    return FAILED if failed else 0


if __name__ == "__main__":
    o.run(main)
