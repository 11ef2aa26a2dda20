"""Bursts in a network's twin: found, placed and shut in by the controller, beside a crew after two hours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.burst import Burst, Event, Ways
from nervure.act.controller.isolation import Segments, segments
from nervure.twin.pipes import Pipes

__all__ = ["Found", "Yard", "foretold", "one_burst", "own"]

Floats = NDArray[np.float64]
_BURST_MIN, _CREW_MIN = 30, 120
_NOBODY, _HALF_H = 1e-3, 30
_CALM = {"noise": 0.0, "rough": 0.0, "read_m": 0.0}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one burst; minutes from the burst, m3 lost, pressures in m."""

    pipe: str
    seed: int
    hour: float
    burst_m3h: float
    isolated: bool
    lost_m3: float
    crew_m3: float
    lowest_m: float
    before_m: float
    cut_off: int
    seen_min: float | None = None
    held_min: float | None = None
    valves: int = 0
    tries: int = 0
    said: str = "not seen"

    @property
    def saved(self) -> float:
        """The share of the crew's loss that was saved."""
        return 1 - self.lost_m3 / self.crew_m3


class Yard(msgspec.Struct, frozen=True, kw_only=True):
    """A network with what is known of it beforehand: segments, demand in them in m3/h, ways of bursts.

    ``owes`` says by how many metres each pressure rises with a metre of each tank's level, by their readings.
    """

    path: Path
    pressure: tuple[str, ...]
    inflow: tuple[str, ...]
    cut: Segments
    demand: Floats
    sources: NDArray[np.int64]
    ways: dict[float, Ways]
    outflow: tuple[str, ...] = ()
    owes: dict[str, dict[str, float]] = {}

    def twin(self) -> Pipes:
        """Return the network's twin."""
        return Pipes(self.path, pressure=self.pressure, flow=(*self.inflow, *self.outflow))

    def control(self, twin: Pipes, hour: float) -> Burst:
        """Return a controller that knows what bursts do at about that hour."""
        near = min(self.ways, key=lambda one: abs(one - hour))
        return Burst(
            self.ways[near],
            self.cut,
            self.demand,
            self.sources,
            sensors=[f"{one}/pressure" for one in self.pressure],
            inflow=[f"{one}/flow" for one in self.inflow],
            outflow=[f"{one}/flow" for one in self.outflow],
            valve=twin.valve,
            drifts=bool(self.owes),
        )


def foretold(
    path: Path,
    pressure: Sequence[str],
    inflow: Sequence[str],
    hours: Sequence[float],
    *,
    size: float = 6.0,
    outflow: Sequence[str] = (),
    tell: Callable[[float, str], None] = lambda _share, _line: None,
) -> Yard:
    """Let the network model say what a burst in the middle of every pipe does, at some hours of the day.

    ``inflow`` are links that feed it, ``outflow`` those whose flow leaves it, for a tank.
    """
    twin = Pipes(path, pressure=tuple(pressure), flow=(*inflow, *outflow))
    cut = segments(twin.ends, len(twin.nodes), twin.valves)
    demand = np.zeros(cut.total)
    links = np.flatnonzero(twin.is_pipe).tolist()
    ways = {}
    for turn, hour in enumerate(hours):
        before = _state(twin, {**_CALM, "hour": hour}, leak=None)
        rows, lost = [], []
        for number, link in enumerate(links):
            if number % 50 == 0:
                tell((turn + number / len(links)) / len(hours), f"ways of bursts at {hour:g} h")
            after = _state(twin, {**_CALM, "hour": hour, "burst_pipe": link, "burst_size": size}, leak=link)
            rows.append(after[0] - before[0])
            lost.append(after[1])
        at = cut.of_node[[twin.nodes.index(one) for one in twin.pressure]]
        ways[hour] = Ways(np.array(rows), np.array(lost), np.array(links), at)
    twin.reset(scenario={**_CALM, "hour": hours[0]})
    for node, one in twin.drawn().items():
        demand[cut.of_node[twin.nodes.index(node)]] += one
    twin.close()
    sources = np.unique(cut.of_node[np.flatnonzero(twin.is_source)])
    return Yard(
        path=path, pressure=tuple(pressure), inflow=tuple(inflow), cut=cut, demand=demand, sources=sources,
        ways=ways, outflow=tuple(outflow),
    )  # fmt: skip


