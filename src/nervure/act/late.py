"""How late what a seat hears is, and how long it leaves a platform alone that does not take what it asks.

    late = Lateness()
    late.note(moment_ns, read_ns, heard_ns)      # of every moment
    late.by_device_s(read_ns, now_ns)            # how old its readings are, by the device's time

A node that is late gets later with every Task that it has to judge and refuse. So who is late asks nothing
until it hears in time again, and who is not answered asks ever more seldom.
"""

from __future__ import annotations

from collections import deque

from nervure.core.instant import SECOND_NS

__all__ = ["MOST_PAUSE_S", "PAUSE_S", "Lateness", "Pause"]

PAUSE_S = 0.25
"""How long is waited after the second failure running; then twice as long each time."""

MOST_PAUSE_S = 8.0
_KEPT = 600


class Lateness:
    """How old readings are when they are heard, held against how young they have been at best.

    So a device whose clock is wrong is not late for that. The time of a twin may go faster than ours, which
    is seen from its readings, too.
    """

    def __init__(self) -> None:
        self._heard: deque[tuple[int, int, int]] = deque(maxlen=_KEPT)

    def note(self, moment_ns: int, read_ns: int, heard_ns: int) -> None:
        """Take note of when readings of a moment were read and heard, by our clock; 0 is not known."""
        if read_ns:
            self._heard.append((moment_ns, read_ns, heard_ns - read_ns))

    @property
    def pace(self) -> float:
        """How many seconds of the device go by in one of ours; 1 where that is not known.

        >>> late = Lateness()
        >>> for second in range(3):
        ...     late.note(second * 100 * 10**9, (second + 1) * 10**9, (second + 1) * 10**9)
        >>> late.pace
        100.0
        """
        if len(self._heard) < 2:
            return 1.0
        (first, read, _), (last, again, _) = self._heard[0], self._heard[-1]
        return (last - first) / (again - read) if last > first and again > read else 1.0

    def by_device_s(self, read_ns: int, now_ns: int) -> float:
        """Return how old readings are now, in seconds of the device; 0 where that is not known.

        >>> late = Lateness()
        >>> late.note(0, 10**9, 61 * 10**9)  # a clock that is a minute slow
        >>> late.by_device_s(10**9, 63 * 10**9)
        2.0
        """
        if not read_ns or not self._heard:
            return 0.0
        least = min(one for _, _, one in self._heard)
        return max(0.0, self.pace * (now_ns - read_ns - least) / SECOND_NS)


class Pause:
    """Leaves somebody alone who has failed twice running: for a while, then for twice as long each time.

    >>> pause = Pause()
    >>> [pause.failed(10.0) or pause.left_s(10.0) for _ in range(8)]
    [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    """

    def __init__(self) -> None:
        self._failures, self._until_s = 0, 0.0

    def failed(self, now_s: float) -> None:
        """Take note that it failed."""
        self._failures += 1
        if self._failures > 1:
            self._until_s = now_s + min(MOST_PAUSE_S, PAUSE_S * 2.0 ** min(self._failures - 2, 16))

    def succeeded(self) -> None:
        """Take note that it did not."""
        self._failures, self._until_s = 0, 0.0

    def left_s(self, now_s: float) -> float:
        """Return for how much longer it is to be left alone."""
        return max(0.0, self._until_s - now_s)
