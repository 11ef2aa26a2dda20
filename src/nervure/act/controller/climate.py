"""Heat where it is cheap: a linear programme over the coming day, solved anew every hour.

Economic model predictive control of buildings: Oldewurtel et al., Energy and Buildings 45, 2012. Heat and
cold of each zone, and the battery, cost what electricity costs in that hour at the machine's ratio of then;
temperatures follow the learned model; leaving the band costs far more than any hour's electricity. The plan
is handed to the zones' own thermostats as setpoints, so that a wrong plan costs money, not comfort. Solved
by HiGHS through scipy (Huangfu & Hall, Mathematical Programming Computation 10, 2018); not to be loaded
beside ortools.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.thermal import Hours, Rooms, learn
from nervure.act.controller.thermostat import setpoints
from nervure.core.comfort import Comfort

__all__ = ["Ahead", "Climate", "Machine", "Plan", "plan"]

Floats = NDArray[np.float64]
_PENALTY = 20.0  # money for a K.h outside the band
_SEEN_H = 24 * 7 * 10  # what is learned from: older readings weigh little
_TOLD_W = 20.0  # less heat than this is none


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What heats and cools, and what it costs to run: W a zone, ratios by outdoors in Cel, money a kWh."""

    power_w: tuple[float, ...]
    heating: Callable[[float], float]
    cooling: Callable[[float], float]
    price: Callable[[float], float]
    sold: float = 0.0
    battery_kwh: float = 0.0
    battery_w: float = 3000.0


class Ahead(NamedTuple):
    """What is foreseen, ``[hour]``: outdoors in Cel, sun in W/m2, other load less the roof's power in W."""

    outdoor: Floats
    sun: Floats
    load: Floats


class Plan(NamedTuple):
    """What is to be done: heat in W (cold is negative) and air at each hour's end, ``[hour, zone]``.

    ``battery [hour]`` is W into the battery.
    """

    heat: Floats
    air: Floats
    battery: Floats
    cost: float


class _Band(NamedTuple):
    low: Floats
    high: Floats


def plan(
    rooms: Rooms,
    machine: Machine,
    comfort: Comfort,
    hour: float,
    state: Floats,
    ahead: Ahead,
    *,
    charge_kwh: float = 0.0,
) -> Plan:
    """Solve the programme from a state ``[2 zone]`` at an hour since a Monday's midnight.

    A plan always exists: the band can be missed at a price. Raises RuntimeError where HiGHS fails.
    """
    from scipy.optimize import linprog

    count, zones = len(ahead.outdoor), rooms.b.shape[1]
    free, gain = _response(rooms, state, ahead, comfort, hour)
    band = _bands(comfort, hour, count, rooms.error_k)
    cost = _costs(machine, hour, ahead, zones)
    bounds = _bounds(machine, count, zones)
    upper, most = _limits(gain, free, band, machine, charge_kwh)
    equal, sums = _balance(machine, ahead, zones)
    found = linprog(
        cost, A_ub=upper, b_ub=most, A_eq=equal, b_eq=sums, bounds=bounds, method="highs-ds",
        options={"presolve": True},
    )  # fmt: skip
    if found.x is None:
        raise RuntimeError(f"the plan of heat was not solved: {found.message}")
    part = found.x.reshape(count, -1)
    heat = (part[:, :zones] - part[:, zones : 2 * zones]) * 1000
    air = free + np.einsum("tzsy,sy->tz", gain, heat / 1000)
    return Plan(heat, air, (part[:, 4 * zones] - part[:, 4 * zones + 1]) * 1000, float(found.fun))


def _response(
    rooms: Rooms, state: Floats, ahead: Ahead, comfort: Comfort, hour: float
) -> tuple[Floats, Floats]:
    """Return air without heat, ``[hour, zone]``, and what 1 kW adds, ``[hour, zone, hour of heat, zone]``."""
    count, zones = len(ahead.outdoor), rooms.b.shape[1]
    free, x = np.empty((count, zones)), state.copy()
    for at in range(count):
        people = float(comfort.band(hour + at)[0] >= 20.0)
        x = rooms.a @ x + rooms.e @ np.array([ahead.outdoor[at], ahead.sun[at], people, 1.0])
        free[at] = x[:zones]
    gain, reach = np.zeros((count, zones, count, zones)), rooms.b * 1000
    for later in range(count):
        for at in range(count - later):
            gain[at + later, :, at, :] = reach[:zones]
        reach = rooms.a @ reach
    return free, gain


