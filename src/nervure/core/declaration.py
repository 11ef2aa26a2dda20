"""What a solution declares: signals, problems, rules, loops, and the real data that proves it.

A solution is one file that builds one ``Solution``; everything else (Datastreams, checks,
training, alert rules, report rows) comes from it.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from nervure.core.alert import Severity
from nervure.core.answer import answers
from nervure.core.error import DeclarationError
from nervure.core.instant import DAY_NS, duration_ns, duration_text
from nervure.core.loop import Loop, check
from nervure.core.problem import Anomaly, Case, Classify, Forecast, Problem, RemainingLife, steps

__all__ = [
    "AHEAD_NS", "BY_MODEL", "Condition", "Rule", "Signal", "Solution", "Source", "condition", "validate",
    "watched",
]  # fmt: skip

AHEAD_NS = 400 * DAY_NS
"""How far a forecast may look ahead of the instant it was issued."""

Tier = Literal["bronze", "silver", "gold"]
Measure = Literal["score", "value", "flat", "silent", "life", "share"]


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of reading: its UCUM unit, sampling interval and physically possible range.

    ``phenomenon`` is the observed property's full name. ``site`` signals (weather) belong to the
    place as a whole, not to each Thing. ``stuck_after`` is how long an unchanged value is still
    believable. ``ahead`` is how long before its time a value may be known: a weather forecast comes
    as Observations of the same Datastream, whose resultTime (when it was issued) lies before the
    phenomenonTime.
    """

    name: str
    unit: str
    every: str
    low: float | None = None
    high: float | None = None
    phenomenon: str = ""
    definition: str = ""
    site: bool = False
    stuck_after: str | None = None
    ahead: str | None = None

    @property
    def every_ns(self) -> int:
        """The sampling interval in nanoseconds."""
        return duration_ns(self.every)

    @property
    def ahead_ns(self) -> int:
        """How far ahead of its issue a value may lie, in nanoseconds; 0 where only what was read is taken."""
        return 0 if self.ahead is None else duration_ns(self.ahead)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """When to raise an alert, and the sentence a person reads.

    ``when`` is ``MEASURE OP NUMBER|limit [for DURATION]``; the measures are ``score`` (of the
    anomaly ``problem``), ``value`` (of the signals ``of``), ``flat`` and ``silent`` (seconds
    without change, and without a reading), ``life`` (what the ``problem`` says is left) and ``share``
    (its probability of the classes ``of``). ``say`` may use ``{thing}``, ``{signal}``, ``{value}``,
    ``{expected}``, ``{low}``, ``{high}``, ``{unit}``, ``{since}``, ``{excess}`` and ``{hours}``.
    """

    name: str
    when: str
    severity: Severity
    say: str
    of: tuple[str, ...] = ()
    problem: str | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the real data of a solution lie, and the protocol they are judged by.

    ``folder`` is below ``NERVURE_DATA``; ``layout`` names the reader: ``wide`` (a column a
    Thing), ``long`` (columns ``thing`` and signals), ``multi`` (a column a signal, one Thing a
    file), ``package`` (the PyPI package named) or ``runs`` (recordings of Things, for problems about
    whole Things: :mod:`nervure.learn.detect.record`). ``columns`` maps the file's columns to signals.
    ``prepare`` names what first makes such a table of odd files: a module of
    ``nervure.learn.reader``, or a dotted one of your own, with ``prepare(paths)``. ``things`` is the
    file that tells of each Thing (``longitude``, ``latitude``, anything else); ``places`` are
    ``(longitude, latitude)`` that no file tells; ``without`` are Things to leave out. ``gaps`` is the
    share of empty slots that is normal (a line that rests at night). ``split`` are the parts in
    time for train, validation and test: fractions, or durations of which the first may be ``rest``
    (``"rest", "8w", "4w"`` ends with the data).
    """

    folder: str
    files: tuple[str, ...] = ()
    layout: Literal["wide", "long", "multi", "package", "runs"]
    prepare: str | None = None
    package: str | None = None
    url: str | None = None
    sha256: str | None = None
    time: str = "timestamp"
    thing: str | None = None
    things: str | None = None
    places: dict[str, tuple[float, float]] = {}
    without: tuple[str, ...] = ()
    gaps: float = 0.2
    signal: str | None = None
    columns: dict[str, str] = {}
    units: dict[str, str] = {}
    zone: str = "UTC"
    split: tuple[float | str, float | str, float | str] = (0.7, 0.1, 0.2)
    protocol: str = ""
    report_at: tuple[str, ...] = ()
    licence: str = ""
    cite: str = ""


class Solution(msgspec.Struct, frozen=True, kw_only=True):
    """One domain: what is sensed, what is asked, what is said and done about it."""

    name: str
    title: str
    thing: str
    signals: tuple[Signal, ...]
    problems: tuple[Problem, ...] = ()
    rules: tuple[Rule, ...] = ()
    loops: tuple[Loop, ...] = ()
    twin: str | None = None
    data: Source | None = None
    tier: Tier = "bronze"

    def signal(self, name: str) -> Signal:
        """Return the signal of that name."""
        for signal in self.signals:
            if signal.name == name:
                return signal
        known = ", ".join(signal.name for signal in self.signals)
        raise DeclarationError(f"{self.name}: no signal {name!r}", hint=f"declared are: {known}")

    def about(self, name: str) -> tuple[str, int]:
        """Return the phenomenon and the sampling interval (ns) of a signal, or of an answer's."""
        for problem in self.problems:
            for answer in answers(problem):
                if answer.signal == name:
                    return answer.phenomenon, self.signal(problem.of[0]).every_ns
        signal = self.signal(name)
        return signal.phenomenon or name, signal.every_ns

    def loop(self, command: str) -> Loop:
        """Return the loop of that command."""
        for loop in self.loops:
            if loop.command == command:
                return loop
        known = ", ".join(loop.command for loop in self.loops) or "none"
        raise DeclarationError(f"{self.name}: no loop {command!r}", hint=f"declared are: {known}")

    def inputs(self, thing: str) -> dict[str, str]:
        """Return the names of a Thing's Datastreams, and of the site's, by their signals."""
        return {one.name: one.name if one.site else f"{thing}/{one.name}" for one in self.signals}

    def problem(self, name: str | None = None) -> Problem:
        """Return the problem of that name, or the first."""
        for problem in self.problems:
            if name is None or problem.name == name:
                return problem
        known = ", ".join(problem.name for problem in self.problems) or "none"
        raise DeclarationError(f"{self.name}: no problem {name!r}", hint=f"declared are: {known}")


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's ``when``, read: ``limit`` is ``None`` where the calibrated limit is meant."""

    measure: Measure
    above: bool
    limit: float | None
    hold_ns: int


