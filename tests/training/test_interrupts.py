"""Ctrl-C while XLA compiles: it waits, the process ends well, handlers are restored."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jaxnoise.training.progress import interrupts_held

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
# Interrupts the main thread once the sweep's programs are lowered and it stands still
# in one call that lets other threads run: waiting for XLA to compile them.
INTERRUPTED = """
import signal, sys, threading, time
import jax, circles

lowered = threading.Event()

def tell(name, seconds, fun_name="", **_):
    if name.endswith("jaxpr_to_mlir_module_duration") and "on_device" in fun_name:
        lowered.set()

def interrupt():
    lowered.wait()
    before, same = None, 0
    while same < 1000:
        frame = sys._current_frames()[threading.main_thread().ident]
        now = frame.f_code, frame.f_lasti
        before, same = now, same + 1 if now == before else 0
        time.sleep(0)  # lets the main thread run if it can
    while frame:
        print(frame.f_code.co_name)
        frame = frame.f_back
    signal.raise_signal(signal.SIGINT)

jax.monitoring.register_event_duration_secs_listener(tell)
threading.Thread(target=interrupt, daemon=True).start()
sys.exit(circles.main(sys.argv[1:]))
"""


@pytest.fixture
def restored():
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before


def interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_interrupted_compilation_ends_the_command_well(tmp_path):
    options = ["--placement", "hidden", "--seeds", "1", "--no-plots", "--out", tmp_path]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *map(str, options)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(EXPERIMENTS)},
        timeout=300,
    )
    stack = done.stdout.split()  # where the main thread stood
    assert stack.index("result") < stack.index("compile_jobs")
    assert (done.returncode, done.stderr) == (
        130,
        "interrupted before any run finished; no files written\n",
    )


def test_an_interrupt_waits_until_it_is_delivered(restored):
    seen = []
    with pytest.raises(KeyboardInterrupt), interrupts_held() as deliver:
        deliver()
        interrupt()
        seen.append("held")
        deliver()
        seen.append("not reached")
    assert seen == ["held"]


def test_an_interrupt_is_delivered_at_the_end(restored):
    seen = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        interrupt()
        seen.append("held")
    assert seen == ["held"]


def test_the_second_interrupt_is_answered(restored, capfd):
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        interrupt()
        assert capfd.readouterr().err == ""
        interrupt()
        assert "compiling; will stop after this program" in capfd.readouterr().err


def test_errors_go_before_interrupts(restored):
    with pytest.raises(ValueError, match="of the recipe"), interrupts_held():
        interrupt()
        raise ValueError("of the recipe")


def test_other_handlers_get_their_signal():
    calls = []
    former = signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        with interrupts_held():
            interrupt()
            assert calls == []
        assert calls == [signal.SIGINT]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with interrupts_held():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            interrupt()
    finally:
        signal.signal(signal.SIGINT, former)


def test_nothing_is_held_in_other_threads(restored):
    seen = []

    def work():
        with interrupts_held() as deliver:
            seen.append(signal.getsignal(signal.SIGINT))
            deliver()

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
