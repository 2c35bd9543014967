"""What is too good to be true in a table: repeated rows, ids, columns that know.

`suspects` tells each in a sentence. A column gives the target away if the rows that
stand next to each other in its order have the same target: every row is predicted by
its four neighbours and not by itself, which costs one sort a column.
"""

import numpy as np
import pandas as pd

from jaxnoise.command.columns import shown

ROWS = 20_000  # drawn at random from more, to look for what gives the target away
GIVEN_AWAY = 0.99  # of the classes or of the variance of the target's ranks
DIFFERENT = 0.95  # of an id's values
CAUTION = 7  # a chance below exp(-7) for all columns together is no chance
FEWEST = 20  # rows that can tell anything


def duplicate_groups(frame: pd.DataFrame) -> np.ndarray:
    """The number of each row's group of equal rows, from 0, in the order of rows."""
    hashes = pd.util.hash_pandas_object(frame, index=False)
    return pd.factorize(hashes.to_numpy())[0]


def suspects(
    frame: pd.DataFrame,
    target: pd.Series,
    places: np.ndarray,
    classification: bool,
    groups: pd.Series | np.ndarray | None = None,
) -> list[str]:
    """What is too good to be true, a sentence each.

    Of more than 20,000 rows so many are drawn, always the same, to look for columns
    that give the target away.

    Args:
        frame: columns to predict from: numbers, dates and words.
        target: what to predict, without gaps.
        places: of the rows in words, such as "row 1".
        classification: whether it is a class, and not a number.
        groups: rows of one group are together anyway, so they may be equal.
    """
    told = _repeats(frame, target, places, groups)
    if len(frame) < FEWEST:
        return told
    drawn = np.random.default_rng(0).permutation(len(frame))[:ROWS]
    known = pd.factorize(target)[0] if classification else target.rank().to_numpy()
    known = known[drawn]
    caution = CAUTION + np.log(max(frame.shape[1], 1))
    chance = np.exp(-caution)
    for name in frame:
        order = _in_numbers(frame[name])
        sign = _id(frame[name], order, caution)
        order = order[drawn]
        ordered = known[np.argsort(order, kind="stable")]
        if classification:
            share, what = _classes_told(ordered, caution), "the classes"
        else:
            share, what = _ranks_told(ordered), "the variance of its ranks"
        if sign:
            p = _p(order, known, classification) if share < GIVEN_AWAY else 1
            related = ", and it is related to the target" if p < chance else ""
            told.append(f"column {shown(name)} {sign}{related}")
        if share >= GIVEN_AWAY:
            told.append(
                f"column {shown(name)} gives the target away: alone it tells "
                f"{share:.1%} of {what}. Is it known before the target is?"
            )
    return told


def _repeats(
    frame: pd.DataFrame,
    target: pd.Series,
    places: np.ndarray,
    groups: pd.Series | np.ndarray | None,
) -> list[str]:
    equal = duplicate_groups(frame)
    first = np.unique(equal, return_index=True)[1][equal]  # row that each one repeats
    repeats = first != np.arange(len(frame))
    if groups is not None:
        group = np.asarray(groups)
        repeats &= group != group[first]
    if not repeats.any():
        return []
    values = target.to_numpy()
    agree = int((values == values[first])[repeats].sum())
    number, row = int(repeats.sum()), int(repeats.argmax())
    return [
        f"{number} of {len(frame)} rows repeat an earlier row in all columns but the "
        f"target, such as {places[row]} {places[first[row]]}; the target agrees in "
        f"{agree} of them"
    ]


def _in_numbers(column: pd.Series) -> np.ndarray:
    """A column's order as numbers; a gap is NaN."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float)
    codes = pd.factorize(column, sort=True)[0].astype(float)
    return np.where(codes < 0, np.nan, codes)


def _neighbours(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values, and the two before and the two after each of them."""
    windows = np.lib.stride_tricks.sliding_window_view(ordered, 5)
    return windows[:, 2], windows[:, [0, 1, 3, 4]]


def _ranks_told(ranks: np.ndarray) -> float:
    """The share of the variance of ranks that neighbours tell."""
    ranks, around = _neighbours(ranks)
    if ranks.var() == 0:
        return 0.0
    return float(1 - np.mean((around.mean(axis=1) - ranks) ** 2) / ranks.var())


def _classes_told(classes: np.ndarray, caution: float) -> float:
    """The share of rows that neighbours tell, on average over the classes.

    A class is told where two of the four neighbours have it; classes of less than
    three rows cannot be. It is 0 where chance may have done it.
    """
    classes, around = _neighbours(classes)
    told = (around == classes[:, None]).sum(axis=1) >= 2
    sizes, hits = np.bincount(classes), np.bincount(classes, told)
    sizes, hits = sizes[sizes > 2], hits[sizes > 2]
    share = sizes / len(classes)
    chance = 1 - (1 - share) ** 4 - 4 * share * (1 - share) ** 3
    # Neighbours share neighbours, so that two rows say no more than one would alone.
    evidence = -np.sum(hits * np.log(chance)) / 2
    return float(np.mean(hits / sizes)) if evidence > caution else 0.0


def _id(column: pd.Series, order: np.ndarray, caution: float) -> str:
    """What makes a column an id, if it is one."""
    filled = order[~np.isnan(order)]
    different = len(np.unique(filled))
    if len(filled) < FEWEST or different < DIFFERENT * len(filled):
        return ""
    if not pd.api.types.is_numeric_dtype(column):
        words = not pd.api.types.is_datetime64_any_dtype(column)
        return "is an id or a text: nearly all its words differ" if words else ""
    if (filled % 1).any():
        return ""
    steps = np.diff(filled)
    if (steps >= 0).all() or (steps <= 0).all():
        return "is an id: whole numbers that run with the rows"
    # Random whole numbers in so narrow a span would repeat themselves.
    repeats = len(filled) ** 2 / 2 / (np.ptp(filled) + 1)
    unique = different == len(filled) and repeats > caution
    return "is an id: whole numbers without a repeat" if unique else ""


def _p(order: np.ndarray, known: np.ndarray, classification: bool) -> float:
    """How likely chance alone relates an order and a target so closely."""
    from scipy import stats

    filled = ~np.isnan(order)
    order, known = order[filled], known[filled]
    if len(np.unique(known)) < 2:
        return 1.0
    if not classification:
        return float(stats.spearmanr(order, known).pvalue)
    samples = [order[known == each] for each in np.unique(known)]
    return float(stats.kruskal(*samples).pvalue)
