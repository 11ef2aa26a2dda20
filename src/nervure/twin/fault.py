"""Faults of the field, put between a twin and whoever listens: what sensors and commands do when they fail.

A fault hits detectors, not single readings: all readings of one detector (`J/lane/count`, `J/lane/queue`)
fail together. The same seed fails the same detectors at the same moments.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import msgspec
import numpy as np

from nervure.twin.api import TwinError

__all__ = ["KINDS", "Fault", "Faults", "detector", "mixed"]

Kind = Literal["drop", "delay", "bias", "stuck", "spoof"]
KINDS: tuple[Kind, ...] = ("drop", "delay", "bias", "stuck", "spoof")


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One way to fail.

    ``of`` is a pattern of names (``*/queue``), ``share`` the part of the detectors it hits. ``drop`` loses
    a reading with probability ``chance``, ``delay`` brings it ``steps`` steps later, ``bias`` multiplies it
    by ``value``, ``stuck`` repeats the one that was there when it began, ``spoof`` says ``value`` instead.
    It holds from ``begin_s`` to ``end_s`` of the simulated time.
    """

    kind: Kind
    of: str = "*"
    share: float = 1.0
    chance: float = 1.0
    value: float = 0.0
    steps: int = 3
    begin_s: float = 0.0
    end_s: float = math.inf


def detector(name: str) -> str:
    """Return what a reading belongs to.

    >>> detector("mid/north_in_0/queue")
    'mid/north_in_0'
    """
    return name.rpartition("/")[0] or name


class Faults:
    """Some faults on some names; feed it every step, in order. Works on readings as on commands.

    >>> faults = Faults([Fault(kind="spoof", of="*/level", value=9.0)], ["tank/level", "tank/flow"])
    >>> faults.through({"tank/level": 1.0, "tank/flow": 2.0}, 0.0)
    {'tank/level': 9.0, 'tank/flow': 2.0}

    Raises TwinError for a fault that hits nothing, or that cannot be.
    """

    def __init__(self, faults: Sequence[Fault], names: Sequence[str], *, seed: int = 0) -> None:
        self._chance = np.random.default_rng([seed, 1])
        choice = np.random.default_rng([seed, 2])
        self._hit: list[tuple[Fault, frozenset[str]]] = []
        self._held: dict[tuple[int, str], float] = {}
        self._late: dict[tuple[int, str], deque[float]] = {}
        for place, one in enumerate(faults):
            if not (0 <= one.share <= 1 and 0 <= one.chance <= 1 and one.steps >= 1):
                raise TwinError(
                    f"there is no such fault: {one}", where=f"$[{place}]",
                    hint="share and chance lie between 0 and 1, steps are 1 at least",
                )  # fmt: skip
            matched = sorted({detector(name) for name in names if fnmatchcase(name, one.of)})
            if not matched:
                raise TwinError(f"a fault of {one.of!r} hits nothing", where=f"$[{place}].of",
                                hint=f"names are such as {min(names, default='none')}")  # fmt: skip
            number = round(one.share * len(matched))
            chosen = {matched[at] for at in choice.permutation(len(matched))[:number]}
            hit = (name for name in names if detector(name) in chosen and fnmatchcase(name, one.of))
            self._hit.append((one, frozenset(hit)))

    @property
    def names(self) -> frozenset[str]:
        """The names that fail at some time."""
        return frozenset().union(*(hit for _, hit in self._hit))

    def through(self, values: Mapping[str, float], now_s: float) -> dict[str, float]:
        """Return what arrives of these values; what is lost is NaN, as nothing was said."""
        found = dict(values)
        for place, (one, hit) in enumerate(self._hit):
            active = one.begin_s <= now_s < one.end_s
            for name in [name for name in found if name in hit]:
                found[name] = self._one(place, one, name, found[name], active=active)
        return found

    def _one(self, place: int, one: Fault, name: str, value: float, *, active: bool) -> float:
        key = (place, name)
        if one.kind == "delay":  # what is under way when it begins or ends is not lost
            line = self._late.setdefault(key, deque(maxlen=one.steps + 1))
            line.append(value)
            return (line[0] if len(line) > one.steps else math.nan) if active else value
        if not active:
            self._held.pop(key, None)
            return value
        match one.kind:
            case "drop":
                return math.nan if self._chance.random() < one.chance else value
            case "bias":
                return value * one.value
            case "stuck":
                return self._held.setdefault(key, value)
            case _:
                return one.value


def mixed(share: float, names: Sequence[str], *, seed: int = 0) -> Faults:
    """Return faults of this share of all detectors, each of one kind by chance, through the whole run.

    Some lose everything, some half; some say half or double, some repeat, some are 30 s late, some lie
    that nobody is there or that a queue stands.
    """
    draw = np.random.default_rng([seed, 3])
    detectors = sorted({detector(name) for name in names})
    faults = []
    for at in draw.permutation(len(detectors))[: round(share * len(detectors))]:
        kind = KINDS[int(draw.integers(len(KINDS)))]
        value = {"bias": (0.5, 2.0), "spoof": (0.0, 8.0)}.get(kind, (0.0, 0.0))[int(draw.integers(2))]
        chance = (0.5, 1.0)[int(draw.integers(2))]
        begin = float(draw.uniform(0.0, 600.0)) if kind == "stuck" else 0.0
        of = detectors[at].replace("[", "[[]") + "/*"
        faults.append(Fault(kind=kind, of=of, value=value, chance=chance, begin_s=begin))
    return Faults(faults, names, seed=seed)
