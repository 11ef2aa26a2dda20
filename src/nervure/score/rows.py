"""Rows: the readings of one Thing put side by side, until a model can be asked about them.

Channels come one after the other, often whole packs of one before the next. A row waits until every
channel has got past it; one that falls far behind is not waited for any more. What comes for a row
that is over is passed over. All of it depends on the order of the messages only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.case import asked, cut
from nervure.core.problem import Classify

__all__ = ["Asked", "Course", "Rows", "Tape"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_NEVER = -(1 << 62)
_ROWS_BEHIND = 8  # a machine's channel may be so many rows behind before nobody waits for it
_SLOTS_BEHIND = 1 << 14


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Windows to ask about: ``x [batch, time, channel]``, what they are about and when they were whole."""

    x: NDArray[np.float32]
    time: Longs
    issued: Longs


class Rows(Protocol):
    """What takes the readings of one Thing."""

    def put(self, channel: int, time: Longs, value: Floats) -> None:
        """Take readings of one channel, ``[reading]`` each, in the order they came."""
        ...

    def ready(self) -> Asked | None:
        """Return what can be asked about by now and could not before."""
        ...

    def skip(self) -> None:
        """Pass over what can be asked about by now: a history is no question."""
        ...

    def state(self) -> tuple[bytes, dict[str, Any]]:
        """Return what :meth:`restore` needs: rows that were whole, always of one size, and the rest."""
        ...

    def restore(self, held: bytes, rest: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        ...


class Course(Rows):
    """The rows of a machine, counted and not timed; each is asked about once it is whole.

    The last channel is the row's number. Where it falls back another machine was put in, and the rows
    of the one before are forgotten; where it is missing it is one more than before.
    """

    def __init__(self, channels: int, length: int, every_ns: int) -> None:
        self._length, self._every_ns = length, every_ns
        self._value: Floats = np.empty((0, channels))
        self._done = _NEVER
        self._newest: Longs = np.full(channels, _NEVER, dtype=np.int64)
        self._waited = np.ones(channels, dtype=bool)
        self._pending: dict[int, tuple[int, list[float]]] = {}

    def put(self, channel: int, time: Longs, value: Floats) -> None:
        """Take readings of one channel."""
        slots = time // self._every_ns
        for slot, moment, one in zip(slots.tolist(), time.tolist(), value.tolist(), strict=True):
            if slot <= self._done:
                continue
            before, row = self._pending.setdefault(slot, (moment, [np.nan] * len(self._newest)))
            row[channel] = one
            self._pending[slot] = (max(before, moment), row)
            self._newest[channel] = max(self._newest[channel], slot)
            self._waited[channel] = True

    def ready(self) -> Asked | None:
        """Return the windows that end with rows which are whole now."""
        parts, times = [], []
        for moment in self._grown():
            parts.append(cut(self._value, np.array([len(self._value) - 1]), self._length))
            times.append(moment)
        if not times:
            return None
        time = np.array(times, dtype=np.int64)
        return Asked(x=np.concatenate(parts), time=time, issued=time)

    def skip(self) -> None:
        """Pass over the rows which are whole now."""
        for _ in self._grown():
            pass

    def _grown(self) -> Iterator[int]:
        """Append the rows which are whole now, one by one, and tell when each was."""
        slots = sorted(self._pending)
        if not slots:
            return
        behind = len(slots) - np.searchsorted(slots, self._newest, side="right")
        self._waited &= behind <= _ROWS_BEHIND
        mark = int(self._newest[self._waited].min())
        for slot in slots:
            if slot > mark:
                return
            moment, row = self._pending.pop(slot)
            self._append(np.array(row))
            self._done = slot
            yield moment

    def _append(self, row: Floats) -> None:
        last = self._value[-1, -1] if len(self._value) else 0.0
        if np.isnan(row[-1]):
            row[-1] = last + 1
        elif row[-1] < last:
            self._value = self._value[:0]
        self._value = np.concatenate([self._value, row[None]])[-self._length :]

    def state(self) -> tuple[bytes, dict[str, Any]]:
        """Return what :meth:`restore` needs."""
        return _padded(self._value, self._length), {
            "count": len(self._value),
            "done": self._done,
            "newest": self._newest.tobytes(),
            "waited": self._waited.tobytes(),
            "pending": [(slot, *held) for slot, held in self._pending.items()],
        }

    def restore(self, held: bytes, rest: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        self._value = _kept(held, len(self._newest), rest["count"])
        self._done = int(rest["done"])
        self._newest = np.frombuffer(rest["newest"], dtype=np.int64).copy()
        self._waited = np.frombuffer(rest["waited"], dtype=np.bool_).copy()
        self._pending = {slot: (moment, list(row)) for slot, moment, row in rest["pending"]}


class Tape(Rows):
    """The readings of regular channels on their slots; asked about are windows that something wakes."""

    def __init__(self, problem: Classify, length: int, every_ns: int) -> None:
        self._problem, self._length, self._every_ns = problem, length, every_ns
        channels = len(problem.of)
        self._first = 0
        self._value: Floats = np.empty((0, channels))
        self._done = _NEVER
        self._newest: Longs = np.full(channels, _NEVER, dtype=np.int64)

    def put(self, channel: int, time: Longs, value: Floats) -> None:
        """Take readings of one channel."""
        slot = time // self._every_ns
        front = max(int(slot.max()), int(self._newest.max()))
        kept = slot > max(self._done, front - _SLOTS_BEHIND - self._length)
        slot, value = slot[kept], value[kept]
        if not len(slot):
            return
        self._hold(int(slot.min()), int(slot.max()), front)
        self._value[slot - self._first, channel] = value
        self._newest[channel] = max(int(self._newest[channel]), int(slot.max()))

    def skip(self) -> None:
        """Pass over what is whole now: a history of motion is no longer than two windows."""
        self.ready()

    def _hold(self, low: int, high: int, front: int) -> None:
        """Make room for the slots from ``low`` to ``high``; what is too old by then is let go."""
        wide = self._value.shape[1]
        if not len(self._value) or self._first + len(self._value) <= front - _SLOTS_BEHIND - self._length:
            self._first, self._value = low, np.empty((0, wide))
        before = max(0, self._first - low)
        after = max(0, high - self._first - len(self._value) + 1)
        if before or after:
            blank = [np.full((count, wide), np.nan) for count in (before, after)]
            self._value = np.concatenate([blank[0], self._value, blank[1]])
            self._first -= before

    def ready(self) -> Asked | None:
        """Return the windows that are whole now and that something woke in."""
        front = int(self._newest.max())
        mark = max(int(self._newest.min()), front - _SLOTS_BEHIND)
        if mark <= self._done:
            return None
        begin = max(self._first, self._done - self._length + 2)
        shown = self._value[begin - self._first : mark - self._first + 1]
        last = asked(self._problem, shown, self._length)
        x = cut(shown, last, self._length) if len(last) else None
        self._done = mark
        spare = mark - self._length + 2 - self._first
        if spare > 0:
            self._value, self._first = self._value[spare:].copy(), self._first + spare
        if x is None:
            return None
        middle = begin + last - (self._length - 1 - self._length // 2)
        return Asked(x=x, time=middle * self._every_ns, issued=(begin + last) * self._every_ns)

    def state(self) -> tuple[bytes, dict[str, Any]]:
        """Return what :meth:`restore` needs."""
        over = min(max(0, self._done + 1 - self._first), self._length - 1, len(self._value))
        return _padded(self._value[:over], self._length - 1), {
            "count": over,
            "first": self._first,
            "tail": self._value[over:].tobytes(),
            "done": self._done,
            "newest": self._newest.tobytes(),
        }

    def restore(self, held: bytes, rest: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        wide = len(self._newest)
        self._first, self._done = int(rest["first"]), int(rest["done"])
        tail = np.frombuffer(rest["tail"]).reshape(-1, wide)
        self._value = np.concatenate([_kept(held, wide, rest["count"]), tail])
        self._newest = np.frombuffer(rest["newest"], dtype=np.int64).copy()


def _padded(value: Floats, rows: int) -> bytes:
    """Return rows as bytes, filled up to ``rows``."""
    return np.concatenate([value, np.full((rows - len(value), value.shape[1]), np.nan)]).tobytes()


def _kept(held: bytes, wide: int, count: int) -> Floats:
    return np.frombuffer(held).reshape(-1, wide)[:count].copy()
