"""Alerts by the many: filters, pages, counts, how often they ring, and what a limit would have rung."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Annotated, Any, get_args
from urllib.parse import quote

import msgspec
import numpy as np
from msgspec import Meta

from nervure.core.alert import Severity
from nervure.core.error import DeclarationError, QueryError
from nervure.core.instant import DAY_NS, SECOND_NS, duration_ns
from nervure.serve.answer import Answer, json
from nervure.serve.control.given import MS, RENAMED, instant_ns, span_ns
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.shape import alert
from nervure.store import alarm
from nervure.store.alarm import Choice, Ringing, State

__all__ = [
    "ROUTES", "AlertQuery", "ChatterQuery", "ChatterView", "CountView", "RateQuery", "RateView",
    "alert_chatter", "alert_counts", "alert_rate", "alerts", "choice", "duration",
]  # fmt: skip

MOST_STEPS = 5_000
MOST_RINGING = 200_000
LONGEST_NS = 366 * DAY_NS
FLEETING_S = 60.0
AGAIN_S = 600.0
CHATTER_SHARE, CHATTER_LEAST = 0.3, 3
PER_OPERATOR = 1.0
"""Alarms in ten minutes that one person can bear for long (EEMUA 191; ISA-18.2, table 6)."""

Text = Annotated[str, Meta(max_length=200)]
Moment = Annotated[str, Meta(max_length=60)]


class AlertQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=RENAMED):
    """Which alerts; ``after`` is the ``x-next`` of the page before.

    ``severity`` may name several, with commas between.
    """

    active: bool | None = None
    state: State | None = None
    severity: Text | None = None
    solution: Text | None = None
    rule: Text | None = None
    thing: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    since: Moment | None = None
    until: Moment | None = None
    assignee: Text | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 100
    after: Text | None = None


class RateQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=RENAMED):
    """When, in steps of how long, and of which solution."""

    since: Moment = "-24h"
    until: Moment = "now"
    step: Moment = "10min"
    solution: Text | None = None
    severity: Text | None = None


class ChatterQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of how many days up to now."""

    days: Annotated[int, Meta(ge=1, le=366)] = 7


class CountView(msgspec.Struct, frozen=True, kw_only=True):
    """How many alerts there are, by what they are."""

    total: int
    open: int
    unacknowledged: int
    shelved: int
    severity: dict[str, int]
    solution: dict[str, int]
    rule: dict[str, int]


class RateView(msgspec.Struct, frozen=True, kw_only=True, rename=RENAMED):
    """How many alerts were raised in each step; ``most`` is what the people who may see them can bear."""

    since: int
    until: int
    step_s: float
    count: list[int]
    operators: int
    most: float


class ChatterView(msgspec.Struct, frozen=True, kw_only=True):
    """How often a rule rang: ``fleeting`` for less than a minute, ``repeated`` within ten after the last."""

    solution: str
    rule: str
    severity: str
    alarms: int
    per_day: float
    things: int
    fleeting: int
    repeated: int
    median_s: float | None
    true: int
    false: int
    planned: int
    chatters: bool


def choice(wish: AlertQuery, project: int | None) -> Choice:
    """Return which alerts a query means."""
    now = time.time_ns()
    severities = tuple(one.strip() for one in (wish.severity or "").split(",") if one.strip())
    unknown = set(severities) - set(get_args(Severity))
    if unknown:
        raise QueryError(
            f"there is no severity {min(unknown)!r}", hint=f"one of: {', '.join(get_args(Severity))}"
        )
    return Choice(
        now_ns=now, active=wish.active, state=wish.state, severity=severities, solution=wish.solution,
        rule=wish.rule, thing=wish.thing, assignee=wish.assignee, project=project,
        start_ns=None if wish.since is None else instant_ns(wish.since, now),
        end_ns=None if wish.until is None else instant_ns(wish.until, now),
    )  # fmt: skip


def alerts(desk: Desk, call: Call) -> Answer:
    """List alerts, the newest first; the header ``x-next`` leads to the next page."""
    wish: AlertQuery = call.query
    with desk.catalogue.database.read() as connection:
        chosen = choice(wish, call.principal.project)
        found = alarm.page(connection, chosen, wish.limit, _place(wish.after))
    last = found[-1] if len(found) == wish.limit else None
    headers = () if last is None else (("x-next", quote(f"{last.raised_ns}.{last.id}")),)
    return json([alert(one) for one in found], headers=headers)


