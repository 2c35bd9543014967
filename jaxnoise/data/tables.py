"""Real tables that come with scikit-learn: a row an example, a column a measurement.

`breast_cancer` has two classes, `wine` three, `diabetes` a number to predict. Their few
rows make them a place where noise may help, and where one division says little: see
`draws`. Columns are standardised by the train rows alone, so that noise of one stddev
means the same in each and the test rows stay unseen.
"""

import numpy as np

from jaxnoise.data.division import divide, mean_and_stddev, standardised
from jaxnoise.data.sets import Data


def breast_cancer(
    train_size: int | None = None, *, validation: int = 0, seed: int = 0
) -> Data:
    """Return 569 tumours with 30 measurements of their cells: malignant or benign.

    No division is published: ``seed`` draws one, stratified by class. Each column has
    mean 0 and standard deviation 1 over the train rows; one that is constant there is
    divided by 1.

    Args:
        train_size: rows of the train set, at least 1; None for four fifths of all
            rows, less the validation rows.
        validation: rows of a validation set; 0 for none.
        seed: of the division; an int. For a seed, a larger train set holds the smaller,
            and validation rows do not depend on ``train_size``.

    Returns:
        Data with ``train``, ``test`` and ``validation`` if asked for: x of shape
        (rows, 30); y of shape (rows, 1), 1 for the 357 benign ones.

    Raises:
        TypeError: if a size or the seed is no int.
        ValueError: if one is out of range.

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

    No division is published: ``seed`` draws one, stratified by class. Each column has
    mean 0 and standard deviation 1 over the train rows; one that is constant there is
    divided by 1.

    Args:
        train_size: rows of the train set, at least 1; None for four fifths of all
            rows, less the validation rows.
        validation: rows of a validation set; 0 for none.
        seed: of the division; an int. For a seed, a larger train set holds the smaller,
            and validation rows do not depend on ``train_size``.

    Returns:
        Data with ``train``, ``test`` and ``validation`` if asked for: x of shape
        (rows, 13); y of shape (rows,), integers from 0 to 2.

    Raises:
        TypeError: if a size or the seed is no int.
        ValueError: if one is out of range.

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

    No division is published: ``seed`` draws one. Each column, and the target, has mean
    0 and standard deviation 1 over the train rows; a column that is constant there is
    divided by 1. Over all patients the target is 152 with a standard deviation of 77,
    so that a squared error of 0.5 is one of about ``0.5 * 77**2``. For the exact units,
    ``z * y.std() + y.mean()`` with the y of the train rows of the same call with
    ``standardise_targets=False``.

    Args:
        train_size: rows of the train set, at least 1; None for four fifths of all
            rows, less the validation rows.
        validation: rows of a validation set; 0 for none.
        seed: of the division; an int. For a seed, a larger train set holds the smaller,
            and validation rows do not depend on ``train_size``.
        standardise_targets: whether y has mean 0 and standard deviation 1 over the
            train rows, or its own units.

    Returns:
        Data with ``train``, ``test`` and ``validation`` if asked for: x of shape
        (rows, 10); y of shape (rows, 1).

    Raises:
        TypeError: if a size or the seed is no int.
        ValueError: if one is out of range.

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
