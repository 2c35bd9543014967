"""The benchmarks at toy size: all is measured, and absent peers are named."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

RUN = Path(__file__).parents[2] / "experiments" / "benchmarks" / "run.py"


NUMPY = "NumPy, one process a core"


def run(*options):
    return subprocess.run(
        [sys.executable, RUN, *map(str, options)], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmarks")
    chosen = ("circles", "networks", "layer", "conv", "scaling", "store", "accelerator")
    done = run(*chosen, "--quick", "--out", out)
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
        ("layer float32", NUMPY),
        ("digits CNN", "jaxnoise"),
        ("vowels LSTM", "jaxnoise"),
        ("MLP 512-512", "jaxnoise"),
        ("layer bfloat16", "jaxnoise"),
        ("conv 8x8", "jaxnoise"),
        ("conv 8x8", "nn.Conv in a loop"),
        ("conv 8x8", "nn.Conv, a call a step"),
        ("scaling runs", "128 runs"),
        ("scaling units", "50 units"),
        ("scaling rows", "100 rows"),
        ("scaling devices", "1 devices"),
        ("scaling memory", "8 runs"),
        ("store", "second half after a kill"),
        ("opening", "list of 200 runs"),
        ("accelerator draws", "jaxnoise"),
        ("accelerator circles", "circles, 8 seeds"),
        ("accelerator circles", "circles, 4 seeds, no curves"),
        ("accelerator circles by block size", "circles, blocks of 2"),
        ("accelerator digits CNN", "digits CNN, 2 seeds, 1 epochs, blocks of 2"),
    ]:
        assert found[benchmark, name]["value"] > 0
    assert found["scaling runs", "128 runs"]["peak_bytes"] > 2**20
    assert "compile_seconds" in found["circles hidden", "jaxnoise, 4 seeds"]


def test_contenders_train_the_same_model(measured):
    report, _ = measured
    gaps = [e for e in report["entries"] if e["benchmark"] == "circles check"]
    assert len(gaps) >= 2
    assert all(e["value"] <= 1e-5 for e in gaps)
    gaps = [e for e in report["entries"] if e["benchmark"] == "conv 8x8 check"]
    assert len(gaps) >= 3
    assert all(e["value"] <= 1e-4 for e in gaps)


class Answering:
    """A worker whose repeats give one value."""

    def __init__(self, name, value, **notes):
        self.plan, self.value, self.seconds = SimpleNamespace(name=name), value, []
        self.notes = notes

    def repeat(self):
        self.seconds.append(1.0)
        return {"value": self.value}


def test_a_convolution_that_trains_something_else_ends_the_benchmark(benchmarks):
    reports = benchmarks("benchmark_report")
    report = reports.Report()
    workers = [Answering("ours", [1.0, 2.0]), Answering("theirs", [1.0, 2.0])]
    assert report.same_losses("toy", workers, 1e-4) == workers
    assert [worker.seconds for worker in workers] == [[], []]  # it only warms up
    workers.append(Answering("another", [1.1, 2.0]))
    with pytest.raises(reports.Unlike, match="another trains .*: its loss is off by 0"):
        report.same_losses("toy", workers, 1e-4)


def test_ratios_are_those_of_the_entries(measured):
    report, _ = measured
    values = {(e["benchmark"], e["name"]): e["value"] for e in report["entries"]}
    [ratio] = [r for r in report["ratios"] if r["name"] == "NumPy"]
    theirs, ours = (values["layer float32", n] for n in (NUMPY, "jaxnoise"))
    assert ratio["ratio"] == pytest.approx(theirs / ours)


def test_goals_are_among_the_ratios(measured):
    report, _ = measured
    values = {(e["benchmark"], e["name"]): e["value"] for e in report["entries"]}
    goals = {r["name"]: r for r in report["ratios"]}
    plain = goals["jax.random.normal in jaxnoise"]
    assert plain["at_least"] == 1.5
    theirs = values["circles hidden", "jax.random.normal in jaxnoise, 4 seeds"]
    ours = values["circles hidden", "jaxnoise, 4 seeds"]
    assert plain["ratio"] == pytest.approx(theirs / ours)
    flat = goals["greatest by least cost per run, from 64 runs on"]
    costs = [values["scaling runs", f"{n} runs"] for n in (64, 128)]
    assert flat["value"] == pytest.approx(max(costs) / min(costs))
    assert flat["ratio"] == pytest.approx(1.15 / flat["value"])


def test_compilation_is_told_apart(measured):
    report, _ = measured
    told = {(e["benchmark"], e["name"]): e for e in report["entries"]}
    for benchmark, name in [
        ("circles hidden", "jit(vmap(scan)), 4 seeds"),
        ("layer float32", "jaxnoise"),
        ("layer float32", "copy"),
        ("scaling units", "50 units"),
    ]:
        assert told[benchmark, name]["compile_seconds"] > 0


@pytest.fixture
def benchmarks(monkeypatch):
    """The modules beside run.py."""
    monkeypatch.syspath_prepend(str(RUN.parent.parent))
    monkeypatch.syspath_prepend(str(RUN.parent))
    return importlib.import_module


CONTENDERS = """
import os, sys

HELD = hasattr(os, "sched_getaffinity")

def works(options):
    return (lambda: 1), {"compile_seconds": 0.5}

def dies(options):
    print("no such instruction", file=sys.stderr, flush=True)
    os.abort()

def dies_later(options):
    return lambda: dies(options), {}

def its_cores(options):
    return lambda: sorted(os.sched_getaffinity(0)) if HELD else None, {}

