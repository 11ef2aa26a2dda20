"""Where Things are: moves and their history (18-088, section 8.2.2 and 8.2.3)."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from nervure.store import entity, sql
from nervure.store.write.work import Work

__all__ = ["arrive", "leave", "move", "present"]


def present(work: Work, thing: int) -> list[int]:
    """Return the Locations where a Thing is now."""
    link = sql.thing_location
    query = sa.select(link.c.location_id).where(link.c.thing_id == thing).order_by(link.c.location_id)
    return [int(one) for one in work.connection.execute(query).scalars()]


def move(work: Work, thing: int, locations: Sequence[int]) -> None:
    """Bring a Thing to Locations (several are one place, written in several ways) and remember it.

    Where it is already, nothing happens.
    """
    there = list(dict.fromkeys(locations))
    if sorted(there) == present(work, thing):
        return
    stay = entity.move(work.connection, thing, there, work.now_ns)
    work.made.append(("HistoricalLocation", stay))
    work.touched = True


def arrive(work: Work, stay: int) -> None:
    """A HistoricalLocation that is newer than the others of its Thing says where the Thing is now."""
    past, link = sql.historical_location, sql.historical_place
    row = work.connection.execute(sa.select(past).where(past.c.id == stay)).one()
    others = sa.select(sa.func.max(past.c.time_ns)).where(past.c.thing_id == row.thing_id, past.c.id != stay)
    newest = work.connection.execute(others).scalar_one_or_none()
    if newest is not None and row.time_ns <= newest:
        return
    query = sa.select(link.c.location_id).where(link.c.historical_location_id == stay)
    entity.settle(work.connection, row.thing_id, list(work.connection.execute(query).scalars()))
    work.touched = True


def leave(work: Work, thing: int, location: int) -> bool:
    """Take a Location from where a Thing is now, and tell whether it was there."""
    link = sql.thing_location
    here = sa.and_(link.c.thing_id == thing, link.c.location_id == location)
    work.touched = True
    return work.connection.execute(sa.delete(link).where(here)).rowcount > 0
