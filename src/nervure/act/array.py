"""The priority array: sixteen slots, of which the strongest that holds something decides, field by field.

After BACnet (ASHRAE 135, clause 19.2): slot 1 is the strongest, 8 a person's hand, and what no slot
says is left to the local plan (there: relinquish default).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nervure.core.command import By, Proposal
from nervure.core.interlock import Value

__all__ = ["Entry", "Slots", "decide", "expire", "put", "stronger", "take"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot holds: values, whose, until when (None: until it is released)."""

    slot: int
    values: Mapping[str, Value]
    by: By
    actor: str
    id: str
    until_ns: int | None = None
    model: str = ""


Slots = tuple[Entry, ...]
"""The slots that hold something, the strongest first."""


def put(slots: Slots, proposal: Proposal) -> Slots:
    """Return the slots with a command in its own; what that held is superseded."""
    entry = Entry(
        slot=proposal.slot,
        values=dict(proposal.values),
        by=proposal.by,
        actor=proposal.actor,
        id=proposal.id,
        until_ns=proposal.until_ns,
        model=proposal.model,
    )
    rest = [one for one in slots if one.slot != proposal.slot]
    return tuple(sorted([*rest, entry], key=lambda one: one.slot))


def take(slots: Slots, *which: int) -> Slots:
    """Return the slots without what these hold."""
    return tuple(one for one in slots if one.slot not in which)


def expire(slots: Slots, now_ns: int) -> tuple[Slots, Slots]:
    """Return the slots whose lease goes on, and those whose lease has ended."""
    over = tuple(one for one in slots if one.until_ns is not None and one.until_ns <= now_ns)
    return tuple(one for one in slots if one not in over), over


def stronger(slots: Slots, slot: int, fields: Mapping[str, Value]) -> Entry | None:
    """Return the strongest of those who hold all these fields in stronger slots: a command would do nothing.

    >>> valve = Entry(slot=5, values={"valve": "shut"}, by="person", actor="jo", id="1")
    >>> speed = Entry(slot=8, values={"speed": 10.0}, by="person", actor="maria", id="2")
    >>> stronger((valve, speed), 12, {"speed": 90.0}).actor
    'maria'
    """
    above = decide(tuple(one for one in slots if one.slot < slot))
    if fields and fields.keys() <= above.keys():
        return min((above[name][1] for name in fields), key=lambda one: one.slot)
    return None


def decide(slots: Slots) -> dict[str, tuple[Value, Entry]]:
    """Return for every field that some slot holds its value, and whose it is.

    >>> from nervure.core.command import Proposal
    >>> hand = Proposal(id="1", values={"speed": 10.0}, by="person", actor="maria", slot=8)
    >>> model = Proposal(id="2", values={"speed": 90.0, "valve": "open"}, model="mpc", until_ns=9)
    >>> {name: value for name, (value, _) in decide(put(put((), model), hand)).items()}
    {'speed': 10.0, 'valve': 'open'}
    """
    found: dict[str, tuple[Value, Entry]] = {}
    for entry in slots:
        for name, value in entry.values.items():
            found.setdefault(name, (value, entry))
    return found
