"""SUMO, as little of it as signals need: start, a second, lanes, signals, what came of the trips.

A thin face of `libsumo` (Lopez et al., Microscopic Traffic Simulation using SUMO, ITSC 2018). It is one
simulation a process, and its Arrow is not pyarrow's: whoever opens it must not have loaded pyarrow.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

from nervure.core.error import EnvironmentMissing
from nervure.twin.api import TwinError
from nervure.twin.scene import Scene

__all__ = ["Area", "Phase", "Sumo", "Trips"]

_CAR_M = 7.5  # what a standing car takes of a lane, with its gap
_SQUEEZE_S = 60  # who has blocked a junction so long is driven around, as people do; else two may for ever
_MIN_S, _MAX_S = 5, 50  # of a green in the actuated plan, as RESCO's nets have it


class Phase(NamedTuple):
    """A green phase: how long the plan shows it, and its lights in SUMO's letters."""

    plan_s: float
    state: str


class Area(NamedTuple):
    """What a detector area sees: vehicles, those that stand, seconds the longest of them has waited."""

    cars: int
    queue: int
    wait_s: float


class Trips(NamedTuple):
    """Sums over all trips that were to begin until now, also those that are not over or could not begin."""

    wait_s: float
    delay_s: float
    travel_s: float
    arrived: int
    running: int
    pending: int