def _bands(comfort: Comfort, hour: float, count: int, error_k: Floats) -> _Band:
    """Return the band at each hour's end, ``[hour, zone]``, tighter by the model's error where it narrows."""
    now = np.array([comfort.band(hour + at) for at in range(count)])
    then = np.array([comfort.band(hour + at + 1) for at in range(count)])
    low, high = np.maximum(now[:, 0], then[:, 0]), np.minimum(now[:, 1], then[:, 1])
    spare = np.clip(1.5 * error_k, 0.05, 0.6)[None]
    return _Band(
        low[:, None] + spare * (then[:, 0] > now[:, 0])[:, None],
        high[:, None] - spare * (then[:, 1] < now[:, 1])[:, None],
    )


def _costs(machine: Machine, hour: float, ahead: Ahead, zones: int) -> Floats:
    """Return the cost of every variable, hour by hour.

    They are heats, colds, misses low, misses high (a zone each), battery in, out, bought, sold.
    """
    count = len(ahead.outdoor)
    cost = np.zeros((count, 4 * zones + 4))
    cost[:, 2 * zones : 4 * zones] = _PENALTY
    cost[:, : 2 * zones] = 1e-6  # of two plans that cost the same the one that moves less
    cost[:, 4 * zones : 4 * zones + 2] = 1e-4
    cost[:, -2] = [machine.price(hour + at) for at in range(count)]
    cost[:, -1] = -machine.sold
    return cost.reshape(-1)


def _bounds(machine: Machine, count: int, zones: int) -> list[tuple[float, float | None]]:
    power = [one / 1000 for one in machine.power_w]
    battery = machine.battery_w / 1000 if machine.battery_kwh > 0 else 0.0
    one: list[tuple[float, float | None]] = [(0.0, at) for at in (*power, *power)]
    one += [(0.0, None)] * (2 * zones) + [(0.0, battery)] * 2 + [(0.0, None)] * 2
    return one * count


def _limits(
    gain: Floats, free: Floats, band: _Band, machine: Machine, charge_kwh: float
) -> tuple[Floats, Floats]:
    """Return the rows that keep air in the band and the battery between empty and full."""
    count, zones = free.shape
    wide = 4 * zones + 4
    low, high = np.zeros((2, count, zones, count, wide))
    low[..., :zones], low[..., zones : 2 * zones] = -gain, gain
    high[..., :zones], high[..., zones : 2 * zones] = gain, -gain
    for at in range(count):
        for zone in range(zones):
            low[at, zone, at, 2 * zones + zone] = -1.0
            high[at, zone, at, 3 * zones + zone] = -1.0
    rows = [low.reshape(count * zones, -1), high.reshape(count * zones, -1)]
    most = [(free - band.low).reshape(-1), (band.high - free).reshape(-1)]
    if machine.battery_kwh > 0:
        held = np.zeros((count, count, wide))
        before = np.tril(np.ones((count, count)))
        held[..., 4 * zones], held[..., 4 * zones + 1] = 0.95 * before, -before / 0.95
        flat = held.reshape(count, -1)
        rows += [flat, -flat]
        most += [np.full(count, machine.battery_kwh - charge_kwh), np.full(count, charge_kwh)]
    return np.concatenate(rows), np.concatenate(most)


def _balance(machine: Machine, ahead: Ahead, zones: int) -> tuple[Floats, Floats]:
    """Return the rows that say where an hour's electricity comes from, in kW."""
    count = len(ahead.outdoor)
    rows = np.zeros((count, count, 4 * zones + 4))
    for at, outdoor in enumerate(ahead.outdoor.tolist()):
        rows[at, at, :zones] = 1 / machine.heating(outdoor)
        rows[at, at, zones : 2 * zones] = 1 / machine.cooling(outdoor)
        rows[at, at, 4 * zones :] = (1.0, -1.0, -1.0, 1.0)
    return rows.reshape(count, -1), -ahead.load / 1000


