"""Intents: what a change of entities leaves for the log, kept in the catalogue until the log has it.

A change of entities and what belongs to it in the log (the Observations that came with it, the
deletion of those it takes away) cannot be one transaction. So the second is written down with the
first, and cleared when the log has it: after a crash between the two it is told at the next start.

What a message of the log has made in the catalogue is written down the same way round, under the
position of the message: who reads it again finds it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from nervure.core.observation import Draft
from nervure.store import sql

__all__ = ["Intent", "Plan", "clear", "drafted", "forget", "keep", "pending", "write"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An event for the log as a JSON object, and how many Observations it makes."""

    content: bytes
    made: int = 0


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that is written down, under a number that is never given again."""

    id: int
    content: bytes
    made: int = 0


def write(connection: sa.Connection, plans: Sequence[Plan]) -> list[Intent]:
    """Write down what the log must be told, in the transaction that asks for it."""
    found: list[Intent] = []
    for plan in plans:
        written = sa.insert(sql.intent).values(content=plan.content, made=plan.made)
        key = connection.execute(written).inserted_primary_key
        found.append(Intent(id=int(key[0]) if key else 0, content=plan.content, made=plan.made))
    return found


def pending(connection: sa.Connection, limit: int) -> list[Intent]:
    """Return what the log was not told yet, the oldest first."""
    table = sql.intent
    query = sa.select(table).order_by(table.c.id).limit(limit)
    return [
        Intent(id=int(row.id), content=row.content, made=int(row.made)) for row in connection.execute(query)
    ]


def clear(connection: sa.Connection, id: int) -> None:
    """Note that the log has it."""
    connection.execute(sa.delete(sql.intent).where(sql.intent.c.id == id))


def drafted(connection: sa.Connection, sequence: int) -> Draft | None:
    """Return what was made of a message of the log before, or None."""
    table = sql.drafted
    row = connection.execute(sa.select(table).where(table.c.sequence == sequence)).one_or_none()
    return None if row is None else Draft(datastream=int(row.datastream_id), message=row.message)


def keep(connection: sa.Connection, sequence: int, draft: Draft) -> None:
    """Note what was made of a message of the log, in the transaction that makes it."""
    values = {"sequence": sequence, "datastream_id": draft.datastream, "message": draft.message}
    connection.execute(sa.insert(sql.drafted).values(values))


def forget(connection: sa.Connection, upto: int) -> None:
    """Forget what was made of messages that nobody reads again: those up to a position of the log."""
    connection.execute(sa.delete(sql.drafted).where(sql.drafted.c.sequence <= upto))
