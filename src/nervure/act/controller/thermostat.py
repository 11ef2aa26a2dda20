"""Thermostats that let go when nobody needs the room, and start again in time.

A fixed schedule starts a fixed time ahead. The learned start measures how long each zone takes from how
far away and in what weather, by recursive least squares, and adds what it was late by. After the
"optimal start" of ASHRAE Handbook, HVAC Applications, chapter on supervisory control. Neither plans: a
price by the hour is for :mod:`nervure.act.controller.climate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.comfort import Comfort

__all__ = ["LearnedStart", "Schedule", "setpoints"]

Floats = NDArray[np.float64]
_OFF = (12.8, 40.0)  # Cel, what an empty room may come to
_LONGEST_H = 6.0


def setpoints(zone: str, low: float, high: float, *, least_c: float = _OFF[0]) -> dict[str, float]:
    """Return the commands that hold a zone in a band, which may not be wider than ``least_c`` to 40 Cel.

    >>> setpoints("hall", -100.0, 24.0)
    {'hall/heat_setpoint': 12.8, 'hall/cool_setpoint': 24.0}
    """
    return {f"{zone}/heat_setpoint": max(low, least_c), f"{zone}/cool_setpoint": min(high, _OFF[1])}


class Schedule:
    """Hold every band from a fixed time before it begins."""

    def __init__(self, zones: Sequence[str], comfort: Comfort, lead_h: float = 2.0) -> None:
        self._zones, self._comfort, self._lead = tuple(zones), comfort, lead_h

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return setpoints for an hour since a Monday's midnight."""
        low, high = self._comfort.band(hour)
        coming = self._comfort.next(hour)
        if coming is not None and coming[0] - hour <= self._lead + 1e-9:
            low, high = max(low, coming[1]), min(high, coming[2])
        return {name: one for zone in self._zones for name, one in setpoints(zone, low, high).items()}


class _Way(msgspec.Struct):
    """How long a zone takes one way: h per K, h per K and 10 K of weather, and what is spare."""

    weight: Floats
    doubt: Floats
    spare_h: float
    begun: tuple[float, float, float] | None = None
    """Since when, how far away then, and the weather then."""


def _way(spare_h: float) -> _Way:
    return _Way(weight=np.array([0.25, 0.05]), doubt=np.diag([0.1, 0.05]), spare_h=spare_h)


class LearnedStart:
    """Start each zone as late as it can be ready, which is learned from every start.

    ``most_late_k`` is what may still be missing when the band begins before a start counts as late,
    ``ready_h`` is how long before it every zone is to be ready, ``least_c`` how cold an empty one may become.
    """

    def __init__(
        self,
        zones: Sequence[str],
        comfort: Comfort,
        *,
        spare_h: float = 0.25,
        most_late_k: float = 0.1,
        ready_h: float = 0.0,
        least_c: float = _OFF[0],
    ) -> None:
        self._zones, self._comfort, self._late = tuple(zones), comfort, most_late_k
        self._ready, self._least_c = ready_h, least_c
        self._ways = {(zone, up): _way(spare_h) for zone in zones for up in (True, False)}

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return setpoints; reads every zone's temperature and outdoors, in Cel."""
        coming = self._comfort.next(hour)
        now_low, now_high = self._comfort.band(hour)
        outdoor = readings["outdoor/temperature"]
        commands: dict[str, float] = {}
        for zone in self._zones:
            air = readings[f"{zone}/temperature"]
            low, high = now_low, now_high
            if coming is not None:
                if coming[1] > now_low and self._due((zone, True), hour, coming[0], coming[1] - air, outdoor):
                    low = coming[1]
                if coming[2] < now_high and self._due(
                    (zone, False), hour, coming[0], air - coming[2], outdoor
                ):
                    high = coming[2]
            self._learn((zone, True), hour, max(low, now_low) - air, outdoor)
            self._learn((zone, False), hour, air - min(high, now_high), outdoor)
            commands |= setpoints(zone, low, high, least_c=self._least_c)
        return commands

    def lead_h(self, zone: str, gap_k: float, outdoor: float, *, up: bool = True) -> float:
        """Return how long before the band begins a zone would be started, that far from it."""
        return self._lead(self._ways[zone, up], gap_k, outdoor, up=up)

    def _lead(self, way: _Way, gap_k: float, outdoor: float, *, up: bool) -> float:
        if gap_k <= 0:
            return 0.0
        need = float(way.weight @ _features(gap_k, outdoor, up=up))
        return float(np.clip(need + way.spare_h, 0.0, _LONGEST_H))

    def _due(self, key: tuple[str, bool], hour: float, begins: float, gap_k: float, outdoor: float) -> bool:
        """Return whether to start now; once begun, a start goes on."""
        way, left = self._ways[key], begins - self._ready - hour
        if way.begun is not None:
            return True
        if gap_k <= 0:
            return left <= way.spare_h + 1e-9  # it is there already, and stays
        if left > self._lead(way, gap_k, outdoor, up=key[1]) + 1e-9:
            return False
        way.begun = (hour, gap_k, outdoor)
        return True

    def _learn(self, key: tuple[str, bool], hour: float, gap_k: float, outdoor: float) -> None:
        """Take up what a start took, when it is there, or when the band has begun without it."""
        way = self._ways[key]
        if way.begun is None:
            return
        since, was_k, then = way.begun
        took = hour - since
        there = gap_k <= self._late
        in_band = self._begun(hour + self._ready, since + self._ready)
        if not there and not (in_band and took > 0) and took < _LONGEST_H:
            return
        full = took if there else min(took * was_k / max(was_k - gap_k, 0.1 * was_k), 2 * _LONGEST_H)
        way.begun = None
        if was_k > 0.3:
            _update(way, _features(was_k, then, up=key[1]), full)
        late = not there
        way.spare_h = float(np.clip(way.spare_h + (0.1 if late else -0.01), 0.0, 1.5))

    def _begun(self, hour: float, since: float) -> bool:
        """Return whether the band has become narrower since a start."""
        now, then = self._comfort.band(hour), self._comfort.band(since)
        return now != then


def _features(gap_k: float, outdoor: float, *, up: bool) -> Floats:
    hard = (20.0 - outdoor if up else outdoor - 20.0) / 10.0
    return np.array([gap_k, gap_k * max(hard, 0.0)])


def _update(way: _Way, x: Floats, y: float, forget: float = 0.98) -> None:
    """Do one step of recursive least squares, with forgetting."""
    reach = way.doubt @ x
    gain = reach / (forget + x @ reach)
    way.weight = np.maximum(way.weight + gain * (y - x @ way.weight), 0.0)
    doubt = (way.doubt - np.outer(gain, reach)) / forget
    way.doubt = doubt if np.trace(doubt) < 1.0 else way.doubt
