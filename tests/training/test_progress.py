"""The progress bar: runs, their rate, and the time left, on a clock of the test's."""

import re
import sys

import pytest

from jaxnoise.training.progress import _bar, pace_of


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
