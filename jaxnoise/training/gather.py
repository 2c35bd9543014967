"""The finished runs of a sweep, as they come in, and the result made of them."""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from jaxnoise.data.sets import Data, split_facts
from jaxnoise.results import RunResult, SweepResult, cell_columns
from jaxnoise.training.plan import Run
from jaxnoise.training.settings import Settings


class Finished:
    """What a sweep has done so far."""

    def __init__(
        self,
        runs: Sequence[Run],
        settings: Settings,
        splits: Sequence[Data],
        device: str,
    ) -> None:
        self.runs, self.settings, self.device = runs, settings, device
        self.facts = split_facts(splits)
        self.results: dict[int, RunResult] = {}
        self.started = time.perf_counter()
        self.compiled: float | None = None

    def begin(self) -> None:
        """All is compiled: from here on the clock is that of the runs."""
        self.compiled = time.perf_counter()

    def result(self, *, complete: bool) -> SweepResult:
        """All the runs that there are, in their order."""
        ended = time.perf_counter()
        compiled = self.compiled or ended
        done = sorted(self.results)
        results = [self.results[i] for i in done]
        every, epochs = self.settings.metrics_every, self.settings.epochs
        table = _table([self.runs[i] for i in done], results)
        table.attrs = self.facts
        return SweepResult(
            runs=table,
            curves=_curves(results),
            epochs=np.arange(every, epochs + 1, every),
            variables=tuple(result.variables for result in results),
            complete=complete,
            compile_seconds=compiled - self.started,
            run_seconds=ended - compiled,
            device=self.device,
        )

    def attach_to(self, error: BaseException) -> None:
        """Give the error what was finished before it, and a note that says so."""
        vars(error)["result"] = self.result(complete=False)
        error.add_note(
            f"{len(self.results)} of {len(self.runs)} runs had finished; they are in "
            "this exception's attribute `result`, a SweepResult."
        )


def _table(runs: Sequence[Run], results: Sequence[RunResult]) -> pd.DataFrame:
    rows = [
        run.columns()
        | {name: float(value) for name, value in result.metrics.items()}
        | {"finite": bool(result.finite)}
        for run, result in zip(runs, results, strict=True)
    ]
    table = pd.DataFrame(rows)
    first = cell_columns(table)  # strengths of later placements may stand last
    last = [c for c in table if c not in first and c != "finite"]
    return table[[*first, *last, "finite"]] if rows else table


def _curves(results: Sequence[RunResult]) -> dict[str, np.ndarray]:
    """By name, (run, epoch); NaN for runs whose recipe lacks the metric."""
    names = dict.fromkeys(name for result in results for name in result.curves)
    if not names:
        return {}
    nothing = np.full_like(next(iter(results[0].curves.values())), np.nan)
    return {
        name: np.stack([result.curves.get(name, nothing) for result in results])
        for name in names
    }
