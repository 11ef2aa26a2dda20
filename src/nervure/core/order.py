"""What the platform and a guard say to each other: orders there, answers and reports back.

A device with a guard says its clock in each report, and an order repeats the newest one it has heard:
so a guard knows by its own clock how old an order can be at most, whatever clocks elsewhere say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from nervure.core.command import Proposal, Trip, Verdict
from nervure.core.interlock import Value

__all__ = ["Answer", "Ask", "Do", "Note", "Order", "Report", "Slot", "covers", "mark"]

Text = Annotated[str, Meta(max_length=200)]
Do = Literal["release", "reset"]
Marks = Annotated[tuple[Annotated[str, Meta(max_length=300)], ...], Meta(max_length=200)]
Instant = Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)]  # ns: what is said elsewhere is reckoned with here


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order: put a command into its slot, release a slot, reset what has tripped.

    ``boot`` and ``echo_ns`` are those of the guard's newest report, ``number`` is higher than that of
    every order before. ``task`` is the Task that it is of, ``who`` the person who releases or resets:
    Tasks up to ``task`` and what stands in ``of`` (all, if both are empty), or the trips of these marks.
    """

    capability: int
    number: int
    boot: Text
    echo_ns: Instant
    do: Literal["set", "release", "reset"] = "set"
    task: int = 0
    slot: int = 0
    who: Text = ""
    of: Marks = ()
    proposal: Proposal | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person wants of a guard and that is no Task: a slot released, trips reset.

    It is about what was there then, and nothing that came after: ``task`` is the newest Task of that moment,
    ``of`` are the ids of what was known to be in the slot, or the marks of the trips (:func:`mark`).
    """

    do: Do
    slot: int = 0
    who: Text = ""
    task: int = 0
    of: Marks = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order of a Task at the device, in the words of :mod:`nervure.core.task`."""

    task: str
    status: str
    detail: str = ""
    verdicts: tuple[Verdict, ...] = ()


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened at the device and belongs into the log of its loop."""

    time_ns: int
    what: str
    detail: Mapping[str, Any] = {}


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A slot that holds something at the device; ``left_s`` of its lease, None until it is released."""

    slot: int
    by: str
    actor: str
    id: str
    values: Mapping[str, Value]
    left_s: Annotated[float, Meta(ge=-4e9, le=4e9)] | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a guard stands: its clock and boot, what is in force and why, what has tripped, what it noticed.

    ``rules`` is the digest of the declaration it keeps to, ``key`` the name of the key that it knows orders
    by; ``holder`` is ``plan``, ``starve`` or the id of the command that is in force; ``damaged`` is how
    many orders it has refused by their digest since it started.
    """

    boot: Text
    clock_ns: Instant
    rules: str
    values: Mapping[str, Value]
    holder: str
    slots: tuple[Slot, ...] = ()
    trips: tuple[Trip, ...] = ()
    notes: tuple[Note, ...] = ()
    number: Annotated[int, Meta(ge=0, le=1 << 62)] = 0
    key: Text = ""
    damaged: int = 0


def covers(id: str, task: int, of: Collection[str]) -> bool:
    """Tell whether a release is about what has this id: it was known then, or is of a Task that was there.

    >>> covers("7", 9, ()), covers("12", 9, ()), covers("key switch", 9, ("key switch",))
    (True, False, True)
    """
    return id in of or (id.isdecimal() and int(id) <= task)


def mark(trip: Trip) -> str:
    """Return by what one trip is told from the next of the same rule."""
    return f"{trip.time_ns} {trip.rule}"
