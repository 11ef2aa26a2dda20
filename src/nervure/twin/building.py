"""The twin of a house: two zones, a heat pump with thermostats, sun on the roof, a battery, a tariff.

Its local plan holds the band of a person at home at all hours and lets the battery take what the sun
leaves over. The house is described in :mod:`nervure.twin.house`, its weather in
:mod:`nervure.twin.weather`. Solar cells: PVWatts, Dobos, NREL/TP-6A20-62641, 2014, by pvlib.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.comfort import HOME, Comfort
from nervure.core.room import Room
from nervure.twin.api import Actuator, Description, Sensor, TwinError
from nervure.twin.ask import checked, given, pack, unpack
from nervure.twin.house import (
    COOLING,
    HEATING,
    ZONES,
    House,
    Tariff,
    Zone,
    cooling_ratio,
    discrete,
    heating_ratio,
)
from nervure.twin.weather import Weather, made_up, on_plane

__all__ = ["Building"]

Floats = NDArray[np.float64]
STEP_S = 300.0
_PER_HOUR = 12
_STATE = ("at", "x", "charge_kwh", "set", "sums")
_KNOWN = {
    "start_day": 0.0, "warmer_k": 0.0, "pv_kw": 4.0, "battery_kwh": 8.0, "base_w": 250.0, "people": 1.0,
    "capacity": 1.0, "loss": 1.0, "sun": 1.0, "price": 1.0,
}  # fmt: skip
_SUMS = ("cost", "hvac_kwh", "comfort_kh", "bought_kwh", "sold_kwh")
_BATTERY_W, _EFFICIENCY = 3000.0, 0.95  # each way
_CELL_K = 0.03  # K of a cell over air for each W/m2


class Building:
    """A house with two zones; a step is 5 minutes, its first day a Monday.

    >>> house = Building()
    >>> sorted(house.reset(scenario={"warmer_k": -5.0}))[:3]
    ['battery/level', 'grid/power', 'living/heat']
    """

    def __init__(
        self, weather: Weather | None = None, tariff: Tariff | None = None, comfort: Comfort = HOME
    ) -> None:
        self._weather = weather or made_up()
        self._tariff, self._comfort = tariff or Tariff(), comfort
        self._glass = on_plane(self._weather, 90.0, 180.0)  # of windows to the south
        self._roof = on_plane(self._weather, 35.0, 180.0)
        self._zones = ZONES
        self._actuators = {one.name: one for one in _actuators(self._tariff, self._comfort)}
        self._sensors = _sensors()
        self.reset()

    def describe(self) -> Description:
        """Say what there is."""
        return Description(
            name="building",
            engine=f"RC model of 4 nodes, weather {self._weather.name}",
            step_s=STEP_S,
            sensors=self._sensors,
            actuators=tuple(self._actuators.values()),
            kpis={"cost": "1", "comfort": "K.h", "hvac": "kW.h", "bought": "kW.h", "sold": "kW.h"},
        )

    def reset(self, *, seed: int = 0, scenario: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Start anew at the scenario's day; the seed sets what people do."""
        self._given = given(scenario, _KNOWN)
        self._house = House(**{one: self._given[one] for one in ("capacity", "loss", "sun")})
        self._a, self._b = discrete(self._house, STEP_S)
        rng = np.random.default_rng(seed)
        self._people = self._given["people"] * rng.gamma(16.0, 1 / 16, (8760, len(self._zones)))  # around 1
        self._at = int(self._given["start_day"]) * 24 * _PER_HOUR
        self._x = np.array([20.0, 20.0, 18.5, 18.5])
        self._charge = self._given["battery_kwh"] / 2
        self._set = dict.fromkeys(self._actuators, np.nan)
        self._sums = np.zeros(len(_SUMS))
        self._heat = np.zeros(len(self._zones))
        self._flow = np.zeros(3)
        return self._read()

    def apply(self, commands: Mapping[str, float]) -> None:
        """Set thermostats and the battery's power (charging is positive)."""
        self._set.update(checked(commands, self._actuators))

    def release(self, names: tuple[str, ...] | None = None) -> None:
        """Give thermostats and battery back to the local plan."""
        for name in names if names is not None else tuple(self._set):
            if name not in self._set:
                raise TwinError(
                    f"there is no actuator {name!r}", hint=f"there are: {', '.join(self._actuators)}"
                )
            self._set[name] = np.nan

    def weather(self, day: float, hours: int) -> tuple[Floats, Floats]:
        """Return what a station reads when so many hours begin, from a day of the year on, ``[hour]`` each.

        They are outdoors in Cel and the sun on a window to the south in W/m2.
        """
        rows = (int(day * 24) + np.arange(hours)) % len(self._glass)
        return self._weather.outdoor[rows], self._glass[rows]

    def step(self) -> Mapping[str, float]:
        """Simulate five minutes."""
        outdoor, glass, roof = self._outside()
        hour = self._at / _PER_HOUR
        force = self._force(outdoor, glass, hour)
        self._heat = self._thermostat(force)
        force[:2] += self._heat
        self._x = self._a @ self._x + self._b @ force
        self._at += 1
        self._count(outdoor, roof, hour)
        return self._read()

    def snapshot(self) -> bytes:
        """Return the whole state."""
        state = {
            "at": self._at, "x": self._x, "charge_kwh": self._charge,
            "set": np.array(list(self._set.values())), "sums": self._sums,
        }  # fmt: skip
        return pack(
            state | {"given": self._given, "people": self._people, "flow": self._flow, "heat": self._heat}
        )

    def restore(self, state: bytes) -> None:
        """Go back to a state."""
        found = unpack(state, (*_STATE, "given", "people", "flow", "heat"))
        self.reset(scenario=found["given"])
        self._at, self._x, self._charge = found["at"], found["x"], found["charge_kwh"]
        self._set = dict(zip(self._actuators, found["set"].tolist(), strict=True))
        self._sums, self._people = found["sums"], found["people"]
        self._flow, self._heat = found["flow"], found["heat"]

    def reseed(self, seed: int) -> None:
        """Let people do something else from the coming hour on."""
        drawn = self._given["people"] * np.random.default_rng(seed).gamma(16.0, 1 / 16, self._people.shape)
        self._people = np.where(self._hours_left(), drawn, self._people)

    def _hours_left(self) -> NDArray[np.bool_]:
        """Return which hours of the year are still to come, ``[hour, 1]``; after its end all of them are."""
        hour = -(-self._at // _PER_HOUR)
        found: NDArray[np.bool_] = (np.arange(len(self._people)) >= hour % len(self._people))[:, None]
        return found

    def calibrate(self, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
        """Fit capacity, loss and sun to temperatures, from where the twin stands; the last third is held out.

        ``observed`` has every zone's temperature and heat, a step each. Returns the factors and the
        root mean square error of temperature in K on the part that was held out. Temperatures that were not
        measured (NaN) count for nothing; those of the first step, where it begins, and heat have to be known.
        """
        from scipy.optimize import least_squares

        from nervure.twin.record import known

        names = [f"{zone.name}/{what}" for what in ("temperature", "heat") for zone in self._zones]
        lacking = [name for name in names if name not in observed]
        if lacking:
            raise TwinError(f"calibrating needs {lacking[0]}", hint=f"give {', '.join(names)}")
        count = len(self._zones)
        table = np.array([observed[name] for name in names]).T
        if len(table) < 24 * _PER_HOUR:
            raise TwinError(f"{len(table)} steps are too few", hint="give a day at least")
        seen, heat = table[:, :count], table[:, count:]
        start, cut = self._at, len(table) * 2 // 3
        for place, name in enumerate(names):
            known(name, heat[:, place - count] if place >= count else seen[:1, place])
            if place < count and not np.isfinite(seen[:cut, place]).sum() > len(table) // 3:
                raise TwinError(f"{name} was measured in less than half of the first two thirds")
        if not np.isfinite(seen[cut:]).any():
            raise TwinError("no temperature was measured in the last third")

        def wrong(factors: Floats, until: int) -> Floats:
            house = House(capacity=factors[0], loss=factors[1], sun=factors[2])
            mass = seen[0] + factors[3]
            off: Floats = self._replay(house, start, mass, seen[0], heat[:until]) - seen[:until]
            return np.where(np.isfinite(seen[:until]), off, 0.0).reshape(-1)

        bounds = ([0.3, 0.3, 0.0, -6.0], [3.0, 3.0, 3.0, 6.0])
        fit = least_squares(lambda one: wrong(one, cut), [1.0, 1.0, 1.0, -1.0], bounds=bounds, diff_step=1e-3)
        rest = wrong(fit.x, len(table))[cut * count :]
        found = dict(zip(("capacity", "loss", "sun"), fit.x[:3].tolist(), strict=True))
        return {**found, "held_out_rmse_k": float(np.sqrt((rest**2).sum() / np.isfinite(seen[cut:]).sum()))}

    def kpis(self) -> Mapping[str, float]:
        """Return cost in money, discomfort, and energies, since the reset."""
        cost, hvac, comfort, bought, sold = self._sums.tolist()
        return {"cost": cost, "comfort": comfort, "hvac": hvac, "bought": bought, "sold": sold}

    def close(self) -> None:
        """Nothing is to be ended."""

    def _replay(self, house: House, start: int, mass: Floats, air: Floats, heat: Floats) -> Floats:
        """Return the air temperatures that follow from heat that was given: ``[time, zone]``."""
        a, b = discrete(house, STEP_S)
        x = np.concatenate([air, mass])
        out = np.empty_like(heat)
        keep, kept = self._at, self._house
        self._house = house
        for row in range(len(heat)):
            out[row] = x[:2]
            self._at = start + row
            outdoor, glass, _ = self._outside()
            force = self._force(outdoor, glass, self._at / _PER_HOUR, people=np.ones(2))
            if row + 1 < len(heat):
                force[:2] += heat[row + 1]  # what is read after a step was given during it
            x = a @ x + b @ force
        self._at, self._house = keep, kept
        return out

    def _outside(self) -> tuple[float, float, float]:
        """Return outdoors in Cel, and sun on glass and roof in W/m2, now."""
        hour, part = divmod(self._at, _PER_HOUR)
        here, later = hour % 8760, (hour + 1) % 8760
        share = part / _PER_HOUR
        weather = self._weather.outdoor
        outdoor = float(weather[here] * (1 - share) + weather[later] * share) + self._given["warmer_k"]
        return outdoor, float(self._glass[here]), float(self._roof[here])

    def _force(self, outdoor: float, glass: float, hour: float, people: Floats | None = None) -> Floats:
        """Return the inputs of a step, without heating: ``[3 zone + 1]``."""
        who = self._people[int(hour) % 8760] if people is None else people
        at_home = self._comfort.band(hour)[0] >= 20.0
        gain = np.array([260.0, 70.0]) * (1.0 if at_home else 0.35)
        sun = np.array([zone.glass_m2 for zone in self._zones]) * 0.55 * glass * self._house.sun
        return np.concatenate([np.zeros(2), 0.6 * sun, gain * who + 0.4 * sun, [outdoor]])

    def _setpoints(self) -> tuple[Floats, Floats]:
        """Return what the thermostats hold, ``[zone]`` each: commanded, or the band of a person at home."""
        low = np.array([self._set[f"{zone.name}/heat_setpoint"] for zone in self._zones])
        high = np.array([self._set[f"{zone.name}/cool_setpoint"] for zone in self._zones])
        low = np.where(np.isnan(low), 20.0, low)
        high = np.where(np.isnan(high), 25.0, high)
        return low, np.maximum(high, low + 0.5)  # heating goes before cooling

    def _thermostat(self, force: Floats) -> Floats:
        """Return the heat in W (cold is negative) that keeps every air between its setpoints, ``[zone]``."""
        low, high = self._setpoints()
        free = (self._a @ self._x + self._b @ force)[:2]
        most = np.array([zone.power_w for zone in self._zones])
        gain, heat = self._b[:2, :2], np.zeros(2)
        for _ in range(12):  # the zones warm each other a little: this settles at once
            before = heat.copy()
            for at in (0, 1):
                rest = free[at] + gain[at, 1 - at] * heat[1 - at]
                need = max(low[at] - rest, 0.0) + min(high[at] - rest, 0.0)
                heat[at] = min(max(need / gain[at, at], -most[at]), most[at])
            if np.abs(heat - before).max() < 1e-9:
                break
        return heat

    def _count(self, outdoor: float, roof: float, hour: float) -> None:
        """Add a step to what came of it."""
        used = self._heat.clip(min=0).sum() / heating_ratio(outdoor)
        used += (-self._heat).clip(min=0).sum() / cooling_ratio(outdoor)
        sun = self._given["pv_kw"] * roof * 0.9 * (1 - 0.004 * (outdoor + _CELL_K * roof - 25.0))
        left = self._given["base_w"] + used - max(sun, 0.0)
        grid = left + self._charged(left)
        hours, price = STEP_S / 3600, self._given["price"] * self._tariff.price(hour)
        bought, sold = max(grid, 0.0) / 1000 * hours, max(-grid, 0.0) / 1000 * hours
        missed = sum(self._comfort.missed(self._at / _PER_HOUR - 1e-9, one) for one in self._x[:2].tolist())
        cost = bought * price - sold * self._tariff.sold
        hot = missed if missed > 1e-6 else 0.0  # what rounding leaves is no discomfort
        self._sums += np.array([cost, used / 1000 * hours, hot / 2 * hours, bought, sold])
        self._flow = np.array([max(sun, 0.0), grid, used])

    def _charged(self, left_w: float) -> float:
        """Charge the battery as commanded, or with what the sun leaves over; return the power it took."""
        size, hours = self._given["battery_kwh"], STEP_S / 3600
        if size <= 0:
            return 0.0
        asked = self._set["battery/power"]
        power = float(np.clip(-left_w if np.isnan(asked) else asked, -_BATTERY_W, _BATTERY_W))
        room, held = (size - self._charge) * 1000 / hours, self._charge * 1000 / hours
        power = min(power, room / _EFFICIENCY) if power > 0 else max(power, -held * _EFFICIENCY)
        self._charge += power * (_EFFICIENCY if power > 0 else 1 / _EFFICIENCY) * hours / 1000
        return power

    def _read(self) -> Mapping[str, float]:
        outdoor, glass, _ = self._outside()
        size = self._given["battery_kwh"]
        values = {
            "outdoor/temperature": outdoor,
            "outdoor/sun": glass,
            "station/temperature": outdoor,
            "station/sun": glass,
            "battery/level": 100 * self._charge / size if size > 0 else 0.0,
            "roof/power": float(self._flow[0]),
            "grid/power": float(self._flow[1]),
            "pump/power": float(self._flow[2]),
        }
        for at, zone in enumerate(self._zones):
            values[f"{zone.name}/temperature"] = float(self._x[at])
            values[f"{zone.name}/heat"] = float(self._heat[at])
        return values


def _room(zone: Zone, tariff: Tariff, comfort: Comfort) -> Room:
    """Return what a controller has to know of a zone."""
    return Room(
        name=zone.name, comfort=comfort, power_w=zone.power_w, heating=HEATING, cooling=COOLING,
        price=tuple(tariff.price(hour) for hour in range(24)), sold=tariff.sold,
    )  # fmt: skip


def _actuators(tariff: Tariff, comfort: Comfort) -> tuple[Actuator, ...]:
    found = [
        Actuator(
            name=f"{zone.name}/{what}_setpoint", thing=zone.name, signal=f"{what}_setpoint", unit="Cel",
            low=low, high=high, rest=rest,
            about={"room": msgspec.to_builtins(_room(zone, tariff, comfort))},
        )
        for zone in ZONES
        for what, low, high, rest in (("heat", 5.0, 30.0, 20.0), ("cool", 15.0, 40.0, 25.0))
    ]  # fmt: skip
    battery = Actuator(
        name="battery/power", thing="battery", signal="power", unit="W", low=-_BATTERY_W, high=_BATTERY_W
    )
    return (*found, battery)


def _sensors() -> tuple[Sensor, ...]:
    zones = [
        Sensor(name=f"{zone.name}/{signal}", thing=zone.name, signal=signal, unit=unit)
        for zone in ZONES
        for signal, unit in (("temperature", "Cel"), ("heat", "W"))
    ]
    rest = [
        Sensor(name=f"{thing}/{signal}", thing=thing, signal=signal, unit=unit)
        for thing, signal, unit in (
            ("outdoor", "temperature", "Cel"), ("outdoor", "sun", "W/m2"), ("battery", "level", "%"),
            ("roof", "power", "W"), ("grid", "power", "W"), ("pump", "power", "W"),
        )
    ]  # fmt: skip
    station = [
        Sensor(name=f"station/{signal}", thing="station", signal=signal, unit=unit, every_s=3600.0)
        for signal, unit in (("temperature", "Cel"), ("sun", "W/m2"))
    ]
    return (*zones, *rest, *station)
