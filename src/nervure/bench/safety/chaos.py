"""The platform killed at random instants while it controls devices: each is on its plan within the lease.

Three crossings on one node, by real MQTT and real nats-server, each with the real guard; the clocks of two
are five minutes wrong. A controller asks for phases all the time, and also for what it must not. Then
either the whole node or only its nats-server is killed with SIGKILL. What was in force is held
against the plain reference afterwards, change by change, and the signed logs are read and checked.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from nervure.bench.process import NodeProcess, free_settings
from nervure.bench.safety.plain import SECOND, Past, Told, unsafe
from nervure.bench.safety.station import Station, made
from nervure.core.papers import Papers

__all__ = ["ACT", "Chaos", "play"]

LEASE_S = 2.0
FIELDS = {"phase": "Category"}
ACT: dict[str, Any] = {
    "lease": "2s", "age": "5s", "every": "250ms", "promote": {"demote": 1.0},
    "interlocks": [
        {"kind": "sequence", "of": "phase", "after": {"ns": ["y"], "y": ["ns", "ew"], "ew": ["y"]},
         "least": {"ns": "600ms", "ew": "600ms", "y": "300ms"}},
        {"kind": "starve", "of": "phase", "states": ["ns", "ew"], "most": "8s"},
    ],
    "plan": [{"hold": "2s", "values": {"phase": "ns"}}, {"hold": "2s", "values": {"phase": "ew"}}],
}  # fmt: skip
MOST_S = 8.0
SKEWS_S = (0, 300, -300)
_STEP_S = 0.5
"""How late a step may be on a busy machine."""


class Chaos(msgspec.Struct, kw_only=True):
    """What came of it; ``late`` kills after which some device was not on its plan within the lease."""

    kills: int = 0
    of_node: int = 0
    of_broker: int = 0
    late: int = 0
    longest_back_s: float = 0.0
    changes: int = 0
    unsafe: int = 0
    longest_wait_s: float = 0.0
    asked: int = 0
    taken: int = 0
    not_in_log: int = 0
    lines: int = 0
    broken: int = 0
    back_in_control_s: list[float] = []
    first: str = ""


async def play(folder: Path, kills: int, seed: int = 0, tell: Any = None) -> Chaos:
    """Kill so many times."""
    chance, found = random.Random(seed), Chaos()
    node = NodeProcess(free_settings(folder))
    await node.start()
    stations: list[Station] = []
    stop = threading.Event()
    try:
        stations = await asyncio.to_thread(_stations, node)
        loops = [one.device.capability for one in stations]
        given = (node.url, loops, stations, stop, found, seed)
        asking = threading.Thread(target=_ask, args=given, daemon=True)
        asking.start()
        for number in range(kills):
            await _kill(node, stations, chance, found)
            if tell is not None:
                tell((number + 1) / kills, f"kill {number + 1} of {kills}")
        await _in_control(stations, time.monotonic())
        stop.set()
        asking.join(10)
        await asyncio.sleep(1.0)
        await asyncio.to_thread(_logs, node.url, loops, stations, found)
    finally:
        stop.set()
        for one in stations:
            one.close()
        await node.stop()
    for one in stations:
        _looked_through(one, found)
    return found


def _stations(node: NodeProcess) -> list[Station]:
    port = node.settings.nats.mqtt_port
    with httpx.Client(base_url=node.url, timeout=5.0) as api:
        places = [_placed(api, number) for number in range(len(SKEWS_S))]
    return [
        Station(port, given, {"phase": "ns"}, skew_ns=skew * SECOND)
        for given, skew in zip(places, SKEWS_S, strict=True)
    ]


def _placed(api: httpx.Client, number: int) -> Papers:
    given = made(api, f"crossing {number}", ACT, FIELDS)
    forced = {"mode": "auto", "because": "the protocol of the bench"}
    api.post(f"/api/loops/{given.capability}/mode", json=forced).raise_for_status()
    return given


def _ask(
    url: str, loops: list[int], stations: list[Station], stop: threading.Event, found: Chaos, seed: int
) -> None:
    """Ask for phases, as a controller does that nobody taught manners."""
    chance = random.Random(seed + 1)
    with httpx.Client(base_url=url, timeout=1.0) as api:
        while not stop.is_set():
            for loop, one in zip(loops, stations, strict=True):
                phase = chance.choice(("ns", "y", "ew", str(one.values["phase"]), str(one.values["phase"])))
                body = {
                    "taskingParameters": {"phase": phase},
                    "properties": {"act": {"model": "chaos", "lease_s": LEASE_S}},
                }
                try:
                    api.post(f"/v1.1/TaskingCapabilities({loop})/Tasks", json=body)
                    found.asked += 1
                except httpx.HTTPError:
                    stop.wait(0.2)
            stop.wait(0.25)


async def _kill(node: NodeProcess, stations: list[Station], chance: random.Random, found: Chaos) -> None:
    """Wait until it is in control, kill, see who is back on the plan when, start again."""
    await _in_control(stations, time.monotonic())
    await asyncio.sleep(chance.uniform(0.0, 2.0))
    broker = chance.random() < 0.3
    found.kills += 1
    begun = time.monotonic()
    if broker:
        found.of_broker += 1
        pid = node.broker_pid()
        if pid is not None:
            psutil.Process(pid).kill()
    else:
        found.of_node += 1
        await asyncio.to_thread(node.kill)
        begun = time.monotonic()  # it is dead: what it said last, it said before
        await asyncio.sleep(LEASE_S + 2 * _STEP_S)
        for one in stations:
            back = _back_s(one, begun)
            found.longest_back_s = max(found.longest_back_s, back)
            if back > LEASE_S + _STEP_S:
                found.late += 1
                found.first = (
                    found.first or f"held by {one.guard.holder} for {back:.2f} s: {one.holders[-4:]}"
                )
        await node.start()
    again = time.monotonic()
    await _in_control(stations, again)
    found.back_in_control_s.append(round(time.monotonic() - again, 3))


def _back_s(one: Station, begun: float) -> float:
    """Return how long after an instant the last word of the platform was over."""
    held = one.holders[:]
    last = begun
    for (since, holder), (until, _) in zip(held, [*held[1:], (time.monotonic(), "")], strict=True):
        if holder not in ("plan", "starve") and until > begun and since < begun + 60:
            last = max(last, until)
    return last - begun


async def _in_control(stations: list[Station], since: float) -> None:
    """Wait until the platform holds every device."""
    while time.monotonic() - since < 60:
        if all(
            any(when > since and holder not in ("plan", "starve") for when, holder in one.holders[-20:])
            for one in stations
        ):
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("the platform did not come back into control within a minute")


def _logs(url: str, loops: list[int], stations: list[Station], found: Chaos) -> None:
    """Read the signed logs: every line as it was written, every order that a guard took in them."""
    with httpx.Client(base_url=url, timeout=30.0) as api:
        for loop, one in zip(loops, stations, strict=True):
            answer = api.get(f"/api/loops/{loop}/log?limit=10000").raise_for_status().json()
            found.lines += len(answer["lines"])
            found.broken += answer["broken"] is not None
            logged = {line["task"] for line in answer["lines"] if line["what"] == "checked"}
            taken = {int(name) for name in one.guard.accepted if name.isdecimal()}
            found.taken += len(taken)
            found.not_in_log += len(taken - logged)


def _looked_through(one: Station, found: Chaos) -> None:
    """Hold what was in force against the plain reference."""
    begin, start, _ = one.trace[0]
    past = Past(start_ns=begin, start=dict(start), changes=[], readings=[])
    left = {state: begin for rule in ACT["interlocks"] for state in rule.get("states", ())}
    here = str(start["phase"])
    for when, values, holder in one.trace[1:]:
        told = Told(now_ns=when, by="plan", values=dict(values))
        wrong = [rule["kind"] for rule in ACT["interlocks"] if unsafe(rule, past, told)]
        found.changes += 1
        found.unsafe += bool(wrong)
        found.first = found.first or (f"{wrong} by {holder}: {past.changes[-3:]} {told}" if wrong else "")
        past.changes = [*past.changes[-20:], (when, "phase", values["phase"])]
        past.start_ns, past.start = begin, dict(start)
        left[here] = when
        here = str(values["phase"])
        for state, since in left.items():
            if state in ("ns", "ew") and state != here:
                found.longest_wait_s = max(found.longest_wait_s, (when - since) / SECOND)
            elif state == here:
                found.longest_wait_s = max(found.longest_wait_s, (when - since) / SECOND)
                left[state] = when
    if found.longest_wait_s > MOST_S + _STEP_S:
        found.unsafe += 1
        found.first = found.first or f"somebody waited {found.longest_wait_s:.2f} s"
