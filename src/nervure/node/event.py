"""Events of the log about Observations that people and programs make, change and delete (``nv.change``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from nervure.core.observation import Draft
from nervure.store.intent import Intent, Plan

__all__ = ["EACH", "HEADROOM", "Drop", "Event", "Put", "drops", "gathered", "makes", "message", "put", "read"]

HEADROOM = 4096
"""What an event needs around its content."""

EACH = 64
"""What an event needs around each of the readings that it gathers."""

_IDS = 20_000
_ROWS = 10_000


class Put(msgspec.Struct, frozen=True):
    """Other content for one Observation, or with id 0 the content of a new one."""

    datastream: int
    message: msgspec.Raw
    id: int = 0


class Drop(msgspec.Struct, frozen=True):
    """Observations to delete: by id, all of some Datastreams, all about some features."""

    ids: list[int] = []
    datastreams: list[int] = []
    features: list[int] = []


class Event(msgspec.Struct, frozen=True):
    """One of three: Observations made together, one changed, some deleted.

    ``intent`` is the number under which the catalogue has written down that the log must be told.
    """

    make: list[Put] = []
    put: Put | None = None
    drop: Drop | None = None
    intent: int = 0


read = msgspec.json.Decoder(Event).decode


def makes(drafts: Sequence[Draft], most_bytes: int) -> Iterator[Plan]:
    """Write events that make Observations, each of at most so many bytes if it holds several."""
    parts: list[bytes] = []
    size = 0
    for draft in drafts:
        part = msgspec.json.encode({"datastream": draft.datastream, "message": msgspec.Raw(draft.message)})
        if parts and (size + len(part) > most_bytes or len(parts) == _ROWS):
            yield _made(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield _made(parts)


def gathered(readings: Sequence[tuple[int, bytes]]) -> bytes:
    """Write the event that makes Observations of messages which are JSON, each for its Datastream.

    >>> gathered([(7, b'{"result":1}')])
    b'{"make":[{"datastream":7,"message":{"result":1}}]}'
    """
    return b'{"make":[%b]}' % b",".join([b'{"datastream":%d,"message":%b}' % one for one in readings])


def put(id: int, draft: Draft) -> Plan:
    """Write the event that gives an Observation another content."""
    content = {"id": id, "datastream": draft.datastream, "message": msgspec.Raw(draft.message)}
    return Plan(content=msgspec.json.encode({"put": content}))


def drops(
    *, ids: Sequence[int] = (), datastreams: Sequence[int] = (), features: Sequence[int] = ()
) -> Iterator[Plan]:
    """Write events that delete Observations."""
    for name, keys in (("ids", ids), ("datastreams", datastreams), ("features", features)):
        for start in range(0, len(keys), _IDS):
            wish = {name: list(keys[start : start + _IDS])}
            yield Plan(content=msgspec.json.encode({"drop": wish}))


def message(intent: Intent) -> bytes:
    """Write the message of an event that the catalogue has written down.

    >>> message(Intent(id=5, content=b'{"drop":{"ids":[7]}}'))
    b'{"intent":5,"drop":{"ids":[7]}}'
    """
    return b'{"intent":%d,%b' % (intent.id, intent.content[1:])


def _made(parts: Sequence[bytes]) -> Plan:
    return Plan(content=b'{"make":[%b]}' % b",".join(parts), made=len(parts))
