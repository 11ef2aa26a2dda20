"""The coming day as a platform's forecasts have it, and as the last day was where they are silent.

Forecasts are Observations of Datastreams of their own (``station/temperature/forecast``): each has the
instant it is about, and the one at which it was issued. Of every hour the newest counts, while it is not old.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple, Protocol

from nervure.act.controller.climate import Ahead

__all__ = ["FORECAST", "WHAT", "Foretold", "What"]

FORECAST = "/forecast"
"""What the names of Datastreams of forecasts end in, after that of the readings they are of."""

What = Literal["temperature", "sun"]
WHAT: tuple[What, ...] = ("temperature", "sun")
_OLD_H = 6.0
_KEPT_H = 48


class _Usual(Protocol):
    """What stands where nothing was foretold: :class:`nervure.act.controller.joined.Yesterday`."""

    def note(self, hour: float, outdoor: float, sun: float) -> None: ...

    def __call__(self, hour: float, count: int) -> Ahead: ...


class _Told(NamedTuple):
    """What was foreseen of an hour, and when: hours since a Monday's midnight."""

    issued_h: float
    value: float


class Foretold:
    """Foresees by what it is told, at the beginning of hours; ``tell`` may be called from another thread.

    ``usual`` is what stands where nothing newer than six hours was told. ``counts`` says how many hours of
    plans stood on what.

    >>> from nervure.act.controller.joined import Yesterday
    >>> seen = Foretold(Yesterday())
    >>> seen.note(0.0, 5.0, 0.0)
    >>> for issued_h, value in ((-1.0, 7.0), (0.0, 9.0)):
    ...     seen.tell("temperature", 1.0, issued_h, value)
    >>> seen(0.0, 3).outdoor.round(2).tolist(), seen.counts["temperature foretold"], seen.rests
    ([7.0, 9.0, 5.0], 1, True)
    """

    def __init__(self, usual: _Usual) -> None:
        self.counts: Counter[str] = Counter()
        self.rests = False
        """Whether the last plan stood on forecasts."""
        self._usual = usual
        self._told: dict[What, dict[int, _Told]] = {one: {} for one in WHAT}
        self._now = (0, 0.0, 0.0)

    def note(self, hour: float, outdoor: float, sun: float) -> None:
        """Take note of how it is: outdoors in Cel, sun in W/m2."""
        self._usual.note(hour, outdoor, sun)
        self._now = (int(hour), outdoor, sun)

    def tell(self, what: What, hour: float, issued_h: float, value: float) -> None:
        """Take a forecast: of what, about which hour's beginning, when it was issued."""
        known = self._told[what]
        before = known.get(int(hour))
        if before is None or before.issued_h <= issued_h:
            known[int(hour)] = _Told(issued_h, value)
        for old in [one for one in known if one < int(hour) - _KEPT_H]:
            known.pop(old, None)

    def __call__(self, hour: float, count: int) -> Ahead:
        """Return what is foreseen from an hour on: temperatures lie between two beginnings of hours."""
        usual, begin = self._usual(hour, count), int(hour)
        outdoor, sun = usual.outdoor.copy(), usual.sun.copy()
        self.rests = False
        for at in range(count):
            this, following = (self._of("temperature", begin + at + more, hour) for more in (0, 1))
            if this is not None:
                outdoor[at] = this if following is None else (this + following) / 2
            shining = self._of("sun", begin + at, hour)
            if shining is not None:
                sun[at] = max(shining, 0.0)
            if at > 0:  # what is now is read
                self._count("temperature", this)
                self._count("sun", shining)
        return Ahead(outdoor, sun, usual.load)

    def _of(self, what: What, slot: int, now_h: float) -> float | None:
        """Return what is known of the beginning of an hour: read, or foretold not long ago."""
        if slot == self._now[0]:
            return self._now[1] if what == "temperature" else self._now[2]
        found = self._told[what].get(slot)
        return None if found is None or now_h - found.issued_h > _OLD_H else found.value

    def _count(self, what: What, found: float | None) -> None:
        self.counts[f"{what} foretold" if found is not None else f"{what} as yesterday"] += 1
        self.rests |= found is not None
