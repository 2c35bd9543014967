"""Data sets of a run, and where to get some.

`Data` names the sets of one split: ``train``, on which the model is trained, and any
number of evaluation sets. `circles` is the task of the case study.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Rows = tuple[Any, Any]


@jax.tree_util.register_pytree_with_keys_class
class Data(Mapping[str, Rows]):
    """The sets of one split, each a pair ``(x, y)`` of arrays with equal row counts.

    A mapping from name to ``(x, y)``, with the names as attributes too, and a pytree,
    so that it is an argument of compiled programs. ``x`` may itself be a pytree of
    arrays (values and a mask). Arrays are kept in host memory; float64 becomes float32
    unless JAX has 64-bit types enabled.

    Args:
        train: the rows that are trained on.
        **sets: evaluation sets by name; ``test``, ``validation``, ``population`` are
            the usual names. A set named ``validation`` picks the best epoch.

    Raises:
        TypeError: if a set is no pair or holds no numbers.
        ValueError: if a set is empty, its row counts differ, it holds NaN or infinite
            values, or sets differ in anything but their number of rows.

    Example:
        >>> import numpy as np, jaxnoise as jn
        >>> x, y = np.ones((5, 2)), np.zeros((5, 1))
        >>> jn.Data(train=(x[:3], y[:3]), test=(x[3:], y[3:]))
        Data(train=3 rows, test=2 rows)
    """

    def __init__(self, train: Rows, **sets: Rows) -> None:
        given = {"train": train, **sets}
        self._sets = {name: _rows(name, pair) for name, pair in given.items()}
        for name, pair in self._sets.items():
            if _form(pair) != _form(self.train):
                raise ValueError(
                    f"{name} must have the form of train but for its number of rows: "
                    f"{_form(self.train)}, got {_form(pair)}."
                )

    def __getitem__(self, name: str) -> Rows:
        return self._sets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sets)

    def __len__(self) -> int:
        return len(self._sets)

    def __getattr__(self, name: str) -> Rows:
        try:
            return self.__dict__["_sets"][name]
        except KeyError:
            raise AttributeError(f"Data has no set named {name!r}.") from None

    def __repr__(self) -> str:
        counts = (f"{name}={row_count(pair)} rows" for name, pair in self.items())
        return f"Data({', '.join(counts)})"

    def tree_flatten_with_keys(self) -> tuple[Any, tuple[str, ...]]:
        """The pairs with their names as keys, for JAX."""
        keys = [jax.tree_util.GetAttrKey(name) for name in self]
        return list(zip(keys, self.values(), strict=True)), tuple(self)

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], pairs: Any) -> "Data":
        """Data of pairs that JAX has mapped."""
        data = object.__new__(cls)  # leaves may be tracers: nothing to check
        data._sets = dict(zip(names, pairs, strict=True))
        return data


def row_count(tree: Any) -> int:
    """The common length of the leading axes."""
    return jax.tree.leaves(tree)[0].shape[0]


def circles(
    samples: int = 100,
    train_size: int = 30,
    *,
    noise: float = 0.1,
    seed: int = 1,
    population: int = 20_000,
    population_seed: int = 12_345,
) -> Data:
    """Return the two concentric circles of the case study.

    Points on circles of radius 1 (target 0) and 0.8 (target 1) plus Gaussian noise,
    from scikit-learn's ``make_circles``; the first ``train_size`` of ``samples`` points
    are the train set, the others the test set, as drawn. A large second draw, the
    population, tells what a small test set cannot.

    Args:
        samples: points of train and test set together.
        train_size: points of the train set, at least 1 and less than ``samples``.
        noise: standard deviation of the noise on both coordinates, in units of the
            outer radius.
        seed: of the points; an int.
        population: points of the population set.
        population_seed: of the population; an int.

    Returns:
        Data with ``train``, ``test`` and ``population``: x of shape (rows, 2), y of
        shape (rows, 1).

    Raises:
        ValueError: if a size is out of range or ``noise`` is negative or not finite.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.circles()
        Data(train=30 rows, test=70 rows, population=20000 rows)
    """
    from sklearn.datasets import make_circles  # slow to import

    if not 1 <= train_size < samples:
        raise ValueError(
            f"train_size must be at least 1 and less than samples ({samples}), "
            f"got {train_size}."
        )
    if population < 1:
        raise ValueError(f"population must be at least 1, got {population}.")
    _check_circles_noise(noise)

    def draw(n: int, random_state: int) -> Rows:
        x, y = make_circles(n_samples=n, noise=noise, random_state=random_state)
        return x, y[:, None].astype(np.float32)

    x, y = draw(samples, seed)
    return Data(
        train=(x[:train_size], y[:train_size]),
        test=(x[train_size:], y[train_size:]),
        population=draw(population, population_seed),
    )


class Bayes(NamedTuple):
    """What the best possible rule reaches on a task.

    Attributes:
        accuracy: the highest possible accuracy.
        loss: the lowest possible cross-entropy, in nats.
        radius: for `circles`, the distance from the origin at which the rule switches.
    """

    accuracy: float
    loss: float
    radius: float


def circles_bayes(noise: float = 0.1, *, factor: float = 0.8) -> Bayes:
    """Return what the best possible rule reaches on `circles`.

    The distance r of a point from the origin is Rice-distributed around the radius of
    its circle, with density f. The likelihood ratio of two Rice laws grows with r, so
    the best rule is a threshold t where they cross; its accuracy is ``(F_inner(t) + 1 -
    F_outer(t)) / 2``, and the lowest cross-entropy the mean of ``-log p(class | r)``.

    Args:
        noise: standard deviation of the noise, in units of the outer radius.
        factor: inner radius over outer radius, in (0, 1).

    Raises:
        ValueError: if ``noise`` is negative or not finite, or ``factor`` out of range.

    Reference: S. O. Rice, "Mathematical analysis of random noise", 1944.

    Example:
        >>> import jaxnoise as jn
        >>> round(jn.data.circles_bayes(0.1).accuracy, 4)
        0.8406
    """
    from scipy.integrate import quad  # slow to import
    from scipy.optimize import brentq
    from scipy.special import i0e
    from scipy.stats import rice

    _check_circles_noise(noise)
    if not 0 < factor < 1:
        raise ValueError(f"factor must be between 0 and 1, got {factor}.")
    if noise == 0:
        return Bayes(1.0, 0.0, (1 + factor) / 2)

    def log_ratio(r: float) -> float:
        """The outer density over the inner, free of underflow."""
        bessel = np.log(i0e(r / noise**2)) - np.log(i0e(r * factor / noise**2))
        return float(bessel + ((r - factor) ** 2 - (r - 1) ** 2) / (2 * noise**2))

    radius = brentq(log_ratio, 0, 1 + 10 * noise)
    inner, outer = rice(factor / noise, scale=noise), rice(1 / noise, scale=noise)

    def surprise(r: float) -> float:
        """-log p(class | r), times the density of r, summed over both classes."""
        z = log_ratio(r)
        return float(
            inner.pdf(r) * np.logaddexp(0, z) + outer.pdf(r) * np.logaddexp(0, -z)
        )

    ends = max(0.0, factor - 12 * noise), 1 + 12 * noise
    loss = quad(surprise, *ends, points=[radius], limit=200)[0] / 2
    return Bayes(float(inner.cdf(radius) + outer.sf(radius)) / 2, loss, radius)


def _check_circles_noise(noise: float) -> None:
    if not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise must be finite and >= 0, got {noise}.")


def _rows(name: str, pair: Any) -> Rows:
    """``(x, y)`` as host arrays in the types that JAX will use."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"{name} must be a pair (x, y), got {type(pair).__name__}.")
    x, y = jax.tree.map(lambda leaf: _array(name, leaf), tuple(pair), is_leaf=_is_list)
    counts = {leaf.shape[:1] for leaf in jax.tree.leaves((x, y))}
    if len(counts) != 1 or counts == {()}:
        raise ValueError(
            f"{name}: x and y must have the same number of rows, "
            f"got shapes {jax.tree.map(np.shape, (x, y))}."
        )
    if counts == {(0,)}:
        raise ValueError(f"{name} must have at least one row, got none.")
    return x, y


def _is_list(node: Any) -> bool:
    """A list is array data; dicts and tuples are pytrees of arrays."""
    return isinstance(node, list)


def _array(name: str, leaf: Any) -> np.ndarray:
    try:
        array = np.asarray(leaf)
    except ValueError:  # a ragged list
        raise TypeError(f"{name} must hold arrays of numbers, got {leaf!r}.") from None
    if not (jnp.issubdtype(array.dtype, np.number) or array.dtype == bool):
        raise TypeError(f"{name} must hold numbers, got {array.dtype}.")
    array = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
    if jnp.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise ValueError(
            f"{name} must be finite, got {bad} NaN or infinite values of {array.size}; "
            "drop or impute them first."
        )
    return array


def _form(pair: Rows) -> Any:
    """Structure, types and shapes without the rows."""
    leaves, structure = jax.tree.flatten(pair)
    return structure, tuple((str(leaf.dtype), leaf.shape[1:]) for leaf in leaves)
