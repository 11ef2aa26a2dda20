"""``nervure solutions``: what can be watched here."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from nervure.cli.option import Json
from nervure.cli.output import say, table, write_json
from nervure.core.declaration import Solution
from nervure.core.loop import Loop
from nervure.core.problem import Anomaly, Classify, Forecast, Problem, RemainingLife

__all__ = ["solutions"]


def solutions(
    name: Annotated[str | None, Parameter(help="Show one in full; a file of your own ends in .py.")] = None,
    /,
    *,
    json: Json = False,
) -> int:
    """Show the solutions: what each one senses, asks of its data, and says about it."""
    from nervure.solutions import find, names

    if name is not None:
        return _one(find(name), json=json)
    found = [find(one) for one in names()]
    if json:
        write_json([_brief(one) for one in found])
        return 0
    table(
        ("name", "tier", "what", "signals", "problems", "real data"),
        [
            (
                one.name,
                one.tier,
                one.title,
                _listed(signal.name for signal in one.signals),
                _listed(problem.name for problem in one.problems),
                one.data.folder if one.data else "",
            )
            for one in found
        ],
    )
    return 0


def _one(solution: Solution, *, json: bool) -> int:
    if json:
        write_json(msgspec.to_builtins(solution))
        return 0
    say(f"{solution.name} ({solution.tier}): {solution.title}")
    table(
        ("signal", "unit", "every", "low", "high", "of"),
        [
            (
                one.name,
                one.unit,
                one.every,
                one.low,
                one.high,
                "the site" if one.site else f"each {solution.thing}",
            )
            for one in solution.signals
        ],
    )
    table(("problem", "what"), [(one.name, _described(one)) for one in solution.problems])
    table(
        ("rule", "when", "severity", "says"),
        [(one.name, one.when, one.severity, one.say) for one in solution.rules],
    )
    if solution.loops:
        rows = [(one.command, _sets(one), one.policy, _kinds(one)) for one in solution.loops]
        table(("loop", "sets", "decided by", "interlocks"), rows)
    if solution.data:
        licence = solution.data.licence or "licence not stated"
        say(f"data: {solution.data.folder}, {licence}\n{solution.data.cite}")
    return 0


def _sets(loop: Loop) -> str:
    return _listed(f"{one.name} ({one.unit or ' | '.join(one.options) or 'on, off'})" for one in loop.sets)


def _kinds(loop: Loop) -> str:
    return _listed(dict.fromkeys(type(one).__name__.lower() for one in loop.interlocks))


def _brief(solution: Solution) -> dict[str, Any]:
    return {
        "name": solution.name,
        "tier": solution.tier,
        "title": solution.title,
        "signals": [signal.name for signal in solution.signals],
        "problems": [problem.name for problem in solution.problems],
        "rules": [rule.name for rule in solution.rules],
        "data": solution.data.folder if solution.data else None,
    }


def _described(problem: Problem) -> str:
    match problem:
        case Forecast():
            return f"foresee {problem.of} {problem.horizon} ahead from the last {problem.window}"
        case Anomaly():
            return (
                f"tell when {', '.join(problem.of)} stops behaving,"
                f" at {problem.policy.alarms_per_day:g} alarms a day"
            )
        case RemainingLife():
            return f"tell how many rows are left, up to {problem.clip:g}, from the last {problem.window}"
        case Classify():
            return (
                f"tell {', '.join(problem.classes)} by {problem.window} of {', '.join(problem.of)} where"
                f" {', '.join(problem.wake.of)} peak above {problem.wake.above:g}"
            )


def _listed(names: Any) -> str:
    return ", ".join(names)
