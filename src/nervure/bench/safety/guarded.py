"""The guard on a hostile wire: what it puts into force is held against the plain reference, step by step.

A controller that wants the worst sends orders; between it and the guard they are lost, delayed, doubled,
reordered, replayed, damaged, forged by somebody without the key, or carry times of a clock that is minutes
wrong. Inputs are stuck, NaN, late
or missing. People take over and give back. Whatever happens, each change of what is in force must be one
that the plain reference calls safe, and nobody may wait longer than declared.
"""

from __future__ import annotations

import math
import random
from collections import deque
from typing import Any

import msgspec
from msgspec.structs import replace

from nervure.act.guard import Guard
from nervure.bench.safety.backed import backed, unheld
from nervure.bench.safety.plain import SECOND, Past, Told, unsafe
from nervure.bench.safety.plant import Plant
from nervure.core.command import HAND, Proposal
from nervure.core.interlock import Declared
from nervure.core.mac import Sealed, sealed
from nervure.core.order import Order

__all__ = ["Guarded", "try_guard"]

_STEPS = 160
_KEY = bytes(range(32))
_SKEWS_NS = (0, 0, 0, 300 * SECOND, -300 * SECOND)


class Guarded(msgspec.Struct, kw_only=True):
    """What came of it: orders sent, taken, refused; changes; what went wrong, by its name."""

    plant: str
    orders: int = 0
    taken: int = 0
    damaged: int = 0
    """Orders that came otherwise than they were sent, or were forged: every one is refused and counted."""
    changes: int = 0
    longest_wait_s: float = 0.0
    trips: int = 0
    wrong: dict[str, int] = {}
    first: str = ""

    def note(self, what: str, detail: object) -> None:
        """Count something that must not be."""
        self.wrong = self.wrong | {what: self.wrong.get(what, 0) + 1}
        self.first = self.first or f"{what}: {detail}"


