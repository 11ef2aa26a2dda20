"""Tuning on history: how many alarms a rule would have rung with another limit, or if it held longer."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nervure.core.declaration import Condition, Rule, Solution, condition, watched
from nervure.core.error import NotFoundError, QueryError
from nervure.core.event import Persistence, events, span_of
from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.serve.control.alarms import duration
from nervure.serve.control.given import MS
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.control.vital import reporting
from nervure.serve.site import streams_in_sight
from nervure.solutions import find
from nervure.store import alarm
from nervure.store.alarm import Choice
from nervure.store.curve import Curve

__all__ = ["ROUTES", "Days", "PreviewQuery", "PreviewView", "Tuned", "alert_preview", "stirring"]

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_STEPS = 200_000
MOST_ALERTS = 10_000


class PreviewQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"hold": "for"}
):
    """Which rule, as ``water.burst``; over how many days; and what to try: a limit, how long it holds."""

    rule: Annotated[str, Meta(max_length=200)]
    days: Annotated[int, Meta(ge=1, le=92)] = 30
    limit: Annotated[float, Meta(ge=-1e300, le=1e300)] | None = None
    hold: Annotated[str, Meta(max_length=40)] | None = None


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """A limit (None: the calibrated one), how long it must hold, and what it would have rung."""

    limit: float | None
    hold_s: float
    alarms: int
    per_day: float


class Days(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms by day, as columns."""

    day: list[int]
    alarms: list[int]


