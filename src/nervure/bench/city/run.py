"""The demo of a city, from a fresh data folder to what came of it.

The node, every twin and every controller are processes of their own, started as a person would at the
command line; this process is the city around them: it gives out accounts, lets loops act, sends hostile
commands, and counts what came of it all.
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

import nervure
from nervure.bench.city.count import counted
from nervure.bench.city.foresight import WEATHER, Learned, foreseen, learned, learning
from nervure.bench.city.history import lived
from nervure.bench.city.hostile import Hostile
from nervure.bench.city.outcome import Kpi, Outcome, Side
from nervure.bench.city.parts import Program, Yard
from nervure.bench.city.plan import Part, Plan, plan
from nervure.bench.process import NodeProcess, free_settings
from nervure.core.access import Access
from nervure.core.error import EnvironmentMissing, NervureError
from nervure.core.settings import Project, Settings, Watched
from nervure.store.catalogue import Catalogue
from nervure.trust.office import MACHINE, Office
from nervure.trust.register import Register

__all__ = ["Options", "perform"]

Tell = Callable[[float, str], None]
_USER, _STRANGER = "city", "stranger"
_SHOW_S = 5.0
_ENROL_S, _JOIN_S, _LATE_S = 120.0, 60.0, 120.0
_HOSTILE = 0.1
"""The share of the run after which hostile commands come."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to run the demo: in which fresh folder, which seed, seconds instead of minutes, which twins."""

    folder: Path
    seed: int = 1
    quick: bool = False
    only: tuple[str, ...] = ()


def perform(options: Options, tell: Tell) -> Outcome:
    """Run the demo and return what it measured."""
    return _City(options, tell).run()


class _City:
    """One run; the steps are in the order in which they happen."""

    def __init__(self, options: Options, tell: Tell) -> None:
        self.options, self.tell = options, tell
        self.plan: Plan = plan(quick=options.quick, seed=options.seed, only=options.only)
        self.begun = time.monotonic()
        seen = [Watched(name=part.foresee, solution=WEATHER) for part in self.plan.parts if part.foresee]
        self.settings: Settings = free_settings(
            options.folder, project=Project(name="city", solutions=(WEATHER,) if seen else ()),
            access=Access(), thing=tuple(seen),
        )  # fmt: skip
        self.words = options.folder / "words"
        self.courses: dict[str, Program] = {}
        self.learned: dict[str, Learned] = {}

    def run(self) -> Outcome:
        self.words.mkdir(parents=True, exist_ok=True)
        token, stranger = self.accounts()
        self.node = NodeProcess(self.settings)
        self.tell(0.0, "starting the node")
        asyncio.run(self.node.start())
        self.yard = Yard(self.settings.folder / "nervure.toml", self.words, token, self.plan.seed)
        try:
            with httpx.Client(base_url=self.node.url, headers=_bearer(token), timeout=30.0) as api:
                twins = self.prepare(api)
                controllers = self.join()
                hostile = self.play(api, stranger, twins)
                found = {name: one.result(_LATE_S) for name, one in twins.items()}
                told = self.leave(controllers)
                self.settle()
                self.tell(1.0, "counting")
                counts = counted(self.plan, api, self.settings, self.yard, told, self.lived)
                foresight = foreseen(self.plan, self.settings, self.learned)
                engines = _engines(api)
        finally:
            self.yard.stop()
            asyncio.run(self.node.stop())
        return self.outcome((found, told, engines), counts | {"foresight": foresight}, hostile)

    def accounts(self) -> tuple[str, str]:
        """Make who runs the city, and a stranger who may act, too; returns their tokens."""
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        catalogue = Catalogue.open(self.settings.catalogue_place)
        office = Office(Register(catalogue.database), self.settings.folder.resolve() / "tls")
        tokens = []
        for name, role, granted in (
            (_USER, "admin", ("act", "configure-interlock")), (_STRANGER, "operator", ("act",)),
        ):  # fmt: skip
            office.add_user(MACHINE, name, role, granted=granted)  # type: ignore[arg-type]  # names of the table
            tokens.append(office.add_token(MACHINE, "demo", None, 1.0, name)[1])
        catalogue.close()
        return tokens[0], tokens[1]

    def prepare(self, api: httpx.Client) -> dict[str, Program]:
        """Let every twin make itself known, and every loop act."""
        self.tell(0.0, "twins make themselves known")
        twins = {part.twin: self.yard.twin(part) for part in self.plan.parts}
        for one in twins.values():
            one.wait_for("known", _ENROL_S)
        for loop in api.get("/api/loops").raise_for_status().json():
            forced = {"mode": "auto", "because": "a demonstration in front of twins"}
            api.post(f"/api/loops/{loop['id']}/mode", json=forced).raise_for_status()
        self.lived = sum(lived(api, part, self.plan.seed) for part in self.plan.parts)
        if any(part.foresee for part in self.plan.parts):
            self.sealed()
            self.courses = learning(self.yard)
        return twins

    def join(self) -> dict[str, Program]:
        """Start the controllers, and wait until they listen."""
        self.tell(0.0, "controllers take their seats")
        found = {part.twin: self.yard.controller(part) for part in self.plan.parts}
        for one in found.values():
            one.wait_for("listening", _JOIN_S)
        self.tell(0.0, "models are trained")
        self.learned = learned(self.courses)
        return found

    def play(self, api: httpx.Client, stranger: str, twins: Mapping[str, Program]) -> Hostile:
        """Let the twins run; hostile commands come, monitors are fitted. Returns when all have run."""
        for one in twins.values():
            one.begin()
        begun, hostile, shown_s = time.monotonic(), Hostile(self.node.url, stranger), 0.0
        waiting = {part.twin: part for part in self.plan.parts if part.watched is not None}
        while not all(one.over for one in twins.values()):
            spent = time.monotonic() - begun
            if spent > shown_s + _SHOW_S:
                shown_s = spent
                self.tell(min(spent / (self.plan.wall_s + 5.0), 0.99), self.shown(api))
            if spent > _HOSTILE * self.plan.wall_s and not hostile.sent:
                hostile.send(api)
            for part in [one for one in waiting.values() if _due(one, spent)]:
                self.yard.monitor(part, self.settings.project.name)
                del waiting[part.twin]
            if spent > self.plan.wall_s + _LATE_S:
                raise EnvironmentMissing("the twins do not come to their end", where=str(self.words))
            time.sleep(0.25)
        hostile.look(api)
        return hostile

    def shown(self, api: httpx.Client) -> str:
        """Say how the loops stand."""
        try:
            loops = api.get("/api/loops").raise_for_status().json()
        except httpx.HTTPError:
            return "the node is busy"
        held = sum(one["holder"].isdecimal() for one in loops)
        return f"{len(loops)} loops, {held} under command, {sum(one['judged'] for one in loops):,} judged"

    def leave(self, controllers: Mapping[str, Program]) -> dict[str, dict[str, Any]]:
        """Let the controllers see their last Tasks, and go."""
        time.sleep(1.0)
        for one in self.yard.programs:
            one.stop()
        return {name: one.result() for name, one in controllers.items()}

    def sealed(self) -> None:
        """Wait until what came so far is on the disk, where others read it."""
        end = time.monotonic() + 30.0
        behind = asyncio.run(self.node.status())["log"]["end"]
        time.sleep(self.settings.store.seal_s)
        while time.monotonic() < end:
            status = asyncio.run(self.node.status())
            if status["sealed_position"] >= min(behind, status["log"]["taken"]):
                return
            time.sleep(0.2)

    def settle(self) -> None:
        """Wait until everything in the log is stored."""
        end, before = time.monotonic() + 30.0, -1
        while time.monotonic() < end:
            status = asyncio.run(self.node.status())
            stored = int(status["sealed_position"])
            if stored == before:
                return
            before = stored
            time.sleep(1.0)

    def outcome(self, sides: tuple[dict[str, Any], ...], counts: dict[str, Any], hostile: Hostile) -> Outcome:
        """Put together what was found."""
        return Outcome(
            seed=self.plan.seed,
            quick=self.options.quick,
            wall_s=round(time.monotonic() - self.begun, 1),
            sides=tuple(_side(part, *(one[part.twin] for one in sides)) for part in self.plan.parts),
            sent=self.lived + sum(int(one["readings"]) for one in sides[0].values()),
            hostile=tuple(hostile.found),
            machine=_machine(),
            **counts,
        )


