"""What comes in: what could not be taken and why, how good the rest is, and what a message would become."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from nervure.core.error import DataError, DeniedError, NotFoundError, QueryError
from nervure.core.instant import SECOND_NS
from nervure.core.observation import Quality, Reject
from nervure.serve.answer import Answer, json
from nervure.serve.control.column import numbers
from nervure.serve.control.given import MS, RENAMED, keys, span_ns
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.control.vital import reporting
from nervure.serve.site import streams_in_sight
from nervure.store import quarantine
from nervure.store.quarantine import PAYLOAD_BYTES
from nervure.stream.subject import datastream_of, subject_to_topic, topic_to_subject

__all__ = [
    "ROUTES", "Decoded", "QualityQuery", "QualityView", "QuarantineQuery", "RefusedView", "Sample", "Trial",
    "Why", "decode", "quality", "quarantine_counts", "quarantined",
]  # fmt: skip

MOST_LOOKED = 10_000
Text = Annotated[str, Meta(max_length=200)]
Moment = Annotated[str, Meta(max_length=60)]
Key = Annotated[int, Meta(ge=1, le=1 << 53)]


class QuarantineQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages; ``after`` is the ``x-next`` of the page before."""

    reason: Text | None = None
    datastream: Key | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50
    after: Annotated[str, Meta(max_length=60)] | None = None


class RefusedView(msgspec.Struct, frozen=True, kw_only=True):
    """A message that could not be taken; ``payload`` is text, or base64 where it is none."""

    id: str
    reason: str
    detail: str
    topic: str
    datastream: int | None
    count: int
    received: int
    payload: str
    encoding: Literal["text", "base64"]
    cut: bool


class QualityQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=RENAMED):
    """Which Datastreams, and when."""

    streams: Annotated[str, Meta(max_length=60_000)] | None = None
    thing: Key | None = None
    solution: Text | None = None
    since: Moment = "-7d"
    until: Moment = "now"


class QualityView(msgspec.Struct, frozen=True, kw_only=True):
    """How good what came is, a Datastream a place.

    ``present`` is the share of the intervals expected in which something came, ``gaps`` how often
    nothing did for three intervals; ``late``, ``out_of_range`` and ``stuck`` are shares of the rows.
    """

    stream: list[int]
    rows: list[int]
    expected: list[int | None]
    present: list[float | None]
    gaps: list[int]
    longest_s: list[float | None]
    late: list[float | None]
    out_of_range: list[float | None]
    stuck: list[float | None]
    last: list[int | None]


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to try out: where it would be published, and what it says."""

    topic: Annotated[str, Meta(min_length=1, max_length=1000)]
    payload: Annotated[str, Meta(max_length=200_000)]
    encoding: Literal["text", "base64"] = "text"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What would be stored, as columns; ``value`` is null where ``text`` holds a result that is no number."""

    stream: list[int]
    time: list[int]
    value: list[float | None]
    text: list[str | None]
    quality: list[str]


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why something would not be taken: of how many readings, from which on."""

    reason: str
    detail: str
    index: int
    count: int


class Decoded(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a message."""

    taken: bool
    subject: str
    rows: Sample
    refused: list[Why]


def quarantined(desk: Desk, call: Call) -> Answer:
    """List what could not be taken, the newest first; the header ``x-next`` leads to the next page."""
    wish: QuarantineQuery = call.query
    site = desk.site()
    project = call.principal.project
    mine = set(site.streams.id[streams_in_sight(site, project)].tolist())
    found: list[Reject] = []
    after, looked, place = _place(wish.after), 0, None
    with desk.catalogue.database.read() as connection:
        while len(found) <= wish.limit and looked < MOST_LOOKED:
            some = quarantine.newest(connection, 1000, wish.reason, after)
            seen = None if project is None else mine
            found += [one for one in some if _wanted(one, wish.datastream, seen)]
            looked += len(some)
            if len(some) < 1000:
                break
            after = (some[-1].sequence, some[-1].index)
        else:  # there is more, though perhaps nothing of it was wanted so far
            place = after
    shown = found[: wish.limit]
    if len(found) > wish.limit:
        place = (shown[-1].sequence, shown[-1].index)
    headers = () if place is None else (("x-next", f"{place[0]}.{place[1]}"),)
    return json([_refused(one) for one in shown], headers=headers)


def _wanted(one: Reject, datastream: int | None, mine: set[int] | None) -> bool:
    about = datastream_of(one.subject)
    if datastream is not None and about != datastream:
        return False
    return mine is None or about in mine


def _place(after: str | None) -> tuple[int, int] | None:
    if after is None:
        return None
    sequence, _, index = after.partition(".")
    if not (sequence.isdecimal() and index.isdecimal()) or len(sequence) > 18 or len(index) > 9:
        raise QueryError("after is no place in the list", hint="send the x-next of the page before")
    return int(sequence), int(index)


