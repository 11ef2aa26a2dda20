"""Entities of the catalogue: a page of them, a page for each of several others, and some by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.sensorthings import BY_NAME, Kind
from nervure.store import sql
from nervure.store.language.option import Options
from nervure.store.select.among import among
from nervure.store.select.condition import condition, table_of
from nervure.store.select.keyset import Key, beyond, following, keys, read_token
from nervure.store.select.row import Within, columns
from nervure.store.select.session import MOST_IDS, Session

__all__ = ["Rows", "by_id", "chunks", "groups", "page_size", "rows"]

_SPAN = ("phenomenon_start_ns", "phenomenon_end_ns", "result_start_ns", "result_end_ns")


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a page, how many there are in all if that was asked, and how it goes on."""

    rows: list[dict[str, Any]]
    total: int | None = None
    following: tuple[str, str] | None = None


def page_size(session: Session, options: Options, parents: int = 1) -> int:
    """Return how many rows a page has; an answer with many pages has smaller ones."""
    limits = session.limits
    top = limits.page if options.top is None else min(options.top, limits.largest_page)
    return min(top, max(1, limits.rows // max(1, parents)))


def chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    """Cut keys into lists that one statement can name."""
    whole = list(ids)
    for start in range(0, len(whole), MOST_IDS):
        yield whole[start : start + MOST_IDS]


class _Query(msgspec.Struct, frozen=True, kw_only=True):
    """A statement without its columns, order and bounds, and what those are made of."""

    statement: Any
    table: Any
    parent: Any
    keys: tuple[Key, ...]


def rows(session: Session, kind: Kind, options: Options, within: Within | None) -> Rows:
    """Return one page, of all or of those that a relation leads to."""
    query = _query(session, kind, options, within)
    total = None
    if options.count:
        count = query.statement.with_only_columns(sa.func.count().label("n"))
        total = session.sql(count)[0]["n"]
    limit = page_size(session, options)
    if limit == 0:
        return Rows(rows=[], total=total)
    statement = query.statement.with_only_columns(*_columns(kind, options, query))
    if options.token is not None:
        statement = statement.where(beyond(query.keys, read_token(query.keys, options)))
    statement = statement.order_by(*(key.sort for key in query.keys)).limit(limit + 1).offset(options.skip)
    found = _dicts(session, kind, session.sql(statement))
    return _cut(found, query.keys, options, limit, total)


def groups(session: Session, kind: Kind, options: Options, within: Within) -> dict[int, Rows]:
    """Return a page for each of several entities that a relation leads from."""
    found: dict[int, Rows] = {}
    limit = page_size(session, options, len(within.ids))
    for ids in chunks(within.ids):
        some = msgspec.structs.replace(within, ids=tuple(ids))
        found |= _groups(session, kind, options, some, limit)
    return found


def _groups(session: Session, kind: Kind, options: Options, within: Within, limit: int) -> dict[int, Rows]:
    query = _query(session, kind, options, within)
    totals: dict[int, int] = {}
    if options.count:
        count = query.statement.with_only_columns(query.parent.label("parent"), sa.func.count().label("n"))
        totals = {row["parent"]: row["n"] for row in session.sql(count.group_by(query.parent))}
    split: dict[int, list[dict[str, Any]]] = {one: [] for one in within.ids}
    if limit:
        sort = [key.sort for key in query.keys]
        rank = sa.func.row_number().over(partition_by=query.parent, order_by=sort).label("rank")
        inner = query.statement.with_only_columns(
            *_columns(kind, options, query), query.parent.label("parent"), rank
        ).subquery()
        first = options.skip
        statement = sa.select(inner).where(inner.c.rank > first, inner.c.rank <= first + limit + 1)
        for row in _dicts(session, kind, session.sql(statement.order_by(inner.c.parent, inner.c.rank))):
            split[row["parent"]].append(row)
    return {
        one: _cut(some, query.keys, options, limit, totals.get(one, 0) if options.count else None)
        for one, some in split.items()
    }


def by_id(session: Session, kind: Kind, ids: Iterable[int], options: Options) -> dict[int, dict[str, Any]]:
    """Return the entities of some row ids, as far as they are there and in sight."""
    table = table_of(kind)
    names = columns(kind, options)
    found: dict[int, dict[str, Any]] = {}
    for some in chunks(dict.fromkeys(ids)):
        statement = sa.select(*(table.c[name] for name in names)).where(
            *session.seen(kind), among(table.c.id, some)
        )
        found |= {row["id"]: row for row in _dicts(session, kind, session.sql(statement))}
    return found


def _query(session: Session, kind: Kind, options: Options, within: Within | None) -> _Query:
    table = table_of(kind).alias("e")
    origin: Any = table
    parent: Any = None
    where = session.seen(kind, table)
    by = keys(options, kind, session, table)
    if within is not None and within.relation.link is not None:
        pairs, this, other = _pairs(within.relation.link)
        origin = table.join(pairs, pairs.c[other] == table.c.id)
        parent = pairs.c[this]
        if "position" in pairs.c:  # an array's places have an order, and may repeat an entity
            place = Key(expression=pairs.c.position, label="kp", exact=True)
            by = (*by, place) if options.order else (place, *by)
    elif within is not None:
        parent = table.c[within.relation.foreign]
    if within is not None:
        where.append(among(parent, within.ids))
    if options.filter is not None:
        where.append(condition(options.filter, kind, session, table))
    statement = sa.select(table.c.id).select_from(origin).where(*where)
    return _Query(statement=statement, table=table, parent=parent, keys=by)


def _pairs(link: tuple[str, str, str]) -> tuple[Any, str, str]:
    """Return the pairs of a relation, and the columns of this side and of the other."""
    name, this, other = link
    table = sql.METADATA.tables[name]
    if "position" not in table.c or this == "datastream_id":
        return table.alias("pair"), this, other
    once = sa.select(table.c[this], table.c[other]).distinct()
    return once.subquery("pair"), this, other


def _columns(kind: Kind, options: Options, query: _Query) -> list[sa.ColumnElement[Any]]:
    return [*(query.table.c[name] for name in columns(kind, options)), *(key.column for key in query.keys)]


def _cut(
    found: list[dict[str, Any]], by: Sequence[Key], options: Options, limit: int, total: int | None
) -> Rows:
    """Take the one row too many for the sign that there are more."""
    more = limit > 0 and len(found) > limit
    rows = found[:limit]
    return Rows(rows=rows, total=total, following=following(by, rows[-1], options, limit) if more else None)


def _dicts(session: Session, kind: Kind, found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Copy rows; the spans of Datastreams are as the store of observations knows them this moment."""
    rows = [dict(row) for row in found]
    if kind.table != BY_NAME["Datastream"].table or not rows or rows[0].keys().isdisjoint(_SPAN):
        return rows
    spans = session.observed.spans([row["id"] for row in rows])
    for row in rows:
        span = spans.get(row["id"])
        row.update(zip(_SPAN, span or (None,) * 4, strict=True))
    return rows