class Climate:
    """Learn the rooms from their first weeks under a schedule, then plan every hour, and go on learning.

    ``foresee(hour, count)`` returns what is foreseen of the coming hours. ``spent_s`` keeps the
    processor's time of every solve.
    """

    def __init__(
        self,
        zones: Sequence[str],
        comfort: Comfort,
        machine: Machine,
        foresee: Callable[[float, int], Ahead],
        *,
        horizon_h: int = 24,
        learn_h: int = 24 * 14,
        seed: int = 0,
    ) -> None:
        self._zones, self._comfort, self._machine = tuple(zones), comfort, machine
        self._foresee, self._horizon, self._learn_h = foresee, horizon_h, learn_h
        self._rng = np.random.default_rng(seed)
        self._air: list[Floats] = []
        self._rest: list[tuple[Floats, float, float, float]] = []
        self._part: list[tuple[Floats, float, float]] = []
        self._rooms: Rooms | None = None
        self._plan: Plan | None = None
        self._from = np.zeros(len(self._zones))
        self._dither = np.zeros(len(self._zones))
        self.spent_s: list[float] = []

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return setpoints, and the battery's power once there is a plan; hours since a Monday's midnight."""
        air = np.array([readings[f"{zone}/temperature"] for zone in self._zones])
        heat = np.array([readings[f"{zone}/heat"] for zone in self._zones])
        outdoor, sun = readings["outdoor/temperature"], readings["outdoor/sun"]
        part = hour - int(hour + 1e-6)
        if abs(part) < 1e-6:
            self._turn(round(hour), air, heat, readings)
            part = 0.0
        elif self._part:
            self._part.append((heat, outdoor, sun))
        else:
            self._part = [(heat, outdoor, sun)]
        return self._held(hour, part, readings)

    def _turn(self, hour: int, air: Floats, heat: Floats, readings: Mapping[str, float]) -> None:
        """Close an hour: keep its means, learn once a week, plan anew."""
        outdoor, sun = readings["outdoor/temperature"], readings["outdoor/sun"]
        if self._air:  # what is read at the turn belongs to the hour before
            self._part.append((heat, outdoor, sun))
            means = [np.mean(np.array([one[at] for one in self._part]), axis=0) for at in range(3)]
            people = float(self._comfort.band(hour - 1)[0] >= 20.0)
            self._rest.append((means[0], float(means[1]), float(means[2]), people))
        self._air.append(air)
        self._part = []
        self._from = air
        self._dither = self._rng.uniform(0.0, 1.5, len(self._zones)) * (self._rng.random() < 0.5)
        seen = len(self._rest)
        if seen >= self._learn_h and (self._rooms is None or seen % 168 == 0):
            self._rooms = learn(self._seen())
        if self._rooms is not None:
            self._plan = self._solve(self._rooms, float(hour), air, readings)

    def _seen(self) -> Hours:
        recent = self._rest[-_SEEN_H:]
        heat, outdoor, sun, people = (np.array([one[at] for one in recent]) for at in range(4))
        return Hours(np.array(self._air[:-1][-_SEEN_H:]), heat, outdoor, sun, people)

    def _solve(self, rooms: Rooms, hour: float, air: Floats, readings: Mapping[str, float]) -> Plan:
        recent = np.array(self._air[-240:])
        state = np.concatenate([air, rooms.walls(recent)])
        charge = readings.get("battery/level", 0.0) / 100 * self._machine.battery_kwh
        ahead = self._foresee(hour, self._horizon)
        begun = time.thread_time()
        found = plan(rooms, self._machine, self._comfort, hour, state, ahead, charge_kwh=charge)
        self.spent_s.append(time.thread_time() - begun)
        return found

    def _held(self, hour: float, part: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return what the thermostats hold now: the band, and a ramp to the plan where it heats or cools."""
        low, high = self._comfort.band(hour)
        commands: dict[str, float] = {}
        if self._plan is None:
            coming = self._comfort.next(hour)
            if coming is not None and coming[0] - hour <= 3.0:
                low, high = max(low, coming[1]), min(high, coming[2])
            for at, zone in enumerate(self._zones):
                commands |= setpoints(zone, min(low + float(self._dither[at]), high - 0.5), high)
            return commands
        share = min(part + 0.1, 1.0)
        for at, zone in enumerate(self._zones):
            aim = float(self._from[at] + (self._plan.air[0, at] - self._from[at]) * share)
            heat = float(self._plan.heat[0, at])
            warm = max(low, min(aim, high)) if heat > _TOLD_W else low
            cold = min(high, max(aim, low + 0.5, 18.0)) if heat < -_TOLD_W else high
            commands |= setpoints(zone, warm, cold)
        if self._machine.battery_kwh > 0:
            commands["battery/power"] = float(self._plan.battery[0])
        return commands
