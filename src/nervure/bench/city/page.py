"""The report of the city's demo: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from nervure.bench.city.outcome import Kpi, Outcome, Side
from nervure.bench.style import STYLE

__all__ = ["write"]

_SHOWN = {
    "roads": ("delay", "wait", "travel", "arrived", "longest_red"),
    "building": ("cost", "hvac", "comfort"),
    "pipes": ("lost", "unserved", "lowest_pressure", "closed", "cut_off"),
}
_LESS_IS_GOOD = ("delay", "wait", "travel", "longest_red", "cost", "hvac", "comfort", "lost", "unserved")


def write(outcome: Outcome, path: Path) -> Path:
    """Write the report and return its path."""
    body = "\n".join(
        (
            _head(outcome),
            _tiles(outcome),
            *(_side(outcome, one) for one in outcome.sides),
            _foreseen(outcome),
            _ways(outcome),
            _hostile(outcome),
            _distrusted(outcome),
            _loops(outcome),
            f"<p><small>{escape(outcome.machine)}</small></p>",
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>Nervure: a city</title>'
        f"<style>{STYLE}</style></head><body><main>\n{body}\n</main></body></html>\n",
        "utf-8",
    )
    return path


def _head(outcome: Outcome) -> str:
    slowest = min(one.speed for one in outcome.sides)
    return (
        "<h1>A city, its loops closed</h1>"
        f'<p class="lead">{len(outcome.sides)} twins in processes of their own, {slowest:,.0f} to'
        f" {max(one.speed for one in outcome.sides):,.0f} times as fast as life: readings by MQTT with device"
        " credentials, controllers that decide and ask by Tasks, interlocks in the node and in guards beside"
        f" actuators. {outcome.wall_s:,.0f} s in all, seed {outcome.seed}. Everything was measured in this"
        " run; what it is set beside are the same twins with the same seeds, by their own plans alone.</p>"
    )


def _tiles(outcome: Outcome) -> str:
    done = outcome.tasks.get("completed", 0) + outcome.tasks.get("superseded", 0)
    way = next((one for one in outcome.delays if one.what == "sensor to acknowledgement"), None)
    tiles = (
        (f"{outcome.sent:,}", "readings sent"),
        (f"{outcome.lost} · {outcome.doubled}", "lost · doubled"),
        (f"{sum(outcome.tasks.values()):,} / {done:,}", "Tasks asked / done"),
        (
            "" if way is None else f"{way.p50:,.0f} / {way.p99:,.0f} ms",
            "sensor to acknowledgement, p50 / p99",
        ),
        (
            f"{sum(one.refused for one in outcome.hostile)} / {len(outcome.hostile)}",
            "hostile commands refused",
        ),
        (f"{sum(one.intact for one in outcome.loops)} / {len(outcome.loops)}", "logs as they were signed"),
    )
    cells = "".join(f'<div class="tile"><b>{escape(a)}</b><span>{escape(b)}</span></div>' for a, b in tiles)
    return f'<div class="tiles">{cells}</div>'


def _side(outcome: Outcome, side: Side) -> str:
    kpis = [one for name in _SHOWN.get(side.twin, ()) for one in side.kpis if one.name == name]
    rows = [
        (f"{one.name}, {one.unit}", _number(one.alone), _number(one.joined), _change(one)) for one in kpis
    ]
    happened = [one for one in outcome.happened if one.twin == side.twin]
    story = "".join(f"<li>{one.after_min:+.1f} min: {escape(one.what)}</li>" for one in happened)
    guards = (
        f"{side.acknowledged:,} commands acknowledged by guards, {side.refused_by_guards:,} refused there"
    )
    return (
        f"<section><h2>{escape(side.title)}: {escape(side.controller)}</h2>"
        f"<p>{escape(side.engine)}. {side.simulated_h:g} h in {side.wall_s:,.0f} s, {side.speed:,.0f}"
        f" times as fast as life; {side.readings:,} readings; {guards}.</p>"
        f"{_table(('figure', 'own plan alone', 'joined', 'difference'), rows)}<ul>{story}</ul></section>"
    )


def _foreseen(outcome: Outcome) -> str:
    if not outcome.foresight:
        return ""
    rows = [
        (
            f"{one.what}, {one.unit}", f"{lead.hours} h", f"{lead.mae:.3g}", f"{lead.last_value:.3g}",
            f"{lead.last_day:.3g}", f"{lead.inside:.0%}",
        )
        for one in outcome.foresight
        for lead in one.leads
    ]  # fmt: skip
    models = ", ".join(f"{one.model} {one.version}" for one in outcome.foresight)
    columns = ("what", "ahead", "trained", "as it is now", "as a day before", "in the band of eight in ten")
    return (
        f"<section><h2>What was foreseen</h2><p>{escape(models)}, trained before the run on winters of other"
        " seeds, scored live, and planned with. Mean absolute errors on the hours of the run.</p>"
        f"{_table(columns, rows)}</section>"
    )


def _ways(outcome: Outcome) -> str:
    rows = [
        (one.what, f"{one.count:,}", f"{one.p50:,.1f}", f"{one.p99:,.1f}", f"{one.longest:,.1f}")
        for one in outcome.delays
    ]
    states = "; ".join(f"{escape(name)} {count:,}" for name, count in outcome.tasks.items())
    return (
        "<section><h2>From sensor to actuator</h2><p>Milliseconds of ours. A Task counts as acknowledged when"
        f" the node has written down that its guard said so. Tasks by state: {states}.</p>"
        f"{_table(('way', 'commands', 'p50', 'p99', 'longest'), rows)}</section>"
    )


def _hostile(outcome: Outcome) -> str:
    rows = [(one.what, one.state, one.why) for one in outcome.hostile]
    return (
        "<section><h2>Hostile commands</h2><p>Somebody with a token that may act, whose owner is no engineer."
        f"</p>{_table(('asked', 'became of it', 'why'), rows)}</section>"
    )


def _distrusted(outcome: Outcome) -> str:
    rows = [(name, f"{count:,}") for name, count in outcome.distrusted.items()]
    text = "Commands that were refused as an input was silent, stale, or could not be true."
    return (
        f"<section><h2>Sensors that were not believed</h2><p>{text}</p>"
        f"{_table(('rule', 'commands'), rows)}</section>"
    )


def _loops(outcome: Outcome) -> str:
    rows = [
        (
            one.name,
            one.mode,
            f"{sum(one.lines.values()):,}",
            "yes" if one.intact else "no",
            ", ".join(f"{name} {count}" for name, count in sorted(one.lines.items())),
        )
        for one in outcome.loops
        if sum(one.lines.values()) > 1
    ]
    quiet = len(outcome.loops) - len(rows)
    return (
        "<section><h2>The signed logs of the loops</h2><details><summary>"
        f"{len(rows)} loops in which something happened; {quiet} more were left alone</summary>"
        f"{_table(('loop', 'mode', 'lines', 'as signed', 'by kind'), rows)}</details></section>"
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in columns)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )  # fmt: skip
    return f"<table><tr>{head}</tr>{lines}</table>"


def _number(value: float) -> str:
    return f"{value:,.4g}"


def _change(one: Kpi) -> str:
    if one.change is None:
        return ""
    good = one.name in _LESS_IS_GOOD and one.change < 0
    return f"{one.change:+.1%}{' (better)' if good else ''}"
