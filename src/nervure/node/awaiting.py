"""Of what one controller wants of a loop one wish waits for people: the newest, or an older one for the same.

A controller asks again every moment, and people take their time: without this a loop in advisory gathers
wishes by the hundred, most of them of a moment that is long over, and who says yes to one of those does not
get what they read. What asks for the same as one that waits gives way to that one, so that its number stays
and several people can say yes to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from msgspec.structs import replace

from nervure.act.standing import Ruling
from nervure.core.command import Proposal
from nervure.store import loop as rows
from nervure.store.catalogue import Catalogue
from nervure.store.loop import Asked
from nervure.store.write.writer import Writer

__all__ = ["Line", "Write"]

_STANDS = ("checked", "awaiting approval")
_OF_THE_MOMENT = ("inputs", "seen", "strange")
_FRESH = "evidence"  # which is good for a while only: the newer one is better


class Write(Protocol):
    """Writes a line into the log of a loop."""

    def __call__(self, capability: int, who: str, what: str, detail: Mapping[str, Any], *, task: int) -> None:
        """Write it."""
        ...


class Line(NamedTuple):
    """The wishes that wait; called within the transaction of a decision."""

    catalogue: Catalogue
    writer: Writer
    write: Write

    def of(self, found: Asked, proposal: Proposal, ruling: Ruling) -> Ruling:
        """Return what becomes of a wish beside those that wait; older ones that it takes over from end."""
        if proposal.by != "model" or found.status != "requested" or ruling.state not in _STANDS:
            return ruling
        with self.catalogue.database.read() as connection:
            waiting = [rows.asked(connection, one) for one in rows.awaiting(connection, found.capability)]
        before = [one for one in waiting if one is not None and _by(one) == _by(found)]
        if ruling.state == "awaiting approval" and _FRESH not in _act(found):
            same = next((one.task for one in before if _wish(one) == _wish(found)), None)
            if same is not None:
                return replace(ruling, state="superseded", detail=f"Task {same} waits for the same")
        for one in before:
            if _fields(one) <= _fields(found):
                self.writer.task_status(one.task, "superseded", why := f"by {found.task}")
                self.write(found.capability, "platform", "superseded", {"why": why}, task=one.task)
        return ruling


def _act(one: Asked) -> Mapping[str, Any]:
    act = one.properties.get("act") if isinstance(one.properties, Mapping) else None
    return act if isinstance(act, Mapping) else {}


def _by(one: Asked) -> tuple[object, ...]:
    """Return who wants it, and how strongly."""
    first = one.run_log[0] if one.run_log else {}
    act = _act(one)
    return first.get("by"), first.get("as"), act.get("model"), act.get("slot")


def _fields(one: Asked) -> set[str]:
    return set(one.values) if isinstance(one.values, Mapping) else set()


def _wish(one: Asked) -> tuple[object, object]:
    return one.values, {name: said for name, said in _act(one).items() if name not in _OF_THE_MOMENT}
