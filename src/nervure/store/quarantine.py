"""Quarantine: what could not be taken, counted exactly, the newest of each reason kept to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.observation import Reject
from nervure.store import sql

__all__ = ["KEPT", "PAYLOAD_BYTES", "add", "counts", "newest", "subjects"]

KEPT = 1_000
"""How many messages of each reason are kept."""

PAYLOAD_BYTES = 16_384
"""How much of each message is kept."""

Place = tuple[int, int]


def add(connection: sa.Connection, rejects: Sequence[Reject]) -> int:
    """Count and keep rejects, and return how many were new.

    The log may be read again after a crash. What is not newer than the newest one counted under
    its reason was counted then, unless it came out of order: that is told by the rows kept.
    """
    found: dict[str, dict[Place, Reject]] = {}
    for reject in rejects:
        found.setdefault(reject.reason, {}).setdefault(_place(reject), reject)
    return sum(_add(connection, reason, some) for reason, some in found.items())


def counts(connection: sa.Connection) -> dict[str, int]:
    """Return how many readings were not taken, by reason."""
    table = sql.quarantine_total
    rows = connection.execute(sa.select(table.c.reason, table.c.total).order_by(table.c.reason))
    return {row.reason: int(row.total) for row in rows}


def newest(
    connection: sa.Connection, limit: int, reason: str | None, after: Place | None = None
) -> list[Reject]:
    """Return what is kept, the newest first; ``after`` is the place of the last of the page before."""
    table = sql.quarantine
    query = sa.select(table).order_by(table.c.sequence.desc(), table.c.message_index.desc()).limit(limit)
    if reason is not None:
        query = query.where(table.c.reason == reason)
    if after is not None:
        sequence, index = after
        here = sa.and_(table.c.sequence == sequence, table.c.message_index < index)
        query = query.where(sa.or_(table.c.sequence < sequence, here))
    names = {field.name: field.name for field in msgspec.structs.fields(Reject)} | {"index": "message_index"}
    rows = connection.execute(query).mappings()
    return [Reject(**{name: row[column] for name, column in names.items()}) for row in rows]


def subjects(connection: sa.Connection, since_ns: int) -> list[str]:
    """Return where messages were published that came since an instant and could not be taken."""
    table = sql.quarantine
    query = sa.select(table.c.subject).distinct().where(table.c.received_ns >= since_ns)
    return [str(row.subject) for row in connection.execute(query)]


def _add(connection: sa.Connection, reason: str, found: dict[Place, Reject]) -> int:
    table = sql.quarantine_total
    row = connection.execute(sa.select(table).where(table.c.reason == reason)).one_or_none()
    reached = (int(row.sequence), int(row.message_index)) if row else (-1, -1)
    old = {place for place in found if place <= reached}
    known = _known(connection, reason, old)
    new = {place: reject for place, reject in found.items() if place not in known}
    if not new:
        return 0
    top = max(reached, *new)
    total = (int(row.total) if row else 0) + sum(reject.count for reject in new.values())
    values = {"total": total, "sequence": top[0], "message_index": top[1]}
    if row is None:
        connection.execute(sa.insert(table).values(reason=reason, **values))
    else:
        connection.execute(sa.update(table).where(table.c.reason == reason).values(values))
    kept = sorted(new)[-KEPT:]
    connection.execute(sa.insert(sql.quarantine), [_values(new[place]) for place in kept])
    _trim(connection, reason)
    return len(new)


def _known(connection: sa.Connection, reason: str, places: set[Place]) -> set[Place]:
    """Return which of the places were counted: those kept, and all before the oldest one kept."""
    if not places:
        return set()
    table = sql.quarantine
    query = sa.select(table.c.sequence, table.c.message_index).where(table.c.reason == reason)
    kept = {(int(row.sequence), int(row.message_index)) for row in connection.execute(query)}
    if len(kept) < KEPT:
        return places & kept
    return {place for place in places if place in kept or place < min(kept)}


def _trim(connection: sa.Connection, reason: str) -> None:
    """Let go of all but the newest messages of a reason."""
    table = sql.quarantine
    mine = sa.select(table.c.sequence, table.c.message_index).where(table.c.reason == reason)
    order = (table.c.sequence.desc(), table.c.message_index.desc())
    edge = connection.execute(mine.order_by(*order).offset(KEPT).limit(1)).one_or_none()
    if edge is not None:
        place = sa.tuple_(table.c.sequence, table.c.message_index)
        older = place <= sa.tuple_(edge.sequence, edge.message_index)
        connection.execute(sa.delete(table).where(table.c.reason == reason, older))


def _place(reject: Reject) -> Place:
    return reject.sequence, reject.index


def _values(reject: Reject) -> dict[str, Any]:
    values = msgspec.structs.asdict(reject)
    values["message_index"] = values.pop("index")
    return values | {"payload": reject.payload[:PAYLOAD_BYTES]}
