"""Interlocks: what a command must keep to, declared per TaskingCapability as data.

They stand in the capability's ``properties``, under ``act``, beside its local plan:

    {"act": {"lease": "30s", "interlocks": [{"kind": "range", "of": "speed", "low": 0, "high": 100}],
             "plan": [{"hold": "1h", "values": {"speed": 40}}]}}

and are judged by :func:`nervure.act.interlock.judge`, in the platform and again beside the actuator.
A field is a number, a text or a boolean, as ``taskingParameters`` says. ``binds`` tells whom an
interlock holds for: ``all``, or ``models`` (a person may do it all the same).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = [
    "Approve",
    "Authority",
    "Binds",
    "Bounds",
    "Condition",
    "Conflict",
    "Declared",
    "Dwell",
    "Effect",
    "Envelope",
    "Field",
    "Fresh",
    "Hourly",
    "Interlock",
    "Promotion",
    "Range",
    "Rate",
    "Require",
    "Scope",
    "Sequence",
    "Starve",
    "Step",
    "Value",
    "label",
]

Value = float | bool | str
Field = Literal["number", "text", "boolean"]
Binds = Literal["all", "models"]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Names = Annotated[tuple[Name, ...], Meta(max_length=200)]


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that holds or not: a field or input that equals ``equals`` or lies from low to high."""

    of: Name
    equals: Value | None = None
    low: float | None = None
    high: float | None = None


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From low to high, each of which may be open."""

    low: float | None = None
    high: float | None = None


class _Rule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=str.lower
):
    """What every interlock has: a name for people (made of its kind where none is given), whom it binds."""

    name: Annotated[str, Meta(max_length=100)] = ""
    binds: Binds = "all"


class Range(_Rule, frozen=True, kw_only=True):
    """The value lies from low to high."""

    of: Name
    low: float | None = None
    high: float | None = None


class Rate(_Rule, frozen=True, kw_only=True):
    """The value lies within ``most`` of everything that was in force during the last ``per``."""

    of: Name
    most: float
    per: str = "1min"


class Dwell(_Rule, frozen=True, kw_only=True):
    """What is on stays on for ``on``, and what is off stays off for ``off``.

    A number above zero, ``true`` and a text other than ``off`` or the empty one are on.
    """

    of: Name
    on: str | None = None
    off: str | None = None


class Hourly(_Rule, frozen=True, kw_only=True):
    """At most so many changes in any ``per``; of one field, or of all without ``of``."""

    most: Annotated[int, Meta(ge=1, le=10_000)]
    per: str = "1h"
    of: Name | None = None
    binds: Binds = "models"


class Conflict(_Rule, frozen=True, kw_only=True):
    """No two conditions of a pair hold together, once the command is in force.

    A name is looked for among the fields first, then among the inputs (another actuator's state).
    """

    pairs: Annotated[tuple[tuple[Condition, Condition], ...], Meta(min_length=1, max_length=1000)]


class Sequence(_Rule, frozen=True, kw_only=True):
    """After a value only those named may follow, and only when it has held for its ``least``.

    Numbers that are whole are written without a point: phase 3 is ``"3"``.
    """

    of: Name
    after: Mapping[str, tuple[str, ...]]
    least: Mapping[str, str] = {}


class Fresh(_Rule, frozen=True, kw_only=True):
    """Every input is known, a number or a text, no older than ``within``, and not stuck for ``stuck``."""

    inputs: Annotated[Names, Meta(min_length=1)]
    within: str
    stuck: str | None = None
    binds: Binds = "models"


class Require(_Rule, frozen=True, kw_only=True):
    """Where the command does all of ``doing`` (or anything, without), all of ``needs`` hold before."""

    needs: Annotated[tuple[Condition, ...], Meta(min_length=1, max_length=100)]
    doing: Annotated[tuple[Condition, ...], Meta(max_length=100)] = ()


class Envelope(_Rule, frozen=True, kw_only=True):
    """A what-if of these very values, no older than ``within``, keeps each figure inside its bounds.

    The whole interval of a figure counts, not its middle. ``twin`` is which twin has to have said so;
    ``commands`` tells for each field by which name that twin calls the actuator, so that what was found of
    one crossing does not stand for another.
    """

    kpis: Mapping[str, Bounds]
    within: str = "15min"
    least_runs: Annotated[int, Meta(ge=1)] = 1
    twin: Annotated[str, Meta(max_length=200)] = ""
    commands: Mapping[str, Name] = {}
    binds: Binds = "models"


class Authority(_Rule, frozen=True, kw_only=True):
    """Which models may command, by name; none named: none may."""

    models: Names = ()


class Approve(_Rule, frozen=True, kw_only=True):
    """``k`` different people, of those named or of all who may act, approved these very values.

    It is asked for where the command does all of ``doing``. Who asked does not count, and an approval
    is good for ``within``.
    """

    k: Annotated[int, Meta(ge=1, le=20)] = 1
    of: Names = ()
    within: str = "15min"
    doing: Annotated[tuple[Condition, ...], Meta(max_length=100)] = ()


class Scope(_Rule, frozen=True, kw_only=True):
    """Who is bound touches these fields only, and only from ``start`` to ``end`` of the day in ``zone``."""

    fields: Annotated[Names, Meta(min_length=1)]
    start: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    end: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    zone: Name = "UTC"
    binds: Binds = "models"


class Effect(_Rule, frozen=True, kw_only=True):
    """``within`` after a change of the field the input has moved by ``least``; else it trips, for good."""

    of: Name
    input: Name
    least: Annotated[float, Meta(gt=0)]
    within: str
    binds: Binds = "models"


class Starve(_Rule, frozen=True, kw_only=True):
    """No state waits longer than ``most``; time enough is kept to go through all who wait.

    Leave out states that others serve as well: who waits for those is not kept waiting, whoever shows them.

    With ``bench`` a model that brings it so far is not heard for that long, then twice as long, and so on:
    the local plan decides, where serving those who starve one by one would be all that is done for them.
    """

    of: Name
    states: Annotated[Names, Meta(min_length=1)]
    most: str
    bench: str | None = None
    binds: Binds = "models"


Interlock = (
    Range
    | Rate
    | Dwell
    | Hourly
    | Conflict
    | Sequence
    | Fresh
    | Require
    | Envelope
    | Authority
    | Approve
    | Scope
    | Effect
    | Starve
)


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step of the local plan: values, and for how long."""

    hold: str
    values: Mapping[str, Value]


class Promotion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a loop has to show before it may do more, and when it may do less.

    ``least`` commands judged in its mode, of which at most the share ``refused`` was; of the last
    fifty, more than ``demote`` refused takes it one mode back. So does a model that it rests on, once its
    error is ``drift`` times what it was half a week before, or its interval holds so much less (``short``)
    than it promised; a monitor that raises ``drift`` times the alarms that it promised; a class that is so
    much less (``short``) sure of its answers.
    """

    least: Annotated[int, Meta(ge=1)] = 100
    refused: Annotated[float, Meta(ge=0, le=1)] = 0.02
    demote: Annotated[float, Meta(gt=0, le=1)] = 0.3
    drift: Annotated[float, Meta(gt=1)] = 1.5
    short: Annotated[float, Meta(gt=0, le=1)] = 0.15


class Declared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one TaskingCapability keeps to.

    ``lease`` is the longest that a model's command holds, ``age`` the oldest that a command may be when
    it gets there, ``seen`` the oldest that the readings may be then that a model's command rests on (unset,
    nobody asks, and the digest is that of guards that knew no such thing), ``every`` the longest between two
    steps of the device, ``plan`` what the device does by itself, over and over. ``rests`` are the names of
    models in the catalogue that its controllers rest on, beside those that its Tasks name. ``guarded`` says
    that a guard stands beside the actuator: no command goes there before it has reported. ``simulated`` says
    that its time is not ours: everything here is in the time of the device, by which the platform judges too,
    as far as it was told. ``fields`` come from ``taskingParameters``, by
    :func:`nervure.core.interlock_check.declared`, which also checks the whole.
    """

    interlocks: Annotated[tuple[Interlock, ...], Meta(max_length=100)] = ()
    lease: str = "1min"
    age: str = "10s"
    seen: str | UnsetType = UNSET
    every: str = "1s"
    guarded: bool = True
    simulated: bool = False
    promote: Promotion = Promotion()
    rests: Names = ()
    plan: Annotated[tuple[Step, ...], Meta(max_length=1000)] = ()
    fields: Mapping[str, Field] = {}

    def of(self, kind: type[Any]) -> Iterator[Any]:
        """Yield the interlocks of a kind."""
        return (one for one in self.interlocks if isinstance(one, kind))


def label(value: Value) -> str:
    """Write a value as sequences and states name it.

    >>> label(3.0), label(True), label("red"), label(0.5)
    ('3', 'true', 'red', '0.5')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return str(int(value)) if value == value // 1 and abs(value) < 1e15 else repr(float(value))
