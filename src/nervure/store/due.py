"""Tasks that nobody was told yet, and whose they are."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.interlock_check import ACT
from nervure.store.sql import METADATA

__all__ = ["Due", "due", "thing_of"]

_TASK = METADATA.tables["task"]
_CAPABILITY = METADATA.tables["tasking_capability"]


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A Task that was requested: what is asked, by which capability, of which Thing (row ids)."""

    id: int
    name: int | str
    creation_ns: int
    parameters: Any
    capability: int | str
    title: str
    thing: int
    declares: bool = False
    """Whether the capability keeps to interlocks."""


def due(connection: sa.Connection, limit: int) -> list[Due]:
    """Return the Tasks that nobody was told yet and that wait for no approval, the oldest first."""
    query = (
        sa.select(
            _TASK.c.id,
            _TASK.c.key,
            _TASK.c.creation_ns,
            _TASK.c.tasking_parameters,
            _CAPABILITY.c.id.label("capability"),
            _CAPABILITY.c.key.label("capability_key"),
            _CAPABILITY.c.name,
            _CAPABILITY.c.thing_id,
            _CAPABILITY.c.properties,
        )
        .join(_CAPABILITY, _CAPABILITY.c.id == _TASK.c.tasking_capability_id)
        .where(_TASK.c.status.in_(("requested", "checked", "approved")))
        .order_by(_TASK.c.id)
        .limit(limit)
    )
    return [
        Due(
            id=row.id,
            name=row.id if row.key is None else row.key,
            creation_ns=row.creation_ns,
            parameters=row.tasking_parameters,
            capability=row.capability if row.capability_key is None else row.capability_key,
            title=row.name,
            thing=row.thing_id,
            declares=isinstance(row.properties, dict) and ACT in row.properties,
        )
        for row in connection.execute(query)
    ]


def thing_of(connection: sa.Connection, task: int) -> int | None:
    """Return the Thing of which a Task asks something, or None."""
    query = (
        sa.select(_CAPABILITY.c.thing_id)
        .join(_TASK, _CAPABILITY.c.id == _TASK.c.tasking_capability_id)
        .where(_TASK.c.id == task)
    )
    found: int | None = connection.execute(query).scalar_one_or_none()
    return found
