"""Monitors in the catalogue: which Thing is watched, by which package, and what that was taught."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import NotFoundError
from nervure.store import sql, tally

__all__ = ["Posted", "drop", "monitor", "monitors", "post", "posted"]

monitor = sa.Table(
    "monitor", sql.METADATA,
    # No foreign key: what is watched may go, and its alarms must still end.
    sa.Column("thing_id", sa.BigInteger, primary_key=True, autoincrement=False, comment="What is watched"),
    sa.Column("version", sa.Text, nullable=False, comment="How the package begins in SHA-256"),
    sa.Column("package", sa.Text, nullable=False, comment="Name of its file in the object store"),
    sa.Column("streams", sa.JSON, nullable=False, comment="Datastreams the Thing had when it was fitted"),
    sa.Column("watched", sa.JSON, nullable=False, comment="Those that are watched, in the package's order"),
    sa.Column("origin_ns", sa.BigInteger, nullable=False, comment="An instant at which a slot lies"),
    sa.Column("severity", sa.Text, nullable=False, comment="How grave its alarms are"),
    sa.Column("state", sa.LargeBinary, nullable=False, comment="Where it stood after what it learnt"),
    sa.Column("about", sa.JSON, nullable=False, comment="From what it learnt, and what it promises"),
    sa.Column("fitted_ns", sa.BigInteger, nullable=False, comment="When it was fitted"),
    comment="Monitors that need no labels, at most one a Thing",
)  # fmt: skip


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A monitor at its Thing. ``state`` is that of its sentinel after the rows it learnt from."""

    thing: int
    version: str
    package: str
    streams: tuple[int, ...]
    watched: tuple[int, ...]
    origin_ns: int
    severity: str
    state: bytes
    about: dict[str, Any] = {}
    fitted_ns: int = 0


def post(connection: sa.Connection, given: Posted) -> None:
    """Put a Thing under watch, by another monitor if it is already."""
    values = {"thing_id" if name == "thing" else name: value for name, value in _plain(given).items()}
    connection.execute(sa.delete(monitor).where(monitor.c.thing_id == given.thing))
    connection.execute(sa.insert(monitor).values(values | {"fitted_ns": given.fitted_ns or time.time_ns()}))
    tally.count(connection)


def drop(connection: sa.Connection, thing: int) -> None:
    """Watch a Thing no more."""
    if not connection.execute(sa.delete(monitor).where(monitor.c.thing_id == thing)).rowcount:
        raise NotFoundError(f"no monitor watches Thing {thing}")
    tally.count(connection)


def monitors(connection: sa.Connection, project: int | None = None) -> list[Posted]:
    """Return the monitors by Thing, without their states; of one project, if ``project`` names it."""
    query = sa.select(*(one for one in monitor.c if one.name != "state")).order_by(monitor.c.thing_id)
    if project is not None:
        mine = sa.select(sql.thing.c.id).where(sql.thing.c.project_id == project)
        query = query.where(monitor.c.thing_id.in_(mine))
    return [_read(dict(row) | {"state": b""}) for row in connection.execute(query).mappings()]


def posted(connection: sa.Connection, thing: int) -> Posted:
    """Return the monitor of a Thing, with its state."""
    row = connection.execute(sa.select(monitor).where(monitor.c.thing_id == thing)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"no monitor watches Thing {thing}")
    return _read(dict(row))


def _plain(given: Posted) -> dict[str, Any]:
    found = msgspec.structs.asdict(given)
    return found | {"streams": list(given.streams), "watched": list(given.watched)}


def _read(row: Mapping[str, Any]) -> Posted:
    values = {name: row["thing_id" if name == "thing" else name] for name in Posted.__struct_fields__}
    return Posted(**values | {"streams": tuple(row["streams"]), "watched": tuple(row["watched"])})
