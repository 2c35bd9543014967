"""The README: its code runs, its commands are two, its links lead somewhere."""

import re
from pathlib import Path

import matplotlib
import pytest

import jaxnoise as jn

matplotlib.use("Agg")
ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.fixture
def small(monkeypatch):
    """The README's sweep at toy size: fewer seeds and epochs, all else as written."""
    sweep = jn.sweep

    def toy(*args, **arguments):
        assert arguments["seeds"] == 100
        assert arguments["epochs"] == 4000
        return sweep(*args, **arguments | {"seeds": 3, "epochs": 5})

    monkeypatch.setattr(jn, "sweep", toy)


def test_sweep_sample(small, capsys):
    names = {}
    exec(SAMPLES[0], names)
    assert len(names["result"].runs) == 4 * 3
    assert "hidden" in capsys.readouterr().out


def test_layer_sample():
    names = {}
    exec(SAMPLES[1], names)
    assert names["net"].apply(names["params"], names["x"], train=False).shape == (
        32,
        10,
    )


def test_there_are_two_samples_and_two_commands():
    assert len(SAMPLES) == 2
    commands = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
    assert "python experiments/circles.py --placement input" in commands[0]
    assert "pytest" in commands[1]


def test_links():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target


def test_public_names_are_in_the_table():
    for name in (
        "add_gaussian_noise",
        "GaussianNoise",
        "Noise",
        "MLP",
        "Data",
        "Recipe",
    ):
        assert f"jn.{name}" in TEXT
    for name in re.findall(r"`jn\.(\w+)", TEXT):
        assert hasattr(jn, name), name