BY_MODEL = ("score", "life", "share")
"""What a rule measures of a model's answers."""

_WHEN = re.compile(
    r"\s*(score|value|flat|silent|life|share)\s*([<>])\s*(limit|-?\d+(?:\.\d+)?|\d+(?:\.\d+)?(?:min|s|h|d))"
    r"(?:\s+for\s+(\S+))?\s*"
)


def condition(text: str, *, where: str = "$.when") -> Condition:
    """Read a rule's ``when``.

    >>> condition("score > limit for 2h").hold_ns // 3_600_000_000_000
    2
    """
    found = _WHEN.fullmatch(text)
    if not found:
        raise DeclarationError(
            f"{text!r} is not a condition",
            where=where,
            hint="write MEASURE > NUMBER [for DURATION]: 'score > limit for 2h', 'flat > 6h'",
        )
    measure, sign, limit, hold = found.groups()
    if limit == "limit":
        number = None
    elif limit[-1].isalpha():
        number = duration_ns(limit, where=where) / 1e9
    else:
        number = float(limit)
    return Condition(
        measure=measure,  # type: ignore[arg-type]  # the pattern admits no other
        above=sign == ">",
        limit=number,
        hold_ns=duration_ns(hold, where=where) if hold else 0,
    )


def watched(solution: Solution, rule: Rule) -> tuple[str, ...]:
    """Return the signals that a rule watches: those it names, its problem's, or every Thing's own.

    Those of answers are named as :func:`nervure.core.answer.answers` does.
    """
    problem = next((one for one in solution.problems if one.name == rule.problem), None)
    if isinstance(problem, Classify):
        told = {f"{problem.what}={one}" for one in rule.of or problem.classes}
        return tuple(one.signal for one in answers(problem) if one.signal in told)
    if isinstance(problem, RemainingLife):
        return (problem.name,)
    if rule.of:
        return rule.of
    if problem is not None:
        return problem.of if isinstance(problem, Anomaly) else (problem.of,)
    return tuple(signal.name for signal in solution.signals if not signal.site)


