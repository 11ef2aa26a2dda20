"""What a twin is: a simulator that says what it has, runs in steps, obeys commands and counts what matters.

A twin knows nothing of MQTT, of tasks or of controllers. Who steps it passes its readings on and brings it
commands, so the platform cannot tell it from the field, and a what-if run needs no broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from nervure.core.error import NervureError

__all__ = ["POSSIBLE", "Actuator", "Description", "Sensor", "Twin", "TwinError"]


class TwinError(NervureError):
    """A twin cannot do what was asked: no engine, no such scenario or actuator, a value out of range."""


POSSIBLE: Mapping[str, Mapping[str, float]] = {
    **{name: {"low": 0.0} for name in ("rain", "arrivals", "count", "queue", "wait", "quality")},
    "filled": {"low": 0.0, "high": 100.0},
}
"""Between which values a quantity can lie, by what it is called, in whichever unit; others in any."""


class Sensor(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity that a twin measures at one place."""

    name: str
    """Unique within the twin, as it is within a message: `north_in/queue`."""
    thing: str
    signal: str
    """The observed property, in the words of the Solutions."""
    unit: str
    """UCUM."""
    place: tuple[float, float] | None = None
    """Longitude and latitude in degrees (WGS 84), where it has them."""
    every_s: float | None = None
    """How often it says something in the field: at the first step from each whole multiple of that on."""


class Actuator(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a twin lets others set."""

    name: str
    thing: str
    signal: str
    unit: str
    low: float
    high: float
    rest: float | None = None
    """What it falls back to without commands; None when the twin has a plan of its own."""
    about: Mapping[str, Any] = {}
    """What a controller has to know of it, as JSON: of a signal, its junction."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What there is in a twin."""

    name: str
    engine: str
    """Which simulator computes it, with its version."""
    step_s: float
    """Simulated seconds of one step."""
    sensors: tuple[Sensor, ...]
    actuators: tuple[Actuator, ...]
    kpis: Mapping[str, str]
    """The figures that `Twin.kpis` returns, each with its UCUM unit."""


class Twin(Protocol):
    """A simulator of a part of the city. One at a time in a process: engines clash with other libraries."""

    def describe(self) -> Description:
        """Say what there is: sensors, actuators, key figures, the length of a step."""
        ...

    def reset(self, *, seed: int = 0, scenario: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Start anew and return the first readings by sensor.

        Raises TwinError for a quantity that the scenario cannot set, with those it can.
        """
        ...

    def step(self) -> Mapping[str, float]:
        """Simulate one step and return the readings by sensor; NaN where a sensor says nothing.

        A twin goes on for as long as it is stepped: past its storms it is dry, patterns of a day or a year
        begin anew, roads are empty when the last trip of their file is over. Engines that need an
        end raise TwinError there: EnergyPlus at that of its model's run period, SWMM after three years.
        """
        ...

    def apply(self, commands: Mapping[str, float]) -> None:
        """Set actuators; what is not named keeps its value.

        Raises TwinError for unknown names and for values out of range.
        """
        ...

    def release(self, names: tuple[str, ...] | None = None) -> None:
        """Give actuators (all without names) back to the twin's own local plan."""
        ...

    def snapshot(self) -> bytes:
        """Return the whole state; `restore` goes on from it exactly."""
        ...

    def restore(self, state: bytes) -> None:
        """Go back to a state."""
        ...

    def calibrate(self, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
        """Fit the twin's own quantities to readings by sensor, one a step, the first after one step.

        Returns what was fitted, by the names of a scenario, and errors of the last third, which was held out.
        """
        ...

    def kpis(self) -> Mapping[str, float]:
        """Return what came of it since the last reset."""
        ...

    def close(self) -> None:
        """End the engine."""
        ...
