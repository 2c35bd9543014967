"""The README: its code runs and prints what it says, its commands are two, its links
lead somewhere, and its numbers are those of the experiments' page."""

import inspect
import re
from pathlib import Path

import matplotlib
import pytest

import jaxnoise as jn
from jaxnoise.noise import functions, linen, rows

matplotlib.use("Agg")
ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "experiments/README.md",
        "experiments/benchmarks/README.md",
        "notebooks/README.md",
        ".github/CONTRIBUTING.md",
    )
]
TEXT = PAGES[0].read_text(encoding="utf-8")
LONGEST = 170  # lines: a page of one breath
NOTES = 3  # lines below a comparison
CLOSE = 2e-3  # machines round differently, and 4,000 epochs magnify that

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)


def fenced(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.S)


def sections(text):
    """The names that links within a page may have."""
    headings = re.findall(r"^#+ (.*)", text, re.M)
    return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def run_the_sample(capsys, folder, monkeypatch, **toy):
    """What the ten lines print; the sweep's arguments may be smaller than written."""
    sweep = jn.sweep

    def smaller(*args, **arguments):
        assert (arguments["seeds"], arguments["epochs"]) == (30, 4000)
        return sweep(*args, **arguments | toy)

    monkeypatch.setattr(jn, "sweep", smaller)
    monkeypatch.chdir(folder)
    (sample,) = fenced("python")
    exec(sample, {})
    assert "3 comparisons with none" in (folder / "report.html").read_text("utf-8")
    return capsys.readouterr().out.splitlines()


def cells(lines):
    return [line.split() for line in lines[:-NOTES]]


def test_it_is_of_one_breath():
    assert len(TEXT.splitlines()) <= LONGEST


def test_ten_lines_print_this_table(capsys, tmp_path, monkeypatch):
    with pytest.warns(UserWarning, match="compare: 3 units are few"):
        printed = run_the_sample(capsys, tmp_path, monkeypatch, seeds=3, epochs=5)
    (shown,) = map(str.splitlines, fenced("text"))
    assert len(printed) == len(shown)
    assert printed[0].split() == shown[0].split()
    assert printed[-NOTES:-1] == shown[-NOTES:-1]
    for ours, theirs in zip(cells(printed), cells(shown), strict=True):
        assert ours[:2] == theirs[:2]


@pytest.mark.slow
def test_ten_lines_print_these_numbers(capsys, tmp_path, monkeypatch):
    printed = run_the_sample(capsys, tmp_path, monkeypatch)
    (shown,) = map(str.splitlines, fenced("text"))
    assert len(printed) == len(shown)
    for ours, theirs in zip(cells(printed), cells(shown), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            if re.fullmatch(r"-?0\.\d{4}", other):
                assert float(one) == pytest.approx(float(other), abs=CLOSE)
            else:
                assert one == other


def test_there_are_two_commands():
    first, second = fenced("sh")
    assert first.count("\n") == second.count("\n") == 1
    assert "python experiments/circles.py --placement input" in first
    assert '".[test]"' in second
    assert TEXT.count('".[test]"') == 1  # by which .ci/run finds it
    assert "pytest" in second


@every_page
def test_links(page):
    text = page.read_text(encoding="utf-8")
    for target, section in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        if target.startswith("https://"):
            continue
        file = (page.parent / target) if target else page
        assert file.exists(), target
        if section:
            assert section in sections(file.read_text(encoding="utf-8")), section


@every_page
def test_no_host_of_a_registry_is_named(page):
    hosts = r"pypi\.org|pythonhosted|index-url|anaconda\.org|conda-forge"
    assert not re.search(hosts, page.read_text(encoding="utf-8"))


def test_the_table_of_noises_is_complete():
    table = TEXT.split("## Noises")[1].split("\n## ")[0]
    classes = {n: c for n, c in vars(linen).items() if inspect.isclass(c)}
    layers = [n for n, c in classes.items() if c.__module__ == linen.__name__]
    layers = [n for n in layers if n in dir(jn)]
    noises = {**vars(functions), **vars(rows)}
    noises = [n for n, f in noises.items() if inspect.isfunction(f)]
    named = [n for n in noises if n in dir(jn)]
    assert len(layers) > 6
    assert len(named) > 8
    for name in [*layers, *named, "gradient_noise", "NoisyDense"]:
        assert f"`{name}" in table, name


@every_page
def test_names_are_public(page):
    for name in re.findall(r"`jn\.(\w+)", page.read_text(encoding="utf-8")):
        assert hasattr(jn, name), name


def test_public_names_are_in_the_tour_or_the_table():
    told = TEXT + jn.__doc__
    for name in set(dir(jn)) - {"Model", "RunResult", "SweepResult"}:
        assert re.search(rf"`(jn\.)?{name}\b|jn\.{name}\b", told), name


def test_numbers_are_those_of_the_experiments():
    """The front's table picks rows of the tables that the experiments write."""
    theirs = PAGES[1].read_text(encoding="utf-8")
    ours = TEXT.split("## What holds")[1].split("\n## ")[0]
    numbers = re.findall(r"[+−]\d\.\d{4}(?: \[[^]]*\])?", ours)
    assert len(numbers) > 10
    for number in numbers:
        assert number in theirs, number


def test_rivals_are_those_of_the_notebook():
    sentence = re.search(r"the squared error is(.*?)\(\[notebook", TEXT, re.S)[1]
    notebook = (ROOT / "notebooks" / "03_where_and_how_much.ipynb").read_text("utf-8")
    means = {f"{float(mean):.2f}" for mean in re.findall(r" 30 (0\.\d{4}) ", notebook)}
    assert set(re.findall(r"0\.\d\d", sentence)) <= means


def test_versions_agree():
    (version,) = re.findall(
        r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.M
    )
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"version = {{{version}}}" in TEXT
    assert re.findall(r"^## (\d+\.\d+\.\d+)", changes, re.M)[0] == version
