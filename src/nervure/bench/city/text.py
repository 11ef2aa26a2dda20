"""What the demo of a city measured, as a page of the documents; it is written from the JSON alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from nervure.bench.city.outcome import Outcome, Side
from nervure.bench.markdown import number, table

__all__ = ["page", "publish", "read"]


def publish(outcome: Outcome, folder: Path) -> None:
    """Write ``city.json`` and ``city.md`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(outcome), indent=2)
    (folder / "city.json").write_bytes(text + b"\n")
    (folder / "city.md").write_text(page(outcome), "utf-8")


def read(path: Path) -> Outcome:
    """Return what was measured."""
    return msgspec.json.decode(path.read_bytes(), type=Outcome)


def page(outcome: Outcome) -> str:
    """Return the page."""
    slow = min(one.speed for one in outcome.sides)
    parts = [
        "# A city, its loops closed",
        (
            f"`nervure demo city --out docs/report`, seed {outcome.seed}, on {outcome.machine}: {outcome.wall_s:.0f} s in all."
            f" {len(outcome.sides)} twins in processes of their own, {slow:,.0f} times as fast as life and more, publish by MQTT;"
            " controllers decide and ask by Tasks; interlocks judge in the node and in a guard beside every actuator. What it is"
            " set beside are the same twins with the same seeds by their guards' plans alone."
        ),
        *(text for side in outcome.sides for text in _side(outcome, side)),
        *_foreseen(outcome),
        *_ways(outcome),
        "## Hostile commands",
        "By somebody with a token that may act, and no right to change interlocks.",
        _table(("asked", "became of it", "why"), ((one.what, one.state, one.why) for one in outcome.hostile)),
        "## Sensors that were not believed",
        "Commands of controllers that were refused because of an input, by the rule.",
        _table(("rule", "commands"), outcome.distrusted.items()),
        "## Logs",
        (
            f"{sum(one.intact for one in outcome.loops)} of {len(outcome.loops)} loops have a log whose every line is as it was"
            f" signed, {sum(sum(one.lines.values()) for one in outcome.loops):,} lines in all. At the end"
            f" {sum(one.mode == 'auto' for one in outcome.loops)} were still in auto."
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _ways(outcome: Outcome) -> tuple[str, ...]:
    return (
        "## From sensor to actuator",
        (
            f"{outcome.sent:,} readings were sent, {outcome.lost} lost, {outcome.doubled} stored twice, {outcome.quarantined} in"
            f" quarantine. Tasks by state: {', '.join(f'{name} {count:,}' for name, count in outcome.tasks.items())}."
        ),
        "Milliseconds of ours. A Task counts as acknowledged when the node has written down that its guard said so.",
        _table(
            ("way", "commands", "p50", "p99", "longest"),
            ((one.what, one.count, one.p50, one.p99, one.longest) for one in outcome.delays),
        ),
        (
            f"{outcome.late:,} commands were refused as the readings that they rested on were too old: a node that is late leaves"
            " signals to their plan, and does [no harm](safety.md#a-node-that-is-late)."
        ),
    )


_AHEAD = (
    "what",
    "unit",
    "hours ahead",
    "judged",
    "trained",
    "as it is now",
    "as a day before",
    "in the band",
)


def _foreseen(outcome: Outcome) -> tuple[str, ...]:
    if not outcome.foresight:
        return ()
    rows = [
        (one.what, one.unit, lead.hours, lead.count, lead.mae, lead.last_value, lead.last_day,
         f"{lead.inside:.0%}")
        for one in outcome.foresight
        for lead in one.leads
    ]  # fmt: skip
    models = [
        f"`{one.model}` {one.version} in {one.train_s:.0f} s on {one.slots:,} hours"
        for one in outcome.foresight
    ]
    first = outcome.foresight[0]
    return (
        "## What was foreseen",
        (
            f"The node learned {' and '.join(models)}: what a weather station had read in winters of other seeds, and in"
            " the two weeks before. The model scored live, its forecasts are Observations of a Datastream of their own, and the"
            f" plans of the house were made with them: {outcome.resting:,} Tasks say that they rest on it. Of the hours that were"
            f" planned with: {_planned(outcome)}. Mean absolute errors on the hours of the run, beside what needs no model; the band is that of"
            " eight in ten."
        ),
        _table(_AHEAD, rows),
        (
            f"What it is worth: the same days in one process cost {first.cost_last_day:.2f} planned with the last day, moved to how"
            f" it is now, {first.cost_foretold:.2f} with the forecasts of the run, and {first.cost_known:.2f} knowing temperature and"
            " sun beforehand."
        ),
    )


def _planned(outcome: Outcome) -> str:
    """Say how many hours of plans stood on what."""
    told: dict[str, int] = next(
        (one.told["planned_with"] for one in outcome.sides if "planned_with" in one.told), {}
    )
    return ", ".join(f"{count:,} of {name}" for name, count in sorted(told.items()))


def _side(outcome: Outcome, side: Side) -> tuple[str, ...]:
    rows = [
        (f"{one.name}, {one.unit}" if one.unit else one.name, one.alone, one.joined,
         "" if one.change is None else f"{one.change:+.1%}")
        for one in side.kpis
    ]  # fmt: skip
    happened = [
        f"- {one.after_min:+.1f} min: {one.what}" for one in outcome.happened if one.twin == side.twin
    ]
    return (
        f"## {side.title}: {side.controller}",
        (
            f"{side.engine}. {side.simulated_h:g} h in {side.wall_s:.0f} s, {side.speed:,.0f} times as fast as life;"
            f" {side.readings:,} readings, {side.acknowledged:,} commands acknowledged by guards,"
            f" {side.refused_by_guards:,} refused there."
        ),
        _table(("figure", "own plan", "joined", "difference"), rows),
        "\n".join(happened),
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [
        [number(one) if isinstance(one, float | int) else str(one).replace("|", "/") for one in row]
        for row in rows
    ]
    return table(columns, lines)
