"""The table of a comparison in text and notebooks, and whole in Markdown and LaTeX."""

import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn
from jaxnoise.evidence.format import TOGETHER


@pytest.fixture
def rows():
    """Ten seeds of two placements, one of which has characters that markups use."""
    seed = np.arange(10)
    parts = [
        pd.DataFrame({"placement": placement, "strength": strength, "seed": seed})
        for placement, strength in (("none", 0.0), ("input_50%|x", 0.25))
    ]
    parts[0]["accuracy"] = 0.7 + 0.01 * (seed % 4)
    parts[1]["accuracy"] = 0.75 + 0.01 * (seed % 3)
    return jn.compare(pd.concat(parts), metric="accuracy")


MAIN = [
    *"placement strength n mean difference low high".split(),
    *"median_difference worst_pair p_holm verdict".split(),
]


def test_text_has_what_counts(rows):
    with pd.option_context("display.width", 40, "display.max_columns", 3):
        text = str(rows)
    assert text == repr(rows)
    *lines, last, stop = text.splitlines()
    assert max(map(len, text.splitlines())) <= 105
    assert len(lines) == 3
    assert lines[0].split() == MAIN
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split() == "none 0 10 0.7130 - - - - - - baseline".split()
    assert lines[2].split() == (
        "input_50%|x 0.25 10 0.7590 0.0460 0.0347 0.0573 "
        "0.0500 0.0200 0.0020 better".split()
    )
    assert last == (
        "accuracy: higher is better; "
        "more columns: sd, median, iqm, win_*, p, e_value, lost, diverged"
    )
    assert stop == "holds if the number of seeds was fixed beforehand"


def test_text_says_which_way_is_better(rows):
    rows.attrs["lower_is_better"] = True
    assert "\naccuracy: lower is better; more" in str(rows)
    rows.attrs["metric"] = "<b>"
    assert "<p>&lt;b&gt;: lower is better; more" in rows._repr_html_()
    rows.attrs.clear()
    assert str(rows).splitlines()[-1].startswith("more columns: sd, ")


def test_text_of_other_columns(rows):
    """Diverged runs and added columns are shown; chosen columns are all there is."""
    lost = rows.assign(diverged=[0, 2], note="ours")
    *lines, last, _ = str(lost).splitlines()
    assert lines[0].split() == [*MAIN[:-1], "diverged", "verdict", "note"]
    assert lines[2].split()[-3:] == ["2", "better", "ours"]
    assert last.endswith("win_*, p, e_value, lost")
    chosen = str(rows[["placement", "p"]]).splitlines()
    assert [line.split()[-1] for line in chosen] == ["p", "-", "0.0020"]


def test_no_verdict_is_no_none(rows):
    rows = rows.assign(verdict=["baseline", "none"])
    for text in (str(rows), rows.to_markdown(), rows.to_latex(), rows._repr_html_()):
        assert "no verdict" in text
    assert rows["verdict"].tolist() == ["baseline", "none"]


def test_markdown(rows):
    lines = rows.to_markdown().splitlines()
    assert len(lines) == 4
    cells = [line.replace(r"\|", "/").strip("|").split("|") for line in lines]
    assert [cell.strip() for cell in cells[0]] == list(rows)
    assert {len(line) for line in cells} == {len(rows.columns)}
    assert [cell.strip() for cell in cells[3]][:4] == [
        "input_50%/x",
        "0.25",
        "10",
        "0.7590",
    ]
    assert cells[1][0].endswith("-")
    assert cells[1][3].endswith("-:")  # numbers to the right


def test_latex(rows):
    """The columns that are printed, or those that are asked for."""
    text = rows.to_latex()
    assert r"\begin{tabular}{lrrrrrrrrrl}" in text
    assert r"input\_50\%|x & 0.25 & 10 & 0.7590 & 0.0460" in text
    assert r"p\_holm" in text
    assert text.count(r"\\") == 3
    assert text.splitlines()[2].count("&") == len(MAIN) - 1
    every = rows.to_latex(columns=list(rows))
    assert every.splitlines()[2].count("&") == len(rows.columns) - 1
    assert rows[["placement", "p"]].to_latex().splitlines()[2].count("&") == 1


def test_formats_of_numbers(rows):
    """The user's, for all numbers but strengths, which are names."""
    for form in ("%.2f", "{:.2f}".format):
        text = rows.to_latex(float_format=form, na_rep="?")
        assert (
            r"x & 0.25 & 10 & 0.76 & 0.05 & 0.03 & 0.06 & 0.05 & 0.02 & 0.00 & better"
            in text
        )
        assert r"none & 0 & 10 & 0.71 & ? & ?" in text
    assert "|     0.76 |" in rows.to_markdown(floatfmt=".2f")


@pytest.mark.usefixtures("texts_are_objects")
def test_names_keep_to_their_cells(rows):
    """A newline would end a row of Markdown, and half a character no file takes."""
    odd = rows.assign(placement=["none", "two\nlines |\r\n\ud800"])
    assert "two lines | \N{REPLACEMENT CHARACTER}" in odd.to_latex()
    lines = odd.to_markdown().splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith(r"| two lines \|")
    str(odd).encode("utf-8")


def test_options_and_files(rows, tmp_path):
    rows.to_markdown(tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text().strip() == rows.to_markdown()
    assert rows.to_markdown(index=True).splitlines()[2].startswith("| 0")
    assert r"\caption{Paired}" in rows.to_latex(caption="Paired")


def test_notebooks(rows):
    html = rows._repr_html_()
    assert html.count("<tr") == 3
    assert "<td>0.7590</td>" in html
    assert "0.758999" not in html


def test_it_stays_a_table(rows):
    some = rows.loc[rows["verdict"] != "baseline", ["placement", "difference"]]
    assert type(some) is type(rows)
    assert "0.0460" in str(some)
    indexed = rows.set_index("placement")
    assert str(indexed).splitlines()[-3].startswith("input_50%|x")
    assert indexed.to_markdown().splitlines()[-1].startswith(r"| input_50%\|x")
    assert "placement" in str(rows.iloc[:0])


def test_small_numbers_keep_three_digits(rows):
    small = rows.assign(
        mean=rows["mean"] / 1e4, p=[np.nan, 1e-6], p_holm=[np.nan, 0.02]
    )
    text = small.to_markdown()
    assert "0.0000759" in text
    assert "<0.0001" in text
    assert "0.0200" in text


def test_differences_share_their_decimals(rows):
    tiny = rows.assign(**{name: rows[name] / 1e4 for name in TOGETHER})
    shown = str(tiny).splitlines()[2].split()[4:7]
    assert shown == ["0.00000460", "0.00000347", "0.00000573"]
