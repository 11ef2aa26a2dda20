"""One incident: what shows it, what had a share in it, what was like it before, and who did what about it."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from nervure.core.alert import Alert
from nervure.core.card import Card
from nervure.core.error import DeclarationError, NotFoundError
from nervure.core.instant import DAY_NS
from nervure.serve.control.brief import BriefAlert, brief
from nervure.serve.control.column import numbers
from nervure.serve.control.given import MS
from nervure.serve.control.models import in_sight
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.shape import alert
from nervure.solutions import find
from nervure.store import alarm
from nervure.store.alarm import Choice
from nervure.store.site import Site

__all__ = [
    "ROUTES", "Assignment", "Comment", "Did", "IncidentView", "Place", "RuleView", "Share", "Similar",
    "StreamOf", "assign", "comment", "incident", "weights",
]  # fmt: skip

LOOKED_DAYS = 366
LOOKED_AT = 500
MOST_SIMILAR = 8
SAME_THING, SAME_SHARES = 0.4, 0.6


class Assignment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is to look after an alert; none: nobody."""

    to: Annotated[str, Meta(min_length=1, max_length=100)] | None


class Comment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody has to say about an alert."""

    text: Annotated[str, Meta(min_length=1, max_length=4000)]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A Thing and where it is."""

    id: int
    name: str
    lon: float | None = None
    lat: float | None = None


class StreamOf(msgspec.Struct, frozen=True, kw_only=True):
    """The Datastream of an alert."""

    id: int
    name: str
    unit: str
    kind: str
    solution: str
    signal: str
    forecasts: list[int]


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that raised an alert."""

    when: str
    say: str
    severity: str


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What a Datastream had to do with an alert, 0..1."""

    datastream: int
    name: str
    unit: str
    share: float | None


class Similar(msgspec.Struct, frozen=True, kw_only=True):
    """An alert of before, and how much it is like this one, 0..1."""

    alert: BriefAlert
    likeness: float


