"""Projects: the tenants of one installation, none of which is there for another."""

from __future__ import annotations

import re
import time

import msgspec
import sqlalchemy as sa

from nervure.core.error import ConflictError, UsageError
from nervure.store import access, sql
from nervure.stream.conf import NODE_USER
from nervure.trust import row

__all__ = ["Project", "add", "by_name", "checked_name", "projects", "remove", "things"]

_NAME = re.compile(r"[\w][\w.@+-]{0,99}")
FIRST = 1
_ENTITIES = (
    *(sql.thing, sql.sensor, sql.observed_property, sql.feature_of_interest, sql.location),
    sql.actuator,
)
_RESERVED = frozenset({"anyone", "console", "nobody", "system"})


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project: what belongs to it is seen by its users and devices only."""

    id: int
    name: str
    description: str = ""
    created_ns: int = 0


def checked_name(name: str, what: str) -> str:
    """Return a name in small letters if it can be one, else raise ``UsageError``."""
    small = name.strip().casefold()
    if not _NAME.fullmatch(small):
        raise UsageError(
            f"{name!r} is no name for a {what}", hint="use up to 100 letters, digits and . _ - + @"
        )
    if what != "project" and (small in _RESERVED or small.startswith(NODE_USER)):
        raise ConflictError(f"the name {small!r} is the node's own", hint="choose another name")
    return small


def projects(connection: sa.Connection) -> list[Project]:
    """Return every project by its key."""
    return row.rows(connection, Project, sa.select(access.project).order_by(access.project.c.id))


def by_name(connection: sa.Connection, name: str) -> Project:
    """Return the project of that name."""
    query = sa.select(access.project).where(access.project.c.name == name.strip().casefold())
    return row.one(connection, Project, query, f"project {name!r}")


def things(connection: sa.Connection, name: str) -> list[int]:
    """Return the keys of the Things of the project of that name."""
    own = sql.thing.c.project_id == by_name(connection, name).id
    return list(connection.execute(sa.select(sql.thing.c.id).where(own)).scalars())


def add(connection: sa.Connection, name: str, description: str) -> Project:
    """Add a project."""
    name = checked_name(name, "project")
    values = {"name": name, "description": description, "created_ns": time.time_ns()}
    row.add(connection, access.project, values, f"project {name!r}")
    return by_name(connection, name)


def remove(connection: sa.Connection, name: str) -> Project:
    """Remove a project that holds nothing any more; ``ConflictError`` if it does."""
    gone = by_name(connection, name)
    if gone.id == FIRST:
        raise ConflictError("the first project stays: it holds what nobody else's is")
    for table in _ENTITIES:
        if connection.execute(sa.select(table.c.id).where(table.c.project_id == gone.id).limit(1)).first():
            raise ConflictError(f"the project {name!r} still holds a {table.name}", hint="delete it first")
    connection.execute(sa.delete(access.project).where(access.project.c.id == gone.id))
    return gone
