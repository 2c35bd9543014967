"""The map of gains by size and method, and the ranks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def sizes_map(by_size: Mapping[int, Any]) -> Any:
    """The mean effect of every method, by the number of labelled rows."""
    import matplotlib.pyplot as plt  # slow, and not for who trains

    found = pd.DataFrame({s: each.over_sets["mean"] for s, each in by_size.items()})
    sure = pd.DataFrame(
        {
            s: (each.over_sets["low"] > 0) | (each.over_sets["high"] < 0)
            for s, each in by_size.items()
        }
    )
    most = max(0.1, np.nanmax(np.abs(found.to_numpy())))
    size: Any = {"figsize": (2.6 + 0.9 * len(by_size), 0.9 + 0.28 * len(found))}
    figure, ax = plt.subplots(layout="constrained", **size)
    ax.imshow(found, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
    for (y, x), value in np.ndenumerate(found.to_numpy()):
        if np.isfinite(value):
            bold = "bold" if sure.iloc[y, x] else "normal"
            ink = "white" if abs(value) > 0.6 * most else "black"
            ax.text(
                x, y, f"{value:+.2f}", ha="center", va="center", color=ink, weight=bold
            )
    ax.set_xticks(range(found.shape[1]), [str(s) for s in found.columns])
    ax.set_yticks(range(len(found)), list(found.index))
    ax.tick_params(length=0)
    ax.set_xlabel(
        "labelled rows\n(mean effect on the score against the tuned\nnetwork; "
        "bold: the interval is beyond 0)"
    )
    return figure


def critical_difference(found: pd.DataFrame) -> float:
    """Of mean ranks, at 5 %: Nemenyi's test.

    Reference: J. Demsar, "Statistical comparisons of classifiers over multiple data
    sets", JMLR 7 (2006).
    """
    from scipy.stats import studentized_range

    sets, count = found.shape
    q = studentized_range.ppf(0.95, count, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(count * (count + 1) / (6 * sets)))


def ranks(found: pd.DataFrame) -> Any:
    """Mean ranks over the sets; within a critical difference none is told apart."""
    import matplotlib.pyplot as plt

    means, (sets, count) = found.mean().sort_values(), found.shape
    critical = critical_difference(found)
    size: Any = {"figsize": (5.4, 1.1 + 0.26 * count)}
    figure, ax = plt.subplots(layout="constrained", **size)
    y = np.arange(count)
    ax.axvspan(means.iloc[0], means.iloc[0] + critical, color="C0", alpha=0.15)
    ax.plot(means, y, "o", color="C0", markersize=5)
    ax.set_yticks(y, list(means.index))
    ax.invert_yaxis()
    ax.grid(axis="x", alpha=0.3)
    ax.set_xlabel(
        f"mean rank over {sets} sets of classes, the best left\n(band: critical "
        f"difference to the best, {critical:.2f}, at 5 %)"
    )
    return figure
