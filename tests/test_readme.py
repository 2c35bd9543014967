"""The README: its code runs, its commands are two, its links lead somewhere."""

import re
from pathlib import Path

import jax
import matplotlib
import numpy as np
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
        assert arguments["seeds"] == 30
        assert arguments["epochs"] == 4000
        return sweep(*args, **arguments | {"seeds": 3, "epochs": 5})

    monkeypatch.setattr(jn, "sweep", toy)


def test_sweep_sample(small, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    with pytest.warns(UserWarning, match="compare: 3 units are few"):
        exec(SAMPLES[0], names)
    assert len(names["result"].runs) == 4 * 3
    assert "hidden" in capsys.readouterr().out
    assert "3 comparisons with none" in (tmp_path / "report.html").read_text("utf-8")


def test_layer_sample():
    names = {}
    exec(SAMPLES[2], names)
    assert names["net"].apply(names["params"], names["x"], train=False).shape == (
        32,
        10,
    )


def test_nnx_sample(capsys):
    names = {}
    exec(SAMPLES[3], names)
    assert "GaussianNoise" in capsys.readouterr().out
    assert names["outputs"].shape == (32, 10)
    data = jn.Data(train=(np.ones((10, 8)), np.arange(10)))
    train = jn.make_train(lambda _: names["recipe"], epochs=2, batch_size=5)
    assert train(jax.random.key(0), 0.0, data).finite


def test_noise_sample(key):
    names = {}
    exec(SAMPLES[1], names)
    images = jax.random.uniform(key, (2, 8, 8, 3))
    for name in ("tenth", "audio", "pixels", "contrast", "shifted"):
        rngs = {"noise": key}
        out = names[name].apply({}, images, train=True, rngs=rngs)
        assert out.shape == images.shape
        assert (out != images).any()
    data = jn.Data(train=(np.ones((10, 3)), np.arange(10)))
    train = jn.make_train(lambda _: names["recipe"], epochs=2, batch_size=5)
    assert train(key, 0.0, data).finite
    for name in ("rising", "learned"):
        assert jax.tree.leaves(names[name].init(key, images, train=False))


def test_there_are_four_samples_and_two_commands():
    assert len(SAMPLES) == 4
    commands = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
    assert "python experiments/circles.py --placement input" in commands[0]
    assert "pytest" in commands[1]


def test_links():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_links_within():
    headings = re.findall(r"^#+ (.*)", TEXT, re.M)
    anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
    wanted = set(re.findall(r"\]\(#([^)]+)\)", TEXT))
    assert wanted
    assert wanted <= anchors


def test_public_names_are_in_the_table():
    public = {
        name
        for name in dir(jn)
        if name[0] != "_"
        and getattr(getattr(jn, name), "__module__", "").startswith("jaxnoise")
    }
    for name in public - {"Model", "RunResult", "SweepResult"}:
        assert re.search(rf"`(jn\.)?{name}\b|jn\.{name}\b", TEXT), name
    for name in re.findall(r"`jn\.(\w+)", TEXT):
        assert hasattr(jn, name), name
