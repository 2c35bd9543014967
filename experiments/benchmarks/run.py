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
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import _options as o  # noqa: E402
from _files import as_json, try_replacing, versions  # noqa: E402
from benchmark_report import Report  # noqa: E402
from circles_benchmark import SITES, Unlike, circles  # noqa: E402
from networks_benchmark import conv, networks  # noqa: E402
from other_benchmarks import accelerator, command, layer, scaling  # noqa: E402
from picture import draw  # noqa: E402
from worker import CORES  # noqa: E402

BENCHMARKS = {
    "circles": circles,
    "networks": networks,
    "layer": layer,
    "conv": conv,
    "scaling": scaling,
    "command": command,
    "accelerator": accelerator,
}
FULL = {
    "sites": SITES,
    "repeats": 5,
    "seeds": (32, 256, 2048),
    "run_epochs": 32 * 2000,  # epochs times runs of a repeat
    "least_epochs": 200,
    "peer_epochs": 200,
    "batches": (8, 32, 128),
    "elements": 2**20,
    "calls": 20,
    "networks": {"digits CNN": 30, "vowels LSTM": 50, "MLP 512-512": 4},  # epochs
    "image_steps": {28: 40, 8: 400},  # by the images' width
    "scaling_epochs": 200,
    "scaling_repeats": 3,
    "runs": (32, 64, 256, 1024, 8192),
    "units": (50, 150, 500, 1500, 5000),
    "rows": (30, 300, 3000, 30_000, 100_000),
    "row_epochs": 30_000,  # epochs times rows
    "memory_runs": (100, 10_000),
    "command_epochs": 4000,
    "command_repeats": 3,
    "accelerator": "required",
    "accelerator_seconds": 420,  # from then on nothing more is started
    "accelerator_repeats": 2,
    "accelerator_elements": 2**26,
    "accelerator_seeds": (1000, 10_000),
    "accelerator_epochs": (4000, 400),  # of whole runs, and by block size
    "accelerator_blocks": (32, 128, 256, 512, 1024),
    "accelerator_digits": (256, 10),  # seeds and epochs
}
QUICK = FULL | {
    "sites": SITES[:1],
    "repeats": 2,
    "seeds": (4, 8),
    "run_epochs": 400,
    "least_epochs": 5,
    "peer_epochs": 5,
    "batches": (2,),
    "elements": 2**12,
    "calls": 2,
    "networks": {"digits CNN": 1, "vowels LSTM": 1, "MLP 512-512": 1},
    "image_steps": {8: 2},
    "scaling_epochs": 20,
    "scaling_repeats": 1,
    "runs": (64, 128),
    "units": (50,),
    "rows": (30, 100),
    "row_epochs": 300,
    "memory_runs": (4, 8),
    "command_epochs": 20,
    "command_repeats": 1,
    "accelerator": "if there is one",
    "accelerator_repeats": 1,
    "accelerator_elements": 2**12,
    "accelerator_seeds": (4, 8),
    "accelerator_epochs": (5, 2),
    "accelerator_blocks": (2,),
    "accelerator_digits": (2, 1),
}


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; the exit code."""
    parser = o.Parser("run.py", __doc__)
    parser.add_argument(
        "benchmarks",
        nargs="*",
        metavar="benchmark",
        help=f"which to run, of {', '.join(BENCHMARKS)} (default: all)",
    )
    parser.add_argument("--quick", action="store_true", help="toy sizes, for tests")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args(argv)
    for name in options.benchmarks:
        if name not in BENCHMARKS:
            parser.error(
                f"benchmark must be one of {', '.join(BENCHMARKS)}, got {name}"
            )
    out = o.writable_directory(parser, options.out)
    report = Report()
    sizes = argparse.Namespace(**(QUICK if options.quick else FULL))
    failed = None
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name in options.benchmarks or BENCHMARKS:
                BENCHMARKS[name](report, sizes, Path(folder))
                report.close()
        except (Unlike, KeyboardInterrupt) as error:  # what was measured is kept
            failed = str(error) or "interrupted"
        finally:
            report.close()
    failed = "\n".join(filter(None, [failed, *report.failed])) or None
    found = {
        "versions": versions(),
        "cores": CORES,
        "entries": report.entries,
        "ratios": report.ratios,
        "absent": report.absent,
        "failed": failed,
    }
    lost = try_replacing(out / "benchmarks.json", as_json(found))
    lost += draw(report, out / "speed.png")
    missed = [r for r in report.ratios if r["ratio"] < r["at_least"]]
    for r in missed:
        print(f"not reached: {r['benchmark']}, {r['name']}: {r['ratio']:.2f} x")
    print(f"files in {out}")
    if failed:
        print(failed, file=sys.stderr)
    return 1 if failed or lost else 0


if __name__ == "__main__":
    o.run(main)
