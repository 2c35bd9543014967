"""One sweep in several processes of `jax.distributed`, each with its own devices.

All call the sweep alike, take shares of the runs in turns, and tell each other what
came out, so that all return the same; the first alone writes and shows anything.
"""

import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather

from jaxnoise.results import RunResult
from jaxnoise.training.program import Here, Job, queues_of, results_of
from jaxnoise.training.slots import CALL_BLOCKS


class Pod(Here):
    """The devices of all processes, while they train the runs of a sweep."""

    told = False  # all processes, of what has ended the work

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """What ends the work in one process ends it in all."""
        try:
            yield
            self._together(lambda: None)
        except BaseException as error:
            if not self.told:
                _exchanged((None, _in_words(error)))
            raise

    def shared(self, work: Callable[[], Any]) -> Any:
        """What the work of the first process returns, in all of them."""
        return self._together(work if jax.process_index() == 0 else lambda: None)[0]

    def results(self, jobs: Sequence[Job]) -> Generator[dict[int, RunResult]]:
        """Train this process's shares; yield what all have trained in each turn."""
        turn = CALL_BLOCKS * jax.device_count()
        for job in jobs:
            blocks = [ids for queue in queues_of(job, self.plan) for ids in queue]
            for at in range(0, len(blocks), turn):
                own = blocks[at : at + turn][jax.process_index() :: jax.process_count()]
                share = job._replace(ids=[i for ids in own for i in ids])
                few: dict[int, RunResult] = {}
                for each in self._together(partial(self._trained, share)):
                    few |= each
                yield few

    def _trained(self, share: Job) -> dict[int, RunResult]:
        calls = results_of(share, self.plan)
        return {i: result for few in calls for i, result in few.items()}

    def _together(self, work: Callable[[], Any]) -> list[Any]:
        """What the work of each process returns; what one raises is raised in all."""
        value = error = None
        try:
            value = work()
        except BaseException as raised:
            error = raised
        outcomes = _exchanged((value, error and _in_words(error)))
        ends = [words for _, words in outcomes if words]
        self.told = bool(ends)
        if error:
            raise error
        for failed, why in ends:
            raise (
                RuntimeError(f"in another process: {why}")
                if failed
                else KeyboardInterrupt
            )
        return [value for value, _ in outcomes]


def _in_words(error: BaseException) -> tuple[bool, str]:
    return isinstance(error, Exception), str(error)


def _exchanged(value: Any) -> list[Any]:
    """Those of all processes, in their order."""
    content = np.frombuffer(pickle.dumps(value), np.uint8)
    sizes = process_allgather(np.array(len(content)))
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: len(content)] = content
    rows = process_allgather(padded)
    return [pickle.loads(row[:n].tobytes()) for row, n in zip(rows, sizes, strict=True)]
