"""The pictures of the report on detection, as small SVG files, in the look of the other reports."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nervure.bench.detect.document import Panel, Picture, Trace
from nervure.bench.forecast.document import slug
from nervure.bench.forecast.plot import BAND, FORECAST, INK, OTHERS, dress, svg

__all__ = ["PLOTS", "draw", "file_of"]

PLOTS = "detection"
_DEEP = (FORECAST, "#b14fc4", "#4f5bd5", "#d45087", "#2a7f9e", "#5e3a87", "#9b6fd0")
_PLAIN = (OTHERS[0], OTHERS[1], OTHERS[2], "#5c6b7a", "#b9a27a", "#7fb29b")
_EVENT, _MARK = "#f3d3cf", "#c0392b"
_SQUARE = ("roc", "grid")
_FONTS = re.compile(r"font-family: [^;]*sans-serif")
_PATH, _LONG = re.compile(r' d="[^"]*"'), re.compile(r"(\d\.\d)\d+")


def file_of(picture: Picture) -> str:
    """Return a picture's path below the folder of the report."""
    return f"{PLOTS}/{slug(picture.set)}-{slug(picture.name)}.svg"


def draw(picture: Picture, folder: Path) -> Path:
    """Draw a picture below the folder of the report, and return its file."""
    path = folder / file_of(picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _PATH.sub(_shorter, svg(_figure(picture)))
    path.write_text(_FONTS.sub("font-family: sans-serif", text), "utf-8")
    return path


def _shorter(found: re.Match[str]) -> str:
    """Return a path with its points to a tenth of a point of print, which nobody sees."""
    return _LONG.sub(r"\1", found.group())


def _figure(picture: Picture) -> Figure:
    """Lay panels out: small ones side by side, long ones below each other."""
    count = len(picture.panels)
    beside = (
        min(count, 3)
        if picture.panels[0].kind in _SQUARE
        else 1
        if picture.name == "timeline"
        else min(count, 2)
    )
    down = -(-count // beside)
    size = (3.3 * beside, 2.9 * down) if picture.panels[0].kind in _SQUARE else (8.0, 2.2 * down)
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    all_axes = figure.subplots(down, beside, squeeze=False).ravel()
    for axes, panel in zip(all_axes, picture.panels, strict=False):
        _panel(axes, panel)
    for axes in all_axes[count:]:
        axes.set_visible(False)
    figure.suptitle(f"{picture.set}: {picture.words}", fontsize=9, x=0.01, ha="left", color=INK)
    return figure


def _panel(axes: Any, panel: Panel) -> None:
    dress(axes, "")
    axes.set_title(panel.title, fontsize=8, loc="left", color=INK)
    if panel.kind in ("roc", "line"):
        axes.locator_params(nbins=5)  # every tick is a long line in the file
    if panel.kind == "bar":
        _bars(axes, panel)
    elif panel.kind == "grid":
        _grid(axes, panel)
    else:
        _lines(axes, panel)


def _lines(axes: Any, panel: Panel) -> None:
    named: set[str] = set()
    for span in panel.spans:
        name = span.name if span.name and span.name not in named else None
        named.add(span.name)
        if span.stop > span.start:
            axes.axvspan(span.start, span.stop, color=_EVENT, linewidth=0, label=name)
        else:
            axes.axvline(span.start, color=_MARK, linewidth=1.0, label=name)
    turn = {"deep": 0, "baseline": 0, "other": 0}
    for trace in panel.traces:
        _trace(axes, trace, turn.get(trace.role, 0))
        if trace.role in turn:
            turn[trace.role] += 1
    if panel.kind == "roc":
        axes.plot((0, 1), (0, 1), color="#c9d1d9", linewidth=0.8, linestyle=":")
        axes.set(xlim=(0, 1), ylim=(0, 1.01))
        axes.set_xlabel("false alarms", fontsize=7)
        axes.set_ylabel("true alarms", fontsize=7)
    if len(panel.traces) > 1 or named - {""}:
        axes.legend(fontsize=5.5 if panel.kind == "roc" else 6, frameon=False, loc="best")


def _trace(axes: Any, trace: Trace, turn: int) -> None:
    y = np.array([np.nan if one is None else one for one in trace.y], np.float64)
    if trace.role == "band":
        high = np.array([np.nan if one is None else one for one in trace.high], np.float64)
        axes.fill_between(trace.x, y, high, color=BAND, linewidth=0, label=trace.name)
        return
    style: dict[str, Any] = {
        "deep": {"color": _DEEP[turn % len(_DEEP)], "linewidth": 1.3},
        "baseline": {"color": _PLAIN[turn % len(_PLAIN)], "linewidth": 1.0},
        "other": {"color": (INK, *OTHERS)[turn % 5], "linewidth": 0.9},
        "truth": {"color": INK, "linewidth": 1.2},
        "limit": {"color": "#c0392b", "linewidth": 0.9, "linestyle": "--"},
    }[trace.role]
    axes.plot(trace.x, y, label=trace.name, **style)


def _bars(axes: Any, panel: Panel) -> None:
    place = np.arange(len(panel.bars))[::-1]
    axes.barh(place, panel.bars, color=FORECAST, height=0.7)
    axes.set_yticks(place, panel.labels, fontsize=6)
    axes.axvline(0, color=INK, linewidth=0.6)


def _grid(axes: Any, panel: Panel) -> None:
    """Draw counts, each row shaded by its shares, as classes are rarely of one size."""
    count = np.array(panel.grid, np.float64)
    share = count / np.maximum(count.sum(axis=1, keepdims=True), 1)
    size = len(panel.labels)
    axes.grid(visible=False)
    for row in range(size):
        for column in range(size):
            shade = share[row, column]
            axes.axvspan(column - 0.5, column + 0.5, (size - row - 1) / size, (size - row) / size,
                         color=FORECAST, alpha=0.05 + 0.6 * shade, linewidth=0)  # fmt: skip
            axes.text(
                column, row, f"{panel.grid[row][column]:,}", ha="center", va="center", fontsize=7, color=INK
            )
    axes.set_xticks(range(size), panel.labels)
    axes.set_yticks(range(size), panel.labels)
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    axes.set_xlabel("told", fontsize=7)
    axes.set_ylabel("true", fontsize=7)