def _side(
    part: Part, ran: dict[str, Any], told: dict[str, Any], about: tuple[str, Mapping[str, str]]
) -> Side:  # fmt: skip
    engine, units = about
    return Side(
        twin=part.twin,
        title=part.title,
        engine=engine,
        controller=part.controller,
        simulated_h=part.minutes / 60,
        wall_s=round(ran["wall_s"], 2),
        event=part.event,
        readings=ran["readings"],
        silent=ran["silent"],
        acknowledged=ran["tasks"],
        refused_by_guards=ran["refused"],
        kpis=tuple(
            Kpi(name=name, unit=units.get(name, ""), alone=ran["alone"][name], joined=value)
            for name, value in ran["kpis"].items()
        ),
        counts=told.pop("counts", {}),
        told={name: value for name, value in told.items() if name != "controller"},
    )


def _machine() -> str:
    """Say on what this ran."""
    names = [line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if "model name" in line]
    processor = names[0].partition(":")[2].strip() if names else platform.machine()
    python = f"Python {platform.python_version()}, Nervure {nervure.__version__}"
    return f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, {python}"


def _due(part: Part, spent_s: float) -> bool:
    return part.watched is not None and spent_s * part.speed >= part.watched.after_min * 60


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _engines(api: httpx.Client) -> dict[str, tuple[str, Mapping[str, str]]]:
    """Return which engine computes each twin, as its Things say, and the units of its key figures."""
    answer = api.get("/v1.1/Things?$select=name,description&$top=1000")
    if answer.is_error:
        raise NervureError(f"the node answered {answer.status_code}")
    found: dict[str, tuple[str, Mapping[str, str]]] = {}
    for one in answer.json()["value"]:
        engine = str(one["description"]).partition("simulated by ")[2]
        if not engine:  # a Thing that a solution has made
            continue
        found.setdefault(str(one["name"]).partition("/")[0], (engine, UNITS))
    return found


UNITS: Mapping[str, str] = {
    "delay": "s", "wait": "s", "travel": "s", "standstill": "s", "longest_red": "s", "arrived": "",
    "cost": "money", "comfort": "K·h", "hvac": "kWh", "bought": "kWh", "sold": "kWh",
    "lost": "m³", "unserved": "m³", "lowest_pressure": "m", "cut_off": "junctions", "closed": "valves",
    "pumped": "kWh",
}  # fmt: skip
"""How the twins' key figures are written for people."""
