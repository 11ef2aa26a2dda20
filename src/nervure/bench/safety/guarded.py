"""The guard on a hostile wire: what it puts into force is held against the plain reference, step by step.

A controller that wants the worst sends orders; between it and the guard they are lost, delayed, doubled,
reordered, replayed, damaged, forged by somebody without the key, or carry times of a clock that is minutes
wrong. Inputs are stuck, NaN, late or missing. People take over and give back. The guard itself is killed and
begins again with its memory. Whatever happens, each change of what is in force must be one that the plain
reference calls safe, and nobody may wait longer than declared.

What is found is told with its seed, its step and what came before: an episode hangs on its seed alone.
"""

from __future__ import annotations

import math
import random
from collections import deque
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from nervure.act.guard import Guard
from nervure.act.memory import Memory
from nervure.bench.safety.backed import backed, unheld
from nervure.bench.safety.plain import SECOND, Past, Told, unsafe
from nervure.bench.safety.plant import Plant
from nervure.bench.safety.tampered import Wire
from nervure.core.command import HAND, Proposal
from nervure.core.interlock import Declared
from nervure.core.mac import Sealed, sealed
from nervure.core.order import Order

__all__ = ["Guarded", "retold", "try_guard"]

_STEPS = 160
_KEY = bytes(range(32))
_BY_PEOPLE: tuple[Literal["release", "reset"], ...] = ("release", "release", "reset")
_SKEWS_NS = (0, 0, 0, 300 * SECOND, -300 * SECOND)
_KILLED = 0.01
"""How likely the guard is killed within a step."""
_TOLD = 40
"""Lines that are told of what came before something that must not be."""


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
    killed: int = 0
    """How often the guard was killed and began again with its memory."""
    benched: int = 0
    """How often a model was not heard for a while, as somebody had waited too long under it."""
    wrong: dict[str, int] = {}
    first: str = ""
    tale: list[str] = []
    """The first that went wrong: seed, episode, step, and what came before it."""

    def note(self, what: str, detail: object) -> None:
        """Count something that must not be."""
        self.wrong = self.wrong | {what: self.wrong.get(what, 0) + 1}
        self.first = self.first or f"{what}: {detail}"


def try_guard(plant: Plant, seed: int, orders: int) -> Guarded:
    """Run episodes against one plant until so many orders were sent."""
    found, read, number = Guarded(plant=plant.name), plant.read, 0
    while found.orders < orders:
        _Episode(plant, read, _chance(plant, seed, number), found).run()
        if found.wrong and not found.tale:
            found.tale = retold(plant, seed, number)
        number += 1
    return found


def retold(plant: Plant, seed: int, number: int) -> list[str]:
    """Live through one episode once more, up to the first thing that must not be, and tell what happened."""
    found = Guarded(plant=plant.name)
    episode = _Episode(plant, plant.read, _chance(plant, seed, number), found, telling=True)
    episode.run()
    return [f"{plant.name}, seed {seed}, episode {number}, {len(episode.told)} lines before:", *episode.told]


def _chance(plant: Plant, seed: int, number: int) -> random.Random:
    return random.Random(f"{plant.name} {seed} {number}")


class _Shelf(Memory):
    """A guard's memory without a disk."""

    def __init__(self, data: bytes | None = None) -> None:
        super().__init__(Path("nowhere"))
        self.data = data

    def _take(self) -> None:
        pass

    def _load(self) -> bytes | None:
        return self.data

    def _save(self, data: bytes) -> None:
        self.data = data


