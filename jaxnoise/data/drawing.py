"""Drawing data: one task afresh, and any data set several times.

`draw_sets` is behind every task that is drawn at will, so that their arguments mean the
same. `draws` makes the splits of a sweep from such a task, or from a real data set.
"""

from collections.abc import Callable
from typing import Any

from numpy.random import RandomState

from jaxnoise.checks import shown
from jaxnoise.data.checks import check_int, check_seed
from jaxnoise.data.memory import byte_count, check_fits
from jaxnoise.data.sets import Data, Rows

Draw = Callable[[int, RandomState], Rows]  # (number of rows, state) -> rows


def draw_sets(
    name: str,
    draw: Draw,
    *,
    row_bytes: int,
    samples: int,
    train_size: int,
    seed: int,
    validation: int,
    population: int,
    population_seed: int,
    draw_population: Draw | None = None,
) -> Data:
    """The sets of a task: train and test as one draw, then validation, and population.

    ``row_bytes`` is what a row takes at the peak, while it is drawn in float64. The
    population comes from ``draw`` unless it has a function of its own.
    """
    _check_sizes(samples, train_size, validation, population)
    check_seed("seed", seed)
    check_seed("population_seed", population_seed)
    rows = samples + validation + population
    check_fits(f"{name}: {rows:,} rows", rows * row_bytes, "ask for fewer rows")
    state = RandomState(seed)
    x, y = draw(samples, state)
    sets = {"test": (x[train_size:], y[train_size:])}
    if validation:
        sets["validation"] = draw(validation, state)
    draw_population = draw_population or draw
    data = Data(
        train=(x[:train_size], y[:train_size]),
        **sets,
        population=draw_population(population, RandomState(population_seed)),
    )
    data.overlap = 0.0
    return data


def draws(
    make: Callable[..., Data], n: int, *, seed: int = 0, **options: Any
) -> list[Data]:
    """Draw a task or a data set several times.

    Draws of a task that is made at will, such as `circles`, are independent: each has
    train, test and validation rows of its own. What ``make`` draws from another seed is
    shared, as is the population: it stands for the one distribution that all draws are
    from.

    Draws of a real data set, such as `breast_cancer`, share rows, and where the
    division is published all of their test rows. Intervals over them speak about which
    rows of this data set a model is trained on, not about a new data set. All draws
    carry an ``overlap`` of 0: `compare` takes them as independent.

    Args:
        make: a function that takes ``seed`` and returns `Data`, such as `circles`.
        n: the number of draws.
        seed: of the first draw; the others count on from it.
        **options: are passed on to ``make``.

    Raises:
        TypeError: if ``make`` is no function that returns Data, or a number no int.
        ValueError: if ``n`` is below 1 or ``seed`` out of range.
        MemoryError: if the draws need more memory than is free, told after the first.

    Example:
        >>> import jaxnoise as jn
        >>> jn.data.draws(jn.data.circles, 30, validation=50, population=1000)[0]
        Data(train=30 rows, test=70 rows, validation=50 rows, population=1000 rows)
        >>> jn.data.draws(jn.data.breast_cancer, 10, train_size=50, validation=100)[0]
        Data(train=50 rows, test=419 rows, validation=100 rows)
    """
    if not callable(make):
        raise TypeError(
            "make must be a function that returns Data, such as jn.data.circles, "
            f"got {shown(make)}."
        )
    check_int("n", n, 1)
    check_int("seed", seed, 0, 2**32 - n)

    def draw(i: int) -> Data:
        made = make(seed=seed + i, **options)
        if not isinstance(made, Data):
            raise TypeError(f"make must return Data, got {type(made).__name__}.")
        if made.overlap is None:
            made.overlap = 0.0
        return made

    first = draw(0)
    check_fits(
        f"draws: {n:,} draws", n * byte_count(first), "ask for fewer draws or rows"
    )
    return [first, *map(draw, range(1, n))]


def _check_sizes(
    samples: int, train_size: int, validation: int, population: int
) -> None:
    check_int("samples", samples, 2)
    check_int("train_size", train_size, 1)
    if train_size >= samples:
        raise ValueError(
            f"train_size must be at least 1 and less than samples ({samples}), "
            f"got {train_size}."
        )
    check_int("validation", validation, 0)
    check_int("population", population, 1)
