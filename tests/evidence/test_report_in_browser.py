"""The page as a browser shows it: narrow and wide, light and dark, and on paper."""

import base64
import json
import re

import numpy as np
import pandas as pd
import pytest

import jaxnoise as jn

EVIL = "<script>alert(1)</script>"
NAMES = (EVIL, "$x_1$ & _y", "größer λ", "a long name " * 9, "a" * 90, "url(#x)")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """All that a page can hold, with names that are long, odd, or dangerous."""
    cells = [("none", 0.0), *((n, s) for n in NAMES for s in (0.1, 0.3))]
    columns = ["placement", "strength"]
    seeds = pd.DataFrame({"seed": range(6), "split": 0})
    runs = pd.DataFrame(cells, columns=columns).merge(seeds, how="cross")
    runs["finite"] = ~runs.index.isin([3, *range(12, 18)])
    rng, curves = np.random.default_rng(0), {}
    for name in ("train", "validation", "test"):
        for metric in ("accuracy", "loss"):
            values = rng.uniform(size=(len(runs), 700))
            values[~runs["finite"]] = np.nan
            curves[f"{name}_{metric}"] = values
            runs[f"{name}_{metric}"] = values[:, -1]
    epochs, kept = np.arange(1, 701), (None,) * len(runs)
    result = jn.SweepResult(runs, curves, epochs, kept, False, 1.0, 1.0, "made up")
    page = tmp_path_factory.mktemp("page") / "report.html"
    config = {EVIL: EVIL, "path": "/a" * 100}
    return jn.report(result, page, title=EVIL, config=config, rope=0.01, best=0.9)


VISIBLE = """
JSON.stringify([...document.querySelectorAll("figure svg, figure img")].map(f => {
  const box = f.getBoundingClientRect();
  const around = f.closest(".scroll").getBoundingClientRect();
  const words = [...f.querySelectorAll("text")];
  const texts = words.map(t => t.getBoundingClientRect());
  const sizes = words.map(
    t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a
  );
  return {
    width: box.width, height: box.height, left: around.left, right: around.right,
    smallest: Math.min(...sizes.filter(size => size > 0)),
    cut: texts.filter(t => t.left < box.left - 2 || t.right > box.right + 2
      || t.top < box.top - 2 || t.bottom > box.bottom + 2).length,
    texts: texts.length, image: f.tagName == "IMG", loaded: f.naturalWidth,
  };
}))
"""
FOCUS = """
const scroll = document.querySelector("figure.scroll");
scroll.focus({focusVisible: true});
getComputedStyle(scroll).outlineStyle + " " + getComputedStyle(scroll).outlineWidth;
"""
COLOURS = """
const found = document.querySelectorAll("h1, h2, p, th, td, li, caption, text");
JSON.stringify([...found].map(e => {
  let around = e;
  const clear = /^(transparent|rgba\\(0, 0, 0, 0\\))$/;
  while (clear.test(getComputedStyle(around).backgroundColor)) {
    around = around.parentElement;
  }
  const style = getComputedStyle(e);
  const ink = e.tagName == "text" ? style.fill : style.color;
  return [ink, getComputedStyle(around).backgroundColor];
}))
"""


def luminance(colour):
    rgb = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_in_chromium(browser, path, width, dark):
    browser.open(path, width=width, dark=dark)
    assert (
        browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == dark
    )
    figures = json.loads(browser.evaluate(VISIBLE))
    assert len(figures) == 6
    for figure in figures:
        assert figure["width"] > 200
        assert figure["height"] > 100
        assert 0 <= figure["left"] < figure["right"] <= width
        if figure["image"]:
            assert figure["loaded"] > 200
        else:
            assert figure["texts"] > 5
            assert figure["cut"] == 0
            assert figure["smallest"] > 9
    assert [figure["image"] for figure in figures] == [False] * 4 + [True] * 2
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(FOCUS) == "solid 3px"
    pairs = {tuple(pair) for pair in json.loads(browser.evaluate(COLOURS))}
    assert len(pairs) >= 3
    for pair in pairs:
        light, darker = sorted(map(luminance, pair), reverse=True)
        assert (light + 0.05) / (darker + 0.05) >= 4.5, pair
    assert browser.evaluate("document.querySelectorAll('script').length") == 0
    kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    assert browser.happened(*kinds, "Page.javascriptDialogOpening") == []
    asked = browser.happened("Network.requestWillBeSent")
    addresses = {each["params"]["request"]["url"] for each in asked}
    assert {a for a in addresses if not a.startswith("data:")} == {path.as_uri()}


def test_printed(browser, path):
    browser.open(path, width=1200, dark=True)
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF")
    browser.call("Emulation.setEmulatedMedia", media="")
