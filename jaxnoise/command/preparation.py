"""From columns of words, dates and numbers with gaps to numbers without.

Numbers are scaled, with long tails drawn in, and gaps become the median, beside a
column of 0 and 1 that tells where they were; words and dates become numbers as skrub's
``TableVectorizer`` makes them. All of it is learned from the rows that train.
"""

from collections.abc import Mapping

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from jaxnoise.command.columns import FileError

MOST_PARTS = 20  # columns that one column of many different words becomes


def preparation(kinds: Mapping[str, str]) -> ColumnTransformer:
    """What brings a table before a network, not fitted.

    Args:
        kinds: "number", "date" or "words" of each column, by its name.

    Raises:
        FileError: if skrub is not installed.
    """
    try:
        from skrub import SquashingScaler, StringEncoder, TableVectorizer
    except ImportError as error:
        cure = 'python -m pip install "jaxnoise[table]"'
        raise FileError(f"tables take skrub, which is not there: {cure}") from error
    gaps = SimpleImputer(
        strategy="median", add_indicator=True, keep_empty_features=True
    )
    words = StringEncoder(n_components=MOST_PARTS, random_state=0)
    # Every word has a column, so that words which rows that train lack have none.
    few = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype="float32")
    parts = [
        ("numbers", make_pipeline(SquashingScaler(), gaps), _of(kinds, "number")),
        (
            "others",
            make_pipeline(
                TableVectorizer(low_cardinality=few, high_cardinality=words),
                gaps,
                StandardScaler(),
            ),
            _of(kinds, "date", "words"),
        ),
    ]
    return ColumnTransformer([part for part in parts if part[2]])


def _of(kinds: Mapping[str, str], *chosen: str) -> list[str]:
    return [name for name, kind in kinds.items() if kind in chosen]
