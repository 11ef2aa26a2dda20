"""What people do with what was found: one alert, the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nervure.core.error import UsageError
from nervure.core.guard import Verdict
from nervure.core.instant import iso, to_ns
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.shape import alert

__all__ = [
    "ROUTES",
    "AuditView",
    "Judgement",
    "Newest",
    "Shelving",
    "acknowledge",
    "audit",
    "judge",
    "one_alert",
    "shelve",
]


class Shelving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Until when nobody wants word of an alert (ISO 8601; none: word again), and why."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000)]
    until: Annotated[datetime, Meta(tz=True)] | None = None


class Judgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says an alert was: true, false, or of planned work; and why, if they like."""

    verdict: Verdict
    note: Annotated[str, Meta(max_length=1000)] = ""


class Newest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many, the newest first."""

    limit: Annotated[int, Meta(ge=1, le=10_000)] = 100


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit."""

    time: str
    who: str
    what: str
    detail: dict[str, Any]


def acknowledge(desk: Desk, call: Call) -> dict[str, Any]:
    """Note that one has seen an alert."""
    identity = desk.catalogue.alert(call.names["id"], call.principal.project).id
    return alert(desk.tell(desk.catalogue.acknowledge(identity, call.principal.name)))


def one_alert(desk: Desk, call: Call) -> dict[str, Any]:
    """Show one alert."""
    return alert(desk.catalogue.alert(call.names["id"], call.principal.project))


def judge(desk: Desk, call: Call) -> dict[str, Any]:
    """Say what an alert was: the limit of its monitor heeds it, and what it learns from."""
    wish: Judgement = call.body
    identity = desk.catalogue.alert(call.names["id"], call.principal.project).id
    return alert(desk.tell(desk.catalogue.judge(identity, wish.verdict, call.principal.name, wish.note)))


def shelve(desk: Desk, call: Call) -> dict[str, Any]:
    """Silence an alert until an instant, for a reason."""
    wish: Shelving = call.body
    identity = desk.catalogue.alert(call.names["id"], call.principal.project).id
    until = None if wish.until is None else to_ns(wish.until)
    if until is not None and not 0 <= until < 1 << 63:
        raise UsageError("until is out of sight", hint="name an instant of this century")
    return alert(desk.tell(desk.catalogue.shelve(identity, until, call.principal.name, wish.reason)))


def audit(desk: Desk, call: Call) -> list[AuditView]:
    """List what was done on purpose and what was refused, the newest first."""
    return [
        AuditView(time=iso(one.time_ns), who=one.who, what=one.what, detail=one.detail)
        for one in desk.catalogue.audits(call.query.limit)
    ]


_ALERT: dict[str, Any] = {"right": "acknowledge", "answer": dict[str, Any]}

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/alerts/{id}",
        right="read",
        work=one_alert,
        answer=dict[str, Any],
    ),
    Route(method="POST", path="/api/alerts/{id}/verdict", work=judge, body=Judgement, **_ALERT),
    Route(method="POST", path="/api/alerts/{id}/acknowledge", work=acknowledge, **_ALERT),
    Route(method="POST", path="/api/alerts/{id}/shelve", work=shelve, body=Shelving, **_ALERT),
    Route(
        method="GET", path="/api/audit", right="read-audit", work=audit, query=Newest, answer=list[AuditView]
    ),
)