def _refused(one: Reject) -> RefusedView:
    text = _text(one.payload)
    return RefusedView(
        id=f"{one.sequence}.{one.index}", reason=one.reason, detail=one.detail, topic=_topic(one.subject),
        datastream=datastream_of(one.subject), count=one.count, received=one.received_ns // MS,
        payload=b64encode(one.payload).decode() if text is None else text,
        encoding="base64" if text is None else "text", cut=len(one.payload) >= PAYLOAD_BYTES,
    )  # fmt: skip


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def _topic(subject: str) -> str:
    try:
        return subject_to_topic(subject)
    except DataError:
        return subject


def quarantine_counts(desk: Desk, call: Call) -> dict[str, int]:
    """Count what could not be taken, ever, by reason."""
    if call.principal.project is not None:
        raise DeniedError(f"{call.principal.name} sees one project, and this shows all of them")
    return desk.catalogue.quarantine_counts()


def quality(desk: Desk, call: Call) -> Answer:
    """Tell of Datastreams what share of their readings came, how often none did, and how good they were."""
    wish: QualityQuery = call.query
    start, end = span_ns(wish.since, wish.until)
    site = desk.site()
    asked = None if wish.streams is None else keys(wish.streams)
    rows = streams_in_sight(
        site, call.principal.project, ids=asked, thing=wish.thing, solution=wish.solution, kind="reading"
    )
    ids = site.streams.id[rows]
    now = time.time_ns()
    known = reporting(site.streams, desk.observed.newest(), now)
    every, clock = known.every_ns[rows], min(end, known.clock_ns)
    begin = np.maximum(known.first_ns[rows], start)
    with desk.room.lent(desk.observed.about(ids.tolist(), start, end)):
        found = desk.observed.quality(ids.tolist(), every.tolist(), start, end)
    there = found.rows > 0
    expected = np.where(every > 0, np.maximum(0, (clock - begin) // np.maximum(every, 1)), 0)
    usable = (expected > 0) & (known.first_ns[rows] > 0)
    shares = {
        name: _share(getattr(found, name), np.where(there, found.rows, 0))
        for name in ("late", "out_of_range", "stuck")
    }
    view = QualityView(
        stream=ids.tolist(),
        rows=found.rows.tolist(),
        expected=[one if fits else None for one, fits in zip(expected.tolist(), usable, strict=True)],
        present=[
            None if one is None else min(1.0, one)
            for one in _share(found.slots, np.where(usable, expected, 0))
        ],
        gaps=found.gaps.tolist(),
        longest_s=numbers(np.where(there, found.longest_ns / SECOND_NS, np.nan), 3),
        last=[one // MS or None for one in known.last_ns[rows].tolist()],
        **shares,
    )
    return json(view)


def _share(part: Any, whole: Any) -> list[float | None]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return numbers(np.where(whole > 0, part / whole, np.nan), 5)


async def decode(desk: Desk, call: Call) -> Decoded:
    """Tell what would become of a message, without storing anything."""
    wish: Trial = call.body
    if desk.check is None:
        raise NotFoundError("nothing is decoded here")
    try:
        payload = (
            b64decode(wish.payload, validate=True) if wish.encoding == "base64" else wish.payload.encode()
        )
        subject = topic_to_subject(wish.topic)
    except (ValueError, DataError) as cause:
        raise QueryError(f"this cannot be tried: {cause}") from cause
    site, project, about = desk.site(), call.principal.project, datastream_of(subject)
    if about is not None and project is not None:  # also why it is refused says something of a Datastream
        streams_in_sight(site, project, ids=np.array([about]))
    batch, rejects = desk.check(subject, payload, time.time_ns())
    streams_in_sight(site, project, ids=np.unique(batch.datastream))
    told = about is not None or project is None
    text: Sequence[str | None] = batch.text or [None] * len(batch)
    rows = Sample(
        stream=batch.datastream.tolist(), time=(batch.time // MS).tolist(), value=numbers(batch.value),
        text=list(text), quality=[Quality(one).name.lower() for one in batch.quality.tolist()],
    )  # fmt: skip
    refused = [
        Why(reason=one.reason, detail=one.detail if told else "", index=one.index, count=one.count)
        for one in rejects
    ]
    return Decoded(taken=bool(len(batch)) and not refused, subject=subject, rows=rows, refused=refused)


_READ: dict[str, Any] = {"method": "GET", "right": "read"}

ROUTES: tuple[Route, ...] = (
    Route(path="/api/quarantine", work=quarantined, query=QuarantineQuery, answer=list[RefusedView], **_READ),
    Route(path="/api/quarantine/counts", work=quarantine_counts, answer=dict[str, int], **_READ),
    Route(path="/api/quality", work=quality, query=QualityQuery, answer=QualityView, **_READ),
    Route(method="POST", path="/api/decode", right="manage-devices", work=decode, body=Trial, answer=Decoded),
)
