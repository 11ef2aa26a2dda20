"""Streets in SUMO behind guards: a policy that starves an approach, and a platform that is killed.

The real judge and guard stand between the controller and each signal of the twin, as beside a field
controller. Every five simulated seconds the controller asks for a phase with a lease of twenty. Held against
the fixed plan on the same seeds: what starving costs where the guard has no other help, how long anybody saw
red, and what it costs that the platform is gone at random instants, for one to five minutes each time. It
runs in a process of its own, as libsumo cannot live beside pyarrow.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from nervure.act.controller.api import Controller
from nervure.act.controller.pressure import MaxPressure
from nervure.act.controller.shield import Shield
from nervure.act.loop import Loop
from nervure.bench.forecast.job import write
from nervure.bench.signal.street import junctions_of
from nervure.core.interlock import Declared
from nervure.core.interlock_check import declared
from nervure.core.junction import Junction
from nervure.twin.roads import Roads

__all__ = [
    "BENCH",
    "LEASE_S",
    "MOST_RED_S",
    "SIDES",
    "STEP_S",
    "Street",
    "Streets",
    "main",
    "perform",
    "rules",
]

SIDES = {
    "crossing": ("fixed", "starved", "starved, not benched", "max-pressure", "max-pressure, killed"),
    "resco/cologne8": (
        "fixed", "starved", "starved 1", "starved 2", "starved 1, not benched", "starved 1, shielded",
        "max-pressure", "max-pressure, killed",
    ),
}  # fmt: skip
"""Who commands on which net; a number is the phase that a starving policy shows, 0 without."""

STEP_S, LEASE_S, MOST_RED_S = 5.0, 20.0, 120.0
_S = 1_000_000_000
_GREEN_S, BENCH = 5.0, "30min"


class Street(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one side and seed.

    ``back_s`` is the longest until the guard was on its plan after a kill, ``kills`` how many there were,
    ``orders`` what the guard took, ``served_s`` the longest that a phase that is needed waited to be shown.
    """

    net: str = "crossing"
    side: str
    seed: int
    delay_s: float
    longest_red_s: float
    standstill_s: float
    served_s: float = 0.0
    kills: int = 0
    back_s: float = 0.0
    orders: int = 0
    refused: int = 0


class Streets(msgspec.Struct, frozen=True, kw_only=True):
    """Every run of a process."""

    runs: list[Street]


class _Always:
    """Shows its phase for ever, whoever waits."""

    name, every_s = "starve", STEP_S

    def __init__(self, junctions: Sequence[Junction], phase: int) -> None:
        self._commands = {one.command: float(min(phase, len(one.phases) - 1)) for one in junctions}

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return the same as ever."""
        return self._commands


def rules(junction: Junction, *, bench: bool = True) -> Declared:
    """Return what a signal's capability declares: least green, most red for all that wait, a bench."""
    phases, needed = [str(at) for at in range(len(junction.phases))], [str(at) for at in junction.needed]
    act: dict[str, Any] = {
        "lease": f"{LEASE_S:g}s", "age": "10s", "every": f"{STEP_S:g}s", "promote": {"demote": 1.0},
        "interlocks": [
            {"kind": "range", "of": "phase", "low": 0, "high": len(phases) - 1},
            {"kind": "sequence", "of": "phase", "least": dict.fromkeys(phases, f"{_GREEN_S:g}s"),
             "after": {one: [other for other in phases if other != one] for one in phases}},
            {"kind": "starve", "of": "phase", "states": needed, "most": f"{MOST_RED_S:g}s"}
            | ({"bench": BENCH} if bench else {}),
        ],
        "plan": [
            {"hold": f"{hold + junction.yellow_s:g}s", "values": {"phase": float(at)}}
            for at, hold in enumerate(junction.plan_s)
        ],
    }  # fmt: skip
    field = {"name": "phase", "type": "Quantity"}
    found = declared({"act": act}, {"type": "DataRecord", "field": [field]})
    if found is None:
        raise AssertionError("nothing is declared")
    return found


