"""Loops: how each stands, what it holds and may, its signed log; and what people do about them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nervure.core.interlock import Value
from nervure.core.papers import Papers
from nervure.core.task import WATCH_H, Mode
from nervure.serve.control.route import Call, Desk, Done, Route, number
from nervure.serve.control.steering import Steering
from nervure.store.scope import Scope

__all__ = [
    "ROUTES",
    "Giving",
    "Handing",
    "LineView",
    "LogQuery",
    "LogView",
    "LoopView",
    "ModesView",
    "Moding",
    "PromotionView",
    "Saying",
    "SlotView",
    "TaskQuery",
    "TaskView",
    "VerdictView",
    "approve",
    "give_back",
    "guard",
    "loop",
    "loop_log",
    "loops",
    "mode",
    "modes",
    "reset",
    "take_hand",
    "task",
    "tasks",
    "turn_down",
]

Reason = Annotated[str, Meta(max_length=500)]


class Handing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values to set by hand, and for how long; without ``minutes`` until they are given back."""

    values: Annotated[dict[str, Value], Meta(min_length=1, max_length=200)]
    minutes: Annotated[float, Meta(gt=0, le=10_080)] | None = None


class Moding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mode to go to, and why where evidence is missing: that stands in the log.

    ``hours`` is how long the asker has the watch of a supervised loop.
    """

    mode: Mode
    hours: Annotated[float, Meta(gt=0, le=WATCH_H)] = 8.0
    because: Reason = ""


class Saying(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, if one likes to say."""

    why: Reason = ""


class Giving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the guard is to get a new key: the old one, and whoever has it, is believed no more."""

    renew: bool = False


class LogQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many lines, from before which number on."""

    limit: Annotated[int, Meta(ge=1, le=10_000)] = 100
    before: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None


class TaskQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In which state, how many."""

    status: Annotated[str, Meta(max_length=40)] = "awaiting approval"
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class VerdictView(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule said."""

    rule: str
    kind: str
    outcome: str
    why: str = ""


