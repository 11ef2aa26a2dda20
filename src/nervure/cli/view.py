"""How a demo run is shown: plain lines for logs, a live screen for people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from nervure.bench.demo import LiveState, Watcher
from nervure.core.alert import Alert
from nervure.core.card import Metric
from nervure.core.instant import iso

__all__ = ["Plain", "Screen"]

QUIET_S = 2.0
SHOWN = 6


class _View(Watcher):
    """What both views share: the closing lines."""

    def line(self, text: str) -> None:
        """Print one line."""
        raise NotImplementedError

    def summary(self, figures: dict[str, Any], page: Path) -> None:
        """Say what was found, and where the report is."""
        self.line(
            f"{figures['stored']:,} of {figures['sent']:,} readings stored, {figures['lost']} lost, "
            f"{figures['duplicates']} doubled, {figures['quarantined']} quarantined"
        )
        self.line(
            f"forecast error {figures['forecast']['mae']}, "
            f"80 % band held {100 * figures['coverage_80']:.1f} %"
        )
        found = figures["burst_detected_after_h"]
        self.line(
            ("burst not found" if found is None else f"burst found after {found:g} h")
            + f", {figures['false_alarms_per_day']} false alarms a day"
        )
        self.line(
            f"reading to forecast p50 {figures['latency_ms']['p50']} ms, "
            f"p99 {figures['latency_ms']['p99']} ms"
        )
        self.line(f"report: file://{page}")


class Plain(_View):
    """Lines on a stream, at most one every two seconds and one at the end of each phase."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown = 0.0

    def line(self, text: str) -> None:
        """Print one line."""
        print(text, file=self._out, flush=True)

    def phase(self, name: str, share: float, text: str = "") -> None:
        """Print how far a phase has come."""
        now = time.monotonic()
        if share >= 1.0 or now - self._shown > QUIET_S:
            self._shown = now
            self.line(f"{name:8} {100 * share:4.0f} %  {text}")

    def table(self, metrics: tuple[Metric, ...], unit: str) -> None:
        """Print the table of baselines above the model."""
        columns, rows = _pivot(metrics)
        self.line(f"{'mean absolute error, ' + unit:28}" + "".join(f"{column:>9}" for column in columns))
        for name, cells in rows:
            self.line(f"{name:28}" + "".join(f"{cell:9.3f}" for cell in cells))

    def live(self, state: LiveState) -> None:
        """Print where the replay is."""
        self.phase(
            "replay",
            min(0.999, state.share),
            f"{iso(state.moment_ns)}  {state.sent:,} sent, {state.heard:,} foreseen",
        )

    def alert(self, alert: Alert) -> None:
        """Print an alert."""
        self.line(f"ALERT {alert.severity}: {alert.text}" + ("" if alert.active else " (cleared)"))


class Screen(_View):
    """A live screen: progress, the table, the districts, the alerts."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._progress = Progress(
            TextColumn("{task.description:8}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._state: LiveState | None = None
        self._alerts: dict[str, Alert] = {}
        self._learned: Table | None = None
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def line(self, text: str) -> None:
        """Print one line below the screen."""
        self._console.print(text, highlight=False)

    def phase(self, name: str, share: float, text: str = "") -> None:
        """Move a phase's bar."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=1.0, text=text)
        self._progress.update(self._tasks[name], completed=share, text=text)

    def table(self, metrics: tuple[Metric, ...], unit: str) -> None:
        """Show the table of baselines above the model."""
        columns, rows = _pivot(metrics)
        self._learned = Table("mean absolute error", *columns, title=f"On the weeks to be replayed, {unit}")
        for name, cells in rows:
            self._learned.add_row(name, *(f"{cell:.3f}" for cell in cells))

    def live(self, state: LiveState) -> None:
        """Move the replay's bar and show the districts."""
        self._state = state
        self.phase("replay", min(1.0, state.share), f"{iso(state.moment_ns)}  {state.sent:,} readings")

    def alert(self, alert: Alert) -> None:
        """Show an alert, or its newest state."""
        self._alerts[alert.id] = alert

    def _draw(self) -> Group:
        parts: list[Any] = [self._progress]
        if self._learned is not None:
            parts.append(self._learned)
        if self._state is not None and self._state.rows:
            parts.append(_districts(self._state))
        if self._alerts:
            shown = list(self._alerts.values())[-SHOWN:]
            lines = Text("\n").join(_sentence(alert) for alert in shown)
            parts.append(Panel(lines, title="Alerts", title_align="left"))
        return Group(*parts)


def _districts(state: LiveState) -> Table:
    table = Table("district", "now", "next hour", "80 % band")
    for name, value, median, low, high in state.rows:
        table.add_row(name, f"{value:.2f}", f"{median:.2f}", f"{low:.2f} to {high:.2f}")
    return table


def _sentence(alert: Alert) -> Text:
    word = alert.severity if alert.active else f"{alert.severity}, cleared"
    style = "bold red" if alert.active and alert.severity in ("critical", "major") else "yellow"
    return Text.assemble((f"[{word}] ", style), alert.text)


def _pivot(metrics: Sequence[Metric]) -> tuple[list[str], list[tuple[str, list[float]]]]:
    rows = [one for one in metrics if one.metric == "MAE"]
    columns = list(dict.fromkeys(one.horizon for one in rows))
    cells = {(one.subject, one.horizon): one.value for one in rows}
    subjects = list(dict.fromkeys(one.subject for one in rows))
    return columns, [
        (name, [cells.get((name, column), float("nan")) for column in columns]) for name in subjects
    ]
