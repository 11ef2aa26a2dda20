"""The five-zone building as a place to learn in: weeks by chance, in towns that are not the judged one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.storey import raised, start, with_fan
from nervure.act.controller.thermostat import LearnedStart
from nervure.bench.twin.house import BARE, Foresight
from nervure.bench.twin.office import FAN, ZONES, missed
from nervure.core.comfort import OFFICE
from nervure.core.storey import AHEAD_H, Storey
from nervure.twin.energyplus import EnergyPlus, five_zone
from nervure.twin.weather import chicago, read_epw

__all__ = ["EXAM", "TOWNS", "Campus", "foresee", "town"]

Floats = NDArray[np.float64]
TOWNS = ("Newark", "Sterling", "Denver", "Boulder")
"""Where it is taught: typical years that the package of EnergyPlus brings, by a word of the file's name."""
EXAM = "Willard"
"""Where nets are examined while they are taught; the judged year is another town's."""
_EXAM_SEED = 9_000_000
_EXAM_FIRST = (0, 90, 190)
_PER_DECISION = 2
_DISCOMFORT = 20.0  # kWh that a K.h is worth


class _Stretch(NamedTuple):
    town: str
    first: int


class _Standard(NamedTuple):
    """What the rule alone takes and misses, decision by decision: kWh and K.h."""

    kwh: Floats
    missed: Floats


def town(name: str) -> Path:
    """Return the weather file beside Chicago's whose name has this word."""
    return next(one for one in sorted(chicago().parent.glob("*.epw")) if name in one.name)


def foresee(weather: Path, seed: int, begun_h: float) -> Callable[[float, int], tuple[Floats, Floats]]:
    """Return forecasts of outdoors and sun, as wrong as the house's.

    Hours count from a Monday's midnight, and ``begun_h`` is when the file's first day begins.
    """
    ahead = Foresight(read_epw(weather), seed, BARE)

    def told(hour: float, count: int) -> tuple[Floats, Floats]:
        found = ahead(hour - begun_h, count)
        return found.outdoor, found.sun

    return told


class Campus:
    """Weeks by chance, decided every half hour for all zones together.

    What is paid is counted against what the rule alone takes in the same weather at the same time: the
    weather's part falls out, and what is left is what choices did. The rule has learnt before.
    """

    def __init__(self, folder: Path, *, fan: bool, days: int = 28) -> None:
        self._folder, self._fan, self._days = folder, fan, days
        self._standards: dict[_Stretch, _Standard] = {}
        self._ahead = {one: Foresight(read_epw(town(one)), 0, BARE) for one in (*TOWNS, EXAM)}
        self._rule = start(ZONES)
        self._live(_Stretch(TOWNS[0], 0), 364, self._rule)
        self._seasoned = copy.deepcopy(self._rule)
        self._twin: EnergyPlus | None = None

    @property
    def steps(self) -> int:
        """How many decisions an episode has."""
        return self._days * 48

    def reset(self, seed: int) -> NDArray[np.float32]:
        """Start some weeks by chance, or an examination."""
        rng = np.random.default_rng([seed, 52])
        if seed > _EXAM_SEED:
            at = _Stretch(EXAM, _EXAM_FIRST[(seed - 1) % len(_EXAM_FIRST)])
        else:
            at = _Stretch(str(rng.choice(TOWNS)), 7 * int(rng.integers(0, (364 - self._days) // 7)))
        if at not in self._standards:
            self._standards[at] = self._live(at, self._days, copy.deepcopy(self._seasoned))
        self._standard, self._number = self._standards[at], 0
        self._rule = copy.deepcopy(self._seasoned)
        self._storey = Storey(ZONES, OFFICE)
        self._at = at
        if self._twin is not None:
            self._twin.close()
        self._twin = self._open(at, self._days)
        self._readings, self._begun = dict(self._twin.reset()), self._twin.week_hour
        return self._look()

    def step(self, choice: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Choose for the storey; it earns what it saves of the rule's electricity and discomfort."""
        if self._twin is None:
            raise RuntimeError("reset first")
        used, lost = self._decision(self._twin, self._rule, int(choice[0]))
        standard, number = self._standard, self._number
        saved = standard.kwh[number] - used + _DISCOMFORT * (standard.missed[number] - lost)
        self._number += 1
        return self._look(), np.array([saved], np.float32)

    def close(self) -> None:
        """End the engine."""
        if self._twin is not None:
            self._twin.close()
            self._twin = None

    def _look(self) -> NDArray[np.float32]:
        passed = self._number / 2
        ahead = self._ahead[self._at.town](passed + 24.0 * self._at.first, AHEAD_H)
        return self._storey.look(self._begun + passed, self._readings, ahead.outdoor, ahead.sun)

    def _open(self, at: _Stretch, days: int) -> EnergyPlus:
        folder = self._folder / f"{at.first}-{days}"
        folder.mkdir(exist_ok=True)
        model = five_zone(folder, first=at.first, days=days + 1)  # it must not end with the last step
        return EnergyPlus(model, ZONES, weather=town(at.town), fans=(FAN,), annual=False)

    def _live(self, at: _Stretch, days: int, rule: LearnedStart) -> _Standard:
        """Live through a stretch by the rule alone."""
        twin = self._open(at, days)
        self._readings, self._number = dict(twin.reset()), 0
        self._begun = twin.week_hour
        found = np.empty((days * 48, 2))
        for number in range(len(found)):
            found[number] = self._decision(twin, rule, 0)
            self._number = number + 1
        twin.close()
        return _Standard(found[:, 0], found[:, 1])

    def _decision(self, twin: EnergyPlus, rule: LearnedStart, choice: int) -> tuple[float, float]:
        """Live through half an hour; return the electricity in kWh and the discomfort in K.h."""
        before, lost = twin.kpis()["hvac"], 0.0
        for part in range(_PER_DECISION):
            hour = self._begun + self._number / 2 + part / 4
            commands = raised(rule.decide(hour, self._readings), ZONES, choice)
            twin.apply(with_fan(commands, self._readings, ZONES, FAN) if self._fan else commands)
            self._readings = dict(twin.step())
            lost += missed(hour, self._readings) / 4
        return twin.kpis()["hvac"] - before, lost
