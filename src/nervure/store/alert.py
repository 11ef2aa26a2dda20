"""Alerts and views in the catalogue: what rules found, and how far each view of the log has come."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.alert import Alert, Evidence
from nervure.core.error import NotFoundError, StoreError
from nervure.core.instant import SECOND_NS
from nervure.store import sql, tally

__all__ = [
    "ASSIGNED",
    "VERDICT",
    "acknowledge",
    "alerts",
    "announce",
    "assign",
    "commit_view",
    "delivered",
    "judge",
    "judged",
    "news",
    "of_project",
    "one",
    "outbox",
    "read",
    "save",
    "shelve",
    "view",
    "view_parts",
]

VERDICT = "verdict"
"""The property of an alert in which a person's verdict stands."""

ASSIGNED = "assigned"
"""The property in which stands who is to look after it."""

_JUST_NS = 3 * SECOND_NS
_MOST_NEWS = 1_000

_COLUMNS = {"thing": "thing_id", "datastream": "datastream_id"}


def save(connection: sa.Connection, found: Sequence[Alert]) -> list[Alert]:
    """Write alerts, and return those that are new or were changed by it, as they are now."""
    news: list[Alert] = []
    for alert in found:
        stored = _find(connection, alert.id)
        kept = alert if stored is None else _with_people(alert, stored)
        if stored is None:
            connection.execute(sa.insert(sql.alert).values(_values(kept)))
        elif kept != stored:
            connection.execute(sa.update(sql.alert).where(sql.alert.c.id == kept.id).values(_values(kept)))
        else:
            continue
        news.append(kept)
    return news


def alerts(
    connection: sa.Connection,
    *,
    active: bool | None,
    solution: str | None,
    limit: int,
    thing: int | None = None,
    project: int | None = None,
) -> list[Alert]:
    """Return alerts, the newest first; of one Thing, or of those of one project, where these are named."""
    table = sql.alert
    query = sa.select(table).order_by(table.c.raised_ns.desc(), table.c.id).limit(limit)
    if active is not None:
        query = query.where(table.c.active == active)
    if solution is not None:
        query = query.where(table.c.solution == solution)
    if thing is not None:
        query = query.where(table.c.thing_id == thing)
    if project is not None:
        query = query.where(of_project(project))
    return [read(dict(row)) for row in connection.execute(query).mappings()]


def one(connection: sa.Connection, identity: str, project: int | None = None) -> Alert:
    """Return the alert of that id, if it is of that project."""
    found = _find(connection, identity)
    if found is not None and project is not None:
        seen = sa.select(sql.alert.c.id).where(sql.alert.c.id == identity, of_project(project))
        found = found if connection.execute(seen).first() else None
    if found is None:
        raise NotFoundError(f"there is no alert {identity!r}")
    return found


def acknowledge(connection: sa.Connection, identity: str) -> Alert:
    """Note that a person saw an alert."""
    return _change(connection, identity, acknowledged=True)


def shelve(connection: sa.Connection, identity: str, until_ns: int | None) -> Alert:
    """Note until when a person wants no word of an alert; None takes that back."""
    return _change(connection, identity, shelved_until_ns=until_ns)


def judge(connection: sa.Connection, identity: str, verdict: Mapping[str, Any]) -> Alert:
    """Note what a person says an alert was, which they must have seen for that."""
    said = {**one(connection, identity).properties, VERDICT: dict(verdict)}
    tally.count(connection)  # limits heed it
    return _change(connection, identity, acknowledged=True, properties=said)


def judged(connection: sa.Connection, solution: str, models: Sequence[str]) -> list[Alert]:
    """Return the alerts of some model versions on which there is a verdict, the oldest first."""
    table = sql.alert
    mine = (table.c.solution == solution, table.c.model.in_(models), table.c.acknowledged.is_(True))
    rows = connection.execute(sa.select(table).where(*mine).order_by(table.c.raised_ns, table.c.id))
    return [read(dict(row)) for row in rows.mappings() if VERDICT in row["properties"]]


def assign(connection: sa.Connection, identity: str, assigned: Mapping[str, Any] | None) -> Alert:
    """Note who is to look after an alert; None: nobody."""
    kept = {name: said for name, said in one(connection, identity).properties.items() if name != ASSIGNED}
    said = kept if assigned is None else {**kept, ASSIGNED: dict(assigned)}
    return _change(connection, identity, properties=said)


def view(connection: sa.Connection, name: str) -> tuple[int, bytes] | None:
    """Return position and state of a view of the log."""
    table = sql.view
    row = connection.execute(
        sa.select(table.c.sequence, table.c.state).where(table.c.name == name)
    ).one_or_none()
    return None if row is None else (int(row.sequence), bytes(row.state))


def view_parts(connection: sa.Connection, name: str) -> dict[str, bytes]:
    """Return the parts that a view keeps beside its state, by their names."""
    table, head = sql.view, f"{name}/"
    query = sa.select(table.c.name, table.c.state).where(sa.func.substr(table.c.name, 1, len(head)) == head)
    return {str(row.name)[len(head) :]: bytes(row.state) for row in connection.execute(query)}


