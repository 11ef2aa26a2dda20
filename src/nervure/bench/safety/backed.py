"""Orders with the yes of people and with evidence: some of them right, most of them not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from nervure.bench.safety.plain import SECOND, Past, Told, unsafe
from nervure.core.command import Approval, Evidence, Proposal, digest
from nervure.core.order import Order

__all__ = ["backed", "unheld"]

_KINDS = ("approve", "envelope")


def backed(proposal: Proposal, chance: random.Random) -> Proposal:
    """Return a command with approvals and evidence that may be too old, of other values, or too weak."""
    values = dict(proposal.values)
    other = values | {"gate": 0.77}

    def when() -> int:
        return proposal.issued_ns - chance.choice((0, 0, SECOND, 4 * SECOND, 20 * SECOND))

    yes = tuple(
        Approval(who=who, time_ns=when(), of=digest(chance.choice((values, values, values, other))))
        for who in chance.sample(("ann", "bo", "cy", "dan", ""), chance.randrange(0, 5))
    )
    gate = float(values.get("gate", 0.0))
    commands = chance.choice(({"basin/gate": gate},) * 4 + ({"basin/gate": 0.0}, {"other/gate": gate}))
    shown = Evidence(
        of=digest(chance.choice((values, values, values, other))), time_ns=when(),
        kpis={"k": (0.0, chance.choice((1.0, 4.0, 5.0, 5.1, 9.0)))}, runs=chance.choice((1, 2, 5)),
        twin=chance.choice(("flood", "flood", "flood", "roads")), commands=commands,
        wrong=chance.choice(("", "", "", "", "its what-if is not signed")),
    )  # fmt: skip
    return replace(proposal, approvals=yes, evidence=shown if chance.random() < 0.9 else None)


def unheld(rules: Sequence[dict[str, Any]], order: Order | None, now_ns: int) -> bool:
    """Tell whether an order that was taken lacked what the plain reference asks of it.

    Ages are by the guard's clock: an order is at least as old as the report that it rests on.
    """
    if order is None or order.proposal is None:
        return False
    wish, shift = order.proposal, order.echo_ns - order.proposal.issued_ns
    shown = wish.evidence
    values = [dict(wish.values), dict(wish.values) | {"gate": 0.77}]
    of = {digest(one): one for one in values}
    told = Told(
        now_ns=now_ns, by=wish.by, values=values[0], model=wish.model, actor=wish.actor,
        approvals=[
            {"who": one.who, "time_ns": one.time_ns + shift, "values": of[one.of]} for one in wish.approvals
        ],
        evidence=None if shown is None else {
            "values": of[shown.of], "time_ns": shown.time_ns + shift, "runs": shown.runs, "kpis": shown.kpis,
            "twin": shown.twin, "commands": dict(shown.commands), "wrong": shown.wrong,
        },
    )  # fmt: skip
    past = Past(start_ns=0, start={}, changes=[], readings=[])
    return any(unsafe(rule, past, told) for rule in rules if rule["kind"] in _KINDS)
