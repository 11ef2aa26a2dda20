"""The report's pictures, as small SVG files: a stretch of test time, error by horizon, by sensor."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from nervure.bench.forecast.document import Document, Picture, slug
from nervure.bench.forecast.job import Round, Survey

__all__ = ["BAND", "FORECAST", "INK", "OTHERS", "PLOTS", "draw", "dress", "svg"]

PLOTS = "forecasting"
INK, FORECAST, BAND, OTHERS = "#16324f", "#7b3fa0", "#d9c8e8", ("#8a97a6", "#c98a1b", "#2a7f62", "#c0392b")


def draw(document: Document, picture: Picture, folder: Path) -> list[Path]:
    """Draw what a set has, and return the files."""
    survey = next(one for one in document.sets if one.set == picture.set)
    (folder / PLOTS).mkdir(parents=True, exist_ok=True)
    found = []
    for kind, figure in (
        ("day", _day(picture, picture.round, survey) if picture.round is not None else None),
        ("horizon", _horizon(picture, survey)),
        ("sensor", _sensor(picture, survey)),
    ):
        if figure is not None:
            path = folder / PLOTS / f"{slug(picture.set)}-{kind}.svg"
            path.write_text(svg(figure), "utf-8")
            found.append(path)
    return found


def svg(figure: Figure) -> str:
    """Return a figure as SVG, the same text for the same figure."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nervure", "path.simplify": True}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _axes(width: float, height: float, unit: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.subplots()
    dress(axes, unit)
    return figure, axes


def dress(axes: Any, unit: str) -> None:
    """Give axes the look of the reports."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e8ed", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=INK)
    axes.set_ylabel(unit, fontsize=8)


def _day(picture: Picture, drawn: Round, survey: Survey) -> Figure:
    figure, axes = _axes(8.0, 2.8, survey.unit if len(survey.unit) < 20 else "")
    when = [datetime.fromisoformat(one) for one in drawn.time]
    read = np.array([np.nan if one is None else one for one in drawn.read])
    axes.fill_between(when, drawn.low, drawn.high, color=BAND, linewidth=0, label="80 % band")
    if picture.baseline_median:
        axes.plot(when, picture.baseline_median, color=OTHERS[0], linewidth=1.0, label=picture.baseline)
    axes.plot(when, drawn.median, color=FORECAST, linewidth=1.2, label="forecast")
    axes.plot(when, read, color=INK, linewidth=1.2, label="reading")
    lead = (
        "one forecast over its horizon" if drawn.lead == "path" else f"each forecast made {drawn.lead} before"
    )
    axes.set_title(f"{picture.set}, {drawn.node}: {lead} (UTC)", fontsize=9, loc="left", color=INK)
    axes.legend(fontsize=7, frameon=False, ncols=4, loc="upper left", bbox_to_anchor=(0, -0.12))
    return figure


def _horizon(picture: Picture, survey: Survey) -> Figure | None:
    curves = {name: one.horizon for name, one in picture.curves.items() if len(one.horizon) > 1}
    if not curves:
        return None
    figure, axes = _axes(4.6, 2.8, "mean absolute error")
    for place, (name, values) in enumerate(curves.items()):
        last = place == len(curves) - 1
        colour = FORECAST if last else OTHERS[place % len(OTHERS)]
        shown = [np.nan if one is None else one for one in values]
        axes.plot(
            np.arange(1, len(shown) + 1), shown, color=colour, linewidth=1.6 if last else 1.1, label=name
        )
    axes.set_xlabel(f"steps of {survey.every} ahead", fontsize=8)
    axes.set_ylim(bottom=0)
    axes.set_title(f"{picture.set}: error by horizon", fontsize=9, loc="left", color=INK)
    axes.legend(fontsize=7, frameon=False)
    return figure


def _sensor(picture: Picture, survey: Survey) -> Figure | None:
    """Draw each sensor's error by the default model, sorted by the best baseline's."""
    curves = {name: one.node for name, one in picture.curves.items() if one.node}
    if len(curves) < 1:
        return None
    values = {
        name: np.array([np.nan if one is None else one for one in node]) for name, node in curves.items()
    }
    order = np.argsort(next(iter(values.values())))
    figure, axes = _axes(4.6, 2.8, "mean absolute error")
    for place, (name, node) in enumerate(values.items()):
        last = place == len(values) - 1
        axes.plot(
            np.arange(1, len(node) + 1), node[order], "o" if len(node) < 40 else ".", label=name,
            color=FORECAST if last else OTHERS[0], markersize=3.5, linestyle="none",
        )  # fmt: skip
    axes.set_xlabel(f"{survey.nodes} sensors, by error of {next(iter(values))}", fontsize=8)
    axes.set_ylim(bottom=0)
    axes.set_title(f"{picture.set}: error by sensor", fontsize=9, loc="left", color=INK)
    axes.legend(fontsize=7, frameon=False)
    return figure
