"""The demo's report: one HTML file that needs nothing else."""

from __future__ import annotations

from html import escape
from pathlib import Path

from nervure.bench import figure
from nervure.bench.outcome import Outcome
from nervure.bench.style import STYLE
from nervure.core.alert import Alert
from nervure.core.card import Card
from nervure.core.instant import iso

__all__ = ["write"]


def write(outcome: Outcome, card: Card, path: Path) -> Path:
    """Write the report and return its path."""
    body = "\n".join(
        (
            _head(outcome, card),
            _tiles(outcome),
            _section("The burst", _burst_text(outcome), figure.burst(outcome)),
            _alerts(outcome),
            _section("The lying meter", _stuck_text(outcome), figure.stuck(outcome)),
            _section("Error by hour ahead", _error_text(outcome), figure.horizons(outcome) + _table(outcome)),
            _section("The last week, district by district", "", figure.districts(outcome)),
            _section("From reading to decision", "Each sample is one reading.", figure.latency(outcome)),
            _foot(outcome, card),
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    title = escape(f"Nervure demo: {card.solution}")
    path.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><main>\n{body}\n</main></body></html>\n",
        "utf-8",
    )
    return path


def _head(outcome: Outcome, card: Card) -> str:
    return (
        "<h1>Drinking water, four weeks live</h1>"
        f'<p class="lead">{len(outcome.traces)} districts replayed over MQTT at {outcome.speed:,.0f} times real time; '
        f"{escape(card.model)} trained on {escape(card.span[0][:10])} to {escape(card.span[1][:10])}. "
        "The readings are real; one burst and one stuck meter were injected and are marked.</p>"
    )


def _tiles(outcome: Outcome) -> str:
    found = "not found" if outcome.burst_detected_after_h is None else f"{outcome.burst_detected_after_h:g} h"
    tiles = (
        (f"{outcome.stored:,} / {outcome.sent:,}", "readings stored / acknowledged"),
        (f"{outcome.lost} · {outcome.duplicates}", "lost · doubled"),
        (found, "from burst to alert"),
        (f"{outcome.false_alarms_per_day:.2f}", "false alarms a day"),
        (f"{100 * outcome.live.coverage_80:.1f} %", "of readings inside the 80 % band"),
        (f"{outcome.latency.p50:.1f} / {outcome.latency.p99:.1f} ms", "reading to forecast, p50 / p99"),
    )
    cells = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _section(title: str, text: str, picture: str) -> str:
    words = f"<p>{text}</p>" if text else ""
    return f"<section><h2>{escape(title)}</h2>{words}{picture}</section>"


def _burst_text(outcome: Outcome) -> str:
    burst = outcome.scenario.burst
    return (
        f"Injected: +{burst.extra:g} in {escape(burst.thing)} from {iso(burst.start_ns)} to {iso(burst.end_ns)}. "
        "The alarm threshold was set beforehand on normal weeks, by the promised number of alarms a day."
    )


def _stuck_text(outcome: Outcome) -> str:
    stuck = outcome.scenario.stuck
    return (
        f"Injected: the meter of {escape(stuck.thing)} repeats one value from {iso(stuck.start_ns)} to "
        f"{iso(stuck.end_ns)}. Its readings are kept, but hidden from the model once they are not believable."
    )


def _error_text(outcome: Outcome) -> str:
    return (
        f"The live model's {outcome.live.points:,} forecast values are scored where no injection touched them; "
        "the baselines are scored on the same four weeks without injections."
    )


def _table(outcome: Outcome) -> str:
    columns = list(
        dict.fromkeys(one.horizon for one in outcome.live.baselines if one.metric == "MAE" and one.horizon)
    )
    rows: dict[str, dict[str, float]] = {}
    for one in outcome.live.baselines:
        if one.metric == "MAE":
            rows.setdefault(one.subject, {})[one.horizon] = one.value
    live = {f"{hour}h": float(value) for hour, value in enumerate(outcome.live.mae, 1)}
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    lines = [f"<tr><td>{escape(name)}</td>{_cells(row, columns)}</tr>" for name, row in rows.items()]
    lines.append(f'<tr class="model"><td>live model</td>{_cells(live, columns)}</tr>')
    return f"<table><tr><th>mean absolute error</th>{head}</tr>{''.join(lines)}</table>"


def _cells(row: dict[str, float], columns: list[str]) -> str:
    return "".join(f"<td>{row[column]:.3f}</td>" if column in row else "<td></td>" for column in columns)


def _alerts(outcome: Outcome) -> str:
    """List the alerts of what was injected, then, folded, all others: false as far as is known."""
    injected = {outcome.scenario.burst.thing: "burst", outcome.scenario.stuck.thing: "stuck"}
    ours: list[str] = []
    others: list[str] = []
    for alert in outcome.alerts:
        kind = injected.get(outcome.names.get(alert.thing, ""))
        (ours if kind == alert.rule.rpartition(".")[2] else others).append(_alert(alert))
    found = "".join(ours) or "<p>None of what was injected was found.</p>"
    rest = (
        f"<details><summary>{len(others)} other alerts, where nothing was injected</summary>"
        f"{''.join(others)}</details>"
        if others
        else ""
    )
    return f"<section><h2>Alerts</h2>{found}{rest}</section>"


def _alert(alert: Alert) -> str:
    sure = "" if alert.sure is None else f" More unusual than {100 * alert.sure:.1f} % of normal hours."
    shown = "; ".join(_evidence(one.time_ns, one.value, one.expected) for one in alert.evidence[:3])
    return (
        f'<div class="alert {escape(alert.severity)}"><strong>{escape(alert.text)}</strong>{sure}'
        f"<br><small>{escape(alert.severity)}, raised {iso(alert.raised_ns)}; {shown}</small></div>"
    )


def _evidence(time_ns: int, value: float, expected: float | None) -> str:
    wanted = "" if expected is None else f" (expected {expected:.3g})"
    return f"{iso(time_ns)}: {value:.3g}{wanted}"


def _foot(outcome: Outcome, card: Card) -> str:
    return (
        f"<section><h2>The model</h2><p><code>{escape(card.name)} {escape(card.version)}</code>: "
        f"{card.parameters:,} parameters, trained in {outcome.train_s:.0f} s, {card.infer_ms:.2f} ms a batch. "
        "Data: Battle of Water Demand Forecasting, Alvisi et al. 2025, CC BY 4.0.</p></section>"
    )