CONTENDERS = {"works": works, "dies": dies, "dies later": dies_later}
CONTENDERS["its cores"] = its_cores
CONTENDERS["sweep"] = dies_later
"""


def test_contenders_that_die_are_left_out(benchmarks, tmp_path, monkeypatch, capsys):
    (tmp_path / "toy_contenders.py").write_text(CONTENDERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    report, plan = benchmarks("benchmark_report").Report(), benchmarks("worker").Plan
    names = ["works", "dies", "dies later", "sweep", "works"]
    workers = report.start(plan("toy_contenders", name) for name in names)
    assert [w.plan.name for w in workers] == ["works", "dies later", "sweep", "works"]
    alive = report.take_turns(workers, 2)
    assert alive == [workers[0], workers[3]]
    assert [len(worker.seconds) for worker in alive] == [2, 2]
    assert set(report.measure("toy", [workers[0]], 0, "s")) == {"works"}
    assert set(report.absent) == {"dies", "dies later", "sweep"}
    assert set(report.absent.values()) == {"died: no such instruction"}
    # that a peer dies is told; that we die is a failure
    [failure] = report.failed
    assert failure.startswith("sweep died: no such instruction")
    out = capsys.readouterr().out
    assert "  dies later: left out (died: no such instruction)" in out
    assert "compiled in 0.5 s" in out


def test_peers_have_a_process_a_core(benchmarks, tmp_path, monkeypatch, capsys):
    """All their work counts, each is held to a core, and the entry says so."""
    worker = benchmarks("worker")
    (tmp_path / "toy_contenders.py").write_text(CONTENDERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    report = benchmarks("benchmark_report").Report()
    toy = {"contender": "its cores", "epochs": 5, "seeds": 2}
    (started,) = report.start(
        [worker.Plan("toy_contenders", "theirs", **toy, processes=2)]
    )
    answer = report.repeat(started)
    started.seconds[:] = [3.0]
    assert report.measure("toy", [started], 0, "ms") == {"theirs": 3000 / 20}
    assert report.entries[0]["processes"] == 2
    if hasattr(os, "sched_getaffinity"):
        assert answer["value"] == [min(os.sched_getaffinity(0))]


@pytest.mark.parametrize("cores", [1, 2])
def test_the_fastest_of_all_ways_is_measured(benchmarks, monkeypatch, cores):
    worker = benchmarks("worker")
    monkeypatch.setattr(worker, "CORES", cores)
    ways = worker.ways_to_use_all_cores()
    both = {"2 threads": {"threads": 2}}
    both["one process a core"] = {"processes": 2, "threads": 1}
    assert ways == (both if cores == 2 else {"1 thread": {"threads": 1}})


def test_networks_must_be_alike(benchmarks):
    networks = benchmarks("benchmarks")
    same = [Answering("ours", 0, weights=5), Answering("theirs", 0, weights=5)]
    networks.alike("toy", same)
    same.append(Answering("another", 0, weights=6))
    with pytest.raises(networks.Unlike, match="weights {'ours': 5, .*'another': 6}"):
        networks.alike("toy", same)


def test_the_accelerator_is_measured_in_its_time(benchmarks, tmp_path, capsys):
    """By seeds, with noise and curves and without, by block size; then it ends."""
    sizes = benchmarks("run").sizes_of("full")
    sizes.accelerator_seconds = 0
    other = benchmarks("benchmarks")
    report = benchmarks("benchmark_report").Report()
    other.accelerator(report, sizes, tmp_path)
    assert set(report.absent.values()) == {"no time was left"}
    assert other.GOAL in report.absent
    for name in (
        "jaxnoise",
        "jax.random.normal",
        "circles, 10000 seeds",
        "circles, 1000 seeds, no noise",
        "circles, 1000 seeds, no curves",
        *(f"circles, blocks of {n}" for n in (32, 128, 256, 512, 1024)),
        *(
            f"digits CNN, 256 seeds, 10 epochs, blocks of {n}"
            for n in ("auto", 32, 128, 256)
        ),
    ):
        assert name in report.absent


def test_without_an_accelerator_none_is_measured(benchmarks):
    worker, report = benchmarks("worker"), benchmarks("benchmark_report").Report()
    options = {"elements": 4, "calls": 1, "dtype": "float32"}
    plan = worker.Plan(
        *("layer_contenders", "draws", "jaxnoise"), **options, accelerator="required"
    )
    assert report.start([plan]) == []
    assert report.absent == {"draws": "no accelerator"}


def test_picture(measured):
    assert (measured[1] / "speed.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.bad_input
def test_unknown_benchmark():
    done = run("nonsense")
    assert done.returncode == 2
    assert "benchmark must be one of circles, grid, networks, keras" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_searches_and_fits(tmp_path):
    done = run("sklearn", "--quick", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "benchmarks.json").read_text())
    found = {(e["benchmark"], e["name"]): e["value"] for e in report["entries"]}
    for what in ("search", "fit"):
        for name in ("jaxnoise", "MLPClassifier"):
            assert found[f"sklearn {what}", f"{name}, {what}"] > 0
    assert {r["benchmark"] for r in report["ratios"]} >= {
        "sklearn search",
        "sklearn fit",
    }


@pytest.mark.slow
def test_certificates_and_curves(tmp_path):
    done = run("robustness", "--quick", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "benchmarks.json").read_text())
    found = {e["name"]: e["value"] for e in report["entries"]}
    assert {*found} == {
        "jaxnoise, certificates",
        "plain passes",
        "jaxnoise, noise curve",
    }
    held = {(r["benchmark"], r["name"]) for r in report["ratios"]}
    assert ("robustness certificates", "plain passes") in held