class Did(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what about it, and when (ms)."""

    time: int
    who: str
    what: str
    detail: dict[str, Any]


class IncidentView(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of an alert."""

    alert: dict[str, Any]
    thing: Place | None
    stream: StreamOf | None
    rule: RuleView | None
    shares: list[Share]
    similar: list[Similar]
    card: Card | None
    monitor: dict[str, Any] | None
    trail: list[Did]


def incident(desk: Desk, call: Call) -> IncidentView:
    """Show all that is known of one alert."""
    project = call.principal.project
    one = desk.catalogue.alert(call.names["id"], project)
    site = desk.site()
    with desk.catalogue.database.read() as connection:
        chosen = Choice(
            now_ns=time.time_ns(), rule=one.rule, project=project, end_ns=one.raised_ns + 1,
            start_ns=one.raised_ns - LOOKED_DAYS * DAY_NS,
        )  # fmt: skip
        past = alarm.page(connection, chosen, LOOKED_AT)
        trail = alarm.trail(connection, one.id)
    posted = next((found for found in desk.catalogue.monitors(project) if found.thing == one.thing), None)
    same = posted is not None and posted.version == one.model
    return IncidentView(
        alert=alert(one),
        thing=_thing(site, one.thing),
        stream=_stream(site, one.datastream),
        rule=_rule(one),
        shares=_shares(site, one, project),
        similar=_similar(one, [found for found in past if found.id != one.id]),
        card=next(
            (
                in_sight(found.card, site, project)
                for found in desk.catalogue.models()
                if one.model == found.version
            ),
            None,
        ),
        monitor=posted.about if posted is not None and same else None,
        trail=[Did(time=row.time_ns // MS, who=row.who, what=row.what, detail=row.detail) for row in trail],
    )


def _thing(site: Site, identity: int) -> Place | None:
    place = int(site.things.at(np.array([identity]))[0])
    if place < 0:
        return None
    lon, lat = numbers(site.things.place[place], 6)
    return Place(id=identity, name=site.things.name[place], lon=lon, lat=lat)


def _stream(site: Site, identity: int) -> StreamOf | None:
    table = site.streams
    place = int(table.at(np.array([identity]))[0])
    if place < 0:
        return None
    told = (table.source == identity) & (table.kind == "forecast")
    return StreamOf(
        id=identity, name=table.name[place], unit=table.unit[place], kind=str(table.kind[place]),
        solution=str(table.solution[place]), signal=str(table.signal[place]),
        forecasts=table.id[told].tolist(),
    )  # fmt: skip


def _rule(one: Alert) -> RuleView | None:
    try:
        solution = find(one.solution)
    except DeclarationError:  # a monitor's, or a solution that is no more
        return None
    rule = next((rule for rule in solution.rules if f"{solution.name}.{rule.name}" == one.rule), None)
    return None if rule is None else RuleView(when=rule.when, say=rule.say, severity=rule.severity)


def _shares(site: Site, one: Alert, project: int | None) -> list[Share]:
    """Return what each Datastream had to do with it: those a monitor names, else those of its evidence."""
    weight = weights(one)
    found = []
    for key, share in sorted(weight.items(), key=lambda pair: -pair[1]):
        place = int(site.streams.at(np.array([key]))[0])
        if place >= 0 and project in {None, int(site.streams.project[place])}:
            name, unit = site.streams.name[place], site.streams.unit[place]
            found.append(Share(datastream=key, name=name, unit=unit, share=round(share, 4)))
    return found


def weights(one: Alert) -> dict[int, float]:
    """Return the share of each Datastream in an alert; they add up to 1."""
    told = one.properties.get("streams")
    found: dict[int, float] = {}
    for row in told if isinstance(told, list) else ():
        if isinstance(row, dict) and isinstance(row.get("datastream"), int):
            share = row.get("share")
            found[row["datastream"]] = abs(float(share)) if isinstance(share, int | float) else 1.0
    if not found:
        found = dict.fromkeys({one.datastream, *(seen.datastream for seen in one.evidence)}, 1.0)
    whole = sum(found.values()) or 1.0
    return {key: share / whole for key, share in found.items()}


def _similar(one: Alert, past: list[Alert]) -> list[Similar]:
    """Return the alerts of the same rule that are most like it: of the same Thing, with the same shares."""
    mine = weights(one)
    found = []
    for other in past:
        theirs = weights(other)
        both = sum(min(mine.get(key, 0.0), theirs.get(key, 0.0)) for key in mine)
        likeness = SAME_THING * (other.thing == one.thing) + SAME_SHARES * both
        if likeness > 0:
            found.append(Similar(alert=brief(other), likeness=round(likeness, 4)))
    found.sort(key=lambda each: (-each.likeness, -each.alert.raised))
    return found[:MOST_SIMILAR]


def assign(desk: Desk, call: Call) -> dict[str, Any]:
    """Say who is to look after an alert: somebody who may acknowledge it, and sees it."""
    project = call.principal.project
    identity = desk.catalogue.alert(call.names["id"], project).id
    to: str | None = call.body.to
    if to is not None:
        known = desk.office.register.known().users.values()
        fits = (one for one in known if one.name == to.strip().casefold() and one.active)
        who = next((one for one in fits if project is None or one.project_id in {None, project}), None)
        if who is None or "acknowledge" not in who.rights:
            raise NotFoundError(f"there is no user {to!r} who could look after it")
        to = who.name
    return alert(desk.tell(desk.catalogue.assign(identity, to, call.principal.name)))


def comment(desk: Desk, call: Call) -> dict[str, Any]:
    """Say something about an alert, which stays in its trail."""
    identity = desk.catalogue.alert(call.names["id"], call.principal.project).id
    return alert(desk.catalogue.comment(identity, call.body.text, call.principal.name))


_ACT: dict[str, Any] = {"method": "POST", "right": "acknowledge", "answer": dict[str, Any]}

ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/api/alerts/{id}/detail", right="read", work=incident, answer=IncidentView),
    Route(path="/api/alerts/{id}/assign", work=assign, body=Assignment, **_ACT),
    Route(path="/api/alerts/{id}/comment", work=comment, body=Comment, **_ACT),
)
