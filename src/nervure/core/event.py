"""Events: when readings that look wrong become one alarm, and when that alarm is over.

The same step decides in live rules and in the calibration that promises alarms a day, so what is
counted is what will ring. A condition that has held for ``hold`` raises; readings of one stream
that look right for ``gap`` clear; what comes back sooner belongs to the same alarm.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import every, some
from nervure.core.declaration import Condition, Rule, Solution
from nervure.core.instant import duration_ns
from nervure.core.problem import AlarmPolicy, Anomaly

__all__ = ["NEVER", "Event", "Hold", "Persistence", "count", "events", "persistence", "span_of"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

NEVER = -(1 << 62)
_HOLE_STEPS = 3
_NO_HOLE = 1 << 61


class Persistence(msgspec.Struct, frozen=True, kw_only=True):
    """How long a condition must hold to raise, and be gone to clear, in nanoseconds.

    Where nothing was read for ``hole_ns`` a condition that held before does not count any more.
    """

    hold_ns: int
    gap_ns: int
    hole_ns: int


def persistence(policy: AlarmPolicy, every_ns: int, *, hold_ns: int | None = None) -> Persistence:
    """Read a policy for a signal sampled every ``every_ns``; a rule's own ``for`` goes before it.

    >>> persistence(AlarmPolicy(min_duration="2h", merge_gap="12h"), 3_600_000_000_000).gap_ns // 10**9
    43200
    """
    hold = _span_ns(policy.min_duration) if hold_ns is None else hold_ns
    gap = _span_ns(policy.merge_gap)
    return Persistence(hold_ns=hold, gap_ns=gap, hole_ns=max(gap, _HOLE_STEPS * every_ns))


def span_of(solution: Solution, rule: Rule, read: Condition, every_ns: int) -> Persistence:
    """Return when a rule rings and ends.

    A score ends after its policy's ``merge_gap``, as its calibration counted it; a value after it
    has been right for as long as it had to be wrong, as does a life; a stuck meter with its next new
    value, and a class with the next answer.
    """
    if read.measure == "score":
        for problem in solution.problems:
            if isinstance(problem, Anomaly) and problem.name == rule.problem:
                return persistence(problem.policy, every_ns, hold_ns=read.hold_ns)
        return persistence(AlarmPolicy(), every_ns, hold_ns=read.hold_ns)
    gap = read.hold_ns if read.measure in {"value", "life"} else 0
    hole = max(gap, _HOLE_STEPS * every_ns) if read.measure == "value" else _NO_HOLE
    return Persistence(hold_ns=read.hold_ns, gap_ns=gap, hole_ns=hole)


def _span_ns(text: str) -> int:
    """Read a duration that may be zero (``"0s"``, ``"0"``)."""
    return 0 if text.strip().rstrip("smhdwin").strip() == "0" else duration_ns(text)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm in a history of scores: first and last reading above the limit, and when it rang.

    ``worst_ns`` is when its score was highest, 0 where nobody noted it.
    """

    stream: int
    start_ns: int
    raised_ns: int
    end_ns: int
    peak: float
    worst_ns: int = 0


