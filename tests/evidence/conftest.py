"""A page without its figures, and a headless Chromium that tests can ask about one."""

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
import warnings

import pandas as pd
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The protocol goes through file descriptors 3 and 4: no port, and no library for one.
COMMAND = ("sh", "-c", 'exec "$@" 3<&0 4>&1 0</dev/null 1>/dev/null', "sh")
OPTIONS = (
    *("--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"),
    *("--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update"),
)
PATIENCE = 60  # seconds for an answer


class Browser:
    """Chromium through its own debugging protocol, one page at a time."""

    def __init__(self, path):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [*COMMAND, path, *OPTIONS, f"--user-data-dir={self.folder.name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.count, self.received, self.events = 0, b"", []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    session = None

    def call(self, method, **params):
        """What the browser answers; events that come meanwhile are kept."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.process.stdin.write(json.dumps(message).encode() + b"\0")
        self.process.stdin.flush()
        while True:
            answer = self.receive()
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def receive(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.process.stdout], [], [], 1)
            if ready:
                more = os.read(self.process.stdout.fileno(), 1 << 20)
                assert more, "Chromium ended"
                self.received += more
            assert time.monotonic() < end, "Chromium does not answer"
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)

    def open(self, path, *, width, height=900, dark=False):
        """Show a file; all that it does from here on is among ``events``."""
        self.events.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", mobile=False, **size)
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.receive())

    def evaluate(self, script):
        """The value of a piece of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def happened(self, *methods):
        """The events of these kinds since the page was opened."""
        return [e for e in self.events if e.get("method") in methods]

    def close(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
        self.folder.cleanup()


@pytest.fixture
def no_figures(monkeypatch):
    """Pages without figures, which take the time."""
    from jaxnoise.evidence import report

    monkeypatch.setattr(report, "illustrations", lambda *_, **__: [])


@pytest.fixture
def undrawn(monkeypatch):
    """Pages whose figures have captions and texts, but no picture."""
    from jaxnoise.evidence.report import figures

    monkeypatch.setattr(figures, "drawn_for_page", lambda *_: ("svg", "<svg></svg>"))


@pytest.fixture(scope="session")
def browser():
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"needs Chromium: none of {', '.join(NAMES)} is installed")
    browser = Browser(path)
    yield browser
    browser.close()


@pytest.fixture
def texts_are_objects():
    """As in older pandas: where pyarrow is installed, others hold no half character."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*infer_string")  # pandas 4 will not know it
        with pd.option_context("future.infer_string", False):
            yield
