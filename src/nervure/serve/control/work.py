"""What people do with what was found: alerts, models, the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nervure.core.error import DeniedError, UsageError
from nervure.core.guard import Verdict
from nervure.core.instant import iso, to_ns
from nervure.serve.control.route import Call, Desk, Route, number
from nervure.serve.shape import alert
from nervure.store.model import Model

__all__ = [
    "ROUTES",
    "AlertQuery",
    "AuditView",
    "Judgement",
    "ModelView",
    "Newest",
    "Shelving",
    "acknowledge",
    "alerts",
    "audit",
    "judge",
    "models",
    "one_alert",
    "promote",
    "shelve",
]


class AlertQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which alerts."""

    active: bool | None = None
    solution: Annotated[str, Meta(max_length=100)] | None = None
    thing: Annotated[int, Meta(ge=1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 100


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


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """A model."""

    id: int
    name: str
    version: str
    solution: str
    problem: str
    added: str
    promoted: bool


def alerts(desk: Desk, call: Call) -> list[dict[str, Any]]:
    """List alerts, the newest first."""
    wish: AlertQuery = call.query
    found = desk.catalogue.alerts(
        active=wish.active,
        solution=wish.solution,
        thing=wish.thing,
        limit=wish.limit,
        project=call.principal.project,
    )
    return [alert(one) for one in found]


def acknowledge(desk: Desk, call: Call) -> dict[str, Any]:
    """Note that one has seen an alert."""
    identity = desk.catalogue.alert(call.names["id"], call.principal.project).id
    return alert(desk.catalogue.acknowledge(identity, call.principal.name))


def one_alert(desk: Desk, call: Call) -> dict[str, Any]:
    """Show one alert."""
    return alert(desk.catalogue.alert(call.names["id"], call.principal.project))


def judge(desk: Desk, call: Call) -> dict[str, Any]:
    """Say what an alert was: the limit of its monitor heeds it, and what it learns from."""
    wish: Judgement = call.body
    identity = desk.catalogue.alert(call.names["id"], call.principal.project).id
    return alert(desk.catalogue.judge(identity, wish.verdict, call.principal.name, wish.note))


def shelve(desk: Desk, call: Call) -> dict[str, Any]:
    """Silence an alert until an instant, for a reason."""
    wish: Shelving = call.body
    identity = desk.catalogue.alert(call.names["id"], call.principal.project).id
    until = None if wish.until is None else to_ns(wish.until)
    if until is not None and not 0 <= until < 1 << 63:
        raise UsageError("until is out of sight", hint="name an instant of this century")
    return alert(desk.catalogue.shelve(identity, until, call.principal.name, wish.reason))


def models(desk: Desk, _: Call) -> list[ModelView]:
    """List the models, the newest first."""
    return [_model(one) for one in desk.catalogue.models()]


def promote(desk: Desk, call: Call) -> ModelView:
    """Let a model score its problem; the one before stays for going back."""
    if call.principal.project is not None:
        raise DeniedError(f"{call.principal.name} sees one project, and models score in all of them")
    return _model(desk.catalogue.promote(number(call.names["id"]), call.principal.name))


def audit(desk: Desk, call: Call) -> list[AuditView]:
    """List what was done on purpose and what was refused, the newest first."""
    return [
        AuditView(time=iso(one.time_ns), who=one.who, what=one.what, detail=one.detail)
        for one in desk.catalogue.audits(call.query.limit)
    ]


def _model(one: Model) -> ModelView:
    return ModelView(
        id=one.id,
        name=one.name,
        version=one.version,
        solution=one.solution,
        problem=one.problem,
        added=iso(one.added_ns),
        promoted=one.promoted,
    )


_ALERT: dict[str, Any] = {"right": "acknowledge", "answer": dict[str, Any]}

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/alerts",
        right="read",
        work=alerts,
        query=AlertQuery,
        answer=list[dict[str, Any]],
    ),
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
    Route(method="GET", path="/api/models", right="read", work=models, answer=list[ModelView]),
    Route(method="POST", path="/api/models/{id}/promote", right="train", work=promote, answer=ModelView),
    Route(
        method="GET", path="/api/audit", right="read-audit", work=audit, query=Newest, answer=list[AuditView]
    ),
)
