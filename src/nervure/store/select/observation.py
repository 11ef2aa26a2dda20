"""Observations: a page of them, a page for each of several Datastreams or features, and one by id.

What dashboards ask is a page in the order of time: it is looked for at the end of time where it
lies, in a span that grows until the page is full, so that old files stay closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import sqlalchemy as sa

from nervure.core.instant import DAY_NS
from nervure.core.sensorthings import BY_NAME
from nervure.store.language.option import Options
from nervure.store.select import hand
from nervure.store.select.among import among
from nervure.store.select.bound import ALL_TIME, Span, bound
from nervure.store.select.condition import condition
from nervure.store.select.entity import Rows, chunks, page_size
from nervure.store.select.keyset import Key, beyond, following, read_token
from nervure.store.select.row import Within
from nervure.store.select.session import Session
from nervure.store.select.source import OBSERVATION

__all__ = ["by_id", "groups", "rows"]

_KIND = BY_NAME["Observation"]
_WIDER = 8
_INSTANTS = ("time", "end_time", "result_time")
_COLUMNS: tuple[sa.ColumnElement[Any], ...] = tuple(
    sa.func.epoch_us(column).label(column.name) if column.name in _INSTANTS else column
    for column in OBSERVATION.c
)


class _Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: conditions, order, the Datastreams it can be of (None: any), the span of time.

    ``plain`` says that no condition but the Datastream counts, so that memory knows the numbers;
    ``falling`` is the direction in time, None for another order.
    """

    where: tuple[Any, ...]
    keys: tuple[Key, ...]
    ids: tuple[int, ...] | None
    span: Span
    plain: bool
    falling: bool | None


def rows(session: Session, options: Options, within: Within | None) -> Rows:
    """Return one page, of all or of those of a Datastream or a feature."""
    if (found := hand.rows(session, options, within)) is not None:
        return found
    query = _query(session, options, within)
    total = _total(session, query) if options.count else None
    limit = page_size(session, options)
    if limit == 0:
        return Rows(rows=[], total=total)
    where, span = query.where, query.span
    if options.token is not None:
        values = read_token(query.keys, options)
        where = (*where, beyond(query.keys, values))
        if query.falling is not None:
            span = span.after(values[0], falling=query.falling)
    query = msgspec.structs.replace(query, where=where, span=span)
    nearest = _nearest(session, query, limit + 1, options.skip)
    return _cut(nearest, query, options, limit, total)


def groups(session: Session, options: Options, within: Within) -> dict[int, Rows]:
    """Return a page for each of several Datastreams or features."""
    found = hand.groups(session, options, within)
    limit = page_size(session, options, len(within.ids))
    for ids in chunks(one for one in within.ids if one not in found):
        some = msgspec.structs.replace(within, ids=tuple(ids))
        query = _query(session, options, some)
        totals = _totals(session, query, some) if options.count else {}
        split = _split(session, query, some, limit, options.skip) if limit else {}
        for one in ids:
            total = totals.get(one, 0) if options.count else None
            found[one] = _cut(split.get(one, []), query, options, limit, total)
    return found


