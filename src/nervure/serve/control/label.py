"""Labels: what a span of some series was, as a person says, so that no model learns from it."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nervure.core.label import Label, Word
from nervure.serve.control.given import MS, RENAMED, keys, span_ns
from nervure.serve.control.route import Call, Desk, Done, Route, number
from nervure.serve.site import streams_in_sight
from nervure.store import label as store

__all__ = ["ROUTES", "LabelQuery", "LabelView", "NewLabel", "label", "labels", "unlabel"]

MOST_SERIES = 64
Keys = Annotated[str, Meta(max_length=60_000)]
Moment = Annotated[str, Meta(max_length=60)]


class LabelQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which Datastreams."""

    streams: Keys


class NewLabel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=RENAMED):
    """What a span of some Datastreams was: a fault of the sensor, an event, or planned work."""

    streams: Keys
    since: Moment
    until: Moment
    label: Word
    note: Annotated[str, Meta(max_length=2000)] = ""


class LabelView(msgspec.Struct, frozen=True, kw_only=True, rename=RENAMED):
    """A label of a Datastream; instants in ms since 1970."""

    id: str
    stream: int
    since: int
    until: int
    label: Word
    note: str
    by: str
    at: int


def labels(desk: Desk, call: Call) -> list[LabelView]:
    """List what people said of spans of some Datastreams."""
    return _views(desk, _meant(desk, call, call.query.streams))


def label(desk: Desk, call: Call) -> list[LabelView]:
    """Say what a span of some Datastreams was; training and watching leave it out from then on."""
    wish: NewLabel = call.body
    start, end = span_ns(wish.since, wish.until)
    meant = _meant(desk, call, wish.streams)
    said = Label(
        since_ns=start, until_ns=end, label=wish.label, note=wish.note, by=call.principal.name,
        at_ns=time.time_ns(),
    )  # fmt: skip
    with desk.catalogue.database.write() as connection:
        store.add(connection, meant, said)
    return _views(desk, meant)


def unlabel(desk: Desk, call: Call) -> Done:
    """Take back what was said of a span."""
    (one,) = _meant(desk, call, str(number(call.names["stream"])))
    with desk.catalogue.database.write() as connection:
        store.remove(connection, one, call.names["id"], call.principal.name)
    return Done()


def _meant(desk: Desk, call: Call, streams: str) -> list[int]:
    site = desk.site()
    rows = streams_in_sight(site, call.principal.project, ids=keys(streams, MOST_SERIES))
    found: list[int] = site.streams.id[rows].tolist()
    return found


def _views(desk: Desk, datastreams: list[int]) -> list[LabelView]:
    with desk.catalogue.database.read() as connection:
        found = store.read(connection, datastreams)
    return [_view(stream, one) for stream, some in sorted(found.items()) for one in some]


def _view(stream: int, one: Label) -> LabelView:
    return LabelView(
        id=one.id, stream=stream, since=one.since_ns // MS, until=one.until_ns // MS, label=one.label,
        note=one.note, by=one.by, at=one.at_ns // MS,
    )  # fmt: skip


_ANSWER: dict[str, Any] = {"answer": list[LabelView]}

ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/api/labels", right="read", work=labels, query=LabelQuery, **_ANSWER),
    Route(
        method="POST",
        path="/api/labels",
        right="acknowledge",
        work=label,
        body=NewLabel,
        status=201,
        **_ANSWER,
    ),
    Route(method="DELETE", path="/api/labels/{stream}/{id}", right="acknowledge", work=unlabel),
)
