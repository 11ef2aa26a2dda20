"""What happens in the demo of a city: which twins, how fast, what goes wrong, who decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from nervure.core.error import UsageError
from nervure.core.instant import iso, to_ns

__all__ = ["TWINS", "Part", "Plan", "Watched", "plan"]

_DAYS_BACK = 21
_STATION = "building/station"


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A Thing that is watched without labels: after so many minutes of the twin its monitor is fitted."""

    thing: str
    after_min: float


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One twin: how it runs, from when on, and which controller is joined to its loops."""

    twin: str
    title: str
    speed: float
    minutes: float
    since: str
    controller: str
    net: str | None = None
    scenario: dict[str, float] = {}
    faults: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """Of the controller."""
    lived_days: int = 0
    """How many days of readings there are from before it begins."""
    foresee: str | None = None
    """A Thing of it whose readings are foreseen, for the controller to plan with."""
    watched: Watched | None = None
    event: str = ""
    """What goes wrong, in words."""
    event_min: float | None = None
    """When that begins, in minutes of the twin."""

    @property
    def wall_s(self) -> float:
        """How long it takes, at its speed."""
        return self.minutes * 60 / self.speed

    def arguments(self, seed: int) -> list[str]:
        """Return what follows ``nervure twin run`` on the command line."""
        words = [
            self.twin,
            "--speed",
            f"{self.speed:g}",
            "--minutes",
            f"{self.minutes:g}",
            "--seed",
            str(seed),
        ]
        words += ["--since", self.since, *(() if self.net is None else ("--net", self.net))]
        for name, value in self.scenario.items():
            words += ["--scenario", f"{name}={value:g}"]
        for fault in self.faults:
            words += ["--fault", fault]
        return words


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it."""

    parts: tuple[Part, ...]
    seed: int

    @property
    def wall_s(self) -> float:
        """How long the twins run."""
        return max(one.wall_s for one in self.parts)

    @property
    def slowest(self) -> float:
        """How many times as fast as life the slowest twin goes."""
        return min(one.speed for one in self.parts)


TWINS = ("roads", "building", "pipes")


def plan(
    *, quick: bool = False, seed: int = 1, now: datetime | None = None, only: Sequence[str] = ()
) -> Plan:  # fmt: skip
    """Return the plan: hours or days of each twin in some minutes, or with ``quick`` in some seconds.

    ``only`` are the twins that are wanted. Raises UsageError for one that is not among them.

    >>> plan(now=datetime(2026, 3, 4, tzinfo=UTC)).parts[1].since
    '2026-02-09T00:00:00Z'
    """
    monday = _monday(now or datetime.now(UTC))
    parts = (_roads(monday, quick), _building(monday, quick), _pipes(monday, quick))
    if odd := sorted(set(only) - set(TWINS)):
        raise UsageError(f"the city has no {odd[0]!r}", hint=f"it has {', '.join(TWINS)}")
    return Plan(parts=tuple(one for one in parts if not only or one.twin in only), seed=seed)


def _monday(now: datetime) -> datetime:
    """Return the midnight of a Monday some weeks ago: nothing that happens after it is in the future."""
    day = (now - timedelta(days=_DAYS_BACK)).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def _roads(monday: datetime, quick: bool) -> Part:
    return Part(
        twin="roads", title="A crossing of two roads", net="crossing",
        speed=100.0, minutes=8.0 if quick else 60.0, since=iso(to_ns(monday + timedelta(hours=7))),
        controller="max-pressure",
        faults=(f"stuck:0.13,of=*/*_*/*,begin={120 if quick else 900}",),
        event="one detector in eight says the same for ever", event_min=2.0 if quick else 15.0,
    )  # fmt: skip


def _building(monday: datetime, quick: bool) -> Part:
    """A house in January; the thermometer of a room says 60 degrees for a while.

    What its weather station reads is foreseen, by models that were trained on winters of other seeds.
    """
    begin_h, end_h = (4.0, 8.0) if quick else (30.0, 31.0)  # quick: seconds that a busy machine does not miss
    return Part(
        twin="building", title="A house of two rooms with a heat pump and a tariff",
        speed=3600.0 if quick else 2400.0, minutes=(12 if quick else 96) * 60.0, since=iso(to_ns(monday)),
        controller="schedule" if quick else "climate", lived_days=0 if quick else 14,
        options=() if quick else ("--learn-h", "328", "--history", "336", "--foresee", _STATION),
        foresee=None if quick else _STATION,
        scenario={"start_day": 14.0, "pv_kw": 0.0, "battery_kwh": 0.0, "base_w": 0.0},
        faults=(
            f"spoof,of=living/temperature,value=60,begin={begin_h * 3600:g},end={end_h * 3600:g}",
        ),
        event=f"the living room's thermometer says 60 Cel for {'hours' if quick else 'an hour'}",
        event_min=begin_h * 60,
    )  # fmt: skip


def _pipes(monday: datetime, quick: bool) -> Part:
    """A water network; a main bursts, and nobody is told."""
    begin = 30.0 if quick else 330.0
    return Part(
        twin="pipes", title="A water network of 34 pipes", net="hanoi",
        speed=300.0 if quick else 150.0, minutes=60.0 if quick else 390.0,
        since=iso(to_ns(monday + timedelta(hours=7))),
        controller="isolation", options=("--net", "hanoi", *(("--hours", "7") if quick else ())),
        scenario={"hour": 7.0, "burst_pipe": 21.0, "burst_size": 60.0, "burst_after_min": begin},
        watched=None if quick else Watched(thing="pipes/network", after_min=200.0),
        event="a main bursts", event_min=begin,
    )  # fmt: skip