class Sumo:
    """The one simulation of this process."""

    def __init__(self) -> None:
        self._sumo = _library()
        self._folder = tempfile.TemporaryDirectory()
        self._running = False
        self._length: dict[str, float] = {}

    def start(self, scene: Scene, *, seed: int, scale: float, extra: str = "") -> None:
        """Begin anew; ``extra`` is put among the additional elements, such as other plans and loops."""
        self.end()
        more = Path(self._folder.name) / "more.xml"
        more.write_text(f"<additional>{extra}</additional>", "utf-8")
        words = [
            *("sumo", "-n", scene.net, "-r", ",".join(map(str, scene.routes)), "-a", more),
            *("-b", scene.begin_s, "--seed", seed % 2**31, "--scale", scale, "--step-length", 1),
            *("--no-step-log", "--no-warnings", "--xml-validation", "never"),
            *("--xml-validation.net", "never", "--xml-validation.routes", "never"),
            *("--time-to-teleport", -1, "--ignore-junction-blocker", _SQUEEZE_S),
            *("--waiting-time-memory", 100_000, "--ignore-route-errors"),
            *("--tripinfo-output", "/dev/null"),
        ]
        try:
            self._sumo.start([str(one) for one in words])
        except Exception as cause:  # libsumo raises its own and the XML parser's
            raise TwinError(f"SUMO does not start: {cause}", where=str(scene.net)) from cause
        self._running = True

    def end(self) -> None:
        """End the simulation, if one runs."""
        if self._running:
            self._running = False
            self._sumo.close()

    def close(self) -> None:
        """Let the engine go."""
        self.end()
        self._folder.cleanup()

    @property
    def version(self) -> str:
        """The engine and its version."""
        return str(self._sumo.simulation.getVersion()[1])

    @property
    def time_s(self) -> float:
        """The simulated second."""
        return float(self._sumo.simulation.getTime())

    def second(self) -> tuple[int, int]:
        """Simulate one second; returns how many arrived and how many collided in it."""
        self._sumo.simulationStep()
        of = self._sumo.simulation
        return int(of.getArrivedNumber()), len(of.getCollisions())

    def few(self, cars: int) -> bool:
        """Whether fewer cars than these are in the net."""
        return int(self._sumo.vehicle.getIDCount()) < cars

    def signals(self) -> list[str]:
        """Return the signals of the net, sorted."""
        return sorted(self._sumo.trafficlight.getIDList())

    def phases(self, signal: str) -> list[Phase]:
        """Return the green phases of a signal's own plan, each once, in its order."""
        found: dict[str, float] = {}
        for one in self._sumo.trafficlight.getAllProgramLogics(signal)[0].phases:
            if "y" not in one.state and "G" in one.state.upper():
                found[one.state] = found.get(one.state, 0.0) + float(one.duration)
        return [Phase(plan, state) for state, plan in found.items()]

    def links(self, signal: str) -> list[list[tuple[str, str]]]:
        """Return of each light of a signal the lanes it leads from and to."""
        return [
            [(one[0], one[1]) for one in light]
            for light in self._sumo.trafficlight.getControlledLinks(signal)
        ]

    def actuated(self, signal: str) -> str:
        """Return the signal's own plan with gap-based extension, as an additional element."""
        lines = [f'<tlLogic id={quoteattr(signal)} type="actuated" programID="actuated" offset="0">']
        for one in self._sumo.trafficlight.getAllProgramLogics(signal)[0].phases:
            green = "y" not in one.state and "G" in one.state.upper()
            span = f' minDur="{_MIN_S}" maxDur="{_MAX_S}"' if green else ""
            lines.append(f'<phase duration="{one.duration}" state="{one.state}"{span}/>')
        return "".join([*lines, "</tlLogic>"])

    def show(self, signal: str, state: str) -> None:
        """Let a signal show these lights until told otherwise."""
        self._sumo.trafficlight.setRedYellowGreenState(signal, state)

    def shown(self, signal: str) -> str:
        """Return the lights a signal shows."""
        return str(self._sumo.trafficlight.getRedYellowGreenState(signal))

    def program(self, signal: str, name: str) -> None:
        """Let a signal go on by one of its plans."""
        self._sumo.trafficlight.setProgram(signal, name)

    def length_m(self, lane: str) -> float:
        """Return how long a lane is."""
        found = self._length.get(lane)
        if found is None:
            found = self._length[lane] = float(self._sumo.lane.getLength(lane))
        return found

    def place(self, lane: str) -> tuple[float, float] | None:
        """Return longitude and latitude of a lane's end, where the net knows them."""
        x, y = self._sumo.lane.getShape(lane)[-1]
        try:
            lon, lat = self._sumo.simulation.convertGeo(x, y)
        except Exception:  # noqa: BLE001  # libsumo's own; a net without a projection has no places
            return None
        return (float(lon), float(lat)) if abs(lat) <= 90 and abs(lon) <= 180 else None

    def shapes(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """Return the middle line of every lane between junctions, metres to the east and to the north."""
        of = self._sumo.lane
        return {
            one: tuple((round(float(x), 2), round(float(y), 2)) for x, y in of.getShape(one))
            for one in of.getIDList()
            if not one.startswith(":")
        }

    def upstream(self) -> dict[str, list[str]]:
        """Return of every lane those that lead into it."""
        found: dict[str, list[str]] = {}
        for lane in self._sumo.lane.getIDList():
            if not lane.startswith(":"):
                for one in self._sumo.lane.getLinks(lane):
                    found.setdefault(one[0], []).append(lane)
        return found

    def area(self, stretches: Iterable[tuple[str, float]], reach_m: float) -> Area:
        """Look at lanes, each with how far its end is from the stop line, up to ``reach_m`` from it."""
        on, cars = self._sumo.lane.getLastStepVehicleIDs, self._sumo.vehicle
        count = queue = 0
        longest = 0.0
        for lane, beyond in stretches:
            cars_on = on(lane)
            end = beyond + self.length_m(lane) if cars_on else 0.0
            for one in cars_on:
                if end - cars.getLanePosition(one) <= reach_m:
                    count += 1
                    waited = cars.getWaitingTime(one)
                    if waited > 0:
                        queue += 1
                        longest = max(longest, waited)
        return Area(count, queue, longest)

    def full(self, lane: str) -> float:
        """Return which share of a lane is taken by vehicles that stand, 0 to 1."""
        cars = self._sumo.lane.getLastStepHaltingNumber(lane)
        return float(min(1.0, cars * _CAR_M / max(self.length_m(lane), _CAR_M)))

    def loop(self, name: str, lane: str, at_m: float, every_s: float) -> str:
        """Return an induction loop as an additional element."""
        return (
            f'<inductionLoop id={quoteattr(name)} lane={quoteattr(lane)} pos="{at_m:.1f}"'
            f' period="{every_s}" file="/dev/null"/>'
        )

    def passed(self, loop: str) -> int:
        """Return how many passed a loop in its last period."""
        return int(self._sumo.inductionloop.getLastIntervalVehicleNumber(loop))

    def came_from(self, loop: str) -> list[str]:
        """Return the edges on which those began that passed a loop in its last period, and still drive."""
        there = set(self._sumo.vehicle.getIDList())
        passed = self._sumo.inductionloop.getLastIntervalVehicleIDs(loop)
        return [str(self._sumo.vehicle.getRoute(one)[0]) for one in passed if one in there]

    def headway(self, factor: float) -> None:
        """Let drivers keep so much further behind each other, in time."""
        of = self._sumo.vehicletype
        for kind in of.getIDList():
            of.setTau(kind, of.getTau(kind) * factor)

    def shut(self, lane: str) -> None:
        """Let nobody onto a lane from now on."""
        self._sumo.lane.setDisallowed(lane, ["all"])

    def wet(self, share: float) -> None:
        """Let drivers go slower and keep apart, as in rain; 1 is a fifth of both."""
        for kind in self._sumo.vehicletype.getIDList():
            of = self._sumo.vehicletype
            of.setSpeedFactor(kind, of.getSpeedFactor(kind) * (1 - 0.2 * share))
            of.setTau(kind, of.getTau(kind) * (1 + 0.2 * share))

    def trips(self) -> Trips:
        """Return what came of all trips until now."""
        ask, cars = self._sumo.simulation, self._sumo.vehicle
        mean = {
            one: float(ask.getParameter("", f"device.tripinfo.{one}"))
            for one in ("count", "waitingTime", "timeLoss", "departDelay", "duration")
        }
        arrived = int(mean["count"])
        late = mean["departDelay"]
        wait = mean["waitingTime"] * arrived
        delay = (mean["timeLoss"] + late) * arrived
        travel = (mean["duration"] + late) * arrived
        running: Sequence[str] = cars.getIDList()
        now = self.time_s
        for one in running:
            late = cars.getDepartDelay(one)
            wait += cars.getAccumulatedWaitingTime(one)
            delay += cars.getTimeLoss(one) + late
            travel += now - cars.getDeparture(one) + late
        pending: Sequence[str] = ask.getPendingVehicles()
        for one in pending:
            late = max(0.0, cars.getDepartDelay(one))
            delay += late
            travel += late
        return Trips(wait, delay, travel, arrived, len(running), len(pending))


def _library() -> Any:
    """Load libsumo."""
    if "pyarrow" in sys.modules and "libsumo" not in sys.modules:
        raise TwinError(
            "libsumo and pyarrow cannot live in one process",
            hint="run the twin in a process of its own: nervure twin run roads",
        )
    try:
        os.environ.setdefault("LIBSUMO_AS_TRACI", "quiet")  # else it looks for a pyarrow, loaded or not
        import libsumo
    except ImportError as cause:
        raise EnvironmentMissing(
            f"the twin of roads needs SUMO: {cause}", hint='pip install "nervure[twin]"'
        ) from cause
    return libsumo
