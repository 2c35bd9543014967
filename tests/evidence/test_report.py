"""The page says what the numbers say, to everybody, and nothing of it leaves it."""

import dataclasses
import os
import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn

EVIL = "<script>alert(1)</script>"
NAMES = (
    EVIL,
    "$x_1$ & _y",
    "a\"b'c",
    "größer λ 猫",
    "{{ 7 * 7 }}",
    "a" * 90,
    "url(#x)",
    "half \ud800 a character",
)
VOID = {"meta", "img", "br", "link", "hr", "input"}


class Reader(HTMLParser):
    """Elements, their attributes, and the text of each section."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.open, self.texts, self.heading = [], [], [], None
        self.sections = {}
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not data.strip() or self.open[-1] == "style":
            return
        if self.open[-1] == "h2":
            self.heading = data
        else:
            text = " ".join(data.split())
            self.sections.setdefault(self.heading, []).append(text)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, heading):
        return " ".join(self.sections[heading])


def made_up(cells, *, seeds=10, splits=1, epochs=5, sets=("train", "test"), gain=None):
    """A sweep of scores around 0.7, to which cells add their gain."""
    rng = np.random.default_rng(0)
    rows = [
        {"placement": p, "strength": s, "seed": seed, "split": split}
        for p, s in cells
        for seed in range(seeds)
        for split in range(splits)
    ]
    runs, curves = pd.DataFrame(rows), {}
    gains = np.array(
        [(gain or {}).get((r["placement"], r["strength"]), 0) for r in rows]
    )
    for name in sets:
        scores = 0.7 + gains + rng.normal(0, 0.01, len(runs))
        runs[f"{name}_accuracy"], runs[f"{name}_loss"] = scores, 1 - scores
        for metric in ("accuracy", "loss"):
            last = runs[f"{name}_{metric}"].to_numpy()
            curves[f"{name}_{metric}"] = np.linspace(0.5, last, epochs, axis=1)
    runs["finite"] = True
    kept = (None,) * len(runs)
    return jn.SweepResult(
        runs, curves, np.arange(1, epochs + 1), kept, True, 1.25, 2.5, "4 x made-up"
    )


CELLS = (("none", 0.0), ("input", 0.1), ("hidden", 0.1), ("hidden", 0.3))
GAIN = {("input", 0.1): -0.05, ("hidden", 0.1): 0.05, ("hidden", 0.3): 0.1}


def lose(result, rows):
    """The same sweep, in which these runs diverged."""
    result.runs.loc[rows, "finite"] = False
    for name, values in result.curves.items():
        values[rows] = np.nan
        result.runs.loc[rows, name] = np.nan
    return result


def compared(result, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "compare: .* few")
        return jn.compare(result, **options)


@pytest.fixture
def result():
    return made_up(CELLS, gain=GAIN)


@pytest.fixture
def draw(tmp_path):
    """The whole page of a result."""

    def draw(result, **options):
        path = jn.report(result, tmp_path / "report.html", **options)
        return Reader(path.read_text("utf-8"))

    return draw


@pytest.fixture
def sketch(draw, undrawn):
    """The page with the captions and texts of its figures alone."""
    return draw


@pytest.fixture
def write(draw, no_figures):
    """The page without its figures."""
    return draw


WORDS = {"question": "Does it?", "config": {"rate": 0.1, "nothing": None}}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """One page with all its figures, which takes the time; for many to read."""
    folder = tmp_path_factory.mktemp("page")
    return jn.report(made_up(CELLS, gain=GAIN), folder / "report.html", **WORDS)


@pytest.fixture(scope="module")
def page(path):
    return Reader(path.read_text("utf-8"))


HEADINGS = (
    *("Question", "Answer", "Table", "Figures", "How it was made"),
    "What this page cannot say",
)


def test_what_is_on_the_page(page):
    assert list(page.sections)[1:] == list(HEADINGS)
    assert page.text("Question") == "Does it?"
    made = page.text("How it was made")
    for fact in (
        *("Runs 40, of 4 placements and strengths", "Seeds 10: 0–9", "Splits 1: 0"),
        *("State complete", "Epochs of curves 5: 1 to 5", "Device 4 x made-up"),
        *("Time 1.2 s compiling, 2.5 s running", "rate 0.1", "nothing –"),
        f"Python {'.'.join(map(str, __import__('sys').version_info[:3]))}",
    ):
        assert fact in made
    assert "jaxnoise 0" in made
    assert len(page.all("svg")) == len(page.all("figcaption")) == 6


def test_answer_and_table_have_the_numbers_of_compare(result, write):
    page = write(result, metric="test_accuracy")
    rows = compared(result, metric="test_accuracy")
    best = rows.iloc[3]
    answer = page.text("Answer")
    assert answer.startswith(
        "Of 3 comparisons with none in test accuracy, 2 are better and 1 is worse; the "
        "largest gain, flattered by being picked from these very rows, is hidden, 0.3: "
    )
    low, high = (f"{best[end]:+.4f}" for end in ("low", "high"))
    difference = f"is {best['difference']:+.4f} (95 % interval {low} to {high}, n = 10"
    assert difference in answer
    assert answer.count(". ") == 1  # one sentence, and which rows were used
    assert "Used: the test rows, 40 runs" in answer
    table = page.text("Table")
    for _, row in rows[1:].iterrows():
        sign = {"better": "▲", "worse": "▼"}[row["verdict"]]
        difference = f"{row['difference']:+.4f}".replace("-", "−")
        interval = f"[{row['low']:+.4f}, {row['high']:+.4f}]".replace("-", "−")
        assert f"{sign} {row['verdict']} {difference} {interval} 10" in table
    for _, row in rows.iterrows():
        scores = (row[name] for name in ("mean", "sd", "median", "iqm"))
        assert "10 " + " ".join(f"{score:.4f}" for score in scores) in table


def test_every_figure_says_its_numbers(result, page):
    labels = [svg["aria-label"] for svg in page.all("svg")]
    assert all(svg["role"] == "img" for svg in page.all("svg"))
    row = compared(result, metric="test_accuracy").iloc[3]
    low, high = (f"{row[end]:+.4f}" for end in ("low", "high"))
    said = f"hidden, 0.3: {row['difference']:+.4f} ({low} to {high}), better"
    assert said in labels[0]
    for label in labels[1:3]:
        assert f"hidden, 0.3: {row['mean']:.4f} ± {row['sd']:.4f}" in label
    assert "hidden, 0.3: better in 100% of 10" in labels[3]
    assert "hidden, 0.3 ends at train 0.8" in labels[4]


ONE = (("none", 0.0), ("input", 0.1))


def test_scores_of_any_size(write):
    table = made_up(ONE, seeds=6, gain={("input", 0.1): 0.5}).runs
    for scale, said in ((1e-14, r"\+\d\.\d+e−15"), (1e12, r"\+\d\.\d+e\+11")):
        scaled = table.assign(accuracy=table["test_accuracy"] * scale)
        answer = write(scaled, metric="accuracy").text("Answer")
        assert re.match(rf"input, 0.1 is better than none in .* {said} ", answer)


@pytest.mark.parametrize(
    ("gain", "options", "said"),
    [
        (0.05, {}, "input, 0.1 is better than none in test accuracy; the mean"),
        (-0.05, {}, "input, 0.1 is worse than none in test accuracy; the mean"),
        (0.0, {}, "There is no evidence that input, 0.1 differs from none in test"),
        (0.0, {"rope": 0.1}, "input, 0.1 is equivalent to none in test accuracy, wit"),
        (0.5, {"seeds": 5}, "There is no verdict on input, 0.1 against none in test"),
        (0.5, {"lost": [3]}, "as more than 5% of the pairs were lost"),
        (0.5, {"lost": range(10)}, "as it takes 6 seeds and there are 0; no pair is"),
        (0.5, {"seeds": 1}, "as it takes 6 seeds and there is 1; the difference is"),
    ],
)
def test_answer_says_no_more_than_the_verdict(write, gain, options, said):
    seeds, lost = options.pop("seeds", 10), options.pop("lost", [])
    result = made_up(ONE, seeds=seeds, gain={("input", 0.1): gain})
    answer = write(lose(result, list(lost)), **options).text("Answer")
    assert said in answer
    verdict = compared(result, metric="test_accuracy", **options)["verdict"][1]
    claims = {"better", "worse", "equivalent"}
    assert {word for word in claims if word in answer} == {verdict} & claims
    assert "nan" not in answer


@pytest.mark.parametrize(
    ("gain", "options", "said"),
    [
        ({}, {}, "all 3 are without evidence of a difference; mean differences lie"),
        ({}, {"rope": 0.1}, "all 3 are equivalent; mean differences lie between"),
        ({("input", 0.1): -1.0}, {}, "1 is worse and 2 are without evidence of a d"),
        ({("input", 0.1): -1.0}, {}, "the largest loss is input, 0.1: the mean dif"),
    ],
)
def test_answers_to_several_comparisons(write, gain, options, said):
    answer = write(made_up(CELLS, gain=gain), **options).text("Answer")
    assert said in answer
    assert "gain" not in answer


def test_answer_counts_why_there_is_no_verdict(write):
    result = lose(made_up(CELLS, gain=GAIN), [10, *range(22, 30)])
    answer = write(result).text("Answer")
    assert (
        "1 is better and 2 are without a verdict (1 for fewer than 6 seeds and 1 for "
        "lost pairs)" in answer
    )


def test_answer_to_the_baseline_alone(sketch):
    page = sketch(made_up(CELLS[:1]))
    assert "Nothing can be said about noise: only none was run." in page.text("Answer")
    assert len(page.all("svg")) == 3  # every run, and curves


def test_losses_are_better_when_lower(result, write):
    page = write(result, metric="test_loss")
    answer = page.text("Answer")
    assert "2 are better and 1 is worse" in answer
    difference = compared(result, metric="test_loss")["difference"][3]
    assert f"is hidden, 0.3: the mean difference is −{-difference:.4f}" in answer
    assert "lower is better" in page.text("Table")


def test_choice_on_validation_rows(write):
    """The best on test rows is not what validation rows choose."""
    gain = {("hidden", 0.1): 0.05}
    result = made_up(CELLS, sets=("train", "validation", "test"), gain=gain)
    third = result.runs["strength"] == 0.3
    result.runs["test_accuracy"] += np.where(third, 0.1, 0)
    page = write(result)
    chosen = jn.select(result)
    assert (chosen.placement, chosen.strength) == ("hidden", 0.1)
    answer = page.text("Answer")
    assert answer.startswith(
        "Chosen on the validation rows: hidden, 0.1 is better than none in test accur"
    )
    assert f"the mean difference is {chosen.difference:+.4f}" in answer
    assert "Chosen on the validation rows, which the answer leaves out." in answer
    limits = page.text("What this page cannot say")
    assert f"its score on the test rows is {chosen.score:.4f}" in limits
    assert f"would have claimed {chosen.claimed:.4f}: an optimism of" in limits
    assert "also choose among them" not in limits
    assert "also choose among them" in write(result, choose_on=None).text(
        "What this page cannot say"
    )


def test_choice_of_the_baseline_and_of_nothing(write):
    sets = ("train", "validation", "test")
    gain = {cell: -0.1 for cell in CELLS[1:]}
    answer = write(made_up(CELLS, sets=sets, gain=gain)).text("Answer")
    assert "rows: none itself, without noise, in test accuracy; mean diff" in answer
    nothing = lose(made_up(CELLS, sets=sets), list(range(40)))
    page = write(nothing)
    assert "Nothing was chosen on the validation rows" in page.text(HEADINGS[-1])


def test_limits(write):
    result = lose(made_up(CELLS, seeds=4, gain=GAIN), [5])
    result = dataclasses.replace(result, complete=False)
    page = write(result)
    limits = page.text(HEADINGS[-1])
    for said in (
        "The sweep was interrupted",
        "Too few seeds: 3 of 3 comparisons, of fewer than 10 (3 of fewer than 6",
        "The 3 comparisons are made on the test rows that would also choose among them",
        "1 runs diverged: means and intervals hold for runs that do not",
        "(input, 0.1: 1)",
        "All runs share one data set and one division of it",
    ):
        assert said in limits
    assert "State interrupted" in page.text("How it was made")
    assert "Interrupted:" in " ".join(page.sections[None])


def test_limits_of_curves_that_still_move(write):
    """By their last tenth against the tenth before; few points tell nothing."""
    cells = (("none", 0.0), *((name, 0.1) for name in ("slow", "noisy", "diverged")))
    result = made_up(cells, epochs=100)
    steps, rows = np.arange(100), result.runs.groupby("placement").indices
    losses = np.exp(-steps / 10) + np.zeros((40, 1))
    losses += np.random.default_rng(0).normal(0, 0.02, losses.shape)
    losses[rows["slow"]] = np.exp(-steps / 100)
    losses[rows["slow"][3]] = np.nan  # one of its runs diverged
    losses[rows["diverged"]] = np.nan
    said = "Training curves of {} still move at the last epoch"
    for curve, titles in ((losses, "slow, 0.1"), (losses[:, ::-1], "none; slow, 0.1")):
        result.curves["train_loss"] = curve
        found = write(result).text(HEADINGS[-1])
        assert (said.format(titles) in found) == (curve is losses)
        assert "with more epochs the answer may turn" in found
    result.curves["train_loss"] = losses[:, :9]
    assert "still move" not in write(result).text(HEADINGS[-1])


def test_limits_of_the_most_frequent_class(write):
    """Told where all runs have exactly its share of the rows, which the data say."""
    result = made_up(CELLS, splits=2, seeds=6)
    result.runs.attrs = {"majority": {"test": [0.6, 0.7]}, "overlap": 0.0}
    same = result.runs["placement"] == "input"
    share = np.where(result.runs["split"] == 0, np.float32(0.6), np.float32(0.7))
    result.runs["test_accuracy"] = result.runs["test_accuracy"].where(~same, share)
    said = "In all runs of {} the accuracy is exactly the share of the most frequent"
    limits = write(result).text(HEADINGS[-1])
    assert said.format("input, 0.1") in limits
    assert said.format("input, 0.1") in write(result, metric="test_loss").text(
        HEADINGS[-1]
    )
    result.runs.loc[result.runs.index[same][3], "test_accuracy"] += 1 / 70
    assert "most frequent class" not in write(result).text(HEADINGS[-1])
    result.runs.attrs = {}
    del result.runs["split"]


def test_limits_of_two_measures(write):
    """A placement that is better in loss and not in accuracy, or the other way."""
    result = made_up(CELLS, gain={("hidden", 0.3): 0.1, ("input", 0.1): -0.1})
    loss = result.runs["test_loss"]
    lower = {("input", 0.1): -0.3, ("hidden", 0.1): -0.3, ("hidden", 0.3): 0.2}
    for (placement, strength), change in lower.items():
        at = (result.runs["placement"] == placement) & (
            result.runs["strength"] == strength
        )
        loss = loss + change * at
    result.runs["test_loss"] = loss
    limits = write(result, metric="test_accuracy").text(HEADINGS[-1])
    here = "Better in test accuracy and not in test loss: hidden, 0.3 (worse there)."
    there = (
        "Better in test loss and not in test accuracy: input, 0.1 (worse there); "
        "hidden, 0.1 (no evidence there)."
    )
    assert here in limits
    assert there in limits
    assert here in write(result, metric="test_loss").text(HEADINGS[-1])
    assert "and not in" not in write(made_up(CELLS, gain=GAIN)).text(HEADINGS[-1])


def test_limits_of_splits(write):
    result = made_up(CELLS, seeds=2, splits=10)
    result.runs.attrs["overlap"] = 0.0
    assert "taken as independent draws" in write(result).text(HEADINGS[-1])
    page = write(result, overlap=1 / 9, metric="train_accuracy")
    limits = page.text(HEADINGS[-1])
    assert "corrected for their overlap" in limits
    assert "learned by heart" in limits
    assert "corrected for an overlap of 0.111111" in page.text("Table")
    assert "Unit split" in page.text("How it was made")


def test_a_table_has_no_curves(sketch):
    table = made_up((*ONE, ("input", 0.3))).runs[
        ["placement", "strength", "seed", "test_accuracy"]
    ]
    page = sketch(table)
    assert len(page.all("svg")) == 4
    assert "from a table" in page.text("How it was made")


def test_two_strengths_at_once(sketch):
    cells = [("none", np.nan, np.nan)]
    cells += [("both", a, b) for a in (0.0, 0.1) for b in (0.1, 0.3)]
    columns = ["placement", "strength.input", "strength.hidden"]
    table = pd.DataFrame(cells, columns=columns)
    table = table.merge(pd.DataFrame({"seed": range(10)}), how="cross")
    table["accuracy"] = np.random.default_rng(0).uniform(size=len(table))
    page = sketch(table)
    assert "the two strengths of both" in page.text("Figures")
    assert "Strength of input Strength of hidden" in page.text("Table")
    assert "both, input 0.1, hidden 0.3" in page.all("svg")[1]["aria-label"]


def test_many_placements_have_few_panels(sketch):
    cells = [("none", 0.0), *(("input", s / 10) for s in range(1, 13))]
    page = sketch(made_up(cells, seeds=6, gain={("input", 0.5): 0.2}))
    assert page.text("Figures").count("the best of each placement is shown") == 3
    panels = page.all("svg")[3]["aria-label"]
    assert "input, 0.5: better in 100% of 6" in panels.replace("input:", "input, 0.5:")


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (["train_accuracy", "test_loss", "test_accuracy"], "test_accuracy"),
        (["train_accuracy", "train_loss", "test_loss"], "test_loss"),
        (["test_accuracy", "population_accuracy"], "population_accuracy"),
        (["best_test_accuracy", "best_epoch", "train_loss"], "train_loss"),
        (["f1_macro"], "f1_macro"),
    ],
)
def test_default_metric(write, columns, chosen):
    table = made_up(ONE).runs[["placement", "strength", "seed"]]
    page = write(table.assign(**dict.fromkeys(columns, 0.5)))
    words = chosen.replace("_", " ")
    assert f"The measure is {words}." in page.text("Question")


@pytest.mark.usefixtures("texts_are_objects")
def test_text_of_the_user_is_only_text(draw):
    cells = [("none", 0.0), *((name, 0.1) for name in NAMES)]
    result = made_up(cells, seeds=6).runs  # curves show names as other panels do
    config = {EVIL: EVIL, "'\"&": ["<b>", {"<i>": np.nan}]}
    page = draw(result, title=EVIL, question=EVIL, label=EVIL, config=config)
    assert page.all("script") == page.all("b") == page.all("i") == []
    for name in (name.replace("\ud800", "\N{REPLACEMENT CHARACTER}") for name in NAMES):
        assert name in page.text("Table")
        assert name[:40] in page.all("svg")[0]["aria-label"]
    assert page.text("Question") == EVIL
    assert f"{EVIL} {EVIL}" in page.text("How it was made")
    assert "'\"& <b>, <i>: –" in page.text("How it was made")
    assert "49" not in page.text("Question")


def test_nothing_leaves_the_page(page):
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "object", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name.split(":")[-1] in ("src", "href"):
                assert re.match(r"#|data:image/png;base64,", value)
            for target in re.findall(r"url\(([^)]*)\)", value or ""):
                assert target.startswith("#")


def test_no_address_in_the_file(path):
    text = path.read_text("utf-8")
    assert not re.search(r"https?:|//www|@import|@font-face|url\((?!#)", text)


def test_names_within_the_page_are_unique(page):
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for value in attributes.values():
            for name in re.findall(r"url\(#([^)]*)\)", value or ""):
                assert name in ids
        for name in ("href", "aria-labelledby"):
            if name in attributes:
                assert attributes[name].removeprefix("#") in ids


def test_structure_for_readers_who_hear_it(page):
    assert page.all("html") == [{"lang": "en"}]
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == 1
    assert [t for t in tags if re.fullmatch(r"h\d", t)] == ["h1"] + ["h2"] * 6
    assert tags.count("table") == tags.count("caption") == 4
    assert {th["scope"] for th in page.all("th")} == {"row", "col"}
    figures = page.all("figure")
    scrolls = [a for a in page.all("div") if "scroll" in a.get("class", "")]
    assert len(scrolls) == 4 < len(figures)
    assert all(a["role"] == "region" for a in scrolls)
    assert all(a["tabindex"] == "0" and a["aria-labelledby"] for a in scrolls + figures)


def test_undefined_numbers_are_dashes(draw):
    page = draw(lose(made_up(ONE, seeds=1), [1]))
    assert "no verdict – – 0 – – – –" in page.text("Table")
    for heading in HEADINGS:
        assert not re.search(r"\bnan\b|\bNone\b|\binf\b", page.text(heading))


def test_same_input_same_page(path, result, tmp_path):
    """Whatever the user's own settings of matplotlib, which have no say."""
    import matplotlib.pyplot as plt

    open_before = plt.get_fignums()
    with plt.rc_context({"font.size": 20}):
        again = jn.report(result, tmp_path / "again.html", **WORDS)
    pages = [
        re.sub(r"<time.*?</time>", "", p.read_text("utf-8")) for p in (path, again)
    ]
    assert pages[0] == pages[1]
    assert plt.get_fignums() == open_before


