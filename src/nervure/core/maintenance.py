"""Nouns of maintenance: what is looked after, by whom, what is worth doing, and when it is done.

Days are counted from today, which is day 0; hours are hours of work. Costs are in one currency.
"""

from __future__ import annotations

import msgspec

__all__ = ["Asset", "Crew", "Deferral", "Plan", "Visit", "Work"]


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that wears, and how long it may last yet.

    ``low``, ``mid`` and ``high`` are quantiles of its remaining life in days: the middle one and the
    ends of a central interval. ``cost_preventive`` is a renewal in time, ``cost_failure`` all that a
    failure costs (with its renewal, but for the hours it stands). ``hours`` is what the work takes
    and ``failure_hours`` how long a failure stops it (``hours`` if not said), each costing
    ``downtime`` an hour. Work may start on day ``earliest`` and is done before day ``latest`` begins
    (``None``: whenever). ``life`` is how many days a new one lasts, if known.
    """

    name: str
    low: float
    mid: float
    high: float
    cost_preventive: float
    cost_failure: float
    hours: float
    failure_hours: float | None = None
    downtime: float = 0.0
    earliest: float = 0.0
    latest: float | None = None
    life: float | None = None
    skill: str = ""

    @property
    def planned(self) -> float:
        """What a renewal in time costs in all."""
        return self.cost_preventive + self.hours * self.downtime

    @property
    def failed(self) -> float:
        """What a failure costs in all."""
        return self.cost_failure + (self.failure_hours or self.hours) * self.downtime


class Crew(msgspec.Struct, frozen=True, kw_only=True):
    """Who works; without ``skills`` they can do everything."""

    name: str
    skills: tuple[str, ...] = ()

    def can(self, skill: str) -> bool:
        """Whether work that asks for a skill can be theirs; an empty skill is anybody's."""
        return not skill or not self.skills or skill in self.skills


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """An asset on the work list: ``best`` is the day to do it on, were there always a crew.

    ``risk`` is the chance that it fails before the horizon ends, ``saves`` what doing it on its best
    day is expected to spare beside leaving it until after the horizon; below 0 it is better left.
    """

    rank: int
    asset: Asset
    best: float
    risk: float
    saves: float
    reason: str


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """Work with a crew and a time: it starts on ``day`` after ``hour`` hours of that day's work.

    ``end`` is the day on which it is done. ``cost`` is what is expected of this day beside the best
    day there could be, because of others' work.
    """

    asset: str
    crew: str
    day: int
    hour: float
    hours: float
    end: int
    cost: float
    reason: str


class Deferral(msgspec.Struct, frozen=True, kw_only=True):
    """Work that is left until after the horizon; ``wanted`` where only crews or windows were missing."""

    asset: str
    wanted: bool
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A work list and its schedule.

    ``saves`` is what the visits are expected to spare in all; no schedule can spare more than
    ``short`` beyond that.
    """

    horizon: float
    work: tuple[Work, ...]
    visits: tuple[Visit, ...]
    left: tuple[Deferral, ...]
    saves: float
    short: float