def validate(solution: Solution) -> Solution:
    """Check a declaration as a whole; the first thing that is wrong is raised, with its place."""
    from nervure.core import unit

    at = solution.name
    for number, signal in enumerate(solution.signals):
        where = f"{at} $.signals[{number}]"
        unit.check(signal.unit)
        duration_ns(signal.every, where=f"{where}.every")
        if signal.ahead is not None and duration_ns(signal.ahead, where=f"{where}.ahead") > AHEAD_NS:
            raise DeclarationError(
                f"{at}: nothing is known {signal.ahead} ahead; at most {duration_text(AHEAD_NS)}",
                where=f"{where}.ahead",
            )
        if signal.low is not None and signal.high is not None and signal.low >= signal.high:
            raise DeclarationError(f"{at}: low {signal.low} is not below high {signal.high}", where=where)
    for number, problem in enumerate(solution.problems):
        _check_problem(solution, problem, f"{at} $.problems[{number}]")
    names = {problem.name for problem in solution.problems}
    for number, rule in enumerate(solution.rules):
        where = f"{at} $.rules[{number}]"
        read = condition(rule.when, where=f"{where}.when")
        if read.measure in BY_MODEL and rule.problem not in names:
            raise DeclarationError(
                f"{at}: rule {rule.name!r} needs the problem whose {read.measure} it reads",
                where=f"{where}.problem",
                hint=f"one of: {', '.join(sorted(names))}",
            )
        _check_rule(solution, rule, read.measure, where)
    signals = [one.name for one in solution.signals]
    for number, loop in enumerate(solution.loops):
        check(loop, at, signals, sorted(names), f"{at} $.loops[{number}]")
    return solution


def _check_rule(solution: Solution, rule: Rule, measure: Measure, where: str) -> None:
    """See that a rule's measure is one of its problem's, and that it names what there is."""
    problem = next((one for one in solution.problems if one.name == rule.problem), None)
    fits = {"life": RemainingLife, "share": Classify}.get(measure)
    if fits is not None and not isinstance(problem, fits):
        raise DeclarationError(
            f"{solution.name}: {rule.problem!r} tells no {measure}", where=f"{where}.problem"
        )
    if not isinstance(problem, Classify):
        for name in rule.of:
            solution.signal(name)
    elif unknown := sorted(set(rule.of) - set(problem.classes)):
        raise DeclarationError(
            f"{solution.name}: {unknown[0]!r} is no class of {problem.name}",
            where=f"{where}.of",
            hint=f"one of: {', '.join(problem.classes)}",
        )


def _check_problem(solution: Solution, problem: Problem, where: str) -> None:
    match problem:
        case Forecast():
            every = solution.signal(problem.of).every_ns
            steps(problem.window, every, where=f"{where}.window", at_least=3)
            steps(problem.horizon, every, where=f"{where}.horizon")
            for name in (*problem.past, *problem.future):
                solution.signal(name)
            if list(problem.quantiles) != sorted(set(problem.quantiles)) or 0.5 not in problem.quantiles:
                raise DeclarationError(
                    f"quantiles {problem.quantiles} must rise and hold 0.5", where=f"{where}.quantiles"
                )
        case Anomaly():
            for name in problem.of:
                solution.signal(name)
            if problem.policy.alarms_per_day <= 0:
                raise DeclarationError(
                    "alarms_per_day must be positive", where=f"{where}.policy.alarms_per_day"
                )
            if problem.residual is not None:
                solution.problem(problem.residual)
        case RemainingLife() | Classify():
            _check_case(solution, problem, where)


def _check_case(solution: Solution, problem: Case, where: str) -> None:
    """See that a problem about whole Things names what there is, and can be asked."""
    if isinstance(problem, RemainingLife):
        for name in (*problem.settings, *problem.of, problem.age):
            solution.signal(name)
        if problem.window < 1 or problem.clip <= 0:
            raise DeclarationError("window and clip must be positive", where=where)
        if list(problem.quantiles) != sorted(set(problem.quantiles)) or 0.5 not in problem.quantiles:
            raise DeclarationError(
                f"quantiles {problem.quantiles} must rise and hold 0.5", where=f"{where}.quantiles"
            )
        return
    for name in (*problem.of, *problem.wake.of):
        solution.signal(name)
    steps(problem.window, solution.signal(problem.of[0]).every_ns, where=f"{where}.window", at_least=3)
    if len(set(problem.classes)) < 2:
        raise DeclarationError("there are at least two classes", where=f"{where}.classes")
    if not set(problem.wake.of) <= set(problem.of):
        raise DeclarationError(
            "what wakes is shown in the window too", where=f"{where}.wake.of", hint="add it to of"
        )
