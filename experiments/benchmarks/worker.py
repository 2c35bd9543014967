"""Contenders in processes of their own, that take turns.

Frameworks fix threads, devices and backends per process, and a fair ratio needs both
sides in the same minute. A `Worker` starts a contender's process, which prepares itself
and then does one repeat whenever it is told to.

A contender is a function ``options -> (repeat, notes)`` in the dict ``CONTENDERS`` of
its benchmark's module; ``repeat()`` does the work and may return what JSON can hold.
The options ``core``, ``backend`` (of Keras) and ``accelerator`` are the worker's own.
"""

import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Options = dict[str, Any]
Repeat = Callable[[], Any]
Contender = tuple[Repeat, dict[str, Any]]
A_CORE_EACH = "one process a core"
WORK = (
    "epochs",
    "seeds",
    "steps",
    "calls",
    "elements",
    "fits",
)  # options that multiply it

try:
    CORES = len(os.sched_getaffinity(0))
except AttributeError:  # macOS and Windows
    CORES = os.cpu_count() or 1


class Absent(Exception):
    """A contender that this machine cannot run, and why."""


class Died(Exception):
    """A contender that ended by itself, and the last that it said."""


class Plan:
    """A contender, and what it is to do.

    Attributes:
        module: of its benchmark, with ``CONTENDERS``.
        name: in the report.
        contender: one of them; "" for that which the name begins with, such as Keras in
            "Keras on jax, one process a core".
        processes: that do so at once; several are held to a core each, where the
            system allows it.
        options: that it gets.
    """

    def __init__(
        self,
        module: str,
        name: str,
        contender: str = "",
        processes: int = 1,
        **options: Any,
    ) -> None:
        self.module, self.name, self.processes = module, name, processes
        self.contender = contender or name.partition(",")[0].partition(" on ")[0]
        self.options = options

    @property
    def units(self) -> int:
        """Of work that all processes do in a repeat, such as epochs times runs."""
        counts = [self.options.get(name, 1) for name in WORK]
        return math.prod(counts) * self.processes


def ways_to_use_all_cores() -> dict[str, dict[str, Any]]:
    """Arguments of a `Plan` by what they are called."""
    if CORES == 1:
        return {"1 thread": {"threads": 1}}
    each = {"processes": CORES, "threads": 1}
    return {f"{CORES} threads": {"threads": CORES}, A_CORE_EACH: each}


class Worker:
    """The parent's end of one contender."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.errors = tempfile.TemporaryFile("w+")  # a pipe that none reads would fill
        self.children = [self._child(core) for core in range(plan.processes)]
        self.seconds: list[float] = []
        self.peak_bytes = float("nan")  # of all processes so far
        try:
            self.notes = self._answers()[0]
        except BaseException:
            self.close()
            raise

    def _child(self, core: int) -> subprocess.Popen[str]:
        plan = self.plan
        held = {"core": core} if plan.processes > 1 else {}
        return subprocess.Popen(
            [sys.executable, __file__, plan.module, plan.contender]
            + [json.dumps(plan.options | held)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def repeat(self) -> dict[str, Any]:
        """One repeat by every process at once; kept are the seconds of the last."""
        for child in self.children:
            with suppress(BrokenPipeError):  # the answer is missing too
                print("go", file=child.stdin, flush=True)
        answers = self._answers()
        self.seconds.append(max(answer["seconds"] for answer in answers))
        self.peak_bytes = sum(answer["peak_bytes"] for answer in answers)
        self.notes |= answers[0].get("device", {})
        return answers[0]

    def close(self) -> None:
        """End the processes."""
        for child in self.children:
            child.kill()
            child.communicate()
        self.errors.close()

    def _answers(self) -> list[dict[str, Any]]:
        lines = [child.stdout.readline() for child in self.children]  # type: ignore[union-attr]
        if not all(lines):
            self.errors.seek(0)
            raise Died(self.errors.read()[-2000:].strip())
        answers: list[dict[str, Any]] = list(map(json.loads, lines))
        for answer in answers:
            if "absent" in answer:
                raise Absent(answer["absent"])
        return answers


def hold_to_core(number: int) -> None:
    """Keep this process, and all threads that it starts, on one core of its cores."""
    if hasattr(os, "sched_setaffinity"):  # macOS and Windows have none
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def peak_bytes() -> float:
    """The most memory of this process or one that it called, where Linux tells."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    import resource

    called = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return 1024.0 * max(called, int(status.split("VmHWM:")[1].split()[0]))


def of_device() -> dict[str, int]:
    """The most memory that arrays have had on an accelerator, where JAX tells."""
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    names = {"peak_bytes_in_use": "device_peak_bytes"}
    return {told: stats[name] for name, told in names.items() if name in stats}


def needs_accelerator() -> None:
    """Say that a contender cannot run where JAX finds none."""
    import jax

    jax.config.update("jax_num_cpu_devices", CORES)  # no more once JAX has started
    if jax.default_backend() == "cpu":
        raise Absent("no accelerator")


def compiled_by(call: Repeat) -> dict[str, Any]:
    """What the first call takes, which compiles."""
    started = time.perf_counter()
    call()
    return {"compile_seconds": time.perf_counter() - started}


def main() -> None:
    """The child's end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a framework prints goes to stderr
    module, contender, given = sys.argv[1:]
    options = json.loads(given)
    if "core" in options:
        hold_to_core(options.pop("core"))  # before a framework counts its cores
    on_device = options.pop("accelerator", None)
    if not on_device:
        os.environ |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    os.environ["KERAS_BACKEND"] = options.pop("backend", "jax")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(HERE))

    def answer(**content: Any) -> None:
        print(json.dumps(content), file=answers, flush=True)

    started = time.perf_counter()
    try:
        if on_device == "required":
            needs_accelerator()
        repeat, notes = importlib.import_module(module).CONTENDERS[contender](options)
    except (ImportError, Absent) as error:
        return answer(absent=str(error))
    answer(**{"setup_seconds": time.perf_counter() - started, **notes})
    for _ in sys.stdin:
        started = time.perf_counter()
        value = repeat()
        seconds = time.perf_counter() - started
        device = of_device() if on_device else {}
        answer(seconds=seconds, peak_bytes=peak_bytes(), value=value, device=device)


if __name__ == "__main__":
    # Under its own name, so that a contender's Absent is the one caught here.
    importlib.import_module("worker").main()
