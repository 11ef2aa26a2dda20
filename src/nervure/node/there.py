"""By whose time a loop is judged, and which readings are of it.

A device whose time is simulated (``simulated`` of its declaration) has a clock that is not ours, and may go
a hundred times as fast. The platform judges it in the device's time, as far as it was told of it: by the
guard's newest report, or by the newest reading of an input, whichever is later. Whatever is about people
(who has the watch, which mode since when) stays in ours.

With each start of its guard that time begins anew, and may do so at an hour that is stored already. What
came before the first report of a start is of another present, whatever hour it says: no time is told by it,
and nobody takes it for fresh. Which came when says the log, not a clock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from nervure.act import track
from nervure.core.command import Known, Proposal, moved
from nervure.core.error import StoreError
from nervure.core.interlock import Declared, Value
from nervure.core.observation import observation_id

__all__ = ["After", "Last", "Present", "by_its_time", "sensed"]

Read = tuple[int, float]  # the time of a reading (ns), and what it says
Last = Callable[[Sequence[int]], Mapping[int, Read]]
After = Callable[[Sequence[int], int], Mapping[int, tuple[int, float, int]]]

_log = logging.getLogger("nervure.node")


class _Start:
    """What has come of a start: up to which id was looked, the newest of each Datastream among it.

    ``told`` are those whose newest reading of all is of this start, so that none before it is newer.
    """

    def __init__(self, anew: int, keys: frozenset[int]) -> None:
        self.anew, self.keys = anew, keys
        self.upto = observation_id(anew + 1) - 1
        self.found: dict[int, Read] = {}
        self.told: set[int] = set()


class Present:
    """The newest readings of inputs that are of a device's present; may be called from any thread.

    ``last`` are the newest of Datastreams by their own time, ``after`` the newest of what came after an id,
    with the greatest id among it. What came is looked through once, until the newest by time is of this
    start too: from then on it stays so.
    """

    def __init__(self, last: Last, after: After) -> None:
        self._last, self._after = last, after
        self._starts: dict[int, _Start] = {}
        self._lock = threading.Lock()

    def readings(
        self, capability: int, read: Declared, wanted: Mapping[str, int], anew: int
    ) -> dict[str, tuple[Value, int]]:
        """Return value and time (ns) of the newest reading of each input that has one.

        ``anew`` is the log position of the first report of the guard's start, 0 where that is not known:
        then, and for devices that go by our time, every reading counts. What the disk does not tell is not
        known: the loop is refused what rests on it, and no other loop waits for that.
        """
        keys = frozenset(wanted.values())
        newest = dict(self._last(sorted(keys))) if keys else {}
        if read.simulated and anew and keys:
            with self._lock:
                start = self._starts.get(capability)
                if start is None or (start.anew, start.keys) != (anew, keys):
                    start = self._starts[capability] = _Start(anew, keys)
                try:
                    newest = self._of(start, newest)
                except StoreError as cause:
                    _log.warning("nobody knows what came since a guard's start: %s", cause)
                    newest = {}
        return {name: (newest[key][1], newest[key][0]) for name, key in wanted.items() if key in newest}

    def _of(self, start: _Start, newest: Mapping[int, Read]) -> dict[int, Read]:
        """Return the newest readings of a start; ``newest`` are those of all."""
        asked = sorted(start.keys - start.told)
        for key, (when, value, upto) in (self._after(asked, start.upto) if asked else {}).items():
            if key not in start.found or when >= start.found[key][0]:
                start.found[key] = when, value
            start.upto = max(start.upto, upto)
        start.told |= {key for key in asked if key in newest and _same(start.found.get(key), newest[key])}
        return start.found | {key: newest[key] for key in start.told if key in newest}


def _same(one: Read | None, other: Read) -> bool:
    """Tell whether two readings are the same; what is no number is NaN in both."""
    return one is not None and one[0] == other[0] and (one[1] == other[1] or one[1] != one[1] != other[1])


def sensed(
    known: Known, read: Declared, readings: Mapping[str, tuple[Value, int]], now_ns: int
) -> Known:  # fmt: skip
    """Return what is known now with the newest readings of its inputs."""
    if read.simulated:
        now_ns = max([known.now_ns, *(when for _, when in readings.values())])
    return track.sensed(track.at(known, now_ns), read, readings)


def by_its_time(proposal: Proposal, read: Declared, known: Known) -> Proposal:
    """Return a proposal by the time of its device: what waits here grows older by our clock alone."""
    return moved(proposal, known.now_ns, known.now_ns) if read.simulated else proposal