class Hold:
    """The condition of each stream over time: idle, holding, or active.

    >>> hold = Hold(1, Persistence(hold_ns=2, gap_ns=2, hole_ns=5))
    >>> for time, above in ((0, True), (1, True), (2, True), (3, False), (4, False)):
    ...     raised, cleared = hold.step(np.array([0]), np.array([time]), np.array([above]))
    ...     print(time, bool(raised[0]), bool(cleared[0]))
    0 False False
    1 False False
    2 True False
    3 False False
    4 False True
    """

    def __init__(self, streams: int, span: Persistence) -> None:
        self.span = span
        self.since: Longs = np.full(streams, NEVER, dtype=np.int64)
        self.last: Longs = np.full(streams, NEVER, dtype=np.int64)
        self.start: Longs = np.full(streams, NEVER, dtype=np.int64)
        self.ended: Longs = np.full(streams, NEVER, dtype=np.int64)
        """The last reading above the limit of the last alarm that is over."""
        self.active: Flags = np.zeros(streams, dtype=bool)
        self._quiet: bool | None = None  # whether no stream holds or is active, where that is known

    @property
    def quiet(self) -> bool:
        """Whether no stream holds or is active."""
        if self._quiet is None:
            self._quiet = bool((self.since == NEVER).all()) and not self.active.any()
        return self._quiet

    def idle(self, streams: Longs) -> bool:
        """Tell whether none of these streams holds or is active, so that quiet ones can be skipped."""
        return self.quiet or (every(self.since[streams] == NEVER) and not some(self.active[streams]))

    def step(self, streams: Longs, time: Longs, above: Flags) -> tuple[Flags, Flags]:
        """Take one reading a stream (``[row]``, no stream twice); returns ``(raised, cleared)``.

        When an alarm both clears and the next one is raised by the same reading, both are true.
        ``start`` of a stream that was just raised is the first reading of the run.
        """
        self._quiet = None
        since, last, active = self.since[streams], self.last[streams], self.active[streams]
        hole = above & (last != NEVER) & (time - last >= self.span.hole_ns) & (self.span.hole_ns > 0)
        since[hole] = NEVER
        cleared = active & np.where(above, hole, time - last >= self.span.gap_ns)
        if some(cleared):
            self.ended[streams[cleared]] = last[cleared]
        active &= ~cleared
        since = np.where(above, np.where(since == NEVER, time, since), NEVER)
        raised = above & ~active & (time - since >= self.span.hold_ns)
        self.start[streams] = np.where(raised, since, self.start[streams])
        self.active[streams] = active | raised
        self.since[streams] = since
        self.last[streams] = np.where(above, time, last)
        return raised, cleared

    def grow(self, streams: int) -> None:
        """Make room for streams added later."""
        more = streams - len(self.since)
        if more > 0:
            nothing = np.full(more, NEVER, dtype=np.int64)
            self.since = np.concatenate([self.since, nothing])
            self.last = np.concatenate([self.last, nothing])
            self.start = np.concatenate([self.start, nothing])
            self.ended = np.concatenate([self.ended, nothing])
            self.active = np.concatenate([self.active, np.zeros(more, dtype=bool)])

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {
            "since": self.since.tobytes(),
            "last": self.last.tobytes(),
            "start": self.start.tobytes(),
            "ended": self.ended.tobytes(),
            "active": self.active.tobytes(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        self._quiet = None
        self.since = np.frombuffer(state["since"], dtype=np.int64).copy()
        self.last = np.frombuffer(state["last"], dtype=np.int64).copy()
        self.start = np.frombuffer(state["start"], dtype=np.int64).copy()
        ended = state.get("ended")  # older states have none
        self.ended = (
            np.full(len(self.start), NEVER) if ended is None else np.frombuffer(ended, np.int64).copy()
        )
        self.active = np.frombuffer(state["active"], dtype=np.bool_).copy()


def events(time: Longs, score: Floats, limit: float, span: Persistence) -> list[Event]:
    """Find the alarms in a history: ``time [slot]``, ``score [slot, stream]`` with NaN gaps.

    They come in the order in which they rang.

    >>> score = np.array([[0.0, 5, 6, 0, 0, 7, 8]]).T
    >>> span = Persistence(hold_ns=1, gap_ns=2, hole_ns=9)
    >>> [(one.start_ns, one.raised_ns, one.end_ns) for one in events(np.arange(7), score, 4.0, span)]
    [(1, 2, 2), (5, 6, 6)]
    """
    hold = Hold(score.shape[1], span)
    found: list[Event] = []
    live: dict[int, int] = {}
    for slot, row in enumerate(score):
        seen = np.flatnonzero(~np.isnan(row))
        above = row[seen] > limit
        raised, _ = hold.step(seen, np.full(len(seen), time[slot]), above)
        for stream in seen[raised].tolist():
            live[stream] = len(found)
            start = int(hold.start[stream])
            first = int(np.searchsorted(time, start))
            peak = float(np.nanmax(score[first : slot + 1, stream]))
            moment = int(time[slot])
            found.append(Event(stream=stream, start_ns=start, raised_ns=moment, end_ns=moment, peak=peak))
        for stream in seen[above & hold.active[seen] & ~raised].tolist():
            place = live[stream]
            peak = max(found[place].peak, float(row[stream]))
            found[place] = msgspec.structs.replace(found[place], end_ns=int(time[slot]), peak=peak)
    return found


def count(time: Longs, score: Floats, limits: Floats, span: Persistence, *, parts: int = 1) -> Longs:
    """Count the alarms at each of several limits in one pass, in equal parts of time: ``[limit, part]``.

    >>> count(np.arange(4), np.array([[0.0, 5, 6, 9]]).T, np.array([4.0, 8.0]), Persistence(
    ...     hold_ns=1, gap_ns=2, hole_ns=9)).tolist()
    [[1], [0]]
    """
    streams = score.shape[1]
    hold = Hold(len(limits) * streams, span)
    total = np.zeros((len(limits), parts), dtype=np.int64)
    everyone = np.arange(len(limits) * streams, dtype=np.int64)
    for slot, row in enumerate(score):
        part = slot * parts // len(score)
        seen = everyone[np.tile(~np.isnan(row), len(limits))]
        above = (row[None, :] > limits[:, None]).ravel()[seen]
        raised, _ = hold.step(seen, np.full(len(seen), time[slot]), above)
        if raised.any():
            total[:, part] += np.bincount(seen[raised] // streams, minlength=len(limits))
    return total
