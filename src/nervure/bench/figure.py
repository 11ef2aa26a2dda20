"""The report's pictures, drawn by matplotlib as SVG text."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nervure.bench.outcome import Outcome, Trace
from nervure.core.instant import DAY_NS, from_ns

__all__ = ["burst", "districts", "horizons", "latency", "stuck", "svg"]

INK, FORECAST, BAND, ALARM, QUIET = "#16324f", "#7b3fa0", "#d9c8e8", "#c0392b", "#8a97a6"


def svg(figure: Figure) -> str:
    """Return a figure as an ``<svg>`` element."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nervure"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _axes(width: float = 10.0, height: float = 3.2) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    axes = figure.subplots()
    _plain(axes)
    return figure, axes


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e8ed", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=INK)


def _moments(time: NDArray[np.int64]) -> list[datetime]:
    return [from_ns(int(one)) for one in time]


def _draw(axes: Any, trace: Trace, start_ns: int, end_ns: int) -> None:
    held = (trace.time >= start_ns) & (trace.time < end_ns)
    when = _moments(trace.time[held])
    axes.fill_between(
        when, trace.low[held], trace.high[held], color=BAND, linewidth=0, label="80 % band, a day ahead"
    )
    axes.plot(
        when, trace.median[held], color=FORECAST, linewidth=1.1, linestyle="--", label="forecast, a day ahead"
    )
    axes.plot(when, trace.sent[held], color=INK, linewidth=1.3, label="as the meter sent it")
    axes.set_ylabel(trace.unit, fontsize=8)


def _trace(outcome: Outcome, thing: str) -> Trace:
    return next(trace for trace in outcome.traces if trace.thing == thing)


def _story(outcome: Outcome, thing: str, start_ns: int, end_ns: int, label: str) -> str:
    figure, axes = _axes()
    _draw(axes, _trace(outcome, thing), start_ns - 4 * DAY_NS, end_ns + 3 * DAY_NS)
    axes.axvspan(from_ns(start_ns), from_ns(end_ns), color="#f6ddcc", alpha=0.6, label=label, linewidth=0)
    shown = False
    for alert in outcome.alerts:
        inside = start_ns - 4 * DAY_NS <= alert.raised_ns < end_ns + 3 * DAY_NS
        if outcome.names.get(alert.thing) == thing and inside:
            axes.axvline(
                from_ns(alert.raised_ns), color=ALARM, linewidth=1.6, label=None if shown else "alert raised"
            )
            shown = True
    axes.legend(fontsize=7, frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.5, 1.16))
    return svg(figure)


def burst(outcome: Outcome) -> str:
    """Draw the district with the injected burst: band, readings, injection, alert."""
    one = outcome.scenario.burst
    return _story(outcome, one.thing, one.start_ns, one.end_ns, f"injected burst, +{one.extra:g}")


def stuck(outcome: Outcome) -> str:
    """Draw the district with the meter that repeats one value."""
    one = outcome.scenario.stuck
    return _story(outcome, one.thing, one.start_ns, one.end_ns, "injected: meter stuck")


def districts(outcome: Outcome) -> str:
    """Draw the last week of every stream with its forecast and band."""
    rows = (len(outcome.traces) + 1) // 2
    figure = Figure(figsize=(10, 1.7 * rows))
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, trace in zip(grid, outcome.traces, strict=False):
        _plain(axes)
        end = int(trace.time[-1]) + 1
        _draw(axes, trace, end - 7 * DAY_NS, end)
        axes.set_title(trace.thing, fontsize=9, color=INK, loc="left")
        axes.tick_params(axis="x", labelrotation=0, labelsize=6)
    for axes in grid[len(outcome.traces) :]:
        axes.set_visible(False)
    figure.tight_layout()
    return svg(figure)


def horizons(outcome: Outcome) -> str:
    """Draw the error by hour ahead: the live model and every baseline."""
    figure, axes = _axes(10, 3.4)
    hours = np.arange(1, len(outcome.live.mae) + 1)
    by_subject: dict[str, list[tuple[float, float]]] = {}
    for metric in outcome.live.baselines:
        if metric.metric == "MAE" and metric.horizon.endswith("h"):
            by_subject.setdefault(metric.subject, []).append((float(metric.horizon[:-1]), metric.value))
    for shade, (subject, points) in enumerate(sorted(by_subject.items())):
        points.sort()
        axes.plot(
            *zip(*points, strict=True),
            marker="o",
            markersize=3,
            linewidth=1,
            label=subject,
            color=f"C{shade}",
            alpha=0.8,
        )
    axes.plot(hours, outcome.live.mae, color=FORECAST, linewidth=2.4, label="live model")
    axes.set_xlabel("hours ahead", fontsize=8)
    axes.set_ylabel("mean absolute error", fontsize=8)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False, ncols=4)
    return svg(figure)


def latency(outcome: Outcome) -> str:
    """Draw how long a reading took from its device to the forecast it caused."""
    figure, axes = _axes(10, 2.6)
    samples = outcome.latency.samples
    if len(samples):
        edges = np.geomspace(max(0.05, samples.min()), max(samples.max(), 0.1) * 1.01, 60)
        axes.hist(samples, bins=list(edges), color=QUIET)
        axes.set_xscale("log")
        for value, name in ((outcome.latency.p50, "p50"), (outcome.latency.p99, "p99")):
            axes.axvline(value, color=ALARM, linewidth=1)
            axes.text(value, axes.get_ylim()[1] * 0.92, f" {name} {value:.1f} ms", fontsize=8, color=ALARM)
    axes.set_xlabel("milliseconds from publish to stored forecast", fontsize=8)
    axes.set_ylabel("readings", fontsize=8)
    return svg(figure)
