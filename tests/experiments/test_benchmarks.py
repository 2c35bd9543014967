"""The benchmarks at toy size: all is measured, and absent peers are named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "experiments" / "benchmarks" / "run.py"


def run(*options):
    return subprocess.run(
        [sys.executable, RUN, *map(str, options)], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmarks")
    done = run("circles", "layer", "scaling", "accelerator", "--quick", "--out", out)
    assert done.returncode == 0, done.stderr
    return json.loads((out / "benchmarks.json").read_text()), out


def test_entries(measured):
    report, _ = measured
    found = {(e["benchmark"], e["name"]): e for e in report["entries"]}
    assert all(e["value"] >= 0 for e in found.values())
    for benchmark, name in [
        ("circles hidden", "jaxnoise, 4 seeds"),
        ("circles hidden", "jit(vmap(scan)), 4 seeds"),
        ("layer float32", "jax.random.normal"),
        ("layer float32", "NumPy"),
        ("layer bfloat16", "jaxnoise"),
        ("scaling runs", "128 runs"),
        ("scaling units", "50 units"),
        ("scaling rows", "100 rows"),
        ("scaling devices", "1 devices"),
        ("scaling memory", "8 runs"),
    ]:
        assert found[benchmark, name]["value"] > 0
    assert found["scaling runs", "128 runs"]["peak_bytes"] > 2**20
    assert "compile_seconds" in found["circles hidden", "jaxnoise, 4 seeds"]


def test_contenders_train_the_same_model(measured):
    report, _ = measured
    gaps = [e for e in report["entries"] if e["benchmark"] == "circles check"]
    assert len(gaps) >= 2
    assert all(e["value"] <= 1e-5 for e in gaps)


def test_ratios_are_those_of_the_entries(measured):
    report, _ = measured
    values = {(e["benchmark"], e["name"]): e["value"] for e in report["entries"]}
    [ratio] = [r for r in report["ratios"] if r["name"] == "NumPy"]
    theirs, ours = (values["layer float32", n] for n in ("NumPy", "jaxnoise"))
    assert ratio["ratio"] == pytest.approx(theirs / ours)


def test_what_cannot_run_is_named(measured):
    report, _ = measured
    assert report["absent"]["1000 seeds, hidden noise"] == "no accelerator"


def test_picture(measured):
    assert (measured[1] / "speed.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.bad_input
def test_unknown_benchmark():
    done = run("nonsense")
    assert done.returncode == 2
    assert "benchmark must be one of circles, layer" in done.stderr
    assert "Traceback" not in done.stderr
