"""Problems: the question a solution asks of data ("Task" is what SensorThings calls actuation)."""

from __future__ import annotations

from typing import Literal

import msgspec

from nervure.core.error import DeclarationError
from nervure.core.instant import duration_ns

__all__ = [
    "AlarmPolicy", "Anomaly", "Case", "Classify", "Control", "Forecast", "Problem", "RemainingLife", "Wake",
    "steps",
]  # fmt: skip

Ground = Literal["season", "last", "clear-sky", "power-curve"]

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
LIFE_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Forecast(msgspec.Struct, frozen=True, kw_only=True, tag="forecast"):
    """Foresee ``of`` over ``horizon`` from the last ``window``, with quantiles.

    ``past`` names driver signals known up to now (weather), ``future`` those also known ahead
    (a weather forecast); the calendar is always known. ``calendar`` is the country or region
    whose public holidays count, as ISO 3166.

    ``ground`` says what a deep model's forecast stands on, beside which it learns what differs: the
    ``season`` (what is usual at that slot of the week), the ``last`` reading, what a ``clear-sky``
    would give the plant, or the ``power-curve`` of a driver known ahead.
    """

    of: str
    horizon: str
    window: str
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    graph: str | None = None
    model: str = "mixer"
    quantiles: tuple[float, ...] = QUANTILES
    coverage: float = 0.8
    calendar: str | None = None
    ground: Ground = "season"

    @property
    def name(self) -> str:
        """The name that packages, rules and commands use."""
        return f"forecast-{self.of}"


class AlarmPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A promised number of alarms a day, over all streams of the problem together.

    Scores above the calibrated limit for at least ``min_duration`` make an alarm; alarms of one
    stream closer than ``merge_gap`` are one.
    """

    alarms_per_day: float = 1.0
    min_duration: str = "0s"
    merge_gap: str = "6h"


class Anomaly(msgspec.Struct, frozen=True, kw_only=True, tag="anomaly"):
    """Tell when ``of`` stops behaving as it did, at a promised number of alarms a day.

    ``residual`` names the forecast whose errors are the score; ``lead`` is how far ahead that
    forecast must have been issued, so that a slow fault cannot teach the forecast to expect it.
    ``side`` says which way is wrong: a burst only ever adds inflow.
    """

    of: tuple[str, ...]
    window: str
    residual: str | None = None
    lead: str | None = None
    side: Literal["both", "high", "low"] = "both"
    policy: AlarmPolicy = AlarmPolicy()

    @property
    def name(self) -> str:
        """The name that packages, rules and commands use."""
        return "anomaly-" + "-".join(self.of)


class RemainingLife(msgspec.Struct, frozen=True, kw_only=True, tag="life"):
    """Tell how many rows a machine has left before it fails, from its last ``window`` rows.

    A row is what a Thing's signals read in one step of theirs: a flight, a charge, a day. Rows are
    counted, not timed: while a machine stands still there are none. ``settings`` are signals that say
    how it is run, ``of`` those that wear shows in. ``age`` is the signal that counts the rows since the
    machine was new; where it falls back the machine was replaced, and what was read before is forgotten.
    Nobody is told more than ``clip`` rows, as a healthy machine does not show what it will die of.
    ``unit`` is what a row is called, in UCUM.
    """

    of: tuple[str, ...]
    age: str
    window: int
    clip: float
    settings: tuple[str, ...] = ()
    unit: str = "{cycle}"
    model: str = "rul_tcn"
    quantiles: tuple[float, ...] = LIFE_QUANTILES

    @property
    def name(self) -> str:
        """The name that packages, rules and commands use."""
        return "life"


class Wake(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a window worth asking about: the length of the vector ``of`` at its middle.

    It must be ``above`` a level, in the signals' unit, and nowhere in the window stronger.
    """

    of: tuple[str, ...]
    above: float


class Classify(msgspec.Struct, frozen=True, kw_only=True, tag="class"):
    """Tell which of ``classes`` a window of ``of`` shows, whenever ``wake`` says that something happened.

    ``what`` is asked about: the ``state`` of a frame, the ``motion`` of a person. A window with more
    than a tenth of its readings missing is not asked about.
    """

    what: str
    of: tuple[str, ...]
    window: str
    wake: Wake
    classes: tuple[str, ...]
    model: str

    @property
    def name(self) -> str:
        """The name that packages, rules and commands use."""
        return f"class-{self.what}"


Case = RemainingLife | Classify
"""What is asked about a whole Thing."""

Problem = Forecast | Anomaly | Case


class Control(msgspec.Struct, frozen=True, kw_only=True, tag="control"):
    """Decide what to ``command`` every so often, from readings of ``of``; ``by`` is how it was learned."""

    command: str
    of: tuple[str, ...]
    by: str
    every: str = "10s"

    @property
    def name(self) -> str:
        """The name that packages and commands use."""
        return f"control-{self.command}"


def steps(text: str, every_ns: int, *, where: str, at_least: int = 1) -> int:
    """Return how many samples of ``every_ns`` a declared duration holds.

    >>> steps("7d", 3_600_000_000_000, where="$")
    168
    """
    length = duration_ns(text, where=where)
    count = length // every_ns
    if count < at_least or length % every_ns:
        raise DeclarationError(
            f"{text!r} is not a whole number (at least {at_least}) of samples",
            where=where,
            hint=f"use a multiple of {every_ns / 1e9:g} s",
        )
    return int(count)