class _Wire:
    """A network that loses, delays, doubles, reorders, replays, damages, and on which somebody forges."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.sent: set[bytes] = set()
        self._on_the_way: list[tuple[int, bytes]] = []
        self._old: deque[bytes] = deque(maxlen=60)

    def send(self, payload: bytes, now_ns: int) -> None:
        """Put a message on the way, perhaps."""
        chance = self._chance
        self.sent.add(payload)
        self._old.append(payload)
        if chance.random() < 0.1:
            return
        delay = chance.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, SECOND, 3 * SECOND, 12 * SECOND))
        for _ in range(chance.choice((1, 1, 1, 2))):
            self._on_the_way.append((now_ns + delay, payload))

    def arrive(self, now_ns: int) -> list[bytes]:
        """Return what arrives now, in any order, with old and damaged messages among it."""
        chance = self._chance
        found = [payload for when, payload in self._on_the_way if when <= now_ns]
        self._on_the_way = [one for one in self._on_the_way if one[0] > now_ns]
        if self._old and chance.random() < 0.3:
            found.append(chance.choice(self._old))
        if self._old and chance.random() < 0.15:
            found.append(_damaged(chance.choice(self._old), chance))
        if chance.random() < 0.3:
            chance.shuffle(found)
        return found


def _damaged(payload: bytes, chance: random.Random) -> bytes:
    kind = chance.randrange(8)
    if kind == 5:
        place = chance.randrange(len(payload))
        return payload[:place] + bytes([payload[place] ^ 1 << chance.randrange(8)]) + payload[place + 1 :]
    if kind > 5:
        return _forged(payload, chance)
    if kind == 0:
        return payload[: chance.randrange(len(payload))]
    if kind == 1:
        place = chance.randrange(len(payload))
        return payload[:place] + bytes([chance.randrange(256)]) + payload[place + 1 :]
    if kind == 2:
        return payload.replace(b'"values":{', b'"values":{"speed":NaN,')
    if kind == 3:
        return payload.replace(b"true", b"1e999").replace(b":5", b":1e308")
    return b"[" * chance.randrange(1, 5000)


def _forged(payload: bytes, chance: random.Random) -> bytes:
    """Return what somebody says who knows everything but the key."""
    told = msgspec.json.decode(payload, type=Sealed)
    order = msgspec.json.decode(told.of, type=Order)
    wish = None if order.proposal is None else replace(order.proposal, id="forged")
    wrong = sealed(replace(order, number=order.number + 1, proposal=wish), chance.randbytes(32))
    return msgspec.json.encode(chance.choice((wrong, replace(wrong, mac=told.mac))))


def try_guard(plant: Plant, seed: int, orders: int) -> Guarded:
    """Run episodes against one plant until so many orders were sent."""
    found, read, number = Guarded(plant=plant.name), plant.read, 0
    while found.orders < orders:
        _episode(plant, read, random.Random(f"{plant.name} {seed} {number}"), found)
        number += 1
    return found


def _episode(plant: Plant, read: Declared, chance: random.Random, found: Guarded) -> None:
    now = 1_790_000_000 * SECOND + chance.randrange(10**12)
    guard, wire = Guard(read, plant.start, now, boot="b", key=_KEY), _Wire(chance)
    past = Past(start_ns=now, start=dict(plant.start), changes=[], readings=[])
    left = {state: now for rule in plant.act["interlocks"] for state in rule.get("states", ())}
    skew, number, level = chance.choice(_SKEWS_NS), 0, 2.0
    echo, sent = now, dict[str, Order]()
    style = chance.choice(("hold", "random", "random", "edge"))
    for _ in range(_STEPS):
        now += chance.choice((SECOND, SECOND, SECOND, SECOND // 2, SECOND // 10))
        level = _sense(plant, guard, past, level, now, chance)
        if chance.random() < 0.7:
            echo = guard.report(now).clock_ns
        for _ in range(chance.choice((1, 1, 2, 3))):
            number += 1
            found.orders += 1
            order = _order(plant, guard, number, (echo, now + skew), style, chance)
            if order.proposal is not None:
                if plant.name == "weir":
                    order = replace(order, proposal=backed(order.proposal, chance))
                sent[str(number)] = order
            wire.send(msgspec.json.encode(sealed(order, _KEY)), now)
        for payload in wire.arrive(now):
            _arrived(plant, guard, payload, sent, now, whole=payload in wire.sent, found=found)
        _checked(plant, guard, past, left, now, found)
    found.trips += len(guard.known.trips)


def _arrived(
    plant: Plant,
    guard: Guard,
    payload: bytes,
    sent: dict[str, Order],
    now: int,
    *,
    whole: bool,
    found: Guarded,
) -> None:
    """Let the guard have a message, ``whole`` if it is as it was sent, and see what it made of it."""
    before, doubted = guard.number, guard.damaged
    answer = guard.receive(payload, now)
    if answer.status == "acknowledged" and guard.number != before:
        found.taken += 1
        order = sent.get(answer.task)
        if order is None or now - order.echo_ns > 5 * SECOND:
            found.note("an order taken that is old or was never sent", answer)
        if unheld(plant.act["interlocks"], order, now):
            found.note("an order taken without the yes or the evidence that it needs", answer)
    if not whole:
        found.damaged += 1
        if guard.damaged == doubted or answer.status != "rejected":
            found.note("a damaged order that was not refused and counted", payload)
    elif guard.damaged != doubted:
        found.note("an order called damaged that is as it was sent", payload)


def _sense(plant: Plant, guard: Guard, past: Past, level: float, now: int, chance: random.Random) -> float:
    """Let the inputs say something: the truth, nothing, NaN, the same for ever, or something of before."""
    level = min(5.0, max(0.0, level + chance.uniform(-0.4, 0.4)))
    for name in plant.inputs:
        kind = chance.random()
        if kind < 0.2:
            continue
        value: Any = math.nan if kind < 0.25 else 2.0 if kind < 0.35 else level
        when = now - (20 * SECOND if kind > 0.95 else 0)
        guard.sense({name: value}, now, time_ns=when)
        past.readings.append((when, name, value))
    return level


def _order(
    plant: Plant, guard: Guard, number: int, moments: tuple[int, int], style: str, chance: random.Random
) -> Order:
    """Make up an order: mostly of a model that wants the worst, now and then of a person.

    ``moments`` are the report it rests on, and now by the sender's clock.
    """
    echo, now = moments
    person = chance.random() < 0.04
    if person and chance.random() < 0.6:
        do = chance.choice(("release", "release", "reset"))
        return Order(capability=1, number=number, boot="b", echo_ns=echo, do=do, slot=HAND, who="ann")  # type: ignore[arg-type]  # one of the three
    values = {
        name: guard.values[name] if style == "hold" else _worst(plant, name, style, chance)
        for name in plant.fields
        if chance.random() < 0.8
    }
    lease = chance.choice((1, 5, 5, 15, 15, 15, 20, 3600)) * SECOND
    proposal = Proposal(
        id=str(number), values=values, by="person" if person else "model", actor="ann" if person else "",
        model="" if person else chance.choice(("worst", "worst", "worst", "worst", "worst", "other")),
        slot=HAND if person else chance.choice((12, 12, 12, 12, 12, 12, 10, 8, 1)), issued_ns=now,
        until_ns=now + lease if not person or chance.random() < 0.5 else None,
    )  # fmt: skip
    boot = "b" if chance.random() < 0.97 else "other"
    told = number if chance.random() < 0.95 else chance.choice((0, -1, number - 1))
    return Order(capability=1, number=told, boot=boot, echo_ns=echo, task=number, proposal=proposal)


def _worst(plant: Plant, name: str, style: str, chance: random.Random) -> Any:
    kind = plant.fields[name]
    if kind == "Boolean":
        return chance.random() < 0.7
    if kind == "Quantity":
        if plant.name == "weir":
            return chance.choice((0.0, 0.3, 0.6, 1.0, 1.0001))
        return (
            chance.choice((0.0, 100.0, 100.1, 5.0, 1e9, -1.0))
            if style == "edge"
            else chance.uniform(-10, 120)
        )
    states = list(next(rule["after"] for rule in plant.act["interlocks"] if "after" in rule))
    state = chance.choice((*states, "9"))
    return state if kind == "Category" else float(state)


def _checked(plant: Plant, guard: Guard, past: Past, left: dict[str, int], now: int, found: Guarded) -> None:
    """Let the guard go on, and hold what it puts into force against the plain reference.

    One order after another may have moved it within this instant, and each was a step of its own: what
    is in force is compared, in the order in which it changed.
    """
    guard.step(now)
    fresh = [one for one in _newly(guard, past) if one[0] <= now]
    for when, name, value in sorted(fresh, key=lambda one: one[0]):
        together = {other: said for at, other, said in fresh if at == when}
        told = Told(now_ns=when, by="plan", values={name: value})
        known = Past(
            start_ns=past.start_ns, start=past.start, changes=[*past.changes], readings=past.readings
        )
        alone = [one["kind"] for one in plant.act["interlocks"] if unsafe(one, known, told)]
        whole = [
            one["kind"]
            for one in plant.act["interlocks"]
            if unsafe(one, known, Told(now_ns=when, by="plan", values=together))
        ]
        if alone and whole:
            found.note("an unsafe change", (whole, together, past.changes[-6:]))
        found.changes += 1
    past.changes += sorted(fresh, key=lambda one: one[0])
    _waits(plant, guard, past, left, now, found)
    if guard.known.trips and any(one.by == "model" for one in guard.slots):
        found.note("a model in force after a trip", guard.known.trips)


def _newly(guard: Guard, past: Past) -> list[tuple[int, str, Any]]:
    """Return what the guard has put into force since the last look."""
    found = []
    last: dict[str, Any] = dict(past.start)
    last |= {name: value for _, name, value in past.changes}
    since = past.changes[-1][0] if past.changes else past.start_ns
    for name, held in guard.known.held.items():
        for one in held:
            if one.since_ns > since and last.get(name) != one.value:
                found.append((one.since_ns, name, one.value))
                last[name] = one.value
        if held and last.get(name) != held[-1].value:
            found.append((held[-1].since_ns, name, held[-1].value))
    return found


def _waits(plant: Plant, guard: Guard, past: Past, left: dict[str, int], now: int, found: Guarded) -> None:
    """See that nobody waits longer than declared, but for a person's hand."""
    for rule in plant.act["interlocks"]:
        if rule["kind"] != "starve":
            continue
        value = guard.values[rule["of"]]
        state = value if isinstance(value, str) else str(int(value))
        if any(one.by == "person" for one in guard.slots):
            left.update(dict.fromkeys(left, now))
        left[state] = now
        for one in rule["states"]:
            waited = (now - left[one]) / SECOND
            found.longest_wait_s = max(found.longest_wait_s, waited)
            if waited > (45 if rule["most"] == "45s" else 180) + 1e-9:
                found.note("somebody waited too long", (one, waited, past.changes[-4:]))
