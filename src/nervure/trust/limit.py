"""Rate limits: a bucket of tokens each, that fills at a steady rate and never over its brim."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from nervure.core.error import BusyError

__all__ = ["Limit"]

_MOST = 50_000


class Limit:
    """Lets each of many pass ``rate`` times a second, and ``burst`` times at once.

    Who was not seen for longest is forgotten first, when there are too many to remember.

    >>> limit = Limit(rate=1.0, burst=2, clock=lambda: 0.0)
    >>> limit.take("a"), limit.take("a"), limit.wait_s("a")
    (None, None, 1.0)
    """

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, who: Hashable) -> None:
        """Let somebody pass, or raise ``BusyError`` with how long to wait."""
        wait = self.wait_s(who)
        if wait > 0:
            raise BusyError("too many requests", retry_s=wait, hint=f"wait {wait:.2f} s")
        left, when = self._left[who]
        self._left[who] = (left - 1.0, when)

    def wait_s(self, who: Hashable) -> float:
        """Return how long they have to wait, 0 if they may pass now."""
        now = self._clock()
        left, when = self._left.get(who, (self._burst, now))
        left = min(self._burst, left + (now - when) * self._rate)
        self._left[who] = (left, now)
        self._left.move_to_end(who)
        if len(self._left) > _MOST:
            self._left.popitem(last=False)
        return 0.0 if left >= 1.0 else (1.0 - left) / self._rate
