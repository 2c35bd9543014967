"""Measure jaxnoise against what people use now, side by side, in one run.

    python -m pip install -e ".[bench]" && python experiments/benchmarks/run.py

runs every benchmark that this machine can run, prints times and ratios, and writes
``benchmarks.json`` and ``speed.png`` to ``--out``. Peers that are not installed, or
that die, are left out and named. Times are medians of repeats in which all contenders
take turns; compiling and warm-up are outside. The whole takes about half an hour.
"""

import argparse
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import _options as o  # noqa: E402
import benchmarks as b  # noqa: E402
from _files import as_json, try_replacing, versions  # noqa: E402
from benchmark_report import Report, Unlike  # noqa: E402
from keras_benchmark import keras  # noqa: E402
from picture import draw  # noqa: E402
from robustness_benchmark import robustness  # noqa: E402
from sklearn_benchmark import sklearn  # noqa: E402
from worker import CORES  # noqa: E402

ALL = (
    b.circles,
    b.grid,
    b.networks,
    keras,
    b.layer,
    b.conv,
    b.scaling,
    b.store,
    b.command,
)
BENCHMARKS = {
    each.__name__: each for each in (*ALL, sklearn, robustness, b.accelerator)
}
TABLES = tomllib.loads((HERE / "sizes.toml").read_text("utf-8"))


def sizes_of(name: str) -> argparse.Namespace:
    """How much is done, ``full`` or ``quick``."""
    return argparse.Namespace(**TABLES["full"] | TABLES[name])


def options_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked."""
    parser, known = o.Parser("run.py", __doc__), ", ".join(BENCHMARKS)
    told = f"which to run, of {known} (default: all)"
    more = {"nargs": "*", "metavar": "benchmark"}
    parser.option("benchmarks", str, [*BENCHMARKS], told, **more)
    parser.switch("--quick", "toy sizes, for tests")
    parser.option("--out", Path, Path("results/benchmarks"), "where files go")
    options = parser.parse_args(argv)
    for name in options.benchmarks:
        if name not in BENCHMARKS:
            parser.error(f"benchmark must be one of {known}, got {name}")
    options.out = o.writable_directory(parser, options.out)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; the exit code."""
    options, report = options_of(argv), Report(TABLES["goals"])
    sizes = sizes_of("quick" if options.quick else "full")
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name in options.benchmarks:
                BENCHMARKS[name](report, sizes, Path(folder))
                report.close()
        except (Unlike, KeyboardInterrupt) as error:  # what was measured is kept
            report.failed.append(str(error) or "interrupted")
        finally:
            report.close()
    failed = "\n".join(report.failed)
    found = {
        "versions": versions(),
        "cores": CORES,
        "entries": report.entries,
        "ratios": report.ratios,
        "absent": report.absent,
        "failed": failed or None,
    }
    lost = try_replacing(options.out / "benchmarks.json", as_json(found))
    lost += draw(report, options.out / "speed.png")
    for r in report.ratios:
        if r["ratio"] < r["at_least"]:
            print(f"not reached: {r['benchmark']}, {r['name']}: {r['ratio']:.2f} x")
    print(f"files in {options.out}")
    if failed:
        print(failed, file=sys.stderr)
    return 1 if failed or lost else 0


if __name__ == "__main__":
    o.run(main)
