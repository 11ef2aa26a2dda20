"""Alarms by the many: chosen, counted, paged, and what was done about one.

Pages go by (raised, id), the newest first, so that page ninety costs as much as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from nervure.core.alert import Alert
from nervure.store import sql
from nervure.store.alert import ASSIGNED, VERDICT, of_project, read
from nervure.store.model import Entry

__all__ = ["Choice", "Ringing", "State", "counts", "page", "rate", "ringing", "trail", "worst"]

State = Literal["open", "cleared", "unacknowledged", "shelved"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts; what is None chooses nothing. ``now_ns`` says which are shelved at the moment."""

    now_ns: int
    active: bool | None = None
    state: State | None = None
    severity: tuple[str, ...] = ()
    solution: str | None = None
    rule: str | None = None
    thing: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    assignee: str | None = None
    project: int | None = None


class Ringing(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What is needed of an alert to count with it."""

    rule: str
    solution: str
    severity: str
    thing: int
    raised_ns: int
    end_ns: int | None
    active: bool
    acknowledged: bool
    shelved: bool
    verdict: str | None


def _where(choice: Choice) -> list[sa.ColumnElement[bool]]:
    table = sql.alert
    shelved = sa.func.coalesce(table.c.shelved_until_ns, 0) > choice.now_ns
    states = {
        "open": sa.and_(table.c.active.is_(True), sa.not_(shelved)),
        "cleared": table.c.active.is_(False),
        "unacknowledged": sa.and_(table.c.acknowledged.is_(False), sa.not_(shelved)),
        "shelved": shelved,
    }
    found: list[sa.ColumnElement[bool]] = []
    same = {
        "active": choice.active,
        "solution": choice.solution,
        "rule": choice.rule,
        "thing_id": choice.thing,
    }
    found += [table.c[name] == value for name, value in same.items() if value is not None]
    if choice.state is not None:
        found.append(states[choice.state])
    if choice.severity:
        found.append(table.c.severity.in_(choice.severity))
    if choice.start_ns is not None:
        found.append(table.c.raised_ns >= choice.start_ns)
    if choice.end_ns is not None:
        found.append(table.c.raised_ns < choice.end_ns)
    if choice.assignee is not None:
        found.append(table.c.properties[(ASSIGNED, "to")].as_string() == choice.assignee)
    if choice.project is not None:
        found.append(of_project(choice.project))
    return found


def page(
    connection: sa.Connection, choice: Choice, limit: int, after: tuple[int, str] | None = None
) -> list[Alert]:
    """Return alerts, the newest first; ``after`` is (raised, id) of the last of the page before."""
    table = sql.alert
    where = _where(choice)
    if after is not None:
        raised, identity = after
        older = sa.and_(table.c.raised_ns == raised, table.c.id > identity)
        where.append(sa.or_(table.c.raised_ns < raised, older))
    order = (table.c.raised_ns.desc(), table.c.id)
    query = sa.select(table).where(*where).order_by(*order).limit(limit)
    return [read(dict(row)) for row in connection.execute(query).mappings()]


def worst(connection: sa.Connection, choice: Choice, severities: Sequence[str], limit: int) -> list[Alert]:
    """Return the alerts to look at first: the worst, of these the newest."""
    table = sql.alert
    rank = sa.case(
        {name: place for place, name in enumerate(severities)}, value=table.c.severity, else_=len(severities)
    )
    query = sa.select(table).where(*_where(choice)).order_by(rank, table.c.raised_ns.desc(), table.c.id)
    return [read(dict(row)) for row in connection.execute(query.limit(limit)).mappings()]


def counts(connection: sa.Connection, choice: Choice) -> dict[str, Any]:
    """Return how many there are: in all, by state, severity, solution and rule."""
    table, where = sql.alert, _where(choice)
    shelved = sa.func.coalesce(table.c.shelved_until_ns, 0) > choice.now_ns
    names = ("severity", "solution", "rule", "active", "acknowledged")
    columns = [*(table.c[name] for name in names), shelved.label("shelved")]
    query = sa.select(*columns, sa.func.count().label("number")).where(*where).group_by(*columns)
    found: dict[str, Any] = {"total": 0, "open": 0, "unacknowledged": 0, "shelved": 0}
    found |= {"severity": {}, "solution": {}, "rule": {}}
    for row in connection.execute(query):
        number = int(row.number)
        found["total"] += number
        found["open"] += number * (row.active and not row.shelved)
        found["unacknowledged"] += number * (not row.acknowledged and not row.shelved)
        found["shelved"] += number * bool(row.shelved)
        for name in ("severity", "solution", "rule"):
            key = getattr(row, name)
            found[name][key] = found[name].get(key, 0) + number
    return found


def rate(connection: sa.Connection, choice: Choice, start_ns: int, step_ns: int, steps: int) -> list[int]:
    """Return how many alerts were raised in each of some steps of time."""
    table = sql.alert
    within = (table.c.raised_ns >= start_ns, table.c.raised_ns < start_ns + step_ns * steps)
    step = ((table.c.raised_ns - start_ns) // step_ns).label("step")
    query = sa.select(step, sa.func.count()).where(*_where(choice), *within).group_by(step)
    found = [0] * steps
    for place, number in connection.execute(query):
        found[int(place)] = int(number)
    return found


def ringing(connection: sa.Connection, choice: Choice, limit: int) -> list[Ringing]:
    """Return what is needed to count with the newest alerts, the newest first."""
    table = sql.alert
    shelved = sa.func.coalesce(table.c.shelved_until_ns, 0) > choice.now_ns
    verdict = table.c.properties[(VERDICT, "verdict")].as_string()
    names = ("rule", "solution", "severity", "thing_id", "raised_ns", "end_ns", "active", "acknowledged")
    query = sa.select(*(table.c[name] for name in names), shelved, verdict).where(*_where(choice))
    rows = connection.execute(query.order_by(table.c.raised_ns.desc(), table.c.id).limit(limit))
    fields = Ringing.__struct_fields__
    return [Ringing(**dict(zip(fields, (*row[:8], bool(row[8]), row[9]), strict=True))) for row in rows]


def trail(connection: sa.Connection, identity: str, limit: int = 1_000) -> Sequence[Entry]:
    """Return what people did about an alert, the oldest first."""
    table = sql.audit
    mine = (table.c.what.like("alert.%"), table.c.detail["alert"].as_string() == identity)
    rows = connection.execute(sa.select(table).where(*mine).order_by(table.c.id).limit(limit)).mappings()
    names = [field.name for field in msgspec.structs.fields(Entry)]
    return [Entry(**{name: row[name] for name in names}) for row in rows]
