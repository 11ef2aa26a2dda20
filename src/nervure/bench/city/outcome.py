"""What a run of the city's demo measured: the JSON it prints, from which its page is written."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Delay", "Foresight", "Happened", "Kpi", "Lead", "Loop", "Outcome", "Refusal", "Side"]


class Kpi(msgspec.Struct, frozen=True, kw_only=True):
    """A key figure of a twin: by its own plans alone, and with controllers joined to its loops."""

    name: str
    unit: str
    alone: float
    joined: float

    @property
    def change(self) -> float | None:
        """By how much it is other, as a share of what it was; None where that was nothing."""
        return None if self.alone == 0 else self.joined / self.alone - 1


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One twin: what ran, how fast it really went, what it sent and was told, and what came of it."""

    twin: str
    title: str
    engine: str
    controller: str
    simulated_h: float
    wall_s: float
    event: str
    readings: int
    silent: int
    acknowledged: int
    refused_by_guards: int
    kpis: tuple[Kpi, ...]
    counts: dict[str, int]
    """What the controller's seat counted."""
    told: dict[str, Any] = {}
    """What the controller says of itself."""

    @property
    def speed(self) -> float:
        """How many times as fast as life it went, waiting and all."""
        return self.simulated_h * 3600 / self.wall_s


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of ours between two moments of a command's way, over so many commands."""

    what: str
    count: int
    p50: float
    p99: float
    longest: float


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A hostile command: what was asked, what became of it, and what the rule said."""

    what: str
    state: str
    why: str

    @property
    def refused(self) -> bool:
        """Whether it came to nothing."""
        return self.state in ("rejected", "refused at the door")


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """A loop at the end: its mode, the lines of its log by kind, and whether one of them was changed."""

    name: str
    mode: str
    lines: dict[str, int]
    intact: bool


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a twin, in minutes since what goes wrong there began."""

    twin: str
    after_min: float
    what: str


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """Errors so many hours ahead, over the run: of the trained forecast, of the last value, of the last day.

    All are mean absolute errors on the same instants; ``inside`` is the share of readings that lay in the
    band of eight in ten.
    """

    hours: int
    count: int
    mae: float
    last_value: float
    last_day: float
    inside: float


class Foresight(msgspec.Struct, frozen=True, kw_only=True):
    """How well something was foreseen live: by which model, trained how long on what, with which errors."""

    twin: str
    what: str
    unit: str
    model: str
    version: str
    train_s: float
    slots: int
    leads: tuple[Lead, ...]
    cost_last_day: float
    """What the days of the house cost in one process, planned with the last day."""
    cost_foretold: float
    """The same, planned with the forecasts of the run."""
    cost_known: float
    """The same, had somebody known temperature and sun of the coming day."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    seed: int
    quick: bool
    wall_s: float
    sides: tuple[Side, ...]
    sent: int
    stored: int
    lost: int
    doubled: int
    quarantined: int
    tasks: dict[str, int]
    delays: tuple[Delay, ...]
    hostile: tuple[Refusal, ...]
    distrusted: dict[str, int]
    """Commands that interlocks refused as an input could not be believed, by the rule."""
    loops: tuple[Loop, ...]
    happened: tuple[Happened, ...]
    foresight: tuple[Foresight, ...] = ()
    late: int = 0
    """Commands that were refused as the readings were too old that they rested on."""
    resting: int = 0
    """How many Tasks said that they rest on models."""
    machine: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing was lost or doubled, nothing hostile got through, every log is as it was signed."""
        whole = self.lost == self.doubled == 0 and all(one.intact for one in self.loops)
        return whole and all(one.refused for one in self.hostile)

    def summary(self) -> dict[str, Any]:
        """Return the JSON object that ``nervure demo city --json`` ends with."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        for side, shown in zip(self.sides, found["sides"], strict=True):
            shown["speed"] = round(side.speed, 1)
            for kpi, row in zip(side.kpis, shown["kpis"], strict=True):
                row["change"] = kpi.change
        return found | {"good": self.good}
