"""What is installed: the solutions there are with what each needs and has, and what the machine lacks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from nervure.core.declaration import Solution
from nervure.core.error import NotFoundError
from nervure.serve.control.route import Call, Desk, Route
from nervure.serve.site import streams_in_sight
from nervure.solutions import find, names

__all__ = [
    "ROUTES", "CheckView", "ProblemView", "RuleOf", "SignalView", "SolutionView", "doctor", "solutions",
]  # fmt: skip


class SignalView(msgspec.Struct, frozen=True, kw_only=True):
    """A signal that a solution needs, and how many Datastreams carry it."""

    name: str
    unit: str
    every: str
    low: float | None
    high: float | None
    site: bool
    streams: int


class ProblemView(msgspec.Struct, frozen=True, kw_only=True):
    """What a solution asks of its data, and the version of the model that answers."""

    name: str
    kind: str
    model: str | None


class RuleOf(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a solution; ``key`` names it in alerts."""

    key: str
    name: str
    when: str
    severity: str
    say: str


class SolutionView(msgspec.Struct, frozen=True, kw_only=True):
    """A solution; ``watched``: whether it runs here."""

    name: str
    tier: str
    title: str
    watched: bool
    things: int
    signals: list[SignalView]
    problems: list[ProblemView]
    rules: list[RuleOf]
    data: str | None


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: ``wrong`` stops the platform, ``missing`` stops a part of it."""

    name: str
    state: str
    found: str
    fix: str = ""


def solutions(desk: Desk, call: Call) -> list[SolutionView]:
    """List the solutions: what each needs, what of that is connected, and what answers."""
    site = desk.site()
    table = site.streams
    seen = streams_in_sight(site, call.principal.project)
    seen = seen[table.kind[seen] == "reading"]
    counted = Counter(zip(table.solution[seen].tolist(), table.signal[seen].tolist(), strict=True))
    things = Counter(
        name for name, _ in set(zip(table.solution[seen].tolist(), table.thing[seen].tolist(), strict=True))
    )
    champions = {(one.solution, one.problem): one.version for one in desk.catalogue.models() if one.promoted}
    return [
        _solution(one, counted, things, champions, watched=one.name in desk.solutions)
        for one in (find(name) for name in sorted({*names(), *desk.solutions}))
    ]


def _solution(
    one: Solution,
    counted: Counter[tuple[str, str]],
    things: Counter[str],
    champions: dict[tuple[str, str], str],
    *,
    watched: bool,
) -> SolutionView:
    return SolutionView(
        name=one.name, tier=one.tier, title=one.title, watched=watched, things=things[one.name],
        signals=[
            SignalView(
                name=signal.name, unit=signal.unit, every=signal.every, low=signal.low, high=signal.high,
                site=signal.site, streams=counted[one.name, signal.name],
            )
            for signal in one.signals
        ],
        problems=[
            ProblemView(
                name=problem.name, kind=str(problem.__struct_config__.tag),
                model=champions.get((one.name, problem.name)),
            )
            for problem in one.problems
        ],
        rules=[
            RuleOf(
                key=f"{one.name}.{rule.name}", name=rule.name, when=rule.when, severity=rule.severity,
                say=rule.say,
            )
            for rule in one.rules
        ],
        data=one.data.folder if one.data else None,
    )  # fmt: skip


def doctor(desk: Desk, _: Call) -> list[CheckView]:
    """Tell what is missing on the machine, with the fix."""
    if desk.examine is None:
        raise NotFoundError("nobody looks after this machine from here", hint="run: nervure doctor")
    return msgspec.convert(list(desk.examine()), list[CheckView], from_attributes=True)


_READ: dict[str, Any] = {"method": "GET"}

ROUTES: tuple[Route, ...] = (
    Route(path="/api/solutions", right="read", work=solutions, answer=list[SolutionView], **_READ),
    Route(path="/api/doctor", right="read-audit", work=doctor, answer=list[CheckView], **_READ),
)
