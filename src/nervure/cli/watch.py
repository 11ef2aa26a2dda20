"""``nervure watch``: alarms on any stream, at a promised rate, with the sensor and the reason."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from nervure.cli.learnt import share_of
from nervure.cli.option import Change, Dates, Decimal, File, Json, read
from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress
from nervure.cli.verdict import read_verdicts
from nervure.cli.vigil import Live, keep_watch
from nervure.core.error import NervureError, UsageError
from nervure.core.instant import duration_ns, iso

if TYPE_CHECKING:
    from nervure.learn.detect.block import Block
    from nervure.learn.detect.vigil import Vigil
    from nervure.learn.own.table import Sheaf

__all__ = ["Columns", "Promise", "watch"]

_SHOWN = 20
_LEARN = "40%"


@dataclass(frozen=True, kw_only=True)
class Columns:
    """How to read a file of one's own; what is left out is found out, and said."""

    time: Annotated[
        str | None,
        Parameter(help="With --csv: the column of time stamps; rows are a second apart if there is none."),
    ] = None
    id: Annotated[str | None, Parameter(help="With --csv: the column that tells series apart.")] = None
    columns: Annotated[
        tuple[str, ...],
        Parameter(
            negative=(),
            help="With --csv: the columns to watch; all that hold numbers if left out. May be repeated.",
        ),
    ] = ()
    label: Annotated[
        str | None,
        Parameter(
            help="With --csv: a column that tells which rows are odd. It measures; detectors do not see it."
        ),
    ] = None
    dates: Dates = None
    decimal: Decimal = None
    zone: Annotated[
        str | None, Parameter(help="With --csv: the IANA zone of stamps that do not say theirs.")
    ] = None
    told: Annotated[
        Path | None,
        Parameter(
            help="With --csv: what was said of alarms, a CSV of start,end,verdict (true, false or planned)."
            " Limits heed it, and what was odd is not learnt from."
        ),
    ] = None
    scores: Annotated[
        Path | None,
        Parameter(help="With --csv: write score, limit and alarm of every watched row to this file."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What is promised, and what a monitor is fitted to."""

    learn: Annotated[
        str | None,
        Parameter(
            help="What is taken for normal and learnt from. With --csv the first 40% (the default), the first"
            " 14d, or all before a time. With --project all there is up to 50,000 rows a Thing (the default),"
            " the newest 14d, or a share or time as with --csv; what came after it is judged at once."
        ),
    ] = None
    alarms_per_day: Annotated[
        float | None,
        Parameter(help="How many false alarms a day are acceptable, a series or Thing; said if left out."),
    ] = None
    min_duration: Annotated[
        str | None, Parameter(help="How long a score must stay above its limit, such as 10min.")
    ] = None
    merge_gap: Annotated[str | None, Parameter(help="Alarms closer than this are one, such as 1h.")] = None
    quick: Annotated[bool, Parameter(negative=(), help="Only detectors that are fitted in a second.")] = False
    seed: Annotated[int, Parameter(help="Where chance starts.")] = 0


def watch(
    *,
    csv: Annotated[
        Path | None,
        Parameter(help="A file of readings: wide or long, CSV of any separator, also packed, or Parquet."),
    ] = None,
    project: Annotated[
        str | None,
        Parameter(help="A project of the running node (nervure project list), or its own name: all of it."),
    ] = None,
    promise: Annotated[Promise | None, Parameter(name="*")] = None,
    columns: Annotated[Columns | None, Parameter(name="*")] = None,
    live: Annotated[Live | None, Parameter(name="*")] = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Watch a file of readings or a running node: alarms at a promised rate, which sensor, and why.

    Nothing need be known of the readings: detectors are fitted to what came first, chosen by faults that
    are injected there, and their limit is kept so that, when all is well, no more alarms ring a day than
    promised. With --csv or --once exit code 1 tells that there were alarms.
    """
    wanted, given = promise or Promise(), columns or Columns()
    if (csv is None) == (project is None):
        raise UsageError(
            "what is to be watched?" if csv is None else "--csv and --project exclude each other",
            hint="a file, --csv FILE, or a project of the running node, --project NAME",
        )
    ways = _ways(wanted)
    if csv is not None:
        _refuse(live or Live(), Live(), "a running node: --project NAME")
        return _watch_file(csv, given, wanted.learn or _LEARN, ways, json=json)
    _refuse(given, Columns(), "a file: --csv FILE")
    from nervure.cli.post import Wish

    how = live or Live()
    wish = Wish(learn=wanted.learn, once=how.once, severity=how.severity, **ways)
    return keep_watch(read(settings, change)[0], project or "", wish, how, json=json)


def _ways(wanted: Promise) -> dict[str, Any]:
    """Return what a monitor is fitted by, whatever it watches."""
    return {
        "per_day": _rate(wanted.alarms_per_day),
        "hold_ns": duration_ns(wanted.min_duration, where="--min-duration") if wanted.min_duration else 0,
        "gap_ns": duration_ns(wanted.merge_gap, where="--merge-gap") if wanted.merge_gap else None,
        "seed": wanted.seed,
        "quick": wanted.quick,
    }


def _refuse(given: Columns | Live, plain: Columns | Live, place: str) -> None:
    """Refuse options that mean nothing here."""
    odd = [one.name for one in fields(given) if getattr(given, one.name) != getattr(plain, one.name)]
    if odd:
        raise UsageError(f"--{odd[0]} is for {place}")


def _watch_file(csv: Path, given: Columns, learn: str, ways: dict[str, Any], *, json: bool) -> int:
    """Watch a file from where its beginning has taught enough."""
    from nervure.learn.own.ask import Asked
    from nervure.learn.own.table import open_table

    asked = Asked(
        file=csv, time=given.time, id=given.id, dates=given.dates, decimal=given.decimal, zone=given.zone
    )
    sheaf = open_table(asked, columns=_split(given.columns), label=given.label)
    if given.told is not None:
        ways["told"] = read_verdicts(given.told)
    found, refused = _watched(sheaf, learn, ways)
    if given.scores is not None:
        _write_scores(given.scores, found)
    told = [_told(block, vigil) for block, vigil in found]
    if json:
        write_json({
            "file": str(csv), "rows": sheaf.rows, "rejected_cells": len(sheaf.rejected), "label": sheaf.label,
            "series": told, "not_watched": refused, "notes": sheaf.notes,
        })  # fmt: skip
    else:
        _show(sheaf, found, told, refused)
    return 1 if any(vigil.alarms for _, vigil in found) else 0


def _split(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one.strip() for name in names for one in name.split(",") if one.strip())


def _rate(per_day: float | None) -> float | None:
    if per_day is not None and not 0 < per_day <= 1e6:
        raise UsageError(
            f"--alarms-per-day {per_day:g}: must be above 0",
            hint="say 1 for one a day, 0.1 for one in ten days",
        )
    return per_day


def _watched(
    sheaf: Sheaf, learn: str, ways: dict[str, Any]
) -> tuple[list[tuple[Block, Vigil]], dict[str, str]]:
    """Watch every series; one that cannot be is told with its reason, unless it is the only one."""
    from nervure.learn.detect.vigil import keep

    found: list[tuple[Block, Vigil]] = []
    refused: dict[str, str] = {}
    with progress("watch") as told:
        for number, block in enumerate(sheaf.blocks):
            part = len(sheaf.blocks)

            def tell(share: float, text: str, at: int = number, of: int = part) -> None:
                told((at + share) / of, text)

            try:
                found.append((block, keep(block, learn=share_of(block, learn), tell=tell, **ways)))
            except NervureError as error:
                if part == 1 or isinstance(error, UsageError):
                    raise
                refused[block.name] = error.what
    return found, refused


def _told(block: Block, vigil: Vigil) -> dict[str, Any]:
    """Return what is known of a series, for machines."""
    setup, last = vigil.setup, len(block) - 1
    return {
        "series": block.name,
        "streams": setup.streams,
        "every_s": block.every_ns / 1e9,
        "learnt": {"from": iso(int(block.time[0])), "to": iso(int(block.time[max(vigil.since - 1, 0)]))},
        "watched": {
            "from": iso(int(block.time[min(vigil.since, last)])), "to": iso(int(block.time[last])),
            "days": round(vigil.days, 6), "rows": len(block) - vigil.since,
        },
        "detectors": [one.name for one in setup.senses],
        "injected_faults": setup.found,
        "promised_per_day": vigil.promised,
        "promised_alarms": round(vigil.promised * vigil.days, 3),
        "realised_alarms": len(vigil.alarms),
        "realised_per_day": round(len(vigil.alarms) / vigil.days, 4) if vigil.days else None,
        "alarms": vigil.alarms,
        **_measured(block, vigil),
    }  # fmt: skip


def _measured(block: Block, vigil: Vigil) -> dict[str, Any]:
    """Return how many labelled events were found, where the file has labels."""
    if block.label is None:
        return {}
    import numpy as np

    from nervure.learn.detect.block import ODD

    rest = block.part(vigil.since)
    spans = [(int(rest.time[a]), int(rest.time[b - 1])) for a, b in rest.events.tolist()]
    gap = vigil.setup.span.gap_ns
    hit = [
        any(one.start_ns <= end + gap and one.end_ns >= start for one in vigil.events) for start, end in spans
    ]
    inside = [
        any(one.start_ns <= end + gap and one.end_ns >= start for start, end in spans) for one in vigil.events
    ]
    return {
        "labelled": {
            "events": len(spans), "events_found": sum(hit), "alarms_on_events": sum(inside),
            "alarms_elsewhere": len(inside) - sum(inside), "rows_odd": int(np.sum(rest.label == ODD)),
        }
    }  # fmt: skip


def _write_scores(path: Path, found: list[tuple[Block, Vigil]]) -> None:
    """Write a line a watched row: score and limit in decades of rarity, and 1 while an alarm is on."""
    import csv as writer

    with path.open("w", newline="", encoding="utf-8") as file:
        out = writer.writer(file)
        out.writerow(("series", "time", "score", "limit", "alarm"))
        for block, vigil in found:
            time = block.time[vigil.since :]
            on = [(one.start_ns, one.end_ns) for one in vigil.events]
            place = 0
            for row, moment in enumerate(time.tolist()):
                while place < len(on) and on[place][1] < moment:
                    place += 1
                alarm = place < len(on) and on[place][0] <= moment
                out.writerow(
                    (
                        block.name,
                        iso(moment),
                        f"{vigil.score[row]:.4f}",
                        f"{vigil.limit[row]:.4f}",
                        int(alarm),
                    )
                )


def _show(
    sheaf: Sheaf, found: list[tuple[Block, Vigil]], told: list[dict[str, Any]], refused: dict[str, str]
) -> None:
    """Print what a person wants to know."""
    say(f"{sheaf.rows:,} rows, {len(sheaf.blocks):,} series, {len(sheaf.rejected):,} cells rejected")
    for note in sheaf.notes:
        say(f"- {note}")
    for (_, vigil), one in zip(found, told, strict=True):
        say(_taught(vigil, one))
        say(
            f"  promised: {vigil.promised:.3g} alarms a day, {one['promised_alarms']:.3g} in what was"
            f" watched; rang: {len(vigil.alarms)}{_said(one)}"
        )
        rarest = sorted(vigil.alarms, key=lambda alarm: -alarm.rarity)[:_SHOWN]
        for alarm in sorted(rarest, key=lambda alarm: alarm.start):
            say(f"  {alarm.start}  {alarm.says} {alarm.do[0].upper()}{alarm.do[1:]}.")
        if len(vigil.alarms) > _SHOWN:
            say(f"  and {len(vigil.alarms) - _SHOWN} less rare ones: --json tells all")
    if refused:
        table(("series", "why it is not watched"), list(refused.items()))


def _taught(vigil: Vigil, one: dict[str, Any]) -> str:
    injected = vigil.setup.found
    return (
        f"{one['series']}: learnt from {one['learnt']['from']} to {one['learnt']['to']}, watched to"
        f" {one['watched']['to']} by {', '.join(one['detectors'])}, which found {injected['found']:.0%} of"
        f" injected faults of up to {injected['size']:g} deviations (chance {injected['chance']:.0%}),"
        f" naming {injected['named']:.0%} of them rightly"
    )


def _said(one: dict[str, Any]) -> str:
    known = one.get("labelled")
    if not known:
        return ""
    found = f"of {known['events']} labelled events {known['events_found']} were found"
    return f"; {found}, {known['alarms_elsewhere']} alarms were elsewhere"