def perform(net: str, sides: tuple[str, ...], seeds: tuple[int, ...], minutes: float) -> list[Street]:
    """Run every side with every seed."""
    twin = Roads(net, step_s=STEP_S)
    try:
        runs = [_run(twin, side, seed, minutes) for seed in seeds for side in sides]
        return [replace(one, net=net) for one in runs]
    finally:
        twin.close()


class _Gate:
    """A signal's guard, how long phases waited to be shown, and how long until it was on its plan."""

    def __init__(self, junction: Junction, side: str) -> None:
        declared_ = rules(junction, bench=not side.endswith("not benched"))
        self.command = junction.command
        self.loop = Loop(declared_, {"phase": 0.0}, model=side, now_ns=0)
        self.served_s = self.back_s = 0.0
        self._left = dict.fromkeys(junction.needed, 0.0)

    def step(self, wish: float | None, now_s: float, dead_s: float | None) -> float:
        """Return the phase in force; ``dead_s`` is since when nobody has been there to wish for another."""
        if wish is not None:
            self.loop.command({"phase": wish}, round(now_s * _S), lease_s=LEASE_S)
        shown = float(self.loop.step(round(now_s * _S))["phase"])
        if dead_s is not None and self.loop.guard.holder not in ("plan", "starve"):
            self.back_s = max(self.back_s, now_s - dead_s + STEP_S)
        if int(shown) in self._left:
            self._left[int(shown)] = now_s
        self.served_s = max(self.served_s, now_s - min(self._left.values()))
        return shown


def _run(twin: Roads, side: str, seed: int, minutes: float) -> Street:
    steps = round(minutes * 60 / STEP_S)
    readings: Mapping[str, float] = twin.reset(seed=seed)
    if side == "fixed":
        for _ in range(steps):
            twin.step()
        return _told(twin, side, seed)
    junctions = junctions_of(twin)
    gates = [_Gate(one, side) for one in junctions]
    control = _controller(side, junctions)
    gone = _outages(seed, minutes * 60) if side.endswith("killed") else []
    for step in range(steps):
        now_s = step * STEP_S
        dead = next((begin for begin, end in gone if begin <= now_s < end), None)
        wish = control.decide(readings, now_s) if dead is None else {}
        twin.apply({one.command: one.step(wish.get(one.command), now_s, dead) for one in gates})
        readings = twin.step()
    rulings = sum((Counter(one.loop.rulings) for one in gates), Counter())
    return _told(
        twin, side, seed, served_s=max(one.served_s for one in gates), kills=len(gone),
        back_s=max(one.back_s for one in gates), orders=rulings["checked"],
        refused=rulings.total() - rulings["checked"],
    )  # fmt: skip


def _controller(side: str, junctions: Sequence[Junction]) -> Controller:
    if not side.startswith("starved"):
        return Shield(MaxPressure(junctions), junctions)
    named = side.partition(",")[0].removeprefix("starved").strip()
    always = _Always(junctions, int(named or 0))
    return Shield(always, junctions) if side.endswith("shielded") else always


def _outages(seed: int, span_s: float) -> list[tuple[float, float]]:
    """Return when the platform is gone, ``(from, to)`` in seconds: about every ten minutes, at any time."""
    chance, found, at = random.Random(f"street {seed}"), list[tuple[float, float]](), 0.0
    while True:
        begin = at + chance.uniform(30, 900)
        at = begin + chance.uniform(60, 300)
        if at >= span_s:
            return found
        found.append((begin, at))


def _told(twin: Roads, side: str, seed: int, **more: Any) -> Street:
    kpis = twin.kpis()
    return Street(
        side=side, seed=seed, delay_s=kpis["delay"], longest_red_s=kpis["longest_red"],
        standstill_s=kpis["standstill"], **more,
    )  # fmt: skip


def main() -> None:
    """Read a request, run it, write the result."""
    request = msgspec.json.decode(sys.stdin.buffer.read())
    runs = perform(request["net"], tuple(request["sides"]), tuple(request["seeds"]), request["minutes"])
    write(Path(request["out"]), Streets(runs=runs))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # libsumo's threads end in disorder otherwise
