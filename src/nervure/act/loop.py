"""A loop in one process: controller, judge and guard, without a network between, as a bench or twin wants it.

    loop = Loop(declared, twin_values, model="max-pressure", mode="auto", now_ns=0)
    while running:
        loop.sense(readings, now_ns)                     # inputs that rules ask for
        ruling = loop.command({"phase": 2.0}, now_ns)    # a wish of the controller; ruling.state says
        twin.apply(loop.step(now_ns))                    # what is in force, whoever decided it

The same :func:`judge` and :class:`Guard` do the work as on a running node, so a controller that gets on here
gets on there. In a node, commands are Tasks of SensorThings: :mod:`nervure.node.loops`.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from nervure.act.guard import Guard
from nervure.act.standing import Ruling, Standing, rule
from nervure.core.command import HAND, MODEL_SLOT, Evidence, Proposal
from nervure.core.interlock import Declared, Value
from nervure.core.interlock_check import span_ns
from nervure.core.task import Mode

__all__ = ["Loop"]


class Loop:
    """One controller, one capability; not thread-safe.

    ``values`` are what is in force at the start, for every field of the declaration.
    """

    def __init__(
        self,
        declared: Declared,
        values: Mapping[str, Value],
        *,
        model: str,
        now_ns: int,
        mode: Mode = "auto",
    ) -> None:
        self.declared = declared
        self.model = model
        self.guard = Guard(declared, values, now_ns, boot="here")
        self.standing = Standing(mode=mode, since_ns=now_ns, known=self.guard.known)
        self.rulings: dict[str, int] = {}
        """How many commands ended in each state."""
        self._count = 0

    @property
    def values(self) -> dict[str, Value]:
        """What is in force now."""
        return self.guard.values

    def sense(self, readings: Mapping[str, Value], now_ns: int) -> None:
        """Take readings of the inputs that rules ask for."""
        self.guard.sense(readings, now_ns)

    def command(
        self,
        values: Mapping[str, Value],
        now_ns: int,
        *,
        lease_s: float | None = None,
        evidence: Evidence | None = None,
        inputs: str = "",
        seen_ns: int | None = None,
    ) -> Ruling:
        """Wish for values, for a lease (else the longest allowed); the ruling says what became of it.

        ``seen_ns`` is of when the readings are that it rests on; without, they are of now.
        """
        self._count += 1
        lease_ns = span_ns(self.declared.lease) if lease_s is None else round(lease_s * 1e9)
        proposal = Proposal(
            id=f"{self.model} {self._count}",
            number=self._count,
            values=values,
            actor=self.model,
            model=self.model,
            slot=MODEL_SLOT,
            issued_ns=now_ns,
            until_ns=(now_ns if seen_ns is None else min(now_ns, seen_ns)) + lease_ns,
            evidence=evidence,
            inputs=inputs,
            seen_ns=now_ns if seen_ns is None else seen_ns,
        )
        standing = replace(self.standing, known=self.guard.known, slots=self.guard.slots)
        self.standing, ruling = rule(proposal, self.declared, standing, now_ns)
        if ruling.state == "checked":
            answer = self.guard.offer(proposal, now_ns)
            if answer.status != "acknowledged":
                ruling = replace(ruling, state="rejected", verdicts=answer.verdicts, detail=answer.detail)
        self.rulings[ruling.state] = self.rulings.get(ruling.state, 0) + 1
        return ruling

    def hand(self, values: Mapping[str, Value], who: str, now_ns: int) -> Ruling:
        """Set values by a person's hand: they win over the controller until they are released."""
        self._count += 1
        name = f"{who} {self._count}"
        proposal = Proposal(id=name, values=values, by="person", actor=who, slot=HAND, issued_ns=now_ns)
        answer = self.guard.offer(proposal, now_ns)
        taken = answer.status == "acknowledged"
        return Ruling(
            state="checked" if taken else "rejected", verdicts=answer.verdicts, detail=answer.detail
        )

    def auto(self, who: str, now_ns: int) -> None:
        """Give back what a person's hand holds."""
        self.guard.release(HAND, now_ns, who=who)

    def step(self, now_ns: int) -> dict[str, Value]:
        """Go on, and return what is in force now: put it into the actuator or twin."""
        self.guard.answers()
        return self.guard.step(now_ns)
