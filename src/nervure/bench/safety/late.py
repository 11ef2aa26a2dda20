"""A street of three signals whose node is late: by the time orders arrive, what they rest on is over.

The corridor in SUMO, run as a twin in the field is (``twin.run.Field``, a guard beside each signal, the
interlocks that a twin declares at a hundred times life); a controller hears the readings of a moment, and its
orders come to the guards so much later. Each kind of lateness is run twice with the same seeds: as a twin
declares it, and ``unbound``, where nothing says of when the readings are and a lease of two minutes begins on
arrival. Held against the same guards that nobody commands. It runs in a process of its own, as libsumo cannot
live beside pyarrow.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from nervure.act.controller.joined import signals
from nervure.act.device import Device, installed
from nervure.bench.forecast.job import write
from nervure.core.command import Proposal
from nervure.core.instant import SECOND_NS
from nervure.core.interlock_check import declared, inputs, span_ns
from nervure.core.mac import sealed
from nervure.core.order import Order
from nervure.core.papers import Papers
from nervure.twin.api import Twin
from nervure.twin.enrol import Place, unknown
from nervure.twin.keep import keeps
from nervure.twin.roads import Roads
from nervure.twin.run import Field, Pace, Post

__all__ = ["KINDS", "SPEED", "Late", "Lates", "main", "perform"]

SPEED = 100.0
_LONG_S = 120.0  # of a lease, as a twin of roads declared it before it bound lateness
_KEY = bytes(range(32))
_BEGIN_NS = 1_790_000_000 * SECOND_NS
Lag = Callable[[float, random.Random], float]


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one kind of lateness and seed; ``bound`` says whether lateness was bound.

    ``planned`` is the share of the time that a signal was on its plan.
    """

    kind: str
    bound: bool
    seed: int
    delay_s: float
    longest_red_s: float
    standstill_s: float
    taken: int = 0
    refused: int = 0
    planned: float = 1.0


class Lates(msgspec.Struct, frozen=True, kw_only=True):
    """Every run of a process."""

    runs: list[Late]


def _now_and_then(now_s: float, chance: random.Random) -> float:
    """Two minutes in time, two minutes half a minute to five minutes late."""
    return 0.0 if now_s % 240 < 120 else chance.uniform(30, 300)


KINDS: Mapping[str, Lag | None] = {
    "nobody": None,
    "in time": lambda _now, _chance: 0.0,
    "10 s": lambda _now, _chance: 10.0,
    "20 s": lambda _now, _chance: 20.0,
    "40 s": lambda _now, _chance: 40.0,
    "80 s": lambda _now, _chance: 80.0,
    "160 s": lambda _now, _chance: 160.0,
    "20 s on average": lambda _now, chance: chance.expovariate(1 / 20),
    "60 s on average": lambda _now, chance: chance.expovariate(1 / 60),
    "now and then": _now_and_then,
}
"""How late orders are, in seconds of the street, at a moment of it; nobody commands at all."""


class _Told:
    """A twin whose newest readings can be looked at, and how long its signals were on their plan."""

    def __init__(self, twin: Twin, first: Mapping[str, float], posts: Mapping[str, Post]) -> None:
        self._twin, self.readings, self._posts = twin, first, posts
        self._steps = self._planned = 0

    @property
    def planned(self) -> float:
        return self._planned / max(1, self._steps)

    def step(self) -> Mapping[str, float]:
        self._steps += len(self._posts)
        self._planned += sum(not _device(one).guard.holder.isdecimal() for one in self._posts.values())
        self.readings = self._twin.step()
        return self.readings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._twin, name)


class _Sent(NamedTuple):
    """An order on its way: when it arrives, at whose guard."""

    at_ns: int
    post: Post
    order: Order


