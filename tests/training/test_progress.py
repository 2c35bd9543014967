"""The progress bars: runs, rate and the time left, on a clock of the test's."""

import re
import sys
import types

import pytest

from jaxnoise.training.progress import _bar, _cell, pace_of, progress_of


@pytest.mark.parametrize(
    ("done", "total", "seconds", "expected"),
    [
        (0, 10, 5.0, ""),
        (3, 10, 0.0, ""),
        (50, 100, 20.0, "2.5 runs/s, 0:00:20 left"),
        (4000, 10_000, 2.0, "2,000 runs/s, 0:00:03 left"),
        (2, 10, 90.0, "45 s/run, 0:06:00 left"),
        (1, 4, 7200.0, "7,200 s/run, 6:00:00 left"),
        (10, 10, 4.0, "2.5 runs/s, 0:00:00 left"),
    ],
)
def test_pace(done, total, seconds, expected):
    assert pace_of(done, total, seconds) == expected


def test_the_bar_counts_from_the_first_run(capsys, monkeypatch):
    """Compiling takes a minute and each of two runs another one: far apart updates."""
    now = 0.0
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with _bar(4, clock=lambda: now) as shown:
        now += 60
        shown.begin()
        for done in (1, 2):
            now += 60
            shown.report(done, 4)
    plain = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "2/4 runs 0:02:00 60 s/run, 0:02:00 left" in plain


class Kernel:
    """What a notebook shows."""

    def __init__(self, monkeypatch):
        self.kernel, self.seen = self, []
        ipython = types.SimpleNamespace(get_ipython=lambda: self)
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        module = types.SimpleNamespace(display=self.display)
        monkeypatch.setitem(sys.modules, "IPython.display", module)

    def display(self, content, raw, display_id):
        self.update(content, raw)
        return self

    def update(self, content, raw):
        self.seen.append(content["text/plain"])
        assert content["text/html"].endswith(self.seen[-1])


def test_a_notebook_has_a_bar_until_the_end(monkeypatch):
    """Which is told of no more often than a reader sees."""
    now, kernel = 0.0, Kernel(monkeypatch)
    with _cell(1000, clock=lambda: now) as shown:
        now += 60
        shown.begin()
        for done in range(1, 1000):
            now += 1 / 16
            shown.report(done, 1000)
    assert kernel.seen[:2] == ["compiling", "1/1000 runs 16 runs/s, 0:01:02 left"]
    assert len(kernel.seen) == 3 + 998 // 4
    assert kernel.seen[-1] == ""


@pytest.mark.parametrize("asked", [None, False])
def test_the_bar_of_a_notebook_may_be_off(monkeypatch, asked):
    kernel = Kernel(monkeypatch)
    with progress_of(asked, 10):
        pass
    assert kernel.seen == (["compiling", ""] if asked is None else [])