def own(path: Path, hours: Sequence[float]) -> Yard:
    """Let a network's model say the same, of a network that is measured as its twin does by itself."""
    twin = Pipes(path)
    into = {
        name for name, (_, end) in zip(twin.links, twin.ends.tolist(), strict=True) if twin.is_source[end]
    }
    yard = foretold(
        path, twin.pressure, [one for one in twin.flow if one not in into], hours,
        outflow=[one for one in twin.flow if one in into],
    )  # fmt: skip
    return msgspec.structs.replace(yard, owes=_owed(twin))


def _owed(twin: Pipes) -> dict[str, dict[str, float]]:
    """Return what pressures owe to tanks, from half an hour in which next to nobody draws anything."""
    if not twin.tanks:
        return {}
    sensors, tanks = [f"{one}/pressure" for one in twin.pressure], [f"{one}/level" for one in twin.tanks]
    rows = [twin.reset(scenario={**_CALM, "demand": _NOBODY}), *(twin.step() for _ in range(_HALF_H))]
    twin.close()
    moved = [np.array([[row[one] for one in names] for row in rows]) for names in (tanks, sensors)]
    share = np.linalg.lstsq(moved[0] - moved[0].mean(axis=0), moved[1] - moved[1].mean(axis=0), rcond=None)[0]
    return {one: dict(zip(tanks, share[:, at].tolist(), strict=True)) for at, one in enumerate(sensors)}


def _state(twin: Pipes, scenario: dict[str, float], leak: int | None) -> tuple[Floats, float]:
    """Return the pressures with a burst, in m, and its flow in m3/h, a minute after it began."""
    readings = twin.reset(scenario={**scenario, "burst_after_min": 1.0})
    readings = twin.step()
    now = np.array([readings[f"{one}/pressure"] for one in twin.pressure])
    lost = twin.kpis()["lost"] * 60 if leak is not None else 0.0
    return now, lost


def one_burst(yard: Yard, pipe: int, seed: int, hour: float, *, size: float = 6.0) -> Found:
    """Let a burst happen twice: with the controller, and with a crew that knows the place after two hours."""
    rng = np.random.default_rng([seed, pipe])
    scenario = {
        "hour": hour,
        "burst_pipe": float(pipe),
        "burst_share": float(rng.uniform(0.1, 0.9)),
        "burst_size": size,
        "burst_after_min": float(_BURST_MIN),
    }
    twin = yard.twin()
    control = yard.control(twin, hour)
    readings = twin.reset(seed=seed, scenario=scenario)
    before = lowest = np.inf
    flow = losing = 0.0
    for minute in range(1, _BURST_MIN + _CREW_MIN + 1):
        commands = control.decide(minute, readings)
        if commands:
            twin.apply(commands)
        if minute == _BURST_MIN + _CREW_MIN - 1 and not _held(control.events):
            twin.release()
        held = twin.kpis()["lost"]
        readings = twin.step()
        pressures = min(twin.pressures().values())
        if minute < _BURST_MIN:
            before = min(before, pressures)
        losing = (twin.kpis()["lost"] - held) * 60
        flow = losing if minute == _BURST_MIN else flow
        if _held(control.events):
            lowest = min(lowest, pressures)
    mine = twin.kpis()
    crew = _crew(yard, scenario, seed)
    name = twin.links[pipe]
    twin.close()
    found = Found(
        pipe=name, seed=seed, hour=hour, burst_m3h=flow, isolated=losing < 0.05 * flow, lost_m3=mine["lost"],
        crew_m3=crew, lowest_m=float(lowest), before_m=float(before), cut_off=int(mine["cut_off"]),
    )  # fmt: skip
    return _told(found, control.events)


def _held(events: Sequence[Event]) -> bool:
    return any(one.what == "held" for one in events)


def _crew(yard: Yard, scenario: dict[str, float], seed: int) -> float:
    """Return what is lost until a crew closes the burst's own segment, in m3."""
    twin = yard.twin()
    twin.reset(seed=seed, scenario=scenario)
    for _ in range(_BURST_MIN + _CREW_MIN):
        twin.step()
    lost = twin.kpis()["lost"]
    twin.close()
    return lost


def _told(found: Found, events: Sequence[Event]) -> Found:
    """Put in what the controller did."""
    closed = [one for one in events if one.what == "closed"]
    seen = next((one.minute for one in events if one.what == "seen"), None)
    held = next((one for one in events if one.what == "held"), None)
    return msgspec.structs.replace(
        found,
        seen_min=None if seen is None else float(seen - _BURST_MIN),
        held_min=float(closed[-1].minute - _BURST_MIN) if held else None,
        valves=len(held.valves) if held else 0,
        tries=len(closed),
        said=events[-1].what if events else "not seen",
    )
