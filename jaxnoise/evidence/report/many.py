"""The page of several data sets: what holds over them, and what each of them says."""

from functools import partial
from typing import Any

import pandas as pd

from jaxnoise.evidence import plots
from jaxnoise.evidence.format import in_words, joined, table_text
from jaxnoise.evidence.many import ManyComparison
from jaxnoise.evidence.plots.page import drawn_for_page
from jaxnoise.results import cell_columns

SHOWN = "n difference low high effect error p_holm verdict".split()


def filled(many: ManyComparison, title: str | None) -> dict[str, Any]:
    """What the template of the page takes."""
    summary, cells = many.summary, cell_columns(many.summary)
    names = [
        f"{joined(row)} in {in_words(metric)}"
        for row, metric in zip(
            summary[cells].to_dict("records"), summary["metric"], strict=True
        )
    ]
    compared = many.sets[many.sets["verdict"] != "baseline"]
    drawn = [
        drawn_for_page(partial(plots.sets_forest, many, row=i), f"figure-{i + 1}")
        for i in range(len(summary))
    ]
    return {
        "title": title or f"Would noise help? {many.sets['set'].nunique()} data sets",
        "rows": list(zip(summary.itertuples(), names, strict=True)),
        "tables": [
            titled_table("Over the data sets", summary),
            titled_table(
                "On each data set", compared[["set", "metric", *cells, *SHOWN]]
            ),
        ],
        "figures": [(name, *each) for name, each in zip(names, drawn, strict=True)],
    }


def titled_table(caption: str, table: pd.DataFrame) -> tuple[str, list[str], Any]:
    """A table as the template takes it."""
    heads = [in_words(name) for name in table]
    return caption, heads, table_text(table).to_numpy().tolist()