def commit_view(
    connection: sa.Connection,
    name: str,
    sequence: int,
    state: bytes,
    found: Sequence[Alert],
    parts: Mapping[str, bytes] | None = None,
) -> None:
    """Write a view's position and state, those of its parts that are given, its alerts, and their news."""
    table = sql.view
    stored = view(connection, name)
    if stored is None:
        connection.execute(sa.insert(table).values(name=name, sequence=sequence, state=state))
    elif sequence < stored[0]:
        raise StoreError(
            f"view {name!r} stands at log position {stored[0]} and cannot go back to {sequence}",
            hint="is another process at work on the same catalogue, or was the log made anew?",
        )
    else:
        connection.execute(
            sa.update(table).where(table.c.name == name).values(sequence=sequence, state=state)
        )
    if parts:
        rows = [
            {"name": f"{name}/{part}", "sequence": sequence, "state": held} for part, held in parts.items()
        ]
        same = table.c.name == sa.bindparam("old")
        connection.execute(sa.delete(table).where(same), [{"old": row["name"]} for row in rows])
        connection.execute(sa.insert(table), rows)
    announce(connection, found)


def announce(connection: sa.Connection, found: Sequence[Alert]) -> None:
    """Write alerts, and the news of those that are new or were changed by it."""
    now = time.time_ns()
    for alert in save(connection, found):
        news = {"alert_id": alert.id, "alert": msgspec.to_builtins(alert), "created_ns": now}
        connection.execute(sa.insert(sql.outbox).values(news))


def outbox(connection: sa.Connection, limit: int) -> list[tuple[str, Alert]]:
    """Return news that were not delivered yet, oldest first; what people said about them is up to date."""
    table = sql.outbox
    query = (
        sa.select(table.c.id, table.c.alert, sql.alert.c.acknowledged, sql.alert.c.shelved_until_ns)
        .join(sql.alert, sql.alert.c.id == table.c.alert_id)
        .where(table.c.delivered_ns.is_(None))
        .order_by(table.c.id)
        .limit(limit)
    )
    found = []
    for row in connection.execute(query):
        alert = msgspec.convert(row.alert, Alert)
        said = {"acknowledged": row.acknowledged, "shelved_until_ns": row.shelved_until_ns}
        found.append((str(row.id), msgspec.structs.replace(alert, **said)))
    return found


def news(connection: sa.Connection, after: int | None) -> tuple[int, list[Alert]]:
    """Return the key of the newest news and the alerts of those after a key, delivered or not.

    Without a key these are the alerts of the last three seconds. An alert stands there as it is now,
    once, a thousand at a time, the oldest first.
    """
    table = sql.outbox
    query = sa.select(table.c.id, sql.alert).join(sql.alert, sql.alert.c.id == table.c.alert_id)
    if after is None:
        newest = connection.execute(sa.select(sa.func.max(table.c.id))).scalar()
        query = query.where(table.c.created_ns >= time.time_ns() - _JUST_NS)
        query = query.where(table.c.id > (newest or 0) - _MOST_NEWS)
    else:
        newest = after
        query = query.where(table.c.id > after)
    rows = connection.execute(query.order_by(table.c.id).limit(_MOST_NEWS)).all()
    keys = [int(row[0]) for row in rows]
    names = [column.name for column in sql.alert.c]
    found = {row[1]: read(dict(zip(names, row[1:], strict=True))) for row in rows}
    return max([newest or 0, *keys]), list(found.values())


def delivered(connection: sa.Connection, key: str) -> None:
    """Note that a piece of news was delivered."""
    table = sql.outbox
    connection.execute(sa.update(table).where(table.c.id == int(key)).values(delivered_ns=time.time_ns()))


def of_project(project: int) -> sa.ColumnElement[bool]:
    """Return the condition that an alert's Thing is of a project."""
    return sql.alert.c.thing_id.in_(sa.select(sql.thing.c.id).where(sql.thing.c.project_id == project))


def _find(connection: sa.Connection, identity: str) -> Alert | None:
    row = connection.execute(sa.select(sql.alert).where(sql.alert.c.id == identity)).mappings().one_or_none()
    return None if row is None else read(dict(row))


def _change(connection: sa.Connection, identity: str, **values: Any) -> Alert:
    changed = msgspec.structs.replace(one(connection, identity), **values)
    connection.execute(sa.update(sql.alert).where(sql.alert.c.id == identity).values(values))
    return changed


def _with_people(alert: Alert, stored: Alert) -> Alert:
    said = {name: stored.properties[name] for name in (VERDICT, ASSIGNED) if name in stored.properties}
    return msgspec.structs.replace(
        alert,
        acknowledged=alert.acknowledged or stored.acknowledged,
        shelved_until_ns=stored.shelved_until_ns,
        properties=alert.properties | said,
    )


def _values(alert: Alert) -> dict[str, Any]:
    values = {_COLUMNS.get(name, name): value for name, value in msgspec.structs.asdict(alert).items()}
    return values | {"evidence": msgspec.to_builtins(alert.evidence)}


def read(row: Mapping[str, Any]) -> Alert:
    """Return the alert of a row."""
    names = [field.name for field in msgspec.structs.fields(Alert)]
    values = {name: row[_COLUMNS.get(name, name)] for name in names}
    return Alert(**values | {"evidence": msgspec.convert(values["evidence"], tuple[Evidence, ...])})
