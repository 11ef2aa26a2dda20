"""An alarm as a person reads it: when, how rare, which stream, what was expected, what to do first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS, iso

__all__ = ["Alarm", "Share", "Sign", "interval", "sentence", "sign_of"]

Floats = NDArray[np.float64]
Sign = Literal["missing", "stuck", "spike", "noisy", "high", "low"]

_ALONE = 0.5  # share from which on one stream made an alarm by itself
_FLAT_ROWS = 4
_NOISY = 3.0
_NEAR = 0.5  # deviations below which nobody would call a reading odd

_WAYS: dict[Sign, str] = {
    "missing": "it says nothing any more: check the device and its link",
    "stuck": "it repeats one value: check the sensor",
    "spike": "a single reading: check the link and the sensor before the process",
    "noisy": "it wavers more than it did: check mounting and wiring",
    "high": "the others do not explain it: check the sensor, then what only it sees",
    "low": "the others do not explain it: check the sensor, then what only it sees",
}


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one stream did to an alarm: its ``share`` 0..1, what it read and what was expected of it.

    Value and expectation are those of the row at which the alarm was worst, in the stream's unit;
    ``deviations`` is how far apart they are in what it usually varies.
    """

    stream: str
    share: float
    value: float | None
    expected: float | None
    deviations: float | None


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm: its times, how rare its worst score is in decades, the limit, its streams, its words.

    ``worst`` is when its score was highest; ``once_s`` is how often such a score comes when all is well:
    once in so many seconds.
    """

    thing: str
    start: str
    raised: str
    end: str
    worst: str
    rarity: float
    limit: float
    once_s: float
    sign: Sign
    streams: tuple[Share, ...]
    says: str
    do: str


def sign_of(own: Floats, before: Floats, expected: float, value: float) -> Sign:
    """Say how a stream is odd from its readings in the alarm ``[row]`` and ``before`` it.

    >>> calm = np.sin(np.arange(50.0))
    >>> sign_of(np.full(6, 0.3), calm, 0.0, 0.3), sign_of(np.array([9.0]), calm, 0.0, 9.0)
    ('stuck', 'spike')
    """
    known = own[~np.isnan(own)]
    if not len(known):
        return "missing"
    usual = np.abs(np.diff(before[~np.isnan(before)]))
    step = float(usual.mean()) if len(usual) else 0.0
    if len(known) >= _FLAT_ROWS and np.ptp(known[-_FLAT_ROWS:]) == 0 and step > 0:
        return "stuck"
    if len(own) <= 2:
        return "spike"
    if len(known) > _FLAT_ROWS and step > 0 and float(np.abs(np.diff(known)).mean()) > _NOISY * step:
        return "noisy"
    return "high" if value >= expected else "low"


def interval(seconds: float) -> str:
    """Write a length of time for a person.

    >>> interval(90), interval(7200), interval(40 * 86400), interval(1e12)
    ('90 s', '2 h', '40 days', 'more than 100 years')
    """
    years = seconds * SECOND_NS / (365 * DAY_NS)
    if years > 100:
        return "more than 100 years"
    if years > 2:
        return f"{years:.0f} years"
    for name, unit in (("days", DAY_NS), ("h", HOUR_NS), ("min", 60 * SECOND_NS)):
        if seconds * SECOND_NS >= 2 * unit:
            return f"{seconds * SECOND_NS / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def sentence(
    thing: str, since_ns: int, sign: Sign, streams: Sequence[Share], once_s: float, learnt_s: float
) -> tuple[str, str]:
    """Write what an alarm says, and what to do first.

    ``learnt_s`` is how long the readings last that normal scores are known from: of what is ten times
    rarer than that no more is claimed.
    """
    first = streams[0]
    place = f"{first.stream} of {thing}" if thing and thing != first.stream else first.stream
    how = f"{place} is odd since {iso(since_ns)}"
    if first.value is None:
        how += ": nothing was read"
    elif sign == "stuck":
        how += f": it repeats {first.value:.6g}"
    elif first.deviations is not None and first.deviations < _NEAR:
        how += f": no single reading is ({first.value:.6g} where {first.expected:.6g} was expected), but"
        how += " their course"
    elif first.expected is not None:
        wide = f", {first.deviations:.1f} times what it usually varies" if first.deviations else ""
        how += f": it read {first.value:.6g} where {first.expected:.6g} was expected{wide}"
    others = [f"{one.stream} {one.share:.0%}" for one in streams[1:3] if one.share >= 0.1]
    says = f"{how} (its share {first.share:.0%}{'; ' + ', '.join(others) if others else ''})."
    often = f"comes once in {interval(once_s)} when all is well"
    rare = f"never came in the {interval(learnt_s)} that calibrated"
    says += f" Such a score {often if once_s <= 10 * learnt_s else rare}."
    alone = first.share >= _ALONE
    return says, _WAYS[
        sign
    ] if alone else "several streams are odd together: look at the process before the sensors"
