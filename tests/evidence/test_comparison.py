"""The table of a comparison prints whole, in text, Markdown, LaTeX and notebooks."""

import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn


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


def test_text_is_whole(rows):
    with pd.option_context("display.width", 40, "display.max_columns", 3):
        text = str(rows)
    assert text == repr(rows)
    lines = text.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == list(rows)
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split() == (
        "none 0 10 0.7130 0.0116 0.7100 0.7117 - - - - - - - - - - 0 baseline".split()
    )
    assert lines[2].split()[:8] == (
        "input_50%|x 0.25 10 0.7590 0.0088 0.7600 0.7583 0.0460".split()
    )


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
    text = rows.to_latex()
    assert r"\begin{tabular}{lrrrrrrrrrrrrrrrrrl}" in text
    assert r"input\_50\%|x & 0.25 & 10 & 0.7590" in text
    assert r"p\_holm" in text
    assert text.count(r"\\") == 3


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
    assert str(indexed).splitlines()[-1].startswith("input_50%|x")
    assert indexed.to_markdown().splitlines()[-1].startswith(r"| input_50%\|x")
    assert "placement" in str(rows.iloc[:0])


def test_small_numbers_keep_three_digits(rows):
    small = rows.assign(
        mean=rows["mean"] / 1e4, p=[np.nan, 1e-6], p_holm=[np.nan, 0.02]
    )
    text = str(small)
    assert "0.0000759" in text
    assert "<0.0001" in text
    assert "0.0200" in text


def test_differences_share_their_decimals(rows):
    tiny = rows.assign(
        difference=rows["difference"] / 1e4,
        low=rows["low"] / 1e4,
        high=rows["high"] / 1e4,
    ).drop(columns=["boot_low", "boot_high"])
    shown = str(tiny).splitlines()[2].split()[7:10]
    assert shown == ["0.00000460", "0.00000347", "0.00000573"]