def test_written_as_a_whole_or_not_at_all(result, tmp_path, monkeypatch, no_figures):
    path = tmp_path / "made" / "on the way" / "report.html"
    assert jn.report(result, str(path), title="ä first") == path
    assert "ä first" in path.read_text("utf-8")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"path must be a file .*No space left on device"):
        jn.report(result, path, title="second")
    assert "ä first" in path.read_text("utf-8")
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


@pytest.mark.bad_input
def test_what_cannot_be_reported(result, tmp_path, no_figures):
    file = tmp_path / "file"
    file.touch()
    for path in (tmp_path, file / "report.html", tmp_path / "\0"):
        with pytest.raises(OSError, match="path must be a file that can be"):
            jn.report(result, path)
    path = tmp_path / "report.html"
    with pytest.raises(TypeError, match="path must be a path, got int"):
        jn.report(result, 3)
    with pytest.raises(TypeError, match="result must be a SweepResult or a"):
        jn.report({}, path)
    with pytest.raises(TypeError, match="config must be a mapping, got list"):
        jn.report(result, path, config=[1])
    with pytest.raises(ValueError, match="metric must be a column"):
        jn.report(result, path, metric="acuracy")
    with pytest.raises(ValueError, match="baseline must be one of the placements"):
        jn.report(result, path, baseline="nothing")
    with pytest.raises(ValueError, match="found no scores"):
        jn.report(result.runs[["placement", "strength", "seed"]], path)
    assert list(tmp_path.iterdir()) == [file]