def by_id(session: Session, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return the Observations of some ids, as far as they are there and in sight."""
    wanted = list(dict.fromkeys(ids))
    known = session.known
    for some in chunks(one for one in wanted if one not in known):
        where = (*session.seen(_KIND), among(OBSERVATION.c.id, some))
        table = session.duck(sa.select(*_COLUMNS).where(*where), identity=some)
        known |= dict.fromkeys(some) | {row["id"]: row for row in _dicts(table)}
    return {one: row for one in wanted if (row := known[one]) is not None}


# --- what is asked --------------------------------------------------------------------------------


def _query(session: Session, options: Options, within: Within | None) -> _Query:
    where: list[Any] = session.seen(_KIND)
    ids = session.streams()
    plain = ids is None and options.filter is None
    if within is not None:
        where.append(among(OBSERVATION.c[within.relation.foreign], within.ids))
        if within.relation.foreign == "datastream":
            plain = options.filter is None  # the Datastreams themselves are in sight
            where, ids = [where[-1]], list(within.ids)
        else:
            plain = False
    if options.filter is not None:
        where.append(condition(options.filter, _KIND, session, OBSERVATION))
    by, falling = hand.order(options, session)
    return _Query(
        where=tuple(where),
        keys=by,
        ids=None if ids is None else tuple(ids),
        span=bound(options.filter),
        plain=plain,
        falling=falling,
    )


def _total(session: Session, query: _Query) -> int:
    if query.plain and query.ids is None:
        return session.observed.count()
    if query.plain and query.ids is not None:
        return sum(session.observed.count(one) for one in query.ids)
    counted = sa.select(sa.func.count().label("n")).select_from(OBSERVATION)
    found = session.duck(counted.where(*query.where, *_during(query.span)), **_choice(query, query.span))
    return int(found["n"][0].as_py())


def _totals(session: Session, query: _Query, within: Within) -> dict[int, int]:
    if query.plain:
        return {one: session.observed.count(one) for one in within.ids}
    of = OBSERVATION.c[within.relation.foreign].label("of")
    counted = sa.select(of, sa.func.count().label("n")).where(*query.where, *_during(query.span)).group_by(of)
    found = session.duck(counted, **_choice(query, query.span))
    return dict(zip(found["of"].to_pylist(), found["n"].to_pylist(), strict=True))


# --- pages in the order of time -------------------------------------------------------------------


def _nearest(session: Session, query: _Query, limit: int, skip: int) -> list[dict[str, Any]]:
    """Return ``limit`` rows after ``skip``; in the order of time look where they are expected first."""
    reach = _reach(session, query)
    if reach is None:
        return []
    span = query.span.cut(reach)
    if span.empty:
        return []
    if query.falling is None:
        return _page(session, query, span, limit, skip)
    total = (
        session.observed.count(query.ids[0])
        if query.ids and len(query.ids) == 1
        else session.observed.count()
    )
    width = int(reach.length / max(total, 1) * (limit + skip) * 1.5) + 1
    while True:
        part = span.end_of(width, falling=query.falling)
        found = _page(session, query, part, limit, skip)
        if len(found) == limit or part == span:
            return found
        width *= _WIDER


def _reach(session: Session, query: _Query) -> Span | None:
    """Return the span of time in which there is anything at all."""
    if query.ids is None or len(query.ids) > 1:
        found = session.observed.span()
    else:
        found = session.observed.span(query.ids[0]) if query.ids else None
    return None if found is None else Span(start=found[0], end=found[1] + 1)


def _page(session: Session, query: _Query, span: Span, limit: int, skip: int) -> list[dict[str, Any]]:
    statement = (
        sa.select(*_COLUMNS, *(key.column for key in query.keys))
        .where(*query.where, *_during(span))
        .order_by(*(key.sort for key in query.keys))
        .limit(limit)
        .offset(skip)
    )
    return _dicts(session.duck(statement, **_choice(query, span)))


# --- a page for each of several -------------------------------------------------------------------


def _split(
    session: Session, query: _Query, within: Within, limit: int, skip: int
) -> dict[int, list[dict[str, Any]]]:
    """Return for each of several up to ``limit`` rows and one more, after ``skip``."""
    if query.falling is None or within.relation.foreign != "datastream":
        return _ranked(session, query, within, query.span, limit + 1, skip)
    found: dict[int, list[dict[str, Any]]] = {}
    left = _expected(session, query, within.ids, limit + 1 + skip)
    while left:
        again: dict[int, tuple[Span, int]] = {}
        for part, ids in _alike(query, left):
            some = msgspec.structs.replace(within, ids=ids)
            rows = _ranked(session, query, some, part, limit + 1, skip)
            for one in ids:
                whole, width = left[one]
                if len(rows.get(one, ())) <= limit and not part.covers(whole):
                    again[one] = (whole, max(width, part.length) * _WIDER)
                else:
                    found[one] = rows.get(one, [])
        left = again
    return found


def _expected(session: Session, query: _Query, ids: Sequence[int], rows: int) -> dict[int, tuple[Span, int]]:
    """Return the span of time of each Datastream that has any, and how wide ``rows`` should lie."""
    found: dict[int, tuple[Span, int]] = {}
    for one, (first, last, *_) in session.observed.spans(ids).items():
        whole = query.span.cut(Span(start=first, end=last + 1))
        if whole.empty:
            continue
        steps = max(1, session.observed.count(one) - 1)
        found[one] = (whole, int((last - first) / steps * (rows - 1) * 1.5) + 1)
    return found


def _alike(query: _Query, left: dict[int, tuple[Span, int]]) -> list[tuple[Span, tuple[int, ...]]]:
    """Put Datastreams together that end on the same day and are about as dense, each with one span."""
    parts: dict[tuple[int, int], list[int]] = {}
    for one, (whole, width) in left.items():
        edge = whole.end if query.falling else whole.start
        parts.setdefault((edge // DAY_NS, width.bit_length() // 3), []).append(one)
    found = []
    for ids in parts.values():
        spans = [left[one][0].end_of(left[one][1], falling=bool(query.falling)) for one in ids]
        whole = Span(start=min(one.start for one in spans), end=max(one.end for one in spans))
        found.append((whole, tuple(ids)))
    return found


def _ranked(
    session: Session, query: _Query, within: Within, span: Span, limit: int, skip: int
) -> dict[int, list[dict[str, Any]]]:
    of = OBSERVATION.c[within.relation.foreign]
    sort = [key.sort for key in query.keys]
    rank = sa.func.row_number().over(partition_by=of, order_by=sort).label("rank")
    inner = (
        sa.select(*_COLUMNS, *(key.column for key in query.keys), rank)
        .where(*query.where, *_during(span), among(of, within.ids))
        .subquery()
    )
    statement = sa.select(inner).where(inner.c.rank > skip, inner.c.rank <= skip + limit)
    streams = within.ids if within.relation.foreign == "datastream" else query.ids
    narrow = msgspec.structs.replace(query, ids=streams)
    table = session.duck(statement.order_by(inner.c.rank), **_choice(narrow, span))
    found: dict[int, list[dict[str, Any]]] = {}
    for row in _dicts(table):
        found.setdefault(row[within.relation.foreign] or 0, []).append(row)
    return found


# --- rows -----------------------------------------------------------------------------------------


def _cut(found: list[dict[str, Any]], query: _Query, options: Options, limit: int, total: int | None) -> Rows:
    more = limit > 0 and len(found) > limit
    rows = found[:limit]
    link = following(query.keys, rows[-1], options, limit) if more else None
    return Rows(rows=rows, total=total, following=link)


def _during(span: Span) -> list[Any]:
    """Return the condition for a span of time, in a form by which DuckDB leaves row groups unread."""
    if span == ALL_TIME:
        return []
    start, end = span.microseconds
    return [
        OBSERVATION.c.time >= sa.func.make_timestamptz(sa.literal(start)),
        OBSERVATION.c.time < sa.func.make_timestamptz(sa.literal(end)),
    ]


def _choice(query: _Query, span: Span) -> dict[str, Any]:
    found: dict[str, Any] = {"ids": query.ids}
    if span != ALL_TIME:
        found |= {"start_ns": span.start, "end_ns": span.end}
    return found


def _dicts(table: pa.Table) -> list[dict[str, Any]]:
    """Read rows; a feature 0 is none."""
    names = table.column_names
    columns = [column.to_pylist() for column in table.columns]
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    for row in rows:
        row["feature"] = row["feature"] or None
    return rows
