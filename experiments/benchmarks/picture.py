"""The picture of the benchmarks."""

from pathlib import Path
from typing import Any

from _files import try_replacing
from benchmark_report import Entry, Report

PANELS = {
    "circles hidden": "training step with noise and curves, µs per run",
    "layer float32": "noise layer, ns per element",
}


def draw(report: Report, path: Path) -> str:
    """Times per epoch and run of the circles, and of the layer, on log scales.

    Why there is no picture, or "".
    """
    found: dict[str, list[Entry]] = {}
    for entry in sorted(report.entries, key=lambda entry: -entry["value"]):
        found.setdefault(entry["benchmark"], []).append(entry)
    shown = [(title, found[name]) for name, title in PANELS.items() if name in found]
    if not shown:
        return ""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    heights = [len(entries) + 1.5 for _, entries in shown]
    size = (5.8, 0.28 * sum(heights))  # legible on a phone
    options: dict[str, Any] = {"height_ratios": heights, "layout": "constrained"}
    figure, axes = plt.subplots(len(shown), figsize=size, squeeze=False, **options)
    for axis, (title, entries) in zip(axes[:, 0], shown, strict=True):
        bars(axis, entries)
        axis.set_title(title, loc="right", fontsize=9)  # beside it are long names
    return try_replacing(path, lambda beside: figure.savefig(beside, dpi=150))


def bars(axis: Any, entries: list[Entry]) -> None:
    """A bar an entry, ours in blue."""
    values = [entry["value"] for entry in entries]
    ours = [entry["name"].startswith("jaxnoise") for entry in entries]
    colors = ["#0072b2" if mine else "#8c8c8c" for mine in ours]
    drawn = axis.barh([entry["name"] for entry in entries], values, color=colors)
    labels = [f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in values]
    axis.bar_label(drawn, labels, padding=3, fontsize=9)
    axis.tick_params(labelsize=9)
    axis.set(xscale="log", xlim=(min(values) / 2, max(values) * 8))
    for label, mine in zip(axis.get_yticklabels(), ours, strict=True):
        label.set_fontweight("bold" if mine else "normal")
    axis.spines[["top", "right"]].set_visible(False)
