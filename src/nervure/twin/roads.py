"""The twin of roads: SUMO behind the protocol of twins; a signal obeys phases and clears between them.

Its local plan is what the net's signals do by themselves: fixed times as in the net, or the same phases
extended by gaps (``plan="actuated"``).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from nervure.twin.api import Description, TwinError
from nervure.twin.ask import checked, given
from nervure.twin.demand import Demand
from nervure.twin.scene import find_scene
from nervure.twin.sumo import Sumo
from nervure.twin.survey import Post, actuators, loops, sensors, survey

__all__ = ["Roads"]

_KNOWN = {"demand": 1.0, "wet": 0.0, "shut_lane": 0.0, "headway": 1.0}
_KPIS = {
    "delay": "s", "wait": "s", "travel": "s", "arrived": "{#}", "running": "{#}", "pending": "{#}",
    "collisions": "{#}", "standstill": "s", "longest_red": "s",
}  # fmt: skip
_FEW = 10  # fewer cars in the net are no standstill, if none arrives
_FROM = "demand/"
_RED = frozenset("rRsuyY")  # lights that do not let a lane through for good


class _Light(msgspec.Struct):
    """How one signal stands: commanded phase or None, lights to show after clearance, and when."""

    phase: int | None = None
    then: str = ""
    clear_s: float = 0.0
    shown: str = ""
    seen: str = ""
    red: frozenset[int] = frozenset()
    """Places of the lights seen last that let nobody through."""
    waiting_since: dict[tuple[int, int], float] = {}
    """Since when somebody has stood in a lane while a light of it was red: whose turn that is nobody asks."""


class _State(msgspec.Struct):
    """What of a run is not in the engine."""

    lights: dict[str, _Light]
    last_arrival_s: float
    standstill_s: float = 0.0
    longest_red_s: float = 0.0
    collisions: int = 0


class _Story(msgspec.Struct):
    """All that decides a run: told again, it ends in the same state to the last bit."""

    net: str
    plan: str
    step_s: float
    seed: int
    scenario: dict[str, float]
    steps: int = 0
    commands: list[tuple[int, dict[str, float]]] = []
    """Before which step which phases were commanded; -1 for a release."""


class Roads:
    """A net with its signals.

    ``net`` is ``crossing``, ``corridor``, ``resco/NAME`` or a ``.sumocfg`` file, ``step_s`` the simulated
    seconds of a step, ``reach_m`` how far from the stop line detectors see, ``yellow_s`` how long a signal
    clears before another phase. The scenario sets ``demand`` (1 as in the files), ``wet`` (0 to 1: slower
    and further apart), ``shut_lane`` (the number of a lane that comes in to a signal, from 1; 0: none),
    ``headway`` (a factor on how far behind each other people drive, in time) and ``demand/EDGE`` (a factor on
    the demand that begins on an edge).
    A simulation says how signals compare, not how long a trip takes in the town.

    Raises TwinError where another twin of roads, or pyarrow, is in this process.
    """

    _one: ClassVar[bool] = False

    def __init__(
        self, net: str = "crossing", *, step_s: float = 10.0, plan: str = "fixed", reach_m: float = 80.0,
        yellow_s: float = 3.0,
    ) -> None:  # fmt: skip
        if Roads._one:
            raise TwinError("there is a twin of roads in this process already", hint="one a process")
        if plan not in ("fixed", "actuated"):
            raise TwinError(f"signals have no plan {plan!r}", hint="fixed or actuated")
        if not step_s > yellow_s or step_s != int(step_s):
            raise TwinError(
                f"a step cannot be {step_s:g} s",
                hint=f"whole seconds, more than the yellow of {yellow_s:g} s",
            )
        self._scene = find_scene(net)
        self._demand, self._folder = Demand(self._scene), tempfile.TemporaryDirectory()
        self._step_s, self._reach_m = step_s, reach_m
        self._sumo = Sumo()
        Roads._one = True
        self._sumo.start(self._scene, seed=0, scale=1.0)
        self._posts = survey(self._sumo, reach_m=reach_m, yellow_s=yellow_s)
        self._program = "actuated" if plan == "actuated" else "0"
        self._extra = loops(self._sumo, self._posts, step_s)
        if plan == "actuated":
            self._extra += "".join(self._sumo.actuated(one.junction.name) for one in self._posts)
        self._sensors = sensors(self._posts)
        self._actuators = {one.name: one for one in actuators(self._posts)}
        self._by_command = {one.junction.command: one for one in self._posts}
        self.reset()

    def describe(self) -> Description:
        """Say what there is."""
        return Description(
            name=f"roads {self._scene.name}",
            engine=self._sumo.version,
            step_s=self._step_s,
            sensors=self._sensors,
            actuators=tuple(self._actuators.values()),
            kpis=_KPIS,
        )

    def streets(self) -> Mapping[str, tuple[tuple[float, float], ...]]:
        """Return the middle line of every lane, metres to the east and to the north of the net's corner."""
        return self._sumo.shapes()

    @property
    def span_s(self) -> float:
        """How long the demand of the net lasts."""
        return self._scene.end_s - self._scene.begin_s

    @property
    def origins(self) -> tuple[str, ...]:
        """The edges that trips begin on."""
        return self._demand.origins

    def came_from(self, sensor: str) -> list[str]:
        """Return where those began that a sensor of arrivals counted in the last step, and still drive."""
        return self._sumo.came_from(sensor.removesuffix("/arrivals"))

    def reset(self, *, seed: int = 0, scenario: Mapping[str, float] | None = None) -> Mapping[str, float]:
        """Start anew; every signal is on its own plan."""
        by_origin = {name: one for name, one in (scenario or {}).items() if name.startswith(_FROM)}
        wish = given({name: one for name, one in (scenario or {}).items() if name not in by_origin}, _KNOWN)
        self._check_origins(by_origin)
        lanes = sum(len(post.junction.lanes) for post in self._posts)
        if not (
            0 < wish["demand"] <= 10
            and 0 <= wish["wet"] <= 1
            and wish["shut_lane"] in range(lanes + 1)
            and 0.3 <= wish["headway"] <= 3
        ):
            raise TwinError(
                f"there is no such scenario: {wish}",
                hint=f"demand above 0 to 10, wet 0 to 1, shut_lane 0 to {lanes}, headway 0.3 to 3",
            )
        self._begin(seed, {**wish, **by_origin})
        return self._readings()

    def step(self) -> Mapping[str, float]:
        """Simulate one step."""
        self._advance()
        return self._readings()

    def apply(self, commands: Mapping[str, float]) -> None:
        """Set phases by their numbers; what loses its green is yellow first, as in the field."""
        for name, value in checked(commands, self._actuators).items():
            if value != int(value):
                raise TwinError(f"{name} cannot be {value:g}", hint="phases have whole numbers, from 0")
            post = self._by_command[name]
            light = self._state.lights[post.junction.name]
            if light.phase != int(value):
                light.phase = int(value)
                self._change(post, light, post.states[light.phase])
                self._story.commands.append((self._story.steps, {name: float(value)}))

    def release(self, names: tuple[str, ...] | None = None) -> None:
        """Let signals go on by their own plan, after a clearance where they had been commanded."""
        checked(dict.fromkeys(names or (), 0.0), self._actuators)
        for name in self._by_command if names is None else names:
            post = self._by_command[name]
            light = self._state.lights[post.junction.name]
            if light.phase is not None:
                light.phase = None
                self._change(post, light, "")
                self._story.commands.append((self._story.steps, {name: -1.0}))

    def snapshot(self) -> bytes:
        """Return what has been asked of this run until now.

        SUMO's own saved state goes on a little differently, so a state is the way to it. Going back takes
        what the run has taken: half a second for an hour at a crossing.
        """
        return msgspec.msgpack.encode(self._story)

    def restore(self, state: bytes) -> None:
        """Go back to a state, by living through it again."""
        try:
            story = msgspec.msgpack.decode(state, type=_Story)
        except msgspec.DecodeError as cause:
            raise TwinError(f"this is no state of this twin: {cause}") from cause
        mine = self._story
        if (story.net, story.plan, story.step_s) != (mine.net, mine.plan, mine.step_s):
            raise TwinError(
                f"this is a state of {story.net}, plan {story.plan}, steps of {story.step_s:g} s",
                hint=f"this is {mine.net}, plan {mine.plan}, steps of {mine.step_s:g} s",
            )
        self._begin(story.seed, story.scenario)
        waiting = story.commands[::-1]
        for number in range(story.steps + 1):
            while waiting and waiting[-1][0] == number:
                commands = waiting.pop()[1]
                self.apply({name: value for name, value in commands.items() if value >= 0})
                if back := tuple(name for name, value in commands.items() if value < 0):
                    self.release(back)
            if number < story.steps:
                self._advance()

    def calibrate(self, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
        """Fit demand by origin to arrivals, and headway to queues, one a step; the last third is held out.

        Returns what a scenario takes, and errors: :func:`nervure.twin.fit.fit_demand`.
        """
        from nervure.twin.fit import fit_demand

        return fit_demand(self, observed)

    def kpis(self) -> Mapping[str, float]:
        """Return the means over all trips that were to begin, over or not, and how the net stood."""
        found = self._sumo.trips()
        trips = max(1, found.arrived + found.running + found.pending)
        return {
            "delay": found.delay_s / trips,
            "wait": found.wait_s / trips,
            "travel": found.travel_s / trips,
            "arrived": float(found.arrived),
            "running": float(found.running),
            "pending": float(found.pending),
            "collisions": float(self._state.collisions),
            "standstill": self._state.standstill_s,
            "longest_red": self._state.longest_red_s,
        }

    def close(self) -> None:
        """End the engine; another twin of roads may be opened in this process."""
        self._sumo.close()
        Roads._one = False

    def _check_origins(self, factors: Mapping[str, float]) -> None:
        known = self.origins if factors else ()
        for name, one in factors.items():
            if name.removeprefix(_FROM) not in known:
                raise TwinError(
                    f"no trip begins on {name.removeprefix(_FROM)!r}", hint=f"such as {known[:3]}"
                )
            if not 0 <= one <= 10:
                raise TwinError(f"{name} cannot be {one:g}", hint="give a factor from 0 to 10")

    def _begin(self, seed: int, scenario: dict[str, float]) -> None:
        """Start the engine with a scenario that is known to be one."""
        factors = {name.removeprefix(_FROM): one for name, one in scenario.items() if name.startswith(_FROM)}
        scene = self._demand.scaled(factors, Path(self._folder.name)) if factors else self._scene
        self._sumo.start(scene, seed=seed, scale=scenario["demand"], extra=self._extra)
        if scenario["wet"]:
            self._sumo.wet(scenario["wet"])
        if scenario.get("headway", 1.0) != 1.0:
            self._sumo.headway(scenario["headway"])
        if scenario["shut_lane"]:
            lanes = [lane for post in self._posts for lane in post.junction.lanes]
            self._sumo.shut(lanes[int(scenario["shut_lane"]) - 1])
        now = self._sumo.time_s
        lights = {post.junction.name: _Light() for post in self._posts}
        self._state = _State(lights=lights, last_arrival_s=now)
        self._story = _Story(
            net=self._scene.name, plan=self._program, step_s=self._step_s, seed=seed, scenario=scenario
        )
        for post in self._posts:
            self._sumo.program(post.junction.name, self._program)

    def _advance(self) -> None:
        """Simulate one step without looking at it."""
        for _ in range(int(self._step_s)):
            self._clear()
            arrived, collided = self._sumo.second()
            self._watch(arrived, collided)
        self._story.steps += 1

    def _readings(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for post in self._posts:
            one = post.junction
            found[one.shown] = self._shown(post)
            for number, (lane, stretches) in enumerate(post.areas.items()):
                area = self._sumo.area(stretches, self._reach_m)
                self._wait(post, number, area.queue)
                found[one.reading(lane, "count")] = float(area.cars)
                found[one.reading(lane, "queue")] = float(area.queue)
                found[one.reading(lane, "wait")] = area.wait_s
                found[one.reading(lane, "arrivals")] = float(self._sumo.passed(f"{one.name}/{lane}"))
            for out in one.outs:
                found[one.full(out)] = self._sumo.full(out)
        return found

    def _shown(self, post: Post) -> float:
        """Return the phase that is on, or comes after clearance; NaN between phases of the own plan."""
        light = self._state.lights[post.junction.name]
        if light.phase is not None:
            return float(light.phase)
        shown = self._sumo.shown(post.junction.name)
        return float(post.states.index(shown)) if shown in post.states else math.nan

    def _change(self, post: Post, light: _Light, then: str) -> None:
        """Begin the clearance: what is green and will not be turns yellow; what is yellow stays so."""
        name = post.junction.name
        now = self._sumo.shown(name)
        after = then or "r" * len(now)
        between = "".join(
            "y" if old in "Yy" or (old in "Gg" and new not in "Gg") else "r" if old not in "Gg" else old
            for old, new in zip(now, after, strict=True)
        )
        clears = "y" in between
        light.then, light.shown = then, between if clears else then
        light.clear_s = self._sumo.time_s + (post.junction.yellow_s if clears else 0.0)
        if clears:
            self._sumo.show(name, between)
        else:
            self._settle(name, light)

    def _clear(self) -> None:
        """End the clearances that are over."""
        now = self._sumo.time_s
        for name, light in self._state.lights.items():
            if light.clear_s and now >= light.clear_s:
                self._settle(name, light)

    def _settle(self, name: str, light: _Light) -> None:
        light.clear_s, light.shown = 0.0, light.then
        if light.then:
            self._sumo.show(name, light.then)
        else:
            self._sumo.program(name, self._program)

    def _watch(self, arrived: int, collided: int) -> None:
        """Keep what a second meant: arrivals, standstill, collisions, how long lights have been red."""
        state, now = self._state, self._sumo.time_s
        state.collisions += collided
        if arrived or self._sumo.few(_FEW):
            state.last_arrival_s = now
        state.standstill_s = max(state.standstill_s, now - state.last_arrival_s)
        for post in self._posts:
            light, shown = state.lights[post.junction.name], self._sumo.shown(post.junction.name)
            if shown != light.seen:
                light.seen = shown
                light.red = frozenset(at for at, letter in enumerate(shown) if letter in _RED)
                for key in [key for key in light.waiting_since if key[1] not in light.red]:
                    del light.waiting_since[key]

    def _wait(self, post: Post, lane: int, queue: int) -> None:
        """Note how long somebody has stood at a red light; looked at once a step, so it is up to one more."""
        state, now = self._state, self._sumo.time_s
        light = state.lights[post.junction.name]
        for key in [(lane, at) for at in post.lights[lane]]:
            if queue and key[1] in light.red:
                since = light.waiting_since.setdefault(key, now - self._step_s)
                state.longest_red_s = max(state.longest_red_s, now - since)
            else:
                light.waiting_since.pop(key, None)