class _Wire:
    """Carries orders to guards, each so late, none before one that was sent earlier."""

    def __init__(self, posts: Mapping[str, Post], lag: Lag, seed: int, *, bound: bool) -> None:
        self._posts, self._lag, self._chance = posts, lag, random.Random(f"late {seed}")
        self._bound = bound
        self._way: list[_Sent] = []
        self._last: dict[str, tuple[dict[str, float], int, str]] = {}
        self._number = self._newest_ns = 0

    def ask(self, commands: Mapping[str, float], now_ns: int) -> None:
        """Send what a controller wants, as a seat does: what is new, and what does not hold much longer."""
        lag_ns = round(self._lag((now_ns - _BEGIN_NS) / SECOND_NS, self._chance) * SECOND_NS)
        self._newest_ns = max(self._newest_ns, now_ns + lag_ns)
        for name, post in self._posts.items():
            if name not in commands:
                continue
            values = {"phase": commands[name]}
            device = _device(post)
            lease_ns = span_ns(device.guard.declared.lease)
            before = self._last.get(name)
            held = before is not None and self._holds(device, before[2])
            if before is not None and held and before[0] == values and now_ns - before[1] < lease_ns // 2:
                continue
            self._number += 1
            self._last[name] = (values, now_ns, str(self._number))
            wish = Proposal(
                id=str(self._number), values=values, actor="max-pressure", model="max-pressure",
                issued_ns=now_ns, until_ns=now_ns + lease_ns,
                seen_ns=now_ns if self._bound else None,
            )  # fmt: skip
            order = Order(
                capability=device.capability, number=self._number, boot=device.guard.boot, echo_ns=now_ns,
                task=self._number, proposal=wish,
            )  # fmt: skip
            self._way.append(_Sent(self._newest_ns, post, order))

    def arrive(self, now_ns: int) -> None:
        """Hand over what has come; an order repeats the newest report, so only what it rests on is old."""
        due = [one for one in self._way if one.at_ns <= now_ns]
        self._way = [one for one in self._way if one.at_ns > now_ns]
        for one in due:
            order = msgspec.structs.replace(one.order, echo_ns=_device(one.post).guard.known.now_ns)
            one.post.guard.hear(msgspec.json.encode({"order": sealed(order, _KEY)}))

    def _holds(self, device: Device, name: str) -> bool:
        """Tell whether an order is on its way, or was taken: what was refused is asked again."""
        return name in device.guard.accepted or any(str(one.order.number) == name for one in self._way)


def _device(post: Post) -> Device:
    return cast("Device", post.guard)


def perform(
    kinds: tuple[str, ...], bounds: tuple[bool, ...], seeds: tuple[int, ...], minutes: float
) -> list[Late]:
    """Run every kind of lateness, with the bound and without, with every seed."""
    twin = Roads("corridor")
    try:
        return [
            _run(twin, kind, bound=bound, seed=seed, minutes=minutes)
            for seed in seeds
            for kind in kinds
            for bound in bounds
            if bound or KINDS[kind] is not None
        ]
    finally:
        twin.close()


def _run(twin: Roads, kind: str, *, bound: bool, seed: int, minutes: float) -> Late:
    about, first, posts = twin.describe(), twin.reset(seed=seed), dict[str, Post]()
    street = _Told(twin, first, posts)
    kept = keeps(about, speed=SPEED) if bound else _unbound(keeps(about, speed=SPEED, lease_s=_LONG_S))

    def guard(place: Place, clock: Callable[[], int]) -> Post:
        found = _post(place, clock)
        posts[next(iter(place.fields.values()))] = found
        return found

    field = Field(street, unknown(about, kept), None, Pace(start_ns=_BEGIN_NS, speed=SPEED), guard)
    lag = KINDS[kind]
    wire = None if lag is None else _Wire(posts, lag, seed, bound=bound)
    control = signals("max-pressure", [one.about for one in about.actuators])

    def each(_counts: object, now_ns: int) -> None:
        if wire is not None:
            wire.ask(control.decide(street.readings, now_ns / SECOND_NS), now_ns)
            wire.arrive(now_ns)

    counts = field.run(round(minutes * 60 / about.step_s), each)
    kpis = counts.kpis
    return Late(
        kind=kind, bound=bound, seed=seed, delay_s=kpis["delay"], longest_red_s=kpis["longest_red"],
        standstill_s=kpis["standstill"], taken=counts.tasks, refused=counts.refused,
        planned=round(street.planned, 4),
    )  # fmt: skip


def _unbound(kept: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {thing: {name: one for name, one in act.items() if name != "seen"} for thing, act in kept.items()}


def _post(place: Place, clock: Callable[[], int]) -> Post:
    read = declared(place.properties, place.parameters)
    if read is None or place.capability is None:
        raise AssertionError("a signal declares what it keeps to")
    papers = Papers(
        thing=place.thing, capability=place.capability, name=place.name, act=place.properties["act"],
        parameters=place.parameters, key=_KEY.hex(),
    )  # fmt: skip
    device = installed(papers, {"phase": read.plan[0].values["phase"]}, clock=clock)
    return Post(place.thing, device, place.fields, frozenset(inputs(read)))


def main() -> None:
    """Read a request, run it, write the result."""
    request = msgspec.json.decode(sys.stdin.buffer.read())
    runs = perform(
        tuple(request["kinds"]), tuple(request["bounds"]), tuple(request["seeds"]), request["minutes"]
    )
    write(Path(request["out"]), Lates(runs=runs))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # libsumo's threads end in disorder otherwise