class _Episode:
    """A couple of minutes of one device; ``told`` are its newest lines, if it is to be told."""

    def __init__(
        self, plant: Plant, read: Declared, chance: random.Random, found: Guarded, *, telling: bool = False
    ) -> None:
        self.plant, self.read, self.chance, self.found = plant, read, chance, found
        self.now = self.start = 1_790_000_000 * SECOND + chance.randrange(10**12)
        self.guard = Guard(read, plant.start, self.now, boot="b0", key=_KEY)
        self.shelf = _Shelf()
        self.in_force: dict[str, Any] = dict(plant.start)
        self.hands: frozenset[str] = frozenset()
        self.wire = Wire(chance)
        self.past = Past(start_ns=self.now, start=dict(plant.start), changes=[], readings=[])
        self.left = {state: self.now for rule in plant.act["interlocks"] for state in rule.get("states", ())}
        self.silent: dict[str, int] = {}
        self.tripped: frozenset[str] = frozenset()
        self.begun_ns = self.starts = 0
        self.skew, self.number, self.level, self.echo = chance.choice(_SKEWS_NS), 0, 2.0, self.now
        self.sent: dict[str, Order] = {}
        self.style = chance.choice(("hold", "random", "random", "edge"))
        self.told: deque[str] = deque(maxlen=_TOLD)
        self._telling = telling

    def run(self) -> None:
        """Live through it."""
        for _ in range(_STEPS):
            self.now += self.chance.choice((SECOND, SECOND, SECOND, SECOND // 2, SECOND // 10))
            self._sense()
            if self.chance.random() < _KILLED:
                self._kill()
            for _ in range(self.chance.choice((1, 1, 2, 3))):
                self._send()
            for payload in self.wire.arrive(self.now):
                self._arrived(payload)
                if self.chance.random() < _KILLED / 4:
                    self._kill()
            self._checked()
            if self._telling and self.found.wrong:
                return
        self.found.trips += len(self.guard.known.trips)

    def tell(self, *words: object) -> None:
        """Tell what happens, to who wants to know."""
        if self._telling:
            at = f"{(self.now - self.start) / SECOND:.1f} s:"
            self.told.append(" ".join(str(one) for one in (at, *words)))

    def note(self, what: str, detail: object) -> None:
        """Count something that must not be."""
        self.found.note(what, detail)
        self.tell("THIS MUST NOT BE:", what, detail)

    # --- what happens to it --------------------------------------------------------------------------

    def _sense(self) -> None:
        """Let the inputs say something: the truth, nothing, NaN, the same for ever, or what was before."""
        chance = self.chance
        self.level = min(5.0, max(0.0, self.level + chance.uniform(-0.4, 0.4)))
        for name in self.plant.inputs:
            kind = chance.random()
            if kind < 0.2:
                continue
            value: Any = math.nan if kind < 0.25 else 2.0 if kind < 0.35 else self.level
            when = self.now - (20 * SECOND if kind > 0.95 else 0)
            self.guard.sense({name: value}, self.now, time_ns=when)
            self.past.readings.append((when, name, value))
            self.tell(f"{name} is {value}, as of {(when - self.start) / SECOND:.1f} s")

    def _kill(self) -> None:
        """Kill the guard: what it had not yet said or done is lost, the actuator stays as it is."""
        self.found.killed, self.starts = self.found.killed + 1, self.starts + 1
        self.tell("the guard is killed, in force is", self.in_force)
        self._in_force_only()
        self.shelf, self.begun_ns, boot = _Shelf(self.shelf.data), self.now, f"b{self.starts}"
        kept, ended = self.shelf.read(), {one.id for one in self.guard.slots}
        self.guard = Guard(self.read, self.in_force, self.now, boot=boot, key=_KEY, kept=kept)
        there = {one.id for one in self.guard.slots}
        if (self.hands & ended) - there:
            self.note("a hand that a restart has taken away", self.hands)
        if any(one.by == "model" for one in self.guard.slots):
            self.note("a model in force after a restart", self.guard.slots)
        known = self.guard.known
        if any(known.benched.get(rule, 0) < until for rule, until in self.silent.items()):
            self.note("a bench that a restart has made shorter", (self.silent, known.benched))
        if not self.tripped <= {one.rule for one in known.trips}:
            self.note("a trip that a restart has reset", (self.tripped, known.trips))

    def _in_force_only(self) -> None:
        """Forget values that were over within the step in which they came: no actuator ever had them.

        A guard that lives counts them all the same; one that was killed may.
        """
        newest = {(when, name): value for when, name, value in self.past.changes}
        self.past.changes = [(when, name, value) for (when, name), value in newest.items()]

    def _send(self) -> None:
        self.number += 1
        self.found.orders += 1
        order = self._order()
        if order.proposal is not None:
            if self.plant.name == "weir":
                order = replace(order, proposal=backed(order.proposal, self.chance))
            self.sent[str(self.number)] = order
        self.tell("sent:", _words(order))
        self.wire.send(msgspec.json.encode(sealed(order, _KEY)), self.now)

    def _order(self) -> Order:
        """Make up an order: mostly of a model that wants the worst, now and then of a person."""
        chance, number = self.chance, self.number
        boot = self.guard.boot if chance.random() < 0.97 else "other"
        person = chance.random() < 0.04
        if person and chance.random() < 0.6:
            do = chance.choice(_BY_PEOPLE)
            return Order(
                capability=1, number=number, boot=boot, echo_ns=self.echo, do=do, slot=HAND, who="ann"
            )
        values = {
            name: self.guard.values[name] if self.style == "hold" else self._worst(name)
            for name in self.plant.fields
            if chance.random() < 0.8
        }
        issued = self.now + self.skew
        lease = chance.choice((1, 5, 5, 15, 15, 15, 20, 3600)) * SECOND
        proposal = Proposal(
            id=str(number), values=values, by="person" if person else "model", actor="ann" if person else "",
            model="" if person else chance.choice(("worst", "worst", "worst", "worst", "worst", "other")),
            slot=HAND if person else chance.choice((12, 12, 12, 12, 12, 12, 10, 8, 1)), issued_ns=issued,
            until_ns=issued + lease if not person or chance.random() < 0.5 else None,
        )  # fmt: skip
        told = number if chance.random() < 0.95 else chance.choice((0, -1, number - 1))
        return Order(capability=1, number=told, boot=boot, echo_ns=self.echo, task=number, proposal=proposal)

    def _worst(self, name: str) -> Any:
        chance, kind = self.chance, self.plant.fields[name]
        if kind == "Boolean":
            return chance.random() < 0.7
        if kind == "Quantity":
            if self.plant.name == "weir":
                return chance.choice((0.0, 0.3, 0.6, 1.0, 1.0001))
            odd = chance.choice((0.0, 100.0, 100.1, 5.0, 1e9, -1.0))
            return odd if self.style == "edge" else chance.uniform(-10, 120)
        states = list(next(rule["after"] for rule in self.plant.act["interlocks"] if "after" in rule))
        state = chance.choice((*states, "9"))
        return state if kind == "Category" else float(state)

    # --- what it makes of it -------------------------------------------------------------------------

    def _arrived(self, payload: bytes) -> None:
        """Let the guard have a message, and see what it made of it."""
        guard, whole = self.guard, payload in self.wire.sent
        before, doubted = guard.number, guard.damaged
        answer = guard.receive(payload, self.now)
        came = _number(payload) if whole else f"damaged or forged {payload[:300]!r}"
        self.tell("came:", came, "->", answer.status, answer.detail)
        if answer.task.startswith("reset") and answer.status == "completed":
            self.silent = {}
        if answer.status == "acknowledged" and guard.number != before:
            self.found.taken += 1
            self._taken(self.sent.get(answer.task), answer.task)
        if not whole:
            self.found.damaged += 1
            if guard.damaged == doubted or answer.status != "rejected":
                self.note("a damaged order that was not refused and counted", payload)
        elif guard.damaged != doubted:
            self.note("an order called damaged that is as it was sent", payload)

    def _taken(self, order: Order | None, name: str) -> None:
        """See that an order that was taken is one that was sent, as it was sent, and may be."""
        wish = None if order is None else order.proposal
        if order is None or wish is None or self.now - order.echo_ns > 5 * SECOND:
            self.note("an order taken that is old or was never sent", name)
            return
        held = [one for one in self.guard.slots if one.id == name]
        if any(
            (dict(one.values), one.by, one.slot) != (dict(wish.values), wish.by, wish.slot) for one in held
        ):
            self.note("an order taken otherwise than it was sent", (held, order))
        if order.boot != self.guard.boot:
            self.note("an order taken of another start", order)
        if wish.by == "model" and any(self.now < until for until in self.silent.values()):
            self.note("a model heard that is benched", (order, self.silent))
        if unheld(self.plant.act["interlocks"], order, self.now):
            self.note("an order taken without the yes or the evidence that it needs", order)

    def _checked(self) -> None:
        """Let the guard go on, and hold what it puts into force against the plain reference.

        One order after another may have moved it within this instant, and each was a step of its own: what
        is in force is compared, in the order in which it changed.
        """
        guard, past, rules = self.guard, self.past, self.plant.act["interlocks"]
        guard.step(self.now)
        fresh = sorted((one for one in self._newly() if one[0] <= self.now), key=lambda one: one[0])
        for when, name, value in fresh:
            together = {other: said for at, other, said in fresh if at == when}
            self.tell("in force:", together, "by", guard.holder)
            alone = Told(now_ns=when, by="plan", values={name: value})
            whole = Told(now_ns=when, by="plan", values=together)
            wrong = [one["kind"] for one in rules if unsafe(one, past, whole)]
            if wrong and any(unsafe(one, past, alone) for one in rules):
                self.note("an unsafe change", (wrong, together, past.changes[-6:]))
            self.found.changes += 1
        past.changes += fresh
        self._waits()
        models = [one for one in guard.slots if one.by == "model"]
        if guard.known.trips and models:
            self.note("a model in force after a trip", guard.known.trips)
        self._reported()
        if models and any(self.now < until for until in self.silent.values()):
            self.note("a model in force that is benched", (models, self.silent))

    def _reported(self) -> None:
        """Let it write down what it has to remember, then say how it stands, as a device does."""
        self.shelf.keep(self.guard.kept())
        self.in_force, known = self.guard.values, self.guard.known
        self.hands = frozenset(one.id for one in self.guard.slots if one.by == "person")
        self.tripped = frozenset(one.rule for one in known.trips)
        report = self.guard.report(self.now)
        for one in report.notes:
            if one.what == "reset":
                self.silent = {}
            elif one.what == "benched":
                until = one.time_ns + round(float(str(one.detail["seconds"])) * SECOND)
                self.silent, self.found.benched = {str(one.detail["rule"]): until}, self.found.benched + 1
                self.tell("benched:", one.detail)
        if self.chance.random() < 0.7:
            self.echo = report.clock_ns

    def _newly(self) -> list[tuple[int, str, Any]]:
        """Return what the guard has put into force since the last look."""
        found = []
        last: dict[str, Any] = dict(self.past.start)
        last |= {name: value for _, name, value in self.past.changes}
        since = self.past.changes[-1][0] if self.past.changes else self.past.start_ns
        since = max(since, self.begun_ns)  # what it remembers of before was seen then
        for name, held in self.guard.known.held.items():
            for one in held:
                if one.since_ns > since and last.get(name) != one.value:
                    found.append((one.since_ns, name, one.value))
                    last[name] = one.value
            if held and last.get(name) != held[-1].value:
                found.append((held[-1].since_ns, name, held[-1].value))
        return found

    def _waits(self) -> None:
        """See that nobody waits longer than declared, but for a person's hand."""
        for rule in self.plant.act["interlocks"]:
            if rule["kind"] != "starve":
                continue
            value = self.guard.values[rule["of"]]
            state = value if isinstance(value, str) else str(int(value))
            if any(one.by == "person" for one in self.guard.slots):
                self.left.update(dict.fromkeys(self.left, self.now))
            self.left[state] = self.now
            for one in rule["states"]:
                waited = (self.now - self.left[one]) / SECOND
                self.found.longest_wait_s = max(self.found.longest_wait_s, waited)
                if waited > (45 if rule["most"] == "45s" else 180) + 1e-9:
                    self.note("somebody waited too long", (one, waited, self.past.changes[-4:]))


def _words(order: Order) -> str:
    """Say what an order asks for, and what it says of itself."""
    said, wish = f"order {order.number} to {order.boot}", order.proposal
    if wish is None:
        return f"{said}: {order.do} slot {order.slot} by {order.who}"
    lease = "for good" if wish.until_ns is None else f"for {(wish.until_ns - wish.issued_ns) / SECOND:g} s"
    return f"{said}: {wish.by} {wish.model or wish.actor}, slot {wish.slot}, {dict(wish.values)} {lease}"


def _number(payload: bytes) -> str:
    order = msgspec.json.decode(msgspec.json.decode(payload, type=Sealed).of, type=Order)
    return f"order {order.number if order.proposal is None else order.proposal.id}"