class SlotView(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot of the priority array holds, and for how long yet."""

    slot: int
    by: str
    actor: str
    task: str
    values: dict[str, Value]
    left_s: float | None = None


class PromotionView(msgspec.Struct, frozen=True, kw_only=True):
    """What a loop has to show before it may do more: commands judged, and the share refused at most."""

    least: int
    refused: float


class LoopView(msgspec.Struct, frozen=True, kw_only=True):
    """A loop: its mode and what it has shown in it, what is in force and by whom, its limits, trips.

    ``unproven`` is what it had yet to show when somebody raised it to this mode for a reason.
    ``guard`` is ``here``, ``away`` or ``none``; ``heard`` is when the device reported last, ``unfit`` why it
    would not do what it is told, ``damaged`` how many orders it refused by their digest since it started.
    ``lease`` is the longest that a model's command holds, ``promote`` what a higher mode takes.
    """

    id: int
    name: str
    thing: int
    mode: Mode
    since: str | None
    watch_until: str | None
    watcher: str
    unproven: str
    judged: int
    refused: int
    trips: list[dict[str, Any]]
    guard: str
    heard: str | None
    unfit: str
    damaged: int
    values: dict[str, Value]
    holder: str
    slots: list[SlotView]
    limits: list[dict[str, Any]]
    plan: list[dict[str, Any]]
    fields: dict[str, str]
    verdicts: list[VerdictView]
    waiting: int
    lease: str
    promote: PromotionView


class ModesView(msgspec.Struct, frozen=True, kw_only=True):
    """How many loops are in each mode; how many have tripped, miss their guard; how many Tasks wait."""

    modes: dict[Mode, int]
    tripped: int
    away: int
    waiting: int


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a loop's log."""

    number: int
    time: str
    task: int | None
    who: str
    what: str
    detail: dict[str, Any]
    hash: str
    seal: str


class LogView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest lines of a loop's log; ``broken`` is the number of a line that was changed, if one was."""

    lines: list[LineView]
    broken: int | None


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """A Task of a loop: what is wanted by whom, how it stands, who said yes."""

    id: int
    loop: int
    name: str
    created: str
    status: str
    values: dict[str, Any]
    by: str
    model: str
    detail: str
    approved: list[str]


def _steering(desk: Desk) -> Steering:
    return desk.steering()


def _scope(call: Call) -> Scope:
    return call.principal.scope()


def loops(desk: Desk, call: Call) -> list[LoopView]:
    """List the control loops: mode, limits, what is in force, the newest verdicts."""
    found: list[LoopView] = _steering(desk).views(_scope(call))
    return found


def modes(desk: Desk, call: Call) -> ModesView:
    """Count the control loops by their modes, those that tripped, and the Tasks that wait."""
    found: ModesView = _steering(desk).modes(_scope(call))
    return found


def loop(desk: Desk, call: Call) -> LoopView:
    """Show one control loop."""
    found: LoopView = _steering(desk).view(number(call.names["id"]), _scope(call))
    return found


def loop_log(desk: Desk, call: Call) -> LogView:
    """Read the signed log of a loop, the newest line first, and check it."""
    wish: LogQuery = call.query
    found: LogView = _steering(desk).log(number(call.names["id"]), _scope(call), wish.limit, wish.before)
    return found


def take_hand(desk: Desk, call: Call) -> TaskView:
    """Set values by hand: a person wins over every model, and keeps to the interlocks that bind all."""
    wish: Handing = call.body
    seconds = None if wish.minutes is None else wish.minutes * 60
    found: TaskView = _steering(desk).hand(number(call.names["id"]), _scope(call), wish.values, seconds)
    return found


def give_back(desk: Desk, call: Call) -> Done:
    """Give back what a hand holds: the loop or the local plan decides again."""
    _steering(desk).auto(number(call.names["id"]), _scope(call))
    return Done()


def guard(desk: Desk, call: Call) -> Papers:
    """Write the papers of a loop's guard: what it keeps to, and the key by which it knows our orders."""
    found: Papers = _steering(desk).guard(number(call.names["id"]), _scope(call), renew=call.body.renew)
    return found


def mode(desk: Desk, call: Call) -> LoopView:
    """Change the mode of a loop: down for whoever may act, up on evidence or for a reason."""
    wish: Moding = call.body
    identity, steering = number(call.names["id"]), _steering(desk)
    if steering.rises(identity, _scope(call), wish.mode):
        call.principal.require("configure-interlock")
    found: LoopView = steering.change(
        identity, _scope(call), wish.mode, hours=wish.hours, because=wish.because
    )
    return found


def reset(desk: Desk, call: Call) -> Done:
    """Reset what has tripped, once somebody has seen to it."""
    _steering(desk).reset(number(call.names["id"]), _scope(call), call.body.why)
    return Done()


def tasks(desk: Desk, call: Call) -> list[TaskView]:
    """List the Tasks of loops in a state: those that wait for approval, if nothing else is said."""
    wish: TaskQuery = call.query
    found: list[TaskView] = _steering(desk).tasks(_scope(call), wish.status, wish.limit)
    return found


def task(desk: Desk, call: Call) -> TaskView:
    """Show one Task of a loop."""
    found: TaskView = _steering(desk).task(number(call.names["id"]), _scope(call))
    return found


def approve(desk: Desk, call: Call) -> TaskView:
    """Say yes to a Task; with enough of them it is sent."""
    found: TaskView = _steering(desk).approve(number(call.names["id"]), _scope(call))
    return found


def turn_down(desk: Desk, call: Call) -> TaskView:
    """Say no to a Task: it is rejected."""
    found: TaskView = _steering(desk).refuse(number(call.names["id"]), _scope(call), call.body.why)
    return found


_READ: dict[str, Any] = {"method": "GET", "right": "read"}
_ACT: dict[str, Any] = {"method": "POST", "right": "act"}

ROUTES: tuple[Route, ...] = (
    Route(path="/api/loops", work=loops, answer=list[LoopView], **_READ),
    Route(path="/api/loops/modes", work=modes, answer=ModesView, **_READ),
    Route(path="/api/loops/{id}", work=loop, answer=LoopView, **_READ),
    Route(path="/api/loops/{id}/log", work=loop_log, query=LogQuery, answer=LogView, **_READ),
    Route(path="/api/loops/{id}/hand", work=take_hand, body=Handing, answer=TaskView, **_ACT),
    Route(path="/api/loops/{id}/auto", work=give_back, **_ACT),
    Route(
        path="/api/loops/{id}/guard", work=guard, body=Giving, answer=Papers, method="POST",
        right="manage-devices",
    ),
    Route(path="/api/loops/{id}/mode", work=mode, body=Moding, answer=LoopView, **_ACT),
    Route(path="/api/loops/{id}/reset", work=reset, body=Saying, **_ACT),
    Route(path="/api/tasks", work=tasks, query=TaskQuery, answer=list[TaskView], **_READ),
    Route(path="/api/tasks/{id}", work=task, answer=TaskView, **_READ),
    Route(path="/api/tasks/{id}/approve", work=approve, answer=TaskView, **_ACT),
    Route(path="/api/tasks/{id}/refuse", work=turn_down, body=Saying, answer=TaskView, **_ACT),
)  # fmt: skip