class PreviewView(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would have rung with what was tried, beside what it rings with ``now``.

    ``whole`` is false where only what has rung can be looked at again: scores are not kept, but those
    around an alarm are, so a lower limit or a shorter hold would ring at least as often as told.
    """

    rule: str
    when: str
    measure: str
    days: int
    streams: int
    tried: Tuned
    now: Tuned
    by_day: Days
    whole: bool


class _History(msgspec.Struct, frozen=True, kw_only=True):
    """Of each stream when (ns) its measure was known, and the measure."""

    parts: list[tuple[Longs, Floats]]
    every_ns: int
    streams: int
    whole: bool


def alert_preview(desk: Desk, call: Call) -> PreviewView:
    """Tell how many alarms a rule would have rung in the last days with another limit or a longer hold."""
    wish: PreviewQuery = call.query
    solution, rule = _rule(desk, wish.rule)
    now_is = condition(rule.when)
    tried = msgspec.structs.replace(
        now_is,
        limit=now_is.limit if wish.limit is None else wish.limit,
        hold_ns=now_is.hold_ns if wish.hold is None else _hold(wish.hold),
    )
    end = _clock(desk)
    history = _history(desk, call, (solution, rule, now_is), end - wish.days * DAY_NS, end)
    spans = [span_of(solution, rule, one, history.every_ns) for one in (tried, now_is)]
    raised = [_raised(history, one, span) for one, span in zip((tried, now_is), spans, strict=True)]
    raised = [one[one >= end - wish.days * DAY_NS] for one in raised]  # evidence may begin the day before
    first = (end - wish.days * DAY_NS) // DAY_NS
    counted = np.bincount(raised[0] // DAY_NS - first, minlength=wish.days + 1)
    return PreviewView(
        rule=wish.rule, when=rule.when, measure=now_is.measure, days=wish.days, streams=history.streams,
        tried=_tuned(tried, raised[0], wish.days), now=_tuned(now_is, raised[1], wish.days),
        by_day=Days(
            day=[(first + one) * DAY_NS // MS for one in range(len(counted))], alarms=counted.tolist()
        ),
        whole=history.whole,
    )  # fmt: skip


def _rule(desk: Desk, key: str) -> tuple[Solution, Rule]:
    name, _, own = key.partition(".")
    if name in desk.solutions:
        solution = find(name)
        for rule in solution.rules:
            if rule.name == own:
                return solution, rule
    raise NotFoundError(
        f"no solution that is watched has a rule {key!r}", hint="GET /api/solutions lists them"
    )


def _hold(text: str) -> int:
    return 0 if text.strip() in {"0", "0s"} else duration(text)


def _clock(desk: Desk) -> int:
    """Return what counts as now: of a replayed history its end."""
    return reporting(desk.site().streams, desk.observed.newest(), time.time_ns()).clock_ns + 1


def _history(
    desk: Desk, call: Call, asked: tuple[Solution, Rule, Condition], start: int, end: int
) -> _History:
    solution, rule, read = asked
    signals = watched(solution, rule)
    every = max(solution.about(name)[1] for name in signals)
    site, project = desk.site(), call.principal.project
    rows = streams_in_sight(site, project, solution=solution.name)
    rows = rows[np.isin(site.streams.signal[rows], signals) & (site.streams.kind[rows] != "forecast")]
    ids = site.streams.id[rows].tolist()
    if read.measure == "score":
        parts = _past(desk, f"{solution.name}.{rule.name}", start, project)
        return _History(parts=parts, every_ns=every, streams=len(ids), whole=False)
    with desk.room.lent(desk.observed.about(ids, start, end), hint="ask for fewer days"):
        parts = [_measured(read, one) for one in desk.observed.curves(ids, start, end).values()]
    return _History(parts=parts, every_ns=every, streams=len(ids), whole=True)


def _past(desk: Desk, rule: str, start: int, project: int | None) -> list[tuple[Longs, Floats]]:
    """Return the scores around each alarm that has rung."""
    chosen = Choice(now_ns=time.time_ns(), rule=rule, start_ns=start, project=project)
    with desk.catalogue.database.read() as connection:
        found = alarm.page(connection, chosen, MOST_ALERTS)
    return [
        (
            np.array([seen.time_ns for seen in one.evidence], dtype=np.int64),
            np.array([np.nan if seen.score is None else seen.score for seen in one.evidence]),
        )
        for one in found
    ]


def _measured(read: Condition, one: Curve) -> tuple[Longs, Floats]:
    """Return when and what a rule measures: a value, or how long (s) it stayed or none came."""
    moment = one.time * 1000
    if read.measure == "flat":
        changed = np.r_[True, one.value[1:] != one.value[:-1]]
        since = moment[np.maximum.accumulate(np.where(changed, np.arange(len(moment)), 0))]
        return moment, (moment - since) / SECOND_NS
    if read.measure == "silent":
        return moment, np.diff(moment, prepend=moment[:1]) / SECOND_NS
    return moment, one.value


def _raised(history: _History, read: Condition, span: Persistence) -> Longs:
    """Return when the alarms would have rung (ns); of the calibrated limit, when those have that did."""
    limit, way = read.limit, 1.0 if read.above else -1.0
    found: list[int] = []
    steps = 0
    for moment, measured in history.parts:
        if limit is None:
            found += moment[~np.isnan(measured)][-1:].tolist()
            continue
        value, bound = way * measured, way * limit
        chosen = stirring(moment, value, bound, span)
        steps += len(chosen)
        if steps > MOST_STEPS:
            raise QueryError(
                "at this limit the rule would ring almost all the time", hint="try a milder limit"
            )
        rang = events(moment[chosen], value[chosen][:, None], bound, span)
        found += [one.raised_ns for one in rang]
    return np.array(found, dtype=np.int64)


def stirring(moment: Longs, value: Floats, limit: float, span: Persistence) -> Longs:
    """Return the rows that decide anything: above the limit, the first after those, and what clears.

    All others leave a rule as it is, so that leaving them out changes no alarm.
    """
    above = np.flatnonzero(value > limit)
    known = np.flatnonzero(~np.isnan(value))
    if not len(above):
        return above
    after = known[np.minimum(np.searchsorted(known, above, "right"), len(known) - 1)]
    clear = np.searchsorted(moment[known], moment[above] + span.gap_ns)
    clears = known[clear[clear < len(known)]]
    return np.unique(np.concatenate([above, after, clears]))


def _tuned(read: Condition, raised: Longs, days: int) -> Tuned:
    return Tuned(
        limit=read.limit,
        hold_s=read.hold_ns / SECOND_NS,
        alarms=len(raised),
        per_day=round(len(raised) / days, 4),
    )


_READ: dict[str, Any] = {"method": "GET", "right": "read"}

ROUTES: tuple[Route, ...] = (
    Route(path="/api/alerts/preview", work=alert_preview, query=PreviewQuery, answer=PreviewView, **_READ),
)
