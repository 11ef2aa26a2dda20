"""The guard: what stands beside an actuator (or a twin), and lets through only what is safe.

It keeps the priority array, judges every command once more, and moves the actuator step by step towards
what the strongest slot says, as fast as the rules let it. When a lease ends and nothing else holds, it
follows its local plan: that needs no platform, no network and no clock but its own. What it needs of us
is this file, :mod:`nervure.act.interlock`, ``track``, ``array``, ``steer``, ``memory`` and ``nervure.core``.

The clock that callers give (``now_ns``) must not be set while it runs: use :func:`steady_ns`.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Collection, Mapping

import msgspec

from nervure.act import array, track
from nervure.act.check import starving, title
from nervure.act.interlock import judge
from nervure.act.memory import Kept, resumed
from nervure.act.steer import planned, regained, steer
from nervure.core.command import AHEAD_NS, HAND, Proposal, Trip, foremost, moved
from nervure.core.error import QueryError
from nervure.core.interlock import Declared, Starve, Value
from nervure.core.interlock_check import span_ns
from nervure.core.mac import fingerprint, opened
from nervure.core.order import Answer, Note, Order, Report, Slot, covers, mark

__all__ = ["MOST_BYTES", "Guard", "rules", "steady_ns"]

MOST_BYTES = 1 << 16
"""The longest message that a guard reads."""

_REMEMBERED = 512
_NOTES = 200
_ACCEPTED = 10_000
_LONGEST_BENCH_NS = 86_400_000_000_000
_BASE_NS = time.time_ns() - time.monotonic_ns()


def steady_ns() -> int:
    """Return nanoseconds since 1970 by the clock as it was when this process began, whoever sets it since."""
    return _BASE_NS + time.monotonic_ns()


def rules(declared: Declared) -> str:
    """Return the digest of a declaration, by which platform and device see that they keep to the same."""
    return hashlib.sha256(msgspec.json.encode(declared, order="deterministic")).hexdigest()[:32]


class Guard:
    """Guards one capability of one device; not thread-safe.

    ``values`` are what is in force at the start: all fields, for what is not known cannot be changed.
    Without a local plan they are what it goes back to. ``key`` is that of its papers
    (:mod:`nervure.core.papers`): without it no order is believed, only what is offered at the device.
    ``kept`` is what it remembered when it was last here (:mod:`nervure.act.memory`).
    """

    def __init__(
        self, declared: Declared, values: Mapping[str, Value], now_ns: int, *, boot: str | None = None,
        key: bytes = b"", kept: Kept | None = None,
    ) -> None:  # fmt: skip
        self.declared = declared
        self.damaged = 0
        """How many messages were refused because their digest, or what it is of, was wrong."""
        self._key = key
        self._benches: dict[str, int] = {}
        self._unnoted = 0
        self.boot = boot or os.urandom(12).hex()
        self.known = track.began(declared, values, now_ns)
        self.slots: array.Slots = ()
        self.number = 0
        self.holder = "plan"
        self._rest = dict(values)
        self._rules = rules(declared)
        self._since_ns = self._start_ns = now_ns
        self._answers: deque[Answer] = deque(maxlen=_REMEMBERED)
        self._remembered: dict[str, Answer] = {}
        self._running: set[str] = set()
        self._decides: dict[str, Collection[str]] = {}  # which fields the commands of models decide
        self._notes: deque[Note] = deque(maxlen=_NOTES)
        self.accepted: deque[str] = deque(maxlen=_ACCEPTED)
        """The newest commands that it took, by their ids."""
        self._believes_ns = 0 if kept is None else now_ns
        if kept is not None:
            self._benches |= kept.benches
            self.known, self.slots = resumed(kept, declared, values, now_ns)
            taken = (Answer(task=one.id, status="acknowledged") for one in self.slots)
            self._remembered |= {one.task: one for one in taken}

    @property
    def values(self) -> dict[str, Value]:
        """What is in force now."""
        return {name: held[-1].value for name, held in self.known.held.items() if held}

    def sense(self, readings: Mapping[str, Value], now_ns: int, *, time_ns: int | None = None) -> None:
        """Take readings of the inputs that rules ask for, read at ``time_ns`` (else now) by our clock."""
        self.known = track.at(self.known, now_ns)
        when = self.known.now_ns if time_ns is None else time_ns
        if when < self._believes_ns:
            return  # something newer may have been read before the restart
        if when <= self.known.now_ns + AHEAD_NS:  # else it would hide what comes after
            told = {name: (value, when) for name, value in readings.items()}
            self.known = track.sensed(self.known, self.declared, told)

    def receive(self, payload: bytes, now_ns: int) -> Answer:
        """Take an order as it came, :class:`nervure.core.mac.Sealed` as JSON.

        Its digest is looked at before anything else. Whatever is wrong with it, the answer says so and
        nothing changes.
        """
        self.known = track.at(self.known, now_ns)
        if len(payload) > MOST_BYTES:
            return self._doubt(f"digest: {len(payload)} bytes are too many")
        try:
            order = opened(payload, self._key)
        except QueryError as cause:
            return self._doubt(cause.what)
        return self._obey(order, now_ns)

    def _doubt(self, why: str) -> Answer:
        """Count a message that the platform did not send so; the log of the loop gets a line a report."""
        if not self._unnoted:
            self._note("damaged", {"why": why[:300], "since_start": self.damaged + 1})
        self.damaged, self._unnoted = self.damaged + 1, self._unnoted + 1
        return Answer(task="", status="rejected", detail=why)

    def _obey(self, order: Order, now_ns: int) -> Answer:
        """Do what an order says, if it is new, recent and allowed.

        One that comes twice is answered as the first time and done once.
        """
        self.known = track.at(self.known, now_ns)
        now_ns = self.known.now_ns
        name = order.proposal.id if order.proposal is not None else f"{order.do} {order.number}"
        known = self._remembered.get(name)
        if known is not None:
            return known
        wrong = self._wrong(order, now_ns)
        if wrong:
            return self._say(Answer(task=name, status="rejected", detail=wrong))
        self.number = order.number
        if order.do == "release":
            self.release(order.slot, now_ns, who=order.who, upto=order.task, of=order.of)
            return self._keep(Answer(task=name, status="completed"))
        since = [one.rule for one in self.known.trips if order.of and mark(one) not in order.of]
        if order.do == "reset" and since:
            return self._say(Answer(task=name, status="rejected", detail=f"{since[0]} has tripped since"))
        if order.do == "reset":
            self.reset(order.who, now_ns)
            return self._keep(Answer(task=name, status="completed"))
        proposal = order.proposal
        if proposal is None:
            return self._say(Answer(task=name, status="rejected", detail="form: it says nothing"))
        return self.offer(moved(proposal, order.echo_ns, now_ns), now_ns)

    def offer(self, proposal: Proposal, now_ns: int) -> Answer:
        """Take a command whose times are of our clock: from an order, or from a switch at the device."""
        self.known = track.at(self.known, now_ns)
        verdicts = judge(proposal, self.declared, self.known)
        last = foremost(verdicts)
        if last is not None:
            if last.outcome == "trip":
                self._trip(Trip(rule=last.rule, time_ns=self.known.now_ns, why=last.why))
            status = "tripped" if last.outcome == "trip" else "rejected"
            detail = f"{last.rule}: {last.why}"
            return self._keep(Answer(task=proposal.id, status=status, detail=detail, verdicts=verdicts))
        above = array.stronger(self.slots, proposal.slot, proposal.values)
        if above is not None and proposal.by == "model":
            detail = f"slot {above.slot} is held by {above.actor or above.model or above.by}"
            return self._keep(Answer(task=proposal.id, status="overridden", detail=detail, verdicts=verdicts))
        for entry in self.slots:
            if entry.slot == proposal.slot:
                self._end(entry, "superseded", f"by {proposal.id}")
        self.slots = array.put(self.slots, proposal)
        if proposal.slot <= HAND:
            self._override()
        self.accepted.append(proposal.id)
        answer = Answer(task=proposal.id, status="acknowledged", verdicts=verdicts)
        self._keep(answer)
        self.step(now_ns)
        return answer

    def release(
        self, slot: int, now_ns: int, *, who: str = "", upto: int = 0, of: Collection[str] = ()
    ) -> None:
        """Empty a slot; what is weaker, or the plan, holds again.

        With ``upto`` or ``of`` only of Tasks up to that one and of what has these ids: somebody else may have
        taken it since.
        """
        self.known = track.at(self.known, now_ns)
        for entry in self.slots:
            if entry.slot == slot and (not (upto or of) or covers(entry.id, upto, of)):
                self._end(entry, "completed", f"released by {who}" if who else "released")
                self.slots = array.take(self.slots, slot)
                self._note("released", {"slot": slot, "who": who})  # it is asked until we are heard
        self.step(now_ns)

    def reset(self, who: str, now_ns: int) -> None:
        """Reset what has tripped; only a person does that."""
        if not who:
            return
        if self.known.trips:
            self._note("reset", {"who": who})
        self.known = track.cleared(track.at(self.known, now_ns))

    def step(self, now_ns: int) -> dict[str, Value]:
        """Go on: end leases, latch trips, move towards what holds. Returns what is in force now.

        Call it at least every ``declared.every``, and put what it returns into force.
        """
        self.known = track.at(self.known, now_ns)
        self.slots, over = array.expire(self.slots, self.known.now_ns)
        for entry in over:
            self._end(entry, "completed", "its lease ended")
        for trip in track.lapsed(self.known, self.declared):
            self._trip(trip)
        self._again()
        self._bench()
        wanted, holder = self._wanted()
        if holder != self.holder:
            self._note("holder", {"from": self.holder, "to": holder})
            if holder == "plan" and self.holder != "starve":  # which only cuts in: the plan's clock goes on
                self._since_ns = self.known.now_ns
                wanted, holder = self._wanted()
            self.holder = holder
        self.known = steer(wanted, self.declared, self.known)
        self._ran()
        return self.values

    def kept(self) -> Kept:
        """Return what has to outlive a restart: all that it knows, what people hold, how often it benched."""
        hands = tuple(one for one in self.slots if one.by == "person")
        return Kept(known=self.known, hands=hands, benches=dict(self._benches))

    def forgets(self, why: str) -> None:
        """Say that what has to outlive a restart could not be written."""
        self._note("forgets", {"why": why[:300]})

    def answers(self) -> list[Answer]:
        """Return what is to be said of Tasks since the last time."""
        found = list(self._answers)
        self._answers.clear()
        return found

    def report(self, now_ns: int) -> Report:
        """Return how it stands, for the platform: at least twice in every ``declared.age``."""
        self.known = track.at(self.known, now_ns)
        notes, self._unnoted = tuple(self._notes), 0
        self._notes.clear()
        now = self.known.now_ns
        return Report(
            boot=self.boot,
            clock_ns=now,
            rules=self._rules,
            values=self.values,
            holder=self.holder,
            slots=tuple(_shown(one, now) for one in self.slots),
            trips=self.known.trips,
            notes=notes,
            number=self.number,
            key=fingerprint(self._key),
            damaged=self.damaged,
        )

    # --- within -------------------------------------------------------------------------------------

    def _wrong(self, order: Order, now_ns: int) -> str:
        """Say why an order is not even looked at, or nothing."""
        if order.boot != self.boot:
            return "replay: it is of another start of this device"
        if order.number <= self.number:
            return f"replay: number {order.number} came after {self.number}"
        age = now_ns - order.echo_ns
        if not 0 <= age <= span_ns(self.declared.age):
            return f"stale: it rests on a report {age / 1e9:.3g} s old; {self.declared.age} is allowed"
        return ""

    def _wanted(self) -> tuple[dict[str, Value], str]:
        """Return what ought to be in force, and on whose word: slots, a starving state, else the plan."""
        held = array.decide(self.slots)
        wanted = planned(self.declared, self._rest, self.known, self._since_ns)
        wanted |= {name: value for name, (value, _) in held.items()}
        holder = next(iter(held.values()))[1].id if held else "plan"
        for one in self.declared.of(Starve):
            who = held.get(one.of)
            if who is not None and who[1].by == "person" and one.binds == "models":
                continue
            state = starving(one, self.declared, self.known)
            if state is not None:
                kind = self.declared.fields[one.of]
                wanted[one.of] = state if kind == "text" else _unlabelled(state, kind)
                holder = "starve"
        return wanted, holder

    def _again(self) -> None:
        """Judge anew the commands of models that decide again what somebody stronger held; end what fails."""
        before, self._decides = self._decides, {}
        for entry in self.slots:
            held = array.decide(self.slots)
            mine = {name: value for name, (value, whose) in held.items() if whose is entry}
            back = mine.keys() - before.get(entry.id, mine.keys())
            last = regained(entry, mine, self.declared, self.known) if back and entry.by == "model" else None
            if last is not None and last.outcome == "trip":
                self._trip(Trip(rule=last.rule, time_ns=self.known.now_ns, why=last.why))
            elif last is not None:
                self._end(entry, "failed", f"{last.rule}: {last.why}")
                self.slots = array.take(self.slots, entry.slot)
            self._decides[entry.id] = mine.keys()

    def _bench(self) -> None:
        """Take models out of force that let somebody wait so long, and hear them no more for a while."""
        held, now = array.decide(self.slots), self.known.now_ns
        for one in self.declared.of(Starve):
            who = held.get(one.of)
            if one.bench is None or who is None or who[1].by != "model":
                continue
            state = starving(one, self.declared, self.known)
            if state is None or self.known.left.get(f"{one.of}={state}", now) < self._start_ns:
                continue  # whoever waits since before this start is served, and nobody is blamed
            name, count = title(one), self._benches.get(title(one), 0)
            span = min(span_ns(one.bench) << count, _LONGEST_BENCH_NS)
            self._benches[name] = min(count + 1, 16)
            self.known = track.benched(self.known, name, now + span)
            why = f"{name}: {state} waited too long under it"
            self._note("benched", {"rule": name, "why": why, "seconds": span / 1e9})
            for entry in self.slots:
                if entry.by == "model":
                    self._end(entry, "failed", why)
            self.slots = tuple(entry for entry in self.slots if entry.by != "model")
            return

    def _trip(self, trip: Trip) -> None:
        """Latch a trip, and take every model's command out of force."""
        if any(one.rule == trip.rule for one in self.known.trips):
            return
        self.known = track.tripped(self.known, trip)
        self._note("tripped", {"rule": trip.rule, "why": trip.why})
        for entry in self.slots:
            if entry.by == "model":
                self._end(entry, "tripped", f"{trip.rule}: {trip.why}")
        self.slots = tuple(one for one in self.slots if one.by != "model")

    def _override(self) -> None:
        """End the models' commands of which a person now holds every field."""
        for entry in self.slots:
            held = array.decide(self.slots)
            whose = [held[name][1] for name in entry.values]
            if entry.by == "model" and all(one.by == "person" for one in whose):
                self._end(entry, "overridden", f"by {whose[0].actor}")
                self.slots = array.take(self.slots, entry.slot)

    def _ran(self) -> None:
        """Say of commands whose values are all in force that they run."""
        held = array.decide(self.slots)
        for entry in self.slots:
            if entry.id in self._running:
                continue
            mine = [name for name in entry.values if held[name][1] is entry]
            if mine and all(self.known.value(name) == entry.values[name] for name in mine):
                self._running.add(entry.id)
                self._keep(Answer(task=entry.id, status="running"))

    def _end(self, entry: array.Entry, status: str, detail: str) -> None:
        self._running.discard(entry.id)
        self._keep(Answer(task=entry.id, status=status, detail=detail))

    def _keep(self, answer: Answer) -> Answer:
        """Say an answer, and remember it in case the order comes again."""
        self._remembered[answer.task] = answer
        if len(self._remembered) > _REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return self._say(answer)

    def _say(self, answer: Answer) -> Answer:
        self._answers.append(answer)
        if answer.status == "rejected":
            self._note("rejected", {"task": answer.task, "why": answer.detail[:300]})
        return answer

    def _note(self, what: str, detail: Mapping[str, object]) -> None:
        self._notes.append(Note(time_ns=self.known.now_ns, what=what, detail=dict(detail)))


def _unlabelled(state: str, kind: str) -> Value:
    return state == "true" if kind == "boolean" else float(state)


def _shown(entry: array.Entry, now_ns: int) -> Slot:
    left = None if entry.until_ns is None else round((entry.until_ns - now_ns) / 1e9, 3)
    return Slot(
        slot=entry.slot, by=entry.by, actor=entry.actor or entry.model, id=entry.id, values=entry.values,
        left_s=left,
    )  # fmt: skip
