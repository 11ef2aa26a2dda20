"""A count of changes to entities, so that who keeps them in memory sees that they are not the same."""

from __future__ import annotations

import sqlalchemy as sa

from nervure.store import sql

__all__ = ["ENTITY", "count"]

ENTITY = "entity"


def count(connection: sa.Connection, name: str = ENTITY) -> None:
    """Count one change, in the transaction that makes it."""
    table = sql.tally
    raised = sa.update(table).where(table.c.name == name).values(number=table.c.number + 1)
    if connection.execute(raised).rowcount == 0:
        connection.execute(sa.insert(table).values(name=name, number=1))
