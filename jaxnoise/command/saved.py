"""A model in a folder: what prepares a table, the network, and what they are for.

No file of it holds code: reading one makes objects of the types in `TYPES` alone, which
are those that `preparation` is made of, and runs nothing that is in it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from jaxnoise.command.columns import FileError
from jaxnoise.command.reading import columns_of, read_table
from jaxnoise.estimators.saving import load

FORMAT = "jaxnoise model 1"
ABOUT, PREPARATION, NETWORK = "about.json", "preparation.skops", "network.safetensors"
TYPES = [
    "numpy.dtype",
    "skrub._apply_to_each_col.ApplyToEachCol",
    "skrub._check_input.CheckInputDataFrame",
    "skrub._clean_categories.CleanCategories",
    "skrub._clean_null_strings.CleanNullStrings",
    "skrub._dataframe._common.is_any_date",
    "skrub._dataframe._common.is_categorical",
    "skrub._dataframe._common.is_numeric",
    "skrub._datetime_encoder.DatetimeEncoder",
    "skrub._drop_uninformative.DropUninformative",
    "skrub._duration_to_float.DurationToFloat",
    "skrub._squashing_scaler.SquashingScaler",
    "skrub._string_encoder.StringEncoder",
    "skrub._table_vectorizer.PassThrough",
    "skrub._table_vectorizer.ShortReprDict",
    "skrub._table_vectorizer.TableVectorizer",
    "skrub._table_vectorizer._created_by_predicate",
    "skrub._to_datetime.ToDatetime",
    "skrub._to_float.ToFloat",
    "skrub._to_str.ToStr",
    "skrub.selectors._base.All",
    "skrub.selectors._base.And",
    "skrub.selectors._base.Cols",
    "skrub.selectors._base.Filter",
    "skrub.selectors._base.Sub",
    "skrub.selectors._selectors._cardinality_below",
]


def save_model(model: Pipeline, folder: Path, about: Mapping[str, Any]) -> None:
    """Write a fitted Pipeline of `preparation` and a network.

    Args:
        model: what is written.
        folder: where; files that are there are replaced.
        about: what JSON can hold; ``kinds`` of the columns and the ``target``.
    """
    import skops.io

    folder.mkdir(parents=True, exist_ok=True)
    skops.io.dump(model[0], folder / PREPARATION)
    model[-1].save(folder / NETWORK)
    told = json.dumps({"format": FORMAT, **about}, indent=1, allow_nan=False)
    (folder / ABOUT).write_text(told, "utf-8")


def load_model(folder: Path) -> tuple[Pipeline, dict[str, Any]]:
    """What `save_model` wrote.

    Raises:
        FileError: if it is no such folder, or holds other types.
    """
    import skops.io

    try:
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        if about["format"] != FORMAT:
            raise FileError(
                f"{folder}: the format is {about['format']!r}, not {FORMAT!r}"
            )
        about = {name: about[name] for name in ("kinds", "styles", "target", "answer")}
        types = skops.io.get_untrusted_types(file=folder / PREPARATION)
        strange = sorted({*types} - {*TYPES})
        if strange:
            raise FileError(f"{folder}: {PREPARATION} holds {strange[0]}: not loaded")
        prepare = skops.io.load(folder / PREPARATION, trusted=types)
        return Pipeline(
            [("prepare", prepare), ("network", load(folder / NETWORK))]
        ), about
    except FileError:
        raise
    except Exception as error:  # of a damaged file any library says its own
        first = str(error).partition("\n")[0]
        raise FileError(
            f"{folder}: no model that `jaxnoise tune` wrote, or damaged ({first})"
        ) from error


def predictions(folder: Path, path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A row for each row of a file: what the model predicts, and its probabilities.

    Beside it what was done to the file, a line each.

    Raises:
        FileError: if the file lacks a column, or the model cannot be read.
    """
    model, about = load_model(folder)
    kinds, styles = about["kinds"], about["styles"]
    table = read_table(path, kinds=kinds, styles=styles)
    X = columns_of(table.frame, [*kinds], path)
    found = pd.DataFrame({about["target"]: np.asarray(model.predict(X))})
    if hasattr(model[-1], "classes_"):
        shares = np.asarray(model.predict_proba(X))
        for i, name in enumerate(model[-1].classes_):
            found[f"probability of {name}"] = shares[:, i]
    return found, table.notes