def _place(after: str | None) -> tuple[int, str] | None:
    if after is None:
        return None
    raised, dot, identity = after.partition(".")
    if not dot or not raised.isdecimal() or len(raised) > 19 or int(raised) >= 1 << 63:
        raise QueryError("after is no place in the list", hint="send the x-next of the page before")
    return int(raised), identity


def alert_counts(desk: Desk, call: Call) -> CountView:
    """Count alerts by state, severity, solution and rule."""
    with desk.catalogue.database.read() as connection:
        return CountView(**alarm.counts(connection, choice(call.query, call.principal.project)))


def alert_rate(desk: Desk, call: Call) -> RateView:
    """Count the alerts raised in each step of time, beside what people can bear."""
    wish: RateQuery = call.query
    start, end = span_ns(wish.since, wish.until)
    step = duration(wish.step)
    steps = -(-(end - start) // step)
    if step < SECOND_NS or steps > MOST_STEPS:
        raise QueryError(f"this makes {steps:,} steps, and {MOST_STEPS:,} are too many", hint="a longer step")
    project = call.principal.project
    chosen = choice(AlertQuery(solution=wish.solution, severity=wish.severity), project)
    with desk.catalogue.database.read() as connection:
        counted = alarm.rate(connection, chosen, start, step, steps)
    known = desk.office.register.known().users.values()
    operators = sum(
        one.active and "acknowledge" in one.rights and one.project_id in {None, project} for one in known
    )
    most = PER_OPERATOR * max(operators, 1) * step / (600 * SECOND_NS)
    return RateView(
        since=start // MS, until=end // MS, step_s=step / SECOND_NS, count=counted, operators=operators,
        most=round(most, 4),
    )  # fmt: skip


def alert_chatter(desk: Desk, call: Call) -> list[ChatterView]:
    """List the rules that rang, those that ring most first, and say which of them chatter."""
    days, now = call.query.days, time.time_ns()
    chosen = Choice(now_ns=now, start_ns=now - days * DAY_NS, project=call.principal.project)
    with desk.catalogue.database.read() as connection:
        found = alarm.ringing(connection, chosen, MOST_RINGING)
    by_rule: dict[tuple[str, str], list[Ringing]] = defaultdict(list)
    for one in found:
        by_rule[one.solution, one.rule].append(one)
    views = [_chatter(some, days, now) for some in by_rule.values()]
    return sorted(views, key=lambda one: -one.alarms)


def _chatter(some: list[Ringing], days: int, now_ns: int) -> ChatterView:
    lasted = [(one.end_ns - one.raised_ns) / SECOND_NS for one in some if one.end_ns is not None]
    ended: dict[int, int] = {}
    repeated = 0
    for one in reversed(some):  # the oldest first
        before = ended.get(one.thing)
        repeated += before is not None and one.raised_ns - before < AGAIN_S * SECOND_NS
        ended[one.thing] = now_ns if one.end_ns is None else max(one.end_ns, one.raised_ns)
    said = {name: sum(one.verdict == name for one in some) for name in ("true", "false", "planned")}
    chatters = repeated >= CHATTER_LEAST and repeated >= CHATTER_SHARE * len(some)
    newest = some[0]
    return ChatterView(
        solution=newest.solution, rule=newest.rule, severity=newest.severity, alarms=len(some),
        per_day=round(len(some) / days, 3), things=len({one.thing for one in some}),
        fleeting=sum(one < FLEETING_S for one in lasted), repeated=repeated,
        median_s=round(float(np.median(lasted)), 3) if lasted else None, chatters=chatters, **said,
    )  # fmt: skip


def duration(text: str) -> int:
    """Read a duration of a query."""
    try:
        found = duration_ns(text)
    except DeclarationError as cause:
        raise QueryError(f"{text[:40]!r} is no duration", hint="write 10min or 1h") from cause
    if (
        found > LONGEST_NS
    ):  # an instant so much later than the last one must still be a number of the database
        raise QueryError(f"{text[:40]!r} is too long", hint="name at most 366d")
    return found


_READ: dict[str, Any] = {"method": "GET", "right": "read"}

ROUTES: tuple[Route, ...] = (
    Route(path="/api/alerts", work=alerts, query=AlertQuery, answer=list[dict[str, Any]], **_READ),
    Route(path="/api/alerts/counts", work=alert_counts, query=AlertQuery, answer=CountView, **_READ),
    Route(path="/api/alerts/rate", work=alert_rate, query=RateQuery, answer=RateView, **_READ),
    Route(
        path="/api/alerts/chatter",
        work=alert_chatter,
        query=ChatterQuery,
        answer=list[ChatterView],
        **_READ,
    ),
)
