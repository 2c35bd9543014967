"""Contenders in processes of their own, that take turns.

Frameworks fix threads, devices and backends per process, and a fair ratio needs both
sides in the same minute. A `Worker` starts a contender's process, which prepares itself
and then does one repeat whenever it is told to.

A contender is a function ``options -> (repeat, notes)`` in the dict ``CONTENDERS`` of
its benchmark's module; ``repeat()`` does the work and may return what JSON can hold.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Absent(Exception):
    """A contender that this machine cannot run, and why."""


class Died(Exception):
    """A contender that ended by itself, and the last that it said."""


class Worker:
    """The parent's end of one contender."""

    def __init__(
        self,
        benchmark: str,
        contender: str,
        options: dict[str, Any],
        environment: dict[str, str],
    ) -> None:
        self.name = self.contender = contender
        self.errors = tempfile.TemporaryFile("w+")  # a pipe that none reads would fill
        self.process = subprocess.Popen(
            [sys.executable, __file__, benchmark, contender, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **environment},
        )
        self.seconds: list[float] = []
        self.peak_bytes = float("nan")  # of the process so far
        try:
            self.notes = self._answer()
        except BaseException:
            self.close()
            raise

    def repeat(self) -> dict[str, Any]:
        """One repeat; its seconds are kept."""
        try:
            self.process.stdin.write("go\n")  # type: ignore[union-attr]
            self.process.stdin.flush()  # type: ignore[union-attr]
        except BrokenPipeError:
            pass  # the answer is missing too
        answer = self._answer()
        self.seconds.append(answer["seconds"])
        self.peak_bytes = answer["peak_bytes"]
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self.errors.seek(0)
            raise Died(self.errors.read()[-2000:].strip())
        answer: dict[str, Any] = json.loads(line)
        if "absent" in answer:
            raise Absent(answer["absent"])
        return answer


def peak_bytes() -> float:
    """The most memory that this process has had, where Linux tells; else NaN."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return 1024 * float(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    """The child's end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a framework prints goes to stderr
    benchmark, contender, options = sys.argv[1:]
    sys.path.insert(0, str(HERE))

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    started = time.perf_counter()
    try:
        module = importlib.import_module(benchmark)
        repeat, notes = module.CONTENDERS[contender](json.loads(options))
    except (ImportError, Absent) as error:
        answer({"absent": str(error)})
        return
    answer({"setup_seconds": time.perf_counter() - started, **notes})
    for _ in sys.stdin:
        started = time.perf_counter()
        value = repeat()
        seconds = time.perf_counter() - started
        answer({"seconds": seconds, "peak_bytes": peak_bytes(), "value": value})


if __name__ == "__main__":
    # Under its own name, so that a contender's Absent is the one caught here.
    importlib.import_module("worker").main()
