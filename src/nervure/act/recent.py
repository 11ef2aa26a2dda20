"""Recent: the last readings of each stream, kept as the evidence of alerts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.core.alert import Evidence
from nervure.core.columnar import whole
from nervure.core.event import NEVER
from nervure.core.finding import Findings
from nervure.core.group import Groups

__all__ = ["KEPT", "Recent"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

KEPT = 12
_COLUMNS = 5


class Recent:
    """The last ``KEPT`` findings of each stream, ``[stream, place]``."""

    def __init__(self, streams: int) -> None:
        self.time: Longs = np.full((streams, KEPT), NEVER, dtype=np.int64)
        self.value: Floats = np.full((streams, KEPT, _COLUMNS), np.nan)
        self.next: Longs = np.zeros(streams, dtype=np.int64)

    def push(self, streams: Longs, findings: Findings, rows: Longs) -> None:
        """Keep one finding a stream (``[row]``, no stream twice)."""
        place = self.next[streams]
        self._write(streams, place, findings, rows)
        place += 1
        place[place == KEPT] = 0
        self.next[streams] = place

    def extend(self, streams: Longs, findings: Findings, groups: Groups) -> None:
        """Keep the last of several findings a stream, in log order; ``streams`` are the groups'."""
        if not len(streams):
            return
        counts = groups.counts
        late = np.minimum(counts, KEPT)
        turn = np.arange(int(late.sum())) - np.repeat(np.cumsum(late) - late - (counts - late), late)
        rows = groups.order[turn + np.repeat(groups.starts, late)]
        place = (turn + np.repeat(self.next[streams], late)) % KEPT
        self._write(np.repeat(streams, late), place, findings, rows)
        self.next[streams] = (self.next[streams] + counts) % KEPT

    def _write(self, streams: Longs, place: Longs, findings: Findings, rows: Longs) -> None:
        """Write findings into places of their streams."""
        where = streams * KEPT + place
        self.time.reshape(-1)[where] = findings.time[rows]
        made = np.empty((len(rows), _COLUMNS))
        columns = (findings.value, findings.expected, findings.low, findings.high, findings.score)
        for column, one in enumerate(columns):
            made[:, column] = one[rows]
        whole(self.value).reshape(-1)[where] = whole(made)

    def last(self, stream: int) -> tuple[int, float]:
        """Return time and value of the newest finding of a stream."""
        place = (int(self.next[stream]) - 1) % KEPT
        return int(self.time[stream, place]), float(self.value[stream, place, 0])

    def since(self, stream: int, datastream: int, start_ns: int) -> tuple[Evidence, ...]:
        """Return what was read of a stream from an instant on, oldest first, as far as it is kept."""
        order = (int(self.next[stream]) + np.arange(KEPT)) % KEPT
        found = []
        for place in order[self.time[stream, order] >= start_ns].tolist():
            value, expected, low, high, score = self.value[stream, place].tolist()
            found.append(
                Evidence(
                    datastream=datastream,
                    time_ns=int(self.time[stream, place]),
                    value=value,
                    expected=_known(expected),
                    low=_known(low),
                    high=_known(high),
                    score=_known(score),
                )
            )
        return tuple(found)

    def grow(self, streams: int) -> None:
        """Make room for streams added later."""
        more = Recent(max(0, streams - len(self.next)))
        self.time = np.concatenate([self.time, more.time])
        self.value = np.concatenate([self.value, more.value])
        self.next = np.concatenate([self.next, more.next])

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {"time": self.time.tobytes(), "value": self.value.tobytes(), "next": self.next.tobytes()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        self.time = np.frombuffer(state["time"], dtype=np.int64).reshape(-1, KEPT).copy()
        self.value = np.frombuffer(state["value"], dtype=np.float64).reshape(-1, KEPT, _COLUMNS).copy()
        self.next = np.frombuffer(state["next"], dtype=np.int64).copy()


def _known(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 - NaN is the only such number
