"""The anomaly score: how far readings lie outside what was foreseen long enough before.

1. *Excess*: (reading - median) / half band width at that horizon, for forecasts issued at several
   leads, none shorter than the problem's ``lead``, so that a fault cannot teach the forecast to
   expect it. The median over the leads is taken, so one bad forecast moves nothing.
2. *Centring*: a running median and a running spread of the excess are taken out. Both move by a
   bounded step a reading (stochastic approximation, Robbins and Monro 1951), so a season or a
   slowly ageing model is followed and a fault of a day is not.
3. *Accumulation*: a CUSUM (Page 1954) of the centred excess less a slack: chance cancels out, a
   moderate excess that stays adds up within hours. Each reading counts for at most ``CLIP``.

:func:`history` runs the same steps over a table for calibration that live scoring runs on one
reading, so a limit holds exactly for what it was calibrated on.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import whole

__all__ = [
    "CLIP",
    "FLOOR",
    "Accumulator",
    "Excess",
    "Issued",
    "Limit",
    "Options",
    "enough",
    "excess",
    "history",
    "outlook",
    "sure",
]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
Side = Literal["high", "low", "both"]

CLIP = 6.0
FLOOR = 0.25  # no band is believed to be narrower than this share of the stream's usual one
SPREAD = 0.526  # median absolute excess of a normal error, in half widths of an 80 % band
_LEAST_SPREAD = 0.25
_NONE = -(1 << 62)
_SIDES = np.array([[1.0], [-1.0]])


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How scores are made: chosen by injections into validation data, never by hand on a test.

    ``leads`` count slots; ``side`` says which way is wrong; ``memory`` is the step by which the
    centring follows (0: it stands still); ``slack`` is what a reading must exceed the centre by,
    in spreads, before it adds to the score.
    """

    leads: tuple[int, ...]
    side: Side = "both"
    memory: float = 0.02
    slack: float = 1.0


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A calibrated anomaly score: options, limit, and where each stream stood at the end.

    ``cap`` bounds the score, so that an alarm ends soon after its cause. ``floor [stream]`` is the
    least half band width; ``centre`` and ``spread [stream]`` start the running values. ``grid``
    are calibration scores at equal steps of probability from 0 to 1. ``promised`` and ``counted``
    are alarms a day over all streams; ``found`` is the injection study's evidence.
    """

    problem: str
    streams: tuple[str, ...]
    options: Options
    limit: float
    cap: float
    floor: tuple[float, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    grid: tuple[float, ...]
    promised: float
    counted: float
    days: float
    found: dict[str, Any] = {}


def sure(grid: Floats, score: Floats) -> Floats:
    """Return the share of calibration scores below each score, 0..1, NaN where there is none.

    >>> sure(np.array([0.0, 1.0, 3.0]), np.array([2.0, 9.0]))
    array([0.75, 1.  ])
    """
    return np.interp(score, grid, _shares(len(grid)))


@cache
def _shares(count: int) -> Floats:
    return np.linspace(0.0, 1.0, count)


class Excess(msgspec.Struct, frozen=True, kw_only=True):
    """Readings beside their expectation, all of one shape; NaN where nothing was foreseen."""

    value: Floats
    expected: Floats
    low: Floats
    high: Floats


def _middle(values: Floats) -> Floats:
    """Return the median over the last axis of what is not NaN; exact, so it is the same everywhere."""
    length = values.shape[-1]
    ordered = np.sort(values, axis=-1)  # NaN goes to the end
    if not np.isnan(ordered[..., -1]).any():
        plain: Floats = (ordered[..., (length - 1) // 2] + ordered[..., length // 2]) * 0.5
        return plain
    known = length - np.isnan(ordered).sum(axis=-1)
    lower = np.maximum(known - 1, 0) // 2
    upper = np.where(known % 2 == 1, lower, np.minimum(known // 2, length - 1))
    one = np.take_along_axis(ordered, lower[..., None], axis=-1)[..., 0]
    two = np.take_along_axis(ordered, upper[..., None], axis=-1)[..., 0]
    middle: Floats = (one + two) * 0.5
    return middle


def excess(value: Floats, forecast: Floats, floor: Floats) -> Excess:
    """Measure readings ``[...]`` against ``forecast [..., lead, 3]`` (median, low, high).

    >>> forecast = np.array([[[10.0, 8.0, 12.0], [11.0, 9.0, 13.0], [np.nan] * 3]])
    >>> excess(np.array([14.0]), forecast, np.array([0.1])).value
    array([1.75])
    """
    median, low, high = forecast[..., 0], forecast[..., 1], forecast[..., 2]
    half = np.maximum((high - low) * 0.5, floor[..., None])
    if forecast.shape[-2] == 1:  # the median of one lead is that lead
        alone = (value[..., None] - median) / half
        return Excess(value=alone[..., 0], expected=median[..., 0], low=low[..., 0], high=high[..., 0])
    middle = _middle(np.stack([(value[..., None] - median) / half, median, low, high]))
    return Excess(value=middle[0], expected=middle[1], low=middle[2], high=middle[3])


class Issued:
    """What was foreseen for the slots to come, at the leads that the score trusts.

    Holds ``[stream, place, lead, 3]``; a place is a slot modulo the longest lead plus one, and
    ``tag`` says which slot each entry is about, so nothing has to be cleared.
    """

    def __init__(self, streams: int, leads: tuple[int, ...]) -> None:
        self.leads: Longs = np.array(leads, dtype=np.int64)
        self.length = int(self.leads.max()) + 1
        self.value: Floats = np.full((streams, self.length, len(leads), 3), np.nan)
        self.tag: Longs = np.full((streams, self.length, len(leads)), _NONE, dtype=np.int64)

    def issue(self, streams: Longs, slot: Longs, forecast: Floats) -> None:
        """Keep forecasts ``[row, horizon, 3]`` made with the reading of ``slot [row]``."""
        target = slot[:, None] + self.leads
        each = len(self.leads)
        where = (streams[:, None] * self.length + target % self.length) * each + np.arange(each)
        whole(self.value.reshape(-1, 3))[where] = whole(forecast.take(self.leads - 1, axis=1))
        self.tag.reshape(-1)[where] = target

    def revoke(self, stream: int, first: int, last: int) -> None:
        """Forget what was foreseen for a stream with the readings of slots ``first`` to ``last``."""
        made = self.tag[stream] - self.leads
        self.tag[stream][(made >= first) & (made <= last)] = _NONE

    def about(self, streams: Longs, slot: Longs) -> Floats:
        """Return what was foreseen for ``slot [row]``: ``[row, lead, 3]``, NaN where nothing was."""
        place = streams * self.length + slot % self.length
        each = len(self.leads)
        found = self.value.reshape(-1, each, 3).take(place, axis=0)
        other = self.tag.reshape(-1, each).take(place, axis=0) != slot[:, None]
        if other.any():
            found[other] = np.nan
        return found

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {"value": self.value.tobytes(), "tag": self.tag.tobytes()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        self.value = np.frombuffer(state["value"], dtype=np.float64).reshape(self.value.shape).copy()
        self.tag = np.frombuffer(state["tag"], dtype=np.int64).reshape(self.tag.shape).copy()


class Accumulator:
    """The running centre, spread and sums of each stream.

    >>> sums = Accumulator(1, Options(leads=(1,), memory=0.0))
    >>> for time in range(3):
    ...     score, onset = sums.step(np.array([0]), np.array([time]), np.array([2.0]))
    >>> round(float(score[0]), 2), int(onset[0])
    (8.41, 0)
    """

    def __init__(self, streams: int, options: Options, *, cap: float = np.inf) -> None:
        self.options = options
        self.cap = cap
        self.centre: Floats = np.zeros(streams)
        self.spread: Floats = np.full(streams, SPREAD)
        self.sums: Floats = np.zeros((2, streams))
        self.onset: Longs = np.zeros((2, streams), dtype=np.int64)

    @classmethod
    def calibrated(cls, limit: Limit) -> Accumulator:
        """Start where the calibration ended."""
        made = cls(len(limit.streams), limit.options, cap=limit.cap)
        made.centre = np.array(limit.centre, dtype=np.float64)
        made.spread = np.array(limit.spread, dtype=np.float64)
        return made

    def step(
        self, streams: Longs, time: Longs, value: Floats, fresh: Flags | None = None
    ) -> tuple[Floats, Longs]:
        """Take one excess a stream (``[row]``, no stream twice); returns score and its onset.

        Where the excess is NaN, or the reading tells nothing new (``fresh`` is false: a meter that
        shows the very same value again), nothing is added, and the score stays what it was; it is
        NaN where there is no excess.
        """
        known = ~np.isnan(value)
        use = known if fresh is None else known & fresh
        centre, spread = self.centre[streams], self.spread[streams]
        away = np.where(use, value - centre, 0.0)
        unit = np.minimum(np.maximum(away / spread, -CLIP), CLIP)
        self._follow(streams, (centre, spread), use, away, unit)
        sums = self.sums.take(streams, axis=1)
        grown = np.minimum(np.maximum(sums + (unit * _SIDES - self.options.slack), 0.0), self.cap)
        grown = np.where(use, grown, sums)
        onset = np.where(use & (sums == 0.0), time, self.onset.take(streams, axis=1))
        for side in (0, 1):  # one after the other, which numpy does in half the time
            self.sums[side][streams], self.onset[side][streams] = grown[side], onset[side]
        score, since = self._of_side(grown, onset)
        return np.where(known, score, np.nan), since

    def now(self, streams: Longs) -> tuple[Floats, Longs]:
        """Return the scores as they stand, and their onsets."""
        return self._of_side(self.sums.take(streams, axis=1), self.onset.take(streams, axis=1))

    def _of_side(self, sums: Floats, onset: Longs) -> tuple[Floats, Longs]:
        if self.options.side == "high":
            return sums[0], onset[0]
        if self.options.side == "low":
            return sums[1], onset[1]
        return np.maximum(sums[0], sums[1]), np.where(sums[0] >= sums[1], onset[0], onset[1])

    def _follow(
        self, streams: Longs, stood: tuple[Floats, Floats], use: Flags, away: Floats, unit: Floats
    ) -> None:
        """Move the running centre and spread by one bounded step from where they ``stood``."""
        memory = self.options.memory
        if not memory:
            return
        centre, spread = stood
        self.centre[streams] = centre + memory * spread * np.minimum(np.maximum(unit, -1.0), 1.0)
        change = np.where(use, np.where(np.abs(away) > spread, memory, -memory), 0.0)
        self.spread[streams] = np.maximum(spread * (1.0 + change), _LEAST_SPREAD)

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {
            "centre": self.centre.tobytes(),
            "spread": self.spread.tobytes(),
            "sums": self.sums.tobytes(),
            "onset": self.onset.tobytes(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        self.centre = np.frombuffer(state["centre"], dtype=np.float64).copy()
        self.spread = np.frombuffer(state["spread"], dtype=np.float64).copy()
        self.sums = np.frombuffer(state["sums"], dtype=np.float64).reshape(2, -1).copy()
        self.onset = np.frombuffer(state["onset"], dtype=np.int64).reshape(2, -1).copy()


def enough(x: NDArray[np.float32]) -> Flags:
    """Tell which windows ``[batch, time, channel]`` end with a reading and hold half of them or more.

    What is foreseen from less is a guess: it is published, but nothing is accused by it.

    >>> gap = np.nan
    >>> enough(np.array([[[gap], [2.0], [3.0]], [[1.0], [2.0], [gap]], [[gap], [gap], [3.0]]], np.float32))
    array([ True, False, False])
    """
    if not np.isnan(x[:, :, 0].max(initial=-np.inf)):  # as usual: the most of what has a gap is NaN
        return np.ones(len(x), dtype=bool)
    gap = np.isnan(x[:, :, 0])
    told: Flags = ~gap[:, -1] & (np.count_nonzero(gap, axis=1) * 2 <= x.shape[1])
    return told


def outlook(forecast: Floats, leads: tuple[int, ...]) -> Floats:
    """Turn a history of forecasts into what was foreseen for each slot at each lead.

    ``forecast [slot, stream, horizon, 3]`` is by the slot it was issued at; the answer,
    ``[slot, stream, lead, 3]``, by the slot it is about.
    """
    slots, streams = forecast.shape[:2]
    seen = np.full((slots, streams, len(leads), 3), np.nan)
    for place, lead in enumerate(leads):
        if lead < slots:
            seen[lead:, :, place] = forecast[: slots - lead, :, lead - 1]
    return seen


def history(
    sums: Accumulator, time: Longs, excesses: Floats, *, fresh: Flags | None = None
) -> tuple[Floats, Floats]:
    """Score a history: ``time [slot]``, ``excesses [slot, stream]``.

    Returns the scores ``[slot, stream]`` and what the accumulator held before each slot,
    ``[slot, 4, stream]`` (centre, spread, both sums), from which a what-if can start anywhere.
    """
    slots, streams = excesses.shape
    everyone = np.arange(streams, dtype=np.int64)
    scores = np.empty((slots, streams))
    held = np.empty((slots, 4, streams))
    for slot in range(slots):
        held[slot, 0], held[slot, 1], held[slot, 2:] = sums.centre, sums.spread, sums.sums
        new = None if fresh is None else fresh[slot]
        scores[slot], _ = sums.step(everyone, np.full(streams, time[slot]), excesses[slot], new)
    return scores, held
