"""Real series, and one that is made like them, of shape (rows, steps, channels).

`mnist1d` is quick to train on and tells architectures apart, `italy_power_demand` has
few train rows, `japanese_vowels` has series of different lengths. All have a published
division; their values are as stored.
"""

import random
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from jaxnoise.data.division import divide
from jaxnoise.data.packages import bring
from jaxnoise.data.sets import Data

MNIST1D_TRAIN = 4000
ITALY_TRAIN = 67
VOWELS_TRAIN = 270
VOWELS_STEPS = 29  # the longest, a test row


def mnist1d(
    train_size: int | None = None,
    *,
    validation: int = 0,
    seed: int = 0,
    shuffled: bool = False,
) -> Data:
    """Return MNIST-1D: 5,000 made-up series of 40 steps, of ten classes.

    Needs the extra ``data`` (mnist1d). Ten templates, moved, stretched, sheared and
    covered by noise; made here by the package's own generator with its seed, 42, which
    leaves NumPy's and Python's global generators as they were. The first 4,000 are the
    train rows. With ``train_size`` or ``validation``, rows are drawn from these,
    stratified by class. Values are as made: mean 0 and standard deviation 1 over all.

    Published accuracies, in order and shuffled: logistic regression 32 and 32 %,
    perceptron 68 and 68 %, convolutions 94 and 56 %, recurrent 91 and 57 %.

    Args:
        train_size: rows of the train set, at least 1; None for all published train
            rows that validation leaves.
        validation: rows of a validation set; 0 for none.
        seed: of the division; an int. For a seed, a larger train set holds the smaller,
            and validation rows do not depend on ``train_size``.
        shuffled: whether the steps stand in another order, the same for all rows: the
            control, from which no model can gain by looking at neighbours.

    Returns:
        Data with ``train``, ``test`` and ``validation`` if asked for: x of shape
        (rows, 40, 1); y of shape (rows,), integers from 0 to 9.

    Raises:
        TypeError: if a size or the seed is no int.
        ValueError: if one is out of range.
        ImportError: if the package mnist1d is not installed.

    Reference: S. Greydanus, D. Kobak, "Scaling down deep learning with MNIST-1D", 2024.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.mnist1d(500, validation=500)
        Data(train=500 rows, test=1000 rows, validation=500 rows)
    """
    rows = _mnist1d(bool(shuffled))
    sets = divide(rows, train_size, validation, seed, published=MNIST1D_TRAIN)
    return Data(**sets)


def italy_power_demand(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 1,096 days of electricity demand by the hour: winter or summer half?

    Needs the extra ``series`` (aeon). The 67 published train rows are few for the 1,029
    test rows. With ``train_size`` or ``validation``, rows are drawn from these 67,
    stratified by class. Values are as stored: each day is standardised. Published test
    accuracies are 0.946 for a perceptron and 0.972 for a linear support vector machine.

    Args:
        train_size: rows of the train set, at least 1; None for all published train
            rows that validation leaves.
        validation: rows of a validation set; 0 for none.
        seed: of the division; an int. For a seed, a larger train set holds the smaller,
            and validation rows do not depend on ``train_size``.

    Returns:
        Data with ``train``, ``test`` and ``validation`` if asked for: x of shape
        (rows, 24, 1); y of shape (rows, 1), 1 for the archive's class 2.

    Raises:
        TypeError: if a size or the seed is no int.
        ValueError: if one is out of range.
        ImportError: if the package aeon is not installed.

    Reference: E. Keogh et al., "Intelligent icons: integrating lite-weight data mining
    and visualization into GUI operating systems", 2006.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.italy_power_demand()
        Data(train=67 rows, test=1029 rows)
    """
    rows = _italy_power_demand()
    sets = divide(rows, train_size, validation, seed, published=ITALY_TRAIN)
    return Data(**sets)


def japanese_vowels(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 640 utterances of two vowels, 12 coefficients a step: by which speaker?

    Needs the extra ``series`` (aeon). 270 train rows, 30 of each of nine speakers, and
    370 test rows, with 7 to 29 steps. With ``train_size`` or ``validation``, rows are
    drawn from the 270, stratified by speaker. Values are as stored, with standard
    deviations from 0.5 for the first coefficient to 0.1 for the last (`relative` suits
    noise to each), and zero after a series' end, up to 29 steps in all sets.

    Args:
        train_size: rows of the train set, at least 1; None for all published train
            rows that validation leaves.
        validation: rows of a validation set; 0 for none.
        seed: of the division; an int. For a seed, a larger train set holds the smaller,
            and validation rows do not depend on ``train_size``.

    Returns:
        Data with ``train``, ``test`` and ``validation`` if asked for: x is a pair,
        values of shape (rows, 29, 12) and lengths of shape (rows,), integers; y of
        shape (rows,), integers from 0 to 8.

    Raises:
        TypeError: if a size or the seed is no int.
        ValueError: if one is out of range.
        ImportError: if the package aeon is not installed.

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
    rows = _japanese_vowels()
    sets = divide(rows, train_size, validation, seed, published=VOWELS_TRAIN)
    return Data(**sets)


@cache  # making takes a second, and draws ask often
def _mnist1d(shuffled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Train rows, then test rows."""
    package = bring("mnist1d", "mnist1d.data", "data")
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
    rows, labels = _archive("italy_power_demand", "ItalyPowerDemand")
    y = (labels == 2).astype(np.float32)
    return np.stack(rows), y[:, None]


@cache
def _japanese_vowels() -> tuple[Any, np.ndarray]:
    """Train rows, then test rows, padded to one number of steps."""
    rows, labels = _archive("japanese_vowels", "JapaneseVowels")
    lengths = np.array([len(row) for row in rows], np.int32)
    values = np.zeros((len(rows), VOWELS_STEPS, rows[0].shape[1]), np.float32)
    for padded, row in zip(values, rows, strict=True):
        padded[: len(row)] = row
    return (values, lengths), labels - 1


def _archive(loader: str, name: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Series of shape (steps, channels) and labels, from files that come with aeon.

    Read here, as aeon's own reader compiles a second of code, and downloads what it
    does not find. A line is channels with ``:`` between them and the label at the end.
    """
    folder = files(bring(loader, "aeon", "series")) / "datasets" / "data" / name
    rows, labels = [], []
    for part in ("TRAIN", "TEST"):
        text = (folder / f"{name}_{part}.ts").read_text(encoding="utf-8")
        for line in text.partition("@data")[2].split():
            *channels, label = line.split(":")
            values = [np.array(channel.split(","), np.float32) for channel in channels]
            rows.append(np.stack(values, axis=1))
            labels.append(int(label))
    return rows, np.array(labels, np.int32)
