"""The overview: every Thing with where it is and whether all is well there, and what there is, as columns."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nervure.core.alert import Severity
from nervure.core.instant import SECOND_NS
from nervure.serve.answer import Answer
from nervure.serve.control.brief import BriefAlert, brief
from nervure.serve.control.column import moments, numbers
from nervure.serve.control.given import MS, tagged
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.control.vital import Reporting, figures, reporting
from nervure.serve.site import streams_in_sight, things_in_sight
from nervure.store import alarm, quarantine
from nervure.store.alarm import Choice, Ringing
from nervure.store.site import Site
from nervure.stream.subject import datastream_of

__all__ = [
    "ROUTES", "Abnormal", "OverviewQuery", "OverviewView", "StreamQuery", "StreamsView", "Strip",
    "ThingStates", "ThingsView", "overview", "shapes", "streams", "things",
]  # fmt: skip

Longs = NDArray[np.int64]

STATES = ("normal", "alert", "silent", "quarantined", "unknown")
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
QUARANTINED_NS = 15 * 60 * SECOND_NS
"""So long after something of it could not be taken a Thing counts as quarantined."""

AS_IT_WAS_NS = 300 * SECOND_NS
"""For so long at most who asks again is told that nothing has changed: clock and ages do all the time."""

MOST_OPEN = 20_000
MOST_INCIDENTS = 20

Kind = Literal["reading", "forecast", "score", "answer"]
Text = Annotated[str, Meta(max_length=200)]


class OverviewQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the answer says where Things are."""

    places: bool = True


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which Datastreams."""

    thing: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    solution: Text | None = None
    signal: Text | None = None
    kind: Kind | None = None


class ThingStates(msgspec.Struct, frozen=True, kw_only=True):
    """Things as columns: ``state`` is the place in ``states``."""

    id: list[int]
    state: list[int]
    lon: list[float | None] = []
    lat: list[float | None] = []


class Abnormal(msgspec.Struct, frozen=True, kw_only=True):
    """The Things that are not normal, as columns; ``severity`` is -1 without an open alert."""

    thing: list[int]
    state: list[int]
    open: list[int]
    severity: list[int]
    since: list[int | None]


class Strip(msgspec.Struct, frozen=True, kw_only=True):
    """How the node does: delay from sensed to scored, newest reading, median age of the newest readings."""

    now: int
    p95_ms: float | None
    newest: int | None
    freshness_s: float | None
    expected: int
    reporting: int
    problems: tuple[str, ...] = ()


class OverviewView(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, where, and how the node does."""

    now: int
    clock: int
    states: tuple[str, ...]
    severities: tuple[str, ...]
    things: ThingStates
    abnormal: Abnormal
    counts: dict[str, int]
    strip: Strip
    incidents: list[BriefAlert]


class ThingsView(msgspec.Struct, frozen=True, kw_only=True):
    """Things as columns."""

    id: list[int]
    name: list[str]
    lon: list[float | None]
    lat: list[float | None]
    project: list[int]
    solution: list[str]
    streams: list[int]


class StreamsView(msgspec.Struct, frozen=True, kw_only=True):
    """Datastreams as columns, with their first and newest times (ms) and newest value."""

    id: list[int]
    thing: list[int]
    name: list[str]
    unit: list[str]
    solution: list[str]
    signal: list[str]
    kind: list[str]
    source: list[int | None]
    every_s: list[float | None]
    low: list[float | None]
    high: list[float | None]
    first: list[int | None]
    last: list[int | None]
    value: list[float | None]


def overview(desk: Desk, call: Call) -> Answer:
    """Show every Thing with its place and state, the open incidents, and how the node does."""
    now, site, project = time.time_ns(), desk.site(), call.principal.project
    found = reporting(site.streams, desk.observed.newest(), now)
    choice = Choice(now_ns=now, active=True, project=project)
    with desk.catalogue.database.read() as connection:
        ringing = alarm.ringing(connection, choice, MOST_OPEN)
        open_ones = msgspec.structs.replace(choice, state="open")
        worst = alarm.worst(connection, open_ones, SEVERITIES, MOST_INCIDENTS)
        refused = quarantine.subjects(connection, now - QUARANTINED_NS)
    recent = {one for subject in refused if (one := datastream_of(subject)) is not None}
    seen = np.flatnonzero(things_in_sight(site, project))
    states = _states(site, found, ringing, np.array(sorted(recent), dtype=np.int64))
    body = _view(site, states, seen, call.query)
    counted = _counts(states, seen, ringing)
    incidents = [brief(one) for one in worst]
    mine = np.zeros(len(site.streams.id), np.bool_)
    mine[streams_in_sight(site, project)] = True
    vital = desk.vital()
    node = Strip(**figures(found, mine, vital, now), problems=vital.problems if project is None else ())
    kept = [node.problems, node.expected, node.reporting, found.clock_ns // AS_IT_WAS_NS]
    mark = msgspec.msgpack.encode([body, counted, incidents, kept])
    view = OverviewView(
        now=now // MS, clock=found.clock_ns // MS, states=STATES, severities=SEVERITIES, things=body[0],
        abnormal=body[1], counts=counted, strip=node, incidents=incidents,
    )  # fmt: skip
    return tagged(call, msgspec.json.encode(view), mark=mark)


class _States(msgspec.Struct, frozen=True, kw_only=True):
    """Of each Thing ``[thing]``: its state, how many alerts are open, the worst, since when (ns, 0: none)."""

    state: Longs
    open: Longs
    severity: Longs
    since: Longs


def _states(site: Site, found: Reporting, ringing: Sequence[Ringing], refused: Longs) -> _States:
    number = len(site.things.id)
    state = np.full(number, STATES.index("unknown"))
    at = site.things.at(site.streams.thing)
    known = at >= 0
    since = np.zeros(number, np.int64)
    state[at[known & (found.last_ns > 0)]] = STATES.index("normal")
    silent = np.flatnonzero(known & found.silent)
    state[at[silent]] = STATES.index("silent")
    np.maximum.at(since, at[silent], found.last_ns[silent])
    place = site.streams.at(refused)
    bad = at[place[place >= 0]]
    state[bad[bad >= 0]] = STATES.index("quarantined")
    count, worst = np.zeros(number, np.int64), np.full(number, -1)
    rings = [one for one in ringing if not one.shelved]
    where = site.things.at(np.array([one.thing for one in rings], dtype=np.int64))
    for one, row in zip(rings, where.tolist(), strict=True):
        if row < 0:
            continue
        rank = SEVERITIES.index(one.severity) if one.severity in SEVERITIES else len(SEVERITIES) - 1
        if not count[row] or rank < worst[row]:
            worst[row] = rank
        since[row] = one.raised_ns if not count[row] else min(since[row], one.raised_ns)
        count[row] += 1
        state[row] = STATES.index("alert")
    return _States(state=state, open=count, severity=worst, since=since)


def _view(site: Site, states: _States, seen: Longs, query: OverviewQuery) -> tuple[ThingStates, Abnormal]:
    place = site.things.place[seen]
    states_view = ThingStates(
        id=site.things.id[seen].tolist(),
        state=states.state[seen].tolist(),
        lon=numbers(place[:, 0], 6) if query.places else [],
        lat=numbers(place[:, 1], 6) if query.places else [],
    )
    odd = seen[states.state[seen] != 0]
    abnormal = Abnormal(
        thing=site.things.id[odd].tolist(),
        state=states.state[odd].tolist(),
        open=states.open[odd].tolist(),
        severity=states.severity[odd].tolist(),
        since=moments(states.since[odd]),
    )
    return states_view, abnormal


def _counts(states: _States, seen: Longs, ringing: Sequence[Ringing]) -> dict[str, int]:
    state = states.state[seen]
    rings = [one for one in ringing if not one.shelved]
    counted = {"things": len(seen), "abnormal": int((state != 0).sum())}
    counted |= {name: int((state == place).sum()) for place, name in enumerate(STATES)}
    counted |= {
        "open_alerts": len(rings),
        "unacknowledged": sum(not one.acknowledged for one in rings),
        "shelved": len(ringing) - len(rings),
    }
    return counted | {name: sum(one.severity == name for one in rings) for name in SEVERITIES}


def things(desk: Desk, call: Call) -> Answer:
    """List the Things in sight as columns."""
    site = desk.site()
    seen = np.flatnonzero(things_in_sight(site, call.principal.project))
    at = site.things.at(site.streams.thing)
    count = np.bincount(at[at >= 0], minlength=len(site.things.id))
    named: dict[int, set[str]] = {}
    for place, solution in zip(at.tolist(), site.streams.solution.tolist(), strict=True):
        if solution:
            named.setdefault(place, set()).add(solution)
    place = site.things.place[seen]
    view = ThingsView(
        id=site.things.id[seen].tolist(),
        name=[site.things.name[one] for one in seen.tolist()],
        lon=numbers(place[:, 0], 6),
        lat=numbers(place[:, 1], 6),
        project=site.things.project[seen].tolist(),
        solution=[", ".join(sorted(named.get(one, ()))) for one in seen.tolist()],
        streams=count[seen].tolist(),
    )
    return tagged(call, msgspec.json.encode(view))


def streams(desk: Desk, call: Call) -> Answer:
    """List the Datastreams in sight as columns."""
    wish: StreamQuery = call.query
    site = desk.site()
    seen = streams_in_sight(
        site, call.principal.project, thing=wish.thing, solution=wish.solution, signal=wish.signal,
        kind=wish.kind,
    )  # fmt: skip
    found = reporting(site.streams, desk.observed.newest(), time.time_ns())
    table, rows = site.streams, seen.tolist()
    view = StreamsView(
        id=table.id[seen].tolist(),
        thing=table.thing[seen].tolist(),
        name=[table.name[one] for one in rows],
        unit=[table.unit[one] for one in rows],
        solution=table.solution[seen].tolist(),
        signal=table.signal[seen].tolist(),
        kind=table.kind[seen].tolist(),
        source=[one or None for one in table.source[seen].tolist()],
        every_s=[one / SECOND_NS or None for one in table.every_ns[seen].tolist()],
        low=[table.low[one] for one in rows],
        high=[table.high[one] for one in rows],
        first=moments(found.first_ns[seen]),
        last=moments(found.last_ns[seen]),
        value=numbers(found.value[seen]),
    )
    return tagged(call, msgspec.json.encode(view))


def shapes(desk: Desk, call: Call) -> Answer:
    """Show the Locations that are no points, as GeoJSON: the networks on the map.

    ``ground`` says whether there is a map of the ground at ``/api/map.pmtiles``.
    """
    site = desk.site()
    seen = set(site.things.id[things_in_sight(site, call.principal.project)].tolist())
    features = [
        {"type": "Feature", "properties": {"thing": one.thing, "name": one.name}, "geometry": one.geometry}
        for one in site.shapes
        if one.thing in seen
    ]
    ground = desk.basemap is not None and desk.basemap.is_file()
    view = {"type": "FeatureCollection", "features": features, "ground": ground}
    return tagged(call, msgspec.json.encode(view))


_READ: dict[str, Any] = {"method": "GET", "right": "read"}

ROUTES: tuple[Route, ...] = (
    Route(path="/api/overview", work=overview, query=OverviewQuery, answer=OverviewView, **_READ),
    Route(path="/api/things", work=things, answer=ThingsView, **_READ),
    Route(path="/api/streams", work=streams, query=StreamQuery, answer=StreamsView, **_READ),
    Route(path="/api/shapes", work=shapes, answer=dict[str, Any], **_READ),
)
